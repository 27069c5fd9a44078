package dns

import (
	"bytes"
	"encoding/binary"
	"net/netip"

	"github.com/miekg/dns"
)

// maxChain bounds how many CNAMEs are followed within a zone.
const maxChain = 8

// hop is one name on the way to an answer: the question's, then targets of CNAMEs.
type hop struct {
	name
	at       int // where the name stands in the message
	wildcard int // labels that the closest encloser lacks, when a wildcard answered; else 0
	redirect int // length of the name above it whose DNAME led on, 0: none did
	dname    int // where that record stands in the message
}

// compose writes answers. A worker has one of its own: everything a query needs
// is in it, so that none allocates.
type compose struct {
	b      []byte // the message; room for limit bytes
	n      int    // its length so far
	limit  int
	second uint32 // Unix time, as the door read it for this message or batch
	full   bool   // something did not fit

	counts [3]int
	rcode  int
	aa     bool
	target int // where the CNAME that a DNAME made leads, in the message

	do    bool // and the zone is signed
	hops  [maxChain + 1]hop
	count int // hops
	wild  name
	key   []byte
	owner []byte
	given [8]string // NSEC and NSEC3 records in the message
	gave  int

	variant bool // the answer depends on where the client is
	asked   bool // located is set
	located Place
	checks  Checks
	locator Locator
	client  netip.Addr

	signer *Signer // of the zone; nil: none
	online *online
	tcp    bool
	co     bool // the client knows NXNAME with NXDOMAIN (RFC 9824 section 5.1)
	absent bool // the name does not exist, whatever the response code says
	failed bool

	signed  *signature // the query is; never in a worker's own compose
	reserve int        // bytes its TSIG record takes
	stream  *stream    // where a transfer is left to, nil over UDP
	private bool       // nobody on the way sees more than how long answers are
}

// put copies wire[from:to] of a record behind what there is. p says where its
// whole wire part would begin.
func (c *compose) put(r record, p placement, from, to int) {
	wire := r.wire()[from:to]
	if c.n+len(wire) > c.limit {
		c.full = true
	}
	if c.full {
		return
	}
	o := c.n
	c.n += copy(c.b[o:c.limit], wire)
	if p.ownerAt != headerSize || p.ownerLen != int(r[0]) || o != p.at+from || p.at != headerSize+int(r[0])+4 {
		relocate(c.b, r, p, o, len(wire))
	}
}

// all copies a record's answer and authority.
func (c *compose) all(r record, ownerAt, ownerLen int) placement {
	p := placement{ownerAt, ownerLen, c.n}
	c.put(r, p, 0, r.split())
	c.counts[answer] += r.answers()
	c.counts[authority] += r.authority()
	return p
}

// resolve answers hops[0] from x (RFC 1034 section 4.3.2, RFC 4035 section 3.1).
func (c *compose) resolve(x *index, qtype uint16) {
	c.aa = true
	c.hops[0].at = headerSize
	for c.count = 1; !c.full; {
		h := &c.hops[c.count-1]
		h.wildcard, h.redirect = 0, 0
		r := c.find(x, h.bytes(), qtype)
		if r == nil {
			var found bool
			if r, found = c.above(x, h, qtype); !found {
				// Who asks for the CNAME has it.
				if c.target > 0 && !c.full && qtype != dns.TypeCNAME && c.follow(x, c.target) {
					continue
				}
				break
			}
		}
		switch flags := r.flags(); {
		case flags&flagReferral != 0:
			c.referral(x, r, h, 0)
		case flags&flagNoData != 0:
			c.noData(x, h)
		default:
			at := c.n
			if c.do && h.wildcard > 0 && x.compact() {
				if !c.expandCompactly(x, h, qtype, r) {
					break
				}
			} else {
				if flags&flagVariants != 0 {
					r = c.choose(x, r)
				}
				c.all(r, h.at, h.n)
			}
			if flags&flagAlias != 0 && !c.full && c.follow(x, at+12) {
				continue
			}
		}
		break
	}
	if c.do && !c.full {
		c.expansions(x)
	}
}

// find returns what a name answers for a type; nil when it does not exist.
func (c *compose) find(x *index, owner []byte, qtype uint16) record {
	h := hash(x.seed, owner)
	if r := x.find(h, owner, qtype, c.do); r != nil && r.flags()&flagCut == 0 {
		return r
	}
	return x.find(h, owner, typeOther, c.do)
}

// above answers for a name that does not exist: by a delegation or a DNAME above
// it, a wildcard, or not at all. It returns what a wildcard gives; c.target is
// set by a DNAME.
func (c *compose) above(x *index, h *hop, qtype uint16) (r record, found bool) {
	c.target = 0
	for i := 1; ; i++ {
		s := h.suffix(i)
		up := x.find(hash(x.seed, s), s, typeOther, c.do)
		if up == nil {
			continue // the apex ends this at the latest
		}
		if up.flags()&flagReferral != 0 {
			c.referral(x, up, h, i)
			return nil, false
		}
		if up.flags()&flagRedirect != 0 {
			c.redirect(x, h, i)
			return nil, false
		}
		h.wildcard = i
		do := c.do
		c.do = do && !x.compact() // what the wildcard gives is signed for the name
		r = c.find(x, c.asterisk(s), qtype)
		if c.do = do; r != nil {
			return r, true
		}
		c.rcode = dns.RcodeNameError
		c.denyName(x, h)
		return nil, false
	}
}

// redirect answers for h by the DNAME of the name that is h without its first
// skip labels: the record, and the CNAME that it means for h (RFC 6672 section
// 3.1), which is not signed. c.target is where that leads, 0 when it is too long
// for a name.
func (c *compose) redirect(x *index, h *hop, skip int) {
	owner := h.suffix(skip)
	at := c.redirected(owner)
	if at == 0 {
		r := x.find(hash(x.seed, owner), owner, dns.TypeDNAME, c.do)
		if r == nil {
			return
		}
		at = c.n
		c.all(r, locate(c.b, h.at, h.n-len(owner)), len(owner))
		if c.full {
			return
		}
	}
	h.redirect, h.dname = len(owner), at
	// The record begins with a pointer to its owner; what it leads to is not
	// compressed.
	ttl, target := c.b[at+6:at+10], at+12
	labels := h.n - len(owner)
	if labels+int(binary.BigEndian.Uint16(c.b[at+10:])) > maxName {
		c.rcode = dns.RcodeYXDomain
		return
	}
	if c.n+12+labels+2 > c.limit {
		c.full = true
		return
	}
	b := c.b[c.n:]
	binary.BigEndian.PutUint16(b, 0xc000|uint16(h.at))
	binary.BigEndian.PutUint16(b[2:], dns.TypeCNAME)
	binary.BigEndian.PutUint16(b[4:], dns.ClassINET)
	copy(b[6:10], ttl)
	binary.BigEndian.PutUint16(b[10:], uint16(labels+2))
	c.target = c.n + 12
	for to, from := 12, h.at; to < 12+labels; to += int(b[to]) + 1 { // as the client wrote them
		from = locate(c.b, from, 0)
		from += copy(b[to:], c.b[from:from+int(c.b[from])+1])
	}
	binary.BigEndian.PutUint16(b[12+labels:], 0xc000|uint16(target))
	c.n += 12 + labels + 2
	c.counts[answer]++
}

// asterisk is the wildcard below a name, in a buffer of c's.
func (c *compose) asterisk(encloser []byte) []byte {
	w := &c.wild
	w.wire[0], w.wire[1] = 1, '*'
	n := copy(w.wire[2:], encloser)
	w.n = 2 + n
	return w.bytes()
}

// redirected is where the DNAME of a name stands in the message, 0 when it has
// led no hop on yet.
func (c *compose) redirected(owner []byte) int {
	for i := range c.count {
		if h := &c.hops[i]; h.redirect == len(owner) && bytes.Equal(h.wire[h.n-h.redirect:h.n], owner) {
			return h.dname
		}
	}
	return 0
}

// follow goes on at the CNAME target that stands at off. It reports false when
// the chain leaves the zone, turns back or is too long.
func (c *compose) follow(x *index, off int) bool {
	if c.count > maxChain {
		return false
	}
	next := &c.hops[c.count]
	if !next.expand(c.b, off) || !bytes.HasSuffix(next.bytes(), x.apex) || !next.below(x.apex) {
		return false
	}
	for i := range c.count {
		if bytes.Equal(c.hops[i].bytes(), next.bytes()) {
			return false
		}
	}
	next.at = off
	c.count++
	return true
}

// below reports whether apex, a suffix by bytes, is one by labels.
func (n *name) below(apex []byte) bool {
	off := n.n - len(apex)
	if off == n.n-1 {
		return true
	}
	for _, l := range n.labels[:n.count] {
		if int(l) == off {
			return true
		}
	}
	return false
}

// referral sends the client to the name servers of the name that is h without
// its first skip labels.
func (c *compose) referral(x *index, r record, h *hop, skip int) {
	owner := h.suffix(skip)
	at := locate(c.b, h.at, h.n-len(owner))
	if c.count == 1 {
		c.aa = false
	}
	p := c.all(r, at, len(owner))
	if c.do && r.flags()&flagSecure == 0 {
		c.deny(x, owner)
	}
	if r.extra() > 0 {
		c.put(r, p, r.split(), r.size())
		c.counts[additional] += r.extra()
	}
}

// choose picks the variant of a record for the client.
func (c *compose) choose(x *index, r record) record {
	c.variant = true
	if c.locator != nil && !c.asked {
		c.located, c.asked = c.locator.Locate(c.client), true
	}
	s := x.shard(hash(x.seed, r.key()))
	if v := choose(s.variants[r.variants()], &c.located, c.checks); v != nil {
		return v.record
	}
	return r
}

// header writes the first twelve bytes: what the query said of ID, opcode, RD
// and CD is kept (RFC 4035 section 3), everything else is ours.
func (c *compose) header(questions int, tc bool) {
	b := c.b
	b[2] = b[2]&(0x78|bitRD) | bitQR
	if c.aa {
		b[2] |= bitAA
	}
	if tc {
		b[2] |= bitTC
	}
	b[3] = b[3]&bitCD | byte(c.rcode&15)
	binary.BigEndian.PutUint16(b[4:], uint16(questions))
	for i, n := range c.counts {
		binary.BigEndian.PutUint16(b[6+2*i:], uint16(n))
	}
}
