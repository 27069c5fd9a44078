package telemetry

import (
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/edgewright/edgewright/edgeconfig"
)

type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func newTelemetry() (*Telemetry, *clock) {
	c := &clock{at: time.Unix(1_700_000_000, 0)}
	return New("edge_1", "fra", c.now), c
}

func TestTakeIsTheDifference(t *testing.T) {
	tel, c := newTelemetry()
	a := tel.Site("dom_a")
	a.Count(0, &Record{Status: 200, Bytes: 10, Cache: Hit, FirstByte: 3 * time.Millisecond})
	a.Count(1, &Record{Status: 503, OriginBytes: 7, Cache: Miss, OriginError: true, FirstByte: time.Minute})
	tel.None().Count(0, &Record{Status: 421})
	tel.None().Handshake(0, Completed)
	tel.None().Handshake(1, ALPN)

	c.at = c.at.Add(time.Minute)
	got := tel.Take(time.Minute)
	var latency, none edgeconfig.Histogram
	latency[2], latency[len(latency)-1] = 1, 1
	none[0] = 1
	want := edgeconfig.Rollup{
		ID: "edge_1-1700000000000-60", Edge: "edge_1", Region: "fra", Start: time.Unix(1_700_000_000, 0).UTC(), Seconds: 60,
		Sites: map[string]edgeconfig.Counters{
			"dom_a": {Requests: 2, Bytes: 10, OriginBytes: 7, OriginErrors: 1, Status: [6]int64{2: 1, 5: 1}, LatencyMS: latency, Cache: map[string]int64{"hit": 1, "miss": 1}},
			"":      {Requests: 1, Status: [6]int64{4: 1}, LatencyMS: none, Cache: map[string]int64{"none": 1}, Handshakes: 1, HandshakeErr: 1, Refusals: map[string]int64{"alpn": 1}},
		},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("first rollup (-want +got):\n%s", d)
	}

	a.Count(0, &Record{Status: 204})
	c.at = c.at.Add(time.Minute)
	second := tel.Take(time.Minute)
	if len(second.Sites) != 1 || second.Sites["dom_a"].Requests != 1 || second.ID == got.ID {
		t.Errorf("second rollup holds %+v", second)
	}
	if live := tel.Take(time.Second); live.Sites["dom_a"].Requests != 3 {
		t.Errorf("the other span's rollup must see all three requests, got %+v", live.Sites["dom_a"])
	}
}

func TestLive(t *testing.T) {
	tel, _ := newTelemetry()
	tel.Site("a").Count(0, &Record{Status: 200})
	tel.Site("b").Count(0, &Record{Status: 200})
	tel.Tick()
	if got := tel.Live().Requests; got != 2 {
		t.Errorf("live requests %d, want 2", got)
	}
	tel.Tick()
	if got := tel.Live().Requests; got != 0 {
		t.Errorf("an idle second counts %d requests", got)
	}
	if got := tel.Total().Requests; got != 2 {
		t.Errorf("total %d, want 2", got)
	}
}

func TestRetire(t *testing.T) {
	tel, c := newTelemetry()
	a := tel.Site("dom_a")
	a.Count(0, &Record{Status: 200})
	tel.Retire("dom_a")
	if got := tel.Take(time.Minute).Sites["dom_a"].Requests; got != 1 {
		t.Errorf("a retired site's last requests must still be taken, got %d", got)
	}
	c.at = c.at.Add(retirement + time.Second)
	tel.Take(time.Minute)
	if n := len(tel.active); n != 0 {
		t.Errorf("%d sites kept after retirement", n)
	}
	if tel.Site("dom_a") == a {
		t.Error("a site that comes back after retirement must start anew")
	}
}

func TestCountAllocatesNothing(t *testing.T) {
	tel, _ := newTelemetry()
	s := tel.Site("a")
	r := &Record{Status: 200, Bytes: 1}
	s.Count(0, r)
	if n := testing.AllocsPerRun(100, func() { s.Count(3, r) }); n != 0 {
		t.Errorf("%v allocations a request", n)
	}
}

func TestConcurrentCountsAreAllTaken(t *testing.T) {
	tel, _ := newTelemetry()
	const workers, each = 8, 500
	var wg sync.WaitGroup
	stop, taken := make(chan struct{}), make(chan int64)
	go func() {
		var sum int64
		for {
			select {
			case <-stop:
				taken <- sum + tel.Take(time.Minute).Sites["a"].Requests
				return
			default:
				sum += tel.Take(time.Minute).Sites["a"].Requests
			}
		}
	}()
	for range workers {
		wg.Go(func() {
			shard := tel.Shard()
			for range each {
				tel.Site("a").Count(shard, &Record{Status: 200})
			}
		})
	}
	wg.Wait()
	close(stop)
	if got := <-taken; got != workers*each {
		t.Errorf("rollups add up to %d requests, want %d", got, workers*each)
	}
}

func TestSubscribe(t *testing.T) {
	tel, _ := newTelemetry()
	if tel.Logging() {
		t.Error("logging without a subscriber")
	}
	records, cancel := tel.Subscribe(1)
	tel.Log(&Record{Path: "/a"})
	tel.Log(&Record{Path: "/b"})
	if r := <-records; r.Path != "/a" || tel.Lost() != 1 {
		t.Errorf("got %q, lost %d", r.Path, tel.Lost())
	}
	cancel()
	if _, open := <-records; open || tel.Logging() {
		t.Error("cancel must close the channel and end logging")
	}
}

func TestCollector(t *testing.T) {
	tel, _ := newTelemetry()
	tel.Site("a").Count(0, &Record{Status: 200, Bytes: 5, Cache: Hit, FirstByte: time.Millisecond})
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(tel.Collector())
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if m.GetCounter() != nil {
				values[f.GetName()] += m.GetCounter().GetValue()
			}
			if h := m.GetHistogram(); h != nil {
				values[f.GetName()] += float64(h.GetSampleCount())
			}
		}
	}
	for name, want := range map[string]float64{
		"edgewright_edge_requests_total": 1, "edgewright_edge_cache_total": 1,
		"edgewright_edge_response_bytes_total": 5, "edgewright_edge_first_byte_seconds": 1,
	} {
		if values[name] != want {
			t.Errorf("%s = %v, want %v", name, values[name], want)
		}
	}
}
