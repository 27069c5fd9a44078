package certs

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"sync"
	"time"
)

// certificateOrAny is GetCertificate of DNS over TLS. Resolvers send no name, or
// one of a zone that has no certificate, and verify nothing: refused, they would
// ask in the clear (RFC 9539 section 3.1). So who asks for no name that there is a
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
	key, err := selfKey()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "name server, not verified"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
})
