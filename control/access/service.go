package access

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/mail"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// Life spans.
const (
	SessionLife   = 30 * 24 * time.Hour
	SessionIdle   = 7 * 24 * time.Hour
	FirstLinkLife = 24 * time.Hour
	LoginLinkLife = 15 * time.Minute
	InviteLife    = 7 * 24 * time.Hour
	touchEvery    = time.Minute
)

// Options of a Service.
type Options struct {
	Store  Store
	Now    func() time.Time // nil: time.Now
	Random io.Reader        // nil: crypto/rand
}

// Service is the room's use cases.
type Service struct {
	store    Store
	now      func() time.Time
	random   io.Reader
	hasher   *hasher
	throttle *throttle
}

// New returns a Service.
func New(o Options) (*Service, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	h, err := newHasher(o.Random)
	if err != nil {
		return nil, err
	}
	return &Service{store: o.Store, now: o.Now, random: o.Random, hasher: h, throttle: newThrottle(o.Now)}, nil
}

// Started is what Bootstrap found or made.
type Started struct {
	First bool   // this was the first start: an owner was made
	Owner User   // with First
	Link  string // while no owner has a password: the secret of a one-time login link for one
}

// Bootstrap makes the owner's account on the first start, with a one-time login
// link and, when adminToken is not "", that string as an API token with the
// owner's rights on the whole platform. Later starts give another link while no
// owner has a password, and change nothing else.
func (s *Service) Bootstrap(ctx context.Context, adminToken string) (Started, error) {
	n, err := s.store.CountUsers(ctx)
	if err != nil {
		return Started{}, err
	}
	by := Caller{Actor: "system bootstrap"}
	if n > 0 {
		link, err := s.unclaimed(ctx, by)
		return Started{Link: link}, err
	}
	if adminToken != "" {
		if err := checkAdminToken(adminToken); err != nil {
			return Started{}, err
		}
	}
	now := s.now().UTC()
	owner := User{ID: resource.NewID("usr"), Email: "owner@localhost", Name: "Owner", Revision: 1, CreatedAt: now, UpdatedAt: now}
	grant := Grant{User: owner.ID, Project: Platform, Role: Owner, Revision: 1, CreatedAt: now, UpdatedAt: now}
	// The token goes first: the owner's row is what ends the first start, so a
	// crash in between repeats it.
	if adminToken != "" {
		t := Token{
			ID: resource.NewID("tok"), Hash: hashSecret(adminToken), Hint: hint(adminToken), Name: "EDGEWRIGHT_ADMIN_TOKEN",
			Project: Platform, Role: Owner, Revision: 1, CreatedAt: now,
		}
		err := s.store.CreateToken(ctx, t, by.audit("token.adopt", "token "+t.ID, "", nil))
		if err != nil && !fault.Is(err, fault.Conflict) {
			return Started{}, err
		}
	}
	err = s.store.CreateUser(ctx, owner, []Grant{grant}, by.audit("user.create", "user "+owner.ID, "", nil))
	if fault.Is(err, fault.Conflict) { // another control plane was first
		return Started{}, nil
	}
	if err != nil {
		return Started{}, err
	}
	link, err := s.link(ctx, owner, FirstLinkLife, by)
	return Started{First: true, Owner: owner, Link: link}, err
}

// unclaimed returns a link while no owner of the platform has a password: the
// first start's works once and for a day, and nobody could sign in without one.
// A platform without owners is left to its operator.
func (s *Service) unclaimed(ctx context.Context, by Caller) (string, error) {
	owners, err := s.owners(ctx)
	if err != nil || len(owners) == 0 || slices.ContainsFunc(owners, func(u User) bool { return u.HasPassword }) {
		return "", err
	}
	return s.link(ctx, owners[0], FirstLinkLife, by)
}

// owners returns the owners of the whole platform.
func (s *Service) owners(ctx context.Context) ([]User, error) {
	grants, err := s.store.Grants(ctx, "", Platform)
	if err != nil {
		return nil, err
	}
	var owners []User
	for _, g := range grants {
		if g.Role != Owner {
			continue
		}
		u, err := s.store.User(ctx, g.User)
		if err != nil {
			return nil, err
		}
		owners = append(owners, u)
	}
	return owners, nil
}

// checkAdminToken refuses what could be guessed or could not be sent in a header.
func checkAdminToken(token string) error {
	bad := strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' })
	if len(token) < 8 || len(token) > 256 || bad {
		return fault.New(fault.Invalid, "EDGEWRIGHT_ADMIN_TOKEN must be 8 to 256 printable ASCII characters without spaces; make one with `openssl rand -hex 32`")
	}
	return nil
}

// IssueLoginLink returns the secret of a new one-time login link for the account
// with that email; "" is the first owner of the platform. It is for callers who
// have the machine already: it asks for no credentials.
func (s *Service) IssueLoginLink(ctx context.Context, email string, by Caller) (string, error) {
	var u User
	var err error
	if email != "" {
		if u, _, err = s.store.UserByEmail(ctx, normalEmail(email)); err != nil {
			return "", err
		}
		return s.link(ctx, u, LoginLinkLife, by)
	}
	owners, err := s.owners(ctx)
	if err != nil {
		return "", err
	}
	if len(owners) > 0 {
		return s.link(ctx, owners[0], LoginLinkLife, by)
	}
	return "", fault.New(fault.NotFound, "the platform has no owner yet; start it once with `edgewright up`")
}

func (s *Service) link(ctx context.Context, u User, life time.Duration, by Caller) (string, error) {
	secret, err := newSecret(s.random)
	if err != nil {
		return "", err
	}
	now := s.now().UTC()
	l := Link{
		ID: resource.NewID("lnk"), Hash: hashSecret(secret), Purpose: PurposeLogin, User: u.ID, Revision: 1,
		CreatedBy: by.Actor, CreatedAt: now, ExpiresAt: now.Add(life),
	}
	return secret, s.store.CreateLink(ctx, l, by.audit("login_link.create", "user "+u.ID, "", nil))
}

// Record writes an audit record that belongs to no other write.
func (s *Service) Record(ctx context.Context, a Audit) error { return s.store.Record(ctx, a) }

// User returns a user.
func (s *Service) User(ctx context.Context, id string) (User, error) { return s.store.User(ctx, id) }

// DeleteExpired forgets what is no longer in force. Call it now and then.
func (s *Service) DeleteExpired(ctx context.Context) error {
	return s.store.DeleteExpired(ctx, s.now().UTC())
}

// AccountChange is what UpdateAccount changes; empty fields stay.
type AccountChange struct {
	Email, Name, Password, CurrentPassword string
}

// UpdateAccount changes one's own account. A new password ends all other
// sessions. Changing email or password needs the current password when there is
// one.
func (s *Service) UpdateAccount(ctx context.Context, p *Principal, ifRevision int64, c AccountChange, by Caller) (User, error) {
	if p.Kind != ByUser {
		return User{}, fault.New(fault.Forbidden, "a token has no account; log in as a user")
	}
	u, err := s.store.User(ctx, p.ID)
	if err != nil {
		return User{}, err
	}
	changed := []string{}
	if c.Email != "" && normalEmail(c.Email) != u.Email {
		if u.Email, err = checkEmail("/email", c.Email); err != nil {
			return User{}, err
		}
		changed = append(changed, "email")
	}
	if c.Name != "" && c.Name != u.Name {
		if u.Name, err = checkName("/name", c.Name); err != nil {
			return User{}, err
		}
		changed = append(changed, "name")
	}
	if u.HasPassword && (c.Password != "" || len(changed) > 0 && changed[0] == "email") {
		if err := s.confirm(ctx, u, c.CurrentPassword, by); err != nil {
			return User{}, err
		}
	}
	var newHash *string
	if c.Password != "" {
		if err := checkPassword("/password", c.Password, u.Email); err != nil {
			return User{}, err
		}
		hash, err := s.hasher.hash(ctx, c.Password)
		if err != nil {
			return User{}, err
		}
		newHash = &hash
		changed = append(changed, "password")
	}
	u.UpdatedAt = s.now().UTC()
	return s.store.UpdateUser(ctx, u, ifRevision, newHash, p.Session, by.audit("account.update", "user "+u.ID, "", map[string]any{"changed": changed}))
}

// confirm checks the current password, throttled like a login.
func (s *Service) confirm(ctx context.Context, u User, password string, by Caller) error {
	key := "account " + u.Email
	if err := s.throttle.check(key); err != nil {
		return err
	}
	stored, err := s.store.PasswordHash(ctx, u.ID)
	if err != nil {
		return err
	}
	ok, _, err := s.hasher.verify(ctx, stored, password)
	if err != nil {
		return err
	}
	if !ok {
		s.throttle.fail(key, freeByAccount)
		if err := s.store.Record(ctx, by.audit("account.refused", "user "+u.ID, "", map[string]any{"reason": "wrong current password"})); err != nil {
			return err
		}
		return fault.InvalidField("/current_password", "the current password is not right", "type the password you log in with now")
	}
	s.throttle.reset(key)
	return nil
}

func normalEmail(email string) string { return strings.ToLower(strings.TrimSpace(email)) }

func checkEmail(pointer, email string) (string, error) {
	e := normalEmail(email)
	a, err := mail.ParseAddress(e)
	if err != nil || a.Address != e || len(e) > 254 || strings.ContainsFunc(e, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune(`"<>`, r) }) {
		return "", fault.InvalidField(pointer, fmt.Sprintf("%q is not an email address", email), "write it like name@example.com")
	}
	return e, nil
}

// checkName holds names of people and tokens to one line of readable text.
func checkName(pointer, name string) (string, error) {
	n := strings.TrimSpace(name)
	if n == "" || utf8.RuneCountInString(n) > 100 || !utf8.ValidString(n) || strings.ContainsFunc(n, unicode.IsControl) {
		return "", fault.InvalidField(pointer, "the name is empty, longer than 100 characters or has control characters", "use a short plain name")
	}
	return n, nil
}
