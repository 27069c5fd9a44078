package certificates

import (
	"context"
	"crypto"
	"crypto/x509"
	"strconv"
	"time"

	"github.com/edgewright/edgewright/control/certificates/pki"
	"github.com/edgewright/edgewright/fault"
)

// Standing is what a CA says of a certificate.
type Standing struct {
	Revoked *Revoked // nil: good, as far as is known
	Staple  *Staple  // nil: no responder is named, or it gave no good answer
	AskAt   time.Time
}

// Revocation asks whether certificates are still good; certificates/revocation
// has one.
type Revocation interface {
	// Standing asks the OCSP responder that a certificate names, else looks into
	// the CRL it names. An error says that nothing could be learnt.
	Standing(ctx context.Context, leaf, issuer *x509.Certificate) (Standing, error)
}

const (
	standingTimeout = 20 * time.Second
	standingRetry   = time.Hour // when nothing could be learnt
)

// stands asks, when it is time, whether the certificate in use is still good.
func (r *Reconciler) stands(ctx context.Context, c Certificate, now time.Time) func(*Status) {
	nothing := func(*Status) {}
	st := c.Status
	if r.service.Revocation == nil || st.Generation == "" || st.Revoked != nil || st.CheckAt != nil && now.Before(*st.CheckAt) {
		return nothing
	}
	chain, err := r.chain(ctx, c)
	if err != nil || len(chain) < 2 {
		return nothing // without its issuer nothing can be checked
	}
	staple, checkAt, revoked := r.standing(ctx, c.ID, chain, now)
	return func(st *Status) {
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

func (r *Reconciler) standing(ctx context.Context, id string, chain []*x509.Certificate, now time.Time) (*Staple, time.Time, *Revoked) {
	asking, cancel := context.WithTimeout(ctx, standingTimeout)
	defer cancel()
	s, err := r.service.Revocation.Standing(asking, chain[0], chain[1])
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
func (r *Reconciler) firstStaple(ctx context.Context, leaf *x509.Certificate, chain []*x509.Certificate, now time.Time) (*Staple, *time.Time) {
	if r.service.Revocation == nil || len(chain) < 2 || len(leaf.OCSPServer) == 0 {
		return nil, nil
	}
	staple, at, _ := r.standing(ctx, "", chain, now)
	return staple, &at
}

func (r *Reconciler) chain(ctx context.Context, c Certificate) ([]*x509.Certificate, error) {
	b, err := r.service.Bundle(ctx, c.ID, c.Status.Generation)
	if err != nil {
		return nil, err
	}
	return pki.ParseChain(b.ChainPEM)
}

// toRevoke reports that a wish to revoke is open.
func toRevoke(c Certificate) bool {
	return c.Spec.Revoke != nil && c.Spec.Revoke.Serial != c.Status.RevokedLast
}

// revoke carries out a wish: at once when the certificate could not be replaced,
// else once another is in its place. It tells of its failure and is tried again.
func (r *Reconciler) revoke(ctx context.Context, c Certificate) (Certificate, error) {
	if !toRevoke(c) || c.Status.IssuedType == TypeCustom || c.Status.owesSerial(c.Spec.Revoke.Serial) {
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
	b, err := r.service.Bundle(ctx, c.ID, generation)
	if err == nil {
		err = r.revokeBundle(ctx, c.Status, wish, b)
	}
	if err != nil && !fault.Is(err, fault.NotFound) {
		return c, err
	}
	now := r.service.Now().UTC().Truncate(time.Second)
	r.log.Info("revoked", "certificate", c.ID, "domain", c.Name, "serial", wish.Serial, "reason", wish.Reason)
	return r.write(ctx, c, func(c *Certificate) {
		c.Status.RevokedLast = wish.Serial
		if c.Status.Serial == wish.Serial && c.Status.Revoked == nil {
			c.Status.Revoked = &Revoked{At: now, Reason: wish.Reason, Source: "request"}
		}
	})
}

func (r *Reconciler) revokeBundle(ctx context.Context, st Status, wish RevokeWish, b pki.Bundle) error {
	chain, err := pki.ParseChain(b.ChainPEM)
	if err != nil {
		return err
	}
	if pki.SerialOf(chain[0]) != wish.Serial {
		return fault.New(fault.NotFound, "that certificate is no longer here")
	}
	a, ok := r.service.issuerOf(ctx, st)
	if !ok {
		return fault.New(fault.NotFound, "its CA is no longer set up here")
	}
	revoker, ok := a.Issuer.(Revoker)
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
	return revoker.Revoke(ctx, chain[0], signer, RevocationReasons[wish.Reason])
}

// troubled adds to the condition what a usable certificate lacks.
func troubled(c *Certificate, now time.Time) (reason, message string, trouble bool) {
	st := c.Status
	switch {
	case st.Revoked != nil && c.Spec.Type == TypeCustom && st.IssuedType == TypeCustom:
		return "Revoked", "its CA has revoked it at " + day(&st.Revoked.At) + ": upload another", true
	case st.Revoked != nil:
		return "Revoked", "its CA has revoked it at " + day(&st.Revoked.At) + ": it is being replaced", true
	case st.Held != nil:
		return "AwaitingStaple", "its successor is issued and waits for its OCSP answer, without which clients may refuse it", true
	case st.MustStaple && st.Staple == nil:
		return "StapleMissing", "it must be stapled, and its CA has given no OCSP answer yet: clients may refuse it", true
	}
	return "", "", false
}
