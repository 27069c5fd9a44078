package dns

import (
	"encoding/binary"
	"net"
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
		return s.badSignature(c, k, b, n, q, code)
	}
	if code == dns.RcodeBadTime {
		k.refused.Add(1)
		c.rcode = dns.RcodeNotAuth
		c.clear(q.end)
		c.header(1, false)
		return len(signed.sign(b[:c.n]))
	}
	binary.BigEndian.PutUint16(b[10:], binary.BigEndian.Uint16(b[10:])-1)
	k.queries.Add(^uint64(0)) // it is counted again
	own := &compose{second: c.second, signed: signed, reserve: signed.key.size(), stream: c.stream}
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
		return z, s.refuse(c, opt, errorProhibited)
	}
	if z.current.Load().expired {
		return z, s.expired(c, k, opt)
	}
	t := s.zones.openTransfer(z, c.signed, from, q)
	switch {
	case t == nil:
		return z, s.refuse(c, opt, errorProhibited)
	case c.stream == nil:
		// RFC 1995 section 2: the SOA alone says that it takes TCP, or that there is
		// nothing new.
		c.do = false
		c.resolve(z.current.Load(), dns.TypeSOA)
		return z, kindError
	}
	c.aa = true
	t.signed, t.end = c.signed, q.end
	c.stream.transfer = t
	k.transfers.Add(1)
	return z, kindError
}

// transferring is one transfer under way: a version that does not change while
// it is sent.
type transferring struct {
	signed  *signature
	end     int      // of the question
	records [][]byte // whole, or a part that next adds to
	next    func() [][]byte
}

// openTransfer takes the version that is served down, or what changed since the
// client's; nil when the client may not have it.
func (z *Zones) openTransfer(served *zone, signed *signature, from netip.Addr, q *query) *transferring {
	z.mu.Lock()
	defer z.mu.Unlock()
	s := z.zones[served.id]
	if s == nil || s.model == nil || s.model.head.Transfer == nil || s.torn || s.model.head.Denial == edgeconfig.DenialCompact {
		return nil
	}
	m := s.model
	if !signed.by(m.head.Transfer.Keys) || !allowed(m.head.Transfer.Allow, from) {
		return nil
	}
	soa := soaRecords(m.apex, &m.head)
	if q.qtype == dns.TypeIXFR && q.hasSerial {
		if int32(m.head.SOA.Serial-q.serial) <= 0 {
			return &transferring{records: soa[:1]}
		}
		if changes := m.history.since(q.serial); changes != nil {
			t := &transferring{records: soa[:1]}
			for _, c := range changes {
				t.records = append(t.records, c.fromSOA[0])
				t.records = append(append(t.records, c.fromSOA[1:]...), c.removed...)
				t.records = append(t.records, c.toSOA[0])
				t.records = append(append(t.records, c.toSOA[1:]...), c.come...)
			}
			t.records = append(t.records, soa[0])
			return t
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
	t, done := &transferring{records: soa}, false
	t.next = func() (out [][]byte) {
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
	return t
}

func allowed(ranges []string, from netip.Addr) bool {
	return len(ranges) == 0 || slices.ContainsFunc(ranges, func(r string) bool {
		p, err := netip.ParsePrefix(r)
		return err == nil && p.Contains(from)
	})
}

// How long a message of a transfer is, how long a client may take for one, how
// many transfers there are at once and how long another waits.
const (
	maxTransfers    = 16
	transferWait    = 30 * time.Second
	transferMessage = 16 << 10
	transferWrite   = 30 * time.Second
)

// send writes a transfer whose first message begins as head: header and
// question.
func (t *transferring) send(conn net.Conn, head []byte) error {
	end := len(head)
	message := append(make([]byte, 0, transferMessage+(64<<10)), head...)
	clear(message[6:headerSize]) // of what the query was answered with
	answers := 0
	flush := func() error {
		binary.BigEndian.PutUint16(message[6:], uint16(answers))
		signed := t.signed.sign(message)
		if err := conn.SetWriteDeadline(time.Now().Add(transferWrite)); err != nil {
			return err
		}
		frame := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(signed)), uint16(len(signed)))
		_, err := conn.Write(append(frame, signed...))
		message, answers = message[:end], 0
		clear(message[6:headerSize])
		return err
	}
	for records := t.records; len(records) > 0; {
		for _, r := range records {
			if answers > 0 && len(message)+len(r) > transferMessage {
				if err := flush(); err != nil {
					return err
				}
			}
			message = append(message, r...)
			answers++
		}
		records = nil
		if t.next != nil {
			records = t.next()
		}
	}
	return flush()
}
