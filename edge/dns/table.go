package dns

import (
	"sync/atomic"

	"github.com/edgewright/edgewright/edgeconfig"
)

// zone is one served zone: what queries find, beside its current index.
type zone struct {
	id      string
	apex    string // wire form, lower case
	labels  int
	hash    uint64
	current atomic.Pointer[index]
	signer  atomic.Pointer[Signer] // nil: none

	tallies []tally                 // of each worker
	taken   edgeconfig.ZoneCounters // what Take has told of; with Zones.mu
	quiet   bool                    // it ended, and the last Take found nothing
}

// table finds the zone of a name. It is immutable: adding or removing a zone
// makes another one, a new version of a zone does not.
type table struct {
	seed  uint64
	slots []*zone
	count int
	most  int // labels of the deepest apex
}

func newTable(seed uint64) *table { return &table{seed: seed, slots: make([]*zone, 8)} }

// exact returns the zone with this apex.
func (t *table) exact(h uint64, apex []byte) *zone {
	mask := uint64(len(t.slots) - 1)
	for i := h & mask; t.slots[i] != nil; i = (i + 1) & mask {
		if z := t.slots[i]; z.hash == h && z.apex == string(apex) {
			return z
		}
	}
	return nil
}

// find returns the zone with the longest apex that is a suffix of n, from the
// label skip on.
func (t *table) find(n *name, skip int) *zone {
	if n.count-skip > t.most {
		skip = n.count - t.most
	}
	for i := skip; i <= n.count; i++ {
		s := n.suffix(i)
		if z := t.exact(hash(t.seed, s), s); z != nil {
			return z
		}
	}
	return nil
}

// edit returns the table without and with some zones.
func (t *table) edit(remove, add []*zone) *table {
	gone := make(map[*zone]bool, len(remove))
	for _, z := range remove {
		gone[z] = true
	}
	var all []*zone
	for _, z := range t.slots {
		if z != nil && !gone[z] {
			all = append(all, z)
		}
	}
	all = append(all, add...)
	size := 8
	for size < 2*len(all) {
		size *= 2
	}
	next := &table{seed: t.seed, slots: make([]*zone, size), count: len(all)}
	for _, z := range all {
		next.most = max(next.most, z.labels)
		i := z.hash & uint64(size-1)
		for next.slots[i] != nil {
			i = (i + 1) & uint64(size-1)
		}
		next.slots[i] = z
	}
	return next
}
