package dns

import (
	"encoding/binary"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/dnswire"
)

const headerSize = dnswire.HeaderSize

// Bits of the header's two flag bytes.
const (
	bitQR = 0x80 // byte 2
	bitAA = 0x04
	bitTC = 0x02
	bitRD = 0x01
	bitCD = 0x10 // byte 3
)

// verdict is what parsing says of a message.
type verdict int

const (
	ask       verdict = iota // a question for our zones
	silence                  // no answer: too short, or an answer itself
	malformed                // FORMERR
	unknown                  // an opcode we do not do: NOTIMP, header only (RFC 8906 section 3.1.4)
	cookies                  // no question, but a cookie: RFC 7873 section 5.4
)

// query is one parsed message.
type query struct {
	qtype, qclass uint16
	end           int // behind the question
	edns          edns
	tsig          int // offset of a TSIG record, 0: none
	serial        uint32
	hasSerial     bool // of the SOA in the authority section: the version a client of IXFR has
}

// parse reads a message into q and its question's name into n. After a verdict
// of malformed, q.end is headerSize unless the question could be read.
func (q *query) parse(b []byte, n *name) verdict {
	*q = query{}
	if len(b) < headerSize || b[2]&bitQR != 0 {
		return silence
	}
	q.end = headerSize
	if b[2]&0x78 != 0 {
		return unknown
	}
	questions := binary.BigEndian.Uint16(b[4:])
	records := [3]int{int(binary.BigEndian.Uint16(b[6:])), int(binary.BigEndian.Uint16(b[8:])), int(binary.BigEndian.Uint16(b[10:]))}
	o := headerSize
	switch questions {
	case 0:
	case 1:
		if o = n.parse(b, headerSize); o == 0 || o+4 > len(b) {
			return malformed
		}
		q.qtype, q.qclass = binary.BigEndian.Uint16(b[o:]), binary.BigEndian.Uint16(b[o+2:])
		o += 4
		q.end = o
	default:
		return malformed // RFC 9619
	}
	for section, count := range records {
		for ; count > 0; count-- {
			if o = q.record(b, o, section == additional, count == 1); o == 0 {
				return malformed
			}
		}
	}
	if o != len(b) {
		return malformed
	}
	if questions == 0 {
		if q.edns.present && q.edns.cookie > 0 {
			return cookies
		}
		return malformed
	}
	return ask
}

// record reads one record behind the question and returns the offset behind it,
// 0 when it is malformed.
func (q *query) record(b []byte, o int, extra, last bool) int {
	begin := o
	if o = dnswire.SkipName(b, o); o == 0 || o+10 > len(b) {
		return 0
	}
	typ := binary.BigEndian.Uint16(b[o:])
	data := o + 10
	end := data + int(binary.BigEndian.Uint16(b[o+8:]))
	if end > len(b) {
		return 0
	}
	switch typ {
	case dns.TypeOPT:
		// One, anywhere in the additional section, owned by the root (RFC 6891 section 6.1.1).
		if !extra || q.edns.present || o != begin+1 || !q.edns.parse(b[o:data], b[data:end]) {
			return 0
		}
	case dns.TypeSOA:
		// RFC 1995 section 3
		if names := dnswire.SkipName(b, data); !extra && q.qtype == dns.TypeIXFR && names != 0 {
			if names = dnswire.SkipName(b, names); names != 0 && names+20 == end {
				q.serial, q.hasSerial = binary.BigEndian.Uint32(b[names:]), true
			}
		}
	case dns.TypeTSIG:
		if !extra || !last {
			return 0 // RFC 8945 section 5.1
		}
		q.tsig = begin
	}
	return end
}
