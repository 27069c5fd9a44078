package dns

import (
	"cmp"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// oracle answers from a plain list of records, step by step as RFC 1034 section
// 4.3.2, RFC 4035 section 3.1 and RFC 5155 section 7.2 say, without any index.
type oracle struct {
	apex string
	rrs  map[string]map[uint16][]dns.RR // lower-case name -> type
	sigs map[string]map[uint16][]dns.RR
	soa  *dns.SOA
}

func newOracle(apex string, rrs []dns.RR) *oracle {
	o := &oracle{apex: apex, rrs: map[string]map[uint16][]dns.RR{}, sigs: map[string]map[uint16][]dns.RR{}}
	for _, rr := range rrs {
		name, typ, into := strings.ToLower(rr.Header().Name), rr.Header().Rrtype, o.rrs
		if s, ok := rr.(*dns.RRSIG); ok {
			typ, into = s.TypeCovered, o.sigs
		}
		if soa, ok := rr.(*dns.SOA); ok {
			o.soa = soa
		}
		if into[name] == nil {
			into[name] = map[uint16][]dns.RR{}
		}
		into[name][typ] = append(into[name][typ], rr)
	}
	return o
}

func (o *oracle) signed() bool { return len(o.sigs) > 0 }

// exists: the name or something below it has records, NSEC3 left aside.
func (o *oracle) exists(name string) bool {
	for n, sets := range o.rrs {
		if len(sets) == 1 && sets[dns.TypeNSEC3] != nil {
			continue
		}
		if dns.IsSubDomain(name, n) {
			return true
		}
	}
	return false
}

func (o *oracle) set(name string, typ uint16, do bool) []dns.RR {
	out := slices.Clone(o.rrs[name][typ])
	if do {
		out = append(out, o.sigs[name][typ]...)
	}
	return out
}

func up(name string) string {
	i, end := dns.NextLabel(name, 0)
	if end {
		return "."
	}
	return name[i:]
}

func renamed(rrs []dns.RR, to string) (out []dns.RR) {
	for _, rr := range rrs {
		c := dns.Copy(rr)
		c.Header().Name = to
		out = append(out, c)
	}
	return out
}

func (o *oracle) negativeSOA(do bool) []dns.RR {
	var out []dns.RR
	for _, rr := range o.set(o.apex, dns.TypeSOA, do) {
		c := dns.Copy(rr)
		c.Header().Ttl = min(o.soa.Hdr.Ttl, o.soa.Minttl)
		out = append(out, c)
	}
	return out
}

// deny is the denial record that matches or covers a name.
func (o *oracle) deny(name string) []dns.RR {
	for owner, sets := range o.rrs {
		for _, rr := range sets[dns.TypeNSEC3] {
			if n := rr.(*dns.NSEC3); n.Match(name) || n.Cover(name) {
				return o.set(owner, dns.TypeNSEC3, true)
			}
		}
	}
	var owners []string
	for owner, sets := range o.rrs {
		if sets[dns.TypeNSEC] != nil {
			owners = append(owners, owner)
		}
	}
	if len(owners) == 0 {
		return nil
	}
	slices.SortFunc(owners, canonical)
	best := owners[len(owners)-1]
	for _, n := range owners {
		if canonical(n, name) <= 0 {
			best = n
		}
	}
	return o.set(best, dns.TypeNSEC, true)
}

func (o *oracle) nsec3() bool {
	for _, sets := range o.rrs {
		if sets[dns.TypeNSEC3] != nil {
			return true
		}
	}
	return false
}

func canonical(a, b string) int {
	x, y := dns.SplitDomainName(a), dns.SplitDomainName(b)
	for len(x) > 0 && len(y) > 0 {
		if c := cmp.Compare(unescaped(x[len(x)-1]), unescaped(y[len(y)-1])); c != 0 {
			return c
		}
		x, y = x[:len(x)-1], y[:len(y)-1]
	}
	return len(x) - len(y)
}

func unescaped(label string) string {
	var b [300]byte
	n, err := dns.PackDomainName(label+".", b[:], 0, nil, false)
	if err != nil {
		panic(err)
	}
	return strings.ToLower(string(b[1 : n-1]))
}

func (o *oracle) answer(qname string, qtype uint16, do bool) *dns.Msg {
	do = do && o.signed()
	m := new(dns.Msg)
	m.Authoritative = true
	seen, led := map[string]bool{}, map[string]bool{}
	var proofs []string
	name := strings.ToLower(qname)
	owner := qname
	for hops := 0; ; hops++ {
		if seen[name] {
			break
		}
		seen[name] = true
		// A delegation on the way down?
		cut := ""
		for n := name; n != o.apex; n = up(n) {
			if o.rrs[n][dns.TypeNS] != nil {
				cut = n
			}
		}
		// A DNAME above?
		above, redirect := "", ""
		for n := name; n != o.apex; {
			if n = up(n); o.rrs[n][dns.TypeDNAME] != nil {
				redirect = n
			}
		}
		if redirect != "" && dns.IsSubDomain(redirect, cut) {
			cut = "" // hidden itself
		} else if cut != "" {
			redirect = ""
		}
		if cut != "" && !(cut == name && qtype == dns.TypeDS) {
			m.Authoritative = hops > 0
			m.Ns = append(m.Ns, o.rrs[cut][dns.TypeNS]...)
			if do {
				if ds := o.set(cut, dns.TypeDS, true); len(ds) > 0 {
					m.Ns = append(m.Ns, ds...)
				} else {
					m.Ns = append(m.Ns, o.deny(cut)...)
				}
			}
			for _, ns := range o.rrs[cut][dns.TypeNS] {
				t := strings.ToLower(ns.(*dns.NS).Ns)
				occluded := t == cut
				for n := t; n != o.apex && n != "."; n = up(n) {
					occluded = occluded || n != t && o.rrs[n][dns.TypeNS] != nil
				}
				if occluded && dns.IsSubDomain(o.apex, t) {
					m.Extra = append(m.Extra, o.rrs[t][dns.TypeA]...)
					m.Extra = append(m.Extra, o.rrs[t][dns.TypeAAAA]...)
				}
			}
			break
		}
		if redirect != "" {
			d := o.rrs[redirect][dns.TypeDNAME][0].(*dns.DNAME)
			if !led[redirect] {
				led[redirect] = true
				m.Answer = append(m.Answer, o.set(redirect, dns.TypeDNAME, do)...)
			}
			target := owner[:len(owner)-len(redirect)] + d.Target
			if _, err := dns.PackDomainName(target, make([]byte, 300), 0, nil, false); err != nil {
				m.Rcode = dns.RcodeYXDomain
				break
			}
			m.Answer = append(m.Answer, &dns.CNAME{Hdr: dns.RR_Header{Name: owner, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: d.Hdr.Ttl}, Target: target})
			owner, name = target, strings.ToLower(target)
			if qtype == dns.TypeCNAME || hops >= maxChain || !dns.IsSubDomain(o.apex, name) {
				break
			}
			continue
		}
		source := name
		if !o.exists(name) {
			encloser, next := up(name), name
			for !o.exists(encloser) {
				next, encloser = encloser, up(encloser)
			}
			source = "*." + encloser
			if do && o.nsec3() {
				proofs = append(proofs, next)
			} else if do {
				proofs = append(proofs, name)
			}
			if !o.exists(source) {
				m.Rcode = dns.RcodeNameError
				m.Ns = append(m.Ns, o.negativeSOA(do)...)
				if do {
					m.Ns = append(m.Ns, o.deny(source)...)
					if o.nsec3() {
						m.Ns = append(m.Ns, o.deny(encloser)...)
					}
				}
				break
			}
			above = encloser
		}
		if qtype == dns.TypeANY && o.rrs[source] != nil {
			m.Answer = append(m.Answer, renamed(o.any(source, do), owner)...)
			break
		}
		if qtype == dns.TypeRRSIG && len(o.sigs[source]) > 0 {
			sigs := slices.DeleteFunc(o.any(source, true), func(rr dns.RR) bool { return rr.Header().Rrtype != dns.TypeRRSIG })
			m.Answer = append(m.Answer, renamed(sigs, owner)...)
			break
		}
		if set := o.set(source, qtype, do); len(set) > 0 && len(o.rrs[source][qtype]) > 0 {
			m.Answer = append(m.Answer, renamed(set, owner)...)
			break
		}
		if c := o.rrs[source][dns.TypeCNAME]; c != nil {
			m.Answer = append(m.Answer, renamed(o.set(source, dns.TypeCNAME, do), owner)...)
			owner = c[0].(*dns.CNAME).Target
			name = strings.ToLower(owner)
			if hops >= maxChain || !dns.IsSubDomain(o.apex, name) {
				break
			}
			continue
		}
		m.Ns = append(m.Ns, o.negativeSOA(do)...)
		if do {
			m.Ns = append(m.Ns, o.deny(source)...)
			if above != "" && o.nsec3() {
				m.Ns = append(m.Ns, o.deny(above)...)
			}
		}
		break
	}
	for _, p := range proofs {
		m.Ns = append(m.Ns, o.deny(p)...)
	}
	return m
}

// any is the set RFC 8482 lets us choose: the one that takes the fewest bytes,
// the first type among equals.
func (o *oracle) any(name string, do bool) []dns.RR {
	best, size := uint16(0), 1<<30
	types := []uint16{}
	for typ := range o.rrs[name] {
		if typ != dns.TypeNSEC {
			types = append(types, typ)
		}
	}
	slices.Sort(types)
	if i := slices.Index(types, dns.TypeSOA); i >= 0 { // from the head, and so last
		types = append(slices.Delete(types, i, i+1), dns.TypeSOA)
	}
	for _, typ := range types {
		n := 0
		for _, rr := range o.set(name, typ, true) {
			n += len(rdata(rr)) + 12
		}
		if n < size {
			best, size = typ, n
		}
	}
	return o.set(name, best, do)
}

func rdata(rr dns.RR) []byte {
	buf := make([]byte, 65536)
	c := dns.Copy(rr)
	c.Header().Name = "."
	n, err := dns.PackRR(c, buf, 0, nil, false)
	if err != nil {
		panic(err)
	}
	return slices.Clone(buf[11:n])
}
