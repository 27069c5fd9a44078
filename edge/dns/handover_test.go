package dns

import (
	"testing"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/edgeconfig"
)

// A zone that goes to another project comes under another ID. Whatever the
// messages are cut into, it is answered at every moment: as it was, until all of the
// new one is there.
func TestAZoneChangesItsID(t *testing.T) {
	const apex = "example.com."
	s := testResponder()
	old := contentOf(t, "zon_1", apex, records(t, apex, soaLine+"@ IN NS ns1\nwww IN A 192.0.2.1\n"))
	before := old.documents(t, 1)
	apply(t, s.zones, before)
	fresh := contentOf(t, "zon_2", apex, records(t, apex, soaLine+"@ IN NS ns1\nwww IN A 192.0.2.2\n"))
	after := fresh.documents(t, 2)
	gone := func(d edgeconfig.Document) edgeconfig.Document {
		return edgeconfig.Document{Key: d.Key, Scope: d.Scope, Revision: 3, Deleted: true}
	}
	now := func(step, want string) {
		t.Helper()
		m := exchange(t, s, question("www.example.com.", dns.TypeA, false), false)
		if len(m.Answer) != 1 || m.Answer[0].(*dns.A).A.String() != want || s.zones.Len() != 1 {
			t.Fatalf("%s: %v", step, m)
		}
	}
	now("at first", "192.0.2.1")
	part, head := after[0], after[len(after)-1]
	if items := s.zones.Apply([]edgeconfig.Document{document(head.Key, 1, head.Body)}); items[0].State != edgeconfig.Rejected {
		t.Errorf("a zone that is no newer takes the place of one that is served: %+v", items)
	}
	apply(t, s.zones, []edgeconfig.Document{head})
	now("the new head without its part", "192.0.2.1")
	apply(t, s.zones, []edgeconfig.Document{part})
	now("all of the new zone", "192.0.2.2")
	apply(t, s.zones, []edgeconfig.Document{gone(before[len(before)-1])})
	now("the old head's end", "192.0.2.2")
	apply(t, s.zones, []edgeconfig.Document{gone(before[0])})
	now("the old part's end", "192.0.2.2")
	if _, held := s.zones.State("zon_1"); held {
		t.Error("something of the old zone is held")
	}

	// Back, in one batch.
	batch := []edgeconfig.Document{gone(head), gone(part)}
	batch[0].Revision, batch[1].Revision = 4, 4
	for _, d := range before {
		d.Revision = 4
		batch = append(batch, d)
	}
	apply(t, s.zones, batch)
	now("all at once", "192.0.2.1")
	apply(t, s.zones, []edgeconfig.Document{{Key: before[len(before)-1].Key, Scope: edgeconfig.ScopeAll, Revision: 5, Deleted: true}})
	if m := exchange(t, s, question("www.example.com.", dns.TypeA, false), false); m.Rcode != dns.RcodeRefused {
		t.Errorf("%v", m)
	}
}
