package cache

import (
	"sync"
	"sync/atomic"
)

// policy decides what leaves when memory is short. It is S3-FIFO (Yang et al.,
// SOSP 2023) counted in bytes: what comes new waits in a small queue and is
// dropped from there unless it was used again; what was used goes to the main
// queue, where each use is worth one more round; a ghost table remembers what
// was dropped, so that what comes back enters the main queue at once. A use is
// one atomic increment and moves nothing, so hits never wait for each other.
//
// Every entry stands in two pairs of such queues: one of all sites, one of its
// own. Under pressure a site that holds more than its share loses entries by
// its own queues first, before anyone else does. What no other site needs it
// may use.
type policy struct {
	max   int64 // bytes
	share int64 // bytes of one site that pressure from others leaves alone

	mu       sync.Mutex
	all      queues
	ghosts   []uint64 // hashes by their low bits; the newer takes the slot
	over     []*site  // sites above their share
	stored   int64    // bytes of entries
	inflight int64    // bytes reserved by fills
	evicted  int64    // entries

	pinned atomic.Int64 // bytes of entries that are gone but still read
}

// residence is an entry's place in the policy; guarded by policy.mu, but for
// uses and state.
type residence struct {
	links [2]link // in the queues of all, and of the site
	bytes int64
	held  bool // in the queues
	main  bool // in the main ones
	gone  bool // removed, or never to be added

	uses  atomic.Uint32
	state atomic.Uint32 // pins, and evictedBit
}

type link struct{ next, previous *Entry }

// The two sets of links.
const (
	ofAll = iota
	ofSite
)

// queues is one pair of queues.
type queues struct {
	small, main queue
}

func (q *queues) bytes() int64 { return q.small.bytes + q.main.bytes }

func (q *queues) of(main bool) *queue {
	if main {
		return &q.main
	}
	return &q.small
}

// queue is a doubly linked list of entries, oldest at the tail.
type queue struct {
	head, tail *Entry
	bytes      int64
}

func (q *queue) push(e *Entry, which int) {
	l := &e.residence.links[which]
	l.next, l.previous = q.head, nil
	if q.head != nil {
		q.head.residence.links[which].previous = e
	} else {
		q.tail = e
	}
	q.head = e
	q.bytes += e.residence.bytes
}

func (q *queue) unlink(e *Entry, which int) {
	l := &e.residence.links[which]
	if l.previous != nil {
		l.previous.residence.links[which].next = l.next
	} else {
		q.head = l.next
	}
	if l.next != nil {
		l.next.residence.links[which].previous = l.previous
	} else {
		q.tail = l.previous
	}
	q.bytes -= e.residence.bytes
	l.next, l.previous = nil, nil
}

// enqueue puts an entry at the head of its queues, dequeue takes it out.
func (p *policy) enqueue(e *Entry, main bool) {
	r := &e.residence
	r.held, r.main = true, main
	p.all.of(main).push(e, ofAll)
	e.site.queues.of(main).push(e, ofSite)
}

func (p *policy) dequeue(e *Entry) {
	r := &e.residence
	p.all.of(r.main).unlink(e, ofAll)
	e.site.queues.of(r.main).unlink(e, ofSite)
	r.held = false
}

const maxUses = 3

// newPolicy bounds everything stored to max bytes.
func newPolicy(max, share int64) *policy {
	slots := 1 << 10
	for int64(slots) < max/(16<<10) && slots < 1<<18 {
		slots <<= 1
	}
	return &policy{max: max, share: share, ghosts: make([]uint64, slots)}
}

// noteUse notes a hit.
func (e *Entry) noteUse() {
	if u := e.residence.uses.Load(); u < maxUses {
		e.residence.uses.Store(u + 1) // a lost increment among many does no harm
	}
}

// reserve sets n bytes aside for a fill of a site, evicting for them. It fails
// when fills already hold half of the memory, or when what is left is pinned.
// The victims are returned for the caller to take out of their sites.
func (p *policy) reserve(s *site, n int64) (victims []*Entry, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.inflight+n > p.max/2 || s.inflight+n > max(p.share, p.max/8) {
		return nil, false
	}
	p.inflight += n
	s.inflight += n
	victims = p.evict(nil)
	if p.used() > p.max {
		p.inflight -= n
		s.inflight -= n
		return victims, false
	}
	return victims, true
}

// release gives a reservation back.
func (p *policy) release(s *site, n int64) {
	p.mu.Lock()
	p.inflight -= n
	s.inflight -= n
	p.mu.Unlock()
}

// add takes an entry in and gives the reservation of its fill back, in one step.
func (p *policy) add(e *Entry, reserved int64) (victims []*Entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inflight -= reserved
	e.site.inflight -= reserved
	r := &e.residence
	if r.gone || e.site.dead.Load() { // removed between its insertion and now
		r.gone = true
		return nil
	}
	r.bytes = e.cost()
	slot := &p.ghosts[e.hash&uint64(len(p.ghosts)-1)]
	known := *slot == e.hash
	if known {
		*slot = 0
	}
	p.enqueue(e, known)
	p.stored += r.bytes
	p.weigh(e.site)
	return p.evict(nil)
}

// replace adds an entry that took others' places and has the content of one of
// them: it keeps what that one has earned.
func (p *policy) replace(removed []*Entry, old, e *Entry) (victims []*Entry) {
	e.residence.uses.Store(old.residence.uses.Load())
	p.mu.Lock()
	if old.residence.held && old.residence.main {
		p.ghosts[e.hash&uint64(len(p.ghosts)-1)] = e.hash
	}
	p.mu.Unlock()
	p.remove(removed...)
	return p.add(e, 0)
}

// remove takes an entry out that left its site. It may come before add.
func (p *policy) remove(entries ...*Entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range entries {
		p.drop(e)
	}
}

// drop unlinks an entry; p.mu is held.
func (p *policy) drop(e *Entry) {
	r := &e.residence
	r.gone = true
	if !r.held {
		return
	}
	p.dequeue(e)
	p.stored -= r.bytes
	p.weigh(e.site)
	if r.state.Or(evictedBit)&^evictedBit != 0 {
		p.pinned.Add(r.bytes)
	}
}

// weigh keeps the list of sites above their share. It is short: no more than
// max/share sites can be on it.
func (p *policy) weigh(s *site) {
	switch above := s.queues.bytes() > p.share; {
	case above && !s.over:
		s.over = true
		p.over = append(p.over, s)
	case !above && s.over:
		s.over = false
		for i := range p.over {
			if p.over[i] == s {
				p.over[i] = p.over[len(p.over)-1]
				p.over = p.over[:len(p.over)-1]
				return
			}
		}
	}
}

func (p *policy) used() int64 { return p.stored + p.inflight + p.pinned.Load() }

// evict drops entries until the bound holds; p.mu is held.
func (p *policy) evict(victims []*Entry) []*Entry {
	for p.used() > p.max && p.stored > 0 {
		victim := p.victim(p.pressed())
		p.ghosts[victim.hash&uint64(len(p.ghosts)-1)] = victim.hash
		p.drop(victim)
		p.evicted++
		victims = append(victims, victim)
	}
	return victims
}

// pressed are the queues to take from: those of the site that is furthest above
// its share, else those of all. p.mu is held.
func (p *policy) pressed() *queues {
	var s *site
	for _, o := range p.over {
		if s == nil || o.queues.bytes() > s.queues.bytes() {
			s = o
		}
	}
	if s == nil {
		return &p.all
	}
	return &s.queues
}

// victim is S3-FIFO's choice from a pair of queues that is not empty; what was
// used moves instead, in both pairs. p.mu is held.
func (p *policy) victim(q *queues) *Entry {
	for {
		if q.small.tail != nil && (q.small.bytes > q.bytes()/10 || q.main.tail == nil) {
			e := q.small.tail
			if e.residence.uses.Load() <= 1 {
				return e
			}
			e.residence.uses.Store(0)
			p.dequeue(e)
			p.enqueue(e, true)
			continue
		}
		e := q.main.tail
		uses := e.residence.uses.Load()
		if uses == 0 {
			return e
		}
		e.residence.uses.Store(uses - 1)
		p.dequeue(e)
		p.enqueue(e, true)
	}
}

// evictedBit marks, in residence.state, that the entry no longer counts as
// stored; its bytes count as pinned as long as somebody reads it.
const evictedBit = 1 << 31

// Pin says that the content is being read; Unpin that it no longer is.
func (e *Entry) Pin() {
	if e.residence.state.Add(1) == evictedBit|1 {
		e.site.policy.pinned.Add(e.residence.bytes)
	}
}

// Unpin takes one Pin back.
func (e *Entry) Unpin() {
	if e.residence.state.Add(^uint32(0)) == evictedBit {
		e.site.policy.pinned.Add(-e.residence.bytes)
	}
}
