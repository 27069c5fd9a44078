package certificates

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/edgewright/edgewright/fault"
)

// issue makes one attempt.
func (r *Reconciler) issue(ctx context.Context, c Certificate, issuer Issuer, now time.Time, why string) (time.Duration, error) {
	c, err := r.answer(ctx, c, func(c *Certificate) {
		started := now.UTC()
		c.Status.StartedAt, c.Status.Step, c.Status.NextAttempt = &started, StepOrder, nil
		c.Status.Interrupted++
		r.settle(c, now)
	})
	if err != nil {
		return 0, err
	}
	key, err := newKey(c.Spec.KeyType)
	if err != nil {
		return 0, err
	}
	r.log.Info("issuing", "certificate", c.ID, "domain", c.Name, "why", why, "type", c.Spec.Type)
	order := Order{ID: c.ID, Names: c.Spec.Domains, Key: key, Progress: func(step string) { r.progress(ctx, c.ID, step) }}
	if c.Status.IssuedType == c.Spec.Type && c.Status.Generation != "" {
		if leaf, err := r.leaf(ctx, c); err == nil {
			order.Replaces = leaf
		}
	}
	attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	chainPEM, err := r.contain(attempt, issuer, order)
	if ctx.Err() != nil {
		return 0, ctx.Err() // stopped, or no longer the leader: the next one begins anew
	}
	if err == nil {
		var done time.Duration
		if done, err = r.store(ctx, c, key, chainPEM, r.service.Now()); err == nil {
			return done, nil
		}
	}
	var issueErr *IssueError
	if !errors.As(err, &issueErr) {
		issueErr = r.explain(attempt, err)
	}
	return r.failed(ctx, c, r.service.Now(), issueErr)
}

// contain keeps an issuer's panic from being mistaken for no attempt at all.
func (r *Reconciler) contain(ctx context.Context, issuer Issuer, o Order) (chainPEM string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the issuer panicked: %v", p)
		}
	}()
	return issuer.Issue(ctx, o)
}

// explain makes a problem of an error that is none.
func (r *Reconciler) explain(attempt context.Context, err error) *IssueError {
	switch {
	case attempt.Err() != nil:
		return &IssueError{Err: err, Problem: Problem{Reason: "Timeout", Message: fmt.Sprintf("the CA did not finish within %s", attemptTimeout), Fix: "nothing needs to be done: it is tried again", Detail: err.Error()}}
	case fault.Is(err, fault.Internal):
		return &IssueError{Err: err, Problem: Problem{Reason: "Internal", Message: "issuing failed on our side", Fix: "it is tried again; if it stays so, tell the operator", Detail: err.Error()}}
	default:
		return &IssueError{Err: err, Away: fault.Is(err, fault.Unavailable), Problem: Problem{Reason: "Unavailable", Message: err.Error(), Fix: "it is tried again"}}
	}
}

// progress notes a step. It is for people only, so its failure is none.
func (r *Reconciler) progress(ctx context.Context, id, step string) {
	if _, err := r.write(ctx, id, func(c *Certificate) { c.Status.Step = step }); err != nil && ctx.Err() == nil {
		r.log.Warn("a step could not be noted", "certificate", id, "step", step, "error", err)
	}
}

// store checks what came, seals it and puts it into the status.
func (r *Reconciler) store(ctx context.Context, c Certificate, key signer, chainPEM string, now time.Time) (time.Duration, error) {
	chain, err := checkIssued(c.Spec, key, chainPEM, now)
	if err != nil {
		return 0, err
	}
	r.progress(ctx, c.ID, StepStore)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return 0, err
	}
	number := nextNumber(c.Status)
	generation := strconv.Itoa(number)
	if err := r.service.putBundle(ctx, c.ID, generation, Bundle{ChainPEM: encodeChain(chain), KeyDER: der}); err != nil {
		return 0, err
	}
	leaf := chain[0]
	spec := c.Spec
	c, err = r.answer(ctx, c, func(c *Certificate) {
		st := &c.Status
		st.Generation, st.Issued, st.IssuedType = generation, number, spec.Type
		st.take(leaf)
		st.KeyType = string(spec.KeyType)
		st.Failures, st.FailedAt, st.LastError, st.NextAttempt, st.Interrupted = 0, nil, nil, nil, 0
		st.Step, st.StartedAt, st.AdviceAt, st.Window = "", nil, nil, nil
		st.Request = spec.Request
		at := r.renewalTime(leaf)
		st.RenewAt, st.RenewBy = &at, "lifetime"
		r.settle(c, now)
	})
	if err != nil {
		return 0, err
	}
	r.log.Info("issued", "certificate", c.ID, "domain", c.Name, "issuer", c.Status.Issuer, "not_after", leaf.NotAfter, "renew_at", c.Status.RenewAt)
	// The one before stays for edges that have not heard yet; what is older goes.
	if number > 2 {
		if err := r.service.Vault.DeleteSecret(ctx, bundleName(c.ID, strconv.Itoa(number-2))); err != nil && !fault.Is(err, fault.NotFound) {
			r.log.Warn("an old key could not be deleted", "certificate", c.ID, "generation", number-2, "error", err)
		}
	}
	return r.keep(ctx, c, now)
}

func nextNumber(st Status) int { return st.Issued + 1 }

// renewalTime is at two thirds of the lifetime, less up to a twentieth of it, so
// that certificates issued together are not renewed together.
func (r *Reconciler) renewalTime(leaf *x509.Certificate) time.Time {
	life := leaf.NotAfter.Sub(leaf.NotBefore)
	at := leaf.NotBefore.Add(life * 2 / 3)
	return at.Add(-time.Duration(r.random() * float64(life/20))).UTC().Truncate(time.Second)
}

// failed notes a failure and when the next attempt is.
func (r *Reconciler) failed(ctx context.Context, c Certificate, now time.Time, problem *IssueError) (time.Duration, error) {
	var next time.Time
	request := c.Spec.Request
	c, err := r.answer(ctx, c, func(c *Certificate) {
		st := &c.Status
		st.Failures++
		st.Interrupted = 0
		delay := backoff(st.Failures)
		if problem.Away {
			delay = min(delay, 100*time.Minute)
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
