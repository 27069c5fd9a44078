package domains_test

import (
	"context"
	"errors"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/edgewright/edgewright/control/domains"
	"github.com/edgewright/edgewright/control/domains/lookup"
	"github.com/edgewright/edgewright/control/domains/lookup/lookuptest"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
	"github.com/edgewright/edgewright/netguard"
)

// due passes the time to the next look at the proof and reconciles.
func (w *world) due(d domains.Domain) domains.Domain {
	w.t.Helper()
	d = w.get(d.Project, d.Name)
	w.pass(d.Status.RecheckAt.Sub(w.clock()))
	d, _ = w.reconcile(d)
	return d
}

func (w *world) verified(project, name string) domains.Domain {
	w.t.Helper()
	d := w.add(project, name)
	w.prove(d)
	w.verify(project, name, "dns")
	d, _ = w.reconcile(d)
	if !d.Status.Verified {
		w.t.Fatalf("%s is not verified: %+v", name, d.Status.Conditions)
	}
	return d
}

func lastEvent(d domains.Domain) string {
	if n := len(d.Status.Events); n > 0 {
		return d.Status.Events[n-1].Severity + " " + d.Status.Events[n-1].Type
	}
	return ""
}

func (w *world) claims(name string) int {
	w.t.Helper()
	page, err := w.db.List(w.t.Context(), resource.Query{Kind: domains.KindClaim, Name: name})
	if err != nil {
		w.t.Fatal(err)
	}
	return len(page.Items)
}

func TestLostProof(t *testing.T) {
	w := newWorld(t, "")
	w.svc.Random = func() float64 { return 0.5 }
	d := w.verified("alpha", "shop.example.com")
	if got := reason(d, domains.Proof); got != "true Found" || d.Status.RecheckAt.Sub(w.clock()) != 24*time.Hour {
		t.Fatalf("verified: %s, looked again at %v", got, d.Status.RecheckAt)
	}
	record, token := d.Status.Records[0].FullName, d.Status.VerificationToken
	proven := *d.Status.ProvenAt
	if d = w.due(d); reason(d, domains.Proof) != "true Found" || !d.Status.ProvenAt.After(proven) {
		t.Errorf("still there: %+v", d.Status)
	}

	// Gone: a warning, and it stays served.
	delete(w.txt, record)
	d = w.due(d)
	if reason(d, domains.Proof) != "false RecordNotFound" || !d.Status.Verified || w.claims(d.Name) != 1 || lastEvent(d) != "warning ownership.proof_lost" {
		t.Errorf("gone: %s, %+v", lastEvent(d), d.Status)
	}
	if left := d.Status.ReleaseAt.Sub(w.clock()); left != 14*24*time.Hour {
		t.Errorf("released in %v", left)
	}
	if events := len(d.Status.Events); len(w.due(d).Status.Events) != events {
		t.Error("it is told again each hour")
	}
	// Back: all is well again.
	w.txt[record] = []string{token}
	if d = w.due(d); reason(d, domains.Proof) != "true Found" || d.Status.LostAt != nil || d.Status.ReleaseAt != nil || lastEvent(d) != "info ownership.proof_restored" {
		t.Errorf("back: %s, %+v", lastEvent(d), d.Status)
	}

	// Gone for good: released after the grace period, and not before.
	delete(w.txt, record)
	d = w.due(d)
	release := *d.Status.ReleaseAt
	for d.Status.Verified {
		if w.clock().After(release.Add(2 * time.Hour)) {
			t.Fatal("it is never released")
		}
		if w.clock().Before(release.Add(-26 * time.Hour)) {
			w.pass(23 * time.Hour) // hours in which nobody looks
		}
		d = w.due(d)
		if !d.Status.Verified && w.clock().Before(release) {
			t.Fatalf("released %v too early", release.Sub(w.clock()))
		}
	}
	if w.claims(d.Name) != 0 || lastEvent(d) != "critical ownership.released" || d.Status.RecheckAt != nil {
		t.Errorf("released: %s, %+v", lastEvent(d), d.Status)
	}
	// It must be proven anew, with another token.
	w.txt[record] = []string{token}
	if v := w.verify("alpha", d.Name, "dns"); v.Verified {
		t.Error("the old token still counts")
	}
	w.prove(w.get("alpha", d.Name))
	if v := w.verify("alpha", d.Name, "dns"); !v.Verified {
		t.Errorf("the new token does not count: %+v", v.Domain.Status)
	}
}

// What nobody can tell takes nothing away.
func TestUnclearProofIsNotLost(t *testing.T) {
	w := newWorld(t, "")
	d := w.verified("alpha", "shop.example.com")
	broken := func(context.Context, string, string) []domains.Seen {
		return []domains.Seen{{Resolver: "192.0.2.1:53", Error: "timeout"}, {Resolver: "192.0.2.2:53", Error: "SERVFAIL"}}
	}
	w.svc.Resolvers = lookupFunc(broken)
	for range 20 {
		w.pass(20 * time.Hour)
		d = w.due(d)
	}
	if !d.Status.Verified || d.Status.LostAt != nil || reason(d, domains.Proof) != "unknown LookupFailed" {
		t.Errorf("after two weeks of silence: %+v", d.Status)
	}
	// Once it was lost, silence does not release it either.
	w.svc.Resolvers = w
	w.txt = map[string][]string{}
	d = w.due(d)
	w.svc.Resolvers = lookupFunc(broken)
	for range 20 {
		w.pass(20 * time.Hour)
		d = w.due(d)
	}
	if !d.Status.Verified || d.Status.LostAt == nil {
		t.Errorf("lost, then two weeks of silence: %+v", d.Status)
	}
}

type lookupFunc func(ctx context.Context, name, typ string) []domains.Seen

func (f lookupFunc) Lookup(ctx context.Context, name, typ string) []domains.Seen {
	return f(ctx, name, typ)
}

func TestFreeNamesAreNotCheckedAgain(t *testing.T) {
	w := newWorld(t, "")
	d, _ := w.reconcile(w.add("alpha", "shop.localhost"))
	if _, has := resource.ConditionOf(d.Status.Conditions, domains.Proof); has || d.Status.RecheckAt != nil {
		t.Errorf("%+v", d.Status)
	}
}

// outbox keeps mails, and refuses those to some addresses.
type outbox struct {
	mu     sync.Mutex
	mails  map[string]string // address -> text
	refuse string
}

func (o *outbox) Send(_ context.Context, to, _, text string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.refuse != "" && strings.HasPrefix(to, o.refuse) {
		return fault.New(fault.Unavailable, "the mail server refused it with 550")
	}
	o.mails[to] = text
	return nil
}

var linkIn = regexp.MustCompile(`https://control\.example\.com/verify-domain\?\S+`)

func (o *outbox) token(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(linkIn.FindString(o.mails[address]))
	if err != nil || u.Query().Get("token") == "" {
		t.Fatalf("no link in %q", o.mails[address])
	}
	return u.Query().Get("token")
}

func newMailWorld(t *testing.T) (*world, *outbox) {
	w, o := newWorld(t, ""), &outbox{mails: map[string]string{}}
	w.svc.Mailer, w.svc.PublicURL = o, func() string { return "https://control.example.com/" }
	return w, o
}

func TestVerifyByMail(t *testing.T) {
	w, o := newMailWorld(t)
	w.add("alpha", "shop.example.co.uk")
	v := w.verify("alpha", "shop.example.co.uk", "email")
	if v.Verified || reason(v.Domain, domains.Ownership) != "false MailSent" || len(o.mails) != 5 {
		t.Fatalf("sent %d mails: %+v", len(o.mails), v.Domain.Status)
	}
	for _, box := range []string{"admin", "administrator", "hostmaster", "postmaster", "webmaster"} {
		if text := o.mails[box+"@example.co.uk"]; !strings.Contains(text, "shop.example.co.uk") || !strings.Contains(text, "alpha") {
			t.Errorf("%s got %q", box, text)
		}
	}
	// The command line asks again and again while it waits: nobody is mailed twice.
	o.mails = map[string]string{}
	if w.verify("alpha", "shop.example.co.uk", "email"); len(o.mails) != 0 {
		t.Error("links that are still good were sent again")
	}
	_, err := w.svc.SendMail(t.Context(), "alpha", env, "shop.example.co.uk", "", true)
	wantCode(t, err, fault.RateLimited, "a short while ago")
	w.pass(11 * time.Minute)
	if _, err := w.svc.SendMail(t.Context(), "alpha", env, "shop.example.co.uk", "hostmaster@example.co.uk", true); err != nil || len(o.mails) != 1 {
		t.Fatalf("%d mails, %v", len(o.mails), err)
	}
	token := o.token(t, "hostmaster@example.co.uk")

	// Opening the link does nothing, however often; mail scanners do.
	for range 3 {
		c, err := w.svc.ReadMailToken(t.Context(), token)
		if err != nil || c.Address != "hostmaster@example.co.uk" || c.Domain.Status.Verified {
			t.Fatalf("%+v, %v", c, err)
		}
	}
	// Confirming counts once, whoever is faster.
	var wait sync.WaitGroup
	var mu sync.Mutex
	confirmed := 0
	for range 8 {
		wait.Go(func() {
			c, err := w.svc.ConfirmMail(context.Background(), token, cause)
			mu.Lock()
			defer mu.Unlock()
			if err == nil && c.Domain.Status.Verified {
				confirmed++
			} else if !fault.Is(err, fault.Conflict) {
				t.Errorf("%+v, %v", c, err)
			}
		})
	}
	wait.Wait()
	if confirmed != 1 {
		t.Errorf("%d confirmations count", confirmed)
	}
	d, _ := w.reconcile(w.get("alpha", "shop.example.co.uk"))
	if d.Status.Method != "email" || reason(d, domains.Proof) != "true Found" {
		t.Errorf("%+v", d.Status)
	}
	_, err = w.svc.ReadMailToken(t.Context(), token)
	wantCode(t, err, fault.Conflict, "used already")
	// A confirmation lasts for a year, whatever stands in the DNS.
	for w.clock().Sub(*d.Status.ProvenAt) < 360*24*time.Hour {
		if d = w.due(d); reason(d, domains.Proof) != "true Found" {
			t.Fatalf("after %v: %s", w.clock().Sub(*d.Status.ProvenAt), reason(d, domains.Proof))
		}
	}
	for range 8 {
		d = w.due(d)
	}
	if reason(d, domains.Proof) != "false MailTooOld" || d.Status.ReleaseAt == nil {
		t.Errorf("after a year: %+v", d.Status.Conditions)
	}
	if _, err := w.svc.SendMail(t.Context(), "alpha", env, d.Name, "admin@example.co.uk", true); err != nil {
		t.Fatal(err)
	}
	if _, err := w.svc.ConfirmMail(t.Context(), o.token(t, "admin@example.co.uk"), cause); err != nil {
		t.Fatal(err)
	}
	if d = w.due(d); reason(d, domains.Proof) != "true Found" || d.Status.LostAt != nil {
		t.Errorf("confirmed again: %+v", d.Status)
	}
}

func TestMailRefuses(t *testing.T) {
	w, o := newMailWorld(t)
	d := w.add("alpha", "example.com")
	w.add("alpha", "shop.localhost")
	send := func(domain, address string) error {
		_, err := w.svc.SendMail(t.Context(), "alpha", env, domain, address, true)
		return err
	}
	wantCode(t, send("shop.localhost", ""), fault.Conflict, "no proof")
	wantCode(t, send("nobody.example.com", ""), fault.NotFound, "no such domain")
	for _, address := range []string{"me@example.com", "admin@example.org", "admin@shop.example.com", "admin@example.com, me@evil.example", "admin"} {
		wantCode(t, send("example.com", address), fault.Invalid, "does not prove")
	}
	var f *fault.Error
	if err := send("example.com", "x"); !errors.As(err, &f) || f.Fields[0].Pointer != "/address" || !strings.Contains(f.Fields[0].Fix, "hostmaster@example.com") {
		t.Errorf("%+v", f)
	}
	// Some mailboxes refuse: the others count. All do: it is said.
	o.refuse = "admin"
	if err := send("example.com", ""); err != nil || len(o.mails) != 3 {
		t.Errorf("%d mails, %v", len(o.mails), err)
	}
	token := o.token(t, "postmaster@example.com")
	w.pass(11 * time.Minute)
	o.refuse = "h"
	wantCode(t, send("example.com", "hostmaster@example.com"), fault.Unavailable, "550")
	// The links of before are no longer good.
	_, err := w.svc.ReadMailToken(t.Context(), token)
	wantCode(t, err, fault.Conflict, "newer mail")
	o.refuse = ""
	w.pass(11 * time.Minute)
	if err := send("example.com", ""); err != nil {
		t.Fatal(err)
	}
	token = o.token(t, "postmaster@example.com")
	// Whoever asks, and in whatever project: nobody is mailed all day.
	w.add("beta", "www.example.com")
	sent := 0
	for range 10 {
		w.pass(11 * time.Minute)
		if _, err := w.svc.SendMail(t.Context(), "beta", env, "www.example.com", "", true); err == nil {
			sent++
		}
	}
	if sent != 1 {
		t.Errorf("%d more rounds of mail for one registered name in a day", sent)
	}

	parts := strings.Split(token, ".")
	for name, bad := range map[string]string{
		"empty": "", "no parts": "x", "too long": strings.Repeat("a.", 600), "another domain": "dom_other." + strings.Join(parts[1:], "."),
		"a later end": parts[0] + ".9999999999." + strings.Join(parts[2:], "."), "no signature": strings.Join(parts[:3], ".") + ".", "cut": token[:len(token)-1],
	} {
		if _, err := w.svc.ReadMailToken(t.Context(), bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.pass(25 * time.Hour)
	_, err = w.svc.ConfirmMail(t.Context(), token, cause)
	wantCode(t, err, fault.Conflict, "expired")
	if err := send("example.com", "postmaster@example.com"); err != nil {
		t.Fatal(err)
	}
	token = o.token(t, "postmaster@example.com")
	if err := w.svc.Remove(t.Context(), "alpha", env, d.Name, 0, cause); err != nil {
		t.Fatal(err)
	}
	_, err = w.svc.ConfirmMail(t.Context(), token, cause)
	wantCode(t, err, fault.Conflict, "no longer there")

	w.svc.Mailer = nil
	w.add("alpha", "example.net")
	_, err = w.svc.Verify(t.Context(), "alpha", env, "example.net", "email")
	wantCode(t, err, fault.Unavailable, "--smtp-url")
	wantCode(t, err, fault.Unavailable, "--mail-from")
}

// A mail's link proves nothing where another project holds the name.
func TestMailDoesNotTakeAnothersName(t *testing.T) {
	w, o := newMailWorld(t)
	w.verified("alpha", "example.com")
	w.add("beta", "example.com")
	w.verify("beta", "example.com", "email")
	_, err := w.svc.ConfirmMail(t.Context(), o.token(t, "admin@example.com"), cause)
	wantCode(t, err, fault.Conflict, "another project has verified")
}

// Against real name servers: the record counts at the first look after it is
// published, though every resolver still remembers that there was nothing; and
// while the user is at it, looks are 10 seconds apart, so that it is found well
// within 30.
func TestVerificationDoesNotWaitForCaches(t *testing.T) {
	dns := lookuptest.New(t)
	resolvers := []string{dns.Resolver("127.0.0.1"), dns.Resolver("127.0.0.9")}
	dns.Serve("example", []string{"127.0.0.2"}, "a.nic.example")
	zone := dns.Serve("shop.example", []string{"127.0.0.3", "127.0.0.4", "127.0.0.5"})
	network, err := lookup.New(lookup.Options{Resolvers: resolvers, Policy: netguard.AllowAll(), Port: dns.Port})
	if err != nil {
		t.Fatal(err)
	}
	set, err := domains.NewResolvers(resolvers)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, "")
	w.svc.Authorities, w.svc.Resolvers = network, set
	d := w.add("alpha", "www.shop.example")
	d, _ = w.reconcile(d)
	if len(d.Status.Records[0].Seen) != 5 || reason(d, domains.Ownership) != "false RecordNotFound" {
		t.Fatalf("before: %+v", d.Status.Records[0].Seen)
	}
	record := d.Status.Records[0]
	for range 50 { // the user takes eight minutes
		wait := d.Status.NextCheckAt.Sub(w.clock())
		if wait > 10*time.Second {
			t.Fatalf("after %d looks the next one is in %v", d.Status.Attempts, wait)
		}
		w.pass(wait)
		d, _ = w.reconcile(d)
	}
	for _, r := range resolvers {
		dns.Stale(r[:strings.LastIndexByte(r, ':')], record.FullName, "TXT")
	}
	dns.Set(record.FullName, "TXT", `"`+record.Value+`"`)
	// One of three servers has it so far: not yet.
	for _, address := range []string{"127.0.0.4", "127.0.0.5"} {
		dns.Only(zone, address, record.FullName, "TXT")
	}
	attempts := d.Status.Attempts
	w.pass(d.Status.NextCheckAt.Sub(w.clock()))
	if d, _ = w.reconcile(d); d.Status.Verified || reason(d, domains.Ownership) != "false Spreading" {
		t.Fatalf("one of three servers: %s", reason(d, domains.Ownership))
	}
	dns.Only(zone, "127.0.0.4", record.FullName, "TXT", `"`+record.Value+`"`)
	visible := w.clock()
	w.pass(d.Status.NextCheckAt.Sub(w.clock()))
	if d, _ = w.reconcile(d); !d.Status.Verified || w.clock().Sub(visible) > 10*time.Second {
		t.Fatalf("two of three servers have it, after %d more looks and %v: %s", d.Status.Attempts-attempts, w.clock().Sub(visible), reason(d, domains.Ownership))
	}
	var own, cached int
	for _, s := range d.Status.Records[0].Seen {
		switch {
		case s.Authoritative && len(s.Answers) == 1:
			own++
		case !s.Authoritative && s.Error == "NXDOMAIN":
			cached++
		}
	}
	if own != 2 || cached != 2 {
		t.Errorf("what each saw is not said: %+v", d.Status.Records[0].Seen)
	}
	if got := d.Status.Setup; got == nil || got.Zone != "shop.example" || len(got.NameServers) != 3 {
		t.Errorf("who serves the zone: %+v", got)
	}
}
