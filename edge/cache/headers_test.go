package cache

import (
	"strings"
	"testing"
	"time"

	"github.com/edgewright/edgewright/edgeconfig"
)

func TestConnectionFieldsAreNotStored(t *testing.T) {
	timed(t, Options{}, func(w *world) {
		w.always(reply{header: []string{
			"Cache-Control: max-age=10", "Connection: X-Hop, close", "Connection: x-other", "X-Hop: 1", "X-Other: 1", "Keep-Alive: 5",
			"Proxy-Authenticate: x", "Proxy-Authentication-Info: x", "Proxy-Connection: close", "Te: trailers", "Upgrade: h2c", "X-Kept: 1",
		}, body: "x"})
		for range 2 {
			got := w.get("/a")
			settled()
			for _, name := range append([]string{"X-Hop", "X-Other"}, hopByHop...) {
				if got.header[name] != nil {
					t.Errorf("9111-3.1 %s: %s is passed on", got.outcome, name)
				}
			}
			if got.header.Get("X-Kept") != "1" {
				t.Errorf("X-Kept is lost")
			}
		}
	})
}

func TestFieldsOfOneClientStayItsOwn(t *testing.T) {
	timed(t, Options{}, func(w *world) {
		w.always(reply{header: []string{"Cache-Control: max-age=10, private=\"X-User\", no-cache=\"Set-Cookie, X-Token\"", "X-User: me", "Set-Cookie: a=b", "X-Token: t"}})
		first := w.get("/a")
		settled()
		second := w.get("/a")
		for _, name := range []string{"X-User", "Set-Cookie", "X-Token"} {
			if first.header.Get(name) == "" || second.header.Get(name) != "" {
				t.Errorf("9111-5.2.2.4, 5.2.2.7 %s: first client %q, second %q", name, first.header[name], second.header[name])
			}
		}
	})
}

func TestAgeAndDate(t *testing.T) {
	timed(t, Options{}, func(w *world) {
		w.always(reply{header: []string{"Cache-Control: max-age=100", "Age: 5"}})
		if got := w.get("/a"); got.header.Get("Age") != "5" {
			t.Errorf("first use passes Age on: %q", got.header["Age"])
		}
		settled()
		time.Sleep(7 * second)
		got := w.get("/a")
		if got.header.Get("Age") != "12" || len(got.header["Age"]) != 1 {
			t.Errorf("9111-5.1 Age: %q", got.header["Age"])
		}
		if got.header.Get("Date") != epoch {
			t.Errorf("9110-6.6.1 Date is when it came: %q", got.header["Date"])
		}
		w.always(reply{header: []string{"Cache-Control: max-age=100"}})
		if got := w.get("/b"); got.header["Age"] != nil {
			t.Errorf("Age of a response straight from the origin: %q", got.header["Age"])
		}
		settled()
	})
}

func TestSlowOriginCountsAsAge(t *testing.T) {
	timed(t, Options{}, func(w *world) {
		w.script(func(*asked) reply {
			time.Sleep(4 * second)
			return reply{header: []string{"Cache-Control: max-age=10"}}
		})
		w.get("/a")
		settled()
		time.Sleep(5 * second)
		if got := w.get("/a"); got.outcome != "hit" || got.header.Get("Age") != "9" {
			t.Errorf("9111-4.2.3 response_delay: %s, Age %q", got.outcome, got.header["Age"])
		}
		time.Sleep(second)
		if got := w.get("/a"); got.outcome != "miss" {
			t.Errorf("9111-4.2.3 response_delay: %s", got.outcome)
		}
		settled()
	})
}

func TestCacheStatus(t *testing.T) {
	const stored = "Cache-Control: max-age=10, stale-if-error=100"
	timed(t, Options{Name: "edge 1"}, func(w *world) {
		check := func(name string, got answered, want string) {
			t.Helper()
			if v := got.header["Cache-Status"]; len(v) != 1 || v[0] != want {
				t.Errorf("%s: %q, want %q", name, v, want)
			}
			settled()
		}
		w.always(reply{header: []string{stored, "ETag: \"a\"", "Vary: Foo"}})
		check("9211-2.2 uri-miss", w.get("/a"), `"edge 1"; fwd=uri-miss; fwd-status=200; ttl=10; stored`)
		time.Sleep(4 * second)
		check("9211-2.1 hit", w.get("/a"), `"edge 1"; hit; ttl=6`)
		check("9211-2.2 vary-miss", w.get("/a", "Foo: 1"), `"edge 1"; fwd=vary-miss; fwd-status=200; ttl=10; stored`)
		check("9211-2.2 method", w.do(viewOf("OPTIONS", "/a")), `"edge 1"; fwd=method`)
		check("fat GET", w.get("/a", "Content-Length: 3"), `"edge 1"; fwd=bypass; detail=content`)
		w.always(reply{status: 304})
		check("9211-2.2 request", w.get("/a", "Cache-Control: no-cache"), `"edge 1"; fwd=request; fwd-status=304; ttl=10; stored`)
		time.Sleep(11 * second)
		w.always(reply{status: 503})
		check("stale-if-error", w.get("/a"), `"edge 1"; fwd=stale; fwd-status=503; ttl=-1; detail=stale-if-error`)
		w.always(reply{status: 304})
		check("9211-2.2 stale", w.get("/a"), `"edge 1"; fwd=stale; fwd-status=304; ttl=10; stored`)
		w.always(reply{header: []string{"Cache-Control: private", "Cache-Status: Inner; hit"}})
		check("not stored, with a cache before", w.get("/c"), `Inner; hit, "edge 1"; fwd=uri-miss; fwd-status=200; detail=private`)
		w.always(reply{header: []string{"Cache-Control: max-age=10", "Cache-Status: Inner; hit", "Cache-Status: Outer; fwd=miss"}})
		w.get("/d")
		settled()
		check("9211-2 members of caches before stay", w.get("/d"), `Inner; hit, Outer; fwd=miss, "edge 1"; hit; ttl=10`)
	})
}

func TestFatGet(t *testing.T) {
	timed(t, Options{}, func(w *world) {
		w.always(reply{header: []string{"Cache-Control: max-age=10"}, body: "poison"})
		if got := w.get("/a", "Content-Length: 5"); got.outcome != "bypass" {
			t.Errorf("%s", got.outcome)
		}
		w.always(reply{header: []string{"Cache-Control: max-age=10"}, body: "good"})
		if got := w.get("/a"); got.outcome != "miss" || got.body != "good" {
			t.Errorf("%s %q", got.outcome, got.body)
		}
		settled()
	})
}

func TestOtherRequestsPass(t *testing.T) {
	timed(t, Options{}, func(w *world) {
		w.always(reply{header: []string{"Cache-Control: max-age=10"}})
		w.get("/a")
		settled()
		for _, v := range []struct{ method, line string }{{"POST", ""}, {"QUERY", ""}, {"CONNECT", ""}, {"get", ""}, {"GET", "Upgrade: websocket"}} {
			if got := w.do(viewOf(v.method, "/b", v.line)); got.outcome != "bypass" {
				t.Errorf("%s %s: %s", v.method, v.line, got.outcome)
			}
		}
	})
}

func TestHeaderBlockAgreesWithFields(t *testing.T) {
	ttl := 30
	for _, rules := range [][]edgeconfig.CacheRule{nil, {{Pattern: "**", BrowserTTL: &ttl}}} {
		timed(t, Options{}, func(w *world) {
			w.always(reply{header: []string{"Cache-Control: max-age=100, public", "Expires: 0", "X-A: 1", "X-A: 2", "ETag: \"a\"", "Cache-Status: Up; hit"}, body: "content"})
			w.get("/a")
			settled()
			time.Sleep(10 * second)
			v := viewOf("GET", "/a")
			res := w.cache.Lookup(testSite, v, w.rules.Match(v), time.Now())
			if res.Outcome != Hit || !res.Direct {
				t.Fatalf("%v direct %v", res.Outcome, res.Direct)
			}
			block := string(res.AppendVarying(append([]byte(nil), res.HeaderBlock()...)))
			fromBlock := fields(strings.ReplaceAll(block, "\r\n", "\n"))
			fromFields := fields()
			res.SetHeader(fromFields)
			fetched := w.get("/a").header
			for name := range fetched {
				if strings.Join(fetched[name], "|") != strings.Join(fromBlock[name], "|") || strings.Join(fetched[name], "|") != strings.Join(fromFields[name], "|") {
					t.Errorf("%s: Fetch %q, block %q, fields %q", name, fetched[name], fromBlock[name], fromFields[name])
				}
			}
			if len(fetched) != len(fromBlock) || len(fetched) != len(fromFields) || fetched.Get("Content-Length") != "7" {
				t.Errorf("fields differ: %v, %v, %v", fetched, fromBlock, fromFields)
			}
		}, rules...)
	}
}

func TestNoValueSplitsAResponse(t *testing.T) {
	b := newBlock([]Field{{"X-A", []string{"1\r\nX-Evil: 1", "2"}}, {"X-B", []string{"3\n"}}, {"X-C", []string{" 4\t"}}})
	if string(b.text) != "X-A: 2\r\nX-C: 4\r\n" || len(b.fields) != 2 || b.get("X-C") != "4" {
		t.Errorf("%q %v", b.text, b.fields)
	}
}

func TestSharedValuesAreSafeToAppendTo(t *testing.T) {
	timed(t, Options{}, func(w *world) {
		w.always(reply{header: []string{"Cache-Control: max-age=10", "Vary: Foo", "X-Next: 1"}})
		w.get("/a")
		settled()
		w.get("/a").header.Add("Vary", "Bar")
		if got := w.get("/a"); len(got.header["Vary"]) != 1 || got.header.Get("X-Next") != "1" {
			t.Errorf("%v", got.header)
		}
	})
}
