package domains

import (
	"strings"
	"testing"
)

func TestBlockers(t *testing.T) {
	ours := []string{"198.51.100.7", "2001:db8::7"}
	for _, tt := range []struct {
		name string
		look surroundings
		want string // reasons
		fix  string
	}{
		{"nothing there", surroundings{}, "", ""},
		{"ours", surroundings{addresses: ours}, "", ""},
		{"our alias", surroundings{cname: []string{"edge.example.net"}, addresses: []string{"203.0.113.9"}}, "", ""},
		{"an alias", surroundings{cname: []string{"old.host.example"}, addresses: []string{"203.0.113.9"}}, "ExistingCNAME", "delete that CNAME record, then add shop.example.com CNAME edge.example.net"},
		{"a CDN's alias", surroundings{cname: []string{"d111111abcdef8.cloudfront.net"}}, "Proxied", "delete that CNAME record"},
		{"Cloudflare's proxy", surroundings{addresses: []string{"104.21.3.4", "172.67.1.2", "2606:4700:3030::6815:304"}}, "Proxied", "DNS only"},
		{"another server", surroundings{addresses: []string{"203.0.113.9", "203.0.113.10"}}, "WrongAddress", "delete these address records"},
		{"ours and another", surroundings{addresses: []string{"198.51.100.7", "203.0.113.9"}}, "WrongAddress", ""},
		{"another CA", surroundings{caa: []string{`0 issue "digicert.com"`}, caaAt: "example.com"}, "CAAForbids", `add the CAA record example.com 0 issue "letsencrypt.org"`},
		{"no CA", surroundings{caa: []string{`0 issue ";"`}, caaAt: "example.com"}, "CAAForbids", ""},
		{"all at once", surroundings{cname: []string{"old.example"}, caa: []string{`0 issue "x.example"`}, caaAt: "example.com"}, "ExistingCNAME CAAForbids", ""},
	} {
		s := &Service{Options: Options{CAA: []string{"letsencrypt.org"}}}
		name, err := ParseName("shop.example.com")
		if err != nil {
			t.Fatal(err)
		}
		d := Domain{}
		d.Status.Records = []DNSRecord{{Purpose: PurposeRouting, Type: "CNAME", FullName: "shop.example.com", Value: "edge.example.net"}}
		tt.look.hostname, tt.look.ours = "edge.example.net", ours
		var reasons []string
		list := s.blockers(d, name, tt.look)
		for _, b := range list {
			reasons = append(reasons, b.Reason)
			if b.Detail == "" || b.Fix == "" || b.Type == "" || b.Name == "" {
				t.Errorf("%s: %+v", tt.name, b)
			}
		}
		if got := strings.Join(reasons, " "); got != tt.want || tt.fix != "" && !strings.Contains(list[0].Fix, tt.fix) {
			t.Errorf("%s: %s, %+v", tt.name, got, list)
		}
	}
}

func TestCAAAllows(t *testing.T) {
	us := []string{"letsencrypt.org"}
	for _, tt := range []struct {
		records  []string
		wildcard bool
		want     bool
	}{
		{nil, false, true},
		{[]string{`0 iodef "mailto:x@example.com"`}, false, true},
		{[]string{`0 issue "letsencrypt.org"`}, false, true},
		{[]string{`0 ISSUE "LetsEncrypt.org; validationmethods=dns-01"`}, false, true},
		{[]string{`0 issue "digicert.com"`, `0 issue "letsencrypt.org"`}, false, true},
		{[]string{`0 issue "digicert.com"`}, false, false},
		{[]string{`0 issue ";"`}, false, false},
		{[]string{`0 issuewild ";"`}, false, true},
		{[]string{`0 issue "letsencrypt.org"`, `0 issuewild ";"`}, true, false},
		{[]string{`0 issue "letsencrypt.org"`}, true, true},
		{[]string{`0 issue "digicert.com"`, `0 issuewild "letsencrypt.org"`}, true, true},
		{[]string{"broken"}, false, true},
	} {
		if got := caaAllows(tt.records, us, tt.wildcard); got != tt.want {
			t.Errorf("%v, wildcard %v: %v", tt.records, tt.wildcard, got)
		}
	}
}

func TestProviderOf(t *testing.T) {
	for servers, want := range map[string]string{
		"ada.ns.cloudflare.com bob.ns.cloudflare.com":   "cloudflare",
		"ns-512.awsdns-00.net ns-1536.awsdns-00.co.uk":  "route53",
		"NS-CLOUD-A1.GOOGLEDOMAINS.COM.":                "google",
		"ns1-01.azure-dns.com ns2-01.azure-dns.net":     "azure",
		"hydrogen.ns.hetzner.com oxygen.ns.hetzner.com": "hetzner",

		"ns1.example.com":                            "",
		"notcloudflare.com":                          "",
		"ada.ns.cloudflare.com ns-512.awsdns-00.net": "",

		"": "",
	} {
		if id, _ := providerOf(strings.Fields(servers)); id != want {
			t.Errorf("%s: %q, want %q", servers, id, want)
		}
	}
	seen := map[string]bool{}
	for _, p := range dnsProviders {
		if seen[p.id] || p.name == "" {
			t.Errorf("%s is twice, or has no name", p.id)
		}
		seen[p.id] = true
		for _, suffix := range p.suffixes {
			if id, _ := providerOf([]string{"ns1." + suffix}); id != p.id {
				t.Errorf("%s is %s's, not %s's", suffix, id, p.id)
			}
		}
	}
}

func TestJudgeTXT(t *testing.T) {
	own := func(answers ...string) Seen { return Seen{Resolver: "ns", Authoritative: true, Answers: answers} }
	resolver := func(answers ...string) Seen { return Seen{Resolver: "r", Answers: answers} }
	gone := func(s Seen) Seen { s.Error, s.Answers = "NXDOMAIN", nil; return s }
	broken := func(s Seen) Seen { s.Error, s.Answers = "timeout", nil; return s }
	for _, tt := range []struct {
		name string
		seen []Seen
		want string
	}{
		{"everybody", []Seen{own("t"), own("t"), resolver("t")}, ""},
		{"the zone's servers, resolvers not yet", []Seen{own("t"), own("t"), gone(resolver()), gone(resolver())}, ""},
		{"a poisoned resolver or two", []Seen{gone(own()), gone(own()), resolver("t"), resolver("t")}, "RecordNotFound"},
		{"half of the zone's servers", []Seen{own("t"), gone(own()), resolver("t")}, "Spreading"},
		{"the other one is away", []Seen{own("t"), broken(own()), gone(resolver())}, ""},
		{"no server of the zone answers, resolvers do", []Seen{broken(own()), resolver("t"), gone(resolver())}, ""},
		{"no server of the zone answers, few resolvers do", []Seen{broken(own()), resolver("t"), gone(resolver()), gone(resolver())}, "Spreading"},
		{"nobody answers", []Seen{broken(own()), broken(resolver())}, "LookupFailed"},
		{"nobody was asked", nil, "LookupFailed"},
		{"something else", []Seen{own("v=spf1"), gone(resolver())}, "RecordWrong"},
		{"a former owner's token", []Seen{own("old")}, ""},
	} {
		found, reason, message := judgeTXT("_x.example.com", []string{"t", "old"}, tt.seen)
		if reason != tt.want || found != (tt.want == "") || (message == "") != found {
			t.Errorf("%s: %v, %s (%s)", tt.name, found, reason, message)
		}
	}
}
