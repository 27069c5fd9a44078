package resource_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/store"
	"github.com/edgewright/edgewright/control/store/storetest"
	"github.com/edgewright/edgewright/fault"
)

// siteSpec and originSpec are specs of two kinds made for these tests: a site
// refers to an origin by name.
type siteSpec struct {
	Origin   string `json:"origin,omitempty"`
	Fallback string `json:"fallback,omitempty"` // may be missing
	TTL      int    `json:"ttl"`
	Made     bool   `json:"made,omitempty"` // by the platform
}

func types() resource.Types {
	strict := func(spec json.RawMessage, into any) error {
		d := json.NewDecoder(strings.NewReader(string(spec)))
		d.DisallowUnknownFields()
		if err := d.Decode(into); err != nil {
			return fault.InvalidField("/", err.Error(), "")
		}
		return nil
	}
	return resource.Types{
		{
			Kind: "origin", Prefix: "org", Scope: resource.ScopeEnvironment,
			Normalize: func(_ string, spec json.RawMessage) (json.RawMessage, error) {
				var o struct {
					Port int `json:"port"`
				}
				if err := strict(spec, &o); err != nil {
					return nil, err
				}
				if o.Port == 0 {
					o.Port = 80
				}
				return json.Marshal(o)
			},
		},
		{
			Kind: "site", Prefix: "ste", Scope: resource.ScopeEnvironment,
			CanonicalName: func(name string) (string, error) {
				if strings.Contains(name, "!") {
					return "", fault.InvalidField("", "a name has no exclamation mark", "remove it")
				}
				return strings.ToLower(name), nil
			},
			Normalize: func(_ string, spec json.RawMessage) (json.RawMessage, error) {
				var s siteSpec
				if err := strict(spec, &s); err != nil {
					return nil, err
				}
				if s.TTL < 0 {
					return nil, fault.InvalidField("/ttl", "is negative", "use 0 or more seconds")
				}
				return json.Marshal(s)
			},
			References: func(spec json.RawMessage) (refs []resource.Reference) {
				var s siteSpec
				if json.Unmarshal(spec, &s) != nil {
					return nil
				}
				if s.Origin != "" {
					refs = append(refs, resource.Reference{Kind: "origin", Name: s.Origin})
				}
				if s.Fallback != "" {
					refs = append(refs, resource.Reference{Kind: "origin", Name: s.Fallback, Optional: true})
				}
				return refs
			},
			Derived: func(spec json.RawMessage) bool {
				var s siteSpec
				return json.Unmarshal(spec, &s) == nil && s.Made
			},
			Tuned: func(_ string, spec json.RawMessage) bool {
				var s siteSpec
				return json.Unmarshal(spec, &s) == nil && s.TTL > 0
			},
		},
		{
			Kind: "edge", Prefix: "edge", Scope: resource.ScopePlatform,
			Normalize: func(_ string, spec json.RawMessage) (json.RawMessage, error) { return spec, nil },
		},
	}
}

func declared(kind, name, spec string) resource.Declared {
	return resource.Declared{Kind: resource.Kind(kind), Name: name, Spec: json.RawMessage(spec)}
}

var cause = resource.Cause{Actor: "user usr_1", Via: "plan"}

// fixture is a store with one project and environment to plan in.
type fixture struct {
	db      *store.DB
	project string
}

func (f fixture) desired(prune bool, resources ...resource.Declared) resource.Desired {
	return resource.Desired{Project: f.project, Environment: "production", Resources: resources, Prune: prune}
}

func (f fixture) plan(t rapid.TB, prune bool, resources ...resource.Declared) resource.Plan {
	t.Helper()
	plan, err := resource.PlanApply(context.Background(), f.db, types(), f.desired(prune, resources...))
	if err != nil {
		t.Fatalf("planning: %v", err)
	}
	return plan
}

func (f fixture) apply(t rapid.TB, plan resource.Plan) int64 {
	t.Helper()
	done, err := f.db.Commit(context.Background(), plan.Commit(cause))
	if err != nil {
		t.Fatalf("applying: %v", err)
	}
	return done.Revision
}

// state returns the specs of the environment by kind, name and ID.
func (f fixture) state(t rapid.TB) map[string]string {
	t.Helper()
	page, err := f.db.List(context.Background(), resource.Query{Project: f.project, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	state := map[string]string{}
	for _, r := range page.Items {
		state[fmt.Sprint(r.Kind, " ", r.Name, " ", r.ID)] = string(r.Spec)
	}
	return state
}

func summary(plan resource.Plan) (lines []string) {
	for _, a := range plan.Actions {
		lines = append(lines, fmt.Sprint(a.Op, " ", a.Kind, " ", a.Name))
	}
	return lines
}

func wantCode(t *testing.T, err error, code fault.Code, says string) {
	t.Helper()
	var coded *fault.Error
	text := fmt.Sprint(err)
	if errors.As(err, &coded) {
		text += fmt.Sprint(coded.Fields)
	}
	if fault.CodeOf(err) != code || !strings.Contains(text, says) {
		t.Fatalf("error is %q (%s), want %s and %q", text, fault.CodeOf(err), code, says)
	}
}

func TestPlanApply(t *testing.T) {
	f := fixture{storetest.SQLite(t), "p"}
	plan := f.plan(t, false,
		declared("site", "Shop", `{"origin":"app","fallback":"spare"}`),
		declared("origin", "app", ``),
	)
	if want := []string{"create origin app", "create site shop"}; !slices.Equal(summary(plan), want) {
		t.Fatalf("plan is %v, want %v", summary(plan), want)
	}
	if len(plan.Warnings) != 1 || !strings.Contains(plan.Warnings[0], "origin spare, which does not exist yet") {
		t.Fatalf("warnings are %q", plan.Warnings)
	}
	if d := cmp.Diff([]resource.FieldChange{{Pointer: "/port", After: json.RawMessage("80")}}, plan.Actions[0].Diff); d != "" {
		t.Fatal(d)
	}
	f.apply(t, plan)

	// What the declaration leaves out stays, unless pruned.
	change := []resource.Declared{declared("site", "shop", `{"ttl":5}`)}
	plan = f.plan(t, false, change...)
	if want := []string{"update site shop"}; !slices.Equal(summary(plan), want) || plan.Actions[0].IfRevision == 0 {
		t.Fatalf("plan is %v, want %v: %+v", summary(plan), want, plan.Actions)
	}
	plan = f.plan(t, true, change...)
	if want := []string{"update site shop", "delete origin app"}; !slices.Equal(summary(plan), want) {
		t.Fatalf("plan is %v, want %v", summary(plan), want)
	}
	f.apply(t, plan)
	if plan = f.plan(t, true, change...); !plan.Empty() {
		t.Fatalf("applied, and still %v", summary(plan))
	}

	// Deletions: who refers goes before what is referred to. What the platform
	// made stays.
	f.apply(t, f.plan(t, false, declared("origin", "app", `{}`), declared("site", "shop", `{"origin":"app"}`), declared("site", "auto", `{"made":true}`)))
	plan = f.plan(t, true)
	if want := []string{"delete site shop", "delete origin app"}; !slices.Equal(summary(plan), want) {
		t.Fatalf("plan is %v, want %v", summary(plan), want)
	}
}

func TestPlanApplyRefusals(t *testing.T) {
	f := fixture{storetest.SQLite(t), "p"}
	f.apply(t, f.plan(t, false, declared("origin", "app", `{}`), declared("site", "shop", `{"origin":"app"}`)))
	ctx := context.Background()
	for _, c := range []struct {
		name  string
		prune bool
		list  []resource.Declared
		code  fault.Code
		says  string
	}{
		{"unknown kind", false, []resource.Declared{declared("Sites", "a", `{}`)}, fault.Invalid, `write "site"`},
		{"very unknown kind", false, []resource.Declared{declared("x", "a", `{}`)}, fault.Invalid, "use one of: origin, site"},
		{"platform kind", false, []resource.Declared{declared("edge", "a", `{}`)}, fault.Invalid, "belongs to the platform"},
		{"no name", false, []resource.Declared{declared("site", "", `{}`)}, fault.Invalid, "/resources/0/name"},
		{"bad name", false, []resource.Declared{declared("site", "a!", `{}`)}, fault.Invalid, "{/resources/0/name a name has no"},
		{"declared twice", false, []resource.Declared{declared("site", "A", `{}`), declared("site", "a", `{}`)}, fault.Invalid, "/resources/1/name"},
		{"bad spec", false, []resource.Declared{declared("site", "a", `{}`), declared("site", "b", `{"ttl":-1}`)}, fault.Invalid, "{/resources/1/spec/ttl is negative"},
		{"several at once", false, []resource.Declared{declared("site", "a", `{"ttl":-1}`), declared("site", "b", `{"ttl":-1}`)}, fault.Invalid, "and 1 more"},
		{"dangling reference", false, []resource.Declared{declared("site", "a", `{"origin":"none"}`)}, fault.Invalid, "site a: refers to the origin none"},
		{"deletes what is in use", true, []resource.Declared{declared("site", "shop", `{"origin":"app"}`)}, fault.Conflict, "origin app: is still used by site shop"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := resource.PlanApply(ctx, f.db, types(), f.desired(c.prune, c.list...))
			wantCode(t, err, c.code, c.says)
		})
	}
}

func TestStalePlanIsRefusedWhole(t *testing.T) {
	f := fixture{storetest.SQLite(t), "p"}
	f.apply(t, f.plan(t, false, declared("origin", "app", `{}`)))
	plan := f.plan(t, false, declared("origin", "app", `{"port":8080}`), declared("origin", "new", `{}`))
	f.apply(t, f.plan(t, false, declared("origin", "app", `{"port":9090}`)))
	before := f.state(t)
	_, err := f.db.Commit(context.Background(), plan.Commit(cause))
	wantCode(t, err, fault.Stale, "origin app")
	if d := cmp.Diff(before, f.state(t)); d != "" {
		t.Fatalf("a stale plan changed something:\n%s", d)
	}
}

func TestStoredPlanIsAppliedOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		f := fixture{db, "p"}
		plan := f.plan(t, false, declared("origin", "app", `{}`))
		if err := db.PutPlan(ctx, plan); err != nil {
			t.Fatal(err)
		}
		wantCode(t, db.PutPlan(ctx, plan), fault.Conflict, "stored already")
		stored, err := db.Plan(ctx, plan.ID)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(plan, stored); d != "" {
			t.Fatalf("stored differently:\n%s", d)
		}
		revision := f.apply(t, stored)
		stored, err = db.Plan(ctx, plan.ID)
		if err != nil || stored.AppliedRevision != revision {
			t.Fatalf("applied as %d, stored as %d, %v", revision, stored.AppliedRevision, err)
		}
		_, err = db.Commit(ctx, plan.Commit(cause))
		wantCode(t, err, fault.Conflict, "was applied already")
		if err := db.MarkApplied(ctx, plan.ID, revision); err != nil {
			t.Fatalf("marking again: %v", err)
		}
		wantCode(t, db.MarkApplied(ctx, plan.ID, revision+1), fault.Conflict, "was applied already")
		wantCode(t, db.MarkApplied(ctx, "plan_none", 1), fault.NotFound, "plan_none")
		_, err = db.Plan(ctx, "plan_none")
		wantCode(t, err, fault.NotFound, "plan_none")
	})
}

func TestPlanRevert(t *testing.T) {
	ctx := context.Background()
	f := fixture{storetest.SQLite(t), "p"}
	revert := func(revision int64) (resource.Plan, error) { return resource.PlanRevert(ctx, f.db, types(), revision) }

	created := f.apply(t, f.plan(t, false, declared("origin", "app", `{}`)))
	used := f.apply(t, f.plan(t, false, declared("site", "shop", `{"origin":"app"}`)))
	_, err := revert(created)
	wantCode(t, err, fault.Conflict, "origin app: is still used by site shop")
	_, err = revert(9999)
	wantCode(t, err, fault.NotFound, "9999")

	changed := f.apply(t, f.plan(t, false, declared("site", "shop", `{"origin":"app","ttl":5}`)))
	_, err = revert(used)
	wantCode(t, err, fault.Conflict, fmt.Sprintf("was changed since, by revision %d", changed))
	restore, err := resource.PlanRestore(ctx, f.db, types(), used)
	if err != nil || !slices.Equal(summary(restore), []string{"delete site shop"}) {
		t.Fatalf("restore is %v, %v", summary(restore), err)
	}

	before := f.state(t)
	deleted := f.apply(t, f.plan(t, true))
	if len(f.state(t)) != 0 {
		t.Fatalf("left: %v", f.state(t))
	}
	// The name of what was deleted may be taken by now.
	other := f.apply(t, f.plan(t, false, declared("origin", "app", `{}`)))
	_, err = revert(deleted)
	wantCode(t, err, fault.Conflict, "another one has this name now")
	plan, err := revert(other)
	if err != nil {
		t.Fatal(err)
	}
	if plan.Reason != fmt.Sprintf("revert of revision %d", other) || plan.Project != "p" || plan.Environment != "production" {
		t.Fatalf("plan is %+v", plan)
	}
	f.apply(t, plan)
	_, err = revert(other)
	wantCode(t, err, fault.Conflict, "was deleted since")
	if plan, err = revert(deleted); err != nil {
		t.Fatal(err)
	}
	f.apply(t, plan)
	if d := cmp.Diff(before, f.state(t)); d != "" {
		t.Fatalf("reverting the deletion did not bring everything back:\n%s", d)
	}
}

func TestPlanRollback(t *testing.T) {
	ctx := context.Background()
	f := fixture{storetest.SQLite(t), "p"}
	f.apply(t, f.plan(t, false, declared("origin", "app", `{}`), declared("site", "shop", `{"origin":"app"}`), declared("site", "taken", `{"made":true}`)))
	then := f.apply(t, f.plan(t, false, declared("site", "shop", `{"origin":"app","ttl":5}`)))
	before := f.state(t)
	f.apply(t, f.plan(t, true, declared("origin", "app2", `{}`), declared("site", "shop", `{"origin":"app2"}`)))
	f.apply(t, f.plan(t, false, declared("site", "blog", `{}`), declared("site", "auto", `{"made":true}`)))
	f.apply(t, f.plan(t, false, declared("site", "taken", `{"ttl":7}`))) // somebody declares what the platform had made
	rename, err := f.db.List(ctx, resource.Query{Kind: "site", Name: "blog"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.db.Commit(ctx, resource.Commit{Changes: []resource.Change{{Op: resource.Update, Kind: "site", ID: rename.Items[0].ID, Name: "notes", Spec: rename.Items[0].Spec}}, Cause: cause}); err != nil {
		t.Fatal(err)
	}

	plan, err := resource.PlanRollback(ctx, f.db, types(), "p", "production", then)
	if err != nil {
		t.Fatal(err)
	}
	f.apply(t, plan)
	after := f.state(t)
	for key := range after {
		if strings.HasPrefix(key, "site auto ") {
			delete(after, key) // the platform made it
		}
	}
	if d := cmp.Diff(before, after); d != "" {
		t.Fatalf("rolled back to something else:\n%s", d)
	}
	again, err := resource.PlanRollback(ctx, f.db, types(), "p", "production", then)
	if err != nil || !again.Empty() {
		t.Fatalf("a second rollback would %v, %v", summary(again), err)
	}
	for _, revision := range []int64{0, -1, 9999} {
		_, err = resource.PlanRollback(ctx, f.db, types(), "p", "production", revision)
		wantCode(t, err, fault.NotFound, fmt.Sprint(revision))
	}
}

// What users set in a resource that the platform derived is theirs: a rollback
// gives it back, whatever became of the resource; the resource itself is not its
// business.
func TestPlanRollbackOfWhatUsersSetInDerived(t *testing.T) {
	const made, tuned, other, own = `{"made":true,"ttl":0}`, `{"made":true,"ttl":5}`, `{"made":true,"ttl":7}`, `{"ttl":9}`
	for _, c := range []struct{ name, then, now, want string }{
		{"not tuned and not there any more", made, "", ""},
		{"not there then", "", made, made},
		{"not there then, tuned", "", tuned, tuned},
		{"the same", tuned, tuned, tuned},
		{"tuned since", made, tuned, made},
		{"tuned otherwise", tuned, other, tuned},
		{"not tuned any more", tuned, made, tuned},
		{"replaced by the user's own", made, own, made},
		{"tuned and gone", tuned, "", tuned},
		{"tuned, gone, and derived again", tuned, "again " + made, tuned},
		{"the user's own, gone, and derived in its place", own, "again " + made, own},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			f := fixture{storetest.SQLite(t), "p"}
			f.apply(t, f.plan(t, false, declared("origin", "app", `{}`)))
			set := func(spec string) {
				t.Helper()
				found, err := f.db.List(ctx, resource.Query{Kind: "site", Name: "shop"})
				if err != nil {
					t.Fatal(err)
				}
				spec, again := strings.CutPrefix(spec, "again ")
				if len(found.Items) > 0 && (spec == "" || again) {
					change := resource.Change{Op: resource.Delete, Kind: "site", ID: found.Items[0].ID}
					if _, err := f.db.Commit(ctx, resource.Commit{Changes: []resource.Change{change}, Cause: cause}); err != nil {
						t.Fatal(err)
					}
				}
				if spec != "" {
					f.apply(t, f.plan(t, false, declared("site", "shop", spec)))
				}
			}
			set(c.then)
			then := f.apply(t, f.plan(t, false, declared("origin", "app", `{"port":81}`)))
			set(c.now)
			f.apply(t, f.plan(t, false, declared("origin", "app", `{"port":82}`)))

			plan, err := resource.PlanRollback(ctx, f.db, types(), "p", "production", then)
			if err != nil {
				t.Fatal(err)
			}
			f.apply(t, plan)
			found, err := f.db.List(ctx, resource.Query{Kind: "site", Name: "shop"})
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if len(found.Items) > 0 {
				got = string(found.Items[0].Spec)
			}
			if got != c.want && !resource.EqualJSON(json.RawMessage(got), json.RawMessage(c.want)) {
				t.Errorf("rolled back to %q, want %q", got, c.want)
			}
		})
	}
}

// declaration draws a valid declaration: origins, and sites that refer to them.
func declaration(t *rapid.T, label string) []resource.Declared {
	names := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c"}), 0, 3, rapid.ID).Draw(t, label+" origins")
	var list []resource.Declared
	for _, name := range names {
		list = append(list, declared("origin", name, fmt.Sprintf(`{"port":%d}`, rapid.IntRange(1, 3).Draw(t, "port"))))
	}
	for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"x", "y", "z"}), 0, 3, rapid.ID).Draw(t, label+" sites") {
		spec := siteSpec{TTL: rapid.IntRange(0, 2).Draw(t, "ttl")}
		if len(names) > 0 && rapid.Bool().Draw(t, "refers") {
			spec.Origin = rapid.SampledFrom(names).Draw(t, "origin")
		}
		text, err := json.Marshal(spec)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, declared("site", name, string(text)))
	}
	return rapid.Permutation(list).Draw(t, label)
}

// Whatever was there: apply converges, applying twice does nothing, a revert
// restores, and so does a rollback over several revisions.
func TestPlansConverge(t *testing.T) {
	db := storetest.SQLite(t)
	ctx := context.Background()
	projects := 0
	rapid.Check(t, func(t *rapid.T) {
		projects++
		f := fixture{db, fmt.Sprint("project", projects)}
		// Something is always there, so that there is a revision to go back to.
		start := f.apply(t, f.plan(t, true, append(declaration(t, "start"), declared("origin", "always", `{}`))...))
		original := f.state(t)
		for i := range rapid.IntRange(1, 3).Draw(t, "changes") {
			before := f.state(t)
			want := declaration(t, fmt.Sprint("change ", i))
			plan := f.plan(t, true, want...)
			revision := f.apply(t, plan)
			if plan.Empty() != (revision == 0) {
				t.Fatalf("a plan with %d actions made revision %d", len(plan.Actions), revision)
			}
			if again := f.plan(t, true, want...); !again.Empty() {
				t.Fatalf("applied, and still %v", summary(again))
			}
			if len(f.state(t)) != len(want) {
				t.Fatalf("declared %d resources, there are %v", len(want), f.state(t))
			}
			if revision == 0 || rapid.Bool().Draw(t, "keep") {
				continue
			}
			revert, err := resource.PlanRevert(ctx, db, types(), revision)
			if err != nil {
				t.Fatalf("reverting: %v", err)
			}
			f.apply(t, revert)
			if d := cmp.Diff(before, f.state(t)); d != "" {
				t.Fatalf("the revert did not restore:\n%s", d)
			}
		}
		rollback, err := resource.PlanRollback(ctx, db, types(), f.project, "production", start)
		if err != nil {
			t.Fatalf("rolling back: %v", err)
		}
		f.apply(t, rollback)
		if d := cmp.Diff(original, f.state(t)); d != "" {
			t.Fatalf("the rollback did not restore:\n%s", d)
		}
	})
}
