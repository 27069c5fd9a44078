package zones

import (
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// Name servers are given out in pairs of numbers. A project gets the same pair
// for all its zones where it can, and never one that an earlier owner of the
// apex had: what is still delegated to that would otherwise be answered for
// whoever comes next.

// nameServers are the names of a pair. Without a template they are in the zone
// itself, which works everywhere that the zone does: a set-up without a domain of
// its own has no other name to be found by.
func (o *Options) nameServers(pair []int, apex string) []string {
	out := make([]string, 0, len(pair))
	for _, n := range pair {
		switch {
		case len(o.NameServers) > 0:
			out = append(out, strings.TrimSuffix(o.NameServers[n%len(o.NameServers)], "."))
		default:
			out = append(out, fmt.Sprintf("ns%d.%s", n+1, apex))
		}
	}
	return out
}

// inZoneServers is how many numbers there are without a list of names.
const inZoneServers = 16

func (o *Options) servers() int {
	if len(o.NameServers) >= 2 {
		return len(o.NameServers)
	}
	return inZoneServers
}

// choosePair chooses a project's pair, and another when the apex had that one.
// It is the project's own again when all pairs were given out.
func choosePair(project string, servers int, past [][]int) []int {
	var pairs [][]int
	for a := range servers {
		for b := a + 1; b < servers; b++ {
			pairs = append(pairs, []int{a, b})
		}
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(project))
	first := int(h.Sum32() % uint32(len(pairs)))
	for i := range pairs {
		p := pairs[(first+i)%len(pairs)]
		if !slices.ContainsFunc(past, func(o []int) bool { return slices.Equal(o, p) }) {
			return p
		}
	}
	return pairs[first]
}

func (s *Service) findDelegation(ctx context.Context, apex string) (Delegation, resource.Resource, error) {
	page, err := s.Store.List(ctx, resource.Query{Kind: KindDelegation, Name: apex, Limit: 1})
	if err != nil {
		return Delegation{}, resource.Resource{}, err
	}
	if len(page.Items) == 0 {
		return Delegation{}, resource.Resource{}, fault.New(fault.NotFound, "nobody has had this zone").About("zone " + apex)
	}
	d, err := resource.Decode[DelegationSpec, struct{}](page.Items[0])
	return d, page.Items[0], err
}

// Holder tells where the zone is that a name is in, whoever has it: the one with
// the longest apex. Error: NotFound.
func (s *Service) Holder(ctx context.Context, name string) (resource.Place, error) {
	full, err := canonical(strings.TrimSuffix(name, "."))
	if err != nil {
		return resource.Place{}, noZone(name)
	}
	for at := full; at != ""; at = parentName(at) {
		d, _, err := s.findDelegation(ctx, at)
		if err == nil && d.Spec.Zone != "" {
			return resource.Place{Project: d.Spec.Project, Environment: d.Spec.Environment}, nil
		}
		if err != nil && !fault.Is(err, fault.NotFound) {
			return resource.Place{}, err
		}
	}
	return resource.Place{}, noZone(name)
}

// planDelegation appends to a plan what gives an apex to a zone. Errors:
// Conflict when another project has it, or a zone above it.
func (s *Service) planDelegation(ctx context.Context, plan *resource.Plan, apex, zoneID, project, environment string) error {
	if err := s.mayHave(ctx, apex, project, environment); err != nil {
		return err
	}
	d, stored, err := s.findDelegation(ctx, apex)
	if fault.Is(err, fault.NotFound) {
		spec := DelegationSpec{Zone: zoneID, Project: project, Environment: environment, Pair: choosePair(project, s.servers(), nil)}
		plan.Create(DelegationType(), "", "", apex, mustJSON(spec))
		return nil
	}
	if err != nil {
		return err
	}
	spec := d.Spec
	if spec.Zone == zoneID {
		return nil
	}
	if spec.Zone != "" {
		if err := s.mayTake(ctx, apex, spec, project, environment); err != nil {
			return err
		}
	}
	if spec.Project != project {
		spec.Past = append(slices.DeleteFunc(slices.Clone(spec.Past), func(p []int) bool { return slices.Equal(p, spec.Pair) }), spec.Pair)
		spec.Owners = append(slices.DeleteFunc(slices.Clone(spec.Owners), func(o string) bool { return o == spec.Project }), spec.Project)
		if n := len(spec.Owners); n > 20 {
			spec.Owners = spec.Owners[n-20:]
		}
		spec.Pair = choosePair(project, s.servers(), spec.Past)
	}
	spec.Zone, spec.Project, spec.Environment = zoneID, project, environment
	plan.Update(stored, mustJSON(spec))
	return nil
}

// mayTake tells whether an apex that a zone has may go to another project: who
// has proved the domain goes before who has only made a zone.
func (s *Service) mayTake(ctx context.Context, apex string, held DelegationSpec, project, environment string) error {
	_, err := s.Store.Get(ctx, Kind, held.Zone)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if held.Project == project {
		return fault.New(fault.Conflict, "the environment %q of this project has this zone: remove it there first", held.Environment).About("zone " + apex)
	}
	mine, err := s.verified(ctx, project, environment, apex)
	if err != nil {
		return err
	}
	theirs, err := s.verified(ctx, held.Project, held.Environment, apex)
	if err != nil {
		return err
	}
	if !theirs && (mine || s.kept(apex, held.Project) != "") {
		return nil
	}
	return fault.New(fault.Conflict, "another project has this zone: verify the domain here to take it over, or have it removed there").About("zone " + apex)
}

// mayHave refuses a zone that is kept from the project, or below another
// project's zone, without the claim on it.
func (s *Service) mayHave(ctx context.Context, apex, project, environment string) error {
	if why := s.kept(apex, project); why != "" {
		ok, err := s.verified(ctx, project, environment, apex)
		if err != nil {
			return err
		}
		if !ok {
			return fault.New(fault.Conflict, "%s", why).About("zone " + apex)
		}
	}
	for above := parentName(apex); above != ""; above = parentName(above) {
		d, _, err := s.findDelegation(ctx, above)
		if fault.Is(err, fault.NotFound) || err == nil && (d.Spec.Zone == "" || d.Spec.Project == project) {
			continue
		}
		if err != nil {
			return err
		}
		if ok, err := s.verified(ctx, project, environment, apex); err != nil || ok {
			return err
		}
		return fault.New(fault.Conflict, "another project has the zone %s above it: verify the domain %s first", above, apex).About("zone " + apex)
	}
	return nil
}

func (s *Service) verified(ctx context.Context, project, environment, name string) (bool, error) {
	if s.Ownership == nil {
		return false, nil
	}
	return s.Ownership.Verified(ctx, project, environment, name)
}

func parentName(name string) string {
	_, rest, _ := strings.Cut(name, ".")
	return rest
}

// take gives an apex to a zone where it may have it. held says why not.
func (s *Service) take(ctx context.Context, z Zone) (d Delegation, held string, err error) {
	for attempt := 1; ; attempt++ {
		plan := resource.NewPlan(z.Project, z.Environment)
		err := s.planDelegation(ctx, &plan, z.Name, z.ID, z.Project, z.Environment)
		if fault.Is(err, fault.Conflict) {
			return Delegation{}, err.Error(), nil
		}
		if err != nil {
			return Delegation{}, "", err
		}
		if plan.Empty() {
			d, _, err := s.findDelegation(ctx, z.Name)
			return d, "", err
		}
		plan.Reason = "the zone " + z.Name + " gets its name servers"
		_, err = s.Store.Commit(ctx, plan.Commit(resource.Cause{Actor: "system reconciler", Via: "system"}))
		if err != nil && (attempt == 3 || !fault.Is(err, fault.Conflict) && !fault.Is(err, fault.Stale)) {
			return Delegation{}, "", err
		}
	}
}

// release notes that an apex has no zone any more; who had it is remembered.
func (s *Service) release(ctx context.Context, apex, zoneID string) error {
	d, stored, err := s.findDelegation(ctx, apex)
	if fault.Is(err, fault.NotFound) || err == nil && d.Spec.Zone != zoneID {
		return nil
	}
	if err != nil {
		return err
	}
	spec := d.Spec
	spec.Zone = ""
	plan := resource.NewPlan("", "")
	plan.Reason = "the zone " + apex + " was removed"
	plan.Update(stored, mustJSON(spec))
	_, err = s.Store.Commit(ctx, plan.Commit(resource.Cause{Actor: "system reconciler", Via: "system"}))
	if fault.Is(err, fault.Stale) || fault.Is(err, fault.NotFound) {
		return nil // somebody took it
	}
	return err
}
