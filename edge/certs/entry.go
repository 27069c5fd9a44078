package certs

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unique"

	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
	"github.com/edgewright/edgewright/secrets"
)

// GroupKey is an opened group key of a Keys document.
type GroupKey = [secrets.KeyBytes]byte

// Entry is one certificate in force.
type Entry struct {
	ID          string
	Names       []string // lower-case DNS names, wildcards and IP addresses
	Fingerprint [sha256.Size]byte
	NotAfter    time.Time
	MustStaple  bool // the leaf asks for an OCSP staple (RFC 7633)

	kind        kind
	staple      []byte // OCSP response, nil for none
	stapleUntil time.Time

	leaf    []byte
	issuers []unique.Handle[string] // DER; the same few for thousands of leaves
	sealed  []byte
	group   *GroupKey
	vault   *Vault

	opening sync.Mutex // one goroutine parses
	opened  atomic.Pointer[opened]
	used    atomic.Bool // since the vault's hand last passed
}

// opened is an entry's certificate with its key.
type opened struct {
	certificate *tls.Certificate
	until       time.Time // when its staple has to go; zero: it has none
}

// NewEntry checks a document and returns its entry: the chain parses and begins
// with the leaf of the fingerprint, the leaf covers every name, the key opens
// with the group's key and belongs to the leaf. The error, fault.Invalid or
// fault.Unavailable when the group's key is not held, is the reason of a
// rejection.
func (v *Vault) NewEntry(c *edgeconfig.Certificate, groups map[string]*GroupKey) (*Entry, error) {
	group := groups[c.KeyGroup]
	if group == nil {
		return nil, fault.New(fault.Unavailable, "certificate %s is sealed for group %q, whose key this edge does not hold", c.ID, c.KeyGroup)
	}
	e := &Entry{ID: c.ID, sealed: c.KeySealed, group: group, vault: v}
	leaf, err := e.chain(c)
	if err != nil {
		return nil, err
	}
	if e.Fingerprint = sha256.Sum256(e.leaf); hex.EncodeToString(e.Fingerprint[:]) != c.Fingerprint {
		return nil, fault.New(fault.Invalid, "certificate %s: the leaf of the chain is not the one of its fingerprint", c.ID)
	}
	if len(c.Names) == 0 {
		return nil, fault.New(fault.Invalid, "certificate %s names no host", c.ID)
	}
	for _, name := range c.Names {
		if !covers(leaf, name) {
			return nil, fault.New(fault.Invalid, "certificate %s is not valid for %s", c.ID, name)
		}
		if name = strings.ToLower(name); !slices.Contains(e.Names, name) {
			e.Names = append(e.Names, name)
		}
	}
	key, err := e.key()
	if err != nil {
		return nil, err
	}
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(leaf.PublicKey) {
		return nil, fault.New(fault.Invalid, "certificate %s: the private key belongs to another certificate", c.ID)
	}
	e.NotAfter, e.kind, e.MustStaple = leaf.NotAfter, kindOf(leaf.PublicKey), mustStaple(leaf)
	if len(c.OCSPStaple) > 0 {
		e.setStaple(leaf, c.OCSPStaple)
	}
	return e, nil
}

func (e *Entry) chain(c *edgeconfig.Certificate) (*x509.Certificate, error) {
	rest := []byte(c.ChainPEM)
	var leaf *x509.Certificate
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fault.New(fault.Invalid, "certificate %s: the chain holds a %s block", c.ID, block.Type)
		}
		if leaf != nil {
			e.issuers = append(e.issuers, unique.Make(string(block.Bytes)))
			continue
		}
		parsed, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fault.New(fault.Invalid, "certificate %s: the leaf cannot be parsed: %w", c.ID, err)
		}
		leaf, e.leaf = parsed, block.Bytes
	}
	if leaf == nil {
		return nil, fault.New(fault.Invalid, "certificate %s holds no certificate in its chain", c.ID)
	}
	if len(bytes.TrimSpace(rest)) > 0 {
		return nil, fault.New(fault.Invalid, "certificate %s: the chain ends in something that is not PEM", c.ID)
	}
	return leaf, nil
}

func covers(leaf *x509.Certificate, name string) bool {
	if net.ParseIP(name) == nil && strings.HasPrefix(name, "*.") {
		return slices.ContainsFunc(leaf.DNSNames, func(san string) bool { return strings.EqualFold(san, name) })
	}
	return leaf.VerifyHostname(name) == nil
}

// key unseals and parses the private key.
func (e *Entry) key() (crypto.Signer, error) {
	der, err := secrets.OpenFor(*e.group, e.ID, e.sealed)
	if err != nil {
		return nil, fault.New(fault.Invalid, "certificate %s: its key does not open with the group's key: %w", e.ID, err)
	}
	defer clear(der)
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fault.New(fault.Invalid, "certificate %s: its key cannot be parsed: %w", e.ID, err)
	}
	signer, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, fault.New(fault.Invalid, "certificate %s: its key cannot sign", e.ID)
	}
	return signer, nil
}

// Covers reports whether the certificate is valid for a normalised host name.
func (e *Entry) Covers(host string) bool {
	for _, name := range e.Names {
		if name == host {
			return true
		}
		if strings.HasPrefix(name, "*.") {
			if i := strings.IndexByte(host, '.'); i > 0 && host[i:] == name[1:] {
				return true
			}
		}
	}
	return false
}

// Open returns the certificate with its key, as crypto/tls wants it, and with
// its OCSP staple as long as that is valid.
func (e *Entry) Open(now time.Time) (*tls.Certificate, error) {
	if o := e.opened.Load(); o != nil && o.good(now) {
		if !e.used.Load() {
			e.used.Store(true)
		}
		return o.certificate, nil
	}
	e.opening.Lock()
	defer e.opening.Unlock()
	o := e.opened.Load()
	if o != nil && o.good(now) {
		return o.certificate, nil
	}
	if o != nil { // its staple has expired
		bare := *o.certificate
		bare.OCSPStaple = nil
		e.opened.Store(&opened{certificate: &bare})
		return &bare, nil
	}
	key, err := e.key()
	if err != nil {
		return nil, err
	}
	c := &tls.Certificate{Certificate: [][]byte{e.leaf}, PrivateKey: key}
	for _, issuer := range e.issuers {
		c.Certificate = append(c.Certificate, []byte(issuer.Value()))
	}
	o = &opened{certificate: c}
	if e.Stapled(now) {
		c.OCSPStaple, o.until = e.staple, e.stapleUntil
	}
	e.opened.Store(o)
	e.vault.hold(e)
	return c, nil
}

func (o *opened) good(now time.Time) bool { return o.until.IsZero() || now.Before(o.until) }
