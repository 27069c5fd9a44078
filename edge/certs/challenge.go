package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// ACMEProtocol is the ALPN of TLS-ALPN-01 (RFC 8737 section 6.2).
const ACMEProtocol = "acme-tls/1"

// Challenge answers TLS-ALPN-01 for one host. Its certificate is made when the
// first CA asks, and kept.
type Challenge struct {
	make func() (*tls.Config, error)
}

// NewChallenge returns the answer of a host, a name or an address, with a key
// authorization.
func NewChallenge(host, keyAuthorization string) *Challenge {
	return &Challenge{sync.OnceValues(func() (*tls.Config, error) { return challengeConfig(host, keyAuthorization) })}
}

// selfKey signs all certificates that a process makes for itself: nobody trusts
// them, and what those of challenges prove is in an extension.
var selfKey = sync.OnceValues(func() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) })

var oidACMEIdentifier = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 31}

// challengeConfig makes the self-signed certificate of RFC 8737 section 3.
func challengeConfig(host, keyAuthorization string) (*tls.Config, error) {
	digest := sha256.Sum256([]byte(keyAuthorization))
	proof, err := asn1.Marshal(digest[:])
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:         pkix.Name{CommonName: "ACME challenge"},
		ExtraExtensions: []pkix.Extension{{Id: oidACMEIdentifier, Critical: true, Value: proof}},
	}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{host}
	}
	own, err := selfSign(template)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, CipherSuites: suites, NextProtos: []string{ACMEProtocol}, SessionTicketsDisabled: true,
		Certificates: []tls.Certificate{*own},
	}, nil
}

// selfSign makes a certificate of a template. Nobody looks at the dates, but a
// clock that is off must not make a library refuse them.
func selfSign(template *x509.Certificate) (*tls.Certificate, error) {
	key, err := selfKey()
	if err != nil {
		return nil, err
	}
	template.SerialNumber = big.NewInt(1)
	template.NotBefore, template.NotAfter = time.Unix(0, 0), time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// challengeHost is the host that a server name stands for: an address is asked
// for by its name in the reverse tree (RFC 8738 section 6).
func challengeHost(name string) string {
	if labels, ok := strings.CutSuffix(name, ".in-addr.arpa"); ok {
		parts := strings.Split(labels, ".")
		if len(parts) != 4 {
			return name
		}
		if ip, err := netip.ParseAddr(parts[3] + "." + parts[2] + "." + parts[1] + "." + parts[0]); err == nil {
			return ip.String()
		}
		return name
	}
	digits, ok := strings.CutSuffix(name, ".ip6.arpa")
	if !ok || len(digits) != 63 {
		return name
	}
	var text strings.Builder
	for i := 62; i >= 0; i -= 2 {
		if text.WriteByte(digits[i]); i%8 == 0 && i > 0 {
			text.WriteByte(':')
		}
	}
	if ip, err := netip.ParseAddr(text.String()); err == nil {
		return ip.String()
	}
	return name
}
