package certs

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/edgewright/edgewright/edgeconfig"
)

// Tickets holds the keys of session tickets: that of the hour seals, those of
// the window before it open, and that of the hour to come opens too, since
// clocks differ. They are wound on when a handshake meets a new hour. Tickets
// outlives configurations.
type Tickets struct {
	now     func() time.Time
	current atomic.Pointer[ticketKeys]
	mu      sync.Mutex // one goroutine winds on
}

type ticketKeys struct {
	hour  int64                  // until when these are right
	chain edgeconfig.TicketChain // at the window's beginning, or later when it is younger
	// box seals and opens; it is no configuration of anything else.
	box *tls.Config
}

// NewTickets returns keys that nobody else has, until Set.
func NewTickets(now func() time.Time) *Tickets {
	t := &Tickets{now: now}
	own := edgeconfig.TicketChain{Hour: edgeconfig.HourOf(now())}
	_, _ = rand.Read(own.Secret[:])
	t.Set(own)
	return t
}

// Set replaces the chain. Tickets of another chain resume no more; of the same
// one they go on.
func (t *Tickets) Set(chain edgeconfig.TicketChain) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wind(chain, edgeconfig.HourOf(t.now()))
}

// wind makes the keys of an hour and forgets what came before its window.
func (t *Tickets) wind(chain edgeconfig.TicketChain, hour int64) {
	chain = chain.At(hour - edgeconfig.TicketWindow)
	keys := &ticketKeys{hour: hour, chain: chain, box: &tls.Config{}}
	var list [][32]byte // oldest first
	for c := chain; ; c = c.At(c.Hour + 1) {
		list = append(list, c.Key())
		if c.Hour > hour { // the hour to come, or a chain that begins in the future
			break
		}
	}
	if n := len(list); n > 1 {
		list[n-1], list[n-2] = list[n-2], list[n-1] // the present hour's is last
	}
	slices.Reverse(list)
	keys.box.SetSessionTicketKeys(list)
	t.current.Store(keys)
}

// box returns the keys of the hour. A clock that goes back changes nothing.
func (t *Tickets) box() *tls.Config {
	hour := edgeconfig.HourOf(t.now())
	keys := t.current.Load()
	if hour <= keys.hour {
		return keys.box
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if keys = t.current.Load(); hour > keys.hour {
		t.wind(keys.chain, hour)
	}
	return t.current.Load().box
}

// mark is what a session's state says of the name it was begun for. A ticket
// resumes for that name only (RFC 6066 section 3), so that no site's session is
// another's.
func mark(name string) []byte { return append([]byte("edgewright name "), name...) }

func (t *Tickets) wrap(cs tls.ConnectionState, ss *tls.SessionState) ([]byte, error) {
	m := mark(cs.ServerName)
	if !slices.ContainsFunc(ss.Extra, func(b []byte) bool { return bytes.Equal(b, m) }) {
		ss.Extra = append(ss.Extra, m)
	}
	return t.box().EncryptTicket(cs, ss)
}

func (t *Tickets) unwrap(ticket []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
	ss, err := t.box().DecryptTicket(ticket, cs)
	if ss == nil || err != nil {
		return nil, err
	}
	m := mark(cs.ServerName)
	if !slices.ContainsFunc(ss.Extra, func(b []byte) bool { return bytes.Equal(b, m) }) {
		return nil, nil
	}
	return ss, nil
}
