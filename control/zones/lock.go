package zones

import (
	"context"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// Locks tells what locked domains hold; domains.Service is one.
type Locks interface {
	// CheckUnlocked refuses, as Conflict, to change or remove records of a name.
	CheckUnlocked(ctx context.Context, project, environment, name string) error
	// CheckZoneUnlocked refuses, as Conflict, to remove a zone, or what else hides
	// every record at and below a name.
	CheckZoneUnlocked(ctx context.Context, project, environment, apex string) error
}

// Needs tells what domains need of zones; domains.Service is one.
type Needs interface {
	// CheckZoneUnneeded refuses, as Conflict, to remove a zone that a domain has its
	// records in, as the domains are once the plan is carried out.
	CheckZoneUnneeded(ctx context.Context, project, environment, apex string, plan []resource.Action) error
	// DomainsIn tells which domains at an apex and below it lead to our edges by what
	// the zone says: those that are managed, and others that are verified.
	DomainsIn(ctx context.Context, project, environment, apex string) (managed, verified []string, err error)
}

// Types are the room's rows of the table of types whose changes locked domains
// can forbid, by whatever plan.
func (s *Service) Types() []resource.Type {
	zone, set := Type(), RRsetType()
	zone.Held = s.held
	set.Held = func(ctx context.Context, changes, plan []resource.Action) error {
		if err := s.held(ctx, changes, plan); err != nil {
			return err
		}
		return s.together(ctx, changes, plan)
	}
	return []resource.Type{zone, set}
}

// hiding are types whose records take the place of all others at their name or
// below it: a delegation, and a name that leads elsewhere with all below it.
var hiding = []string{"NS", "DNAME"}

// replacing are types whose records take the place of those that a site of ours
// has by itself.
var replacing = []string{"A", "AAAA", "HTTPS", "CNAME", TypeALIAS}

// unlocked asks for everything that a plan changes whether it may.
func (s *Service) unlocked(ctx context.Context, plan resource.Plan) error {
	return s.held(ctx, plan.Actions, plan.Actions)
}

// held refuses, as Conflict, changes that would take a locked name's records
// away: changing or removing them, hiding them below a delegation, putting others
// in the place of what a site has by itself, taking their signatures away, and
// removing or emptying their zone.
// A zone stays, locked or not, while a domain has its records in it.
func (s *Service) held(ctx context.Context, changes, plan []resource.Action) error {
	asked := map[string]bool{}
	for _, a := range changes {
		var err error
		switch {
		case a.Kind == KindRRset && s.Locks != nil:
			err = s.setHeld(ctx, a, asked)
		case a.Kind == Kind && a.Op == resource.Delete:
			err = s.removable(ctx, a.Project, a.Environment, a.Name, plan)
		case a.Kind == Kind && s.Locks != nil:
			err = s.zoneHeld(ctx, a)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) setHeld(ctx context.Context, a resource.Action, asked map[string]bool) error {
	owner, typ, apex, err := ParseRRsetName(a.Name)
	if err != nil {
		return err
	}
	name := FullName(owner, apex)
	once := func(what string, check func(context.Context, string, string, string) error) error {
		if asked[what+name] {
			return nil
		}
		asked[what+name] = true
		return check(ctx, a.Project, a.Environment, name)
	}
	switch {
	case a.Op != resource.Create:
		if a.OldName != "" && a.OldName != a.Name {
			old := a
			old.Name, old.OldName = a.OldName, ""
			if err := s.setHeld(ctx, old, asked); err != nil {
				return err
			}
		}
		return once("", s.Locks.CheckUnlocked)
	case slices.Contains(hiding, typ):
		return once("all ", s.Locks.CheckZoneUnlocked)
	case slices.Contains(replacing, typ) && s.Ownership != nil:
		// The user's own records stay as they are; those of a site give way to any.
		site, err := s.Ownership.Verified(ctx, a.Project, a.Environment, name)
		if err != nil || !site {
			return err
		}
		return once("", s.Locks.CheckUnlocked)
	}
	return nil
}

func (s *Service) zoneHeld(ctx context.Context, a resource.Action) error {
	switch a.Op {
	case resource.Update:
		before, err := decodeSpec(a.Before)
		if err != nil {
			return err
		}
		after, err := decodeSpec(a.After)
		if err != nil {
			return err
		}
		copied := (before.Secondary == nil) != (after.Secondary == nil) // its records become others
		unsigned := before.DNSSEC.Enabled && !after.DNSSEC.Enabled
		if !copied && !unsigned && (!before.Sites || after.Sites) {
			return nil
		}
	default:
		// A zone of its own takes the place of the records in the one above.
		if _, err := s.ZoneFor(ctx, a.Project, a.Environment, parentName(a.Name)); fault.Is(err, fault.NotFound) || !strings.Contains(a.Name, ".") {
			return nil
		} else if err != nil {
			return err
		}
	}
	return s.Locks.CheckZoneUnlocked(ctx, a.Project, a.Environment, a.Name)
}

// removable refuses to remove a zone that is locked, or needed.
func (s *Service) removable(ctx context.Context, project, environment, apex string, plan []resource.Action) error {
	if s.Locks != nil {
		if err := s.Locks.CheckZoneUnlocked(ctx, project, environment, apex); err != nil {
			return err
		}
	}
	if s.Needs == nil {
		return nil
	}
	return s.Needs.CheckZoneUnneeded(ctx, project, environment, apex, plan)
}
