package store

import (
	"context"
	"errors"

	"github.com/edgewright/edgewright/control/zones"
	"github.com/edgewright/edgewright/fault"
)

// This file implements zones.Copies.

var _ zones.Copies = (*DB)(nil)

// Bounds of a copy, in bytes.
const (
	maxCopy   = 128 << 20
	copyPiece = 1 << 20
)

// PutZoneCopy implements zones.Copies.
func (db *DB) PutZoneCopy(ctx context.Context, zone string, body []byte) error {
	if err := checkText("/zone", zone, true); err != nil {
		return err
	}
	if len(body) > maxCopy {
		return fault.New(fault.TooLarge, "the copy of a zone has at most %d bytes, this one has %d", maxCopy, len(body))
	}
	return db.write(ctx, func(ctx context.Context, tx *Tx) error {
		// Those of zones that went while nobody led go too.
		if _, err := tx.exec(ctx, `DELETE FROM zone_copies WHERE zone = $1 OR zone NOT IN (SELECT id FROM resources WHERE kind = $2)`, zone, string(zones.Kind)); err != nil {
			return err
		}
		for n := 0; n == 0 || len(body) > 0; n++ {
			piece := body[:min(len(body), copyPiece)]
			body = body[len(piece):]
			if _, err := tx.exec(ctx, `INSERT INTO zone_copies (zone, piece, body) VALUES ($1, $2, $3)`, zone, n, piece); err != nil {
				return err
			}
		}
		return nil
	})
}

// ZoneCopy implements zones.Copies.
func (db *DB) ZoneCopy(ctx context.Context, zone string) ([]byte, error) {
	rows, err := db.query(ctx, `SELECT body FROM zone_copies WHERE zone = $1 ORDER BY piece`, zone)
	if err != nil {
		return nil, wrap("reading the copy of a zone", err)
	}
	var body []byte
	found := false
	for rows.Next() {
		var piece []byte
		if err := rows.Scan(&piece); err != nil {
			rows.Close()
			return nil, wrap("reading the copy of a zone", err)
		}
		body, found = append(body, piece...), true
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, wrap("reading the copy of a zone", err)
	}
	if !found {
		return nil, fault.New(fault.NotFound, "no copy of the zone is held").About("zone " + zone)
	}
	return body, nil
}

// DeleteZoneCopy implements zones.Copies.
func (db *DB) DeleteZoneCopy(ctx context.Context, zone string) error {
	return db.write(ctx, func(ctx context.Context, tx *Tx) error {
		_, err := tx.exec(ctx, `DELETE FROM zone_copies WHERE zone = $1`, zone)
		return err
	})
}
