package certificates_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/certificates/custom"
	"github.com/edgewright/edgewright/control/certificates/pki"
	"github.com/edgewright/edgewright/control/certificates/provision"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

var now = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

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

func newKey(t *testing.T, kind string) crypto.Signer {
	t.Helper()
	var key crypto.Signer
	var err error
	switch kind {
	case "p256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "p224":
		key, err = ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	case "rsa1024":
		return weakRSA(t)
	case "rsa2048":
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	case "ed25519":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func pemKey(t *testing.T, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

type issuer struct {
	cert *x509.Certificate
	key  crypto.Signer
	pem  string
}

// sign makes a certificate; parent nil: it signs itself.
func sign(t *testing.T, name string, parent *issuer, key crypto.Signer, change func(*x509.Certificate)) *issuer {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-day), NotAfter: now.Add(90 * day),
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if change != nil {
		change(template)
	}
	signedBy, signer := template, key
	if parent != nil {
		signedBy, signer = parent.cert, parent.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, signedBy, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &issuer{cert, key, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))}
}

func asCA(c *x509.Certificate) { c.IsCA, c.KeyUsage, c.ExtKeyUsage = true, x509.KeyUsageCertSign, nil }

func forHost(names ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.DNSNames = names }
}

func TestCheckUpload(t *testing.T) {
	root := sign(t, "root", nil, newKey(t, "p256"), asCA)
	middle := sign(t, "middle", root, newKey(t, "p256"), asCA)
	inter := sign(t, "intermediate", middle, newKey(t, "p256"), asCA)
	stranger := sign(t, "stranger", nil, newKey(t, "p256"), asCA)
	strangerChild := sign(t, "stranger's intermediate", stranger, newKey(t, "p256"), asCA)
	leafKey := newKey(t, "p256")
	leaf := sign(t, "leaf", inter, leafKey, forHost("shop.example.com", "*.shop.example.com"))
	key := pemKey(t, leafKey)
	full := leaf.pem + inter.pem + middle.pem

	renewed := func(change func(*x509.Certificate)) *issuer {
		return sign(t, "intermediate", middle, inter.key, func(c *x509.Certificate) { asCA(c); change(c) })
	}
	old := renewed(func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Hour) })
	coming := renewed(func(c *x509.Certificate) { c.NotBefore = now.Add(day) })
	other := sign(t, "other root", nil, newKey(t, "p256"), asCA)
	cross := sign(t, "root", other, root.key, asCA)
	leafOf := func(parent *issuer, change func(*x509.Certificate)) string {
		return sign(t, "leaf", parent, leafKey, func(c *x509.Certificate) { forHost("shop.example.com")(c); change(c) }).pem
	}
	noCA := sign(t, "no CA", middle, newKey(t, "p256"), nil)
	weak := sign(t, "weak", middle, newKey(t, "rsa1024"), asCA)
	namesake := sign(t, "intermediate", middle, newKey(t, "p256"), asCA)
	short := sign(t, "short", root, newKey(t, "p256"), func(c *x509.Certificate) { asCA(c); c.MaxPathLenZero = true })
	below := sign(t, "below", short, newKey(t, "p256"), asCA)
	bound := sign(t, "bound", middle, newKey(t, "p256"), func(c *x509.Certificate) {
		asCA(c)
		c.PermittedDNSDomainsCritical, c.PermittedDNSDomains = true, []string{"example.org"}
	})
	asIs := func(*x509.Certificate) {}
	strange := leafOf(inter, func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: []int{1, 2, 3, 4, 5}, Critical: true, Value: []byte{5, 0}}}
	})
	upTo := func(end *x509.Certificate, text string) string {
		if chain := parse(t, text); !chain[len(chain)-1].Equal(end) {
			return chain[len(chain)-1].Subject.String()
		}
		return ""
	}
	for what, tt := range map[string]struct {
		chain string
		end   *x509.Certificate
	}{
		"an old intermediate beside the new one":  {leaf.pem + old.pem + inter.pem + middle.pem, middle.cert},
		"one that is not valid yet beside it":     {leaf.pem + coming.pem + inter.pem + middle.pem, middle.cert},
		"root, then cross-signed":                 {full + root.pem + cross.pem, cross.cert},
		"cross-signed, then root":                 {full + cross.pem + root.pem + other.pem, cross.cert},
		"with a byte order mark":                  {"\ufeff" + full, middle.cert},
		"files put together without a line's end": {strings.TrimSpace(leaf.pem) + inter.pem + middle.pem, middle.cert},
	} {
		b, _, err := pki.Check("shop.example.com", tt.chain, "\ufeff"+key, now)
		if err != nil {
			t.Errorf("%s: %v", what, err)
		} else if end := upTo(tt.end, b.ChainPEM); end != "" {
			t.Errorf("%s: it ends at %s", what, end)
		}
	}

	good := []struct{ what, domain, chain, key string }{
		{"in order", "shop.example.com", full, key},
		{"reversed", "shop.example.com", middle.pem + inter.pem + leaf.pem, key},
		{"with the root", "shop.example.com", leaf.pem + inter.pem + middle.pem + root.pem, key},
		{"twice the same", "shop.example.com", full + inter.pem, key},
		{"with text between", "shop.example.com", "subject=leaf\n" + leaf.pem + "\nsubject=inter\r\n" + inter.pem + middle.pem, key},
		{"key and chain in one file", "shop.example.com", key + full, key + full},
		{"wildcard", "www.shop.example.com", full, key},
		{"the wildcard itself", "*.shop.example.com", full, key},
		{"SEC 1 key", "shop.example.com", full, sec1(t, leafKey)},
	}
	for _, tt := range good {
		b, _, err := pki.Check(tt.domain, tt.chain, tt.key, now)
		if err != nil {
			t.Errorf("%s: %v", tt.what, err)
			continue
		}
		var names []string
		for _, c := range parse(t, b.ChainPEM) {
			names = append(names, c.Subject.CommonName)
		}
		if got := strings.Join(names, " "); got != "leaf intermediate middle" {
			t.Errorf("%s: chain %s", tt.what, got)
		}
	}

	rsaKey := newKey(t, "rsa2048")
	signedRSA := sign(t, "rsa", inter, rsaKey, forHost("shop.example.com"))
	if _, _, err := pki.Check("shop.example.com", signedRSA.pem+inter.pem+middle.pem, pkcs1(rsaKey), now); err != nil {
		t.Errorf("RSA in PKCS #1: %v", err)
	}
	self := sign(t, "self", nil, leafKey, forHost("shop.example.com"))
	if _, warnings, err := pki.Check("shop.example.com", self.pem, key, now); err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "signs itself") {
		t.Errorf("self-signed: %v, %v", warnings, err)
	}
	if _, warnings, err := pki.Check("shop.example.com", leaf.pem, key, now); err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], `signed by "intermediate"`) {
		t.Errorf("without intermediate: %v, %v", warnings, err)
	}
	soon := sign(t, "soon", inter, leafKey, func(c *x509.Certificate) { c.DNSNames = []string{"shop.example.com"}; c.NotAfter = now.Add(3 * day) })
	if _, warnings, err := pki.Check("shop.example.com", soon.pem+inter.pem+middle.pem, key, now); err != nil || !strings.Contains(strings.Join(warnings, "\n"), "expires in 3 days") {
		t.Errorf("about to expire: %v, %v", warnings, err)
	}

	with := func(change func(*x509.Certificate)) string {
		return sign(t, "odd", inter, leafKey, func(c *x509.Certificate) { c.DNSNames = []string{"shop.example.com"}; change(c) }).pem + inter.pem + middle.pem
	}
	oldInter := sign(t, "old intermediate", middle, newKey(t, "p256"), func(c *x509.Certificate) { asCA(c); c.NotAfter = now.Add(-time.Hour) })
	edKey, p224Key := newKey(t, "ed25519"), newKey(t, "p224")
	weakKey := weakRSA(t)
	bad := []struct{ what, chain, key, pointer, detail, fix string }{
		{"nothing", "", key, "/chain", "the certificate is missing", "BEGIN CERTIFICATE"},
		{"no key", full, " \n", "/key", "the private key is missing", "BEGIN PRIVATE KEY"},
		{"not PEM", "hello", key, "/chain", "not PEM", "BEGIN CERTIFICATE"},
		{"DER", string(leaf.cert.Raw), key, "/chain", "DER or PKCS #12", "openssl x509"},
		{"damaged PEM", strings.Replace(leaf.pem, "MII", "M!!", 1), key, "/chain", "damaged", "copy it again"},
		{"an old intermediate", leaf.pem + old.pem + middle.pem, key, "/chain", `the intermediate "intermediate" expired`, "your CA"},
		{"an intermediate that is not valid yet", leaf.pem + coming.pem + middle.pem, key, "/chain", "is valid only from", "your CA"},
		{"a weak intermediate", leafOf(weak, asIs) + weak.pem, key, "/chain", "RSA key of 1024 bits", "below a newer one"},
		{"signed by what is no CA", leafOf(noCA, asIs) + noCA.pem, key, "/chain", "is no CA", "issued by a CA"},
		{"another CA of the same name", leaf.pem + namesake.pem, key, "/chain", "but another key", "belongs to the certificate"},
		{"a path that is too long", leafOf(below, asIs) + below.pem + short.pem, key, "/chain", "browsers refuse the chain", "reissued"},
		{"a name that its CA may not sign", leafOf(bound, asIs) + bound.pem + middle.pem, key, "/chain", "browsers refuse the chain", "reissued"},
		{"an extension that nobody knows", strange + inter.pem, key, "/chain", "unhandled critical extension", "reissued"},
		{"damaged in the middle", leaf.pem + strings.Replace(inter.pem, "MII", "M!!", 1) + middle.pem, key, "/chain", "damaged", "copy it again"},
		{"cut off", leaf.pem + inter.pem[:200], key, "/chain", "what follows certificate 1 is damaged", "to the last line"},
		{"damaged certificate", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.cert.Raw[:100]})), key, "/chain", "certificate 1 cannot be read", "copy it again"},
		{"a CSR", csr(t, leafKey), key, "/chain", "a certificate request", "what the CA made"},
		{"PKCS #7", "-----BEGIN PKCS7-----\nAAAA\n-----END PKCS7-----\n", key, "/chain", "PKCS #7", "openssl pkcs7"},
		{"another block", "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", key, "/chain", "is not a certificate", "remove it"},
		{"only a key", key, key, "/chain", "a key, but no certificate", "BEGIN CERTIFICATE"},
		{"too large", strings.Repeat("x", 300<<10), key, "/chain", "more than", "only this certificate"},
		{"a bundle of roots", full + manyRoots(t), key, "/chain", "more than 10 certificates", "not a bundle of roots"},
		{"encrypted key", full, "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", "/key", "protected by a password", "openssl pkey"},
		{"encrypted key, old form", full, "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n", "/key", "protected by a password", "openssl pkey"},
		{"a public key", full, public(t, leafKey), "/key", "a public key", "the private one"},
		{"a certificate for a key", full, leaf.pem, "/key", "a certificate, not a key", "the private key here"},
		{"an SSH key", full, "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n", "/key", "an SSH key", "requested with"},
		{"a damaged key", full, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "/key", "cannot be read", "openssl pkey"},
		{"text for a key", full, "secret", "/key", "no private key", "all its lines"},
		{"two keys", full, key + pemKey(t, newKey(t, "p256")), "/key", "several private keys", "the one of this certificate"},
		{"another key", full, pemKey(t, newKey(t, "p256")), "/key", "does not belong", "openssl"},
		{"a weak key", sign(t, "weak", inter, weakKey, forHost("shop.example.com")).pem + inter.pem, pkcs1(weakKey), "/key", "1024 bits is too weak", "2048"},
		{"P-224", sign(t, "p224", inter, p224Key, forHost("shop.example.com")).pem + inter.pem, pemKey(t, p224Key), "/key", "P-224", "P-256"},
		{"Ed25519", sign(t, "ed", inter, edKey, forHost("shop.example.com")).pem + inter.pem, pemKey(t, edKey), "/key", "Ed25519", "P-256"},
		{"another host", with(forHost("blog.example.com", "example.com")), key, "/chain", "it is for blog.example.com, example.com, not for shop.example.com", "this domain"},
		{"a wildcard above", with(forHost("*.example.org")), key, "/chain", "it is for *.example.org", "this domain"},
		{"no alternative names", with(forHost()), key, "/chain", "no host in its subject alternative names", "reissued"},
		{"expired", with(func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Minute) }), key, "/chain", "it expired at 2029-12-31", "successor"},
		{"not yet", with(func(c *x509.Certificate) { c.NotBefore = now.Add(day) }), key, "/chain", "valid only from 2030-01-02", "wait"},
		{"for clients", with(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }), key, "/chain", "lacks serverAuth", "TLS server"},
		{"a CA's", inter.pem + middle.pem, pemKey(t, inter.key), "/chain", "a CA's certificate", "of the domain"},
		{"not of this chain", full + strangerChild.pem, key, "/chain", `"stranger's intermediate" is not part of the chain`, "remove it"},
		{"a gap", leaf.pem + middle.pem, key, "/chain", `"middle" is not part of the chain`, `"leaf" is signed by "intermediate"`},
		{"an expired intermediate", sign(t, "leaf", oldInter, leafKey, forHost("shop.example.com")).pem + oldInter.pem + middle.pem, key, "/chain", `the intermediate "old intermediate" expired`, "from your CA"},
	}
	for _, tt := range bad {
		_, _, err := pki.Check("shop.example.com", tt.chain, tt.key, now)
		var f *fault.Error
		if !errors.As(err, &f) || f.Code != fault.Invalid || len(f.Fields) != 1 {
			t.Errorf("%s: %v", tt.what, err)
			continue
		}
		if got := f.Fields[0]; got.Pointer != tt.pointer || !strings.Contains(got.Detail, tt.detail) || !strings.Contains(got.Fix, tt.fix) {
			t.Errorf("%s: %+v", tt.what, got)
		}
		if strings.Contains(err.Error(), "MIG") {
			t.Errorf("%s: the message holds key material: %v", tt.what, err)
		}
	}
}

func sec1(t *testing.T, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalECPrivateKey(key.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
}

func pkcs1(key crypto.Signer) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key.(*rsa.PrivateKey))}))
}

func public(t *testing.T, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func csr(t *testing.T, key crypto.Signer) string {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{"shop.example.com"}}, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

func manyRoots(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	key := newKey(t, "p256")
	for range 10 {
		b.WriteString(sign(t, "a root", nil, key, asCA).pem)
	}
	return b.String()
}

// weakRSA is a key of 1,024 bits, which the standard library does not make any
// more.
func weakRSA(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	t.Setenv("GODEBUG", "rsa1024min=0")
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// A spec that names an upload which is not here leaves in use what was.
func TestUploadThatIsNotHere(t *testing.T) {
	w := newWorld(t)
	w.ensure("shop.example.com")
	before, _ := w.reconcile("shop.example.com")
	stored, err := w.svc.Store.Get(t.Context(), certificates.Kind, before.ID)
	if err != nil {
		t.Fatal(err)
	}
	spec := before.Spec
	spec.Type, spec.Upload, spec.AutoRenew = certificates.TypeCustom, 7, false
	plan := resource.NewPlan(project, env)
	plan.Update(stored, spec.Encode())
	if _, err := w.svc.Store.Commit(t.Context(), plan.Commit(cause)); err != nil {
		t.Fatal(err)
	}
	c, _ := w.reconcile("shop.example.com")
	if st := c.Status; st.Generation != before.Status.Generation || st.State != certificates.StateValid || st.LastError == nil || st.LastError.Reason != "NotUploaded" {
		t.Errorf("%+v", st)
	}
	w.pass(200 * day)
	if c, _ = w.reconcile("shop.example.com"); c.Status.State != certificates.StateExpired {
		t.Errorf("at its end: %s", c.Status.State)
	}
}

func TestUploadReplacesAndIsWatched(t *testing.T) {
	w := newWorld(t)
	w.ensure("shop.example.com")
	automatic, _ := w.reconcile("shop.example.com")
	root := sign(t, "root", nil, newKey(t, "p256"), asCA)
	key := newKey(t, "p256")
	leaf := sign(t, "leaf", root, key, forHost("shop.example.com"))

	upload := func(domain string) error {
		_, err := w.svc.Upload(expired(t), custom.UploadRequest{Project: project, Environment: env, Domain: domain, ChainPEM: leaf.pem, KeyPEM: pemKey(t, key)}, cause)
		return err
	}
	if err := upload("other.example.com"); !fault.Is(err, fault.Conflict) {
		t.Errorf("for a name that is not verified: %v", err)
	}
	if err := upload("shop.example.com"); err != nil {
		t.Fatal(err)
	}
	c, _ := w.reconcile("shop.example.com")
	if c.ID != automatic.ID || c.Status.State != certificates.StateValid || c.Status.Generation != "u1" || c.Status.IssuedType != certificates.TypeCustom || c.Status.RenewAt != nil {
		t.Fatalf("uploaded: %+v", c.Status)
	}
	if !w.leaf(c).Equal(leaf.cert) {
		t.Error("another certificate is kept")
	}
	orders := w.count()
	w.pass(61 * day) // past the automatic one's renewal
	if c, _ = w.reconcile("shop.example.com"); w.count() != orders || c.Status.State != certificates.StateExpiring {
		t.Errorf("near its end: %d orders, %+v", w.count()-orders, c.Status)
	}
	w.pass(30 * day)
	if c, _ = w.reconcile("shop.example.com"); c.Status.State != certificates.StateExpired || w.count() != orders {
		t.Errorf("past its end: %+v", c.Status)
	}
	if _, err := w.svc.Renew(t.Context(), project, env, "shop.example.com", provision.Settings{}, cause); !fault.Is(err, fault.Invalid) {
		t.Errorf("renewing an upload: %v", err)
	}
	// Back to an automatic one.
	plan, err := w.svc.PlanProvision(t.Context(), provision.Request{Project: project, Environment: env, Domain: "shop.example.com", AutoRenew: true})
	if err != nil || len(plan.Warnings) != 1 {
		t.Fatalf("plan %+v, %v", plan, err)
	}
	if _, err := w.db.Commit(t.Context(), plan.Commit(cause)); err != nil {
		t.Fatal(err)
	}
	if c, _ = w.reconcile("shop.example.com"); c.Status.State != certificates.StateValid || c.Status.Generation != "2" || c.Spec.Upload != 0 {
		t.Errorf("automatic again: %+v", c.Status)
	}
	// The uploaded bundle is still there for a revert, and the next has its own number.
	if _, err := w.svc.Bundle(t.Context(), c.ID, "u1"); err != nil {
		t.Errorf("the uploaded bundle: %v", err)
	}
	w.now = now
	if err := upload("shop.example.com"); err != nil {
		t.Fatal(err)
	}
	if c, _ = w.reconcile("shop.example.com"); c.Status.Generation != "u2" {
		t.Errorf("the second upload is %s", c.Status.Generation)
	}
}
