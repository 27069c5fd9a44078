package projects

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// Occupants lists what lives in environments, so that nothing is deleted with
// something in it. resource.Store's List does it for each kind.
type Occupants []resource.Kind

// Service is the room's use cases.
type Service struct {
	store     resource.Store
	occupants Occupants
}

// New returns a Service. occupants are the kinds of environment scope.
func New(store resource.Store, occupants Occupants) *Service {
	return &Service{store: store, occupants: occupants}
}

// Bootstrap makes the default project on the first start.
func (s *Service) Bootstrap(ctx context.Context) error {
	_, err := s.store.Get(ctx, Kind, Default)
	if err == nil || !fault.Is(err, fault.NotFound) {
		return err
	}
	_, err = s.store.Commit(ctx, resource.Commit{
		Changes: creation(Default, Default, json.RawMessage(`{"title":"Default"}`)),
		Cause:   resource.Cause{Actor: "system bootstrap", Via: "system", Reason: "first start"},
	})
	if fault.Is(err, fault.Conflict) { // another control plane was first
		return nil
	}
	return err
}

func creation(id, name string, spec json.RawMessage) []resource.Change {
	changes := []resource.Change{{Op: resource.Create, Kind: Kind, ID: id, Name: name, Spec: spec}}
	for _, e := range firstEnvironments {
		changes = append(changes, resource.Change{
			Op: resource.Create, Kind: KindEnvironment, ID: EnvironmentType().NewID(), Project: id, Name: e, Spec: json.RawMessage(`{}`),
		})
	}
	return changes
}

// PlanCreate plans a project with its first environments. Errors: Invalid,
// Conflict (name taken).
func (s *Service) PlanCreate(ctx context.Context, name string, spec Spec) (resource.Plan, error) {
	p := resource.NewPlan("", "")
	name, err := checkName(name)
	if err != nil {
		return p, err
	}
	if _, err := s.byName(ctx, name); err == nil {
		return p, fault.New(fault.Conflict, "there is a project %q already; choose another name", name).About("project " + name)
	} else if !fault.Is(err, fault.NotFound) {
		return p, err
	}
	body, err := json.Marshal(spec)
	if err != nil {
		return p, err
	}
	if body, err = Type().Normalize(name, body); err != nil {
		return p, err
	}
	p.Create(Type(), "", "", name, body)
	id := p.Actions[0].ID
	for _, e := range firstEnvironments {
		p.Create(EnvironmentType(), id, "", e, json.RawMessage(`{}`))
	}
	return p, nil
}

// Create makes a project.
func (s *Service) Create(ctx context.Context, name string, spec Spec, cause resource.Cause) (Project, error) {
	p, err := s.PlanCreate(ctx, name, spec)
	if err != nil {
		return Project{}, err
	}
	done, err := s.store.Commit(ctx, p.Commit(cause))
	if err != nil {
		return Project{}, err
	}
	return resource.Decode[Spec, Status](done.Resources[0])
}

// Get returns a project by ID or name.
func (s *Service) Get(ctx context.Context, idOrName string) (Project, error) {
	if !plain(idOrName) {
		return Project{}, fault.New(fault.NotFound, "there is no such project")
	}
	r, err := s.store.Get(ctx, Kind, idOrName)
	if fault.Is(err, fault.NotFound) {
		r, err = s.byName(ctx, strings.ToLower(idOrName))
	}
	if err != nil {
		return Project{}, err
	}
	return resource.Decode[Spec, Status](r)
}

func (s *Service) byName(ctx context.Context, name string) (resource.Resource, error) {
	page, err := s.store.List(ctx, resource.Query{Kind: Kind, Name: name, Limit: 1})
	if err != nil {
		return resource.Resource{}, err
	}
	if len(page.Items) == 0 {
		return resource.Resource{}, fault.New(fault.NotFound, "there is no such project").About("project " + name)
	}
	return page.Items[0], nil
}

// List returns a page of all projects, whoever they belong to.
func (s *Service) List(ctx context.Context, cursor string, limit int) ([]Project, string, error) {
	page, err := s.store.List(ctx, resource.Query{Kind: Kind, Limit: limit, Cursor: cursor})
	if err != nil {
		return nil, "", err
	}
	list := make([]Project, 0, len(page.Items))
	for _, r := range page.Items {
		p, err := resource.Decode[Spec, Status](r)
		if err != nil {
			return nil, "", err
		}
		list = append(list, p)
	}
	return list, page.Next, nil
}

// PlanUpdate plans a change of a project's texts.
func (s *Service) PlanUpdate(ctx context.Context, id string, spec Spec, ifRevision int64) (resource.Plan, error) {
	p := resource.NewPlan("", "")
	r, err := s.store.Get(ctx, Kind, id)
	if err != nil {
		return p, err
	}
	if err := checkRevision(r, ifRevision); err != nil {
		return p, err
	}
	body, err := json.Marshal(spec)
	if err != nil {
		return p, err
	}
	if body, err = Type().Normalize(r.Name, body); err != nil {
		return p, err
	}
	p.Update(r, body)
	return p, nil
}

// Update changes a project's texts.
func (s *Service) Update(ctx context.Context, id string, spec Spec, ifRevision int64, cause resource.Cause) (Project, error) {
	p, err := s.PlanUpdate(ctx, id, spec, ifRevision)
	if err != nil {
		return Project{}, err
	}
	if !p.Empty() {
		if _, err := s.store.Commit(ctx, p.Commit(cause)); err != nil {
			return Project{}, err
		}
	}
	return s.Get(ctx, id)
}

// PlanDelete plans the deletion of a project with its environments. Errors:
// Conflict while an environment holds something, or for the default project.
func (s *Service) PlanDelete(ctx context.Context, id string, ifRevision int64) (resource.Plan, error) {
	p := resource.NewPlan("", "")
	r, err := s.store.Get(ctx, Kind, id)
	if err != nil {
		return p, err
	}
	if err := checkRevision(r, ifRevision); err != nil {
		return p, err
	}
	if id == Default {
		return p, fault.New(fault.Conflict, "the default project cannot be deleted: requests that name no project mean it").About("project " + id)
	}
	if err := s.checkEmpty(ctx, id, "", "project "+r.Name); err != nil {
		return p, err
	}
	environments, err := s.Environments(ctx, id)
	if err != nil {
		return p, err
	}
	for _, e := range environments {
		er, err := s.store.Get(ctx, KindEnvironment, e.ID)
		if err != nil {
			return p, err
		}
		p.Delete(er)
	}
	p.Delete(r)
	return p, nil
}

// Delete deletes an empty project with its environments.
func (s *Service) Delete(ctx context.Context, id string, ifRevision int64, cause resource.Cause) error {
	p, err := s.PlanDelete(ctx, id, ifRevision)
	if err != nil {
		return err
	}
	_, err = s.store.Commit(ctx, p.Commit(cause))
	return err
}

// checkEmpty refuses with the names of some of what is in the way.
func (s *Service) checkEmpty(ctx context.Context, project, environment, what string) error {
	var found []string
	for _, kind := range s.occupants {
		page, err := s.store.List(ctx, resource.Query{Kind: kind, Project: project, Environment: environment, Limit: 5})
		if err != nil {
			return err
		}
		for _, r := range page.Items {
			found = append(found, fmt.Sprintf("%s %s", kind, r.Name))
		}
	}
	if len(found) == 0 {
		return nil
	}
	return fault.New(fault.Conflict, "%s is not empty: delete %s first", what, strings.Join(found, ", ")).About(what)
}

func checkRevision(r resource.Resource, want int64) error {
	if want != 0 && r.Revision != want {
		return fault.New(fault.Stale, "it was changed since you read it (revision %d, you have %d); read it again and repeat the change", r.Revision, want).
			About(string(r.Kind) + " " + r.Name)
	}
	return nil
}

// plain reports whether a text from outside can be a name or an ID at all. What
// cannot is not asked of the database, which may not even take it.
func plain(text string) bool {
	return text != "" && len(text) <= 64 && !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
}
