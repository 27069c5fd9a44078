package compile

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/edgewright/edgewright/control/cdn"
	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/certificates/pki"
	"github.com/edgewright/edgewright/control/domains"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/secrets"
)

var update = flag.Bool("update", false, "write the golden files anew")

// chain stands for a chain; the compiler does not look inside.
const chain = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"

// vault is a Bundles whose failure the test sets.
type vault struct{ err error }

func (v *vault) Bundle(_ context.Context, id, generation string) (pki.Bundle, error) {
	return pki.Bundle{ChainPEM: chain, KeyDER: []byte("key of " + id + " " + generation)}, v.err
}

func put(kind resource.Kind, id, name string, spec, status any) resource.Event {
	return resource.Event{Type: resource.Put, Resource: made(kind, id, "prj", "production", name, spec, status)}
}

func gone(kind resource.Kind, id, name string) resource.Event {
	return resource.Event{Type: resource.Deleted, Resource: made(kind, id, "prj", "production", name, struct{}{}, struct{}{})}
}

func made(kind resource.Kind, id, project, environment, name string, spec, status any) resource.Resource {
	s, err := json.Marshal(spec)
	if err != nil {
		panic(err)
	}
	st, err := json.Marshal(status)
	if err != nil {
		panic(err)
	}
	return resource.Resource{Meta: resource.Meta{Kind: kind, ID: id, Project: project, Environment: environment, Name: name}, Spec: s, Status: st}
}

func domain(id, name, conf string) resource.Event {
	return put(domains.Kind, id, name, domains.Spec{Domain: name, CDN: conf, RedirectHTTPS: true}, nil)
}

func claim(id, name, domainID, project string) resource.Event {
	return resource.Event{Type: resource.Put, Resource: made(domains.KindClaim, id, "", "", name, domains.ClaimSpec{Domain: name, DomainID: domainID, Project: project, Environment: "production"}, nil)}
}

func conf(id, name, origin string) resource.Event {
	return put(cdn.Kind, id, name, cdn.Spec{Origins: []cdn.Origin{{Name: "origin", URL: origin}}}, nil)
}

func certificate(id string, generation string, names ...string) resource.Event {
	until := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	return put(certificates.Kind, id, names[0], certificates.Spec{Domains: names}, certificates.Status{Generation: generation, Names: names, Fingerprint: "ab", NotAfter: &until})
}

func newCompiler(v *vault) *Compiler {
	c := New(v, edgeconfig.Platform{HTTPSPort: 443})
	c.SetGroupKey("g1", [32]byte{1})
	return c
}

// keys renders outputs as "+site/x" and "-site/x".
func keys(outputs []Output) []string {
	var list []string
	for _, o := range outputs {
		sign := "+"
		if o.Deleted {
			sign = "-"
		}
		list = append(list, sign+o.Key)
	}
	return list
}

func TestGolden(t *testing.T) {
	ttl := 60
	full := cdn.Spec{
		Origins: []cdn.Origin{
			{Name: "a", URL: "https://a.example.net:8443", HostHeader: "app.example.net", ServerName: "a.internal"},
			{Name: "b", URL: "http://b.example.net", HTTP2: "prior_knowledge"},
		},
		CacheRules: []cdn.Rule{
			{Pattern: "*.css", Action: cdn.ActionCache, TTL: 3600, BrowserTTL: &ttl, CacheKey: cdn.CacheKey{Query: cdn.Query{Mode: "include", Names: []string{"v"}}, Headers: []string{"accept-language"}}},
			{Pattern: "/api/*", Action: cdn.ActionBypass},
			{Pattern: "*", Action: cdn.ActionHeaders},
		},
		Timeouts:     cdn.Timeouts{ConnectMS: 5000, ResponseMS: 30000},
		MaxBodyBytes: 1 << 20,
	}
	c := newCompiler(&vault{})
	c.Apply(put(cdn.Kind, "cdn_1", "full", full, nil))
	c.Apply(claim("clm_1", "shop.example.com", "dom_1", "prj"))
	outputs := c.Apply(put(domains.Kind, "dom_1", "shop.example.com", domains.Spec{Domain: "shop.example.com", CDN: "full", RedirectHTTPS: true, HSTS: &domains.HSTS{MaxAge: 300}}, nil))
	outputs = append(outputs, c.Apply(certificate("crt_1", "2", "shop.example.com"))...)
	for _, o := range outputs {
		var b bytes.Buffer
		if err := json.Indent(&b, o.Body, "", "  "); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join("testdata", strings.ReplaceAll(o.Key, "/", "-")+".golden.json")
		if *update {
			if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), b.String()); diff != "" {
			t.Errorf("%s (-want +got; go test ./control/compile -update writes it anew):\n%s", o.Key, diff)
		}
	}
}

// Each step says which documents change with an event, and no others.
func TestWhatChanges(t *testing.T) {
	v := &vault{}
	c := newCompiler(v)
	for _, step := range []struct {
		what  string
		event resource.Event
		want  []string
	}{
		{"a domain without claim is not served", domain("dom_1", "a.example.com", "main"), []string{"-site/dom_1"}},
		{"its configuration alone changes nothing for edges", conf("cdn_1", "main", "http://o.example.net"), []string{"-site/dom_1"}},
		{"the claim brings it", claim("clm_1", "a.example.com", "dom_1", "prj"), []string{"+site/dom_1"}},
		{"another domain of the same configuration", domain("dom_2", "b.example.com", "main"), []string{"-site/dom_2"}},
		{"and its claim", claim("clm_2", "b.example.com", "dom_2", "prj"), []string{"+site/dom_2"}},
		{"a configuration changes its domains", conf("cdn_1", "main", "http://p.example.net"), []string{"+site/dom_1", "+site/dom_2"}},
		{"one that nobody uses", conf("cdn_2", "other", "http://q.example.net"), nil},
		{"a domain moves to it", domain("dom_2", "b.example.com", "other"), []string{"+site/dom_2"}},
		{"the first configuration then concerns one", conf("cdn_1", "main", "http://o.example.net"), []string{"+site/dom_1"}},
		{"a certificate not yet issued", certificate("crt_1", "", "a.example.com"), []string{"-certificate/crt_1"}},
		{"issued", certificate("crt_1", "1", "a.example.com"), []string{"+certificate/crt_1"}},
		{"a wildcard serves the names claimed below it", certificate("crt_2", "1", "*.example.com"), []string{"+certificate/crt_2"}},
		{"a certificate for a name nobody claimed", certificate("crt_3", "1", "c.example.org"), []string{"-certificate/crt_3"}},
		{"another project claims that name: still not for this one", claim("clm_3", "c.example.org", "dom_9", "other"), []string{"-site/dom_9"}},
		{"a domain names a configuration that is not there: what edges have stays", domain("dom_1", "a.example.com", "missing"), nil},
		{"and comes back", domain("dom_1", "a.example.com", "main"), []string{"+site/dom_1"}},
		{"the claim goes: site and names go", gone(domains.KindClaim, "clm_1", "a.example.com"), []string{"-site/dom_1", "-certificate/crt_1"}},
		{"the domain goes", gone(domains.Kind, "dom_2", "b.example.com"), []string{"-site/dom_2"}},
		{"the certificate goes", gone(certificates.Kind, "crt_2", "*.example.com"), []string{"-certificate/crt_2"}},
	} {
		if diff := cmp.Diff(step.want, keys(c.Apply(step.event))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.what, diff)
		}
	}
}

// A name is in one document, whichever certificates could serve it.
// TestCauseOfASiteThatAClaimBrings: it is what somebody wished for, and not the
// claim, that a site's roll-out belongs to.
func TestCauseOfASiteThatAClaimBrings(t *testing.T) {
	at := func(e resource.Event, revision int64) resource.Event {
		e.Resource.Revision = revision
		return e
	}
	c := newCompiler(&vault{})
	for _, step := range []struct {
		what  string
		event resource.Event
		want  int64
	}{
		{"a domain", at(domain("dom_1", "a.example.com", "main"), 7), 0},
		{"its configuration", at(conf("cdn_1", "main", "http://o.example.net"), 8), 0},
		{"the claim", at(claim("clm_1", "a.example.com", "dom_1", "prj"), 9), 8},
		{"a change of the configuration", at(conf("cdn_1", "main", "http://p.example.net"), 10), 0},
		{"a change of the domain", at(domain("dom_1", "a.example.com", "main"), 11), 0},
		{"another domain takes the name over", at(claim("clm_1", "a.example.com", "dom_2", "prj"), 12), 0},
		{"and gives it back", at(claim("clm_1", "a.example.com", "dom_1", "prj"), 13), 11},
	} {
		for _, o := range c.Apply(step.event) {
			want := step.want
			if o.Deleted {
				want = 0
			}
			if o.Cause != want {
				t.Errorf("%s: %s is caused by %d, want %d", step.what, o.Key, o.Cause, want)
			}
		}
	}
}

func TestOneCertificateAName(t *testing.T) {
	c := newCompiler(&vault{})
	given := map[string]string{} // name -> certificate
	apply := func(e resource.Event) {
		t.Helper()
		documents := map[string][]string{}
		for id, names := range c.given {
			documents[id] = names
		}
		for _, o := range c.Apply(e) {
			id := strings.TrimPrefix(o.Key, "certificate/")
			if id == o.Key {
				continue
			}
			delete(documents, id)
			if !o.Deleted {
				var crt edgeconfig.Certificate
				if err := json.Unmarshal(o.Body, &crt); err != nil {
					t.Fatal(err)
				}
				documents[id] = crt.Names
			}
		}
		clear(given)
		for id, names := range documents {
			for _, name := range names {
				if given[name] != "" {
					t.Errorf("%s is in the documents of %s and %s", name, given[name], id)
				}
				given[name] = id
			}
		}
	}
	want := func(what, name, id string) {
		t.Helper()
		if given[name] != id {
			t.Errorf("%s: %s is served with %q, want %q", what, name, given[name], id)
		}
	}
	status := func(id, name string, s certificates.Status) resource.Event {
		until := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
		s.Generation, s.Fingerprint, s.NotAfter = "1", "ab", &until
		return put(certificates.Kind, id, name, certificates.Spec{Domains: []string{name}}, s)
	}
	apply(claim("clm_1", "a.example.com", "dom_1", "prj"))
	apply(claim("clm_2", "b.example.com", "dom_2", "prj"))
	apply(status("crt_3", "c.example.com", certificates.Status{Names: []string{"*.example.com"}, IssuedType: certificates.TypeCustom}))
	want("a wildcard alone", "a.example.com", "crt_3")
	apply(status("crt_2", "b.example.com", certificates.Status{Names: []string{"a.example.com", "b.example.com"}, IssuedType: certificates.TypeACME}))
	want("the one of its name", "b.example.com", "crt_2")
	want("an uploaded one before an automatic one of another name", "a.example.com", "crt_3")
	apply(status("crt_1", "a.example.com", certificates.Status{Names: []string{"a.example.com"}, IssuedType: certificates.TypeACME}))
	want("the one of its name", "a.example.com", "crt_1")
	apply(status("crt_1", "a.example.com", certificates.Status{Names: []string{"a.example.com"}, IssuedType: certificates.TypeACME, State: certificates.StateExpired}))
	want("not one that has expired", "a.example.com", "crt_3")
	apply(gone(certificates.Kind, "crt_3", "c.example.com"))
	want("when the best is gone", "a.example.com", "crt_2")
	apply(gone(certificates.Kind, "crt_2", "b.example.com"))
	want("an expired one before none", "a.example.com", "crt_1")
	want("none", "b.example.com", "")

	// Another project's certificate never serves it, whatever its leaf says.
	foreign := status("crt_0", "a.example.com", certificates.Status{Names: []string{"a.example.com"}, IssuedType: certificates.TypeCustom})
	foreign.Resource.Project = "else"
	apply(foreign)
	want("another project's", "a.example.com", "crt_1")
}

func TestReset(t *testing.T) {
	c := newCompiler(&vault{})
	events := []resource.Event{
		domain("dom_1", "a.example.com", "main"), claim("clm_1", "a.example.com", "dom_1", "prj"), conf("cdn_1", "main", "http://o.example.net"),
	}
	for _, e := range events {
		c.Apply(e)
	}
	// The claim is released while another control plane leads.
	c.Reset()
	var last []string
	for _, e := range []resource.Event{events[0], events[2]} {
		last = append(last, keys(c.Apply(e))...)
	}
	if slices.Contains(last, "+site/dom_1") {
		t.Errorf("a claim that is gone still serves: %v", last)
	}
}

func TestProblemsAndRetry(t *testing.T) {
	v := &vault{err: errors.New("locked")}
	c := newCompiler(v)
	c.Apply(claim("clm_1", "a.example.com", "dom_1", "prj"))
	if got := c.Apply(certificate("crt_1", "1", "a.example.com")); got != nil {
		t.Errorf("a bundle that cannot be read gave %v", keys(got))
	}
	if p := c.Problems(); !strings.Contains(p["crt_1"], "locked") {
		t.Errorf("problems %v", p)
	}
	v.err = nil
	if got := keys(c.Apply(conf("cdn_1", "main", "http://o.example.net"))); !slices.Equal(got, []string{"+certificate/crt_1"}) {
		t.Errorf("the next event tried again and gave %v", got)
	}
	if p := c.Problems(); len(p) != 0 {
		t.Errorf("problems %v", p)
	}
}

func TestGroupKey(t *testing.T) {
	c := newCompiler(&vault{})
	c.Apply(claim("clm_1", "a.example.com", "dom_1", "prj"))
	before := c.Apply(certificate("crt_1", "1", "a.example.com"))[0]
	again := c.SetGroupKey("g1", [32]byte{1})
	if len(again) != 2 || !bytes.Equal(again[1].Body, before.Body) {
		t.Error("the same key gave another document")
	}
	next := c.SetGroupKey("g2", [32]byte{2})[1]
	var crt edgeconfig.Certificate
	if err := json.Unmarshal(next.Body, &crt); err != nil {
		t.Fatal(err)
	}
	key, err := secrets.OpenFor([32]byte{2}, "crt_1", crt.KeySealed)
	if err != nil || string(key) != "key of crt_1 1" {
		t.Errorf("opened %q, %v", key, err)
	}
	if _, err := secrets.OpenFor([32]byte{1}, "crt_1", crt.KeySealed); err == nil {
		t.Error("the old key opens the new document")
	}
}

// After any sequence of events, what the steps said adds up to what a compiler
// says that sees only the end.
func TestIncrementalIsFull(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := []string{"a.example.com", "b.example.com", "*.example.com", "x.a.example.com"}
		live := map[string]resource.Event{} // the last Put by ID
		documents := map[string]string{}
		c := newCompiler(&vault{})
		take := func(documents map[string]string, outputs []Output) {
			for _, o := range outputs {
				if o.Deleted {
					delete(documents, o.Key)
				} else {
					documents[o.Key] = string(o.Body)
				}
			}
		}
		// What is named is there: without it, the last document stays by design.
		for _, name := range []string{"main", "other"} {
			live["cdn_"+name] = conf("cdn_"+name, name, "http://o.example.net")
			take(documents, c.Apply(live["cdn_"+name]))
		}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			n := rapid.IntRange(0, len(names)-1).Draw(t, "name")
			var e resource.Event
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0:
				e = domain(fmt.Sprintf("dom_%d", n), names[n], rapid.SampledFrom([]string{"main", "other"}).Draw(t, "cdn"))
			case 1:
				// One claim a name: its ID belongs to the name, as the store's unique names make it.
				e = claim(fmt.Sprintf("clm_%d", n), names[n], fmt.Sprintf("dom_%d", n), rapid.SampledFrom([]string{"prj", "else"}).Draw(t, "project"))
			case 2:
				// A configuration that a domain uses is not deleted, so those stay.
				name := rapid.SampledFrom([]string{"main", "other"}).Draw(t, "conf")
				e = conf("cdn_"+name, name, fmt.Sprintf("http://o%d.example.net", n))
			case 3:
				e = certificate(fmt.Sprintf("crt_%d", n), rapid.SampledFrom([]string{"", "1", "2"}).Draw(t, "generation"),
					append([]string{names[n]}, rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, 2, rapid.ID[string]).Draw(t, "more")...)...)
			}
			id := e.Resource.ID
			if _, there := live[id]; there && e.Resource.Kind != cdn.Kind && rapid.Bool().Draw(t, "delete") {
				e = gone(e.Resource.Kind, id, e.Resource.Name)
				delete(live, id)
			} else {
				live[id] = e
			}
			take(documents, c.Apply(e))
		}
		fresh, want := newCompiler(&vault{}), map[string]string{}
		for _, id := range slices.Sorted(maps.Keys(live)) {
			take(want, fresh.Apply(live[id]))
		}
		if diff := cmp.Diff(want, documents); diff != "" {
			t.Fatalf("incremental differs from full (-full +incremental):\n%s", diff)
		}
	})
}

func BenchmarkTenThousandDomains(b *testing.B) {
	for b.Loop() {
		c := newCompiler(&vault{})
		c.Apply(conf("cdn_1", "main", "http://o.example.net"))
		for i := range 10000 {
			id, name := fmt.Sprintf("dom_%05d", i), fmt.Sprintf("s%05d.example.com", i)
			c.Apply(claim("clm"+id, name, id, "prj"))
			c.Apply(domain(id, name, "main"))
			c.Apply(certificate("crt"+id, "1", name))
		}
	}
}
