package compile

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/zones"
	"github.com/edgewright/edgewright/edgeconfig"
)

// Who leads next removes what an earlier leader has published of a zone and what
// the zone has no more, and only when it has made the zone.
func TestZonesOfAnEarlierTerm(t *testing.T) {
	digests := func(bodies ...string) (all []byte) {
		for _, b := range bodies {
			d := edgeconfig.PartDigest([]byte(b))
			all = append(all, d[:]...)
		}
		return all
	}
	started := func(m *zoneMaker, published ...PublishedZone) *Compiler {
		c := New(nil, edgeconfig.Platform{})
		c.SetZones(m)
		c.SetGroupKey("g1", [32]byte{1})
		c.Recall(published)
		return c
	}
	online := PublishedZone{ID: "zon_1", Apex: "example.com", Digests: digests(`"a"`, `"b"`), Keys: true}
	expect := func(t *testing.T, what string, outputs []Output, want ...string) {
		t.Helper()
		if got := said(outputs); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	t.Run("keys that nothing needs any more", func(t *testing.T) {
		m := &zoneMaker{}
		c := started(m, online)
		expect(t, "not made yet", c.Apply(zoneEvent(resource.Put, 1)))
		expect(t, "all is declared", c.Missing())
		c.key.Group = "g2"
		if got := c.allZoneKeys(); got != nil {
			t.Errorf("keys that are not known are sealed: %v", said(got))
		}
		m.make(2, `"a"`)
		expect(t, "made", c.Apply(zoneEvent(resource.Status, 2)), "zonepart/zon_1/0", "-zonekeys/zon_1", "zone/zon_1", "-zonepart/zon_1/1")
	})
	t.Run("keys that stay", func(t *testing.T) {
		m := &zoneMaker{}
		c := started(m, online)
		m.make(2, `"a"`, `"c"`)
		m.version.Keys = []zones.OnlineKey{{Tag: 7, Algorithm: 13, DER: []byte("secret")}}
		expect(t, "made", c.Apply(zoneEvent(resource.Put, 2)), "zonepart/zon_1/1", "zonekeys/zon_1", "zone/zon_1")
	})
	t.Run("deleted while nobody led", func(t *testing.T) {
		c := started(&zoneMaker{}, online)
		expect(t, "missing", c.Missing(), "?-zonekeys/zon_1", "?-zone/zon_1", "?-zonepart/zon_1/0", "?-zonepart/zon_1/1")
		expect(t, "missing again", c.Missing())
	})
	t.Run("handed over while nobody led", func(t *testing.T) {
		m := &zoneMaker{holder: "zon_2"}
		c := started(m, online)
		expect(t, "the new zone, not made yet", c.Apply(zoneEventOf("zon_2", resource.Put, 1)))
		expect(t, "missing", c.Missing())
		expect(t, "the deletion, which is seen again", c.Apply(zoneEvent(resource.Deleted, 1)))
		if !c.Keeps("zon_1") {
			t.Error("the old zone goes before the new one is there")
		}
		m.make(2, `"c"`)
		m.version.Head.ID = "zon_2"
		expect(t, "made", c.Apply(zoneEventOf("zon_2", resource.Status, 2)),
			"zonepart/zon_2/0", "zone/zon_2", "-zonekeys/zon_1", "-zone/zon_1", "-zonepart/zon_1/0", "-zonepart/zon_1/1")
	})
}

// The names of a zone's own name servers do not wait for its version: with another
// leader they would be gone meanwhile.
func TestNameServersDoNotWait(t *testing.T) {
	c := New(nil, edgeconfig.Platform{})
	c.SetZones(&zoneMaker{})
	e := zoneEvent(resource.Put, 1)
	e.Resource.Status = json.RawMessage(`{"serial":1,"name_servers":["ns1.example.com"]}`)
	if got := said(c.Apply(e)); !slices.Equal(got, []string{"platform/settings"}) {
		t.Errorf("%v", got)
	}
}
