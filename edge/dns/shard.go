package dns

import "encoding/binary"

// record is one stored answer inside a shard's blob:
//
//	0  length of the owner name           8  answer RRs
//	1  flags                             10  authority RRs
//	2  type                              12  additional RRs
//	4  length of the wire part           14  end of answer and authority in the wire part
//	6  variants: index into the shard    16  owner name, lower case; wire part
//
// The wire part is what follows a question for the owner name.
type record []byte

const recordHeader = 16

// Flags of records.
const (
	flagDO       = 1 << iota // with signatures
	flagNoData               // the name exists, the type does not
	flagReferral             // the name is delegated; AA is not set
	flagAlias                // a CNAME, given for another type: go on at its target
	flagVariants             // the wire part depends on the client
	flagCut                  // belongs to a delegated name, and is not for those who ask
	flagSecure               // of a referral: it has DS records
	flagRedirect             // the name has a DNAME: names below lead elsewhere
)

func (r record) key() []byte    { return r[recordHeader : recordHeader+int(r[0])] }
func (r record) flags() byte    { return r[1] }
func (r record) typ() uint16    { return binary.LittleEndian.Uint16(r[2:]) }
func (r record) size() int      { return int(binary.LittleEndian.Uint16(r[4:])) }
func (r record) variants() int  { return int(binary.LittleEndian.Uint16(r[6:])) }
func (r record) answers() int   { return int(binary.LittleEndian.Uint16(r[8:])) }
func (r record) authority() int { return int(binary.LittleEndian.Uint16(r[10:])) }
func (r record) extra() int     { return int(binary.LittleEndian.Uint16(r[12:])) }
func (r record) split() int     { return int(binary.LittleEndian.Uint16(r[14:])) }
func (r record) length() int    { return recordHeader + int(r[0]) + r.size() }
func (r record) wire() []byte {
	begin := recordHeader + int(r[0])
	return r[begin : begin+r.size()]
}

// newRecord makes a record that stands alone.
func newRecord(owner string, typ uint16, flags byte, w *packer) record {
	r := make(record, recordHeader, recordHeader+len(owner)+len(w.b))
	r[0], r[1] = byte(len(owner)), flags
	binary.LittleEndian.PutUint16(r[2:], typ)
	binary.LittleEndian.PutUint16(r[4:], uint16(len(w.b)))
	binary.LittleEndian.PutUint16(r[8:], uint16(w.counts[0]))
	binary.LittleEndian.PutUint16(r[10:], uint16(w.counts[1]))
	binary.LittleEndian.PutUint16(r[12:], uint16(w.counts[2]))
	split := len(w.b)
	if w.counts[2] > 0 {
		split = w.split
	}
	binary.LittleEndian.PutUint16(r[14:], uint16(split))
	r = append(r, owner...)
	return append(r, w.b...)
}

// shard holds the answers of some dozens of names, immutable: an open-addressed
// table and the records it leads to, in one run of bytes, because they are
// fetched one after the other from memory that no cache has. The zero value is
// empty.
type shard struct {
	blob     []byte // slots, 8 bytes each: offset of the record, 0 for none, and 32 bits of its hash; then records
	mask     uint32 // slots, less one: a power of two
	variants [][]variant
}

// find returns the answer, nil when there is none. h is hashType of the name.
func (s *shard) find(h uint64, owner []byte, typ uint16, do bool) record {
	if len(s.blob) == 0 {
		return nil
	}
	tag := uint32(h >> 32)
	for i := tag & s.mask; ; i = (i + 1) & s.mask {
		slot := binary.LittleEndian.Uint64(s.blob[8*i:])
		if slot == 0 {
			return nil
		}
		if uint32(slot>>32) != tag {
			continue
		}
		r := record(s.blob[uint32(slot):])
		if r.typ() == typ && (r.flags()&flagDO != 0) == do && string(r.key()) == string(owner) {
			return r
		}
	}
}

// each calls f with every record.
func (s *shard) each(f func(record)) {
	if len(s.blob) == 0 {
		return
	}
	for off := 8 * (int(s.mask) + 1); off < len(s.blob); {
		r := record(s.blob[off:])
		r = r[:r.length()]
		f(r)
		off += len(r)
	}
}

// compiled is a record with its variants.
type compiled struct {
	record   record
	variants []variant
}

// rebuild returns the shard without the names of gone and with the records of
// add.
func (s *shard) rebuild(seed uint64, gone map[string]bool, add []compiled) shard {
	var all []compiled
	size := 0
	s.each(func(r record) {
		if !gone[string(r.key())] {
			c := compiled{record: r}
			if r.flags()&flagVariants != 0 {
				c.variants = s.variants[r.variants()]
			}
			all = append(all, c)
			size += len(r)
		}
	})
	for _, c := range add {
		all = append(all, c)
		size += len(c.record)
	}
	if len(all) == 0 {
		return shard{}
	}
	slots := 8
	for slots < len(all)*2 {
		slots *= 2
	}
	next := shard{blob: make([]byte, 8*slots, 8*slots+size), mask: uint32(slots - 1)}
	for _, c := range all {
		off := len(next.blob)
		next.blob = append(next.blob, c.record...)
		r := record(next.blob[off:])
		if c.variants != nil {
			binary.LittleEndian.PutUint16(r[6:], uint16(len(next.variants)))
			next.variants = append(next.variants, c.variants)
		}
		tag := uint32(hashType(hash(seed, r.key()), r.typ(), r.flags()&flagDO != 0) >> 32)
		i := tag & next.mask
		for binary.LittleEndian.Uint64(next.blob[8*i:]) != 0 {
			i = (i + 1) & next.mask
		}
		binary.LittleEndian.PutUint64(next.blob[8*i:], uint64(tag)<<32|uint64(off))
	}
	return next
}
