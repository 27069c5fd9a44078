package client_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/edgewright/edgewright/client"
	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/control/api"
	"github.com/edgewright/edgewright/control/cdn"
	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/certificates/authority"
	"github.com/edgewright/edgewright/control/certificates/provision"
	"github.com/edgewright/edgewright/control/certificates/replacement"
	"github.com/edgewright/edgewright/control/certificates/upkeep"
	"github.com/edgewright/edgewright/control/domains"
	"github.com/edgewright/edgewright/control/localca"
	"github.com/edgewright/edgewright/control/projects"
	"github.com/edgewright/edgewright/control/reconcile"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/store/storetest"
	"github.com/edgewright/edgewright/control/traffic"
	"github.com/edgewright/edgewright/fault"
	"github.com/edgewright/edgewright/netguard"
)

const adminToken = "admin-token-of-the-client-tests"

// newServer is a real control plane on a real store, without edges: those are
// tested with the command line, against the real binary.
func newServer(t *testing.T) *client.Client {
	t.Helper()
	ctx := t.Context()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	db := storetest.SQLite(t)
	doors, err := access.New(access.Options{Store: db})
	check(err)
	_, err = doors.Bootstrap(ctx, adminToken)
	check(err)
	types := resource.Types{
		projects.Type(), projects.EnvironmentType(), cdn.Type(netguard.AllowAll()), domains.Type(), domains.ClaimType(), certificates.Type(certificates.ModeLocal),
	}
	rooms := projects.New(db, types.Kinds(resource.ScopeEnvironment))
	check(rooms.Bootstrap(ctx))
	cdns := cdn.New(db, netguard.AllowAll(), domains.Users{Store: db})
	resolvers, err := domains.NewResolvers([]string{"127.0.0.1:1"})
	check(err)
	names, err := domains.New(domains.Options{Store: db, Vault: db, Resolvers: resolvers, Fetcher: domains.NewFetcher(netguard.AllowAll()), CDNs: cdns})
	check(err)
	certs := provision.New(certificates.Room{Store: db, Vault: db, Ownership: names, Mode: certificates.ModeLocal})
	ca := localca.New(db, nil)
	server := api.New(api.Options{
		DB: db, Types: types, Access: doors, Projects: rooms, Domains: names, CDN: cdns, Certificates: certs, Authorities: authority.New(db, db), Replacements: replacement.New(replacement.Options{Store: db}),
		Traffic: traffic.New(db, nil), Version: "test", RootPEM: ca.RootPEM,
	})
	listening := httptest.NewServer(server)
	running, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	issuer := upkeep.NewReconciler(certs.Room, certs.Judge, map[certificates.CertType]certificates.Issuer{certificates.TypeLocal: ca}, nil)
	wg.Go(func() { _ = reconcile.New(reconcile.Options{Store: db, Workers: 2}, issuer).Run(running) })
	wg.Go(func() { _ = server.Run(running) })
	t.Cleanup(func() {
		stop()
		wg.Wait()
		listening.Close()
	})
	c, err := client.New(client.Options{URL: listening.URL, Token: adminToken, Via: "cli"})
	check(err)
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// TestRoundTrip walks the client's calls against the real API.
func TestRoundTrip(t *testing.T) {
	base := newServer(t)
	ctx := t.Context()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	refused := func(err error, code fault.Code) {
		t.Helper()
		if !fault.Is(err, code) {
			t.Fatalf("error %v, want %s", err, code)
		}
	}

	check(base.Ready(ctx))
	session, err := base.Session(ctx)
	check(err)
	if session.Principal.Kind != "token" || session.Version != "test" || len(session.Projects) == 0 {
		t.Errorf("session %+v", session)
	}

	// Projects, environments, members.
	project, err := base.CreateProject(ctx, client.NewProject{Name: "shop", Title: "Shop"})
	check(err)
	_, err = base.CreateProject(ctx, client.NewProject{Name: "shop"})
	refused(err, fault.Conflict)
	title := "Web shop"
	updated, err := base.UpdateProject(ctx, "shop", project.Revision, client.ProjectPatch{Title: &title})
	check(err)
	if updated.Title != title || updated.Revision <= project.Revision {
		t.Errorf("project %+v", updated)
	}
	_, err = base.UpdateProject(ctx, "shop", project.Revision, client.ProjectPatch{Title: &title})
	refused(err, fault.Stale)
	_, err = base.CreateEnvironment(ctx, "shop", client.NewEnvironment{Name: "trial"})
	check(err)
	environments, err := base.Environments(ctx, "shop")
	check(err)
	check(base.DeleteEnvironment(ctx, "shop", "trial", 0))
	after, err := base.Environments(ctx, "shop")
	check(err)
	if len(after) != len(environments)-1 {
		t.Errorf("%d environments, then %d", len(environments), len(after))
	}
	invited, err := base.Invite(ctx, "shop", client.Invite{Email: "kim@example.com", Role: "viewer"})
	check(err)
	if !strings.HasPrefix(invited.Link, "http") {
		t.Errorf("link %q", invited.Link)
	}
	members, err := base.Members(ctx, "shop")
	check(err)
	if len(members) == 0 {
		t.Error("no members")
	}
	check(base.RemoveMember(ctx, "shop", invited.Member.ID, 0))

	c := base.In("shop", "production")
	events := follow(t, c)

	// Domains and CDN configurations.
	plan, err := c.PlanAddDomain(ctx, client.AddDomain{Domain: "a.localhost", AutoConfigure: true, Origin: "http://127.0.0.1:9"})
	check(err)
	if len(plan.Actions) < 2 || plan.Actions[0].Name != "a.localhost" || plan.ID != "" {
		t.Errorf("plan %+v", plan)
	}
	added, err := c.AddDomain(ctx, client.AddDomain{Domain: "a.localhost", AutoConfigure: true, Origin: "http://127.0.0.1:9"})
	check(err)
	if added.VerificationRequired || added.Domain.Domain != "a.localhost" || added.Domain.Origin != "http://127.0.0.1:9" {
		t.Errorf("added %+v", added)
	}
	_, err = c.AddDomain(ctx, client.AddDomain{Domain: "a.localhost"})
	refused(err, fault.Conflict)
	_, err = c.AddDomain(ctx, client.AddDomain{Domain: "no dots or spaces"})
	refused(err, fault.Invalid)
	d, err := c.Domain(ctx, "a.localhost")
	check(err)
	off := false
	_, err = c.PlanUpdateDomain(ctx, "a.localhost", d.Revision, client.DomainPatch{RedirectHTTPS: &off})
	check(err)
	changed, err := c.UpdateDomain(ctx, "a.localhost", d.Revision, client.DomainPatch{RedirectHTTPS: &off, HSTS: &client.HSTS{MaxAge: 300}})
	check(err)
	if changed.RedirectHTTPS || changed.HSTS == nil || changed.HSTS.MaxAge != 300 {
		t.Errorf("changed %+v", changed)
	}
	_, err = c.UpdateDomain(ctx, "a.localhost", d.Revision, client.DomainPatch{RedirectHTTPS: &off, CDN: &title})
	refused(err, fault.Stale)
	pending, err := c.AddDomain(ctx, client.AddDomain{Domain: "shop-example-of-tests.com"})
	check(err)
	if !pending.VerificationRequired || len(pending.Domain.Verification.Records) == 0 {
		t.Errorf("pending %+v", pending)
	}
	_, err = c.VerifyDomain(ctx, "shop-example-of-tests.com", client.VerifyEmail)
	refused(err, fault.Unavailable)
	verified, err := c.VerifyDomain(ctx, "shop-example-of-tests.com", client.VerifyDNS)
	check(err)
	if verified.Verified || len(verified.Records) == 0 {
		t.Errorf("verified %+v", verified)
	}
	all, err := client.Collect(c.Domains(ctx))
	check(err)
	if len(all) != 2 {
		t.Errorf("%d domains", len(all))
	}

	config, err := c.ConfigureCDN(ctx, client.ConfigureCDN{
		Name: "static", Origins: []client.Origin{{URL: "http://127.0.0.1:9"}},
		CacheRules: []client.CacheRule{{Pattern: "/s/**", TTL: 60, Key: &client.CacheKey{Query: &client.QueryKey{Mode: "none"}}}},
	})
	check(err)
	_, err = c.PlanReplaceCDN(ctx, "static", config.Revision, client.ConfigureCDN{Origins: config.Origins})
	check(err)
	replaced, err := c.ReplaceCDN(ctx, "static", config.Revision, client.ConfigureCDN{Name: "ignored", Origins: config.Origins, MaxBodyBytes: 1 << 20})
	check(err)
	if replaced.Name != "static" || replaced.MaxBodyBytes != 1<<20 || len(replaced.CacheRules) != 0 {
		t.Errorf("replaced %+v", replaced)
	}
	configs, err := client.Collect(c.CDNs(ctx))
	check(err)
	if len(configs) != 2 {
		t.Errorf("%d CDN configurations", len(configs))
	}
	refused(c.RemoveCDN(ctx, "a.localhost", 0), fault.Conflict)
	check(c.RemoveCDN(ctx, "static", replaced.Revision))
	_, err = c.CDN(ctx, "static")
	refused(err, fault.NotFound)

	// A certificate of the local CA.
	issued, err := c.Provision(ctx, "a.localhost", client.Provision{Type: client.CertLocal})
	check(err)
	if issued.Certificate.State != client.CertValid || issued.ExpiresAt == nil {
		t.Errorf("issued %+v", issued)
	}
	cert, err := c.Certificate(ctx, "a.localhost")
	check(err)
	certs, err := client.Collect(c.Certificates(ctx))
	check(err)
	if cert.Fingerprint == "" || len(certs) != 1 {
		t.Errorf("certificate %+v, %d in all", cert, len(certs))
	}
	root, err := c.TrustRoot(ctx)
	check(err)
	if !bytes.HasPrefix(root, []byte("-----BEGIN CERTIFICATE-----")) {
		t.Errorf("root %s", root)
	}

	// Plans, export, history.
	export, err := c.Export(ctx)
	check(err)
	same, err := c.Plan(ctx, client.Desired{Resources: export.Resources, Prune: true})
	check(err)
	if !same.Empty() {
		t.Errorf("what was exported is not what is: %+v", same.Actions)
	}
	declared := client.Declared{Kind: "cdn", Name: "declared", Spec: json.RawMessage(`{"origins":[{"url":"http://127.0.0.1:9"}]}`)}
	first, err := c.Plan(ctx, client.Desired{Resources: []client.Declared{declared}})
	check(err)
	stored, err := c.StoredPlan(ctx, first.ID)
	check(err)
	if d := cmp.Diff(first, stored); d != "" {
		t.Errorf("stored plan: %s", d)
	}
	applied, err := c.ApplyPlan(ctx, first.ID, "because")
	check(err)
	_, err = c.Plan(ctx, client.Desired{Resources: []client.Declared{{Kind: "cdn", Name: "x", Spec: json.RawMessage(`{"orignis":[]}`)}}})
	refused(err, fault.Invalid)
	revision, err := c.Revision(ctx, applied.Revision)
	check(err)
	if revision.Cause.Reason != "because" || len(revision.Entries) != 1 || revision.Entries[0].Name != "declared" {
		t.Errorf("revision %+v", revision)
	}
	newest, err := firstOf(c.Revisions(ctx, client.HistoryQuery{Kind: "cdn"}))
	check(err)
	if newest.Revision != applied.Revision {
		t.Errorf("newest %+v", newest)
	}
	undo, err := c.PlanRevert(ctx, applied.Revision, false)
	check(err)
	if len(undo.Actions) != 1 || undo.Actions[0].Op != "delete" {
		t.Errorf("undo %+v", undo)
	}
	undone, err := c.Revert(ctx, applied.Revision, false, "no")
	check(err)
	again, err := c.Rollback(ctx, applied.Revision, "yes")
	check(err)
	if undone.Revision == 0 || again.Revision <= undone.Revision || len(again.Plan.Actions) != 1 {
		t.Errorf("undone %+v, again %+v", undone, again)
	}
	nothing, err := c.PlanRollback(ctx, again.Revision)
	check(err)
	if !nothing.Empty() {
		t.Errorf("rollback to now: %+v", nothing)
	}
	if _, err = c.PlanRollback(ctx, 0); !fault.Is(err, fault.NotFound) {
		t.Errorf("rollback to revision 0: %v", err)
	}

	// Tokens, and what they may not.
	soon := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	token, err := c.CreateToken(ctx, client.CreateToken{Name: "reader", Role: "viewer", ExpiresAt: &soon})
	check(err)
	tokens, err := client.Collect(c.Tokens(ctx))
	check(err)
	if len(tokens) != 1 || tokens[0].ExpiresAt == nil || !tokens[0].ExpiresAt.Equal(soon) {
		t.Errorf("tokens %+v", tokens)
	}
	reader, err := client.New(client.Options{URL: base.URL(), Token: token.Secret, Project: "shop"})
	check(err)
	defer reader.CloseIdleConnections()
	_, err = reader.Domain(ctx, "a.localhost")
	check(err)
	refused(reader.RemoveDomain(ctx, "a.localhost", 0), fault.Forbidden)
	_, err = reader.Backup(ctx, &bytes.Buffer{})
	refused(err, fault.Forbidden)
	check(c.RevokeToken(ctx, token.ID))
	_, err = reader.Session(ctx)
	refused(err, fault.Unauthenticated)

	// The platform's own.
	if list, err := client.Collect(c.Audit(ctx, client.AuditQuery{})); err != nil || len(list) == 0 {
		t.Errorf("audit: %d records, %v", len(list), err)
	}
	if state, err := c.VerifyAudit(ctx); err != nil || state.Entries == 0 || len(state.Head) != 64 {
		t.Errorf("verifying the audit log: %+v, %v", state, err)
	}
	if _, err := c.Traffic(ctx, client.TrafficQuery{Window: time.Hour}); err != nil {
		t.Errorf("traffic: %v", err)
	}
	document, err := base.OpenAPI(ctx)
	check(err)
	if !json.Valid(document) || !bytes.Contains(document, []byte(`"3.1`)) {
		t.Error("OpenAPI")
	}
	var backup bytes.Buffer
	if n, err := base.Backup(ctx, &backup); err != nil || n == 0 || int(n) != backup.Len() {
		t.Errorf("backup: %d bytes, %v", n, err)
	}

	// What is changed is told, once the stream is open.
	for told := false; !told; {
		_, err := c.ConfigureCDN(ctx, client.ConfigureCDN{Name: "changing", Origins: config.Origins, MaxBodyBytes: time.Now().UnixNano()})
		check(err)
		select {
		case change := <-events:
			told = true
			if change.Name == "" || change.Kind == "" {
				t.Errorf("change %+v", change)
			}
		case <-time.After(50 * time.Millisecond):
		}
	}
	check(c.RemoveDomain(ctx, "a.localhost", changed.Revision))
	_, err = c.Domain(ctx, "a.localhost")
	refused(err, fault.NotFound)
}

// follow returns the first change event of the client's project that comes
// after the stream is open.
func follow(t *testing.T, c *client.Client) <-chan client.ChangeEvent {
	t.Helper()
	found := make(chan client.ChangeEvent, 1)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(found)
		for e, err := range c.Events(ctx) {
			if err != nil {
				t.Errorf("events: %v", err)
				return
			}
			var change client.ChangeEvent
			if e.Type == client.EventChange && json.Unmarshal(e.Data, &change) == nil {
				found <- change
				return
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	return found
}

// firstOf returns the first item of an iterator.
func firstOf[T any](items func(func(T, error) bool)) (first T, err error) {
	for item, e := range items {
		return item, e
	}
	return first, nil
}
