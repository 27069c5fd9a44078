package store_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/store"
	"github.com/edgewright/edgewright/control/store/storetest"
)

// siteSpecText has the size of an ordinary domain's spec.
const siteSpecText = `{"domain":"shop.example.com","auto_configure":true,"cdn":"default","redirect_https":true,"n":%d}`

// eachDatabase runs a benchmark on SQLite (synced to disk) and PostgreSQL (the
// test server does not sync).
func eachDatabase(b *testing.B, run func(b *testing.B, db *store.DB)) {
	b.Run("sqlite", func(b *testing.B) { run(b, storetest.SQLite(b)) })
	b.Run("postgres-nosync", func(b *testing.B) { run(b, storetest.Postgres(b)) })
}

func perSecond(b *testing.B, what string) {
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), what+"/s")
}

// BenchmarkPut measures acknowledged updates, each a revision with history and
// audit record: by one writer, and by 16 on resources of their own.
func BenchmarkPut(b *testing.B) {
	for _, writers := range []int{1, 16} {
		b.Run(fmt.Sprint("writers=", writers), func(b *testing.B) {
			eachDatabase(b, func(b *testing.B, db *store.DB) {
				resources := make([]resource.Resource, writers)
				for i := range resources {
					resources[i] = create(b, db, "p", fmt.Sprint("n", i), `{}`)
				}
				b.ResetTimer()
				var next atomic.Int64
				var group sync.WaitGroup
				for _, r := range resources {
					group.Go(func() {
						for {
							n := next.Add(1)
							if n > int64(b.N) {
								return
							}
							done, err := db.Commit(context.Background(), resource.Commit{Changes: []resource.Change{update(r, fmt.Sprintf(siteSpecText, n))}, Cause: cause})
							if err != nil {
								b.Error(err)
								return
							}
							r = done.Resources[0]
						}
					})
				}
				group.Wait()
				perSecond(b, "puts")
			})
		})
	}
}

// BenchmarkPutStatus measures acknowledged status writes by one writer.
func BenchmarkPutStatus(b *testing.B) {
	eachDatabase(b, func(b *testing.B, db *store.DB) {
		r := create(b, db, "p", "n", `{}`)
		for n := 0; b.Loop(); n++ {
			if _, err := db.PutStatus(context.Background(), r.Kind, r.ID, fmt.Appendf(nil, `{"n":%d}`, n), 0); err != nil {
				b.Fatal(err)
			}
		}
		perSecond(b, "puts")
	})
}

// BenchmarkListAll reads 10,000 resources in pages of 1,000, as a restart does.
func BenchmarkListAll(b *testing.B) {
	eachDatabase(b, func(b *testing.B, db *store.DB) {
		const count, each = 10_000, 1000
		for i := range count / each {
			var changes []resource.Change
			for j := range each {
				changes = append(changes, creation("p", fmt.Sprint(i, "-", j), fmt.Sprintf(siteSpecText, j)))
			}
			commit(b, db, changes...)
		}
		for b.Loop() {
			q := resource.Query{Kind: "domain", Limit: 1000}
			n := 0
			for {
				page, err := db.List(context.Background(), q)
				if err != nil {
					b.Fatal(err)
				}
				n += len(page.Items)
				if q.Cursor = page.Next; page.Next == "" {
					break
				}
			}
			if n != count {
				b.Fatalf("%d resources", n)
			}
		}
	})
}

// BenchmarkWatchAll receives 10,000 resources from a watch that begins at 0.
func BenchmarkWatchAll(b *testing.B) {
	eachDatabase(b, func(b *testing.B, db *store.DB) {
		const count = 10_000
		changes := make([]resource.Change, count)
		for i := range changes {
			changes[i] = creation("p", fmt.Sprint(i), fmt.Sprintf(siteSpecText, i))
		}
		commit(b, db, changes...)
		for b.Loop() {
			ctx, stop := context.WithCancel(context.Background())
			n := 0
			err := db.Watch(ctx, 0, func(resource.Event) error {
				if n++; n == count {
					stop()
				}
				return nil
			})
			if n != count {
				b.Fatalf("%d events, %v", n, err)
			}
		}
	})
}
