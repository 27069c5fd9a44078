package api

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/control/projects"
	"github.com/edgewright/edgewright/fault"
)

// Project is a tenant's space.
type Project struct {
	ID           string    `json:"id"`
	Name         string    `json:"name" doc:"Unique on the platform; usable wherever project_id is asked for"`
	Title        string    `json:"title"`
	Description  string    `json:"description"`
	Role         string    `json:"role" doc:"The caller's"`
	Revision     int64     `json:"revision"`
	CreatedAt    time.Time `json:"created_at"`
	UpdatedAt    time.Time `json:"updated_at"`
	Environments []string  `json:"environments"`
}

// NewProject is a project to be made.
type NewProject struct {
	Name        string `json:"name" doc:"Lower-case letters, digits and hyphens" maxLength:"40"`
	Title       string `json:"title,omitempty" maxLength:"100"`
	Description string `json:"description,omitempty" maxLength:"1000"`
}

// ProjectPatch changes what is present.
type ProjectPatch struct {
	Title       *string `json:"title,omitempty" maxLength:"100"`
	Description *string `json:"description,omitempty" maxLength:"1000"`
}

// ProjectAnswer holds one project.
type ProjectAnswer struct {
	Project Project `json:"project"`
}

// ProjectList is a page of projects.
type ProjectList struct {
	Projects   []Project `json:"projects"`
	NextCursor string    `json:"next_cursor"`
}

// Environment is a stage of a project.
type Environment struct {
	ID          string    `json:"id"`
	Project     string    `json:"project_id"`
	Name        string    `json:"name"`
	Description string    `json:"description"`
	Revision    int64     `json:"revision"`
	CreatedAt   time.Time `json:"created_at"`
}

// NewEnvironment is an environment to be made.
type NewEnvironment struct {
	Name        string `json:"name" maxLength:"40"`
	Description string `json:"description,omitempty" maxLength:"1000"`
}

// EnvironmentAnswer holds one environment.
type EnvironmentAnswer struct {
	Environment Environment `json:"environment"`
}

// EnvironmentList is all environments of a project.
type EnvironmentList struct {
	Environments []Environment `json:"environments"`
	NextCursor   string        `json:"next_cursor"`
}

type newProjectInput struct {
	InDryRun
	InKey
	Body NewProject
}

type patchProjectInput struct {
	InProjectPath
	InDryRun
	InMatch
	Body ProjectPatch
}

type deleteProjectInput struct {
	InProjectPath
	InDryRun
	InMatch
}

type newEnvironmentInput struct {
	InProjectPath
	InDryRun
	InKey
	Body NewEnvironment
}

type deleteEnvironmentInput struct {
	InProjectPath
	InDryRun
	InMatch
	Environment string `path:"environment" maxLength:"64"`
}

func (s *Server) addProjects() {
	const tag = "Projects"
	add(s, op{
		method: http.MethodGet, path: "/api/v1/projects", id: "projects-list", tag: tag, summary: "Projects that the caller may see",
		level: anyProject, resource: access.Projects, verb: access.Read, answers: []answerDoc{{http.StatusOK, ProjectList{}, ""}},
	}, s.listProjects)
	add(s, op{
		method: http.MethodPost, path: "/api/v1/projects", id: "projects-create", tag: tag, summary: "Make a project with its first environments",
		level: onPlatform, resource: access.Projects, verb: access.Write, answers: []answerDoc{{http.StatusCreated, ProjectAnswer{}, ""}},
	}, s.createProject)
	add(s, op{
		method: http.MethodGet, path: "/api/v1/projects/{project}", id: "projects-get", tag: tag, summary: "One project",
		level: onProject, resource: access.Projects, verb: access.Read, answers: []answerDoc{{http.StatusOK, ProjectAnswer{}, ""}},
	}, s.getProject)
	add(s, op{
		method: http.MethodPatch, path: "/api/v1/projects/{project}", id: "projects-update", tag: tag, summary: "Change a project's texts",
		level: onProject, resource: access.Projects, verb: access.Write, answers: []answerDoc{{http.StatusOK, ProjectAnswer{}, ""}},
	}, s.updateProject)
	add(s, op{
		method: http.MethodDelete, path: "/api/v1/projects/{project}", id: "projects-delete", tag: tag, summary: "Delete an empty project",
		level: onProject, resource: access.Projects, verb: access.Delete, answers: []answerDoc{{http.StatusNoContent, nil, ""}},
	}, s.deleteProject)
	add(s, op{
		method: http.MethodGet, path: "/api/v1/projects/{project}/environments", id: "environments-list", tag: tag, summary: "Environments of a project",
		level: onProject, resource: access.Environments, verb: access.Read, answers: []answerDoc{{http.StatusOK, EnvironmentList{}, ""}},
	}, s.listEnvironments)
	add(s, op{
		method: http.MethodPost, path: "/api/v1/projects/{project}/environments", id: "environments-create", tag: tag, summary: "Make an environment",
		level: onProject, resource: access.Environments, verb: access.Write, answers: []answerDoc{{http.StatusCreated, EnvironmentAnswer{}, ""}},
	}, s.createEnvironment)
	add(s, op{
		method: http.MethodDelete, path: "/api/v1/projects/{project}/environments/{environment}", id: "environments-delete", tag: tag,
		summary: "Delete an empty environment",
		level:   onProject, resource: access.Environments, verb: access.Delete, answers: []answerDoc{{http.StatusNoContent, nil, ""}},
	}, s.deleteEnvironment)
}

func (s *Server) projectOf(ctx context.Context, c *call, p projects.Project) (Project, error) {
	environments, err := s.projects.Environments(ctx, p.ID)
	if err != nil {
		return Project{}, err
	}
	names := make([]string, 0, len(environments))
	for _, e := range environments {
		names = append(names, e.Name)
	}
	title := p.Spec.Title
	if title == "" {
		title = p.Name
	}
	return Project{
		ID: p.ID, Name: p.Name, Title: title, Description: p.Spec.Description, Role: string(c.principal.Role(p.ID)),
		Revision: p.Revision, CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt, Environments: names,
	}, nil
}

func (s *Server) projectAnswer(ctx context.Context, c *call, p projects.Project) (*answer, error) {
	out, err := s.projectOf(ctx, c, p)
	if err != nil {
		return nil, err
	}
	return &answer{ETag: etag(p.Revision), Body: ProjectAnswer{out}}, nil
}

// visibleProjects lists a page of the projects the caller may see. Who has a
// role on the platform sees all; for others the few they have are looked up.
func (s *Server) visibleProjects(ctx context.Context, p *access.Principal, cursor string, limit int) ([]projects.Project, string, error) {
	if p.Sees(access.Platform) {
		return s.projects.List(ctx, cursor, limit)
	}
	return s.grantedProjects(ctx, p, cursor, limit)
}

// grantedProjects looks up the projects of somebody without a role on the
// platform. They are few: a page is cut from all of them.
func (s *Server) grantedProjects(ctx context.Context, p *access.Principal, cursor string, limit int) ([]projects.Project, string, error) {
	ids := slices.Sorted(maps.Keys(p.Grants))
	list := []projects.Project{}
	for _, id := range ids {
		if id <= cursor {
			continue
		}
		if len(list) == limit {
			return list, list[limit-1].ID, nil
		}
		found, err := s.projects.Get(ctx, id)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return nil, "", err
		}
		list = append(list, found)
	}
	return list, "", nil
}

func (s *Server) listProjects(ctx context.Context, c *call, in *InPage) (*answer, error) {
	list, next, err := s.visibleProjects(ctx, c.principal, in.Cursor, in.Limit)
	if err != nil {
		return nil, err
	}
	out := ProjectList{Projects: []Project{}, NextCursor: next}
	for _, p := range list {
		if !c.principal.Can(p.ID, access.Projects, access.Read) {
			continue
		}
		shown, err := s.projectOf(ctx, c, p)
		if err != nil {
			return nil, err
		}
		out.Projects = append(out.Projects, shown)
	}
	return &answer{Body: out}, nil
}

func (s *Server) createProject(ctx context.Context, c *call, in *newProjectInput) (*answer, error) {
	spec := projects.Spec{Title: in.Body.Title, Description: in.Body.Description}
	if c.dryRun {
		return planAnswer(s.projects.PlanCreate(ctx, in.Body.Name, spec))
	}
	p, err := s.projects.Create(ctx, in.Body.Name, spec, c.cause)
	if err != nil {
		return nil, err
	}
	if c.principal.User != "" { // who makes a project owns it
		if err := s.access.Grant(ctx, c.principal.User, p.ID, access.Owner, c.caller); err != nil {
			return nil, err
		}
		if c.principal.Kind == access.ByUser {
			c.principal.Grants[p.ID] = access.Owner
		}
	}
	a, err := s.projectAnswer(ctx, c, p)
	if err == nil {
		a.Location = "/api/v1/projects/" + p.ID
	}
	return a, err
}

func (s *Server) getProject(ctx context.Context, c *call, _ *InProjectPath) (*answer, error) {
	p, err := s.projects.Get(ctx, c.project)
	if err != nil {
		return nil, err
	}
	return s.projectAnswer(ctx, c, p)
}

func (s *Server) updateProject(ctx context.Context, c *call, in *patchProjectInput) (*answer, error) {
	had, err := s.projects.Get(ctx, c.project)
	if err != nil {
		return nil, err
	}
	spec := had.Spec
	if in.Body.Title != nil {
		spec.Title = *in.Body.Title
	}
	if in.Body.Description != nil {
		spec.Description = *in.Body.Description
	}
	// The patch was laid over this revision; another one in between is stale.
	if c.ifRevision == 0 {
		c.ifRevision = had.Revision
	}
	if c.dryRun {
		return planAnswer(s.projects.PlanUpdate(ctx, c.project, spec, c.ifRevision))
	}
	p, err := s.projects.Update(ctx, c.project, spec, c.ifRevision, c.cause)
	if err != nil {
		return nil, err
	}
	return s.projectAnswer(ctx, c, p)
}

func (s *Server) deleteProject(ctx context.Context, c *call, _ *deleteProjectInput) (*answer, error) {
	if c.dryRun {
		return planAnswer(s.projects.PlanDelete(ctx, c.project, c.ifRevision))
	}
	if err := s.projects.Delete(ctx, c.project, c.ifRevision, c.cause); err != nil {
		return nil, err
	}
	return &answer{}, s.access.ForgetProject(ctx, c.project, c.caller)
}

func environmentOf(e projects.Environment) Environment {
	return Environment{ID: e.ID, Project: e.Project, Name: e.Name, Description: e.Spec.Description, Revision: e.Revision, CreatedAt: e.CreatedAt}
}

func (s *Server) listEnvironments(ctx context.Context, c *call, _ *InProjectPath) (*answer, error) {
	list, err := s.projects.Environments(ctx, c.project)
	if err != nil {
		return nil, err
	}
	out := EnvironmentList{Environments: []Environment{}}
	for _, e := range list {
		out.Environments = append(out.Environments, environmentOf(e))
	}
	return &answer{Body: out}, nil
}

func (s *Server) createEnvironment(ctx context.Context, c *call, in *newEnvironmentInput) (*answer, error) {
	spec := projects.EnvironmentSpec{Description: in.Body.Description}
	if c.dryRun {
		return planAnswer(s.projects.PlanAddEnvironment(ctx, c.project, in.Body.Name, spec))
	}
	e, err := s.projects.AddEnvironment(ctx, c.project, in.Body.Name, spec, c.cause)
	if err != nil {
		return nil, err
	}
	return &answer{ETag: etag(e.Revision), Body: EnvironmentAnswer{environmentOf(e)}}, nil
}

func (s *Server) deleteEnvironment(ctx context.Context, c *call, in *deleteEnvironmentInput) (*answer, error) {
	if c.dryRun {
		return planAnswer(s.projects.PlanDeleteEnvironment(ctx, c.project, in.Environment, c.ifRevision))
	}
	return &answer{}, s.projects.DeleteEnvironment(ctx, c.project, in.Environment, c.ifRevision, c.cause)
}

// projectNamed returns the ID of a project that the principal may see. Others
// look like what is not there.
func (s *Server) projectNamed(ctx context.Context, p *access.Principal, name string, everywhere bool) (string, error) {
	if name == access.Platform && everywhere && p.Sees(access.Platform) {
		return access.Platform, nil
	}
	found, err := s.projects.Get(ctx, name)
	if fault.Is(err, fault.NotFound) || err == nil && !p.Sees(found.ID) {
		return "", fault.New(fault.NotFound, "there is no project %q, or it is not yours; see `edgewright projects`", name).About("project " + name)
	}
	return found.ID, err
}

// environmentNamed checks that an environment exists. "*", all, is "" to stores.
func (s *Server) environmentNamed(ctx context.Context, project, name string, everywhere bool) (string, error) {
	if everywhere && (name == access.Platform || project == access.Platform) {
		return "", nil
	}
	e, err := s.projects.Environment(ctx, project, name)
	return e.Name, err
}
