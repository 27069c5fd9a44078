package authority_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/edgewright/edgewright/control/certificates/authority"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/store/storetest"
	"github.com/edgewright/edgewright/fault"
)

func TestOrder(t *testing.T) {
	db := storetest.SQLite(t)
	s := authority.New(db, db)
	cause := resource.Cause{Actor: "user usr_test", Via: "test"}
	add := func(name string, priority int) {
		t.Helper()
		plan, err := s.PutCA(t.Context(), name, authority.Spec{Directory: "https://" + name + ".example/dir", Priority: priority}, "", 0, true)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Commit(t.Context(), plan.Commit(cause)); err != nil {
			t.Fatal(err)
		}
	}
	// ordered returns the CAs as they are tried then.
	ordered := func() string {
		t.Helper()
		list, err := authority.List(t.Context(), db)
		if err != nil {
			t.Fatal(err)
		}
		places := map[int]string{}
		if !slices.ContainsFunc(list, func(ca authority.CA) bool { return ca.Name == authority.Default }) {
			places[authority.DefaultPriority] = authority.Default
		}
		for _, ca := range list {
			if other := places[ca.Spec.Priority]; other != "" {
				t.Errorf("%s and %s have the same place", ca.Name, other)
			}
			if places[ca.Spec.Priority] = ca.Name; ca.Spec.Directory != "https://"+ca.Name+".example/dir" {
				t.Errorf("more than the order has changed: %+v", ca.Spec)
			}
		}
		var keys []int
		for k := range places {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		var names []string
		for _, k := range keys {
			names = append(names, places[k])
		}
		return strings.Join(names, " ")
	}
	order := func(names ...string) int {
		t.Helper()
		plan, err := s.Order(t.Context(), names)
		if err != nil {
			t.Fatal(err)
		}
		if !plan.Empty() {
			if _, err := db.Commit(t.Context(), plan.Commit(cause)); err != nil {
				t.Fatal(err)
			}
		}
		return len(plan.Actions)
	}
	add("a", 200)
	add("b", 210)
	add("c", 300)
	for _, tt := range []struct {
		names   []string
		want    string
		changes bool
	}{
		{[]string{"default", "a"}, "default a b c", false}, // it is so already
		{[]string{"c", "default"}, "c default a b", true},
		{[]string{"b", "a", "c", "default"}, "b a c default", true},
		{[]string{"default", "C", " b "}, "default c b a", true},
		{nil, "default c b a", false},
	} {
		if n := order(tt.names...); (n > 0) != tt.changes {
			t.Errorf("%v: %d changes", tt.names, n)
		}
		if got := ordered(); got != tt.want {
			t.Errorf("%v gives %s, want %s", tt.names, got, tt.want)
		}
	}
	add(authority.Default, 50)
	order("a", "default", "c")
	if got := ordered(); got != "a default c b" {
		t.Errorf("with a default of one's own: %s", got)
	}
	if _, err := s.Order(t.Context(), []string{"a", "b", "A"}); !fault.Is(err, fault.Invalid) {
		t.Errorf("one named twice: %v", err)
	}
	if _, err := s.Order(t.Context(), []string{"a", "nobody"}); !fault.Is(err, fault.NotFound) {
		t.Errorf("one that is not there: %v", err)
	}
}
