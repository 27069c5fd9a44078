// Package pki is what the room of certificates knows of X.509 alone: keys,
// requests, chains, and the checks of what users upload. It is pure: no store, no
// network, no clock of its own.
//
// Check and ReadPKCS12 take what a user sends and return a Bundle as it is
// served, or an Invalid fault at /chain, /key, /pkcs12 or /password that says how
// to mend it. NewKey and NewCSR make what a CA is sent.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"strings"

	"github.com/edgewright/edgewright/fault"
)

// KeyType is the algorithm of a certificate's key.
type KeyType string

// The key types.
const (
	KeyP256    KeyType = "p256" // the default
	KeyP384    KeyType = "p384"
	KeyEd25519 KeyType = "ed25519" // browsers refuse it: for clients of one's own
	KeyRSA2048 KeyType = "rsa2048"
	KeyRSA3072 KeyType = "rsa3072"
	KeyRSA4096 KeyType = "rsa4096"
)

// KeyTypes lists the key types, the default first.
var KeyTypes = []KeyType{KeyP256, KeyP384, KeyEd25519, KeyRSA2048, KeyRSA3072, KeyRSA4096}

// NewKey makes a private key.
func NewKey(t KeyType) (crypto.Signer, error) {
	switch t {
	case KeyP256, "":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case KeyP384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case KeyEd25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	case KeyRSA2048:
		return rsa.GenerateKey(rand.Reader, 2048)
	case KeyRSA3072:
		return rsa.GenerateKey(rand.Reader, 3072)
	case KeyRSA4096:
		return rsa.GenerateKey(rand.Reader, 4096)
	}
	return nil, fault.New(fault.Invalid, "%q is not a key type", t)
}

// SerialOf writes a serial number as lower-case hex.
func SerialOf(leaf *x509.Certificate) string { return hex.EncodeToString(leaf.SerialNumber.Bytes()) }

// LeafNames are the names that a leaf is valid for, addresses among them.
func LeafNames(leaf *x509.Certificate) []string {
	names := append([]string{}, leaf.DNSNames...)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}

// ParseChain reads a PEM chain, leaf first.
func ParseChain(chainPEM string) ([]*x509.Certificate, error) {
	var chain []*x509.Certificate
	rest := []byte(chainPEM)
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		chain = append(chain, c)
	}
	if len(chain) == 0 {
		return nil, errors.New("no certificate in PEM")
	}
	return chain, nil
}

// EncodeChain is the opposite of ParseChain.
func EncodeChain(chain []*x509.Certificate) string {
	var b strings.Builder
	for _, c := range chain {
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	return b.String()
}

// Bundle is a certificate chain with its private key.
type Bundle struct {
	ChainPEM string `json:"chain_pem"` // leaf first
	KeyDER   []byte `json:"key_der"`   // PKCS #8
	CSRDER   []byte `json:"csr_der,omitempty"`
}
