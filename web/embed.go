// Package web holds the dashboard: a single-page application written in
// TypeScript under src/, built by Vite into dist/, embedded here and served by
// the same binary as the API.
//
// A request goes through three phases: method check; a file of the build, when
// the path names one; else index.html, so that deep links reach the client's
// router. index.html carries a fresh nonce per response and a Content Security
// Policy that allows this origin and that nonce only.
//
// A binary built before the dashboard was (dist/ holds only .gitkeep) compiles
// and answers with a page that says how to build it.
package web

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"sync"
)

//go:embed all:dist
var dist embed.FS

// noncePlaceholder is what index.html carries where the nonce belongs.
const noncePlaceholder = "__CSP_NONCE__"

const notBuilt = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark"><title>Edgewright</title>
<style nonce="` + noncePlaceholder + `">body{font:15px/1.6 system-ui,sans-serif;max-width:36rem;margin:18vh auto;padding:0 1.5rem}code{font:14px ui-monospace,monospace}</style></head>
<body><main><h1>The dashboard is not in this binary</h1>
<p>It was compiled before the dashboard was built. In a checkout of the source, run</p>
<p><code>make build</code></p>
<p>and start <code>bin/edgewright</code> again. The API and the command line work without it.</p></main></body>
</html>
`

// Handler serves the embedded dashboard. It answers GET and HEAD for every
// path it is given; the API's paths must be routed before it.
func Handler() http.Handler {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(err) // the directive above guarantees the directory
	}
	return newHandler(files)
}

type handler struct {
	files fs.FS
	index []byte // nil when the dashboard is not built

	mu     sync.Mutex
	loaded map[string]*asset
}

// asset is a file of the build, ready to send.
type asset struct {
	body     []byte
	gzipped  []byte // nil when it would not be smaller
	mimeType string
	etag     string
}

func newHandler(files fs.FS) *handler {
	index, err := fs.ReadFile(files, "index.html")
	if err != nil {
		index = nil
	}
	return &handler{files: files, index: index, loaded: map[string]*asset{}}
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "same-origin")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		header.Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	name := strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/")
	if h.index == nil {
		h.servePage(w, r, http.StatusServiceUnavailable, []byte(notBuilt))
		return
	}
	if name == "" || name == "index.html" {
		h.servePage(w, r, http.StatusOK, h.index)
		return
	}
	if a := h.asset(name); a != nil {
		if strings.HasPrefix(name, "assets/") { // names carry a hash of the content
			header.Set("Cache-Control", "public, max-age=31536000, immutable")
		} else {
			header.Set("Cache-Control", "no-cache")
		}
		a.serve(w, r)
		return
	}
	// A missing chunk answered with HTML breaks a tab that is older than the
	// binary in a way nobody can read. Only the first segment's extension tells
	// a file from a page: "/domains/shop.example.com" is a page.
	first, _, deeper := strings.Cut(name, "/")
	if first == "assets" || first == "api" || (!deeper && path.Ext(first) != "") {
		header.Set("Cache-Control", "no-store")
		http.NotFound(w, r)
		return
	}
	h.servePage(w, r, http.StatusOK, h.index)
}

// servePage sends an HTML page under a policy that names a nonce of its own.
func (h *handler) servePage(w http.ResponseWriter, r *http.Request, status int, page []byte) {
	random := make([]byte, 18)
	rand.Read(random) // never fails (crypto/rand, Go 1.24)
	nonce := base64.RawURLEncoding.EncodeToString(random)
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Content-Security-Policy", strings.Join([]string{
		"default-src 'self'",
		"script-src 'self' 'nonce-" + nonce + "'",
		"style-src 'self' 'nonce-" + nonce + "'",
		"img-src 'self' data:",
		"connect-src 'self'",
		"object-src 'none'",
		"base-uri 'none'",
		"frame-ancestors 'none'",
		"form-action 'self'",
	}, "; "))
	w.WriteHeader(status)
	if r.Method == http.MethodGet {
		// A failed write is the client's going away; there is nobody to tell.
		_, _ = w.Write(bytes.ReplaceAll(page, []byte(noncePlaceholder), []byte(nonce)))
	}
}

// asset returns the named file, reading and compressing it the first time, or
// nil when the build has no such file.
func (h *handler) asset(name string) *asset {
	if !fs.ValidPath(name) || strings.HasPrefix(path.Base(name), ".") {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if a, ok := h.loaded[name]; ok {
		return a
	}
	info, err := fs.Stat(h.files, name)
	if err != nil || info.IsDir() {
		return nil // not remembered: the set of wrong names is unbounded
	}
	body, err := fs.ReadFile(h.files, name)
	if err != nil {
		return nil
	}
	sum := sha256.Sum256(body)
	a := &asset{body: body, mimeType: contentType(name), etag: hex.EncodeToString(sum[:12])}
	if compressible(a.mimeType) {
		var b bytes.Buffer
		z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is a valid one
		if _, err := z.Write(body); err == nil && z.Close() == nil && b.Len() < len(body) {
			a.gzipped = b.Bytes()
		}
	}
	h.loaded[name] = a
	return a
}

func (a *asset) serve(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Type", a.mimeType)
	body, etag := a.body, `"`+a.etag+`"`
	if a.gzipped != nil {
		header.Add("Vary", "Accept-Encoding")
		if acceptsGzip(r.Header.Get("Accept-Encoding")) {
			header.Set("Content-Encoding", "gzip")
			body, etag = a.gzipped, `"`+a.etag+`-gzip"`
		}
	}
	header.Set("ETag", etag)
	if match := r.Header.Get("If-None-Match"); match == etag {
		header.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if r.Method == http.MethodGet {
		_, _ = w.Write(body) // as in servePage
	}
}

// contentType does not ask the machine's MIME table, so that a host without
// one, or with a wrong one, serves modules all the same.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".woff2":
		return "font/woff2"
	case ".json":
		return "application/json"
	case ".md", ".txt":
		return "text/plain; charset=utf-8"
	}
	if t := mime.TypeByExtension(path.Ext(name)); t != "" {
		return t
	}
	return "application/octet-stream"
}

func compressible(mimeType string) bool {
	return strings.HasPrefix(mimeType, "text/") || mimeType == "image/svg+xml" || mimeType == "application/json"
}

// acceptsGzip reads an Accept-Encoding field (RFC 9110 section 12.5.3) as far
// as gzip is concerned.
func acceptsGzip(field string) bool {
	for part := range strings.SplitSeq(field, ",") {
		coding, params, _ := strings.Cut(part, ";")
		if strings.TrimSpace(coding) != "gzip" {
			continue
		}
		q := strings.ReplaceAll(params, " ", "")
		return q != "q=0" && !strings.HasPrefix(q, "q=0.0")
	}
	return false
}
