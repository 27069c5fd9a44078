package issuance

import (
	"crypto"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/certificates/pki"
)

// checkIssued checks that an issuer gave what was ordered.
func checkIssued(spec certificates.Spec, key crypto.Signer, chainPEM string, now time.Time) ([]*x509.Certificate, error) {
	bad := func(format string, args ...any) error {
		return &certificates.IssueError{Problem: certificates.Problem{Reason: certificates.ReasonBadAnswer, Message: "the CA's certificate is not what was ordered", Detail: fmt.Sprintf(format, args...), Fix: "it is tried again; if it stays so, choose another CA"}}
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
