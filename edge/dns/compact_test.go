package dns

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/control/dnssec"
	"github.com/edgewright/edgewright/control/zones/build"
	"github.com/edgewright/edgewright/edgeconfig"
)

const compactZone = `
@ IN NS ns1
ns1 IN A 192.0.2.1
www IN A 192.0.2.2
a.ent IN A 192.0.2.3
*.wild IN A 192.0.2.4
*.wild IN MX 10 Mail.example.com.
*.alias IN CNAME www
*.lost IN CNAME nothing
sub IN NS ns.elsewhere.net.
`

// compactly serves compactZone as the control plane signs it. Without a signer,
// the zone's keys have not arrived.
func compactly(t *testing.T, signing bool) (*responder, *dnssec.Key) {
	t.Helper()
	const apex = "example.com."
	k, err := dnssec.Generate(dnssec.CSK, dnssec.ECDSAP256)
	if err != nil {
		t.Fatal(err)
	}
	s := testResponder()
	c := contentOf(t, "zon_1", apex, records(t, apex, soaLine+compactZone))
	z, err := build.New("zon_1", "example.com", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range c.names {
		for i := range n.Sets { // the control plane's data is in canonical form
			for j, d := range n.Sets[i].Data {
				if n.Sets[i].Type == dns.TypeMX {
					n.Sets[i].Data[j] = []byte(lowerString(d))
				}
			}
		}
		if err := z.Set(n.Name, n.Sets); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := z.Build(&build.Signing{Keys: []*dnssec.Key{k}, Denial: edgeconfig.DenialCompact, KeyTTL: 3600}, 300, s.now()); err != nil {
		t.Fatal(err)
	}
	head, err := z.Seal("default", "production", c.head.SOA, s.now())
	if err != nil {
		t.Fatal(err)
	}
	var docs []edgeconfig.Document
	for i, body := range z.Bodies() {
		docs = append(docs, document(edgeconfig.ZonePartKey("zon_1", i), 1, body))
	}
	body, err := json.Marshal(&head)
	if err != nil {
		t.Fatal(err)
	}
	apply(t, s.zones, append(docs, document(edgeconfig.ZoneKey("zon_1"), 1, body)))
	if signing {
		der, err := k.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		signer, err := NewSigner(&edgeconfig.ZoneKeys{Zone: "zon_1", Keys: []edgeconfig.ZoneSigningKey{{Tag: k.DNSKEY(apex, 0).KeyTag(), Algorithm: k.Algorithm}}}, [][]byte{der})
		if err != nil {
			t.Fatal(err)
		}
		s.zones.PutSigner(signer)
	}
	return s, k
}

// proofs checks every signature of an answer and returns its NSEC records.
func proofs(t *testing.T, label string, m *dns.Msg, k *dnssec.Key, at time.Time) (nsec []*dns.NSEC) {
	t.Helper()
	all := append(slices.Clone(m.Answer), m.Ns...)
	for _, rr := range all {
		if n, ok := rr.(*dns.NSEC); ok {
			nsec = append(nsec, n)
		}
		if _, ok := rr.(*dns.RRSIG); ok {
			continue
		}
		var set []dns.RR
		verified := false
		for _, other := range all {
			if sig, ok := other.(*dns.RRSIG); ok && sig.TypeCovered == rr.Header().Rrtype && strings.EqualFold(sig.Hdr.Name, rr.Header().Name) {
				set = set[:0]
				for _, o := range all {
					if o.Header().Rrtype == rr.Header().Rrtype && strings.EqualFold(o.Header().Name, rr.Header().Name) {
						set = append(set, o)
					}
				}
				if err := sig.Verify(k.DNSKEY("example.com.", 3600), set); err != nil || !sig.ValidityPeriod(at) {
					t.Errorf("%s: %s: %v", label, sig, err)
				}
				if int(sig.Labels) != dns.CountLabel(sig.Hdr.Name) && !strings.HasPrefix(sig.Hdr.Name, "*") {
					t.Errorf("%s: %s is signed for a wildcard: nothing here proves that the name has none of its own", label, sig)
				}
				verified = true
			}
		}
		if !verified && rr.Header().Rrtype != dns.TypeNS {
			t.Errorf("%s: %s is not signed", label, rr)
		}
	}
	return nsec
}

func TestCompactDenial(t *testing.T) {
	s, k := compactly(t, true)
	for _, test := range []struct {
		name    string
		typ     uint16
		answers int
		owner   string // of the NSEC record; "": there is none
		types   string
	}{
		{"www", dns.TypeTXT, 0, "www", "A RRSIG NSEC"},
		{"WwW", dns.TypeMX, 0, "WwW", "A RRSIG NSEC"},
		{"nothing", dns.TypeA, 0, "nothing", "RRSIG NSEC NXNAME"},
		{"a.b.NoThing", dns.TypeTXT, 0, "a.b.NoThing", "RRSIG NSEC NXNAME"},
		{"*.nothing", dns.TypeTXT, 0, "*.nothing", "RRSIG NSEC NXNAME"},
		{"x.a.ent", dns.TypeNSEC, 0, "x.a.ent", "RRSIG NSEC NXNAME"},
		{"ent", dns.TypeA, 0, "ent", "RRSIG NSEC"},
		{"wild", dns.TypeA, 0, "wild", "RRSIG NSEC"},
		{"x.wild", dns.TypeA, 1, "", ""},
		{"X.y.Wild", dns.TypeMX, 1, "", ""},
		{"x.wild", dns.TypeTXT, 0, "x.wild", "A MX RRSIG NSEC"},
		{"x.wild", dns.TypeNSEC, 0, "x.wild", "A MX RRSIG NSEC"},
		{"*.wild", dns.TypeA, 1, "", ""},
		{"x.alias", dns.TypeA, 2, "", ""},
		{"x.alias", dns.TypeTXT, 1, "www", "A RRSIG NSEC"},
		{"x.lost", dns.TypeTXT, 1, "nothing", "RRSIG NSEC NXNAME"},
		{"sub", dns.TypeDS, 0, "sub", "NS RRSIG NSEC"},
		{"x.sub", dns.TypeA, 0, "sub", "NS RRSIG NSEC"}, // a referral
	} {
		for _, co := range []bool{false, true} {
			q := question(test.name+".example.com.", test.typ, true)
			if co {
				q.IsEdns0().Hdr.Ttl |= 1 << 14
			}
			m := exchange(t, s, q, false)
			label := test.name + " " + dns.TypeToString[test.typ]
			nsec := proofs(t, label, m, k, s.now())
			got := 0
			for _, rr := range m.Answer {
				if rr.Header().Rrtype != dns.TypeRRSIG {
					got++
				}
			}
			want := dns.RcodeSuccess
			if co && strings.Contains(test.types, "NXNAME") {
				want = dns.RcodeNameError
			}
			if m.Rcode != want || got != test.answers || m.IsEdns0().Hdr.Ttl&(1<<14) != 0 != co {
				t.Errorf("%s, CO %v: %d answers\n%v", label, co, got, m)
			}
			switch {
			case test.owner == "" && len(nsec) == 0:
			case test.owner == "" || len(nsec) != 1 || nsec[0].Hdr.Name != test.owner+".example.com.":
				t.Errorf("%s: %v", label, nsec)
			default:
				var types []string
				for _, typ := range nsec[0].TypeBitMap {
					types = append(types, dns.TypeToString[typ])
				}
				if strings.Join(types, " ") != test.types || nsec[0].NextDomain != `\000.`+strings.ToLower(test.owner)+".example.com." {
					t.Errorf("%s: %v", label, nsec[0])
				}
			}
		}
	}
	// Who does not ask for signatures gets what it always got.
	if m := exchange(t, s, question("nothing.example.com.", dns.TypeA, false), false); m.Rcode != dns.RcodeNameError || len(m.Ns) != 1 {
		t.Errorf("%v", m)
	}
	m := exchange(t, s, question("www.example.com.", dns.TypeNXNAME, true), false)
	if m.Rcode != dns.RcodeFormatError || !strings.Contains(m.IsEdns0().String(), "30") {
		t.Errorf("asked for NXNAME: %v", m)
	}
	// The longest names have a successor, or fail.
	long := strings.Repeat(strings.Repeat("a", 49)+".", 4)
	for n := 38; n <= 41; n++ {
		m := exchange(t, s, question(strings.Repeat("b", n)+"."+long+"example.com.", dns.TypeA, true), false)
		if proofs(t, "long", m, k, s.now()); m.Rcode != dns.RcodeSuccess {
			t.Errorf("%v", m)
		}
	}
}

func TestSignaturesAreRememberedAndBounded(t *testing.T) {
	s, _ := compactly(t, true)
	q := question("nothing.example.com.", dns.TypeA, true)
	first := exchangeWire(s, wireOf(t, q), false)
	if again := exchangeWire(s, wireOf(t, q), false); string(first) != string(again) || s.zones.online.total.Load() != 1 {
		t.Errorf("%d signatures for one question asked twice", s.zones.online.total.Load())
	}
	for i := range onlinePerSecond - 1 {
		if !s.zones.online.allowed(1, uint32(s.now().Unix()), false) {
			t.Fatalf("the budget ends after %d", i)
		}
	}
	other := question("other.example.com.", dns.TypeA, true)
	if m := exchange(t, s, other, false); !m.Truncated || len(m.Ns) > 0 {
		t.Errorf("beyond the budget: %v", m)
	}
	if m := exchange(t, s, q, false); m.Truncated || len(m.Ns) == 0 {
		t.Errorf("what is remembered takes none of the budget: %v", m)
	}
	if m := exchange(t, s, question("www.example.com.", dns.TypeTXT, true), false); m.Truncated || len(m.Ns) == 0 {
		t.Errorf("names that are there need none: %v", m)
	}
	if m := exchange(t, s, other, true); m.Truncated || len(m.Ns) == 0 {
		t.Errorf("who came over TCP: %v", m)
	}
	for s.zones.online.allowed(1, uint32(s.now().Unix()), true) {
	}
	if m := exchange(t, s, question("third.example.com.", dns.TypeA, true), true); m.Rcode != dns.RcodeServerFailure {
		t.Errorf("beyond TCP's budget: %v", m)
	}
}

func TestWithoutKeysCompactZonesAnswerForWhatTheyHave(t *testing.T) {
	s, k := compactly(t, false)
	if m := exchange(t, s, question("nothing.example.com.", dns.TypeA, true), false); m.Rcode != dns.RcodeServerFailure || m.Authoritative || len(m.Answer)+len(m.Ns) > 0 {
		t.Errorf("%v", m)
	}
	for _, typ := range []uint16{dns.TypeA, dns.TypeTXT} {
		m := exchange(t, s, question("www.example.com.", typ, true), false)
		if proofs(t, "www", m, k, s.now()); m.Rcode != dns.RcodeSuccess {
			t.Errorf("%v", m)
		}
	}
}

func wireOf(t *testing.T, m *dns.Msg) []byte {
	t.Helper()
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}
