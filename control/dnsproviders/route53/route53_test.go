package route53

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"

	"github.com/edgewright/edgewright/control/dnsproviders"
	"github.com/edgewright/edgewright/control/dnsproviders/dnsplan"
	"github.com/edgewright/edgewright/control/dnsproviders/dnsproviderstest"
	"github.com/edgewright/edgewright/control/dnsproviders/route53/route53test"
	"github.com/edgewright/edgewright/netguard"
)

var zone = dnsplan.Zone{ID: route53test.ZoneID, Name: "example.com"}

func options(server *httptest.Server) Options {
	return Options{
		HTTP: dnsproviders.NewHTTPClient(netguard.AllowAll()), BaseURL: server.URL,
		Delay: func(int, error) time.Duration { return 0 },
	}
}

// fake is the API with what the suite asks of it.
type fake struct{ *route53test.Fake }

func newFake(t *testing.T) (fake, *httptest.Server) {
	f, server := route53test.New(t, zone.Name)
	f.Retries = attempts // also when the SDK tries again
	return fake{f}, server
}

func (f fake) put(sets ...dnsplan.RRset) {
	for _, s := range sets {
		f.Put(*sdkSet(s))
	}
}

func TestDriver(t *testing.T) {
	dnsproviderstest.Run(t, func(t *testing.T) *dnsproviderstest.Fake {
		f, server := newFake(t)
		o := options(server)
		var names []string
		for _, z := range f.Zones {
			if !z.Config.PrivateZone {
				names = append(names, strings.TrimSuffix(*z.Name, "."))
			}
		}
		locked := func(do func()) { f.Mu.Lock(); defer f.Mu.Unlock(); do() }
		count := func(n *int) func() int {
			return func() (v int) { locked(func() { v = *n }); return v }
		}
		return &dnsproviderstest.Fake{
			Driver: New(route53test.GoodKey, route53test.Secret, o), Stranger: New("AKIAUNKNOWN000000000", route53test.Secret, o), ReadOnly: New(route53test.ReadKey, route53test.Secret, o),
			Zone: zone, Zones: names, Types: []string{"A", "AAAA", "CNAME", "TXT", "MX", "NS", "PTR", "CAA", "SRV", "TLSA", "SSHFP", "SVCB", "HTTPS"},
			Put:  f.put,
			Sets: func() (sets []dnsplan.RRset) { locked(func() { sets = setsOf(f.Sets) }); return sets },
			Reset: func() {
				locked(func() { f.Sets, f.FailAfter, f.Failing, f.Throttle, f.Lose = nil, 1<<30, 0, 0, false })
			},
			Writes: count(&f.Writes), Requests: count(&f.Requests),
			FailWrites: func(after int) { locked(func() { f.FailAfter, f.Failing = after, 0 }) },
			LoseAnswer: func() { locked(func() { f.Lose = true }) },
			Throttle:   func(n int) { locked(func() { f.Throttle = n }) },
			Pending:    func(times int) { locked(func() { f.Pending = times }) },
		}
	})
}

// TestLeavesAlone: aliases and routed sets are seen, and never changed.
func TestLeavesAlone(t *testing.T) {
	f, server := newFake(t)
	d := New(route53test.GoodKey, route53test.Secret, options(server))
	f.Sets = []types.ResourceRecordSet{
		{Name: aws.String("alias.example.com."), Type: types.RRTypeA, AliasTarget: &types.AliasTarget{DNSName: aws.String("d1.cloudfront.net."), HostedZoneId: aws.String("Z2")}},
		{Name: aws.String("w.example.com."), Type: types.RRTypeA, TTL: aws.Int64(60), SetIdentifier: aws.String("1"), Weight: aws.Int64(0), ResourceRecords: []types.ResourceRecord{{Value: aws.String("192.0.2.1")}}},
		{Name: aws.String("w.example.com."), Type: types.RRTypeA, TTL: aws.Int64(60), SetIdentifier: aws.String("2"), Weight: aws.Int64(1), ResourceRecords: []types.ResourceRecord{{Value: aws.String("192.0.2.2")}}},
	}
	desired := []dnsplan.RRset{
		{Name: "alias.example.com", Type: "A", TTL: 60, Values: []string{"192.0.2.9"}},
		{Name: "w.example.com", Type: "A", TTL: 60, Values: []string{"192.0.2.9"}},
	}
	p, err := dnsproviders.Observe(t.Context(), d, zone, dnsplan.Request{Owner: "ins/dom", Desired: desired, Take: []dnsplan.Key{desired[0].Key(), desired[1].Key()}})
	if err != nil || !p.Empty() || len(p.Blocks) != 2 || p.Blocks[0].Reason != dnsplan.SpecialSet || p.Blocks[1].Reason != dnsplan.SpecialSet {
		t.Fatalf("%+v, %v", p, err)
	}
	if !strings.Contains(p.Blocks[0].Message, "d1.cloudfront.net") {
		t.Errorf("the user is not told of the alias: %s", p.Blocks[0].Message)
	}
	before := setOf(f.Sets[0])
	if _, err := d.Apply(t.Context(), zone, []dnsplan.Change{{Before: &before, After: &desired[0]}}); dnsproviders.ReasonOf(err) != dnsproviders.Moved || f.Writes != 0 {
		t.Errorf("an alias was written over: %v", err)
	}
}

// TestErrors: each error of the API, and what the user is told.
func TestErrors(t *testing.T) {
	cases := []struct {
		name    string
		status  int
		code    string
		message string
		want    dnsproviders.Reason
	}{
		{"key unknown", 403, "InvalidClientTokenId", "The security token included in the request is invalid", dnsproviders.BadCredentials},
		{"secret wrong", 403, "SignatureDoesNotMatch", "The request signature we calculated does not match", dnsproviders.BadCredentials},
		{"clock wrong", 403, "SignatureDoesNotMatch", "Signature expired: 20261128T000000Z is now earlier than", dnsproviders.Away},
		{"not allowed", 403, "AccessDenied", "User is not authorized to perform: route53:ListHostedZones", dnsproviders.NoPermission},
		{"zone gone", 404, "NoSuchHostedZone", "No hosted zone found with ID: Z1", dnsproviders.NoZone},
		{"zone ID of no zone", 400, "InvalidInput", "Invalid id", dnsproviders.Rejected},
		{"throttled", 400, "Throttling", "Rate exceeded", dnsproviders.Throttled},
		{"a change before it", 400, "PriorRequestNotComplete", "still processing", dnsproviders.Throttled},
		{"broken", 500, "InternalFailure", "", dnsproviders.Away},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := &route53test.Fake{T: t}
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { f.Fail(w, c.status, c.code, c.message) }))
			defer server.Close()
			_, err := New(route53test.GoodKey, route53test.Secret, options(server)).Zones(t.Context())
			if got := dnsproviders.ReasonOf(err); got != c.want {
				t.Fatalf("%s, want %s: %v", got, c.want, err)
			}
			if strings.Contains(err.Error(), route53test.Secret) {
				t.Errorf("the secret is in the error: %v", err)
			}
		})
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }))
	defer server.Close()
	if _, err := New(route53test.GoodKey, route53test.Secret, options(server)).Zones(t.Context()); dnsproviders.ReasonOf(err) != dnsproviders.Away {
		t.Errorf("a page that is no answer: %v", err)
	}
}

// TestBadRecord: what Route 53 refuses is told in its words, and as no plan gone
// stale.
func TestBadRecord(t *testing.T) {
	f, server := newFake(t)
	f.put(dnsplan.RRset{Name: "www.example.com", Type: "A", TTL: 60, Values: []string{"192.0.2.1"}})
	s := dnsplan.RRset{Name: "www.example.com", Type: "CNAME", TTL: 60, Values: []string{"a.example.net."}}
	_, err := New(route53test.GoodKey, route53test.Secret, options(server)).Apply(t.Context(), zone, []dnsplan.Change{{After: &s}})
	if dnsproviders.ReasonOf(err) != dnsproviders.Rejected || !strings.Contains(err.Error(), "conflicts with other records") {
		t.Errorf("got %v", err)
	}
}

func TestKeys(t *testing.T) {
	for _, id := range []string{"", "akia0123456789012345", "ASIA0123456789012345", "AKIA123", route53test.GoodKey + " "} {
		if detail, fix := checkKeyID(id); detail == "" || fix == "" {
			t.Errorf("%q is let through", id)
		}
	}
	for _, s := range []string{"", "short", route53test.Secret + "\n", "<" + route53test.Secret[1:]} {
		if detail, fix := checkSecret(s); detail == "" || fix == "" {
			t.Errorf("%q is let through", s)
		}
	}
	if detail, _ := checkKeyID(route53test.GoodKey); detail != "" {
		t.Errorf("a key is refused: %s", detail)
	}
	if detail, _ := checkSecret(route53test.Secret); detail != "" {
		t.Errorf("a route53test.Secret is refused: %s", detail)
	}
}
