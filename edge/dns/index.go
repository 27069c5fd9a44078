package dns

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/edgeconfig"
)

// index is one version of one zone, compiled and immutable.
type index struct {
	apex   []byte // lower case
	serial uint32
	denial string
	seed   uint64
	shards []shard // by low bits of the hash of the name
	// neg is the SOA as denials carry it, plain and with signatures: its TTL,
	// and so that of its signatures, is lowered to the minimum (RFC 2308
	// section 3, RFC 9077).
	neg [2]record
	// negative is that time to live, of denials made here (compact.go).
	negative uint32
	nsec     sorted[string] // sort keys of names with NSEC
	nsec3    sorted[nsec3]
	// Of a secondary zone: whose notices are heard, and whether its copy is too old.
	primaries  []netip.Addr
	noticeKeys []string
	expired    bool
	grant      *grant // who may have the zone; nil: nobody
}

// nsec3 is one NSEC3 record with its signatures, each behind a two-byte pointer
// for its owner.
type nsec3 struct {
	hash  string // 20 bytes
	label string // its base32hex form, lower case, as a label with its length
	wire  string
	count int
}

func (x *index) signed() bool { return x.denial != edgeconfig.DenialNone }

// find returns the answer of a name whose hash is h.
func (x *index) find(h uint64, owner []byte, typ uint16, do bool) record {
	return x.shard(h).find(hashType(h, typ, do), owner, typ, do)
}

// shard is where the answers of a name whose hash is h are.
func (x *index) shard(h uint64) *shard { return &x.shards[h&uint64(len(x.shards)-1)] }

// typeOther is the type of the record that answers for types that a name has
// not: NODATA, a CNAME or a referral.
const typeOther = 0

// namesPerShard is aimed at; a change rebuilds the shards of the names it
// concerns.
const namesPerShard = 32

func shardsFor(names int) int {
	n := 1
	for n*namesPerShard < names && n < 1<<16 {
		n *= 2
	}
	return n
}

// compileName makes every record of a name: none below a delegation, and only
// those the parent of one is asked for at it.
func (z *model) compileName(owner string, n *node) []compiled {
	if z.occluded(owner) {
		return nil
	}
	var out []compiled
	for do := range z.doForms() {
		c := compiler{z: z, owner: owner, do: do == 1}
		if owner != z.apex && n.set(dns.TypeNS) != nil {
			c.cut(n)
		} else {
			c.name(n)
		}
		out = append(out, c.out...)
	}
	return out
}

// doForms is 2 for a signed zone, whose answers differ with DO.
func (z *model) doForms() int {
	if z.head.Denial == edgeconfig.DenialNone {
		return 1
	}
	return 2
}

type compiler struct {
	z     *model
	owner string
	do    bool
	out   []compiled
}

func (c *compiler) flags(f byte) byte {
	if c.do {
		f |= flagDO
	}
	return f
}

func (c *compiler) emit(typ uint16, flags byte, fill func(*packer)) {
	c.out = append(c.out, compiled{record: c.record(typ, flags, fill)})
}

func (c *compiler) record(typ uint16, flags byte, fill func(*packer)) record {
	p := newPacker(c.owner)
	if fill != nil {
		fill(p)
	}
	return newRecord(c.owner, typ, c.flags(flags), p)
}

// set emits a set's answer under typ, with a form for each of its variants.
func (c *compiler) set(typ uint16, flags byte, s *edgeconfig.RRset) {
	write := func(data, sigs [][]byte) func(*packer) {
		return func(p *packer) { p.set(answer, c.owner, s.Type, s.TTL, data, sigs, c.do) }
	}
	plain := c.record(typ, flags, write(s.Data, s.Sigs))
	if len(s.Variants) == 0 {
		c.out = append(c.out, compiled{record: plain})
		return
	}
	// The record itself is what a client gets that no variant matches.
	plain[1] |= flagVariants
	variants := make([]variant, 0, len(s.Variants))
	for i := range s.Variants {
		v := &s.Variants[i]
		variants = append(variants, newVariant(v, c.record(typ, flags, write(v.Data, v.Sigs))))
	}
	slices.SortStableFunc(variants, func(a, b variant) int { return a.order - b.order })
	c.out = append(c.out, compiled{plain, variants})
}

// name emits the answers of an authoritative name. An empty non-terminal has
// only that of typeOther.
func (c *compiler) name(n *node) {
	var smallest, alias *edgeconfig.RRset
	sets := n.sets
	if c.owner == c.z.apex {
		soa := c.z.soaSet()
		sets = append(slices.Clone(sets), soa)
	}
	for i := range sets {
		s := &sets[i]
		c.set(s.Type, 0, s)
		if s.Type == dns.TypeCNAME {
			alias = s
		}
		if s.Type != dns.TypeNSEC && (smallest == nil || weight(s) < weight(smallest)) {
			smallest = s
		}
	}
	if smallest != nil {
		// RFC 8482 section 4.1: one of the sets answers ANY. RRSIG is as broad a question.
		c.emit(dns.TypeANY, 0, func(p *packer) {
			p.set(answer, c.owner, smallest.Type, smallest.TTL, smallest.Data, smallest.Sigs, c.do)
		})
		if len(smallest.Sigs) > 0 {
			c.emit(dns.TypeRRSIG, 0, func(p *packer) { p.sigs(answer, c.owner, smallest.TTL, smallest.Sigs) })
		}
	}
	if alias != nil {
		c.set(typeOther, flagAlias, alias)
	} else if n.set(dns.TypeDNAME) != nil {
		c.emit(typeOther, flagNoData|flagRedirect, nil)
	} else {
		c.emit(typeOther, flagNoData, nil)
	}
}

func weight(s *edgeconfig.RRset) (n int) {
	for _, list := range [][][]byte{s.Data, s.Sigs} {
		for _, d := range list {
			n += len(d) + 12
		}
	}
	return n
}

// cut emits the answers at a delegation: DS, which is the parent's, NSEC for
// proofs, and the referral with all glue that the zone has.
func (c *compiler) cut(n *node) {
	ns, ds := n.set(dns.TypeNS), n.set(dns.TypeDS)
	if ds != nil {
		c.set(dns.TypeDS, 0, ds)
	} else {
		c.emit(dns.TypeDS, flagNoData, nil)
	}
	if s := n.set(dns.TypeNSEC); s != nil {
		c.set(dns.TypeNSEC, flagCut, s)
	}
	flags := byte(flagReferral)
	if ds != nil {
		flags |= flagSecure
	}
	c.emit(typeOther, flags, func(p *packer) {
		p.set(authority, c.owner, dns.TypeNS, ns.TTL, ns.Data, nil, false)
		if ds != nil && c.do {
			p.set(authority, c.owner, dns.TypeDS, ds.TTL, ds.Data, ds.Sigs, true)
		}
		for _, d := range ns.Data {
			target := lowerString(d)
			g := c.z.names[target]
			// An address that is not below a delegation is no glue: whoever needs it asks.
			if g == nil || target != c.owner && !c.z.delegated(target) {
				continue
			}
			for _, typ := range []uint16{dns.TypeA, dns.TypeAAAA} {
				if s := g.set(typ); s != nil {
					p.set(additional, target, typ, s.TTL, s.Data, nil, false)
				}
			}
		}
	})
}

// soaSet is the SOA as a set.
func (z *model) soaSet() edgeconfig.RRset {
	return edgeconfig.RRset{Type: dns.TypeSOA, TTL: z.head.SOA.TTL, Data: [][]byte{z.soaData}, Sigs: z.head.SOASigs}
}

// negatives makes the SOA of denials in both forms.
func (z *model) negatives() (neg [2]record) {
	soa := z.soaSet()
	ttl := min(z.head.SOA.TTL, z.head.SOA.Minimum)
	for do := range neg {
		p := newPacker(z.apex)
		p.set(authority, z.apex, soa.Type, ttl, soa.Data, soa.Sigs, do == 1)
		neg[do] = newRecord(z.apex, dns.TypeSOA, 0, p)
	}
	return neg
}

// hides reports whether a name takes the place of all below it: by a delegation,
// or by a DNAME, which the apex may have too (RFC 6672 section 2.3).
func (z *model) hides(owner string, n *node) bool {
	return n.set(dns.TypeDNAME) != nil || owner != z.apex && n.set(dns.TypeNS) != nil
}

// occluded reports whether a name lies below a delegation or a DNAME of the zone.
func (z *model) occluded(owner string) bool {
	return z.anyAbove(owner, func(n string, node *node) bool { return z.hides(n, node) })
}

// delegated reports whether a name lies below a delegation.
func (z *model) delegated(owner string) bool {
	return z.anyAbove(owner, func(n string, node *node) bool { return n != z.apex && node.set(dns.TypeNS) != nil })
}

func (z *model) anyAbove(owner string, is func(string, *node) bool) bool {
	if z.cuts == 0 || !strings.HasSuffix(owner, z.apex) {
		return false
	}
	for n := owner; len(n) > len(z.apex); {
		n = parent(n)
		if node := z.names[n]; node != nil && is(n, node) {
			return true
		}
	}
	return false
}
