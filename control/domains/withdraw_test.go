package domains_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgewright/edgewright/control/domains"
	"github.com/edgewright/edgewright/control/reconcile"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// provider is a fake of a DNS provider: accounts reach zones, which hold records.
type provider struct {
	zones    map[string]string   // account -> zone
	records  map[string][]string // zone -> domains that have records there
	fail     error
	large    bool // what goes would be much of the zone
	withdraw int  // calls
}

func (p *provider) Accounts(context.Context, string, string, string) ([]string, error) {
	return []string{"main"}, nil
}

func (p *provider) Provide(_ context.Context, _, _, account, _, domain string, _ []domains.DNSRecord, _ resource.Cause) (string, error) {
	zone := p.zones[account]
	if p.fail != nil {
		return "", p.fail
	}
	if !slices.Contains(p.records[zone], domain) {
		p.records[zone] = append(p.records[zone], domain)
	}
	return zone, nil
}

func (p *provider) PlanWithdraw(_ context.Context, _, _, account, domain string, except []string) (w domains.Withdrawal, err error) {
	zone, there := p.zones[account]
	if !there {
		return w, fault.New(fault.NotFound, "there are no such credentials")
	}
	if p.fail != nil {
		return w, p.fail
	}
	if slices.Contains(p.records[zone], domain) && !slices.Contains(except, zone) {
		w.Where, w.Records = []string{zone}, []string{"TXT _edgewright-challenge." + domain}
		if p.large {
			w.Needs = "it would remove much of the zone"
		}
	}
	return w, nil
}

func (p *provider) Withdraw(ctx context.Context, project, environment, account, domain string, except []string, consent bool) (domains.Withdrawal, error) {
	p.withdraw++
	w, err := p.PlanWithdraw(ctx, project, environment, account, domain, except)
	if err != nil {
		return w, err
	}
	if w.Needs != "" && !consent {
		return w, fault.New(fault.Conflict, "%s", w.Needs)
	}
	for _, zone := range w.Where {
		p.records[zone] = slices.DeleteFunc(p.records[zone], func(d string) bool { return d == domain })
	}
	return w, nil
}

// left is a world with a provider, and what removes records.
type left struct {
	*world
	*provider
	w *domains.Withdrawer
}

func newLeft(t *testing.T) *left {
	l := &left{world: newWorld(t, ""), provider: &provider{zones: map[string]string{"main": "cf/1", "other": "cf/1", "second": "cf/2"}, records: map[string][]string{}}}
	l.svc.Providers = l.provider
	l.w = domains.NewWithdrawer(l.svc, nil)
	return l
}

// look delivers everything as the loop does when it starts, and returns how soon
// the placements ask to be looked at again.
func (l *left) look(removed ...domains.Domain) (next time.Duration) {
	l.t.Helper()
	var refs []reconcile.Ref
	list, _, err := l.svc.Placements(l.t.Context(), "", "", 0, "")
	if err != nil {
		l.t.Fatal(err)
	}
	for _, p := range list {
		raw, err := json.Marshal(p.Spec)
		if err != nil {
			l.t.Fatal(err)
		}
		refs = append(refs, l.w.Route(resource.Event{Type: resource.Put, Resource: resource.Resource{Meta: p.Meta, Spec: raw}})...)
	}
	for _, d := range removed {
		refs = append(refs, l.w.Route(resource.Event{Type: resource.Deleted, Resource: resource.Resource{Meta: d.Meta}})...)
	}
	for _, ref := range refs {
		wait, err := l.w.Reconcile(l.t.Context(), ref)
		if err != nil {
			l.t.Fatal(err)
		}
		if wait > 0 && (next == 0 || wait < next) {
			next = wait
		}
	}
	return next
}

func (l *left) placements() []domains.Placement {
	l.t.Helper()
	list, _, err := l.svc.Placements(l.t.Context(), "", "", 0, "")
	if err != nil {
		l.t.Fatal(err)
	}
	return list
}

// gone checks that neither records nor a memory of them are left.
func (l *left) gone(zone string) {
	l.t.Helper()
	if len(l.records[zone]) > 0 || len(l.placements()) > 0 {
		l.t.Fatalf("%v and %+v are left", l.records[zone], l.placements())
	}
}

func (l *left) remove(d domains.Domain, leaving domains.Leaving) {
	l.t.Helper()
	if err := l.svc.RemoveLeaving(l.t.Context(), d.Project, d.Environment, d.Name, 0, leaving, cause); err != nil {
		l.t.Fatal(err)
	}
}

// However a domain goes, its records go from the provider: also while the provider
// is away, and past a restart.
func TestRemovedDomainLeavesNoRecords(t *testing.T) {
	l := newLeft(t)
	add := func() domains.Domain { return addDNS(t, l.world, "shop.example.com", `{"dns":"provider"}`) }
	d := add()
	if l.look(); len(l.placements()) != 1 || len(l.records["cf/1"]) != 1 || l.withdraw > 0 {
		t.Fatalf("wanted: %+v, %v", l.placements(), l.records)
	}
	plan, err := l.svc.PlanRemove(t.Context(), d.Project, env, d.Name, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.svc.WarnRecords(t.Context(), &plan, d.Project, env, d.Name, domains.Leaving{}); err != nil || !strings.Contains(strings.Join(plan.Warnings, " "), "TXT _edgewright-challenge.shop.example.com goes") {
		t.Fatalf("%v, %v", plan.Warnings, err)
	}
	l.remove(d, domains.Leaving{})
	l.look(d)
	l.gone("cf/1")

	// By a plan that knows nothing of records; away, throttled, and then a restart.
	d = add()
	prune, err := resource.PlanApply(t.Context(), l.db, l.types(), resource.Desired{Project: d.Project, Environment: env, Prune: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.db.Commit(t.Context(), prune.Commit(cause)); err != nil {
		t.Fatal(err)
	}
	l.fail = fault.New(fault.Unavailable, "the provider cannot be reached")
	if next := l.look(d); next != time.Minute || l.placements()[0].Status.Reason != domains.ReasonAway {
		t.Fatalf("away: again in %v, %+v", next, l.placements())
	}
	throttled := fault.New(fault.RateLimited, "fewer requests")
	throttled.RetryAfter = time.Hour
	l.fail = throttled
	l.pass(time.Minute)
	if next := l.look(); next != time.Hour {
		t.Fatalf("throttled: again in %v", next)
	}
	tried := l.withdraw
	l.w = domains.NewWithdrawer(l.svc, nil) // a new leader
	if next := l.look(); next != time.Hour || l.withdraw != tried {
		t.Fatalf("a restart hurries: again in %v", next)
	}
	l.fail = nil
	l.pass(time.Hour)
	l.look()
	l.gone("cf/1")
}

// What is much of a zone goes only with consent, or stays when the user says so.
func TestRecordsGoWithConsent(t *testing.T) {
	l := newLeft(t)
	l.large = true
	d := addDNS(t, l.world, "shop.example.com", `{"dns":"provider"}`)
	l.remove(d, domains.Leaving{})
	l.look(d)
	p := l.placements()[0]
	if p.Status.Reason != domains.ReasonConsent || len(l.records["cf/1"]) != 1 || len(p.Status.Records) != 1 {
		t.Fatalf("without consent: %+v", p)
	}
	if _, err := l.svc.ConsentToWithdrawal(t.Context(), "other", env, p.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("another project consents: %v", err)
	}
	if err := l.svc.LeaveRecords(t.Context(), "other", env, p.ID, 0, cause); !fault.Is(err, fault.NotFound) {
		t.Errorf("another project lets them stay: %v", err)
	}
	if _, err := l.svc.ConsentToWithdrawal(t.Context(), d.Project, env, p.ID); err != nil {
		t.Fatal(err)
	}
	l.look()
	l.gone("cf/1")

	l.remove(addDNS(t, l.world, "shop.example.com", `{"dns":"provider"}`), domains.Leaving{Consent: true})
	l.look(d)
	l.gone("cf/1")

	d = addDNS(t, l.world, "shop.example.com", `{"dns":"provider"}`)
	if err := l.svc.LeaveRecords(t.Context(), d.Project, env, l.placements()[0].ID, 0, cause); !fault.Is(err, fault.Conflict) {
		t.Errorf("records that are wanted: %v", err)
	}
	l.remove(d, domains.Leaving{Leave: true})
	l.look(d)
	if len(l.records["cf/1"]) != 1 || len(l.placements()) != 0 {
		t.Errorf("left: %v, %+v", l.records, l.placements())
	}

	// Nobody says anything: it ends all the same.
	d = addDNS(t, l.world, "shop.example.com", `{"dns":"provider"}`)
	l.remove(d, domains.Leaving{})
	l.look(d)
	l.pass(14 * 24 * time.Hour)
	l.look()
	if len(l.records["cf/1"]) != 1 || len(l.placements()) != 0 {
		t.Errorf("given up: %v, %+v", l.records, l.placements())
	}
}

// A domain that has its records set otherwise leaves the old ones, and is told.
func TestChangedDomainLeavesNoRecords(t *testing.T) {
	l := newLeft(t)
	d := addDNS(t, l.world, "shop.example.com", `{"dns":"provider"}`)
	change := func(patch string) {
		t.Helper()
		if _, err := l.svc.Update(t.Context(), d.Project, env, d.Name, json.RawMessage(patch), 0, cause); err != nil {
			t.Fatal(err)
		}
		d, _ = l.reconcile(l.get(d.Project, d.Name))
		l.look()
		d = l.get(d.Project, d.Name)
	}
	l.fail = fault.New(fault.Unavailable, "the provider cannot be reached")
	change(`{"dns":"manual"}`)
	if reason(d, domains.Withdrawn) != "false "+domains.ReasonAway {
		t.Errorf("the domain says nothing: %s", reason(d, domains.Withdrawn))
	}
	l.fail = nil
	l.pass(time.Minute)
	l.look()
	d = l.get(d.Project, d.Name)
	if _, there := resource.ConditionOf(d.Status.Conditions, domains.Withdrawn); there || d.Status.Events[len(d.Status.Events)-1].Type != domains.EventWithdrawn {
		t.Errorf("it does not say that it is over: %+v", d.Status)
	}
	l.gone("cf/1")

	// Other credentials for another zone; then others for the same one, whose records
	// are the same.
	change(`{"dns":"provider","dns_account":"main"}`)
	change(`{"dns_account":"second"}`)
	if len(l.records["cf/1"]) != 0 || len(l.records["cf/2"]) != 1 || len(l.placements()) != 1 {
		t.Fatalf("another zone: %v, %+v", l.records, l.placements())
	}
	change(`{"dns_account":"main"}`)
	change(`{"dns_account":"other"}`)
	if len(l.records["cf/1"]) != 1 || len(l.records["cf/2"]) != 0 || len(l.placements()) != 1 || l.placements()[0].Spec.Account != "other" {
		t.Fatalf("the same zone: %v, %+v", l.records, l.placements())
	}
	// Hands off is not away.
	change(`{"auto_configure":false}`)
	if len(l.records["cf/1"]) != 1 {
		t.Error("auto_configure off takes the records away")
	}
	// Back before anything went.
	l.fail = fault.New(fault.Unavailable, "the provider cannot be reached")
	change(`{"dns":"manual","dns_account":null}`)
	change(`{"dns":"provider","dns_account":"other"}`)
	l.fail = nil
	l.pass(time.Hour)
	l.look()
	if _, there := resource.ConditionOf(l.get(d.Project, d.Name).Status.Conditions, domains.Withdrawn); there || len(l.records["cf/1"]) != 1 || l.placements()[0].Status.Since != nil {
		t.Errorf("wanted again: %v, %+v", l.records, l.placements())
	}
}

// A domain that goes to another project goes on being served by what stands at the
// provider, and credentials stay while there is something to remove with them.
func TestTransferredDomainKeepsItsRecords(t *testing.T) {
	l := newLeft(t)
	d := addDNS(t, l.world, "shop.example.com", `{"dns":"provider","dns_account":"main"}`)
	users := domains.Users{Store: l.db}
	l.txt["_edgewright-challenge.shop.example.com"] = []string{d.Status.VerificationToken}
	if got, err := l.svc.Verify(t.Context(), d.Project, env, d.Name, ""); err != nil || !got.Verified {
		t.Fatalf("%+v, %v", got, err)
	}
	offer, err := l.svc.Offer(t.Context(), d.Project, env, d.Name, "beta", "", cause)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.svc.Accept(t.Context(), "beta", env, offer.ID, "", cause); err != nil {
		t.Fatal(err)
	}
	l.look(d)
	if len(l.records["cf/1"]) != 1 || len(l.placements()) != 0 || l.withdraw != 0 {
		t.Errorf("after the transfer: %v, %+v", l.records, l.placements())
	}

	d = addDNS(t, l.world, "news.example.com", `{"dns":"provider","dns_account":"main"}`)
	l.remove(d, domains.Leaving{})
	if list, err := users.UsersOfDNSProvider(t.Context(), d.Project, env, "main", "cf", nil, 5); err != nil || !slices.Equal(list, []string{"news.example.com"}) {
		t.Errorf("credentials that are still needed: %v, %v", list, err)
	}
	l.look(d)
	if list, err := users.UsersOfDNSProvider(t.Context(), d.Project, env, "main", "cf", nil, 5); err != nil || len(list) > 0 {
		t.Errorf("credentials that are not needed: %v, %v", list, err)
	}
}

// Two projects, one name, one zone at the provider: what the one leaves is the
// other's by then.
func TestTakenOverRecordsStay(t *testing.T) {
	l := newLeft(t)
	mine := addDNS(t, l.world, "shop.example.com", `{"dns":"provider","dns_account":"main"}`)
	theirs, err := l.svc.Add(t.Context(), domains.AddRequest{Project: "beta", Environment: env, Domain: "shop.example.com", Spec: json.RawMessage(`{"dns":"provider","dns_account":"other"}`)}, cause)
	if err != nil {
		t.Fatal(err)
	}
	l.fail = fault.New(fault.Unavailable, "the provider cannot be reached")
	l.reconcile(theirs)
	l.fail = nil
	l.remove(mine, domains.Leaving{})
	l.look(mine)
	if len(l.records["cf/1"]) != 1 || len(l.placements()) != 2 {
		t.Fatalf("while it is not known where theirs are: %v, %+v", l.records, l.placements())
	}
	l.pass(time.Hour)
	l.reconcile(theirs)
	l.look()
	if len(l.records["cf/1"]) != 1 || len(l.placements()) != 1 || l.placements()[0].Project != "beta" {
		t.Errorf("after both: %v, %+v", l.records, l.placements())
	}
}
