package dnssec

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"pgregory.net/rapid"

	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

var begin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func head() edgeconfig.Zone {
	return edgeconfig.Zone{
		ID: "zon_1", Project: "default", Environment: "production", Name: "example.com",
		SOA: edgeconfig.SOA{TTL: 3600, MName: "ns1.example.com", RName: "hostmaster.example.com", Serial: 1, Refresh: 7200, Retry: 3600, Expire: 1209600, Minimum: 300},
	}
}

// zone turns a zone file into names.
func zone(t interface{ Fatal(...any) }, text string) []edgeconfig.ZoneName {
	var out []edgeconfig.ZoneName
	p := dns.NewZoneParser(strings.NewReader(text), "example.com.", "")
	p.SetDefaultTTL(3600)
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		relative := strings.TrimSuffix(strings.ToLower(rr.Header().Name), ".example.com.")
		if rr.Header().Name == "example.com." {
			relative = "@"
		}
		i := slices.IndexFunc(out, func(n edgeconfig.ZoneName) bool { return n.Name == relative })
		if i < 0 {
			out, i = append(out, edgeconfig.ZoneName{Name: relative}), len(out)
		}
		n := &out[i]
		j := slices.IndexFunc(n.Sets, func(s edgeconfig.RRset) bool { return s.Type == rr.Header().Rrtype })
		if j < 0 {
			n.Sets, j = append(n.Sets, edgeconfig.RRset{Type: rr.Header().Rrtype, TTL: rr.Header().Ttl}), len(n.Sets)
		}
		n.Sets[j].Data = append(n.Sets[j].Data, pack(rr))
	}
	if p.Err() != nil {
		t.Fatal(p.Err())
	}
	return out
}

const plain = `
@ IN NS ns1
ns1 IN A 192.0.2.1
www IN A 192.0.2.2
www IN A 192.0.2.3
WWW IN TXT "x"
*.wild IN MX 10 MAIL.example.com.
a.b.c IN TXT "below empty names"
sub IN NS ns.sub
ns.sub IN A 192.0.2.9
safe IN NS ns.elsewhere.net.
safe IN DS 1 13 2 0123456789012345678901234567890123456789012345678901234567890123
_sip._tcp IN SRV 1 2 3 Mixed.example.com.
alias IN CNAME www
odd\000\.name IN TXT "y"
svc IN HTTPS 1 . alpn=h2
`

func keys(t interface{ Fatal(...any) }, roles ...Role) (out []*Key) {
	for i, r := range roles {
		k, err := Generate(r, []uint8{ECDSAP256, Ed25519}[i%2])
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, k)
	}
	return out
}

type checkT interface {
	Fatalf(string, ...any)
	Errorf(string, ...any)
	Fatal(...any)
}

// verify checks a signed zone with miekg/dns alone: the keys against the DS
// records, each authoritative set against the keys, and nothing else signed.
func verify(t checkT, s *Signed, keys []*Key, at time.Time) {
	apex := s.Head.Name + "."
	var dnskeys []*dns.DNSKEY
	for _, n := range s.Names {
		for _, set := range n.Sets {
			if n.Name == "@" && set.Type == dns.TypeDNSKEY {
				for _, rr := range mustUnpack(t, apex, set.Type, set.TTL, set.Data) {
					dnskeys = append(dnskeys, rr.(*dns.DNSKEY))
				}
			}
		}
	}
	check := func(owner string, typ uint16, ttl uint32, data, sigs [][]byte) {
		set := mustUnpack(t, owner, typ, ttl, data)
		if len(sigs) == 0 {
			t.Errorf("%s %s is not signed", owner, dns.TypeToString[typ])
		}
		for _, raw := range sigs {
			sig := mustUnpack(t, owner, dns.TypeRRSIG, ttl, [][]byte{raw})[0].(*dns.RRSIG)
			if !sig.ValidityPeriod(at) {
				t.Errorf("%s %s: the signature is not valid at %s", owner, dns.TypeToString[typ], at)
			}
			if i := slices.IndexFunc(dnskeys, func(k *dns.DNSKEY) bool { return k.KeyTag() == sig.KeyTag && k.Algorithm == sig.Algorithm }); i < 0 {
				t.Errorf("%s %s: signed by an unpublished key", owner, dns.TypeToString[typ])
			} else if err := sig.Verify(dnskeys[i], set); err != nil {
				t.Errorf("%s %s: %v", owner, dns.TypeToString[typ], err)
			}
		}
	}
	soa, err := s.Head.SOA.Pack()
	if err != nil {
		t.Fatal(err)
	}
	check(apex, dns.TypeSOA, s.Head.SOA.TTL, [][]byte{soa}, s.Head.SOASigs)
	cuts := map[string]bool{}
	for _, n := range s.Names {
		for _, set := range n.Sets {
			if n.Name != "@" && set.Type == dns.TypeNS {
				cuts[n.Name] = true
			}
		}
	}
	for _, n := range s.Names {
		owner := apex
		if n.Name != "@" {
			owner = n.Name + "." + apex
		}
		occluded := false
		for c := range cuts {
			occluded = occluded || strings.HasSuffix(n.Name, "."+c)
		}
		for _, set := range n.Sets {
			if occluded || cuts[n.Name] && set.Type != dns.TypeDS && set.Type != dns.TypeNSEC {
				if len(set.Sigs) > 0 {
					t.Errorf("%s %s is signed, and is not the zone's to sign", owner, dns.TypeToString[set.Type])
				}
				continue
			}
			check(owner, set.Type, set.TTL, set.Data, set.Sigs)
			for _, v := range set.Variants {
				check(owner, set.Type, set.TTL, v.Data, v.Sigs)
			}
		}
	}
	for _, n := range s.NSEC3 {
		check(fmt.Sprintf("%s.%s", base32Text(n.Hash), apex), dns.TypeNSEC3, n.TTL, [][]byte{n.Data}, n.Sigs)
	}
	for _, k := range keys {
		if k.Role == ZSK || !k.Publish {
			continue
		}
		if !slices.ContainsFunc(dnskeys, func(d *dns.DNSKEY) bool { return dns.IsDuplicate(d.ToDS(dns.SHA256), k.DS(apex, d.Hdr.Ttl)) }) {
			t.Errorf("the DS of a %s matches no DNSKEY", k.Role)
		}
	}
	if err := documents(s); err != nil {
		t.Errorf("the documents of the signed zone: %v", err)
	}
}

func base32Text(h []byte) string { return strings.ToLower(base32hexText(h)) }

func mustUnpack(t checkT, owner string, typ uint16, ttl uint32, data [][]byte) []dns.RR {
	rrs, err := unpack(owner, typ, ttl, data)
	if err != nil {
		t.Fatalf("%s %d: %v", owner, typ, err)
	}
	return rrs
}

// documents runs the bridge's own validation.
func documents(s *Signed) error {
	z := s.Head
	bodies, err := edgeconfig.SplitZone(&z, s.Names, s.NSEC3, 1)
	if err != nil {
		return err
	}
	if err := edgeconfig.ValidateZone(&z); err != nil {
		return err
	}
	for i := range bodies {
		if err := validateBody(bodies[i]); err != nil {
			return err
		}
	}
	return nil
}

func TestSignedZonesVerify(t *testing.T) {
	for _, denial := range []string{edgeconfig.DenialNSEC, edgeconfig.DenialNSEC3} {
		for _, roles := range [][]Role{{CSK}, {KSK, ZSK}, {ZSK, KSK}, {CSK, CSK}} {
			k := keys(t, roles...)
			s, err := Sign(nil, head(), zone(t, plain), k, Policy{Denial: denial}, begin)
			if err != nil {
				t.Fatal(err)
			}
			verify(t, s, k, begin)
			verify(t, s, k, begin.Add(27*24*time.Hour)) // without the control plane
			if s.Next.Before(begin.Add(11*24*time.Hour)) || s.Next.After(begin.Add(16*24*time.Hour)) {
				t.Errorf("to be signed again at %s", s.Next)
			}
		}
	}
}

func TestSigningIsIncremental(t *testing.T) {
	for denial, want := range map[string]int{edgeconfig.DenialNSEC: 2, edgeconfig.DenialNSEC3: 2} {
		k := keys(t, CSK)
		p := Policy{Denial: denial}
		first, err := Sign(nil, head(), zone(t, plain), k, p, begin)
		if err != nil {
			t.Fatal(err)
		}
		same, err := Sign(first, head(), zone(t, plain), k, p, begin.Add(time.Hour))
		if err != nil || same.Made != 0 || same.Reused != first.Made {
			t.Fatalf("nothing changed: %d made, %d taken over, %v", same.Made, same.Reused, err)
		}
		h := head()
		h.SOA.Serial++
		second, err := Sign(first, h, zone(t, strings.Replace(plain, "192.0.2.3", "192.0.2.4", 1)), k, p, begin.Add(time.Hour))
		if err != nil || second.Made != want { // the set and the SOA
			t.Fatalf("%s: one record changed: %d made, want %d, %v", denial, second.Made, want, err)
		}
		verify(t, second, k, begin.Add(time.Hour))
		// A new name: its set, the SOA, its own denial record and that before it.
		h.SOA.Serial++
		third, err := Sign(second, h, zone(t, strings.Replace(plain, "192.0.2.3", "192.0.2.4", 1)+"zz IN A 192.0.2.7\n"), k, p, begin.Add(time.Hour))
		if err != nil || third.Made != 4 {
			t.Fatalf("%s: one name more: %d made, %v", denial, third.Made, err)
		}
		verify(t, third, k, begin.Add(time.Hour))
		// Long after: everything whose time has come, and at the end everything.
		late, err := Sign(third, h, zone(t, plain), k, p, begin.Add(14*24*time.Hour))
		if err != nil || late.Reused == 0 || late.Made < 3 {
			t.Fatalf("%s: after 14 days: %d made, %d taken over, %v", denial, late.Made, late.Reused, err)
		}
		verify(t, late, k, begin.Add(29*24*time.Hour))
	}
}

func TestAnotherKeyOrTTLTakesNothingOver(t *testing.T) {
	old := keys(t, CSK)
	first, err := Sign(nil, head(), zone(t, plain), old, Policy{Denial: edgeconfig.DenialNSEC}, begin)
	if err != nil {
		t.Fatal(err)
	}
	fresh := keys(t, CSK)
	s, err := Sign(first, head(), zone(t, plain), fresh, Policy{Denial: edgeconfig.DenialNSEC}, begin)
	if err != nil || s.Reused != 0 {
		t.Fatalf("%d taken over from another key, %v", s.Reused, err)
	}
	verify(t, s, fresh, begin)
	n := zone(t, plain)
	for i := range n {
		if n[i].Name == "www" {
			n[i].Sets[0].TTL = 17
		}
	}
	if s, err = Sign(first, head(), n, old, Policy{Denial: edgeconfig.DenialNSEC}, begin); err != nil || s.Made != 1 {
		t.Fatalf("another TTL: %d made, %v", s.Made, err)
	}
	verify(t, s, old, begin)
}

func TestVariantsAreSigned(t *testing.T) {
	n := zone(t, plain)
	for i := range n {
		if n[i].Name == "www" {
			n[i].Sets[0].Variants = []edgeconfig.Variant{{Countries: []string{"DE"}, Data: [][]byte{{192, 0, 2, 99}}}, {Continents: []string{"AS"}, Data: [][]byte{{192, 0, 2, 98}, {192, 0, 2, 97}}}}
		}
	}
	k := keys(t, KSK, ZSK)
	s, err := Sign(nil, head(), n, k, Policy{Denial: edgeconfig.DenialNSEC}, begin)
	if err != nil {
		t.Fatal(err)
	}
	verify(t, s, k, begin)
	again, err := Sign(s, head(), n, k, Policy{Denial: edgeconfig.DenialNSEC}, begin)
	if err != nil || again.Made != 0 {
		t.Fatalf("%d made, %v", again.Made, err)
	}
	for _, x := range n { // the caller's records stay as they were
		for _, set := range x.Sets {
			if set.Sigs != nil || len(set.Variants) > 0 && set.Variants[0].Sigs != nil {
				t.Fatal("Sign wrote into its input")
			}
		}
	}
}

func TestAKeyRolloverVerifiesAtEachStep(t *testing.T) {
	k := keys(t, CSK, CSK)
	next := k[1]
	var s *Signed
	for i, step := range []struct{ publish, active, announce, oldActive, oldAnnounce, oldPublish bool }{
		{false, false, false, true, true, true},
		{true, false, false, true, true, true}, // pre-published
		{true, true, false, true, true, true},  // both sign
		{true, true, true, true, false, true},  // the parent is told
		{true, true, true, false, false, true}, // the old one stops signing
		{true, true, true, false, false, false},
	} {
		next.Publish, next.Active, next.Announce = step.publish, step.active, step.announce
		k[0].Active, k[0].Announce, k[0].Publish = step.oldActive, step.oldAnnounce, step.oldPublish
		signed, err := Sign(s, head(), zone(t, plain), k, Policy{Denial: edgeconfig.DenialNSEC}, begin)
		if err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
		s = signed
		verify(t, s, k, begin)
		cds := 0
		for _, n := range s.Names {
			for _, set := range n.Sets {
				if set.Type == dns.TypeCDS {
					cds = len(set.Data)
				}
			}
		}
		if cds != 1 {
			t.Errorf("step %d: %d CDS records", i, cds)
		}
	}
}

func TestKeysThereAndBack(t *testing.T) {
	for _, k := range keys(t, CSK, ZSK) {
		der, err := k.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		back, err := Parse(k.Role, der)
		if err != nil || back.Publish || back.Active || back.DNSKEY("a.", 1).String() != k.DNSKEY("a.", 1).String() {
			t.Fatalf("%v %v", back, err)
		}
	}
	if _, err := Parse(CSK, []byte("nonsense")); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
	if _, err := Generate(CSK, dns.RSASHA256); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
}

func TestRefusals(t *testing.T) {
	csk := keys(t, CSK)
	hidden := keys(t, CSK)
	hidden[0].Publish = false
	good := Policy{Denial: edgeconfig.DenialNSEC}
	for label, c := range map[string]struct {
		keys   []*Key
		policy Policy
		zone   string
	}{
		"no keys":           {nil, good, plain},
		"only a ZSK":        {keys(t, ZSK), good, plain},
		"only a KSK":        {keys(t, KSK), good, plain},
		"hidden key":        {hidden, good, plain},
		"no denial":         {csk, Policy{}, plain},
		"short":             {csk, Policy{Denial: edgeconfig.DenialNSEC, Lifetime: 24 * time.Hour}, plain},
		"jitter too long":   {csk, Policy{Denial: edgeconfig.DenialNSEC, Jitter: 20 * 24 * time.Hour}, plain},
		"DNSKEY of its own": {csk, good, plain + "@ IN DNSKEY 257 3 13 AAAA\n"},
	} {
		if _, err := Sign(nil, head(), zone(t, c.zone), c.keys, c.policy, begin); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", label, err)
		}
	}
	broken := []edgeconfig.ZoneName{{Name: "a", Sets: []edgeconfig.RRset{{Type: dns.TypeA, Data: [][]byte{{1}}}}}}
	if _, err := Sign(nil, head(), broken, csk, good, begin); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
}

func TestUnsignAsksTheParent(t *testing.T) {
	k := keys(t, CSK)
	s, err := Sign(nil, head(), zone(t, plain), k, Policy{Denial: edgeconfig.DenialNSEC, Unsign: true}, begin)
	if err != nil {
		t.Fatal(err)
	}
	verify(t, s, k, begin)
	found := 0
	for _, n := range s.Names {
		for _, set := range n.Sets {
			if set.Type == dns.TypeCDS && bytes.Equal(set.Data[0], []byte{0, 0, 0, 0, 0}) || set.Type == dns.TypeCDNSKEY && bytes.Equal(set.Data[0], []byte{0, 0, 3, 0, 0}) {
				found++
			}
		}
	}
	if found != 2 {
		t.Errorf("%d of CDS and CDNSKEY ask to delete", found)
	}
}

func TestTheNSECChainIsACircle(t *testing.T) {
	k := keys(t, CSK)
	rapid.Check(t, func(t *rapid.T) {
		var text strings.Builder
		text.WriteString("@ IN NS ns1\n")
		for range rapid.IntRange(0, 12).Draw(t, "names") {
			labels := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "*", "\\001", "Z"}), 1, 3).Draw(t, "labels")
			fmt.Fprintf(&text, "%s IN TXT \"x\"\n", strings.Join(labels, "."))
		}
		s, err := Sign(nil, head(), dedupe(zone(t, text.String())), k, Policy{Denial: edgeconfig.DenialNSEC}, begin)
		if err != nil {
			t.Fatal(err)
		}
		next, owners := map[string]string{}, 0
		for _, n := range s.Names {
			owner := "example.com."
			if n.Name != "@" {
				owner = n.Name + "." + owner
			}
			owners++
			for _, set := range n.Sets {
				if set.Type == dns.TypeNSEC {
					next[owner] = mustUnpack(t, owner, set.Type, set.TTL, set.Data)[0].(*dns.NSEC).NextDomain
				}
			}
		}
		at, steps := "example.com.", 0
		for ; steps == 0 || at != "example.com."; steps++ {
			if at = next[at]; at == "" || steps > owners {
				t.Fatalf("the chain breaks: %v", next)
			}
		}
		if steps != owners {
			t.Fatalf("the chain has %d of %d names", steps, owners)
		}
	})
}

func dedupe(names []edgeconfig.ZoneName) []edgeconfig.ZoneName {
	for i := range names {
		for j := range names[i].Sets {
			s := &names[i].Sets[j]
			s.Data = slices.CompactFunc(s.Data, bytes.Equal)
		}
	}
	return names
}

func base32hexText(h []byte) string { return base32.HexEncoding.EncodeToString(h) }

func validateBody(body []byte) error {
	var p edgeconfig.ZonePart
	if err := json.Unmarshal(body, &p); err != nil {
		return err
	}
	return edgeconfig.ValidateZonePart(&p)
}

// A key whose tag is 0 is not made: it comes once in 65,536, and libraries refuse
// it.
func TestNoKeyHasTheTag0(t *testing.T) {
	seed := make([]byte, ed25519.SeedSize)
	binary.BigEndian.PutUint32(seed, 31817)
	k := &Key{Role: CSK, Algorithm: Ed25519, Private: ed25519.NewKeyFromSeed(seed), Publish: true, Active: true}
	if tag := k.DNSKEY("example.com.", 0).KeyTag(); tag != 0 || k.usable() {
		t.Fatalf("tag %d, usable %v", tag, k.usable())
	}
	if other, err := Generate(CSK, Ed25519); err != nil || !other.usable() {
		t.Errorf("%v, %v", other, err)
	}
}
