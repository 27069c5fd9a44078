package api

import (
	"net/http"
	"strings"
	"testing"

	"github.com/edgewright/edgewright/control/access"
)

// The bodies of the specification, to the letter.
func TestRecordsAndZones(t *testing.T) {
	e := newEnv(t)
	a := e.admin()
	const path = infrastructure + "/domains/example.org"
	a.get(path+"/records").refused(http.StatusNotFound, "not_found")
	var zone ZoneAnswer
	a.post(path+"/zone", nil).want(http.StatusCreated, &zone)
	if len(zone.Zone.NameServers) != 2 || !strings.HasSuffix(zone.Zone.NameServers[0], ".dns.example") {
		t.Fatalf("%+v", zone.Zone)
	}
	var made RecordAnswerBody
	r := a.post(path+"/records", `{"name":"www","type":"A","ttl":60,"values":["192.0.2.1"]}`).want(http.StatusCreated, &made)
	if made.Record.FullName != "www.example.org" || made.Record.TTL != 60 || r.header.Get("Location") != path+"/records/"+made.Record.ID {
		t.Fatalf("%s %v", r.body, r.header)
	}
	a.post(path+"/records", `{"name":"www","type":"A","values":["192.0.2.2"]}`).refused(http.StatusConflict, "conflict")
	if p := a.post(path+"/records", `{"name":"@","type":"CNAME","values":["x.example.net"]}`).refused(http.StatusUnprocessableEntity, "invalid"); !strings.Contains(p.Errors[0].Fix, "ALIAS") {
		t.Errorf("%+v", p)
	}
	id := path + "/records/" + made.Record.ID
	a.with("If-Match", `"1"`).do(http.MethodPut, id, `{"values":["192.0.2.3"]}`).refused(http.StatusPreconditionFailed, "stale")
	a.with("If-Match", r.header.Get("ETag")).do(http.MethodPut, id, `{"values":["192.0.2.3"],"comment":"the shop"}`).want(http.StatusOK, &made)
	// What is made can be put back as it is, with its name and type, which stay.
	a.with("If-Match", "*").do(http.MethodPut, id, `{"name":"www.example.org.","type":"a","ttl":60,"values":["192.0.2.3"]}`).want(http.StatusOK, &made)
	if made.Record.ID != id[len(path+"/records/"):] || made.Record.TTL != 60 {
		t.Errorf("%+v", made)
	}
	for pointer, body := range map[string]string{
		"/name": `{"name":"mail","type":"A","values":["192.0.2.3"]}`, "/type": `{"name":"www","type":"AAAA","values":["2001:db8::1"]}`,
	} {
		if p := a.with("If-Match", "*").do(http.MethodPut, id, body).refused(http.StatusUnprocessableEntity, "invalid"); p.Errors[0].Pointer != pointer || p.Errors[0].Fix == "" {
			t.Errorf("%s: %+v", body, p)
		}
	}
	eventually(t, "the record is in a version", func() bool {
		a.get(path+"/zone/settings").want(http.StatusOK, &zone)
		return zone.Zone.Serial > 0 && zone.Zone.Records == 2
	})
	text := string(a.get(path + "/zone").want(http.StatusOK).body)
	if !strings.Contains(text, "www 60 IN A 192.0.2.3") || !strings.Contains(text, "$ORIGIN example.org.") {
		t.Errorf("%s", text)
	}
	var report ZoneImport
	a.with("If-Match", "*").do(http.MethodPut, path+"/zone", ZoneFile{Zone: text + "mail 60 IN A 192.0.2.4\nbad IN A x\n", Partial: true, Preview: true}).want(http.StatusOK, &report)
	if report.Created != 1 || report.Unchanged != 1 || report.Plan == nil || len(report.Plan.Actions) != 1 || !report.Skipped[len(report.Skipped)-1].Fault {
		t.Errorf("%+v", report)
	}
	// Another project can neither have the zone nor one below it.
	_, other := e.project("other", access.Owner)
	for _, name := range []string{"example.org", "shop.example.org"} {
		other.post(infrastructure+"/domains/"+name+"/zone?project_id=other", nil).refused(http.StatusConflict, "conflict")
	}
	var security ZoneSecurityAnswer
	a.with("If-Match", "*").do(http.MethodPut, path+"/dnssec", `{"enabled":true}`).want(http.StatusOK)
	eventually(t, "the zone is signed", func() bool {
		a.get(path+"/dnssec").want(http.StatusOK, &security)
		return security.DNSSEC.Signed && security.DNSSEC.Rollover != nil
	})
	a.with("If-Match", "*").do(http.MethodDelete, id, nil).want(http.StatusNoContent)
	a.with("If-Match", "*").do(http.MethodDelete, path+"/zone", nil).want(http.StatusNoContent)
	a.get(path+"/zone/settings").refused(http.StatusNotFound, "not_found")
}
