package dns

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/edgeconfig"
)

// history is what changed between the last versions of a zone that secondaries
// have, so that they can be sent that alone (IXFR, RFC 1995). It is gone with
// the process: a secondary then gets the whole zone.
type history struct {
	changes []*difference // oldest first; each begins where the one before ended
	size    int
}

// Bounds of a history.
const (
	maxChanges     = 64
	maxChangeBytes = 1 << 20
)

// difference is the records that went and came from one version to the next, in
// wire form, the SOA's own left aside.
type difference struct {
	from, to      uint32
	fromSOA       [][]byte // the SOA and its signatures
	toSOA         [][]byte
	removed, come [][]byte
	size          int
}

// names notes what becomes of a name's sets.
func (d *difference) names(owner string, old, now []edgeconfig.RRset) {
	d.note(setRecords(nil, owner, old), setRecords(nil, owner, now))
}

func (d *difference) note(old, now [][]byte) {
	among := func(list [][]byte, r []byte) bool {
		return slices.ContainsFunc(list, func(o []byte) bool { return bytes.Equal(o, r) })
	}
	for _, r := range old {
		if !among(now, r) {
			d.removed = append(d.removed, r)
			d.size += len(r)
		}
	}
	for _, r := range now {
		if !among(old, r) {
			d.come = append(d.come, r)
			d.size += len(r)
		}
	}
}

// remember notes the difference that has been made, where there is one that a
// secondary can follow.
func (z *model) remember(d *delta, before *edgeconfig.Zone) {
	switch {
	case !d.keep || before.Denial != z.head.Denial:
		z.history = history{}
		return
	case before.SOA.Serial == z.head.SOA.Serial:
		if d.log.size > 0 {
			z.history = history{}
		}
		return
	}
	d.log.from, d.log.to = before.SOA.Serial, z.head.SOA.Serial
	d.log.fromSOA, d.log.toSOA = soaRecords(z.apex, before), soaRecords(z.apex, &z.head)
	h := &z.history
	h.changes = append(h.changes, &d.log)
	h.size += d.log.size
	for len(h.changes) > maxChanges || len(h.changes) > 0 && h.size > maxChangeBytes {
		h.size -= h.changes[0].size
		h.changes = h.changes[1:]
	}
}

// since returns the differences from a version on; nil when they do not reach
// back to it.
func (h *history) since(serial uint32) []*difference {
	for i := len(h.changes) - 1; i >= 0; i-- {
		if h.changes[i].from == serial {
			return slices.Clone(h.changes[i:])
		}
	}
	return nil
}

// wireRecord is a record with its owner's name whole.
func wireRecord(owner string, typ uint16, ttl uint32, data []byte) []byte {
	r := make([]byte, 0, len(owner)+10+len(data))
	r = append(r, owner...)
	r = binary.BigEndian.AppendUint16(r, typ)
	r = binary.BigEndian.AppendUint16(r, dns.ClassINET)
	r = binary.BigEndian.AppendUint32(r, ttl)
	r = binary.BigEndian.AppendUint16(r, uint16(len(data)))
	return append(r, data...)
}

// setRecords appends the records of a name's sets, with their signatures. A set
// with variants is given as those get it whom none matches.
func setRecords(out [][]byte, owner string, sets []edgeconfig.RRset) [][]byte {
	for i := range sets {
		s := &sets[i]
		for _, data := range s.Data {
			out = append(out, wireRecord(owner, s.Type, s.TTL, data))
		}
		for _, sig := range s.Sigs {
			out = append(out, wireRecord(owner, dns.TypeRRSIG, s.TTL, sig))
		}
	}
	return out
}

// soaRecords are the SOA and its signatures.
func soaRecords(apex string, head *edgeconfig.Zone) [][]byte {
	data, _ := head.SOA.Pack() // validated
	out := [][]byte{wireRecord(apex, dns.TypeSOA, head.SOA.TTL, data)}
	for _, sig := range head.SOASigs {
		out = append(out, wireRecord(apex, dns.TypeRRSIG, head.SOA.TTL, sig))
	}
	return out
}

// records are those of an NSEC3 hash, for a zone.
func (n *nsec3) records(apex string) (out [][]byte) {
	owner, wire := n.label+apex, n.wire
	for range n.count {
		size := 10 + int(binary.BigEndian.Uint16([]byte(wire[10:12])))
		out = append(out, append([]byte(owner), wire[2:2+size]...))
		wire = wire[2+size:]
	}
	return out
}

// hashed notes what becomes of NSEC3 records.
func (d *difference) hashed(apex string, old sorted[nsec3], gone map[string]bool, come []nsec3) {
	records := map[string][2][][]byte{}
	for h := range gone {
		if n, ok := old.get(h); ok {
			records[h] = [2][][]byte{n.records(apex)}
		}
	}
	for i := range come {
		r := records[come[i].hash]
		if r[0] == nil {
			if n, ok := old.get(come[i].hash); ok {
				r[0] = n.records(apex)
			}
		}
		r[1] = come[i].records(apex)
		records[come[i].hash] = r
	}
	for _, r := range records {
		d.note(r[0], r[1])
	}
}
