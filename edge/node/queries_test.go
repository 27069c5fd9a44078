package node_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/edge/node"
	"github.com/edgewright/edgewright/edge/node/nodetest"
	"github.com/edgewright/edgewright/edgeconfig"
)

// Queries are in the rollup of their minute, under the zone they are for, by
// whatever door they came.
func TestQueriesAreRolledUp(t *testing.T) {
	e := nodetest.Start(t, withDNS, func(o *node.Options) { o.DoTAddr = "127.0.0.1:0" })
	e.MustApply(nodetest.Zone(t, "zon_1", "shop.test", 10, "192.0.2.1", "www")...)
	e.MustApply(nodetest.Zone(t, "zon_2", "other.test", 11, "192.0.2.2", "www")...)
	e.MustApply(nodetest.Zone(t, "zon_3", "quiet.test", 12, "192.0.2.3", "www")...)
	e.MustApply(e.Document("certificate/crt_ns", e.Certificate("crt_ns", "ns1.test")),
		e.Document("platform/settings", &edgeconfig.Platform{OriginRanges: []string{"0.0.0.0/0"}, NameServers: []string{"ns1.test"}}))
	e.Take(time.Minute)

	config := e.TLS("dot")
	config.ServerName = "ns1.test"
	overTLS := &dns.Client{Net: "tcp-tls", TLSConfig: config, Timeout: 10 * time.Second}
	overHTTPS := e.Client(2)
	doors := map[string]func(*dns.Msg) (*dns.Msg, error){
		"udp": func(q *dns.Msg) (*dns.Msg, error) { return ask("udp", e.DNSAddr(), q.Question[0].Name) },
		"tcp": func(q *dns.Msg) (*dns.Msg, error) { return ask("tcp", e.DNSAddr(), q.Question[0].Name) },
		"tls": func(q *dns.Msg) (*dns.Msg, error) {
			m, _, err := overTLS.Exchange(q, e.DoTAddr())
			return m, err
		},
		"https": func(q *dns.Msg) (*dns.Msg, error) {
			wire, err := q.Pack()
			if err != nil {
				return nil, err
			}
			resp, err := overHTTPS.Post("https://ns1.test/dns-query", "application/dns-message", bytes.NewReader(wire))
			if err != nil {
				return nil, err
			}
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			if err == nil && resp.StatusCode != http.StatusOK {
				err = fmt.Errorf("status %d", resp.StatusCode)
			}
			if err != nil {
				return nil, err
			}
			m := new(dns.Msg)
			return m, m.Unpack(b)
		},
	}
	for door, exchange := range doors {
		for name, rcode := range map[string]int{"www.shop.test.": dns.RcodeSuccess, "nothing.shop.test.": dns.RcodeNameError, "www.other.test.": dns.RcodeSuccess, "elsewhere.test.": dns.RcodeRefused} {
			m, err := exchange(new(dns.Msg).SetQuestion(name, dns.TypeA))
			if err != nil || m.Rcode != rcode {
				t.Fatalf("%s over %s: %v, %v", name, door, err, m)
			}
		}
		if live := e.Take(time.Second); live.Zones != nil {
			t.Errorf("a live rollup has zones: %v", live.Zones)
		}
		want := map[string]edgeconfig.ZoneCounters{"zon_1": {Answers: 1, NXDomain: 1}, "zon_2": {Answers: 1}}
		if d := cmp.Diff(want, e.Take(time.Minute).Zones); d != "" {
			t.Errorf("over %s: %s", door, d)
		}
	}
	if again := e.Take(time.Minute).Zones; len(again) != 0 {
		t.Errorf("queries are told of twice: %v", again)
	}
}

// Who asked for a zone whole is in the rollup of its minute too, and once.
func TestFetchesAreRolledUp(t *testing.T) {
	e := nodetest.Start(t, withDNS)
	docs := nodetest.Zone(t, "zon_1", "shop.test", 10, "192.0.2.1", "www")
	for i := range docs {
		if docs[i].Key == edgeconfig.ZoneKey("zon_1") {
			var head edgeconfig.Zone
			if err := json.Unmarshal(docs[i].Body, &head); err != nil {
				t.Fatal(err)
			}
			head.Transfer = &edgeconfig.Transfer{Keys: []string{"key_1"}}
			docs[i] = e.Document(docs[i].Key, &head)
		}
	}
	e.MustApply(docs...)
	m, _, err := (&dns.Client{Net: "tcp"}).Exchange(new(dns.Msg).SetAxfr("shop.test."), e.DNSAddr())
	if err != nil || m.Rcode != dns.RcodeRefused {
		t.Fatalf("%v, %v", err, m)
	}
	if live := e.Take(time.Second); live.Fetches != nil {
		t.Errorf("a live rollup has fetches: %v", live.Fetches)
	}
	got := e.Take(time.Minute).Fetches["zon_1"]
	if len(got) != 1 || got[0].Outcome != edgeconfig.FetchUnsigned || got[0].Client != "127.0.0.1" || !got[0].Plausible() {
		t.Errorf("%+v", got)
	}
	if again := e.Take(time.Minute).Fetches; len(again) != 0 {
		t.Errorf("told of twice: %v", again)
	}
}
