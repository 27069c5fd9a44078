package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/edgewright/edgewright/control/fleet"
	"github.com/edgewright/edgewright/control/store"
	"github.com/edgewright/edgewright/control/store/storetest"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

var (
	_ fleet.DocumentStore = (*store.DB)(nil)
	_ fleet.PurgeStore    = (*store.DB)(nil)
	_ fleet.TokenStore    = (*store.DB)(nil)
)

func document(key string, revision int64, body string) edgeconfig.Document {
	d := edgeconfig.Document{Key: key, Scope: edgeconfig.ScopeAll, Revision: revision, Signature: []byte{1, 2, 3}}
	if body == "" {
		d.Deleted = true
	} else {
		d.Body = json.RawMessage(body)
	}
	d.Hash = edgeconfig.HashBody(d.Body)
	return d
}

func TestDocuments(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		own := document("keys/edge_1", 12, `{"edge":"edge_1"}`)
		own.Scope = "edge_1"
		docs := []edgeconfig.Document{document("site/a", 10, `{"a":"<\"é\">"}`), document("site/b", 11, ""), own}
		if err := db.SaveDocuments(ctx, 0, 12, 7, docs, map[string]int64{"site/a": 5}); err != nil {
			t.Fatal(err)
		}
		type metadata struct {
			Document edgeconfig.Document
			Cause    int64
		}
		var got []metadata
		err := db.Documents(ctx, func(d edgeconfig.Document, cause int64) error {
			got = append(got, metadata{d, cause})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		want := []metadata{{own, 0}, {docs[0], 5}, {docs[1], 0}}
		for i := range want {
			want[i].Document.Body = nil
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		bodies, err := db.DocumentBodies(ctx, []string{"site/b", "site/a", "site/unknown", "site/a"})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(docs[:2], bodies); diff != "" {
			t.Error(diff)
		}
		seq, err := db.DocumentSeq(ctx)
		watched, err2 := db.WatchedSeq(ctx)
		if err := errors.Join(err, err2); err != nil || seq != 12 || watched != 7 {
			t.Errorf("numbers %d and %d, error %v", seq, watched, err)
		}
		stop := errors.New("stop")
		if err := db.Documents(ctx, func(edgeconfig.Document, int64) error { return stop }); !errors.Is(err, stop) {
			t.Errorf("an error of the reader is lost: %v", err)
		}
	})
}

// An older revision never overwrites a newer one, and two publishers never both
// succeed.
func TestSaveDocumentsRefuses(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		if err := db.SaveDocuments(ctx, 0, 20, 0, []edgeconfig.Document{document("site/a", 20, `{}`)}, nil); err != nil {
			t.Fatal(err)
		}
		for name, c := range map[string]struct {
			prev int64
			doc  edgeconfig.Document
			code fault.Code
		}{
			"another publisher": {0, document("site/b", 30, `{}`), fault.Stale},
			"equal revision":    {20, document("site/a", 20, `{"new":1}`), fault.Invalid},
			"older revision":    {20, document("site/a", 19, `{"new":1}`), fault.Invalid},
		} {
			docs := []edgeconfig.Document{document("site/first", 29, `{}`), c.doc}
			if err := db.SaveDocuments(ctx, c.prev, 30, 9, docs, nil); !fault.Is(err, c.code) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if docs, err := db.DocumentBodies(ctx, []string{"site/first", "site/a"}); err != nil || len(docs) != 1 || docs[0].Revision != 20 {
			t.Errorf("a refused save left something: %v, %v", docs, err)
		}
		if n, _ := db.WatchedSeq(ctx); n != 0 {
			t.Errorf("a refused save moved the watch to %d", n)
		}
	})
}

func TestManyDocumentBodies(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		var docs []edgeconfig.Document
		var keys []string
		for i := range 700 {
			docs = append(docs, document(fmt.Sprintf("site/%03d", i), int64(i+1), fmt.Sprint(i)))
			keys = append(keys, docs[i].Key)
		}
		if err := db.SaveDocuments(ctx, 0, 700, 0, docs, nil); err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{0, 1, 2, 16, 17, 256, 257, 700} {
			got, err := db.DocumentBodies(ctx, keys[:n])
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(docs[:n], got); diff != "" {
				t.Errorf("%d keys: %s", n, diff)
			}
		}
	})
}

func TestPurges(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		if list, oldest, last, err := db.PurgesSince(ctx, 0, 10); err != nil || len(list) != 0 || oldest != 0 || last != 0 {
			t.Fatalf("an empty log answers %v %d %d %v", list, oldest, last, err)
		}
		at := time.Now().UTC().Truncate(time.Microsecond)
		add := func() (edgeconfig.Purge, error) {
			return db.AddPurge(ctx, func(seq int64) (edgeconfig.Purge, error) {
				return edgeconfig.Purge{Seq: seq, ID: fmt.Sprintf("prg_%d", seq), Project: "p", Environment: "e", Paths: []string{"/<a>"}, At: at, Signature: []byte{1}}, nil
			})
		}
		// Concurrent purges get numbers without a hole.
		var group sync.WaitGroup
		for range 20 {
			group.Go(func() {
				if _, err := add(); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		refused := errors.New("refused")
		if _, err := db.AddPurge(ctx, func(int64) (edgeconfig.Purge, error) { return edgeconfig.Purge{}, refused }); !errors.Is(err, refused) {
			t.Errorf("an error of sign is lost: %v", err)
		}
		p, err := add()
		if err != nil || p.Seq != 21 {
			t.Fatalf("purge %d, %v", p.Seq, err)
		}
		list, oldest, last, err := db.PurgesSince(ctx, 18, 2)
		if err != nil || oldest != 1 || last != 21 || len(list) != 2 || list[0].Seq != 19 || list[1].Seq != 20 {
			t.Errorf("since 18: %v, %d to %d, %v", list, oldest, last, err)
		}
		got, outcome, err := db.PurgeByID(ctx, "prg_21")
		if diff := cmp.Diff(p, got); diff != "" || outcome != nil || err != nil {
			t.Error(diff, outcome, err)
		}
		if err := db.SavePurgeOutcome(ctx, 21, json.RawMessage(`{"state":"acknowledged"}`)); err != nil {
			t.Fatal(err)
		}
		if _, outcome, _ := db.PurgeByID(ctx, "prg_21"); string(outcome) != `{"state":"acknowledged"}` {
			t.Errorf("outcome %s", outcome)
		}
		if err := db.ForgetPurges(ctx, 5); err != nil {
			t.Fatal(err)
		}
		if list, oldest, last, _ := db.PurgesSince(ctx, 0, 100); len(list) != 5 || oldest != 17 || last != 21 {
			t.Errorf("after forgetting: %d purges from %d to %d", len(list), oldest, last)
		}
		if _, _, err := db.PurgeByID(ctx, "prg_1"); !fault.Is(err, fault.NotFound) {
			t.Errorf("a forgotten purge: %v", err)
		}
	})
}

func TestJoinTokens(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		now := time.Now()
		for _, hash := range []string{"one", "two"} {
			if err := db.PutJoinToken(ctx, []byte(hash), "fra", now, now.Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		use := func(hash, key, edge string, at time.Time) (string, string, error) {
			return db.UseJoinToken(ctx, []byte(hash), "", key, edge, at)
		}
		if _, _, err := db.UseJoinToken(ctx, []byte("one"), "nyc", "UA", "edge_a", now); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "--region fra") {
			t.Errorf("another region: %v", err)
		}
		region, edge, err := use("one", "UA", "edge_a", now) // it was not spent
		if region != "fra" || edge != "edge_a" || err != nil {
			t.Fatalf("first use: %q %q %v", region, edge, err)
		}
		// The answer got lost; the same key asks again, even late.
		if _, edge, err := use("one", "UA", "edge_b", now.Add(2*time.Hour)); edge != "edge_a" || err != nil {
			t.Errorf("repeated use: %q %v", edge, err)
		}
		for name, err := range map[string]error{
			"another key": third(use("one", "UB", "edge_b", now)),
			"unknown":     third(use("three", "UA", "edge_a", now)),
			"expired":     third(use("two", "UA", "edge_a", now.Add(time.Hour))),
		} {
			if !fault.Is(err, fault.Unauthenticated) {
				t.Errorf("%s: %v", name, err)
			}
		}
		// Many at once: one gets it.
		var group sync.WaitGroup
		var mu sync.Mutex
		won := 0
		for i := range 10 {
			group.Go(func() {
				if _, _, err := use("two", fmt.Sprint("U", i), fmt.Sprint("edge_", i), now); err == nil {
					mu.Lock()
					won++
					mu.Unlock()
				}
			})
		}
		group.Wait()
		if won != 1 {
			t.Errorf("%d edges joined with one token", won)
		}
	})
}

func third[A, B any](_ A, _ B, err error) error { return err }

func TestSaveDocumentsEndsWithItsContext(t *testing.T) {
	db := storetest.SQLite(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := db.SaveDocuments(ctx, 0, 1, 0, []edgeconfig.Document{document("site/a", 1, `{}`)}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("saved after its context ended: %v", err)
	}
}
