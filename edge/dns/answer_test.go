package dns

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"pgregory.net/rapid"
)

const fullZone = `
@ IN NS ns1
@ IN NS ns.elsewhere.net.
@ IN MX 10 mail
@ IN TXT "v=spf1 -all"
ns1 IN A 192.0.2.1
mail IN A 192.0.2.2
mail IN AAAA 2001:db8::2
www IN CNAME mail
out IN CNAME www.elsewhere.net.
gone IN CNAME nothing
deep IN CNAME x.y.wild
loop1 IN CNAME loop2
loop2 IN CNAME loop1
*.wild IN A 192.0.2.9
*.wild IN MX 5 mail.wild
*.alias IN CNAME mail
a.b.ent IN TXT "below"
sub IN NS ns.sub
sub IN NS ns.other
sub IN DS 12345 13 2 0123456789012345678901234567890123456789012345678901234567890123
ns.sub IN A 192.0.2.53
ns.sub IN AAAA 2001:db8::53
hidden.sub IN TXT "below the cut"
other IN NS ns.other
ns.other IN A 192.0.2.54
into IN CNAME www.sub
big IN TXT "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
_sip._tcp IN SRV 1 2 5060 mail
Mixed IN TXT "Case"
`

func TestAnswersOfAnUnsignedZone(t *testing.T) {
	const apex = "example.com."
	s := serve(t, map[string]string{apex: fullZone})
	o := newOracle(apex, records(t, apex, soaLine+fullZone))
	names := []string{
		"", "ns1.", "mail.", "www.", "WwW.", "out.", "gone.", "deep.", "loop1.", "wild.", "x.wild.", "x.y.wild.", "*.wild.", "a.*.wild.", "p.alias.", "ent.", "b.ent.", "a.b.ent.", "x.b.ent.",
		"sub.", "x.sub.", "ns.sub.", "hidden.sub.", "a.hidden.sub.", "other.", "ns.other.", "into.", "big.", "_sip._tcp.", "_tcp.", "mixed.", "nothing.", "a.nothing.", "0.",
	}
	for _, n := range names {
		for _, typ := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeCNAME, dns.TypeMX, dns.TypeNS, dns.TypeSOA, dns.TypeTXT, dns.TypeDS, dns.TypeANY, dns.TypeSRV, dns.TypeNSEC, dns.TypeRRSIG, 65280} {
			for _, do := range []bool{false, true} {
				q := question(n+apex, typ, do)
				same(t, fmt.Sprintf("%s%s %s DO=%v", n, apex, dns.TypeToString[typ], do), exchange(t, s, q, false), o.answer(n+apex, typ, do))
			}
		}
	}
}

// randomZone draws a zone whose names are few, so that names, wildcards, cuts
// and aliases meet.
func randomZone(t *rapid.T, apex string) []dns.RR {
	labels := []string{"a", "b", "c", "*", "d\\.e", "\\000", "zz"}
	name := func(tag string) string {
		n := apex
		for i := range rapid.IntRange(0, 3).Draw(t, tag+"depth") {
			n = rapid.SampledFrom(labels).Draw(t, fmt.Sprint(tag, i)) + "." + n
		}
		return n
	}
	var text strings.Builder
	text.WriteString(soaLine + "@ IN NS ns1\nns1 IN A 192.0.2.1\n")
	kinds := map[string]string{}
	for range rapid.IntRange(1, 25).Draw(t, "records") {
		n := name("owner")
		kind := rapid.SampledFrom([]string{"data", "data", "data", "CNAME", "NS", "DNAME"}).Draw(t, "kind")
		if kinds[n] == "" {
			kinds[n] = kind
		}
		switch kinds[n] {
		case "CNAME":
			if n != apex && kind == "CNAME" && kinds[n+"!"] == "" {
				kinds[n+"!"] = "x"
				fmt.Fprintf(&text, "%s IN CNAME %s\n", n, name("target"))
			}
		case "NS":
			if n != apex && n[0] != '*' {
				fmt.Fprintf(&text, "%s IN NS %s\n", n, name("server"))
				if rapid.Bool().Draw(t, "ds") && kinds[n+"!"] == "" {
					kinds[n+"!"] = "x"
					fmt.Fprintf(&text, "%s IN DS 1 13 2 %s\n", n, strings.Repeat("ab", 32))
				}
			}
		case "DNAME":
			if n[0] != '*' && kinds[n+"!"] == "" {
				kinds[n+"!"] = "x"
				fmt.Fprintf(&text, "%s IN DNAME %s\n", n, name("target"))
			}
		default:
			last := rapid.IntRange(1, 9).Draw(t, "last")
			switch rapid.IntRange(0, 3).Draw(t, "type") {
			case 0:
				fmt.Fprintf(&text, "%s IN A 192.0.2.%d\n", n, last)
			case 1:
				fmt.Fprintf(&text, "%s IN AAAA 2001:db8::%d\n", n, last)
			case 2:
				fmt.Fprintf(&text, "%s IN MX %d %s\n", n, last, name("mx"))
			case 3:
				fmt.Fprintf(&text, "%s IN TXT \"%d\"\n", n, last)
			}
		}
	}
	return unique(records(t, apex, text.String()))
}

func unique(rrs []dns.RR) []dns.RR { return dns.Dedup(rrs, nil) }

func askAll(t *rapid.T, s *responder, o *oracle, label string) {
	t.Helper()
	names := []string{o.apex}
	for n := range o.rrs {
		names = append(names, n, "q."+n, "a."+n, "q.r."+n, up(n))
	}
	slices.Sort(names)
	names = slices.Compact(names)
	stride := len(names)/12 + 1 // a dozen of them, so that zones rather than questions are many
	offset := rapid.IntRange(0, stride-1).Draw(t, "offset")
	for i, n := range names {
		if i%stride != offset || !dns.IsSubDomain(o.apex, n) {
			continue
		}
		for _, typ := range []uint16{dns.TypeA, dns.TypeMX, dns.TypeTXT, dns.TypeNS, dns.TypeDS, dns.TypeCNAME, dns.TypeANY, dns.TypeSOA} {
			for _, do := range []bool{false, true} {
				q := question(randomCase(n), typ, do)
				same(t, fmt.Sprintf("%s: %s %s DO=%v", label, n, dns.TypeToString[typ], do), exchange(t, s, q, true), o.answer(n, typ, do))
			}
		}
	}
}

// randomCase is 0x20, which escapes are left out of.
func randomCase(n string) string {
	if strings.Contains(n, "\\") {
		return n
	}
	b := []byte(n)
	for i, c := range b {
		if c >= 'a' && c <= 'z' && rand.IntN(2) == 0 {
			b[i] = c - 32
		}
	}
	return string(b)
}

func TestRandomZonesAgreeWithTheOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const apex = "example.com."
		s := testResponder()
		var c content
		for version := range 3 {
			rrs := randomZone(t, apex)
			parts := c.head.Parts
			c = contentOf(t, "zon_1", apex, rrs)
			c.head.Parts = parts
			c.head.SOA.Serial = uint32(version) + 1
			apply(t, s.zones, c.documents(t, int64(version)+1))
			rrs[0].(*dns.SOA).Serial = c.head.SOA.Serial
			askAll(t, s, newOracle(apex, rrs), fmt.Sprint("version ", version))
		}
	})
}
