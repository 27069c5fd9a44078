package dns

import (
	"bytes"
	"encoding/base32"
	"encoding/binary"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// model is what a zone's served version says, as the writer keeps it: the next
// version is compiled from the difference to it. Nothing on the path of queries
// sees it.
type model struct {
	head    edgeconfig.Zone
	apex    string // wire form, lower case
	soaData []byte
	seed    uint64

	names    map[string]*node    // by wire form; empty non-terminals too
	parts    []partNames         // what each part of the served version holds
	glue     map[string][]string // name -> delegations with it as a name server
	cuts     int                 // names that hide what is below: delegated ones, and those with a DNAME
	compiled *index
	history  history
}

type partNames struct {
	digest [edgeconfig.PartDigestBytes]byte
	names  []string
	nsec3  []string // hashes
}

type node struct {
	sets     []edgeconfig.RRset
	children int // names right below
}

func (n *node) set(typ uint16) *edgeconfig.RRset {
	for i := range n.sets {
		if n.sets[i].Type == typ {
			return &n.sets[i]
		}
	}
	return nil
}

// part is a validated ZonePart with its names in wire form.
type part struct {
	digest [edgeconfig.PartDigestBytes]byte
	parts  int
	names  map[string][]edgeconfig.RRset
	nsec3  []nsec3
}

// newModel begins a zone.
func newModel(head *edgeconfig.Zone, apex string, seed uint64) *model {
	return &model{head: *head, apex: apex, seed: seed, names: map[string]*node{}, glue: map[string][]string{}}
}

// checkWhole checks what takes the whole version: that the apex has name
// servers. parts are those of the version, nil where the served one stays.
func (z *model) checkWhole(head *edgeconfig.Zone, parts []*part) error {
	p := parts[edgeconfig.PartOf("@", head.Parts)]
	sets := []edgeconfig.RRset(nil)
	if p != nil {
		sets = p.names[z.apex]
	} else if n := z.names[z.apex]; n != nil {
		sets = n.sets
	}
	for i := range sets {
		if sets[i].Type == dns.TypeNS {
			return nil
		}
	}
	return fault.New(fault.Invalid, "zone %s has no name servers: its apex needs NS records", head.Name)
}

// advance takes the model to a new version and returns its index. parts has an
// entry for each part that differs from the served one.
func (z *model) advance(head *edgeconfig.Zone, parts []*part) *index {
	before := z.head
	d := &delta{z: z, keep: z.compiled != nil && head.Transfer != nil, dirty: map[string]bool{}, denial: map[string]bool{}, cuts: map[string]bool{}, hashes: map[string]bool{}}
	if z.compiled == nil || len(z.parts) != head.Parts || z.head.Denial != head.Denial {
		// Another cut or another way of denial: every name is looked at. Those
		// that are the same keep their nodes.
		d.all = true
	}
	if len(z.parts) != head.Parts {
		d.recut(head, parts)
	} else {
		for i, p := range parts {
			if p != nil {
				d.replace(i, p)
			}
		}
	}
	d.touchBelow()
	z.head = *head
	z.soaData, _ = head.SOA.Pack() // validated
	d.touch(z.apex)
	z.compiled = d.compile()
	z.remember(d, &before)
	return z.compiled
}

// delta gathers what a new version changes.
type delta struct {
	z      *model
	keep   bool // the records that go and come, for IXFR
	log    difference
	all    bool
	dirty  map[string]bool // names whose records are compiled anew
	denial map[string]bool // names whose having NSEC may have changed
	cuts   map[string]bool // names that hide what is below, or do so no more
	hashes map[string]bool // NSEC3 hashes gone
	nsec3  []nsec3
}

func (d *delta) touch(n string) { d.dirty[n], d.denial[n] = true, true }

// recut replaces all parts.
func (d *delta) recut(head *edgeconfig.Zone, parts []*part) {
	var old partNames
	for _, p := range d.z.parts {
		old.names = append(old.names, p.names...)
		old.nsec3 = append(old.nsec3, p.nsec3...)
	}
	whole := &part{names: map[string][]edgeconfig.RRset{}}
	for _, p := range parts {
		maps.Copy(whole.names, p.names)
		whole.nsec3 = append(whole.nsec3, p.nsec3...)
	}
	d.z.parts = []partNames{old}
	d.replace(0, whole)
	d.z.parts = make([]partNames, head.Parts)
	for i, p := range parts {
		d.z.parts[i] = p.contents()
	}
}

func (p *part) contents() partNames {
	c := partNames{digest: p.digest, names: slices.Collect(maps.Keys(p.names))}
	for _, n := range p.nsec3 {
		c.nsec3 = append(c.nsec3, n.hash)
	}
	return c
}

// replace puts one part in the place of another.
func (d *delta) replace(i int, p *part) {
	old := d.z.parts[i]
	for _, n := range old.names {
		if _, stays := p.names[n]; !stays {
			d.put(n, nil)
		}
	}
	for n, sets := range p.names {
		d.put(n, sets)
	}
	for _, h := range old.nsec3 {
		d.hashes[h] = true
	}
	d.nsec3 = append(d.nsec3, p.nsec3...)
	d.z.parts[i] = p.contents()
}

// put gives a name its sets, none to take it out, and notes what that changes
// elsewhere.
func (d *delta) put(owner string, sets []edgeconfig.RRset) {
	z := d.z
	n := z.names[owner]
	if n == nil {
		if sets == nil {
			return
		}
		n = d.grow(owner)
	} else if reflect.DeepEqual(n.sets, sets) {
		return
	}
	if d.keep {
		d.log.names(owner, n.sets, sets)
	}
	oldNS, oldCut := n.set(dns.TypeNS), z.hides(owner, n)
	if oldNS != nil && owner != z.apex {
		d.unlink(owner, oldNS)
	}
	n.sets = sets
	newCut := z.hides(owner, n)
	if n.set(dns.TypeNS) != nil && owner != z.apex {
		for _, data := range n.set(dns.TypeNS).Data {
			t := lowerString(data)
			z.glue[t] = append(z.glue[t], owner)
		}
	}
	if oldCut != newCut {
		if newCut {
			z.cuts++
		} else {
			z.cuts--
		}
		d.cuts[owner] = true
	}
	d.touch(owner)
	d.touchAll(z.glue[owner])
	if sets == nil {
		d.shrink(owner)
	}
}

func (d *delta) touchAll(names []string) {
	for _, n := range names {
		d.touch(n)
	}
}

// touchBelow touches what lies below names that hide it now or did before: it
// appears or disappears, and with it what is glue. It looks at every name, once
// for all of them: a registry's zone has a delegation at nearly each.
func (d *delta) touchBelow() {
	if d.all || len(d.cuts) == 0 {
		return
	}
	for owner := range d.z.names {
		for n := owner; len(n) > len(d.z.apex); {
			if n = parent(n); d.cuts[n] {
				d.touch(owner)
				d.touchAll(d.z.glue[owner])
				break
			}
		}
	}
}

func (d *delta) unlink(owner string, ns *edgeconfig.RRset) {
	for _, data := range ns.Data {
		t := lowerString(data)
		if rest := slices.DeleteFunc(d.z.glue[t], func(o string) bool { return o == owner }); len(rest) > 0 {
			d.z.glue[t] = rest
		} else {
			delete(d.z.glue, t)
		}
	}
}

// grow makes a name and the empty non-terminals above it.
func (d *delta) grow(owner string) *node {
	n := &node{}
	d.z.names[owner] = n
	d.touch(owner)
	if owner != d.z.apex {
		up := parent(owner)
		above := d.z.names[up]
		if above == nil {
			above = d.grow(up)
		}
		above.children++
	}
	return n
}

// shrink takes a name without records out, unless something is below it, and
// so upward.
func (d *delta) shrink(owner string) {
	for n := d.z.names[owner]; n != nil && n.children == 0 && n.sets == nil && owner != d.z.apex; n = d.z.names[owner] {
		delete(d.z.names, owner)
		d.touch(owner)
		owner = parent(owner)
		d.z.names[owner].children--
	}
}

// compile builds the shards of what changed and shares the others.
func (d *delta) compile() *index {
	z, old := d.z, d.z.compiled
	next := &index{apex: []byte(z.apex), serial: z.head.SOA.Serial, denial: z.head.Denial, seed: z.seed, neg: z.negatives(), negative: min(z.head.SOA.TTL, z.head.SOA.Minimum), grant: newGrant(&z.head)}
	if s := z.head.Secondary; s != nil {
		next.expired, next.noticeKeys = s.Expired, s.Keys
		for _, text := range s.Primaries {
			if a, err := netip.ParseAddr(text); err == nil {
				next.primaries = append(next.primaries, a.Unmap())
			}
		}
	}
	want := shardsFor(len(z.names))
	if old == nil || want > 4*len(old.shards) || want*4 < len(old.shards) {
		d.all = true
	}
	if d.all {
		next.shards = make([]shard, want)
		d.dirty = make(map[string]bool, len(z.names))
		for n := range z.names {
			d.dirty[n] = true
		}
	} else {
		next.shards = slices.Clone(old.shards)
	}
	type change struct {
		gone map[string]bool
		add  []compiled
	}
	changes := map[uint64]*change{}
	for n := range d.dirty {
		i := hash(z.seed, []byte(n)) & uint64(len(next.shards)-1)
		c := changes[i]
		if c == nil {
			c = &change{gone: map[string]bool{}}
			changes[i] = c
		}
		c.gone[n] = true
		if node := z.names[n]; node != nil {
			c.add = append(c.add, z.compileName(n, node)...)
		}
	}
	for i, c := range changes {
		next.shards[i] = next.shards[i].rebuild(z.seed, c.gone, c.add)
	}
	d.compileDenial(next, old)
	return next
}

func (d *delta) compileDenial(next, old *index) {
	z := d.z
	same := func(s string) string { return s }
	if next.denial == edgeconfig.DenialNSEC {
		var gone, there []string
		names := d.denial
		if d.all {
			names = d.dirty
			next.nsec = sorted[string]{key: same}
		} else {
			next.nsec = old.nsec
		}
		for owner := range names {
			key := string(appendSortKey(nil, []byte(owner)))
			if n := z.names[owner]; n != nil && n.set(dns.TypeNSEC) != nil && !z.occluded(owner) {
				there = append(there, key)
			} else {
				gone = append(gone, key)
			}
		}
		next.nsec = next.nsec.edit(gone, there)
	}
	// Kept whatever the head says, so that a head alone can turn to it.
	next.nsec3 = sorted[nsec3]{key: func(n nsec3) string { return n.hash }}
	if old != nil {
		next.nsec3 = old.nsec3
	}
	if d.keep && old != nil && next.denial == edgeconfig.DenialNSEC3 {
		d.log.hashed(z.apex, old.nsec3, d.hashes, d.nsec3)
	}
	next.nsec3 = next.nsec3.edit(slices.Collect(maps.Keys(d.hashes)), d.nsec3)
}

var base32hex = base32.HexEncoding.WithPadding(base32.NoPadding)

// newPart checks a part against the zone it belongs to and prepares it.
func newPart(p *edgeconfig.ZonePart, apex string, body []byte) (*part, error) {
	out := &part{digest: edgeconfig.PartDigest(body), parts: p.Parts, names: make(map[string][]edgeconfig.RRset, len(p.Names))}
	for i := range p.Names {
		n := &p.Names[i]
		owner, err := edgeconfig.OwnerName(n.Name, []byte(apex))
		if err != nil {
			return nil, fault.New(fault.Invalid, "%s: %w", n.Name, err)
		}
		out.names[string(owner)] = n.Sets
	}
	for i := range p.NSEC3 {
		n := &p.NSEC3[i]
		label := strings.ToLower(base32hex.EncodeToString(n.Hash))
		var wire bytes.Buffer
		write := func(typ uint16, data []byte) {
			head := binary.BigEndian.AppendUint16([]byte{0, 0}, typ)
			head = binary.BigEndian.AppendUint16(head, dns.ClassINET)
			head = binary.BigEndian.AppendUint32(head, n.TTL)
			head = binary.BigEndian.AppendUint16(head, uint16(len(data)))
			wire.Write(head)
			wire.Write(data)
		}
		write(dns.TypeNSEC3, n.Data)
		for _, s := range n.Sigs {
			write(dns.TypeRRSIG, s)
		}
		out.nsec3 = append(out.nsec3, nsec3{hash: string(n.Hash), label: string(append([]byte{byte(len(label))}, label...)), wire: wire.String(), count: 1 + len(n.Sigs)})
	}
	return out, nil
}
