// Package secrets keeps what must not be read by others: at rest under a
// master key, in configuration under a group key, in transit under the
// receiver's own key.
//
// Types:
//
//   - Keyring holds master keys. Seal makes an envelope: a random data key per
//     secret encrypts the secret, the master key encrypts the data key. Rotating
//     the master key therefore rewraps 32 bytes per secret (Rewrap) and leaves
//     the secrets themselves alone.
//   - A group key ([32]byte) is held by every edge of a group. SealFor is
//     deterministic, so that a document compiled twice has one hash.
//   - Identity is one edge's private key. SealTo seals to its public half (HPKE,
//     RFC 9180), which is how an edge gets its group keys.
//
// Every function takes a context: the name of what is sealed. It is
// authenticated, not stored, so that a box moved to another name does not open.
//
// All boxes begin with a version byte. Rotation of the master key goes
//
//	AddKey (new key first, old ones kept) -> Rewrap every box -> DropOldKeys
//
// and control/store's RotateMasterKey does that while everything runs.
package secrets
