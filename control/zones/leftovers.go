package zones

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/edgewright/edgewright/control/reconcile"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// kindDomain is the room next door; sets name domains that Provide has made them
// for.
const kindDomain resource.Kind = "domain"

// Owners tells who is there of those that records were provided for;
// domains.Service is one.
type Owners interface {
	Exists(ctx context.Context, project, environment, domain string) (bool, error)
}

// Leftovers removes the sets that Provide has made for domains that are gone, in
// whatever way they went. A domain whose records are set otherwise now keeps them:
// while its zone is delegated here, they are its proof.
//
// Only the holder of the lease may run it.
type Leftovers struct {
	service *Service
	owners  Owners
	log     *slog.Logger
	// made are the sets by whom they were made for, sets the other way round. Route
	// alone uses them, event after event.
	made map[beneficiary]map[string]bool
	sets map[string]beneficiary
}

type beneficiary struct{ project, environment, name string }

// NewLeftovers returns the reconciler.
func NewLeftovers(s *Service, owners Owners, log *slog.Logger) *Leftovers {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Leftovers{service: s, owners: owners, log: log, made: map[beneficiary]map[string]bool{}, sets: map[string]beneficiary{}}
}

// Kinds implements reconcile.Reconciler.
func (l *Leftovers) Kinds() []resource.Kind { return []resource.Kind{KindRRset, kindDomain} }

// Route implements reconcile.Router: a set leads to itself, a domain that goes to
// the sets that were made for it.
func (l *Leftovers) Route(e resource.Event) []reconcile.Ref {
	r := &e.Resource
	if r.Kind == kindDomain {
		if e.Type != resource.Deleted {
			return nil
		}
		var refs []reconcile.Ref
		for id := range l.made[beneficiary{r.Project, r.Environment, r.Name}] {
			refs = append(refs, reconcile.Ref{Kind: KindRRset, ID: id})
		}
		return refs
	}
	if old, known := l.sets[r.ID]; known {
		delete(l.sets, r.ID)
		if delete(l.made[old], r.ID); len(l.made[old]) == 0 {
			delete(l.made, old)
		}
	}
	set, err := DecodeRRset(*r)
	if err != nil || e.Type == resource.Deleted || set.Spec.Tags[providedFor] == "" {
		return nil
	}
	who := beneficiary{r.Project, r.Environment, set.Spec.Tags[providedFor]}
	if l.made[who] == nil {
		l.made[who] = map[string]bool{}
	}
	l.made[who][r.ID], l.sets[r.ID] = true, who
	return []reconcile.Ref{{Kind: KindRRset, ID: r.ID}}
}

// Reconcile looks at one set.
func (l *Leftovers) Reconcile(ctx context.Context, ref reconcile.Ref) (time.Duration, error) {
	r, err := l.service.Store.Get(ctx, KindRRset, ref.ID)
	if fault.Is(err, fault.NotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	set, err := DecodeRRset(r)
	if err != nil {
		return 0, err
	}
	owner := set.Spec.Tags[providedFor]
	if owner == "" {
		return 0, nil
	}
	if there, err := l.owners.Exists(ctx, r.Project, r.Environment, owner); err != nil || there {
		return 0, err
	}
	plan := resource.NewPlan(r.Project, r.Environment)
	plan.Reason = fmt.Sprintf("%s is gone, and the records that were made for it", owner)
	plan.Delete(r)
	_, err = l.service.Store.Commit(ctx, plan.Commit(resource.Cause{Actor: "system reconciler", Via: "system"}))
	switch {
	case fault.Is(err, fault.NotFound):
		return 0, nil
	case fault.Is(err, fault.Stale): // somebody has made it theirs, perhaps
		return time.Second, nil
	case err == nil:
		l.log.InfoContext(ctx, "records of a removed domain are removed", "domain", owner, "rrset", r.Name)
	}
	return 0, err
}
