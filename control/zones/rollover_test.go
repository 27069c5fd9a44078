package zones_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/control/reconcile"
	"github.com/edgewright/edgewright/control/zones"
	"github.com/edgewright/edgewright/fault"
)

// cache is what a resolver may have of a zone at some time: the versions of the
// zone and of the parent's DS that were there within their times to live.
type cache struct {
	at   time.Time
	zone string
	ds   []string
}

// follow walks through a rollover by the times that the status tells, with the
// parent doing what it is asked for (CDS), restarts in between, and at each step
// checks that whatever a resolver has cached still validates.
func follow(t *testing.T, w *world, begin func(), done func(zones.Status) bool) (steps []string) {
	t.Helper()
	var seen []cache
	e, proven := newEdge(t), ""
	look := func() zones.Status {
		w.look()
		zone, status := w.served("example.com"), w.zone("example.com").Status
		fresh := len(seen) == 0 || seen[len(seen)-1].zone != zone
		switch state := fmt.Sprintf("%v %+v %s", w.ds, status.Keys.Keys, w.zone("example.com").Spec.DNSSEC.Denial); {
		case len(status.Keys.Keys) == 0:
		case fresh && state == proven && w.zone("example.com").Spec.DNSSEC.Denial == "compact":
		case fresh && state == proven: // a signature was renewed
			validates(t, "example.com", zone, w.time())
		case fresh || state != proven:
			proven = state
			proved(t, w, e, []ask{
				{"example.com.", dns.TypeDNSKEY, dns.RcodeSuccess, -1},
				{"www.example.com.", dns.TypeA, dns.RcodeSuccess, 1},
				{"www.example.com.", dns.TypeTXT, dns.RcodeSuccess, 0},
				{"nothing.example.com.", dns.TypeA, dns.RcodeNameError, 0},
				{"sub.example.com.", dns.TypeDS, dns.RcodeSuccess, 0},
			})
		}
		seen = append(seen, cache{w.time(), zone, slices.Clone(w.ds)})
		chains(t, seen)
		return status
	}
	look()
	begin()
	for i := range 400 {
		status := look()
		if r := status.Keys.Roll; r != nil && (len(steps) == 0 || steps[len(steps)-1] != r.Step) {
			steps = append(steps, r.Step)
		}
		if done(status) {
			return steps
		}
		// The parent takes over what CDS asks for, a while later.
		if i%3 == 2 {
			w.ds = asked(t, seen[len(seen)-1].zone, w.ds)
		}
		if i%5 == 4 {
			w.restart()
			w.settle()
		}
		w.pass(20 * time.Minute)
	}
	t.Fatalf("the rollover does not end; it is at %+v", w.zone("example.com").Status.Keys.Roll)
	return nil
}

// asked is what a parent that follows CDS has then (RFC 7344, RFC 8078).
func asked(t *testing.T, zone string, had []string) []string {
	t.Helper()
	cds := lines(zone, "example.com.", "CDS")
	if len(cds) == 0 {
		return had
	}
	var out []string
	for _, c := range cds {
		f := strings.Fields(c)
		if f[1] == "0" {
			return nil
		}
		out = append(out, strings.Join(f[:3], " ")+" "+strings.ToLower(strings.Join(f[3:], "")))
	}
	slices.Sort(out)
	return out
}

// chains checks every combination of a DS set, a DNSKEY set and records that one
// resolver may hold at the same time.
func chains(t *testing.T, seen []cache) {
	t.Helper()
	now := seen[len(seen)-1].at
	within := func(ttl time.Duration) []cache {
		var out []cache
		for i, c := range seen {
			// Still cached when it was replaced less than its TTL ago.
			if i == len(seen)-1 || seen[i+1].at.Add(ttl).After(now) {
				out = append(out, c)
			}
		}
		return out
	}
	ds, keys, records := within(time.Hour), within(time.Hour), within(time.Hour)
	for _, d := range ds {
		if len(d.ds) == 0 {
			continue // insecure
		}
		for _, k := range keys {
			if !signedBy(t, k.zone, k.zone, dns.TypeDNSKEY, d.ds) {
				t.Fatalf("at %s: DS %v of %s, keys of %s: bogus\n%s", now, d.ds, d.at, k.at, k.zone)
			}
			for _, r := range records {
				if !signedBy(t, k.zone, r.zone, dns.TypeA, nil) {
					t.Fatalf("at %s: keys of %s, records of %s: bogus\n%s\n%s", now, k.at, r.at, k.zone, r.zone)
				}
			}
		}
	}
}

// signedBy reports whether a set of one version has a signature by a key of
// another; with ds, by a key that has one of these.
func signedBy(t *testing.T, keysOf, setOf string, typ uint16, ds []string) bool {
	t.Helper()
	var keys []*dns.DNSKEY
	for _, l := range strings.Split(keysOf, "\n") {
		if f := strings.Fields(l); len(f) > 4 && f[3] == "DNSKEY" {
			rr, err := dns.NewRR(l)
			ok(t, err)
			keys = append(keys, rr.(*dns.DNSKEY))
		}
	}
	owner := "www.example.com."
	if typ == dns.TypeDNSKEY {
		owner = "example.com."
	}
	var set []dns.RR
	var sigs []*dns.RRSIG
	for _, l := range strings.Split(setOf, "\n") {
		f := strings.Fields(l)
		if len(f) < 5 || f[0] != owner {
			continue
		}
		rr, err := dns.NewRR(l)
		ok(t, err)
		if sig, is := rr.(*dns.RRSIG); is && sig.TypeCovered == typ {
			sigs = append(sigs, sig)
		} else if rr.Header().Rrtype == typ {
			set = append(set, rr)
		}
	}
	for _, k := range keys {
		if ds != nil && !slices.ContainsFunc([]uint8{dns.SHA256, dns.SHA384}, func(h uint8) bool {
			d := k.ToDS(h)
			return slices.Contains(ds, fmt.Sprintf("%d %d %d %s", d.KeyTag, d.Algorithm, d.DigestType, strings.ToLower(d.Digest)))
		}) {
			continue
		}
		for _, sig := range sigs {
			if sig.KeyTag == k.KeyTag() && sig.Algorithm == k.Algorithm && sig.Verify(k, set) == nil {
				return true
			}
		}
	}
	return false
}

func idle(s zones.Status) bool { return s.Keys.Roll == nil }

// TestRolloversNeverGoBogus walks through the life of a zone: signed, every kind
// of rollover, and unsigned again.
func TestRolloversNeverGoBogus(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ensure("p", "example.com")
	w.set("example.com", "www", "A", "192.0.2.1")
	w.set("example.com", "sub", "NS", "ns.elsewhere.net")
	w.settle()
	secure := func(s zones.Status) bool { return idle(s) && len(w.ds) > 0 }
	for _, stage := range []struct {
		name  string
		patch string
		done  func(zones.Status) bool
		steps string
	}{
		{"enable", `{"dnssec":{"enabled":true}}`, secure, "publish"},
		{"roll the CSK", `{"dnssec":{"roll":1}}`, idle, "publish announce replace"},
		{"denial", `{"dnssec":{"denial":"nsec3"}}`, idle, ""},
		{"another algorithm", `{"dnssec":{"algorithm":"ed25519"}}`, idle, "presign publish announce replace withdraw"},
		{"two keys", `{"dnssec":{"keys":"ksk-zsk"}}`, idle, "publish announce replace"},
		{"roll the ZSK", `{"dnssec":{"roll_zsk":1}}`, idle, "publish activate"},
		{"compact denial", `{"dnssec":{"denial":"compact"}}`, idle, ""},
		{"roll the ZSK, signing at the edges too", `{"dnssec":{"roll_zsk":2}}`, idle, "publish activate"},
		{"roll the KSK", `{"dnssec":{"roll":2}}`, idle, "publish announce replace"},
		{"back", `{"dnssec":{"algorithm":"ecdsap256","keys":"csk"}}`, idle, "presign publish announce replace withdraw"},
		{"disable", `{"dnssec":{"enabled":false}}`, func(s zones.Status) bool { return idle(s) && len(s.Keys.Keys) == 0 }, "unsign"},
	} {
		t.Run(stage.name, func(t *testing.T) {
			w.t = t
			steps := follow(t, w, func() { w.configure("example.com", stage.patch) }, stage.done)
			if got := strings.Join(steps, " "); got != stage.steps {
				t.Errorf("the steps were %q, want %q", got, stage.steps)
			}
		})
	}
}

// TestAParentThatDoesNothingHoldsTheRollover: without the parent's word no key
// goes.
func TestAParentThatDoesNothingHoldsTheRollover(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ensure("p", "example.com")
	w.set("example.com", "www", "A", "192.0.2.1")
	w.set("example.com", "sub", "NS", "ns.elsewhere.net")
	w.configure("example.com", `{"dnssec":{"enabled":true}}`)
	w.settle()
	follow(t, w, func() {}, func(s zones.Status) bool { return idle(s) && len(w.ds) > 0 })
	first := w.zone("example.com").Status.Keys.Keys[0].ID
	w.configure("example.com", `{"dnssec":{"roll":1}}`)
	for i := range 60 {
		w.pass(12 * time.Hour)
		w.look()
		if i%10 > 0 {
			continue
		}
		validates(t, "example.com", w.served("example.com"), w.time())
	}
	s := w.zone("example.com").Status.Keys
	if s.Roll == nil || s.Roll.Step != "announce" || !strings.Contains(s.Roll.Waiting, "give it") || s.Keys[0].ID != first || !s.Keys[0].Active {
		t.Errorf("%+v", s)
	}
	w.silent = fmt.Errorf("timeout")
	w.configure("example.com", `{"dnssec":{"enabled":false}}`)
	for range 20 {
		w.pass(12 * time.Hour)
		w.look()
	}
	if s := w.zone("example.com").Status.Keys; len(s.Keys) == 0 {
		t.Error("unsigned without knowing that the parent has no DS")
	}
}

// A look that began under an earlier leader takes nothing back of what the next has
// done with the keys, and costs it none.
func TestALookOfAnEarlierLeaderTakesNothingBack(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.ensure("p", "example.com")
	w.configure("example.com", `{"dnssec":{"enabled":true,"keys":"ksk-zsk"}}`)
	w.set("example.com", "www", "A", "192.0.2.1")
	w.settle()
	for range 100 { // until nothing moves
		w.pass(time.Hour)
		w.look()
		if w.zone("example.com").Status.Keys.Roll == nil {
			break
		}
	}
	w.configure("example.com", `{"dnssec":{"enabled":true,"keys":"ksk-zsk","roll_zsk":1}}`)
	old := w.r
	var before zones.Zone
	w.pass(2 * time.Hour) // the parent is asked again
	w.meanwhile = func() {
		w.r, w.seq = nil, 0
		w.room = zones.New(w.room.Options)
		w.restart()
		w.settle()
		before = w.zone("example.com")
	}
	next, err := old.Reconcile(ctx, reconcile.Ref{Kind: zones.Kind, ID: w.zone("example.com").ID})
	ok(t, err)
	if next != time.Second || before.Status.Keys.Roll == nil {
		t.Fatalf("looks again in %v; the next leader is at %+v", next, before.Status.Keys.Roll)
	}
	after := w.zone("example.com")
	if a, b := fmt.Sprintf("%+v", after.Status.Keys.Keys), fmt.Sprintf("%+v", before.Status.Keys.Keys); a != b {
		t.Fatalf("the keys are %s, and were %s", a, b)
	}
	for range 300 {
		w.pass(20 * time.Minute)
		w.look()
		if w.zone("example.com").Status.Keys.Roll == nil {
			break
		}
	}
	status := w.zone("example.com").Status
	if status.Keys.Roll != nil || len(status.Keys.Keys) != 2 {
		t.Fatalf("%+v", status.Keys)
	}
	for _, k := range status.Keys.Keys {
		if _, err := w.db.Secret(ctx, "zone/"+after.ID+"/"+k.ID); err != nil {
			t.Error(err)
		}
	}
}

// A key that is dropped goes from the vault when the status has it no more: one that
// is still named is still there, whatever stops the look.
func TestADroppedKeyGoesAfterTheStatus(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.ensure("p", "example.com")
	w.configure("example.com", `{"dnssec":{"enabled":true}}`)
	w.set("example.com", "www", "A", "192.0.2.1")
	w.settle()
	w.pass(48 * time.Hour)
	w.look()
	z := w.zone("example.com")
	secret := "zone/" + z.ID + "/" + z.Status.Keys.Keys[0].ID
	w.configure("example.com", `{"dnssec":{"enabled":false}}`)
	w.look()
	for i := range 100 {
		w.pass(time.Hour)
		stop := fault.New(fault.Unavailable, "no places are known")
		w.noPlaces = stop
		_, err := w.r.Reconcile(ctx, reconcile.Ref{Kind: zones.Kind, ID: z.ID}) // ends before its status is written
		w.noPlaces = nil
		if !fault.Is(err, fault.Unavailable) {
			t.Fatalf("hour %d: %v", i, err)
		}
		if _, err := w.db.Secret(ctx, secret); err != nil {
			t.Fatalf("hour %d: the status names a key that is gone: %v", i, err)
		}
		w.look()
		if len(w.zone("example.com").Status.Keys.Keys) == 0 {
			if _, err := w.db.Secret(ctx, secret); !fault.Is(err, fault.NotFound) {
				t.Errorf("the key is still there: %v", err)
			}
			return
		}
	}
	t.Fatal("the zone is signed for ever")
}
