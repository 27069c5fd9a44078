package dnsproviders

import (
	"context"
	"slices"
)

// Accounts lists the names of a project's providers of a driver ("": of any), in
// order.
func (s *Service) Accounts(ctx context.Context, project, environment, driver string) ([]string, error) {
	var names []string
	for cursor := ""; ; {
		list, next, err := s.List(ctx, project, environment, 1000, cursor)
		if err != nil {
			return nil, err
		}
		for _, p := range list {
			if driver == "" || p.Spec.Driver == driver {
				names = append(names, p.Name)
			}
		}
		if cursor = next; cursor == "" {
			slices.Sort(names)
			return names, nil
		}
	}
}
