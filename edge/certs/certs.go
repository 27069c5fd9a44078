// Package certs chooses the certificate of a TLS handshake.
//
//	Entry   one Certificate document, checked; its key stays sealed until needed
//	Table   immutable: server name -> entries, exact names before wildcards
//	Vault   beside the tables: bounds how many keys are held open
//	Config  the TLS settings of an edge around a function that gives the table
//
// A handshake: server name -> Table.Find -> Entry, whose key is unsealed and
// parsed on first use and kept as long as the Vault's bound allows. No entry: no
// certificate is sent and the client sees unrecognized_name (RFC 6066 section 3).
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

	"github.com/edgewright/edgewright/edge/request"
	"github.com/edgewright/edgewright/edge/request/hosts"
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

	leaf    []byte
	issuers []unique.Handle[string] // DER; the same few for thousands of leaves
	sealed  []byte
	group   *GroupKey
	vault   *Vault

	opening sync.Mutex // one goroutine parses
	opened  atomic.Pointer[tls.Certificate]
	used    atomic.Bool // since the vault's hand last passed
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
	e.NotAfter = leaf.NotAfter
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

// Open returns the certificate with its key, as crypto/tls wants it.
func (e *Entry) Open() (*tls.Certificate, error) {
	if c := e.opened.Load(); c != nil {
		if !e.used.Load() {
			e.used.Store(true)
		}
		return c, nil
	}
	e.opening.Lock()
	defer e.opening.Unlock()
	if c := e.opened.Load(); c != nil {
		return c, nil
	}
	key, err := e.key()
	if err != nil {
		return nil, err
	}
	c := &tls.Certificate{Certificate: [][]byte{e.leaf}, PrivateKey: key}
	for _, issuer := range e.issuers {
		c.Certificate = append(c.Certificate, []byte(issuer.Value()))
	}
	e.opened.Store(c)
	e.vault.hold(e)
	return c, nil
}

// Vault bounds how many certificates are held with their keys open. It
// outlives configurations.
type Vault struct {
	mu   sync.Mutex
	ring []*Entry
	hand int
	max  int
}

// NewVault returns a vault of at most max open certificates, 16,384 when max is 0.
func NewVault(max int) *Vault {
	if max <= 0 {
		max = 16_384
	}
	return &Vault{max: max}
}

// hold takes in an entry that was just opened and closes one that was not used
// since the hand last came by (the clock algorithm).
func (v *Vault) hold(e *Entry) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.ring) < v.max {
		v.ring = append(v.ring, e)
		return
	}
	for {
		old := v.ring[v.hand]
		if old.used.CompareAndSwap(true, false) {
			v.hand = (v.hand + 1) % len(v.ring)
			continue
		}
		old.opened.Store(nil)
		v.ring[v.hand] = e
		v.hand = (v.hand + 1) % len(v.ring)
		return
	}
}

// Open returns how many certificates are held open.
func (v *Vault) Open() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.ring)
}

// Table finds the certificate of a server name. It is immutable; nil is empty.
type Table struct {
	names *hosts.Table[[]*Entry] // longest lived first
}

// Len returns the number of names.
func (t *Table) Len() int {
	if t == nil {
		return 0
	}
	return t.names.Len()
}

// Edit begins a new table from this one.
func (t *Table) Edit() *Editor {
	if t == nil {
		t = &Table{}
	}
	return &Editor{names: t.names.Edit()}
}

// Editor makes a table; it is spent after Table.
type Editor struct{ names *hosts.Editor[[]*Entry] }

// Add puts an entry under all its names.
func (d *Editor) Add(e *Entry) {
	for _, name := range e.Names {
		list, _ := d.names.Get(name)
		list = append(slices.Clone(list), e)
		slices.SortStableFunc(list, func(a, b *Entry) int { return b.NotAfter.Compare(a.NotAfter) })
		d.names.Set(name, list)
	}
}

// Remove takes an entry out.
func (d *Editor) Remove(e *Entry) {
	for _, name := range e.Names {
		list, _ := d.names.Get(name)
		list = slices.DeleteFunc(slices.Clone(list), func(other *Entry) bool { return other == e })
		if len(list) == 0 {
			d.names.Delete(name)
		} else {
			d.names.Set(name, list)
		}
	}
}

// Table returns the edited table.
func (d *Editor) Table() *Table { return &Table{names: d.names.Table()} }

// Find returns the certificate for a normalised server name, nil when there is
// none: the exact name's before the wildcard's, but one that has expired only
// when no other is left.
func (t *Table) Find(name string, now time.Time) *Entry {
	if t == nil {
		return nil
	}
	var expired *Entry
	if list, ok := t.names.Exact(name); ok {
		if list[0].NotAfter.After(now) {
			return list[0]
		}
		expired = list[0]
	}
	if list, ok := t.names.Wildcard(name); ok {
		if list[0].NotAfter.After(now) || expired == nil {
			return list[0]
		}
	}
	return expired
}

// Config returns the TLS settings of an edge: TLS 1.2 with AEAD and forward
// secrecy, or 1.3; session ticket keys are crypto/tls's own, changed daily.
// current gives the table in force; a connection keeps the certificate it
// began with.
func Config(current func() *Table, now func() time.Time, protocols ...string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
		NextProtos: protocols,
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			e := current().Find(serverName(hello), now())
			if e == nil {
				return nil, nil // crypto/tls answers unrecognized_name
			}
			return e.Open()
		},
	}
}

// serverName returns the normalised name a client asks for; without one, the
// address it came to, for certificates of addresses.
func serverName(hello *tls.ClientHelloInfo) string {
	if hello.ServerName == "" {
		if hello.Conn == nil || hello.Conn.LocalAddr() == nil {
			return ""
		}
		return request.PeerIP(hello.Conn.LocalAddr().String())
	}
	name, _, err := request.Authority(hello.ServerName)
	if err != nil {
		return ""
	}
	return name
}
