package cli

import (
	"fmt"
	"strings"

	"github.com/edgewright/edgewright/client"
)

type projectsCommand struct {
	List   projectsList   `cmd:"" help:"List projects." aliases:"ls"`
	Create projectsCreate `cmd:"" help:"Make a project with its first environments."`
	Remove projectsRemove `cmd:"" name:"rm" help:"Delete an empty project."`
}

func (projectsCommand) Help() string {
	return "A project is a tenant's space: nobody outside sees into it. Name it to other commands with --project, or EDGEWRIGHT_PROJECT.\n\n" +
		examples("edgewright projects list", "edgewright projects create shop")
}

type projectList struct {
	Projects []client.Project `json:"projects"`
}

type projectsList struct{}

func (projectsList) Help() string { return examples("edgewright projects list") }

func (projectsList) Run(a *app) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	list, err := client.Collect(c.Projects(a.ctx))
	if err != nil {
		return err
	}
	return a.show(projectList{list}, func() {
		t := a.table("PROJECT", "TITLE", "YOUR ROLE", "ENVIRONMENTS", "ID")
		for _, p := range list {
			t.row(p.Name, p.Title, p.Role, strings.Join(p.Environments, ", "), t.dim(p.ID))
		}
		t.print(a.out)
	})
}

type projectsCreate struct {
	Name        string `arg:"" help:"Lower-case letters, digits and hyphens."`
	Title       string `placeholder:"TEXT" help:"What people call it. Default: the name."`
	Description string `placeholder:"TEXT" help:"What it is for."`
}

func (projectsCreate) Help() string {
	return examples("edgewright projects create shop --title 'Web shop'")
}

func (c *projectsCreate) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	p, err := cl.CreateProject(a.ctx, client.NewProject{Name: c.Name, Title: c.Title, Description: c.Description})
	if err != nil {
		return err
	}
	return a.show(p, func() {
		fmt.Fprintf(a.out, "Made project %s with %s.\n", a.ink.bold(clean(p.Name)), clean(strings.Join(p.Environments, ", ")))
	})
}

type projectsRemove struct {
	Name string `arg:"" complete:"projects" help:"The project."`
	yesFlag
}

func (projectsRemove) Help() string { return examples("edgewright projects rm old-shop") }

func (c *projectsRemove) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	p, err := cl.GetProject(a.ctx, c.Name)
	if err != nil {
		return err
	}
	if err := a.confirm(c.Yes, "Delete the project %s?", p.Name); err != nil {
		return err
	}
	if err := cl.DeleteProject(a.ctx, p.ID, p.Revision); err != nil {
		return err
	}
	a.hint("Deleted %s.", clean(p.Name))
	return nil
}

type environmentsCommand struct {
	List   environmentsList   `cmd:"" help:"List the environments of a project." aliases:"ls"`
	Create environmentsCreate `cmd:"" help:"Make an environment."`
	Remove environmentsRemove `cmd:"" name:"rm" help:"Delete an empty environment."`
}

func (environmentsCommand) Help() string {
	return "An environment is a stage of a project, like staging. Name it to other commands with -e, or EDGEWRIGHT_ENVIRONMENT.\n\n" +
		examples("edgewright environments create staging", "edgewright export -e staging | edgewright apply -e production -f -")
}

type environmentList struct {
	Environments []client.Environment `json:"environments"`
}

type environmentsList struct{}

func (environmentsList) Help() string {
	return examples("edgewright environments list --project shop")
}

func (environmentsList) Run(a *app) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	list, err := c.Environments(a.ctx, c.Project())
	if err != nil {
		return err
	}
	return a.show(environmentList{list}, func() {
		t := a.table("ENVIRONMENT", "DESCRIPTION", "SINCE")
		for _, e := range list {
			t.row(e.Name, e.Description, date(&e.CreatedAt))
		}
		t.print(a.out)
	})
}

type environmentsCreate struct {
	Name        string `arg:"" help:"Lower-case letters, digits and hyphens."`
	Description string `placeholder:"TEXT" help:"What it is for."`
}

func (environmentsCreate) Help() string {
	return examples("edgewright environments create staging --project shop")
}

func (c *environmentsCreate) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	e, err := cl.CreateEnvironment(a.ctx, cl.Project(), client.NewEnvironment{Name: c.Name, Description: c.Description})
	if err != nil {
		return err
	}
	return a.show(e, func() { fmt.Fprintf(a.out, "Made environment %s.\n", a.ink.bold(clean(e.Name))) })
}

type environmentsRemove struct {
	Name string `arg:"" help:"The environment."`
	yesFlag
}

func (environmentsRemove) Help() string {
	return examples("edgewright environments rm staging --project shop")
}

func (c *environmentsRemove) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	if err := a.confirm(c.Yes, "Delete the environment %s of %s?", c.Name, cl.Project()); err != nil {
		return err
	}
	// An environment that is not empty is not deleted, whatever its revision.
	if err := cl.DeleteEnvironment(a.ctx, cl.Project(), c.Name, 0); err != nil {
		return err
	}
	a.hint("Deleted %s.", clean(c.Name))
	return nil
}

type membersCommand struct {
	List   membersList   `cmd:"" help:"List members and open invitations of a project." aliases:"ls"`
	Invite membersInvite `cmd:"" help:"Make a one-time link for a new member."`
	Role   membersRole   `cmd:"" help:"Change a member's role."`
	Remove membersRemove `cmd:"" name:"rm" help:"Remove a member, or withdraw an invitation."`
}

func (membersCommand) Help() string {
	return examples("edgewright members list --project shop", "edgewright members invite kim@example.com --role developer")
}

type memberList struct {
	Members []client.Member `json:"members"`
}

type membersList struct{}

func (membersList) Help() string { return examples("edgewright members list --project shop") }

func (membersList) Run(a *app) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	list, err := c.Members(a.ctx, c.Project())
	if err != nil {
		return err
	}
	return a.show(memberList{list}, func() {
		t := a.table("EMAIL", "NAME", "ROLE", "STATE", "SINCE", "ID")
		for _, m := range list {
			t.row(m.Email, m.Name, m.Role, t.state(m.State), date(&m.Since), t.dim(m.ID))
		}
		t.print(a.out)
	})
}

type membersInvite struct {
	Email string `arg:"" help:"Address of who is invited; no mail is sent to it."`
	Name  string `placeholder:"NAME" help:"Name of who is invited."`
	Role  string `enum:"viewer, developer, admin, owner" default:"developer" help:"What they may do: ${enum}. Default ${default}."`
}

func (membersInvite) Help() string {
	return "Prints a link; pass it on yourself. It works once.\n\n" + examples("edgewright members invite kim@example.com --role admin --project shop")
}

func (c *membersInvite) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	i, err := cl.Invite(a.ctx, cl.Project(), client.Invite{Email: c.Email, Name: c.Name, Role: c.Role})
	if err != nil {
		return err
	}
	if err := a.show(i, func() { fmt.Fprintln(a.out, clean(i.Link)) }); err != nil {
		return err
	}
	a.hint("Pass this link on to %s. It works once, until %s.", clean(c.Email), date(&i.ExpiresAt))
	return nil
}

type membersRole struct {
	Member string `arg:"" help:"The member, by email or ID."`
	Role   string `arg:"" enum:"viewer, developer, admin, owner" help:"The new role: ${enum}."`
}

func (membersRole) Help() string {
	return examples("edgewright members role kim@example.com viewer --project shop")
}

func (c *membersRole) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	m, err := cl.SetRole(a.ctx, cl.Project(), c.Member, c.Role, 0)
	if err != nil {
		return err
	}
	return a.show(m, func() { fmt.Fprintf(a.out, "%s is now %s.\n", a.ink.bold(clean(c.Member)), clean(m.Role)) })
}

type membersRemove struct {
	Member string `arg:"" help:"The member, by email or ID, or the invitation's ID."`
	yesFlag
}

func (membersRemove) Help() string {
	return "Their tokens for the project end with it.\n\n" + examples("edgewright members rm kim@example.com --project shop")
}

func (c *membersRemove) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	if err := a.confirm(c.Yes, "Remove %s from %s?", c.Member, cl.Project()); err != nil {
		return err
	}
	if err := cl.RemoveMember(a.ctx, cl.Project(), c.Member, 0); err != nil {
		return err
	}
	a.hint("Removed %s.", clean(c.Member))
	return nil
}
