package api

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/fault"
)

// request is what the middleware knows of a request; handlers find it in their
// context.
type request struct {
	id         string
	address    string // of the client, without port
	agent      string
	via        string // dashboard, cli, terraform, api
	secure     bool   // the browser speaks TLS, to us or to the proxy before us
	host       string
	principal  *access.Principal
	ifRevision int64
	cookies    []*http.Cookie // to be set with the answer
	operation  string         // operation ID, once the route is known
}

type requestKey struct{}

// requestFrom never returns nil, so that what runs outside of a request can
// share code with what runs inside.
func requestFrom(ctx context.Context) *request {
	if r, ok := ctx.Value(requestKey{}).(*request); ok {
		return r
	}
	return &request{}
}

// chain wraps the routes with what holds for every request.
func (s *Server) chain(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info := s.newRequest(r)
		r = r.WithContext(context.WithValue(r.Context(), requestKey{}, info))
		rec := &recorder{ResponseWriter: w, info: info}
		start := s.now()
		s.secureHeaders(rec.Header(), r, info)
		defer func() {
			if p := recover(); p != nil {
				s.panicked(rec, r, p)
			}
			s.metrics.count(info.operation, rec.status, s.now().Sub(start))
			s.log.DebugContext(r.Context(), "request", slog.String("request_id", info.id), slog.String("method", r.Method),
				slog.String("path", r.URL.Path), slog.Int("status", rec.status), slog.Duration("took", s.now().Sub(start)))
		}()
		next.ServeHTTP(rec, r)
	})
}

func (s *Server) newRequest(r *http.Request) *request {
	var b [10]byte
	_, _ = rand.Read(b[:]) // never fails
	info := &request{
		id:     "req_" + strings.ToLower(base32.StdEncoding.EncodeToString(b[:])),
		agent:  r.UserAgent(),
		via:    via(r),
		secure: r.TLS != nil || strings.HasPrefix(s.options.PublicURL, "https:"),
		host:   r.Host,
	}
	info.address = r.RemoteAddr
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		info.address = host
	}
	return info
}

// via names the sort of client; it is kept with every revision.
func via(r *http.Request) string {
	switch v := r.Header.Get("X-Edgewright-Via"); v {
	case "cli", "terraform", "dashboard":
		return v
	}
	if _, err := r.Cookie(sessionCookie); err == nil && r.Header.Get("Authorization") == "" {
		return "dashboard"
	}
	return "api"
}

// secureHeaders sets what every answer has. The dashboard's handler replaces
// the policy by its own, which has a nonce.
func (s *Server) secureHeaders(h http.Header, r *http.Request, info *request) {
	h.Set("X-Request-Id", info.id)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	if strings.HasPrefix(r.URL.Path, "/api/") {
		h.Set("Cache-Control", "no-store")
	}
	if info.secure && net.ParseIP(hostOnly(r.Host)) == nil && !strings.HasSuffix(hostOnly(r.Host), "localhost") {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

func hostOnly(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return strings.Trim(hostport, "[]")
}

// panicked answers 500 when nothing was answered yet, and logs all of it.
func (s *Server) panicked(rec *recorder, r *http.Request, p any) {
	if p == http.ErrAbortHandler { //nolint:errorlint // net/http compares it so too
		panic(p)
	}
	id := requestFrom(r.Context()).id
	s.log.ErrorContext(r.Context(), "panic while serving a request", slog.String("request_id", id), slog.String("method", r.Method),
		slog.String("path", r.URL.Path), slog.String("panic", fmt.Sprint(p)), slog.String("stack", string(debug.Stack())))
	if rec.status != 0 {
		panic(http.ErrAbortHandler) // half an answer must not look like a whole one
	}
	s.writeProblem(rec, r, fault.New(fault.Internal, "panic"))
}

// recorder remembers the status, and sets cookies at the last moment.
type recorder struct {
	http.ResponseWriter
	info   *request
	status int
}

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
		for _, c := range w.info.cookies {
			http.SetCookie(w.ResponseWriter, c)
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// baseURL is where the client reaches us, for links in answers.
func (s *Server) baseURL(r *request) string {
	if s.options.PublicURL != "" {
		return s.options.PublicURL
	}
	u := url.URL{Scheme: "http", Host: r.host}
	if r.secure {
		u.Scheme = "https"
	}
	return u.String()
}

// NewHTTPServer returns a server for the handler with time and size limits that
// suit the API: slow clients are cut off, event streams are not.
func NewHTTPServer(h http.Handler, log *slog.Logger) *http.Server {
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,     // of header and body; operations have a shorter one
		WriteTimeout:      3 * time.Minute, // event streams and backups set their own
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
	if log != nil {
		server.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelDebug)
	}
	return server
}
