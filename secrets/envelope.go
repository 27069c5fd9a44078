package secrets

import (
	"encoding/hex"

	"github.com/edgewright/edgewright/fault"
)

// The layout of an envelope:
//
//	version   1 byte, envelopeVersion
//	key ID    8 bytes, which master key wraps the data key
//	wrapped  60 bytes, nonce, data key and tag under the master key; AAD: what precedes
//	body      nonce, ciphertext and tag under the data key; AAD: the context
const (
	envelopeVersion = 1
	headerBytes     = 1 + keyIDBytes
	gcmOverhead     = 12 + 16 // nonce and tag
	wrappedBytes    = KeyBytes + gcmOverhead
	bodyOffset      = headerBytes + wrappedBytes
)

const (
	wrapLabel = "edgewright wrapped data key v1\x00"
	bodyLabel = "edgewright secret v1\x00"
)

// Seal encrypts plaintext under a new data key, and that under the current
// master key. The box opens with the same context only.
func (k *Keyring) Seal(context string, plaintext []byte) ([]byte, error) {
	k.mu.Lock()
	master, err := k.current()
	k.mu.Unlock()
	if err != nil {
		return nil, err
	}
	dataKey := randomKey()
	box := make([]byte, 0, bodyOffset+len(plaintext)+gcmOverhead)
	box = wrap(box, master, dataKey)
	return newGCM(dataKey).Seal(box, nil, plaintext, []byte(bodyLabel+context)), nil
}

// Open decrypts a box made by Seal with the same context. It answers
// Unavailable when the master key is not in the ring, and Invalid when the box
// is damaged or belongs to another context.
func (k *Keyring) Open(context string, box []byte) ([]byte, error) {
	_, dataKey, err := k.unwrap(box)
	if err != nil {
		return nil, err
	}
	plaintext, err := newGCM(dataKey).Open(nil, nil, box[bodyOffset:], []byte(bodyLabel+context))
	if err != nil {
		return nil, damaged()
	}
	return plaintext, nil
}

// Rewrap returns the box with its data key under the current master key, and
// whether that is a change. The secret itself is not decrypted.
func (k *Keyring) Rewrap(box []byte) (rewrapped []byte, changed bool, err error) {
	k.mu.Lock()
	master, err := k.current()
	k.mu.Unlock()
	if err != nil {
		return nil, false, err
	}
	under, dataKey, err := k.unwrap(box)
	if err != nil {
		return nil, false, err
	}
	if under.id == master.id {
		return box, false, nil
	}
	rewrapped = wrap(make([]byte, 0, len(box)), master, dataKey)
	return append(rewrapped, box[bodyOffset:]...), true, nil
}

// KeyID returns the ID of the master key a box is sealed under, "" when it is
// no box.
func KeyID(box []byte) string {
	if len(box) < bodyOffset || box[0] != envelopeVersion {
		return ""
	}
	return hex.EncodeToString(box[1:headerBytes])
}

func wrap(box []byte, master masterKey, dataKey [KeyBytes]byte) []byte {
	start := len(box)
	box = append(box, envelopeVersion)
	box = append(box, master.id[:]...)
	aad := append([]byte(wrapLabel), box[start:]...)
	return master.box.Seal(box, nil, dataKey[:], aad)
}

func (k *Keyring) unwrap(box []byte) (master masterKey, dataKey [KeyBytes]byte, err error) {
	if len(box) < bodyOffset+gcmOverhead || box[0] != envelopeVersion {
		return master, dataKey, damaged()
	}
	k.mu.Lock()
	master, err = k.byID(box[1:headerBytes])
	k.mu.Unlock()
	if err != nil {
		return master, dataKey, err
	}
	aad := append([]byte(wrapLabel), box[:headerBytes]...)
	raw, err := master.box.Open(nil, nil, box[headerBytes:bodyOffset], aad)
	if err != nil {
		return master, dataKey, damaged()
	}
	return master, [KeyBytes]byte(raw), nil
}

func damaged() error {
	return fault.New(fault.Invalid, "a sealed secret does not open: it is damaged, or was made for another name")
}
