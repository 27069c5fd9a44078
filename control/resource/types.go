package resource

import (
	"context"
	"encoding/json"
	"slices"
)

// Scope says what a kind's resources belong to, and so which of Project and
// Environment they carry.
type Scope string

// The scopes.
const (
	ScopePlatform    Scope = "platform"    // neither project nor environment
	ScopeProject     Scope = "project"     // a project
	ScopeEnvironment Scope = "environment" // a project and one of its environments
)

// Reference is what one resource's spec says of another, in the same project
// and environment.
type Reference struct {
	Kind Kind
	Name string // either Name or ID
	ID   string
	// Optional is true when the referring resource is valid before the other
	// exists. A plan then warns instead of refusing.
	Optional bool
}

// Type is what planning needs to know of a kind. Each room exports its own.
type Type struct {
	Kind   Kind
	Prefix string // of IDs: "dom"
	Scope  Scope

	// CanonicalName returns the form in which a name is stored ("Shop.Example"
	// -> "shop.example"). nil: names are stored as written.
	CanonicalName func(name string) (string, error)

	// Normalize decodes a spec strictly, fills in defaults and validates. Its
	// faults carry pointers into the spec. It is idempotent.
	Normalize func(name string, spec json.RawMessage) (json.RawMessage, error)

	// References lists what the spec refers to. nil: nothing.
	References func(spec json.RawMessage) []Reference

	// Carry returns the spec that replaces current when a declaration or an
	// earlier state asks for wanted: what has an operation of its own, such as a
	// lock, is no business of plans and stays as it is. nil: wanted as it is.
	Carry func(current, wanted json.RawMessage) json.RawMessage

	// Guard refuses a change that the resource itself forbids, such as the
	// deletion of one that is locked. after is nil for a deletion. Every planner
	// asks it; a plan is bound to the revisions it was made for, so what it has
	// let through still holds when the plan is applied. nil: nothing is refused.
	Guard func(name string, before, after json.RawMessage) error

	// Held refuses changes of this kind, as Conflict, that something else forbids,
	// such as the lock of the domain that a record is of, and, as Clashes, those that
	// cannot be there together. plan is all that happens
	// with them: what needs a resource may go in the same plan. Every planner asks
	// it. What forbids may be newer than the plan, so whoever applies one that was
	// stored asks again (CheckHeld). nil: nothing is refused.
	Held func(ctx context.Context, changes, plan []Action) error

	// Derived reports that the platform made this resource by itself, as it
	// does a certificate for a verified domain. Plans neither prune nor roll
	// back such a resource, and it does not hold what it refers to. nil: never.
	Derived func(spec json.RawMessage) bool

	// Tuned reports, of a resource that the platform derived, that users have set
	// something in it, as the key type of an automatic certificate. That is theirs:
	// an export declares it and a rollback brings it back. nil: never.
	Tuned func(name string, spec json.RawMessage) bool
}

// NewID returns an ID for a new resource of this type.
func (t Type) NewID() string { return NewID(t.Prefix) }

func (t Type) derived(spec json.RawMessage) bool { return t.Derived != nil && t.Derived(spec) }

// Declared reports that a resource is, or says, what users want: one that the
// platform did not derive, or that is tuned.
func (t Type) Declared(name string, spec json.RawMessage) bool {
	return len(spec) > 0 && (!t.derived(spec) || t.Tuned != nil && t.Tuned(name, spec))
}

func (t Type) carry(current, wanted json.RawMessage) json.RawMessage {
	if t.Carry == nil || len(current) == 0 {
		return wanted
	}
	return t.Carry(current, wanted)
}

func (t Type) references(spec json.RawMessage) []Reference {
	if t.References == nil || len(spec) == 0 {
		return nil
	}
	return t.References(spec)
}

// Types is the table of kinds; cmd builds it from the rooms.
type Types []Type

// Of returns the type of a kind.
func (t Types) Of(kind Kind) (Type, bool) {
	for _, typ := range t {
		if typ.Kind == kind {
			return typ, true
		}
	}
	return Type{}, false
}

// With returns the table with rows in the place of those of the same kinds: a room
// that was opened knows more of its types than their form.
func (t Types) With(rows ...Type) Types {
	out := slices.Clone(t)
	for _, row := range rows {
		if i := slices.IndexFunc(out, func(old Type) bool { return old.Kind == row.Kind }); i >= 0 {
			out[i] = row
		} else {
			out = append(out, row)
		}
	}
	return out
}

// Kinds returns the kinds of a scope, in the table's order.
func (t Types) Kinds(scope Scope) []Kind {
	var kinds []Kind
	for _, typ := range t {
		if typ.Scope == scope {
			kinds = append(kinds, typ.Kind)
		}
	}
	return kinds
}
