package api

import (
	"context"
	"net/http"
	"time"

	"github.com/edgewright/edgewright/control/access"
)

// Token is an API token, without its secret.
type Token struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	Hint       string     `json:"hint" doc:"The last characters of the secret"`
	Project    string     `json:"project_id" doc:"* is the whole platform"`
	Role       string     `json:"role"`
	Scopes     []string   `json:"scopes" doc:"Empty: all that the role allows"`
	CreatedBy  string     `json:"created_by" doc:"The user whose rights bound the token; empty for the operator's own"`
	CreatedAt  time.Time  `json:"created_at"`
	ExpiresAt  *time.Time `json:"expires_at,omitempty"`
	LastUsedAt *time.Time `json:"last_used_at,omitempty" doc:"To the minute"`
}

// NewToken is a token to be made.
type NewToken struct {
	ProjectID string     `json:"project_id,omitempty" doc:"Project, by ID or name, or * for the whole platform, unless the query names one" maxLength:"64"`
	Name      string     `json:"name" maxLength:"100"`
	Role      string     `json:"role,omitempty" doc:"viewer, developer, admin or owner; default developer, or the caller's own when that is less" maxLength:"20"`
	Scopes    []string   `json:"scopes,omitempty" doc:"<resource>:<verb>, as domains:write, cdn:* or *:read" maxItems:"50"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
}

// CreatedToken is a token with its secret, which is shown this once.
type CreatedToken struct {
	Token
	Secret string `json:"token" doc:"The secret: send it as 'Authorization: Bearer ew_...'. It is shown this once"`
}

// TokenList is a page of tokens.
type TokenList struct {
	Tokens     []Token `json:"tokens"`
	NextCursor string  `json:"next_cursor"`
}

type listTokensInput struct {
	InProjectOnly
	InPage
}

type newTokenInput struct {
	InProjectOnly
	InKey
	Body NewToken
}

func (in newTokenInput) bodyScopeNames() (project, environment string) {
	return in.Body.ProjectID, ""
}

type tokenPath struct {
	ID string `path:"id" maxLength:"64"`
}

func (s *Server) addTokens() {
	const tag = "Tokens"
	add(s, op{
		method: http.MethodGet, path: "/api/v1/tokens", id: "tokens-list", tag: tag, summary: "API tokens in force: an admin's all of the project, others their own",
		level: onProject, resource: access.Tokens, verb: access.Read, everywhere: true, answers: []answerDoc{{http.StatusOK, TokenList{}, ""}},
	}, s.listTokens)
	add(s, op{
		method: http.MethodPost, path: "/api/v1/tokens", id: "tokens-create", tag: tag, summary: "Make an API token",
		doc:   "A token can do no more than who makes it, now and later: it ends when its owner leaves the project.",
		level: onProject, resource: access.Tokens, verb: access.Write, everywhere: true, answers: []answerDoc{{http.StatusCreated, CreatedToken{}, ""}},
	}, s.createToken)
	add(s, op{
		method: http.MethodDelete, path: "/api/v1/tokens/{id}", id: "tokens-revoke", tag: tag, summary: "Revoke an API token at once",
		doc:   "Needs no If-Match: a token never changes, and revoking must never be in the way of a stale read.",
		level: signedIn, noMatch: true, answers: []answerDoc{{http.StatusNoContent, nil, ""}},
	}, s.revokeToken)
}

func tokenOf(t access.Token) Token {
	return Token{
		ID: t.ID, Name: t.Name, Hint: t.Hint, Project: t.Project, Role: string(t.Role), Scopes: t.ScopeStrings(), CreatedBy: t.User,
		CreatedAt: t.CreatedAt, ExpiresAt: timeOrNil(t.ExpiresAt), LastUsedAt: timeOrNil(t.LastUsedAt),
	}
}

func (s *Server) listTokens(ctx context.Context, c *call, in *listTokensInput) (*answer, error) {
	list, next, err := s.access.Tokens(ctx, c.principal, c.project, in.Cursor, in.Limit)
	if err != nil {
		return nil, err
	}
	out := TokenList{Tokens: []Token{}, NextCursor: next}
	for _, t := range list {
		out.Tokens = append(out.Tokens, tokenOf(t))
	}
	return &answer{Body: out}, nil
}

func (s *Server) createToken(ctx context.Context, c *call, in *newTokenInput) (*answer, error) {
	n := access.NewToken{Name: in.Body.Name, Project: c.project, Role: access.Role(in.Body.Role), Scopes: in.Body.Scopes}
	if in.Body.ExpiresAt != nil {
		n.ExpiresAt = *in.Body.ExpiresAt
	}
	t, secret, err := s.access.CreateToken(ctx, c.principal, n, c.caller)
	if err != nil {
		return nil, err
	}
	return &answer{Location: "/api/v1/tokens/" + t.ID, Body: CreatedToken{tokenOf(t), secret}}, nil
}

func (s *Server) revokeToken(ctx context.Context, c *call, in *tokenPath) (*answer, error) {
	return &answer{}, s.access.RevokeToken(ctx, c.principal, in.ID, 0, c.caller)
}
