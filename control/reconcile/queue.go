package reconcile

import (
	"container/heap"
	"sync"
	"time"
)

// queue holds refs to look at, each at most once, now or at a later time.
type queue struct {
	mu      sync.Mutex
	wake    *sync.Cond
	closed  bool
	ready   []Ref          // in order of arrival
	state   map[Ref]*entry // of every ref that is ready, in work, delayed or has failed
	delayed delays         // by time
	timer   *time.Timer    // for the first of delayed
}

// entry is what is known of one ref.
type entry struct {
	ref      Ref
	ready    bool // in queue.ready
	working  bool
	again    bool // came in while working
	failures int
	at       time.Time // in delayed, when index >= 0
	index    int       // in delayed; -1: not there
}

func newQueue() *queue {
	q := &queue{state: map[Ref]*entry{}}
	q.wake = sync.NewCond(&q.mu)
	return q
}

// add asks for a look at ref now.
func (q *queue) add(ref Ref) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.enqueue(q.entry(ref))
}

func (q *queue) entry(ref Ref) *entry {
	e := q.state[ref]
	if e == nil {
		e = &entry{ref: ref, index: -1}
		q.state[ref] = e
	}
	return e
}

func (q *queue) enqueue(e *entry) {
	switch {
	case q.closed:
	case e.working:
		e.again = true
	case !e.ready:
		if e.index >= 0 {
			heap.Remove(&q.delayed, e.index)
		}
		e.ready = true
		q.ready = append(q.ready, e.ref)
		q.wake.Signal()
	}
}

// next waits for a ref; ok is false when the queue is closed.
func (q *queue) next() (ref Ref, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.ready) == 0 && !q.closed {
		q.wake.Wait()
	}
	if q.closed {
		return Ref{}, false
	}
	ref = q.ready[0]
	q.ready = q.ready[1:]
	e := q.state[ref]
	e.ready, e.working = false, true
	return ref, true
}

// failed counts a failure and returns the delay it earns.
func (q *queue) failed(ref Ref) time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	e := q.state[ref]
	delay := maxBackoff
	if e.failures < 9 { // 1 s doubled nine times is beyond the bound
		delay = min(firstBackoff<<e.failures, maxBackoff)
	}
	e.failures++
	return delay
}

func (q *queue) succeeded(ref Ref) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.state[ref].failures = 0
}

// done ends the work on ref and asks for another look after next; 0: none.
func (q *queue) done(ref Ref, next time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	e := q.state[ref]
	e.working = false
	switch {
	case q.closed:
	case e.again:
		e.again = false
		q.enqueue(e)
	case next > 0:
		e.at = time.Now().Add(next)
		heap.Push(&q.delayed, e)
		q.arm()
	case e.failures == 0:
		delete(q.state, ref)
	}
}

// arm sets the timer to the first delayed ref.
func (q *queue) arm() {
	// A timer that fired while the queue was being closed would else find the same
	// entry due for ever.
	if len(q.delayed) == 0 || q.closed {
		return
	}
	wait := time.Until(q.delayed[0].at)
	if q.timer == nil {
		q.timer = time.AfterFunc(wait, q.due)
		return
	}
	q.timer.Reset(wait)
}

// due moves what has waited long enough to ready.
func (q *queue) due() {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	for len(q.delayed) > 0 && !q.delayed[0].at.After(now) && !q.closed {
		q.enqueue(q.delayed[0])
	}
	q.arm()
}

// close lets workers end; what waits is dropped.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	if q.timer != nil {
		q.timer.Stop()
	}
	q.wake.Broadcast()
}

// delays is a heap of entries by time.
type delays []*entry

func (d delays) Len() int           { return len(d) }
func (d delays) Less(i, j int) bool { return d[i].at.Before(d[j].at) }
func (d delays) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].index, d[j].index = i, j
}

func (d *delays) Push(x any) {
	e := x.(*entry)
	e.index = len(*d)
	*d = append(*d, e)
}

func (d *delays) Pop() any {
	old := *d
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*d = old[:len(old)-1]
	e.index = -1
	return e
}
