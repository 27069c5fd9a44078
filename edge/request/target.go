package request

import (
	"strings"

	"github.com/edgewright/edgewright/fault"
)

// MaxTargetBytes bounds a request target; longer ones are answered 414.
const MaxTargetBytes = 16 << 10

// What is wrong with a target. Each is fault.Invalid, ErrTargetTooLong is
// fault.TooLarge; the messages are shown to the client.
var (
	ErrTargetForm    = fault.New(fault.Invalid, "the request target must begin with a slash, or be an absolute http or https URL")
	ErrTargetTooLong = fault.New(fault.TooLarge, "the request target is longer than %d bytes", MaxTargetBytes)
	ErrTargetByte    = fault.New(fault.Invalid, "the request target holds a byte that must be percent-encoded (a control character, a space or #)")
	ErrPercent       = fault.New(fault.Invalid, "the request target holds a %% that two hexadecimal digits do not follow")
	ErrNUL           = fault.New(fault.Invalid, "the path holds an encoded NUL")
)

// Target is a request target taken apart and normalised.
type Target struct {
	Scheme    string // of an absolute-form target, lower case; else ""
	Authority string // of an absolute-form target, as received; else ""
	Path      string // as View.Path; "*" for the asterisk-form of OPTIONS
	Query     string // as View.Query
}

// ParseTarget takes apart and normalises a request target in origin-form,
// absolute-form or asterisk-form (RFC 9112 section 3.2). It allocates only when
// normalisation changes something.
func ParseTarget(method, raw string) (Target, error) {
	var t Target
	if len(raw) > MaxTargetBytes {
		return t, ErrTargetTooLong
	}
	if raw == "" {
		return t, ErrTargetForm
	}
	if raw[0] != '/' {
		if raw == "*" && method == "OPTIONS" {
			return Target{Path: "*"}, nil
		}
		scheme, rest, ok := strings.Cut(raw, "://")
		switch {
		case ok && strings.EqualFold(scheme, "http"):
			t.Scheme = "http"
		case ok && strings.EqualFold(scheme, "https"):
			t.Scheme = "https"
		default:
			return t, ErrTargetForm
		}
		end := strings.IndexAny(rest, "/?")
		if end < 0 {
			end = len(rest)
		}
		t.Authority, raw = rest[:end], rest[end:]
		if t.Authority == "" {
			return t, ErrTargetForm
		}
	}
	path, query := raw, ""
	if i := strings.IndexByte(raw, '?'); i >= 0 {
		path, query = raw[:i], raw[i+1:]
	}
	if path == "" {
		path = "/"
	}
	var err error
	if t.Path, err = Path(path); err != nil {
		return t, err
	}
	t.Query, err = Query(query)
	return t, err
}

// Classes of bytes in a path.
const (
	plain      = iota // stays: pchar of RFC 3986, and "/"
	unreserved        // stays, and is decoded when it comes percent-encoded
	encode            // not allowed raw, but sent by clients: percent-encoded
	refuse            // control characters, space, DEL, "#", "?"
)

var class = func() (c [256]uint8) {
	for i := range c {
		switch b := byte(i); {
		case b <= ' ', b == 0x7f, b == '#', b == '?':
			c[i] = refuse
		case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b >= '0' && b <= '9', strings.IndexByte("-._~", b) >= 0:
			c[i] = unreserved
		case strings.IndexByte("!$&'()*+,;=:@/%[]", b) >= 0:
			c[i] = plain
		default:
			c[i] = encode
		}
	}
	return c
}()

// Path normalises the path of a URL (RFC 3986 section 6.2.2): percent-encoded
// unreserved characters are decoded, hexadecimal digits made upper case, dot
// segments removed, bytes that may not stand raw encoded. Encoded slashes and
// empty segments stay, since they distinguish resources. A path that is normal
// already is returned itself, without an allocation.
func Path(raw string) (string, error) {
	if raw == "" || raw[0] != '/' {
		return "", ErrTargetForm
	}
	normal := true
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; class[c] {
		case refuse:
			return "", ErrTargetByte
		case encode:
			normal = false
		default:
			if c == '%' || c == '.' && raw[i-1] == '/' {
				normal = false
			}
		}
	}
	if normal {
		return raw, nil
	}
	b := make([]byte, 0, len(raw)+16)
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		switch {
		case c == '%':
			if i+2 >= len(raw) || !isHex(raw[i+1]) || !isHex(raw[i+2]) {
				return "", ErrPercent
			}
			d := unhex(raw[i+1])<<4 | unhex(raw[i+2])
			i += 2
			switch {
			case d == 0:
				return "", ErrNUL
			case class[d] == unreserved:
				b = append(b, d)
			default:
				b = appendPercent(b, d)
			}
		case class[c] == encode:
			b = appendPercent(b, c)
		default:
			b = append(b, c)
		}
	}
	return string(removeDotSegments(b)), nil
}

// removeDotSegments is RFC 3986 section 5.2.4 for a path that begins with "/",
// in place.
func removeDotSegments(b []byte) []byte {
	out := b[:0]
	for i := 0; i < len(b); {
		end := i + 1
		for end < len(b) && b[end] != '/' {
			end++
		}
		switch segment := b[i+1 : end]; {
		case string(segment) == ".":
			if end == len(b) {
				out = append(out, '/')
			}
		case string(segment) == "..":
			for len(out) > 0 {
				out = out[:len(out)-1]
				if b[len(out)] == '/' {
					break
				}
			}
			if end == len(b) {
				out = append(out, '/')
			}
		default:
			out = append(out, b[i:end]...)
		}
		i = end
	}
	if len(out) == 0 {
		return append(out, '/')
	}
	return out
}

// Query checks a query and percent-encodes the bytes that may not stand raw in
// a request line. Nothing else is changed: what a query means is the origin's.
func Query(raw string) (string, error) {
	normal := true
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case c <= ' ' || c == 0x7f || c == '#':
			return "", ErrTargetByte
		case encodeInQuery(c):
			normal = false
		}
	}
	if normal {
		return raw, nil
	}
	b := make([]byte, 0, len(raw)+16)
	for i := 0; i < len(raw); i++ {
		if c := raw[i]; encodeInQuery(c) {
			b = appendPercent(b, c)
		} else {
			b = append(b, c)
		}
	}
	return string(b), nil
}

func encodeInQuery(c byte) bool { return c >= 0x80 || c == '"' || c == '<' || c == '>' }

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c >= 'a':
		return c - 'a' + 10
	default:
		return c - 'A' + 10
	}
}

func appendPercent(b []byte, c byte) []byte {
	const digits = "0123456789ABCDEF"
	return append(b, '%', digits[c>>4], digits[c&15])
}
