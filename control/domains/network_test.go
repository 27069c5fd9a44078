package domains

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/fault"
	"github.com/edgewright/edgewright/netguard"
)

// startDNS runs a name server on one port of UDP and TCP.
func startDNS(t *testing.T, handler dns.HandlerFunc) string {
	t.Helper()
	packets, listener := samePort(t)
	for _, server := range []*dns.Server{{PacketConn: packets, Handler: handler}, {Listener: listener, Handler: handler}} {
		done := make(chan error, 1)
		ready := make(chan struct{})
		server.NotifyStartedFunc = func() { close(ready) }
		go func() { done <- server.ActivateAndServe() }()
		<-ready
		t.Cleanup(func() { _ = server.Shutdown(); <-done })
	}
	return packets.LocalAddr().String()
}

// samePort binds UDP and TCP on one port. A port that is free for one may be
// taken for the other, so it tries several.
func samePort(t *testing.T) (net.PacketConn, net.Listener) {
	t.Helper()
	for range 50 {
		packets, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if listener, err := net.Listen("tcp", packets.LocalAddr().String()); err == nil {
			return packets, listener
		}
		_ = packets.Close()
	}
	t.Fatal("no port is free for both UDP and TCP")
	return nil, nil
}

func record(t *testing.T, text string) dns.RR {
	t.Helper()
	rr, err := dns.NewRR(text)
	if err != nil {
		t.Fatal(err)
	}
	return rr
}

func TestResolversSayWhatEachSaw(t *testing.T) {
	long := strings.Repeat("x", 250)
	good := startDNS(t, func(w dns.ResponseWriter, q *dns.Msg) {
		reply := new(dns.Msg)
		reply.SetReply(q)
		switch q.Question[0].Name {
		case "plain.example.": // two records, one of two strings
			reply.Answer = []dns.RR{record(t, `plain.example. 60 TXT "to" "ken"`), record(t, `plain.example. 60 TXT "other"`)}
		case "alias.example.":
			reply.Answer = []dns.RR{record(t, "alias.example. 60 CNAME target.example."), record(t, `target.example. 60 TXT "token"`)}
		case "large.example.":
			if _, udp := w.RemoteAddr().(*net.UDPAddr); udp {
				reply.Truncated = true
				break
			}
			for i := range 8 {
				reply.Answer = append(reply.Answer, record(t, fmt.Sprintf(`large.example. 60 TXT "%d%s"`, i, long)))
			}
		case "address.example.":
			reply.Answer = []dns.RR{record(t, "address.example. 60 A 198.51.100.7")}
		case "broken.example.":
			reply.Rcode = dns.RcodeServerFailure
		case "empty.example.":
		default:
			reply.Rcode = dns.RcodeNameError
		}
		_ = w.WriteMsg(reply)
	})
	other := startDNS(t, func(w dns.ResponseWriter, q *dns.Msg) {
		reply := new(dns.Msg)
		reply.SetRcode(q, dns.RcodeRefused)
		_ = w.WriteMsg(reply)
	})
	set, err := NewResolvers([]string{good, other, good})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, typ string
		want      Seen
	}{
		{"plain.example", "TXT", Seen{Answers: []string{"other", "token"}}},
		{"alias.example", "TXT", Seen{Answers: []string{"token"}}},
		{"address.example", "A", Seen{Answers: []string{"198.51.100.7"}}},
		{"alias.example", "CNAME", Seen{Answers: []string{"target.example"}}},
		{"broken.example", "TXT", Seen{Error: "SERVFAIL"}},
		{"empty.example", "TXT", Seen{}},
		{"none.example", "TXT", Seen{Error: "NXDOMAIN"}},
	}
	for _, tt := range tests {
		tt.want.Resolver = good
		want := []Seen{tt.want, {Resolver: other, Error: "REFUSED"}}
		if diff := cmp.Diff(want, set.Lookup(t.Context(), tt.name, tt.typ)); diff != "" {
			t.Errorf("%s %s: (-want +got)\n%s", tt.name, tt.typ, diff)
		}
	}
	if got := set.Lookup(t.Context(), "large.example", "TXT")[0]; len(got.Answers) != 8 || got.Error != "" {
		t.Errorf("a large answer: %d records, %s", len(got.Answers), got.Error)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if got := set.Lookup(ended, "plain.example", "TXT")[0]; got.Error != "timeout" {
		t.Errorf("after the context ended: %+v", got)
	}
}

// TestASilentResolverIsNamedWithoutOurSocket: which port we asked from is of no
// use to a reader, and another one each time.
func TestASilentResolverIsNamedWithoutOurSocket(t *testing.T) {
	// A socket that is connected elsewhere keeps the port and takes no question.
	taken, err := net.DialUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9})
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	set, err := NewResolvers([]string{taken.LocalAddr().String()})
	if err != nil {
		t.Fatal(err)
	}
	want := []Seen{{Resolver: taken.LocalAddr().String(), Error: "no answer: connection refused"}}
	if diff := cmp.Diff(want, set.Lookup(t.Context(), "plain.example", "TXT")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestResolverAddresses(t *testing.T) {
	set, err := NewResolvers([]string{"9.9.9.9", "[2620:fe::fe]", "2620:fe::9", "dns.example:5353", " 1.1.1.1:53 "})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"9.9.9.9:53", "[2620:fe::fe]:53", "[2620:fe::9]:53", "dns.example:5353", "1.1.1.1:53"}
	if diff := cmp.Diff(want, set.addresses); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for _, bad := range []string{"", ":53", "9.9.9.9:dns", "9.9.9.9:0", "https://dns.example/dns-query", "a b"} {
		if _, err := NewResolvers([]string{bad}); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := NewResolvers(strings.Split("1.1.1.1 1.1.1.2 1.1.1.3 1.1.1.4 1.1.1.5 1.1.1.6 1.1.1.7 1.1.1.8 1.1.1.9", " ")); !fault.Is(err, fault.Invalid) {
		t.Errorf("nine resolvers: %v", err)
	}
}

// names is a resolver for netguard.
type names map[string]string

func (n names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	text, ok := n[host]
	if !ok {
		return nil, &net.DNSError{Name: host, IsNotFound: true, Err: "no such host"}
	}
	return []netip.Addr{netip.MustParseAddr(text)}, nil
}

// newFetcher returns a fetcher whose public addresses, on ports 80 and 443, lead
// to servers of this test, and a count of the connections it made.
func newFetcher(t *testing.T, handler http.HandlerFunc, hosts names) (Fetcher, *atomic.Int32) {
	t.Helper()
	plain, secure := httptest.NewServer(handler), httptest.NewTLSServer(handler)
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	dialled := new(atomic.Int32)
	return NewFetcher(&netguard.Policy{
		Resolver: hosts,
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			dialled.Add(1)
			to := plain.Listener.Addr().String()
			if strings.HasSuffix(address, ":443") {
				to = secure.Listener.Addr().String()
			}
			return (&net.Dialer{}).DialContext(ctx, network, to)
		},
	}), dialled
}

func TestFetcher(t *testing.T) {
	hosts := names{"shop.example.com": "8.8.8.8", "www.example.com": "8.8.4.4", "example.com": "8.8.4.4", "other.example.net": "8.8.8.8", "inside.example.com": "10.0.0.5"}
	fetcher, dialled := newFetcher(t, func(w http.ResponseWriter, r *http.Request) {
		to := func(url string) { http.Redirect(w, r, url, http.StatusFound) }
		switch r.URL.Path {
		case "/ok":
			io.WriteString(w, "content "+r.Host)
		case "/secure":
			to("https://" + r.Host + "/ok")
		case "/sibling":
			to("https://www.example.com/ok")
		case "/away":
			to("http://other.example.net/ok")
		case "/inside":
			to("http://inside.example.com/ok")
		case "/metadata":
			to("http://169.254.169.254/latest/meta-data/")
		case "/port":
			to("http://shop.example.com:8080/ok")
		case "/scheme":
			to("ftp://shop.example.com/ok")
		case "/user":
			to("http://user:secret@shop.example.com/ok")
		case "/loop":
			to("/loop")
		case "/large":
			io.WriteString(w, strings.Repeat("x", fetchMaxBytes+1))
		case "/endless":
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, strings.Repeat("x", 4096)); err != nil {
					return
				}
			}
		case "/headers":
			w.Header().Set("X", strings.Repeat("x", 32<<10))
		case "/error":
			http.Error(w, "the secret of the inside", http.StatusTeapot)
		}
	}, hosts)

	for _, tt := range []struct{ url, want string }{
		{"http://shop.example.com/ok", "content shop.example.com"},
		{"https://shop.example.com/ok", "content shop.example.com"}, // no valid certificate yet
		{"http://shop.example.com/secure", "content shop.example.com"},
		{"http://shop.example.com/sibling", "content www.example.com"},
	} {
		if body, err := fetcher.Fetch(t.Context(), tt.url); err != nil || string(body) != tt.want {
			t.Errorf("%s: %q, %v", tt.url, body, err)
		}
	}

	for _, tt := range []struct {
		url, says string
		dials     int32
	}{
		{"http://shop.example.com/away", "which is another domain", 1},
		{"http://shop.example.com/inside", "private address", 1},
		{"http://shop.example.com/metadata", "metadata", 1},
		{"http://shop.example.com/port", "port 8080", 1},
		{"http://shop.example.com/scheme", "scheme", 1},
		{"http://shop.example.com/user", "user name or password", 1},
		{"http://shop.example.com/loop", "more than 3 redirects", 4},
		{"http://shop.example.com/large", "larger than", 1},
		{"http://shop.example.com/endless", "larger than", 1},
		{"http://shop.example.com/headers", "cannot be used", 1},
		{"http://shop.example.com/error", "answered 418", 1},
		{"http://inside.example.com/ok", "private address", 0},
		{"http://missing.example.com/ok", "no address", 0},
		{"http://127.0.0.1/ok", "loopback", 0},
		{"http://shop.example.com:22/ok", "port 22", 0},
	} {
		before := dialled.Load()
		body, err := fetcher.Fetch(t.Context(), tt.url)
		if err == nil || !strings.Contains(err.Error(), tt.says) || body != nil {
			t.Errorf("%s: %q, %v", tt.url, body, err)
			continue
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s shows what the server said: %v", tt.url, err)
		}
		if n := dialled.Load() - before; n != tt.dials {
			t.Errorf("%s: %d connections, want %d", tt.url, n, tt.dials)
		}
	}
}

func TestJudgeRouting(t *testing.T) {
	seen := func(values ...string) []Seen { return []Seen{{Resolver: "r", Answers: values}} }
	tests := []struct {
		name string
		seen map[string][]Seen
		want string
	}{
		{"ours", map[string][]Seen{"A": seen("198.51.100.7")}, "true PointsHere"},
		{"ours, v4-mapped", map[string][]Seen{"AAAA": seen("::ffff:198.51.100.7")}, "true PointsHere"},
		{"by CNAME", map[string][]Seen{"A": seen("203.0.113.9"), "CNAME": seen("edge.example.net")}, "true PointsHere"},
		{"elsewhere", map[string][]Seen{"A": seen("203.0.113.9")}, "false PointsElsewhere"},
		{"both", map[string][]Seen{"A": seen("203.0.113.9", "198.51.100.7")}, "false PointsElsewhereToo"},
		{"none", map[string][]Seen{"A": {{Error: "NXDOMAIN"}}}, "false NoRecord"},
		{"broken", map[string][]Seen{"A": {{Error: "SERVFAIL"}}}, "unknown LookupFailed"},
	}
	for _, tt := range tests {
		status, reason, message := judgeRouting("shop.example.com", "edge.example.net", []string{"198.51.100.7"}, tt.seen)
		if got := string(status) + " " + reason; got != tt.want || message == "" {
			t.Errorf("%s: %s (%s), want %s", tt.name, got, message, tt.want)
		}
	}
}

// A file is looked for where the resolvers that were named say, not where this
// machine's would.
func TestResolversFindHosts(t *testing.T) {
	at := startDNS(t, func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		switch name := q.Question[0].Name; {
		case name == "shop.example.com." && q.Question[0].Qtype == dns.TypeA:
			m.Answer = []dns.RR{record(t, name+" 60 IN A 192.0.2.1")}
		case name == "shop.example.com.":
			m.Answer = []dns.RR{record(t, name+" 60 IN AAAA 2001:db8::1")}
		case name == "broken.example.com.":
			m.Rcode = dns.RcodeServerFailure
		default:
			m.Rcode = dns.RcodeNameError
		}
		_ = w.WriteMsg(m)
	})
	set, err := NewResolvers([]string{at})
	if err != nil {
		t.Fatal(err)
	}
	for network, want := range map[string]string{"ip": "[192.0.2.1 2001:db8::1]", "ip4": "[192.0.2.1]", "ip6": "[2001:db8::1]"} {
		if got, err := set.LookupNetIP(t.Context(), network, "shop.example.com"); err != nil || fmt.Sprint(got) != want {
			t.Errorf("%s: %v, %v", network, got, err)
		}
	}
	policy := netguard.AllowAll()
	policy.Resolver = set
	policy.Dial = func(_ context.Context, _, address string) (net.Conn, error) {
		return nil, fmt.Errorf("%s is not dialled in a test", address)
	}
	for host, want := range map[string]string{"shop.example.com": "192.0.2.1:80", "gone.example.com": "has no address", "broken.example.com": "do not answer"} {
		_, err := policy.DialContext(t.Context(), "tcp4", host+":80")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", host, err, want)
		}
	}
}
