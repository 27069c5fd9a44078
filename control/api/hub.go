package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/domains"
	"github.com/edgewright/edgewright/control/fleet"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

const (
	hubRing    = 2048 // changes kept at least for who comes back
	hubQueue   = 512  // messages a listener may lag behind
	hubMost    = 1000 // listeners
	hubPerUser = 20   // listeners of one principal
)

// message is one server-sent event before it is written.
type message struct {
	id   int64 // 0: none
	name string
	// Where it belongs: it is sent to who follows that project and environment.
	// shared is for all.
	project, environment string
	shared               bool
	platform             bool // only for who has a role on the platform
	// data is a value for all listeners alike, or a function of the listener.
	data any
}

// hub watches the store and the fleet once, for all event streams.
type hub struct {
	s *Server

	mu        sync.Mutex
	running   bool
	listeners map[*listener]struct{}
	byUser    map[string]int
	ring      []message // newest last
	base      int64     // changes up to this number are not in the ring
	sites     map[string]site
	revisions map[int64][]place // where a revision's entries are, for roll-outs
	fleet     func()            // ends the fleet's subscription; nil without listeners
	wg        sync.WaitGroup
}

type place struct{ project, environment string }

// listener is one event stream.
type listener struct {
	user   string
	queue  chan message
	lagged bool // messages were lost; guarded by hub.mu
}

func newHub(s *Server) *hub {
	return &hub{s: s, listeners: map[*listener]struct{}{}, byUser: map[string]int{}, sites: map[string]site{}, revisions: map[int64][]place{}}
}

// run watches until ctx ends; all streams end with it.
func (h *hub) run(ctx context.Context) {
	base, err := h.newest(ctx)
	for err != nil && h.pause(ctx, "the history could not be read; events begin later", err) {
		base, err = h.newest(ctx)
	}
	if ctx.Err() != nil {
		return
	}
	h.mu.Lock()
	h.running, h.base, h.ring = true, base, nil
	h.mu.Unlock()
	defer h.stop()
	since := int64(0)
	for {
		err := h.s.store.Watch(ctx, since, func(ev resource.Event) error {
			since = ev.Seq
			h.change(ctx, ev)
			return nil
		})
		if !h.pause(ctx, "the watch for events broke; it is taken up again", err) {
			return
		}
	}
}

// pause logs a failure and waits a second. It returns false when ctx is over.
func (h *hub) pause(ctx context.Context, what string, err error) bool {
	if ctx.Err() != nil {
		return false
	}
	h.s.log.WarnContext(ctx, what, slog.Any("error", err))
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// newest is the number that a new stream begins after.
func (h *hub) newest(ctx context.Context) (int64, error) {
	list, _, err := h.s.store.History(ctx, resource.HistoryQuery{Limit: 1})
	if err != nil || len(list) == 0 {
		return 0, err
	}
	return list[0].Revision, nil
}

func (h *hub) stop() {
	h.mu.Lock()
	h.running = false
	for l := range h.listeners {
		h.drop(l)
	}
	end := h.fleet
	h.fleet = nil
	h.mu.Unlock()
	if end != nil {
		end()
	}
	h.wg.Wait()
}

// drop ends a listener; the caller holds mu.
func (h *hub) drop(l *listener) {
	if _, ok := h.listeners[l]; !ok {
		return
	}
	delete(h.listeners, l)
	if h.byUser[l.user]--; h.byUser[l.user] == 0 {
		delete(h.byUser, l.user)
	}
	close(l.queue)
}

// listen adds a stream. since is the last change it has seen, 0 for a new one;
// missed is what it gets first, and complete is false when more than that was
// missed.
func (h *hub) listen(user string, since int64) (l *listener, missed []message, complete bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case !h.running:
		return nil, nil, false, fault.New(fault.Unavailable, "events are not running yet; try again in a moment")
	case len(h.listeners) >= hubMost || h.byUser[user] >= hubPerUser:
		e := fault.New(fault.RateLimited, "there are too many open event streams; close some")
		e.RetryAfter = 30 * time.Second
		return nil, nil, false, e
	}
	complete = since == 0 || since >= h.base
	if since != 0 && complete {
		for _, m := range h.ring {
			if m.id > since {
				missed = append(missed, m)
			}
		}
	}
	l = &listener{user: user, queue: make(chan message, hubQueue)}
	h.listeners[l] = struct{}{}
	h.byUser[user]++
	if h.fleet == nil && h.s.fleet != nil {
		h.followFleet()
	}
	return l, missed, complete, nil
}

func (h *hub) leave(l *listener) {
	h.mu.Lock()
	h.drop(l)
	var end func()
	if len(h.listeners) == 0 {
		end, h.fleet = h.fleet, nil
	}
	h.mu.Unlock()
	if end != nil {
		end()
	}
}

// lost tells whether messages were lost since it was last asked.
func (h *hub) lost(l *listener) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	was := l.lagged
	l.lagged = false
	return was
}

// send gives a message to all streams; one that lags loses it and is told.
func (h *hub) send(m message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if m.id != 0 {
		if len(h.ring) == 2*hubRing { // halved now and then, not shifted each time
			h.base = h.ring[hubRing-1].id
			h.ring = append(h.ring[:0:0], h.ring[hubRing:]...)
		}
		h.ring = append(h.ring, m)
	}
	for l := range h.listeners {
		select {
		case l.queue <- m:
		default:
			l.lagged = true
		}
	}
}

// change is called for every write, in order.
func (h *hub) change(ctx context.Context, ev resource.Event) {
	r := ev.Resource
	h.mu.Lock()
	switch {
	case r.Kind != domains.Kind:
	case ev.Type == resource.Deleted:
		delete(h.sites, r.ID)
	default:
		h.sites[r.ID] = site{id: r.ID, name: r.Name, project: r.Project, environment: r.Environment}
	}
	old := ev.Seq <= h.base
	h.mu.Unlock()
	if old {
		return // what was there before we began
	}
	h.send(message{
		id: ev.Seq, name: "change", project: r.Project, environment: r.Environment,
		data: ChangeEvent{
			Type: string(ev.Type), Kind: string(r.Kind), ID: r.ID, Name: r.Name, Project: r.Project, Environment: r.Environment, Revision: r.Revision,
		},
	})
	if r.Kind == certificates.Kind && ev.Type == resource.Status {
		h.operation(ctx, r)
	}
}

// operation reports on the work that waits for a certificate.
func (h *hub) operation(ctx context.Context, r resource.Resource) {
	o, err := h.s.db.LastOperation(ctx, r.ID)
	if err != nil {
		if !fault.Is(err, fault.NotFound) && !errors.Is(err, context.Canceled) {
			h.s.log.WarnContext(ctx, "an operation could not be read", slog.Any("error", err))
		}
		return
	}
	c, err := certificates.Decode(r)
	if err != nil {
		return // whoever reads the certificate is told
	}
	h.send(message{name: "operation", project: r.Project, environment: r.Environment, data: OperationEvent{h.s.issueOperation(o, c)}})
}

// followFleet begins to pass on what the fleet reports; the caller holds mu.
func (h *hub) followFleet() {
	events, cancel := h.s.fleet.Subscribe(true)
	done := make(chan struct{})
	var once sync.Once
	h.fleet = func() {
		once.Do(func() { close(done); cancel() })
	}
	h.wg.Go(func() {
		for {
			select {
			case <-done:
				return
			case ev, ok := <-events:
				if !ok {
					return
				}
				h.fleetEvent(ev)
			}
		}
	})
}

func (h *hub) fleetEvent(ev fleet.Event) {
	switch {
	case ev.Rollout != nil:
		data := RolloutEvent{Revision: ev.Rollout.Revision, Rollout: rolloutOf(*ev.Rollout)}
		for _, p := range h.places(ev.Rollout.Revision) {
			h.send(message{name: "rollout", project: p.project, environment: p.environment, data: data})
		}
	case ev.Purge != nil:
		h.send(message{name: "purge", project: ev.Purge.Project, environment: ev.Purge.Environment, data: PurgeEvent{purgeOf(*ev.Purge)}})
	case ev.Edge != nil:
		e := *ev.Edge
		h.send(message{name: "edge", shared: true, data: func(f *follower) any { return EdgeEvent{edgeOf(e, f.platform)} }})
	case ev.Held != nil:
		h.send(message{name: "held", shared: true, platform: true, data: HeldEvent{heldOf(*ev.Held)}})
	case ev.Live != nil:
		live := *ev.Live
		h.send(message{name: "live", shared: true, data: func(f *follower) any { return h.liveFor(f, live) }})
	}
}

// places finds out where a revision's entries are.
func (h *hub) places(revision int64) []place {
	h.mu.Lock()
	known, ok := h.revisions[revision]
	h.mu.Unlock()
	if ok || revision == 0 {
		return known
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	list, _, err := h.s.store.History(ctx, resource.HistoryQuery{Revision: revision, Limit: 1})
	if err != nil || len(list) == 0 {
		return nil
	}
	seen := map[place]bool{}
	for _, e := range list[0].Entries {
		if p := (place{e.Project, e.Environment}); !seen[p] {
			seen[p] = true
			known = append(known, p)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.revisions) >= hubRing {
		clear(h.revisions)
	}
	h.revisions[revision] = known
	return known
}

// liveFor cuts the live numbers down to the sites that a stream may see.
func (h *hub) liveFor(f *follower, live fleet.Live) LiveEvent {
	out := LiveEvent{At: live.At, Sites: map[string]LiveRate{}}
	if f.platform && f.project == "" {
		out.Total = liveRateOf(live.Total)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, rate := range live.Sites {
		s, ok := h.sites[id]
		if !ok || !f.follows(s.project, s.environment) {
			continue
		}
		out.Sites[id] = liveRateOf(rate)
		if f.project != "" {
			out.Total.Requests += rate.Requests
			out.Total.Hits += rate.Hits
			out.Total.Bytes += rate.Bytes
			out.Total.Errors += rate.Errors
		}
	}
	return out
}

func liveRateOf(r fleet.LiveRate) LiveRate {
	return LiveRate{Requests: r.Requests, Hits: r.Hits, Bytes: r.Bytes, Errors: r.Errors}
}

// follower is what one stream follows.
type follower struct {
	project     string // "": everything
	environment string // "": all of the project
	platform    bool   // has a role on the platform
}

func (f *follower) follows(project, environment string) bool {
	return (f.project == "" || f.project == project) && (f.environment == "" || environment == "" || f.environment == environment)
}

// encode returns a message as a server-sent event, nil when it is not for this
// stream.
func (f *follower) encode(m message) []byte {
	if !m.shared && !f.follows(m.project, m.environment) || m.platform && !f.platform {
		return nil
	}
	data := m.data
	if fn, ok := data.(func(*follower) any); ok {
		data = fn(f)
	}
	body, err := json.Marshal(data)
	if err != nil {
		return nil // not possible for our types
	}
	var b []byte
	if m.id != 0 {
		b = strconv.AppendInt(append(b, "id: "...), m.id, 10)
		b = append(b, '\n')
	}
	b = append(append(b, "event: "...), m.name...)
	b = append(append(b, "\ndata: "...), body...)
	return append(b, "\n\n"...)
}
