package cache

import (
	"strings"
)

// Targeted cache control (RFC 9213) is a Dictionary of Structured Fields (RFC
// 8941 section 3.2), parsed strictly: a field that does not parse is as if it
// were not there.

// sfKind is the type of a structured value, as far as directives need it.
type sfKind uint8

const (
	sfTrue sfKind = iota
	sfFalse
	sfInteger
	sfString
	sfOther // token, decimal, byte sequence, inner list
)

type sfValue struct {
	kind    sfKind
	integer int64
	text    string
}

type sfMember struct {
	key   string
	value sfValue
}

// parseTargeted reads the lines of a targeted field. ok is false when the field
// is to be ignored: absent, empty or malformed.
func parseTargeted(lines []string) (cc responseControl, ok bool) {
	members, ok := parseDictionary(strings.Join(lines, ","))
	if !ok || len(members) == 0 {
		return cc, false
	}
	cc = newResponseControl()
	for i := range members {
		cc.addStructured(&members[i])
	}
	return cc, true
}

// addStructured takes in one member. Values whose type the directive does not
// have are not consumed (RFC 9213 section 2.1), except that private and
// no-cache with what is no list of names hold for the whole response.
func (c *responseControl) addStructured(m *sfMember) {
	c.present = true
	d := directive{id: identify(m.key), name: m.key, text: m.key}
	switch d.id {
	case dMaxAge, dSMaxage, dStaleWhileRevalidate, dStaleIfError:
		if m.value.kind != sfInteger || m.value.integer < 0 {
			return
		}
		d.value, d.hasValue = decimal(m.value.integer), true
	case dNoCache, dPrivate:
		if m.value.kind == sfFalse {
			return
		}
		d.value, d.hasValue = m.value.text, m.value.kind == sfString
	default:
		if m.value.kind != sfTrue {
			return
		}
	}
	c.add(&d)
}

// sfParser walks over a structured field.
type sfParser struct {
	s string
	i int
}

func (p *sfParser) end() bool { return p.i >= len(p.s) }

func (p *sfParser) peek() byte {
	if p.end() {
		return 0
	}
	return p.s[p.i]
}

func (p *sfParser) take(c byte) bool {
	if !p.end() && p.s[p.i] == c {
		p.i++
		return true
	}
	return false
}

func (p *sfParser) skip(set string) {
	for !p.end() && strings.IndexByte(set, p.s[p.i]) >= 0 {
		p.i++
	}
}

// parseDictionary is RFC 8941 section 4.2.2. Of equal keys the last counts.
func parseDictionary(s string) (members []sfMember, ok bool) {
	p := sfParser{s: s}
	p.skip(" ")
	for !p.end() {
		m := sfMember{}
		if m.key, ok = p.key(); !ok {
			return nil, false
		}
		if p.take('=') {
			if m.value, ok = p.member(); !ok {
				return nil, false
			}
		}
		if !p.parameters() {
			return nil, false
		}
		replaced := false
		for i := range members {
			if members[i].key == m.key {
				members[i], replaced = m, true
			}
		}
		if !replaced {
			members = append(members, m)
		}
		p.skip(" \t")
		if p.end() {
			return members, true
		}
		if !p.take(',') {
			return nil, false
		}
		p.skip(" \t")
		if p.end() { // a comma with nothing after it
			return nil, false
		}
	}
	return members, true
}

// key is RFC 8941 section 4.2.3.3: lower case only.
func (p *sfParser) key() (string, bool) {
	start := p.i
	if c := p.peek(); !(c >= 'a' && c <= 'z' || c == '*') {
		return "", false
	}
	for !p.end() {
		c := p.s[p.i]
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.' || c == '*' {
			p.i++
			continue
		}
		break
	}
	return p.s[start:p.i], true
}

// parameters skips the parameters of an item (RFC 8941 section 4.2.3.2).
func (p *sfParser) parameters() bool {
	for p.take(';') {
		p.skip(" ")
		if _, ok := p.key(); !ok {
			return false
		}
		if p.take('=') {
			if _, ok := p.bare(); !ok {
				return false
			}
		}
	}
	return true
}

// member is an item or an inner list; its parameters are the caller's.
func (p *sfParser) member() (sfValue, bool) {
	if !p.take('(') {
		return p.bare()
	}
	for {
		p.skip(" ")
		if p.take(')') {
			return sfValue{kind: sfOther}, true
		}
		if _, ok := p.bare(); !ok || !p.parameters() {
			return sfValue{}, false
		}
		if c := p.peek(); c != ' ' && c != ')' {
			return sfValue{}, false
		}
	}
}

// bare is a bare item (RFC 8941 section 4.2.3.1).
func (p *sfParser) bare() (sfValue, bool) {
	switch c := p.peek(); {
	case c == '"':
		return p.str()
	case c == '?':
		p.i++
		switch {
		case p.take('1'):
			return sfValue{kind: sfTrue}, true
		case p.take('0'):
			return sfValue{kind: sfFalse}, true
		}
		return sfValue{}, false
	case c == ':':
		return p.bytes()
	case c == '-' || c >= '0' && c <= '9':
		return p.number()
	case c == '*' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
		for !p.end() && (tokenByte[p.s[p.i]] || p.s[p.i] == ':' || p.s[p.i] == '/') {
			p.i++
		}
		return sfValue{kind: sfOther}, true
	}
	return sfValue{}, false
}

// str is RFC 8941 section 4.2.5.
func (p *sfParser) str() (sfValue, bool) {
	p.i++
	var b []byte
	for !p.end() {
		c := p.s[p.i]
		p.i++
		switch {
		case c == '\\':
			if p.end() || p.s[p.i] != '"' && p.s[p.i] != '\\' {
				return sfValue{}, false
			}
			b = append(b, p.s[p.i])
			p.i++
		case c == '"':
			return sfValue{kind: sfString, text: string(b)}, true
		case c < 0x20 || c > 0x7e:
			return sfValue{}, false
		default:
			b = append(b, c)
		}
	}
	return sfValue{}, false
}

// bytes skips a byte sequence (RFC 8941 section 4.2.7).
func (p *sfParser) bytes() (sfValue, bool) {
	p.i++
	for !p.end() {
		c := p.s[p.i]
		p.i++
		if c == ':' {
			return sfValue{kind: sfOther}, true
		}
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '+' || c == '/' || c == '=') {
			return sfValue{}, false
		}
	}
	return sfValue{}, false
}

// number is RFC 8941 section 4.2.4: up to 15 digits, of a decimal up to 12
// before and 1 to 3 after the point.
func (p *sfParser) number() (sfValue, bool) {
	negative := p.take('-')
	digits := func() (n int64, count int) {
		for c := p.peek(); c >= '0' && c <= '9' && count < 16; c = p.peek() {
			n = n*10 + int64(c-'0')
			count++
			p.i++
		}
		return n, count
	}
	n, count := digits()
	if count == 0 || count > 15 {
		return sfValue{}, false
	}
	if p.take('.') {
		_, fraction := digits()
		return sfValue{kind: sfOther}, count <= 12 && fraction >= 1 && fraction <= 3
	}
	if negative {
		n = -n
	}
	return sfValue{kind: sfInteger, integer: n}, true
}
