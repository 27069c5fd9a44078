package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"runtime"
	"testing"
	"time"

	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/secrets"
)

// documents makes n certificates with one key between them, to save time: what
// an edge holds of each is the same.
func documents(t testing.TB, ca *authority, n int) []*edgeconfig.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	issuer := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw}))
	docs := make([]*edgeconfig.Certificate, n)
	for i := range docs {
		id, name := fmt.Sprintf("crt_%026d", i), fmt.Sprintf("site-%d.example.com", i)
		template := &x509.Certificate{SerialNumber: big.NewInt(int64(i + 2)), NotAfter: time.Now().Add(24 * time.Hour), DNSNames: []string{name, "www." + name}}
		der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, key.Public(), ca.key)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(der)
		docs[i] = &edgeconfig.Certificate{
			ID: id, Names: template.DNSNames, KeyGroup: "g", KeySealed: secrets.SealFor(groupKey, id, pkcs8), Fingerprint: hex.EncodeToString(sum[:]),
			ChainPEM: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})) + issuer,
		}
	}
	return docs
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// load puts documents into a table, as an edge does at its start.
func load(t testing.TB, v *Vault, docs []*edgeconfig.Certificate) (*Table, []*Entry) {
	t.Helper()
	d, entries := (*Table)(nil).Edit(), make([]*Entry, len(docs))
	for i, c := range docs {
		entries[i] = entry(t, v, c)
		d.Add(entries[i])
	}
	return d.Table(), entries
}

// TestCertificatesAreSmall bounds what a certificate of two names costs at rest.
func TestCertificatesAreSmall(t *testing.T) {
	docs := documents(t, newAuthority(t), 2000)
	v, before := NewVault(0), heap()
	table, entries := load(t, v, docs)
	each := int(heap()-before) / len(docs)
	t.Logf("%d bytes a certificate", each)
	if each > 4<<10 {
		t.Errorf("a certificate takes %d bytes", each)
	}
	runtime.KeepAlive(table)
	runtime.KeepAlive(entries)
	runtime.KeepAlive(docs)
}

func BenchmarkHundredThousand(b *testing.B) {
	const n = 100_000
	docs := documents(b, newAuthority(b), n)
	v, before := NewVault(0), heap()
	started := time.Now()
	table, entries := load(b, v, docs)
	took := time.Since(started)
	each := float64(heap()-before) / n
	hello := hello(b, &tls.Config{ServerName: "site-1.example.com", InsecureSkipVerify: true})
	now := time.Now()
	b.Run("select", func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			if table.Select(docs[i%n].Names[0], now, hello) == nil {
				b.Fatal("not found")
			}
			i += 7919
		}
		b.ReportMetric(each, "B/certificate")
		b.ReportMetric(float64(took.Microseconds())/n, "us/load")
	})
	b.Run("select, unknown", func(b *testing.B) {
		for b.Loop() {
			if table.Select("nobody.example.net", now, hello) != nil {
				b.Fatal("found")
			}
		}
	})
	b.Run("change one", func(b *testing.B) {
		b.ReportAllocs()
		current, i := table, 0
		for b.Loop() {
			next := entry(b, v, docs[i%n])
			d := current.Edit()
			d.Remove(entries[i%n])
			d.Add(next)
			entries[i%n], current = next, d.Table()
			i += 7919
		}
	})
	b.Run("open a key", func(b *testing.B) {
		i := 0
		for b.Loop() {
			if _, err := entries[i%n].Open(now); err != nil {
				b.Fatal(err)
			}
			i += 7919
		}
		b.ReportMetric(float64(v.Open()), "open")
	})
	runtime.KeepAlive(docs)
}
