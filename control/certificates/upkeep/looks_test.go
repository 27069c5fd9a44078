package upkeep_test

import (
	"context"
	"testing"
	"time"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/certificates/provision"
	"github.com/edgewright/edgewright/control/certificates/simtest"
	"github.com/edgewright/edgewright/control/certificates/upkeep"
	"github.com/edgewright/edgewright/control/reconcile"
	"github.com/edgewright/edgewright/control/resource"
)

const (
	project = "alpha"
	env     = "production"
	day     = 24 * time.Hour
)

// A look that finds all as it is costs one read, and a write of the reconciler's
// own makes it look no second time: with a hundred thousand certificates, that is
// what a control plane does all day.
func TestLooksAreCheap(t *testing.T) {
	db, clock := simtest.NewStore(), simtest.NewClock(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
	svc := provision.New(certificates.Room{Store: db, Vault: db, Ownership: simtest.Owner{}, Now: clock.Now})
	ca := simtest.NewCA(t, "CA", clock.Now)
	rec := upkeep.NewReconciler(svc.Room, svc.Judge, map[certificates.CertType]certificates.Issuer{certificates.TypeACME: ca}, nil)
	if err := svc.Ensure(t.Context(), project, env, "shop.example.com", resource.Cause{Actor: "user usr_test", Via: "test"}); err != nil {
		t.Fatal(err)
	}
	ref := reconcile.Ref{Kind: certificates.Kind, ID: find(t, db)}
	look := func() {
		t.Helper()
		if _, err := rec.Reconcile(t.Context(), ref); err != nil {
			t.Fatal(err)
		}
	}
	event := func() resource.Event {
		r, err := db.Get(t.Context(), certificates.Kind, ref.ID)
		if err != nil {
			t.Fatal(err)
		}
		return resource.Event{Seq: r.Seq, Type: resource.Status, Resource: r}
	}
	look()
	if got := rec.Route(event()); len(got) != 0 {
		t.Errorf("its own write makes it look again: %v", got)
	}
	reads, writes := db.Gets, db.Puts
	clock.Pass(time.Hour)
	if look(); db.Gets != reads+1 || db.Puts != writes {
		t.Errorf("a look at what is as wanted: %d reads, %d writes", db.Gets-reads, db.Puts-writes)
	}
	// What somebody else has written is looked at.
	other := event()
	if _, err := db.PutStatus(t.Context(), certificates.Kind, ref.ID, []byte(`{"state":"valid"}`), other.Seq); err != nil {
		t.Fatal(err)
	}
	if got := rec.Route(event()); len(got) != 1 || got[0] != ref {
		t.Errorf("another's write: %v", got)
	}
	spec := other
	spec.Type = resource.Put
	if got := rec.Route(spec); len(got) != 1 {
		t.Errorf("a new spec: %v", got)
	}
}

// meddled is a CA during whose work somebody else writes.
type meddled struct {
	*simtest.CA
	meddle func()
}

func (m meddled) Issue(ctx context.Context, o certificates.Order) (string, error) {
	m.meddle()
	return m.CA.Issue(ctx, o)
}

// What another writes into a status while it is worked on stays, and is looked at,
// though the look writes after it, and watchers may hear of the last write only.
func TestWritesOfOthersAreNotLost(t *testing.T) {
	db, clock := simtest.NewStore(), simtest.NewClock(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
	svc := provision.New(certificates.Room{Store: db, Vault: db, Ownership: simtest.Owner{}, Now: clock.Now})
	var ref reconcile.Ref
	ca := meddled{simtest.NewCA(t, "CA", clock.Now), func() {
		if _, err := resource.ChangeStatus(t.Context(), db, certificates.Kind, ref.ID, func(c *certificates.Certificate) bool {
			c.Status.RevokedLast = "0a"
			return true
		}); err != nil {
			t.Error(err)
		}
	}}
	rec := upkeep.NewReconciler(svc.Room, svc.Judge, map[certificates.CertType]certificates.Issuer{certificates.TypeACME: ca}, nil)
	if err := svc.Ensure(t.Context(), project, env, "shop.example.com", resource.Cause{Actor: "user usr_test", Via: "test"}); err != nil {
		t.Fatal(err)
	}
	ref = reconcile.Ref{Kind: certificates.Kind, ID: find(t, db)}
	for _, again := range []int{1, 0} {
		if _, err := rec.Reconcile(t.Context(), ref); err != nil {
			t.Fatal(err)
		}
		r, err := db.Get(t.Context(), certificates.Kind, ref.ID)
		if err != nil {
			t.Fatal(err)
		}
		c, err := certificates.Read(r)
		if err != nil || c.Status.State != certificates.StateValid || c.Status.RevokedLast != "0a" {
			t.Errorf("%+v, %v", c.Status, err)
		}
		if got := rec.Route(resource.Event{Seq: r.Seq, Type: resource.Status, Resource: r}); len(got) != again {
			t.Errorf("looks that are to come: %v, want %d", got, again)
		}
	}
}

// find returns the ID of the only certificate.
func find(t *testing.T, db *simtest.Store) string {
	t.Helper()
	page, err := db.List(t.Context(), resource.Query{Kind: certificates.Kind})
	if err != nil || len(page.Items) != 1 {
		t.Fatalf("%d certificates, %v", len(page.Items), err)
	}
	return page.Items[0].ID
}
