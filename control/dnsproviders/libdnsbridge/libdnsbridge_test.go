package libdnsbridge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/libdns/libdns"

	"github.com/edgewright/edgewright/control/dnsproviders/dnsplan"
	"github.com/edgewright/edgewright/control/dnsproviders/dnsproviderstest"
)

// memory is a libdns provider to the letter of its interfaces' documentation: it
// knows zones with a final dot and names relative to them, returns the concrete
// types, and deletes only what matches exactly.
type memory struct {
	t     *testing.T
	mu    sync.Mutex
	zones map[string][]libdns.RR

	writes, failAfter int
	lose              bool
}

var errBroken = errors.New("HTTP 500")

func (m *memory) get(zone string) ([]libdns.RR, error) {
	records, ok := m.zones[zone]
	if !ok {
		return nil, fmt.Errorf("no zone %q", zone)
	}
	return records, nil
}

func typed(t *testing.T, list []libdns.RR) []libdns.Record {
	var out []libdns.Record
	for _, rr := range list {
		r, err := rr.Parse()
		if err != nil {
			t.Errorf("a record that libdns cannot parse: %+v: %v", rr, err)
			continue
		}
		out = append(out, r)
	}
	return out
}

func (m *memory) GetRecords(ctx context.Context, zone string) ([]libdns.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	records, err := m.get(zone)
	return typed(m.t, records), errors.Join(err, ctx.Err())
}

// begin counts a write, or fails it.
func (m *memory) begin(ctx context.Context) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if m.failAfter == 0 {
		m.failAfter = 1 << 30
		return errBroken
	}
	m.failAfter--
	m.writes++
	return nil
}

func (m *memory) end() error {
	if m.lose {
		m.lose = false
		return errBroken
	}
	return nil
}

func (m *memory) check(records []libdns.Record) {
	for _, r := range records {
		rr := r.RR()
		if rr.Name == "" || rr.Name[len(rr.Name)-1] == '.' {
			m.t.Errorf("the name %q is not relative to the zone", rr.Name)
		}
		if _, plain := r.(libdns.RR); plain && slices.Contains([]string{"A", "AAAA", "CAA", "CNAME", "HTTPS", "MX", "NS", "TXT"}, rr.Type) {
			m.t.Errorf("%+v is not of its own type", rr)
		}
	}
}

func (m *memory) SetRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.check(records)
	have, err := m.get(zone)
	if err == nil {
		err = m.begin(ctx)
	}
	if err != nil {
		return nil, err
	}
	have = slices.DeleteFunc(slices.Clone(have), func(old libdns.RR) bool {
		return slices.ContainsFunc(records, func(r libdns.Record) bool { return r.RR().Name == old.Name && r.RR().Type == old.Type })
	})
	for _, r := range records {
		have = append(have, r.RR())
	}
	m.zones[zone] = have
	return records, m.end()
}

func (m *memory) DeleteRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.check(records)
	have, err := m.get(zone)
	if err == nil {
		err = m.begin(ctx)
	}
	if err != nil {
		return nil, err
	}
	m.zones[zone] = slices.DeleteFunc(slices.Clone(have), func(old libdns.RR) bool {
		return slices.ContainsFunc(records, func(r libdns.Record) bool { return r.RR() == old })
	})
	return records, m.end()
}

// lister is a provider that lists its zones.
type lister struct{ *memory }

func (l lister) ListZones(ctx context.Context) ([]libdns.Zone, error) {
	var zones []libdns.Zone
	for name := range l.zones {
		zones = append(zones, libdns.Zone{Name: name})
	}
	return zones, ctx.Err()
}

func open(t *testing.T, lists bool) *dnsproviderstest.Fake {
	m := &memory{t: t, failAfter: 1 << 30, zones: map[string][]libdns.RR{"example.com.": nil, "example.org.": nil}}
	zone := dnsplan.Zone{ID: "example.com", Name: "example.com"}
	d := New(m, dnsplan.Abilities{}, "example.com", "Example.ORG.")
	if lists {
		d = New(lister{m}, dnsplan.Abilities{})
	}
	return &dnsproviderstest.Fake{
		Driver: d, Zone: zone, Zones: []string{"example.com", "example.org"},
		Types: []string{"A", "AAAA", "CNAME", "TXT", "MX", "NS", "CAA", "SRV", "HTTPS", "SSHFP"},
		Put: func(sets ...dnsplan.RRset) {
			for _, s := range sets {
				list, err := records(s, zone)
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range list {
					m.zones["example.com."] = append(m.zones["example.com."], r.RR())
				}
			}
		},
		Reset: func() { m.zones["example.com."], m.failAfter, m.lose = nil, 1<<30, false },
		Sets: func() []dnsplan.RRset {
			bySet := map[dnsplan.Key]dnsplan.RRset{}
			for _, rr := range m.zones["example.com."] {
				s := setOf(rr, zone)
				if had, ok := bySet[s.Key()]; ok {
					s.Values = append(had.Values, s.Values...)
					slices.Sort(s.Values)
				}
				bySet[s.Key()] = s
			}
			var sets []dnsplan.RRset
			for _, s := range bySet {
				sets = append(sets, s)
			}
			return sets
		},
		Writes:     func() int { return m.writes },
		FailWrites: func(after int) { m.failAfter = after },
		LoseAnswer: func() { m.lose = true },
	}
}

func TestDriver(t *testing.T) {
	dnsproviderstest.Run(t, func(t *testing.T) *dnsproviderstest.Fake { return open(t, false) })
}

func TestDriverThatLists(t *testing.T) {
	dnsproviderstest.Run(t, func(t *testing.T) *dnsproviderstest.Fake { return open(t, true) })
}

// TestUnreadable: a record that makes no sense here is shown, and left alone.
func TestUnreadable(t *testing.T) {
	f := open(t, false)
	m := f.Driver.(*Driver).provider.(*memory)
	m.zones["example.com."] = []libdns.RR{{Name: "odd", Type: "X-FORWARD", TTL: time.Minute, Data: "https://example.net"}}
	sets, err := f.Driver.Records(t.Context(), f.Zone)
	if err != nil || len(sets) != 1 || sets[0].Special == "" || sets[0].Name != "odd.example.com" {
		t.Fatalf("%+v, %v", sets, err)
	}
}
