package cache

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/edgewright/edgewright/edgeconfig"
)

func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		pattern, path string
		want          bool
	}{
		{"/a", "/a", true},
		{"/a", "/ab", false},
		{"/a", "/", false},
		{"/*", "/a", true},
		{"/*", "/", true},
		{"/*", "/a/b", false},
		{"/**", "/a/b", true},
		{"/**", "/", true},
		{"**", "/a/b", true},
		{"/img/**", "/img/", true},
		{"/img/**", "/img", false},
		{"/img/**", "/img/a/b.png", true},
		{"/*.css", "/a.css", true},
		{"/*.css", "/a/b.css", false},
		{"/**.css", "/a/b.css", true},
		{"/**/*.css", "/a/b.css", true},
		{"/a?c", "/abc", true},
		{"/a?c", "/a/c", false},
		{"/a?c", "/ac", false},
		{"/*/b", "/a/b", true},
		{"/*/b", "/a/a/b", false},
		{"/**/b", "/a/a/b", true},
		{"/a*b*c", "/aXbXbXc", true},
		{"/a*b*c", "/aXb/Xc", false},
		{"/**x*y", "/x/axby", true},
		{"/**x*y", "/x/a/y", false},
		{"", "/a", false},
		{"", "", true},
		{"*", "", true},
		{"***", "/a/b", true},
		{"/**", "a", false},
	} {
		if got := match(c.pattern, c.path); got != c.want {
			t.Errorf("match(%q, %q) = %v", c.pattern, c.path, got)
		}
	}
}

// TestPatternsAgreeWithRegexp compares with a translation into a regular
// expression.
func TestPatternsAgreeWithRegexp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringOfN(rapid.SampledFrom([]rune("ab/*?")), 0, 10, -1).Draw(t, "pattern")
		path := rapid.StringOfN(rapid.SampledFrom([]rune("ab/")), 0, 12, -1).Draw(t, "path")
		var re strings.Builder
		re.WriteString("^")
		for rest := pattern; rest != ""; {
			switch {
			case strings.HasPrefix(rest, "**"):
				re.WriteString(".*")
				rest = strings.TrimLeft(rest, "*")
				continue
			case rest[0] == '*':
				re.WriteString("[^/]*")
			case rest[0] == '?':
				re.WriteString("[^/]")
			default:
				re.WriteString(regexp.QuoteMeta(rest[:1]))
			}
			rest = rest[1:]
		}
		re.WriteString("$")
		if want := regexp.MustCompile(re.String()).MatchString(path); match(pattern, path) != want {
			t.Fatalf("match(%q, %q) = %v", pattern, path, !want)
		}
	})
}

func TestFirstRuleWins(t *testing.T) {
	rules := CompilePolicy([]edgeconfig.CacheRule{{ID: "1", Pattern: "/a/*"}, {ID: "2", Pattern: "/**"}})
	if got := rules.Match(viewOf("GET", "/a/b")).ID; got != "1" {
		t.Errorf("rule %q", got)
	}
	if got := rules.Match(viewOf("GET", "/b")).ID; got != "2" {
		t.Errorf("rule %q", got)
	}
	if got := (*Rules)(nil).Match(viewOf("GET", "/b")); got == nil || got.ID != "" {
		t.Errorf("without rules: %v", got)
	}
}

func TestQueryModes(t *testing.T) {
	for _, c := range []struct {
		mode  string
		names []string
		query string
		want  string
	}{
		{"", nil, "b=2&a=1", "b=2&a=1"},
		{"all", nil, "b=2&a=1", "b=2&a=1"},
		{"none", nil, "b=2&a=1", ""},
		{"include", []string{"a"}, "b=2&a=1&c=3&a=4", "a=1&a=4"},
		{"include", []string{"a"}, "b=2", ""},
		{"include", nil, "b=2", ""},
		{"include", []string{"a b"}, "a+b=1&a%20b=2&ab=3", "a+b=1&a%20b=2"},
		{"exclude", []string{"utm_id"}, "a=1&utm_id=2&utm%5Fid=3&b", "a=1&b"},
		{"exclude", []string{"utm_id"}, "a=1", "a=1"},
		{"exclude", nil, "a=1&b=2", "a=1&b=2"},
		{"exclude", []string{"a"}, "a", ""},
		{"exclude", []string{"a"}, "ab=1&=x&b%a=2", "ab=1&=x&b%a=2"},
	} {
		rule := CompilePolicy([]edgeconfig.CacheRule{{Pattern: "**", Key: edgeconfig.CacheKey{Query: edgeconfig.QueryKey{Mode: c.mode, Names: c.names}}}}).Match(viewOf("GET", "/"))
		if got := rule.ForwardQuery(c.query); got != c.want {
			t.Errorf("%s %q of %q: %q, want %q", c.mode, c.names, c.query, got, c.want)
		}
	}
}

func TestWhatIsNotKeyedIsNotForwarded(t *testing.T) {
	rule := edgeconfig.CacheRule{Pattern: "**", Key: edgeconfig.CacheKey{Query: edgeconfig.QueryKey{Mode: "include", Names: []string{"id"}}}}
	timed(t, Options{}, func(w *world) {
		w.always(reply{header: []string{"Cache-Control: max-age=10"}})
		w.get("/a?id=1&evil=2")
		settled()
		if q := w.last().query; q != "id=1" {
			t.Errorf("the origin got %q", q)
		}
		if got := w.get("/a?x=y&id=1"); got.outcome != "hit" {
			t.Errorf("%s", got.outcome)
		}
		if got := w.get("/a?id=2"); got.outcome != "miss" {
			t.Errorf("%s", got.outcome)
		}
		w.do(viewOf("POST", "/a?id=1&x=2"))
		if q := w.last().query; q != "id=1&x=2" {
			t.Errorf("a request that the cache takes no part in keeps its query: %q", q)
		}
		if got := w.get("/a?id=1"); got.outcome != "miss" {
			t.Errorf("the POST's key is the GET's: %s", got.outcome)
		}
		settled()
	}, rule)
}

func TestKeyedHeadersAndCookies(t *testing.T) {
	rule := edgeconfig.CacheRule{Pattern: "**", Key: edgeconfig.CacheKey{Headers: []string{"x-lang", "Accept-Encoding"}, Cookies: []string{"ab"}}}
	runTwice(t, Options{}, []twice{
		{name: "same header", first: "X-Lang: de", resp: "Cache-Control: max-age=10", second: "X-Lang: de", want: "hit"},
		{name: "other header", first: "X-Lang: de", resp: "Cache-Control: max-age=10", second: "X-Lang: en", want: "miss"},
		{name: "no header", first: "X-Lang: de", resp: "Cache-Control: max-age=10", want: "miss"},
		{name: "header normalised", first: "Accept-Encoding: gzip, br", resp: "Cache-Control: max-age=10", second: "Accept-Encoding: br, gzip;q=0.5", want: "hit"},
		{name: "same cookie among others", first: "Cookie: x=1; ab=2", resp: "Cache-Control: max-age=10", second: "Cookie: ab=2; y=3", want: "hit"},
		{name: "other cookie", first: "Cookie: ab=2", resp: "Cache-Control: max-age=10", second: "Cookie: ab=3", want: "miss"},
		{name: "no cookie", first: "Cookie: ab=2", resp: "Cache-Control: max-age=10", second: "Cookie: x=1", want: "miss"},
		{name: "cookie on another line", first: "Cookie: ab=2", resp: "Cache-Control: max-age=10", second: "Cookie: x=1\nCookie: ab=2", want: "hit"},
	}, rule)
}

func TestOverride(t *testing.T) {
	rule := edgeconfig.CacheRule{Pattern: "**", Action: edgeconfig.CacheOverride, EdgeTTL: 100}
	runTwice(t, Options{}, []twice{
		{name: "nothing said", resp: "X-A: b", wait: 99 * second, want: "hit"},
		{name: "over", resp: "X-A: b", wait: 100 * second, want: "miss"},
		{name: "max-age=0", resp: "Cache-Control: max-age=0", wait: 50 * second, want: "hit"},
		{name: "longer max-age", resp: "Cache-Control: max-age=1000", wait: 101 * second, want: "miss"},
		{name: "no-cache", resp: "Cache-Control: no-cache", wait: 50 * second, want: "hit"},
		{name: "counts from when it came", resp: "Age: 1000", wait: 50 * second, want: "hit"},
		{name: "no-store stays", resp: "Cache-Control: no-store", want: "miss"},
		{name: "private stays", resp: "Cache-Control: private", want: "miss"},
		{name: "Set-Cookie stays", resp: "Set-Cookie: a=b", want: "miss"},
		{name: "Vary: * stays", resp: "Vary: *", want: "miss"},
		{name: "Authorization stays", first: "Authorization: x", resp: "X-A: b", want: "miss"},
		{name: "redirects", status: 302, resp: "Location: /b", wait: 50 * second, want: "hit"},
		{name: "404 a minute", status: 404, resp: "X-A: b", wait: 59 * second, want: "hit"},
		{name: "404 no longer", status: 404, resp: "X-A: b", wait: 61 * second, want: "miss"},
		{name: "500 not", status: 500, resp: "X-A: b", want: "miss"},
		{name: "403 not", status: 403, resp: "X-A: b", want: "miss"},
	}, rule)
	timed(t, Options{}, func(w *world) {
		w.always(reply{body: "for all"})
		w.get("/a", "Cookie: session=1")
		if c := w.last().header["Cookie"]; len(c) != 0 {
			t.Errorf("cookies that the key does not hold reach the origin: %q", c)
		}
		settled()
		if got := w.get("/a", "Cookie: session=2"); got.outcome != "hit" {
			t.Errorf("%s", got.outcome)
		}
	}, rule)
	rule.Key.Cookies = []string{"lang"}
	timed(t, Options{}, func(w *world) {
		w.always(reply{header: []string{"Vary: Cookie"}})
		w.get("/a", "Cookie: session=1; lang=de")
		if c := w.last().header.Get("Cookie"); c != "lang=de" {
			t.Errorf("Cookie sent %q", c)
		}
		settled()
		if got := w.get("/a", "Cookie: lang=de; session=2"); got.outcome != "hit" {
			t.Errorf("Vary: Cookie concerns the cookies that are sent: %s", got.outcome)
		}
	}, rule)
}

func TestBypassRule(t *testing.T) {
	runTwice(t, Options{}, []twice{{name: "bypass", resp: "Cache-Control: max-age=10", want: "bypass"}},
		edgeconfig.CacheRule{Pattern: "**", Action: edgeconfig.CacheBypass})
}

func TestBrowserTTL(t *testing.T) {
	ttl := 30
	rule := edgeconfig.CacheRule{Pattern: "**", BrowserTTL: &ttl}
	for _, c := range []struct{ stored, first, later string }{
		{"Cache-Control: max-age=100", "max-age=30", "max-age=50"},
		{"Cache-Control: public, max-age=100, s-maxage=100, no-cache=\"X\", x=\"a, b\"", "public, s-maxage=100, x=\"a, b\", max-age=30", "public, s-maxage=100, x=\"a, b\", max-age=50"},
		{"Expires: Sat, 01 Jan 2000 01:00:00 GMT", "max-age=30", "max-age=50"},
		{"Cache-Control: no-store\nCDN-Cache-Control: max-age=100", "no-store", "no-store"},
	} {
		timed(t, Options{}, func(w *world) {
			w.always(reply{header: []string{c.stored, "ETag: \"a\""}})
			if got := w.get("/a"); got.header.Get("Cache-Control") != c.first || got.header["Expires"] != nil {
				t.Errorf("%s: first %q", c.stored, got.header["Cache-Control"])
			}
			settled()
			time.Sleep(20 * second)
			got := w.get("/a")
			if got.header.Get("Cache-Control") != c.later || got.header.Get("Age") != "20" {
				t.Errorf("%s: later %q with Age %q", c.stored, got.header["Cache-Control"], got.header["Age"])
			}
			if got := w.get("/a", "If-None-Match: \"a\""); got.status != 304 || got.header.Get("Cache-Control") != c.later {
				t.Errorf("%s: in a 304 %q", c.stored, got.header["Cache-Control"])
			}
		}, rule)
	}
	timed(t, Options{}, func(w *world) {
		w.always(reply{header: []string{"Cache-Control: private, max-age=100"}})
		if got := w.get("/a"); got.header.Get("Cache-Control") != "private, max-age=100" {
			t.Errorf("what is one client's is left alone: %q", got.header["Cache-Control"])
		}
		settled()
	}, rule)
}

func TestRulesMayChangeUnderStoredResponses(t *testing.T) {
	timed(t, Options{}, func(w *world) {
		w.always(reply{header: []string{"Cache-Control: max-age=100"}, body: "x"})
		w.rules = CompilePolicy([]edgeconfig.CacheRule{{Pattern: "**", Action: edgeconfig.CacheOverride, EdgeTTL: 1000}})
		w.get("/a")
		settled()
		time.Sleep(200 * second)
		if got := w.get("/a"); got.outcome != "hit" {
			t.Errorf("%s", got.outcome)
		}
		ttl := 7
		w.rules = CompilePolicy([]edgeconfig.CacheRule{{Pattern: "**", Action: edgeconfig.CacheOverride, EdgeTTL: 500, BrowserTTL: &ttl}})
		if got := w.get("/a"); got.outcome != "hit" || got.header.Get("Cache-Control") != "max-age=207" {
			t.Errorf("%s %q", got.outcome, got.header["Cache-Control"])
		}
		w.rules = CompilePolicy(nil)
		if got := w.get("/a"); got.outcome != "miss" {
			t.Errorf("without the rule the response's own max-age counts: %s", got.outcome)
		}
		settled()
	})
}

func TestSitesAreApart(t *testing.T) {
	timed(t, Options{}, func(w *world) {
		w.always(reply{header: []string{"Cache-Control: max-age=100"}})
		w.get("/a")
		settled()
		if res := w.cache.Lookup("dom_other", viewOf("GET", "/a"), nil, time.Now()); res.Outcome != Miss {
			t.Errorf("another site's look-up: %v", res.Outcome)
		}
		for _, target := range []string{"http://example.com/a", "http://www.example.com/a", "/A", "/a?"} {
			want := "miss"
			if target == "/a?" {
				want = "hit"
			}
			if got := w.get(target); got.outcome != want {
				t.Errorf("%s: %s", target, got.outcome)
			}
			settled()
		}
	})
}
