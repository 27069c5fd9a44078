package api

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/control/fleet"
	"github.com/edgewright/edgewright/fault"
)

// panickingFleet has a defect.
type panickingFleet struct{ *fakeFleet }

func (panickingFleet) Purge(context.Context, fleet.PurgeRequest) (fleet.PurgeState, error) {
	panic("a defect")
}

// feed is an open event stream.
type feed struct {
	t      testing.TB
	events chan feedEvent // closed when the stream ends
	cancel func()
}

type feedEvent struct{ id, name, data string }

func (w *who) follow(query string, last string) *feed {
	w.e.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.e.http.URL+infrastructure+"/events"+query, nil)
	ok(w.e.t, err)
	r.Header.Set("Authorization", "Bearer "+w.token)
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	ok(w.e.t, err)
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		w.e.t.Fatalf("%d %s", resp.StatusCode, resp.Header)
	}
	f := &feed{t: w.e.t, events: make(chan feedEvent, 1000), cancel: cancel}
	started := make(chan struct{})
	go func() {
		defer resp.Body.Close()
		defer close(f.events)
		var ev feedEvent
		scanner := bufio.NewScanner(resp.Body)
		for scanner.Scan() {
			name, value, _ := strings.Cut(scanner.Text(), ": ")
			switch name {
			case "id":
				ev.id = value
			case "event":
				ev.name = value
			case "data":
				ev.data = value
			case "retry":
				close(started)
			case "":
				if ev.name != "" {
					f.events <- ev
				}
				ev = feedEvent{}
			}
		}
	}()
	<-started
	w.e.t.Cleanup(cancel)
	return f
}

// next returns the next event of a name; others go by.
func (f *feed) next(name string) feedEvent {
	f.t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		select {
		case ev, open := <-f.events:
			if !open {
				f.t.Fatalf("the stream ended before %q", name)
			}
			if ev.name == name {
				return ev
			}
		case <-deadline:
			f.t.Fatalf("there was no event %q", name)
		}
	}
}

// ends waits for the end of the stream and returns what came before.
func (f *feed) ends() (events []feedEvent) {
	f.t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		select {
		case ev, open := <-f.events:
			if !open {
				return events
			}
			events = append(events, ev)
		case <-deadline:
			f.t.Fatal("the stream did not end")
		}
	}
}

func TestEvents(t *testing.T) {
	e := newEnv(t)
	id, tenant := e.project("tenant", access.Owner)
	otherID, other := e.project("other", access.Owner)
	feed, others := tenant.follow("?project_id="+id, ""), other.follow("?project_id="+otherID, "")
	all := e.admin().follow("?project_id=*", "")

	var added DomainAdded
	tenant.post(infrastructure+"/domains?project_id="+id, AddDomain{Domain: "t.localhost", Origin: "http://127.0.0.1:1"}).want(http.StatusCreated, &added)
	ev := feed.next("change")
	var change ChangeEvent
	ok(t, json.Unmarshal([]byte(ev.data), &change))
	if change.Project != id || ev.id == "" || change.Kind != "cdn" && change.Kind != "domain" {
		t.Fatalf("%+v", ev)
	}
	all.next("change")

	e.fleet.emit(fleet.Event{Type: fleet.EventRollout, Rollout: &fleet.Rollout{Revision: added.Domain.Revision, Documents: 1, Edges: 2, Applied: 1}})
	var rollout RolloutEvent
	ok(t, json.Unmarshal([]byte(feed.next("rollout").data), &rollout))
	if rollout.Revision != added.Domain.Revision || rollout.Rollout.Edges != 2 {
		t.Fatalf("%+v", rollout)
	}
	live := fleet.Live{At: time.Now(), Total: fleet.LiveRate{Requests: 99}, Sites: map[string]fleet.LiveRate{
		added.Domain.ID: {Requests: 3}, "dom_unknown": {Requests: 90}, "": {Requests: 6},
	}}
	e.fleet.emit(fleet.Event{Type: fleet.EventLive, Live: &live})
	var mine, theirs, everything LiveEvent
	ok(t, json.Unmarshal([]byte(feed.next("live").data), &mine))
	ok(t, json.Unmarshal([]byte(others.next("live").data), &theirs))
	ok(t, json.Unmarshal([]byte(all.next("live").data), &everything))
	if len(mine.Sites) != 1 || mine.Total.Requests != 3 || len(theirs.Sites) != 0 || theirs.Total.Requests != 0 || everything.Total.Requests != 99 {
		t.Fatalf("%+v %+v %+v", mine, theirs, everything)
	}
	edge := e.fleet.edge
	e.fleet.emit(fleet.Event{Type: fleet.EventEdge, Edge: &edge})
	var seen EdgeEvent
	ok(t, json.Unmarshal([]byte(feed.next("edge").data), &seen))
	if seen.Edge.Sites != 0 || seen.Edge.ID != "edge_test" {
		t.Fatalf("%+v", seen)
	}
	e.fleet.emit(fleet.Event{Type: fleet.EventPurge, Purge: &fleet.PurgeState{ID: "prg_1", Project: id, Environment: "production", Count: 5}})
	feed.next("purge")
	tenant.post(infrastructure+"/ssl/t.localhost?project_id="+id, Provision{Renew: true})

	// The other tenant has seen nothing of it. Its own change ends the waiting.
	other.post(infrastructure+"/domains?project_id="+otherID, AddDomain{Domain: "o.localhost"}).want(http.StatusCreated)
	for {
		ev := <-others.events
		if strings.Contains(ev.data, "o.localhost") {
			break
		}
		if ev.name != "live" && ev.name != "edge" || strings.Contains(ev.data, id) || strings.Contains(ev.data, added.Domain.ID) {
			t.Fatalf("another tenant is told %+v", ev)
		}
	}

	// What was missed is sent again, from where the client was.
	feed.cancel()
	feed.ends()
	tenant.post(infrastructure+"/domains?project_id="+id, AddDomain{Domain: "u.localhost"}).want(http.StatusCreated)
	again := tenant.follow("?project_id="+id, ev.id)
	for !strings.Contains(again.next("change").data, "u.localhost") {
	}
	tenant.get(infrastructure+"/events?project_id="+otherID).refused(http.StatusNotFound, fault.NotFound)
	tenant.with("Last-Event-ID", "x").get(infrastructure+"/events?project_id="+id).refused(http.StatusUnprocessableEntity, fault.Invalid)
}

// Who was away for too long is told so.
func TestEventsReset(t *testing.T) {
	e := newEnv(t)
	a := e.admin()
	a.post("/api/v1/projects", NewProject{Name: "p"}).want(http.StatusCreated)
	e.server.hub.mu.Lock()
	e.server.hub.base = 1 << 40
	e.server.hub.mu.Unlock()
	a.follow("", "5").next("reset")
}

// A stream does not outlive the right to it.
func TestEventsEndWithTheToken(t *testing.T) {
	e := newEnv(t)
	e.server.heartbeat = 20 * time.Millisecond
	var token CreatedToken
	e.admin().post("/api/v1/tokens", NewToken{Name: "short"}).want(http.StatusCreated, &token)
	w := &who{e: e, token: token.Secret}
	feed := w.follow("", "")
	e.admin().do(http.MethodDelete, "/api/v1/tokens/"+token.ID, nil).want(http.StatusNoContent)
	feed.ends()
}

func TestEventsAreBounded(t *testing.T) {
	e := newEnv(t)
	w := e.tokenFor("default", access.Viewer)
	feeds := make([]*feed, hubPerUser)
	for i := range feeds {
		feeds[i] = w.follow("", "")
	}
	r := w.get(infrastructure + "/events")
	r.refused(http.StatusTooManyRequests, fault.RateLimited)
	if r.header.Get("Retry-After") == "" {
		t.Error("429 without Retry-After")
	}
	for _, f := range feeds {
		f.cancel()
	}
	for _, f := range feeds {
		f.ends()
	}
	eventually(t, "all streams are gone", func() bool {
		e.server.hub.mu.Lock()
		defer e.server.hub.mu.Unlock()
		return len(e.server.hub.listeners)+len(e.server.hub.byUser) == 0 && e.server.hub.fleet == nil
	})
	e.fleet.mu.Lock()
	defer e.fleet.mu.Unlock()
	if len(e.fleet.subs) != 0 {
		t.Error("nobody listens, but the fleet is still asked for live numbers")
	}
}

// A listener that lags loses messages, is told, and holds nobody up.
func TestHubLag(t *testing.T) {
	e := newEnv(t)
	h := e.server.hub
	l, _, complete, err := h.listen("user", 0)
	ok(t, err)
	defer h.leave(l)
	if !complete {
		t.Error("a new listener is told that it missed something")
	}
	for i := range 3 * hubRing {
		h.send(message{id: int64(i) + 1<<30, name: "change", data: ChangeEvent{}})
	}
	if !h.lost(l) || h.lost(l) {
		t.Error("a listener that lags is not told once")
	}
	h.mu.Lock()
	kept, base := len(h.ring), h.base
	h.mu.Unlock()
	if kept < hubRing || kept > 2*hubRing {
		t.Errorf("%d messages are kept", kept)
	}
	other, missed, complete, err := h.listen("user", base)
	ok(t, err)
	defer h.leave(other)
	if !complete || len(missed) != kept {
		t.Errorf("%d of %d missed messages, complete %v", len(missed), kept, complete)
	}
	third, _, complete, err := h.listen("third", base-1)
	ok(t, err)
	defer h.leave(third)
	if complete {
		t.Error("a gap is not told")
	}
}
