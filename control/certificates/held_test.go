package certificates_test

import (
	"crypto/x509"
	"encoding/json"
	"testing"
	"time"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/certificates/provision"
	"github.com/edgewright/edgewright/control/certificates/simtest"
	"github.com/edgewright/edgewright/control/certificates/upkeep"
	"github.com/edgewright/edgewright/control/reconcile"
	"github.com/edgewright/edgewright/control/resource"
)

// stapling is a room whose CA puts must-staple into what asks for it and gives
// OCSP answers when it is told to.
type stapling struct {
	t     *testing.T
	db    *simtest.Store
	clock *simtest.Clock
	ca    *simtest.CA
	rec   *upkeep.Reconciler
	s     *standings
	id    string
}

func newStapling(t *testing.T) *stapling {
	w := &stapling{t: t, db: simtest.NewStore(), clock: simtest.NewClock(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)), s: &standings{}}
	w.ca = simtest.NewCA(t, "CA", w.clock.Now)
	w.ca.Change = func(o certificates.Order, c *x509.Certificate) {
		c.OCSPServer = []string{"http://ocsp.example/"}
		request, err := x509.ParseCertificateRequest(o.CSR)
		if err != nil {
			t.Error(err)
			return
		}
		for _, e := range request.Extensions {
			if e.Id.String() == "1.3.6.1.5.5.7.1.24" {
				c.ExtraExtensions = append(c.ExtraExtensions, e)
			}
		}
	}
	svc := provision.New(certificates.Room{Store: w.db, Vault: w.db, Ownership: simtest.Owner{}, Now: w.clock.Now, Revocation: w.s})
	w.rec = upkeep.NewReconciler(svc.Room, svc.Judge, map[certificates.CertType]certificates.Issuer{certificates.TypeACME: w.ca}, nil)
	w.answer(true)
	w.commit(resource.Change{Op: resource.Create, ID: "crt_1", Name: "shop.example.com"}, certificates.Spec{Domains: []string{"shop.example.com"}, Type: certificates.TypeACME, AutoRenew: true, KeyType: "p256", MustStaple: true})
	w.id = "crt_1"
	return w
}

func (w *stapling) commit(change resource.Change, spec certificates.Spec) {
	w.t.Helper()
	change.Kind, change.Spec, change.Project, change.Environment = certificates.Kind, encode(w.t, spec), project, env
	if _, err := w.db.Commit(w.t.Context(), resource.Commit{Changes: []resource.Change{change}}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *stapling) answer(yes bool) {
	w.s.standing = certificates.Standing{AskAt: w.clock.Now().Add(10 * time.Hour)}
	if yes {
		w.s.standing.Staple = &certificates.Staple{DER: []byte{1}, NextUpdate: w.clock.Now().Add(4 * day), RefreshAt: w.clock.Now().Add(2 * day)}
	}
}

func (w *stapling) look() (certificates.Certificate, time.Duration) {
	w.t.Helper()
	next, err := w.rec.Reconcile(w.t.Context(), reconcile.Ref{Kind: certificates.Kind, ID: w.id})
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := w.db.Get(w.t.Context(), certificates.Kind, w.id)
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := certificates.Decode(r)
	if err != nil {
		w.t.Fatal(err)
	}
	return c, next
}

// A certificate that must be stapled is served only with its staple, as long as
// the one before it is good; and it is not ordered again meanwhile.
func TestMustStapleWaitsForItsStaple(t *testing.T) {
	tests := []struct {
		what string
		then func(*stapling)
		want string // the generation in use in the end
	}{
		{"the answer comes", func(w *stapling) { w.clock.Pass(time.Minute); w.answer(true) }, "2"},
		{"the answer never comes, and the old one ends", func(w *stapling) { w.clock.Pass(30*day - 30*time.Minute) }, "2"},
		{"the answer does not come yet", func(w *stapling) { w.clock.Pass(time.Hour) }, "1"},
		{"it is wanted otherwise meanwhile", func(w *stapling) {
			w.answer(true)
			w.commit(resource.Change{Op: resource.Update, ID: w.id}, certificates.Spec{Domains: []string{"shop.example.com", "www.shop.example.com"}, Type: certificates.TypeACME, AutoRenew: true, KeyType: "p256", MustStaple: true})
		}, "3"},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			w := newStapling(t)
			if c, _ := w.look(); c.Status.Generation != "1" || c.Status.Staple == nil || !c.Status.MustStaple {
				t.Fatalf("the first: %+v", c.Status)
			}
			w.clock.Pass(60*day - time.Hour)
			w.answer(false)
			w.clock.Pass(time.Hour)
			c, next := w.look()
			if c.Status.Generation != "1" || c.Status.Held == nil || c.Status.Held.Generation != "2" || c.Status.State != certificates.StateValid || next > time.Minute {
				t.Fatalf("renewed without a staple: next in %v, %+v", next, c.Status)
			}
			w.look()
			if n := len(w.ca.Orders()); n != 2 {
				t.Fatalf("%d orders while one is held back", n)
			}
			tt.then(w)
			c, _ = w.look()
			if c.Status.Generation != tt.want || (c.Status.Held == nil) != (tt.want != "1") {
				t.Errorf("%s is in use: %+v", c.Status.Generation, c.Status)
			}
			if c.Status.Generation == "1" {
				return
			}
			if c.Status.Serial == "" || c.Status.NotAfter.Before(w.clock.Now()) || c.Status.RenewAt.Before(w.clock.Now()) {
				t.Errorf("what is in use: %+v", c.Status)
			}
		})
	}
}

// The first certificate of a name waits for nothing: none is worse.
func TestFirstMustStapleIsServed(t *testing.T) {
	w := newStapling(t)
	w.answer(false)
	if c, _ := w.look(); c.Status.Generation != "1" || c.Status.Held != nil {
		t.Errorf("the first: %+v", c.Status)
	}
}

func encode(t *testing.T, v any) json.RawMessage {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
