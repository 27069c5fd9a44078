package api

import (
	"context"
	"net/http"
	"time"

	"github.com/edgewright/edgewright/control/access"
)

// Member is somebody with a role on a project, or somebody invited.
type Member struct {
	ID        string     `json:"id" doc:"The user's ID, or the invitation's"`
	State     string     `json:"state" doc:"active or invited"`
	Email     string     `json:"email"`
	Name      string     `json:"name"`
	Role      string     `json:"role"`
	Revision  int64      `json:"revision"`
	Since     time.Time  `json:"since"`
	ExpiresAt *time.Time `json:"expires_at,omitempty" doc:"Of an invitation"`
}

// MemberList is all members of a project.
type MemberList struct {
	Members    []Member `json:"members"`
	NextCursor string   `json:"next_cursor"`
}

// Invite asks somebody to become a member.
type Invite struct {
	Email string `json:"email" maxLength:"254"`
	Name  string `json:"name,omitempty" maxLength:"100"`
	Role  string `json:"role" doc:"viewer, developer, admin or owner" maxLength:"20"`
}

// Invited is an invitation. Its link is shown once; no mail is sent.
type Invited struct {
	Member    Member    `json:"member"`
	Link      string    `json:"link" doc:"Pass it on to the person invited; it works once"`
	ExpiresAt time.Time `json:"expires_at"`
}

// MemberPatch changes a member's role.
type MemberPatch struct {
	Role string `json:"role" doc:"viewer, developer, admin or owner" maxLength:"20"`
}

// MemberAnswer holds one member.
type MemberAnswer struct {
	Member Member `json:"member"`
}

type inviteInput struct {
	InProjectPath
	InKey
	Body Invite
}

// MemberPath names a member in the path.
type MemberPath struct {
	InProjectPath
	User string `path:"user" doc:"User ID, email, or an invitation's ID" maxLength:"254"`
}

type patchMemberInput struct {
	MemberPath
	InMatch
	Body MemberPatch
}

type deleteMemberInput struct {
	MemberPath
	InMatch
}

func (s *Server) addMembers() {
	const tag, path = "Members", "/api/v1/projects/{project}/members"
	add(s, op{
		method: http.MethodGet, path: path, id: "members-list", tag: tag, summary: "Members and open invitations of a project",
		level: onProject, resource: access.Members, verb: access.Read, everywhere: true, answers: []answerDoc{{http.StatusOK, MemberList{}, ""}},
	}, s.listMembers)
	add(s, op{
		method: http.MethodPost, path: path, id: "members-invite", tag: tag, summary: "Invite somebody by a one-time link",
		level: onProject, resource: access.Members, verb: access.Write, everywhere: true, answers: []answerDoc{{http.StatusCreated, Invited{}, ""}},
	}, s.invite)
	add(s, op{
		method: http.MethodPatch, path: path + "/{user}", id: "members-update", tag: tag, summary: "Change a member's role",
		level: onProject, resource: access.Members, verb: access.Write, everywhere: true, answers: []answerDoc{{http.StatusOK, MemberAnswer{}, ""}},
	}, s.setRole)
	add(s, op{
		method: http.MethodDelete, path: path + "/{user}", id: "members-remove", tag: tag, summary: "Remove a member or withdraw an invitation",
		level: onProject, resource: access.Members, verb: access.Delete, everywhere: true, answers: []answerDoc{{http.StatusNoContent, nil, ""}},
	}, s.removeMember)
}

func memberOf(m access.Member) Member {
	out := Member{
		ID: m.User.ID, State: "active", Email: m.User.Email, Name: m.User.Name, Role: string(m.Grant.Role),
		Revision: m.Grant.Revision, Since: m.Grant.CreatedAt,
	}
	if l := m.Invitation; l != nil {
		out.ID, out.State, out.Since, out.ExpiresAt = l.ID, "invited", l.CreatedAt, timeOrNil(l.ExpiresAt)
	}
	return out
}

func (s *Server) listMembers(ctx context.Context, c *call, _ *InProjectPath) (*answer, error) {
	list, err := s.access.Members(ctx, c.project)
	if err != nil {
		return nil, err
	}
	out := MemberList{Members: []Member{}}
	for _, m := range list {
		out.Members = append(out.Members, memberOf(m))
	}
	return &answer{Body: out}, nil
}

func (s *Server) invite(ctx context.Context, c *call, in *inviteInput) (*answer, error) {
	l, secret, err := s.access.Invite(ctx, c.principal, c.project, in.Body.Email, in.Body.Name, access.Role(in.Body.Role), c.caller)
	if err != nil {
		return nil, err
	}
	m := access.Member{User: access.User{Email: l.Email, Name: l.Name}, Grant: access.Grant{Role: l.Role, Revision: l.Revision}, Invitation: &l}
	return &answer{ETag: etag(l.Revision), Body: Invited{Member: memberOf(m), Link: LoginURL(s.baseURL(requestFrom(ctx)), secret), ExpiresAt: l.ExpiresAt}}, nil
}

func (s *Server) setRole(ctx context.Context, c *call, in *patchMemberInput) (*answer, error) {
	m, err := s.access.SetRole(ctx, c.principal, c.project, in.User, access.Role(in.Body.Role), c.ifRevision, c.caller)
	if err != nil {
		return nil, err
	}
	return &answer{ETag: etag(m.Grant.Revision), Body: MemberAnswer{memberOf(m)}}, nil
}

func (s *Server) removeMember(ctx context.Context, c *call, in *deleteMemberInput) (*answer, error) {
	return &answer{}, s.access.RemoveMember(ctx, c.principal, c.project, in.User, c.ifRevision, c.caller)
}
