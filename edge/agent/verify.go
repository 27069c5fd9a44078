package agent

import (
	"context"
	"sync"
	"time"

	"github.com/edgewright/edgewright/edgeconfig"
)

// How verification goes about it.
const (
	verifyWithin = 5 * time.Second
	verifyTries  = 6
	verifyWait   = 200 * time.Millisecond // after the first failure; doubled after each
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
	waiting map[string]int64
	order   []string
	busy    bool
}

func (v *verifier) init(a *agent) {
	v.node, _ = a.node.(Verifier)
	v.log = func(key string, revision int64, err error) {
		a.log.Warn("document applied but not verified", "key", key, "revision", revision, "error", err)
	}
	v.done = make(chan edgeconfig.AckItem, 64)
	v.ctx, v.cancel = context.WithCancel(context.Background())
	v.waiting = map[string]int64{}
}

func (v *verifier) stop() {
	v.cancel()
	v.running.Wait()
}

// add has a version verified some time soon.
func (v *verifier) add(key string, revision int64) {
	if v.node == nil {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, queued := v.waiting[key]; !queued {
		v.order = append(v.order, key)
	}
	v.waiting[key] = revision
	if !v.busy {
		v.busy = true
		v.running.Go(v.work)
	}
}

func (v *verifier) work() {
	for {
		key, revision, more := v.next()
		if !more {
			return
		}
		if err := v.verify(key, revision); err != nil {
			if v.ctx.Err() == nil {
				v.log(key, revision, err)
			}
			continue
		}
		select {
		case v.done <- edgeconfig.AckItem{Key: key, Revision: revision, State: edgeconfig.Verified}:
		case <-v.ctx.Done():
			return
		}
	}
}

func (v *verifier) next() (key string, revision int64, more bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.order) == 0 || v.ctx.Err() != nil {
		v.busy = false
		v.order = nil
		return "", 0, false
	}
	key, v.order = v.order[0], v.order[1:]
	revision = v.waiting[key]
	delete(v.waiting, key)
	return key, revision, true
}

// verify asks until the node says yes, a newer version waits, or enough.
func (v *verifier) verify(key string, revision int64) error {
	wait := verifyWait
	for try := 1; ; try++ {
		ctx, cancel := context.WithTimeout(v.ctx, verifyWithin)
		err := v.node.Verify(ctx, key, revision)
		cancel()
		if err == nil || try == verifyTries || v.superseded(key) {
			return err
		}
		select {
		case <-time.After(wait):
			wait *= 2
		case <-v.ctx.Done():
			return v.ctx.Err()
		}
	}
}

func (v *verifier) superseded(key string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	_, newer := v.waiting[key]
	return newer
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
