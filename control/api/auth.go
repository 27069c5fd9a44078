package api

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/fault"
)

const (
	sessionCookie = "edgewright_session"
	csrfHeader    = "X-Edgewright-CSRF"
)

// authenticate is the first middleware of every operation: whose request it is,
// and whether a browser was made to send it. It runs before the body is read.
func (s *Server) authenticate(ctx huma.Context, next func(huma.Context)) {
	r, w := humago.Unwrap(ctx)
	info := requestFrom(r.Context())
	o := opOf(ctx.Operation())
	info.operation = o.id
	err := checkAddress(r, ctx.Operation())
	if err == nil {
		err = s.identify(r, info)
	}
	if fault.Is(err, fault.Unauthenticated) && o.level == public {
		err = nil // an old cookie must not be in the way of a new login
	}
	if err == nil && info.principal == nil && o.level != public {
		err = errUnauthenticated()
	}
	if err == nil {
		err = s.checkOrigin(r, info, o)
	}
	if err == nil {
		info.ifRevision, err = precondition(r, o)
	}
	if err != nil {
		s.writeProblem(w, r, err)
		return
	}
	next(ctx)
}

// identify finds the principal: a bearer token, else a session cookie, else
// nobody.
func (s *Server) identify(r *http.Request, info *request) error {
	if header := r.Header.Get("Authorization"); header != "" {
		scheme, token, _ := strings.Cut(header, " ")
		if !strings.EqualFold(scheme, "Bearer") || token == "" {
			return fault.New(fault.Unauthenticated, "the Authorization header must be `Bearer` and an API token")
		}
		p, err := s.access.AuthenticateToken(r.Context(), strings.TrimSpace(token), access.Client{Address: info.address})
		info.principal = p
		return err
	}
	for _, name := range []string{sessionCookieSecure, sessionCookie} {
		if cookie, err := r.Cookie(name); err == nil && cookie.Value != "" {
			p, err := s.access.AuthenticateSession(r.Context(), cookie.Value)
			info.principal = p
			return err
		}
	}
	return nil
}

// checkOrigin refuses writes that another site made a browser send: by cookie,
// or a login into an account of the attacker's.
func (s *Server) checkOrigin(r *http.Request, info *request, o op) error {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return nil
	}
	byCookie := info.principal != nil && info.principal.Kind == access.ByUser
	if !byCookie && o.level != public {
		return nil
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		return fault.New(fault.Forbidden, "the request comes from another site")
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		u, err := url.Parse(origin)
		public, _ := url.Parse(s.options.PublicURL)
		if err != nil || !strings.EqualFold(u.Host, r.Host) && (public == nil || public.Host == "" || !strings.EqualFold(u.Host, public.Host)) {
			return fault.New(fault.Forbidden, "the request comes from another site (%s)", origin)
		}
	}
	if byCookie && o.level != public && r.Header.Get(csrfHeader) != "1" {
		return fault.New(fault.Forbidden, "writes with a session cookie need the header %s: 1", csrfHeader)
	}
	return nil
}

// precondition reads If-Match, which every PUT, PATCH and DELETE needs. "*"
// means whatever is there: revision 0.
func precondition(r *http.Request, o op) (int64, error) {
	switch o.method {
	case http.MethodPut, http.MethodPatch, http.MethodDelete:
	default:
		return 0, nil
	}
	if o.noMatch {
		return 0, nil
	}
	tag := strings.TrimSpace(r.Header.Get("If-Match"))
	if tag == "" {
		return 0, fault.New(fault.PreconditionRequired, "send If-Match with the ETag of what you read, so that nobody's change is lost; * means whatever is there")
	}
	if tag == "*" {
		return 0, nil
	}
	text, err := strconv.Unquote(strings.TrimPrefix(tag, "W/"))
	if err != nil {
		text = tag
	}
	revision, err := strconv.ParseInt(text, 10, 64)
	if err != nil || revision <= 0 {
		return 0, fault.New(fault.Stale, "If-Match %s is not an ETag of this API; read the resource again and send its ETag", tag)
	}
	return revision, nil
}

// newSessionCookie returns the cookie; with an empty secret one that ends it.
func (s *Server) newSessionCookie(info *request, secret string, expires time.Time) *http.Cookie {
	c := &http.Cookie{Name: sessionCookie, Value: secret, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: info.secure}
	if info.secure {
		c.Name = sessionCookieSecure
	}
	if secret == "" {
		c.MaxAge = -1
	} else {
		c.Expires = expires
	}
	return c
}

// sessionCookieSecure is the name over TLS: browsers take it from this host
// only, never from a neighbour on the same domain.
const sessionCookieSecure = "__Host-" + sessionCookie

func (s *Server) login(ctx context.Context, c *call, in *loginInput) (*answer, error) {
	info := requestFrom(ctx)
	client := access.Client{Address: info.address, UserAgent: info.agent}
	var l access.Login
	var err error
	switch b := in.Body; {
	case b.Link != "" && b.Email == "" && b.Password == "":
		l, err = s.access.LoginWithLink(ctx, b.Link, c.principal, client, c.caller)
	case b.Link == "" && b.Email != "":
		l, err = s.access.LoginWithPassword(ctx, b.Email, b.Password, client, c.caller)
	default:
		err = fault.New(fault.Invalid, "send either link, or email and password")
	}
	if err != nil {
		return nil, err
	}
	info.cookies = append(info.cookies, s.newSessionCookie(info, l.Secret, l.Expires))
	return &answer{ETag: etag(l.User.Revision), Body: LoggedIn{User: userOf(l.User), MustSetPassword: !l.User.HasPassword}}, nil
}
