package resource

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/edgewright/edgewright/fault"
)

// PlanRevert plans to undo one revision: what it created is deleted, what it
// changed gets the spec and name from before, what it deleted comes back with
// the same ID. It is refused as Conflict when a later revision changed one of
// these resources (PlanRestore overrides that), when the name of one that comes
// back is taken, or when something else refers to one that would go.
//
// The revision may concern several projects; the caller must be allowed to
// change every action's.
func PlanRevert(ctx context.Context, store Store, types Types, revision int64) (Plan, error) {
	return planBack(ctx, store, types, revision, false)
}

// PlanRestore plans to give all resources of a revision the spec they had before
// it, whatever happened to them since.
func PlanRestore(ctx context.Context, store Store, types Types, revision int64) (Plan, error) {
	return planBack(ctx, store, types, revision, true)
}

func planBack(ctx context.Context, store Store, types Types, revision int64, force bool) (Plan, error) {
	if revision <= 0 {
		return Plan{}, noRevision(revision)
	}
	found, _, err := store.History(ctx, HistoryQuery{Revision: revision, Limit: 1})
	if err != nil {
		return Plan{}, err
	}
	if len(found) == 0 {
		return Plan{}, noRevision(revision)
	}
	entries := found[0].Entries
	plan := NewPlan(commonPlace(entries))
	plan.Reason = fmt.Sprintf("revert of revision %d", revision)
	if force {
		plan.Reason = fmt.Sprintf("restore of what was before revision %d", revision)
	}
	for _, entry := range slices.Backward(entries) {
		current, err := getLive(ctx, store, entry.Kind, entry.ID)
		if err != nil {
			return plan, err
		}
		if !force {
			if err := unchangedSince(entry, current, revision); err != nil {
				return plan, err
			}
		}
		if err := plan.backTo(types, earlier(entry), current); err != nil {
			return plan, err
		}
	}
	return plan, finishPlaces(ctx, store, types, &plan)
}

func noRevision(revision int64) error {
	return fault.New(fault.NotFound, "there is no revision %d: look at the list of revisions", revision)
}

// PlanRollback plans to bring an environment back to what it was right after a
// revision. Resources that the platform derived, but for what users have set in
// them, and those of the whole project, stay as they are.
func PlanRollback(ctx context.Context, store Store, types Types, project, environment string, toRevision int64) (Plan, error) {
	plan := NewPlan(project, environment)
	plan.Reason = fmt.Sprintf("rollback to revision %d", toRevision)
	states, err := statesAt(ctx, store, project, environment, toRevision)
	if err != nil {
		return plan, err
	}
	for _, state := range states {
		current, err := getLive(ctx, store, state.kind, state.id)
		if err != nil {
			return plan, err
		}
		t, known := types.Of(state.kind)
		if known && (t.Scope != ScopeEnvironment || t.keeps(state, current)) {
			continue
		}
		if known && current == nil && t.Derived != nil {
			// The platform may have made another one since.
			if current, err = successor(ctx, store, t, state); err != nil {
				return plan, err
			}
		}
		if err := plan.backTo(types, state, current); err != nil {
			return plan, err
		}
	}
	return plan, finishPlaces(ctx, store, types, &plan)
}

// keeps reports that a rollback leaves a resource as it is: it was there because
// the platform wanted it, or is now, and no user had a say in what it was.
func (t Type) keeps(to state, current *Resource) bool {
	if to.spec == nil {
		return current != nil && t.derived(current.Spec)
	}
	return !t.Declared(to.name, to.spec) && (current == nil || !t.Declared(current.Name, current.Spec))
}

// successor returns the resource that the platform derived in the place of one
// that is gone, nil when there is none.
func successor(ctx context.Context, store Store, t Type, gone state) (*Resource, error) {
	page, err := store.List(ctx, Query{Kind: t.Kind, Project: gone.project, Environment: gone.environment, Name: gone.name, Limit: 1})
	if err != nil || len(page.Items) == 0 || !t.derived(page.Items[0].Spec) {
		return nil, err
	}
	return &page.Items[0], nil
}

// state is what a resource was at some time; a nil spec means that it was not.
type state struct {
	kind                           Kind
	id, project, environment, name string
	spec                           json.RawMessage
}

// earlier returns the state of a resource before an entry.
func earlier(e Entry) state {
	s := state{kind: e.Kind, id: e.ID, project: e.Project, environment: e.Environment, name: e.Name, spec: e.Before}
	if e.OldName != "" {
		s.name = e.OldName
	}
	return s
}

// statesAt returns what the resources that changed after a revision were at it.
func statesAt(ctx context.Context, store Store, project, environment string, revision int64) ([]state, error) {
	if project == "" || environment == "" {
		return nil, fault.New(fault.Invalid, "a rollback needs a project and an environment")
	}
	if revision <= 0 {
		return nil, noRevision(revision)
	}
	states := map[string]state{}
	var order []string
	q := HistoryQuery{Project: project, Environment: environment, Limit: 500}
	for first := true; ; first = false {
		page, next, err := store.History(ctx, q)
		if err != nil {
			return nil, err
		}
		if first && (len(page) == 0 || page[0].Revision < revision) {
			newest := int64(0)
			if len(page) > 0 {
				newest = page[0].Revision
			}
			return nil, fault.New(fault.NotFound, "the environment has no revision %d, the newest is %d: look at the list of revisions", revision, newest)
		}
		for _, r := range page {
			if r.Revision <= revision {
				return inOrder(states, order), nil
			}
			for _, e := range slices.Backward(r.Entries) {
				if e.Project != project || e.Environment != environment {
					continue
				}
				if _, seen := states[e.ID]; !seen {
					order = append(order, e.ID)
				}
				states[e.ID] = earlier(e) // an older one overrides a newer one
			}
		}
		if q.Cursor = next; next == "" {
			return inOrder(states, order), nil
		}
	}
}

func inOrder(states map[string]state, order []string) []state {
	list := make([]state, len(order))
	for i, id := range order {
		list[i] = states[id]
	}
	return list
}

// backTo appends what brings a resource from current (nil: there is none) to an
// earlier state. The spec is normalised again, so that what an older binary
// accepted is held to today's rules.
func (p *Plan) backTo(types Types, to state, current *Resource) error {
	if to.spec == nil {
		if current != nil {
			p.Delete(*current)
		}
		return nil
	}
	spec := to.spec
	t, known := types.Of(to.kind)
	if known && t.Normalize != nil {
		normal, err := t.Normalize(to.name, spec)
		if err != nil {
			return fault.New(fault.CodeOf(err), "what it was then is not valid any more: %w", err).About(string(to.kind) + " " + to.name)
		}
		spec = normal
	}
	if current != nil {
		spec = t.carry(current.Spec, spec)
	}
	switch {
	case current == nil:
		p.Actions = append(p.Actions, createAction(to.kind, to.id, to.project, to.environment, to.name, spec))
	case current.Name != to.name || !EqualJSON(current.Spec, spec):
		p.Actions = append(p.Actions, updateAction(*current, to.name, spec))
	}
	return nil
}

// unchangedSince refuses to undo an entry when the resource is not as the
// revision left it.
func unchangedSince(e Entry, current *Resource, revision int64) error {
	switch {
	case e.Op == Delete && current != nil:
		return laterChange(e, "exists again", current.Revision)
	case e.Op != Delete && current == nil:
		return laterChange(e, "was deleted since", 0)
	case e.Op != Delete && current.Revision != revision:
		return laterChange(e, "was changed since", current.Revision)
	}
	return nil
}

func laterChange(e Entry, what string, revision int64) error {
	by := ""
	if revision > 0 {
		by = fmt.Sprintf(", by revision %d", revision)
	}
	return fault.New(fault.Conflict, "%s%s: revert that first, or restore what was before and lose the later change", what, by).About(string(e.Kind) + " " + e.Name)
}

// getLive returns a resource, nil when there is none.
func getLive(ctx context.Context, store Store, kind Kind, id string) (*Resource, error) {
	r, err := store.Get(ctx, kind, id)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &r, nil
}

// commonPlace returns the project and environment that all entries share, ""
// where they differ.
func commonPlace(entries []Entry) (project, environment string) {
	for i, e := range entries {
		if i == 0 {
			project, environment = e.Project, e.Environment
		}
		if e.Project != project {
			project, environment = "", ""
		} else if e.Environment != environment {
			environment = ""
		}
	}
	return project, environment
}

// finishPlaces checks names and references in every environment that the plan
// touches, and orders the actions.
func finishPlaces(ctx context.Context, store Store, types Types, plan *Plan) error {
	type place struct{ project, environment string }
	var places []place
	parts := map[place]*Plan{}
	for _, a := range plan.Actions {
		at := place{a.Project, a.Environment}
		if parts[at] == nil {
			places = append(places, at)
			parts[at] = &Plan{}
		}
		parts[at].Actions = append(parts[at].Actions, a)
	}
	plan.Actions = []Action{}
	for _, at := range places {
		part := parts[at]
		live, err := loadEnvironment(ctx, store, types, at.project, at.environment)
		if err != nil {
			return err
		}
		if err := live.namesFree(part); err != nil {
			return err
		}
		if err := live.finish(ctx, types, part, nil); err != nil {
			return err
		}
		plan.Actions = append(plan.Actions, part.Actions...)
		plan.Warnings = append(plan.Warnings, part.Warnings...)
	}
	return nil
}

// namesFree refuses a plan that brings a resource back under a name that
// another one has by now and keeps.
func (e *environment) namesFree(plan *Plan) error {
	leaving := map[string]bool{}
	for _, a := range plan.Actions {
		if a.Op == Delete || a.OldName != "" {
			leaving[a.ID] = true
		}
	}
	for _, a := range plan.Actions {
		other, taken := e.named(a.Kind, a.Name)
		if a.Op != Delete && taken && other.ID != a.ID && !leaving[other.ID] {
			return fault.New(fault.Conflict, "cannot come back, because another one has this name now (%s): remove or rename that first", other.ID).About(string(a.Kind) + " " + a.Name)
		}
	}
	return nil
}
