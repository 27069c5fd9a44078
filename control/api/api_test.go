package api

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/control/store"
	"github.com/edgewright/edgewright/control/store/storetest"
	"github.com/edgewright/edgewright/control/traffic"
	"github.com/edgewright/edgewright/fault"
)

func TestStatuses(t *testing.T) {
	e := newEnv(t)
	a := e.admin()
	domainsPath := infrastructure + "/domains"

	a.post(domainsPath, `{"domain":`).refused(http.StatusBadRequest, fault.Invalid)
	a.post(domainsPath, ``).refused(http.StatusBadRequest, fault.Invalid)
	a.with("Content-Type", "text/plain").post(domainsPath, `{"domain":"a.localhost"}`).refused(http.StatusUnsupportedMediaType, fault.Invalid)
	nobody := &who{e: e}
	if h := nobody.get(domainsPath).refusedHeader(http.StatusUnauthorized); !strings.HasPrefix(h.Get("WWW-Authenticate"), "Bearer") {
		t.Error("401 does not say how to authenticate")
	}
	(&who{e: e, token: "ew_wrong"}).get(domainsPath).refused(http.StatusUnauthorized, fault.Unauthenticated)
	nobody.with("Authorization", "Basic eDp5").get(domainsPath).refused(http.StatusUnauthorized, fault.Unauthenticated)
	// Credentials come before the body: nobody learns what would be valid.
	nobody.post(domainsPath, `{"domian":1}`).refused(http.StatusUnauthorized, fault.Unauthenticated)
	e.tokenFor("default", access.Viewer).post(domainsPath, AddDomain{Domain: "a.localhost"}).refused(http.StatusForbidden, fault.Forbidden)
	e.tokenFor("default", access.Owner, "cdn:*").get(domainsPath).refused(http.StatusForbidden, fault.Forbidden)
	a.get(domainsPath+"/a.localhost").refused(http.StatusNotFound, fault.NotFound)
	a.get(domainsPath+"?project_id=nothing").refused(http.StatusNotFound, fault.NotFound)
	a.get(domainsPath+"?environment=nothing").refused(http.StatusNotFound, fault.NotFound)
	a.get("/api/v1/nothing").refused(http.StatusNotFound, fault.NotFound)
	if h := a.do(http.MethodPut, domainsPath, nil).refusedHeader(http.StatusMethodNotAllowed); h.Get("Allow") != "GET, POST" {
		t.Errorf("Allow: %q", h.Get("Allow"))
	}
	a.post(domainsPath, AddDomain{Domain: "a.localhost", Origin: "http://127.0.0.1:1"}).want(http.StatusCreated)
	a.post(domainsPath, AddDomain{Domain: "a.localhost"}).refused(http.StatusConflict, fault.Conflict)
	a.do(http.MethodDelete, domainsPath+"/a.localhost", nil).refused(http.StatusPreconditionRequired, fault.PreconditionRequired)
	a.with("If-Match", `"99999"`).do(http.MethodDelete, domainsPath+"/a.localhost", nil).refused(http.StatusPreconditionFailed, fault.Stale)
	a.post(domainsPath, `{"domain":"`+strings.Repeat("x", defaultMaxBody)+`"}`).refused(http.StatusRequestEntityTooLarge, fault.TooLarge)
	a.with("Idempotency-Key", "big").post(domainsPath, `{"domain":"`+strings.Repeat("x", defaultMaxBody)+`"}`).refused(http.StatusRequestEntityTooLarge, fault.TooLarge)
	p := a.post(domainsPath, AddDomain{Domain: "not a domain"}).refused(http.StatusUnprocessableEntity, fault.Invalid)
	if len(p.Errors) != 1 || p.Errors[0].Pointer != "/domain" || p.Errors[0].Fix == "" {
		t.Errorf("%+v", p)
	}
	for range 30 {
		r := nobody.post("/api/v1/login", Login{Email: "owner@localhost", Password: "wrong password"})
		if r.status == http.StatusTooManyRequests {
			r.refused(http.StatusTooManyRequests, fault.RateLimited)
			if r.header.Get("Retry-After") == "" || r.header.Get("Retry-After") == "0" {
				t.Errorf("Retry-After: %q", r.header.Get("Retry-After"))
			}
			return
		}
		r.refused(http.StatusUnauthorized, fault.Unauthenticated)
	}
	t.Error("logins are not throttled")
}

// refusedHeader checks an error's form and returns its headers.
func (r *reply) refusedHeader(status int) http.Header {
	r.t.Helper()
	var p Problem
	r.want(status, &p)
	if p.Status != status || p.Code == "" {
		r.t.Fatalf("%s", r.body)
	}
	return r.header
}

// panicking and failing stand for defects of ours.
type panicking struct{ TrafficSource }

func (panicking) Query(context.Context, traffic.Query) (traffic.Series, error) { panic("a defect") }

type failing struct {
	TrafficSource
	err error
}

func (f failing) Query(context.Context, traffic.Query) (traffic.Series, error) {
	return traffic.Series{}, f.err
}

func TestDefects(t *testing.T) {
	e := newEnv(t, func(o *Options) {
		o.Traffic = panicking{}
		o.Ready = func(context.Context) error { return fmt.Errorf("the secret path /var/lib/x cannot be read") }
	})
	p := e.admin().get(infrastructure+"/traffic").refused(http.StatusInternalServerError, fault.Internal)
	if strings.Contains(p.Detail, "defect") || strings.Contains(p.Detail, "panic") {
		t.Errorf("a panic's text is shown: %s", p.Detail)
	}
	e.admin().get("/readyz").refused(http.StatusServiceUnavailable, fault.Unavailable)
	(&who{e: e}).get("/healthz").want(http.StatusOK)

	e = newEnv(t, func(o *Options) { o.Traffic = failing{err: fmt.Errorf("the password is hunter2")} })
	if r := e.admin().get(infrastructure + "/traffic"); r.status != http.StatusInternalServerError || strings.Contains(string(r.body), "hunter2") {
		t.Errorf("%d %s", r.status, r.body)
	}
	e = newEnv(t, func(o *Options) { o.Traffic = failing{err: context.DeadlineExceeded} })
	e.admin().get(infrastructure+"/traffic").refused(http.StatusGatewayTimeout, fault.Unavailable)
	(&who{e: e}).get("/readyz").want(http.StatusOK)
}

func TestFaultsHaveAStatus(t *testing.T) {
	for _, code := range []fault.Code{
		fault.Invalid, fault.Unauthenticated, fault.Forbidden, fault.NotFound, fault.Conflict, fault.Stale, fault.PreconditionRequired,
		fault.IdempotencyMismatch, fault.RateLimited, fault.TooLarge, fault.Unavailable, fault.Internal,
	} {
		if row, ok := statuses[code]; !ok || row.title == "" || row.status < 400 {
			t.Errorf("the code %s has no row", code)
		}
	}
}

func TestValidation(t *testing.T) {
	e := newEnv(t)
	a := e.admin()
	for _, c := range []struct{ method, path, body, pointer, fix string }{
		{"POST", "/domains", `{"domian":"a.localhost","domain":"a.localhost"}`, "/domian", `"domain"`},
		{"POST", "/domains", `{}`, "/domain", "give it"},
		{"POST", "/domains", `{"domain":7}`, "/domain", ""},
		{"POST", "/domains", `{"domain":"a.localhost","hsts":{"max_age":-1}}`, "/hsts/max_age", ""},
		{"POST", "/domains", `{"domain":"a.localhost","xxxxxxxxxxxx":1}`, "/xxxxxxxxxxxx", "take it out"},
		{"POST", "/cdn", `{"origins":[{"url":"http://a"},{"url":7}]}`, "/origins/1/url", ""},
		{"POST", "/cdn", `{"origins":[{"url":"http://127.0.0.1"},{"url":"gopher://x"}]}`, "/origins/1/url", ""},
		{"POST", "/cdn", `{"origins":[{"url":"http://127.0.0.1"}],"cache_rules":[{"pattern":"/a","tll":5}]}`, "/cache_rules/0/tll", `"ttl"`},
		{"POST", "/cdn", `{"origins":null}`, "/origins", ""},
		{"GET", "/domains?limit=0", ``, "query:limit", ""},
		{"GET", "/domains?limit=many", ``, "query:limit", ""},
		{"GET", "/domains?limt=5", ``, "query:limt", ""},
		{"POST", "/domains?dry-run=true", `{"domain":"a.localhost"}`, "query:dry-run", ""},
		{"POST", "/cdn/purge", `{"paths":[],"purge_all":false}`, "/paths", ""},
		{"POST", "/cdn/purge", `{"paths":["/a"],"purge_all":true}`, "/purge_all", ""},
		{"POST", "/ssl/a.localhost", `{"type":"lets_encrypt","key_pem":"x"}`, "/type", ""},
		{"GET", "/traffic?window=5", ``, "query:window", ""},
		{"GET", "/revisions/x", ``, "path:revision", ""},
		{"POST", "/plans", `{"resources":[{"kind":"cdn","name":"x","spec":{"origns":[]}}]}`, "/resources/0/spec/origns", `"origins"`},
		{"POST", "/plans", `{"resources":[{"kind":"project","name":"x","spec":{}}]}`, "/resources/0/kind", ""},
	} {
		var body any
		if c.body != "" {
			body = c.body
		}
		p := a.do(c.method, infrastructure+c.path, body).refused(http.StatusUnprocessableEntity, fault.Invalid)
		if len(p.Errors) == 0 || p.Errors[0].Pointer != c.pointer || p.Errors[0].Detail == "" || !strings.Contains(p.Errors[0].Fix, c.fix) {
			t.Errorf("%s %s %s: %+v", c.method, c.path, c.body, p.Errors)
		}
	}
	if list := countDomains(t, a, ""); list != 0 {
		t.Errorf("refused requests left %d domains", list)
	}
}

// Text that a database may not take is refused or cleaned, on both.
func TestOddText(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		e := newEnvOn(t, db)
		a := e.admin()
		for _, c := range []struct{ method, path, body string }{
			{"GET", "/api/v1/projects/%00", ``},
			{"GET", "/api/v1/projects/%ff", ``},
			{"GET", "/api/v1/audit?actor=%00", ``},
			{"GET", "/api/v1/audit?actor=%ff", ``},
			{"GET", "/api/v1/audit?actor=%zz", ``},
			{"GET", infrastructure + "/domains?cursor=%00", ``},
			{"GET", infrastructure + "/plans/%80", ``},
			{"POST", "/api/v1/tokens", `{"project_id":"\u0000","name":"x"}`},
			{"POST", "/api/v1/tokens", `{"name":"\u0000"}`},
			{"POST", "/api/v1/login", `{"email":"\u0000@example.com","password":"\u0000"}`},
			{"POST", "/api/v1/login", `{"link":"\u0000"}`},
			{"POST", "/api/v1/projects", `{"name":"p","title":"\u0000"}`},
			{"POST", "/api/v1/projects/default/members", `{"email":"\u0000@example.com","role":"viewer"}`},
			{"POST", infrastructure + "/domains", `{"domain":"\u0000.localhost"}`},
			{"POST", infrastructure + "/domains", `{"domain":"a.localhost","cdn":"\u0000"}`},
			{"POST", infrastructure + "/cdn", `{"name":"\u0000","origins":[{"url":"http://127.0.0.1"}]}`},
			{"POST", infrastructure + "/cdn", `{"origins":[{"name":"\u0000","url":"http://127.0.0.1"}]}`},
			{"POST", infrastructure + "/cdn/purge", `{"purge_all":true,"domain":"\u0000"}`},
			{"POST", infrastructure + "/rollback", `{"revision":5,"reason":"\u0000"}`},
			{"POST", infrastructure + "/plans", `{"resources":[{"kind":"\u0000","name":"x","spec":{}}]}`},
			{"POST", infrastructure + "/plans", `{"resources":[{"kind":"cdn","name":"\u0000","spec":{"origins":[{"url":"http://127.0.0.1"}]}}]}`},
		} {
			var body any
			if c.body != "" {
				body = strings.ReplaceAll(c.body, `\\`, `\`)
			}
			if r := a.do(c.method, c.path, body); r.status < 400 || r.status >= 500 {
				t.Errorf("%s %s %s: %d %s", c.method, c.path, c.body, r.status, r.body)
			}
		}
		a.with("Idempotency-Key", "\x80\xff").post("/api/v1/projects", NewProject{Name: "p"}).refused(http.StatusUnprocessableEntity, fault.Invalid)
		a.with("User-Agent", "\x80\xff").post("/api/v1/login", Login{Link: e.link}).want(http.StatusOK)
		a.post(infrastructure+"/cdn?reason=fine", `{"origins":[{"url":"http://127.0.0.1"}]}`).want(http.StatusOK)
	})
}

func countDomains(t *testing.T, w *who, query string) int {
	t.Helper()
	var list DomainList
	w.get(infrastructure+"/domains"+query).want(http.StatusOK, &list)
	return len(list.Domains)
}

// Every PUT, PATCH and DELETE wants to know what its caller saw.
func TestPreconditions(t *testing.T) {
	e := newEnv(t)
	for i, id := range slices.Sorted(maps.Keys(operations(e.server))) {
		o := operations(e.server)[id]
		if o.Method == http.MethodGet || o.Method == http.MethodPost {
			continue
		}
		t.Run(id, func(t *testing.T) {
			e.t = t
			f, tc := newTenant(e, fmt.Sprintf("tenant-%d", i)), tenantCases[id]
			by, body := f.who, any(nil)
			switch {
			case tc.session:
				by = f.session
			case opOf(o).level == onPlatform:
				by = e.admin()
			}
			if id == "members-update" {
				f.path["user"] = f.name + "-person@example.com"
			}
			if tc.body != nil {
				body = tc.body(f)
			}
			path := f.fill(t, o.Path, tc)
			if needsProject(o) {
				path += "?project_id=" + f.id
			}
			if opOf(o).noMatch {
				if id != "tokens-revoke" {
					t.Errorf("%s needs no If-Match; it has to", id)
				}
				return
			}
			if !slices.ContainsFunc(o.Parameters, func(p *huma.Param) bool { return p.Name == "If-Match" }) {
				t.Errorf("If-Match is not documented")
			}
			before := f.digest(e)
			by.do(o.Method, path, body).refused(http.StatusPreconditionRequired, fault.PreconditionRequired)
			for _, tag := range []string{`"999999"`, `"abc"`, `W/"999999"`, `"-1"`, `"0"`, `"1" , "2"`} {
				by.with("If-Match", tag).do(o.Method, path, body).refused(http.StatusPreconditionFailed, fault.Stale)
			}
			if f.digest(e) != before {
				t.Error("a refused change changed something")
			}
		})
	}
}

// The ETag of an answer is what If-Match takes, and exactly one of two writers wins.
func TestETags(t *testing.T) {
	e := newEnv(t)
	a := e.admin()
	path := infrastructure + "/cdn/main"
	config := ReplaceCDN{Origins: []Origin{{URL: "http://127.0.0.1:1"}}}
	made := a.post(infrastructure+"/cdn", ConfigureCDN{Name: "main", ReplaceCDN: config}).want(http.StatusOK)
	tag := made.header.Get("ETag")
	if got := a.get(path).want(http.StatusOK).header.Get("ETag"); got != tag || tag == "" {
		t.Fatalf("ETag %q, then %q", tag, got)
	}
	results := make(chan int, 8)
	for i := range 8 {
		config := ReplaceCDN{Origins: []Origin{{URL: fmt.Sprintf("http://127.0.0.1:%d", 100+i)}}}
		go func() { results <- a.with("If-Match", tag).do(http.MethodPut, path, config).status }()
	}
	won := 0
	for range 8 {
		switch status := <-results; status {
		case http.StatusOK:
			won++
		case http.StatusPreconditionFailed:
		default:
			t.Errorf("status %d", status)
		}
	}
	if won != 1 {
		t.Errorf("%d of 8 writers won", won)
	}
	a.with("If-Match", "*").do(http.MethodPut, path, config).want(http.StatusOK)
	a.with("If-Match", "*").do(http.MethodPut, infrastructure+"/cdn/none", config).refused(http.StatusNotFound, fault.NotFound)
}

// Every operation that offers a dry run answers with a plan and changes nothing.
func TestDryRuns(t *testing.T) {
	e := newEnv(t)
	f := newTenant(e, "dry") // one for all: nothing changes it
	n := 0
	for _, id := range slices.Sorted(maps.Keys(operations(e.server))) {
		o := operations(e.server)[id]
		if !slices.ContainsFunc(o.Parameters, func(p *huma.Param) bool { return p.Name == "dry_run" }) {
			continue
		}
		n++
		t.Run(id, func(t *testing.T) {
			e.t = t
			tc := tenantCases[id]
			by, body, query := f.who, any(nil), url.Values{"dry_run": {"true"}}
			if opOf(o).level == onPlatform {
				by = e.admin()
			}
			if tc.body != nil {
				body = tc.body(f)
			}
			if id == "certificates-provision" {
				body = Provision{KeyPEM: "", Type: "auto", AutoRenew: new(bool)}
			}
			if needsProject(o) {
				query.Set("project_id", f.id)
			}
			before := f.digest(e)
			state, err := e.db.VerifyAudit(context.Background())
			ok(t, err)
			r := f.call(t, by, o, tc, query, body)
			if tc.status >= 400 {
				r.want(tc.status)
			} else {
				var p Plan
				r.want(http.StatusOK, &p)
				if p.ID != "" || len(p.Actions) == 0 || p.Actions[0].Op == "update" && len(p.Actions[0].Diff) == 0 {
					t.Errorf("%s", r.body)
				}
			}
			after, err := e.db.VerifyAudit(context.Background())
			ok(t, err)
			if f.digest(e) != before || after != state {
				t.Error("a dry run changed something")
			}
		})
	}
	if n < 10 {
		t.Errorf("only %d operations offer a dry run", n)
	}
}

func TestPages(t *testing.T) {
	e := newEnv(t)
	a := e.admin()
	for i := range 5 {
		a.post(infrastructure+"/domains", AddDomain{Domain: fmt.Sprintf("d%d.localhost", i)}).want(http.StatusCreated)
	}
	var names []string
	for cursor := "start"; cursor != ""; {
		query := "?limit=2"
		if cursor != "start" {
			query += "&cursor=" + url.QueryEscape(cursor)
		}
		var list DomainList
		a.get(infrastructure+"/domains"+query).want(http.StatusOK, &list)
		for _, d := range list.Domains {
			names = append(names, d.Domain)
		}
		cursor = list.NextCursor
	}
	if got := strings.Join(names, " "); got != "d0.localhost d1.localhost d2.localhost d3.localhost d4.localhost" {
		t.Errorf("pages hold %s", got)
	}
	for i := range 3 {
		e.project(fmt.Sprintf("p%d", i), access.Viewer)
	}
	person := e.memberSession("p0", "person@example.com", access.Viewer)
	for _, project := range []string{"p1", "p2"} {
		var invited Invited
		a.post("/api/v1/projects/"+project+"/members", Invite{Email: "person@example.com", Role: "viewer"}).want(http.StatusCreated, &invited)
		person.post("/api/v1/login", Login{Link: invited.Link}).want(http.StatusOK)
	}
	for _, w := range []*who{a, person} {
		seen := map[string]bool{}
		for cursor := ""; ; {
			var list ProjectList
			w.get("/api/v1/projects?limit=1&cursor="+cursor).want(http.StatusOK, &list)
			for _, p := range list.Projects {
				seen[p.Name] = true
			}
			if cursor = list.NextCursor; cursor == "" {
				break
			}
		}
		if !seen["p0"] || !seen["p1"] || !seen["p2"] || seen["default"] != (w == a) {
			t.Errorf("pages of projects hold %v", seen)
		}
	}
	a.get(infrastructure+"/revisions?cursor=nonsense").refused(http.StatusUnprocessableEntity, fault.Invalid)
}

// The time to receive a body does not count against the work that follows.
func TestBodyDeadline(t *testing.T) {
	e := newEnv(t, func(o *Options) { o.bodyTimeout = 50 * time.Millisecond })
	a := e.admin()
	a.post(infrastructure+"/domains", AddDomain{Domain: "slow.localhost"}).want(http.StatusCreated)
	a.post(infrastructure+"/ssl/slow.localhost", Provision{}).want(http.StatusOK)
	for _, w := range []*who{a, a.with("Idempotency-Key", "slow")} {
		open := e.issuer.close()
		timer := time.AfterFunc(300*time.Millisecond, open)
		defer timer.Stop()
		var p Provisioned
		w.post(infrastructure+"/ssl/slow.localhost", Provision{Renew: true}).want(http.StatusOK, &p)
		if p.Certificate.State != "valid" {
			t.Errorf("%+v", p.Certificate)
		}
	}
	// A body that does not come is given up.
	for _, key := range []string{"", "stuck"} {
		body, send := io.Pipe()
		defer send.Close()
		r, err := http.NewRequest(http.MethodPost, e.http.URL+infrastructure+"/domains", body)
		ok(t, err)
		r.Header.Set("Authorization", "Bearer "+adminToken)
		r.Header.Set("Idempotency-Key", key)
		resp, err := http.DefaultTransport.RoundTrip(r)
		ok(t, err)
		resp.Body.Close()
		if resp.StatusCode != http.StatusRequestTimeout {
			t.Errorf("status %d", resp.StatusCode)
		}
	}
}
