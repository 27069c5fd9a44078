package dns

import (
	"encoding/binary"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/dnswire"
)

// responder turns messages into answers, for all doors of a server. It is
// immutable but for its counters; each worker brings a compose of its own.
type responder struct {
	zones   *Zones
	cookies *cookieJar
	limiter *limiter
	locator Locator
	checks  Checks
	nsid    string
	udpSize int
	now     func() time.Time
	idle    time.Duration // of TCP connections, for RFC 7828
	heard   *heard
}

// counters are one worker's; a server sums them up.
type counters struct {
	worker                                           int // whose they are, in a zone's tallies
	queries, answers, referrals, nodata, nxdomain    atomic.Uint64
	refused, formerr, notimp, badvers, servfail      atomic.Uint64
	dropped, truncated, limited, slipped, cookies    atomic.Uint64
	tcpQueries, tcpConnections, tcpRefused, failures atomic.Uint64
	transfers, heard                                 atomic.Uint64
	_                                                [64]byte // no other worker's line
}

const maxTCP = 65535

// answer answers the message b[:n] in place and returns the length of the
// answer, 0 for none. b has room for at least the largest answer: the server's
// UDP size, or 65535 for TCP.
func (s *responder) answer(c *compose, k *counters, b []byte, n int, from netip.Addr, tcp bool) int {
	var q query
	c.begin(s, b, from)
	c.tcp = tcp
	v := q.parse(b[:n], &c.hops[0].name)
	if v == silence {
		k.dropped.Add(1)
		return 0
	}
	k.queries.Add(1)
	c.n = q.end
	switch v {
	case unknown:
		if b[2]&0x78 == dns.OpcodeNotify<<3 {
			return s.hear(c, k, b, n, from, tcp)
		}
		k.notimp.Add(1)
		c.rcode = dns.RcodeNotImplemented
		c.n = headerSize
		c.header(0, false)
		return headerSize
	case malformed:
		k.formerr.Add(1)
		return s.bare(c, k, dns.RcodeFormatError, q.end, from, tcp)
	}

	c.limit = min(512, len(b))
	if tcp {
		c.limit = min(maxTCP, len(b))
	} else if q.edns.present {
		c.limit = min(max(512, q.edns.size), s.udpSize, len(b))
	}
	trusted := tcp
	opt := reply{size: s.udpSize, ask: &q.edns, keepalive: -1, ede: -1, padding: -1, do: q.edns.do}
	if q.edns.present {
		trusted = s.options(&q.edns, &opt, from, c.second, tcp) || trusted
		if q.edns.cookie > 0 {
			k.cookies.Add(1)
		}
		// A subnet that tells nothing (RFC 7871 section 7.1.2), or that is no one's on
		// the Internet, leaves the resolver's own address.
		if a := q.edns.address(); opt.subnet && q.edns.bits > 0 && a.IsGlobalUnicast() && !a.IsPrivate() {
			c.client = a
		}
	}
	c.limit -= c.reserve
	trusted = trusted || c.signed != nil
	room := c.limit
	if q.edns.present {
		c.limit -= opt.length() + 6 // an extended error may come
	}

	var z *zone
	kind := uint64(0) // of the answer, for the limit
	switch {
	case v == cookies:
	case q.edns.version != 0:
		c.rcode = dns.RcodeBadVers
		k.badvers.Add(1)
	case q.tsig != 0:
		return s.signedQuery(c, k, b, n, &q, from, tcp)
	default:
		z, kind = s.ask(c, k, &q, &opt, from)
	}
	if c.full && tcp {
		// Sets are bounded so that any one fits; a chain of large ones may not.
		c.rcode = dns.RcodeServerFailure
		k.servfail.Add(1)
	}
	became := c.outcome()
	if c.full {
		c.clear(q.end)
	}
	tc := c.full && !tcp
	if !trusted {
		switch s.limiter.account(s.zones.seed, from, kind, c.second) {
		case truncate:
			k.slipped.Add(1)
			c.clear(q.end)
			tc, became = true, limited
		case drop:
			k.limited.Add(1)
			z.count(k, limited)
			return 0
		}
	}
	if tc {
		k.truncated.Add(1)
	}
	s.count(c, k, z, became)
	z.count(k, became)
	if q.edns.present {
		opt.rcode = c.rcode
		if opt.subnet && c.variant {
			opt.scope = min(c.located.Bits, q.edns.bits)
		}
		if q.edns.padding && c.private {
			opt.pad(c.n, room)
		}
		if c.n+opt.length() <= room {
			c.n += opt.write(b[c.n:])
			c.counts[additional]++
		}
	}
	questions := 1
	if v == cookies {
		questions = 0
	}
	c.header(questions, tc)
	return c.n
}

// begin readies c for another message.
func (c *compose) begin(s *responder, b []byte, from netip.Addr) {
	c.b, c.n, c.full, c.rcode, c.aa, c.do = b, 0, false, 0, false, false
	c.counts, c.count, c.gave, c.variant = [3]int{}, 0, 0, false
	c.asked, c.absent, c.failed = false, false, false
	c.located, c.checks, c.locator, c.client = Place{}, s.checks, s.locator, from
}

// clear empties the message but for its question.
func (c *compose) clear(end int) {
	c.n, c.counts = end, [3]int{}
}

// options fills the OPT record of the answer. It reports whether the client
// showed a cookie of ours.
func (s *responder) options(e *edns, opt *reply, from netip.Addr, now uint32, tcp bool) (known bool) {
	if e.version != 0 {
		opt.do = false
		return false
	}
	if e.cookie > 0 {
		known = e.cookie == 24 && s.cookies.valid(e.client, e.server[:16], from, now)
		opt.cookie, opt.client, opt.server = true, e.client, s.cookies.server(e.client, from, now)
	}
	if e.nsid {
		opt.nsid = s.nsid
	}
	// Without a locator the subnet changes nothing, and is not echoed.
	opt.subnet = e.subnet && s.locator != nil
	if e.keepalive && tcp {
		opt.keepalive = int(min(s.idle/(100*time.Millisecond), 65535))
	}
	return known
}

// ask answers a question for our zones.
func (s *responder) ask(c *compose, k *counters, q *query, opt *reply, from netip.Addr) (*zone, uint64) {
	n := &c.hops[0].name
	switch {
	case q.qtype == 0 || q.qtype == dns.TypeOPT:
		c.rcode = dns.RcodeFormatError
		return nil, kindError
	case q.qclass != dns.ClassINET:
		// CHAOS and its questions about the software are not answered.
		return nil, s.refuse(c, opt, errorNotSupported)
	case q.qtype == dns.TypeAXFR || q.qtype == dns.TypeIXFR:
		return s.transfer(c, k, q, opt, from)
	case q.qtype == dns.TypeNXNAME: // RFC 9824 section 3.5
		c.rcode, opt.ede = dns.RcodeFormatError, errorInvalidType
		return nil, kindError
	case q.qtype >= 128 && q.qtype < 255:
		// TKEY, TSIG, MAILA, MAILB: questions we do not do
		c.rcode = dns.RcodeNotImplemented
		return nil, kindError
	}
	t := s.zones.table.Load()
	z := t.find(n, 0)
	if z != nil && q.qtype == dns.TypeDS && z.labels == n.count && n.count > 0 {
		// DS at an apex is the parent's, if that is ours (RFC 4035 section 3.1.4.1).
		if up := t.find(n, 1); up != nil {
			z = up
		}
	}
	if z == nil {
		return nil, s.refuse(c, opt, errorNotAuthoritative)
	}
	x := z.current.Load()
	if x.expired {
		return z, s.expired(c, k, opt)
	}
	c.do = q.edns.do && x.signed()
	if c.do && x.compact() {
		c.signer, c.online, c.co = z.signer.Load(), &s.zones.online, q.edns.co
		opt.co = q.edns.co
	}
	c.resolve(x, q.qtype)
	if c.failed {
		k.servfail.Add(1)
		c.clear(q.end)
		return z, kindError
	}
	if c.rcode == dns.RcodeNameError || c.absent {
		return z, z.hash ^ kindName // a flood of random names is one kind
	}
	return z, hash(t.seed, n.bytes()) ^ uint64(q.qtype)
}

// Kinds of answers that no name tells apart.
const (
	kindError = 1
	kindName  = 2
)

// expired answers for a secondary zone whose copy is too old (RFC 1035 section
// 3.3.13): not at all is better than something that may be wrong.
func (s *responder) expired(c *compose, k *counters, opt *reply) uint64 {
	k.servfail.Add(1)
	c.rcode, opt.ede = dns.RcodeServerFailure, errorInvalidData
	return kindError
}

func (s *responder) refuse(c *compose, opt *reply, ede int) uint64 {
	c.rcode, opt.ede = dns.RcodeRefused, ede
	return kindError
}

// bare answers with a code and the question as far as it could be read. An OPT
// record is left out: where the message is malformed, none was understood (RFC
// 6891 section 7).
func (s *responder) bare(c *compose, k *counters, rcode, end int, from netip.Addr, tcp bool) int {
	c.rcode, c.n = rcode, end
	if !tcp && s.limiter.account(s.zones.seed, from, kindError, c.second) == drop {
		k.limited.Add(1)
		return 0
	}
	questions := 0
	if end > headerSize {
		questions = 1
	}
	c.header(questions, false)
	return c.n
}

// badSignature answers a query signed with a key we do not have, or not with
// that key (RFC 8945 section 5.2): NOTAUTH, BADKEY or BADSIG, unsigned.
func (s *responder) badSignature(c *compose, k *counters, b []byte, n int, q *query, code uint16) int {
	c.rcode = dns.RcodeNotAuth
	k.refused.Add(1)
	// Names of key and algorithm are kept as they are; compressed ones would have
	// lost their targets.
	keyEnd := dnswire.SkipPlainName(b[:n], q.tsig)
	algorithmEnd := 0
	if keyEnd > 0 {
		algorithmEnd = dnswire.SkipPlainName(b[:n], keyEnd+10)
	}
	if algorithmEnd == 0 || algorithmEnd+10 > n {
		c.rcode = dns.RcodeFormatError
		c.clear(q.end)
		c.header(1, false)
		return c.n
	}
	size := int(binary.BigEndian.Uint16(b[algorithmEnd+8:]))
	if algorithmEnd+10+size+6 > n {
		c.rcode = dns.RcodeFormatError
		c.clear(q.end)
		c.header(1, false)
		return c.n
	}
	c.n = q.end + copy(b[q.end:], b[q.tsig:algorithmEnd+8]) // to time signed and fudge
	tail := [8]byte{6: 0, 7: 0}
	copy(tail[2:], b[:2]) // original ID
	binary.BigEndian.PutUint16(tail[4:], code)
	c.n += copy(b[c.n:], tail[:]) // MAC size 0, ID, error, other length 0
	keyLen := keyEnd - q.tsig
	head := q.end + keyLen
	binary.BigEndian.PutUint16(b[head+8:], uint16(c.n-head-10))
	c.counts[additional] = 1
	c.header(1, false)
	return c.n
}
