package store_test

import (
	"sync"
	"testing"
	"time"

	"github.com/edgewright/edgewright/control/certificates/authority"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/store"
	"github.com/edgewright/edgewright/control/store/storetest"
)

// The ledgers, on both databases and in memory, agree.
func TestLedger(t *testing.T) {
	t.Run("memory", func(t *testing.T) { holdLedger(t, authority.NewMemoryLedger()) })
	storetest.Each(t, func(t *testing.T, db *store.DB) { holdLedger(t, db) })
}

func holdLedger(t *testing.T, l authority.Ledger) {
	t.Helper()
	ctx := t.Context()
	start := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	orders := func(id string, at time.Time, dry bool) time.Time {
		t.Helper()
		free, err := l.Spend(ctx, authority.Spending{ID: id, Authority: "ca", At: at, Dry: dry, Wants: []authority.Want{
			{Kind: authority.SpentOrders, Max: 3, Window: time.Hour}, {Kind: authority.SpentDomain, Subject: id, Max: 1, Window: 24 * time.Hour},
		}})
		if err != nil {
			t.Fatal(err)
		}
		return free
	}
	for i, id := range []string{"a", "b", "c"} {
		if free := orders(id, start.Add(time.Duration(i)*time.Minute), false); !free.IsZero() {
			t.Fatalf("order %s waits until %v", id, free)
		}
	}
	if free := orders("d", start.Add(10*time.Minute), false); !free.Equal(start.Add(time.Hour)) {
		t.Errorf("the fourth is free at %v", free)
	}
	// What was refused was not noted, and asking notes nothing.
	if free := orders("d", start.Add(time.Hour), true); !free.IsZero() {
		t.Errorf("an hour later: %v", free)
	}
	if free := orders("d", start.Add(time.Hour), false); !free.IsZero() {
		t.Errorf("an hour later: %v", free)
	}
	// The longest wait of all that is wanted counts.
	if free := orders("a", start.Add(2*time.Hour), false); !free.Equal(start.Add(24 * time.Hour)) {
		t.Errorf("the same domain again: %v", free)
	}
	if err := l.Refund(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	if free := orders("a", start.Add(2*time.Hour), false); !free.IsZero() {
		t.Errorf("after a refund: %v", free)
	}
	// Only looked at, not noted.
	for range 5 {
		free, err := l.Spend(ctx, authority.Spending{ID: resource.NewID("spend"), Authority: "ca", At: start, Wants: []authority.Want{{Kind: authority.SpentFailures, Subject: "x", Max: -2, Window: time.Hour}}})
		if err != nil || !free.IsZero() {
			t.Fatalf("looking at failures: %v, %v", free, err)
		}
	}

	for _, p := range []authority.Pause{{Subject: "example.com", Until: start.Add(time.Hour), Reason: "limit"}, {Subject: "example.com", Until: start.Add(time.Minute)}, {Until: start.Add(time.Minute)}} {
		if err := l.Pause(ctx, "ca", p); err != nil {
			t.Fatal(err)
		}
	}
	pauses, err := l.Pauses(ctx, "ca", start.Add(2*time.Minute))
	if err != nil || len(pauses) != 1 || pauses[0].Subject != "example.com" || !pauses[0].Until.Equal(start.Add(time.Hour)) || pauses[0].Reason != "limit" {
		t.Errorf("pauses %+v, %v", pauses, err)
	}
	if pauses, err := l.Pauses(ctx, "other", start); err != nil || len(pauses) != 0 {
		t.Errorf("another CA's pauses: %+v, %v", pauses, err)
	}

	// Many at once never take more than there is.
	var wait sync.WaitGroup
	var mu sync.Mutex
	taken := 0
	for range 20 {
		wait.Go(func() {
			free, err := l.Spend(ctx, authority.Spending{ID: resource.NewID("spend"), Authority: "busy", At: start, Wants: []authority.Want{{Kind: authority.SpentOrders, Max: 7, Window: time.Hour}}})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			} else if free.IsZero() {
				taken++
			}
		})
	}
	wait.Wait()
	if taken != 7 {
		t.Errorf("%d of 20 at once were let through, want 7", taken)
	}
}
