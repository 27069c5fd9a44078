package acme_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edgewright/edgewright/control/acme"
	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/certificates/authority"
	"github.com/edgewright/edgewright/control/certificates/provision"
	"github.com/edgewright/edgewright/control/certificates/upkeep"
	"github.com/edgewright/edgewright/control/reconcile"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/store"
	"github.com/edgewright/edgewright/control/store/storetest"
)

func only(challenge certificates.Challenge, names ...string) map[string][]certificates.Challenge {
	m := map[string][]certificates.Challenge{}
	for _, n := range names {
		m[n] = []certificates.Challenge{challenge}
	}
	return m
}

func TestChallenges(t *testing.T) {
	p := startPebble(t, "0")
	db := storetest.SQLite(t)
	client := p.client(t, db, func(o *acme.Options) { o.TXT, o.Resolver = []acme.TXTChooser{p.zone}, p.zone })
	rsaKey, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		what       string
		names      []string
		challenges map[string][]certificates.Challenge
		key        crypto.Signer
		shaken     bool
	}{
		{"HTTP-01", []string{"a.example.com"}, only(certificates.ChallengeHTTP01, "a.example.com"), nil, false},
		{"TLS-ALPN-01", []string{"b.example.com"}, only(certificates.ChallengeTLSALPN, "b.example.com"), nil, true},
		{"DNS-01", []string{"c.example.com"}, only(certificates.ChallengeDNS01, "c.example.com"), nil, false},
		{"a wildcard, chosen by itself", []string{"*.example.com"}, nil, nil, false},
		{"a wildcard and its base", []string{"example.com", "*.example.com", "www.example.net"}, nil, nil, false},
		{"an address by HTTP-01", []string{"127.0.0.1"}, only(certificates.ChallengeHTTP01, "127.0.0.1"), nil, false},
		{"an address by TLS-ALPN-01", []string{"127.0.0.1"}, only(certificates.ChallengeTLSALPN, "127.0.0.1"), nil, true},
		{"RSA 3072", []string{"rsa.example.com"}, nil, rsaKey, false},
		{"P-384", []string{"p384.example.com"}, nil, p384, false},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			order, _ := newOrder(t, tt.names...)
			order.Challenges = tt.challenges
			if tt.key != nil {
				order.Key = tt.key
			}
			before := p.edge.count()
			text, err := client.Issue(t.Context(), order)
			if err != nil {
				t.Fatal(err)
			}
			chain := parseChain(t, text)
			verify(t, p, chain, tt.names[0])
			for _, name := range tt.names {
				if err := chain[0].VerifyHostname(strings.Replace(name, "*.", "any.", 1)); err != nil {
					t.Error(err)
				}
			}
			if shaken := p.edge.count() > before; shaken != tt.shaken {
				t.Errorf("TLS-ALPN-01 was used: %v, want %v", shaken, tt.shaken)
			}
			p.zone.mu.Lock()
			defer p.zone.mu.Unlock()
			for name, texts := range p.zone.txt {
				if len(texts) > 0 {
					t.Errorf("%s is left in DNS: %q", name, texts)
				}
			}
		})
	}
}

func (e *edge) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.shaken
}

// After a failure another challenge gets its turn.
func TestNextChallengeGetsItsTurn(t *testing.T) {
	p := startPebble(t, "0")
	client := p.client(t, storetest.SQLite(t), nil)
	order, _ := newOrder(t, "shop.example.com")
	order.Attempt = 1
	if _, err := client.Issue(t.Context(), order); err != nil {
		t.Fatal(err)
	}
	if p.edge.count() == 0 {
		t.Error("HTTP-01 was taken again")
	}
}

func TestDelegatedDNS(t *testing.T) {
	p := startPebble(t, "0")
	delegated := acme.Delegated{Zone: "acme.edge.example.org", Presenter: p.zone}
	client := p.client(t, storetest.SQLite(t), func(o *acme.Options) { o.TXT, o.Resolver = []acme.TXTChooser{delegated}, p.zone })
	issue := func(project string) error {
		order, _ := newOrder(t, "*.foreign.example")
		order.Project = project
		_, err := client.Issue(t.Context(), order)
		return err
	}
	var problem *certificates.IssueError
	if err := issue("alpha"); !errors.As(err, &problem) || problem.Reason != "WildcardNeedsDNS" {
		t.Errorf("without the record: %v", err)
	}
	target := delegated.Target("alpha", "*.foreign.example")
	if target == delegated.Target("beta", "foreign.example") || target != delegated.Target("alpha", "foreign.example") || !strings.HasSuffix(target, ".acme.edge.example.org") {
		t.Errorf("target %s", target)
	}
	p.zone.mu.Lock()
	p.zone.cname["_acme-challenge.foreign.example"] = "hop.example.net"
	p.zone.cname["hop.example.net"] = target
	p.zone.mu.Unlock()
	if err := issue("alpha"); err != nil {
		t.Errorf("with the record: %v", err)
	}
	// Another project cannot have the name proved through it.
	if err := issue("beta"); !errors.As(err, &problem) || problem.Reason != "WildcardNeedsDNS" {
		t.Errorf("another project: %v", err)
	}
}

func TestAccountBinding(t *testing.T) {
	p := startPebbleWith(t, "0", true)
	mac := base64.RawURLEncoding.EncodeToString([]byte("a key that the CA has handed out"))
	if err := p.db.AddExternalAccountKeyByID("kid-1", mac); err != nil {
		t.Fatal(err)
	}
	order, _ := newOrder(t, "shop.example.com")
	var problem *certificates.IssueError
	if _, err := p.client(t, storetest.SQLite(t), nil).Issue(t.Context(), order); !errors.As(err, &problem) || problem.Reason != "AccountBindingNeeded" {
		t.Errorf("without a binding: %v", err)
	}
	if _, err := p.client(t, storetest.SQLite(t), func(o *acme.Options) { o.EABKeyID, o.EABMACKey = "kid-1", "not base64!" }).Issue(t.Context(), order); !errors.As(err, &problem) || problem.Reason != "AccountBindingNeeded" {
		t.Errorf("with a broken key: %v", err)
	}
	if _, err := p.client(t, storetest.SQLite(t), func(o *acme.Options) { o.EABKeyID, o.EABMACKey = "kid-1", mac }).Issue(t.Context(), order); err != nil {
		t.Errorf("with the binding: %v", err)
	}
}

func TestProfiles(t *testing.T) {
	p := startPebble(t, "0")
	client := p.client(t, storetest.SQLite(t), nil)
	order, _ := newOrder(t, "shop.example.com")
	order.Profile = "shortlived"
	text, err := client.Issue(t.Context(), order)
	if err != nil {
		t.Fatal(err)
	}
	if life := time.Until(parseChain(t, text)[0].NotAfter); life > 7*24*time.Hour {
		t.Errorf("shortlived gives %v", life)
	}
	orders := p.requests.count("POST /order-plz")
	order, _ = newOrder(t, "shop.example.com")
	order.Profile = "paper"
	var problem *certificates.IssueError
	if _, err := client.Issue(t.Context(), order); !errors.As(err, &problem) || problem.Reason != "NoProfile" || !strings.Contains(problem.Fix, "shortlived") {
		t.Errorf("an unknown profile: %v", err)
	}
	if p.requests.count("POST /order-plz") != orders {
		t.Error("an order was made with it")
	}
}

func TestRevoke(t *testing.T) {
	p := startPebble(t, "0")
	client := p.client(t, storetest.SQLite(t), nil)
	order, _ := newOrder(t, "shop.example.com")
	text, err := client.Issue(t.Context(), order)
	if err != nil {
		t.Fatal(err)
	}
	leaf := parseChain(t, text)[0]
	for range 2 { // that it is revoked already is no error
		if err := client.Revoke(t.Context(), leaf, order.Key, 1); err != nil {
			t.Fatal(err)
		}
	}
	if p.db.GetRevokedCertificateBySerial(leaf.SerialNumber) == nil {
		t.Error("the CA has not revoked it")
	}
	// By the key of the certificate, where the account is another's.
	order, _ = newOrder(t, "blog.example.com")
	if text, err = client.Issue(t.Context(), order); err != nil {
		t.Fatal(err)
	}
	if err := p.client(t, storetest.SQLite(t), nil).Revoke(t.Context(), parseChain(t, text)[0], order.Key, 4); err != nil {
		t.Errorf("with the certificate's key: %v", err)
	}
}

func TestDescribe(t *testing.T) {
	p := startPebble(t, "0")
	client := p.client(t, storetest.SQLite(t), nil)
	if uri, err := client.AccountURI(t.Context()); err != nil || uri != "" {
		t.Errorf("before anything: %q, %v", uri, err)
	}
	identities, uri, err := client.Describe(t.Context())
	if err != nil || !slices.Equal(identities, []string{"pebble.letsencrypt.org"}) || !strings.Contains(uri, "/my-account/") {
		t.Errorf("%q, %q, %v", identities, uri, err)
	}
	if kept, err := client.AccountURI(t.Context()); err != nil || kept != uri {
		t.Errorf("kept %q, %v", kept, err)
	}
	if profiles, err := client.Profiles(t.Context()); err != nil || !slices.Contains(profiles, "shortlived") || !slices.IsSorted(profiles) {
		t.Errorf("profiles %q, %v", profiles, err)
	}
}

// plane is the room with a loop on the real CA, as a control plane has it.
type plane struct {
	db   *store.DB
	room *provision.Service
	stop func()
}

func startPlane(t *testing.T, db *store.DB, issuer certificates.Issuer) *plane {
	t.Helper()
	return startPlaneAt(t, db, issuer, time.Now)
}

func startPlaneAt(t *testing.T, db *store.DB, issuer certificates.Issuer, clock func() time.Time) *plane {
	t.Helper()
	room := provision.New(certificates.Room{Store: db, Vault: db, Ownership: owner{}, Ledger: db, Now: clock})
	loop := reconcile.New(reconcile.Options{Store: db}, upkeep.NewReconciler(room.Room, room.Judge, map[certificates.CertType]certificates.Issuer{certificates.TypeACME: issuer}, nil))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- loop.Run(ctx) }()
	stopped := false
	p := &plane{db, room, func() {
		if !stopped {
			stopped = true
			cancel()
			<-ended
		}
	}}
	t.Cleanup(p.stop)
	return p
}

func (p *plane) provision(t *testing.T, domain string) certificates.Certificate {
	t.Helper()
	bound, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := p.room.Provision(bound, provision.Request{Project: "alpha", Environment: "production", Domain: domain, Type: certificates.TypeACME, AutoRenew: true}, resource.Cause{Actor: "user usr_test", Via: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Nonces that are refused cost time and nothing else.
func TestHostileNonces(t *testing.T) {
	for _, share := range []string{"15", "50"} {
		t.Run(share, func(t *testing.T) {
			p := startPebble(t, share)
			pl := startPlane(t, storetest.SQLite(t), p.client(t, storetest.SQLite(t), nil))
			const names = 3
			for i := range names {
				domain := fmt.Sprintf("n%d.example.com", i)
				c := pl.provision(t, domain)
				for attempt := 0; c.Status.State != certificates.StateValid && attempt < 4; attempt++ {
					c = pl.provision(t, domain) // asked for again, as a user would
				}
				if c.Status.State != certificates.StateValid {
					t.Errorf("%s: %+v", domain, c.Status.LastError)
				}
			}
			// An order that the CA has taken is taken up, not made anew.
			if got := p.orders(); got != names {
				t.Errorf("%d orders for %d names", got, names)
			}
		})
	}
}

// orders counts those that the CA has.
func (p *pebble) orders() int {
	return len(p.db.GetOrdersByAccountID(p.account()))
}

func (p *pebble) account() string {
	p.requests.mu.Lock()
	defer p.requests.mu.Unlock()
	return p.requests.account
}

// cut is a connection that breaks after the CA has heard: the client never sees
// the answer.
func cut(w http.ResponseWriter) {
	panic(http.ErrAbortHandler)
}

// The connection breaks once at each step; the process dies there and starts
// again. Every name ends valid, and no step costs a second order but the one
// whose answer was lost before its URL could be known.
func TestCutAtEveryStep(t *testing.T) {
	steps := []struct {
		path   string
		orders int
	}{
		{"/order-plz", 2}, // the URL was in the lost answer
		{"/authZ/", 1}, {"/chalZ/", 1}, {"/finalize-order/", 1}, {"/my-order/", 1}, {"/certZ/", 1}, {"/nonce-plz", 1}, {"/dir", 1},
	}
	for _, step := range steps {
		for _, heard := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s heard=%v", step.path, heard), func(t *testing.T) {
				p := startPebble(t, "0")
				db := storetest.SQLite(t)
				var cuts atomic.Int32
				died := make(chan struct{})
				p.requests.take(func(w http.ResponseWriter, r *http.Request) bool {
					if !strings.HasPrefix(r.URL.Path, step.path) || cuts.Add(1) > 3 { // the client tries three times
						return false
					}
					if heard {
						p.requests.next.ServeHTTP(httptest.NewRecorder(), r)
					}
					if cuts.Load() == 1 {
						close(died)
					}
					cut(w)
					return true
				})
				first := startPlane(t, db, p.client(t, db, nil))
				if err := first.room.Ensure(t.Context(), "alpha", "production", "shop.example.com", resource.Cause{Actor: "system test", Via: "system"}); err != nil {
					t.Fatal(err)
				}
				select {
				case <-died:
				case <-time.After(30 * time.Second):
					t.Fatalf("the CA was not asked at %s", step.path)
				}
				first.stop()
				p.requests.take(nil)
				second := startPlane(t, db, p.client(t, db, nil))
				c := second.provision(t, "shop.example.com")
				for attempt := 0; c.Status.State != certificates.StateValid && attempt < 3; attempt++ {
					c = second.provision(t, "shop.example.com")
				}
				if c.Status.State != certificates.StateValid {
					t.Fatalf("in the end: %+v, %+v", c.Status, c.Status.LastError)
				}
				if got := p.orders(); got > step.orders {
					t.Errorf("%d orders, want at most %d", got, step.orders)
				}
			})
		}
	}
}

// A process that dies again and again in the middle of an order makes no more of
// them than one that does not.
func TestRestartLoop(t *testing.T) {
	p := startPebble(t, "0")
	db := storetest.SQLite(t)
	reached := make(chan struct{}, 1)
	p.requests.take(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, "/finalize-order/") {
			return false
		}
		_, _ = io.Copy(io.Discard, r.Body) // or the server does not notice that the client is gone
		select {
		case reached <- struct{}{}:
		default:
		}
		<-r.Context().Done()
		return true
	})
	room := provision.New(certificates.Room{Store: db, Vault: db, Ownership: owner{}, Ledger: db})
	if err := room.Ensure(t.Context(), "alpha", "production", "shop.example.com", resource.Cause{Actor: "system test", Via: "system"}); err != nil {
		t.Fatal(err)
	}
	c, err := room.Get(t.Context(), "alpha", "production", "shop.example.com")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	deaths := 0
	for range 50 {
		// Each starts anew from what is on disk, a minute to a day after the last.
		now = now.Add(25 * time.Hour)
		at := now
		room := provision.New(certificates.Room{Store: db, Vault: db, Ownership: owner{}, Ledger: db, Now: func() time.Time { return at }})
		rec := upkeep.NewReconciler(room.Room, room.Judge, map[certificates.CertType]certificates.Issuer{certificates.TypeACME: p.client(t, db, nil)}, nil)
		ctx, die := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = rec.Reconcile(ctx, reconcile.Ref{Kind: certificates.Kind, ID: c.ID})
		}()
		select {
		case <-reached:
			deaths++
		case <-done:
		}
		die()
		<-done
	}
	if got := p.orders(); got != 1 || deaths < 40 {
		t.Errorf("%d orders in %d deaths, want one", got, deaths)
	}
	p.requests.take(nil)
	// The clock stands where the deaths have brought it; the last wait is over.
	last := startPlaneAt(t, db, p.client(t, db, nil), func() time.Time { return now.Add(25 * time.Hour) })
	c = last.provision(t, "shop.example.com")
	if c.Status.State != certificates.StateValid || p.orders() != 1 {
		t.Errorf("in the end: %+v, %d orders", c.Status, p.orders())
	}
}

// Several CAs: the set gives them in order, one set up wrongly stops none, and
// the second issues when the first is away.
func TestSetFallsBack(t *testing.T) {
	p := startPebble(t, "0")
	db := storetest.SQLite(t)
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	set, err := acme.NewSet(acme.SetOptions{
		Default: acme.Options{Directory: "https://" + closed.Listener.Addr().String() + "/dir", Vault: db, Presenter: p.edge}, Store: db,
	})
	if err != nil {
		t.Fatal(err)
	}
	pl := startPlane(t, db, set)
	cause := resource.Cause{Actor: "user usr_test", Via: "test"}
	for name, spec := range map[string]authority.Spec{
		"second":   {Directory: p.directory, RootPEM: p.rootPEM, Priority: 150},
		"third":    {Directory: "https://127.0.0.1:1/dir", Priority: 160},
		"disabled": {Directory: "https://127.0.0.1:1/dir", Priority: 1, Disabled: true},
	} {
		plan, err := authority.New(db, db).PutCA(t.Context(), name, spec, "", 0, true)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Commit(t.Context(), plan.Commit(cause)); err != nil {
			t.Fatal(err)
		}
	}
	list, err := set.Authorities(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, a := range list {
		if a.Retired != (a.Name == "disabled") {
			t.Errorf("%s: retired %v", a.Name, a.Retired)
		}
		names = append(names, a.Name)
	}
	if !slices.Equal(names, []string{"disabled", "default", "second", "third"}) {
		t.Errorf("order %v", names)
	}
	c := pl.provision(t, "shop.example.com")
	if c.Status.State != certificates.StateValid || c.Status.Authority != "second" {
		t.Errorf("issued by %q: %+v", c.Status.Authority, c.Status.LastError)
	}
	// What the first was to cost is given back: it never heard of it.
	if n, err := db.Spent(t.Context(), "default", authority.SpentOrders, "", time.Now().Add(-time.Hour)); err != nil || n != 0 {
		t.Errorf("%d orders spent at a CA that was away, %v", n, err)
	}
	if n, err := db.Spent(t.Context(), "second", authority.SpentOrders, "", time.Now().Add(-time.Hour)); err != nil || n != 1 {
		t.Errorf("%d orders spent at the second, %v", n, err)
	}
	states, err := pl.room.AuthorityStates(t.Context())
	if err != nil || len(states) != 3 || states[1].AccountURI == "" || states[1].Used[0].Used != 1 {
		t.Errorf("states %+v, %v", states, err)
	}
}

// remembering is a resolver that keeps its first answer, as those that people ask
// do for the life of a record.
type remembering struct {
	*zone
	first atomic.Pointer[[]string]
}

func (r *remembering) TXT(ctx context.Context, name string) ([]string, error) {
	texts, err := r.zone.TXT(ctx, name)
	if len(texts) > 0 {
		texts = slices.Clone(texts)
		r.first.CompareAndSwap(nil, &texts)
	}
	if kept := r.first.Load(); kept != nil {
		return *kept, err
	}
	return texts, err
}

// A wildcard and its base are proved at one name: nobody asks for it before both
// answers stand there.
func TestBothAnswersStandBeforeAnyIsLookedFor(t *testing.T) {
	p := startPebble(t, "0")
	resolver := &remembering{zone: p.zone}
	client := p.client(t, storetest.SQLite(t), func(o *acme.Options) { o.TXT, o.Resolver = []acme.TXTChooser{p.zone}, resolver })
	order, _ := newOrder(t, "both.example.com", "*.both.example.com")
	order.Challenges = only(certificates.ChallengeDNS01, "both.example.com", "*.both.example.com")
	if _, err := client.Issue(t.Context(), order); err != nil {
		t.Fatal(err)
	}
	if kept := resolver.first.Load(); kept == nil || len(*kept) != 2 {
		t.Errorf("a resolver that was asked once keeps %v, want both answers", kept)
	}
}
