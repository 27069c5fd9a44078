package client

import (
	"context"
	"iter"
	"net/http"
	"time"
)

// The states of an edge.
const (
	EdgeOnline   = "online"
	EdgeOffline  = "offline"
	EdgeDraining = "draining"
)

// Edge is one edge node.
type Edge struct {
	ID            string     `json:"id"`
	Name          string     `json:"name"`
	Region        string     `json:"region"`
	State         string     `json:"state"` // EdgeOnline, EdgeOffline, EdgeDraining
	Draining      bool       `json:"draining"`
	Simulated     bool       `json:"simulated"` // shares its machine with other edges of a laptop set-up
	Version       string     `json:"version,omitempty"`
	HTTP          string     `json:"http,omitempty"` // addresses as bound
	HTTPS         string     `json:"https,omitempty"`
	DNS           string     `json:"dns,omitempty"` // of the name server
	StartedAt     *time.Time `json:"started_at,omitempty"`
	LastHeartbeat *time.Time `json:"last_heartbeat,omitempty"`
	Sites         int        `json:"sites,omitempty"` // for who has a role on the platform, as HTTP and HTTPS
	InSync        bool       `json:"in_sync"`         // holds what the control plane has
	RequestsPerS  float64    `json:"requests_per_second,omitempty"`
	Revision      int64      `json:"revision"`
	CreatedAt     time.Time  `json:"created_at"`
}

// JoinToken lets one edge join, once.
type JoinToken struct {
	Token     string    `json:"token"`   // shown once
	Command   string    `json:"command"` // to run on the new machine
	Region    string    `json:"region,omitempty"`
	ExpiresAt time.Time `json:"expires_at"`
}

func edgePath(edge string) string { return infra + "/edges/" + segment(edge) }

// Edges walks all edges.
func (c *Client) Edges(ctx context.Context) iter.Seq2[Edge, error] {
	return pages(ctx, func(ctx context.Context, cursor string) (Page[Edge], error) {
		return list[Edge](ctx, c, infra+"/edges", "edges", paged(nil), cursor)
	})
}

// Edge returns one edge by ID or name, or fault.NotFound.
func (c *Client) Edge(ctx context.Context, edge string) (*Edge, error) {
	return c.edgeCall(ctx, call{method: http.MethodGet, path: edgePath(edge)})
}

// DrainEdge takes an edge out of use, or with draining false back into it. It
// finishes what it is serving.
func (c *Client) DrainEdge(ctx context.Context, edge string, draining bool) (*Edge, error) {
	return c.edgeCall(ctx, call{method: http.MethodPost, path: edgePath(edge) + "/drain", body: map[string]bool{"draining": draining}})
}

// RevokeEdge takes an edge's credentials away for good. 0 as the revision
// revokes whatever has changed meanwhile.
func (c *Client) RevokeEdge(ctx context.Context, edge string, revision int64) error {
	_, err := c.do(ctx, call{method: http.MethodDelete, path: edgePath(edge), match: revision}, nil)
	return err
}

// NewJoinToken makes a one-time join token. Region "" leaves the choice to the
// edge; ttl 0 takes the server's default.
func (c *Client) NewJoinToken(ctx context.Context, region string, ttl time.Duration) (*JoinToken, error) {
	body := map[string]any{}
	if region != "" {
		body["region"] = region
	}
	if ttl > 0 {
		body["ttl_seconds"] = int(ttl / time.Second)
	}
	out := new(JoinToken)
	if _, err := c.do(ctx, call{method: http.MethodPost, path: infra + "/edges/join-tokens", body: body}, out); err != nil {
		return nil, err
	}
	return out, nil
}

func (c *Client) edgeCall(ctx context.Context, k call) (*Edge, error) {
	out := new(Edge)
	w := wrap[Edge]{name: "edge", out: out}
	if _, err := c.do(ctx, k, &w); err != nil {
		return nil, err
	}
	return out, nil
}
