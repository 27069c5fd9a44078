package cache

import "sync/atomic"

// table is a hash table whose readers take no lock and write nothing: a look-up
// never waits for a purge, an insertion or another look-up. Writers hold a lock
// of the table's owner. The zero value is ready.
//
// A reader follows a chain that a writer may be changing: it sees the chain
// before or after the change. Growing builds new chains beside the old ones,
// which readers under way keep.
type table[T any] struct {
	buckets atomic.Pointer[[]atomic.Pointer[node[T]]]
	count   int // of the writers
}

type node[T any] struct {
	hash  uint64
	value *T
	next  atomic.Pointer[node[T]]
}

const smallestTable = 8

// first returns the head of the chain that values of a hash are in.
func (t *table[T]) first(hash uint64) *node[T] {
	buckets := t.buckets.Load()
	if buckets == nil {
		return nil
	}
	return (*buckets)[hash&uint64(len(*buckets)-1)].Load()
}

// insert adds a value. The caller holds the writers' lock.
func (t *table[T]) insert(hash uint64, value *T) {
	buckets := t.buckets.Load()
	if buckets == nil || t.count >= len(*buckets) {
		buckets = t.grow(buckets)
	}
	head := &(*buckets)[hash&uint64(len(*buckets)-1)]
	n := &node[T]{hash: hash, value: value}
	n.next.Store(head.Load())
	head.Store(n)
	t.count++
}

func (t *table[T]) grow(old *[]atomic.Pointer[node[T]]) *[]atomic.Pointer[node[T]] {
	size := smallestTable
	if old != nil {
		size = 2 * len(*old)
	}
	next := make([]atomic.Pointer[node[T]], size)
	if old != nil {
		for i := range *old {
			for n := (*old)[i].Load(); n != nil; n = n.next.Load() {
				head := &next[n.hash&uint64(size-1)]
				moved := &node[T]{hash: n.hash, value: n.value}
				moved.next.Store(head.Load())
				head.Store(moved)
			}
		}
	}
	t.buckets.Store(&next)
	return &next
}

// remove takes a value out. The caller holds the writers' lock.
func (t *table[T]) remove(hash uint64, value *T) bool {
	buckets := t.buckets.Load()
	if buckets == nil {
		return false
	}
	link := &(*buckets)[hash&uint64(len(*buckets)-1)]
	for n := link.Load(); n != nil; n = link.Load() {
		if n.value == value {
			link.Store(n.next.Load())
			t.count--
			return true
		}
		link = &n.next
	}
	return false
}

// each calls visit for every value, without a lock: values that come or go
// meanwhile may or may not be visited.
func (t *table[T]) each(visit func(value *T)) {
	buckets := t.buckets.Load()
	if buckets == nil {
		return
	}
	for i := range *buckets {
		for n := (*buckets)[i].Load(); n != nil; n = n.next.Load() {
			visit(n.value)
		}
	}
}
