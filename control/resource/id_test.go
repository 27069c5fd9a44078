package resource

import (
	"strings"
	"sync"
	"testing"
	"time"
)

func TestNewIDIsPrefixedLowerCaseAndGrows(t *testing.T) {
	last := ""
	for range 10_000 {
		id := NewID("dom")
		if len(id) != len("dom_")+26 || !strings.HasPrefix(id, "dom_") || id != strings.ToLower(id) {
			t.Fatalf("%q is not dom_ and a lower-case ULID", id)
		}
		if id <= last {
			t.Fatalf("%q does not sort after %q", id, last)
		}
		last = id
	}
}

func TestNewIDIsUniqueAcrossGoroutines(t *testing.T) {
	const each, goroutines = 2000, 8
	var mu sync.Mutex
	seen := make(map[string]bool, each*goroutines)
	var group sync.WaitGroup
	for range goroutines {
		group.Go(func() {
			ids := make([]string, each)
			for i := range ids {
				ids[i] = NewID("x")
			}
			mu.Lock()
			defer mu.Unlock()
			for _, id := range ids {
				seen[id] = true
			}
		})
	}
	group.Wait()
	if len(seen) != each*goroutines {
		t.Fatalf("%d IDs of %d are distinct", len(seen), each*goroutines)
	}
}

func TestULIDs(t *testing.T) {
	at := func(ms int64) time.Time { return time.UnixMilli(ms) }
	for _, c := range []struct {
		name  string
		state *ulids
		now   int64
		want  string
	}{
		{"same millisecond counts up", &ulids{time: 1, high: 0, low: 31}, 1, "0000000001" + "0000000000000010"},
		{"clock back keeps the time", &ulids{time: 32, high: 0, low: 0}, 5, "0000000010" + "0000000000000001"},
		{"low bits carry into high", &ulids{time: 1, high: 0, low: ^uint64(0)}, 1, "0000000001" + "000g000000000000"},
		{"all bits set borrow time", &ulids{time: 1, high: ^uint16(0), low: ^uint64(0)}, 1, "0000000002" + "0000000000000000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.state.next(at(c.now)); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
	// The example of the ULID specification: 1469918176385 ms is 01ARYZ6S41.
	if got := encodeULID(1469918176385, 0, 0)[:10]; got != "01aryz6s41" {
		t.Errorf("time encodes as %s, want 01aryz6s41", got)
	}
}
