package dns

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"time"
)

// cookieJar makes and checks the server cookies of RFC 9018. Edges that share
// an address share secrets, newest first, so that a cookie of one is good at
// the others.
type cookieJar struct{ secrets [][16]byte }

const (
	cookieLife  = time.Hour
	cookieAhead = 5 * time.Minute
)

// server returns the server cookie for a client's cookie and address.
func (j *cookieJar) server(client [8]byte, from netip.Addr, at uint32) (c [16]byte) {
	c[0] = 1
	binary.BigEndian.PutUint32(c[4:], at)
	binary.LittleEndian.PutUint64(c[8:], j.mac(0, client, c[:8], from))
	return c
}

// valid reports whether a server cookie is one of ours that has not expired.
func (j *cookieJar) valid(client [8]byte, server []byte, from netip.Addr, now uint32) bool {
	if len(server) != 16 || server[0] != 1 {
		return false
	}
	age := int32(now - binary.BigEndian.Uint32(server[4:])) // RFC 1982 arithmetic
	if age > int32(cookieLife/time.Second) || age < -int32(cookieAhead/time.Second) {
		return false
	}
	for i := range j.secrets {
		if j.mac(i, client, server[:8], from) == binary.LittleEndian.Uint64(server[8:]) {
			return true
		}
	}
	return false
}

func (j *cookieJar) mac(secret int, client [8]byte, head []byte, from netip.Addr) uint64 {
	var in [32]byte
	copy(in[:], client[:])
	copy(in[8:], head[:8])
	n := 16
	if from.Is4() {
		a := from.As4()
		n += copy(in[n:], a[:])
	} else {
		a := from.As16()
		n += copy(in[n:], a[:])
	}
	return sipHash(&j.secrets[secret], in[:n])
}

// sipHash is SipHash-2-4 (Aumasson and Bernstein).
func sipHash(key *[16]byte, b []byte) uint64 {
	k0, k1 := binary.LittleEndian.Uint64(key[:]), binary.LittleEndian.Uint64(key[8:])
	v0, v1, v2, v3 := k0^0x736f6d6570736575, k1^0x646f72616e646f6d, k0^0x6c7967656e657261, k1^0x7465646279746573
	round := func() {
		v0 += v1
		v1 = bits.RotateLeft64(v1, 13) ^ v0
		v0 = bits.RotateLeft64(v0, 32)
		v2 += v3
		v3 = bits.RotateLeft64(v3, 16) ^ v2
		v0 += v3
		v3 = bits.RotateLeft64(v3, 21) ^ v0
		v2 += v1
		v1 = bits.RotateLeft64(v1, 17) ^ v2
		v2 = bits.RotateLeft64(v2, 32)
	}
	last := uint64(len(b)) << 56
	for ; len(b) >= 8; b = b[8:] {
		m := binary.LittleEndian.Uint64(b)
		v3 ^= m
		round()
		round()
		v0 ^= m
	}
	for i, c := range b {
		last |= uint64(c) << (8 * i)
	}
	v3 ^= last
	round()
	round()
	v0 ^= last
	v2 ^= 0xff
	for range 4 {
		round()
	}
	return v0 ^ v1 ^ v2 ^ v3
}
