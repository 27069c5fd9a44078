package dns

import (
	"crypto/sha1"
	"encoding/binary"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/edgeconfig"
)

// soa puts the SOA of the zone into the authority section, as denials carry it.
func (c *compose) soa(x *index) {
	r := x.neg[0]
	if c.do {
		r = x.neg[1]
	}
	c.all(r, c.apexAt(x), len(x.apex))
}

// apexAt is where the zone's name stands: at the end of the question.
func (c *compose) apexAt(x *index) int {
	q := &c.hops[0]
	return headerSize + q.n - len(x.apex)
}

// noData answers for a name, or the wildcard that stands for it, that exists
// without the type.
func (c *compose) noData(x *index, h *hop) {
	c.soa(x)
	if !c.do {
		return
	}
	if x.compact() {
		c.denyCompactly(x, h, false)
		return
	}
	if h.wildcard == 0 {
		c.deny(x, h.bytes())
		return
	}
	c.denyHop(x, h)
	c.deny(x, c.asterisk(h.suffix(h.wildcard)))
}

// denyName answers that a name does not exist, and no wildcard for it.
func (c *compose) denyName(x *index, h *hop) {
	c.soa(x)
	if c.do && x.compact() {
		c.denyCompactly(x, h, true)
	} else if c.do {
		c.denyHop(x, h)
		c.deny(x, c.asterisk(h.suffix(h.wildcard)))
	}
}

// denyHop proves that a name does not exist: with NSEC the gap it is in, with
// NSEC3 that its closest encloser exists and the next closer name does not (RFC
// 5155 section 7.2.1).
func (c *compose) denyHop(x *index, h *hop) {
	if x.denial == edgeconfig.DenialNSEC {
		c.deny(x, h.bytes())
		return
	}
	c.deny(x, h.suffix(h.wildcard))
	c.deny(x, h.suffix(h.wildcard-1))
}

// expansions proves of every name that a wildcard stood for that it does not
// exist itself (RFC 4035 section 3.1.3.3, RFC 5155 section 7.2.6).
func (c *compose) expansions(x *index) {
	for i := range c.count {
		h := &c.hops[i]
		switch {
		case h.wildcard == 0, x.compact(): // or the name has it
		case x.denial == edgeconfig.DenialNSEC:
			c.deny(x, h.bytes())
		default:
			c.deny(x, h.suffix(h.wildcard-1))
		}
	}
}

// deny puts the record into the authority section that matches a name or
// covers it, once.
func (c *compose) deny(x *index, owner []byte) {
	if x.denial == edgeconfig.DenialNSEC3 {
		sum := sha1.Sum(owner)
		e, ok := x.nsec3.floor(sum[:])
		if ok && c.first(e.hash) {
			putFree(c, x, e.label, e.wire, e.count)
		}
		return
	}
	if x.compact() { // of a delegation; others are denied where they stand
		if r := c.ownNSEC(x, owner); r != nil && c.first(string(owner)) {
			putFree(c, x, owner[:len(owner)-len(x.apex)], r.wire(), r.answers())
		}
		return
	}
	c.key = appendSortKey(c.key[:0], owner)
	key, ok := x.nsec.floor(c.key)
	if !ok || !c.first(key) {
		return
	}
	c.owner = appendFromSortKey(c.owner[:0], key)
	r := x.find(hash(x.seed, c.owner), c.owner, dns.TypeNSEC, true)
	if r == nil {
		return
	}
	labels := c.owner[:len(c.owner)-len(x.apex)]
	putFree(c, x, labels, r.wire(), r.answers())
}

// first reports whether a denial record is not in the message yet, and notes it.
func (c *compose) first(key string) bool {
	for _, g := range c.given[:c.gave] {
		if g == key {
			return false
		}
	}
	if c.gave < len(c.given) {
		c.given[c.gave] = key
		c.gave++
	}
	return true
}

// putFree writes records whose owner, labels below the apex, stands nowhere in
// the message: written out once, then pointed at. Each record of wire begins
// with two bytes for its owner and has no pointers in its data.
func putFree[B []byte | string](c *compose, x *index, labels B, wire B, count int) {
	if c.n+len(labels)+len(wire) > c.limit {
		c.full = true
	}
	if c.full {
		return
	}
	at := c.apexAt(x)
	if len(labels) > 0 {
		at = c.n
		c.n += copy(c.b[c.n:], labels)
		binary.BigEndian.PutUint16(c.b[c.n:], 0xc000|uint16(c.apexAt(x)))
	} else {
		binary.BigEndian.PutUint16(c.b[c.n:], 0xc000|uint16(at))
	}
	c.n += 2
	begin := c.n
	c.n += copy(c.b[c.n:], wire[2:])
	for o := begin; ; {
		o += 10 + int(binary.BigEndian.Uint16(c.b[o+8:]))
		if o >= c.n {
			break
		}
		binary.BigEndian.PutUint16(c.b[o:], 0xc000|uint16(at))
		o += 2
	}
	c.counts[authority] += count
}
