package test

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/control/dnsproviders/cloudflare/cloudflaretest"
	"github.com/edgewright/edgewright/control/dnsproviders/route53/route53test"
)

// provider is a DNS provider whose API the binary talks to, and the name servers
// that answer with its records.
type provider struct {
	zone        string
	zoneID      string
	credentials map[string]any // as they are stored
	servers     []string
	records     func() []dns.RR
}

// names lists what the zone holds.
func (p *provider) names() []string {
	var list []string
	for _, rr := range p.records() {
		list = append(list, dns.TypeToString[rr.Header().Rrtype]+" "+strings.TrimSuffix(rr.Header().Name, "."))
	}
	slices.Sort(list)
	return list
}

// holds waits until the zone holds what it held, and what we want there.
func (p *provider) holds(t *testing.T, theirs []string, want ...string) {
	t.Helper()
	want = slices.Concat(theirs, want)
	slices.Sort(want)
	eventually(t, 60*time.Second, func() error {
		if got := p.names(); !slices.Equal(got, want) {
			return fmt.Errorf("the zone holds %q, want %q", got, want)
		}
		return nil
	})
}

func record(t testing.TB, format string, args ...any) dns.RR {
	rr, err := dns.NewRR(fmt.Sprintf(format, args...))
	if err != nil {
		t.Error(err)
		return &dns.NULL{Hdr: dns.RR_Header{Name: "."}}
	}
	return rr
}

// others are how many records of somebody else's are in each zone.
const others = 6

func atCloudflare(t *testing.T) (*provider, *cloudflaretest.Fake) {
	const zone = "example.net"
	api, server := cloudflaretest.New(t, zone)
	for i := range others {
		api.Put(cloudflaretest.Record{Name: fmt.Sprintf("host%d.%s", i, zone), Type: "A", TTL: 300, Content: "192.0.2.1"})
	}
	return &provider{
		zone: zone, zoneID: cloudflaretest.ZoneID, servers: []string{"ada.ns.cloudflare.com", "bob.ns.cloudflare.com"},
		credentials: map[string]any{"name": "main", "driver": "cloudflare", "credentials": map[string]string{"api_token": cloudflaretest.GoodToken, "api_url": server.URL + "/client/v4"}},
		records: func() (list []dns.RR) {
			api.Mu.Lock()
			defer api.Mu.Unlock()
			for _, r := range api.Records {
				list = append(list, record(t, "%s. 60 IN %s %s", r.Name, r.Type, r.Content))
			}
			return list
		},
	}, api
}

func atRoute53(t *testing.T) *provider {
	const zone = "example.org"
	api, server := route53test.New(t, zone)
	for i := range others {
		api.Put(types.ResourceRecordSet{
			Name: aws.String(fmt.Sprintf("host%d.%s.", i, zone)), Type: types.RRTypeA, TTL: aws.Int64(300), ResourceRecords: []types.ResourceRecord{{Value: aws.String("192.0.2.1")}},
		})
	}
	return &provider{
		zone: zone, zoneID: route53test.ZoneID, servers: []string{"ns-1.awsdns-00.com", "ns-512.awsdns-00.net"},
		credentials: map[string]any{"name": "aws", "driver": "route53", "credentials": map[string]string{"access_key_id": route53test.GoodKey, "secret_access_key": route53test.Secret, "api_url": server.URL}},
		records: func() (list []dns.RR) {
			api.Mu.Lock()
			defer api.Mu.Unlock()
			for _, s := range api.Sets {
				for _, r := range s.ResourceRecords {
					list = append(list, record(t, "%s 60 IN %s %s", *s.Name, s.Type, *r.Value))
				}
			}
			return list
		},
	}
}

// resolver answers with the zones' records, as a resolver of the world would, at
// the address that it returns.
func resolver(t *testing.T, zones ...*provider) string {
	t.Helper()
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		name, typ := q.Question[0].Name, q.Question[0].Qtype
		for _, z := range zones {
			switch {
			case name == z.zone+"." && typ == dns.TypeNS:
				for _, server := range z.servers {
					m.Answer = append(m.Answer, record(t, "%s 300 IN NS %s.", name, server))
				}
			case name == z.zone+"." && typ == dns.TypeSOA:
				m.Answer = append(m.Answer, record(t, "%s 300 IN SOA %s. dns.%s 1 2 3 4 5", name, z.servers[0], name))
			}
			for _, rr := range z.records() {
				if strings.EqualFold(rr.Header().Name, name) && rr.Header().Rrtype == typ {
					m.Answer = append(m.Answer, rr)
				}
			}
		}
		if len(m.Answer) == 0 {
			m.Rcode = dns.RcodeNameError
		}
		_ = w.WriteMsg(m)
	})
	at := freeAddress(t)
	for _, network := range []string{"udp", "tcp"} {
		started := make(chan struct{})
		server := &dns.Server{Addr: at, Net: network, Handler: handler, NotifyStartedFunc: func() { close(started) }}
		ended := make(chan error, 1)
		go func() { ended <- server.ListenAndServe() }()
		select {
		case <-started:
		case err := <-ended:
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = server.Shutdown(); <-ended })
	}
	return at
}

// verified waits until a domain is proved by what its provider publishes.
func (s *system) verified(t *testing.T, name string) {
	t.Helper()
	eventually(t, 60*time.Second, func() error {
		a, err := s.call("POST", "/domains/"+name+"/verify", map[string]string{"method": "dns"})
		if err == nil && !strings.Contains(string(a.Body), `"verified":true`) {
			err = fmt.Errorf("status %d: %s", a.Status, a.Body)
		}
		return err
	})
}

// released waits until credentials are needed no more, and deletes them.
func (s *system) released(t *testing.T, account string) {
	t.Helper()
	eventually(t, 30*time.Second, func() error {
		a, err := s.call("DELETE", "/dns/providers/"+account, nil, "If-Match", "*")
		if err == nil && a.Status != 204 {
			err = fmt.Errorf("status %d: %s", a.Status, a.Body)
		}
		return err
	})
}

// TestDNSAtProvider: the records of domains are set at their DNS providers, prove
// them, and go when the domains go, at Cloudflare also when the provider and then the
// control plane are away in between. Nobody else's are touched.
func TestDNSAtProvider(t *testing.T) {
	cloudflare, api := atCloudflare(t)
	route53 := atRoute53(t)
	theirs, atAWS := cloudflare.names(), route53.names()
	dir, at := t.TempDir(), resolver(t, cloudflare, route53)
	begin := func() *system { return up(t, dir, "--issuer", "local", "--resolvers", at) }
	s := begin()
	o := startOrigin(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "shop") })
	cli := func(args ...string) (string, error) {
		return run(t, []string{"EDGEWRIGHT_URL=" + s.Ready.Dashboard, "EDGEWRIGHT_TOKEN=" + token, "HOME=" + dir}, binary, args...)
	}
	inClear := maps.Clone(cloudflare.credentials)
	inClear["credentials"] = map[string]string{"api_token": cloudflaretest.GoodToken, "api_url": "http://gateway.example.com"}
	if a := s.must(422, "POST", "/dns/providers", inClear); !strings.Contains(string(a.Body), "/credentials/api_url") {
		t.Errorf("a token in clear text: %s", a.Body)
	}
	proofs := func(name string) []string {
		return []string{"TXT _edgewright-challenge." + name, "TXT _edgewright-txt._edgewright-challenge." + name}
	}
	for _, p := range []*provider{cloudflare, route53} {
		account := p.credentials["name"].(string)
		s.must(201, "POST", "/dns/providers", p.credentials)
		if a := s.must(200, "GET", "/dns/providers/"+account+"/zones", nil); !strings.Contains(string(a.Body), p.zoneID) {
			t.Fatalf("the zones of %s: %s", account, a.Body)
		}
		name, before := "shop."+p.zone, p.names()
		add := []string{"domains", "add", name, "--origin", o.URL, "--dns", "provider", "--dns-account", account}
		if out, _ := cli(append(add, "--dry-run")...); !strings.Contains(out, "create domain "+name) || !strings.Contains(out, "Nothing was changed") {
			t.Errorf("the plan: %s", out)
		}
		p.holds(t, before)
		if out, err := cli(add...); err != nil {
			t.Fatal(out)
		}
		p.holds(t, before, proofs(name)...)
		s.verified(t, name)
		if a := s.must(409, "DELETE", "/dns/providers/"+account, nil, "If-Match", "*"); !strings.Contains(string(a.Body), name) {
			t.Errorf("credentials in use: %s", a.Body)
		}
		// The other way to set records, and back.
		if out, err := cli("domains", "set", name, "--dns", "manual"); err != nil {
			t.Fatal(out)
		}
		p.holds(t, before)
		if out, err := cli("domains", "set", name, "--dns", "provider", "--dns-account", account); err != nil {
			t.Fatal(out)
		}
		p.holds(t, before, proofs(name)...)
		if out, _ := cli("domains", "rm", name, "--dry-run"); !strings.Contains(out, "the record TXT _edgewright-challenge."+name) {
			t.Errorf("the plan of the removal: %s", out)
		}
	}
	if out, err := cli("apply", "-f", nothing(t, dir), "--prune", "--yes"); err == nil || !strings.Contains(out, "shop.example.net") {
		t.Errorf("a plan takes the credentials of a domain: %s", out)
	}

	if out, err := cli("domains", "rm", "shop."+route53.zone, "--yes"); err != nil {
		t.Fatal(out)
	}
	route53.holds(t, atAWS)
	s.released(t, "aws")

	name := "shop." + cloudflare.zone
	away := func(away bool) {
		api.Mu.Lock()
		defer api.Mu.Unlock()
		api.Away = away
	}
	away(true)
	if out, err := cli("domains", "rm", name, "--yes"); err != nil {
		t.Fatal(out)
	}
	eventually(t, 60*time.Second, func() error {
		if out, err := cli("dns", "leftovers"); err != nil || !strings.Contains(out, name) || !strings.Contains(out, "503") {
			return fmt.Errorf("the leftovers: %s, %v", out, err)
		}
		return nil
	})
	cloudflare.holds(t, theirs, proofs(name)...)
	s.stop()
	s = begin()
	if out, err := cli("dns", "leftovers"); err != nil || !strings.Contains(out, name) {
		t.Errorf("after a restart: %s, %v", out, err)
	}
	away(false)
	if out, err := cli("dns", "leftovers", "remove", name, "--yes"); err != nil { // at once, and not on the backoff
		t.Fatal(out)
	}
	cloudflare.holds(t, theirs)
	s.released(t, "main")
}

// nothing is a file that declares nothing.
func nothing(t *testing.T, dir string) string {
	t.Helper()
	file := filepath.Join(dir, "nothing.yaml")
	if err := os.WriteFile(file, []byte("resources: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
