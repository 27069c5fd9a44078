package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgewright/edgewright/control/resource"
)

// feed is a Watcher whose events the test sends.
type feed chan resource.Event

func (f feed) Watch(ctx context.Context, _ int64, fn func(resource.Event) error) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e := <-f:
			if err := fn(e); err != nil {
				return err
			}
		}
	}
}

func event(id string) resource.Event {
	return resource.Event{Resource: resource.Resource{Meta: resource.Meta{Kind: "thing", ID: id}}}
}

// fake records calls; act is what Reconcile does.
type fake struct {
	mu    sync.Mutex
	calls []string
	act   func(ref Ref) (time.Duration, error)
}

func (f *fake) Kinds() []resource.Kind { return []resource.Kind{"thing"} }

func (f *fake) Reconcile(_ context.Context, ref Ref) (time.Duration, error) {
	f.mu.Lock()
	f.calls = append(f.calls, ref.ID)
	f.mu.Unlock()
	return f.act(ref)
}

func (f *fake) seen() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// start runs a loop in the test's bubble until the returned function is called.
func start(t *testing.T, r Reconciler, workers int) (send feed, stop func()) {
	t.Helper()
	send = make(feed)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- New(Options{Store: send, Workers: workers}, r).Run(ctx) }()
	return send, func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Run returned %v", err)
		}
	}
}

func TestEventsDuringACallMakeOneMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		f := &fake{act: func(Ref) (time.Duration, error) { <-release; return 0, nil }}
		send, stop := start(t, f, 4)
		for range 5 {
			send <- event("a")
			synctest.Wait()
		}
		if got := f.seen(); len(got) != 1 {
			t.Fatalf("calls at the same time for one ref: %v", got)
		}
		close(release)
		synctest.Wait()
		if got := f.seen(); len(got) != 2 {
			t.Errorf("five events made %d calls, want 2", len(got))
		}
		stop()
	})
}

func TestSlowOneDoesNotHoldOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		f := &fake{act: func(r Ref) (time.Duration, error) {
			if r.ID == "slow" {
				<-release
			}
			return 0, nil
		}}
		send, stop := start(t, f, 2)
		send <- event("slow")
		for i := range 3 {
			send <- event(fmt.Sprint(i))
		}
		synctest.Wait()
		if got := f.seen(); len(got) != 4 {
			t.Errorf("while one is slow, seen %v", got)
		}
		close(release)
		stop()
	})
}

func TestNextAndBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var mu sync.Mutex
		var at []time.Duration
		fail := true
		// since returns when calls were made after the last since.
		since := func() []time.Duration {
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			taken := at
			at = nil
			return taken
		}
		f := &fake{act: func(Ref) (time.Duration, error) {
			mu.Lock()
			defer mu.Unlock()
			at = append(at, time.Since(began))
			if fail {
				return 0, errors.New("no")
			}
			return time.Hour, nil
		}}
		send, stop := start(t, f, 1)
		send <- event("a")
		time.Sleep(8 * time.Second)
		if got, want := since(), []time.Duration{0, time.Second, 3 * time.Second, 7 * time.Second}; !slices.Equal(got, want) {
			t.Errorf("tried at %v, want %v", got, want)
		}
		mu.Lock()
		fail = false
		mu.Unlock()
		time.Sleep(8 * time.Second) // succeeds at 15
		if got := since(); len(got) != 1 {
			t.Errorf("the fifth try at %v", got)
		}
		time.Sleep(time.Hour)
		if got := since(); len(got) != 1 {
			t.Errorf("within the hour after a success, calls at %v", got)
		}
		// An event in between comes first, and starts the hour anew.
		time.Sleep(30 * time.Minute)
		send <- event("a")
		time.Sleep(59 * time.Minute)
		if got := since(); len(got) != 1 {
			t.Errorf("after an event, calls at %v", got)
		}
		stop()
	})
}

func TestBackoffIsBounded(t *testing.T) {
	q := newQueue()
	ref := Ref{"thing", "a"}
	q.add(ref)
	if _, ok := q.next(); !ok {
		t.Fatal("nothing queued")
	}
	for range 100 {
		if d := q.failed(ref); d <= 0 || d > maxBackoff {
			t.Fatalf("delay %v", d)
		}
	}
}

func TestPanicIsContained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{act: func(r Ref) (time.Duration, error) {
			if r.ID == "bad" {
				panic("broken")
			}
			return 0, nil
		}}
		send, stop := start(t, f, 1)
		send <- event("bad")
		send <- event("good")
		synctest.Wait()
		if got := f.seen(); !slices.Contains(got, "good") {
			t.Errorf("after a panic, seen %v", got)
		}
		stop()
	})
}

func TestStopWaitsForCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var finished bool
		f := &fake{act: func(Ref) (time.Duration, error) {
			time.Sleep(time.Second)
			finished = true
			return time.Minute, nil
		}}
		send, stop := start(t, f, 1)
		send <- event("a")
		synctest.Wait()
		stop()
		if !finished {
			t.Error("Run returned before its call")
		}
	})
}

type routed struct{ fake }

func (*routed) Route(e resource.Event) []Ref {
	return []Ref{{"other", e.Resource.ID + "1"}, {"other", e.Resource.ID + "2"}}
}

func TestRoute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &routed{fake{act: func(Ref) (time.Duration, error) { return 0, nil }}}
		send, stop := start(t, r, 1)
		send <- event("x")
		send <- resource.Event{Resource: resource.Resource{Meta: resource.Meta{Kind: "unknown", ID: "y"}}}
		synctest.Wait()
		if got := r.seen(); !slices.Equal(got, []string{"x1", "x2"}) {
			t.Errorf("seen %v", got)
		}
		stop()
	})
}

// After the work is done nothing is kept of a ref: ten thousand domains do not
// cost memory for ever.
func TestQueueForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		for i := range 100 {
			q.add(Ref{"thing", fmt.Sprint(i)})
		}
		for range 100 {
			ref, _ := q.next()
			q.done(ref, 0)
		}
		if len(q.state) != 0 {
			t.Errorf("%d refs kept", len(q.state))
		}
	})
}

type patient struct{ fake }

func (*patient) Workers() int { return 5 }

func TestParallel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		r := &patient{fake{act: func(Ref) (time.Duration, error) { <-release; return 0, nil }}}
		send, stop := start(t, r, 1)
		for i := range 8 {
			send <- event(fmt.Sprint(i))
		}
		synctest.Wait()
		if got := r.seen(); len(got) != 5 {
			t.Errorf("%d calls at the same time, want 5", len(got))
		}
		close(release)
		stop()
	})
}
