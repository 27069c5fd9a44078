package main

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/store/storetest"
	"github.com/edgewright/edgewright/control/zones"
)

// What a zone publishes is compared with what servers answer, so both have to be
// written the same way.
func TestRRsetsAsServersAnswerThem(t *testing.T) {
	db := storetest.SQLite(t)
	room := zones.New(zones.Options{Store: db, Vault: db, NameServers: []string{"ns1.dns.example", "ns2.dns.example"}})
	cause := resource.Cause{Actor: "user u1", Via: "api"}
	if _, err := room.Ensure(t.Context(), "p", "production", "example.com", cause); err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{
		"TXT": {"two strings", `a \"quoted\" word`}, "A": {"192.0.2.1"}, "CAA": {`0 issue "ca.example"`}, "MX": {"10 mail.example.com."}, "NS": {"ns.example.net"},
	}
	for typ, values := range map[string][]string{
		"TXT": {`"a \"quoted\" word"`, `"two " "strings"`}, "A": {"192.0.2.1"}, "CAA": {`0 issue "ca.example"`}, "MX": {"10 mail"}, "NS": {"ns.example.net"},
	} {
		spec, err := json.Marshal(zones.RRsetSpec{Values: values})
		if err != nil {
			t.Fatal(err)
		}
		set := zones.Set{Name: "n-" + typ, Type: typ, Spec: spec}
		if _, _, err := room.SetRRset(t.Context(), "p", "production", "example.com", set, true, 0, cause); err != nil {
			t.Fatal(err)
		}
	}
	list, err := managedZones{room}.RRsets(t.Context(), "p", "production", "example.com", time.Time{}, 10)
	if err != nil || len(list) != len(want) {
		t.Fatalf("%v, %v", list, err)
	}
	for _, s := range list {
		if !slices.Equal(s.Values, want[s.Type]) {
			t.Errorf("%s %s is wanted as %q, and answered as %q", s.Name, s.Type, s.Values, want[s.Type])
		}
	}
}
