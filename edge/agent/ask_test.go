package agent

import (
	"crypto/ed25519"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/edgewright/edgewright/edgeconfig"
)

// asker is an agent on a bus where nobody answers but the test.
type asker struct {
	*agent
	clock     time.Time
	applied   []string
	questions *nats.Subscription
	key       ed25519.PrivateKey
}

func newAsker(t *testing.T) *asker {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	id, err := newIdentity()
	if err != nil {
		t.Fatal(err)
	}
	id.Edge, id.TrustKeys = "edge_1", [][]byte{public}
	k := &asker{clock: time.Unix(1_700_000_000, 0), key: private}
	node := plainNode{onApply: func(docs []edgeconfig.Document) {
		for _, d := range docs {
			k.applied = append(k.applied, d.Key)
		}
	}}
	if k.agent, err = newAgent(Options{Identity: id, Node: node, Now: func() time.Time { return k.clock }}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.verifier.stop)
	k.spool = newSpool("", k.log)
	k.due.begin(k.clock, time.Hour, time.Hour)
	bus, err := server.NewServer(&server.Options{DontListen: true, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	bus.Start()
	t.Cleanup(func() { bus.Shutdown(); bus.WaitForShutdown() })
	if k.conn, err = nats.Connect("", nats.InProcessServer(bus)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.conn.Close)
	if k.questions, err = k.conn.SubscribeSync(edgeconfig.SubjectUp + ">"); err != nil {
		t.Fatal(err)
	}
	return k
}

// asks is the next question and where its answer goes, "" when there is none.
func (k *asker) asks(t *testing.T) (what, reply string) {
	t.Helper()
	k.ask()
	if err := k.conn.Flush(); err != nil {
		t.Fatal(err)
	}
	for {
		m, err := k.questions.NextMsg(time.Millisecond)
		if err != nil {
			return "", ""
		}
		if what = m.Subject[strings.LastIndexByte(m.Subject, '.')+1:]; m.Reply != "" {
			return what, m.Reply
		}
	}
}

func (k *asker) gets(t *testing.T, subject string, message any) {
	t.Helper()
	data, err := json.Marshal(message)
	if err != nil {
		t.Fatal(err)
	}
	k.receive(&nats.Msg{Subject: subject, Data: data})
}

func (k *asker) document(key string, revision int64) edgeconfig.Document {
	d := edgeconfig.Document{Key: key, Revision: revision, Scope: edgeconfig.ScopeAll, Body: json.RawMessage(`{}`)}
	d.Sign(k.key)
	return d
}

// A fleet that is slow to be answered must come nearer with every answer: what
// is missing is fetched before manifests that come meanwhile make it look again,
// late documents count, and what they have mended is not asked about.
func TestEveryAnswerBringsAnEdgeNearer(t *testing.T) {
	k := newAsker(t)
	d := k.document("site/a", 7)
	var published edgeconfig.Index
	published.Put(edgeconfig.Entry{Key: d.Key, Revision: d.Revision, Hash: d.Hash})
	manifest := published.Manifest()
	see := func() { k.gets(t, edgeconfig.SubjectManifest, manifest); k.clock = k.clock.Add(healWithin) }

	see()
	what, reply := k.asks(t)
	if what != "entries" {
		t.Fatalf("asks for %q first", what)
	}
	k.gets(t, reply, edgeconfig.Entries{Own: true, Buckets: published.Differs(nil), Entries: published.Bucket(published.Differs(nil)[0])})
	see()
	what, first := k.asks(t)
	if what != "documents" {
		t.Fatalf("asks for %q although it knows what is missing", what)
	}
	for range 3 { // given up, and asked again, each time waiting longer
		waited := k.clock
		if k.clock = k.asking.deadline; k.clock.Sub(waited) < askWithin {
			t.Errorf("gives up after %s", k.clock.Sub(waited))
		}
		k.ask()
		k.clock = k.asking.notYet
		see()
		if what, reply = k.asks(t); what != "documents" || reply == first {
			t.Fatalf("then asks for %q", what)
		}
	}
	if wait := k.asking.deadline.Sub(k.clock); wait <= askWithin {
		t.Errorf("waits %s after having waited in vain three times", wait)
	}
	k.gets(t, first, edgeconfig.Documents{Documents: []edgeconfig.Document{d}})
	if !slices.Equal(k.applied, []string{"site/a"}) {
		t.Fatalf("applied %v of an answer that came late", k.applied)
	}
	k.gets(t, reply, edgeconfig.Documents{Documents: []edgeconfig.Document{d}})
	if what, _ := k.asks(t); what != "" || len(k.applied) != 1 {
		t.Errorf("asks for %q with everything there; applied %v", what, k.applied)
	}
}

// Who holds the same as the manifest does not read its digests; who does not,
// and cannot read them, stays as it is.
func TestDigestsAreReadWhenSomethingDiffers(t *testing.T) {
	k := newAsker(t)
	same := k.all.Manifest()
	same.Digests = json.RawMessage(`"not digests"`)
	other := same
	other.Root = "0123"
	var more edgeconfig.Index
	more.Put(edgeconfig.Entry{Key: "site/a", Revision: 7, Hash: "h"})
	for i, c := range []struct {
		manifest edgeconfig.Manifest
		buckets  int
	}{{same, 0}, {other, 0}, {more.Manifest(), 1}, {other, 1}, {same, 0}} {
		if k.gets(t, edgeconfig.SubjectManifest, c.manifest); len(k.asking.buckets) != c.buckets {
			t.Errorf("after manifest %d the edge asks about %d buckets, not %d", i, len(k.asking.buckets), c.buckets)
		}
	}
}

// Only documents are taken from an answer that was given up: they are signed and
// numbered, the others were true when they were given.
func TestOtherLateAnswersAreDropped(t *testing.T) {
	k := newAsker(t)
	k.asking.manifest = true
	what, first := k.asks(t)
	if what != "manifest" {
		t.Fatalf("asks for %q", what)
	}
	k.clock = k.asking.deadline
	k.ask()
	k.clock = k.asking.notYet
	if what, _ := k.asks(t); what != "manifest" {
		t.Fatalf("asks for %q", what)
	}
	forged := edgeconfig.Document{Key: "site/a", Revision: 1, Scope: edgeconfig.ScopeAll, Body: json.RawMessage(`{}`)}
	k.gets(t, first, edgeconfig.Entries{Entries: []edgeconfig.Entry{{Key: "site/b", Revision: 1}}, Buckets: []int{1}})
	k.gets(t, first, edgeconfig.Manifest{PurgeSeq: 5})
	k.gets(t, first, edgeconfig.Documents{Documents: []edgeconfig.Document{forged}})
	if len(k.asking.keys) > 0 || k.purgeSeq >= 0 || len(k.applied) > 0 || k.asking.what != "manifest" {
		t.Errorf("keys %v, purges up to %d, applied %v, asking %q", k.asking.keys, k.purgeSeq, k.applied, k.asking.what)
	}
}
