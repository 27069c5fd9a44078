package domains_test

import (
	"testing"
	"time"

	"github.com/edgewright/edgewright/control/cdn"
	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/domains"
	"github.com/edgewright/edgewright/control/reconcile"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

func TestPendingIsCheckedOnABackoff(t *testing.T) {
	w := newWorld(t, "")
	d := w.add("alpha", "shop.example.com")
	d, next := w.reconcile(d) // checked at once
	if d.Status.Attempts != 1 || next != 10*time.Second {
		t.Fatalf("after the first check: %d attempts, next in %v", d.Status.Attempts, next)
	}
	looks := w.looks
	if d, next = w.reconcile(d); d.Status.Attempts != 1 || w.looks != looks || next != 10*time.Second {
		t.Errorf("an event in between checks again: %d attempts, next in %v", d.Status.Attempts, next)
	}
	waits := map[time.Duration]int{}
	for range 900 {
		w.pass(next)
		d, next = w.reconcile(d)
		waits[next]++
	}
	for _, want := range []time.Duration{10 * time.Second, 30 * time.Second, 5 * time.Minute, time.Hour, 24 * time.Hour} {
		if waits[want] == 0 {
			t.Errorf("never waits %v: %v", want, waits)
		}
	}
	w.prove(d)
	w.pass(next)
	if d, _ = w.reconcile(d); !d.Status.Verified || len(w.ensured) != 1 || w.ensured[0] != "alpha/production/shop.example.com" {
		t.Errorf("with the record there: %+v, certificates asked for: %v", d.Status, w.ensured)
	}
}

func TestConditions(t *testing.T) {
	w := newWorld(t, "")
	d := w.add("alpha", "shop.example.com")
	d, _ = w.reconcile(d)
	for typ, want := range map[string]string{
		domains.Ownership: "false RecordNotFound", domains.DNS: "unknown NotChecked", domains.TLS: "false NotVerified", domains.Serving: "false NotVerified",
	} {
		if got := reason(d, typ); got != want {
			t.Errorf("unverified: %s is %s, want %s", typ, got, want)
		}
	}
	w.prove(d)
	w.pass(time.Minute)
	w.cert = "issuing"
	d, next := w.reconcile(d)
	for typ, want := range map[string]string{
		domains.Ownership: "true Verified", domains.DNS: "false NoRecord", domains.TLS: "false Issuing", domains.Serving: "false NoOrigin",
	} {
		if got := reason(d, typ); got != want {
			t.Errorf("verified: %s is %s, want %s", typ, got, want)
		}
	}
	if next > time.Minute {
		t.Errorf("while the user sets records, next in %v", next)
	}

	w.a["shop.example.com"] = []string{"203.0.113.9"}
	w.cert, w.edges = "valid", [3]int{3, 1, 0}
	if _, err := w.cdn.Configure(t.Context(), "alpha", env, "", cdn.DefaultSpec("http://origin.example.com").Encode(), 0, cause); err != nil {
		t.Fatal(err)
	}
	w.pass(time.Minute)
	d, next = w.reconcile(d)
	if got := reason(d, domains.DNS) + ", " + reason(d, domains.Serving) + ", " + reason(d, domains.TLS); got != "false PointsElsewhere, false Applied, true Valid" || next != time.Second {
		t.Errorf("%s, next in %v", got, next)
	}
	// Answers that change with every question do not make it ask all the time.
	looks := w.looks
	w.a["shop.example.com"] = []string{"203.0.113.10"}
	if d, _ = w.reconcile(d); w.looks != looks {
		t.Error("looked again at once")
	}
	w.a["shop.example.com"] = []string{"198.51.100.7", "203.0.113.9"}
	w.edges = [3]int{3, 3, 1}
	w.pass(time.Minute)
	d, _ = w.reconcile(d)
	if got := reason(d, domains.DNS) + ", " + reason(d, domains.Serving); got != "false PointsElsewhereToo, true RollingOut" {
		t.Errorf("got %s", got)
	}
	w.a["shop.example.com"] = []string{"198.51.100.7"}
	w.edges = [3]int{3, 3, 3}
	w.pass(time.Minute)
	d, next = w.reconcile(d)
	if got := reason(d, domains.DNS) + ", " + reason(d, domains.Serving); got != "true PointsHere, true Verified" || next != time.Hour {
		t.Errorf("got %s, next in %v", got, next)
	}
	// What is served stays served: while edges take up a change, and when nobody has
	// counted who verified it, as after a restart.
	for _, step := range []struct {
		edges [3]int
		want  string
	}{{[3]int{3, 1, 0}, "true RollingOut"}, {[3]int{3, 3, 0}, "true Applied"}, {[3]int{3, 3, 3}, "true Verified"}, {[3]int{0, 0, 0}, "false NoEdges"}, {[3]int{3, 3, 0}, "false Applied"}, {[3]int{3, 3, 3}, "true Verified"}} {
		w.edges = step.edges
		if d, _ = w.reconcile(d); reason(d, domains.Serving) != step.want {
			t.Errorf("%v edges, applied, verified: %s, want %s", step.edges, reason(d, domains.Serving), step.want)
		}
	}
	// Level-triggered: nothing new, nothing written.
	before, err := w.db.Get(t.Context(), domains.Kind, d.ID)
	if err != nil {
		t.Fatal(err)
	}
	w.reconcile(d)
	after, err := w.db.Get(t.Context(), domains.Kind, d.ID)
	if err != nil || after.Seq != before.Seq {
		t.Errorf("the second run wrote: %d, %d, %v", before.Seq, after.Seq, err)
	}
}

// A domain that a plan removed, without its claim, gives the name free.
func TestClaimsOfRemovedDomainsAreReleased(t *testing.T) {
	w := newWorld(t, "")
	for _, by := range []string{"the domain's event", "the claim's event", "nobody, yet"} {
		d := w.add("alpha", "shop.localhost")
		stored, err := w.db.Get(t.Context(), domains.Kind, d.ID)
		if err != nil {
			t.Fatal(err)
		}
		plan := resource.NewPlan("alpha", env)
		plan.Delete(stored)
		if _, err := w.db.Commit(t.Context(), plan.Commit(cause)); err != nil {
			t.Fatal(err)
		}
		claims, err := w.db.List(t.Context(), resource.Query{Kind: domains.KindClaim})
		if err != nil || len(claims.Items) != 1 {
			t.Fatalf("claims %v, %v", claims.Items, err)
		}
		ref := reconcile.Ref{Kind: domains.Kind, ID: d.ID}
		switch by {
		case "the claim's event":
			ref = reconcile.Ref{Kind: domains.KindClaim, ID: claims.Items[0].ID}
			fallthrough
		case "the domain's event":
			if _, err := w.rec.Reconcile(t.Context(), ref); err != nil {
				t.Fatal(err)
			}
			if claims, err = w.db.List(t.Context(), resource.Query{Kind: domains.KindClaim}); err != nil || len(claims.Items) != 0 {
				t.Errorf("by %s: claims %v, %v", by, claims.Items, err)
			}
		}
		// Whoever comes next gets the name, and leaves it for the next round.
		if d := w.add("beta", "shop.localhost"); !d.Status.Verified {
			t.Errorf("by %s: the name is not free: %v", by, d.Status.Conditions)
		}
		if err := w.svc.Remove(t.Context(), "beta", env, "shop.localhost", 0, cause); err != nil {
			t.Fatal(err)
		}
	}
}

// A plan that removes a domain, such as a rollback, leaves no certificate behind
// that would wait for it for ever.
func TestCertificatesOfRemovedDomainsAreDropped(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*certificates.Spec)
		again  bool
		kept   bool
	}{
		"automatic":           {change: func(*certificates.Spec) {}},
		"tuned":               {change: func(s *certificates.Spec) { s.KeyType = "p384" }},
		"declared by a user":  {change: func(s *certificates.Spec) { s.Automatic = false }, kept: true},
		"of other names too":  {change: func(s *certificates.Spec) { s.Domains = append(s.Domains, "b.example.com") }, kept: true},
		"of one that is back": {change: func(*certificates.Spec) {}, again: true, kept: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, certs, d := handover(t)
			rec := domains.NewReconciler(w.svc, certs, w, nil)
			stored, err := w.db.Get(t.Context(), domains.Kind, d.ID)
			if err != nil {
				t.Fatal(err)
			}
			cert, err := certs.Find(t.Context(), "alpha", env, d.Name)
			if err != nil {
				t.Fatal(err)
			}
			of, err := certificates.Decode(cert)
			if err != nil {
				t.Fatal(err)
			}
			c.change(&of.Spec)
			plan := resource.NewPlan("alpha", env)
			plan.Update(cert, of.Spec.Encode())
			plan.Delete(stored)
			if _, err := w.db.Commit(t.Context(), plan.Commit(cause)); err != nil {
				t.Fatal(err)
			}
			if c.again {
				w.add("alpha", d.Name)
			}
			if _, err := rec.Reconcile(t.Context(), reconcile.Ref{Kind: domains.Kind, ID: d.ID}); err != nil {
				t.Fatal(err)
			}
			if _, err := certs.Find(t.Context(), "alpha", env, d.Name); (err == nil) != c.kept {
				t.Errorf("the certificate: %v, want it kept: %v", err, c.kept)
			}
			if n := w.claims(d.Name); n != 0 {
				t.Errorf("%d claims are left", n)
			}
		})
	}
}

// A crash between the claim and the status heals.
func TestClaimWithoutStatus(t *testing.T) {
	w := newWorld(t, "")
	d := w.add("alpha", "shop.localhost")
	if _, err := w.db.PutStatus(t.Context(), domains.Kind, d.ID, []byte(`{}`), 0); err != nil {
		t.Fatal(err)
	}
	if d, _ = w.reconcile(d); !d.Status.Verified {
		t.Error("the claim is forgotten")
	}
	// And the other way round: a status without its claim proves nothing.
	e := w.add("alpha", "shop.example.com")
	w.prove(e)
	w.verify("alpha", "shop.example.com", "dns")
	w.txt = map[string][]string{}
	claims, err := w.db.List(t.Context(), resource.Query{Kind: domains.KindClaim, Name: "shop.example.com"})
	if err != nil || len(claims.Items) != 1 {
		t.Fatalf("claims %v, %v", claims.Items, err)
	}
	plan := resource.NewPlan("", "")
	plan.Delete(claims.Items[0])
	if _, err := w.db.Commit(t.Context(), plan.Commit(cause)); err != nil {
		t.Fatal(err)
	}
	if e, _ = w.reconcile(e); e.Status.Verified {
		t.Error("verified without a claim")
	}
}

func TestTypesAreStrict(t *testing.T) {
	claim := domains.ClaimType()
	if _, err := claim.Normalize("a.example.com", []byte(`{"domain":"b.example.com","domain_id":"dom_1","project_id":"p"}`)); !fault.Is(err, fault.Invalid) {
		t.Errorf("a claim on another name: %v", err)
	}
	if !claim.Derived(nil) {
		t.Error("plans of users may touch claims")
	}
	domain := domains.Type()
	if name, err := domain.CanonicalName("https://Shop.Example.com/"); err != nil || name != "shop.example.com" {
		t.Errorf("canonical name %q, %v", name, err)
	}
	first, err := domain.Normalize("shop.example.com", []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	second, err := domain.Normalize("shop.example.com", first)
	if err != nil || string(first) != string(second) {
		t.Errorf("not idempotent: %s, %s, %v", first, second, err)
	}
	if refs := domain.References(first); len(refs) != 1 || refs[0].Name != "default" || !refs[0].Optional {
		t.Errorf("references %+v", refs)
	}
}
