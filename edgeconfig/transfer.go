package edgeconfig

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/dnswire"
)

// How secondaries get a zone (hidden primary). A transfer is given to who signs
// with one of the zone's keys (RFC 8945) and asks from an allowed network; it is
// never given in clear words alone. A key is a document of its own, because its
// secret is sealed as those of certificates are:
//
//	tsig/<key ID>   TSIGKey: name, algorithm, sealed secret
//
// A zone refers to keys by ID. One whose key has not arrived is served all the
// same; its transfers are refused until then.
const KindTSIG = "tsig" // body TSIGKey

// Algorithms of TSIG keys: those RFC 8945 section 6 wants supported, and used.
const (
	HMACSHA256 = dnswire.HMACSHA256
	HMACSHA384 = dnswire.HMACSHA384
	HMACSHA512 = dnswire.HMACSHA512
)

// Bounds of transfers.
const (
	maxTransferKeys    = 8
	maxTransferTargets = 32
	maxTransferAllow   = 64
	minTSIGSecret      = 16
	maxTSIGSecret      = 128
)

// Transfer says who may have a zone whole, and who is told of its changes.
type Transfer struct {
	Keys   []string `json:"keys"`             // IDs of TSIGKey documents; any of them will do, and the first signs notices
	Allow  []string `json:"allow,omitempty"`  // CIDR ranges that may ask; none: from anywhere, with a key
	Notify []string `json:"notify,omitempty"` // "192.0.2.1:53": told of each new version (RFC 1996)
}

// Secondary says of a zone that it comes from somewhere else: whose notices of
// new versions (RFC 1996) edges pass on to the control plane, which takes the
// zone over.
type Secondary struct {
	Primaries []string `json:"primaries"`         // addresses whose notices are believed
	Keys      []string `json:"keys,omitempty"`    // IDs of TSIGKey documents; so are notices signed with one
	Expired   bool     `json:"expired,omitempty"` // the copy is too old to be answered from: SERVFAIL
}

// TSIGKey is a shared secret that transactions are signed with.
type TSIGKey struct {
	ID           string `json:"id"`
	Name         string `json:"name"` // domain name, lower-case presentation form, no trailing dot
	Algorithm    string `json:"algorithm"`
	KeyGroup     string `json:"key_group"`     // which group key seals SecretSealed
	SecretSealed []byte `json:"secret_sealed"` // secrets.SealFor(group key, context TSIGContext(ID), secret)
}

// TSIGContext is the context that a key's secret is sealed under.
func TSIGContext(id string) string { return KindTSIG + "/" + id }

// ValidateTSIGKey checks a key's form; that its secret opens is the edge's to
// see.
func ValidateTSIGKey(k *TSIGKey) error {
	var c checker
	if k.ID == "" {
		c.add("/id", "the key has no ID")
	}
	if wire, err := PackName(k.Name); err != nil || len(wire) < 3 || !lower(k.Name) || strings.HasSuffix(k.Name, ".") {
		c.add("/name", "%q is no lower-case domain name: name a key for what it joins, like ns1-ns2.example.com", k.Name)
	}
	if !slices.Contains([]string{HMACSHA256, HMACSHA384, HMACSHA512}, k.Algorithm) {
		c.add("/algorithm", "%q is not among %s, %s and %s", k.Algorithm, HMACSHA256, HMACSHA384, HMACSHA512)
	}
	if k.KeyGroup == "" {
		c.add("/key_group", "no group is named")
	}
	if len(k.SecretSealed) == 0 {
		c.add("/secret_sealed", "the secret is missing")
	}
	return c.err()
}

// CheckTSIGSecret tells whether an opened secret is long enough to hold and
// short enough to be one.
func CheckTSIGSecret(secret []byte) error {
	var c checker
	if len(secret) < minTSIGSecret || len(secret) > maxTSIGSecret {
		c.add("/secret", "a secret has %d to %d bytes, this one %d: take 32 random ones", minTSIGSecret, maxTSIGSecret, len(secret))
	}
	return c.err()
}

// secondary checks a zone's Secondary.
func (c *checker) secondary(s *Secondary) {
	if s == nil {
		return
	}
	if len(s.Primaries) == 0 || len(s.Primaries) > maxTransferTargets || len(s.Keys) > maxTransferKeys || slices.Contains(s.Keys, "") {
		c.add("/secondary", "a secondary has 1 to %d primaries, and at most %d keys", maxTransferTargets, maxTransferKeys)
	}
	for _, p := range s.Primaries {
		if _, err := netip.ParseAddr(p); err != nil {
			c.add("/secondary/primaries", "%q is no address", p)
		}
	}
}

// transfer checks a zone's Transfer.
func (c *checker) transfer(t *Transfer) {
	if t == nil {
		return
	}
	if len(t.Keys) == 0 || len(t.Keys) > maxTransferKeys || slices.Contains(t.Keys, "") {
		c.add("/transfer/keys", "a zone that is transferred has 1 to %d keys", maxTransferKeys)
	}
	if len(t.Allow) > maxTransferAllow {
		c.add("/transfer/allow", "at most %d ranges", maxTransferAllow)
	}
	for _, a := range t.Allow {
		if _, err := netip.ParsePrefix(a); err != nil {
			c.add("/transfer/allow", "%q is no range: write it like 192.0.2.0/24", a)
		}
	}
	if len(t.Notify) > maxTransferTargets {
		c.add("/transfer/notify", "at most %d targets", maxTransferTargets)
	}
	for _, n := range t.Notify {
		if a, err := netip.ParseAddrPort(n); err != nil || a.Port() == 0 || a.Addr().IsUnspecified() || a.Addr().IsMulticast() {
			c.add("/transfer/notify", "%q is no address: write it like 192.0.2.1:53", n)
		}
	}
}
