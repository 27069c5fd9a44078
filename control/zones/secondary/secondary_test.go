package secondary

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/edgewright/edgewright/control/reconcile"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/store"
	"github.com/edgewright/edgewright/control/store/storetest"
	"github.com/edgewright/edgewright/control/zones"
	"github.com/edgewright/edgewright/control/zones/transfer"
	"github.com/edgewright/edgewright/control/zones/tsig"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

var cause = resource.Cause{Actor: "user usr_test", Via: "api"}

// world is a secondary zone, its primaries, and a clock.
type world struct {
	t         *testing.T
	db        *store.DB
	room      *zones.Service
	keys      *tsig.Service
	zones     *zones.Reconciler
	secondary *Reconciler

	mu     sync.Mutex
	now    time.Time
	serial uint32                     // at the primaries
	fails  map[string]*transfer.Error // by address
	asked  []string                   // address/key/serial held
	during func()                     // while a primary is asked
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, db: storetest.SQLite(t), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), serial: 10, fails: map[string]*transfer.Error{}}
	w.room = zones.New(zones.Options{Store: w.db, Vault: w.db, Copies: w.db, Now: w.time, Reach: func(a netip.Addr) error {
		if a.IsPrivate() {
			return fault.New(fault.Forbidden, "%s is a private address", a)
		}
		return nil
	}})
	w.keys = tsig.New(tsig.Options{Store: w.db, Vault: w.db, Users: w.room, Now: w.time})
	w.zones = zones.NewReconciler(w.room, zones.ReconcilerOptions{})
	w.secondary = New(Options{Zones: w.room, Copies: w.db, Keys: w.keys, Fetcher: w})
	_, err := w.room.Ensure(t.Context(), "p", "production", "example.com", cause)
	ok(t, err)
	_, err = w.keys.Create(t.Context(), "p", "production", tsig.Wish{Name: "transfer.example"}, cause)
	ok(t, err)
	return w
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) time() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// content is the primaries' version, with timers of its own.
func content(t *testing.T, serial uint32) *transfer.Content {
	t.Helper()
	texts := []string{
		fmt.Sprintf("example.com. 300 IN SOA ns1.example.com. hostmaster.example.com. %d 3600 600 86400 60", serial),
		"example.com. 300 IN NS ns1.example.com.", "ns1.example.com. 300 IN A 192.0.2.1",
		fmt.Sprintf("www.example.com. 300 IN A 192.0.2.%d", serial%250),
	}
	c, err := transfer.Parse("example.com", strings.Join(texts, "\n"))
	ok(t, err)
	return c
}

// Fetch is the primaries.
func (w *world) Fetch(_ context.Context, apex string, p transfer.Primary, have *transfer.Content) (transfer.Result, error) {
	w.mu.Lock()
	key, held := "-", uint32(0)
	if p.Key != nil {
		key = p.Key.Name
	}
	if have != nil {
		held = have.SOA.Serial
	}
	w.asked = append(w.asked, fmt.Sprintf("%s %s %d", p.Address, key, held))
	during, fail, serial := w.during, w.fails[p.Address], w.serial
	w.during = nil
	w.mu.Unlock()
	if during != nil {
		during()
	}
	if fail != nil {
		return transfer.Result{}, fail
	}
	if have != nil && held == serial {
		return transfer.Result{Content: have, How: transfer.Same}, nil
	}
	how := transfer.AXFR
	if have != nil {
		how = transfer.IXFR
	}
	return transfer.Result{Content: content(w.t, serial), How: how}, nil
}

func (w *world) set(primaries ...zones.Primary) zones.Zone {
	w.t.Helper()
	z, err := w.room.SetTransfers(w.t.Context(), "p", "production", "example.com", zones.Transfers{In: &zones.Secondary{Primaries: primaries}, Consent: true}, 0, cause)
	ok(w.t, err)
	return z
}

// look has both reconcilers look, and returns the zone and what was asked.
func (w *world) look() (zones.Zone, []string, time.Duration) {
	w.t.Helper()
	z, err := w.room.Get(w.t.Context(), "p", "production", "example.com")
	ok(w.t, err)
	ref := reconcile.Ref{Kind: zones.Kind, ID: z.ID}
	next, err := w.secondary.Reconcile(w.t.Context(), ref)
	ok(w.t, err)
	page, err := w.db.List(w.t.Context(), resource.Query{Limit: 1000})
	ok(w.t, err)
	w.zones.Reset()
	for _, r := range page.Items {
		w.zones.Route(resource.Event{Seq: r.Seq, Type: resource.Put, Resource: r})
	}
	_, err = w.zones.Reconcile(w.t.Context(), ref)
	ok(w.t, err)
	z, err = w.room.Get(w.t.Context(), "p", "production", "example.com")
	ok(w.t, err)
	w.mu.Lock()
	defer w.mu.Unlock()
	asked := w.asked
	w.asked = nil
	return z, asked, next
}

func condition(z zones.Zone, typ string) string {
	c, _ := resource.ConditionOf(z.Status.Conditions, typ)
	return string(c.Status) + " " + c.Reason
}

// TestTimers follows a copy through refresh, retry, expiry and recovery.
func TestTimers(t *testing.T) {
	w := newWorld(t)
	broken := &transfer.Error{Reason: transfer.Unreachable, Message: "nobody is there", Fix: "start it"}
	w.fails["192.0.2.1:53"] = broken
	w.set(zones.Primary{Address: "192.0.2.1", Key: "Transfer.Example."})
	z, asked, next := w.look()
	if fmt.Sprint(asked) != "[192.0.2.1:53 transfer.example 0]" || z.Status.Serial != 0 || condition(z, zones.Transferred) != "false Unreachable" || condition(z, zones.Served) != "false Waiting" {
		t.Fatalf("%v: %+v", asked, z.Status)
	}
	if next > 15*time.Second || next < 13*time.Second {
		t.Errorf("the first retry comes after %s", next)
	}
	if _, ok := w.room.Version(z.ID, 0); ok {
		t.Error("a zone that has not come is served")
	}
	delete(w.fails, "192.0.2.1:53")
	if _, asked, _ = w.look(); len(asked) > 0 {
		t.Errorf("asked before it is time: %v", asked)
	}
	w.pass(15 * time.Second)
	z, asked, next = w.look()
	v, made := w.room.Version(z.ID, 10)
	if !made || v.Head.SOA.Serial != 10 || v.Head.SOA.Refresh != 3600 || v.Head.Secondary == nil || v.Head.Secondary.Primaries[0] != "192.0.2.1" || len(v.Head.Secondary.Keys) != 1 ||
		condition(z, zones.Transferred) != "true Current" || condition(z, zones.Served) != "true Made" || z.Status.Serial != 10 {
		t.Fatalf("%v: %+v\n%+v", asked, z.Status, v.Head)
	}
	if next > time.Hour || next < 54*time.Minute {
		t.Errorf("the refresh comes after %s", next)
	}
	if settled, _, _ := w.look(); !bytes.Equal(mustJSON(settled.Status), mustJSON(z.Status)) {
		t.Errorf("a look without news writes\n%s\nafter\n%s", mustJSON(settled.Status), mustJSON(z.Status))
	}

	w.pass(time.Hour)
	if _, asked, _ = w.look(); fmt.Sprint(asked) != "[192.0.2.1:53 transfer.example 10]" {
		t.Errorf("the refresh asked %v", asked)
	}
	w.serial = 11
	w.pass(time.Hour)
	if z, _, _ = w.look(); z.Status.Serial != 11 || z.Status.Copy.How != transfer.IXFR {
		t.Errorf("%+v", z.Status.Copy)
	}

	// The primary goes: retries, then the end of the copy, then the primary is back.
	w.fails["192.0.2.1:53"] = broken
	w.pass(time.Hour)
	z, _, next = w.look()
	if next > 10*time.Minute || next < 9*time.Minute || condition(z, zones.Transferred) != "unknown Unreachable" || condition(z, zones.Served) != "true Made" {
		t.Errorf("after %s again; %+v", next, z.Status)
	}
	if left := z.Status.Copy.ExpiresAt.Sub(w.time()); left != 23*time.Hour {
		t.Errorf("the copy holds for %s", left)
	}
	w.pass(23*time.Hour - time.Second)
	if z, _, next = w.look(); z.Status.Copy.Expired || next > time.Second {
		t.Errorf("a second early: %+v, %s", z.Status.Copy, next)
	}
	w.pass(time.Second)
	z, _, _ = w.look()
	v, _ = w.room.Version(z.ID, 11)
	if !z.Status.Copy.Expired || !v.Head.Secondary.Expired || condition(z, zones.Transferred) != "false Expired" || condition(z, zones.Served) != "false Expired" {
		t.Errorf("%+v\n%+v", z.Status, v.Head)
	}
	delete(w.fails, "192.0.2.1:53")
	w.pass(time.Hour)
	z, _, _ = w.look()
	v, _ = w.room.Version(z.ID, 11)
	if z.Status.Copy.Expired || v.Head.Secondary.Expired || condition(z, zones.Served) != "true Made" {
		t.Errorf("the primary is back: %+v", z.Status)
	}
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// TestNotices: a notice leads to a look at once, unless it is old news; one that
// comes during a look, to another.
func TestNotices(t *testing.T) {
	w := newWorld(t)
	w.set(zones.Primary{Address: "192.0.2.1"})
	z, _, _ := w.look()
	notice := func(serial uint32, known bool) {
		t.Helper()
		ok(t, w.room.Noticed(t.Context(), z.ID, serial, known))
	}
	w.pass(time.Minute)
	notice(10, true)
	notice(9, true)
	notice(10+1<<31, true)
	if _, asked, _ := w.look(); len(asked) > 0 {
		t.Errorf("old news led to %v", asked)
	}
	w.serial = 12
	notice(11, true)
	w.during = func() {
		w.pass(10 * time.Millisecond)
		notice(13, true)
	}
	z, asked, _ := w.look()
	if len(asked) != 1 || z.Status.Copy.Serial != 12 {
		t.Errorf("%v: %+v", asked, z.Status.Copy)
	}
	if _, asked, next := w.look(); len(asked) > 0 || next > calm {
		t.Errorf("%v at once, next after %s", asked, next)
	}
	w.serial = 13
	w.pass(calm)
	if z, asked, _ = w.look(); len(asked) != 1 || z.Status.Copy.Serial != 13 {
		t.Errorf("the notice that came meanwhile: %v, %+v", asked, z.Status.Copy)
	}
	w.pass(time.Minute)
	notice(0, false)
	if _, asked, _ = w.look(); len(asked) != 1 {
		t.Errorf("a notice without a serial: %v", asked)
	}
	ok(t, w.room.Noticed(t.Context(), "zon_gone", 1, true))
}

// TestPrimaries: the next is asked when one fails, the last good one first; what
// edges could not serve is not taken; others are asked at once.
func TestPrimaries(t *testing.T) {
	w := newWorld(t)
	w.fails["192.0.2.1:53"] = &transfer.Error{Reason: transfer.Refused, Message: "no", Fix: "allow it"}
	w.set(zones.Primary{Address: "192.0.2.1:53", Key: "transfer.example"}, zones.Primary{Address: "[2001:db8::1]:5300"})
	z, asked, _ := w.look()
	if fmt.Sprint(asked) != "[192.0.2.1:53 transfer.example 0 [2001:db8::1]:5300 - 0]" || z.Status.Copy.Primary != "[2001:db8::1]:5300" || z.Status.Copy.Failures != 0 {
		t.Fatalf("%v: %+v", asked, z.Status.Copy)
	}
	w.pass(time.Hour)
	if _, asked, _ = w.look(); fmt.Sprint(asked) != "[[2001:db8::1]:5300 - 10]" {
		t.Errorf("the last good one first: %v", asked)
	}
	w.set(zones.Primary{Address: "192.0.2.3"})
	if _, asked, _ = w.look(); fmt.Sprint(asked) != "[192.0.2.3:53 - 10]" {
		t.Errorf("another primary: %v", asked)
	}
	if _, err := w.room.AskRefresh(t.Context(), "p", "production", "example.com", true); err != nil {
		t.Fatal(err)
	}
	w.pass(calm)
	if z, asked, _ = w.look(); fmt.Sprint(asked) != "[192.0.2.3:53 - 0]" || z.Status.Copy.Whole {
		t.Errorf("the whole zone again: %v, %+v", asked, z.Status.Copy)
	}
	if z, asked, _ = w.look(); len(asked) > 0 {
		t.Errorf("and again: %v", asked)
	}
	w.serial = 0 // not servable as it stands
	w.pass(time.Hour)
	if z, _, _ = w.look(); z.Status.Copy.Reason != string(transfer.NotServable) || z.Status.Copy.Serial != 10 || z.Status.Serial != 10 {
		t.Errorf("%+v", z.Status.Copy)
	}
}

// A project whose primaries never finish holds up its own zones only.
func TestSlowPrimariesAreTheirProjectsOwn(t *testing.T) {
	w := newWorld(t)
	z := w.set(zones.Primary{Address: "192.0.2.1"})
	for range perProject {
		if !w.secondary.enter("p") {
			t.Fatal("there is no room for the first")
		}
	}
	if !w.secondary.enter("q") {
		t.Error("another project is held up")
	}
	next, err := w.secondary.Reconcile(t.Context(), reconcile.Ref{Kind: zones.Kind, ID: z.ID})
	if err != nil || next != projectWait || len(w.asked) > 0 {
		t.Errorf("asked %v, again after %s, %v", w.asked, next, err)
	}
	w.secondary.leave("p")
	if _, err := w.secondary.Reconcile(t.Context(), reconcile.Ref{Kind: zones.Kind, ID: z.ID}); err != nil || len(w.asked) != 1 {
		t.Errorf("asked %v, %v", w.asked, err)
	}
	// A copy expires all the same.
	w.secondary.enter("p")
	w.pass(24 * time.Hour)
	if _, err := w.secondary.Reconcile(t.Context(), reconcile.Ref{Kind: zones.Kind, ID: z.ID}); err != nil || len(w.asked) != 1 {
		t.Errorf("asked %v, %v", w.asked, err)
	}
	z, err = w.room.Get(t.Context(), "p", "production", "example.com")
	if err != nil || !z.Status.Copy.Expired {
		t.Errorf("%+v, %v", z.Status.Copy, err)
	}
}

// TestSignedHere: with DNSSEC on, versions have our keys and serials above the
// primary's, and only what changed is signed anew.
func TestSignedHere(t *testing.T) {
	w := newWorld(t)
	w.serial = uint32(w.time().Unix()) + 1000
	w.set(zones.Primary{Address: "192.0.2.1"})
	_, err := w.room.Configure(t.Context(), "p", "production", "example.com", []byte(`{"dnssec":{"enabled":true}}`), 0, cause)
	ok(t, err)
	z, _, _ := w.look()
	v, made := w.room.Version(z.ID, z.Status.Serial)
	if !made || v.Head.Denial != edgeconfig.DenialNSEC || int32(z.Status.Serial-w.serial) <= 0 || v.Head.SOA.MName != "ns1.example.com" || v.Head.SOA.Refresh != 3600 {
		t.Fatalf("%+v\n%+v", z.Status, v.Head)
	}
	before := z.Status.Serial
	w.serial++
	w.pass(time.Hour)
	if z, _, _ = w.look(); int32(z.Status.Serial-before) <= 0 {
		t.Errorf("the serial was %d, and is %d", before, z.Status.Serial)
	}
	if v, made = w.room.Version(z.ID, z.Status.Serial); !made || !bytes.Contains(bytes.Join(v.Parts, nil), []byte(`"g":`)) {
		t.Error("the version is not signed")
	}
}

// TestReadOnly: nothing writes records of a secondary zone, and nothing is lost
// without consent.
func TestReadOnly(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	in := zones.Transfers{In: &zones.Secondary{Primaries: []zones.Primary{{Address: "192.0.2.1"}}}}
	_, _, err := w.room.SetRRset(ctx, "p", "production", "example.com", zones.Set{Name: "www", Type: "A", Spec: []byte(`{"values":["192.0.2.9"]}`)}, true, 0, cause)
	ok(t, err)
	if _, err := w.room.SetTransfers(ctx, "p", "production", "example.com", in, 0, cause); !fault.Is(err, fault.Conflict) {
		t.Errorf("records go without consent: %v", err)
	}
	w.set(in.In.Primaries...)
	sets, _, err := w.room.ListRRsets(ctx, "p", "production", "example.com", 10, "")
	if err != nil || len(sets) != 0 {
		t.Errorf("%d sets stay, %v", len(sets), err)
	}
	w.look()
	for name, write := range map[string]func() error{
		"set": func() error {
			_, _, err := w.room.SetRRset(ctx, "p", "production", "example.com", zones.Set{Name: "x", Type: "A", Spec: []byte(`{"values":["192.0.2.9"]}`)}, true, 0, cause)
			return err
		},
		"edit": func() error {
			_, err := w.room.Edit(ctx, "p", "production", "example.com", zones.Edit{Sets: []zones.Set{{Name: "x", Type: "A", Spec: []byte(`{"values":["192.0.2.9"]}`)}}}, cause)
			return err
		},
		"import": func() error {
			_, err := w.room.Import(ctx, "p", "production", "example.com", "x IN A 192.0.2.9\n", false, false, true, cause)
			return err
		},
		"provide": func() error {
			return w.room.Provide(ctx, "p", "production", "example.com", "x.example.com", []zones.Provided{{Name: "x.example.com", Type: "TXT", Value: `"x"`}}, cause)
		},
		"challenge": func() error {
			return w.room.PresentTXT(ctx, "p", "production", "_acme-challenge.example.com", "x")
		},
		"off without consent": func() error {
			_, err := w.room.SetTransfers(ctx, "p", "production", "example.com", zones.Transfers{}, 0, cause)
			return err
		},
		"remove without consent": func() error { return w.room.Remove(ctx, "p", "production", "example.com", false, cause) },
		"to another project": func() error {
			plan := resource.NewPlan("q", "production")
			_, err := w.room.Follow(ctx, &plan, resource.Move{Domain: "example.com", From: resource.Place{Project: "p", Environment: "production"}, To: resource.Place{Project: "q", Environment: "production"}})
			return err
		},
		"delete the key": func() error {
			w.set(zones.Primary{Address: "192.0.2.1", Key: "transfer.example"})
			return w.keys.Delete(ctx, "p", "production", "transfer.example", 0, cause)
		},
	} {
		if err := write(); !fault.Is(err, fault.Conflict) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var file bytes.Buffer
	ok(t, w.room.Export(ctx, "p", "production", "example.com", &file))
	if !strings.Contains(file.String(), "192.0.2.10") {
		t.Errorf("the export is\n%s", file.String())
	}
	for _, bad := range []zones.Transfers{
		{In: &zones.Secondary{}},
		{In: &zones.Secondary{Primaries: []zones.Primary{{Address: "ns1.example.com"}}}},
		{In: &zones.Secondary{Primaries: []zones.Primary{{Address: "10.0.0.1"}}}},
		{In: &zones.Secondary{Primaries: []zones.Primary{{Address: "192.0.2.1", Key: "none.example"}}}},
		{Out: &zones.Transfer{}},
		{Out: &zones.Transfer{Keys: []string{"transfer.example"}, Allow: []string{"somewhere"}}},
		{Out: &zones.Transfer{Keys: []string{"transfer.example"}, Notify: []string{"192.168.0.1"}}},
		{Out: &zones.Transfer{Keys: []string{"transfer.example"}, Notify: []string{"224.0.0.1"}}},
	} {
		bad.Consent = true
		if _, err := w.room.SetTransfers(ctx, "p", "production", "example.com", bad, 0, cause); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", bad, err)
		}
	}

	// It ends: the copy goes, and records are ours again.
	_, err = w.room.SetTransfers(ctx, "p", "production", "example.com", zones.Transfers{Consent: true}, 0, cause)
	ok(t, err)
	z, _, _ := w.look()
	if z.Status.Copy != nil || condition(z, zones.Transferred) != "unknown " || z.Status.Serial == 0 {
		t.Errorf("%+v", z.Status)
	}
	if _, err := w.db.ZoneCopy(ctx, z.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("the copy is still there: %v", err)
	}
	v, made := w.room.Version(z.ID, z.Status.Serial)
	if !made || v.Head.Secondary != nil || bytes.Contains(bytes.Join(v.Parts, nil), []byte(`"www"`)) {
		t.Errorf("%+v", v.Head)
	}
}
