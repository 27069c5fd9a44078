package cache

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unsafe"
)

// Field is one stored header field; Name is canonical.
type Field struct {
	Name   string
	Values []string
}

// hopByHop are the fields that belong to one connection (RFC 9110 section
// 7.6.1, RFC 9111 section 3.1), besides those that Connection names.
var hopByHop = []string{
	"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authentication-Info",
	"Proxy-Authorization", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// stripHopByHop removes connection fields from a response's header, in place.
// A 101 keeps them: it is about the connection.
func stripHopByHop(h http.Header) {
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			if name = strings.TrimSpace(name); name != "" {
				h.Del(name)
			}
		}
	}
	for _, name := range hopByHop {
		delete(h, name)
	}
}

// fieldList turns a header into stored fields in a fixed order, leaving out
// the names for which drop is true.
func fieldList(h http.Header, drop func(name string) bool) []Field {
	fields := make([]Field, 0, len(h))
	for _, name := range slices.Sorted(maps.Keys(h)) {
		if values := h[name]; len(values) > 0 && !drop(name) {
			fields = append(fields, Field{name, values})
		}
	}
	return fields
}

// headerOf is the opposite of fieldList. The value slices are shared, and full,
// so that appending to one copies it.
func headerOf(fields []Field) http.Header {
	h := make(http.Header, len(fields)+4)
	for _, f := range fields {
		h[f.Name] = f.Values
	}
	return h
}

// block is a header in the form of both lanes, in one piece of memory: the
// strings of fields are parts of text.
type block struct {
	text   []byte // "Name: value\r\n"...
	fields []Field
}

// newBlock lays fields out. Values are trimmed of surrounding blanks; a value
// that holds a line break or NUL, which net/http refuses to read anyway, loses
// its field, so that no stored value can split a response.
func newBlock(fields []Field) block {
	size, lines := 0, 0
	for _, f := range fields {
		for _, v := range f.Values {
			size += len(f.Name) + len(v) + 4
			lines++
		}
	}
	b := block{text: make([]byte, 0, size), fields: make([]Field, 0, len(fields))}
	values := make([]string, 0, lines)
	for _, f := range fields {
		first := len(values)
		name := ""
		for _, v := range f.Values {
			if strings.ContainsAny(v, "\r\n\x00") {
				continue
			}
			start := len(b.text)
			b.text = append(b.text, f.Name...)
			b.text = append(b.text, ": "...)
			mid := len(b.text)
			b.text = append(b.text, strings.Trim(v, " \t")...)
			end := len(b.text)
			b.text = append(b.text, "\r\n"...)
			name = part(b.text, start, start+len(f.Name))
			values = append(values, part(b.text, mid, end))
		}
		if n := len(values); n > first {
			b.fields = append(b.fields, Field{name, values[first:n:n]})
		}
	}
	return b
}

// part is b[i:j] as a string that shares b's memory. The block's text is never
// written again once laid out; sharing halves what a small object's header
// costs.
func part(b []byte, i, j int) string {
	if i == j {
		return ""
	}
	return unsafe.String(&b[i], j-i)
}

// cost is the memory that the block holds, in bytes.
func (b *block) cost() int64 {
	n := int64(cap(b.text)) + int64(cap(b.fields))*int64(unsafe.Sizeof(Field{}))
	for _, f := range b.fields {
		n += int64(len(f.Values)) * int64(unsafe.Sizeof(""))
	}
	return n
}

// get returns the first value of a field.
func (b *block) get(name string) string {
	if v := b.values(name); len(v) > 0 {
		return v[0]
	}
	return ""
}

func (b *block) values(name string) []string {
	for i := range b.fields {
		if b.fields[i].Name == name {
			return b.fields[i].Values
		}
	}
	return nil
}

// browserFields applies a rule's browser TTL to a stored header: Expires goes,
// Cache-Control is replaced by what else it says and a max-age that is set for
// each answer (see varying). It returns what stands before max-age's number, or
// "" for a response that browsers must not store, which is left alone.
func browserFields(fields []Field) (kept []Field, prefix string) {
	var directives []string
	for _, f := range fields {
		switch f.Name {
		case "Expires", "Pragma":
		case "Cache-Control":
			for _, line := range f.Values {
				for d := range eachDirective(line) {
					switch d.id {
					case dNoStore:
						return fields, ""
					case dMaxAge, dNoCache, dMustRevalidate, dImmutable, dStaleWhileRevalidate, dStaleIfError:
						// About the browser's copy, which the rule decides.
					default:
						directives = append(directives, d.text)
					}
				}
			}
		default:
			kept = append(kept, f)
		}
	}
	directives = append(directives, "max-age=")
	return kept, strings.Join(directives, ", ")
}

func appendField(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, "\r\n"...)
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }
