package declare

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/edgewright/edgewright/fault"
)

const full = `# comment
project: shop
environment: staging
resources:
  - kind: cdn
    name: default
    spec:
      origins:
        - {name: app, url: "http://10.0.0.5:3000"}
      cache_rules:
        - pattern: /static/*
          ttl: 3600
          cache_key: {query: {mode: none}}
---
- kind: domain
  name: shop.example.com
  spec:
    redirect_https: false
---
kind: domain
name: www.example.com
`

func TestParse(t *testing.T) {
	f, err := Parse("site.yaml", []byte(full))
	if err != nil {
		t.Fatal(err)
	}
	if f.Project != "shop" || f.Environment != "staging" {
		t.Errorf("project %q, environment %q", f.Project, f.Environment)
	}
	type short struct {
		Kind, Name, Spec string
		Line             int
	}
	var got []short
	for _, r := range f.Resources {
		got = append(got, short{r.Kind, r.Name, string(r.Spec), r.Line})
	}
	want := []short{
		{"cdn", "default", `{"origins":[{"name":"app","url":"http://10.0.0.5:3000"}],"cache_rules":[{"pattern":"/static/*","ttl":3600,"cache_key":{"query":{"mode":"none"}}}]}`, 5},
		{"domain", "shop.example.com", `{"redirect_https":false}`, 15},
		{"domain", "www.example.com", `{}`, 20},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestScalars(t *testing.T) {
	source := `resources:
  - kind: k
    name: n
    spec: {a: 1, b: 0x10, c: -3, d: 1.5, e: 1e3, f: "1", g: yes, h: true, i: ~, j: 2026-01-02, k: "a\u0001<b>", l: 18446744073709551615, m: "two
      lines", 7: seven}
`
	f, err := Parse("x", []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"a":1,"b":16,"c":-3,"d":1.5,"e":1000,"f":"1","g":"yes","h":true,"i":null,"j":"2026-01-02","k":"a\u0001<b>","l":18446744073709551615,"m":"two lines","7":"seven"}`
	if got := string(f.Resources[0].Spec); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestAnchorsAndMerges(t *testing.T) {
	source := `resources:
  - kind: cdn
    name: a
    spec: &base
      origins: [{url: "http://a"}]
      max_body_bytes: 1
  - kind: cdn
    name: b
    spec:
      <<: *base
      max_body_bytes: 2
  - kind: cdn
    name: c
    spec: *base
`
	f, err := Parse("x", []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(f.Resources[1].Spec); got != `{"max_body_bytes":2,"origins":[{"url":"http://a"}]}` {
		t.Errorf("merged: %s", got)
	}
	if got := string(f.Resources[2].Spec); got != string(f.Resources[0].Spec) {
		t.Errorf("alias: %s", got)
	}
}

func TestProblems(t *testing.T) {
	tests := []struct{ name, source, want string }{
		{"empty", "", `f.yaml: the file declares nothing; begin with "resources:" and a list, or see "edgewright export"`},
		{"comments only", "# nothing\n---\n", `f.yaml: the file declares nothing; begin with "resources:" and a list, or see "edgewright export"`},
		{"unknown key", "resources:\n  - kind: cdn\n    nmae: x\n    spec: {}\n", "f.yaml:3:5: unknown key \"nmae\"; did you mean \"name\"?\nf.yaml:2:5: the resource has no name; add \"name:\""},
		{"unknown top key", "resurces: []\n", "f.yaml:1:1: unknown key \"resurces\"; did you mean \"resources\"?\nf.yaml:1:1: the document declares nothing; add \"resources:\" and a list"},
		{"far from everything", "resources: []\nbanana: 1\n", `f.yaml:2:1: unknown key "banana"; known here: project, environment, resources`},
		{"twice", "- {kind: a, name: b}\n- {kind: a, name: b}\n", `f.yaml:2:3: a "b" is declared already, in line 1; take one of them out`},
		{"repeated key", "- kind: a\n  name: b\n  spec:\n    x: 1\n    x: 2\n", `f.yaml:5:5: "x" is there already, in line 4; take one of them out`},
		{"number as name", "- {kind: a, name: 12}\n", `f.yaml:1:19: name is a text, this is a number; put it in quotes: "12"`},
		{"spec is a list", "- {kind: a, name: b, spec: [1]}\n", `f.yaml:1:28: a spec is a mapping, this is a list`},
		{"two projects", "project: a\n---\nproject: b\nresources: []\n", `f.yaml:3:10: the file already has project "a"; use one file for each`},
		{"not yaml", "resources:\n  - kind: [\n", `f.yaml:2: this is not YAML: did not find expected node content`},
		{"tab", "resources:\n\t- kind: a\n", `f.yaml:2: this is not YAML: found character that cannot start any token`},
		{"infinite", "- {kind: a, name: b, spec: {x: .inf}}\n", `f.yaml:1:32: .inf is no number that JSON can hold`},
		{"tag", "- {kind: a, name: b, spec: {x: !secret y}}\n", `f.yaml:1:32: the tag !secret is not known here; take it out`},
		{"scalar document", "hello\n", `f.yaml:1:1: a document is a mapping, this is a text; begin with "resources:" and a list`},
		{"null key", "- {kind: a, name: b, spec: {~: 1}}\n", `f.yaml:1:29: a key is a text, this is nothing`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse("f.yaml", []byte(tt.source))
			if err == nil {
				t.Fatal("no error")
			}
			if d := cmp.Diff(tt.want, err.Error()); d != "" {
				t.Error(d)
			}
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("code %q", fault.CodeOf(err))
			}
		})
	}
}

// A few lines of aliases that expand to billions of values must be refused
// before they are expanded.
func TestAliasBomb(t *testing.T) {
	var b strings.Builder
	b.WriteString("- kind: a\n  name: b\n  spec:\n    a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n")
	for i := 1; i < 12; i++ {
		p := fmt.Sprintf("*a%d", i-1)
		fmt.Fprintf(&b, "    a%d: &a%d [%s]\n", i, i, strings.Join([]string{p, p, p, p, p, p, p, p, p, p}, ","))
	}
	_, err := Parse("bomb", []byte(b.String()))
	var e *Error
	if !errors.As(err, &e) || !strings.Contains(err.Error(), "over 500000 values") {
		t.Fatalf("got %v", err)
	}
}

func TestDeepNesting(t *testing.T) {
	source := "- {kind: a, name: b, spec: {x: " + strings.Repeat("[", 200) + strings.Repeat("]", 200) + "}}\n"
	_, err := Parse("deep", []byte(source))
	if err == nil || !strings.Contains(err.Error(), "nested over 64 levels") {
		t.Fatalf("got %v", err)
	}
}

func TestManyProblemsAreCounted(t *testing.T) {
	_, err := Parse("f", []byte(strings.Repeat("- {kind: a}\n", 30)))
	if err == nil || !strings.HasSuffix(err.Error(), "f: and 10 more") {
		t.Fatalf("got %v", err)
	}
}

func TestLocate(t *testing.T) {
	f, err := Parse("site.yaml", []byte(full))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		pointer      string
		line, column int
		ok           bool
	}{
		{"/resources/0/spec/origins/0/url", 9, 23, true},
		{"/resources/0/spec/cache_rules/0/ttl", 12, 11, true},
		{"/resources/0/spec/cache_rules/0/absent/x", 11, 11, true},
		{"/resources/0/kind", 5, 5, true},
		{"/resources/1/spec/redirect_https", 18, 5, true},
		{"/resources/2/spec/cdn", 20, 1, true},
		{"/resources/3", 0, 0, false},
		{"/resources/x", 0, 0, false},
		{"/prune", 0, 0, false},
		{"", 0, 0, false},
	}
	for _, tt := range tests {
		line, column, ok := f.Locate(tt.pointer)
		if line != tt.line || column != tt.column || ok != tt.ok {
			t.Errorf("%s: got %d:%d %v, want %d:%d %v", tt.pointer, line, column, ok, tt.line, tt.column, tt.ok)
		}
	}
}

func TestNearest(t *testing.T) {
	known := []string{"kind", "name", "spec", "project", "environment"}
	for word, want := range map[string]string{
		"nmae": "name", "Kind": "kind", "enviroment": "environment", "projects": "project", "xyzzy": "", "": "",
		strings.Repeat("n", 1000): "",
	} {
		if got := Nearest(word, known); got != want {
			t.Errorf("%.20q: got %q, want %q", word, got, want)
		}
	}
}

// What JSON can say, the reader reads as exactly that.
func TestReadsJSON(t *testing.T) {
	var value func(depth int) *rapid.Generator[any]
	text := rapid.StringMatching(`[ -~äß€]{0,12}`)
	value = func(depth int) *rapid.Generator[any] {
		leaves := []*rapid.Generator[any]{
			text.AsAny(), rapid.Bool().AsAny(), rapid.Int64().AsAny(), rapid.Just[any](nil),
		}
		if depth > 0 {
			leaves = append(leaves,
				rapid.SliceOfN(value(depth-1), 0, 4).AsAny(),
				rapid.MapOfN(text, value(depth-1), 0, 4).AsAny())
		}
		return rapid.OneOf(leaves...)
	}
	rapid.Check(t, func(t *rapid.T) {
		spec := rapid.MapOfN(text, value(3), 0, 5).Draw(t, "spec")
		source, err := json.Marshal([]any{map[string]any{"kind": "k", "name": "n", "spec": spec}})
		if err != nil {
			t.Fatal(err)
		}
		f, perr := Parse("x", source)
		if perr != nil {
			t.Fatalf("%s: %v", source, perr)
		}
		var want, got any
		raw, _ := json.Marshal(spec)
		_ = json.Unmarshal(raw, &want)
		if err := json.Unmarshal(f.Resources[0].Spec, &got); err != nil {
			t.Fatalf("%s: %v", f.Resources[0].Spec, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatal(d)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(full))
	f.Add([]byte("- {kind: a, name: b, spec: {<<: [*x, *x]}}"))
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte("- kind: a\n  name: b\n  spec: &s {x: *s}\n"))
	f.Add([]byte("? [x]\n: y\n"))
	f.Fuzz(func(t *testing.T, source []byte) {
		file, err := Parse("f", source)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || len(e.Problems) == 0 {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		for i, r := range file.Resources {
			if r.Kind == "" || r.Name == "" {
				t.Fatalf("resource without kind or name: %+v", r)
			}
			if !json.Valid(r.Spec) || r.Spec[0] != '{' {
				t.Fatalf("not a JSON object: %s", r.Spec)
			}
			if line, _, ok := file.Locate(fmt.Sprintf("/resources/%d/spec", i)); !ok || line < 1 {
				t.Fatalf("resource %d has no place", i)
			}
		}
	})
}
