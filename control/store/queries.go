package store

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/edgewright/edgewright/control/traffic"
	"github.com/edgewright/edgewright/edgeconfig"
)

// This file keeps the DNS queries of zones, as traffic.go keeps the requests of
// sites.

// queryColumns are the counted columns, in the order of ZoneCounters.Values.
var queryColumns = []string{"answers", "referrals", "nodata", "nxdomain", "failed", "limited"}

// The texts of the statements, which never change.
var (
	addQueryMinute = addCounts("query_minutes", "zone", queryColumns)
	addQueryHour   = addCounts("query_hours", "zone", queryColumns)
	sumQueryValues = "CAST(SUM(" + strings.Join(queryColumns, ") AS BIGINT), CAST(SUM(") + ") AS BIGINT)"
)

// zonesAtOnce is sitesAtOnce for zones, whose rows are smaller.
const zonesAtOnce = 500

// addQueries adds the zones of a rollup.
func (db *DB) addQueries(ctx context.Context, r edgeconfig.Rollup, now time.Time) error {
	return db.addParts(ctx, r, now, slices.Sorted(maps.Keys(r.Zones)), parts{
		id: r.ID + "#zones", atOnce: zonesAtOnce, minute: addQueryMinute, hour: addQueryHour,
		values: func(zone string) []int64 {
			values := r.Zones[zone].Values()
			return values[:]
		},
	})
}

// SumQueries calls fn for each step in which zones were asked, in order of time.
func (db *DB) SumQueries(ctx context.Context, s traffic.Sum, fn func(start time.Time, c edgeconfig.ZoneCounters) error) error {
	table := "query_minutes"
	if s.Hours {
		table = "query_hours"
	}
	steps := map[int64]edgeconfig.ZoneCounters{}
	err := db.sum(ctx, s, sums{
		table: table, by: stepOf(s), columns: queryColumns, values: sumQueryValues, only: []only{{"zone", s.Zones}},
	}, func(group any, values []int64) {
		n, _ := group.(int64)
		c := edgeconfig.ZoneCountersOf([6]int64(values))
		c.Add(steps[n])
		steps[n] = c
	})
	if err != nil {
		return err
	}
	return inSteps(s, steps, fn)
}
