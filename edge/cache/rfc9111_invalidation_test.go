package cache

import (
	"testing"
	"time"

	"github.com/edgewright/edgewright/edgeconfig"
)

func TestInvalidationByUnsafeMethods(t *testing.T) {
	for _, c := range []struct {
		name, method string
		status       int
		resp         string
		target       string // of the unsafe request
		gone, kept   []string
	}{
		{"9111-4.4 POST", "POST", 200, "", "/a", []string{"/a"}, []string{"/b"}},
		{"9111-4.4 PUT", "PUT", 204, "", "/a", []string{"/a"}, []string{"/b"}},
		{"9111-4.4 DELETE", "DELETE", 200, "", "/a", []string{"/a"}, []string{"/b"}},
		{"9111-4.4 PATCH", "PATCH", 200, "", "/a", []string{"/a"}, []string{"/b"}},
		{"9111-4.4 an unknown method", "FROB", 200, "", "/a", []string{"/a"}, []string{"/b"}},
		{"9111-4.4 a redirect is no error", "POST", 303, "", "/a", []string{"/a"}, []string{"/b"}},
		{"9111-4.4 not after 4xx", "POST", 404, "", "/a", nil, []string{"/a", "/b"}},
		{"9111-4.4 not after 5xx", "POST", 500, "", "/a", nil, []string{"/a", "/b"}},
		{"9111-4.4 not by a safe method", "OPTIONS", 200, "", "/a", nil, []string{"/a", "/b"}},
		{"9111-4.4 not by TRACE", "TRACE", 200, "", "/a", nil, []string{"/a", "/b"}},
		{"9111-4.4 Location", "POST", 201, "Location: /b", "/a", []string{"/a", "/b"}, []string{"/b?x=1"}},
		{"9111-4.4 Location, relative", "POST", 201, "Location: b", "/a", []string{"/b"}, nil},
		{"9111-4.4 Location, absolute", "POST", 201, "Location: https://example.com/b?x=1", "/a", []string{"/b?x=1"}, []string{"/b"}},
		{"9111-4.4 Location, with case and port", "POST", 201, "Location: HTTPS://EXAMPLE.com:443/b", "/a", []string{"/b"}, nil},
		{"9111-4.4 Content-Location", "POST", 200, "Content-Location: /b", "/a", []string{"/b"}, nil},
		{"9111-4.4 Location of another host", "POST", 201, "Location: https://other.example/b", "/a", []string{"/a"}, []string{"/b"}},
		{"9111-4.4 Location of another scheme", "POST", 201, "Location: http://example.com/b", "/a", []string{"/a"}, []string{"/b"}},
		{"9111-4.4 malformed Location", "POST", 201, "Location: https://[b", "/a", []string{"/a"}, []string{"/b"}},
		{"9111-4.4 a query is another resource", "POST", 200, "", "/b?x=1", []string{"/b?x=1"}, []string{"/b"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			timed(t, Options{}, func(w *world) {
				w.always(reply{header: []string{"Cache-Control: max-age=100"}})
				for _, path := range []string{"/a", "/b", "/b?x=1"} {
					w.get(path)
				}
				settled()
				w.always(reply{status: c.status, header: []string{c.resp}})
				if got := w.do(viewOf(c.method, c.target)); got.outcome != "bypass" || got.status != c.status {
					t.Errorf("%s %d", got.outcome, got.status)
				}
				w.always(reply{})
				for _, path := range c.kept {
					if got := w.get(path); got.outcome != "hit" {
						t.Errorf("%s should be stored: %s", path, got.outcome)
					}
				}
				for _, path := range c.gone {
					if got := w.get(path); got.outcome != "miss" {
						t.Errorf("%s should be gone: %s", path, got.outcome)
					}
				}
				settled()
			})
		})
	}
}

func TestInvalidationReachesAllVariantsAndKeys(t *testing.T) {
	rule := edgeconfig.CacheRule{Pattern: "**", Key: edgeconfig.CacheKey{Headers: []string{"X-Lang"}, Cookies: []string{"ab"}}}
	timed(t, Options{}, func(w *world) {
		w.always(reply{header: []string{"Cache-Control: max-age=100", "Vary: Foo"}})
		requests := [][]string{{"X-Lang: de"}, {"X-Lang: en"}, {"Cookie: ab=1"}, {"X-Lang: de", "Foo: 1"}}
		for _, lines := range requests {
			w.get("/a", lines...)
			w.get("/ab", lines...)
		}
		settled()
		w.do(viewOf("POST", "/a"))
		for _, lines := range requests {
			if got := w.get("/ab", lines...); got.outcome != "hit" {
				t.Errorf("/ab %q: %s", lines, got.outcome)
			}
			if got := w.get("/a", lines...); got.outcome != "miss" {
				t.Errorf("/a %q: %s", lines, got.outcome)
			}
			settled()
		}
	}, rule)
}

func TestInvalidationCutsOffFills(t *testing.T) {
	timed(t, Options{}, func(w *world) {
		release := make(chan struct{})
		w.script(func(r *asked) reply {
			if r.number == 1 {
				<-release
				return reply{header: []string{"Cache-Control: max-age=100"}, body: "old"}
			}
			return reply{header: []string{"Cache-Control: max-age=100"}, body: "new"}
		})
		old := make(chan answered)
		go func() { old <- w.get("/a") }()
		settled()
		w.do(viewOf("POST", "/a"))
		close(release)
		<-old
		settled()
		if got := w.get("/a"); got.body != "new" {
			t.Errorf("what was asked for before the POST was stored: %s %q", got.outcome, got.body)
		}
		settled()
		time.Sleep(second)
	})
}
