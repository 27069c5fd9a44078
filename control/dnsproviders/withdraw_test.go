package dnsproviders

import (
	"slices"
	"testing"

	"github.com/edgewright/edgewright/control/dnsproviders/dnsplan"
	"github.com/edgewright/edgewright/control/domains"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// Withdrawing takes away what carries the domain's markers, nothing else, and goes
// on after it was cut short.
func TestWithdraw(t *testing.T) {
	s, m, _ := newService(t)
	r := Records{Service: s, Installation: "ins_1"}
	for _, name := range []string{"example.com", "mail.example.com", "a.example.com", "b.example.com", "c.example.com", "d.example.com", "e.example.com", "f.example.com"} {
		set := dnsplan.RRset{Name: name, Type: "A", TTL: 60, Values: []string{"192.0.2.1"}}
		m.sets[set.Key()] = set
	}
	theirs := len(m.sets)
	records := func(name string) []domains.DNSRecord {
		return []domains.DNSRecord{
			{Purpose: domains.PurposeOwnership, Type: "TXT", FullName: "_edgewright-challenge." + name, Value: "proof", TTL: 300},
			{Purpose: domains.PurposeRouting, Type: "A", FullName: name, Value: "198.51.100.1", TTL: 300},
			{Purpose: domains.PurposeRouting, Type: "AAAA", FullName: name, Value: "2001:db8::1", TTL: 300},
		}
	}
	provide := func(name string) (where string) {
		t.Helper()
		where, err := r.Provide(t.Context(), "p", "e", "main", "", name, records(name), resource.Cause{})
		if err != nil {
			t.Fatal(err)
		}
		return where
	}
	where := provide("shop.example.com")
	if provide("news.example.com") != where || where != "memory/1" {
		t.Fatalf("they are at %q", where)
	}
	ours := (len(m.sets) - theirs) / 2

	w, err := r.PlanWithdraw(t.Context(), "p", "e", "main", "shop.example.com", nil)
	if err != nil || len(w.Records) != 3 || w.Needs != "" || !slices.Equal(w.Where, []string{where}) || !slices.Contains(w.Records, "A shop.example.com 198.51.100.1") {
		t.Fatalf("the plan: %+v, %v", w, err)
	}
	if w, err := r.Withdraw(t.Context(), "p", "e", "main", "shop.example.com", []string{where}, false); err != nil || len(w.Records) != 0 {
		t.Fatalf("from a zone that is somebody else's: %+v, %v", w, err)
	}
	m.broken = 2
	if _, err := r.Withdraw(t.Context(), "p", "e", "main", "shop.example.com", nil, false); !fault.Is(err, fault.Unavailable) {
		t.Fatalf("cut short: %v", err)
	}
	half := len(m.sets)
	if half >= theirs+2*ours || half <= theirs+ours {
		t.Fatalf("%d sets are left of %d: the test has cut it nowhere", half, theirs+2*ours)
	}
	if w, err = r.Withdraw(t.Context(), "p", "e", "main", "shop.example.com", nil, false); err != nil || len(w.Records) == 0 || len(w.Records) == 3 {
		t.Fatalf("the rest: %+v, %v", w, err)
	}
	if len(m.sets) != theirs+ours {
		t.Fatalf("%d sets are left, want %d", len(m.sets), theirs+ours)
	}
	if w, err = r.Withdraw(t.Context(), "p", "e", "main", "shop.example.com", nil, false); err != nil || len(w.Records) > 0 {
		t.Fatalf("again: %+v, %v", w, err)
	}

	// Much of a zone goes with consent only.
	for key := range m.sets {
		if key.Name != "example.com" && len(key.Name) == len("a.example.com") {
			delete(m.sets, key)
		}
	}
	before := len(m.sets)
	if w, err = r.Withdraw(t.Context(), "p", "e", "main", "news.example.com", nil, false); !fault.Is(err, fault.Conflict) || w.Needs == "" || len(w.Records) != 3 || len(m.sets) != before {
		t.Fatalf("without consent: %+v, %v", w, err)
	}
	if _, err = r.Withdraw(t.Context(), "p", "e", "main", "news.example.com", nil, true); err != nil || len(m.sets) != before-ours {
		t.Fatalf("with consent %d sets are left of %d, %v", len(m.sets), before, err)
	}
	if _, err := r.Withdraw(t.Context(), "other", "e", "main", "news.example.com", nil, true); !fault.Is(err, fault.NotFound) {
		t.Errorf("with another project's credentials: %v", err)
	}
}
