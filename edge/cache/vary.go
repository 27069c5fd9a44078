package cache

import (
	"net/http"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/edge/request"
)

// maxVaryFields bounds the fields one response may vary on.
const maxVaryFields = 16

func canonical(name string) string { return http.CanonicalHeaderKey(name) }

// varied is one field that a stored response varies on, with the value of the
// request that it answers, normalised.
type varied struct {
	name  string
	value string
}

// parseVary reads Vary lines (RFC 9110 section 12.5.5) into canonical names,
// sorted, without duplicates. ok is false when nothing ever matches: "*", a
// member that is no field name, or more than maxVaryFields.
func parseVary(lines []string) (names []string, ok bool) {
	for _, line := range lines {
		for name := range strings.SplitSeq(line, ",") {
			if name = trim(name); name == "" {
				continue
			}
			if name == "*" || !isToken(name) {
				return nil, false
			}
			name = canonical(name)
			if name == "X-Request-Id" { // each request has its own
				return nil, false
			}
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names, len(names) <= maxVaryFields
}

// varyOf returns the fields of names as the request has them.
func varyOf(names []string, v *request.View, rule *Rule) []varied {
	fields := make([]varied, 0, len(names))
	for _, name := range names {
		fields = append(fields, varied{name, string(appendVaried(nil, name, v, rule))})
	}
	return fields
}

// matches reports whether a request has the same values (RFC 9111 section 4.1).
// It allocates only for values longer than its buffer.
func matches(fields []varied, v *request.View, rule *Rule) bool {
	var space [512]byte
	for i := range fields {
		if string(appendVaried(space[:0], fields[i].name, v, rule)) != fields[i].value {
			return false
		}
	}
	return true
}

// appendVaried appends the normalised value of a request field, beginning with
// "=" when the request has it: an absent field matches only an absent one.
//
// What counts is what the origin is sent. Fields that the edge sets itself are
// therefore taken from what it sets them to, fields that a fill does not carry
// are constant, and Accept-Encoding is what acceptEncoding makes of it.
func appendVaried(b []byte, name string, v *request.View, rule *Rule) []byte {
	switch name {
	case "Accept-Encoding":
		return append(b, '=', byte(acceptedCodings(v.Header.Values(name))))
	case "Host", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port",
		"Range", "If-Range", "If-None-Match", "If-Modified-Since":
		return b // in the key already, or never sent
	case "X-Forwarded-For", "X-Real-Ip", "Forwarded":
		return append(append(b, '='), v.ClientIP...)
	case "Cookie":
		if rule.stripsCookies() {
			return appendCookies(b, v.Header.Values(name), rule.cookies)
		}
	}
	return appendNormal(b, v.Header.Values(name), listField(name))
}

// fieldSyntax is how much of a value may be normalised.
type fieldSyntax uint8

const (
	opaque     fieldSyntax = iota // lines combined
	list                          // and blanks around commas, empty members
	foldedList                    // and letter case
)

func listField(name string) fieldSyntax {
	switch name {
	case "Accept", "Accept-Charset":
		return list
	case "Accept-Language":
		return foldedList
	}
	return opaque
}

// appendNormal combines field lines (RFC 9110 section 5.3) and normalises what
// the syntax leaves without meaning (RFC 9111 section 4.1).
func appendNormal(b []byte, lines []string, syntax fieldSyntax) []byte {
	if len(lines) == 0 {
		return b
	}
	b = append(b, '=')
	first := true
	for _, line := range lines {
		for line != "" {
			member := line
			if syntax == opaque {
				line = ""
			} else {
				member, line, _ = strings.Cut(line, ",")
			}
			if member = trim(member); member == "" {
				continue
			}
			if !first {
				b = append(b, ',')
			}
			first = false
			for i := 0; i < len(member); i++ {
				c := member[i]
				if syntax == foldedList && c >= 'A' && c <= 'Z' {
					c += 'a' - 'A'
				}
				b = append(b, c)
			}
		}
	}
	return b
}
