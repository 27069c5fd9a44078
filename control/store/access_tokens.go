package store

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/fault"
)

const tokenColumns = `id, hash, hint, name, user_id, project, role, scopes, revision, created_at, expires_at, last_used_at, revoked_at`

func scanToken(row scanner) (t access.Token, err error) {
	var scopes string
	var created, expires, used, revoked int64
	err = row.Scan(&t.ID, &t.Hash, &t.Hint, &t.Name, &t.User, &t.Project, (*string)(&t.Role), &scopes, &t.Revision, &created, &expires, &used, &revoked)
	if errors.Is(err, sql.ErrNoRows) {
		return t, fault.New(fault.NotFound, "there is no such token")
	}
	if err != nil {
		return t, wrap("reading a token", err)
	}
	t.CreatedAt, t.ExpiresAt, t.LastUsedAt, t.RevokedAt = fromMicros(created), fromMicros(expires), fromMicros(used), fromMicros(revoked)
	for _, text := range strings.Fields(scopes) {
		// A scope that this binary does not know must narrow the token, not
		// vanish: no scope at all would mean all.
		res, verb, _ := strings.Cut(text, ":")
		t.Scopes = append(t.Scopes, access.Scope{Resource: access.Resource(res), Verb: access.Verb(verb)})
	}
	return t, nil
}

// CreateToken stores a token. Conflict: the secret is in use.
func (db *DB) CreateToken(ctx context.Context, t access.Token, a access.Audit) error {
	return db.write(ctx, func(ctx context.Context, tx *Tx) error {
		n, err := tx.exec(ctx, `INSERT INTO access_tokens (`+tokenColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
			ON CONFLICT (hash) DO NOTHING`,
			t.ID, t.Hash, t.Hint, t.Name, t.User, t.Project, string(t.Role), strings.Join(t.ScopeStrings(), " "), t.Revision,
			micros(t.CreatedAt), micros(t.ExpiresAt), micros(t.LastUsedAt), micros(t.RevokedAt))
		if err != nil {
			return err
		}
		if n == 0 {
			return fault.New(fault.Conflict, "there is a token with this secret already")
		}
		return tx.accessAudit(ctx, a)
	})
}

// TokenByHash returns a token by the hash of its secret, revoked or not.
func (db *DB) TokenByHash(ctx context.Context, hash []byte) (access.Token, error) {
	return scanToken(db.queryRow(ctx, `SELECT `+tokenColumns+` FROM access_tokens WHERE hash = $1`, hash))
}

// Token returns a token, revoked or not.
func (db *DB) Token(ctx context.Context, id string) (access.Token, error) {
	return scanToken(db.queryRow(ctx, `SELECT `+tokenColumns+` FROM access_tokens WHERE id = $1`, id))
}

// Tokens lists tokens in force.
func (db *DB) Tokens(ctx context.Context, project, user, cursor string, limit int) ([]access.Token, error) {
	where := conditions{}
	where.add("revoked_at = ", 0)
	where.equal("project", project)
	where.equal("user_id", user)
	if cursor != "" {
		where.add("id > ", cursor)
	}
	where.args = append(where.args, micros(db.now()))
	where.parts = append(where.parts, "(expires_at = 0 OR expires_at > $"+strconv.Itoa(len(where.args))+")")
	args := append(where.args, pageSize(limit, defaultPage, maxPage+1))
	rows, err := db.query(ctx, `SELECT `+tokenColumns+` FROM access_tokens`+where.text()+` ORDER BY id LIMIT $`+strconv.Itoa(len(args)), args...)
	if err != nil {
		return nil, wrap("listing tokens", err)
	}
	defer rows.Close()
	tokens := []access.Token{}
	for rows.Next() {
		t, err := scanToken(rows)
		if err != nil {
			return nil, err
		}
		tokens = append(tokens, t)
	}
	return tokens, wrap("listing tokens", rows.Err())
}

// TouchToken notes that a token was used.
func (db *DB) TouchToken(ctx context.Context, id string, at time.Time) error {
	return db.write(ctx, func(ctx context.Context, tx *Tx) error {
		_, err := tx.exec(ctx, `UPDATE access_tokens SET last_used_at = $1 WHERE id = $2`, micros(at), id)
		return err
	})
}

// RevokeToken ends a token.
func (db *DB) RevokeToken(ctx context.Context, id string, ifRevision int64, at time.Time, a access.Audit) error {
	return db.write(ctx, func(ctx context.Context, tx *Tx) error {
		t, err := scanToken(tx.queryRow(ctx, `SELECT `+tokenColumns+` FROM access_tokens WHERE id = $1`, id))
		if err != nil {
			return err
		}
		if !t.RevokedAt.IsZero() {
			return fault.New(fault.NotFound, "the token was revoked already").About("token " + id)
		}
		if err := stale("the token", t.Revision, ifRevision); err != nil {
			return err
		}
		if _, err := tx.exec(ctx, `UPDATE access_tokens SET revoked_at = $1, revision = revision + 1 WHERE id = $2`, micros(at), id); err != nil {
			return err
		}
		return tx.accessAudit(ctx, a)
	})
}
