package localca

import (
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/fault"
)

var _ certificates.Revoker = (*CA)(nil)

// What is revoked is on its issuer's list, and on it alone, until it ends; and
// OpenSSL refuses it then.
func TestRevoked(t *testing.T) {
	now := time.Now()
	vault := &memory{secrets: map[string][]byte{}}
	ca := New(vault, func() time.Time { return now })
	ca.ListsAt("https://control.example.com/api/v1/trust/crls")
	bad, chain := issue(t, ca, "bad.localhost")
	good, _ := issue(t, ca, "good.localhost")
	issuer := hex.EncodeToString(bad.AuthorityKeyId)
	if len(bad.CRLDistributionPoints) != 1 || bad.CRLDistributionPoints[0] != "https://control.example.com/api/v1/trust/crls/"+issuer {
		t.Errorf("the list is said to be at %q", bad.CRLDistributionPoints)
	}
	list := func(ca *CA, issuer string) *x509.RevocationList {
		t.Helper()
		der, err := ca.CRL(t.Context(), issuer)
		if err != nil {
			t.Fatal(err)
		}
		l, err := x509.ParseRevocationList(der)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	if l := list(ca, ""); len(l.RevokedCertificateEntries) != 0 || !l.NextUpdate.After(now) {
		t.Errorf("before anything is revoked: %+v", l)
	}
	for range 2 { // again is no error
		if err := ca.Revoke(t.Context(), bad, nil, 1); err != nil {
			t.Fatal(err)
		}
	}
	again := New(vault, func() time.Time { return now }) // another process
	l := list(again, issuer)
	if len(l.RevokedCertificateEntries) != 1 || l.RevokedCertificateEntries[0].SerialNumber.Cmp(bad.SerialNumber) != 0 || l.RevokedCertificateEntries[0].ReasonCode != 1 {
		t.Errorf("on the list: %+v", l.RevokedCertificateEntries)
	}
	if err := l.CheckSignatureFrom(parse(t, chain)[1]); err != nil {
		t.Errorf("the list is not signed by who issued: %v", err)
	}
	stranger, _ := issue(t, New(&memory{secrets: map[string][]byte{}}, nil), "bad.localhost")
	if err := ca.Revoke(t.Context(), stranger, nil, 0); !fault.Is(err, fault.NotFound) {
		t.Errorf("revoking what another issued: %v", err)
	}
	if _, err := ca.CRL(t.Context(), "00"); !fault.Is(err, fault.NotFound) {
		t.Errorf("the list of nobody: %v", err)
	}

	dir := t.TempDir()
	write := func(name string, blocks ...*pem.Block) string {
		file := filepath.Join(dir, name)
		var text []byte
		for _, b := range blocks {
			text = append(text, pem.EncodeToMemory(b)...)
		}
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	a, err := ca.authority(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	trusted := write("trusted.pem", &pem.Block{Type: "CERTIFICATE", Bytes: a.root.Raw}, &pem.Block{Type: "CERTIFICATE", Bytes: a.intermediate.Raw}, &pem.Block{Type: "X509 CRL", Bytes: l.Raw})
	for _, tt := range []struct {
		leaf *x509.Certificate
		says string
	}{{bad, "certificate revoked"}, {good, "OK"}} {
		file := write("leaf.pem", &pem.Block{Type: "CERTIFICATE", Bytes: tt.leaf.Raw})
		out, _ := exec.Command("openssl", "verify", "-x509_strict", "-crl_check", "-CAfile", trusted, file).CombinedOutput()
		if !strings.Contains(string(out), tt.says) {
			t.Errorf("%s: %s", tt.leaf.DNSNames[0], out)
		}
	}

	// Another intermediate, while the one before still has leaves.
	now = now.Add(IntermediateLife*2/3 + day)
	late, _ := issue(t, ca, "late.localhost")
	if hex.EncodeToString(late.AuthorityKeyId) == issuer {
		t.Fatal("the intermediate was not renewed")
	}
	if l := list(New(vault, func() time.Time { return now }), issuer); len(l.RevokedCertificateEntries) != 0 {
		t.Errorf("what has ended is still on the list: %+v", l.RevokedCertificateEntries)
	}
	if l := list(ca, ""); len(l.RevokedCertificateEntries) != 0 {
		t.Errorf("on the list of another: %+v", l.RevokedCertificateEntries)
	}
}

const day = 24 * time.Hour

func parse(t *testing.T, text string) []*x509.Certificate {
	t.Helper()
	var list []*x509.Certificate
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return list
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, c)
	}
}
