package tsig

import (
	"context"
	"time"

	"github.com/edgewright/edgewright/control/reconcile"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// Reconciler makes secrets that are wanted and not there, and forgets those that
// no key has.
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
	k, err := resource.Decode[Spec, Status](stored)
	if err != nil || k.Status.Generation == k.Spec.Generation {
		return 0, err
	}
	name := secretName(k.ID, k.Spec.Generation)
	if _, err := s.Vault.Secret(ctx, name); fault.Is(err, fault.NotFound) {
		err = s.Vault.PutSecret(ctx, name, newSecret(k.Spec.Algorithm))
		if err != nil {
			return 0, err
		}
	} else if err != nil {
		return 0, err
	}
	old := k.Status.Generation
	now := s.Now().UTC().Truncate(time.Second)
	k.Status = Status{Generation: k.Spec.Generation, MadeAt: &now}
	if _, err := s.Store.PutStatus(ctx, Kind, k.ID, encode(k.Status), stored.Seq); fault.Is(err, fault.Stale) {
		return time.Second, nil
	} else if err != nil {
		return 0, err
	}
	if old > 0 {
		return 0, s.Vault.DeleteSecret(ctx, secretName(k.ID, old))
	}
	return 0, nil
}
