package certs

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"sync"
)

// certificateOrAny is GetCertificate of DNS over TLS. Resolvers send no name, or
// one of a zone that has no certificate, and verify nothing: refused, they would
// ask in the clear (RFC 9539 section 3). So who asks for no name that there is a
// certificate for gets one that means nothing, and only those who look see that.
func (c *chooser) certificateOrAny(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if own, err := c.certificate(hello); own != nil || err != nil {
		return own, err
	}
	attemptOf(hello).Unknown = false
	return unverified()
}

// unverified is made when it is first needed, and kept for the process.
var unverified = sync.OnceValues(func() (*tls.Certificate, error) {
	return selfSign(&x509.Certificate{Subject: pkix.Name{CommonName: "name server, not verified"}})
})
