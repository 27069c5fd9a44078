package cli

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgewright/edgewright/client"
	"github.com/edgewright/edgewright/fault"
)

// makeCert makes a self-signed certificate.
func makeCert(t *testing.T, ca bool) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Edgewright local root"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: ca, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestParseRoot(t *testing.T) {
	root := makeCert(t, true)
	if r, err := parseRoot(root); err != nil || !bytes.Equal(r.pem, root) || len(r.fingerprint) != 64 {
		t.Errorf("%+v %v", r, err)
	}
	for name, raw := range map[string][]byte{
		"nothing":        nil,
		"text":           []byte("hello"),
		"two":            append(slices.Clone(root), makeCert(t, true)...),
		"not a CA":       makeCert(t, false),
		"something else": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}),
		"damaged":        pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}),
		"with a tail":    append(slices.Clone(root), "tail"...),
	} {
		if _, err := parseRoot(raw); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseRoot(f *testing.F) {
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := parseRoot(raw)
		if err == nil && (len(r.fingerprint) != 64 || strings.Count(string(r.pem), "BEGIN") != 1) {
			t.Fatalf("%+v", r)
		}
	})
}

// Over a network without TLS, anyone on the way could hand out a root of their
// own.
func TestTrustNeedsAFingerprintWithoutTLS(t *testing.T) {
	root, err := parseRoot(makeCert(t, true))
	if err != nil {
		t.Fatal(err)
	}
	colons := strings.ToUpper(root.fingerprint[:2]) + ":" + root.fingerprint[2:]
	tests := []struct {
		url, fingerprint string
		print, ok        bool
	}{
		{"https://control.example:7070", "", false, true},
		{"http://127.0.0.1:7070", "", false, true},
		{"http://[::1]:7070", "", false, true},
		{"http://localhost:7070", "", false, true},
		{"http://control.example:7070", "", false, false},
		{"http://10.0.0.1:7070", "", false, false},
		{"http://10.0.0.1:7070", "", true, true},
		{"http://control.example:7070", root.fingerprint, false, true},
		{"http://control.example:7070", colons, false, true},
		{"https://control.example:7070", strings.Repeat("0", 64), false, false},
	}
	for _, tt := range tests {
		cl, err := client.New(client.Options{URL: tt.url})
		if err != nil {
			t.Fatal(err)
		}
		c := trustCommand{Fingerprint: tt.fingerprint, Print: tt.print}
		if err := c.check(cl, root); (err == nil) != tt.ok {
			t.Errorf("%s with %q: %v", tt.url, tt.fingerprint, err)
		}
	}
}

// machine is a pretended one, with the programs it has and what was run.
func machine(t *testing.T, euid int, programs ...string) (*truster, *[]string) {
	t.Helper()
	root, err := parseRoot(makeCert(t, true))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	ran := &[]string{}
	tr := &truster{
		root: root, prefix: dir, home: filepath.Join(dir, "home"), euid: euid, out: &bytes.Buffer{},
		look: func(p string) (string, error) {
			if slices.Contains(programs, p) {
				return "/bin/" + p, nil
			}
			return "", exec.ErrNotFound
		},
		run: func(name string, args ...string) ([]byte, error) {
			*ran = append(*ran, strings.Join(append([]string{name}, args...), " "))
			return nil, nil
		},
	}
	if err := os.MkdirAll(filepath.Join(dir, "usr/local/share/ca-certificates"), 0o755); err != nil {
		t.Fatal(err)
	}
	return tr, ran
}

func said(tr *truster) string { return tr.out.(*bytes.Buffer).String() }

func TestTrustDebian(t *testing.T) {
	tr, ran := machine(t, 0, "update-ca-certificates")
	if err := tr.install(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(tr.prefix, "usr/local/share/ca-certificates", tr.root.fileName())
	got, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(got, tr.root.pem) {
		t.Errorf("%v", err)
	}
	if !slices.Equal(*ran, []string{"update-ca-certificates"}) || !strings.Contains(said(tr), "System: trusted.") {
		t.Errorf("%v %s", *ran, said(tr))
	}
	if err := tr.remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) || len(*ran) != 2 {
		t.Errorf("%v %v", err, *ran)
	}
}

func TestTrustWithoutRoot(t *testing.T) {
	tr, ran := machine(t, 1000, "update-ca-certificates")
	if err := tr.install(); !errors.Is(err, status(exitFailed)) {
		t.Errorf("%v", err)
	}
	want := "sudo tee " + filepath.Join(tr.prefix, "usr/local/share/ca-certificates", tr.root.fileName()) + " >/dev/null && sudo update-ca-certificates"
	if !strings.Contains(said(tr), want) || len(*ran) != 0 {
		t.Errorf("%s %v", said(tr), *ran)
	}
}

func TestTrustUnknownSystem(t *testing.T) {
	tr, _ := machine(t, 0)
	if err := tr.install(); err != nil || !strings.Contains(said(tr), "by hand") {
		t.Errorf("%v %s", err, said(tr))
	}
}

func TestTrustBrowsers(t *testing.T) {
	stores := []string{".pki/nssdb", ".mozilla/firefox/abc.default"}
	prepare := func(tr *truster) {
		for _, s := range stores {
			dir := filepath.Join(tr.home, s)
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "cert9.db"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	tr, ran := machine(t, 0, "update-ca-certificates", "certutil")
	prepare(tr)
	if err := tr.install(); err != nil {
		t.Fatal(err)
	}
	all := strings.Join(*ran, "\n")
	for _, s := range stores {
		if !strings.Contains(all, "certutil -A -d sql:"+filepath.Join(tr.home, s)+" -t C,, -n "+tr.root.label()+" -i ") {
			t.Errorf("%s is not in\n%s", s, all)
		}
	}
	if !strings.Contains(said(tr), "Firefox: trusted") || !strings.Contains(said(tr), "Chromium and Chrome: trusted") {
		t.Error(said(tr))
	}

	// Without certutil it says how to get it.
	tr, _ = machine(t, 0, "update-ca-certificates")
	prepare(tr)
	if err := tr.install(); err != nil || !strings.Contains(said(tr), "libnss3-tools") {
		t.Errorf("%v %s", err, said(tr))
	}

	// Chromium that never ran has no store yet.
	tr, ran = machine(t, 0, "update-ca-certificates", "certutil", "chromium")
	if err := tr.install(); err != nil || !strings.Contains(strings.Join(*ran, "\n"), "certutil -N -d sql:"+filepath.Join(tr.home, ".pki/nssdb")) {
		t.Errorf("%v %v", err, *ran)
	}
}

func TestTrustReportsAFailure(t *testing.T) {
	tr, _ := machine(t, 0, "update-ca-certificates")
	tr.run = func(string, ...string) ([]byte, error) { return []byte("disk full"), errors.New("exit status 1") }
	if err := tr.install(); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("%v", err)
	}
}
