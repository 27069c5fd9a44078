package cache

import (
	"slices"
	"strings"
)

// queryMode says which query parameters the key holds.
type queryMode uint8

const (
	queryAll queryMode = iota
	queryNone
	queryInclude
	queryExclude
)

// ForwardQuery returns what of the raw query is keyed, and therefore what the
// origin is sent: order and encoding stay as they are.
func (r *Rule) ForwardQuery(query string) string {
	switch r.query {
	case queryAll:
		return query
	case queryNone:
		return ""
	}
	kept := r.appendQuery(make([]byte, 0, len(query)), query)
	if len(kept) == len(query) {
		return query
	}
	return string(kept)
}

// appendQuery appends the keyed part of a raw query.
func (r *Rule) appendQuery(b []byte, query string) []byte {
	switch r.query {
	case queryAll:
		return append(b, query...)
	case queryNone:
		return b
	}
	start := len(b)
	for query != "" {
		var part string
		part, query, _ = strings.Cut(query, "&")
		if part == "" || r.names == nil && r.query == queryInclude {
			continue
		}
		name, _, _ := strings.Cut(part, "=")
		if r.selects(name) != (r.query == queryInclude) {
			continue
		}
		if len(b) > start {
			b = append(b, '&')
		}
		b = append(b, part...)
	}
	return b
}

// selects reports whether a parameter name is listed. Names are compared as the
// origin will see them, decoded, so that "utm%5Fid" is "utm_id".
func (r *Rule) selects(raw string) bool {
	if !strings.ContainsAny(raw, "%+") {
		_, found := slices.BinarySearch(r.names, raw)
		return found
	}
	return slices.ContainsFunc(r.names, func(name string) bool { return decodedEqual(raw, name) })
}

// decodedEqual compares a form-encoded name with a plain one, without building
// the decoded one.
func decodedEqual(raw, name string) bool {
	n := 0
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		switch {
		case c == '+':
			c = ' '
		case c == '%' && i+2 < len(raw):
			high, ok1 := hexDigit(raw[i+1])
			low, ok2 := hexDigit(raw[i+2])
			if ok1 && ok2 {
				c = high<<4 | low
				i += 2
			}
		}
		if n == len(name) || name[n] != c {
			return false
		}
		n++
	}
	return n == len(name)
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}
