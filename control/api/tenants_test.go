package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/domains"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/store"
	"github.com/edgewright/edgewright/control/store/storetest"
	"github.com/edgewright/edgewright/control/zones/tsig"
	"github.com/edgewright/edgewright/edgeconfig"
)

// tenant is a project with one of everything.
type tenant struct {
	id, name, domain string
	who              *who // a token of the project's owner
	session          *who // for operations on one's own account
	path             map[string]string
	revision         int64
	markers          []string      // what nobody else may be told
	join             func() string // a new join token
}

func newTenant(e *testEnv, name string) *tenant {
	e.t.Helper()
	ctx := context.Background()
	id, w := e.project(name, access.Owner)
	f := &tenant{id: id, name: name, domain: name + ".localhost", who: w}
	q := "?project_id=" + id
	var domain DomainAdded
	w.post(infrastructure+"/domains"+q, AddDomain{Domain: f.domain, Origin: "http://127.0.0.1:3000"}).want(http.StatusCreated, &domain)
	f.revision = domain.Domain.Revision
	var deployment CDNAnswer
	w.post(infrastructure+"/cdn"+q, ConfigureCDN{Name: "main", ReplaceCDN: ReplaceCDN{Origins: []Origin{{URL: "http://127.0.0.1:3001"}}}}).want(http.StatusOK, &deployment)
	var certificate Provisioned
	w.post(infrastructure+"/ssl/"+f.domain+q, Provision{}).want(http.StatusOK, &certificate)
	var token CreatedToken
	w.post("/api/v1/tokens"+q, NewToken{Name: "other"}).want(http.StatusCreated, &token)
	var invited Invited
	w.post("/api/v1/projects/"+id+"/members", Invite{Email: name + "@example.com", Role: "viewer"}).want(http.StatusCreated, &invited)
	var purge Purge
	w.post(infrastructure+"/cdn/purge"+q, NewPurge{Paths: []string{"/" + name}}).want(http.StatusOK, &purge)
	var environment EnvironmentAnswer
	w.post("/api/v1/projects/"+id+"/environments", NewEnvironment{Name: "canary"}).want(http.StatusCreated, &environment)
	var plan Plan
	w.post(infrastructure+"/plans"+q, Desired{Resources: []Declared{
		{Kind: "cdn", Name: "planned", Spec: json.RawMessage(`{"origins":[{"url":"http://127.0.0.1:3002"}]}`)},
	}}).want(http.StatusCreated, &plan)
	e.fleet.serve(certificate.Certificate.ID, edgeconfig.Served{Fingerprint: certificate.Certificate.Fingerprint, Offers: []edgeconfig.Offer{{Version: "1.3"}}})
	var provider DNSProviderAnswer
	w.post(infrastructure+"/dns/providers"+q, NewDNSProvider{Name: "main", Driver: "test", Credentials: map[string]string{"token": name}}).want(http.StatusCreated, &provider)
	placed, err := e.db.Commit(ctx, resource.Commit{Cause: resource.Cause{Actor: "test"}, Changes: []resource.Change{{
		Op: resource.Create, Kind: domains.KindPlacement, ID: resource.NewID("plc"), Project: id, Environment: "production", Name: "main@left." + name + ".example",
		Spec: json.RawMessage(`{"domain":"left.` + name + `.example","account":"main"}`),
	}}})
	ok(e.t, err)
	placement := placed.Resources[0].ID
	var zone ZoneAnswer
	w.post(infrastructure+"/domains/"+f.domain+"/zone"+q, nil).want(http.StatusCreated, &zone)
	var key TSIGKeyAnswer
	w.post(infrastructure+"/dns/tsig"+q, NewTSIGKey{Name: "main", Comment: "key of " + name}).want(http.StatusCreated, &key)
	w.post(infrastructure+"/dns/tsig"+q, NewTSIGKey{Name: "transfer." + name + ".example"}).want(http.StatusCreated)
	eventually(e.t, "the keys are made", func() bool {
		keys, err := e.db.List(ctx, resource.Query{Kind: tsig.Kind, Project: id})
		ok(e.t, err)
		return !slices.ContainsFunc(keys.Items, func(r resource.Resource) bool { return len(r.Status) == 0 })
	})
	var record RecordAnswerBody
	w.post(infrastructure+"/domains/"+f.domain+"/records"+q, NewRecord{Name: "www", Type: "TXT", RecordData: RecordData{Values: []string{"text of " + name}}}).
		want(http.StatusCreated, &record)
	w.with("If-Match", "*").do(http.MethodPut, infrastructure+"/domains/"+f.domain+"/dnssec"+q, ZoneSecurityWish{Enabled: true}).want(http.StatusOK)
	eventually(e.t, "the zone is signed and served", func() bool {
		var s ZoneSecurityAnswer
		w.get(infrastructure+"/domains/"+f.domain+"/dnssec"+q).want(http.StatusOK, &s)
		return s.DNSSEC.Signed
	})
	operation := store.Operation{
		ID: resource.NewID("op"), Kind: kindIssue, Project: id, Environment: "production", TargetKind: string(certificates.Kind),
		TargetID: certificate.Certificate.ID, Detail: []byte(`{"revision":1}`), CreatedAt: time.Now().UTC(),
	}
	ok(e.t, e.db.PutOperation(ctx, operation))
	giver, g := e.project("giver-of-"+name, access.Owner)
	g.post(infrastructure+"/domains?project_id="+giver, AddDomain{Domain: "gift-for-" + name + ".localhost", Origin: "http://127.0.0.1:3003"}).want(http.StatusCreated)
	var offer TransferAnswer
	g.post(infrastructure+"/domains/gift-for-"+name+".localhost/transfer?project_id="+giver, OfferTransfer{ToProject: id}).want(http.StatusCreated, &offer)
	for _, ca := range []string{name, name + "-next"} {
		e.admin().post(infrastructure+"/certificate-authorities", NewAuthority{Name: ca, ReplaceAuthority: anAuthority}).want(http.StatusCreated)
	}
	var replacement ReplacementAnswer
	e.admin().post(infrastructure+"/certificate-replacements", NewReplacement{Selector: ReplacementSelector{Project: id}}).want(http.StatusCreated, &replacement)
	f.session = e.memberSession(id, name+"-person@example.com", access.Admin)
	f.path = map[string]string{
		"project": id, "environment": "canary", "user": invited.Member.ID, "domain": f.domain, "name": "main", "edge": "edge_test", "kind": "site",
		"authority": name, "replacement": replacement.Replacement.ID, "issuer": "current",
		"revision": strconv.FormatInt(f.revision, 10),
	}
	f.markers = []string{
		id, domain.Domain.ID, deployment.CDN.ID, certificate.Certificate.ID, certificate.Certificate.Fingerprint, token.ID, token.Secret,
		invited.Member.ID, invited.Member.Email, purge.ID, environment.Environment.ID, plan.ID, operation.ID, name + "-person",
		zone.Zone.ID, key.Key.ID, "key of " + name, "transfer." + name + ".example", record.Record.ID, "text of " + name,
		giver, offer.Transfer.ID, offer.Transfer.Domain,
		provider.Provider.ID, name + ".zone.example", placement, "left." + name,
	}
	f.path["id placement"] = placement
	f.path["id record"] = record.Record.ID
	f.path["id transfer"] = offer.Transfer.ID
	f.path["id token"], f.path["id purge"], f.path["id plan"], f.path["id operation"] = token.ID, purge.ID, plan.ID, operation.ID
	f.join = func() string {
		join, err := e.fleet.NewJoinToken(ctx, "fra", time.Hour)
		ok(e.t, err)
		return join.Token
	}
	return f
}

// memberSession invites somebody into a project and logs them in.
func (e *testEnv) memberSession(project, email string, role access.Role) *who {
	e.t.Helper()
	var invited Invited
	e.admin().post("/api/v1/projects/"+url.PathEscape(project)+"/members", Invite{Email: email, Role: string(role)}).want(http.StatusCreated, &invited)
	return e.login(Login{Link: invited.Link})
}

// tenantCase is how one operation is called so that it succeeds for its owner.
type tenantCase struct {
	status  int                 // of the owner's call
	body    func(f *tenant) any // nil: none
	id      string              // which of the tenant's IDs {id} is
	session bool                // by cookie
	// shared says why another tenant may make the same call. What it is told is
	// still checked.
	shared string
}

var anAuthority = ReplaceAuthority{Directory: "https://acme.example.org/directory"}

func fixed(body any) func(*tenant) any { return func(*tenant) any { return body } }

var tenantCases = map[string]tenantCase{
	"login":                  {status: 0, shared: "needs a secret; TestLogin covers it"},
	"logout":                 {status: 204, session: true, shared: "ends one's own session"},
	"session":                {status: 200, shared: "tells of oneself"},
	"account-update":         {status: 200, session: true, body: fixed(AccountUpdate{Name: "New name"}), shared: "changes oneself"},
	"projects-list":          {status: 200, shared: "lists one's own"},
	"projects-create":        {status: 201, body: func(f *tenant) any { return NewProject{Name: f.name + "-2"} }},
	"projects-get":           {status: 200},
	"projects-update":        {status: 200, body: fixed(map[string]any{"title": "New title"})},
	"projects-delete":        {status: 409},
	"environments-list":      {status: 200},
	"environments-create":    {status: 201, body: fixed(NewEnvironment{Name: "preview"})},
	"environments-delete":    {status: 204},
	"members-list":           {status: 200},
	"members-invite":         {status: 201, body: func(f *tenant) any { return Invite{Email: "second-" + f.name + "@example.com", Role: "viewer"} }},
	"members-update":         {status: 200, body: fixed(MemberPatch{Role: "developer"})},
	"members-remove":         {status: 204},
	"tokens-list":            {status: 200},
	"tokens-create":          {status: 201, body: fixed(NewToken{Name: "third"})},
	"tokens-revoke":          {status: 204, id: "token"},
	"domains-list":           {status: 200},
	"domains-add":            {status: 201, body: func(f *tenant) any { return AddDomain{Domain: "second." + f.domain, CDN: "main"} }},
	"domains-get":            {status: 200},
	"domains-update":         {status: 200, body: fixed(map[string]any{"redirect_https": false})},
	"domains-remove":         {status: 204},
	"domains-verify":         {status: 200, body: fixed(Verify{Method: "dns"})},
	"records-list":           {status: 200},
	"records-create":         {status: 201, body: fixed(NewRecord{Name: "mail", Type: "A", RecordData: RecordData{Values: []string{"192.0.2.1"}}})},
	"records-edit":           {status: 200, body: fixed(RecordEdit{Records: []EditedRecord{{Name: "a", Type: "A", RecordData: RecordData{Values: []string{"192.0.2.2"}}}}})},
	"records-get":            {status: 200, id: "record"},
	"records-update":         {status: 200, id: "record", body: fixed(RecordData{Values: []string{"other"}})},
	"records-delete":         {status: 204, id: "record"},
	"zones-export":           {status: 200},
	"zones-create":           {status: 409, shared: "a name that nobody has proved goes to who makes its zone first; TestRecordsAndZones covers it"},
	"zones-import":           {status: 200, body: fixed(ZoneFile{Zone: "b IN A 192.0.2.3\n"})},
	"zones-delete":           {status: 409}, // it has records, and nobody has consented
	"zones-get":              {status: 200},
	"zones-update":           {status: 200, body: fixed(map[string]any{"ttl": 60})},
	"dnssec-get":             {status: 200},
	"dnssec-set":             {status: 200, body: fixed(ZoneSecurityWish{Enabled: true, Denial: "nsec3"})},
	"dnssec-rollover":        {status: 409},
	"domains-setup":          {status: 200},
	"domains-registry":       {status: 200},
	"domains-watch":          {status: 200},
	"domains-events":         {status: 200},
	"domains-propagation":    {status: 200},
	"domains-lock-get":       {status: 200},
	"domains-lock":           {status: 200, body: fixed(SetLock{Locked: true})},
	"transfers-offer":        {status: 201, body: fixed(OfferTransfer{ToProject: "prj_of_somebody"})},
	"transfers-list":         {status: 200},
	"transfers-accept":       {status: 200, id: "transfer", body: fixed(AcceptTransfer{})},
	"transfers-withdraw":     {status: 204, id: "transfer"},
	"certificates-list":      {status: 200},
	"certificates-score":     {status: 200},
	"certificates-get":       {status: 200},
	"certificates-provision": {status: 200, body: fixed(Provision{Renew: true})},
	"certificates-remove":    {status: 204},
	"certificates-update":    {status: 200, body: fixed(map[string]any{"pin_key": true})},
	"certificates-renew":     {status: 200},
	"certificates-revoke":    {status: 200, body: fixed(Revocation{Reason: "superseded"})},
	"certificates-export":    {status: 200, body: fixed(ExportWish{})},
	"certificates-preflight": {status: 200},
	"certificates-csr":       {status: 201, body: fixed(NewCSR{})},
	"certificates-csr-list":  {status: 200},
	"authorities-list":       {status: 200},
	"authorities-get":        {status: 200},
	"authorities-add":        {status: 201, body: func(f *tenant) any { return NewAuthority{Name: f.name + "-2", ReplaceAuthority: anAuthority} }},
	"authorities-replace":    {status: 200, body: fixed(ReplaceAuthority{Directory: "https://acme.example.org/other"})},
	"authorities-remove":     {status: 204},
	"authorities-order":      {status: 200, body: func(f *tenant) any { return AuthorityOrder{Authorities: []string{f.name}} }},
	"replacements-list":      {status: 200},
	"replacements-get":       {status: 200},
	"replacements-plan":      {status: 201, body: fixed(NewReplacement{Selector: ReplacementSelector{All: true}})},
	"replacements-start":     {status: 200},
	"replacements-pause":     {status: 200},
	"replacements-cancel":    {status: 200},
	"cdn-list":               {status: 200},
	"cdn-configure":          {status: 200, body: fixed(ConfigureCDN{Name: "second", ReplaceCDN: ReplaceCDN{Origins: []Origin{{URL: "http://127.0.0.1:1"}}}})},
	"cdn-get":                {status: 200},
	"cdn-replace":            {status: 200, body: fixed(ReplaceCDN{Origins: []Origin{{URL: "http://127.0.0.1:2"}}})},
	"cdn-delete":             {status: 204},
	"cdn-purge":              {status: 200, body: fixed(NewPurge{All: true})},
	"cdn-purge-get":          {status: 200, id: "purge"},
	"edges-list":             {status: 200, shared: "edges serve all tenants; what counts all of them is left out"},
	"edges-get":              {status: 200, shared: "as edges-list"},
	"edges-revoke":           {status: 204},
	"edges-drain":            {status: 200, body: fixed(Drain{Draining: true})},
	"edges-join-token":       {status: 201, body: fixed(NewJoinToken{Region: "fra"})},
	"edges-join": {status: 200, shared: "the token in the body is the credential", body: func(f *tenant) any {
		return edgeconfig.JoinRequest{Token: f.join(), Region: "fra", BusKey: "key", SealingKey: []byte{1}, Version: "1"}
	}},
	"held-list":        {status: 200},
	"held-release":     {status: 200, body: fixed(nil)},
	"revisions-list":   {status: 200},
	"revisions-get":    {status: 200},
	"revisions-revert": {status: 200, body: fixed(Undo{Force: true})},
	"rollback":         {status: 200, body: func(f *tenant) any { return RollBack{Revision: f.revision} }},
	"plans-create":     {status: 201, body: fixed(Desired{Resources: []Declared{}})},
	"plans-get":        {status: 200, id: "plan"},
	"plans-apply":      {status: 200, id: "plan"},
	"export":           {status: 200},
	"events":           {status: 200},
	"audit-list":       {status: 200},
	"audit-verify":     {status: 200},
	"traffic":          {status: 200},
	"dns-queries":      {status: 200},
	"operations-get":   {status: 200, id: "operation"},
	"backup":           {status: 200},
	"trust-root":       {status: 200, shared: "public"},
	"trust-crl":        {status: 200, shared: "public"},

	"dns-drivers-list":          {status: 200, shared: "the same for all"},
	"dns-providers-list":        {status: 200},
	"dns-providers-create":      {status: 201, body: fixed(NewDNSProvider{Name: "second", Driver: "test", Credentials: map[string]string{"token": "t"}})},
	"dns-providers-get":         {status: 200},
	"dns-providers-credentials": {status: 200, body: fixed(NewCredentials{Credentials: map[string]string{"token": "t"}})},
	"dns-providers-test":        {status: 200},
	"dns-providers-zones":       {status: 200},
	"dns-providers-delete":      {status: 204},
	"dns-placements-list":       {status: 200},
	"dns-placements-consent":    {status: 200, id: "placement"},
	"dns-placements-leave":      {status: 204, id: "placement"},

	"tsig-list":          {status: 200},
	"tsig-create":        {status: 201, body: fixed(NewTSIGKey{Name: "second.example"})},
	"tsig-get":           {status: 200},
	"tsig-replace":       {status: 200, body: fixed(NewTSIGSecret{})},
	"tsig-export":        {status: 200},
	"tsig-delete":        {status: 204},
	"zone-transfers-get": {status: 200},
	"zone-transfers-set": {status: 200, body: func(f *tenant) any {
		return SetZoneTransfers{Out: &TransferOut{Keys: []string{"transfer." + f.name + ".example"}}}
	}},
	"zone-transfers-refresh": {status: 409}, // it is no secondary
}

// operations returns every operation of the document, by ID.
func operations(s *Server) map[string]*huma.Operation {
	all := map[string]*huma.Operation{}
	for _, item := range s.huma.OpenAPI().Paths {
		for _, o := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete, item.Head, item.Options} {
			if o != nil {
				all[o.OperationID] = o
			}
		}
	}
	return all
}

// fill puts the tenant's names into a path.
func (f *tenant) fill(t *testing.T, path string, tc tenantCase) string {
	t.Helper()
	for _, part := range strings.Split(path, "/") {
		if !strings.HasPrefix(part, "{") {
			continue
		}
		name := strings.Trim(part, "{}")
		key := name
		if name == "id" {
			key += " " + tc.id
		}
		value, known := f.path[key]
		if !known {
			t.Fatalf("the path %s has the parameter %q, which a tenant has no %q for: extend newTenant", path, name, key)
		}
		path = strings.Replace(path, part, url.PathEscape(value), 1)
	}
	return path
}

// digest is everything a tenant has, to see whether it was touched.
func (f *tenant) digest(e *testEnv) string {
	e.t.Helper()
	ctx := context.Background()
	var all []any
	for _, kind := range []resource.Kind{"", "project", "claim"} {
		page, err := e.db.List(ctx, resource.Query{Kind: kind, Project: map[bool]string{true: f.id}[kind == ""], Limit: 1000})
		ok(e.t, err)
		for _, r := range page.Items {
			if kind == "" || r.ID == f.id || strings.Contains(string(r.Spec), f.id) {
				all = append(all, r.ID, r.Revision, string(r.Spec), string(r.Status))
			}
		}
	}
	grants, err := e.db.Grants(ctx, "", f.id)
	ok(e.t, err)
	tokens, err := e.db.Tokens(ctx, f.id, "", "", 100)
	ok(e.t, err)
	for i := range tokens {
		tokens[i].LastUsedAt = time.Time{}
	}
	invitations, err := e.db.Invitations(ctx, f.id, time.Now())
	ok(e.t, err)
	e.fleet.mu.Lock()
	purges := 0
	for _, p := range e.fleet.purges {
		if p.Project == f.id {
			purges++
		}
	}
	all = append(all, grants, tokens, invitations, purges, e.fleet.edge)
	e.fleet.mu.Unlock()
	out, err := json.Marshal(all)
	ok(e.t, err)
	return string(out)
}

// call makes a call of an operation.
func (f *tenant) call(t *testing.T, by *who, o *huma.Operation, tc tenantCase, query url.Values, body any) *reply {
	t.Helper()
	path := f.fill(t, o.Path, tc)
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	if m := opOf(o); m.method != http.MethodGet && m.method != http.MethodPost && !m.noMatch {
		by = by.with("If-Match", "*")
	}
	if o.OperationID == "events" {
		return by.stream(path)
	}
	return by.do(o.Method, path, body)
}

// stream reads an event stream's answer as far as it comes at once.
func (w *who) stream(path string) *reply {
	w.e.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.e.http.URL+path, nil)
	ok(w.e.t, err)
	r.Header.Set("Authorization", "Bearer "+w.token)
	resp, err := http.DefaultTransport.RoundTrip(r)
	ok(w.e.t, err)
	defer resp.Body.Close()
	buf := make([]byte, 4096)
	n, err := resp.Body.Read(buf)
	if n == 0 {
		ok(w.e.t, err)
	}
	return &reply{t: w.e.t, status: resp.StatusCode, header: resp.Header, body: buf[:n]}
}

// hides checks that an answer tells nothing of a tenant.
func hides(t *testing.T, r *reply, f *tenant, sent string) {
	t.Helper()
	for _, marker := range f.markers {
		if marker != "" && strings.Contains(string(r.body), marker) && !strings.Contains(sent, marker) {
			t.Errorf("another tenant is told %q: %s", marker, r.body)
		}
	}
}

func needsProject(o *huma.Operation) bool {
	return slices.ContainsFunc(o.Parameters, func(p *huma.Param) bool { return p.Name == "project_id" })
}

// TestTenants walks every operation: another tenant neither sees nor touches
// anything; the owner can, gets what the document says, and leaves a trace.
func TestTenants(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) { walkTenants(t, newEnvOn(t, db)) })
}

func walkTenants(t *testing.T, e *testEnv) {
	all := operations(e.server)
	for id := range tenantCases {
		if all[id] == nil {
			t.Errorf("there is a case for %q, but no such operation", id)
		}
	}
	stranger := newTenant(e, "stranger")
	read := newTenant(e, "read") // for all operations that change nothing
	for i, id := range slices.Sorted(maps.Keys(all)) {
		t.Run(id, func(t *testing.T) {
			tc, known := tenantCases[id]
			if !known {
				t.Fatalf("the operation %s has no case: add one to tenantCases", id)
			}
			e.t = t
			o := all[id]
			if tc.status == 0 {
				return
			}
			f := read
			if o.Method != http.MethodGet {
				f = newTenant(e, fmt.Sprintf("tenant-%d", i))
			}
			strangersCalls(t, e, o, tc, f, stranger)
			ownersCall(t, e, o, tc, f)
		})
	}
	if _, err := e.db.VerifyAudit(context.Background()); err != nil { // the chain of all those writes, which grows with each
		t.Error(err)
	}
}

func strangersCalls(t *testing.T, e *testEnv, o *huma.Operation, tc tenantCase, f, stranger *tenant) {
	var body any
	if tc.body != nil {
		body = tc.body(f)
	}
	before := f.digest(e)
	by := stranger.who
	if tc.session {
		by = stranger.session
		e.memberSession(stranger.id, fmt.Sprintf("walk-%s@example.com", o.OperationID), access.Viewer)
	}
	queries := []url.Values{nil}
	if needsProject(o) {
		queries = []url.Values{{"project_id": {f.id}}, {"project_id": {f.name}}, {"project_id": {stranger.id}}, {"project_id": {"*"}}, nil}
	}
	level := opOf(o).level
	for _, query := range queries {
		if tc.session && o.OperationID == "logout" {
			break // would end the stranger's session, and is about nobody else
		}
		r := f.call(t, by, o, tc, query, body)
		sent, _ := json.Marshal(body)
		hides(t, r, f, f.fill(t, o.Path, tc)+query.Encode()+string(sent))
		switch {
		case tc.shared != "":
		case level == onPlatform:
			r.refused(http.StatusForbidden, "forbidden")
		case query != nil && query.Get("project_id") == stranger.id && !strings.Contains(strings.TrimPrefix(o.Path, "/api/v1/projects/{project}"), "{"):
			// A list or a new object of one's own.
		case query != nil && query.Get("project_id") == stranger.id && (strings.Contains(o.Path, "{name}") || strings.Contains(o.Path, "{revision}")):
			// The stranger has one of the same name; that it was not the other's
			// shows in the digest.
		default:
			r.refused(http.StatusNotFound, "not_found")
		}
	}
	if named := inBody(body, f.id); named != nil {
		r := f.call(t, by, o, tc, nil, named)
		r.refused(http.StatusNotFound, "not_found")
	}
	if after := f.digest(e); after != before {
		t.Errorf("another tenant changed something:\n%s\n%s", before, after)
	}
	r := f.call(t, &who{e: e}, o, tc, url.Values{}, body)
	if level != public {
		r.refused(http.StatusUnauthorized, "unauthenticated")
	}
}

// inBody returns the body with project_id set, nil when it has no such field.
func inBody(body any, project string) any {
	if body == nil || reflect.TypeOf(body).Kind() != reflect.Struct {
		return nil
	}
	v := reflect.New(reflect.TypeOf(body)).Elem()
	v.Set(reflect.ValueOf(body))
	field := v.FieldByName("ProjectID")
	if !field.IsValid() {
		return nil
	}
	field.SetString(project)
	return v.Interface()
}

func ownersCall(t *testing.T, e *testEnv, o *huma.Operation, tc tenantCase, f *tenant) {
	level := opOf(o).level
	by := f.who
	switch {
	case tc.session:
		by = f.session
	case level == onPlatform:
		by = e.admin()
	}
	if o.OperationID == "members-update" { // an invitation's role cannot change: take the person
		f.path["user"] = f.name + "-person@example.com"
	}
	var body any
	if tc.body != nil {
		body = tc.body(f)
	}
	var query url.Values
	if needsProject(o) {
		query = url.Values{"project_id": {f.id}}
	}
	r := f.call(t, by, o, tc, query, body)
	r.want(tc.status)
	asDocumented(t, e, o, r)
	if o.Method == http.MethodGet || tc.status >= 400 {
		return
	}
	trace, _, err := e.db.AuditLog(context.Background(), store.AuditQuery{Limit: 20})
	ok(t, err)
	if !slices.ContainsFunc(trace, func(a store.AuditEntry) bool {
		return a.RequestID == r.header.Get("X-Request-Id") && a.Actor != "" && a.Action != ""
	}) {
		t.Errorf("the write left no record in the audit log; the last are %+v", trace[:3])
	}
}

// asDocumented holds an answer to the schema that the document gives for it.
func asDocumented(t *testing.T, e *testEnv, o *huma.Operation, r *reply) {
	t.Helper()
	response := o.Responses[strconv.Itoa(r.status)]
	mediaType, _, _ := strings.Cut(r.header.Get("Content-Type"), ";")
	if r.status >= 400 {
		response = o.Responses["default"]
	}
	if response == nil {
		t.Fatalf("the status %d is not documented", r.status)
	}
	if len(r.body) == 0 && len(response.Content) == 0 {
		return
	}
	media := response.Content[mediaType]
	if media == nil {
		t.Fatalf("the content type %q is not documented for %d", mediaType, r.status)
	}
	if !strings.HasSuffix(mediaType, "json") {
		return
	}
	var value any
	decoder := json.NewDecoder(bytes.NewReader(r.body))
	ok(t, decoder.Decode(&value))
	result := &huma.ValidateResult{}
	huma.Validate(e.server.huma.OpenAPI().Components.Schemas, media.Schema, huma.NewPathBuffer(nil, 0), huma.ModeReadFromServer, value, result)
	for _, err := range result.Errors {
		t.Errorf("the answer is not as documented: %v", err)
	}
}
