package localca

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/certificates/pki"
	"github.com/edgewright/edgewright/fault"
)

var _ certificates.Issuer = (*CA)(nil)

type memory struct {
	mu      sync.Mutex
	secrets map[string][]byte
	writes  int
}

func (m *memory) Secret(_ context.Context, name string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s, ok := m.secrets[name]; ok {
		return s, nil
	}
	return nil, fault.New(fault.NotFound, "no %s", name)
}

func (m *memory) PutSecret(_ context.Context, name string, plaintext []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.writes++
	m.secrets[name] = plaintext
	return nil
}

func issue(t *testing.T, ca *CA, names ...string) (leaf *x509.Certificate, chainPEM string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	chainPEM, err = ca.Issue(t.Context(), certificates.Order{Names: names, Key: key, Progress: func(string) {}})
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(chainPEM))
	leaf, err = x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return leaf, chainPEM
}

func TestLeafVerifies(t *testing.T) {
	ca := New(&memory{secrets: map[string][]byte{}}, nil)
	leaf, chain := issue(t, ca, "shop.localhost", "*.internal", "127.0.0.1", "::1")
	rootPEM, err := ca.RootPEM(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AppendCertsFromPEM(rootPEM)
	between.AppendCertsFromPEM([]byte(chain))
	for _, name := range []string{"shop.localhost", "a.internal", "127.0.0.1", "::1"} {
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, DNSName: name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, DNSName: "other.localhost"}); err == nil {
		t.Error("it is valid for another name")
	}
	if life := leaf.NotAfter.Sub(leaf.NotBefore); life > 398*24*time.Hour {
		t.Errorf("browsers refuse a life of %s", life)
	}

	// The judgement of a verifier that was not written here.
	dir := t.TempDir()
	write := func(name, content string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	out, err := exec.Command("openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", "shop.localhost",
		"-CAfile", write("root.pem", string(rootPEM)), "-untrusted", write("chain.pem", chain), write("leaf.pem", chain)).CombinedOutput()
	if err != nil {
		t.Errorf("openssl verify: %v\n%s", err, out)
	}
}

func TestAuthorityIsKept(t *testing.T) {
	vault := &memory{secrets: map[string][]byte{}}
	first, err := New(vault, nil).RootPEM(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	second, err := New(vault, nil).RootPEM(t.Context())
	if err != nil || string(first) != string(second) {
		t.Errorf("another process made another root: %v", err)
	}
	if vault.writes != 1 {
		t.Errorf("%d writes", vault.writes)
	}
}

func TestIntermediateIsRenewed(t *testing.T) {
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	vault := &memory{secrets: map[string][]byte{}}
	ca := New(vault, func() time.Time { return now })
	_, before := issue(t, ca, "a.localhost")
	now = now.Add(IntermediateLife * 3 / 4)
	leaf, after := issue(t, ca, "a.localhost")
	issuer := func(chain string) string {
		_, rest := pem.Decode([]byte(chain))
		block, _ := pem.Decode(rest)
		return string(block.Bytes)
	}
	if issuer(before) == issuer(after) || vault.writes != 2 {
		t.Error("the intermediate was not renewed once")
	}
	root, err := ca.RootPEM(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AppendCertsFromPEM(root)
	between.AppendCertsFromPEM([]byte(after))
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: now}); err != nil {
		t.Error(err)
	}
}

func TestServerCertificate(t *testing.T) {
	ca := New(&memory{secrets: map[string][]byte{}}, nil)
	certificate, err := ca.ServerCertificate(t.Context(), []string{"localhost", "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			_ = c.(*tls.Conn).Handshake()
			_ = c.Close()
		}
	}()
	root, err := ca.RootPEM(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(root)
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", l.Addr().String(), &tls.Config{RootCAs: roots})
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
}

// What it issues stands up to OpenSSL's strict reading of RFC 5280, for every kind
// of key and of name.
func TestOpenSSLTakesEveryKind(t *testing.T) {
	ca := New(&memory{secrets: map[string][]byte{}}, nil)
	root, err := ca.RootPEM(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name string, text []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	rootFile := write("root.pem", root)
	long := strings.Repeat("a", 40) + "." + strings.Repeat("b", 40) + ".internal" // longer than a common name may be
	names := []struct {
		names []string
		check []string
	}{
		{[]string{"shop.localhost", "www.shop.localhost"}, []string{"-verify_hostname", "www.shop.localhost"}},
		{[]string{"*.apps.localhost"}, []string{"-verify_hostname", "one.apps.localhost"}},
		{[]string{"127.0.0.1"}, []string{"-verify_ip", "127.0.0.1"}},
		{[]string{"::1", "git.corp.internal"}, []string{"-verify_ip", "::1"}},
		{[]string{long}, []string{"-verify_hostname", long}},
	}
	for _, kind := range pki.KeyTypes {
		if kind == pki.KeyRSA3072 || kind == pki.KeyRSA4096 {
			continue // as the smaller one, only slower to make
		}
		key, err := pki.NewKey(kind)
		if err != nil {
			t.Fatal(err)
		}
		for i, n := range names {
			chain, err := ca.Issue(t.Context(), certificates.Order{Names: n.names, Key: key, Progress: func(string) {}})
			if err != nil {
				t.Fatal(err)
			}
			file := write(fmt.Sprintf("%s-%d.pem", kind, i), []byte(chain))
			args := append([]string{"verify", "-x509_strict", "-check_ss_sig", "-policy_check", "-purpose", "sslserver", "-CAfile", rootFile, "-untrusted", file}, append(n.check, file)...)
			if out, err := exec.Command("openssl", args...).CombinedOutput(); err != nil {
				t.Errorf("%s, %v: %v\n%s", kind, n.names, err, out)
			}
		}
	}
}
