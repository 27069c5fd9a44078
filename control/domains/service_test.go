package domains_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/edgewright/edgewright/control/cdn"
	"github.com/edgewright/edgewright/control/domains"
	"github.com/edgewright/edgewright/control/reconcile"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/store"
	"github.com/edgewright/edgewright/control/store/storetest"
	"github.com/edgewright/edgewright/fault"
	"github.com/edgewright/edgewright/netguard"
)

const env = "production"

var cause = resource.Cause{Actor: "user usr_test", Via: "test"}

// world is a domains service on a real store, in a world that the test makes.
type world struct {
	t   *testing.T
	db  *store.DB
	svc *domains.Service
	cdn *cdn.Service
	rec *domains.Reconciler

	mu      sync.Mutex
	now     time.Time
	txt     map[string][]string // name -> values
	a       map[string][]string
	blind   int               // of the three resolvers, those that see nothing
	files   map[string]string // URL -> body
	looks   int
	ensured []string
	cert    string // state
	edges   [3]int // all, applied, verified
}

func newWorld(t *testing.T, platform string) *world {
	t.Helper()
	db := storetest.SQLite(t)
	w := &world{
		t: t, db: db, now: time.Now().UTC().Truncate(time.Second),
		txt: map[string][]string{}, a: map[string][]string{}, files: map[string]string{}, cert: "valid", edges: [3]int{1, 1, 1},
	}
	w.cdn = cdn.New(db, netguard.AllowAll(), domains.Users{Store: db})
	var err error
	w.svc, err = domains.New(domains.Options{
		Store: db, Vault: db, Resolvers: w, Fetcher: w, CDNs: w.cdn, Targets: w, Platform: platform, Now: w.clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.rec = domains.NewReconciler(w.svc, w, w, nil)
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) Lookup(_ context.Context, name, typ string) []domains.Seen {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.looks++
	seen := make([]domains.Seen, 3)
	for i := range seen {
		seen[i] = domains.Seen{Resolver: fmt.Sprintf("192.0.2.%d:53", i+1)}
		values := map[string]map[string][]string{"TXT": w.txt, "A": w.a}[typ][name]
		if len(values) == 0 || i < w.blind {
			seen[i].Error = "NXDOMAIN"
			continue
		}
		seen[i].Answers = values
	}
	return seen
}

func (w *world) Fetch(_ context.Context, url string) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if body, ok := w.files[url]; ok {
		return []byte(body), nil
	}
	return nil, fault.New(fault.Unavailable, "the server answered 404, not 200")
}

func (w *world) Targets(context.Context) (string, []string, error) {
	return "edge.platform.example", []string{"198.51.100.7"}, nil
}

func (w *world) Ensure(_ context.Context, project, environment, domain string, _ resource.Cause) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ensured = append(w.ensured, project+"/"+environment+"/"+domain)
	return nil
}

func (w *world) Drop(context.Context, string, string, string, resource.Cause) error { return nil }

func (w *world) Summary(context.Context, string, string, string) (string, string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cert, "it is " + w.cert, nil
}

func (w *world) Site(context.Context, string) (edges, applied, verified int, refused string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.edges[0], w.edges[1], w.edges[2], ""
}

func (w *world) add(project, domain string) domains.Domain {
	w.t.Helper()
	d, err := w.svc.Add(w.t.Context(), domains.AddRequest{Project: project, Environment: env, Domain: domain}, cause)
	if err != nil {
		w.t.Fatalf("adding %s: %v", domain, err)
	}
	return d
}

func (w *world) get(project, domain string) domains.Domain {
	w.t.Helper()
	d, err := w.svc.Get(w.t.Context(), project, env, domain)
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

func (w *world) verify(project, domain, method string) domains.VerifyResult {
	w.t.Helper()
	v, err := w.svc.Verify(w.t.Context(), project, env, domain, method)
	if err != nil {
		w.t.Fatalf("verifying %s: %v", domain, err)
	}
	return v
}

// prove publishes the TXT record of a project's domain.
func (w *world) prove(d domains.Domain) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range d.Status.Records {
		if r.Purpose == domains.PurposeOwnership {
			w.txt[r.FullName] = append(w.txt[r.FullName], r.Value)
		}
	}
}

func (w *world) reconcile(d domains.Domain) (domains.Domain, time.Duration) {
	w.t.Helper()
	next, err := w.rec.Reconcile(w.t.Context(), reconcile.Ref{Kind: domains.Kind, ID: d.ID})
	if err != nil {
		w.t.Fatal(err)
	}
	return w.get(d.Project, d.Name), next
}

func reason(d domains.Domain, typ string) string {
	c, _ := resource.ConditionOf(d.Status.Conditions, typ)
	return string(c.Status) + " " + c.Reason
}

func wantCode(t *testing.T, err error, code fault.Code, says string) {
	t.Helper()
	if !fault.Is(err, code) || !strings.Contains(err.Error(), says) {
		t.Errorf("got %v (%s), want %s and %q", err, fault.CodeOf(err), code, says)
	}
}

func TestFreeNameIsVerifiedAtOnce(t *testing.T) {
	w := newWorld(t, "")
	d := w.add("alpha", "https://Shop.localhost:8443/")
	if d.Name != "shop.localhost" || !d.Status.Verified || d.Status.Method != domains.MethodNotRequired || reason(d, domains.Ownership) != "true NotRequired" {
		t.Errorf("added: %+v", d)
	}
	if len(d.Status.Records) != 0 || d.Status.File != nil {
		t.Errorf("records to set for a local name: %+v, %+v", d.Status.Records, d.Status.File)
	}
	if ok, err := w.svc.Verified(t.Context(), "alpha", env, "shop.localhost"); !ok || err != nil {
		t.Errorf("verified: %v, %v", ok, err)
	}
	_, err := w.svc.Add(t.Context(), domains.AddRequest{Project: "beta", Environment: env, Domain: "shop.localhost"}, cause)
	wantCode(t, err, fault.Conflict, "choose another")
	_, err = w.svc.Add(t.Context(), domains.AddRequest{Project: "beta", Environment: env, Domain: "api.shop.localhost"}, cause)
	wantCode(t, err, fault.Conflict, "decides about the names below")
	_, err = w.svc.Add(t.Context(), domains.AddRequest{Project: "alpha", Environment: env, Domain: "shop.localhost"}, cause)
	wantCode(t, err, fault.Conflict, "already there")
	_, err = w.svc.Add(t.Context(), domains.AddRequest{Project: "alpha", Environment: "staging", Domain: "shop.localhost"}, cause)
	wantCode(t, err, fault.Conflict, `environment "production"`)
	if d := w.add("alpha", "api.shop.localhost"); !d.Status.Verified {
		t.Error("a name below one's own is not verified")
	}
	if d := w.add("beta", "localhost"); !d.Status.Verified {
		t.Error("localhost is not verified")
	}
	if d := w.add("alpha", "other.localhost"); !d.Status.Verified {
		t.Error("the owner of localhost must not own what is below it")
	}
}

func TestVerifyByTXT(t *testing.T) {
	w := newWorld(t, "")
	d := w.add("alpha", "shop.example.com")
	if d.Status.Verified || reason(d, domains.Ownership) != "false Pending" {
		t.Fatalf("added: %+v", d.Status)
	}
	own := d.Status.Records[0]
	if own.Type != "TXT" || own.FullName != "_edgewright-challenge.shop.example.com" || own.Name != "_edgewright-challenge.shop" || own.Value != d.Status.VerificationToken || own.Value == "" {
		t.Errorf("record %+v", own)
	}
	if routing := d.Status.Records[1]; routing.Type != "CNAME" || routing.Name != "shop" || routing.Value != "edge.platform.example" {
		t.Errorf("routing %+v", routing)
	}

	v := w.verify("alpha", "shop.example.com", "dns")
	if v.Verified || reason(v.Domain, domains.Ownership) != "false RecordNotFound" || len(v.Records[0].Seen) != 3 || v.Records[0].Seen[0].Error != "NXDOMAIN" {
		t.Errorf("nothing there: %+v", v)
	}
	w.txt[own.FullName] = []string{"v=spf1 -all"}
	if v = w.verify("alpha", "shop.example.com", "dns"); v.Verified || reason(v.Domain, domains.Ownership) != "false RecordWrong" {
		t.Errorf("something else there: %+v", v.Domain.Status.Conditions)
	}
	w.prove(d)
	w.blind = 2
	if v = w.verify("alpha", "shop.example.com", "dns"); v.Verified || reason(v.Domain, domains.Ownership) != "false Spreading" {
		t.Errorf("one of three resolvers sees it: %+v", v.Domain.Status.Conditions)
	}
	w.blind = 1
	if v = w.verify("alpha", "shop.example.com", "dns"); !v.Verified || v.Domain.Status.Method != "dns" || !v.Records[0].Found || reason(v.Domain, domains.Ownership) != "true Verified" {
		t.Errorf("two of three resolvers see it: %+v", v)
	}
	if v.Domain.Status.NextCheckAt != nil || v.Domain.Status.Attempts != 0 {
		t.Errorf("after success: %+v", v.Domain.Status)
	}
	if v = w.verify("alpha", "shop.example.com", ""); !v.Verified {
		t.Error("verifying again takes it away")
	}
}

func TestVerifyByFile(t *testing.T) {
	w := newWorld(t, "")
	d := w.add("alpha", "shop.example.com")
	file := d.Status.File
	if file == nil || file.URL != "http://shop.example.com/.well-known/edgewright-verification/"+d.Status.VerificationToken || file.Content == "" || strings.Contains(file.URL, file.Content) {
		t.Fatalf("file %+v", file)
	}
	if v := w.verify("alpha", "shop.example.com", "file"); v.Verified || reason(v.Domain, domains.Ownership) != "false FileNotFound" || v.File.Error == "" {
		t.Errorf("nothing there: %+v", v)
	}
	w.files[file.URL] = "Cannot GET /.well-known/edgewright-verification/" + d.Status.VerificationToken
	if v := w.verify("alpha", "shop.example.com", "file"); v.Verified || strings.Contains(v.File.Error, "Cannot GET") {
		t.Errorf("an echo of the URL: %+v", v)
	}
	delete(w.files, file.URL)
	w.files["https"+strings.TrimPrefix(file.URL, "http")] = file.Content + "\n"
	if v := w.verify("alpha", "shop.example.com", ""); !v.Verified || v.Domain.Status.Method != "file" {
		t.Errorf("the file over https: %+v", v)
	}

	wild := w.add("alpha", "*.example.net")
	if wild.Status.File != nil || wild.Status.Records[0].FullName != "_edgewright-challenge.example.net" {
		t.Errorf("wildcard %+v", wild.Status)
	}
	_, err := w.svc.Verify(t.Context(), "alpha", env, "*.example.net", "file")
	wantCode(t, err, fault.Invalid, "wildcard")
	_, err = w.svc.Verify(t.Context(), "alpha", env, "*.example.net", "email")
	wantCode(t, err, fault.Unavailable, "outgoing mail")
	_, err = w.svc.Verify(t.Context(), "alpha", env, "*.example.net", "phone")
	wantCode(t, err, fault.Invalid, "not a method")
	_, err = w.svc.Verify(t.Context(), "alpha", env, "nobody.example.net", "dns")
	wantCode(t, err, fault.NotFound, "no such domain")
}

func TestOneOwner(t *testing.T) {
	w := newWorld(t, "")
	a, b := w.add("alpha", "example.com"), w.add("beta", "example.com")
	if a.Status.VerificationToken == b.Status.VerificationToken {
		t.Fatal("two projects have one token")
	}
	w.prove(a)
	if v := w.verify("beta", "example.com", "dns"); v.Verified {
		t.Error("another project's proof counts")
	}
	if v := w.verify("alpha", "example.com", "dns"); !v.Verified {
		t.Fatal("not verified")
	}
	w.prove(b) // the former owner still controls the zone
	if v := w.verify("beta", "example.com", "dns"); v.Verified || reason(v.Domain, domains.Ownership) != "false ClaimedElsewhere" {
		t.Errorf("a second owner: %+v", v.Domain.Status.Conditions)
	}
	// Below it, and a wildcard on it.
	for _, name := range []string{"shop.example.com", "*.example.com", "a.b.example.com"} {
		below := w.add("beta", name)
		w.prove(below)
		if v := w.verify("beta", name, "dns"); v.Verified || reason(v.Domain, domains.Ownership) != "false ClaimedElsewhere" {
			t.Errorf("%s below another's name: %+v", name, v.Domain.Status.Conditions)
		}
		own := w.add("alpha", name)
		w.prove(own)
		if v := w.verify("alpha", name, "dns"); !v.Verified {
			t.Errorf("%s below one's own name is refused: %+v", name, v.Domain.Status.Conditions)
		}
	}
	// Above is for who proves it.
	c := w.add("gamma", "shop.example.org")
	w.prove(c)
	w.verify("gamma", "shop.example.org", "dns")
	above := w.add("delta", "example.org")
	w.prove(above)
	if v := w.verify("delta", "example.org", "dns"); !v.Verified {
		t.Error("the owner of the zone cannot verify it once somebody has verified a name below")
	}

	if err := w.svc.Remove(t.Context(), "alpha", env, "example.com", 0, cause); err != nil {
		t.Fatal(err)
	}
	if v := w.verify("beta", "example.com", "dns"); !v.Verified {
		t.Errorf("after the owner removed it: %+v", v.Domain.Status.Conditions)
	}
	// Coming back means proving again, with another token.
	back := w.add("alpha", "example.com")
	if back.Status.Verified || back.Status.VerificationToken == a.Status.VerificationToken {
		t.Errorf("added again: %+v", back.Status)
	}
}

func TestWildcardClaimProtectsBelow(t *testing.T) {
	w := newWorld(t, "")
	a := w.add("alpha", "*.example.com")
	w.prove(a)
	if v := w.verify("alpha", "*.example.com", "dns"); !v.Verified {
		t.Fatal("not verified")
	}
	b := w.add("beta", "shop.example.com")
	w.prove(b)
	if v := w.verify("beta", "shop.example.com", "dns"); v.Verified {
		t.Error("a name below another project's wildcard is verified")
	}
}

func TestRaceForAName(t *testing.T) {
	w := newWorld(t, "")
	const projects = 8
	for i := range projects {
		w.prove(w.add(fmt.Sprintf("p%d", i), "example.com"))
	}
	var wait sync.WaitGroup
	var mu sync.Mutex
	winners := 0
	for i := range projects {
		wait.Go(func() {
			v, err := w.svc.Verify(context.Background(), fmt.Sprintf("p%d", i), env, "example.com", "dns")
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Errorf("p%d: %v", i, err)
			} else if v.Verified {
				winners++
			}
		})
	}
	wait.Wait()
	if winners != 1 {
		t.Errorf("%d projects own one name", winners)
	}
}

func TestPlatformNames(t *testing.T) {
	w := newWorld(t, "apps.example.com")
	if d := w.add("alpha", "shop.apps.example.com"); !d.Status.Verified {
		t.Error("a free subdomain needs proof")
	}
	for name, says := range map[string]string{
		"www.apps.example.com":   "kept for the platform",
		"x.api.apps.example.com": "kept for the platform",
		"*.apps.example.com":     "everybody's names",
	} {
		_, err := w.svc.Add(t.Context(), domains.AddRequest{Project: "alpha", Environment: env, Domain: name}, cause)
		wantCode(t, err, fault.Invalid, says)
	}
	_, err := w.svc.Add(t.Context(), domains.AddRequest{Project: "beta", Environment: env, Domain: "x.shop.apps.example.com"}, cause)
	wantCode(t, err, fault.Conflict, "decides")
	if d := w.add("beta", "apps.example.com"); d.Status.Verified {
		t.Error("the platform's own domain is free for all")
	}
}

func TestAddWithOriginAndRemove(t *testing.T) {
	w := newWorld(t, "")
	_, err := w.svc.Add(t.Context(), domains.AddRequest{Project: "alpha", Environment: env, Domain: "shop.localhost", OriginURL: "ftp://x"}, cause)
	var f *fault.Error
	if !errors.As(err, &f) || len(f.Fields) != 1 || f.Fields[0].Pointer != "/origin" {
		t.Fatalf("a bad origin: %v", err)
	}
	plan, err := w.svc.PlanAdd(t.Context(), domains.AddRequest{Project: "alpha", Environment: env, Domain: "shop.localhost", OriginURL: "http://127.0.0.1:3000"})
	if err != nil || len(plan.Actions) != 3 {
		t.Fatalf("plan %+v, %v", plan.Actions, err)
	}
	if _, err := w.svc.Get(t.Context(), "alpha", env, "shop.localhost"); !fault.Is(err, fault.NotFound) {
		t.Fatalf("planning adds: %v", err)
	}
	d, err := w.svc.Add(t.Context(), domains.AddRequest{Project: "alpha", Environment: env, Domain: "shop.localhost", OriginURL: "http://127.0.0.1:3000"}, cause)
	if err != nil || d.Spec.CDN != "shop.localhost" {
		t.Fatalf("added %+v, %v", d.Spec, err)
	}
	c, err := w.cdn.Get(t.Context(), "alpha", env, "shop.localhost")
	if err != nil || c.Revision != d.Revision || c.Spec.Origins[0].URL != "http://127.0.0.1:3000" {
		t.Errorf("its CDN configuration: %+v, %v", c, err)
	}
	err = w.cdn.Delete(t.Context(), "alpha", env, "shop.localhost", 0, cause)
	wantCode(t, err, fault.Conflict, "used by shop.localhost")

	err = w.svc.Remove(t.Context(), "alpha", env, "shop.localhost", d.Revision+7, cause)
	wantCode(t, err, fault.Stale, "revision")
	plan, err = w.svc.PlanRemove(t.Context(), "alpha", env, "shop.localhost", d.Revision)
	if err != nil || len(plan.Actions) != 3 {
		t.Fatalf("plan %+v, %v", plan.Actions, err)
	}
	if err := w.svc.Remove(t.Context(), "alpha", env, "shop.localhost", d.Revision, cause); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []resource.Kind{domains.Kind, domains.KindClaim, cdn.Kind} {
		if page, err := w.db.List(t.Context(), resource.Query{Kind: kind}); err != nil || len(page.Items) != 0 {
			t.Errorf("%s left behind: %v, %v", kind, page.Items, err)
		}
	}
	// Adding it again works.
	if _, err := w.svc.Add(t.Context(), domains.AddRequest{Project: "alpha", Environment: env, Domain: "shop.localhost", OriginURL: "http://127.0.0.1:3000"}, cause); err != nil {
		t.Error(err)
	}
}

func TestSharedConfigurationStays(t *testing.T) {
	w := newWorld(t, "")
	if _, err := w.svc.Add(t.Context(), domains.AddRequest{Project: "alpha", Environment: env, Domain: "shop.localhost", OriginURL: "http://127.0.0.1:3000"}, cause); err != nil {
		t.Fatal(err)
	}
	if _, err := w.svc.Add(t.Context(), domains.AddRequest{Project: "alpha", Environment: env, Domain: "blog.localhost", Spec: json.RawMessage(`{"cdn":"shop.localhost"}`)}, cause); err != nil {
		t.Fatal(err)
	}
	if err := w.svc.Remove(t.Context(), "alpha", env, "shop.localhost", 0, cause); err != nil {
		t.Fatal(err)
	}
	if there, err := w.cdn.Exists(t.Context(), "alpha", env, "shop.localhost"); !there || err != nil {
		t.Errorf("a configuration in use went with another domain: %v, %v", there, err)
	}
}

func TestUpdate(t *testing.T) {
	w := newWorld(t, "")
	d := w.add("alpha", "shop.localhost")
	if !d.Spec.RedirectHTTPS || d.Spec.CDN != "default" {
		t.Errorf("defaults %+v", d.Spec)
	}
	changed, err := w.svc.Update(t.Context(), "alpha", env, "shop.localhost", json.RawMessage(`{"redirect_https":false,"hsts":{"max_age":300},"labels":{"team":"web"}}`), d.Revision, cause)
	if err != nil || changed.Spec.RedirectHTTPS || changed.Spec.HSTS.MaxAge != 300 || changed.Spec.Labels["team"] != "web" || changed.Revision <= d.Revision {
		t.Fatalf("changed %+v, %v", changed, err)
	}
	_, err = w.svc.Update(t.Context(), "alpha", env, "shop.localhost", json.RawMessage(`{"hsts":null}`), d.Revision, cause)
	wantCode(t, err, fault.Stale, "read it again")
	again, err := w.svc.Update(t.Context(), "alpha", env, "shop.localhost", json.RawMessage(`{"hsts":null}`), changed.Revision, cause)
	if err != nil || again.Spec.HSTS != nil || again.Spec.RedirectHTTPS {
		t.Errorf("patched %+v, %v", again.Spec, err)
	}
	for patch, says := range map[string]string{
		`{"redirect_https":false,"hsts":{"max_age":31536000,"include_subdomains":true,"preload":true}}`: "redirect http to https",
		`{"tls":{"policy":"old"}}`:                        "not a policy",
		`{"tls":{"min_version":"1.1"}}`:                   "not a version",
		`{"tls":{"policy":"modern","min_version":"1.2"}}`: "alone",
		`{"redirect_htps":true}`:                          `did you mean "redirect_https"?`,
		`{"domain":"other.localhost"}`:                    "cannot be renamed",
		`{"cdn":"nowhere"}`:                               "there is no CDN configuration",
		`{"dns":"telepathy"}`:                             "no way to set records",
		`{"dns":"provider"}`:                              "below localhost",
		`{"dns_account":"x"}`:                             "at a DNS provider",
		`{"method":"pigeon"}`:                             "not a method",
		`{"hsts":{"max_age":-1}}`:                         "out of range",
		`{"hsts":{"preload":true}}`:                       "preload",
		`[]`:                                              "not a JSON object",
		`{"labels":{"":"x"}}`:                             "label",
		`{"redirect_https":"yes please"}`:                 "write true or false",
	} {
		_, err := w.svc.PlanUpdate(t.Context(), "alpha", env, "shop.localhost", json.RawMessage(patch), 0)
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", patch, err)
			continue
		}
		var f *fault.Error
		errors.As(err, &f)
		if text := fmt.Sprint(f.Message, f.Fields); !strings.Contains(text, says) {
			t.Errorf("%s: %s", patch, text)
		}
	}
}

func TestListIsBoundToItsProject(t *testing.T) {
	w := newWorld(t, "")
	for i := range 5 {
		w.add("alpha", fmt.Sprintf("d%d.example.com", i))
	}
	w.add("beta", "beta.example.com")
	var names []string
	for cursor := ""; ; {
		list, next, err := w.svc.List(t.Context(), "alpha", env, 2, cursor)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range list {
			names = append(names, d.Name)
			if d.Status.VerificationToken == "" || len(d.Status.Records) == 0 {
				t.Errorf("%s has no records to set", d.Name)
			}
		}
		if cursor = next; next == "" {
			break
		}
	}
	if got := strings.Join(names, " "); got != "d0.example.com d1.example.com d2.example.com d3.example.com d4.example.com" {
		t.Errorf("listed %s", got)
	}
	if _, err := w.svc.Get(t.Context(), "alpha", env, "beta.example.com"); !fault.Is(err, fault.NotFound) {
		t.Errorf("another project's domain: %v", err)
	}
}

// Whoever changes the way in which records are set need not know what the former
// one was told.
func TestChangeOfModeLeavesTheAccountBehind(t *testing.T) {
	w := newWorld(t, "")
	_, err := w.svc.Add(t.Context(), domains.AddRequest{Project: "alpha", Environment: env, Domain: "shop.example.com", Spec: json.RawMessage(`{"dns":"provider","dns_account":"main"}`)}, cause)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ patch, dns, account, refused string }{
		{`{"redirect_https":false}`, "provider", "main", ""},
		{`{"dns":"manual"}`, "manual", "", ""},
		{`{"dns":"provider","dns_account":"other"}`, "provider", "other", ""},
		{`{"dns":"provider"}`, "provider", "other", ""},
		{`{"dns":"managed","dns_account":"main"}`, "provider", "other", "/dns_account"},
		{`{"dns":null}`, "", "", ""},
		{`{"dns_account":"main"}`, "", "", "/dns_account"},
		{`{"dns":7}`, "", "", "/dns"},
	} {
		_, err := w.svc.Update(t.Context(), "alpha", env, "shop.example.com", json.RawMessage(step.patch), 0, cause)
		var f *fault.Error
		if step.refused == "" && err != nil || step.refused != "" && (!errors.As(err, &f) || len(f.Fields) != 1 || f.Fields[0].Pointer != step.refused) {
			t.Errorf("%s: %v", step.patch, err)
		}
		if d := w.get("alpha", "shop.example.com"); d.Spec.DNS != step.dns || d.Spec.DNSAccount != step.account {
			t.Errorf("%s: %q with %q", step.patch, d.Spec.DNS, d.Spec.DNSAccount)
		}
	}
}
