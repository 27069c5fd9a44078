package dns

import (
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/edgeconfig"
)

// Each query counts once, for its zone, by what became of it.
func TestQueriesAreCounted(t *testing.T) {
	s := serve(t, map[string]string{
		"example.com.": "@ IN NS ns1\nns1 IN A 192.0.2.1\nwww IN A 192.0.2.2\nalias IN CNAME www\ngone IN CNAME nothing\nsub IN NS ns.elsewhere.\n",
		"other.test.":  "@ IN NS ns.elsewhere.\n",
		"quiet.test.":  "@ IN NS ns.elsewhere.\n",
	})
	ask := func(name string, typ uint16, tcp bool) { exchange(t, s, question(name, typ, false), tcp) }
	for range 2 {
		ask("www.example.com.", dns.TypeA, false)
		ask("alias.example.com.", dns.TypeA, true)
	}
	ask("www.example.com.", dns.TypeAAAA, false)
	ask("nothing.example.com.", dns.TypeA, false)
	ask("gone.example.com.", dns.TypeA, false)
	ask("deep.sub.example.com.", dns.TypeA, false)
	ask("example.com.", dns.TypeAXFR, true) // refused: it is not signed
	ask("other.test.", dns.TypeNS, false)
	ask("elsewhere.test.", dns.TypeNS, false) // of no zone
	want := map[string]edgeconfig.ZoneCounters{
		"zon_example_com_": {Answers: 4, NoData: 1, NXDomain: 2, Referrals: 1, Failed: 1},
		"zon_other_test_":  {Answers: 1},
	}
	if d := cmp.Diff(want, s.zones.Take()); d != "" {
		t.Error(d)
	}
	if got := s.zones.Take(); len(got) != 0 {
		t.Errorf("taken twice: %v", got)
	}
	ask("other.test.", dns.TypeA, false)
	if d := cmp.Diff(map[string]edgeconfig.ZoneCounters{"zon_other_test_": {NoData: 1}}, s.zones.Take()); d != "" {
		t.Error(d)
	}
	if st, _ := s.zones.State("zon_other_test_"); st.Counted != (edgeconfig.ZoneCounters{Answers: 1, NoData: 1}) {
		t.Errorf("%+v", st)
	}
}

// A query that is cut short, dropped or limited counts as what it asked for, or
// as limited.
func TestLimitedQueriesAreCounted(t *testing.T) {
	s := serve(t, map[string]string{"example.com.": "@ IN NS ns.elsewhere.\nbig IN TXT " + longText(6) + "\n"})
	s.limiter = newLimiter(RRL{Rate: 3})
	if m := exchange(t, s, question("big.example.com.", dns.TypeTXT, false), false); m == nil || !m.Truncated {
		t.Fatalf("not cut short: %v", m)
	}
	for range 9 {
		exchange(t, s, question("big.example.com.", dns.TypeTXT, false), false)
	}
	if d := cmp.Diff(map[string]edgeconfig.ZoneCounters{"zon_example_com_": {Answers: 3, Limited: 7}}, s.zones.Take()); d != "" {
		t.Error(d)
	}
}

func longText(strings int) (text string) {
	for range strings {
		text += ` "`
		for range 250 {
			text += "x"
		}
		text += `"`
	}
	return text
}

// What was counted of a zone that ended is told of, also when a worker still
// answers from it, and then forgotten.
func TestCountsOfAZoneThatEnds(t *testing.T) {
	s := serve(t, map[string]string{"example.com.": "@ IN NS ns.elsewhere.\n"})
	exchange(t, s, question("example.com.", dns.TypeNS, false), false)
	old := s.zones.zones["zon_example_com_"].zone
	gone := document(edgeconfig.ZoneKey("zon_example_com_"), 2, nil)
	gone.Deleted = true
	apply(t, s.zones, []edgeconfig.Document{gone})
	if m := exchange(t, s, question("example.com.", dns.TypeNS, false), false); m.Rcode != dns.RcodeRefused {
		t.Fatalf("it is still there: %v", m)
	}
	for i, want := range []edgeconfig.ZoneCounters{{Answers: 1}, {}, {NoData: 1}, {}, {}} {
		if i == 2 {
			old.count(&testCounters, noRecord) // by a worker that holds it still
		}
		got := s.zones.Take()
		if got["zon_example_com_"] != want {
			t.Errorf("%d: %v, want %v", i, got, want)
		}
	}
	if len(s.zones.ended) != 0 {
		t.Errorf("%d zones that ended are kept", len(s.zones.ended))
	}
}

// Workers count for themselves; nothing is lost between them and those who take.
func TestWorkersCount(t *testing.T) {
	const workers, each = 4, 2000
	s := testResponder()
	s.zones.workers = workers
	c := contentOf(t, "zon_1", "example.com.", records(t, "example.com.", soaLine+"@ IN NS ns.elsewhere.\n"))
	apply(t, s.zones, c.documents(t, 1))
	wire, err := question("example.com.", dns.TypeNS, false).Pack()
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	done := make(chan struct{})
	for i := range workers {
		wg.Go(func() {
			k, own, b := &counters{worker: i}, new(compose), make([]byte, udpSlot)
			for range each {
				s.answer(own, k, b, copy(b, wire), testClient, false)
			}
		})
	}
	go func() { wg.Wait(); close(done) }()
	var sum edgeconfig.ZoneCounters
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		for id, n := range s.zones.Take() {
			if id != "zon_1" {
				t.Fatalf("counted for %q", id)
			}
			sum.Add(n)
		}
	}
	if sum != (edgeconfig.ZoneCounters{Answers: workers * each}) {
		t.Errorf("%+v", sum)
	}
}

// The questions of BenchmarkAnswer.
var benchmarked = map[string]uint16{"www.": dns.TypeA, "mail.": dns.TypeMX, "alias.": dns.TypeA, "none.": dns.TypeA, "www.sub.": dns.TypeA, "ns1.": dns.TypeAAAA}

// BenchmarkAnswer answers as one worker does, and as many do at once.
func BenchmarkAnswer(b *testing.B) {
	s := testResponder()
	s.zones.workers = runtime.GOMAXPROCS(0)
	zone := contentOf(b, "zon_1", "example.com.", records(b, "example.com.", soaLine+"@ IN NS ns1\nns1 IN A 192.0.2.1\nwww IN A 192.0.2.2\nmail IN MX 10 www\nalias IN CNAME www\nsub IN NS ns.elsewhere.\n"))
	apply(b, s.zones, zone.documents(b, 1))
	var wires [][]byte
	for _, name := range slices.Sorted(maps.Keys(benchmarked)) {
		wire, err := question(name+"example.com.", benchmarked[name], false).Pack()
		if err != nil {
			b.Fatal(err)
		}
		wires = append(wires, wire)
	}
	b.Run("one", func(b *testing.B) {
		k, own, buffer := new(counters), new(compose), make([]byte, udpSlot)
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			s.answer(own, k, buffer, copy(buffer, wires[i%len(wires)]), testClient, false)
		}
	})
	b.Run("many", func(b *testing.B) {
		b.ReportAllocs()
		var worker atomic.Int32
		b.RunParallel(func(pb *testing.PB) {
			k, own, buffer := &counters{worker: int(worker.Add(1)) - 1}, new(compose), make([]byte, udpSlot)
			for i := 0; pb.Next(); i++ {
				s.answer(own, k, buffer, copy(buffer, wires[i%len(wires)]), testClient, false)
			}
		})
	})
}
