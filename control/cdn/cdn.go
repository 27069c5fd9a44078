// Package cdn is the room of CDN configurations: where the content of domains
// comes from (origins) and how it is cached (rules).
//
// Types: Spec (origins, cache rules, timeouts), CDN (the resource). A domain
// refers to a CDN configuration by name, within its project and environment;
// many domains may share one. The name of the one that domains use when they
// name none is "default".
//
// Use cases: Service.Configure (create or replace by name), Get, List, Delete
// (refused while a domain uses it). Each has a Plan form that changes nothing.
//
// Interfaces needed: resource.Store; Users (which domains use a configuration).
//
// Phases of a change: decode strictly -> defaults -> Validate -> the origins
// pass the operator's address policy (netguard) -> plan -> commit. There is no
// reconciler: control/compile turns the spec into edgeconfig documents.
package cdn

import (
	"encoding/json"

	"github.com/edgewright/edgewright/control/resource"
)

// Kind is the kind of CDN configurations; their IDs begin with "cdn_".
const Kind resource.Kind = "cdn"

// DefaultName is the configuration that a domain uses when it names none.
const DefaultName = "default"

// Spec is a CDN configuration as users write it.
type Spec struct {
	Origins    []Origin `json:"origins"`     // at least one; tried in order
	CacheRules []Rule   `json:"cache_rules"` // first match wins; none: what responses' headers say
	Timeouts   Timeouts `json:"timeouts"`
	// MaxBodyBytes bounds request bodies; 0: no bound.
	MaxBodyBytes int64 `json:"max_body_bytes"`
}

// Origin is one server that content comes from.
type Origin struct {
	Name       string `json:"name"`                  // unique in the configuration; default "origin", "origin-2", ...
	URL        string `json:"url"`                   // http or https, host[:port]
	HostHeader string `json:"host_header,omitempty"` // Host sent to the origin; "": the client's
	ServerName string `json:"server_name,omitempty"` // TLS name expected; "": the URL's host
	HTTP2      string `json:"http2,omitempty"`       // "" by ALPN, "prior_knowledge" for h2c (gRPC without TLS)
	SkipVerify bool   `json:"skip_verify,omitempty"` // accept any certificate of the origin
	RootCAPEM  string `json:"root_ca_pem,omitempty"` // accept certificates of these CAs instead of the system's
}

// Action is what a cache rule does with the requests it matches.
type Action string

// The actions of a rule. A rule with a ttl and no action caches; one with
// neither follows the headers.
const (
	ActionHeaders Action = "headers" // follow Cache-Control of the response (RFC 9111)
	ActionCache   Action = "cache"   // keep for ttl seconds what RFC 9111 lets a shared cache keep
	ActionBypass  Action = "bypass"  // never look up, never store
)

// Rule is the cache policy of the paths it matches.
type Rule struct {
	// Pattern is a glob on the path: "*" matches a run within a segment, "**"
	// any run, "?" one character. A trailing "/*" matches everything below, and
	// a pattern that does not begin with "/" matches at any depth ("*.css").
	Pattern    string   `json:"pattern"`
	TTL        int      `json:"ttl,omitempty"` // seconds at the edge
	Action     Action   `json:"action,omitempty"`
	BrowserTTL *int     `json:"browser_ttl,omitempty"` // seconds sent to browsers; absent: the origin's word
	CacheKey   CacheKey `json:"cache_key"`
}

// CacheKey says which parts of a request distinguish stored responses, beyond
// scheme, host and path.
type CacheKey struct {
	Query   Query    `json:"query"`
	Headers []string `json:"headers,omitempty"`
	Cookies []string `json:"cookies,omitempty"`
}

// Query selects query parameters of the key. Those left out are not sent to
// the origin either.
type Query struct {
	Mode  string   `json:"mode,omitempty"` // all (default), none, include, exclude
	Names []string `json:"names,omitempty"`
}

// Timeouts bound the wait for an origin, in milliseconds.
type Timeouts struct {
	ConnectMS  int `json:"connect_ms"`  // to connect and finish TLS; default 5,000
	ResponseMS int `json:"response_ms"` // to the response's headers; default 30,000
	IdleMS     int `json:"idle_ms"`     // between two reads of a body; 0: no bound
}

// Status is empty: a configuration has no state of its own, its domains have.
type Status struct{}

// CDN is a CDN configuration as stored.
type CDN = resource.Object[Spec, Status]

// Decode turns a stored resource into a CDN.
func Decode(r resource.Resource) (CDN, error) { return resource.Decode[Spec, Status](r) }

// DefaultSpec is the configuration made for a domain that names its origin:
// one origin, no rules, so that the origin's headers decide.
func DefaultSpec(originURL string) Spec {
	return Spec{Origins: []Origin{{URL: originURL}}}
}

// Encode returns the stored form of a spec.
func (s Spec) Encode() json.RawMessage {
	b, err := json.Marshal(s)
	if err != nil {
		panic("cdn: a spec holds only what JSON can hold: " + err.Error())
	}
	return b
}
