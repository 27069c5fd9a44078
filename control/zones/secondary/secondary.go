// Package secondary keeps the copies of zones that come from elsewhere.
//
// Types: Reconciler, Options. Its part of a zone is zones.Copy in the zone's
// status and the bytes in zones.Copies; the room of zones makes versions of them.
//
// Phases, per zone, after every event and at every time it has asked for:
//
//	no secondary (any more) -> copy and state go
//	due? (first, refresh or retry timer, notice, asked for, other primaries)
//	-> each primary, the last good one first: transfer.Client.Fetch, servable?
//	   -> copy stored, then state: serial, next look by the zone's refresh timer
//	   -> or: why not, with the fix; next look by its retry timer
//	expired? (RFC 1035 section 3.3.13) -> edges answer SERVFAIL, until one is reached
//
// State is written after the copy it tells of, so that what a restart finds is
// at worst a copy that is newer than its state.
//
// Interfaces needed: Keys (secrets by name), Fetcher (transfer.Client).
package secondary

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/edgewright/edgewright/control/reconcile"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/zones"
	"github.com/edgewright/edgewright/control/zones/transfer"
	"github.com/edgewright/edgewright/fault"
)

// Keys finds TSIG keys; tsig.Service is one.
type Keys interface {
	// Key returns NotFound when the environment has no key of the name, or its
	// secret is not made yet.
	Key(ctx context.Context, project, environment, name string) (transfer.Key, error)
}

// Fetcher takes zones over; transfer.Client is one.
type Fetcher interface {
	Fetch(ctx context.Context, apex string, p transfer.Primary, have *transfer.Content) (transfer.Result, error)
}

// Options of a Reconciler.
type Options struct {
	Zones   *zones.Service
	Copies  zones.Copies
	Keys    Keys
	Fetcher Fetcher
	Logger  *slog.Logger // nil: discard
}

// Bounds of the timers that a zone's SOA has (RFC 1912 section 2.2 advises well
// within). A look costs one connection and one message.
const (
	minRefresh = 20 * time.Second
	maxRefresh = 24 * time.Hour
	minRetry   = 10 * time.Second
	maxRetry   = 2 * time.Hour
	minExpire  = time.Minute
	maxExpire  = 60 * 24 * time.Hour
	firstRetry = 15 * time.Second // while nothing has come: doubled with each failure, up to maxFirst
	maxFirst   = time.Hour
	// perProject is how many zones of one project are looked at together: primaries
	// that never finish must not hold up those of others.
	perProject  = 4
	projectWait = 2 * time.Second
	// calm lies between two looks that notices or users ask for.
	calm = time.Second
)

// Reconciler brings copies up to date. Only the holder of the lease may run it.
type Reconciler struct {
	o   Options
	log *slog.Logger

	mu   sync.Mutex
	busy map[string]int // looks under way, by project
}

// enter counts a look of a project, unless there are enough.
func (r *Reconciler) enter(project string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.busy[project] >= perProject {
		return false
	}
	r.busy[project]++
	return true
}

func (r *Reconciler) leave(project string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.busy[project]--; r.busy[project] == 0 {
		delete(r.busy, project)
	}
}

// New returns a reconciler.
func New(o Options) *Reconciler {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Reconciler{o: o, log: o.Logger, busy: map[string]int{}}
}

// Kinds implements reconcile.Reconciler.
func (r *Reconciler) Kinds() []resource.Kind { return []resource.Kind{zones.Kind} }

// Workers implements reconcile.Parallel: a primary may take its time.
func (r *Reconciler) Workers() int { return 32 }

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, ref reconcile.Ref) (time.Duration, error) {
	stored, err := r.o.Zones.Store.Get(ctx, zones.Kind, ref.ID)
	if fault.Is(err, fault.NotFound) {
		return 0, r.o.Copies.DeleteZoneCopy(ctx, ref.ID)
	}
	if err != nil {
		return 0, err
	}
	z, err := zones.Decode(stored)
	if err != nil {
		return 0, err
	}
	if z.Spec.Secondary == nil {
		if z.Status.Copy == nil {
			return 0, nil
		}
		if err := r.o.Zones.DropCopy(ctx, z.ID); err != nil {
			return 0, err
		}
		return 0, r.o.Copies.DeleteZoneCopy(ctx, z.ID)
	}
	now := r.o.Zones.Now().UTC()
	c := zones.Copy{}
	if z.Status.Copy != nil {
		c = *z.Status.Copy
	}
	if wait := due(&c, print(z.Spec.Secondary), now); wait > 0 {
		return r.expire(ctx, z, c, now, wait)
	}
	if !r.enter(z.Project) {
		return r.expire(ctx, z, c, now, projectWait)
	}
	defer r.leave(z.Project)
	return r.refresh(ctx, z, c)
}

func print(s *zones.Secondary) string {
	b, _ := json.Marshal(s.Primaries)
	return string(b)
}

// due tells how long it is until the next look; 0: now.
func due(c *zones.Copy, primaries string, now time.Time) time.Duration {
	if c.TriedAt == nil || c.NextAt == nil || c.Primaries != primaries || c.TriedAt.After(now) {
		return 0
	}
	next := *c.NextAt
	if c.Asked != nil && !c.Asked.Before(*c.TriedAt) {
		next = c.TriedAt.Add(calm)
	}
	return max(next.Sub(now), 0)
}

// expire ends a copy whose time is over.
func (r *Reconciler) expire(ctx context.Context, z zones.Zone, c zones.Copy, now time.Time, wait time.Duration) (time.Duration, error) {
	if c.Expired || c.ExpiresAt == nil || c.Digest == "" {
		return wait, nil
	}
	if left := c.ExpiresAt.Sub(now); left > 0 {
		return min(wait, left), nil
	}
	r.log.WarnContext(ctx, "the copy of a zone has expired", "zone", z.Name, "error", c.Error)
	return wait, r.o.Zones.UpdateCopy(ctx, z.ID, func(_ zones.Spec, c *zones.Copy) { c.Expired = c.ExpiresAt != nil && !now.Before(*c.ExpiresAt) })
}

// refresh asks the primaries and notes what has come of it.
func (r *Reconciler) refresh(ctx context.Context, z zones.Zone, c zones.Copy) (time.Duration, error) {
	began := r.o.Zones.Now().UTC()
	have, err := r.have(ctx, z, &c)
	if err != nil {
		return 0, err
	}
	result, primary, failure, err := r.fetch(ctx, z, c, have)
	if err != nil {
		return 0, err
	}
	if ctx.Err() != nil {
		return 0, ctx.Err() // the term is over: nobody failed
	}
	digest := c.Digest
	if failure == nil && result.How != transfer.Same {
		if err := r.o.Copies.PutZoneCopy(ctx, z.ID, result.Content.Encode()); err != nil {
			return 0, err
		}
		digest = result.Content.Digest()
		r.log.InfoContext(ctx, "a zone was taken over", "zone", z.Name, "primary", primary, "how", result.How, "serial", result.Content.SOA.Serial, "records", result.Content.Len(), "bytes", result.Bytes)
	} else if failure != nil {
		r.log.WarnContext(ctx, "a zone could not be taken over", "zone", z.Name, "reason", failure.Reason, "error", failure.Message)
	}
	now := r.o.Zones.Now().UTC()
	var next time.Time
	err = r.o.Zones.UpdateCopy(ctx, z.ID, func(spec zones.Spec, c *zones.Copy) {
		if spec.Secondary == nil {
			return
		}
		c.Primaries = print(z.Spec.Secondary)
		c.TriedAt = &began // a notice that came meanwhile asks for another look
		if failure == nil {
			if result.How != transfer.Same {
				c.Digest, c.Serial, c.Records, c.ChangedAt = digest, result.Content.SOA.Serial, result.Content.Len(), &now
				c.How, c.Bytes, c.Whole = result.How, result.Bytes, false
			}
			soa := result.Content.SOA
			expires := now.Add(bound(soa.Expire, minExpire, maxExpire))
			c.Primary, c.CheckedAt, c.ExpiresAt, c.Expired = primary, &now, &expires, false
			c.Failures, c.Reason, c.Error, c.Fix = 0, "", "", ""
			next = now.Add(jitter(bound(soa.Refresh, minRefresh, maxRefresh)))
		} else {
			c.Failures, c.Reason, c.Error, c.Fix = c.Failures+1, string(failure.Reason), failure.Message, failure.Fix
			next = now.Add(jitter(retry(have, c.Failures)))
			c.Expired = c.Expired || c.Digest != "" && c.ExpiresAt != nil && !now.Before(*c.ExpiresAt)
			if c.Digest != "" && c.ExpiresAt != nil && !c.Expired && c.ExpiresAt.Before(next) {
				next = *c.ExpiresAt
			}
		}
		c.NextAt = &next
	})
	if fault.Is(err, fault.NotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return max(next.Sub(now), calm), nil
}

// have reads the copy that is held, unless the whole zone is wanted anew. One
// that cannot be read is as good as none.
func (r *Reconciler) have(ctx context.Context, z zones.Zone, c *zones.Copy) (*transfer.Content, error) {
	if c.Digest == "" || c.Whole {
		return nil, nil
	}
	body, err := r.o.Copies.ZoneCopy(ctx, z.ID)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	content, err := transfer.Decode(body)
	if err != nil || content.Apex != z.Name || content.Digest() != c.Digest {
		return nil, nil
	}
	return content, nil
}

// fetch asks one primary after the other until one has the zone. What is told of
// a failure is what the first one said.
func (r *Reconciler) fetch(ctx context.Context, z zones.Zone, c zones.Copy, have *transfer.Content) (result transfer.Result, primary string, failure *transfer.Error, err error) {
	primaries := slices.Clone(z.Spec.Secondary.Primaries)
	slices.SortStableFunc(primaries, func(a, b zones.Primary) int { return last(a.Address != c.Primary) - last(b.Address != c.Primary) })
	strip := z.Spec.DNSSEC.Enabled || len(z.Status.Keys.Keys) > 0
	for _, p := range primaries {
		to := transfer.Primary{Address: p.Address}
		if p.Key != "" {
			key, err := r.o.Keys.Key(ctx, z.Project, z.Environment, p.Key)
			if fault.Is(err, fault.NotFound) {
				failure = first(failure, &transfer.Error{Reason: transfer.BadKey, Message: "there is no TSIG key " + p.Key, Fix: "make it, or take it out of the zone's transfers"})
				continue
			}
			if err != nil {
				return result, "", nil, err
			}
			to.Key = &key
		}
		result, err := r.o.Fetcher.Fetch(ctx, z.Name, to, have)
		if err == nil && result.How != transfer.Same {
			_, err = result.Content.Serve(strip)
		}
		if err == nil {
			return result, p.Address, nil, nil
		}
		var e *transfer.Error
		if !errors.As(err, &e) {
			return result, "", nil, err
		}
		told := *e
		told.Message = p.Address + ": " + told.Message
		failure = first(failure, &told)
	}
	return result, "", failure, nil
}

func last(is bool) int {
	if is {
		return 1
	}
	return 0
}

func first(a, b *transfer.Error) *transfer.Error {
	if a != nil {
		return a
	}
	return b
}

// retry is how long to wait after a failure.
func retry(have *transfer.Content, failures int) time.Duration {
	if have != nil {
		return bound(have.SOA.Retry, minRetry, maxRetry)
	}
	return min(firstRetry<<min(failures-1, 10), maxFirst)
}

func bound(seconds uint32, low, high time.Duration) time.Duration {
	return min(max(time.Duration(seconds)*time.Second, low), high)
}

// jitter shortens a wait by up to a tenth, so that zones do not stay in step.
func jitter(d time.Duration) time.Duration { return d - time.Duration(rand.Int64N(int64(d)/10+1)) }
