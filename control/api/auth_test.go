package api

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/fault"
)

func cookies(r *reply) map[string]*http.Cookie {
	found := map[string]*http.Cookie{}
	for _, c := range (&http.Response{Header: r.header}).Cookies() {
		found[c.Name] = c
	}
	return found
}

func TestLogin(t *testing.T) {
	e := newEnv(t)
	nobody := &who{e: e}
	nobody.post("/api/v1/login", Login{}).refused(http.StatusUnprocessableEntity, fault.Invalid)
	nobody.post("/api/v1/login", Login{Link: "x", Email: "a@example.com"}).refused(http.StatusUnprocessableEntity, fault.Invalid)
	nobody.post("/api/v1/login", Login{Link: "wrong"}).refused(http.StatusUnauthorized, fault.Unauthenticated)

	var in LoggedIn
	r := nobody.post("/api/v1/login", Login{Link: LoginURL("https://control.example.com/", e.link)}).want(http.StatusOK, &in)
	c := cookies(r)[sessionCookie]
	if c == nil || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Secure || c.Path != "/" || c.Expires.IsZero() {
		t.Fatalf("the session cookie is %+v", c)
	}
	if !in.MustSetPassword || in.User.ID != e.owner.ID || strings.Contains(string(r.body), c.Value) {
		t.Fatalf("%s", r.body)
	}
	nobody.post("/api/v1/login", Login{Link: e.link}).refused(http.StatusUnauthorized, fault.Unauthenticated)

	me := &who{e: e, cookie: c}
	var session Session
	tag := me.get("/api/v1/session").want(http.StatusOK, &session).header.Get("ETag")
	if session.User == nil || session.Principal.PlatformRole != "owner" || len(session.Projects) != 1 || session.Projects[0].ID != "default" ||
		strings.Join(session.Projects[0].Environments, " ") != "production staging" || session.Version != "test" || session.PlatformDomain != "apps.example.com" {
		t.Fatalf("%+v", session)
	}
	me.with("If-Match", tag).do(http.MethodPut, "/api/v1/account", AccountUpdate{Email: "me@example.com", Password: "correct horse"}).want(http.StatusOK)
	me.with("If-Match", tag).do(http.MethodPut, "/api/v1/account", AccountUpdate{Name: "Me"}).refused(http.StatusPreconditionFailed, fault.Stale)
	p := me.with("If-Match", "*").do(http.MethodPut, "/api/v1/account", AccountUpdate{Password: "battery staple", CurrentPassword: "wrong"}).
		refused(http.StatusUnprocessableEntity, fault.Invalid)
	if p.Errors[0].Pointer != "/current_password" {
		t.Errorf("%+v", p)
	}
	e.login(Login{Email: "me@example.com", Password: "correct horse"})
	nobody.post("/api/v1/login", Login{Email: "me@example.com", Password: "wrong"}).refused(http.StatusUnauthorized, fault.Unauthenticated)

	r = me.post("/api/v1/logout", nil).want(http.StatusNoContent)
	if c := cookies(r)[sessionCookie]; c == nil || c.MaxAge >= 0 || c.Value != "" {
		t.Errorf("logging out leaves the cookie %+v", c)
	}
	me.get("/api/v1/session").refused(http.StatusUnauthorized, fault.Unauthenticated)
	// An old cookie is not in the way of a new login.
	me.post("/api/v1/login", Login{Email: "me@example.com", Password: "correct horse"}).want(http.StatusOK)
}

func TestSecureCookies(t *testing.T) {
	e := newEnv(t, func(o *Options) { o.PublicURL = "https://control.example.com" })
	r := (&who{e: e}).post("/api/v1/login", Login{Link: e.link}).want(http.StatusOK)
	c := cookies(r)[sessionCookieSecure]
	if c == nil || !c.Secure || !c.HttpOnly || c.Domain != "" || c.Path != "/" {
		t.Fatalf("%v", r.header)
	}
	me := &who{e: e, cookie: c}
	me.get("/api/v1/session").want(http.StatusOK)
	me.with("Origin", "https://control.example.com").post("/api/v1/projects", NewProject{Name: "one"}).want(http.StatusCreated)
	me.with("Origin", "https://evil.example.com").post("/api/v1/projects", NewProject{Name: "two"}).refused(http.StatusForbidden, fault.Forbidden)
	var invited Invited
	me.post("/api/v1/projects/one/members", Invite{Email: "a@example.com", Role: "viewer"}).want(http.StatusCreated, &invited)
	if !strings.HasPrefix(invited.Link, "https://control.example.com/login?link=") {
		t.Errorf("link %q", invited.Link)
	}
}

func TestCrossSiteRequests(t *testing.T) {
	e := newEnv(t)
	me := e.login(Login{Link: e.link})
	write := func(w *who) *reply { return w.post("/api/v1/projects", NewProject{Name: "p"}) }
	for name, value := range map[string]string{
		csrfHeader: "", "Origin": "https://evil.example.com", "Sec-Fetch-Site": "cross-site",
	} {
		write(me.with(name, value)).refused(http.StatusForbidden, fault.Forbidden)
	}
	write(me.with("Sec-Fetch-Site", "same-site")).refused(http.StatusForbidden, fault.Forbidden)
	write(me.with("Origin", "null")).refused(http.StatusForbidden, fault.Forbidden)
	me.with(csrfHeader, "").get("/api/v1/session").want(http.StatusOK)
	write(me.with("Origin", e.http.URL).with("Sec-Fetch-Site", "same-origin")).want(http.StatusCreated)
	// A login into the attacker's account is a write too.
	(&who{e: e}).with("Origin", "https://evil.example.com").post("/api/v1/login", Login{Link: "x"}).refused(http.StatusForbidden, fault.Forbidden)
	// Tokens are not sent by browsers on their own.
	e.admin().with("Origin", "https://evil.example.com").post("/api/v1/projects", NewProject{Name: "q"}).want(http.StatusCreated)
}

func TestIdempotency(t *testing.T) {
	e := newEnv(t)
	a := e.admin()
	keyed := a.with("Idempotency-Key", "one")
	first := keyed.post("/api/v1/tokens", NewToken{Name: "ci"}).want(http.StatusCreated)
	again := keyed.post("/api/v1/tokens", NewToken{Name: "ci"}).want(http.StatusCreated)
	if string(first.body) != string(again.body) || again.header.Get("Idempotency-Replayed") != "true" || again.header.Get("Location") != first.header.Get("Location") ||
		first.header.Get("Idempotency-Replayed") != "" || again.header.Get("Content-Type") != first.header.Get("Content-Type") {
		t.Fatalf("%s %s %v", first.body, again.body, again.header)
	}
	keyed.post("/api/v1/tokens", NewToken{Name: "other"}).refused(http.StatusUnprocessableEntity, fault.IdempotencyMismatch)
	keyed.post("/api/v1/tokens?project_id=default", NewToken{Name: "ci"}).refused(http.StatusUnprocessableEntity, fault.IdempotencyMismatch)
	keyed.post("/api/v1/projects", NewProject{Name: "ci"}).refused(http.StatusUnprocessableEntity, fault.IdempotencyMismatch)
	a.with("Idempotency-Key", strings.Repeat("k", 300)).post("/api/v1/tokens", NewToken{Name: "ci"}).refused(http.StatusUnprocessableEntity, fault.Invalid)

	// Somebody else's key of the same name is another key.
	other := e.tokenFor("default", access.Owner).with("Idempotency-Key", "one").post("/api/v1/tokens", NewToken{Name: "ci"}).want(http.StatusCreated)
	if string(other.body) == string(first.body) {
		t.Fatal("somebody got another's answer")
	}

	// Refusals are remembered like successes: the request means the same.
	refused := a.with("Idempotency-Key", "two")
	p := refused.post("/api/v1/projects", NewProject{Name: "Not A Name"}).refused(http.StatusUnprocessableEntity, fault.Invalid)
	r := refused.post("/api/v1/projects", NewProject{Name: "Not A Name"}).want(http.StatusUnprocessableEntity)
	if !strings.Contains(string(r.body), p.RequestID) {
		t.Errorf("%s", r.body)
	}
}

// Of many repeats at once, one is carried out and all get its answer.
func TestIdempotencyAtOnce(t *testing.T) {
	e := newEnv(t)
	keyed := e.admin().with("Idempotency-Key", "at once")
	bodies := make([]string, 12)
	var wg sync.WaitGroup
	for i := range bodies {
		wg.Go(func() {
			r := keyed.post(infrastructure+"/domains", AddDomain{Domain: "once.localhost"})
			if r.status != http.StatusCreated {
				t.Errorf("status %d: %s", r.status, r.body)
			}
			bodies[i] = string(r.body)
		})
	}
	wg.Wait()
	for _, b := range bodies {
		if b != bodies[0] {
			t.Fatalf("different answers: %s and %s", bodies[0], b)
		}
	}
}

// An answer that says to try again is not remembered, nor is a panic.
func TestIdempotencyForgets(t *testing.T) {
	e := newEnv(t)
	keyed := e.admin().with("Idempotency-Key", "again")
	e.admin().post(infrastructure+"/domains", AddDomain{Domain: "mail.example.com"}).want(http.StatusCreated)
	for range 2 {
		r := keyed.post(infrastructure+"/domains/mail.example.com/verify", Verify{Method: "email"})
		r.refused(http.StatusServiceUnavailable, fault.Unavailable)
		if r.header.Get("Idempotency-Replayed") != "" {
			t.Error("a 503 was remembered")
		}
	}
	e.server.fleet = panickingFleet{e.fleet}
	keyed = e.admin().with("Idempotency-Key", "panic")
	keyed.post(infrastructure+"/cdn/purge", NewPurge{All: true}).refused(http.StatusInternalServerError, fault.Internal)
	e.server.fleet = e.fleet
	keyed.post(infrastructure+"/cdn/purge", NewPurge{All: true}).want(http.StatusOK)
}
