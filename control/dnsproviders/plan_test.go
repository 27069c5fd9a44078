package dnsproviders

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/edgewright/edgewright/control/domains"
	"github.com/edgewright/edgewright/control/reconcile"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// A plan takes no credentials from domains that use them, and says which do; one
// that changes or removes the domains with them may.
func TestPlansDoNotTakeCredentialsFromDomains(t *testing.T) {
	s, _, _ := newService(t)
	s.Users = domains.Users{Store: s.Store}
	types := resource.Types{domains.Type(), domains.PlacementType()}.With(s.Types()...)
	main := resource.Declared{Kind: Kind, Name: "main", Spec: json.RawMessage(`{"driver":"memory"}`)}
	shop := func(spec string) resource.Declared {
		return resource.Declared{Kind: domains.Kind, Name: "shop.example.com", Spec: json.RawMessage(spec)}
	}
	plan := func(list ...resource.Declared) (resource.Plan, error) {
		return resource.PlanApply(t.Context(), s.Store, types, resource.Desired{Project: "p", Environment: "e", Prune: true, Resources: list})
	}
	commit := func(list ...resource.Declared) {
		t.Helper()
		p, err := plan(list...)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Store.Commit(t.Context(), p.Commit(resource.Cause{Actor: "test"})); err != nil {
			t.Fatal(err)
		}
	}
	refused := func(what string, err error) {
		t.Helper()
		if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "dns provider main") || !strings.Contains(err.Error(), "the records of shop.example.com are set with it") {
			t.Errorf("%s: %v", what, err)
		}
	}
	commit(main, shop(`{"dns":"provider","dns_account":"main"}`))
	refused("by the API", s.Delete(t.Context(), "p", "e", "main", 0, resource.Cause{Actor: "test"}))
	_, err := plan(shop(`{"dns":"provider","dns_account":"main"}`))
	refused("named", err)
	_, err = plan(shop(`{"dns":"provider"}`))
	refused("what fits", err)
	_, err = plan(shop(`{"dns":"provider","dns_account":"other"}`))
	if err != nil {
		t.Errorf("with other credentials in the same plan: %v", err)
	}
	for _, list := range [][]resource.Declared{{shop(`{"dns":"manual"}`)}, {}} {
		p, err := plan(list...)
		if err != nil {
			t.Fatalf("%v: %v", list, err)
		}
		if err := resource.CheckHeld(t.Context(), types, p); err != nil {
			t.Errorf("%v: %v", list, err)
		}
	}
	// A domain that comes with the plan counts too, and so do records that are not
	// removed yet.
	commit(main)
	_, err = plan(shop(`{"dns":"provider","dns_account":"main"}`))
	refused("a new one", err)
	_, err = s.Store.Commit(t.Context(), resource.Commit{Changes: []resource.Change{{
		Op: resource.Create, Kind: domains.KindPlacement, ID: resource.NewID("plc"), Project: "p", Environment: "e", Name: "main@shop.example.com", Spec: json.RawMessage(`{"domain":"shop.example.com","account":"main"}`),
	}}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = plan()
	refused("records that are there still", err)
}

// Declaring a provider again, or going back, leaves it the credentials it has: the
// declaration has none, and those of earlier are forgotten.
func TestPlansKeepCredentials(t *testing.T) {
	s, _, _ := newService(t)
	if _, err := s.Replace(t.Context(), "p", "e", "main", Credentials{"token": "another-token"}, 0, resource.Cause{Actor: "test"}); err != nil {
		t.Fatal(err)
	}
	types := resource.Types{}.With(s.Types()...)
	for _, spec := range []string{`{"driver":"memory"}`, `{"driver":"memory","credentials":1}`} {
		p, err := resource.PlanApply(t.Context(), s.Store, types, resource.Desired{Project: "p", Environment: "e", Resources: []resource.Declared{{Kind: Kind, Name: "main", Spec: json.RawMessage(spec)}}})
		if err != nil || !p.Empty() {
			t.Errorf("%s: %+v, %v", spec, p.Actions, err)
		}
	}
	if _, err := s.Zones(t.Context(), "p", "e", "main"); err != nil {
		t.Error(err)
	}
}

// Nothing makes a provider one of another driver, which would be given the first
// one's credentials; one that was made anew in between is another provider.
func TestPlansKeepDrivers(t *testing.T) {
	s, _, _ := newService(t)
	types := resource.Types{Type(append(s.Drivers, DriverType{Name: "other"}))}
	first, err := s.Get(t.Context(), "p", "e", "main")
	if err != nil {
		t.Fatal(err)
	}
	declare := func(driver string) (resource.Plan, error) {
		return resource.PlanApply(t.Context(), s.Store, types, resource.Desired{Project: "p", Environment: "e", Prune: true, Resources: []resource.Declared{{Kind: Kind, Name: "main", Spec: Spec{Driver: driver}.encode()}}})
	}
	commit := func(c resource.Commit) resource.Committed {
		t.Helper()
		c.Cause = resource.Cause{Actor: "test"}
		done, err := s.Store.Commit(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		return done
	}
	refused := func(what, driver string, err error) {
		t.Helper()
		if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "dns provider main") || !strings.Contains(err.Error(), "`edgewright dns providers add NAME --driver "+driver+"`") {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err = declare("other")
	refused("declared", "other", err)
	// An earlier version let it be changed.
	changed := commit(resource.Commit{Changes: []resource.Change{{Op: resource.Update, Kind: Kind, ID: first.ID, Spec: Spec{Driver: "other", Credentials: 1}.encode()}}})
	_, err = resource.PlanRollback(t.Context(), s.Store, types, "p", "e", first.Revision)
	refused("rolled back", "memory", err)
	_, err = resource.PlanRevert(t.Context(), s.Store, types, changed.Revision)
	refused("reverted", "memory", err)
	_, err = resource.PlanRestore(t.Context(), s.Store, types, changed.Revision)
	refused("restored", "memory", err)

	commit(resource.Commit{Changes: []resource.Change{{Op: resource.Delete, Kind: Kind, ID: first.ID}}})
	if _, err := NewReconciler(s).Reconcile(t.Context(), reconcile.Ref{Kind: Kind, ID: first.ID}); err != nil {
		t.Fatal(err)
	}
	plan, err := resource.PlanRollback(t.Context(), s.Store, types, "p", "e", first.Revision)
	if err != nil {
		t.Fatal(err)
	}
	commit(plan.Commit(resource.Cause{}))
	if _, err := s.Zones(t.Context(), "p", "e", "main"); ReasonOf(err) != NoCredentials {
		t.Errorf("removed and brought back: %v", err)
	}
}
