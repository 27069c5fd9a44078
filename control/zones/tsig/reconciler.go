package tsig

import (
	"context"
	"sync"
	"time"

	"github.com/edgewright/edgewright/control/reconcile"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// Reconciler makes secrets that are wanted and not there, and forgets those that
// no key has.
type Reconciler struct {
	service *Service

	mu   sync.Mutex
	gone map[string]int // generations of keys that were deleted, by ID
}

// NewReconciler returns the reconciler of a service.
func NewReconciler(s *Service) *Reconciler { return &Reconciler{service: s, gone: map[string]int{}} }

// Kinds implements reconcile.Reconciler.
func (r *Reconciler) Kinds() []resource.Kind { return []resource.Kind{Kind} }

// Route implements reconcile.Router: a key that is gone cannot be asked which
// secret it had.
func (r *Reconciler) Route(e resource.Event) []reconcile.Ref {
	if e.Type == resource.Deleted {
		if spec, err := decode(e.Resource.Spec); err == nil {
			r.mu.Lock()
			r.gone[e.Resource.ID] = spec.Generation
			r.mu.Unlock()
		}
	}
	return []reconcile.Ref{{Kind: Kind, ID: e.Resource.ID}}
}

// forget deletes the secrets of a key that is gone.
func (r *Reconciler) forget(ctx context.Context, id string) error {
	r.mu.Lock()
	generation, known := r.gone[id]
	r.mu.Unlock()
	if !known {
		return nil
	}
	for _, g := range []int{generation, generation - 1} {
		if err := r.service.Vault.DeleteSecret(ctx, secretName(id, g)); err != nil {
			return err
		}
	}
	r.mu.Lock()
	delete(r.gone, id)
	r.mu.Unlock()
	return nil
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, ref reconcile.Ref) (time.Duration, error) {
	s := r.service
	stored, err := s.Store.Get(ctx, Kind, ref.ID)
	if fault.Is(err, fault.NotFound) {
		return 0, r.forget(ctx, ref.ID)
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
