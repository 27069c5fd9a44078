package compile

import (
	"bytes"
	"fmt"

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

// zoneSaid is what was last said of a zone's documents.
type zoneSaid struct {
	parts   int
	digests []byte
}

// zone compiles one zone: gone without the resource or while something holds it
// back, unchanged while its version is being made. Parts are told apart by the
// digests that the head has of them, so that a changed record moves one.
func (c *Compiler) zone(event resource.Event) []Output {
	id := event.Resource.ID
	said := c.said[id]
	if event.Type == resource.Deleted || c.zones == nil {
		c.problems.clear(id)
		return c.withdraw(id, said)
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
		return c.withdraw(id, said)
	}
	version, ok := c.zones.Version(id, z.Status.Serial)
	if !ok {
		c.problems.set(id, fmt.Errorf("its version %d is being made", z.Status.Serial))
		return nil
	}
	c.problems.clear(id)
	var outputs []Output
	const size = edgeconfig.PartDigestBytes
	for i, body := range version.Parts {
		if said.parts == len(version.Parts) && bytes.Equal(said.digests[i*size:(i+1)*size], version.Head.Digests[i*size:(i+1)*size]) {
			continue
		}
		outputs = append(outputs, Output{Key: edgeconfig.ZonePartKey(id, i), Scope: edgeconfig.ScopeAll, Body: body})
	}
	outputs = append(outputs, output(edgeconfig.ZoneKey(id), version.Head))
	for i := len(version.Parts); i < said.parts; i++ {
		// Its names are in other parts now.
		outputs = append(outputs, Output{Key: edgeconfig.ZonePartKey(id, i), Scope: edgeconfig.ScopeAll, Deleted: true, Asked: true})
	}
	c.said[id] = zoneSaid{len(version.Parts), version.Head.Digests}
	return outputs
}

func (c *Compiler) withdraw(id string, said zoneSaid) []Output {
	delete(c.said, id)
	outputs := []Output{{Key: edgeconfig.ZoneKey(id), Scope: edgeconfig.ScopeAll, Deleted: true, Asked: true}}
	for i := range said.parts {
		outputs = append(outputs, Output{Key: edgeconfig.ZonePartKey(id, i), Scope: edgeconfig.ScopeAll, Deleted: true, Asked: true})
	}
	return outputs
}
