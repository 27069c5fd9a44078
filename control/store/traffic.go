package store

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/edgewright/edgewright/control/traffic"
	"github.com/edgewright/edgewright/control/zones"
	"github.com/edgewright/edgewright/edgeconfig"
)

// This file implements traffic.Store.

var _ traffic.Store = (*DB)(nil)

// cacheOutcomes are the outcomes with a column of their own; others count as
// none.
var cacheOutcomes = []string{"hit", "miss", "stale", "revalidated", "bypass", "none"}

// trafficColumns are the counted columns, in the order of trafficValues.
var trafficColumns = func() []string {
	columns := []string{"requests", "bytes", "origin_bytes"}
	for class := 1; class <= 5; class++ {
		columns = append(columns, "status_"+strconv.Itoa(class))
	}
	for _, outcome := range cacheOutcomes {
		columns = append(columns, "cache_"+outcome)
	}
	columns = append(columns, "origin_errors", "handshakes", "handshake_errors")
	for n := range len(edgeconfig.HistogramBounds) + 1 {
		columns = append(columns, "latency_"+strconv.Itoa(n))
	}
	for _, reason := range edgeconfig.RefusalReasons {
		columns = append(columns, "refused_"+reason)
	}
	return columns
}()

func trafficValues(c *edgeconfig.Counters) []int64 {
	values := []int64{c.Requests, c.Bytes, c.OriginBytes}
	values = append(values, c.Status[1:]...)
	counted, all := int64(0), int64(0)
	for _, n := range c.Cache {
		all += n
	}
	for _, outcome := range cacheOutcomes[:len(cacheOutcomes)-1] {
		values = append(values, c.Cache[outcome])
		counted += c.Cache[outcome]
	}
	values = append(values, all-counted, c.OriginErrors, c.Handshakes, c.HandshakeErr)
	values = append(values, c.LatencyMS[:]...)
	counted, all = 0, 0
	for _, n := range c.Refusals {
		all += n
	}
	for _, reason := range edgeconfig.RefusalReasons[:len(edgeconfig.RefusalReasons)-1] {
		values = append(values, c.Refusals[reason])
		counted += c.Refusals[reason]
	}
	return append(values, all-counted)
}

func trafficCounters(values []int64) edgeconfig.Counters {
	c := edgeconfig.Counters{Requests: values[0], Bytes: values[1], OriginBytes: values[2], Cache: map[string]int64{}}
	values = values[3:]
	copy(c.Status[1:], values[:5])
	values = values[5:]
	for i, outcome := range cacheOutcomes {
		if values[i] > 0 {
			c.Cache[outcome] = values[i]
		}
	}
	values = values[len(cacheOutcomes):]
	c.OriginErrors, c.Handshakes, c.HandshakeErr = values[0], values[1], values[2]
	values = values[3+copy(c.LatencyMS[:], values[3:]):]
	for i, reason := range edgeconfig.RefusalReasons {
		if values[i] > 0 {
			if c.Refusals == nil {
				c.Refusals = map[string]int64{}
			}
			c.Refusals[reason] = values[i]
		}
	}
	return c
}

// The texts of the statements, which never change.
var (
	addMinute = addCounts("traffic_minutes", "site", trafficColumns)
	addHour   = addCounts("traffic_hours", "site", trafficColumns)
	sumValues = "CAST(SUM(" + strings.Join(trafficColumns, ") AS BIGINT), CAST(SUM(") + ") AS BIGINT)" // PostgreSQL sums into numeric
)

// addCounts adds the counts of something with a name to a table's row for it.
func addCounts(table, name string, columns []string) string {
	marks, adds := make([]string, len(columns)), make([]string, len(columns))
	for i, column := range columns {
		marks[i] = "$" + strconv.Itoa(i+4)
		adds[i] = column + " = " + table + "." + column + " + excluded." + column
	}
	return `INSERT INTO ` + table + ` (start, ` + name + `, edge, ` + strings.Join(columns, ", ") + `)
		VALUES ($1, $2, $3, ` + strings.Join(marks, ", ") + `)
		ON CONFLICT (start, ` + name + `, edge) DO UPDATE SET ` + strings.Join(adds, ", ")
}

// sitesAtOnce bounds the sites of one transaction, so that a rollup of many
// sites lets other writers in.
const sitesAtOnce = 250

// AddRollup adds r's counters to its minute and its hour, once per r.ID, and
// takes in its fetches. A rollup of many sites or zones is added in parts, each once.
func (db *DB) AddRollup(ctx context.Context, r edgeconfig.Rollup, now time.Time) error {
	if err := db.addQueries(ctx, r, now); err != nil {
		return err
	}
	if err := db.addFetches(ctx, r); err != nil {
		return err
	}
	return db.addParts(ctx, r, now, slices.Sorted(maps.Keys(r.Sites)), parts{
		id: r.ID + "#", atOnce: sitesAtOnce, minute: addMinute, hour: addHour,
		values: func(site string) []int64 {
			c := r.Sites[site]
			return trafficValues(&c)
		},
	})
}

// parts say how one sort of a rollup's counters is added.
type parts struct {
	id           string // of a part, without its number
	atOnce       int    // names in one transaction
	minute, hour string // statements of addCounts
	values       func(name string) []int64
}

// addParts adds what was counted by name. The names are in order: equal parts
// when the rollup is repeated.
func (db *DB) addParts(ctx context.Context, r edgeconfig.Rollup, now time.Time, names []string, p parts) error {
	minute, hour := r.Start.UTC().Truncate(time.Minute).Unix(), r.Start.UTC().Truncate(time.Hour).Unix()
	for part := 0; len(names) > 0; part++ {
		some := names[:min(len(names), p.atOnce)]
		names = names[len(some):]
		err := db.write(ctx, func(ctx context.Context, tx *Tx) error {
			n, err := tx.exec(ctx, `INSERT INTO traffic_seen (id, at) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING`,
				p.id+strconv.Itoa(part), now.Unix())
			if err != nil || n == 0 {
				return err
			}
			for _, name := range some {
				args := []any{minute, name, r.Edge}
				for _, v := range p.values(name) {
					args = append(args, v)
				}
				if _, err := tx.exec(ctx, p.minute, args...); err != nil {
					return err
				}
				args[0] = hour
				if _, err := tx.exec(ctx, p.hour, args...); err != nil {
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

// SumTraffic calls fn for each step that has traffic, in order of time.
func (db *DB) SumTraffic(ctx context.Context, s traffic.Sum, fn func(start time.Time, c edgeconfig.Counters) error) error {
	sums := map[int64]*edgeconfig.Counters{}
	err := db.sumTraffic(ctx, s, stepOf(s), func(group any, c edgeconfig.Counters) {
		n, _ := group.(int64)
		if sum := sums[n]; sum != nil {
			sum.Add(c)
		} else {
			sums[n] = &c
		}
	})
	if err != nil {
		return err
	}
	return inSteps(s, sums, func(start time.Time, c *edgeconfig.Counters) error { return fn(start, *c) })
}

// SumTrafficBy calls fn for each site or edge that has traffic.
func (db *DB) SumTrafficBy(ctx context.Context, s traffic.Sum, by traffic.Dimension, fn func(name string, c edgeconfig.Counters) error) error {
	column := "site"
	if by == traffic.ByEdge {
		column = "edge"
	}
	sums := map[string]*edgeconfig.Counters{}
	err := db.sumTraffic(ctx, s, column, func(group any, c edgeconfig.Counters) {
		name, _ := group.(string)
		if sum := sums[name]; sum != nil {
			sum.Add(c)
		} else {
			sums[name] = &c
		}
	})
	if err != nil {
		return err
	}
	for name, c := range sums {
		if err := fn(name, *c); err != nil {
			return err
		}
	}
	return nil
}

// sumTraffic sums requests by an expression; fn may be called for one group more
// than once.
func (db *DB) sumTraffic(ctx context.Context, s traffic.Sum, by string, fn func(group any, c edgeconfig.Counters)) error {
	table := "traffic_minutes"
	if s.Hours {
		table = "traffic_hours"
	}
	return db.sum(ctx, s, sums{
		table: table, by: by, columns: trafficColumns, values: sumValues, only: []only{{"site", s.Sites}, {"edge", s.Edges}},
	}, func(group any, values []int64) { fn(group, trafficCounters(values)) })
}

// sums says what is summed of a table.
type sums struct {
	table   string
	by      string   // an expression
	columns []string // that are summed
	values  string   // their sums
	only    []only
}

// only narrows a sum to some values of a column; nil: all.
type only struct {
	column string
	values []string
}

// sum sums by an expression. Long lists of names are asked for in parts, so fn may
// be called for one group more than once.
func (db *DB) sum(ctx context.Context, s traffic.Sum, what sums, fn func(group any, values []int64)) error {
	var each func(where string, args []any, rest []only) error
	each = func(where string, args []any, rest []only) error {
		if len(rest) == 0 {
			return db.sumPart(ctx, `SELECT `+what.by+` AS part, `+what.values+` FROM `+what.table+where+` GROUP BY part`, args, len(what.columns), fn)
		}
		for _, names := range inParts(rest[0].values) {
			where, args := where, slices.Clone(args)
			if names != nil {
				var marks []string
				for _, v := range padded(names) {
					args = append(args, v)
					marks = append(marks, "$"+strconv.Itoa(len(args)))
				}
				where += ` AND ` + rest[0].column + ` IN (` + strings.Join(marks, ", ") + `)`
			}
			if err := each(where, args, rest[1:]); err != nil {
				return err
			}
		}
		return nil
	}
	return wrap("reading sums of "+what.table, each(` WHERE start >= $1 AND start < $2`, []any{s.From.Unix(), s.Until.Unix()}, what.only))
}

// sumPart reads one grouped sum. Steps come from a bounded set, but not a small
// one, so the text is not kept as a prepared statement.
func (db *DB) sumPart(ctx context.Context, query string, args []any, columns int, fn func(group any, values []int64)) error {
	rows, err := db.readers.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	values := make([]int64, columns)
	into := make([]any, 1+len(values))
	var group any
	into[0] = &group
	for i := range values {
		into[1+i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		fn(group, values)
	}
	return rows.Err()
}

// stepOf is the expression that sums by step.
func stepOf(s traffic.Sum) string {
	return "(start - $1) / " + strconv.FormatInt(int64(s.Step/time.Second), 10)
}

// inSteps calls fn for what was summed by step, in order of time.
func inSteps[C any](s traffic.Sum, sums map[int64]C, fn func(start time.Time, c C) error) error {
	for _, n := range slices.Sorted(maps.Keys(sums)) {
		if err := fn(s.From.Add(time.Duration(n)*s.Step), sums[n]); err != nil {
			return err
		}
	}
	return nil
}

// inParts cuts a list into parts that fit one statement; nil (all) stays one
// nil part.
func inParts(list []string) [][]string {
	if list == nil {
		return [][]string{nil}
	}
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Collect(slices.Chunk(slices.Compact(list), keysAtOnce[len(keysAtOnce)-1]))
}

// padded fills a list up to one of the sizes in which keys are looked up.
func padded(list []string) []string {
	size := keysAtOnce[slices.IndexFunc(keysAtOnce, func(n int) bool { return n >= len(list) })]
	for len(list) < size {
		list = append(list[:len(list):len(list)], list[len(list)-1])
	}
	return list
}

// PruneTraffic drops minutes, hours and remembered IDs before these times, and
// fetches of zones as hours and with their zone.
func (db *DB) PruneTraffic(ctx context.Context, minutes, hours, seen time.Time) error {
	for _, old := range []struct {
		statement string
		before    time.Time
	}{
		{`DELETE FROM traffic_minutes WHERE start < $1`, minutes},
		{`DELETE FROM traffic_hours WHERE start < $1`, hours},
		{`DELETE FROM query_minutes WHERE start < $1`, minutes},
		{`DELETE FROM query_hours WHERE start < $1`, hours},
		{`DELETE FROM traffic_seen WHERE at < $1`, seen},
	} {
		err := db.write(ctx, func(ctx context.Context, tx *Tx) error {
			_, err := tx.exec(ctx, old.statement, old.before.Unix())
			return err
		})
		if err != nil {
			return err
		}
	}
	return db.write(ctx, func(ctx context.Context, tx *Tx) error {
		_, err := tx.exec(ctx, `DELETE FROM zone_fetches WHERE at < $1 OR zone NOT IN (SELECT id FROM resources WHERE kind = $2)`, hours.Unix(), string(zones.Kind))
		return err
	})
}
