package acme_test

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	protocol "github.com/mholt/acmez/v3/acme"

	"github.com/edgewright/edgewright/control/acme"
	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/certificates/simtest"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/store/storetest"
)

const wild = "*.shop.example.com"

// startSlow starts a CA that takes its time to look at names, which are proved in
// DNS.
func startSlow(t *testing.T) (*pebble, *slow) {
	t.Helper()
	p := startPebble(t, "0")
	s := &slow{path: "authZ", state: "pending", retryAfter: 1200, first: map[string]string{}}
	p.requests.take(s.answer(p))
	return p, s
}

func (p *pebble) writer(t *testing.T, l *looks) *acme.Client {
	return p.client(t, l.db, func(o *acme.Options) { o.TXT, o.Now = []acme.TXTChooser{p.zone}, func() time.Time { return l.at } })
}

// firstAuthorization is what the slow CA says of the first name.
func (s *slow) firstAuthorization(t *testing.T, p *pebble) string {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	a := p.db.GetAuthorizationByID(s.first["authZ"])
	if a == nil {
		t.Fatal("the CA was not asked for an authorization")
	}
	a.RLock()
	defer a.RUnlock()
	return a.Status
}

func (l *looks) waiting(want int) {
	l.t.Helper()
	if n := l.p.zone.texts(false); n != want {
		l.t.Errorf("%d challenges stand in DNS, want %d", n, want)
	}
}

// A challenge stands in DNS for as long as the CA may look, by whichever control
// plane, and no longer, however the order ends.
func TestSlowDNS(t *testing.T) {
	begin := func(t *testing.T) (*looks, *slow, certificates.Certificate) {
		p, s := startSlow(t)
		l := &looks{t: t, p: p, db: storetest.SQLite(t), at: time.Now()}
		l.issuer = func() certificates.Issuer { return p.writer(t, l) }
		c, next := l.look(wild)
		if c.Status.State != certificates.StateIssuing || c.Status.Step != certificates.StepValidate || len(c.Status.Orders) != 1 || next < 1190*time.Second {
			t.Fatalf("next in %v: %+v", next, c.Status)
		}
		l.waiting(1)
		return l, s, c
	}
	ended := func(l *looks, c certificates.Certificate, orders int) {
		l.t.Helper()
		l.waiting(0)
		if len(c.Status.Orders) != 0 {
			l.t.Errorf("orders are still kept: %+v", c.Status)
		}
		if _, err := l.db.Secret(l.t.Context(), "certificate/"+c.ID+"/pending"); err == nil {
			l.t.Error("the order is still in the vault")
		}
		if got := l.p.orders(); got != orders {
			l.t.Errorf("%d orders, want %d", got, orders)
		}
	}
	t.Run("in the end", func(t *testing.T) {
		l, s, _ := begin(t)
		asked := s.count()
		// What another control plane has made is gone with it.
		l.p.zone.texts(true)
		l.at = l.at.Add(10 * time.Minute)
		l.look(wild)
		if l.waiting(1); s.count() != asked {
			t.Error("the CA was asked before it was time")
		}
		l.at = l.at.Add(10 * time.Minute)
		_, next := l.look(wild)
		if l.waiting(1); s.count() == asked {
			t.Error("the CA was not asked when it was time")
		}
		s.end()
		l.at = l.at.Add(next)
		c, _ := l.look(wild)
		if c.Status.State != certificates.StateValid {
			t.Errorf("in the end: %+v", c.Status)
		}
		ended(l, c, 1)
	})
	t.Run("refused", func(t *testing.T) {
		l, s, _ := begin(t)
		s.turn("invalid")
		l.at = l.at.Add(20 * time.Minute)
		c, _ := l.look(wild)
		if c.Status.State != certificates.StateFailed || c.Status.LastError.Reason != "WrongAnswer" || len(c.Status.FailedAt) != 1 {
			t.Errorf("refused: %+v, %+v", c.Status, c.Status.LastError)
		}
		ended(l, c, 1)
	})
	t.Run("the provider is away", func(t *testing.T) {
		l, s, _ := begin(t)
		s.end()
		l.p.zone.stick(true)
		l.at = l.at.Add(20 * time.Minute)
		c, _ := l.look(wild)
		if c.Status.State != certificates.StateValid || len(c.Status.Orders) != 1 {
			t.Errorf("with the provider away: %+v", c.Status)
		}
		l.waiting(1)
		l.p.zone.stick(false)
		l.at = l.at.Add(time.Hour)
		c, _ = l.look(wild)
		ended(l, c, 1)
	})
	t.Run("the CA is away until the order is over", func(t *testing.T) {
		l, _, _ := begin(t)
		l.p.requests.take(func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusBadGateway)
			return true
		})
		l.at = l.at.Add(20 * time.Minute)
		_, next := l.look(wild)
		l.waiting(1)
		l.at = l.at.Add(max(next, 8*24*time.Hour))
		l.look(wild)
		l.waiting(0)
	})
	t.Run("deleted", func(t *testing.T) {
		l, s, c := begin(t)
		if _, err := l.db.Commit(t.Context(), resource.Commit{Changes: []resource.Change{{Op: resource.Delete, Kind: certificates.Kind, ID: c.ID}}}); err != nil {
			t.Fatal(err)
		}
		if next, err := l.reconcile(t.Context(), c.ID); err != nil || next != 0 {
			t.Errorf("next in %v, %v", next, err)
		}
		if got := s.firstAuthorization(t, l.p); got != protocol.StatusDeactivated {
			t.Errorf("the authorization is %s", got)
		}
		c.Status.Orders = nil
		ended(l, c, 1)
	})
}

// Another CA has its turn when the first is slow: the first one's order stays
// while the second has not given the certificate, also over a restart, and is
// given up then. None of them is made twice.
func TestAnotherCAOvertakes(t *testing.T) {
	begin := func(t *testing.T) (l *looks, s *slow, second *pebble) {
		first, s := startSlow(t)
		second = startPebble(t, "0")
		l = &looks{t: t, p: first, db: storetest.SQLite(t), at: time.Now()}
		l.issuer = func() certificates.Issuer {
			return &simtest.CAs{List: []certificates.Authority{{Name: "first", Issuer: first.writer(t, l)}, {Name: "second", Issuer: second.writer(t, l)}}}
		}
		if c, _ := l.look(wild); c.Status.State != certificates.StateIssuing || !slices.Equal(c.Status.Orders, []string{"first"}) {
			t.Fatalf("at first: %+v", c.Status)
		}
		l.at = l.at.Add(2 * time.Hour)
		return l, s, second
	}
	valid := func(l *looks, c certificates.Certificate, authority string, second *pebble) {
		l.t.Helper()
		if c.Status.State != certificates.StateValid || c.Status.Authority != authority || len(c.Status.Orders) != 0 {
			l.t.Errorf("in the end: %+v, %+v", c.Status, c.Status.LastError)
		}
		for n, p := range map[string]*pebble{"first": l.p, "second": second} {
			if got := p.orders(); got != 1 {
				l.t.Errorf("%d orders at the %s CA", got, n)
			}
			if got := p.zone.texts(false); got != 0 {
				l.t.Errorf("%d challenges of the %s CA are left in DNS", got, n)
			}
		}
	}
	t.Run("it gives the certificate", func(t *testing.T) {
		l, s, second := begin(t)
		c, _ := l.look(wild)
		valid(l, c, "second", second)
		if got := s.firstAuthorization(t, l.p); got != protocol.StatusDeactivated {
			t.Errorf("the first CA's authorization is %s", got)
		}
	})
	// dies has the process die in the middle of the second CA's order.
	dies := func(l *looks, second *pebble) {
		l.t.Helper()
		reached := make(chan struct{}, 1)
		second.requests.take(func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasPrefix(r.URL.Path, "/finalize-order/") {
				return false
			}
			_, _ = io.Copy(io.Discard, r.Body) // or the server does not notice that the client is gone
			reached <- struct{}{}
			<-r.Context().Done()
			return true
		})
		ctx, die := context.WithCancel(l.t.Context())
		defer die()
		go func() {
			<-reached
			die()
		}()
		if _, _, err := l.lookIn(ctx, wild); err == nil {
			l.t.Fatal("it did not die")
		}
		second.requests.take(nil)
	}
	t.Run("after a restart", func(t *testing.T) {
		l, s, second := begin(t)
		dies(l, second)
		l.at = l.at.Add(2 * time.Hour)
		c, _ := l.look(wild)
		valid(l, c, "second", second)
		if got := s.firstAuthorization(t, l.p); got != protocol.StatusDeactivated {
			t.Errorf("the first CA's authorization is %s", got)
		}
	})
	t.Run("the first comes to its end after all", func(t *testing.T) {
		l, s, second := begin(t)
		dies(l, second)
		s.end()
		l.at = l.at.Add(2 * time.Hour)
		c, _ := l.look(wild)
		valid(l, c, "first", second)
	})
}
