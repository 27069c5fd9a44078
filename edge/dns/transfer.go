package dns

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/dnswire"
	"github.com/edgewright/edgewright/edgeconfig"
)

// signedQuery answers a query with a TSIG record: what it would be answered
// without one, signed, or a transfer.
func (s *responder) signedQuery(c *compose, k *counters, b []byte, n int, q *query, from netip.Addr, tcp bool) int {
	t, _, ok := dnswire.ReadTSIG(b[:n], q.tsig, false)
	if !ok {
		k.formerr.Add(1)
		c.clear(q.end)
		return s.bare(c, k, dns.RcodeFormatError, q.end, from, tcp)
	}
	signed, code := s.zones.checkTSIG(b[:n], q.tsig, &t, uint64(s.now().Unix()))
	if signed == nil {
		outcome := edgeconfig.FetchUnknownKey
		if code == dns.RcodeBadSig {
			outcome = edgeconfig.FetchBadSignature
		}
		s.misled(c, q, t.Name, from, outcome)
		return s.badSignature(c, k, b, n, q, code)
	}
	if code == dns.RcodeBadTime {
		s.misled(c, q, t.Name, from, edgeconfig.FetchBadTime)
		k.refused.Add(1)
		c.rcode = dns.RcodeNotAuth
		c.clear(q.end)
		c.header(1, false)
		return len(signed.sign(b[:c.n]))
	}
	binary.BigEndian.PutUint16(b[10:], binary.BigEndian.Uint16(b[10:])-1)
	k.queries.Add(^uint64(0)) // it is counted again
	own := &compose{second: c.second, signed: signed, reserve: signed.key.size(), stream: c.stream, private: c.private}
	n = s.answer(own, k, b, q.tsig, from, tcp)
	if n == 0 || own.stream != nil && own.stream.transfer != nil {
		return n
	}
	return len(signed.sign(b[:n]))
}

// transfer is the answer to AXFR and IXFR. Over TCP it is left to the door, which
// sends it message by message; what this returns is then the first message's
// header and question.
func (s *responder) transfer(c *compose, k *counters, q *query, opt *reply, from netip.Addr) (*zone, uint64) {
	n := &c.hops[0].name
	z := s.zones.table.Load().find(n, 0)
	switch {
	case z == nil || z.labels != n.count:
		return nil, s.refuse(c, opt, errorNotAuthoritative)
	case c.signed == nil || c.stream == nil && q.qtype == dns.TypeAXFR:
		s.wished(c, z.current.Load(), q, z.id, nil, from, edgeconfig.FetchUnsigned)
		return z, s.refuse(c, opt, errorProhibited)
	}
	x := z.current.Load()
	switch {
	case x.expired:
		s.wished(c, x, q, z.id, c.signed.key.name, from, edgeconfig.FetchExpired)
		return z, s.expired(c, k, opt)
	case !x.grant.to(c.signed, from):
		outcome := edgeconfig.FetchForeignKey
		if x.grant != nil && c.signed.by(x.grant.keys) {
			outcome = edgeconfig.FetchFromAfar
		}
		s.wished(c, x, q, z.id, c.signed.key.name, from, outcome)
		return z, s.refuse(c, opt, errorProhibited)
	case c.stream == nil || q.qtype == dns.TypeIXFR && q.hasSerial && !newer(x.serial, q.serial):
		// RFC 1995 section 2: the SOA alone says that it takes TCP, or that there is
		// nothing new.
		s.wished(c, x, q, z.id, c.signed.key.name, from, edgeconfig.FetchCurrent)
		c.do = false
		c.resolve(x, dns.TypeSOA)
		return z, kindError
	}
	c.aa = true
	c.stream.transfer = &transferring{
		zones: s.zones, id: z.id, project: x.grant.project, signed: c.signed, from: from, end: q.end, kind: fetchKind(q.qtype),
		differs: q.qtype == dns.TypeIXFR && q.hasSerial, since: q.serial,
	}
	k.transfers.Add(1)
	return z, kindError
}

// newer reports whether a serial follows another (RFC 1982).
func newer(serial, other uint32) bool { return int32(serial-other) > 0 }

// grant is who may have a zone. It is part of the index, so that asking takes no
// lock that a change holds.
type grant struct {
	project string   // whose zone it is
	keys    []string // IDs, of which one signs
	allow   []netip.Prefix
	open    bool // from anywhere
}

// newGrant is nil for a zone that nobody may have.
func newGrant(head *edgeconfig.Zone) *grant {
	if head.Transfer == nil || head.Denial == edgeconfig.DenialCompact {
		return nil
	}
	g := &grant{project: head.Project, keys: head.Transfer.Keys, open: len(head.Transfer.Allow) == 0}
	for _, r := range head.Transfer.Allow {
		if p, err := netip.ParsePrefix(r); err == nil {
			g.allow = append(g.allow, p)
		}
	}
	return g
}

// to reports whether who signs so and asks from there may have the zone.
func (g *grant) to(signed *signature, from netip.Addr) bool {
	return g != nil && signed.by(g.keys) && (g.open || slices.ContainsFunc(g.allow, func(p netip.Prefix) bool { return p.Contains(from) }))
}

// transferring is a transfer that is given, and not begun.
type transferring struct {
	zones   *Zones
	id      string // of the zone
	project string
	signed  *signature
	from    netip.Addr
	end     int // of the question
	kind    edgeconfig.FetchKind
	differs bool   // what changed is asked for, not the whole zone
	since   uint32 // since which version
}

// version is one of a zone, on its way to a secondary. It does not change while
// it is sent.
type version struct {
	serial  uint32
	records [][]byte // whole, or a part that next adds to
	next    func() [][]byte
	same    bool // the secondary has it already
}

// open takes the version that is served down, or what changed since the
// client's; nil when the client may not have it any more.
func (t *transferring) open() *version {
	t.zones.mu.Lock()
	defer t.zones.mu.Unlock()
	s := t.zones.zones[t.id]
	if s == nil || s.model == nil || !s.model.compiled.grant.to(t.signed, t.from) {
		return nil
	}
	m := s.model
	soa := soaRecords(m.apex, &m.head)
	if t.differs {
		if !newer(m.head.SOA.Serial, t.since) {
			return &version{serial: m.head.SOA.Serial, records: soa[:1], same: true}
		}
		if changes := m.history.since(t.since); changes != nil {
			return &version{serial: m.head.SOA.Serial, records: differences(soa[0], changes)}
		}
	}
	// The sets of a name are replaced, never changed: a list of them is a version.
	type entry struct {
		owner string
		sets  []edgeconfig.RRset
	}
	names := make([]entry, 0, len(m.names))
	for owner, n := range m.names {
		if n.sets != nil {
			names = append(names, entry{owner, n.sets})
		}
	}
	hashed, apex := m.compiled.nsec3, m.apex
	if m.head.Denial != edgeconfig.DenialNSEC3 {
		hashed.chunks = nil
	}
	v, done := &version{serial: m.head.SOA.Serial, records: soa}, false
	v.next = func() (out [][]byte) {
		for len(out) < 256 && len(names) > 0 {
			out = setRecords(out, names[0].owner, names[0].sets)
			names = names[1:]
		}
		if len(out) == 0 && len(hashed.chunks) > 0 {
			for i := range hashed.chunks[0] {
				out = append(out, hashed.chunks[0][i].records(apex)...)
			}
			hashed.chunks = hashed.chunks[1:]
		}
		if len(out) == 0 && !done {
			done = true
			out = append(out, soa[0])
		}
		return out
	}
	return v
}

// differences are the records that say what changed (RFC 1995 section 4).
func differences(soa []byte, changes []*difference) [][]byte {
	out := [][]byte{soa}
	for _, c := range changes {
		out = append(out, c.fromSOA[0])
		out = append(append(out, c.fromSOA[1:]...), c.removed...)
		out = append(out, c.toSOA[0])
		out = append(append(out, c.toSOA[1:]...), c.come...)
	}
	return append(out, soa)
}

// How long a message of a transfer is, and how long a client may take for one; for
// all of them, see pace.
const (
	transferMessage = 16 << 10
	transferWrite   = 30 * time.Second
)

// send writes a version, message by message, while write takes them. Each begins
// as head, header and question, and is signed as of now, because a transfer may
// take longer than a signature is good for. Nil is no version: SERVFAIL says so,
// and that it may be there later. It reports whether all was written.
func (v *version) send(signed *signature, now func() time.Time, head []byte, write func([]byte) bool) bool {
	end := len(head)
	message := append(make([]byte, 0, transferMessage+(64<<10)), head...)
	clear(message[6:headerSize]) // of what the query was answered with
	answers, frame := 0, []byte(nil)
	flush := func() bool {
		binary.BigEndian.PutUint16(message[6:], uint16(answers))
		signed.second = uint64(now().Unix())
		whole := signed.sign(message)
		frame = append(binary.BigEndian.AppendUint16(frame[:0], uint16(len(whole))), whole...)
		message, answers = message[:end], 0
		clear(message[6:headerSize])
		return write(frame)
	}
	if v == nil {
		message[2] &^= bitAA
		message[3] = message[3]&^15 | dns.RcodeServerFailure
		return flush()
	}
	for records := v.records; len(records) > 0; {
		for _, r := range records {
			if answers > 0 && len(message)+len(r) > transferMessage && !flush() {
				return false
			}
			message = append(message, r...)
			answers++
		}
		records = nil
		if v.next != nil {
			records = v.next()
		}
	}
	return flush()
}
