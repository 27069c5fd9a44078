package certificates_test

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/certificates/provision"
	"github.com/edgewright/edgewright/control/certificates/upkeep"
	"github.com/edgewright/edgewright/control/localca"
	"github.com/edgewright/edgewright/control/reconcile"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/store"
	"github.com/edgewright/edgewright/control/store/storetest"
	"github.com/edgewright/edgewright/fault"
)

const (
	project = "alpha"
	env     = "production"
	day     = 24 * time.Hour
)

var cause = resource.Cause{Actor: "user usr_test", Via: "test"}

// world is the room on a real store, with a CA and a clock of the test's.
type world struct {
	t   *testing.T
	db  *store.DB
	svc *provision.Service
	rec *upkeep.Reconciler
	ca  *localca.CA

	mu       sync.Mutex
	now      time.Time
	verified map[string]bool
	orders   []certificates.Order
	fail     func(certificates.Order) error // before issuing
	window   *certificates.Window
	advised  int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	db := storetest.SQLite(t)
	w := &world{t: t, db: db, now: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), verified: map[string]bool{"shop.example.com": true}}
	w.ca = localca.New(db, w.clock)
	w.svc = provision.New(certificates.Room{Store: waits{db}, Vault: db, Ownership: w, Now: w.clock})
	w.restart()
	return w
}

// furnish changes what the room stands on.
func (w *world) furnish(change func(*certificates.Room)) {
	room := w.svc.Room
	change(&room)
	w.svc = provision.New(room)
	w.restart()
}

// restart makes everything that lives in memory anew.
func (w *world) restart() {
	w.rec = upkeep.NewReconciler(w.svc.Room, w.svc.Judge, map[certificates.CertType]certificates.Issuer{certificates.TypeACME: w, certificates.TypeLocal: w.ca}, nil)
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

func (w *world) Verified(_ context.Context, p, e, domain string) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.verified[domain] && p == project && e == env, nil
}

// Issue plays the public CA.
func (w *world) Issue(ctx context.Context, o certificates.Order) (string, error) {
	w.mu.Lock()
	w.orders = append(w.orders, o)
	fail := w.fail
	w.mu.Unlock()
	if fail != nil {
		if err := fail(o); err != nil {
			return "", err
		}
	}
	o.Progress(certificates.StepValidate)
	return w.ca.Issue(ctx, o)
}

func (w *world) RenewalWindow(context.Context, *x509.Certificate) (certificates.Window, time.Duration, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.advised++
	if w.window == nil {
		return certificates.Window{}, 0, false, nil
	}
	return *w.window, 6 * time.Hour, true, nil
}

func (w *world) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.orders)
}

func (w *world) ensure(domain string) certificates.Certificate {
	w.t.Helper()
	w.mu.Lock()
	w.verified[domain] = true
	w.mu.Unlock()
	if err := w.svc.Ensure(w.t.Context(), project, env, domain, cause); err != nil {
		w.t.Fatal(err)
	}
	return w.get(domain)
}

func (w *world) get(domain string) certificates.Certificate {
	w.t.Helper()
	c, err := w.svc.Get(w.t.Context(), project, env, domain)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// reconcile runs the reconciler once and returns what came of it.
func (w *world) reconcile(domain string) (certificates.Certificate, time.Duration) {
	w.t.Helper()
	next, err := w.rec.Reconcile(w.t.Context(), reconcile.Ref{Kind: certificates.Kind, ID: w.get(domain).ID})
	if err != nil {
		w.t.Fatal(err)
	}
	return w.get(domain), next
}

func (w *world) leaf(c certificates.Certificate) *x509.Certificate {
	w.t.Helper()
	b, err := w.svc.Bundle(w.t.Context(), c.ID, c.Status.Generation)
	if err != nil {
		w.t.Fatal(err)
	}
	leaf := parse(w.t, b.ChainPEM)[0]
	key, err := x509.ParsePKCS8PrivateKey(b.KeyDER)
	if err != nil {
		w.t.Fatal(err)
	}
	if public := key.(crypto.Signer).Public().(interface{ Equal(crypto.PublicKey) bool }); !public.Equal(leaf.PublicKey) {
		w.t.Error("the stored key is not the certificate's")
	}
	return leaf
}

func TestIssueAndRenew(t *testing.T) {
	w := newWorld(t)
	w.ensure("shop.example.com")
	c, next := w.reconcile("shop.example.com")
	st := c.Status
	if st.State != certificates.StateValid || st.Generation != "1" || st.IssuedType != certificates.TypeACME || st.KeyType != "p256" || st.Step != "" || st.Observed != c.Revision || st.Fingerprint == "" {
		t.Fatalf("issued: %+v", st)
	}
	if life := st.NotAfter.Sub(*st.NotBefore); st.RenewAt.Before(st.NotBefore.Add(life*61/100)) || st.RenewAt.After(st.NotBefore.Add(life*2/3)) || st.RenewBy != "lifetime" {
		t.Errorf("renewal at %v of a life from %v to %v", st.RenewAt, st.NotBefore, st.NotAfter)
	}
	if next <= 0 || next > 12*time.Hour {
		t.Errorf("looks again in %v", next)
	}
	first := w.leaf(c)

	// Nothing to do, nothing written.
	before := c.Seq
	if c, _ = w.reconcile("shop.example.com"); c.Seq != before || w.count() != 1 {
		t.Errorf("the second run did something: %d orders", w.count())
	}
	w.pass(50 * day)
	if w.reconcile("shop.example.com"); w.count() != 1 {
		t.Error("renewed too early")
	}
	w.pass(11 * day)
	c, _ = w.reconcile("shop.example.com")
	if w.count() != 2 || c.Status.Generation != "2" || c.Status.State != certificates.StateValid {
		t.Fatalf("at two thirds: %d orders, %+v", w.count(), c.Status)
	}
	if w.orders[1].Replaces == nil || !w.orders[1].Replaces.Equal(first) {
		t.Error("the renewal does not say what it replaces")
	}
	if second := w.leaf(c); second.Equal(first) || second.PublicKey.(interface{ Equal(crypto.PublicKey) bool }).Equal(first.PublicKey) {
		t.Error("the key was not changed with the renewal")
	}
	// The one before stays a while for the edges, older ones go.
	w.pass(61 * day)
	if c, _ = w.reconcile("shop.example.com"); c.Status.Generation != "3" {
		t.Fatalf("generation %s", c.Status.Generation)
	}
	if _, err := w.svc.Bundle(t.Context(), c.ID, "1"); !fault.Is(err, fault.NotFound) {
		t.Errorf("an old key is kept: %v", err)
	}
	if _, err := w.svc.Bundle(t.Context(), c.ID, "2"); err != nil {
		t.Errorf("the key before is gone: %v", err)
	}
}

func TestBackoffIsKeptAcrossRestarts(t *testing.T) {
	w := newWorld(t)
	w.fail = func(certificates.Order) error {
		return &certificates.IssueError{Problem: certificates.Problem{Reason: "ConnectionFailed", Message: "the CA could not connect", Fix: "open port 80"}}
	}
	w.ensure("shop.example.com")
	waits := []time.Duration{time.Minute, 10 * time.Minute, 100 * time.Minute, day, day}
	for i, want := range waits {
		c, next := w.reconcile("shop.example.com")
		if w.count() != i+1 || next != want {
			t.Fatalf("failure %d: %d orders, next in %v, want %v", i+1, w.count(), next, want)
		}
		if c.Status.State != certificates.StateFailed || c.Status.LastError.Reason != "ConnectionFailed" || !c.Status.NextAttempt.Equal(w.now.Add(want)) || c.Status.Failures != i+1 {
			t.Fatalf("failure %d: %+v", i+1, c.Status)
		}
		if text := certificates.Describe(c); !strings.Contains(text, "open port 80") {
			t.Errorf("described as %q", text)
		}
		w.restart()
		if _, next := w.reconcile("shop.example.com"); w.count() != i+1 || next != want {
			t.Fatalf("a restart made an order, or forgot the time: %d, %v", w.count(), next)
		}
		w.pass(want)
	}
	w.fail = nil
	if c, _ := w.reconcile("shop.example.com"); c.Status.State != certificates.StateValid || c.Status.Failures != 0 || c.Status.LastError != nil || c.Status.NextAttempt != nil {
		t.Errorf("recovered: %+v", c.Status)
	}
}

func TestCAAwayAndRateLimits(t *testing.T) {
	w := newWorld(t)
	w.fail = func(certificates.Order) error {
		return &certificates.IssueError{Away: true, Problem: certificates.Problem{Reason: "CAUnreachable", Message: "away", Fix: "wait"}}
	}
	w.ensure("shop.example.com")
	for range 6 {
		if _, next := w.reconcile("shop.example.com"); next > 100*time.Minute {
			t.Errorf("while the CA is away, the next look is in %v", next)
		} else {
			w.pass(next)
		}
	}
	w.fail = func(certificates.Order) error {
		return &certificates.IssueError{RetryAfter: 50 * time.Hour, Problem: certificates.Problem{Reason: certificates.ReasonRateLimited, Message: "limit", Fix: "wait"}}
	}
	if _, next := w.reconcile("shop.example.com"); next != 50*time.Hour {
		t.Errorf("the CA says 50 hours, next in %v", next)
	}
	// Not even a user's wish goes against it.
	orders := w.count()
	if _, err := w.svc.Provision(expired(t), provision.Request{Project: project, Environment: env, Domain: "shop.example.com", AutoRenew: true}, cause); err != nil {
		t.Fatal(err)
	}
	if w.reconcile("shop.example.com"); w.count() != orders {
		t.Error("an order was made against the CA's word")
	}
}

// The nearer a certificate's end, the oftener it is looked whether the CA is there
// again: an hour that it is there must not pass unseen.
func TestCAAwayNearTheEnd(t *testing.T) {
	w := newWorld(t)
	w.ensure("shop.example.com")
	c, _ := w.reconcile("shop.example.com")
	w.fail = func(certificates.Order) error {
		return &certificates.IssueError{Away: true, Problem: certificates.Problem{Reason: "CAUnreachable", Message: "away", Fix: "wait"}}
	}
	end := *c.Status.NotAfter
	w.pass(end.Sub(w.now) - 20*day)
	for w.now.Before(end.Add(time.Hour)) {
		left := end.Sub(w.now)
		_, next := w.reconcile("shop.example.com")
		if most := max(left/20, 5*time.Minute) + time.Second; next > min(most, 100*time.Minute) || next <= 0 {
			t.Fatalf("%v before the end the next look is in %v", left, next)
		}
		w.pass(next)
	}
	w.fail = nil
	if c, _ := w.reconcile("shop.example.com"); c.Status.State != certificates.StateValid || !c.Status.NotAfter.After(end) {
		t.Errorf("the CA is there again: %+v", c.Status)
	}
}

// expired is a context that does not wait for anybody.
func expired(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestUserMayRetryAtOnceButNotForEver(t *testing.T) {
	w := newWorld(t)
	w.fail = func(certificates.Order) error {
		return &certificates.IssueError{Problem: certificates.Problem{Reason: "WrongAnswer", Message: "no", Fix: "mend it"}}
	}
	w.ensure("shop.example.com")
	w.reconcile("shop.example.com")
	for range 8 {
		plan, err := w.svc.PlanProvision(t.Context(), provision.Request{Project: project, Environment: env, Domain: "shop.example.com", AutoRenew: true})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.db.Commit(t.Context(), plan.Commit(cause)); err != nil {
			t.Fatal(err)
		}
		w.reconcile("shop.example.com")
		w.pass(time.Second)
	}
	if n := w.count(); n != 4 {
		t.Errorf("%d failed orders within seconds, want 4: the CA allows five an hour", n)
	}
	w.fail = nil
	_, next := w.reconcile("shop.example.com")
	if next > time.Hour {
		t.Errorf("the wish that is left waits %v", next)
	}
	w.pass(next)
	if c, _ := w.reconcile("shop.example.com"); c.Status.State != certificates.StateValid {
		t.Errorf("an hour later: %+v", c.Status)
	}
}

func TestRenewalFailureKeepsServing(t *testing.T) {
	w := newWorld(t)
	w.ensure("shop.example.com")
	w.reconcile("shop.example.com")
	w.fail = func(certificates.Order) error {
		return &certificates.IssueError{Problem: certificates.Problem{Reason: "CAAForbids", Message: "CAA", Fix: "add a record"}}
	}
	w.pass(61 * day)
	c, _ := w.reconcile("shop.example.com")
	if c.Status.State != certificates.StateValid || c.Status.LastError == nil || c.Status.Generation != "1" {
		t.Errorf("after a failed renewal: %+v", c.Status)
	}
	w.pass(16 * day)
	if c, _ = w.reconcile("shop.example.com"); c.Status.State != certificates.StateExpiring || !strings.Contains(certificates.Describe(c), "add a record") {
		t.Errorf("near its end: %s", certificates.Describe(c))
	}
	w.pass(20 * day)
	if c, _ = w.reconcile("shop.example.com"); c.Status.State != certificates.StateExpired {
		t.Errorf("past its end: %+v", c.Status)
	}
	w.fail = nil
	w.pass(day)
	if c, _ = w.reconcile("shop.example.com"); c.Status.State != certificates.StateValid || c.Status.Generation != "2" {
		t.Errorf("recovered: %+v", c.Status)
	}
}

func TestInterruptedAttempts(t *testing.T) {
	w := newWorld(t)
	w.ensure("shop.example.com")
	// Each attempt is cut off by a kill: a panic that nothing records.
	die := func() {
		ctx, cancel := context.WithCancel(t.Context())
		w.fail = func(certificates.Order) error { cancel(); return context.Canceled }
		_, err := w.rec.Reconcile(ctx, reconcile.Ref{Kind: certificates.Kind, ID: w.get("shop.example.com").ID})
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		w.restart()
	}
	for range 50 {
		die()
	}
	if n := w.count(); n != 2 {
		t.Errorf("a loop of 50 restarts made %d orders, want one and one again", n)
	}
	w.fail = nil
	w.pass(2 * time.Minute)
	if c, _ := w.reconcile("shop.example.com"); c.Status.State != certificates.StateValid || c.Status.Interrupted != 0 {
		t.Errorf("in the end: %+v", c.Status)
	}
}

func TestRenewalAdvice(t *testing.T) {
	w := newWorld(t)
	w.window = &certificates.Window{Start: w.now.Add(30 * day), End: w.now.Add(32 * day)}
	w.ensure("shop.example.com")
	c, _ := w.reconcile("shop.example.com")
	at := *c.Status.RenewAt
	if c.Status.RenewBy != "ari" || at.Before(w.window.Start) || at.After(w.window.End) {
		t.Fatalf("renewal at %v by %s, window %v", at, c.Status.RenewBy, w.window)
	}
	// The chosen time stays while the window does, and the CA is asked as often
	// as it wants.
	for range 8 {
		w.pass(time.Hour)
		c, _ = w.reconcile("shop.example.com")
	}
	if !c.Status.RenewAt.Equal(at) || w.advised != 2 {
		t.Errorf("after 8 hours: renewal at %v, was %v; asked %d times", c.Status.RenewAt, at, w.advised)
	}
	// The CA revokes: the window moves into the past, and the renewal is at once.
	w.mu.Lock()
	w.window = &certificates.Window{Start: w.now.Add(-2 * day), End: w.now.Add(-day)}
	w.mu.Unlock()
	w.pass(6 * time.Hour)
	w.reconcile("shop.example.com")
	w.mu.Lock()
	w.window = nil
	w.mu.Unlock()
	if w.reconcile("shop.example.com"); w.count() != 2 {
		t.Errorf("%d orders after the window has passed", w.count())
	}
	// Nonsense is not followed.
	w.mu.Lock()
	w.window = &certificates.Window{Start: w.now.Add(400 * day), End: w.now.Add(401 * day)}
	w.mu.Unlock()
	w.pass(25 * time.Hour)
	if c, _ = w.reconcile("shop.example.com"); c.Status.RenewAt.After(*c.Status.NotAfter) {
		t.Errorf("renewal at %v, after the end", c.Status.RenewAt)
	}
}

func TestNothingForUnverifiedNames(t *testing.T) {
	w := newWorld(t)
	if _, err := w.svc.Provision(t.Context(), provision.Request{Project: project, Environment: env, Domain: "other.example.com"}, cause); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "verify it first") {
		t.Errorf("provisioning an unverified name: %v", err)
	}
	if _, err := w.svc.Provision(t.Context(), provision.Request{Project: "beta", Environment: env, Domain: "shop.example.com"}, cause); !fault.Is(err, fault.Conflict) {
		t.Errorf("provisioning another project's name: %v", err)
	}
	// Verified once, and no longer.
	w.ensure("shop.example.com")
	w.reconcile("shop.example.com")
	w.verified["shop.example.com"] = false
	w.pass(70 * day)
	c, _ := w.reconcile("shop.example.com")
	if w.count() != 1 || c.Status.State != certificates.StateNone {
		t.Errorf("renewed without ownership: %d orders, %+v", w.count(), c.Status)
	}
	if text := certificates.Describe(c); !strings.Contains(text, "not verified") {
		t.Errorf("described as %q", text)
	}
	w.verified["shop.example.com"] = true
	if c, _ = w.reconcile("shop.example.com"); c.Status.State != certificates.StateValid {
		t.Errorf("verified again: %+v", c.Status)
	}
}

func TestIssuerThatLies(t *testing.T) {
	w := newWorld(t)
	w.ensure("shop.example.com")
	other := newKey(t, "p256")
	for what, change := range map[string]func(*certificates.Order){
		"another name": func(o *certificates.Order) { o.Names = []string{"evil.example.com"} },
		"another key":  func(o *certificates.Order) { o.Key = other },
	} {
		w.rec = upkeep.NewReconciler(w.svc.Room, w.svc.Judge, map[certificates.CertType]certificates.Issuer{certificates.TypeACME: liar{w.ca, change}}, nil)
		c, next := w.reconcile("shop.example.com")
		if c.Status.State != certificates.StateFailed || c.Status.LastError.Reason != certificates.ReasonBadAnswer || c.Status.Generation != "" {
			t.Errorf("%s: %+v", what, c.Status)
		}
		w.pass(next)
	}
	w.rec = upkeep.NewReconciler(w.svc.Room, w.svc.Judge, map[certificates.CertType]certificates.Issuer{certificates.TypeACME: panicker{}}, nil)
	if c, _ := w.reconcile("shop.example.com"); c.Status.State != certificates.StateFailed || c.Status.Failures != 3 {
		t.Errorf("an issuer that panics: %+v", c.Status)
	}
}

type liar struct {
	certificates.Issuer
	change func(*certificates.Order)
}

func (l liar) Issue(ctx context.Context, o certificates.Order) (string, error) {
	l.change(&o)
	return l.Issuer.Issue(ctx, o)
}

type panicker struct{}

func (panicker) Issue(context.Context, certificates.Order) (string, error) { panic("broken") }

func TestProvisionWaits(t *testing.T) {
	w := newWorld(t)
	w.verified["shop.localhost"] = true
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- reconcile.New(reconcile.Options{Store: w.db}, w.rec).Run(ctx) }()
	defer func() { stop(); <-ended }()

	c, err := w.svc.Provision(t.Context(), provision.Request{Project: project, Environment: env, Domain: "Shop.Localhost.", Type: certificates.TypeACME, AutoRenew: true}, cause)
	if err != nil || c.Status.State != certificates.StateValid || c.Spec.Type != certificates.TypeLocal {
		t.Fatalf("provisioned: %+v, %v", c, err)
	}
	again, err := w.svc.Provision(t.Context(), provision.Request{Project: project, Environment: env, Domain: "shop.localhost", AutoRenew: true}, cause)
	if err != nil || again.Status.Fingerprint != c.Status.Fingerprint || again.Revision != c.Revision {
		t.Errorf("provisioning what is there: %+v, %v", again.Status, err)
	}
	renewed, err := w.svc.Renew(t.Context(), project, env, "shop.localhost", provision.Settings{}, cause)
	if err != nil || renewed.Status.Fingerprint == c.Status.Fingerprint || renewed.Status.State != certificates.StateValid {
		t.Errorf("renewed on request: %+v, %v", renewed.Status, err)
	}
	// An issuer that takes its time: the bound is the caller's.
	release := make(chan struct{})
	w.mu.Lock()
	w.fail = func(certificates.Order) error { <-release; return nil }
	w.mu.Unlock()
	slow, err := w.svc.Provision(done(t), provision.Request{Project: project, Environment: env, Domain: "shop.example.com", AutoRenew: true}, cause)
	if err != nil || slow.Status.State != certificates.StateIssuing && slow.Status.State != certificates.StateNone {
		t.Errorf("while it is being issued: %+v, %v", slow.Status, err)
	}
	// Meanwhile others are served.
	w.mu.Lock()
	w.verified["blog.localhost"] = true
	w.mu.Unlock()
	if c, err := w.svc.Provision(t.Context(), provision.Request{Project: project, Environment: env, Domain: "blog.localhost", AutoRenew: true}, cause); err != nil || c.Status.State != certificates.StateValid {
		t.Errorf("another domain waits: %+v, %v", c.Status, err)
	}
	close(release)
	if slow, err = w.svc.Provision(t.Context(), provision.Request{Project: project, Environment: env, Domain: "shop.example.com", AutoRenew: true}, cause); err != nil || slow.Status.State != certificates.StateValid {
		t.Errorf("in the end: %+v, %v", slow.Status, err)
	}
}

func TestDelete(t *testing.T) {
	w := newWorld(t)
	c := w.ensure("shop.example.com")
	plan, err := w.svc.PlanDelete(t.Context(), project, env, "shop.example.com", c.Revision)
	if err != nil || len(plan.Actions) != 1 || len(plan.Warnings) != 1 {
		t.Errorf("plan %+v, %v", plan, err)
	}
	if err := w.svc.Delete(t.Context(), project, env, "shop.example.com", c.Revision+1, cause); !fault.Is(err, fault.Stale) {
		t.Errorf("a stale delete: %v", err)
	}
	if err := w.svc.Delete(t.Context(), project, env, "shop.example.com", c.Revision, cause); err != nil {
		t.Error(err)
	}
	if _, err := w.svc.Get(t.Context(), project, env, "shop.example.com"); !fault.Is(err, fault.NotFound) {
		t.Errorf("after deletion: %v", err)
	}
	if next, err := w.rec.Reconcile(t.Context(), reconcile.Ref{Kind: certificates.Kind, ID: c.ID}); next != 0 || err != nil {
		t.Errorf("reconciling what is gone: %v, %v", next, err)
	}
}

func TestResolve(t *testing.T) {
	tests := []struct {
		mode certificates.Mode
		typ  string
		name string
		want certificates.CertType
	}{
		{certificates.ModeAuto, "", "shop.example.com", certificates.TypeACME},
		{certificates.ModeAuto, "auto", "shop.localhost", certificates.TypeLocal},
		{certificates.ModeAuto, "lets_encrypt", "shop.localhost", certificates.TypeLocal},
		{certificates.ModeAuto, "local", "shop.example.com", certificates.TypeLocal},
		{certificates.ModeAuto, "", "git.corp.internal", certificates.TypeLocal},
		{certificates.ModeAuto, "", "nas.local", certificates.TypeLocal},
		{certificates.ModeAuto, "", "shop.test", certificates.TypeLocal},
		{certificates.ModeAuto, "", "nas.home.arpa", certificates.TypeLocal},
		{certificates.ModeAuto, "", "*.apps.localhost", certificates.TypeLocal},
		{certificates.ModeAuto, "", "intranet", certificates.TypeLocal},
		{certificates.ModeAuto, "", "notlocalhost.com", certificates.TypeACME},
		{certificates.ModeAuto, "", "local", certificates.TypeLocal},
		{certificates.ModeACME, "", "shop.localhost", certificates.TypeACME},
		{certificates.ModeACME, "local", "shop.localhost", certificates.TypeLocal},
		{certificates.ModeLocal, "lets_encrypt", "shop.example.com", certificates.TypeLocal},
	}
	for _, tt := range tests {
		raw, err := certificates.Type(tt.mode).Normalize(tt.name, []byte(fmt.Sprintf(`{"type":%q}`, tt.typ)))
		if err != nil {
			t.Errorf("%+v: %v", tt, err)
			continue
		}
		if !strings.Contains(string(raw), fmt.Sprintf(`"type":%q`, tt.want)) {
			t.Errorf("%s, %q, %s: %s", tt.mode, tt.typ, tt.name, raw)
		}
		if again, err := certificates.Type(tt.mode).Normalize(tt.name, raw); err != nil || string(again) != string(raw) {
			t.Errorf("not idempotent: %s, %s, %v", raw, again, err)
		}
	}
	for spec, says := range map[string]string{
		`{"domains":["a.example.com"]}`:                       "name a certificate by its first domain",
		`{"type":"custom"}`:                                   "upload",
		`{"type":"paper"}`:                                    "not a type",
		`{"key_type":"dsa"}`:                                  "not a key type",
		`{"domains":["shop.example.com","shop.example.com"]}`: "listed twice",
		`{"domains":["shop.example.com","not a name"]}`:       "not a domain name",
		`{"auto_renw":true}`:                                  `did you mean "auto_renew"?`,
		`{"domains":["shop.example.com","*.192.0.2.1"]}`:      "not a domain name",
		`{"upload":3}`:                                        "only custom",
		`{"domains":"shop.example.com"}`:                      "a list",
	} {
		_, err := certificates.Type(certificates.ModeAuto).Normalize("shop.example.com", []byte(spec))
		var f *fault.Error
		if !errors.As(err, &f) || f.Code != fault.Invalid || !strings.Contains(fmt.Sprint(f.Fields), says) {
			t.Errorf("%s: %v", spec, err)
		}
	}
}
