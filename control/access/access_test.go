package access_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/control/store"
	"github.com/edgewright/edgewright/control/store/storetest"
	"github.com/edgewright/edgewright/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const project = "prj_1"

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

type room struct {
	*access.Service
	t     *testing.T
	db    *store.DB
	clock *clock
	owner *access.Principal
}

var (
	ctx    = context.Background()
	by     = access.Caller{Actor: "user usr_test", RequestID: "req_1", Address: "192.0.2.1"}
	client = access.Client{Address: "192.0.2.1", UserAgent: "test"}
)

const adminToken = "an-admin-token-of-tests"

func newRoom(t *testing.T) *room {
	t.Helper()
	c := &clock{at: time.Date(2026, 11, 3, 10, 0, 0, 0, time.UTC)}
	db := storetest.Open(t, storetest.SQLiteDSN(t), storetest.Keyring(t), store.Options{Now: c.now})
	s, err := access.New(access.Options{Store: db, Now: c.now})
	check(t, err)
	r := &room{Service: s, t: t, db: db, clock: c}
	started, err := s.Bootstrap(ctx, adminToken)
	check(t, err)
	r.owner = r.session(r.link(started.Link))
	return r
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func code(t testing.TB, err error, want fault.Code) {
	t.Helper()
	if fault.CodeOf(err) != want {
		t.Fatalf("error %v, want the code %q", err, want)
	}
}

func (r *room) link(secret string) access.Login {
	r.t.Helper()
	l, err := r.LoginWithLink(ctx, secret, nil, client, by)
	check(r.t, err)
	return l
}

func (r *room) session(l access.Login) *access.Principal {
	r.t.Helper()
	p, err := r.AuthenticateSession(ctx, l.Secret)
	check(r.t, err)
	return p
}

// member makes somebody with a role on a project.
func (r *room) member(email string, on string, role access.Role) *access.Principal {
	r.t.Helper()
	_, secret, err := r.Invite(ctx, r.owner, on, email, "", role, by)
	check(r.t, err)
	return r.session(r.link(secret))
}

// trace returns the actions in the audit log, newest first.
func (r *room) trace() string {
	r.t.Helper()
	entries, _, err := r.db.AuditLog(ctx, store.AuditQuery{Limit: 1000})
	check(r.t, err)
	var actions []string
	for _, e := range entries {
		actions = append(actions, e.Action)
	}
	return strings.Join(actions, " ")
}

func TestBootstrap(t *testing.T) {
	db := storetest.SQLite(t)
	s, err := access.New(access.Options{Store: db})
	check(t, err)
	for _, weak := range []string{"short", "has a space in it", "ümlaut-in-the-token", strings.Repeat("x", 300)} {
		_, err := s.Bootstrap(ctx, weak)
		code(t, err, fault.Invalid)
	}
	// Two control planes start at once: one makes the owner.
	var wg sync.WaitGroup
	started := make([]access.Started, 2)
	for i := range started {
		wg.Go(func() {
			var err error
			if started[i], err = s.Bootstrap(ctx, adminToken); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if started[0].First == started[1].First {
		t.Fatalf("the first start happened %v and %v", started[0].First, started[1].First)
	}
	p, err := s.AuthenticateToken(ctx, adminToken, client)
	check(t, err)
	if !p.Can(access.Platform, access.Backups, access.Read) || p.Actor() != "token "+p.ID {
		t.Fatalf("the adopted token is %+v", p)
	}
	again, err := s.Bootstrap(ctx, "another-token-of-tests")
	check(t, err)
	if again.First {
		t.Fatalf("a later start is %+v", again)
	}
	_, err = s.AuthenticateToken(ctx, "another-token-of-tests", client)
	code(t, err, fault.Unauthenticated)
}

// Whoever missed the link of the first start is not locked out by the next one.
func TestStartsGiveALinkUntilThereIsAPassword(t *testing.T) {
	r := newRoom(t)
	start := func() access.Started {
		started, err := r.Bootstrap(ctx, "")
		check(t, err)
		return started
	}
	missed, used := start(), start()
	owner := r.link(used.Link)
	if missed.First || used.First || owner.User.Email != "owner@localhost" {
		t.Fatalf("later starts are %+v and %+v, for %+v", missed, used, owner.User)
	}
	_, err := r.UpdateAccount(ctx, r.session(owner), owner.User.Revision, access.AccountChange{Password: "a long enough passphrase"}, by)
	check(t, err)
	if again := start(); again.Link != "" {
		t.Fatal("a start gave a link although the owner has a password")
	}
	if n := strings.Count(r.trace(), "login_link.create"); n != 3 {
		t.Errorf("%d links in the audit log: %s", n, r.trace())
	}
}

func TestLoginLinks(t *testing.T) {
	r := newRoom(t)
	secret, err := r.IssueLoginLink(ctx, "", by)
	check(t, err)
	l := r.link("https://control.example.com/login?link=" + secret)
	if l.User.HasPassword || l.User.LastLoginAt.IsZero() || !l.Expires.Equal(r.clock.now().Add(access.SessionLife)) {
		t.Fatalf("%+v", l)
	}
	_, err = r.LoginWithLink(ctx, secret, nil, client, by)
	code(t, err, fault.Unauthenticated)

	secret, err = r.IssueLoginLink(ctx, "Owner@localhost", by)
	check(t, err)
	r.clock.pass(access.LoginLinkLife)
	_, err = r.LoginWithLink(ctx, secret, nil, client, by)
	code(t, err, fault.Unauthenticated)
	_, err = r.IssueLoginLink(ctx, "nobody@example.com", by)
	code(t, err, fault.NotFound)
	if n := strings.Count(r.trace(), "login.failed"); n != 2 {
		t.Errorf("%d failed logins in the audit log: %s", n, r.trace())
	}

	secret, err = r.IssueLoginLink(ctx, "", by)
	check(t, err)
	check(t, r.DeleteExpired(ctx))
	l = r.link(secret)
	p := r.session(l)
	check(t, r.Logout(ctx, p.Session, by))
	check(t, r.Logout(ctx, p.Session, by))
	_, err = r.AuthenticateSession(ctx, l.Secret)
	code(t, err, fault.Unauthenticated)
}

func TestSessionsEnd(t *testing.T) {
	r := newRoom(t)
	open := func() access.Login {
		secret, err := r.IssueLoginLink(ctx, "", by)
		check(t, err)
		return r.link(secret)
	}
	idle, busy := open(), open()
	for range 5 {
		r.clock.pass(access.SessionIdle - time.Hour)
		if r.clock.now().After(busy.Expires) {
			break
		}
		_, err := r.AuthenticateSession(ctx, busy.Secret)
		check(t, err)
	}
	_, err := r.AuthenticateSession(ctx, idle.Secret)
	code(t, err, fault.Unauthenticated)
	_, err = r.AuthenticateSession(ctx, busy.Secret)
	code(t, err, fault.Unauthenticated) // used all the time, but too old
	_, err = r.AuthenticateSession(ctx, "")
	code(t, err, fault.Unauthenticated)
}

func TestPasswords(t *testing.T) {
	r := newRoom(t)
	change := func(c access.AccountChange) error {
		_, err := r.UpdateAccount(ctx, r.owner, 0, c, by)
		return err
	}
	for _, weak := range []string{"short", strings.Repeat("long ", 200), "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "owner@localhost"} {
		code(t, change(access.AccountChange{Password: weak}), fault.Invalid)
	}
	check(t, change(access.AccountChange{Password: "correct horse", Email: "Me@Example.com"}))
	code(t, change(access.AccountChange{Password: "battery staple"}), fault.Invalid)
	code(t, change(access.AccountChange{Email: "you@example.com", CurrentPassword: "wrong"}), fault.Invalid)
	check(t, change(access.AccountChange{Name: "Me"})) // a name needs no proof
	for _, bad := range []string{"no address", "Me <me@example.com>", "me@", strings.Repeat("x", 300) + "@example.com"} {
		code(t, change(access.AccountChange{Email: bad, CurrentPassword: "correct horse"}), fault.Invalid)
	}
	code(t, change(access.AccountChange{Name: "two\nlines"}), fault.Invalid)

	l, err := r.LoginWithPassword(ctx, " ME@example.com ", "correct horse", client, by)
	check(t, err)
	if !l.User.HasPassword || l.User.Name != "Me" {
		t.Fatalf("%+v", l.User)
	}
	_, err = r.UpdateAccount(ctx, r.owner, 1, access.AccountChange{Name: "Stale"}, by)
	code(t, err, fault.Stale)

	check(t, change(access.AccountChange{Password: "battery staple", CurrentPassword: "correct horse"}))
	_, err = r.AuthenticateSession(ctx, l.Secret)
	code(t, err, fault.Unauthenticated) // another session, which the new password ends
	_, err = r.LoginWithPassword(ctx, "me@example.com", "correct horse", client, by)
	code(t, err, fault.Unauthenticated)
	_, err = r.LoginWithPassword(ctx, "me@example.com", "battery staple", client, by)
	check(t, err)

	token, err := r.AuthenticateToken(ctx, adminToken, client)
	check(t, err)
	_, err = r.UpdateAccount(ctx, token, 0, access.AccountChange{Name: "Token"}, by)
	code(t, err, fault.Forbidden)
}

func TestLoginThrottle(t *testing.T) {
	r := newRoom(t)
	_, err := r.UpdateAccount(ctx, r.owner, 0, access.AccountChange{Password: "correct horse"}, by)
	check(t, err)
	try := func(email, password, address string) error {
		_, err := r.LoginWithPassword(ctx, email, password, access.Client{Address: address}, by)
		return err
	}
	for range 6 {
		code(t, try("owner@localhost", "wrong password", "192.0.2.7"), fault.Unauthenticated)
	}
	err = try("owner@localhost", "correct horse", "192.0.2.8")
	code(t, err, fault.RateLimited) // by account, from wherever
	var limited *fault.Error
	if limited = err.(*fault.Error); limited.RetryAfter <= 0 {
		t.Fatalf("%+v", limited)
	}
	r.clock.pass(limited.RetryAfter)
	check(t, try("owner@localhost", "correct horse", "192.0.2.8"))
	code(t, try("owner@localhost", "wrong password", "192.0.2.8"), fault.Unauthenticated) // counts from none again
	check(t, try("owner@localhost", "correct horse", "192.0.2.8"))

	// Each failure doubles the wait; unknown accounts are held up alike.
	var waits []time.Duration
	for len(waits) < 4 {
		err := try("nobody@example.com", "wrong password", "192.0.2.9")
		if fault.Is(err, fault.RateLimited) {
			waits = append(waits, err.(*fault.Error).RetryAfter)
			r.clock.pass(waits[len(waits)-1])
		}
	}
	if waits[3] < 4*waits[1]/2 || waits[3] > 20*time.Minute {
		t.Fatalf("waits %v", waits)
	}
	// By address, whatever the account; a login link is not held up by the account.
	for i := range 40 {
		if fault.Is(try(string(rune('a'+i%26))+"@example.com", "wrong password", "192.0.2.10"), fault.RateLimited) {
			break
		}
		if i == 39 {
			t.Fatal("an address may try accounts without end")
		}
	}
	for range 6 {
		_ = try("owner@localhost", "wrong password", "192.0.2.11")
	}
	secret, err := r.IssueLoginLink(ctx, "", by)
	check(t, err)
	_, err = r.LoginWithLink(ctx, secret, nil, access.Client{Address: "192.0.2.12"}, by)
	check(t, err)
	if !strings.Contains(r.trace(), "login.failed") {
		t.Fatal("failed logins are not in the audit log")
	}
}

func TestTokenGuessing(t *testing.T) {
	r := newRoom(t)
	for i := range 300 {
		_, err := r.AuthenticateToken(ctx, "ew_wrong", access.Client{Address: "192.0.2.66"})
		if fault.Is(err, fault.RateLimited) {
			_, err = r.AuthenticateToken(ctx, adminToken, access.Client{Address: "192.0.2.67"})
			check(t, err)
			return
		}
		code(t, err, fault.Unauthenticated)
		if i == 299 {
			t.Fatal("an address may guess tokens without end")
		}
	}
}

func TestTokens(t *testing.T) {
	r := newRoom(t)
	dev := r.member("dev@example.com", project, access.Developer)
	make := func(p *access.Principal, n access.NewToken) (access.Token, string, error) {
		if n.Name == "" {
			n.Name = "ci"
		}
		if n.Project == "" {
			n.Project = project
		}
		return r.CreateToken(ctx, p, n, by)
	}
	token, secret, err := make(dev, access.NewToken{Scopes: []string{"domains:*", "*:read"}})
	check(t, err)
	if token.Role != access.Developer || !strings.HasSuffix(secret, token.Hint) || token.User != dev.ID {
		t.Fatalf("%+v", token)
	}
	p, err := r.AuthenticateToken(ctx, secret, client)
	check(t, err)
	for _, c := range []struct {
		project  string
		resource access.Resource
		verb     access.Verb
		can      bool
	}{
		{project, access.Domains, access.Write, true},
		{project, access.Domains, access.Delete, true},
		{project, access.CDN, access.Read, true},
		{project, access.CDN, access.Write, false},
		{project, access.AuditLog, access.Read, false},
		{"prj_2", access.Domains, access.Read, false},
		{access.Platform, access.Edges, access.Write, false},
	} {
		if got := p.Can(c.project, c.resource, c.verb); got != c.can {
			t.Errorf("Can(%s, %s:%s) is %v", c.project, c.resource, c.verb, got)
		}
	}

	// A token can do no more than its maker.
	_, _, err = make(dev, access.NewToken{Role: access.Admin})
	code(t, err, fault.Forbidden)
	_, _, err = make(dev, access.NewToken{Project: "prj_2"})
	code(t, err, fault.Forbidden)
	_, _, err = make(dev, access.NewToken{Project: access.Platform, Role: access.Viewer})
	code(t, err, fault.Forbidden)
	_, _, err = make(p, access.NewToken{Scopes: []string{"cdn:write"}})
	code(t, err, fault.Forbidden)
	_, _, err = make(p, access.NewToken{Scopes: []string{"*:*"}})
	code(t, err, fault.Forbidden)
	child, _, err := make(p, access.NewToken{})
	check(t, err)
	if len(child.Scopes) != 2 {
		t.Fatalf("a token made by a narrowed one has the scopes %v", child.Scopes)
	}
	for _, bad := range []access.NewToken{
		{Role: "king"},
		{Scopes: []string{"domains"}},
		{Scopes: []string{"weather:read"}},
		{Scopes: []string{"domains:fly"}},
		{ExpiresAt: r.clock.now().Add(-time.Second)},
		{Name: "a\x00b"},
	} {
		_, _, err := make(r.owner, bad)
		code(t, err, fault.Invalid)
	}

	// Time: a token ends, and what it makes ends with it.
	_, secret, err = make(r.owner, access.NewToken{ExpiresAt: r.clock.now().Add(time.Hour)})
	check(t, err)
	short, err := r.AuthenticateToken(ctx, secret, client)
	check(t, err)
	child, _, err = make(short, access.NewToken{})
	check(t, err)
	if !child.ExpiresAt.Equal(short.Expires) {
		t.Fatalf("a token made by one that ends at %v ends at %v", short.Expires, child.ExpiresAt)
	}
	_, _, err = make(short, access.NewToken{ExpiresAt: r.clock.now().Add(2 * time.Hour)})
	code(t, err, fault.Invalid)
	r.clock.pass(time.Hour)
	_, err = r.AuthenticateToken(ctx, secret, client)
	code(t, err, fault.Unauthenticated)

	// Who sees which: an admin all, others their own.
	list, next, err := r.Tokens(ctx, r.owner, project, "", 1)
	check(t, err)
	if len(list) != 1 || next == "" {
		t.Fatalf("%v %q", list, next)
	}
	viewer := r.member("viewer@example.com", project, access.Viewer)
	if list, _, err = r.Tokens(ctx, viewer, project, "", 10); err != nil || len(list) != 0 {
		t.Fatalf("%v %v", list, err)
	}
	code(t, r.RevokeToken(ctx, viewer, token.ID, 0, by), fault.NotFound)
	stranger := r.member("stranger@example.com", "prj_2", access.Owner)
	code(t, r.RevokeToken(ctx, stranger, token.ID, 0, by), fault.NotFound)
	check(t, r.RevokeToken(ctx, dev, token.ID, 0, by))
	code(t, r.RevokeToken(ctx, dev, token.ID, 0, by), fault.NotFound)
}

func TestTokensFollowTheirOwner(t *testing.T) {
	r := newRoom(t)
	admin := r.member("admin@example.com", project, access.Admin)
	_, secret, err := r.CreateToken(ctx, admin, access.NewToken{Name: "ci", Project: project, Role: access.Admin}, by)
	check(t, err)
	_, err = r.SetRole(ctx, r.owner, project, admin.ID, access.Viewer, 0, by)
	check(t, err)
	p, err := r.AuthenticateToken(ctx, secret, client)
	check(t, err)
	if p.Role(project) != access.Viewer {
		t.Fatalf("the token of a viewer has the role %s", p.Role(project))
	}
	check(t, r.RemoveMember(ctx, r.owner, project, admin.ID, 0, by))
	_, err = r.AuthenticateToken(ctx, secret, client)
	code(t, err, fault.Unauthenticated)
	if p, err = r.AuthenticateSession(ctx, "x"); err == nil {
		t.Fatalf("%+v", p)
	}
}

func TestInvitations(t *testing.T) {
	r := newRoom(t)
	admin := r.member("admin@example.com", project, access.Admin)
	invite := func(p *access.Principal, on, email string, role access.Role) (string, error) {
		_, secret, err := r.Invite(ctx, p, on, email, "", role, by)
		return secret, err
	}
	_, err := invite(admin, project, "new@example.com", access.Owner)
	code(t, err, fault.Forbidden)
	_, err = invite(admin, project, "new@example.com", "king")
	code(t, err, fault.Invalid)
	_, err = invite(admin, project, "no address", access.Viewer)
	code(t, err, fault.Invalid)
	_, err = invite(admin, project, "admin@example.com", access.Viewer)
	code(t, err, fault.Conflict)

	secret, err := invite(admin, project, "new@example.com", access.Developer)
	check(t, err)
	_, err = invite(admin, project, "new@example.com", access.Viewer)
	code(t, err, fault.Conflict)
	newcomer := r.session(r.link(secret))
	if newcomer.Role(project) != access.Developer || newcomer.Sees("prj_2") {
		t.Fatalf("%+v", newcomer)
	}

	// Whoever invites an account cannot become it: the link needs its session.
	other := r.member("other@example.com", "prj_2", access.Owner)
	secret, err = invite(other, "prj_2", "new@example.com", access.Viewer)
	check(t, err)
	_, err = r.LoginWithLink(ctx, secret, nil, client, by)
	code(t, err, fault.Conflict)
	_, err = r.LoginWithLink(ctx, secret, other, client, by)
	code(t, err, fault.Conflict)
	l, err := r.LoginWithLink(ctx, secret, newcomer, client, by)
	check(t, err)
	if p := r.session(l); p.ID != newcomer.ID || p.Role("prj_2") != access.Viewer || p.Role(project) != access.Developer {
		t.Fatalf("%+v", p)
	}

	// Withdrawn and expired ones are worth nothing; members and invitations are listed.
	secret, err = invite(admin, project, "late@example.com", access.Viewer)
	check(t, err)
	members, err := r.Members(ctx, project)
	check(t, err)
	if len(members) != 3 || members[2].Invitation == nil {
		t.Fatalf("%+v", members)
	}
	check(t, r.RemoveMember(ctx, admin, project, members[2].Invitation.ID, 0, by))
	_, err = r.LoginWithLink(ctx, secret, nil, client, by)
	code(t, err, fault.Unauthenticated)
	secret, err = invite(admin, project, "late@example.com", access.Viewer)
	check(t, err)
	r.clock.pass(access.InviteLife)
	_, err = r.LoginWithLink(ctx, secret, nil, client, by)
	code(t, err, fault.Unauthenticated)
}

func TestInvitationTakesNothingAway(t *testing.T) {
	r := newRoom(t)
	_, secret, err := r.Invite(ctx, r.owner, project, "owner@localhost", "", access.Viewer, by)
	check(t, err)
	check(t, r.Service.Grant(ctx, r.owner.ID, project, access.Admin, by))
	_, err = r.LoginWithLink(ctx, secret, r.owner, client, by)
	check(t, err)
	grants, err := r.db.Grants(ctx, r.owner.ID, project)
	check(t, err)
	if grants[0].Role != access.Admin {
		t.Fatalf("an invitation made an admin a %s", grants[0].Role)
	}
}

func TestMembers(t *testing.T) {
	r := newRoom(t)
	admin := r.member("admin@example.com", project, access.Admin)
	owner := r.member("boss@example.com", project, access.Owner)
	_, err := r.SetRole(ctx, admin, project, owner.ID, access.Viewer, 0, by)
	code(t, err, fault.Forbidden)
	_, err = r.SetRole(ctx, admin, project, admin.ID, access.Owner, 0, by)
	code(t, err, fault.Forbidden)
	code(t, r.RemoveMember(ctx, admin, project, owner.ID, 0, by), fault.Forbidden)
	_, err = r.SetRole(ctx, owner, project, "admin@example.com", access.Developer, 9, by)
	code(t, err, fault.Stale)
	_, err = r.SetRole(ctx, owner, project, "nobody@example.com", access.Developer, 0, by)
	code(t, err, fault.NotFound)
	_, err = r.SetRole(ctx, owner, project, r.owner.ID, access.Viewer, 0, by)
	code(t, err, fault.NotFound) // the platform's owner is no member of the project
	_, err = r.SetRole(ctx, r.owner, access.Platform, r.owner.ID, access.Admin, 0, by)
	code(t, err, fault.Conflict)
	code(t, r.RemoveMember(ctx, r.owner, access.Platform, r.owner.ID, 0, by), fault.Conflict)
	second := r.member("second@example.com", access.Platform, access.Owner)
	check(t, r.RemoveMember(ctx, second, access.Platform, r.owner.ID, 0, by))
	check(t, r.ForgetProject(ctx, project, by))
	members, err := r.Members(ctx, project)
	check(t, err)
	if len(members) != 0 {
		t.Fatalf("%+v", members)
	}
}
