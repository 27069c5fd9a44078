package zones_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/edgewright/edgewright/control/zones"
	"github.com/edgewright/edgewright/fault"
)

// A DNAME has nothing below it, and stands beside anything but a CNAME and, save
// at the apex, NS.
func TestWhatADNAMEHides(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ensure("p", "example.com")
	w.set("example.com", "a.full", "A", "192.0.2.1")
	w.set("example.com", `dot\.full`, "A", "192.0.2.1")
	w.set("example.com", "cut", "NS", "ns.example.net.")
	w.set("example.com", "alias", "CNAME", "a.full")
	w.set("example.com", "old", "DNAME", "new")
	w.set("example.com", "old", "TXT", `"beside"`)
	raw := func(spec zones.RRsetSpec) json.RawMessage {
		b, err := json.Marshal(spec)
		ok(t, err)
		return b
	}
	for _, c := range []struct{ name, typ, value, pointer, detail string }{
		{"full", "DNAME", "new", "name", "where a.full.example.com A is"},
		{"@", "DNAME", "example.net.", "name", "where"},
		{"cut", "DNAME", "new", "type", "delegated and redirected"},
		{"alias", "DNAME", "new", "type", "stands alone"},
		{"old", "NS", "ns.example.net.", "type", "delegated and redirected"},
		{"old", "CNAME", "new", "type", "has DNAME records"},
		{"a.old", "A", "192.0.2.1", "name", "everything below old.example.com is redirected"},
		{"*.b.old", "TXT", "x", "name", "everything below old.example.com is redirected"},
		{"c.old", "DNAME", "new", "name", "everything below old.example.com is redirected"},
	} {
		set := zones.Set{Name: c.name, Type: c.typ, Spec: raw(zones.RRsetSpec{Values: []string{c.value}})}
		_, one := w.room.PlanSetRRset(t.Context(), "p", "production", "example.com", set, true, 0)
		_, many := w.room.PlanEdit(t.Context(), "p", "production", "example.com", zones.Edit{Sets: []zones.Set{set}})
		for how, err := range map[string]error{"/": one, "/records/0/": many} {
			var f *fault.Error
			if !errors.As(err, &f) || len(f.Fields) == 0 || !strings.HasPrefix(f.Fields[0].Pointer, how) || !strings.Contains(err.Error(), c.detail) && !(c.typ == "CNAME" || c.name == "alias") || f.Fields[0].Fix == "" {
				t.Errorf("%s %s at %s: %v", c.name, c.typ, how, err)
			} else if how == "/" && f.Fields[0].Pointer != how+c.pointer {
				t.Errorf("%s %s: at %s, want %s", c.name, c.typ, f.Fields[0].Pointer, how+c.pointer)
			}
		}
	}
	// A label with a dot in it is not below.
	w.set("example.com", `x\.old`, "A", "192.0.2.1")
	w.settle()
	z := w.zone("example.com")
	v, made := w.room.Version(z.ID, z.Status.Serial)
	if !made {
		t.Fatalf("%+v", z.Status.Conditions)
	}
	if got := lines(text(t, v), "old.example.com.", "DNAME"); len(got) != 1 || !strings.HasSuffix(got[0], "new.example.com.") {
		t.Errorf("the version has %v", got)
	}
}

// A DNAME is imported and exported as it is, and what a file has below it is
// refused by its line.
func TestDNAMEInZoneFiles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ensure("p", "example.com")
	report, err := w.room.Import(t.Context(), "p", "production", "example.com", "old 300 IN DNAME new\nold 300 IN A 192.0.2.1\n", false, false, false, cause)
	ok(t, err)
	if report.Created != 2 || len(report.Skipped) > 0 {
		t.Errorf("%+v", report)
	}
	var out strings.Builder
	ok(t, w.room.Export(t.Context(), "p", "production", "example.com", &out))
	if !strings.Contains(out.String(), "old 300 IN DNAME new") {
		t.Errorf("exported as\n%s", out.String())
	}
	if _, err := w.room.Import(t.Context(), "p", "production", "example.com", "b 300 IN DNAME new\nx.b 300 IN A 192.0.2.1\n", false, false, false, cause); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "redirect") {
		t.Errorf("a name below a DNAME: %v", err)
	}
}
