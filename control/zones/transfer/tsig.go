package transfer

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"hash"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/edgeconfig"
)

// Key is a TSIG key (RFC 8945).
type Key struct {
	Name      string // lower-case, without trailing dot
	Algorithm string // edgeconfig.HMACSHA256, ...
	Secret    []byte
}

func (k *Key) hash() func() hash.Hash {
	switch k.Algorithm {
	case edgeconfig.HMACSHA384:
		return sha512.New384
	case edgeconfig.HMACSHA512:
		return sha512.New
	}
	return sha256.New
}

// maxUnsigned is how many messages of a stream may come without a signature of
// their own before one that covers them (RFC 8945 section 5.3.1).
const maxUnsigned = 99

const fudge = 300

// signing signs one query and verifies what comes in answer. miekg/dns verifies
// message by message, and lets those pass that carry no signature; a stream is
// only as good as a last signature that covers all of it.
type signing struct {
	key      *Key
	earlier  []byte // the MAC before: the query's, then each signature's
	later    bool   // the first message was verified
	pending  []byte // messages that no signature has covered yet
	unsigned int
}

// sign appends the TSIG record to a query, which has none.
func (s *signing) sign(message []byte, now time.Time) ([]byte, error) {
	name, err := edgeconfig.PackName(s.key.Name)
	if err != nil {
		return nil, err
	}
	algorithm, err := edgeconfig.PackName(s.key.Algorithm)
	if err != nil {
		return nil, err
	}
	t := tsig{name: name, algorithm: algorithm, time: uint64(now.Unix()), fudge: fudge, id: binary.BigEndian.Uint16(message)}
	t.mac = s.sum(nil, message, &t, false)
	s.earlier = t.mac
	return t.append(message), nil
}

// verify takes one message of the answer in. done tells that it is the last.
func (s *signing) verify(message []byte, now time.Time) *Error {
	t, at, err := splitTSIG(message)
	if err != nil {
		return err
	}
	if t == nil {
		if !s.later {
			return failed(BadSig, "give the primary the same key, and have it answer signed queries signed", "the primary's answer is not signed, although the query was signed with %s", s.key.Name)
		}
		if s.unsigned++; s.unsigned > maxUnsigned {
			return failed(BadSig, "look at the primary's software: at most 99 messages go without a signature (RFC 8945)", "more than %d messages in a row are not signed", maxUnsigned)
		}
		s.pending = append(s.pending, message...)
		return nil
	}
	switch t.code {
	case dns.RcodeBadKey:
		return failed(BadKey, "give the primary the key "+s.key.Name+" with the algorithm "+s.key.Algorithm+", and allow transfers with it", "the primary does not know the key %s", s.key.Name)
	case dns.RcodeBadSig:
		return failed(BadSig, "set the same secret for "+s.key.Name+" on both sides", "the primary has another secret for the key %s", s.key.Name)
	}
	plain := append([]byte{}, message[:at]...)
	binary.BigEndian.PutUint16(plain, t.id)
	binary.BigEndian.PutUint16(plain[10:], binary.BigEndian.Uint16(plain[10:])-1)
	name, _ := edgeconfig.PackName(s.key.Name)
	algorithm, _ := edgeconfig.PackName(s.key.Algorithm)
	if string(t.name) != string(name) || string(t.algorithm) != string(algorithm) {
		return failed(BadSig, "have the primary sign with the key that the query was signed with", "the primary signs with another key than %s", s.key.Name)
	}
	if !hmac.Equal(s.sum(s.pending, plain, t, s.later), t.mac) {
		return failed(BadSig, "set the same secret for "+s.key.Name+" on both sides", "the signature of the primary's answer does not hold")
	}
	if t.code == dns.RcodeBadTime {
		return failed(BadTime, "set the clocks of both machines by NTP", "the primary's clock is %s", theirs(t, now))
	}
	if d := now.Unix() - int64(t.time); d > int64(t.fudge) || -d > int64(t.fudge) {
		return failed(BadTime, "set the clocks of both machines by NTP", "the primary's clock is off: it signed at %s", time.Unix(int64(t.time), 0).UTC().Format(time.RFC3339))
	}
	s.earlier, s.later, s.pending, s.unsigned = t.mac, true, nil, 0
	return nil
}

func theirs(t *tsig, now time.Time) string {
	if len(t.other) != 6 {
		return "another"
	}
	at := int64(binary.BigEndian.Uint16(t.other))<<32 | int64(binary.BigEndian.Uint32(t.other[2:]))
	return (time.Duration(at-now.Unix()) * time.Second).String() + " off ours"
}

// whole reports whether a signature covers everything that came.
func (s *signing) whole() bool { return s.later && len(s.pending) == 0 }

func (s *signing) sum(pending, message []byte, t *tsig, timersOnly bool) []byte {
	h := hmac.New(s.key.hash(), s.key.Secret)
	if s.earlier != nil {
		_, _ = h.Write(binary.BigEndian.AppendUint16(nil, uint16(len(s.earlier))))
		_, _ = h.Write(s.earlier)
	}
	_, _ = h.Write(pending)
	_, _ = h.Write(message)
	_, _ = h.Write(t.variables(timersOnly))
	return h.Sum(nil)
}

// tsig is a TSIG record.
type tsig struct {
	name, algorithm []byte // wire form, lower case
	time            uint64
	fudge           uint16
	mac             []byte
	id, code        uint16
	other           []byte
}

// variables are what a MAC covers beside messages (RFC 8945 section 4.3.3).
func (t *tsig) variables(timersOnly bool) (b []byte) {
	if !timersOnly {
		b = append(b, t.name...)
		b = binary.BigEndian.AppendUint16(b, dns.ClassANY)
		b = binary.BigEndian.AppendUint32(b, 0)
		b = append(b, t.algorithm...)
	}
	b = binary.BigEndian.AppendUint16(b, uint16(t.time>>32))
	b = binary.BigEndian.AppendUint32(b, uint32(t.time))
	b = binary.BigEndian.AppendUint16(b, t.fudge)
	if !timersOnly {
		b = binary.BigEndian.AppendUint16(b, t.code)
		b = binary.BigEndian.AppendUint16(b, uint16(len(t.other)))
		b = append(b, t.other...)
	}
	return b
}

func (t *tsig) append(message []byte) []byte {
	b := append(message, t.name...)
	b = binary.BigEndian.AppendUint16(b, dns.TypeTSIG)
	b = binary.BigEndian.AppendUint16(b, dns.ClassANY)
	b = binary.BigEndian.AppendUint32(b, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(t.algorithm)+16+len(t.mac)+len(t.other)))
	b = append(b, t.algorithm...)
	b = binary.BigEndian.AppendUint16(b, uint16(t.time>>32))
	b = binary.BigEndian.AppendUint32(b, uint32(t.time))
	b = binary.BigEndian.AppendUint16(b, t.fudge)
	b = binary.BigEndian.AppendUint16(b, uint16(len(t.mac)))
	b = append(b, t.mac...)
	b = binary.BigEndian.AppendUint16(b, t.id)
	b = binary.BigEndian.AppendUint16(b, t.code)
	b = binary.BigEndian.AppendUint16(b, uint16(len(t.other)))
	b = append(b, t.other...)
	binary.BigEndian.PutUint16(b[10:], binary.BigEndian.Uint16(b[10:])+1)
	return b
}

// splitTSIG finds the TSIG record, which is the last of a message, and where it
// begins; nil when there is none.
func splitTSIG(b []byte) (t *tsig, at int, e *Error) {
	malformed := failed(Malformed, "look at the primary's log", "the primary sent a message that is no DNS message")
	if len(b) < 12 {
		return nil, 0, malformed
	}
	count := func(o int) int { return int(binary.BigEndian.Uint16(b[o:])) }
	o := 12
	for range count(4) {
		if o = skipName(b, o); o == 0 || o+4 > len(b) {
			return nil, 0, malformed
		}
		o += 4
	}
	records := count(6) + count(8) + count(10)
	begin := o
	for range records {
		begin = o
		if o = skipName(b, o); o == 0 || o+10 > len(b) {
			return nil, 0, malformed
		}
		o += 10 + int(binary.BigEndian.Uint16(b[o+8:]))
		if o > len(b) {
			return nil, 0, malformed
		}
	}
	if o != len(b) {
		return nil, 0, malformed
	}
	if count(10) == 0 || binary.BigEndian.Uint16(b[skipName(b, begin):]) != dns.TypeTSIG {
		return nil, 0, nil
	}
	t = readTSIG(b, begin)
	if t == nil {
		return nil, 0, malformed
	}
	return t, begin, nil
}

// readTSIG reads the record at off, whose names are not compressed (RFC 8945
// section 4.2) but in the answers of old servers.
func readTSIG(b []byte, off int) *tsig {
	t := &tsig{}
	name, o, err := dns.UnpackDomainName(b, off)
	if err != nil || o+10 > len(b) {
		return nil
	}
	algorithm, o, err := dns.UnpackDomainName(b, o+10)
	if err != nil || o+10 > len(b) {
		return nil
	}
	if t.name, err = edgeconfig.PackName(strings.ToLower(name)); err != nil {
		return nil
	}
	if t.algorithm, err = edgeconfig.PackName(strings.ToLower(algorithm)); err != nil {
		return nil
	}
	t.time = uint64(binary.BigEndian.Uint16(b[o:]))<<32 | uint64(binary.BigEndian.Uint32(b[o+2:]))
	t.fudge = binary.BigEndian.Uint16(b[o+6:])
	size := int(binary.BigEndian.Uint16(b[o+8:]))
	o += 10
	if o+size+6 > len(b) {
		return nil
	}
	t.mac = append([]byte{}, b[o:o+size]...)
	o += size
	t.id, t.code = binary.BigEndian.Uint16(b[o:]), binary.BigEndian.Uint16(b[o+2:])
	n := int(binary.BigEndian.Uint16(b[o+4:]))
	if o += 6; o+n != len(b) {
		return nil
	}
	t.other = append([]byte{}, b[o:]...)
	return t
}

// skipName returns the offset behind a name, which may end in a pointer; 0 when
// it is malformed.
func skipName(b []byte, o int) int {
	for begin := o; o < len(b) && o-begin < 256; {
		switch l := int(b[o]); {
		case l == 0:
			return o + 1
		case l >= 0xc0:
			if o+2 > len(b) {
				return 0
			}
			return o + 2
		case l > 63:
			return 0
		default:
			o += l + 1
		}
	}
	return 0
}
