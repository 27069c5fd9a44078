// Package build turns the records of one zone into the documents of its next
// version, and does no more than what changed asks for.
//
// A Zone keeps what the version before was made of: names in canonical order,
// which of them are delegated or below a delegation, the chain of denials, every
// signature, and the part each name is in.
//
//	Set(name, sets) ... -> Build(plan, now)
//	    names -> cuts -> chain -> signatures (in parallel when many) -> parts -> digest
//	-> Seal(SOA) -> head
//
// A changed record costs its signatures, the SOA's and one part; a new name the
// denial before it as well.
//
// Signing keeps no state. Time is cut into spans, each name's with a beginning of
// its own, and a signature is that of the span: a pure function of key, data and
// span. A control plane that starts from nothing makes byte for byte what is
// published, and signatures are renewed a few at a time.
package build

import (
	"bytes"
	"cmp"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"hash/fnv"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/control/dnssec"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// Times of signatures. What edges hold is good for Lifetime less Span without
// the control plane, at the least.
const (
	Span     = 12 * 24 * time.Hour
	Lifetime = 30 * 24 * time.Hour
	skew     = time.Hour // how far back a signature begins, for clocks that are behind
	step     = time.Hour // spans begin on multiples of it, so that renewals come together
)

// Signing says how a version is signed; nil, that it is not.
type Signing struct {
	Keys   []*dnssec.Key
	Denial string // edgeconfig.DenialNSEC, DenialNSEC3 or DenialCompact
	KeyTTL uint32 // of DNSKEY, CDS and CDNSKEY
	Unsign bool   // CDS and CDNSKEY ask the parent to remove its DS
}

// Draft is a version that has all but its head.
type Draft struct {
	Parts   int            // the zone is cut into
	Changed map[int][]byte // bodies of the parts that changed since the build before, by number
	Content string         // digest of everything but the SOA record: equal content, equal digest
	Sets    int            // without those that signing adds
	Names   int
	MaxTTL  uint32
	Made    int       // signatures made
	Next    time.Time // when the next signature is to be renewed; zero: nothing is signed
}

// Zone is one zone between its versions. It is used from one goroutine.
type Zone struct {
	id, apex string // absolute
	wire     []byte

	names map[string]*node // by wire form
	order []*node          // canonical order; the apex is first
	fresh []*node          // not yet in order
	below map[string]int   // by wire form: names of the chain below it
	links map[[sha1.Size]byte]*link
	chain []*link // NSEC3, in order of hash

	touched map[*node]bool // their sets changed, or they are gone
	dirty   map[*node]bool // to be signed
	stale   map[*link]bool

	signing  *signing
	negative uint32

	parts   []part
	digests []byte

	counted, sets int            // names and sets that are there
	ttls          map[uint32]int // of the sets
	built         time.Time      // when the build before was
	due           time.Time      // when the next signature is to be renewed
}

type part struct {
	names []*node // by relative name
	links []*link // by hash
	body  []byte
	dirty bool
}

type node struct {
	relative string
	wire     []byte
	key      string // sorts as names do (RFC 4034 section 6.1)
	given    []edgeconfig.RRset
	counted  []edgeconfig.RRset // given, as it is in the zone's counts
	sets     []edgeconfig.RRset // as served
	phase    time.Duration
	span     int64
	gone     bool
	placed   bool // it is in a part
	signed   bool // something of it is
	cut      bool // delegated
	hides    bool // what is below: delegated, or with a DNAME
	occluded bool
	linked   bool // counted in below
}

type link struct {
	hash  [sha1.Size]byte
	wire  []byte
	phase time.Duration
	span  int64
	out   edgeconfig.ZoneNSEC3
	gone  bool
}

type signing struct {
	Signing
	keys  []dnssec.SetKey
	print string // equal when nothing has to be signed anew
	extra []edgeconfig.RRset
}

// New returns an empty zone. apex is in lower-case presentation form without
// the trailing dot; parts is how many the published version was cut into, 0 for
// none.
func New(id, apex string, parts int) (*Zone, error) {
	wire, err := edgeconfig.PackName(apex)
	if err != nil {
		return nil, fault.New(fault.Invalid, "%s: %w", apex, err)
	}
	z := &Zone{
		id: id, apex: apex + ".", wire: wire, names: map[string]*node{}, below: map[string]int{}, links: map[[sha1.Size]byte]*link{},
		ttls: map[uint32]int{}, touched: map[*node]bool{}, dirty: map[*node]bool{}, stale: map[*link]bool{}, parts: make([]part, max(parts, 0)),
	}
	return z, z.Set("@", nil)
}

// Set replaces all sets of a name, relative to the apex; none: the name goes.
// Data is in canonical form; what the sets hold must not be changed afterwards.
func (z *Zone) Set(relative string, sets []edgeconfig.RRset) error {
	wire, err := edgeconfig.OwnerName(relative, z.wire)
	if err != nil {
		return fault.New(fault.Invalid, "%s: %w", relative, err)
	}
	n := z.names[string(wire)]
	if n == nil {
		if len(sets) == 0 && relative != "@" {
			return nil
		}
		n = &node{relative: relative, wire: wire, key: orderKey(wire), phase: phaseOf(wire)}
		z.names[string(wire)] = n
		z.fresh = append(z.fresh, n)
	}
	sets = slices.Clone(sets)
	slices.SortFunc(sets, func(a, b edgeconfig.RRset) int { return cmp.Compare(a.Type, b.Type) })
	n.given, n.gone = sets, len(sets) == 0 && relative != "@"
	z.touched[n] = true
	return nil
}

// Sets returns what was set of a name.
func (z *Zone) Sets(relative string) []edgeconfig.RRset {
	wire, err := edgeconfig.OwnerName(relative, z.wire)
	if err != nil || z.names[string(wire)] == nil {
		return nil
	}
	return z.names[string(wire)].given
}

// Build makes the parts of the next version. negative is the time to live of
// denials, the lower of the SOA's own and its minimum (RFC 9077).
func (z *Zone) Build(how *Signing, negative uint32, now time.Time) (*Draft, error) {
	if err := z.sign(how, negative); err != nil {
		return nil, err
	}
	z.place()
	draft := &Draft{Changed: map[int][]byte{}}
	z.renew(now)
	made, err := z.signAll(now)
	if err != nil {
		return nil, err
	}
	draft.Made = made
	if err := z.pack(draft); err != nil {
		return nil, err
	}
	z.describe(draft, now)
	return draft, nil
}

// Seal returns the head of the version that Build made last.
func (z *Zone) Seal(project, environment string, soa edgeconfig.SOA, now time.Time) (edgeconfig.Zone, error) {
	head := edgeconfig.Zone{
		ID: z.id, Project: project, Environment: environment, Name: z.apex[:len(z.apex)-1], SOA: soa,
		Parts: len(z.parts), Digests: slices.Clone(z.digests),
	}
	if z.signing == nil {
		return head, nil
	}
	head.Denial = z.signing.Denial
	data, err := soa.Pack()
	if err != nil {
		return head, err
	}
	set := edgeconfig.RRset{Type: dns.TypeSOA, TTL: soa.TTL, Data: [][]byte{data}}
	_, err = z.signSet(z.wire, phaseOf(z.wire), &set, nil, true, now)
	head.SOASigs = set.Sigs
	return head, err
}

// MaxTTL is the longest time to live of the sets, in seconds.
func (z *Zone) MaxTTL() (longest uint32) {
	for ttl := range z.ttls {
		longest = max(longest, ttl)
	}
	return longest
}

// Bodies returns the bodies of all parts of the version that Build made last.
func (z *Zone) Bodies() [][]byte {
	out := make([][]byte, len(z.parts))
	for i := range z.parts {
		out[i] = z.parts[i].body
	}
	return out
}

// All calls yield with each name as it is served, in canonical order.
func (z *Zone) All(yield func(edgeconfig.ZoneName) bool) {
	for _, n := range z.order {
		if len(n.sets) > 0 && !yield(edgeconfig.ZoneName{Name: n.relative, Sets: n.sets}) {
			return
		}
	}
}

// NSEC3 returns the hashed denials, in order.
func (z *Zone) NSEC3() []edgeconfig.ZoneNSEC3 {
	var out []edgeconfig.ZoneNSEC3
	for _, l := range z.chain {
		out = append(out, l.out)
	}
	return out
}

// sign takes another way of signing in; everything is looked at again then, and
// signatures that still fit are kept.
func (z *Zone) sign(how *Signing, negative uint32) error {
	var next *signing
	if how != nil {
		next = &signing{Signing: *how}
		var covered [2]bool
		for _, k := range how.Keys {
			set := k.For(z.apex, z.wire)
			next.keys = append(next.keys, set)
			covered[0] = covered[0] || set.Signs(dns.TypeDNSKEY, true) && k.Publish
			covered[1] = covered[1] || set.Signs(dns.TypeSOA, true) && k.Publish
		}
		if !covered[0] || !covered[1] {
			return fault.New(fault.Invalid, "zone %s has no published key that signs its keys and its records", z.apex)
		}
		next.extra = dnssec.ApexSets(z.apex, how.Keys, dnssec.Policy{Denial: how.Denial, KeyTTL: how.KeyTTL, Unsign: how.Unsign})
		sum := sha256.New()
		for _, k := range next.keys {
			sum.Write([]byte{byte(k.Tag >> 8), byte(k.Tag), k.Algorithm, bit(k.Active), k.Role[0]})
		}
		sum.Write([]byte(how.Denial))
		for _, s := range next.extra {
			for _, d := range s.Data {
				sum.Write(d)
			}
		}
		next.print = string(sum.Sum(nil))
	}
	was := z.signing
	z.signing = next
	if was == nil {
		z.due = time.Time{}
	}
	if (was == nil) == (next == nil) && z.negative == negative && (was == nil || was.print == next.print) {
		return nil
	}
	denial := func(s *signing) string {
		if s == nil {
			return edgeconfig.DenialNone
		}
		return s.Denial
	}
	z.negative = negative
	for _, n := range z.names {
		z.dirty[n] = true
	}
	for _, l := range z.chain {
		z.stale[l] = true
	}
	if denial(was) != denial(next) {
		for _, n := range z.names {
			z.touched[n] = true
		}
	}
	return nil
}

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// signAll signs what is dirty and returns how many signatures were made.
func (z *Zone) signAll(now time.Time) (int, error) {
	nodes := make([]*node, 0, len(z.dirty))
	for n := range z.dirty {
		if !n.gone {
			nodes = append(nodes, n)
		}
	}
	links := make([]*link, 0, len(z.stale))
	for l := range z.stale {
		if !l.gone {
			links = append(links, l)
		}
	}
	made, err := parallel(len(nodes)+len(links), func(i int) (int, error) {
		if i < len(nodes) {
			return z.signNode(nodes[i], now)
		}
		return z.signLink(links[i-len(nodes)], now)
	})
	if err != nil {
		return 0, err
	}
	for n := range z.dirty {
		z.touchPart(n)
		if n.signed && !n.gone {
			z.note(n.phase, now)
		}
	}
	for l := range z.stale {
		z.touchLinkPart(l)
		if !l.gone {
			z.note(l.phase, now)
		}
	}
	clear(z.dirty)
	clear(z.stale)
	return made, nil
}

// parallel does n pieces of work, on all processors when they are many.
func parallel(n int, work func(i int) (int, error)) (int, error) {
	workers := min(runtime.GOMAXPROCS(0), n/32)
	if workers <= 1 {
		total := 0
		for i := range n {
			made, err := work(i)
			if err != nil {
				return total, err
			}
			total += made
		}
		return total, nil
	}
	var wg sync.WaitGroup
	totals, errs := make([]int, workers), make([]error, workers)
	for w := range workers {
		wg.Go(func() {
			for i := w; i < n && errs[w] == nil; i += workers {
				made, err := work(i)
				totals[w], errs[w] = totals[w]+made, err
			}
		})
	}
	wg.Wait()
	total := 0
	for w := range workers {
		if errs[w] != nil {
			return 0, errs[w]
		}
		total += totals[w]
	}
	return total, nil
}

func (z *Zone) signNode(n *node, now time.Time) (int, error) {
	old := n.sets
	n.sets = slices.Clone(n.given)
	n.span, n.signed = spanOf(n.phase, now), false
	if z.signing == nil {
		return 0, nil
	}
	apex := n.relative == "@"
	if apex {
		n.sets = append(n.sets, z.signing.extra...)
	}
	if z.signing.Denial != edgeconfig.DenialNSEC3 && z.inChain(n) {
		next := z.after(n).wire
		if z.signing.Denial == edgeconfig.DenialCompact {
			next = compactNext(n.wire)
		}
		data := append(slices.Clone(next), dnssec.Bitmap(z.types(n, dns.TypeRRSIG, dns.TypeNSEC))...)
		n.sets = append(n.sets, edgeconfig.RRset{Type: dns.TypeNSEC, TTL: z.negative, Data: [][]byte{data}})
	}
	slices.SortFunc(n.sets, func(a, b edgeconfig.RRset) int { return cmp.Compare(a.Type, b.Type) })
	made := 0
	for i := range n.sets {
		set := &n.sets[i]
		if n.occluded || n.cut && set.Type != dns.TypeDS && set.Type != dns.TypeNSEC {
			continue // the child's, and glue (RFC 4035 section 2.2)
		}
		var before *edgeconfig.RRset
		if j, found := slices.BinarySearchFunc(old, set.Type, func(s edgeconfig.RRset, t uint16) int { return cmp.Compare(s.Type, t) }); found {
			before = &old[j]
		}
		m, err := z.signSet(n.wire, n.phase, set, before, apex, now)
		if err != nil {
			return made, err
		}
		made += m
		n.signed = true
	}
	return made, nil
}

// signSet signs a set and its variants, and takes over what the set before had.
func (z *Zone) signSet(owner []byte, phase time.Duration, set, before *edgeconfig.RRset, apex bool, now time.Time) (made int, err error) {
	begins := beginOf(phase, now)
	one := func(data [][]byte) ([][]byte, error) {
		known := earlier(before, set.TTL, data)
		var sigs [][]byte
		for _, k := range z.signing.keys {
			if !k.Signs(set.Type, apex) {
				continue
			}
			inception, expiration := begins.Add(-skew), begins.Add(Lifetime)
			if i := slices.IndexFunc(known, func(sig []byte) bool { return k.Made(sig, inception, expiration) }); i >= 0 {
				sigs = append(sigs, known[i])
				continue
			}
			sig, err := k.SignSet(owner, set.Type, set.TTL, data, inception, expiration)
			if err != nil {
				return nil, err
			}
			sigs = append(sigs, sig)
			made++
		}
		return sigs, nil
	}
	if set.Sigs, err = one(set.Data); err != nil {
		return made, err
	}
	if len(set.Variants) > 0 {
		set.Variants = slices.Clone(set.Variants)
	}
	for i := range set.Variants {
		if set.Variants[i].Sigs, err = one(set.Variants[i].Data); err != nil {
			return made, err
		}
	}
	return made, nil
}

// earlier finds the signatures that the same records had.
func earlier(before *edgeconfig.RRset, ttl uint32, data [][]byte) [][]byte {
	if before == nil || before.TTL != ttl {
		return nil
	}
	if slices.EqualFunc(before.Data, data, bytes.Equal) {
		return before.Sigs
	}
	for i := range before.Variants {
		if slices.EqualFunc(before.Variants[i].Data, data, bytes.Equal) {
			return before.Variants[i].Sigs
		}
	}
	return nil
}

// phaseOf is where the spans of a name begin.
func phaseOf(wire []byte) time.Duration {
	h := fnv.New64a()
	_, _ = h.Write(wire)
	return time.Duration(h.Sum64()%uint64(Span/step)) * step
}

func spanOf(phase time.Duration, now time.Time) int64 {
	return int64((time.Duration(now.Unix())*time.Second - phase) / Span)
}

// beginOf is when the span that now is in has begun.
func beginOf(phase time.Duration, now time.Time) time.Time {
	return time.Unix(int64((time.Duration(spanOf(phase, now))*Span+phase)/time.Second), 0)
}

// renew marks what is signed for another span than the present one. Every name
// is looked at only when the time of one has come, or the clock was set back.
func (z *Zone) renew(now time.Time) {
	defer func() { z.built = now }()
	if z.signing == nil || now.Before(z.due) && !now.Before(z.built) {
		return
	}
	z.due = beginOf(phaseOf(z.wire), now).Add(Span) // the SOA's
	for _, n := range z.order {
		if !n.signed {
			continue
		}
		if n.span != spanOf(n.phase, now) {
			z.dirty[n] = true
		}
		z.note(n.phase, now)
	}
	for _, l := range z.chain {
		if l.span != spanOf(l.phase, now) {
			z.stale[l] = true
		}
		z.note(l.phase, now)
	}
}

// note keeps due at the first end of a span.
func (z *Zone) note(phase time.Duration, now time.Time) {
	if at := beginOf(phase, now).Add(Span); at.Before(z.due) {
		z.due = at
	}
}

// count keeps the counts of the zone with a name that was set.
func (z *Zone) count(n *node) {
	tally := func(sets []edgeconfig.RRset, by int) {
		if len(sets) > 0 {
			z.counted += by
		}
		z.sets += by * len(sets)
		for i := range sets {
			if z.ttls[sets[i].TTL] += by; z.ttls[sets[i].TTL] == 0 {
				delete(z.ttls, sets[i].TTL)
			}
		}
	}
	tally(n.counted, -1)
	tally(n.given, 1)
	n.counted = n.given
}

// describe fills in what the draft says of the whole zone.
func (z *Zone) describe(d *Draft, now time.Time) {
	d.Parts, d.Names, d.Sets, d.MaxTTL = len(z.parts), z.counted, z.sets, z.MaxTTL()
	sum := sha256.New()
	sum.Write(z.digests)
	if z.signing != nil {
		sum.Write([]byte(z.signing.Denial))
		sum.Write(binary.BigEndian.AppendUint64(nil, uint64(spanOf(phaseOf(z.wire), now))))
		d.Next = z.due
	}
	d.Content = hex.EncodeToString(sum.Sum(nil)[:16])
}

// pack puts what changed into its parts and encodes those.
func (z *Zone) pack(d *Draft) error {
	parts := edgeconfig.PartsFor(z.counted, len(z.parts))
	if parts != len(z.parts) || z.digests == nil {
		z.cut(parts)
	}
	for {
		fits, err := z.encode(d)
		if err != nil || fits {
			return err
		}
		if len(z.parts) >= edgeconfig.MaxZoneParts {
			return fault.New(fault.TooLarge, "zone %s does not fit %d parts of %d bytes: move some of its names to zones of their own", z.apex, edgeconfig.MaxZoneParts, edgeconfig.MaxDocumentBytes)
		}
		z.cut(2 * len(z.parts))
	}
}

func (z *Zone) encode(d *Draft) (fits bool, err error) {
	for i := range z.parts {
		p := &z.parts[i]
		if !p.dirty {
			continue
		}
		doc := edgeconfig.ZonePart{Zone: z.id, Part: i, Parts: len(z.parts)}
		for _, n := range p.names {
			if len(n.sets) > 0 {
				doc.Names = append(doc.Names, edgeconfig.ZoneName{Name: n.relative, Sets: n.sets})
			}
		}
		for _, l := range p.links {
			doc.NSEC3 = append(doc.NSEC3, l.out)
		}
		body, err := json.Marshal(&doc)
		if err != nil {
			return false, fault.New(fault.Internal, "part %d of zone %s: %w", i, z.apex, err)
		}
		if len(body) > edgeconfig.MaxDocumentBytes {
			return false, nil
		}
		p.dirty = false
		digest := edgeconfig.PartDigest(body)
		if bytes.Equal(p.body, body) {
			continue
		}
		p.body = body
		copy(z.digests[i*edgeconfig.PartDigestBytes:], digest[:])
		d.Changed[i] = body
	}
	return true, nil
}

// cut puts every name into one of so many parts.
func (z *Zone) cut(parts int) {
	z.parts = make([]part, parts)
	z.digests = make([]byte, parts*edgeconfig.PartDigestBytes)
	for i := range z.parts {
		z.parts[i].dirty = true
	}
	for _, n := range z.order {
		n.placed = false
		z.touchPart(n)
	}
	for _, l := range z.chain {
		z.touchLinkPart(l)
	}
}

// touchPart marks a name's part, and puts the name there or takes it away.
func (z *Zone) touchPart(n *node) {
	if len(z.parts) == 0 || z.digests == nil {
		return // cut follows
	}
	p := &z.parts[edgeconfig.PartOf(n.relative, len(z.parts))]
	p.dirty = true
	if n.placed != n.gone {
		return
	}
	i, found := slices.BinarySearchFunc(p.names, n.relative, func(o *node, name string) int { return cmp.Compare(o.relative, name) })
	switch {
	case n.gone && found && p.names[i] == n:
		p.names = slices.Delete(p.names, i, i+1)
	case !n.gone && !found:
		p.names = slices.Insert(p.names, i, n)
	case !n.gone:
		p.names[i] = n
	}
	n.placed = !n.gone
}

func (z *Zone) touchLinkPart(l *link) {
	if len(z.parts) == 0 || z.digests == nil {
		return
	}
	p := &z.parts[edgeconfig.PartOf(string(l.hash[:]), len(z.parts))]
	p.dirty = true
	i, found := slices.BinarySearchFunc(p.links, l.hash, func(o *link, hash [sha1.Size]byte) int { return bytes.Compare(o.hash[:], hash[:]) })
	switch {
	case l.gone && found && p.links[i] == l:
		p.links = slices.Delete(p.links, i, i+1)
	case !l.gone && !found:
		p.links = slices.Insert(p.links, i, l)
	case !l.gone:
		p.links[i] = l
	}
}
