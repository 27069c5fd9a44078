package api

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/control/fleet"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// Edge is one edge node.
type Edge struct {
	ID            string     `json:"id"`
	Name          string     `json:"name"`
	Region        string     `json:"region"`
	State         string     `json:"state" doc:"online, offline or draining"`
	Draining      bool       `json:"draining"`
	Simulated     bool       `json:"simulated" doc:"Shares its machine with other edges of a laptop set-up"`
	Version       string     `json:"version,omitempty"`
	HTTP          string     `json:"http,omitempty" doc:"Address as bound. Only for who has a role on the platform"`
	HTTPS         string     `json:"https,omitempty" doc:"As http"`
	DNS           string     `json:"dns,omitempty" doc:"As http: of the name server, over UDP and TCP"`
	StartedAt     *time.Time `json:"started_at,omitempty"`
	LastHeartbeat *time.Time `json:"last_heartbeat,omitempty"`
	InSync        bool       `json:"in_sync" doc:"Holds exactly what the control plane has published"`
	Sites         int        `json:"sites,omitempty" doc:"Only for who has a role on the platform"`
	RequestsPerS  float64    `json:"requests_per_second,omitempty" doc:"Of the last second, all sites. Only for who has a role on the platform"`
	Revision      int64      `json:"revision"`
	CreatedAt     time.Time  `json:"created_at"`
}

// EdgeAnswer holds one edge.
type EdgeAnswer struct {
	Edge Edge `json:"edge"`
}

// EdgeList is all edges.
type EdgeList struct {
	Edges      []Edge `json:"edges"`
	NextCursor string `json:"next_cursor"`
}

// Drain asks an edge to send its clients elsewhere, or takes it back.
type Drain struct {
	Draining bool `json:"draining"`
}

// NewJoinToken asks for a join token.
type NewJoinToken struct {
	Region     string `json:"region,omitempty" doc:"Where the edge will be; default: the edge says" maxLength:"40"`
	TTLSeconds int    `json:"ttl_seconds,omitempty" minimum:"60" maximum:"604800" doc:"Default: 3600"`
}

// JoinToken lets one edge join, once.
type JoinToken struct {
	Token     string    `json:"token" doc:"Shown this once"`
	Command   string    `json:"command" doc:"To run on the new machine"`
	Region    string    `json:"region,omitempty"`
	ExpiresAt time.Time `json:"expires_at"`
}

// Held is a removal that was held back because it would have emptied much of a
// kind without anyone having asked for that.
type Held struct {
	Kind string   `json:"kind" doc:"Of documents: site, certificate"`
	Keys []string `json:"keys" doc:"At most 100"`
	Of   int      `json:"of" doc:"How many documents of the kind there are"`
}

// HeldList is everything that is held back.
type HeldList struct {
	Held       []Held `json:"held"`
	NextCursor string `json:"next_cursor"`
}

// Released is what was let go.
type Released struct {
	Count int `json:"released_count"`
}

type releaseInput struct {
	InKey
	Kind string `path:"kind" doc:"Of documents: site, certificate" maxLength:"40"`
}

// EdgePath names an edge in the path.
type EdgePath struct {
	Edge string `path:"edge" doc:"By ID or name" maxLength:"64"`
}

type deleteEdgeInput struct {
	EdgePath
	InMatch
}

type drainInput struct {
	EdgePath
	InKey
	Body Drain
}

type joinTokenInput struct {
	InKey
	Body NewJoinToken
}

type joinInput struct{ Body edgeconfig.JoinRequest }

func (s *Server) addEdges() {
	const tag, path = "Edges", infrastructure + "/edges"
	add(s, op{
		method: http.MethodGet, path: path, id: "edges-list", tag: tag, summary: "All edges",
		level: anyProject, resource: access.Edges, verb: access.Read, answers: []answerDoc{{http.StatusOK, EdgeList{}, ""}},
	}, s.listEdges)
	add(s, op{
		method: http.MethodGet, path: path + "/{edge}", id: "edges-get", tag: tag, summary: "One edge",
		level: anyProject, resource: access.Edges, verb: access.Read, answers: []answerDoc{{http.StatusOK, EdgeAnswer{}, ""}},
	}, s.getEdge)
	add(s, op{
		method: http.MethodDelete, path: path + "/{edge}", id: "edges-revoke", tag: tag, summary: "Take an edge's credentials away for good",
		level: onPlatform, resource: access.Edges, verb: access.Delete, answers: []answerDoc{{http.StatusNoContent, nil, ""}},
	}, s.revokeEdge)
	add(s, op{
		method: http.MethodPost, path: path + "/{edge}/drain", id: "edges-drain", tag: tag, summary: "Take an edge out of use, or back into it",
		level: onPlatform, resource: access.Edges, verb: access.Write, answers: []answerDoc{{http.StatusOK, EdgeAnswer{}, ""}},
	}, s.drainEdge)
	add(s, op{
		method: http.MethodGet, path: infrastructure + "/held", id: "held-list", tag: tag, summary: "Removals that were held back",
		doc:   "What would empty much of the configuration without anyone having asked for it waits for consent; edges keep serving it.",
		level: onPlatform, resource: access.Edges, verb: access.Write, answers: []answerDoc{{http.StatusOK, HeldList{}, ""}},
	}, s.listHeld)
	add(s, op{
		method: http.MethodPost, path: infrastructure + "/held/{kind}/release", id: "held-release", tag: tag, summary: "Let held back removals go",
		level: onPlatform, resource: access.Edges, verb: access.Write, audit: "held.release",
		answers: []answerDoc{{http.StatusOK, Released{}, ""}},
	}, s.releaseHeld)
	add(s, op{
		method: http.MethodPost, path: path + "/join-tokens", id: "edges-join-token", tag: tag, summary: "Make a one-time join token",
		level: onPlatform, resource: access.Edges, verb: access.Write, audit: "edge.join_token",
		answers: []answerDoc{{http.StatusCreated, JoinToken{}, ""}},
	}, s.newJoinToken)
	add(s, op{
		method: http.MethodPost, path: path + "/join", id: "edges-join", tag: tag, summary: "Join a new edge with a one-time token",
		doc:   "For edges, not for people. The token in the body is the credential.",
		level: public, noKey: true, audit: "edge.join", answers: []answerDoc{{http.StatusOK, edgeconfig.JoinReply{}, ""}},
	}, s.joinEdge)
}

func heldOf(h fleet.Held) Held {
	return Held{Kind: h.Kind, Keys: append([]string{}, h.Keys...), Of: h.Of}
}

func (s *Server) listHeld(context.Context, *call, *empty) (*answer, error) {
	out := HeldList{Held: []Held{}}
	for _, h := range s.fleet.Held() {
		out.Held = append(out.Held, heldOf(h))
	}
	return &answer{Body: out}, nil
}

func (s *Server) releaseHeld(ctx context.Context, c *call, in *releaseInput) (*answer, error) {
	n, err := s.fleet.ReleaseHeld(ctx, in.Kind)
	if err != nil {
		return nil, err
	}
	c.target = "documents " + in.Kind
	c.detail = map[string]any{"released": n}
	return &answer{Body: Released{n}}, nil
}

// edgeOf shows an edge. What tells of all tenants together is for who has a
// role on the platform.
func edgeOf(e fleet.Edge, platform bool) Edge {
	out := Edge{
		ID: e.ID, Name: e.Name, Region: e.Spec.Region, State: "offline", Draining: e.Spec.Draining, Simulated: e.Spec.Simulated, Version: e.Version,
		StartedAt: timeOrNil(e.StartedAt), LastHeartbeat: timeOrNil(e.LastSeen), InSync: e.InSync, Revision: e.Revision, CreatedAt: e.CreatedAt,
	}
	switch {
	case e.Connected && e.Spec.Draining:
		out.State = "draining"
	case e.Connected:
		out.State = "online"
	}
	if platform {
		out.HTTP, out.HTTPS, out.DNS, out.Sites, out.RequestsPerS = e.HTTP, e.HTTPS, e.DNS, e.Sites, float64(e.Live.Requests)
	}
	return out
}

func (s *Server) listEdges(ctx context.Context, c *call, in *InPage) (*answer, error) {
	list, err := s.fleet.Edges(ctx)
	if err != nil {
		return nil, err
	}
	out := EdgeList{Edges: []Edge{}}
	for _, e := range list { // in order of ID
		if e.ID <= in.Cursor {
			continue
		}
		if len(out.Edges) == in.Limit {
			out.NextCursor = out.Edges[in.Limit-1].ID
			break
		}
		out.Edges = append(out.Edges, edgeOf(e, c.principal.Sees(access.Platform)))
	}
	return &answer{Body: out}, nil
}

func (s *Server) edgeAnswer(c *call, e fleet.Edge, err error) (*answer, error) {
	if err != nil {
		return nil, err
	}
	return &answer{ETag: etag(e.Revision), Body: EdgeAnswer{edgeOf(e, c.principal.Sees(access.Platform))}}, nil
}

func (s *Server) getEdge(ctx context.Context, c *call, in *EdgePath) (*answer, error) {
	e, err := s.fleet.Edge(ctx, in.Edge)
	return s.edgeAnswer(c, e, err)
}

func (s *Server) revokeEdge(ctx context.Context, c *call, in *deleteEdgeInput) (*answer, error) {
	e, err := s.fleet.Edge(ctx, in.Edge)
	if err != nil {
		return nil, err
	}
	if c.ifRevision != 0 && e.Revision != c.ifRevision {
		return nil, fault.New(fault.Stale, "the edge was changed since you read it (revision %d, you have %d); read it again", e.Revision, c.ifRevision).About("edge " + e.Name)
	}
	return &answer{}, s.fleet.Revoke(ctx, e.ID, c.cause)
}

func (s *Server) drainEdge(ctx context.Context, c *call, in *drainInput) (*answer, error) {
	e, err := s.fleet.Drain(ctx, in.Edge, in.Body.Draining, c.cause)
	return s.edgeAnswer(c, e, err)
}

func (s *Server) newJoinToken(ctx context.Context, c *call, in *joinTokenInput) (*answer, error) {
	ttl := time.Duration(cmp.Or(in.Body.TTLSeconds, 3600)) * time.Second
	t, err := s.fleet.NewJoinToken(ctx, in.Body.Region, ttl)
	if err != nil {
		return nil, err
	}
	region := cmp.Or(t.Region, "REGION")
	c.target = "join token"
	c.detail = map[string]any{"region": t.Region, "expires_at": t.ExpiresAt}
	return &answer{Body: JoinToken{
		Token: t.Token, Region: t.Region, ExpiresAt: t.ExpiresAt,
		Command: "edgewright edge --join " + s.baseURL(requestFrom(ctx)) + " --token " + t.Token + " --region " + region + s.options.JoinFlags,
	}}, nil
}

func (s *Server) joinEdge(ctx context.Context, c *call, in *joinInput) (*answer, error) {
	address := requestFrom(ctx).address
	if err := s.access.CheckAddress(address); err != nil {
		return nil, err
	}
	reply, err := s.fleet.Join(ctx, in.Body)
	if fault.Is(err, fault.Unauthenticated) {
		s.access.FailAddress(address)
	}
	if err != nil {
		return nil, err
	}
	c.target = "edge " + reply.Edge
	c.detail = map[string]any{"region": in.Body.Region, "address": address}
	return &answer{Body: reply}, nil
}
