package transfer

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"pgregory.net/rapid"

	"github.com/edgewright/edgewright/dnswire"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
	"github.com/edgewright/edgewright/netguard"
)

const apex = "example.com"

var (
	testKey = Key{Name: "transfer.example", Algorithm: edgeconfig.HMACSHA256, Secret: []byte("0123456789abcdef0123456789abcdef")}
	now     = time.Unix(1_800_000_000, 0)
)

func soa(serial uint32) string {
	return fmt.Sprintf("example.com. 3600 IN SOA ns1.example.com. hostmaster.example.com. %d 7200 900 1209600 300", serial)
}

// script is what a primary answers: messages of records, each signed or not.
type script struct {
	messages []said
	close    bool // then, instead of waiting for the client to go
}

type said struct {
	records  []string
	unsigned bool
	change   func(*dns.Msg)
	damage   func([]byte) []byte // after signing
}

func records(t testing.TB, texts []string) []dns.RR {
	t.Helper()
	var out []dns.RR
	for _, text := range texts {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		out = append(out, rr)
	}
	return out
}

// primary answers each connection with the next script, and notes what was asked.
type primary struct {
	t     testing.TB
	key   *Key
	asked chan *dns.Msg
	left  chan script
}

func newPrimary(t testing.TB, key *Key, scripts ...script) (*primary, *Client) {
	p := &primary{t: t, key: key, asked: make(chan *dns.Msg, 10), left: make(chan script, 10)}
	for _, s := range scripts {
		p.left <- s
	}
	return p, &Client{
		Now: func() time.Time { return now },
		Dial: func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			go p.serve(theirs)
			return ours, nil
		},
	}
}

func (p *primary) serve(conn net.Conn) {
	defer conn.Close()
	wire, err := readMessage(conn)
	if err != nil {
		return
	}
	q := new(dns.Msg)
	if err := q.Unpack(wire); err != nil {
		p.t.Errorf("the query %x: %v", wire, err)
		return
	}
	p.asked <- q
	var s script
	select {
	case s = <-p.left:
	default:
		p.t.Errorf("nobody has written what to answer to %v", q)
		return
	}
	mac, pending := "", []byte(nil)
	if ts := q.IsTsig(); ts != nil {
		mac = ts.MAC
	}
	signer := &signing{key: p.key}
	signer.earlier, _ = hex.DecodeString(mac)
	for _, m := range s.messages {
		answer := new(dns.Msg).SetReply(q)
		answer.Extra = nil
		answer.Answer = records(p.t, m.records)
		if m.change != nil {
			m.change(answer)
		}
		out, err := answer.Pack()
		if err != nil {
			p.t.Errorf("%v", err)
			return
		}
		if p.key != nil && mac != "" {
			if m.unsigned {
				pending = append(pending, out...)
			} else {
				name, _ := edgeconfig.PackName(p.key.Name)
				algorithm, _ := edgeconfig.PackName(p.key.Algorithm)
				r := &dnswire.TSIG{Name: name, Algorithm: algorithm, Time: uint64(now.Unix()), Fudge: dnswire.Fudge, ID: answer.Id}
				r.MAC = signer.sum(pending, out, r, signer.later)
				signer.earlier, signer.later, pending = r.MAC, true, nil
				out = r.Append(out)
			}
		}
		if m.damage != nil {
			out = m.damage(out)
		}
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(out))), out...)); err != nil {
			return // the client has had enough
		}
	}
	if s.close {
		return
	}
	_, _ = conn.Read(make([]byte, 1))
}

var zoneOne = []string{soa(1), "example.com. 300 IN NS ns1.example.com.", "ns1.example.com. 300 IN A 192.0.2.1", "WWW.example.com. 300 IN A 192.0.2.2", soa(1)}

func contentOf(t testing.TB, texts []string) *Content {
	t.Helper()
	s := &stream{apex: apex, limit: 1000}
	for _, rr := range records(t, texts) {
		if err := s.take(rr); err != nil {
			t.Fatal(err)
		}
	}
	if s.state != complete {
		t.Fatalf("the zone is not whole: %d", s.state)
	}
	return s.next
}

func lines(t testing.TB, c *Content) []string {
	t.Helper()
	var b strings.Builder
	if err := c.WriteFile(&b); err != nil {
		t.Fatal(err)
	}
	out := strings.Split(strings.TrimSpace(b.String()), "\n")[1:]
	slices.Sort(out)
	return out
}

func refusal(rcode int) script {
	return script{messages: []said{{unsigned: true, change: func(m *dns.Msg) { m.Rcode = rcode }}}}
}

func TestTransfers(t *testing.T) {
	have := contentOf(t, zoneOne)
	changed := []string{
		soa(3), soa(1), "www.example.com. 300 IN A 192.0.2.2", soa(2), "www.example.com. 60 IN A 192.0.2.3",
		soa(2), soa(3), "new.example.com. 60 IN TXT \"x\"", soa(3),
	}
	whole := []string{soa(3), "example.com. 300 IN NS ns1.example.com.", "ns1.example.com. 300 IN A 192.0.2.1", "www.example.com. 60 IN A 192.0.2.3", "new.example.com. 60 IN TXT \"x\"", soa(3)}
	one := func(texts []string) script { return script{messages: []said{{records: texts}}} }
	many := func(texts []string, signed func(i int) bool) script {
		var s script
		for i, text := range texts {
			s.messages = append(s.messages, said{records: []string{text}, unsigned: !signed(i)})
		}
		return s
	}
	always := func(int) bool { return true }
	for _, c := range []struct {
		name    string
		key     *Key
		have    *Content
		scripts []script
		how     string
		reason  Reason
	}{
		{"the whole", nil, nil, []script{one(whole)}, AXFR, ""},
		{"the whole, signed", &testKey, nil, []script{one(whole)}, AXFR, ""},
		{"a record in each message", &testKey, nil, []script{many(whole, always)}, AXFR, ""},
		{"only first and last are signed", &testKey, nil, []script{many(whole, func(i int) bool { return i == 0 || i == len(whole)-1 })}, AXFR, ""},
		{"the last is not signed, what follows is", &testKey, nil, []script{{messages: append(many(whole, func(i int) bool { return i < 2 }).messages, said{})}}, AXFR, ""},
		{"the last is not signed", &testKey, nil, []script{func() script { s := many(whole, func(i int) bool { return i < 2 }); s.close = true; return s }()}, "", Unreachable},
		{"the first is not signed", &testKey, nil, []script{many(whole, func(i int) bool { return i > 0 })}, "", BadSig},
		{"nothing is signed", &testKey, nil, []script{many(whole, func(int) bool { return false })}, "", BadSig},
		{"a difference", &testKey, have, []script{one(changed)}, IXFR, ""},
		{"a difference, a record in each message", nil, have, []script{many(changed, always)}, IXFR, ""},
		{"the whole for a difference", nil, have, []script{one(whole)}, AXFR, ""},
		{"nothing new", &testKey, have, []script{one([]string{soa(1)})}, Same, ""},
		{"nothing new, and the whole all the same", &testKey, have, []script{one(zoneOne)}, Same, ""},
		{"an older version", nil, have, []script{one([]string{soa(0)})}, "", Older},
		{"half a circle away is not newer", nil, have, []script{one([]string{soa(1 + 1<<31)})}, "", Older},
		{"no differences: REFUSED", &testKey, have, []script{refusal(dns.RcodeRefused), one(whole)}, AXFR, ""},
		{"no differences: NOTIMP", nil, have, []script{refusal(dns.RcodeNotImplemented), one(whole)}, AXFR, ""},
		{"no differences: closed", nil, have, []script{{close: true}, one(whole)}, AXFR, ""},
		{"no differences: empty", nil, have, []script{one(nil), one(whole)}, AXFR, ""},
		{"a difference from another version", nil, have, []script{one([]string{soa(3), soa(2), soa(3), "a.example.com. 1 IN A 192.0.2.1", soa(3)}), one(whole)}, AXFR, ""},
		{"what goes is not there", nil, have, []script{one([]string{soa(2), soa(1), "none.example.com. 1 IN A 192.0.2.1", soa(2), soa(2)}), one(whole)}, AXFR, ""},
		{"what comes is there", nil, have, []script{one([]string{soa(2), soa(1), soa(2), "www.example.com. 1 IN A 192.0.2.2", soa(2)}), one(whole)}, AXFR, ""},
		{"differences with a gap", nil, have, []script{one([]string{soa(5), soa(1), soa(2), soa(3), soa(5), soa(5)}), one(whole)}, AXFR, ""},
		{"a difference that goes back", nil, have, []script{one([]string{soa(5), soa(1), soa(1), soa(5), soa(5)}), one(whole)}, AXFR, ""},
		{"refused altogether", &testKey, have, []script{refusal(dns.RcodeRefused), refusal(dns.RcodeRefused)}, "", Refused},
		{"refused", nil, nil, []script{refusal(dns.RcodeRefused)}, "", Refused},
		{"no authority", nil, nil, []script{refusal(dns.RcodeNotAuth)}, "", Refused},
		{"a broken server", nil, nil, []script{refusal(dns.RcodeServerFailure)}, "", Refused},
		{"no SOA first", nil, nil, []script{one(whole[1:])}, "", Malformed},
		{"another zone's SOA", nil, nil, []script{one([]string{strings.Replace(soa(3), "example.com. 3600", "example.net. 3600", 1)})}, "", Malformed},
		{"another serial at the end", nil, nil, []script{one(append(slices.Clone(whole[:5]), soa(4)))}, "", Malformed},
		{"something after the end", nil, nil, []script{one(append(slices.Clone(whole), "more.example.com. 1 IN A 192.0.2.1"))}, "", Malformed},
		{"it ends early", nil, nil, []script{{messages: []said{{records: whole[:3]}}, close: true}}, "", Unreachable},
		{"another ID", nil, nil, []script{{messages: []said{{records: whole, change: func(m *dns.Msg) { m.Id++ }}}}}, "", Malformed},
		{"another question", nil, nil, []script{{messages: []said{{records: whole, change: func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeA }}}}}, "", Malformed},
		{"truncated", nil, nil, []script{{messages: []said{{records: whole, change: func(m *dns.Msg) { m.Truncated = true }}}}}, "", Malformed},
		{"rubbish", nil, nil, []script{{messages: []said{{damage: func(b []byte) []byte { return append(b[:12:12], 0xc0) }}}}}, "", Malformed},
		{"rubbish, where it shall be signed", &testKey, nil, []script{{messages: []said{{damage: func([]byte) []byte { return []byte{1, 2, 3} }}}}}, "", Malformed},
		{"a byte was changed", &testKey, nil, []script{{messages: []said{{records: whole, damage: func(b []byte) []byte { b[len(b)/3] ^= 1; return b }}}}}, "", BadSig},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, client := newPrimary(t, c.key, c.scripts...)
			got, err := client.Fetch(t.Context(), apex, Primary{Address: "192.0.2.1:53", Key: c.key}, c.have)
			if c.reason != "" {
				e, is := err.(*Error)
				if !is || e.Reason != c.reason || e.Message == "" || e.Fix == "" {
					t.Fatalf("%+v, %v; want %s", got, err, c.reason)
				}
				return
			}
			if err != nil || got.How != c.how {
				t.Fatalf("%+v, %v; want %s", got, err, c.how)
			}
			want := contentOf(t, whole)
			if c.how == Same {
				want = c.have
			}
			if a, b := lines(t, got.Content), lines(t, want); !slices.Equal(a, b) {
				t.Errorf("the zone is\n%s\nwant\n%s", strings.Join(a, "\n"), strings.Join(b, "\n"))
			}
			if got.Content.Digest() != want.Digest() {
				t.Error("equal zones have different digests")
			}
		})
	}
}

// What a primary says of keys, as BIND says it: unsigned, with a code.
func TestRefusedKeys(t *testing.T) {
	for code, want := range map[uint16]Reason{dns.RcodeBadKey: BadKey, dns.RcodeBadSig: BadSig} {
		_, client := newPrimary(t, nil, script{messages: []said{{change: func(m *dns.Msg) {
			m.Rcode = dns.RcodeNotAuth
			m.Extra = []dns.RR{&dns.TSIG{Hdr: dns.RR_Header{Name: "transfer.example.", Rrtype: dns.TypeTSIG, Class: dns.ClassANY}, Algorithm: dns.HmacSHA256, OrigId: m.Id, Error: code}}
		}}}})
		_, err := client.Fetch(t.Context(), apex, Primary{Address: "192.0.2.1:53", Key: &testKey}, nil)
		if e, is := err.(*Error); !is || e.Reason != want || !strings.Contains(e.Fix, testKey.Name) {
			t.Errorf("code %d: %v", code, err)
		}
	}
	other := testKey
	other.Secret = []byte("another secret of 32 bytes, long")
	_, client := newPrimary(t, &other, script{messages: []said{{records: zoneOne}}})
	_, err := client.Fetch(t.Context(), apex, Primary{Address: "192.0.2.1:53", Key: &testKey}, nil)
	if e, is := err.(*Error); !is || e.Reason != BadSig {
		t.Errorf("another secret: %v", err)
	}
	_, client = newPrimary(t, &testKey, script{messages: []said{{records: zoneOne}}})
	client.Now = func() time.Time { return now.Add(time.Hour) }
	_, err = client.Fetch(t.Context(), apex, Primary{Address: "192.0.2.1:53", Key: &testKey}, nil)
	if e, is := err.(*Error); !is || e.Reason != BadTime {
		t.Errorf("another time: %v", err)
	}
}

func TestBounds(t *testing.T) {
	reasonOf := func(err error) Reason {
		if e, is := err.(*Error); is {
			return e.Reason
		}
		return ""
	}
	many := script{}
	for i := range 50 {
		many.messages = append(many.messages, said{records: []string{fmt.Sprintf("n%d.example.com. 1 IN A 192.0.2.1", i)}})
	}
	many.messages[0].records = []string{soa(1)}
	_, client := newPrimary(t, nil, many)
	client.records = 20
	if _, err := client.Fetch(t.Context(), apex, Primary{Address: "a"}, nil); reasonOf(err) != TooLarge {
		t.Errorf("too many records: %v", err)
	}
	_, client = newPrimary(t, nil, many)
	client.bytes = 500
	if _, err := client.Fetch(t.Context(), apex, Primary{Address: "a"}, nil); reasonOf(err) != TooLarge {
		t.Errorf("too many bytes: %v", err)
	}
	unsigned := script{messages: []said{{records: []string{soa(1)}}}}
	for range maxUnsigned + 1 {
		unsigned.messages = append(unsigned.messages, said{records: []string{"a.example.com. 1 IN A 192.0.2.1"}, unsigned: true})
	}
	_, client = newPrimary(t, &testKey, unsigned)
	if _, err := client.Fetch(t.Context(), apex, Primary{Address: "a", Key: &testKey}, nil); reasonOf(err) != BadSig {
		t.Errorf("too many messages without a signature: %v", err)
	}
	_, client = newPrimary(t, nil, script{messages: []said{{records: []string{soa(1)}}}})
	client.idle = 10 * time.Millisecond
	if _, err := client.Fetch(t.Context(), apex, Primary{Address: "a"}, nil); reasonOf(err) != TimedOut {
		t.Errorf("a primary that says no more: %v", err)
	}
	client.Dial = func(context.Context, string, string) (net.Conn, error) {
		return nil, fault.New(fault.Forbidden, "10.0.0.1 is a private address")
	}
	if _, err := client.Fetch(t.Context(), apex, Primary{Address: "10.0.0.1:53"}, nil); reasonOf(err) != Forbidden {
		t.Errorf("an address that is not dialled: %v", err)
	}
}

// Tenants name primaries: what is not on the internet is not dialled, unless the
// operator allows it.
func TestPrimariesBehindTheFilter(t *testing.T) {
	for _, address := range []string{"127.0.0.1:53", "10.1.2.3:53", "169.254.169.254:53", "[::1]:53", "[fd00::1]:53", "[::ffff:127.0.0.1]:53"} {
		client := &Client{Dial: (&netguard.Policy{Dial: func(context.Context, string, string) (net.Conn, error) {
			t.Errorf("%s was dialled", address)
			return nil, net.ErrClosed
		}}).DialContext}
		_, err := client.Fetch(t.Context(), apex, Primary{Address: address}, nil)
		if e, is := err.(*Error); !is || e.Reason != Forbidden {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// TestQueries: what is asked is what the RFCs say, and miekg/dns verifies it.
func TestQueries(t *testing.T) {
	for _, algorithm := range []string{edgeconfig.HMACSHA256, edgeconfig.HMACSHA384, edgeconfig.HMACSHA512} {
		key := testKey
		key.Algorithm = algorithm
		client := &Client{Now: time.Now}
		wire, _, err := client.query(apex, &key, contentOf(t, zoneOne), dns.TypeIXFR)
		if err != nil {
			t.Fatal(err)
		}
		if err := dns.TsigVerify(wire, base64.StdEncoding.EncodeToString(key.Secret), "", false); err != nil {
			t.Errorf("%s: %v", algorithm, err)
		}
		q := new(dns.Msg)
		if err := q.Unpack(wire); err != nil || q.Ns[0].(*dns.SOA).Serial != 1 || q.Question[0].Qtype != dns.TypeIXFR {
			t.Errorf("%v, %v", q, err)
		}
	}
}

func TestServable(t *testing.T) {
	base := func(more ...string) []string {
		return slices.Concat([]string{soa(7), "example.com. 300 IN NS NS1.example.com."}, more, []string{soa(7)})
	}
	const (
		dnskey = "example.com. 300 IN DNSKEY 257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ=="
		sigSOA = "example.com. 300 IN RRSIG SOA 13 2 300 20300101000000 20200101000000 1 example.com. qqqq"
		nsec   = "example.com. 300 IN NSEC example.com. NS SOA RRSIG NSEC DNSKEY"
		hash   = "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom"
		sigN3  = hash + ".example.com. 300 IN RRSIG NSEC3 13 3 300 20290101000000 20200101000000 1 example.com. qqqq"
	)
	nsec3 := func(rest string) string { return hash + ".example.com. 300 IN NSEC3 " + rest + " " + hash + " NS SOA" }
	for _, c := range []struct {
		name    string
		records []string
		strip   bool
		denial  string
		refused string // a word of why
	}{
		{"unsigned", base(), false, "", ""},
		{"signed, NSEC", base(dnskey, sigSOA, nsec, "example.com. 300 IN RRSIG NSEC 13 2 300 20280101000000 20200101000000 1 example.com. qqqq"), false, edgeconfig.DenialNSEC, ""},
		{"signed, NSEC3", base(dnskey, sigSOA, nsec3("1 0 0 -"), sigN3), false, edgeconfig.DenialNSEC3, ""},
		{"signed, NSEC3 with a salt", base(dnskey, sigSOA, nsec3("1 0 0 ab"), sigN3), false, "", "salt"},
		{"signed, NSEC3 with iterations", base(dnskey, sigSOA, nsec3("1 0 5 -"), sigN3), false, "", "iterations"},
		{"signed, opt-out", base(dnskey, sigSOA, nsec3("1 1 0 -"), sigN3), false, "", "opt-out"},
		{"the same, signed here", base(dnskey, sigSOA, nsec3("1 1 5 ab"), sigN3), true, "", ""},
		{"signed, without denials", base(dnskey, sigSOA), false, "", "NSEC"},
		{"signed by half", base(sigSOA, nsec), false, "", ""},
		{"DNAME", base("a.example.com. 300 IN DNAME example.net."), false, edgeconfig.DenialNone, ""},
		{"two DNAMEs", base("a.example.com. 300 IN DNAME example.net.", "a.example.com. 300 IN DNAME example.org."), false, "", "DNAME"},
		{"a DNAME at a delegation", base("a.example.com. 300 IN DNAME example.net.", "a.example.com. 300 IN NS ns.example.net."), false, "", "DNAME"},
		{"a CNAME beside others", base("a.example.com. 300 IN CNAME b", "a.example.com. 300 IN A 192.0.2.1"), false, "", "CNAME"},
		{"no name servers", []string{soa(7), "a.example.com. 300 IN A 192.0.2.1", soa(7)}, false, "", "NS"},
		{"an SOA for ever", []string{strings.Replace(soa(7), " 3600 ", " 4294967295 ", 1), "example.com. 300 IN NS ns1.example.com.", strings.Replace(soa(7), " 3600 ", " 4294967295 ", 1)}, false, "", "seconds"},
		{"serial 0", []string{soa(0), "example.com. 300 IN NS ns1.example.com.", soa(0)}, false, "", "serial"},
		{"not of the zone", base("elsewhere.net. 300 IN DNAME example.net."), false, "", ""},
		{"an unknown type", base(`a.example.com. 300 IN TYPE65280 \# 2 abcd`), false, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			content := contentOf(t, c.records)
			s, err := content.Serve(c.strip)
			if c.refused != "" {
				e, is := err.(*Error)
				if !is || e.Reason != NotServable || !strings.Contains(e.Message, c.refused) || e.Fix == "" {
					t.Fatalf("%+v, %v", s, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if s.Denial != c.denial || (c.denial != "") != (len(s.SOASigs) == 1) || (c.denial != "") == s.SignedUntil.IsZero() || (c.denial == edgeconfig.DenialNSEC3) != (len(s.NSEC3) == 1) {
				t.Errorf("%+v", s)
			}
			for _, n := range s.Names {
				for _, set := range n.Sets {
					if c.strip && (slices.Contains(keyTypes, set.Type) || len(set.Sigs) > 0) {
						t.Errorf("%s keeps type %d", n.Name, set.Type)
					}
					if ns, _ := edgeconfig.UnpackName(set.Data[0]); set.Type == dns.TypeNS && c.strip != (ns == "ns1.example.com") {
						t.Errorf("the name server is %s", ns)
					}
				}
			}
			head := edgeconfig.Zone{ID: "zon_1", Project: "p", Name: apex, SOA: s.SOA, SOASigs: s.SOASigs, Denial: s.Denial}
			if _, err := edgeconfig.SplitZone(&head, s.Names, s.NSEC3, 0); err != nil {
				t.Fatal(err)
			}
			if err := edgeconfig.ValidateZone(&head); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestDifferencesMakeTheSame: whatever changes, a secondary that follows by
// differences has what one has that takes the whole, and what is kept is what is
// read again.
func TestDifferencesMakeTheSame(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		draw := func(serial uint32) map[string]bool {
			zone := map[string]bool{"example.com. 300 IN NS ns1.example.com.": true}
			for range rapid.IntRange(0, 8).Draw(r, "records") {
				zone[fmt.Sprintf("n%d.example.com. %d IN A 192.0.2.%d", rapid.IntRange(0, 3).Draw(r, "name"), 300, rapid.IntRange(1, 3).Draw(r, "address"))] = true
			}
			return zone
		}
		list := func(serial uint32, zone map[string]bool) []string {
			out := []string{soa(serial)}
			for text := range zone {
				out = append(out, text)
			}
			return append(out, soa(serial))
		}
		versions := []map[string]bool{draw(1), draw(2), draw(3)}
		difference := []string{soa(3)}
		for i := 1; i < 3; i++ {
			difference = append(difference, soa(uint32(i)))
			for text := range versions[i-1] {
				if !versions[i][text] {
					difference = append(difference, text)
				}
			}
			difference = append(difference, soa(uint32(i+1)))
			for text := range versions[i] {
				if !versions[i-1][text] {
					difference = append(difference, text)
				}
			}
		}
		difference = append(difference, soa(3))
		s := &stream{apex: apex, have: contentOf(t, list(1, versions[0])), ixfr: true, limit: 1000}
		for _, rr := range records(t, difference) {
			if err := s.take(rr); err != nil {
				r.Fatalf("%v in %v", err, difference)
			}
		}
		want := contentOf(t, list(3, versions[2]))
		if s.state != complete || s.next.Digest() != want.Digest() {
			r.Fatalf("%v, want %v", lines(t, s.next), lines(t, want))
		}
		again, err := Decode(want.Encode())
		if err != nil || again.Digest() != want.Digest() || again.SOA != want.SOA {
			r.Fatalf("%v: %+v", err, again)
		}
	})
}

func TestDamagedCopies(t *testing.T) {
	good := contentOf(t, zoneOne).Encode()
	for i := range good {
		if _, err := Decode(good[:i]); err == nil {
			t.Fatalf("%d of %d bytes are a copy", i, len(good))
		}
	}
}

// FuzzAnswer reads whatever a primary may send, signed and not. What is taken
// over can be written, kept and read again, and edges would take it.
func FuzzAnswer(f *testing.F) {
	pack := func(texts ...string) []byte {
		m := new(dns.Msg)
		m.Response = true
		m.Answer = records(f, texts)
		wire, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		return wire
	}
	f.Add(pack(zoneOne...), []byte{}, false)
	f.Add(pack(soa(2), soa(1), "www.example.com. 300 IN A 192.0.2.2", soa(2)), pack("a.example.com. 1 IN MX 1 b.example.com.", soa(2)), false)
	f.Add(pack(soa(2)), pack("x.example.com. 1 IN NSEC3 1 0 0 - 0p9mhaveqvm6t7vbl5lop2u3t2rp3tom A", soa(2)), false)
	name, _ := edgeconfig.PackName(testKey.Name)
	algorithm, _ := edgeconfig.PackName(testKey.Algorithm)
	signed := (&dnswire.TSIG{Name: name, Algorithm: algorithm, Time: uint64(now.Unix()), Fudge: dnswire.Fudge, MAC: make([]byte, 32), Other: []byte{1}}).Append(pack(zoneOne...))
	f.Add(signed, pack(), true)
	have := contentOf(f, zoneOne)
	f.Fuzz(func(t *testing.T, first, second []byte, signed bool) {
		for _, typ := range []uint16{dns.TypeAXFR, dns.TypeIXFR} {
			a := &answer{typ: typ, now: func() time.Time { return now }, stream: &stream{apex: apex, have: have, ixfr: typ == dns.TypeIXFR, limit: 500}, bytes: 1 << 16}
			if signed {
				a.signer = &signing{key: &testKey}
			}
			for _, b := range [][]byte{first, second} {
				if len(b) >= 2 {
					b = append([]byte{0, 0}, b[2:]...)
				}
				if a.finished() {
					break
				}
				if err := a.message(b); err != nil {
					if err.Message == "" || err.Reason == "" {
						t.Fatalf("an error that says nothing: %+v", err)
					}
					break
				}
			}
			if signed && a.finished() {
				t.Fatal("something was taken over that nobody can have signed")
			}
			if !a.stream.done() || a.stream.state == same {
				continue
			}
			c := a.result().Content
			again, err := Decode(c.Encode())
			if err != nil || again.Digest() != c.Digest() {
				t.Fatalf("a copy is not what was kept: %v", err)
			}
			var file strings.Builder
			if err := c.WriteFile(&file); err != nil {
				t.Fatal(err)
			}
			for _, strip := range []bool{false, true} {
				s, err := c.Serve(strip)
				if err != nil {
					continue
				}
				part := edgeconfig.ZonePart{Zone: "zone", Parts: 1, Names: s.Names, NSEC3: s.NSEC3}
				if err := edgeconfig.ValidateZonePart(&part); err != nil {
					t.Fatalf("edges would refuse it: %v", err)
				}
			}
		}
	})
}
