package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/store"
	"github.com/edgewright/edgewright/control/store/storetest"
	"github.com/edgewright/edgewright/fault"
)

// watcher collects the events of one watch.
type watcher struct {
	events chan resource.Event
	ended  chan error
	stop   context.CancelFunc
}

func watch(t *testing.T, db *store.DB, since int64) *watcher {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	w := &watcher{events: make(chan resource.Event), ended: make(chan error, 1), stop: stop}
	go func() {
		w.ended <- db.Watch(ctx, since, func(e resource.Event) error {
			select {
			case w.events <- e:
			case <-ctx.Done():
			}
			return nil
		})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-w.ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the watch ended with %v", err)
		}
	})
	return w
}

// next returns the next event; it waits for at most half a minute.
func (w *watcher) next(t *testing.T) resource.Event {
	t.Helper()
	select {
	case e := <-w.events:
		return e
	case err := <-w.ended:
		w.ended <- err
		t.Fatalf("the watch ended: %v", err)
	case <-time.After(30 * time.Second):
		t.Fatal("no event came")
	}
	panic("unreachable")
}

func (w *watcher) expect(t *testing.T, typ resource.EventType, id string) resource.Event {
	t.Helper()
	e := w.next(t)
	if e.Type != typ || e.Resource.ID != id {
		t.Fatalf("event is %s of %s, want %s of %s", e.Type, e.Resource.ID, typ, id)
	}
	return e
}

func putStatus(t testing.TB, db *store.DB, r resource.Resource, status string) resource.Resource {
	t.Helper()
	r, err := db.PutStatus(context.Background(), r.Kind, r.ID, json.RawMessage(status), 0)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestWatch(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		gone := create(t, db, "p", "gone", `{}`)
		a := create(t, db, "p", "a", `{"x":1}`)
		b := create(t, db, "p", "b", `{}`)
		commit(t, db, deletion(gone))
		a = putStatus(t, db, a, `{"ok":true}`)

		fresh := watch(t, db, 0)
		fresh.expect(t, resource.Put, b.ID) // everything live in order of Seq, nothing that is gone
		if e := fresh.expect(t, resource.Put, a.ID); e.Seq != a.Seq || string(e.Resource.Status) != `{"ok":true}` {
			t.Fatalf("event %+v", e)
		}

		later := watch(t, db, a.Seq)
		for _, w := range []*watcher{fresh, later} {
			a = putStatus(t, db, a, fmt.Sprintf(`{"now":"%p"}`, w))
			for _, each := range []*watcher{fresh, later} {
				if e := each.expect(t, resource.Status, a.ID); e.Seq != a.Seq {
					t.Fatalf("event %+v", e)
				}
			}
		}
		a = commit(t, db, update(a, `{"x":2}`)).Resources[0]
		for _, w := range []*watcher{fresh, later} {
			if e := w.expect(t, resource.Put, a.ID); string(e.Resource.Spec) != `{"x":2}` {
				t.Fatalf("event %+v", e)
			}
		}
		done := commit(t, db, deletion(get(t, db, a)))
		for _, w := range []*watcher{fresh, later} {
			if e := w.expect(t, resource.Deleted, a.ID); e.Seq != done.Revision || string(e.Resource.Spec) != `{"x":2}` {
				t.Fatalf("event %+v", e)
			}
		}
		again := creation("p", "a", `{}`)
		again.ID = a.ID
		commit(t, db, again)
		for _, w := range []*watcher{fresh, later} {
			w.expect(t, resource.Put, a.ID)
		}
	})
}

// A watcher that was away learns of a new spec although a status write has
// covered it, and of deletions.
func TestWatchSinceSeesWhatWasMissed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		a, b, c := create(t, db, "p", "a", `{}`), create(t, db, "p", "b", `{}`), create(t, db, "p", "c", `{}`)
		position := c.Seq
		a = commit(t, db, update(a, `{"x":1}`)).Resources[0]
		putStatus(t, db, a, `{}`)
		commit(t, db, deletion(b))
		putStatus(t, db, c, `{}`)

		w := watch(t, db, position)
		w.expect(t, resource.Put, a.ID)
		w.expect(t, resource.Deleted, b.ID)
		w.expect(t, resource.Status, c.ID)
	})
}

func TestWatchReturnsTheFunctionsErrorAndRefusesTheFuture(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		create(t, db, "p", "a", `{}`)
		enough := errors.New("enough")
		if err := db.Watch(context.Background(), 0, func(resource.Event) error { return enough }); !errors.Is(err, enough) {
			t.Fatalf("the watch ended with %v", err)
		}
		wantCode(t, db.Watch(context.Background(), 1000, nil), fault.Stale)
	})
}

// More resources than a page, several of one commit across the border of pages.
func TestWatchPages(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		const commits, each = 3, 700
		for i := range commits {
			var changes []resource.Change
			for j := range each {
				changes = append(changes, creation("p", fmt.Sprint(i, "-", j), `{}`))
			}
			commit(t, db, changes...)
		}
		seen := map[string]bool{}
		last := int64(0)
		enough := errors.New("enough")
		err := db.Watch(context.Background(), 0, func(e resource.Event) error {
			if seen[e.Resource.ID] || e.Seq < last {
				t.Errorf("event %d of %s again, or out of order after %d", e.Seq, e.Resource.ID, last)
			}
			last, seen[e.Resource.ID] = e.Seq, true
			if len(seen) == commits*each {
				return enough
			}
			return nil
		})
		if !errors.Is(err, enough) {
			t.Fatal(err)
		}
	})
}

// Writes of other control planes on the same database are seen too. The poll is
// made so rare that on PostgreSQL only the notification can bring them.
func TestWatchSeesOtherControlPlanes(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		keys := storetest.Keyring(t)
		o := store.Options{PollInterval: 5 * time.Millisecond}
		if t.Name() == "TestWatchSeesOtherControlPlanes/postgres" {
			o.PollInterval = time.Hour
		}
		here, there := storetest.Open(t, dsn, keys, o), storetest.Open(t, dsn, keys, o)
		w := watch(t, here, 0)
		a := create(t, there, "p", "a", `{}`)
		w.expect(t, resource.Put, a.ID)
		b := create(t, here, "p", "b", `{}`)
		w.expect(t, resource.Put, b.ID)
		putStatus(t, there, b, `{"x":1}`)
		w.expect(t, resource.Status, b.ID)
	})
}

// Two control planes and many goroutines write; a watcher misses nothing and
// sees numbers grow, which they would not if transactions became visible out of
// order.
func TestWatchMissesNothingUnderConcurrency(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		keys := storetest.Keyring(t)
		o := store.Options{PollInterval: 5 * time.Millisecond}
		planes := []*store.DB{storetest.Open(t, dsn, keys, o), storetest.Open(t, dsn, keys, o)}
		const goroutines, each = 4, 25
		var group sync.WaitGroup
		for p, plane := range planes {
			for g := range goroutines {
				group.Go(func() {
					for i := range each {
						if err := tryCommit(plane, creation("p", fmt.Sprint(p, "-", g, "-", i), `{}`)); err != nil {
							t.Errorf("commit: %v", err)
						}
					}
				})
			}
		}
		seen, last := 0, int64(0)
		enough := errors.New("enough")
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		err := planes[0].Watch(ctx, 0, func(e resource.Event) error {
			if e.Seq <= last {
				t.Errorf("event %d comes after %d", e.Seq, last)
			}
			last = e.Seq
			if seen++; seen == len(planes)*goroutines*each {
				return enough
			}
			return nil
		})
		group.Wait()
		if !errors.Is(err, enough) {
			t.Fatalf("after %d events of %d the watch ended with %v", seen, len(planes)*goroutines*each, err)
		}
	})
}
