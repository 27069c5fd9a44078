package compile

import (
	"maps"
	"slices"
)

// A zone is several documents, and which of them go when it changes depends on
// those that are there. A control plane that begins to lead has made none of them,
// so it is told what is published.

// PublishedZone is what is published of a zone.
type PublishedZone struct {
	ID      string
	Apex    string // "" when its head is not there
	Digests []byte // of its parts, edgeconfig.PartDigestBytes each
	Keys    bool   // edges can sign for it
}

// Recall takes in what earlier terms have published. It is called after Reset and
// SetGroupKey, before the first event.
func (c *Compiler) Recall(published []PublishedZone) {
	for _, z := range published {
		c.recalled[z.ID] = z.Apex
		c.said[z.ID] = zoneSaid{parts: len(z.Digests) / partDigest, digests: z.Digests}
		if z.Keys {
			c.online[z.ID] = nil // other ones than any
		}
	}
}

// Missing returns what becomes of zones that were recalled and that nothing has
// declared since: they were deleted while nobody led. Nobody has asked for that
// here.
func (c *Compiler) Missing() (outputs []Output) {
	for _, id := range slices.Sorted(maps.Keys(c.recalled)) {
		outputs = append(outputs, c.deleted(id, c.recalled[id])...)
	}
	clear(c.recalled)
	for i := range outputs {
		outputs[i].Asked = false
	}
	return outputs
}
