package cache

import (
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestStaleWhileRevalidate(t *testing.T) {
	timed(t, Options{}, func(w *world) {
		w.script(func(r *asked) reply {
			return reply{header: []string{"Cache-Control: max-age=10, stale-while-revalidate=20"}, body: strconv.Itoa(r.number)}
		})
		w.get("/a")
		settled()
		time.Sleep(15 * second)
		got := w.get("/a")
		if got.outcome != "stale" || got.body != "1" || got.header.Get("Age") != "15" {
			t.Errorf("5861-3 within the window: %s %q Age %s", got.outcome, got.body, got.header.Get("Age"))
		}
		if s := got.header.Get("Cache-Status"); !strings.Contains(s, "; hit; ttl=-5") {
			t.Errorf("9211-2.4 a negative ttl: %q", s)
		}
		settled()
		if got := w.get("/a"); got.outcome != "hit" || got.body != "2" {
			t.Errorf("after the background validation: %s %q", got.outcome, got.body)
		}
		time.Sleep(31 * second)
		if got := w.get("/a"); got.outcome != "miss" || got.body != "3" {
			t.Errorf("5861-3 past the window: %s %q", got.outcome, got.body)
		}
		settled()
	})
}

func TestStaleWhileRevalidateAgainstOthers(t *testing.T) {
	swr := func(s string) string { return "Cache-Control: stale-while-revalidate=100, " + s + "\nETag: \"a\"" }
	runTwice(t, Options{}, []twice{
		{name: "9111-4.2.4 not with must-revalidate", resp: swr("max-age=1, must-revalidate"), wait: 2 * second, want: "revalidated"},
		{name: "9111-4.2.4 not with proxy-revalidate", resp: swr("max-age=1, proxy-revalidate"), wait: 2 * second, want: "revalidated"},
		{name: "9111-4.2.4 not with no-cache", resp: swr("max-age=1, no-cache"), want: "revalidated"},
		{name: "said beside s-maxage it is meant", resp: swr("s-maxage=1"), wait: 2 * second, want: "stale"},
		{name: "9111-5.2.1.4 the client wants it checked", resp: swr("max-age=1"), wait: 2 * second, second: "Cache-Control: no-cache", want: "revalidated"},
		{name: "9111-5.2.1.1 max-age wants no stale response", resp: swr("max-age=1"), wait: 2 * second, second: "Cache-Control: max-age=100", want: "revalidated"},
		{name: "malformed is none", resp: "Cache-Control: max-age=1, stale-while-revalidate=x\nETag: \"a\"", wait: 2 * second, want: "revalidated"},
	})
}

func TestBackgroundValidationIsOneAndPauses(t *testing.T) {
	timed(t, Options{}, func(w *world) {
		w.script(func(r *asked) reply {
			if r.number > 1 {
				time.Sleep(100 * time.Millisecond)
				return reply{err: errOrigin}
			}
			return reply{header: []string{"Cache-Control: max-age=10, stale-while-revalidate=1000"}, body: "x"}
		})
		w.get("/a")
		settled()
		time.Sleep(15 * second)
		for range 50 {
			if got := w.get("/a"); got.outcome != "stale" {
				t.Fatalf("%s", got.outcome)
			}
		}
		time.Sleep(500 * time.Millisecond)
		w.get("/a")
		settled()
		if n := w.asks(); n != 2 {
			t.Errorf("%d requests to the origin, want one fill and one failed validation", n)
		}
		time.Sleep(2 * second)
		w.get("/a")
		time.Sleep(second)
		if n := w.asks(); n != 3 {
			t.Errorf("%d requests to the origin after the pause, want 3", n)
		}
	})
}

func TestBackgroundValidationsAreBounded(t *testing.T) {
	timed(t, Options{MaxBackground: 2}, func(w *world) {
		w.script(func(r *asked) reply {
			if r.number > 5 {
				time.Sleep(minute)
			}
			return reply{header: []string{"Cache-Control: max-age=10, stale-while-revalidate=1000"}}
		})
		for i := range 5 {
			w.get("/" + strconv.Itoa(i))
		}
		settled()
		time.Sleep(15 * second)
		for i := range 5 {
			if got := w.get("/" + strconv.Itoa(i)); got.outcome != "stale" {
				t.Errorf("%s", got.outcome)
			}
		}
		settled()
		if n := w.asks() - 5; n != 2 {
			t.Errorf("%d validations at a time, the bound is 2", n)
		}
		time.Sleep(2 * minute)
	})
}

func TestStaleIfError(t *testing.T) {
	for _, c := range []struct {
		name, stored, send string
		fail               reply
		wait               time.Duration
		want               string // outcome, or "error", or a status
	}{
		{"5861-4 connection refused", "max-age=10, stale-if-error=100", "", reply{err: errOrigin}, 20 * second, "stale"},
		{"5861-4 500", "max-age=10, stale-if-error=100", "", reply{status: 500}, 20 * second, "stale"},
		{"5861-4 502", "max-age=10, stale-if-error=100", "", reply{status: 502}, 20 * second, "stale"},
		{"5861-4 503", "max-age=10, stale-if-error=100", "", reply{status: 503}, 20 * second, "stale"},
		{"5861-4 504", "max-age=10, stale-if-error=100", "", reply{status: 504}, 20 * second, "stale"},
		{"5861-4 503 that could be stored", "max-age=10, stale-if-error=100", "", reply{status: 503, header: []string{"Cache-Control: max-age=5"}}, 20 * second, "stale"},
		{"5861-4 501 is no such error", "max-age=10, stale-if-error=100", "", reply{status: 501}, 20 * second, "501"},
		{"5861-4 404 is an answer", "max-age=10, stale-if-error=100", "", reply{status: 404}, 20 * second, "404"},
		{"5861-4 past the window", "max-age=10, stale-if-error=100", "", reply{status: 500}, 111 * second, "500"},
		{"5861-4 past the window, refused", "max-age=10, stale-if-error=100", "", reply{err: errOrigin}, 111 * second, "error"},
		{"9111-4.2.4 not asked for", "max-age=10", "", reply{err: errOrigin}, 20 * second, "error"},
		{"9111-5.2.2.2 must-revalidate", "max-age=10, must-revalidate, stale-if-error=100", "", reply{err: errOrigin}, 20 * second, "error"},
		{"9111-5.2.2.4 no-cache", "no-cache, max-age=10, stale-if-error=100", "", reply{err: errOrigin}, 20 * second, "error"},
		{"5861-4 asked for by the request", "max-age=10", "Cache-Control: stale-if-error=100", reply{err: errOrigin}, 20 * second, "stale"},
		{"5861-4 asked for by the request, past", "max-age=10", "Cache-Control: stale-if-error=5", reply{err: errOrigin}, 20 * second, "error"},
		{"5861-4 fresh but to be checked", "max-age=100, stale-if-error=100", "Cache-Control: no-cache", reply{err: errOrigin}, 20 * second, "stale"},
	} {
		t.Run(c.name, func(t *testing.T) {
			timed(t, Options{}, func(w *world) {
				w.always(reply{header: []string{"Cache-Control: " + c.stored, "ETag: \"a\""}, body: "old"})
				w.get("/a")
				settled()
				time.Sleep(c.wait)
				w.always(c.fail)
				got := w.get("/a", c.send)
				result := got.outcome
				if got.err != nil {
					result = "error"
				} else if got.outcome != "stale" {
					result = strconv.Itoa(got.status)
				}
				if result != c.want {
					t.Errorf("%s, want %s (Cache-Status %q)", result, c.want, got.header["Cache-Status"])
				}
				if c.want == "stale" && got.body != "old" {
					t.Errorf("content %q", got.body)
				}
				settled()
			})
		})
	}
}
