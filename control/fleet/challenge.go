package fleet

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// challengeSlots names the documents of challenges: small numbers, used again,
// because a document's tombstone stays for ever while tokens come and go by the
// thousand.
type challengeSlots struct {
	mu   sync.Mutex
	used map[string]int // host and token -> slot
	busy map[int]bool
}

// maxChallenges bounds how many challenges are served at once.
const maxChallenges = 10_000

func (s *challengeSlots) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used, s.busy = map[string]int{}, map[int]bool{}
}

func (s *challengeSlots) take(name string) (int, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slot, has := s.used[name]; has {
		return slot, true
	}
	for slot := 1; slot <= maxChallenges; slot++ {
		if !s.busy[slot] {
			s.busy[slot], s.used[name] = true, slot
			return slot, true
		}
	}
	return 0, false
}

func (s *challengeSlots) free(name string) (int, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	slot, has := s.used[name]
	if has {
		delete(s.used, name)
		delete(s.busy, slot)
	}
	return slot, has
}

func challengeName(c edgeconfig.Challenge) string { return c.Host + "\n" + c.Token }

func challengeKey(slot int) string { return edgeconfig.KindChallenge + "/" + strconv.Itoa(slot) }

// settleEvery is how often a wait looks again while acknowledgements stream in.
const settleEvery = 2 * time.Millisecond

// Present publishes an ACME challenge and waits until all connected edges serve
// it. Error: Unavailable when this control plane does not publish, or when an
// edge refuses the challenge or has not acknowledged it by the end of ctx; the
// message names the edges. The challenge stays published until Remove.
func (f *Fleet) Present(ctx context.Context, c edgeconfig.Challenge) error {
	l := f.lead.Load()
	if l == nil {
		return errNotLeading
	}
	body, err := json.Marshal(c)
	if err != nil {
		return err
	}
	slot, ok := f.challenges.take(challengeName(c))
	if !ok {
		return fault.New(fault.Unavailable, "%d challenges are being served already: try again in some minutes", maxChallenges)
	}
	type outcome struct {
		number int64
		err    error
	}
	published := make(chan outcome, 1)
	key := challengeKey(slot)
	err = l.publisher.enqueue(ctx, 0, change{
		Output: Output{Key: key, Scope: edgeconfig.ScopeAll, Body: body},
		done:   func(number int64, err error) { published <- outcome{number, err} },
	})
	if err != nil {
		return err
	}
	select {
	case o := <-published:
		if o.err != nil {
			return o.err
		}
		return f.waitApplied(ctx, key, o.number)
	case <-l.ended:
		return errNotLeading
	case <-ctx.Done():
		return fault.New(fault.Unavailable, "the challenge for %s could not be published in time: %w", c.Host, ctx.Err())
	}
}

// waitApplied waits until all connected edges have applied one version of a
// document.
func (f *Fleet) waitApplied(ctx context.Context, key string, number int64) error {
	for {
		changed := f.tracker.changes()
		connected, _ := f.registry.split()
		missing, rejections, known := f.tracker.lacking(key, number, connected)
		if !known || len(missing) == 0 {
			return nil
		}
		if len(rejections) == len(missing) {
			return fault.New(fault.Unavailable, "edge %s refuses %s: %s", rejections[0].Edge, key, rejections[0].Reason)
		}
		select {
		case <-changed:
			// Thousands of acknowledgements come together: look once for many.
			pause := time.NewTimer(settleEvery)
			select {
			case <-pause.C:
			case <-ctx.Done():
			}
			pause.Stop()
		case <-time.After(purgeAgain): // an edge may have gone without a word
		case <-ctx.Done():
			return fault.New(fault.Unavailable, "not yet acknowledged by %s: %w", strings.Join(missing[:min(len(missing), maxNamed)], ", "), ctx.Err())
		}
	}
}

// Remove takes a challenge back. It does not wait for the edges.
func (f *Fleet) Remove(ctx context.Context, c edgeconfig.Challenge) error {
	l := f.lead.Load()
	if l == nil {
		return errNotLeading
	}
	slot, has := f.challenges.free(challengeName(c))
	if !has {
		return nil
	}
	return l.publisher.enqueue(ctx, 0, change{Output: Output{Key: challengeKey(slot), Scope: edgeconfig.ScopeAll, Deleted: true}, asked: true})
}

// staleChallenges removes what an earlier leader left published.
func (l *lead) staleChallenges() []change {
	var changes []change
	l.ledger.keys(func(key string, meta documentMeta) bool {
		if kindOf(key) == edgeconfig.KindChallenge && !meta.deleted {
			changes = append(changes, change{Output: Output{Key: key, Scope: meta.scope, Deleted: true}, asked: true})
		}
		return true
	})
	return changes
}
