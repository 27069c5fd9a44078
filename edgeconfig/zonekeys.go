package edgeconfig

import "fmt"

// What a zone with compact denial (RFC 9824) is signed with at the edges: an
// answer about a name that does not exist is made, and signed, when somebody asks
// for it. As with TSIG keys, the secrets are in a document of their own, sealed
// with the group key:
//
//	zonekeys/<zone ID>   ZoneKeys: the keys that sign the zone's records at present
//
// A zone whose keys have not arrived answers for the names it has; to questions
// about others, it fails.
const KindZoneKeys = "zonekeys" // body ZoneKeys

// maxZoneKeys is how many keys may sign a set: two of each algorithm during a
// rollover.
const maxZoneKeys = 8

// Algorithms of zone keys, by number (RFC 6605, RFC 8080).
const (
	AlgorithmECDSAP256 = 13
	AlgorithmEd25519   = 15
)

// ZoneKeys are the keys of one zone that sign its records.
type ZoneKeys struct {
	Zone     string           `json:"zone"`      // the zone's ID
	KeyGroup string           `json:"key_group"` // which group key seals
	Keys     []ZoneSigningKey `json:"keys"`
}

// ZoneSigningKey is one of them.
type ZoneSigningKey struct {
	Tag       uint16 `json:"tag"`
	Algorithm uint8  `json:"algorithm"`
	Sealed    []byte `json:"sealed"` // secrets.SealFor(group key, ZoneKeysContext(zone, tag), PKCS #8)
}

// ZoneKeysKey is the key of the document with a zone's keys.
func ZoneKeysKey(zone string) string { return KindZoneKeys + "/" + zone }

// ZoneKeysContext is the context that a key is sealed under.
func ZoneKeysContext(zone string, tag uint16) string {
	return fmt.Sprintf("%s/%s/%d", KindZoneKeys, zone, tag)
}

// ValidateZoneKeys checks the form of keys; that they open is the edge's to see.
func ValidateZoneKeys(k *ZoneKeys) error {
	var c checker
	if k.Zone == "" {
		c.add("/zone", "the keys belong to no zone")
	}
	if k.KeyGroup == "" {
		c.add("/key_group", "no group is named")
	}
	if len(k.Keys) == 0 || len(k.Keys) > maxZoneKeys {
		c.add("/keys", "a zone is signed with 1 to %d keys", maxZoneKeys)
	}
	for i, key := range k.Keys {
		at := fmt.Sprintf("/keys/%d", i)
		if key.Algorithm != AlgorithmECDSAP256 && key.Algorithm != AlgorithmEd25519 {
			c.add(at+"/algorithm", "%d is not among %d and %d", key.Algorithm, AlgorithmECDSAP256, AlgorithmEd25519)
		}
		if len(key.Sealed) == 0 {
			c.add(at+"/sealed", "the key is missing")
		}
	}
	return c.err()
}
