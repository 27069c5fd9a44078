// Package watch keeps an eye on verified domains: what their registry holds of
// them, where they lead, whether their zone is delegated as it should be, whether
// something dangles, and how far changes of their records have spread. What it
// finds goes into the domain's status: Registry, Watch, Propagation, conditions
// Transfer, Expiry, Delegation and Dangling, and events when something turns.
//
// Types: Watcher (a reconcile.Reconciler, and the looks that users ask for).
// Interfaces needed: domains.Service, domains.Resolvers, Network, Registry, Pages,
// domains.RRsets.
//
// Phases, per domain: registry (daily) -> expiry (at 30, 7 and 1 days) -> DNS
// (hourly) -> propagation (seconds after a change, then ever more rarely, until
// everybody has it). Each keeps its next time in the status, so that neither a
// write nor a restart leads to another look. Intervals are spread by a tenth.
package watch

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/edgewright/edgewright/control/domains"
	"github.com/edgewright/edgewright/control/domains/registry"
	"github.com/edgewright/edgewright/control/reconcile"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// Network asks name servers past all caches; lookup.Network is one.
type Network interface {
	domains.Authorities
	// Delegation compares what a zone's parent says of it with what it says
	// itself. Errors: NotFound, Unavailable.
	Delegation(ctx context.Context, apex string) (domains.DelegationState, error)
}

// Registry asks domain registries; registry.Client is one.
type Registry interface {
	// Lookup returns what is held of a name that registry.Asked has returned.
	// Errors: NotFound when nobody has registered it, Unavailable.
	Lookup(ctx context.Context, name string) (registry.State, error)
}

// Pages gets what stands at an address, whatever its status; domains.NewFetcher
// makes one.
type Pages interface {
	Page(ctx context.Context, url string) ([]byte, error)
}

// Options of a Watcher.
type Options struct {
	Domains   *domains.Service
	Resolvers domains.Resolvers
	Network   Network        // nil: only resolvers are asked
	Registry  Registry       // nil: the operator has switched look-ups off
	Pages     Pages          // nil: unclaimed targets are not told by their pages
	RRsets    domains.RRsets // nil: no managed zones
	Now       func() time.Time
	Random    func() float64 // in [0, 1); nil: math/rand
	Logger    *slog.Logger   // nil: discard
}

// Watcher watches domains. Its methods may be called from any goroutine; only the
// holder of the lease may run it as a reconciler.
type Watcher struct {
	options Options
}

// New returns a Watcher.
func New(o Options) *Watcher {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Watcher{options: o}
}

// SetRRsets sets what managed zones publish, before the Watcher runs.
func (w *Watcher) SetRRsets(r domains.RRsets) { w.options.RRsets = r }

// How often it looks.
const (
	registryEvery = 24 * time.Hour
	registryRetry = 6 * time.Hour // after a failure
	dnsEvery      = time.Hour
)

// Kinds implements reconcile.Reconciler.
func (w *Watcher) Kinds() []resource.Kind { return []resource.Kind{domains.Kind} }

// Workers implements reconcile.Parallel: registries and dead name servers keep one
// waiting for seconds.
func (w *Watcher) Workers() int { return 32 }

// Reconcile looks at one domain, as far as it is time.
func (w *Watcher) Reconcile(ctx context.Context, ref reconcile.Ref) (time.Duration, error) {
	d, err := w.options.Domains.ByID(ctx, ref.ID)
	if fault.Is(err, fault.NotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if !d.Status.Verified {
		return 0, nil // being verified is an event
	}
	name, err := domains.ParseName(d.Name)
	if err != nil {
		return 0, err
	}
	next := registryEvery
	for _, phase := range []func(context.Context, domains.Domain, domains.Name) (domains.Domain, time.Duration, error){
		w.registry, w.expiry, w.dns, w.propagation,
	} {
		var wait time.Duration
		if d, wait, err = phase(ctx, d, name); fault.Is(err, fault.NotFound) {
			return 0, nil // removed meanwhile
		} else if err != nil {
			return 0, err
		}
		if wait > 0 {
			next = min(next, wait)
		}
	}
	return max(next, time.Second), nil
}

func (w *Watcher) now() time.Time { return w.options.Now().UTC().Truncate(time.Second) }

// spread moves a duration by up to a tenth.
func (w *Watcher) spread(d time.Duration) time.Duration {
	return d + time.Duration((w.options.Random()-0.5)/5*float64(d))
}

// set sets a condition and tells whether its status has turned from a known one,
// or is false from the start.
func set(st *domains.Status, c resource.Condition) (turned bool) {
	before, known := resource.ConditionOf(st.Conditions, c.Type)
	st.Conditions = resource.SetCondition(st.Conditions, c)
	return c.Status != before.Status && (known && before.Status != resource.Unknown || c.Status == resource.False)
}
