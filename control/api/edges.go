package api

import (
	"net/http"
	"time"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/edgeconfig"
)

// Edge is one edge node.
type Edge struct {
	ID            string     `json:"id"`
	Name          string     `json:"name"`
	Region        string     `json:"region"`
	State         string     `json:"state" doc:"online, offline or draining"`
	Draining      bool       `json:"draining"`
	Simulated     bool       `json:"simulated" doc:"Shares its machine with other edges of a laptop set-up"`
	Version       string     `json:"version,omitempty"`
	HTTP          string     `json:"http,omitempty" doc:"Address as bound. Only for who has a role on the platform"`
	HTTPS         string     `json:"https,omitempty" doc:"As http"`
	StartedAt     *time.Time `json:"started_at,omitempty"`
	LastHeartbeat *time.Time `json:"last_heartbeat,omitempty"`
	InSync        bool       `json:"in_sync" doc:"Holds exactly what the control plane has published"`
	Sites         int        `json:"sites,omitempty" doc:"Only for who has a role on the platform"`
	RequestsPerS  float64    `json:"requests_per_second,omitempty" doc:"Of the last second, all sites. Only for who has a role on the platform"`
	Revision      int64      `json:"revision"`
	CreatedAt     time.Time  `json:"created_at"`
}

// EdgeAnswer holds one edge.
type EdgeAnswer struct {
	Edge Edge `json:"edge"`
}

// EdgeList is all edges.
type EdgeList struct {
	Edges      []Edge `json:"edges"`
	NextCursor string `json:"next_cursor"`
}

// Drain asks an edge to send its clients elsewhere, or takes it back.
type Drain struct {
	Draining bool `json:"draining"`
}

// NewJoinToken asks for a join token.
type NewJoinToken struct {
	Region     string `json:"region,omitempty" doc:"Where the edge will be; default: the edge says" maxLength:"40"`
	TTLSeconds int    `json:"ttl_seconds,omitempty" minimum:"60" maximum:"604800" doc:"Default: 3600"`
}

// JoinToken lets one edge join, once.
type JoinToken struct {
	Token     string    `json:"token" doc:"Shown this once"`
	Command   string    `json:"command" doc:"To run on the new machine"`
	Region    string    `json:"region,omitempty"`
	ExpiresAt time.Time `json:"expires_at"`
}

type edgePath struct {
	Edge string `path:"edge" doc:"By ID or name" maxLength:"64"`
}

type deleteEdgeInput struct {
	edgePath
	InMatch
}

type drainInput struct {
	edgePath
	InKey
	Body Drain
}

type joinTokenInput struct {
	InKey
	Body NewJoinToken
}

type joinInput struct{ Body edgeconfig.JoinRequest }

func (s *Server) addEdges() {
	const tag, path = "Edges", infrastructure + "/edges"
	add(s, op{
		method: http.MethodGet, path: path, id: "edges-list", tag: tag, summary: "All edges",
		level: anyProject, resource: access.Edges, verb: access.Read, answers: []answerDoc{{http.StatusOK, EdgeList{}, ""}},
	}, s.listEdges)
	add(s, op{
		method: http.MethodGet, path: path + "/{edge}", id: "edges-get", tag: tag, summary: "One edge",
		level: anyProject, resource: access.Edges, verb: access.Read, answers: []answerDoc{{http.StatusOK, EdgeAnswer{}, ""}},
	}, s.getEdge)
	add(s, op{
		method: http.MethodDelete, path: path + "/{edge}", id: "edges-revoke", tag: tag, summary: "Take an edge's credentials away for good",
		level: onPlatform, resource: access.Edges, verb: access.Delete, answers: []answerDoc{{http.StatusNoContent, nil, ""}},
	}, s.revokeEdge)
	add(s, op{
		method: http.MethodPost, path: path + "/{edge}/drain", id: "edges-drain", tag: tag, summary: "Take an edge out of use, or back into it",
		level: onPlatform, resource: access.Edges, verb: access.Write, answers: []answerDoc{{http.StatusOK, EdgeAnswer{}, ""}},
	}, s.drainEdge)
	add(s, op{
		method: http.MethodPost, path: path + "/join-tokens", id: "edges-join-token", tag: tag, summary: "Make a one-time join token",
		level: onPlatform, resource: access.Edges, verb: access.Write, audit: "edge.join_token",
		answers: []answerDoc{{http.StatusCreated, JoinToken{}, ""}},
	}, s.newJoinToken)
	add(s, op{
		method: http.MethodPost, path: path + "/join", id: "edges-join", tag: tag, summary: "Join a new edge with a one-time token",
		doc:   "For edges, not for people. The token in the body is the credential.",
		level: public, noKey: true, audit: "edge.join", answers: []answerDoc{{http.StatusOK, edgeconfig.JoinReply{}, ""}},
	}, s.joinEdge)
}
