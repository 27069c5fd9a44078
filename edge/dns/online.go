package dns

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/binary"
	"math/big"
	"slices"
	"sync/atomic"

	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// What is signed when it is asked for: answers of zones with compact denial about
// names that they do not have (compact.go). A signature costs as much as seven
// whole answers, so those made are remembered, and new ones are made under a
// budget: beyond it an answer over UDP is cut, so that who shows its address by
// coming back over TCP has a budget that forged addresses cannot use up.

// Signer signs for one zone.
type Signer struct {
	zone string // ID
	keys []onlineKey
}

type onlineKey struct {
	tag       uint16
	algorithm uint8
	private   crypto.Signer
}

// NewSigner makes a signer of a document and its opened keys (PKCS #8), in the
// document's order. The error is fault.Invalid.
func NewSigner(k *edgeconfig.ZoneKeys, opened [][]byte) (*Signer, error) {
	s := &Signer{zone: k.Zone}
	for i, key := range k.Keys {
		private, err := x509.ParsePKCS8PrivateKey(opened[i])
		if err != nil {
			return nil, fault.New(fault.Invalid, "key %d of zone %s: no PKCS #8 key: %w", key.Tag, k.Zone, err)
		}
		fits := false
		switch p := private.(type) {
		case *ecdsa.PrivateKey:
			fits = key.Algorithm == edgeconfig.AlgorithmECDSAP256 && p.Curve == elliptic.P256()
		case ed25519.PrivateKey:
			fits = key.Algorithm == edgeconfig.AlgorithmEd25519
		}
		if !fits {
			return nil, fault.New(fault.Invalid, "key %d of zone %s is not one of algorithm %d", key.Tag, k.Zone, key.Algorithm)
		}
		s.keys = append(s.keys, onlineKey{key.Tag, key.Algorithm, private.(crypto.Signer)})
	}
	return s, nil
}

// PutSigner has a zone signed by s from now on.
func (z *Zones) PutSigner(s *Signer) { z.setSigner(s.zone, s) }

// RemoveSigner ends the signing for a zone.
func (z *Zones) RemoveSigner(id string) { z.setSigner(id, nil) }

func (z *Zones) setSigner(id string, s *Signer) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.signers[id] = s; s == nil {
		delete(z.signers, id)
	}
	if held := z.zones[id]; held != nil && held.zone != nil {
		held.zone.signer.Store(s)
	}
}

// How long signatures made here are good for, in seconds. They begin at the full
// hour before, so that one answers an hour's questions.
const (
	onlineStep     = 3600
	onlineLifetime = 3 * 86400
)

// Budget of signatures, and how many are remembered.
const (
	onlinePerSecond = 2000 // of each door: UDP, TCP
	onlineSlots     = 4096
)

// online is the state of signing of one server, for all its workers.
type online struct {
	made  [onlineSlots]atomic.Pointer[madeSignatures]
	spent [2]atomic.Uint64 // second<<32 | signatures made in it; over UDP, over TCP
	total atomic.Uint64
}

// madeSignatures are the signatures over one set.
type madeSignatures struct {
	signer *Signer
	begins uint32
	set    string // the records in canonical form
	sigs   [][]byte
}

// allowed takes n from the budget.
func (o *online) allowed(n int, second uint32, tcp bool) bool {
	spent := &o.spent[0]
	if tcp {
		spent = &o.spent[1]
	}
	for {
		old := spent.Load()
		next := old + uint64(n)
		if uint32(old>>32) != second {
			next = uint64(second)<<32 | uint64(n)
		}
		if uint32(next) > onlinePerSecond {
			return false
		}
		if spent.CompareAndSwap(old, next) {
			return true
		}
	}
}

// sign returns RRSIG data over a set by every key of a signer; nil when the
// budget is spent. set is its records in canonical form and order (RFC 4034
// section 6), owner their lower-case name.
func (o *online) sign(s *Signer, apex, owner []byte, typ uint16, ttl uint32, set []byte, seed uint64, second uint32, tcp bool) [][]byte {
	begins := second/onlineStep*onlineStep - onlineStep
	slot := &o.made[hashType(hash(seed, set), typ, false)%onlineSlots]
	if m := slot.Load(); m != nil && m.signer == s && m.begins == begins && m.set == string(set) {
		return m.sigs
	}
	if !o.allowed(len(s.keys), second, tcp) {
		return nil
	}
	labels := labelsOf(string(owner))
	if wildcard(string(owner)) {
		labels-- // RFC 4034 section 3.1.3
	}
	m := &madeSignatures{signer: s, begins: begins, set: string(set)}
	for _, k := range s.keys {
		head := binary.BigEndian.AppendUint16(make([]byte, 0, 18+len(apex)+64), typ)
		head = append(head, k.algorithm, byte(labels))
		head = binary.BigEndian.AppendUint32(head, ttl)
		head = binary.BigEndian.AppendUint32(head, begins+onlineLifetime)
		head = binary.BigEndian.AppendUint32(head, begins)
		head = binary.BigEndian.AppendUint16(head, k.tag)
		head = append(head, apex...)
		sig, err := k.sign(slices.Concat(head, set))
		if err != nil {
			return nil
		}
		m.sigs = append(m.sigs, append(head, sig...))
		o.total.Add(1)
	}
	slot.Store(m)
	return m.sigs
}

func (k *onlineKey) sign(message []byte) ([]byte, error) {
	if k.algorithm == edgeconfig.AlgorithmEd25519 {
		return k.private.Sign(nil, message, crypto.Hash(0))
	}
	sum := sha256.Sum256(message)
	der, err := k.private.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &rs); err != nil {
		return nil, err
	}
	out := make([]byte, 64) // RFC 6605 section 4
	rs.R.FillBytes(out[:32])
	rs.S.FillBytes(out[32:])
	return out, nil
}

// canonicalSet appends records of one set in canonical form and order.
func canonicalSet(out, owner []byte, typ uint16, ttl uint32, data [][]byte) []byte {
	slices.SortFunc(data, bytes.Compare)
	for _, d := range data {
		out = append(out, owner...)
		out = binary.BigEndian.AppendUint16(out, typ)
		out = binary.BigEndian.AppendUint16(out, classINET)
		out = binary.BigEndian.AppendUint32(out, ttl)
		out = binary.BigEndian.AppendUint16(out, uint16(len(d)))
		out = append(out, d...)
	}
	return out
}

const classINET = 1
