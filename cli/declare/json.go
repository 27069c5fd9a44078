package declare

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// json writes a node as JSON. It reports what JSON cannot hold, and false.
func (r *reader) json(b *bytes.Buffer, n *yaml.Node, depth int) bool {
	if !r.count(n) {
		return false
	}
	if depth > maxDepth {
		r.problem(n, "", "this is nested over %d levels deep", maxDepth)
		return false
	}
	switch n.Kind {
	case yaml.AliasNode:
		if n.Alias == nil {
			r.problem(n, "", "the alias leads nowhere")
			return false
		}
		return r.json(b, n.Alias, depth+1)
	case yaml.SequenceNode:
		return r.jsonList(b, n, depth)
	case yaml.MappingNode:
		return r.jsonObject(b, n, depth)
	case yaml.ScalarNode:
		return r.jsonScalar(b, n)
	}
	r.problem(n, "", "this cannot be written as JSON")
	return false
}

// count bounds the work that aliases can multiply.
func (r *reader) count(n *yaml.Node) bool {
	r.nodes++
	if r.nodes == maxNodes+1 {
		r.problem(n, "use fewer aliases", "the file holds over %d values", maxNodes)
	}
	return r.nodes <= maxNodes
}

func (r *reader) jsonList(b *bytes.Buffer, n *yaml.Node, depth int) bool {
	if tag := n.ShortTag(); tag != "!!seq" {
		r.problem(n, "take it out", "the tag %s is not known here", tag)
		return false
	}
	ok := true
	b.WriteByte('[')
	for i, item := range n.Content {
		if r.nodes > maxNodes {
			return false
		}
		if i > 0 {
			b.WriteByte(',')
		}
		ok = r.json(b, item, depth+1) && ok
	}
	b.WriteByte(']')
	return ok
}

func (r *reader) jsonObject(b *bytes.Buffer, n *yaml.Node, depth int) bool {
	if tag := n.ShortTag(); tag != "!!map" {
		r.problem(n, "take it out", "the tag %s is not known here", tag)
		return false
	}
	members, ok := r.members(n, depth)
	b.WriteByte('{')
	for i, m := range members {
		if r.nodes > maxNodes {
			return false
		}
		if i > 0 {
			b.WriteByte(',')
		}
		writeString(b, m.key)
		b.WriteByte(':')
		ok = r.json(b, m.value, depth+1) && ok
	}
	b.WriteByte('}')
	return ok
}

type member struct {
	key   string
	value *yaml.Node
}

// members lists a mapping's keys: those written out, in order, then those that
// merge keys ("<<") bring along and that are not written out.
func (r *reader) members(n *yaml.Node, depth int) ([]member, bool) {
	var own, merged []member
	ok := true
	lines := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, value := n.Content[i], n.Content[i+1]
		if !r.count(k) {
			return nil, false
		}
		if k.Kind == yaml.ScalarNode && k.ShortTag() == "!!merge" {
			more, good := r.merge(value, depth+1)
			merged, ok = append(merged, more...), ok && good
			continue
		}
		key, good := r.key(k)
		if !good {
			ok = false
			continue
		}
		if line, twice := lines[key]; twice {
			r.problem(k, "take one of them out", "%q is there already, in line %d", key, line)
			ok = false
			continue
		}
		lines[key] = k.Line
		own = append(own, member{key, value})
	}
	for _, m := range merged {
		if _, there := lines[m.key]; !there {
			lines[m.key] = 0
			own = append(own, m)
		}
	}
	return own, ok
}

func (r *reader) merge(n *yaml.Node, depth int) ([]member, bool) {
	if !r.count(n) {
		return nil, false
	}
	if depth > maxDepth {
		r.problem(n, "", "merge keys are nested too deep")
		return nil, false
	}
	n = r.resolve(n)
	switch n.Kind {
	case yaml.MappingNode:
		return r.members(n, depth)
	case yaml.SequenceNode:
		var all []member
		ok := true
		for _, item := range n.Content {
			if r.nodes > maxNodes {
				return nil, false
			}
			more, good := r.merge(item, depth+1)
			all, ok = append(all, more...), ok && good
		}
		return all, ok
	}
	r.problem(n, `write "<<: *name"`, "a merge key takes a mapping, this is %s", what(n))
	return nil, false
}

// key reads the key of an object; numbers and the like count as they are
// written.
func (r *reader) key(n *yaml.Node) (string, bool) {
	n = r.resolve(n)
	if n.Kind != yaml.ScalarNode || isNull(n) {
		r.problem(n, "", "a key is a text, this is %s", what(n))
		return "", false
	}
	return n.Value, true
}

func (r *reader) jsonScalar(b *bytes.Buffer, n *yaml.Node) bool {
	switch tag := n.ShortTag(); tag {
	case "!!null":
		b.WriteString("null")
	case "!!bool":
		var v bool
		if err := n.Decode(&v); err != nil {
			r.problem(n, "", "%q is neither true nor false", n.Value)
			return false
		}
		b.WriteString(strconv.FormatBool(v))
	case "!!int":
		return r.jsonInt(b, n)
	case "!!float":
		var v float64
		if err := n.Decode(&v); err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			r.problem(n, "", "%s is no number that JSON can hold", n.Value)
			return false
		}
		raw, _ := json.Marshal(v) // finite
		b.Write(raw)
	case "!!str", "!!timestamp":
		writeString(b, n.Value)
	default:
		r.problem(n, "take it out", "the tag %s is not known here", tag)
		return false
	}
	return true
}

func (r *reader) jsonInt(b *bytes.Buffer, n *yaml.Node) bool {
	var signed int64
	var unsigned uint64
	switch {
	case n.Decode(&signed) == nil:
		b.WriteString(strconv.FormatInt(signed, 10))
	case n.Decode(&unsigned) == nil:
		b.WriteString(strconv.FormatUint(unsigned, 10))
	default:
		r.problem(n, "", "%s is no whole number of 64 bits", n.Value)
		return false
	}
	return true
}

func writeString(b *bytes.Buffer, s string) {
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // strings always encode
	b.Truncate(b.Len() - 1)
}

// Locate finds where in the file a JSON pointer of the request leads, such as
// "/resources/2/spec/origins/0/url". A pointer to something that is not
// written leads to the nearest thing around it. ok is false when the pointer
// does not concern a resource.
func (f *File) Locate(pointer string) (line, column int, ok bool) {
	parts := strings.Split(pointer, "/")
	if len(parts) < 3 || parts[0] != "" || parts[1] != "resources" {
		return 0, 0, false
	}
	i, err := strconv.Atoi(parts[2])
	if err != nil || i < 0 || i >= len(f.Resources) {
		return 0, 0, false
	}
	at := f.Resources[i].node
	line, column = at.Line, at.Column
	for _, part := range parts[3:] {
		next, pos := step(at, unescape.Replace(part))
		if next == nil {
			break
		}
		at, line, column = next, pos.Line, pos.Column
	}
	return line, column, true
}

var unescape = strings.NewReplacer("~1", "/", "~0", "~")

// step goes one part of a pointer down; pos is the place to show.
func step(n *yaml.Node, part string) (next, pos *yaml.Node) {
	for i := 0; n.Kind == yaml.AliasNode && n.Alias != nil && i < maxDepth; i++ {
		n = n.Alias
	}
	switch n.Kind {
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(part); err == nil && i >= 0 && i < len(n.Content) {
			return n.Content[i], n.Content[i]
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == part {
				return n.Content[i+1], n.Content[i]
			}
		}
	}
	return nil, nil
}
