package domains

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/edgewright/edgewright/fault"
)

func TestParseNameUnderstands(t *testing.T) {
	tests := []struct {
		in   string
		want Name
	}{
		{"shop.example.com", Name{ASCII: "shop.example.com", Unicode: "shop.example.com", Base: "shop.example.com", Registrable: "example.com"}},
		{"example.com", Name{ASCII: "example.com", Unicode: "example.com", Base: "example.com", Registrable: "example.com"}},
		{"  Shop.Example.COM.\n", Name{ASCII: "shop.example.com", Unicode: "shop.example.com", Base: "shop.example.com", Registrable: "example.com"}},
		{"https://Shop.example.com:8443/path?q=1#f", Name{ASCII: "shop.example.com", Unicode: "shop.example.com", Base: "shop.example.com", Registrable: "example.com"}},
		{"//shop.example.com/", Name{ASCII: "shop.example.com", Unicode: "shop.example.com", Base: "shop.example.com", Registrable: "example.com"}},
		{"shop.example.com/path", Name{ASCII: "shop.example.com", Unicode: "shop.example.com", Base: "shop.example.com", Registrable: "example.com"}},
		{"shop.example.com:443", Name{ASCII: "shop.example.com", Unicode: "shop.example.com", Base: "shop.example.com", Registrable: "example.com"}},
		{"shop.example.com?utm=1", Name{ASCII: "shop.example.com", Unicode: "shop.example.com", Base: "shop.example.com", Registrable: "example.com"}},
		{"\ufeffshop.example.com\u200b", Name{ASCII: "shop.example.com", Unicode: "shop.example.com", Base: "shop.example.com", Registrable: "example.com"}},
		{"*.example.com", Name{ASCII: "*.example.com", Unicode: "*.example.com", Base: "example.com", Registrable: "example.com", Wildcard: true}},
		{"*.shop.example.co.uk", Name{ASCII: "*.shop.example.co.uk", Unicode: "*.shop.example.co.uk", Base: "shop.example.co.uk", Registrable: "example.co.uk", Wildcard: true}},
		{"Bücher.example", Name{ASCII: "xn--bcher-kva.example", Unicode: "bücher.example", Base: "xn--bcher-kva.example", Registrable: "xn--bcher-kva.example"}},
		{"xn--bcher-kva.example", Name{ASCII: "xn--bcher-kva.example", Unicode: "bücher.example", Base: "xn--bcher-kva.example", Registrable: "xn--bcher-kva.example"}},
		{"straße.de", Name{ASCII: "xn--strae-oqa.de", Unicode: "straße.de", Base: "xn--strae-oqa.de", Registrable: "xn--strae-oqa.de"}},
		{"例え。テスト", Name{ASCII: "xn--r8jz45g.xn--zckzah", Unicode: "例え.テスト", Base: "xn--r8jz45g.xn--zckzah", Registrable: "xn--r8jz45g.xn--zckzah"}},
		{"foo.github.io", Name{ASCII: "foo.github.io", Unicode: "foo.github.io", Base: "foo.github.io", Registrable: "foo.github.io"}},
		{"localhost", Name{ASCII: "localhost", Unicode: "localhost", Base: "localhost", Registrable: "localhost"}},
		{"shop.localhost", Name{ASCII: "shop.localhost", Unicode: "shop.localhost", Base: "shop.localhost", Registrable: "shop.localhost"}},
		{"a.shop.localhost", Name{ASCII: "a.shop.localhost", Unicode: "a.shop.localhost", Base: "a.shop.localhost", Registrable: "shop.localhost"}},
		{"https://shop.localhost:8443/", Name{ASCII: "shop.localhost", Unicode: "shop.localhost", Base: "shop.localhost", Registrable: "shop.localhost"}},
		{"nas.home.arpa", Name{ASCII: "nas.home.arpa", Unicode: "nas.home.arpa", Base: "nas.home.arpa", Registrable: "nas.home.arpa"}},
		{"git.corp.internal", Name{ASCII: "git.corp.internal", Unicode: "git.corp.internal", Base: "git.corp.internal", Registrable: "corp.internal"}},
	}
	for _, tt := range tests {
		got, err := ParseName(tt.in)
		if err != nil {
			t.Errorf("%q: %v", tt.in, err)
			continue
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%q: (-want +got)\n%s", tt.in, diff)
		}
		if again, err := ParseName(got.ASCII); err != nil || again != got {
			t.Errorf("%q: its own form %q parses to %v, %v", tt.in, got.ASCII, again, err)
		}
	}
}

// Each bad input has a message and a fix of its own.
var badNames = []struct{ in, detail, fix string }{
	{"", "the domain is empty", "write one, such as shop.example.com"},
	{" \t\n", "the domain is empty", "write one, such as shop.example.com"},
	{strings.Repeat("a", 3000), "the text has 3000 characters", "write only the domain"},
	{".", "a dot alone is the root", "write a domain"},
	{"..", "dots alone are no name", "write a domain"},
	{"example.com;rm -rf", "a name holds no spaces", "write the domain alone"},
	{"example\n.com", "a name holds no spaces", "write the domain alone"},
	{".example.com", "the name begins with a dot", "write example.com, or *.example.com for all below it"},
	{"shop..example.com", "two dots in a row", "write one"},
	{"example.com..", "two dots in a row", "write one"},
	{"shop example.com", "a name holds no spaces", "did you mean shop.example.com?"},
	{"example,com", "a name holds no spaces, commas", "did you mean example.com?"},
	{"a.example.com, b.example.com", "more than one domain", "first a.example.com"},
	{"a.example.com b.example.com", "more than one domain", "first a.example.com"},
	{",", "\",\" is not a domain", "write one"},
	{"admin@example.com", "an e-mail address", "write the domain alone: example.com"},
	{"mailto:admin@example.com", "an e-mail link", "write the domain alone"},
	{"http:/example.com", "the URL is misspelt", "write example.com"},
	{"https//example.com", "the URL is misspelt", "write example.com"},
	{"http:example.com", "the URL is misspelt", "write example.com"},
	{"ftp://example.com", "ftp is not a web address", "write the domain alone"},
	{"://example.com", "the URL has no scheme", "example.com"},
	{"https://", "the URL names no host", "write the domain"},
	{"https://user:secret@example.com/", "holds a user name or password", "remove it: example.com"},
	{"example.com:http", "\"http\" is not a port", "example.com"},
	{"/example.com", "is not a domain", "write one"},
	{"192.0.2.10", "192.0.2.10 is an IP address", "write the name that leads to it"},
	{"http://192.0.2.10:3000", "192.0.2.10 is an IP address", "write the name"},
	{"2001:db8::1", "2001:db8::1 is an IP address", "write the name"},
	{"[2001:db8::1]:443", "is an IP address", "write the name"},
	{"https://[2001:db8::1]/", "2001:db8::1 is an IP address", "write the name"},
	{"example.123", "the last label \"123\" is a number", "write the name with its ending"},
	{"2130706433", "the last label \"2130706433\" is a number", ""},
	{"0x7f.0x1", "the last label \"0x1\" is a number", ""},
	{"*", "every domain there is", "write *.example.com"},
	{"*.", "the wildcard has no domain", "write *.example.com"},
	{"*.*.example.com", "one label, once", "write *.example.com"},
	{"*shop.example.com", "a whole label", "write *.shop.example.com"},
	{"shop.*.example.com", "the first label only", "write *.example.com"},
	{"shop*.example.com", "the first label only", "write *.example.com"},
	{"*.com", "*.com would be everybody's names", "write *.yours.com"},
	{"*.co.uk", "*.co.uk would be everybody's names", "write *.yours.co.uk"},
	{"*.internal", "*.internal would be everybody's names", "write *.yours.internal"},
	{"*.localhost", "every local name", "shop.localhost"},
	{"com", "com is a public suffix", "write yours.com"},
	{"co.uk", "co.uk is a public suffix", "write yours.co.uk"},
	{"github.io", "github.io is a public suffix", "write yours.github.io"},
	{"myapp", "\"myapp\" has no ending", "myapp.localhost"},
	{"_dmarc.example.com", "holds an underscore", "write a hyphen"},
	{"-shop.example.com", "begins with a hyphen", "remove it"},
	{"shop-.example.com", "ends with a hyphen", "remove it"},
	{"ab--cd.example.com", "third and fourth place", "check its spelling"},
	{"xn--.example.com", "is not valid Punycode", "write the name in its own letters"},
	{"xn--999999999.com", "is not valid Punycode", "write the name in its own letters"},
	{"xn--a.com", "stands for characters that no domain may hold", ""},
	{"sh!op.example.com", "'!' is not allowed", "use letters, digits, hyphens and dots"},
	{"shop.exa\x00mple.com", "a control character", "type it again"},
	{"\"shop.example.com\"", "\" is not part of a name", "write shop.example.com"},
	{"<shop.example.com>", "< is not part of a name", "write shop.example.com"},
	{strings.Repeat("a", 64) + ".example.com", "has 64 characters in its ASCII form, more than 63", "shorten it"},
	{strings.Repeat("ü", 60) + ".example.com", "in its ASCII form, more than 63", "shorten it"},
	{strings.Repeat("abcdefghi.", 25) + "example.com", "the name has 261 characters, more than 253", "shorten it"},
	{"shop.onion", "reached through Tor", "use a name of the DNS"},
	{"shop.invalid", "never exist", "shop.localhost"},
	{"1.0.0.127.in-addr.arpa", "for the DNS itself", "use a name of yours"},
	{"home.arpa", "home.arpa is a public suffix", "write yours.home.arpa"},
	{"shop.example.com\\@evil.example", "an e-mail address", ""},
	{"https://shop.exa%20mple.com", "' ' is not allowed", ""},
	{"אa.example.com", "no domain may hold", "mixed direction"},
}

func TestParseNameRefuses(t *testing.T) {
	if len(badNames) < 40 {
		t.Errorf("only %d bad inputs", len(badNames))
	}
	for _, tt := range badNames {
		name, err := ParseName(tt.in)
		var f *fault.Error
		if !errors.As(err, &f) || f.Code != fault.Invalid || len(f.Fields) != 1 || f.Fields[0].Pointer != "/domain" {
			t.Errorf("%.60q: got %+v, %v", tt.in, name, err)
			continue
		}
		if got := f.Fields[0]; !strings.Contains(got.Detail, tt.detail) || !strings.Contains(got.Fix, tt.fix) || got.Fix == "" {
			t.Errorf("%.60q: detail %q, fix %q; want %q, %q", tt.in, got.Detail, got.Fix, tt.detail, tt.fix)
		}
	}
}

func TestAbove(t *testing.T) {
	tests := []struct {
		name, platform string
		want           []string
	}{
		{"example.com", "", nil},
		{"shop.example.com", "", []string{"example.com", "*.example.com"}},
		{"a.b.example.co.uk", "", []string{"b.example.co.uk", "*.b.example.co.uk", "example.co.uk", "*.example.co.uk"}},
		{"*.example.com", "", []string{"example.com"}},
		{"*.shop.example.com", "", []string{"shop.example.com", "example.com", "*.example.com"}},
		{"shop.localhost", "", nil},
		{"a.shop.localhost", "", []string{"shop.localhost", "*.shop.localhost"}},
		{"shop.edge.example.com", "edge.example.com", nil},
		{"a.shop.edge.example.com", "edge.example.com", []string{"shop.edge.example.com", "*.shop.edge.example.com"}},
	}
	for _, tt := range tests {
		name, err := ParseName(tt.name)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, name.above(tt.platform)); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", tt.name, diff)
		}
	}
}

func FuzzParseName(f *testing.F) {
	for _, tt := range badNames {
		f.Add(tt.in)
	}
	f.Add("https://Bücher.example:8443/x")
	f.Fuzz(func(t *testing.T, in string) {
		name, err := ParseName(in)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Fatalf("%q: %v", in, err)
			}
			return
		}
		again, err := ParseName(name.ASCII)
		if err != nil || again != name {
			t.Fatalf("%q -> %+v, but its own form gives %+v, %v", in, name, again, err)
		}
		if len(name.ASCII) > maxNameLength || strings.ToLower(name.ASCII) != name.ASCII || !strings.HasSuffix(name.Base, name.Registrable) {
			t.Fatalf("%q -> %+v", in, name)
		}
	})
}
