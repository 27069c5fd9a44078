package dnswire

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"hash"
)

// Algorithms of TSIG keys.
const (
	HMACSHA256 = "hmac-sha256"
	HMACSHA384 = "hmac-sha384"
	HMACSHA512 = "hmac-sha512"
)

// Hash is the hash of an algorithm; nil when it is none of those above.
func Hash(algorithm string) func() hash.Hash {
	switch algorithm {
	case HMACSHA256:
		return sha256.New
	case HMACSHA384:
		return sha512.New384
	case HMACSHA512:
		return sha512.New
	}
	return nil
}

// Fudge is how many seconds the clocks of both sides may be apart (RFC 8945
// section 10 recommends it).
const Fudge = 300

const (
	typeTSIG = 250
	classANY = 255
)

// TSIG is a TSIG record (RFC 8945 section 4.2).
type TSIG struct {
	Name, Algorithm []byte // wire form, lower case
	Time            uint64 // Unix
	Fudge           uint16
	MAC             []byte
	ID, Error       uint16 // the message's own ID; the TSIG error
	Other           []byte // with BADTIME the server's clock
}

// TSIGSize is how many bytes a record takes, one that tells BADTIME too.
func TSIGSize(name, algorithm []byte, mac int) int {
	return len(name) + 10 + len(algorithm) + 16 + mac + 6
}

// FindTSIG returns where the TSIG record of a message begins, which is the last
// one: 0 when it has none. ok is false for what is no message.
func FindTSIG(b []byte) (off int, ok bool) {
	if len(b) < HeaderSize {
		return 0, false
	}
	count := func(o int) int { return int(binary.BigEndian.Uint16(b[o:])) }
	o := HeaderSize
	for range count(4) {
		if o = SkipName(b, o); o == 0 || o+4 > len(b) {
			return 0, false
		}
		o += 4
	}
	last := uint16(0)
	for range count(6) + count(8) + count(10) {
		off = o
		if o = SkipName(b, o); o == 0 || o+10 > len(b) {
			return 0, false
		}
		last = binary.BigEndian.Uint16(b[o:])
		o += 10 + int(binary.BigEndian.Uint16(b[o+8:]))
		if o > len(b) {
			return 0, false
		}
	}
	if o != len(b) {
		return 0, false
	}
	if count(10) == 0 || last != typeTSIG {
		return 0, true
	}
	return off, true
}

// ReadTSIG reads the record at off of a message and returns the offset behind
// it. Its names are not compressed (RFC 8945 section 4.2); compressed takes the
// answers of old servers too. The record shares no memory with b.
func ReadTSIG(b []byte, off int, compressed bool) (t TSIG, end int, ok bool) {
	read := func(b []byte, o int) ([]byte, int) {
		if !compressed && SkipPlainName(b, o) == 0 {
			return nil, 0
		}
		return readName(b, o)
	}
	name, o := read(b, off)
	if o == 0 || o+10 > len(b) || binary.BigEndian.Uint16(b[o:]) != typeTSIG ||
		binary.BigEndian.Uint16(b[o+2:]) != classANY || binary.BigEndian.Uint32(b[o+4:]) != 0 {
		return t, 0, false
	}
	if end = o + 10 + int(binary.BigEndian.Uint16(b[o+8:])); end > len(b) {
		return t, 0, false
	}
	data := b[:end]
	algorithm, o := read(data, o+10)
	if o == 0 || o+10 > end {
		return t, 0, false
	}
	t.Name, t.Algorithm = name, algorithm
	t.Time = uint64(binary.BigEndian.Uint16(data[o:]))<<32 | uint64(binary.BigEndian.Uint32(data[o+2:]))
	t.Fudge = binary.BigEndian.Uint16(data[o+6:])
	size := int(binary.BigEndian.Uint16(data[o+8:]))
	if o += 10; o+size+6 > end {
		return t, 0, false
	}
	t.MAC = bytes.Clone(data[o : o+size])
	o += size
	t.ID, t.Error = binary.BigEndian.Uint16(data[o:]), binary.BigEndian.Uint16(data[o+2:])
	n := int(binary.BigEndian.Uint16(data[o+4:]))
	if o += 6; o+n != end {
		return t, 0, false
	}
	t.Other = bytes.Clone(data[o:])
	return t, end, true
}

// Unsigned is a copy of a message as it was signed: with the ID it was sent
// with, and without the TSIG record, which begins at off.
func Unsigned(b []byte, off int, id uint16) []byte {
	plain := bytes.Clone(b[:off])
	binary.BigEndian.PutUint16(plain, id)
	binary.BigEndian.PutUint16(plain[10:], binary.BigEndian.Uint16(plain[10:])-1)
	return plain
}

// Sum is the MAC of the record over messages that carry none, behind an earlier
// MAC (nil: none). Those of a stream's first message and of all others differ
// in what else they cover (RFC 8945 sections 4.3.3 and 5.3.1): timersOnly.
func (t *TSIG) Sum(hash func() hash.Hash, secret, earlier []byte, timersOnly bool, messages ...[]byte) []byte {
	h := hmac.New(hash, secret)
	if earlier != nil {
		_, _ = h.Write(binary.BigEndian.AppendUint16(nil, uint16(len(earlier))))
		_, _ = h.Write(earlier)
	}
	for _, m := range messages {
		_, _ = h.Write(m)
	}
	_, _ = h.Write(t.variables(timersOnly))
	return h.Sum(nil)
}

// variables are what a MAC covers beside messages (RFC 8945 section 4.3.3).
func (t *TSIG) variables(timersOnly bool) (b []byte) {
	if !timersOnly {
		b = append(b, t.Name...)
		b = binary.BigEndian.AppendUint16(b, classANY)
		b = binary.BigEndian.AppendUint32(b, 0)
		b = append(b, t.Algorithm...)
	}
	b = t.timers(b)
	if !timersOnly {
		b = binary.BigEndian.AppendUint16(b, t.Error)
		b = binary.BigEndian.AppendUint16(b, uint16(len(t.Other)))
		b = append(b, t.Other...)
	}
	return b
}

func (t *TSIG) timers(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(t.Time>>32))
	b = binary.BigEndian.AppendUint32(b, uint32(t.Time))
	return binary.BigEndian.AppendUint16(b, t.Fudge)
}

// Append appends the record to a message that counts one additional record
// fewer, and counts it.
func (t *TSIG) Append(message []byte) []byte {
	b := append(message, t.Name...)
	b = binary.BigEndian.AppendUint16(b, typeTSIG)
	b = binary.BigEndian.AppendUint16(b, classANY)
	b = binary.BigEndian.AppendUint32(b, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(t.Algorithm)+16+len(t.MAC)+len(t.Other)))
	b = append(b, t.Algorithm...)
	b = t.timers(b)
	b = binary.BigEndian.AppendUint16(b, uint16(len(t.MAC)))
	b = append(b, t.MAC...)
	b = binary.BigEndian.AppendUint16(b, t.ID)
	b = binary.BigEndian.AppendUint16(b, t.Error)
	b = binary.BigEndian.AppendUint16(b, uint16(len(t.Other)))
	b = append(b, t.Other...)
	binary.BigEndian.PutUint16(b[10:], binary.BigEndian.Uint16(b[10:])+1)
	return b
}
