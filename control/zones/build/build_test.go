package build_test

import (
	"bytes"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"pgregory.net/rapid"

	"github.com/edgewright/edgewright/control/dnssec"
	"github.com/edgewright/edgewright/control/zones/build"
	"github.com/edgewright/edgewright/edgeconfig"
)

var begin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

var soa = edgeconfig.SOA{TTL: 3600, MName: "ns1.example.com", RName: "hostmaster.example.com", Serial: 7, Refresh: 7200, Retry: 3600, Expire: 1209600, Minimum: 300}

const plain = `
@ IN NS ns1
ns1 IN A 192.0.2.1
www IN A 192.0.2.2
www IN A 192.0.2.3
www IN TXT "x"
*.wild IN MX 10 main.example.com.
a.b.c IN TXT "below empty names"
sub IN NS ns.sub
ns.sub IN A 192.0.2.9
safe IN NS ns.elsewhere.net.
safe IN DS 1 13 2 0123456789012345678901234567890123456789012345678901234567890123
_sip._tcp IN SRV 1 2 3 mixed.example.com.
alias IN CNAME www
odd\000\.name IN TXT "y"
svc IN HTTPS 1 . alpn=h2
`

type fataler interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

// parse turns a zone file into sets by name.
func parse(t fataler, text string) map[string][]edgeconfig.RRset {
	t.Helper()
	out := map[string][]edgeconfig.RRset{}
	p := dns.NewZoneParser(strings.NewReader(text), "example.com.", "")
	p.SetDefaultTTL(3600)
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		relative := strings.TrimSuffix(strings.ToLower(rr.Header().Name), ".example.com.")
		if rr.Header().Name == "example.com." {
			relative = "@"
		}
		buf := make([]byte, 4096)
		rr.Header().Name = "."
		n, err := dns.PackRR(rr, buf, 0, nil, false)
		if err != nil {
			t.Fatal(err)
		}
		sets := out[relative]
		i := slices.IndexFunc(sets, func(s edgeconfig.RRset) bool { return s.Type == rr.Header().Rrtype })
		if i < 0 {
			sets, i = append(sets, edgeconfig.RRset{Type: rr.Header().Rrtype, TTL: rr.Header().Ttl}), len(sets)
		}
		sets[i].Data = append(sets[i].Data, slices.Clone(buf[11:n]))
		out[relative] = sets
	}
	if p.Err() != nil {
		t.Fatal(p.Err())
	}
	return out
}

func filled(t fataler, text string, parts int) *build.Zone {
	t.Helper()
	z, err := build.New("zon_1", "example.com", parts)
	if err != nil {
		t.Fatal(err)
	}
	sets := parse(t, text)
	for _, name := range slices.Sorted(maps.Keys(sets)) {
		if err := z.Set(name, sets[name]); err != nil {
			t.Fatal(err)
		}
	}
	return z
}

func key(t fataler, role dnssec.Role, algorithm uint8) *dnssec.Key {
	t.Helper()
	k, err := dnssec.Generate(role, algorithm)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func built(t fataler, z *build.Zone, how *build.Signing, now time.Time) (*build.Draft, edgeconfig.Zone) {
	t.Helper()
	d, err := z.Build(how, 300, now)
	if err != nil {
		t.Fatal(err)
	}
	head, err := z.Seal("default", "production", soa, now)
	if err != nil {
		t.Fatal(err)
	}
	return d, head
}

// text writes a built zone as a zone file, from its documents.
func text(t fataler, z *build.Zone, head edgeconfig.Zone) string {
	t.Helper()
	var out strings.Builder
	write := func(owner string, typ uint16, ttl uint32, data, sigs [][]byte) {
		for i, list := range [][][]byte{data, sigs} {
			for _, d := range list {
				h := dns.RR_Header{Name: owner, Rrtype: typ, Class: dns.ClassINET, Ttl: ttl, Rdlength: uint16(len(d))}
				if i == 1 {
					h.Rrtype = dns.TypeRRSIG
				}
				rr, _, err := dns.UnpackRRWithHeader(h, d, 0)
				if err != nil {
					t.Fatalf("%s: %v", owner, err)
				}
				fmt.Fprintln(&out, rr.String())
			}
		}
	}
	data, err := head.SOA.Pack()
	if err != nil {
		t.Fatal(err)
	}
	if err := edgeconfig.ValidateZone(&head); err != nil {
		t.Fatal(err)
	}
	write("example.com.", dns.TypeSOA, head.SOA.TTL, [][]byte{data}, head.SOASigs)
	for _, body := range z.Bodies() {
		var p edgeconfig.ZonePart
		if err := json.Unmarshal(body, &p); err != nil {
			t.Fatal(err)
		}
		if err := edgeconfig.ValidateZonePart(&p); err != nil {
			t.Fatal(err)
		}
		for _, n := range p.Names {
			owner := n.Name + ".example.com."
			if n.Name == "@" {
				owner = "example.com."
			}
			for _, s := range n.Sets {
				write(owner, s.Type, s.TTL, s.Data, s.Sigs)
			}
		}
		for _, n := range p.NSEC3 {
			write(strings.ToLower(base32.HexEncoding.EncodeToString(n.Hash))+".example.com.", dns.TypeNSEC3, n.TTL, [][]byte{n.Data}, n.Sigs)
		}
	}
	return out.String()
}

// validate asks ldns-verify-zone about a zone as of a time.
func validate(t *testing.T, zone string, at time.Time) {
	t.Helper()
	tool, err := exec.LookPath("ldns-verify-zone")
	if err != nil {
		t.Fatal("ldns-verify-zone is not installed: test/needs.sh installs it")
	}
	file := filepath.Join(t.TempDir(), "zone")
	if err := os.WriteFile(file, []byte(zone), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tool, "-V", "2", "-t", at.UTC().Format("20060102150405"), file).CombinedOutput()
	if err != nil {
		t.Fatalf("ldns-verify-zone at %s: %v\n%s\n%s", at, err, out, zone)
	}
}

func ways(t *testing.T) map[string]*build.Signing {
	one, other := key(t, dnssec.CSK, dnssec.ECDSAP256), key(t, dnssec.CSK, dnssec.Ed25519)
	ksk, zsk := key(t, dnssec.KSK, dnssec.ECDSAP256), key(t, dnssec.ZSK, dnssec.ECDSAP256)
	return map[string]*build.Signing{
		"csk nsec":     {Keys: []*dnssec.Key{one}, Denial: edgeconfig.DenialNSEC, KeyTTL: 3600},
		"csk nsec3":    {Keys: []*dnssec.Key{one}, Denial: edgeconfig.DenialNSEC3, KeyTTL: 3600},
		"split nsec":   {Keys: []*dnssec.Key{ksk, zsk}, Denial: edgeconfig.DenialNSEC, KeyTTL: 3600},
		"split nsec3":  {Keys: []*dnssec.Key{zsk, ksk}, Denial: edgeconfig.DenialNSEC3, KeyTTL: 3600},
		"ed25519":      {Keys: []*dnssec.Key{other}, Denial: edgeconfig.DenialNSEC, KeyTTL: 3600},
		"two keys":     {Keys: []*dnssec.Key{one, key(t, dnssec.CSK, dnssec.ECDSAP256)}, Denial: edgeconfig.DenialNSEC, KeyTTL: 3600},
		"asks to stop": {Keys: []*dnssec.Key{one}, Denial: edgeconfig.DenialNSEC, KeyTTL: 3600, Unsign: true},
	}
}

func TestValidatorsAcceptWhatIsBuilt(t *testing.T) {
	for name, how := range ways(t) {
		t.Run(name, func(t *testing.T) {
			z := filled(t, plain, 0)
			d, head := built(t, z, how, begin)
			zone := text(t, z, head)
			validate(t, zone, begin)
			validate(t, zone, begin.Add(-30*time.Minute))                         // a validator whose clock is behind
			validate(t, zone, begin.Add(build.Lifetime-build.Span-2*time.Second)) // the control plane is long gone
			if d.Made == 0 || !d.Next.After(begin) || d.Next.After(begin.Add(build.Span)) {
				t.Errorf("%d made, next at %s", d.Made, d.Next)
			}
		})
	}
}

func TestAChangeMovesItsPartAndTheHead(t *testing.T) {
	for name, how := range ways(t) {
		z := filled(t, plain+many(500), 0)
		first, _ := built(t, z, how, begin)
		if first.Parts < 4 || len(first.Changed) != first.Parts {
			t.Fatalf("%s: %d of %d parts", name, len(first.Changed), first.Parts)
		}
		if again, _ := built(t, z, how, begin.Add(time.Minute)); len(again.Changed) != 0 || again.Made != 0 || again.Content != first.Content {
			t.Fatalf("%s: nothing changed: %d parts, %d signatures", name, len(again.Changed), again.Made)
		}
		if err := z.Set("n7", parse(t, "n7 IN A 192.0.2.77\n")["n7"]); err != nil {
			t.Fatal(err)
		}
		second, head := built(t, z, how, begin.Add(time.Minute))
		keys := 1
		if name == "two keys" {
			keys = 2
		}
		if len(second.Changed) != 1 || second.Made != keys || second.Content == first.Content {
			t.Errorf("%s: one record: %d parts, %d signatures", name, len(second.Changed), second.Made)
		}
		validate(t, text(t, z, head), begin.Add(time.Minute))
		if err := z.Set("new", parse(t, "new IN A 192.0.2.78\n")["new"]); err != nil {
			t.Fatal(err)
		}
		third, head := built(t, z, how, begin.Add(2*time.Minute))
		// Its set, its denial and the one before it.
		if len(third.Changed) > 3 || third.Made != 3*keys {
			t.Errorf("%s: one name more: %d parts, %d signatures", name, len(third.Changed), third.Made)
		}
		validate(t, text(t, z, head), begin.Add(2*time.Minute))
		if err := z.Set("new", nil); err != nil {
			t.Fatal(err)
		}
		fourth, head := built(t, z, how, begin.Add(3*time.Minute))
		if fourth.Content != second.Content {
			t.Errorf("%s: taken back, and it is another zone", name)
		}
		validate(t, text(t, z, head), begin.Add(3*time.Minute))
	}
}

func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "n%d IN A 10.0.%d.%d\n", i, i/256, i%256)
	}
	return b.String()
}

// TestSignaturesAreRenewedInTime walks through a year by the times that the
// builder asks for, and looks each time as if the control plane vanished then.
func TestSignaturesAreRenewedInTime(t *testing.T) {
	for _, denial := range []string{edgeconfig.DenialNSEC, edgeconfig.DenialNSEC3} {
		how := &build.Signing{Keys: []*dnssec.Key{key(t, dnssec.CSK, dnssec.ECDSAP256)}, Denial: denial, KeyTTL: 3600}
		z := filled(t, plain, 0)
		last := ""
		builds := 0
		for now := begin; now.Before(begin.Add(40 * 24 * time.Hour)); builds++ {
			d, head := built(t, z, how, now)
			if d.Content == last {
				t.Fatalf("%s: woken for nothing at %s", denial, now)
			}
			last = d.Content
			if !d.Next.After(now) {
				t.Fatalf("%s: next at %s, now is %s", denial, d.Next, now)
			}
			if builds%7 == 0 {
				zone := text(t, z, head)
				validate(t, zone, now)
				validate(t, zone, d.Next.Add(build.Lifetime-build.Span-2*time.Second))
			}
			now = d.Next
		}
		if builds < 20 {
			t.Errorf("%s: only %d renewals: they come all together", denial, builds)
		}
	}
}

// drawn makes a zone's content of a few names, with delegations, what is below
// them, empty names and wildcards.
func drawn(t *rapid.T, label string) map[string][]edgeconfig.RRset {
	names := []string{"a", "b", "x.a", "y.x.a", "sub", "ns.sub", "deep.ns.sub", "*.b", "e.f.g", "g", "q.sub", "zz"}
	records := []string{"IN A 192.0.2.1", "IN A 192.0.2.2", "IN DNAME a.example.net.", `IN TXT "t"`, "IN NS ns.sub.example.com.", "IN MX 1 a.example.com."}
	text := "@ IN NS ns1\n"
	for i := range rapid.IntRange(0, 10).Draw(t, label) {
		text += fmt.Sprintf("%s %s\n", rapid.SampledFrom(names).Draw(t, fmt.Sprint(label, i)), rapid.SampledFrom(records).Draw(t, fmt.Sprint(label, "r", i)))
	}
	return parse(t, text)
}

func TestIncrementalEqualsFull(t *testing.T) {
	// What denies compactly is in no order that a validator of files knows.
	signings := []*build.Signing{nil, {Keys: []*dnssec.Key{key(t, dnssec.CSK, dnssec.Ed25519)}, Denial: edgeconfig.DenialCompact, KeyTTL: 3600}}
	for _, s := range ways(t) {
		signings = append(signings, s)
	}
	rapid.Check(t, func(t *rapid.T) {
		z, err := build.New("zon_1", "example.com", 0)
		if err != nil {
			t.Fatal(err)
		}
		have := map[string][]edgeconfig.RRset{}
		now := begin
		for i := range rapid.IntRange(1, 6).Draw(t, "versions") {
			want := drawn(t, fmt.Sprint("v", i))
			for name := range have {
				if want[name] == nil {
					if err := z.Set(name, nil); err != nil {
						t.Fatal(err)
					}
				}
			}
			for name, sets := range want {
				if err := z.Set(name, sets); err != nil {
					t.Fatal(err)
				}
			}
			have = want
			now = now.Add(time.Duration(rapid.IntRange(0, 400).Draw(t, "hours")) * time.Hour)
			how := rapid.SampledFrom(signings).Draw(t, "how")
			d, head := built(t, z, how, now)
			full, err := build.New("zon_1", "example.com", d.Parts)
			if err != nil {
				t.Fatal(err)
			}
			for name, sets := range want {
				if err := full.Set(name, sets); err != nil {
					t.Fatal(err)
				}
			}
			fd, fullHead := built(t, full, how, now)
			a, _ := json.Marshal(head)
			b, _ := json.Marshal(fullHead)
			if !bytes.Equal(a, b) || d.Content != fd.Content {
				t.Fatalf("heads differ:\n%s\n%s", text(t, z, head), text(t, full, fullHead))
			}
			if !slices.EqualFunc(z.Bodies(), full.Bodies(), bytes.Equal) {
				t.Fatalf("parts differ:\n%s\n%s", text(t, z, head), text(t, full, fullHead))
			}
		}
	})
}

func BenchmarkOneChangeOf100000(b *testing.B) {
	for _, denial := range []string{"", edgeconfig.DenialNSEC, edgeconfig.DenialNSEC3} {
		b.Run("denial="+denial, func(b *testing.B) {
			var how *build.Signing
			if denial != "" {
				k, err := dnssec.Generate(dnssec.CSK, dnssec.ECDSAP256)
				if err != nil {
					b.Fatal(err)
				}
				how = &build.Signing{Keys: []*dnssec.Key{k}, Denial: denial, KeyTTL: 3600}
			}
			z, err := build.New("zon_1", "example.com", 0)
			if err != nil {
				b.Fatal(err)
			}
			set := func(i, v int) {
				data := []byte{10, byte(v), byte(i / 256), byte(i)}
				if err := z.Set(fmt.Sprintf("n%d", i), []edgeconfig.RRset{{Type: dns.TypeA, TTL: 60, Data: [][]byte{data}}}); err != nil {
					b.Fatal(err)
				}
			}
			for i := range 100_000 {
				set(i, 1)
			}
			started := time.Now()
			if _, err := z.Build(how, 300, begin); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(time.Since(started).Seconds(), "s/full")
			n := 0
			for b.Loop() {
				set(5, n%250+2)
				n++
				d, err := z.Build(how, 300, begin)
				if err != nil || len(d.Changed) != 1 {
					b.Fatal(len(d.Changed), err)
				}
				if _, err := z.Seal("p", "e", soa, begin); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
