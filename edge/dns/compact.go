package dns

import (
	"encoding/binary"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/dnswire"
	"github.com/edgewright/edgewright/edgeconfig"
)

// Compact denial of existence (RFC 9824): one NSEC record at the name asked for,
// that leads to the next possible name, says what the name has. Names that the
// zone has carry theirs, signed by the control plane. For a name it has not, and
// for one that only others are below, the record is made and signed here
// (online.go), as is what a wildcard gives: as if the name had it itself. A name
// that does not exist has the type NXNAME, and the response code is NOERROR for
// who asks for signatures, unless it says that it knows better (the flag CO).

// Bits of types in NSEC records that are made here: RRSIG and NSEC, and with
// them NXNAME.
var (
	bitmapEmpty = []byte{0, 6, 0, 0, 0, 0, 0, 0x03}
	bitmapNone  = append([]byte{0, 17, 0, 0, 0, 0, 0, 0x03}, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80)
)

func (x *index) compact() bool { return x.denial == edgeconfig.DenialCompact }

// denyCompactly proves that a name has no more than it has; absent, that it does
// not exist.
func (c *compose) denyCompactly(x *index, h *hop, absent bool) {
	bits := bitmapEmpty
	switch {
	case absent:
		bits = bitmapNone
		c.absent = true
		if !c.co {
			c.rcode = dns.RcodeSuccess
		}
	case h.wildcard == 0:
		if r := c.ownNSEC(x, h.bytes()); r != nil {
			if c.first(string(h.bytes())) {
				c.putMade(authority, h.at, r.wire(), r.answers())
			}
			return
		}
	default:
		if r := c.ownNSEC(x, c.asterisk(h.suffix(h.wildcard))); r != nil {
			bits = bitmapOf(r)
		}
	}
	if !c.first(string(h.bytes())) {
		return
	}
	next := successor(h.bytes())
	if next == nil {
		c.fail()
		return
	}
	c.putSigned(x, h, authority, dns.TypeNSEC, x.negative, [][]byte{append(next, bits...)}, true)
}

// ownNSEC is the NSEC record of a name that has records.
func (c *compose) ownNSEC(x *index, owner []byte) record {
	return x.find(hash(x.seed, owner), owner, dns.TypeNSEC, true)
}

// bitmapOf is the end of an NSEC record's data.
func bitmapOf(r record) []byte {
	wire := r.wire() // a pointer for the owner, type, class, TTL, length, next name, bitmap
	data := wire[12 : 12+int(binary.BigEndian.Uint16(wire[10:]))]
	return data[wireLength(data):]
}

// successor is the next possible name in canonical order, in lower case; nil for
// the few of 254 and 255 bytes that have none that is easy to name.
func successor(owner []byte) []byte {
	if len(owner)+2 <= maxName {
		return append([]byte{1, 0}, owner...)
	}
	next := append([]byte(nil), owner...)
	last := int(next[0])
	next[last]++
	switch next[last] {
	case 0: // it was 255
		return nil
	case 'A':
		next[last] = 'Z' + 1
	}
	return next
}

// expandCompactly gives what a wildcard has for a name as if the name had it:
// without signatures at first, then with its own. It reports whether there was
// anything.
func (c *compose) expandCompactly(x *index, h *hop, qtype uint16, r record) bool {
	if qtype == dns.TypeNSEC || qtype == dns.TypeRRSIG {
		c.noData(x, h) // these are of the wildcard alone
		return false
	}
	if r.flags()&flagVariants != 0 {
		r = c.choose(x, r)
	}
	at := c.n
	c.all(r, h.at, h.n)
	if c.full {
		return false
	}
	var data [][]byte
	var typ uint16
	var ttl uint32
	for o := at; o < c.n; {
		o = dnswire.SkipName(c.b, o)
		typ, ttl = binary.BigEndian.Uint16(c.b[o:]), binary.BigEndian.Uint32(c.b[o+4:])
		o += 10
		end := o + int(binary.BigEndian.Uint16(c.b[o-2:]))
		data = append(data, c.canonicalData(typ, o, end))
		o = end
	}
	c.putSigned(x, h, answer, typ, ttl, data, false)
	return true
}

// canonicalData is the data of a record in the message with its names written
// out, in lower case. Other types than these are never compressed, and are in
// canonical form already.
func (c *compose) canonicalData(typ uint16, o, end int) []byte {
	prefix := 0
	switch typ {
	case dns.TypeNS, dns.TypeCNAME, dns.TypePTR:
	case dns.TypeMX:
		prefix = 2
	default:
		return append([]byte(nil), c.b[o:end]...)
	}
	var target name
	if !target.expand(c.b, o+prefix) {
		return append([]byte(nil), c.b[o:end]...)
	}
	return append(append([]byte(nil), c.b[o:o+prefix]...), target.bytes()...)
}

// putSigned puts the signatures of a set of h's name into a section, and with
// them, when records is set, its records.
func (c *compose) putSigned(x *index, h *hop, section int, typ uint16, ttl uint32, data [][]byte, records bool) {
	if c.signer == nil {
		c.fail()
		return
	}
	set := canonicalSet(nil, h.bytes(), typ, ttl, data)
	sigs := c.online.sign(c.signer, x.apex, h.bytes(), typ, ttl, set, x.seed, c.second, c.tcp)
	if sigs == nil {
		c.full = true // over UDP it is cut, over TCP it fails
		return
	}
	var wire []byte
	count := 0
	write := func(typ uint16, d []byte) {
		wire = append(wire, 0, 0)
		wire = binary.BigEndian.AppendUint16(wire, typ)
		wire = binary.BigEndian.AppendUint16(wire, classINET)
		wire = binary.BigEndian.AppendUint32(wire, ttl)
		wire = binary.BigEndian.AppendUint16(wire, uint16(len(d)))
		wire = append(wire, d...)
		count++
	}
	if records {
		for _, d := range data {
			write(typ, d)
		}
	}
	for _, s := range sigs {
		write(dns.TypeRRSIG, s)
	}
	c.putMade(section, h.at, wire, count)
}

// putMade copies records without pointers in their data, whose owner stands at
// an offset of the message.
func (c *compose) putMade(section, ownerAt int, wire []byte, count int) {
	if c.n+len(wire) > c.limit {
		c.full = true
	}
	if c.full {
		return
	}
	o := c.n
	c.n += copy(c.b[o:], wire)
	for o < c.n {
		binary.BigEndian.PutUint16(c.b[o:], 0xc000|uint16(ownerAt))
		o += 12 + int(binary.BigEndian.Uint16(c.b[o+10:]))
	}
	c.counts[section] += count
}

// fail gives up on the answer: the zone's keys have not arrived.
func (c *compose) fail() {
	c.rcode, c.failed, c.aa = dns.RcodeServerFailure, true, false
}
