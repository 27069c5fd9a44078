package cache

import (
	"strings"
	"testing"
	"time"
)

func TestStoringAndReuse(t *testing.T) {
	runTwice(t, Options{}, []twice{
		{name: "9111-5.2.2.5 no-store", resp: "Cache-Control: no-store, max-age=3600", want: "miss"},
		{name: "9111-5.2 No-Store in any case", resp: "Cache-Control: No-StOrE, max-age=3600", want: "miss"},
		{name: "9111-5.2.2.5 no-store with an argument", resp: "Cache-Control: no-store=yes, max-age=3600", want: "miss"},
		{name: "9111-5.2.2.5 no-store on another line", resp: "Cache-Control: max-age=3600\nCache-Control: no-store", want: "miss"},
		{name: "9111-5.2 an unclosed quote does not hide no-store", resp: "Cache-Control: max-age=3600, a=\"b, no-store", want: "miss"},
		{name: "9111-5.2.2.5 no-store and Expires", resp: "Cache-Control: no-store\nExpires: Sat, 01 Jan 2000 01:00:00 GMT", want: "miss"},
		{name: "9111-5.2.2.7 private", resp: "Cache-Control: private, max-age=3600", want: "miss"},
		{name: "9111-5.2.2.7 private and s-maxage", resp: "Cache-Control: private, s-maxage=3600", want: "miss"},
		{name: "9111-5.2.2.7 private with a name", resp: "Cache-Control: private=\"X-User\", max-age=3600\nX-User: me", want: "hit"},
		{name: "9111-5.2.2.7 private with a token name", resp: "Cache-Control: private=X-User, max-age=3600\nX-User: me", want: "hit"},
		{name: "9111-5.2.2.7 private with an empty argument", resp: "Cache-Control: private=\"\", max-age=3600", want: "miss"},
		{name: "9111-5.2.2.7 private with a malformed argument", resp: "Cache-Control: private=\"a b\", max-age=3600", want: "miss"},
		{name: "9111-5.2.2.4 no-cache is validated each time", resp: "Cache-Control: no-cache, max-age=3600\nETag: \"a\"", want: "revalidated"},
		{name: "9111-5.2.2.4 no-cache without validator", resp: "Cache-Control: no-cache, max-age=3600", want: "miss"},
		{name: "9111-5.2.2.4 no-cache with a name", resp: "Cache-Control: no-cache=\"X-User\", max-age=3600\nX-User: me", want: "hit"},
		{name: "9111-5.2.2.4 no-cache with and without a name", resp: "Cache-Control: no-cache=\"X-User\", no-cache, max-age=3600\nETag: \"a\"", want: "revalidated"},
		{name: "9111-5.2.2.9 public alone is not fresh", resp: "Cache-Control: public", want: "miss"},
		{name: "9111-5.4 Pragma of a response says nothing", resp: "Cache-Control: max-age=3600\nPragma: no-cache", want: "hit"},
		{name: "9111-3.5 Authorization", first: "Authorization: Basic eDp5", resp: "Cache-Control: max-age=3600", want: "miss"},
		{name: "9111-3.5 Authorization, public", first: "Authorization: Basic eDp5", resp: "Cache-Control: max-age=3600, public", want: "hit"},
		{name: "9111-3.5 Authorization, must-revalidate", first: "Authorization: Basic eDp5", resp: "Cache-Control: max-age=3600, must-revalidate", want: "hit"},
		{name: "9111-3.5 Authorization, s-maxage", first: "Authorization: Basic eDp5", resp: "Cache-Control: s-maxage=3600", want: "hit"},
		{name: "9111-3.5 Authorization, Expires only", first: "Authorization: Basic eDp5", resp: "Expires: Sat, 01 Jan 2000 01:00:00 GMT", want: "miss"},
		{name: "9111-3.5 stored without, asked with Authorization", second: "Authorization: Basic eDp5", resp: "Cache-Control: max-age=3600", want: "hit"},
		{name: "9111-7.3 Set-Cookie is not stored", resp: "Cache-Control: max-age=3600\nSet-Cookie: id=1", want: "miss"},
		{name: "9111-7.3 Set-Cookie, public too", resp: "Cache-Control: public, max-age=3600\nSet-Cookie: id=1", want: "miss"},
		{name: "9111-5.2.2.4 Set-Cookie left out by no-cache", resp: "Cache-Control: no-cache=\"Set-Cookie\", max-age=3600\nSet-Cookie: id=1", want: "hit"},
		{name: "9111-5.2.2.7 Set-Cookie left out by private", resp: "Cache-Control: private=\"set-cookie\", max-age=3600\nSet-Cookie: id=1", want: "hit"},
		{name: "request Cookie does not prevent storing", first: "Cookie: id=1", resp: "Cache-Control: max-age=3600", want: "hit"},
		{name: "9112-6.1 Transfer-Encoding is not the content's", resp: "Cache-Control: max-age=3600\nTransfer-Encoding: chunked", want: "hit"},
		{name: "oversized header", resp: "Cache-Control: max-age=3600\nX-A: " + strings.Repeat("a", maxHeaderBytes), want: "miss"},
	})
}

func TestRequestDirectives(t *testing.T) {
	const fresh = "Cache-Control: max-age=100\nETag: \"a\""
	cases := []twice{
		{name: "9111-5.2.1.4 no-cache", resp: fresh, second: "Cache-Control: no-cache", want: "revalidated"},
		{name: "9111-5.2 No-Cache in any case", resp: fresh, second: "Cache-Control: No-CaChE", want: "revalidated"},
		{name: "9111-5.4 Pragma: no-cache", resp: fresh, second: "Pragma: no-cache", want: "revalidated"},
		{name: "9111-5.4 Pragma does not count beside Cache-Control", resp: fresh, second: "Pragma: no-cache\nCache-Control: x", want: "hit"},
		{name: "9111-5.2.1.5 no-store is still answered from here", resp: fresh, second: "Cache-Control: no-store", want: "hit"},
		{name: "9111-5.2.1.5 the response to no-store is not stored", first: "Cache-Control: no-store", resp: fresh, want: "miss"},
		{name: "9111-5.2.1.1 max-age=0", resp: fresh, wait: second, second: "Cache-Control: max-age=0", want: "revalidated"},
		{name: "9111-5.2.1.1 within max-age", resp: fresh, wait: 10 * second, second: "Cache-Control: max-age=10", want: "hit"},
		{name: "9111-5.2.1.1 past max-age", resp: fresh, wait: 11 * second, second: "Cache-Control: max-age=10", want: "revalidated"},
		{name: "9111-5.2.1.1 Age counts", resp: fresh + "\nAge: 20", second: "Cache-Control: max-age=10", want: "revalidated"},
		{name: "9111-5.2.1.1 malformed is ignored", resp: fresh, wait: 11 * second, second: "Cache-Control: max-age=x", want: "hit"},
		{name: "9111-5.2.1.1 max-age is no s-maxage", resp: fresh, wait: 11 * second, second: "Cache-Control: s-maxage=1", want: "hit"},
		{name: "9111-5.2.1.3 min-fresh met", resp: fresh, wait: 50 * second, second: "Cache-Control: min-fresh=50", want: "hit"},
		{name: "9111-5.2.1.3 min-fresh not met", resp: fresh, wait: 51 * second, second: "Cache-Control: min-fresh=50", want: "revalidated"},
		{name: "9111-5.2.1.2 max-stale", resp: fresh, wait: 150 * second, second: "Cache-Control: max-stale=50", want: "stale"},
		{name: "9111-5.2.1.2 past max-stale", resp: fresh, wait: 151 * second, second: "Cache-Control: max-stale=50", want: "revalidated"},
		{name: "9111-5.2.1.2 max-stale of any age", resp: fresh, wait: 1000 * hour, second: "Cache-Control: max-stale", want: "stale"},
		{name: "9111-5.2.1.2 malformed max-stale is ignored", resp: fresh, wait: 150 * second, second: "Cache-Control: max-stale=x", want: "revalidated"},
		{name: "9111-5.2.1.2 max-age and max-stale", resp: fresh, wait: 150 * second, second: "Cache-Control: max-age=1000, max-stale=50", want: "stale"},
		{name: "9111-5.2.1.1 max-age bounds age beside max-stale", resp: fresh, wait: 150 * second, second: "Cache-Control: max-age=120, max-stale=50", want: "revalidated"},
		{name: "9111-5.2.1.2 not with must-revalidate", resp: fresh + "\nCache-Control: must-revalidate", wait: 101 * second, second: "Cache-Control: max-stale", want: "revalidated"},
		{name: "9111-5.2.1.2 not with proxy-revalidate", resp: fresh + "\nCache-Control: proxy-revalidate", wait: 101 * second, second: "Cache-Control: max-stale", want: "revalidated"},
		{name: "9111-5.2.2.10 not with s-maxage", resp: "Cache-Control: s-maxage=100\nETag: \"a\"", wait: 101 * second, second: "Cache-Control: max-stale", want: "revalidated"},
		{name: "9111-5.2.2.4 not with no-cache", resp: "Cache-Control: no-cache\nETag: \"a\"", second: "Cache-Control: max-stale", want: "revalidated"},
		{name: "9111-5.2 several lines", resp: fresh, second: "Cache-Control: x\nCache-Control: no-cache", want: "revalidated"},
		{name: "9111-5.2 inside a quoted argument", resp: fresh, second: "Cache-Control: x=\"no-cache\"", want: "hit"},
	}
	runTwice(t, Options{}, cases)
	t.Run("IgnoreRequestDirectives", func(t *testing.T) {
		runTwice(t, Options{IgnoreRequestDirectives: true}, []twice{
			{name: "no-cache", resp: fresh, second: "Cache-Control: no-cache", want: "hit"},
			{name: "max-age", resp: fresh, wait: second, second: "Cache-Control: max-age=0", want: "hit"},
			{name: "max-stale", resp: fresh, wait: 150 * second, second: "Cache-Control: max-stale", want: "revalidated"},
			{name: "no-store is heeded", first: "Cache-Control: no-store", resp: fresh, want: "miss"},
		})
	})
}

func TestOnlyIfCached(t *testing.T) {
	timed(t, Options{}, func(w *world) {
		w.always(reply{header: []string{"Cache-Control: max-age=10"}, body: "x"})
		if got := w.get("/a", "Cache-Control: only-if-cached"); got.status != 504 || w.asks() != 0 {
			t.Errorf("9111-5.2.1.7 nothing stored: status %d after %d requests to the origin", got.status, w.asks())
		}
		w.get("/a")
		settled()
		if got := w.get("/a", "Cache-Control: only-if-cached"); got.status != 200 || got.outcome != "hit" {
			t.Errorf("9111-5.2.1.7 stored: status %d, %s", got.status, got.outcome)
		}
		time.Sleep(11 * second)
		if got := w.get("/a", "Cache-Control: only-if-cached"); got.status != 504 || w.asks() != 1 {
			t.Errorf("9111-5.2.1.7 stale: status %d", got.status)
		}
		if got := w.get("/a", "Cache-Control: only-if-cached, max-stale=5"); got.status != 200 || got.outcome != "stale" {
			t.Errorf("9111-5.2.1.7 stale but acceptable: status %d, %s", got.status, got.outcome)
		}
	})
}

func TestTargetedCacheControl(t *testing.T) {
	cases := []twice{
		{name: "9213-2.2 before Cache-Control", resp: "CDN-Cache-Control: max-age=100\nCache-Control: max-age=1", wait: 50 * second, want: "hit"},
		{name: "9213-2.2 before Cache-Control, shorter", resp: "CDN-Cache-Control: max-age=1\nCache-Control: max-age=100", wait: 50 * second, want: "miss"},
		{name: "9213-3.1 lifts no-store", resp: "CDN-Cache-Control: max-age=600\nCache-Control: no-store", wait: 50 * second, want: "hit"},
		{name: "9213-2.2 lifts private", resp: "CDN-Cache-Control: max-age=600\nCache-Control: private", want: "hit"},
		{name: "9213-2.2 ignores s-maxage", resp: "CDN-Cache-Control: max-age=1\nCache-Control: s-maxage=100", wait: 50 * second, want: "miss"},
		{name: "9213-2.2 ignores Expires", resp: "CDN-Cache-Control: none\nExpires: Sat, 01 Jan 2000 01:00:00 GMT", want: "miss"},
		{name: "9213-2.2 no-store", resp: "CDN-Cache-Control: no-store\nCache-Control: max-age=100", want: "miss"},
		{name: "9213-2.2 private", resp: "CDN-Cache-Control: private\nCache-Control: max-age=100", want: "miss"},
		{name: "9213-2.2 no-cache", resp: "CDN-Cache-Control: no-cache\nCache-Control: max-age=100\nETag: \"a\"", want: "revalidated"},
		{name: "9213-2.2 no-cache makes max-age inoperative", resp: "CDN-Cache-Control: max-age=100, no-cache\nETag: \"a\"", want: "revalidated"},
		{name: "9213-2.2 must-revalidate", resp: "CDN-Cache-Control: max-age=1, must-revalidate, stale-while-revalidate=100\nETag: \"a\"", wait: 2 * second, want: "revalidated"},
		{name: "9213-2.2 extensions it shares with Cache-Control", resp: "CDN-Cache-Control: max-age=1, stale-while-revalidate=100\nETag: \"a\"", wait: 2 * second, want: "stale"},
		{name: "9213-2.1 empty is ignored", resp: "CDN-Cache-Control: \nCache-Control: max-age=100", want: "hit"},
		{name: "9213-2.1 malformed is ignored", resp: "CDN-Cache-Control: max-age=10, &&&&\nCache-Control: no-store", want: "miss"},
		{name: "9213-2.1 trailing comma is malformed", resp: "CDN-Cache-Control: max-age=100,\nCache-Control: no-store", want: "miss"},
		{name: "9213-2.1 unclosed string is malformed", resp: "CDN-Cache-Control: max-age=100, a=\"b\nCache-Control: no-store", want: "miss"},
		{name: "8941-3.1.2 keys are lower case", resp: "CDN-Cache-Control: Max-Age=100\nCache-Control: no-store", want: "miss"},
		{name: "9213-2.1 a decimal is no delta", resp: "CDN-Cache-Control: max-age=100.0\nCache-Control: max-age=1000", want: "miss"},
		{name: "9213-2.1 a string is no delta", resp: "CDN-Cache-Control: max-age=\"100\"\nCache-Control: max-age=1000", want: "miss"},
		{name: "9213-2.1 negative is no delta", resp: "CDN-Cache-Control: max-age=-100", want: "miss"},
		{name: "9213-2.1 blanks around = are malformed", resp: "CDN-Cache-Control: max-age =100\nCache-Control: max-age=1", wait: 50 * second, want: "miss"},
		{name: "9213-2.1 parameters are ignored", resp: "CDN-Cache-Control: max-age=100;a=b;c\nCache-Control: no-store", want: "hit"},
		{name: "9213-2.1 unknown members are ignored", resp: "CDN-Cache-Control: a, b=1, c=(d e), max-age=100, f=?0, g=:aGk=:\nCache-Control: no-store", want: "hit"},
		{name: "8941-3.2 the last of equal keys", resp: "CDN-Cache-Control: max-age=1, max-age=100\nCache-Control: no-store", wait: 50 * second, want: "hit"},
		{name: "8941-3.2 several lines are one dictionary", resp: "CDN-Cache-Control: a\nCDN-Cache-Control: max-age=100\nCache-Control: no-store", want: "hit"},
		{name: "9213-2.1 false is no directive", resp: "CDN-Cache-Control: no-store=?0, max-age=100", want: "hit"},
		{name: "9213-2.2 other fields still count", resp: "CDN-Cache-Control: max-age=100\nAge: 200", want: "miss"},
		{name: "9213-2.2 fields not on the list mean nothing", resp: "Other-Cache-Control: max-age=100", want: "miss"},
		{name: "9213-2.2 Authorization still counts", first: "Authorization: x", resp: "CDN-Cache-Control: max-age=100\nCache-Control: public", want: "miss"},
		{name: "Surrogate-Control is off", resp: "Surrogate-Control: max-age=100", want: "miss"},
	}
	runTwice(t, Options{}, cases)
	t.Run("target list", func(t *testing.T) {
		runTwice(t, Options{TargetedFields: []string{"Edgewright-Cache-Control", "Cdn-Cache-Control"}}, []twice{
			{name: "9213-2.2 most specific first", resp: "CDN-Cache-Control: max-age=1\nEdgewright-Cache-Control: max-age=100", wait: 50 * second, want: "hit"},
			{name: "9213-2.2 next when malformed", resp: "CDN-Cache-Control: max-age=100\nEdgewright-Cache-Control: Max-Age=1", wait: 50 * second, want: "hit"},
		})
	})
	t.Run("Surrogate-Control", func(t *testing.T) {
		runTwice(t, Options{SurrogateControl: true}, []twice{
			{name: "max-age", resp: "Surrogate-Control: max-age=100\nCache-Control: no-store", wait: 50 * second, want: "hit"},
			{name: "no-store", resp: "Surrogate-Control: no-store\nCache-Control: max-age=100", want: "miss"},
			{name: "stale grace", resp: "Surrogate-Control: max-age=10+100\nETag: \"a\"", wait: 50 * second, want: "stale"},
			{name: "after targeted fields", resp: "Surrogate-Control: max-age=1\nCDN-Cache-Control: max-age=100", wait: 50 * second, want: "hit"},
		})
	})
}

func TestSurrogateControlStaysHere(t *testing.T) {
	for _, on := range []bool{true, false} {
		timed(t, Options{SurrogateControl: on}, func(w *world) {
			w.always(reply{header: []string{"Surrogate-Control: max-age=100", "Cache-Control: max-age=100"}})
			w.get("/a")
			settled()
			if got := w.get("/a"); (got.header["Surrogate-Control"] == nil) != on {
				t.Errorf("enabled %v: client sees %q", on, got.header["Surrogate-Control"])
			}
		})
	}
}
