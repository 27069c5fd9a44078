package authority

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// step is what lies between two CAs that Order has put in a row.
const step = 10

// Order plans to have CAs tried in the order of their names; those that are not
// named come after, as they are. Default may be named also where it is the CA of
// the command line, whose priority is fixed: then the others are put around it.
// Nothing changes where the order is so already. Errors: Invalid, NotFound.
func (s *Service) Order(ctx context.Context, names []string) (resource.Plan, error) {
	plan := resource.NewPlan("", "")
	list, err := List(ctx, s.store)
	if err != nil {
		return plan, err
	}
	fixed := !slices.ContainsFunc(list, func(ca CA) bool { return ca.Name == Default })
	if fixed {
		ca := CA{Spec: Spec{Priority: DefaultPriority}}
		ca.Name = Default
		list = append(list, ca)
	}
	slices.SortStableFunc(list, func(a, b CA) int {
		return cmp.Or(cmp.Compare(a.Spec.Priority, b.Spec.Priority), cmp.Compare(a.Name, b.Name))
	})
	wanted, rest := make([]CA, 0, len(list)), slices.Clone(list)
	for i, name := range names {
		name = strings.ToLower(strings.TrimSpace(name))
		at := slices.IndexFunc(rest, func(ca CA) bool { return ca.Name == name })
		switch {
		case at >= 0:
			wanted, rest = append(wanted, rest[at]), slices.Delete(rest, at, at+1)
		case slices.ContainsFunc(wanted, func(ca CA) bool { return ca.Name == name }):
			return plan, fault.InvalidField(fmt.Sprintf("/authorities/%d", i), fmt.Sprintf("%s is named twice", name), "name each CA once")
		default:
			_, err := s.findCA(ctx, name)
			return plan, err
		}
	}
	wanted = append(wanted, rest...)
	if slices.EqualFunc(wanted, list, func(a, b CA) bool { return a.Name == b.Name }) {
		return plan, nil
	}
	first, apart := step, step
	if fixed {
		at := slices.IndexFunc(wanted, func(ca CA) bool { return ca.Name == Default })
		if before := max(at, 1); before*apart > DefaultPriority {
			apart = DefaultPriority / before
		}
		if apart == 0 {
			return plan, fault.InvalidField("/authorities", fmt.Sprintf("more than %d CAs cannot come before the one of the command line", DefaultPriority), "add one named default in its place")
		}
		first = DefaultPriority - at*apart
	}
	typ := Type()
	for i, ca := range wanted {
		if fixed && ca.Name == Default {
			continue
		}
		stored, err := s.findCA(ctx, ca.Name)
		if err != nil {
			return plan, err
		}
		ca.Spec.Priority = first + i*apart
		raw, err := json.Marshal(ca.Spec)
		if err == nil {
			raw, err = typ.Normalize(ca.Name, raw)
		}
		if err != nil {
			return plan, err
		}
		plan.Update(stored, raw)
	}
	plan.Reason = "the order of CAs"
	return plan, nil
}
