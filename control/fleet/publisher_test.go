package fleet

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// noStore is a record that takes everything.
type noStore struct{ DocumentStore }

func (noStore) SaveDocuments(context.Context, int64, int64, int64, []edgeconfig.Document, map[string]int64) error {
	return nil
}

// bench is a publisher whose sent documents can be looked at.
type bench struct {
	*publisher
	sent []edgeconfig.Document
	held []Held
	now  time.Time
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{now: time.UnixMilli(5_000_000)}
	clock := func() time.Time { return b.now }
	keys, err := newKeys(b.now)
	if err != nil {
		t.Fatal(err)
	}
	b.publisher = &publisher{
		documents: noStore{}, ledger: newLedger(), tracker: newTracker(clock), registry: newRegistry(clock, time.Minute),
		keys: func() *keyset { return keys }, log: slog.New(slog.DiscardHandler), now: clock,
		send: func(_ string, data []byte) error {
			var d edgeconfig.Document
			if err := json.Unmarshal(data, &d); err != nil {
				return err
			}
			b.sent = append(b.sent, d)
			return nil
		},
		report: func(h Held) { b.held = append(b.held, h) },
		wake:   make(chan struct{}, 1), space: make(chan struct{}),
	}
	b.publisher.held, b.recent = map[string]change{}, map[string][]time.Time{}
	return b
}

func (b *bench) batch(t *testing.T, changes ...change) []edgeconfig.Document {
	t.Helper()
	before := len(b.sent)
	if err := b.publish(t.Context(), changes, 0); err != nil {
		t.Fatal(err)
	}
	return b.sent[before:]
}

func says(key, body string) change {
	return change{Output: Output{Key: key, Scope: edgeconfig.ScopeAll, Body: json.RawMessage(body)}}
}

func gone(key string) change { return change{Output: Output{Key: key, Deleted: true}} }

func TestPublishedOnceAndInOrder(t *testing.T) {
	b := newBench(t)
	docs := b.batch(t, says("site/a", `{"v": 1, "s": "<&>"}`), says("certificate/c", `{}`), says("keys/e", `{}`), says("site/a", `{"v":2}`), gone("site/never"))
	var order []string
	for _, d := range docs {
		order = append(order, d.Key)
	}
	if strings.Join(order, " ") != "keys/e certificate/c site/a" {
		t.Errorf("sent in the order %v", order)
	}
	trusted := b.keys().trusted()
	for i, d := range docs {
		if d.Verify([]ed25519.PublicKey{trusted[0]}) != nil || d.Revision != 5_000_000+int64(i) {
			t.Errorf("%s: revision %d, %v", d.Key, d.Revision, d.Verify([]ed25519.PublicKey{trusted[0]}))
		}
	}
	if again := b.batch(t, says("site/a", ` { "v" : 2 } `), says("keys/e", `{}`)); len(again) != 0 {
		t.Errorf("what has not changed was sent again: %v", again)
	}
	b.now = b.now.Add(-time.Hour) // a clock that goes back
	if docs := b.batch(t, says("site/a", `{"v":3}`)); docs[0].Revision != 5_000_003 {
		t.Errorf("revision %d after a clock went back", docs[0].Revision)
	}
}

func TestPublishingAgain(t *testing.T) {
	b := newBench(t)
	b.batch(t, says("site/a", `{"v":1}`))
	again := says("site/a", `{"v":1}`)
	again.again, again.atLeast = true, 9_000_000
	if docs := b.batch(t, again); len(docs) != 1 || docs[0].Revision != 9_000_000 {
		t.Errorf("%v", docs)
	}
	// Also when a change that changes nothing comes behind it in the same batch.
	again.atLeast = 9_500_000
	if docs := b.batch(t, again, says("site/a", `{"v":1}`)); len(docs) != 1 || docs[0].Revision != 9_500_000 {
		t.Errorf("overtaken: %v", docs)
	}
	stranger := gone("site/x")
	stranger.again, stranger.atLeast = true, 9_900_000
	if docs := b.batch(t, stranger); len(docs) != 1 || !docs[0].Deleted || docs[0].Revision != 9_900_000 {
		t.Errorf("a document that is not known: %v", docs)
	}
}

func TestGuard(t *testing.T) {
	fill := func(t *testing.T, n int) *bench {
		b := newBench(t)
		for i := range n {
			b.batch(t, says(fmt.Sprint("site/", i), `{}`))
		}
		return b
	}
	removals := func(from, to int) (list []change) {
		for i := from; i < to; i++ {
			list = append(list, gone(fmt.Sprint("site/", i)))
		}
		return list
	}
	t.Run("all", func(t *testing.T) {
		b := fill(t, 20)
		if docs := b.batch(t, removals(0, 20)...); len(docs) != 0 || len(b.held) != 1 || len(b.held[0].Keys) != 20 || b.held[0].Of != 20 {
			t.Errorf("%d removed, %v", len(docs), b.held)
		}
		// What follows of the kind is as suspicious; another kind is not.
		if docs := b.batch(t, gone("site/0")); len(docs) != 0 {
			t.Error("one more was let through")
		}
		b.batch(t, says("certificate/c", `{}`))
		if docs := b.batch(t, gone("certificate/c")); len(docs) != 1 {
			t.Error("a certificate was held back for the sites")
		}
		// Said again, a document is not held any more; asked for, it goes.
		b.batch(t, says("site/0", `{}`))
		asked := gone("site/1")
		asked.asked = true
		if docs := b.batch(t, asked); len(docs) != 1 || len(b.heldOf("site").Keys) != 18 {
			t.Errorf("%d removed, %d held", len(docs), len(b.heldOf("site").Keys))
		}
		// Consent is not lost when the compiler repeats the removal.
		asked.Key = "site/2"
		if docs := b.batch(t, asked, gone("site/2")); len(docs) != 1 {
			t.Error("the repetition took the consent away")
		}
	})
	t.Run("few", func(t *testing.T) {
		b := fill(t, 20)
		if docs := b.batch(t, removals(0, 6)...); len(docs) != 6 || len(b.held) != 0 {
			t.Errorf("%d of 6 removed", len(docs))
		}
		b.now = b.now.Add(30 * time.Second) // within the window they add up
		if docs := b.batch(t, removals(6, 8)...); len(docs) != 0 {
			t.Errorf("%d removed on top of 6 of 20", len(docs))
		}
	})
	t.Run("later", func(t *testing.T) {
		b := fill(t, 20)
		b.batch(t, removals(0, 6)...)
		b.now = b.now.Add(2 * guardWindow)
		if docs := b.batch(t, removals(6, 8)...); len(docs) != 2 {
			t.Errorf("%d removed", len(docs))
		}
	})
	t.Run("small", func(t *testing.T) {
		b := fill(t, 9)
		if docs := b.batch(t, removals(0, 9)...); len(docs) != 9 {
			t.Errorf("%d of 9 removed", len(docs))
		}
	})
	t.Run("strangers", func(t *testing.T) {
		b := fill(t, 2)
		var list []change
		for i := range 30 {
			c := gone(fmt.Sprint("site/stranger", i))
			c.again = true
			list = append(list, c)
		}
		if docs := b.batch(t, list...); len(docs) != 0 {
			t.Errorf("%d documents that edges hold were removed by a control plane that knows 2", len(docs))
		}
	})
	t.Run("own", func(t *testing.T) {
		b := newBench(t)
		var put, remove []change
		for i := range 30 {
			put = append(put, says(fmt.Sprint("challenge/", i), `{}`))
			remove = append(remove, gone(fmt.Sprint("challenge/", i)))
		}
		b.batch(t, put...)
		if docs := b.batch(t, remove...); len(docs) != 30 {
			t.Errorf("%d of 30 challenges removed", len(docs))
		}
	})
}

func TestWhatFitsNoMessage(t *testing.T) {
	b := newBench(t)
	b.batch(t, says("site/a", `{"v":1}`))
	var told []error
	done := func(_ int64, err error) { told = append(told, err) }
	large, broken := says("site/a", `"`+strings.Repeat("x", edgeconfig.MaxDocumentBytes)+`"`), says("site/b", `{`)
	large.done, broken.done = done, done
	if docs := b.batch(t, large, broken, says("site/c", `{}`)); len(docs) != 1 || docs[0].Key != "site/c" {
		t.Errorf("%d sent", len(docs))
	}
	if len(told) != 2 || !fault.Is(told[0], fault.TooLarge) || !fault.Is(told[1], fault.Internal) {
		t.Errorf("%v", told)
	}
}

func TestEntriesFitAReply(t *testing.T) {
	l := newLedger()
	var docs []edgeconfig.Document
	for i := range 20_000 {
		docs = append(docs, edgeconfig.Document{Key: fmt.Sprintf("site/dom_%026d", i), Scope: edgeconfig.ScopeAll, Revision: int64(i + 1), Hash: edgeconfig.HashBody(nil)})
	}
	l.record(docs, nil, 20_000)
	want := make([]int, edgeconfig.Buckets)
	for i := range want {
		want[i] = i
	}
	seen, asked := 0, 0
	for rest := want; len(rest) > 0; asked++ {
		reply := l.entries("edge_1", edgeconfig.EntriesRequest{Buckets: rest})
		encoded, err := json.Marshal(reply)
		if err != nil || len(encoded) > maxMessage || len(reply.Buckets) == 0 {
			t.Fatalf("a reply of %d bytes with %d buckets, %v", len(encoded), len(reply.Buckets), err)
		}
		seen += len(reply.Entries)
		rest = slices.DeleteFunc(slices.Clone(rest), func(n int) bool { return slices.Contains(reply.Buckets, n) })
	}
	if seen != 20_000 || asked > 6 {
		t.Errorf("%d entries in %d replies", seen, asked)
	}
}
