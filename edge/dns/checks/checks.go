// Package checks asks whether what DNS answers depend on lives.
//
//	Put(check) -> a goroutine that asks, every interval -> state -> Alive(ID)
//
// State is kept by ID beside the configuration: a check that changes keeps what
// is known until its new form has answered often enough. What is not known, and
// what no check is named for, lives: an answer too many is better than none. The
// first answer counts alone, so that an edge that has restarted sends nobody to what
// was dead before for longer than one look.
package checks

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/edgewright/edgewright/edgeconfig"
)

// Dial connects to a target. It is the edge's own, which lets nobody reach what
// is not theirs (package netguard).
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// Set is the checks of an edge. It implements dns.Checks.
type Set struct {
	dial  Dial
	log   *slog.Logger
	ctx   context.Context
	end   context.CancelFunc
	work  sync.WaitGroup
	slots chan struct{}

	mu     sync.Mutex
	probes atomic.Pointer[map[string]*probe]
}

// atOnce bounds how many checks ask at the same time.
const atOnce = 64

// New returns an empty set. Close ends it.
func New(dial Dial, log *slog.Logger) *Set {
	s := &Set{dial: dial, log: log, slots: make(chan struct{}, atOnce)}
	s.ctx, s.end = context.WithCancel(context.Background())
	s.probes.Store(&map[string]*probe{})
	return s
}

// Alive implements dns.Checks.
func (s *Set) Alive(id string) bool {
	p := (*s.probes.Load())[id]
	return p == nil || !p.state.dead.Load()
}

// Len is the number of checks, and of those that are dead.
func (s *Set) Len() (checks, dead int) {
	probes := *s.probes.Load()
	for _, p := range probes {
		if p.state.dead.Load() {
			dead++
		}
	}
	return len(probes), dead
}

// probe is one check that is asked.
type probe struct {
	check edgeconfig.Check
	state *state
	end   context.CancelFunc
	ended chan struct{} // nobody asks for it any more
}

// state outlives a change of its check.
type state struct {
	dead  atomic.Bool
	known bool // it has been asked; of the goroutine that asks
}

// Put begins to ask for a check, in place of the one with its ID.
func (s *Set) Put(c edgeconfig.Check) {
	s.edit(func(probes map[string]*probe) {
		p := &probe{check: defaults(c), state: &state{}, ended: make(chan struct{})}
		var before chan struct{}
		if old := probes[c.ID]; old != nil {
			if old.check == p.check {
				return
			}
			old.end()
			p.state, before = old.state, old.ended
		}
		var ctx context.Context
		ctx, p.end = context.WithCancel(s.ctx)
		probes[c.ID] = p
		s.work.Go(func() {
			defer close(p.ended)
			if before != nil {
				<-before
			}
			s.run(ctx, p)
		})
	})
}

// Remove ends a check.
func (s *Set) Remove(id string) {
	s.edit(func(probes map[string]*probe) {
		if p := probes[id]; p != nil {
			p.end()
			delete(probes, id)
		}
	})
}

func (s *Set) edit(change func(map[string]*probe)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := maps.Clone(*s.probes.Load())
	change(next)
	s.probes.Store(&next)
}

// Close ends all checks.
func (s *Set) Close() {
	s.end()
	s.work.Wait()
}

func defaults(c edgeconfig.Check) edgeconfig.Check {
	for _, d := range []struct {
		value     *int
		otherwise int
	}{{&c.IntervalMS, 10_000}, {&c.TimeoutMS, 3000}, {&c.Fall, 3}, {&c.Rise, 2}} {
		if *d.value == 0 {
			*d.value = d.otherwise
		}
	}
	if c.Path == "" {
		c.Path = "/"
	}
	return c
}

// run asks until ctx ends, the first time within an interval, so that the checks
// of an edge that starts are spread.
func (s *Set) run(ctx context.Context, p *probe) {
	interval := time.Duration(p.check.IntervalMS) * time.Millisecond
	timer := time.NewTimer(rand.N(min(interval, time.Second)))
	defer timer.Stop()
	for run := 0; ; { // of answers that speak against the state
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		err := s.ask(ctx, &p.check)
		if ctx.Err() != nil {
			return
		}
		dead := p.state.dead.Load()
		switch {
		case !p.state.known:
			if p.state.known = true; err != nil {
				p.state.dead.Store(true)
				s.log.Warn("a check's target is dead from the first", "check", p.check.ID, "target", p.check.Target, "error", err)
			}
		case dead == (err != nil):
			run = 0
		case dead:
			if run++; run >= p.check.Rise {
				run = 0
				p.state.dead.Store(false)
				s.log.Info("a check's target lives again", "check", p.check.ID, "target", p.check.Target)
			}
		default:
			if run++; run >= p.check.Fall {
				run = 0
				p.state.dead.Store(true)
				s.log.Warn("a check's target is dead", "check", p.check.ID, "target", p.check.Target, "error", err)
			}
		}
		// A tenth more or less, so that edges do not ask together.
		timer.Reset(interval*9/10 + rand.N(interval/5+1))
	}
}

// ask asks once.
func (s *Set) ask(ctx context.Context, c *edgeconfig.Check) error {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(c.TimeoutMS)*time.Millisecond)
	defer cancel()
	if c.Type == edgeconfig.CheckTCP {
		conn, err := s.dial(ctx, "tcp", c.Target)
		if err != nil {
			return err
		}
		return conn.Close()
	}
	return s.get(ctx, c)
}

// get asks over HTTP, with a connection of its own: one that is kept would tell
// of the past.
func (s *Set) get(ctx context.Context, c *edgeconfig.Check) error {
	host := c.Host
	if host == "" {
		host, _, _ = net.SplitHostPort(c.Target) // validated
	}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return s.dial(ctx, network, c.Target)
		},
		TLSClientConfig:        &tls.Config{ServerName: host, InsecureSkipVerify: c.SkipVerify}, //nolint:gosec // the tenant's choice
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 64 << 10,
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Type+"://"+c.Target+c.Path, nil)
	if err != nil {
		return err
	}
	if c.Host != "" {
		r.Host = c.Host
	}
	r.Header.Set("User-Agent", "edgewright-check")
	resp, err := transport.RoundTrip(r)
	if err != nil {
		return err
	}
	_, err = io.CopyN(io.Discard, resp.Body, 64<<10) // a server that breaks off does not live
	_ = resp.Body.Close()
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return err
	case resp.StatusCode < 200 || resp.StatusCode >= 400:
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}
