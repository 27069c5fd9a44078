package access

import (
	"context"
	"fmt"
	"time"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// maxTokens bounds the tokens of one project.
const maxTokens = 1000

// NewToken is a token to be made.
type NewToken struct {
	Name      string
	Project   string // ID, or Platform
	Role      Role   // "": the creator's own, but at most developer
	Scopes    []string
	ExpiresAt time.Time // zero: never, or when the creator's token ends
}

// CreateToken makes a token and returns its secret, which is not kept. A token
// can do no more than its creator: not more role, scope, project or time.
// Errors: Invalid, Forbidden.
func (s *Service) CreateToken(ctx context.Context, p *Principal, n NewToken, by Caller) (Token, string, error) {
	now := s.now().UTC()
	name, err := checkName("/name", n.Name)
	if err != nil {
		return Token{}, "", err
	}
	scopes, err := s.scopesFor(p, n.Scopes)
	if err != nil {
		return Token{}, "", err
	}
	own := p.Role(n.Project)
	if !own.Valid() {
		return Token{}, "", fault.New(fault.Forbidden, "a token cannot have more rights than its creator, who has none there")
	}
	if n.Role == "" {
		n.Role = weaker(own, Developer)
	}
	switch {
	case !n.Role.Valid():
		return Token{}, "", fault.InvalidField("/role", fmt.Sprintf("%q is no role", n.Role), "use viewer, developer, admin or owner")
	case !own.AtLeast(n.Role):
		return Token{}, "", fault.New(fault.Forbidden, "a token cannot have more rights than its creator: you are %s there, not %s", own, n.Role)
	case !n.ExpiresAt.IsZero() && !n.ExpiresAt.After(now):
		return Token{}, "", fault.InvalidField("/expires_at", "the time has passed already", "give a time in the future, or none")
	}
	if p.Kind == ByToken && !p.Expires.IsZero() {
		if n.ExpiresAt.IsZero() {
			n.ExpiresAt = p.Expires
		}
		if n.ExpiresAt.After(p.Expires) {
			return Token{}, "", fault.InvalidField("/expires_at", "a token cannot outlive the token that makes it", "use at most "+p.Expires.Format(time.RFC3339))
		}
	}
	had, err := s.store.Tokens(ctx, n.Project, "", "", maxTokens)
	if err != nil {
		return Token{}, "", err
	}
	if len(had) >= maxTokens {
		return Token{}, "", fault.New(fault.TooLarge, "the project has %d tokens, which is the bound; revoke some", maxTokens)
	}
	secret, err := newSecret(s.random)
	if err != nil {
		return Token{}, "", err
	}
	secret = TokenPrefix + secret
	t := Token{
		ID: resource.NewID("tok"), Hash: hashSecret(secret), Hint: hint(secret), Name: name, User: p.User, Project: n.Project,
		Role: n.Role, Scopes: scopes, Revision: 1, CreatedAt: now, ExpiresAt: n.ExpiresAt.UTC(),
	}
	detail := map[string]any{"name": name, "role": string(t.Role), "scopes": scopeStrings(scopes)}
	return t, secret, s.store.CreateToken(ctx, t, by.audit("token.create", "token "+t.ID, projectOf(t.Project), detail))
}

// scopesFor parses the wanted scopes and holds them to the creator's.
func (s *Service) scopesFor(p *Principal, wanted []string) ([]Scope, error) {
	if len(wanted) == 0 {
		return p.Scopes, nil
	}
	if len(wanted) > 50 {
		return nil, fault.InvalidField("/scopes", "there are more than 50 scopes", "use *, as in domains:*")
	}
	scopes := make([]Scope, 0, len(wanted))
	for i, text := range wanted {
		scope, err := ParseScope(text)
		if err != nil {
			return nil, fault.InvalidField(fmt.Sprintf("/scopes/%d", i), fmt.Sprintf("%q is no scope", text), "write <resource>:<verb>, for example domains:write, cdn:* or *:read")
		}
		covered := len(p.Scopes) == 0
		for _, own := range p.Scopes {
			covered = covered || own.covers(scope)
		}
		if !covered {
			return nil, fault.New(fault.Forbidden, "a token cannot have more rights than its creator: yours does not have the scope %s", scope)
		}
		scopes = append(scopes, scope)
	}
	return scopes, nil
}

func scopeStrings(scopes []Scope) []string {
	out := make([]string, 0, len(scopes))
	for _, s := range scopes {
		out = append(out, s.String())
	}
	return out
}

// ScopeStrings returns a token's scopes as they are written.
func (t Token) ScopeStrings() []string { return scopeStrings(t.Scopes) }

// Tokens lists the tokens in force that p may see: an admin's all of the
// project, others their own. next is "" at the end.
func (s *Service) Tokens(ctx context.Context, p *Principal, project, cursor string, limit int) (list []Token, next string, err error) {
	user := ""
	if !p.Role(project).AtLeast(Admin) {
		if user = p.User; user == "" {
			return nil, "", nil
		}
	}
	list, err = s.store.Tokens(ctx, project, user, cursor, limit+1)
	if err != nil {
		return nil, "", err
	}
	if len(list) > limit {
		list = list[:limit]
		next = list[limit-1].ID
	}
	return list, next, nil
}

// Token returns a token in force that p may see, or NotFound.
func (s *Service) Token(ctx context.Context, p *Principal, id string) (Token, error) {
	t, err := s.store.Token(ctx, id)
	if err != nil {
		return t, err
	}
	mine := p.User != "" && t.User == p.User
	if !t.RevokedAt.IsZero() || !p.Sees(t.Project) || !mine && !p.Role(t.Project).AtLeast(Admin) {
		return Token{}, fault.New(fault.NotFound, "there is no such token, or it is not yours").About("token " + id)
	}
	return t, nil
}

// RevokeToken ends a token at once.
func (s *Service) RevokeToken(ctx context.Context, p *Principal, id string, ifRevision int64, by Caller) error {
	t, err := s.Token(ctx, p, id)
	if err != nil {
		return err
	}
	if !p.Can(t.Project, Tokens, Delete) {
		return fault.New(fault.Forbidden, "revoking tokens needs the permission tokens:delete")
	}
	if !p.Role(t.Project).AtLeast(t.Role) {
		return fault.New(fault.Forbidden, "the token has a stronger role than you; ask an owner")
	}
	return s.store.RevokeToken(ctx, id, ifRevision, s.now().UTC(), by.audit("token.revoke", "token "+id, projectOf(t.Project), nil))
}

// AuthenticateToken returns who a bearer token stands for, or Unauthenticated.
// A user's token never has more rights than the user has now: it ends when the
// user leaves the project.
func (s *Service) AuthenticateToken(ctx context.Context, secret string, c Client) (*Principal, error) {
	address := "token address " + c.Address
	if err := s.throttle.check(address); err != nil {
		return nil, err
	}
	hash := hashSecret(secret)
	now := s.now().UTC()
	t, err := s.store.TokenByHash(ctx, hash)
	if fault.Is(err, fault.NotFound) || err == nil && !sameHash(t.Hash, hash) {
		s.throttle.fail(address, freeTokensByAddress)
		return nil, fault.New(fault.Unauthenticated, "the API token is not known; make one with `edgewright tokens create`")
	}
	if err != nil {
		return nil, err
	}
	switch {
	case !t.RevokedAt.IsZero():
		return nil, fault.New(fault.Unauthenticated, "the API token was revoked; make a new one with `edgewright tokens create`")
	case !t.ExpiresAt.IsZero() && !now.Before(t.ExpiresAt):
		return nil, fault.New(fault.Unauthenticated, "the API token expired on %s; make a new one with `edgewright tokens create`", t.ExpiresAt.Format(time.RFC3339))
	}
	role := t.Role
	if t.User != "" {
		grants, err := s.grantsOf(ctx, t.User)
		if err != nil {
			return nil, err
		}
		creator := Principal{Grants: grants}
		role = weaker(role, creator.Role(t.Project))
		if !role.Valid() {
			return nil, fault.New(fault.Unauthenticated, "the API token's owner has left the project; use another token")
		}
	}
	if now.Sub(t.LastUsedAt) >= touchEvery {
		if err := s.store.TouchToken(ctx, t.ID, now); err != nil {
			return nil, err
		}
	}
	return &Principal{
		Kind: ByToken, ID: t.ID, Name: t.Name, User: t.User, Grants: map[string]Role{t.Project: role}, Scopes: t.Scopes, Expires: t.ExpiresAt,
	}, nil
}
