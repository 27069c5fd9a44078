// Package edgeconfig is the bridge: the only package that both the control
// plane and the edge import. It defines what crosses between them, down
// (signed, versioned documents; purges) and up (acknowledgements, heartbeats,
// rollups), and the rules by which both sides validate it.
//
// Documents are small and independent: one site, one certificate, one
// challenge, one edge's keys. Each has a key, a revision, a hash and a
// signature, so that one change moves one document and a broken one degrades
// one tenant. Rules that hold for every document:
//
//   - An older revision never replaces a newer one.
//   - Nothing disappears because it is missing somewhere: a document is removed
//     only by a signed tombstone (Deleted) of a higher revision.
//   - An edge that cannot accept a revision keeps the one it has and reports why.
package edgeconfig

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/edgewright/edgewright/fault"
)

// Kinds of documents, the first segment of their keys.
const (
	KindSite        = "site"        // body Site
	KindCertificate = "certificate" // body Certificate
	KindChallenge   = "challenge"   // body Challenge
	KindKeys        = "keys"        // body Keys; scope is one edge
	KindPlatform    = "platform"    // body Platform; exactly one, "platform/settings"
	KindEdge        = "edge"        // body EdgeSettings; scope is one edge; the agent's own
	KindHandshake   = "handshake"   // body Handshake; exactly one, "handshake/fleet"
)

// ScopeAll addresses every edge. Any other scope is an edge's ID.
const ScopeAll = "all"

// MaxDocumentBytes bounds one document, so that it fits a bus message with room
// for its envelope.
const MaxDocumentBytes = 768 << 10

// Document is the signed envelope of one piece of configuration.
type Document struct {
	Key       string          `json:"key"`      // "site/dom_..."
	Scope     string          `json:"scope"`    // who may receive it: ScopeAll or an edge ID
	Revision  int64           `json:"revision"` // grows with every change of this document
	Deleted   bool            `json:"deleted,omitempty"`
	Hash      string          `json:"hash"` // lower-case hex SHA-256 of Body
	Body      json.RawMessage `json:"body,omitempty"`
	Signature []byte          `json:"signature"` // Ed25519 by the control plane over SigningInput
}

// Kind returns the first segment of the key.
func (d *Document) Kind() string {
	kind, _, _ := strings.Cut(d.Key, "/")
	return kind
}

// Name returns what follows the kind in the key.
func (d *Document) Name() string {
	_, name, _ := strings.Cut(d.Key, "/")
	return name
}

// HashBody returns the document hash of a body.
func HashBody(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// SigningInput is what the signature covers: everything but the body, which
// the hash stands for.
func (d *Document) SigningInput() []byte {
	b := make([]byte, 0, 256)
	b = append(b, "edgewright document v1\n"...)
	b = append(b, d.Key...)
	b = append(b, '\n')
	b = append(b, d.Scope...)
	b = append(b, '\n')
	b = strconv.AppendInt(b, d.Revision, 10)
	b = append(b, '\n')
	b = strconv.AppendBool(b, d.Deleted)
	b = append(b, '\n')
	return append(b, d.Hash...)
}

// Sign sets Hash and Signature.
func (d *Document) Sign(key ed25519.PrivateKey) {
	d.Hash = HashBody(d.Body)
	d.Signature = ed25519.Sign(key, d.SigningInput())
}

// Verify checks hash and signature against the control plane's public keys
// (more than one while keys are rotated).
func (d *Document) Verify(keys []ed25519.PublicKey) error {
	if len(d.Body) > MaxDocumentBytes {
		return fault.New(fault.TooLarge, "document %s has %d bytes, the bound is %d", d.Key, len(d.Body), MaxDocumentBytes)
	}
	if HashBody(d.Body) != d.Hash {
		return fault.New(fault.Invalid, "document %s does not match its hash", d.Key)
	}
	input := d.SigningInput()
	for _, k := range keys {
		if len(k) == ed25519.PublicKeySize && ed25519.Verify(k, input, d.Signature) {
			return nil
		}
	}
	return fault.New(fault.Forbidden, "document %s is not signed by a control plane this edge trusts", d.Key)
}
