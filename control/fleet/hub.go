package fleet

import "sync"

// subscriberBuffer is how many events a subscriber may be behind before the
// oldest are dropped.
const subscriberBuffer = 64

// hub hands events to subscribers. A slow one loses the oldest events, never
// the order, and never holds up the others.
type hub struct {
	mu     sync.Mutex
	subs   map[*subscriber]struct{}
	live   int
	closed bool
	// watched is called, outside of the lock, when the first live subscriber
	// comes.
	watched func()
}

type subscriber struct {
	events chan Event
	live   bool
}

func (h *hub) subscribe(live bool) (<-chan Event, func()) {
	s := &subscriber{events: make(chan Event, subscriberBuffer), live: live}
	h.mu.Lock()
	first := false
	if h.closed {
		close(s.events)
	} else {
		h.subs[s] = struct{}{}
		if live {
			h.live++
			first = h.live == 1
		}
	}
	h.mu.Unlock()
	if first && h.watched != nil {
		h.watched()
	}
	return s.events, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if _, in := h.subs[s]; !in {
			return
		}
		delete(h.subs, s)
		close(s.events)
		if s.live {
			h.live--
		}
	}
}

func (h *hub) publish(e Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.subs {
		if e.Type == EventLive && !s.live {
			continue
		}
		for sent := false; !sent; {
			select {
			case s.events <- e:
				sent = true
			default:
				select {
				case <-s.events:
				default:
				}
			}
		}
	}
}

// watching tells whether anybody listens, and whether to live numbers.
func (h *hub) watching() (anybody, live bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.subs) > 0, h.live > 0
}

func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for s := range h.subs {
		close(s.events)
		delete(h.subs, s)
	}
	h.live = 0
}
