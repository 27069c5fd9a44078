package cache

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/edge/request"
	"github.com/edgewright/edgewright/edgeconfig"
)

// keySpace is the buffer that look-ups build keys in; longer keys allocate.
const keySpace = 512

// A key is the scheme, authority, path and keyed query of a request, then the
// keyed headers and cookies, each with its length before it, so that different
// requests never have the same key whatever their parts contain.

// appendURI appends the part of the key that the URI makes.
func appendURI(b []byte, scheme, authority, path, query string, rule *Rule) []byte {
	b = appendPart(b, scheme)
	b = appendPart(b, authority)
	b = appendPart(b, path)
	b, start := open(b)
	return seal(rule.appendQuery(b, query), start)
}

// appendKeyed appends the part of the key that headers and cookies make. With
// neither in the rule it is empty, and the key is the URI's part.
func appendKeyed(b []byte, v *request.View, rule *Rule) []byte {
	var start int
	for _, name := range rule.headers {
		b = appendPart(b, name)
		b, start = open(b)
		b = seal(appendVaried(b, name, v, rule), start)
	}
	if len(rule.cookies) > 0 {
		b = append(b, 0xff) // no length begins so: cookies are not headers
		b, start = open(b)
		b = seal(appendCookies(b, v.Header.Values("Cookie"), rule.cookies), start)
	}
	return b
}

func appendPart(b []byte, part string) []byte {
	b = binary.AppendUvarint(b, uint64(len(part)))
	return append(b, part...)
}

// open makes room for a length; seal fills it in once the part is appended.
func open(b []byte) ([]byte, int) { return append(b, 0, 0, 0, 0), len(b) }

func seal(b []byte, start int) []byte {
	binary.BigEndian.PutUint32(b[start:], uint32(len(b)-start-4))
	return b
}

// address is the URI of a key, its strings parts of the key's memory.
type address struct {
	scheme, authority, path, query string
}

// addressOf takes the URI part of a key apart again.
func addressOf(key string) address {
	var a address
	for _, to := range []*string{&a.scheme, &a.authority, &a.path} {
		n, width := uvarint(key)
		*to, key = key[width:width+n], key[width+n:]
	}
	n := int(key[0])<<24 | int(key[1])<<16 | int(key[2])<<8 | int(key[3])
	a.query = key[4 : 4+n]
	return a
}

func uvarint(s string) (value, width int) {
	for shift := 0; ; shift += 7 {
		c := s[width]
		width++
		value |= int(c&0x7f) << shift
		if c < 0x80 {
			return value, width
		}
	}
}

// appendCookies appends the named cookies as a Cookie field has them, in the
// order in which they came (RFC 6265 section 5.4): "=" first, as appendVaried,
// or nothing when the request has none of them.
func appendCookies(b []byte, lines []string, names []string) []byte {
	first := true
	for _, line := range lines {
		for line != "" {
			var pair string
			pair, line, _ = strings.Cut(line, ";")
			pair = trim(pair)
			name, _, _ := strings.Cut(pair, "=")
			if _, found := slices.BinarySearch(names, strings.TrimRight(name, " \t")); !found || pair == "" {
				continue
			}
			if first {
				b = append(b, '=')
			} else {
				b = append(b, "; "...)
			}
			first = false
			b = append(b, pair...)
		}
	}
	return b
}

// stripsCookies reports whether a fill carries only the keyed cookies: a rule
// that overrides what the origin says about caching must not let a cookie that
// the key does not hold shape what everyone gets.
func (r *Rule) stripsCookies() bool { return r.action == edgeconfig.CacheOverride }
