package certs

import "sync"

// Vault bounds how many certificates are held with their keys open. It
// outlives configurations.
type Vault struct {
	mu   sync.Mutex
	ring []*Entry
	hand int
	max  int
}

// NewVault returns a vault of at most max open certificates, 16,384 when max is 0.
func NewVault(max int) *Vault {
	if max <= 0 {
		max = 16_384
	}
	return &Vault{max: max}
}

// hold takes in an entry that was just opened and closes one that was not used
// since the hand last came by (the clock algorithm).
func (v *Vault) hold(e *Entry) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.ring) < v.max {
		v.ring = append(v.ring, e)
		return
	}
	for {
		old := v.ring[v.hand]
		if old.used.CompareAndSwap(true, false) {
			v.hand = (v.hand + 1) % len(v.ring)
			continue
		}
		old.opened.Store(nil)
		v.ring[v.hand] = e
		v.hand = (v.hand + 1) % len(v.ring)
		return
	}
}

// Open returns how many certificates are held open.
func (v *Vault) Open() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.ring)
}
