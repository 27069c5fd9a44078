package store_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/store"
	"github.com/edgewright/edgewright/control/store/storetest"
)

func TestOpenAndCommit(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		id := resource.NewID("dom")
		done, err := db.Commit(context.Background(), resource.Commit{Changes: []resource.Change{{
			Op: resource.Create, Kind: "domain", ID: id, Project: "p", Environment: "e", Name: "n", Spec: json.RawMessage(`{"a": 1}`),
		}}})
		if err != nil {
			t.Fatal(err)
		}
		r, err := db.Get(context.Background(), "domain", id)
		if err != nil || r.Revision != done.Revision || string(r.Spec) != `{"a":1}` {
			t.Fatalf("got %+v, %v", r, err)
		}
	})
}
