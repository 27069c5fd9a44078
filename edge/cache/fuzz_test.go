package cache

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/edgewright/edgewright/edge/request"
	"github.com/edgewright/edgewright/edgeconfig"
)

func FuzzDirectives(f *testing.F) {
	for _, s := range []string{"max-age=1, no-store", "a=\"b, c\\\"\", private=\"x,y\"", "max-age=\"1", ",,=,\"", "no-cache=", "s-maxage=99999999999999999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		total := 0
		for d := range eachDirective(line) {
			if total += len(d.text); strings.Trim(d.text, " \t") != d.text || d.text == "" {
				t.Errorf("member %q", d.text)
			}
			if !strings.Contains(line, d.text) {
				t.Errorf("member %q is not in %q", d.text, line)
			}
		}
		if total > len(line) {
			t.Errorf("%d bytes of members in %q", total, line)
		}
		cc := parseResponseControl([]string{line})
		if cc.maxAge < absent || cc.maxAge > maxDelta || cc.sMaxage < absent || cc.sMaxage > maxDelta || cc.staleIfError < 0 || cc.staleWhileRevalidate < 0 {
			t.Errorf("%+v", cc)
		}
		// A directive of its own at the end is never hidden, whatever comes
		// before, unless a quoted string that is closed later holds it.
		if !strings.Contains(line, "\"") && !parseResponseControl([]string{line + ", no-store"}).noStore {
			t.Errorf("%q hides no-store", line)
		}
		if !parseResponseControl([]string{line, "no-store"}).noStore {
			t.Errorf("%q hides no-store on the next line", line)
		}
		parseRequestControl(viewOf("GET", "/", "Cache-Control: "+line).Header)
	})
}

func FuzzStructured(f *testing.F) {
	for _, s := range []string{"max-age=10", "a;b=c, d=(e \"f\");g", "a=?1, b=:aGk=:, c=-1.5", "max-age=10,", "A=1", "a=1, a=2", "x=\"\\\"\""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		members, ok := parseDictionary(line)
		seen := map[string]bool{}
		for _, m := range members {
			if m.key == "" || strings.ToLower(m.key) != m.key || seen[m.key] {
				t.Errorf("key %q in %q", m.key, line)
			}
			seen[m.key] = true
		}
		if !ok {
			return
		}
		if again, ok := parseDictionary("zzz=1" + map[bool]string{true: ", ", false: ""}[len(members) > 0] + strings.TrimLeft(line, " ")); !ok || len(again) < len(members) {
			t.Errorf("%q parses alone but not after a member", line)
		}
		parseTargeted([]string{line})
	})
}

func FuzzVary(f *testing.F) {
	f.Add("Foo, Bar", "Foo: 1")
	f.Add("*", "")
	f.Add("accept-encoding", "Accept-Encoding: gzip;q=0, br")
	f.Fuzz(func(t *testing.T, vary, lines string) {
		names, ok := parseVary([]string{vary})
		if !ok {
			return
		}
		if trim(vary) == "*" {
			t.Error("* matches")
		}
		v := viewOf("GET", "/", lines)
		fields := varyOf(names, v, bare)
		if !matches(fields, v, bare) {
			t.Errorf("a request does not match itself: %q %q", vary, lines)
		}
		for _, name := range names {
			if canonical(name) != name {
				t.Errorf("name %q", name)
			}
		}
	})
}

func FuzzAcceptEncoding(f *testing.F) {
	for _, s := range []string{"gzip, br", "*;q=0", "identity;q=0.0, *", "gzip;q=;x=y", "zstd;Q=1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		set := acceptedCodings([]string{line})
		if again := acceptedCodings([]string{set.String()}); again != set {
			t.Errorf("%q is %v, which reads as %v", line, set, again)
		}
	})
}

func FuzzRange(f *testing.F) {
	f.Add("bytes=0-1,5-", int64(10))
	f.Add("bytes=-3", int64(2))
	f.Add("bytes=99999999999999999999-", int64(1))
	f.Fuzz(func(t *testing.T, line string, size int64) {
		size &= 1<<50 - 1
		ranges, verdict := parseRange([]string{line}, size)
		if (verdict == rangeSatisfiable) != (len(ranges) > 0) || len(ranges) > maxRanges {
			t.Errorf("%d ranges with verdict %d", len(ranges), verdict)
		}
		total := int64(0)
		for _, r := range ranges {
			if r.start < 0 || r.length <= 0 || r.start+r.length > size {
				t.Errorf("%+v of %d", r, size)
			}
			total += r.length
		}
		if total > size {
			t.Errorf("%d bytes of %d", total, size)
		}
	})
}

func FuzzKey(f *testing.F) {
	f.Add("/a", "x=1", "/b", "x=1", "b", "a=1; b=2")
	f.Fuzz(func(t *testing.T, path1, query1, path2, query2, header, cookie string) {
		rule := CompilePolicy([]edgeconfig.CacheRule{{Pattern: "**", Key: edgeconfig.CacheKey{Headers: []string{"X-Key"}, Cookies: []string{"a", "b"}}}}).rules[0]
		v := viewOf("GET", "/")
		v.Path, v.Query = path1, query1
		v.Header = request.Fields(http.Header{"X-Key": {header}, "Cookie": {cookie}})
		one, n := buildKey(v, rule)
		a := addressOf(one)
		if a.scheme != v.Scheme || a.authority != v.Authority || a.path != path1 || a.query != query1 {
			t.Errorf("%+v from the key of %q %q", a, path1, query1)
		}
		other := *v
		other.Path, other.Query = path2, query2
		two, _ := buildKey(&other, rule)
		if (one == two) != (path1 == path2 && query1 == query2) {
			t.Errorf("%q?%q and %q?%q: keys equal %v", path1, query1, path2, query2, one == two)
		}
		if uri, _ := buildKey(v, bare); one[:n] != uri {
			t.Error("the URI's part is not a key of its own")
		}
		third := *v
		third.Header = request.Fields(http.Header{"X-Key": {cookie}, "Cookie": {header}})
		if key, _ := buildKey(&third, rule); key == one && strings.Trim(header, " \t") != strings.Trim(cookie, " \t") {
			t.Errorf("headers %q and cookies %q change places unseen", header, cookie)
		}
	})
}

func FuzzPurgePath(f *testing.F) {
	for _, s := range []string{"/a", "/a*", "https://h/a?b", "http://[::1]:80/x", "//x", "https://h?x", "/%41#x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		target, ok := parsePurge(s)
		if ok && (target.path == "" || target.path[0] != '/') {
			t.Errorf("%q: %+v", s, target)
		}
		if ok && strings.HasPrefix(s, "/") && !target.prefix && !target.hasQuery {
			if !target.covers(&address{"https", "h", target.path, "x=1"}) {
				t.Errorf("%q does not cover its own path", s)
			}
		}
	})
}

func FuzzEntityTags(f *testing.F) {
	f.Add("\"a\", W/\"b\"", "\"b\"")
	f.Fuzz(func(t *testing.T, list, tag string) {
		valid := entityTag([]string{tag})
		if valid != "" && !listsTag([]string{list + ", " + valid}, valid) && strings.Count(list, "\"")%2 == 0 && strings.Trim(list, ", \t") == "" {
			t.Errorf("%q is not found after %q", valid, list)
		}
		if valid != "" && !listsTag([]string{valid}, valid) {
			t.Errorf("%q does not list itself", valid)
		}
		if listsTag([]string{list}, "") && trim(list) != "*" {
			t.Errorf("%q lists a tag that is none", list)
		}
	})
}

func FuzzHeaderBlock(f *testing.F) {
	f.Add("X-A", "1\r\n2")
	f.Fuzz(func(t *testing.T, name, value string) {
		if !isToken(name) {
			return
		}
		b := newBlock([]Field{{name, []string{value, "end"}}})
		if bytes.Count(b.text, []byte("\n")) != len(b.fields[0].Values) || !bytes.HasSuffix(b.text, []byte(": end\r\n")) {
			t.Errorf("%q", b.text)
		}
	})
}

func FuzzDates(f *testing.F) {
	for _, s := range []string{epoch, "Saturday, 01-Jan-00 01:00:00 GMT", "Sat Jan  1 01:00:00 2000", "Tuesday, 29-Feb-00 01:00:00 GMT"} {
		f.Add(s)
	}
	reference := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		if got, ok := parseDate(s, reference); ok && strings.Contains(s, "day, ") && got.After(reference.AddDate(50, 0, 1)) {
			t.Errorf("%q is %v", s, got)
		}
	})
}
