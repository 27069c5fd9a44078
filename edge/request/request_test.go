package request

import (
	"errors"
	"strings"
	"testing"
)

func TestPath(t *testing.T) {
	for _, c := range []struct {
		raw, want string
		err       error
	}{
		{"/", "/", nil},
		{"/a/b.css", "/a/b.css", nil},
		{"/%7Euser/%41%62", "/~user/Ab", nil},
		{"/a%2fb", "/a%2Fb", nil},
		{"/%e4%bd%a0", "/%E4%BD%A0", nil},
		{"/\u4f60", "/%E4%BD%A0", nil},
		{"/a/./b/../c", "/a/c", nil},
		{"/a/%2e%2E/b", "/b", nil},
		{"/a/.%2e/b", "/b", nil},
		{"/../../etc/passwd", "/etc/passwd", nil},
		{"/a/..", "/", nil},
		{"/a/b/..", "/a/", nil},
		{"/a/.", "/a/", nil},
		{"/..", "/", nil},
		{"//a//b", "//a//b", nil},
		{"/a//../b", "/a/b", nil},
		{"/.well-known/x", "/.well-known/x", nil},
		{"/...", "/...", nil},
		{"/a;v=1/b,c", "/a;v=1/b,c", nil},
		{"/a|b\\c\"<>^`{}", "/a%7Cb%5Cc%22%3C%3E%5E%60%7B%7D", nil},
		{"/a%5cb", "/a%5Cb", nil},
		{"/%252e%252e/", "/%252e%252e/", nil},
		{"/a%00b", "", ErrNUL},
		{"/a%0", "", ErrPercent},
		{"/a%", "", ErrPercent},
		{"/a%zz", "", ErrPercent},
		{"/a b", "", ErrTargetByte},
		{"/a\x00", "", ErrTargetByte},
		{"/a\x7f", "", ErrTargetByte},
		{"/a#b", "", ErrTargetByte},
		{"a", "", ErrTargetForm},
		{"", "", ErrTargetForm},
	} {
		got, err := Path(c.raw)
		if got != c.want || !same(err, c.err) {
			t.Errorf("Path(%q) = %q, %v; want %q, %v", c.raw, got, err, c.want, c.err)
		}
	}
}

func TestParseTarget(t *testing.T) {
	for _, c := range []struct {
		method, raw string
		want        Target
		err         error
	}{
		{"GET", "/a?b=c", Target{Path: "/a", Query: "b=c"}, nil},
		{"GET", "/a?", Target{Path: "/a"}, nil},
		{"GET", "/a?b?c", Target{Path: "/a", Query: "b?c"}, nil},
		{"GET", "/?q=100%", Target{Path: "/", Query: "q=100%"}, nil},
		{"GET", "/?q=\u00e9\"", Target{Path: "/", Query: "q=%C3%A9%22"}, nil},
		{"GET", "http://Example.com:80/x?y", Target{Scheme: "http", Authority: "Example.com:80", Path: "/x", Query: "y"}, nil},
		{"GET", "HTTPS://e", Target{Scheme: "https", Authority: "e", Path: "/"}, nil},
		{"GET", "http://e?x", Target{Scheme: "http", Authority: "e", Path: "/", Query: "x"}, nil},
		{"OPTIONS", "*", Target{Path: "*"}, nil},
		{"GET", "*", Target{}, ErrTargetForm},
		{"GET", "ftp://e/", Target{}, ErrTargetForm},
		{"GET", "http:///x", Target{}, ErrTargetForm},
		{"CONNECT", "e:443", Target{}, ErrTargetForm},
		{"GET", "", Target{}, ErrTargetForm},
		{"GET", "/?a b", Target{}, ErrTargetByte},
		{"GET", "/?a#b", Target{}, ErrTargetByte},
		{"GET", "/" + strings.Repeat("a", MaxTargetBytes), Target{}, ErrTargetTooLong},
	} {
		got, err := ParseTarget(c.method, c.raw)
		if !same(err, c.err) || err == nil && got != c.want {
			t.Errorf("ParseTarget(%q) = %+v, %v; want %+v, %v", c.raw, got, err, c.want, c.err)
		}
	}
}

func TestAuthority(t *testing.T) {
	for _, c := range []struct {
		raw, host, port string
		err             error
	}{
		{"example.com", "example.com", "", nil},
		{"Example.COM:8443", "example.com", "8443", nil},
		{"example.com.", "example.com", "", nil},
		{"example.com.:443", "example.com", "443", nil},
		{"example.com:", "example.com", "", nil},
		{"example.com:00080", "example.com", "80", nil},
		{"b\u00fccher.example", "xn--bcher-kva.example", "", nil},
		{"B\u00dcCHER.example:1", "xn--bcher-kva.example", "1", nil},
		{"a\u3002b", "a.b", "", nil},
		{"my_host.local", "my_host.local", "", nil},
		{"127.0.0.1:80", "127.0.0.1", "80", nil},
		{"[::1]:80", "[::1]", "80", nil},
		{"[2001:DB8::0:1]", "[2001:db8::1]", "", nil},
		{"", "", "", ErrAuthority},
		{".", "", "", ErrAuthority},
		{"a..b", "", "", ErrAuthority},
		{".a", "", "", ErrAuthority},
		{"a..", "", "", ErrAuthority},
		{"user@example.com", "", "", ErrAuthority},
		{"exa mple.com", "", "", ErrAuthority},
		{"example.com/x", "", "", ErrAuthority},
		{"ex%61mple.com", "", "", ErrAuthority},
		{"*.example.com", "", "", ErrAuthority},
		{"[::1", "", "", ErrAuthority},
		{"[::1]x", "", "", ErrAuthority},
		{"[fe80::1%25eth0]", "", "", ErrAuthority},
		{"[1.2.3.4]", "", "", ErrAuthority},
		{"::1", "", "", ErrPort},
		{"a:b", "", "", ErrPort},
		{"a:0", "", "", ErrPort},
		{"a:65536", "", "", ErrPort},
		{"a:-1", "", "", ErrPort},
		{"a:1:2", "", "", ErrPort},
		{strings.Repeat("a", 64) + ".com", "", "", ErrAuthority},
		{strings.Repeat("a.", 127) + "a", "", "", ErrAuthority},
	} {
		host, port, err := Authority(c.raw)
		if !same(err, c.err) || err == nil && (host != c.host || port != c.port) {
			t.Errorf("Authority(%q) = %q, %q, %v; want %q, %q, %v", c.raw, host, port, err, c.host, c.port, c.err)
		}
	}
}

func TestNormalAllocatesNothing(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() {
		if _, err := ParseTarget("GET", "/assets/app.js?v=12"); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Authority("shop.example.com:8443"); err != nil {
			t.Fatal(err)
		}
		PeerIP("[2001:db8::1]:4711")
	}); n != 0 {
		t.Errorf("%v allocations for a request that is normal already", n)
	}
}

func TestPeerIP(t *testing.T) {
	for raw, want := range map[string]string{"1.2.3.4:5": "1.2.3.4", "[::1]:5": "::1", "[fe80::1%eth0]:5": "fe80::1", "@": "@"} {
		if got := PeerIP(raw); got != want {
			t.Errorf("PeerIP(%q) = %q, want %q", raw, got, want)
		}
	}
}

func FuzzParseTarget(f *testing.F) {
	for _, s := range []string{"/", "/a/../b", "/%2e%2e/%2F", "/a%", "http://h/p?q", "*", "//x//..", "/\xff?\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := ParseTarget("GET", raw)
		if err != nil {
			return
		}
		if got.Path[0] != '/' {
			t.Fatalf("path %q does not begin with a slash", got.Path)
		}
		for _, s := range strings.Split(got.Path, "/") {
			if s == "." || s == ".." {
				t.Fatalf("path %q keeps a dot segment", got.Path)
			}
		}
		for i := 0; i < len(got.Path); i++ {
			if c := class[got.Path[i]]; c == refuse || c == encode {
				t.Fatalf("path %q keeps byte %q", got.Path, got.Path[i])
			}
		}
		if strings.ContainsAny(got.Query, " #\r\n\x00") {
			t.Fatalf("query %q keeps a byte that would end it", got.Query)
		}
		again, err := ParseTarget("GET", got.Path+"?"+got.Query)
		if err != nil || again.Path != got.Path || again.Query != got.Query {
			if len(got.Path)+len(got.Query) < MaxTargetBytes { // encoding may lengthen it over the bound
				t.Fatalf("normalising %q again gives %q?%q, %v", raw, again.Path, again.Query, err)
			}
		}
	})
}

func FuzzAuthority(f *testing.F) {
	for _, s := range []string{"example.com", "EXAMPLE.com.:80", "[::1]:1", "b\u00fccher.example", "a:b", "xn--a.b", "\u3002"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		host, port, err := Authority(raw)
		if err != nil {
			return
		}
		if host == "" || host != strings.ToLower(host) || strings.HasSuffix(host, ".") || strings.ContainsAny(host, "/@ %?#\\") {
			t.Fatalf("Authority(%q) = %q", raw, host)
		}
		again, _, err := Authority(host + ":" + port)
		if err != nil || again != host {
			t.Fatalf("Authority(%q) = %q, again %q, %v", raw, host, again, err)
		}
	})
}

func same(got, want error) bool {
	if want == nil {
		return got == nil
	}
	return errors.Is(got, want)
}
