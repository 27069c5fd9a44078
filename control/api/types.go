package api

import (
	"encoding/json"
	"time"

	"github.com/edgewright/edgewright/control/resource"
)

// Condition is one observable fact of a status.
type Condition struct {
	Type    string    `json:"type"`
	Status  string    `json:"status" doc:"true, false or unknown"`
	Reason  string    `json:"reason,omitempty" doc:"One word for machines"`
	Message string    `json:"message,omitempty" doc:"What is, and what to do"`
	Since   time.Time `json:"since" doc:"When the status last changed"`
}

func conditionsOf(list []resource.Condition) []Condition {
	out := make([]Condition, 0, len(list))
	for _, c := range list {
		out = append(out, Condition{Type: c.Type, Status: string(c.Status), Reason: c.Reason, Message: c.Message, Since: c.Since})
	}
	return out
}

// Rollout counts on how many edges a change has arrived.
type Rollout struct {
	Documents int           `json:"documents,omitempty" doc:"Configuration documents that the change moves"`
	Edges     int           `json:"edges"`
	Pending   int           `json:"pending"`
	Applied   int           `json:"applied" doc:"In force, not yet checked"`
	Verified  int           `json:"verified" doc:"The edge has asked itself and got the right answer"`
	Rejected  int           `json:"rejected" doc:"The edge keeps what it had; per_edge says why"`
	PerEdge   []EdgeRollout `json:"per_edge,omitempty"`
}

// EdgeRollout is how far a change has come on one edge.
type EdgeRollout struct {
	Edge   string `json:"edge"`
	Name   string `json:"name,omitempty"`
	Region string `json:"region,omitempty"`
	State  string `json:"state" doc:"pending, applied, verified or rejected"`
	Reason string `json:"reason,omitempty"`
}

// FieldChange is one field's change in a spec.
type FieldChange struct {
	Pointer string          `json:"pointer" doc:"RFC 6901, into the spec"`
	Before  json.RawMessage `json:"before,omitempty" doc:"Absent: the field was not there"`
	After   json.RawMessage `json:"after,omitempty" doc:"Absent: the field is not there any more"`
}

// Action is one change of a plan.
type Action struct {
	Op          string          `json:"op" doc:"create, update or delete"`
	Kind        string          `json:"kind"`
	ID          string          `json:"id,omitempty"`
	Name        string          `json:"name"`
	Project     string          `json:"project_id,omitempty"`
	Environment string          `json:"environment,omitempty"`
	IfRevision  int64           `json:"if_revision,omitempty"`
	Before      json.RawMessage `json:"before,omitempty"`
	After       json.RawMessage `json:"after,omitempty"`
	Diff        []FieldChange   `json:"diff"`
}

// Plan is a set of changes as data.
type Plan struct {
	ID              string    `json:"id,omitempty" doc:"Empty for the plan of a dry run, which is not stored"`
	Project         string    `json:"project_id"`
	Environment     string    `json:"environment"`
	Actions         []Action  `json:"actions"`
	Warnings        []string  `json:"warnings"`
	CreatedAt       time.Time `json:"created_at"`
	AppliedRevision int64     `json:"applied_revision,omitempty" doc:"Set once the plan is carried out"`
	Reason          string    `json:"reason,omitempty"`
}

// Operation is long work that goes on after its request was answered.
type Operation struct {
	ID         string     `json:"id"`
	Kind       string     `json:"kind" doc:"certificate.issue"`
	State      string     `json:"state" doc:"running, succeeded or failed"`
	Step       string     `json:"step,omitempty"`
	Message    string     `json:"message,omitempty"`
	Resource   string     `json:"resource" doc:"What it works on, as 'certificate crt_...'"`
	StartedAt  time.Time  `json:"started_at"`
	FinishedAt *time.Time `json:"finished_at,omitempty"`
}

// timeOrNil leaves out times that have not happened.
func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
