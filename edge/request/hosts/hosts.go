// Package hosts holds the table by which an edge finds what belongs to a host
// name: an immutable value with exact names and one-label wildcards, whose
// look-up allocates nothing and costs the same for ten names and for a hundred
// thousand.
//
// A table is edited by copy: Edit begins, Set and Delete change, Table ends. A
// new table shares every shard that was not touched with the old one, so one
// change among many names copies one small map and the list of shards.
package hosts

import (
	"hash/maphash"
	"iter"
	"maps"
	"strings"
)

const shards = 1024

var seed = maphash.MakeSeed()

func shardOf(key string) int { return int(maphash.String(seed, key) % shards) }

// Table maps host names to values. A nil table is empty.
type Table[V any] struct {
	shards [shards]map[string]V
	n      int
}

// keyOf returns the key of a pattern: "*.example.com" is kept as ".example.com",
// which no host name can be, so that looking it up needs no new string.
func keyOf(pattern string) string {
	if strings.HasPrefix(pattern, "*.") {
		return pattern[1:]
	}
	return pattern
}

// Len returns the number of patterns.
func (t *Table[V]) Len() int {
	if t == nil {
		return 0
	}
	return t.n
}

// Lookup returns the value of a host name in lower-case A-labels: that of the
// name itself, else that of the wildcard of its parent.
func (t *Table[V]) Lookup(host string) (v V, ok bool) {
	if v, ok = t.get(host); ok {
		return v, true
	}
	return t.Wildcard(host)
}

// Exact returns the value of the very pattern.
func (t *Table[V]) Exact(pattern string) (v V, ok bool) { return t.get(keyOf(pattern)) }

// Wildcard returns the value of the wildcard that covers host.
func (t *Table[V]) Wildcard(host string) (v V, ok bool) {
	i := strings.IndexByte(host, '.')
	if i <= 0 {
		return v, false
	}
	return t.get(host[i:])
}

func (t *Table[V]) get(key string) (v V, ok bool) {
	if t == nil {
		return v, false
	}
	v, ok = t.shards[shardOf(key)][key]
	return v, ok
}

// All yields every pattern and its value, in no order.
func (t *Table[V]) All() iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		if t == nil {
			return
		}
		for _, m := range t.shards {
			for key, v := range m {
				if key[0] == '.' {
					key = "*" + key
				}
				if !yield(key, v) {
					return
				}
			}
		}
	}
}

// Edit begins a new table from this one, which stays as it is.
func (t *Table[V]) Edit() *Editor[V] {
	e := &Editor[V]{next: new(Table[V])}
	if t != nil {
		*e.next = *t
	}
	return e
}

// Editor makes a table. It is for one goroutine, and spent after Table.
type Editor[V any] struct {
	next  *Table[V]
	owned [shards]bool // shards already copied by this editor
}

func (e *Editor[V]) shard(key string) map[string]V {
	i := shardOf(key)
	if !e.owned[i] {
		e.owned[i] = true
		if e.next.shards[i] = maps.Clone(e.next.shards[i]); e.next.shards[i] == nil {
			e.next.shards[i] = map[string]V{}
		}
	}
	return e.next.shards[i]
}

// Get returns the value of the very pattern as edited so far.
func (e *Editor[V]) Get(pattern string) (V, bool) { return e.next.Exact(pattern) }

// Set maps a pattern, a name or "*." and a name, to a value.
func (e *Editor[V]) Set(pattern string, v V) {
	key := keyOf(pattern)
	m := e.shard(key)
	before := len(m)
	m[key] = v
	e.next.n += len(m) - before
}

// Delete removes a pattern.
func (e *Editor[V]) Delete(pattern string) {
	key := keyOf(pattern)
	if _, ok := e.next.get(key); !ok {
		return
	}
	delete(e.shard(key), key)
	e.next.n--
}

// Table returns the edited table.
func (e *Editor[V]) Table() *Table[V] { return e.next }
