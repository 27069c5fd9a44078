package compile

import (
	"fmt"

	"github.com/edgewright/edgewright/control/cdn"
	"github.com/edgewright/edgewright/control/domains"
	"github.com/edgewright/edgewright/edgeconfig"
)

// Site is what edges need to answer for a domain. The result is validated: what
// an edge would refuse is an error here.
func Site(d domains.Domain, c cdn.CDN) (edgeconfig.Site, error) {
	s := edgeconfig.Site{
		ID: d.ID, Project: d.Project, Environment: d.Environment, Hosts: []string{d.Spec.Domain},
		RedirectHTTPS: d.Spec.RedirectHTTPS,
		Pool: edgeconfig.Pool{
			ID:               c.ID,
			ConnectTimeoutMS: c.Spec.Timeouts.ConnectMS, ResponseTimeoutMS: c.Spec.Timeouts.ResponseMS, IdleTimeoutMS: c.Spec.Timeouts.IdleMS,
		},
		Limits: edgeconfig.Limits{MaxBodyBytes: c.Spec.MaxBodyBytes},
	}
	if h := d.Spec.HSTS; h != nil {
		s.HSTS = &edgeconfig.HSTS{MaxAge: h.MaxAge, IncludeSubdomains: h.IncludeSubdomains, Preload: h.Preload}
	}
	if t := d.Spec.TLS; t != nil {
		s.TLS = &edgeconfig.TLS{Policy: t.Policy, MinVersion: t.MinVersion}
	}
	for _, o := range c.Spec.Origins {
		s.Pool.Origins = append(s.Pool.Origins, edgeconfig.Origin{
			ID: c.ID + "/" + o.Name, Name: o.Name, URL: o.URL, HostHeader: o.HostHeader, ServerName: o.ServerName,
			HTTP2: o.HTTP2, SkipVerify: o.SkipVerify, RootCAPEM: o.RootCAPEM,
		})
	}
	for i, r := range c.Spec.CacheRules {
		s.CacheRules = append(s.CacheRules, rule(i, r))
	}
	return s, edgeconfig.ValidateSite(&s)
}

// rule numbers rules from 1, as people count them.
func rule(i int, r cdn.Rule) edgeconfig.CacheRule {
	action := edgeconfig.CacheByHeaders
	switch r.Action {
	case cdn.ActionCache:
		action = edgeconfig.CacheOverride
	case cdn.ActionBypass:
		action = edgeconfig.CacheBypass
	}
	return edgeconfig.CacheRule{
		ID: fmt.Sprintf("rule-%d", i+1), Pattern: r.Glob(), Action: action, EdgeTTL: r.TTL, BrowserTTL: r.BrowserTTL,
		Key: edgeconfig.CacheKey{
			Query:   edgeconfig.QueryKey{Mode: r.CacheKey.Query.Mode, Names: r.CacheKey.Query.Names},
			Headers: r.CacheKey.Headers, Cookies: r.CacheKey.Cookies,
		},
	}
}
