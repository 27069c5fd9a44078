package cache

import "sync/atomic"

// soloTable remembers keys whose last response could not be shared, so that
// requests for them do not wait for each other ("hit-for-miss"). It is a fixed
// number of slots: a slot that two keys share only costs one of them a
// collapse. What it says is never needed for correctness.
type soloTable struct {
	slots []soloSlot
}

type soloSlot struct {
	hash  atomic.Uint64
	until atomic.Int64 // Unix nanoseconds
}

const soloSlots = 1 << 14

func newSoloTable() *soloTable { return &soloTable{slots: make([]soloSlot, soloSlots)} }

func (t *soloTable) slot(hash uint64) *soloSlot { return &t.slots[hash&(soloSlots-1)] }

func (t *soloTable) set(hash uint64, until int64) {
	s := t.slot(hash)
	s.hash.Store(hash)
	s.until.Store(until)
}

func (t *soloTable) clear(hash uint64) {
	if s := t.slot(hash); s.hash.Load() == hash {
		s.until.Store(0)
	}
}

func (t *soloTable) has(hash uint64, now int64) bool {
	s := t.slot(hash)
	return s.hash.Load() == hash && now < s.until.Load()
}
