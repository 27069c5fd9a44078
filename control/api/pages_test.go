package api

import (
	"io/fs"
	"net/http"
	"strings"
	"testing"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/fault"
)

func TestSecureHeadersAndPages(t *testing.T) {
	dashboard := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("dashboard")) })
	e := newEnv(t, func(o *Options) { o.Dashboard = dashboard })
	nobody := &who{e: e}
	for _, path := range []string{"/api/v1/session", "/openapi.json", "/docs", "/docs/docs.js", "/healthz", "/", "/some/page", "/api/v1/nothing"} {
		r := nobody.get(path)
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer"} {
			if r.header.Get(name) != want {
				t.Errorf("%s: %s is %q", path, name, r.header.Get(name))
			}
		}
		if r.header.Get("Content-Security-Policy") == "" || r.header.Get("X-Request-Id") == "" {
			t.Errorf("%s: %v", path, r.header)
		}
		if strings.HasPrefix(path, "/api/") && r.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s may be stored", path)
		}
	}
	if r := nobody.get("/some/page").want(http.StatusOK); string(r.body) != "dashboard" {
		t.Errorf("%s", r.body)
	}
	var doc map[string]any
	nobody.get("/openapi.json").want(http.StatusOK, &doc)
	if doc["openapi"] != "3.1.0" {
		t.Errorf("openapi is %v", doc["openapi"])
	}
	nobody.get("/docs/nothing.js").refused(http.StatusNotFound, fault.NotFound)
	metrics := nobody.get("/metrics").want(http.StatusOK)
	if !strings.Contains(string(metrics.body), `edgewright_api_requests_total{class="4xx",operation="session"} 1`) {
		t.Errorf("%s", metrics.body)
	}
	if pem := nobody.get("/api/v1/trust/root.pem").want(http.StatusOK); !strings.HasPrefix(string(pem.body), "-----BEGIN CERTIFICATE-----") {
		t.Errorf("%s", pem.body)
	}
	if b := e.admin().get("/api/v1/backup").want(http.StatusOK); len(b.body) < 100 || strings.Contains(string(b.body), adminToken) {
		t.Errorf("a backup has %d bytes", len(b.body))
	}
}

// The documentation needs no other host and runs under its policy.
func TestDocsAreSelfContained(t *testing.T) {
	files, err := fs.Glob(docsFiles, "docs/*")
	ok(t, err)
	if len(files) != 3 {
		t.Fatalf("%v", files)
	}
	for _, name := range files {
		text, err := fs.ReadFile(docsFiles, name)
		ok(t, err)
		for _, bad := range []string{"http://", "https://", "//cdn", "style=", "onclick=", "innerHTML", "eval(", "<style", "<script>"} {
			if strings.Contains(string(text), bad) {
				t.Errorf("%s has %q", name, bad)
			}
		}
	}
}

func TestEdgesTellTenantsLittle(t *testing.T) {
	e := newEnv(t)
	_, tenant := e.project("tenant", access.Owner)
	var list EdgeList
	tenant.get(infrastructure+"/edges").want(http.StatusOK, &list)
	if got := list.Edges[0]; got.Sites != 0 || got.HTTP != "" || got.RequestsPerS != 0 || got.Region != "local" || got.State != "online" {
		t.Errorf("a tenant is told %+v", got)
	}
	e.admin().get(infrastructure+"/edges").want(http.StatusOK, &list)
	if got := list.Edges[0]; got.Sites != 3 || got.HTTP == "" {
		t.Errorf("an admin is told %+v", got)
	}
}
