package client

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"time"
)

// User is a person with an account.
type User struct {
	ID    string `json:"id"`
	Email string `json:"email,omitempty"`
	Name  string `json:"name,omitempty"`
}

// Session is who calls and what the caller may see.
type Session struct {
	User           *User           `json:"user,omitempty"` // nil for a token
	Principal      json.RawMessage `json:"principal,omitempty"`
	Projects       []ProjectAccess `json:"projects"`
	Version        string          `json:"version"`
	PlatformDomain string          `json:"platform_domain,omitempty"`
}

// ProjectAccess is a project and the caller's role in it.
type ProjectAccess struct {
	ID           string   `json:"id"`
	Name         string   `json:"name"`
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
	Project    string     `json:"project_id,omitempty"` // "": all the owner's projects
	Role       string     `json:"role"`
	Scopes     []string   `json:"scopes,omitempty"`
	CreatedAt  time.Time  `json:"created_at"`
	ExpiresAt  *time.Time `json:"expires_at,omitempty"`
	LastUsedAt *time.Time `json:"last_used_at,omitempty"`
	RevokedAt  *time.Time `json:"revoked_at,omitempty"`
}

// CreateToken is what to create. A token cannot do more than its creator.
type CreateToken struct {
	Name      string     `json:"name"`
	Project   string     `json:"project_id,omitempty"`
	Role      string     `json:"role,omitempty"`
	Scopes    []string   `json:"scopes,omitempty"` // "domains:read", "cdn:write" ...; empty: all the role allows
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
}

// NewToken is a created token with its secret.
type NewToken struct {
	Token
	Secret string `json:"token"`
}

// Tokens walks the caller's API tokens.
func (c *Client) Tokens(ctx context.Context) iter.Seq2[Token, error] {
	return pages(ctx, func(ctx context.Context, cursor string) (Page[Token], error) {
		return list[Token](ctx, c, "/api/v1/tokens", "tokens", nil, cursor)
	})
}

// CreateToken makes an API token.
func (c *Client) CreateToken(ctx context.Context, t CreateToken) (*NewToken, error) {
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
	Hash      string          `json:"hash,omitempty"`
}

// Audit walks the audit log, newest first.
func (c *Client) Audit(ctx context.Context) iter.Seq2[AuditRecord, error] {
	return pages(ctx, func(ctx context.Context, cursor string) (Page[AuditRecord], error) {
		return list[AuditRecord](ctx, c, "/api/v1/audit", "records", url.Values{"project_id": {c.project}}, cursor)
	})
}
