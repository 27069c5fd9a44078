package cache

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestValidatorsThatAreSent(t *testing.T) {
	for _, c := range []struct{ name, stored, noneMatch, modified string }{
		{"9111-4.3.1 ETag", "ETag: \"a\"", `"a"`, ""},
		{"9111-4.3.1 weak ETag", "ETag: W/\"a\"", `W/"a"`, ""},
		{"9111-4.3.1 Last-Modified", "Last-Modified: Fri, 31 Dec 1999 00:00:00 GMT", "", "Fri, 31 Dec 1999 00:00:00 GMT"},
		{"9111-4.3.1 both", "ETag: \"a\"\nLast-Modified: Fri, 31 Dec 1999 00:00:00 GMT", `"a"`, "Fri, 31 Dec 1999 00:00:00 GMT"},
		{"9110-8.8.3 malformed ETag is none", "ETag: a\nLast-Modified: Fri, 31 Dec 1999 00:00:00 GMT", "", "Fri, 31 Dec 1999 00:00:00 GMT"},
		{"none", "X-A: b", "", ""},
	} {
		timed(t, Options{}, func(w *world) {
			w.always(reply{header: []string{"Cache-Control: max-age=1, stale-if-error=100", c.stored}})
			w.get("/a")
			settled()
			time.Sleep(2 * second)
			w.get("/a", "If-None-Match: \"client\"", "If-Modified-Since: "+at(0))
			h := w.last().header
			if h.Get("If-None-Match") != c.noneMatch || h.Get("If-Modified-Since") != c.modified {
				t.Errorf("%s: If-None-Match %q, If-Modified-Since %q", c.name, h["If-None-Match"], h["If-Modified-Since"])
			}
			settled()
		})
	}
}

func TestFieldsAfter304(t *testing.T) {
	timed(t, Options{}, func(w *world) {
		w.script(func(r *asked) reply {
			if r.number == 1 {
				return reply{header: []string{"Cache-Control: max-age=10", "ETag: \"a\"", "X-Old: 1", "X-Both: 1", "Content-Type: text/plain", "Content-Encoding: gzip"}, body: "content"}
			}
			return reply{status: 304, header: []string{"Cache-Control: max-age=100", "ETag: \"a\"", "X-Both: 2", "X-New: 2", "Content-Length: 3", "Content-Type: x/y", "Content-Encoding: br", "Connection: X-Hop", "X-Hop: 1", "Set-Cookie: s=1"}}
		})
		w.get("/a")
		settled()
		time.Sleep(11 * second)
		first := w.get("/a")
		settled()
		time.Sleep(50 * second)
		second := w.get("/a")
		for i, got := range []answered{first, second} {
			want := http.Header{
				"Cache-Control": {"max-age=100"}, "Etag": {"\"a\""}, "X-Old": {"1"}, "X-Both": {"2"}, "X-New": {"2"},
				"Content-Length": {"7"}, "Content-Type": {"text/plain"}, "Content-Encoding": {"gzip"}, "X-Hop": nil,
			}
			for name := range want {
				if got.header.Get(name) != want.Get(name) {
					t.Errorf("9111-3.2 answer %d, %s: %q, want %q", i+1, name, got.header[name], want[name])
				}
			}
			if got.body != "content" || got.status != 200 {
				t.Errorf("answer %d: %d %q", i+1, got.status, got.body)
			}
		}
		if first.outcome != "revalidated" || second.outcome != "hit" {
			t.Errorf("outcomes %s, %s: the new max-age did not count", first.outcome, second.outcome)
		}
		if first.header.Get("Set-Cookie") != "s=1" || second.header.Get("Set-Cookie") != "" {
			t.Errorf("Set-Cookie of a 304 is for the client that caused it: %q, %q", first.header["Set-Cookie"], second.header["Set-Cookie"])
		}
		if age := second.header.Get("Age"); age != "50" {
			t.Errorf("9111-4.2.3 Age %s, counted from the validation it is 50", age)
		}
	})
}

func Test304OfSomethingElse(t *testing.T) {
	timed(t, Options{}, func(w *world) {
		w.script(func(r *asked) reply {
			if r.header.Get("If-None-Match") != "" {
				return reply{status: 304, header: []string{"ETag: \"other\""}}
			}
			return reply{header: []string{"Cache-Control: max-age=1", "ETag: \"" + strconv.Itoa(r.number) + "\""}, body: strconv.Itoa(r.number)}
		})
		w.get("/a")
		settled()
		time.Sleep(2 * second)
		got := w.get("/a")
		if got.status != 200 || got.body != "3" || got.outcome != "miss" {
			t.Errorf("9111-4.3.4: %d %q %s, want the whole asked for again", got.status, got.body, got.outcome)
		}
		settled()
	})
}

func Test304ThatForbidsStoring(t *testing.T) {
	timed(t, Options{}, func(w *world) {
		w.script(func(r *asked) reply {
			if r.header.Get("If-None-Match") != "" {
				return reply{status: 304, header: []string{"Cache-Control: no-store"}}
			}
			return reply{header: []string{"Cache-Control: max-age=1", "ETag: \"a\""}, body: "x"}
		})
		w.get("/a")
		settled()
		time.Sleep(2 * second)
		if got := w.get("/a"); got.status != 200 || got.body != "x" {
			t.Errorf("%d %q", got.status, got.body)
		}
		settled()
		if n := w.cache.Stats().Objects; n != 0 {
			t.Errorf("%d stored after no-store", n)
		}
	})
}

func TestUnexpected304(t *testing.T) {
	timed(t, Options{}, func(w *world) {
		w.always(reply{status: 304})
		if got := w.get("/a"); got.err == nil {
			t.Errorf("a 304 to a request without conditions became %d", got.status)
		}
		settled()
	})
}

func TestClientPreconditions(t *testing.T) {
	const lm = "Fri, 31 Dec 1999 12:00:00 GMT"
	for _, c := range []struct {
		name, stored, send string
		status             int
	}{
		{"9110-13.1.2 same tag", "ETag: \"a\"", "If-None-Match: \"a\"", 304},
		{"9110-13.1.2 other tag", "ETag: \"a\"", "If-None-Match: \"b\"", 200},
		{"9110-13.1.2 weak comparison, ours weak", "ETag: W/\"a\"", "If-None-Match: \"a\"", 304},
		{"9110-13.1.2 weak comparison, theirs weak", "ETag: \"a\"", "If-None-Match: W/\"a\"", 304},
		{"9110-8.8.3 tags are case-sensitive", "ETag: \"a\"", "If-None-Match: \"A\"", 200},
		{"9110-8.8.3 w/ is no prefix", "ETag: \"a\"", "If-None-Match: w/\"a\"", 200},
		{"9110-13.1.2 in a list", "ETag: \"a\"", "If-None-Match: \"b\", W/\"c\" ,\"a\"", 304},
		{"9110-13.1.2 in a list with empty members", "ETag: \"a\"", "If-None-Match: ,, \"a\"", 304},
		{"9110-8.8.3 comma within a tag", "ETag: \"a,b\"", "If-None-Match: \"x\", \"a,b\"", 304},
		{"9110-8.8.3 part of a tag", "ETag: \"b\"", "If-None-Match: \"a,b\"", 200},
		{"9110-13.1.2 on another line", "ETag: \"a\"", "If-None-Match: \"b\"\nIf-None-Match: \"a\"", 304},
		{"9110-13.1.2 *", "ETag: \"a\"", "If-None-Match: *", 304},
		{"9110-13.1.2 * without ETag", "X-A: b", "If-None-Match: *", 304},
		{"9110-13.1.2 unquoted", "ETag: \"a\"", "If-None-Match: a", 200},
		{"9110-13.1.2 stored without ETag", "X-A: b", "If-None-Match: \"a\"", 200},
		{"9110-13.1.3 unchanged since", "Last-Modified: " + lm, "If-Modified-Since: " + lm, 304},
		{"9110-13.1.3 unchanged since later", "Last-Modified: " + lm, "If-Modified-Since: Fri, 31 Dec 1999 13:00:00 GMT", 304},
		{"9110-13.1.3 changed since", "Last-Modified: " + lm, "If-Modified-Since: Fri, 31 Dec 1999 11:00:00 GMT", 200},
		{"9110-13.1.3 malformed date", "Last-Modified: " + lm, "If-Modified-Since: now", 200},
		{"9111-4.3.2 Date stands in for Last-Modified", "X-A: b", "If-Modified-Since: " + epoch, 304},
		{"9111-4.3.2 Date stands in, before", "X-A: b", "If-Modified-Since: " + lm, 200},
		{"9110-13.2.2 If-None-Match goes before", "ETag: \"a\"\nLast-Modified: " + lm, "If-None-Match: \"b\"\nIf-Modified-Since: " + lm, 200},
		{"9110-13.2.2 If-None-Match goes before, equal", "ETag: \"a\"\nLast-Modified: " + lm, "If-None-Match: \"a\"\nIf-Modified-Since: Fri, 31 Dec 1999 11:00:00 GMT", 304},
	} {
		t.Run(c.name, func(t *testing.T) {
			timed(t, Options{}, func(w *world) {
				w.always(reply{header: []string{"Cache-Control: max-age=10", "Content-Type: text/plain", c.stored}, body: "content"})
				if got := w.get("/a", c.send); got.status != c.status {
					t.Errorf("on a miss: %d, want %d", got.status, c.status)
				}
				settled()
				got := w.get("/a", c.send)
				if got.status != c.status || got.outcome != "hit" {
					t.Errorf("%d %s, want %d", got.status, got.outcome, c.status)
				}
				if c.status == 304 && (got.body != "" || got.header["Content-Type"] != nil || got.header["Content-Length"] != nil || got.header.Get("Cache-Control") == "" || got.header.Get("Date") == "") {
					t.Errorf("9110-15.4.5: %q %v", got.body, got.header)
				}
				if head := w.do(viewOf("HEAD", "/a", c.send)); head.status != c.status {
					t.Errorf("HEAD: %d", head.status)
				}
			})
		})
	}
}

func TestPreconditionsConcernSuccessOnly(t *testing.T) {
	timed(t, Options{}, func(w *world) {
		w.always(reply{status: 404, header: []string{"Cache-Control: max-age=10", "ETag: \"a\""}, body: "none"})
		w.get("/a")
		settled()
		if got := w.get("/a", "If-None-Match: \"a\""); got.status != 404 {
			t.Errorf("9110-13.2.1: %d", got.status)
		}
	})
}

func TestPreconditionsForTheOrigin(t *testing.T) {
	for _, line := range []string{"If-Match: \"a\"", "If-Unmodified-Since: " + epoch} {
		timed(t, Options{}, func(w *world) {
			w.always(reply{header: []string{"Cache-Control: max-age=10", "ETag: \"a\""}})
			w.get("/a")
			settled()
			name, value, _ := strings.Cut(line, ": ")
			if got := w.get("/a", line); got.outcome != "bypass" || w.last().header.Get(name) != value {
				t.Errorf("9111-4.3.2 %s: %s, sent %q", name, got.outcome, w.last().header[name])
			}
		})
	}
}

func TestPreconditionOnWhatIsNotStored(t *testing.T) {
	// The client's condition was left out of the request, so the cache answers it.
	timed(t, Options{}, func(w *world) {
		w.always(reply{header: []string{"Cache-Control: no-store", "ETag: \"a\""}, body: "content"})
		if got := w.get("/a", "If-None-Match: \"a\""); got.status != 304 || got.body != "" {
			t.Errorf("%d %q", got.status, got.body)
		}
		settled()
	})
}

func TestHead(t *testing.T) {
	timed(t, Options{}, func(w *world) {
		w.always(reply{header: []string{"Cache-Control: max-age=10", "X-A: b"}, body: "content"})
		if got := w.do(viewOf("HEAD", "/a")); got.outcome != "miss" || got.body != "" {
			t.Errorf("nothing stored: %s %q", got.outcome, got.body)
		}
		if got := w.get("/a"); got.outcome != "miss" || got.body != "content" {
			t.Errorf("9110-9.3.2 a HEAD's response does not answer GET: %s %q", got.outcome, got.body)
		}
		settled()
		got := w.do(viewOf("HEAD", "/a"))
		if got.outcome != "hit" || got.body != "" || got.header.Get("Content-Length") != "7" || got.header.Get("X-A") != "b" {
			t.Errorf("9111-4 HEAD from a stored GET: %s %q %v", got.outcome, got.body, got.header)
		}
	})
}

func TestHeadTellsOfTheStoredGet(t *testing.T) {
	for _, c := range []struct {
		name, head string
		stored     bool // still usable for GET after the HEAD
	}{
		{"9111-4.3.5 same", "Cache-Control: max-age=100\nETag: \"a\"\nContent-Length: 7", true},
		{"9111-4.3.5 other tag", "Cache-Control: max-age=100\nETag: \"b\"\nContent-Length: 7", false},
		{"9111-4.3.5 other length", "Cache-Control: max-age=100\nETag: \"a\"\nContent-Length: 8", false},
	} {
		timed(t, Options{}, func(w *world) {
			w.script(func(r *asked) reply {
				if r.method == "HEAD" {
					return reply{header: []string{c.head, "X-A: new"}}
				}
				return reply{header: []string{"Cache-Control: max-age=10", "ETag: \"a\""}, body: "content"}
			})
			w.get("/a")
			settled()
			time.Sleep(11 * second)
			w.do(viewOf("HEAD", "/a"))
			settled()
			got := w.get("/a")
			if (got.outcome == "hit") != c.stored || c.stored && got.header.Get("X-A") != "new" {
				t.Errorf("%s: %s %v", c.name, got.outcome, got.header)
			}
			settled()
		})
	}
}
