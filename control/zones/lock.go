package zones

import (
	"context"

	"github.com/edgewright/edgewright/control/resource"
)

// Locks tells what locked domains hold; domains.Service is one.
type Locks interface {
	// CheckUnlocked refuses, as Conflict, to change or remove records of a name.
	CheckUnlocked(ctx context.Context, project, environment, name string) error
	// CheckZoneUnlocked refuses, as Conflict, to remove a zone.
	CheckZoneUnlocked(ctx context.Context, project, environment, apex string) error
}

// unlocked asks for every set that a plan changes or removes whether it may.
// New sets take nothing away.
func (s *Service) unlocked(ctx context.Context, plan resource.Plan) error {
	if s.Locks == nil {
		return nil
	}
	asked := map[string]bool{}
	for _, a := range plan.Actions {
		if a.Kind != KindRRset || a.Op == resource.Create {
			continue
		}
		owner, _, apex, err := ParseRRsetName(a.Name)
		if err != nil {
			return err
		}
		name := FullName(owner, apex)
		if asked[name] {
			continue
		}
		asked[name] = true
		if err := s.Locks.CheckUnlocked(ctx, plan.Project, plan.Environment, name); err != nil {
			return err
		}
	}
	return nil
}
