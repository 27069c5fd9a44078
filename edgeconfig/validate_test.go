package edgeconfig

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/edgewright/edgewright/fault"
)

func validSite() Site {
	return Site{
		ID: "dom_1", Project: "prj", Environment: "production", Hosts: []string{"shop.example.com", "*.example.org"},
		Pool:       Pool{ID: "cdn_1", Origins: []Origin{{ID: "o1", URL: "https://origin.example.net:8443"}, {ID: "o2", URL: "http://[2001:db8::1]:80/"}}},
		CacheRules: []CacheRule{{Pattern: "/**", Action: CacheOverride, EdgeTTL: 60}},
	}
}

func TestValidateSite(t *testing.T) {
	s := validSite()
	if err := ValidateSite(&s); err != nil {
		t.Fatalf("a valid site is refused: %v", err)
	}
	negative := -1
	for _, c := range []struct {
		pointer string
		spoil   func(s *Site)
	}{
		{"/id", func(s *Site) { s.ID = "" }},
		{"/project_id", func(s *Site) { s.Project = "" }},
		{"/hosts", func(s *Site) { s.Hosts = nil }},
		{"/hosts/0", func(s *Site) { s.Hosts[0] = "Shop.example.com" }},
		{"/hosts/0", func(s *Site) { s.Hosts[0] = "shop.example.com." }},
		{"/hosts/1", func(s *Site) { s.Hosts[1] = "a.*.example.org" }},
		{"/hosts/0", func(s *Site) { s.Hosts[0] = "bücher.example" }},
		{"/hosts/0", func(s *Site) { s.Hosts[0] = strings.Repeat("a", 64) + ".example" }},
		{"/hosts/0", func(s *Site) { s.Hosts[0] = "shop.example.com:80" }},
		{"/hsts/max_age", func(s *Site) { s.HSTS = &HSTS{MaxAge: -1} }},
		{"/pool/id", func(s *Site) { s.Pool.ID = "" }},
		{"/pool/origins", func(s *Site) { s.Pool.Origins = nil }},
		{"/pool/origins/1/id", func(s *Site) { s.Pool.Origins[1].ID = "o1" }},
		{"/pool/origins/0/url", func(s *Site) { s.Pool.Origins[0].URL = "ftp://origin.example.net" }},
		{"/pool/origins/0/url", func(s *Site) { s.Pool.Origins[0].URL = "http://user@origin.example.net" }},
		{"/pool/origins/0/url", func(s *Site) { s.Pool.Origins[0].URL = "http://origin.example.net/path" }},
		{"/pool/origins/0/url", func(s *Site) { s.Pool.Origins[0].URL = "http://" }},
		{"/pool/origins/0/url", func(s *Site) { s.Pool.Origins[0].URL = "http://a b" }},
		{"/pool/origins/0/host_header", func(s *Site) { s.Pool.Origins[0].HostHeader = "a\r\nb" }},
		{"/pool/origins/0/server_name", func(s *Site) { s.Pool.Origins[0].ServerName = "*.x" }},
		{"/pool/origins/0/http2", func(s *Site) { s.Pool.Origins[0].HTTP2 = "yes" }},
		{"/pool/origins/0/root_ca_pem", func(s *Site) { s.Pool.Origins[0].RootCAPEM = "x" }},
		{"/pool/connect_timeout_ms", func(s *Site) { s.Pool.ConnectTimeoutMS = -1 }},
		{"/cache_rules/0/pattern", func(s *Site) { s.CacheRules[0].Pattern = "*.css" }},
		{"/cache_rules/0/action", func(s *Site) { s.CacheRules[0].Action = "keep" }},
		{"/cache_rules/0/edge_ttl", func(s *Site) { s.CacheRules[0].EdgeTTL = 0 }},
		{"/cache_rules/0/browser_ttl", func(s *Site) { s.CacheRules[0].BrowserTTL = &negative }},
		{"/cache_rules/0/cache_key/query/mode", func(s *Site) { s.CacheRules[0].Key.Query.Mode = "some" }},
		{"/limits/max_body_bytes", func(s *Site) { s.Limits.MaxBodyBytes = -1 }},
	} {
		s := validSite()
		c.spoil(&s)
		expect(t, ValidateSite(&s), c.pointer)
	}
}

// expect wants exactly one fault, at pointer.
func expect(t *testing.T, err error, pointer string) {
	t.Helper()
	e, ok := err.(*fault.Error) //nolint:errorlint // what the function documents
	if !ok || e.Code != fault.Invalid || len(e.Fields) != 1 || e.Fields[0].Pointer != pointer {
		t.Errorf("want one fault at %s, got %v %+v", pointer, err, e)
	}
}

func TestValidateOthers(t *testing.T) {
	crt := Certificate{ID: "crt_1", Names: []string{"a.example.com", "192.0.2.1", "*.b.example.com"}, ChainPEM: "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n", KeyGroup: "g", KeySealed: []byte{1}}
	if err := ValidateCertificate(&crt); err != nil {
		t.Error(err)
	}
	bad := crt
	bad.Names = []string{"A"}
	expect(t, ValidateCertificate(&bad), "/names/0")
	bad = crt
	bad.ChainPEM = "x"
	expect(t, ValidateCertificate(&bad), "/chain_pem")
	bad = crt
	bad.KeySealed = nil
	expect(t, ValidateCertificate(&bad), "/key_sealed")

	ch := Challenge{Host: "a.example.com", Token: "abc-_1", KeyAuthorization: "abc-_1.thumb", ExpiresAt: 1}
	if err := ValidateChallenge(&ch); err != nil {
		t.Error(err)
	}
	badCh := ch
	badCh.Token = "a b"
	badCh.KeyAuthorization = "a b.thumb"
	expect(t, ValidateChallenge(&badCh), "/token")
	badCh = ch
	badCh.KeyAuthorization = "other.thumb"
	expect(t, ValidateChallenge(&badCh), "/key_authorization")
	badCh = ch
	badCh.ExpiresAt = 0
	expect(t, ValidateChallenge(&badCh), "/expires_at")

	if err := ValidatePlatform(&Platform{Domain: "edge.example", OriginRanges: []string{"10.0.0.0/8"}, HTTPSPort: 8443}); err != nil {
		t.Error(err)
	}
	expect(t, ValidatePlatform(&Platform{OriginRanges: []string{"10.0.0.0"}}), "/origin_ranges/0")
	expect(t, ValidatePlatform(&Platform{HTTPSPort: 70000}), "/https_port")
}

// FuzzValidateSite: whatever arrives, validation answers, and what it lets pass
// has hosts and origins that can be used.
func FuzzValidateSite(f *testing.F) {
	valid, err := json.Marshal(validSite())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(valid)
	f.Add([]byte(`{"hosts":["*."],"pool":{"origins":[{"url":"http://[::1"}]}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var s Site
		if json.Unmarshal(b, &s) != nil || ValidateSite(&s) != nil {
			return
		}
		for _, h := range s.Hosts {
			if h == "" || strings.ContainsAny(h, " /:\r\n") || h != strings.ToLower(h) {
				t.Errorf("host %q passed", h)
			}
		}
		for _, o := range s.Pool.Origins {
			if !strings.HasPrefix(strings.ToLower(o.URL), "http") || strings.ContainsAny(o.HostHeader, "\r\n ") {
				t.Errorf("origin %+v passed", o)
			}
		}
	})
}
