package cache

import (
	"iter"
	"strings"

	"github.com/edgewright/edgewright/edge/request"
)

// maxDelta is what larger delta-seconds are read as (RFC 9111 section 1.2.2).
const maxDelta = 1 << 31

// absent marks a directive with delta-seconds that was not given.
const absent = -1

// directive is one member of a Cache-Control list (RFC 9111 section 5.2). Both
// the token and the quoted-string form of an argument are read.
type directive struct {
	id       directiveID
	text     string // as received, without surrounding blanks
	name     string // as received
	value    string // without quotes and escapes
	hasValue bool
	bad      bool // malformed: blanks around "=", text after a quoted string, a name that is no token
}

// directiveID names the directives this cache knows.
type directiveID uint8

const (
	dUnknown directiveID = iota
	dMaxAge
	dSMaxage
	dNoStore
	dNoCache
	dPrivate
	dPublic
	dMustRevalidate
	dProxyRevalidate
	dMustUnderstand
	dNoTransform
	dImmutable
	dStaleWhileRevalidate
	dStaleIfError
	dMinFresh
	dMaxStale
	dOnlyIfCached
)

// directiveNames are compared without regard to case (RFC 9111 section 5.2).
var directiveNames = [...]string{
	dMaxAge: "max-age", dSMaxage: "s-maxage", dNoStore: "no-store", dNoCache: "no-cache", dPrivate: "private",
	dPublic: "public", dMustRevalidate: "must-revalidate", dProxyRevalidate: "proxy-revalidate",
	dMustUnderstand: "must-understand", dNoTransform: "no-transform", dImmutable: "immutable",
	dStaleWhileRevalidate: "stale-while-revalidate", dStaleIfError: "stale-if-error",
	dMinFresh: "min-fresh", dMaxStale: "max-stale", dOnlyIfCached: "only-if-cached",
}

func identify(name string) directiveID {
	for id := dMaxAge; int(id) < len(directiveNames); id++ {
		if len(name) == len(directiveNames[id]) && strings.EqualFold(name, directiveNames[id]) {
			return id
		}
	}
	return dUnknown
}

// scanner takes a Cache-Control line apart without allocating, as long as no
// quoted string holds an escape.
type scanner struct{ rest string }

func (s *scanner) next() (d directive, ok bool) {
	for s.rest != "" && (s.rest[0] == ',' || s.rest[0] == ' ' || s.rest[0] == '\t') {
		s.rest = s.rest[1:]
	}
	if s.rest == "" {
		return d, false
	}
	end := memberEnd(s.rest)
	d.text = trim(s.rest[:end])
	s.rest = s.rest[end:]
	d.name, d.value, d.hasValue = strings.Cut(d.text, "=")
	if trimmed := strings.TrimRight(d.name, " \t"); len(trimmed) != len(d.name) {
		d.name, d.bad = trimmed, true
	}
	if !isToken(d.name) {
		d.bad = true
	}
	if d.hasValue {
		d.readValue()
	}
	d.id = identify(d.name)
	return d, true
}

func (d *directive) readValue() {
	if v := strings.TrimLeft(d.value, " \t"); len(v) != len(d.value) {
		d.value, d.bad = v, true
	}
	if d.value == "" || d.value[0] != '"' {
		return
	}
	end := quotedEnd(d.value)
	if end < 0 { // never closed
		d.bad = true
		return
	}
	if end != len(d.value) {
		d.bad = true
	}
	d.value = unescape(d.value[1 : end-1])
}

// memberEnd finds the comma that ends a list member, commas within quoted
// strings left aside. A quote that is never closed counts as an ordinary
// character: otherwise it would hide the directives after it, no-store among
// them.
func memberEnd(s string) int {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case ',':
			return i
		case '"':
			if n := quotedEnd(s[i:]); n > 0 {
				i += n - 1
			}
		}
	}
	return len(s)
}

// quotedEnd returns the length of the quoted string that s begins with, -1 when
// it is not closed (RFC 9110 section 5.6.4).
func quotedEnd(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

func unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b = append(b, s[i])
	}
	return string(b)
}

// isToken reports whether s is a token (RFC 9110 section 5.6.2).
func isToken(s string) bool {
	for i := 0; i < len(s); i++ {
		if !tokenByte[s[i]] {
			return false
		}
	}
	return s != ""
}

var tokenByte = func() (t [256]bool) {
	for i := range t {
		b := byte(i)
		t[i] = b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b != 0 && strings.IndexByte("!#$%&'*+-.^_`|~", b) >= 0
	}
	return t
}()

// eachDirective ranges over the members of one line.
func eachDirective(line string) iter.Seq[directive] {
	return func(yield func(directive) bool) {
		s := scanner{line}
		for d, ok := s.next(); ok && yield(d); d, ok = s.next() {
		}
	}
}

// delta reads delta-seconds (RFC 9111 section 1.2.2): digits only, what is too
// large is 2^31.
func (d *directive) delta() (int64, bool) {
	if d.bad || !d.hasValue {
		return 0, false
	}
	return deltaSeconds(d.value)
}

func deltaSeconds(s string) (int64, bool) {
	if s == "" {
		return 0, false
	}
	n := int64(0)
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		if n < maxDelta {
			n = min(n*10+int64(c-'0'), maxDelta)
		}
	}
	return n, true
}

// responseControl is what a response says about its caching.
type responseControl struct {
	maxAge, sMaxage                    int64 // seconds, absent when not given; 0 when malformed
	staleWhileRevalidate, staleIfError int64 // seconds, 0 when not given or malformed
	noStore, noCache, private, public  bool  // noCache and private: without field names
	mustRevalidate, proxyRevalidate    bool
	mustUnderstand, immutable          bool
	noCacheFields, privateFields       []string // canonical names; the qualified forms
	present                            bool     // any directive at all
}

func newResponseControl() responseControl {
	return responseControl{maxAge: absent, sMaxage: absent}
}

// add takes one directive in. Of directives that are given more than once the
// first counts (RFC 9111 section 4.2.1); malformed freshness is no freshness.
func (c *responseControl) add(d *directive) {
	c.present = true
	switch d.id {
	case dMaxAge:
		if c.maxAge == absent {
			c.maxAge, _ = d.delta()
		}
	case dSMaxage:
		if c.sMaxage == absent {
			c.sMaxage, _ = d.delta()
		}
	case dStaleWhileRevalidate:
		if c.staleWhileRevalidate == 0 {
			c.staleWhileRevalidate, _ = d.delta()
		}
	case dStaleIfError:
		if c.staleIfError == 0 {
			c.staleIfError, _ = d.delta()
		}
	case dNoStore:
		c.noStore = true
	case dNoCache:
		c.noCache = qualify(d, &c.noCacheFields) || c.noCache
	case dPrivate:
		c.private = qualify(d, &c.privateFields) || c.private
	case dPublic:
		c.public = true
	case dMustRevalidate:
		c.mustRevalidate = true
	case dProxyRevalidate:
		c.proxyRevalidate = true
	case dMustUnderstand:
		c.mustUnderstand = true
	case dImmutable:
		c.immutable = true
	}
}

// qualify reads the field names of no-cache or private (RFC 9111 sections
// 5.2.2.4 and 5.2.2.7). It reports true when the directive holds for the whole
// response: no names, or none that can be understood.
func qualify(d *directive, fields *[]string) (whole bool) {
	if !d.hasValue || d.bad {
		return true
	}
	names, ok := fieldNames(d.value, nil)
	if !ok || len(names) == 0 {
		return true
	}
	*fields = append(*fields, names...)
	return false
}

// parseResponseControl reads Cache-Control lines.
func parseResponseControl(lines []string) responseControl {
	c := newResponseControl()
	for _, line := range lines {
		s := scanner{line}
		for d, ok := s.next(); ok; d, ok = s.next() {
			c.add(&d)
		}
	}
	return c
}

// requestControl is what a request asks of caches (RFC 9111 section 5.2.1).
type requestControl struct {
	noCache, noStore, onlyIfCached bool
	maxAge, minFresh               int64 // seconds, absent when not given or malformed
	maxStale, staleIfError         int64 // the same; maxDelta for max-stale without a value
}

// parseRequestControl reads a request's Cache-Control, or Pragma where there is
// none (RFC 9111 section 5.4). It does not allocate.
func parseRequestControl(h request.Headers) requestControl {
	c := requestControl{maxAge: absent, minFresh: absent, maxStale: absent, staleIfError: absent}
	lines := h.Values("Cache-Control")
	if len(lines) == 0 {
		for _, line := range h.Values("Pragma") {
			s := scanner{line}
			for d, ok := s.next(); ok; d, ok = s.next() {
				c.noCache = c.noCache || d.id == dNoCache
			}
		}
		return c
	}
	for _, line := range lines {
		s := scanner{line}
		for d, ok := s.next(); ok; d, ok = s.next() {
			c.add(&d)
		}
	}
	return c
}

func (c *requestControl) add(d *directive) {
	set := func(to *int64) {
		if n, ok := d.delta(); ok && *to == absent {
			*to = n
		}
	}
	switch d.id {
	case dNoCache:
		c.noCache = true
	case dNoStore:
		c.noStore = true
	case dOnlyIfCached:
		c.onlyIfCached = true
	case dMaxAge:
		set(&c.maxAge)
	case dMinFresh:
		set(&c.minFresh)
	case dStaleIfError:
		set(&c.staleIfError)
	case dMaxStale:
		if !d.hasValue && !d.bad && c.maxStale == absent {
			c.maxStale = maxDelta
		} else {
			set(&c.maxStale)
		}
	}
}

// fieldNames appends the canonical names of a field-name list (RFC 9110 section
// 5.6.1, empty members allowed). It fails on a member that is no token.
func fieldNames(list string, names []string) ([]string, bool) {
	for name := range strings.SplitSeq(list, ",") {
		if name = trim(name); name == "" {
			continue
		}
		if !isToken(name) {
			return names, false
		}
		names = append(names, canonical(name))
	}
	return names, true
}
