package certificates

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/edgewright/edgewright/control/certificates/authority"
	"github.com/edgewright/edgewright/control/certificates/pki"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// The Status.RenewBy of a time that the CA has chosen, and of one that was
// reckoned from the lifetime.
const (
	renewByARI      = "ari"
	renewByLifetime = "lifetime"
)

// issue makes one attempt: at each CA in turn that may be asked, until one gives
// a certificate or says of the names what any other would say too.
func (r *Reconciler) issue(ctx context.Context, c Certificate, now time.Time, why string) (time.Duration, error) {
	typ := r.effective(c, now)
	authorities, err := r.service.authorities(ctx, typ, c.Spec.Authority)
	if err != nil {
		return 0, err
	}
	if len(authorities) == 0 {
		message, fix := fmt.Sprintf("this platform issues no %s certificates", typ), "let the operator start it with --issuer auto, or upload a certificate"
		if c.Spec.Authority != "" && typ == TypeACME {
			message, fix = fmt.Sprintf("there is no CA named %s", c.Spec.Authority), "name another, or leave it out"
		}
		return r.failed(ctx, c, now, &IssueError{Away: true, Problem: Problem{Reason: "NoIssuer", Message: message, Fix: fix}})
	}
	pending := r.pending(ctx, c)
	// Who finds no room has not begun: of thousands that wait, most do at each look.
	full := func(a Authority) (time.Time, string, error) {
		if typ == TypeLocal || pending != nil && pending.Authority == a.Name {
			return time.Time{}, "", nil
		}
		return r.service.roomAt(ctx, a, c, now, pressure(c, now))
	}
	free, taken := time.Time{}, ""
	for len(authorities) > 0 {
		at, reason, err := full(authorities[0])
		if err != nil {
			return 0, err
		}
		if !at.After(now) {
			break
		}
		if free.IsZero() || at.Before(free) {
			free, taken = at, reason
		}
		authorities = authorities[1:]
	}
	if len(authorities) == 0 {
		return r.noRoom(ctx, c, now, free, taken)
	}
	attempt := &attempt{Reconciler: r, now: now, why: why, typ: typ, pending: pending}
	if c, err = r.answer(ctx, c, func(c *Certificate) {
		started := now.UTC()
		c.Status.StartedAt, c.Status.Step, c.Status.NextAttempt = &started, StepOrder, nil
		c.Status.Interrupted++
		r.settle(c, now)
	}); err != nil {
		return 0, err
	}
	attempt.seen = c
	var first *IssueError
	for i, a := range authorities {
		if i > 0 {
			at, _, err := full(a)
			if err != nil {
				return 0, err
			}
			if at.After(now) {
				continue
			}
		}
		done, problem, err := attempt.at(ctx, a, c)
		if err != nil || problem == nil {
			return done, err
		}
		if first == nil {
			first = problem
		}
		if problem.Invalid {
			break
		}
	}
	return r.failed(ctx, c, r.service.Now(), first)
}

// pressure is how urgent a certificate is.
func pressure(c Certificate, now time.Time) authority.Urgency {
	st := c.Status
	if st.Revoked != nil || st.NotAfter != nil && st.NotBefore != nil && st.NotAfter.Sub(now) < st.NotAfter.Sub(*st.NotBefore)/6 {
		return authority.Pressing
	}
	if st.Replacement != "" {
		return authority.Planned
	}
	return authority.Regular
}

// noRoom waits until a CA may be asked again. It is no failure: nothing was
// tried.
func (r *Reconciler) noRoom(ctx context.Context, c Certificate, now, free time.Time, why string) (time.Duration, error) {
	// Thousands may wait for the same place: they must not come at once, nor all
	// again for each place that is taken. What is pressing comes first.
	spread := 10 * time.Minute
	if pressure(c, now) == authority.Pressing {
		spread = time.Minute
	}
	free = free.Add(time.Duration(r.random() * float64(spread))).UTC().Truncate(time.Second)
	request := c.Spec.Request
	_, err := r.answer(ctx, c, func(c *Certificate) {
		st := &c.Status
		st.Step, st.StartedAt, st.Interrupted, st.NextAttempt = "", nil, 0, &free
		st.LastError = &Problem{Reason: ReasonBudget, Message: why, Fix: "nothing needs to be done: it goes on by itself"}
		st.Request = request
		r.settle(c, now)
	})
	r.log.Info("waiting for room at the CA", "certificate", c.ID, "domain", c.Name, "until", free, "why", why)
	return wait(now, free), err
}

// attempt is one try, at one or several CAs.
type attempt struct {
	*Reconciler
	now     time.Time
	why     string
	typ     CertType
	pending *pendingOrder

	mu   sync.Mutex
	seen Certificate // as last written; its spec may be newer than the one at work
}

// at tries one CA. It returns a problem when another may be tried.
func (t *attempt) at(ctx context.Context, a Authority, c Certificate) (time.Duration, *IssueError, error) {
	bounded, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	order := Order{
		ID: c.ID, Project: c.Project, Environment: c.Environment, Names: c.Spec.Domains, Profile: c.Spec.Profile, Attempt: c.Status.Failures,
		Progress: func(step string) { t.progress(ctx, step) },
	}
	if t.typ != TypeLocal {
		if t.service.Preflight != nil && !a.Internal {
			t.progress(ctx, StepPreflight)
		}
		checks, challenges := t.service.preflight(bounded, a, c)
		if k, failed := firstFailed(checks); failed {
			problem := k.problem()
			problem.Invalid = k.Authority == "" // another CA would find the same
			return 0, problem, nil
		}
		order.Challenges = challenges
		if problem := t.rehearse(bounded, ctx, a, c, order); problem != nil {
			return 0, problem, nil
		}
	}
	p, err := t.prepare(ctx, a, c)
	if err != nil {
		return 0, nil, err
	}
	order.Key, order.CSR, order.Pending = p.signer, p.CSR, p.URL
	if t.service.renews(a, c) || c.Status.IssuedType == t.typ && (c.Status.Authority == a.Name || c.Status.Authority == "") && c.Status.Generation != "" {
		if leaf, err := t.leaf(ctx, c); err == nil {
			order.Replaces = leaf
		}
	}
	spending, spent := "", authority.Spending{}
	if t.typ != TypeLocal && p.URL == "" {
		spending = resource.NewID("spend")
		at := t.service.Now() // preflight and rehearsal have taken their time
		spent = authority.Spending{ID: spending, Authority: a.Name, At: at, Wants: authority.Wants(a.Limits, c.Spec.Domains, t.service.renews(a, c), pressure(c, at))}
		free, err := t.service.Ledger.Spend(ctx, spent)
		if err != nil {
			return 0, nil, err
		}
		if !free.IsZero() { // others were quicker
			return 0, &IssueError{Away: true, RetryAfter: free.Sub(at), Problem: Problem{Reason: ReasonBudget, Message: "the budget at " + a.Name + " is used up", Fix: "nothing needs to be done: it goes on by itself"}}, nil
		}
	}
	order.Keep = func(url string) error {
		spending = "" // the CA has heard of it
		p.URL = url
		return t.keepPending(ctx, c.ID, p)
	}
	t.log.Info("issuing", "certificate", c.ID, "domain", c.Name, "why", t.why, "type", t.typ, "authority", a.Name, "taken_up", p.URL != "")
	chainPEM, err := t.contain(bounded, a.Issuer, order)
	if ctx.Err() != nil {
		return 0, nil, ctx.Err() // stopped, or no longer the leader: the next one goes on from here
	}
	if err == nil {
		var got *received
		if got, err = t.receive(ctx, c, a, p, chainPEM, t.service.Now()); err == nil {
			// What cannot be written now is taken up again from the CA's order.
			done, err := t.take(ctx, c, got)
			return done, nil, err
		}
	}
	var problem *IssueError
	if !errors.As(err, &problem) {
		problem = t.explain(bounded, err)
	}
	return 0, problem, t.account(ctx, a, c, p, spending, spent, problem)
}

// account notes what a failure means for this CA: what was not spent, what is to
// be left alone, and an order that is lost.
func (t *attempt) account(ctx context.Context, a Authority, c Certificate, p *pendingOrder, spending string, spent authority.Spending, problem *IssueError) error {
	now := t.service.Now()
	switch {
	case spending != "" && problem.Away:
		if err := t.service.Ledger.Refund(ctx, spending); err != nil {
			return err
		}
	case spent.ID != "" && !problem.Away:
		// An order was made, but no certificate, of which CAs count those of a domain
		// and of the same names.
		if err := t.service.Ledger.Refund(ctx, spent.ID); err != nil {
			return err
		}
		if _, err := t.service.Ledger.Spend(ctx, authority.Spending{ID: resource.NewID("spend"), Authority: a.Name, At: spent.At, Wants: []authority.Want{{Kind: authority.SpentOrders}}}); err != nil {
			return err
		}
	}
	if t.typ == TypeLocal {
		return nil
	}
	if !problem.Away && p.URL != "" {
		t.dropPending(ctx, c.ID)
	}
	switch {
	case problem.Invalid:
		subject := problem.Subject
		if !slices.Contains(c.Spec.Domains, subject) {
			subject = c.Spec.Domains[0]
		}
		_, err := t.service.Ledger.Spend(ctx, authority.Spending{ID: resource.NewID("spend"), Authority: a.Name, At: now, Wants: []authority.Want{{Kind: authority.SpentFailures, Subject: subject}}})
		return err
	case problem.Reason == ReasonRateLimited:
		// Which limit it is, CAs say in words only: the name's domain waits, and all
		// when it is several domains.
		until := now.Add(max(problem.RetryAfter, time.Hour))
		return t.service.Ledger.Pause(ctx, a.Name, authority.Pause{Subject: authority.RegisteredDomain(c.Spec.Domains[0]), Until: until, Reason: problem.Detail})
	case problem.Away && problem.RetryAfter > 0 && problem.Reason != ReasonBudget:
		return t.service.Ledger.Pause(ctx, a.Name, authority.Pause{Until: now.Add(problem.RetryAfter), Reason: problem.Message})
	}
	return nil
}

// rehearse makes the same order at the CA's staging twin before the first one
// of these names, so that what is wrong costs nothing there that counts.
func (t *attempt) rehearse(bounded, ctx context.Context, a Authority, c Certificate, order Order) *IssueError {
	names := authority.SetOf(c.Spec.Domains)
	if a.Rehearsal == nil || c.Status.Generation != "" || c.Status.Rehearsed == names || t.pending != nil {
		return nil
	}
	t.progress(ctx, StepRehearse)
	key, err := pki.NewKey(c.Spec.KeyType)
	if err != nil {
		return t.explain(bounded, err)
	}
	order.Key, order.Progress, order.Profile = key, func(string) {}, ""
	if _, err := t.contain(bounded, a.Rehearsal, order); err != nil {
		var problem *IssueError
		if !errors.As(err, &problem) {
			problem = t.explain(bounded, err)
		}
		if problem.Away {
			t.log.Warn("the rehearsal could not be held", "certificate", c.ID, "authority", a.Name, "error", problem)
			return nil // a twin that is away holds nothing up
		}
		rehearsed := *problem
		rehearsed.Message = "in the rehearsal, " + rehearsed.Message
		rehearsed.Away, rehearsed.Within = true, 100*time.Minute
		return &rehearsed
	}
	if err := t.note(ctx, func(c *Certificate) { c.Status.Rehearsed = names }); err != nil {
		t.log.Warn("the rehearsal could not be noted", "certificate", c.ID, "error", err)
	}
	return nil
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
		return &IssueError{Err: err, Away: true, Problem: Problem{Reason: "Timeout", Message: fmt.Sprintf("the CA did not finish within %s", attemptTimeout), Fix: "nothing needs to be done: it is tried again", Detail: err.Error()}}
	case fault.Is(err, fault.Internal):
		return &IssueError{Err: err, Problem: Problem{Reason: "Internal", Message: "issuing failed on our side", Fix: "it is tried again; if it stays so, tell the operator", Detail: err.Error()}}
	default:
		return &IssueError{Err: err, Away: fault.Is(err, fault.Unavailable), Problem: Problem{Reason: "Unavailable", Message: err.Error(), Fix: "it is tried again"}}
	}
}

// progress notes a step. It is for people only, so its failure is none.
func (t *attempt) progress(ctx context.Context, step string) {
	if err := t.note(ctx, func(c *Certificate) { c.Status.Step = step }); err != nil && ctx.Err() == nil {
		t.log.Warn("a step could not be noted", "certificate", t.seen.ID, "step", step, "error", err)
	}
}

// note writes something of an attempt under way. An issuer may tell of its
// progress from several goroutines.
func (t *attempt) note(ctx context.Context, change func(*Certificate)) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	c, err := t.write(ctx, t.seen, change)
	if err == nil {
		t.seen = c
	}
	return err
}

// received is a certificate that has come and is in the Vault, but in no status
// yet.
type received struct {
	Held
	number int // how many were issued with it
	chain  []*x509.Certificate
	at     time.Time
	taken  bool // from an order that is to be forgotten
}

// receive checks what was issued and keeps it.
func (t *attempt) receive(ctx context.Context, c Certificate, a Authority, p *pendingOrder, chainPEM string, now time.Time) (*received, error) {
	chain, err := checkIssued(c.Spec, p.signer, chainPEM, now)
	if err != nil {
		return nil, err
	}
	t.progress(ctx, StepStore)
	number := nextNumber(c.Status)
	got := &received{number: number, chain: chain, at: now, taken: p.URL != "", Held: Held{
		Generation: strconv.Itoa(number), Type: t.typ, Authority: a.Name, AuthorityAt: a.Directory, IssuedAt: now.UTC().Truncate(time.Second),
		KeyType: c.Spec.KeyType, Request: c.Spec.Request, Upload: c.Spec.Upload,
	}}
	bundle := pki.Bundle{ChainPEM: pki.EncodeChain(chain), KeyDER: p.Key, CSRDER: p.CSR}
	return got, t.service.putBundle(ctx, c.ID, got.Generation, bundle)
}

// take puts what was received into use, or holds it back.
func (t *attempt) take(ctx context.Context, c Certificate, got *received) (time.Duration, error) {
	leaf, now := got.chain[0], got.at
	// The staple comes with the certificate, where the CA has one at once.
	staple, checkAt := t.firstStaple(ctx, leaf, got.chain, now)
	spec, revision := c.Spec, c.Revision
	held := t.service.Revocation != nil && holdsBack(c.Status, leaf, staple, now)
	err := t.note(ctx, func(c *Certificate) {
		st := &c.Status
		st.Failures, st.FailedAt, st.LastError, st.NextAttempt, st.Interrupted = 0, nil, nil, nil, 0
		st.Step, st.StartedAt, st.Issued, st.Observed = "", nil, got.number, revision
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
	if got.taken {
		t.dropPending(ctx, c.ID)
	}
	t.log.Info("issued", "certificate", c.ID, "domain", c.Name, "issuer", c.Status.Issuer, "not_after", leaf.NotAfter, "renew_at", c.Status.RenewAt)
	t.forgetOlder(ctx, c)
	return t.keep(ctx, c, now)
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
