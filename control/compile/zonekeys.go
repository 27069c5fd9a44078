package compile

import (
	"maps"
	"slices"

	"github.com/edgewright/edgewright/control/zones"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/secrets"
)

// zoneKeys returns the document with the keys that edges sign a zone with, or
// its end; nothing when that was said already.
func (c *Compiler) zoneKeys(id string, keys []zones.OnlineKey) []Output {
	said, known := c.online[id]
	same := func(a, b zones.OnlineKey) bool { return a.Tag == b.Tag && a.Algorithm == b.Algorithm }
	switch {
	case len(keys) == 0 && !known:
		return nil
	case len(keys) == 0:
		delete(c.online, id)
		return []Output{{Key: edgeconfig.ZoneKeysKey(id), Scope: edgeconfig.ScopeAll, Deleted: true, Asked: true}}
	case known && slices.EqualFunc(said, keys, same):
		return nil
	}
	c.online[id] = keys
	return []Output{c.sealedKeys(id)}
}

// sealedKeys seals what a zone is signed with.
func (c *Compiler) sealedKeys(id string) Output {
	body := edgeconfig.ZoneKeys{Zone: id, KeyGroup: c.key.Group}
	for _, k := range c.online[id] {
		body.Keys = append(body.Keys, edgeconfig.ZoneSigningKey{
			Tag: k.Tag, Algorithm: k.Algorithm, Sealed: secrets.SealFor(c.key.Key, edgeconfig.ZoneKeysContext(id, k.Tag), k.DER),
		})
	}
	return output(edgeconfig.ZoneKeysKey(id), body)
}

// allZoneKeys seals the keys of all zones anew.
func (c *Compiler) allZoneKeys() (outputs []Output) {
	for _, id := range slices.Sorted(maps.Keys(c.online)) {
		if len(c.online[id]) == 0 {
			continue // an earlier term's; they are sealed anew when they are known
		}
		outputs = append(outputs, c.sealedKeys(id))
	}
	return outputs
}
