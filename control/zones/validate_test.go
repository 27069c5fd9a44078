package zones_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/control/zones"
	"github.com/edgewright/edgewright/control/zones/build"
	edgedns "github.com/edgewright/edgewright/edge/dns"
	"github.com/edgewright/edgewright/edgeconfig"
)

// lastDay is when the first signature of a version ends that was made at a time
// and then left alone.
func lastDay(at time.Time) time.Time { return at.Add(build.Lifetime - build.Span - 2*time.Second) }

// imported is a zone as somebody brings it: each kind of record that answers in
// a way of its own.
const imported = `
$TTL 300
@ IN MX 10 mail
@ IN TXT "v=spf1 mx -all"
@ IN CAA 0 issue "ca.example.net"
mail IN A 192.0.2.1
mail IN AAAA 2001:db8::1
www IN CNAME mail
out IN CNAME elsewhere.example.net.
loop IN CNAME a.b.wild
*.wild IN A 192.0.2.2
*.wild IN TXT "star"
x.y.ent IN A 192.0.2.3
moved IN DNAME wild
moved IN TXT "beside"
lost IN DNAME y.ent
sub IN NS ns.sub
ns.sub IN A 192.0.2.4
safe IN NS ns.elsewhere.net.
safe IN DS 1 13 2 0123456789012345678901234567890123456789012345678901234567890123
_sip._tcp IN SRV 1 2 3 mail
_443._tcp.mail IN TLSA 3 1 1 0123456789012345678901234567890123456789012345678901234567890123
svc IN HTTPS 1 . alpn=h2,h3
odd IN TYPE65280 \# 4 01020304
key IN SSHFP 4 2 0123456789012345678901234567890123456789012345678901234567890123
here IN LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m
`

// questions about imported; each has an answer that a validator can prove.
var questions = []ask{
	{"example.com.", dns.TypeSOA, dns.RcodeSuccess, 1},
	{"example.com.", dns.TypeDNSKEY, dns.RcodeSuccess, -1},
	{"example.com.", dns.TypeNS, dns.RcodeSuccess, 2},
	{"example.com.", dns.TypeMX, dns.RcodeSuccess, 1},
	{"example.com.", dns.TypeAAAA, dns.RcodeSuccess, 0},
	{"mail.example.com.", dns.TypeA, dns.RcodeSuccess, 1},
	{"mail.example.com.", dns.TypeMX, dns.RcodeSuccess, 0},
	{"www.example.com.", dns.TypeAAAA, dns.RcodeSuccess, 1},
	{"loop.example.com.", dns.TypeTXT, dns.RcodeSuccess, 1}, // through a wildcard
	{"a.wild.example.com.", dns.TypeA, dns.RcodeSuccess, 1},
	{"b.a.wild.example.com.", dns.TypeTXT, dns.RcodeSuccess, 1},
	{"a.wild.example.com.", dns.TypeMX, dns.RcodeSuccess, 0},
	{"*.wild.example.com.", dns.TypeA, dns.RcodeSuccess, 1},
	{"wild.example.com.", dns.TypeA, dns.RcodeSuccess, 0}, // empty non-terminals
	{"ent.example.com.", dns.TypeA, dns.RcodeSuccess, 0},
	{"y.ent.example.com.", dns.TypeA, dns.RcodeSuccess, 0},
	{"moved.example.com.", dns.TypeDNAME, dns.RcodeSuccess, 1},
	{"moved.example.com.", dns.TypeTXT, dns.RcodeSuccess, 1},
	{"moved.example.com.", dns.TypeA, dns.RcodeSuccess, 0},
	{"a.moved.example.com.", dns.TypeA, dns.RcodeSuccess, 1}, // through a wildcard
	{"a.moved.example.com.", dns.TypeMX, dns.RcodeSuccess, 0},
	{"c.b.moved.example.com.", dns.TypeTXT, dns.RcodeSuccess, 1},
	{"z.lost.example.com.", dns.TypeA, dns.RcodeNameError, 0},
	{"nothing.example.com.", dns.TypeA, dns.RcodeNameError, 0},
	{"a.b.nothing.example.com.", dns.TypeTXT, dns.RcodeNameError, 0},
	{"z.y.ent.example.com.", dns.TypeA, dns.RcodeNameError, 0},
	{"0.example.com.", dns.TypeA, dns.RcodeNameError, 0},
	{"zzz.example.com.", dns.TypeA, dns.RcodeNameError, 0},
	{"sub.example.com.", dns.TypeDS, dns.RcodeSuccess, 0},
	{"safe.example.com.", dns.TypeDS, dns.RcodeSuccess, 1},
	{"odd.example.com.", 65280, dns.RcodeSuccess, 1},
	{"svc.example.com.", dns.TypeHTTPS, dns.RcodeSuccess, 1},
	{"_sip._tcp.example.com.", dns.TypeSRV, dns.RcodeSuccess, 1},
}

// ways of signing, as patches of a zone's spec.
var waysOfSigning = map[string]string{
	"csk nsec":      `{"dnssec":{"enabled":true}}`,
	"csk nsec3":     `{"dnssec":{"enabled":true,"denial":"nsec3"}}`,
	"split nsec3":   `{"dnssec":{"enabled":true,"keys":"ksk-zsk","denial":"nsec3"}}`,
	"csk compact":   `{"dnssec":{"enabled":true,"denial":"compact"}}`,
	"split compact": `{"dnssec":{"enabled":true,"keys":"ksk-zsk","algorithm":"ed25519","denial":"compact"}}`,
	"ed25519":       `{"dnssec":{"enabled":true,"algorithm":"ed25519"}}`,
}

// proved has every validator there is accept what a zone says at some times, of
// which the last is the last day of its signatures.
func proved(t *testing.T, w *world, e *edge, asks []ask, times ...time.Time) {
	t.Helper()
	z := w.zone("example.com")
	v, made := w.room.Version(z.ID, z.Status.Serial)
	if !made {
		t.Fatalf("version %d is not made: %+v", z.Status.Serial, z.Status.Conditions)
	}
	e.serve(t, v)
	ds := w.anchors(z.Status)
	zone := text(t, v)
	asks = slices.Clone(asks)
	for i := range asks {
		if asks[i].typ == dns.TypeDNSKEY {
			asks[i].answers = len(lines(zone, "example.com.", "DNSKEY"))
		}
	}
	compact := z.Spec.DNSSEC.Denial == edgeconfig.DenialCompact
	for i := range asks {
		if compact && asks[i].rcode == dns.RcodeNameError {
			asks[i].rcode = dns.RcodeSuccess // for resolvers that do not know NXNAME
		}
	}
	for _, at := range append(times, lastDay(w.time())) {
		if !compact { // no file holds the proofs that are made when they are asked for
			validates(t, "example.com", zone, at)
		}
		resolves(t, e, "example.com", ds, at, asks)
	}
	for _, a := range []ask{asks[1], asks[len(asks)-1]} {
		delves(t, e, "example.com", ds, lastDay(w.time()), a)
	}
}

func TestValidatorsAcceptAnImportedZone(t *testing.T) {
	t.Parallel()
	for name, patch := range waysOfSigning {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.ensure("p", "example.com")
			report, err := w.room.Import(t.Context(), "p", "production", "example.com", imported, false, false, true, cause)
			ok(t, err)
			if len(report.Skipped) > 0 {
				t.Fatalf("left out: %+v", report.Skipped)
			}
			w.configure("example.com", patch)
			w.settle()
			e := newEdge(t)
			proved(t, w, e, questions, w.time())
			for _, a := range []ask{{name: "nothing.example.com.", typ: dns.TypeA}, {name: "a.moved.example.com.", typ: dns.TypeA, answers: 1}} {
				delves(t, e, "example.com", w.anchors(w.zone("example.com").Status), w.time(), a)
			}
		})
	}
}

// TestValidatorsRefuseWhatHasEnded shows that the validators of these tests look.
func TestValidatorsRefuseWhatHasEnded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ensure("p", "example.com")
	w.set("example.com", "www", "A", "192.0.2.1")
	w.configure("example.com", `{"dnssec":{"enabled":true}}`)
	w.settle()
	z := w.zone("example.com")
	v, _ := w.room.Version(z.ID, z.Status.Serial)
	e := newEdge(t)
	e.serve(t, v)
	late := w.time().Add(build.Lifetime + time.Hour)
	resolves(t, e, "example.com", w.anchors(z.Status), late, []ask{{"www.example.com.", dns.TypeA, dns.RcodeServerFailure, 0}})
	file := filepath.Join(t.TempDir(), "zone")
	ok(t, os.WriteFile(file, []byte(text(t, v)), 0o600))
	for _, program := range []string{"dnssec-verify", "delv"} {
		args := []string{"-z", "-o", "example.com", file}
		if program == "delv" {
			args = []string{"@127.0.0.1", "-p", fmt.Sprint(e.port()), "-a", anchorsFile(t, "example.com", w.anchors(z.Status)), "+root=example.com", "www.example.com", "A"}
		}
		if out, err := asOf(t, late, program, args...); err == nil && !strings.Contains(out, "resolution failed") {
			t.Errorf("%s takes signatures that have ended:\n%s", program, out)
		}
		if out, err := asOf(t, w.time(), program, args...); err != nil || strings.Contains(out, "resolution failed") {
			t.Errorf("%s: %v\n%s", program, err, out)
		}
	}
}

// TestValidatorsAcceptASteeredZone: each client's answers are signed, whatever it
// gets.
func TestValidatorsAcceptASteeredZone(t *testing.T) {
	t.Parallel()
	for name, patch := range waysOfSigning {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.ensure("p", "example.com")
			w.set("example.com", "plain", "A", "192.0.2.1")
			w.setSpec("example.com", "www", "A", zones.RRsetSpec{Values: []string{"192.0.2.1"}, Steering: &zones.Steering{Answers: []zones.Answer{
				{Countries: []string{"DE"}, Values: []string{"192.0.2.2", "192.0.2.3"}},
				{Continents: []string{"AS"}, Values: []string{"192.0.2.4", "192.0.2.5", "192.0.2.6"}},
				{Weight: 3, Values: []string{"192.0.2.7"}},
				{Weight: 1, Values: []string{"192.0.2.8"}},
			}}})
			w.setSpec("example.com", "*.geo", "CNAME", zones.RRsetSpec{Values: []string{"plain"}, Steering: &zones.Steering{Answers: []zones.Answer{
				{Countries: []string{"DE"}, Values: []string{"www"}},
			}}})
			w.setSpec("example.com", "@", "ALIAS", zones.RRsetSpec{Target: &zones.Target{Kind: zones.TargetEdges}, Steering: &zones.Steering{Policy: zones.PolicyLatency}})
			w.configure("example.com", patch)
			w.settle()
			z := w.zone("example.com")
			v, made := w.room.Version(z.ID, z.Status.Serial)
			if !made {
				t.Fatalf("%+v", z.Status.Conditions)
			}
			compact := z.Spec.DNSSEC.Denial == edgeconfig.DenialCompact
			missing := dns.RcodeNameError
			if compact {
				missing = dns.RcodeSuccess
			}
			for nth := -1; nth < 4 && !compact; nth++ {
				for _, at := range []time.Time{w.time(), lastDay(w.time())} {
					validates(t, "example.com", variantText(t, v, nth), at)
				}
			}
			e := newEdge(t)
			e.serve(t, v)
			for _, client := range []struct {
				place          edgedns.Place
				www, apex, geo int
			}{
				{edgedns.Place{}, 1, 2, 1},
				{edgedns.Place{Country: "DE", Continent: "EU", Region: "fra", Near: []string{"fra", "iad"}}, 2, 1, 2},
				{edgedns.Place{Country: "JP", Continent: "AS", Region: "iad", Near: []string{"iad", "fra"}}, 3, 1, 1},
				{edgedns.Place{Country: "US", Continent: "NA", Region: "iad", Near: []string{"iad", "fra"}}, 1, 1, 1},
			} {
				e.where.Store(&client.place)
				for _, at := range []time.Time{w.time(), lastDay(w.time())} {
					resolves(t, e, "example.com", w.anchors(z.Status), at, []ask{
						{"www.example.com.", dns.TypeA, dns.RcodeSuccess, client.www},
						{"www.example.com.", dns.TypeAAAA, dns.RcodeSuccess, 0},
						{"example.com.", dns.TypeA, dns.RcodeSuccess, client.apex},
						{"any.geo.example.com.", dns.TypeA, dns.RcodeSuccess, client.geo},
						{"any.geo.example.com.", dns.TypeTXT, dns.RcodeSuccess, 0},
						{"nothing.example.com.", dns.TypeA, missing, 0},
					})
				}
			}
		})
	}
}
