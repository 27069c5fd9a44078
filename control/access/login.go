package access

import (
	"context"
	"strings"
	"time"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// Login is a successful login.
type Login struct {
	User    User
	Secret  string // the session cookie's value; shown once
	Expires time.Time
}

// Client is the browser or program that logs in.
type Client struct {
	Address   string
	UserAgent string
}

// LoginWithPassword checks email and password. Failures look and last the same
// whether the account exists or not. Errors: Unauthenticated, RateLimited.
func (s *Service) LoginWithPassword(ctx context.Context, email, password string, c Client, by Caller) (Login, error) {
	email = normalEmail(email)
	account, address := "account "+email, "address "+c.Address
	if err := s.throttle.check(account, address); err != nil {
		return Login{}, err
	}
	u, stored, err := s.store.UserByEmail(ctx, email)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return Login{}, err
	}
	if len(password) > MaxPassword {
		password = "" // never right, and costs no more than any other
	}
	ok, rehash, err := s.hasher.verify(ctx, stored, password)
	if err != nil {
		return Login{}, err
	}
	if !ok {
		s.throttle.fail(account, freeByAccount)
		s.throttle.fail(address, freeByAddress)
		a := by.audit("login.failed", "user "+u.ID, "", map[string]any{"email": clip(email, 254), "reason": "wrong email or password"})
		if err := s.store.Record(ctx, a); err != nil {
			return Login{}, err
		}
		return Login{}, fault.New(fault.Unauthenticated, "email or password is not right; without a password, get a login link with `edgewright login --link` on the server")
	}
	s.throttle.reset(account)
	if rehash {
		if err := s.rehash(ctx, u, password); err != nil {
			return Login{}, err
		}
	}
	return s.startSession(ctx, u, c, by, "password")
}

// rehash brings a stored password to today's parameters. Somebody else's change
// of the account in the meantime wins.
func (s *Service) rehash(ctx context.Context, u User, password string) error {
	hash, err := s.hasher.hash(ctx, password)
	if err != nil {
		return err
	}
	a := Audit{Actor: "system access", Action: "password.rehash", Target: "user " + u.ID}
	_, err = s.store.UpdateUser(ctx, u, u.Revision, &hash, nil, a)
	if fault.Is(err, fault.Stale) {
		return nil
	}
	return err
}

// LoginWithLink spends a one-time link. A login link logs its user in. An
// invitation makes its email's account, or, when there is one, needs p to be
// that account: who invites somebody must not become them. Errors:
// Unauthenticated, Conflict, RateLimited.
func (s *Service) LoginWithLink(ctx context.Context, link string, p *Principal, c Client, by Caller) (Login, error) {
	address := "address " + c.Address
	if err := s.throttle.check(address); err != nil {
		return Login{}, err
	}
	hash := hashSecret(linkSecret(link))
	l, err := s.store.Link(ctx, hash, s.now().UTC())
	if fault.Is(err, fault.NotFound) || err == nil && !sameHash(l.Hash, hash) {
		return Login{}, s.linkFailed(ctx, address, by)
	}
	if err != nil {
		return Login{}, err
	}
	var u User
	if l.Purpose == PurposeInvite {
		u, err = s.accept(ctx, l, p, by)
	} else {
		u, err = s.spend(ctx, l, by)
	}
	if fault.Is(err, fault.NotFound) { // used by somebody else a moment ago
		return Login{}, s.linkFailed(ctx, address, by)
	}
	if err != nil {
		return Login{}, err
	}
	by.Actor = "user " + u.ID
	return s.startSession(ctx, u, c, by, "link")
}

func (s *Service) linkFailed(ctx context.Context, address string, by Caller) error {
	s.throttle.fail(address, freeByAddress)
	if err := s.store.Record(ctx, by.audit("login.failed", "", "", map[string]any{"reason": "unknown, used or expired link"})); err != nil {
		return err
	}
	return fault.New(fault.Unauthenticated, "this link is unknown, used or expired; get a new one with `edgewright login --link` on the server, or ask who invited you")
}

func (s *Service) spend(ctx context.Context, l Link, by Caller) (User, error) {
	u, err := s.store.User(ctx, l.User)
	if err != nil {
		return u, err
	}
	by.Actor = "user " + u.ID
	return u, s.store.UseLink(ctx, l.Hash, s.now().UTC(), nil, nil, by.audit("login_link.use", "user "+u.ID, "", nil))
}

// accept turns an invitation into a membership.
func (s *Service) accept(ctx context.Context, l Link, p *Principal, by Caller) (User, error) {
	now := s.now().UTC()
	u, _, err := s.store.UserByEmail(ctx, l.Email)
	exists := err == nil
	switch {
	case exists && (p == nil || p.Kind != ByUser || p.ID != u.ID):
		return u, fault.New(fault.Conflict, "this invitation is for %s, who has an account: log in with it first, then open the link again", l.Email)
	case !exists && !fault.Is(err, fault.NotFound):
		return u, err
	case !exists:
		u = User{ID: resource.NewID("usr"), Email: l.Email, Name: l.Name, Revision: 1, CreatedAt: now, UpdatedAt: now}
	}
	role := l.Role
	if exists { // an invitation never takes rights away
		grants, err := s.store.Grants(ctx, u.ID, l.Project)
		if err != nil {
			return u, err
		}
		for _, g := range grants {
			role = stronger(role, g.Role)
		}
	}
	grant := Grant{User: u.ID, Project: l.Project, Role: role, Revision: 1, CreatedAt: now, UpdatedAt: now}
	by.Actor = "user " + u.ID
	a := by.audit("member.accept", "user "+u.ID, projectOf(l.Project), map[string]any{"role": string(role), "invitation": l.ID})
	if exists {
		return u, s.store.UseLink(ctx, l.Hash, now, nil, &grant, a)
	}
	return u, s.store.UseLink(ctx, l.Hash, now, &u, &grant, a)
}

// linkSecret understands a pasted link as well as its secret alone.
func linkSecret(link string) string {
	link = strings.TrimSpace(link)
	if i := strings.LastIndexAny(link, "#=/"); i >= 0 {
		link = link[i+1:]
	}
	return link
}

func (s *Service) startSession(ctx context.Context, u User, c Client, by Caller, how string) (Login, error) {
	secret, err := newSecret(s.random)
	if err != nil {
		return Login{}, err
	}
	now := s.now().UTC()
	session := Session{
		Hash: hashSecret(secret), User: u.ID, CreatedAt: now, ExpiresAt: now.Add(SessionLife), LastSeenAt: now,
		Address: c.Address, UserAgent: clip(c.UserAgent, 200),
	}
	by.Actor = "user " + u.ID
	if err := s.store.CreateSession(ctx, session, by.audit("login", "user "+u.ID, "", map[string]any{"with": how})); err != nil {
		return Login{}, err
	}
	if u, err = s.store.User(ctx, u.ID); err != nil {
		return Login{}, err
	}
	return Login{User: u, Secret: secret, Expires: session.ExpiresAt}, nil
}

// Logout ends a session.
func (s *Service) Logout(ctx context.Context, session []byte, by Caller) error {
	err := s.store.DeleteSession(ctx, session, by.audit("logout", by.Actor, "", nil))
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

// AuthenticateSession returns who a session cookie belongs to, or
// Unauthenticated.
func (s *Service) AuthenticateSession(ctx context.Context, secret string) (*Principal, error) {
	hash := hashSecret(secret)
	session, err := s.store.Session(ctx, hash)
	now := s.now().UTC()
	if fault.Is(err, fault.NotFound) || err == nil &&
		(!sameHash(session.Hash, hash) || !now.Before(session.ExpiresAt) || now.Sub(session.LastSeenAt) > SessionIdle) {
		return nil, fault.New(fault.Unauthenticated, "the session has ended; log in again")
	}
	if err != nil {
		return nil, err
	}
	u, err := s.store.User(ctx, session.User)
	if err != nil {
		return nil, err
	}
	grants, err := s.grantsOf(ctx, u.ID)
	if err != nil {
		return nil, err
	}
	if now.Sub(session.LastSeenAt) >= touchEvery {
		if err := s.store.TouchSession(ctx, hash, now); err != nil {
			return nil, err
		}
	}
	return &Principal{Kind: ByUser, ID: u.ID, Name: u.Name, User: u.ID, Grants: grants, Expires: session.ExpiresAt, Session: hash}, nil
}

func (s *Service) grantsOf(ctx context.Context, user string) (map[string]Role, error) {
	list, err := s.store.Grants(ctx, user, "")
	if err != nil {
		return nil, err
	}
	grants := make(map[string]Role, len(list))
	for _, g := range list {
		grants[g.Project] = g.Role
	}
	return grants, nil
}

func clip(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return strings.ToValidUTF8(text[:n], "")
}

// projectOf is how the audit log files what concerns the platform.
func projectOf(project string) string {
	if project == Platform {
		return ""
	}
	return project
}
