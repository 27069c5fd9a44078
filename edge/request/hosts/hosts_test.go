package hosts

import (
	"fmt"
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLookup(t *testing.T) {
	e := (*Table[int])(nil).Edit()
	e.Set("example.com", 1)
	e.Set("*.example.com", 2)
	e.Set("www.example.com", 3)
	table := e.Table()
	for host, want := range map[string]int{
		"example.com": 1, "www.example.com": 3, "x.example.com": 2,
		"a.b.example.com": 0, "com": 0, ".example.com": 2, "": 0, "xexample.com": 0,
	} {
		if got, ok := table.Lookup(host); got != want || ok != (want != 0) {
			t.Errorf("Lookup(%q) = %d, %v; want %d", host, got, ok, want)
		}
	}
	if got, ok := (*Table[int])(nil).Lookup("example.com"); ok {
		t.Errorf("an empty table answers %d", got)
	}
}

func TestEditLeavesTheOldTable(t *testing.T) {
	first := func() *Table[int] {
		e := (*Table[int])(nil).Edit()
		for i := range 5000 {
			e.Set(fmt.Sprintf("s%d.example", i), i)
		}
		return e.Table()
	}()
	e := first.Edit()
	e.Set("s1.example", -1)
	e.Set("new.example", 7)
	e.Delete("s2.example")
	e.Delete("never.example")
	e.Set("*.w.example", 9)
	second := e.Table()

	if v, _ := first.Lookup("s1.example"); v != 1 || first.Len() != 5000 {
		t.Errorf("the old table changed: %d, %d names", v, first.Len())
	}
	got := maps.Collect(second.All())
	want := maps.Collect(first.All())
	want["s1.example"], want["new.example"], want["*.w.example"] = -1, 7, 9
	delete(want, "s2.example")
	if d := cmp.Diff(want, got); d != "" || second.Len() != len(want) {
		t.Errorf("edited table has %d names (-want +got):\n%s", second.Len(), d)
	}
	shared := 0
	for i := range first.shards {
		// Maps are compared by what they are, not by what they hold.
		if fmt.Sprintf("%p", first.shards[i]) == fmt.Sprintf("%p", second.shards[i]) {
			shared++
		}
	}
	if shared < shards-4 {
		t.Errorf("four changes copied %d shards", shards-shared)
	}
}

func TestLookupAllocatesNothing(t *testing.T) {
	e := (*Table[*int])(nil).Edit()
	e.Set("*.example.com", new(int))
	table := e.Table()
	if n := testing.AllocsPerRun(100, func() {
		if _, ok := table.Lookup("shop.example.com"); !ok {
			t.Fatal("not found")
		}
		table.Lookup("unknown.example.net")
	}); n != 0 {
		t.Errorf("%v allocations a look-up", n)
	}
}

func BenchmarkLookup(b *testing.B) {
	for _, n := range []int{10, 1000, 100_000} {
		e := (*Table[*int])(nil).Edit()
		names := make([]string, n)
		for i := range names {
			names[i] = fmt.Sprintf("site-%d.example.com", i)
			e.Set(names[i], new(int))
		}
		table := e.Table()
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				if _, ok := table.Lookup(names[i%n]); !ok {
					b.Fatal("not found")
				}
			}
		})
		b.Run(fmt.Sprintf("edit/%d", n), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				e := table.Edit()
				e.Set(names[i%n], new(int))
				e.Table()
			}
		})
	}
}
