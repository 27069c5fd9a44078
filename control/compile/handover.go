package compile

import "fmt"

// A zone that goes to another project is deleted here and created there in one
// commit, and its new version takes a moment to make. What edges have of the old
// one stays with them until they can have the new one in its place.

// Successors is the ability of Zones to tell which zone has an apex by now: the ID,
// "" for none.
type Successors interface {
	Successor(apex string) string
}

// leavingZone is a zone that is deleted, and still served.
type leavingZone struct {
	id   string
	said zoneSaid
}

// deleted withdraws a zone, or keeps it until its successor is made.
func (c *Compiler) deleted(id, apex string) []Output {
	if c.Keeps(id) {
		return nil // as was said
	}
	said, published := c.said[id]
	if s, can := c.zones.(Successors); can && published {
		next := s.Successor(apex)
		if _, there := c.said[next]; next != "" && next != id && !there {
			delete(c.said, id)
			// What waits for this one waits for the next.
			c.leaving[next] = append(c.leaving[id], leavingZone{id, said})
			delete(c.leaving, id)
			c.problems.set(next, fmt.Errorf("its first version is being made; edges answer as before"))
			return nil
		}
	}
	return c.arrived(id, c.withdraw(id, said))
}

// arrived adds to what is said of a zone the end of those that it takes the place
// of: it has a version now, or will have none.
func (c *Compiler) arrived(id string, outputs []Output) []Output {
	for _, old := range c.leaving[id] {
		outputs = append(outputs, c.withdraw(old.id, old.said)...)
	}
	delete(c.leaving, id)
	return outputs
}

// Keeps tells that a deleted zone's documents stay for now: Apply says when they
// go.
func (c *Compiler) Keeps(id string) bool {
	for _, list := range c.leaving {
		for _, old := range list {
			if old.id == id {
				return true
			}
		}
	}
	return false
}
