package fleet

import (
	"math/bits"
	"slices"
	"sync"
	"time"

	"github.com/edgewright/edgewright/edgeconfig"
)

// Bounds of the tracker. A rollout beyond them is answered from what edges hold
// now (Fleet.Rollout), without times.
const (
	maxRollouts     = 256      // kept in detail
	maxTrackerBytes = 48 << 20 // of details
	maxNamed        = 20       // edges or rejections that an answer names
)

// tick is the resolution of times in the tracker.
const tick = 100 * time.Microsecond

// tracker follows documents to the edges. For each store revision it keeps, in
// bits and small integers per edge, what has been acknowledged and when. Edges
// have slots: small numbers, used again when an edge is gone.
type tracker struct {
	now func() time.Time

	mu       sync.Mutex
	slots    map[string]int
	present  bitset   // of slots
	names    []string // by slot, "" when free
	free     []int
	rollouts map[int64]*rollout    // by store revision
	order    []*rollout            // oldest first
	versions map[string][]*version // by key, oldest first
	bytes    int
	changed  chan struct{}      // closed and replaced with every change
	dirty    map[int64]struct{} // rollouts that changed since the last look
}

// version is one numbered document on its way.
type version struct {
	rollout  *rollout
	key      string
	revision int64
	members  bitset
	applied  bitset
	verified bitset
	rejected map[int]string // slot -> reason
}

// rollout is all versions that one store revision caused.
type rollout struct {
	revision int64
	started  time.Time
	versions []*version

	members      bitset
	edges        int
	base         int        // slot of the first of progress
	progress     []progress // by slot; only as wide as the members need
	applied      int        // edges with nothing left
	verified     int
	rejected     int // edges that reject something
	lastApplied  time.Time
	lastVerified time.Time
	bytes        int
	versionBytes int
}

// progress is how far one edge is with a rollout.
type progress struct {
	applyLeft   uint32 // versions not applied yet
	verifyLeft  uint32
	rejections  uint32
	applyTicks  uint32 // when the last version was applied, since started, in ticks
	verifyTicks uint32
}

const progressBytes = 20

func newTracker(now func() time.Time) *tracker {
	return &tracker{
		now:      now,
		slots:    map[string]int{},
		rollouts: map[int64]*rollout{},
		versions: map[string][]*version{},
		changed:  make(chan struct{}),
		dirty:    map[int64]struct{}{},
	}
}

// join gives an edge a slot.
func (t *tracker) join(edge string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, known := t.slots[edge]; known {
		return
	}
	slot := len(t.names)
	if n := len(t.free); n > 0 {
		slot, t.free = t.free[n-1], t.free[:n-1]
		t.names[slot] = edge
	} else {
		t.names = append(t.names, edge)
	}
	t.slots[edge] = slot
	t.present.set(slot)
}

// leave takes an edge out of everything that is followed.
func (t *tracker) leave(edge string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	slot, known := t.slots[edge]
	if !known {
		return
	}
	delete(t.slots, edge)
	t.present.clear(slot)
	t.names[slot] = ""
	t.free = append(t.free, slot)
	for _, r := range t.order {
		r.forget(slot)
		t.dirty[r.revision] = struct{}{}
	}
	t.broadcast()
}

// publish begins to follow documents. causes maps keys to store revisions,
// accepted to when those were made; documents with cause 0 are followed by key
// alone.
func (t *tracker) publish(docs []edgeconfig.Document, causes map[string]int64, accepted map[string]time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range docs {
		d := &docs[i]
		r := t.rolloutOf(causes[d.Key], d.Revision, accepted[d.Key])
		v := &version{rollout: r, key: d.Key, revision: d.Revision}
		if d.Scope == edgeconfig.ScopeAll {
			v.members = slices.Clone(t.present)
		} else if slot, known := t.slots[d.Scope]; known {
			v.members.set(slot)
		}
		r.add(v)
		earlier := slices.DeleteFunc(t.versions[d.Key], (*version).done)
		t.versions[d.Key] = append(earlier, v)
		t.dirty[r.revision] = struct{}{}
	}
	t.recount()
	t.broadcast()
}

// rolloutOf finds or makes the rollout of a store revision. Documents that no
// revision caused (challenges, keys) have one of their own, under the negative
// of their number.
func (t *tracker) rolloutOf(cause, number int64, accepted time.Time) *rollout {
	if cause == 0 {
		cause = -number
	}
	if r := t.rollouts[cause]; r != nil {
		return r
	}
	if accepted.IsZero() {
		accepted = t.now()
	}
	r := &rollout{revision: cause, started: accepted}
	t.rollouts[cause] = r
	t.order = append(t.order, r)
	return r
}

// recount keeps the bounds: the oldest rollouts go first.
func (t *tracker) recount() {
	t.bytes = 0
	for _, r := range t.order {
		t.bytes += r.bytes
	}
	for len(t.order) > maxRollouts || (t.bytes > maxTrackerBytes && len(t.order) > 0) {
		t.bytes -= t.order[0].bytes
		t.drop(t.order[0])
	}
}

func (t *tracker) drop(r *rollout) {
	t.order = slices.DeleteFunc(t.order, func(o *rollout) bool { return o == r })
	delete(t.rollouts, r.revision)
	for _, v := range r.versions {
		t.unfollow(v)
	}
}

func (t *tracker) unfollow(v *version) {
	rest := slices.DeleteFunc(t.versions[v.key], func(o *version) bool { return o == v })
	if len(rest) == 0 {
		delete(t.versions, v.key)
	} else {
		t.versions[v.key] = rest
	}
}

// acknowledge takes in what an edge reports. An acknowledgement of a version
// covers the older ones of its key.
func (t *tracker) acknowledge(edge string, items []edgeconfig.AckItem) {
	t.mu.Lock()
	defer t.mu.Unlock()
	slot, known := t.slots[edge]
	if !known {
		return
	}
	now, changed := t.now(), false
	for _, item := range items {
		for _, v := range slices.Clone(t.versions[item.Key]) {
			if v.revision > item.Revision || !v.members.has(slot) {
				continue
			}
			switch item.State {
			case edgeconfig.Applied:
				changed = v.apply(slot, now) || changed
			case edgeconfig.Verified:
				changed = v.apply(slot, now) || changed
				changed = v.verify(slot, now) || changed
			case edgeconfig.Rejected:
				if v.revision == item.Revision {
					changed = v.reject(slot, item.Reason) || changed
				}
			}
			t.dirty[v.rollout.revision] = struct{}{}
			if list := t.versions[item.Key]; v.done() && v != list[len(list)-1] {
				t.unfollow(v)
			}
		}
	}
	if changed {
		t.broadcast()
	}
}

// holdsAll takes in that an edge holds exactly what had been published up to
// number seq, and whether it has verified all of it: acknowledgements that were
// lost are made good.
func (t *tracker) holdsAll(edge string, seq int64, verified bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	slot, known := t.slots[edge]
	if !known {
		return
	}
	now, changed := t.now(), false
	for _, r := range t.order {
		if p := r.at(slot); p == nil || p.applyLeft == 0 && (p.verifyLeft == 0 || !verified) {
			continue
		}
		for _, v := range r.versions {
			if v.revision <= seq && v.members.has(slot) {
				changed = v.apply(slot, now) || changed
				if verified {
					changed = v.verify(slot, now) || changed
				}
			}
		}
		t.dirty[r.revision] = struct{}{}
	}
	if changed {
		t.broadcast()
	}
}

func (t *tracker) broadcast() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// changes returns a channel that is closed with the next change.
func (t *tracker) changes() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.changed
}

// takeDirty returns the store revisions whose rollouts have changed since the
// last call.
func (t *tracker) takeDirty() []int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	revisions := make([]int64, 0, len(t.dirty))
	for revision := range t.dirty {
		if revision > 0 {
			revisions = append(revisions, revision)
		}
	}
	clear(t.dirty)
	slices.Sort(revisions)
	return revisions
}

// progressOf counts the edges that a rollout concerns and those that are done
// with it, one way or the other. changed is closed with the next change.
func (t *tracker) progressOf(revision int64) (edges, done int, followed bool, changed <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.rollouts[revision]
	if r == nil {
		return 0, 0, false, t.changed
	}
	return r.edges, r.applied + r.rejected, true, t.changed
}

// lacking lists which of edges have not applied version number of key. known is
// false when the version is not followed (any more).
func (t *tracker) lacking(key string, number int64, edges []string) (missing []string, rejections []Rejection, known bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, v := range t.versions[key] {
		if v.revision != number {
			continue
		}
		for _, edge := range edges {
			slot, is := t.slots[edge]
			if !is || !v.members.has(slot) || v.applied.has(slot) {
				continue
			}
			missing = append(missing, edge)
			if reason, rejected := v.rejected[slot]; rejected {
				rejections = append(rejections, Rejection{Edge: edge, Key: key, Reason: reason})
			}
		}
		return missing, rejections, true
	}
	return nil, nil, false
}

// state describes a rollout that is followed. away tells which edges are not
// connected.
func (t *tracker) state(revision int64, away func(edge string) bool) (Rollout, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.rollouts[revision]
	if r == nil {
		return Rollout{}, false
	}
	return t.describe(r, r.versions, away), true
}

// documentState describes the last version of one document, when it is
// followed.
func (t *tracker) documentState(key string, away func(edge string) bool) (Rollout, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	versions := t.versions[key]
	if len(versions) == 0 {
		return Rollout{}, false
	}
	v := versions[len(versions)-1]
	single := &rollout{revision: v.rollout.revision, started: v.rollout.started}
	single.add(&version{rollout: single, key: v.key, revision: v.revision, members: v.members})
	for slot := range t.names {
		if v.applied.has(slot) {
			single.versions[0].apply(slot, single.started)
		}
		if v.verified.has(slot) {
			single.versions[0].verify(slot, single.started)
		}
		if reason, is := v.rejected[slot]; is {
			single.versions[0].reject(slot, reason)
		}
	}
	answer := t.describe(single, single.versions, away)
	answer.AppliedAt, answer.VerifiedAt, answer.AppliedP50, answer.AppliedP99 = time.Time{}, time.Time{}, 0, 0
	return answer, true
}

func (t *tracker) describe(r *rollout, versions []*version, away func(string) bool) Rollout {
	answer := Rollout{
		Revision: max(r.revision, 0), Documents: len(versions), Edges: r.edges,
		Applied: r.applied, Verified: r.verified, Rejected: r.rejected, StartedAt: r.started,
	}
	var ticks []uint32
	for i := range r.progress {
		slot, p := r.base+i, &r.progress[i]
		if !r.members.has(slot) {
			continue
		}
		switch {
		case p.applyLeft == 0:
			ticks = append(ticks, p.applyTicks)
		case p.rejections == 0:
			answer.Pending++
			if away(t.names[slot]) {
				answer.Away++
			}
			if len(answer.Waiting) < maxNamed {
				answer.Waiting = append(answer.Waiting, t.names[slot])
			}
		}
	}
	if len(ticks) > 0 {
		slices.Sort(ticks)
		answer.AppliedP50 = time.Duration(ticks[(len(ticks)-1)/2]) * tick
		answer.AppliedP99 = time.Duration(ticks[(len(ticks)-1)*99/100]) * tick
	}
	if r.edges > 0 && r.applied == r.edges {
		answer.AppliedAt = r.lastApplied
	}
	if r.edges > 0 && r.verified == r.edges {
		answer.VerifiedAt = r.lastVerified
	}
	if r.rejected > 0 {
		for _, v := range versions {
			for slot, reason := range v.rejected {
				if len(answer.Rejections) < maxNamed {
					answer.Rejections = append(answer.Rejections, Rejection{Edge: t.names[slot], Key: v.key, Reason: reason})
				}
			}
		}
	}
	return answer
}

// at is how far an edge is, nil when the rollout does not concern it.
func (r *rollout) at(slot int) *progress {
	if i := slot - r.base; i >= 0 && i < len(r.progress) {
		return &r.progress[i]
	}
	return nil
}

// cover makes progress wide enough for slots from low to high.
func (r *rollout) cover(low, high int) {
	if len(r.progress) == 0 {
		r.base = low
	}
	if low >= r.base && high < r.base+len(r.progress) {
		return
	}
	base := min(low, r.base)
	wider := make([]progress, max(high+1, r.base+len(r.progress))-base)
	copy(wider[r.base-base:], r.progress)
	r.base, r.progress = base, wider
}

// add puts a version into the rollout.
func (r *rollout) add(v *version) {
	r.versions = append(r.versions, v)
	if low, high, any := v.members.bounds(); any {
		r.cover(low, high)
		for slot := low; slot <= high; slot++ {
			if v.members.has(slot) {
				r.expect(slot)
			}
		}
	}
	r.versionBytes += 200 + 8*3*len(v.members)
	r.bytes = 200 + progressBytes*len(r.progress) + r.versionBytes
}

// expect notes that an edge has one more version to apply.
func (r *rollout) expect(slot int) {
	p := r.at(slot)
	if !r.members.has(slot) {
		r.members.set(slot)
		r.edges++
	} else {
		// The edge had finished with what there was; now there is more.
		if p.applyLeft == 0 {
			r.applied--
		}
		if p.verifyLeft == 0 {
			r.verified--
		}
	}
	p.applyLeft++
	p.verifyLeft++
}

// forget takes a slot out of the rollout.
func (r *rollout) forget(slot int) {
	if !r.members.has(slot) {
		return
	}
	r.members.clear(slot)
	r.edges--
	p := r.at(slot)
	if p.applyLeft == 0 {
		r.applied--
	}
	if p.verifyLeft == 0 {
		r.verified--
	}
	if p.rejections > 0 {
		r.rejected--
	}
	*p = progress{}
	for _, v := range r.versions {
		v.members.clear(slot)
		v.applied.clear(slot)
		v.verified.clear(slot)
		delete(v.rejected, slot)
	}
}

func (v *version) apply(slot int, now time.Time) bool {
	if v.applied.has(slot) {
		return false
	}
	v.applied.set(slot)
	r, p := v.rollout, v.rollout.at(slot)
	if _, rejected := v.rejected[slot]; rejected {
		// It was refused before and is not any more.
		delete(v.rejected, slot)
		if p.rejections--; p.rejections == 0 {
			r.rejected--
		}
	}
	if p.applyLeft--; p.applyLeft == 0 {
		r.applied++
		p.applyTicks = r.ticks(now)
		r.lastApplied = now
	}
	return true
}

func (v *version) verify(slot int, now time.Time) bool {
	if v.verified.has(slot) {
		return false
	}
	v.verified.set(slot)
	r, p := v.rollout, v.rollout.at(slot)
	if p.verifyLeft--; p.verifyLeft == 0 {
		r.verified++
		p.verifyTicks = r.ticks(now)
		r.lastVerified = now
	}
	return true
}

func (v *version) reject(slot int, reason string) bool {
	if v.applied.has(slot) {
		return false
	}
	if v.rejected == nil {
		v.rejected = map[int]string{}
	}
	if _, already := v.rejected[slot]; !already {
		p := v.rollout.at(slot)
		if p.rejections++; p.rejections == 1 {
			v.rollout.rejected++
		}
	}
	v.rejected[slot] = reason
	return true
}

// done tells that nothing more can be said of the version.
func (v *version) done() bool { return v.verified.count() == v.members.count() }

func (r *rollout) ticks(now time.Time) uint32 {
	return uint32(min(max(now.Sub(r.started)/tick, 0), 1<<32-1))
}

// bitset is a set of slots.
type bitset []uint64

func (b bitset) has(n int) bool { return n>>6 < len(b) && b[n>>6]&(1<<(n&63)) != 0 }

func (b *bitset) set(n int) {
	for n>>6 >= len(*b) {
		*b = append(*b, 0)
	}
	(*b)[n>>6] |= 1 << (n & 63)
}

func (b bitset) clear(n int) {
	if n>>6 < len(b) {
		b[n>>6] &^= 1 << (n & 63)
	}
}

// bounds are the lowest and the highest member.
func (b bitset) bounds() (low, high int, any bool) {
	low = -1
	for i, word := range b {
		if word == 0 {
			continue
		}
		if low < 0 {
			low = i<<6 + bits.TrailingZeros64(word)
		}
		high = i<<6 + 63 - bits.LeadingZeros64(word)
	}
	return low, high, low >= 0
}

func (b bitset) count() int {
	n := 0
	for _, word := range b {
		n += bits.OnesCount64(word)
	}
	return n
}
