package test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// cloudflareAPI is Cloudflare's API, as far as records are set and removed, and
// the name servers that answer with them.
type cloudflareAPI struct {
	t       *testing.T
	url     string
	mu      sync.Mutex
	away    bool
	next    int
	records map[string]cloudflareRecord // by ID
}

type cloudflareRecord struct {
	ID      string  `json:"id,omitempty"`
	Name    string  `json:"name"`
	Type    string  `json:"type"`
	TTL     float64 `json:"ttl"`
	Content string  `json:"content"`
	Proxied *bool   `json:"proxied,omitempty"`
	Comment string  `json:"comment,omitempty"`
}

const (
	cloudflareToken = "token_0123456789012345678901234567890123456"
	cloudflareZone  = "023e105f4ecef8ad9ca31a8372d0c353"
	zoneThere       = "example.net"
)

func startCloudflare(t *testing.T) *cloudflareAPI {
	t.Helper()
	c := &cloudflareAPI{t: t, records: map[string]cloudflareRecord{}}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	c.url = server.URL + "/client/v4"
	for i := range 6 { // somebody else's
		c.put(cloudflareRecord{Name: fmt.Sprintf("host%d.%s", i, zoneThere), Type: "A", TTL: 300, Content: "192.0.2.1"})
	}
	return c
}

func (c *cloudflareAPI) put(r cloudflareRecord) {
	c.next++
	r.ID = fmt.Sprintf("%032x", c.next)
	c.records[r.ID] = r
}

func (c *cloudflareAPI) setAway(away bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.away = away
}

// names lists what the zone holds.
func (c *cloudflareAPI) names() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []string
	for _, r := range c.records {
		list = append(list, r.Type+" "+r.Name)
	}
	slices.Sort(list)
	return list
}

func (c *cloudflareAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	answer := func(status int, result any) {
		w.WriteHeader(status)
		body := map[string]any{"success": status == 200, "errors": []any{}, "messages": []any{}, "result": result, "result_info": map[string]any{"total_pages": 1}}
		if status != 200 {
			body["errors"] = []any{map[string]any{"code": 10001, "message": "refused"}}
		}
		if err := json.NewEncoder(w).Encode(body); err != nil {
			c.t.Error(err)
		}
	}
	if c.away {
		answer(http.StatusServiceUnavailable, nil)
		return
	}
	if got := r.Header.Get("Authorization"); got != "Bearer "+cloudflareToken {
		c.t.Errorf("%s %s comes with %q", r.Method, r.URL, got)
		answer(http.StatusForbidden, nil)
		return
	}
	const records = "/client/v4/zones/" + cloudflareZone + "/dns_records"
	switch q := r.URL.Query(); r.Method + " " + r.URL.Path {
	case "GET /client/v4/zones":
		c.paged(r)
		answer(200, []any{map[string]any{"id": cloudflareZone, "name": zoneThere, "type": "full", "name_servers": []string{"ada.ns.cloudflare.com", "bob.ns.cloudflare.com"}}})
	case "GET " + records:
		c.paged(r)
		list := []cloudflareRecord{}
		for _, r := range c.records {
			if at := q.Get("name.exact"); at == "" || at == r.Name {
				list = append(list, r)
			}
		}
		answer(200, list)
	case "POST " + records + "/batch":
		var batch struct {
			Deletes []struct {
				ID string `json:"id"`
			} `json:"deletes"`
			Patches, Posts []cloudflareRecord
		}
		body := json.NewDecoder(r.Body)
		body.DisallowUnknownFields()
		if err := body.Decode(&batch); err != nil || r.Header.Get("Content-Type") != "application/json" || len(batch.Patches) > 0 {
			c.t.Errorf("a batch that nobody expects: %v, %+v", err, batch)
			answer(http.StatusBadRequest, nil)
			return
		}
		for _, d := range batch.Deletes {
			if _, there := c.records[d.ID]; !there {
				c.t.Errorf("it deletes %s, which is not there", d.ID)
			}
			delete(c.records, d.ID)
		}
		for _, p := range batch.Posts {
			c.put(p)
		}
		answer(200, map[string]any{})
	default:
		c.t.Errorf("%s %s is not part of the API", r.Method, r.URL)
		answer(http.StatusNotFound, nil)
	}
}

func (c *cloudflareAPI) paged(r *http.Request) {
	for _, key := range []string{"page", "per_page"} {
		if n, err := strconv.Atoi(r.URL.Query().Get(key)); err != nil || n < 1 {
			c.t.Errorf("%s asks for %s %q", r.URL, key, r.URL.Query().Get(key))
		}
	}
}

// ServeDNS answers with the zone's records, as a resolver of the world would.
func (c *cloudflareAPI) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := new(dns.Msg).SetReply(q)
	name, typ := q.Question[0].Name, q.Question[0].Qtype
	add := func(format string, args ...any) {
		rr, err := dns.NewRR(fmt.Sprintf(format, args...))
		if err != nil {
			c.t.Error(err)
			return
		}
		m.Answer = append(m.Answer, rr)
	}
	switch {
	case name == zoneThere+"." && typ == dns.TypeNS:
		add("%s 300 IN NS ada.ns.cloudflare.com.", name)
		add("%s 300 IN NS bob.ns.cloudflare.com.", name)
	case name == zoneThere+"." && typ == dns.TypeSOA:
		add("%s 300 IN SOA ada.ns.cloudflare.com. dns.cloudflare.com. 1 2 3 4 5", name)
	}
	for _, r := range c.records {
		if strings.EqualFold(r.Name+".", name) && r.Type == dns.TypeToString[typ] {
			add("%s 60 IN %s %s", name, r.Type, r.Content)
		}
	}
	if len(m.Answer) == 0 {
		m.Rcode = dns.RcodeNameError
	}
	_ = w.WriteMsg(m)
}

// resolver has the zone's records be found at an address, which it returns.
func (c *cloudflareAPI) resolver() string {
	c.t.Helper()
	at := freeAddress(c.t)
	for _, network := range []string{"udp", "tcp"} {
		started := make(chan struct{})
		server := &dns.Server{Addr: at, Net: network, Handler: c, NotifyStartedFunc: func() { close(started) }}
		ended := make(chan error, 1)
		go func() { ended <- server.ListenAndServe() }()
		select {
		case <-started:
		case err := <-ended:
			c.t.Fatal(err)
		}
		c.t.Cleanup(func() { _ = server.Shutdown(); <-ended })
	}
	return at
}

// TestDNSAtProvider: the records of a domain are set at its DNS provider, prove
// it, and go when the domain goes, also when the provider and then the control
// plane are away in between. Nobody else's are touched.
func TestDNSAtProvider(t *testing.T) {
	api := startCloudflare(t)
	theirs := api.names()
	dir, resolver := t.TempDir(), api.resolver()
	begin := func() *system { return up(t, dir, "--issuer", "local", "--resolvers", resolver) }
	s := begin()
	o := startOrigin(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "shop") })
	cli := func(args ...string) (string, error) {
		return run(t, []string{"EDGEWRIGHT_URL=" + s.Ready.Dashboard, "EDGEWRIGHT_TOKEN=" + token, "HOME=" + dir}, binary, args...)
	}
	credentials := func(url string) map[string]any {
		return map[string]any{"name": "main", "driver": "cloudflare", "credentials": map[string]string{"api_token": cloudflareToken, "api_url": url}}
	}
	if a := s.must(422, "POST", "/dns/providers", credentials("http://gateway.example.com")); !strings.Contains(string(a.Body), "/credentials/api_url") {
		t.Errorf("a token in clear text: %s", a.Body)
	}
	s.must(201, "POST", "/dns/providers", credentials(api.url))
	if a := s.must(200, "GET", "/dns/providers/main/zones", nil); !strings.Contains(string(a.Body), cloudflareZone) {
		t.Fatalf("its zones: %s", a.Body)
	}

	const name = "shop." + zoneThere
	ours := []string{"TXT _edgewright-challenge." + name, "TXT _edgewright-txt._edgewright-challenge." + name}
	holds := func(want ...string) {
		t.Helper()
		want = slices.Concat(theirs, want)
		slices.Sort(want)
		eventually(t, 60*time.Second, func() error {
			if got := api.names(); !slices.Equal(got, want) {
				return fmt.Errorf("the zone holds %q, want %q", got, want)
			}
			return nil
		})
	}
	add := []string{"domains", "add", name, "--origin", o.URL, "--dns", "provider", "--dns-account", "main"}
	if out, _ := cli(append(add, "--dry-run")...); !strings.Contains(out, "create domain "+name) || !strings.Contains(out, "Nothing was changed") {
		t.Errorf("the plan: %s", out)
	}
	holds()
	if out, err := cli(add...); err != nil {
		t.Fatal(out)
	}
	holds(ours...)
	eventually(t, 60*time.Second, func() error {
		a, err := s.call("POST", "/domains/"+name+"/verify", map[string]string{"method": "dns"})
		if err == nil && !strings.Contains(string(a.Body), `"verified":true`) {
			err = fmt.Errorf("status %d: %s", a.Status, a.Body)
		}
		return err
	})
	if a := s.must(409, "DELETE", "/dns/providers/main", nil, "If-Match", "*"); !strings.Contains(string(a.Body), name) {
		t.Errorf("credentials in use: %s", a.Body)
	}

	// The other way to set records, and back.
	s.must(200, "PATCH", "/domains/"+name, map[string]string{"dns": "manual", "dns_account": ""}, "If-Match", "*")
	holds()
	s.must(200, "PATCH", "/domains/"+name, map[string]string{"dns": "provider", "dns_account": "main"}, "If-Match", "*")
	holds(ours...)

	if out, _ := cli("domains", "rm", name, "--dry-run"); !strings.Contains(out, "the record TXT _edgewright-challenge."+name) {
		t.Errorf("the plan of the removal: %s", out)
	}
	api.setAway(true)
	if out, err := cli("domains", "rm", name, "--yes"); err != nil {
		t.Fatal(out)
	}
	eventually(t, 60*time.Second, func() error {
		if out, err := cli("dns", "leftovers"); err != nil || !strings.Contains(out, name) || !strings.Contains(out, "503") {
			return fmt.Errorf("the leftovers: %s, %v", out, err)
		}
		return nil
	})
	holds(ours...)
	s.stop()
	s = begin()
	if out, err := cli("dns", "leftovers"); err != nil || !strings.Contains(out, name) {
		t.Errorf("after a restart: %s, %v", out, err)
	}
	api.setAway(false)
	if out, err := cli("dns", "leftovers", "remove", name, "--yes"); err != nil { // at once, and not on the backoff
		t.Fatal(out)
	}
	holds()
	eventually(t, 30*time.Second, func() error {
		a, err := s.call("DELETE", "/dns/providers/main", nil, "If-Match", "*")
		if err == nil && a.Status != 204 {
			err = fmt.Errorf("status %d: %s", a.Status, a.Body)
		}
		return err
	})
}
