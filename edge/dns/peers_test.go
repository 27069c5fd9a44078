package dns

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/control/dnssec"
	"github.com/edgewright/edgewright/edgeconfig"
)

// What the zones of the comparison hold beside fullZone: more names of each
// kind, longer answers, types of all forms.
const peerZone = fullZone + `
mail IN TXT "many" "strings"
long IN TXT "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789" "0123456789012345678901234567890123456789"
@ IN CAA 0 issue "ca.example.net"
svc IN HTTPS 1 . alpn=h2,h3 ipv4hint=192.0.2.7
svc IN SVCB 1 backend port=8443
old IN NAPTR 100 10 "u" "sip+E2U" "!^.*$!sip:info@example.com!" .
_443._tcp.www2 IN TLSA 3 1 1 0123456789012345678901234567890123456789012345678901234567890123
ssh IN SSHFP 4 2 0123456789012345678901234567890123456789012345678901234567890123
loc IN LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m
strange IN TYPE65280 \# 4 01020304
ptr IN PTR host.elsewhere.net.
two IN A 192.0.2.60
two IN A 192.0.2.61
two IN A 192.0.2.62
twice IN CNAME www
insecure IN NS ns1.insecure
insecure IN NS ns2.insecure
ns1.insecure IN A 192.0.2.70
ns2.insecure IN AAAA 2001:db8::70
x.*.odd IN A 192.0.2.80
*.odd IN TXT "star"
d\.e IN A 192.0.2.81
deleg.below.ent IN NS ns.elsewhere.net.
dmoved 600 IN DNAME dodd
dmoved IN TXT "beside"
daway IN DNAME there.example.net.
dagain IN DNAME dmoved
dround IN DNAME dround2
dround2 IN DNAME dround
dinto IN DNAME wild.dodd
dsecure IN DNAME insecure
dlong IN DNAME xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.example.net.
dto IN CNAME www.dmoved
dnothing IN CNAME nothing.dmoved
www.dodd IN A 192.0.2.82
deep.er.dodd IN A 192.0.2.83
*.wild.dodd IN A 192.0.2.84
`

// peer is another name server that serves the same zones.
type peer struct{ name, addr string }

// TestAgreesWithKnotAndNSD asks this server, Knot and NSD the same questions
// about the same zones, unsigned and signed in both ways. A few thousand; as
// many as EDGEWRIGHT_DNS_DIFFERENTIAL says, 100000 for a release.
func TestAgreesWithKnotAndNSD(t *testing.T) {
	total := 6000
	if text := os.Getenv("EDGEWRIGHT_DNS_DIFFERENTIAL"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		total = n
	}
	if testing.Short() {
		total = 600
	}
	zones := map[string][]dns.RR{}
	s := start(t, Options{RRL: RRL{Rate: -1}}, nil)
	for apex, denial := range map[string]string{"plain.example.": "", "nsec.example.": edgeconfig.DenialNSEC, "nsec3.example.": edgeconfig.DenialNSEC3} {
		c := contentOf(t, "zon_"+strings.TrimSuffix(apex, "."), apex, records(t, apex, soaLine+peerZone))
		zones[apex] = c.records(t)
		if denial != "" {
			k, err := dnssec.Generate(dnssec.CSK, dnssec.ECDSAP256)
			if err != nil {
				t.Fatal(err)
			}
			_, c, zones[apex] = signed(t, nil, c, k, denial)
		}
		apply(t, s.Zones, c.documents(t, 1))
	}
	dir := t.TempDir()
	for apex, rrs := range zones {
		var text strings.Builder
		for _, rr := range rrs {
			fmt.Fprintln(&text, strings.Replace(rr.String(), "\tCLASS1\t", "\tIN\t", 1)) // Knot reads IN only
		}
		if err := os.WriteFile(filepath.Join(dir, apex+"zone"), []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	peers := []peer{startKnot(t, dir, zones), startNSD(t, dir, zones)}

	draw := newDraw(zones)
	us := newAsker(t, s.Addr())
	others := []*asker{newAsker(t, peers[0].addr), newAsker(t, peers[1].addr)}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	classes := map[string]int{}
	faults, seen := 0, map[string]bool{}
	for i := range total {
		q, tcp := draw.query(random), random.IntN(5) == 0
		mine := us.ask(q, tcp)
		for p, other := range others {
			theirs := other.ask(q, tcp)
			class, fault := compare(q, mine, theirs, peers[p].name, func(q *dns.Msg) *dns.Msg { return us.ask(q, true) }, func(q *dns.Msg) *dns.Msg { return other.ask(q, true) })
			if class != "" {
				classes[class]++
			}
			if fault != "" {
				// One whole pair of answers for each kind is enough to read.
				if kind := peers[p].name + fault + dns.TypeToString[q.Question[0].Qtype]; !seen[kind] {
					seen[kind] = true
				} else {
					continue
				}
				faults++
				t.Errorf("query %d, %s, tcp %v, edns %v: %s\n--- ours\n%v\n--- %s\n%v", i, q.Question[0].String(), tcp, q.IsEdns0(), fault, mine, peers[p].name, theirs)
			}
		}
		if faults > 20 {
			t.Fatal("too many differences")
		}
	}
	t.Logf("%d queries to three servers; differences that are explained: %v", total, classes)
}

// compare tells how two answers differ: in a way that is explained here (class),
// or not (fault). us and other ask over TCP.
func compare(q *dns.Msg, mine, theirs *dns.Msg, peer string, us, other func(*dns.Msg) *dns.Msg) (class, fault string) {
	question := q.Question[0]
	if mine == nil || theirs == nil {
		return "", "no answer"
	}
	if question.Qtype == dns.TypeANY && mine.Rcode == dns.RcodeSuccess && len(mine.Answer) > 0 && !has(mine.Answer, dns.TypeCNAME) {
		// RFC 8482: one set of the sender's choice. Knot takes another one, NSD all.
		// Ours must be what the peer answers when asked for that type.
		typed := q.Copy()
		typed.Question[0].Qtype = mine.Answer[0].Header().Rrtype
		if theirs = other(typed); theirs == nil || !slices.Equal(lines(mine.Answer), lines(theirs.Answer)) {
			return "", fmt.Sprint("ANY: not the whole set ", theirs)
		}
		return "ANY is one set", ""
	}
	if question.Qtype == dns.TypeRRSIG && has(mine.Answer, dns.TypeRRSIG) && mine.Rcode == theirs.Rcode {
		// RRSIG is no set (RFC 4035 section 2.2), and asking for it is ANY by another
		// name: we give the signatures of the set that ANY gives, Knot those of the
		// first, NSD all.
		if theirs.Truncated {
			if theirs = other(q); theirs == nil {
				return "", "no answer over TCP"
			}
		}
		if peer == "nsd" {
			for _, l := range lines(mine.Answer) {
				if !slices.Contains(lines(theirs.Answer), l) {
					return "", "RRSIG: not among all of them"
				}
			}
		}
		return "RRSIG is of one set", ""
	}
	if mine.Truncated != theirs.Truncated {
		// An answer near 1232 bytes fits with one server's optional records, and not
		// with another's. Over TCP both are whole.
		class = "truncation"
		if mine, theirs = us(q), other(q); mine == nil || theirs == nil {
			return "", "no answer over TCP"
		}
	} else if mine.Truncated {
		return "", ""
	}
	name := strings.ToLower(question.Name)
	if peer == "nsd" && dns.IsSubDomain("nsec3.example.", name) && hashedName(name) {
		// NSD keeps NSEC3 records among the names of the zone, so that something
		// below one has it as closest encloser. They are no names of the zone (RFC
		// 5155 section 1.3), and Knot agrees with us.
		return "NSD: below the owner of an NSEC3 record", ""
	}
	meta := question.Qtype == dns.TypeNSEC || question.Qtype == dns.TypeRRSIG || question.Qtype == dns.TypeNSEC3
	if (peer == "knotd" && meta || question.Qtype == dns.TypeNSEC3) && has(mine.Answer, dns.TypeCNAME) && !has(theirs.Answer, dns.TypeCNAME) {
		// NSEC and RRSIG may stand beside a CNAME (RFC 4035 section 2.5), so Knot
		// takes their absence for an answer, both servers that of NSEC3; RFC 1034
		// section 4.3.2 goes on at the target, as NSD does for the other two.
		return "NSEC, RRSIG or NSEC3 asked for at a CNAME", ""
	}
	if mine.Rcode != theirs.Rcode || mine.Authoritative != theirs.Authoritative {
		return "", "header"
	}
	for _, section := range []struct {
		name         string
		mine, theirs []dns.RR
	}{{"answer", mine.Answer, theirs.Answer}, {"authority", mine.Ns, theirs.Ns}, {"additional", mine.Extra, theirs.Extra}} {
		a, b := lines(section.mine), lines(section.theirs)
		if slices.Equal(a, b) {
			continue
		}
		if peer == "nsd" && section.name == "authority" && has(mine.Answer, dns.TypeDNAME) && slices.Equal(lines(undenied(section.mine)), lines(undenied(section.theirs))) {
			// NSD denies the wrong name when a DNAME has led to one that does not exist,
			// or that a wildcard stands for. Knot agrees with us, and so do validators.
			class = "NSD: denials behind a DNAME"
			continue
		}
		extra, more := beyond(b, a)
		switch {
		case more && section.name == "additional" && !referral(mine) && onlyAddresses(extra):
			// Addresses of what an answer names are a kindness (RFC 1034 section 4.3.2
			// step 6) that costs bytes and that resolvers do not use. Those a referral
			// needs are not: there the sections must be equal.
			class = "addresses in the additional section"
		case more && peer == "nsd" && section.name == "authority" && len(mine.Answer) == 0 && name[0] == '*' && dns.IsSubDomain("nsec3.example.", name):
			// Asked for the wildcard's own name, NSD proves as for a name that the
			// wildcard stands for; the one record that matches proves it (RFC 5155
			// section 7.2.3), and Knot agrees with us.
			class = "NSD: more NSEC3 records at a wildcard"
		case peer == "knotd" && section.name == "authority" && covers(a, b) && (name[0] == '*' || question.Qtype == dns.TypeNSEC):
			// Asked for a name that begins with an asterisk and does not exist, or for
			// the NSEC record of one, Knot leaves the proof out that a wildcard was
			// expanded (RFC 4035 section 3.1.3.3). NSD agrees with us.
			class = "Knot: no proof of a wildcard's expansion"
		default:
			return "", section.name
		}
	}
	return class, ""
}

// beyond returns what is in all and not in some, when all of some are in all.
func beyond(all, some []string) (extra []string, ok bool) {
	for _, l := range some {
		if !slices.Contains(all, l) {
			return nil, false
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(l string) bool { return slices.Contains(some, l) }), true
}

func covers(all, some []string) bool {
	_, ok := beyond(all, some)
	return ok
}

func referral(m *dns.Msg) bool { return has(m.Ns, dns.TypeNS) }

func onlyAddresses(records []string) bool {
	return !slices.ContainsFunc(records, func(l string) bool {
		f := strings.Fields(l)
		return f[3] != "A" && f[3] != "AAAA" && !(f[3] == "RRSIG" && (f[4] == "A" || f[4] == "AAAA"))
	})
}

// undenied is records without those that deny, and their signatures.
func undenied(rrs []dns.RR) []dns.RR {
	return slices.DeleteFunc(slices.Clone(rrs), func(rr dns.RR) bool {
		typ := rr.Header().Rrtype
		if s, ok := rr.(*dns.RRSIG); ok {
			typ = s.TypeCovered
		}
		return typ == dns.TypeNSEC || typ == dns.TypeNSEC3
	})
}

func has(rrs []dns.RR, typ uint16) bool {
	return slices.ContainsFunc(rrs, func(rr dns.RR) bool { return rr.Header().Rrtype == typ })
}

// hashedName tells whether a label of a name looks like an NSEC3 hash.
func hashedName(name string) bool {
	return slices.ContainsFunc(dns.SplitDomainName(name), func(l string) bool {
		return len(l) == 32 && strings.Trim(strings.ToLower(l), "0123456789abcdefghijklmnopqrstuv") == ""
	})
}

// draw draws questions about zones.
type draw struct {
	names []string
	types []uint16
}

func newDraw(zones map[string][]dns.RR) *draw {
	d := &draw{types: []uint16{dns.TypeA, dns.TypeA, dns.TypeA, dns.TypeAAAA, dns.TypeNS, dns.TypeDS, dns.TypeANY, dns.TypeSOA, dns.TypeTXT, dns.TypeMX, dns.TypeSRV, 65280, 65281, 999}}
	for apex, rrs := range zones {
		for _, rr := range rrs {
			name := strings.ToLower(rr.Header().Name)
			if hashedName(name) && name[0] != '0' && name[0] != 'q' {
				continue // some NSEC3 owners are enough
			}
			d.names = append(d.names, name)
			if typ := rr.Header().Rrtype; !slices.Contains(d.types, typ) {
				d.types = append(d.types, typ)
			}
			for n := up(name); dns.IsSubDomain(apex, n); n = up(n) {
				d.names = append(d.names, n)
			}
		}
	}
	slices.Sort(d.names)
	d.names = slices.Compact(d.names)
	slices.Sort(d.types[14:])
	return d
}

func (d *draw) query(random *rand.Rand) *dns.Msg {
	name := d.names[random.IntN(len(d.names))]
	label := func() string {
		return []string{"a", "*", "zz", "0", "www", "ns1", fmt.Sprint("r", random.IntN(1000))}[random.IntN(7)]
	}
	switch random.IntN(10) {
	case 0, 1: // below
		name = label() + "." + name
	case 2: // far below
		name = label() + "." + label() + "." + name
	case 3: // beside
		name = label() + "." + up(name)
	case 4: // below, and long: what a DNAME makes of it may be no name
		if len(name) < 180 {
			name = strings.Repeat("l", 58+random.IntN(4)) + "." + name
		}
	}
	b := []byte(name)
	for i := range b {
		if b[i] >= 'a' && b[i] <= 'z' && random.IntN(2) == 0 {
			b[i] -= 'a' - 'A'
		}
	}
	q := new(dns.Msg)
	q.Id = uint16(random.Uint32())
	q.RecursionDesired = random.IntN(2) == 0
	q.Question = []dns.Question{{Name: string(b), Qtype: d.types[random.IntN(len(d.types))], Qclass: dns.ClassINET}}
	switch random.IntN(5) {
	case 0:
	case 1:
		q.SetEdns0([]uint16{512, 1232, 4096}[random.IntN(3)], false)
	default:
		q.SetEdns0([]uint16{512, 1232, 1232, 4096}[random.IntN(4)], true)
	}
	return q
}

// asker asks one server, each question once more when a datagram was lost.
type asker struct {
	t    *testing.T
	addr string
	udp  *dns.Conn
	tcp  *dns.Conn
}

func newAsker(t *testing.T, addr string) *asker {
	a := &asker{t: t, addr: addr}
	t.Cleanup(func() {
		for _, c := range []*dns.Conn{a.udp, a.tcp} {
			if c != nil {
				_ = c.Close()
			}
		}
	})
	return a
}

func (a *asker) ask(q *dns.Msg, tcp bool) *dns.Msg {
	a.t.Helper()
	network, conn := "udp", &a.udp
	if tcp {
		network, conn = "tcp", &a.tcp
	}
	for range 3 {
		if *conn == nil {
			c, err := dns.Dial(network, a.addr)
			if err != nil {
				a.t.Fatal(err)
			}
			*conn = c
		}
		answer, _, err := (&dns.Client{Net: network, Timeout: 5 * time.Second, UDPSize: 4096}).ExchangeWithConn(q, *conn)
		if err == nil {
			return answer
		}
		_ = (*conn).Close() // the server may have had enough of it
		*conn = nil
	}
	return nil
}

func startKnot(t *testing.T, dir string, zones map[string][]dns.RR) peer {
	port := freeUDP(t)
	var conf strings.Builder
	fmt.Fprintf(&conf, "server:\n  rundir: %q\n  listen: 127.0.0.1@%d\n  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\n", dir, port)
	fmt.Fprintf(&conf, "database:\n  storage: %q\nlog:\n  - target: stderr\n    any: warning\n", filepath.Join(dir, "knot"))
	fmt.Fprintf(&conf, "template:\n  - id: default\n    storage: %q\n    file: %%s.zone\n    semantic-checks: off\n    journal-content: none\nzone:\n", dir)
	for apex := range zones {
		fmt.Fprintf(&conf, "  - domain: %q\n    file: %q\n", apex, apex+"zone")
	}
	return startPeer(t, "knotd", dir, "knot.conf", conf.String(), port, zones, "-c")
}

func startNSD(t *testing.T, dir string, zones map[string][]dns.RR) peer {
	port := freeUDP(t)
	var conf strings.Builder
	fmt.Fprintf(&conf, "server:\n ip-address: 127.0.0.1\n port: %d\n server-count: 1\n username: \"\"\n chroot: \"\"\n database: \"\"\n zonesdir: %q\n", port, dir)
	for _, file := range []string{"pidfile", "xfrdfile", "zonelistfile"} {
		fmt.Fprintf(&conf, " %s: %q\n", file, filepath.Join(dir, "nsd."+file))
	}
	fmt.Fprintf(&conf, " xfrdir: %q\n rrl-ratelimit: 0\n minimal-responses: yes\n tcp-query-count: 0\nremote-control:\n control-enable: no\n", dir)
	for apex := range zones {
		fmt.Fprintf(&conf, "zone:\n name: %q\n zonefile: %q\n", apex, apex+"zone")
	}
	return startPeer(t, "nsd", dir, "nsd.conf", conf.String(), port, zones, "-d", "-c")
}

// startPeer runs a name server until the test ends and waits until it answers
// for every zone.
func startPeer(t *testing.T, program, dir, file, conf string, port int, zones map[string][]dns.RR, args ...string) peer {
	t.Helper()
	file = filepath.Join(dir, file)
	if err := os.WriteFile(file, []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	path, err := exec.LookPath(program)
	if err != nil {
		if path, err = exec.LookPath("/usr/sbin/" + program); err != nil {
			t.Fatalf("%s is not installed: run test/needs.sh", program)
		}
	}
	log, err := os.Create(file + ".log")
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(path, append(args, file)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			<-ended
		}
	})
	p := peer{program, fmt.Sprintf("127.0.0.1:%d", port)}
	deadline := time.Now().Add(30 * time.Second)
	for apex := range zones {
		for {
			answer, _, err := (&dns.Client{Timeout: 200 * time.Millisecond}).Exchange(new(dns.Msg).SetQuestion(apex, dns.TypeSOA), p.addr)
			if err == nil && answer.Rcode == dns.RcodeSuccess && len(answer.Answer) > 0 {
				break
			}
			select {
			case <-ended:
				err = errors.New("it has ended")
			default:
			}
			if time.Now().After(deadline) || err != nil && err.Error() == "it has ended" {
				text, _ := os.ReadFile(file + ".log")
				t.Fatalf("%s does not answer for %s: %v, %v\n%s", program, apex, err, answer, text)
			}
		}
	}
	return p
}

func freeUDP(t *testing.T) int {
	t.Helper()
	for {
		l, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.LocalAddr().(*net.UDPAddr).Port
		tcp, err := net.Listen("tcp", l.LocalAddr().String())
		_ = l.Close()
		if err == nil {
			_ = tcp.Close()
			return port
		}
	}
}
