package transfer

import (
	"bytes"
	"cmp"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// Served is a zone as edges get it.
type Served struct {
	SOA     edgeconfig.SOA
	SOASigs [][]byte
	Denial  string // of the primary's signatures; edgeconfig.DenialNone: not signed
	Names   []edgeconfig.ZoneName
	NSEC3   []edgeconfig.ZoneNSEC3
	// SignedUntil is when the first of the primary's signatures ends; zero: not signed.
	SignedUntil time.Time
}

// Serve turns a zone into what edges get. With strip, what signing has made is
// left out, and data is brought into canonical form (RFC 4034 section 6.2): the
// zone is signed here. Otherwise the zone is as the primary has it: signed, when
// it is. The error is an *Error, NotServable.
func (c *Content) Serve(strip bool) (*Served, error) {
	b := &server{c: c, strip: strip, out: &Served{SOA: c.SOA}, names: map[string]map[uint16]*edgeconfig.RRset{}, sigs: map[string][]signature{}, hashed: map[string]*edgeconfig.ZoneNSEC3{}}
	b.signed = !strip && b.isSigned()
	for key, ttl := range c.records {
		if err := b.take(key, ttl); err != nil {
			return nil, err
		}
	}
	if err := b.finish(); err != nil {
		return nil, err
	}
	return b.out, nil
}

type server struct {
	c      *Content
	strip  bool
	signed bool
	out    *Served
	names  map[string]map[uint16]*edgeconfig.RRset // by owner in wire form
	sigs   map[string][]signature
	hashed map[string]*edgeconfig.ZoneNSEC3 // by owner in wire form
	optOut bool
	other  int // NSEC3 records of other parameters
}

type signature struct {
	covered uint16
	data    []byte
}

func unservable(fix, format string, args ...any) *Error {
	return failed(NotServable, fix, format, args...)
}

// isSigned tells whether the zone has keys and a signed SOA.
func (b *server) isSigned() bool {
	keys, soa := false, false
	for key := range b.c.records {
		owner, typ, data := split(key)
		if owner != string(b.c.wire) {
			continue
		}
		keys = keys || typ == dns.TypeDNSKEY
		soa = soa || typ == dns.TypeRRSIG && len(data) > 2 && binary.BigEndian.Uint16(data) == dns.TypeSOA
	}
	return keys && soa
}

var madeBySigning = []uint16{dns.TypeRRSIG, dns.TypeNSEC, dns.TypeNSEC3, dns.TypeNSEC3PARAM}

// keys of a zone that we sign are ours.
var keyTypes = []uint16{dns.TypeDNSKEY, dns.TypeCDS, dns.TypeCDNSKEY}

func (b *server) take(key string, ttl uint32) error {
	owner, typ, data := split(key)
	switch {
	case b.strip && slices.Contains(keyTypes, typ), !b.signed && slices.Contains(madeBySigning, typ):
		return nil
	case typ == dns.TypeRRSIG:
		if len(data) < 20 {
			return unservable("look at the signer of the primary", "a signature at %s is too short", text(owner))
		}
		until := time.Unix(int64(binary.BigEndian.Uint32(data[8:])), 0).UTC()
		if b.out.SignedUntil.IsZero() || until.Before(b.out.SignedUntil) {
			b.out.SignedUntil = until
		}
		b.sigs[owner] = append(b.sigs[owner], signature{binary.BigEndian.Uint16(data), data})
		return nil
	case typ == dns.TypeNSEC3:
		return b.takeNSEC3(owner, ttl, data)
	}
	if b.strip {
		var err error
		if data, err = canonical(typ, data); err != nil {
			return unservable("look at the record at the primary", "%s %s cannot be read: %v", text(owner), dns.TypeToString[typ], err)
		}
	}
	sets := b.names[owner]
	if sets == nil {
		sets = map[uint16]*edgeconfig.RRset{}
		b.names[owner] = sets
	}
	s := sets[typ]
	if s == nil {
		s = &edgeconfig.RRset{Type: typ, TTL: ttl}
		sets[typ] = s
	}
	s.TTL = min(s.TTL, ttl) // RFC 2181 section 5.2
	s.Data = append(s.Data, data)
	return nil
}

func (b *server) takeNSEC3(owner string, ttl uint32, data []byte) error {
	if len(data) < 5 || data[0] != 1 || data[2] != 0 || data[3] != 0 || data[4] != 0 {
		b.other++ // of another chain, which is on its way in or out
		return nil
	}
	b.optOut = b.optOut || data[1]&1 != 0
	label := owner[1 : 1+owner[0]]
	hash, err := base32.HexEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ToUpper(label))
	if err != nil || len(hash) != 20 {
		return unservable("look at the signer of the primary", "the NSEC3 record at %s has no SHA-1 hash as its name", text(owner))
	}
	b.hashed[owner] = &edgeconfig.ZoneNSEC3{Hash: hash, TTL: ttl, Data: data}
	return nil
}

// finish puts signatures beside what they cover and everything into order.
func (b *server) finish() error {
	if err := b.denial(); err != nil {
		return err
	}
	for owner, list := range b.sigs {
		for _, sig := range list {
			switch set := b.names[owner][sig.covered]; {
			case sig.covered == dns.TypeSOA && owner == string(b.c.wire):
				b.out.SOASigs = append(b.out.SOASigs, sig.data)
			case sig.covered == dns.TypeNSEC3 && b.hashed[owner] != nil:
				b.hashed[owner].Sigs = append(b.hashed[owner].Sigs, sig.data)
			case set != nil:
				set.Sigs = append(set.Sigs, sig.data)
			}
		}
	}
	sortBytes(b.out.SOASigs)
	for _, owner := range slices.Sorted(maps.Keys(b.names)) {
		name := edgeconfig.ZoneName{Name: b.relative(owner)}
		for _, typ := range slices.Sorted(maps.Keys(b.names[owner])) {
			s := b.names[owner][typ]
			sortBytes(s.Data)
			s.Data = slices.CompactFunc(s.Data, bytes.Equal)
			sortBytes(s.Sigs)
			name.Sets = append(name.Sets, *s)
		}
		b.out.Names = append(b.out.Names, name)
	}
	for _, n := range b.hashed {
		sortBytes(n.Sigs)
		b.out.NSEC3 = append(b.out.NSEC3, *n)
	}
	slices.SortFunc(b.out.NSEC3, func(x, y edgeconfig.ZoneNSEC3) int { return bytes.Compare(x.Hash, y.Hash) })
	return b.check()
}

// denial finds out how the primary proves absence, and whether edges can too.
func (b *server) denial() error {
	apex := b.names[string(b.c.wire)]
	switch {
	case !b.signed:
	case apex[dns.TypeNSEC] != nil:
		b.out.Denial = edgeconfig.DenialNSEC
		clear(b.hashed) // a chain that is on its way in or out
	case b.optOut:
		return unservable("sign without opt-out at the primary, or switch DNSSEC on for the zone here: it is then signed here instead",
			"the primary signs the zone with NSEC3 and opt-out, which edges do not answer")
	case len(b.hashed) > 0:
		b.out.Denial = edgeconfig.DenialNSEC3
	case b.other > 0:
		return unservable("sign with 0 iterations and no salt at the primary, as RFC 9276 asks for, or with NSEC; or switch DNSSEC on for the zone here: it is then signed here instead",
			"the primary signs the zone with NSEC3 with iterations or a salt, which edges do not answer")
	default:
		return unservable("let the primary sign the whole zone", "the zone has keys and signatures, and neither NSEC nor NSEC3 records at its apex")
	}
	return nil
}

// check holds the zone to what edges hold it to.
func (b *server) check() error {
	if b.names[string(b.c.wire)][dns.TypeNS] == nil {
		return unservable("add the zone's name servers at the primary", "the zone has no NS records at its apex")
	}
	if b.c.SOA.Serial == 0 && !b.strip {
		return unservable("raise the serial at the primary", "the zone has the serial 0, which stands for no version here")
	}
	head := edgeconfig.Zone{
		ID: "zone", Project: "project", Name: b.c.Apex, SOA: b.out.SOA, SOASigs: b.out.SOASigs, Denial: b.out.Denial, Parts: 1, Digests: make([]byte, edgeconfig.PartDigestBytes),
	}
	part := edgeconfig.ZonePart{Zone: "zone", Parts: 1, Names: b.out.Names, NSEC3: b.out.NSEC3}
	err := edgeconfig.ValidateZone(&head)
	if err == nil {
		err = edgeconfig.ValidateZonePart(&part)
	}
	var faults *fault.Error
	if err == nil {
		return nil
	}
	where, detail := "", err.Error()
	if errors.As(err, &faults) && len(faults.Fields) > 0 {
		detail = faults.Fields[0].Detail
		var i int
		if rest, ok := strings.CutPrefix(faults.Fields[0].Pointer, "/names/"); ok {
			for _, c := range rest {
				if c < '0' || c > '9' {
					break
				}
				i = i*10 + int(c-'0')
			}
			if i < len(b.out.Names) {
				where = b.out.Names[i].Name + ": "
			}
		}
	}
	return unservable("change the record at the primary", "%s%s", where, detail)
}

// relative is an owner as documents have it.
func (b *server) relative(owner string) string {
	if owner == string(b.c.wire) {
		return "@"
	}
	return text(owner[:len(owner)-len(b.c.wire)] + "\x00")
}

func text(wire string) string {
	name, err := edgeconfig.UnpackName([]byte(wire))
	if err != nil {
		return "?"
	}
	return name
}

func sortBytes(list [][]byte) { slices.SortFunc(list, bytes.Compare) }

// nameFields are the names in data that signatures cover in lower case.
var nameFields = map[uint16]func(dns.RR) []*string{
	dns.TypeNS:    func(r dns.RR) []*string { return []*string{&r.(*dns.NS).Ns} },
	dns.TypeCNAME: func(r dns.RR) []*string { return []*string{&r.(*dns.CNAME).Target} },
	dns.TypeDNAME: func(r dns.RR) []*string { return []*string{&r.(*dns.DNAME).Target} },
	dns.TypePTR:   func(r dns.RR) []*string { return []*string{&r.(*dns.PTR).Ptr} },
	dns.TypeMX:    func(r dns.RR) []*string { return []*string{&r.(*dns.MX).Mx} },
	dns.TypeSRV:   func(r dns.RR) []*string { return []*string{&r.(*dns.SRV).Target} },
	dns.TypeAFSDB: func(r dns.RR) []*string { return []*string{&r.(*dns.AFSDB).Hostname} },
	dns.TypeKX:    func(r dns.RR) []*string { return []*string{&r.(*dns.KX).Exchanger} },
	dns.TypeRT:    func(r dns.RR) []*string { return []*string{&r.(*dns.RT).Host} },
	dns.TypeNAPTR: func(r dns.RR) []*string { return []*string{&r.(*dns.NAPTR).Replacement} },
	dns.TypeRP:    func(r dns.RR) []*string { return []*string{&r.(*dns.RP).Mbox, &r.(*dns.RP).Txt} },
	dns.TypeMINFO: func(r dns.RR) []*string { return []*string{&r.(*dns.MINFO).Rmail, &r.(*dns.MINFO).Email} },
	dns.TypePX:    func(r dns.RR) []*string { return []*string{&r.(*dns.PX).Map822, &r.(*dns.PX).Mapx400} },
}

// canonical brings the names in data to lower case where signatures cover them
// so (RFC 4034 section 6.2, RFC 6840 section 5.1).
func canonical(typ uint16, data []byte) ([]byte, error) {
	fields := nameFields[typ]
	if fields == nil {
		return data, nil
	}
	h := dns.RR_Header{Name: ".", Rrtype: typ, Class: dns.ClassINET, Rdlength: uint16(len(data))}
	rr, _, err := dns.UnpackRRWithHeader(h, data, 0)
	if err != nil {
		return nil, err
	}
	for _, name := range fields(rr) {
		*name = dns.CanonicalName(*name)
	}
	buf := make([]byte, len(data)+64)
	n, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		return nil, err
	}
	return buf[11:n], nil
}

// Owners compares the names of two zones: those that have come, gone, or have
// other sets.
func Owners(before, after []edgeconfig.ZoneName) (changed map[string][]edgeconfig.RRset) {
	changed = map[string][]edgeconfig.RRset{}
	old := make(map[string][]edgeconfig.RRset, len(before))
	for _, n := range before {
		old[n.Name] = n.Sets
	}
	for _, n := range after {
		if sets, there := old[n.Name]; !there || !equalSets(sets, n.Sets) {
			changed[n.Name] = n.Sets
		}
		delete(old, n.Name)
	}
	for name := range old {
		changed[name] = nil
	}
	return changed
}

func equalSets(a, b []edgeconfig.RRset) bool {
	return slices.EqualFunc(a, b, func(x, y edgeconfig.RRset) bool {
		return cmp.Compare(x.Type, y.Type) == 0 && x.TTL == y.TTL && slices.EqualFunc(x.Data, y.Data, bytes.Equal)
	})
}
