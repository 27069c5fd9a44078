// Package reconcile is the loop that moves the world to what specs want.
//
// Types: Reconciler (a room's part), Ref (what it is asked to look at), Loop.
// Interface needed: Watcher (the store). Optional abilities of a Reconciler:
// Router, to be woken by events of other kinds; Parallel, to have more calls at
// the same time; Remembering, to look at what went while nobody looked.
//
// Phases: event of the store -> refs -> queue (one entry a ref, however many
// events) -> worker -> Reconcile -> again after the time it asks for, or, when
// it failed, after a backoff.
//
// Reconcilers are level-triggered: they read what is, compare it with what is
// wanted and do the difference; called again they find nothing to do. They are
// called for everything live when the loop starts, so nothing depends on having
// seen an event. For one ref there is never more than one call at a time; an
// event that comes meanwhile makes one more call follow.
package reconcile

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/edgewright/edgewright/control/resource"
)

// Ref names a resource.
type Ref struct {
	Kind resource.Kind
	ID   string
}

// Reconciler moves one kind of resource towards its spec.
type Reconciler interface {
	// Kinds are those whose events concern it.
	Kinds() []resource.Kind
	// Reconcile looks at one resource, which may be gone. It returns after
	// which time to look again (0: only when something changes). An error is
	// logged and tried again with growing delay; expected trouble belongs into
	// the resource's status, not here.
	Reconcile(ctx context.Context, ref Ref) (next time.Duration, err error)
}

// Router is a Reconciler that says which refs an event concerns. Without it,
// the event's own resource.
type Router interface {
	Route(event resource.Event) []Ref
}

// Parallel is a Reconciler whose calls may take minutes, so that it wants more
// of them at the same time than the Loop's Workers.
type Parallel interface {
	Workers() int
}

// Watcher delivers events; resource.Store is one.
type Watcher interface {
	Watch(ctx context.Context, since int64, fn func(resource.Event) error) error
}

// Options of a Loop.
type Options struct {
	Store   Watcher
	Workers int          // calls at the same time, for each reconciler; 0: 8
	Logger  *slog.Logger // nil: discard
}

// The delay after the first, second, ... failure in a row.
const (
	firstBackoff = time.Second
	maxBackoff   = 5 * time.Minute
)

// Loop runs reconcilers.
type Loop struct {
	options     Options
	reconcilers []Reconciler
}

// New returns a loop of reconcilers. Run starts it.
func New(o Options, reconcilers ...Reconciler) *Loop {
	if o.Workers <= 0 {
		o.Workers = 8
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Loop{options: o, reconcilers: reconcilers}
}

// Run watches and reconciles until ctx ends or the watch fails, and returns
// when every call it made has returned. Only the holder of the lease may call
// it.
func (l *Loop) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	var calls sync.WaitGroup
	queues := make([]*queue, len(l.reconcilers))
	for i, r := range l.reconcilers {
		q := newQueue()
		queues[i] = q
		workers := l.options.Workers
		if p, ok := r.(Parallel); ok {
			workers = max(workers, p.Workers())
		}
		for range workers {
			calls.Go(func() { l.work(ctx, r, q) })
		}
		if _, ok := r.(Remembering); ok {
			q.add(remains)
		}
	}
	err := l.options.Store.Watch(ctx, 0, func(event resource.Event) error {
		for i, r := range l.reconcilers {
			if !slices.Contains(r.Kinds(), event.Resource.Kind) {
				continue
			}
			if router, ok := r.(Router); ok {
				for _, ref := range router.Route(event) {
					queues[i].add(ref)
				}
				continue
			}
			queues[i].add(Ref{event.Resource.Kind, event.Resource.ID})
		}
		return nil
	})
	stop()
	for _, q := range queues {
		q.close()
	}
	calls.Wait()
	return err
}

// work is one worker of one reconciler.
func (l *Loop) work(ctx context.Context, r Reconciler, q *queue) {
	for {
		ref, ok := q.next()
		if !ok {
			return
		}
		next, err := l.call(ctx, r, q, ref)
		if err != nil && ctx.Err() == nil {
			next = q.failed(ref)
			l.options.Logger.Error("reconciling failed", "kind", ref.Kind, "id", ref.ID, "error", err, "again_in", next)
		} else {
			q.succeeded(ref)
		}
		q.done(ref, next)
	}
}

// call contains a panic: one resource's defect must not stop the others.
func (l *Loop) call(ctx context.Context, r Reconciler, q *queue, ref Ref) (next time.Duration, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	if ref == remains {
		refs, err := r.(Remembering).Remains(ctx)
		for _, ref := range refs {
			q.add(ref)
		}
		return 0, err
	}
	return r.Reconcile(ctx, ref)
}
