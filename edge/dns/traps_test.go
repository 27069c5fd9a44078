package dns

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/edgeconfig"
)

const apex = "example.com."

func full(t tester) *responder { return serve(t, map[string]string{apex: fullZone}) }

func option[T dns.EDNS0](m *dns.Msg) (out T, ok bool) {
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if v, is := o.(T); is {
				return v, true
			}
		}
	}
	return out, false
}

func TestTheQuestionIsEchoedByteByByte(t *testing.T) {
	s := full(t)
	for _, n := range []string{"MaIl.ExAmPlE.cOm.", "X.WiLd.eXample.com.", "NoThInG.example.COM.", "wWw.Example.Com."} {
		q, _ := question(n, dns.TypeA, false).Pack()
		a := exchangeWire(s, q, false)
		if !bytes.Equal(a[12:len(q)], q[12:]) || !bytes.Equal(a[:2], q[:2]) {
			t.Errorf("%s: %x answers %x", n, a, q)
		}
	}
}

func TestUDPAnswersAreCutWhole(t *testing.T) {
	var text strings.Builder
	text.WriteString("@ IN NS ns1\n")
	for i := range 100 {
		fmt.Fprintf(&text, "many IN A 192.0.2.%d\n", i)
	}
	for i := range 25 {
		fmt.Fprintf(&text, "some IN A 192.0.2.%d\n", i)
	}
	s := serve(t, map[string]string{apex: text.String()})
	for _, c := range []struct {
		name    string
		size    uint16 // 0: no EDNS
		tcp, tc bool
	}{{"some", 0, false, false}, {"many", 0, false, true}, {"many", 512, false, true}, {"many", 1232, false, true}, {"many", 4096, false, true}, {"some", 100, false, false}, {"many", 4096, true, false}, {"many", 0, true, false}} {
		q := question(c.name+"."+apex, dns.TypeA, false)
		if c.size > 0 {
			q.SetEdns0(c.size, false)
		}
		wire, _ := q.Pack()
		raw := exchangeWire(s, wire, c.tcp)
		m := exchange(t, s, q, c.tcp)
		if m.Truncated != c.tc || c.tc && count(m.Answer) != 0 || !c.tc && count(m.Answer) == 0 || (m.IsEdns0() == nil) != (c.size == 0) {
			t.Errorf("%+v: TC %v, %d answers", c, m.Truncated, len(m.Answer))
		}
		if limit := max(512, min(int(c.size), 1232)); !c.tcp && len(raw) > limit {
			t.Errorf("%+v: %d bytes", c, len(raw))
		}
	}
}

// TestMessages is RFC 8906 and what surrounds it: bytes in, header and sections out.
func TestMessages(t *testing.T) {
	s := full(t)
	name := "04" + hex.EncodeToString([]byte("mail")) + "07" + hex.EncodeToString([]byte("example")) + "03" + hex.EncodeToString([]byte("com")) + "00"
	ask := name + "00010001"
	opt := func(version, flags, options string) string {
		return "00002904d000" + version + flags + fmt.Sprintf("%04x", len(options)/2) + options
	}
	plain := opt("00", "0000", "")
	for label, c := range map[string]struct{ in, out string }{
		"short":                     {"123400", ""},
		"an answer":                 {"12348000000100000000" + "0000" + ask, ""},
		"plain":                     {"123400000001000000000000" + ask, "12348400000100010000" + "0000"},
		"RD and CD are kept":        {"123401100001000000000000" + ask, "12348510000100010000" + "0000"},
		"AD and Z are not":          {"123400600001000000000000" + ask, "12348400000100010000" + "0000"},
		"RA, AA and TC are not":     {"123406800001000000000000" + ask, "12348400000100010000" + "0000"},
		"opcode 15":                 {"123478000001000000000000" + ask, "1234f8040000000000000000"},
		"NOTIFY of an address":      {"123424000001000000000000" + ask, "1234a0010001000000000000"},
		"NOTIFY":                    {"123424000001000000000000" + name + "00060001", "1234a0090001000000000000"},
		"NOTIFY, elsewhere":         {"123424000001000000000000" + "03636f6d0000060001", "1234a0090001000000000000"},
		"UPDATE":                    {"123428000001000000000000" + ask, "1234a8040000000000000000"},
		"no question":               {"123400000000000000000000", "123480010000000000000000"},
		"two questions":             {"123400000002000000000000" + ask + ask, "123480010000000000000000"},
		"no end of name":            {"12340000000100000000000003777777", "123480010000000000000000"},
		"pointer in question":       {"123400000001000000000000c00c00010001", "123480010000000000000000"},
		"long label":                {"12340000000100000000000040" + strings.Repeat("61", 64) + "0000010001", "123480010000000000000000"},
		"question cut":              {"123400000001000000000000" + name + "0001", "123480010000000000000000"},
		"something behind":          {"123400000001000000000000" + ask + "00", "12348001000100000000" + "0000"},
		"records missing":           {"123400000001000000000001" + ask, "12348001000100000000" + "0000"},
		"OPT":                       {"123400000001000000000001" + ask + plain, "12348400000100010000" + "0001"},
		"OPT twice":                 {"123400000001000000000002" + ask + plain + plain, "12348001000100000000" + "0000"},
		"OPT not of the root":       {"123400000001000000000001" + ask + "016100" + plain[2:], "12348001000100000000" + "0000"},
		"OPT in the answer section": {"123400000001000100000000" + ask + plain, "12348001000100000000" + "0000"},
		"OPT behind another record": {"123400000001000000000002" + ask + "0000010001000000000004c0000201" + plain, "12348400000100010000" + "0001"},
		"OPT before another record": {"123400000001000000000002" + ask + plain + "0000010001000000000004c0000201", "12348400000100010000" + "0001"},
		"BADVERS":                   {"123400000001000000000001" + ask + opt("01", "0000", ""), "12348000000100000000" + "0001"},
		"BADVERS, odd options":      {"123400000001000000000001" + ask + opt("64", "8000", "000a0000"), "12348000000100000000" + "0001"},
		"unknown option":            {"123400000001000000000001" + ask + opt("00", "0000", "0064000401020304"), "12348400000100010000" + "0001"},
		"unknown EDNS flag":         {"123400000001000000000001" + ask + opt("00", "0040", ""), "12348400000100010000" + "0001"},
		"option cut":                {"123400000001000000000001" + ask + opt("00", "0000", "00640004"), "12348001000100000000" + "0000"},
		"cookie of odd length":      {"123400000001000000000001" + ask + opt("00", "0000", "000a000101"), "12348001000100000000" + "0000"},
		"cookie without a question": {"123400000000000000000001" + opt("00", "0000", "000a00080102030405060708"), "12348000000000000000" + "0001"},
		"CHAOS":                     {"123400000001000000000000" + "0776657273696f6e0462696e6400" + "00100003", "12348005000100000000" + "0000"},
		"class ANY":                 {"123400000001000000000000" + name + "000100ff", "12348005000100000000" + "0000"},
		"AXFR":                      {"123400000001000000000000" + name + "00fc0001", "12348005000100000000" + "0000"},
		"MAILB":                     {"123400000001000000000000" + name + "00fd0001", "12348004000100000000" + "0000"},
		"type 0":                    {"123400000001000000000000" + name + "00000001", "12348001000100000000" + "0000"},
		"type OPT":                  {"123400000001000000000000" + name + "00290001", "12348001000100000000" + "0000"},
		"elsewhere":                 {"123400000001000000000000" + "03636f6d0000010001", "12348005000100000000" + "0000"},
		"the root":                  {"123400000001000000000000" + "0000020001", "12348005000100000000" + "0000"},
		"subnet with a host bit":    {"123400000001000000000001" + ask + opt("00", "0000", "00080007000117000a0001"), "12348001000100000000" + "0000"},
		"subnet with a scope":       {"123400000001000000000001" + ask + opt("00", "0000", "00080007000118180a0001"), "12348001000100000000" + "0000"},
		"subnet of family 9":        {"123400000001000000000001" + ask + opt("00", "0000", "0008000400090000"), "12348400000100010000" + "0001"},
		"TSIG not last":             {"123400000001000000000002" + ask + "0000fa00ff000000000000" + plain, "12348001000100000000" + "0000"},
	} {
		in, err := hex.DecodeString(c.in)
		if err != nil {
			t.Fatalf("%s: %v", label, err)
		}
		out := exchangeWire(s, in, false)
		if got := hex.EncodeToString(out[:min(len(out), headerSize)]); got != c.out {
			t.Errorf("%s: %s, want %s", label, got, c.out)
		}
		if len(out) > 0 {
			if err := new(dns.Msg).Unpack(out); err != nil {
				t.Errorf("%s: the answer %x: %v", label, out, err)
			}
		}
	}
}

func TestEDNSAnswers(t *testing.T) {
	s := full(t)
	q := question("mail."+apex, dns.TypeA, true)
	q.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_NSID{Code: dns.EDNS0NSID}}
	m := exchange(t, s, q, false)
	if id, ok := option[*dns.EDNS0_NSID](m); !ok || id.Nsid != hex.EncodeToString([]byte("edge-1")) || !m.IsEdns0().Do() || m.IsEdns0().UDPSize() != 1232 {
		t.Errorf("NSID: %v", m)
	}
	if m := exchange(t, s, question("mail."+apex, dns.TypeA, false), false); m.IsEdns0() != nil {
		t.Error("OPT for a client without EDNS")
	}
	q.IsEdns0().SetVersion(1)
	if m := exchange(t, s, q, false); m.Rcode != dns.RcodeBadVers || m.IsEdns0().Version() != 0 || len(m.IsEdns0().Option) != 0 {
		t.Errorf("BADVERS: %v", m)
	}
	refused := question("elsewhere.net.", dns.TypeA, true)
	if e, ok := option[*dns.EDNS0_EDE](exchange(t, s, refused, false)); !ok || e.InfoCode != dns.ExtendedErrorCodeNotAuthoritative {
		t.Error("no extended error for a refusal")
	}
	alive := question("mail."+apex, dns.TypeA, true)
	alive.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_TCP_KEEPALIVE{Code: dns.EDNS0TCPKEEPALIVE}}
	if k, ok := option[*dns.EDNS0_TCP_KEEPALIVE](exchange(t, s, alive, true)); !ok || k.Timeout != 100 {
		t.Errorf("keepalive over TCP: %v", k)
	}
	if _, ok := option[*dns.EDNS0_TCP_KEEPALIVE](exchange(t, s, alive, false)); ok {
		t.Error("keepalive over UDP")
	}
}

func TestCookies(t *testing.T) {
	// RFC 9018 appendix A.1.
	key := func(s string) (k [16]byte) { b, _ := hex.DecodeString(s); copy(k[:], b); return k }
	client := func(s string) (c [8]byte) { b, _ := hex.DecodeString(s); copy(c[:], b); return c }
	for _, c := range []struct {
		secret, client, address string
		at                      uint32
		want                    string
	}{
		{"e5e973e5a6b2a43f48e7dc849e37bfcf", "2464c4abcf10c957", "198.51.100.100", 1559731985, "010000005cf79f111f8130c3eee29480"},
	} {
		jar := cookieJar{[][16]byte{key(c.secret)}}
		got := jar.server(client(c.client), netip.MustParseAddr(c.address), c.at)
		if hex.EncodeToString(got[:]) != c.want {
			t.Errorf("%s: %x, want %s", c.address, got, c.want)
		}
	}
	// Appendix A.3: a cookie whose reserved bytes are not zero is good.
	sample := key("01abcdef5cf78f71a314227b6679ebf5")
	if jar := (cookieJar{[][16]byte{key("e5e973e5a6b2a43f48e7dc849e37bfcf")}}); !jar.valid(client("fc93fc62807ddb86"), sample[:], netip.MustParseAddr("203.0.113.203"), 1559727985) {
		t.Error("the cookie of appendix A.3 is not valid")
	}
	jar := cookieJar{[][16]byte{{1}}}
	from, now := netip.MustParseAddr("2001:db8::1"), uint32(1_800_000_000)
	cookie := jar.server([8]byte{1}, from, now)
	rotated := cookieJar{[][16]byte{{2}, {1}}}
	for label, ok := range map[string]bool{
		"":              jar.valid([8]byte{1}, cookie[:], from, now+3600),
		"rotated":       rotated.valid([8]byte{1}, cookie[:], from, now),
		"!expired":      jar.valid([8]byte{1}, cookie[:], from, now+3601),
		"!ahead":        jar.valid([8]byte{1}, cookie[:], from, now-301),
		"!other client": jar.valid([8]byte{2}, cookie[:], from, now),
		"!address":      jar.valid([8]byte{1}, cookie[:], from.Next(), now),
		"!secret":       (&cookieJar{[][16]byte{{3}}}).valid([8]byte{1}, cookie[:], from, now),
		"!length":       jar.valid([8]byte{1}, cookie[:15], from, now),
	} {
		if ok == strings.HasPrefix(label, "!") {
			t.Errorf("cookie %s: %v", label, ok)
		}
	}
	s := full(t)
	q := question("mail."+apex, dns.TypeA, true)
	q.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0102030405060708"}}
	c, ok := option[*dns.EDNS0_COOKIE](exchange(t, s, q, false))
	if !ok || len(c.Cookie) != 48 || !strings.HasPrefix(c.Cookie, "0102030405060708") {
		t.Fatalf("%v", c)
	}
	// With the cookie the client is not limited, without it is.
	s.limiter = newLimiter(RRL{Rate: 2, Slip: 2})
	without := question("mail."+apex, dns.TypeA, false)
	got := map[string]int{}
	for range 12 {
		switch m := exchange(t, s, without, false); {
		case m == nil:
			got["dropped"]++
		case m.Truncated && len(m.Answer) == 0:
			got["slipped"]++
		default:
			got["answered"]++
		}
	}
	if got["answered"] != 2 || got["slipped"] != 5 || got["dropped"] != 5 {
		t.Errorf("limit: %v", got)
	}
	q.IsEdns0().Option = []dns.EDNS0{c}
	for range 12 {
		if m := exchange(t, s, q, false); m == nil || m.Truncated {
			t.Fatal("a client with a good cookie is limited")
		}
	}
	if m := exchange(t, s, without, true); m == nil || len(m.Answer) != 1 {
		t.Error("TCP is limited")
	}
	s.limiter = newLimiter(RRL{Rate: 1, Exempt: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}})
	for range 5 {
		if exchange(t, s, without, false) == nil {
			t.Error("an exempt network is limited")
		}
	}
}

func TestUnknownTSIGKeys(t *testing.T) {
	s := full(t)
	q := question("mail."+apex, dns.TypeA, false)
	q.SetTsig("key.example.", dns.HmacSHA256, 300, 1_800_000_000)
	wire, _, err := dns.TsigGenerate(q, "c2VjcmV0", "", false)
	if err != nil {
		t.Fatal(err)
	}
	var m dns.Msg
	if err := m.Unpack(exchangeWire(s, wire, false)); err != nil {
		t.Fatal(err)
	}
	if sig := m.IsTsig(); m.Rcode != dns.RcodeNotAuth || sig == nil || sig.Error != dns.RcodeBadKey || sig.MACSize != 0 || sig.OrigId != q.Id || sig.Hdr.Name != "key.example." {
		t.Errorf("%v", &m)
	}
}

func TestParentAndChildOnOneServer(t *testing.T) {
	s := serve(t, map[string]string{
		"example.com.":       "@ IN NS ns1\nchild IN NS ns.child\nchild IN DS 1 13 2 " + strings.Repeat("ab", 32) + "\nns.child IN A 192.0.2.1\n",
		"child.example.com.": "@ IN NS ns\nns IN A 192.0.2.1\nwww IN A 192.0.2.2\n",
	})
	ds := exchange(t, s, question("child."+apex, dns.TypeDS, false), false)
	if len(ds.Answer) != 1 || !ds.Authoritative {
		t.Errorf("DS at the child's apex is the parent's: %v", ds)
	}
	if m := exchange(t, s, question("www.child."+apex, dns.TypeA, false), false); len(m.Answer) != 1 || !m.Authoritative {
		t.Errorf("the child answers for itself: %v", m)
	}
	if m := exchange(t, s, question("child."+apex, dns.TypeSOA, false), false); len(m.Answer) != 1 || m.Answer[0].Header().Name != "child."+apex {
		t.Errorf("the child's SOA: %v", m)
	}
}

func TestAChangeReachesWhatDependsOnIt(t *testing.T) {
	s := testResponder()
	base := "@ IN NS ns1\nsub IN NS ns.sub\nsub IN NS ns.other\nother IN NS ns.other\n"
	parts := 0
	for i, text := range []string{
		"ns.sub IN A 192.0.2.1\nx.sub IN TXT \"hidden\"\n",
		"ns.sub IN A 192.0.2.2\nx.sub IN TXT \"hidden\"\n",      // glue changes
		"ns.sub IN A 192.0.2.2\nns.other IN AAAA 2001:db8::1\n", // glue of a sibling appears
		"@@", // the delegation goes
		"ns.sub IN A 192.0.2.2\nx.sub IN TXT \"hidden\"\na.b.c IN A 192.0.2.3\n", // and comes back, with empty names
		"a.b.c IN A 192.0.2.3\nb.c IN A 192.0.2.4\n*.c IN A 192.0.2.5\n", "b.c IN A 192.0.2.4\n", "",
	} {
		zone := base + text
		if text == "@@" {
			zone = "@ IN NS ns1\nns.sub IN A 192.0.2.2\nx.sub IN TXT \"seen\"\n"
		}
		rrs := records(t, apex, soaLine+zone)
		c := contentOf(t, "zon_1", apex, rrs)
		c.head.SOA.Serial = uint32(i + 1)
		rrs[0].(*dns.SOA).Serial = uint32(i + 1)
		c.head.Parts = parts
		apply(t, s.zones, c.documents(t, int64(i+1)))
		parts = c.head.Parts
		o := newOracle(apex, rrs)
		for _, n := range []string{"", "sub.", "x.sub.", "ns.sub.", "q.sub.", "other.", "ns.other.", "a.b.c.", "b.c.", "c.", "q.c.", "q.b.c."} {
			for _, typ := range []uint16{dns.TypeA, dns.TypeTXT, dns.TypeNS} {
				same(t, fmt.Sprint("version ", i, ": ", n, dns.TypeToString[typ]), exchange(t, s, question(n+apex, typ, false), false), o.answer(n+apex, typ, false))
			}
		}
	}
}

type places map[string]Place

func (p places) Locate(a netip.Addr) Place { return p[a.String()] }

type deaths map[string]bool

func (d deaths) Alive(check string) bool { return !d[check] }

func TestVariants(t *testing.T) {
	a := func(last byte) [][]byte { return [][]byte{{192, 0, 2, last}} }
	dead := deaths{}
	s := testResponder()
	s.checks = dead
	s.locator = places{"198.51.100.7": {Country: "DE", Continent: "EU", Region: "fra", Bits: 24}, "203.0.113.0": {Country: "JP", Continent: "AS", Bits: 16}}
	c := contentOf(t, "zon_1", apex, records(t, apex, soaLine+"@ IN NS ns1\nplain IN A 192.0.2.200\n"))
	c.names = append(c.names,
		edgeconfig.ZoneName{Name: "geo", Sets: []edgeconfig.RRset{{Type: dns.TypeA, TTL: 60, Data: a(1), Variants: []edgeconfig.Variant{
			{Continents: []string{"EU"}, Data: a(2)}, {Countries: []string{"DE"}, Data: a(3)}, {Countries: []string{"JP"}, Data: a(4)},
		}}}},
		edgeconfig.ZoneName{Name: "fail", Sets: []edgeconfig.RRset{{Type: dns.TypeA, TTL: 60, Data: a(1), Variants: []edgeconfig.Variant{
			{Order: 2, Data: a(6)}, {Order: 1, Check: "hc_1", Data: a(5)},
		}}}},
		edgeconfig.ZoneName{Name: "all", Sets: []edgeconfig.RRset{{Type: dns.TypeA, TTL: 60, Data: a(1), Variants: []edgeconfig.Variant{{Check: "hc_1", Data: a(7)}}}}},
		edgeconfig.ZoneName{Name: "weight", Sets: []edgeconfig.RRset{{Type: dns.TypeA, TTL: 60, Data: a(1), Variants: []edgeconfig.Variant{{Weight: 3, Data: a(8)}, {Weight: 1, Data: a(9)}}}}},
	)
	apply(t, s.zones, c.documents(t, 1))
	get := func(name string, subnet *dns.EDNS0_SUBNET) (string, *dns.Msg) {
		q := question(name+"."+apex, dns.TypeA, true)
		if subnet != nil {
			q.IsEdns0().Option = []dns.EDNS0{subnet}
		}
		m := exchange(t, s, q, false)
		return m.Answer[0].(*dns.A).A.String(), m
	}
	japan := &dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: []byte{203, 0, 113, 0}}
	if got, _ := get("geo", nil); got != "192.0.2.3" {
		t.Errorf("the country comes before the continent: %s", got)
	}
	got, m := get("geo", japan)
	if e, ok := option[*dns.EDNS0_SUBNET](m); got != "192.0.2.4" || !ok || e.SourceScope != 16 || e.SourceNetmask != 24 {
		t.Errorf("by client subnet: %s, %v", got, e)
	}
	if _, m = get("plain", japan); true {
		if e, ok := option[*dns.EDNS0_SUBNET](m); !ok || e.SourceScope != 0 {
			t.Errorf("the scope of what is the same for everybody: %v", e)
		}
	}
	nowhere := &dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 8, Address: []byte{8, 0, 0, 0}}
	if got, _ := get("geo", nowhere); got != "192.0.2.1" {
		t.Errorf("nobody's place: %s", got)
	}
	for _, private := range []*dns.EDNS0_SUBNET{
		{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 8, Address: []byte{10, 0, 0, 0}}, {Code: dns.EDNS0SUBNET, Family: 1, Address: []byte{0, 0, 0, 0}},
	} {
		if got, _ := get("geo", private); got != "192.0.2.3" {
			t.Errorf("a subnet of %d bits that tells nothing: %s, not what the resolver gets", private.SourceNetmask, got)
		}
	}
	if got, _ := get("fail", nil); got != "192.0.2.5" {
		t.Errorf("the first lives: %s", got)
	}
	dead["hc_1"] = true
	if got, _ := get("fail", nil); got != "192.0.2.6" {
		t.Errorf("the first is dead: %s", got)
	}
	if got, _ := get("all", nil); got != "192.0.2.7" {
		t.Errorf("all are dead, an answer there must be: %s", got)
	}
	seen := map[string]int{}
	for range 400 {
		got, _ := get("weight", nil)
		seen[got]++
	}
	if seen["192.0.2.8"] < 220 || seen["192.0.2.9"] < 40 || seen["192.0.2.1"] != 0 {
		t.Errorf("weights: %v", seen)
	}
}

func TestNothingIsAllocatedForAQuery(t *testing.T) {
	s := full(t)
	s.limiter = newLimiter(RRL{})
	_, c, _ := signed(t, nil, contentOf(t, "zon_s", "signed.example.", records(t, "signed.example.", soaLine+fullZone)), key(t), edgeconfig.DenialNSEC)
	apply(t, s.zones, c.documents(t, 1))
	_, c, _ = signed(t, nil, contentOf(t, "zon_3", "hashed.example.", records(t, "hashed.example.", soaLine+fullZone)), key(t), edgeconfig.DenialNSEC3)
	apply(t, s.zones, c.documents(t, 1))
	compose, b := new(compose), make([]byte, udpSlot)
	for _, zone := range []string{apex, "signed.example.", "hashed.example."} {
		for _, n := range []string{"mail.", "www.", "deep.", "q.wild.", "nothing.", "a.b.nothing.", "ent.", "sub.", "other.", "big.", "elsewhere.invalid."} {
			q := question(n+zone, dns.TypeA, true)
			q.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0102030405060708"}}
			wire, _ := q.Pack()
			compose.second = 1
			if got := testing.AllocsPerRun(20, func() { s.answer(compose, &testCounters, b, copy(b, wire), testClient, false) }); got != 0 {
				t.Errorf("%s%s: %v allocations", n, zone, got)
			}
		}
	}
}

func TestVersionsAreServedWhole(t *testing.T) {
	z := NewZones()
	make := func(serial uint32, last byte) (content, []edgeconfig.Document) {
		var text strings.Builder
		text.WriteString(soaLine + "@ IN NS ns1\n")
		for i := range 200 {
			fmt.Fprintf(&text, "h%d IN A 192.0.2.%d\n", i, last)
		}
		c := contentOf(t, "zon_1", apex, records(t, apex, text.String()))
		c.head.SOA.Serial = serial
		return c, c.documents(t, int64(serial))
	}
	_, v1 := make(1, 1)
	_, v2 := make(2, 2)
	s := testResponder()
	s.zones = z
	state := func() State { st, _ := z.State("zon_1"); return st }
	applied := func(docs ...edgeconfig.Document) {
		t.Helper()
		for _, item := range z.Apply(docs) {
			if item.State != edgeconfig.Applied {
				t.Fatal(item)
			}
		}
	}
	head := func(docs []edgeconfig.Document) edgeconfig.Document { return docs[len(docs)-1] }
	for _, d := range v1[1:] { // parts before their head, one missing
		applied(d)
	}
	if state().Serving || z.Len() != 0 {
		t.Fatal("a zone with a part missing is served")
	}
	applied(v1[0])
	if st := state(); !st.Serving || st.Serial != 1 || st.Torn || st.Awaiting || st.Names != 201 {
		t.Fatalf("%+v", st)
	}
	applied(head(v2)) // the head first
	applied(v2[0])
	if st := state(); st.Serial != 1 || !st.Awaiting {
		t.Fatalf("%+v", st)
	}
	if m := exchange(t, s, question("h5."+apex, dns.TypeA, false), false); m.Answer[0].(*dns.A).A[3]%2 != 1 {
		t.Fatal("a version is served in pieces")
	}
	applied(v2[1 : len(v2)-1]...)
	if st := state(); st.Serial != 2 || st.Awaiting {
		t.Fatalf("%+v", st)
	}
	// Older ones are refused, the same again is fine.
	if item := z.Apply([]edgeconfig.Document{head(v1)})[0]; item.State != edgeconfig.Rejected {
		t.Error("an older head replaces a newer one")
	}
	applied(head(v2))
	// From a disk that a crash left with newer parts beside an older head.
	torn := NewZones()
	torn.Apply(append(slices.Clone(v1[1:]), v2[0]))
	if st, _ := torn.State("zon_1"); !st.Serving || !st.Torn || !st.Awaiting {
		t.Fatalf("torn: %+v", st)
	}
	torn.Apply(v2)
	if st, _ := torn.State("zon_1"); st.Torn || st.Serial != 2 {
		t.Fatalf("healed: %+v", st)
	}
	// Gone by tombstones only.
	gone := []edgeconfig.Document{{Key: edgeconfig.ZoneKey("zon_1"), Revision: 9, Deleted: true}}
	applied(gone...)
	if m := exchange(t, s, question("h5."+apex, dns.TypeA, false), false); m.Rcode != dns.RcodeRefused || z.Len() != 0 {
		t.Errorf("%v", m)
	}
}

func TestRejectedDocumentsLeaveWhatIsServed(t *testing.T) {
	z := NewZones()
	c := contentOf(t, "zon_1", apex, records(t, apex, soaLine+"@ IN NS ns1\n"))
	apply(t, z, c.documents(t, 1))
	bad := contentOf(t, "zon_1", apex, records(t, apex, soaLine+"www IN A 192.0.2.1\n"))
	other := contentOf(t, "zon_2", apex, records(t, apex, soaLine+"@ IN NS ns1\n"))
	for label, docs := range map[string][]edgeconfig.Document{
		"no name servers": bad.documents(t, 2),
		"a taken apex":    other.documents(t, 1)[1:], // one that is newer takes it over
		"nonsense":        {document("zone/zon_1", 3, []byte("{"))},
		"a nonsense part": {document("zonepart/zon_1/0", 3, []byte(`{"zone":"zon_1","parts":1,"names":[{"n":"A"}]}`))},
		"another key":     {document("zone/zon_9", 3, []byte(`{}`))},
		"no part":         {document("zonepart/zon_1", 3, nil)},
		"not ours":        {document("site/x", 3, nil)},
	} {
		items := z.Apply(docs)
		if last := items[len(items)-1]; last.State != edgeconfig.Rejected || last.Reason == "" {
			t.Errorf("%s: %+v", label, last)
		}
		if st, _ := z.State("zon_1"); !st.Serving {
			t.Errorf("%s: the zone is gone", label)
		}
	}
}

func TestSwapsWhileAnswering(t *testing.T) {
	s := full(t)
	var wg sync.WaitGroup
	done := make(chan struct{})
	for i := range 3 {
		wg.Go(func() {
			compose, k, b := new(compose), new(counters), make([]byte, udpSlot)
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				default:
				}
				name := []string{"mail.", "deep.", "nothing.", "sub."}[(n+i)%4]
				wire, _ := question(name+apex, dns.TypeA, n%2 == 0).Pack()
				size := s.answer(compose, k, b, copy(b, wire), testClient, false)
				if size < headerSize || new(dns.Msg).Unpack(b[:size]) != nil || binary.BigEndian.Uint16(b[4:]) != 1 {
					t.Errorf("%s: %x", name, b[:size])
					return
				}
			}
		})
	}
	for i := range 60 {
		c := contentOf(t, "zon_example_com_", apex, records(t, apex, soaLine+fullZone+fmt.Sprintf("h%d IN A 192.0.2.1\n", i%7)))
		c.head.SOA.Serial = uint32(i + 2)
		apply(t, s.zones, c.documents(t, int64(i+2)))
		o := contentOf(t, fmt.Sprint("zon_", i), fmt.Sprintf("z%d.example.", i), records(t, "z.example.", soaLine+"@ IN NS ns.elsewhere.\n"))
		o.names[0].Name = "@"
		apply(t, s.zones, o.documents(t, 1))
	}
	close(done)
	wg.Wait()
}

func FuzzMessage(f *testing.F) {
	s := full(f)
	s.locator = places{}
	_, c, _ := signed(f, nil, contentOf(f, "zon_3", "hashed.example.", records(f, "hashed.example.", soaLine+fullZone)), key(f), edgeconfig.DenialNSEC3)
	apply(f, s.zones, c.documents(f, 1))
	for _, n := range []string{"deep.example.com.", "x.sub.example.com.", "a.b.hashed.example."} {
		q := question(n, dns.TypeA, true)
		q.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0102030405060708"}, &dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: []byte{1, 2, 3, 0}}}
		wire, _ := q.Pack()
		f.Add(wire)
	}
	q := question("mail."+apex, dns.TypeA, false)
	q.SetTsig("key.example.", dns.HmacSHA256, 300, 1)
	wire, _, _ := dns.TsigGenerate(q, "c2VjcmV0", "", false)
	f.Add(wire)
	// Signed well, so that what lies behind the signature is reached.
	s.zones.PutKey(testKey(f, "key_1", transferKey, transferSecret))
	for _, typ := range []uint16{dns.TypeSOA, dns.TypeIXFR} {
		q := question(apex, typ, true)
		if typ == dns.TypeIXFR {
			q.SetIxfr(apex, 1, ".", ".")
		}
		q.SetTsig(transferKey, dns.HmacSHA256, 300, s.now().Unix())
		wire, _, err := dns.TsigGenerate(q, base64.StdEncoding.EncodeToString(transferSecret), "", false)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wire)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > udpSlot {
			return
		}
		for _, tcp := range []bool{false, true} {
			out := exchangeWire(s, in, tcp)
			if out == nil {
				continue
			}
			if !bytes.Equal(out[:2], in[:2]) || out[2]&0x80 == 0 || !tcp && len(out) > max(1232, len(in)) {
				t.Fatalf("%x answers %x", out, in)
			}
			if err := new(dns.Msg).Unpack(out); err != nil {
				t.Fatalf("%x answers %x: %v", out, in, err)
			}
		}
	})
}

// Answers are padded for those who ask for it over what hides all but their
// length.
func TestPadding(t *testing.T) {
	served, config := certified(t)
	var text strings.Builder
	text.WriteString(fullZone)
	for i := range 100 {
		fmt.Fprintf(&text, "many IN A 192.0.2.%d\n", i)
	}
	s := start(t, Options{TLSAddr: "127.0.0.1:0", TLS: served}, map[string]string{apex: text.String()})
	for _, c := range []struct {
		name   string
		dial   func() (net.Conn, error)
		padded bool
	}{
		{"UDP", func() (net.Conn, error) { return net.Dial("udp", s.Addr()) }, false},
		{"TCP", func() (net.Conn, error) { return net.Dial("tcp", s.Addr()) }, false},
		{"TLS", func() (net.Conn, error) { return tls.Dial("tcp", s.TLSAddr(), config) }, true},
		{"HTTPS", nil, true},
	} {
		ask := func(q *dns.Msg) []byte {
			wire, err := q.Pack()
			if err != nil {
				t.Fatal(err)
			}
			if c.dial == nil {
				answer, _ := s.Exchange(wire, testClient)
				return answer
			}
			conn, err := c.dial()
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
			d := &dns.Conn{Conn: conn, UDPSize: 4096}
			if _, err := d.Write(wire); err != nil {
				t.Fatal(err)
			}
			answer := make([]byte, 4096)
			n, err := d.Read(answer)
			if err != nil {
				t.Fatal(err)
			}
			return answer[:n]
		}
		for _, name := range []string{"mail.", "many.", "nothing."} {
			for _, wanted := range []bool{true, false} {
				q := question(name+apex, dns.TypeA, false)
				q.SetEdns0(1232, false)
				if wanted {
					q.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_PADDING{Padding: make([]byte, 40)}}
				}
				answer := ask(q)
				m := new(dns.Msg)
				if err := m.Unpack(answer); err != nil {
					t.Fatal(err)
				}
				_, padded := option[*dns.EDNS0_PADDING](m)
				if want := c.padded && wanted; padded != want || want && len(answer)%468 != 0 {
					t.Errorf("%s, %s, asked for %v: padded %v, %d bytes", c.name, name, wanted, padded, len(answer))
				}
			}
		}
	}
	// Where no whole block is left, what is left.
	for _, c := range []struct{ n, room, length int }{{100, 65535, 468}, {457, 65535, 936}, {453, 65535, 468}, {454, 65535, 936}, {65500, 65535, 65520}, {65520, 65535, 65535}, {65521, 65535, 65532}, {65524, 65535, 65535}} {
		r := reply{ask: &edns{}, keepalive: -1, ede: -1, padding: -1}
		r.pad(c.n, c.room)
		if got := c.n + r.write(make([]byte, 1000)); got != c.length || got != c.n+r.length() {
			t.Errorf("a message of %d bytes becomes one of %d, want %d", c.n, got, c.length)
		}
	}
}
