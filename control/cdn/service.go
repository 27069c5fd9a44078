package cdn

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
	"github.com/edgewright/edgewright/netguard"
)

// Users knows which domains use a configuration; domains.Users is one.
type Users interface {
	// UsersOfCDN returns the names of the domains, in order, at most limit.
	UsersOfCDN(ctx context.Context, project, environment, name string, limit int) ([]string, error)
}

// Service holds the use cases of CDN configurations. Its methods may be called
// from any goroutine.
type Service struct {
	store resource.Store
	typ   resource.Type
	users Users
}

// New returns the service. origins is the operator's address policy for
// origins; nil refuses everything but public addresses.
func New(store resource.Store, origins *netguard.Policy, users Users) *Service {
	return &Service{store: store, typ: Type(origins), users: users}
}

// PlanConfigure plans to create or replace the configuration of that name (""
// is "default"). With ifRevision not 0 it must exist in that revision (Stale).
// Errors: Invalid with pointers into the spec.
func (s *Service) PlanConfigure(ctx context.Context, project, environment, name string, spec json.RawMessage, ifRevision int64) (resource.Plan, error) {
	name, err := canonicalName(name)
	if err != nil {
		return resource.Plan{}, err
	}
	normalized, err := s.typ.Normalize(name, spec)
	if err != nil {
		return resource.Plan{}, err
	}
	plan := resource.NewPlan(project, environment)
	current, err := s.find(ctx, project, environment, name)
	switch {
	case fault.Is(err, fault.NotFound) && ifRevision == 0:
		plan.Create(s.typ, project, environment, name, normalized)
	case err != nil:
		return resource.Plan{}, err
	default:
		if err := checkRevision(current, ifRevision); err != nil {
			return resource.Plan{}, err
		}
		plan.Update(current, normalized)
	}
	plan.Warnings = warnings(normalized)
	return plan, nil
}

// Configure creates or replaces a configuration.
func (s *Service) Configure(ctx context.Context, project, environment, name string, spec json.RawMessage, ifRevision int64, cause resource.Cause) (CDN, error) {
	plan, err := s.PlanConfigure(ctx, project, environment, name, spec, ifRevision)
	if err != nil {
		return CDN{}, err
	}
	if !plan.Empty() {
		if _, err := s.store.Commit(ctx, plan.Commit(cause)); err != nil {
			return CDN{}, err
		}
	}
	return s.Get(ctx, project, environment, name)
}

// Get returns a configuration by name ("" is "default"). Errors: NotFound.
func (s *Service) Get(ctx context.Context, project, environment, name string) (CDN, error) {
	name, err := canonicalName(name)
	if err != nil {
		return CDN{}, err
	}
	r, err := s.find(ctx, project, environment, name)
	if err != nil {
		return CDN{}, err
	}
	return Decode(r)
}

// List returns a page of configurations in order of ID.
func (s *Service) List(ctx context.Context, project, environment string, limit int, cursor string) ([]CDN, string, error) {
	page, err := s.store.List(ctx, resource.Query{Kind: Kind, Project: project, Environment: environment, Limit: limit, Cursor: cursor})
	if err != nil {
		return nil, "", err
	}
	list := make([]CDN, 0, len(page.Items))
	for _, r := range page.Items {
		c, err := Decode(r)
		if err != nil {
			return nil, "", err
		}
		list = append(list, c)
	}
	return list, page.Next, nil
}

// PlanDelete plans to delete a configuration. Errors: NotFound, Stale, Conflict
// while domains use it, naming them.
func (s *Service) PlanDelete(ctx context.Context, project, environment, name string, ifRevision int64) (resource.Plan, error) {
	name, err := canonicalName(name)
	if err != nil {
		return resource.Plan{}, err
	}
	current, err := s.find(ctx, project, environment, name)
	if err != nil {
		return resource.Plan{}, err
	}
	if err := checkRevision(current, ifRevision); err != nil {
		return resource.Plan{}, err
	}
	if s.users != nil {
		const shown = 5
		users, err := s.users.UsersOfCDN(ctx, project, environment, name, shown+1)
		if err != nil {
			return resource.Plan{}, err
		}
		if len(users) > 0 {
			text := strings.Join(users, ", ")
			if len(users) > shown {
				text = strings.Join(users[:shown], ", ") + " and more"
			}
			return resource.Plan{}, fault.New(fault.Conflict, "it is used by %s: give them another configuration first, or remove them", text).About("cdn " + name)
		}
	}
	plan := resource.NewPlan(project, environment)
	plan.Delete(current)
	return plan, nil
}

// Delete deletes a configuration that no domain uses.
func (s *Service) Delete(ctx context.Context, project, environment, name string, ifRevision int64, cause resource.Cause) error {
	plan, err := s.PlanDelete(ctx, project, environment, name, ifRevision)
	if err != nil {
		return err
	}
	_, err = s.store.Commit(ctx, plan.Commit(cause))
	return err
}

// AddForOrigin appends to a plan the creation of a configuration with one
// origin. domains uses it when a domain is added together with its origin.
// Errors: Invalid at /origin; Conflict when the name is taken.
func (s *Service) AddForOrigin(ctx context.Context, plan *resource.Plan, name, originURL string) error {
	spec, err := s.typ.Normalize(name, DefaultSpec(originURL).Encode())
	if err != nil {
		if f, ok := err.(*fault.Error); ok && len(f.Fields) > 0 {
			return fault.InvalidField("/origin", f.Fields[0].Detail, f.Fields[0].Fix)
		}
		return err
	}
	_, err = s.find(ctx, plan.Project, plan.Environment, name)
	switch {
	case err == nil:
		return fault.New(fault.Conflict, "a configuration of this name exists: name it as the domain's cdn, or change its origin").About("cdn " + name)
	case !fault.Is(err, fault.NotFound):
		return err
	}
	plan.Create(s.typ, plan.Project, plan.Environment, name, spec)
	return nil
}

// Exists reports whether a configuration of that name is there.
func (s *Service) Exists(ctx context.Context, project, environment, name string) (bool, error) {
	_, err := s.find(ctx, project, environment, name)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return err == nil, err
}

func (s *Service) find(ctx context.Context, project, environment, name string) (resource.Resource, error) {
	page, err := s.store.List(ctx, resource.Query{Kind: Kind, Project: project, Environment: environment, Name: name, Limit: 1})
	if err != nil {
		return resource.Resource{}, err
	}
	if len(page.Items) == 0 {
		return resource.Resource{}, fault.New(fault.NotFound, "there is no CDN configuration of this name: create it with POST /api/v1/infrastructure/cdn").About("cdn " + name)
	}
	return page.Items[0], nil
}

func checkRevision(r resource.Resource, ifRevision int64) error {
	if ifRevision != 0 && r.Revision != ifRevision {
		return fault.New(fault.Stale, "it is at revision %d, you saw %d: read it again and repeat your change", r.Revision, ifRevision).About("cdn " + r.Name)
	}
	return nil
}

// warnings lists what is allowed but rarely meant.
func warnings(normalized json.RawMessage) []string {
	var spec Spec
	if json.Unmarshal(normalized, &spec) != nil {
		return nil
	}
	var list []string
	for i, o := range spec.Origins {
		if o.SkipVerify {
			list = append(list, fmt.Sprintf("origin %q accepts any certificate: whoever stands between edge and origin can read and change everything", o.Name))
		}
		if i > 0 && strings.HasPrefix(o.URL, "http:") != strings.HasPrefix(spec.Origins[0].URL, "http:") {
			list = append(list, fmt.Sprintf("origin %q does not use the scheme of origin %q", o.Name, spec.Origins[0].Name))
		}
	}
	for i, r := range spec.CacheRules {
		if r.Glob() == "/**" && i < len(spec.CacheRules)-1 {
			list = append(list, fmt.Sprintf("rule %d matches everything, so the rules after it are never reached", i))
		}
	}
	return list
}
