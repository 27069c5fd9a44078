package resource

import (
	"context"
	"encoding/json"
	"time"
)

// Action is one resource's part of a plan.
type Action struct {
	Op          Op     `json:"op"`
	Kind        Kind   `json:"kind"`
	ID          string `json:"id"`
	Name        string `json:"name"`
	OldName     string `json:"old_name,omitempty"` // when the action renames
	Project     string `json:"project_id,omitempty"`
	Environment string `json:"environment,omitempty"`
	// IfRevision is the revision the plan was made for; 0 for a create.
	IfRevision int64           `json:"if_revision,omitempty"`
	Before     json.RawMessage `json:"before,omitempty"` // the spec; absent for create
	After      json.RawMessage `json:"after,omitempty"`  // the spec; absent for delete
	Diff       []FieldChange   `json:"diff,omitempty"`
}

// Plan is what would be done, as data: it can be shown, stored, audited and
// applied later. It holds the revisions it was made for, so that applying it
// after somebody else's change is refused.
type Plan struct {
	ID          string    `json:"id"` // "plan_..."
	Project     string    `json:"project_id"`
	Environment string    `json:"environment"`
	Actions     []Action  `json:"actions"`
	Warnings    []string  `json:"warnings,omitempty"`
	CreatedAt   time.Time `json:"created_at"`
	// AppliedRevision is the revision that carried the plan out; 0 before.
	AppliedRevision int64  `json:"applied_revision,omitempty"`
	Reason          string `json:"reason,omitempty"` // "revert of revision 12"
}

// PlanPrefix is the prefix of plan IDs.
const PlanPrefix = "plan"

// NewPlan returns an empty plan with an ID.
func NewPlan(project, environment string) Plan {
	return Plan{ID: NewID(PlanPrefix), Project: project, Environment: environment, Actions: []Action{}, CreatedAt: time.Now().UTC()}
}

// Empty reports that there is nothing to do.
func (p Plan) Empty() bool { return len(p.Actions) == 0 }

// Commit returns the commit that carries the plan out, all or nothing. A cause
// without a reason takes the plan's.
func (p Plan) Commit(cause Cause) Commit {
	if cause.Reason == "" {
		cause.Reason = p.Reason
	}
	changes := make([]Change, len(p.Actions))
	for i, a := range p.Actions {
		changes[i] = Change{
			Op: a.Op, Kind: a.Kind, ID: a.ID, Project: a.Project, Environment: a.Environment,
			Name: a.Name, Spec: a.After, IfRevision: a.IfRevision,
		}
	}
	return Commit{Changes: changes, Cause: cause, Plan: p.ID}
}

// Create appends the creation of a resource.
func (p *Plan) Create(t Type, project, environment, name string, spec json.RawMessage) {
	p.Actions = append(p.Actions, createAction(t.Kind, t.NewID(), project, environment, name, spec))
}

// Update appends a change of r's spec. An equal spec appends nothing.
func (p *Plan) Update(r Resource, spec json.RawMessage) {
	if !EqualJSON(r.Spec, spec) {
		p.Actions = append(p.Actions, updateAction(r, r.Name, spec))
	}
}

// Delete appends the deletion of r.
func (p *Plan) Delete(r Resource) {
	p.Actions = append(p.Actions, deleteAction(r))
}

func createAction(kind Kind, id, project, environment, name string, spec json.RawMessage) Action {
	return Action{
		Op: Create, Kind: kind, ID: id, Name: name, Project: project, Environment: environment,
		After: spec, Diff: Diff(nil, spec),
	}
}

func updateAction(r Resource, name string, spec json.RawMessage) Action {
	a := Action{
		Op: Update, Kind: r.Kind, ID: r.ID, Name: name, Project: r.Project, Environment: r.Environment,
		IfRevision: r.Revision, Before: r.Spec, After: spec, Diff: Diff(r.Spec, spec),
	}
	if name != r.Name {
		a.OldName = r.Name
	}
	return a
}

func deleteAction(r Resource) Action {
	return Action{
		Op: Delete, Kind: r.Kind, ID: r.ID, Name: r.Name, Project: r.Project, Environment: r.Environment,
		IfRevision: r.Revision, Before: r.Spec, Diff: Diff(r.Spec, nil),
	}
}

// PlanStore keeps plans between being shown and being applied.
type PlanStore interface {
	// PutPlan stores a new plan.
	PutPlan(ctx context.Context, p Plan) error
	// Plan returns a stored plan, or NotFound.
	Plan(ctx context.Context, id string) (Plan, error)
	// MarkApplied notes the revision that carried a plan out. A commit whose
	// Plan is set does so itself.
	MarkApplied(ctx context.Context, id string, revision int64) error
}
