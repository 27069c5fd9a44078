package httpedge_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/edgewright/edgewright/edge/node/nodetest"
	"github.com/edgewright/edgewright/edgeconfig"
)

// echo answers with what it got, as JSON.
func echo(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(echoed{r.Method, r.Host, r.RequestURI, r.Header, string(b), r.Proto})
}

type echoed struct {
	Method, Host, Target string
	Header               http.Header
	Body, Proto          string
}

func (a answer) echoed(t *testing.T) (e echoed) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), &e); err != nil {
		t.Fatalf("%d %q: %v", a.status, a.body, err)
	}
	return e
}

func TestProxy(t *testing.T) {
	e := edgeWith(t, echo)
	_, port, _ := strings.Cut(e.HTTPSAddr(), ":")
	eachVersion(t, func(t *testing.T, version int) {
		c := e.Client(version)
		a := do(t, c, request(t, "POST", "https://shop.test/a/./b/%7e?q=1", "hello",
			"X-Custom", "kept", "X-Forwarded-For", "6.6.6.6", "Forwarded", "for=6.6.6.6", "X-Real-Ip", "6.6.6.6", "X-Original-Url", "/admin", "X_Forwarded_For", "6.6.6.6",
			"X-Request-Id", "mine", "Via", "1.1 before", "Te", "trailers"))
		got := a.echoed(t)
		if a.status != 200 || got.Method != "POST" || got.Target != "/a/b/~?q=1" || got.Body != "hello" || got.Host != "shop.test:"+port {
			t.Errorf("%d %+v", a.status, got)
		}
		want := map[string]string{
			"X-Custom": "kept", "X-Forwarded-For": "127.0.0.1", "X-Real-Ip": "127.0.0.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "shop.test:" + port,
			"X-Forwarded-Port": port, "X-Original-Url": "", "X_forwarded_for": "",
			"Forwarded": fmt.Sprintf(`for=127.0.0.1;host="shop.test:%s";proto=https`, port),
			"Via":       fmt.Sprintf("1.1 before, %s edgewright", map[int]string{1: "1.1", 2: "2.0", 3: "3.0"}[version]),
			"Cdn-Loop":  "edgewright; id=" + nodetest.EdgeID, "Te": "trailers",
		}
		for name, value := range want {
			if v := strings.Join(got.Header[name], ", "); v != value {
				t.Errorf("%s: %q, want %q", name, v, value)
			}
		}
		if id := a.header.Get("X-Request-Id"); id == "" || id == "mine" || id != got.Header.Get("X-Request-Id") {
			t.Errorf("request ID %q to the client, %q to the origin", id, got.Header.Get("X-Request-Id"))
		}
		if alt := a.header.Get("Alt-Svc"); version < 3 && alt != `h3=":`+port+`"; ma=86400` || version == 3 && alt != "" {
			t.Errorf("Alt-Svc %q", alt)
		}
	})
}

func TestCacheHit(t *testing.T) {
	asked := make(chan string, 100)
	e := edgeWith(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.Path
		w.Header().Set("Cache-Control", "max-age=60")
		_, _ = io.WriteString(w, strings.Repeat(r.URL.Path, 1000))
	})
	eachVersion(t, func(t *testing.T, version int) {
		path := fmt.Sprintf("/v%d", version)
		for i, want := range []string{"fwd=uri-miss", "hit", "hit"} {
			a := get(t, e.Client(version), "https://shop.test"+path)
			if a.status != 200 || a.body != strings.Repeat(path, 1000) || !strings.Contains(a.header.Get("Cache-Status"), want) {
				t.Errorf("answer %d: %d, %d bytes, %q", i, a.status, len(a.body), a.header.Get("Cache-Status"))
			}
		}
		head := do(t, e.Client(version), request(t, "HEAD", "https://shop.test"+path, ""))
		if head.body != "" || head.header.Get("Content-Length") != "3000" {
			t.Errorf("HEAD: %v", head)
		}
		if len(asked) != 1 {
			t.Errorf("the origin was asked %d times", len(asked))
		}
		<-asked
	})
}

func TestMisdirected(t *testing.T) {
	e := edgeWith(t, echo)
	e.Serve(nodetest.Site("dom_other", "other.test", "http://127.0.0.1:1"))
	for _, c := range []struct {
		url, host string
		status    int
	}{
		{"http://shop.test/", "", 200},
		{"http://shop.test/", "SHOP.test.", 200},
		{"http://unknown.test/", "", 421},
		{"http://sub.shop.test/", "", 421},
		{"http://shop.test/", "shop.test:99", 200},
		{"https://shop.test/", "", 200},
		{"https://shop.test/", "other.test", 421},
		{"https://shop.test/", "unknown.test", 421},
		{"http://127.0.0.1/", "", 421},
	} {
		r := request(t, "GET", c.url, "")
		r.Host = c.host
		if a := do(t, e.Client(1), r); a.status != c.status {
			t.Errorf("%s with host %q: %d, want %d", c.url, c.host, a.status, c.status)
		}
	}
	for _, version := range []int{2, 3} {
		r := request(t, "GET", "https://shop.test/", "")
		r.Host = "other.test"
		if a := do(t, e.Client(version), r); a.status != 421 {
			t.Errorf("HTTP/%d: %d", version, a.status)
		}
	}
}

func TestRedirectAndHSTS(t *testing.T) {
	e := edgeWith(t, echo, func(s *edgeconfig.Site) {
		s.RedirectHTTPS = true
		s.HSTS = &edgeconfig.HSTS{MaxAge: 300, IncludeSubdomains: true}
	})
	_, port, _ := strings.Cut(e.HTTPSAddr(), ":")
	a := do(t, e.Client(1), request(t, "POST", "http://shop.test/a//b?x=%20y", "body"))
	if a.status != 308 || a.header.Get("Location") != "https://shop.test:"+port+"/a//b?x=%20y" || a.header.Get("Strict-Transport-Security") != "" {
		t.Errorf("%d %v", a.status, a.header)
	}
	e.MustApply(e.Document("platform/settings", edgeconfig.Platform{HTTPSPort: 443}))
	if a := get(t, e.Client(1), "http://shop.test/"); a.header.Get("Location") != "https://shop.test/" {
		t.Errorf("on port 443: %q", a.header.Get("Location"))
	}
	if a := get(t, e.Client(2), "https://shop.test/"); a.status != 200 || a.header.Get("Strict-Transport-Security") != "max-age=300; includeSubDomains" {
		t.Errorf("%d %v", a.status, a.header)
	}
}

func TestErrorPages(t *testing.T) {
	e := startEdge(t)
	e.Serve(nodetest.Site("dom_dead", "dead.test", "http://127.0.0.1:1"))
	eachVersion(t, func(t *testing.T, version int) {
		a := get(t, e.Client(version), "https://dead.test/")
		var p struct {
			Status int
			Failed string
		}
		if err := json.Unmarshal([]byte(a.body), &p); err != nil || a.header.Get("Content-Type") != "application/problem+json" {
			t.Fatalf("%q: %v", a.body, err)
		}
		if a.status != 502 || p.Failed != "origin" || p.Status != 502 || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%d %+v", a.status, p)
		}
		if !strings.Contains(a.body, a.header.Get("X-Request-Id")) {
			t.Errorf("the page does not show the request ID: %s", a.body)
		}
		a = get(t, e.Client(version), "https://dead.test/", "Accept", "text/html,*/*")
		if !strings.Contains(a.body, `<li class="failed">Origin`) || !strings.Contains(a.body, a.header.Get("X-Request-Id")) || !strings.HasPrefix(a.header.Get("Content-Type"), "text/html") {
			t.Errorf("%v\n%s", a.header, a.body)
		}
	})
}
