package api

import (
	"net/http"
	"time"

	"github.com/edgewright/edgewright/control/access"
)

// NewPurge says what to drop from the caches of all edges.
type NewPurge struct {
	BodyProject
	Paths  []string `json:"paths,omitempty" doc:"/a, /img/* (everything below) or a full URL" maxItems:"1000"`
	All    bool     `json:"purge_all,omitempty"`
	Domain string   `json:"domain,omitempty" doc:"Default: all domains of the environment" maxLength:"512"`
}

// Purge is a purge and how far it has come.
type Purge struct {
	ID     string     `json:"purge_id"`
	Count  int        `json:"purged_count" doc:"Stored responses removed so far, on all edges"`
	State  string     `json:"state" doc:"pending or acknowledged: no edge serves a stale byte any more"`
	Edges  PurgeEdges `json:"edges"`
	At     time.Time  `json:"at"`
	DoneAt *time.Time `json:"done_at,omitempty"`
}

// PurgeEdges counts edges.
type PurgeEdges struct {
	Total        int      `json:"total" doc:"Connected when the purge was made"`
	Acknowledged int      `json:"acknowledged"`
	Missing      []string `json:"missing" doc:"Connected and not yet done; at most 20"`
	Away         []string `json:"away" doc:"Not connected: they catch up before they serve again; at most 20"`
}

type newPurgeInput struct {
	InProject
	InKey
	Body NewPurge
}

func (in newPurgeInput) bodyScopeNames() (project, environment string) {
	return in.Body.ProjectID, in.Body.Environment
}

type purgePath struct {
	InProjectOnly
	ID string `path:"id" maxLength:"64"`
}

func (s *Server) addPurges() {
	const tag = "CDN"
	add(s, op{
		method: http.MethodPost, path: infrastructure + "/cdn/purge", id: "cdn-purge", tag: tag, summary: "Drop stored responses on all edges",
		doc:   "Waits a few seconds for all connected edges; what is missing then is told and can be watched.",
		level: onProject, resource: access.Purges, verb: access.Write, audit: "cache.purge",
		answers: []answerDoc{{http.StatusOK, Purge{}, "All connected edges have done it"}, {http.StatusAccepted, Purge{}, "Some edges are still at it"}},
	}, s.purge)
	add(s, op{
		method: http.MethodGet, path: infrastructure + "/cdn/purges/{id}", id: "cdn-purge-get", tag: tag, summary: "How far a purge has come",
		level: onProject, resource: access.Purges, verb: access.Read, everywhere: true, answers: []answerDoc{{http.StatusOK, Purge{}, ""}},
	}, s.getPurge)
}
