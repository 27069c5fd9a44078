package lookup_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"github.com/edgewright/edgewright/control/domains"
	"github.com/edgewright/edgewright/control/domains/lookup"
	"github.com/edgewright/edgewright/control/domains/lookup/lookuptest"
	"github.com/edgewright/edgewright/fault"
	"github.com/edgewright/edgewright/netguard"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type world struct {
	*lookuptest.World
	child *lookuptest.Zone
	net   *lookup.Network
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{World: lookuptest.New(t)}
	resolver := w.Resolver("127.0.0.1")
	w.Serve("example", []string{"127.0.0.2"}, "a.nic.example")
	w.child = w.Serve("shop.example", []string{"127.0.0.3", "127.0.0.4"})
	var err error
	w.net, err = lookup.New(lookup.Options{Resolvers: []string{resolver}, Policy: netguard.AllowAll(), Port: w.Port})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) zone(t *testing.T, name string) domains.Zone {
	t.Helper()
	z, err := w.net.Zone(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func brief(seen []domains.Seen) string {
	var parts []string
	for _, s := range seen {
		parts = append(parts, s.Resolver+"="+strings.Join(s.Answers, ",")+s.Error)
	}
	return strings.Join(parts, " | ")
}

func TestZone(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"shop.example", "www.shop.example", "a.b.c.shop.example", "_edgewright-challenge.Shop.Example."} {
		z := w.zone(t, name)
		if z.Apex != "shop.example" || !slices.Equal(z.Names(), []string{"ns1.shop.example", "ns2.shop.example"}) || z.Servers[0].Addresses[0] != "127.0.0.3" {
			t.Errorf("%s: %+v", name, z)
		}
	}
	if _, err := w.net.Zone(t.Context(), "nowhere.invalid"); !fault.Is(err, fault.NotFound) {
		t.Errorf("a name that nobody serves: %v", err)
	}
	// An alias into another zone does not make that the name's zone.
	w.Serve("cdn.example", []string{"127.0.0.5"})
	w.Set("alias.shop.example", "CNAME", "x.cdn.example.")
	if z := w.zone(t, "alias.shop.example"); z.Apex != "shop.example" {
		t.Errorf("an alias: %+v", z)
	}
}

func TestAsk(t *testing.T) {
	w := newWorld(t)
	zone := w.zone(t, "shop.example")
	name := "_edgewright-challenge.shop.example"
	ask := func(typ string) string { return brief(w.net.Ask(t.Context(), zone, name, typ)) }

	if got := ask("TXT"); got != "ns1.shop.example (127.0.0.3)=NXDOMAIN | ns2.shop.example (127.0.0.4)=NXDOMAIN" {
		t.Errorf("nothing there: %s", got)
	}
	w.Set(name, "TXT", `"one" "two"`)
	if got := ask("TXT"); got != "ns1.shop.example (127.0.0.3)=onetwo | ns2.shop.example (127.0.0.4)=onetwo" {
		t.Errorf("a record: %s", got)
	}
	w.Only(w.child, "127.0.0.4", name, "TXT")
	if got := ask("TXT"); got != "ns1.shop.example (127.0.0.3)=onetwo | ns2.shop.example (127.0.0.4)=NXDOMAIN" {
		t.Errorf("servers that differ: %s", got)
	}
	w.Lame(w.child, "127.0.0.4")
	if got := ask("TXT"); !strings.HasSuffix(got, "ns2.shop.example (127.0.0.4)=it does not answer for this zone") {
		t.Errorf("a lame server: %s", got)
	}
	// More than fits into a datagram comes by TCP.
	long := strings.Repeat("x", 250)
	var many []string
	for range 12 {
		many = append(many, `"`+long+string(rune('a'+len(many)))+`"`)
	}
	w.Set(name, "TXT", many...)
	if seen := w.net.Ask(t.Context(), zone, name, "TXT"); len(seen[0].Answers) != 12 {
		t.Errorf("a long answer: %+v", seen[0])
	}
	// A server that leads on to another zone says nothing of the type.
	w.Set(name, "TXT")
	w.Set(name, "CNAME", "x.elsewhere.example.")
	if got := ask("TXT"); !strings.Contains(got, "it leads on to x.elsewhere.example") {
		t.Errorf("a CNAME away: %s", got)
	}
}

// A tenant's name servers may be anywhere, but only what is public is asked.
func TestPrivateServersAreNotAsked(t *testing.T) {
	w := newWorld(t)
	strict, err := lookup.New(lookup.Options{Resolvers: []string{"127.0.0.1:" + w.Port}, Port: w.Port})
	if err != nil {
		t.Fatal(err)
	}
	zone := w.zone(t, "shop.example")
	seen := strict.Ask(t.Context(), zone, "secret.shop.example", "A")
	if got := brief(seen); got != "ns1.shop.example (127.0.0.3)=its address is not public | ns2.shop.example (127.0.0.4)=its address is not public" {
		t.Errorf("asked: %s", got)
	}
	if w.Queries("127.0.0.3", "secret.shop.example", "A") != 0 {
		t.Error("a private address was asked")
	}
}

func TestDelegation(t *testing.T) {
	w := newWorld(t)
	look := func() domains.DelegationState {
		t.Helper()
		d, err := w.net.Delegation(t.Context(), "shop.example")
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	both := []string{"ns1.shop.example", "ns2.shop.example"}
	d := look()
	if d.Parent != "example" || !slices.Equal(d.ParentNS, both) || !slices.Equal(d.ZoneNS, both) || len(d.Servers) != 2 || d.Servers[0].Error != "" || d.Signed || len(d.ParentDS) != 0 {
		t.Errorf("as it should be: %+v", d)
	}

	key := &dns.DNSKEY{Hdr: dns.RR_Header{Name: "shop.example.", Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 60}, Flags: 257, Protocol: 3, Algorithm: dns.ECDSAP256SHA256}
	if _, err := key.Generate(256); err != nil {
		t.Fatal(err)
	}
	w.Set("shop.example", "DNSKEY", strings.TrimPrefix(key.String(), key.Hdr.String()))
	ds := key.ToDS(dns.SHA256)
	w.Delegate("shop.example", both, []string{strings.TrimPrefix(ds.String(), ds.Hdr.String())})
	if d = look(); !d.Signed || !d.DSMatches || len(d.ParentDS) != 1 {
		t.Errorf("signed: %+v", d)
	}
	w.Delegate("shop.example", both, []string{"12345 13 2 " + strings.Repeat("AB", 32)})
	if d = look(); d.DSMatches || len(d.ParentDS) != 1 {
		t.Errorf("a DS of another key: %+v", d)
	}
	w.Delegate("shop.example", []string{"ns1.shop.example", "ns.gone.example"}, nil)
	w.Lame(w.child, "127.0.0.3")
	if d = look(); slices.Equal(d.ParentNS, d.ZoneNS) || d.Servers[0].Error != "it has no address" || d.Servers[1].Error != "REFUSED" {
		t.Errorf("lame servers: %+v", d)
	}
	if _, err := w.net.Delegation(t.Context(), "example"); !fault.Is(err, fault.NotFound) {
		t.Errorf("an ending: %v", err)
	}
}
