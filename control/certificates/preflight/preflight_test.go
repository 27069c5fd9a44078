package preflight_test

import (
	"context"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/certificates/preflight"
)

// world is a resolver that answers from a zone file, with names that fail or
// whose signatures do not hold.
type world struct {
	mu      sync.Mutex
	records []dns.RR
	fails   map[string]bool // SERVFAIL
	bogus   map[string]bool // SERVFAIL unless checking is disabled
	caaFail map[string]bool // SERVFAIL for CAA only
}

func (w *world) ServeDNS(out dns.ResponseWriter, query *dns.Msg) {
	w.mu.Lock()
	defer w.mu.Unlock()
	reply := new(dns.Msg)
	reply.SetReply(query)
	q := query.Question[0]
	name := strings.TrimSuffix(strings.ToLower(q.Name), ".")
	for _, rr := range w.records {
		if strings.EqualFold(rr.Header().Name, q.Name) && rr.Header().Rrtype == q.Qtype {
			reply.Answer = append(reply.Answer, rr)
		}
	}
	if w.fails[name] || w.bogus[name] && !query.CheckingDisabled || w.caaFail[name] && q.Qtype == dns.TypeCAA {
		reply.Rcode, reply.Answer = dns.RcodeServerFailure, nil
	}
	_ = out.WriteMsg(reply)
}

func start(t *testing.T, zone string) (*world, *preflight.Resolver) {
	t.Helper()
	w := &world{fails: map[string]bool{}, bogus: map[string]bool{}, caaFail: map[string]bool{}}
	parser := dns.NewZoneParser(strings.NewReader(zone), ".", "zone")
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		w.records = append(w.records, rr)
	}
	if err := parser.Err(); err != nil {
		t.Fatal(err)
	}
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{PacketConn: conn, Handler: w}
	ended := make(chan error, 1)
	go func() { ended <- server.ActivateAndServe() }()
	t.Cleanup(func() { _ = server.Shutdown(); <-ended })
	r, err := preflight.NewResolver([]string{conn.LocalAddr().String()})
	if err != nil {
		t.Fatal(err)
	}
	return w, r
}

// edges are at fixed addresses.
type edges []string

func (e edges) Targets(context.Context) (string, []string, error) { return "", e, nil }

const zone = `
here.example.      60 A 127.0.0.1
elsewhere.example. 60 A 192.0.2.9
both.example.      60 A 127.0.0.1
both.example.      60 AAAA 2001:db8::9
mine.example.      60 A 127.0.0.1
mine.example.      60 CAA 0 issue "ca.example"
sub.mine.example.  60 A 127.0.0.1
theirs.example.    60 A 127.0.0.1
theirs.example.    60 CAA 0 issue "other.example"
dns.example.       60 A 127.0.0.1
dns.example.       60 CAA 0 issue "ca.example; validationmethods=dns-01"
bogus.example.     60 A 127.0.0.1
fails.example.     60 A 127.0.0.1
caafails.example.  60 A 127.0.0.1
`

func listen(t *testing.T) uint16 {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return uint16(l.Addr().(*net.TCPAddr).Port)
}

func closedPort(t *testing.T) uint16 {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return uint16(l.Addr().(*net.TCPAddr).Port)
}

func TestCheck(t *testing.T) {
	w, resolver := start(t, zone)
	w.mu.Lock()
	w.bogus["bogus.example"], w.fails["fails.example"], w.caaFail["caafails.example"] = true, true, true
	w.mu.Unlock()
	open, closed := listen(t), closedPort(t)
	all := []certificates.Challenge{certificates.ChallengeHTTP01, certificates.ChallengeTLSALPN, certificates.ChallengeDNS01}
	reach := all[:2]
	tests := []struct {
		name       string
		challenges []certificates.Challenge
		http, tls  uint16
		reason     string // of the failed check; "": ready
		says       string
		left       []certificates.Challenge
	}{
		{"here.example", all, open, open, "", "", all},
		{"here.example", reach, closed, open, "", "", reach[1:]},
		{"here.example", reach, closed, closed, "PortClosed", "let port", nil},
		{"here.example", all, closed, closed, "", "", all[2:]},
		{"none.example", reach, open, open, "NoAddress", "127.0.0.1", nil},
		{"none.example", all, open, open, "", "", all[2:]},
		{"elsewhere.example", reach, open, open, "PointsElsewhere", "192.0.2.9", nil},
		{"both.example", reach, open, open, "", "", reach},
		{"mine.example", reach, open, open, "", "", reach},
		{"sub.mine.example", reach, open, open, "", "", reach}, // by the record above it
		{"theirs.example", reach, open, open, "CAAForbids", `CAA 0 issue "ca.example"`, nil},
		{"*.theirs.example", all[2:], open, open, "CAAForbids", "theirs.example", nil},
		{"dns.example", reach, open, open, "CAAForbids", "validationmethods", nil},
		{"dns.example", all, open, open, "", "", all[2:]},
		{"bogus.example", all, open, open, "DNSSECBogus", "DS record", nil},
		{"fails.example", all, open, open, "DNSFailed", "name servers", nil},
		{"caafails.example", all, open, open, "CAALookupFailed", "CAA", nil},
		{"127.0.0.1", reach, open, open, "", "", reach},
		{"127.0.0.1", reach, closed, closed, "PortClosed", "let port", nil},
	}
	for _, tt := range tests {
		checker := &preflight.Checker{Resolver: resolver, Targets: edges{"127.0.0.1"}, HTTPPort: tt.http, TLSPort: tt.tls}
		r := &certificates.PreflightRequest{
			Names: []string{tt.name}, Challenges: map[string][]certificates.Challenge{tt.name: tt.challenges},
			Identities: []string{"ca.example"}, AccountURI: "https://ca.example/acct/1",
		}
		checks := checker.Check(t.Context(), r)
		i := slices.IndexFunc(checks, func(k certificates.Check) bool { return k.State == certificates.CheckFailed })
		switch {
		case i < 0 && tt.reason != "":
			t.Errorf("%s: ready, want %s: %+v", tt.name, tt.reason, checks)
		case i >= 0 && (checks[i].Reason != tt.reason || !strings.Contains(checks[i].Detail+" "+checks[i].Fix, tt.says) || checks[i].Fix == ""):
			t.Errorf("%s: %+v, want %q saying %q", tt.name, checks[i], tt.reason, tt.says)
		}
		if left := r.Challenges[tt.name]; !slices.Equal(left, tt.left) {
			t.Errorf("%s: %v are left, want %v", tt.name, left, tt.left)
		}
	}
}

// Nothing that is not the edges' own is connected to: tenants name addresses.
func TestOthersAreNotProbed(t *testing.T) {
	_, resolver := start(t, zone)
	dialled := 0
	checker := &preflight.Checker{Resolver: resolver, Targets: edges{"198.51.100.1"}, Dial: func(context.Context, string, string) (net.Conn, error) {
		dialled++
		return nil, net.ErrClosed
	}}
	for _, name := range []string{"here.example", "elsewhere.example", "127.0.0.1"} {
		checker.Check(t.Context(), &certificates.PreflightRequest{Names: []string{name}, Challenges: map[string][]certificates.Challenge{name: {certificates.ChallengeHTTP01}}})
	}
	if dialled != 0 {
		t.Errorf("%d connections to others", dialled)
	}
}

// What cannot be looked at stops nothing.
func TestUnknownStopsNothing(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := conn.LocalAddr().String()
	conn.Close() // refuses at once
	resolver, err := preflight.NewResolver([]string{address})
	if err != nil {
		t.Fatal(err)
	}
	r := &certificates.PreflightRequest{Names: []string{"here.example"}, Challenges: map[string][]certificates.Challenge{"here.example": {certificates.ChallengeHTTP01}}, Identities: []string{"ca.example"}}
	checks := (&preflight.Checker{Resolver: resolver}).Check(t.Context(), r)
	if i := slices.IndexFunc(checks, func(k certificates.Check) bool { return k.State == certificates.CheckFailed }); i >= 0 {
		t.Errorf("without a resolver: %+v", checks[i])
	}
	if len(r.Challenges["here.example"]) != 1 {
		t.Error("a challenge was taken away")
	}
}

func TestResolver(t *testing.T) {
	_, resolver := start(t, "a.example. 60 CNAME B.example.\nt.example. 60 TXT \"one\" \"two\"\n")
	if target, err := resolver.CNAME(t.Context(), "a.example"); err != nil || target != "b.example" {
		t.Errorf("CNAME %q, %v", target, err)
	}
	if target, err := resolver.CNAME(t.Context(), "t.example"); err != nil || target != "" {
		t.Errorf("no CNAME: %q, %v", target, err)
	}
	if texts, err := resolver.TXT(t.Context(), "t.example"); err != nil || !slices.Equal(texts, []string{"onetwo"}) {
		t.Errorf("TXT %q, %v", texts, err)
	}
}
