package revocation

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/url"

	"github.com/edgewright/edgewright/fault"
)

const (
	maxIssuer     = 64 << 10
	maxIssuerURLs = 2 // of those a certificate names
)

// Issuer implements certificates.IssuerFetcher: it fetches the certificate that
// signed another from where that one says it is (RFC 5280 section 4.2.2.1), in DER
// or PEM. What is fetched has signed it, or is not returned.
func (c *Checker) Issuer(ctx context.Context, child *x509.Certificate) (*x509.Certificate, error) {
	var err error = fault.New(fault.NotFound, "it does not say where its issuer's certificate is")
	for i, address := range child.IssuingCertificateURL {
		if i == maxIssuerURLs {
			break
		}
		var issuer *x509.Certificate
		if issuer, err = c.issuerAt(ctx, address, child); err == nil {
			return issuer, nil
		}
	}
	return nil, err
}

func (c *Checker) issuerAt(ctx context.Context, address string, child *x509.Certificate) (*x509.Certificate, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fault.New(fault.Invalid, "%q is not where a certificate can be fetched", address)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fault.New(fault.Invalid, "%q is not where a certificate can be fetched", address)
	}
	body, err := c.fetch(request, maxIssuer)
	if err != nil {
		return nil, err
	}
	if block, _ := pem.Decode(body); block != nil && block.Type == "CERTIFICATE" {
		body = block.Bytes
	}
	issuer, err := x509.ParseCertificate(body)
	if err != nil {
		return nil, fault.New(fault.Invalid, "what %s sends is not a certificate", u.Host)
	}
	if err := child.CheckSignatureFrom(issuer); err != nil {
		return nil, fault.New(fault.Invalid, "the certificate at %s did not sign it", u.Host)
	}
	return issuer, nil
}
