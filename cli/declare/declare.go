// Package declare reads files that declare resources.
//
// A file is YAML (JSON is YAML too), one document or several. A document is
//
//	project: default            # optional; must agree over all documents
//	environment: production     # optional; likewise
//	resources:
//	  - kind: cdn
//	    name: default
//	    spec:
//	      origins:
//	        - url: http://10.0.0.5:3000
//	  - kind: domain
//	    name: shop.example.com
//	    spec: {}
//
// or one resource by itself (kind, name, spec), or a list of resources.
//
// # Types
//
// File is a parsed file, Resource one declaration with its spec as JSON, Error
// every problem found, each with its line. File.Locate turns a JSON pointer
// into the request that plan and apply send back into a line, so that what the
// server finds wrong is shown where the user wrote it.
//
// # Strictness
//
// Unknown and repeated keys, repeated resources, tags, and values that JSON
// cannot hold are problems. What a spec may hold is the server's to say.
// Anchors, aliases and merge keys are carried out, within bounds.
package declare

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/edgewright/edgewright/fault"
)

// Bounds of a file.
const (
	MaxBytes     = 8 << 20
	maxDepth     = 64
	maxNodes     = 500_000 // after aliases are expanded
	maxProblems  = 20
	maxDocuments = 10_000
)

// File is a file of declarations.
type File struct {
	Name        string // as it is called in messages
	Project     string // "" when the file names none
	Environment string
	Resources   []Resource
}

// Resource is one declaration.
type Resource struct {
	Kind string
	Name string
	Spec json.RawMessage // an object
	Line int             // where it begins

	node *yaml.Node // the resource's mapping
	spec *yaml.Node // nil when the file has none
}

// Problem is one thing wrong with a file.
type Problem struct {
	Line    int // from 1; 0 when it concerns the whole file
	Column  int
	Message string
	Fix     string
}

// Error lists what is wrong with a file.
type Error struct {
	File     string
	Problems []Problem // in order of lines
	Left     int       // problems left out
}

func (e *Error) Error() string {
	var b strings.Builder
	for i, p := range e.Problems {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(e.File)
		if p.Line > 0 {
			fmt.Fprintf(&b, ":%d", p.Line)
			if p.Column > 0 {
				fmt.Fprintf(&b, ":%d", p.Column)
			}
		}
		b.WriteString(": " + p.Message)
		if p.Fix != "" {
			b.WriteString("; " + p.Fix)
		}
	}
	if e.Left > 0 {
		fmt.Fprintf(&b, "\n%s: and %d more", e.File, e.Left)
	}
	return b.String()
}

// Unwrap gives the error the code fault.Invalid.
func (e *Error) Unwrap() error { return &fault.Error{Code: fault.Invalid, Message: e.Error()} }

// reader collects problems while it walks a file.
type reader struct {
	file     *File
	problems []Problem
	left     int
	seen     map[[2]string]int // kind and name -> line
	nodes    int
}

func (r *reader) problem(n *yaml.Node, fix, format string, args ...any) {
	if len(r.problems) == maxProblems {
		r.left++
		return
	}
	p := Problem{Message: fmt.Sprintf(format, args...), Fix: fix}
	if n != nil {
		p.Line, p.Column = n.Line, n.Column
	}
	r.problems = append(r.problems, p)
}

// Parse reads a file. name is what messages call it. The error is an *Error.
func Parse(name string, source []byte) (*File, error) {
	r := &reader{file: &File{Name: name}, seen: map[[2]string]int{}}
	r.read(source)
	if len(r.problems) > 0 {
		return nil, &Error{File: name, Problems: r.problems, Left: r.left}
	}
	return r.file, nil
}

func (r *reader) read(source []byte) {
	if len(source) > MaxBytes {
		r.problem(nil, "declare in several files", "the file has %d bytes, the bound is %d", len(source), MaxBytes)
		return
	}
	dec := yaml.NewDecoder(bytes.NewReader(source))
	any := false
	for i := 0; ; i++ {
		var document yaml.Node
		err := dec.Decode(&document)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			r.syntax(err)
			return
		}
		if i == maxDocuments {
			r.problem(&document, "declare in several files", "the file has over %d documents", maxDocuments)
			return
		}
		if len(document.Content) == 0 || isNull(document.Content[0]) {
			continue
		}
		any = true
		r.document(document.Content[0])
	}
	if !any {
		r.problem(nil, `begin with "resources:" and a list, or see "edgewright export"`, "the file declares nothing")
	}
}

var yamlLine = regexp.MustCompile(`^yaml: (?:(?:unmarshal errors:\s*)?line (\d+): )?`)

// syntax reports an error of the YAML parser, which has its line in its text.
func (r *reader) syntax(err error) {
	text := err.Error()
	at := &yaml.Node{}
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		text = text[len(m[0]):]
		at.Line, _ = strconv.Atoi(m[1])
	}
	r.problem(at, "", "this is not YAML: %s", text)
}

var documentKeys = []string{"project", "environment", "resources"}

func (r *reader) document(n *yaml.Node) {
	n = r.resolve(n)
	switch n.Kind {
	case yaml.SequenceNode:
		r.list(n)
		return
	case yaml.MappingNode:
	default:
		r.problem(n, `begin with "resources:" and a list`, "a document is a mapping, this is %s", what(n))
		return
	}
	if find(n, "kind") != nil || find(n, "spec") != nil {
		r.resource(n)
		return
	}
	found := false
	r.fields(n, documentKeys, func(key string, value *yaml.Node) {
		switch key {
		case "project":
			r.scope(value, "project", &r.file.Project)
		case "environment":
			r.scope(value, "environment", &r.file.Environment)
		case "resources":
			found = true
			list := r.resolve(value)
			if isNull(list) {
				return
			}
			if list.Kind != yaml.SequenceNode {
				r.problem(value, `write each resource as "- kind: ..."`, "resources is a list, this is %s", what(list))
				return
			}
			r.list(list)
		}
	})
	// A document may name only the project and environment of those that follow.
	if !found && find(n, "project") == nil && find(n, "environment") == nil {
		r.problem(n, `add "resources:" and a list`, "the document declares nothing")
	}
}

// scope takes a project or an environment, of which a file has one.
func (r *reader) scope(n *yaml.Node, name string, to *string) {
	value, ok := r.text(n, name)
	if !ok {
		return
	}
	if *to != "" && *to != value {
		r.problem(n, "use one file for each", "the file already has %s %q", name, *to)
		return
	}
	*to = value
}

func (r *reader) list(n *yaml.Node) {
	for _, item := range n.Content {
		item = r.resolve(item)
		if item.Kind != yaml.MappingNode {
			r.problem(item, `write it as "- kind: ..." with name and spec below`, "a resource is a mapping, this is %s", what(item))
			continue
		}
		r.resource(item)
	}
}

var resourceKeys = []string{"kind", "name", "spec"}

func (r *reader) resource(n *yaml.Node) {
	before := len(r.problems) + r.left
	res := Resource{Line: n.Line, node: n, Spec: json.RawMessage("{}")}
	r.fields(n, resourceKeys, func(key string, value *yaml.Node) {
		switch key {
		case "kind":
			res.Kind, _ = r.text(value, key)
		case "name":
			res.Name, _ = r.text(value, key)
		case "spec":
			spec := r.resolve(value)
			if isNull(spec) {
				return
			}
			if spec.Kind != yaml.MappingNode {
				r.problem(value, "", "a spec is a mapping, this is %s", what(spec))
				return
			}
			res.spec = spec
			var b bytes.Buffer
			if r.json(&b, spec, 0) {
				res.Spec = b.Bytes()
			}
		}
	})
	for _, key := range []string{"kind", "name"} {
		if find(n, key) == nil {
			r.problem(n, fmt.Sprintf("add %q", key+":"), "the resource has no %s", key)
		}
	}
	if len(r.problems)+r.left > before {
		return
	}
	id := [2]string{res.Kind, res.Name}
	if line, ok := r.seen[id]; ok {
		r.problem(n, "take one of them out", "%s %q is declared already, in line %d", res.Kind, res.Name, line)
		return
	}
	r.seen[id] = n.Line
	r.file.Resources = append(r.file.Resources, res)
}

// fields calls fn for every known key of a mapping, and reports the others.
func (r *reader) fields(n *yaml.Node, known []string, fn func(key string, value *yaml.Node)) {
	lines := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, value := n.Content[i], n.Content[i+1]
		key, ok := r.text(k, "a key")
		if !ok {
			continue
		}
		if line, ok := lines[key]; ok {
			r.problem(k, "take one of them out", "%q is there already, in line %d", key, line)
			continue
		}
		lines[key] = k.Line
		if !contains(known, key) {
			r.problem(k, suggestion(key, known), "unknown key %q", key)
			continue
		}
		fn(key, value)
	}
}

// text reads a scalar that must be a string.
func (r *reader) text(n *yaml.Node, name string) (string, bool) {
	n = r.resolve(n)
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" {
		fix := ""
		if n.Kind == yaml.ScalarNode && !isNull(n) {
			fix = fmt.Sprintf("put it in quotes: %q", n.Value)
		}
		r.problem(n, fix, "%s is a text, this is %s", name, what(n))
		return "", false
	}
	if n.Value == "" {
		r.problem(n, "", "%s is empty", name)
		return "", false
	}
	return n.Value, true
}

// resolve follows aliases.
func (r *reader) resolve(n *yaml.Node) *yaml.Node {
	for i := 0; n.Kind == yaml.AliasNode && n.Alias != nil && i < maxDepth; i++ {
		n = n.Alias
	}
	return n
}

// find returns the value of a key that is written out in a mapping.
func find(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Kind == yaml.ScalarNode && n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// what names the sort of a value.
func what(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		switch n.ShortTag() {
		case "!!null":
			return "nothing"
		case "!!bool":
			return "true or false"
		case "!!int", "!!float":
			return "a number"
		case "!!timestamp":
			return "a date"
		}
		return "a text"
	}
	return "something else"
}
