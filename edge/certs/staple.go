package certs

import (
	"crypto/x509"
	"encoding/asn1"
	"time"

	"golang.org/x/crypto/ocsp"
)

// setStaple takes over a response that is for this leaf, says good and is signed
// by its issuer. Another is left out: a certificate is better served without a
// staple than not at all, and who looks at it (edge/node) reports it where a
// staple is a must.
func (e *Entry) setStaple(leaf *x509.Certificate, der []byte) {
	if len(e.issuers) == 0 {
		return
	}
	issuer, err := x509.ParseCertificate([]byte(e.issuers[0].Value()))
	if err != nil {
		return
	}
	r, err := ocsp.ParseResponseForCert(der, leaf, issuer)
	if err != nil || r.Status != ocsp.Good || r.NextUpdate.IsZero() {
		return
	}
	e.staple, e.stapleUntil = der, r.NextUpdate
}

// Stapled reports whether the certificate is served with an OCSP response.
func (e *Entry) Stapled(now time.Time) bool { return e.staple != nil && now.Before(e.stapleUntil) }

var (
	oidTLSFeature  = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}
	featureRequest = 5 // status_request
)

// mustStaple reports whether a leaf has the TLS feature status_request (RFC 7633
// section 4.2.3).
func mustStaple(leaf *x509.Certificate) bool {
	for _, x := range leaf.Extensions {
		if !x.Id.Equal(oidTLSFeature) {
			continue
		}
		var features []int
		if _, err := asn1.Unmarshal(x.Value, &features); err != nil {
			return false
		}
		for _, f := range features {
			if f == featureRequest {
				return true
			}
		}
	}
	return false
}
