// Package dnsproviderstest is the contract of dnsproviders.Driver as a test. Each
// driver runs it against a fake of its provider, which checks the shape of every
// request against the vendor's published types.
package dnsproviderstest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/edgewright/edgewright/control/dnsproviders"
	"github.com/edgewright/edgewright/control/dnsproviders/dnsplan"
	"github.com/edgewright/edgewright/fault"
)

// Fake is a provider that can be looked into and disturbed. Fields that say so
// may be nil where a provider cannot do what they stand for.
type Fake struct {
	Driver   dnsproviders.Driver
	Stranger dnsproviders.Driver // with credentials that the provider does not know; nil: none
	ReadOnly dnsproviders.Driver // with credentials that may only read; nil: none
	Zones    []string            // all that Driver shall list, more than one page of them
	Zone     dnsplan.Zone

	Put    func(sets ...dnsplan.RRset) // as somebody else, at the provider
	Reset  func()                      // empties the zone and ends every disturbance
	Sets   func() []dnsplan.RRset      // what the provider holds now
	Writes func() int                  // write requests so far

	// FailWrites lets the given number of writes through and fails the one after.
	FailWrites func(after int)
	// LoseAnswer has the next write made, and its answer lost.
	LoseAnswer func()
	// Throttle refuses the next n requests as too many; nil: not known here.
	Throttle func(n int)
	// Requests counts all requests; needed with Throttle.
	Requests func() int
	// Types that can be written.
	Types []string
	// Proxy: the provider knows the proxied flag.
	Proxy bool
	// Pending is how often a change is still on its way when asked; nil: at once.
	Pending func(times int)
}

const owner = "ins_test/dom_test"

func noPause(ctx context.Context, _ time.Duration) error { return ctx.Err() }

func set(zone dnsplan.Zone, name, typ string, ttl int, values ...string) dnsplan.RRset {
	if name == "@" {
		name = zone.Name
	} else {
		name += "." + zone.Name
	}
	s, err := dnsplan.RRset{Name: name, Type: typ, TTL: ttl, Values: values}.Canonical()
	if err != nil {
		panic(err)
	}
	return s
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// samples has two sets of values of every type that drivers may know.
var samples = map[string][2][]string{
	"A":     {{"192.0.2.1"}, {"192.0.2.1", "192.0.2.2", "192.0.2.3"}},
	"AAAA":  {{"2001:db8::1", "2001:db8::2"}, {"2001:db8::3"}},
	"CNAME": {{"edge.example.net."}, {"other.example.net."}},
	"TXT":   {{`"v=spf1 -all"`, `"two words"`}, {dnsplan.QuoteTXT("quote \" backslash \\ semicolon ; \xc3\xa9"), dnsplan.QuoteTXT(strings.Repeat("long", 100))}},
	"MX":    {{"10 mail.example.net."}, {"10 mail.example.net.", "20 second.example.net."}},
	"NS":    {{"ns1.example.net.", "ns2.example.net."}, {"ns3.example.net."}},
	"PTR":   {{"host.example.net."}, {"other.example.net."}},
	"CAA":   {{`0 issue "letsencrypt.org"`}, {`0 issue "letsencrypt.org"`, `128 iodef "mailto:security@example.net"`}},
	"SRV":   {{"10 20 5060 sip.example.net."}, {"0 0 443 a.example.net.", "5 1 443 b.example.net."}},
	"TLSA":  {{"3 1 1 " + strings.Repeat("ab", 32)}, {"3 1 1 " + strings.Repeat("cd", 32)}},
	"SSHFP": {{"4 2 " + strings.Repeat("ab", 32)}, {"4 2 " + strings.Repeat("ef", 32)}},
	"SVCB":  {{`1 svc.example.net. alpn="h2" port="8443"`}, {`2 other.example.net. alpn="h3"`}},
	"HTTPS": {{`1 . alpn="h3,h2" ipv4hint="192.0.2.1"`}, {`1 . alpn="h2"`}},
}

func nameOf(typ string) string {
	if typ == "SRV" {
		return "_sip._tcp.t-srv"
	}
	return "t-" + strings.ToLower(typ)
}

// Run holds a driver to the contract.
func Run(t *testing.T, open func(t *testing.T) *Fake) {
	tests := map[string]func(t *testing.T, f *Fake){
		"zones": testZones, "every type": testTypes, "pages": testPages, "plan and apply": testPlan, "failures half way": testFailures,
		"a lost answer": testLostAnswer, "moved": testMoved, "throttled": testThrottled, "credentials": testCredentials, "no zone": testNoZone,
		"TXT": testPresent, "TXT at the end of a CNAME": testPresentAlias, "proxied": testProxied, "cancelled": testCancelled, "converges": testConverges,
		"wildcards and underscores": testNames,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func testZones(t *testing.T, f *Fake) {
	zones, err := f.Driver.Zones(t.Context())
	ok(t, err)
	var names []string
	for _, z := range zones {
		names = append(names, z.Name)
		if z.Name == f.Zone.Name && z.ID != f.Zone.ID {
			t.Errorf("the zone's ID is %q, want %q", z.ID, f.Zone.ID)
		}
	}
	slices.Sort(names)
	if want := slices.Sorted(slices.Values(f.Zones)); !slices.Equal(names, want) {
		t.Errorf("zones %v, want %v", names, want)
	}
	z, err := dnsproviders.ZoneFor(zones, "_acme-challenge.www."+f.Zone.Name)
	if err != nil || z.Zone != f.Zone {
		t.Errorf("the zone of a name is %+v, %v", z, err)
	}
}

// wantSets compares what the provider holds with what it should.
func wantSets(t testing.TB, f *Fake, want ...dnsplan.RRset) {
	t.Helper()
	compareSets(t, "the provider holds", f.Sets(), want)
	got, err := f.Driver.Records(context.Background(), f.Zone)
	ok(t, err)
	compareSets(t, "the driver reads", got, want)
}

func compareSets(t testing.TB, what string, got, want []dnsplan.RRset) {
	t.Helper()
	sorted := func(list []dnsplan.RRset) []dnsplan.RRset {
		return slices.SortedFunc(slices.Values(list), func(a, b dnsplan.RRset) int {
			return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Type, b.Type))
		})
	}
	if d := gocmp.Diff(sorted(want), sorted(got)); d != "" {
		t.Fatalf("%s something else (-want +got):\n%s", what, d)
	}
}

// apply calls the driver and waits.
func apply(t testing.TB, f *Fake, changes ...dnsplan.Change) {
	t.Helper()
	_, err := f.Driver.Apply(context.Background(), f.Zone, changes)
	ok(t, err)
}

func testTypes(t *testing.T, f *Fake) {
	for _, typ := range f.Types {
		t.Run(typ, func(t *testing.T) {
			values, known := samples[typ]
			if !known {
				t.Fatalf("there is no sample of type %s", typ)
			}
			first := set(f.Zone, nameOf(typ), typ, 300, values[0]...)
			second := set(f.Zone, nameOf(typ), typ, 300, values[1]...)
			third := second
			third.TTL = 600
			apply(t, f, dnsplan.Change{After: &first})
			wantSets(t, f, first)
			apply(t, f, dnsplan.Change{Before: &first, After: &second})
			wantSets(t, f, second)
			apply(t, f, dnsplan.Change{Before: &second, After: &third})
			wantSets(t, f, third)
			writes := f.Writes()
			apply(t, f, dnsplan.Change{Before: &second, After: &third}) // done already
			if f.Writes() != writes {
				t.Error("a change that was made already is made again")
			}
			apply(t, f, dnsplan.Change{Before: &third})
			wantSets(t, f)
		})
	}
}

func testNames(t *testing.T, f *Fake) {
	var changes []dnsplan.Change
	var sets []dnsplan.RRset
	for _, name := range []string{"@", "*", "*.deep", "_x._y", "xn--bcher-kva", "a.b.c.d"} {
		s := set(f.Zone, name, "TXT", 300, `"text"`)
		sets = append(sets, s)
		changes = append(changes, dnsplan.Change{After: &s})
	}
	apply(t, f, changes...)
	wantSets(t, f, sets...)
	for _, s := range sets {
		if l, can := f.Driver.(dnsproviders.Looker); can {
			found, err := l.RecordsAt(t.Context(), f.Zone, s.Name)
			ok(t, err)
			compareSets(t, "at one name there is", found, []dnsplan.RRset{s})
		}
	}
	for i := range changes {
		changes[i] = dnsplan.Change{Before: changes[i].After}
	}
	apply(t, f, changes...)
	wantSets(t, f)
}

func testPages(t *testing.T, f *Fake) {
	var sets []dnsplan.RRset
	for i := range 250 {
		sets = append(sets, set(f.Zone, fmt.Sprintf("n%03d", i), "A", 300, "192.0.2.1", "192.0.2.2"))
	}
	f.Put(sets...)
	wantSets(t, f, sets...)
}

func plan(t testing.TB, f *Fake, desired ...dnsplan.RRset) dnsplan.Plan {
	t.Helper()
	p, err := dnsproviders.Observe(context.Background(), f.Driver, f.Zone, dnsplan.Request{Owner: owner, Desired: desired})
	ok(t, err)
	return p
}

func testPlan(t *testing.T, f *Fake) {
	foreign := []dnsplan.RRset{
		set(f.Zone, "@", "MX", 300, "10 mail.example.net."), set(f.Zone, "@", "TXT", 300, `"v=spf1 -all"`),
		set(f.Zone, "mail", "A", 300, "192.0.2.25"), set(f.Zone, "ftp", "CNAME", 300, "mail."+f.Zone.Name+"."),
		set(f.Zone, "x", "A", 300, "192.0.2.99"), set(f.Zone, "y", "A", 300, "192.0.2.99"), set(f.Zone, "z", "A", 300, "192.0.2.99"),
	}
	f.Put(foreign...)
	steps := [][]dnsplan.RRset{
		{set(f.Zone, "www", "A", 300, "192.0.2.1"), set(f.Zone, "@", "A", 300, "192.0.2.1"), set(f.Zone, "*", "A", 300, "192.0.2.1")},
		{set(f.Zone, "www", "CNAME", 300, "edge.example.net."), set(f.Zone, "@", "A", 300, "192.0.2.1", "192.0.2.2"), set(f.Zone, "*", "A", 600, "192.0.2.1")},
		{set(f.Zone, "@", "A", 300, "192.0.2.2")},
		{},
	}
	for i, desired := range steps {
		if f.Pending != nil {
			f.Pending(2)
		}
		p := plan(t, f, desired...)
		if len(p.Blocks) > 0 {
			t.Fatalf("step %d is blocked: %+v", i, p.Blocks)
		}
		done, err := dnsproviders.Carry(t.Context(), f.Driver, p, dnsplan.Consent{Removals: true}, noPause)
		ok(t, err)
		if !done.Settled || done.Changes != done.Total || done.Changes == 0 {
			t.Fatalf("step %d: %+v", i, done)
		}
		want := slices.Clone(foreign)
		for _, s := range desired {
			at := dnsplan.MarkerKey(s.Key())
			want = append(want, s, dnsplan.RRset{Name: at.Name, Type: at.Type, TTL: 300, Values: []string{dnsplan.QuoteTXT("heritage=edgewright,owner=" + owner)}})
		}
		wantSets(t, f, want...)
		writes := f.Writes()
		for _, again := range []dnsplan.Plan{p, plan(t, f, desired...)} {
			done, err = dnsproviders.Carry(t.Context(), f.Driver, again, dnsplan.Consent{Removals: true}, noPause)
			if err != nil || done.Total != 0 || f.Writes() != writes {
				t.Fatalf("step %d, run again, does %+v with %d writes, %v", i, done, f.Writes()-writes, err)
			}
		}
	}
	p := plan(t, f, set(f.Zone, "mail", "A", 300, "192.0.2.1"))
	if !p.Empty() || len(p.Blocks) != 1 || p.Blocks[0].Reason != dnsplan.Exists {
		t.Errorf("somebody's record: %+v", p)
	}
}

func testFailures(t *testing.T, f *Fake) {
	desired := []dnsplan.RRset{set(f.Zone, "b", "CNAME", 300, "edge.example.net.")}
	for i := range 80 { // more than one batch for those who have batches
		desired = append(desired, set(f.Zone, fmt.Sprintf("a%d", i), "A", 300, "192.0.2.1", "192.0.2.2"))
	}
	old := []dnsplan.RRset{set(f.Zone, "b", "A", 300, "192.0.2.3"), set(f.Zone, "c", "A", 300, "192.0.2.3")}
	first := plan(t, f, old...)
	_, err := dnsproviders.Carry(t.Context(), f.Driver, first, dnsplan.Consent{}, noPause)
	ok(t, err)
	p := plan(t, f, desired...)
	failed := 0
	for n := 0; ; n++ {
		f.FailWrites(n % 3)
		done, err := dnsproviders.Carry(t.Context(), f.Driver, p, dnsplan.Consent{Removals: true}, noPause)
		if err == nil {
			break
		}
		if failed++; failed > 1000 {
			t.Fatalf("it never comes to an end: %+v, %v", done, err)
		}
		if r := dnsproviders.ReasonOf(err); r != dnsproviders.Away || !fault.Is(err, fault.Unavailable) {
			t.Fatalf("a failed write is told as %q: %v", r, err)
		}
	}
	if failed == 0 {
		t.Fatal("no write failed")
	}
	f.FailWrites(1 << 30)
	if again := plan(t, f, desired...); !again.Empty() || again.Blocked() {
		t.Fatalf("%d steps are left after all", len(again.Steps))
	}
}

func testLostAnswer(t *testing.T, f *Fake) {
	p := plan(t, f, set(f.Zone, "www", "A", 300, "192.0.2.1"))
	f.LoseAnswer()
	_, err := dnsproviders.Carry(t.Context(), f.Driver, p, dnsplan.Consent{}, noPause)
	if err == nil {
		t.Log("the driver found out by itself that the write was made")
	}
	_, err = dnsproviders.Carry(t.Context(), f.Driver, p, dnsplan.Consent{}, noPause)
	ok(t, err)
	if again := plan(t, f, set(f.Zone, "www", "A", 300, "192.0.2.1")); !again.Empty() {
		t.Fatalf("%+v is left", again.Steps)
	}
}

func testMoved(t *testing.T, f *Fake) {
	mine, theirs := set(f.Zone, "www", "A", 300, "192.0.2.1"), set(f.Zone, "www", "A", 300, "192.0.2.66")
	other := set(f.Zone, "other", "A", 300, "192.0.2.1")
	f.Put(theirs)
	cases := map[string]dnsplan.Change{
		"exists":         {After: &mine},
		"another value":  {Before: &mine, After: ptr(set(f.Zone, "www", "A", 300, "192.0.2.2"))},
		"delete another": {Before: &mine},
		"gone":           {Before: &other, After: ptr(set(f.Zone, "other", "A", 300, "192.0.2.2"))},
	}
	for name, c := range cases {
		_, err := f.Driver.Apply(t.Context(), f.Zone, []dnsplan.Change{c})
		if dnsproviders.ReasonOf(err) != dnsproviders.Moved || !fault.Is(err, fault.Stale) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, can := f.Driver.(dnsproviders.Batcher); can {
		_, err := f.Driver.Apply(t.Context(), f.Zone, []dnsplan.Change{{After: &other}, {After: &mine}})
		if dnsproviders.ReasonOf(err) != dnsproviders.Moved {
			t.Errorf("a batch: %v", err)
		}
	}
	wantSets(t, f, theirs)
}

func ptr(s dnsplan.RRset) *dnsplan.RRset { return &s }

func testThrottled(t *testing.T, f *Fake) {
	if f.Throttle == nil {
		return
	}
	p := plan(t, f, set(f.Zone, "www", "A", 300, "192.0.2.1"))
	f.Throttle(1 << 30)
	before := f.Requests()
	_, err := dnsproviders.Carry(t.Context(), f.Driver, p, dnsplan.Consent{}, noPause)
	if dnsproviders.ReasonOf(err) != dnsproviders.Throttled || !fault.Is(err, fault.RateLimited) {
		t.Fatalf("throttled for ever: %v", err)
	}
	if n := f.Requests() - before; n < 2 || n > 10 {
		t.Errorf("throttled for ever, it asked %d times", n)
	}
	f.Throttle(2)
	_, err = dnsproviders.Carry(t.Context(), f.Driver, p, dnsplan.Consent{}, noPause)
	ok(t, err)
}

func testCredentials(t *testing.T, f *Fake) {
	s := set(f.Zone, "www", "A", 300, "192.0.2.1")
	check := func(what string, err error, want dnsproviders.Reason) {
		t.Helper()
		var e *dnsproviders.Error
		if !errors.As(err, &e) || e.Reason != want || e.Message == "" || e.Fix == "" || !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %#v", what, err)
		}
	}
	if f.Stranger != nil {
		_, err := f.Stranger.Zones(t.Context())
		check("zones", err, dnsproviders.BadCredentials)
		_, err = f.Stranger.Records(t.Context(), f.Zone)
		check("records", err, dnsproviders.BadCredentials)
	}
	if f.ReadOnly != nil {
		_, err := f.ReadOnly.Records(t.Context(), f.Zone)
		ok(t, err)
		_, err = f.ReadOnly.Apply(t.Context(), f.Zone, []dnsplan.Change{{After: &s}})
		check("apply", err, dnsproviders.NoPermission)
	}
	wantSets(t, f)
}

func testNoZone(t *testing.T, f *Fake) {
	gone := dnsplan.Zone{ID: "Z0GONE0000000000000000", Name: "gone.example"}
	_, err := f.Driver.Records(t.Context(), gone)
	if f.Stranger != nil && dnsproviders.ReasonOf(err) != dnsproviders.NoZone || err == nil {
		t.Errorf("records: %v", err)
	}
	err = dnsproviders.PresentTXT(t.Context(), f.Driver, "_acme-challenge.elsewhere.example", "x", noPause)
	if dnsproviders.ReasonOf(err) != dnsproviders.NoZone || !fault.Is(err, fault.NotFound) {
		t.Errorf("a name in no zone: %v", err)
	}
}

func testPresent(t *testing.T, f *Fake) {
	ctx := t.Context()
	name := "_acme-challenge." + f.Zone.Name
	others := set(f.Zone, "_acme-challenge", "TXT", 300, `"somebody's"`)
	f.Put(others)
	if f.Pending != nil {
		f.Pending(3)
	}
	ok(t, dnsproviders.PresentTXT(ctx, f.Driver, name+".", "value-a", noPause))
	ok(t, dnsproviders.PresentTXT(ctx, f.Driver, name, "value-b", noPause))
	values := func() []string {
		for _, s := range f.Sets() {
			if s.Name == name {
				return s.Values
			}
		}
		return nil
	}
	if got := values(); !slices.Equal(got, []string{`"somebody's"`, `"value-a"`, `"value-b"`}) {
		t.Fatalf("the values are %v", got)
	}
	ok(t, dnsproviders.RemoveTXT(ctx, f.Driver, name+".", "value-a", noPause))
	if got := values(); !slices.Equal(got, []string{`"somebody's"`, `"value-b"`}) {
		t.Fatalf("the values are %v", got)
	}
	ok(t, dnsproviders.RemoveTXT(ctx, f.Driver, name+".", "value-a", noPause))
	for range 2 { // also by another process, and again
		ok(t, dnsproviders.RemoveTXT(ctx, f.Driver, name+".", "value-b", noPause))
	}
	wantSets(t, f, others)

	f.Reset()
	ok(t, dnsproviders.PresentTXT(ctx, f.Driver, "_acme-challenge.www."+f.Zone.Name, "value", noPause))
	ok(t, dnsproviders.RemoveTXT(ctx, f.Driver, "_acme-challenge.www."+f.Zone.Name, "value", noPause))
	wantSets(t, f)
}

func testPresentAlias(t *testing.T, f *Fake) {
	f.Put(set(f.Zone, "_acme-challenge.www", "CNAME", 300, "www.acme."+f.Zone.Name+"."))
	before := f.Sets()
	ok(t, dnsproviders.PresentTXT(t.Context(), f.Driver, "_acme-challenge.www."+f.Zone.Name, "value", noPause))
	wantSets(t, f, append(before, set(f.Zone, "www.acme", "TXT", 60, `"value"`))...)
	ok(t, dnsproviders.RemoveTXT(t.Context(), f.Driver, "_acme-challenge.www."+f.Zone.Name, "value", noPause))
	wantSets(t, f, before...)
	f.Put(set(f.Zone, "www.acme", "CNAME", 300, "_acme-challenge.www."+f.Zone.Name+"."))
	if err := dnsproviders.PresentTXT(t.Context(), f.Driver, "_acme-challenge.www."+f.Zone.Name, "value", noPause); dnsproviders.ReasonOf(err) != dnsproviders.Rejected {
		t.Errorf("a circle: %v", err)
	}
}

func testProxied(t *testing.T, f *Fake) {
	plain := set(f.Zone, "www", "A", 300, "192.0.2.1")
	behind := plain
	behind.Proxied = true
	if !f.Proxy {
		if _, err := dnsproviders.Observe(t.Context(), f.Driver, f.Zone, dnsplan.Request{Owner: owner, Desired: []dnsplan.RRset{behind}}); !fault.Is(err, fault.Invalid) {
			t.Errorf("a proxied record where there is no proxy: %v", err)
		}
		return
	}
	for i, desired := range []dnsplan.RRset{plain, behind, plain} {
		_, err := dnsproviders.Carry(t.Context(), f.Driver, plan(t, f, desired), dnsplan.Consent{}, noPause)
		ok(t, err)
		for _, s := range f.Sets() {
			if s.Name == plain.Name && s.Proxied != desired.Proxied {
				t.Errorf("step %d: it is %+v", i, s)
			}
		}
		if again := plan(t, f, desired); !again.Empty() {
			t.Errorf("step %d is not done: %+v", i, again.Steps)
		}
	}
	f.Reset()
	f.Put(behind)
	if p := plan(t, f, set(f.Zone, "www", "A", 300, "192.0.2.7")); len(p.Blocks) != 1 || p.Blocks[0].Reason != dnsplan.Proxied {
		t.Errorf("somebody's proxied record: %+v", p.Blocks)
	}
}

func testCancelled(t *testing.T, f *Fake) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := set(f.Zone, "www", "A", 300, "192.0.2.1")
	if _, err := f.Driver.Records(ctx, f.Zone); err == nil {
		t.Error("reading goes on without a caller")
	}
	if _, err := f.Driver.Apply(ctx, f.Zone, []dnsplan.Change{{After: &s}}); err == nil {
		t.Error("writing goes on without a caller")
	}
	wantSets(t, f)
}

// testConverges drives random zones through a driver whose provider fails now
// and then.
func testConverges(t *testing.T, f *Fake) {
	rapid.Check(t, func(rt *rapid.T) {
		f.Reset()
		draw := func(label string) []dnsplan.RRset {
			var sets []dnsplan.RRset
			at := map[string]string{}
			for i := range rapid.IntRange(0, 6).Draw(rt, label) {
				name := rapid.SampledFrom([]string{"@", "a", "b", "*", "x.a"}).Draw(rt, fmt.Sprintf("%s %d name", label, i))
				typ := rapid.SampledFrom([]string{"A", "AAAA", "CNAME", "TXT", "MX"}).Draw(rt, fmt.Sprintf("%s %d type", label, i))
				if at[name] == "CNAME" || at[name] != "" && typ == "CNAME" || name == "@" && typ == "CNAME" {
					continue
				}
				at[name] = typ
				s := set(f.Zone, name, typ, rapid.SampledFrom([]int{60, 300}).Draw(rt, fmt.Sprintf("%s %d ttl", label, i)), samples[typ][rapid.IntRange(0, 1).Draw(rt, fmt.Sprintf("%s %d values", label, i))]...)
				if !slices.ContainsFunc(sets, func(o dnsplan.RRset) bool { return o.Key() == s.Key() }) {
					sets = append(sets, s)
				}
			}
			return sets
		}
		foreign := draw("foreign")
		f.Put(foreign...)
		for i := range 2 {
			desired := draw(fmt.Sprintf("desired %d", i))
			p, err := dnsproviders.Observe(context.Background(), f.Driver, f.Zone, dnsplan.Request{Owner: owner, Desired: desired})
			if err != nil {
				rt.Fatal(err)
			}
			f.FailWrites(rapid.IntRange(0, 3).Draw(rt, "fails after"))
			for tries := 0; ; tries++ {
				if _, err = dnsproviders.Carry(context.Background(), f.Driver, p, dnsplan.Consent{Removals: true}, noPause); err == nil {
					break
				}
				if dnsproviders.ReasonOf(err) != dnsproviders.Away || tries > 20 {
					rt.Fatalf("after %d failures: %v", tries, err)
				}
				f.FailWrites(1 << 30)
			}
			f.FailWrites(1 << 30)
			again, err := dnsproviders.Observe(context.Background(), f.Driver, f.Zone, dnsplan.Request{Owner: owner, Desired: desired})
			if err != nil || !again.Empty() {
				rt.Fatalf("it is not done: %+v, %v", again.Steps, err)
			}
			have := f.Sets()
			for _, s := range foreign {
				if !slices.ContainsFunc(have, s.Equal) {
					rt.Fatalf("somebody's %s was touched", s.Key())
				}
			}
		}
	})
}
