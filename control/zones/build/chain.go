package build

import (
	"bytes"
	"cmp"
	"crypto/sha1"
	"encoding/base32"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/control/dnssec"
	"github.com/edgewright/edgewright/edgeconfig"
)

// orderKey sorts as names do: labels from the right, each as bytes, a shorter
// name before those below it.
func orderKey(wire []byte) string {
	var labels [128][]byte
	n := 0
	for w := wire; w[0] != 0; w = w[1+w[0]:] {
		labels[n] = w[1 : 1+w[0]]
		n++
	}
	var key strings.Builder
	key.Grow(len(wire) + 8)
	for i := n - 1; i >= 0; i-- {
		for _, b := range labels[i] {
			if b <= 1 { // 0 ends a label
				key.WriteByte(1)
				b++
			}
			key.WriteByte(b)
		}
		key.WriteByte(0)
	}
	return key.String()
}

// place brings order, cuts and the chain up to date with the names that were
// set, and marks what has to be signed.
func (z *Zone) place() {
	if len(z.touched) == 0 {
		return
	}
	z.sort()
	// Delegations and DNAMEs that came or went hide or show what is below.
	for n := range z.touched {
		cut := !n.gone && n.relative != "@" && has(n.given, dns.TypeNS)
		hides := cut || !n.gone && has(n.given, dns.TypeDNAME)
		if n.cut = cut; hides == n.hides {
			continue
		}
		n.hides = hides
		from, _ := z.find(n.key)
		for _, o := range z.order[min(from, len(z.order)):] {
			if !strings.HasPrefix(o.key, n.key) {
				break
			}
			if o != n {
				z.dirty[o] = true
			}
		}
	}
	changed := make([]*node, 0, len(z.touched)+len(z.dirty))
	for n := range z.touched {
		changed = append(changed, n)
	}
	for n := range z.dirty {
		if !z.touched[n] {
			changed = append(changed, n)
		}
	}
	for _, n := range changed {
		n.occluded = z.isOccluded(n)
		z.dirty[n] = true
	}
	nsec := z.signing != nil && z.signing.Denial == edgeconfig.DenialNSEC // compact denials depend on no other name
	for _, n := range changed {
		member := z.inChain(n)
		if member != n.linked {
			n.linked = member
			delta := -1
			if member {
				delta = 1
			}
			for w := parentOf(n.wire); len(w) >= len(z.wire); w = parentOf(w) {
				if z.below[string(w)] += delta; z.below[string(w)] == 0 {
					delete(z.below, string(w))
				}
			}
		}
		if nsec {
			if p := z.before(n); p != nil {
				z.dirty[p] = true
			}
		}
	}
	z.relink(changed)
	for n := range z.touched {
		z.count(n)
		if n.gone {
			delete(z.names, string(n.wire))
		}
	}
	clear(z.touched)
}

// sort puts new names into order and takes those that are gone out.
func (z *Zone) sort() {
	var fresh []*node
	for _, n := range z.fresh {
		if !n.gone {
			fresh = append(fresh, n)
		} else if !n.placed {
			delete(z.names, string(n.wire)) // set and taken back
		}
	}
	z.fresh = nil
	gone := 0
	for n := range z.touched {
		if n.gone {
			gone++
		}
	}
	if len(fresh)+gone > 64 {
		z.order = slices.DeleteFunc(z.order, func(n *node) bool { return n.gone })
		z.order = append(z.order, fresh...)
		slices.SortFunc(z.order, func(a, b *node) int { return cmp.Compare(a.key, b.key) })
		return
	}
	for n := range z.touched {
		if i, found := z.find(n.key); n.gone && found {
			z.order = slices.Delete(z.order, i, i+1)
		}
	}
	for _, n := range fresh {
		i, _ := z.find(n.key)
		z.order = slices.Insert(z.order, i, n)
	}
}

func (z *Zone) find(key string) (int, bool) {
	return slices.BinarySearchFunc(z.order, key, func(n *node, key string) int { return cmp.Compare(n.key, key) })
}

func has(sets []edgeconfig.RRset, typ uint16) bool {
	return slices.ContainsFunc(sets, func(s edgeconfig.RRset) bool { return s.Type == typ })
}

func parentOf(wire []byte) []byte {
	if wire[0] == 0 {
		return nil
	}
	return wire[1+wire[0]:]
}

func (z *Zone) isOccluded(n *node) bool {
	for w := n.wire; len(w) > len(z.wire); {
		w = parentOf(w)
		if o := z.names[string(w)]; o != nil && o.hides {
			return true
		}
	}
	return false
}

// inChain reports whether a name has a denial of its own.
func (z *Zone) inChain(n *node) bool {
	return !n.gone && !n.occluded && (len(n.given) > 0 || n.relative == "@")
}

// after is the next name of the chain, the apex after the last.
func (z *Zone) after(n *node) *node {
	i, _ := z.find(n.key)
	for j := i + 1; j < len(z.order); j++ {
		if z.inChain(z.order[j]) {
			return z.order[j]
		}
	}
	return z.order[0]
}

// compactNext is where the denial of a name leads when it is compact: to the next
// possible name, so that it says nothing of others (RFC 9824 section 3).
func compactNext(wire []byte) []byte {
	const maxName = 255
	if len(wire)+2 <= maxName {
		return append([]byte{1, 0}, wire...)
	}
	next := slices.Clone(wire)
	last := int(next[0])
	switch next[last]++; next[last] {
	case 'A': // in lower case, '[' follows '@'
		next[last] = 'Z' + 1
	case 0: // it was 255: no name of this length follows
		next = append([]byte{}, next[1+last:]...)
	}
	return next
}

// before is the name of the chain before n, which may itself not be in it.
func (z *Zone) before(n *node) *node {
	i, _ := z.find(n.key)
	for j := i - 1; j >= 0; j-- {
		if z.inChain(z.order[j]) {
			return z.order[j]
		}
	}
	for j := len(z.order) - 1; j >= i; j-- { // n was the first; only the apex is
		if z.inChain(z.order[j]) {
			return z.order[j]
		}
	}
	return nil
}

// types of a name as a denial lists them.
func (z *Zone) types(n *node, more ...uint16) []uint16 {
	var out []uint16
	for _, s := range n.given {
		// At a delegation only NS and DS are there for the parent (RFC 4035 section 2.3).
		if !n.cut || s.Type == dns.TypeNS || s.Type == dns.TypeDS {
			out = append(out, s.Type)
		}
	}
	if n.relative == "@" {
		out = append(out, dns.TypeSOA)
		for _, s := range z.signing.extra {
			out = append(out, s.Type)
		}
	}
	out = append(out, more...)
	slices.Sort(out)
	return slices.Compact(out)
}

// relink brings the NSEC3 chain up to date: every name of the chain, and the
// empty names between them and the apex (RFC 5155 section 7.1).
func (z *Zone) relink(changed []*node) {
	if z.signing == nil || z.signing.Denial != edgeconfig.DenialNSEC3 {
		for _, l := range z.chain {
			l.gone = true
			z.stale[l] = true
		}
		z.chain = nil
		clear(z.links)
		return
	}
	seen := map[string]bool{}
	var fresh []*link
	removed := map[*link]bool{}
	var touched [][sha1.Size]byte
	for _, n := range changed {
		for w := n.wire; len(w) >= len(z.wire) && !seen[string(w)]; w = parentOf(w) {
			seen[string(w)] = true
			o := z.names[string(w)]
			wanted := o != nil && z.inChain(o) || z.below[string(w)] > 0 && (o == nil || !o.occluded)
			hash := sha1.Sum(w)
			l := z.links[hash]
			switch {
			case wanted && l == nil:
				l = &link{hash: hash, wire: w, phase: phaseOf(hash[:])}
				z.links[hash] = l
				fresh = append(fresh, l)
				z.stale[l] = true
				touched = append(touched, hash)
			case !wanted && l != nil:
				l.gone = true
				delete(z.links, hash)
				removed[l] = true
				z.stale[l] = true
				touched = append(touched, hash)
			case wanted:
				z.stale[l] = true // its types may have changed
			}
		}
	}
	if len(removed) > 0 {
		z.chain = slices.DeleteFunc(z.chain, func(l *link) bool { return removed[l] })
	}
	if len(fresh) > 64 {
		z.chain = append(z.chain, fresh...)
		slices.SortFunc(z.chain, func(a, b *link) int { return bytes.Compare(a.hash[:], b.hash[:]) })
	} else {
		for _, l := range fresh {
			i, _ := z.findLink(l.hash)
			z.chain = slices.Insert(z.chain, i, l)
		}
	}
	for _, hash := range touched {
		if len(z.chain) > 0 {
			i, _ := z.findLink(hash)
			z.stale[z.chain[(i+len(z.chain)-1)%len(z.chain)]] = true
		}
	}
}

func (z *Zone) findLink(hash [sha1.Size]byte) (int, bool) {
	return slices.BinarySearchFunc(z.chain, hash, func(l *link, hash [sha1.Size]byte) int { return bytes.Compare(l.hash[:], hash[:]) })
}

func (z *Zone) signLink(l *link, now time.Time) (int, error) {
	i, _ := z.findLink(l.hash)
	next := z.chain[(i+1)%len(z.chain)]
	var types []uint16
	if n := z.names[string(l.wire)]; n != nil && z.inChain(n) {
		if n.cut && !has(n.given, dns.TypeDS) {
			types = z.types(n) // nothing there is signed
		} else {
			types = z.types(n, dns.TypeRRSIG)
		}
	}
	data := append([]byte{1, 0, 0, 0, 0, sha1.Size}, next.hash[:]...)
	data = append(data, dnssec.Bitmap(types)...)
	set := edgeconfig.RRset{Type: dns.TypeNSEC3, TTL: z.negative, Data: [][]byte{data}}
	before := &edgeconfig.RRset{TTL: l.out.TTL, Data: [][]byte{l.out.Data}, Sigs: l.out.Sigs}
	label := strings.ToLower(base32.HexEncoding.EncodeToString(l.hash[:]))
	owner := append(append([]byte{byte(len(label))}, label...), z.wire...)
	made, err := z.signSet(owner, l.phase, &set, before, false, now)
	l.span = spanOf(l.phase, now)
	l.out = edgeconfig.ZoneNSEC3{Hash: l.hash[:], TTL: set.TTL, Data: data, Sigs: set.Sigs}
	return made, err
}
