package api

import (
	"context"
	"net/http"
	"time"

	"github.com/edgewright/edgewright/control/access"
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

func userOf(u access.User) User {
	return User{
		ID: u.ID, Email: u.Email, Name: u.Name, HasPassword: u.HasPassword, Revision: u.Revision,
		CreatedAt: u.CreatedAt.UTC(), LastLoginAt: timeOrNil(u.LastLoginAt),
	}
}

// Login is either a one-time link's secret or email and password.
type Login struct {
	Link     string `json:"link,omitempty" doc:"The secret of a one-time login link or invitation, or the whole link" maxLength:"2048"`
	Email    string `json:"email,omitempty" maxLength:"254"`
	Password string `json:"password,omitempty" maxLength:"1024"`
}

// LoggedIn is who has logged in. The session is in the cookie.
type LoggedIn struct {
	User            User `json:"user"`
	MustSetPassword bool `json:"must_set_password" doc:"The account has no password yet: set one with PUT /api/v1/account"`
}

// PrincipalInfo is what the credentials of a request may do.
type PrincipalInfo struct {
	Kind         string     `json:"kind" doc:"user or token"`
	ID           string     `json:"id"`
	Name         string     `json:"name"`
	PlatformRole string     `json:"platform_role,omitempty" doc:"Role on the whole platform"`
	Scopes       []string   `json:"scopes" doc:"Of a token; empty: all that the role allows"`
	ExpiresAt    *time.Time `json:"expires_at,omitempty"`
}

// ProjectAccess is a project and the caller's role in it.
type ProjectAccess struct {
	ID           string   `json:"id"`
	Name         string   `json:"name"`
	Title        string   `json:"title"`
	Role         string   `json:"role" doc:"owner, admin, developer or viewer"`
	Environments []string `json:"environments"`
}

// Session is who calls and what they may see.
type Session struct {
	User           *User           `json:"user,omitempty" doc:"Absent for a token"`
	Principal      PrincipalInfo   `json:"principal"`
	Projects       []ProjectAccess `json:"projects"`
	Version        string          `json:"version"`
	PlatformDomain string          `json:"platform_domain"`
}

// AccountUpdate changes one's own account. What is left out stays.
type AccountUpdate struct {
	Email           string `json:"email,omitempty" maxLength:"254"`
	Name            string `json:"name,omitempty" maxLength:"100"`
	Password        string `json:"password,omitempty" maxLength:"1024" doc:"The new password; other sessions end"`
	CurrentPassword string `json:"current_password,omitempty" maxLength:"1024" doc:"Needed when the account has a password and email or password change"`
}

// Account is one's own account.
type Account struct {
	User User `json:"user"`
}

type loginInput struct{ Body Login }

type accountInput struct {
	InMatch
	Body AccountUpdate
}

type empty struct{}

func (s *Server) addAccount() {
	add(s, op{
		method: http.MethodPost, path: "/api/v1/login", id: "login", tag: "Account", summary: "Log in",
		doc:   "With a one-time link or email and password. Sets the session cookie. Failed logins are throttled by account and address.",
		level: public, noKey: true, answers: []answerDoc{{http.StatusOK, LoggedIn{}, ""}},
	}, s.login)
	add(s, op{
		method: http.MethodPost, path: "/api/v1/logout", id: "logout", tag: "Account", summary: "Log out",
		level: signedIn, noKey: true, answers: []answerDoc{{http.StatusNoContent, nil, ""}},
	}, s.logout)
	add(s, op{
		method: http.MethodGet, path: "/api/v1/session", id: "session", tag: "Account", summary: "Who am I, and what may I see",
		level: signedIn, answers: []answerDoc{{http.StatusOK, Session{}, ""}},
	}, s.session)
	add(s, op{
		method: http.MethodPut, path: "/api/v1/account", id: "account-update", tag: "Account", summary: "Change one's own account",
		level: signedIn, answers: []answerDoc{{http.StatusOK, Account{}, ""}},
	}, s.updateAccount)
}

func (s *Server) logout(ctx context.Context, c *call, _ *empty) (*answer, error) {
	if len(c.principal.Session) > 0 {
		if err := s.access.Logout(ctx, c.principal.Session, c.caller); err != nil {
			return nil, err
		}
	}
	info := requestFrom(ctx)
	info.cookies = append(info.cookies, s.newSessionCookie(info, "", time.Time{}))
	return &answer{}, nil
}

func (s *Server) session(ctx context.Context, c *call, _ *empty) (*answer, error) {
	p := c.principal
	out := Session{
		Principal: PrincipalInfo{
			Kind: string(p.Kind), ID: p.ID, Name: p.Name, PlatformRole: string(p.Role(access.Platform)), Scopes: []string{}, ExpiresAt: timeOrNil(p.Expires),
		},
		Projects: []ProjectAccess{}, Version: s.options.Version, PlatformDomain: s.options.PlatformDomain,
	}
	for _, scope := range p.Scopes {
		out.Principal.Scopes = append(out.Principal.Scopes, scope.String())
	}
	a := &answer{}
	if p.Kind == access.ByUser {
		u, err := s.access.User(ctx, p.ID)
		if err != nil {
			return nil, err
		}
		shown := userOf(u)
		out.User = &shown
		a.ETag = etag(u.Revision)
	}
	for cursor := ""; ; {
		list, next, err := s.visibleProjects(ctx, p, cursor, 500)
		if err != nil {
			return nil, err
		}
		for _, project := range list {
			shown, err := s.projectOf(ctx, c, project)
			if err != nil {
				return nil, err
			}
			out.Projects = append(out.Projects, ProjectAccess{ID: shown.ID, Name: shown.Name, Title: shown.Title, Role: shown.Role, Environments: shown.Environments})
		}
		if cursor = next; cursor == "" {
			break
		}
	}
	a.Body = out
	return a, nil
}

func (s *Server) updateAccount(ctx context.Context, c *call, in *accountInput) (*answer, error) {
	change := access.AccountChange{Email: in.Body.Email, Name: in.Body.Name, Password: in.Body.Password, CurrentPassword: in.Body.CurrentPassword}
	u, err := s.access.UpdateAccount(ctx, c.principal, c.ifRevision, change, c.caller)
	if err != nil {
		return nil, err
	}
	return &answer{ETag: etag(u.Revision), Body: Account{userOf(u)}}, nil
}
