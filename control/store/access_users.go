package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/fault"
)

var _ access.Store = (*DB)(nil)

// accessAudit writes the record that belongs to a write of control/access.
func (tx *Tx) accessAudit(ctx context.Context, a access.Audit) error {
	record := AuditRecord{Actor: a.Actor, Action: a.Action, Target: a.Target, Project: a.Project, RequestID: a.RequestID}
	if len(a.Detail) > 0 {
		detail, err := json.Marshal(a.Detail)
		if err != nil {
			return fault.New(fault.Internal, "an audit record cannot be written: %w", err)
		}
		record.Detail = detail
	}
	return tx.audit(ctx, tx.db.now(), record)
}

// Record writes an audit record that belongs to no other write.
func (db *DB) Record(ctx context.Context, a access.Audit) error {
	return db.write(ctx, func(ctx context.Context, tx *Tx) error { return tx.accessAudit(ctx, a) })
}

// CountUsers counts accounts.
func (db *DB) CountUsers(ctx context.Context) (n int, err error) {
	err = db.queryRow(ctx, `SELECT count(*) FROM access_users`).Scan(&n)
	return n, wrap("counting users", err)
}

const userColumns = `id, email, name, password_hash, revision, created_at, updated_at, last_login_at`

func scanUser(row scanner) (u access.User, passwordHash string, err error) {
	var created, updated, login int64
	err = row.Scan(&u.ID, &u.Email, &u.Name, &passwordHash, &u.Revision, &created, &updated, &login)
	if errors.Is(err, sql.ErrNoRows) {
		return u, "", fault.New(fault.NotFound, "there is no such user")
	}
	u.HasPassword = passwordHash != ""
	u.CreatedAt, u.UpdatedAt, u.LastLoginAt = fromMicros(created), fromMicros(updated), fromMicros(login)
	return u, passwordHash, wrap("reading a user", err)
}

// User returns a user.
func (db *DB) User(ctx context.Context, id string) (access.User, error) {
	u, _, err := scanUser(db.queryRow(ctx, `SELECT `+userColumns+` FROM access_users WHERE id = $1`, id))
	return u, err
}

// UserByEmail returns a user and the password hash.
func (db *DB) UserByEmail(ctx context.Context, email string) (access.User, string, error) {
	return scanUser(db.queryRow(ctx, `SELECT `+userColumns+` FROM access_users WHERE email = $1`, clean(email)))
}

// PasswordHash returns a user's password hash.
func (db *DB) PasswordHash(ctx context.Context, user string) (string, error) {
	_, hash, err := scanUser(db.queryRow(ctx, `SELECT `+userColumns+` FROM access_users WHERE id = $1`, user))
	return hash, err
}

// CreateUser stores a user and its first grants.
func (db *DB) CreateUser(ctx context.Context, u access.User, grants []access.Grant, a access.Audit) error {
	return db.write(ctx, func(ctx context.Context, tx *Tx) error {
		if err := tx.createUser(ctx, u); err != nil {
			return err
		}
		for _, g := range grants {
			if err := tx.putGrant(ctx, g); err != nil {
				return err
			}
		}
		return tx.accessAudit(ctx, a)
	})
}

func (tx *Tx) createUser(ctx context.Context, u access.User) error {
	n, err := tx.exec(ctx, `INSERT INTO access_users (`+userColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (email) DO NOTHING`,
		u.ID, u.Email, u.Name, "", u.Revision, micros(u.CreatedAt), micros(u.UpdatedAt), micros(u.LastLoginAt))
	if err == nil && n == 0 {
		return emailTaken(u.Email)
	}
	return err
}

func emailTaken(email string) error {
	return fault.New(fault.Conflict, "there is an account with the email %s already", email)
}

// UpdateUser replaces what a user may change of an account.
func (db *DB) UpdateUser(ctx context.Context, u access.User, ifRevision int64, passwordHash *string, keep []byte, a access.Audit) (access.User, error) {
	err := db.write(ctx, func(ctx context.Context, tx *Tx) error {
		had, hash, err := scanUser(tx.queryRow(ctx, `SELECT `+userColumns+` FROM access_users WHERE id = $1`, u.ID))
		if err != nil {
			return err
		}
		if err := stale("the account", had.Revision, ifRevision); err != nil {
			return err
		}
		var other string
		err = tx.queryRow(ctx, `SELECT id FROM access_users WHERE email = $1 AND id <> $2`, u.Email, u.ID).Scan(&other)
		if err == nil {
			return emailTaken(u.Email)
		} else if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if passwordHash != nil {
			hash = *passwordHash
			if keep != nil {
				if _, err := tx.exec(ctx, `DELETE FROM access_sessions WHERE user_id = $1 AND hash <> $2`, u.ID, keep); err != nil {
					return err
				}
			}
		}
		u.Revision, u.HasPassword = had.Revision+1, hash != ""
		u.CreatedAt, u.LastLoginAt = had.CreatedAt, had.LastLoginAt
		_, err = tx.exec(ctx, `UPDATE access_users SET email = $1, name = $2, password_hash = $3, revision = $4, updated_at = $5 WHERE id = $6`,
			u.Email, u.Name, hash, u.Revision, micros(u.UpdatedAt), u.ID)
		if err != nil {
			return err
		}
		return tx.accessAudit(ctx, a)
	})
	return u, err
}

// stale refuses a change of something that was changed since it was read.
func stale(what string, have, want int64) error {
	if want != 0 && have != want {
		return fault.New(fault.Stale, "%s was changed since you read it (revision %d, you have %d); read it again and repeat the change", what, have, want)
	}
	return nil
}

const grantColumns = `user_id, project, role, revision, created_at, updated_at`

func scanGrant(row scanner) (g access.Grant, err error) {
	var created, updated int64
	err = row.Scan(&g.User, &g.Project, (*string)(&g.Role), &g.Revision, &created, &updated)
	g.CreatedAt, g.UpdatedAt = fromMicros(created), fromMicros(updated)
	return g, err
}

// Grants returns grants in order of project and user.
func (db *DB) Grants(ctx context.Context, user, project string) ([]access.Grant, error) {
	where := conditions{}
	where.equal("user_id", user)
	where.equal("project", project)
	rows, err := db.query(ctx, `SELECT `+grantColumns+` FROM access_grants`+where.text()+` ORDER BY project, user_id`, where.args...)
	if err != nil {
		return nil, wrap("reading roles", err)
	}
	defer rows.Close()
	grants := []access.Grant{}
	for rows.Next() {
		g, err := scanGrant(rows)
		if err != nil {
			return nil, wrap("reading roles", err)
		}
		grants = append(grants, g)
	}
	return grants, wrap("reading roles", rows.Err())
}

func (tx *Tx) putGrant(ctx context.Context, g access.Grant) error {
	_, err := tx.exec(ctx, `INSERT INTO access_grants (`+grantColumns+`) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (user_id, project) DO UPDATE SET role = excluded.role, revision = excluded.revision, updated_at = excluded.updated_at`,
		g.User, g.Project, string(g.Role), g.Revision, micros(g.CreatedAt), micros(g.UpdatedAt))
	return err
}

// grant returns the stored grant, NotFound without one.
func (tx *Tx) grant(ctx context.Context, user, project string) (access.Grant, error) {
	g, err := scanGrant(tx.queryRow(ctx, `SELECT `+grantColumns+` FROM access_grants WHERE user_id = $1 AND project = $2`, user, project))
	if errors.Is(err, sql.ErrNoRows) {
		return g, fault.New(fault.NotFound, "the project has no such member").About("member " + user)
	}
	return g, err
}

// PutGrant creates or replaces a grant.
func (db *DB) PutGrant(ctx context.Context, g access.Grant, ifRevision int64, a access.Audit) (access.Grant, error) {
	err := db.write(ctx, func(ctx context.Context, tx *Tx) error {
		had, err := tx.grant(ctx, g.User, g.Project)
		switch {
		case err == nil:
			if err := stale("the membership", had.Revision, ifRevision); err != nil {
				return err
			}
			g.Revision, g.CreatedAt = had.Revision+1, had.CreatedAt
		case !fault.Is(err, fault.NotFound) || ifRevision != 0:
			return err
		}
		if err := tx.putGrant(ctx, g); err != nil {
			return err
		}
		if err := tx.ownerLeft(ctx, g.Project); err != nil {
			return err
		}
		return tx.accessAudit(ctx, a)
	})
	return g, err
}

// ownerLeft refuses a platform without an owner.
func (tx *Tx) ownerLeft(ctx context.Context, project string) error {
	if project != access.Platform {
		return nil
	}
	var owners int
	err := tx.queryRow(ctx, `SELECT count(*) FROM access_grants WHERE project = $1 AND role = $2`, access.Platform, string(access.Owner)).Scan(&owners)
	if err == nil && owners == 0 {
		return fault.New(fault.Conflict, "the platform would have no owner; make somebody else owner first")
	}
	return err
}

// DeleteGrant takes a role away.
func (db *DB) DeleteGrant(ctx context.Context, user, project string, ifRevision int64, a access.Audit) error {
	return db.write(ctx, func(ctx context.Context, tx *Tx) error {
		had, err := tx.grant(ctx, user, project)
		if err != nil {
			return err
		}
		if err := stale("the membership", had.Revision, ifRevision); err != nil {
			return err
		}
		if _, err := tx.exec(ctx, `DELETE FROM access_grants WHERE user_id = $1 AND project = $2`, user, project); err != nil {
			return err
		}
		if err := tx.ownerLeft(ctx, project); err != nil {
			return err
		}
		if _, err := tx.exec(ctx, `UPDATE access_tokens SET revoked_at = $1 WHERE user_id = $2 AND project = $3 AND revoked_at = 0`,
			micros(tx.db.now()), user, project); err != nil {
			return err
		}
		return tx.accessAudit(ctx, a)
	})
}

// DeleteProject removes what a deleted project leaves behind.
func (db *DB) DeleteProject(ctx context.Context, project string, at time.Time, a access.Audit) error {
	if project == access.Platform {
		return fault.New(fault.Internal, "the platform is no project")
	}
	return db.write(ctx, func(ctx context.Context, tx *Tx) error {
		for _, statement := range []string{
			`DELETE FROM access_grants WHERE project = $1`,
			`DELETE FROM access_links WHERE project = $1`,
		} {
			if _, err := tx.exec(ctx, statement, project); err != nil {
				return err
			}
		}
		if _, err := tx.exec(ctx, `UPDATE access_tokens SET revoked_at = $1 WHERE project = $2 AND revoked_at = 0`, micros(at), project); err != nil {
			return err
		}
		return tx.accessAudit(ctx, a)
	})
}
