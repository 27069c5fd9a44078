package domains_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgewright/edgewright/control/cdn"
	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/certificates/provision"
	"github.com/edgewright/edgewright/control/domains"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
	"github.com/edgewright/edgewright/netguard"
)

func (w *world) types() resource.Types {
	return resource.Types{cdn.Type(netguard.AllowAll()), domains.Type(), domains.ClaimType(), domains.TransferType(), certificates.Type(certificates.ModeLocal)}
}

func (w *world) lock(d domains.Domain, locked bool) domains.Domain {
	w.t.Helper()
	d, err := w.svc.SetLock(w.t.Context(), d.Project, d.Environment, d.Name, locked, 0, cause)
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

// A locked domain stays as it is, whichever way somebody comes.
func TestLockHoldsOnEveryPath(t *testing.T) {
	w := newWorld(t, "")
	ctx, types := t.Context(), w.types()
	other := w.add("alpha", "other.localhost")
	d := w.add("alpha", "shop.localhost")
	created := d.Revision
	empty := resource.Desired{Project: "alpha", Environment: env, Prune: true}
	before, err := resource.PlanApply(ctx, w.db, types, empty)
	if err != nil {
		t.Fatal(err)
	}
	d = w.lock(d, true)
	if !d.Spec.Locked || d.Revision == created || lastEvent(d) != "info lock.locked" {
		t.Fatalf("locked: %+v, %s", d, lastEvent(d))
	}

	refused := func(path string, err error) {
		t.Helper()
		if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "locked") || !strings.Contains(err.Error(), "domains unlock shop.localhost") {
			t.Errorf("%s: %v", path, err)
		}
	}
	refused("remove", w.svc.Remove(ctx, "alpha", env, d.Name, 0, cause))
	_, err = w.svc.Offer(ctx, "alpha", env, d.Name, "beta", "", cause)
	refused("offer", err)
	_, err = w.svc.Update(ctx, "alpha", env, d.Name, json.RawMessage(`{"locked":false}`), 0, cause)
	refused("update that unlocks", err)
	_, err = resource.PlanApply(ctx, w.db, types, empty)
	refused("apply that prunes", err)
	_, err = resource.PlanRevert(ctx, w.db, types, created)
	if !fault.Is(err, fault.Conflict) { // changed since: by the lock itself
		t.Errorf("revert of its creation: %v", err)
	}
	_, err = resource.PlanRestore(ctx, w.db, types, created)
	refused("restore of what was before it", err)
	_, err = resource.PlanRollback(ctx, w.db, types, "alpha", env, other.Revision)
	refused("roll-back to before it", err)
	if _, err := w.db.Commit(ctx, before.Commit(cause)); !fault.Is(err, fault.Stale) {
		t.Errorf("a plan from before the lock: %v", err)
	}

	// Declaring it without a word of the lock neither unlocks nor changes it, and
	// neither does rolling back to when it was not locked.
	plan, err := resource.PlanApply(ctx, w.db, types, resource.Desired{Project: "alpha", Environment: env, Resources: []resource.Declared{{Kind: domains.Kind, Name: d.Name}}})
	if err != nil || !plan.Empty() {
		t.Errorf("declared: %+v, %v", plan.Actions, err)
	}
	plan, err = resource.PlanRollback(ctx, w.db, types, "alpha", env, created)
	if err != nil || !plan.Empty() {
		t.Errorf("rolled back to unlocked: %+v, %v", plan.Actions, err)
	}
	// Everything else may change.
	if d, err = w.svc.Update(ctx, "alpha", env, d.Name, json.RawMessage(`{"redirect_https":false}`), 0, cause); err != nil || !d.Spec.Locked || d.Spec.RedirectHTTPS {
		t.Errorf("another change: %+v, %v", d.Spec, err)
	}
	if d = w.lock(d, false); d.Spec.Locked || lastEvent(d) != "warning lock.unlocked" {
		t.Errorf("unlocked: %s", lastEvent(d))
	}
	if err := w.svc.Remove(ctx, "alpha", env, d.Name, 0, cause); err != nil {
		t.Error(err)
	}
}

func TestCheckUnlocked(t *testing.T) {
	w := newWorld(t, "")
	for _, name := range []string{"example.com", "www.example.com", "*.wild.example.com", "example.org", "deep.example.org"} {
		w.add("alpha", name)
	}
	w.lock(w.get("alpha", "www.example.com"), true)
	w.lock(w.get("alpha", "*.wild.example.com"), true)
	w.lock(w.get("alpha", "example.org"), true)
	for name, free := range map[string]bool{
		"example.com": true, "www.example.com": false, "_x.www.example.com": false, "WWW.example.com.": false, "mail.example.com": true,
		"wild.example.com": true, "a.wild.example.com": false, "example.org": false, "any.thing.example.org": false, "notexample.org": true,
	} {
		if err := w.svc.CheckUnlocked(t.Context(), "alpha", env, name); (err == nil) != free || err != nil && !fault.Is(err, fault.Conflict) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := w.svc.CheckUnlocked(t.Context(), "beta", env, "www.example.com"); err != nil {
		t.Errorf("another project's lock: %v", err)
	}
	for apex, free := range map[string]bool{"example.com": false, "example.org": false, "mail.example.com": true, "example.net": true} {
		if err := w.svc.CheckZoneUnlocked(t.Context(), "alpha", env, apex); (err == nil) != free {
			t.Errorf("zone %s: %v", apex, err)
		}
	}
}

// handover is a world with certificates, in which alpha has a verified domain.
func handover(t *testing.T) (*world, *provision.Service, domains.Domain) {
	w := newWorld(t, "")
	certs := provision.New(certificates.Room{Store: w.db, Vault: w.db, Ownership: w.svc, Mode: certificates.ModeLocal, Now: w.clock})
	w.svc.Followers = []resource.Follower{certs}
	d, err := w.svc.Add(t.Context(), domains.AddRequest{Project: "alpha", Environment: env, Domain: "shop.example.com", OriginURL: "http://origin.example.com"}, cause)
	if err != nil {
		t.Fatal(err)
	}
	w.prove(d)
	w.verify("alpha", d.Name, "dns")
	if err := certs.Ensure(t.Context(), "alpha", env, d.Name, cause); err != nil {
		t.Fatal(err)
	}
	c, err := certs.Get(t.Context(), "alpha", env, d.Name)
	if err != nil {
		t.Fatal(err)
	}
	status := []byte(`{"state":"valid","generation":"1","issued":1,"names":["shop.example.com"],"issued_type":"local"}`)
	if _, err := w.db.PutStatus(t.Context(), certificates.Kind, c.ID, status, 0); err != nil {
		t.Fatal(err)
	}
	if err := w.db.PutSecret(t.Context(), "certificate/"+c.ID+"/1", []byte(`{"chain_pem":"the chain","key_der":"a2V5"}`)); err != nil {
		t.Fatal(err)
	}
	return w, certs, w.get("alpha", d.Name)
}

func (w *world) offer(d domains.Domain, to string) domains.TransferOffer {
	w.t.Helper()
	o, err := w.svc.Offer(w.t.Context(), d.Project, d.Environment, d.Name, to, "as agreed", cause)
	if err != nil {
		w.t.Fatal(err)
	}
	return o
}

func TestTransfer(t *testing.T) {
	w, certs, d := handover(t)
	ctx := t.Context()
	o := w.offer(d, "beta")
	for project, want := range map[string]int{"alpha": 1, "beta": 1, "gamma": 0} {
		if list, err := w.svc.Offers(ctx, project); err != nil || len(list) != want {
			t.Errorf("%s sees %d offers, %v", project, len(list), err)
		}
	}
	_, err := w.svc.PlanAccept(ctx, "gamma", env, o.ID, "")
	wantCode(t, err, fault.NotFound, "no such offer")
	_, err = w.svc.PlanAccept(ctx, "alpha", env, o.ID, "")
	wantCode(t, err, fault.Forbidden, "it was made to")
	_, err = w.svc.PlanAccept(ctx, "beta", env, o.ID, "none-such")
	wantCode(t, err, fault.Invalid, "no CDN configuration")

	plan, err := w.svc.PlanAccept(ctx, "beta", env, o.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, a := range plan.Actions {
		kinds = append(kinds, string(a.Op)+" "+string(a.Kind)+" "+a.Project)
	}
	slices.Sort(kinds)
	if got := strings.Join(kinds, ", "); got != "create cdn beta, create certificate beta, create domain beta, delete cdn alpha, delete certificate alpha, delete domain alpha, delete transfer , update claim " {
		t.Errorf("plan: %s", got)
	}
	if still := w.get("alpha", d.Name); !still.Status.Verified {
		t.Error("planning has changed something")
	}

	got, err := w.svc.Accept(ctx, "beta", env, o.ID, "", cause)
	if err != nil {
		t.Fatal(err)
	}
	if !got.Status.Verified || got.Project != "beta" || got.Spec.CDN != "shop.example.com" || lastEvent(got) != "info ownership.transferred" || reason(got, domains.Ownership) != "true Verified" {
		t.Errorf("taken over: %+v, %s", got, lastEvent(got))
	}
	if ok, err := w.svc.Verified(ctx, "beta", env, d.Name); !ok || err != nil {
		t.Errorf("the claim: %v, %v", ok, err)
	}
	if _, err := w.svc.Get(ctx, "alpha", env, d.Name); !fault.Is(err, fault.NotFound) {
		t.Errorf("alpha still has it: %v", err)
	}
	// The certificate came along, with its key, as valid as it was.
	c, err := certs.Get(ctx, "beta", env, d.Name)
	if err != nil || c.Status.State != certificates.StateValid || c.Status.Generation != "1" {
		t.Fatalf("certificate: %+v, %v", c, err)
	}
	if b, err := certs.Bundle(ctx, c.ID, "1"); err != nil || b.ChainPEM != "the chain" || string(b.KeyDER) != "key" {
		t.Errorf("bundle: %+v, %v", b, err)
	}
	if _, err := certs.Get(ctx, "alpha", env, d.Name); !fault.Is(err, fault.NotFound) {
		t.Errorf("alpha still has the certificate: %v", err)
	}
	conf, err := w.cdn.Get(ctx, "beta", env, "shop.example.com")
	if err != nil || conf.Spec.Origins[0].URL != "http://origin.example.com" {
		t.Errorf("CDN configuration: %+v, %v", conf, err)
	}
	// What alpha published still proves it, and so does what beta publishes.
	if got = w.due(got); reason(got, domains.Proof) != "true Found" {
		t.Errorf("alpha's record no longer counts: %s", reason(got, domains.Proof))
	}
	w.txt = map[string][]string{}
	w.prove(got)
	if got = w.due(got); reason(got, domains.Proof) != "true Found" {
		t.Errorf("beta's record does not count: %s", reason(got, domains.Proof))
	}
	// Both histories tell of it, and the offer is spent.
	for _, project := range []string{"alpha", "beta"} {
		history, _, err := w.db.History(ctx, resource.HistoryQuery{Project: project, Kind: domains.Kind})
		if err != nil || len(history) == 0 || !strings.Contains(history[0].Cause.Reason, "transfer of shop.example.com") {
			t.Errorf("%s's history: %+v, %v", project, history, err)
		}
	}
	_, err = w.svc.Accept(ctx, "beta", env, o.ID, "", cause)
	wantCode(t, err, fault.NotFound, "no such offer")
	// alpha can add it again, and needs beta's consent to have it.
	back := w.add("alpha", d.Name)
	w.prove(back)
	if v := w.verify("alpha", d.Name, "dns"); v.Verified {
		t.Error("alpha took it back alone")
	}
	if back.Status.VerificationToken == d.Status.VerificationToken {
		t.Error("the token of before counts again")
	}
}

func TestTransferRefuses(t *testing.T) {
	w, _, d := handover(t)
	ctx := t.Context()
	accept := func(o domains.TransferOffer, project string) error {
		_, err := w.svc.Accept(ctx, project, env, o.ID, "", cause)
		return err
	}
	_, err := w.svc.Offer(ctx, "alpha", env, d.Name, "alpha", "", cause)
	wantCode(t, err, fault.Invalid, "this project has it")
	_, err = w.svc.Offer(ctx, "beta", env, d.Name, "alpha", "", cause)
	wantCode(t, err, fault.NotFound, "no such domain")
	w.add("alpha", "unproven.example.net")
	_, err = w.svc.Offer(ctx, "alpha", env, "unproven.example.net", "beta", "", cause)
	wantCode(t, err, fault.Conflict, "not verified here")

	o := w.offer(d, "beta")
	w.lock(d, true)
	wantCode(t, accept(o, "beta"), fault.Conflict, "locked")
	w.lock(d, false)
	// A new offer is in place of the old one.
	again := w.offer(d, "gamma")
	if again.ID != o.ID {
		t.Error("two offers of one domain")
	}
	wantCode(t, accept(o, "beta"), fault.NotFound, "no such offer")
	if _, err := w.svc.Withdraw(ctx, "beta", o.ID, 0, cause); !fault.Is(err, fault.NotFound) {
		t.Errorf("withdrawn by a stranger: %v", err)
	}
	_, err = w.svc.Withdraw(ctx, "gamma", o.ID, again.Revision-1, cause)
	wantCode(t, err, fault.Stale, "revision")
	if _, err := w.svc.Withdraw(ctx, "gamma", o.ID, again.Revision, cause); err != nil {
		t.Errorf("declined: %v", err)
	}
	o = w.offer(d, "beta")
	w.pass(8 * 24 * time.Hour)
	wantCode(t, accept(o, "beta"), fault.NotFound, "expired")
	o = w.offer(d, "beta")
	if _, err := w.cdn.Configure(ctx, "beta", env, d.Name, cdn.DefaultSpec("http://mine.example.com").Encode(), 0, cause); err != nil {
		t.Fatal(err)
	}
	wantCode(t, accept(o, "beta"), fault.Conflict, "name the one to use as cdn")
	// beta has added it meanwhile, unverified: the one on offer takes its place.
	w.add("beta", d.Name)
	got, err := w.svc.Accept(ctx, "beta", env, o.ID, d.Name, cause)
	if err != nil || !got.Status.Verified {
		t.Fatalf("%+v, %v", got, err)
	}
	// A third project has proven the zone above: it decides.
	w.verified("delta", "example.com")
	o = w.offer(got, "gamma")
	wantCode(t, accept(o, "gamma"), fault.Conflict, "a third project has verified example.com")
	if ok, err := w.svc.Verified(ctx, "beta", env, d.Name); !ok || err != nil {
		t.Errorf("a refused transfer took the name away: %v, %v", ok, err)
	}
}

// ourDNS is a fake of managed zones and of a DNS provider.
type ourDNS struct {
	accounts []string
	refuse   error
	given    []string // "zone domain TYPE name value"
}

func (o *ourDNS) Ensure(_ context.Context, _, _, apex string, _ resource.Cause) (domains.ManagedZone, error) {
	return domains.ManagedZone{Apex: apex, NameServers: []string{"ns1.platform.example", "ns2.platform.example"}, DS: []string{"1 13 2 AB"}}, o.refuse
}

func (o *ourDNS) set(zone, domain string, records []domains.DNSRecord) error {
	o.given = nil
	for _, r := range records {
		o.given = append(o.given, strings.Join([]string{zone, domain, r.Type, r.FullName}, " "))
	}
	return o.refuse
}

func (o *ourDNS) Provide(_ context.Context, _, _, apex, domain string, records []domains.DNSRecord, _ resource.Cause) error {
	return o.set(apex, domain, records)
}

type theirDNS struct{ *ourDNS }

func (o theirDNS) Accounts(context.Context, string, string, string) ([]string, error) {
	return o.accounts, nil
}

func (o theirDNS) Provide(_ context.Context, _, _, account, zone, domain string, records []domains.DNSRecord, _ resource.Cause) (string, error) {
	return "test/" + zone, o.set(account+"@"+zone, domain, records)
}

func (o theirDNS) Withdraw(context.Context, string, string, string, string, []string, bool) (domains.Withdrawal, error) {
	return domains.Withdrawal{}, o.refuse
}

func (o theirDNS) PlanWithdraw(context.Context, string, string, string, string, []string) (domains.Withdrawal, error) {
	return domains.Withdrawal{}, o.refuse
}

// at is the zone that a test's names lie in.
type at struct{ zone domains.Zone }

func (a at) Zone(context.Context, string) (domains.Zone, error) { return a.zone, nil }

func (a at) Ask(context.Context, domains.Zone, string, string) []domains.Seen { return nil }

func addDNS(t *testing.T, w *world, domain, spec string) domains.Domain {
	t.Helper()
	d, err := w.svc.Add(t.Context(), domains.AddRequest{Project: "alpha", Environment: env, Domain: domain, Spec: json.RawMessage(spec)}, cause)
	if err != nil {
		t.Fatal(err)
	}
	d, _ = w.reconcile(d)
	return d
}

func TestSetup(t *testing.T) {
	w := newWorld(t, "")
	cloudflare := domains.Zone{Apex: "example.com", Servers: []domains.NameServer{{Name: "ada.ns.cloudflare.com"}, {Name: "bob.ns.cloudflare.com"}}}
	w.svc.Authorities = at{cloudflare}
	offers := func(d domains.Domain) string {
		var list []string
		for _, o := range d.Status.Setup.Offers {
			list = append(list, o.Mode+map[bool]string{true: "+", false: "-"}[o.Available])
		}
		return strings.Join(list, " ")
	}
	d := addDNS(t, w, "shop.example.com", `{}`)
	if st := d.Status.Setup; st.Provider != "cloudflare" || st.ProviderName != "Cloudflare" || offers(d) != "managed- provider- manual+" || reason(d, domains.Setup) != "true Clear" {
		t.Errorf("nothing chosen: %+v, %s", st, reason(d, domains.Setup))
	}
	// Chosen, but not to be had here.
	for _, mode := range []string{"managed", "provider"} {
		d = addDNS(t, w, mode+".example.com", `{"dns":"`+mode+`"}`)
		if reason(d, domains.Setup) != "false NotProvided" || d.Status.Setup.Error == "" {
			t.Errorf("%s without a platform for it: %+v", mode, d.Status.Setup)
		}
	}

	ours, theirs := &ourDNS{}, theirDNS{&ourDNS{accounts: []string{"main"}}}
	w.svc.Zones, w.svc.Providers = ours, theirs
	d = addDNS(t, w, "a.example.com", `{"dns":"managed"}`)
	if offers(d) != "managed+ provider+ manual+" || reason(d, domains.Setup) != "false NotDelegated" || d.Status.Setup.Managed == nil || len(ours.given) != 2 || ours.given[0] != "example.com a.example.com TXT _edgewright-challenge.a.example.com" {
		t.Errorf("managed: %+v, %v, %s", d.Status.Setup, ours.given, reason(d, domains.Setup))
	}
	ours.given = nil
	w.pass(time.Minute)
	if d, _ = w.reconcile(d); d.Status.Setup.Provided != d.Revision {
		t.Error("it is not known that the records were set")
	}
	w.svc.Authorities = at{domains.Zone{Apex: "example.com", Servers: []domains.NameServer{{Name: "ns2.platform.example"}, {Name: "ns1.platform.example"}}}}
	w.pass(time.Minute)
	if d, _ = w.reconcile(d); reason(d, domains.Setup) != "true Clear" {
		t.Errorf("delegated: %s", reason(d, domains.Setup))
	}
	w.svc.Authorities = at{cloudflare}
	d = addDNS(t, w, "b.example.com", `{"dns":"provider"}`)
	if len(theirs.given) != 2 || !strings.HasPrefix(theirs.given[0], "main@example.com b.example.com TXT") || reason(d, domains.Setup) != "true Clear" {
		t.Errorf("provider: %v, %s", theirs.given, reason(d, domains.Setup))
	}
	theirs.accounts = []string{"main", "second"}
	if d = addDNS(t, w, "c.example.com", `{"dns":"provider"}`); !strings.Contains(d.Status.Setup.Error, "name one as dns_account") {
		t.Errorf("two accounts: %+v", d.Status.Setup)
	}
	addDNS(t, w, "d.example.com", `{"dns":"provider","dns_account":"second"}`)
	if !strings.HasPrefix(theirs.given[0], "second@example.com d.example.com") {
		t.Errorf("the account that was named: %v", theirs.given)
	}
	theirs.refuse = fault.New(fault.Conflict, "a CNAME of yours is in the way")
	if d = addDNS(t, w, "e.example.com", `{"dns":"provider","dns_account":"main"}`); reason(d, domains.Setup) != "false NotProvided" || d.Status.Setup.Error != "a CNAME of yours is in the way" {
		t.Errorf("refused: %+v", d.Status.Setup)
	}
	theirs.given = nil
	if addDNS(t, w, "f.example.com", `{"dns":"provider","auto_configure":false}`); theirs.given != nil {
		t.Errorf("auto_configure is off, yet it set %v", theirs.given)
	}
}

// Plans come past the use case that adds; the platform's own names are kept all
// the same.
func TestReservedNamesByPlan(t *testing.T) {
	w := newWorld(t, "apps.example.com")
	plan, err := resource.PlanApply(t.Context(), w.db, w.types(), resource.Desired{Project: "alpha", Environment: env, Resources: []resource.Declared{
		{Kind: domains.Kind, Name: "login.apps.example.com"}, {Kind: domains.Kind, Name: "*.apps.example.com"}, {Kind: domains.Kind, Name: "mine.apps.example.com"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.db.Commit(t.Context(), plan.Commit(cause)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"login.apps.example.com": "false Reserved", "*.apps.example.com": "false Reserved", "mine.apps.example.com": "true NotRequired"} {
		if d, _ := w.reconcile(w.get("alpha", name)); reason(d, domains.Ownership) != want {
			t.Errorf("%s: %s", name, reason(d, domains.Ownership))
		}
	}
}

// staying is a follower without which a domain cannot go.
type staying struct{}

func (staying) Follow(context.Context, *resource.Plan, resource.Move) (resource.Following, error) {
	return resource.Following{}, nil
}

func (staying) MayLeave(_ context.Context, from resource.Place, domain string) error {
	return fault.New(fault.Conflict, "%s stays with %s", domain, from.Project)
}

// What forbids a domain to go is said to who offers it, not only to who takes it.
func TestADomainThatMayNotLeaveIsNotOffered(t *testing.T) {
	w, _, d := handover(t)
	w.svc.Followers = append(w.svc.Followers, staying{})
	_, err := w.svc.Offer(t.Context(), "alpha", env, d.Name, "beta", "", cause)
	if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "shop.example.com stays with alpha") {
		t.Error(err)
	}
}

func TestDomainsInAZone(t *testing.T) {
	w := newWorld(t, "")
	for name, spec := range map[string]string{
		"example.com": `{"dns":"managed"}`, "a.example.com": `{"dns":"managed"}`, "b.example.com": `{"dns":"managed","auto_configure":false}`, "c.example.com": `{}`,
		"d.example.com": `{"dns":"manual"}`, "notexample.com": `{"dns":"manual"}`,
	} {
		d, err := w.svc.Add(t.Context(), domains.AddRequest{Project: "alpha", Environment: env, Domain: name, Spec: json.RawMessage(spec)}, cause)
		if err != nil {
			t.Fatal(err)
		}
		if name != "c.example.com" {
			w.prove(d)
			w.verify("alpha", name, "dns")
		}
	}
	managed, verified, err := w.svc.DomainsIn(t.Context(), "alpha", env, "example.com")
	slices.Sort(managed)
	slices.Sort(verified)
	if err != nil || !slices.Equal(managed, []string{"a.example.com", "example.com"}) || !slices.Equal(verified, []string{"b.example.com", "d.example.com"}) {
		t.Errorf("managed %v, verified %v, %v", managed, verified, err)
	}
}
