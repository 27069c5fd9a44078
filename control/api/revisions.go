package api

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/control/domains"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/zones"
	"github.com/edgewright/edgewright/control/zones/tsig"
	"github.com/edgewright/edgewright/fault"
)

// Cause says who changed something and why.
type Cause struct {
	Actor     string `json:"actor"`
	Via       string `json:"via" doc:"api, cli, dashboard, plan, rollback or system"`
	Reason    string `json:"reason,omitempty"`
	RequestID string `json:"request_id,omitempty"`
}

// Revision is one accepted change.
type Revision struct {
	Revision int64           `json:"revision"`
	At       time.Time       `json:"at"`
	Cause    Cause           `json:"cause"`
	Entries  []RevisionEntry `json:"entries" doc:"Only those of the project that was asked for"`
	Rollout  Rollout         `json:"rollout"`
}

// RevisionEntry is one resource's part of a revision.
type RevisionEntry struct {
	Op          string          `json:"op" doc:"create, update or delete"`
	Kind        string          `json:"kind"`
	ID          string          `json:"id"`
	Name        string          `json:"name"`
	Project     string          `json:"project_id,omitempty"`
	Environment string          `json:"environment,omitempty"`
	Before      json.RawMessage `json:"before,omitempty"`
	After       json.RawMessage `json:"after,omitempty"`
	Diff        []FieldChange   `json:"diff"`
}

// RevisionList is a page of revisions, newest first.
type RevisionList struct {
	Revisions  []Revision `json:"revisions"`
	NextCursor string     `json:"next_cursor"`
}

// Undo asks to take back a revision.
type Undo struct {
	Force  bool   `json:"force,omitempty" doc:"Also when later revisions changed the same resources: they get the spec they had before"`
	Reason string `json:"reason,omitempty" maxLength:"500"`
}

// RollBack asks to bring an environment back to a revision.
type RollBack struct {
	BodyProject
	Revision int64  `json:"revision" minimum:"0"`
	Reason   string `json:"reason,omitempty" maxLength:"500"`
}

// Undone is what was done, and the revision that did it.
type Undone struct {
	Revision int64 `json:"revision" doc:"0: there was nothing to do"`
	Plan     Plan  `json:"plan"`
}

type listRevisionsInput struct {
	InProject
	Kind   string `query:"kind" maxLength:"64" doc:"Only revisions of this kind of resource"`
	ID     string `query:"id" maxLength:"64" doc:"Only revisions of this resource"`
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"Items on a page"`
	Cursor string `query:"cursor" doc:"next_cursor of the page before" maxLength:"512"`
}

// RevisionPath names a revision in the path.
type RevisionPath struct {
	InProject
	Revision int64 `path:"revision" minimum:"1"`
}

type revertInput struct {
	RevisionPath
	InDryRun
	InKey
	Body *Undo `required:"false"`
}

type rollbackInput struct {
	InProject
	InDryRun
	InKey
	Body RollBack
}

func (in rollbackInput) bodyScopeNames() (project, environment string) {
	return in.Body.ProjectID, in.Body.Environment
}

func (s *Server) addRevisions() {
	const tag, path = "Revisions", infrastructure + "/revisions"
	add(s, op{
		method: http.MethodGet, path: path, id: "revisions-list", tag: tag, summary: "Accepted changes, newest first",
		level: onProject, resource: access.Revisions, verb: access.Read, everywhere: true, answers: []answerDoc{{http.StatusOK, RevisionList{}, ""}},
	}, s.listRevisions)
	add(s, op{
		method: http.MethodGet, path: path + "/{revision}", id: "revisions-get", tag: tag, summary: "One change with its diff and roll-out",
		level: onProject, resource: access.Revisions, verb: access.Read, everywhere: true, answers: []answerDoc{{http.StatusOK, Revision{}, ""}},
	}, s.getRevision)
	add(s, op{
		method: http.MethodPost, path: path + "/{revision}/revert", id: "revisions-revert", tag: tag, summary: "Undo one change",
		level: onProject, resource: access.Revisions, verb: access.Write, answers: []answerDoc{{http.StatusOK, Undone{}, ""}},
	}, s.revert)
	add(s, op{
		method: http.MethodPost, path: infrastructure + "/rollback", id: "rollback", tag: tag, summary: "Bring an environment back to a revision",
		level: onProject, resource: access.Revisions, verb: access.Write, answers: []answerDoc{{http.StatusOK, Undone{}, ""}},
	}, s.rollback)
}

func (s *Server) revisionOf(r resource.Revision) Revision {
	out := Revision{Revision: r.Revision, At: r.At, Cause: causeOf(r.Cause), Entries: []RevisionEntry{}, Rollout: s.revisionRollout(r.Revision)}
	for _, e := range r.Entries {
		out.Entries = append(out.Entries, RevisionEntry{
			Op: string(e.Op), Kind: string(e.Kind), ID: e.ID, Name: e.Name, Project: e.Project, Environment: e.Environment,
			Before: e.Before, After: e.After, Diff: diffOf(resource.Diff(e.Before, e.After)),
		})
	}
	return out
}

func causeOf(c resource.Cause) Cause {
	return Cause{Actor: c.Actor, Via: c.Via, Reason: c.Reason, RequestID: c.RequestID}
}

// historyQuery is a query of what the call's project may see.
func historyQuery(c *call) resource.HistoryQuery {
	q := resource.HistoryQuery{Project: c.project, Environment: c.environment}
	if c.project == access.Platform {
		q.Project = ""
	}
	return q
}

func (s *Server) listRevisions(ctx context.Context, c *call, in *listRevisionsInput) (*answer, error) {
	q := historyQuery(c)
	q.Kind, q.ID, q.Limit, q.Cursor = resource.Kind(in.Kind), in.ID, in.Limit, in.Cursor
	list, next, err := s.store.History(ctx, q)
	if err != nil {
		return nil, err
	}
	out := RevisionList{Revisions: []Revision{}, NextCursor: next}
	for _, r := range list {
		out.Revisions = append(out.Revisions, s.revisionOf(r))
	}
	return &answer{Body: out}, nil
}

// revision returns a revision as far as the project may see it.
func (s *Server) revision(ctx context.Context, c *call, number int64) (resource.Revision, error) {
	q := historyQuery(c)
	q.Environment, q.Revision, q.Limit = "", number, 1
	list, _, err := s.store.History(ctx, q)
	if err != nil {
		return resource.Revision{}, err
	}
	if len(list) == 0 {
		return resource.Revision{}, fault.New(fault.NotFound, "the project has no revision %d; see `edgewright history`", number)
	}
	return list[0], nil
}

func (s *Server) getRevision(ctx context.Context, c *call, in *RevisionPath) (*answer, error) {
	r, err := s.revision(ctx, c, in.Revision)
	if err != nil {
		return nil, err
	}
	return &answer{Body: s.revisionOf(r)}, nil
}

func (s *Server) revert(ctx context.Context, c *call, in *revertInput) (*answer, error) {
	if _, err := s.revision(ctx, c, in.Revision); err != nil {
		return nil, err
	}
	plan, force := resource.PlanRevert, false
	if in.Body != nil {
		force = in.Body.Force
		c.cause.Reason = cmp.Or(c.cause.Reason, in.Body.Reason)
	}
	if force {
		plan = resource.PlanRestore
	}
	p, err := plan(ctx, s.store, s.options.Types, in.Revision)
	if err != nil {
		return nil, err
	}
	return s.undo(ctx, c, p)
}

func (s *Server) rollback(ctx context.Context, c *call, in *rollbackInput) (*answer, error) {
	c.cause.Reason = cmp.Or(c.cause.Reason, in.Body.Reason)
	p, err := resource.PlanRollback(ctx, s.store, s.options.Types, c.project, c.environment, in.Body.Revision)
	if err != nil {
		return nil, err
	}
	return s.undo(ctx, c, p)
}

// undo carries out a plan that goes back, when the caller may change all of it.
func (s *Server) undo(ctx context.Context, c *call, p resource.Plan) (*answer, error) {
	p = withoutClaims(c, p)
	if err := s.mayCarryOut(c, p); err != nil {
		return nil, err
	}
	if c.dryRun {
		return planAnswer(p, nil)
	}
	out := Undone{Plan: planOf(p)}
	if !p.Empty() {
		c.cause.Via = "rollback"
		done, err := s.store.Commit(ctx, p.Commit(c.cause))
		if err != nil {
			return nil, err
		}
		out.Revision, out.Plan.AppliedRevision = done.Revision, done.Revision
	}
	out.Plan.ID = "" // it was not stored
	return &answer{Body: out}, nil
}

// withoutClaims takes the creation of claims out of a plan: ownership is proven
// anew, never restored. The claim of a domain that goes, goes with it.
func withoutClaims(c *call, p resource.Plan) resource.Plan {
	kept := p.Actions[:0:0]
	for _, a := range p.Actions {
		if a.Kind == zones.KindDelegation {
			continue // the zones that are there take their apexes by themselves
		}
		if a.Kind == domains.KindClaim {
			var claim domains.ClaimSpec
			ours := json.Unmarshal(a.Before, &claim) == nil && claim.Project == c.project
			if a.Op != resource.Delete || !ours {
				continue
			}
		}
		kept = append(kept, a)
	}
	p.Actions = kept
	return p
}

// mayCarryOut checks every action of a plan: in the project, of a kind that
// plans are for, and allowed by the permission table.
func (s *Server) mayCarryOut(c *call, p resource.Plan) error {
	for _, a := range p.Actions {
		if a.Kind == domains.KindClaim {
			continue // withoutClaims has left only those that go with their domain
		}
		what := string(a.Kind) + " " + a.Name
		t, known := s.options.Types.Of(a.Kind)
		if !known || t.Scope != resource.ScopeEnvironment || a.Project != c.project {
			return fault.New(fault.Forbidden, "plans and reverts change what lives in an environment of the project; change this one by itself").About(what)
		}
		res, verb := kindResource(a.Kind), access.Write
		if a.Op == resource.Delete {
			verb = access.Delete
		}
		if !c.principal.Can(c.project, res, verb) {
			return s.refuse(c.principal, op{resource: res, verb: verb})
		}
	}
	return nil
}

// kindResource is the row of the permission table that a kind falls under. A
// kind without one is allowed to nobody.
func kindResource(k resource.Kind) access.Resource {
	switch k {
	case domains.Kind, zones.Kind, zones.KindRRset, tsig.Kind:
		return access.Domains
	case "cdn":
		return access.CDN
	case "certificate":
		return access.Certificates
	case "dnsprovider":
		return access.DNSProviders
	}
	return access.Resource(k)
}
