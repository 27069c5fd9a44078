package domains_test

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"testing"

	"github.com/edgewright/edgewright/control/domains"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/store"
)

// busy is a store in which somebody else writes a status whenever it was read: a
// writer that reads first and writes what it has made of that never comes to it.
type busy struct {
	*store.DB
	t      *testing.T
	others atomic.Int64
}

func (b *busy) Get(ctx context.Context, kind resource.Kind, id string) (resource.Resource, error) {
	r, err := b.DB.Get(ctx, kind, id)
	if err == nil && r.Status != nil {
		_, err := b.DB.ChangeStatus(ctx, kind, id, func(r resource.Resource) (json.RawMessage, error) {
			var status map[string]any
			if err := json.Unmarshal(r.Status, &status); err != nil {
				return nil, err
			}
			status["attempts"] = b.others.Add(1)
			return json.Marshal(status)
		})
		if err != nil {
			b.t.Error(err)
		}
	}
	return r, err
}

// No number of attempts decides whether a domain's status can be written, and
// what others have written stays.
func TestStatusOfABusyDomain(t *testing.T) {
	w := newWorld(t, "")
	d := w.add("shop", "shop.example.com")
	b := &busy{DB: w.db, t: t}
	w.svc.Store = b
	got, err := w.svc.ChangeStatus(t.Context(), d.ID, func(d *domains.Domain) { d.Status.Watch = &domains.Watch{Error: "seen"} })
	if err != nil {
		t.Fatal(err)
	}
	stored := w.get("shop", "shop.example.com")
	if stored.Status.Watch == nil || stored.Status.Watch.Error != "seen" || stored.Status.Attempts != int(b.others.Load()) || got.Seq != stored.Seq {
		t.Fatalf("after %d writes of others: %+v", b.others.Load(), stored.Status)
	}
}
