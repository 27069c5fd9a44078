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
	addQueryMinute = addQuery("query_minutes")
	addQueryHour   = addQuery("query_hours")
	sumQueryValues = "CAST(SUM(" + strings.Join(queryColumns, ") AS BIGINT), CAST(SUM(") + ") AS BIGINT)"
)

func addQuery(table string) string {
	marks, adds := make([]string, len(queryColumns)), make([]string, len(queryColumns))
	for i, column := range queryColumns {
		marks[i] = "$" + strconv.Itoa(i+4)
		adds[i] = column + " = " + table + "." + column + " + excluded." + column
	}
	return `INSERT INTO ` + table + ` (start, zone, edge, ` + strings.Join(queryColumns, ", ") + `)
		VALUES ($1, $2, $3, ` + strings.Join(marks, ", ") + `)
		ON CONFLICT (zone, start, edge) DO UPDATE SET ` + strings.Join(adds, ", ")
}

// zonesAtOnce is sitesAtOnce for zones, whose rows are smaller.
const zonesAtOnce = 500

// addQueries adds the zones of a rollup, in parts, each once.
func (db *DB) addQueries(ctx context.Context, r edgeconfig.Rollup, now time.Time) error {
	minute, hour := r.Start.UTC().Truncate(time.Minute).Unix(), r.Start.UTC().Truncate(time.Hour).Unix()
	zones := slices.Sorted(maps.Keys(r.Zones)) // equal parts when it is repeated
	for part := 0; len(zones) > 0; part++ {
		some := zones[:min(len(zones), zonesAtOnce)]
		zones = zones[len(some):]
		err := db.write(ctx, func(ctx context.Context, tx *Tx) error {
			n, err := tx.exec(ctx, `INSERT INTO traffic_seen (id, at) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING`,
				r.ID+"#zones"+strconv.Itoa(part), now.Unix())
			if err != nil || n == 0 {
				return err
			}
			args := make([]any, 3+len(queryColumns))
			for _, zone := range some {
				args[1], args[2] = zone, r.Edge
				for i, v := range r.Zones[zone].Values() {
					args[3+i] = v
				}
				args[0] = minute
				if _, err := tx.exec(ctx, addQueryMinute, args...); err != nil {
					return err
				}
				args[0] = hour
				if _, err := tx.exec(ctx, addQueryHour, args...); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
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
