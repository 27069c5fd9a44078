package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/store"
	"github.com/edgewright/edgewright/control/store/storetest"
	"github.com/edgewright/edgewright/fault"
)

// cause is the cause of changes whose cause is not the subject.
var cause = resource.Cause{Actor: "user usr_1", Via: "api", Reason: "a test", RequestID: "req_1"}

// creation makes a change that creates a domain.
func creation(project, name, spec string) resource.Change {
	return resource.Change{
		Op: resource.Create, Kind: "domain", ID: resource.NewID("dom"), Project: project, Environment: "production",
		Name: name, Spec: json.RawMessage(spec),
	}
}

func update(r resource.Resource, spec string) resource.Change {
	return resource.Change{Op: resource.Update, Kind: r.Kind, ID: r.ID, Spec: json.RawMessage(spec), IfRevision: r.Revision}
}

func deletion(r resource.Resource) resource.Change {
	return resource.Change{Op: resource.Delete, Kind: r.Kind, ID: r.ID, IfRevision: r.Revision}
}

func commit(t testing.TB, db resource.Store, changes ...resource.Change) resource.Committed {
	t.Helper()
	done, err := db.Commit(context.Background(), resource.Commit{Changes: changes, Cause: cause})
	if err != nil {
		t.Fatalf("commit: %v", err)
	}
	return done
}

func create(t testing.TB, db resource.Store, project, name, spec string) resource.Resource {
	t.Helper()
	return commit(t, db, creation(project, name, spec)).Resources[0]
}

func get(t testing.TB, db resource.Store, r resource.Resource) resource.Resource {
	t.Helper()
	got, err := db.Get(context.Background(), r.Kind, r.ID)
	if err != nil {
		t.Fatalf("get: %v", err)
	}
	return got
}

func wantCode(t testing.TB, err error, code fault.Code) {
	t.Helper()
	if fault.CodeOf(err) != code {
		t.Fatalf("error is %v (%s), want %s", err, fault.CodeOf(err), code)
	}
}

// tryCommit commits and returns the error only.
func tryCommit(db resource.Store, changes ...resource.Change) error {
	_, err := db.Commit(context.Background(), resource.Commit{Changes: changes, Cause: cause})
	return err
}

func TestCommitCreatesUpdatesAndDeletes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		change := creation("p", "shop.example.com", `{ "b": 1, "a": "x" }`)
		done := commit(t, db, change)
		r := done.Resources[0]
		if done.Revision == 0 || r.Revision != done.Revision || r.Seq != done.Revision || !r.CreatedAt.Equal(done.At) || !r.UpdatedAt.Equal(done.At) {
			t.Fatalf("committed %+v", done)
		}
		if string(r.Spec) != `{"b":1,"a":"x"}` || r.Status != nil || r.ID != change.ID || r.Name != change.Name || r.Project != "p" || r.Environment != "production" {
			t.Fatalf("created %+v", r)
		}
		if d := cmp.Diff(r, get(t, db, r)); d != "" {
			t.Fatalf("what is stored differs from what was returned:\n%s", d)
		}

		updated := commit(t, db, update(r, `{"b":2}`))
		u := get(t, db, r)
		if u.Revision != updated.Revision || u.Revision <= r.Revision || string(u.Spec) != `{"b":2}` || !u.CreatedAt.Equal(r.CreatedAt) {
			t.Fatalf("updated %+v", u)
		}

		removed := commit(t, db, deletion(u))
		if d := cmp.Diff(u, removed.Resources[0]); d != "" {
			t.Fatalf("a deleted resource is returned as it last was:\n%s", d)
		}
		_, err := db.Get(context.Background(), r.Kind, r.ID)
		wantCode(t, err, fault.NotFound)
	})
}

// What moves between projects keeps what is known of it.
func TestCommitCreatesWithStatus(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		change := creation("p", "shop.example.com", `{}`)
		change.Status = json.RawMessage(`{ "verified": true }`)
		r := commit(t, db, change).Resources[0]
		if got := get(t, db, r); string(got.Status) != `{"verified":true}` || string(r.Status) != string(got.Status) {
			t.Errorf("returned %s, stored %s", r.Status, got.Status)
		}
		broken := creation("p", "other.example.com", `{}`)
		broken.Status = json.RawMessage(`[`)
		wantCode(t, tryCommit(db, broken), fault.Invalid)
	})
}

func TestCommitIsAllOrNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		a := create(t, db, "p", "a", `{}`)
		stale := a
		stale.Revision--
		if stale.Revision == 0 {
			stale.Revision = 99
		}
		wantCode(t, tryCommit(db, creation("p", "b", `{}`), update(stale, `{"x":1}`)), fault.Stale)
		wantCode(t, tryCommit(db, update(a, `{"x":1}`), creation("p", "a", `{}`)), fault.Conflict)
		page, err := db.List(context.Background(), resource.Query{Kind: "domain"})
		if err != nil || len(page.Items) != 1 || string(page.Items[0].Spec) != `{}` || page.Items[0].Revision != a.Revision {
			t.Fatalf("after failed commits there is %+v, %v", page, err)
		}
		history, _, err := db.History(context.Background(), resource.HistoryQuery{})
		if err != nil || len(history) != 1 {
			t.Fatalf("after failed commits history has %d revisions, %v", len(history), err)
		}
		// A failed commit leaves no gap that a watcher could wait for, and takes
		// no number twice.
		if b := create(t, db, "p", "b", `{}`); b.Revision != a.Revision+1 {
			t.Fatalf("the revision after %d is %d", a.Revision, b.Revision)
		}
	})
}

func TestCommitRefusals(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		a := create(t, db, "p", "a", `{}`)
		otherKind := deletion(a)
		otherKind.Kind = "cdn"
		sameID := creation("p", "c", `{}`)
		sameID.ID = a.ID
		noOp := creation("p", "c", `{}`)
		noOp.Op = "replace"
		missing := resource.Change{Op: resource.Update, Kind: "domain", ID: "dom_none", Spec: json.RawMessage(`{}`)}
		twice := update(a, `{"n":1}`)
		staleDelete := deletion(a)
		staleDelete.IfRevision += 5
		many := make([]resource.Change, 10_001)
		for _, c := range []struct {
			name    string
			changes []resource.Change
			code    fault.Code
			says    string
		}{
			{"taken name", []resource.Change{creation("p", "a", `{}`)}, fault.Conflict, a.ID},
			{"taken ID", []resource.Change{sameID}, fault.Conflict, "take a new one"},
			{"update of nothing", []resource.Change{missing}, fault.NotFound, "dom_none"},
			{"delete under another kind", []resource.Change{otherKind}, fault.NotFound, "cdn"},
			{"stale delete", []resource.Change{staleDelete}, fault.Stale, "read it again"},
			{"same resource twice", []resource.Change{twice, twice}, fault.Invalid, "/changes/1/id"},
			{"unknown operation", []resource.Change{noOp}, fault.Invalid, "create, update or delete"},
			{"spec is an array", []resource.Change{creation("p", "c", `[]`)}, fault.Invalid, "JSON object"},
			{"spec is cut", []resource.Change{creation("p", "c", `{"a":`)}, fault.Invalid, "JSON object"},
			{"spec is not UTF-8", []resource.Change{creation("p", "c", "{\"a\":\"\xff\"}")}, fault.Invalid, "UTF-8"},
			{"name with a control character", []resource.Change{creation("p", "c\x00", `{}`)}, fault.Invalid, "control"},
			{"no name", []resource.Change{creation("p", "", `{}`)}, fault.Invalid, "/changes/0/name"},
			{"long name", []resource.Change{creation("p", strings.Repeat("n", 600), `{}`)}, fault.Invalid, "512"},
			{"large spec", []resource.Change{creation("p", "c", `{"a":"`+strings.Repeat("x", 1<<20)+`"}`)}, fault.TooLarge, "1048576"},
			{"too many changes", many, fault.TooLarge, "split"},
		} {
			t.Run(c.name, func(t *testing.T) {
				err := tryCommit(db, c.changes...)
				wantCode(t, err, c.code)
				text := err.Error()
				var coded *fault.Error
				if errors.As(err, &coded) {
					text += fmt.Sprint(coded.Fields)
				}
				if !strings.Contains(text, c.says) {
					t.Errorf("%q does not say %q", text, c.says)
				}
			})
		}
	})
}

func TestEqualSpecWritesNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		a := create(t, db, "p", "a", `{"x":1,"y":[1,2]}`)
		done := commit(t, db, update(a, `{ "y": [1, 2], "x": 1 }`))
		if done.Revision != 0 || done.Resources[0].Revision != a.Revision {
			t.Fatalf("an equal spec made revision %d: %+v", done.Revision, done.Resources[0])
		}
		stale := update(a, `{"x":1,"y":[1,2]}`)
		stale.IfRevision = 77
		wantCode(t, tryCommit(db, stale), fault.Stale)
		mixed := commit(t, db, update(a, `{"x":1,"y":[1,2]}`), creation("p", "b", `{}`))
		if get(t, db, a).Revision != a.Revision || mixed.Resources[1].Revision != mixed.Revision {
			t.Fatalf("mixed commit: %+v", mixed)
		}
		history, _, err := db.History(context.Background(), resource.HistoryQuery{ID: a.ID})
		if err != nil || len(history) != 1 {
			t.Fatalf("history of a has %d revisions, %v", len(history), err)
		}
	})
}

func TestRenameAndReuseOfNames(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		a, b := create(t, db, "p", "a", `{}`), create(t, db, "p", "b", `{}`)
		rename := update(a, `{}`)
		rename.Name = "b"
		wantCode(t, tryCommit(db, rename), fault.Conflict)
		rename.Name = "c"
		done := commit(t, db, rename)
		if got := get(t, db, a); got.Name != "c" || got.Revision != done.Revision {
			t.Fatalf("renamed to %+v", got)
		}
		history, _, err := db.History(context.Background(), resource.HistoryQuery{Revision: done.Revision})
		if err != nil || len(history) != 1 || history[0].Entries[0].OldName != "a" || history[0].Entries[0].Name != "c" {
			t.Fatalf("history of the rename: %+v, %v", history, err)
		}
		// In one commit a name may go from one resource to another.
		commit(t, db, creation("p", "b", `{"new":true}`), deletion(b))
		// Elsewhere the name is free.
		create(t, db, "q", "b", `{}`)
		other := creation("p", "b", `{}`)
		other.Environment = "staging"
		commit(t, db, other)
		other = creation("p", "b", `{}`)
		other.Kind = "cdn"
		commit(t, db, other)
	})
}

func TestUndoOfADeleteRecreatesTheSameID(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		a := create(t, db, "p", "a", `{"x":1}`)
		if _, err := db.PutStatus(context.Background(), a.Kind, a.ID, json.RawMessage(`{"verified":true}`), 0); err != nil {
			t.Fatal(err)
		}
		commit(t, db, deletion(a))
		again := creation("p", "a", `{"x":1}`)
		again.ID = a.ID
		done := commit(t, db, again).Resources[0]
		if done.ID != a.ID || !done.CreatedAt.Equal(a.CreatedAt) || done.Revision <= a.Revision {
			t.Fatalf("came back as %+v, was %+v", done, a)
		}
		if done.Status != nil || get(t, db, a).Status != nil {
			t.Fatal("the status came back too: a domain must be verified again after its deletion")
		}
		commit(t, db, deletion(done)) // and may go again
		wrong := creation("p", "a", `{}`)
		wrong.ID, wrong.Kind = a.ID, "cdn"
		wantCode(t, tryCommit(db, wrong), fault.Conflict)
	})
}

func TestPutStatus(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		a := create(t, db, "p", "a", `{"x":1}`)
		s, err := db.PutStatus(ctx, a.Kind, a.ID, json.RawMessage(`{"state": "ok"}`), a.Seq)
		if err != nil {
			t.Fatal(err)
		}
		if s.Revision != a.Revision || s.Seq <= a.Seq || string(s.Status) != `{"state":"ok"}` || !s.UpdatedAt.Equal(a.UpdatedAt) {
			t.Fatalf("status written: %+v", s)
		}
		if d := cmp.Diff(s, get(t, db, a)); d != "" {
			t.Fatal(d)
		}
		_, err = db.PutStatus(ctx, a.Kind, a.ID, json.RawMessage(`{"state":"late"}`), a.Seq)
		wantCode(t, err, fault.Stale)
		same, err := db.PutStatus(ctx, a.Kind, a.ID, json.RawMessage(`{"state":"ok"}`), s.Seq)
		if err != nil || same.Seq != s.Seq {
			t.Fatalf("an equal status was written: %+v, %v", same, err)
		}
		_, err = db.PutStatus(ctx, a.Kind, "dom_none", json.RawMessage(`{}`), 0)
		wantCode(t, err, fault.NotFound)
		_, err = db.PutStatus(ctx, a.Kind, a.ID, json.RawMessage(`"ok"`), 0)
		wantCode(t, err, fault.Invalid)
		// A status is neither a revision nor in the way of one.
		commit(t, db, update(a, `{"x":2}`))
		if got := get(t, db, a); string(got.Status) != `{"state":"ok"}` {
			t.Fatalf("a new spec lost the status: %+v", got)
		}
		history, _, err := db.History(ctx, resource.HistoryQuery{})
		if err != nil || len(history) != 2 {
			t.Fatalf("history has %d revisions, %v", len(history), err)
		}
	})
}

// Nobody's change of a status is lost, and none has to be tried again, however
// many change it at once.
func TestChangeStatus(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		a := create(t, db, "p", "a", `{"x":1}`)
		const writers, each = 8, 25
		var group errgroup.Group
		for range writers {
			group.Go(func() error {
				for range each {
					if _, err := db.ChangeStatus(ctx, a.Kind, a.ID, func(r resource.Resource) (json.RawMessage, error) {
						var status struct{ N int }
						if r.Status != nil {
							if err := json.Unmarshal(r.Status, &status); err != nil {
								return nil, err
							}
						}
						status.N++
						return json.Marshal(status)
					}); err != nil {
						return err
					}
				}
				return nil
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf(`{"N":%d}`, writers*each)
		if got := get(t, db, a); string(got.Status) != want {
			t.Fatalf("status is %s, not %s", got.Status, want)
		}
		change := func(id string, status json.RawMessage, err error) (resource.Resource, error) {
			return db.ChangeStatus(ctx, a.Kind, id, func(resource.Resource) (json.RawMessage, error) { return status, err })
		}
		before := get(t, db, a)
		if r, err := change(a.ID, nil, nil); err != nil || r.Seq != before.Seq {
			t.Fatalf("nothing to write was written: %+v, %v", r, err)
		}
		_, err := change(a.ID, json.RawMessage(`{"N":0}`), fault.New(fault.Conflict, "no"))
		wantCode(t, err, fault.Conflict)
		_, err = change(a.ID, json.RawMessage(`7`), nil)
		wantCode(t, err, fault.Invalid)
		_, err = change("dom_none", json.RawMessage(`{}`), nil)
		wantCode(t, err, fault.NotFound)
		if d := cmp.Diff(before, get(t, db, a)); d != "" {
			t.Fatal(d)
		}
	})
}

func TestList(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		var changes []resource.Change
		for i := range 25 {
			changes = append(changes, creation("p", fmt.Sprint("n", i), `{}`))
		}
		staging := creation("p", "n0", `{}`)
		staging.Environment = "staging"
		platform := creation("", "claimed", `{}`)
		platform.Environment = ""
		cdn := creation("p", "n0", `{}`)
		cdn.Kind = "cdn"
		commit(t, db, append(changes, staging, platform, cdn, creation("q", "n0", `{}`))...)

		all := func(q resource.Query) (ids []string) {
			t.Helper()
			for {
				page, err := db.List(ctx, q)
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range page.Items {
					ids = append(ids, r.ID)
				}
				if page.Next == "" {
					return ids
				}
				if len(page.Items) != q.Limit {
					t.Fatalf("a page that is not the last has %d items, not %d", len(page.Items), q.Limit)
				}
				q.Cursor = page.Next
			}
		}
		for _, c := range []struct {
			name string
			q    resource.Query
			want int
		}{
			{"kind", resource.Query{Kind: "domain"}, 28},
			{"project", resource.Query{Kind: "domain", Project: "p"}, 26},
			{"environment", resource.Query{Kind: "domain", Project: "p", Environment: "production"}, 25},
			{"name", resource.Query{Kind: "domain", Project: "p", Environment: "production", Name: "n7"}, 1},
			{"name everywhere", resource.Query{Kind: "domain", Name: "n0"}, 3},
			{"end of the name", resource.Query{Kind: "domain", Project: "p", Environment: "production", NameSuffix: "4"}, 3},
			{"the whole name as its end", resource.Query{Kind: "domain", Project: "p", NameSuffix: "n14"}, 1},
			{"an end longer than names", resource.Query{Kind: "domain", NameSuffix: "in a longer name than n4"}, 0},
			{"an end in another case", resource.Query{Kind: "domain", NameSuffix: "N4"}, 0},
			{"an end with a wildcard", resource.Query{Kind: "domain", NameSuffix: "%4"}, 0},
			{"platform", resource.Query{Kind: "domain", PlatformOnly: true}, 1},
			{"every kind of a project", resource.Query{Project: "p"}, 27},
			{"nothing", resource.Query{Kind: "certificate"}, 0},
		} {
			for _, limit := range []int{1, 5, 25, 1000} {
				q := c.q
				q.Limit = limit
				ids := all(q)
				if len(ids) != c.want || !slices.IsSorted(ids) {
					t.Errorf("%s in pages of %d: %d resources, want %d; sorted: %v", c.name, limit, len(ids), c.want, slices.IsSorted(ids))
				}
			}
		}
		page, err := db.List(ctx, resource.Query{Kind: "domain", Limit: 5000})
		if err != nil || len(page.Items) != 28 {
			t.Fatalf("a limit beyond the bound: %d, %v", len(page.Items), err)
		}
	})
}

func TestHistory(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		first := commit(t, db, creation("p", "a", `{"x":1}`), creation("q", "b", `{}`))
		a, b := first.Resources[0], first.Resources[1]
		second := commit(t, db, update(a, `{"x":2}`))
		third := commit(t, db, deletion(b))

		all, next, err := db.History(ctx, resource.HistoryQuery{})
		if err != nil || next != "" || len(all) != 3 {
			t.Fatalf("%d revisions, next %q, %v", len(all), next, err)
		}
		want := resource.Revision{Revision: second.Revision, At: second.At, Cause: cause, Entries: []resource.Entry{{
			Op: resource.Update, Kind: "domain", ID: a.ID, Project: "p", Environment: "production", Name: "a",
			Before: json.RawMessage(`{"x":1}`), After: json.RawMessage(`{"x":2}`),
		}}}
		if d := cmp.Diff(want, all[1]); d != "" {
			t.Fatal(d)
		}
		if e := all[0].Entries[0]; e.Op != resource.Delete || e.After != nil || string(e.Before) != `{}` {
			t.Fatalf("a deletion is kept as %+v", e)
		}
		if e := all[2].Entries; len(e) != 2 || e[0].ID != a.ID || e[0].Before != nil {
			t.Fatalf("a creation is kept as %+v", e)
		}

		revisionsOf := func(q resource.HistoryQuery) (numbers []int64, entries int) {
			t.Helper()
			for {
				page, next, err := db.History(ctx, q)
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range page {
					numbers = append(numbers, r.Revision)
					entries += len(r.Entries)
				}
				if next == "" {
					return numbers, entries
				}
				q.Cursor = next
			}
		}
		for _, c := range []struct {
			name    string
			q       resource.HistoryQuery
			want    []int64
			entries int
		}{
			{"page by page", resource.HistoryQuery{Limit: 1}, []int64{third.Revision, second.Revision, first.Revision}, 4},
			{"a project sees its own entries", resource.HistoryQuery{Project: "p"}, []int64{second.Revision, first.Revision}, 2},
			{"one resource", resource.HistoryQuery{ID: b.ID}, []int64{third.Revision, first.Revision}, 3},
			{"one revision", resource.HistoryQuery{Revision: second.Revision}, []int64{second.Revision}, 1},
			{"one revision of another project", resource.HistoryQuery{Project: "q", Revision: second.Revision}, nil, 0},
			{"kind", resource.HistoryQuery{Kind: "cdn"}, nil, 0},
			{"environment", resource.HistoryQuery{Project: "p", Environment: "staging"}, nil, 0},
		} {
			numbers, entries := revisionsOf(c.q)
			if !slices.Equal(numbers, c.want) || entries != c.entries {
				t.Errorf("%s: revisions %v with %d entries, want %v with %d", c.name, numbers, entries, c.want, c.entries)
			}
		}
		_, _, err = db.History(ctx, resource.HistoryQuery{Cursor: "x"})
		wantCode(t, err, fault.Invalid)
	})
}

// Exactly one of many writers that saw the same generation may write the next.
func TestConcurrentWritersOneWinsEachGeneration(t *testing.T) {
	const writers, generations = 8, 12
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		r := create(t, db, "p", "a", `{"generation":0}`)
		for generation := 1; generation <= generations; generation++ {
			var group sync.WaitGroup
			var mu sync.Mutex
			won, lost := 0, 0
			for writer := range writers {
				group.Go(func() {
					err := tryCommit(db, update(r, fmt.Sprintf(`{"generation":%d,"writer":%d}`, generation, writer)))
					mu.Lock()
					defer mu.Unlock()
					switch {
					case err == nil:
						won++
					case fault.Is(err, fault.Stale):
						lost++
					default:
						t.Errorf("unexpected: %v", err)
					}
				})
			}
			group.Wait()
			if won != 1 || lost != writers-1 {
				t.Fatalf("generation %d: %d won and %d were stale, of %d", generation, won, lost, writers)
			}
			r = get(t, db, r)
		}
		history, _, err := db.History(context.Background(), resource.HistoryQuery{ID: r.ID})
		if err != nil || len(history) != generations+1 {
			t.Fatalf("history has %d revisions, %v", len(history), err)
		}
	})
}

// In a batch, one write's failure must not touch its neighbours.
func TestConcurrentFailuresLeaveNeighboursAlone(t *testing.T) {
	const writers = 48
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		create(t, db, "p", "taken", `{}`)
		var group sync.WaitGroup
		var mu sync.Mutex
		revisions := map[int64]bool{}
		for i := range writers {
			group.Go(func() {
				name := fmt.Sprint("free", i)
				if i%3 == 0 {
					name = "taken"
				}
				done, err := db.Commit(context.Background(), resource.Commit{Changes: []resource.Change{
					creation("p", fmt.Sprint("first", i), `{}`), creation("p", name, `{}`),
				}, Cause: cause})
				if (err != nil) != (i%3 == 0) {
					t.Errorf("writer %d: %v", i, err)
				}
				mu.Lock()
				defer mu.Unlock()
				if err == nil && revisions[done.Revision] {
					t.Errorf("revision %d was given twice", done.Revision)
				}
				revisions[done.Revision] = true
			})
		}
		group.Wait()
		page, err := db.List(context.Background(), resource.Query{Kind: "domain", Limit: 1000})
		if want := 1 + 2*(writers-writers/3); err != nil || len(page.Items) != want {
			t.Fatalf("%d resources, want %d, %v", len(page.Items), want, err)
		}
	})
}

func TestWriteWithEndedContextDoesNotHappen(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_, err := db.Commit(ctx, resource.Commit{Changes: []resource.Change{creation("p", "a", `{}`)}, Cause: cause})
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("error is %v", err)
		}
		create(t, db, "p", "a", `{}`)
	})
}

func TestClosedStoreRefuses(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		db, err := store.Open(context.Background(), dsn, storetest.Keyring(t), store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(db.Close(), db.Close()); err != nil {
			t.Fatal(err)
		}
		wantCode(t, tryCommit(db, creation("p", "a", `{}`)), fault.Unavailable)
		wantCode(t, db.Watch(context.Background(), 0, nil), fault.Unavailable)
	})
}

func TestOpenRefusesWhatItCannotOpen(t *testing.T) {
	for dsn, says := range map[string]string{
		"":                         "no path",
		"mysql://host/db":          "mysql://",
		"postgres://user:hush@h:x": "postgres://user:password@host",
		"/proc/none/edgewright.db": "directory",
	} {
		_, err := store.Open(context.Background(), dsn, nil, store.Options{})
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "hush") {
			t.Errorf("opening %q: %v, want it to say %q and no password", dsn, err, says)
		}
	}
}
