// Package dnssec signs zones: keys, signatures, denial of existence, and what a
// parent needs to know. It is pure: no clock, no I/O, no state but what it is
// given; the room that owns zones keeps keys in the vault and decides when a
// key is published, signs or is announced.
//
//	Sign(previous, zone, keys, policy, now) -> Signed
//	    names -> apex gets DNSKEY, CDS, CDNSKEY -> denial chain -> signatures
//
// Signing is incremental: a set whose records are those of the previous version,
// and whose signatures still live long enough, keeps them. What an edge holds
// is good for Policy.Refresh without the control plane.
package dnssec

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/fault"
)

// Role says what a key signs.
type Role string

// The roles. A CSK is both (RFC 9364 calls it combined).
const (
	CSK Role = "csk"
	KSK Role = "ksk" // DNSKEY, CDS and CDNSKEY sets
	ZSK Role = "zsk" // everything else
)

// The algorithms, by number (RFC 6605, RFC 8080).
const (
	ECDSAP256 = dns.ECDSAP256SHA256
	Ed25519   = dns.ED25519
)

// Key is a signing key and what it is used for at present. A rollover (RFC
// 7583) is a sequence of these three switches: a key is published before it
// signs, and stays published until nothing it signed is cached any more.
type Key struct {
	Role      Role
	Algorithm uint8
	Private   crypto.Signer

	Publish  bool // in the DNSKEY set
	Active   bool // signs
	Announce bool // in the CDS and CDNSKEY sets: the parent shall have a DS of it
}

// Generate makes a key that is published, signs and, unless it is a ZSK, is
// announced. The error is fault.Invalid for an algorithm we do not sign with.
func Generate(role Role, algorithm uint8) (*Key, error) {
	k := &Key{Role: role, Algorithm: algorithm, Publish: true, Active: true, Announce: role != ZSK}
	for k.Private == nil || !k.usable() {
		var err error
		switch algorithm {
		case ECDSAP256:
			k.Private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		case Ed25519:
			_, k.Private, err = ed25519.GenerateKey(rand.Reader)
		default:
			return nil, fault.New(fault.Invalid, "algorithm %d is not one we sign with: choose %d (ECDSA P-256) or %d (Ed25519)", algorithm, ECDSAP256, Ed25519)
		}
		if err != nil {
			return nil, fault.New(fault.Internal, "generating a key: %w", err)
		}
	}
	return k, nil
}

// usable is false for one key of 65,536: a key tag of 0 is good (RFC 4034 appendix
// B), but there are implementations that take it for none at all.
func (k *Key) usable() bool { return k.DNSKEY(".", 0).KeyTag() != 0 }

// Marshal returns the private key as PKCS #8, for the vault.
func (k *Key) Marshal() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k.Private)
	if err != nil {
		return nil, fault.New(fault.Internal, "encoding a key: %w", err)
	}
	return der, nil
}

// Parse reads what Marshal wrote. The algorithm follows from the key; the
// switches are off.
func Parse(role Role, der []byte) (*Key, error) {
	private, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fault.New(fault.Invalid, "no PKCS #8 key: %w", err)
	}
	switch p := private.(type) {
	case *ecdsa.PrivateKey:
		if p.Curve == elliptic.P256() {
			return &Key{Role: role, Algorithm: ECDSAP256, Private: p}, nil
		}
	case ed25519.PrivateKey:
		return &Key{Role: role, Algorithm: Ed25519, Private: p}, nil
	}
	return nil, fault.New(fault.Invalid, "the key is neither ECDSA P-256 nor Ed25519")
}

// DNSKEY is the key's public record. apex is absolute.
func (k *Key) DNSKEY(apex string, ttl uint32) *dns.DNSKEY {
	r := &dns.DNSKEY{Hdr: dns.RR_Header{Name: apex, Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: ttl}, Flags: dns.ZONE, Protocol: 3, Algorithm: k.Algorithm}
	if k.Role != ZSK {
		r.Flags |= dns.SEP
	}
	switch p := k.Private.Public().(type) {
	case *ecdsa.PublicKey:
		if point, err := p.Bytes(); err == nil { // always on the curve
			r.PublicKey = base64.StdEncoding.EncodeToString(point[1:]) // without the byte that says "uncompressed"
		}
	case ed25519.PublicKey:
		r.PublicKey = base64.StdEncoding.EncodeToString(p)
	}
	return r
}

// DS is what the parent shall hold: a SHA-256 digest (RFC 8624 section 3.3).
func (k *Key) DS(apex string, ttl uint32) *dns.DS { return k.DNSKEY(apex, ttl).ToDS(dns.SHA256) }

// signs reports whether the key signs sets of a type at the apex or elsewhere.
func (k *Key) signs(typ uint16, apex bool) bool {
	keys := apex && (typ == dns.TypeDNSKEY || typ == dns.TypeCDS || typ == dns.TypeCDNSKEY)
	return k.Active && (k.Role == CSK || (k.Role == KSK) == keys)
}
