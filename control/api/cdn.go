package api

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/control/cdn"
	"github.com/edgewright/edgewright/edgeconfig"
)

// CDN is a CDN configuration: where content comes from and how it is cached.
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
	MaxBodyBytes int64       `json:"max_body_bytes" doc:"Bound of a request body; 0: none"`
	Domains      []string    `json:"domains" doc:"Which domains use it"`
	Rollout      Rollout     `json:"rollout"`
}

// Origin is a server that content comes from.
type Origin struct {
	Name       string `json:"name,omitempty" maxLength:"64"`
	URL        string `json:"url" doc:"http or https, host and port" maxLength:"2048"`
	HostHeader string `json:"host_header,omitempty" doc:"Host sent to the origin. Default: the client's" maxLength:"253"`
	ServerName string `json:"server_name,omitempty" doc:"TLS name expected. Default: the URL's host" maxLength:"253"`
	HTTP2      string `json:"http2,omitempty" doc:"prior_knowledge for h2c; default: negotiated" maxLength:"20"`
	SkipVerify bool   `json:"skip_verify,omitempty" doc:"Accept any certificate of the origin"`
	RootCAPEM  string `json:"root_ca_pem,omitempty" doc:"Accept certificates of these CAs instead of the system's" maxLength:"65536"`
}

// CacheRule is the cache policy of the paths it matches; the first match counts.
type CacheRule struct {
	Pattern    string    `json:"pattern" doc:"Glob: * within a segment, ** any run, ? one character" maxLength:"1024"`
	TTL        int       `json:"ttl,omitempty" doc:"Seconds at the edge"`
	Action     string    `json:"action,omitempty" doc:"headers, cache or bypass. Default: cache with a ttl, else headers" maxLength:"20"`
	BrowserTTL *int      `json:"browser_ttl,omitempty" doc:"Seconds in browsers. Default: as the origin says"`
	CacheKey   *CacheKey `json:"cache_key,omitempty"`
}

// CacheKey says what beyond scheme, host and path distinguishes stored responses.
type CacheKey struct {
	Query   *QueryKey `json:"query,omitempty"`
	Headers []string  `json:"headers,omitempty"`
	Cookies []string  `json:"cookies,omitempty"`
}

// QueryKey selects query parameters for the key.
type QueryKey struct {
	Mode  string   `json:"mode,omitempty" doc:"all, none, include or exclude. Default: all" maxLength:"20"`
	Names []string `json:"names,omitempty"`
}

// Timeouts bound the wait for an origin.
type Timeouts struct {
	ConnectMS  int `json:"connect_ms,omitempty" doc:"Milliseconds to connect and finish TLS"`
	ResponseMS int `json:"response_ms,omitempty" doc:"Milliseconds to the response's headers"`
	IdleMS     int `json:"idle_ms,omitempty" doc:"Milliseconds between two reads of a body; 0: no bound"`
}

// ReplaceCDN is a whole CDN configuration.
type ReplaceCDN struct {
	Origins      []Origin    `json:"origins" maxItems:"100"`
	CacheRules   []CacheRule `json:"cache_rules,omitempty" maxItems:"1000"`
	Timeouts     *Timeouts   `json:"timeouts,omitempty"`
	MaxBodyBytes int64       `json:"max_body_bytes,omitempty" minimum:"0"`
}

// ConfigureCDN is a whole CDN configuration and its name.
type ConfigureCDN struct {
	BodyProject
	Name string `json:"name,omitempty" doc:"Default: default" maxLength:"253"`
	ReplaceCDN
}

// CDNAnswer holds one CDN configuration.
type CDNAnswer struct {
	CDN CDN `json:"cdn_deployment"`
}

// CDNList is a page of CDN configurations.
type CDNList struct {
	CDNs       []CDN  `json:"cdn_deployments"`
	NextCursor string `json:"next_cursor"`
}

type configureCDNInput struct {
	InProject
	InDryRun
	InKey
	Body ConfigureCDN
}

func (in configureCDNInput) bodyScopeNames() (project, environment string) {
	return in.Body.ProjectID, in.Body.Environment
}

// CDNPath names a CDN configuration in the path.
type CDNPath struct {
	InProject
	Name string `path:"name" maxLength:"253"`
}

type replaceCDNInput struct {
	CDNPath
	InDryRun
	InMatch
	Body ReplaceCDN
}

type deleteCDNInput struct {
	CDNPath
	InDryRun
	InMatch
}

func (s *Server) addCDN() {
	const tag, path = "CDN", infrastructure + "/cdn"
	add(s, op{
		method: http.MethodGet, path: path, id: "cdn-list", tag: tag, summary: "CDN configurations of an environment",
		level: onProject, resource: access.CDN, verb: access.Read, answers: []answerDoc{{http.StatusOK, CDNList{}, ""}},
	}, s.listCDN)
	add(s, op{
		method: http.MethodPost, path: path, id: "cdn-configure", tag: tag, summary: "Make or replace a CDN configuration",
		level: onProject, resource: access.CDN, verb: access.Write, maxBody: 2 << 20, answers: []answerDoc{{http.StatusOK, CDNAnswer{}, ""}},
	}, s.configureCDN)
	add(s, op{
		method: http.MethodGet, path: path + "/{name}", id: "cdn-get", tag: tag, summary: "One CDN configuration",
		level: onProject, resource: access.CDN, verb: access.Read, answers: []answerDoc{{http.StatusOK, CDNAnswer{}, ""}},
	}, s.getCDN)
	add(s, op{
		method: http.MethodPut, path: path + "/{name}", id: "cdn-replace", tag: tag, summary: "Replace a CDN configuration",
		level: onProject, resource: access.CDN, verb: access.Write, maxBody: 2 << 20, answers: []answerDoc{{http.StatusOK, CDNAnswer{}, ""}},
	}, s.replaceCDN)
	add(s, op{
		method: http.MethodDelete, path: path + "/{name}", id: "cdn-delete", tag: tag, summary: "Delete a CDN configuration that no domain uses",
		level: onProject, resource: access.CDN, verb: access.Delete, answers: []answerDoc{{http.StatusNoContent, nil, ""}},
	}, s.deleteCDN)
}

// shownUsers bounds how many domains a configuration's answer names.
const shownUsers = 100

func (v *viewer) cdn(ctx context.Context, c cdn.CDN) (CDN, error) {
	users, err := v.usersOf(ctx, c)
	if err != nil {
		return CDN{}, err
	}
	out := CDN{
		ID: c.ID, Name: c.Name, Project: c.Project, Environment: c.Environment, Revision: c.Revision, CreatedAt: c.CreatedAt, UpdatedAt: c.UpdatedAt,
		Origins: []Origin{}, CacheRules: []CacheRule{}, MaxBodyBytes: c.Spec.MaxBodyBytes, Domains: []string{}, Rollout: v.s.sitesRollout(users),
		Timeouts: Timeouts{ConnectMS: c.Spec.Timeouts.ConnectMS, ResponseMS: c.Spec.Timeouts.ResponseMS, IdleMS: c.Spec.Timeouts.IdleMS},
	}
	for _, site := range users[:min(len(users), shownUsers)] {
		out.Domains = append(out.Domains, site.name)
	}
	for _, o := range c.Spec.Origins {
		out.Origins = append(out.Origins, Origin{
			Name: o.Name, URL: o.URL, HostHeader: o.HostHeader, ServerName: o.ServerName, HTTP2: o.HTTP2, SkipVerify: o.SkipVerify, RootCAPEM: o.RootCAPEM,
		})
	}
	for _, r := range c.Spec.CacheRules {
		out.CacheRules = append(out.CacheRules, CacheRule{
			Pattern: r.Pattern, TTL: r.TTL, Action: string(r.Action), BrowserTTL: r.BrowserTTL,
			CacheKey: &CacheKey{
				Query:   &QueryKey{Mode: r.CacheKey.Query.Mode, Names: r.CacheKey.Query.Names},
				Headers: r.CacheKey.Headers, Cookies: r.CacheKey.Cookies,
			},
		})
	}
	return out, nil
}

// usersOf lists the domains that use a configuration.
func (v *viewer) usersOf(ctx context.Context, c cdn.CDN) ([]site, error) {
	if v.users == nil {
		users := map[string][]site{}
		err := v.s.eachSite(ctx, c.Project, c.Environment, func(one site) { users[one.cdn] = append(users[one.cdn], one) })
		if err != nil {
			return nil, err
		}
		v.users = users
	}
	return v.users[c.Name], nil
}

// sitesRollout is the furthest behind of the sites' roll-outs, which carry the
// configuration they use.
func (s *Server) sitesRollout(sites []site) Rollout {
	var worst Rollout
	documents := 0
	for i, one := range sites {
		r := s.documentRollout(edgeconfig.KindSite + "/" + one.id)
		documents += r.Documents
		if i == 0 || r.Rejected > worst.Rejected || r.Rejected == worst.Rejected && r.Verified < worst.Verified {
			worst = r
		}
	}
	worst.Documents = documents
	return worst
}

func (s *Server) cdnAnswer(ctx context.Context, c cdn.CDN, err error) (*answer, error) {
	if err != nil {
		return nil, err
	}
	out, err := s.viewer().cdn(ctx, c)
	if err != nil {
		return nil, err
	}
	return &answer{ETag: etag(c.Revision), Body: CDNAnswer{out}}, nil
}

func (s *Server) listCDN(ctx context.Context, c *call, in *listDomainsInput) (*answer, error) {
	list, next, err := s.cdn.List(ctx, c.project, c.environment, in.Limit, in.Cursor)
	if err != nil {
		return nil, err
	}
	out := CDNList{CDNs: []CDN{}, NextCursor: next}
	view := s.viewer()
	for _, one := range list {
		shown, err := view.cdn(ctx, one)
		if err != nil {
			return nil, err
		}
		out.CDNs = append(out.CDNs, shown)
	}
	return &answer{Body: out}, nil
}

func (s *Server) configureCDN(ctx context.Context, c *call, in *configureCDNInput) (*answer, error) {
	spec, err := raw(in.Body.ReplaceCDN)
	if err != nil {
		return nil, err
	}
	if c.dryRun {
		return planAnswer(s.cdn.PlanConfigure(ctx, c.project, c.environment, in.Body.Name, spec, 0))
	}
	made, err := s.cdn.Configure(ctx, c.project, c.environment, in.Body.Name, spec, 0, c.cause)
	a, err := s.cdnAnswer(ctx, made, err)
	if err == nil {
		a.Location = infrastructure + "/cdn/" + url.PathEscape(made.Name)
	}
	return a, err
}

func (s *Server) getCDN(ctx context.Context, c *call, in *CDNPath) (*answer, error) {
	found, err := s.cdn.Get(ctx, c.project, c.environment, in.Name)
	return s.cdnAnswer(ctx, found, err)
}

func (s *Server) replaceCDN(ctx context.Context, c *call, in *replaceCDNInput) (*answer, error) {
	spec, err := raw(in.Body)
	if err != nil {
		return nil, err
	}
	if c.ifRevision == 0 { // "*": it must be there, in whatever revision
		found, err := s.cdn.Get(ctx, c.project, c.environment, in.Name)
		if err != nil {
			return nil, err
		}
		c.ifRevision = found.Revision
	}
	if c.dryRun {
		return planAnswer(s.cdn.PlanConfigure(ctx, c.project, c.environment, in.Name, spec, c.ifRevision))
	}
	made, err := s.cdn.Configure(ctx, c.project, c.environment, in.Name, spec, c.ifRevision, c.cause)
	return s.cdnAnswer(ctx, made, err)
}

func (s *Server) deleteCDN(ctx context.Context, c *call, in *deleteCDNInput) (*answer, error) {
	if c.dryRun {
		return planAnswer(s.cdn.PlanDelete(ctx, c.project, c.environment, in.Name, c.ifRevision))
	}
	return &answer{}, s.cdn.Delete(ctx, c.project, c.environment, in.Name, c.ifRevision, c.cause)
}
