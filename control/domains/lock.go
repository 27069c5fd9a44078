package domains

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// A lock is part of the spec, so that locking makes a revision, and so that a
// plan made before the lock is stale after it. Plans, reverts and roll-backs
// neither open it nor delete what it holds (Type's Carry and Guard); SetLock alone
// opens it. Only lost ownership goes past it: a claim that nobody proves any more
// would keep the name from who has it now.

func isLocked(spec json.RawMessage) bool {
	var s struct {
		Locked bool `json:"locked"`
	}
	return len(spec) > 0 && json.Unmarshal(spec, &s) == nil && s.Locked
}

// carryLock keeps a lock closed in a spec that replaces current. A declaration
// may lock, never unlock.
func carryLock(current, wanted json.RawMessage) json.RawMessage {
	if !isLocked(current) || isLocked(wanted) {
		return wanted
	}
	var spec Spec
	if json.Unmarshal(wanted, &spec) != nil {
		return wanted
	}
	spec.Locked = true
	return spec.encode()
}

// guard refuses what a lock forbids; after is nil for a deletion.
func guard(name string, before, after json.RawMessage) error {
	if !isLocked(before) {
		return nil
	}
	if after == nil {
		return lockedError(name, "it cannot be deleted")
	}
	if !isLocked(after) {
		return lockedError(name, "a change of its settings does not open the lock")
	}
	var was, is Spec
	if json.Unmarshal(before, &was) == nil && json.Unmarshal(after, &is) == nil && was.DNS != is.DNS {
		return lockedError(name, "who sets its records cannot change")
	}
	return nil
}

func lockedError(name, what string) error {
	return fault.New(fault.Conflict, "the domain is locked, so %s: unlock it first with PUT /api/v1/infrastructure/domains/%s/lock or `edgewright domains unlock %s`", what, name, name).About("domain " + name)
}

// SetLock locks or unlocks a domain. Errors: NotFound, Stale.
func (s *Service) SetLock(ctx context.Context, project, environment, domain string, locked bool, ifRevision int64, cause resource.Cause) (Domain, error) {
	plan, err := s.PlanLock(ctx, project, environment, domain, locked, ifRevision)
	if err != nil {
		return Domain{}, err
	}
	if plan.Empty() {
		return s.Get(ctx, project, environment, domain)
	}
	if _, err := s.Store.Commit(ctx, plan.Commit(cause)); err != nil {
		return Domain{}, err
	}
	return s.write(ctx, plan.Actions[0].ID, func(d *Domain) {
		data := map[string]string{"actor": cause.Actor, "reason": cause.Reason}
		if locked {
			d.Status.Note(s.Now(), EventLocked, Info, "the domain was locked", data)
		} else {
			d.Status.Note(s.Now(), EventUnlocked, Warning, "the domain was unlocked: it can be deleted and moved", data)
		}
	})
}

// PlanLock plans SetLock.
func (s *Service) PlanLock(ctx context.Context, project, environment, domain string, locked bool, ifRevision int64) (resource.Plan, error) {
	current, err := s.current(ctx, project, environment, domain, ifRevision)
	if err != nil {
		return resource.Plan{}, err
	}
	d, err := Decode(current)
	if err != nil {
		return resource.Plan{}, err
	}
	d.Spec.Locked = locked
	plan := resource.NewPlan(project, environment)
	plan.Reason = map[bool]string{true: "lock ", false: "unlock "}[locked] + current.Name
	plan.Update(current, d.Spec.encode())
	return plan, nil
}

// CheckUnlocked refuses, as Conflict, a change that would take a record of the
// name away while a lock protects it: that of a domain of the environment with
// this name or one above it. Rooms that keep records ask it before they delete or
// change one.
func (s *Service) CheckUnlocked(ctx context.Context, project, environment, name string) error {
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	for at := name; at != ""; _, at, _ = strings.Cut(at, ".") {
		for _, candidate := range []string{at, "*." + at} {
			if candidate == "*."+name {
				continue // the wildcard below the name has records of its own
			}
			r, err := s.find(ctx, project, environment, candidate)
			if fault.Is(err, fault.NotFound) {
				continue
			}
			if err != nil {
				return err
			}
			if isLocked(r.Spec) {
				return lockedError(candidate, "records at and below it stay as they are")
			}
		}
	}
	return nil
}

// CheckZoneUnlocked refuses, as Conflict, what would take a whole zone away while
// any domain of the environment at, above or below its apex is locked.
func (s *Service) CheckZoneUnlocked(ctx context.Context, project, environment, apex string) error {
	apex = strings.TrimSuffix(strings.ToLower(apex), ".")
	if err := s.CheckUnlocked(ctx, project, environment, apex); err != nil {
		return err
	}
	q := resource.Query{Kind: Kind, Project: project, Environment: environment, Limit: 1000}
	for {
		page, err := s.Store.List(ctx, q)
		if err != nil {
			return err
		}
		for _, r := range page.Items {
			if strings.HasSuffix(r.Name, "."+apex) && isLocked(r.Spec) {
				return lockedError(r.Name, "its zone "+apex+" stays")
			}
		}
		if q.Cursor = page.Next; page.Next == "" {
			return nil
		}
	}
}
