package web

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

var built = fstest.MapFS{
	"index.html":           {Data: []byte(`<meta name="csp-nonce" content="__CSP_NONCE__"><script nonce="__CSP_NONCE__"></script>`)},
	"assets/index-abc.js":  {Data: []byte(strings.Repeat("export const a = 1;\n", 200))},
	"assets/inter-x.woff2": {Data: []byte("wOF2")},
	"favicon.svg":          {Data: []byte("<svg/>")},
	".gitkeep":             {Data: []byte("")},
}

func get(t *testing.T, h http.Handler, method, target string, header map[string]string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, target, nil)
	for k, v := range header {
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, res *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestPaths(t *testing.T) {
	h := newHandler(built)
	for _, c := range []struct {
		method, path string
		status       int
		html         bool
	}{
		{"GET", "/", 200, true},
		{"GET", "/index.html", 200, true},
		{"GET", "/domains/shop.example.com", 200, true}, // a domain's dot is not a file's
		{"GET", "/login?link=x", 200, true},
		{"GET", "/assets/index-abc.js", 200, false},
		{"GET", "/favicon.svg", 200, false},
		{"GET", "/assets/gone-123.js", 404, false}, // never HTML for a missing chunk
		{"GET", "/assets", 404, false},
		{"GET", "/api/v1/nothing", 404, false},
		{"GET", "/favicon.ico", 404, false},
		{"GET", "/.gitkeep", 404, false},
		{"GET", "/../../etc/passwd", 200, true}, // cleaned to a page that the router does not know
		{"POST", "/", 405, false},
		{"HEAD", "/", 200, true},
	} {
		res := get(t, h, c.method, c.path, nil)
		if res.StatusCode != c.status {
			t.Errorf("%s %s: status %d, want %d", c.method, c.path, res.StatusCode, c.status)
		}
		if html := strings.HasPrefix(res.Header.Get("Content-Type"), "text/html"); html != c.html {
			t.Errorf("%s %s: html %v, want %v", c.method, c.path, html, c.html)
		}
	}
}

func TestNonceIsFreshAndInThePolicy(t *testing.T) {
	h := newHandler(built)
	seen := map[string]bool{}
	for range 3 {
		res := get(t, h, "GET", "/", nil)
		page := body(t, res)
		nonce := regexp.MustCompile(`nonce="([^"]+)"`).FindStringSubmatch(page)
		if nonce == nil || seen[nonce[1]] || nonce[1] == noncePlaceholder {
			t.Fatalf("no fresh nonce in %q", page)
		}
		seen[nonce[1]] = true
		csp := res.Header.Get("Content-Security-Policy")
		for _, want := range []string{"script-src 'self' 'nonce-" + nonce[1] + "'", "style-src 'self' 'nonce-" + nonce[1] + "'", "frame-ancestors 'none'", "object-src 'none'"} {
			if !strings.Contains(csp, want) {
				t.Errorf("policy %q lacks %q", csp, want)
			}
		}
		if strings.Contains(csp, "unsafe") {
			t.Errorf("policy %q allows something unsafe", csp)
		}
		if cc := res.Header.Get("Cache-Control"); cc != "no-store" {
			t.Errorf("index is cached: %q", cc)
		}
	}
}

func TestAssetsAreCompressedAndRevalidated(t *testing.T) {
	h := newHandler(built)
	plain := get(t, h, "GET", "/assets/index-abc.js", nil)
	want := body(t, plain)
	res := get(t, h, "GET", "/assets/index-abc.js", map[string]string{"Accept-Encoding": "br, gzip"})
	if res.Header.Get("Content-Encoding") != "gzip" || res.Header.Get("Vary") != "Accept-Encoding" {
		t.Fatalf("not compressed: %v", res.Header)
	}
	z, err := gzip.NewReader(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(z)
	if err != nil || string(got) != want {
		t.Fatalf("compressed body differs: %v", err)
	}
	if !strings.Contains(res.Header.Get("Cache-Control"), "immutable") {
		t.Errorf("hashed asset is not immutable: %q", res.Header.Get("Cache-Control"))
	}
	again := get(t, h, "GET", "/assets/index-abc.js", map[string]string{"If-None-Match": plain.Header.Get("ETag")})
	if again.StatusCode != http.StatusNotModified {
		t.Errorf("status %d with the current ETag, want 304", again.StatusCode)
	}
	refused := get(t, h, "GET", "/assets/index-abc.js", map[string]string{"Accept-Encoding": "gzip;q=0"})
	if refused.Header.Get("Content-Encoding") != "" {
		t.Error("gzip sent to a client that refuses it")
	}
}

func TestWithoutBuildSaysHowToBuild(t *testing.T) {
	h := newHandler(fstest.MapFS{".gitkeep": {}})
	res := get(t, h, "GET", "/domains", nil)
	page := body(t, res)
	if res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(page, "make build") {
		t.Fatalf("status %d, page %q", res.StatusCode, page)
	}
	if strings.Contains(page, noncePlaceholder) {
		t.Error("the page's style has no nonce")
	}
}

func TestEmbeddedHandlerAnswers(t *testing.T) {
	res := get(t, Handler(), "GET", "/", nil)
	if !strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") {
		t.Fatalf("content type %q", res.Header.Get("Content-Type"))
	}
}
