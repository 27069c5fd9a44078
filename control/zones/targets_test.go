package zones_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/zones"
)

// What would be kept and never be answered is said when it is written.
func TestRecordsThatNobodyWouldGet(t *testing.T) {
	w := newWorld(t)
	w.ensure("p", "example.com")
	w.set("example.com", "sub", "NS", "ns.example.net.")
	w.room.Places = w
	at := func(kind, id string) zones.RRsetSpec {
		return zones.RRsetSpec{Target: &zones.Target{Kind: kind, ID: id}}
	}
	steered := func(id string) zones.RRsetSpec {
		return zones.RRsetSpec{Values: []string{"192.0.2.1"}, Steering: &zones.Steering{Answers: []zones.Answer{{Target: &zones.Target{Kind: zones.TargetRegion, ID: id}}}}}
	}
	for _, c := range []struct {
		name, typ string
		spec      zones.RRsetSpec
		warning   string
	}{
		{"deep.sub", "TXT", zones.RRsetSpec{Values: []string{"x"}}, "sub.example.com is delegated"},
		{"ns.sub", "A", zones.RRsetSpec{Values: []string{"192.0.2.1"}}, ""}, // glue
		{"one", "A", at(zones.TargetEdge, "edge_3"), "the edge edge_3, and no edge there"},
		{"one", "A", at(zones.TargetEdge, "edge_2"), ""},
		{"one", "A", at(zones.TargetEdge, "iad-1"), ""},
		{"one", "A", at(zones.TargetRegion, "frankfurt"), "the region frankfurt, and no edge there"},
		{"one", "A", at(zones.TargetRegion, "fra"), ""},
		{"one", "A", steered("sin"), "the region sin, and no edge there"},
		{"one", "A", steered("fra"), ""},
	} {
		raw, err := json.Marshal(c.spec)
		ok(t, err)
		set := zones.Set{Name: c.name, Type: c.typ, Spec: raw}
		one, err := w.room.PlanSetRRset(t.Context(), "p", "production", "example.com", set, true, 0)
		ok(t, err)
		many, err := w.room.PlanEdit(t.Context(), "p", "production", "example.com", zones.Edit{Sets: []zones.Set{set}})
		ok(t, err)
		for _, p := range []resource.Plan{one, many} {
			if said := strings.Join(p.Warnings, "; "); (said == "") != (c.warning == "") || !strings.Contains(said, c.warning) {
				t.Errorf("%s %s %+v: %q, want %q", c.name, c.typ, c.spec.Target, said, c.warning)
			}
		}
	}
}
