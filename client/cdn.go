package client

import (
	"context"
	"iter"
	"net/http"
	"time"
)

// CDN is a CDN configuration: where content comes from and how it is cached.
// Domains name the configuration they use.
type CDN struct {
	ID           string      `json:"id"`
	Name         string      `json:"name"`
	Project      string      `json:"project_id"`
	Environment  string      `json:"environment"`
	Revision     int64       `json:"revision"`
	CreatedAt    time.Time   `json:"created_at"`
	UpdatedAt    time.Time   `json:"updated_at"`
	Origins      []Origin    `json:"origins"`
	CacheRules   []CacheRule `json:"cache_rules"`
	Timeouts     Timeouts    `json:"timeouts"`
	MaxBodyBytes int64       `json:"max_body_bytes"` // bound of a request body; 0: none
	Domains      []string    `json:"domains"`        // who uses it
	Rollout      Rollout     `json:"rollout"`
}

// Timeouts bound the wait for an origin, in milliseconds. 0 is the server's
// default, but for IdleMS no bound.
type Timeouts struct {
	ConnectMS  int `json:"connect_ms,omitempty"`  // to connect and finish TLS
	ResponseMS int `json:"response_ms,omitempty"` // to the response's headers
	IdleMS     int `json:"idle_ms,omitempty"`     // between two reads of a body
}

// Origin is one upstream server.
type Origin struct {
	Name       string `json:"name,omitempty"`
	URL        string `json:"url"`
	HostHeader string `json:"host_header,omitempty"` // "": the client's host
	ServerName string `json:"server_name,omitempty"` // TLS name; "": the URL's host
	HTTP2      string `json:"http2,omitempty"`       // "": by ALPN; "prior_knowledge": h2c
	SkipVerify bool   `json:"skip_verify,omitempty"`
	RootCAPEM  string `json:"root_ca_pem,omitempty"`
}

// CacheRule says how requests whose path matches Pattern are cached. The first
// match counts.
type CacheRule struct {
	Pattern    string    `json:"pattern"`               // glob: "*" within a segment, "**" any run, "?" one character
	Action     string    `json:"action,omitempty"`      // headers, cache, bypass; "": cache with a TTL, else headers
	TTL        int       `json:"ttl,omitempty"`         // seconds at the edge
	BrowserTTL *int      `json:"browser_ttl,omitempty"` // seconds in browsers; nil: as the origin says
	Key        *CacheKey `json:"cache_key,omitempty"`
}

// CacheKey says what beyond host and path distinguishes stored responses.
type CacheKey struct {
	Query   *QueryKey `json:"query,omitempty"` // nil: the whole query
	Headers []string  `json:"headers,omitempty"`
	Cookies []string  `json:"cookies,omitempty"`
}

// QueryKey selects query parameters for the key.
type QueryKey struct {
	Mode  string   `json:"mode,omitempty"` // all, none, include, exclude
	Names []string `json:"names,omitempty"`
}

// ConfigureCDN creates or replaces a CDN configuration.
type ConfigureCDN struct {
	Name         string      `json:"name,omitempty"` // "": "default"
	Origins      []Origin    `json:"origins"`
	CacheRules   []CacheRule `json:"cache_rules,omitempty"`
	Timeouts     *Timeouts   `json:"timeouts,omitempty"`
	MaxBodyBytes int64       `json:"max_body_bytes,omitempty"`
}

func cdnPath(name string) string { return infra + "/cdn/" + segment(name) }

// CDNs walks the CDN configurations of the project and environment.
func (c *Client) CDNs(ctx context.Context) iter.Seq2[CDN, error] {
	return pages(ctx, func(ctx context.Context, cursor string) (Page[CDN], error) {
		return list[CDN](ctx, c, infra+"/cdn", "cdn_deployments", paged(c.scoped()), cursor)
	})
}

// CDN returns one configuration, or fault.NotFound.
func (c *Client) CDN(ctx context.Context, name string) (*CDN, error) {
	out := new(CDN)
	if err := c.cdnCall(ctx, call{method: http.MethodGet, path: cdnPath(name)}, out); err != nil {
		return nil, err
	}
	return out, nil
}

// ConfigureCDN creates a configuration, or replaces the one of that name
// whatever its revision is.
func (c *Client) ConfigureCDN(ctx context.Context, config ConfigureCDN) (*CDN, error) {
	out := new(CDN)
	if err := c.cdnCall(ctx, call{method: http.MethodPost, path: infra + "/cdn", body: config}, out); err != nil {
		return nil, err
	}
	return out, nil
}

// PlanConfigureCDN tells what ConfigureCDN would do.
func (c *Client) PlanConfigureCDN(ctx context.Context, config ConfigureCDN) (*Plan, error) {
	return c.dryRun(ctx, call{method: http.MethodPost, path: infra + "/cdn", body: config})
}

// ReplaceCDN replaces a configuration that the caller saw at the given
// revision. The name of config is not used.
func (c *Client) ReplaceCDN(ctx context.Context, name string, revision int64, config ConfigureCDN) (*CDN, error) {
	config.Name = ""
	out := new(CDN)
	if err := c.cdnCall(ctx, call{method: http.MethodPut, path: cdnPath(name), body: config, match: revision}, out); err != nil {
		return nil, err
	}
	return out, nil
}

// PlanReplaceCDN tells what ReplaceCDN would do.
func (c *Client) PlanReplaceCDN(ctx context.Context, name string, revision int64, config ConfigureCDN) (*Plan, error) {
	config.Name = ""
	return c.dryRun(ctx, call{method: http.MethodPut, path: cdnPath(name), body: config, match: revision})
}

// RemoveCDN removes a configuration. It is refused with fault.Conflict while a
// domain uses it.
func (c *Client) RemoveCDN(ctx context.Context, name string, revision int64) error {
	_, err := c.do(ctx, call{method: http.MethodDelete, path: cdnPath(name), query: c.scoped(), match: revision}, nil)
	return err
}

func (c *Client) cdnCall(ctx context.Context, k call, out *CDN) error {
	k.query = merge(c.scoped(), k.query)
	w := wrap[CDN]{name: "cdn_deployment", out: out}
	_, err := c.do(ctx, k, &w)
	return err
}

// PurgeRequest says what to drop from the caches of all edges.
type PurgeRequest struct {
	Paths  []string `json:"paths,omitempty"` // "/a", "/img/*" (prefix), or a full URL
	All    bool     `json:"purge_all,omitempty"`
	Domain string   `json:"domain,omitempty"` // "": all domains of project and environment
}

// Purge is a purge and its acknowledgements.
type Purge struct {
	ID     string     `json:"purge_id"`
	Count  int        `json:"purged_count"` // objects removed so far, on all edges
	State  string     `json:"state"`        // PurgePending or PurgeAcknowledged
	Edges  PurgeEdges `json:"edges"`
	At     time.Time  `json:"at"`
	DoneAt *time.Time `json:"done_at,omitempty"`
}

// The states of a purge. Once it is acknowledged, no edge serves a stale byte
// any more.
const (
	PurgePending      = "pending"
	PurgeAcknowledged = "acknowledged"
)

// PurgeEdges counts acknowledgements.
type PurgeEdges struct {
	Total        int      `json:"total"` // connected when the purge was made
	Acknowledged int      `json:"acknowledged"`
	Missing      []string `json:"missing"` // connected and not yet done; at most 20
	Away         []string `json:"away"`    // not connected: they catch up before they serve again; at most 20
}

// Purge drops stored responses. The server waits a few seconds for the edges;
// after that the answer's State is PurgePending, and PurgeStatus tells the rest.
func (c *Client) Purge(ctx context.Context, p PurgeRequest) (*Purge, error) {
	out := new(Purge)
	if _, err := c.do(ctx, call{method: http.MethodPost, path: infra + "/cdn/purge", query: c.scoped(), body: p}, out); err != nil {
		return nil, err
	}
	return out, nil
}

// PurgeStatus returns the state of a purge.
func (c *Client) PurgeStatus(ctx context.Context, id string) (*Purge, error) {
	out := new(Purge)
	if _, err := c.do(ctx, call{method: http.MethodGet, path: infra + "/cdn/purges/" + segment(id), query: c.inProject()}, out); err != nil {
		return nil, err
	}
	return out, nil
}
