package compile

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/zones"
	"github.com/edgewright/edgewright/edgeconfig"
)

// zoneMaker gives one version of every zone.
type zoneMaker struct{ version zones.Version }

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
	status, _ := json.Marshal(zones.Status{Serial: serial, Conditions: conditions})
	return resource.Event{Type: typ, Resource: resource.Resource{
		Meta: resource.Meta{Kind: zones.Kind, ID: "zon_1", Project: "p", Environment: "production", Name: "example.com"}, Spec: json.RawMessage(`{}`), Status: status,
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
