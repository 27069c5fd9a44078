package simtest

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/edgewright/edgewright/control/certificates"
)

// CA is a certificates.Issuer and certificates.Revoker that signs at once. Its
// fields are set before it is used.
type CA struct {
	Now  func() time.Time
	Life func(o certificates.Order) time.Duration // of what it issues; nil: 90 days
	// Change is asked about each certificate before it is signed; nil: never.
	Change func(o certificates.Order, c *x509.Certificate)
	// Refuse is asked before it signs, and RefuseRevocation before it revokes; nil:
	// never.
	Refuse           func(o certificates.Order) error
	RefuseRevocation func(serial string) error

	cert *x509.Certificate
	pem  string
	key  *ecdsa.PrivateKey

	mu      sync.Mutex
	serial  int64
	orders  []time.Time
	revoked map[string]int
}

// NewCA returns a CA that exists from a time on.
func NewCA(t testing.TB, name string, now func() time.Time) *CA {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	from := now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: from.Add(-24 * time.Hour), NotAfter: from.Add(20_000 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &CA{Now: now, cert: cert, key: key, pem: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), serial: from.Unix(), revoked: map[string]int{}}
}

// Issue implements certificates.Issuer.
func (c *CA) Issue(_ context.Context, o certificates.Order) (string, error) {
	now := c.Now()
	c.mu.Lock()
	c.serial++
	serial := c.serial
	c.mu.Unlock()
	if c.Refuse != nil {
		if err := c.Refuse(o); err != nil {
			return "", err
		}
	}
	c.mu.Lock()
	c.orders = append(c.orders, now)
	c.mu.Unlock()
	life := 90 * 24 * time.Hour
	if c.Life != nil {
		life = c.Life(o)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotBefore: now, NotAfter: now.Add(life), DNSNames: o.Names, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if c.Change != nil {
		c.Change(o, template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, c.cert, o.Key.Public(), c.key)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})) + c.pem, err
}

// Count notes an order that came to nothing.
func (c *CA) Count() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.orders = append(c.orders, c.Now())
}

// Revoke implements certificates.Revoker.
func (c *CA) Revoke(_ context.Context, leaf *x509.Certificate, _ crypto.Signer, reason int) error {
	serial := hex.EncodeToString(leaf.SerialNumber.Bytes())
	if c.RefuseRevocation != nil {
		if err := c.RefuseRevocation(serial); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.revoked[serial] = reason
	return nil
}

// Orders returns when it was asked.
func (c *CA) Orders() []time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.orders)
}

// Revoked returns the reasons of what was revoked, by serial.
func (c *CA) Revoked() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make(map[string]int, len(c.revoked))
	for serial, reason := range c.revoked {
		out[serial] = reason
	}
	return out
}

// CAs are the CAs of a platform in their order.
type CAs struct {
	certificates.Issuer
	List []certificates.Authority
}

// Authorities implements certificates.Authorities.
func (c *CAs) Authorities(context.Context) ([]certificates.Authority, error) {
	return slices.Clone(c.List), nil
}

// Busiest counts the most orders within any window of a length.
func Busiest(orders []time.Time, window time.Duration) int {
	orders = slices.Clone(orders)
	slices.SortFunc(orders, time.Time.Compare)
	most, from := 0, 0
	for i, at := range orders {
		for !orders[from].After(at.Add(-window)) {
			from++
		}
		most = max(most, i-from+1)
	}
	return most
}
