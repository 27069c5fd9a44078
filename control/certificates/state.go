package certificates

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/edgewright/edgewright/control/certificates/pki"
	"github.com/edgewright/edgewright/control/resource"
)

// Reasons of problems that more than one place speaks of.
const (
	ReasonRateLimited = "RateLimited"
	ReasonBadAnswer   = "BadAnswer"
	ReasonBudget      = "Budget" // our own, at the CA
)

// take puts what a leaf says into the status.
func (st *Status) take(leaf *x509.Certificate) {
	notBefore, notAfter := leaf.NotBefore.UTC(), leaf.NotAfter.UTC()
	sum := sha256.Sum256(leaf.Raw)
	st.NotBefore, st.NotAfter = &notBefore, &notAfter
	st.Serial = pki.SerialOf(leaf)
	st.Fingerprint = hex.EncodeToString(sum[:])
	st.Issuer = leaf.Issuer.CommonName
	if st.Issuer == "" && len(leaf.Issuer.Organization) > 0 {
		st.Issuer = leaf.Issuer.Organization[0]
	}
	st.Names = pki.LeafNames(leaf)
	st.MustStaple = pki.MustStaple(leaf)
	switch key := leaf.PublicKey.(type) {
	case *ecdsa.PublicKey:
		st.KeyType = map[string]string{"P-256": string(pki.KeyP256), "P-384": string(pki.KeyP384)}[key.Curve.Params().Name]
		if st.KeyType == "" {
			st.KeyType = "ecdsa " + key.Curve.Params().Name
		}
	case ed25519.PublicKey:
		st.KeyType = string(pki.KeyEd25519)
	case *rsa.PublicKey:
		st.KeyType = fmt.Sprintf("rsa%d", key.N.BitLen())
	}
}

// settle sets state and condition from what the status holds.
func (r *Reconciler) settle(c *Certificate, now time.Time) {
	st := &c.Status
	usable := st.Generation != "" && st.NotAfter != nil
	reason, message, trouble := troubled(c, now)
	switch {
	case usable && !now.Before(*st.NotAfter):
		st.State = StateExpired
		r.ready(c, resource.False, "Expired", "it expired at "+st.NotAfter.Format(time.RFC3339))
	case usable && expiring(c, now):
		st.State = StateExpiring
		r.ready(c, resource.True, "Expiring", "it expires at "+st.NotAfter.Format(time.RFC3339))
	case usable && st.Revoked != nil:
		st.State = StateExpiring
		r.ready(c, resource.False, reason, message)
	case usable && trouble:
		st.State = StateValid
		r.ready(c, resource.True, reason, message)
	case usable:
		st.State = StateValid
		r.ready(c, resource.True, "Valid", "valid until "+st.NotAfter.Format(time.RFC3339))
	case st.Step != "":
		st.State = StateIssuing
		r.ready(c, resource.False, "Issuing", "it is being issued")
	case st.LastError != nil:
		st.State = StateFailed
		r.ready(c, resource.False, st.LastError.Reason, st.LastError.Message+". "+st.LastError.Fix)
	default:
		st.State = StateNone
		r.ready(c, resource.False, "Pending", "it is about to be issued")
	}
}

// expiring reports that time runs out: half of what is left after the renewal
// time has passed, or nobody renews it.
func expiring(c *Certificate, now time.Time) bool {
	st := c.Status
	left := st.NotAfter.Sub(now)
	life := st.NotAfter.Sub(*st.NotBefore)
	if c.Spec.Type == TypeCustom {
		return left < min(30*24*time.Hour, life/3)
	}
	if !c.Spec.AutoRenew {
		return left < life/3
	}
	return left < life/6
}

func (r *Reconciler) ready(c *Certificate, status resource.ConditionStatus, reason, message string) {
	c.Status.Conditions = resource.SetCondition(c.Status.Conditions, resource.Condition{
		Type: Ready, Status: status, Reason: reason, Message: message, Since: r.service.Now().UTC().Truncate(time.Second),
	})
}

// checkIssued checks that an issuer gave what was ordered.
func checkIssued(spec Spec, key crypto.Signer, chainPEM string, now time.Time) ([]*x509.Certificate, error) {
	bad := func(format string, args ...any) error {
		return &IssueError{Problem: Problem{Reason: ReasonBadAnswer, Message: "the CA's certificate is not what was ordered", Detail: fmt.Sprintf(format, args...), Fix: "it is tried again; if it stays so, choose another CA"}}
	}
	chain, err := pki.ParseChain(chainPEM)
	if err != nil {
		return nil, bad("the chain cannot be read: %v", err)
	}
	leaf := chain[0]
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(leaf.PublicKey) {
		return nil, bad("it is for another key")
	}
	for _, name := range spec.Domains {
		if !pki.Covers(pki.LeafNames(leaf), name) {
			return nil, bad("it does not name %s", name)
		}
	}
	if now.After(leaf.NotAfter) || now.Add(time.Hour).Before(leaf.NotBefore) {
		return nil, bad("it is valid from %s to %s; this machine's clock says %s", leaf.NotBefore.UTC().Format(time.RFC3339), leaf.NotAfter.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	for i := 1; i < len(chain); i++ {
		if err := chain[i-1].CheckSignatureFrom(chain[i]); err != nil {
			return nil, bad("certificate %d of the chain did not sign the one before: %v", i+1, err)
		}
	}
	return chain, nil
}
