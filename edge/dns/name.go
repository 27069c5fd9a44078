package dns

import (
	"encoding/binary"
	"math/bits"
)

// Names are in wire form here: length-prefixed labels and a zero byte.
const (
	maxName   = 255
	maxLabels = 127
)

// name is a lower-cased name and where its labels begin. The slack lets hashing
// read eight bytes at a time.
type name struct {
	wire   [maxName + 9]byte
	labels [maxLabels + 1]uint8
	n      int // bytes of wire, the zero byte included
	count  int // labels, the root not counted
}

func (n *name) bytes() []byte { return n.wire[:n.n] }

// suffix is the name without its first i labels.
func (n *name) suffix(i int) []byte {
	if i >= n.count {
		return n.wire[n.n-1 : n.n]
	}
	return n.wire[n.labels[i]:n.n]
}

// parse reads the uncompressed name at off of b and returns the offset behind
// it, or 0 when there is none.
func (n *name) parse(b []byte, off int) int {
	o, count := off, 0
	for {
		if o >= len(b) {
			return 0
		}
		l := int(b[o])
		if l == 0 {
			break
		}
		if l > 63 || o-off+l+2 > maxName {
			return 0
		}
		n.labels[count] = uint8(o - off)
		count++
		o += l + 1
	}
	o++
	n.n, n.count = o-off, count
	lowerInto(n.wire[:], b[off:o])
	return o
}

// expand reads the name at off of a message of ours, following pointers.
func (n *name) expand(msg []byte, off int) bool {
	o, k, count := off, 0, 0
	for hops := 0; ; {
		l := int(msg[o])
		switch {
		case l == 0:
			n.wire[k] = 0
			n.n, n.count = k+1, count
			lowerInto(n.wire[:], n.wire[:n.n])
			return true
		case l >= 0xc0:
			if hops++; hops > 16 {
				return false
			}
			o = int(binary.BigEndian.Uint16(msg[o:]) & 0x3fff)
		default:
			if k+l+2 > maxName {
				return false
			}
			n.labels[count] = uint8(k)
			count++
			copy(n.wire[k:], msg[o:o+l+1])
			k += l + 1
			o += l + 1
		}
	}
}

// lowerInto writes src in lower case to dst. Length bytes are at most 63 and so
// never letters. Both may be the same array.
func lowerInto(dst, src []byte) {
	i := 0
	for ; i+8 <= len(src); i += 8 {
		binary.LittleEndian.PutUint64(dst[i:], lower8(binary.LittleEndian.Uint64(src[i:])))
	}
	for ; i < len(src); i++ {
		c := src[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst[i] = c
	}
}

// lower8 lower-cases eight ASCII bytes at once.
func lower8(x uint64) uint64 {
	const high = 0x8080808080808080
	y := x &^ high
	fromA := y + 0x3f3f3f3f3f3f3f3f // high bit: at least 'A'
	aboveZ := y + 0x2525252525252525
	return x | (fromA&^aboveZ&high&^x)>>2
}

// hash is of a lower-cased name. The seed is the process's own, so that nobody
// can choose names that collide.
func hash(seed uint64, b []byte) uint64 {
	h := seed ^ uint64(len(b))
	for len(b) >= 8 {
		h = mix(h, binary.LittleEndian.Uint64(b))
		b = b[8:]
	}
	if len(b) > 0 {
		var x uint64
		for i, c := range b {
			x |= uint64(c) << (8 * i)
		}
		h = mix(h, x)
	}
	return h
}

func mix(a, b uint64) uint64 {
	h, l := bits.Mul64(a^0x9E3779B97F4A7C15, b^0xD6E8FEB86659FD93)
	return h ^ l
}

// hashType goes on from the hash of a name to that of an answer.
func hashType(h uint64, typ uint16, do bool) uint64 {
	x := uint64(typ) << 1
	if do {
		x |= 1
	}
	return mix(h, x)
}

// appendSortKey appends a key whose byte order is the canonical order of names
// (RFC 4034 section 6.1): labels from the right, each ended by 0; the bytes 0
// and 1 are escaped so that order is kept.
func appendSortKey(key, wire []byte) []byte {
	var offs [maxLabels + 1]uint8
	k := 0
	for i := 0; wire[i] != 0; i += int(wire[i]) + 1 {
		offs[k] = uint8(i)
		k++
	}
	for k--; k >= 0; k-- {
		o := int(offs[k])
		for _, c := range wire[o+1 : o+1+int(wire[o])] {
			if c <= 1 {
				key = append(key, 1)
				c++
			}
			key = append(key, c)
		}
		key = append(key, 0)
	}
	return key
}

// appendFromSortKey appends the wire form of the name a key was made of.
func appendFromSortKey(wire []byte, key string) []byte {
	end := len(key)
	for end > 0 {
		begin := end - 1
		for begin > 0 && key[begin-1] != 0 {
			begin--
		}
		at := len(wire)
		wire = append(wire, 0)
		for i := begin; i < end-1; i++ {
			c := key[i]
			if c == 1 {
				i++
				c = key[i] - 1
			}
			wire = append(wire, c)
		}
		wire[at] = byte(len(wire) - at - 1)
		end = begin
	}
	return append(wire, 0)
}

// parent is the name without its first label. The root has none.
func parent(wire string) string { return wire[int(wire[0])+1:] }
