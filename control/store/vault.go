package store

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"unicode/utf8"

	"github.com/edgewright/edgewright/fault"
	"github.com/edgewright/edgewright/secrets"
)

// maxSecret bounds one secret, in bytes.
const maxSecret = 1 << 20

// PutSecret seals plaintext under the master key and keeps it by name.
func (db *DB) PutSecret(ctx context.Context, name string, plaintext []byte) error {
	if err := checkText("/name", name, true); err != nil {
		return err
	}
	if len(plaintext) > maxSecret {
		return fault.New(fault.TooLarge, "a secret has at most %d bytes, this one has %d", maxSecret, len(plaintext))
	}
	return db.write(ctx, func(ctx context.Context, tx *Tx) error {
		return tx.putSecret(ctx, name, plaintext)
	})
}

// putSecret seals inside the transaction: a rotation, which ends in a
// transaction of its own, then either sees this secret or has already made the
// key that seals it.
func (tx *Tx) putSecret(ctx context.Context, name string, plaintext []byte) error {
	keys, err := tx.db.keyring()
	if err != nil {
		return err
	}
	box, err := keys.Seal(name, plaintext)
	if err != nil {
		return err
	}
	_, err = tx.exec(ctx, `INSERT INTO secrets (name, key_id, box, updated_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (name) DO UPDATE SET key_id = excluded.key_id, box = excluded.box, updated_at = excluded.updated_at`,
		name, secrets.KeyID(box), box, micros(tx.db.now()))
	return err
}

// Secret returns the secret of that name, or NotFound.
func (db *DB) Secret(ctx context.Context, name string) ([]byte, error) {
	return db.secret(ctx, db, name)
}

func (db *DB) secret(ctx context.Context, q querier, name string) ([]byte, error) {
	keys, err := db.keyring()
	if err != nil {
		return nil, err
	}
	var box []byte
	err = q.queryRow(ctx, `SELECT box FROM secrets WHERE name = $1`, name).Scan(&box)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fault.New(fault.NotFound, "there is no secret %s", name)
	}
	if err != nil {
		return nil, wrap("reading a secret", err)
	}
	return keys.Open(name, box)
}

// DeleteSecret forgets a secret. That there is none is no error.
func (db *DB) DeleteSecret(ctx context.Context, name string) error {
	return db.write(ctx, func(ctx context.Context, tx *Tx) error {
		_, err := tx.exec(ctx, `DELETE FROM secrets WHERE name = $1`, name)
		return err
	})
}

// SecretNames lists the names of secrets that begin so, in their order.
func (db *DB) SecretNames(ctx context.Context, prefix string) ([]string, error) {
	rows, err := db.query(ctx, `SELECT name FROM secrets WHERE substr(name, 1, `+strconv.Itoa(utf8.RuneCountInString(prefix))+`) = $1 ORDER BY name`, prefix)
	if err != nil {
		return nil, wrap("listing secrets", err)
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, wrap("listing secrets", err)
		}
		names = append(names, name)
	}
	return names, wrap("listing secrets", rows.Err())
}

func (db *DB) keyring() (*secrets.Keyring, error) {
	if db.keys == nil {
		return nil, fault.New(fault.Unavailable, "the store was opened without its master key: give the key file or set EDGEWRIGHT_MASTER_KEY")
	}
	return db.keys, nil
}

// Rotation is what RotateMasterKey did.
type Rotation struct {
	KeyID     string // of the master key that is current now
	Rewrapped int    // secrets that were sealed under an older one
}

// rewrapBatch is how many secrets one transaction rewraps, so that other writes
// get their turn.
const rewrapBatch = 200

// RotateMasterKey makes a new master key, seals every secret's data key under
// it, and removes the old ones from the key file, all while the store is in use.
// It can be repeated when it was interrupted. Other control planes that share the
// key file follow it. A keyring from the environment is refused (Invalid): see
// RewrapSecrets.
func (db *DB) RotateMasterKey(ctx context.Context) (Rotation, error) {
	keys, err := db.keyring()
	if err != nil {
		return Rotation{}, err
	}
	if _, err := keys.AddKey(); err != nil {
		return Rotation{}, err
	}
	rotation, err := db.RewrapSecrets(ctx)
	if err != nil {
		return rotation, err
	}
	// Whoever seals does so inside a writing transaction and looks at the key
	// file first, so inside this one nothing new can appear under an old key.
	err = db.write(ctx, func(ctx context.Context, tx *Tx) error {
		n, err := tx.rewrap(ctx, keys, rotation.KeyID, maxChanges)
		if err != nil {
			return err
		}
		rotation.Rewrapped += n
		var left int
		if err := tx.queryRow(ctx, `SELECT count(*) FROM secrets WHERE key_id <> $1`, rotation.KeyID).Scan(&left); err != nil {
			return err
		}
		if left > 0 {
			return fault.New(fault.Conflict, "another rotation began meanwhile: rotate again when it is done")
		}
		return nil
	})
	if err != nil {
		return rotation, err
	}
	// Only now: the rewrapped boxes are on disk.
	return rotation, keys.DropOldKeys()
}

// RewrapSecrets seals every secret's data key under the current master key and
// drops no key. It is for keys in the environment: set EDGEWRIGHT_MASTER_KEY to
// "<new>,<old>" on every control plane, restart them, rewrap, remove the old one.
func (db *DB) RewrapSecrets(ctx context.Context) (Rotation, error) {
	keys, err := db.keyring()
	if err != nil {
		return Rotation{}, err
	}
	current, err := keys.CurrentID()
	if err != nil {
		return Rotation{}, err
	}
	rotation := Rotation{KeyID: current}
	for {
		n := 0
		err := db.write(ctx, func(ctx context.Context, tx *Tx) (err error) {
			n, err = tx.rewrap(ctx, keys, current, rewrapBatch)
			return err
		})
		if err != nil {
			return rotation, err
		}
		rotation.Rewrapped += n
		if n < rewrapBatch {
			return rotation, nil
		}
	}
}

// rewrap handles up to limit secrets that are not under the current key, and
// returns how many.
func (tx *Tx) rewrap(ctx context.Context, keys *secrets.Keyring, current string, limit int) (int, error) {
	type sealed struct {
		name string
		box  []byte
	}
	rows, err := tx.query(ctx, `SELECT name, box FROM secrets WHERE key_id <> $1 ORDER BY name LIMIT $2`, current, limit)
	if err != nil {
		return 0, err
	}
	var found []sealed
	for rows.Next() {
		var s sealed
		if err := rows.Scan(&s.name, &s.box); err != nil {
			rows.Close()
			return 0, err
		}
		found = append(found, s)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return 0, err
	}
	for _, s := range found {
		box, _, err := keys.Rewrap(s.box)
		if err != nil {
			return 0, fault.New(fault.CodeOf(err), "secret %s: %w", s.name, err)
		}
		if _, err := tx.exec(ctx, `UPDATE secrets SET key_id = $1, box = $2 WHERE name = $3`, secrets.KeyID(box), box, s.name); err != nil {
			return 0, err
		}
	}
	return len(found), nil
}
