package dns

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	hashes "hash"
	"maps"
	"slices"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// Key is an opened TSIG key (RFC 8945).
type Key struct {
	id        string
	name      []byte // wire form, lower case
	algorithm []byte
	hash      func() hashes.Hash
	secret    []byte
}

// NewKey makes a key of a document and its opened secret. The error is
// fault.Invalid.
func NewKey(k *edgeconfig.TSIGKey, secret []byte) (*Key, error) {
	name, err := edgeconfig.PackName(k.Name)
	if err != nil {
		return nil, fault.New(fault.Invalid, "the key's name: %w", err)
	}
	if err := edgeconfig.CheckTSIGSecret(secret); err != nil {
		return nil, err
	}
	out := &Key{id: k.ID, name: name, secret: secret}
	switch k.Algorithm {
	case edgeconfig.HMACSHA256:
		out.hash = sha256.New
	case edgeconfig.HMACSHA384:
		out.hash = sha512.New384
	case edgeconfig.HMACSHA512:
		out.hash = sha512.New
	default:
		return nil, fault.New(fault.Invalid, "%q is no algorithm of TSIG keys", k.Algorithm)
	}
	out.algorithm, err = edgeconfig.PackName(k.Algorithm)
	return out, err
}

// size is how many bytes a TSIG record of the key takes, a BADTIME's too.
func (k *Key) size() int { return len(k.name) + 10 + len(k.algorithm) + 16 + k.hash().Size() + 6 }

// PutKey puts a TSIG key in force, in place of the one with its ID.
func (z *Zones) PutKey(k *Key) {
	z.editKeys(func(keys map[string]*Key) { keys[k.id] = k })
}

// RemoveKey ends a key.
func (z *Zones) RemoveKey(id string) {
	z.editKeys(func(keys map[string]*Key) { delete(keys, id) })
}

// keySet is the keys in force. Projects know nothing of one another's, so that
// some may share a name; they are told apart by which signature holds.
type keySet struct {
	by    map[string]*Key   // by ID
	named map[string][]*Key // by name in wire form
}

// editKeys swaps the keys.
func (z *Zones) editKeys(edit func(map[string]*Key)) {
	z.mu.Lock()
	defer z.mu.Unlock()
	next := &keySet{by: map[string]*Key{}, named: map[string][]*Key{}}
	if old := z.keys.Load(); old != nil {
		next.by = maps.Clone(old.by)
	}
	edit(next.by)
	for _, k := range next.by {
		next.named[string(k.name)] = append(next.named[string(k.name)], k)
	}
	z.keys.Store(next)
}

func (z *Zones) key(id string) *Key {
	if keys := z.keys.Load(); keys != nil {
		return keys.by[id]
	}
	return nil
}

// tsig is a TSIG record as it came.
type tsig struct {
	name, algorithm []byte // lower case
	time            uint64
	fudge           uint16
	mac             []byte
	id, code        uint16
	other           []byte
	end             int // behind it
}

// readTSIG reads the record at off, whose names are not compressed (RFC 8945
// section 4.2).
func readTSIG(b []byte, off int) (t tsig, ok bool) {
	nameEnd := plainName(b, off)
	if nameEnd == 0 || nameEnd+10 > len(b) {
		return t, false
	}
	t.end = nameEnd + 10 + int(binary.BigEndian.Uint16(b[nameEnd+8:]))
	if t.end > len(b) || binary.BigEndian.Uint16(b[nameEnd+2:]) != dns.ClassANY || binary.BigEndian.Uint32(b[nameEnd+4:]) != 0 {
		return t, false
	}
	data := b[:t.end]
	o := plainName(data, nameEnd+10)
	if o == 0 || o+10 > len(data) {
		return t, false
	}
	t.name, t.algorithm = lowerBytes(b[off:nameEnd]), lowerBytes(b[nameEnd+10:o])
	t.time = uint64(binary.BigEndian.Uint16(data[o:]))<<32 | uint64(binary.BigEndian.Uint32(data[o+2:]))
	t.fudge = binary.BigEndian.Uint16(data[o+6:])
	size := int(binary.BigEndian.Uint16(data[o+8:]))
	o += 10
	if o+size+6 > len(data) {
		return t, false
	}
	t.mac = bytes.Clone(data[o : o+size])
	o += size
	t.id, t.code = binary.BigEndian.Uint16(data[o:]), binary.BigEndian.Uint16(data[o+2:])
	n := int(binary.BigEndian.Uint16(data[o+4:]))
	o += 6
	if o+n != len(data) {
		return t, false
	}
	t.other = bytes.Clone(data[o:])
	return t, true
}

func lowerBytes(b []byte) []byte { return []byte(lowerString(b)) }

// variables appends what a MAC covers beside messages (RFC 8945 section 4.3.3).
func (t *tsig) variables(b []byte, timersOnly bool) []byte {
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

// sum is the MAC over a message without its TSIG record, behind an earlier MAC.
func (k *Key) sum(t *tsig, earlier, message []byte, timersOnly bool) []byte {
	h := hmac.New(k.hash, k.secret)
	if earlier != nil {
		_, _ = h.Write(binary.BigEndian.AppendUint16(nil, uint16(len(earlier))))
		_, _ = h.Write(earlier)
	}
	_, _ = h.Write(message)
	_, _ = h.Write(t.variables(nil, timersOnly))
	return h.Sum(nil)
}

// append appends the record to a message that counts one additional record
// fewer, and counts it.
func (t *tsig) append(message []byte) []byte {
	message = append(message, t.name...)
	message = binary.BigEndian.AppendUint16(message, dns.TypeTSIG)
	message = binary.BigEndian.AppendUint16(message, dns.ClassANY)
	message = binary.BigEndian.AppendUint32(message, 0)
	message = binary.BigEndian.AppendUint16(message, uint16(len(t.algorithm)+16+len(t.mac)+len(t.other)))
	message = append(message, t.algorithm...)
	message = binary.BigEndian.AppendUint16(message, uint16(t.time>>32))
	message = binary.BigEndian.AppendUint32(message, uint32(t.time))
	message = binary.BigEndian.AppendUint16(message, t.fudge)
	message = binary.BigEndian.AppendUint16(message, uint16(len(t.mac)))
	message = append(message, t.mac...)
	message = binary.BigEndian.AppendUint16(message, t.id)
	message = binary.BigEndian.AppendUint16(message, t.code)
	message = binary.BigEndian.AppendUint16(message, uint16(len(t.other)))
	message = append(message, t.other...)
	binary.BigEndian.PutUint16(message[10:], binary.BigEndian.Uint16(message[10:])+1)
	return message
}

const tsigFudge = 300

// by reports whether a query is signed with one of some keys, named by ID.
func (s *signature) by(ids []string) bool {
	return slices.ContainsFunc(s.same, func(id string) bool { return slices.Contains(ids, id) })
}

// signature is what signing the answers to one signed query takes.
type signature struct {
	key     *Key
	same    []string // IDs of keys with its name and secret: a key may be set in several projects
	earlier []byte   // the MAC before: the query's, then each answer's
	id      uint16
	second  uint64
	later   bool   // the first message of a stream has been signed
	code    uint16 // BADTIME
	other   []byte
}

// sign appends the TSIG record to an answer.
func (s *signature) sign(message []byte) []byte {
	t := tsig{name: s.key.name, algorithm: s.key.algorithm, time: s.second, fudge: tsigFudge, id: s.id, code: s.code, other: s.other}
	// The MAC covers the ID the client began with, which a forwarder may have changed.
	asked := binary.BigEndian.Uint16(message)
	binary.BigEndian.PutUint16(message, s.id)
	t.mac = s.key.sum(&t, s.earlier, message, s.later)
	binary.BigEndian.PutUint16(message, asked)
	s.earlier, s.later = t.mac, true
	return t.append(message)
}

// checkTSIG finds the key that a query is signed with. code is the TSIG error
// otherwise (RFC 8945 section 5.2), dns.RcodeSuccess when there is none.
func (z *Zones) checkTSIG(message []byte, off int, t *tsig, now uint64) (s *signature, code uint16) {
	keys := z.keys.Load()
	if keys == nil {
		return nil, dns.RcodeBadKey
	}
	plain := bytes.Clone(message[:off])
	binary.BigEndian.PutUint16(plain, t.id)
	binary.BigEndian.PutUint16(plain[10:], binary.BigEndian.Uint16(plain[10:])-1)
	code = dns.RcodeBadKey
	for _, k := range keys.named[string(t.name)] {
		if !bytes.Equal(k.name, t.name) || !bytes.Equal(k.algorithm, t.algorithm) {
			continue
		}
		// Truncated MACs are not taken: no secondary sends them.
		if !hmac.Equal(k.sum(t, nil, plain, false), t.mac) {
			code = dns.RcodeBadSig
			continue
		}
		if s != nil {
			s.same = append(s.same, k.id)
			continue
		}
		s = &signature{key: k, same: []string{k.id}, earlier: t.mac, id: t.id, second: now}
	}
	if s != nil {
		if d := int64(now - t.time); d > int64(t.fudge) || -d > int64(t.fudge) {
			s.code, s.second = dns.RcodeBadTime, t.time
			s.other = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(nil, uint16(now>>32)), uint32(now))
			return s, dns.RcodeBadTime
		}
		return s, dns.RcodeSuccess
	}
	return nil, code
}
