package compile

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/zones"
	"github.com/edgewright/edgewright/edgeconfig"
)

// Zones gives versions of zones; *zones.Service is one.
type Zones interface {
	Version(id string, serial uint32) (zones.Version, bool)
}

// SetZones says where versions of zones come from. Without, zones make no
// documents. It is called before the first event.
func (c *Compiler) SetZones(z Zones) { c.zones = z }

const partDigest = edgeconfig.PartDigestBytes

// zoneSaid is what was last said of a zone's documents.
type zoneSaid struct {
	parts   int
	digests []byte
	checks  []string // IDs
}

// zone compiles one zone: gone without the resource or while something holds it
// back, unchanged while its version is being made. Parts are told apart by the
// digests that the head has of them, so that a changed record moves one.
func (c *Compiler) zone(event resource.Event) []Output {
	id := event.Resource.ID
	said := c.said[id]
	delete(c.recalled, id)
	if event.Type == resource.Deleted || c.zones == nil {
		c.problems.clear(id)
		return c.deleted(id, event.Resource.Name)
	}
	z, err := zones.Decode(event.Resource)
	if err != nil {
		c.problems.set(id, fmt.Errorf("it cannot be read: %w", err))
		return nil
	}
	if z.Status.Serial == 0 {
		if cond, _ := resource.ConditionOf(z.Status.Conditions, zones.Served); cond.Status != resource.False {
			c.problems.set(id, fmt.Errorf("its first version is being made"))
			return nil
		}
		c.problems.clear(id)
		return c.arrived(id, c.withdraw(id, said))
	}
	outputs := c.nameServers(id, z.Status.NameServers)
	version, ok := c.zones.Version(id, z.Status.Serial)
	if !ok {
		c.problems.set(id, fmt.Errorf("its version %d is being made", z.Status.Serial))
		return outputs
	}
	c.problems.clear(id)
	const size = partDigest
	for i, body := range version.Parts {
		if said.parts == len(version.Parts) && bytes.Equal(said.digests[i*size:(i+1)*size], version.Head.Digests[i*size:(i+1)*size]) {
			continue
		}
		outputs = append(outputs, Output{Key: edgeconfig.ZonePartKey(id, i), Scope: edgeconfig.ScopeAll, Body: body})
	}
	// Checks come before the head that names them, and go after it.
	var checks []string
	for _, k := range version.Checks {
		checks = append(checks, k.ID)
		if !slices.Contains(said.checks, k.ID) { // it never says anything else
			outputs = append(outputs, output(edgeconfig.KindCheck+"/"+k.ID, k))
		}
	}
	outputs = append(outputs, c.zoneKeys(id, version.Keys)...)
	outputs = append(outputs, output(edgeconfig.ZoneKey(id), version.Head))
	for _, k := range said.checks {
		if !slices.Contains(checks, k) {
			outputs = append(outputs, Output{Key: edgeconfig.KindCheck + "/" + k, Scope: edgeconfig.ScopeAll, Deleted: true, Asked: true})
		}
	}
	for i := len(version.Parts); i < said.parts; i++ {
		// Its names are in other parts now.
		outputs = append(outputs, Output{Key: edgeconfig.ZonePartKey(id, i), Scope: edgeconfig.ScopeAll, Deleted: true, Asked: true})
	}
	c.said[id] = zoneSaid{len(version.Parts), version.Head.Digests, checks}
	return c.arrived(id, outputs)
}

func (c *Compiler) withdraw(id string, said zoneSaid) []Output {
	delete(c.said, id)
	outputs := append(c.nameServers(id, nil), c.zoneKeys(id, nil)...)
	outputs = append(outputs, Output{Key: edgeconfig.ZoneKey(id), Scope: edgeconfig.ScopeAll, Deleted: true, Asked: true})
	for _, k := range said.checks {
		outputs = append(outputs, Output{Key: edgeconfig.KindCheck + "/" + k, Scope: edgeconfig.ScopeAll, Deleted: true, Asked: true})
	}
	for i := range said.parts {
		outputs = append(outputs, Output{Key: edgeconfig.ZonePartKey(id, i), Scope: edgeconfig.ScopeAll, Deleted: true, Asked: true})
	}
	return outputs
}

// maxNameServers is how many hosts of name servers that zones have in themselves
// the platform's settings list.
const maxNameServers = 500

// nameServers notes the names that a zone was given. Where the operator has named
// none, they are in the zone itself, and DNS over HTTPS is answered at them too:
// another set of them is another document of the platform.
func (c *Compiler) nameServers(id string, names []string) []Output {
	if len(c.platform.NameServers) > 0 || slices.Equal(c.servers[id], names) {
		return nil
	}
	if c.servers[id] = names; len(names) == 0 {
		delete(c.servers, id)
	}
	return []Output{output(edgeconfig.KindPlatform+"/settings", c.settings())}
}

// settings are the platform's, with what zones add.
func (c *Compiler) settings() edgeconfig.Platform {
	p := c.platform
	if len(p.NameServers) > 0 {
		return p
	}
	for _, id := range slices.Sorted(maps.Keys(c.servers)) {
		if len(p.NameServers)+len(c.servers[id]) > maxNameServers {
			break
		}
		p.NameServers = append(p.NameServers, c.servers[id]...)
	}
	slices.Sort(p.NameServers)
	p.NameServers = slices.Compact(p.NameServers)
	return p
}
