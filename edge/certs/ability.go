package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/tls"
	"slices"
)

// kind is what a leaf's key is, the cheapest to sign with first.
type kind uint8

const (
	kindP256 kind = iota
	kindEd25519
	kindP384
	kindP521
	kindRSA2048
	kindRSA // longer
	kindOther
)

func kindOf(key crypto.PublicKey) kind {
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256():
			return kindP256
		case elliptic.P384():
			return kindP384
		case elliptic.P521():
			return kindP521
		}
	case ed25519.PublicKey:
		return kindEd25519
	case *rsa.PublicKey:
		if key.N.BitLen() <= 2048 {
			return kindRSA2048
		}
		return kindRSA
	}
	return kindOther
}

// fits reports whether a client can verify a signature of such a key. It is
// crypto/tls's SupportsCertificate without what that allocates, and without its
// need of a parsed leaf and an open key.
func (k kind) fits(hello *tls.ClientHelloInfo) bool {
	schemes := hello.SignatureSchemes
	if slices.Contains(hello.SupportedVersions, tls.VersionTLS13) {
		switch k {
		case kindP256:
			return slices.Contains(schemes, tls.ECDSAWithP256AndSHA256)
		case kindP384:
			return slices.Contains(schemes, tls.ECDSAWithP384AndSHA384)
		case kindP521:
			return slices.Contains(schemes, tls.ECDSAWithP521AndSHA512)
		case kindEd25519:
			return slices.Contains(schemes, tls.Ed25519)
		case kindRSA2048, kindRSA:
			return slices.ContainsFunc(schemes, pss)
		}
		return false
	}
	switch k {
	case kindP256:
		return ecdsaFits(hello, tls.CurveP256)
	case kindP384:
		return ecdsaFits(hello, tls.CurveP384)
	case kindP521:
		return ecdsaFits(hello, tls.CurveP521)
	case kindEd25519:
		return slices.Contains(schemes, tls.Ed25519) && slices.ContainsFunc(hello.CipherSuites, ecdsaSuite)
	case kindRSA2048, kindRSA:
		return slices.ContainsFunc(hello.CipherSuites, rsaSuite) &&
			slices.ContainsFunc(schemes, func(s tls.SignatureScheme) bool { return pss(s) || pkcs1(s) })
	}
	return false
}

// ecdsaFits is for TLS 1.2, where signature schemes name no curve and the
// curves are those of the key exchange (RFC 8422 section 5.1).
func ecdsaFits(hello *tls.ClientHelloInfo, curve tls.CurveID) bool {
	return slices.ContainsFunc(hello.CipherSuites, ecdsaSuite) && slices.ContainsFunc(hello.SignatureSchemes, ecdsaScheme) &&
		(len(hello.SupportedCurves) == 0 || slices.Contains(hello.SupportedCurves, curve))
}

func pss(s tls.SignatureScheme) bool {
	return s == tls.PSSWithSHA256 || s == tls.PSSWithSHA384 || s == tls.PSSWithSHA512
}

func pkcs1(s tls.SignatureScheme) bool {
	return s == tls.PKCS1WithSHA256 || s == tls.PKCS1WithSHA384 || s == tls.PKCS1WithSHA512
}

func ecdsaScheme(s tls.SignatureScheme) bool {
	return s == tls.ECDSAWithP256AndSHA256 || s == tls.ECDSAWithP384AndSHA384 || s == tls.ECDSAWithP521AndSHA512
}

// The ciphers of TLS 1.2: AEAD and forward secret.
var suites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

func ecdsaSuite(id uint16) bool {
	return id == tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 || id == tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 ||
		id == tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
}

func rsaSuite(id uint16) bool { return !ecdsaSuite(id) && slices.Contains(suites, id) }
