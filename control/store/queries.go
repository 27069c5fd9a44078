package store

import (
	"context"
	"maps"
	"slices"
	"strconv"
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
	sums := map[int64]edgeconfig.ZoneCounters{}
	for _, zones := range inParts(s.Zones) {
		args := []any{s.From.Unix(), s.Until.Unix()}
		where := ` WHERE start >= $1 AND start < $2`
		if zones != nil {
			var marks []string
			for _, v := range padded(zones) {
				args = append(args, v)
				marks = append(marks, "$"+strconv.Itoa(len(args)))
			}
			where += ` AND zone IN (` + strings.Join(marks, ", ") + `)`
		}
		step := strconv.FormatInt(int64(s.Step/time.Second), 10)
		err := db.sumQueries(ctx, `SELECT (start - $1) / `+step+` AS part, `+sumQueryValues+` FROM `+table+where+` GROUP BY part`, args, func(n int64, c edgeconfig.ZoneCounters) {
			c.Add(sums[n])
			sums[n] = c
		})
		if err != nil {
			return wrap("reading queries", err)
		}
	}
	for _, n := range slices.Sorted(maps.Keys(sums)) {
		if err := fn(s.From.Add(time.Duration(n)*s.Step), sums[n]); err != nil {
			return err
		}
	}
	return nil
}

func (db *DB) sumQueries(ctx context.Context, query string, args []any, fn func(part int64, c edgeconfig.ZoneCounters)) error {
	rows, err := db.readers.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var part int64
		var values [6]int64
		into := []any{&part}
		for i := range values {
			into = append(into, &values[i])
		}
		if err := rows.Scan(into...); err != nil {
			return err
		}
		fn(part, edgeconfig.ZoneCountersOf(values))
	}
	return rows.Err()
}
