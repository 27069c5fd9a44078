package cdn_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/edgewright/edgewright/control/cdn"
	"github.com/edgewright/edgewright/control/compile"
	"github.com/edgewright/edgewright/control/domains"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/store/storetest"
	"github.com/edgewright/edgewright/fault"
	"github.com/edgewright/edgewright/netguard"
)

const root = `-----BEGIN CERTIFICATE-----
MIIBdzCCAR2gAwIBAgIBATAKBggqhkjOPQQDAjAXMRUwEwYDVQQDEwxPcmlnaW4g
-----END CERTIFICATE-----
`

func normalize(t *testing.T, policy *netguard.Policy, spec string) (cdn.Spec, error) {
	t.Helper()
	raw, err := cdn.Type(policy).Normalize("default", json.RawMessage(spec))
	if err != nil {
		return cdn.Spec{}, err
	}
	again, err := cdn.Type(policy).Normalize("default", raw)
	if err != nil || string(again) != string(raw) {
		t.Errorf("%s: not idempotent: %s, then %s, %v", spec, raw, again, err)
	}
	var s cdn.Spec
	if err := json.Unmarshal(raw, &s); err != nil {
		t.Fatal(err)
	}
	return s, nil
}

func TestDefaults(t *testing.T) {
	got, err := normalize(t, nil, `{"origins":[{"url":"HTTPS://Origin.Example.com:443/"},{"url":"http://bücher.example:8080","host_header":"Shop.Example.com:8443","server_name":"bücher.example."}],
		"cache_rules":[{"pattern":"*.css","ttl":3600},{"pattern":"/api/*","action":"bypass"},{"pattern":"/x","cache_key":{"query":{"mode":"all"},"headers":["Accept-Language","accept-language"]}}]}`)
	if err != nil {
		t.Fatal(err)
	}
	want := cdn.Spec{
		Origins: []cdn.Origin{
			{Name: "origin", URL: "https://origin.example.com"},
			{Name: "origin-2", URL: "http://xn--bcher-kva.example:8080", HostHeader: "shop.example.com:8443", ServerName: "xn--bcher-kva.example"},
		},
		CacheRules: []cdn.Rule{
			{Pattern: "*.css", TTL: 3600, Action: cdn.ActionCache},
			{Pattern: "/api/*", Action: cdn.ActionBypass},
			{Pattern: "/x", Action: cdn.ActionHeaders, CacheKey: cdn.CacheKey{Headers: []string{"accept-language"}}},
		},
		Timeouts: cdn.Timeouts{ConnectMS: 5000, ResponseMS: 30000},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestRefusals(t *testing.T) {
	origin := func(fields string) string { return `{"origins":[{` + fields + `}]}` }
	rule := func(fields string) string {
		return `{"origins":[{"url":"http://o.example.com"}],"cache_rules":[{` + fields + `}]}`
	}
	tests := []struct{ spec, pointer, says string }{
		{`{}`, "/origins", "no origin"},
		{`{"origins":[]}`, "/origins", "no origin"},
		{`{"origins":[` + strings.TrimSuffix(strings.Repeat(`{"url":"http://o.example.com"},`, 33), ",") + `]}`, "/origins", "more than 32"},
		{`{"orgins":[]}`, "/orgins", `did you mean "origins"?`},
		{`{"origins":[{"url":"http://a.example.com","name":"x"},{"url":"http://b.example.com","name":"x"}]}`, "/origins/1/name", "also the name of origin 1"},
		{origin(`"url":""`), "/origins/0/url", "missing"},
		{origin(`"url":"origin.example.com"`), "/origins/0/url", `write "https://origin.example.com"`},
		{origin(`"url":"ftp://origin.example.com"`), "/origins/0/url", "not a scheme"},
		{origin(`"url":"http://origin.example.com/app"`), "/origins/0/url", `"/app" is a path`},
		{origin(`"url":"http://origin.example.com?x=1"`), "/origins/0/url", "no query"},
		{origin(`"url":"http://origin.example.com#x"`), "/origins/0/url", "no fragment"},
		{origin(`"url":"http://user:secret@origin.example.com"`), "/origins/0/url", "user name or password"},
		{origin(`"url":"http://"`), "/origins/0/url", "no host"},
		{origin(`"url":"http://origin.example.com:99999"`), "/origins/0/url", "not a port"},
		{origin(`"url":"http://bad host"`), "/origins/0/url", "cannot be read"},
		{origin(`"url":"http://a..b"`), "/origins/0/url", "not a host name"},
		{origin(`"url":"http://-a.example.com"`), "/origins/0/url", "not a host name"},
		{origin(`"url":"http://127.0.0.1:3000"`), "/origins/0/url", "--allow-origin-ranges 127.0.0.1/32"},
		{origin(`"url":"http://[::1]:3000"`), "/origins/0/url", "--allow-origin-ranges ::1/128"},
		{origin(`"url":"http://10.1.2.3"`), "/origins/0/url", "--allow-origin-ranges 10.1.2.3/32"},
		{origin(`"url":"http://localhost:3000"`), "/origins/0/url", "loopback"},
		{origin(`"url":"http://169.254.169.254"`), "/origins/0/url", "metadata"},
		{origin(`"url":"http://2130706433"`), "/origins/0/url", "unusual form"},
		{origin(`"url":"http://[fe80::1%25eth0]"`), "/origins/0/url", "interface"},
		{origin(`"url":"http://o.example.com","host_header":"http://x"`), "/origins/0/host_header", "without scheme"},
		{origin(`"url":"http://o.example.com","host_header":"a b"`), "/origins/0/host_header", "not a host"},
		{origin(`"url":"http://o.example.com","host_header":"x:0"`), "/origins/0/host_header", "not a host"},
		{origin(`"url":"https://o.example.com","server_name":"a/b"`), "/origins/0/server_name", "not a host name"},
		{origin(`"url":"https://o.example.com","http2":"prior_knowledge"`), "/origins/0/http2", "without TLS"},
		{origin(`"url":"http://o.example.com","http2":"yes"`), "/origins/0/http2", "not known"},
		{origin(`"url":"https://o.example.com","root_ca_pem":"hello"`), "/origins/0/root_ca_pem", "no certificate"},
		{origin(`"url":"https://o.example.com","root_ca_pem":` + quote(root) + ``), "/origins/0/root_ca_pem", "cannot be read"},
		{origin(`"url":"https://o.example.com","root_ca_pem":` + quote("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")), "/origins/0/root_ca_pem", "disclosed"},
		{origin(`"url":"https://o.example.com","skip_verify":true,"root_ca_pem":"x"`), "/origins/0/skip_verify", "needs no CA"},
		{origin(`"url":"http://o.example.com","name":"` + strings.Repeat("x", 64) + `"`), "/origins/0/name", "at most 63"},
		{rule(`"ttl":60`), "/cache_rules/0/pattern", "missing"},
		{rule(`"pattern":"img/*"`), "/cache_rules/0/pattern", `write "/img/*"`},
		{rule(`"pattern":"https://shop.example.com/img/*"`), "/cache_rules/0/pattern", `write "/img/*"`},
		{rule(`"pattern":"/a b"`), "/cache_rules/0/pattern", "%20"},
		{rule(`"pattern":"/a#b"`), "/cache_rules/0/pattern", "percent-encoded"},
		{rule(`"pattern":"/***"`), "/cache_rules/0/pattern", `write "**"`},
		{rule(`"pattern":"/a/../b"`), "/cache_rules/0/pattern", "never matches"},
		{rule(`"pattern":"/a//b"`), "/cache_rules/0/pattern", "never matches"},
		{rule(`"pattern":"/` + strings.Repeat("*a", 17) + `"`), "/cache_rules/0/pattern", "use fewer"},
		{rule(`"pattern":"/` + strings.Repeat("a", 1000) + `"`), "/cache_rules/0/pattern", "shorten it"},
		{rule(`"pattern":"/a","ttl":-1`), "/cache_rules/0/ttl", "out of range"},
		{rule(`"pattern":"/a","ttl":999999999`), "/cache_rules/0/ttl", "out of range"},
		{rule(`"pattern":"/a","ttl":"1h"`), "/cache_rules/0/ttl", "whole number"},
		{rule(`"pattern":"/a","action":"cache"`), "/cache_rules/0/ttl", "needs a ttl"},
		{rule(`"pattern":"/a","action":"bypass","ttl":5`), "/cache_rules/0/ttl", "takes no ttl"},
		{rule(`"pattern":"/a","action":"store"`), "/cache_rules/0/action", "not an action"},
		{rule(`"pattern":"/a","browser_ttl":-1`), "/cache_rules/0/browser_ttl", "out of range"},
		{rule(`"pattern":"/a","action":"bypass","cache_key":{"headers":["accept"]}`), "/cache_rules/0/cache_key", "no key"},
		{rule(`"pattern":"/a","cache_key":{"query":{"mode":"some"}}`), "/cache_rules/0/cache_key/query/mode", "not a mode"},
		{rule(`"pattern":"/a","cache_key":{"query":{"mode":"include"}}`), "/cache_rules/0/cache_key/query/names", "needs names"},
		{rule(`"pattern":"/a","cache_key":{"query":{"names":["x"]}}`), "/cache_rules/0/cache_key/query/names", "mean nothing"},
		{rule(`"pattern":"/a","cache_key":{"query":{"mode":"exclude","names":["a=b"]}}`), "/cache_rules/0/cache_key/query/names/0", "not a parameter"},
		{rule(`"pattern":"/a","cache_key":{"headers":["Cookie"]}`), "/cache_rules/0/cache_key/headers/0", `under "cookies"`},
		{rule(`"pattern":"/a","cache_key":{"headers":["a b"]}`), "/cache_rules/0/cache_key/headers/0", "not a header"},
		{rule(`"pattern":"/a","cache_key":{"headers":["user-agent"]}`), "/cache_rules/0/cache_key/headers/0", "cannot be part"},
		{rule(`"pattern":"/a","cache_key":{"cookies":["a=b"]}`), "/cache_rules/0/cache_key/cookies/0", "not a cookie"},
		{`{"origins":[{"url":"http://o.example.com"}],"cache_rules":[{"pattern":"*"},{"pattern":"/**"}]}`, "/cache_rules/1/pattern", "never reached"},
		{`{"origins":[{"url":"http://o.example.com"}],"timeouts":{"connect_ms":-1}}`, "/timeouts/connect_ms", "out of range"},
		{`{"origins":[{"url":"http://o.example.com"}],"max_body_bytes":-1}`, "/max_body_bytes", "not negative"},
	}
	for _, tt := range tests {
		_, err := normalize(t, nil, tt.spec)
		var f *fault.Error
		if !errors.As(err, &f) || f.Code != fault.Invalid {
			t.Errorf("%s: %v", tt.spec, err)
			continue
		}
		found := false
		for _, field := range f.Fields {
			found = found || field.Pointer == tt.pointer && strings.Contains(field.Detail+": "+field.Fix, tt.says) && field.Fix != ""
		}
		if !found {
			t.Errorf("%s:\n got %+v\nwant %s at %s", tt.spec, f.Fields, tt.says, tt.pointer)
		}
	}
	if _, err := normalize(t, netguard.AllowAll(), origin(`"url":"http://localhost:3000"`)); err != nil {
		t.Errorf("localhost where all is allowed: %v", err)
	}
	for _, name := range []string{"", "Upper", "a b", "a/b", strings.Repeat("a", 254)} {
		if _, err := cdn.Type(nil).Normalize(name, json.RawMessage(origin(`"url":"http://o.example.com"`))); !fault.Is(err, fault.Invalid) {
			t.Errorf("name %q: %v", name, err)
		}
	}
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func TestGlob(t *testing.T) {
	for pattern, want := range map[string]string{
		"*": "/**", "**": "/**", "/*": "/**", "/**": "/**", "/img/*": "/img/**", "/img/**": "/img/**", "*.css": "/**.css", "**.css": "/**.css",
		"**/img/*": "/**/img/**", "/a/*.js": "/a/*.js", "/a/?.js": "/a/?.js", "/a": "/a", "/": "/",
	} {
		if got := (cdn.Rule{Pattern: pattern}).Glob(); got != want {
			t.Errorf("%s -> %s, want %s", pattern, got, want)
		}
	}
}

func TestService(t *testing.T) {
	db := storetest.SQLite(t)
	svc := cdn.New(db, nil, domains.Users{Store: db})
	cause := resource.Cause{Actor: "user usr_test", Via: "test"}
	const project, env = "alpha", "production"
	spec := func(url string) json.RawMessage { return cdn.DefaultSpec(url).Encode() }

	if _, err := svc.Get(t.Context(), project, env, ""); !fault.Is(err, fault.NotFound) {
		t.Errorf("before: %v", err)
	}
	plan, err := svc.PlanConfigure(t.Context(), project, env, "", spec("http://a.example.com"), 0)
	if err != nil || len(plan.Actions) != 1 || plan.Actions[0].Op != resource.Create || plan.Actions[0].Name != "default" {
		t.Fatalf("plan %+v, %v", plan, err)
	}
	if _, err := svc.Configure(t.Context(), project, env, "", spec("http://a.example.com"), 3, cause); !fault.Is(err, fault.NotFound) {
		t.Errorf("replacing what is not there: %v", err)
	}
	made, err := svc.Configure(t.Context(), project, env, "", spec("http://a.example.com"), 0, cause)
	if err != nil || made.Name != "default" || !strings.HasPrefix(made.ID, "cdn_") {
		t.Fatalf("made %+v, %v", made, err)
	}
	same, err := svc.Configure(t.Context(), project, env, "Default", spec("http://A.example.com:80/"), made.Revision, cause)
	if err != nil || same.Revision != made.Revision {
		t.Errorf("the same again made revision %d of %d, %v", same.Revision, made.Revision, err)
	}
	next, err := svc.Configure(t.Context(), project, env, "", spec("http://b.example.com"), made.Revision, cause)
	if err != nil || next.ID != made.ID || next.Revision <= made.Revision || next.Spec.Origins[0].URL != "http://b.example.com" {
		t.Errorf("replaced: %+v, %v", next, err)
	}
	if _, err := svc.Configure(t.Context(), project, env, "", spec("http://c.example.com"), made.Revision, cause); !fault.Is(err, fault.Stale) {
		t.Errorf("with an old revision: %v", err)
	}
	if _, err := svc.Get(t.Context(), "beta", env, ""); !fault.Is(err, fault.NotFound) {
		t.Errorf("another project sees it: %v", err)
	}
	plan, err = svc.PlanConfigure(t.Context(), project, env, "", json.RawMessage(`{"origins":[{"url":"https://a.example.com","skip_verify":true},{"url":"http://b.example.com"}],"cache_rules":[{"pattern":"*"},{"pattern":"/x"}]}`), 0)
	if err != nil || len(plan.Warnings) != 3 {
		t.Errorf("warnings %q, %v", plan.Warnings, err)
	}

	// Used: refused, naming who.
	for i := range 7 {
		d := resource.NewPlan(project, env)
		name := fmt.Sprintf("d%d.example.com", i)
		d.Create(domains.Type(), project, env, name, json.RawMessage(fmt.Sprintf(`{"domain":%q,"cdn":"default"}`, name)))
		if _, err := db.Commit(t.Context(), d.Commit(cause)); err != nil {
			t.Fatal(err)
		}
	}
	if err := svc.Delete(t.Context(), project, env, "", 0, cause); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "d0.example.com, d1.example.com, d2.example.com, d3.example.com, d4.example.com and more") {
		t.Errorf("deleting one in use: %v", err)
	}
	other, err := svc.Configure(t.Context(), project, env, "other", spec("http://a.example.com"), 0, cause)
	if err != nil {
		t.Fatal(err)
	}
	list, cursor, err := svc.List(t.Context(), project, env, 10, "")
	if err != nil || len(list) != 2 || cursor != "" {
		t.Errorf("list %v, %q, %v", list, cursor, err)
	}
	if err := svc.Delete(t.Context(), project, env, "other", other.Revision+1, cause); !fault.Is(err, fault.Stale) {
		t.Errorf("deleting with an old revision: %v", err)
	}
	if err := svc.Delete(t.Context(), project, env, "other", other.Revision, cause); err != nil {
		t.Error(err)
	}
	if there, err := svc.Exists(t.Context(), project, env, "other"); there || err != nil {
		t.Errorf("after deletion: %v, %v", there, err)
	}
}

// Whatever is accepted here, edges accept: invalid configuration is refused at
// the API, never met by an edge.
func FuzzNormalize(f *testing.F) {
	for _, s := range []string{
		`{"origins":[{"url":"https://o.example.com:8443","host_header":"x.example","server_name":"y.example"}],"cache_rules":[{"pattern":"*.css","ttl":60,"cache_key":{"query":{"mode":"include","names":["v"]}}}]}`,
		`{"origins":[{"url":"http://[::1]:3000"},{"url":"http://bücher.example"}],"timeouts":{"connect_ms":1},"max_body_bytes":5}`,
		`{"origins":[{"url":"http://a_b.example","host_header":"[::1]:80","name":"ö"}],"cache_rules":[{"pattern":"/%20/*","browser_ttl":0}]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, spec []byte) {
		raw, err := cdn.Type(netguard.AllowAll()).Normalize("default", spec)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Fatalf("%q: %v", spec, err)
			}
			return
		}
		c, err := cdn.Decode(resource.Resource{Meta: resource.Meta{ID: "cdn_1"}, Spec: raw})
		if err != nil {
			t.Fatal(err)
		}
		d := domains.Domain{Meta: resource.Meta{ID: "dom_1", Project: "p", Environment: "e"}, Spec: domains.Spec{Domain: "shop.example.com"}}
		if _, err := compile.Site(d, c); err != nil {
			t.Fatalf("accepted %s, but edges refuse it: %v", raw, err)
		}
		again, err := cdn.Type(netguard.AllowAll()).Normalize("default", raw)
		if err != nil || string(again) != string(raw) {
			t.Fatalf("not idempotent: %s, then %s, %v", raw, again, err)
		}
	})
}
