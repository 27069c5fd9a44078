package resource

import (
	"context"
	"encoding/json"
)

// Place is an environment of a project.
type Place struct{ Project, Environment string }

// Move is a domain on its way from one place to another. Resources do not change
// their place: the old one is deleted and a new one created in one commit, so that
// each project's history tells what it had.
type Move struct {
	Domain string // A-labels
	OldID  string
	NewID  string
	From   Place
	To     Place
	CDN    string // name of the CDN configuration it will use in To
}

// Following is what a plan cannot say of resources that move. It is carried out
// with the plan, or not at all.
type Following struct {
	Status  map[string]json.RawMessage // by new ID: what is known of it from the start
	Secrets map[string]string          // names in the vault, new -> old, copied before the commit
}

// Leaver is the ability of a Follower to say that a domain cannot go, and why,
// before anybody has taken it: what has to be done is done where it is.
type Leaver interface {
	MayLeave(ctx context.Context, from Place, domain string) error
}

// Follower moves what belongs to a domain along with it: its certificate, its
// zone.
type Follower interface {
	// Follow adds to the plan the deletion of what is at From and the creation of
	// the same at To. It writes nothing.
	Follow(ctx context.Context, plan *Plan, move Move) (Following, error)
}
