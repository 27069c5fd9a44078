package upkeep

import (
	"context"
	"time"

	"github.com/edgewright/edgewright/control/certificates"
)

const (
	abandonAgain = time.Hour        // when an order could not be given up
	upholdAgain  = 30 * time.Second // when its challenges could not be put back
)

// unwanted gives up what orders a certificate has that wants none, since another
// CA was quicker or its spec has changed, and returns the CAs at which that did
// not succeed. Most have none, and then nothing is asked of the Vault.
func (r *Reconciler) unwanted(ctx context.Context, c certificates.Certificate) []string {
	if len(c.Status.Orders) == 0 && c.Status.Interrupted == 0 {
		return nil
	}
	return r.orders.Abandon(ctx, c.ID)
}

// deleted gives up the orders of a certificate that is gone, and returns when to
// look again.
func (r *Reconciler) deleted(ctx context.Context, id string) time.Duration {
	if left := r.orders.Abandon(ctx, id); len(left) > 0 && ctx.Err() == nil {
		return abandonAgain
	}
	return 0
}

// upheld sees to it that a CA which takes its time finds what it looks for, also
// after a change of the control plane that leads.
func (r *Reconciler) upheld(ctx context.Context, c certificates.Certificate) bool {
	if len(c.Status.Orders) == 0 {
		return true
	}
	err := r.orders.Uphold(ctx, c)
	if err != nil && ctx.Err() == nil {
		r.log.Warn("the challenges of an order under way could not be put back", "certificate", c.ID, "domain", c.Name, "error", err)
	}
	return err == nil
}
