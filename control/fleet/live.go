package fleet

import (
	"context"
	"sync"
	"time"

	"github.com/edgewright/edgewright/edgeconfig"
)

// How often subscribers hear.
const (
	rolloutEvery = 100 * time.Millisecond
	liveEvery    = time.Second
	// liveFor is how long edges go on after a manifest has asked for live
	// numbers; each manifest asks anew.
	liveFor = 20 * time.Second
	// liveEdgesPerSecond bounds how many edges report in one second: a larger
	// fleet reports longer spans.
	liveEdgesPerSecond = 1000
)

// liveTraffic keeps the last short rollup of each edge.
type liveTraffic struct {
	mu   sync.Mutex
	last map[string]liveRollup
}

type liveRollup struct {
	rollup edgeconfig.Rollup
	until  time.Time // counts until then
}

func newLiveTraffic() *liveTraffic { return &liveTraffic{last: map[string]liveRollup{}} }

func (l *liveTraffic) put(r edgeconfig.Rollup, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	span := time.Duration(r.Seconds) * time.Second
	l.last[r.Edge] = liveRollup{rollup: r, until: now.Add(span + span/2)}
}

func (l *liveTraffic) forget(edge string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.last, edge)
}

// sum adds up what counts at now; edges tells what edges without a short rollup
// said in their heartbeats.
func (l *liveTraffic) sum(now time.Time, edges []Edge) Live {
	live := Live{At: now.UTC(), Sites: map[string]LiveRate{}}
	l.mu.Lock()
	defer l.mu.Unlock()
	for edge, r := range l.last {
		if now.After(r.until) {
			delete(l.last, edge)
			continue
		}
		for site, counters := range r.rollup.Sites {
			rate := rateOf(&counters, float64(r.rollup.Seconds))
			live.Total.add(rate)
			sum := live.Sites[site]
			sum.add(rate)
			live.Sites[site] = sum
		}
	}
	for i := range edges {
		if _, has := l.last[edges[i].ID]; !has && edges[i].Connected {
			live.Total.add(rateOf(&edges[i].Live, 1))
		}
	}
	return live
}

func rateOf(c *edgeconfig.Counters, seconds float64) LiveRate {
	return LiveRate{
		Requests: float64(c.Requests) / seconds,
		Hits:     float64(c.Cache["hit"]) / seconds,
		Bytes:    float64(c.Bytes) / seconds,
		Errors:   float64(c.Status[5]) / seconds,
	}
}

func (r *LiveRate) add(o LiveRate) {
	r.Requests += o.Requests
	r.Hits += o.Hits
	r.Bytes += o.Bytes
	r.Errors += o.Errors
}

// liveRequest is what the manifest says while somebody watches.
func (f *Fleet) liveRequest() *edgeconfig.LiveRequest {
	if _, live := f.hub.watching(); !live {
		return nil
	}
	seconds := max(1, (f.registry.count()+liveEdgesPerSecond-1)/liveEdgesPerSecond)
	return &edgeconfig.LiveRequest{Seconds: min(seconds, 30), Until: f.now().Add(liveFor).UTC()}
}

// askManifest has a manifest sent out of turn.
func (f *Fleet) askManifest() {
	select {
	case f.manifestNow <- struct{}{}:
	default:
	}
}

// reportLive tells live subscribers the traffic, once a second.
func (f *Fleet) reportLive(ctx context.Context) {
	ticker := time.NewTicker(liveEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if _, live := f.hub.watching(); live {
			sum := f.live.sum(f.now(), f.registry.list())
			f.hub.publish(Event{Type: EventLive, Live: &sum})
		}
	}
}

// reportRollouts tells subscribers how rollouts go on, at most every
// rolloutEvery, and always the last state of each.
func (f *Fleet) reportRollouts(ctx context.Context) {
	for {
		changed := f.tracker.changes()
		dirty := f.tracker.takeDirty()
		if anybody, _ := f.hub.watching(); anybody {
			for _, revision := range dirty {
				if r, followed := f.tracker.state(revision, f.registry.away); followed {
					f.hub.publish(Event{Type: EventRollout, Rollout: &r})
				}
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(rolloutEvery):
		}
	}
}

// Rollout tells how far a store revision has come on the edges. A revision that
// is not followed in detail any more (or was published before this process
// started) is answered from what edges hold now: Applied then counts edges that
// hold everything, Verified those that have asked themselves about everything since
// they started, and there are no times. A revision whose
// documents have all been replaced by later ones has no Documents.
func (f *Fleet) Rollout(revision int64) Rollout {
	if r, followed := f.tracker.state(revision, f.registry.away); followed && revision > 0 {
		return r
	}
	answer := Rollout{Revision: revision}
	l := f.lead.Load()
	if l == nil || revision <= 0 {
		return answer
	}
	if answer.Documents = l.ledger.causedBy(revision); answer.Documents == 0 {
		return answer
	}
	answer.Edges, answer.Applied, answer.Verified, answer.Away = f.registry.syncState()
	answer.Pending = answer.Edges - answer.Applied
	return answer
}

// WaitRollout waits until every connected edge has applied or refused what a
// store revision changed, and returns how far it has come; also when ctx ends
// before, with ctx's error. A revision that changes no document is waited for
// until ctx ends.
func (f *Fleet) WaitRollout(ctx context.Context, revision int64) (Rollout, error) {
	look := time.NewTicker(purgeAgain) // an edge may have gone without a word
	defer look.Stop()
	for {
		edges, done, followed, changed := f.tracker.progressOf(revision)
		if followed && done == edges {
			return f.Rollout(revision), nil
		}
		select {
		case <-changed:
		case <-look.C:
			if r := f.Rollout(revision); followed && r.Pending == r.Away {
				return r, nil
			}
		case <-ctx.Done():
			return f.Rollout(revision), ctx.Err()
		}
	}
}

// DocumentState tells how far the current version of one document has come, as
// Rollout does for a revision.
func (f *Fleet) DocumentState(key string) Rollout {
	if r, followed := f.tracker.documentState(key, f.registry.away); followed {
		return r
	}
	l := f.lead.Load()
	if l == nil {
		return Rollout{}
	}
	_, meta, known := l.ledger.get(key)
	if !known {
		return Rollout{}
	}
	answer := Rollout{Revision: meta.cause, Documents: 1}
	if meta.scope != edgeconfig.ScopeAll {
		answer.Edges = 1
		inSync, verified := f.registry.inSync(meta.scope)
		if verified {
			answer.Verified = 1
		}
		switch {
		case inSync:
			answer.Applied = 1
		case f.registry.away(meta.scope):
			answer.Pending, answer.Away = 1, 1
		default:
			answer.Pending = 1
		}
		return answer
	}
	answer.Edges, answer.Applied, answer.Verified, answer.Away = f.registry.syncState()
	answer.Pending = answer.Edges - answer.Applied
	return answer
}
