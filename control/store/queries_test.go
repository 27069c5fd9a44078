package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/edgewright/edgewright/control/store"
	"github.com/edgewright/edgewright/control/store/storetest"
	"github.com/edgewright/edgewright/control/traffic"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// asked makes counters in which every field has a value of its own.
func asked(n int64) edgeconfig.ZoneCounters {
	return edgeconfig.ZoneCounters{Answers: n, Referrals: 2 * n, NoData: 3 * n, NXDomain: 4 * n, Failed: 5 * n, Limited: 6 * n}
}

func TestQueries(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		now := time.Date(2026, 3, 1, 12, 30, 20, 0, time.UTC)
		service := traffic.New(db, func() time.Time { return now })
		minute := func(ago int) time.Time { return now.Truncate(time.Minute).Add(-time.Duration(ago) * time.Minute) }
		many := map[string]edgeconfig.ZoneCounters{"zon_a": asked(1), "zon_b": asked(2)}
		for i := range 1100 { // more than one part
			many[fmt.Sprintf("zon_%04d", i)] = asked(1)
		}
		for i, zones := range []map[string]edgeconfig.ZoneCounters{many, {"zon_a": asked(8)}, {"zon_a": asked(16)}, {"zon_a": asked(32)}} {
			r := rollup(fmt.Sprint("edge_", i%2), minute([]int{1, 1, 5, 90}[i]), nil)
			if r.Zones = zones; i == 1 {
				r.Sites = map[string]edgeconfig.Counters{"dom_a": counted(1)}
			}
			for range 3 { // a repeat counts once
				if err := service.Ingest(ctx, r); err != nil {
					t.Fatal(err)
				}
			}
		}
		check := func(label string, zones []string, window, step time.Duration, total int64, points map[string]int64) {
			t.Helper()
			series, err := service.Queries(ctx, zones, window, step)
			if err != nil {
				t.Fatal(err)
			}
			seen, sum := map[string]int64{}, edgeconfig.ZoneCounters{}
			for _, p := range series.Points {
				if sum.Add(p.ZoneCounters); p.Queries > 0 {
					seen[p.At.Format("15:04")] = p.Answers
				}
			}
			want := traffic.QueryTotals{Queries: 21 * total, ZoneCounters: asked(total)}
			if d := cmp.Diff(want, series.Totals); d != "" || sum != series.Totals.ZoneCounters {
				t.Errorf("%s: %s (the points add up to %+v)", label, d, sum)
			}
			if d := cmp.Diff(points, seen); d != "" {
				t.Errorf("%s: %s", label, d)
			}
		}
		check("an hour", []string{"zon_a"}, 0, 0, 25, map[string]int64{"12:29": 9, "12:25": 16})
		check("two zones", []string{"zon_a", "zon_b", "zon_a"}, 0, 0, 27, map[string]int64{"12:29": 11, "12:25": 16})
		check("two hours", []string{"zon_a"}, 2*time.Hour, 30*time.Minute, 57, map[string]int64{"12:00": 25, "11:00": 32})
		check("a zone of the last part", []string{"zon_1099"}, 0, 0, 1, map[string]int64{"12:29": 1})
		check("no zone", nil, 0, 0, 0, map[string]int64{})
		check("an unknown one", []string{"zon_x"}, 0, 0, 0, map[string]int64{})
		if series, err := service.Query(ctx, traffic.Query{}); err != nil || series.Totals.Requests != 10 {
			t.Errorf("requests beside queries: %+v, %v", series.Totals, err)
		}

		// Minutes go after two days, hours stay.
		now = now.Add(47 * time.Hour)
		if err := service.Prune(ctx); err != nil {
			t.Fatal(err)
		}
		check("after two days", []string{"zon_a"}, 72*time.Hour, 72*time.Hour, 57, map[string]int64{"00:00": 57})
		now = now.Add(500 * 24 * time.Hour)
		if err := service.Prune(ctx); err != nil {
			t.Fatal(err)
		}
		check("after 500 days", []string{"zon_a"}, 400*24*time.Hour, 0, 0, map[string]int64{})
	})
}

func TestQueriesRefused(t *testing.T) {
	service := traffic.New(storetest.SQLite(t), nil)
	for name, zones := range map[string]map[string]edgeconfig.ZoneCounters{
		"negative": {"zon_a": {NoData: -1}},
		"huge":     {"zon_a": {Limited: 1 << 50}},
		"no zone":  {"": asked(1)},
		"long":     {fmt.Sprintf("%0101d", 1): asked(1)},
	} {
		r := rollup("edge_1", time.Now(), map[string]edgeconfig.Counters{"dom_a": counted(1)})
		r.Zones = zones
		if err := service.Ingest(t.Context(), r); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if series, err := service.Query(t.Context(), traffic.Query{}); err != nil || series.Totals.Requests != 0 {
		t.Errorf("half of a rollup is stored: %+v, %v", series.Totals, err)
	}
	if _, err := service.Queries(t.Context(), []string{"zon_a"}, time.Hour, 2*time.Hour); !fault.Is(err, fault.Invalid) {
		t.Errorf("a step longer than the window: %v", err)
	}
}
