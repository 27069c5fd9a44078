package edgeconfig

import (
	"encoding/pem"
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"github.com/edgewright/edgewright/fault"
)

// Bounds of documents. The control plane's rooms have their own, tighter or
// equal; these are what an edge defends itself with.
const (
	maxHosts      = 100
	maxOrigins    = 100
	maxCacheRules = 500
	maxTTL        = 10 * 365 * 24 * 3600 // seconds
	maxTimeoutMS  = 24 * 3600 * 1000
	maxECHKeys    = 8
	maxNames      = 100 * 64 // certificate names, wildcards spread over claimed names
)

// checker gathers faults with their pointers.
type checker struct{ faults []fault.Field }

func (c *checker) add(pointer, format string, args ...any) {
	c.faults = append(c.faults, fault.Field{Pointer: pointer, Detail: fmt.Sprintf(format, args...)})
}

func (c *checker) err() error { return fault.InvalidFields(c.faults) }

// ValidateSite checks a site as both the control plane, before publishing, and
// the edge, before applying, require it. The error is fault.Invalid with
// pointers into the site.
func ValidateSite(s *Site) error {
	var c checker
	if s.ID == "" {
		c.add("/id", "the site has no ID")
	}
	if s.Project == "" {
		c.add("/project_id", "the site belongs to no project")
	}
	if len(s.Hosts) == 0 || len(s.Hosts) > maxHosts {
		c.add("/hosts", "%d hosts: a site has 1 to %d", len(s.Hosts), maxHosts)
	}
	for i, h := range s.Hosts {
		if !validHost(h, true) {
			c.add(fmt.Sprintf("/hosts/%d", i), "%q is no lower-case host name in A-labels", h)
		}
	}
	if h := s.HSTS; h != nil && (h.MaxAge < 0 || h.MaxAge > maxTTL) {
		c.add("/hsts/max_age", "%d seconds are out of range", h.MaxAge)
	}
	c.tls("/tls", s.TLS)
	c.pool("/pool", &s.Pool)
	if len(s.CacheRules) > maxCacheRules {
		c.add("/cache_rules", "%d rules are more than %d", len(s.CacheRules), maxCacheRules)
	}
	for i := range s.CacheRules {
		c.rule(fmt.Sprintf("/cache_rules/%d", i), &s.CacheRules[i])
	}
	if s.Limits.MaxBodyBytes < 0 {
		c.add("/limits/max_body_bytes", "a bound below zero")
	}
	return c.err()
}

func (c *checker) tls(at string, t *TLS) {
	if t == nil {
		return
	}
	switch t.Policy {
	case "", PolicyIntermediate, PolicyModern:
	default:
		c.add(at+"/policy", "%q is no policy this edge knows", t.Policy)
	}
	switch {
	case t.MinVersion != "" && t.MinVersion != "1.2" && t.MinVersion != "1.3":
		c.add(at+"/min_version", "%q is neither 1.2 nor 1.3", t.MinVersion)
	case t.MinVersion == "1.2" && t.Policy == PolicyModern:
		c.add(at+"/min_version", "the policy modern is TLS 1.3 alone")
	}
}

func (c *checker) pool(at string, p *Pool) {
	if p.ID == "" {
		c.add(at+"/id", "the pool has no ID")
	}
	if len(p.Origins) == 0 || len(p.Origins) > maxOrigins {
		c.add(at+"/origins", "%d origins: a pool has 1 to %d, and a site that shall serve nothing is deleted", len(p.Origins), maxOrigins)
	}
	seen := map[string]bool{}
	for i := range p.Origins {
		o, here := &p.Origins[i], fmt.Sprintf("%s/origins/%d", at, i)
		if o.ID == "" || seen[o.ID] {
			c.add(here+"/id", "the ID %q is empty or taken", o.ID)
		}
		seen[o.ID] = true
		c.originURL(here+"/url", o.URL)
		if o.HostHeader != "" && !validAuthority(o.HostHeader) {
			c.add(here+"/host_header", "%q is no host", o.HostHeader)
		}
		if o.ServerName != "" && !validHost(o.ServerName, false) {
			c.add(here+"/server_name", "%q is no host name", o.ServerName)
		}
		if o.HTTP2 != "" && o.HTTP2 != "prior_knowledge" {
			c.add(here+"/http2", "%q is neither empty nor prior_knowledge", o.HTTP2)
		}
		if o.RootCAPEM != "" {
			if block, _ := pem.Decode([]byte(o.RootCAPEM)); block == nil || block.Type != "CERTIFICATE" {
				c.add(here+"/root_ca_pem", "no PEM certificate")
			}
		}
	}
	for name, ms := range map[string]int{"connect_timeout_ms": p.ConnectTimeoutMS, "response_timeout_ms": p.ResponseTimeoutMS, "idle_timeout_ms": p.IdleTimeoutMS} {
		if ms < 0 || ms > maxTimeoutMS {
			c.add(at+"/"+name, "%d ms are out of range", ms)
		}
	}
}

func (c *checker) originURL(at, text string) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		c.add(at, "not a URL: %v", err)
	case u.Scheme != "http" && u.Scheme != "https":
		c.add(at, "the scheme %q is neither http nor https", u.Scheme)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" || u.Opaque != "":
		c.add(at, "an origin is scheme, host and port alone")
	case !validAuthority(u.Host):
		c.add(at, "%q is no host", u.Host)
	}
}

func (c *checker) rule(at string, r *CacheRule) {
	if r.Pattern == "" || r.Pattern[0] != '/' || len(r.Pattern) > 1024 {
		c.add(at+"/pattern", "%q is no pattern that begins with /", r.Pattern)
	}
	switch r.Action {
	case CacheByHeaders, CacheBypass:
	case CacheOverride:
		if r.EdgeTTL < 1 || r.EdgeTTL > maxTTL {
			c.add(at+"/edge_ttl", "%d seconds are out of range", r.EdgeTTL)
		}
	default:
		c.add(at+"/action", "%q is no action this edge knows", r.Action)
	}
	if b := r.BrowserTTL; b != nil && (*b < 0 || *b > maxTTL) {
		c.add(at+"/browser_ttl", "%d seconds are out of range", *b)
	}
	switch r.Key.Query.Mode {
	case "", "all", "none", "include", "exclude":
	default:
		c.add(at+"/cache_key/query/mode", "%q is no mode this edge knows", r.Key.Query.Mode)
	}
}

// ValidateCertificate checks a certificate's form. That chain and key belong
// together is checked by the edge when it opens the key.
func ValidateCertificate(crt *Certificate) error {
	var c checker
	if crt.ID == "" {
		c.add("/id", "the certificate has no ID")
	}
	if len(crt.Names) == 0 || len(crt.Names) > maxNames {
		c.add("/names", "%d names: a certificate has 1 to %d", len(crt.Names), maxNames)
	}
	for i, name := range crt.Names {
		if _, err := netip.ParseAddr(name); err != nil && !validHost(name, true) {
			c.add(fmt.Sprintf("/names/%d", i), "%q is neither a host name nor an address", name)
		}
	}
	if block, _ := pem.Decode([]byte(crt.ChainPEM)); block == nil || block.Type != "CERTIFICATE" {
		c.add("/chain_pem", "no PEM certificate")
	}
	if crt.KeyGroup == "" {
		c.add("/key_group", "no group is named")
	}
	if len(crt.KeySealed) == 0 {
		c.add("/key_sealed", "there is no key")
	}
	return c.err()
}

// ValidateChallenge checks an ACME HTTP-01 answer (RFC 8555 section 8.3).
func ValidateChallenge(ch *Challenge) error {
	var c checker
	if _, err := netip.ParseAddr(ch.Host); err != nil && !validHost(ch.Host, false) {
		c.add("/host", "%q is neither a host name nor an address", ch.Host)
	}
	if !base64url(ch.Token) {
		c.add("/token", "a token is base64url")
	}
	token, thumbprint, ok := strings.Cut(ch.KeyAuthorization, ".")
	if !ok || token != ch.Token || !base64url(thumbprint) {
		c.add("/key_authorization", "it is not the token, a dot and a key's thumbprint")
	}
	if ch.ExpiresAt <= 0 {
		c.add("/expires_at", "a challenge must end")
	}
	return c.err()
}

// ValidateHandshake checks the form of what the fleet shares.
func ValidateHandshake(h *Handshake) error {
	var c checker
	if h.KeyGroup == "" {
		c.add("/key_group", "no group is named")
	}
	if h.Hour <= 0 {
		c.add("/hour", "%d is no hour", h.Hour)
	}
	if len(h.Tickets) == 0 {
		c.add("/tickets", "there is no secret")
	}
	if len(h.ECH) > maxECHKeys {
		c.add("/ech", "%d keys are more than %d", len(h.ECH), maxECHKeys)
	}
	for i, k := range h.ECH {
		if len(k.Config) == 0 || len(k.KeySealed) == 0 {
			c.add(fmt.Sprintf("/ech/%d", i), "a key is its configuration and its private half")
		}
	}
	return c.err()
}

// ValidatePlatform checks the platform's settings.
func ValidatePlatform(p *Platform) error {
	var c checker
	if p.Domain != "" && !validHost(p.Domain, false) {
		c.add("/domain", "%q is no host name", p.Domain)
	}
	for i, r := range p.OriginRanges {
		if _, err := netip.ParsePrefix(r); err != nil {
			c.add(fmt.Sprintf("/origin_ranges/%d", i), "%q is no CIDR range", r)
		}
	}
	if p.HTTPSPort < 0 || p.HTTPSPort > 65535 {
		c.add("/https_port", "%d is no port", p.HTTPSPort)
	}
	for i, h := range p.NameServers {
		if !validHost(h, false) {
			c.add(fmt.Sprintf("/name_servers/%d", i), "%q is no host name", h)
		}
	}
	for i, r := range p.Regions {
		if r.Name == "" || !(r.Latitude >= -90 && r.Latitude <= 90 && r.Longitude >= -180 && r.Longitude <= 180) {
			c.add(fmt.Sprintf("/regions/%d", i), "%q at %v, %v is no region: a name, and degrees of latitude (-90 to 90) and longitude (-180 to 180)", r.Name, r.Latitude, r.Longitude)
		}
	}
	return c.err()
}

// validHost accepts lower-case letters, digits, hyphens and underscores in
// labels of 1 to 63 bytes, 253 in all (RFC 1035 section 2.3.4; underscores are
// met in the field), and with wildcard a first label "*".
func validHost(host string, wildcard bool) bool {
	if len(host) > 253 {
		return false
	}
	if rest, ok := strings.CutPrefix(host, "*."); ok {
		if !wildcard {
			return false
		}
		host = rest
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, b := range []byte(label) {
			if (b < 'a' || b > 'z') && (b < '0' || b > '9') && b != '-' && b != '_' {
				return false
			}
		}
	}
	return true
}

// validAuthority accepts a host name or address with an optional port.
func validAuthority(s string) bool {
	if _, err := netip.ParseAddrPort(s); err == nil {
		return true
	}
	if _, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return true
	}
	host, port, hasPort := strings.Cut(s, ":")
	if hasPort {
		if port == "" || len(port) > 5 || strings.Trim(port, "0123456789") != "" {
			return false
		}
	}
	return validHost(strings.ToLower(host), false)
}

func base64url(s string) bool {
	if s == "" || len(s) > 512 {
		return false
	}
	for _, b := range []byte(s) {
		if (b < 'a' || b > 'z') && (b < 'A' || b > 'Z') && (b < '0' || b > '9') && b != '-' && b != '_' {
			return false
		}
	}
	return true
}
