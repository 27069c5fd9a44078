package zones_test

import (
	"context"
	"testing"

	"github.com/edgewright/edgewright/control/zones"
	"github.com/edgewright/edgewright/fault"
)

// A zone is answered before anybody has proved anything, so one at a public
// suffix would take every name below it, and one at the platform's names those
// that the platform itself is found by.
func TestZonesThatAreNotOneTenants(t *testing.T) {
	w := newWorld(t)
	w.room = zones.New(zones.Options{Store: w.db, Vault: w.db, Ownership: w, NameServers: []string{"ns1.dns.example.", "ns2.dns.example."}, Platform: "Edge.example", Now: w.time})
	w.claims["mine.edge.example"], w.claims["proved.example"] = "tenant", "tenant"
	for _, c := range []struct {
		project, apex string
		may           bool
	}{
		{"tenant", "com", false},
		{"tenant", "co.uk", false},
		{"tenant", "github.io", false},
		{"tenant", "localhost", false},
		{"default", "org", false},
		{"tenant", "2.0.192.in-addr.arpa", true},
		{"tenant", "shop.example.com", true},
		{"tenant", "edge.example", false},
		{"tenant", "somebody.edge.example", false},
		{"tenant", "mine.edge.example", true},
		{"tenant", "dns.example", false},
		{"tenant", "ns1.dns.example", false},
		{"tenant", "below.ns1.dns.example", true},
		{"tenant", "otherdns.example", true},
		{"default", "edge.example", true},
		{"default", "dns.example", true},
	} {
		_, err := w.room.Ensure(context.Background(), c.project, "production", c.apex, cause)
		if got := err == nil; got != c.may || err != nil && !fault.Is(err, fault.Conflict) {
			t.Errorf("%s makes the zone %s: %v, want it to be possible: %v", c.project, c.apex, err, c.may)
		}
	}
}

// Who made such a zone before it was kept from them is not in the operator's way.
func TestTheOperatorTakesThePlatformsZoneBack(t *testing.T) {
	w := newWorld(t)
	w.ensure("tenant", "edge.example")
	if _, err := w.room.Ensure(context.Background(), "default", "production", "edge.example", cause); !fault.Is(err, fault.Conflict) {
		t.Fatalf("a zone of somebody else's was taken: %v", err)
	}
	w.room.Platform = "edge.example"
	_, err := w.room.Ensure(context.Background(), "default", "production", "edge.example", cause)
	ok(t, err)
}
