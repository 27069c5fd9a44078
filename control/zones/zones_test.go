package zones_test

import (
	"context"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/control/reconcile"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/store"
	"github.com/edgewright/edgewright/control/store/storetest"
	"github.com/edgewright/edgewright/control/zones"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

var cause = resource.Cause{Actor: "user usr_test", Via: "api"}

// world is everything around the room, with a clock of its own.
type world struct {
	t    testing.TB
	db   *store.DB
	room *zones.Service
	r    *zones.Reconciler

	mu      sync.Mutex
	now     time.Time
	claims  map[string]string // name -> project
	places  []zones.Place
	names   map[string][]string
	servers []string // at the parent
	ds      []string
	silent  error
	seq     int64
	https   string

	noPlaces  error
	meanwhile func() // happens once, in the middle of the next look that asks the parent
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{
		https: "1 . alpn=h2", t: t, db: storetest.SQLite(t), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), claims: map[string]string{}, names: map[string][]string{},
		places: []zones.Place{
			{ID: "edge_1", Name: "fra-1", Region: "fra", Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.11"), netip.MustParseAddr("2001:db8::11")}},
			{ID: "edge_2", Name: "iad-1", Region: "iad", Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.12")}},
		},
	}
	w.room = zones.New(zones.Options{Store: w.db, Vault: w.db, Ownership: w, NameServers: []string{"ns1.dns.example", "ns2.dns.example", "ns3.dns.example"}, Now: w.time})
	w.restart()
	return w
}

func (w *world) httpsData() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.https
}

func (w *world) time() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// restart begins another term of leading.
func (w *world) restart() {
	if w.r == nil {
		w.r = zones.NewReconciler(w.room, zones.ReconcilerOptions{Places: w, Names: w, Parent: w, HTTPS: w.httpsData})
	} else {
		w.r.Reset()
	}
	w.seq = 0
}

func (w *world) Verified(_ context.Context, project, _, domain string) (bool, error) {
	return w.claims[domain] == project, nil
}

func (w *world) Places(context.Context) ([]zones.Place, error) { return w.places, w.noPlaces }

func (w *world) Addresses(_ context.Context, name string) (a, aaaa []string, ttl time.Duration, err error) {
	for _, ip := range w.names[name] {
		if strings.Contains(ip, ":") {
			aaaa = append(aaaa, ip)
		} else {
			a = append(a, ip)
		}
	}
	return a, aaaa, time.Minute, w.silent
}

func (w *world) Delegation(context.Context, string) (servers, ds []string, ttl time.Duration, err error) {
	if w.meanwhile != nil {
		do := w.meanwhile
		w.meanwhile = nil
		do()
	}
	return w.servers, w.ds, time.Hour, w.silent
}

var errSettled = fmt.Errorf("nothing more to see")

// settle sends events to the reconciler until it has nothing to write.
func (w *world) settle() {
	w.t.Helper()
	ctx := context.Background()
	for range 50 {
		var refs []reconcile.Ref
		if w.seq == 0 {
			var err error
			refs, err = w.r.Remains(ctx)
			ok(w.t, err)
		}
		latest := w.seq
		// The store has no end of events; a write of our own marks it.
		mark := w.mark()
		err := w.db.Watch(ctx, w.seq, func(e resource.Event) error {
			if e.Resource.ID == mark && e.Resource.Seq > w.seq {
				return errSettled
			}
			latest = max(latest, e.Seq)
			for _, ref := range w.r.Route(e) {
				if !slices.Contains(refs, ref) {
					refs = append(refs, ref)
				}
			}
			return nil
		})
		if err != errSettled {
			w.t.Fatal(err)
		}
		w.seq = latest
		if len(refs) == 0 {
			return
		}
		for _, ref := range refs {
			if _, err := w.r.Reconcile(ctx, ref); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	w.t.Fatal("the reconciler does not come to rest")
}

var marks atomic.Int64

func (w *world) mark() string {
	w.t.Helper()
	id := resource.NewID("mrk")
	_, err := w.db.Commit(context.Background(), resource.Commit{Cause: cause, Changes: []resource.Change{
		{Op: resource.Create, Kind: "mark", ID: id, Project: "p", Name: fmt.Sprint("mark", marks.Add(1)), Spec: json.RawMessage("{}")},
	}})
	ok(w.t, err)
	return id
}

// look has the reconciler look at every zone, as it does when its time comes.
func (w *world) look() {
	w.t.Helper()
	page, err := w.db.List(context.Background(), resource.Query{Kind: zones.Kind, Limit: 100})
	ok(w.t, err)
	for _, r := range page.Items {
		_, err := w.r.Reconcile(context.Background(), reconcile.Ref{Kind: zones.Kind, ID: r.ID})
		ok(w.t, err)
	}
	w.settle()
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) ensure(project, apex string) zones.Zone {
	w.t.Helper()
	z, err := w.room.Ensure(context.Background(), project, "production", apex, cause)
	ok(w.t, err)
	return z
}

func (w *world) set(apex, name, typ string, values ...string) {
	w.t.Helper()
	w.setSpec(apex, name, typ, zones.RRsetSpec{Values: values})
}

func (w *world) setSpec(apex, name, typ string, spec zones.RRsetSpec) {
	w.t.Helper()
	raw, err := json.Marshal(spec)
	ok(w.t, err)
	_, _, err = w.room.SetRRset(context.Background(), "p", "production", apex, zones.Set{Name: name, Type: typ, Spec: raw}, false, 0, cause)
	ok(w.t, err)
}

func (w *world) zone(apex string) zones.Zone {
	w.t.Helper()
	z, err := w.room.Get(context.Background(), "p", "production", apex)
	ok(w.t, err)
	return z
}

func (w *world) configure(apex, patch string) {
	w.t.Helper()
	_, err := w.room.Configure(context.Background(), "p", "production", apex, json.RawMessage(patch), 0, cause)
	ok(w.t, err)
}

// served writes the version of a zone that edges get as a zone file.
func (w *world) served(apex string) string {
	w.t.Helper()
	z := w.zone(apex)
	v, made := w.room.Version(z.ID, z.Status.Serial)
	if !made {
		w.t.Fatalf("version %d of %s is not made: %+v", z.Status.Serial, apex, z.Status.Conditions)
	}
	return text(w.t, v)
}

func text(t testing.TB, v zones.Version) string { return variantText(t, v, -1) }

// variantText is the zone as a client sees it who gets the nth variant of each
// set that has variants; with -1, who gets none.
func variantText(t testing.TB, v zones.Version, nth int) string {
	t.Helper()
	ok(t, edgeconfig.ValidateZone(&v.Head))
	var out strings.Builder
	write := func(owner string, typ uint16, ttl uint32, list [][]byte) {
		for _, d := range list {
			rr, _, err := dns.UnpackRRWithHeader(dns.RR_Header{Name: owner, Rrtype: typ, Class: dns.ClassINET, Ttl: ttl, Rdlength: uint16(len(d))}, d, 0)
			ok(t, err)
			fmt.Fprintln(&out, rr.String())
		}
	}
	apex := v.Head.Name + "."
	soa, err := v.Head.SOA.Pack()
	ok(t, err)
	write(apex, dns.TypeSOA, v.Head.SOA.TTL, [][]byte{soa})
	write(apex, dns.TypeRRSIG, v.Head.SOA.TTL, v.Head.SOASigs)
	for i, body := range v.Parts {
		var p edgeconfig.ZonePart
		ok(t, json.Unmarshal(body, &p))
		ok(t, edgeconfig.ValidateZonePart(&p))
		digest := edgeconfig.PartDigest(body)
		if string(digest[:]) != string(v.Head.Digests[i*edgeconfig.PartDigestBytes:(i+1)*edgeconfig.PartDigestBytes]) {
			t.Fatalf("the head has another digest of part %d", i)
		}
		for _, n := range p.Names {
			owner := apex
			if n.Name != "@" {
				owner = n.Name + "." + apex
			}
			for _, s := range n.Sets {
				data, sigs := s.Data, s.Sigs
				if n := len(s.Variants); n > 0 && nth >= 0 {
					data, sigs = s.Variants[nth%n].Data, s.Variants[nth%n].Sigs
				}
				write(owner, s.Type, s.TTL, data)
				write(owner, dns.TypeRRSIG, s.TTL, sigs)
			}
		}
		for _, n := range p.NSEC3 {
			owner := strings.ToLower(base32.HexEncoding.EncodeToString(n.Hash)) + "." + apex
			write(owner, dns.TypeNSEC3, n.TTL, [][]byte{n.Data})
			write(owner, dns.TypeRRSIG, n.TTL, n.Sigs)
		}
	}
	return out.String()
}

// validates asks validators of others about a zone as of a time.
func validates(t testing.TB, apex, zone string, at time.Time) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "zone")
	ok(t, os.WriteFile(file, []byte(zone), 0o600))
	for _, command := range [][]string{
		{"ldns-verify-zone", "-V", "2", "-t", at.UTC().Format("20060102150405"), file},
		{"named-checkzone", "-q", "-i", "none", apex, file},
		{"dnssec-verify", "-z", "-q", "-o", apex, file}, // -z: a CSK is a key of both kinds
	} {
		if out, err := asOf(t, at, command[0], command[1:]...); err != nil {
			t.Fatalf("%s at %s: %v\n%s\n%s", command[0], at, err, out, zone)
		}
	}
}

// lines are the records of a zone at a name and type, without signatures.
func lines(zone, owner, typ string) []string {
	var out []string
	for _, l := range strings.Split(zone, "\n") {
		f := strings.Fields(l)
		if len(f) > 4 && f[0] == owner && f[3] == typ {
			out = append(out, strings.Join(f[4:], " "))
		}
	}
	return out
}

func expect(t testing.TB, zone, owner, typ string, want ...string) {
	t.Helper()
	if got := lines(zone, owner, typ); !slices.Equal(got, want) {
		t.Errorf("%s %s: %q, want %q", owner, typ, got, want)
	}
}

func TestAZoneIsServedAsSoonAsItExists(t *testing.T) {
	w := newWorld(t)
	z := w.ensure("p", "Example.COM.")
	if z.Name != "example.com" || len(z.Status.NameServers) != 2 {
		t.Fatalf("%+v", z)
	}
	w.settle()
	zone := w.served("example.com")
	expect(t, zone, "example.com.", "NS", z.Status.NameServers[0]+".", z.Status.NameServers[1]+".")
	first := w.zone("example.com").Status.Serial
	if first == 0 {
		t.Fatal("no serial")
	}
	w.set("example.com", "www", "A", "192.0.2.1", "192.0.2.2")
	w.set("example.com", "@", "MX", "10 mail")
	w.set("example.com", "münchen", "TXT", "grüße")
	w.settle()
	zone = w.served("example.com")
	expect(t, zone, "www.example.com.", "A", "192.0.2.1", "192.0.2.2")
	expect(t, zone, "example.com.", "MX", "10 mail.example.com.")
	expect(t, zone, "xn--mnchen-3ya.example.com.", "TXT", `"gr\195\188\195\159e"`)
	second := w.zone("example.com").Status.Serial
	if int32(second-first) <= 0 {
		t.Errorf("the serial went from %d to %d", first, second)
	}
	w.look()
	if now := w.zone("example.com").Status.Serial; now != second {
		t.Errorf("nothing changed, and the serial went from %d to %d", second, now)
	}
}

// TestAStartMakesWhatIsPublished is what spares every edge a transfer of every
// zone when a control plane starts.
func TestAStartMakesWhatIsPublished(t *testing.T) {
	w := newWorld(t)
	w.ensure("p", "example.com")
	w.configure("example.com", `{"dnssec":{"enabled":true}}`)
	for i := range 30 {
		w.set("example.com", fmt.Sprint("n", i), "A", fmt.Sprintf("192.0.2.%d", i+1))
	}
	w.settle()
	before, status := w.served("example.com"), w.zone("example.com").Status
	w.restart()
	w.pass(time.Minute)
	w.settle()
	w.look()
	if after := w.served("example.com"); after != before {
		t.Errorf("another version was made:\n%s\n%s", before, after)
	}
	if now := w.zone("example.com").Status; now.Serial != status.Serial {
		t.Errorf("the serial went from %d to %d", status.Serial, now.Serial)
	}
	// What was deleted while nobody looked takes a new serial.
	sets, _, err := w.room.ListRRsets(context.Background(), "p", "production", "example.com", 100, "")
	ok(t, err)
	ok(t, w.room.DeleteRRset(context.Background(), "p", "production", "example.com", sets[0].ID, 0, cause))
	w.restart()
	w.settle()
	if now := w.zone("example.com").Status; int32(now.Serial-status.Serial) <= 0 {
		t.Errorf("a record went, and the serial stays %d", now.Serial)
	}
}

func TestNobodyServesAnothersZone(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	w.ensure("p", "example.com")
	w.settle()
	for _, name := range []string{"example.com", "shop.example.com"} {
		if _, err := w.room.Ensure(ctx, "q", "production", name, cause); !fault.Is(err, fault.Conflict) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A plan of resources knows nothing of that, and its zone is not served.
	_, err := w.db.Commit(ctx, resource.Commit{Cause: cause, Changes: []resource.Change{
		{Op: resource.Create, Kind: zones.Kind, ID: resource.NewID("zon"), Project: "q", Environment: "production", Name: "example.com", Spec: json.RawMessage(`{}`)},
	}})
	ok(t, err)
	w.settle()
	other, err := w.room.Get(ctx, "q", "production", "example.com")
	ok(t, err)
	if c, _ := resource.ConditionOf(other.Status.Conditions, zones.Served); other.Status.Serial != 0 || c.Status != resource.False || c.Reason != "Held" {
		t.Errorf("%+v", other.Status)
	}
	// Who has proved the domain takes it, and gets other name servers.
	w.claims["example.com"] = "q"
	_, err = w.r.Reconcile(ctx, reconcile.Ref{Kind: zones.Kind, ID: other.ID})
	ok(t, err)
	w.settle()
	other, err = w.room.Get(ctx, "q", "production", "example.com")
	ok(t, err)
	mine := w.zone("example.com")
	if other.Status.Serial == 0 || mine.Status.Serial != 0 {
		t.Errorf("q has %d, p %d", other.Status.Serial, mine.Status.Serial)
	}
	// The domain still leads to the name servers of the one before: not answered.
	w.servers = mine.Status.NameServers
	w.pass(2 * time.Hour)
	w.look()
	if other, err = w.room.Get(ctx, "q", "production", "example.com"); err != nil || slices.Equal(other.Status.NameServers, mine.Status.NameServers) || other.Status.Serial != 0 {
		t.Errorf("answered for another while delegated to %v: %+v, %v", w.servers, other.Status, err)
	}
	w.servers = other.Status.NameServers
	w.pass(2 * time.Hour)
	w.look()
	if other, err = w.room.Get(ctx, "q", "production", "example.com"); err != nil || other.Status.Serial == 0 {
		t.Errorf("delegated to its own name servers, and not answered: %+v, %v", other.Status, err)
	}
}

func TestTargetsAliasesAndSites(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	w.ensure("p", "example.com")
	w.names["cdn.example.net"] = []string{"198.51.100.1", "2001:db8:1::1"}
	w.set("example.com", "@", "ALIAS", "cdn.example.net")
	w.set("example.com", "inside", "ALIAS", "www.example.com")
	w.set("example.com", "www", "A", "192.0.2.80")
	w.setSpec("example.com", "edge", "A", zones.RRsetSpec{Target: &zones.Target{Kind: zones.TargetRegion, ID: "iad"}})
	w.setSpec("example.com", "near", "ALIAS", zones.RRsetSpec{Target: &zones.Target{Kind: zones.TargetEdges}, Steering: &zones.Steering{Policy: zones.PolicyLatency}})
	_, err := w.db.Commit(ctx, resource.Commit{Cause: cause, Changes: []resource.Change{
		{Op: resource.Create, Kind: "claim", ID: resource.NewID("clm"), Name: "shop.example.com", Spec: json.RawMessage(`{"domain":"shop.example.com","domain_id":"dom_1","project_id":"p","environment":"production"}`)},
		{Op: resource.Create, Kind: "claim", ID: resource.NewID("clm"), Name: "www.example.com", Spec: json.RawMessage(`{"domain":"www.example.com","domain_id":"dom_2","project_id":"p","environment":"production"}`)},
		{Op: resource.Create, Kind: "claim", ID: resource.NewID("clm"), Name: "q.example.com", Spec: json.RawMessage(`{"domain":"q.example.com","domain_id":"dom_3","project_id":"q","environment":"production"}`)},
	}})
	ok(t, err)
	w.settle()
	zone := w.served("example.com")
	expect(t, zone, "example.com.", "A", "198.51.100.1")
	expect(t, zone, "example.com.", "AAAA", "2001:db8:1::1")
	expect(t, zone, "inside.example.com.", "A", "192.0.2.80")
	expect(t, zone, "edge.example.com.", "A", "192.0.2.12")
	expect(t, zone, "shop.example.com.", "A", "192.0.2.11", "192.0.2.12")
	expect(t, zone, "shop.example.com.", "HTTPS", `1 . alpn="h2" ipv4hint="192.0.2.11,192.0.2.12" ipv6hint="2001:db8::11"`)
	expect(t, zone, "www.example.com.", "A", "192.0.2.80") // the user's own
	expect(t, zone, "www.example.com.", "HTTPS")
	expect(t, zone, "q.example.com.", "A") // another project's site
	v, _ := w.room.Version(w.zone("example.com").ID, w.zone("example.com").Status.Serial)
	regions := []string{}
	for _, body := range v.Parts {
		var p edgeconfig.ZonePart
		ok(t, json.Unmarshal(body, &p))
		for _, n := range p.Names {
			for _, s := range n.Sets {
				for _, variant := range s.Variants {
					if n.Name == "near" && s.Type == dns.TypeA {
						regions = append(regions, variant.Regions...)
					}
				}
			}
		}
	}
	if !slices.Equal(regions, []string{"fra", "iad"}) {
		t.Errorf("steered to %v", regions)
	}
	// Others' names and our edges move.
	w.names["cdn.example.net"] = []string{"198.51.100.2"}
	w.places = w.places[:1]
	w.pass(2 * time.Minute)
	w.look()
	zone = w.served("example.com")
	expect(t, zone, "example.com.", "A", "198.51.100.2")
	expect(t, zone, "shop.example.com.", "A", "192.0.2.11")
	// A name that cannot be looked up keeps what it had.
	w.silent = fmt.Errorf("timeout")
	w.pass(2 * time.Minute)
	w.look()
	expect(t, w.served("example.com"), "example.com.", "A", "198.51.100.2")
	// The user's word counts again once their record goes.
	w.set("example.com", "inside", "ALIAS", "shop.example.com")
	w.settle()
	expect(t, w.served("example.com"), "inside.example.com.", "A", "192.0.2.11")
}

func TestAChallengeIsPresented(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	w.ensure("p", "example.com")
	w.set("example.com", "_acme-challenge.www", "TXT", "the user's own")
	w.settle()
	ok(t, w.room.PresentTXT(ctx, "p", "production", "_acme-challenge.www.example.com.", "proof"))
	expect(t, w.served("example.com"), "_acme-challenge.www.example.com.", "TXT", `"proof"`, `"the user's own"`)
	ok(t, w.room.RemoveTXT(ctx, "p", "production", "_acme-challenge.www.example.com.", "proof"))
	expect(t, w.served("example.com"), "_acme-challenge.www.example.com.", "TXT", `"the user's own"`)
	if err := w.room.PresentTXT(ctx, "q", "production", "_acme-challenge.www.example.com.", "proof"); !fault.Is(err, fault.NotFound) {
		t.Errorf("another project: %v", err)
	}
}

func TestAZoneThatGoesTakesItsKeysAndIsRemembered(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	w.ensure("p", "example.com")
	w.configure("example.com", `{"dnssec":{"enabled":true}}`)
	w.set("example.com", "www", "A", "192.0.2.1")
	w.settle()
	z := w.zone("example.com")
	secret := "zone/" + z.ID + "/" + z.Status.Keys.Keys[0].ID
	_, err := w.db.Secret(ctx, secret)
	ok(t, err)
	if err := w.room.Remove(ctx, "p", "production", "example.com", false, cause); !fault.Is(err, fault.Conflict) {
		t.Fatalf("without consent: %v", err)
	}
	ok(t, w.room.Remove(ctx, "p", "production", "example.com", true, cause))
	w.settle()
	if _, err := w.db.Secret(ctx, secret); !fault.Is(err, fault.NotFound) {
		t.Errorf("the key is still there: %v", err)
	}
	next, err := w.room.Ensure(ctx, "q", "production", "example.com", cause)
	ok(t, err)
	if slices.Equal(next.Status.NameServers, z.Status.NameServers) {
		t.Errorf("the next owner gets the name servers of the one before: %v", next.Status.NameServers)
	}
	again := z.Status.NameServers
	ok(t, w.room.Remove(ctx, "q", "production", "example.com", true, cause))
	w.settle()
	if back := w.ensure("p", "example.com"); slices.Equal(back.Status.NameServers, again) && slices.Equal(back.Status.NameServers, next.Status.NameServers) {
		t.Errorf("%v", back.Status.NameServers)
	}
}

// A zone that is removed while nobody leads leaves neither keys nor its hold on the
// apex: the next leader sees to both. One that is about to be there keeps its keys.
func TestAZoneThatGoesWhileNobodyLeads(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	for _, apex := range []string{"example.com", "example.net"} {
		w.ensure("p", apex)
		w.configure(apex, `{"dnssec":{"enabled":true}}`)
	}
	w.settle()
	secretOf := func(z zones.Zone) string { return "zone/" + z.ID + "/" + z.Status.Keys.Keys[0].ID }
	gone, stays := w.zone("example.com"), w.zone("example.net")
	const coming = "zone/zon_coming/key_1" // copied by a transfer that is about to be committed
	ok(t, w.db.PutSecret(ctx, coming, []byte("secret")))
	ok(t, w.room.Remove(ctx, "p", "production", "example.com", true, cause))
	w.restart()
	w.settle()
	for name, there := range map[string]bool{secretOf(gone): false, secretOf(stays): true, coming: true} {
		if _, err := w.db.Secret(ctx, name); there != (err == nil) {
			t.Errorf("%s: %v", name, err)
		}
	}
	delegation, err := w.db.List(ctx, resource.Query{Kind: zones.KindDelegation, Name: "example.com"})
	ok(t, err)
	if len(delegation.Items) != 1 || strings.Contains(string(delegation.Items[0].Spec), gone.ID) {
		t.Errorf("the apex is still held: %+v", delegation.Items)
	}
}

// A term begins with a look also when no zone is left: a zone that was removed
// while nobody led still holds its apex, or who had the apex after it does, and
// that leads to it. So keys do not wait in the vault for the next zone.
func TestTheLastZonesGoWhileNobodyLeads(t *testing.T) {
	for name, again := range map[string]bool{"one": false, "one after another, of the same apex": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			ctx := context.Background()
			w.ensure("p", "example.com")
			w.configure("example.com", `{"dnssec":{"enabled":true}}`)
			w.settle()
			ok(t, w.room.Remove(ctx, "p", "production", "example.com", true, cause))
			if again {
				w.ensure("p", "example.com")
				ok(t, w.room.Remove(ctx, "p", "production", "example.com", true, cause))
			}
			w.restart()
			w.settle()
			names, err := w.db.SecretNames(ctx, "zone/")
			ok(t, err)
			if len(names) > 0 {
				t.Errorf("left in the vault: %v", names)
			}
		})
	}
}

// A zone's keys go with it also when nothing has asked for them since the start.
func TestKeysGoUnread(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	w.ensure("p", "example.com")
	w.configure("example.com", `{"dnssec":{"enabled":true}}`)
	w.settle()
	z := w.zone("example.com")
	w.restart()
	w.silent = errors.New("nobody answers")
	w.places = nil
	_, err := w.r.Reconcile(ctx, reconcile.Ref{Kind: zones.Kind, ID: z.ID}) // its events have not come
	ok(t, err)
	ok(t, w.room.Remove(ctx, "p", "production", "example.com", true, cause))
	_, err = w.r.Reconcile(ctx, reconcile.Ref{Kind: zones.Kind, ID: z.ID})
	ok(t, err)
	names, err := w.db.SecretNames(ctx, "zone/")
	ok(t, err)
	if len(names) > 0 {
		t.Errorf("left in the vault: %v", names)
	}
}
