package resource

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestDiff(t *testing.T) {
	raw := func(s string) json.RawMessage {
		if s == "" {
			return nil
		}
		return json.RawMessage(s)
	}
	for _, c := range []struct {
		name, before, after string
		want                []FieldChange
	}{
		{"equal but for order and space", `{"a":1,"b":[true]}`, `{ "b": [true], "a": 1 }`, nil},
		{"both absent", ``, ``, nil},
		{"changed, added, removed", `{"a":1,"b":"x"}`, `{"a":2,"c":null}`, []FieldChange{
			{"/a", raw(`1`), raw(`2`)}, {"/b", raw(`"x"`), nil}, {"/c", nil, raw(`null`)},
		}},
		{"created field by field", ``, `{"a":{"b":1}}`, []FieldChange{{"/a", nil, raw(`{"b":1}`)}}},
		{"deleted field by field", `{"a":1}`, ``, []FieldChange{{"/a", raw(`1`), nil}}},
		{"inside arrays", `{"o":[{"u":"x"},{"u":"y"}]}`, `{"o":[{"u":"z"}]}`, []FieldChange{
			{"/o/0/u", raw(`"x"`), raw(`"z"`)}, {"/o/1", raw(`{"u":"y"}`), nil},
		}},
		{"pointers are escaped", `{"a/b~c":1}`, `{"a/b~c":2}`, []FieldChange{{"/a~1b~0c", raw(`1`), raw(`2`)}}},
		{"64-bit numbers are kept", `{"n":9007199254740993}`, `{"n":9007199254740992}`, []FieldChange{
			{"/n", raw(`9007199254740993`), raw(`9007199254740992`)},
		}},
		{"text is not escaped for HTML", `{"p":"a"}`, `{"p":"<&>"}`, []FieldChange{{"/p", raw(`"a"`), raw(`"<&>"`)}}},
		{"type changes", `{"a":[1]}`, `{"a":{"b":1}}`, []FieldChange{{"/a", raw(`[1]`), raw(`{"b":1}`)}}},
		{"null is not absence", `{"a":null}`, `{}`, []FieldChange{{"/a", raw(`null`), nil}}},
		{"not JSON", `{`, `{}`, []FieldChange{{"", raw(`{`), raw(`{}`)}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if d := cmp.Diff(c.want, Diff(raw(c.before), raw(c.after))); d != "" {
				t.Error(d)
			}
		})
	}
}

// jsonValue draws any JSON value of a small depth.
func jsonValue(depth int) *rapid.Generator[any] {
	scalars := []*rapid.Generator[any]{
		rapid.Just[any](nil), rapid.Bool().AsAny(), rapid.IntRange(-3, 3).AsAny(), rapid.StringMatching(`[a-c/~]{0,2}`).AsAny(),
	}
	if depth == 0 {
		return rapid.OneOf(scalars...)
	}
	return rapid.OneOf(append(scalars,
		rapid.SliceOfN(jsonValue(depth-1), 0, 3).AsAny(),
		rapid.MapOfN(rapid.StringMatching(`[a-c/~]{1,2}`), jsonValue(depth-1), 0, 3).AsAny())...)
}

func TestDiffIsEmptyExactlyForEqualDocuments(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(label string) json.RawMessage {
			b, err := json.Marshal(jsonValue(2).Draw(t, label))
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		a, b := draw("a"), draw("b")
		if equal, changes := EqualJSON(a, b), Diff(a, b); equal != (len(changes) == 0) {
			t.Fatalf("%s and %s: equal is %v, changes are %v", a, b, equal, changes)
		}
		if changes := Diff(a, a); len(changes) != 0 {
			t.Fatalf("%s differs from itself: %v", a, changes)
		}
	})
}

func FuzzDiff(f *testing.F) {
	f.Add([]byte(`{"a":[1,{"b":null}]}`), []byte(`{"a":[2]}`))
	f.Add([]byte(`{`), []byte(``))
	f.Add([]byte(`1e999`), []byte(`"\ud800"`))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		changes := Diff(a, b)
		if len(changes) > 0 && EqualJSON(a, b) {
			t.Errorf("equal documents have changes: %v", changes)
		}
	})
}
