package projects

import (
	"context"
	"encoding/json"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// Bounds of a project.
const maxEnvironments = 50

// Environments lists a project's environments in the order they were made.
func (s *Service) Environments(ctx context.Context, project string) ([]Environment, error) {
	page, err := s.store.List(ctx, resource.Query{Kind: KindEnvironment, Project: project, Limit: maxEnvironments})
	if err != nil {
		return nil, err
	}
	list := make([]Environment, 0, len(page.Items))
	for _, r := range page.Items {
		e, err := resource.Decode[EnvironmentSpec, Status](r)
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	return list, nil
}

// Environment returns an environment by name, or NotFound.
func (s *Service) Environment(ctx context.Context, project, name string) (Environment, error) {
	r, err := s.environment(ctx, project, name)
	if err != nil {
		return Environment{}, err
	}
	return resource.Decode[EnvironmentSpec, Status](r)
}

func (s *Service) environment(ctx context.Context, project, name string) (resource.Resource, error) {
	unknown := fault.New(fault.NotFound, "the project has no such environment; see `edgewright projects`").About("environment " + name)
	if !plain(name) {
		return resource.Resource{}, unknown
	}
	page, err := s.store.List(ctx, resource.Query{Kind: KindEnvironment, Project: project, Name: name, Limit: 1})
	if err != nil {
		return resource.Resource{}, err
	}
	if len(page.Items) == 0 {
		return resource.Resource{}, unknown
	}
	return page.Items[0], nil
}

// PlanAddEnvironment plans a new environment. Errors: Invalid, Conflict.
func (s *Service) PlanAddEnvironment(ctx context.Context, project, name string, spec EnvironmentSpec) (resource.Plan, error) {
	p := resource.NewPlan(project, "")
	name, err := checkName(name)
	if err != nil {
		return p, err
	}
	have, err := s.Environments(ctx, project)
	if err != nil {
		return p, err
	}
	if len(have) >= maxEnvironments {
		return p, fault.New(fault.TooLarge, "a project has at most %d environments; delete one first", maxEnvironments)
	}
	for _, e := range have {
		if e.Name == name {
			return p, fault.New(fault.Conflict, "the project has an environment %q already", name).About("environment " + name)
		}
	}
	body, err := json.Marshal(spec)
	if err != nil {
		return p, err
	}
	if body, err = EnvironmentType().Normalize(name, body); err != nil {
		return p, err
	}
	p.Create(EnvironmentType(), project, "", name, body)
	return p, nil
}

// AddEnvironment makes an environment.
func (s *Service) AddEnvironment(ctx context.Context, project, name string, spec EnvironmentSpec, cause resource.Cause) (Environment, error) {
	p, err := s.PlanAddEnvironment(ctx, project, name, spec)
	if err != nil {
		return Environment{}, err
	}
	done, err := s.store.Commit(ctx, p.Commit(cause))
	if err != nil {
		return Environment{}, err
	}
	return resource.Decode[EnvironmentSpec, Status](done.Resources[0])
}

// PlanDeleteEnvironment plans the deletion of an environment. Errors: Conflict
// while it holds something, or for a project's last one.
func (s *Service) PlanDeleteEnvironment(ctx context.Context, project, name string, ifRevision int64) (resource.Plan, error) {
	p := resource.NewPlan(project, "")
	r, err := s.environment(ctx, project, name)
	if err != nil {
		return p, err
	}
	if err := checkRevision(r, ifRevision); err != nil {
		return p, err
	}
	have, err := s.Environments(ctx, project)
	if err != nil {
		return p, err
	}
	if len(have) < 2 {
		return p, fault.New(fault.Conflict, "this is the project's last environment; delete the project instead").About("environment " + name)
	}
	if err := s.checkEmpty(ctx, project, name, "environment "+name); err != nil {
		return p, err
	}
	p.Delete(r)
	return p, nil
}

// DeleteEnvironment deletes an empty environment.
func (s *Service) DeleteEnvironment(ctx context.Context, project, name string, ifRevision int64, cause resource.Cause) error {
	p, err := s.PlanDeleteEnvironment(ctx, project, name, ifRevision)
	if err != nil {
		return err
	}
	_, err = s.store.Commit(ctx, p.Commit(cause))
	return err
}
