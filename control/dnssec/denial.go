package dnssec

import (
	"bytes"
	"crypto/sha1"
	"encoding/base32"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// view is a zone's names in canonical order, with what lies below delegations
// marked and empty non-terminals found.
type view struct {
	names []*name
	index map[string]*name // by relative name
	empty []*name          // empty non-terminals
	apex  []byte
}

type name struct {
	relative string
	absolute string
	wire     []byte // lower case
	labels   [][]byte
	sets     []edgeconfig.RRset
	cut      bool // delegated
	hides    bool // what is below: delegated, or with a DNAME
	occluded bool // hidden so
}

func (n *name) has(typ uint16) bool {
	return slices.ContainsFunc(n.sets, func(s edgeconfig.RRset) bool { return s.Type == typ })
}

func (v *view) at(relative string) *name { return v.index[relative] }

func newView(apex string, names []edgeconfig.ZoneName) (*view, error) {
	wire, err := edgeconfig.PackName(apex)
	if err != nil {
		return nil, fault.New(fault.Invalid, "%s: %w", apex, err)
	}
	v := &view{index: make(map[string]*name, len(names)+1), apex: wire}
	add := func(relative string, sets []edgeconfig.RRset) error {
		n := &name{relative: relative, absolute: apex, sets: slices.Clone(sets)}
		if n.wire, err = edgeconfig.OwnerName(relative, wire); err != nil {
			return fault.New(fault.Invalid, "%s: %w", relative, err)
		}
		if relative != "@" {
			n.absolute = relative + "." + apex
		}
		for w := n.wire; w[0] != 0; w = w[1+w[0]:] {
			n.labels = append(n.labels, w[1:1+w[0]])
		}
		n.cut = relative != "@" && n.has(dns.TypeNS)
		n.hides = n.cut || n.has(dns.TypeDNAME)
		v.names = append(v.names, n)
		v.index[relative] = n
		return nil
	}
	for _, n := range names {
		if v.index[n.Name] != nil {
			return nil, fault.New(fault.Invalid, "%s is given twice", n.Name)
		}
		if err := add(n.Name, n.Sets); err != nil {
			return nil, err
		}
	}
	if v.index["@"] == nil {
		if err := add("@", nil); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(v.names, func(a, b *name) int { return canonical(a.labels, b.labels) })
	v.mark()
	return v, nil
}

// canonical is the order of RFC 4034 section 6.1.
func canonical(a, b [][]byte) int {
	for i := 1; i <= min(len(a), len(b)); i++ {
		if c := bytes.Compare(a[len(a)-i], b[len(b)-i]); c != 0 {
			return c
		}
	}
	return len(a) - len(b)
}

// mark walks the names in order, in which what is below a name follows it.
func (v *view) mark() {
	seen := make(map[string]bool, len(v.names))
	for _, n := range v.names {
		seen[string(n.wire)] = true
	}
	var cut *name
	for _, n := range v.names {
		if cut != nil && below(n, cut) {
			n.occluded = true
			continue
		}
		cut = nil
		if n.hides {
			cut = n
		}
		for w := n.wire; len(w) > len(v.apex); {
			w = w[1+w[0]:]
			if len(w) <= len(v.apex) || seen[string(w)] {
				break
			}
			seen[string(w)] = true
			v.empty = append(v.empty, &name{wire: w})
		}
	}
}

func below(n, of *name) bool {
	if len(n.labels) <= len(of.labels) {
		return false
	}
	return canonical(n.labels[len(n.labels)-len(of.labels):], of.labels) == 0
}

// types of a name, as a denial record lists them.
func (n *name) types(more ...uint16) []uint16 {
	var out []uint16
	for _, s := range n.sets {
		// At a delegation only NS and DS are there for the parent (RFC 4035 section 2.3).
		if !n.cut || s.Type == dns.TypeNS || s.Type == dns.TypeDS {
			out = append(out, s.Type)
		}
	}
	if n.relative == "@" {
		out = append(out, dns.TypeSOA)
	}
	out = append(out, more...)
	slices.Sort(out)
	return slices.Compact(out)
}

// chainNSEC gives every authoritative name and delegation its NSEC record.
func (s *signer) chainNSEC() {
	var chain []*name
	for _, n := range s.zone.names {
		if !n.occluded && (len(n.sets) > 0 || n.relative == "@") {
			chain = append(chain, n)
		}
	}
	for i, n := range chain {
		next := chain[(i+1)%len(chain)]
		data := append(slices.Clone(next.wire), bitmap(n.types(dns.TypeRRSIG, dns.TypeNSEC))...)
		n.sets = append(n.sets, edgeconfig.RRset{Type: dns.TypeNSEC, TTL: s.negative, Data: [][]byte{data}})
	}
}

// chainNSEC3 makes the hashed chain, of empty non-terminals too, without
// opt-out (RFC 5155 section 7.1).
func (s *signer) chainNSEC3() error {
	type link struct {
		hash [20]byte
		n    *name
	}
	var chain []link
	for _, n := range s.zone.names {
		if !n.occluded {
			chain = append(chain, link{sha1.Sum(n.wire), n})
		}
	}
	for _, n := range s.zone.empty {
		chain = append(chain, link{sha1.Sum(n.wire), n})
	}
	slices.SortFunc(chain, func(a, b link) int { return bytes.Compare(a.hash[:], b.hash[:]) })
	for i, l := range chain {
		next := chain[(i+1)%len(chain)]
		if next.hash == l.hash && len(chain) > 1 {
			return fault.New(fault.Invalid, "two names of zone %s have the same hash: use NSEC", s.apex)
		}
		var types []uint16
		switch {
		case len(l.n.sets) == 0:
		case l.n.cut && !l.n.has(dns.TypeDS):
			types = l.n.types() // nothing there is signed
		default:
			types = l.n.types(dns.TypeRRSIG)
		}
		data := append([]byte{1, 0, 0, 0, 0, 20}, next.hash[:]...)
		data = append(data, bitmap(types)...)
		owner := strings.ToLower(base32.HexEncoding.EncodeToString(l.hash[:])) + "." + s.apex
		sigs, err := s.sign(owner, dns.TypeNSEC3, s.negative, [][]byte{data}, false, s.old[setKey{string(l.hash[:]), dns.TypeNSEC3}])
		if err != nil {
			return err
		}
		s.out.NSEC3 = append(s.out.NSEC3, edgeconfig.ZoneNSEC3{Hash: slices.Clone(l.hash[:]), TTL: s.negative, Data: data, Sigs: sigs})
	}
	return nil
}

// bitmap encodes sorted types (RFC 4034 section 4.1.2).
func bitmap(types []uint16) (out []byte) {
	for len(types) > 0 {
		window := types[0] >> 8
		var bits [32]byte
		last := 0
		for len(types) > 0 && types[0]>>8 == window {
			low := int(types[0] & 0xff)
			bits[low/8] |= 0x80 >> (low % 8)
			last, types = low/8, types[1:]
		}
		out = append(out, byte(window), byte(last+1))
		out = append(out, bits[:last+1]...)
	}
	return out
}
