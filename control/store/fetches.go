package store

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/edgewright/edgewright/control/traffic"
	"github.com/edgewright/edgewright/control/zones"
	"github.com/edgewright/edgewright/edgeconfig"
)

// This file keeps what was last seen of zones' secondaries.

// addFetches takes in the fetches of a rollup. They replace older ones, so that a
// repeat changes nothing. Those of a zone that is not there are nobody's.
func (db *DB) addFetches(ctx context.Context, r edgeconfig.Rollup) error {
	for some := range slices.Chunk(slices.Sorted(maps.Keys(r.Fetches)), sitesAtOnce) {
		err := db.write(ctx, func(ctx context.Context, tx *Tx) error {
			for _, zone := range some {
				if err := tx.putFetches(ctx, zone, r.Fetches[zone]); err != nil {
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

func (tx *Tx) putFetches(ctx context.Context, zone string, list []edgeconfig.Fetch) error {
	var there int
	err := tx.queryRow(ctx, `SELECT 1 FROM resources WHERE id = $1 AND kind = $2`, zone, string(zones.Kind)).Scan(&there)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, f := range list {
		_, err := tx.exec(ctx, `INSERT INTO zone_fetches (zone, has, client, tsig, how, outcome, serial, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
			ON CONFLICT (zone, has, client, tsig) DO UPDATE SET how = excluded.how, outcome = excluded.outcome, serial = excluded.serial, at = excluded.at
			WHERE excluded.at >= zone_fetches.at`,
			zone, flag(f.Outcome.Has()), f.Client, f.Key, string(f.Kind), string(f.Outcome), int64(f.Serial), f.At.Unix())
		if err != nil {
			return err
		}
	}
	for has, keep := range map[bool]int{true: traffic.KeepFetches, false: traffic.KeepFailed} {
		_, err := tx.exec(ctx, `DELETE FROM zone_fetches WHERE zone = $1 AND has = $2 AND (client, tsig) NOT IN
			(SELECT client, tsig FROM zone_fetches WHERE zone = $1 AND has = $2 ORDER BY at DESC, client, tsig LIMIT $3)`, zone, flag(has), keep)
		if err != nil {
			return err
		}
	}
	return nil
}

// flag is a truth as a column has it.
func flag(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// ZoneFetches implements traffic.Store.
func (db *DB) ZoneFetches(ctx context.Context, zone string) ([]edgeconfig.Fetch, error) {
	rows, err := db.query(ctx, `SELECT client, tsig, how, outcome, serial, at FROM zone_fetches WHERE zone = $1 ORDER BY at DESC, has DESC, client, tsig`, zone)
	if err != nil {
		return nil, wrap("reading who has fetched a zone", err)
	}
	defer rows.Close()
	var list []edgeconfig.Fetch
	for rows.Next() {
		var f edgeconfig.Fetch
		var at int64
		if err := rows.Scan(&f.Client, &f.Key, &f.Kind, &f.Outcome, &f.Serial, &at); err != nil {
			return nil, wrap("reading who has fetched a zone", err)
		}
		f.At = time.Unix(at, 0).UTC()
		list = append(list, f)
	}
	return list, wrap("reading who has fetched a zone", rows.Err())
}
