package zones

import (
	"context"
	"fmt"
	"slices"
)

// targetless warns of targets that no edge is now: a set that has nothing else is
// not answered at all, which a slip in an ID looks like.
func (s *Service) targetless(ctx context.Context, full string, spec RRsetSpec) []string {
	targets := []*Target{spec.Target}
	if spec.Steering != nil {
		for _, a := range spec.Steering.Answers {
			targets = append(targets, a.Target)
		}
	}
	targets = slices.DeleteFunc(targets, func(t *Target) bool { return t == nil || t.Kind == TargetEdges })
	if s.Places == nil || len(targets) == 0 {
		return nil
	}
	places, err := s.Places.Places(ctx)
	if err != nil {
		return nil // what is not known is not warned of
	}
	var out []string
	for _, t := range targets {
		if !slices.ContainsFunc(places, func(p Place) bool {
			return t.Kind == TargetEdge && (p.ID == t.ID || p.Name == t.ID) || t.Kind == TargetRegion && p.Region == t.ID
		}) {
			out = append(out, fmt.Sprintf("%s leads to the %s %s, and no edge there takes traffic now: check its name, see `edgewright edges list`", full, t.Kind, t.ID))
		}
	}
	return out
}
