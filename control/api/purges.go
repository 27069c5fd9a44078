package api

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/control/fleet"
	"github.com/edgewright/edgewright/fault"
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
		level: onProject, resource: access.Purges, verb: access.Read, answers: []answerDoc{{http.StatusOK, Purge{}, ""}},
	}, s.getPurge)
}

// purgeWait is how long a request waits for all connected edges.
const purgeWait = 10 * time.Second

func purgeOf(p fleet.PurgeState) Purge {
	return Purge{
		ID: p.ID, Count: p.Count, State: p.State, At: p.At, DoneAt: timeOrNil(p.DoneAt),
		Edges: PurgeEdges{
			Total: p.Edges, Acknowledged: p.Acknowledged, Missing: append([]string{}, p.Missing...), Away: append([]string{}, p.Away...),
		},
	}
}

func (s *Server) purge(ctx context.Context, c *call, in *newPurgeInput) (*answer, error) {
	b := in.Body
	switch {
	case len(b.Paths) == 0 && !b.All:
		return nil, fault.InvalidField("/paths", "there is nothing to purge", "name paths, or set purge_all")
	case len(b.Paths) > 0 && b.All:
		return nil, fault.InvalidField("/purge_all", "both paths and purge_all are given", "choose one: purge_all drops everything")
	}
	if err := checkPaths(b.Paths); err != nil {
		return nil, err
	}
	request := fleet.PurgeRequest{Project: c.project, Environment: c.environment, Paths: b.Paths, All: b.All}
	if b.Domain != "" {
		d, err := s.domains.Get(ctx, c.project, c.environment, b.Domain)
		if err != nil {
			return nil, err
		}
		request.Sites = []string{d.ID}
	}
	wait, cancel := context.WithTimeout(ctx, s.purgeWait)
	defer cancel()
	state, err := s.fleet.Purge(wait, request)
	if err != nil {
		return nil, err
	}
	c.target = "purge " + state.ID
	c.detail = map[string]any{"environment": c.environment, "paths": len(b.Paths), "purge_all": b.All, "domain": b.Domain}
	a := &answer{Location: infrastructure + "/cdn/purges/" + state.ID, Body: purgeOf(state)}
	if state.State != fleet.PurgeAcknowledged {
		a.Status = http.StatusAccepted
	}
	return a, nil
}

func (s *Server) getPurge(ctx context.Context, c *call, in *purgePath) (*answer, error) {
	state, err := s.fleet.PurgeState(ctx, in.ID)
	if fault.Is(err, fault.NotFound) || err == nil && state.Project != c.project {
		return nil, fault.New(fault.NotFound, "there is no such purge in this project").About("purge " + in.ID)
	}
	if err != nil {
		return nil, err
	}
	return &answer{Body: purgeOf(state)}, nil
}

// checkPaths refuses what edges could not read as a path: they would rather drop
// a whole site than leave something stale.
func checkPaths(paths []string) error {
	var faults []fault.Field
	for i, path := range paths {
		ok := strings.HasPrefix(path, "/")
		if !ok {
			u, err := url.Parse(path)
			ok = err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
		}
		if !ok {
			faults = append(faults, fault.Field{
				Pointer: fmt.Sprintf("/paths/%d", i), Detail: fmt.Sprintf("%q is neither a path nor a URL", path),
				Fix: "write /a, /img/* for everything below, or https://shop.example.com/a",
			})
		}
	}
	return fault.InvalidFields(faults)
}
