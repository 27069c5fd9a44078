package compile

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/zones"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/secrets"
)

// zoneMaker gives one version of every zone.
type zoneMaker struct {
	version zones.Version
	holder  string // of every apex
}

func (m *zoneMaker) Successor(string) string { return m.holder }

func (m *zoneMaker) Version(_ string, serial uint32) (zones.Version, bool) {
	return m.version, m.version.Head.SOA.Serial == serial
}

func (m *zoneMaker) make(serial uint32, bodies ...string) {
	m.version = zones.Version{Head: edgeconfig.Zone{ID: "zon_1", SOA: edgeconfig.SOA{Serial: serial}, Parts: len(bodies)}}
	for _, b := range bodies {
		digest := edgeconfig.PartDigest([]byte(b))
		m.version.Head.Digests = append(m.version.Head.Digests, digest[:]...)
		m.version.Parts = append(m.version.Parts, []byte(b))
	}
}

func zoneEvent(typ resource.EventType, serial uint32, conditions ...resource.Condition) resource.Event {
	return zoneEventOf("zon_1", typ, serial, conditions...)
}

func zoneEventOf(id string, typ resource.EventType, serial uint32, conditions ...resource.Condition) resource.Event {
	status, _ := json.Marshal(zones.Status{Serial: serial, Conditions: conditions})
	return resource.Event{Type: typ, Resource: resource.Resource{
		Meta: resource.Meta{Kind: zones.Kind, ID: id, Project: "p", Environment: "production", Name: "example.com"}, Spec: json.RawMessage(`{}`), Status: status,
	}}
}

// said lists the keys of outputs, "-" before what goes.
func said(outputs []Output) (keys []string) {
	for _, o := range outputs {
		key := o.Key
		if o.Deleted {
			if key = "-" + key; !o.Asked {
				key = "?" + key
			}
		}
		keys = append(keys, key)
	}
	return keys
}

func TestZonesMoveOnlyWhatChanged(t *testing.T) {
	m := &zoneMaker{}
	c := New(nil, edgeconfig.Platform{})
	c.SetZones(m)
	held := resource.Condition{Type: zones.Served, Status: resource.False, Reason: "Held"}
	for i, step := range []struct {
		prepare func()
		event   resource.Event
		want    []string
		problem bool
	}{
		{func() {}, zoneEvent(resource.Put, 0), nil, true}, // nothing is made yet: what is published stays
		{func() { m.make(1, `"a"`, `"b"`) }, zoneEvent(resource.Status, 1), []string{"zonepart/zon_1/0", "zonepart/zon_1/1", "zone/zon_1"}, false},
		{func() { m.make(2, `"a"`, `"c"`) }, zoneEvent(resource.Status, 1), nil, true}, // a newer one is made, its status follows
		{func() {}, zoneEvent(resource.Status, 2), []string{"zonepart/zon_1/1", "zone/zon_1"}, false},
		{func() { m.make(3, `"d"`) }, zoneEvent(resource.Status, 3), []string{"zonepart/zon_1/0", "zone/zon_1", "-zonepart/zon_1/1"}, false},
		{func() {}, zoneEvent(resource.Status, 0, held), []string{"-zone/zon_1", "-zonepart/zon_1/0"}, false},
		{func() { m.make(4, `"d"`) }, zoneEvent(resource.Status, 4), []string{"zonepart/zon_1/0", "zone/zon_1"}, false},
		{func() {}, zoneEvent(resource.Deleted, 4), []string{"-zone/zon_1", "-zonepart/zon_1/0"}, false},
	} {
		step.prepare()
		if got := said(c.Apply(step.event)); !slices.Equal(got, step.want) {
			t.Errorf("step %d: %v, want %v", i, got, step.want)
		}
		if _, problem := c.Problems()["zon_1"]; problem != step.problem {
			t.Errorf("step %d: problems %v", i, c.Problems())
		}
	}
}

// The keys that edges sign with go before the head that needs them, sealed with
// the group's key, and anew when that is another.
func TestKeysOfZonesAreSealed(t *testing.T) {
	m := &zoneMaker{}
	c := New(nil, edgeconfig.Platform{})
	c.SetZones(m)
	c.SetGroupKey("g1", [32]byte{1})
	m.make(1, `"a"`)
	m.version.Keys = []zones.OnlineKey{{Tag: 7, Algorithm: 13, DER: []byte("secret")}}
	outputs := c.Apply(zoneEvent(resource.Put, 1))
	if got := said(outputs); !slices.Equal(got, []string{"zonepart/zon_1/0", "zonekeys/zon_1", "zone/zon_1"}) {
		t.Fatalf("%v", got)
	}
	opens := func(o Output, group string, key [32]byte) {
		t.Helper()
		var k edgeconfig.ZoneKeys
		if err := json.Unmarshal(o.Body, &k); err != nil {
			t.Fatal(err)
		}
		if err := edgeconfig.ValidateZoneKeys(&k); err != nil || k.KeyGroup != group || k.Keys[0].Tag != 7 {
			t.Fatalf("%+v, %v", k, err)
		}
		if plain, err := secrets.OpenFor(key, edgeconfig.ZoneKeysContext("zon_1", 7), k.Keys[0].Sealed); err != nil || string(plain) != "secret" {
			t.Errorf("%q, %v", plain, err)
		}
	}
	opens(outputs[1], "g1", [32]byte{1})
	m.version.Head.SOA.Serial = 2
	if got := said(c.Apply(zoneEvent(resource.Status, 2))); !slices.Equal(got, []string{"zone/zon_1"}) {
		t.Errorf("the same keys again: %v", got)
	}
	outputs = c.SetGroupKey("g2", [32]byte{2})
	opens(outputs[len(outputs)-1], "g2", [32]byte{2})
	m.version.Head.SOA.Serial, m.version.Keys = 3, nil
	if got := said(c.Apply(zoneEvent(resource.Status, 3))); !slices.Equal(got, []string{"-zonekeys/zon_1", "zone/zon_1"}) {
		t.Errorf("denied otherwise: %v", got)
	}
}

// A zone that goes to another project stays with the edges until it is made there.
func TestZonesAreHandedOver(t *testing.T) {
	for name, test := range map[string]struct {
		then resource.Event // of the new zone
		want []string
	}{
		"made":    {zoneEventOf("zon_2", resource.Status, 2), []string{"zonepart/zon_2/0", "zone/zon_2", "-zone/zon_1", "-zonepart/zon_1/0", "-zonepart/zon_1/1"}},
		"deleted": {zoneEventOf("zon_2", resource.Deleted, 1), []string{"-zone/zon_2", "-zone/zon_1", "-zonepart/zon_1/0", "-zonepart/zon_1/1"}},
		"held": {
			zoneEventOf("zon_2", resource.Status, 0, resource.Condition{Type: zones.Served, Status: resource.False, Reason: "Held"}),
			[]string{"-zone/zon_2", "-zone/zon_1", "-zonepart/zon_1/0", "-zonepart/zon_1/1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := &zoneMaker{}
			c := New(nil, edgeconfig.Platform{})
			c.SetZones(m)
			m.make(1, `"a"`, `"b"`)
			c.Apply(zoneEvent(resource.Put, 1))
			m.version = zones.Version{} // the old one's is forgotten before the new one's is made
			m.holder = "zon_2"
			if got := said(c.Apply(zoneEvent(resource.Deleted, 1))); got != nil || !c.Keeps("zon_1") {
				t.Errorf("the old zone goes: %v", got)
			}
			if got := said(c.Apply(zoneEventOf("zon_2", resource.Put, 1))); got != nil {
				t.Errorf("the new zone, not made yet: %v", got)
			}
			m.make(2, `"c"`)
			m.version.Head.ID = "zon_2"
			if test.then.Type == resource.Deleted {
				m.holder = ""
			}
			if got := said(c.Apply(test.then)); !slices.Equal(got, test.want) || c.Keeps("zon_1") {
				t.Errorf("%v, want %v", got, test.want)
			}
			if got := said(c.Apply(zoneEventOf("zon_2", resource.Deleted, 2))); slices.Contains(got, "-zone/zon_1") {
				t.Errorf("it goes twice: %v", got)
			}
		})
	}
}
