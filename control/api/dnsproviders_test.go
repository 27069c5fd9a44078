package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/control/dnsproviders"
	"github.com/edgewright/edgewright/control/dnsproviders/cloudflare"
	"github.com/edgewright/edgewright/control/dnsproviders/dnsplan"
	"github.com/edgewright/edgewright/control/dnsproviders/route53"
)

// testDrivers are the real rows, of which only the forms are used, and one whose
// provider is in this file.
var testDrivers = []dnsproviders.DriverType{
	cloudflare.Type(cloudflare.Options{}), route53.Type(route53.Options{}),
	{
		Name: "test", Title: "Test", Fields: []dnsproviders.Field{{Name: "token", Required: true, Secret: true, Help: "any text"}},
		Open: func(c dnsproviders.Credentials) (dnsproviders.Driver, error) { return testDriver{c["token"]}, nil },
	},
}

// testDriver has one zone, named after the token, and refuses some tokens.
type testDriver struct{ token string }

func (d testDriver) Zones(context.Context) ([]dnsproviders.Zone, error) {
	switch d.token {
	case "revoked":
		return nil, &dnsproviders.Error{Reason: dnsproviders.BadCredentials, Message: "the token is not accepted", Fix: "make a new one"}
	case "powerless":
		return nil, &dnsproviders.Error{Reason: dnsproviders.NoPermission, Message: "the token may not do this", Fix: "give it more"}
	case "none":
		return nil, nil
	}
	return []dnsproviders.Zone{{Zone: dnsplan.Zone{ID: "1", Name: d.token + ".zone.example"}, NameServers: []string{"ns1.example.net"}}}, nil
}

func (testDriver) Records(context.Context, dnsplan.Zone) ([]dnsplan.RRset, error) { return nil, nil }

func (testDriver) Apply(context.Context, dnsplan.Zone, []dnsplan.Change) (string, error) {
	return "", nil
}

// TestDNSProviders: the life of a provider; its credentials are seen nowhere.
func TestDNSProviders(t *testing.T) {
	e := newEnv(t)
	a := e.admin()
	const path, secret = infrastructure + "/dns/providers", "very-secret-token"
	var all strings.Builder
	seen := func(r *reply) *reply { all.Write(r.body); return r }

	var drivers DNSDriverList
	seen(a.get(infrastructure+"/dns/drivers")).want(http.StatusOK, &drivers)
	if len(drivers.Drivers) != 3 || drivers.Drivers[0].Name != "cloudflare" || len(drivers.Drivers[1].Fields) != 3 || drivers.Drivers[1].Fields[2].Required {
		t.Fatalf("%+v", drivers)
	}
	body := NewDNSProvider{Name: "Main", Driver: "test", Credentials: map[string]string{"token": secret}}
	var plan Plan
	seen(a.post(path+"?dry_run=true", body)).want(http.StatusOK, &plan)
	seen(a.get(path+"/main")).refused(http.StatusNotFound, "not_found")
	var made DNSProviderAnswer
	r := seen(a.post(path, body)).want(http.StatusCreated, &made)
	if len(plan.Actions) != 1 || made.Provider.Name != "main" || made.Provider.Generation != 1 || made.Provider.CheckedAt != nil || r.header.Get("Location") != path+"/main" {
		t.Fatalf("%+v, %+v", plan, made)
	}
	seen(a.post(path, body)).refused(http.StatusConflict, "conflict")

	var zones DNSZoneList
	a.get(path+"/main/zones").want(http.StatusOK, &zones)
	if len(zones.Zones) != 1 || zones.Zones[0].Name != secret+".zone.example" {
		t.Fatalf("%+v", zones)
	}
	ready := func(want, reason string, count int) {
		t.Helper()
		var tested DNSProviderAnswer
		seen(a.post(path+"/main/test", nil)).want(http.StatusOK, &tested)
		p := tested.Provider
		if len(p.Conditions) != 1 || p.Conditions[0].Status != want || p.Conditions[0].Reason != reason || p.Conditions[0].Message == "" || p.Zones != count || p.CheckedAt == nil {
			t.Fatalf("%+v", p)
		}
	}
	ready("true", "Accepted", 1)

	put := func(token string) *reply {
		return seen(a.with("If-Match", "*").do(http.MethodPut, path+"/main/credentials", NewCredentials{Credentials: map[string]string{"token": token}}))
	}
	seen(a.do(http.MethodPut, path+"/main/credentials", NewCredentials{Credentials: map[string]string{"token": "x"}})).refused(http.StatusPreconditionRequired, "precondition_required")
	seen(a.with("If-Match", `"1"`).do(http.MethodPut, path+"/main/credentials", NewCredentials{Credentials: map[string]string{"token": "x"}})).refused(http.StatusPreconditionFailed, "stale")
	put("revoked").want(http.StatusOK, &made)
	if made.Provider.Generation != 2 || made.Provider.CheckedAt != nil || len(made.Provider.Conditions) != 0 {
		t.Fatalf("what was found with other credentials is still shown: %+v", made)
	}
	ready("false", "BadCredentials", 0)
	p := seen(a.get(path+"/main/zones")).refused(http.StatusUnprocessableEntity, "invalid")
	if len(p.Errors) != 1 || p.Errors[0].Pointer != "/credentials" || p.Errors[0].Fix == "" {
		t.Fatalf("%+v", p)
	}
	put("powerless").want(http.StatusOK)
	ready("false", "NoPermission", 0)
	put("none").want(http.StatusOK)
	ready("false", "NoZone", 0)

	var list DNSProviderList
	seen(a.get(path)).want(http.StatusOK, &list)
	if len(list.Providers) != 1 {
		t.Fatalf("%+v", list)
	}
	seen(a.with("If-Match", "*").do(http.MethodDelete, path+"/main", nil)).want(http.StatusNoContent)
	for generation := range 6 {
		if _, err := e.db.Secret(t.Context(), "dnsprovider/"+made.Provider.ID+"/"+string(rune('0'+generation))); err == nil {
			t.Errorf("generation %d of the credentials is still kept", generation)
		}
	}
	for _, page := range []string{"/api/v1/audit", infrastructure + "/revisions", infrastructure + "/export"} {
		seen(a.get(page))
	}
	if strings.Contains(all.String(), secret) {
		t.Error("a secret is shown")
	}

	_, viewer := e.project("viewers", access.Viewer)
	viewer.post(path+"?project_id=viewers", body).refused(http.StatusForbidden, "forbidden")
}

// TestDNSProvidersByPlans: one that goes by a declaration loses its credentials, says
// so when it comes back, and none becomes another driver's.
func TestDNSProvidersByPlans(t *testing.T) {
	e := newEnv(t)
	a := e.admin()
	const path = infrastructure + "/dns/providers"
	var made, back DNSProviderAnswer
	a.post(path, NewDNSProvider{Name: "main", Driver: "test", Credentials: map[string]string{"token": "secret"}}).want(http.StatusCreated, &made)

	other := Desired{Resources: []Declared{{Kind: "dnsprovider", Name: "main", Spec: []byte(`{"driver":"cloudflare"}`)}}}
	p := a.post(infrastructure+"/plans", other).refused(http.StatusConflict, "conflict")
	if !strings.Contains(p.Detail, "edgewright dns providers add NAME --driver cloudflare") {
		t.Errorf("%s", p.Detail)
	}

	var plan Plan
	var applied, undone Applied
	a.post(infrastructure+"/plans", Desired{Prune: true, Resources: []Declared{}}).want(http.StatusCreated, &plan)
	a.post(infrastructure+"/plans/"+plan.ID+"/apply", nil).want(http.StatusOK, &applied)
	eventually(t, "its credentials are gone", func() bool {
		names, err := e.db.SecretNames(t.Context(), "dnsprovider/")
		return err == nil && len(names) == 0
	})
	a.post(fmt.Sprintf("%s/revisions/%d/revert", infrastructure, applied.Revision), nil).want(http.StatusOK, &undone)
	eventually(t, "it says that it has none", func() bool {
		a.get(path+"/main").want(http.StatusOK, &back)
		return len(back.Provider.Conditions) == 1
	})
	if c := back.Provider.Conditions[0]; back.Provider.ID != made.Provider.ID || c.Status != "false" || c.Reason != "NoCredentials" || !strings.Contains(c.Message, path+"/main/credentials") {
		t.Errorf("%+v", back.Provider)
	}
	a.with("If-Match", "*").do(http.MethodPut, path+"/main/credentials", NewCredentials{Credentials: map[string]string{"token": "another"}}).want(http.StatusOK, &back)
	if len(back.Provider.Conditions) != 0 || back.Provider.Generation != 2 {
		t.Errorf("%+v", back.Provider)
	}
}

// TestBadDNSProviders: malformed requests, where they are told to be wrong, and
// that no value is repeated.
func TestBadDNSProviders(t *testing.T) {
	e := newEnv(t)
	long := strings.Repeat("x", 40)
	cases := []struct{ name, body, pointer string }{
		{"no name", `{"name":"","driver":"test","credentials":{"token":"t"}}`, "/name"},
		{"odd name", `{"name":"a b","driver":"test","credentials":{"token":"t"}}`, "/name"},
		{"unknown driver", `{"name":"a","driver":"bind","credentials":{}}`, "/driver"},
		{"no credentials", `{"name":"a","driver":"test","credentials":{}}`, "/credentials/token"},
		{"one of two", `{"name":"a","driver":"route53","credentials":{"access_key_id":"AKIA0123456789012345"}}`, "/credentials/secret_access_key"},
		{"another's credential", `{"name":"a","driver":"cloudflare","credentials":{"api_token":"` + long + `","email":"a@example.com"}}`, "/credentials/email"},
		{"short token", `{"name":"a","driver":"cloudflare","credentials":{"api_token":"SECRET"}}`, "/credentials/api_token"},
		{"token with Bearer", `{"name":"a","driver":"cloudflare","credentials":{"api_token":"Bearer SECRET` + long + `"}}`, "/credentials/api_token"},
		{"global key", `{"name":"a","driver":"cloudflare","credentials":{"api_token":"0123456789abcdef0123456789abcdef01234"}}`, "/credentials/api_token"},
		{"temporary key", `{"name":"a","driver":"route53","credentials":{"access_key_id":"ASIA0123456789012345","secret_access_key":"` + long + `"}}`, "/credentials/access_key_id"},
		{"key and secret swapped", `{"name":"a","driver":"route53","credentials":{"access_key_id":"` + long + `","secret_access_key":"AKIA0123456789012345"}}`, "/credentials/access_key_id"},
		{"a number", `{"name":"a","driver":"test","credentials":{"token":5}}`, "/credentials/token"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			e.t = t
			p := e.admin().post(infrastructure+"/dns/providers", c.body).refused(http.StatusUnprocessableEntity, "invalid")
			if len(p.Errors) == 0 || p.Errors[0].Pointer != c.pointer || p.Errors[0].Detail == "" || strings.Contains(p.Detail, "SECRET") {
				t.Fatalf("%+v", p)
			}
		})
	}
}
