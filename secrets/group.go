package secrets

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
)

const (
	groupVersion = 1
	nonceBytes   = 12
	tagBytes     = 16
)

// NewGroupKey returns a random group key.
func NewGroupKey() [KeyBytes]byte { return randomKey() }

// SealFor encrypts plaintext under a group key, deterministically: the same key,
// context and plaintext give the same box, so that a document compiled again has
// the same hash and is not sent again.
//
// The nonce is synthetic: the first 12 bytes of HMAC-SHA-256 over context and
// plaintext, under a key derived from the group key. Two different inputs
// therefore have different nonces but for chance (2^-48 after 2^24 boxes), and
// all that a reader without the key learns from equal boxes is that they hold the
// same. Layout: version, nonce, AES-256-GCM ciphertext and tag; AAD: the context.
func SealFor(groupKey [KeyBytes]byte, context string, plaintext []byte) []byte {
	aead, nonceKey := groupCipher(groupKey)
	mac := hmac.New(sha256.New, nonceKey)
	// The length keeps ("ab", "c") and ("a", "bc") apart.
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(context))))
	mac.Write([]byte(context))
	mac.Write(plaintext)
	nonce := mac.Sum(nil)[:nonceBytes]

	box := make([]byte, 0, 1+nonceBytes+len(plaintext)+tagBytes)
	box = append(box, groupVersion)
	box = append(box, nonce...)
	return aead.Seal(box, nonce, plaintext, []byte(context))
}

// OpenFor decrypts a box made by SealFor with the same key and context. It
// answers Invalid when anything differs.
func OpenFor(groupKey [KeyBytes]byte, context string, box []byte) ([]byte, error) {
	if len(box) < 1+nonceBytes+tagBytes || box[0] != groupVersion {
		return nil, damaged()
	}
	aead, _ := groupCipher(groupKey)
	plaintext, err := aead.Open(nil, box[1:1+nonceBytes], box[1+nonceBytes:], []byte(context))
	if err != nil {
		return nil, damaged()
	}
	return plaintext, nil
}

// groupCipher derives the two keys of SealFor, so that no key serves two
// purposes.
func groupCipher(groupKey [KeyBytes]byte) (aead cipher.AEAD, nonceKey []byte) {
	encryption, err := hkdf.Expand(sha256.New, groupKey[:], "edgewright group encryption v1", KeyBytes)
	if err != nil {
		panic(err) // only for lengths that HKDF cannot make
	}
	nonceKey, err = hkdf.Expand(sha256.New, groupKey[:], "edgewright group nonce v1", KeyBytes)
	if err != nil {
		panic(err)
	}
	block, err := aes.NewCipher(encryption)
	if err != nil {
		panic(err)
	}
	aead, err = cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return aead, nonceKey
}
