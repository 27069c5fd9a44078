package access

import (
	"slices"
	"time"
)

// PrincipalKind tells people from programs.
type PrincipalKind string

// The kinds of principals.
const (
	ByUser  PrincipalKind = "user"
	ByToken PrincipalKind = "token"
)

// Principal is whoever a request comes from, with the rights they have now.
type Principal struct {
	Kind    PrincipalKind
	ID      string          // the user's or the token's ID
	Name    string          // for people
	User    string          // the user's ID; "" for the operator's own token
	Grants  map[string]Role // by project's ID; Platform holds for all
	Scopes  []Scope         // of a token; empty: not narrowed
	Expires time.Time       // when the token or session ends; zero: never
	Session []byte          // hash of the session; nil for tokens
}

// Actor is how revisions and the audit log name the principal.
func (p *Principal) Actor() string { return string(p.Kind) + " " + p.ID }

// Role returns the role on a project, the platform's included; "" for none.
func (p *Principal) Role(project string) Role {
	return stronger(p.Grants[project], p.Grants[Platform])
}

// Sees reports whether the project exists for the principal. To others it must
// look like one that does not exist.
func (p *Principal) Sees(project string) bool { return p.Role(project).Valid() }

// Can reports whether the permission table and the token's scopes allow verb
// on a resource of the project. For what belongs to no project, project is
// Platform.
func (p *Principal) Can(project string, res Resource, verb Verb) bool {
	row, ok := permission(res, verb)
	if !ok || !p.scoped(res, verb) {
		return false
	}
	if row.OnPlatform {
		project = Platform
	}
	return p.Role(project).AtLeast(row.Least)
}

// CanSomewhere reports whether Can holds for any project: for what all tenants
// share and may look at.
func (p *Principal) CanSomewhere(res Resource, verb Verb) bool {
	for project := range p.Grants {
		if p.Can(project, res, verb) {
			return true
		}
	}
	return false
}

func (p *Principal) scoped(res Resource, verb Verb) bool {
	return len(p.Scopes) == 0 || slices.ContainsFunc(p.Scopes, func(s Scope) bool { return s.matches(res, verb) })
}
