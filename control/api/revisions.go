package api

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/edgewright/edgewright/control/access"
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

type revisionPath struct {
	InProject
	Revision int64 `path:"revision" minimum:"1"`
}

type revertInput struct {
	revisionPath
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
