package netguard_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/edgewright/edgewright/fault"
	"github.com/edgewright/edgewright/netguard"
)

func policy(t *testing.T, ranges ...string) *netguard.Policy {
	t.Helper()
	p, err := netguard.New(ranges)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAddresses(t *testing.T) {
	p := policy(t)
	for _, text := range []string{
		"1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
		"169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.167.255.255", "192.169.0.0",
		"198.17.255.255", "198.20.0.0", "223.255.255.255", "168.63.129.15",
		"2606:4700:4700::1111", "2620:fe::fe", "2a00:1450::1", "2000::", "2001:4860::8888", "3ffe::1",
		"::ffff:8.8.8.8",     // v4-mapped: as the address inside
		"64:ff9b::8.8.8.8",   // NAT64 of a public address
		"64:ff9b::0808:0808", // the same
		"::ffff:0808:0808",   // v4-mapped in hexadecimal
		"2001:200::1",        // beyond 2001::/23
	} {
		if err := p.Check(netip.MustParseAddr(text)); err != nil {
			t.Errorf("%s is refused: %v", text, err)
		}
	}
	for text, says := range map[string]string{
		"0.0.0.0":                "unspecified",
		"0.1.2.3":                "this network",
		"10.0.0.0":               "private",
		"10.255.255.255":         "private",
		"100.64.0.0":             "carrier-grade",
		"100.127.255.255":        "carrier-grade",
		"100.100.100.200":        "metadata",
		"127.0.0.1":              "loopback",
		"127.255.255.255":        "loopback",
		"169.254.0.1":            "link-local",
		"169.254.169.254":        "metadata",
		"168.63.129.16":          "metadata",
		"172.16.0.0":             "private",
		"172.31.255.255":         "private",
		"192.0.0.8":              "protocol assignment",
		"192.0.0.192":            "metadata",
		"192.0.2.1":              "documentation",
		"192.88.99.1":            "6to4",
		"192.168.0.1":            "private",
		"192.168.255.255":        "private",
		"198.18.0.1":             "benchmarking",
		"198.19.255.255":         "benchmarking",
		"198.51.100.1":           "documentation",
		"203.0.113.1":            "documentation",
		"224.0.0.1":              "multicast",
		"239.255.255.255":        "multicast",
		"240.0.0.1":              "reserved",
		"255.255.255.255":        "broadcast",
		"::":                     "unspecified",
		"::1":                    "loopback",
		"::2":                    "IPv4-compatible",
		"::127.0.0.1":            "IPv4-compatible",
		"::ffff:127.0.0.1":       "loopback",
		"::ffff:7f00:1":          "loopback",
		"::ffff:10.1.2.3":        "private",
		"::ffff:169.254.169.254": "metadata",
		"::ffff:0:127.0.0.1":     "IPv4-translated",
		"64:ff9b::127.0.0.1":     "NAT64",
		"64:ff9b::10.0.0.1":      "NAT64",
		"64:ff9b::a9fe:a9fe":     "metadata",
		"64:ff9b:1::8.8.8.8":     "local NAT64",
		"100::1":                 "discard",
		"2001::1":                "Teredo",
		"2001:2::1":              "protocol assignment",
		"2001:10::1":             "protocol assignment",
		"2001:db8::1":            "documentation",
		"2002:7f00:1::":          "6to4",
		"2002:808:808::1":        "6to4",
		"3fff::1":                "documentation",
		"4000::1":                "global unicast",
		"5f00::1":                "segment routing",
		"fc00::1":                "private",
		"fd00::1":                "private",
		"fd00:ec2::254":          "metadata",
		"fe80::1":                "link-local",
		"fe80::1%eth0":           "link-local",
		"febf::1":                "link-local",
		"fec0::1":                "site-local",
		"ff02::1":                "multicast",
		"::1%lo":                 "loopback",
	} {
		err := p.Check(netip.MustParseAddr(text))
		if !fault.Is(err, fault.Forbidden) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", text, err, says)
			continue
		}
		if !strings.Contains(err.Error(), "--allow-origin-ranges") {
			t.Errorf("%s: the message does not say how to allow it: %v", text, err)
		}
	}
	if err := p.Check(netip.Addr{}); err == nil {
		t.Error("no address is allowed")
	}
	if err := (&netguard.Policy{}).Check(netip.MustParseAddr("10.0.0.1")); err == nil {
		t.Error("the zero policy allows private addresses")
	}
}

func TestRanges(t *testing.T) {
	p := policy(t, "10.0.0.0/8", "fd12:3456::/32", "127.0.0.1", "::1")
	for _, text := range []string{"10.1.2.3", "fd12:3456::9", "127.0.0.1", "::1", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3"} {
		if err := p.Check(netip.MustParseAddr(text)); err != nil {
			t.Errorf("%s is refused: %v", text, err)
		}
	}
	for _, text := range []string{"127.0.0.2", "192.168.0.1", "fd12:3457::1", "169.254.169.254"} {
		if err := p.Check(netip.MustParseAddr(text)); err == nil {
			t.Errorf("%s is allowed", text)
		}
	}
	all := netguard.AllowAll()
	for _, text := range []string{"127.0.0.1", "::1", "10.0.0.1", "fe80::1", "169.254.169.254", "8.8.8.8", "64:ff9b::127.0.0.1"} {
		if err := all.Check(netip.MustParseAddr(text)); err != nil {
			t.Errorf("allowing all refuses %s: %v", text, err)
		}
	}
	p.Denied = []netip.Prefix{netip.MustParsePrefix("8.8.8.0/24"), netip.MustParsePrefix("10.0.0.0/8")}
	for text, want := range map[string]bool{"8.8.8.8": false, "64:ff9b::8.8.8.8": false, "8.8.4.4": true, "10.0.0.1": true} {
		if err := p.Check(netip.MustParseAddr(text)); (err == nil) != want {
			t.Errorf("%s with denied ranges: %v", text, err)
		}
	}
	for text, says := range map[string]string{
		"":                    "not an address range",
		"10.0.0.0/33":         "not an address range",
		"10.0.0.1/8":          "did you mean 10.0.0.0/8",
		"localhost":           "not an address range",
		"::ffff:10.0.0.0/104": "written as IPv6",
		"fe80::1%eth0":        "not an address range",
		"10.0.0.0-10.0.0.9":   "not an address range",
	} {
		if _, err := netguard.New([]string{text}); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("range %q: %v", text, err)
		}
	}
}

func TestCheckURL(t *testing.T) {
	p := policy(t)
	for _, text := range []string{"http://origin.example.com", "https://origin.example.com:8443/x?y", "https://8.8.8.8", "https://[2606:4700::1]:443/", "http://1e100.net", "http://0x.example.com", "http://1.2.3.4.example"} {
		if err := p.CheckURL(mustURL(t, text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for text, says := range map[string]string{
		"ftp://origin.example.com":        "not a scheme",
		"file:///etc/passwd":              "not a scheme",
		"gopher://127.0.0.1":              "not a scheme",
		"//origin.example.com":            "not a scheme",
		"http://user:pw@origin.example":   "user name or password",
		"http://":                         "no host",
		"http://:80":                      "no host",
		"http://127.0.0.1":                "loopback",
		"http://[::1]:8080/":              "loopback",
		"http://[::ffff:127.0.0.1]":       "loopback",
		"http://[fe80::1%25eth0]/":        "link-local",
		"http://169.254.169.254/latest":   "metadata",
		"http://2130706433":               "unusual form",
		"http://0x7f000001":               "unusual form",
		"http://0x7f.1":                   "unusual form",
		"http://127.1":                    "unusual form",
		"http://0177.0.0.1":               "unusual form",
		"http://127.0.0.1.":               "unusual form",
		"http://017700000001":             "unusual form",
		"http://localhost":                "loopback",
		"http://LOCALHOST:3000":           "loopback",
		"http://localhost.":               "loopback",
		"http://shop.localhost":           "loopback",
		"http://origin.example.com:0":     "not a port",
		"http://origin.example.com:65536": "not a port",
	} {
		err := p.CheckURL(mustURL(t, text))
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", text, err, says)
		}
	}
	p.Ports = []uint16{80, 443}
	for text, ok := range map[string]bool{"http://a.example": true, "https://a.example": true, "http://a.example:443": true, "http://a.example:8080": false, "https://a.example:22": false} {
		if err := p.CheckURL(mustURL(t, text)); (err == nil) != ok {
			t.Errorf("%s with ports: %v", text, err)
		}
	}
	if err := netguard.AllowAll().CheckURL(mustURL(t, "http://localhost:3000")); err != nil {
		t.Errorf("localhost with all allowed: %v", err)
	}
}

func mustURL(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return u
}

// rebinder answers differently each time it is asked.
type rebinder struct {
	mu      sync.Mutex
	answers [][]string
	asked   int
}

func (r *rebinder) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.answers[min(r.asked, len(r.answers)-1)]
	r.asked++
	var addrs []netip.Addr
	for _, text := range list {
		addrs = append(addrs, netip.MustParseAddr(text))
	}
	return addrs, nil
}

// dialler leads every address to a listener and notes where it was asked to go.
type dialler struct {
	mu     sync.Mutex
	to     string
	dialed []string
	fail   map[string]bool
}

func (d *dialler) dial(ctx context.Context, network, address string) (net.Conn, error) {
	d.mu.Lock()
	d.dialed = append(d.dialed, address)
	fail := d.fail[address]
	d.mu.Unlock()
	if fail {
		return nil, errors.New("connection refused")
	}
	return (&net.Dialer{}).DialContext(ctx, network, d.to)
}

func TestRebinding(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") }))
	defer server.Close()
	d := &dialler{to: server.Listener.Addr().String()}
	// Public when it is checked, loopback when it would be asked again.
	r := &rebinder{answers: [][]string{{"8.8.8.8"}, {"127.0.0.1"}}}
	p := &netguard.Policy{Resolver: r, Dial: d.dial}
	client := &http.Client{Transport: &http.Transport{DialContext: p.DialContext, DisableKeepAlives: true}}
	response, err := client.Get("http://rebind.example/")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if r.asked != 1 || len(d.dialed) != 1 || d.dialed[0] != "8.8.8.8:80" {
		t.Errorf("resolved %d times, dialled %v: want the checked address, and no name", r.asked, d.dialed)
	}
	if _, err := client.Get("http://rebind.example/"); err == nil || !strings.Contains(err.Error(), "loopback") {
		t.Errorf("the second connection: %v", err)
	}
	if len(d.dialed) != 1 {
		t.Errorf("dialled %v", d.dialed)
	}
}

func TestEveryAddressIsChecked(t *testing.T) {
	d := &dialler{}
	for _, answers := range [][]string{{"8.8.8.8", "127.0.0.1"}, {"10.0.0.1", "8.8.8.8"}, {"2606:4700::1", "::ffff:10.0.0.1"}, {"8.8.8.8", "64:ff9b::7f00:1"}} {
		p := &netguard.Policy{Resolver: &rebinder{answers: [][]string{answers}}, Dial: d.dial}
		if _, err := p.DialContext(t.Context(), "tcp", "mixed.example:443"); !fault.Is(err, fault.Forbidden) {
			t.Errorf("%v: %v", answers, err)
		}
	}
	if len(d.dialed) != 0 {
		t.Errorf("dialled %v", d.dialed)
	}
}

func TestRedirectsMeetTheSameCheck(t *testing.T) {
	var inside sync.Map
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			http.Redirect(w, r, r.URL.Query().Get("to"), http.StatusFound)
			return
		}
		inside.Store(r.Host, true)
	}))
	defer server.Close()
	p := &netguard.Policy{
		Resolver: resolver{"public.example": "8.8.8.8", "inside.example": "10.0.0.7"},
		Dial:     (&dialler{to: server.Listener.Addr().String()}).dial,
	}
	client := &http.Client{Transport: &http.Transport{DialContext: p.DialContext, DisableKeepAlives: true}}
	for _, to := range []string{"http://inside.example/x", "http://127.0.0.1/x", "http://[::1]/x", "http://2130706433/x", "http://169.254.169.254/x"} {
		response, err := client.Get("http://public.example/?to=" + url.QueryEscape(to))
		if err == nil {
			response.Body.Close()
			t.Errorf("redirected to %s", to)
		}
	}
	inside.Range(func(host, _ any) bool { t.Errorf("%s was reached", host); return true })
	response, err := client.Get("http://public.example/?to=" + url.QueryEscape("http://public.example/x"))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
}

type resolver map[string]string

func (r resolver) LookupNetIP(_ context.Context, network, host string) ([]netip.Addr, error) {
	text, ok := r[host]
	if !ok {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	addr := netip.MustParseAddr(text)
	if network == "ip4" && !addr.Is4() || network == "ip6" && addr.Is4() {
		return nil, nil
	}
	return []netip.Addr{addr}, nil
}

func TestDialErrors(t *testing.T) {
	d := &dialler{}
	p := &netguard.Policy{Resolver: resolver{"v4.example": "8.8.8.8"}, Dial: d.dial, Ports: []uint16{443}}
	for _, tt := range []struct {
		network, address string
		code             fault.Code
		says             string
	}{
		{"tcp", "missing.example:443", fault.Unavailable, "no address"},
		{"tcp6", "v4.example:443", fault.Unavailable, "no address"},
		{"udp", "v4.example:443", fault.Invalid, "not dialled"},
		{"tcp", "v4.example", fault.Invalid, "not host:port"},
		{"tcp", "v4.example:0", fault.Invalid, "not a port"},
		{"tcp", "v4.example:99999", fault.Invalid, "not a port"},
		{"tcp", "v4.example:80", fault.Forbidden, "port 80"},
		{"tcp", "127.0.0.1:443", fault.Forbidden, "loopback"},
		{"tcp", "[fe80::1%lo]:443", fault.Forbidden, "link-local"},
		{"tcp", "127.1:443", fault.Invalid, "unusual form"},
	} {
		if _, err := p.DialContext(t.Context(), tt.network, tt.address); !fault.Is(err, tt.code) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s %s: %v", tt.network, tt.address, err)
		}
	}
	if len(d.dialed) != 0 {
		t.Errorf("dialled %v", d.dialed)
	}
	broken := &netguard.Policy{Resolver: failing{&net.DNSError{Err: "server misbehaving", Name: "x.example", Server: "10.9.8.7:53", IsTemporary: true}}}
	if _, err := broken.DialContext(t.Context(), "tcp", "x.example:443"); !fault.Is(err, fault.Unavailable) || strings.Contains(err.Error(), "10.9.8.7") {
		t.Errorf("a resolver that fails: %v", err)
	}
}

type failing struct{ err error }

func (f failing) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return nil, f.err
}

func TestNextAddressIsTried(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	d := &dialler{to: listener.Addr().String(), fail: map[string]bool{"8.8.8.8:443": true}}
	p := &netguard.Policy{Resolver: &rebinder{answers: [][]string{{"8.8.8.8", "::ffff:8.8.4.4"}}}, Dial: d.dial}
	conn, err := p.DialContext(t.Context(), "tcp", "two.example:443")
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if got := strings.Join(d.dialed, " "); got != "8.8.8.8:443 8.8.4.4:443" {
		t.Errorf("dialled %s", got)
	}
	d.fail["8.8.4.4:443"] = true
	if _, err := p.DialContext(t.Context(), "tcp", "two.example:443"); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("both fail: %v", err)
	}
}

// The real resolver and dialler, against this machine.
func TestRealDial(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	if conn, err := netguard.AllowAll().DialContext(t.Context(), "tcp4", "localhost:"+port); err != nil {
		t.Errorf("localhost with all allowed: %v", err)
	} else {
		conn.Close()
	}
	if _, err := policy(t).DialContext(t.Context(), "tcp", "localhost:"+port); !fault.Is(err, fault.Forbidden) {
		t.Errorf("localhost: %v", err)
	}
}

// Whatever form an address of this machine takes, it is refused.
func FuzzCheckHost(f *testing.F) {
	for _, s := range []string{"127.0.0.1", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "0x7f.1", "localhost", "a.localhost.", "8.8.8.8", "example.com", "fe80::1%eth0"} {
		f.Add(s)
	}
	p := &netguard.Policy{}
	f.Fuzz(func(t *testing.T, host string) {
		if err := p.CheckHost(host); err != nil {
			return
		}
		addr, err := netip.ParseAddr(host)
		if err != nil {
			return
		}
		if a := addr.WithZone("").Unmap(); a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified() || a.IsInterfaceLocalMulticast() {
			t.Fatalf("%q is allowed", host)
		}
	})
}
