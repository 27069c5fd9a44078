package agent

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/edgewright/edgewright/edgeconfig"
)

// A rollup that is too large for a message is kept in parts that differ in
// their IDs and hold each site, each zone and its fetches once.
func TestLargeRollupsAreCut(t *testing.T) {
	for _, c := range []struct{ sites, zones, fetched int }{{1, 16_000, 0}, {4_000, 8_000, 1_000}, {0, 0, 8_000}} {
		r := edgeconfig.Rollup{ID: "edge_1/20260101T000000Z/boot", Edge: "edge_1", Seconds: 60, Sites: map[string]edgeconfig.Counters{}, Zones: map[string]edgeconfig.ZoneCounters{}, Fetches: map[string][]edgeconfig.Fetch{}}
		for i := range c.sites {
			r.Sites[fmt.Sprintf("dom_%032d", i)] = edgeconfig.Counters{Requests: 1}
		}
		for i := range c.zones {
			r.Zones[fmt.Sprintf("zon_%032d", i)] = edgeconfig.ZoneCounters{Answers: 1, NoData: 2}
		}
		for i := range c.fetched {
			r.Fetches[fmt.Sprintf("fet_%032d", i)] = []edgeconfig.Fetch{{Client: "192.0.2.1", Key: "transfer.example", Kind: edgeconfig.FetchWhole, Outcome: edgeconfig.FetchGiven}}
		}
		s := newSpool("", slog.New(slog.DiscardHandler))
		s.add(r)
		if s.len() < 2 {
			t.Fatalf("%+v: %d parts", c, s.len())
		}
		seen := map[string]int{}
		for s.len() > 0 {
			part, id, ok := s.oldest()
			if !ok {
				t.Fatal("a part cannot be read")
			}
			seen[part.ID]++
			for site := range part.Sites {
				seen[site]++
			}
			for zone, n := range part.Zones {
				if seen[zone]++; n != (edgeconfig.ZoneCounters{Answers: 1, NoData: 2}) {
					t.Fatalf("%s: %+v", zone, n)
				}
			}
			for zone, list := range part.Fetches {
				if seen[zone]++; len(list) != 1 || list[0].Client != "192.0.2.1" {
					t.Fatalf("%s: %+v", zone, list)
				}
			}
			s.remove(id)
		}
		kept := 0
		for what, n := range seen {
			if n != 1 {
				t.Fatalf("%+v: %s is kept %d times", c, what, n)
			}
			if what[:4] == "dom_" || what[:4] == "zon_" || what[:4] == "fet_" {
				kept++
			}
		}
		if kept != c.sites+c.zones+c.fetched {
			t.Errorf("%+v: %d are kept", c, kept)
		}
	}
}
