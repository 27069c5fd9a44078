package zones

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

var (
	_ resource.Follower = (*Service)(nil)
	_ resource.Leaver   = (*Service)(nil)
)

// maxFollow is how many sets go along with a domain: what goes and what comes is
// one commit with the rest of the transfer.
const maxFollow = (maxChanges - 100) / 2

// Follow implements resource.Follower: the zone of a domain that goes to another
// project goes along, with its records, its keys and its name servers, so that
// nothing has to be told to the registrar. A zone above the domain stays.
func (s *Service) Follow(ctx context.Context, plan *resource.Plan, move resource.Move) (resource.Following, error) {
	var after resource.Following
	r, err := s.find(ctx, move.From.Project, move.From.Environment, move.Domain)
	if fault.Is(err, fault.NotFound) {
		return after, nil
	}
	if err != nil {
		return after, err
	}
	z, err := Decode(r)
	if err != nil {
		return after, err
	}
	if err := s.mayLeave(ctx, z, move.Domain); err != nil {
		return after, err
	}
	if s.Locks != nil { // records of other domains go along
		if err := s.Locks.CheckZoneUnlocked(ctx, move.From.Project, move.From.Environment, z.Name); err != nil {
			return after, err
		}
	}
	if _, err := s.find(ctx, move.To.Project, move.To.Environment, z.Name); err == nil {
		return after, fault.New(fault.Conflict, "this environment has made a zone of this name already: remove it, so that the one on offer can take its place").About("zone " + z.Name)
	} else if !fault.Is(err, fault.NotFound) {
		return after, err
	}
	if z.Spec.Secondary != nil {
		return after, fault.New(fault.Conflict, "the zone is a secondary, whose keys and primaries are this project's: end its transfers first").About("zone " + z.Name)
	}
	// Who gets the zone by transfers is the business of who has it, and so are keys.
	z.Spec.Transfer = nil
	sets, err := s.all(ctx, z)
	if err != nil {
		return after, err
	}
	if len(sets) > maxFollow {
		return after, fault.New(fault.Conflict, "the zone has %d record sets, and at most %d go along with a domain: export it, remove it, and import it after the transfer", len(sets), maxFollow).About("zone " + z.Name)
	}
	for _, set := range sets {
		plan.Delete(set)
	}
	plan.Delete(r)
	plan.Create(Type(), move.To.Project, move.To.Environment, z.Name, mustJSON(z.Spec))
	fresh := plan.Actions[len(plan.Actions)-1].ID
	for _, set := range sets {
		plan.Create(RRsetType(), move.To.Project, move.To.Environment, set.Name, set.Spec)
	}
	if err := s.planHandOver(ctx, plan, z, fresh, move.To); err != nil {
		return after, err
	}
	after.Status = map[string]json.RawMessage{fresh: mustJSON(z.Status)}
	after.Secrets = map[string]string{}
	for _, k := range z.Status.Keys.Keys {
		after.Secrets[secretName(fresh, k.ID)] = secretName(z.ID, k.ID)
	}
	return after, nil
}

// MayLeave implements resource.Leaver: a zone does not go from under other domains
// of its project.
func (s *Service) MayLeave(ctx context.Context, from resource.Place, domain string) error {
	z, err := s.Get(ctx, from.Project, from.Environment, domain)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.mayLeave(ctx, z, domain)
}

// mayLeave refuses, as Conflict, to let a zone go along with a domain while others
// of the project have records in it that the platform makes: who gets the zone gets
// none of those.
func (s *Service) mayLeave(ctx context.Context, z Zone, domain string) error {
	if s.Needs == nil {
		return nil
	}
	managed, verified, err := s.Needs.DomainsIn(ctx, z.Project, z.Environment, z.Name)
	if err != nil {
		return err
	}
	var stay []string
	for _, name := range managed {
		if name != domain {
			stay = append(stay, name)
		}
	}
	for _, name := range verified {
		if name == domain || !z.Spec.Sites {
			continue
		}
		if nearest, err := s.ZoneFor(ctx, z.Project, z.Environment, name); err != nil || nearest.ID != z.ID {
			if err != nil {
				return err
			}
			continue // it has a zone of its own, which stays
		}
		own, err := s.leadsByItself(ctx, z, name)
		if err != nil {
			return err
		}
		if !own {
			stay = append(stay, name)
		}
	}
	if len(stay) == 0 {
		return nil
	}
	slices.Sort(stay)
	const shown = 5
	list := strings.Join(stay[:min(len(stay), shown)], ", ")
	if more := len(stay) - shown; more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	return fault.New(fault.Conflict, "the zone %s goes along with %s, and %s would lose the records that it has there by itself: remove it, or set its dns to \"manual\" (`edgewright domains set %s --dns manual`) and write its records into the zone as your own, which go along (`edgewright dns set %s NAME TYPE VALUE`)",
		z.Name, domain, list, stay[0], z.Name).About("zone " + z.Name)
}

// leadsByItself reports whether the user's own records say where a name of a zone
// leads.
func (s *Service) leadsByItself(ctx context.Context, z Zone, name string) (bool, error) {
	owner, err := ParseOwner(name+".", z.Name)
	if err != nil {
		return false, err
	}
	for _, typ := range []string{"A", "AAAA", "CNAME", TypeALIAS} {
		if _, err := s.set(ctx, z, owner, typ); !fault.Is(err, fault.NotFound) {
			return err == nil, err
		}
	}
	return false, nil
}

// planHandOver gives the apex with its name servers to the zone that takes the
// place of one. Unlike for somebody who comes after an earlier owner, they stay:
// who had the domain has said so.
func (s *Service) planHandOver(ctx context.Context, plan *resource.Plan, z Zone, fresh string, to resource.Place) error {
	d, stored, err := s.findDelegation(ctx, z.Name)
	if fault.Is(err, fault.NotFound) || err == nil && d.Spec.Zone != z.ID {
		return nil // it was not answered; the reconciler sees who may have it
	}
	if err != nil {
		return err
	}
	spec := d.Spec
	if spec.Project != to.Project {
		spec.Owners = append(slices.DeleteFunc(slices.Clone(spec.Owners), func(o string) bool { return o == spec.Project }), spec.Project)
	}
	spec.Zone, spec.Project, spec.Environment = fresh, to.Project, to.Environment
	plan.Update(stored, mustJSON(spec))
	return nil
}

// Successor tells which zone has an apex: "" when none has, or it cannot be told.
// Edges keep what they have of a zone that is deleted until its successor is made.
func (s *Service) Successor(apex string) string {
	d, _, err := s.findDelegation(context.Background(), apex)
	if err != nil || d.Spec.Zone == "" {
		return ""
	}
	if _, err := s.Store.Get(context.Background(), Kind, d.Spec.Zone); err != nil {
		return "" // nobody has let go of it yet
	}
	return d.Spec.Zone
}
