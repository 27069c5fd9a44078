package api

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/control/cdn"
	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/certificates/authority"
	"github.com/edgewright/edgewright/control/certificates/provision"
	"github.com/edgewright/edgewright/control/certificates/replacement"
	"github.com/edgewright/edgewright/control/certificates/upkeep"
	"github.com/edgewright/edgewright/control/dnsproviders"
	"github.com/edgewright/edgewright/control/domains"
	"github.com/edgewright/edgewright/control/domains/watch"
	"github.com/edgewright/edgewright/control/localca"
	"github.com/edgewright/edgewright/control/projects"
	"github.com/edgewright/edgewright/control/reconcile"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/store"
	"github.com/edgewright/edgewright/control/store/storetest"
	"github.com/edgewright/edgewright/control/traffic"
	"github.com/edgewright/edgewright/control/zones"
	"github.com/edgewright/edgewright/control/zones/tsig"
	"github.com/edgewright/edgewright/fault"
	"github.com/edgewright/edgewright/netguard"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const adminToken = "admin-token-of-the-tests"

// testEnv is a control plane with everything but edges: real rooms on a real store.
type testEnv struct {
	t      testing.TB
	db     *store.DB
	server *Server
	http   *httptest.Server
	access *access.Service
	fleet  *fakeFleet
	dns    *fakeDNS
	issuer *gatedIssuer
	zones  *zones.Service
	tsig   *tsig.Service
	link   string // the owner's first login link
	owner  access.User
}

type envOption func(*Options)

func newEnv(t testing.TB, options ...envOption) *testEnv {
	t.Helper()
	return newEnvOn(t, storetest.SQLite(t), options...)
}

func newEnvOn(t testing.TB, db *store.DB, options ...envOption) *testEnv {
	t.Helper()
	ctx := context.Background()
	e := &testEnv{t: t, db: db, fleet: newFakeFleet(t, db), dns: &fakeDNS{txt: map[string]string{}}}

	var err error
	e.access, err = access.New(access.Options{Store: db})
	ok(t, err)
	started, err := e.access.Bootstrap(ctx, adminToken)
	ok(t, err)
	e.link, e.owner = started.Link, started.Owner

	types := resource.Types{
		projects.Type(), projects.EnvironmentType(), domains.Type(), domains.PlacementType(), cdn.Type(netguard.AllowAll()), certificates.Type(certificates.ModeAuto),
		dnsproviders.Type(testDrivers),
		zones.Type(), zones.RRsetType(), zones.DelegationType(), tsig.Type(),
	}
	rooms := projects.New(db, types.Kinds(resource.ScopeEnvironment))
	ok(t, rooms.Bootstrap(ctx))
	cdns := cdn.New(db, netguard.AllowAll(), domains.Users{Store: db})
	names, err := domains.New(domains.Options{Store: db, Vault: db, Resolvers: e.dns, Fetcher: e.dns, CDNs: cdns, Platform: "apps.example.com"})
	ok(t, err)
	certs := provision.New(certificates.Room{Store: db, Vault: db, Ownership: names, Mode: certificates.ModeAuto})
	e.zones = zones.New(zones.Options{Store: db, Vault: db, Ownership: names, Locks: names, Needs: names, NameServers: []string{"ns1.dns.example", "ns2.dns.example", "ns3.dns.example"}})
	types = types.With(e.zones.Types()...)
	e.tsig = tsig.New(tsig.Options{Store: db, Vault: db, Users: e.zones})
	zoneVersions := zones.NewReconciler(e.zones, zones.ReconcilerOptions{})
	names.Followers = []resource.Follower{certs}
	watcher := watch.New(watch.Options{Domains: names, Resolvers: e.dns})
	ca := localca.New(db, nil)
	e.issuer = &gatedIssuer{Issuer: ca}

	providers := dnsproviders.New(dnsproviders.Options{Store: db, Vault: db, Drivers: testDrivers})

	o := Options{
		DB: db, Types: types, Access: e.access, Projects: rooms, Domains: names, CDN: cdns, Certificates: certs, Authorities: authority.New(db, db), Replacements: replacement.New(replacement.Options{Store: db}), Zones: e.zones, TSIG: e.tsig, Fleet: e.fleet, Watch: watcher,
		Traffic: traffic.New(db, nil), Version: "test", PlatformDomain: "apps.example.com", HTTPSPort: func() int { return 8443 },
		DNSProviders: providers, DNSDrivers: testDrivers,
		RootPEM: ca.RootPEM, CRL: ca.CRL, Metrics: prometheus.NewRegistry(),
	}
	for _, option := range options {
		option(&o)
	}
	e.server = New(o)
	e.server.issueWait = 10 * time.Second
	e.http = httptest.NewServer(e.server)

	running, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	issuer := upkeep.NewReconciler(certs.Room, certs.Judge, map[certificates.CertType]certificates.Issuer{certificates.TypeLocal: e.issuer}, nil)
	wg.Go(func() {
		_ = reconcile.New(reconcile.Options{Store: db, Workers: 2}, issuer, zoneVersions, tsig.NewReconciler(e.tsig), dnsproviders.NewReconciler(providers)).Run(running)
	})
	wg.Go(func() {
		if err := e.server.Run(running); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	eventually(t, "the hub runs", func() bool {
		e.server.hub.mu.Lock()
		defer e.server.hub.mu.Unlock()
		return e.server.hub.running
	})
	t.Cleanup(func() {
		stop()
		wg.Wait()
		e.http.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	return e
}

// eventually polls until a condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("it did not come to it that %s", what)
		}
		<-time.After(time.Millisecond)
	}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// who sends requests: a token, or a browser with a session.
type who struct {
	e      *testEnv
	token  string
	cookie *http.Cookie
	header http.Header
}

func (e *testEnv) admin() *who { return &who{e: e, token: adminToken} }

func (w *who) with(name, value string) *who {
	c := *w
	c.header = w.header.Clone()
	if c.header == nil {
		c.header = http.Header{}
	}
	c.header.Set(name, value)
	return &c
}

// reply is an answer that was read to its end.
type reply struct {
	t      testing.TB
	status int
	header http.Header
	body   []byte
}

func (w *who) do(method, path string, body any) *reply {
	w.e.t.Helper()
	var payload io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		payload = strings.NewReader(b)
	case []byte:
		payload = bytes.NewReader(b)
	default:
		encoded, err := json.Marshal(body)
		ok(w.e.t, err)
		payload = bytes.NewReader(encoded)
	}
	r, err := http.NewRequest(method, w.e.http.URL+path, payload)
	ok(w.e.t, err)
	if payload != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if w.token != "" {
		r.Header.Set("Authorization", "Bearer "+w.token)
	}
	if w.cookie != nil {
		r.AddCookie(w.cookie)
		r.Header.Set(csrfHeader, "1")
	}
	for name, values := range w.header {
		r.Header[name] = values
		if values[0] == "" {
			r.Header.Del(name)
		}
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	ok(w.e.t, err)
	defer resp.Body.Close()
	read, err := io.ReadAll(resp.Body)
	ok(w.e.t, err)
	return &reply{t: w.e.t, status: resp.StatusCode, header: resp.Header, body: read}
}

func (w *who) get(path string) *reply { w.e.t.Helper(); return w.do(http.MethodGet, path, nil) }
func (w *who) post(path string, body any) *reply {
	w.e.t.Helper()
	return w.do(http.MethodPost, path, body)
}

// want checks the status and decodes the body into out unless that is nil.
func (r *reply) want(status int, out ...any) *reply {
	r.t.Helper()
	if r.status != status {
		r.t.Fatalf("status %d, want %d: %s", r.status, status, r.body)
	}
	for _, o := range out {
		if err := json.Unmarshal(r.body, o); err != nil {
			r.t.Fatalf("%v in %s", err, r.body)
		}
	}
	return r
}

// refused checks an error's status, code and form, and returns it.
func (r *reply) refused(status int, code fault.Code) Problem {
	r.t.Helper()
	var p Problem
	r.want(status, &p)
	if ct := r.header.Get("Content-Type"); ct != "application/problem+json" {
		r.t.Fatalf("an error has the content type %q", ct)
	}
	if p.Code != string(code) || p.Status != status || p.Type != problemBase+string(code) || p.Title == "" || p.Detail == "" ||
		p.RequestID == "" || p.RequestID != r.header.Get("X-Request-Id") {
		r.t.Fatalf("problem %s, want the code %s", r.body, code)
	}
	return p
}

// login opens a session by a link or by a body of one's own.
func (e *testEnv) login(body any) *who {
	e.t.Helper()
	r := (&who{e: e}).post("/api/v1/login", body).want(http.StatusOK)
	for _, c := range (&http.Response{Header: r.header}).Cookies() {
		if c.Name == sessionCookie {
			return &who{e: e, cookie: c}
		}
	}
	e.t.Fatal("login set no session cookie")
	return nil
}

// project makes a project and a token of the given role on it.
func (e *testEnv) project(name string, role access.Role) (id string, w *who) {
	e.t.Helper()
	var made ProjectAnswer
	e.admin().post("/api/v1/projects", NewProject{Name: name}).want(http.StatusCreated, &made)
	return made.Project.ID, e.tokenFor(made.Project.ID, role)
}

func (e *testEnv) tokenFor(project string, role access.Role, scopes ...string) *who {
	e.t.Helper()
	var t CreatedToken
	e.admin().post("/api/v1/tokens", NewToken{ProjectID: project, Name: string(role), Role: string(role), Scopes: scopes}).want(http.StatusCreated, &t)
	if !strings.HasPrefix(t.Secret, access.TokenPrefix) {
		e.t.Fatalf("a token's secret is %q", t.Secret)
	}
	return &who{e: e, token: t.Secret}
}
