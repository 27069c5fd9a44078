package fleet

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nkeys"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
	"github.com/edgewright/edgewright/secrets"
)

// secretName is the one secret of the fleet: all its keys, so that they change
// together.
const secretName = "fleet/keys"

// keyset is every key of the fleet.
//
// Signing keys: the first signs, all are trusted, so that a new one can be
// spread (edges learn it from a document that the old one signed) before it
// signs. Group keys: the last seals, the others are kept while certificates
// sealed with them are still about.
type keyset struct {
	Operator []byte `json:"operator"` // NKey seeds
	Account  []byte `json:"account"`
	System   []byte `json:"system"`

	BusCA    []byte `json:"bus_ca"`     // DER
	BusCAKey []byte `json:"bus_ca_key"` // PKCS #8 DER

	Handshake *handshakeKeys `json:"handshake,omitempty"` // nil until a leader has made them

	Signing []signingKey     `json:"signing"`
	Groups  []groupKey       `json:"groups"`
	Revoked map[string]int64 `json:"revoked,omitempty"` // public NKey of an edge -> Unix seconds
	Rotated []string         `json:"rotated,omitempty"` // of these, the edges for whose going the group key was changed
}

type signingKey struct {
	Seed    []byte    `json:"seed"`
	Created time.Time `json:"created"`
}

type groupKey struct {
	Name    string    `json:"name"`
	Key     [32]byte  `json:"key"`
	Created time.Time `json:"created"`
}

// loadKeys reads the fleet's keys, or makes and keeps them.
func loadKeys(ctx context.Context, vault resource.Vault, now time.Time) (*keyset, error) {
	stored, err := vault.Secret(ctx, secretName)
	if err == nil {
		var k keyset
		if err := json.Unmarshal(stored, &k); err != nil {
			return nil, fault.New(fault.Internal, "the fleet's keys cannot be read: %w", err)
		}
		if len(k.Signing) == 0 || len(k.Groups) == 0 {
			return nil, fault.New(fault.Internal, "the fleet's keys are incomplete")
		}
		return &k, nil
	}
	if !fault.Is(err, fault.NotFound) {
		return nil, err
	}
	k, err := newKeys(now)
	if err != nil {
		return nil, err
	}
	return k, k.save(ctx, vault)
}

func newKeys(now time.Time) (*keyset, error) {
	k := &keyset{}
	for _, key := range []struct {
		seed *[]byte
		make func() (nkeys.KeyPair, error)
	}{{&k.Operator, nkeys.CreateOperator}, {&k.Account, nkeys.CreateAccount}, {&k.System, nkeys.CreateAccount}} {
		pair, err := key.make()
		if err != nil {
			return nil, err
		}
		if *key.seed, err = pair.Seed(); err != nil {
			return nil, err
		}
	}
	var err error
	if k.BusCA, k.BusCAKey, err = newBusCA(now); err != nil {
		return nil, err
	}
	k.addSigningKey(now)
	k.addGroup(now)
	return k, nil
}

func (k *keyset) save(ctx context.Context, vault resource.Vault) error {
	encoded, err := json.Marshal(k)
	if err != nil {
		return err
	}
	return vault.PutSecret(ctx, secretName, encoded)
}

// clone copies what a rotation changes, so that a failed save changes nothing.
func (k *keyset) clone() *keyset {
	c := *k
	c.Signing = append([]signingKey(nil), k.Signing...)
	c.Groups = append([]groupKey(nil), k.Groups...)
	c.Rotated = append([]string(nil), k.Rotated...)
	if k.Handshake != nil {
		shared := *k.Handshake
		shared.ECH = append([]echKey(nil), shared.ECH...)
		c.Handshake = &shared
	}
	c.Revoked = make(map[string]int64, len(k.Revoked)+1)
	for key, at := range k.Revoked {
		c.Revoked[key] = at
	}
	return &c
}

// addSigningKey appends a trusted key; promoteSigningKey makes it sign.
func (k *keyset) addSigningKey(now time.Time) {
	var seed [ed25519.SeedSize]byte
	rand.Read(seed[:])
	k.Signing = append(k.Signing, signingKey{Seed: seed[:], Created: now.UTC()})
}

// addGroup makes a new group key the sealing one.
func (k *keyset) addGroup(now time.Time) {
	number := 1
	if n := len(k.Groups); n > 0 {
		if _, err := fmt.Sscanf(k.Groups[n-1].Name, "g%d", &number); err == nil {
			number++
		}
	}
	k.Groups = append(k.Groups, groupKey{Name: fmt.Sprintf("g%d", number), Key: secrets.NewGroupKey(), Created: now.UTC()})
}

func (k *keyset) group() groupKey { return k.Groups[len(k.Groups)-1] }

func (k *keyset) signer() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(k.Signing[0].Seed) }

// trusted lists the public keys that edges shall accept, the signing one first.
func (k *keyset) trusted() [][]byte {
	keys := make([][]byte, len(k.Signing))
	for i, s := range k.Signing {
		keys[i] = ed25519.NewKeyFromSeed(s.Seed).Public().(ed25519.PublicKey)
	}
	return keys
}

func (k *keyset) groupNames() []string {
	names := make([]string, len(k.Groups))
	for i, g := range k.Groups {
		names[i] = g.Name
	}
	return names
}
