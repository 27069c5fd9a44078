package upkeep

import (
	"context"
	"crypto/x509"
	"time"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/certificates/pki"
)

const (
	lookAgain   = 12 * time.Hour // at the latest, whatever is planned
	adviceRetry = time.Hour      // when a CA's renewal advice could not be had
	maxFailedAt = 5
	revokeAgain = 10 * time.Minute
	// manualRetries is how often within an hour a user may have an attempt at
	// once. Let's Encrypt allows five failed validations a name, account and hour.
	manualRetries = 4
)

// placed is a certificate without the CA that it names when nothing is ordered
// there any more: then any of the others is as good.
func (r *Reconciler) placed(ctx context.Context, c certificates.Certificate) (certificates.Certificate, error) {
	if c.Spec.Authority == "" || c.Spec.Authority == c.Status.Authority {
		return c, nil
	}
	ordered, err := r.judge.Orders(ctx, c.Spec.Authority)
	if !ordered {
		c.Spec.Authority = ""
	}
	return c, err
}

// due says why a certificate has to be issued, or "".
func (r *Reconciler) due(c certificates.Certificate, now time.Time) string {
	st := c.Status
	switch {
	case st.Generation == "" || st.NotAfter == nil:
		return "first"
	case st.IssuedType != r.effective(c, now):
		return "issuer changed"
	case st.Revoked != nil:
		return "revoked"
	case certificates.ToRevoke(c) && c.Spec.Revoke.Serial == st.Serial:
		return "to be revoked"
	case st.Replacement != "":
		return "replacement"
	case c.Spec.Authority != "" && st.IssuedType == certificates.TypeACME && st.Authority != "" && st.Authority != c.Spec.Authority:
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
	if st.Asked != nil {
		switch asked := c.Spec.AskedBy(); {
		case st.Asked.Names != asked.Names:
			return "names changed"
		case st.Asked.MustStaple != asked.MustStaple:
			return "must-staple changed"
		case st.Asked.Profile != asked.Profile && st.IssuedType == certificates.TypeACME:
			return "profile changed"
		}
	}
	if renews(c) && st.RenewAt != nil && !now.Before(*st.RenewAt) {
		return "renewal"
	}
	return ""
}

// renews reports whether a certificate is renewed by itself.
func renews(c certificates.Certificate) bool {
	return c.Spec.AutoRenew || c.Spec.Type == certificates.TypeCustom && c.Spec.Takeover
}

// allowedAt returns when the next attempt may be made, now or earlier when it
// may at once. It reads only the status, so that a restart changes nothing.
func (r *Reconciler) allowedAt(c certificates.Certificate, now time.Time) time.Time {
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
func heldByCA(st certificates.Status) bool {
	return st.LastError != nil && (st.LastError.Reason == certificates.ReasonRateLimited || st.LastError.Reason == certificates.ReasonBudget)
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
func (r *Reconciler) keep(ctx context.Context, c certificates.Certificate, now time.Time) (time.Duration, error) {
	advice, standing, orders := r.advise(ctx, c, now), r.stands(ctx, c, now), r.unwanted(ctx, c)
	c, err := r.answer(ctx, c, func(c *certificates.Certificate) {
		advice(&c.Status)
		standing(&c.Status)
		c.Status.Step, c.Status.StartedAt, c.Status.Interrupted, c.Status.Orders = "", nil, 0, orders
		r.settle(c, now)
	})
	if err != nil {
		return 0, err
	}
	next := now.Add(lookAgain)
	if len(orders) > 0 {
		next = now.Add(abandonAgain)
	}
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
	if certificates.ToRevoke(c) && !owesSerial(&c.Status, c.Spec.Revoke.Serial) {
		next = now.Add(revokeAgain)
	}
	if at := nextRevocation(&c.Status); !at.IsZero() && at.Before(next) {
		next = at
	}
	return wait(now, next), nil
}

// advise asks the issuer, when it is time, when to renew.
func (r *Reconciler) advise(ctx context.Context, c certificates.Certificate, now time.Time) func(*certificates.Status) {
	nothing := func(*certificates.Status) {}
	a, ok := r.judge.IssuerOf(ctx, c.Status)
	if !ok {
		return nothing
	}
	advisor, ok := a.Issuer.(certificates.RenewalAdvisor)
	if !ok || !renews(c) || c.Status.AdviceAt != nil && now.Before(*c.Status.AdviceAt) {
		return nothing
	}
	chain, err := r.room.InUse(ctx, c)
	if err != nil {
		return nothing
	}
	asking, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	window, again, ok, err := advisor.RenewalWindow(asking, chain[0])
	switch {
	case err != nil:
		r.log.Warn("the CA's renewal advice could not be had", "certificate", c.ID, "error", err)
		again = adviceRetry
	case !ok:
		again = 24 * time.Hour
	}
	at := now.Add(min(max(again, time.Minute), 24*time.Hour)).UTC().Truncate(time.Second)
	return func(st *certificates.Status) {
		st.AdviceAt = &at
		if err != nil || !ok || !window.End.After(window.Start) || st.NotAfter == nil || window.Start.After(*st.NotAfter) {
			return
		}
		if st.Window != nil && st.Window.Start.Equal(window.Start) && st.Window.End.Equal(window.End) {
			return // the time chosen from it stays
		}
		chosen := window.Start.Add(time.Duration(r.random() * float64(window.End.Sub(window.Start)))).UTC().Truncate(time.Second)
		st.Window, st.RenewAt, st.RenewBy = &window, &chosen, certificates.RenewByARI
	}
}

// renewalTime is at two thirds of the lifetime, less up to a twentieth of it, so
// that certificates issued together are not renewed together.
func (r *Reconciler) renewalTime(leaf *x509.Certificate) time.Time {
	life := leaf.NotAfter.Sub(leaf.NotBefore)
	at := leaf.NotBefore.Add(life * 2 / 3)
	return at.Add(-time.Duration(r.random() * float64(life/20))).UTC().Truncate(time.Second)
}
