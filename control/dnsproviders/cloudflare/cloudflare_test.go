package cloudflare

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	cfdns "github.com/cloudflare/cloudflare-go/v6/dns"
	"github.com/cloudflare/cloudflare-go/v6/option"
	"github.com/cloudflare/cloudflare-go/v6/zones"

	"github.com/edgewright/edgewright/control/dnsproviders"
	"github.com/edgewright/edgewright/control/dnsproviders/cloudflare/cloudflaretest"
	"github.com/edgewright/edgewright/control/dnsproviders/dnsplan"
	"github.com/edgewright/edgewright/control/dnsproviders/dnsproviderstest"
	"github.com/edgewright/edgewright/netguard"
)

var zone = dnsplan.Zone{ID: cloudflaretest.ZoneID, Name: "example.com"}

func options(server *httptest.Server) Options {
	return Options{
		HTTP: dnsproviders.NewHTTPClient(netguard.AllowAll()), BaseURL: server.URL + "/client/v4",
		Pause: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	}
}

func TestDriver(t *testing.T) {
	dnsproviderstest.Run(t, func(t *testing.T) *dnsproviderstest.Fake {
		f, server := newFake(t)
		o := options(server)
		var names []string
		for _, z := range f.Zones {
			if z["type"] == "full" {
				names = append(names, z["name"].(string))
			}
		}
		locked := func(do func()) { f.Mu.Lock(); defer f.Mu.Unlock(); do() }
		count := func(n *int) func() int {
			return func() (v int) { locked(func() { v = *n }); return v }
		}
		return &dnsproviderstest.Fake{
			Driver: New(cloudflaretest.GoodToken, o), Stranger: New(strings.Repeat("x", 40), o), ReadOnly: New(cloudflaretest.ReadToken, o),
			Zone: zone, Zones: names, Types: writable, Proxy: true, Put: f.put, Sets: f.sets,
			Reset:  func() { locked(func() { f.Records, f.FailAfter, f.Throttle, f.Lose = nil, 1<<30, 0, false }) },
			Writes: count(&f.Writes), Requests: count(&f.Requests),
			FailWrites: func(after int) { locked(func() { f.FailAfter = after }) },
			LoseAnswer: func() { locked(func() { f.Lose = true }) },
			Throttle:   func(n int) { locked(func() { f.Throttle = n }) },
		}
	})
}

// TestFakeIsCloudflare: Cloudflare's own client reads from the fake what the
// driver does.
func TestFakeIsCloudflare(t *testing.T) {
	f, server := newFake(t)
	var put []dnsplan.RRset
	for _, name := range []string{"a", "b", "c"} {
		for i := range 50 {
			put = append(put, dnsplan.RRset{Name: name + strings.Repeat("x", i+1) + ".example.com", Type: "A", TTL: 300, Values: []string{"192.0.2.1"}})
		}
	}
	f.put(put...)
	// Its services by themselves: the root of the module is a hundred packages, which take long to compile.
	api := []option.RequestOption{option.WithBaseURL(server.URL + "/client/v4/"), option.WithAPIToken(cloudflaretest.GoodToken)}
	var inZones zones.ZoneListParams
	inZones.PerPage.Value, inZones.PerPage.Present = 50, true
	inZones.Page.Value, inZones.Page.Present = 1, true
	listed := 0
	for it := zones.NewZoneService(api...).ListAutoPaging(t.Context(), inZones); it.Next(); {
		listed++
	}
	if listed != len(f.Zones) {
		t.Errorf("the vendor's client lists %d zones of %d", listed, len(f.Zones))
	}
	var inRecords cfdns.RecordListParams
	inRecords.ZoneID.Value, inRecords.ZoneID.Present = cloudflaretest.ZoneID, true
	inRecords.PerPage.Value, inRecords.PerPage.Present = 100, true
	inRecords.Page.Value, inRecords.Page.Present = 1, true
	it := cfdns.NewRecordService(api...).ListAutoPaging(t.Context(), inRecords)
	found := 0
	for it.Next() {
		if it.Current().Content != "192.0.2.1" || it.Current().TTL != 300 {
			t.Errorf("%+v", it.Current())
		}
		found++
	}
	if it.Err() != nil || found != len(put) {
		t.Errorf("the vendor's client lists %d records of %d, %v", found, len(put), it.Err())
	}
}

// TestKeeps: what users have set on a record, and its identity, survive a change.
func TestKeeps(t *testing.T) {
	f, server := newFake(t)
	d := New(cloudflaretest.GoodToken, options(server))
	before := dnsplan.RRset{Name: "www.example.com", Type: "A", TTL: 300, Values: []string{"192.0.2.1", "192.0.2.2"}}
	f.put(before)
	f.Records[0].Comment, f.Records[1].Comment = "first", "second"
	ids := []string{f.Records[0].ID, f.Records[1].ID}
	after := dnsplan.RRset{Name: "www.example.com", Type: "A", TTL: 600, Values: []string{"192.0.2.2", "192.0.2.3"}}
	if _, err := d.Apply(t.Context(), zone, []dnsplan.Change{{Before: &before, After: &after}}); err != nil {
		t.Fatal(err)
	}
	if len(f.Records) != 2 || f.Records[0].ID != ids[0] || f.Records[1].ID != ids[1] || f.Records[0].Comment != "first" || f.Records[1].Comment != "second" {
		t.Fatalf("%+v", f.Records)
	}
	if f.Records[1].Content != "192.0.2.2" || f.Records[0].Content != "192.0.2.3" || f.Records[0].TTL != 600 || f.Records[1].TTL != 600 {
		t.Fatalf("%+v", f.Records)
	}
}

// TestErrors: each error of the API, and what the user is told.
func TestErrors(t *testing.T) {
	cases := []struct {
		name   string
		status int
		body   string
		want   dnsproviders.Reason
	}{
		{"token of the wrong form", 400, `{"success":false,"errors":[{"code":6003,"message":"Invalid request headers","error_chain":[{"code":6111,"message":"Invalid format for Authorization header"}]}]}`, dnsproviders.BadCredentials},
		{"token revoked", 401, `{"success":false,"errors":[{"code":1000,"message":"Invalid API Token"}]}`, dnsproviders.BadCredentials},
		{"token unknown", 403, `{"success":false,"errors":[{"code":9109,"message":"Invalid access token"}]}`, dnsproviders.BadCredentials},
		{"address not allowed", 403, `{"success":false,"errors":[{"code":9109,"message":"Cannot use the access token from location: 192.0.2.1"}]}`, dnsproviders.NoPermission},
		{"no permission", 403, `{"success":false,"errors":[{"code":10000,"message":"Authentication error"}]}`, dnsproviders.NoPermission},
		{"zone of another account", 403, `{"success":false,"errors":[{"code":9109,"message":"Unauthorized to access requested resource"}]}`, dnsproviders.NoPermission},
		{"zone gone", 404, `{"success":false,"errors":[{"code":7003,"message":"Could not route to /zones/x"}]}`, dnsproviders.NoZone},
		{"zone ID of no zone", 404, `{"success":false,"errors":[{"code":1001,"message":"Invalid zone identifier"}]}`, dnsproviders.NoZone},
		{"CNAME in the way", 400, `{"success":false,"errors":[{"code":81053,"message":"An A, AAAA, or CNAME record with that host already exists."}]}`, dnsproviders.Moved},
		{"record refused", 400, `{"success":false,"errors":[{"code":9005,"message":"Content for A record must be a valid IPv4 address."}]}`, dnsproviders.Rejected},
		{"too many records", 400, `{"success":false,"errors":[{"code":81045,"message":"Record quota exceeded."}]}`, dnsproviders.Rejected},
		{"throttled", 429, `{"success":false,"errors":[{"code":10429,"message":"Rate limited"}]}`, dnsproviders.Throttled},
		{"broken", 500, `{"success":false,"errors":[]}`, dnsproviders.Away},
		{"a page of a proxy", 502, `<html>Bad gateway</html>`, dnsproviders.Away},
		{"not JSON", 200, `<html>`, dnsproviders.Away},
		{"cut short", 200, `{"success":true,"result":[`, dnsproviders.Away},
		{"another shape", 200, `{"success":true,"result":{"a":1}}`, dnsproviders.Away},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.body))
			}))
			defer server.Close()
			_, err := New(cloudflaretest.GoodToken, options(server)).Zones(t.Context())
			if got := dnsproviders.ReasonOf(err); got != c.want {
				t.Fatalf("%s, want %s: %v", got, c.want, err)
			}
			if strings.Contains(err.Error(), cloudflaretest.GoodToken) {
				t.Errorf("the token is in the error: %v", err)
			}
		})
	}
}

// TestRetryAfter: a short wait is waited, as long as it is said; a long one is
// told.
func TestRetryAfter(t *testing.T) {
	header, asked := "7", 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.Header().Set("Retry-After", header)
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	defer server.Close()
	var waits []time.Duration
	o := options(server)
	o.Pause = func(_ context.Context, d time.Duration) error { waits = append(waits, d); return nil }
	d := New(cloudflaretest.GoodToken, o)
	if _, err := d.Zones(t.Context()); err == nil {
		t.Fatal("throttled for ever, and no error")
	}
	if want := []time.Duration{7 * time.Second, 7 * time.Second, 7 * time.Second, 7 * time.Second}; !slices.Equal(waits, want) {
		t.Errorf("waits %v", waits)
	}
	header, asked, waits = "3600", 0, nil
	_, err := d.Zones(t.Context())
	var e *dnsproviders.Error
	if e, _ = err.(*dnsproviders.Error); e == nil || e.RetryAfter != time.Hour || asked != 1 || len(waits) != 0 {
		t.Errorf("asked %d times, waits %v, %v", asked, waits, err)
	}
}

// TestRedirect: the token is not carried on to where a redirect points.
func TestRedirect(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") }))
	defer elsewhere.Close()
	server := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	if _, err := New(cloudflaretest.GoodToken, options(server)).Zones(t.Context()); dnsproviders.ReasonOf(err) != dnsproviders.Away {
		t.Errorf("got %v", err)
	}
}

// TestGuard: addresses that the policy refuses are not reached.
func TestGuard(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a loopback address was reached") }))
	defer server.Close()
	o := options(server)
	o.HTTP = dnsproviders.NewHTTPClient(&netguard.Policy{})
	if _, err := New(cloudflaretest.GoodToken, o).Zones(t.Context()); dnsproviders.ReasonOf(err) != dnsproviders.Away || !strings.Contains(err.Error(), "loopback") {
		t.Errorf("got %v", err)
	}
}

func TestTokens(t *testing.T) {
	bad := map[string]string{
		"short": "abc", "with Bearer": "Bearer " + cloudflaretest.GoodToken, "with a line end": cloudflaretest.GoodToken + "\n", "global key": strings.Repeat("0123456789abcdef", 3)[:37], "long": strings.Repeat("x", 200),
	}
	for name, token := range bad {
		if detail, fix := checkToken(token); detail == "" || fix == "" {
			t.Errorf("%s is let through", name)
		}
	}
	if detail, _ := checkToken(cloudflaretest.GoodToken); detail != "" {
		t.Errorf("a token is refused: %s", detail)
	}
}

func FuzzRecords(f *testing.F) {
	f.Add([]byte(`[{"id":"1","name":"a.example.com","type":"SRV","ttl":1,"data":{"priority":1,"weight":2,"port":3,"target":"b.example"}}]`))
	f.Add([]byte(`[{"name":"a","type":"TXT","content":"\"unclosed"},{"name":"a","type":"TXT","content":"x"}]`))
	f.Add([]byte(`[{"name":"..","type":"HTTPS","data":{"value":"x=\""}}]`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var list []record
		if json.Unmarshal(raw, &list) != nil {
			return
		}
		for k, g := range group(list) {
			if g.set.Key() != k || len(g.set.Values) == 0 {
				t.Fatalf("%+v under %v", g.set, k)
			}
		}
	})
}
