package node_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"testing"

	"github.com/edgewright/edgewright/edge/node/nodetest"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/secrets"
)

// The keys that an edge signs with arrive sealed for their zone.
func TestZoneKeys(t *testing.T) {
	e := nodetest.Start(t, withDNS)
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	keys := func(group, context string, algorithm uint8, plain []byte) edgeconfig.ZoneKeys {
		return edgeconfig.ZoneKeys{Zone: "zon_1", KeyGroup: group, Keys: []edgeconfig.ZoneSigningKey{{Tag: 7, Algorithm: algorithm, Sealed: secrets.SealFor(e.GroupKey, context, plain)}}}
	}
	context := edgeconfig.ZoneKeysContext("zon_1", 7)
	for name, wrong := range map[string]edgeconfig.ZoneKeys{
		"another group":     keys("another", context, 13, der),
		"of another zone":   keys(nodetest.Group, edgeconfig.ZoneKeysContext("zon_2", 7), 13, der),
		"another algorithm": keys(nodetest.Group, context, 15, der),
		"no key":            keys(nodetest.Group, context, 13, []byte("x")),
	} {
		t.Log(name)
		items(t, e.Apply([]edgeconfig.Document{e.Document("zonekeys/zon_1", wrong)}), edgeconfig.Rejected)
	}
	items(t, e.Apply([]edgeconfig.Document{e.Document("zonekeys/zon_2", keys(nodetest.Group, context, 13, der))}), edgeconfig.Rejected)
	d := e.Document("zonekeys/zon_1", keys(nodetest.Group, context, 13, der))
	e.MustApply(d)
	if err := e.Verify(t.Context(), d.Key, d.Revision); err != nil {
		t.Error(err)
	}
	e.MustApply(e.Document("zonekeys/zon_1", nil))
}
