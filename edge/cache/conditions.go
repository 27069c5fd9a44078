package cache

import (
	"strings"

	"github.com/edgewright/edgewright/edge/request"
)

// entityTag returns the response's ETag when it is well formed (RFC 9110
// section 8.8.3), "" otherwise: a malformed one validates nothing.
func entityTag(lines []string) string {
	if len(lines) != 1 {
		return ""
	}
	tag, rest := cutTag(trim(lines[0]))
	if tag == "" || rest != "" {
		return ""
	}
	return tag
}

// cutTag splits the entity tag that s begins with from what follows; tag is ""
// when there is none.
func cutTag(s string) (tag, rest string) {
	i := 0
	if strings.HasPrefix(s, "W/") {
		i = 2
	}
	if i >= len(s) || s[i] != '"' {
		return "", s
	}
	for j := i + 1; j < len(s); j++ {
		switch c := s[j]; {
		case c == '"':
			return s[:j+1], s[j+1:]
		case c < 0x21 || c == 0x7f:
			return "", s
		}
	}
	return "", s
}

func weak(tag string) bool { return strings.HasPrefix(tag, "W/") }

// weakEqual and strongEqual compare entity tags (RFC 9110 section 8.8.3.2).
func weakEqual(a, b string) bool {
	return a != "" && strings.TrimPrefix(a, "W/") == strings.TrimPrefix(b, "W/")
}

func strongEqual(a, b string) bool { return a != "" && a == b && !weak(a) }

// listsTag reports whether If-None-Match lines hold "*" or a tag that equals by
// weak comparison (RFC 9110 section 13.1.2). Reading ends at what is no tag.
func listsTag(lines []string, tag string) bool {
	for _, line := range lines {
		line = trim(line)
		if line == "*" {
			return true
		}
		for line != "" {
			if line[0] == ',' || line[0] == ' ' || line[0] == '\t' {
				line = line[1:]
				continue
			}
			var candidate string
			if candidate, line = cutTag(line); candidate == "" {
				break
			}
			if weakEqual(candidate, tag) {
				return true
			}
		}
	}
	return false
}

// wants is what a request asks for beyond the whole current response.
type wants uint8

const (
	wantsNoneMatch wants = 1 << iota // If-None-Match
	wantsModified                    // If-Modified-Since
	wantsRange                       // Range, of a GET
)

func wantsOf(v *request.View) wants {
	var w wants
	if len(v.Header.Values("If-None-Match")) > 0 {
		w |= wantsNoneMatch
	}
	if len(v.Header.Values("If-Modified-Since")) > 0 {
		w |= wantsModified
	}
	if v.Method == "GET" && len(v.Header.Values("Range")) > 0 {
		w |= wantsRange
	}
	return w
}

// passesThrough reports whether a request has preconditions that only the
// origin can evaluate (RFC 9111 section 4.3.2).
func passesThrough(v *request.View) bool {
	return len(v.Header.Values("If-Match")) > 0 || len(v.Header.Values("If-Unmodified-Since")) > 0
}

// unmodified evaluates the preconditions of a request against a response that
// would be its answer (RFC 9110 section 13.2.2): true means 304. Preconditions
// concern only what would be a success (section 13.2.1).
func (m *meta) unmodified(w wants, v *request.View) bool {
	if m.status != 200 {
		return false
	}
	if w&wantsNoneMatch != 0 { // If-Modified-Since is then ignored
		return listsTag(v.Header.Values("If-None-Match"), m.etag)
	}
	if w&wantsModified == 0 {
		return false
	}
	lines := v.Header.Values("If-Modified-Since")
	if len(lines) != 1 {
		return false
	}
	since, ok := parseDate(trim(lines[0]), timeOf(m.responseTime))
	if !ok {
		return false
	}
	// RFC 9111 section 4.3.2: without Last-Modified, Date stands in for it.
	modified := m.modified
	if m.lastModified == "" {
		modified = m.date
	}
	return modified <= since.Unix()
}

// rangeApplies evaluates If-Range (RFC 9110 section 13.1.5): an entity tag by
// strong comparison, or the exact Last-Modified, if that is a strong validator:
// at least a second older than the response's Date (section 8.8.2.2).
func (m *meta) rangeApplies(v *request.View) bool {
	lines := v.Header.Values("If-Range")
	if len(lines) == 0 {
		return true
	}
	if len(lines) > 1 {
		return false
	}
	value := trim(lines[0])
	if tag, rest := cutTag(value); tag != "" {
		return rest == "" && strongEqual(tag, m.etag)
	}
	t, ok := parseDate(value, timeOf(m.responseTime))
	return ok && m.lastModified != "" && t.Unix() == m.modified && m.date-m.modified >= 1
}
