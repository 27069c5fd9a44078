package authority

import (
	"context"
	"encoding/json"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// maxPriority bounds where a CA can stand in the order of use.
const maxPriority = 10_000

// Place is where a CA stands in the order of use.
type Place struct {
	Name     string
	Priority int
	Fixed    bool // the one of the command line, whose priority cannot be changed
}

// Arrange returns new priorities with which CAs are tried in the order given. The
// one at moved gets one between its neighbours where there is room, and nothing
// else changes; else all do that can.
func Arrange(order []Place, moved int) map[string]int {
	low, high := -1, 0
	if moved > 0 {
		low = order[moved-1].Priority
	}
	if moved+1 < len(order) {
		high = order[moved+1].Priority
	} else {
		high = min(low+2*DefaultPriority, maxPriority+1)
	}
	if !order[moved].Fixed && high-low > 1 {
		return map[string]int{order[moved].Name: low + (high-low)/2}
	}
	changed := map[string]int{}
	spread := func(some []Place, low, high int) {
		step := max(1, min(DefaultPriority, (high-low)/(len(some)+1)))
		for i, p := range some {
			if at := low + step*(i+1); at != p.Priority {
				changed[p.Name] = at
			}
		}
	}
	for i, p := range order {
		if p.Fixed {
			spread(order[:i], -1, p.Priority)
			spread(order[i+1:], p.Priority, maxPriority+1)
			return changed
		}
	}
	spread(order, 0, maxPriority+1)
	return changed
}

// MoveCAs plans new priorities of CAs that the operator has added, by name.
// Errors: NotFound; Invalid when one has no room.
func (s *Service) MoveCAs(ctx context.Context, priorities map[string]int) (resource.Plan, error) {
	plan := resource.NewPlan("", "")
	list, err := List(ctx, s.store)
	if err != nil {
		return plan, err
	}
	for _, ca := range list {
		priority, ok := priorities[ca.Name]
		if !ok {
			continue
		}
		current, err := s.findCA(ctx, ca.Name)
		if err != nil {
			return plan, err
		}
		ca.Spec.Priority = priority
		wanted, err := json.Marshal(ca.Spec)
		if err != nil {
			return plan, err
		}
		raw, err := Type().Normalize(ca.Name, wanted)
		if err != nil {
			return plan, err
		}
		plan.Update(current, raw)
	}
	if len(plan.Actions) < len(priorities) {
		return plan, fault.New(fault.NotFound, "there is no such CA: list them with GET /api/v1/infrastructure/certificate-authorities")
	}
	return plan, nil
}
