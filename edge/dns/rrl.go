package dns

import (
	"net/netip"
	"sync/atomic"
)

// RRL limits how many like answers one network gets over UDP, so that forged
// source addresses do not make the server an amplifier. Clients with a valid
// cookie, and TCP, are never limited.
type RRL struct {
	Rate   int            // answers of one kind per second and network (/24, /56); 0: 1000; below 0: no limit
	Slip   int            // every n-th answer above the rate is sent, truncated; 0: 2; below 0: none
	Exempt []netip.Prefix // networks without a limit
}

// limiter counts in a fixed table: a slot per hash of network and kind of
// answer, packed into a word that is swapped whole. Two kinds that share a slot
// push each other out, which errs towards answering.
type limiter struct {
	rate, slip uint32
	exempt     []netip.Prefix
	slots      []atomic.Uint64 // 24 bits tag, 20 bits second, 20 bits count
}

const limiterSlots = 1 << 16

func newLimiter(o RRL) *limiter {
	if o.Rate < 0 {
		return nil
	}
	l := &limiter{rate: 1000, slip: 2, exempt: o.Exempt, slots: make([]atomic.Uint64, limiterSlots)}
	if o.Rate > 0 {
		l.rate = uint32(min(o.Rate, 1<<19))
	}
	switch {
	case o.Slip > 0:
		l.slip = uint32(o.Slip)
	case o.Slip < 0:
		l.slip = 0
	}
	return l
}

// decision is what becomes of an answer.
type decision int

const (
	send decision = iota
	truncate
	drop
)

// account counts one answer of a kind to a client at a second.
func (l *limiter) account(seed uint64, client netip.Addr, kind uint64, second uint32) decision {
	if l == nil {
		return send
	}
	for _, p := range l.exempt {
		if p.Contains(client) {
			return send
		}
	}
	h := mix(mix(seed, network(client)), kind)
	slot := &l.slots[h%limiterSlots]
	tag, now := h>>40, uint64(second)&(1<<20-1)
	for {
		old := slot.Load()
		count := uint64(1)
		if old>>40 == tag && old>>20&(1<<20-1) == now {
			count = min(old&(1<<20-1)+1, 1<<20-1)
		}
		if !slot.CompareAndSwap(old, tag<<40|now<<20|count) {
			continue
		}
		switch over := uint32(count) - l.rate; {
		case uint32(count) <= l.rate:
			return send
		case l.slip > 0 && over%l.slip == 0:
			return truncate
		default:
			return drop
		}
	}
}

// network is the client's /24 or /56 as a number.
func network(a netip.Addr) uint64 {
	if a.Is4() {
		b := a.As4()
		return uint64(b[0])<<16 | uint64(b[1])<<8 | uint64(b[2]) | 1<<60
	}
	b := a.As16()
	var n uint64
	for _, c := range b[:7] {
		n = n<<8 | uint64(c)
	}
	return n
}
