package api

import (
	"context"
	"crypto/tls"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/control/certificates/authority"
	"github.com/edgewright/edgewright/control/store"
)

// The private key leaves by one operation only, for owners only, and every time
// on the record.
func TestExportIsForOwnersAndOnRecord(t *testing.T) {
	e := newEnv(t)
	f := newTenant(e, "keys")
	path := infrastructure + "/ssl/" + f.domain + "/export?project_id=" + f.id
	for _, role := range []access.Role{access.Viewer, access.Developer, access.Admin} {
		e.tokenFor(f.id, role).post(path, ExportWish{}).refused(http.StatusForbidden, "forbidden")
	}
	records := func() (n int) {
		log, _, err := e.db.AuditLog(context.Background(), store.AuditQuery{Action: "certificate.export"})
		ok(t, err)
		for _, entry := range log {
			if strings.Contains(string(entry.Detail), "KEY") {
				t.Errorf("the record holds a key: %s", entry.Detail)
			}
		}
		return len(log)
	}
	if n := records(); n != 0 {
		t.Errorf("%d exports on record before any", n)
	}
	var out ExportedCertificate
	f.who.post(path, ExportWish{}).want(http.StatusOK, &out)
	if _, err := tls.X509KeyPair([]byte(out.ChainPEM), []byte(out.KeyPEM)); err != nil {
		t.Error(err)
	}
	f.who.post(path, ExportWish{Password: "correct horse battery"}).want(http.StatusOK, &out)
	if len(out.PKCS12) == 0 {
		t.Error("there is no PKCS #12 file")
	}
	if n := records(); n != 2 {
		t.Errorf("%d exports on record, want 2", n)
	}
	// Nothing else shows it.
	for _, path := range []string{"/ssl/" + f.domain, "/ssl", "/ssl/" + f.domain + "/csr"} {
		if body := f.who.get(infrastructure + path + "?project_id=" + f.id).want(http.StatusOK).body; strings.Contains(string(body), "PRIVATE KEY") {
			t.Errorf("%s shows a key", path)
		}
	}
}

// Requests that can never succeed say which field is wrong and what to do.
func TestBrokenCertificateRequests(t *testing.T) {
	e := newEnv(t)
	f := newTenant(e, "broken")
	ssl := infrastructure + "/ssl/" + f.domain
	q := "?project_id=" + f.id
	for _, tt := range []struct {
		what, method, path string
		body               any
		status             int
		pointer            string
	}{
		{"an unknown type", http.MethodPost, ssl, Provision{Type: "paper"}, 400, "/type"},
		{"an unknown key type", http.MethodPost, ssl, Provision{KeyType: "dsa"}, 400, "/key_type"},
		{"an unknown challenge", http.MethodPost, ssl, Provision{Challenge: "pigeon"}, 400, "/challenge"},
		{"a profile of two words", http.MethodPost, ssl, Provision{Profile: "a b"}, 400, "/profile"},
		{"no domain name", http.MethodPost, ssl, Provision{Domains: []string{"not a name"}}, 400, "/domains/1"},
		{"a name twice", http.MethodPost, ssl, Provision{Domains: []string{f.domain, f.domain}}, 400, "/domains"},
		{"a key without type custom", http.MethodPost, ssl, Provision{KeyPEM: "x"}, 400, "/type"},
		{"a custom one with nothing", http.MethodPost, ssl, Provision{Type: "custom"}, 400, "/chain_pem"},
		{"PKCS #12 that is none", http.MethodPost, ssl, Provision{Type: "custom", PKCS12: []byte("x")}, 400, "/pkcs12"},
		{"PKCS #12 and PEM", http.MethodPost, ssl, Provision{Type: "custom", PKCS12: []byte("x"), ChainPEM: "x"}, 400, "/pkcs12"},
		{"a reason that is none", http.MethodPost, ssl + "/revoke", Revocation{Reason: "because"}, 400, "/reason"},
		{"a weak password", http.MethodPost, ssl + "/export", ExportWish{Password: "short"}, 400, "/password"},
		{"a country that is none", http.MethodPost, ssl + "/csr", NewCSR{Subject: CSRSubject{Country: "X"}}, 400, "/subject/country"},
		{"a country in figures", http.MethodPost, ssl + "/csr", NewCSR{Subject: CSRSubject{Country: "1!"}}, 400, "/subject/country"},
		{"a subject of another name", http.MethodPost, ssl + "/csr", NewCSR{Subject: CSRSubject{CommonName: "evil.example.org"}}, 400, "/subject/common_name"},
		{"a CA that is not there", http.MethodPost, ssl, Provision{Type: "lets_encrypt", Authority: "nope"}, 400, "/authority"},
		{"a CA that is not there, set", http.MethodPatch, ssl, map[string]any{"authority": "nope"}, 400, "/authority"},
		{"a renewal as another type", http.MethodPost, ssl, Provision{Renew: true, Type: "external"}, 400, "/type"},
		{"a renewal with an unknown challenge", http.MethodPost, ssl, Provision{Renew: true, Challenge: "pigeon"}, 400, "/challenge"},
		{"takeover of an automatic one", http.MethodPatch, ssl, map[string]any{"takeover": true}, 400, "/takeover"},
		{"another domain first", http.MethodPatch, ssl, map[string]any{"domains": []string{"other.localhost"}}, 400, "/domains/0"},
	} {
		by := f.who
		if tt.method == http.MethodPatch {
			by = by.with("If-Match", "*")
		}
		r := by.do(tt.method, tt.path+q, tt.body)
		if r.status == http.StatusUnprocessableEntity {
			tt.status = r.status
		}
		p := r.refused(tt.status, "invalid")
		if len(p.Errors) == 0 || p.Errors[0].Pointer != tt.pointer || p.Errors[0].Fix == "" {
			t.Errorf("%s: %+v", tt.what, p.Errors)
		}
	}
	by := f.who.with("If-Match", `"1"`)
	by.do(http.MethodPatch, ssl+q, map[string]any{"pin_key": true}).refused(http.StatusPreconditionFailed, "stale")
	f.who.do(http.MethodPatch, ssl+q, map[string]any{"pin_key": true}).refused(http.StatusPreconditionRequired, "precondition_required")
	var plan Plan
	f.who.with("If-Match", "*").do(http.MethodPatch, ssl+q+"&dry_run=true", map[string]any{"pin_key": true}).want(http.StatusOK, &plan)
	if len(plan.Actions) != 1 {
		t.Errorf("plan %+v", plan)
	}
}

func TestAuthoritiesHideTheirSecrets(t *testing.T) {
	e := newEnv(t)
	path := infrastructure + "/certificate-authorities"
	var made AuthorityAnswer
	r := e.admin().post(path, NewAuthority{Name: "bought", ReplaceAuthority: ReplaceAuthority{
		Directory: "https://acme.example.org/dir", EABKeyID: "kid-1", EABMACKey: "very-secret-mac",
	}}).want(http.StatusCreated, &made)
	if strings.Contains(string(r.body), "very-secret-mac") || made.Authority.EABKeyID != "kid-1" || made.Authority.Priority != authority.AddedPriority {
		t.Errorf("%s", r.body)
	}
	e.admin().post(path, NewAuthority{Name: "bought", ReplaceAuthority: anAuthority}).refused(http.StatusConflict, "conflict")
	if body := e.admin().get(path).want(http.StatusOK).body; strings.Contains(string(body), "very-secret-mac") {
		t.Errorf("%s", body)
	}
	history, _, err := e.db.AuditLog(context.Background(), store.AuditQuery{Limit: 50})
	ok(t, err)
	for _, entry := range history {
		if strings.Contains(string(entry.Detail), "very-secret-mac") {
			t.Errorf("on record: %s", entry.Detail)
		}
	}
}

func TestOrderOfAuthorities(t *testing.T) {
	e := newEnv(t)
	path := infrastructure + "/certificate-authorities"
	for _, name := range []string{"bought", "spare"} {
		e.admin().post(path, NewAuthority{Name: name, ReplaceAuthority: anAuthority}).want(http.StatusCreated)
	}
	var plan Plan
	e.admin().post(path+"/order?dry_run=true", AuthorityOrder{Authorities: []string{"spare", "bought"}}).want(http.StatusOK, &plan)
	if len(plan.Actions) != 2 {
		t.Errorf("plan %+v", plan)
	}
	names := func(list AuthorityList) (names []string) {
		for _, a := range list.Authorities {
			names = append(names, a.Name)
		}
		return names
	}
	var list AuthorityList
	e.admin().post(path+"/order", AuthorityOrder{Authorities: []string{"spare", "bought"}}).want(http.StatusOK, &list)
	if got := names(list); slices.Index(got, "spare") > slices.Index(got, "bought") {
		t.Errorf("order %v", got)
	}
	e.admin().post(path+"/order", AuthorityOrder{Authorities: []string{"spare", "nobody"}}).refused(http.StatusNotFound, "not_found")
	e.admin().post(path+"/order", AuthorityOrder{Authorities: []string{"spare", "spare"}}).refused(http.StatusUnprocessableEntity, "invalid")
}
