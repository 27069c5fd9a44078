package api

import (
	"embed"
	"encoding/json"
	"io/fs"
	"mime"
	"net"
	"net/http"
	"path"
	"strings"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/fault"
)

//go:embed docs
var docsFiles embed.FS

// docsPolicy lets the documentation use its own files, and nothing else.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// addPages adds what is not an operation: health, metrics, documentation, the
// dashboard.
func (s *Server) addPages() {
	s.mux.HandleFunc("GET /healthz", s.healthz)
	s.mux.HandleFunc("GET /readyz", s.readyz)
	s.mux.HandleFunc("GET /metrics", s.metricsPage)
	s.mux.HandleFunc("GET /openapi.json", s.openAPIPage())
	s.mux.HandleFunc("GET /docs", s.docs)
	s.mux.HandleFunc("GET /docs/{file}", s.docs)
	s.addMailPage()
	s.mux.HandleFunc("/api/", s.noSuchOperation)
	if s.options.Dashboard != nil {
		s.mux.Handle("/", s.options.Dashboard)
	} else {
		s.mux.HandleFunc("/", s.noSuchOperation)
	}
}

func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write([]byte("ok\n"))
}

func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	if s.options.Ready != nil {
		if err := s.options.Ready(r.Context()); err != nil {
			if fault.CodeOf(err) == fault.Internal {
				err = fault.New(fault.Unavailable, "not ready: %w", err)
			}
			s.writeProblem(w, r, err)
			return
		}
	}
	s.healthz(w, r)
}

// metricsPage is for who scrapes from the same machine, or has a token that may.
func (s *Server) metricsPage(w http.ResponseWriter, r *http.Request) {
	if s.options.Metrics == nil {
		s.nothingHere(w, r)
		return
	}
	info := requestFrom(r.Context())
	if ip := net.ParseIP(info.address); ip == nil || !ip.IsLoopback() {
		err := s.identify(r, info)
		switch {
		case err == nil && info.principal == nil:
			err = errUnauthenticated()
		case err == nil && !info.principal.Can(access.Platform, access.Metrics, access.Read):
			err = s.refuse(info.principal, op{resource: access.Metrics, verb: access.Read})
		}
		if err != nil {
			s.writeProblem(w, r, err)
			return
		}
	}
	promhttp.HandlerFor(s.options.Metrics, promhttp.HandlerOpts{}).ServeHTTP(w, r)
}

// openAPIPage renders the document once.
func (s *Server) openAPIPage() http.HandlerFunc {
	doc, err := json.Marshal(s.huma.OpenAPI())
	return func(w http.ResponseWriter, r *http.Request) {
		if err != nil {
			s.writeProblem(w, r, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-cache")
		_, _ = w.Write(doc) // a client that went away
	}
}

func (s *Server) docs(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	if name == "" {
		name = "index.html"
	}
	body, err := fs.ReadFile(docsFiles, path.Join("docs", name))
	if err != nil {
		s.nothingHere(w, r)
		return
	}
	w.Header().Set("Content-Security-Policy", docsPolicy)
	w.Header().Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
	w.Header().Set("Cache-Control", "no-cache")
	_, _ = w.Write(body) // a client that went away
}

var methods = [...]string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

// noSuchOperation answers for paths and methods that nobody serves.
func (s *Server) noSuchOperation(w http.ResponseWriter, r *http.Request) {
	var allowed []string
	for _, method := range methods {
		probe := r.Clone(r.Context())
		probe.Method = method
		if _, pattern := s.mux.Handler(probe); strings.HasPrefix(pattern, method+" ") {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) == 0 {
		s.nothingHere(w, r)
		return
	}
	p := newProblem(fault.Invalid, http.StatusMethodNotAllowed, r.Method+" is not possible here; use "+strings.Join(allowed, " or "))
	p.allow = strings.Join(allowed, ", ")
	s.writeProblem(w, r, p)
}

func (s *Server) nothingHere(w http.ResponseWriter, r *http.Request) {
	s.writeProblem(w, r, fault.New(fault.NotFound, "there is nothing at this path; see /docs"))
}
