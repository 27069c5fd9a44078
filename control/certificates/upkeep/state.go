package upkeep

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/certificates/pki"
	"github.com/edgewright/edgewright/control/resource"
)

// take puts what a leaf says into the status.
func take(st *certificates.Status, leaf *x509.Certificate) {
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
func (r *Reconciler) settle(c *certificates.Certificate, now time.Time) {
	st := &c.Status
	usable := st.Generation != "" && st.NotAfter != nil
	reason, message, trouble := troubled(c, now)
	switch {
	case usable && !now.Before(*st.NotAfter):
		st.State = certificates.StateExpired
		r.ready(c, resource.False, "Expired", "it expired at "+st.NotAfter.Format(time.RFC3339))
	case usable && expiring(c, now):
		st.State = certificates.StateExpiring
		r.ready(c, resource.True, "Expiring", "it expires at "+st.NotAfter.Format(time.RFC3339))
	case usable && st.Revoked != nil:
		st.State = certificates.StateExpiring
		r.ready(c, resource.False, reason, message)
	case usable && trouble:
		st.State = certificates.StateValid
		r.ready(c, resource.True, reason, message)
	case usable:
		st.State = certificates.StateValid
		r.ready(c, resource.True, "Valid", "valid until "+st.NotAfter.Format(time.RFC3339))
	case st.Step != "":
		st.State = certificates.StateIssuing
		r.ready(c, resource.False, "Issuing", "it is being issued")
	case st.LastError != nil:
		st.State = certificates.StateFailed
		r.ready(c, resource.False, st.LastError.Reason, st.LastError.Message+". "+st.LastError.Fix)
	default:
		st.State = certificates.StateNone
		r.ready(c, resource.False, "Pending", "it is about to be issued")
	}
}

// expiring reports that time runs out: half of what is left after the renewal
// time has passed, or nobody renews it.
func expiring(c *certificates.Certificate, now time.Time) bool {
	st := c.Status
	left := st.NotAfter.Sub(now)
	life := st.NotAfter.Sub(*st.NotBefore)
	if c.Spec.Type == certificates.TypeCustom {
		return left < min(30*24*time.Hour, life/3)
	}
	if !c.Spec.AutoRenew {
		return left < life/3
	}
	return left < life/6
}

func (r *Reconciler) ready(c *certificates.Certificate, status resource.ConditionStatus, reason, message string) {
	c.Status.Conditions = resource.SetCondition(c.Status.Conditions, resource.Condition{
		Type: certificates.Ready, Status: status, Reason: reason, Message: message, Since: r.room.Now().UTC().Truncate(time.Second),
	})
}

// troubled adds to the condition what a usable certificate lacks.
func troubled(c *certificates.Certificate, now time.Time) (reason, message string, trouble bool) {
	st := c.Status
	switch {
	case st.Revoked != nil && c.Spec.Type == certificates.TypeCustom && st.IssuedType == certificates.TypeCustom:
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
