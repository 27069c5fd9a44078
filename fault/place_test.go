package fault_test

import (
	"testing"

	"github.com/edgewright/edgewright/fault"
)

func TestPlaceIsHowPeopleSayIt(t *testing.T) {
	t.Parallel()
	for pointer, want := range map[string]string{
		"":                       "",
		"/values/1":              "values 2",
		"/in/primaries/0/key":    "in, primaries 1, key",
		"/redirect_https":        "redirect https",
		"/tags/a~1b~0c":          "tags, a/b~c",
		"query:limit":            "limit",
		"/steering/answers/2/to": "steering, answers 3, to",
	} {
		if got := fault.Place(pointer); got != want {
			t.Errorf("%s: %q, want %q", pointer, got, want)
		}
	}
	err := fault.InvalidFields([]fault.Field{{Pointer: "/values/1", Detail: `"foo" is not the data of A`}, {Pointer: "/ttl", Detail: "too short"}})
	if want := `values 2: "foo" is not the data of A (and 1 more)`; err.Error() != want {
		t.Errorf("%s, want %s", err, want)
	}
}
