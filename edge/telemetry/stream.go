package telemetry

import (
	"sync"
	"sync/atomic"
)

// stream hands finished requests to who subscribes: the access log.
type stream struct {
	mu          sync.Mutex
	subscribers atomic.Pointer[[]*subscriber]
	lost        atomic.Int64
}

type subscriber struct {
	mu     sync.Mutex // held while sending, so that cancel can close the channel
	closed bool
	ch     chan Record
}

// Subscribe streams the record of every request that finishes from now on,
// until cancel is called, which closes the channel. A subscriber that does not
// keep up loses records (Lost counts them); it never slows a request down.
func (t *Telemetry) Subscribe(buffer int) (records <-chan Record, cancel func()) {
	s := &subscriber{ch: make(chan Record, max(buffer, 1))}
	t.log.change(func(list []*subscriber) []*subscriber { return append(list, s) })
	return s.ch, sync.OnceFunc(func() {
		t.log.change(func(list []*subscriber) []*subscriber {
			kept := list[:0]
			for _, other := range list {
				if other != s {
					kept = append(kept, other)
				}
			}
			return kept
		})
		s.mu.Lock()
		s.closed = true
		close(s.ch)
		s.mu.Unlock()
	})
}

// change replaces the list by an edited copy, nil when nobody is left.
func (l *stream) change(edit func([]*subscriber) []*subscriber) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []*subscriber
	if old := l.subscribers.Load(); old != nil {
		list = append(list, *old...)
	}
	if list = edit(list); len(list) == 0 {
		l.subscribers.Store(nil)
		return
	}
	l.subscribers.Store(&list)
}

// Logging reports whether anybody subscribes, so that who counts a request can
// leave out what only a log needs.
func (t *Telemetry) Logging() bool { return t.log.subscribers.Load() != nil }

// Log hands a record to the subscribers.
func (t *Telemetry) Log(r *Record) {
	list := t.log.subscribers.Load()
	if list == nil {
		return
	}
	for _, s := range *list {
		s.mu.Lock()
		if !s.closed {
			select {
			case s.ch <- *r:
			default:
				t.log.lost.Add(1)
			}
		}
		s.mu.Unlock()
	}
}

// Lost returns how many records subscribers were too slow for.
func (t *Telemetry) Lost() int64 { return t.log.lost.Load() }
