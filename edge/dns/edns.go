package dns

import (
	"encoding/binary"
	"net/netip"
)

// Options of EDNS(0), and extended errors, by number.
const (
	optionNSID      = 3  // RFC 5001
	optionSubnet    = 8  // RFC 7871
	optionCookie    = 10 // RFC 7873
	optionKeepalive = 11 // RFC 7828
	optionPadding   = 12 // RFC 7830
	optionError     = 15 // RFC 8914

	errorProhibited       = 18
	errorNotAuthoritative = 20
	errorNotSupported     = 21
	errorInvalidData      = 24
	errorInvalidType      = 30 // RFC 9824
)

// edns is what a query's OPT record says.
type edns struct {
	present   bool
	do        bool
	co        bool // compact answers OK (RFC 9824 section 5.1)
	nsid      bool
	keepalive bool
	padding   bool
	version   uint8
	size      int
	cookie    int // length of the cookie option's data, 0: none
	client    [8]byte
	server    [32]byte // the server's part, cookie-8 bytes
	subnet    bool
	family    uint16
	bits      int // of the source prefix
	prefix    [16]byte
}

// parse reads an OPT record: the ten bytes from its type on, and its options.
// It reports whether they are well-formed; options it does not know are left
// aside (RFC 6891 section 6.1.2).
func (e *edns) parse(head, options []byte) bool {
	e.present = true
	e.size = int(binary.BigEndian.Uint16(head[2:]))
	e.version = head[5]
	e.do = head[6]&0x80 != 0
	e.co = head[6]&0x40 != 0
	for len(options) > 0 {
		if len(options) < 4 {
			return false
		}
		code, n := binary.BigEndian.Uint16(options), int(binary.BigEndian.Uint16(options[2:]))
		if 4+n > len(options) {
			return false
		}
		if e.version == 0 && !e.option(code, options[4:4+n]) {
			return false
		}
		options = options[4+n:]
	}
	return true
}

func (e *edns) option(code uint16, data []byte) bool {
	switch code {
	case optionNSID:
		e.nsid = true
	case optionKeepalive:
		e.keepalive = true
	case optionPadding:
		e.padding = true
	case optionCookie:
		if e.cookie > 0 {
			return true // the first counts
		}
		if len(data) != 8 && (len(data) < 16 || len(data) > 40) {
			return false // RFC 7873 section 5.2.2
		}
		e.cookie = len(data)
		copy(e.client[:], data)
		copy(e.server[:], data[8:])
	case optionSubnet:
		return e.clientSubnet(data)
	}
	return true
}

// clientSubnet reads RFC 7871 section 6: what does not hold is a format error.
func (e *edns) clientSubnet(data []byte) bool {
	if len(data) < 4 || e.subnet {
		return len(data) >= 4
	}
	e.family, e.bits = binary.BigEndian.Uint16(data), int(data[2])
	address, longest := data[4:], 0
	switch e.family {
	case 1:
		longest = 32
	case 2:
		longest = 128
	default:
		return true // an address we cannot know: as if it had not been sent
	}
	if data[3] != 0 || e.bits > longest || len(address) != (e.bits+7)/8 {
		return false
	}
	if r := e.bits % 8; r != 0 && address[len(address)-1]<<r != 0 {
		return false
	}
	e.subnet = true
	copy(e.prefix[:], address)
	return true
}

// address is the client subnet's address, its host bits zero.
func (e *edns) address() netip.Addr {
	if e.family == 1 {
		return netip.AddrFrom4([4]byte(e.prefix[:4]))
	}
	return netip.AddrFrom16(e.prefix)
}

// reply is the OPT record of an answer.
type reply struct {
	size      int // our UDP size
	do        bool
	co        bool // the zone answers compactly, and the client knows
	rcode     int  // whole, of which the upper eight bits go here
	cookie    bool
	client    [8]byte
	server    [16]byte
	nsid      string
	subnet    bool
	scope     int
	ask       *edns
	keepalive int // units of 100 ms, -1: none
	ede       int // -1: none
	padding   int // -1: none
}

// length is what write will write.
func (r *reply) length() int {
	n := 11
	if r.cookie {
		n += 4 + 24
	}
	if r.nsid != "" {
		n += 4 + len(r.nsid)
	}
	if r.subnet {
		n += 8 + (r.ask.bits+7)/8
	}
	if r.keepalive >= 0 {
		n += 6
	}
	if r.ede >= 0 {
		n += 6
	}
	if r.padding >= 0 {
		n += 4 + r.padding
	}
	return n
}

// paddingBlock is what the length of a padded answer is a multiple of (RFC 8467
// section 4.1).
const paddingBlock = 468

// pad has the record fill a message of n bytes up, within room.
func (r *reply) pad(n, room int) {
	r.padding = 0
	if n += r.length(); n > room {
		r.padding = -1
		return
	}
	r.padding = min((n+paddingBlock-1)/paddingBlock*paddingBlock, room) - n
}

// write writes the record to b, which has room, and returns its length.
func (r *reply) write(b []byte) int {
	b[0] = 0
	binary.BigEndian.PutUint16(b[1:], 41)
	binary.BigEndian.PutUint16(b[3:], uint16(r.size))
	b[5], b[6], b[7], b[8] = byte(r.rcode>>4), 0, 0, 0 // version 0: unknown flags are cleared (RFC 6891 section 6.1.4)
	if r.do {
		b[7] = 0x80
	}
	if r.co {
		b[7] |= 0x40
	}
	o := 11
	option := func(code, n int) {
		binary.BigEndian.PutUint16(b[o:], uint16(code))
		binary.BigEndian.PutUint16(b[o+2:], uint16(n))
		o += 4
	}
	if r.cookie {
		option(optionCookie, 24)
		o += copy(b[o:], r.client[:])
		o += copy(b[o:], r.server[:])
	}
	if r.nsid != "" {
		option(optionNSID, len(r.nsid))
		o += copy(b[o:], r.nsid)
	}
	if r.subnet {
		n := (r.ask.bits + 7) / 8
		option(optionSubnet, 4+n)
		binary.BigEndian.PutUint16(b[o:], r.ask.family)
		b[o+2], b[o+3] = byte(r.ask.bits), byte(r.scope)
		o += 4
		o += copy(b[o:], r.ask.prefix[:n])
	}
	if r.keepalive >= 0 {
		option(optionKeepalive, 2)
		binary.BigEndian.PutUint16(b[o:], uint16(r.keepalive))
		o += 2
	}
	if r.ede >= 0 {
		option(optionError, 2)
		binary.BigEndian.PutUint16(b[o:], uint16(r.ede))
		o += 2
	}
	if r.padding >= 0 {
		option(optionPadding, r.padding)
		clear(b[o : o+r.padding])
		o += r.padding
	}
	binary.BigEndian.PutUint16(b[9:], uint16(o-11))
	return o
}
