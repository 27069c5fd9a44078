package acme_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgewright/edgewright/control/acme"
	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/certificates/provision"
	"github.com/edgewright/edgewright/control/certificates/upkeep"
	"github.com/edgewright/edgewright/control/reconcile"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/store/storetest"
	"github.com/edgewright/edgewright/fault"
)

func verify(t *testing.T, p *pebble, chain []*x509.Certificate, names ...string) {
	t.Helper()
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(p.chainRoot)
	for _, c := range chain[1:] {
		intermediates.AddCert(c)
	}
	for _, name := range names {
		if _, err := chain[0].Verify(x509.VerifyOptions{DNSName: name, Roots: roots, Intermediates: intermediates}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestIssue(t *testing.T) {
	p := startPebble(t, "0")
	db := storetest.SQLite(t)
	client := p.client(t, db, nil)
	order, steps := newOrder(t, "shop.example.com", "www.shop.example.com")
	text, err := client.Issue(t.Context(), order)
	if err != nil {
		t.Fatal(err)
	}
	chain := parseChain(t, text)
	verify(t, p, chain, "shop.example.com", "www.shop.example.com")
	if want := []string{certificates.StepOrder, certificates.StepChallenge, certificates.StepValidate, certificates.StepFinalize}; !slices.Equal(steps(), want) {
		t.Errorf("steps %v, want %v", steps(), want)
	}
	if len(p.edge.answers) != 0 || p.edge.removed != 2 {
		t.Errorf("%d challenges left on the edges, %d taken back", len(p.edge.answers), p.edge.removed)
	}
	if life := chain[0].NotAfter.Sub(chain[0].NotBefore); life < 89*24*time.Hour {
		t.Errorf("the default profile gives %v", life)
	}

	// The account is kept: another client, as after a restart, does not register.
	again := p.client(t, db, func(o *acme.Options) { o.Profile = "shortlived" })
	order, _ = newOrder(t, "blog.example.com")
	if text, err = again.Issue(t.Context(), order); err != nil {
		t.Fatal(err)
	}
	if life := time.Until(parseChain(t, text)[0].NotAfter); life > 7*24*time.Hour {
		t.Errorf("the profile shortlived gives %v", life)
	}
	if n := p.requests.count("POST /sign-me-up"); n != 1 {
		t.Errorf("registered %d times", n)
	}
}

func TestRenewalIsSaidToReplace(t *testing.T) {
	p := startPebble(t, "0")
	client := p.client(t, storetest.SQLite(t), nil)
	order, _ := newOrder(t, "shop.example.com")
	text, err := client.Issue(t.Context(), order)
	if err != nil {
		t.Fatal(err)
	}
	leaf := parseChain(t, text)[0]

	window, again, ok, err := client.RenewalWindow(t.Context(), leaf)
	if err != nil || !ok {
		t.Fatalf("renewal information: %v, %v", ok, err)
	}
	if !window.Start.After(leaf.NotBefore) || !window.End.Before(leaf.NotAfter) || !window.End.After(window.Start) || again <= 0 {
		t.Errorf("window %v, again in %v", window, again)
	}

	// Every order is looked at: the first says what it replaces, and when the CA
	// refuses that (Pebble would, but notes it without a lock), one without
	// follows.
	var replaces []string
	refuse := false
	p.requests.take(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, "/order-plz") {
			return false
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		var signed struct{ Payload string }
		var wanted struct{ Replaces string }
		if err := json.Unmarshal(body, &signed); err != nil {
			t.Error(err)
		}
		payload, err := base64.RawURLEncoding.DecodeString(signed.Payload)
		if err != nil {
			t.Error(err)
		}
		if err := json.Unmarshal(payload, &wanted); err != nil {
			t.Error(err)
		}
		replaces = append(replaces, wanted.Replaces)
		if !refuse || wanted.Replaces == "" {
			return false
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusConflict)
		io.WriteString(w, `{"type":"urn:ietf:params:acme:error:alreadyReplaced","detail":"already has a replacement order","status":409}`)
		return true
	})
	order, _ = newOrder(t, "shop.example.com")
	order.Replaces = leaf
	if _, err := client.Issue(t.Context(), order); err != nil {
		t.Fatal(err)
	}
	if len(replaces) != 1 || !strings.Contains(replaces[0], ".") {
		t.Errorf("the renewal's order replaces %q", replaces)
	}
	refuse, replaces = true, nil
	order, _ = newOrder(t, "shop.example.com")
	order.Replaces = leaf
	if _, err := client.Issue(t.Context(), order); err != nil {
		t.Fatal(err)
	}
	if len(replaces) != 2 || replaces[0] == "" || replaces[1] != "" {
		t.Errorf("orders for what is replaced already: %q, want one with and one without", replaces)
	}

	// The CA moves the window, as after an incident.
	moved := `{"suggestedWindow":{"start":"2020-01-01T00:00:00Z","end":"2020-01-02T00:00:00Z"}}`
	body, err := json.Marshal(map[string]string{
		"Certificate": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw})), "ARIResponse": moved,
	})
	if err != nil {
		t.Fatal(err)
	}
	answer := httptest.NewRecorder()
	request := httptest.NewRequest(http.MethodPost, "/set-renewal-info/", bytes.NewReader(body))
	request.Header.Set("User-Agent", "test")
	p.management.ServeHTTP(answer, request)
	if answer.Code != http.StatusOK {
		t.Fatalf("moving the window: %d %s", answer.Code, answer.Body)
	}
	if window, _, _, err = client.RenewalWindow(t.Context(), leaf); err != nil || window.End.Year() != 2020 {
		t.Errorf("the moved window: %v, %v", window, err)
	}
}

func TestBadNonces(t *testing.T) {
	p := startPebble(t, "30")
	client := p.client(t, storetest.SQLite(t), nil)
	for _, name := range []string{"a.example.com", "b.example.com", "c.example.com"} {
		order, _ := newOrder(t, name)
		if _, err := client.Issue(t.Context(), order); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestForgottenAccountIsMadeAgain(t *testing.T) {
	db := storetest.SQLite(t)
	first := startPebble(t, "0")
	client := first.client(t, db, nil)
	order, _ := newOrder(t, "shop.example.com")
	if _, err := client.Issue(t.Context(), order); err != nil {
		t.Fatal(err)
	}
	// The CA loses its database and keeps its address.
	second := startPebble(t, "0")
	first.requests.take(func(w http.ResponseWriter, r *http.Request) bool { second.requests.ServeHTTP(w, r); return true })
	order, _ = newOrder(t, "shop.example.com")
	_, err := client.Issue(t.Context(), order)
	// The second Pebble validates at its own edge, which knows nothing: getting
	// as far as the validation is enough.
	var problem *certificates.IssueError
	if err != nil && (!errors.As(err, &problem) || problem.Reason != "WrongAnswer") {
		t.Errorf("after the CA forgot the account: %v", err)
	}
	if n := second.requests.count("POST /sign-me-up"); n != 1 {
		t.Errorf("registered %d times", n)
	}
}

func TestFailuresAreExplained(t *testing.T) {
	p := startPebble(t, "0")
	db := storetest.SQLite(t)
	tests := []struct {
		name    string
		domain  string
		prepare func(*testing.T)
		reason  string
		says    string // in message or fix
		away    bool
	}{
		{"another server answers", "spoilt.example.com", func(*testing.T) { p.edge.spoil = true }, "WrongAnswer", "spoilt.example.com", false},
		{"no such name", "missing.example.com", func(*testing.T) { p.zone.missing["missing.example.com"] = true }, "ConnectionFailed", "point missing.example.com at your edges", false},
		{"blocked by the CA", "blocked.example.com", func(t *testing.T) {
			if err := p.db.AddBlockedDomain("blocked.example.com"); err != nil {
				t.Fatal(err)
			}
		}, "NameRefused", "upload", false},
		{"a wildcard", "*.example.com", func(*testing.T) {}, "WildcardNeedsDNS", "CNAME", false},
		{"an edge does not take it", "late.example.com", func(*testing.T) { p.edge.refuse = errors.New("edge_1 did not acknowledge") }, "EdgesNotReady", "edge_1", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p.edge.mu.Lock()
			p.edge.spoil, p.edge.refuse = false, nil
			tt.prepare(t)
			p.edge.mu.Unlock()
			orders := p.requests.count("POST /order-plz")
			order, _ := newOrder(t, tt.domain)
			_, err := p.client(t, db, nil).Issue(t.Context(), order)
			var problem *certificates.IssueError
			if !errors.As(err, &problem) {
				t.Fatalf("got %v", err)
			}
			if problem.Reason != tt.reason || problem.Away != tt.away || problem.Message == "" || problem.Fix == "" || problem.Subject != tt.domain ||
				!strings.Contains(problem.Message+" "+problem.Fix, tt.says) {
				t.Errorf("got %+v", problem)
			}
			if strings.HasPrefix(tt.domain, "*") && p.requests.count("POST /order-plz") != orders {
				t.Error("an order was made that cannot succeed")
			}
			p.edge.mu.Lock()
			defer p.edge.mu.Unlock()
			if len(p.edge.answers) != 0 {
				t.Errorf("%d challenges left on the edges", len(p.edge.answers))
			}
		})
	}
}

func TestRetryAfterIsPassedOn(t *testing.T) {
	p := startPebble(t, "0")
	client := p.client(t, storetest.SQLite(t), nil)
	p.requests.take(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, "/order-plz") {
			return false
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.Header().Set("Retry-After", "7200")
		w.WriteHeader(http.StatusTooManyRequests)
		io.WriteString(w, `{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many certificates already issued","status":429}`)
		return true
	})
	order, _ := newOrder(t, "shop.example.com")
	_, err := client.Issue(t.Context(), order)
	var problem *certificates.IssueError
	if !errors.As(err, &problem) || problem.Reason != certificates.ReasonRateLimited {
		t.Fatalf("got %v", err)
	}
	if problem.RetryAfter < 119*time.Minute || problem.RetryAfter > 2*time.Hour {
		t.Errorf("retry after %v", problem.RetryAfter)
	}
}

func TestUnreachableAndUntrustedCA(t *testing.T) {
	p := startPebble(t, "0")
	db := storetest.SQLite(t)
	issue := func(change func(*acme.Options)) *certificates.IssueError {
		t.Helper()
		order, _ := newOrder(t, "shop.example.com")
		_, err := p.client(t, db, change).Issue(t.Context(), order)
		var problem *certificates.IssueError
		if !errors.As(err, &problem) {
			t.Fatalf("got %v", err)
		}
		return problem
	}
	if got := issue(func(o *acme.Options) { o.RootPEM = "" }); got.Reason != "CANotTrusted" || !got.Away || !strings.Contains(got.Fix, "--acme-root") {
		t.Errorf("untrusted: %+v", got)
	}
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	if got := issue(func(o *acme.Options) { o.Directory = "https://" + closed.Listener.Addr().String() + "/dir" }); got.Reason != "CAUnreachable" || !got.Away {
		t.Errorf("unreachable: %+v", got)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for _, o := range []acme.Options{{Directory: "http://ca.example/dir"}, {Directory: "ca.example"}, {RootPEM: "nothing"}} {
		if _, err := acme.New(o); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// owner says that every name is the project's.
type owner struct{}

func (owner) Verified(context.Context, string, string, string) (bool, error) { return true, nil }

// The whole room against the real CA: provision, fail, mend, renew.
func TestRoomWithPebble(t *testing.T) {
	p := startPebble(t, "0")
	db := storetest.SQLite(t)
	room := provision.New(certificates.Room{Store: db, Vault: db, Ownership: owner{}})
	loop := reconcile.New(reconcile.Options{Store: db}, upkeep.NewReconciler(room.Room, room.Judge, map[certificates.CertType]certificates.Issuer{certificates.TypeACME: p.client(t, db, nil)}, nil))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- loop.Run(ctx) }()
	defer func() { stop(); <-ended }()
	cause := resource.Cause{Actor: "user usr_test", Via: "test"}
	var asBefore provision.Settings
	provision := func(domain string) certificates.Certificate {
		t.Helper()
		bound, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		c, err := room.Provision(bound, provision.Request{Project: "alpha", Environment: "production", Domain: domain, Type: certificates.TypeACME, AutoRenew: true}, cause)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}

	c := provision("shop.example.com")
	if c.Status.State != certificates.StateValid || !strings.Contains(c.Status.Issuer, "Pebble") {
		t.Fatalf("provisioned: %+v", c.Status)
	}
	b, err := room.Bundle(t.Context(), c.ID, c.Status.Generation)
	if err != nil {
		t.Fatal(err)
	}
	verify(t, p, parseChain(t, b.ChainPEM), "shop.example.com")

	renewed, err := room.Renew(t.Context(), "alpha", "production", "shop.example.com", asBefore, cause)
	if err != nil || renewed.Status.State != certificates.StateValid || renewed.Status.Serial == c.Status.Serial {
		t.Errorf("renewed: %+v, %v", renewed.Status, err)
	}

	p.edge.mu.Lock()
	p.edge.spoil = true
	p.edge.mu.Unlock()
	failed := provision("blog.example.com")
	if failed.Status.State != certificates.StateFailed || failed.Status.LastError.Reason != "WrongAnswer" || failed.Status.NextAttempt == nil || failed.Status.LastError.Fix == "" {
		t.Fatalf("with another server in the way: %+v", failed.Status)
	}
	p.edge.mu.Lock()
	p.edge.spoil = false
	p.edge.mu.Unlock()
	if mended := provision("blog.example.com"); mended.Status.State != certificates.StateValid || mended.Status.LastError != nil {
		t.Errorf("mended: %+v", mended.Status)
	}
}
