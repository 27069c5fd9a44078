package zones_test

import (
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/control/resource"
)

// HTTPS records that are made by themselves say where and how the edges answer;
// they follow the keys of ECH, and are not kept for longer than these are good.
func TestHTTPSRecords(t *testing.T) {
	w := newWorld(t)
	w.https = "1 . alpn=h3,h2 port=8443 ech=AAQAAQID"
	w.ensure("p", "example.com")
	w.configure("example.com", `{"ttl": 86400}`)
	w.claims["shop.example.com"] = "p"
	_, err := w.db.Commit(t.Context(), resource.Commit{Cause: cause, Changes: []resource.Change{{
		Op: resource.Create, Kind: "claim", ID: resource.NewID("clm"), Name: "shop.example.com", Spec: []byte(`{"project_id":"p","environment":"production"}`),
	}}})
	ok(t, err)
	w.settle()
	record := func() *dns.HTTPS {
		t.Helper()
		for _, line := range strings.Split(w.served("example.com"), "\n") {
			if strings.HasPrefix(line, "shop.example.com.") && strings.Contains(line, "\tHTTPS\t") {
				rr, err := dns.NewRR(line)
				ok(t, err)
				return rr.(*dns.HTTPS)
			}
		}
		t.Fatal("there is no HTTPS record")
		return nil
	}
	const hints = ` ipv4hint="192.0.2.11,192.0.2.12" ech="AAQAAQID" ipv6hint="2001:db8::11"`
	rr := record()
	if got := strings.TrimPrefix(rr.String(), rr.Hdr.String()); got != `1 . alpn="h3,h2" port="8443"`+hints || rr.Hdr.Ttl != 3600 {
		t.Errorf("TTL %d, %s", rr.Hdr.Ttl, got)
	}
	before := w.zone("example.com").Status.Serial
	w.mu.Lock()
	w.https = "1 . alpn=h3,h2"
	w.mu.Unlock()
	w.pass(10 * time.Minute)
	w.look()
	rr = record()
	if got := strings.TrimPrefix(rr.String(), rr.Hdr.String()); strings.Contains(got, "ech") || strings.Contains(got, "port") {
		t.Errorf("the record does not follow: %s", got)
	}
	if w.zone("example.com").Status.Serial == before {
		t.Error("another record has the same serial")
	}
}
