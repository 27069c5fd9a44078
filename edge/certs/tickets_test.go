package certs

import (
	"crypto/rand"
	"crypto/tls"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edgewright/edgewright/edgeconfig"
)

// clock is a time that tests move.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.at.Store(time.Now().Truncate(time.Hour).Add(30 * time.Minute).UnixNano())
	return c
}

func (c *clock) now() time.Time      { return time.Unix(0, c.at.Load()) }
func (c *clock) add(d time.Duration) { c.at.Add(int64(d)) }

func chain(t *testing.T, hour int64) edgeconfig.TicketChain {
	t.Helper()
	c := edgeconfig.TicketChain{Hour: hour}
	if _, err := rand.Read(c.Secret[:]); err != nil {
		t.Fatal(err)
	}
	return c
}

// fleetEdge is the settings of one edge with the tickets of a chain.
func fleetEdge(ca *authority, t *testing.T, now func() time.Time, c edgeconfig.TicketChain, names ...string) (Settings, *Tickets) {
	t.Helper()
	d, v := (*Table)(nil).Edit(), NewVault(0)
	for _, name := range names {
		d.Add(entry(t, v, ca.issue(t, "crt_"+name, time.Now().Add(1000*time.Hour), name)))
	}
	table, tickets := d.Table(), NewTickets(now)
	tickets.Set(c)
	return NewSettings(Options{Table: func() *Table { return table }, Tickets: tickets, Now: now}), tickets
}

// resumes shakes hands twice: with one edge to get a ticket, after a while with
// another, and reports whether the session went on.
func resumes(t *testing.T, ca *authority, version uint16, first, second *tls.Config, between func()) bool {
	t.Helper()
	client := &tls.Config{ServerName: "shop.example", InsecureSkipVerify: true, MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(4)}
	if state, err := exchange(t, first, client); err != nil || state.DidResume {
		t.Fatalf("the first handshake: %v, resumed %v", err, state.DidResume)
	}
	if between != nil {
		between()
	}
	state, err := exchange(t, second, client)
	if err != nil {
		t.Fatalf("the second handshake: %v", err)
	}
	return state.DidResume
}

func TestTicketsAreTheFleets(t *testing.T) {
	ca, time := newAuthority(t), newClock()
	hour := edgeconfig.HourOf(time.now())
	ours := chain(t, hour-edgeconfig.TicketWindow)
	a, _ := fleetEdge(ca, t, time.now, ours, "shop.example")
	b, keys := fleetEdge(ca, t, time.now, ours, "shop.example")
	stranger, _ := fleetEdge(ca, t, time.now, chain(t, hour), "shop.example")
	later, _ := fleetEdge(ca, t, time.now, ours.At(hour), "shop.example")
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		if !resumes(t, ca, version, a.TCP, b.TCP, nil) {
			t.Errorf("version %x: a session does not go on with another edge", version)
		}
		if !resumes(t, ca, version, a.TCP, later.TCP, nil) {
			t.Errorf("version %x: a session does not go on with an edge that has a later part of the chain", version)
		}
		if resumes(t, ca, version, a.TCP, stranger.TCP, nil) {
			t.Errorf("version %x: a session goes on with an edge of another fleet", version)
		}
		if resumes(t, ca, version, a.TCP, b.TCP, func() { keys.Set(chain(t, hour)) }) {
			t.Errorf("version %x: a session goes on although the chain was replaced", version)
		}
		keys.Set(ours)
	}
}

func TestTicketsAreForgotten(t *testing.T) {
	ca := newAuthority(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		clock := newClock()
		ours := chain(t, edgeconfig.HourOf(clock.now()))
		a, _ := fleetEdge(ca, t, clock.now, ours, "shop.example")
		b, keys := fleetEdge(ca, t, clock.now, ours, "shop.example")
		if !resumes(t, ca, version, a.TCP, b.TCP, func() { clock.add(edgeconfig.TicketWindow * time.Hour) }) {
			t.Errorf("version %x: a ticket of the window does not resume", version)
		}
		if resumes(t, ca, version, a.TCP, b.TCP, func() { clock.add((edgeconfig.TicketWindow + 1) * time.Hour) }) {
			t.Errorf("version %x: a ticket older than the window resumes", version)
		}
		if kept := keys.current.Load().chain.Hour; kept != edgeconfig.HourOf(clock.now())-edgeconfig.TicketWindow {
			t.Errorf("the chain is kept from hour %d, before the window", kept)
		}
	}
}

// TestClocksDiffer: an edge whose clock is ahead seals with a key that others
// can open.
func TestClocksDiffer(t *testing.T) {
	ca, clock := newAuthority(t), newClock()
	ours := chain(t, edgeconfig.HourOf(clock.now())-2)
	ahead := func() time.Time { return clock.now().Add(time.Hour) }
	a, _ := fleetEdge(ca, t, ahead, ours, "shop.example")
	b, _ := fleetEdge(ca, t, clock.now, ours, "shop.example")
	if !resumes(t, ca, tls.VersionTLS13, a.TCP, b.TCP, nil) || !resumes(t, ca, tls.VersionTLS13, b.TCP, a.TCP, nil) {
		t.Error("an hour between clocks ends sessions")
	}
	future, _ := fleetEdge(ca, t, clock.now, ours.At(ours.Hour+10), "shop.example")
	if !resumes(t, ca, tls.VersionTLS13, future.TCP, future.TCP, nil) {
		t.Error("an edge whose chain begins in the future does not resume")
	}
}

// TestTicketIsForItsName: a client that offers one site's ticket to another
// shakes hands in full.
func TestTicketIsForItsName(t *testing.T) {
	ca := newAuthority(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		s, _ := fleetEdge(ca, t, time.Now, chain(t, edgeconfig.HourOf(time.Now())), "shop.example", "other.example")
		cache := &oneSession{}
		client := &tls.Config{ServerName: "shop.example", InsecureSkipVerify: true, MaxVersion: version, ClientSessionCache: cache}
		for i, c := range []struct {
			name string
			want bool
		}{{"shop.example", false}, {"shop.example", true}, {"other.example", false}, {"other.example", true}} {
			client.ServerName = c.name
			state, err := exchange(t, s.TCP, client)
			if err != nil || state.DidResume != c.want {
				t.Errorf("version %x, handshake %d for %s: %v, resumed %v", version, i, c.name, err, state.DidResume)
			}
		}
	}
}

// oneSession offers its session to whatever server.
type oneSession struct{ s *tls.ClientSessionState }

func (c *oneSession) Get(string) (*tls.ClientSessionState, bool) { return c.s, c.s != nil }
func (c *oneSession) Put(_ string, s *tls.ClientSessionState)    { c.s = s }

func TestChainGoesForwardOnly(t *testing.T) {
	c := chain(t, 100)
	if c.At(103) != c.At(101).At(103) || c.At(101).Key() == c.Key() || c.At(101).Secret == c.Secret {
		t.Error("the chain does not follow from itself")
	}
	if c.At(99) != c || c.At(1<<40) != c {
		t.Error("the chain goes where it must not")
	}
}

func BenchmarkTicketUnwrap(b *testing.B) {
	t := NewTickets(time.Now)
	ticket, err := t.box().EncryptTicket(tls.ConnectionState{}, &tls.SessionState{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		_, _ = t.box().DecryptTicket(ticket, tls.ConnectionState{})
	}
}
