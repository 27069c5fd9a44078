package compile

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/zones"
	"github.com/edgewright/edgewright/edgeconfig"
)

func TestRegions(t *testing.T) {
	list := Regions([]edgeconfig.Region{{Name: "fra", Latitude: 1, Longitude: 2}, {Name: "cellar", Latitude: 3, Longitude: 4}})
	if err := edgeconfig.ValidatePlatform(&edgeconfig.Platform{Regions: list}); err != nil {
		t.Fatal(err)
	}
	seen := map[string]edgeconfig.Region{}
	for _, r := range list {
		if _, twice := seen[r.Name]; twice {
			t.Errorf("%s is there twice", r.Name)
		}
		seen[r.Name] = r
	}
	if seen["fra"].Latitude != 1 || seen["cellar"].Longitude != 4 || seen["iad"].Latitude != 38.9 || seen["eu-central-1"].Name == "" {
		t.Errorf("%+v", seen)
	}
}

// TestPlatformListsNameServers: names that zones have in themselves are told to
// edges, as long as the operator has named none.
func TestPlatformListsNameServers(t *testing.T) {
	m := &zoneMaker{}
	m.make(1, `"a"`)
	m.version.Checks = []edgeconfig.Check{{ID: "chk_1", Type: edgeconfig.CheckTCP, Target: "192.0.2.1:80"}}
	event := zoneEvent(resource.Status, 1)
	var st zones.Status
	if err := json.Unmarshal(event.Resource.Status, &st); err != nil {
		t.Fatal(err)
	}
	st.NameServers = []string{"ns1.example.com", "ns2.example.com"}
	event.Resource.Status, _ = json.Marshal(st)
	for _, test := range []struct {
		platform edgeconfig.Platform
		put, del []string
	}{
		{edgeconfig.Platform{}, []string{"platform/settings", "zonepart/zon_1/0", "check/chk_1", "zone/zon_1"}, []string{"platform/settings", "-zone/zon_1", "-check/chk_1", "-zonepart/zon_1/0"}},
		{edgeconfig.Platform{NameServers: []string{"ns1.example.net"}}, []string{"zonepart/zon_1/0", "check/chk_1", "zone/zon_1"}, []string{"-zone/zon_1", "-check/chk_1", "-zonepart/zon_1/0"}},
	} {
		c := New(nil, test.platform)
		c.SetZones(m)
		outputs := c.Apply(event)
		if got := said(outputs); !slices.Equal(got, test.put) {
			t.Errorf("%v, want %v", got, test.put)
		}
		if outputs[0].Key == "platform/settings" {
			var p edgeconfig.Platform
			if err := json.Unmarshal(outputs[0].Body, &p); err != nil || !slices.Equal(p.NameServers, st.NameServers) {
				t.Errorf("%+v, %v", p, err)
			}
		}
		if got := said(c.Apply(event)); !slices.Equal(got, []string{"zone/zon_1"}) {
			t.Errorf("again: %v", got)
		}
		if got := said(c.Apply(zoneEvent(resource.Deleted, 1))); !slices.Equal(got, test.del) {
			t.Errorf("gone: %v, want %v", got, test.del)
		}
	}
}
