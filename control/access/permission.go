package access

import (
	"slices"
	"strings"

	"github.com/edgewright/edgewright/fault"
)

// Role is a set of rights on a project or on the platform. Each role has all
// rights of the ones below it.
type Role string

// The roles, weakest first.
const (
	Viewer    Role = "viewer"    // sees everything of the project but its audit log and tokens
	Developer Role = "developer" // changes domains, certificates, CDN; purges; plans and reverts; own tokens
	Admin     Role = "admin"     // manages the project: environments, members, all tokens, audit log
	Owner     Role = "owner"     // deletes the project; on the platform: backups
)

var roles = [...]Role{Viewer, Developer, Admin, Owner}

// Roles lists the roles, weakest first.
func Roles() []Role { return slices.Clone(roles[:]) }

func (r Role) rank() int { return slices.Index(roles[:], r) }

// Valid reports whether r is one of the roles.
func (r Role) Valid() bool { return r.rank() >= 0 }

// AtLeast reports whether r has all rights of other. The empty role has none.
func (r Role) AtLeast(other Role) bool { return r.Valid() && other.Valid() && r.rank() >= other.rank() }

func weaker(a, b Role) Role {
	if a.rank() <= b.rank() {
		return a
	}
	return b
}

func stronger(a, b Role) Role {
	if a.rank() >= b.rank() {
		return a
	}
	return b
}

// Resource names what a permission is about; it is the first half of a token's
// scope.
type Resource string

// The resources of the permission table.
const (
	Projects     Resource = "projects"
	Environments Resource = "environments"
	Members      Resource = "members"
	Tokens       Resource = "tokens"
	Domains      Resource = "domains"
	Transfers    Resource = "transfers"
	Certificates Resource = "certificates"
	PrivateKeys  Resource = "private-keys" // of certificates, to be taken out
	Authorities  Resource = "authorities"  // CAs, and replacing what they have issued
	CDN          Resource = "cdn"
	Purges       Resource = "purges"
	Edges        Resource = "edges"
	Revisions    Resource = "revisions"
	Plans        Resource = "plans"
	Events       Resource = "events"
	Traffic      Resource = "traffic"
	Operations   Resource = "operations"
	AuditLog     Resource = "audit"
	Backups      Resource = "backups"
	Metrics      Resource = "metrics"
	DNSProviders Resource = "dns_providers"
)

// Verb is what is done to a resource; it is the second half of a scope.
type Verb string

// The verbs.
const (
	Read   Verb = "read"
	Write  Verb = "write" // create, change, carry out
	Delete Verb = "delete"
)

// Permission is one row of the table.
type Permission struct {
	Resource Resource
	Verb     Verb
	Least    Role // the weakest role that has it
	// OnPlatform: the role must be held on the platform, not on a project.
	OnPlatform bool
}

// permissions is the table: the one place that says which role may do what.
// What is not in it is allowed to nobody.
var permissions = [...]Permission{
	{Projects, Read, Viewer, false},
	{Projects, Write, Admin, false}, // to make a new one it must be held on the platform
	{Projects, Delete, Owner, false},
	{Environments, Read, Viewer, false},
	{Environments, Write, Admin, false},
	{Environments, Delete, Admin, false},
	{Members, Read, Viewer, false},
	{Members, Write, Admin, false},
	{Members, Delete, Admin, false},
	{Tokens, Read, Developer, false}, // below admin: one's own only
	{Tokens, Write, Developer, false},
	{Tokens, Delete, Developer, false},
	{Domains, Read, Viewer, false},
	{Domains, Write, Developer, false},
	{Domains, Delete, Developer, false},
	{Transfers, Read, Viewer, false},
	{Transfers, Write, Admin, false}, // on both sides: the one offers, the other accepts
	{Certificates, Read, Viewer, false},
	{Certificates, Write, Developer, false},
	{Certificates, Delete, Developer, false},
	{PrivateKeys, Read, Owner, false},
	{Authorities, Read, Viewer, true},
	{Authorities, Write, Admin, true},
	{Authorities, Delete, Admin, true},
	{CDN, Read, Viewer, false},
	{CDN, Write, Developer, false},
	{CDN, Delete, Developer, false},
	{DNSProviders, Read, Viewer, false},
	{DNSProviders, Write, Developer, false}, // credentials are written, and never read
	{DNSProviders, Delete, Developer, false},
	{Purges, Read, Viewer, false},
	{Purges, Write, Developer, false},
	{Revisions, Read, Viewer, false},
	{Revisions, Write, Developer, false}, // revert and roll back
	{Plans, Read, Viewer, false},
	{Plans, Write, Developer, false},
	{Events, Read, Viewer, false},
	{Traffic, Read, Viewer, false},
	{Operations, Read, Viewer, false},
	{AuditLog, Read, Admin, false},
	{Edges, Read, Viewer, false}, // on any project: where traffic may be served
	{Edges, Write, Admin, true},
	{Edges, Delete, Admin, true},
	{Backups, Read, Owner, true},
	{Metrics, Read, Viewer, true},
}

// Permissions returns the table, for documentation and tests.
func Permissions() []Permission { return slices.Clone(permissions[:]) }

func permission(res Resource, verb Verb) (Permission, bool) {
	for _, p := range permissions {
		if p.Resource == res && p.Verb == verb {
			return p, true
		}
	}
	return Permission{}, false
}

// Scope narrows a token to a resource and a verb; "*" stands for any.
type Scope struct {
	Resource Resource
	Verb     Verb
}

// ParseScope reads "domains:write", "domains:*" or "*:read".
func ParseScope(s string) (Scope, error) {
	res, verb, ok := strings.Cut(s, ":")
	scope := Scope{Resource(res), Verb(verb)}
	known := slices.ContainsFunc(permissions[:], func(p Permission) bool { return scope.matches(p.Resource, p.Verb) })
	if !ok || !known {
		return Scope{}, fault.New(fault.Invalid,
			"%q is no scope: write <resource>:<verb>, for example domains:write, cdn:* or *:read", s)
	}
	return scope, nil
}

func (s Scope) String() string { return string(s.Resource) + ":" + string(s.Verb) }

func (s Scope) matches(res Resource, verb Verb) bool {
	return (s.Resource == "*" || s.Resource == res) && (s.Verb == "*" || s.Verb == verb)
}

// covers reports whether whatever other allows, s allows too.
func (s Scope) covers(other Scope) bool {
	return (s.Resource == "*" || s.Resource == other.Resource) && (s.Verb == "*" || s.Verb == other.Verb)
}
