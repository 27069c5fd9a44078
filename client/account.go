package client

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"time"
)

// User is a person with an account.
type User struct {
	ID          string     `json:"id"`
	Email       string     `json:"email"`
	Name        string     `json:"name"`
	HasPassword bool       `json:"has_password"`
	Revision    int64      `json:"revision"`
	CreatedAt   time.Time  `json:"created_at"`
	LastLoginAt *time.Time `json:"last_login_at,omitempty"`
}

// Principal is what the credentials may do.
type Principal struct {
	Kind         string     `json:"kind"` // user or token
	ID           string     `json:"id"`
	Name         string     `json:"name"`
	PlatformRole string     `json:"platform_role,omitempty"` // role on the whole platform
	Scopes       []string   `json:"scopes"`                  // of a token; empty: all that the role allows
	ExpiresAt    *time.Time `json:"expires_at,omitempty"`
}

// Session is who calls and what the caller may see.
type Session struct {
	User           *User           `json:"user,omitempty"` // nil for a token
	Principal      Principal       `json:"principal"`
	Projects       []ProjectAccess `json:"projects"`
	Version        string          `json:"version"`
	PlatformDomain string          `json:"platform_domain"`
}

// ProjectAccess is a project and the caller's role in it.
type ProjectAccess struct {
	ID           string   `json:"id"`
	Name         string   `json:"name"`
	Title        string   `json:"title"`
	Role         string   `json:"role"` // owner, admin, developer, viewer
	Environments []string `json:"environments"`
}

// Session returns who the credentials belong to, or fault.Unauthenticated.
func (c *Client) Session(ctx context.Context) (*Session, error) {
	out := new(Session)
	if _, err := c.do(ctx, call{method: http.MethodGet, path: "/api/v1/session"}, out); err != nil {
		return nil, err
	}
	return out, nil
}

// Token is an API token. Its secret is shown once, in NewToken.
type Token struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	Hint       string     `json:"hint"`       // the last characters of the secret
	Project    string     `json:"project_id"` // "*": the whole platform
	Role       string     `json:"role"`
	Scopes     []string   `json:"scopes"`     // empty: all that the role allows
	CreatedBy  string     `json:"created_by"` // the user whose rights bound the token
	CreatedAt  time.Time  `json:"created_at"`
	ExpiresAt  *time.Time `json:"expires_at,omitempty"`
	LastUsedAt *time.Time `json:"last_used_at,omitempty"` // to the minute
}

// CreateToken is what to create. A token cannot do more than its creator.
type CreateToken struct {
	Name      string     `json:"name"`
	Project   string     `json:"project_id,omitempty"` // "": the client's; "*": the whole platform
	Role      string     `json:"role,omitempty"`       // "": developer, or the caller's own when that is less
	Scopes    []string   `json:"scopes,omitempty"`     // "domains:read", "cdn:*" ...; empty: all that the role allows
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
}

// NewToken is a created token with its secret.
type NewToken struct {
	Token
	Secret string `json:"token"`
}

// Tokens walks the project's API tokens in force: an admin sees all, others
// their own.
func (c *Client) Tokens(ctx context.Context) iter.Seq2[Token, error] {
	return pages(ctx, func(ctx context.Context, cursor string) (Page[Token], error) {
		return list[Token](ctx, c, "/api/v1/tokens", "tokens", paged(c.inProject()), cursor)
	})
}

// CreateToken makes an API token.
func (c *Client) CreateToken(ctx context.Context, t CreateToken) (*NewToken, error) {
	if t.Project == "" {
		t.Project = c.project
	}
	out := new(NewToken)
	if _, err := c.do(ctx, call{method: http.MethodPost, path: "/api/v1/tokens", body: t}, out); err != nil {
		return nil, err
	}
	return out, nil
}

// RevokeToken makes a token useless at once.
func (c *Client) RevokeToken(ctx context.Context, id string) error {
	_, err := c.do(ctx, call{method: http.MethodDelete, path: "/api/v1/tokens/" + segment(id)}, nil)
	return err
}

// AuditRecord is one entry of the audit log. Hash covers the entry and the
// Hash before it, so a changed past shows.
type AuditRecord struct {
	Seq       int64           `json:"seq"`
	At        time.Time       `json:"at"`
	Actor     string          `json:"actor"`
	Action    string          `json:"action"`
	Target    string          `json:"target"`
	Project   string          `json:"project_id,omitempty"`
	Detail    json.RawMessage `json:"detail,omitempty"`
	RequestID string          `json:"request_id,omitempty"`
	Hash      string          `json:"hash"`
}

// AuditVerification is what a look through the whole audit log has found in
// order. A Head noted elsewhere shows that the log was exchanged whole, when it
// is not in it any more.
type AuditVerification struct {
	Entries int64  `json:"entries"`
	Head    string `json:"head"` // the last entry's hash
}

// VerifyAudit has the control plane recompute the chain of the whole audit log.
// Conflict says at which entry it was tampered with. Only for admins of the
// platform.
func (c *Client) VerifyAudit(ctx context.Context) (AuditVerification, error) {
	var out AuditVerification
	_, err := c.do(ctx, call{method: http.MethodGet, path: "/api/v1/audit/verify"}, &out)
	return out, err
}

// AuditQuery narrows Audit. Empty fields select all.
type AuditQuery struct {
	Action string
	Actor  string
}

// Audit walks the project's audit log, newest first. Stop when you have seen
// enough.
func (c *Client) Audit(ctx context.Context, q AuditQuery) iter.Seq2[AuditRecord, error] {
	query := c.inProject()
	if q.Action != "" {
		query.Set("action", q.Action)
	}
	if q.Actor != "" {
		query.Set("actor", q.Actor)
	}
	return pages(ctx, func(ctx context.Context, cursor string) (Page[AuditRecord], error) {
		return list[AuditRecord](ctx, c, "/api/v1/audit", "records", paged(query), cursor)
	})
}
