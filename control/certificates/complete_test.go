package certificates_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/certificates/custom"
	"github.com/edgewright/edgewright/control/certificates/pki"
	"github.com/edgewright/edgewright/control/certificates/revocation"
)

// An upload without its intermediates is completed from where the certificates
// themselves say that their issuers are, as far as what comes has signed them.
func TestMissingIntermediatesAreFetched(t *testing.T) {
	published := map[string][]byte{}
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		body, ok := published[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(body)
	}))
	defer server.Close()
	at := func(path string, also ...func(*x509.Certificate)) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			c.IssuingCertificateURL = []string{server.URL + path}
			for _, change := range also {
				change(c)
			}
		}
	}
	root := sign(t, "root", nil, newKey(t, "p256"), asCA)
	outer := sign(t, "outer", root, newKey(t, "p256"), at("/root", asCA))
	inner := sign(t, "inner", outer, newKey(t, "p256"), at("/outer", asCA))
	stranger := sign(t, "stranger", root, newKey(t, "p256"), asCA)
	published["/root"], published["/outer"], published["/inner"] = root.cert.Raw, []byte(outer.pem), inner.cert.Raw
	published["/stranger"], published["/nonsense"], published["/long"] = stranger.cert.Raw, []byte("<html>"), make([]byte, 1<<20)

	tests := []struct {
		path    string
		chain   int
		asked   int
		warning string
	}{
		{"/inner", 3, 3, `"outer" was missing and was fetched`},
		{"/stranger", 1, 1, "did not sign it"},
		{"/nonsense", 1, 1, "is not a certificate"},
		{"/long", 1, 1, "sends more than"},
		{"/nothing", 1, 1, "404"},
	}
	for _, tt := range tests {
		t.Run(strings.TrimPrefix(tt.path, "/"), func(t *testing.T) {
			w := newWorld(t)
			w.now = now
			w.furnish(func(r *certificates.Room) { r.Issuers = revocation.New(server.Client(), nil) })
			leaf := sign(t, "leaf", inner, newKey(t, "p256"), at(tt.path, forHost("shop.example.com")))
			asked = 0
			upload := custom.UploadRequest{Project: project, Environment: env, Domain: "shop.example.com", ChainPEM: leaf.pem, KeyPEM: pemKey(t, leaf.key)}
			plan, err := w.svc.PlanUpload(t.Context(), upload)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(fmt.Sprint(plan.Warnings), tt.warning) || asked != tt.asked {
				t.Errorf("asked %d times, warnings %q", asked, plan.Warnings)
			}
			if _, err := w.svc.Upload(done(t), upload, cause); err != nil {
				t.Fatal(err)
			}
			b, err := w.svc.Bundle(t.Context(), w.get("shop.example.com").ID, "u1")
			if err != nil {
				t.Fatal(err)
			}
			if chain, err := pki.ParseChain(b.ChainPEM); err != nil || len(chain) != tt.chain {
				t.Errorf("%d certificates are served, %v", len(chain), err)
			}
		})
	}

	// A long way up is gone only so far.
	w := newWorld(t)
	w.now = now
	far := &far{}
	w.furnish(func(r *certificates.Room) { r.Issuers = far })
	signer := root
	for i := range 6 {
		signer = sign(t, fmt.Sprint("ca", i), signer, newKey(t, "p256"), at("/", asCA))
		far.list = append(far.list, signer.cert)
	}
	leaf := sign(t, "leaf", signer, newKey(t, "p256"), at("/", forHost("shop.example.com")))
	if _, err := w.svc.PlanUpload(t.Context(), custom.UploadRequest{Project: project, Environment: env, Domain: "shop.example.com", ChainPEM: leaf.pem, KeyPEM: pemKey(t, leaf.key)}); err != nil || far.asked != 3 {
		t.Errorf("asked %d times, %v", far.asked, err)
	}
}

// far knows who has signed what.
type far struct {
	asked int
	list  []*x509.Certificate
}

func (f *far) Issuer(_ context.Context, child *x509.Certificate) (*x509.Certificate, error) {
	f.asked++
	for _, c := range f.list {
		if child.CheckSignatureFrom(c) == nil {
			return c, nil
		}
	}
	return nil, errors.New("there is none")
}
