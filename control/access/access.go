// Package access is the room for who may do what: users with passwords,
// sessions, one-time links, API tokens, roles and the permission table.
//
// Types: User, Grant (a user's role on a project), Session, Token, Link, and
// Principal, which is whoever a request comes from. Interfaces: Store, which
// control/store implements. Phases of a request: Authenticate turns a cookie
// or a bearer token into a Principal; Principal.Can asks the permission table
// (permission.go) for each object that is touched.
//
// Secrets (session cookies, tokens, links) are random, shown once and stored
// as SHA-256; passwords are stored as argon2id. Every write takes an Audit
// record which the store keeps in the same transaction.
package access

import (
	"context"
	"time"
)

// Platform stands for the whole installation where a project is asked for: a
// role on it holds for every project and for what belongs to no project.
const Platform = "*"

// User is a person with an account.
type User struct {
	ID          string
	Email       string // lower-case, unique
	Name        string
	HasPassword bool
	Revision    int64 // grows with every change; the account's ETag
	CreatedAt   time.Time
	UpdatedAt   time.Time
	LastLoginAt time.Time // zero: never
}

// Grant is a user's role on a project, or on Platform.
type Grant struct {
	User      string
	Project   string
	Role      Role
	Revision  int64
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Session is a browser that has logged in.
type Session struct {
	Hash       []byte // SHA-256 of the cookie's value
	User       string
	CreatedAt  time.Time
	ExpiresAt  time.Time // absolute end
	LastSeenAt time.Time // moved at most once a minute; idle sessions end, see SessionIdle
	Address    string    // of the login
	UserAgent  string    // of the login, cut to 200 bytes
}

// Token is an API token as it is kept: never with its secret.
type Token struct {
	ID         string
	Hash       []byte // SHA-256 of the secret
	Hint       string // the secret's last four characters, to tell tokens apart
	Name       string
	User       string // whose rights it can at most have; "" for the operator's own
	Project    string // a project's ID, or Platform
	Role       Role
	Scopes     []Scope // empty: all that the role allows
	Revision   int64
	CreatedAt  time.Time
	ExpiresAt  time.Time // zero: never
	LastUsedAt time.Time // zero: never; moved at most once a minute
	RevokedAt  time.Time // zero: in force
}

// Purpose says what a link does.
type Purpose string

// The purposes of a link.
const (
	PurposeLogin  Purpose = "login"  // logs its user in
	PurposeInvite Purpose = "invite" // makes someone a member, with a new account or their own
)

// Link is a one-time secret that someone opens in a browser.
type Link struct {
	ID        string // "lnk_...", or "inv_..." for an invitation
	Hash      []byte // SHA-256 of the secret
	Purpose   Purpose
	User      string // whom a login link logs in
	Email     string // whom an invitation is for
	Name      string
	Project   string // of an invitation; a project's ID, or Platform
	Role      Role
	Revision  int64
	CreatedBy string // actor
	CreatedAt time.Time
	ExpiresAt time.Time
}

// Audit is what the audit log keeps about one write. The store writes it in
// the transaction of the write.
type Audit struct {
	Actor     string // "user usr_...", "token tok_...", "system ..."
	Action    string // "token.create"
	Target    string // "token tok_..."
	Project   string
	Detail    map[string]any // never secrets
	RequestID string
}

// Caller is who asks for a write, for the audit log.
type Caller struct {
	Actor     string
	RequestID string
	Address   string // of the client, without port
}

func (c Caller) audit(action, target, project string, detail map[string]any) Audit {
	if c.Address != "" {
		if detail == nil {
			detail = map[string]any{}
		}
		detail["address"] = c.Address
	}
	return Audit{Actor: c.Actor, Action: action, Target: target, Project: project, Detail: detail, RequestID: c.RequestID}
}

// UserStore keeps users.
type UserStore interface {
	// CountUsers tells a first start from a later one.
	CountUsers(ctx context.Context) (int, error)
	// User returns NotFound when there is none.
	User(ctx context.Context, id string) (User, error)
	// UserByEmail returns the user and the stored password hash, "" without one.
	UserByEmail(ctx context.Context, email string) (User, string, error)
	// PasswordHash returns the stored hash, "" without one.
	PasswordHash(ctx context.Context, user string) (string, error)
	// CreateUser stores a user and its first grants in one transaction. It
	// returns Conflict when the email is taken.
	CreateUser(ctx context.Context, u User, grants []Grant, a Audit) error
	// UpdateUser replaces email and name and, when passwordHash is not nil, the
	// password; with keep, a session's hash, all other sessions of the user end
	// with the old password. It returns Stale unless the stored revision is
	// ifRevision (0: any), Conflict when the email is taken.
	UpdateUser(ctx context.Context, u User, ifRevision int64, passwordHash *string, keep []byte, a Audit) (User, error)
}

// GrantStore keeps roles.
type GrantStore interface {
	// Grants returns the grants of a user, of a project, or of both; "" is any.
	Grants(ctx context.Context, user, project string) ([]Grant, error)
	// PutGrant creates or replaces; ifRevision as in UpdateUser.
	PutGrant(ctx context.Context, g Grant, ifRevision int64, a Audit) (Grant, error)
	DeleteGrant(ctx context.Context, user, project string, ifRevision int64, a Audit) error
	// DeleteProject removes what a deleted project leaves behind: grants, open
	// invitations; its tokens are revoked.
	DeleteProject(ctx context.Context, project string, at time.Time, a Audit) error
}

// SessionStore keeps sessions.
type SessionStore interface {
	// CreateSession stores a session and the user's LastLoginAt.
	CreateSession(ctx context.Context, s Session, a Audit) error
	Session(ctx context.Context, hash []byte) (Session, error)
	TouchSession(ctx context.Context, hash []byte, at time.Time) error
	DeleteSession(ctx context.Context, hash []byte, a Audit) error
}

// TokenStore keeps API tokens.
type TokenStore interface {
	CreateToken(ctx context.Context, t Token, a Audit) error
	TokenByHash(ctx context.Context, hash []byte) (Token, error)
	Token(ctx context.Context, id string) (Token, error)
	// Tokens lists tokens in force of a project (with "" of all) and, unless
	// user is "", of one user, in order of ID after the cursor.
	Tokens(ctx context.Context, project, user, cursor string, limit int) ([]Token, error)
	TouchToken(ctx context.Context, id string, at time.Time) error
	// RevokeToken returns Stale as UpdateUser does, NotFound when it is unknown
	// or revoked already.
	RevokeToken(ctx context.Context, id string, ifRevision int64, at time.Time, a Audit) error
}

// LinkStore keeps one-time links.
type LinkStore interface {
	CreateLink(ctx context.Context, l Link, a Audit) error
	// Link returns an unused, unexpired link.
	Link(ctx context.Context, hash []byte, now time.Time) (Link, error)
	// Invitations lists unused, unexpired invitations of a project.
	Invitations(ctx context.Context, project string, now time.Time) ([]Link, error)
	// UseLink deletes the link; with newUser it creates the account and with
	// grant it stores the role, in one transaction. NotFound when the link was
	// used in the meantime.
	UseLink(ctx context.Context, hash []byte, now time.Time, newUser *User, grant *Grant, a Audit) error
	// DeleteLink withdraws an invitation by ID.
	DeleteLink(ctx context.Context, id string, ifRevision int64, a Audit) error
}

// Store is what the room needs from the database.
type Store interface {
	UserStore
	GrantStore
	SessionStore
	TokenStore
	LinkStore
	// Record writes an audit record that belongs to no other write: a failed
	// login, a cache purge.
	Record(ctx context.Context, a Audit) error
	// DeleteExpired forgets sessions, links and, after a grace time, tokens
	// that are no longer in force.
	DeleteExpired(ctx context.Context, now time.Time) error
}
