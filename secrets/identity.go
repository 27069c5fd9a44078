package secrets

import (
	"crypto/ecdh"
	"crypto/hpke"

	"github.com/edgewright/edgewright/fault"
)

const (
	identityVersion = 1
	sealVersion     = 1
	sealLabel       = "edgewright seal v1\x00"
)

// The HPKE suite (RFC 9180): DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM.
func suite() (hpke.KEM, hpke.KDF, hpke.AEAD) {
	return hpke.DHKEM(ecdh.X25519()), hpke.HKDFSHA256(), hpke.AES256GCM()
}

// Identity is a private key that others can seal to. Each edge makes its own;
// it never leaves the edge.
type Identity struct {
	private hpke.PrivateKey
	raw     []byte
}

// GenerateIdentity returns a new identity.
func GenerateIdentity() (*Identity, error) {
	kem, _, _ := suite()
	private, err := kem.GenerateKey()
	if err != nil {
		return nil, fault.New(fault.Internal, "an identity cannot be generated: %w", err)
	}
	return newIdentity(private)
}

// ParseIdentity reads what Marshal wrote.
func ParseIdentity(marshalled []byte) (*Identity, error) {
	if len(marshalled) == 0 || marshalled[0] != identityVersion {
		return nil, fault.New(fault.Invalid, "this is not an Edgewright identity: join the edge again with a new token")
	}
	kem, _, _ := suite()
	private, err := kem.NewPrivateKey(marshalled[1:])
	if err != nil {
		return nil, fault.New(fault.Invalid, "the identity is damaged: join the edge again with a new token: %w", err)
	}
	return newIdentity(private)
}

func newIdentity(private hpke.PrivateKey) (*Identity, error) {
	raw, err := private.Bytes()
	if err != nil {
		return nil, fault.New(fault.Internal, "an identity cannot be stored: %w", err)
	}
	return &Identity{private: private, raw: raw}, nil
}

// Public returns the public half, for SealTo.
func (i *Identity) Public() []byte { return i.private.PublicKey().Bytes() }

// Marshal returns the private half for a file that only its owner can read.
func (i *Identity) Marshal() []byte { return append([]byte{identityVersion}, i.raw...) }

// SealTo encrypts plaintext so that only the identity with this public key can
// open it. It says nothing about who sealed: sign what carries the box.
func SealTo(public []byte, context string, plaintext []byte) ([]byte, error) {
	kem, kdf, aead := suite()
	key, err := kem.NewPublicKey(public)
	if err != nil {
		return nil, fault.New(fault.Invalid, "the public key to seal to is not valid: %w", err)
	}
	box, err := hpke.Seal(key, kdf, aead, []byte(sealLabel+context), plaintext)
	if err != nil {
		return nil, fault.New(fault.Invalid, "the public key to seal to is not valid: %w", err)
	}
	return append([]byte{sealVersion}, box...), nil
}

// Open decrypts what SealTo made for this identity with the same context. It
// answers Invalid when anything differs.
func (i *Identity) Open(context string, box []byte) ([]byte, error) {
	if len(box) == 0 || box[0] != sealVersion {
		return nil, damaged()
	}
	_, kdf, aead := suite()
	plaintext, err := hpke.Open(i.private, kdf, aead, []byte(sealLabel+context), box[1:])
	if err != nil {
		return nil, damaged()
	}
	return plaintext, nil
}
