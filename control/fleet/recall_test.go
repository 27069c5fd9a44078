package fleet_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/edgewright/edgewright/control/compile"
	"github.com/edgewright/edgewright/control/fleet"
	"github.com/edgewright/edgewright/control/fleet/fleettest"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/zones"
	"github.com/edgewright/edgewright/edgeconfig"
)

// making gives the versions of zones that were made in this term.
type making struct {
	mu       sync.Mutex
	versions map[string]zones.Version
	holder   string // of every apex
}

func (m *making) Version(id string, serial uint32) (zones.Version, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v := m.versions[id]
	return v, v.Head.SOA.Serial == serial
}

func (m *making) Successor(string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.holder
}

func (m *making) make(id string, serial uint32, parts int, v zones.Version) {
	v.Head = edgeconfig.Zone{ID: id, Name: "example.com", SOA: edgeconfig.SOA{Serial: serial}, Parts: parts}
	for i := range parts {
		body, _ := json.Marshal(edgeconfig.ZonePart{Zone: id, Part: i, Parts: parts})
		digest := edgeconfig.PartDigest(body)
		v.Head.Digests, v.Parts = append(v.Head.Digests, digest[:]...), append(v.Parts, body)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.versions[id] = v
}

// A change of leader takes nothing from edges that a zone still has, and leaves
// nothing that it has no more: parts, keys that edges sign with, checks, and the
// zone itself while it is handed over.
func TestZonesOverAChangeOfLeader(t *testing.T) {
	m := &making{versions: map[string]zones.Version{}}
	compiler := compile.New(nil, edgeconfig.Platform{})
	compiler.SetZones(m)
	f := start(t, fleettest.Options{Compiler: compiler, Change: func(o *fleet.Options) {
		quick(o)
		o.Kinds = []resource.Kind{zones.Kind}
	}})
	node := &fleettest.Node{}
	run(t, f, join(t, f, "one"), node, nil)
	ctx := context.Background()
	zone := func(project, name string) resource.Resource {
		done, err := f.Store.Commit(ctx, resource.Commit{Changes: []resource.Change{{
			Op: resource.Create, Kind: zones.Kind, ID: resource.NewID("zon"), Project: project, Environment: "production", Name: name, Spec: json.RawMessage(`{}`),
			Status: json.RawMessage(`{"serial":1}`),
		}}})
		if err != nil {
			t.Fatal(err)
		}
		return done.Resources[0]
	}
	serial := func(r resource.Resource, serial uint32) {
		if _, err := resource.ChangeStatus(ctx, f.Store, zones.Kind, r.ID, func(z *zones.Zone) bool {
			z.Status.Serial = serial
			return true
		}); err != nil {
			t.Fatal(err)
		}
	}
	holds := func() (keys []string) {
		for _, kind := range []string{edgeconfig.KindZone, edgeconfig.KindZonePart, edgeconfig.KindZoneKeys, edgeconfig.KindCheck} {
			keys = append(keys, node.KeysOf(kind)...)
		}
		return keys
	}
	resign := func() {
		if err := f.Resign(); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		compiler.Reset()
		m.mu.Lock()
		clear(m.versions)
		m.mu.Unlock()
	}
	// passed is true when the leader has caught up: another zone's change is there.
	other := zone("p", "example.net")
	passed := func(n uint32) {
		m.make(other.ID, n, 0, zones.Version{})
		serial(other, n)
		eventually(t, "another zone's change", func() bool {
			d, there := node.Document(edgeconfig.ZoneKey(other.ID))
			var head edgeconfig.Zone
			return there && json.Unmarshal(d.Body, &head) == nil && head.SOA.Serial == n
		})
	}
	a := zone("p", "example.com")
	check := func(id string) edgeconfig.Check { return edgeconfig.Check{ID: id, Type: "tcp", Target: "192.0.2.1:80"} }
	m.make(a.ID, 2, 2, zones.Version{Keys: []zones.OnlineKey{{Tag: 7, Algorithm: 13, DER: []byte("secret")}}, Checks: []edgeconfig.Check{check("one"), check("two")}})
	serial(a, 2)
	all := []string{"zone/" + a.ID, "zone/" + other.ID, "zonepart/" + a.ID + "/0", "zonepart/" + a.ID + "/1", "zonekeys/" + a.ID, "check/one", "check/two"}
	have := func(want ...string) bool {
		got := holds()
		slices.Sort(got)
		want = slices.Clone(want)
		slices.Sort(want)
		return slices.Equal(got, want)
	}
	passed(2)
	eventually(t, "all of the zone", func() bool { return have(all...) })

	// Denied otherwise, smaller and with a check less while nobody led.
	resign()
	f.Lead()
	passed(3)
	if !have(all...) {
		t.Fatalf("a zone that is not made yet has lost something: %v", holds())
	}
	m.make(a.ID, 3, 1, zones.Version{Checks: []edgeconfig.Check{check("two")}})
	serial(a, 3)
	rest := []string{"zone/" + a.ID, "zone/" + other.ID, "zonepart/" + a.ID + "/0", "check/two"}
	eventually(t, "what the zone has no more is gone", func() bool { return have(rest...) })

	// Handed over while nobody led.
	resign()
	if _, err := f.Store.Commit(ctx, resource.Commit{Changes: []resource.Change{{Op: resource.Delete, Kind: zones.Kind, ID: a.ID}}}); err != nil {
		t.Fatal(err)
	}
	b := zone("q", "example.com")
	m.holder = b.ID
	f.Lead()
	passed(4)
	if !have(rest...) {
		t.Fatalf("the zone went before its successor was there: %v", holds())
	}
	m.make(b.ID, 4, 1, zones.Version{})
	serial(b, 4)
	eventually(t, "the successor alone", func() bool { return have("zone/"+b.ID, "zone/"+other.ID, "zonepart/"+b.ID+"/0") })

	// Deleted while nobody led.
	resign()
	m.holder = ""
	if _, err := f.Store.Commit(ctx, resource.Commit{Changes: []resource.Change{{Op: resource.Delete, Kind: zones.Kind, ID: b.ID}}}); err != nil {
		t.Fatal(err)
	}
	f.Lead()
	eventually(t, "the other zone alone", func() bool { return have("zone/" + other.ID) })
}
