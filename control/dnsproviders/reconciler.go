package dnsproviders

import (
	"context"
	"time"

	"github.com/edgewright/edgewright/control/reconcile"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// Reconciler forgets the credentials of providers that are gone, whichever way they
// went, and says of a provider without any what to do: one that came back, or was
// only declared, has none. Only the holder of the lease may run it.
type Reconciler struct{ service *Service }

// NewReconciler returns the reconciler of a service.
func NewReconciler(s *Service) *Reconciler { return &Reconciler{s} }

// Kinds implements reconcile.Reconciler.
func (r *Reconciler) Kinds() []resource.Kind { return []resource.Kind{Kind} }

// Remains implements reconcile.Remembering.
func (r *Reconciler) Remains(ctx context.Context) ([]reconcile.Ref, error) {
	return reconcile.OrphanedSecrets(ctx, r.service.Store, r.service.Vault, Kind)
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, ref reconcile.Ref) (time.Duration, error) {
	s := r.service
	stored, err := s.Store.Get(ctx, Kind, ref.ID)
	if fault.Is(err, fault.NotFound) {
		return 0, resource.ForgetSecrets(ctx, s.Store, s.Vault, Kind, ref.ID)
	}
	if err != nil {
		return 0, err
	}
	p, err := decode(stored)
	if err != nil {
		return 0, err
	}
	if _, err = s.Vault.Secret(ctx, secretName(p.ID, p.Spec.Credentials)); !fault.Is(err, fault.NotFound) {
		return 0, err
	}
	missing, now := noCredentials(p), s.Now().UTC().Truncate(time.Second)
	_, err = resource.ChangeStatus(ctx, s.Store, Kind, p.ID, func(is *Provider) bool {
		if is.Spec != p.Spec {
			return false // it has another look
		}
		is.Status = Status{Generation: p.Spec.Credentials, Conditions: resource.SetCondition(is.Status.Conditions, resource.Condition{
			Type: Ready, Status: resource.False, Reason: string(missing.Reason), Message: missing.text(), Since: now,
		})}
		return true
	})
	if fault.Is(err, fault.NotFound) {
		return 0, nil
	}
	return 0, err
}
