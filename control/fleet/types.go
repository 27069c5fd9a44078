package fleet

import (
	"time"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/edgeconfig"
)

// KindEdge is the kind of edge resources; they belong to the platform.
const KindEdge resource.Kind = "edge"

// EdgeSpec is what is wanted of an edge.
type EdgeSpec struct {
	Region     string `json:"region"`
	Draining   bool   `json:"draining,omitempty"`
	BusKey     string `json:"bus_key"`     // the edge's public NKey
	SealingKey []byte `json:"sealing_key"` // the edge's public key for sealed group keys
	Simulated  bool   `json:"simulated,omitempty"`
	Local      bool   `json:"local,omitempty"` // it runs in the control plane's own process
}

// EdgeStatus is what was last known of an edge; live facts are in Edge.
type EdgeStatus struct {
	Version  string    `json:"version,omitempty"`
	HTTP     string    `json:"http,omitempty"`
	HTTPS    string    `json:"https,omitempty"`
	DNS      string    `json:"dns,omitempty"`
	Online   bool      `json:"online"`
	LastSeen time.Time `json:"last_seen,omitzero"`
}

// Edge is an edge with its live state.
type Edge struct {
	resource.Meta
	Spec      EdgeSpec            `json:"spec"`
	Connected bool                `json:"connected"`
	InSync    bool                `json:"in_sync"` // holds exactly what is published
	LastSeen  time.Time           `json:"last_seen,omitzero"`
	StartedAt time.Time           `json:"started_at,omitzero"`
	Version   string              `json:"version,omitempty"`
	HTTP      string              `json:"http,omitempty"`
	HTTPS     string              `json:"https,omitempty"`
	DNS       string              `json:"dns,omitempty"`
	Sites     int                 `json:"sites"`
	PurgeSeq  int64               `json:"purge_seq"`
	Draining  bool                `json:"draining"` // it says that it drains; Spec says whether it shall
	Rejected  int                 `json:"rejected"` // documents it refuses
	Live      edgeconfig.Counters `json:"live"`
}

// Rollout is how far the documents of one store revision have come.
type Rollout struct {
	Revision   int64         `json:"revision"`
	Documents  int           `json:"documents"`
	Edges      int           `json:"edges"` // joined edges these documents are for
	Pending    int           `json:"pending"`
	Applied    int           `json:"applied"` // applied or further
	Verified   int           `json:"verified"`
	Rejected   int           `json:"rejected"`
	Away       int           `json:"away"` // of Pending: not connected
	StartedAt  time.Time     `json:"started_at,omitzero"`
	AppliedAt  time.Time     `json:"applied_at,omitzero"`  // when the last edge had applied
	VerifiedAt time.Time     `json:"verified_at,omitzero"` // when the last edge had verified
	AppliedP50 time.Duration `json:"applied_p50,omitempty"`
	AppliedP99 time.Duration `json:"applied_p99,omitempty"`
	Rejections []Rejection   `json:"rejections,omitempty"` // at most 20
	Waiting    []string      `json:"waiting,omitempty"`    // edge IDs still pending, at most 20
}

// Rejection is one edge's refusal of one document.
type Rejection struct {
	Edge   string `json:"edge"`
	Key    string `json:"key"`
	Reason string `json:"reason"`
}

// PurgeRequest says what to purge.
type PurgeRequest struct {
	Project     string
	Environment string
	Sites       []string // site IDs; empty: all of project and environment
	Paths       []string // "/a", "/img/*" (prefix), or a full URL
	All         bool
}

// PurgeState is how far a purge has come.
type PurgeState struct {
	ID           string    `json:"id"`
	Seq          int64     `json:"seq"`
	State        string    `json:"state"` // "pending" or "acknowledged"
	Project      string    `json:"project_id"`
	Environment  string    `json:"environment"`
	Count        int       `json:"count"` // objects removed on all edges
	Edges        int       `json:"edges"` // connected when it was made
	Acknowledged int       `json:"acknowledged"`
	Missing      []string  `json:"missing,omitempty"` // connected, not yet acknowledged; at most 20
	Away         []string  `json:"away,omitempty"`    // not connected; they catch up before they are reached again; at most 20
	At           time.Time `json:"at"`
	DoneAt       time.Time `json:"done_at,omitzero"`
}

// The states of a purge.
const (
	PurgePending      = "pending"
	PurgeAcknowledged = "acknowledged"
)

// View is how one edge serves a certificate.
type View struct {
	Edge   string    `json:"edge"`
	Name   string    `json:"name"` // of the edge
	Region string    `json:"region"`
	By     string    `json:"by"` // the edge that looked
	At     time.Time `json:"at"`
	edgeconfig.Served
}

// EventType says what an Event reports.
type EventType string

// The events. Each has the field of its name set.
const (
	EventRollout EventType = "rollout"
	EventEdge    EventType = "edge"
	EventPurge   EventType = "purge"
	EventLive    EventType = "live"
	EventHeld    EventType = "held"
)

// Event is something that happened in the fleet.
type Event struct {
	Type    EventType   `json:"type"`
	Rollout *Rollout    `json:"rollout,omitempty"`
	Edge    *Edge       `json:"edge,omitempty"`
	Purge   *PurgeState `json:"purge,omitempty"`
	Live    *Live       `json:"live,omitempty"`
	Held    *Held       `json:"held,omitempty"`
}

// Live is the traffic of about the last second, over all edges.
type Live struct {
	At    time.Time           `json:"at"`
	Total LiveRate            `json:"total"`
	Sites map[string]LiveRate `json:"sites"` // by site ID; "" for requests that met no site
}

// LiveRate is traffic per second.
type LiveRate struct {
	Requests float64 `json:"requests_per_second"`
	Hits     float64 `json:"hits_per_second"`
	Bytes    float64 `json:"bytes_per_second"`
	Errors   float64 `json:"errors_per_second"` // 5xx
}

// Held reports documents whose removal was held back because it would have
// emptied much of their kind without anyone having asked for it.
type Held struct {
	Kind string   `json:"kind"`
	Keys []string `json:"keys"` // at most 100
	Of   int      `json:"of"`   // live documents of the kind
}
