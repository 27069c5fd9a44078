package cache

import (
	"strconv"
	"testing"
	"time"
)

func TestVary(t *testing.T) {
	vary := func(v string) string { return "Cache-Control: max-age=3600\nVary: " + v }
	runTwice(t, Options{}, []twice{
		{name: "9111-4.1 same value", first: "Foo: 1", resp: vary("Foo"), second: "Foo: 1", want: "hit"},
		{name: "9111-4.1 other value", first: "Foo: 1", resp: vary("Foo"), second: "Foo: 2", want: "miss"},
		{name: "9111-4.1 absent both times", resp: vary("Foo"), want: "hit"},
		{name: "9111-4.1 absent then", resp: vary("Foo"), second: "Foo: 1", want: "miss"},
		{name: "9111-4.1 absent now", first: "Foo: 1", resp: vary("Foo"), want: "miss"},
		{name: "9111-4.1 absent is not empty", first: "Foo: ", resp: vary("Foo"), want: "miss"},
		{name: "9111-4.1 *", resp: vary("*"), want: "miss"},
		{name: "9111-4.1 * among others", first: "Foo: 1", resp: vary("Foo, *"), second: "Foo: 1", want: "miss"},
		{name: "9111-4.1 * on another line", first: "Foo: 1", resp: vary("Foo") + "\nVary: *", second: "Foo: 1", want: "miss"},
		{name: "9110-12.5.5 case of names", first: "Foo: 1", resp: vary("fOO"), second: "Foo: 2", want: "miss"},
		{name: "9110-12.5.5 two names, both same", first: "Foo: 1\nBar: a", resp: vary("Foo, Bar"), second: "Bar: a\nFoo: 1", want: "hit"},
		{name: "9110-12.5.5 two names, one other", first: "Foo: 1\nBar: a", resp: vary("Foo, Bar"), second: "Foo: 1\nBar: b", want: "miss"},
		{name: "9110-12.5.5 two lines, one other", first: "Foo: 1\nBar: a", resp: vary("Foo") + "\nVary: Bar", second: "Foo: 1\nBar: b", want: "miss"},
		{name: "9110-12.5.5 empty members", first: "Foo: 1", resp: vary(", ,Foo,,"), second: "Foo: 1", want: "hit"},
		{name: "9110-12.5.5 empty members, other", first: "Foo: 1", resp: vary(", ,Foo,,"), second: "Foo: 2", want: "miss"},
		{name: "9110-12.5.5 empty field", first: "Foo: 1", resp: vary(""), second: "Foo: 2", want: "hit"},
		{name: "9110-5.6.2 a member that is no name never matches", resp: vary("Foo Bar"), want: "miss"},
		{name: "9110-5.6.2 a quoted member never matches", resp: vary("\"Foo\""), want: "miss"},
		{name: "9111-4.1 lines combined", first: "Foo: 1\nFoo: 2", resp: vary("Foo"), second: "Foo: 1,2", want: "hit"},
		{name: "9111-4.1 order of lines matters", first: "Foo: 1\nFoo: 2", resp: vary("Foo"), second: "Foo: 2\nFoo: 1", want: "miss"},
		{name: "9111-4.1 blanks around a value", first: "Foo: 1", resp: vary("Foo"), second: "Foo:   1 ", want: "hit"},
		{name: "9111-4.1 unknown fields are not normalised", first: "Foo: 1,2", resp: vary("Foo"), second: "Foo: 1, 2", want: "miss"},
		{name: "9111-4.1 Accept-Language: blanks", first: "Accept-Language: en, de", resp: vary("Accept-Language"), second: "Accept-Language: en,de", want: "hit"},
		{name: "9111-4.1 Accept-Language: case", first: "Accept-Language: en-us", resp: vary("Accept-Language"), second: "Accept-Language: en-US", want: "hit"},
		{name: "9111-4.1 Accept-Language: order", first: "Accept-Language: en, de", resp: vary("Accept-Language"), second: "Accept-Language: de, en", want: "miss"},
		{name: "9111-4.1 Accept-Encoding: order and blanks", first: "Accept-Encoding: gzip, br", resp: vary("Accept-Encoding"), second: "Accept-Encoding: br,gzip", want: "hit"},
		{name: "9111-4.1 Accept-Encoding: weights of what is acceptable", first: "Accept-Encoding: gzip;q=1.0, br;q=0.5", resp: vary("Accept-Encoding"), second: "Accept-Encoding: gzip, br", want: "hit"},
		{name: "9111-4.1 Accept-Encoding: refused", first: "Accept-Encoding: gzip;q=0, br", resp: vary("Accept-Encoding"), second: "Accept-Encoding: gzip, br", want: "miss"},
		{name: "9111-4.1 Accept-Encoding: q=0.000", first: "Accept-Encoding: gzip;q=0.000", resp: vary("Accept-Encoding"), want: "hit"},
		{name: "9111-4.1 Accept-Encoding: identity refused", first: "Accept-Encoding: gzip, identity;q=0", resp: vary("Accept-Encoding"), second: "Accept-Encoding: gzip", want: "miss"},
		{name: "9111-4.1 Accept-Encoding: all else refused", first: "Accept-Encoding: gzip, *;q=0", resp: vary("Accept-Encoding"), second: "Accept-Encoding: gzip, identity;q=0", want: "hit"},
		{name: "9111-4.1 Accept-Encoding: x-gzip, case, unknown", first: "Accept-Encoding: X-GZIP, sdch", resp: vary("Accept-Encoding"), second: "Accept-Encoding: gzip", want: "hit"},
		{name: "9111-4.1 Accept-Encoding: none", resp: vary("Accept-Encoding"), second: "Accept-Encoding: gzip", want: "miss"},
		{name: "9111-4.1 Cookie", first: "Cookie: a=1", resp: vary("Cookie"), second: "Cookie: a=2", want: "miss"},
		{name: "9111-4.1 Origin", first: "Origin: https://a", resp: vary("Origin"), second: "Origin: https://b", want: "miss"},
		{name: "fields that fills do not carry are constant", resp: vary("Range, If-None-Match"), second: "If-None-Match: \"x\"", want: "hit"},
		{name: "X-Request-Id is never the same", first: "X-Request-Id: 1", resp: vary("X-Request-Id"), second: "X-Request-Id: 1", want: "miss"},
		{name: "an encoded response varies though it does not say so", first: "Accept-Encoding: gzip", resp: "Cache-Control: max-age=3600\nContent-Encoding: gzip", want: "miss"},
		{name: "an encoded response for those who accept it", first: "Accept-Encoding: gzip", resp: "Cache-Control: max-age=3600\nContent-Encoding: gzip", second: "Accept-Encoding: gzip", want: "hit"},
	})
}

func TestVariantsAreKeptBesideEachOther(t *testing.T) {
	timed(t, Options{MaxVariants: 3}, func(w *world) {
		w.script(func(r *asked) reply {
			return reply{header: []string{"Cache-Control: max-age=3600", "Vary: Foo"}, body: r.header.Get("Foo")}
		})
		for i := range 5 {
			w.get("/a", "Foo: "+strconv.Itoa(i))
			settled()
		}
		for i, want := range []string{"miss", "miss", "hit", "hit", "hit"} {
			if i < 2 {
				continue // asked last, since it displaces
			}
			got := w.get("/a", "Foo: "+strconv.Itoa(i))
			if got.outcome != want || got.body != strconv.Itoa(i) {
				t.Errorf("variant %d: %s %q, want %s", i, got.outcome, got.body, want)
			}
		}
		if got := w.get("/a", "Foo: 0"); got.outcome != "miss" {
			t.Errorf("the oldest variant beyond the bound: %s", got.outcome)
		}
		settled()
		if n := w.cache.Stats().Objects; n != 3 {
			t.Errorf("%d variants stored, the bound is 3", n)
		}
	})
}

func TestNewestSuitableVariant(t *testing.T) {
	// 9111-4: of more than one suitable response the most recent is used. Here
	// the second response varies on another field, so that both suit.
	timed(t, Options{}, func(w *world) {
		vary := []string{"Vary: Foo", "Vary: Bar"}
		w.script(func(r *asked) reply {
			return reply{header: []string{"Cache-Control: max-age=3600", vary[r.number-1]}, body: strconv.Itoa(r.number)}
		})
		w.get("/a", "Foo: 1", "Bar: 1")
		settled()
		time.Sleep(second)
		w.get("/a", "Foo: 2", "Bar: 1") // stored beside: Foo differs
		settled()
		if got := w.get("/a", "Foo: 1", "Bar: 1"); got.outcome != "hit" || got.body != "2" {
			t.Errorf("%s %q, want the second response", got.outcome, got.body)
		}
	})
}

func TestNormalisedFieldsAreWhatTheOriginSees(t *testing.T) {
	timed(t, Options{}, func(w *world) {
		w.always(reply{header: []string{"Cache-Control: max-age=3600", "Vary: Accept-Encoding"}})
		w.get("/a", "Accept-Encoding: sdch, br;q=0.1, gzip, *;q=0")
		if got := w.last().header.Get("Accept-Encoding"); got != "br, gzip, identity;q=0" {
			t.Errorf("Accept-Encoding sent %q", got)
		}
		w.get("/b", "Accept-Encoding: deflate")
		if got, ok := w.last().header["Accept-Encoding"]; ok {
			t.Errorf("Accept-Encoding sent %q, want none", got)
		}
		settled()
	})
}

func TestForwardedFieldsVaryByWhatTheEdgeSends(t *testing.T) {
	timed(t, Options{}, func(w *world) {
		w.always(reply{header: []string{"Cache-Control: max-age=3600", "Vary: X-Forwarded-For"}})
		v := viewOf("GET", "/a", "X-Forwarded-For: 1.1.1.1")
		w.do(v)
		settled()
		same, other := *v, *v
		same.Header = viewOf("GET", "/", "X-Forwarded-For: 2.2.2.2").Header
		other.ClientIP = "192.0.2.8"
		if got := w.do(&same); got.outcome != "hit" {
			t.Errorf("what the client claims is overwritten, so it does not matter: %s", got.outcome)
		}
		if got := w.do(&other); got.outcome != "miss" {
			t.Errorf("another client: %s", got.outcome)
		}
		settled()
	})
}
