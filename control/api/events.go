package api

import (
	"net/http"
	"time"

	"github.com/edgewright/edgewright/control/access"
)

// ChangeEvent is the data of a "change" event: a resource was written. It tells
// that there is something to read again, not what it says.
type ChangeEvent struct {
	Type        string `json:"type" doc:"put, status or deleted"`
	Kind        string `json:"kind"`
	ID          string `json:"id"`
	Name        string `json:"name"`
	Project     string `json:"project_id,omitempty"`
	Environment string `json:"environment,omitempty"`
	Revision    int64  `json:"revision"`
}

// RolloutEvent is the data of a "rollout" event: a revision came further.
type RolloutEvent struct {
	Revision int64   `json:"revision"`
	Rollout  Rollout `json:"rollout"`
}

// LiveEvent is the data of a "live" event: what edges counted in the last second.
type LiveEvent struct {
	At    time.Time           `json:"at"`
	Total LiveRate            `json:"total"`
	Sites map[string]LiveRate `json:"sites" doc:"By domain ID"`
}

// LiveRate is traffic per second.
type LiveRate struct {
	Requests float64 `json:"requests_per_second"`
	Hits     float64 `json:"hits_per_second"`
	Bytes    float64 `json:"bytes_per_second"`
	Errors   float64 `json:"errors_per_second"`
}

// EdgeEvent is the data of an "edge" event: an edge came, went or changed.
type EdgeEvent struct {
	Edge Edge `json:"edge"`
}

// PurgeEvent is the data of a "purge" event: a purge came further.
type PurgeEvent struct {
	Purge Purge `json:"purge"`
}

// OperationEvent is the data of an "operation" event: long work came further.
type OperationEvent struct {
	Operation Operation `json:"operation"`
}

type eventsInput struct {
	InProject
	LastEventID string `header:"Last-Event-ID" maxLength:"64" doc:"The last event that was seen: missed changes are sent first"`
	LastID      string `query:"last_event_id" maxLength:"64" doc:"As the header, for who cannot set it"`
}

func (s *Server) addEvents() {
	addStream(s, op{
		method: http.MethodGet, path: infrastructure + "/events", id: "events", tag: "Events", summary: "What happens, as server-sent events",
		doc: "Events: change (ChangeEvent), rollout (RolloutEvent), live (LiveEvent), edge (EdgeEvent), purge (PurgeEvent), operation (OperationEvent), and reset: too much was missed, read everything again. " +
			"Changes have IDs; a comment comes at least every 15 seconds.",
		level: onProject, resource: access.Events, verb: access.Read, everywhere: true, contentType: "text/event-stream", timeout: -1,
		answers: []answerDoc{{http.StatusOK, "", ""}},
	}, s.events)
	for _, example := range []any{ChangeEvent{}, RolloutEvent{}, LiveEvent{}, EdgeEvent{}, PurgeEvent{}, OperationEvent{}} {
		s.describeType(example)
	}
}
