package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/edgewright/edgewright/fault"
)

// A locked domain loses no record, whichever way it would go.
func TestNothingTakesALockedDomainsRecords(t *testing.T) {
	e := newEnv(t)
	a := e.admin()
	any := a.with("If-Match", "*")
	const zone, locked = infrastructure + "/domains/example.org", infrastructure + "/domains/shop.example.org"
	a.post(zone+"/zone", nil).want(http.StatusCreated)
	any.do(http.MethodPut, zone+"/dnssec", `{"enabled":true}`).want(http.StatusOK)
	record := func(name, typ, value string) string {
		t.Helper()
		var made RecordAnswerBody
		a.post(zone+"/records", fmt.Sprintf(`{"name":%q,"type":%q,"values":[%q]}`, name, typ, value)).want(http.StatusCreated, &made)
		return zone + "/records/" + made.Record.ID
	}
	revision := func() int64 {
		t.Helper()
		var list RevisionList
		a.get(infrastructure+"/revisions?limit=1").want(http.StatusOK, &list)
		return list.Revisions[0].Revision
	}
	record("free", "A", "192.0.2.1")
	empty := revision()
	shop := record("shop", "A", "192.0.2.2")
	made := revision()
	any.do(http.MethodPut, shop, `{"values":["192.0.2.3"]}`).want(http.StatusOK)
	changed := revision()
	below := record("deep.shop", "TXT", "x")
	a.post(infrastructure+"/domains", AddDomain{Domain: "shop.example.org"}).want(http.StatusCreated)
	var exported Export
	a.get(infrastructure+"/export").want(http.StatusOK, &exported)
	without := slices.DeleteFunc(slices.Clone(exported.Resources), func(d Declared) bool { return d.Kind == "rrset" && strings.HasPrefix(d.Name, "shop/") })
	other := slices.Clone(exported.Resources)
	for i := range other {
		if strings.HasPrefix(other[i].Name, "shop/") {
			other[i].Spec = json.RawMessage(`{"values":["198.51.100.1"]}`)
		}
	}
	delegated := append(slices.Clone(exported.Resources), Declared{Kind: "rrset", Name: "shop/NS@example.org", Spec: json.RawMessage(`{"values":["ns.example.net."]}`)})
	var early Plan // made before the lock
	a.post(infrastructure+"/plans", Desired{Resources: other}).want(http.StatusCreated, &early)
	any.do(http.MethodPut, locked+"/lock", SetLock{Locked: true}).want(http.StatusOK)

	for _, way := range []struct {
		name string
		try  func() *reply
	}{
		{"delete", func() *reply { return any.do(http.MethodDelete, shop, nil) }},
		{"unsigning", func() *reply { return any.do(http.MethodPut, zone+"/dnssec", `{"enabled":false}`) }},
		{"delete below", func() *reply { return any.do(http.MethodDelete, below, nil) }},
		{"change", func() *reply { return any.do(http.MethodPut, shop, `{"values":["198.51.100.1"]}`) }},
		{"bulk edit", func() *reply {
			return a.post(zone+"/records/edit", `{"records":[{"name":"shop","type":"A","remove":true}],"consent":true}`)
		}},
		{"replacing edit", func() *reply {
			return a.post(zone+"/records/edit", `{"records":[{"name":"free","type":"A","values":["192.0.2.1"]}],"replace":true,"consent":true}`)
		}},
		{"zone import", func() *reply {
			return any.do(http.MethodPut, zone+"/zone", ZoneFile{Zone: "free 60 IN A 192.0.2.1\n", Replace: true, Consent: true})
		}},
		{"zone import over it", func() *reply {
			return any.do(http.MethodPut, zone+"/zone", ZoneFile{Zone: "shop 60 IN A 198.51.100.1\n"})
		}},
		{"plan that changes", func() *reply { return a.post(infrastructure+"/plans", Desired{Resources: other}) }},
		{"plan that prunes", func() *reply { return a.post(infrastructure+"/plans", Desired{Resources: without, Prune: true}) }},
		{"plan that delegates", func() *reply { return a.post(infrastructure+"/plans", Desired{Resources: delegated}) }},
		{"plan made before", func() *reply { return a.post(infrastructure+"/plans/"+early.ID+"/apply", nil) }},
		{"revert of the change", func() *reply { return a.post(fmt.Sprintf("%s/revisions/%d/revert", infrastructure, changed), nil) }},
		{"restore before the creation", func() *reply {
			return a.post(fmt.Sprintf("%s/revisions/%d/revert", infrastructure, made), Undo{Force: true})
		}},
		{"rollback", func() *reply { return a.post(infrastructure+"/rollback", RollBack{Revision: empty}) }},
		{"delegation", func() *reply {
			return a.post(zone+"/records", `{"name":"shop","type":"NS","values":["ns.example.net."]}`)
		}},
		{"delegation below", func() *reply {
			return a.post(zone+"/records", `{"name":"deep.shop","type":"NS","values":["ns.example.net."]}`)
		}},
		{"zone of its own", func() *reply { return a.post(locked+"/zone", nil) }},
		{"no records of sites", func() *reply { return any.do(http.MethodPatch, zone+"/zone/settings", `{"sites":false}`) }},
		{"zone", func() *reply { return any.do(http.MethodDelete, zone+"/zone?consent=true", nil) }},
	} {
		t.Run(way.name, func(t *testing.T) {
			r := way.try()
			r.t = t
			if p := r.refused(http.StatusConflict, fault.Conflict); !strings.Contains(p.Detail, "is locked") {
				t.Errorf("%s", p.Detail)
			}
		})
	}
	text := string(a.get(zone + "/zone").want(http.StatusOK).body)
	if !strings.Contains(text, "shop IN A 192.0.2.3") || !strings.Contains(text, "deep.shop IN TXT") {
		t.Fatalf("%s", text)
	}

	// What takes nothing of it away is done.
	record("shop", "MX", "10 mail.example.net.")
	record("news", "A", "192.0.2.4")
	any.do(http.MethodPatch, zone+"/zone/settings", `{"ttl":600}`).want(http.StatusOK)
	a.post(zone+"/records/edit", `{"records":[{"name":"free","type":"A","remove":true}],"consent":true}`).want(http.StatusOK)
	any.do(http.MethodPut, locked+"/lock", SetLock{Locked: false}).want(http.StatusOK)
	any.do(http.MethodDelete, shop, nil).want(http.StatusNoContent)
}
