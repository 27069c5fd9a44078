package api

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/edgewright/edgewright/fault"
)

// A zone stays while a managed domain has its records in it, whichever way it
// would go.
func TestNothingTakesANeededZone(t *testing.T) {
	e := newEnv(t)
	a := e.admin()
	any := a.with("If-Match", "*")
	const domain, zone = infrastructure + "/domains/shop.example.org", infrastructure + "/domains/example.org/zone"
	revision := func() int64 {
		t.Helper()
		var list RevisionList
		a.get(infrastructure+"/revisions?limit=1").want(http.StatusOK, &list)
		return list.Revisions[0].Revision
	}
	declared := func() []Declared {
		t.Helper()
		var exported Export
		a.get(infrastructure+"/export").want(http.StatusOK, &exported)
		return exported.Resources
	}
	without := func(kinds ...string) []Declared {
		return slices.DeleteFunc(declared(), func(d Declared) bool { return slices.Contains(kinds, d.Kind) })
	}
	a.post(infrastructure+"/domains", AddDomain{Domain: "shop.example.org"}).want(http.StatusCreated)
	before := revision()
	a.post(zone, nil).want(http.StatusCreated)
	made := revision()
	var early Plan // made while nothing needed the zone
	a.post(infrastructure+"/plans", Desired{Resources: without("zone"), Prune: true}).want(http.StatusCreated, &early)
	any.do(http.MethodPatch, domain, `{"dns":"managed"}`).want(http.StatusOK)
	both := a.post(infrastructure+"/plans", Desired{Resources: without("zone", "domain"), Prune: true})

	for _, way := range []struct {
		name string
		try  func() *reply
	}{
		{"delete", func() *reply { return any.do(http.MethodDelete, zone+"?consent=true", nil) }},
		{"dry run", func() *reply { return any.do(http.MethodDelete, zone+"?dry_run=true", nil) }},
		{"plan that prunes", func() *reply {
			return a.post(infrastructure+"/plans", Desired{Resources: without("zone"), Prune: true})
		}},
		{"plan that prunes and adds one that needs it", func() *reply {
			list := append(without("zone", "domain"), Declared{Kind: "domain", Name: "other.example.org", Spec: []byte(`{"dns":"managed"}`)})
			return a.post(infrastructure+"/plans", Desired{Resources: list, Prune: true})
		}},
		{"plan made before", func() *reply { return a.post(infrastructure+"/plans/"+early.ID+"/apply", nil) }},
		{"revert", func() *reply { return a.post(fmt.Sprintf("%s/revisions/%d/revert", infrastructure, made), nil) }},
		{"restore", func() *reply {
			return a.post(fmt.Sprintf("%s/revisions/%d/revert", infrastructure, made), Undo{Force: true})
		}},
		{"revert, dry", func() *reply {
			return a.post(fmt.Sprintf("%s/revisions/%d/revert?dry_run=true", infrastructure, made), nil)
		}},
	} {
		t.Run(way.name, func(t *testing.T) {
			r := way.try()
			r.t = t
			p := r.refused(http.StatusConflict, fault.Conflict)
			if len(p.Errors) != 1 || p.Errors[0].Fix == "" || p.Resource != "zone example.org" {
				t.Errorf("%s", r.body)
			}
			if want := "/domains/shop.example.org/dns"; way.name != "plan that prunes and adds one that needs it" && p.Errors[0].Pointer != want {
				t.Errorf("the pointer is %s, want %s", p.Errors[0].Pointer, want)
			}
			a.get(zone).want(http.StatusOK)
		})
	}
	// A roll-back to when the domain was managed and its zone not made yet.
	any.do(http.MethodPatch, domain, `{"dns":"manual"}`).want(http.StatusOK)
	any.do(http.MethodDelete, zone+"?consent=true", nil).want(http.StatusNoContent)
	any.do(http.MethodPatch, domain, `{"dns":"managed"}`).want(http.StatusOK)
	wanted := revision()
	a.post(zone, nil).want(http.StatusCreated)
	a.post(infrastructure+"/rollback", RollBack{Revision: wanted}).refused(http.StatusConflict, fault.Conflict)
	a.get(zone).want(http.StatusOK)

	// What takes the domains with it, or changes them, is done.
	both.want(http.StatusCreated)
	a.post(infrastructure+"/rollback?dry_run=true", RollBack{Revision: before}).want(http.StatusOK)
	any.do(http.MethodPatch, domain, `{"auto_configure":false}`).want(http.StatusOK)
	any.do(http.MethodDelete, zone+"?dry_run=true", nil).want(http.StatusOK)
	any.do(http.MethodPatch, domain, `{"auto_configure":true}`).want(http.StatusOK)
	var last Plan
	a.post(infrastructure+"/plans", Desired{Resources: without("zone", "domain"), Prune: true}).want(http.StatusCreated, &last)
	a.post(infrastructure+"/plans/"+last.ID+"/apply", nil).want(http.StatusOK)
	a.get(zone).want(http.StatusNotFound)
}
