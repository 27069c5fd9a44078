package authority

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/publicsuffix"
)

// What a CA is asked for, as limits count it.
const (
	SpentOrders    = "orders"     // new orders of the account
	SpentFailures  = "failures"   // authorizations of one name that came to nothing
	SpentDomain    = "domain"     // certificates below one registered domain
	SpentDuplicate = "duplicates" // certificates for exactly the same names
)

// Limit bounds what a CA is asked for within a window. It is this platform's own
// and stays below the CA's, so that the CA never has to refuse.
type Limit struct {
	Kind   string        `json:"kind"`
	Max    int           `json:"max"`
	Window time.Duration `json:"window"`
}

// DefaultLimits stay a little below those that Let's Encrypt publishes: 300
// orders in 3 hours, 5 failures of a name in an hour, 50 certificates of a
// registered domain and 5 duplicates in a week.
func DefaultLimits() []Limit {
	return []Limit{
		{SpentOrders, 270, 3 * time.Hour},
		{SpentFailures, 4, time.Hour},
		{SpentDomain, 45, 7 * 24 * time.Hour},
		{SpentDuplicate, 4, 7 * 24 * time.Hour},
	}
}

// Want is one thing that an attempt needs room for.
type Want struct {
	Kind    string
	Subject string
	Max     int // 0: it is only noted
	Window  time.Duration
}

// Spending is what one attempt asks a CA for.
type Spending struct {
	ID        string // under which it can be given back
	Authority string
	At        time.Time
	Wants     []Want
	Dry       bool // only ask whether there is room
}

// Pause is a CA's word to stay away, or one of our own.
type Pause struct {
	Subject string // a registered domain; "": all
	Until   time.Time
	Reason  string
}

// Ledger keeps across restarts what List were asked for; control/store has one.
type Ledger interface {
	// Spend notes a spending when there is room for all that it Wants, and returns
	// the zero time; else it notes nothing and returns when there will be.
	Spend(ctx context.Context, s Spending) (free time.Time, err error)
	// Refund takes a spending back: the CA never heard of it.
	Refund(ctx context.Context, id string) error
	// Pause keeps a pause; the later of two for the same subject holds.
	Pause(ctx context.Context, authority string, p Pause) error
	// Pauses returns those that last at a time.
	Pauses(ctx context.Context, authority string, at time.Time) ([]Pause, error)
}

// manyPauses is how many registered domains a CA may refuse before all of it is
// left alone: then the limit is on the account, whatever its words.
const manyPauses = 3

// PausedUntil returns until when a CA is not to be asked for names; the zero
// time: it may be asked.
func PausedUntil(pauses []Pause, names []string) time.Time {
	var until, least time.Time
	domains := 0
	for _, p := range pauses {
		if p.Subject != "" {
			domains++
			if least.IsZero() || p.Until.Before(least) {
				least = p.Until
			}
		}
		if p.Subject == "" || slices.ContainsFunc(names, func(n string) bool { return RegisteredDomain(n) == p.Subject }) {
			until = later(until, p.Until)
		}
	}
	if domains >= manyPauses {
		until = later(until, least)
	}
	return until
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// RegisteredDomain is the name that rate limits are counted by: one label below
// a public suffix, or an address itself.
func RegisteredDomain(name string) string {
	name = strings.TrimPrefix(name, "*.")
	if _, err := netip.ParseAddr(name); err == nil {
		return name
	}
	if registered, err := publicsuffix.EffectiveTLDPlusOne(name); err == nil {
		return registered
	}
	return name
}

// Urgency is the share of the order budget that an attempt may use. The last part
// is for what would soon expire, and more of it the sooner: of all that wait for
// a place, what is nearest to its end gets it.
type Urgency float64

const (
	Planned  Urgency = 0.6 // mass replacement
	Regular  Urgency = 0.9
	Pressing Urgency = 1
)

// lastDay is when it begins to matter which of the pressing comes first.
const lastDay = 24 * time.Hour

// Pressed is the urgency of what expires in a time.
func Pressed(left time.Duration) Urgency {
	share := Urgency(min(max(left, 0), lastDay)) / Urgency(lastDay)
	return Pressing - (Pressing-Regular)*share
}

// of is how many places of a limit an urgency may use.
func (u Urgency) of(limit int) int {
	places := float64(limit) * float64(u)
	if u > Regular {
		return int(math.Ceil(places))
	}
	return max(int(places), 1)
}

// Wants lists what an order needs room for. An order that the CA takes as a
// renewal (RFC 9773) counts neither for the domain nor as a duplicate there; it
// always counts as an order here.
func Wants(limits []Limit, names []string, renewal bool, u Urgency) []Want {
	var list []Want
	for _, l := range limits {
		if l.Max <= 0 {
			continue
		}
		most := l.Max
		switch l.Kind {
		case SpentOrders:
			list = append(list, Want{l.Kind, "", u.of(most), l.Window})
		case SpentFailures:
			for _, name := range names {
				list = append(list, Want{l.Kind, name, -most, l.Window})
			}
		case SpentDomain:
			if renewal {
				continue
			}
			var domains []string
			for _, name := range names {
				domains = append(domains, RegisteredDomain(name))
			}
			slices.Sort(domains)
			for _, d := range slices.Compact(domains) {
				list = append(list, Want{l.Kind, d, most, l.Window})
			}
		case SpentDuplicate:
			if !renewal {
				list = append(list, Want{l.Kind, SetOf(names), most, l.Window})
			}
		}
	}
	return list
}

// SetOf names a set of names whatever their order.
func SetOf(names []string) string {
	sorted := slices.Clone(names)
	slices.Sort(sorted)
	sum := sha256.Sum256([]byte(strings.Join(sorted, "\n")))
	return hex.EncodeToString(sum[:12])
}

// Split tells what a want means: with a negative Max it is looked at and not
// noted, as failures are that have not happened yet.
func (w Want) Split() (most int, note bool) {
	if w.Max < 0 {
		return -w.Max, false
	}
	return w.Max, true
}

// memoryLedger is a Ledger that a restart empties, for tests and for where no
// other is given.
type memoryLedger struct {
	mu     sync.Mutex
	spent  map[string][]memorySpent // by authority, kind and subject; in order of time
	pauses map[string]map[string]Pause
	last   map[string][]string // the keys of the last spendings, by ID
}

// maxLast is how many spendings can be given back quickly.
const maxLast = 1000

type memorySpent struct {
	id string
	at time.Time
}

// NewMemoryLedger returns a Ledger that forgets everything with the process.
func NewMemoryLedger() Ledger {
	return &memoryLedger{spent: map[string][]memorySpent{}, pauses: map[string]map[string]Pause{}, last: map[string][]string{}}
}

func memoryKey(authority string, w Want) string {
	return authority + "\n" + w.Kind + "\n" + w.Subject
}

func (l *memoryLedger) Spend(_ context.Context, s Spending) (free time.Time, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range s.Wants {
		most, _ := w.Split()
		if most == 0 {
			continue
		}
		key := memoryKey(s.Authority, w)
		begin := s.At.Add(-w.Window)
		list := slices.DeleteFunc(l.spent[key], func(m memorySpent) bool { return !m.at.After(begin) })
		l.spent[key] = list
		if len(list) >= most {
			free = later(free, list[len(list)-most].at.Add(w.Window))
		}
	}
	if !free.IsZero() || s.Dry {
		return free, nil
	}
	if len(l.last) > maxLast {
		clear(l.last)
	}
	for _, w := range s.Wants {
		if _, note := w.Split(); note {
			key := memoryKey(s.Authority, w)
			l.last[s.ID] = append(l.last[s.ID], key)
			l.spent[key] = append(l.spent[key], memorySpent{s.ID, s.At})
		}
	}
	return free, nil
}

func (l *memoryLedger) Refund(_ context.Context, id string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	keys, known := l.last[id]
	if !known {
		keys = slices.Collect(maps.Keys(l.spent))
	}
	for _, key := range keys {
		l.spent[key] = slices.DeleteFunc(l.spent[key], func(m memorySpent) bool { return m.id == id })
	}
	return nil
}

func (l *memoryLedger) Pause(_ context.Context, authority string, p Pause) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pauses[authority] == nil {
		l.pauses[authority] = map[string]Pause{}
	}
	if l.pauses[authority][p.Subject].Until.Before(p.Until) {
		l.pauses[authority][p.Subject] = p
	}
	return nil
}

func (l *memoryLedger) Pauses(_ context.Context, authority string, at time.Time) ([]Pause, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []Pause
	for subject, p := range l.pauses[authority] {
		if p.Until.After(at) {
			list = append(list, p)
		} else {
			delete(l.pauses[authority], subject)
		}
	}
	slices.SortFunc(list, func(a, b Pause) int { return cmp.Compare(a.Subject, b.Subject) })
	return list, nil
}
