package fleet

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/edgewright/edgewright/edgeconfig"
)

// modelVersion is one published document as a plain list of facts.
type modelVersion struct {
	cause, revision int64
	key             string
	edges           map[string]*modelEdge
}

type modelEdge struct {
	applied, verified bool
	rejected          bool
}

// The tracker counts in bits and small integers; the model counts by looking at
// everything.
func TestTrackerAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(1_000_000, 0)
		tracked := newTracker(func() time.Time { return now })
		var versions []*modelVersion
		var edges []string
		next := int64(0)
		pick := func(label string) string { return rapid.SampledFrom(edges).Draw(t, label) }
		join := func() {
			edge := fmt.Sprintf("edge_%d", rapid.IntRange(0, 150).Draw(t, "edge"))
			if !slices.Contains(edges, edge) {
				edges = append(edges, edge)
			}
			tracked.join(edge)
		}
		join()
		steps := map[string]func(*rapid.T){
			"join": func(*rapid.T) { join() },
			"leave": func(*rapid.T) {
				if len(edges) < 2 {
					return
				}
				edge := pick("leaving")
				edges = slices.DeleteFunc(edges, func(e string) bool { return e == edge })
				tracked.leave(edge)
				for _, v := range versions {
					delete(v.edges, edge)
				}
			},
			"publish": func(t *rapid.T) {
				cause := int64(rapid.IntRange(1, 5).Draw(t, "cause"))
				var docs []edgeconfig.Document
				causes := map[string]int64{}
				for range rapid.IntRange(1, 3).Draw(t, "documents") {
					next++
					d := edgeconfig.Document{Key: fmt.Sprintf("site/%d", rapid.IntRange(0, 4).Draw(t, "key")), Scope: edgeconfig.ScopeAll, Revision: next}
					if slices.ContainsFunc(docs, func(o edgeconfig.Document) bool { return o.Key == d.Key }) {
						continue
					}
					v := &modelVersion{cause: cause, revision: next, edges: map[string]*modelEdge{}}
					if rapid.IntRange(0, 3).Draw(t, "scope") == 0 {
						d.Scope = pick("scope edge")
						d.Key = "keys/" + d.Scope
						v.edges[d.Scope] = &modelEdge{}
					} else {
						for _, e := range edges {
							v.edges[e] = &modelEdge{}
						}
					}
					v.key = d.Key
					versions = append(versions, v)
					docs = append(docs, d)
					causes[d.Key] = cause
				}
				tracked.publish(docs, causes, nil)
			},
			"acknowledge": func(t *rapid.T) {
				if len(versions) == 0 {
					return
				}
				now = now.Add(time.Millisecond)
				about := rapid.SampledFrom(versions).Draw(t, "version")
				edge := pick("edge")
				state := rapid.SampledFrom([]edgeconfig.AckState{edgeconfig.Applied, edgeconfig.Verified, edgeconfig.Rejected, "odd"}).Draw(t, "state")
				tracked.acknowledge(edge, []edgeconfig.AckItem{{Key: about.key, Revision: about.revision, State: state}})
				for _, v := range versions {
					e := v.edges[edge]
					if v.key != about.key || v.revision > about.revision || e == nil {
						continue
					}
					switch {
					case state == edgeconfig.Applied, state == edgeconfig.Verified:
						e.applied, e.rejected = true, false
						e.verified = e.verified || state == edgeconfig.Verified
					case state == edgeconfig.Rejected && v.revision == about.revision && !e.applied:
						e.rejected = true
					}
				}
			},
			"holdsAll": func(t *rapid.T) {
				edge, seq := pick("edge"), int64(rapid.IntRange(0, int(next)).Draw(t, "seq"))
				verified := rapid.Bool().Draw(t, "verified")
				tracked.holdsAll(edge, seq, verified)
				for _, v := range versions {
					if e := v.edges[edge]; e != nil && v.revision <= seq {
						e.applied, e.rejected, e.verified = true, false, e.verified || verified
					}
				}
			},
			"": func(t *rapid.T) {
				for cause := int64(1); cause <= 5; cause++ {
					compareRollout(t, tracked, cause, versions)
				}
			},
		}
		t.Repeat(steps)
	})
}

func compareRollout(t *rapid.T, tracked *tracker, cause int64, versions []*modelVersion) {
	type sum struct{ versions, applied, verified, rejected int }
	edges := map[string]*sum{}
	documents := 0
	for _, v := range versions {
		if v.cause != cause {
			continue
		}
		documents++
		for name, e := range v.edges {
			s := edges[name]
			if s == nil {
				s = &sum{}
				edges[name] = s
			}
			s.versions++
			if e.applied {
				s.applied++
			}
			if e.verified {
				s.verified++
			}
			if e.rejected {
				s.rejected++
			}
		}
	}
	got, followed := tracked.state(cause, func(string) bool { return false })
	if followed != (documents > 0) {
		t.Fatalf("rollout %d: followed is %v with %d documents", cause, followed, documents)
	}
	want := Rollout{Documents: documents, Edges: len(edges)}
	for _, s := range edges {
		switch {
		case s.applied == s.versions:
			want.Applied++
		case s.rejected == 0:
			want.Pending++
		}
		if s.verified == s.versions {
			want.Verified++
		}
		if s.rejected > 0 {
			want.Rejected++
		}
	}
	if got.Documents != want.Documents || got.Edges != want.Edges || got.Applied != want.Applied ||
		got.Pending != want.Pending || got.Verified != want.Verified || got.Rejected != want.Rejected {
		t.Fatalf("rollout %d is %+v, the model says %+v", cause, got, want)
	}
	if len(got.Waiting) != min(want.Pending, maxNamed) || (want.Edges > 0 && want.Applied == want.Edges) != !got.AppliedAt.IsZero() {
		t.Fatalf("rollout %d: %+v", cause, got)
	}
	rejections := 0
	for _, r := range got.Rejections {
		if r.Edge == "" {
			t.Fatalf("rollout %d: a rejection of nobody", cause)
		}
		rejections++
	}
	if (rejections > 0) != (want.Rejected > 0) {
		t.Fatalf("rollout %d: %d rejections are named, %d edges reject", cause, rejections, want.Rejected)
	}
}

// Ten thousand edges and many revisions stay within the bound.
func TestTrackerIsBounded(t *testing.T) {
	tracked := newTracker(time.Now)
	const edges = 10_000
	for i := range edges {
		tracked.join(fmt.Sprint("edge_", i))
	}
	for revision := int64(1); revision <= 600; revision++ {
		docs := make([]edgeconfig.Document, 20)
		causes := map[string]int64{}
		for i := range docs {
			docs[i] = edgeconfig.Document{Key: fmt.Sprint("site/", i), Scope: edgeconfig.ScopeAll, Revision: revision*100 + int64(i)}
			causes[docs[i].Key] = revision
		}
		tracked.publish(docs, causes, nil)
		if tracked.bytes > maxTrackerBytes || len(tracked.order) > maxRollouts || len(tracked.rollouts) != len(tracked.order) {
			t.Fatalf("after %d revisions: %d bytes, %d rollouts", revision, tracked.bytes, len(tracked.order))
		}
	}
	if _, followed := tracked.state(600, func(string) bool { return true }); !followed {
		t.Error("the newest is not followed")
	}
	followed := 0
	for _, list := range tracked.versions {
		followed += len(list)
	}
	if followed > 20*len(tracked.order) {
		t.Errorf("%d versions are followed for %d rollouts", followed, len(tracked.order))
	}
	for i := range edges {
		tracked.leave(fmt.Sprint("edge_", i))
	}
	if len(tracked.slots) != 0 || len(tracked.free) != edges {
		t.Errorf("%d slots are taken", len(tracked.slots))
	}
}

func TestSubscribersThatAreSlow(t *testing.T) {
	watched := 0
	h := &hub{subs: map[*subscriber]struct{}{}, watched: func() { watched++ }}
	slow, cancelSlow := h.subscribe(false)
	live, cancelLive := h.subscribe(true)
	_, cancelSecond := h.subscribe(true)
	if watched != 1 {
		t.Errorf("told %d times that somebody watches", watched)
	}
	for i := range 3 * subscriberBuffer {
		h.publish(Event{Type: EventRollout, Rollout: &Rollout{Revision: int64(i)}})
	}
	h.publish(Event{Type: EventLive, Live: &Live{}})
	last := int64(-1)
	for range subscriberBuffer {
		e := <-slow
		if e.Type == EventLive {
			t.Error("a live event for one who has not asked")
			continue
		}
		if e.Rollout.Revision <= last {
			t.Errorf("%d after %d", e.Rollout.Revision, last)
		}
		last = e.Rollout.Revision
	}
	if last != 3*subscriberBuffer-1 {
		t.Errorf("the last event is %d", last)
	}
	cancelSlow()
	cancelSlow() // once more does no harm
	if _, open := <-slow; open {
		t.Error("the channel stays open")
	}
	cancelSecond()
	if _, is := h.watching(); !is {
		t.Error("one still watches")
	}
	cancelLive()
	if anybody, is := h.watching(); anybody || is {
		t.Error("nobody watches any more")
	}
	_ = live
	h.close()
	if ended, _ := h.subscribe(true); ended != nil {
		if _, open := <-ended; open {
			t.Error("a subscription to what has ended")
		}
	}
}

func TestEdgesAreAwayWhenTheyAreSilent(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	g := newRegistry(func() time.Time { return now }, 30*time.Second)
	meta := func(id string) (m Edge) { m.ID, m.Name = id, id; return m }
	g.put(meta("edge_1").Meta, EdgeSpec{BusKey: "U1"}, EdgeStatus{})
	if g.away("edge_1") != true {
		t.Error("connected before it has spoken")
	}
	beat := edgeconfig.Heartbeat{Verified: true}
	yes, no := func() bool { return true }, func() bool { return false }
	if !g.heartbeat("edge_1", beat, yes) || g.heartbeat("edge_2", beat, yes) {
		t.Error("the wrong edges are known")
	}
	if inSync, verified := g.inSync("edge_1"); g.away("edge_1") || !inSync || !verified {
		t.Error("away although it has just spoken")
	}
	now = now.Add(31 * time.Second)
	if !g.away("edge_1") {
		t.Error("silent for 31 seconds, and not away")
	}
	g.heartbeat("edge_1", beat, yes)
	// From when the bus tells of its connections, they decide.
	for _, step := range []struct {
		conn string
		up   bool
		away bool
	}{{"s/1", true, false}, {"s/2", true, false}, {"s/1", false, false}, {"s/2", false, true}, {"s/3", true, false}} {
		g.connection("U1", step.conn, step.up)
		if g.away("edge_1") != step.away {
			t.Errorf("after %+v: away is %v", step, g.away("edge_1"))
		}
	}
	// A connection may be seen before the edge's resource is.
	g.connection("U2", "s/9", true)
	g.put(meta("edge_2").Meta, EdgeSpec{BusKey: "U2"}, EdgeStatus{})
	g.heartbeat("edge_2", beat, no)
	if inSync, verified := g.inSync("edge_2"); g.away("edge_2") || inSync || verified {
		t.Error("the connection seen before is forgotten")
	}
	g.connection("U2", "s/9", false)
	if !g.away("edge_2") {
		t.Error("gone, and not away")
	}
	for i := range 2 * maxLoose { // unknown keys do not fill the memory
		g.connection(fmt.Sprint("X", i), "s/1", true)
	}
	if len(g.loose) > maxLoose {
		t.Errorf("%d unknown keys are remembered", len(g.loose))
	}
	changed := g.transitions() // the second came and went in between
	if len(changed) != 1 || changed[0].id != "edge_1" || !changed[0].edge.Connected || !changed[0].status.Online {
		t.Errorf("%+v", changed)
	}
	if again := g.transitions(); len(again) != 0 {
		t.Errorf("%d transitions when nothing has changed", len(again))
	}
}

// What is published while an edge's word is compared makes it out of date.
func TestWhatIsPublishedMeanwhileIsNotHeld(t *testing.T) {
	g := newRegistry(time.Now, time.Hour)
	var e Edge
	e.ID, e.Name = "edge_1", "edge_1"
	g.put(e.Meta, EdgeSpec{BusKey: "U1"}, EdgeStatus{})
	published := make(chan struct{})
	holdsAll := func() bool { // compared with what there is before the publication
		go func() {
			g.outOfSync(edgeconfig.ScopeAll)
			published <- struct{}{}
		}()
		return true
	}
	for what, say := range map[string]func(){
		"an acknowledgement": func() { g.setInSync("edge_1", true, holdsAll) },
		"a heartbeat":        func() { g.heartbeat("edge_1", edgeconfig.Heartbeat{Verified: true}, holdsAll) },
	} {
		say()
		<-published
		if inSync, verified := g.inSync("edge_1"); inSync || verified {
			t.Errorf("%s from before a publication holds after it", what)
		}
	}
}
