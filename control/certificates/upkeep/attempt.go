package upkeep

import (
	"context"
	"sync"
	"time"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/certificates/authority"
	"github.com/edgewright/edgewright/control/certificates/issuance"
	"github.com/edgewright/edgewright/control/certificates/readiness"
)

// issue makes one attempt and notes what came of it.
func (r *Reconciler) issue(ctx context.Context, c certificates.Certificate, now time.Time, why string) (time.Duration, error) {
	t := &attempt{Reconciler: r, now: now, begun: c, seen: c}
	result, err := r.orders.Try(ctx, issuance.Wanted{Certificate: c, Type: r.effective(c, now), Why: why, Now: now}, t)
	switch {
	case err != nil:
		return 0, err
	case result.Issued != nil:
		return t.take(ctx, result.Issued)
	case result.Working != nil:
		return r.working(ctx, t.begun, r.room.Now(), result)
	case result.Problem != nil:
		return r.failed(ctx, t.begun, r.room.Now(), result)
	}
	return r.noRoom(ctx, c, now, result.Free, result.Full)
}

// attempt is the issuance.Journal of one attempt: the status.
type attempt struct {
	*Reconciler
	now   time.Time
	begun certificates.Certificate // what is at work

	mu   sync.Mutex
	seen certificates.Certificate // as last written; its spec may be newer than the one at work
}

// Begin implements issuance.Journal.
func (t *attempt) Begin(ctx context.Context) (certificates.Certificate, error) {
	c, err := t.answer(ctx, t.seen, func(c *certificates.Certificate) {
		started := t.now.UTC()
		c.Status.StartedAt, c.Status.Step, c.Status.NextAttempt = &started, certificates.StepOrder, nil
		c.Status.Interrupted++
		t.settle(c, t.now)
	})
	if err == nil {
		t.seen, t.begun = c, c
	}
	return c, err
}

// Note implements issuance.Journal.
func (t *attempt) Note(ctx context.Context, change func(*certificates.Status)) error {
	return t.change(ctx, func(c *certificates.Certificate) { change(&c.Status) })
}

// change writes something of the attempt under way.
func (t *attempt) change(ctx context.Context, change func(*certificates.Certificate)) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	c, err := t.write(ctx, t.seen, change)
	if err == nil {
		t.seen = c
	}
	return err
}

// take puts what was issued into use, or holds it back.
func (t *attempt) take(ctx context.Context, got *issuance.Issued) (time.Duration, error) {
	c, leaf, now := got.For, got.Chain[0], got.At
	// The staple comes with the certificate, where the CA has one at once.
	staple, checkAt := t.firstStaple(ctx, leaf, got.Chain, now)
	spec, revision := c.Spec, c.Revision
	held := t.room.Revocation != nil && holdsBack(c.Status, leaf, staple, now)
	err := t.change(ctx, func(c *certificates.Certificate) {
		st := &c.Status
		st.Failures, st.FailedAt, st.LastError, st.NextAttempt, st.Interrupted = 0, nil, nil, nil, 0
		st.Step, st.StartedAt, st.Issued, st.Observed, st.Orders = "", nil, got.Number, revision, got.Others
		if held {
			fresh := got.Held
			fresh.AskAt = now.Add(heldFirst).UTC().Truncate(time.Second)
			st.Held = &fresh
		} else {
			t.adopt(c, got.Held, leaf, staple, checkAt, now)
		}
		t.settle(c, now)
	})
	if err != nil {
		return 0, err
	}
	c = t.seen
	c.Spec, c.Revision = spec, revision // what was answered; what is newer has its own look
	if got.Ordered {
		t.orders.Forget(ctx, got)
	}
	t.log.Info("issued", "certificate", c.ID, "domain", c.Name, "issuer", c.Status.Issuer, "not_after", leaf.NotAfter, "renew_at", c.Status.RenewAt)
	t.forgetOlder(ctx, c)
	return t.keep(ctx, c, now)
}

// noRoom waits until a CA may be asked again. It is no failure: nothing was
// tried.
func (r *Reconciler) noRoom(ctx context.Context, c certificates.Certificate, now, free time.Time, why string) (time.Duration, error) {
	// Thousands may wait for the same place: they must not come at once, nor all
	// again for each place that is taken. What is pressing comes first.
	spread := 10 * time.Minute
	if readiness.Pressure(c, now) > authority.Regular && c.Status.NotAfter != nil {
		spread = time.Minute
		// It may use more of the budget, the nearer its end.
		if soon := now.Add(max(c.Status.NotAfter.Sub(now)/20, time.Minute)); soon.Before(free) {
			free = soon
		}
	}
	free = free.Add(time.Duration(r.random() * float64(spread))).UTC().Truncate(time.Second)
	request := c.Spec.Request
	_, err := r.answer(ctx, c, func(c *certificates.Certificate) {
		st := &c.Status
		st.Step, st.StartedAt, st.Interrupted, st.NextAttempt = "", nil, 0, &free
		st.LastError = &certificates.Problem{Reason: certificates.ReasonBudget, Message: why, Fix: "nothing needs to be done: it goes on by itself"}
		st.Request = request
		r.settle(c, now)
	})
	r.log.Info("waiting for room at the CA", "certificate", c.ID, "domain", c.Name, "until", free, "why", why)
	return wait(now, free), err
}

// workAgain is when an order that the CA works on is looked at again, if the CA
// does not say.
const workAgain = time.Minute

// working waits for a CA that has the order. It is no failure, and no worker waits
// with it.
func (r *Reconciler) working(ctx context.Context, c certificates.Certificate, now time.Time, result issuance.Result) (time.Duration, error) {
	problem := result.Working
	next := now.Add(max(problem.RetryAfter, workAgain)).UTC().Truncate(time.Second)
	_, err := r.answer(ctx, c, func(c *certificates.Certificate) {
		c.Status.Interrupted, c.Status.NextAttempt, c.Status.Orders = 0, &next, result.Orders
		r.settle(c, now)
	})
	r.log.Info("the CA is still at work", "certificate", c.ID, "domain", c.Name, "until", next, "what", problem.Message)
	return wait(now, next), err
}

// failed notes a failure and when the next attempt is.
func (r *Reconciler) failed(ctx context.Context, c certificates.Certificate, now time.Time, result issuance.Result) (time.Duration, error) {
	var next time.Time
	request, problem := c.Spec.Request, result.Problem
	c, err := r.answer(ctx, c, func(c *certificates.Certificate) {
		st := &c.Status
		st.Failures++
		st.Interrupted, st.Orders = 0, result.Orders
		// That the CA was away is not held against the name.
		delay := backoff(len(st.FailedAt) + 1)
		if problem.Away {
			delay = min(backoff(st.Failures), 100*time.Minute)
		}
		if problem.Within > 0 {
			delay = min(delay, problem.Within)
		}
		// What would be daily is oftener when little time is left.
		if st.NotAfter != nil && st.NotAfter.After(now) {
			delay = min(delay, max(st.NotAfter.Sub(now)/4, 100*time.Minute))
		}
		// To look whether the CA is there again costs nobody anything.
		if problem.Away && st.NotAfter != nil {
			delay = min(delay, max(st.NotAfter.Sub(now)/20, 5*time.Minute))
		}
		delay = max(delay, problem.RetryAfter)
		next = now.Add(delay).UTC().Truncate(time.Second)
		if !problem.Away {
			st.FailedAt = append(st.FailedAt, now.UTC().Truncate(time.Second))
			st.FailedAt = st.FailedAt[max(0, len(st.FailedAt)-maxFailedAt):]
		}
		p := problem.Problem
		st.LastError, st.NextAttempt, st.Step, st.StartedAt = &p, &next, "", nil
		st.Request = request
		r.settle(c, now)
	})
	if err != nil {
		return 0, err
	}
	r.log.Warn("issuing failed", "certificate", c.ID, "domain", c.Name, "reason", problem.Reason, "error", problem, "cause", problem.Err, "next_attempt", next)
	return wait(now, next), nil
}
