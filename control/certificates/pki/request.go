package pki

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net"

	"github.com/edgewright/edgewright/fault"
)

// Subject is what a CSR says of who asks, for certificates that name the holder.
type Subject struct {
	CommonName, Organization, Unit, Country, State, Locality string
}

// oidTLSFeature is id-pe-tlsfeature (RFC 7633); its value lists status_request.
var oidTLSFeature = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}

const statusRequest = 5 // RFC 6066

// NewCSR makes a certificate request in DER for names.
func NewCSR(names []string, key crypto.Signer, s Subject, staple bool) ([]byte, error) {
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: s.CommonName}}
	for _, part := range []struct {
		text string
		to   *[]string
	}{
		{s.Organization, &template.Subject.Organization},
		{s.Unit, &template.Subject.OrganizationalUnit},
		{s.Country, &template.Subject.Country},
		{s.State, &template.Subject.Province},
		{s.Locality, &template.Subject.Locality},
	} {
		if part.text != "" {
			*part.to = []string{part.text}
		}
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	if staple {
		value, err := asn1.Marshal([]int{statusRequest})
		if err != nil {
			return nil, err
		}
		template.ExtraExtensions = append(template.ExtraExtensions, pkix.Extension{Id: oidTLSFeature, Value: value})
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		return nil, fault.New(fault.Internal, "the certificate request cannot be made: %w", err)
	}
	return der, nil
}

// MustStaple reports whether a leaf asks for a staple.
func MustStaple(leaf *x509.Certificate) bool {
	for _, e := range leaf.Extensions {
		if !e.Id.Equal(oidTLSFeature) {
			continue
		}
		var features []int
		if _, err := asn1.Unmarshal(e.Value, &features); err != nil {
			return false
		}
		for _, f := range features {
			if f == statusRequest {
				return true
			}
		}
	}
	return false
}
