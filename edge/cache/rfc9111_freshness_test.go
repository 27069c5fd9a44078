package cache

import (
	"testing"
)

// In a bubble of artificial time the clock begins at 2000-01-01 00:00:00 UTC.
const epoch = "Sat, 01 Jan 2000 00:00:00 GMT"

func TestFreshnessOfMaxAge(t *testing.T) {
	runTwice(t, Options{}, []twice{
		{name: "9111-5.2.2.1 within max-age", resp: "Cache-Control: max-age=10", wait: 9 * second, want: "hit"},
		{name: "9111-4.2 lifetime must exceed age", resp: "Cache-Control: max-age=10", wait: 10 * second, want: "miss"},
		{name: "9111-5.2.2.1 past max-age, validated", resp: "Cache-Control: max-age=10\nETag: \"a\"", wait: 11 * second, want: "revalidated"},
		{name: "9111-5.2.2.1 max-age=0", resp: "Cache-Control: max-age=0", want: "miss"},
		{name: "9111-5.2.2.1 max-age=0 with validator", resp: "Cache-Control: max-age=0\nETag: \"a\"", want: "revalidated"},
		{name: "9111-1.2.2 overflow is 2^31", resp: "Cache-Control: max-age=99999999999999999999", wait: 1000 * hour, want: "hit"},
		{name: "9111-1.2.2 2^31", resp: "Cache-Control: max-age=2147483648", wait: hour, want: "hit"},
		{name: "9111-1.2.2 leading zeros", resp: "Cache-Control: max-age=0003600", wait: hour - second, want: "hit"},
		{name: "9111-4.2.1 negative is invalid", resp: "Cache-Control: max-age=-1", want: "miss"},
		{name: "9111-4.2.1 decimal is invalid", resp: "Cache-Control: max-age=3600.0", want: "miss"},
		{name: "9111-4.2.1 letters are invalid", resp: "Cache-Control: max-age=3600s", want: "miss"},
		{name: "9111-4.2.1 no value is invalid", resp: "Cache-Control: max-age", want: "miss"},
		{name: "9111-4.2.1 empty value is invalid", resp: "Cache-Control: max-age=", want: "miss"},
		{name: "9111-4.2.1 single quotes are invalid", resp: "Cache-Control: max-age='3600'", want: "miss"},
		{name: "9111-5.2 quoted form is read", resp: "Cache-Control: max-age=\"3600\"", want: "hit"},
		{name: "9111-5.2 blank before =", resp: "Cache-Control: max-age =3600", want: "miss"},
		{name: "9111-5.2 blank after =", resp: "Cache-Control: max-age= 3600", want: "miss"},
		{name: "9111-5.2 case does not matter", resp: "Cache-Control: MaX-aGe=3600", want: "hit"},
		{name: "9111-5.2 several directives", resp: "Cache-Control: foo, max-age=3600, bar=1", want: "hit"},
		{name: "9111-5.2 several lines", resp: "Cache-Control: foo\nCache-Control: max-age=3600", want: "hit"},
		{name: "9111-5.2 empty members", resp: "Cache-Control: ,, ,max-age=3600,", want: "hit"},
		{name: "9111-5.2 inside a quoted argument", resp: "Cache-Control: extension=\"max-age=3600\"", want: "miss"},
		{name: "9111-5.2 inside a quoted argument with commas", resp: "Cache-Control: extension=\"a, max-age=3600, b\"", want: "miss"},
		{name: "9111-5.2 escaped quote in an argument", resp: "Cache-Control: extension=\"\\\"\", max-age=3600", want: "hit"},
		{name: "9111-5.2 a longer name is another directive", resp: "Cache-Control: max-age-x=3600", want: "miss"},
		{name: "9111-4.2.1 first of two", resp: "Cache-Control: max-age=3600, max-age=1", wait: 2 * second, want: "hit"},
		{name: "9111-4.2.1 first of two lines", resp: "Cache-Control: max-age=1\nCache-Control: max-age=3600", wait: 2 * second, want: "miss"},
		{name: "9111-4.2.1 max-age with no-cache: the restrictive one", resp: "Cache-Control: max-age=3600, no-cache\nETag: \"a\"", want: "revalidated"},
		{name: "9111-5.2.2.10 s-maxage before max-age", resp: "Cache-Control: max-age=1, s-maxage=3600", wait: minute, want: "hit"},
		{name: "9111-5.2.2.10 s-maxage before max-age, shorter", resp: "Cache-Control: max-age=3600, s-maxage=1", wait: 2 * second, want: "miss"},
		{name: "9111-5.2.2.10 s-maxage=0", resp: "Cache-Control: max-age=3600, s-maxage=0", want: "miss"},
		{name: "9111-4.2.1 invalid s-maxage is stale", resp: "Cache-Control: max-age=3600, s-maxage=x", want: "miss"},
		{name: "9111-5.2.2.10 s-maxage before Expires", resp: "Cache-Control: s-maxage=3600\nExpires: 0", want: "hit"},
		{name: "9111-5.3 max-age before Expires", resp: "Cache-Control: max-age=3600\nExpires: 0", want: "hit"},
		{name: "9111-5.3 max-age before Expires, shorter", resp: "Cache-Control: max-age=1\nExpires: Sat, 01 Jan 2000 02:00:00 GMT", wait: 2 * second, want: "miss"},
		{name: "9111-4.2 nothing explicit, no Last-Modified", resp: "X-A: b", want: "miss"},
		{name: "8246-2 immutable says nothing without max-age", resp: "Cache-Control: immutable", want: "miss"},
		{name: "8246-2 immutable, reload while fresh", resp: "Cache-Control: max-age=3600, immutable\nETag: \"a\"", wait: minute, second: "Cache-Control: max-age=0", want: "hit"},
		{name: "8246-2 immutable, forced reload", resp: "Cache-Control: max-age=3600, immutable\nETag: \"a\"", wait: minute, second: "Cache-Control: no-cache", want: "revalidated"},
		{name: "8246-2 immutable, stale", resp: "Cache-Control: max-age=10, immutable\nETag: \"a\"", wait: minute, want: "revalidated"},
	})
}

func TestFreshnessOfExpires(t *testing.T) {
	runTwice(t, Options{}, []twice{
		{name: "9111-5.3 in the future", resp: "Expires: Sat, 01 Jan 2000 01:00:00 GMT", wait: 59 * minute, want: "hit"},
		{name: "9111-5.3 passed", resp: "Expires: Sat, 01 Jan 2000 01:00:00 GMT", wait: 61 * minute, want: "miss"},
		{name: "9111-5.3 in the past", resp: "Expires: Fri, 31 Dec 1999 23:00:00 GMT", want: "miss"},
		{name: "9111-5.3 the present", resp: "Expires: " + epoch, want: "miss"},
		{name: "9111-4.2.1 counted from Date", resp: "Date: Fri, 31 Dec 1999 23:00:00 GMT\nExpires: Sat, 01 Jan 2000 01:00:00 GMT", wait: 59 * minute, want: "hit"},
		{name: "9111-4.2.3 and the age too", resp: "Date: Fri, 31 Dec 1999 23:00:00 GMT\nExpires: Sat, 01 Jan 2000 01:00:00 GMT", wait: 60 * minute, want: "miss"},
		{name: "9111-5.3 0 has passed", resp: "Expires: 0", want: "miss"},
		{name: "9111-5.3 -1 has passed", resp: "Expires: -1", want: "miss"},
		{name: "9111-5.3 malformed has passed", resp: "Expires: tomorrow\nLast-Modified: Wed, 01 Jan 1997 00:00:00 GMT", wait: second, want: "revalidated"},
		{name: "9111-4.2.1 first of two lines", resp: "Expires: Sat, 01 Jan 2000 01:00:00 GMT\nExpires: 0", want: "hit"},
		{name: "9111-4.2.1 first of two lines, passed", resp: "Expires: 0\nExpires: Sat, 01 Jan 2000 01:00:00 GMT", want: "miss"},
		{name: "9110-5.6.7 RFC 850 form", resp: "Expires: Saturday, 01-Jan-00 01:00:00 GMT", want: "hit"},
		{name: "9110-5.6.7 RFC 850 form, year within 50", resp: "Expires: Saturday, 01-Jan-49 01:00:00 GMT", want: "hit"},
		{name: "9110-5.6.7 RFC 850 form, year in the past", resp: "Expires: Saturday, 01-Jan-51 01:00:00 GMT", want: "miss"},
		{name: "9110-5.6.7 asctime form", resp: "Expires: Sat Jan  1 01:00:00 2000", want: "hit"},
		{name: "9110-5.6.7 another zone is malformed", resp: "Expires: Sat, 01 Jan 2000 09:00:00 EST", want: "miss"},
		{name: "9110-5.6.7 UTC is malformed", resp: "Expires: Sat, 01 Jan 2000 09:00:00 UTC", want: "miss"},
		{name: "9110-5.6.7 no zone is malformed", resp: "Expires: Sat, 01 Jan 2000 09:00:00", want: "miss"},
		{name: "9110-5.6.7 two digits in the first form are malformed", resp: "Expires: Sat, 01 Jan 00 09:00:00 GMT", want: "miss"},
		{name: "9110-5.6.7 dashes in the first form are malformed", resp: "Expires: Sat, 01-Jan-2000 09:00:00 GMT", want: "miss"},
		{name: "9110-6.6.1 without Date, from when it came", resp: "Expires: Sat, 01 Jan 2000 01:00:00 GMT", wait: 59 * minute, want: "hit"},
		{name: "9110-6.6.1 malformed Date", resp: "Date: soon\nExpires: Sat, 01 Jan 2000 01:00:00 GMT", wait: 59 * minute, want: "hit"},
	})
}

func TestAge(t *testing.T) {
	runTwice(t, Options{}, []twice{
		{name: "9111-4.2.3 Age counts", resp: "Cache-Control: max-age=3600\nAge: 3599", wait: 0, want: "hit"},
		{name: "9111-4.2.3 Age counts, reached", resp: "Cache-Control: max-age=3600\nAge: 3599", wait: second, want: "miss"},
		{name: "9111-4.2.3 Age above the lifetime", resp: "Cache-Control: max-age=3600\nAge: 7200", want: "miss"},
		{name: "9111-5.1 first member of a list", resp: "Cache-Control: max-age=3600\nAge: 0, 7200", want: "hit"},
		{name: "9111-5.1 first member of a list, old", resp: "Cache-Control: max-age=3600\nAge: 7200, 0", want: "miss"},
		{name: "9111-5.1 first of two lines", resp: "Cache-Control: max-age=3600\nAge: 0\nAge: 7200", want: "hit"},
		{name: "9111-5.1 first of two lines, old", resp: "Cache-Control: max-age=3600\nAge: 7200\nAge: 0", want: "miss"},
		{name: "9111-5.1 negative is ignored", resp: "Cache-Control: max-age=3600\nAge: -7200", want: "hit"},
		{name: "9111-5.1 decimal is ignored", resp: "Cache-Control: max-age=3600\nAge: 7200.0", want: "hit"},
		{name: "9111-5.1 letters are ignored", resp: "Cache-Control: max-age=3600\nAge: 7200s", want: "hit"},
		{name: "9111-5.1 parameters are ignored with it", resp: "Cache-Control: max-age=3600\nAge: 7200;a=b", want: "hit"},
		{name: "9111-5.1 quoted is ignored", resp: "Cache-Control: max-age=3600\nAge: \"7200\"", want: "hit"},
		{name: "9111-5.1 empty is ignored", resp: "Cache-Control: max-age=3600\nAge: ", want: "hit"},
		{name: "9111-1.2.2 overflow is old", resp: "Cache-Control: max-age=3600\nAge: 99999999999999999999", want: "miss"},
		{name: "9111-4.2.3 apparent age from Date", resp: "Cache-Control: max-age=3600\nDate: Fri, 31 Dec 1999 22:00:00 GMT", want: "miss"},
		{name: "9111-4.2.3 a Date ahead is no negative age", resp: "Cache-Control: max-age=3600\nDate: Sat, 01 Jan 2000 05:00:00 GMT", wait: 61 * minute, want: "miss"},
		{name: "9111-4.2.3 the larger of Age and apparent age", resp: "Cache-Control: max-age=3600\nAge: 10\nDate: Fri, 31 Dec 1999 22:00:00 GMT", want: "miss"},
	})
}

func TestHeuristicFreshness(t *testing.T) {
	const lastYear = "\nLast-Modified: Fri, 01 Jan 1999 00:00:00 GMT"
	const hoursAgo = "\nLast-Modified: Fri, 31 Dec 1999 14:00:00 GMT" // ten: an hour of freshness
	cases := []twice{
		{name: "9111-4.2.2 a tenth of the age", resp: hoursAgo, wait: 59 * minute, want: "hit"},
		{name: "9111-4.2.2 a tenth of the age, over", resp: hoursAgo, wait: 61 * minute, want: "revalidated"},
		{name: "9111-4.2.2 bounded", resp: lastYear, wait: 61 * minute, want: "revalidated"},
		{name: "9111-4.2.2 not with explicit expiry", resp: "Cache-Control: max-age=1" + lastYear, wait: 2 * second, want: "revalidated"},
		{name: "9111-4.2.2 not with invalid expiry", resp: "Cache-Control: max-age=x" + lastYear, want: "revalidated"},
		{name: "9111-4.2.2 modified in the future", resp: "Last-Modified: Sun, 02 Jan 2000 00:00:00 GMT", want: "revalidated"},
		{name: "9111-4.2.2 malformed Last-Modified", resp: "Last-Modified: yesterday", want: "miss"},
		{name: "9111-4.2.2 not for a request with Cookie", first: "Cookie: a=b", resp: lastYear, want: "revalidated"},
		{name: "9111-4.2.2 public makes any status eligible", status: 302, resp: "Cache-Control: public" + lastYear, want: "hit"},
	}
	for status, want := range map[int]string{
		200: "hit", 203: "hit", 204: "hit", 300: "hit", 301: "hit", 308: "hit", 404: "hit", 405: "hit", 410: "hit", 414: "hit",
		201: "miss", 202: "miss", 302: "miss", 303: "miss", 307: "miss", 400: "miss", 403: "miss", 418: "miss",
		500: "miss", 502: "miss", 503: "miss", 504: "miss", 206: "miss",
	} {
		cases = append(cases, twice{name: "9110-15.1 heuristic for " + decimal(int64(status)), status: status, resp: lastYear, want: want})
	}
	runTwice(t, Options{}, cases)
}

func TestStatusWithExplicitFreshness(t *testing.T) {
	var cases []twice
	for status, want := range map[int]string{
		200: "hit", 201: "hit", 203: "hit", 204: "hit", 299: "hit", 301: "hit", 302: "hit", 303: "hit", 307: "hit", 308: "hit",
		404: "hit", 410: "hit", 418: "hit", 499: "hit", 500: "hit", 502: "hit", 503: "hit", 504: "hit", 599: "hit",
		206: "miss", 400: "miss", 401: "miss", 403: "miss", 413: "miss", 416: "miss", 429: "miss", 431: "miss",
	} {
		cases = append(cases, twice{name: "9111-3 explicit for " + decimal(int64(status)), status: status, resp: "Cache-Control: max-age=3600", wait: second, want: want})
	}
	cases = append(cases,
		twice{name: "negative answers of servers are bounded", status: 500, resp: "Cache-Control: max-age=3600", wait: 61 * second, want: "miss"},
		twice{name: "404 says for itself how long", status: 404, resp: "Cache-Control: max-age=3600", wait: 59 * minute, want: "hit"},
		twice{name: "9111-5.2.2.3 must-understand of a known status lifts no-store", resp: "Cache-Control: max-age=3600, must-understand, no-store", want: "hit"},
		twice{name: "9111-5.2.2.3 must-understand of an unknown status", status: 299, resp: "Cache-Control: max-age=3600, must-understand", want: "miss"},
		twice{name: "9111-5.2.2.3 must-understand of an unknown status with no-store", status: 299, resp: "Cache-Control: max-age=3600, must-understand, no-store", want: "miss"},
	)
	runTwice(t, Options{}, cases)
}
