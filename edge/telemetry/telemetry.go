// Package telemetry counts what an edge does.
//
//	Telemetry  all counters of one edge: a total, one Site each, and "no site"
//	Site       the counters of one site; it outlives configurations, by site ID
//	Record     one finished request: Site.Count adds it, Telemetry.Log streams it
//	Take       closes a rollup: what was counted since the last Take of that span
//
// Counting takes no lock: counters are atomics, sharded by connection, and only
// ever grow. A rollup is the difference to what the previous rollup of the same
// span saw, so a minute's and a second's rollups do not disturb each other and
// Prometheus reads the same numbers.
package telemetry

import (
	"fmt"
	"math/bits"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/edgewright/edgewright/edgeconfig"
)

// Outcome is what the cache did for a request.
type Outcome uint8

// The outcomes; their names are the keys of edgeconfig.Counters.Cache.
const (
	None Outcome = iota // the cache was not asked: redirects, errors, tunnels
	Hit
	Miss
	Stale
	Revalidated
	Bypass
	outcomes
)

var outcomeNames = [outcomes]string{"none", "hit", "miss", "stale", "revalidated", "bypass"}

func (o Outcome) String() string { return outcomeNames[o] }

// Refusal is why a TLS handshake did not complete.
type Refusal uint8

// The refusals; their names are the keys of edgeconfig.Counters.Refusals.
const (
	Completed     Refusal = iota // it did
	NoCertificate                // no certificate for the server name
	Version                      // none in common, or the site wants a newer one
	Cipher                       // no cipher or key exchange in common, or none for the certificate's key
	ALPN                         // no protocol in common
	NoChallenge                  // a CA asked for a challenge that is not held
	ClientRefused                // the client sent an alert: it does not like what it got
	ClientLeft                   // it closed, or vanished
	NotTLS                       // what came was no ClientHello
	Timeout
	OtherRefusal
	refusals
)

var refusalNames = [refusals]string(append([]string{""}, edgeconfig.RefusalReasons...))

func (r Refusal) String() string { return refusalNames[r] }

// Record is one finished request.
type Record struct {
	At        time.Time     // when its head was read
	FirstByte time.Duration // to the first byte of the response
	Duration  time.Duration // to its end
	Site      string        // site ID; "" when it met none
	RequestID string
	ClientIP  string
	Proto     string
	Scheme    string
	Method    string
	Authority string
	Path      string
	Query     string
	UserAgent string
	Referer   string

	Status      int   // 0 when the client left before an answer
	Bytes       int64 // response body bytes to the client
	OriginBytes int64 // response body bytes from the origin
	Cache       Outcome
	Origin      string // ID of the origin that answered, "" when none was asked
	OriginError bool   // no usable response from an origin
	Fault       string // whose fault an error answer is: "client", "edge", "origin"; else ""
}

// cell is one shard of one site's counters.
type cell struct {
	status       [6]atomic.Int64
	cache        [outcomes]atomic.Int64
	latency      [len(edgeconfig.HistogramBounds) + 1]atomic.Int64
	latencyMicro atomic.Int64
	bytes        atomic.Int64
	originBytes  atomic.Int64
	originErrors atomic.Int64
	handshakes   atomic.Int64
	refused      [refusals]atomic.Int64
	_            [64]byte // keeps shards on cache lines of their own
}

// Site holds the counters of one site. Its cells are made by its first request,
// so that a site nobody visits costs next to nothing.
type Site struct {
	id    string
	t     *Telemetry
	cells atomic.Pointer[[]cell]

	retired time.Time // guarded by t.mu; zero while the site is configured
}

// Telemetry holds all counters of one edge.
type Telemetry struct {
	edge, region string
	now          func() time.Time
	mask         uint32
	next         atomic.Uint32 // next shard to give out

	total *Site // everything
	none  *Site // what met no site

	mu      sync.Mutex
	sites   map[string]*Site
	active  []*Site // those with cells
	cursors map[time.Duration]*cursor

	live atomic.Pointer[edgeconfig.Counters]
	last snapshot // of total, at the last Tick; guarded by mu

	log stream
}

// New returns empty counters. Now is asked for the bounds of rollups only.
func New(edge, region string, now func() time.Time) *Telemetry {
	shards := 1 << bits.Len(uint(runtime.GOMAXPROCS(0)-1))
	t := &Telemetry{edge: edge, region: region, now: now, mask: uint32(min(shards, 16) - 1), sites: map[string]*Site{}, cursors: map[time.Duration]*cursor{}}
	t.total = &Site{t: t}
	t.none = t.Site("")
	t.total.cells.Store(t.newCells())
	t.live.Store(&edgeconfig.Counters{})
	for _, span := range []time.Duration{time.Second, time.Minute} {
		t.cursors[span] = &cursor{start: now(), seen: map[*Site]snapshot{}}
	}
	return t
}

func (t *Telemetry) newCells() *[]cell {
	cells := make([]cell, t.mask+1)
	return &cells
}

// Shard returns the shard a new connection counts in.
func (t *Telemetry) Shard() uint32 { return t.next.Add(1) & t.mask }

// Site returns the counters of a site ID, the same ones each time it is asked.
func (t *Telemetry) Site(id string) *Site {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.sites[id]
	if s == nil {
		s = &Site{id: id, t: t}
		t.sites[id] = s
	}
	s.retired = time.Time{}
	return s
}

// None returns the counters of what met no site.
func (t *Telemetry) None() *Site { return t.none }

// Retire says that a site is no longer configured. Its counters go once they
// have been taken and no request has met them for five minutes.
func (t *Telemetry) Retire(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.sites[id]; s != nil && s != t.none {
		s.retired = t.now()
		if s.cells.Load() == nil {
			delete(t.sites, id)
		}
	}
}

const retirement = 5 * time.Minute

// shard returns the cell to count in, making the cells on first use.
func (s *Site) shard(shard uint32) *cell {
	cells := s.cells.Load()
	if cells == nil {
		cells = s.t.newCells()
		if s.cells.CompareAndSwap(nil, cells) {
			s.t.mu.Lock()
			s.t.active = append(s.t.active, s)
			s.t.mu.Unlock()
		} else {
			cells = s.cells.Load()
		}
	}
	return &(*cells)[shard&s.t.mask]
}

// Count adds a finished request to the site and to the edge's total.
func (s *Site) Count(shard uint32, r *Record) {
	s.shard(shard).add(r)
	s.t.total.shard(shard).add(r)
}

func (c *cell) add(r *Record) {
	class := r.Status / 100
	if class < 0 || class > 5 {
		class = 0
	}
	c.status[class].Add(1)
	c.cache[r.Cache].Add(1)
	c.latency[bucket(r.FirstByte)].Add(1)
	c.latencyMicro.Add(r.FirstByte.Microseconds())
	if r.Bytes != 0 {
		c.bytes.Add(r.Bytes)
	}
	if r.OriginBytes != 0 {
		c.originBytes.Add(r.OriginBytes)
	}
	if r.OriginError {
		c.originErrors.Add(1)
	}
}

// Handshake counts one TLS handshake of the site, completed or not.
func (s *Site) Handshake(shard uint32, r Refusal) {
	for _, s := range [2]*Site{s, s.t.total} {
		c := s.shard(shard)
		if r == Completed {
			c.handshakes.Add(1)
		} else {
			c.refused[r].Add(1)
		}
	}
}

var bounds = func() (d [len(edgeconfig.HistogramBounds)]time.Duration) {
	for i, ms := range edgeconfig.HistogramBounds {
		d[i] = time.Duration(ms * float64(time.Millisecond))
	}
	return d
}()

func bucket(d time.Duration) int {
	for i, b := range bounds {
		if d <= b {
			return i
		}
	}
	return len(bounds)
}

// Tick closes the second for Live. Its caller calls it each second.
func (t *Telemetry) Tick() {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.total.snapshot()
	delta := now.minus(&t.last)
	t.last = now
	counters := delta.counters()
	t.live.Store(&counters)
}

// Live returns what was counted in the last full second, all sites together.
func (t *Telemetry) Live() edgeconfig.Counters { return *t.live.Load() }

// Total returns what was counted since New, all sites together.
func (t *Telemetry) Total() edgeconfig.Counters {
	s := t.total.snapshot()
	return s.counters()
}

// cursor is where the rollups of one span have come to.
type cursor struct {
	start time.Time
	seen  map[*Site]snapshot
}

// Take closes a rollup: what was counted since the last Take of the same span,
// or since New. Sites without a request are left out. The ID names edge, start
// and span, so a rollup that is sent twice counts once.
func (t *Telemetry) Take(span time.Duration) edgeconfig.Rollup {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	c := t.cursors[span]
	if c == nil { // a span first asked for now has not seen anything yet
		c = &cursor{start: now.Add(-span), seen: map[*Site]snapshot{}}
		t.cursors[span] = c
	}
	seconds := int(span / time.Second)
	out := edgeconfig.Rollup{
		ID:      fmt.Sprintf("%s-%d-%d", t.edge, c.start.UnixMilli(), seconds),
		Edge:    t.edge,
		Region:  t.region,
		Start:   c.start.UTC(),
		Seconds: seconds,
		Sites:   map[string]edgeconfig.Counters{},
	}
	kept := t.active[:0]
	for _, s := range t.active {
		sum := s.snapshot()
		before := c.seen[s]
		delta := sum.minus(&before)
		if delta != (snapshot{}) {
			out.Sites[s.id] = delta.counters()
			c.seen[s] = sum
		}
		if delta == (snapshot{}) && !s.retired.IsZero() && now.Sub(s.retired) > retirement {
			t.forget(s)
			continue
		}
		kept = append(kept, s)
	}
	clear(t.active[len(kept):])
	t.active = kept
	c.start = now
	return out
}

func (t *Telemetry) forget(s *Site) {
	if t.sites[s.id] == s {
		delete(t.sites, s.id)
	}
	for _, c := range t.cursors {
		delete(c.seen, s)
	}
}

// snapshot is the sum of a site's cells at one time.
type snapshot struct {
	status       [6]int64
	cache        [outcomes]int64
	latency      edgeconfig.Histogram
	latencyMicro int64
	bytes        int64
	originBytes  int64
	originErrors int64
	handshakes   int64
	refused      [refusals]int64
}

func (s *Site) snapshot() (out snapshot) {
	cells := s.cells.Load()
	if cells == nil {
		return out
	}
	for i := range *cells {
		c := &(*cells)[i]
		for j := range c.status {
			out.status[j] += c.status[j].Load()
		}
		for j := range c.cache {
			out.cache[j] += c.cache[j].Load()
		}
		for j := range c.latency {
			out.latency[j] += c.latency[j].Load()
		}
		out.latencyMicro += c.latencyMicro.Load()
		out.bytes += c.bytes.Load()
		out.originBytes += c.originBytes.Load()
		out.originErrors += c.originErrors.Load()
		out.handshakes += c.handshakes.Load()
		for j := range c.refused {
			out.refused[j] += c.refused[j].Load()
		}
	}
	return out
}

func (s *snapshot) minus(b *snapshot) snapshot {
	d := *s
	for i := range d.status {
		d.status[i] -= b.status[i]
	}
	for i := range d.cache {
		d.cache[i] -= b.cache[i]
	}
	for i := range d.latency {
		d.latency[i] -= b.latency[i]
	}
	d.latencyMicro -= b.latencyMicro
	d.bytes -= b.bytes
	d.originBytes -= b.originBytes
	d.originErrors -= b.originErrors
	d.handshakes -= b.handshakes
	for i := range d.refused {
		d.refused[i] -= b.refused[i]
	}
	return d
}

func (s *snapshot) counters() edgeconfig.Counters {
	c := edgeconfig.Counters{
		Bytes: s.bytes, OriginBytes: s.originBytes, Status: s.status, LatencyMS: s.latency,
		OriginErrors: s.originErrors, Handshakes: s.handshakes,
	}
	for _, n := range s.status {
		c.Requests += n
	}
	for i, n := range s.cache {
		if n != 0 {
			if c.Cache == nil {
				c.Cache = make(map[string]int64, int(outcomes))
			}
			c.Cache[outcomeNames[i]] = n
		}
	}
	for i, n := range s.refused {
		if n != 0 {
			if c.Refusals == nil {
				c.Refusals = make(map[string]int64, int(refusals))
			}
			c.Refusals[refusalNames[i]] = n
			c.HandshakeErr += n
		}
	}
	return c
}
