package api

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/control/store"
	"github.com/edgewright/edgewright/control/traffic"
	"github.com/edgewright/edgewright/edgeconfig"
)

// Both directions as a setting, what refuses it, and that it is declared like
// everything else.
func TestZoneTransfers(t *testing.T) {
	e := newEnv(t)
	id, w := e.project("shop", access.Owner)
	q := "?project_id=" + id
	path := infrastructure + "/domains/shop.example/zone/transfers"
	match := w.with("If-Match", "*")
	w.post(infrastructure+"/domains/shop.example/zone"+q, nil).want(http.StatusCreated)

	for _, c := range []struct {
		name    string
		body    any
		pointer string
	}{
		{"no key", SetZoneTransfers{Out: &TransferOut{Keys: []string{}}}, "/out/keys"},
		{"an unknown key", SetZoneTransfers{Out: &TransferOut{Keys: []string{"none.example"}}}, "/out/keys/0"},
		{"no range", SetZoneTransfers{Out: &TransferOut{Keys: []string{"none.example"}, Allow: []string{"192.0.2.0/24", "here"}}}, "/out/allow/1"},
		{"no server", SetZoneTransfers{Out: &TransferOut{Keys: []string{"none.example"}, Notify: []string{"ns1.example.net"}}}, "/out/notify/0"},
		{"no primary", SetZoneTransfers{In: &TransferIn{Primaries: []TransferPrimary{}}}, "/in/primaries"},
		{"a name as a primary", SetZoneTransfers{In: &TransferIn{Primaries: []TransferPrimary{{Address: "ns1.example.net"}}}}, "/in/primaries/0/address"},
		{"a primary with an unknown key", SetZoneTransfers{In: &TransferIn{Primaries: []TransferPrimary{{Address: "192.0.2.1", Key: "none.example"}}}}, "/in/primaries/0/key"},
	} {
		r := match.do(http.MethodPut, path+q, c.body)
		var p Problem
		if ok(t, json.Unmarshal(r.body, &p)); p.Code != "invalid" {
			t.Fatalf("%s: %s", c.name, r.body)
		}
		if len(p.Errors) == 0 || p.Errors[0].Pointer != c.pointer || p.Errors[0].Fix == "" && c.name != "no key" && c.name != "no primary" {
			t.Errorf("%s: %s", c.name, r.body)
		}
	}
	w.do(http.MethodPut, path+q, SetZoneTransfers{}).refused(http.StatusPreconditionRequired, "precondition_required")
	w.post(path+"/refresh"+q, nil).refused(http.StatusConflict, "conflict")

	secret := base64.StdEncoding.EncodeToString([]byte("a secret of the other side"))
	w.post(infrastructure+"/dns/tsig"+q, NewTSIGKey{Name: "Transfer.Shop.Example.", Secret: secret}).want(http.StatusCreated)
	var set ZoneTransfersAnswer
	match.do(http.MethodPut, path+q, SetZoneTransfers{Out: &TransferOut{Keys: []string{"TRANSFER.shop.example."}, Allow: []string{"192.0.2.1"}, Notify: []string{"192.0.2.53"}}}).want(http.StatusOK, &set)
	if o := set.Transfers.Out; o == nil || o.Keys[0] != "transfer.shop.example" || o.Allow[0] != "192.0.2.1/32" || o.Notify[0] != "192.0.2.53:53" {
		t.Errorf("%+v", set.Transfers.Out)
	}
	match.do(http.MethodDelete, infrastructure+"/dns/tsig/transfer.shop.example"+q, nil).refused(http.StatusConflict, "conflict")
	eventually(t, "the zone is given with the key", func() bool {
		w.get(path+q).want(http.StatusOK, &set)
		for _, c := range set.Transfers.Conditions {
			if c.Type == "Shared" && c.Status == "true" {
				return true
			}
		}
		return false
	})

	// Who is no owner sees that there is a key, and not its secret.
	e.tokenFor(id, access.Admin).post(infrastructure+"/dns/tsig/transfer.shop.example/export"+q, nil).refused(http.StatusForbidden, "forbidden")
	var out ExportedTSIGKey
	w.post(infrastructure+"/dns/tsig/transfer.shop.example/export"+q, nil).want(http.StatusOK, &out)
	log, _, err := e.db.AuditLog(t.Context(), store.AuditQuery{Action: "tsigkey.export"})
	ok(t, err)
	if out.Secret != secret || len(log) != 1 {
		t.Errorf("%+v, %d exports on record", out, len(log))
	}

	// A secondary: records go with consent, and are read only.
	w.post(infrastructure+"/domains/shop.example/records"+q, NewRecord{Name: "www", Type: "A", RecordData: RecordData{Values: []string{"192.0.2.1"}}}).want(http.StatusCreated)
	in := SetZoneTransfers{In: &TransferIn{Primaries: []TransferPrimary{{Address: "192.0.2.1", Key: "transfer.shop.example"}}}}
	match.do(http.MethodPut, path+q, in).refused(http.StatusConflict, "conflict")
	in.Consent = true
	set = ZoneTransfersAnswer{}
	match.do(http.MethodPut, path+q, in).want(http.StatusOK, &set)
	if set.Transfers.Out != nil || set.Transfers.Copy == nil || set.Transfers.Copy.State != "waiting" {
		t.Errorf("%+v", set.Transfers)
	}
	var copied ZoneAnswer
	w.get(infrastructure+"/domains/shop.example/zone/settings"+q).want(http.StatusOK, &copied)
	if p := copied.Zone.Primaries; len(p) != 1 || p[0] != "192.0.2.1:53" {
		t.Errorf("a copy comes from %q", p)
	}
	// Whoever would change a copied record is told where it comes from, and how it
	// becomes ours.
	records, www := infrastructure+"/domains/shop.example/records", RecordData{Values: []string{"192.0.2.1"}}
	for what, change := range map[string]struct {
		method, path string
		body         any
		status       int
	}{
		"a new one": {http.MethodPost, records, NewRecord{Name: "www", Type: "A", RecordData: www}, http.StatusConflict},
		"a plan":    {http.MethodPost, infrastructure + "/plans", Desired{Resources: []Declared{{Kind: "rrset", Name: "www/A@shop.example", Spec: json.RawMessage(`{"values":["192.0.2.1"]}`)}}}, http.StatusConflict},
		"many":      {http.MethodPost, records + "/edit", RecordEdit{Records: []EditedRecord{{Name: "www", Type: "A", RecordData: www}}}, http.StatusConflict},
		"one":       {http.MethodPut, records + "/rrs_1", www, http.StatusNotFound},
		"none":      {http.MethodDelete, records + "/rrs_1", nil, http.StatusNotFound},
	} {
		r := match.do(change.method, change.path+q, change.body)
		var p Problem
		if json.Unmarshal(r.body, &p) != nil || r.status != change.status || !strings.Contains(p.Detail, "192.0.2.1") || !strings.Contains(p.Detail, "dns transfers in shop.example --off") {
			t.Errorf("%s: %d %s", what, r.status, r.body)
		}
	}
	w.post(path+"/refresh"+q, RefreshZone{Whole: true}).want(http.StatusAccepted)

	// As a declaration, key and zone together; the secret is made by itself.
	declared := Desired{Resources: []Declared{
		{Kind: "zone", Name: "declared.example", Spec: json.RawMessage(`{"transfer":{"keys":["declared.example"],"notify":["192.0.2.9"]}}`)},
		{Kind: "tsigkey", Name: "declared.example", Spec: json.RawMessage(`{"algorithm":"hmac-sha512"}`)},
	}}
	var plan Plan
	w.post(infrastructure+"/plans"+q, declared).want(http.StatusCreated, &plan)
	w.post(infrastructure+"/plans/"+plan.ID+"/apply"+q, nil).want(http.StatusOK)
	eventually(t, "the declared key has a secret", func() bool {
		var k TSIGKeyAnswer
		w.get(infrastructure+"/dns/tsig/declared.example"+q).want(http.StatusOK, &k)
		return k.Key.Ready
	})
	w.post(infrastructure+"/plans"+q, declared).want(http.StatusCreated, &plan)
	if len(plan.Actions) != 0 {
		t.Errorf("declared again: %+v", plan.Actions)
	}
	declared.Resources = declared.Resources[:1]
	declared.Resources[0].Spec = json.RawMessage(`{"transfer":{"keys":["missing.example"]}}`)
	var refusal Problem
	if r := w.post(infrastructure+"/plans"+q, declared); json.Unmarshal(r.body, &refusal) != nil || refusal.Code != "invalid" {
		t.Errorf("a zone with a key that is not there: %s", r.body)
	}
}

// Who has asked edges for a zone is told beside who may, with what mends it when
// they did not get it; of no other zone, and to nobody else.
func TestZoneFetches(t *testing.T) {
	e := newEnv(t)
	id, w := e.project("shop", access.Owner)
	_, other := e.project("other", access.Owner)
	q := "?project_id=" + id
	const path = infrastructure + "/domains/fetched.example/zone"
	w.post(path+q, nil).want(http.StatusCreated)
	z, err := e.zones.Get(t.Context(), id, "production", "fetched.example")
	ok(t, err)
	var got ZoneTransfersAnswer
	w.get(path+"/transfers"+q).want(http.StatusOK, &got)
	if got.Transfers.Secondaries == nil || len(got.Transfers.Secondaries) != 0 {
		t.Errorf("of a zone that nobody asked for: %+v", got.Transfers.Secondaries)
	}
	at := time.Now().Add(-time.Minute).UTC().Truncate(time.Second)
	whole, key := edgeconfig.FetchWhole, "transfer.fetched.example"
	list := []edgeconfig.Fetch{{Client: "192.0.2.1", Key: key, Kind: whole, Outcome: edgeconfig.FetchGiven, Serial: 7, At: at}}
	outcomes := []edgeconfig.Fetched{
		edgeconfig.FetchBroken, edgeconfig.FetchSlow, edgeconfig.FetchLater, edgeconfig.FetchExpired, edgeconfig.FetchUnsigned, edgeconfig.FetchUnknownKey,
		edgeconfig.FetchBadSignature, edgeconfig.FetchBadTime, edgeconfig.FetchForeignKey, edgeconfig.FetchFromAfar, "of_a_newer_edge",
	}
	for i, outcome := range outcomes {
		list = append(list, edgeconfig.Fetch{Client: fmt.Sprintf("198.51.100.%d", i), Kind: whole, Outcome: outcome, At: at.Add(-time.Duration(1+i) * time.Second)})
	}
	ok(t, traffic.New(e.db, nil).Ingest(t.Context(), edgeconfig.Rollup{ID: "one", Edge: "edge_test", Start: at, Seconds: 60, Fetches: map[string][]edgeconfig.Fetch{z.ID: list}}))
	w.get(path+"/transfers"+q).want(http.StatusOK, &got)
	if n := len(got.Transfers.Secondaries); n != len(list) {
		t.Fatalf("%d of %d", n, len(list))
	}
	if s := got.Transfers.Secondaries[0]; s != (TransferFetch{Address: "192.0.2.1", Key: key, Kind: "axfr", Outcome: "given", Serial: 7, At: at}) {
		t.Errorf("one that has it: %+v", s)
	}
	for i, s := range got.Transfers.Secondaries[1:] {
		if s.Outcome != string(outcomes[i]) || s.Error == "" || (s.Fix == "") != (s.Outcome == "of_a_newer_edge") {
			t.Errorf("%s: %+v", outcomes[i], s)
		}
	}
	other.get(path+"/transfers?project_id=other").refused(http.StatusNotFound, "not_found")
	other.get(path+"/transfers"+q).refused(http.StatusNotFound, "not_found")
}
