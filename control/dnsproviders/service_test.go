package dnsproviders

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgewright/edgewright/control/dnsproviders/dnsplan"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/store/storetest"
	"github.com/edgewright/edgewright/fault"
)

// memory is a driver with one zone.
type memory struct {
	sets    map[dnsplan.Key]dnsplan.RRset
	moved   int // how often somebody else is faster
	pending int // how often a change is still on its way
	asked   int
	fail    error
	broken  int // the how manieth change fails, from 1; 0: none
}

var memoryZone = dnsplan.Zone{ID: "1", Name: "example.com"}

func (m *memory) Zones(context.Context) ([]Zone, error) { return []Zone{{Zone: memoryZone}}, m.fail }

func (m *memory) Records(context.Context, dnsplan.Zone) ([]dnsplan.RRset, error) {
	var all []dnsplan.RRset
	for _, s := range m.sets {
		all = append(all, s)
	}
	return all, m.fail
}

func (m *memory) Apply(_ context.Context, _ dnsplan.Zone, changes []dnsplan.Change) (string, error) {
	if m.moved > 0 {
		m.moved--
		return "", &Error{Reason: Moved, Message: "somebody was faster"}
	}
	if m.broken > 0 {
		if m.broken--; m.broken == 0 {
			return "", &Error{Reason: Away, Message: "the line is cut"}
		}
	}
	for _, c := range changes {
		delete(m.sets, c.Key())
		if c.After != nil {
			m.sets[c.Key()] = *c.After
		}
	}
	return "ticket", nil
}

func (m *memory) Settled(context.Context, string) (bool, error) {
	m.asked++
	m.pending--
	return m.pending < 0, nil
}

func newService(t *testing.T) (*Service, *memory, *[]time.Duration) {
	m := &memory{sets: map[dnsplan.Key]dnsplan.RRset{}}
	db := storetest.SQLite(t)
	waits := &[]time.Duration{}
	s := New(Options{
		Store: db, Vault: db,
		Drivers: []DriverType{{Name: "memory", Title: "Memory", Fields: []Field{{Name: "token", Required: true}}, Open: func(Credentials) (Driver, error) { return m, nil }}},
		Pause: func(ctx context.Context, d time.Duration) error {
			*waits = append(*waits, d)
			return ctx.Err()
		},
	})
	if _, err := s.Create(t.Context(), "p", "e", "main", "memory", Credentials{"token": "secret-token"}, resource.Cause{Actor: "test"}); err != nil {
		t.Fatal(err)
	}
	return s, m, waits
}

// TestPlanAndApply goes through the service: plan, apply, nothing left.
func TestPlanAndApply(t *testing.T) {
	s, m, waits := newService(t)
	r := dnsplan.Request{Owner: "ins_1/dom_1", Desired: []dnsplan.RRset{{Name: "shop.example.com", Type: "A", TTL: 60, Values: []string{"192.0.2.1"}}}}
	p, err := s.Plan(t.Context(), "p", "e", "main", "shop.example.com", r)
	if err != nil || len(p.Steps) != 1 || len(m.sets) != 0 {
		t.Fatalf("%+v, %v", p, err)
	}
	m.pending = 3
	done, err := s.Apply(t.Context(), "p", "e", "main", p, dnsplan.Consent{})
	if err != nil || done.Changes != 2 || !done.Settled || m.asked != 4 || len(*waits) != 3 {
		t.Fatalf("%+v after %d questions and %v, %v", done, m.asked, *waits, err)
	}
	p, err = s.Plan(t.Context(), "p", "e", "main", "shop.example.com", r)
	if err != nil || !p.Empty() {
		t.Fatalf("%+v, %v", p.Steps, err)
	}
	if _, err := s.Plan(t.Context(), "p", "e", "main", "example.org", r); ReasonOf(err) != NoZone {
		t.Errorf("a domain in no zone: %v", err)
	}
	if _, err := s.Plan(t.Context(), "other", "e", "main", "shop.example.com", r); !fault.Is(err, fault.NotFound) {
		t.Errorf("another project uses the credentials: %v", err)
	}
	r.Desired = nil
	p, err = s.Plan(t.Context(), "p", "e", "main", "shop.example.com", r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Apply(t.Context(), "p", "e", "main", p, dnsplan.Consent{}); !fault.Is(err, fault.Conflict) || len(m.sets) != 2 {
		t.Errorf("everything is removed without consent: %v", err)
	}
}

// TestPresent: the value is there when PresentTXT returns, or not at all.
func TestPresent(t *testing.T) {
	s, m, _ := newService(t)
	m.moved, m.pending = 2, 2
	err := s.PresentTXT(t.Context(), "p", "e", "main", "_acme-challenge.shop.example.com", "value")
	if err != nil || m.asked != 3 {
		t.Fatalf("asked %d times, %v", m.asked, err)
	}
	key := dnsplan.Key{Name: "_acme-challenge.shop.example.com", Type: "TXT"}
	if got := m.sets[key].Values; !slices.Equal(got, []string{`"value"`}) {
		t.Fatalf("the values are %v", got)
	}
	if err := s.RemoveTXT(t.Context(), "p", "e", "main", "_acme-challenge.shop.example.com", "value"); err != nil || len(m.sets) != 0 {
		t.Fatalf("%v is left, %v", m.sets, err)
	}

	m.moved = 1 << 30
	if err := s.PresentTXT(t.Context(), "p", "e", "main", "_acme-challenge.shop.example.com", "value"); ReasonOf(err) != Moved {
		t.Errorf("a set that is always changed by others: %v", err)
	}
	m.moved, m.pending = 0, 1<<30
	ctx, cancel := context.WithCancel(t.Context())
	s.Pause = func(context.Context, time.Duration) error { cancel(); return ctx.Err() }
	if err := s.PresentTXT(ctx, "p", "e", "main", "_acme-challenge.shop.example.com", "value"); !errors.Is(err, context.Canceled) || len(m.sets) != 0 {
		t.Errorf("cut short, it leaves %v, %v", m.sets, err)
	}
}

// TestSecrets: replaced and deleted credentials are gone, and a provider without
// any says so.
func TestSecrets(t *testing.T) {
	s, m, _ := newService(t)
	ctx := t.Context()
	p, err := s.Replace(ctx, "p", "e", "main", Credentials{"token": "second"}, 0, resource.Cause{Actor: "test"})
	if err != nil || p.Spec.Credentials != 2 {
		t.Fatalf("%+v, %v", p, err)
	}
	if _, err := s.Vault.Secret(ctx, secretName(p.ID, 1)); !fault.Is(err, fault.NotFound) {
		t.Errorf("the old credentials are kept: %v", err)
	}
	if err := s.Vault.DeleteSecret(ctx, secretName(p.ID, 2)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Zones(ctx, "p", "e", "main"); ReasonOf(err) != NoCredentials || !strings.Contains(err.Error(), "no credentials are stored") {
		t.Errorf("without credentials: %v", err)
	}
	m.fail = errors.New("a driver's defect")
	if _, err := s.Create(ctx, "p", "e", "second", "memory", Credentials{"token": "x"}, resource.Cause{Actor: "test"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Test(ctx, "p", "e", "second"); fault.CodeOf(err) != fault.Internal {
		t.Errorf("an uncoded error is told as a result: %v", err)
	}
	m.fail = &Error{Reason: Away, Message: "no answer"}
	tested, err := s.Test(ctx, "p", "e", "second")
	if err != nil || tested.Status.Conditions[0].Status != resource.Unknown {
		t.Errorf("a provider that is away: %+v, %v", tested.Status, err)
	}
}

func TestZoneFor(t *testing.T) {
	zones := []Zone{{Zone: dnsplan.Zone{ID: "1", Name: "example.com"}}, {Zone: dnsplan.Zone{ID: "2", Name: "sub.example.com"}}, {Zone: dnsplan.Zone{ID: "3", Name: "twice.example"}}, {Zone: dnsplan.Zone{ID: "4", Name: "twice.example"}}}
	for name, want := range map[string]string{"example.com": "1", "a.example.com": "1", "a.sub.example.com": "2", "notexample.com": "", "a.twice.example": ""} {
		z, err := ZoneFor(zones, name)
		if z.ID != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", name, z.ID, err)
		}
	}
}
