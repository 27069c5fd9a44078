package access

import (
	"context"
	"fmt"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// maxInvitations bounds the open invitations of one project.
const maxInvitations = 200

// Member is somebody with a role on a project, or somebody invited.
type Member struct {
	User       User  // with an invitation only Email and Name
	Grant      Grant // with an invitation only Project and Role
	Invitation *Link // nil for members
}

// Members lists who has a role on a project itself, and open invitations.
func (s *Service) Members(ctx context.Context, project string) ([]Member, error) {
	grants, err := s.store.Grants(ctx, "", project)
	if err != nil {
		return nil, err
	}
	members := make([]Member, 0, len(grants))
	for _, g := range grants {
		u, err := s.store.User(ctx, g.User)
		if err != nil {
			return nil, err
		}
		members = append(members, Member{User: u, Grant: g})
	}
	invitations, err := s.store.Invitations(ctx, project, s.now().UTC())
	if err != nil {
		return nil, err
	}
	for _, l := range invitations {
		members = append(members, Member{
			User: User{Email: l.Email, Name: l.Name}, Grant: Grant{Project: l.Project, Role: l.Role, Revision: l.Revision}, Invitation: &l,
		})
	}
	return members, nil
}

// member finds a member by user ID, email or invitation ID.
func (s *Service) member(ctx context.Context, project, who string) (Member, error) {
	members, err := s.Members(ctx, project)
	if err != nil {
		return Member{}, err
	}
	for _, m := range members {
		if m.Invitation != nil && m.Invitation.ID == who || m.User.ID != "" && m.User.ID == who || m.User.Email == normalEmail(who) {
			return m, nil
		}
	}
	return Member{}, fault.New(fault.NotFound, "the project has no such member").About("member " + who)
}

// Invite makes an invitation and returns its secret, which is not kept. No mail
// is sent: whoever invites passes the link on. Errors: Invalid, Forbidden,
// Conflict (is a member already).
func (s *Service) Invite(ctx context.Context, p *Principal, project, email, name string, role Role, by Caller) (Link, string, error) {
	email, err := checkEmail("/email", email)
	if err != nil {
		return Link{}, "", err
	}
	if name == "" {
		name = email
	}
	if name, err = checkName("/name", name); err != nil {
		return Link{}, "", err
	}
	if err := s.mayGive(p, project, role); err != nil {
		return Link{}, "", err
	}
	members, err := s.Members(ctx, project)
	if err != nil {
		return Link{}, "", err
	}
	open := 0
	for _, m := range members {
		switch {
		case m.User.Email == email && m.Invitation == nil:
			return Link{}, "", fault.New(fault.Conflict, "%s is a member already; change the role instead", email).About("member " + m.User.ID)
		case m.User.Email == email:
			return Link{}, "", fault.New(fault.Conflict, "%s is invited already; withdraw the invitation %s first", email, m.Invitation.ID).About("member " + m.Invitation.ID)
		case m.Invitation != nil:
			open++
		}
	}
	if open >= maxInvitations {
		return Link{}, "", fault.New(fault.TooLarge, "the project has %d open invitations, which is the bound; withdraw some", maxInvitations)
	}
	secret, err := newSecret(s.random)
	if err != nil {
		return Link{}, "", err
	}
	now := s.now().UTC()
	l := Link{
		ID: resource.NewID("inv"), Hash: hashSecret(secret), Purpose: PurposeInvite, Email: email, Name: name, Project: project,
		Role: role, Revision: 1, CreatedBy: by.Actor, CreatedAt: now, ExpiresAt: now.Add(InviteLife),
	}
	detail := map[string]any{"email": email, "role": string(role)}
	return l, secret, s.store.CreateLink(ctx, l, by.audit("member.invite", "member "+l.ID, projectOf(project), detail))
}

func (s *Service) mayGive(p *Principal, project string, role Role) error {
	if !role.Valid() {
		return fault.InvalidField("/role", fmt.Sprintf("%q is no role", role), "use viewer, developer, admin or owner")
	}
	if own := p.Role(project); !own.AtLeast(role) {
		return fault.New(fault.Forbidden, "nobody can give a role above their own: you are %s there, not %s", own, role)
	}
	return nil
}

// SetRole changes a member's role.
func (s *Service) SetRole(ctx context.Context, p *Principal, project, who string, role Role, ifRevision int64, by Caller) (Member, error) {
	m, err := s.member(ctx, project, who)
	if err != nil {
		return m, err
	}
	if m.Invitation != nil {
		return m, fault.New(fault.Conflict, "the invitation is not accepted yet; withdraw it and invite again with the other role").About("member " + who)
	}
	if err := s.mayGive(p, project, role); err != nil {
		return m, err
	}
	if err := s.mayTouch(ctx, p, m, role); err != nil {
		return m, err
	}
	m.Grant.Role, m.Grant.UpdatedAt = role, s.now().UTC()
	detail := map[string]any{"role": string(role)}
	m.Grant, err = s.store.PutGrant(ctx, m.Grant, ifRevision, by.audit("member.role", "user "+m.User.ID, projectOf(project), detail))
	return m, err
}

// RemoveMember takes a member's role away, or withdraws an invitation. The
// member's tokens on the project end with it.
func (s *Service) RemoveMember(ctx context.Context, p *Principal, project, who string, ifRevision int64, by Caller) error {
	m, err := s.member(ctx, project, who)
	if err != nil {
		return err
	}
	if m.Invitation != nil {
		return s.store.DeleteLink(ctx, m.Invitation.ID, ifRevision, by.audit("member.uninvite", "member "+m.Invitation.ID, projectOf(project), nil))
	}
	if err := s.mayTouch(ctx, p, m, ""); err != nil {
		return err
	}
	return s.store.DeleteGrant(ctx, m.User.ID, project, ifRevision, by.audit("member.remove", "user "+m.User.ID, projectOf(project), nil))
}

// mayTouch refuses to change somebody stronger, and to leave the platform
// without an owner.
func (s *Service) mayTouch(ctx context.Context, p *Principal, m Member, next Role) error {
	if own := p.Role(m.Grant.Project); !own.AtLeast(m.Grant.Role) {
		return fault.New(fault.Forbidden, "the member is %s there, you are %s; ask an owner", m.Grant.Role, own)
	}
	if m.Grant.Project != Platform || m.Grant.Role != Owner || next == Owner {
		return nil
	}
	grants, err := s.store.Grants(ctx, "", Platform)
	if err != nil {
		return err
	}
	owners := 0
	for _, g := range grants {
		if g.Role == Owner {
			owners++
		}
	}
	if owners < 2 {
		return fault.New(fault.Conflict, "this is the platform's last owner; make somebody else owner first").About("user " + m.User.ID)
	}
	return nil
}

// Grant gives a user a role without an invitation: for the creator of a
// project.
func (s *Service) Grant(ctx context.Context, user, project string, role Role, by Caller) error {
	now := s.now().UTC()
	g := Grant{User: user, Project: project, Role: role, Revision: 1, CreatedAt: now, UpdatedAt: now}
	_, err := s.store.PutGrant(ctx, g, 0, by.audit("member.grant", "user "+user, projectOf(project), map[string]any{"role": string(role)}))
	return err
}

// ForgetProject removes grants, invitations and tokens of a deleted project.
func (s *Service) ForgetProject(ctx context.Context, project string, by Caller) error {
	return s.store.DeleteProject(ctx, project, s.now().UTC(), by.audit("project.forget", "project "+project, project, nil))
}
