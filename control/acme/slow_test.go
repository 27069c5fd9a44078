package acme_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/certificates/provision"
	"github.com/edgewright/edgewright/control/certificates/upkeep"
	"github.com/edgewright/edgewright/control/reconcile"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/store"
	"github.com/edgewright/edgewright/control/store/storetest"
)

// slow makes the CA say of the first order, or of its authorization, that it has
// come no further than a state, and when to look again.
type slow struct {
	path, state string
	retryAfter  int

	mu    sync.Mutex
	first map[string]string // the ID of the first object below each path
	over  bool
	asked int
}

// mine notes the first object of a kind, and tells whether this is it.
func (s *slow) mine(kind, id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.first[kind] == "" {
		s.first[kind] = id
	}
	mine := !s.over && s.first[kind] == id
	if mine && kind == s.path {
		s.asked++
	}
	return mine
}

func (s *slow) answer(p *pebble) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		kind, id, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		if kind == "finalize-order" {
			kind = "my-order"
		}
		if kind != "my-order" && kind != "authZ" && kind != "order-plz" {
			return false
		}
		got := httptest.NewRecorder()
		p.requests.next.ServeHTTP(got, r)
		if at := got.Header().Get("Location"); kind == "order-plz" {
			id = at[strings.LastIndex(at, "/")+1:]
			if id != "" {
				s.mine("my-order", id)
			}
		}
		body := got.Body.Bytes()
		var object map[string]any
		if kind != "order-plz" && s.mine(kind, id) && json.Unmarshal(body, &object) == nil {
			switch status := object["status"]; {
			case kind == s.path && (status == "valid" || status == "processing"):
				object["status"] = s.say()
				delete(object, "certificate")
				if list, ok := object["challenges"].([]any); ok && object["status"] == "invalid" {
					list[0].(map[string]any)["error"] = map[string]any{"type": "urn:ietf:params:acme:error:unauthorized", "detail": "found something else", "status": 403}
				}
				got.Header().Set("Retry-After", strconv.Itoa(s.retryAfter))
			case s.path == "authZ" && status == "ready":
				object["status"] = s.say() // as its authorization is
			}
			body, _ = json.Marshal(object)
		}
		for key, list := range got.Header() {
			w.Header()[key] = list
		}
		w.Header().Del("Content-Length")
		w.WriteHeader(got.Code)
		_, _ = w.Write(body)
		return true
	}
}

func (s *slow) say() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// turn makes the CA say something else.
func (s *slow) turn(state string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = state
}

func (s *slow) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
}

func (s *slow) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// looks is a control plane whose every look is its first: nothing is known but
// what is on disk.
type looks struct {
	t      *testing.T
	p      *pebble
	db     *store.DB
	at     time.Time
	issuer func() certificates.Issuer // nil: p's client
}

func (l *looks) room() *provision.Service {
	at := l.at
	return provision.New(certificates.Room{Store: l.db, Vault: l.db, Ownership: owner{}, Ledger: l.db, Now: func() time.Time { return at }})
}

func (l *looks) look(domain string) (certificates.Certificate, time.Duration) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), time.Minute)
	defer cancel()
	c, next, err := l.lookIn(ctx, domain)
	if err != nil {
		l.t.Fatal(err)
	}
	return c, next
}

func (l *looks) lookIn(ctx context.Context, domain string) (certificates.Certificate, time.Duration, error) {
	l.t.Helper()
	room := l.room()
	if err := room.Ensure(l.t.Context(), "alpha", "production", domain, resource.Cause{Actor: "system test", Via: "system"}); err != nil {
		l.t.Fatal(err)
	}
	get := func() certificates.Certificate {
		c, err := room.Get(l.t.Context(), "alpha", "production", domain)
		if err != nil {
			l.t.Fatal(err)
		}
		return c
	}
	next, err := l.reconcile(ctx, get().ID)
	return get(), next, err
}

func (l *looks) reconcile(ctx context.Context, id string) (time.Duration, error) {
	room := l.room()
	var issuer certificates.Issuer
	if l.issuer != nil {
		issuer = l.issuer()
	} else {
		issuer = l.p.client(l.t, l.db, nil)
	}
	rec := upkeep.NewReconciler(room.Room, room.Judge, map[certificates.CertType]certificates.Issuer{certificates.TypeACME: issuer}, nil)
	return rec.Reconcile(ctx, reconcile.Ref{Kind: certificates.Kind, ID: id})
}

// A CA that takes hours over an order, or over looking at a name: it is asked
// again when it says, by whichever control plane is there then, and no worker
// waits. No second order is made, and other names go on.
func TestSlowOrders(t *testing.T) {
	for _, tt := range []struct{ name, path, state, step string }{
		{"signing", "my-order", "processing", certificates.StepFinalize},
		{"looking", "authZ", "pending", certificates.StepValidate},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := startPebble(t, "0")
			s := &slow{path: tt.path, state: tt.state, retryAfter: 1200, first: map[string]string{}}
			p.requests.take(s.answer(p))
			l := &looks{t: t, p: p, db: storetest.SQLite(t), at: time.Now()}

			c, next := l.look("shop.example.com")
			st := c.Status
			if st.State != certificates.StateIssuing || st.Step != tt.step || st.Failures != 0 || next < 1190*time.Second || next > 1200*time.Second {
				t.Fatalf("next in %v: %+v", next, st)
			}
			if other, _ := l.look("other.example.com"); other.Status.State != certificates.StateValid {
				t.Errorf("another name: %+v", other.Status)
			}
			if tt.path == "authZ" {
				p.edge.mu.Lock()
				until := int64(0)
				for _, answer := range p.edge.answers {
					until = max(until, answer.ExpiresAt)
				}
				p.edge.mu.Unlock()
				if until < l.at.Add(next).Unix() {
					t.Error("the answer ends before the CA may look")
				}
			}
			asked := s.count()
			l.at = l.at.Add(10 * time.Minute)
			if _, again := l.look("shop.example.com"); s.count() != asked || again > 10*time.Minute || again < 9*time.Minute {
				t.Errorf("asked %d times before it was time, again in %v", s.count()-asked, again)
			}
			l.at = l.at.Add(10 * time.Minute)
			if c, next = l.look("shop.example.com"); s.count() == asked || c.Status.State != certificates.StateIssuing || next < 1190*time.Second {
				t.Errorf("next in %v: %+v", next, c.Status)
			}
			// After an hour the user is told.
			l.at = l.at.Add(time.Hour)
			if c, next = l.look("shop.example.com"); c.Status.State != certificates.StateFailed || c.Status.LastError.Reason != "CAWorking" || next < 1190*time.Second {
				t.Errorf("after an hour, next in %v: %+v", next, c.Status)
			}
			if third, _ := l.look("third.example.com"); third.Status.State != certificates.StateValid {
				t.Errorf("a third name: %+v", third.Status.LastError)
			}
			s.end()
			l.at = l.at.Add(next)
			if c, _ = l.look("shop.example.com"); c.Status.State != certificates.StateValid {
				t.Errorf("in the end: %+v", c.Status)
			}
			if got := p.orders(); got != 3 {
				t.Errorf("%d orders for 3 names", got)
			}
		})
	}
}
