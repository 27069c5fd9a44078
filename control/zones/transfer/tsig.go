package transfer

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"time"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/dnswire"
	"github.com/edgewright/edgewright/edgeconfig"
)

// Key is a TSIG key (RFC 8945).
type Key struct {
	Name      string // lower-case, without trailing dot
	Algorithm string // edgeconfig.HMACSHA256, ...
	Secret    []byte
}

func (k *Key) hash() func() hash.Hash {
	if h := dnswire.Hash(k.Algorithm); h != nil {
		return h
	}
	return sha256.New
}

// maxUnsigned is how many messages of a stream may come without a signature of
// their own before one that covers them (RFC 8945 section 5.3.1).
const maxUnsigned = 99

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
	t := dnswire.TSIG{Name: name, Algorithm: algorithm, Time: uint64(now.Unix()), Fudge: dnswire.Fudge, ID: binary.BigEndian.Uint16(message)}
	t.MAC = s.sum(nil, message, &t, false)
	s.earlier = t.MAC
	return t.Append(message), nil
}

// verify takes one message of the answer in. done tells that it is the last.
func (s *signing) verify(message []byte, now time.Time) *Error {
	t, at, err := readTSIG(message)
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
	switch t.Error {
	case dns.RcodeBadKey:
		return failed(BadKey, "give the primary the key "+s.key.Name+" with the algorithm "+s.key.Algorithm+", and allow transfers with it", "the primary does not know the key %s", s.key.Name)
	case dns.RcodeBadSig:
		return failed(BadSig, "set the same secret for "+s.key.Name+" on both sides", "the primary has another secret for the key %s", s.key.Name)
	}
	plain := dnswire.Unsigned(message, at, t.ID)
	name, _ := edgeconfig.PackName(s.key.Name)
	algorithm, _ := edgeconfig.PackName(s.key.Algorithm)
	if string(t.Name) != string(name) || string(t.Algorithm) != string(algorithm) {
		return failed(BadSig, "have the primary sign with the key that the query was signed with", "the primary signs with another key than %s", s.key.Name)
	}
	if !hmac.Equal(s.sum(s.pending, plain, t, s.later), t.MAC) {
		return failed(BadSig, "set the same secret for "+s.key.Name+" on both sides", "the signature of the primary's answer does not hold")
	}
	if t.Error == dns.RcodeBadTime {
		return failed(BadTime, "set the clocks of both machines by NTP", "the primary's clock is %s", theirs(t, now))
	}
	if d := now.Unix() - int64(t.Time); d > int64(t.Fudge) || -d > int64(t.Fudge) {
		return failed(BadTime, "set the clocks of both machines by NTP", "the primary's clock is off: it signed at %s", time.Unix(int64(t.Time), 0).UTC().Format(time.RFC3339))
	}
	s.earlier, s.later, s.pending, s.unsigned = t.MAC, true, nil, 0
	return nil
}

func theirs(t *dnswire.TSIG, now time.Time) string {
	if len(t.Other) != 6 {
		return "another"
	}
	at := int64(binary.BigEndian.Uint16(t.Other))<<32 | int64(binary.BigEndian.Uint32(t.Other[2:]))
	return (time.Duration(at-now.Unix()) * time.Second).String() + " off ours"
}

// whole reports whether a signature covers everything that came.
func (s *signing) whole() bool { return s.later && len(s.pending) == 0 }

func (s *signing) sum(pending, message []byte, t *dnswire.TSIG, timersOnly bool) []byte {
	return t.Sum(s.key.hash(), s.key.Secret, s.earlier, timersOnly, pending, message)
}

// readTSIG returns the TSIG record of a message and where it begins; nil when
// there is none.
func readTSIG(b []byte) (t *dnswire.TSIG, at int, e *Error) {
	at, ok := dnswire.FindTSIG(b)
	if ok && at == 0 {
		return nil, 0, nil
	}
	if ok {
		var r dnswire.TSIG
		if r, _, ok = dnswire.ReadTSIG(b, at, true); ok {
			return &r, at, nil
		}
	}
	return nil, 0, failed(Malformed, "look at the primary's log", "the primary sent a message that is no DNS message")
}
