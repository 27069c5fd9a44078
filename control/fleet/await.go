package fleet

import (
	"context"
	"strings"
	"time"

	"github.com/edgewright/edgewright/fault"
)

// WaitDocuments waits until documents are published and every connected edge has
// applied them. want says which, by key, and how their hashes begin; it is asked
// again while it waits, because a newer version may take the place of the one
// that was wanted. Error: Unavailable, as Present's.
func (f *Fleet) WaitDocuments(ctx context.Context, want func() map[string]string) error {
	for {
		l := f.lead.Load()
		if l == nil {
			return errNotLeading
		}
		numbers, missing := map[string]int64{}, ""
		for key, hash := range want() {
			entry, _, known := l.ledger.get(key)
			if !known || !strings.HasPrefix(entry.Hash, hash) {
				missing = key
				break
			}
			numbers[key] = entry.Revision
		}
		if missing == "" {
			for key, number := range numbers {
				if err := f.waitApplied(ctx, key, number); err != nil {
					return err
				}
			}
			return nil
		}
		pause := time.NewTimer(publishedEvery)
		select {
		case <-pause.C:
		case <-l.ended:
			pause.Stop()
			return errNotLeading
		case <-ctx.Done():
			pause.Stop()
			return fault.New(fault.Unavailable, "document %s could not be published in time: %w", missing, ctx.Err())
		}
	}
}

// publishedEvery is how often a wait looks whether something is published.
const publishedEvery = 5 * time.Millisecond
