package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/store"
	"github.com/edgewright/edgewright/control/store/storetest"
	"github.com/edgewright/edgewright/control/traffic"
	"github.com/edgewright/edgewright/control/zones"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

func TestFetches(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		now := time.Date(2026, 3, 1, 12, 30, 20, 0, time.UTC)
		service := traffic.New(db, func() time.Time { return now })
		var ids []string
		for _, apex := range []string{"a.example", "b.example"} {
			plan := resource.NewPlan("prj", "production")
			plan.Create(resource.Type{Kind: zones.Kind, Prefix: "zon"}, "prj", "production", apex, []byte(`{}`))
			commit := plan.Commit(resource.Cause{Actor: "test", Via: "system"})
			if _, err := db.Commit(ctx, commit); err != nil {
				t.Fatal(err)
			}
			ids = append(ids, commit.Changes[0].ID)
		}
		a, b := ids[0], ids[1]
		fetch := func(client, key string, outcome edgeconfig.Fetched, serial uint32, ago time.Duration) edgeconfig.Fetch {
			return edgeconfig.Fetch{Client: client, Key: key, Kind: edgeconfig.FetchDifference, Outcome: outcome, Serial: serial, At: now.Add(-ago).Truncate(time.Second)}
		}
		n := 0
		ingest := func(edge string, fetches map[string][]edgeconfig.Fetch) error {
			n++
			r := rollup(edge, now.Truncate(time.Minute).Add(-time.Duration(n)*time.Minute), nil)
			r.Fetches = fetches
			for range 2 { // a repeat changes nothing
				if err := service.Ingest(ctx, r); err != nil {
					return err
				}
			}
			return nil
		}
		expect := func(label, zone string, want ...edgeconfig.Fetch) {
			t.Helper()
			got, err := service.Fetches(ctx, zone)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%s: %s", label, d)
			}
		}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		first := fetch("192.0.2.1", "k.example", edgeconfig.FetchGiven, 7, time.Minute)
		refused := fetch("192.0.2.1", "", edgeconfig.FetchUnsigned, 0, 2*time.Minute)
		must(ingest("edge_1", map[string][]edgeconfig.Fetch{a: {first, refused}, "zon_gone": {first}}))
		expect("one that got it, and did not before", a, first, refused)
		expect("of another zone", b)
		expect("of a zone that is not there", "zon_gone")

		// Whichever edge it asked, and in whatever order they tell: the last counts.
		later, earlier := fetch("192.0.2.1", "k.example", edgeconfig.FetchCurrent, 8, time.Second), fetch("192.0.2.1", "k.example", edgeconfig.FetchGiven, 6, time.Hour)
		must(ingest("edge_2", map[string][]edgeconfig.Fetch{a: {later}}))
		must(ingest("edge_1", map[string][]edgeconfig.Fetch{a: {earlier}}))
		unknown := fetch("2001:db8::1", "", "of_a_newer_edge", 0, time.Second)
		must(ingest("edge_3", map[string][]edgeconfig.Fetch{a: {unknown}}))
		expect("the last", a, later, unknown, refused)

		// A clock that is ahead has not the last word for ever.
		ahead := fetch("192.0.2.1", "k.example", edgeconfig.FetchCurrent, 9, -time.Hour)
		must(ingest("edge_2", map[string][]edgeconfig.Fetch{a: {ahead}}))
		now = now.Add(time.Second)
		last := fetch("192.0.2.1", "k.example", edgeconfig.FetchGiven, 10, 0)
		must(ingest("edge_1", map[string][]edgeconfig.Fetch{a: {last}}))
		expect("after one from the future", a, last, unknown, refused)

		// Many addresses displace one another, each sort its own.
		for i := range 10 {
			var list []edgeconfig.Fetch
			for j := range edgeconfig.MaxFetchesOf {
				list = append(list, fetch(fmt.Sprintf("198.51.%d.%d", i, j), "k.example", edgeconfig.FetchGiven, 10, time.Duration(1000-i)*time.Second))
			}
			for j := range edgeconfig.MaxFailedOf {
				list = append(list, fetch(fmt.Sprintf("198.51.%d.%d", i, j), "", edgeconfig.FetchUnsigned, 0, time.Duration(1000-i)*time.Second))
			}
			must(ingest("edge_1", map[string][]edgeconfig.Fetch{a: list, b: list[:1]}))
		}
		got, err := service.Fetches(ctx, a)
		must(err)
		has := 0
		for _, f := range got {
			if f.Outcome.Has() {
				has++
			}
		}
		if has != traffic.KeepFetches || len(got)-has != traffic.KeepFailed || got[0] != last {
			t.Errorf("%d that got it and %d that did not are kept, the last of them %+v", has, len(got)-has, got[0])
		}

		for what, bad := range map[string]map[string][]edgeconfig.Fetch{
			"no address":        {a: {fetch("here", "", edgeconfig.FetchGiven, 1, 0)}},
			"an interface":      {a: {fetch("fe80::1%eth0", "", edgeconfig.FetchGiven, 1, 0)}},
			"two forms":         {a: {fetch("::ffff:192.0.2.1", "", edgeconfig.FetchGiven, 1, 0)}},
			"a long key":        {a: {fetch("192.0.2.1", string(make([]byte, 2000)), edgeconfig.FetchGiven, 1, 0)}},
			"no outcome":        {a: {fetch("192.0.2.1", "", "", 1, 0)}},
			"a text as outcome": {a: {fetch("192.0.2.1", "", "<b>given</b>", 1, 0)}},
			"no time":           {a: {{Client: "192.0.2.1", Kind: edgeconfig.FetchWhole, Outcome: edgeconfig.FetchGiven}}},
			"no zone":           {"": {first}},
			"too many":          {a: make([]edgeconfig.Fetch, 100)},
		} {
			if err := ingest("edge_1", bad); !fault.Is(err, fault.Invalid) {
				t.Errorf("%s: %v", what, err)
			}
		}

		// They go with their zone, and with time.
		r, err := db.Get(ctx, zones.Kind, b)
		must(err)
		plan := resource.NewPlan("prj", "production")
		plan.Delete(r)
		_, err = db.Commit(ctx, plan.Commit(resource.Cause{Actor: "test", Via: "system"}))
		must(err)
		must(service.Prune(ctx))
		expect("of a zone that went", b)
		if got, err = service.Fetches(ctx, a); err != nil || len(got) == 0 {
			t.Errorf("those of the other went too: %v, %v", got, err)
		}
		now = now.Add(traffic.KeepHours + time.Hour)
		must(service.Prune(ctx))
		expect("long ago", a)
	})
}
