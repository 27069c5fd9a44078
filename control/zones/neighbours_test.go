package zones_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/zones"
	"github.com/edgewright/edgewright/fault"
)

// A plan whose result would hold sets that cannot be there together is refused as
// the records API refuses them, and says where both are declared.
func TestPlansOfSetsThatCannotBeTogether(t *testing.T) {
	ctx := context.Background()
	values := map[string]string{
		"A": "192.0.2.1", "CNAME": "elsewhere.example.", "DNAME": "elsewhere.example.", "NS": "ns.example.", "TXT": `"x"`, "MX": "10 mail.example.",
		"DS": "12345 13 2 49FD46E6C4B45C55D4AC49FD46E6C4B45C55D4AC49FD46E6C4B45C55D4AC49FD",
	}
	declared := func(names ...string) (list []resource.Declared) {
		for _, name := range names {
			_, typ, _, err := zones.ParseRRsetName(name + "@example.com")
			ok(t, err)
			spec, err := json.Marshal(zones.RRsetSpec{Values: []string{values[typ]}})
			ok(t, err)
			list = append(list, resource.Declared{Kind: zones.KindRRset, Name: name + "@example.com", Spec: spec})
		}
		return list
	}
	for name, test := range map[string]struct {
		there   string // sets, by blanks
		declare string // after the zone, which is /resources/0
		prune   bool
		want    []string // pointer: part of the detail; none: planned
	}{
		"a CNAME beside others":                 {"", "www/A www/CNAME", false, []string{"/resources/1/name: the other is www/CNAME@example.com, at /resources/2/name", "/resources/2/name: the other is www/A@example.com, at /resources/1/name"}},
		"a CNAME beside what is there":          {"www/TXT", "www/CNAME", false, []string{"/resources/1/name: the other is www/TXT@example.com, which is there already"}},
		"beside a CNAME that is there":          {"www/CNAME", "www/MX", false, []string{"/resources/1/name: www.example.com would have a CNAME and MX records"}},
		"a CNAME in the place of what is there": {"www/TXT", "www/CNAME", true, nil},
		"a DNAME over what is below it":         {"", "old/DNAME a.b.old/A", false, []string{"/resources/1/name: the other is a.b.old/A@example.com, at /resources/2/name", "/resources/2/name: the other is old/DNAME@example.com, at /resources/1/name"}},
		"below a DNAME that is there":           {"old/DNAME", "a.old/A", false, []string{"/resources/1/name: everything below old.example.com is redirected"}},
		"a DNAME over what is there":            {"a.old/A", "old/DNAME", false, []string{"/resources/1/name: the other is a.old/A@example.com, which is there already"}},
		"a DNAME over what goes":                {"a.old/A", "old/DNAME", true, nil},
		"a DNAME beside an address":             {"", "old/DNAME old/A", false, nil},
		"a DNAME at a delegation":               {"", "old/DNAME old/NS", false, []string{"/resources/1/name: delegated and redirected", "/resources/2/name: delegated and redirected"}},
		"a DS without a delegation":             {"", "sub/DS", false, []string{"/resources/1/name: is not delegated"}},
		"a DS with its delegation":              {"", "sub/DS sub/NS", false, nil},
		"a DS whose delegation goes":            {"sub/NS sub/DS", "sub/DS", true, []string{"/resources/1/name: is not delegated"}},
		"a delegation that goes whole":          {"sub/NS sub/DS", "www/A", true, nil},
		"the same again":                        {"www/A old/DNAME", "www/A old/DNAME", false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.ensure("p", "example.com")
			zone := []resource.Declared{{Kind: zones.Kind, Name: "example.com"}}
			types := resource.Types{}.With(w.room.Types()...)
			plan := func(sets string, prune bool) (resource.Plan, error) {
				return resource.PlanApply(ctx, w.db, types, resource.Desired{Project: "p", Environment: "production", Prune: prune, Resources: append(zone, declared(strings.Fields(sets)...)...)})
			}
			first, err := plan(test.there, false)
			ok(t, err)
			_, err = w.db.Commit(ctx, first.Commit(cause))
			ok(t, err)
			second, err := plan(test.declare, test.prune)
			if len(test.want) == 0 {
				ok(t, err)
				ok(t, resource.CheckHeld(ctx, types, second))
				return
			}
			var f *fault.Error
			if !errors.As(err, &f) || f.Code != fault.Invalid || len(f.Fields) != len(test.want) {
				t.Fatalf("%v, want %q", err, test.want)
			}
			for i, want := range test.want {
				pointer, detail, _ := strings.Cut(want, ": ")
				if got := f.Fields[i]; got.Pointer != pointer || !strings.Contains(got.Detail, detail) || got.Fix == "" {
					t.Errorf("%+v, want %s", got, want)
				}
			}
		})
	}
}

// What was set after a plan was made stands in its way too, and so does what a
// revision brings back.
func TestSetsThatCameAfterThePlan(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	w.ensure("p", "example.com")
	types := resource.Types{}.With(w.room.Types()...)
	plan, err := resource.PlanApply(ctx, w.db, types, resource.Desired{Project: "p", Environment: "production", Resources: []resource.Declared{
		{Kind: zones.Kind, Name: "example.com"}, {Kind: zones.KindRRset, Name: "www/CNAME@example.com", Spec: json.RawMessage(`{"values":["elsewhere.example."]}`)},
	}})
	ok(t, err)
	w.set("example.com", "www", "A", "192.0.2.1")
	refused := func(err error) {
		t.Helper()
		if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "www.example.com would have a CNAME and A records") {
			t.Errorf("%v", err)
		}
	}
	refused(resource.CheckHeld(ctx, types, plan))

	sets, _, err := w.room.ListRRsets(ctx, "p", "production", "example.com", 10, "")
	ok(t, err)
	deletion, err := w.room.PlanDeleteRRset(ctx, "p", "production", "example.com", sets[0].ID, 0)
	ok(t, err)
	done, err := w.db.Commit(ctx, deletion.Commit(cause))
	ok(t, err)
	w.set("example.com", "www", "CNAME", "elsewhere.example.")
	_, err = resource.PlanRevert(ctx, w.db, types, done.Revision)
	refused(err)
}

// Records of a copy are its primaries', whoever plans them.
func TestPlansForACopiedZone(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	types := resource.Types{}.With(w.room.Types()...)
	plan := func(zone string) error {
		_, err := resource.PlanApply(ctx, w.db, types, resource.Desired{Project: "p", Environment: "production", Resources: []resource.Declared{
			{Kind: zones.Kind, Name: "example.com", Spec: json.RawMessage(zone)}, {Kind: zones.KindRRset, Name: "www/A@example.com", Spec: json.RawMessage(`{"values":["192.0.2.1"]}`)},
		}})
		return err
	}
	const copied = `{"secondary":{"primaries":[{"address":"192.0.2.53"}]}}`
	refused := func(err error) {
		t.Helper()
		if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "192.0.2.53") || !strings.Contains(err.Error(), "dns transfers in example.com --off") {
			t.Errorf("%v", err)
		}
	}
	refused(plan(copied)) // both are new
	w.ensure("p", "example.com")
	w.configure("example.com", copied)
	refused(plan(copied))
	ok(t, plan(`{}`)) // it is one no more
}
