package acme

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/fault"
)

// What Let's Encrypt says and Pebble does not.
func TestExplain(t *testing.T) {
	c, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	c.client = &acme.Client{} // no directory: nothing is reached
	authorization := acme.Authorization{Identifier: acme.Identifier{Type: "dns", Value: "shop.example.com"}}
	tests := []struct {
		problem acme.Problem
		reason  string
		says    string
		away    bool
	}{
		{acme.Problem{Type: acme.ProblemTypeNamespace + "dns", Detail: "SERVFAIL", Resource: authorization}, "DNSFailed", "DNSSEC", false},
		{acme.Problem{Type: acme.ProblemTypeNamespace + "caa", Resource: authorization}, "CAAForbids", "shop.example.com CAA 0 issue", false},
		{acme.Problem{Type: acme.ProblemTypeNamespace + "connection", Resource: authorization}, "ConnectionFailed", "port 80", false},
		{acme.Problem{Type: acme.ProblemTypeNamespace + "tls", Resource: authorization}, "TLSFailed", "port 80", false},
		{acme.Problem{Type: acme.ProblemTypeNamespace + "unauthorized", Resource: authorization}, "WrongAnswer", "proxy", false},
		{acme.Problem{Type: acme.ProblemTypeNamespace + "rateLimited", Status: 429}, certificates.ReasonRateLimited, "when the CA allows", false},
		{acme.Problem{Type: acme.ProblemTypeNamespace + "rateLimited", Status: 503}, certificates.ReasonRateLimited, "when the CA allows", true},
		{acme.Problem{Type: acme.ProblemTypeNamespace + "serverInternal", Status: 500}, "CAFailed", "tried again", true},
		{acme.Problem{Type: acme.ProblemTypeNamespace + "badNonce", Status: 400}, "CAFailed", "tried again", true},
		{acme.Problem{Type: acme.ProblemTypeNamespace + "externalAccountRequired", Status: 403}, "AccountBindingNeeded", "external account binding", false},
		{acme.Problem{Type: acme.ProblemTypeNamespace + "userActionRequired", Instance: "https://ca.example/terms"}, "ActionRequired", "https://ca.example/terms", false},
		{acme.Problem{Type: acme.ProblemTypeNamespace + "badPublicKey"}, "KeyRefused", "p256", false},
		{acme.Problem{Type: acme.ProblemTypeNamespace + "somethingNew", Detail: "odd"}, "Refused", "tried again", false},
		{acme.Problem{Type: "about:blank", Status: 502}, "Refused", "tried again", true},
		{acme.Problem{Type: acme.ProblemTypeNamespace + "malformed", Subproblems: []acme.Subproblem{{
			Problem:    acme.Problem{Type: acme.ProblemTypeNamespace + "caa", Detail: "no"},
			Identifier: acme.Identifier{Value: "shop.example.com"},
		}}}, "CAAForbids", "shop.example.com", false},
	}
	for _, tt := range tests {
		var got *certificates.IssueError
		if err := c.explain(t.Context(), fmt.Errorf("validating: %w", tt.problem), []string{"shop.example.com"}, time.Minute); !errors.As(err, &got) {
			t.Fatalf("%s: %v", tt.problem.Type, err)
		}
		if got.Reason != tt.reason || got.Away != tt.away || got.Message == "" || !strings.Contains(got.Fix, tt.says) && !strings.Contains(got.Message, tt.says) {
			t.Errorf("%s: %+v", tt.problem.Type, got)
		}
		if got.RetryAfter != time.Minute {
			t.Errorf("%s: retry after %v", tt.problem.Type, got.RetryAfter)
		}
	}
	own := fault.New(fault.Internal, "the vault is broken")
	if err := c.explain(t.Context(), fmt.Errorf("x: %w", own), nil, 0); !errors.Is(err, own) {
		t.Errorf("a fault of ours became %v", err)
	}
}

func TestRetryAfterForms(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	tests := []struct {
		value string
		want  time.Duration
	}{
		{"", 0},
		{"soon", 0},
		{"-5", 0},
		{"120", 2 * time.Minute},
		{"Tue, 01 Jan 2030 01:00:00 GMT", time.Hour},
		{"Mon, 31 Dec 2029 23:00:00 GMT", 0},
		{"99999999", maxRetryAfter},
	}
	for _, tt := range tests {
		w := &waits{}
		w.note(tt.value, now)
		if got := w.longest(now); got != tt.want {
			t.Errorf("%q: %v, want %v", tt.value, got, tt.want)
		}
	}
}
