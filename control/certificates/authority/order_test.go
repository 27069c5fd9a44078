package authority_test

import (
	"cmp"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/edgewright/edgewright/control/certificates/authority"
)

func TestArrangeChangesOneWhereThereIsRoom(t *testing.T) {
	t.Parallel()
	order := []authority.Place{{Name: "b", Priority: 300}, {Name: "default", Priority: 100, Fixed: true}, {Name: "a", Priority: 200}}
	got := authority.Arrange(order, 0)
	if len(got) != 1 || got["b"] < 0 || got["b"] >= 100 {
		t.Errorf("%v", got)
	}
}

// The list that comes back is in the order that was asked for, whatever was there.
func TestArrange(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 8).Draw(t, "n")
		fixed := rapid.IntRange(-1, n-1).Draw(t, "fixed")
		var order []authority.Place
		for i := range n {
			p := authority.Place{Name: string(rune('a' + i)), Priority: rapid.IntRange(0, 300).Draw(t, "priority")}
			if i == fixed {
				p.Priority, p.Fixed = authority.DefaultPriority, true
			}
			order = append(order, p)
		}
		// As the API lists them; then one is moved.
		slices.SortFunc(order, func(a, b authority.Place) int {
			return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.Name, b.Name))
		})
		from, to := rapid.IntRange(0, n-1).Draw(t, "from"), rapid.IntRange(0, n-1).Draw(t, "to")
		one := order[from]
		order = slices.Insert(slices.Delete(order, from, from+1), to, one)
		if from == to {
			return
		}
		changed := authority.Arrange(order, to)
		listed := slices.Clone(order)
		for i, p := range listed {
			if at, ok := changed[p.Name]; ok {
				if p.Fixed || at < 0 || at > 10_000 {
					t.Fatalf("%s was set to %d", p.Name, at)
				}
				listed[i].Priority = at
			}
		}
		slices.SortFunc(listed, func(a, b authority.Place) int {
			return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.Name, b.Name))
		})
		for i := range order {
			if listed[i].Name != order[i].Name {
				t.Fatalf("%v was arranged by %v as %v", order, changed, listed)
			}
		}
	})
}
