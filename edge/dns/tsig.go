package dns

import (
	"bytes"
	"crypto/hmac"
	"encoding/binary"
	hashes "hash"
	"maps"
	"slices"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/dnswire"
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
	if out.hash = dnswire.Hash(k.Algorithm); out.hash == nil {
		return nil, fault.New(fault.Invalid, "%q is no algorithm of TSIG keys", k.Algorithm)
	}
	out.algorithm, err = edgeconfig.PackName(k.Algorithm)
	return out, err
}

// size is how many bytes a TSIG record of the key takes, a BADTIME's too.
func (k *Key) size() int { return dnswire.TSIGSize(k.name, k.algorithm, k.hash().Size()) }

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

// sum is the MAC over a message without its TSIG record, behind an earlier MAC.
func (k *Key) sum(t *dnswire.TSIG, earlier, message []byte, timersOnly bool) []byte {
	return t.Sum(k.hash, k.secret, earlier, timersOnly, message)
}

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
	t := dnswire.TSIG{Name: s.key.name, Algorithm: s.key.algorithm, Time: s.second, Fudge: dnswire.Fudge, ID: s.id, Error: s.code, Other: s.other}
	// The MAC covers the ID the client began with, which a forwarder may have changed.
	asked := binary.BigEndian.Uint16(message)
	binary.BigEndian.PutUint16(message, s.id)
	t.MAC = s.key.sum(&t, s.earlier, message, s.later)
	binary.BigEndian.PutUint16(message, asked)
	s.earlier, s.later = t.MAC, true
	return t.Append(message)
}

// checkTSIG finds the key that a query is signed with. code is the TSIG error
// otherwise (RFC 8945 section 5.2), dns.RcodeSuccess when there is none.
func (z *Zones) checkTSIG(message []byte, off int, t *dnswire.TSIG, now uint64) (s *signature, code uint16) {
	keys := z.keys.Load()
	if keys == nil {
		return nil, dns.RcodeBadKey
	}
	plain := dnswire.Unsigned(message, off, t.ID)
	code = dns.RcodeBadKey
	for _, k := range keys.named[string(t.Name)] {
		if !bytes.Equal(k.name, t.Name) || !bytes.Equal(k.algorithm, t.Algorithm) {
			continue
		}
		// Truncated MACs are not taken: no secondary sends them.
		if !hmac.Equal(k.sum(t, nil, plain, false), t.MAC) {
			code = dns.RcodeBadSig
			continue
		}
		if s != nil {
			s.same = append(s.same, k.id)
			continue
		}
		s = &signature{key: k, same: []string{k.id}, earlier: t.MAC, id: t.ID, second: now}
	}
	if s != nil {
		if d := int64(now - t.Time); d > int64(t.Fudge) || -d > int64(t.Fudge) {
			s.code, s.second = dns.RcodeBadTime, t.Time
			s.other = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(nil, uint16(now>>32)), uint32(now))
			return s, dns.RcodeBadTime
		}
		return s, dns.RcodeSuccess
	}
	return nil, code
}
