package dns

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"pgregory.net/rapid"

	"github.com/edgewright/edgewright/control/dnssec"
	"github.com/edgewright/edgewright/edgeconfig"
)

var signedAt = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// signed signs a zone as the control plane does, and gives its records back for
// the oracle.
func signed(t tester, previous *dnssec.Signed, c content, key *dnssec.Key, denial string) (*dnssec.Signed, content, []dns.RR) {
	t.Helper()
	s, err := dnssec.Sign(previous, c.head, c.names, []*dnssec.Key{key}, dnssec.Policy{Denial: denial}, signedAt)
	if err != nil {
		t.Fatalf("%v", err)
	}
	out := content{head: s.Head, names: s.Names, nsec3: s.NSEC3}
	return s, out, out.records(t)
}

// records is the zone as a list.
func (c *content) records(t tester) (out []dns.RR) {
	apex := c.head.Name + "."
	add := func(owner string, typ uint16, ttl uint32, data, sigs [][]byte) {
		for i, d := range append(slices.Clone(data), sigs...) {
			as := typ
			if i >= len(data) {
				as = dns.TypeRRSIG
			}
			rr, _, err := dns.UnpackRRWithHeader(dns.RR_Header{Name: owner, Rrtype: as, Class: dns.ClassINET, Ttl: ttl, Rdlength: uint16(len(d))}, d, 0)
			if err != nil {
				t.Fatalf("%v", err)
			}
			out = append(out, rr)
		}
	}
	soa, err := c.head.SOA.Pack()
	if err != nil {
		t.Fatalf("%v", err)
	}
	add(apex, dns.TypeSOA, c.head.SOA.TTL, [][]byte{soa}, c.head.SOASigs)
	for _, n := range c.names {
		owner := apex
		if n.Name != "@" {
			owner = n.Name + "." + apex
		}
		for _, s := range n.Sets {
			add(owner, s.Type, s.TTL, s.Data, s.Sigs)
		}
	}
	for _, n := range c.nsec3 {
		add(strings.ToLower(base32hex.EncodeToString(n.Hash))+"."+apex, dns.TypeNSEC3, n.TTL, [][]byte{n.Data}, n.Sigs)
	}
	return out
}

func key(t tester) *dnssec.Key {
	k, err := dnssec.Generate(dnssec.CSK, dnssec.Ed25519)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return k
}

func TestAnswersOfASignedZone(t *testing.T) {
	const apex = "example.com."
	for _, denial := range []string{edgeconfig.DenialNSEC, edgeconfig.DenialNSEC3} {
		s := testResponder()
		_, c, rrs := signed(t, nil, contentOf(t, "zon_1", apex, records(t, apex, soaLine+fullZone)), key(t), denial)
		apply(t, s.zones, c.documents(t, 1))
		o := newOracle(apex, rrs)
		for _, n := range []string{"", "mail.", "www.", "gone.", "deep.", "loop1.", "x.wild.", "x.y.wild.", "*.wild.", "p.alias.", "ent.", "b.ent.", "x.b.ent.", "sub.", "x.sub.", "other.", "q.other.", "into.", "nothing.", "a.nothing.", "0.", "zzz."} {
			for _, typ := range []uint16{dns.TypeA, dns.TypeMX, dns.TypeCNAME, dns.TypeDS, dns.TypeNS, dns.TypeSOA, dns.TypeANY, dns.TypeNSEC, dns.TypeDNSKEY, dns.TypeCDS, dns.TypeNSEC3PARAM, dns.TypeRRSIG} {
				for _, do := range []bool{false, true} {
					label := fmt.Sprintf("%s: %s%s %s DO=%v", denial, n, apex, dns.TypeToString[typ], do)
					same(t, label, exchange(t, s, question(n+apex, typ, do), true), o.answer(n+apex, typ, do))
				}
			}
		}
	}
}

// TestDenialsProve checks what a validator checks, with nothing of the oracle's:
// the records of a negative answer deny the name, and their signatures verify.
func TestDenialsProve(t *testing.T) {
	const apex = "example.com."
	k := key(t)
	dnskey := k.DNSKEY(apex, 3600)
	for _, denial := range []string{edgeconfig.DenialNSEC, edgeconfig.DenialNSEC3} {
		s := testResponder()
		_, c, _ := signed(t, nil, contentOf(t, "zon_1", apex, records(t, apex, soaLine+fullZone)), k, denial)
		apply(t, s.zones, c.documents(t, 1))
		for _, n := range []string{"nothing.", "a.b.nothing.", "0.", "zzz.", "x.mail.", "ent.", "mail.", "q.other.", "x.wild."} {
			m := exchange(t, s, question(n+apex, dns.TypeTXT, true), true)
			sets := map[string][]dns.RR{}
			for _, rr := range m.Ns {
				if _, ok := rr.(*dns.RRSIG); !ok {
					id := rr.Header().Name + dns.TypeToString[rr.Header().Rrtype]
					sets[id] = append(sets[id], rr)
				}
			}
			verified, covered := 0, false
			for _, rr := range m.Ns {
				switch x := rr.(type) {
				case *dns.RRSIG:
					set := sets[x.Hdr.Name+dns.TypeToString[x.TypeCovered]]
					if x.Hdr.Ttl != set[0].Header().Ttl {
						t.Errorf("%s: the signature's TTL %d is not that of the set, %d", n, x.Hdr.Ttl, set[0].Header().Ttl)
					}
					if x.TypeCovered == dns.TypeSOA {
						if x.Hdr.Ttl != 300 {
							t.Errorf("%s: the SOA is cached for %d seconds", n, x.Hdr.Ttl)
						}
						// The set is verified with its original TTL (RFC 4035 section 5.3.3), which the signature knows.
					}
					if err := x.Verify(dnskey, set); err != nil {
						t.Errorf("%s %s: %s: %v", denial, n, x.Hdr.Name, err)
					}
					verified++
				case *dns.NSEC3:
					covered = covered || x.Cover(n+apex) || x.Match(n+apex) || m.Rcode == dns.RcodeNameError
				case *dns.NSEC:
					covered = covered || canonical(x.Hdr.Name, n+apex) <= 0 && (x.NextDomain == apex || canonical(n+apex, x.NextDomain) < 0)
				}
			}
			if (verified < 2 || !covered) && n != "q.other." {
				t.Errorf("%s %s: %d signatures, covered %v\n%v", denial, n, verified, covered, m)
			}
		}
	}
}

func TestRandomSignedZonesAgreeWithTheOracle(t *testing.T) {
	k := key(t)
	rapid.Check(t, func(t *rapid.T) {
		const apex = "example.com."
		denial := rapid.SampledFrom([]string{edgeconfig.DenialNSEC, edgeconfig.DenialNSEC3}).Draw(t, "denial")
		s := testResponder()
		var previous *dnssec.Signed
		parts := 0
		for version := range 3 {
			c := contentOf(t, "zon_1", apex, randomZone(t, apex))
			c.head.SOA.Serial = uint32(version) + 1
			var rrs []dns.RR
			previous, c, rrs = signed(t, previous, c, k, denial)
			c.head.Parts = parts
			docs := c.documents(t, int64(version)+1)
			parts = c.head.Parts
			apply(t, s.zones, docs)
			askAll(t, s, newOracle(apex, rrs), fmt.Sprint(denial, " version ", version))
		}
	})
}
