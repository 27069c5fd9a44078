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

// counted makes counters in which every field has a value of its own.
func counted(n int64) edgeconfig.Counters {
	c := edgeconfig.Counters{
		Requests: 10 * n, Bytes: 1000 * n, OriginBytes: 100 * n, Status: [6]int64{0, 1 * n, 2 * n, 3 * n, 4 * n, 5 * n},
		Cache:        map[string]int64{"hit": 6 * n, "miss": n, "stale": 2 * n, "revalidated": 3 * n, "bypass": 4 * n, "none": 5 * n},
		OriginErrors: 7 * n, Handshakes: 8 * n, HandshakeErr: 9 * n, Refusals: map[string]int64{"version": 4 * n, "not_tls": 3 * n, "other": 2 * n},
	}
	for i := range c.LatencyMS {
		c.LatencyMS[i] = n * int64(i)
	}
	return c
}

func rollup(edge string, start time.Time, sites map[string]edgeconfig.Counters) edgeconfig.Rollup {
	return edgeconfig.Rollup{ID: fmt.Sprintf("%s/%d/60", edge, start.Unix()), Edge: edge, Start: start, Seconds: 60, Sites: sites}
}

func TestTraffic(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		now := time.Date(2026, 3, 1, 12, 30, 20, 0, time.UTC)
		service := traffic.New(db, func() time.Time { return now })
		minute := func(ago int) time.Time { return now.Truncate(time.Minute).Add(-time.Duration(ago) * time.Minute) }
		for _, r := range []edgeconfig.Rollup{
			rollup("edge_1", minute(1), map[string]edgeconfig.Counters{"dom_a": counted(1), "dom_b": counted(2), "": counted(4)}),
			rollup("edge_2", minute(1), map[string]edgeconfig.Counters{"dom_a": counted(8)}),
			rollup("edge_1", minute(5), map[string]edgeconfig.Counters{"dom_a": counted(16)}),
			rollup("edge_1", minute(90), map[string]edgeconfig.Counters{"dom_a": counted(32)}),
		} {
			for range 3 { // a repeat counts once
				if err := service.Ingest(ctx, r); err != nil {
					t.Fatal(err)
				}
			}
		}
		requests := func(q traffic.Query) (total int64, points map[string]int64) {
			t.Helper()
			series, err := service.Query(ctx, q)
			if err != nil {
				t.Fatal(err)
			}
			points = map[string]int64{}
			sum := int64(0)
			for _, p := range series.Points {
				if sum += p.Requests; p.Requests > 0 {
					points[p.At.Format("15:04")] = p.Requests
				}
			}
			if sum != series.Totals.Requests {
				t.Errorf("points add up to %d, totals say %d", sum, series.Totals.Requests)
			}
			return series.Totals.Requests, points
		}
		for name, c := range map[string]struct {
			query  traffic.Query
			total  int64
			points map[string]int64
		}{
			"an hour":      {traffic.Query{}, 310, map[string]int64{"12:29": 150, "12:25": 160}},
			"one site":     {traffic.Query{Sites: []string{"dom_a"}}, 250, map[string]int64{"12:29": 90, "12:25": 160}},
			"two sites":    {traffic.Query{Sites: []string{"dom_a", "dom_b", "dom_a"}}, 270, map[string]int64{"12:29": 110, "12:25": 160}},
			"no site":      {traffic.Query{Sites: []string{}}, 0, map[string]int64{}},
			"one edge":     {traffic.Query{Edges: []string{"edge_2"}}, 80, map[string]int64{"12:29": 80}},
			"two hours":    {traffic.Query{Window: 2 * time.Hour, Step: 30 * time.Minute}, 630, map[string]int64{"12:00": 310, "11:00": 320}},
			"long":         {traffic.Query{Window: 72 * time.Hour, Step: time.Minute}, 630, map[string]int64{"12:00": 310, "11:00": 320}},
			"earlier":      {traffic.Query{Window: 10 * time.Minute, Step: time.Minute, Until: minute(4)}, 160, map[string]int64{"12:25": 160}},
			"site on edge": {traffic.Query{Sites: []string{"dom_a"}, Edges: []string{"edge_1"}, Window: 2 * time.Hour, Step: 2 * time.Hour}, 490, map[string]int64{"12:00": 170, "10:00": 320}},
		} {
			total, points := requests(c.query)
			if total != c.total {
				t.Errorf("%s: %d requests, want %d", name, total, c.total)
			}
			if diff := cmp.Diff(c.points, points); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}

		// More sites than one statement takes.
		many := make([]string, 0, 600)
		for i := range 600 {
			many = append(many, fmt.Sprintf("dom_%d", i))
		}
		if total, _ := requests(traffic.Query{Sites: append(many, "dom_a")}); total != 250 {
			t.Errorf("601 sites: %d requests", total)
		}

		series, err := service.Query(ctx, traffic.Query{Window: time.Minute, Step: time.Minute, Until: minute(4), Edges: []string{"edge_1"}})
		if err != nil {
			t.Fatal(err)
		}
		c := counted(16)
		if diff := cmp.Diff(traffic.Totals{
			Requests: 160, Hits: c.Cache["hit"] + c.Cache["stale"], Bytes: c.Bytes, OriginBytes: c.OriginBytes, Errors: c.Status[5],
			OriginErrors: c.OriginErrors, Handshakes: c.Handshakes, Refused: c.Refusals, Cache: c.Cache,
			Status: map[string]int64{"1xx": 16, "2xx": 32, "3xx": 48, "4xx": 64, "5xx": 80},
			P50MS:  c.LatencyMS.Quantile(0.5), P95MS: c.LatencyMS.Quantile(0.95), P99MS: c.LatencyMS.Quantile(0.99),
		}, series.Totals); diff != "" {
			t.Error(diff)
		}

		shares, err := service.Top(ctx, traffic.Query{}, traffic.BySite, 2)
		if err != nil || len(shares) != 2 || shares[0].Name != "dom_a" || shares[0].Requests != 250 || shares[1].Name != "" || shares[1].Requests != 40 {
			t.Errorf("by site: %+v, %v", shares, err)
		}
		shares, err = service.Top(ctx, traffic.Query{}, traffic.ByEdge, 10)
		if err != nil || len(shares) != 2 || shares[0].Name != "edge_1" || shares[0].Requests != 230 {
			t.Errorf("by edge: %+v, %v", shares, err)
		}

		// Minutes go after two days, hours stay.
		now = now.Add(47 * time.Hour)
		if err := service.Prune(ctx); err != nil {
			t.Fatal(err)
		}
		if total, _ := requests(traffic.Query{Window: 72 * time.Hour}); total != 630 {
			t.Errorf("after two days: %d requests", total)
		}
		now = now.Add(500 * 24 * time.Hour)
		if err := service.Prune(ctx); err != nil {
			t.Fatal(err)
		}
		if total, _ := requests(traffic.Query{Window: 400 * 24 * time.Hour}); total != 0 {
			t.Errorf("after 500 days: %d requests", total)
		}
	})
}

func TestTrafficOfManySites(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		now := time.Now()
		service := traffic.New(db, nil)
		sites := map[string]edgeconfig.Counters{}
		for i := range 600 {
			sites[fmt.Sprintf("dom_%d", i)] = edgeconfig.Counters{Requests: 1, Cache: map[string]int64{"odd": 1}}
		}
		r := rollup("edge_1", now.Add(-time.Minute), sites)
		for range 2 {
			if err := service.Ingest(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
		series, err := service.Query(t.Context(), traffic.Query{})
		if err != nil || series.Totals.Requests != 600 || series.Totals.Cache["none"] != 600 {
			t.Errorf("%+v, %v", series.Totals, err)
		}
	})
}

func TestTrafficRefuses(t *testing.T) {
	service := traffic.New(storetest.SQLite(t), nil)
	now := time.Now()
	good := rollup("edge_1", now, map[string]edgeconfig.Counters{"dom_a": counted(1)})
	if err := service.Ingest(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*edgeconfig.Rollup){
		"no ID":    func(r *edgeconfig.Rollup) { r.ID = "" },
		"old":      func(r *edgeconfig.Rollup) { r.Start = now.Add(-11 * 24 * time.Hour) },
		"future":   func(r *edgeconfig.Rollup) { r.Start = now.Add(25 * time.Hour) },
		"negative": func(r *edgeconfig.Rollup) { r.Sites = map[string]edgeconfig.Counters{"dom_a": {Requests: -1}} },
		"huge":     func(r *edgeconfig.Rollup) { r.Sites = map[string]edgeconfig.Counters{"dom_a": {Bytes: 1 << 60}} },
		"bucket": func(r *edgeconfig.Rollup) {
			r.Sites = map[string]edgeconfig.Counters{"dom_a": {LatencyMS: edgeconfig.Histogram{-1}}}
		},
	} {
		r := good
		r.ID = name
		change(&r)
		if err := service.Ingest(t.Context(), r); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, q := range map[string]traffic.Query{
		"window": {Window: 500 * 24 * time.Hour},
		"step":   {Window: time.Hour, Step: 2 * time.Hour},
	} {
		if _, err := service.Query(t.Context(), q); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := service.Top(t.Context(), traffic.Query{}, "country", 1); !fault.Is(err, fault.Invalid) {
		t.Errorf("dimension: %v", err)
	}
}
