package client

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/edgewright/edgewright/fault"
)

// recorded is a fake server for what the real one cannot be asked for: faults.
type recorded struct {
	*httptest.Server
	mu       sync.Mutex
	requests []*http.Request
	bodies   []string
}

// seen returns the requests so far and their bodies.
func (r *recorded) seen() ([]*http.Request, []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.requests), slices.Clone(r.bodies)
}

func serve(t *testing.T, answer func(n int, w http.ResponseWriter, r *http.Request)) *recorded {
	t.Helper()
	rec := &recorded{}
	rec.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		rec.mu.Lock()
		rec.requests, rec.bodies = append(rec.requests, r), append(rec.bodies, string(body))
		n := len(rec.requests)
		rec.mu.Unlock()
		answer(n, w, r)
	}))
	t.Cleanup(rec.Close)
	return rec
}

// connect returns a client whose waits are recorded and take no time.
func connect(t *testing.T, rec *recorded) (*Client, *[]time.Duration) {
	t.Helper()
	waits := &[]time.Duration{}
	c, err := New(Options{
		URL: rec.URL + "/", Token: "ew_secret", Project: "shop", Environment: "staging", Via: "cli",
		Sleep: func(ctx context.Context, d time.Duration) error { *waits = append(*waits, d); return ctx.Err() },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdleConnections)
	return c, waits
}

func problemAnswer(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

func TestRequests(t *testing.T) {
	rec := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"domain_config":{"domain":"a.example"},"actions":[],"domains":[],"next_cursor":""}`)
	})
	c, _ := connect(t, rec)
	ctx := t.Context()
	off := false
	calls := []struct {
		name, method, uri, body string
		do                      func() error
		match                   string
		key                     bool
	}{
		{
			"get", "GET", "/api/v1/infrastructure/domains/a.example?environment=staging&project_id=shop", "",
			func() error { _, err := c.Domain(ctx, "a.example"); return err }, "", false,
		},
		{
			"escape", "GET", "/api/v1/infrastructure/domains/a%2Fb%3F?environment=staging&project_id=shop", "",
			func() error { _, err := c.Domain(ctx, "a/b?"); return err }, "", false,
		},
		{
			"add", "POST", "/api/v1/infrastructure/domains?environment=staging&project_id=shop", `{"domain":"a.example","auto_configure":true}`,
			func() error {
				_, err := c.AddDomain(ctx, AddDomain{Domain: "a.example", AutoConfigure: true})
				return err
			}, "", true,
		},
		{
			"patch", "PATCH", "/api/v1/infrastructure/domains/a.example?environment=staging&project_id=shop", `{"redirect_https":false}`,
			func() error {
				_, err := c.UpdateDomain(ctx, "a.example", 42, DomainPatch{RedirectHTTPS: &off})
				return err
			}, `"42"`, false,
		},
		{
			"delete any", "DELETE", "/api/v1/infrastructure/domains/a.example?environment=staging&project_id=shop", "",
			func() error { return c.RemoveDomain(ctx, "a.example", 0) }, "*", false,
		},
		{
			"dry run", "DELETE", "/api/v1/infrastructure/domains/a.example?dry_run=true&environment=staging&project_id=shop", "",
			func() error { _, err := c.PlanRemoveDomain(ctx, "a.example", 7); return err }, `"7"`, false,
		},
		{
			"other project", "GET", "/api/v1/infrastructure/domains?environment=production&limit=100&project_id=other", "",
			func() error { _, err := Collect(c.In("other", "production").Domains(ctx)); return err }, "", false,
		},
	}
	for i, tt := range calls {
		if err := tt.do(); err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		requests, bodies := rec.seen()
		r := requests[i]
		if r.Method != tt.method || r.RequestURI != tt.uri || bodies[i] != tt.body {
			t.Errorf("%s: %s %s %s", tt.name, r.Method, r.RequestURI, bodies[i])
		}
		if got := r.Header.Get("If-Match"); got != tt.match {
			t.Errorf("%s: If-Match %q, want %q", tt.name, got, tt.match)
		}
		if got := r.Header.Get("Idempotency-Key") != ""; got != tt.key {
			t.Errorf("%s: Idempotency-Key %q", tt.name, r.Header.Get("Idempotency-Key"))
		}
		if r.Header.Get("Authorization") != "Bearer ew_secret" || r.Header.Get("X-Edgewright-Via") != "cli" {
			t.Errorf("%s: headers %v", tt.name, r.Header)
		}
	}
}

func TestProblem(t *testing.T) {
	rec := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		problemAnswer(w, 422, `{"type":"t","title":"Invalid","status":422,"detail":"the domain is not valid","code":"invalid","request_id":"req_1","resource":"domain x",
			"errors":[{"pointer":"/domain","detail":"no dot","fix":"add one"}]}`)
	})
	c, waits := connect(t, rec)
	_, err := c.AddDomain(t.Context(), AddDomain{Domain: "x"})
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("%T %v", err, err)
	}
	want := &Error{
		Status: 422, Code: fault.Invalid, Title: "Invalid", Detail: "the domain is not valid", RequestID: "req_1", Resource: "domain x",
		Fields: []fault.Field{{Pointer: "/domain", Detail: "no dot", Fix: "add one"}},
	}
	if d := cmp.Diff(want, e); d != "" {
		t.Error(d)
	}
	requests, _ := rec.seen()
	if !fault.Is(err, fault.Invalid) || len(*waits) != 0 || len(requests) != 1 {
		t.Errorf("code %s, waits %v, requests %d", fault.CodeOf(err), *waits, len(requests))
	}
	var f *fault.Error
	if !errors.As(err, &f) || len(f.Fields) != 1 {
		t.Errorf("as fault: %+v", f)
	}
}

// An answer from something that is no Edgewright must be told as that.
func TestForeignAnswer(t *testing.T) {
	rec := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "<h1>nope</h1>")
	})
	c, _ := connect(t, rec)
	_, err := c.Session(t.Context())
	if !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), "not in the form of the Edgewright API") {
		t.Fatalf("%v", err)
	}
}

func TestRepeats(t *testing.T) {
	busy := func(status int, after string) func(int, http.ResponseWriter) {
		return func(_ int, w http.ResponseWriter) {
			if after != "" {
				w.Header().Set("Retry-After", after)
			}
			problemAnswer(w, status, `{"code":"unavailable","detail":"busy"}`)
		}
	}
	drop := func(_ int, w http.ResponseWriter) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_ = conn.Close()
		}
	}
	tests := []struct {
		name     string
		fail     func(int, http.ResponseWriter)
		failures int
		do       func(c *Client) error
		requests int
		waits    []time.Duration
		code     fault.Code
	}{
		{"get after 503", busy(503, "0"), 2, func(c *Client) error { _, err := c.Session(t.Context()); return err }, 3, []time.Duration{200 * time.Millisecond, 400 * time.Millisecond}, ""},
		{"post after 429 with seconds", busy(429, "3"), 1, func(c *Client) error { _, err := c.CreateProject(t.Context(), NewProject{Name: "x"}); return err }, 2, []time.Duration{3 * time.Second}, ""},
		{"delete after 503", busy(503, "0"), 1, func(c *Client) error { return c.RevokeToken(t.Context(), "x") }, 2, []time.Duration{200 * time.Millisecond}, ""},
		{"told to wait too long", busy(503, "3600"), 9, func(c *Client) error { _, err := c.Session(t.Context()); return err }, 1, nil, fault.Unavailable},
		{"not asked to", busy(503, ""), 9, func(c *Client) error { _, err := c.Session(t.Context()); return err }, 1, nil, fault.Unavailable},
		{"never 500", busy(500, ""), 9, func(c *Client) error { _, err := c.Session(t.Context()); return err }, 1, nil, fault.Unavailable},
		{
			"gives up", busy(503, "0"), 9, func(c *Client) error { _, err := c.Session(t.Context()); return err }, 5,
			[]time.Duration{200 * time.Millisecond, 400 * time.Millisecond, 800 * time.Millisecond, 1600 * time.Millisecond},
			fault.Unavailable,
		},
		{"get after a lost connection", drop, 1, func(c *Client) error { _, err := c.Session(t.Context()); return err }, 2, []time.Duration{200 * time.Millisecond}, ""},
		{"keyed post after a lost connection", drop, 1, func(c *Client) error { _, err := c.CreateProject(t.Context(), NewProject{Name: "x"}); return err }, 2, []time.Duration{200 * time.Millisecond}, ""},
		// It may have been carried out: the repeat would be stale, or would
		// undo somebody else's work.
		{"patch after a lost connection", drop, 1, func(c *Client) error { _, err := c.UpdateProject(t.Context(), "x", 3, ProjectPatch{}); return err }, 1, nil, fault.Unavailable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rec := serve(t, func(n int, w http.ResponseWriter, _ *http.Request) {
				if n <= tt.failures {
					tt.fail(n, w)
					return
				}
				w.Header().Set("Content-Type", "application/json")
				_, _ = io.WriteString(w, `{}`)
			})
			c, waits := connect(t, rec)
			err := tt.do(c)
			if fault.CodeOf(err) != tt.code {
				t.Errorf("error %v", err)
			}
			requests, bodies := rec.seen()
			if len(requests) != tt.requests || !slices.Equal(*waits, tt.waits) {
				t.Errorf("%d requests, waits %v; want %d, %v", len(requests), *waits, tt.requests, tt.waits)
			}
			key := requests[0].Header.Get("Idempotency-Key")
			for i, r := range requests {
				if r.Header.Get("Idempotency-Key") != key || bodies[i] != bodies[0] {
					t.Errorf("request %d differs from the first", i)
				}
			}
		})
	}
}

// With less time left than the wait takes, the reason comes back at once.
func TestDeadlineBeforeRepeat(t *testing.T) {
	rec := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "30")
		problemAnswer(w, 429, `{"code":"rate_limited","detail":"slow down"}`)
	})
	c, waits := connect(t, rec)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, err := c.Session(ctx)
	var e *Error
	if !errors.As(err, &e) || e.RetryAfter != 30*time.Second || len(*waits) != 0 {
		t.Fatalf("%v, waits %v", err, *waits)
	}
}

func TestCancelled(t *testing.T) {
	started := make(chan struct{})
	rec := serve(t, func(_ int, _ http.ResponseWriter, r *http.Request) {
		close(started)
		<-r.Context().Done()
	})
	c, _ := connect(t, rec)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-started; cancel() }()
	if _, err := c.Session(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("%v", err)
	}
}

func TestPages(t *testing.T) {
	rec := serve(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Query().Get("cursor") {
		case "":
			_, _ = io.WriteString(w, `{"domains":[{"domain":"a"},{"domain":"b"}],"next_cursor":"2"}`)
		case "2":
			_, _ = io.WriteString(w, `{"domains":[],"next_cursor":"3"}`)
		case "3":
			_, _ = io.WriteString(w, `{"domains":[{"domain":"c"}],"next_cursor":""}`)
		}
	})
	c, _ := connect(t, rec)
	var got []string
	for d, err := range c.Domains(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, d.Domain)
	}
	if requests, _ := rec.seen(); !slices.Equal(got, []string{"a", "b", "c"}) || len(requests) != 3 {
		t.Errorf("%v in %d requests", got, len(requests))
	}
	// Leaving early asks for nothing more.
	for range c.Domains(t.Context()) {
		break
	}
	if requests, _ := rec.seen(); len(requests) != 4 {
		t.Errorf("%d requests", len(requests))
	}
}

func TestPagesError(t *testing.T) {
	rec := serve(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		if n == 1 {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"domains":[{"domain":"a"}],"next_cursor":"2"}`)
			return
		}
		problemAnswer(w, 403, `{"code":"forbidden","detail":"no"}`)
	})
	c, _ := connect(t, rec)
	if list, err := Collect(c.Domains(t.Context())); !fault.Is(err, fault.Forbidden) || list != nil {
		t.Errorf("%v %v", list, err)
	}
}

// A server that answers the same cursor for ever must not be asked for ever.
func TestPagesRepeatedCursor(t *testing.T) {
	rec := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"domains":[{"domain":"a"}],"next_cursor":"x"}`)
	})
	c, _ := connect(t, rec)
	if list, err := Collect(c.Domains(t.Context())); err != nil || len(list) != 2 {
		t.Errorf("%d %v", len(list), err)
	}
}

func TestNotTheList(t *testing.T) {
	rec := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"hello":"world"}`)
	})
	c, _ := connect(t, rec)
	if _, err := Collect(c.Domains(t.Context())); !fault.Is(err, fault.Unavailable) {
		t.Errorf("%v", err)
	}
}

func TestTokenStaysWithItsHost(t *testing.T) {
	var leaked atomic.Bool
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { leaked.Store(true) }))
	t.Cleanup(other.Close)
	rec := serve(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	})
	c, _ := connect(t, rec)
	if _, err := c.Session(t.Context()); err == nil || leaked.Load() {
		t.Errorf("error %v, other host asked: %v", err, leaked.Load())
	}
}

func TestNew(t *testing.T) {
	for _, bad := range []string{"", "localhost:7070", "ftp://x", "http://", "http://u:p@x", "http://x?y=1", "http://x#y", "://"} {
		if _, err := New(Options{URL: bad}); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	c, err := New(Options{URL: "https://control.example.com/"})
	if err != nil || c.URL() != "https://control.example.com" || c.Project() != DefaultProject || c.Environment() != DefaultEnvironment {
		t.Errorf("%+v %v", c, err)
	}
}

func TestUnreachable(t *testing.T) {
	rec := serve(t, func(int, http.ResponseWriter, *http.Request) {})
	plain := rec.URL
	encrypted := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(encrypted.Close)
	address := rec.Listener.Addr().String()
	tests := []struct{ name, url, want string }{
		{"unknown CA", encrypted.URL, "--root-ca"},
		{"no TLS", strings.Replace(plain, "http:", "https:", 1), "use http://"},
		{"nobody", "http://" + address, "is it running"},
	}
	for _, tt := range tests {
		if tt.name == "nobody" {
			rec.Close()
		}
		c, err := New(Options{URL: tt.url, Retries: -1})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Session(t.Context())
		if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "/api/v1/session") {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "5": 5 * time.Second, " 7 ": 7 * time.Second, "-1": 0, "x": 0, "1.5": 0,
		"Sun, 22 Nov 2026 10:00:30 GMT": 30 * time.Second,
		"Sun, 22 Nov 2026 09:00:00 GMT": 0,
		"999999999":                     maxRetryAfter,
		"99999999999999999999":          0,
	} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}

func TestTrustRootIsBounded(t *testing.T) {
	rec := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(bytes.Repeat([]byte("x"), maxRootBytes+1))
	})
	c, _ := connect(t, rec)
	if _, err := c.TrustRoot(t.Context()); !fault.Is(err, fault.TooLarge) {
		t.Errorf("%v", err)
	}
}

// A backup whose connection breaks must not pass for a whole one.
func TestBackupCutShort(t *testing.T) {
	rec := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(1000))
		_, _ = io.WriteString(w, "half")
	})
	c, _ := connect(t, rec)
	var b bytes.Buffer
	if n, err := c.Backup(t.Context(), &b); !fault.Is(err, fault.Unavailable) || n != 4 {
		t.Errorf("%d %v", n, err)
	}
}

func TestQueries(t *testing.T) {
	rec := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"revisions":[],"records":[],"series":[],"next_cursor":""}`)
	})
	c, _ := connect(t, rec)
	_, _ = Collect(c.Revisions(t.Context(), HistoryQuery{Kind: "domain", ID: "dom_1"}))
	_, _ = Collect(c.Audit(t.Context(), AuditQuery{Action: "login", Actor: "user usr_1"}))
	_, _ = c.Traffic(t.Context(), TrafficQuery{Window: 10 * time.Minute, Step: time.Minute, Domain: "a.example"})
	_, _ = c.DNSQueries(t.Context(), "a.example", DNSQueriesWish{Window: 10 * time.Minute, Step: time.Minute})
	want := []url.Values{
		{"project_id": {"shop"}, "environment": {"staging"}, "kind": {"domain"}, "id": {"dom_1"}, "limit": {"50"}},
		{"project_id": {"shop"}, "action": {"login"}, "actor": {"user usr_1"}, "limit": {"100"}},
		{"project_id": {"shop"}, "environment": {"staging"}, "window": {"600"}, "step": {"60"}, "domain": {"a.example"}},
		{"project_id": {"shop"}, "environment": {"staging"}, "window": {"600"}, "step": {"60"}},
	}
	requests, _ := rec.seen()
	for i, r := range requests {
		if d := cmp.Diff(want[i], r.URL.Query()); d != "" {
			t.Error(d)
		}
	}
}
