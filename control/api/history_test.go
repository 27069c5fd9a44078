package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/fault"
)

func TestHistory(t *testing.T) {
	e := newEnv(t)
	a := e.admin()
	path := infrastructure + "/cdn/main"
	set := func(port int) {
		t.Helper()
		config := ConfigureCDN{Name: "main", ReplaceCDN: ReplaceCDN{Origins: []Origin{{URL: fmt.Sprintf("http://127.0.0.1:%d", port)}}}}
		a.with("X-Edgewright-Via", "cli").post(infrastructure+"/cdn?reason=port+"+fmt.Sprint(port), config).want(http.StatusOK)
	}
	origin := func() string {
		t.Helper()
		var c CDNAnswer
		r := a.get(path)
		if r.status == http.StatusNotFound {
			return ""
		}
		r.want(http.StatusOK, &c)
		return c.CDN.Origins[0].URL
	}
	set(1)
	set(2)
	var list RevisionList
	a.get(infrastructure+"/revisions?kind=cdn").want(http.StatusOK, &list)
	if len(list.Revisions) != 2 || list.Revisions[0].Cause.Reason != "port 2" || list.Revisions[0].Cause.Via != "cli" || list.Revisions[0].Rollout.Verified != 1 {
		t.Fatalf("%+v", list.Revisions)
	}
	if d := list.Revisions[0].Entries[0].Diff; len(d) != 1 || d[0].Pointer != "/origins/0/url" || string(d[0].After) != `"http://127.0.0.1:2"` {
		t.Fatalf("%+v", d)
	}
	second, first := list.Revisions[0].Revision, list.Revisions[1].Revision
	a.post(fmt.Sprintf("%s/revisions/%d/revert", infrastructure, first), nil).refused(http.StatusConflict, fault.Conflict)
	var undone Undone
	a.post(fmt.Sprintf("%s/revisions/%d/revert", infrastructure, second), Undo{Reason: "no good"}).want(http.StatusOK, &undone)
	if origin() != "http://127.0.0.1:1" || undone.Revision == 0 || undone.Plan.AppliedRevision != undone.Revision {
		t.Fatalf("%s, %+v", origin(), undone)
	}
	set(3)
	a.post(infrastructure+"/rollback", RollBack{Revision: second}).want(http.StatusOK, &undone)
	if origin() != "http://127.0.0.1:2" {
		t.Fatalf("rolled back to %s", origin())
	}
	a.post(infrastructure+"/rollback", RollBack{Revision: 999999}).refused(http.StatusNotFound, fault.NotFound)
	var one Revision
	a.get(fmt.Sprintf("%s/revisions/%d", infrastructure, undone.Revision)).want(http.StatusOK, &one)
	if one.Cause.Via != "rollback" {
		t.Errorf("%+v", one.Cause)
	}

	// What makes up projects is not undone from the side.
	a.get(infrastructure+"/revisions?project_id=*&kind=project").want(http.StatusOK, &list)
	a.post(fmt.Sprintf("%s/revisions/%d/revert?project_id=*", infrastructure, list.Revisions[0].Revision), nil).refused(http.StatusNotFound, fault.NotFound)
	a.post(fmt.Sprintf("%s/revisions/%d/revert", infrastructure, list.Revisions[0].Revision), nil).refused(http.StatusForbidden, fault.Forbidden)
}

// Ownership of a domain is proven anew, never restored by a revert.
func TestRevertRestoresNoClaim(t *testing.T) {
	e := newEnv(t)
	id, tenant := e.project("tenant", access.Owner)
	q := "?project_id=" + id
	tenant.post(infrastructure+"/domains"+q, AddDomain{Domain: "mine.localhost", Origin: "http://127.0.0.1:1"}).want(http.StatusCreated)
	tenant.with("If-Match", "*").do(http.MethodDelete, infrastructure+"/domains/mine.localhost"+q, nil).want(http.StatusNoContent)
	var list RevisionList
	tenant.get(infrastructure+"/revisions"+q).want(http.StatusOK, &list)
	revert := fmt.Sprintf("%s/revisions/%d/revert%s", infrastructure, list.Revisions[0].Revision, q)
	e.admin().post(infrastructure+"/domains", AddDomain{Domain: "mine.localhost"}).want(http.StatusCreated) // now somebody else's
	tenant.post(revert, nil).refused(http.StatusConflict, fault.Conflict)
	e.admin().with("If-Match", "*").do(http.MethodDelete, infrastructure+"/domains/mine.localhost", nil).want(http.StatusNoContent)
	var undone Undone
	tenant.post(revert, nil).want(http.StatusOK, &undone)
	for _, action := range undone.Plan.Actions {
		if action.Kind == "claim" {
			t.Errorf("a revert made a claim: %+v", action)
		}
	}
	var mine DomainAnswer
	tenant.get(infrastructure+"/domains/mine.localhost"+q).want(http.StatusOK, &mine)
	if mine.Domain.Status != domainPending || mine.Domain.Verification.Status != "pending" {
		t.Errorf("%+v", mine.Domain)
	}
}

func TestPlans(t *testing.T) {
	e := newEnv(t)
	id, tenant := e.project("tenant", access.Developer)
	q := "?project_id=" + id
	want := Desired{Resources: []Declared{
		{Kind: "cdn", Name: "default", Spec: json.RawMessage(`{"origins":[{"url":"http://127.0.0.1:1"}]}`)},
		{Kind: "domain", Name: "planned.localhost", Spec: json.RawMessage(`{"redirect_https":false}`)},
	}}
	var p Plan
	tenant.post(infrastructure+"/plans"+q, want).want(http.StatusCreated, &p)
	if len(p.Actions) != 2 || p.ID == "" {
		t.Fatalf("%+v", p)
	}
	var applied Applied
	tenant.post(infrastructure+"/plans/"+p.ID+"/apply"+q, Apply{Reason: "first"}).want(http.StatusOK, &applied)
	tenant.post(infrastructure+"/plans/"+p.ID+"/apply"+q, nil).refused(http.StatusConflict, fault.Conflict)
	tenant.get(infrastructure+"/plans/"+p.ID+q).want(http.StatusOK, &p)
	if p.AppliedRevision != applied.Revision || applied.Revision == 0 {
		t.Fatalf("%+v, %+v", p, applied)
	}
	var exported Export
	tenant.get(infrastructure+"/export"+q).want(http.StatusOK, &exported)
	tenant.post(infrastructure+"/plans"+q, Desired{Resources: exported.Resources, Prune: true}).want(http.StatusCreated, &p)
	if len(p.Actions) != 0 {
		t.Fatalf("what is exported differs from what is: %+v", p.Actions)
	}
	tenant.post(infrastructure+"/plans/"+p.ID+"/apply"+q, nil).want(http.StatusOK, &applied)

	// A plan whose ground has moved is refused, whole.
	want.Resources[0].Spec = json.RawMessage(`{"origins":[{"url":"http://127.0.0.1:2"}]}`)
	want.Resources[1].Spec = json.RawMessage(`{"redirect_https":true}`)
	tenant.post(infrastructure+"/plans"+q, want).want(http.StatusCreated, &p)
	tenant.post(infrastructure+"/cdn"+q, ConfigureCDN{ReplaceCDN: ReplaceCDN{Origins: []Origin{{URL: "http://127.0.0.1:3"}}}}).want(http.StatusOK)
	tenant.post(infrastructure+"/plans/"+p.ID+"/apply"+q, nil).refused(http.StatusPreconditionFailed, fault.Stale)
	var d DomainAnswer
	tenant.get(infrastructure+"/domains/planned.localhost"+q).want(http.StatusOK, &d)
	if d.Domain.RedirectHTTPS {
		t.Error("half of a refused plan was carried out")
	}

	// A token that may plan but not delete domains cannot by way of a plan.
	narrow := e.tokenFor(id, access.Developer, "plans:*", "cdn:*", "domains:write")
	kept := slices.DeleteFunc(slices.Clone(exported.Resources), func(d Declared) bool { return d.Kind == "domain" })
	narrow.post(infrastructure+"/plans"+q, Desired{Resources: kept, Prune: true}).refused(http.StatusForbidden, fault.Forbidden)
	tenant.post(infrastructure+"/plans"+q, Desired{Resources: kept, Prune: true}).want(http.StatusCreated, &p)
	narrow.post(infrastructure+"/plans/"+p.ID+"/apply"+q, nil).refused(http.StatusForbidden, fault.Forbidden)
	e.tokenFor(id, access.Developer, "domains:*").post(infrastructure+"/domains"+q, AddDomain{Domain: "x.localhost", Origin: "http://127.0.0.1:1"}).
		refused(http.StatusForbidden, fault.Forbidden)
}
