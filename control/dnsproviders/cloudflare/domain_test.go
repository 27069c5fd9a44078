package cloudflare

import (
	"slices"
	"strings"
	"testing"

	"github.com/edgewright/edgewright/control/dnsproviders"
	"github.com/edgewright/edgewright/control/dnsproviders/cloudflare/cloudflaretest"
	"github.com/edgewright/edgewright/control/dnsproviders/dnsplan"
	"github.com/edgewright/edgewright/control/domains"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/store/storetest"
	"github.com/edgewright/edgewright/fault"
)

// TestDomainRecords: the records of a domain are set with stored credentials,
// marked as ours; what others have is left alone and told.
func TestDomainRecords(t *testing.T) {
	f, server := newFake(t)
	db := storetest.SQLite(t)
	service := dnsproviders.New(dnsproviders.Options{
		Store: db, Vault: db, Drivers: []dnsproviders.DriverType{Type(options(server))}, Users: domains.Users{Store: db},
	})
	cause := resource.Cause{Actor: "test"}
	if _, err := service.Create(t.Context(), "p", "e", "main", "cloudflare", dnsproviders.Credentials{"api_token": cloudflaretest.GoodToken}, cause); err != nil {
		t.Fatal(err)
	}
	if list, err := service.Accounts(t.Context(), "p", "e", "route53"); err != nil || len(list) > 0 {
		t.Fatalf("credentials of another provider: %v, %v", list, err)
	}
	foreign := dnsplan.RRset{Name: "shop.example.com", Type: "A", TTL: 300, Values: []string{"192.0.2.99"}}
	f.put(foreign)

	const name = "shop.example.com"
	r := dnsproviders.Records{Service: service, Installation: "ins_test"}
	records := []domains.DNSRecord{
		{Purpose: domains.PurposeOwnership, Type: "TXT", FullName: "_edgewright-challenge." + name, Value: "proof", TTL: 300},
		{Purpose: domains.PurposeRouting, Type: "A", FullName: name, Value: "198.51.100.1", TTL: 300},
		{Purpose: domains.PurposeRouting, Type: "A", FullName: name, Value: "198.51.100.2", TTL: 300},
	}
	held := func(name, typ string) []string {
		for _, s := range f.sets() {
			if s.Name == name && s.Type == typ {
				return s.Values
			}
		}
		return nil
	}
	_, err := r.Provide(t.Context(), "p", "e", "main", "example.com", name, records, cause)
	if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), name) {
		t.Fatalf("a record in the way: %v", err)
	}
	if got := held(name, "A"); !slices.Equal(got, foreign.Values) {
		t.Errorf("somebody's record was changed to %v", got)
	}
	if got := held("_edgewright-challenge."+name, "TXT"); len(got) != 1 || got[0] != `"proof"` {
		t.Errorf("the proof is %v", got)
	}

	f.Mu.Lock()
	f.Records = slices.DeleteFunc(f.Records, func(r cloudflaretest.Record) bool { return r.Type == "A" })
	f.Mu.Unlock()
	for range 2 { // the second time there is nothing to do
		if _, err := r.Provide(t.Context(), "p", "e", "main", "example.com", name, records, cause); err != nil {
			t.Fatal(err)
		}
	}
	if got := held(name, "A"); !slices.Equal(got, []string{"198.51.100.1", "198.51.100.2"}) {
		t.Errorf("the addresses are %v", got)
	}
	marked := slices.ContainsFunc(f.sets(), func(s dnsplan.RRset) bool {
		return s.Type == "TXT" && strings.Contains(strings.Join(s.Values, ""), "ins_test/"+name)
	})
	if !marked {
		t.Errorf("no marker: %v", f.sets())
	}
	if _, err := r.Provide(t.Context(), "p", "e", "main", "example.com", "*."+name, records[:0:0], cause); err != nil {
		t.Errorf("a wildcard without records: %v", err)
	}
}

// TestCredentialsInUse: those that a domain's records are set with stay.
func TestCredentialsInUse(t *testing.T) {
	_, server := newFake(t)
	db := storetest.SQLite(t)
	service := dnsproviders.New(dnsproviders.Options{
		Store: db, Vault: db, Drivers: []dnsproviders.DriverType{Type(options(server))}, Users: domains.Users{Store: db},
	})
	cause := resource.Cause{Actor: "test"}
	create := func(name string) {
		t.Helper()
		if _, err := service.Create(t.Context(), "p", "e", name, "cloudflare", dnsproviders.Credentials{"api_token": cloudflaretest.GoodToken}, cause); err != nil {
			t.Fatal(err)
		}
	}
	add := func(name, spec, status string) string {
		t.Helper()
		plan := resource.NewPlan("p", "e")
		plan.Create(domains.Type(), "p", "e", name, []byte(spec))
		if _, err := db.Commit(t.Context(), plan.Commit(cause)); err != nil {
			t.Fatal(err)
		}
		if _, err := db.PutStatus(t.Context(), domains.Kind, plan.Actions[0].ID, []byte(status), 0); err != nil {
			t.Fatal(err)
		}
		return name
	}
	create("named")
	create("other")
	add("a.example.com", `{"domain":"a.example.com","cdn":"c","dns":"provider","dns_account":"named"}`, `{}`)
	if err := service.Delete(t.Context(), "p", "e", "named", 0, cause); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "a.example.com") {
		t.Errorf("credentials that a domain names: %v", err)
	}
	if err := service.Delete(t.Context(), "p", "e", "other", 0, cause); err != nil {
		t.Errorf("credentials that nobody uses: %v", err)
	}
	add("b.example.com", `{"domain":"b.example.com","cdn":"c","dns":"provider"}`, `{"setup":{"provider":"cloudflare"}}`)
	create("second")
	if err := service.Delete(t.Context(), "p", "e", "second", 0, cause); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "b.example.com") {
		t.Errorf("credentials that a domain may have found by itself: %v", err)
	}
}

// TestWithdrawRecords: what we have set goes again, also from an API that throttles
// or loses an answer; what others have stays.
func TestWithdrawRecords(t *testing.T) {
	f, server := newFake(t)
	db := storetest.SQLite(t)
	service := dnsproviders.New(dnsproviders.Options{Store: db, Vault: db, Drivers: []dnsproviders.DriverType{Type(options(server))}})
	cause := resource.Cause{Actor: "test"}
	if _, err := service.Create(t.Context(), "p", "e", "main", "cloudflare", dnsproviders.Credentials{"api_token": cloudflaretest.GoodToken}, cause); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"example.com", "www.example.com", "mail.example.com", "a.example.com", "b.example.com", "c.example.com"} {
		f.put(dnsplan.RRset{Name: name, Type: "A", TTL: 300, Values: []string{"192.0.2.99"}})
	}
	before := f.sets()
	r := dnsproviders.Records{Service: service, Installation: "ins_test"}
	const name = "shop.example.com"
	provide := func() {
		t.Helper()
		if _, err := r.Provide(t.Context(), "p", "e", "main", "example.com", name, []domains.DNSRecord{
			{Purpose: domains.PurposeOwnership, Type: "TXT", FullName: "_edgewright-challenge." + name, Value: "proof", TTL: 300},
			{Purpose: domains.PurposeRouting, Type: "A", FullName: name, Value: "198.51.100.1", TTL: 300},
		}, cause); err != nil {
			t.Fatal(err)
		}
	}
	gone := func(how string) {
		t.Helper()
		if after := f.sets(); len(after) != len(before) || slices.ContainsFunc(after, func(s dnsplan.RRset) bool { return strings.Contains(s.Name, "edgewright") || s.Name == name }) {
			t.Errorf("%s: %v is left", how, after)
		}
	}
	provide()
	f.Mu.Lock()
	f.Throttle = 2
	f.Mu.Unlock()
	if _, err := r.Withdraw(t.Context(), "p", "e", "main", name, nil, false); err != nil {
		t.Fatal(err)
	}
	gone("throttled")

	provide()
	f.Mu.Lock()
	f.FailAfter = 0
	f.Mu.Unlock()
	if _, err := r.Withdraw(t.Context(), "p", "e", "main", name, nil, false); !fault.Is(err, fault.Unavailable) {
		t.Fatalf("the API is away: %v", err)
	}
	f.Mu.Lock()
	f.Lose = true
	f.Mu.Unlock()
	if _, err := r.Withdraw(t.Context(), "p", "e", "main", name, nil, false); !fault.Is(err, fault.Unavailable) {
		t.Fatalf("the answer is lost: %v", err)
	}
	if _, err := r.Withdraw(t.Context(), "p", "e", "main", name, nil, false); err != nil {
		t.Fatal(err)
	}
	gone("after a lost answer")
}
