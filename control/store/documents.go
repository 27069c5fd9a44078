package store

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// This file implements fleet.DocumentStore, PurgeStore and TokenStore.

// Names in fleet_numbers.
const (
	numberDocuments = "documents"
	numberPurges    = "purges"
	numberWatched   = "watched"
)

func number(ctx context.Context, q querier, name string) (n int64, err error) {
	err = q.queryRow(ctx, `SELECT value FROM fleet_numbers WHERE name = $1`, name).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return n, err
}

func (tx *Tx) setNumber(ctx context.Context, name string, n int64) error {
	_, err := tx.exec(ctx, `INSERT INTO fleet_numbers (name, value) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET value = excluded.value`, name, n)
	return err
}

// Documents calls fn for every document, tombstones included, in order of key,
// without bodies. fn must not use the store.
func (db *DB) Documents(ctx context.Context, fn func(d edgeconfig.Document, cause int64) error) error {
	rows, err := db.query(ctx, `SELECT key, scope, revision, deleted, hash, signature, cause FROM documents ORDER BY key`)
	if err != nil {
		return wrap("reading documents", err)
	}
	defer rows.Close()
	for rows.Next() {
		var d edgeconfig.Document
		var deleted int
		var cause int64
		if err := rows.Scan(&d.Key, &d.Scope, &d.Revision, &deleted, &d.Hash, &d.Signature, &cause); err != nil {
			return wrap("reading documents", err)
		}
		d.Deleted = deleted != 0
		if err := fn(d, cause); err != nil {
			return err
		}
	}
	return wrap("reading documents", rows.Err())
}

// The sizes in which keys are looked up, so that the set of query texts is
// bounded; a list is filled up with its last key.
var keysAtOnce = []int{1, 4, 16, 64, 256}

// DocumentBodies returns the named documents, bodies included, in order of key.
// Unknown keys are left out.
func (db *DB) DocumentBodies(ctx context.Context, keys []string) ([]edgeconfig.Document, error) {
	keys = slices.Clone(keys)
	slices.Sort(keys)
	keys = slices.Compact(keys)
	docs := make([]edgeconfig.Document, 0, len(keys))
	for part := range slices.Chunk(keys, keysAtOnce[len(keysAtOnce)-1]) {
		size := keysAtOnce[slices.IndexFunc(keysAtOnce, func(n int) bool { return n >= len(part) })]
		args, marks := make([]any, size), make([]string, size)
		for i := range size {
			args[i], marks[i] = part[min(i, len(part)-1)], "$"+strconv.Itoa(i+1)
		}
		rows, err := db.query(ctx, `SELECT key, scope, revision, deleted, hash, signature, body FROM documents
			WHERE key IN (`+strings.Join(marks, ", ")+`) ORDER BY key`, args...)
		if err != nil {
			return nil, wrap("reading documents", err)
		}
		docs, err = appendDocuments(docs, rows)
		if err != nil {
			return nil, wrap("reading documents", err)
		}
	}
	return docs, nil
}

func appendDocuments(docs []edgeconfig.Document, rows *sql.Rows) ([]edgeconfig.Document, error) {
	defer rows.Close()
	for rows.Next() {
		var d edgeconfig.Document
		var deleted int
		var body string
		if err := rows.Scan(&d.Key, &d.Scope, &d.Revision, &deleted, &d.Hash, &d.Signature, &body); err != nil {
			return nil, err
		}
		d.Deleted = deleted != 0
		if body != "" {
			d.Body = json.RawMessage(body)
		}
		docs = append(docs, d)
	}
	return docs, rows.Err()
}

// SaveDocuments writes all of docs or nothing; see fleet.DocumentStore. Stale:
// the last number is not prev, so another control plane publishes. Invalid: a
// document's revision is not above the stored one's.
func (db *DB) SaveDocuments(ctx context.Context, prev, next, watched int64, docs []edgeconfig.Document, causes map[string]int64) error {
	return db.write(ctx, func(ctx context.Context, tx *Tx) error {
		last, err := number(ctx, tx, numberDocuments)
		if err != nil {
			return err
		}
		if last != prev {
			return fault.New(fault.Stale, "document number %d is not the last, %d is: another control plane publishes", prev, last)
		}
		for i := range docs {
			d := &docs[i]
			deleted := 0
			if d.Deleted {
				deleted = 1
			}
			n, err := tx.exec(ctx, `INSERT INTO documents (key, scope, revision, deleted, hash, signature, cause, body)
				VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
				ON CONFLICT (key) DO UPDATE SET scope = excluded.scope, revision = excluded.revision, deleted = excluded.deleted,
					hash = excluded.hash, signature = excluded.signature, cause = excluded.cause, body = excluded.body
				WHERE documents.revision < excluded.revision`,
				d.Key, d.Scope, d.Revision, deleted, d.Hash, d.Signature, causes[d.Key], string(d.Body))
			if err != nil {
				return err
			}
			if n != 1 {
				return fault.New(fault.Invalid, "document %s has a revision that is not below %d", d.Key, d.Revision)
			}
		}
		if err := tx.setNumber(ctx, numberDocuments, next); err != nil {
			return err
		}
		if watched > 0 {
			return tx.setNumber(ctx, numberWatched, watched)
		}
		return nil
	})
}

// DocumentSeq is the last number given to a document, 0 at first.
func (db *DB) DocumentSeq(ctx context.Context) (int64, error) {
	n, err := number(ctx, db, numberDocuments)
	return n, wrap("reading the last document number", err)
}

// WatchedSeq is the store's number up to which events have become documents.
func (db *DB) WatchedSeq(ctx context.Context) (int64, error) {
	n, err := number(ctx, db, numberWatched)
	return n, wrap("reading the last event number", err)
}

// SetWatchedSeq keeps WatchedSeq.
func (db *DB) SetWatchedSeq(ctx context.Context, seq int64) error {
	return db.write(ctx, func(ctx context.Context, tx *Tx) error { return tx.setNumber(ctx, numberWatched, seq) })
}

// AddPurge takes the next number, lets sign complete the purge, and writes it.
func (db *DB) AddPurge(ctx context.Context, sign func(seq int64) (edgeconfig.Purge, error)) (edgeconfig.Purge, error) {
	var p edgeconfig.Purge
	err := db.write(ctx, func(ctx context.Context, tx *Tx) error {
		last, err := number(ctx, tx, numberPurges)
		if err != nil {
			return err
		}
		if p, err = sign(last + 1); err != nil {
			return err
		}
		encoded, err := json.Marshal(p)
		if err != nil {
			return err
		}
		if _, err := tx.exec(ctx, `INSERT INTO purges (seq, id, purge) VALUES ($1, $2, $3)`, last+1, p.ID, string(encoded)); err != nil {
			return err
		}
		return tx.setNumber(ctx, numberPurges, last+1)
	})
	return p, err
}

// PurgesSince returns purges with numbers above since, oldest first, at most
// limit, and the oldest and last numbers known. With limit 0 it only tells the
// last.
func (db *DB) PurgesSince(ctx context.Context, since int64, limit int) (purges []edgeconfig.Purge, oldest, last int64, err error) {
	if limit <= 0 { // every manifest asks this
		last, err = number(ctx, db, numberPurges)
		return nil, 0, last, wrap("reading purges", err)
	}
	err = db.snapshot(ctx, func(q querier) error {
		if last, err = number(ctx, q, numberPurges); err != nil {
			return err
		}
		if err := q.queryRow(ctx, `SELECT COALESCE(MIN(seq), 0) FROM purges`).Scan(&oldest); err != nil {
			return err
		}
		rows, err := q.query(ctx, `SELECT purge FROM purges WHERE seq > $1 ORDER BY seq LIMIT $2`, since, limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var encoded string
			if err := rows.Scan(&encoded); err != nil {
				return err
			}
			var p edgeconfig.Purge
			if err := json.Unmarshal([]byte(encoded), &p); err != nil {
				return err
			}
			purges = append(purges, p)
		}
		return rows.Err()
	})
	return purges, oldest, last, wrap("reading purges", err)
}

// PurgeByID returns a purge and the outcome saved with it, nil when none.
func (db *DB) PurgeByID(ctx context.Context, id string) (p edgeconfig.Purge, outcome json.RawMessage, err error) {
	var encoded, saved string
	err = db.queryRow(ctx, `SELECT purge, outcome FROM purges WHERE id = $1`, id).Scan(&encoded, &saved)
	if errors.Is(err, sql.ErrNoRows) {
		return p, nil, fault.New(fault.NotFound, "there is no such purge, or it is too old to be remembered").About("purge " + id)
	}
	if err == nil {
		err = json.Unmarshal([]byte(encoded), &p)
	}
	if saved != "" {
		outcome = json.RawMessage(saved)
	}
	return p, outcome, wrap("reading a purge", err)
}

// SavePurgeOutcome keeps what became of a purge.
func (db *DB) SavePurgeOutcome(ctx context.Context, seq int64, outcome json.RawMessage) error {
	return db.write(ctx, func(ctx context.Context, tx *Tx) error {
		_, err := tx.exec(ctx, `UPDATE purges SET outcome = $1 WHERE seq = $2`, string(outcome), seq)
		return err
	})
}

// ForgetPurges drops all but the newest keep.
func (db *DB) ForgetPurges(ctx context.Context, keep int) error {
	return db.write(ctx, func(ctx context.Context, tx *Tx) error {
		last, err := number(ctx, tx, numberPurges)
		if err != nil {
			return err
		}
		_, err = tx.exec(ctx, `DELETE FROM purges WHERE seq <= $1`, last-int64(keep))
		return err
	})
}

// keepTokens is how long a join token is remembered after its end, so that one
// who uses it learns that it is spent or expired.
const keepTokens = 30 * 24 * time.Hour

// PutJoinToken keeps a new one-time token by its hash.
func (db *DB) PutJoinToken(ctx context.Context, hash []byte, region string, created, expires time.Time) error {
	return db.write(ctx, func(ctx context.Context, tx *Tx) error {
		if _, err := tx.exec(ctx, `DELETE FROM join_tokens WHERE expires_at < $1`, micros(created.Add(-keepTokens))); err != nil {
			return err
		}
		_, err := tx.exec(ctx, `INSERT INTO join_tokens (hash, region, created_at, expires_at) VALUES ($1, $2, $3, $4)`,
			hex.EncodeToString(hash), region, micros(created), micros(expires))
		return err
	})
}

// UseJoinToken spends a token for the edge that holds busKey and is in asked, ""
// for wherever the token says; see fleet.TokenStore. Unauthenticated: the token
// is not known, spent by another or expired. Invalid: it is for another region.
func (db *DB) UseJoinToken(ctx context.Context, hash []byte, asked, busKey, edge string, now time.Time) (region, usedBy string, err error) {
	err = db.write(ctx, func(ctx context.Context, tx *Tx) error {
		var holder string
		var expires int64
		err := tx.queryRow(ctx, `SELECT region, expires_at, bus_key, edge FROM join_tokens WHERE hash = $1`,
			hex.EncodeToString(hash)).Scan(&region, &expires, &holder, &usedBy)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return fault.New(fault.Unauthenticated, "the join token is not known: make one with `edgewright edges join-token`")
		case err != nil:
			return err
		case holder == busKey:
			return nil // its first answer got lost
		case holder != "":
			return fault.New(fault.Unauthenticated, "the join token has been used already: each edge needs one of its own, made with `edgewright edges join-token`")
		case expires <= micros(now):
			return fault.New(fault.Unauthenticated, "the join token has expired: make a new one with `edgewright edges join-token`")
		case region != "" && asked != "" && asked != region:
			return fault.New(fault.Invalid, "the join token is for region %s, and this edge says that it is in %s: start it with --region %s, or make a token with `edgewright edges join-token --region %s`. The token is still good", region, asked, region, asked)
		}
		usedBy = edge
		_, err = tx.exec(ctx, `UPDATE join_tokens SET bus_key = $1, edge = $2, used_at = $3 WHERE hash = $4`,
			busKey, edge, micros(now), hex.EncodeToString(hash))
		return err
	})
	if err != nil {
		return "", "", err
	}
	return region, usedBy, nil
}
