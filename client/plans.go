package client

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Declared is one resource as a file declares it.
type Declared struct {
	Kind string          `json:"kind"`
	Name string          `json:"name"`
	Spec json.RawMessage `json:"spec"`
}

// Desired is what a project and environment shall hold.
type Desired struct {
	Resources []Declared `json:"resources"`
	Prune     bool       `json:"prune,omitempty"` // delete what is not declared
}

// Plan is a set of changes as data: shown, stored, applied later, refused when
// stale.
type Plan struct {
	ID              string    `json:"id,omitempty"` // "" for a dry run's, which is not stored
	Project         string    `json:"project_id"`
	Environment     string    `json:"environment"`
	Actions         []Action  `json:"actions"`
	Warnings        []string  `json:"warnings,omitempty"`
	CreatedAt       time.Time `json:"created_at"`
	AppliedRevision int64     `json:"applied_revision,omitempty"`
	Reason          string    `json:"reason,omitempty"`
}

// Empty says whether there is nothing to do.
func (p *Plan) Empty() bool { return len(p.Actions) == 0 }

// Action is one change of a plan.
type Action struct {
	Op          string          `json:"op"` // create, update, delete
	Kind        string          `json:"kind"`
	ID          string          `json:"id,omitempty"`
	Name        string          `json:"name"`
	Project     string          `json:"project_id,omitempty"`
	Environment string          `json:"environment,omitempty"`
	IfRevision  int64           `json:"if_revision,omitempty"`
	Before      json.RawMessage `json:"before,omitempty"`
	After       json.RawMessage `json:"after,omitempty"`
	Diff        []FieldChange   `json:"diff,omitempty"`
}

// FieldChange is one field's change. An absent Before or After means the field
// is not there.
type FieldChange struct {
	Pointer string          `json:"pointer"` // RFC 6901, into the spec
	Before  json.RawMessage `json:"before,omitempty"`
	After   json.RawMessage `json:"after,omitempty"`
}

// Plan makes and stores a plan that brings the project and environment to what
// is desired.
func (c *Client) Plan(ctx context.Context, d Desired) (*Plan, error) {
	return c.planCall(ctx, call{method: http.MethodPost, path: infra + "/plans", query: c.scoped(), body: d})
}

// StoredPlan returns a plan made before, or fault.NotFound.
func (c *Client) StoredPlan(ctx context.Context, id string) (*Plan, error) {
	return c.planCall(ctx, call{method: http.MethodGet, path: infra + "/plans/" + segment(id), query: c.inProject()})
}

// Applied is the outcome of applying a plan.
type Applied struct {
	Revision int64 `json:"revision"` // 0 when there was nothing to do
}

// ApplyPlan carries a plan out, in one transaction. It is refused with
// fault.Stale when a resource of the plan was changed since the plan was made.
func (c *Client) ApplyPlan(ctx context.Context, id, reason string) (*Applied, error) {
	var body any = struct{}{}
	if reason != "" {
		body = map[string]string{"reason": reason}
	}
	out := new(Applied)
	_, err := c.do(ctx, call{method: http.MethodPost, path: infra + "/plans/" + segment(id) + "/apply", query: c.inProject(), body: body}, out)
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Export is everything a project and environment hold.
type Export struct {
	Project     string     `json:"project_id"`
	Environment string     `json:"environment"`
	Resources   []Declared `json:"resources"`
}

// Export returns what Plan would find nothing to do for.
func (c *Client) Export(ctx context.Context) (*Export, error) {
	out := new(Export)
	if _, err := c.do(ctx, call{method: http.MethodGet, path: infra + "/export", query: c.scoped()}, out); err != nil {
		return nil, err
	}
	return out, nil
}

// Cause says who made a revision and why.
type Cause struct {
	Actor     string `json:"actor"`
	Via       string `json:"via"`
	Reason    string `json:"reason,omitempty"`
	RequestID string `json:"request_id,omitempty"`
}

// Revision is one accepted change.
type Revision struct {
	Revision int64           `json:"revision"`
	At       time.Time       `json:"at"`
	Cause    Cause           `json:"cause"`
	Entries  []RevisionEntry `json:"entries"`
	Rollout  Rollout         `json:"rollout"`
}

// RevisionEntry is one resource's part of a revision.
type RevisionEntry struct {
	Op          string          `json:"op"`
	Kind        string          `json:"kind"`
	ID          string          `json:"id"`
	Name        string          `json:"name"`
	Project     string          `json:"project_id,omitempty"`
	Environment string          `json:"environment,omitempty"`
	Before      json.RawMessage `json:"before,omitempty"`
	After       json.RawMessage `json:"after,omitempty"`
	Diff        []FieldChange   `json:"diff,omitempty"`
}

// HistoryQuery narrows Revisions. Empty fields select all.
type HistoryQuery struct {
	Kind string
	ID   string
}

// Revisions walks history, newest first. Stop when you have seen enough.
func (c *Client) Revisions(ctx context.Context, q HistoryQuery) iter.Seq2[Revision, error] {
	query := c.scoped()
	if q.Kind != "" {
		query.Set("kind", q.Kind)
	}
	if q.ID != "" {
		query.Set("id", q.ID)
	}
	query.Set("limit", "50")
	return pages(ctx, func(ctx context.Context, cursor string) (Page[Revision], error) {
		return list[Revision](ctx, c, infra+"/revisions", "revisions", query, cursor)
	})
}

func revisionPath(revision int64) string {
	return infra + "/revisions/" + strconv.FormatInt(revision, 10)
}

// Revision returns one revision with its roll-out, or fault.NotFound.
func (c *Client) Revision(ctx context.Context, revision int64) (*Revision, error) {
	out := new(Revision)
	if _, err := c.do(ctx, call{method: http.MethodGet, path: revisionPath(revision), query: c.scoped()}, out); err != nil {
		return nil, err
	}
	return out, nil
}

// Undone is the outcome of Revert and Rollback: the plan and the revision that
// carried it out.
type Undone struct {
	Revision int64 `json:"revision"` // 0 when there was nothing to do
	Plan     Plan  `json:"plan"`
}

// Revert undoes one revision. It is refused with fault.Conflict when a later
// revision changed the same resources, unless force is set: then they get the
// spec they had before the revision.
func (c *Client) Revert(ctx context.Context, revision int64, force bool, reason string) (*Undone, error) {
	out := new(Undone)
	_, err := c.do(ctx, call{method: http.MethodPost, path: revisionPath(revision) + "/revert", query: c.scoped(), body: undoBody(force, reason)}, out)
	if err != nil {
		return nil, err
	}
	return out, nil
}

// PlanRevert tells what Revert would do.
func (c *Client) PlanRevert(ctx context.Context, revision int64, force bool) (*Plan, error) {
	return c.dryRun(ctx, call{method: http.MethodPost, path: revisionPath(revision) + "/revert", body: undoBody(force, "")})
}

// Rollback brings the project and environment back to what they were at a
// revision.
func (c *Client) Rollback(ctx context.Context, revision int64, reason string) (*Undone, error) {
	out := new(Undone)
	_, err := c.do(ctx, call{method: http.MethodPost, path: infra + "/rollback", query: c.scoped(), body: rollbackBody(revision, reason)}, out)
	if err != nil {
		return nil, err
	}
	return out, nil
}

// PlanRollback tells what Rollback would do.
func (c *Client) PlanRollback(ctx context.Context, revision int64) (*Plan, error) {
	return c.dryRun(ctx, call{method: http.MethodPost, path: infra + "/rollback", body: rollbackBody(revision, "")})
}

func rollbackBody(revision int64, reason string) map[string]any {
	body := undoBody(false, reason)
	body["revision"] = revision
	return body
}

func undoBody(force bool, reason string) map[string]any {
	body := map[string]any{}
	if force {
		body["force"] = true
	}
	if reason != "" {
		body["reason"] = reason
	}
	return body
}

// dryRun makes a call that answers with a plan and changes nothing.
func (c *Client) dryRun(ctx context.Context, k call) (*Plan, error) {
	k.query = merge(merge(c.scoped(), k.query), url.Values{"dry_run": {"true"}})
	return c.planCall(ctx, k)
}

func (c *Client) planCall(ctx context.Context, k call) (*Plan, error) {
	out := new(Plan)
	w := wrap[Plan]{name: "plan", out: out}
	if _, err := c.do(ctx, k, &w); err != nil {
		return nil, err
	}
	return out, nil
}
