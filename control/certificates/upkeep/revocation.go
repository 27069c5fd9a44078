package upkeep

import (
	"context"
	"crypto"
	"crypto/x509"
	"strconv"
	"time"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/certificates/pki"
	"github.com/edgewright/edgewright/fault"
)

const (
	standingTimeout = 20 * time.Second
	standingRetry   = time.Hour // when nothing could be learnt
)

// stands asks, when it is time, whether the certificate in use is still good.
func (r *Reconciler) stands(ctx context.Context, c certificates.Certificate, now time.Time) func(*certificates.Status) {
	nothing := func(*certificates.Status) {}
	st := c.Status
	if r.room.Revocation == nil || st.Generation == "" || st.Revoked != nil || st.CheckAt != nil && now.Before(*st.CheckAt) {
		return nothing
	}
	chain, err := r.room.InUse(ctx, c)
	if err != nil || len(chain) < 2 {
		return nothing // without its issuer nothing can be checked
	}
	staple, checkAt, revoked := r.standing(ctx, c.ID, chain, now)
	return func(st *certificates.Status) {
		st.CheckAt = &checkAt
		st.Revoked = revoked
		switch {
		case revoked != nil:
			st.Staple = nil
		case staple != nil:
			st.Staple = staple
		case st.Staple != nil && !now.Before(st.Staple.NextUpdate):
			st.Staple = nil // better none than an old one
		}
	}
}

func (r *Reconciler) standing(ctx context.Context, id string, chain []*x509.Certificate, now time.Time) (*certificates.Staple, time.Time, *certificates.Revoked) {
	asking, cancel := context.WithTimeout(ctx, standingTimeout)
	defer cancel()
	s, err := r.room.Revocation.Standing(asking, chain[0], chain[1])
	if err != nil {
		r.log.Warn("whether a certificate is still good could not be learnt", "certificate", id, "error", err)
		return nil, now.Add(standingRetry).UTC().Truncate(time.Second), nil
	}
	at := s.AskAt
	if !at.After(now) || at.Sub(now) > 24*time.Hour {
		at = now.Add(lookAgain)
	}
	return s.Staple, at.UTC().Truncate(time.Second), s.Revoked
}

// firstStaple asks for the staple of a certificate that has just come. That
// there is none yet is for the next look.
func (r *Reconciler) firstStaple(ctx context.Context, leaf *x509.Certificate, chain []*x509.Certificate, now time.Time) (*certificates.Staple, *time.Time) {
	if r.room.Revocation == nil || len(chain) < 2 || len(leaf.OCSPServer) == 0 {
		return nil, nil
	}
	staple, at, _ := r.standing(ctx, "", chain, now)
	return staple, &at
}

// revoke carries out a wish: at once when the certificate could not be replaced,
// else once another is in its place. It tells of its failure and is tried again.
func (r *Reconciler) revoke(ctx context.Context, c certificates.Certificate) (certificates.Certificate, error) {
	if !certificates.ToRevoke(c) || c.Status.IssuedType == certificates.TypeCustom || owesSerial(&c.Status, c.Spec.Revoke.Serial) {
		return c, nil
	}
	wish := *c.Spec.Revoke
	inUse := c.Status.Serial == wish.Serial
	if inUse && c.Status.Failures == 0 {
		return c, nil // another is on its way first
	}
	generation := c.Status.Generation
	if !inUse {
		generation = strconv.Itoa(c.Status.Issued - 1)
	}
	b, err := r.room.Bundle(ctx, c.ID, generation)
	if err == nil {
		err = r.revokeBundle(ctx, c.Status, wish, b)
	}
	if err != nil && !fault.Is(err, fault.NotFound) {
		return c, err
	}
	now := r.room.Now().UTC().Truncate(time.Second)
	r.log.Info("revoked", "certificate", c.ID, "domain", c.Name, "serial", wish.Serial, "reason", wish.Reason)
	return r.write(ctx, c, func(c *certificates.Certificate) {
		c.Status.RevokedLast = wish.Serial
		if c.Status.Serial == wish.Serial && c.Status.Revoked == nil {
			c.Status.Revoked = &certificates.Revoked{At: now, Reason: wish.Reason, Source: "request"}
		}
	})
}

func (r *Reconciler) revokeBundle(ctx context.Context, st certificates.Status, wish certificates.RevokeWish, b pki.Bundle) error {
	chain, err := pki.ParseChain(b.ChainPEM)
	if err != nil {
		return err
	}
	if pki.SerialOf(chain[0]) != wish.Serial {
		return fault.New(fault.NotFound, "that certificate is no longer here")
	}
	a, ok := r.judge.IssuerOf(ctx, st)
	if !ok {
		return fault.New(fault.NotFound, "its CA is no longer set up here")
	}
	revoker, ok := a.Issuer.(certificates.Revoker)
	if !ok {
		return nil // the local CA has no lists: that it is replaced is all
	}
	key, err := x509.ParsePKCS8PrivateKey(b.KeyDER)
	if err != nil {
		return err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return fault.New(fault.Internal, "the key of a certificate cannot sign")
	}
	return revoker.Revoke(ctx, chain[0], signer, certificates.RevocationReasons[wish.Reason])
}
