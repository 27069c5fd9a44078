package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/edgewright/edgewright/control/certificates/authority"
)

// This file implements authority.Ledger.

var (
	_ authority.Ledger  = (*DB)(nil)
	_ authority.Counter = (*DB)(nil)
)

// spentAge is how long spendings are kept: longer than any window.
const spentAge = 32 * 24 * time.Hour

// Spend implements authority.Ledger. Looking and noting are one transaction,
// so that two attempts never take the last place both.
func (db *DB) Spend(ctx context.Context, s authority.Spending) (free time.Time, err error) {
	if s.Dry {
		return roomAt(ctx, db, s)
	}
	err = db.write(ctx, func(ctx context.Context, tx *Tx) error {
		if free, err = roomAt(ctx, tx, s); err != nil || !free.IsZero() {
			return err
		}
		if _, err := tx.exec(ctx, `DELETE FROM issuance_spent WHERE at < $1`, micros(s.At.Add(-spentAge))); err != nil {
			return err
		}
		for _, w := range s.Wants {
			if _, note := w.Split(); !note {
				continue
			}
			if _, err := tx.exec(ctx, `INSERT INTO issuance_spent (id, authority, kind, subject, at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id, kind, subject) DO NOTHING`,
				s.ID, s.Authority, w.Kind, w.Subject, micros(s.At)); err != nil {
				return err
			}
		}
		return nil
	})
	return free, wrap("noting what a CA is asked for", err)
}

// roomAt returns when there is room for all that is wanted, the zero time: now.
func roomAt(ctx context.Context, q querier, s authority.Spending) (free time.Time, err error) {
	for _, w := range s.Wants {
		most, _ := w.Split()
		if most == 0 {
			continue
		}
		// The one whose leaving the window makes room.
		var at int64
		err := q.queryRow(ctx, `SELECT at FROM issuance_spent WHERE authority = $1 AND kind = $2 AND subject = $3 AND at > $4 ORDER BY at DESC LIMIT 1 OFFSET $5`,
			s.Authority, w.Kind, w.Subject, micros(s.At.Add(-w.Window)), most-1).Scan(&at)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return time.Time{}, wrap("reading what a CA was asked for", err)
		}
		if then := time.UnixMicro(at).UTC().Add(w.Window); then.After(free) {
			free = then
		}
	}
	return free, nil
}

// Refund implements authority.Ledger.
func (db *DB) Refund(ctx context.Context, id string) error {
	return db.write(ctx, func(ctx context.Context, tx *Tx) error {
		_, err := tx.exec(ctx, `DELETE FROM issuance_spent WHERE id = $1`, id)
		return err
	})
}

// Spent implements authority.Counter.
func (db *DB) Spent(ctx context.Context, ca, kind, subject string, since time.Time) (n int, err error) {
	err = db.queryRow(ctx, `SELECT count(*) FROM issuance_spent WHERE authority = $1 AND kind = $2 AND subject = $3 AND at > $4`,
		ca, kind, subject, micros(since)).Scan(&n)
	return n, wrap("reading what a CA was asked for", err)
}

// Pause implements authority.Ledger.
func (db *DB) Pause(ctx context.Context, ca string, p authority.Pause) error {
	return db.write(ctx, func(ctx context.Context, tx *Tx) error {
		_, err := tx.exec(ctx, `INSERT INTO issuance_pauses (authority, subject, until, reason) VALUES ($1, $2, $3, $4)
			ON CONFLICT (authority, subject) DO UPDATE SET until = excluded.until, reason = excluded.reason WHERE issuance_pauses.until < excluded.until`,
			ca, clean(p.Subject), micros(p.Until), clean(p.Reason))
		return err
	})
}

// Pauses implements authority.Ledger.
func (db *DB) Pauses(ctx context.Context, ca string, at time.Time) (list []authority.Pause, err error) {
	rows, err := db.query(ctx, `SELECT subject, until, reason FROM issuance_pauses WHERE authority = $1 AND until > $2 ORDER BY subject`, ca, micros(at))
	if err != nil {
		return nil, wrap("reading pauses", err)
	}
	for rows.Next() {
		var p authority.Pause
		var until int64
		if err := rows.Scan(&p.Subject, &until, &p.Reason); err != nil {
			rows.Close()
			return nil, wrap("reading pauses", err)
		}
		p.Until = time.UnixMicro(until).UTC()
		list = append(list, p)
	}
	return list, wrap("reading pauses", errors.Join(rows.Err(), rows.Close()))
}
