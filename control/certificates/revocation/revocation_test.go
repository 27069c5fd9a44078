package revocation_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/edgewright/edgewright/control/certificates/revocation"
)

var now = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

// ca answers for what it has issued.
type ca struct {
	t      *testing.T
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
	server *httptest.Server
	asked  int
	// answer signs what is said of a certificate.
	answer func(serial *big.Int) []byte
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newCA(t *testing.T) *ca {
	t.Helper()
	c := &ca{t: t, key: newKey(t)}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour * 9999), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, SubjectKeyId: []byte{1}}
	c.cert = c.create(template, template, c.key.Public())
	c.server = httptest.NewServer(c)
	t.Cleanup(c.server.Close)
	return c
}

func (c *ca) create(template, parent *x509.Certificate, public crypto.PublicKey) *x509.Certificate {
	c.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, c.key)
	if err != nil {
		c.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		c.t.Fatal(err)
	}
	return cert
}

func (c *ca) leaf(serial int64, responder, list bool) *x509.Certificate {
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), DNSNames: []string{"shop.example.com"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour * 999)}
	if responder {
		template.OCSPServer = []string{"ldap://nowhere", c.server.URL + "/ocsp"}
	}
	if list {
		template.CRLDistributionPoints = []string{c.server.URL + "/crl"}
	}
	return c.create(template, c.cert, newKey(c.t).Public())
}

func (c *ca) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.asked++
	if r.URL.Path == "/crl" {
		w.Write(c.answer(nil))
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		c.t.Error(err)
	}
	query, err := ocsp.ParseRequest(body)
	if err != nil {
		c.t.Error(err)
		return
	}
	w.Write(c.answer(query.SerialNumber))
}

func (c *ca) ocsp(key crypto.Signer, change func(*ocsp.Response)) func(*big.Int) []byte {
	return func(serial *big.Int) []byte {
		template := ocsp.Response{Status: ocsp.Good, SerialNumber: serial, ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(7 * time.Hour)}
		if change != nil {
			change(&template)
		}
		der, err := ocsp.CreateResponse(c.cert, c.cert, template, key)
		if err != nil {
			c.t.Error(err)
		}
		return der
	}
}

func (c *ca) crl(key crypto.Signer, next time.Time, serials ...int64) func(*big.Int) []byte {
	return func(*big.Int) []byte {
		list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: now.Add(-time.Hour), NextUpdate: next}
		for _, s := range serials {
			list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: big.NewInt(s), RevocationTime: now.Add(-time.Minute), ReasonCode: 1})
		}
		der, err := x509.CreateRevocationList(rand.Reader, list, c.cert, key)
		if err != nil {
			c.t.Error(err)
		}
		return der
	}
}

func TestOCSP(t *testing.T) {
	c := newCA(t)
	checker := revocation.New(http.DefaultClient, func() time.Time { return now })
	leaf := c.leaf(7, true, false)

	c.answer = c.ocsp(c.key, nil)
	s, err := checker.Standing(t.Context(), leaf, c.cert)
	if err != nil || s.Revoked != nil || s.Staple == nil || !s.AskAt.Equal(now.Add(3*time.Hour)) || !s.Staple.NextUpdate.Equal(now.Add(7*time.Hour)) {
		t.Errorf("good: %+v, %v", s, err)
	}
	c.answer = c.ocsp(c.key, func(r *ocsp.Response) {
		r.Status, r.RevokedAt, r.RevocationReason = ocsp.Revoked, now.Add(-time.Minute), ocsp.KeyCompromise
	})
	if s, err = checker.Standing(t.Context(), leaf, c.cert); err != nil || s.Revoked == nil || s.Revoked.Reason != "key_compromise" || s.Revoked.Source != "ocsp" || s.Staple != nil {
		t.Errorf("revoked: %+v, %v", s, err)
	}
	// None of these is the CA's word on this certificate now.
	for what, answer := range map[string]func(*big.Int) []byte{
		"another's signature": c.ocsp(newKey(t), func(r *ocsp.Response) { r.Status = ocsp.Revoked }),
		"old":                 c.ocsp(c.key, func(r *ocsp.Response) { r.NextUpdate = now.Add(-time.Second) }),
		"of the future":       c.ocsp(c.key, func(r *ocsp.Response) { r.ThisUpdate = now.Add(time.Hour) }),
		"another certificate": c.ocsp(c.key, func(r *ocsp.Response) { r.SerialNumber = big.NewInt(8) }),
		"unknown":             c.ocsp(c.key, func(r *ocsp.Response) { r.Status = ocsp.Unknown }),
		"garbage":             func(*big.Int) []byte { return []byte("hello") },
		"too much":            func(*big.Int) []byte { return make([]byte, 70<<10) },
	} {
		c.answer = answer
		if s, err := checker.Standing(t.Context(), leaf, c.cert); err == nil || s.Revoked != nil || s.Staple != nil {
			t.Errorf("%s: %+v, %v", what, s, err)
		}
	}
	// Nothing to ask is no trouble.
	if s, err := checker.Standing(t.Context(), c.leaf(9, false, false), c.cert); err != nil || s.Revoked != nil {
		t.Errorf("nothing named: %+v, %v", s, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := checker.Standing(ended, leaf, c.cert); err == nil {
		t.Error("a request went on after its end")
	}
}

func TestCRL(t *testing.T) {
	c := newCA(t)
	at := now
	checker := revocation.New(http.DefaultClient, func() time.Time { return at })
	c.answer = c.crl(c.key, now.Add(48*time.Hour), 7, 8)
	s, err := checker.Standing(t.Context(), c.leaf(7, false, true), c.cert)
	if err != nil || s.Revoked == nil || s.Revoked.Source != "crl" || s.Revoked.Reason != "key_compromise" {
		t.Errorf("listed: %+v, %v", s, err)
	}
	if s, err = checker.Standing(t.Context(), c.leaf(9, false, true), c.cert); err != nil || s.Revoked != nil {
		t.Errorf("not listed: %+v, %v", s, err)
	}
	if c.asked != 1 {
		t.Errorf("the list was fetched %d times for two certificates", c.asked)
	}
	at = now.Add(13 * time.Hour)
	c.answer = c.crl(c.key, now.Add(72*time.Hour), 9)
	if s, err = checker.Standing(t.Context(), c.leaf(9, false, true), c.cert); err != nil || s.Revoked == nil || c.asked != 2 {
		t.Errorf("a newer list: %+v, %v", s, err)
	}
	for what, answer := range map[string]func(*big.Int) []byte{
		"another's signature": c.crl(newKey(t), at.Add(48*time.Hour), 7),
		"old":                 c.crl(c.key, at.Add(-time.Second), 7),
		"garbage":             func(*big.Int) []byte { return []byte("hello") },
	} {
		c.answer = answer
		if s, err := revocation.New(http.DefaultClient, func() time.Time { return at }).Standing(t.Context(), c.leaf(7, false, true), c.cert); err == nil || s.Revoked != nil {
			t.Errorf("%s: %+v, %v", what, s, err)
		}
	}
}
