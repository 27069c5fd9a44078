package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/fault"
)

// maxSessions bounds one account's sessions; the oldest end.
const maxSessions = 100

// CreateSession stores a session and when its user logged in.
func (db *DB) CreateSession(ctx context.Context, s access.Session, a access.Audit) error {
	return db.write(ctx, func(ctx context.Context, tx *Tx) error {
		if _, err := tx.exec(ctx, `INSERT INTO access_sessions (hash, user_id, created_at, expires_at, last_seen_at, address, user_agent)
			VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			s.Hash, s.User, micros(s.CreatedAt), micros(s.ExpiresAt), micros(s.LastSeenAt), clean(s.Address), clean(s.UserAgent)); err != nil {
			return err
		}
		if _, err := tx.exec(ctx, `DELETE FROM access_sessions WHERE user_id = $1 AND hash NOT IN
			(SELECT hash FROM access_sessions WHERE user_id = $1 ORDER BY created_at DESC, hash LIMIT $2)`, s.User, maxSessions); err != nil {
			return err
		}
		if _, err := tx.exec(ctx, `UPDATE access_users SET last_login_at = $1 WHERE id = $2`, micros(s.CreatedAt), s.User); err != nil {
			return err
		}
		return tx.accessAudit(ctx, a)
	})
}

// Session returns a session by the hash of its secret.
func (db *DB) Session(ctx context.Context, hash []byte) (s access.Session, err error) {
	var created, expires, seen int64
	err = db.queryRow(ctx, `SELECT hash, user_id, created_at, expires_at, last_seen_at, address, user_agent FROM access_sessions WHERE hash = $1`, hash).
		Scan(&s.Hash, &s.User, &created, &expires, &seen, &s.Address, &s.UserAgent)
	if errors.Is(err, sql.ErrNoRows) {
		return s, fault.New(fault.NotFound, "there is no such session")
	}
	s.CreatedAt, s.ExpiresAt, s.LastSeenAt = fromMicros(created), fromMicros(expires), fromMicros(seen)
	return s, wrap("reading a session", err)
}

// TouchSession notes that a session was used.
func (db *DB) TouchSession(ctx context.Context, hash []byte, at time.Time) error {
	return db.write(ctx, func(ctx context.Context, tx *Tx) error {
		_, err := tx.exec(ctx, `UPDATE access_sessions SET last_seen_at = $1 WHERE hash = $2`, micros(at), hash)
		return err
	})
}

// DeleteSession ends a session.
func (db *DB) DeleteSession(ctx context.Context, hash []byte, a access.Audit) error {
	return db.write(ctx, func(ctx context.Context, tx *Tx) error {
		n, err := tx.exec(ctx, `DELETE FROM access_sessions WHERE hash = $1`, hash)
		if err != nil {
			return err
		}
		if n == 0 {
			return fault.New(fault.NotFound, "there is no such session")
		}
		return tx.accessAudit(ctx, a)
	})
}

const linkColumns = `id, hash, purpose, user_id, email, name, project, role, revision, created_by, created_at, expires_at`

func scanLink(row scanner) (l access.Link, err error) {
	var created, expires int64
	err = row.Scan(&l.ID, &l.Hash, (*string)(&l.Purpose), &l.User, &l.Email, &l.Name, &l.Project, (*string)(&l.Role), &l.Revision, &l.CreatedBy, &created, &expires)
	if errors.Is(err, sql.ErrNoRows) {
		return l, fault.New(fault.NotFound, "there is no such link")
	}
	l.CreatedAt, l.ExpiresAt = fromMicros(created), fromMicros(expires)
	return l, err
}

// CreateLink stores a one-time link.
func (db *DB) CreateLink(ctx context.Context, l access.Link, a access.Audit) error {
	return db.write(ctx, func(ctx context.Context, tx *Tx) error {
		if _, err := tx.exec(ctx, `INSERT INTO access_links (`+linkColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
			l.ID, l.Hash, string(l.Purpose), l.User, l.Email, l.Name, l.Project, string(l.Role), l.Revision, l.CreatedBy,
			micros(l.CreatedAt), micros(l.ExpiresAt)); err != nil {
			return err
		}
		return tx.accessAudit(ctx, a)
	})
}

// Link returns an unused, unexpired link.
func (db *DB) Link(ctx context.Context, hash []byte, now time.Time) (access.Link, error) {
	l, err := scanLink(db.queryRow(ctx, `SELECT `+linkColumns+` FROM access_links WHERE hash = $1 AND expires_at > $2`, hash, micros(now)))
	return l, wrap("reading a link", err)
}

// Invitations lists a project's open invitations, oldest first.
func (db *DB) Invitations(ctx context.Context, project string, now time.Time) ([]access.Link, error) {
	rows, err := db.query(ctx, `SELECT `+linkColumns+` FROM access_links WHERE project = $1 AND purpose = $2 AND expires_at > $3 ORDER BY id`,
		project, string(access.PurposeInvite), micros(now))
	if err != nil {
		return nil, wrap("reading invitations", err)
	}
	defer rows.Close()
	links := []access.Link{}
	for rows.Next() {
		l, err := scanLink(rows)
		if err != nil {
			return nil, wrap("reading invitations", err)
		}
		links = append(links, l)
	}
	return links, wrap("reading invitations", rows.Err())
}

// UseLink spends a link: exactly one caller succeeds.
func (db *DB) UseLink(ctx context.Context, hash []byte, now time.Time, newUser *access.User, grant *access.Grant, a access.Audit) error {
	return db.write(ctx, func(ctx context.Context, tx *Tx) error {
		n, err := tx.exec(ctx, `DELETE FROM access_links WHERE hash = $1 AND expires_at > $2`, hash, micros(now))
		if err != nil {
			return err
		}
		if n == 0 {
			return fault.New(fault.NotFound, "there is no such link")
		}
		if newUser != nil {
			if err := tx.createUser(ctx, *newUser); err != nil {
				return err
			}
		}
		if grant != nil {
			g := *grant
			if had, err := tx.grant(ctx, g.User, g.Project); err == nil {
				g.Revision = had.Revision + 1
			} else if !fault.Is(err, fault.NotFound) {
				return err
			}
			if err := tx.putGrant(ctx, g); err != nil {
				return err
			}
		}
		return tx.accessAudit(ctx, a)
	})
}

// DeleteLink withdraws a link.
func (db *DB) DeleteLink(ctx context.Context, id string, ifRevision int64, a access.Audit) error {
	return db.write(ctx, func(ctx context.Context, tx *Tx) error {
		had, err := scanLink(tx.queryRow(ctx, `SELECT `+linkColumns+` FROM access_links WHERE id = $1`, id))
		if err != nil {
			return err
		}
		if err := stale("the invitation", had.Revision, ifRevision); err != nil {
			return err
		}
		if _, err := tx.exec(ctx, `DELETE FROM access_links WHERE id = $1`, id); err != nil {
			return err
		}
		return tx.accessAudit(ctx, a)
	})
}

// revokedTokenAge is how long a revoked or expired token is remembered, so that
// its user is told what happened to it.
const revokedTokenAge = 90 * 24 * time.Hour

// DeleteExpired forgets what is no longer in force.
func (db *DB) DeleteExpired(ctx context.Context, now time.Time) error {
	return db.write(ctx, func(ctx context.Context, tx *Tx) error {
		if _, err := tx.exec(ctx, `DELETE FROM access_sessions WHERE expires_at <= $1 OR last_seen_at <= $2`,
			micros(now), micros(now.Add(-access.SessionIdle))); err != nil {
			return err
		}
		if _, err := tx.exec(ctx, `DELETE FROM access_links WHERE expires_at <= $1`, micros(now)); err != nil {
			return err
		}
		before := micros(now.Add(-revokedTokenAge))
		_, err := tx.exec(ctx, `DELETE FROM access_tokens WHERE (revoked_at > 0 AND revoked_at <= $1) OR (expires_at > 0 AND expires_at <= $1)`, before)
		return err
	})
}
