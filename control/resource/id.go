package resource

import (
	"crypto/rand"
	"encoding/binary"
	"sync"
	"time"
)

// NewID returns prefix, an underscore and a lower-case ULID (26 characters of
// Crockford base 32: 48 bits of Unix milliseconds, 80 random bits). Within a
// process each ID sorts after the one before, also within a millisecond and
// when the clock goes back.
func NewID(prefix string) string {
	return prefix + "_" + processIDs.next(time.Now())
}

// processIDs is the state that makes IDs of one process grow. It is the only
// state of this package.
var processIDs ulids

type ulids struct {
	mu   sync.Mutex
	time uint64 // milliseconds of the last ID
	high uint16 // its random part
	low  uint64
}

// next returns the ULID after the last one.
func (u *ulids) next(now time.Time) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	if ms := uint64(now.UnixMilli()); ms > u.time {
		u.time = ms
		u.high, u.low = randomBits()
	} else if u.low++; u.low == 0 {
		if u.high++; u.high == 0 {
			u.time++ // all random bits were set: borrow the next millisecond
		}
	}
	return encodeULID(u.time, u.high, u.low)
}

func randomBits() (high uint16, low uint64) {
	var b [10]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return binary.BigEndian.Uint16(b[:2]), binary.BigEndian.Uint64(b[2:])
}

const crockford = "0123456789abcdefghjkmnpqrstvwxyz"

func encodeULID(ms uint64, high uint16, low uint64) string {
	var text [26]byte
	for i := 9; i >= 0; i-- { // 48 bits of time in 10 characters
		text[i] = crockford[ms&31]
		ms >>= 5
	}
	for i := 25; i >= 10; i-- { // 80 random bits in 16
		text[i] = crockford[low&31]
		low = low>>5 | uint64(high&31)<<59
		high >>= 5
	}
	return string(text[:])
}
