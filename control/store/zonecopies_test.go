package store_test

import (
	"bytes"
	"testing"

	"github.com/edgewright/edgewright/control/store"
	"github.com/edgewright/edgewright/control/store/storetest"
	"github.com/edgewright/edgewright/fault"
)

// Copies of zones are kept whole, whatever their size, and replaced as one.
func TestZoneCopies(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		if _, err := db.ZoneCopy(ctx, "zon_1"); !fault.Is(err, fault.NotFound) {
			t.Errorf("before there is one: %v", err)
		}
		large := bytes.Repeat([]byte("zone"), 700_000)
		for _, body := range [][]byte{{}, []byte("small"), large, large[:1<<20], []byte("small again")} {
			if err := db.PutZoneCopy(ctx, "zon_1", body); err != nil {
				t.Fatal(err)
			}
			got, err := db.ZoneCopy(ctx, "zon_1")
			if err != nil || !bytes.Equal(got, body) {
				t.Fatalf("%d bytes are read back as %d, %v", len(body), len(got), err)
			}
		}
		if err := db.DeleteZoneCopy(ctx, "zon_2"); err != nil {
			t.Error(err)
		}
		if err := db.DeleteZoneCopy(ctx, "zon_1"); err != nil {
			t.Error(err)
		}
		if _, err := db.ZoneCopy(ctx, "zon_1"); !fault.Is(err, fault.NotFound) {
			t.Errorf("after it was deleted: %v", err)
		}
	})
}
