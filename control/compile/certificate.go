package compile

import (
	"strings"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/certificates/pki"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/secrets"
)

// GroupKey seals private keys for the edges that may serve them.
type GroupKey struct {
	Group string
	Key   [32]byte
}

// Certificate is a certificate as edges get it, for names, its key sealed with
// the group's key. Equal input gives equal bytes: the sealing is deterministic.
func Certificate(c certificates.Certificate, b pki.Bundle, names []string, key GroupKey) (edgeconfig.Certificate, error) {
	out := edgeconfig.Certificate{
		ID: c.ID, Names: names, ChainPEM: b.ChainPEM,
		KeyGroup: key.Group, KeySealed: secrets.SealFor(key.Key, c.ID, b.KeyDER),
		Fingerprint: c.Status.Fingerprint,
	}
	if c.Status.Staple != nil {
		out.OCSPStaple = c.Status.Staple.DER
	}
	if c.Status.NotAfter != nil {
		out.NotAfter = c.Status.NotAfter.Unix()
	}
	return out, edgeconfig.ValidateCertificate(&out)
}

// parent is the name above the first label: "example.com" of "shop.example.com"
// and of "*.example.com"; "" for a single label.
func parent(name string) string {
	_, rest, _ := strings.Cut(name, ".")
	return rest
}
