package dns

import (
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/edgeconfig"
)

const dnameZone = `
@ IN NS ns1
ns1 3600 IN A 192.0.2.1
www.new IN A 192.0.2.2
old 600 IN DNAME new
old IN TXT "beside"
hidden.old IN A 192.0.2.9
long IN DNAME ` + "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy.zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz.example.net." + `
out IN DNAME there.example.net.
one IN DNAME a.one
into IN DNAME sub
sub IN NS ns.sub
ns.sub IN A 192.0.2.3
`

func TestDNAME(t *testing.T) {
	s := serve(t, map[string]string{"example.com.": dnameZone})
	ask := func(name string, typ uint16) (m *dns.Msg, answers []string) {
		t.Helper()
		m = exchange(t, s, question(name+".example.com.", typ, false), true)
		for _, rr := range m.Answer {
			answers = append(answers, strings.Join(strings.Fields(rr.String()), " "))
		}
		return m, answers
	}
	for _, c := range []struct {
		name    string
		typ     uint16
		rcode   int
		answers []string
	}{
		{"WWW.old", dns.TypeA, dns.RcodeSuccess, []string{"old.example.com. 600 IN DNAME new.example.com.", "WWW.old.example.com. 600 IN CNAME WWW.new.example.com.", "www.new.example.com. 3600 IN A 192.0.2.2"}},
		{"www.old", dns.TypeCNAME, dns.RcodeSuccess, []string{"old.example.com. 600 IN DNAME new.example.com.", "www.old.example.com. 600 IN CNAME www.new.example.com."}},
		{"www.old", dns.TypeMX, dns.RcodeSuccess, []string{"old.example.com. 600 IN DNAME new.example.com.", "www.old.example.com. 600 IN CNAME www.new.example.com."}},
		{"no.old", dns.TypeA, dns.RcodeNameError, []string{"old.example.com. 600 IN DNAME new.example.com.", "no.old.example.com. 600 IN CNAME no.new.example.com."}},
		{"hidden.old", dns.TypeA, dns.RcodeNameError, []string{"old.example.com. 600 IN DNAME new.example.com.", "hidden.old.example.com. 600 IN CNAME hidden.new.example.com."}},
		{"old", dns.TypeDNAME, dns.RcodeSuccess, []string{"old.example.com. 600 IN DNAME new.example.com."}},
		{"old", dns.TypeTXT, dns.RcodeSuccess, []string{`old.example.com. 600 IN TXT "beside"`}},
		{"old", dns.TypeA, dns.RcodeSuccess, nil},
		{"a.b.out", dns.TypeA, dns.RcodeSuccess, []string{"out.example.com. 600 IN DNAME there.example.net.", "a.b.out.example.com. 600 IN CNAME a.b.there.example.net."}},
		{strings.Repeat("l", 63) + ".long", dns.TypeA, dns.RcodeYXDomain, []string{"long.example.com. 600 IN DNAME " + dnameTarget(t)}},
	} {
		m, answers := ask(c.name, c.typ)
		if m.Rcode != c.rcode || !m.Authoritative || !equalFoldOwner(answers, c.answers) {
			t.Errorf("%s %s: %s %q, want %s %q", c.name, dns.TypeToString[c.typ], dns.RcodeToString[m.Rcode], answers, dns.RcodeToString[c.rcode], c.answers)
		}
	}
	// It leads on into itself: each hop has its CNAME, and the DNAME is there once.
	m, answers := ask("x.one", dns.TypeA)
	if m.Rcode != dns.RcodeSuccess || len(answers) != maxChain+2 || !has(m.Answer[:1], dns.TypeDNAME) || has(m.Answer[1:], dns.TypeDNAME) {
		t.Errorf("a DNAME into itself: %v", m)
	}
	if m, _ := ask("x.into", dns.TypeA); len(m.Answer) != 2 || !has(m.Ns, dns.TypeNS) {
		t.Errorf("into a delegation: %v", m)
	}
	// What it leads to is compiled anew when it goes.
	c := contentOf(t, "zon_example_com_", "example.com.", records(t, "example.com.", soaLine+strings.Replace(dnameZone, "old 600 IN DNAME new\n", "", 1)))
	c.head.SOA.Serial = 2
	apply(t, s.zones, c.documents(t, 2))
	if _, answers := ask("hidden.old", dns.TypeA); len(answers) != 1 || !strings.HasSuffix(answers[0], "192.0.2.9") {
		t.Errorf("what was below a DNAME that went: %v", answers)
	}
}

func equalFoldOwner(got, want []string) bool {
	if len(got) != len(want) {
		return false
	}
	for i := range got {
		if !strings.EqualFold(got[i], want[i]) {
			return false
		}
	}
	return true
}

func dnameTarget(t *testing.T) string {
	for _, rr := range records(t, "example.com.", dnameZone) {
		if d, is := rr.(*dns.DNAME); is && d.Hdr.Name == "long.example.com." {
			return d.Target
		}
	}
	t.Fatal("no such record")
	return ""
}

// The record is signed, the CNAME that it means is not, whatever way the zone
// denies by.
func TestSignedDNAME(t *testing.T) {
	for _, denial := range []string{edgeconfig.DenialNSEC, edgeconfig.DenialNSEC3} {
		s := testResponder()
		_, c, _ := signed(t, nil, contentOf(t, "zon_1", "example.com.", records(t, "example.com.", soaLine+dnameZone)), key(t), denial)
		apply(t, s.zones, c.documents(t, 1))
		m := exchange(t, s, question("www.old.example.com.", dns.TypeA, true), true)
		var covered []string
		for _, rr := range m.Answer {
			if sig, is := rr.(*dns.RRSIG); is {
				covered = append(covered, dns.TypeToString[sig.TypeCovered])
			}
		}
		if strings.Join(covered, " ") != "DNAME A" || len(m.Answer) != 5 || len(m.Ns) != 0 {
			t.Errorf("%s: %v", denial, m)
		}
		m = exchange(t, s, question("old.example.com.", dns.TypeA, true), true)
		if !strings.Contains(m.String(), "DNAME TXT") && !strings.Contains(m.String(), "TXT DNAME") && !strings.Contains(m.String(), "TXT RRSIG DNAME") && !strings.Contains(m.String(), "DNAME RRSIG") {
			t.Errorf("%s: the denial does not tell of the DNAME: %v", denial, m)
		}
	}
}

func TestDNAMEAllocatesNothing(t *testing.T) {
	s := serve(t, map[string]string{"example.com.": dnameZone})
	wire, err := question("www.old.example.com.", dns.TypeA, false).Pack()
	if err != nil {
		t.Fatal(err)
	}
	c, k, b := new(compose), new(counters), make([]byte, udpSlot)
	if n := testing.AllocsPerRun(100, func() { s.answer(c, k, b, copy(b, wire), testClient, false) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
