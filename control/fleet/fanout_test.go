package fleet_test

import (
	"context"
	"fmt"
	"runtime/debug"
	"testing"
	"time"

	"github.com/edgewright/edgewright/control/fleet/fleettest"
)

// The fan-out works with as many agents as a test may have; how long it takes
// belongs into the benchmark.
func TestFanOut(t *testing.T) {
	r, err := fleettest.FanOut(t.Context(), fleettest.FanOutOptions{Dir: t.TempDir(), Agents: 40, Changes: 10, Purges: 10})
	if err != nil {
		t.Fatal(err)
	}
	if r.Change.Count != 10 || r.Purge.Count != 10 || r.Change.P99 <= 0 || r.Change.Max < r.Change.P99 || r.HeapMB <= 0 {
		t.Errorf("%+v", r)
	}
}

// BenchmarkFanOut measures whole fleets; run it with -benchtime 1x.
//
// What are ten thousand small heaps on ten thousand machines is one large heap
// here, whose collection takes both processors for a second: it is collected
// less often.
func BenchmarkFanOut(b *testing.B) {
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	for _, agents := range []int{1, 10, 330, 1000, 10_000} {
		rounds := 200
		if agents > 1000 {
			rounds = 100 // a second each
		}
		b.Run(fmt.Sprint(agents), func(b *testing.B) {
			for range b.N {
				ctx, cancel := context.WithTimeout(b.Context(), 10*time.Minute)
				r, err := fleettest.FanOut(ctx, fleettest.FanOutOptions{Dir: b.TempDir(), Agents: agents, Changes: rounds, Purges: rounds, Log: b.Logf})
				cancel()
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(r.Change.P50.Microseconds())/1000, "change-p50-ms")
				b.ReportMetric(float64(r.Change.P99.Microseconds())/1000, "change-p99-ms")
				b.ReportMetric(float64(r.Purge.P50.Microseconds())/1000, "purge-p50-ms")
				b.ReportMetric(float64(r.Purge.P99.Microseconds())/1000, "purge-p99-ms")
				b.ReportMetric(r.HeapMB, "heap-MB")
				b.ReportMetric(r.RSSMB, "rss-MB")
				b.ReportMetric(r.Joined.Seconds(), "join-s")
			}
		})
	}
}
