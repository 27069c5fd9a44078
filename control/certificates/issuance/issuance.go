// Package issuance makes one attempt to obtain a certificate.
//
// Types: Orders, Wanted (which certificate, from what kind of issuer, why), Result:
// Issued, or Problem, or Working (the CA has the order and takes its time), or Free
// (nothing was tried, since no CA has room before then). Interface needed: Journal, to which the attempt tells how far it is.
//
// Phases: CAs in their order -> is there room? -> Journal.Begin -> for each:
// preflight -> rehearsal, the first time -> key and request, or those of the order
// that a crash cut off -> budget spent -> Issuer (whose order is kept in the Vault
// before anything is done for it) -> check what came -> Vault. A failure is
// accounted for at that CA, and the next has its turn, unless it would find the
// same; an order that the first is slow with stays, and is given up once another
// CA has given the certificate.
//
// Nothing of it writes the result into the status: that is for who asked.
package issuance

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/certificates/authority"
	"github.com/edgewright/edgewright/control/certificates/pki"
	"github.com/edgewright/edgewright/control/certificates/readiness"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

const (
	attemptTimeout = 3 * time.Minute // at one CA
	// slowest is how long an order may be on its way before that counts as a failure,
	// so that the user is told and another CA has its turn.
	slowest = time.Hour
)

// Wanted is what an attempt is for.
type Wanted struct {
	Certificate certificates.Certificate
	Type        certificates.CertType // from which issuers
	Why         string                // for the log
	Now         time.Time
}

// Journal is told how far an attempt is.
type Journal interface {
	// Begin notes that an attempt begins, and returns the certificate as it then is.
	Begin(ctx context.Context) (certificates.Certificate, error)
	// Note changes the status meanwhile. It may be called from several goroutines.
	Note(ctx context.Context, change func(*certificates.Status)) error
}

// Result is what came of an attempt: one of the four.
type Result struct {
	Issued  *Issued
	Problem *certificates.IssueError
	Working *certificates.IssueError
	// Free is when a CA may be asked: nothing was tried, for the reason of Full.
	Free time.Time
	Full string
	// Orders are the CAs that have an order which is not over: Status.Orders.
	Orders []string
}

// Issued is a certificate that has come and is in the Vault, but in no status
// yet.
type Issued struct {
	certificates.Held
	For    certificates.Certificate // as it was when the attempt began
	Number int                      // how many were issued with it
	Chain  []*x509.Certificate
	At     time.Time
	// Ordered says that its order is kept: Orders.Forget it when the status is
	// written.
	Ordered bool
	// Others are the CAs that have further orders, to Orders.Abandon then.
	Others []string
}

// Orders makes attempts. Its methods may be called from any goroutine; only one
// attempt for a certificate may be made at a time.
type Orders struct {
	room  certificates.Room
	judge *readiness.Judge
	log   *slog.Logger
}

// New returns what makes attempts.
func New(room certificates.Room, judge *readiness.Judge, log *slog.Logger) *Orders {
	return &Orders{room, judge, log}
}

// Try makes one attempt: at each CA in turn that may be asked, until one gives a
// certificate or says of the names what any other would say too. An error says
// that it was ended, or that something here could not be written: the next
// attempt goes on from there.
func (o *Orders) Try(ctx context.Context, w Wanted, journal Journal) (Result, error) {
	c, now := w.Certificate, w.Now
	authorities, err := o.judge.Authorities(ctx, w.Type, c.Spec.Authority)
	if err != nil {
		return Result{}, err
	}
	if len(authorities) == 0 {
		message, fix := fmt.Sprintf("this platform issues no %s certificates", w.Type), "let the operator start it with --issuer auto, or upload a certificate"
		return Result{Problem: &certificates.IssueError{Away: true, Problem: certificates.Problem{Reason: "NoIssuer", Message: message, Fix: fix}}}, nil
	}
	t := &attempt{Orders: o, Wanted: w, journal: journal, book: o.open(ctx, c.ID)}
	t.book.fit(c)
	// Who finds no room has not begun: of thousands that wait, most do at each look.
	var free time.Time
	var full string
	for len(authorities) > 0 {
		at, reason, err := t.roomAt(ctx, authorities[0])
		if err != nil {
			return Result{}, err
		}
		if !at.After(now) {
			break
		}
		if free.IsZero() || at.Before(free) {
			free, full = at, reason
		}
		authorities = authorities[1:]
	}
	if len(authorities) == 0 {
		return Result{Free: free, Full: full}, nil
	}
	if t.Certificate, err = journal.Begin(ctx); err != nil {
		return Result{}, err
	}
	t.book.abandon(ctx) // what is for something else
	var first *certificates.IssueError
	for i, a := range authorities {
		if i > 0 {
			at, _, err := t.roomAt(ctx, a)
			if err != nil {
				return Result{}, err
			}
			if at.After(now) {
				continue
			}
		}
		issued, problem, err := t.at(ctx, a)
		if err != nil || problem == nil {
			return Result{Issued: issued}, err
		}
		if problem.Working && !t.slow(a) {
			return Result{Working: problem, Orders: t.book.authorities(nil)}, nil
		}
		if first == nil {
			first = problem
		}
		if problem.Invalid {
			break
		}
	}
	return Result{Problem: first, Orders: t.book.authorities(nil)}, nil
}

// attempt is one try, at one or several CAs.
type attempt struct {
	*Orders
	Wanted
	journal Journal
	book    *book
}

// slow reports that the order under way at a CA has been so for long.
func (t *attempt) slow(a certificates.Authority) bool {
	p := t.book.at(a.Name)
	return p != nil && t.room.Now().Sub(p.Made) > slowest
}

// roomAt returns when a CA may be asked. An order that it has already needs no
// room.
func (t *attempt) roomAt(ctx context.Context, a certificates.Authority) (time.Time, string, error) {
	if t.Type == certificates.TypeLocal || t.book.at(a.Name) != nil {
		return time.Time{}, "", nil
	}
	return t.judge.RoomAt(ctx, a, t.Certificate, t.Now, readiness.Pressure(t.Certificate, t.Now))
}

// at tries one CA. It returns a problem when another may be tried.
func (t *attempt) at(ctx context.Context, a certificates.Authority) (*Issued, *certificates.IssueError, error) {
	c := t.Certificate
	bounded, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	order := certificates.Order{
		ID: c.ID, Project: c.Project, Environment: c.Environment, Names: c.Spec.Domains, Profile: c.Spec.Profile, Attempt: c.Status.Failures,
		Cut:      c.Status.Interrupted > 1, // this attempt is counted already
		Progress: func(step string) { t.progress(ctx, step) },
	}
	if t.Type != certificates.TypeLocal {
		if t.room.Preflight != nil && !a.Internal {
			t.progress(ctx, certificates.StepPreflight)
		}
		checks, challenges := t.judge.Checks(bounded, a, c)
		if k, failed := certificates.FirstFailed(checks); failed {
			problem := k.Problem()
			problem.Invalid = k.Authority == "" // another CA would find the same
			return nil, problem, nil
		}
		order.Challenges = challenges
		if problem := t.rehearse(bounded, ctx, a, c, order); problem != nil {
			return nil, problem, nil
		}
	}
	p, err := t.prepare(ctx, a, c)
	if err != nil {
		return nil, nil, err
	}
	order.Key, order.CSR, order.Pending = p.signer, p.CSR, p.Pending
	if t.judge.Renews(a, c) || c.Status.IssuedType == t.Type && (c.Status.Authority == a.Name || c.Status.Authority == "") && c.Status.Generation != "" {
		if chain, err := t.room.InUse(ctx, c); err == nil {
			order.Replaces = chain[0]
		}
	}
	spending, spent := "", authority.Spending{}
	if t.Type != certificates.TypeLocal && p.URL == "" {
		spending = resource.NewID("spend")
		at := t.room.Now() // preflight and rehearsal have taken their time
		spent = authority.Spending{ID: spending, Authority: a.Name, At: at, Wants: authority.Wants(a.Limits, c.Spec.Domains, t.judge.Renews(a, c), readiness.Pressure(c, at))}
		free, err := t.room.Ledger.Spend(ctx, spent)
		if err != nil {
			return nil, nil, err
		}
		if !free.IsZero() { // others were quicker
			return nil, &certificates.IssueError{Away: true, RetryAfter: free.Sub(at), Problem: certificates.Problem{Reason: certificates.ReasonBudget, Message: "the budget at " + a.Name + " is used up", Fix: "nothing needs to be done: it goes on by itself"}}, nil
		}
	}
	order.Keep = func(kept certificates.Pending) error {
		spending = "" // the CA has heard of it
		if p.URL != kept.URL {
			p.Made = t.room.Now().UTC().Truncate(time.Second)
		}
		p.Pending = kept
		return t.book.keep(ctx, p)
	}
	t.log.Info("issuing", "certificate", c.ID, "domain", c.Name, "why", t.Why, "type", t.Type, "authority", a.Name, "taken_up", p.URL != "")
	chainPEM, err := t.contain(bounded, a.Issuer, order)
	if ctx.Err() != nil {
		return nil, nil, ctx.Err() // stopped, or no longer the leader: the next one goes on from here
	}
	if err == nil {
		var got *Issued
		if got, err = t.receive(ctx, c, a, p, chainPEM, t.room.Now()); err == nil {
			return got, nil, nil
		}
	}
	var problem *certificates.IssueError
	if !errors.As(err, &problem) {
		problem = t.explain(bounded, err)
	}
	return nil, problem, t.account(ctx, a, c, p, spending, spent, problem)
}

// account notes what a failure means for this CA: what was not spent, what is to
// be left alone, and an order that is lost.
func (t *attempt) account(ctx context.Context, a certificates.Authority, c certificates.Certificate, p *pendingOrder, spending string, spent authority.Spending, problem *certificates.IssueError) error {
	now := t.room.Now()
	switch {
	case spending != "" && problem.Away:
		if err := t.room.Ledger.Refund(ctx, spending); err != nil {
			return err
		}
	case spent.ID != "" && !problem.Away:
		// An order was made, but no certificate, of which CAs count those of a domain
		// and of the same names.
		if err := t.room.Ledger.Refund(ctx, spent.ID); err != nil {
			return err
		}
		if _, err := t.room.Ledger.Spend(ctx, authority.Spending{ID: resource.NewID("spend"), Authority: a.Name, At: spent.At, Wants: []authority.Want{{Kind: authority.SpentOrders}}}); err != nil {
			return err
		}
	}
	if t.Type == certificates.TypeLocal {
		return nil
	}
	if !problem.Away && p.URL != "" {
		if err := t.book.end(ctx, p); err != nil {
			return err
		}
	}
	switch {
	case problem.Invalid:
		subject := problem.Subject
		if !slices.Contains(c.Spec.Domains, subject) {
			subject = c.Spec.Domains[0]
		}
		_, err := t.room.Ledger.Spend(ctx, authority.Spending{ID: resource.NewID("spend"), Authority: a.Name, At: now, Wants: []authority.Want{{Kind: authority.SpentFailures, Subject: subject}}})
		return err
	case problem.Reason == certificates.ReasonRateLimited:
		// Which limit it is, CAs say in words only: the name's domain waits, and all
		// when it is several domains.
		until := now.Add(max(problem.RetryAfter, time.Hour))
		return t.room.Ledger.Pause(ctx, a.Name, authority.Pause{Subject: authority.RegisteredDomain(c.Spec.Domains[0]), Until: until, Reason: problem.Detail})
	case problem.Away && !problem.Working && problem.RetryAfter > 0 && problem.Reason != certificates.ReasonBudget:
		return t.room.Ledger.Pause(ctx, a.Name, authority.Pause{Until: now.Add(problem.RetryAfter), Reason: problem.Message})
	}
	return nil
}

// rehearse makes the same order at the CA's staging twin before the first one
// of these names, so that what is wrong costs nothing there that counts.
func (t *attempt) rehearse(bounded, ctx context.Context, a certificates.Authority, c certificates.Certificate, order certificates.Order) *certificates.IssueError {
	names := authority.SetOf(c.Spec.Domains)
	if a.Rehearsal == nil || c.Status.Generation != "" || c.Status.Rehearsed == names || t.book.at(a.Name) != nil {
		return nil
	}
	t.progress(ctx, certificates.StepRehearse)
	key, err := pki.NewKey(c.Spec.KeyType)
	if err != nil {
		return t.explain(bounded, err)
	}
	order.Key, order.Progress, order.Profile = key, func(string) {}, ""
	if _, err := t.contain(bounded, a.Rehearsal, order); err != nil {
		var problem *certificates.IssueError
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
	if err := t.journal.Note(ctx, func(st *certificates.Status) { st.Rehearsed = names }); err != nil {
		t.log.Warn("the rehearsal could not be noted", "certificate", c.ID, "error", err)
	}
	return nil
}

// contain keeps an issuer's panic from being mistaken for no attempt at all.
func (o *Orders) contain(ctx context.Context, issuer certificates.Issuer, order certificates.Order) (chainPEM string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the issuer panicked: %v", p)
		}
	}()
	return issuer.Issue(ctx, order)
}

// explain makes a problem of an error that is none.
func (o *Orders) explain(attempt context.Context, err error) *certificates.IssueError {
	switch {
	case attempt.Err() != nil:
		return &certificates.IssueError{Err: err, Away: true, Problem: certificates.Problem{Reason: "Timeout", Message: fmt.Sprintf("the CA did not finish within %s", attemptTimeout), Fix: "nothing needs to be done: it is tried again", Detail: err.Error()}}
	case fault.Is(err, fault.Internal):
		return &certificates.IssueError{Err: err, Problem: certificates.Problem{Reason: "Internal", Message: "issuing failed on our side", Fix: "it is tried again; if it stays so, tell the operator", Detail: err.Error()}}
	default:
		return &certificates.IssueError{Err: err, Away: fault.Is(err, fault.Unavailable), Problem: certificates.Problem{Reason: "Unavailable", Message: err.Error(), Fix: "it is tried again"}}
	}
}

// progress notes a step. It is for people only, so its failure is none.
func (t *attempt) progress(ctx context.Context, step string) {
	if err := t.journal.Note(ctx, func(st *certificates.Status) { st.Step = step }); err != nil && ctx.Err() == nil {
		t.log.Warn("a step could not be noted", "certificate", t.Certificate.ID, "step", step, "error", err)
	}
}

// receive checks what was issued and keeps it.
func (t *attempt) receive(ctx context.Context, c certificates.Certificate, a certificates.Authority, p *pendingOrder, chainPEM string, now time.Time) (*Issued, error) {
	chain, err := checkIssued(c.Spec, p.signer, chainPEM, now)
	if err != nil {
		return nil, err
	}
	t.progress(ctx, certificates.StepStore)
	number, asked := c.Status.Issued+1, c.Spec.AskedBy()
	got := &Issued{For: c, Number: number, Chain: chain, At: now, Ordered: p.URL != "", Others: t.book.authorities(p), Held: certificates.Held{
		Generation: strconv.Itoa(number), Type: t.Type, Authority: a.Name, AuthorityAt: a.Directory, IssuedAt: now.UTC().Truncate(time.Second),
		KeyType: c.Spec.KeyType, Request: c.Spec.Request, Upload: c.Spec.Upload, Asked: &asked,
	}}
	bundle := pki.Bundle{ChainPEM: pki.EncodeChain(chain), KeyDER: p.Key, CSRDER: p.CSR}
	return got, t.room.PutBundle(ctx, c.ID, got.Generation, bundle)
}
