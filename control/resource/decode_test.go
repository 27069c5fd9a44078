package resource_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

type sample struct {
	Name    string            `json:"name"`
	Count   int               `json:"count"`
	Limit   *int              `json:"limit"`
	Origins []sampleOrigin    `json:"origins"`
	Labels  map[string]string `json:"labels"`
	On      bool              `json:"on"`
}

type sampleOrigin struct {
	URL string `json:"url"`
}

func TestDecodeSpecSaysEveryFault(t *testing.T) {
	tests := []struct {
		spec string
		want []fault.Field
	}{
		{``, nil},
		{`{}`, nil},
		{`{"limit":null,"labels":null,"origins":null}`, nil},
		{`{"nmae":"x"}`, []fault.Field{{Pointer: "/nmae", Detail: `"nmae" is not a field`, Fix: `did you mean "name"?`}}},
		{`{"origins":[{"url":"a"},{"ulr":"b"}]}`, []fault.Field{{Pointer: "/origins/1/ulr", Detail: `"ulr" is not a field`, Fix: `did you mean "url"?`}}},
		{`{"zzzzzzzz":1,"count":"3"}`, []fault.Field{
			{Pointer: "/count", Detail: "this is a string", Fix: "write a whole number"},
			{Pointer: "/zzzzzzzz", Detail: `"zzzzzzzz" is not a field`, Fix: "use one of count, labels, limit, name, on, origins"},
		}},
		{`{"count":1.5}`, []fault.Field{{Pointer: "/count", Detail: "this is the number 1.5", Fix: "write a whole number"}}},
		{`{"labels":{"a/b":1}}`, []fault.Field{{Pointer: "/labels/a~1b", Detail: "this is the number 1", Fix: "write a string"}}},
		{`[]`, []fault.Field{{Pointer: "", Detail: "this is a list", Fix: "write an object"}}},
		{`{"on":"yes"}`, []fault.Field{{Pointer: "/on", Detail: "this is a string", Fix: "write true or false"}}},
		{`{"name":`, []fault.Field{{Pointer: "", Detail: "the spec is not JSON: it ends too early", Fix: "complete it"}}},
		{`{} {}`, []fault.Field{{Pointer: "", Detail: "something follows the spec", Fix: "send one JSON object"}}},
	}
	for _, tt := range tests {
		var s sample
		err := resource.DecodeSpec(json.RawMessage(tt.spec), &s)
		var f *fault.Error
		var got []fault.Field
		if errors.As(err, &f) {
			got = f.Fields
			if f.Code != fault.Invalid {
				t.Errorf("%s: code %s", tt.spec, f.Code)
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", tt.spec, diff)
		}
	}
}

func TestDecodeSpecKeepsDefaults(t *testing.T) {
	s := sample{On: true, Count: 7}
	if err := resource.DecodeSpec(json.RawMessage(`{"name":"a"}`), &s); err != nil {
		t.Fatal(err)
	}
	if want := (sample{Name: "a", On: true, Count: 7}); !cmp.Equal(want, s) {
		t.Error(cmp.Diff(want, s))
	}
}

func FuzzDecodeSpec(f *testing.F) {
	f.Add([]byte(`{"name":"x","origins":[{"url":"y"}],"labels":{"a":"b"}}`))
	f.Add([]byte(`{"count":99999999999999999999}`))
	f.Fuzz(func(t *testing.T, spec []byte) {
		var s sample
		if err := resource.DecodeSpec(spec, &s); err != nil && !fault.Is(err, fault.Invalid) {
			t.Fatalf("%q: %v", spec, err)
		}
	})
}
