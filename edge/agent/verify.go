package agent

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/edgewright/edgewright/edgeconfig"
)

// How verification goes about it.
const (
	verifyWithin = 5 * time.Second
	verifyTries  = 6
	verifyWait   = 200 * time.Millisecond // after the first failure; doubled after each
	verifyPause  = 5 * time.Millisecond   // before each of those from disk: traffic goes first
)

// verifier asks the node over its own listener whether documents are in force.
// It has a goroutine only while there is something to ask. A newer version of a
// document takes the place of an older one that still waits.
type verifier struct {
	node Verifier // nil: the node has no listener to ask
	log  func(key string, revision int64, err error)
	done chan edgeconfig.AckItem

	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu      sync.Mutex
	waiting map[string]attempt
	order   []string
	later   []string // from disk: asked for when nothing else waits
	busy    bool
	open    map[string]int64 // the versions held that are not verified yet
}

// attempt is one asking for one version.
type attempt struct {
	revision int64
	try      int  // from 1
	later    bool // nobody waits to hear of it
}

func (v *verifier) init(a *agent) {
	v.node, _ = a.node.(Verifier)
	v.log = func(key string, revision int64, err error) {
		a.log.Warn("document applied but not verified", "key", key, "revision", revision, "error", err)
	}
	v.done = make(chan edgeconfig.AckItem, 64)
	v.ctx, v.cancel = context.WithCancel(context.Background())
	v.waiting, v.open = map[string]attempt{}, map[string]int64{}
}

func (v *verifier) stop() {
	v.cancel()
	v.running.Wait()
}

// add has a version verified some time soon.
func (v *verifier) add(key string, revision int64) {
	if v.node != nil {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.open[key] = revision
		v.enqueue(key, attempt{revision: revision, try: 1})
	}
}

// addLater has a version from disk verified after begin, when nothing else waits.
func (v *verifier) addLater(key string, revision int64) {
	if v.node != nil {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.open[key], v.later = revision, append(v.later, key)
	}
}

// begin has what is from disk verified: the node answers by now.
func (v *verifier) begin() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.start()
}

// all tells whether every version held has been verified since the start.
func (v *verifier) all() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.node != nil && len(v.open) == 0
}

// enqueue needs v.mu.
func (v *verifier) enqueue(key string, a attempt) {
	if queued, ok := v.waiting[key]; !ok {
		v.order = append(v.order, key)
	} else if queued.revision > a.revision {
		return
	}
	v.waiting[key] = a
	v.start()
}

// start needs v.mu.
func (v *verifier) start() {
	if !v.busy && len(v.order)+len(v.later) > 0 {
		v.busy = true
		v.running.Go(v.work)
	}
}

func (v *verifier) work() {
	for {
		key, a, more := v.next()
		if !more {
			return
		}
		if err := v.ask(key, a.revision, a.later); err != nil {
			v.failed(key, a, err)
			continue
		}
		v.mu.Lock()
		if v.open[key] <= a.revision {
			delete(v.open, key)
		}
		v.mu.Unlock()
		if a.later {
			continue // that all is verified, a heartbeat tells
		}
		select {
		case v.done <- edgeconfig.AckItem{Key: key, Revision: a.revision, State: edgeconfig.Verified}:
		case <-v.ctx.Done():
			return
		}
	}
}

// ask asks the node. The agent's own settings are in force when it has taken
// them: no listener shows them.
func (v *verifier) ask(key string, revision int64, later bool) error {
	if strings.HasPrefix(key, edgeconfig.KindEdge+"/") {
		return nil
	}
	if later {
		select {
		case <-time.After(verifyPause):
		case <-v.ctx.Done():
		}
	}
	ctx, cancel := context.WithTimeout(v.ctx, verifyWithin)
	defer cancel()
	return v.node.Verify(ctx, key, revision)
}

func (v *verifier) next() (key string, a attempt, more bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.ctx.Err() == nil && len(v.order) > 0 {
		key, v.order = v.order[0], v.order[1:]
		a = v.waiting[key]
		delete(v.waiting, key)
		return key, a, true
	}
	for v.ctx.Err() == nil && len(v.later) > 0 {
		key, v.later = v.later[0], v.later[1:]
		if revision, open := v.open[key]; open { // else a newer one has been verified
			return key, attempt{revision: revision, try: 1, later: true}, true
		}
	}
	v.busy, v.order, v.later = false, nil, nil
	return "", attempt{}, false
}

// failed asks again after a while, so that one document that cannot be verified
// does not keep the others waiting.
func (v *verifier) failed(key string, a attempt, err error) {
	if v.ctx.Err() != nil {
		return
	}
	if a.try == verifyTries {
		v.log(key, a.revision, err)
		return
	}
	v.running.Go(func() {
		select {
		case <-time.After(verifyWait << (a.try - 1)):
			v.mu.Lock()
			v.enqueue(key, attempt{revision: a.revision, try: a.try + 1})
			v.mu.Unlock()
		case <-v.ctx.Done():
		}
	})
}

// moreVerified collects what else has been verified, for one acknowledgement.
func (a *agent) moreVerified(first edgeconfig.AckItem) []edgeconfig.AckItem {
	items := []edgeconfig.AckItem{first}
	for len(items) < maxAckItems {
		select {
		case item := <-a.verifier.done:
			items = append(items, item)
		default:
			return items
		}
	}
	return items
}
