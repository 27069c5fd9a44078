package dnssec

import (
	"bytes"
	"encoding/binary"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// Policy says how a zone is signed. The zero value of each duration has a
// meaning.
type Policy struct {
	Denial   string        // edgeconfig.DenialNSEC or DenialNSEC3
	Lifetime time.Duration // of a signature; 0: 32 days
	Refresh  time.Duration // a signature with less than this left is made anew; 0: 16 days
	Jitter   time.Duration // by which lifetimes are shortened, each set by its own part, so that they do not end together; 0: 4 days
	KeyTTL   uint32        // of DNSKEY, CDS and CDNSKEY, seconds; 0: 3600
	Unsign   bool          // CDS and CDNSKEY ask the parent to remove its DS (RFC 8078 section 4)
}

func (p Policy) withDefaults() (Policy, error) {
	const day = 24 * time.Hour
	if p.Lifetime == 0 {
		p.Lifetime = 32 * day
	}
	if p.Refresh == 0 {
		p.Refresh = 16 * day
	}
	if p.Jitter == 0 {
		p.Jitter = 4 * day
	}
	if p.KeyTTL == 0 {
		p.KeyTTL = 3600
	}
	if p.Denial != edgeconfig.DenialNSEC && p.Denial != edgeconfig.DenialNSEC3 {
		return p, fault.New(fault.Invalid, "a signed zone denies existence with %s or %s, not with %q", edgeconfig.DenialNSEC, edgeconfig.DenialNSEC3, p.Denial)
	}
	if p.Refresh < 0 || p.Jitter < 0 || p.Lifetime-p.Jitter <= p.Refresh {
		return p, fault.New(fault.Invalid, "signatures that live %s, less up to %s, cannot be kept above %s: lengthen the lifetime", p.Lifetime, p.Jitter, p.Refresh)
	}
	return p, nil
}

// Signed is a signed version of a zone, in the form that documents are made of.
type Signed struct {
	Head  edgeconfig.Zone
	Names []edgeconfig.ZoneName
	NSEC3 []edgeconfig.ZoneNSEC3

	Made   int       // signatures made for this version
	Reused int       // and taken over
	Next   time.Time // when the first signature has Policy.Refresh left: sign again by then
}

// skew is how far back signatures begin to be valid, for validators whose clocks
// are behind.
const skew = time.Hour

// Sign signs a version of a zone. names are its records without signatures,
// denial records and keys, which are added here; they are left as they are.
// previous is the version before, nil when there is none: what is the same in
// it is taken over. The head's SOASigs and Denial are set.
//
// The error is fault.Invalid when policy or keys make no sense or a record
// cannot be read.
func Sign(previous *Signed, head edgeconfig.Zone, names []edgeconfig.ZoneName, keys []*Key, policy Policy, now time.Time) (*Signed, error) {
	policy, err := policy.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &signer{policy: policy, keys: keys, apex: head.Name + ".", now: now, out: &Signed{Head: head}, next: now.Add(policy.Lifetime)}
	if err := s.checkKeys(); err != nil {
		return nil, err
	}
	s.out.Head.Denial = policy.Denial
	s.remember(previous)
	s.negative = min(head.SOA.TTL, head.SOA.Minimum) // RFC 9077
	if s.zone, err = newView(s.apex, names); err != nil {
		return nil, err
	}
	if err := s.addKeys(); err != nil {
		return nil, err
	}
	if policy.Denial == edgeconfig.DenialNSEC {
		s.chainNSEC()
	}
	if err := s.signNames(); err != nil {
		return nil, err
	}
	if policy.Denial == edgeconfig.DenialNSEC3 {
		if err := s.chainNSEC3(); err != nil {
			return nil, err
		}
	}
	if err := s.signSOA(); err != nil {
		return nil, err
	}
	s.out.Next = s.next.Add(-policy.Refresh)
	return s.out, nil
}

type signer struct {
	policy   Policy
	keys     []*Key
	tags     []uint16 // of keys
	apex     string   // absolute
	now      time.Time
	negative uint32 // TTL of denials
	zone     *view
	old      map[setKey]oldSet
	out      *Signed
	next     time.Time // the earliest end of a signature
}

type setKey struct {
	owner string
	typ   uint16
}

// oldSet is a set of the version before; variants as edgeconfig has them.
type oldSet struct {
	ttl  uint32
	data [][][]byte // plain, then of each variant
	sigs [][][]byte
}

func (s *signer) checkKeys() error {
	var ofKeys, ofZone bool
	for _, k := range s.keys {
		s.tags = append(s.tags, k.DNSKEY(s.apex, 0).KeyTag())
		if k.Active && !k.Publish {
			return fault.New(fault.Invalid, "a key of zone %s signs but is not published: nobody could validate", s.apex)
		}
		ofKeys = ofKeys || k.signs(dns.TypeDNSKEY, true)
		ofZone = ofZone || k.signs(dns.TypeSOA, true)
	}
	if !ofKeys || !ofZone {
		return fault.New(fault.Invalid, "zone %s needs an active CSK, or a KSK and a ZSK", s.apex)
	}
	return nil
}

func (s *signer) remember(p *Signed) {
	s.old = map[setKey]oldSet{}
	if p == nil {
		return
	}
	if soa, err := p.Head.SOA.Pack(); err == nil {
		s.old[setKey{"@", dns.TypeSOA}] = oldSet{p.Head.SOA.TTL, [][][]byte{{soa}}, [][][]byte{p.Head.SOASigs}}
	}
	for _, n := range p.Names {
		for _, set := range n.Sets {
			o := oldSet{set.TTL, [][][]byte{set.Data}, [][][]byte{set.Sigs}}
			for _, v := range set.Variants {
				o.data, o.sigs = append(o.data, v.Data), append(o.sigs, v.Sigs)
			}
			s.old[setKey{n.Name, set.Type}] = o
		}
	}
	for _, n := range p.NSEC3 {
		s.old[setKey{string(n.Hash), dns.TypeNSEC3}] = oldSet{n.TTL, [][][]byte{{n.Data}}, [][][]byte{n.Sigs}}
	}
}

// addKeys puts the zone's keys, and what the parent shall know, at the apex.
func (s *signer) addKeys() error {
	var keys, cds, cdnskey [][]byte
	for _, k := range s.keys {
		r := k.DNSKEY(s.apex, s.policy.KeyTTL)
		if k.Publish {
			keys = append(keys, pack(r))
		}
		if k.Announce && k.Role != ZSK {
			cds = append(cds, pack(r.ToDS(dns.SHA256).ToCDS()))
			cdnskey = append(cdnskey, pack(r.ToCDNSKEY()))
		}
	}
	if s.policy.Unsign {
		cds, cdnskey = [][]byte{{0, 0, 0, 0, 0}}, [][]byte{{0, 0, 3, 0, 0}}
	}
	apex := s.zone.at("@")
	for _, add := range []struct {
		typ  uint16
		data [][]byte
	}{{dns.TypeDNSKEY, keys}, {dns.TypeCDS, cds}, {dns.TypeCDNSKEY, cdnskey}} {
		if apex.has(add.typ) {
			return fault.New(fault.Invalid, "zone %s has %s records of its own: they are made when the zone is signed", s.apex, dns.TypeToString[add.typ])
		}
		if len(add.data) > 0 {
			apex.sets = append(apex.sets, edgeconfig.RRset{Type: add.typ, TTL: s.policy.KeyTTL, Data: add.data})
		}
	}
	if s.policy.Denial == edgeconfig.DenialNSEC3 {
		apex.sets = append(apex.sets, edgeconfig.RRset{Type: dns.TypeNSEC3PARAM, TTL: 0, Data: [][]byte{{1, 0, 0, 0, 0}}})
	}
	return nil
}

// pack is a record's data in wire form.
func pack(rr dns.RR) []byte {
	b := make([]byte, 4096)
	c := dns.Copy(rr)
	c.Header().Name = "."
	n, err := dns.PackRR(c, b, 0, nil, false)
	if err != nil {
		return nil // records of our own making always pack
	}
	return slices.Clone(b[11:n])
}

func (s *signer) signNames() error {
	for _, n := range s.zone.names {
		for i := range n.sets {
			set := &n.sets[i]
			if n.occluded || n.cut && set.Type != dns.TypeDS && set.Type != dns.TypeNSEC {
				continue // the child's, and glue (RFC 4035 section 2.2)
			}
			if err := s.signSet(n, set); err != nil {
				return err
			}
		}
		if len(n.sets) > 0 {
			slices.SortFunc(n.sets, func(a, b edgeconfig.RRset) int { return int(a.Type) - int(b.Type) })
			s.out.Names = append(s.out.Names, edgeconfig.ZoneName{Name: n.relative, Sets: n.sets})
		}
	}
	return nil
}

func (s *signer) signSet(n *name, set *edgeconfig.RRset) (err error) {
	old := s.old[setKey{n.relative, set.Type}]
	if set.Sigs, err = s.sign(n.absolute, set.Type, set.TTL, set.Data, n.relative == "@", old); err != nil {
		return err
	}
	if len(set.Variants) > 0 {
		set.Variants = slices.Clone(set.Variants) // the caller's stay
	}
	for i := range set.Variants {
		v := &set.Variants[i]
		if v.Sigs, err = s.sign(n.absolute, set.Type, set.TTL, v.Data, n.relative == "@", old); err != nil {
			return err
		}
	}
	return nil
}

func (s *signer) signSOA() (err error) {
	soa, err := s.out.Head.SOA.Pack()
	if err != nil {
		return err
	}
	ttl := s.out.Head.SOA.TTL
	s.out.Head.SOASigs, err = s.sign(s.apex, dns.TypeSOA, ttl, [][]byte{soa}, true, s.old[setKey{"@", dns.TypeSOA}])
	return err
}

// sign returns a signature by each key that signs the set, those of the version
// before where the same records had one that lives long enough.
func (s *signer) sign(owner string, typ uint16, ttl uint32, data [][]byte, apex bool, old oldSet) (sigs [][]byte, err error) {
	var known [][]byte
	if old.ttl == ttl {
		for i := range old.data {
			if slices.EqualFunc(old.data[i], data, bytes.Equal) {
				known = old.sigs[i]
				break
			}
		}
	}
	var set []dns.RR
	for i, k := range s.keys {
		if !k.signs(typ, apex) {
			continue
		}
		if sig := s.reusable(known, k.Algorithm, s.tags[i]); sig != nil {
			sigs = append(sigs, sig)
			s.out.Reused++
			continue
		}
		if set == nil {
			if set, err = unpack(owner, typ, ttl, data); err != nil {
				return nil, err
			}
		}
		ends := s.now.Add(s.policy.Lifetime - s.jitter(owner, typ))
		sig := &dns.RRSIG{
			Hdr:       dns.RR_Header{Name: owner, Rrtype: dns.TypeRRSIG, Class: dns.ClassINET, Ttl: ttl},
			Algorithm: k.Algorithm, KeyTag: s.tags[i], SignerName: s.apex,
			Inception: uint32(s.now.Add(-skew).Unix()), Expiration: uint32(ends.Unix()),
		}
		if err := sig.Sign(k.Private, set); err != nil {
			return nil, fault.New(fault.Internal, "signing %s %s: %w", owner, dns.TypeToString[typ], err)
		}
		sigs = append(sigs, pack(sig))
		s.out.Made++
		s.note(ends)
	}
	return sigs, nil
}

func (s *signer) note(ends time.Time) {
	if ends.Before(s.next) {
		s.next = ends
	}
}

// reusable finds a signature by a key that has more than Refresh left.
func (s *signer) reusable(known [][]byte, algorithm uint8, tag uint16) []byte {
	for _, sig := range known {
		if len(sig) < 18 || sig[2] != algorithm || binary.BigEndian.Uint16(sig[16:]) != tag {
			continue
		}
		ends := time.Unix(int64(binary.BigEndian.Uint32(sig[8:])), 0)
		begins := time.Unix(int64(binary.BigEndian.Uint32(sig[12:])), 0)
		if ends.Sub(s.now) > s.policy.Refresh && !begins.After(s.now) {
			s.note(ends)
			return sig
		}
	}
	return nil
}

// jitter is a set's own part of Policy.Jitter. It moves with the day of signing,
// so that no set is always the last.
func (s *signer) jitter(owner string, typ uint16) time.Duration {
	h := fnv.New64a()
	_, _ = h.Write([]byte(strings.ToLower(owner)))
	_, _ = h.Write(binary.BigEndian.AppendUint64([]byte{byte(typ >> 8), byte(typ)}, uint64(s.now.Unix()/86400)))
	return time.Duration(h.Sum64() % uint64(s.policy.Jitter+1))
}

// unpack turns data into records that miekg/dns signs.
func unpack(owner string, typ uint16, ttl uint32, data [][]byte) ([]dns.RR, error) {
	out := make([]dns.RR, 0, len(data))
	for _, d := range data {
		if err := edgeconfig.CheckData(typ, d); err != nil {
			return nil, fault.New(fault.Invalid, "%s %s: %w", owner, dns.TypeToString[typ], err)
		}
		h := dns.RR_Header{Name: owner, Rrtype: typ, Class: dns.ClassINET, Ttl: ttl, Rdlength: uint16(len(d))}
		rr, _, err := dns.UnpackRRWithHeader(h, d, 0)
		if err != nil {
			return nil, fault.New(fault.Invalid, "%s %s: %w", owner, dns.TypeToString[typ], err)
		}
		out = append(out, rr)
	}
	return out, nil
}
