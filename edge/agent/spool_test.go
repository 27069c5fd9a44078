package agent

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/edgewright/edgewright/edgeconfig"
)

// A rollup that is too large for a message is kept in parts that differ in
// their IDs and hold each site and each zone once.
func TestLargeRollupsAreCut(t *testing.T) {
	for _, c := range []struct{ sites, zones int }{{1, 16_000}, {4_000, 8_000}} {
		r := edgeconfig.Rollup{ID: "edge_1/20260101T000000Z/boot", Edge: "edge_1", Seconds: 60, Sites: map[string]edgeconfig.Counters{}, Zones: map[string]edgeconfig.ZoneCounters{}}
		for i := range c.sites {
			r.Sites[fmt.Sprintf("dom_%032d", i)] = edgeconfig.Counters{Requests: 1}
		}
		for i := range c.zones {
			r.Zones[fmt.Sprintf("zon_%032d", i)] = edgeconfig.ZoneCounters{Answers: 1, NoData: 2}
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
			s.remove(id)
		}
		kept := 0
		for what, n := range seen {
			if n != 1 {
				t.Fatalf("%+v: %s is kept %d times", c, what, n)
			}
			if what[:4] == "dom_" || what[:4] == "zon_" {
				kept++
			}
		}
		if kept != c.sites+c.zones {
			t.Errorf("%+v: %d are kept", c, kept)
		}
	}
}
