package certificates

import (
	"context"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/edgewright/edgewright/control/certificates/pki"
)

// IssuerFetcher fetches the certificate that signed another, where a chain lacks
// it; certificates/revocation has one.
type IssuerFetcher interface {
	Issuer(ctx context.Context, child *x509.Certificate) (*x509.Certificate, error)
}

const (
	maxFetched   = 3 // intermediates that a chain may lack
	fetchTimeout = 10 * time.Second
)

// check checks what was uploaded, and completes a chain that lacks intermediates:
// browsers that have not seen them elsewhere would refuse it.
func (s *Service) check(ctx context.Context, name, chainPEM, keyPEM string) (pki.Bundle, []string, error) {
	b, warnings, err := pki.Check(name, chainPEM, keyPEM, s.Now())
	if err != nil || s.Issuers == nil {
		return b, warnings, err
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	var told []string
	for range maxFetched {
		chain, err := pki.ParseChain(b.ChainPEM)
		if err != nil {
			return b, nil, err
		}
		last := chain[len(chain)-1]
		if pki.Anchored(chain, s.Now()) || len(last.IssuingCertificateURL) == 0 {
			break
		}
		issuer, err := s.Issuers.Issuer(ctx, last)
		if err != nil {
			told = append(told, fmt.Sprintf("the certificate that signed %q could not be fetched from where it should be: %v", last.Subject.CommonName, err))
			break
		}
		if pki.SelfSigned(issuer) {
			break // a root: who trusts it has it
		}
		fuller, more, err := pki.Check(name, b.ChainPEM+pki.EncodeChain([]*x509.Certificate{issuer}), keyPEM, s.Now())
		if err != nil {
			told = append(told, fmt.Sprintf("the chain could not be completed by %q: %v", issuer.Subject.CommonName, err))
			break
		}
		b, warnings = fuller, more
		told = append(told, fmt.Sprintf("the intermediate %q was missing and was fetched from its CA", issuer.Subject.CommonName))
	}
	return b, append(warnings, told...), nil
}
