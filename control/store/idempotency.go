package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"

	"github.com/edgewright/edgewright/fault"
)

// Replay is the answer to a request that came with an Idempotency-Key.
type Replay struct {
	Hash   []byte // of the request: method, path and body
	Status int    // HTTP status; 0 while the first request is being served
	Header map[string]string
	Body   []byte // sealed at rest: it may hold a secret that is shown once
}

// replayName is the name under which a replay's body is kept among the secrets.
func replayName(principal, key string) string {
	sum := sha256.Sum256([]byte(principal + "\x00" + key))
	return "idempotency/" + hex.EncodeToString(sum[:])
}

// BeginReplay claims a key for holder. claimed is false when somebody else has
// it: then replay is theirs, with Status 0 while they are at it. A claim that was
// not finished by abandoned is taken over: its holder died.
func (db *DB) BeginReplay(ctx context.Context, principal, key, holder string, hash []byte, abandoned, expires time.Time) (replay Replay, claimed bool, err error) {
	err = db.write(ctx, func(ctx context.Context, tx *Tx) error {
		replay, claimed = Replay{}, false
		now := tx.db.now()
		var header, body string
		var created, end int64
		err := tx.queryRow(ctx, `SELECT hash, status, header, body, created_at, expires_at FROM idempotency WHERE principal = $1 AND idem_key = $2`, principal, key).
			Scan(&replay.Hash, &replay.Status, &header, &body, &created, &end)
		switch {
		case errors.Is(err, sql.ErrNoRows):
		case err != nil:
			return err
		case end > micros(now) && (replay.Status != 0 || created > micros(abandoned)):
			if replay.Status == 0 {
				return nil
			}
			if err := json.Unmarshal([]byte(header), &replay.Header); err != nil {
				return fault.New(fault.Internal, "a stored answer cannot be read: %w", err)
			}
			if body != "" {
				replay.Body, err = tx.db.secret(ctx, tx, body)
			}
			return err
		}
		claimed = true
		_, err = tx.exec(ctx, `INSERT INTO idempotency (principal, idem_key, hash, holder, status, header, body, created_at, expires_at)
			VALUES ($1, $2, $3, $4, 0, '', '', $5, $6)
			ON CONFLICT (principal, idem_key) DO UPDATE SET hash = excluded.hash, holder = excluded.holder, status = 0, header = '', body = '',
			created_at = excluded.created_at, expires_at = excluded.expires_at`,
			principal, key, hash, holder, micros(now), micros(expires))
		return err
	})
	return replay, claimed, err
}

// FinishReplay keeps the answer. It does nothing when holder lost the claim.
func (db *DB) FinishReplay(ctx context.Context, principal, key, holder string, replay Replay) error {
	header, err := json.Marshal(replay.Header)
	if err != nil {
		return fault.New(fault.Internal, "an answer cannot be stored: %w", err)
	}
	return db.write(ctx, func(ctx context.Context, tx *Tx) error {
		name := ""
		if len(replay.Body) > 0 {
			name = replayName(principal, key)
		}
		n, err := tx.exec(ctx, `UPDATE idempotency SET status = $1, header = $2, body = $3 WHERE principal = $4 AND idem_key = $5 AND holder = $6 AND status = 0`,
			replay.Status, string(header), name, principal, key, holder)
		if err != nil || n == 0 || name == "" {
			return err
		}
		return tx.putSecret(ctx, name, replay.Body)
	})
}

// DropReplay gives a claim back, so that a repeat is served anew: for answers
// that say to try again.
func (db *DB) DropReplay(ctx context.Context, principal, key, holder string) error {
	return db.write(ctx, func(ctx context.Context, tx *Tx) error {
		_, err := tx.exec(ctx, `DELETE FROM idempotency WHERE principal = $1 AND idem_key = $2 AND holder = $3 AND status = 0`, principal, key, holder)
		return err
	})
}

// DeleteOldReplays forgets answers past their time, with their sealed bodies.
func (db *DB) DeleteOldReplays(ctx context.Context, now time.Time) error {
	return db.write(ctx, func(ctx context.Context, tx *Tx) error {
		if _, err := tx.exec(ctx, `DELETE FROM secrets WHERE name IN (SELECT body FROM idempotency WHERE expires_at <= $1 AND body <> '')`, micros(now)); err != nil {
			return err
		}
		_, err := tx.exec(ctx, `DELETE FROM idempotency WHERE expires_at <= $1`, micros(now))
		return err
	})
}

// Operation is long work that goes on after its request was answered. How far
// it has come is read from its target.
type Operation struct {
	ID          string // "op_..."
	Kind        string // "certificate.issue"
	Project     string
	Environment string
	TargetKind  string
	TargetID    string
	Detail      json.RawMessage // what tells this work from later work on the same target
	CreatedAt   time.Time
}

// operationAge is how long an operation can be asked for.
const operationAge = 30 * 24 * time.Hour

const operationColumns = `id, kind, project, environment, target_kind, target_id, detail, created_at`

func scanOperation(row scanner) (o Operation, err error) {
	var created int64
	err = row.Scan(&o.ID, &o.Kind, &o.Project, &o.Environment, &o.TargetKind, &o.TargetID, (*[]byte)(&o.Detail), &created)
	o.CreatedAt = fromMicros(created)
	return o, err
}

// PutOperation stores a new operation.
func (db *DB) PutOperation(ctx context.Context, o Operation) error {
	return db.write(ctx, func(ctx context.Context, tx *Tx) error {
		if _, err := tx.exec(ctx, `DELETE FROM operations WHERE created_at < $1`, micros(tx.db.now().Add(-operationAge))); err != nil {
			return err
		}
		_, err := tx.exec(ctx, `INSERT INTO operations (`+operationColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
			o.ID, o.Kind, o.Project, o.Environment, o.TargetKind, o.TargetID, string(o.Detail), micros(o.CreatedAt))
		return err
	})
}

// Operation returns an operation, or NotFound.
func (db *DB) Operation(ctx context.Context, id string) (Operation, error) {
	o, err := scanOperation(db.queryRow(ctx, `SELECT `+operationColumns+` FROM operations WHERE id = $1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return o, fault.New(fault.NotFound, "there is no such operation (they are kept for %d days)", operationAge/(24*time.Hour)).About("operation " + id)
	}
	return o, wrap("reading an operation", err)
}

// LastOperation returns the newest operation on a resource, or NotFound.
func (db *DB) LastOperation(ctx context.Context, target string) (Operation, error) {
	o, err := scanOperation(db.queryRow(ctx, `SELECT `+operationColumns+` FROM operations WHERE target_id = $1 ORDER BY id DESC LIMIT 1`, target))
	if errors.Is(err, sql.ErrNoRows) {
		return o, fault.New(fault.NotFound, "there is no operation on %s", target)
	}
	return o, wrap("reading an operation", err)
}
