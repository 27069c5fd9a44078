package client

import (
	"context"
	"iter"
	"net/http"
	"time"
)

// Project is a tenant's space.
type Project struct {
	ID           string    `json:"id"`
	Name         string    `json:"name"` // usable wherever a project is asked for
	Title        string    `json:"title"`
	Description  string    `json:"description"`
	Role         string    `json:"role"` // the caller's
	Revision     int64     `json:"revision"`
	CreatedAt    time.Time `json:"created_at"`
	UpdatedAt    time.Time `json:"updated_at"`
	Environments []string  `json:"environments"`
}

// NewProject is a project to be made.
type NewProject struct {
	Name        string `json:"name"` // lower-case letters, digits and hyphens
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`
}

// ProjectPatch changes what is not nil.
type ProjectPatch struct {
	Title       *string `json:"title,omitempty"`
	Description *string `json:"description,omitempty"`
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
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
}

// Member is somebody with a role on a project, or somebody invited.
type Member struct {
	ID        string     `json:"id"`    // the user's, or the invitation's
	State     string     `json:"state"` // active or invited
	Email     string     `json:"email"`
	Name      string     `json:"name"`
	Role      string     `json:"role"`
	Revision  int64      `json:"revision"`
	Since     time.Time  `json:"since"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"` // of an invitation
}

// Invite asks somebody to become a member.
type Invite struct {
	Email string `json:"email"`
	Name  string `json:"name,omitempty"`
	Role  string `json:"role"` // viewer, developer, admin or owner
}

// Invited is an invitation. Its link is shown once; no mail is sent.
type Invited struct {
	Member    Member    `json:"member"`
	Link      string    `json:"link"`
	ExpiresAt time.Time `json:"expires_at"`
}

func projectPath(project string) string { return "/api/v1/projects/" + segment(project) }

// Projects walks the projects that the caller may see.
func (c *Client) Projects(ctx context.Context) iter.Seq2[Project, error] {
	return pages(ctx, func(ctx context.Context, cursor string) (Page[Project], error) {
		return list[Project](ctx, c, "/api/v1/projects", "projects", paged(nil), cursor)
	})
}

// GetProject returns a project by ID or name, or fault.NotFound.
func (c *Client) GetProject(ctx context.Context, project string) (*Project, error) {
	return c.projectCall(ctx, call{method: http.MethodGet, path: projectPath(project)})
}

// CreateProject makes a project with its first environments.
func (c *Client) CreateProject(ctx context.Context, p NewProject) (*Project, error) {
	return c.projectCall(ctx, call{method: http.MethodPost, path: "/api/v1/projects", body: p})
}

// UpdateProject changes a project's texts.
func (c *Client) UpdateProject(ctx context.Context, project string, revision int64, p ProjectPatch) (*Project, error) {
	return c.projectCall(ctx, call{method: http.MethodPatch, path: projectPath(project), body: p, match: revision})
}

// DeleteProject deletes an empty project.
func (c *Client) DeleteProject(ctx context.Context, project string, revision int64) error {
	_, err := c.do(ctx, call{method: http.MethodDelete, path: projectPath(project), match: revision}, nil)
	return err
}

func (c *Client) projectCall(ctx context.Context, k call) (*Project, error) {
	out := new(Project)
	w := wrap[Project]{name: "project", out: out}
	if _, err := c.do(ctx, k, &w); err != nil {
		return nil, err
	}
	return out, nil
}

// Environments returns the environments of a project.
func (c *Client) Environments(ctx context.Context, project string) ([]Environment, error) {
	page, err := list[Environment](ctx, c, projectPath(project)+"/environments", "environments", nil, "")
	return page.Items, err
}

// CreateEnvironment makes an environment.
func (c *Client) CreateEnvironment(ctx context.Context, project string, e NewEnvironment) (*Environment, error) {
	out := new(Environment)
	w := wrap[Environment]{name: "environment", out: out}
	if _, err := c.do(ctx, call{method: http.MethodPost, path: projectPath(project) + "/environments", body: e}, &w); err != nil {
		return nil, err
	}
	return out, nil
}

// DeleteEnvironment deletes an empty environment.
func (c *Client) DeleteEnvironment(ctx context.Context, project, environment string, revision int64) error {
	_, err := c.do(ctx, call{method: http.MethodDelete, path: projectPath(project) + "/environments/" + segment(environment), match: revision}, nil)
	return err
}

// Members returns the members and open invitations of a project.
func (c *Client) Members(ctx context.Context, project string) ([]Member, error) {
	page, err := list[Member](ctx, c, projectPath(project)+"/members", "members", nil, "")
	return page.Items, err
}

// Invite makes a one-time link for a new member.
func (c *Client) Invite(ctx context.Context, project string, i Invite) (*Invited, error) {
	out := new(Invited)
	if _, err := c.do(ctx, call{method: http.MethodPost, path: projectPath(project) + "/members", body: i}, out); err != nil {
		return nil, err
	}
	return out, nil
}

// SetRole changes a member's role.
func (c *Client) SetRole(ctx context.Context, project, user, role string, revision int64) (*Member, error) {
	out := new(Member)
	w := wrap[Member]{name: "member", out: out}
	k := call{method: http.MethodPatch, path: projectPath(project) + "/members/" + segment(user), body: map[string]string{"role": role}, match: revision}
	if _, err := c.do(ctx, k, &w); err != nil {
		return nil, err
	}
	return out, nil
}

// RemoveMember takes a member's role away, or withdraws an invitation.
func (c *Client) RemoveMember(ctx context.Context, project, user string, revision int64) error {
	_, err := c.do(ctx, call{method: http.MethodDelete, path: projectPath(project) + "/members/" + segment(user), match: revision}, nil)
	return err
}
