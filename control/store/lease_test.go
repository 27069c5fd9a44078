package store_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edgewright/edgewright/control/store"
	"github.com/edgewright/edgewright/control/store/storetest"
)

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) time() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func TestLease(t *testing.T) {
	c := &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	storetest.EachWith(t, store.Options{Now: c.time}, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		acquire := func(holder string) (store.Lease, bool) {
			t.Helper()
			lease, held, err := db.AcquireLease(ctx, "reconcile", holder, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			return lease, held
		}
		first, held := acquire("a")
		if !held || first.Holder != "a" || !first.ExpiresAt.Equal(c.time().Add(time.Minute)) {
			t.Fatalf("a got %+v, %v", first, held)
		}
		if lease, held := acquire("b"); held || lease.Holder != "a" {
			t.Fatalf("b got %+v, %v", lease, held)
		}
		c.advance(50 * time.Second)
		if lease, held := acquire("a"); !held || lease.Token != first.Token || !lease.ExpiresAt.Equal(c.time().Add(time.Minute)) {
			t.Fatalf("a renewed to %+v, %v", lease, held)
		}
		c.advance(59 * time.Second)
		if _, held := acquire("b"); held {
			t.Fatal("b got a lease that was renewed")
		}
		c.advance(time.Second)
		second, held := acquire("b")
		if !held || second.Token <= first.Token {
			t.Fatalf("b got %+v, %v after %+v expired", second, held, first)
		}
		if err := db.ReleaseLease(ctx, "reconcile", "a"); err != nil { // not a's any more
			t.Fatal(err)
		}
		if _, held := acquire("a"); held {
			t.Fatal("a released the lease of b")
		}
		if err := db.ReleaseLease(ctx, "reconcile", "b"); err != nil {
			t.Fatal(err)
		}
		if third, held := acquire("a"); !held || third.Token <= second.Token {
			t.Fatalf("a got %+v, %v", third, held)
		}
		if _, held, err := db.AcquireLease(ctx, "another", "b", time.Minute); !held || err != nil {
			t.Fatalf("leases are not apart: %v, %v", held, err)
		}
	})
}

// Of several control planes exactly one leads; when it stops, another follows.
func TestLead(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		keys := storetest.Keyring(t)
		const planes, ttl = 3, 300 * time.Millisecond
		var leading atomic.Int32
		terms := make(chan string)
		var group sync.WaitGroup
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		stops := map[string]context.CancelFunc{}
		for _, holder := range []string{"a", "b", "c"} {
			db := storetest.Open(t, dsn, keys, store.Options{})
			own, stop := context.WithCancel(ctx)
			stops[holder] = stop
			group.Go(func() {
				err := db.Lead(own, "reconcile", holder, ttl, func(ctx context.Context, lease store.Lease) error {
					if n := leading.Add(1); n != 1 {
						t.Errorf("%d lead at once", n)
					}
					defer leading.Add(-1)
					terms <- holder
					<-ctx.Done()
					return ctx.Err()
				})
				if !errors.Is(err, context.Canceled) {
					t.Errorf("%s stopped leading with %v", holder, err)
				}
			})
		}
		seen := map[string]bool{}
		for range planes {
			select {
			case holder := <-terms:
				if seen[holder] {
					t.Errorf("%s leads again although it was stopped", holder)
				}
				seen[holder] = true
				stops[holder]()
			case <-ctx.Done():
				t.Fatalf("nobody leads after %v", seen)
			}
		}
		group.Wait()
	})
}

// A leader that cannot renew must stop before the lease can go to another.
func TestLeaderStopsWhenTheLeaseIsTaken(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		db := storetest.Open(t, dsn, storetest.Keyring(t), store.Options{})
		raw := behind(t, dsn)
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		terms := 0
		enough := errors.New("enough")
		err := db.Lead(ctx, "reconcile", "a", 300*time.Millisecond, func(ctx context.Context, _ store.Lease) error {
			if terms++; terms == 2 {
				return enough // led again after the other's lease was over
			}
			far := time.Now().Add(time.Second).UnixMicro()
			if _, err := raw.ExecContext(ctx, `UPDATE leases SET holder = 'b', token = token + 1, expires_at = $1`, far); err != nil {
				t.Errorf("taking the lease: %v", err)
			}
			<-ctx.Done()
			return ctx.Err()
		})
		if !errors.Is(err, enough) || terms != 2 {
			t.Fatalf("after %d terms: %v", terms, err)
		}
	})
}
