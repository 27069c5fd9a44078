package cache

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/edgewright/edgewright/edgeconfig"
)

func TestPurgeTargets(t *testing.T) {
	targets := []string{"/a", "/a?x=1", "/a?x=1&y=2", "/img/", "/img/a.png", "/img/b/c.png?v=1", "/imgs", "/caf%C3%A9", "http://example.com/a", "http://other.example/a"}
	for _, c := range []struct {
		path string
		gone []string
	}{
		{"/a", []string{"/a", "/a?x=1", "/a?x=1&y=2", "http://example.com/a", "http://other.example/a"}},
		{"/a?x=1", []string{"/a", "/a?x=1", "http://example.com/a", "http://other.example/a"}},
		{"/a?y=2&x=1", []string{"/a", "/a?x=1", "/a?x=1&y=2", "http://example.com/a", "http://other.example/a"}},
		{"/img/*", []string{"/img/", "/img/a.png", "/img/b/c.png?v=1"}},
		{"/img*", []string{"/img/", "/img/a.png", "/img/b/c.png?v=1", "/imgs"}},
		{"/*", targets},
		{"/img/b/../a%2Epng", []string{"/img/a.png"}},
		{"/caf%c3%a9", []string{"/caf%C3%A9"}},
		{"/café", []string{"/caf%C3%A9"}},
		{"https://example.com/a", []string{"/a", "/a?x=1", "/a?x=1&y=2", "http://example.com/a"}},
		{"http://OTHER.example:80/a", []string{"http://other.example/a"}},
		{"https://other.example/*", []string{"http://other.example/a"}},
		{"https://other.example", nil},
		{"/none", nil},
		{"gopher://x/", targets},
		{"a", targets},
		{"/%zz", targets},
		{"", targets},
	} {
		timed(t, Options{}, func(w *world) {
			w.always(reply{header: []string{"Cache-Control: max-age=100", "Vary: Foo"}})
			for _, target := range targets {
				w.get(target)
				w.get(target, "Foo: 1")
				settled()
			}
			n := w.cache.Purge([]string{testSite, "dom_none"}, []string{c.path}, false)
			if n != 2*len(c.gone) {
				t.Errorf("%q: %d removed, want %d", c.path, n, 2*len(c.gone))
			}
			for _, target := range targets {
				want := "hit"
				if slices.Contains(c.gone, target) {
					want = "miss"
				}
				if got := w.get(target, "Foo: 1"); got.outcome != want {
					t.Errorf("%q: %s is a %s", c.path, target, got.outcome)
				}
				settled()
			}
		})
	}
}

func TestPurgeOfFilteredQueries(t *testing.T) {
	rule := edgeconfig.CacheRule{Pattern: "**", Key: edgeconfig.CacheKey{Query: edgeconfig.QueryKey{Mode: "include", Names: []string{"id"}}}}
	timed(t, Options{}, func(w *world) {
		w.always(reply{header: []string{"Cache-Control: max-age=100"}})
		w.get("/a?id=1&utm=x")
		w.get("/a?id=2&utm=x")
		settled()
		if n := w.cache.Purge([]string{testSite}, []string{"https://example.com/a?id=1&utm=y"}, false); n != 1 {
			t.Errorf("%d removed", n)
		}
		if got := w.get("/a?id=2"); got.outcome != "hit" {
			t.Errorf("%s", got.outcome)
		}
	}, rule)
}

func TestPurgeAll(t *testing.T) {
	timed(t, Options{}, func(w *world) {
		w.always(reply{header: []string{"Cache-Control: max-age=100"}, body: "x"})
		for i := range 1000 {
			w.get("/" + strconv.Itoa(i))
		}
		settled()
		held := w.cache.Lookup(testSite, viewOf("GET", "/1"), nil, time.Now())
		if n := w.cache.Purge([]string{testSite}, nil, true); n != 1000 {
			t.Errorf("%d removed", n)
		}
		if n := w.cache.Purge([]string{testSite}, nil, true); n != 0 {
			t.Errorf("%d removed the second time", n)
		}
		settled()
		if s := w.cache.Stats(); s.Bytes != 0 || s.Objects != 0 || s.Pinned != 0 {
			t.Errorf("what was purged still counts: %+v", s)
		}
		w.always(reply{header: []string{"Cache-Control: max-age=100"}, body: "new"})
		v := viewOf("GET", "/1")
		if resp, err := w.cache.Fetch(w.t.Context(), testSite, v, &held, w.originFor(v, &held)); err != nil || resp.Outcome != Miss {
			t.Errorf("a look-up from before the purge: %v %+v", err, resp)
		} else {
			resp.Body.Close()
		}
		settled()
		if got := w.get("/1"); got.outcome != "hit" || got.body != "new" {
			t.Errorf("%s %q", got.outcome, got.body)
		}
		if n := w.cache.PurgeEverything(); n != 1 {
			t.Errorf("%d removed", n)
		}
	})
}

// TestPurgeCutsOffWhatIsOnItsWay covers fills, validations and background
// validations that began before the purge.
func TestPurgeCutsOffWhatIsOnItsWay(t *testing.T) {
	purges := map[string]func(*Cache){
		"all":    func(c *Cache) { c.Purge([]string{testSite}, nil, true) },
		"path":   func(c *Cache) { c.Purge([]string{testSite}, []string{"/a"}, false) },
		"prefix": func(c *Cache) { c.Purge([]string{testSite}, []string{"/*"}, false) },
		"url":    func(c *Cache) { c.Purge([]string{testSite}, []string{"https://example.com/a"}, false) },
	}
	before := map[string]func(w *world){ // what is stored when the slow request begins
		"fill":                  func(w *world) {},
		"validation":            func(w *world) { w.get("/a"); settled(); time.Sleep(11 * second) },
		"background validation": func(w *world) { w.get("/a"); settled(); time.Sleep(11 * second) },
	}
	for purgeName, purge := range purges {
		for kind, prepare := range before {
			for _, confirms := range []bool{false, true} {
				name := kind + "/" + purgeName + "/" + strconv.FormatBool(confirms)
				timed(t, Options{}, func(w *world) {
					header := []string{"Cache-Control: max-age=10", "ETag: \"old\""}
					if kind == "background validation" {
						header[0] += ", stale-while-revalidate=1000"
					}
					w.always(reply{header: header, body: "old"})
					prepare(w)
					release := make(chan struct{})
					w.script(func(r *asked) reply {
						<-release
						if confirms && r.header.Get("If-None-Match") != "" {
							return reply{status: 304}
						}
						return reply{header: header, body: "old"}
					})
					old := make(chan answered, 1)
					go func() { old <- w.get("/a") }()
					settled()
					waiter := make(chan answered, 1)
					if kind != "background validation" {
						go func() { waiter <- w.get("/a") }()
					}
					settled()
					purge(w.cache)
					w.always(reply{header: header, body: "new"})
					after := w.get("/a")
					if after.body != "new" {
						t.Errorf("%s: after the purge %q (%s)", name, after.body, after.outcome)
					}
					close(release)
					<-old
					if kind != "background validation" {
						if got := <-waiter; got.body != "new" {
							t.Errorf("%s: who waited got %q", name, got.body)
						}
					}
					settled()
					if got := w.get("/a"); got.body != "new" {
						t.Errorf("%s: what was on its way came back: %q (%s)", name, got.body, got.outcome)
					}
					settled()
				})
			}
		}
	}
}

func TestPurgeWhileContentStreams(t *testing.T) {
	timed(t, Options{}, func(w *world) {
		p := newPipe()
		w.always(reply{header: []string{"Cache-Control: max-age=10"}, reader: p})
		resp, _ := w.begin(w.t.Context(), viewOf("GET", "/a"))
		p.send("ol")
		w.cache.Purge([]string{testSite}, []string{"/a"}, false)
		w.always(reply{header: []string{"Cache-Control: max-age=10"}, body: "new"})
		if got := w.get("/a"); got.body != "new" || got.outcome != "miss" {
			t.Errorf("joined the old stream: %q %s", got.body, got.outcome)
		}
		p.send("d")
		p.end(nil)
		resp.Body.Close()
		settled()
		if got := w.get("/a"); got.body != "new" || got.outcome != "hit" {
			t.Errorf("%q %s", got.body, got.outcome)
		}
		if s := w.cache.Stats(); s.Objects != 1 || s.InFlight != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestPurgedIsNoStandIn(t *testing.T) {
	timed(t, Options{}, func(w *world) {
		w.always(reply{header: []string{"Cache-Control: max-age=10, stale-if-error=1000"}, body: "old"})
		w.get("/a")
		settled()
		time.Sleep(11 * second)
		w.script(func(*asked) reply { time.Sleep(second); return reply{err: errOrigin} })
		got := make(chan answered)
		go func() { got <- w.get("/a") }()
		settled()
		w.cache.Purge([]string{testSite}, []string{"/a"}, false)
		if got := <-got; got.err == nil {
			t.Errorf("a purged response stood in for a failed origin: %q", got.body)
		}
	})
}

func TestParsePurgeKeepsQueriesApart(t *testing.T) {
	for _, c := range []struct {
		stored, given string
		want          bool
	}{{"", "a=1", true}, {"a=1", "", false}, {"a=1", "a=11", false}, {"a=1&b=2", "b=2&a=1", true}, {"a=1&&b=2", "b=2&a=1", true}} {
		if got := subset(c.stored, c.given); got != c.want {
			t.Errorf("subset(%q, %q) = %v", c.stored, c.given, got)
		}
	}
}
