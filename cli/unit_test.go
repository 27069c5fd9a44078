package cli

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/edgewright/edgewright/client"
	"github.com/edgewright/edgewright/fault"
)

func TestSize(t *testing.T) {
	for text, want := range map[string]Size{
		"0": 0, "1048576": 1 << 20, "512MiB": 512 << 20, "2GB": 2e9, "1.5 gib": 3 << 29, "64k": 64 << 10, "7b": 7,
	} {
		var s Size
		if err := s.UnmarshalText([]byte(text)); err != nil || s != want {
			t.Errorf("%q: %d %v, want %d", text, s, err, want)
		}
	}
	for _, text := range []string{"", "x", "-1", "1e30", "NaN", "inf", "MiB", "1 2"} {
		var s Size
		if err := s.UnmarshalText([]byte(text)); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %d %v", text, s, err)
		}
	}
}

func TestDays(t *testing.T) {
	for text, want := range map[string]time.Duration{"30d": 720 * time.Hour, "0d": 0, "12h": 12 * time.Hour, "90m": 90 * time.Minute} {
		var d days
		if err := d.UnmarshalText([]byte(text)); err != nil || time.Duration(d) != want {
			t.Errorf("%q: %v %v", text, time.Duration(d), err)
		}
	}
	for _, text := range []string{"", "d", "-1d", "1.5d", "1d2h", "999999d", "-3h", "x"} {
		var d days
		if err := d.UnmarshalText([]byte(text)); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v %v", text, time.Duration(d), err)
		}
	}
}

func TestServerOptionsAreChecked(t *testing.T) {
	tests := []struct {
		args []string
		want string // "" is good
	}{
		{[]string{"up", "--listen-api", ":0", "--listen-http", "127.0.0.1:0", "--listen-dns", "[::1]:53"}, ""},
		{[]string{"up", "--listen-api", "localhost"}, "--listen-api"},
		{[]string{"up", "--listen-http", ":99999"}, "--listen-http"},
		{[]string{"up", "--regions", "fra,nyc,eu-west-1"}, ""},
		{[]string{"up", "--regions", "Fra"}, `region "Fra"`},
		{[]string{"up", "--regions", "fra,fra"}, "named twice"},
		{[]string{"up", "--issuer", "magic"}, "--issuer"},
		{[]string{"up", "--resolvers", "9.9.9.9,[2620:fe::fe]:5353,dns.example"}, ""},
		{[]string{"up", "--resolvers", "9.9.9.9:x"}, "--resolvers"},
		{[]string{"up", "--cache-size", "lots"}, "--cache-size"},
		{[]string{"control", "--allow-origin-ranges", "10.0.0.0/8,fd00::/8"}, ""},
		{[]string{"control", "--allow-origin-ranges", "10.0.0.1"}, "--allow-origin-ranges"},
		{[]string{"control", "--tls-cert", "x.pem"}, "--tls-key"},
		{[]string{"control", "--nats-root-ca", "x"}, "--nats-url"},
		{[]string{"edge", "--region", "a_b"}, `region "a_b"`},
		{[]string{"edge", "--join", "control.example.com"}, "--join"},
	}
	for _, tt := range tests {
		var out, errs bytes.Buffer
		code := Main(tt.args, strings.NewReader(""), &out, &errs, testServers())
		if (code == exitOK) != (tt.want == "") || !strings.Contains(errs.String(), tt.want) {
			t.Errorf("%v: exit status %d, %s", tt.args, code, &errs)
		}
	}
}

func TestResolversGetTheirPort(t *testing.T) {
	o := IssuerOptions{Resolvers: []string{"9.9.9.9", "[2620:fe::fe]", "2620:fe::fe", "1.1.1.1:5353"}}
	if err := o.check(); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"9.9.9.9:53", "[2620:fe::fe]:53", "[2620:fe::fe]:53", "1.1.1.1:5353"}, o.Resolvers); d != "" {
		t.Error(d)
	}
}

// A name or message from elsewhere must not move the cursor or recolour what
// follows.
func TestForeignTextIsCleaned(t *testing.T) {
	evil := "a\x1b[2Jb\r\nc\u202ed\u0000\u009b31m"
	if got := clean(evil); got != "a[2Jb cd31m" {
		t.Errorf("%q", got)
	}
	var out bytes.Buffer
	a := &app{out: &out, flags: &globals{Output: "table"}, now: time.Now}
	tab := a.table("X")
	tab.row(evil)
	tab.print(&out)
	p := a.pairs()
	p.add("x", evil)
	p.print(&out)
	a.printAction("create", "domain", evil, []client.FieldChange{{Pointer: "/" + evil, After: json.RawMessage(`"\u001b[31m` + "\x1b" + `"`)}}, true)
	if s := out.String(); strings.ContainsAny(s, "\x1b\r\x00") {
		t.Errorf("%q", s)
	}
}

func TestTableAligns(t *testing.T) {
	var out bytes.Buffer
	a := &app{out: &out, ink: ink{on: true}}
	tab := a.table("NAME", "STATE", "N")
	tab.row("münchen.example", tab.state("active"), 7)
	tab.row("x", tab.state("issuing"), "")
	tab.print(&out)
	want := "\x1b[2mNAME\x1b[0m             \x1b[2mSTATE\x1b[0m    \x1b[2mN\x1b[0m\n" +
		"münchen.example  \x1b[32mactive\x1b[0m   7\n" +
		"x                \x1b[33missuing\x1b[0m  \x1b[2m-\x1b[0m\n"
	if d := cmp.Diff(want, out.String()); d != "" {
		t.Error(d)
	}
}

func TestInkObeysEnvironment(t *testing.T) {
	t.Setenv("NO_COLOR", "")
	t.Setenv("TERM", "xterm")
	if !newInk(true).on || newInk(false).on {
		t.Error("colours depend on the terminal")
	}
	t.Setenv("NO_COLOR", "1")
	if newInk(true).on {
		t.Error("NO_COLOR is not obeyed")
	}
	t.Setenv("NO_COLOR", "")
	t.Setenv("TERM", "dumb")
	if newInk(true).on {
		t.Error("TERM=dumb is not obeyed")
	}
}

func TestYAMLOutput(t *testing.T) {
	value := struct {
		B string         `json:"b"`
		A []int          `json:"a"`
		C map[string]any `json:"c"`
		D string         `json:"d"`
		E float64        `json:"e"`
		F *int           `json:"f"`
		G []string       `json:"g"`
		H string         `json:"h"`
	}{"yes", []int{1, 2}, map[string]any{"x": true}, "two\nlines\n", 1.5, nil, []string{}, "1.0"}
	var out bytes.Buffer
	if err := writeYAML(&out, value); err != nil {
		t.Fatal(err)
	}
	want := "b: \"yes\"\na:\n  - 1\n  - 2\nc:\n  x: true\nd: |\n  two\n  lines\ne: 1.5\nf: null\ng: []\nh: \"1.0\"\n"
	if d := cmp.Diff(want, out.String()); d != "" {
		t.Error(d)
	}
}

func TestPath(t *testing.T) {
	for pointer, want := range map[string]string{
		"/origins/0/url": "origins[0].url", "": "", "/a~1b/c~0d": "a/b.c~d", "/redirect_https": "redirect_https", "/0": "[0]",
	} {
		if got := path(pointer); got != want {
			t.Errorf("%q: %q, want %q", pointer, got, want)
		}
	}
}

func TestParseRule(t *testing.T) {
	for text, want := range map[string]client.CacheRule{
		"/static/**=86400": {Pattern: "/static/**", Action: "cache", TTL: 86400},
		"/a=b=12h":         {Pattern: "/a=b", Action: "cache", TTL: 43200},
		"/x=1d":            {Pattern: "/x", Action: "cache", TTL: 86400},
		"/api/**=bypass":   {Pattern: "/api/**", Action: "bypass"},
		"*.css=headers":    {Pattern: "*.css", Action: "headers"},
	} {
		got, err := parseRule(text)
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Errorf("%q: %v %s", text, err, d)
		}
	}
	for _, text := range []string{"", "/x", "=5", "/x=", "/x=never", "/x=-5"} {
		if _, err := parseRule(text); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestParseOrigin(t *testing.T) {
	old := &client.CDN{Origins: []client.Origin{{Name: "a", URL: "http://a", SkipVerify: true}}}
	for text, want := range map[string]client.Origin{
		"http://x:1":       {URL: "http://x:1"},
		"b=http://x":       {Name: "b", URL: "http://x"},
		"http://x/?q=1":    {URL: "http://x/?q=1"},
		"a=http://new":     {Name: "a", URL: "http://new", SkipVerify: true},
		"http://a":         {Name: "a", URL: "http://a", SkipVerify: true},
		"c=http://a":       {Name: "c", URL: "http://a"},
		"http://elsewhere": {URL: "http://elsewhere"},
	} {
		if d := cmp.Diff(want, parseOrigin(text, old)); d != "" {
			t.Errorf("%q: %s", text, d)
		}
	}
}

func TestSpansAndSizes(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	a := &app{now: func() time.Time { return now }}
	for d, want := range map[time.Duration]string{
		0: "just now", 5 * time.Second: "5s ago", 90 * time.Second: "1m ago", 47 * time.Hour: "47h ago", 72 * time.Hour: "3d ago", -90 * time.Minute: "in 1h",
	} {
		at := now.Add(-d)
		if got := a.ago(&at); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
	if a.ago(nil) != "" || a.ago(&time.Time{}) != "" {
		t.Error("no time has no words")
	}
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KiB", math.MaxInt64: "8388608.0 TiB"} {
		if got := bytesText(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

func TestSameAddress(t *testing.T) {
	same := [][2]string{{"http://a:80", "http://a/"}, {"https://a", "https://a:443"}, {"http://[::1]:7070", "http://[::1]:7070/x"}}
	other := [][2]string{{"http://a", "https://a"}, {"http://a", "http://b"}, {"http://a:1", "http://a:2"}, {"http://a", "http://a.evil"}}
	for _, p := range same {
		if !sameAddress(p[0], p[1]) {
			t.Errorf("%v differ", p)
		}
	}
	for _, p := range other {
		if sameAddress(p[0], p[1]) {
			t.Errorf("%v are the same", p)
		}
	}
}

func TestJudge(t *testing.T) {
	good := overview{Edges: []client.Edge{{Name: "a", State: client.EdgeOnline}}, Domains: []client.Domain{{Status: client.DomainPending}, {Status: client.DomainIssuing}}}
	good.judge()
	if !good.OK || len(good.Problems) != 0 {
		t.Errorf("%+v", good.Problems)
	}
	bad := overview{
		Edges:        []client.Edge{{Name: "a", State: client.EdgeOffline}},
		Domains:      []client.Domain{{Display: "x.example", Status: client.DomainError, Certificate: client.DomainCert{Reason: "CAARecord", Fix: "allow the CA"}}},
		Certificates: []client.Certificate{{Domains: []string{"x.example"}, State: client.CertExpired}},
	}
	bad.judge()
	want := []string{"edge a is away", "domain x.example: CAARecord allow the CA", "certificate of x.example expired"}
	if d := cmp.Diff(want, bad.Problems); d != "" || bad.OK {
		t.Error(d)
	}
	none := overview{}
	none.judge()
	if none.OK {
		t.Error("no edge is no problem?")
	}
}

func TestFetchesAreShown(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	show := func(z client.ZoneTransfers) (out, hints string) {
		var o, e bytes.Buffer
		a := &app{out: &o, err: &e, flags: &globals{Output: "table"}, now: func() time.Time { return now }}
		a.printFetches(&z)
		return o.String(), e.String()
	}
	given := client.ZoneTransfers{Serial: 8, Out: &client.TransferOut{}}
	if out, hints := show(given); out != "" || !strings.Contains(hints, "No secondary") {
		t.Errorf("nobody: %q, %q", out, hints)
	}
	if out, hints := show(client.ZoneTransfers{}); out+hints != "" {
		t.Errorf("given to nobody: %q, %q", out, hints)
	}
	at := now.Add(-time.Minute)
	given.Secondaries = []client.TransferFetch{
		{Address: "192.0.2.1", Key: "k.example", Kind: "ixfr", Outcome: "current", Serial: 8, At: at},
		{Address: "192.0.2.2", Key: "k.example", Kind: "axfr", Outcome: "given", Serial: 7, At: at},
		{Address: "192.0.2.3", Kind: "axfr", Outcome: "unsigned", At: at, Error: "it asked without a key", Fix: "give it the key"},
		{Address: "192.0.2.4", Kind: "axfr", Outcome: "newer", At: at, Error: "it did not get the zone (newer)\x1b[2J"},
	}
	out, hints := show(given)
	want := []string{
		"", "SECONDARY KEY LAST SERIAL ASKED WHEN",
		"192.0.2.1 k.example current 8 ixfr 1m ago", "192.0.2.2 k.example older 7 axfr 1m ago", "192.0.2.3 - unsigned - axfr 1m ago", "192.0.2.4 - newer - axfr 1m ago", "",
	}
	var got []string
	for line := range strings.SplitSeq(out, "\n") {
		got = append(got, strings.Join(strings.Fields(line), " "))
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if !strings.Contains(hints, "192.0.2.3: it asked without a key. To mend it, give it the key.\n") || !strings.Contains(hints, "192.0.2.4: it did not get the zone (newer)[2J.\n") {
		t.Errorf("%q", hints)
	}
}
