package registry

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/edgewright/edgewright/fault"
	"github.com/edgewright/edgewright/netguard"
)

func TestAsked(t *testing.T) {
	for _, tt := range []struct{ domain, asked, says string }{
		{"example.com", "example.com", ""},
		{"a.b.example.co.uk", "example.co.uk", ""},
		{"*.Example.COM.", "example.com", ""},
		{"xn--bcher-kva.de", "xn--bcher-kva.de", ""},
		{"localhost", "", "localhost are in no registry"},
		{"shop.localhost", "", "localhost are in no registry"},
		{"git.corp.internal", "", "internal are in no registry"},
		{"nas.home.arpa", "", "arpa are in no registry"},
		{"printer.local", "", "local are in no registry"},
		{"shop.example", "", "example are in no registry"},
		{"x.test", "", "test are in no registry"},
		{"foo.github.io", "", "github.io are given out by its operator"},
		{"shop.nosuchending", "", "nosuchending"},
		{"com", "", "public suffix"},
	} {
		asked, reason := Asked(tt.domain)
		if asked != tt.asked || !strings.Contains(reason, tt.says) || (asked == "") == (reason == "") {
			t.Errorf("%s: %q, %q", tt.domain, asked, reason)
		}
	}
}

func TestEPPState(t *testing.T) {
	for in, want := range map[string]string{
		"client transfer prohibited": "clientTransferProhibited", "clientTransferProhibited https://icann.org/epp#clientTransferProhibited": "clientTransferProhibited",
		"active": "ok", "ok": "ok", "pending delete": "pendingDelete", "Server Hold": "serverHold", "ServerUpdateProhibited": "serverUpdateProhibited",
		"auto renew period": "autoRenewPeriod", "": "", "<script>": "", strings.Repeat("a", 100): "", "renewProhibited (set by registrar)": "renewProhibited",
	} {
		if got := eppState(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

const rdapAnswer = `{"objectClassName":"domain","ldhName":"EXAMPLE.COM","status":["client transfer prohibited","active"],
"nameservers":[{"ldhName":"B.IANA-SERVERS.NET"},{"ldhName":"a.iana-servers.net."},{"ldhName":"not a host"}],
"secureDNS":{"delegationSigned":true,"dsData":[{"keyTag":370,"algorithm":13,"digestType":2,"digest":"be74359954660069d5c63d200c39f5603827d7dd02b56f120ee9f3a86764247c"}]},
"events":[{"eventAction":"registration","eventDate":"1995-08-14T04:00:00Z"},{"eventAction":"expiration","eventDate":"2027-08-13T04:00:00Z"},{"eventAction":"last changed","eventDate":"2026-08-14T07:01:34Z"}],
"entities":[{"roles":["registrar"],"publicIds":[{"type":"IANA Registrar ID","identifier":"376"}],"vcardArray":["vcard",[["version",{},"text","4.0"],["fn",{},"text","RESERVED-Internet Assigned\u0007 Numbers Authority"]]]}]}`

func at(text string) *time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return &t
}

func TestParseRDAP(t *testing.T) {
	got, err := parseRDAP("example.com", []byte(rdapAnswer))
	if err != nil {
		t.Fatal(err)
	}
	want := State{
		Name: "example.com", Source: "rdap", Registrar: "RESERVED-Internet Assigned Numbers Authority", RegistrarID: "376",
		CreatedAt: at("1995-08-14T04:00:00Z"), UpdatedAt: at("2026-08-14T07:01:34Z"), ExpiresAt: at("2027-08-13T04:00:00Z"),
		NameServers: []string{"a.iana-servers.net", "b.iana-servers.net"}, DS: []string{"370 13 2 BE74359954660069D5C63D200C39F5603827D7DD02B56F120EE9F3A86764247C"},
		Signed: new(true), EPP: []string{"clientTransferProhibited", "ok"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if protected, known := got.TransferProtected(); !protected || !known {
		t.Error("the transfer lock is not seen")
	}
	for name, body := range map[string]string{
		"not JSON": "<html>", "an error": `{"errorCode":404}`, "another domain": strings.Replace(rdapAnswer, "EXAMPLE.COM", "example.org", 1),
		"a name server": `{"objectClassName":"nameserver","ldhName":"example.com"}`, "null": "null", "a list": "[]",
	} {
		if s, err := parseRDAP("example.com", []byte(body)); err == nil {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

const whoisAnswer = `% terms of use: not found is no excuse
   Domain Name: EXAMPLE.COM
   Registrar: Example Registrar, Inc.
   Registrar IANA ID: 376
   Updated Date: 2026-08-14T07:01:34Z
   Creation Date: 1995-08-14T04:00:00Z
   Registry Expiry Date: 2027-08-13T04:00:00Z
   Domain Status: clientDeleteProhibited https://icann.org/epp#clientDeleteProhibited
   Domain Status: clientTransferProhibited https://icann.org/epp#clientTransferProhibited
   Name Server: A.IANA-SERVERS.NET
   Name Server: B.IANA-SERVERS.NET 192.0.2.1
   DNSSEC: signedDelegation
   DNSSEC DS Data: 370 13 2 BE74359954660069D5C63D200C39F5603827D7DD02B56F120EE9F3A86764247C
>>> Last update of whois database: 2026-11-28T10:00:00Z <<<
`

func TestParseWHOIS(t *testing.T) {
	got, registered, err := parseWHOIS("example.com", []byte(whoisAnswer))
	if err != nil || !registered {
		t.Fatal(registered, err)
	}
	want := State{
		Name: "example.com", Source: "whois", Registrar: "Example Registrar, Inc.", RegistrarID: "376",
		CreatedAt: at("1995-08-14T04:00:00Z"), UpdatedAt: at("2026-08-14T07:01:34Z"), ExpiresAt: at("2027-08-13T04:00:00Z"),
		NameServers: []string{"a.iana-servers.net", "b.iana-servers.net"}, DS: []string{"370 13 2 BE74359954660069D5C63D200C39F5603827D7DD02B56F120EE9F3A86764247C"},
		Signed: new(true), EPP: []string{"clientDeleteProhibited", "clientTransferProhibited"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for name, tt := range map[string]struct {
		body       string
		registered bool
		expires    string
	}{
		"nic.ru":      {"domain: EXAMPLE.RU\nnserver: ns1.example.ru.\nstate: REGISTERED, DELEGATED\npaid-till: 2027-03-01T21:00:00Z\n", true, "2027-03-01"},
		"nominet":     {"    Domain name:\n        example.co.uk\n    Registered on: 26-Nov-1996\n    Expiry date:  26-Nov-2027\n", true, "2027-11-26"},
		"afnic":       {"%%\ndomain: example.fr\nstatus: ACTIVE\nExpiry Date: 2027-05-01T10:00:00Z\n", true, "2027-05-01"},
		"nobody's":    {"No match for \"EXAMPLE.COM\".\n", false, ""},
		"denic free":  {"Domain: example.de\nStatus: free\n", false, ""},
		"not found":   {"NOT FOUND\n>>> Last update <<<\n", false, ""},
		"ripe's word": {"%ERROR:101: no entries found\n", false, ""},
	} {
		s, registered, err := parseWHOIS("x", []byte(tt.body))
		if err != nil || registered != tt.registered || tt.expires != "" && (s.ExpiresAt == nil || s.ExpiresAt.Format("2006-01-02") != tt.expires) {
			t.Errorf("%s: %+v, %v, %v", name, s, registered, err)
		}
	}
	for _, body := range []string{"", "\n\n", "% only\n% comments\n", "this is\nno whois", "x: y\n"} {
		if s, registered, err := parseWHOIS("x", []byte(body)); err == nil && registered {
			t.Errorf("%q is understood: %+v", body, s)
		}
	}
}

func TestReferral(t *testing.T) {
	for body, want := range map[string]string{
		"refer:        whois.verisign-grs.com\n\ndomain: COM\n": "whois.verisign-grs.com",
		"whois: whois.nic.example:4343\n":                       "whois.nic.example:4343",
		"whois:\n":                                              "",
		"refer: 127.0.0.1/../x\nwhois: good.example\n":          "good.example",
		"refer: x.example:99999999\n":                           "",
		"":                                                      "",
	} {
		if got := referral([]byte(body)); got != want {
			t.Errorf("%q: %q, want %q", body, got, want)
		}
	}
}

// loopback finds every server here.
type loopback struct{}

func (loopback) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
}

// world is a registry with RDAP and WHOIS on loopback.
type world struct {
	*httptest.Server
	client *Client
	now    time.Time

	mu    sync.Mutex
	rdap  func(w http.ResponseWriter, name string)
	whois map[string]string // query -> answer
	asked []string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{now: *at("2026-11-28T10:00:00Z"), whois: map[string]string{}}
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.asked = append(w.asked, r.URL.Path)
		switch name, isDomain := strings.CutPrefix(r.URL.Path, "/com/domain/"); {
		case r.URL.Path == "/dns.json":
			_ = json.NewEncoder(rw).Encode(map[string]any{"services": [][][]string{
				{{"net"}, {"http://127.0.0.1:1/"}}, {{"com"}, {w.URL + "/com/"}}, {{"co.com"}, {w.URL + "/other/"}},
			}})
		case isDomain:
			w.rdap(rw, name)
		default:
			http.NotFound(rw, r)
		}
	}))
	t.Cleanup(w.Close)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			line, _ := bufio.NewReader(conn).ReadString('\n')
			w.mu.Lock()
			w.asked = append(w.asked, "whois "+strings.TrimSpace(line))
			answer := w.whois[strings.TrimSpace(line)]
			w.mu.Unlock()
			_, _ = io.WriteString(conn, answer)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	_, port, _ := net.SplitHostPort(l.Addr().String())
	for _, ending := range []string{"net", "de", "com"} {
		w.whois[ending] = fmt.Sprintf("refer: localhost.whois.example:%s\n", port)
	}
	policy := *netguard.AllowAll()
	policy.Resolver = loopback{}
	w.client = New(Options{Bootstrap: w.URL + "/dns.json", WHOIS: l.Addr().String(), Policy: &policy, Now: func() time.Time { return w.now }})
	w.rdap = func(rw http.ResponseWriter, name string) {
		_, _ = io.WriteString(rw, strings.Replace(rdapAnswer, "EXAMPLE.COM", name, 1))
	}
	return w
}

func TestLookup(t *testing.T) {
	w := newWorld(t)
	s, err := w.client.Lookup(t.Context(), "example.com")
	if err != nil || s.Source != SourceRDAP || s.Server != w.URL+"/com/" || s.ExpiresAt == nil {
		t.Fatalf("%+v, %v", s, err)
	}
	// Within the hour nobody is asked again, after a day the list is read anew.
	if _, err := w.client.Lookup(t.Context(), "example.com"); err != nil || len(w.asked) != 2 {
		t.Errorf("asked %v, %v", w.asked, err)
	}
	w.now = w.now.Add(2 * time.Hour)
	if _, err := w.client.Lookup(t.Context(), "example.com"); err != nil || len(w.asked) != 3 {
		t.Errorf("after an hour, asked %v, %v", w.asked, err)
	}
	w.now = w.now.Add(25 * time.Hour)
	if _, err := w.client.Lookup(t.Context(), "example.com"); err != nil || !slices.Equal(w.asked[3:], []string{"/dns.json", "/com/domain/example.com"}) {
		t.Errorf("after a day, asked %v, %v", w.asked, err)
	}

	w.rdap = func(rw http.ResponseWriter, _ string) { http.NotFound(rw, nil) }
	if _, err := w.client.Lookup(t.Context(), "free.com"); !fault.Is(err, fault.NotFound) {
		t.Errorf("nobody's name: %v", err)
	}
}

func TestLookupFallsBackToWHOIS(t *testing.T) {
	w := newWorld(t)
	w.whois["example.de"] = "Domain: example.de\nNserver: ns1.example.de\nStatus: connect\nChanged: 2026-01-02T03:04:05+01:00\n"
	s, err := w.client.Lookup(t.Context(), "example.de") // not in the bootstrap file
	if err != nil || s.Source != SourceWHOIS || !slices.Equal(s.NameServers, []string{"ns1.example.de"}) || s.ExpiresAt != nil {
		t.Errorf("%+v, %v", s, err)
	}
	w.whois["example.net"] = whoisAnswer
	if s, err := w.client.Lookup(t.Context(), "example.net"); err != nil || s.Source != SourceWHOIS { // its RDAP server is away
		t.Errorf("%+v, %v", s, err)
	}
	w.whois["free.net"] = "No match for domain\n"
	if _, err := w.client.Lookup(t.Context(), "free.net"); !fault.Is(err, fault.NotFound) {
		t.Errorf("nobody's name: %v", err)
	}
	if _, err := w.client.Lookup(t.Context(), "example.example2"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("an ending without registry: %v", err)
	}
}

func TestLookupTrouble(t *testing.T) {
	for name, tt := range map[string]struct {
		rdap func(w http.ResponseWriter, name string)
		says string
	}{
		"too large": {func(w http.ResponseWriter, _ string) {
			for range 600 {
				_, _ = io.WriteString(w, strings.Repeat(" ", 1024))
			}
		}, "larger than"},
		"nonsense":  {func(w http.ResponseWriter, _ string) { _, _ = io.WriteString(w, "hello") }, "not RDAP"},
		"another's": {func(w http.ResponseWriter, _ string) { _, _ = io.WriteString(w, rdapAnswer) }, "something else"},
		"a loop": {func(w http.ResponseWriter, n string) {
			w.Header().Set("Location", "/com/domain/"+n)
			w.WriteHeader(302)
		}, "without end"},
		"rate limits": {func(w http.ResponseWriter, _ string) { w.Header().Set("Retry-After", "7200"); w.WriteHeader(429) }, "429"},
	} {
		w := newWorld(t)
		w.rdap = tt.rdap
		_, err := w.client.Lookup(t.Context(), "busy.com")
		if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", name, err)
		}
		if f, ok := err.(*fault.Error); name == "rate limits" && (!ok || f.RetryAfter != 2*time.Hour) {
			t.Errorf("the time to come back is lost: %+v", f)
		}
	}
	// Servers found through others' answers are asked only where that is public.
	w := newWorld(t)
	w.client = New(Options{Bootstrap: w.URL + "/dns.json", WHOIS: "127.0.0.1:1"})
	if _, err := w.client.Lookup(t.Context(), "example.com"); !fault.Is(err, fault.Unavailable) || len(w.asked) != 0 {
		t.Errorf("a private address was asked: %v, %v", err, w.asked)
	}
}

func FuzzParseRDAP(f *testing.F) {
	f.Add([]byte(rdapAnswer))
	f.Add([]byte(`{"objectClassName":"domain","entities":[{"roles":["registrar"],"vcardArray":[1,[[]]]}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if s, err := parseRDAP("example.com", body); err == nil {
			bounded(t, s)
		}
	})
}

func FuzzParseWHOIS(f *testing.F) {
	f.Add([]byte(whoisAnswer))
	f.Add([]byte("No match\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		if s, _, err := parseWHOIS("example.com", body); err == nil {
			bounded(t, s)
		}
		if host := referral(body); strings.ContainsAny(host, " /@\r\n") {
			t.Errorf("refers to %q", host)
		}
	})
}

// bounded checks that nothing large or unprintable is kept of an answer.
func bounded(t *testing.T, s State) {
	for _, list := range [][]string{s.NameServers, s.DS, s.EPP} {
		if len(list) > maxList || !slices.IsSorted(list) {
			t.Errorf("%d of %v", len(list), list)
		}
		for _, v := range list {
			if len(v) > 300 || strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Errorf("%q is kept", v)
			}
		}
	}
	if len(s.Registrar) > maxText || strings.ContainsFunc(s.Registrar, func(r rune) bool { return r < ' ' }) {
		t.Errorf("%q is kept", s.Registrar)
	}
}
