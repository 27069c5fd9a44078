package access

import (
	"slices"
	"sync"
	"time"

	"github.com/edgewright/edgewright/fault"
)

// Limits of failed logins. After the free attempts, each failure doubles the
// wait, from one second to the longest. A quiet throttleMemory forgets all.
const (
	freeByAccount = 5
	freeByAddress = 20
	// Unknown API tokens; a misconfigured program tries often.
	freeTokensByAddress = 100
	longestWait         = 15 * time.Minute
	throttleMemory      = time.Hour
	throttleSize        = 20_000 // keys; beyond it the longest quiet ones go
)

// throttle counts failures per key, in this process. A login link, which has
// full entropy, is held up by address only, so that nobody can lock an owner out.
type throttle struct {
	now func() time.Time
	mu  sync.Mutex
	by  map[string]*failures
}

type failures struct {
	count int
	last  time.Time
	until time.Time
}

func newThrottle(now func() time.Time) *throttle {
	return &throttle{now: now, by: map[string]*failures{}}
}

// check returns RateLimited with the time to wait when any of the keys waits.
func (t *throttle) check(keys ...string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	var wait time.Duration
	for _, k := range keys {
		if f := t.by[k]; f != nil {
			wait = max(wait, f.until.Sub(now))
		}
	}
	if wait <= 0 {
		return nil
	}
	wait = wait.Round(time.Second) + time.Second
	e := fault.New(fault.RateLimited, "too many failed logins; try again in %s, or get a login link with `edgewright login --link` on the server", wait)
	e.RetryAfter = wait
	return e
}

// fail counts a failure; free attempts cost nothing.
func (t *throttle) fail(key string, free int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	f := t.by[key]
	if f == nil || now.Sub(f.last) > throttleMemory {
		if f == nil && len(t.by) >= throttleSize {
			t.shrink(now)
		}
		f = &failures{}
		t.by[key] = f
	}
	f.count++
	f.last = now
	if over := f.count - free; over > 0 {
		f.until = now.Add(min(longestWait, time.Second<<min(over-1, 20)))
	}
}

func (t *throttle) reset(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.by, key)
}

// shrink makes room for a tenth of the table: it forgets what waits least. So an
// attacker who fills the table cannot free a key that is held up for longer, and
// pays for the sorting with a tenth of the table in failures.
func (t *throttle) shrink(now time.Time) {
	keys := make([]string, 0, len(t.by))
	for k, f := range t.by {
		if now.Sub(f.last) > throttleMemory {
			delete(t.by, k)
		} else {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b string) int { return t.by[a].until.Compare(t.by[b].until) })
	for _, k := range keys[:max(0, len(keys)-throttleSize*9/10)] {
		delete(t.by, k)
	}
}

// CheckAddress returns RateLimited while an address is held up, for other
// one-time secrets than this room's.
func (s *Service) CheckAddress(address string) error { return s.throttle.check("address " + address) }

// FailAddress counts a wrong secret against an address.
func (s *Service) FailAddress(address string) { s.throttle.fail("address "+address, freeByAddress) }
