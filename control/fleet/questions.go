package fleet

import (
	"context"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/edgewright/edgewright/edgeconfig"
)

// questions are what edges ask and wait for, one place in the queue for each
// edge. An edge has one question under way, so one that comes while another of
// the same edge waits takes its place: it has given the other up. So ten
// thousand edges that ask at once are answered in the time it takes, and not
// later because those at the end of the queue ask again meanwhile.
type questions struct {
	mu      sync.Mutex
	waiting map[string]*nats.Msg // by edge
	order   []string             // of edges, by when the first of their questions came
	more    chan struct{}
}

func newQuestions() *questions {
	return &questions{waiting: map[string]*nats.Msg{}, more: make(chan struct{}, 1)}
}

func (q *questions) put(edge string, m *nats.Msg) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, has := q.waiting[edge]; !has {
		q.order = append(q.order, edge)
	}
	q.waiting[edge] = m
	q.wake()
}

func (q *questions) wake() {
	select {
	case q.more <- struct{}{}:
	default:
	}
}

func (q *questions) next() (edge string, m *nats.Msg, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.order) == 0 {
		return "", nil, false
	}
	edge, q.order = q.order[0], q.order[1:]
	m = q.waiting[edge]
	delete(q.waiting, edge)
	return edge, m, true
}

// answerers is how many questions of a sort are answered at a time.
const answerers = 4

// serve calls answer for one question after the other until ctx ends. Several may
// serve.
func (q *questions) serve(ctx context.Context, answer func(edge string, m *nats.Msg)) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-q.more:
		}
		for ctx.Err() == nil {
			edge, m, ok := q.next()
			if !ok {
				break
			}
			q.wake() // another, for what is left
			answer(edge, m)
		}
	}
}

// bodies keeps documents for all edges that were asked for lately: when one edge
// misses one, mostly all do. It forgets in two generations, so that it needs no
// order; the newest version alone is of use, so that a key has one place.
type bodies struct {
	mu       sync.Mutex
	old, new map[string]edgeconfig.Document
	size     int // of new, in bytes
}

// bodiesBytes bounds what bodies keeps, roughly.
const bodiesBytes = 32 << 20

// get returns the version that entry names.
func (b *bodies) get(entry edgeconfig.Entry) (edgeconfig.Document, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	d, has := b.new[entry.Key]
	if !has {
		if d, has = b.old[entry.Key]; has {
			b.add(d)
		}
	}
	return d, has && d.Revision == entry.Revision && d.Hash == entry.Hash
}

func (b *bodies) put(d edgeconfig.Document) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.add(d)
}

// add needs b.mu.
func (b *bodies) add(d edgeconfig.Document) {
	if b.size > bodiesBytes/2 || b.new == nil {
		b.old, b.new, b.size = b.new, map[string]edgeconfig.Document{}, 0
	}
	b.size += documentBytes + len(d.Key) + len(d.Body) - len(b.new[d.Key].Body)
	b.new[d.Key] = d
}
