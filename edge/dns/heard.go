package dns

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/time/rate"

	"github.com/edgewright/edgewright/dnswire"
	"github.com/edgewright/edgewright/edgeconfig"
)

// heard passes on what primaries say of new versions of their zones (RFC 1996).
// Nothing is lost by losing a notice: the control plane looks by itself when the
// zone's refresh timer ends.
type heard struct {
	out   chan edgeconfig.Notice
	limit *rate.Limiter
	now   func() time.Time

	mu   sync.Mutex
	last map[string]heardLast // by zone ID; bounded by the limit and by forget
}

type heardLast struct {
	edgeconfig.Notice
	at time.Time
}

// Bounds of notices: of all zones at a time, and how long the same word of one
// zone is not passed on again (a primary tells each of our addresses).
const (
	noticeRate   = 50
	noticeBurst  = 200
	noticeRepeat = time.Second
)

func newHeard(now func() time.Time) *heard {
	return &heard{out: make(chan edgeconfig.Notice, noticeBurst), limit: rate.NewLimiter(noticeRate, noticeBurst), now: now, last: map[string]heardLast{}}
}

// pass never waits.
func (h *heard) pass(n edgeconfig.Notice) {
	now := h.now()
	h.mu.Lock()
	last, there := h.last[n.Zone]
	repeated := there && last.Notice == n && now.Sub(last.at) < noticeRepeat
	if !repeated {
		if len(h.last) > 4*noticeBurst {
			clear(h.last)
		}
		h.last[n.Zone] = heardLast{n, now}
	}
	h.mu.Unlock()
	if repeated || !h.limit.AllowN(now, 1) {
		return
	}
	select {
	case h.out <- n:
	default:
	}
}

// Notices are what primaries of secondary zones say of new versions, for the
// control plane, which takes zones over. Who says so is one of the zone's
// primaries by address, or has signed with one of its keys.
func (s *Server) Notices() <-chan edgeconfig.Notice { return s.responder.heard.out }

// hear answers the NOTIFY message b[:n] in place.
func (s *responder) hear(c *compose, k *counters, b []byte, n int, from netip.Addr, tcp bool) int {
	// It reads as the question that it is, but for its opcode.
	flags := b[2]
	b[2] &^= 0x78
	var q query
	v := q.parse(b[:n], &c.hops[0].name)
	b[2] = flags
	c.n = q.end
	if v != ask || q.qtype != dns.TypeSOA || q.qclass != dns.ClassINET {
		k.formerr.Add(1)
		return s.bare(c, k, dns.RcodeFormatError, q.end, from, tcp)
	}
	name := &c.hops[0].name
	z := s.zones.table.Load().find(name, 0)
	if z == nil || z.labels != name.count {
		k.refused.Add(1)
		return s.bare(c, k, dns.RcodeNotAuth, q.end, from, tcp)
	}
	x := z.current.Load()
	may := slices.Contains(x.primaries, from.Unmap())
	var signed *signature
	if q.tsig != 0 {
		t, _, ok := dnswire.ReadTSIG(b[:n], q.tsig, false)
		if !ok {
			k.formerr.Add(1)
			return s.bare(c, k, dns.RcodeFormatError, q.end, from, tcp)
		}
		var code uint16
		if signed, code = s.zones.checkTSIG(b[:n], q.tsig, &t, uint64(s.now().Unix())); signed == nil {
			return s.badSignature(c, k, b, n, &q, code)
		}
		if code == dns.RcodeBadTime {
			k.refused.Add(1)
			c.rcode = dns.RcodeNotAuth
			c.header(1, false)
			return len(signed.sign(b[:c.n]))
		}
		may = may || signed.by(x.noticeKeys)
	}
	if !may {
		k.refused.Add(1)
		return s.bare(c, k, dns.RcodeRefused, q.end, from, tcp)
	}
	notice := edgeconfig.Notice{Zone: z.id}
	notice.Serial, notice.Known = noticedSerial(b[:n], q.end)
	k.heard.Add(1)
	s.heard.pass(notice)
	c.aa = true
	if q.edns.present {
		opt := reply{size: s.udpSize, ask: &q.edns, keepalive: -1, ede: -1, padding: -1}
		c.n += opt.write(b[c.n:])
		c.counts[additional]++
	}
	c.header(1, false)
	if signed != nil {
		return len(signed.sign(b[:c.n]))
	}
	return c.n
}

// noticedSerial reads the version that a notice may tell, as its first answer
// (RFC 1996 section 3.7). The message has been parsed.
func noticedSerial(b []byte, o int) (serial uint32, ok bool) {
	if binary.BigEndian.Uint16(b[6:]) == 0 {
		return 0, false
	}
	if o = dnswire.SkipName(b, o); o == 0 || o+10 > len(b) || binary.BigEndian.Uint16(b[o:]) != dns.TypeSOA {
		return 0, false
	}
	data := o + 10
	end := data + int(binary.BigEndian.Uint16(b[o+8:]))
	if o = dnswire.SkipName(b, data); o == 0 {
		return 0, false
	}
	if o = dnswire.SkipName(b, o); o == 0 || o+20 != end || end > len(b) {
		return 0, false
	}
	return binary.BigEndian.Uint32(b[o:]), true
}
