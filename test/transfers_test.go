package test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// nameServer is another name server, run as its users run it.
type nameServer struct {
	addr, logs string
	stop       func()
}

// startServer runs a name server until the test ends.
func startServer(t *testing.T, program, dir, conf string, port int, args ...string) *nameServer {
	t.Helper()
	file := filepath.Join(dir, program+".conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	path, err := exec.LookPath(program)
	if err != nil {
		if path, err = exec.LookPath("/usr/sbin/" + program); err != nil {
			t.Fatalf("%s is not installed: run test/needs.sh", program)
		}
	}
	s := &nameServer{addr: fmt.Sprintf("127.0.0.1:%d", port), logs: file + ".log"}
	log, err := os.Create(s.logs)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(path, append(args, file)...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	s.stop = sync.OnceFunc(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			<-ended
		}
	})
	t.Cleanup(func() {
		s.stop()
		if t.Failed() {
			t.Logf("%s logged:\n%s", program, s.log())
		}
	})
	return s
}

func (s *nameServer) log() string {
	text, _ := os.ReadFile(s.logs)
	return string(text)
}

// has waits until a server answers a name with an address.
func has(t *testing.T, server, name, address string) {
	t.Helper()
	eventually(t, 60*time.Second, func() error {
		answer, _, err := new(dns.Client).Exchange(new(dns.Msg).SetQuestion(name, dns.TypeA), server)
		if err != nil {
			return err
		}
		for _, rr := range answer.Answer {
			if a, is := rr.(*dns.A); is && a.A.String() == address {
				return nil
			}
		}
		return fmt.Errorf("%s at %s: %v", name, server, answer)
	})
}

func freePort(t *testing.T) int {
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

// transfersOf is what the API says of a zone's transfers.
type transfersOf struct {
	Transfers struct {
		Serial uint32
		Copy   struct {
			State, How, Reason, Error, Fix string
			Serial                         uint32
		}
	}
}

// fetchesOf is what the API says of who has asked for a zone.
type fetchesOf struct{ Secondaries []fetchOf }

type fetchOf struct {
	Address, Key, Kind, Outcome, Fix string
	Serial                           uint32
}

// dnsCLI runs `edgewright dns ...`.
func dnsCLI(t *testing.T, s *system, args ...string) string {
	t.Helper()
	out, err := tryDNS(t, s, args...)
	if err != nil {
		t.Fatalf("dns %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func tryDNS(t *testing.T, s *system, args ...string) (string, error) {
	t.Helper()
	env := []string{"EDGEWRIGHT_URL=http://" + s.Ready.API, "EDGEWRIGHT_TOKEN=" + token}
	return run(t, env, binary, append([]string{"dns"}, args...)...)
}

const peerKey = "peers.example"

// bindOptions begin a named.conf that needs nothing of the machine.
func bindOptions(dir string, port int, more string) string {
	return fmt.Sprintf(`options {
	directory %q; pid-file %q; session-keyfile %q; managed-keys-directory %q;
	listen-on port %d { 127.0.0.1; }; listen-on-v6 { none; };
	recursion no; dnssec-validation no; %s
};
controls { };
`, dir, filepath.Join(dir, "pid"), filepath.Join(dir, "session"), dir, port, more)
}

func knotOptions(t *testing.T, dir string, port int) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, "db"), 0o700); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`server:
  rundir: %q
  listen: 127.0.0.1@%d
database:
  storage: %q
log:
  - target: stderr
    any: info
`, dir, port, filepath.Join(dir, "db"))
}

var soaRecord = regexp.MustCompile(`IN\s+SOA\s`)

// TestZonesAreGivenToSecondaries: BIND and Knot are secondaries of an edge, with
// a key that the command line has made for them; a change is there by NOTIFY and
// IXFR, and nobody else gets the zone.
func TestZonesAreGivenToSecondaries(t *testing.T) {
	t.Parallel()
	s := up(t, t.TempDir(), "--regions", "fra", "--resolvers", "127.0.0.1:1")
	edge := s.Ready.Edges[0].DNS
	_, edgePort, _ := strings.Cut(edge, ":")
	bindPort, knotPort := freePort(t), freePort(t)

	dnsCLI(t, s, "create", "given.example")
	dnsCLI(t, s, "set", "given.example", "www", "A", "192.0.2.1")
	dnsCLI(t, s, "dnssec", "given.example", "--enable")
	dnsCLI(t, s, "tsig", "create", peerKey)
	if out, err := tryDNS(t, s, "transfers", "out", "given.example", "--key", "nobody.example"); err == nil || !strings.Contains(out, "nobody.example") {
		t.Errorf("a key that is not there: %v\n%s", err, out)
	}
	dnsCLI(t, s, "transfers", "out", "given.example", "--key", peerKey, "--allow", "127.0.0.0/8",
		"--notify", fmt.Sprintf("127.0.0.1:%d", bindPort), "--notify", fmt.Sprintf("127.0.0.1:%d", knotPort))
	if out, err := tryDNS(t, s, "tsig", "rm", peerKey, "--yes"); err == nil || !strings.Contains(out, "given.example") {
		t.Errorf("a key that a zone names is deleted: %v\n%s", err, out)
	}
	dnsCLI(t, s, "create", "closed.example")
	dnsCLI(t, s, "transfers", "out", "closed.example", "--key", peerKey, "--allow", "192.0.2.0/24")
	has(t, edge, "www.given.example.", "192.0.2.1")
	secret := strings.TrimSpace(dnsCLI(t, s, "tsig", "export", peerKey))

	bindDir := t.TempDir()
	bind := startServer(t, "named", bindDir, bindOptions(bindDir, bindPort, "notify no;")+dnsCLI(t, s, "tsig", "export", peerKey, "--bind")+fmt.Sprintf(`
zone "given.example" {
	type secondary; file "given.zone";
	primaries port %s { 127.0.0.1 key "%s."; };
	allow-notify { key "%s."; };
};
`, edgePort, peerKey, peerKey), bindPort, "-g", "-c")
	knotDir := t.TempDir()
	knot := startServer(t, "knotd", knotDir, knotOptions(t, knotDir, knotPort)+dnsCLI(t, s, "tsig", "export", peerKey, "--knot")+fmt.Sprintf(`remote:
  - id: primary
    address: 127.0.0.1@%s
    key: %s.
acl:
  - id: notices
    key: %s.
    action: notify
zone:
  - domain: given.example
    storage: %q
    master: primary
    acl: notices
`, edgePort, peerKey, peerKey, knotDir), knotPort, "-c")
	has(t, bind.addr, "www.given.example.", "192.0.2.1")
	has(t, knot.addr, "www.given.example.", "192.0.2.1")

	dnsCLI(t, s, "set", "given.example", "www", "A", "192.0.2.2")
	has(t, bind.addr, "www.given.example.", "192.0.2.2")
	has(t, knot.addr, "www.given.example.", "192.0.2.2")
	for server, said := range map[*nameServer][]string{
		bind: {"received notify", "Transfer completed", "TSIG '" + peerKey + "'"},
		knot: {"notify, incoming", "AXFR, incoming", "IXFR, incoming"},
	} {
		for _, text := range said {
			if !strings.Contains(server.log(), text) {
				t.Errorf("a secondary never said %q:\n%s", text, server.log())
			}
		}
	}
	if log := knot.log(); strings.Contains(log, "fallback to AXFR") {
		t.Errorf("Knot could not follow a difference:\n%s", log)
	}

	serial := func() uint32 {
		answer, _, err := new(dns.Client).Exchange(new(dns.Msg).SetQuestion("given.example.", dns.TypeSOA), edge)
		if err != nil || len(answer.Answer) != 1 {
			t.Fatalf("%v, %v", answer, err)
		}
		return answer.Answer[0].(*dns.SOA).Serial
	}
	before := serial()
	dnsCLI(t, s, "set", "given.example", "new", "A", "192.0.2.3")
	has(t, edge, "new.given.example.", "192.0.2.3")
	wrong := "hmac-sha256:" + peerKey + ":" + base64.StdEncoding.EncodeToString(make([]byte, 32))
	for _, c := range []struct {
		what, program string
		args          []string
		want          []string
		soas          int
	}{
		{"dig AXFR", "dig", []string{"-y", secret, "AXFR", "given.example"}, []string{"192.0.2.2", "RRSIG"}, 2},
		{"kdig AXFR", "kdig", []string{"-y", secret, "AXFR", "given.example"}, []string{"192.0.2.2", "RRSIG"}, 2},
		{"dig IXFR", "dig", []string{"-y", secret, fmt.Sprintf("IXFR=%d", before), "given.example"}, []string{"192.0.2.3"}, 4},
		{"kdig IXFR", "kdig", []string{"-y", secret, fmt.Sprintf("IXFR=%d", before), "given.example"}, []string{"192.0.2.3"}, 4},
		{"no key", "dig", []string{"AXFR", "given.example"}, []string{"Transfer failed"}, 0},
		{"no key, kdig", "kdig", []string{"AXFR", "given.example"}, []string{"REFUSED"}, 0},
		{"a wrong secret", "dig", []string{"-y", wrong, "AXFR", "given.example"}, []string{"BADSIG"}, 0},
		{"an unknown key", "dig", []string{"-y", strings.Replace(wrong, peerKey, "other.example", 1), "AXFR", "given.example"}, []string{"BADKEY"}, 0},
		{"from elsewhere", "dig", []string{"-y", secret, "AXFR", "closed.example"}, []string{"Transfer failed"}, 0},
		{"from elsewhere, kdig", "kdig", []string{"-y", secret, "AXFR", "closed.example"}, []string{"REFUSED"}, 0},
	} {
		out, _ := exec.CommandContext(t.Context(), c.program, append([]string{"@127.0.0.1", "-p", edgePort, "+multiline"}, c.args...)...).CombinedOutput()
		for _, want := range c.want {
			if !strings.Contains(string(out), want) {
				t.Errorf("%s: %q is missing:\n%s", c.what, want, out)
			}
		}
		if n := len(soaRecord.FindAll(out, -1)); n != c.soas {
			t.Errorf("%s: %d SOA records, want %d:\n%s", c.what, n, c.soas, out)
		}
	}

	// Who has which version, and who was refused and why, is known: edges tell once
	// a minute.
	newest := serial()
	eventually(t, 120*time.Second, func() error {
		var given, closed fetchesOf
		for zone, into := range map[string]*fetchesOf{"given.example": &given, "closed.example": &closed} {
			if err := json.Unmarshal([]byte(dnsCLI(t, s, "transfers", "show", zone, "-o", "json")), into); err != nil {
				return err
			}
		}
		has := func(f fetchesOf, key, kind, outcome string, serial uint32) bool {
			return slices.ContainsFunc(f.Secondaries, func(s fetchOf) bool {
				return s.Address == "127.0.0.1" && s.Key == key && (kind == "" || s.Kind == kind) && s.Outcome == outcome && s.Serial == serial && (s.Fix == "") == (serial > 0)
			})
		}
		if !has(given, peerKey, "ixfr", "given", newest) || !has(given, "", "axfr", "unknown_key", 0) || !has(closed, peerKey, "axfr", "from_afar", 0) {
			return fmt.Errorf("what is told of secondaries, serial %d: %+v and %+v", newest, given, closed)
		}
		return nil
	})
	if out := dnsCLI(t, s, "transfers", "show", "given.example"); !regexp.MustCompile(fmt.Sprintf(`127\.0\.0\.1 +%s +current +%d +ixfr`, peerKey, newest)).MatchString(out) {
		t.Errorf("%s", out)
	}

	dnsCLI(t, s, "transfers", "out", "given.example", "--off")
	eventually(t, 60*time.Second, func() error {
		out, _ := exec.CommandContext(t.Context(), "dig", "@127.0.0.1", "-p", edgePort, "-y", secret, "AXFR", "given.example").CombinedOutput()
		if !strings.Contains(string(out), "Transfer failed") {
			return fmt.Errorf("transfers are off, and the zone is still given:\n%s", out)
		}
		return nil
	})
	dnsCLI(t, s, "transfers", "out", "closed.example", "--off")
	dnsCLI(t, s, "tsig", "rm", peerKey, "--yes")
}

// TestZonesAreTakenFromPrimaries: BIND and Knot are primaries. What changes
// there is served here by their NOTIFY to an edge and by IXFR; what Knot has
// signed is served as it stands, or signed here; a wrong key says so, with the
// fix; and a process that was killed serves on while nobody answers.
func TestZonesAreTakenFromPrimaries(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	arguments := []string{"--regions", "fra,iad", "--resolvers", "127.0.0.1:1"}
	s := up(t, dir, arguments...)
	_, edgePort, _ := strings.Cut(s.Ready.Edges[0].DNS, ":")
	dnsCLI(t, s, "tsig", "create", peerKey, "--algorithm", "hmac-sha512")
	dnsCLI(t, s, "tsig", "create", "stranger.example")
	secret := strings.TrimSpace(dnsCLI(t, s, "tsig", "export", peerKey))

	zoneFile := func(dir, apex string) string {
		var text strings.Builder
		fmt.Fprintf(&text, "$ORIGIN %s.\n$TTL 300\n@ SOA ns1 hostmaster 100 86400 43200 864000 300\n@ NS ns1\nns1 A 127.0.0.1\nwww A 192.0.2.1\n*.wild TXT \"star\"\n", apex)
		for i := range 1000 { // enough for many messages, when they are signed
			fmt.Fprintf(&text, "n%d A 10.0.%d.%d\n", i, i/256, i%256)
		}
		file := filepath.Join(dir, apex+".zone")
		if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	bindDir, bindPort := t.TempDir(), freePort(t)
	bind := startServer(t, "named", bindDir, bindOptions(bindDir, bindPort, "")+dnsCLI(t, s, "tsig", "export", peerKey, "--bind")+fmt.Sprintf(`
zone "bind.example" {
	type primary; file %q;
	allow-transfer { key "%s."; }; allow-update { key "%s."; };
	notify explicit; also-notify port %s { 127.0.0.1 key "%s."; };
};
`, zoneFile(bindDir, "bind.example"), peerKey, peerKey, edgePort, peerKey), bindPort, "-g", "-c")
	knotDir, knotPort := t.TempDir(), freePort(t)
	var knotZones strings.Builder
	for apex, signing := range map[string]string{"knot.example": "off", "signed.example": "nsec3", "nsec.example": "nsec", "ours.example": "nsec3"} {
		fmt.Fprintf(&knotZones, "  - domain: %s\n    storage: %q\n    file: %q\n    notify: edge\n    acl: edges\n", apex, knotDir, zoneFile(knotDir, apex))
		if signing != "off" {
			fmt.Fprintf(&knotZones, "    dnssec-signing: on\n    dnssec-policy: %s\n", signing)
		}
	}
	knot := startServer(t, "knotd", knotDir, knotOptions(t, knotDir, knotPort)+dnsCLI(t, s, "tsig", "export", peerKey, "--knot")+fmt.Sprintf(`remote:
  - id: edge
    address: 127.0.0.1@%s
acl:
  - id: edges
    key: %s.
    action: [transfer, update]
policy:
  - id: nsec
    algorithm: ecdsap256sha256
    single-type-signing: on
  - id: nsec3
    algorithm: ecdsap256sha256
    single-type-signing: on
    nsec3: on
    nsec3-iterations: 0
    nsec3-salt-length: 0
zone:
%s`, edgePort, peerKey, knotZones.String()), knotPort, "-c")
	has(t, bind.addr, "www.bind.example.", "192.0.2.1")
	has(t, knot.addr, "www.knot.example.", "192.0.2.1")

	state := func(zone string) transfersOf {
		t.Helper()
		var out transfersOf
		if err := json.Unmarshal([]byte(dnsCLI(t, s, "transfers", "show", zone, "-o", "json")), &out.Transfers); err != nil {
			t.Fatal(err)
		}
		return out
	}
	everywhere := func(name, address string) {
		t.Helper()
		for _, e := range s.Ready.Edges {
			has(t, e.DNS, name, address)
		}
	}
	zones := map[string]*nameServer{"bind.example": bind, "knot.example": knot, "signed.example": knot, "nsec.example": knot, "ours.example": knot}
	for zone, primary := range zones {
		dnsCLI(t, s, "create", zone)
		dnsCLI(t, s, "set", zone, "old", "A", "192.0.2.99")
		if zone == "ours.example" {
			dnsCLI(t, s, "dnssec", zone, "--enable")
		}
		in := []string{"transfers", "in", zone, "--primary", primary.addr, "--key", peerKey}
		if out, err := tryDNS(t, s, in...); err == nil || !strings.Contains(out, "consent") {
			t.Errorf("records were lost without consent: %v\n%s", err, out)
		}
		if zone == "bind.example" { // at first with a key that BIND does not know
			dnsCLI(t, s, "transfers", "in", zone, "--primary", primary.addr, "--key", "stranger.example", "--yes")
			eventually(t, 60*time.Second, func() error {
				if got := state(zone).Transfers.Copy; got.State != "waiting" || got.Reason != "BadKey" || !strings.Contains(got.Fix, "stranger.example") {
					return fmt.Errorf("a key that the primary does not know: %+v", got)
				}
				return nil
			})
		}
		dnsCLI(t, s, append(in, "--yes")...)
	}
	for zone := range zones {
		everywhere("www."+zone+".", "192.0.2.1")
		everywhere("n499."+zone+".", "10.0.1.243")
		if out, err := tryDNS(t, s, "set", zone, "www", "A", "192.0.2.9"); err == nil || !strings.Contains(out, "secondary") {
			t.Errorf("a record of a secondary zone was changed: %v\n%s", err, out)
		}
	}

	// NSD signs the first message, the last, and few between; all are verified.
	nsdDir, nsdPort := t.TempDir(), freePort(t)
	parts := strings.Split(secret, ":")
	var large strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&large, "x%d TXT \"a zone of many messages\"\n", i)
	}
	file, err := os.OpenFile(zoneFile(nsdDir, "nsd.example"), os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = file.WriteString(large.String())
	}
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	nsd := startServer(t, "nsd", nsdDir, fmt.Sprintf(`server:
 ip-address: 127.0.0.1
 port: %d
 server-count: 1
 username: ""
 chroot: ""
 database: ""
 zonesdir: %q
 pidfile: "nsd.pid"
 xfrdfile: "nsd.xfrd"
 zonelistfile: "nsd.list"
 xfrdir: %q
remote-control:
 control-enable: no
key:
 name: %s.
 algorithm: %s
 secret: %q
zone:
 name: nsd.example
 zonefile: nsd.example.zone
 provide-xfr: 127.0.0.1 %s.
`, nsdPort, nsdDir, nsdDir, parts[1], parts[0], parts[2], parts[1]), nsdPort, "-d", "-c")
	has(t, nsd.addr, "n999.nsd.example.", "10.0.3.231")
	dnsCLI(t, s, "create", "nsd.example")
	dnsCLI(t, s, "transfers", "in", "nsd.example", "--primary", nsd.addr, "--key", peerKey)
	everywhere("n999.nsd.example.", "10.0.3.231")

	// A change at the primary, long before its refresh timer ends.
	for zone, primary := range zones {
		_, port, _ := strings.Cut(primary.addr, ":")
		script := fmt.Sprintf("server 127.0.0.1 %s\nzone %s\nupdate delete www.%s. A\nupdate add www.%s. 60 A 192.0.2.2\nsend\n", port, zone, zone, zone)
		update := exec.CommandContext(t.Context(), "nsupdate", "-y", secret)
		update.Stdin = strings.NewReader(script)
		if out, err := update.CombinedOutput(); err != nil {
			t.Fatalf("nsupdate: %v\n%s", err, out)
		}
		everywhere("www."+zone+".", "192.0.2.2")
		if got := state(zone).Transfers.Copy; got.State != "current" || got.How != "ixfr" {
			t.Errorf("%s after a change: %+v", zone, got)
		}
	}

	// What the primary has signed is served as it stands; what is signed here has
	// another key. Both are given on, and both verify.
	keys := map[string]string{}
	for _, zone := range []string{"signed.example", "nsec.example", "ours.example"} {
		dnsCLI(t, s, "transfers", "out", zone, "--key", peerKey)
		file := filepath.Join(dir, zone)
		eventually(t, 60*time.Second, func() error {
			out, err := exec.CommandContext(t.Context(), "dig", "@127.0.0.1", "-p", edgePort, "-y", secret, "+noall", "+answer", "+nosplit", "AXFR", zone).Output()
			if err != nil || !strings.Contains(string(out), "192.0.2.2") {
				return fmt.Errorf("%v: %s", err, out)
			}
			// The last record repeats the first.
			lines := strings.Split(strings.TrimSpace(string(out)), "\n")
			for _, line := range lines {
				if fields := strings.Fields(line); len(fields) > 6 && fields[3] == "DNSKEY" {
					keys[zone] += fields[len(fields)-1]
				}
			}
			return os.WriteFile(file, []byte(strings.Join(lines[:len(lines)-1], "\n")+"\n"), 0o600)
		})
		if out, err := exec.CommandContext(t.Context(), "ldns-verify-zone", file).CombinedOutput(); err != nil {
			t.Errorf("%s does not verify: %v\n%s", zone, err, out)
		}
	}
	q := new(dns.Msg).SetQuestion("signed.example.", dns.TypeDNSKEY)
	theirs, _, err := (&dns.Client{Net: "tcp"}).Exchange(q, knot.addr)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(theirs.Answer, func(rr dns.RR) bool {
		k, is := rr.(*dns.DNSKEY)
		return is && strings.Contains(keys["signed.example"], k.PublicKey)
	}) {
		t.Errorf("the zone has other keys than its primary: %q, %v", keys["signed.example"], theirs)
	}
	for _, name := range []string{
		"nothing.signed.example.", "deep.wild.signed.example.", "n1.signed.example.", "signed.example.",
		"nothing.nsec.example.", "deep.wild.nsec.example.", "n1.nsec.example.", "nsec.example.",
	} {
		for _, typ := range []uint16{dns.TypeA, dns.TypeTXT} {
			ask := func(server string) *dns.Msg {
				answer, _, err := (&dns.Client{Net: "tcp"}).Exchange(new(dns.Msg).SetQuestion(name, typ).SetEdns0(1232, true), server)
				if err != nil {
					t.Fatal(err)
				}
				return answer
			}
			mine, other := ask(s.Ready.Edges[1].DNS), ask(knot.addr)
			if a, b := sorted(mine), sorted(other); mine.Rcode != other.Rcode || !slices.Equal(a, b) {
				t.Errorf("%s %s:\n%s\nand at the primary:\n%s", name, dns.TypeToString[typ], strings.Join(a, "\n"), strings.Join(b, "\n"))
			}
		}
	}

	// A foreign notice asks for nothing.
	foreign := new(dns.Msg).SetNotify("bind.example.")
	foreign.SetTsig("nobody.example.", dns.HmacSHA256, 300, time.Now().Unix())
	client := &dns.Client{TsigSecret: map[string]string{"nobody.example.": base64.StdEncoding.EncodeToString(make([]byte, 32))}}
	answer, _, err := client.Exchange(foreign, s.Ready.Edges[0].DNS)
	if answer == nil || answer.Rcode != dns.RcodeNotAuth {
		t.Errorf("a notice signed with a foreign key: %v, %v", answer, err)
	}

	// Killed, and without its primaries, it serves on.
	for _, peer := range []*nameServer{bind, knot} {
		peer.stop()
	}
	s.kill()
	s = up(t, dir, arguments...)
	for zone := range zones {
		everywhere("www."+zone+".", "192.0.2.2")
	}
	dnsCLI(t, s, "transfers", "refresh", "bind.example")
	eventually(t, 60*time.Second, func() error {
		if got := state("bind.example").Transfers.Copy; got.State != "failing" || got.Reason != "Unreachable" || got.Fix == "" {
			return fmt.Errorf("without its primary: %+v", got)
		}
		return nil
	})
	everywhere("www.bind.example.", "192.0.2.2")
	if out := dnsCLI(t, s, "export", "bind.example"); !strings.Contains(out, "192.0.2.2") {
		t.Errorf("the export has not what was taken over:\n%.500s", out)
	}
	if out, err := tryDNS(t, s, "transfers", "in", "bind.example", "--off"); err == nil || !strings.Contains(out, "consent") {
		t.Errorf("a copy was lost without consent: %v\n%s", err, out)
	}
	dnsCLI(t, s, "transfers", "in", "bind.example", "--off", "--yes")
	dnsCLI(t, s, "set", "bind.example", "www", "A", "192.0.2.7")
	everywhere("www.bind.example.", "192.0.2.7")
}

// sorted are the records of an answer in one order, without what servers may
// choose to add.
func sorted(m *dns.Msg) []string {
	var out []string
	for _, rr := range slices.Concat(m.Answer, m.Ns) {
		if rr.Header().Rrtype == dns.TypeNS || rr.Header().Rrtype == dns.TypeRRSIG && rr.(*dns.RRSIG).TypeCovered == dns.TypeNS {
			continue
		}
		out = append(out, strings.ToLower(rr.String()))
	}
	slices.Sort(out)
	return out
}
