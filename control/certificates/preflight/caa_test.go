package preflight

import (
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

func TestJudgeCAA(t *testing.T) {
	const account = "https://ca.example/acct/1"
	tests := []struct {
		what     string
		records  []string
		wildcard bool
		want     verdict
	}{
		{"another CA", []string{`0 issue "other.example"`}, false, verdict{restricted: true}},
		{"ours", []string{`0 issue "ca.example"`}, false, verdict{restricted: true, allowed: true}},
		{"ours, written otherwise", []string{`0 ISSUE " CA.example ; policy=ev"`}, false, verdict{restricted: true, allowed: true}},
		{"nobody", []string{`0 issue ";"`}, false, verdict{restricted: true}},
		{"one of several", []string{`0 issue "other.example"`, `0 issue "ca.example"`}, false, verdict{restricted: true, allowed: true}},
		{"only contact", []string{`0 iodef "mailto:a@example.com"`}, false, verdict{}},
		{"issuewild does not hold for names", []string{`0 issuewild "other.example"`}, false, verdict{}},
		{"issue holds for wildcards", []string{`0 issue "ca.example"`}, true, verdict{restricted: true, allowed: true}},
		{"issuewild wins for wildcards", []string{`0 issue "ca.example"`, `0 issuewild "other.example"`}, true, verdict{restricted: true}},
		{"issuewild forbids", []string{`0 issue "ca.example"`, `0 issuewild ";"`}, true, verdict{restricted: true}},
		{"our account", []string{`0 issue "ca.example; accounturi=` + account + `"`}, false, verdict{restricted: true, allowed: true}},
		{"another account", []string{`0 issue "ca.example; accounturi=https://ca.example/acct/2"`}, false, verdict{restricted: true, otherAccount: true}},
		{"another account, or any", []string{`0 issue "ca.example; accounturi=https://ca.example/acct/2"`, `0 issue "ca.example"`}, false, verdict{restricted: true, allowed: true, otherAccount: true}},
		{"by methods", []string{`0 issue "ca.example; validationmethods=dns-01, TLS-ALPN-01"`}, false, verdict{restricted: true, allowed: true, methods: []string{"dns-01", "tls-alpn-01"}}},
		{"by methods, or any", []string{`0 issue "ca.example; validationmethods=dns-01"`, `0 issue "ca.example"`}, false, verdict{restricted: true, allowed: true}},
		{"critical and unknown", []string{`128 tbs "unknown"`, `0 issue "ca.example"`}, false, verdict{unknown: "tbs"}},
		{"unknown", []string{`0 tbs "unknown"`}, false, verdict{}},
	}
	for _, tt := range tests {
		var records []*dns.CAA
		for _, text := range tt.records {
			rr, err := dns.NewRR("x.example. 60 CAA " + text)
			if err != nil {
				t.Fatal(err)
			}
			records = append(records, rr.(*dns.CAA))
		}
		got := judge(records, tt.wildcard, []string{"ca.example"}, account)
		if got.restricted != tt.want.restricted || got.allowed != tt.want.allowed || got.otherAccount != tt.want.otherAccount || got.unknown != tt.want.unknown || !slices.Equal(got.methods, tt.want.methods) {
			t.Errorf("%s: %+v, want %+v", tt.what, got, tt.want)
		}
	}
}

func FuzzParseCAA(f *testing.F) {
	f.Add("ca.example; accounturi=https://x; validationmethods=a,b")
	f.Add(";=;;==")
	f.Fuzz(func(t *testing.T, value string) {
		issuer, parameters := parseCAA(value)
		if strings.Contains(issuer, ";") || issuer != strings.ToLower(strings.TrimSpace(issuer)) {
			t.Errorf("issuer %q of %q", issuer, value)
		}
		for k := range parameters {
			if strings.ContainsAny(k, ";=") {
				t.Errorf("parameter %q of %q", k, value)
			}
		}
	})
}
