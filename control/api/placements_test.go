package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/edgewright/edgewright/control/domains"
	"github.com/edgewright/edgewright/control/reconcile"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// heldRecords is a DNS provider where all that goes is much of the zone.
type heldRecords struct{ domains.Providers }

func (heldRecords) PlanWithdraw(_ context.Context, _, _, _, domain string, _ []string) (domains.Withdrawal, error) {
	return domains.Withdrawal{Where: []string{"test/1"}, Records: []string{"A " + domain + " 192.0.2.1"}, Needs: "it would remove 1 of the 2 record sets"}, nil
}

func (h heldRecords) Withdraw(ctx context.Context, project, environment, account, domain string, except []string, consent bool) (domains.Withdrawal, error) {
	w, err := h.PlanWithdraw(ctx, project, environment, account, domain, except)
	if err == nil && !consent {
		err = fault.New(fault.Conflict, "%s", w.Needs)
	}
	return w, err
}

// What a removed domain leaves at its DNS provider is told before, listed after,
// and ends by consent or by being left.
func TestRecordsThatAreLeft(t *testing.T) {
	var room *domains.Service
	e := newEnv(t, func(o *Options) { room = o.Domains; room.Providers = heldRecords{} })
	withdrawer := domains.NewWithdrawer(room, nil)
	a := e.admin()
	any := a.with("If-Match", "*")
	const name, path = "shop.example.org", infrastructure + "/domains/shop.example.org"
	list := func() []Placement {
		t.Helper()
		var l PlacementList
		a.get(infrastructure+"/dns/placements").want(http.StatusOK, &l)
		return l.Placements
	}
	add := func() (look func()) {
		t.Helper()
		a.post(infrastructure+"/domains", AddDomain{Domain: name, DNS: "provider", DNSAccount: "main"}).want(http.StatusCreated)
		done, err := e.db.Commit(t.Context(), resource.Commit{Cause: resource.Cause{Actor: "test"}, Changes: []resource.Change{{
			Op: resource.Create, Kind: domains.KindPlacement, ID: resource.NewID("plc"), Project: "default", Environment: "production", Name: "main@" + name,
			Spec: json.RawMessage(`{"domain":"` + name + `","account":"main"}`),
		}}})
		ok(t, err)
		return func() {
			t.Helper()
			_, err := withdrawer.Reconcile(t.Context(), reconcile.Ref{Kind: domains.KindPlacement, ID: done.Resources[0].ID})
			ok(t, err)
		}
	}
	look := add()
	p := list()[0]
	if p.State != "set" || p.Domain != name || p.Since != nil {
		t.Fatalf("%+v", p)
	}
	a.post(infrastructure+"/dns/placements/"+p.ID+"/consent", nil).refused(http.StatusConflict, fault.Conflict)
	any.do(http.MethodDelete, infrastructure+"/dns/placements/"+p.ID, nil).refused(http.StatusConflict, fault.Conflict)
	var dry Plan
	any.do(http.MethodDelete, path+"?dry_run=true", nil).want(http.StatusOK, &dry)
	if text := strings.Join(dry.Warnings, "\n"); !strings.Contains(text, "the record A shop.example.org 192.0.2.1 goes, at main") || !strings.Contains(text, "1 of the 2 record sets") {
		t.Errorf("the dry run says %q", text)
	}
	any.do(http.MethodDelete, path+"?dry_run=true&consent=true", nil).want(http.StatusOK, &dry)
	if want := "it would remove 1 of the 2 record sets"; len(dry.Warnings) != 2 || dry.Warnings[1] != want {
		t.Errorf("the dry run with consent says %q", dry.Warnings)
	}
	any.do(http.MethodDelete, path, nil).want(http.StatusNoContent)
	look()
	if p = list()[0]; p.State != "needs_consent" || p.Since == nil || p.GivenUpAt == nil || p.NextAt == nil || len(p.Records) != 1 || !strings.Contains(p.Message, p.ID) {
		t.Fatalf("%+v", p)
	}
	a.with("If-Match", etag(p.Revision+1)).do(http.MethodDelete, infrastructure+"/dns/placements/"+p.ID, nil).refused(http.StatusPreconditionFailed, fault.Stale)
	any.do(http.MethodDelete, infrastructure+"/dns/placements/"+p.ID+"?dry_run=true", nil).want(http.StatusOK)
	a.post(infrastructure+"/dns/placements/"+p.ID+"/consent", nil).want(http.StatusOK)
	look()
	if l := list(); len(l) != 0 {
		t.Fatalf("after consent: %+v", l)
	}

	look = add()
	any.do(http.MethodDelete, path+"?consent=true", nil).want(http.StatusNoContent)
	look()
	if l := list(); len(l) != 0 {
		t.Fatalf("consented from the start: %+v", l)
	}

	look = add()
	any.do(http.MethodDelete, path+"?leave_records=true", nil).want(http.StatusNoContent)
	if l := list(); len(l) != 0 {
		t.Fatalf("left from the start: %+v", l)
	}
	look()

	look = add()
	var revisions RevisionList
	any.do(http.MethodDelete, path, nil).want(http.StatusNoContent)
	a.get(infrastructure+"/revisions?limit=1").want(http.StatusOK, &revisions)
	look()
	// Undone: it wants its records again.
	a.post(infrastructure+"/rollback", RollBack{Revision: revisions.Revisions[0].Revision - 1}).want(http.StatusOK)
	look()
	if p = list()[0]; p.State != "set" {
		t.Fatalf("after the removal was undone: %+v", p)
	}
	any.do(http.MethodDelete, path, nil).want(http.StatusNoContent)
	look()
	any.do(http.MethodDelete, infrastructure+"/dns/placements/"+p.ID, nil).want(http.StatusNoContent)
	any.do(http.MethodDelete, infrastructure+"/dns/placements/"+p.ID, nil).refused(http.StatusNotFound, fault.NotFound)
}
