package node

import (
	"github.com/edgewright/edgewright/edge/dns"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
	"github.com/edgewright/edgewright/secrets"
)

// openZoneKeys opens the keys that answers of a zone are signed with here.
func openZoneKeys(d *edgeconfig.Document, groups map[string]*groupKey) (*dns.Signer, error) {
	var k edgeconfig.ZoneKeys
	if err := decode(d, &k, edgeconfig.ValidateZoneKeys); err != nil {
		return nil, err
	}
	if k.Zone != d.Name() {
		return nil, fault.New(fault.Invalid, "the document's key names zone %s, its body %s", d.Name(), k.Zone)
	}
	group := groups[k.KeyGroup]
	if group == nil {
		return nil, fault.New(fault.Unavailable, "this edge does not hold the key of group %q", k.KeyGroup)
	}
	opened := make([][]byte, len(k.Keys))
	for i, key := range k.Keys {
		var err error
		if opened[i], err = secrets.OpenFor(*group, edgeconfig.ZoneKeysContext(k.Zone, key.Tag), key.Sealed); err != nil {
			return nil, fault.New(fault.Invalid, "key %d of zone %s does not open: %w", key.Tag, k.Zone, err)
		}
	}
	return dns.NewSigner(&k, opened)
}
