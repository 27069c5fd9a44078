package dns

import (
	"encoding/binary"
	"strings"

	"github.com/miekg/dns"
)

// packer writes resource records as they follow a question for an owner name.
type packer struct {
	owner  string // lower case
	at     int    // message offset of b[0]
	b      []byte
	counts [3]int // answer, authority, additional
	split  int
	names  map[string]int // lower-case name -> message offset
}

// Sections of packer.counts.
const (
	answer = iota
	authority
	additional
)

func newPacker(owner string) *packer {
	return &packer{owner: owner, at: headerSize + len(owner) + 4}
}

// find is where a name of the message stands: in the question or behind it. A
// wildcard is never pointed at whole, because its place is taken by the name
// that it stands for.
func (p *packer) find(n string, isOwner bool) int {
	if strings.HasSuffix(p.owner, n) && (isOwner || n != p.owner || !wildcard(n)) {
		if off := len(p.owner) - len(n); labelBoundary(p.owner, off) {
			return headerSize + off
		}
	}
	if off, ok := p.names[n]; ok {
		return off
	}
	return 0
}

func wildcard(n string) bool { return len(n) > 1 && n[0] == 1 && n[1] == '*' }

func labelBoundary(n string, off int) bool {
	for i := 0; i <= off; i += int(n[i]) + 1 {
		if i == off {
			return true
		}
		if n[i] == 0 {
			return false
		}
	}
	return false
}

// name writes a name, compressed. Its case is kept where it is not.
func (p *packer) name(wire []byte, isOwner bool) {
	low := lowerString(wire)
	for wire[0] != 0 {
		if off := p.find(low, isOwner); off != 0 {
			p.b = binary.BigEndian.AppendUint16(p.b, 0xc000|uint16(off))
			return
		}
		off := p.at + len(p.b)
		n := int(wire[0]) + 1
		p.b = append(p.b, wire[:n]...)
		if off < 0x4000 {
			if p.names == nil {
				p.names = map[string]int{}
			}
			p.names[low] = off
		}
		wire, low, isOwner = wire[n:], low[n:], false
	}
	p.b = append(p.b, 0)
}

func lowerString(wire []byte) string {
	low := make([]byte, len(wire))
	lowerInto(low, wire)
	return string(low)
}

// set writes the records of a set, and its signatures when asked to.
func (p *packer) set(section int, owner string, typ uint16, ttl uint32, data, sigs [][]byte, do bool) {
	for _, d := range data {
		p.record(section, owner, typ, ttl, d)
	}
	if do {
		p.sigs(section, owner, ttl, sigs)
	}
}

func (p *packer) sigs(section int, owner string, ttl uint32, sigs [][]byte) {
	for _, d := range sigs {
		p.record(section, owner, dns.TypeRRSIG, ttl, d)
	}
}

func (p *packer) record(section int, owner string, typ uint16, ttl uint32, data []byte) {
	if section == additional && p.counts[additional] == 0 {
		p.split = len(p.b)
	}
	p.counts[section]++
	p.name([]byte(owner), true)
	p.b = binary.BigEndian.AppendUint16(p.b, typ)
	p.b = binary.BigEndian.AppendUint16(p.b, dns.ClassINET)
	p.b = binary.BigEndian.AppendUint32(p.b, ttl)
	at := len(p.b)
	p.b = append(p.b, 0, 0)
	// Only these types' names may be compressed (RFC 3597 section 4).
	switch typ {
	case dns.TypeNS, dns.TypeCNAME, dns.TypePTR:
		p.name(data, false)
	case dns.TypeMX:
		p.b = append(p.b, data[:2]...)
		p.name(data[2:], false)
	case dns.TypeSOA:
		n := wireLength(data)
		p.name(data[:n], false)
		m := wireLength(data[n:])
		p.name(data[n:n+m], false)
		p.b = append(p.b, data[n+m:]...)
	default:
		p.b = append(p.b, data...)
	}
	binary.BigEndian.PutUint16(p.b[at:], uint16(len(p.b)-at-2))
}

// wireLength is the length of the valid, uncompressed name that b begins with.
func wireLength(b []byte) int {
	i := 0
	for b[i] != 0 {
		i += int(b[i]) + 1
	}
	return i + 1
}

// placement says where a stored answer goes in a message.
type placement struct {
	ownerAt  int // where the owner name stands in the message
	ownerLen int // its length when written out
	at       int // where the wire part begins
}

// relocate moves the pointers of n bytes of r's wire part that were copied to
// m[o:]. What they point at must be in place.
func relocate(m []byte, r record, p placement, o, n int) {
	end := o + n
	klen := int(r[0])
	for o < end {
		o = p.skip(m, o, klen)
		typ := binary.BigEndian.Uint16(m[o:])
		next := o + 10 + int(binary.BigEndian.Uint16(m[o+8:]))
		switch o += 10; typ {
		case dns.TypeNS, dns.TypeCNAME, dns.TypePTR:
			p.skip(m, o, klen)
		case dns.TypeMX:
			p.skip(m, o+2, klen)
		case dns.TypeSOA:
			p.skip(m, p.skip(m, o, klen), klen)
		}
		o = next
	}
}

// skip moves the pointer of the name at o and returns the offset behind it.
func (p placement) skip(m []byte, o, klen int) int {
	for {
		l := int(m[o])
		if l == 0 {
			return o + 1
		}
		if l >= 0xc0 {
			off := int(binary.BigEndian.Uint16(m[o:]) & 0x3fff)
			switch end := headerSize + klen; {
			case off == headerSize:
				off = locate(m, p.ownerAt, 0)
			case off < end:
				off = locate(m, p.ownerAt, p.ownerLen-(end-off))
			default:
				off += p.at - (end + 4)
			}
			binary.BigEndian.PutUint16(m[o:], 0xc000|uint16(off))
			return o + 2
		}
		o += l + 1
	}
}

// locate is where the name at o goes on after its first n bytes.
func locate(m []byte, o, n int) int {
	for {
		for m[o] >= 0xc0 {
			o = int(binary.BigEndian.Uint16(m[o:]) & 0x3fff)
		}
		if n <= 0 {
			return o
		}
		n -= int(m[o]) + 1
		o += int(m[o]) + 1
	}
}
