package fleet

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/edgewright/edgewright/edgeconfig"
)

func TestALaterQuestionTakesThePlaceOfTheEarlier(t *testing.T) {
	q := newQuestions()
	for _, m := range []struct{ edge, reply string }{{"a", "1"}, {"b", "1"}, {"a", "2"}, {"c", "1"}, {"a", "3"}} {
		q.put(m.edge, &nats.Msg{Reply: m.reply})
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var served []string
	q.serve(ctx, func(edge string, m *nats.Msg) {
		if served = append(served, edge+m.Reply); edge == "c" {
			cancel()
		}
	})
	if got := strings.Join(served, " "); got != "a3 b1 c1" {
		t.Errorf("served %s", got)
	}
	if len(q.waiting) != 0 || len(q.order) != 0 {
		t.Errorf("kept %v", q.order)
	}
}

func TestSeveralAnswerersServeAll(t *testing.T) {
	const edges = 1000
	q := newQuestions()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var mu sync.Mutex
	var all sync.WaitGroup
	served := map[string]int{}
	for range answerers {
		all.Go(func() {
			q.serve(ctx, func(edge string, _ *nats.Msg) {
				mu.Lock()
				defer mu.Unlock()
				if served[edge]++; len(served) == edges {
					cancel()
				}
			})
		})
	}
	for i := range edges {
		q.put(fmt.Sprint(i), &nats.Msg{})
	}
	all.Wait()
	if len(served) != edges {
		t.Errorf("%d of %d edges were answered", len(served), edges)
	}
}

func TestBodiesAreOfTheVersionAskedForAndBounded(t *testing.T) {
	var b bodies
	document := func(key string, revision int64, size int) edgeconfig.Document {
		return edgeconfig.Document{Key: key, Revision: revision, Hash: fmt.Sprint(revision), Body: []byte(strings.Repeat("x", size))}
	}
	has := func(key string, revision int64) bool {
		_, has := b.get(edgeconfig.Entry{Key: key, Revision: revision, Hash: fmt.Sprint(revision)})
		return has
	}
	if has("site/a", 1) {
		t.Error("nothing was read yet")
	}
	b.put(document("site/a", 1, 10))
	b.put(document("site/a", 2, 10))
	if has("site/a", 1) || !has("site/a", 2) || has("site/a", 3) {
		t.Error("another version than the one asked for")
	}
	const each = 64 << 10
	for i := range int64(4 * bodiesBytes / each) {
		b.put(document(fmt.Sprint("site/", i), 1, each))
		if !has("site/a", 2) {
			t.Fatalf("forgot after %d what is asked for all the time", i)
		}
	}
	kept := 0
	for _, generation := range []map[string]edgeconfig.Document{b.old, b.new} {
		for _, d := range generation {
			kept += len(d.Body)
		}
	}
	if kept > bodiesBytes+2*each || kept < bodiesBytes/4 {
		t.Errorf("keeps %d bytes", kept)
	}
}
