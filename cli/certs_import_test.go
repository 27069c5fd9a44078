package cli

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// put writes a certificate as a program would.
func put(t *testing.T, chain, key string, life time.Duration, names ...string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(0, 0).Add(life)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{chain: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFindCertificates(t *testing.T) {
	dir := t.TempDir()
	at := func(parts ...string) string { return filepath.Join(append([]string{dir}, parts...)...) }
	put(t, at("caddy", "certificates", "acme-v02", "c.example", "c.example.crt"), at("caddy", "certificates", "acme-v02", "c.example", "c.example.key"), time.Hour, "c.example")
	put(t, at("letsencrypt", "live", "site", "fullchain.pem"), at("letsencrypt", "live", "site", "privkey.pem"), time.Hour, "b.example", "www.b.example")
	put(t, at("acme.sh", "a.example", "fullchain.cer"), at("acme.sh", "a.example", "a.example.key"), time.Hour, "a.example")
	put(t, at("acme.sh", "a.example_ecc", "fullchain.cer"), at("acme.sh", "a.example_ecc", "a.example.key"), 2*time.Hour, "a.example") // good for longer
	put(t, at("acme.sh", "nokey.example", "fullchain.cer"), at("elsewhere.key"), time.Hour, "nokey.example")
	put(t, at("other", "x.crt"), at("other", "x.key"), time.Hour, "x.example") // of no known program
	if err := os.WriteFile(at("letsencrypt", "live", "site", "README"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for program, want := range map[string][]string{
		"auto":    {"a.example acme.sh/a.example_ecc/fullchain.cer", "b.example letsencrypt/live/site/fullchain.pem", "c.example caddy/certificates/acme-v02/c.example/c.example.crt"},
		"caddy":   {"c.example caddy/certificates/acme-v02/c.example/c.example.crt"},
		"certbot": {"b.example letsencrypt/live/site/fullchain.pem"},
		"acme.sh": {"a.example acme.sh/a.example_ecc/fullchain.cer"},
	} {
		list, err := findCertificates(dir, program)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range list {
			file, err := filepath.Rel(dir, f.Chain)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, f.Domain+" "+filepath.ToSlash(file))
			if _, err := os.Stat(f.Key); err != nil {
				t.Error(err)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", program, diff)
		}
	}
	if _, err := findCertificates(filepath.Join(dir, "none"), "auto"); err == nil {
		t.Error("a directory that is not there was read")
	}
}
