package upkeep_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/certificates/provision"
	"github.com/edgewright/edgewright/control/certificates/simtest"
	"github.com/edgewright/edgewright/control/certificates/upkeep"
	"github.com/edgewright/edgewright/control/reconcile"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// fragile is a store that takes no statuses for a while.
type fragile struct {
	*simtest.Store
	broken bool
}

func (f *fragile) ChangeStatus(ctx context.Context, kind resource.Kind, id string, change func(resource.Resource) (json.RawMessage, error)) (resource.Resource, error) {
	if f.broken {
		return resource.Resource{}, fault.New(fault.Unavailable, "the database does not answer")
	}
	return f.Store.ChangeStatus(ctx, kind, id, change)
}

// keeping is a CA that has orders, which can be taken up.
type keeping struct {
	*simtest.CA
	db      *fragile
	pending []string
}

func (k *keeping) Issue(ctx context.Context, o certificates.Order) (string, error) {
	k.pending = append(k.pending, o.Pending.URL)
	if o.Pending.URL == "" {
		if err := o.Keep(certificates.Pending{URL: "https://ca.example/order/1"}); err != nil {
			return "", err
		}
		k.db.broken = true // before the certificate is there
	}
	return k.CA.Issue(ctx, o)
}

// A certificate that has come, but whose status the database did not take, is
// fetched again from its order: it is no failure, and no second order is made.
func TestStatusThatIsNotWrittenLosesNoOrder(t *testing.T) {
	db, clock := &fragile{Store: simtest.NewStore()}, simtest.NewClock(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
	svc := provision.New(certificates.Room{Store: db, Vault: db, Ownership: simtest.Owner{}, Now: clock.Now})
	ca := &keeping{CA: simtest.NewCA(t, "CA", clock.Now), db: db}
	rec := upkeep.NewReconciler(svc.Room, svc.Judge, map[certificates.CertType]certificates.Issuer{certificates.TypeACME: ca}, nil)
	if err := svc.Ensure(t.Context(), project, env, "shop.example.com", resource.Cause{Actor: "user usr_test", Via: "test"}); err != nil {
		t.Fatal(err)
	}
	ref := reconcile.Ref{Kind: certificates.Kind, ID: find(t, db.Store)}
	if _, err := rec.Reconcile(t.Context(), ref); !fault.Is(err, fault.Unavailable) {
		t.Fatalf("with the database away: %v", err)
	}
	db.broken = false
	if _, err := rec.Reconcile(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	c, err := svc.Get(t.Context(), project, env, "shop.example.com")
	if err != nil {
		t.Fatal(err)
	}
	if len(ca.pending) != 2 || ca.pending[1] != "https://ca.example/order/1" || c.Status.State != certificates.StateValid || c.Status.Failures != 0 {
		t.Errorf("orders taken up: %q, %+v", ca.pending, c.Status)
	}
	if left := db.SecretNames("certificate/" + ref.ID + "/pending"); len(left) != 0 {
		t.Errorf("the order is still kept: %q", left)
	}
}
