package certificates_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"software.sslmate.com/src/go-pkcs12"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/certificates/authority"
	"github.com/edgewright/edgewright/control/certificates/custom"
	"github.com/edgewright/edgewright/control/certificates/pki"
	"github.com/edgewright/edgewright/control/certificates/provision"
	"github.com/edgewright/edgewright/control/certificates/replacement"
	"github.com/edgewright/edgewright/control/certificates/upkeep"
	"github.com/edgewright/edgewright/control/reconcile"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// ca is a CA of the world's, which can be told to fail.
type ca struct {
	w       *world
	asked   int
	fail    error
	order   certificates.Order
	revoked []string
}

func (c *ca) Issue(ctx context.Context, o certificates.Order) (string, error) {
	c.asked++
	c.order = o
	if c.fail != nil {
		return "", c.fail
	}
	return c.w.ca.Issue(ctx, o)
}

func (c *ca) Revoke(_ context.Context, leaf *x509.Certificate, _ crypto.Signer, reason int) error {
	c.revoked = append(c.revoked, fmt.Sprintf("%x %d", leaf.SerialNumber, reason))
	return nil
}

// cas are several.
type cas struct {
	certificates.Issuer
	list []certificates.Authority
}

func (c cas) Authorities(context.Context) ([]certificates.Authority, error) { return c.list, nil }

// with makes the world's CAs.
func (w *world) with(list ...certificates.Authority) {
	w.rec = upkeep.NewReconciler(w.svc.Room, w.svc.Judge, map[certificates.CertType]certificates.Issuer{
		certificates.TypeACME: cas{list: list}, certificates.TypeLocal: w.ca,
	}, nil)
}

func named(name string, c *ca, limits ...authority.Limit) certificates.Authority {
	return certificates.Authority{Name: name, Directory: "https://" + name, Issuer: c, Limits: limits}
}

var (
	away    = &certificates.IssueError{Away: true, Problem: certificates.Problem{Reason: "CAUnreachable", Message: "away", Fix: "wait"}}
	refused = &certificates.IssueError{Problem: certificates.Problem{Reason: "CAAForbids", Message: "CAA", Fix: "add a record"}}
	unseen  = &certificates.IssueError{Invalid: true, Problem: certificates.Problem{Reason: "WrongAnswer", Message: "no", Fix: "mend it", Subject: "shop.example.com"}}
	limited = &certificates.IssueError{RetryAfter: 5 * time.Hour, Problem: certificates.Problem{Reason: certificates.ReasonRateLimited, Message: "limit", Fix: "wait"}}
)

func TestCAsAreTriedInOrder(t *testing.T) {
	tests := []struct {
		what   string
		first  error
		second error
		asked  [2]int
		by     string
		reason string
	}{
		{"the first issues", nil, nil, [2]int{1, 0}, "one", ""},
		{"the first is away", away, nil, [2]int{1, 1}, "two", ""},
		{"the first may not", refused, nil, [2]int{1, 1}, "two", ""},
		{"the first is at its limit", limited, nil, [2]int{1, 1}, "two", ""},
		{"the name is not proved: the other would see the same", unseen, nil, [2]int{1, 0}, "", "WrongAnswer"},
		{"both fail: the first's word is told", refused, away, [2]int{1, 1}, "", "CAAForbids"},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			w := newWorld(t)
			one, two := &ca{w: w, fail: tt.first}, &ca{w: w, fail: tt.second}
			w.with(named("one", one), named("two", two))
			w.ensure("shop.example.com")
			c, _ := w.reconcile("shop.example.com")
			if got := [2]int{one.asked, two.asked}; got != tt.asked || c.Status.Authority != tt.by {
				t.Errorf("asked %v, issued by %q", got, c.Status.Authority)
			}
			if tt.reason != "" && (c.Status.LastError == nil || c.Status.LastError.Reason != tt.reason) {
				t.Errorf("told %+v", c.Status.LastError)
			}
		})
	}
}

func TestNamedCA(t *testing.T) {
	w := newWorld(t)
	one, two := &ca{w: w}, &ca{w: w}
	w.with(named("one", one), named("two", two))
	w.ensure("shop.example.com")
	w.reconcile("shop.example.com")
	name := "two"
	if _, err := w.svc.Change(t.Context(), project, env, "shop.example.com", provision.Settings{Authority: &name}, 0, cause); err != nil {
		t.Fatal(err)
	}
	if c, _ := w.reconcile("shop.example.com"); c.Status.Authority != "two" || two.asked != 1 {
		t.Errorf("named: %q", c.Status.Authority)
	}
	name = "three"
	var f *fault.Error
	if _, err := w.svc.Change(t.Context(), project, env, "shop.example.com", provision.Settings{Authority: &name}, 0, cause); !errors.As(err, &f) || len(f.Fields) != 1 || f.Fields[0].Pointer != "/authority" {
		t.Errorf("a CA that is not there: %v", err)
	}
	if _, err := w.svc.PlanProvision(t.Context(), provision.Request{Project: project, Environment: env, Domain: "shop.example.com", Authority: name}); !errors.As(err, &f) || f.Fields[0].Fix != "use one of one, two, or leave it out" {
		t.Errorf("asked for: %v", err)
	}
}

// A certificate that names a CA from which nothing is ordered any more is renewed
// by the others, and not again and again.
func TestNamedCAIsGone(t *testing.T) {
	tests := map[string]func(one, two certificates.Authority) []certificates.Authority{
		"removed": func(one, _ certificates.Authority) []certificates.Authority { return []certificates.Authority{one} },
		"disabled": func(one, two certificates.Authority) []certificates.Authority {
			two.Retired = true
			return []certificates.Authority{one, two}
		},
	}
	for what, left := range tests {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			one, two := &ca{w: w}, &ca{w: w}
			w.with(named("one", one), named("two", two))
			w.ensure("shop.example.com")
			w.reconcile("shop.example.com")
			name := "two"
			if _, err := w.svc.Change(t.Context(), project, env, "shop.example.com", provision.Settings{Authority: &name}, 0, cause); err != nil {
				t.Fatal(err)
			}
			w.reconcile("shop.example.com")
			w.with(left(named("one", one), named("two", two))...)
			if c, _ := w.reconcile("shop.example.com"); c.Status.Authority != "two" || one.asked != 1 {
				t.Errorf("before it is due: by %q, %d orders at the other", c.Status.Authority, one.asked)
			}
			w.now = w.get("shop.example.com").Status.RenewAt.Add(time.Minute)
			for range 2 {
				if c, _ := w.reconcile("shop.example.com"); c.Status.Authority != "one" || one.asked != 2 || c.Status.LastError != nil {
					t.Errorf("when it is due: by %q, %d orders, %+v", c.Status.Authority, one.asked, c.Status.LastError)
				}
			}
		})
	}
}

// What is in the certificate itself makes it be ordered anew when it is changed,
// once.
func TestSettingsInTheCertificate(t *testing.T) {
	yes, profile := true, "shortlived"
	tests := map[string]provision.Settings{
		"must-staple": {MustStaple: &yes},
		"profile":     {Profile: &profile},
		"a name less": {Domains: []string{"shop.example.com"}},
	}
	for what, set := range tests {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			one := &ca{w: w}
			w.with(named("one", one))
			w.ensure("www.example.com")
			w.verified["shop.example.com"] = true
			names := []string{"shop.example.com", "www.example.com"}
			if _, err := w.svc.Provision(done(t), provision.Request{Project: project, Environment: env, Domain: "shop.example.com", Domains: names, AutoRenew: true}, cause); err != nil {
				t.Fatal(err)
			}
			w.reconcile("shop.example.com")
			if c, _ := w.reconcile("shop.example.com"); one.asked != 1 || c.Status.State != certificates.StateValid {
				t.Fatalf("%d orders, %+v", one.asked, c.Status)
			}
			if _, err := w.svc.Change(t.Context(), project, env, "shop.example.com", set, 0, cause); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if w.reconcile("shop.example.com"); one.asked != 2 {
					t.Errorf("%d orders, want 2", one.asked)
				}
			}
			if set.Domains != nil && len(one.order.Names) != 1 {
				t.Errorf("ordered %v", one.order.Names)
			}
		})
	}
}

// Who mends what an attempt failed for does not wait for the next one.
func TestChangeAfterFailure(t *testing.T) {
	w := newWorld(t)
	one := &ca{w: w, fail: refused}
	w.with(named("one", one))
	w.ensure("shop.example.com")
	for range 4 {
		w.now = w.now.Add(2 * time.Hour)
		w.reconcile("shop.example.com")
	}
	if c := w.get("shop.example.com"); c.Status.NextAttempt == nil || c.Status.NextAttempt.Sub(w.now) < time.Hour {
		t.Fatalf("the next attempt is at %v, it is %v", c.Status.NextAttempt, w.now)
	}
	asked := one.asked
	challenge, pin := certificates.ChallengeTLSALPN, true
	change := func(set provision.Settings) {
		t.Helper()
		if _, err := w.svc.Change(t.Context(), project, env, "shop.example.com", set, 0, cause); err != nil {
			t.Fatal(err)
		}
		w.reconcile("shop.example.com")
	}
	if change(provision.Settings{PinKey: &pin}); one.asked != asked {
		t.Error("what has to do with no order had one made")
	}
	one.fail = nil
	if change(provision.Settings{Challenge: &challenge}); one.asked != asked+1 || w.get("shop.example.com").Status.State != certificates.StateValid {
		t.Errorf("%d orders more, %+v", one.asked-asked, w.get("shop.example.com").Status)
	}
}

// Who asks again does not wait for the next attempt either, also while there is an
// older certificate.
func TestAskedAgainAfterFailure(t *testing.T) {
	w := newWorld(t)
	one := &ca{w: w}
	w.with(named("one", one))
	w.ensure("www.example.com")
	w.ensure("shop.example.com")
	w.reconcile("shop.example.com")
	ask := provision.Request{Project: project, Environment: env, Domain: "shop.example.com", Domains: []string{"www.example.com"}, AutoRenew: true}
	one.fail = refused
	if _, err := w.svc.Provision(done(t), ask, cause); err != nil {
		t.Fatal(err)
	}
	if c, _ := w.reconcile("shop.example.com"); one.asked != 2 || c.Status.State != certificates.StateValid || c.Status.LastError == nil {
		t.Fatalf("%d orders, %+v", one.asked, c.Status)
	}
	one.fail = nil
	if _, err := w.svc.Provision(done(t), ask, cause); err != nil {
		t.Fatal(err)
	}
	if c, _ := w.reconcile("shop.example.com"); one.asked != 3 || len(c.Status.Names) != 2 || c.Status.LastError != nil {
		t.Errorf("%d orders, %v, %+v", one.asked, c.Status.Names, c.Status.LastError)
	}
	if plan, err := w.svc.PlanProvision(t.Context(), ask); err != nil || !plan.Empty() {
		t.Errorf("when it is there: %+v, %v", plan, err)
	}
}

// A renewal that is asked for takes the settings that come with it.
func TestRenewWithSettings(t *testing.T) {
	w := newWorld(t)
	one := &ca{w: w}
	w.with(named("one", one))
	w.ensure("shop.example.com")
	w.reconcile("shop.example.com")
	challenge, no := certificates.ChallengeTLSALPN, false
	set := provision.Settings{Challenge: &challenge, AutoRenew: &no, Type: certificates.TypeACME}
	if _, err := w.svc.Renew(done(t), project, env, "shop.example.com", set, cause); err != nil {
		t.Fatal(err)
	}
	c, _ := w.reconcile("shop.example.com")
	if got := one.order.Challenges["shop.example.com"]; one.asked != 2 || len(got) != 1 || got[0] != challenge || c.Spec.AutoRenew {
		t.Errorf("%d orders, the last to be proved by %v, %+v", one.asked, got, c.Spec)
	}
	if _, err := w.svc.PlanRenew(t.Context(), project, env, "shop.example.com", provision.Settings{Type: certificates.TypeLocal}); !fault.Is(err, fault.Invalid) {
		t.Errorf("as another type: %v", err)
	}
}

// profiled is a CA that says which profiles it has.
type profiled struct{ *ca }

func (profiled) Profiles(context.Context) ([]string, error) {
	return []string{"classic", "shortlived"}, nil
}

// A profile that the CA does not have is known before any order.
func TestProfileIsPreflighted(t *testing.T) {
	w := newWorld(t)
	one := &ca{w: w}
	offers := named("one", one)
	offers.Issuer = profiled{one}
	w.with(offers)
	w.ensure("shop.example.com")
	for profile, ready := range map[string]bool{"": true, "shortlived": true, "nosuch": false} {
		if _, err := w.svc.Change(t.Context(), project, env, "shop.example.com", provision.Settings{Profile: &profile}, 0, cause); err != nil {
			t.Fatal(err)
		}
		got, err := w.svc.CheckReadiness(t.Context(), project, env, "shop.example.com", nil, "")
		if err != nil || got.Ready != ready {
			t.Errorf("%q: %+v, %v", profile, got, err)
		}
		if k, failed := certificates.FirstFailed(got.Checks); failed && (k.Name != certificates.CheckProfile || !strings.Contains(k.Fix, "classic, shortlived")) {
			t.Errorf("%q: %+v", profile, k)
		}
	}
	nosuch := "nosuch"
	if _, err := w.svc.Change(t.Context(), project, env, "shop.example.com", provision.Settings{Profile: &nosuch}, 0, cause); err != nil {
		t.Fatal(err)
	}
	if c, _ := w.reconcile("shop.example.com"); one.asked != 0 || c.Status.LastError == nil || c.Status.LastError.Reason != "NoProfile" {
		t.Errorf("%d orders, %+v", one.asked, c.Status.LastError)
	}
}

func TestBudget(t *testing.T) {
	w := newWorld(t)
	one := &ca{w: w}
	w.with(named("one", one, authority.Limit{Kind: authority.SpentOrders, Max: 2, Window: time.Hour}))
	for i := range 4 {
		w.ensure(fmt.Sprintf("s%d.example.com", i))
	}
	for i := range 4 {
		w.reconcile(fmt.Sprintf("s%d.example.com", i))
	}
	if one.asked != 1 { // nine tenths of two, so that a place is left for what is pressing
		t.Fatalf("%d orders", one.asked)
	}
	w.restart()
	w.with(named("one", one, authority.Limit{Kind: authority.SpentOrders, Max: 2, Window: time.Hour}))
	c, next := w.reconcile("s3.example.com")
	if one.asked != 1 || c.Status.LastError.Reason != certificates.ReasonBudget || c.Status.Failures != 0 || next < 59*time.Minute || next > 71*time.Minute {
		t.Errorf("after a restart: %d orders, next in %v, %+v", one.asked, next, c.Status)
	}
	if again, _ := w.reconcile("s3.example.com"); again.Seq != c.Seq {
		t.Error("looking again wrote something")
	}
	w.pass(next)
	if c, _ = w.reconcile("s3.example.com"); c.Status.State != certificates.StateValid || c.Status.LastError != nil {
		t.Errorf("an hour later: %+v", c.Status)
	}
}

func TestDuplicatesAndDomainsAreBounded(t *testing.T) {
	w := newWorld(t)
	one := &ca{w: w}
	w.with(named("one", one, authority.DefaultLimits()...))
	w.ensure("shop.example.com")
	w.reconcile("shop.example.com")
	for range 8 { // a user who asks again and again
		w.pass(2 * time.Hour)
		if _, err := w.svc.Renew(done(t), project, env, "shop.example.com", provision.Settings{}, cause); err != nil {
			t.Fatal(err)
		}
		w.reconcile("shop.example.com")
	}
	if one.asked != 4 {
		t.Errorf("%d certificates for the same names within a day, want 4", one.asked)
	}
	// Failed names do not hold up others.
	w.ensure("blog.example.com")
	if c, _ := w.reconcile("blog.example.com"); c.Status.State != certificates.StateValid {
		t.Errorf("another name: %+v", c.Status)
	}
}

// done is a context that ends when a use case begins to wait for what the
// reconciler does, so that nobody waits.
func done(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	return context.WithValue(ctx, impatience{}, cancel)
}

type impatience struct{}

// waits is the store that tells when somebody waits.
type waits struct{ resource.Store }

func (s waits) Watch(ctx context.Context, after int64, f func(resource.Event) error) error {
	if cancel, ok := ctx.Value(impatience{}).(context.CancelFunc); ok {
		cancel()
	}
	return s.Store.Watch(ctx, after, f)
}

func TestRateLimitPausesTheDomainOnly(t *testing.T) {
	w := newWorld(t)
	one := &ca{w: w, fail: limited}
	w.with(named("one", one))
	w.ensure("shop.example.com")
	_, next := w.reconcile("shop.example.com")
	if next != 5*time.Hour {
		t.Errorf("next in %v", next)
	}
	one.fail = nil
	w.ensure("www.example.com")
	if c, _ := w.reconcile("www.example.com"); one.asked != 1 || c.Status.LastError == nil || c.Status.LastError.Reason != certificates.ReasonBudget {
		t.Errorf("the same registered domain: %d orders, %+v", one.asked, c.Status)
	}
	w.ensure("shop.example.org")
	if c, _ := w.reconcile("shop.example.org"); c.Status.State != certificates.StateValid {
		t.Errorf("another registered domain: %+v", c.Status)
	}
}

func TestRehearsal(t *testing.T) {
	w := newWorld(t)
	staging, production := &ca{w: w, fail: unseen}, &ca{w: w}
	a := named("one", production)
	a.Rehearsal = staging
	w.with(a)
	w.ensure("shop.example.com")
	c, next := w.reconcile("shop.example.com")
	if production.asked != 0 || staging.asked != 1 || !strings.Contains(c.Status.LastError.Message, "rehearsal") {
		t.Fatalf("a failed rehearsal: %d, %d, %+v", staging.asked, production.asked, c.Status.LastError)
	}
	staging.fail = nil
	w.pass(next)
	if c, _ = w.reconcile("shop.example.com"); c.Status.State != certificates.StateValid || staging.asked != 2 || production.asked != 1 {
		t.Errorf("a good one: %d, %d, %+v", staging.asked, production.asked, c.Status)
	}
	w.pass(61 * day)
	if w.reconcile("shop.example.com"); staging.asked != 2 || production.asked != 2 {
		t.Errorf("a renewal was rehearsed: %d, %d", staging.asked, production.asked)
	}
	// A twin that is away holds nothing up.
	staging.fail = away
	w.ensure("blog.example.com")
	if c, _ = w.reconcile("blog.example.com"); c.Status.State != certificates.StateValid {
		t.Errorf("with the twin away: %+v", c.Status)
	}
}

// verdicts is a preflight that says what it is told to.
type verdicts struct{ checks []certificates.Check }

func (v *verdicts) Check(context.Context, *certificates.PreflightRequest) []certificates.Check {
	return v.checks
}

func TestPreflightHoldsOrdersBack(t *testing.T) {
	w := newWorld(t)
	one := &ca{w: w}
	v := &verdicts{checks: []certificates.Check{{Name: certificates.CheckAddress, Subject: "shop.example.com", State: certificates.CheckFailed, Reason: "PointsElsewhere", Detail: "it leads elsewhere", Fix: "set the records"}}}
	w.furnish(func(r *certificates.Room) { r.Preflight = v })
	w.with(named("one", one, authority.DefaultLimits()...))
	w.ensure("shop.example.com")
	for range 6 {
		c, next := w.reconcile("shop.example.com")
		if one.asked != 0 || c.Status.LastError.Reason != "PointsElsewhere" || next > 10*time.Minute {
			t.Fatalf("%d orders, next in %v, %+v", one.asked, next, c.Status)
		}
		w.pass(next)
	}
	ready, err := w.svc.CheckReadiness(t.Context(), project, env, "shop.example.com", nil, "")
	if err != nil || ready.Ready || len(ready.Checks) != 3 {
		t.Errorf("readiness %+v, %v", ready, err)
	}
	v.checks = nil
	if c, _ := w.reconcile("shop.example.com"); c.Status.State != certificates.StateValid {
		t.Errorf("mended: %+v", c.Status)
	}
	if ready, err = w.svc.CheckReadiness(t.Context(), project, env, "shop.example.com", nil, ""); err != nil || !ready.Ready {
		t.Errorf("readiness %+v, %v", ready, err)
	}
	// A CA that signs for a network of its own is not looked at from outside.
	v.checks = []certificates.Check{{State: certificates.CheckFailed, Detail: "no", Fix: "no"}}
	inside := named("inside", one)
	inside.Internal = true
	w.with(inside)
	w.ensure("blog.example.com")
	if c, _ := w.reconcile("blog.example.com"); c.Status.State != certificates.StateValid {
		t.Errorf("an internal CA: %+v", c.Status)
	}
}

func TestRevokeReplacesFirst(t *testing.T) {
	w := newWorld(t)
	one := &ca{w: w}
	w.with(named("one", one))
	w.ensure("shop.example.com")
	before, _ := w.reconcile("shop.example.com")
	if _, err := w.svc.Revoke(done(t), project, env, "shop.example.com", "because", cause); !fault.Is(err, fault.Invalid) {
		t.Errorf("a reason that is none: %v", err)
	}
	if _, err := w.svc.Revoke(done(t), project, env, "shop.example.com", "key_compromise", cause); err != nil {
		t.Fatal(err)
	}
	after, _ := w.reconcile("shop.example.com")
	if after.Status.Serial == before.Status.Serial || len(one.revoked) != 0 {
		t.Fatalf("another one is to come first: %+v, %v", after.Status, one.revoked)
	}
	after, _ = w.reconcile("shop.example.com")
	if len(one.revoked) != 1 || !strings.HasSuffix(one.revoked[0], " 1") || after.Status.State != certificates.StateValid || after.Status.RevokedLast != before.Status.Serial {
		t.Errorf("revoked %v, %+v", one.revoked, after.Status)
	}
	if w.reconcile("shop.example.com"); len(one.revoked) != 1 || one.asked != 2 {
		t.Errorf("again: %v, %d orders", one.revoked, one.asked)
	}
	// When no other can be had, it is revoked all the same.
	if _, err := w.svc.Revoke(done(t), project, env, "shop.example.com", "", cause); err != nil {
		t.Fatal(err)
	}
	one.fail = refused
	w.reconcile("shop.example.com")
	c, _ := w.reconcile("shop.example.com")
	if len(one.revoked) != 2 || c.Status.Revoked == nil || c.Status.Events[0].Kind != certificates.EventRevoked {
		t.Errorf("without another: %v, %+v", one.revoked, c.Status)
	}
}

func TestPinnedKeyAndKeyTypes(t *testing.T) {
	w := newWorld(t)
	w.ensure("shop.example.com")
	yes := true
	for _, typ := range pki.KeyTypes {
		if _, err := w.svc.Change(t.Context(), project, env, "shop.example.com", provision.Settings{KeyType: &typ, PinKey: &yes}, 0, cause); err != nil {
			t.Fatal(err)
		}
		c, _ := w.reconcile("shop.example.com")
		if c.Status.KeyType != string(typ) {
			t.Errorf("%s: %+v", typ, c.Status)
		}
	}
	first := w.leaf(w.get("shop.example.com"))
	w.pass(61 * day)
	c, _ := w.reconcile("shop.example.com")
	if second := w.leaf(c); second.Equal(first) || !second.PublicKey.(interface{ Equal(crypto.PublicKey) bool }).Equal(first.PublicKey) {
		t.Error("the pinned key was changed, or the certificate was not")
	}
	b, err := w.svc.Bundle(t.Context(), c.ID, c.Status.Generation)
	if err != nil {
		t.Fatal(err)
	}
	if request, err := x509.ParseCertificateRequest(b.CSRDER); err != nil || request.DNSNames[0] != "shop.example.com" {
		t.Errorf("the request is not kept: %v", err)
	}
}

// bought is a CA that people buy from.
func bought(t *testing.T) *issuer { return sign(t, "bought CA", nil, newKey(t, "p256"), asCA) }

func TestRequestAndUploadWithoutKey(t *testing.T) {
	w := newWorld(t)
	if _, err := w.svc.NewRequest(t.Context(), project, env, "other.example.com", nil, "", pki.Subject{}); !fault.Is(err, fault.Conflict) {
		t.Errorf("for a name that is not verified: %v", err)
	}
	r, err := w.svc.NewRequest(t.Context(), project, env, "shop.example.com", nil, pki.KeyRSA2048, pki.Subject{Organization: "Example Ltd", Country: "GB"})
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(r.PEM()))
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil || request.Subject.Organization[0] != "Example Ltd" || request.Subject.CommonName != "shop.example.com" || request.CheckSignature() != nil {
		t.Fatalf("request %+v, %v", request, err)
	}
	authority := bought(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: request.Subject, DNSNames: request.DNSNames, NotBefore: now.Add(-day), NotAfter: now.Add(300 * day), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, authority.cert, request.PublicKey, authority.key)
	if err != nil {
		t.Fatal(err)
	}
	chain := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	c, err := w.svc.Upload(done(t), custom.UploadRequest{Project: project, Environment: env, Domain: "shop.example.com", ChainPEM: chain}, cause)
	if err != nil {
		t.Fatal(err)
	}
	if c, _ = w.reconcile("shop.example.com"); c.Status.State != certificates.StateValid || c.Status.KeyType != "rsa2048" || c.Status.Issuer != "bought CA" {
		t.Errorf("brought back: %+v", c.Status)
	}
	w.leaf(c)
	var f *fault.Error
	other := sign(t, "x", authority, newKey(t, "p256"), forHost("shop.example.com"))
	if _, err := w.svc.Upload(done(t), custom.UploadRequest{Project: project, Environment: env, Domain: "shop.example.com", ChainPEM: other.pem}, cause); !errors.As(err, &f) || f.Fields[0].Pointer != "/key" || !strings.Contains(f.Fields[0].Detail, "none of the requests") {
		t.Errorf("of another key: %v", err)
	}
}

func TestPKCS12(t *testing.T) {
	w := newWorld(t)
	authority := bought(t)
	middle := sign(t, "middle", authority, newKey(t, "p256"), asCA)
	leaf := sign(t, "leaf", middle, newKey(t, "p256"), forHost("shop.example.com"))
	pfx := func(encoder *pkcs12.Encoder, password string) []byte {
		data, err := encoder.Encode(leaf.key, leaf.cert, []*x509.Certificate{authority.cert, middle.cert}, password)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	upload := func(data []byte, password string) (certificates.Certificate, error) {
		return w.svc.Upload(done(t), custom.UploadRequest{Project: project, Environment: env, Domain: "shop.example.com", PKCS12: data, Password: password}, cause)
	}
	for what, encoder := range map[string]*pkcs12.Encoder{"modern": pkcs12.Modern, "of old programs": pkcs12.LegacyDES} {
		if _, err := upload(pfx(encoder, "correct horse"), "correct horse"); err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		c, _ := w.reconcile("shop.example.com")
		b, err := w.svc.Bundle(t.Context(), c.ID, c.Status.Generation)
		if err != nil || len(parse(t, b.ChainPEM)) != 2 {
			t.Errorf("%s: %v, %s", what, err, b.ChainPEM)
		}
	}
	trust, err := pkcs12.Modern.EncodeTrustStore([]*x509.Certificate{leaf.cert}, "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		what          string
		data          []byte
		password      string
		pointer, says string
	}{
		{"no password", pfx(pkcs12.Modern, "correct horse"), "", "/password", "protected by a password"},
		{"another password", pfx(pkcs12.Modern, "correct horse"), "wrong", "/password", "does not open"},
		{"PEM", []byte(leaf.pem), "", "/pkcs12", "this is PEM"},
		{"garbage", []byte("garbage"), "", "/pkcs12", "cannot be read"},
		{"cut off", pfx(pkcs12.Modern, "correct horse")[:200], "correct horse", "/pkcs12", "cannot be read"},
		{"a costly one", pfx(pkcs12.Modern.WithIterations(1_100_000), "correct horse"), "correct horse", "/pkcs12", "too much work"},
		{"no key in it", trust, "correct horse", "/pkcs12", "no private key"},
		{"too large", make([]byte, 300<<10), "", "/pkcs12", "too large"},
	} {
		_, err := upload(tt.data, tt.password)
		var f *fault.Error
		if !errors.As(err, &f) || f.Code != fault.Invalid || f.Fields[0].Pointer != tt.pointer || !strings.Contains(f.Fields[0].Detail, tt.says) || f.Fields[0].Fix == "" {
			t.Errorf("%s: %v", tt.what, err)
		}
	}
}

func TestExport(t *testing.T) {
	w := newWorld(t)
	w.ensure("shop.example.com")
	if _, _, err := w.svc.Export(t.Context(), project, env, "shop.example.com", ""); !fault.Is(err, fault.Conflict) {
		t.Errorf("before there is one: %v", err)
	}
	c, _ := w.reconcile("shop.example.com")
	out, _, err := w.svc.Export(t.Context(), project, env, "shop.example.com", "")
	if err != nil || len(out.PKCS12) != 0 {
		t.Fatal(err)
	}
	if _, _, err := pki.Check("shop.example.com", out.ChainPEM, out.KeyPEM, w.clock()); err != nil {
		t.Errorf("what was exported cannot be uploaded: %v", err)
	}
	if _, _, err := w.svc.Export(t.Context(), project, env, "shop.example.com", "short"); !fault.Is(err, fault.Invalid) {
		t.Errorf("a weak password: %v", err)
	}
	if out, _, err = w.svc.Export(t.Context(), project, env, "shop.example.com", "correct horse"); err != nil || out.KeyPEM != "" {
		t.Fatal(err)
	}
	if _, leaf, _, err := pkcs12.DecodeChain(out.PKCS12, "correct horse"); err != nil || !leaf.Equal(w.leaf(c)) {
		t.Errorf("the PKCS #12 file: %v", err)
	}
}

func TestTakeover(t *testing.T) {
	w := newWorld(t)
	authority := bought(t)
	leaf := sign(t, "leaf", authority, newKey(t, "p256"), forHost("shop.example.com"))
	put := func(follow bool) {
		t.Helper()
		if _, err := w.svc.Upload(done(t), custom.UploadRequest{Project: project, Environment: env, Domain: "shop.example.com", ChainPEM: leaf.pem, KeyPEM: pemKey(t, leaf.key), Takeover: &follow}, cause); err != nil {
			t.Fatal(err)
		}
	}
	put(false)
	w.reconcile("shop.example.com")
	w.pass(89 * day)
	c, _ := w.reconcile("shop.example.com")
	if w.count() != 0 || c.Status.State != certificates.StateExpiring || c.Status.Events[0].Kind != certificates.EventExpiring {
		t.Fatalf("not asked for, yet: %d orders, %+v", w.count(), c.Status)
	}
	follow := true
	if _, err := w.svc.Change(t.Context(), project, env, "shop.example.com", provision.Settings{Takeover: &follow}, 0, cause); err != nil {
		t.Fatal(err)
	}
	w.reconcile("shop.example.com")
	if c, _ = w.reconcile("shop.example.com"); w.count() != 1 || c.Status.IssuedType != certificates.TypeACME || c.Status.State != certificates.StateValid || c.Spec.Type != certificates.TypeCustom {
		t.Fatalf("taken over: %d orders, %+v", w.count(), c.Status)
	}
	w.pass(61 * day)
	if c, _ = w.reconcile("shop.example.com"); w.count() != 2 || c.Status.Generation != "2" {
		t.Errorf("renewed: %d orders, %+v", w.count(), c.Status)
	}
	// Another upload is the owner's word again.
	leaf = sign(t, "leaf", authority, newKey(t, "p256"), func(x *x509.Certificate) { forHost("shop.example.com")(x); x.NotAfter = now.Add(400 * day) })
	put(true)
	if c, _ = w.reconcile("shop.example.com"); c.Status.IssuedType != certificates.TypeCustom || w.count() != 2 {
		t.Errorf("uploaded again: %+v", c.Status)
	}
}

func TestWarningsAreScaled(t *testing.T) {
	for _, tt := range []struct {
		life time.Duration
		at   []time.Duration // before the end
	}{
		{90 * day, []time.Duration{30 * day, 7 * day, day}},
		{365 * day, []time.Duration{30 * day, 7 * day, day}},
		{6 * day, []time.Duration{2 * day, 6 * day * 7 / 90, 6 * day / 90}},
	} {
		w := newWorld(t)
		authority := sign(t, "bought CA", nil, newKey(t, "p256"), func(c *x509.Certificate) { asCA(c); c.NotAfter = now.Add(1000 * day) })
		leaf := sign(t, "leaf", authority, newKey(t, "p256"), func(c *x509.Certificate) {
			forHost("shop.example.com")(c)
			c.NotBefore, c.NotAfter = now, now.Add(tt.life)
		})
		if _, err := w.svc.Upload(done(t), custom.UploadRequest{Project: project, Environment: env, Domain: "shop.example.com", ChainPEM: leaf.pem, KeyPEM: pemKey(t, leaf.key)}, cause); err != nil {
			t.Fatal(err)
		}
		w.reconcile("shop.example.com")
		told := func() (n int) {
			for _, e := range w.get("shop.example.com").Status.Events {
				if e.Kind == certificates.EventExpiring {
					n++
				}
			}
			return n
		}
		passed := time.Duration(0)
		for i, at := range tt.at {
			w.pass(tt.life - at - time.Minute - passed)
			passed = tt.life - at - time.Minute
			if w.reconcile("shop.example.com"); told() != i {
				t.Errorf("%v: %d warnings a minute before the threshold of %v", tt.life, told(), at)
			}
			w.pass(2 * time.Minute)
			passed += 2 * time.Minute
			w.reconcile("shop.example.com")
			if w.reconcile("shop.example.com"); told() != i+1 {
				t.Errorf("%v: %d warnings after the threshold of %v, want %d", tt.life, told(), at, i+1)
			}
		}
	}
}

// standings plays the responders of CAs.
type standings struct {
	asked    int
	standing certificates.Standing
}

func (s *standings) Standing(context.Context, *x509.Certificate, *x509.Certificate) (certificates.Standing, error) {
	s.asked++
	return s.standing, nil
}

func TestRevokedIsReplaced(t *testing.T) {
	w := newWorld(t)
	s := &standings{standing: certificates.Standing{Staple: &certificates.Staple{DER: []byte{1}, NextUpdate: w.now.Add(4 * day), RefreshAt: w.now.Add(2 * day)}, AskAt: w.now.Add(10 * time.Hour)}}
	w.furnish(func(r *certificates.Room) { r.Revocation = s })
	w.ensure("shop.example.com")
	w.reconcile("shop.example.com")
	c, next := w.reconcile("shop.example.com")
	if c.Status.Staple == nil || s.asked != 1 || next > 10*time.Hour {
		t.Fatalf("asked %d times, next in %v, %+v", s.asked, next, c.Status)
	}
	w.pass(10 * time.Hour)
	s.standing = certificates.Standing{Revoked: &certificates.Revoked{At: w.now, Reason: "key_compromise", Source: "ocsp"}}
	c, next = w.reconcile("shop.example.com")
	if c.Status.Revoked == nil || c.Status.Staple != nil || next != time.Second || c.Status.Events[0].Kind != certificates.EventRevoked {
		t.Fatalf("revoked: next in %v, %+v", next, c.Status)
	}
	s.standing = certificates.Standing{}
	if c, _ = w.reconcile("shop.example.com"); c.Status.Revoked != nil || w.count() != 2 || c.Status.State != certificates.StateValid {
		t.Errorf("replaced: %d orders, %+v", w.count(), c.Status)
	}
	// An uploaded one is not replaced, only told of.
	leaf := sign(t, "leaf", bought(t), newKey(t, "p256"), forHost("shop.example.com"))
	s.standing = certificates.Standing{Revoked: &certificates.Revoked{At: w.now, Reason: "superseded", Source: "crl"}}
	if _, err := w.svc.Upload(done(t), custom.UploadRequest{Project: project, Environment: env, Domain: "shop.example.com", ChainPEM: leaf.pem, KeyPEM: pemKey(t, leaf.key)}, cause); err != nil {
		t.Fatal(err)
	}
	if c, _ = w.reconcile("shop.example.com"); c.Status.IssuedType != certificates.TypeCustom || w.count() != 2 {
		t.Errorf("uploaded: %+v", c.Status)
	}
}

func TestMassReplacement(t *testing.T) {
	w := newWorld(t)
	old, fresh := &ca{w: w}, &ca{w: w}
	w.with(named("old", old))
	const n = 30
	for i := range n {
		w.ensure(fmt.Sprintf("s%d.example.com", i))
		w.reconcile(fmt.Sprintf("s%d.example.com", i))
	}
	w.with(named("fresh", fresh))
	w.pass(time.Hour)
	runs := replacement.New(replacement.Options{Store: w.db, Now: w.clock})
	plan, st, err := runs.Plan(t.Context(), replacement.Spec{Selector: replacement.Selector{Authority: "old"}, PerHour: 600})
	if err != nil || st.Total != n || st.ExpectedAt == nil || !st.ExpectedAt.Equal(w.now.Add(3*time.Minute)) {
		t.Fatalf("plan %+v, %v", st, err)
	}
	if _, err := w.db.Commit(t.Context(), plan.Commit(cause)); err != nil {
		t.Fatal(err)
	}
	id := plan.Actions[0].ID
	replacer := replacement.NewReconciler(runs, nil)
	look := func() replacement.Status {
		t.Helper()
		if _, err := replacer.Reconcile(t.Context(), reconcile.Ref{Kind: replacement.Kind, ID: id}); err != nil {
			t.Fatal(err)
		}
		run, err := runs.Run(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return run.Status
	}
	want := func(state replacement.State) {
		t.Helper()
		plan, err := runs.PlanRun(t.Context(), id, state)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.db.Commit(t.Context(), plan.Commit(cause)); err != nil {
			t.Fatal(err)
		}
	}
	all := func() {
		for i := range n {
			w.reconcile(fmt.Sprintf("s%d.example.com", i))
		}
	}
	look()
	if all(); fresh.asked != 0 {
		t.Fatal("replaced before it was started")
	}
	want(replacement.Running)
	if st := look(); st.Running != 10 || st.Done != 0 || st.Total != n {
		t.Fatalf("the first minute: %+v", st)
	}
	if all(); fresh.asked != 10 {
		t.Errorf("%d replaced in the first minute, want 10", fresh.asked)
	}
	want(replacement.Paused)
	w.pass(time.Minute)
	if st := look(); st.Done != 10 || st.State != replacement.Paused {
		t.Errorf("paused: %+v", st)
	}
	if all(); fresh.asked != 10 {
		t.Error("replaced while paused")
	}
	want(replacement.Running)
	fresh.fail = refused
	w.pass(time.Minute)
	look()
	all()
	if st := look(); st.Failing != 10 || len(st.Failed) == 0 {
		t.Errorf("failing: %+v", st)
	}
	fresh.fail = nil
	for range 4 {
		w.pass(5 * time.Minute)
		look()
		all()
	}
	if st := look(); st.State != replacement.Finished || st.Done != n || st.FinishedAt == nil {
		t.Errorf("in the end: %+v", st)
	}
	if c := w.get("s7.example.com"); c.Status.Authority != "fresh" || c.Status.Replacement != "" {
		t.Errorf("replaced: %+v", c.Status)
	}
	if _, err := runs.PlanRun(t.Context(), id, replacement.Running); !fault.Is(err, fault.Conflict) {
		t.Errorf("starting what is finished: %v", err)
	}
	if _, _, err := runs.Plan(t.Context(), replacement.Spec{}); !fault.Is(err, fault.Invalid) {
		t.Errorf("selecting nothing: %v", err)
	}
}

func TestAddressesAndWildcards(t *testing.T) {
	w := newWorld(t)
	w.furnish(func(r *certificates.Room) {
		r.Addresses = func(context.Context) ([]string, error) { return []string{"203.0.113.7", "2001:db8::7"}, nil }
		r.NameServers = []string{"ns1.platform.example"}
	})
	provision := func(p, domain string) error {
		_, err := w.svc.Provision(done(t), provision.Request{Project: p, Environment: env, Domain: domain, AutoRenew: true}, cause)
		return err
	}
	if err := provision("default", "203.0.113.7"); err != nil {
		t.Errorf("an edge's address: %v", err)
	}
	if err := provision("default", "203.0.113.8"); !fault.Is(err, fault.Conflict) {
		t.Errorf("another address: %v", err)
	}
	if err := provision(project, "203.0.113.7"); !fault.Is(err, fault.Conflict) {
		t.Errorf("a tenant's wish for the platform's address: %v", err)
	}
	if err := provision("default", "ns1.platform.example"); err != nil {
		t.Errorf("a name server: %v", err)
	}
	if err := provision(project, "ns1.platform.example"); !fault.Is(err, fault.Conflict) {
		t.Errorf("a tenant's wish for the platform's name server: %v", err)
	}
	if err := provision(project, "*.shop.example.com"); err != nil {
		t.Errorf("a wildcard below a verified name: %v", err)
	}
	if err := provision(project, "*.example.com"); !fault.Is(err, fault.Conflict) {
		t.Errorf("a wildcard beside it: %v", err)
	}
	for spec, says := range map[string]string{
		`{"domains":["*.shop.example.com"],"challenge":"http-01"}`: "proved in its DNS only",
		`{"challenge":"carrier-pigeon"}`:                           "not a challenge",
		`{"profile":"two words"}`:                                  "one word",
		`{"revoke":{"reason":"x"}}`:                                "names no certificate",
	} {
		name := "shop.example.com"
		if strings.Contains(spec, "*.") {
			name = "*.shop.example.com"
		}
		if _, err := certificates.Type(certificates.ModeAuto).Normalize(name, []byte(spec)); err == nil || !strings.Contains(fmt.Sprint(err), says) {
			t.Errorf("%s: %v", spec, err)
		}
	}
	if _, err := certificates.Type(certificates.ModeAuto).Normalize("203.0.113.7", []byte(`{"challenge":"dns-01"}`)); err == nil || !strings.Contains(err.Error(), "no DNS to prove it in") {
		t.Errorf("an address by DNS: %v", err)
	}
}

func TestExternal(t *testing.T) {
	w := newWorld(t)
	if _, err := w.svc.Provision(done(t), provision.Request{Project: project, Environment: env, Domain: "shop.example.com", Type: certificates.TypeExternal}, cause); err != nil {
		t.Fatal(err)
	}
	if c, next := w.reconcile("shop.example.com"); c.Status.State != certificates.StateExternal || next != 0 || w.count() != 0 {
		t.Errorf("external: %+v, %v", c.Status, next)
	}
}

func TestCAsAreChecked(t *testing.T) {
	w := newWorld(t)
	cas := authority.New(w.db, w.db)
	for spec, pointer := range map[*authority.Spec]string{
		{Directory: "http://ca.example/dir"}:                      "/directory",
		{Directory: "https://a/d", Staging: "https://a/d"}:        "/staging",
		{Directory: "https://a/d", RootPEM: "x"}:                  "/root_pem",
		{Directory: "https://a/d", Email: "nobody"}:               "/email",
		{Directory: "https://a/d", EABKeyID: "kid"}:               "/eab_key_id",
		{Directory: "https://a/d", Priority: -1}:                  "/priority",
		{Directory: "https://a/d", Limits: []authority.Limit{{}}}: "/limits/0/kind",
	} {
		_, err := cas.PutCA(t.Context(), "one", *spec, "", 0, false)
		var f *fault.Error
		if !errors.As(err, &f) || f.Code != fault.Invalid || f.Fields[0].Pointer != pointer {
			t.Errorf("%+v: %v", spec, err)
		}
	}
	if _, err := cas.PutCA(t.Context(), "No Name!", authority.Spec{Directory: "https://a/d"}, "", 0, false); !fault.Is(err, fault.Invalid) {
		t.Errorf("a name that is none: %v", err)
	}
	plan, err := cas.PutCA(t.Context(), "one", authority.Spec{Directory: "https://a/d", EABKeyID: "kid"}, "mac", 0, true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.db.Commit(t.Context(), plan.Commit(cause)); err != nil {
		t.Fatal(err)
	}
	one, err := cas.CA(t.Context(), "one")
	if err != nil {
		t.Fatal(err)
	}
	if mac, err := authority.EABKey(t.Context(), w.db, one); err != nil || mac != "mac" {
		t.Errorf("the MAC key: %q, %v", mac, err)
	}
	// Changed without the key, it keeps it; and never shows it.
	if plan, err = cas.PutCA(t.Context(), "one", authority.Spec{Directory: "https://a/other", EABKeyID: "kid"}, "", one.Revision, true); err != nil || strings.Contains(string(plan.Actions[0].After), "mac") || !strings.Contains(string(plan.Actions[0].After), `"eab_secret":1`) {
		t.Errorf("%s, %v", plan.Actions[0].After, err)
	}
	if _, err := cas.PutCA(t.Context(), "one", authority.Spec{Directory: "https://a/d"}, "", one.Revision+1, true); !fault.Is(err, fault.Stale) {
		t.Errorf("a stale change: %v", err)
	}
}
