package watch_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgewright/edgewright/control/cdn"
	"github.com/edgewright/edgewright/control/domains"
	"github.com/edgewright/edgewright/control/domains/lookup"
	"github.com/edgewright/edgewright/control/domains/lookup/lookuptest"
	"github.com/edgewright/edgewright/control/domains/registry"
	"github.com/edgewright/edgewright/control/domains/watch"
	"github.com/edgewright/edgewright/control/reconcile"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/store"
	"github.com/edgewright/edgewright/control/store/storetest"
	"github.com/edgewright/edgewright/fault"
	"github.com/edgewright/edgewright/netguard"
)

const env = "production"

var cause = resource.Cause{Actor: "user usr_test", Via: "test"}

// world is a watcher over real rooms and a real store, in a DNS on loopback.
type world struct {
	t   *testing.T
	db  *store.DB
	svc *domains.Service
	w   *watch.Watcher
	dns *lookuptest.World
	z   *lookuptest.Zone
	now time.Time

	state registry.State
	err   error
	asked []string
	page  string
	sets  []domains.WantedRRset
}

func newWorld(t *testing.T, change ...func(*watch.Options)) *world {
	t.Helper()
	db := storetest.SQLite(t)
	w := &world{t: t, db: db, now: time.Now().UTC().Truncate(time.Second), dns: lookuptest.New(t)}
	resolvers := []string{w.dns.Resolver("127.0.0.1"), w.dns.Resolver("127.0.0.9")}
	w.dns.Serve("com", []string{"127.0.0.2"}, "a.gtld.com")
	w.z = w.dns.Serve("example.com", []string{"127.0.0.3", "127.0.0.4"})
	w.dns.Set("shop.example.com", "A", "198.51.100.7")
	network, err := lookup.New(lookup.Options{Resolvers: resolvers, Policy: netguard.AllowAll(), Port: w.dns.Port})
	if err != nil {
		t.Fatal(err)
	}
	set, err := domains.NewResolvers(resolvers)
	if err != nil {
		t.Fatal(err)
	}
	clock := func() time.Time { return w.now }
	w.svc, err = domains.New(domains.Options{
		Store: db, Vault: db, Resolvers: set, CDNs: cdn.New(db, netguard.AllowAll(), domains.Users{Store: db}), Targets: w, Platform: "apps.example.org",
		Authorities: network, Now: clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	o := watch.Options{
		Domains: w.svc, Resolvers: set, Network: network, Registry: w, Pages: w, RRsets: w, Now: clock, Random: func() float64 { return 0.5 },
	}
	for _, c := range change {
		c(&o)
	}
	w.w = watch.New(o)
	w.state = registry.State{
		Name: "example.com", Source: "rdap", Registrar: "Example Registrar", ExpiresAt: w.in(400 * 24 * time.Hour), EPP: []string{"clientTransferProhibited"},
		NameServers: []string{"ns1.example.com", "ns2.example.com"},
	}
	return w
}

func (w *world) in(d time.Duration) *time.Time { t := w.now.Add(d); return &t }

func (w *world) Targets(context.Context) (string, []string, error) {
	return "", []string{"198.51.100.7"}, nil
}

func (w *world) Lookup(_ context.Context, name string) (registry.State, error) {
	w.asked = append(w.asked, name)
	return w.state, w.err
}

func (w *world) Page(context.Context, string) ([]byte, error) { return []byte(w.page), nil }

func (w *world) RRsets(_ context.Context, _, _, _ string, since time.Time, limit int) ([]domains.WantedRRset, error) {
	var list []domains.WantedRRset
	for _, s := range w.sets {
		if s.ChangedAt.After(since) && len(list) < limit {
			list = append(list, s)
		}
	}
	return list, nil
}

func (w *world) verified(name string) domains.Domain {
	w.t.Helper()
	d, err := w.svc.Add(w.t.Context(), domains.AddRequest{Project: "alpha", Environment: env, Domain: name}, cause)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, r := range d.Status.Records {
		if r.Purpose == domains.PurposeOwnership {
			w.dns.Set(r.FullName, "TXT", `"`+r.Value+`"`)
		}
	}
	v, err := w.svc.Verify(w.t.Context(), "alpha", env, name, "dns")
	if err != nil || !v.Verified && len(d.Status.Records) > 0 {
		w.t.Fatalf("%s is not verified: %+v, %v", name, v.Domain.Status.Conditions, err)
	}
	return v.Domain
}

// look reconciles and returns the domain and when it is looked at again.
func (w *world) look(d domains.Domain) (domains.Domain, time.Duration) {
	w.t.Helper()
	next, err := w.w.Reconcile(w.t.Context(), reconcile.Ref{Kind: domains.Kind, ID: d.ID})
	if err != nil {
		w.t.Fatal(err)
	}
	if d, err = w.svc.ByID(w.t.Context(), d.ID); err != nil {
		w.t.Fatal(err)
	}
	return d, next
}

// run reconciles whenever it is due for so long.
func (w *world) run(d domains.Domain, long time.Duration) domains.Domain {
	w.t.Helper()
	end := w.now.Add(long)
	for {
		var next time.Duration
		if d, next = w.look(d); w.now.Add(next).After(end) {
			w.now = end
			return d
		}
		w.now = w.now.Add(next)
	}
}

// stride reconciles every so often, due or not, for so long: for what takes weeks.
func (w *world) stride(d domains.Domain, long, step time.Duration) domains.Domain {
	w.t.Helper()
	for end := w.now.Add(long); w.now.Before(end); {
		w.now = w.now.Add(min(step, end.Sub(w.now)))
		d, _ = w.look(d)
	}
	return d
}

func reason(d domains.Domain, typ string) string {
	c, ok := resource.ConditionOf(d.Status.Conditions, typ)
	if !ok {
		return "none"
	}
	return string(c.Status) + " " + c.Reason
}

// events lists "severity type data" of a type's events.
func events(d domains.Domain, typ, key string) []string {
	list := []string{}
	for _, e := range d.Status.Events {
		if e.Type == typ {
			list = append(list, strings.TrimSpace(e.Severity+" "+e.Data[key]))
		}
	}
	return list
}

func TestExpiryIsToldAt30And7And1Days(t *testing.T) {
	w := newWorld(t, func(o *watch.Options) { o.Network, o.Pages, o.RRsets = nil, nil, nil })
	w.state.ExpiresAt = w.in(40 * 24 * time.Hour)
	d := w.stride(w.verified("example.com"), 9*24*time.Hour, 12*time.Hour)
	if got := events(d, domains.EventExpiring, "days"); len(got) != 0 || reason(d, domains.Expiry) != "true Registered" {
		t.Errorf("with 31 days left: %v, %s", got, reason(d, domains.Expiry))
	}
	d = w.stride(d, 30*24*time.Hour+12*time.Hour, 12*time.Hour)
	want := []string{"warning 30", "critical 7", "critical 1"}
	if got := events(d, domains.EventExpiring, "days"); !slices.Equal(got, want) || reason(d, domains.Expiry) != "false Within1Days" {
		t.Errorf("with half a day left: %v, %s", got, reason(d, domains.Expiry))
	}
	for i, e := range d.Status.Events {
		if e.Type == domains.EventExpiring {
			left := w.state.ExpiresAt.Sub(e.At)
			if days := []time.Duration{30, 7, 1}; left > days[len(events(domains.Domain{Status: domains.Status{Events: d.Status.Events[:i]}}, domains.EventExpiring, "days"))]*24*time.Hour {
				t.Errorf("%v days told with %v left", e.Data["days"], left)
			}
		}
	}
	d = w.stride(d, 24*time.Hour, 12*time.Hour)
	if got := events(d, domains.EventExpired, "days"); len(got) != 1 || reason(d, domains.Expiry) != "false Expired" {
		t.Errorf("afterwards: %v, %s", got, reason(d, domains.Expiry))
	}
	// Renewed: all is well, and the next time is told again.
	w.state.ExpiresAt = w.in(20 * 24 * time.Hour)
	d = w.stride(d, 2*24*time.Hour, 12*time.Hour)
	if got := events(d, domains.EventExpiring, "days"); !slices.Equal(got, append(want, "warning 30")) {
		t.Errorf("renewed for too short: %v", got)
	}
	if asked := len(w.asked); asked > 50 {
		t.Errorf("in 43 days the registry was asked %d times", asked)
	}
}

// After a long silence only the latest step is told; and where the environment
// has the registered name itself, names below it keep quiet.
func TestExpiryIsToldOnce(t *testing.T) {
	w := newWorld(t)
	w.state.ExpiresAt = w.in(12 * time.Hour)
	apex, www := w.verified("example.com"), w.verified("www.example.com")
	apex, _ = w.look(apex)
	www, _ = w.look(www)
	if got := events(apex, domains.EventExpiring, "days"); !slices.Equal(got, []string{"critical 1"}) {
		t.Errorf("the registered name: %v", got)
	}
	if got := events(www, domains.EventExpiring, "days"); len(got) != 0 || reason(www, domains.Expiry) != "false Within1Days" {
		t.Errorf("a name below it: %v, %s", got, reason(www, domains.Expiry))
	}
}

func TestRegistry(t *testing.T) {
	w := newWorld(t)
	d, next := w.look(w.verified("shop.example.com"))
	if !slices.Equal(w.asked, []string{"example.com"}) || d.Status.Registry.Registrar != "Example Registrar" || reason(d, domains.Transfer) != "true Protected" || next > 24*time.Hour {
		t.Fatalf("asked %v: %+v", w.asked, d.Status.Registry)
	}
	d = w.stride(d, 20*time.Hour, 2*time.Hour)
	if len(w.asked) != 1 {
		t.Errorf("asked %d times within a day", len(w.asked))
	}
	// Protection goes, name servers change.
	w.state.EPP, w.state.NameServers = []string{"ok"}, []string{"ns1.elsewhere.example"}
	d = w.run(d, 6*time.Hour)
	if reason(d, domains.Transfer) != "false Unprotected" || len(events(d, domains.EventUnprotected, "")) != 1 {
		t.Errorf("unprotected: %s", reason(d, domains.Transfer))
	}
	if got := events(d, domains.EventRegistryChanged, "what"); !slices.Equal(got, []string{"warning name_servers", "warning epp"}) {
		t.Errorf("changes: %v", got)
	}
	// A registry that is away takes nothing away.
	w.err = &fault.Error{Code: fault.Unavailable, Message: "the registry could not be asked", RetryAfter: 9 * time.Hour}
	asked := len(w.asked)
	d = w.stride(d, 25*time.Hour, 2*time.Hour)
	if d.Status.Registry.Registrar == "" || d.Status.Registry.Error == "" || reason(d, domains.Transfer) != "false Unprotected" {
		t.Errorf("away: %+v", d.Status.Registry)
	}
	if n := len(w.asked) - asked; n < 1 || n > 3 {
		t.Errorf("though it asked for 9 hours of peace, it was asked %d times in a day", n)
	}
	w.err = fault.New(fault.NotFound, "nobody has registered it")
	d = w.stride(d, 25*time.Hour, 2*time.Hour)
	if !d.Status.Registry.Unregistered || reason(d, domains.Transfer) != "false NotRegistered" {
		t.Errorf("nobody's: %+v", d.Status.Registry)
	}
}

func TestSomeNamesAreNeverAsked(t *testing.T) {
	w := newWorld(t)
	for name, says := range map[string]string{"shop.localhost": "localhost", "shop.apps.example.org": "platform"} {
		d, _ := w.look(w.verified(name))
		if st := d.Status.Registry; st == nil || !strings.Contains(st.Skipped, says) || st.NextAt != nil {
			t.Errorf("%s: %+v", name, st)
		}
	}
	if len(w.asked) != 0 {
		t.Errorf("asked %v", w.asked)
	}
	off := newWorld(t, func(o *watch.Options) { o.Registry = nil })
	d, _ := off.look(off.verified("example.com"))
	if st := d.Status.Registry; st == nil || !strings.Contains(st.Skipped, "switched") || reason(d, domains.Transfer) != "none" {
		t.Errorf("switched off: %+v", st)
	}
	// Switched on again, it is asked.
	on := watch.New(watch.Options{Domains: off.svc, Resolvers: off.svc.Resolvers, Registry: off, Now: func() time.Time { return off.now }})
	if _, err := on.Reconcile(t.Context(), reconcile.Ref{Kind: domains.Kind, ID: d.ID}); err != nil || len(off.asked) != 1 {
		t.Errorf("asked %v, %v", off.asked, err)
	}
}

func TestDelegationAndResolution(t *testing.T) {
	w := newWorld(t)
	d, _ := w.look(w.verified("shop.example.com"))
	if reason(d, domains.Delegation) != "true Delegated" || reason(d, domains.Dangling) != "false None" || len(d.Status.Watch.Resolution) != 2 || !d.Status.Watch.Resolution[0].Agreed {
		t.Fatalf("%s: %+v", reason(d, domains.Delegation), d.Status.Watch)
	}
	before := d.Seq
	if d, _ = w.look(d); d.Seq != before {
		t.Error("looked again at once")
	}
	both := []string{"ns1.example.com", "ns2.example.com"}
	w.dns.Delegate("example.com", both, []string{"12345 13 2 " + strings.Repeat("AB", 32)})
	w.dns.Set("example.com", "DNSKEY", "257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==")
	d = w.run(d, 90*time.Minute)
	if reason(d, domains.Delegation) != "false DSMismatch" || len(events(d, domains.EventDelegationBroken, "reason")) != 1 {
		t.Errorf("a DS of nobody's key: %s", reason(d, domains.Delegation))
	}
	w.dns.Delegate("example.com", both, nil)
	d = w.run(d, 90*time.Minute)
	if reason(d, domains.Delegation) != "true Delegated" || len(events(d, domains.EventDelegationOK, "")) != 1 {
		t.Errorf("mended: %s", reason(d, domains.Delegation))
	}
	w.dns.Lame(w.z, "127.0.0.4")
	if d = w.run(d, 90*time.Minute); reason(d, domains.Delegation) != "false SomeLame" {
		t.Errorf("a lame server: %s", reason(d, domains.Delegation))
	}
	w.dns.Set("shop.example.com", "A")
	d = w.run(d, 90*time.Minute)
	if got := events(d, domains.EventResolution, "status"); !slices.Equal(got, []string{"critical gone"}) {
		t.Errorf("the address is gone: %v", got)
	}
	w.dns.Set("shop.example.com", "A", "198.51.100.7")
	d = w.run(d, 90*time.Minute)
	if got := events(d, domains.EventResolution, "status"); !slices.Equal(got, []string{"critical gone", "info resolves"}) {
		t.Errorf("the address is back: %v", got)
	}
}

func TestDangling(t *testing.T) {
	w := newWorld(t)
	d := w.verified("example.com")
	w.sets = []domains.WantedRRset{
		{Name: "old.example.com", Type: "CNAME", Values: []string{"gone-app.azurewebsites.net."}, ChangedAt: w.now.Add(-time.Hour)},
		{Name: "example.com", Type: "MX", Values: []string{"10 mail.gone.example.com."}, ChangedAt: w.now.Add(-time.Hour)},
		{Name: "www.example.com", Type: "CNAME", Values: []string{"shop.example.com."}, ChangedAt: w.now.Add(-time.Hour)},
	}
	w.dns.Serve("net", []string{"127.0.0.6"}, "a.gtld.net")
	d, _ = w.look(d)
	var found []string
	for _, r := range d.Status.Watch.Dangling {
		found = append(found, fmt.Sprintf("%s %s %s %s", r.Name, r.Type, r.Reason, r.Provider))
	}
	if !slices.Equal(found, []string{"old.example.com CNAME NXDOMAIN Azure App Service", "example.com MX NXDOMAIN "}) || reason(d, domains.Dangling) != "true NXDOMAIN" {
		t.Errorf("found %v, %s", found, reason(d, domains.Dangling))
	}
	if got := events(d, domains.EventDangling, "name"); len(got) != 2 {
		t.Errorf("events %v", got)
	}
	// Told once, and when it is mended.
	d = w.run(d, 3*time.Hour)
	w.sets = w.sets[2:]
	d = w.run(d, 90*time.Minute)
	if got, gone := events(d, domains.EventDangling, "name"), events(d, domains.EventDanglingGone, ""); len(got) != 2 || len(gone) != 2 || reason(d, domains.Dangling) != "false None" {
		t.Errorf("events %v, %v, %s", got, gone, reason(d, domains.Dangling))
	}
	// A target that is there, but that nobody has claimed.
	w.dns.Serve("github.io", []string{"127.0.0.7"})
	w.dns.Set("me.github.io", "A", "198.51.100.9")
	w.page = "<p>There isn't a GitHub Pages site here.</p>"
	w.dns.Set("docs.example.com", "CNAME", "me.github.io.")
	docs, _ := w.look(w.verified("docs.example.com"))
	if len(docs.Status.Watch.Dangling) != 1 || docs.Status.Watch.Dangling[0].Reason != "Unclaimed" || docs.Status.Watch.Dangling[0].Provider != "GitHub Pages" {
		t.Errorf("unclaimed: %+v", docs.Status.Watch.Dangling)
	}
	// A name server that nobody has registered.
	w.dns.Set("example.com", "NS", "ns1.example.com.", "ns.lapsed.net.")
	d = w.run(d, 90*time.Minute)
	if list := d.Status.Watch.Dangling; len(list) != 1 || list[0].Type != "NS" || list[0].Target != "ns.lapsed.net" {
		t.Errorf("a name server that is gone: %+v", list)
	}
}

func TestPropagation(t *testing.T) {
	w := newWorld(t)
	d := w.verified("example.com")
	w.dns.Set("example.com", "A", "198.51.100.7")
	w.dns.Set("www.example.com", "A", "192.0.2.1")
	set := func(value string) {
		w.sets = []domains.WantedRRset{{Name: "www.example.com", Type: "A", Values: []string{value}, ChangedAt: w.now}}
	}
	of := func(d domains.Domain) domains.Propagation {
		t.Helper()
		i := slices.IndexFunc(d.Status.Propagation, func(p domains.Propagation) bool { return p.Name == "www.example.com" })
		if i < 0 {
			t.Fatalf("%+v", d.Status.Propagation)
		}
		return d.Status.Propagation[i]
	}
	set("192.0.2.2")
	d, next := w.look(d)
	if p := of(d); p.With != 0 || p.Answering != 4 || p.CompleteAt != nil || next > 10*time.Second {
		t.Errorf("not there yet: %+v, next in %v", p, next)
	}
	// The zone's servers have it, one resolver still has the old one.
	w.dns.Set("www.example.com", "A", "192.0.2.2")
	w.dns.Stale("127.0.0.9", "www.example.com", "A", "192.0.2.1")
	w.now = w.now.Add(next)
	d, next = w.look(d)
	if p := of(d); p.With != 3 || p.CompleteAt != nil {
		t.Errorf("at all but one: %+v", p)
	}
	w.dns.Stale("127.0.0.9", "www.example.com", "A", "192.0.2.2")
	w.now = w.now.Add(next)
	complete := w.now
	d, _ = w.look(d)
	if p := of(d); p.With != 4 || p.CompleteAt == nil || !p.CompleteAt.Equal(complete) {
		t.Errorf("at all: %+v", p)
	}
	if got := events(d, domains.EventPropagated, "name"); !slices.Contains(got, "info www.example.com") {
		t.Errorf("events %v", got)
	}
	asked := w.dns.Queries("127.0.0.3", "www.example.com", "A")
	if d = w.run(d, 30*time.Minute); w.dns.Queries("127.0.0.3", "www.example.com", "A") != asked {
		t.Error("what is complete is asked for again")
	}
	// The next change starts anew; a user who asks is told at once.
	set("192.0.2.3")
	list, err := w.w.Propagation(t.Context(), d, "WWW.example.com.", "a")
	if err != nil || len(list) != 1 || list[0].With != 0 || list[0].Answering != 4 || list[0].CompleteAt != nil {
		t.Errorf("asked for: %+v, %v", list, err)
	}
	if list, err = w.w.Propagation(t.Context(), d, "", ""); err != nil || len(list) != 3 {
		t.Errorf("all: %d sets, %v", len(list), err)
	}
	// It is not waited for for ever.
	d = w.stride(d, 16*24*time.Hour, 8*time.Hour)
	asked = w.dns.Queries("127.0.0.3", "www.example.com", "A")
	if w.stride(d, 24*time.Hour, 8*time.Hour); w.dns.Queries("127.0.0.3", "www.example.com", "A") != asked {
		t.Error("it is still asked for after two weeks")
	}
}

// A status survives the way through the store.
func TestStatusIsData(t *testing.T) {
	w := newWorld(t)
	d, _ := w.look(w.verified("example.com"))
	stored, err := w.db.Get(t.Context(), domains.Kind, d.ID)
	if err != nil {
		t.Fatal(err)
	}
	var status map[string]json.RawMessage
	if err := json.Unmarshal(stored.Status, &status); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"registry", "watch", "propagation", "events", "conditions"} {
		if len(status[part]) == 0 {
			t.Errorf("no %s in the status", part)
		}
	}
}
