package dns

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/control/dnssec"
	"github.com/edgewright/edgewright/dnswire"
	"github.com/edgewright/edgewright/edgeconfig"
)

var transferSecret = []byte("0123456789abcdef0123456789abcdef")

const transferKey = "transfer.example."

func testKey(t tester, id, name string, secret []byte) *Key {
	t.Helper()
	k, err := NewKey(&edgeconfig.TSIGKey{ID: id, Name: strings.TrimSuffix(name, "."), Algorithm: edgeconfig.HMACSHA256}, secret)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return k
}

// primary serves a zone that may be transferred, and changes it.
type primary struct {
	*Server
	t        *testing.T
	content  content // of the served version, signed where the zone is
	plain    content
	key      *dnssec.Key
	signed   *dnssec.Signed
	denial   string
	revision int64
}

const transferApex = "example.com."

func startPrimary(t *testing.T, denial string, transfer *edgeconfig.Transfer) *primary {
	t.Helper()
	p := &primary{Server: start(t, Options{}, nil), t: t, denial: denial, revision: 1000}
	p.PutKey(testKey(t, "key_1", transferKey, transferSecret))
	p.plain = contentOf(t, "zon_1", transferApex, records(t, transferApex, soaLine+fullZone))
	p.plain.head.Transfer = transfer
	if denial != "" {
		k, err := dnssec.Generate(dnssec.CSK, dnssec.ECDSAP256)
		if err != nil {
			t.Fatal(err)
		}
		p.key = k
	}
	p.serve()
	return p
}

// serve puts the content in force as the next version.
func (p *primary) serve() {
	p.t.Helper()
	p.revision++
	p.plain.head.SOA.Serial = uint32(p.revision)
	parts := p.content.head.Parts
	p.content = p.plain
	if p.key != nil {
		p.signed, p.content, _ = signed(p.t, p.signed, p.plain, p.key, p.denial)
	}
	p.content.head.Parts = parts
	apply(p.t, p.Zones, p.content.documents(p.t, p.revision))
}

// set gives a name an address, "" none.
func (p *primary) set(name, address string) {
	names := slices.DeleteFunc(slices.Clone(p.plain.names), func(n edgeconfig.ZoneName) bool { return n.Name == name })
	if address != "" {
		names = append(names, edgeconfig.ZoneName{Name: name, Sets: []edgeconfig.RRset{{Type: dns.TypeA, TTL: 60, Data: [][]byte{netip.MustParseAddr(address).AsSlice()}}}})
	}
	p.plain.names = names
}

// fetch asks for a transfer, with IXFR from a version.
func (p *primary) fetch(from uint32) ([]dns.RR, error) {
	p.t.Helper()
	q := new(dns.Msg).SetAxfr(transferApex)
	if from > 0 {
		q.SetIxfr(transferApex, from, "ns1."+transferApex, "hostmaster."+transferApex)
	}
	q.SetEdns0(4096, false)
	q.SetTsig(transferKey, dns.HmacSHA256, 300, time.Now().Unix())
	x := &dns.Transfer{TsigSecret: map[string]string{transferKey: base64.StdEncoding.EncodeToString(transferSecret)}}
	envelopes, err := x.In(q, p.Addr())
	if err != nil {
		return nil, err
	}
	var out []dns.RR
	for e := range envelopes {
		if e.Error != nil {
			err = e.Error
		}
		out = append(out, e.RR...)
	}
	return out, err
}

func sortedLines(rrs []dns.RR) []string {
	out := lines(rrs)
	for i := range out {
		out[i] = strings.ToLower(out[i])
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func TestTransfers(t *testing.T) {
	for _, denial := range []string{"", edgeconfig.DenialNSEC, edgeconfig.DenialNSEC3} {
		t.Run("denial "+denial, func(t *testing.T) {
			p := startPrimary(t, denial, &edgeconfig.Transfer{Keys: []string{"key_0", "key_1"}, Allow: []string{"127.0.0.0/8"}})
			// Enough for many messages.
			for i := range 600 {
				p.set(fmt.Sprintf("many%d", i), fmt.Sprintf("192.0.2.%d", i%250))
			}
			p.serve()
			whole, err := p.fetch(0)
			if err != nil {
				t.Fatal(err)
			}
			if whole[0].Header().Rrtype != dns.TypeSOA || whole[len(whole)-1].String() != whole[0].String() {
				t.Errorf("a transfer begins with %v and ends with %v", whole[0], whole[len(whole)-1])
			}
			want := sortedLines(p.content.records(t))
			if got := sortedLines(whole); !slices.Equal(got, want) {
				t.Errorf("the transfer has %d records, the zone %d: %s", len(got), len(want), firstDifference(got, want))
			}

			// A secondary that follows by differences has the zone after each change.
			copyOf := map[string]bool{}
			for _, rr := range whole {
				copyOf[strings.ToLower(rr.String())] = true
			}
			at := p.content.head.SOA.Serial
			for round, change := range []func(){
				func() { p.set("many1", "198.51.100.1") },
				func() { p.set("new.below.many2", "198.51.100.2"); p.set("many3", "") },
				func() { p.set("new.below.many2", "") },
				func() {},
			} {
				change()
				p.serve()
				if round == 1 {
					continue // two versions at once
				}
				changes, err := p.fetch(at)
				if err != nil {
					t.Fatal(err)
				}
				if len(changes) > 200 {
					t.Errorf("round %d: %d records instead of the difference", round, len(changes))
				}
				at = p.content.head.SOA.Serial
				follow(t, copyOf, changes, at)
				var have []string
				for l := range copyOf {
					have = append(have, l)
				}
				slices.Sort(have)
				if want := sortedLines(p.content.records(t)); !slices.Equal(have, want) {
					t.Fatalf("round %d: a secondary that followed has another zone: %s", round, firstDifference(have, want))
				}
			}
			if same, err := p.fetch(at); err != nil || len(same) != 1 {
				t.Errorf("nothing new: %v, %v", same, err)
			}
			// From a version nobody remembers: the whole zone.
			if all, err := p.fetch(5); err != nil || len(all) < 600 {
				t.Errorf("from an unknown version: %d records, %v", len(all), err)
			}
		})
	}
}

func firstDifference(got, want []string) string {
	for _, l := range got {
		if !slices.Contains(want, l) {
			return "not wanted: " + l
		}
	}
	for _, l := range want {
		if !slices.Contains(got, l) {
			return "missing: " + l
		}
	}
	return "none"
}

// follow applies the differences of RFC 1995 section 4.
func follow(t *testing.T, zone map[string]bool, rrs []dns.RR, serial uint32) {
	t.Helper()
	if first, ok := rrs[0].(*dns.SOA); !ok || first.Serial != serial || rrs[len(rrs)-1].String() != rrs[0].String() {
		t.Fatalf("the differences begin with %v and end with %v", rrs[0], rrs[len(rrs)-1])
	}
	remove := false
	for _, rr := range rrs[1 : len(rrs)-1] {
		line := strings.ToLower(rr.String())
		if rr.Header().Rrtype == dns.TypeSOA {
			remove = !remove
		}
		if remove {
			if !zone[line] {
				t.Errorf("what goes is not there: %s", line)
			}
			delete(zone, line)
		} else {
			zone[line] = true
		}
	}
}

func TestTransfersAreForThoseWhoMay(t *testing.T) {
	p := startPrimary(t, "", &edgeconfig.Transfer{Keys: []string{"key_1"}})
	p.PutKey(testKey(t, "key_2", "other.example.", transferSecret))
	forbidden := contentOf(t, "zon_2", "closed.example.", records(t, "closed.example.", soaLine+fullZone))
	forbidden.head.Transfer = &edgeconfig.Transfer{Keys: []string{"key_1"}, Allow: []string{"192.0.2.0/24"}}
	apply(t, p.Zones, forbidden.documents(t, 1))
	unset := contentOf(t, "zon_3", "unset.example.", records(t, "unset.example.", soaLine+fullZone))
	apply(t, p.Zones, unset.documents(t, 1))
	good := base64.StdEncoding.EncodeToString(transferSecret)
	bad := base64.StdEncoding.EncodeToString([]byte("another secret of 32 bytes, long"))
	for _, c := range []struct {
		name, zone, key, secret, network string
		typ                              uint16
		late                             int64
		rcode, code                      int
	}{
		{"no key", transferApex, "", "", "tcp", dns.TypeAXFR, 0, dns.RcodeRefused, 0},
		{"no key, IXFR", transferApex, "", "", "tcp", dns.TypeIXFR, 0, dns.RcodeRefused, 0},
		{"another zone's key", transferApex, "other.example.", good, "tcp", dns.TypeAXFR, 0, dns.RcodeRefused, 0},
		{"over UDP", transferApex, transferKey, good, "udp", dns.TypeAXFR, 0, dns.RcodeRefused, 0},
		{"from elsewhere", "closed.example.", transferKey, good, "tcp", dns.TypeAXFR, 0, dns.RcodeRefused, 0},
		{"a zone without transfers", "unset.example.", transferKey, good, "tcp", dns.TypeAXFR, 0, dns.RcodeRefused, 0},
		{"below a zone", "www." + transferApex, transferKey, good, "tcp", dns.TypeAXFR, 0, dns.RcodeRefused, 0},
		{"no zone", "elsewhere.", transferKey, good, "tcp", dns.TypeAXFR, 0, dns.RcodeRefused, 0},
		{"an unknown key", transferApex, "unknown.example.", good, "tcp", dns.TypeAXFR, 0, dns.RcodeNotAuth, dns.RcodeBadKey},
		{"a wrong secret", transferApex, transferKey, bad, "tcp", dns.TypeAXFR, 0, dns.RcodeNotAuth, dns.RcodeBadSig},
		{"a wrong secret, over UDP", transferApex, transferKey, bad, "udp", dns.TypeSOA, 0, dns.RcodeNotAuth, dns.RcodeBadSig},
		{"a wrong clock", transferApex, transferKey, good, "tcp", dns.TypeAXFR, -1000, dns.RcodeNotAuth, dns.RcodeBadTime},
		{"a signed question", transferApex, transferKey, good, "udp", dns.TypeSOA, 0, dns.RcodeSuccess, 0},
		{"a signed question over TCP", "nothing." + transferApex, transferKey, good, "tcp", dns.TypeA, 0, dns.RcodeNameError, 0},
		{"IXFR over UDP", transferApex, transferKey, good, "udp", dns.TypeIXFR, 0, dns.RcodeSuccess, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := new(dns.Msg).SetQuestion(c.zone, c.typ)
			if c.typ == dns.TypeIXFR {
				q.SetIxfr(c.zone, 1, ".", ".")
			}
			q.SetEdns0(1232, false)
			if c.key != "" {
				q.SetTsig(c.key, dns.HmacSHA256, 300, time.Now().Unix()+c.late)
			}
			conn, err := dns.Dial(c.network, p.Addr())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.TsigSecret = map[string]string{c.key: c.secret}
			if err := conn.WriteMsg(q); err != nil {
				t.Fatal(err)
			}
			answer, err := conn.ReadMsg()
			if answer == nil {
				t.Fatal(err)
			}
			code, signed := 0, false
			if s := answer.IsTsig(); s != nil {
				code, signed = int(s.Error), s.MACSize > 0
			}
			if answer.Rcode != c.rcode || code != c.code {
				t.Errorf("rcode %s, TSIG error %d; want %s, %d\n%v", dns.RcodeToString[answer.Rcode], code, dns.RcodeToString[c.rcode], c.code, answer)
			}
			known := c.code == 0 && c.key != ""
			if (known || c.code == dns.RcodeBadTime) != signed {
				t.Errorf("signed: %v", signed)
			}
			if known && err != nil {
				t.Errorf("the answer's signature: %v", err)
			}
			if c.rcode == dns.RcodeSuccess && len(answer.Answer) != 1 {
				t.Errorf("answer %v", answer)
			}
		})
	}
	if s := p.Stats(); s.Transfers != 0 {
		t.Errorf("%d transfers", s.Transfers)
	}
	// A key that is taken back is no key.
	p.RemoveKey("key_1")
	if _, err := p.fetch(0); err == nil {
		t.Error("a transfer with a key that is gone")
	}
}

// TestTransfersAreOfOneVersion changes a zone while it is transferred.
func TestTransfersAreOfOneVersion(t *testing.T) {
	p := startPrimary(t, "", &edgeconfig.Transfer{Keys: []string{"key_1"}})
	change := func(last int) {
		for i := range 500 {
			p.set(fmt.Sprintf("many%d", i), fmt.Sprintf("192.0.2.%d", last))
		}
		p.serve()
	}
	change(1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 20 {
			change(2 + i)
		}
	}()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		all, err := p.fetch(0)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, rr := range all {
			if a, ok := rr.(*dns.A); ok && strings.HasPrefix(a.Hdr.Name, "many") {
				seen[a.A.String()] = true
			}
		}
		if len(seen) != 1 {
			t.Fatalf("one transfer has addresses of several versions: %v", seen)
		}
	}
}

func TestNotices(t *testing.T) {
	heard := make(chan *dns.Msg, 16)
	bound := make(chan struct{})
	listener := &dns.Server{
		Addr: "127.0.0.1:0", Net: "udp", NotifyStartedFunc: func() { close(bound) },
		TsigSecret:    map[string]string{transferKey: base64.StdEncoding.EncodeToString(transferSecret)},
		MsgAcceptFunc: func(dns.Header) dns.MsgAcceptAction { return dns.MsgAccept },
		Handler: dns.HandlerFunc(func(w dns.ResponseWriter, m *dns.Msg) {
			if w.TsigStatus() != nil || m.IsTsig() == nil {
				t.Errorf("the notice's signature: %v", w.TsigStatus())
			}
			heard <- m
			_ = w.WriteMsg(new(dns.Msg).SetReply(m))
		}),
	}
	go func() { _ = listener.ListenAndServe() }()
	<-bound
	defer func() { _ = listener.Shutdown() }()
	p := startPrimary(t, "", &edgeconfig.Transfer{Keys: []string{"key_1"}, Notify: []string{listener.PacketConn.LocalAddr().String()}})
	for want := uint32(1001); want <= 1003; want++ {
		select {
		case m := <-heard:
			if m.Opcode != dns.OpcodeNotify || !m.Authoritative || m.Question[0].Name != transferApex || m.Question[0].Qtype != dns.TypeSOA || m.Answer[0].(*dns.SOA).Serial != want {
				t.Errorf("notice %d: %v", want, m)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("no notice of version %d", want)
		}
		p.set("www2", fmt.Sprintf("192.0.2.%d", want%250))
		p.serve()
	}
}

// isFollowedBy changes the zone and waits until a secondary has each version.
func (p *primary) isFollowedBy(addr, log string) {
	p.t.Helper()
	for i := range 3 {
		p.set("changing", fmt.Sprintf("192.0.2.%d", 100+i))
		p.serve()
		want := p.content.head.SOA.Serial
		for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			answer, _, err := new(dns.Client).Exchange(new(dns.Msg).SetQuestion(transferApex, dns.TypeSOA), addr)
			if err == nil && len(answer.Answer) == 1 && answer.Answer[0].(*dns.SOA).Serial == want {
				break
			}
			if time.Now().After(deadline) {
				text, _ := os.ReadFile(log)
				p.t.Fatalf("the secondary does not have version %d: %v, %v\n%s", want, err, answer, text)
			}
		}
	}
}

// TestBINDAsSecondary: as Knot.
func TestBINDAsSecondary(t *testing.T) {
	dir := t.TempDir()
	port := freeUDP(t)
	p := startPrimary(t, edgeconfig.DenialNSEC3, &edgeconfig.Transfer{Keys: []string{"key_1"}, Notify: []string{fmt.Sprintf("127.0.0.1:%d", port)}})
	_, own, _ := strings.Cut(p.Addr(), ":")
	conf := fmt.Sprintf(`options {
	directory %q; pid-file %q; session-keyfile %q; managed-keys-directory %q;
	listen-on port %d { 127.0.0.1; }; listen-on-v6 { none; };
	recursion no; dnssec-validation no; notify no;
};
controls { };
key %q { algorithm hmac-sha256; secret %q; };
zone %q {
	type secondary; file "bind.zone";
	primaries port %s { 127.0.0.1 key %q; };
	allow-notify { key %q; };
};
`, dir, filepath.Join(dir, "pid"), filepath.Join(dir, "session"), dir, port, transferKey, base64.StdEncoding.EncodeToString(transferSecret), transferApex, own, transferKey, transferKey)
	bind := startPeer(t, "named", dir, "named.conf", conf, port, map[string][]dns.RR{transferApex: nil}, "-g", "-c")
	p.isFollowedBy(bind.addr, filepath.Join(dir, "named.conf.log"))
	log, err := os.ReadFile(filepath.Join(dir, "named.conf.log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, said := range []string{"received notify", "Transfer completed", "TSIG '" + strings.TrimSuffix(transferKey, ".") + "'"} {
		if !strings.Contains(string(log), said) {
			t.Errorf("BIND never said %q:\n%s", said, log)
		}
	}
}

// TestKnotAsSecondary: a real secondary gets the zone, is told of changes, and
// has them; kdig transfers it too.
func TestKnotAsSecondary(t *testing.T) {
	dir := t.TempDir()
	port := freeUDP(t)
	target := fmt.Sprintf("127.0.0.1:%d", port)
	p := startPrimary(t, edgeconfig.DenialNSEC, &edgeconfig.Transfer{Keys: []string{"key_1"}, Notify: []string{target}})
	if err := os.Mkdir(filepath.Join(dir, "db"), 0o700); err != nil {
		t.Fatal(err)
	}
	own := strings.Replace(p.Addr(), ":", "@", 1)
	secret := base64.StdEncoding.EncodeToString(transferSecret)
	conf := fmt.Sprintf(`server:
  rundir: %q
  listen: 127.0.0.1@%d
database:
  storage: %q
log:
  - target: stderr
    any: info
key:
  - id: %s
    algorithm: hmac-sha256
    secret: %s
remote:
  - id: primary
    address: %s
    key: %s
acl:
  - id: notices
    key: %s
    action: notify
zone:
  - domain: %s
    storage: %q
    master: primary
    acl: notices
`, dir, port, filepath.Join(dir, "db"), transferKey, secret, own, transferKey, transferKey, transferApex, dir)
	knot := startPeer(t, "knotd", dir, "knot.conf", conf, port, map[string][]dns.RR{transferApex: nil}, "-c")
	p.isFollowedBy(knot.addr, filepath.Join(dir, "knot.conf.log"))
	log, err := os.ReadFile(filepath.Join(dir, "knot.conf.log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, said := range []string{"IXFR, incoming", "AXFR, incoming", "notify, incoming"} {
		if !strings.Contains(string(log), said) {
			t.Errorf("Knot never said %q:\n%s", said, log)
		}
	}
	if strings.Contains(string(log), "fallback to AXFR") {
		t.Errorf("Knot could not follow a difference:\n%s", log)
	}
	out, err := exec.Command("dig", "@127.0.0.1", "-p", strings.TrimPrefix(own, "127.0.0.1@"), "-y", "hmac-sha256:"+transferKey+":"+secret, "+noall", "+answer", "AXFR", transferApex).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "192.0.2.102") || strings.Count(string(out), "\tSOA\t") != 2 {
		t.Errorf("dig AXFR: %v\n%s", err, out)
	}
}

// FuzzTSIG signs whatever comes with a key the server has, so that everything
// behind the signature is reached, and reads the record back.
func FuzzTSIG(f *testing.F) {
	s := full(f)
	k := testKey(f, "key_1", transferKey, transferSecret)
	s.zones.PutKey(k)
	for _, typ := range []uint16{dns.TypeSOA, dns.TypeAXFR, dns.TypeIXFR} {
		q := question("example.com.", typ, typ == dns.TypeSOA)
		if typ == dns.TypeIXFR {
			q.SetIxfr("example.com.", 1, ".", ".")
		}
		wire, err := q.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wire, uint16(300), []byte{})
	}
	f.Fuzz(func(t *testing.T, in []byte, fudge uint16, other []byte) {
		if len(in) < headerSize || len(in) > 1000 || len(other) > 100 || int(in[10])<<8+int(in[11]) == 65535 {
			return
		}
		q := &dnswire.TSIG{Name: k.name, Algorithm: k.algorithm, Time: uint64(s.now().Unix()), Fudge: fudge, Other: other, ID: uint16(in[0])<<8 | uint16(in[1])}
		q.MAC = k.sum(q, nil, in, false)
		message := q.Append(slices.Clone(in))
		back, end, ok := dnswire.ReadTSIG(message, len(in), false)
		if !ok || !slices.Equal(back.MAC, q.MAC) || back.Fudge != fudge || !slices.Equal(back.Other, other) || end != len(message) {
			t.Fatalf("%+v is read back as %+v", q, back)
		}
		if _, code := s.zones.checkTSIG(message, len(in), &back, q.Time); code != dns.RcodeSuccess {
			t.Fatalf("a good signature is refused: %d", code)
		}
		for _, tcp := range []bool{false, true} {
			out := exchangeWire(s, message, tcp)
			if out == nil {
				continue
			}
			if !tcp && len(out) > max(1232, len(message)) {
				t.Fatalf("%d bytes over UDP", len(out))
			}
			if err := new(dns.Msg).Unpack(out); err != nil {
				t.Fatalf("%x answers %x: %v", out, message, err)
			}
		}
	})
}

// A zone of which only a part has arrived is served, and not copied.
func TestTornZonesAreNotGiven(t *testing.T) {
	p := startPrimary(t, "", &edgeconfig.Transfer{Keys: []string{"key_1"}})
	c := heavy(t, "zon_2", "example.net.", 400, 250)
	whole := c.documents(t, 1)
	c.head.SOA.Serial = 2
	c.names[0].Sets[0].TTL++
	docs := slices.Concat(whole[:len(whole)-1], c.documents(t, 2)[len(whole)-1:]) // the head of a part that has not come
	apply(t, p.Zones, docs)
	if st, _ := p.State("zon_2"); !st.Torn {
		t.Fatalf("%+v", st)
	}
	transfer := func() int {
		q := new(dns.Msg).SetAxfr("example.net.")
		m, err := notify(t, p.Server, q, "tcp", transferKey)
		if m == nil {
			t.Fatal(err)
		}
		return m.Rcode
	}
	if got := transfer(); got != dns.RcodeRefused {
		t.Errorf("a torn zone: %s", dns.RcodeToString[got])
	}
	apply(t, p.Zones, c.documents(t, 2))
	if got := transfer(); got != dns.RcodeSuccess {
		t.Errorf("when it is whole: %s", dns.RcodeToString[got])
	}
}

// Whatever is asked over UDP is answered while zones change: the thread that
// answers has others' questions behind it.
func TestNoQueryWaitsForAChange(t *testing.T) {
	p := startPrimary(t, "", &edgeconfig.Transfer{Keys: []string{"key_1"}})
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, q := range map[string]*dns.Msg{
		"a name":             question("www."+transferApex, dns.TypeA, true),
		"no name":            question("nothing."+transferApex, dns.TypeA, false),
		"a transfer":         new(dns.Msg).SetAxfr(transferApex),
		"what has changed":   new(dns.Msg).SetIxfr(transferApex, 1, ".", "."),
		"what is not served": question("elsewhere.", dns.TypeSOA, false),
		"a notice":           new(dns.Msg).SetNotify(transferApex),
	} {
		for _, key := range []string{"", transferKey} {
			if m, err := notify(t, p.Server, q.Copy(), "udp", key); m == nil {
				t.Errorf("%s, key %q: %v", name, key, err)
			}
		}
	}
}
