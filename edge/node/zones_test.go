package node_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/edgewright/edgewright/edge/node"
	"github.com/edgewright/edgewright/edge/node/nodetest"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
	"github.com/edgewright/edgewright/secrets"
)

func withDNS(o *node.Options) { o.DNSAddr = "127.0.0.1:0" }

// ask asks for an A record.
func ask(network, addr, name string) (*dns.Msg, error) {
	m := new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA)
	answer, _, err := (&dns.Client{Net: network, Timeout: 10 * time.Second}).Exchange(m, addr)
	return answer, err
}

func TestZones(t *testing.T) {
	e := nodetest.Start(t, withDNS)
	if info := e.Info(); info.DNS != e.DNSAddr() || info.DNS == "" {
		t.Errorf("the heartbeat names %q, the name server listens at %q", info.DNS, e.DNSAddr())
	}
	docs := nodetest.Zone(t, "zon_1", "shop.test", 10, "192.0.2.1", "www")
	site := e.Document("site/dom_shop", nodetest.Site("dom_shop", "shop.test", origin(t, "o")))
	// Among other documents, parts before their head.
	mixed := []edgeconfig.Document{docs[1], site, docs[0], e.Document("zone/zon_bad", &edgeconfig.Zone{ID: "zon_bad"})}
	items(t, e.Apply(mixed), edgeconfig.Applied, edgeconfig.Applied, edgeconfig.Applied, edgeconfig.Rejected)
	for _, network := range []string{"udp", "tcp"} {
		answer, err := ask(network, e.DNSAddr(), "www.shop.test")
		if err != nil || len(answer.Answer) != 1 || !answer.Authoritative {
			t.Fatalf("over %s: %v, %v", network, err, answer)
		}
	}
	if got := fetch(t, e, "http://shop.test/"); got != "o" {
		t.Errorf("the site answers %q", got)
	}
	for _, key := range []string{docs[0].Key, docs[1].Key, site.Key} {
		revision := int64(10)
		if key == site.Key {
			revision = site.Revision
		}
		if err := e.Verify(t.Context(), key, revision); err != nil {
			t.Errorf("verify %s: %v", key, err)
		}
		if err := e.Verify(t.Context(), key, revision+1); err == nil {
			t.Errorf("%s verifies in a revision that was never applied", key)
		}
	}
	// An older one changes nothing; a newer one takes over with its last part.
	items(t, e.Apply(nodetest.Zone(t, "zon_1", "shop.test", 9, "192.0.2.9", "www")), edgeconfig.Rejected, edgeconfig.Rejected)
	newer := nodetest.Zone(t, "zon_1", "shop.test", 11, "192.0.2.2", "www")
	items(t, e.Apply(newer[:1]), edgeconfig.Applied)
	if err := e.Verify(t.Context(), newer[0].Key, 11); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a head without its parts verifies: %v", err)
	}
	items(t, e.Apply(newer[1:]), edgeconfig.Applied)
	if err := e.Verify(t.Context(), newer[0].Key, 11); err != nil {
		t.Error(err)
	}
	if answer, err := ask("udp", e.DNSAddr(), "www.shop.test"); err != nil || !strings.Contains(answer.String(), "192.0.2.2") {
		t.Errorf("after the change: %v, %v", err, answer)
	}

	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(e.Collectors()...)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			labels := ""
			for _, l := range m.Label {
				if l.GetName() != "edge" {
					labels += "/" + l.GetValue()
				}
			}
			seen[f.GetName()+labels] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	if seen["edgewright_edge_dns_zones"] != 1 || seen["edgewright_dns_queries_total/tcp"] != 1 || seen["edgewright_dns_queries_total/udp"] < 4 || seen["edgewright_dns_answers_total/answer"] < 5 {
		t.Errorf("metrics: %v", seen)
	}

	// The apex moves to another zone in one batch, its tombstone last.
	moved := append(nodetest.Zone(t, "zon_2", "shop.test", 12, "192.0.2.3", "www"),
		nodetest.Document(t, newer[0].Key, 13, nil), nodetest.Document(t, newer[1].Key, 13, nil))
	items(t, e.Apply(moved), edgeconfig.Applied, edgeconfig.Applied, edgeconfig.Applied, edgeconfig.Applied)
	if err := e.Verify(t.Context(), newer[0].Key, 13); err != nil {
		t.Errorf("a tombstone: %v", err)
	}
	if answer, err := ask("udp", e.DNSAddr(), "www.shop.test"); err != nil || !strings.Contains(answer.String(), "192.0.2.3") {
		t.Errorf("after the move: %v, %v", err, answer)
	}
}

// An edge without a name server takes zones all the same: its documents are
// those of every edge.
func TestZonesWithoutNameServer(t *testing.T) {
	e := nodetest.Start(t)
	if e.DNSAddr() != "" {
		t.Fatalf("a name server at %s", e.DNSAddr())
	}
	docs := nodetest.Zone(t, "zon_1", "shop.test", 10, "192.0.2.1", "www")
	items(t, e.Apply(docs), edgeconfig.Applied, edgeconfig.Applied)
	if err := e.Verify(t.Context(), docs[0].Key, 10); err != nil {
		t.Error(err)
	}
	if err := e.Verify(t.Context(), docs[0].Key, 11); !fault.Is(err, fault.NotFound) {
		t.Errorf("a revision that was never applied: %v", err)
	}
}

func TestDNSAddressInUse(t *testing.T) {
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = node.New(node.Options{HTTPAddr: "127.0.0.1:0", DNSAddr: l.LocalAddr().String()})
	if !fault.Is(err, fault.Unavailable) {
		t.Errorf("a DNS address in use: %v", err)
	}
}

// TestUpgradeLosesNoQuery replaces the edge process three times while resolvers
// ask over UDP, from one socket and from new ones, and over new TCP
// connections. Nobody asks twice.
func TestUpgradeLosesNoQuery(t *testing.T) {
	s, _ := newSetup(t, origin(t, "o"))
	// Many names, because like answers to one network are limited.
	var names []string
	for i := range 500 {
		names = append(names, fmt.Sprint("www", i))
	}
	s.Documents = append(s.Documents, nodetest.Zone(t, "zon_1", "shop.test", 10, "192.0.2.1", names...)...)
	p := startProcess(t, s)
	addr := p.dns
	var answers atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	load := func(name string, step func(name string) (*dns.Msg, error)) {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				answer, err := step(names[i%len(names)] + ".shop.test.")
				if err == nil && len(answer.Answer) != 1 {
					err = fmt.Errorf("answer %v", answer)
				}
				if err != nil {
					t.Errorf("%s: %v", name, err)
					return
				}
				answers.Add(1)
			}
		})
	}
	load("UDP", func(name string) (*dns.Msg, error) { return ask("udp", addr, name) })
	load("TCP", func(name string) (*dns.Msg, error) { return ask("tcp", addr, name) })
	one, err := dns.Dial("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer one.Close()
	load("UDP from one socket", func(name string) (*dns.Msg, error) {
		m := new(dns.Msg).SetQuestion(name, dns.TypeA)
		answer, _, err := (&dns.Client{Timeout: 10 * time.Second}).ExchangeWithConn(m, one)
		return answer, err
	})
	wait := func() {
		before := answers.Load()
		for deadline := time.Now().Add(30 * time.Second); answers.Load() < before+2000 && time.Now().Before(deadline) && !t.Failed(); {
			time.Sleep(5 * time.Millisecond)
		}
	}
	wait()
	for range 3 {
		p.upgrade()
		if p.dns != addr {
			t.Errorf("the successor answers at %s, its predecessor at %s", p.dns, addr)
		}
		wait()
	}
	close(stop)
	wg.Wait()
	t.Logf("%d answers over 4 processes", answers.Load())
}

// A key for transfers arrives sealed, and opens with the group's key.
func TestTransferKeys(t *testing.T) {
	e := nodetest.Start(t, withDNS)
	secret := []byte("0123456789abcdef0123456789abcdef")
	key := edgeconfig.TSIGKey{
		ID: "key_1", Name: "transfer.test", Algorithm: edgeconfig.HMACSHA256, KeyGroup: nodetest.Group,
		SecretSealed: secrets.SealFor(e.GroupKey, edgeconfig.TSIGContext("key_1"), secret),
	}
	docs := nodetest.Zone(t, "zon_1", "shop.test", 10, "192.0.2.1", "www")
	var head edgeconfig.Zone
	if err := json.Unmarshal(docs[0].Body, &head); err != nil {
		t.Fatal(err)
	}
	head.Transfer = &edgeconfig.Transfer{Keys: []string{"key_1"}}
	docs[0] = nodetest.Document(t, docs[0].Key, 10, head)
	e.MustApply(docs...)
	transfer := func() (records int, err error) {
		q := new(dns.Msg).SetAxfr("shop.test.")
		q.SetTsig("transfer.test.", dns.HmacSHA256, 300, time.Now().Unix())
		x := &dns.Transfer{TsigSecret: map[string]string{"transfer.test.": base64.StdEncoding.EncodeToString(secret)}}
		in, err := x.In(q, e.DNSAddr())
		if err != nil {
			return 0, err
		}
		for part := range in {
			records, err = records+len(part.RR), errors.Join(err, part.Error)
		}
		return records, err
	}
	if _, err := transfer(); err == nil {
		t.Error("a transfer before its key has come")
	}
	wrong := key
	wrong.KeyGroup = "another"
	items(t, e.Apply([]edgeconfig.Document{e.Document("tsig/key_1", wrong)}), edgeconfig.Rejected)
	wrong = key
	wrong.SecretSealed = secrets.SealFor(e.GroupKey, "certificate/key_1", secret)
	items(t, e.Apply([]edgeconfig.Document{e.Document("tsig/key_1", wrong)}), edgeconfig.Rejected)
	d := e.Document("tsig/key_1", key)
	e.MustApply(d)
	if err := e.Verify(t.Context(), d.Key, d.Revision); err != nil {
		t.Error(err)
	}
	if n, err := transfer(); err != nil || n != 4 {
		t.Errorf("a transfer of %d records: %v", n, err)
	}
	e.MustApply(e.Document("tsig/key_1", nil))
	if _, err := transfer(); err == nil {
		t.Error("a transfer with a key that is gone")
	}
}

// DNS over TLS and over HTTPS, the latter at name servers' hosts only.
func TestEncryptedDNS(t *testing.T) {
	e := nodetest.Start(t, withDNS, func(o *node.Options) { o.DoTAddr = "127.0.0.1:0" })
	e.MustApply(nodetest.Zone(t, "zon_1", "shop.test", 10, "192.0.2.1", "www")...)
	site := nodetest.Site("dom_shop", "shop.test", origin(t, "the site"))
	e.Serve(site)
	e.MustApply(e.Document("certificate/crt_ns", e.Certificate("crt_ns", "ns1.test")),
		e.Document("platform/settings", &edgeconfig.Platform{OriginRanges: []string{"0.0.0.0/0"}, NameServers: []string{"ns1.test"}}))

	config := e.TLS("dot")
	config.ServerName = "ns1.test"
	q := new(dns.Msg).SetQuestion("www.shop.test.", dns.TypeA)
	answer, _, err := (&dns.Client{Net: "tcp-tls", TLSConfig: config, Timeout: 10 * time.Second}).Exchange(q, e.DoTAddr())
	if err != nil || len(answer.Answer) != 1 {
		t.Fatalf("over TLS: %v, %v", err, answer)
	}
	other := e.TLS()
	other.ServerName = "unknown.test"
	if _, _, err := (&dns.Client{Net: "tcp-tls", TLSConfig: other, Timeout: 10 * time.Second}).Exchange(q, e.DoTAddr()); err == nil {
		t.Error("a certificate for a name that has none is believed")
	}
	other.InsecureSkipVerify = true
	for _, other.ServerName = range []string{"unknown.test", ""} {
		if answer, _, err := (&dns.Client{Net: "tcp-tls", TLSConfig: other, Timeout: 10 * time.Second}).Exchange(q, e.DoTAddr()); err != nil || len(answer.Answer) != 1 {
			t.Errorf("over TLS, as who believes nobody, by the name %q: %v, %v", other.ServerName, err, answer)
		}
	}

	q.Id = 0
	wire, err := q.Pack()
	if err != nil {
		t.Fatal(err)
	}
	inURL := "/dns-query?dns=" + base64.RawURLEncoding.EncodeToString(wire)
	for version := 1; version <= 3; version++ {
		c := e.Client(version)
		do := func(method, url, contentType string, body []byte) (*http.Response, []byte) {
			t.Helper()
			r, err := http.NewRequest(method, url, bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			if contentType != "" {
				r.Header.Set("Content-Type", contentType)
			}
			resp, err := c.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			return resp, b
		}
		for _, ask := range []struct {
			method, url, contentType string
			body                     []byte
		}{{"GET", inURL, "", nil}, {"POST", "/dns-query", "application/dns-message", wire}} {
			resp, b := do(ask.method, "https://ns1.test"+ask.url, ask.contentType, ask.body)
			var m dns.Msg
			if err := m.Unpack(b); resp.StatusCode != 200 || err != nil || len(m.Answer) != 1 || m.Id != 0 || resp.Header.Get("Content-Type") != "application/dns-message" || resp.Header.Get("Cache-Control") != "max-age=60" {
				t.Errorf("HTTP/%d %s: %d %v, %v: %v", version, ask.method, resp.StatusCode, resp.Header, err, m)
			}
		}
		for _, bad := range []struct {
			method, url, contentType string
			body                     []byte
			status                   int
		}{
			{"GET", "https://ns1.test/dns-query", "", nil, 400},
			{"GET", "https://ns1.test/dns-query?dns=%2B%2B", "", nil, 400},
			{"GET", "https://ns1.test/dns-query?dns=AAAA", "", nil, 400},
			{"POST", "https://ns1.test/dns-query", "text/plain", wire, 415},
			{"POST", "https://ns1.test/dns-query", "application/dns-message", make([]byte, 5000), 413},
			{"DELETE", "https://ns1.test/dns-query", "", nil, 400},
			{"GET", "https://ns1.test/elsewhere", "", nil, 421},
		} {
			if resp, b := do(bad.method, bad.url, bad.contentType, bad.body); resp.StatusCode != bad.status {
				t.Errorf("HTTP/%d %s %s: %d, want %d: %s", version, bad.method, bad.url, resp.StatusCode, bad.status, b)
			}
		}
		// At a tenant's host the path is the tenant's.
		if resp, b := do("GET", "https://shop.test"+inURL, "", nil); resp.StatusCode != 200 || string(b) != "the site" {
			t.Errorf("HTTP/%d at a site: %d %s", version, resp.StatusCode, b)
		}
	}
}

// A record fails over when the check of its target finds it dead, and back.
func TestFailover(t *testing.T) {
	target, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := target.Addr().String()
	e := nodetest.Start(t, withDNS)
	docs := nodetest.Zone(t, "zon_1", "shop.test", 10, "192.0.2.9", "www")
	var head edgeconfig.Zone
	var part edgeconfig.ZonePart
	if err := errors.Join(json.Unmarshal(docs[0].Body, &head), json.Unmarshal(docs[1].Body, &part)); err != nil {
		t.Fatal(err)
	}
	for i := range part.Names {
		if part.Names[i].Name == "www" {
			part.Names[i].Sets[0].Variants = []edgeconfig.Variant{
				{Check: "hc_1", Data: [][]byte{{192, 0, 2, 1}}}, {Order: 1, Data: [][]byte{{192, 0, 2, 2}}},
			}
		}
	}
	bodies, err := edgeconfig.SplitZone(&head, part.Names, nil, 1)
	if err != nil {
		t.Fatal(err)
	}
	e.MustApply(nodetest.Document(t, docs[0].Key, 11, head), nodetest.Document(t, docs[1].Key, 11, json.RawMessage(bodies[0])))
	check := e.Document("check/hc_1", edgeconfig.Check{ID: "hc_1", Type: edgeconfig.CheckTCP, Target: address, IntervalMS: 1000, TimeoutMS: 500, Fall: 1, Rise: 1})
	e.MustApply(check)
	if err := e.Verify(t.Context(), check.Key, check.Revision); err != nil {
		t.Error(err)
	}
	answers := func(want, when string) {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); ; {
			m, err := ask("udp", e.DNSAddr(), "www.shop.test")
			if err == nil && len(m.Answer) == 1 && strings.HasSuffix(m.Answer[0].String(), "\t"+want) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: %v, %v", when, err, m)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	answers("192.0.2.1", "the target lives")
	_ = target.Close()
	answers("192.0.2.2", "the target is dead")
	if target, err = net.Listen("tcp", address); err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	answers("192.0.2.1", "the target lives again")
	items(t, e.Apply([]edgeconfig.Document{e.Document("check/hc_2", edgeconfig.Check{ID: "hc_2", Type: "ping", Target: address})}), edgeconfig.Rejected)
	e.MustApply(e.Document(check.Key, nil))
}
