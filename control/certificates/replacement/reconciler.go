package replacement

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/reconcile"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// Reconciler carries mass replacements out. Only the holder of the lease may run
// it. It issues nothing by itself: it marks, at the pace of the run, certificates
// whose own reconciliation then gets another within the CA's budget, and revokes
// the old one. All that it knows is in statuses, so that another control plane
// goes on where it ended.
type Reconciler struct {
	service *Service
	log     *slog.Logger

	mu     sync.Mutex
	places map[string]*place // by run
}

// NewReconciler returns the reconciler of runs.
func NewReconciler(s *Service, log *slog.Logger) *Reconciler {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Reconciler{service: s, log: log, places: map[string]*place{}}
}

// Kinds implements reconcile.Reconciler.
func (r *Reconciler) Kinds() []resource.Kind { return []resource.Kind{Kind} }

// Route implements reconcile.Router: of runs only what is wanted wakes it, not what
// it writes itself.
func (r *Reconciler) Route(event resource.Event) []reconcile.Ref {
	if event.Type == resource.Status {
		return nil
	}
	return []reconcile.Ref{{Kind: event.Resource.Kind, ID: event.Resource.ID}}
}

// Reconcile marks the next certificates of a run and counts how far it is.
func (r *Reconciler) Reconcile(ctx context.Context, ref reconcile.Ref) (time.Duration, error) {
	stored, err := r.service.Store.Get(ctx, Kind, ref.ID)
	if fault.Is(err, fault.NotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	run, err := Decode(stored)
	if err != nil {
		return 0, err
	}
	st := run.Status
	if st.State == Finished || run.Spec.Run == Planned || run.Spec.Run == Cancelled && st.State == Cancelled {
		return 0, nil
	}
	now := r.service.Now().UTC().Truncate(time.Second)
	if st.StartedAt == nil {
		st.StartedAt, st.HourAt = &now, &now
	}
	at, err := r.look(ctx, run, *st.StartedAt, now)
	if err != nil {
		return 0, err
	}
	st.Total = max(st.Total, at.left())
	st.State = run.Spec.Run
	switch run.Spec.Run {
	case Running:
		if err := r.markNext(ctx, run, &st, at, now); err != nil {
			return 0, err
		}
	case Cancelled:
		if err := r.takeBack(ctx, run, at); err != nil {
			return 0, err
		}
	}
	r.count(run, &st, at, now)
	if _, err = r.service.Store.PutStatus(ctx, Kind, ref.ID, mustJSON(st), 0); err != nil {
		return 0, err
	}
	if st.State == Finished || st.State == Cancelled {
		r.mu.Lock()
		delete(r.places, ref.ID)
		r.mu.Unlock()
		return 0, nil
	}
	if st.State == Paused && st.Running == 0 && st.Revoking == 0 {
		return 0, nil
	}
	// At the beginning of the run's next minute, so that none is left out.
	return tick - now.Sub(*st.StartedAt)%tick, nil
}

// seen is what is kept of a certificate; thousands are held at once.
type seen struct {
	id, name string
	notAfter time.Time
	fits     bool // it is still to be replaced
	marked   bool // for this run
	free     bool // for no run
	failing  bool
	stuck    bool // failing for a reason of its own, and not because the CA is away
	revoking bool // its old one is still to be revoked
	refused  bool // which the CA did not do when it was asked
}

func (p picker) look(run string, c certificates.Certificate) seen {
	st := c.Status
	s := seen{
		id: c.ID, name: c.Name, fits: p.fits(c), marked: st.Replacement == run, free: st.Replacement == "",
		failing: st.Failures > 0 && st.LastError != nil, stuck: len(st.FailedAt) > 0,
	}
	if st.NotAfter != nil {
		s.notAfter = *st.NotAfter
	}
	for _, old := range st.Superseded {
		if old.Replacement == run {
			s.revoking, s.refused = true, s.refused || old.Failures > 0
		}
	}
	return s
}

// place is where a run is. Between two scans of all certificates, which are many,
// only those are looked at that are under way.
type place struct {
	pick    picker
	scanned time.Time
	todo    []seen // what expires first before the rest; and those that are being revoked
}

// rescan is how often all certificates are looked at: some are renewed on their
// own or deleted.
const rescan = time.Hour

// look finds out how things stand with the certificates of a run.
func (r *Reconciler) look(ctx context.Context, run Run, started, now time.Time) (*place, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.places[run.ID]
	if p == nil || now.Sub(p.scanned) >= rescan || !p.pick.started.Equal(started) {
		p = &place{pick: run.Spec.Selector.picker(started), scanned: now}
		err := r.service.each(ctx, run.Spec.Selector.Project, func(c certificates.Certificate) error {
			if s := p.pick.look(run.ID, c); s.fits || s.revoking {
				p.todo = append(p.todo, s)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		slices.SortStableFunc(p.todo, func(a, b seen) int { return a.notAfter.Compare(b.notAfter) })
		r.places[run.ID] = p
		return p, nil
	}
	for i := range p.todo {
		if !p.todo[i].marked && !p.todo[i].revoking {
			continue
		}
		stored, err := r.service.Store.Get(ctx, certificates.Kind, p.todo[i].id)
		if fault.Is(err, fault.NotFound) {
			p.todo[i] = seen{}
			continue
		}
		if err != nil {
			return nil, err
		}
		c, err := certificates.Decode(stored)
		if err != nil {
			return nil, err
		}
		p.todo[i] = p.pick.look(run.ID, c)
	}
	p.todo = slices.DeleteFunc(p.todo, func(s seen) bool { return !s.fits && !s.revoking })
	return p, nil
}

// left counts what is still to be replaced.
func (p *place) left() (n int) {
	for _, s := range p.todo {
		if s.fits {
			n++
		}
	}
	return n
}

// maxAhead bounds, in minutes of a run's pace, what is marked and not yet there:
// when the CA holds it up, no more is heaped on.
const maxAhead = 10

// markNext marks the certificates whose turn it is.
func (r *Reconciler) markNext(ctx context.Context, run Run, st *Status, at *place, now time.Time) error {
	minute := int(now.Sub(*st.StartedAt) / tick)
	if minute < st.NextMinute {
		return nil
	}
	// What fails for a reason of its own waits for its own backoff and holds no other
	// up; what is on its way does, and what waits for a CA that is away.
	busy := 0
	for _, s := range at.todo {
		if s.marked && !s.stuck {
			busy++
		}
	}
	room := min(run.Spec.turn(minute), max(maxAhead*max(run.Spec.PerHour/60, 1)-busy, 0))
	st.NextMinute = minute + 1
	for i := range at.todo {
		if room == 0 {
			break
		}
		s := &at.todo[i]
		if !s.fits || s.marked || !s.free {
			continue
		}
		done, err := r.change(ctx, s.id, func(c *certificates.Certificate) bool {
			if s.fits, s.free = at.pick.fits(*c), c.Status.Replacement == ""; !s.fits || !s.free {
				return false
			}
			c.Status.Replacement, c.Status.ReplaceReason = run.ID, run.Spec.Revoke
			return true
		})
		if err != nil {
			return err
		}
		if done {
			s.marked, s.free = true, false
			room--
		}
	}
	return nil
}

// turn is how many have their turn in one of the run's minutes, so that any 60 in
// a row make the pace.
func (s Spec) turn(minute int) int { return (minute+1)*s.PerHour/60 - minute*s.PerHour/60 }

// takeBack undoes what a cancelled run has asked for and is not yet done.
func (r *Reconciler) takeBack(ctx context.Context, run Run, at *place) error {
	for i := range at.todo {
		s := &at.todo[i]
		if !s.marked && !s.revoking {
			continue
		}
		if _, err := r.change(ctx, s.id, func(c *certificates.Certificate) bool {
			st := &c.Status
			before := len(st.Superseded)
			st.Superseded = slices.DeleteFunc(st.Superseded, func(old certificates.Superseded) bool { return old.Replacement == run.ID })
			if st.Replacement == run.ID {
				st.Replacement, st.ReplaceReason = "", ""
				return true
			}
			return len(st.Superseded) < before
		}); err != nil {
			return err
		}
		s.marked, s.free, s.revoking, s.refused = false, true, false, false
	}
	return nil
}

// count puts into the status how far the run is.
func (r *Reconciler) count(run Run, st *Status, at *place, now time.Time) {
	left := at.left()
	st.Done, st.Running, st.Failing, st.Failed, st.Revoking, st.Refused = st.Total-left, 0, 0, nil, 0, 0
	for _, s := range at.todo {
		if s.revoking {
			st.Revoking++
		}
		if s.refused {
			st.Refused++
		}
		if !s.marked {
			continue
		}
		if st.Running++; s.failing {
			if st.Failing++; len(st.Failed) < maxFailedNames {
				st.Failed = append(st.Failed, s.name)
			}
		}
	}
	pace := run.Spec
	if st.HourAt != nil && now.Sub(*st.HourAt) >= time.Hour {
		st.LastHour, st.HourDone, st.HourAt = st.Done-st.HourDone, st.Done, &now
	}
	if st.LastHour > 0 && left > st.Running {
		pace.PerHour = min(pace.PerHour, st.LastHour) // what the CAs let through
	}
	switch expected := now.Add(pace.takes(left)); {
	case st.State == Running && left == 0 && st.Revoking == 0:
		st.State, st.FinishedAt, st.ExpectedAt = Finished, &now, nil
		r.log.Info("a mass replacement is finished", "replacement", run.ID, "certificates", st.Total)
	case st.State == Running:
		st.ExpectedAt = &expected
	default:
		st.ExpectedAt = nil
	}
}

// change changes the status of a certificate, as it is when it is written. change
// returns false when there is nothing to do.
func (r *Reconciler) change(ctx context.Context, id string, change func(*certificates.Certificate) bool) (done bool, err error) {
	_, err = resource.ChangeStatus(ctx, r.service.Store, certificates.Kind, id, func(c *certificates.Certificate) bool {
		done = change(c)
		return done
	})
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return done && err == nil, err
}
