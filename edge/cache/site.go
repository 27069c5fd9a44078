package cache

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/edgewright/edgewright/edge/request"
)

// site holds what is stored for one site, and what is on its way. A purge of
// everything replaces it by a new one, and what still refers to the old one
// sees that it is dead.
type site struct {
	id     string
	policy *policy
	dead   atomic.Bool

	table table[resource]

	mu       sync.Mutex             // of writers; look-ups do not take it
	fills    map[uint64][]*fill     // by URI hash
	paths    map[uint64]pathChain   // by hash of the path
	siblings map[uint64][]*resource // by URI hash: resources whose key holds more than the URI
	objects  int                    // entries in the table

	// Guarded by policy.mu.
	queues   queues
	inflight int64 // bytes reserved by fills
	over     bool  // on policy.over
}

func newSite(id string, p *policy) *site {
	return &site{id: id, policy: p, fills: map[uint64][]*fill{}, paths: map[uint64]pathChain{}, siblings: map[uint64][]*resource{}}
}

// resource is what is stored under one key: one entry for each variant.
type resource struct {
	key       string
	hash, uri uint64 // of the key, and of its URI part
	variants  atomic.Pointer[[]*Entry]

	// The site's resources of the same path; guarded by its lock.
	path           uint64 // hash
	next, previous *resource
}

// pathChain are the resources whose paths have one hash, so that a purge of a
// path need not look at everything.
type pathChain struct {
	head  *resource
	count int
}

// chain and unchain keep the chains by path; s.mu is held.
func (s *site) chain(r *resource) {
	c := s.paths[r.path]
	if r.next = c.head; c.head != nil {
		c.head.previous = r
	}
	s.paths[r.path] = pathChain{r, c.count + 1}
}

func (s *site) unchain(r *resource) {
	c := s.paths[r.path]
	switch {
	case r.previous != nil:
		r.previous.next = r.next
	case c.head == r:
		c.head = r.next
	default:
		return // not in it
	}
	if r.next != nil {
		r.next.previous = r.previous
	}
	r.next, r.previous = nil, nil
	if c.count--; c.count == 0 {
		delete(s.paths, r.path)
	} else {
		s.paths[r.path] = c
	}
}

// find returns the resource of a key; it takes no lock and does not allocate.
func (s *site) find(hash uint64, key []byte) *resource {
	for n := s.table.first(hash); n != nil; n = n.next.Load() {
		if n.hash == hash && n.value.key == string(key) {
			return n.value
		}
	}
	return nil
}

// choose returns the newest variant that answers the request (RFC 9111 section
// 4.1), nil when none does.
func (r *resource) choose(v *request.View, rule *Rule) *Entry {
	variants := r.variants.Load()
	if variants == nil {
		return nil
	}
	for _, e := range *variants {
		if !e.gone() && matches(e.vary, v, rule) {
			return e
		}
	}
	return nil
}

// varies are the fields that the newest variant varies on.
func (r *resource) varies() []string {
	if variants := r.variants.Load(); variants != nil && len(*variants) > 0 {
		return (*variants)[0].names
	}
	return nil
}

// insert stores an entry in the place of those that answer the same request,
// unless the site was purged or the fill was cut off. It returns what the
// entry replaced, for the policy. s.mu is held.
func (s *site) insert(e *Entry, f *fill, maxVariants int) (removed []*Entry, ok bool) {
	if s.dead.Load() || f.outdated.Load() {
		return nil, false
	}
	r := s.find(f.hash, []byte(f.key))
	if r == nil {
		r = &resource{key: f.key, hash: f.hash, uri: f.uri, path: f.cache.hashPath(addressOf(f.key).path)}
		s.table.insert(f.hash, r)
		s.chain(r)
		if f.asker.rule.keyed() {
			s.siblings[f.uri] = append(s.siblings[f.uri], r)
		}
	}
	e.resource = r
	variants := []*Entry{e}
	if old := r.variants.Load(); old != nil {
		for _, o := range *old {
			if len(variants) < maxVariants && !o.gone() && !matches(o.vary, f.asker.view, f.asker.rule) {
				variants = append(variants, o)
			} else {
				removed = append(removed, o)
			}
		}
	}
	r.variants.Store(&variants)
	s.objects += 1 - len(removed)
	return removed, true
}

// drop takes entries out of the table. Those that are out already do no harm.
func (s *site) drop(entries []*Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range entries {
		s.dropLocked(e)
	}
}

func (s *site) dropLocked(e *Entry) bool {
	variants := e.resource.variants.Load()
	if variants == nil || !slices.Contains(*variants, e) {
		return false
	}
	s.objects--
	if len(*variants) == 1 {
		s.forget(e.resource)
		return true
	}
	rest := slices.DeleteFunc(slices.Clone(*variants), func(o *Entry) bool { return o == e })
	e.resource.variants.Store(&rest)
	return true
}

// forget takes a resource out of the table; s.mu is held.
func (s *site) forget(r *resource) {
	r.variants.Store(nil)
	if s.table.remove(r.hash, r) {
		s.unchain(r)
	}
	if list := s.siblings[r.uri]; list != nil {
		list = slices.DeleteFunc(list, func(o *resource) bool { return o == r })
		if len(list) == 0 {
			delete(s.siblings, r.uri)
		} else {
			s.siblings[r.uri] = list
		}
	}
}

// discard removes all variants of a resource for good; s.mu is held. It returns
// them for the policy.
func (s *site) discard(r *resource) []*Entry {
	variants := r.variants.Load()
	if variants == nil {
		return nil
	}
	for _, e := range *variants {
		e.dead.Store(true)
	}
	s.objects -= len(*variants)
	s.forget(r)
	return *variants
}

// register and unregister keep the fills that a purge must find; s.mu is held.
func (s *site) register(f *fill) { s.fills[f.uri] = append(s.fills[f.uri], f) }

func (s *site) unregister(f *fill) {
	list := slices.DeleteFunc(s.fills[f.uri], func(o *fill) bool { return o == f })
	if len(list) == 0 {
		delete(s.fills, f.uri)
	} else {
		s.fills[f.uri] = list
	}
}
