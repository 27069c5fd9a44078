package upkeep

import (
	"context"
	"crypto/x509"
	"strconv"
	"time"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/certificates/pki"
	"github.com/edgewright/edgewright/fault"
)

const (
	heldFirst = 30 * time.Second // a CA signs its first answer soon after the certificate
	heldAgain = 5 * time.Minute
	heldUntil = time.Hour // before the end of the old one, the new one is served whatever it lacks
)

// holdsBack reports that a new certificate has to wait for its staple: clients
// that heed must-staple (RFC 7633) would refuse it, and the old one they take.
func holdsBack(st certificates.Status, leaf *x509.Certificate, staple *certificates.Staple, now time.Time) bool {
	return pki.MustStaple(leaf) && staple == nil && len(leaf.OCSPServer) > 0 &&
		st.Generation != "" && st.Revoked == nil && st.NotAfter != nil && st.NotAfter.After(now.Add(heldUntil))
}

// adopt makes a certificate the one in use.
func (r *Reconciler) adopt(c *certificates.Certificate, fresh certificates.Held, leaf *x509.Certificate, staple *certificates.Staple, checkAt *time.Time, now time.Time) {
	st := &c.Status
	st.Superseded = supersede(*c, now)
	st.Generation, st.IssuedType, st.Authority, st.AuthorityAt = fresh.Generation, fresh.Type, fresh.Authority, fresh.AuthorityAt
	at := fresh.IssuedAt
	st.IssuedAt = &at
	take(st, leaf)
	st.KeyType, st.Asked = string(fresh.KeyType), fresh.Asked
	st.AdviceAt, st.Window, st.Held = nil, nil, nil
	st.Revoked, st.Replacement, st.ReplaceReason, st.Staple, st.CheckAt = nil, "", "", staple, checkAt
	st.Request = fresh.Request
	if c.Spec.Type == certificates.TypeCustom {
		st.TakenOver = fresh.Upload
	}
	renewAt := r.renewalTime(leaf)
	st.RenewAt, st.RenewBy = &renewAt, certificates.RenewByLifetime
}

// release puts a held certificate into use once its staple is there, or the one
// before it is no longer good. What no longer fits the spec is dropped.
func (r *Reconciler) release(ctx context.Context, c certificates.Certificate, now time.Time) (certificates.Certificate, error) {
	held := c.Status.Held
	if held == nil {
		return c, nil
	}
	b, err := r.room.Bundle(ctx, c.ID, held.Generation)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return c, err
	}
	var chain []*x509.Certificate
	if err == nil {
		chain, err = pki.ParseChain(b.ChainPEM)
	}
	if err != nil || !fits(c.Spec, *held, chain[0], now) {
		r.log.Warn("a certificate that was held back is dropped", "certificate", c.ID, "domain", c.Name, "error", err)
		return r.write(ctx, c, func(c *certificates.Certificate) { c.Status.Held = nil })
	}
	if held.AskAt.After(now) && holdsBack(c.Status, chain[0], nil, now) {
		return c, nil
	}
	staple, checkAt := r.firstStaple(ctx, chain[0], chain, now)
	if holdsBack(c.Status, chain[0], staple, now) {
		return r.write(ctx, c, func(c *certificates.Certificate) {
			again := *held
			again.AskAt = now.Add(heldAgain).UTC().Truncate(time.Second)
			c.Status.Held = &again
		})
	}
	revision := c.Revision
	if c, err = r.write(ctx, c, func(c *certificates.Certificate) {
		r.adopt(c, *held, chain[0], staple, checkAt, now)
		c.Status.Observed = revision
		r.settle(c, now)
	}); err != nil {
		return c, err
	}
	r.log.Info("a certificate that was held back is in use", "certificate", c.ID, "domain", c.Name, "stapled", staple != nil)
	r.forgetOlder(ctx, c)
	return c, nil
}

// fits reports that a held certificate is still what is wanted.
func fits(spec certificates.Spec, held certificates.Held, leaf *x509.Certificate, now time.Time) bool {
	for _, name := range spec.Domains {
		if !pki.Covers(pki.LeafNames(leaf), name) {
			return false
		}
	}
	return held.Request >= spec.Request && held.KeyType == spec.KeyType && spec.MustStaple && now.Before(leaf.NotAfter)
}

// forgetOlder deletes the bundle before the last: the last stays for edges that
// have not heard yet, and what is to be revoked until it is.
func (r *Reconciler) forgetOlder(ctx context.Context, c certificates.Certificate) {
	if old := strconv.Itoa(c.Status.Issued - 2); c.Status.Issued > 2 && old != c.Status.Generation && !owes(&c.Status, old) {
		r.forgetBundle(ctx, c.ID, old)
	}
}
