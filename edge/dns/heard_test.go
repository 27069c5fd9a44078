package dns

import (
	"encoding/base64"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/dnswire"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// secondaryServer serves a zone that comes from a primary.
func secondaryServer(t *testing.T, s *edgeconfig.Secondary) (*Server, content) {
	t.Helper()
	server := start(t, Options{}, nil)
	server.PutKey(testKey(t, "key_1", transferKey, transferSecret))
	server.PutKey(testKey(t, "key_2", "other.example.", transferSecret))
	c := contentOf(t, "zon_1", transferApex, records(t, transferApex, soaLine+fullZone))
	c.head.Secondary = s
	apply(t, server.Zones, c.documents(t, 1))
	return server, c
}

func notify(t *testing.T, server *Server, q *dns.Msg, network, key string) (*dns.Msg, error) {
	t.Helper()
	client := &dns.Client{Net: network}
	if key != "" {
		q.SetTsig(key, dns.HmacSHA256, 300, time.Now().Unix())
		client.TsigSecret = map[string]string{key: base64.StdEncoding.EncodeToString(transferSecret)}
	}
	answer, _, err := client.Exchange(q, server.Addr())
	return answer, err
}

func TestNoticesOfPrimaries(t *testing.T) {
	notice := func(apex string, serial uint32) *dns.Msg {
		q := new(dns.Msg).SetNotify(apex)
		if serial > 0 {
			q.Answer = []dns.RR{&dns.SOA{Hdr: dns.RR_Header{Name: apex, Rrtype: dns.TypeSOA, Class: dns.ClassINET}, Ns: "ns1." + apex, Mbox: "h." + apex, Serial: serial}}
		}
		return q
	}
	here := &edgeconfig.Secondary{Primaries: []string{"127.0.0.1"}}
	elsewhere := &edgeconfig.Secondary{Primaries: []string{"192.0.2.1"}, Keys: []string{"key_1"}}
	for _, c := range []struct {
		name    string
		zone    *edgeconfig.Secondary
		q       *dns.Msg
		network string
		key     string
		rcode   int
		heard   *edgeconfig.Notice
	}{
		{"by address", here, notice(transferApex, 0), "udp", "", dns.RcodeSuccess, &edgeconfig.Notice{Zone: "zon_1"}},
		{"with a serial", here, notice(transferApex, 77), "udp", "", dns.RcodeSuccess, &edgeconfig.Notice{Zone: "zon_1", Serial: 77, Known: true}},
		{"over TCP", here, notice(transferApex, 77), "tcp", "", dns.RcodeSuccess, &edgeconfig.Notice{Zone: "zon_1", Serial: 77, Known: true}},
		{"in capitals, with EDNS", here, func() *dns.Msg { return notice("EXAMPLE.com.", 0).SetEdns0(1232, false) }(), "udp", "", dns.RcodeSuccess, &edgeconfig.Notice{Zone: "zon_1"}},
		{"from elsewhere", elsewhere, notice(transferApex, 77), "udp", "", dns.RcodeRefused, nil},
		{"from elsewhere, signed", elsewhere, notice(transferApex, 77), "udp", transferKey, dns.RcodeSuccess, &edgeconfig.Notice{Zone: "zon_1", Serial: 77, Known: true}},
		{"signed with another key of ours", elsewhere, notice(transferApex, 77), "udp", "other.example.", dns.RcodeRefused, nil},
		{"signed with a key that nobody has", here, notice(transferApex, 77), "udp", "nobody.example.", dns.RcodeNotAuth, nil},
		{"of a zone of our own", nil, notice(transferApex, 77), "udp", "", dns.RcodeRefused, nil},
		{"of a name in the zone", here, notice("www."+transferApex, 77), "udp", "", dns.RcodeNotAuth, nil},
		{"of another zone", here, notice("example.net.", 77), "udp", "", dns.RcodeNotAuth, nil},
		{"of an address", here, func() *dns.Msg { q := notice(transferApex, 0); q.Question[0].Qtype = dns.TypeA; return q }(), "udp", "", dns.RcodeFormatError, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			server, _ := secondaryServer(t, c.zone)
			answer, err := notify(t, server, c.q, c.network, c.key)
			if answer == nil {
				t.Fatal(err)
			}
			if answer.Opcode != dns.OpcodeNotify || answer.Rcode != c.rcode || !answer.Response || answer.Authoritative != (c.rcode == dns.RcodeSuccess) || len(answer.Question) != 1 {
				t.Errorf("%v", answer)
			}
			if c.rcode == dns.RcodeSuccess && (err != nil || (c.key != "") != (answer.IsTsig() != nil) || (c.q.IsEdns0() != nil) != (answer.IsEdns0() != nil)) {
				t.Errorf("%v, %v", err, answer)
			}
			select {
			case n := <-server.Notices():
				if c.heard == nil || n != *c.heard {
					t.Errorf("heard %+v, want %+v", n, c.heard)
				}
			default:
				if c.heard != nil {
					t.Error("nothing was heard")
				}
			}
		})
	}
}

// What is repeated is passed on once, another version at once, and a flood only
// in part.
func TestNoticesAreBounded(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	h := newHeard(func() time.Time { return now })
	for range 5 {
		h.pass(edgeconfig.Notice{Zone: "zon_1", Serial: 1, Known: true})
	}
	h.pass(edgeconfig.Notice{Zone: "zon_1", Serial: 2, Known: true})
	if n := len(h.out); n != 2 {
		t.Errorf("%d notices are passed on", n)
	}
	now = now.Add(noticeRepeat)
	h.pass(edgeconfig.Notice{Zone: "zon_1", Serial: 2, Known: true})
	if n := len(h.out); n != 3 {
		t.Errorf("%d notices are passed on after a while", n)
	}
	for i := range uint32(10_000) {
		h.pass(edgeconfig.Notice{Zone: "zon_1", Serial: i, Known: true})
	}
	if n := len(h.out); n > noticeBurst {
		t.Errorf("%d notices wait", n)
	}
}

// An expired copy answers nobody, and gives nothing away; it is there again when
// the primary is.
func TestExpiredCopies(t *testing.T) {
	server, c := secondaryServer(t, &edgeconfig.Secondary{Primaries: []string{"192.0.2.1"}})
	c.head.Transfer = &edgeconfig.Transfer{Keys: []string{"key_1"}}
	revision := int64(1)
	for _, expired := range []bool{true, false} {
		revision++
		c.head.Secondary = &edgeconfig.Secondary{Primaries: []string{"192.0.2.1"}, Expired: expired}
		apply(t, server.Zones, c.documents(t, revision))
		want := dns.RcodeSuccess
		if expired {
			want = dns.RcodeServerFailure
		}
		for _, typ := range []uint16{dns.TypeSOA, dns.TypeA} {
			answer, _, err := new(dns.Client).Exchange(new(dns.Msg).SetQuestion(transferApex, typ).SetEdns0(1232, true), server.Addr())
			if err != nil || answer.Rcode != want || expired && len(answer.Answer)+len(answer.Ns) > 0 {
				t.Fatalf("expired %v: %v, %v", expired, answer, err)
			}
			if expired && (len(answer.IsEdns0().Option) == 0 || answer.IsEdns0().Option[0].(*dns.EDNS0_EDE).InfoCode != dns.ExtendedErrorCodeInvalidData) {
				t.Errorf("it does not say why: %v", answer)
			}
		}
		q := new(dns.Msg).SetAxfr(transferApex)
		answer, err := notify(t, server, q, "tcp", transferKey)
		if answer == nil || answer.Rcode != want {
			t.Errorf("expired %v: a transfer: %v, %v", expired, answer, err)
		}
		if err := server.Verify(t.Context(), edgeconfig.ZoneKey("zon_1"), revision); err != nil {
			t.Errorf("expired %v: %v", expired, err)
		}
	}
}

// Two projects may have one key, as one person does who runs both.
func TestKeysOfOneSecret(t *testing.T) {
	z := NewZones()
	for _, id := range []string{"key_1", "key_2", "key_3"} {
		name, secret := transferKey, transferSecret
		if id == "key_3" {
			secret = []byte("another secret of 32 bytes, long")
		}
		z.PutKey(testKey(t, id, name, secret))
	}
	q := new(dns.Msg).SetAxfr(transferApex)
	q.SetTsig(transferKey, dns.HmacSHA256, 300, time.Now().Unix())
	wire, _, err := dns.TsigGenerate(q, base64.StdEncoding.EncodeToString(transferSecret), "", false)
	if err != nil {
		t.Fatal(err)
	}
	off, _ := dnswire.FindTSIG(wire)
	r, end, ok := dnswire.ReadTSIG(wire, off, false)
	if !ok || end != len(wire) {
		t.Fatal("the record is not found")
	}
	s, code := z.checkTSIG(wire, off, &r, uint64(time.Now().Unix()))
	if s == nil || code != dns.RcodeSuccess || !s.by([]string{"key_1"}) || !s.by([]string{"key_2"}) || s.by([]string{"key_3"}) {
		t.Errorf("%+v, %d", s, code)
	}
}

// A secondary that is named later hears of the version that is served; one that
// must not be reached hears nothing.
func TestNewTargetsAreTold(t *testing.T) {
	head := func(serial uint32, targets ...string) *edgeconfig.Zone {
		z := &edgeconfig.Zone{SOA: edgeconfig.SOA{Serial: serial}}
		if targets != nil {
			z.Transfer = &edgeconfig.Transfer{Keys: []string{"key_1"}, Notify: targets}
		}
		return z
	}
	for _, c := range []struct {
		before *edgeconfig.Zone // nil: it was not served
		head   *edgeconfig.Zone
		want   []string
	}{
		{nil, head(1), nil},
		{nil, head(1, "a"), []string{"a"}},
		{head(1), head(1, "a"), []string{"a"}},
		{head(1, "a"), head(1, "a", "b"), []string{"b"}},
		{head(1, "a"), head(1, "a"), nil},
		{head(1, "a"), head(2, "a", "b"), []string{"a", "b"}},
		{head(1, "a"), head(2), nil},
	} {
		m := &model{}
		if c.before != nil {
			m.head, m.compiled = *c.before, &index{}
		}
		if got := told(m, c.head); len(got) != len(c.want) || len(got) > 0 && !slices.Equal(got, c.want) {
			t.Errorf("%+v after %+v: %v, want %v", c.head, c.before, got, c.want)
		}
	}
	n := &notifier{reach: func(a netip.Addr) error { return fault.New(fault.Forbidden, "%s", a) }}
	if _, err := n.send(noticeTo{transferApex, "127.0.0.1:53"}, &notice{}); !fault.Is(err, fault.Forbidden) {
		t.Errorf("a target that must not be reached: %v", err)
	}
}

// FuzzNotify: what is heard is of a zone that is secondary, and every answer is a
// message.
func FuzzNotify(f *testing.F) {
	s := testResponder()
	s.zones.PutKey(testKey(f, "key_1", transferKey, transferSecret))
	c := contentOf(f, "zon_1", transferApex, records(f, transferApex, soaLine+fullZone))
	c.head.Secondary = &edgeconfig.Secondary{Primaries: []string{testClient.String()}, Keys: []string{"key_1"}}
	apply(f, s.zones, c.documents(f, 1))
	for _, serial := range []uint32{0, 5} {
		q := new(dns.Msg).SetNotify("example.com.")
		if serial > 0 {
			q.Answer = []dns.RR{&dns.SOA{Hdr: dns.RR_Header{Name: "example.com.", Rrtype: dns.TypeSOA, Class: dns.ClassINET}, Ns: ".", Mbox: ".", Serial: serial}}
		}
		wire, err := q.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wire)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) < headerSize {
			return
		}
		in = slices.Clone(in)
		in[2] = in[2]&^(bitQR|0x78) | dns.OpcodeNotify<<3
		for _, tcp := range []bool{false, true} {
			out := exchangeWire(s, slices.Clone(in), tcp)
			if out == nil {
				continue
			}
			if len(out) > max(len(in)+512, 512) {
				t.Fatalf("%d bytes answer %d", len(out), len(in))
			}
			if err := new(dns.Msg).Unpack(out); err != nil {
				t.Fatalf("%x answers %x: %v", out, in, err)
			}
		}
		select {
		case n := <-s.heard.out:
			if n.Zone != "zon_1" {
				t.Fatalf("%+v", n)
			}
		default:
		}
	})
}
