package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
	"github.com/edgewright/edgewright/secrets"
)

var groupKey = secrets.NewGroupKey()

var groups = map[string]*GroupKey{"g": &groupKey}

type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert, key}
}

func (a *authority) issue(t testing.TB, id string, notAfter time.Time, names ...string) *edgeconfig.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: notAfter}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(der)
	chain := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})...)
	return &edgeconfig.Certificate{
		ID: id, Names: names, ChainPEM: string(chain), KeyGroup: "g", KeySealed: secrets.SealFor(groupKey, id, pkcs8),
		Fingerprint: hex.EncodeToString(sum[:]), NotAfter: notAfter.Unix(),
	}
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

func entry(t testing.TB, v *Vault, c *edgeconfig.Certificate) *Entry {
	t.Helper()
	e, err := v.NewEntry(c, groups)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestNewEntryRefuses(t *testing.T) {
	ca, hour := newAuthority(t), time.Now().Add(time.Hour)
	other := ca.issue(t, "crt_2", hour, "example.com")
	for name, c := range map[string]struct {
		change func(*edgeconfig.Certificate)
		code   fault.Code
		says   string
	}{
		"group":    {func(c *edgeconfig.Certificate) { c.KeyGroup = "x" }, fault.Unavailable, "does not hold"},
		"chain":    {func(c *edgeconfig.Certificate) { c.ChainPEM = "" }, fault.Invalid, "no certificate"},
		"trailing": {func(c *edgeconfig.Certificate) { c.ChainPEM += "garbage" }, fault.Invalid, "not PEM"},
		"block":    {func(c *edgeconfig.Certificate) { c.ChainPEM += "-----BEGIN X-----\nAAAA\n-----END X-----\n" }, fault.Invalid, "X block"},
		"leaf": {func(c *edgeconfig.Certificate) {
			c.ChainPEM = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}))
		}, fault.Invalid, "cannot be parsed"},
		"fingerprint": {func(c *edgeconfig.Certificate) { c.ChainPEM = other.ChainPEM }, fault.Invalid, "fingerprint"},
		"names":       {func(c *edgeconfig.Certificate) { c.Names = append(c.Names, "other.example") }, fault.Invalid, "not valid for other.example"},
		"wildcard":    {func(c *edgeconfig.Certificate) { c.Names = []string{"*.example.com"} }, fault.Invalid, "not valid for"},
		"no names":    {func(c *edgeconfig.Certificate) { c.Names = nil }, fault.Invalid, "names no host"},
		"sealed":      {func(c *edgeconfig.Certificate) { c.KeySealed[20] ^= 1 }, fault.Invalid, "does not open"},
		"key form":    {func(c *edgeconfig.Certificate) { c.KeySealed = secrets.SealFor(groupKey, c.ID, []byte("x")) }, fault.Invalid, "cannot be parsed"},
		"other key": {func(c *edgeconfig.Certificate) {
			der, _ := secrets.OpenFor(groupKey, other.ID, other.KeySealed)
			c.KeySealed = secrets.SealFor(groupKey, c.ID, der)
		}, fault.Invalid, "belongs to another"},
	} {
		doc := ca.issue(t, "crt_1", hour, "example.com")
		c.change(doc)
		_, err := NewVault(0).NewEntry(doc, groups)
		if !fault.Is(err, c.code) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %s saying %q", name, err, c.code, c.says)
		}
	}
}

func TestFind(t *testing.T) {
	ca, v, now := newAuthority(t), NewVault(0), time.Now()
	exact := entry(t, v, ca.issue(t, "exact", now.Add(time.Hour), "www.example.com", "10.1.2.3"))
	renewed := entry(t, v, ca.issue(t, "renewed", now.Add(2*time.Hour), "www.example.com"))
	wild := entry(t, v, ca.issue(t, "wild", now.Add(time.Hour), "*.example.com", "example.com"))
	old := entry(t, v, ca.issue(t, "old", now.Add(-time.Hour), "old.example.com", "gone.example.net"))
	d := (*Table)(nil).Edit()
	for _, e := range []*Entry{exact, renewed, wild, old} {
		d.Add(e)
	}
	table := d.Table()
	check := func(table *Table, want map[string]*Entry) {
		t.Helper()
		for name, e := range want {
			if got := table.Find(name, now); got != e {
				t.Errorf("Find(%q) = %+v, want %+v", name, got, e)
			}
		}
	}
	check(table, map[string]*Entry{
		"www.example.com": renewed, "example.com": wild, "x.example.com": wild, "10.1.2.3": exact,
		"old.example.com": wild, "gone.example.net": old, "a.b.example.com": nil, "example.net": nil, "": nil,
	})
	d = table.Edit()
	d.Remove(renewed)
	d.Remove(wild)
	check(d.Table(), map[string]*Entry{"www.example.com": exact, "x.example.com": nil, "old.example.com": old})
	check(table, map[string]*Entry{"www.example.com": renewed})

	for host, want := range map[string]bool{"example.com": true, "a.example.com": true, "a.b.example.com": false, "example.net": false} {
		if wild.Covers(host) != want {
			t.Errorf("Covers(%q) is %v", host, !want)
		}
	}
}

func TestVaultIsBounded(t *testing.T) {
	ca, v := newAuthority(t), NewVault(3)
	var entries []*Entry
	for i := range 8 {
		entries = append(entries, entry(t, v, ca.issue(t, fmt.Sprint(i), time.Now().Add(time.Hour), fmt.Sprintf("%d.example", i))))
	}
	for range 3 {
		for _, e := range entries {
			if c, err := e.Open(time.Now()); err != nil || c == nil {
				t.Fatal(err)
			}
			if _, err := entries[0].Open(time.Now()); err != nil {
				t.Fatal(err)
			}
		}
	}
	open := 0
	for _, e := range entries {
		if e.opened.Load() != nil {
			open++
		}
	}
	if open != 3 || v.Open() != 3 {
		t.Errorf("%d certificates are open, the vault says %d, the bound is 3", open, v.Open())
	}
	if entries[0].opened.Load() == nil {
		t.Error("the one in constant use was closed")
	}
}

func handshake(t *testing.T, server *tls.Config, client *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = tls.Server(a, server).Handshake()
		a.Close()
	}()
	conn := tls.Client(b, client)
	err := conn.Handshake()
	b.Close()
	<-done
	return conn.ConnectionState(), err
}

func TestHandshake(t *testing.T) {
	ca, v := newAuthority(t), NewVault(0)
	d := (*Table)(nil).Edit()
	e := entry(t, v, ca.issue(t, "crt_1", time.Now().Add(time.Hour), "example.com"))
	d.Add(e)
	table := d.Table()
	config := NewSettings(Options{Table: func() *Table { return table }, Now: time.Now}).TCP

	state, err := handshake(t, config, &tls.Config{RootCAs: ca.pool(), ServerName: "Example.COM", NextProtos: []string{"h2"}})
	if err != nil || state.Version != tls.VersionTLS13 || state.NegotiatedProtocol != "h2" || len(state.PeerCertificates) != 2 {
		t.Errorf("handshake: %v, %+v", err, state)
	}
	if _, err = handshake(t, config, &tls.Config{RootCAs: ca.pool(), ServerName: "example.com", MaxVersion: tls.VersionTLS12}); err != nil {
		t.Errorf("TLS 1.2: %v", err)
	}
	const unrecognizedName, protocolVersion, handshakeFailure = "unrecognized name", "protocol version not supported", "handshake failure"
	for _, c := range []struct {
		client *tls.Config
		want   string
	}{
		{&tls.Config{InsecureSkipVerify: true, ServerName: "unknown.example"}, unrecognizedName},
		{&tls.Config{InsecureSkipVerify: true}, unrecognizedName},
		{&tls.Config{InsecureSkipVerify: true, ServerName: "example.com", MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}, protocolVersion},
		{&tls.Config{InsecureSkipVerify: true, ServerName: "example.com", MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}}, handshakeFailure},
	} {
		if _, err := handshake(t, config, c.client); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q with at most version %x: %v, want alert %q", c.client.ServerName, c.client.MaxVersion, err, c.want)
		}
	}
}

func TestFindAllocatesNothing(t *testing.T) {
	ca, v := newAuthority(t), NewVault(0)
	d := (*Table)(nil).Edit()
	d.Add(entry(t, v, ca.issue(t, "crt_1", time.Now().Add(time.Hour), "*.example.com")))
	table, now := d.Table(), time.Now()
	if n := testing.AllocsPerRun(100, func() {
		if _, err := table.Find("shop.example.com", now).Open(now); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkNewEntry(b *testing.B) {
	c := newAuthority(b).issue(b, "crt_1", time.Now().Add(time.Hour), "example.com")
	v := NewVault(0)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.NewEntry(c, groups); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzNewEntry(f *testing.F) {
	c := newAuthority(f).issue(f, "crt_1", time.Now().Add(time.Hour), "example.com")
	f.Add(c.ChainPEM, c.KeySealed)
	f.Add("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", []byte{1})
	f.Fuzz(func(t *testing.T, chain string, sealed []byte) {
		changed := *c
		changed.ChainPEM, changed.KeySealed = chain, sealed
		e, err := NewVault(0).NewEntry(&changed, groups)
		if (e == nil) == (err == nil) {
			t.Fatalf("entry %v, error %v", e, err)
		}
	})
}
