package certificates

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/edgewright/edgewright/control/certificates/pki"
	"github.com/edgewright/edgewright/control/reconcile"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// kindClaim is the room next door: who holds the claim on a name may have a
// certificate for it.
const kindClaim resource.Kind = "claim"

const (
	attemptTimeout = 3 * time.Minute // of one issuance
	lookAgain      = 12 * time.Hour  // at the latest, whatever is planned
	adviceRetry    = time.Hour       // when a CA's renewal advice could not be had
	maxFailedAt    = 5
	revokeAgain    = 10 * time.Minute
	// manualRetries is how often within an hour a user may have an attempt at
	// once. Let's Encrypt allows five failed validations a name, account and hour.
	manualRetries = 4
)

// Reconciler issues and renews certificates. Only the holder of the lease may
// run it.
type Reconciler struct {
	service *Service
	log     *slog.Logger
	// random returns a number in [0, 1): where in a window a renewal falls.
	random func() float64
	// wrote has, by certificate, the number of the last write of its own.
	wrote sync.Map
}

// NewReconciler returns the reconciler. issuers has TypeLocal and TypeACME, as
// far as the platform has them; the service asks them too, whether an order
// would succeed.
func NewReconciler(s *Service, issuers map[CertType]Issuer, log *slog.Logger) *Reconciler {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s.issuers = issuers
	return &Reconciler{service: s, log: log, random: rand.Float64}
}

// Kinds implements reconcile.Reconciler.
func (r *Reconciler) Kinds() []resource.Kind { return []resource.Kind{Kind, kindClaim} }

// Route implements reconcile.Router: what it has written itself needs no other
// look, for the look that wrote it has said when the next one is due.
func (r *Reconciler) Route(event resource.Event) []reconcile.Ref {
	of := event.Resource
	if event.Type == resource.Status && of.Kind == Kind {
		if seq, own := r.wrote.Load(of.ID); own && seq == of.Seq {
			return nil
		}
	}
	return []reconcile.Ref{{Kind: of.Kind, ID: of.ID}}
}

// Workers implements reconcile.Parallel: an order takes seconds, and one whose
// name leads nowhere takes minutes, which others must not wait for.
func (r *Reconciler) Workers() int { return 64 }

// Reconcile moves one certificate to what its spec wants, or those that wait for
// a claim.
func (r *Reconciler) Reconcile(ctx context.Context, ref reconcile.Ref) (time.Duration, error) {
	if ref.Kind == kindClaim {
		return 0, r.claimed(ctx, ref.ID)
	}
	c, err := r.load(ctx, ref.ID)
	if fault.Is(err, fault.NotFound) {
		r.wrote.Delete(ref.ID)
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return r.certificate(ctx, c)
}

// claimed looks at the certificate of a name whose claim has changed hands. The
// claim itself tells project and environment; when it is gone, the hourly look
// finds it.
func (r *Reconciler) claimed(ctx context.Context, id string) error {
	claim, err := r.service.Store.Get(ctx, kindClaim, id)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	decoded, err := resource.Decode[struct {
		Project     string `json:"project_id"`
		Environment string `json:"environment"`
	}, struct{}](claim)
	if err != nil {
		return err
	}
	found, err := r.service.find(ctx, decoded.Spec.Project, decoded.Spec.Environment, claim.Name)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	c, err := decode(found)
	if err != nil || c.Status.State != StateNone {
		return err
	}
	// Only a touch of the status, so that the certificate's own ref, which is
	// never worked on twice at a time, does the rest.
	_, err = r.put(ctx, c, func(c *Certificate) { c.Status.Observed = 0 })
	return err
}

func (r *Reconciler) load(ctx context.Context, id string) (Certificate, error) {
	stored, err := r.service.Store.Get(ctx, Kind, id)
	if err != nil {
		return Certificate{}, err
	}
	return decode(stored)
}

// certificate is the whole decision, in the order of the package's phases.
func (r *Reconciler) certificate(ctx context.Context, c Certificate) (time.Duration, error) {
	if missing, err := r.unowned(ctx, c); err != nil {
		return 0, err
	} else if missing != "" {
		_, err := r.answer(ctx, c, func(c *Certificate) {
			c.Status.State, c.Status.Step, c.Status.StartedAt, c.Status.NextAttempt = StateNone, "", nil, nil
			r.ready(c, resource.False, "DomainNotVerified", fmt.Sprintf("%s is not verified in this project and environment: verify it, and the certificate follows", missing))
		})
		return time.Hour, err
	}
	now := r.service.Now()
	c, err := r.revokeSuperseded(ctx, c, now)
	if err != nil {
		return 0, err
	}
	if c.Spec.Type == TypeExternal {
		_, err := r.answer(ctx, c, func(c *Certificate) {
			c.Status = Status{State: StateExternal, Issued: c.Status.Issued, Superseded: c.Status.Superseded, Events: c.Status.Events, Conditions: c.Status.Conditions}
			r.ready(c, resource.Unknown, "External", "TLS ends before our edges; nothing is issued here")
		})
		return 0, err
	}
	if r.effective(c, now) == TypeCustom {
		return r.custom(ctx, c)
	}
	if revoked, err := r.revoke(ctx, c); err == nil {
		c = revoked
	} else {
		r.log.Warn("a certificate could not be revoked; it is tried again", "certificate", c.ID, "error", err)
	}
	if c, err = r.release(ctx, c, now); err != nil {
		return 0, err
	}
	why := r.due(c, now)
	if why == "" || c.Status.Held != nil {
		return r.keep(ctx, c, now)
	}
	if at := r.allowedAt(c, now); at.After(now) {
		again, err := r.keepWaiting(ctx, c, now, at)
		return again, err
	}
	return r.issue(ctx, c, now, why)
}

// keepWaiting looks after a certificate whose next attempt is not allowed yet:
// what is served until then still wants its staple.
func (r *Reconciler) keepWaiting(ctx context.Context, c Certificate, now, at time.Time) (time.Duration, error) {
	standing := r.stands(ctx, c, now)
	c, err := r.answer(ctx, c, func(c *Certificate) {
		standing(&c.Status)
		r.settle(c, now)
		c.Status.NextAttempt = &at
	})
	next := at
	if c.Status.CheckAt != nil && c.Status.CheckAt.After(now) && c.Status.CheckAt.Before(next) {
		next = *c.Status.CheckAt
	}
	return wait(now, next), err
}

// effective is the type of certificate that is wanted now: a custom one that is
// to be taken over becomes automatic when its end is near, and stays so until
// another is uploaded.
func (r *Reconciler) effective(c Certificate, now time.Time) CertType {
	if c.Spec.Type != TypeCustom {
		return c.Spec.Type
	}
	st := c.Status
	automatic := r.service.Mode.resolve(TypeAuto, c.Spec.Domains)
	if !c.Spec.Takeover {
		return TypeCustom
	}
	if st.TakenOver == c.Spec.Upload {
		return automatic
	}
	if st.Generation == uploadGeneration(c.Spec.Upload) && st.NotAfter != nil && (expiring(&c, now) || st.Revoked != nil) {
		return automatic
	}
	return TypeCustom
}

// unowned returns the first name that the project may not have a certificate
// for.
func (r *Reconciler) unowned(ctx context.Context, c Certificate) (string, error) {
	for _, name := range c.Spec.Domains {
		owned, err := r.service.owned(ctx, c.Project, c.Environment, name)
		if err != nil {
			return "", err
		}
		if !owned {
			return name, nil
		}
	}
	return "", nil
}

// due says why a certificate has to be issued, or "".
func (r *Reconciler) due(c Certificate, now time.Time) string {
	st := c.Status
	switch {
	case st.Generation == "" || st.NotAfter == nil:
		return "first"
	case st.IssuedType != r.effective(c, now):
		return "issuer changed"
	case st.Revoked != nil:
		return "revoked"
	case toRevoke(c) && c.Spec.Revoke.Serial == st.Serial:
		return "to be revoked"
	case st.Replacement != "":
		return "replacement"
	case c.Spec.Authority != "" && st.IssuedType == TypeACME && st.Authority != "" && st.Authority != c.Spec.Authority:
		return "CA changed"
	case c.Spec.Request > st.Request:
		return "asked for"
	case st.KeyType != "" && c.Spec.KeyType != "" && st.KeyType != string(c.Spec.KeyType):
		return "key type changed"
	case st.Failures > 0:
		return "again" // what was wanted then is still wanted
	}
	for _, name := range c.Spec.Domains {
		if !pki.Covers(st.Names, name) {
			return "names changed"
		}
	}
	if renews(c) && st.RenewAt != nil && !now.Before(*st.RenewAt) {
		return "renewal"
	}
	return ""
}

// renews reports whether a certificate is renewed by itself.
func renews(c Certificate) bool {
	return c.Spec.AutoRenew || c.Spec.Type == TypeCustom && c.Spec.Takeover
}

// allowedAt returns when the next attempt may be made, now or earlier when it
// may at once. It reads only the status, so that a restart changes nothing.
func (r *Reconciler) allowedAt(c Certificate, now time.Time) time.Time {
	st := c.Status
	if c.Spec.Request > st.Request && !heldByCA(st) {
		// The user has changed something and waits.
		if len(st.FailedAt) < manualRetries {
			return now
		}
		at := st.FailedAt[len(st.FailedAt)-manualRetries].Add(time.Hour)
		if st.NextAttempt != nil && st.NextAttempt.Before(at) {
			return *st.NextAttempt
		}
		return at
	}
	if st.NextAttempt != nil {
		return *st.NextAttempt
	}
	// An attempt that a restart cut off may have cost the CA an order: the first
	// is made again at once, then as after failures.
	if st.Interrupted > 1 && st.StartedAt != nil {
		return st.StartedAt.Add(backoff(st.Interrupted - 1))
	}
	return now
}

// heldByCA reports that the CA itself said when to come back.
func heldByCA(st Status) bool {
	return st.LastError != nil && (st.LastError.Reason == ReasonRateLimited || st.LastError.Reason == ReasonBudget)
}

// backoff is the wait after so many failures in a row.
func backoff(failures int) time.Duration {
	switch {
	case failures <= 1:
		return time.Minute
	case failures == 2:
		return 10 * time.Minute
	case failures == 3:
		return 100 * time.Minute
	default:
		return 24 * time.Hour
	}
}

// keep looks after a certificate that is as wanted: advice on renewal, state.
func (r *Reconciler) keep(ctx context.Context, c Certificate, now time.Time) (time.Duration, error) {
	advice, standing := r.advise(ctx, c, now), r.stands(ctx, c, now)
	c, err := r.answer(ctx, c, func(c *Certificate) {
		advice(&c.Status)
		standing(&c.Status)
		c.Status.Step, c.Status.StartedAt, c.Status.Interrupted = "", nil, 0
		r.settle(c, now)
	})
	if err != nil {
		return 0, err
	}
	next := now.Add(lookAgain)
	for _, at := range []*time.Time{c.Status.RenewAt, c.Status.AdviceAt, c.Status.CheckAt, c.Status.NotAfter} {
		if at == c.Status.RenewAt && !renews(c) {
			continue
		}
		if at != nil && at.After(now) && at.Before(next) {
			next = *at
		}
	}
	if c.Status.Revoked != nil {
		return time.Second, nil // replaced at once
	}
	if held := c.Status.Held; held != nil && held.AskAt.Before(next) {
		next = held.AskAt
	}
	if toRevoke(c) && !c.Status.owesSerial(c.Spec.Revoke.Serial) {
		next = now.Add(revokeAgain)
	}
	if at := c.Status.nextRevocation(); !at.IsZero() && at.Before(next) {
		next = at
	}
	return wait(now, next), nil
}

// advise asks the issuer, when it is time, when to renew.
func (r *Reconciler) advise(ctx context.Context, c Certificate, now time.Time) func(*Status) {
	nothing := func(*Status) {}
	a, ok := r.service.issuerOf(ctx, c.Status)
	if !ok {
		return nothing
	}
	advisor, ok := a.Issuer.(RenewalAdvisor)
	if !ok || !renews(c) || c.Status.AdviceAt != nil && now.Before(*c.Status.AdviceAt) {
		return nothing
	}
	leaf, err := r.leaf(ctx, c)
	if err != nil {
		return nothing
	}
	asking, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	window, again, ok, err := advisor.RenewalWindow(asking, leaf)
	switch {
	case err != nil:
		r.log.Warn("the CA's renewal advice could not be had", "certificate", c.ID, "error", err)
		again = adviceRetry
	case !ok:
		again = 24 * time.Hour
	}
	at := now.Add(min(max(again, time.Minute), 24*time.Hour)).UTC().Truncate(time.Second)
	return func(st *Status) {
		st.AdviceAt = &at
		if err != nil || !ok || !window.End.After(window.Start) || st.NotAfter == nil || window.Start.After(*st.NotAfter) {
			return
		}
		if st.Window != nil && st.Window.Start.Equal(window.Start) && st.Window.End.Equal(window.End) {
			return // the time chosen from it stays
		}
		chosen := window.Start.Add(time.Duration(r.random() * float64(window.End.Sub(window.Start)))).UTC().Truncate(time.Second)
		st.Window, st.RenewAt, st.RenewBy = &window, &chosen, renewByARI
	}
}

// leaf reads the certificate in use.
func (r *Reconciler) leaf(ctx context.Context, c Certificate) (*x509.Certificate, error) {
	chain, err := r.chain(ctx, c)
	if err != nil {
		return nil, err
	}
	return chain[0], nil
}

// custom watches an uploaded certificate.
func (r *Reconciler) custom(ctx context.Context, c Certificate) (time.Duration, error) {
	generation := uploadGeneration(c.Spec.Upload)
	b, err := r.service.Bundle(ctx, c.ID, generation)
	if fault.Is(err, fault.NotFound) {
		_, err := r.answer(ctx, c, func(c *Certificate) {
			c.Status = Status{State: StateFailed, LastError: &Problem{Reason: "NotUploaded", Message: "its chain and key are not here", Fix: "upload them again"}}
			r.ready(c, resource.False, "NotUploaded", "its chain and key are not here: upload them again")
		})
		return 0, err
	}
	if err != nil {
		return 0, err
	}
	chain, err := pki.ParseChain(b.ChainPEM)
	if err != nil {
		return 0, err
	}
	now := r.service.Now()
	request := c.Spec.Request
	c, err = r.answer(ctx, c, func(c *Certificate) {
		st := &c.Status
		fresh := Status{Conditions: st.Conditions, Generation: generation, Issued: st.Issued, IssuedType: TypeCustom, Request: request, Superseded: st.Superseded, Events: st.Events}
		if st.Generation == generation {
			fresh.Staple, fresh.CheckAt, fresh.Revoked, fresh.Warned, fresh.IssuedAt, fresh.State = st.Staple, st.CheckAt, st.Revoked, st.Warned, st.IssuedAt, st.State
		} else {
			at := now.UTC().Truncate(time.Second)
			fresh.IssuedAt = &at
		}
		*st = fresh
		st.take(chain[0])
		r.settle(c, now)
	})
	if err != nil {
		return 0, err
	}
	standing := r.stands(ctx, c, now)
	if c, err = r.answer(ctx, c, func(c *Certificate) { standing(&c.Status); r.settle(c, now) }); err != nil {
		return 0, err
	}
	if r.effective(c, now) != TypeCustom {
		return time.Second, nil // it is taken over now
	}
	next := now.Add(lookAgain)
	for _, at := range []*time.Time{c.Status.NotAfter, c.Status.CheckAt} {
		if at != nil && at.After(now) && at.Before(next) {
			next = *at
		}
	}
	if at := c.Status.nextRevocation(); !at.IsZero() && at.Before(next) {
		next = at
	}
	return wait(now, next), nil
}

// wait is the time from now to at, at least a second.
func wait(now, at time.Time) time.Duration { return max(at.Sub(now), time.Second) }

// answer writes what came of looking at seen. The status says which revision and
// request it answers: seen's, also when the spec has changed meanwhile.
func (r *Reconciler) answer(ctx context.Context, seen Certificate, change func(*Certificate)) (Certificate, error) {
	revision := seen.Revision
	return r.write(ctx, seen, func(c *Certificate) {
		change(c)
		c.Status.Observed = revision
	})
}

// write changes the status of the certificate that is being looked at.
func (r *Reconciler) write(ctx context.Context, c Certificate, change func(*Certificate)) (Certificate, error) {
	c, err := r.put(ctx, c, change)
	if err == nil {
		r.wrote.Store(c.ID, c.Seq)
	}
	return c, err
}

// put changes a certificate's status: the change is applied to what was seen,
// and to what is there now when somebody else wrote in between. Most looks change
// nothing, and then nothing is asked of the store.
func (r *Reconciler) put(ctx context.Context, c Certificate, change func(*Certificate)) (Certificate, error) {
	const attempts = 8
	for attempt := 1; ; attempt++ {
		if attempt > 1 {
			var err error
			if c, err = r.load(ctx, c.ID); err != nil {
				return Certificate{}, err
			}
		}
		before, was := c.Status, mustJSON(c.Status)
		before.Events = nil // they are only added to
		change(&c)
		events := transitions(&c, before, r.service.Now())
		status := mustJSON(c.Status)
		if bytes.Equal(was, status) {
			return c, nil
		}
		written, err := r.service.Store.PutStatus(ctx, Kind, c.ID, status, c.Seq)
		if err == nil {
			c.Meta = written.Meta
			for _, e := range events {
				r.log.Info("certificate event", "certificate", c.ID, "domain", c.Name, "event", e.Kind, "message", e.Message)
				if r.service.Observer != nil {
					r.service.Observer.CertificateEvent(ctx, c, e)
				}
			}
			return c, nil
		}
		if attempt == attempts || !fault.Is(err, fault.Stale) {
			return Certificate{}, err
		}
	}
}
