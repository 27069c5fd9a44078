package api

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/store"
	"github.com/edgewright/edgewright/control/traffic"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// Work that outlives its request can be watched.
func TestOperation(t *testing.T) {
	e := newEnv(t)
	e.server.issueWait = 200 * time.Millisecond
	open := e.issuer.close()
	a := e.admin()
	a.post(infrastructure+"/domains", AddDomain{Domain: "slow.localhost"}).want(http.StatusCreated)
	var p Provisioned
	r := a.post(infrastructure+"/ssl/slow.localhost", Provision{}).want(http.StatusAccepted, &p)
	if p.Operation == nil || p.ExpiresAt != nil || r.header.Get("Location") != infrastructure+"/operations/"+p.Operation.ID {
		t.Fatalf("%s %v", r.body, r.header)
	}
	var waiting DomainAnswer
	a.get(infrastructure+"/domains/slow.localhost").want(http.StatusOK, &waiting)
	if waiting.Domain.Status != domainIssuing {
		t.Errorf("the domain is %s while its certificate is issued", waiting.Domain.Status)
	}
	open()
	var got OperationAnswer
	eventually(t, "the operation is done", func() bool {
		got = OperationAnswer{}
		a.get(r.header.Get("Location")).want(http.StatusOK, &got)
		return got.Operation.State != operationRunning
	})
	if got.Operation.State != operationSucceeded || got.Operation.FinishedAt == nil {
		t.Errorf("%+v", got.Operation)
	}
	a.with("If-Match", "*").do(http.MethodDelete, infrastructure+"/ssl/slow.localhost", nil).want(http.StatusNoContent)
	var gone OperationAnswer
	a.get(r.header.Get("Location")).want(http.StatusOK, &gone)
	if gone.Operation.State != operationFailed {
		t.Errorf("%+v", gone.Operation)
	}
}

// A renewal that failed is not told as done for the certificate before it, which is
// still good.
func TestFailedRenewal(t *testing.T) {
	e := newEnv(t)
	f := newTenant(e, "renewed")
	path := infrastructure + "/ssl/" + f.domain + "/renew?project_id=" + f.id
	e.issuer.refuse(&certificates.IssueError{Problem: certificates.Problem{Reason: "KeyRefused", Message: "the CA does not take the key", Fix: "take another"}})
	var p Provisioned
	f.who.post(path, nil).want(http.StatusAccepted, &p)
	if p.Operation == nil || p.Operation.State != operationFailed || p.Certificate.State != "valid" || !strings.Contains(p.Operation.Message, "the CA does not take the key. take another") {
		t.Fatalf("%+v", p)
	}
	e.issuer.refuse(nil)
	f.who.post(path, nil).want(http.StatusOK)
	var got OperationAnswer
	f.who.get(infrastructure+"/operations/"+p.Operation.ID).want(http.StatusOK, &got)
	if o := got.Operation; o.State != operationSucceeded || o.FinishedAt == nil || o.FinishedAt.Before(o.StartedAt) {
		t.Errorf("when another has succeeded: %+v", o)
	}
}

// The platform has members of its own.
func TestPlatformMembers(t *testing.T) {
	e := newEnv(t)
	admin := e.memberSession(access.Platform, "admin@example.com", access.Admin)
	var made ProjectAnswer
	admin.post("/api/v1/projects", NewProject{Name: "theirs"}).want(http.StatusCreated, &made)
	if made.Project.Role != "owner" {
		t.Errorf("who made a project is %s of it", made.Project.Role)
	}
	admin.with("If-Match", "*").do(http.MethodDelete, "/api/v1/projects/theirs", nil).want(http.StatusNoContent)
	admin.get("/api/v1/backup").refused(http.StatusForbidden, fault.Forbidden)
	admin.get("/api/v1/audit?project_id=*").want(http.StatusOK)
	_, tenant := e.project("tenant", access.Owner)
	tenant.get("/api/v1/projects/*/members").refused(http.StatusNotFound, fault.NotFound)
	tenant.post("/api/v1/projects/*/members", Invite{Email: "x@example.com", Role: "viewer"}).refused(http.StatusNotFound, fault.NotFound)
}

func TestProjectsAreDeletedEmpty(t *testing.T) {
	e := newEnv(t)
	id, tenant := e.project("tenant", access.Owner)
	q := "?project_id=" + id
	tenant.post(infrastructure+"/domains"+q, AddDomain{Domain: "t.localhost"}).want(http.StatusCreated)
	star := func(w *who) *who { return w.with("If-Match", "*") }
	star(tenant).do(http.MethodDelete, "/api/v1/projects/tenant", nil).refused(http.StatusConflict, fault.Conflict)
	star(tenant).do(http.MethodDelete, "/api/v1/projects/tenant/environments/production", nil).refused(http.StatusConflict, fault.Conflict)
	star(tenant).do(http.MethodDelete, infrastructure+"/domains/t.localhost"+q, nil).want(http.StatusNoContent)
	star(tenant).do(http.MethodDelete, "/api/v1/projects/tenant/environments/staging", nil).want(http.StatusNoContent)
	star(tenant).do(http.MethodDelete, "/api/v1/projects/tenant/environments/production", nil).refused(http.StatusConflict, fault.Conflict)
	star(e.admin()).do(http.MethodDelete, "/api/v1/projects/default", nil).refused(http.StatusConflict, fault.Conflict)
	star(tenant).do(http.MethodDelete, "/api/v1/projects/tenant", nil).want(http.StatusNoContent)
	tenant.get("/api/v1/session").refused(http.StatusUnauthorized, fault.Unauthenticated)
	// A new project of that name has nothing of the old one.
	again, _ := e.project("tenant", access.Owner)
	if again == id {
		t.Error("a project's ID was used twice")
	}
	var list RevisionList
	e.admin().get(infrastructure+"/revisions?environment=*&project_id="+again).want(http.StatusOK, &list)
	for _, r := range list.Revisions {
		for _, entry := range r.Entries {
			if entry.Kind == "domain" {
				t.Errorf("the new project has the old one's history: %+v", entry)
			}
		}
	}
	records, _, err := e.db.AuditLog(context.Background(), store.AuditQuery{Project: again, Limit: 100})
	ok(t, err)
	for _, r := range records {
		if r.Action == "project.forget" {
			t.Errorf("the new project has the old one's audit log: %+v", r)
		}
	}
}

// Who has no sites has no traffic, not everybody's.
func TestTrafficIsCutDown(t *testing.T) {
	e := newEnv(t)
	_, tenant := e.project("tenant", access.Owner)
	var added DomainAdded
	e.admin().post(infrastructure+"/domains", AddDomain{Domain: "busy.localhost"}).want(http.StatusCreated, &added)
	ok(t, traffic.New(e.db, nil).Ingest(context.Background(), edgeconfig.Rollup{
		ID: "one", Edge: "edge_test", Region: "local", Start: time.Now().Add(-2 * time.Minute).Truncate(time.Minute), Seconds: 60,
		Sites: map[string]edgeconfig.Counters{added.Domain.ID: {Requests: 11, Status: [6]int64{0, 0, 11}, HandshakeErr: 3, Refusals: map[string]int64{"version": 2, "other": 1}}, "dom_gone": {Requests: 5}, "": {Requests: 7}},
	}))
	total := func(w *who, query string) int64 {
		t.Helper()
		var got Traffic
		w.get(infrastructure+"/traffic"+query).want(http.StatusOK, &got)
		return got.Totals.Requests
	}
	if n := total(tenant, "?project_id=tenant"); n != 0 {
		t.Errorf("a tenant without sites is told of %d requests", n)
	}
	tenant.post(infrastructure+"/domains?project_id=tenant", AddDomain{Domain: "quiet.localhost"}).want(http.StatusCreated)
	if n := total(tenant, "?project_id=tenant&environment=*"); n != 0 {
		t.Errorf("a tenant with a quiet site is told of %d requests", n)
	}
	for query, want := range map[string]int64{"": 11, "?domain=busy.localhost": 11, "?environment=staging": 0, "?project_id=*": 23} {
		if n := total(e.admin(), query); n != want {
			t.Errorf("%q: %d requests, want %d", query, n, want)
		}
	}
	var got Traffic
	e.admin().get(infrastructure+"/traffic?domain=busy.localhost").want(http.StatusOK, &got)
	if r := got.Totals.Refused; len(r) != 2 || r["version"] != 2 || r["other"] != 1 {
		t.Errorf("refused handshakes: %v", r)
	}
	tenant.get(infrastructure+"/traffic?project_id=tenant&domain=busy.localhost").refused(http.StatusNotFound, fault.NotFound)
}
