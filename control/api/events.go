package api

import (
	"cmp"
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/fault"
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

// HeldEvent is the data of a "held" event: a removal was held back.
type HeldEvent struct {
	Held Held `json:"held"`
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
		doc: "Events: change (ChangeEvent), rollout (RolloutEvent), live (LiveEvent), edge (EdgeEvent), purge (PurgeEvent), operation (OperationEvent), for who has a role on the platform held (HeldEvent), and reset: too much was missed, read everything again. " +
			"Changes have IDs; a comment comes at least every 15 seconds.",
		level: onProject, resource: access.Events, verb: access.Read, everywhere: true, contentType: "text/event-stream", timeout: -1,
		answers: []answerDoc{{http.StatusOK, "", ""}},
	}, s.events)
	for _, example := range []any{ChangeEvent{}, RolloutEvent{}, LiveEvent{}, EdgeEvent{}, PurgeEvent{}, OperationEvent{}, HeldEvent{}} {
		s.describeType(example)
	}
}

const (
	heartbeatEvery = 15 * time.Second
	eventTimeout   = 20 * time.Second // to write one event to a slow client
)

func (s *Server) events(ctx context.Context, c *call, in *eventsInput) (func(huma.Context), error) {
	since := int64(0)
	if last := cmp.Or(in.LastEventID, in.LastID); last != "" {
		var err error
		if since, err = strconv.ParseInt(last, 10, 64); err != nil || since < 0 {
			return nil, fault.InvalidField("header:Last-Event-ID", "this is not an event of this stream", "begin without it")
		}
	}
	l, missed, complete, err := s.hub.listen(c.principal.ID, since)
	if err != nil {
		return nil, err
	}
	f := &follower{project: c.project, environment: c.environment, platform: c.principal.Sees(access.Platform)}
	if c.project == access.Platform {
		f.project = ""
	}
	return func(hc huma.Context) {
		defer s.hub.leave(l)
		s.stream(hc, c, l, f, missed, complete)
	}, nil
}

// stream writes events until the client goes, loses its rights, or the server
// stops.
func (s *Server) stream(hc huma.Context, c *call, l *listener, f *follower, missed []message, complete bool) {
	r, w := humago.Unwrap(hc)
	control := http.NewResponseController(w)
	hc.SetHeader("Content-Type", "text/event-stream")
	hc.SetHeader("X-Accel-Buffering", "no")
	write := func(b []byte) bool {
		if len(b) == 0 {
			return true
		}
		_ = control.SetWriteDeadline(time.Now().Add(eventTimeout)) // recorders in tests have none
		_, err := w.Write(b)
		return err == nil && control.Flush() == nil
	}
	if !write([]byte("retry: 2000\n\n")) || !complete && !write(resetEvent) {
		return
	}
	for _, m := range missed {
		if !write(f.encode(m)) {
			return
		}
	}
	heartbeat := time.NewTicker(s.heartbeat)
	defer heartbeat.Stop()
	for {
		select {
		case <-r.Context().Done():
			return
		case m, ok := <-l.queue:
			if !ok || !write(f.encode(m)) {
				return
			}
			if s.hub.lost(l) && !write(resetEvent) {
				return
			}
		case <-heartbeat.C:
			if !s.stillMay(r, c) || !write([]byte(": \n\n")) {
				return
			}
		}
	}
}

// resetEvent tells that more was missed than can be sent again.
var resetEvent = []byte("event: reset\ndata: {}\n\n")

// stillMay asks again whether the credentials of a long stream hold.
func (s *Server) stillMay(r *http.Request, c *call) bool {
	again := *requestFrom(r.Context())
	again.principal = nil
	if err := s.identify(r, &again); err != nil || again.principal == nil {
		return fault.Is(err, fault.Unavailable) // a database that is away for a moment ends no stream
	}
	return again.principal.Can(c.project, access.Events, access.Read)
}
