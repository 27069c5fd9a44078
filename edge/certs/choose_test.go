package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/secrets"
)

// exchange shakes hands and sends a byte each way, so that tickets arrive.
func exchange(t testing.TB, server, client *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		s := tls.Server(a, server)
		if s.Handshake() == nil {
			_, _ = s.Read(make([]byte, 1))
			_, _ = s.Write([]byte{1})
		}
		a.Close()
	}()
	conn := tls.Client(b, client)
	err := conn.Handshake()
	if err == nil {
		if _, err = conn.Write([]byte{1}); err == nil {
			_, err = conn.Read(make([]byte, 1))
		}
	}
	b.Close()
	<-done
	return conn.ConnectionState(), err
}

// issueFor is issue with a key of any kind.
func (a *authority) issueFor(t testing.TB, key crypto.Signer, id string, change func(*x509.Certificate), names ...string) *edgeconfig.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(7), NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(48 * time.Hour), DNSNames: names}
	if change != nil {
		change(template)
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
		ID: id, Names: names, ChainPEM: string(chain), KeyGroup: "g", KeySealed: secrets.SealFor(groupKey, id, pkcs8), Fingerprint: hex.EncodeToString(sum[:]),
	}
}

func keys(t testing.TB) map[string]crypto.Signer {
	t.Helper()
	out := map[string]crypto.Signer{}
	var err error
	for name, curve := range map[string]elliptic.Curve{"p256": elliptic.P256(), "p384": elliptic.P384(), "p521": elliptic.P521()} {
		if out[name], err = ecdsa.GenerateKey(curve, rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	if out["rsa"], err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	if _, out["ed25519"], err = ed25519.GenerateKey(rand.Reader); err != nil {
		t.Fatal(err)
	}
	return out
}

// hello records the ClientHello of a client.
func hello(t testing.TB, client *tls.Config) *tls.ClientHelloInfo {
	t.Helper()
	var seen *tls.ClientHelloInfo
	_, _ = exchange(t, &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		copied := *h
		seen = &copied
		return nil, net.ErrClosed
	}}, client)
	return seen
}

func TestCertificateByAbility(t *testing.T) {
	ca, v, now := newAuthority(t), NewVault(0), time.Now()
	entries, d := map[string]*Entry{}, (*Table)(nil).Edit()
	for name, key := range keys(t) {
		entries[name] = entry(t, v, ca.issueFor(t, key, "crt_"+name, nil, "shop.example"))
	}
	d.Add(entries["rsa"])
	d.Add(entries["p256"])
	pair := d.Table()

	modern := hello(t, &tls.Config{ServerName: "shop.example", InsecureSkipVerify: true})
	rsaOnly := *modern
	rsaOnly.SignatureSchemes = []tls.SignatureScheme{tls.PSSWithSHA256, tls.PKCS1WithSHA256}
	old := hello(t, &tls.Config{ServerName: "shop.example", InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}})
	both12 := hello(t, &tls.Config{ServerName: "shop.example", InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
	noCurve := *both12
	noCurve.SupportedCurves = []tls.CurveID{tls.X25519, tls.CurveP384}
	none := *modern
	none.SignatureSchemes = []tls.SignatureScheme{tls.ECDSAWithP384AndSHA384}
	for name, c := range map[string]struct {
		hello *tls.ClientHelloInfo
		want  string
	}{
		"every ability": {nil, "p256"}, "TLS 1.3": {modern, "p256"}, "TLS 1.3 with RSA alone": {&rsaOnly, "rsa"},
		"TLS 1.2 with RSA ciphers alone": {old, "rsa"}, "TLS 1.2": {both12, "p256"}, "TLS 1.2 without P-256": {&noCurve, "rsa"},
		"neither": {&none, "p256"},
	} {
		if got := pair.Select("shop.example", now, c.hello); got != entries[c.want] {
			t.Errorf("%s: %s", name, got.ID)
		}
	}
	if n := testing.AllocsPerRun(100, func() { pair.Select("shop.example", now, &rsaOnly) }); n > 0 {
		t.Errorf("a choice allocates %v times", n)
	}
	// What fits agrees with crypto/tls, for each kind of key and client.
	for keyName, e := range entries {
		c, err := e.Open(now)
		if err != nil {
			t.Fatal(err)
		}
		for helloName, h := range map[string]*tls.ClientHelloInfo{"modern": modern, "rsaOnly": &rsaOnly, "old": old, "both12": both12, "noCurve": &noCurve, "none": &none} {
			if want := h.SupportsCertificate(c) == nil; e.kind.fits(h) != want {
				t.Errorf("key %s, client %s: fits is %v, crypto/tls says %v", keyName, helloName, !want, want)
			}
		}
	}
	// For real, both ways.
	s := NewSettings(Options{Table: func() *Table { return pair }, Now: time.Now})
	state, err := exchange(t, s.TCP, &tls.Config{RootCAs: ca.pool(), ServerName: "shop.example", MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384}})
	if err != nil || state.PeerCertificates[0].PublicKeyAlgorithm != x509.RSA {
		t.Errorf("a client with RSA alone: %v", err)
	}
	state, err = exchange(t, s.TCP, &tls.Config{RootCAs: ca.pool(), ServerName: "shop.example"})
	if err != nil || state.PeerCertificates[0].PublicKeyAlgorithm != x509.ECDSA || state.CurveID != tls.X25519MLKEM768 {
		t.Errorf("a modern client: %v, group %v", err, state.CurveID)
	}
}

// TestAbilityAndExpiry: a certificate in force that the client cannot verify
// goes before an expired one that it can, and a wildcard's in force and fitting
// before both.
func TestAbilityAndExpiry(t *testing.T) {
	ca, v, now := newAuthority(t), NewVault(0), time.Now()
	k := keys(t)
	ended := func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Hour) }
	exact, expired := entry(t, v, ca.issueFor(t, k["p256"], "exact", nil, "a.example")), entry(t, v, ca.issueFor(t, k["rsa"], "expired", ended, "a.example"))
	wild := entry(t, v, ca.issueFor(t, k["rsa"], "wild", nil, "*.example"))
	h := hello(t, &tls.Config{ServerName: "a.example", InsecureSkipVerify: true})
	h.SignatureSchemes = []tls.SignatureScheme{tls.PSSWithSHA256}
	d := (*Table)(nil).Edit()
	d.Add(exact)
	d.Add(expired)
	if got := d.Table().Select("a.example", now, h); got != exact {
		t.Errorf("without the wildcard: %s", got.ID)
	}
	d.Add(wild)
	if got := d.Table().Select("a.example", now, h); got != wild {
		t.Errorf("with it: %s", got.ID)
	}
}

func TestPolicies(t *testing.T) {
	ca, v := newAuthority(t), NewVault(0)
	d := (*Table)(nil).Edit()
	for _, name := range []string{"modern.example", "plain.example"} {
		d.Add(entry(t, v, ca.issue(t, name, time.Now().Add(time.Hour), name)))
	}
	table := d.Table()
	s := NewSettings(Options{Table: func() *Table { return table }, Now: time.Now, Policy: func(name string) Policy {
		if name == "modern.example" {
			return PolicyOf(&edgeconfig.TLS{MinVersion: "1.3"})
		}
		return PolicyOf(nil)
	}})
	for _, c := range []struct {
		name    string
		version uint16
		ok      bool
	}{
		{"modern.example", tls.VersionTLS12, false},
		{"modern.example", tls.VersionTLS13, true},
		{"plain.example", tls.VersionTLS12, true},
		{"plain.example", tls.VersionTLS13, true},
		{"plain.example", tls.VersionTLS11, false},
	} {
		_, err := exchange(t, s.TCP, &tls.Config{RootCAs: ca.pool(), ServerName: c.name, MinVersion: tls.VersionTLS10, MaxVersion: c.version})
		if (err == nil) != c.ok {
			t.Errorf("%s with version %x: %v", c.name, c.version, err)
		}
	}
}

func TestStaple(t *testing.T) {
	ca, k := newAuthority(t), keys(t)
	must := func(c *x509.Certificate) {
		feature, _ := asn1.Marshal([]int{featureRequest})
		c.ExtraExtensions = []pkix.Extension{{Id: oidTLSFeature, Value: feature}}
	}
	doc := ca.issueFor(t, k["p256"], "crt", must, "shop.example")
	block, _ := pem.Decode([]byte(doc.ChainPEM))
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	response := func(change func(*ocsp.Response)) []byte {
		r := ocsp.Response{Status: ocsp.Good, SerialNumber: leaf.SerialNumber, ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(time.Hour)}
		change(&r)
		der, err := ocsp.CreateResponse(ca.cert, ca.cert, r, ca.key)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	stranger := newAuthority(t)
	forged, err := ocsp.CreateResponse(stranger.cert, stranger.cert, ocsp.Response{Status: ocsp.Good, SerialNumber: leaf.SerialNumber, ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour)}, stranger.key)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for name, c := range map[string]struct {
		staple []byte
		want   bool
	}{
		"good":          {response(func(*ocsp.Response) {}), true},
		"none":          {nil, false},
		"garbage":       {[]byte("x"), false},
		"revoked":       {response(func(r *ocsp.Response) { r.Status, r.RevokedAt = ocsp.Revoked, now }), false},
		"another leaf":  {response(func(r *ocsp.Response) { r.SerialNumber = big.NewInt(99) }), false},
		"another's":     {forged, false},
		"without end":   {response(func(r *ocsp.Response) { r.NextUpdate = time.Time{} }), false},
		"already ended": {response(func(r *ocsp.Response) { r.NextUpdate = now.Add(-time.Second) }), false},
	} {
		doc.OCSPStaple = c.staple
		e := entry(t, NewVault(0), doc)
		if !e.MustStaple || e.Stapled(now) != c.want {
			t.Errorf("%s: must %v, stapled %v", name, e.MustStaple, e.Stapled(now))
		}
		opened, err := e.Open(now)
		if err != nil || (len(opened.OCSPStaple) > 0) != c.want {
			t.Errorf("%s: %v, a staple of %d bytes", name, err, len(opened.OCSPStaple))
		}
	}
	doc.OCSPStaple = response(func(*ocsp.Response) {})
	v := NewVault(0)
	e := entry(t, v, doc)
	for _, at := range []time.Duration{0, 2 * time.Hour, 3 * time.Hour} {
		c, err := e.Open(now.Add(at))
		if err != nil || (len(c.OCSPStaple) > 0) != (at == 0) || v.Open() != 1 {
			t.Errorf("after %v: %v, a staple of %d bytes, %d open", at, err, len(c.OCSPStaple), v.Open())
		}
	}
}

func TestChallengeHost(t *testing.T) {
	for name, want := range map[string]string{
		"shop.example": "shop.example", "1.2.0.192.in-addr.arpa": "192.0.2.1", "2.0.192.in-addr.arpa": "2.0.192.in-addr.arpa",
		"x.2.0.192.in-addr.arpa": "x.2.0.192.in-addr.arpa",
		"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa": "2001:db8::1",
		"1.ip6.arpa": "1.ip6.arpa", "": "",
	} {
		if got := challengeHost(name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}

// FuzzChallengeHost: server names come from the network.
func FuzzChallengeHost(f *testing.F) {
	for _, s := range []string{"a.test", "1.2.0.192.in-addr.arpa", "1.ip6.arpa", ".in-addr.arpa", strings.Repeat("1.", 32) + "ip6.arpa"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		host := challengeHost(name)
		if host != name && net.ParseIP(host) == nil {
			t.Fatalf("%q became %q", name, host)
		}
	})
}
