package fleet_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/edgewright/edgewright/control/fleet"
	"github.com/edgewright/edgewright/control/fleet/fleettest"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/store/storetest"
	"github.com/edgewright/edgewright/edge/agent"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
	"github.com/edgewright/edgewright/secrets"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// within bounds waits in tests; reaching it fails the test.
const within = 30 * time.Second

func start(t *testing.T, o fleettest.Options) *fleettest.Fleet {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	if os.Getenv("EDGEWRIGHT_TEST_LOG") != "" {
		o.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	f, err := fleettest.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Stop(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// quick makes heartbeats and manifests frequent, so that healing is.
func quick(o *fleet.Options) { o.ManifestEvery = 50 * time.Millisecond }

func quickAgent(o *agent.Options) {
	o.HeartbeatEvery = 50 * time.Millisecond
	if os.Getenv("EDGEWRIGHT_TEST_LOG") != "" {
		o.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	if err := fleettest.Eventually(ctx, is); err != nil {
		t.Fatalf("never: %s", what)
	}
}

func join(t *testing.T, f *fleettest.Fleet, name string) *agent.Identity {
	t.Helper()
	id, err := f.JoinEdge(t.Context(), "", "fra", name)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// run starts an edge and waits until it is connected and holds everything.
func run(t *testing.T, f *fleettest.Fleet, id *agent.Identity, node *fleettest.Node, change func(*agent.Options)) *fleettest.Edge {
	t.Helper()
	e := f.Run(id, node, func(o *agent.Options) {
		quickAgent(o)
		if change != nil {
			change(o)
		}
	})
	t.Cleanup(func() {
		if err := e.Stop(); err != nil {
			t.Error(err)
		}
	})
	inSync(t, f, id.Edge)
	return e
}

func inSync(t *testing.T, f *fleettest.Fleet, edge string) {
	t.Helper()
	eventually(t, edge+" is connected and in sync", func() bool {
		e, err := f.Edge(t.Context(), edge)
		return err == nil && e.Connected && e.InSync
	})
}

func put(t *testing.T, f *fleettest.Fleet, name, origin string) int64 {
	t.Helper()
	revision, err := f.Put(t.Context(), name, origin)
	if err != nil {
		t.Fatal(err)
	}
	return revision
}

func TestChangeReachesEveryEdge(t *testing.T) {
	f := start(t, fleettest.Options{Change: quick})
	var nodes []*fleettest.Node
	for i := range 3 {
		node := &fleettest.Node{}
		nodes = append(nodes, node)
		run(t, f, join(t, f, fmt.Sprintf("edge-%d", i)), node, func(o *agent.Options) {
			o.Node = fleettest.Verifying{Node: node}
		})
	}
	revision := put(t, f, "a", "http://one")
	eventually(t, "the rollout is verified", func() bool { return f.Rollout(revision).Verified == 3 })
	r := f.Rollout(revision)
	if r.Documents != 1 || r.Edges != 3 || r.Applied != 3 || r.Pending+r.Rejected+r.Away != 0 {
		t.Errorf("%+v", r)
	}
	if r.StartedAt.IsZero() || r.AppliedAt.Before(r.StartedAt) || r.VerifiedAt.Before(r.AppliedAt) || r.AppliedP50 <= 0 || r.AppliedP99 < r.AppliedP50 {
		t.Errorf("times do not fit: %+v", r)
	}
	for _, n := range nodes {
		if n.Origin("a") != "http://one" {
			t.Errorf("an edge has %q", n.Origin("a"))
		}
	}
	if s := f.DocumentState(fleettest.SiteKey("a")); s.Applied != 3 || s.Edges != 3 {
		t.Errorf("document: %+v", s)
	}

	second := put(t, f, "a", "http://two")
	eventually(t, "the second rollout is verified", func() bool { return f.Rollout(second).Verified == 3 })
	removed, err := f.Delete(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the removal is applied", func() bool { return f.Rollout(removed).Applied == 3 })
	for _, n := range nodes {
		if n.Keys(edgeconfig.KindSite) != 0 {
			t.Error("an edge still has the site")
		}
	}
	// Answered also when it is not followed any more.
	eventually(t, "all are in sync", func() bool {
		edges, err := f.Edges(t.Context())
		return err == nil && !slices.ContainsFunc(edges, func(e fleet.Edge) bool { return !e.InSync })
	})
	f.ForgetRollouts()
	eventually(t, "it is verified after a restart too", func() bool { return f.Rollout(removed).Verified == 3 })
	if r := f.Rollout(removed); r.Documents != 1 || r.Applied != 3 || r.Edges != 3 {
		t.Errorf("after a restart: %+v", r)
	}
	if r := f.Rollout(revision); r.Documents != 0 {
		t.Errorf("a revision that was replaced: %+v", r)
	}
}

// blaming says of every document but the first's that revision caused it.
type blaming struct {
	fleet.Compiler
	revision int64
}

func (b *blaming) Apply(event resource.Event) []fleet.Output {
	outputs := b.Compiler.Apply(event)
	if b.revision == 0 {
		b.revision = event.Resource.Revision
		return outputs
	}
	for i := range outputs {
		outputs[i].Cause = b.revision
	}
	return outputs
}

// TestRolloutBelongsToTheCause: a document that comes with one commit but from
// another is counted to that.
func TestRolloutBelongsToTheCause(t *testing.T) {
	f := start(t, fleettest.Options{Change: func(o *fleet.Options) {
		quick(o)
		o.Compiler = &blaming{Compiler: o.Compiler}
	}})
	run(t, f, join(t, f, "edge"), &fleettest.Node{}, nil)
	wished := put(t, f, "a", "http://one")
	machinery := put(t, f, "b", "http://one")
	eventually(t, "both are applied", func() bool { r := f.Rollout(wished); return r.Documents == 2 && r.Applied == 1 })
	if r := f.Rollout(machinery); r.Documents != 0 {
		t.Errorf("the later commit: %+v", r)
	}
	f.ForgetRollouts() // a restart: the ledger knows as well
	if r := f.Rollout(wished); r.Documents != 2 {
		t.Errorf("after a restart: %+v", r)
	}
}

func TestEdgeThatComesLateGetsEverything(t *testing.T) {
	f := start(t, fleettest.Options{})
	const sites = 1050 // more than one question asks for, and more than one answer holds
	var c resource.Commit
	for i := range sites {
		spec, _ := json.Marshal(fleettest.Spec{Origin: "http://origin" + strings.Repeat("x", 1000)})
		c.Changes = append(c.Changes, resource.Change{
			Op: resource.Create, Kind: fleettest.Kind, ID: fmt.Sprintf("site_%d", i), Project: "p", Environment: "e", Name: fmt.Sprint(i), Spec: spec,
		})
	}
	done, err := f.Store.Commit(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "all are published", func() bool { return f.Rollout(done.Revision).Documents == sites })
	node := &fleettest.Node{}
	e := run(t, f, join(t, f, "late"), node, nil)
	if n := node.Keys(edgeconfig.KindSite); n != sites {
		t.Errorf("%d sites, want %d", n, sites)
	}
	// Its own keys, which nobody else may have.
	d, ok := node.Document(edgeconfig.KindKeys + "/" + e.Identity.Edge)
	if !ok {
		t.Fatal("the edge has no keys")
	}
	var keys edgeconfig.Keys
	if err := json.Unmarshal(d.Body, &keys); err != nil {
		t.Fatal(err)
	}
	private, err := e.Identity.Secrets()
	if err != nil {
		t.Fatal(err)
	}
	group, want := f.GroupKey()
	got, err := private.Open(edgeconfig.KeyContext(e.Identity.Edge, group), keys.Groups[group])
	if err != nil || string(got) != string(want[:]) {
		t.Errorf("the group key cannot be opened: %v", err)
	}
}

// saves counts what is written.
type saves struct {
	fleet.DocumentStore
	documents atomic.Int64
	refuse    atomic.Pointer[error]
}

func (s *saves) SaveDocuments(ctx context.Context, prev, next, watched int64, docs []edgeconfig.Document, causes map[string]int64) error {
	if err := s.refuse.Load(); err != nil {
		return *err
	}
	s.documents.Add(int64(len(docs)))
	return s.DocumentStore.SaveDocuments(ctx, prev, next, watched, docs, causes)
}

func TestRestartPublishesNothingThatIsPublished(t *testing.T) {
	db := storetest.SQLite(t)
	counter := &saves{DocumentStore: db}
	options := fleettest.Options{Store: db, Change: func(o *fleet.Options) { quick(o); o.Documents = counter }}
	f := start(t, options)
	node := &fleettest.Node{}
	run(t, f, join(t, f, "one"), node, nil)
	for i := range 20 {
		put(t, f, fmt.Sprint(i), "http://origin")
	}
	eventually(t, "20 sites", func() bool { return node.Keys(edgeconfig.KindSite) == 20 })
	if err := f.Resign(); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	// While nobody leads: one change, one removal, one addition.
	put(t, f, "3", "http://changed")
	put(t, f, "new", "http://new")
	if _, err := f.Delete(t.Context(), "7"); err != nil {
		t.Fatal(err)
	}
	before := counter.documents.Load()
	f.Lead()
	eventually(t, "what changed meanwhile", func() bool {
		return node.Origin("3") == "http://changed" && node.Origin("new") == "http://new" && node.Origin("7") == ""
	})
	if n := counter.documents.Load() - before; n != 3 {
		t.Errorf("%d documents were published after a restart, 3 had changed", n)
	}

	// And nothing when nothing has changed.
	if err := f.Resign(); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	before = counter.documents.Load()
	f.Lead()
	put(t, f, "last", "http://last")
	eventually(t, "the one after the restart", func() bool { return node.Origin("last") != "" })
	if n := counter.documents.Load() - before; n != 1 {
		t.Errorf("%d documents were published, 1 had changed", n)
	}
}

// doubtful is a compiler that cannot compile one site, and says so.
type doubtful struct {
	fleettest.Compiler
	site atomic.Pointer[string]
}

func (d *doubtful) Apply(e resource.Event) []fleet.Output {
	if s := d.site.Load(); s != nil && e.Resource.ID == *s && e.Type != resource.Deleted {
		return nil
	}
	return d.Compiler.Apply(e)
}

func (d *doubtful) Problems() map[string]string {
	if s := d.site.Load(); s != nil {
		return map[string]string{*s: "its configuration is missing"}
	}
	return nil
}

// What is declared but cannot be compiled when a term of leading begins is not
// taken for removed.
func TestWhatCannotBeCompiledStays(t *testing.T) {
	compiler := &doubtful{}
	f := start(t, fleettest.Options{Compiler: compiler})
	node := &fleettest.Node{}
	run(t, f, join(t, f, "one"), node, nil)
	put(t, f, "a", "http://a")
	put(t, f, "b", "http://b")
	eventually(t, "two sites", func() bool { return node.Keys(edgeconfig.KindSite) == 2 })
	if err := f.Resign(); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	broken := fleettest.SiteID("a")
	compiler.site.Store(&broken)
	f.Lead()
	put(t, f, "c", "http://c")
	eventually(t, "the change after the restart", func() bool { return node.Origin("c") == "http://c" })
	if node.Origin("a") != "http://a" || node.Origin("b") != "http://b" {
		t.Errorf("edges have lost a site that could not be compiled: %q, %q", node.Origin("a"), node.Origin("b"))
	}
}

func TestDatabaseAwayDelaysButLosesNothing(t *testing.T) {
	db := storetest.SQLite(t)
	counter := &saves{DocumentStore: db}
	f := start(t, fleettest.Options{Store: db, Change: func(o *fleet.Options) { o.Documents = counter }})
	node := &fleettest.Node{}
	run(t, f, join(t, f, "one"), node, nil)
	away := error(fault.New(fault.Unavailable, "away"))
	counter.refuse.Store(&away)
	put(t, f, "a", "http://one")
	put(t, f, "b", "http://two")
	counter.refuse.Store(nil)
	eventually(t, "both sites", func() bool { return node.Origin("a") == "http://one" && node.Origin("b") == "http://two" })
}

func TestAnotherLeaderEndsLeading(t *testing.T) {
	f := start(t, fleettest.Options{})
	node := &fleettest.Node{}
	run(t, f, join(t, f, "one"), node, nil)
	eventually(t, "somebody else publishes", func() bool {
		last, err := f.Store.DocumentSeq(t.Context())
		return err == nil && last > 0 && f.Store.SaveDocuments(t.Context(), last, last+1, 0, nil, nil) == nil
	})
	put(t, f, "a", "http://one")
	eventually(t, "the challenge is refused", func() bool {
		return fault.Is(f.Present(t.Context(), edgeconfig.Challenge{Host: "a", Token: "t"}), fault.Unavailable)
	})
	if err := f.Resign(); !fault.Is(err, fault.Stale) {
		t.Errorf("leading ended with %v", err)
	}
	f.Lead() // reads the record again and goes on
	eventually(t, "the site", func() bool { return node.Origin("a") == "http://one" })
}

// A compiler that loses its mind must not empty the edges.
type forgetful struct {
	fleettest.Compiler
	forget atomic.Bool
}

func (c *forgetful) Apply(e resource.Event) []fleet.Output {
	out := c.Compiler.Apply(e)
	if c.forget.Load() {
		for i := range out {
			out[i].Deleted, out[i].Body = true, nil
		}
	}
	return out
}

func TestEmptyingIsHeldBack(t *testing.T) {
	compiler := &forgetful{}
	f := start(t, fleettest.Options{Compiler: compiler, Change: quick})
	node := &fleettest.Node{}
	run(t, f, join(t, f, "one"), node, nil)
	for i := range 20 {
		put(t, f, fmt.Sprint(i), "http://origin")
	}
	eventually(t, "20 sites", func() bool { return node.Keys(edgeconfig.KindSite) == 20 })
	events, cancel := f.Subscribe(false)
	defer cancel()

	// By a restart.
	_ = f.Resign()
	compiler.forget.Store(true)
	f.Lead()
	eventually(t, "the removal is held back", func() bool { return len(f.Held()) == 1 && len(f.Held()[0].Keys) == 20 })
	held := false
	for !held {
		select {
		case e := <-events:
			held = e.Type == fleet.EventHeld && e.Held.Kind == edgeconfig.KindSite && e.Held.Of == 20
		case <-time.After(within):
			t.Fatal("nobody was told")
		}
	}
	if n := node.Keys(edgeconfig.KindSite); n != 20 {
		t.Errorf("%d sites are left on the edge", n)
	}
	// The rest goes on.
	if err := f.Present(t.Context(), edgeconfig.Challenge{Host: "h", Token: "t"}); err != nil {
		t.Error(err)
	}
	// One by one is found out as well.
	_ = f.Resign()
	compiler.forget.Store(false)
	f.Lead()
	eventually(t, "nothing is held back", func() bool { return len(f.Held()) == 0 })
	compiler.forget.Store(true)
	for i := range 20 {
		put(t, f, fmt.Sprint(i), "http://changed")
	}
	eventually(t, "most removals are held back", func() bool {
		h := f.Held()
		return len(h) == 1 && len(h[0].Keys)+20-node.Keys(edgeconfig.KindSite) == 20
	})
	if n := node.Keys(edgeconfig.KindSite); n < 14 {
		t.Errorf("only %d of 20 sites are left", n)
	}
	// With somebody's word it happens.
	if n, err := f.ReleaseHeld(t.Context(), edgeconfig.KindSite); err != nil || n < 14 {
		t.Fatalf("released %d, %v", n, err)
	}
	eventually(t, "no site", func() bool { return node.Keys(edgeconfig.KindSite) == 0 })
	if len(f.Held()) != 0 {
		t.Errorf("still held: %v", f.Held())
	}
}

func TestDeletingIsConsent(t *testing.T) {
	f := start(t, fleettest.Options{Change: quick})
	node := &fleettest.Node{}
	run(t, f, join(t, f, "one"), node, nil)
	var names []string
	for i := range 20 {
		names = append(names, fmt.Sprint(i))
		put(t, f, names[i], "http://origin")
	}
	eventually(t, "20 sites", func() bool { return node.Keys(edgeconfig.KindSite) == 20 })
	if _, err := f.Delete(t.Context(), names...); err != nil {
		t.Fatal(err)
	}
	eventually(t, "no site", func() bool { return node.Keys(edgeconfig.KindSite) == 0 })
}

func TestRejectionIsReportedAndTheOldStays(t *testing.T) {
	f := start(t, fleettest.Options{Change: quick})
	bad := &fleettest.Node{Refuse: func(d edgeconfig.Document) string {
		if strings.Contains(string(d.Body), "http://bad") {
			return "the origin is bad"
		}
		return ""
	}}
	good := &fleettest.Node{}
	one := run(t, f, join(t, f, "one"), bad, nil)
	run(t, f, join(t, f, "two"), good, nil)
	first := put(t, f, "a", "http://good")
	eventually(t, "the first rollout", func() bool { return f.Rollout(first).Applied == 2 })
	second := put(t, f, "a", "http://bad")
	eventually(t, "one edge refuses", func() bool { r := f.Rollout(second); return r.Rejected == 1 && r.Applied == 1 })
	r := f.Rollout(second)
	if len(r.Rejections) != 1 || r.Rejections[0] != (fleet.Rejection{Edge: one.Identity.Edge, Key: fleettest.SiteKey("a"), Reason: "the origin is bad"}) {
		t.Errorf("%+v", r.Rejections)
	}
	if bad.Origin("a") != "http://good" {
		t.Errorf("the edge has %q", bad.Origin("a"))
	}
	eventually(t, "the edge says that it refuses", func() bool {
		e, err := f.Edge(t.Context(), "one")
		return err == nil && e.Rejected == 1 && !e.InSync
	})
	// It is not fetched again and again.
	batches := bad.Batches()
	seen := 0
	eventually(t, "five more manifests", func() bool { f.SendManifest(); seen++; return seen > 100 })
	if n := bad.Batches() - batches; n > 0 {
		t.Errorf("the refused document was applied %d more times", n)
	}
	third := put(t, f, "a", "http://better")
	eventually(t, "the third rollout", func() bool { return f.Rollout(third).Applied == 2 })
	if r := f.Rollout(second); r.Rejected != 0 || r.Applied != 2 {
		t.Errorf("the second rollout, overtaken: %+v", r)
	}
	inSync(t, f, "one")
}

func TestEdgesListDrainAndStatus(t *testing.T) {
	f := start(t, fleettest.Options{Change: quick})
	node := &fleettest.Node{}
	e := run(t, f, join(t, f, "fra-1"), node, nil)
	edge, err := f.Edge(t.Context(), "fra-1")
	if err != nil || edge.ID != e.Identity.Edge || edge.Spec.Region != "fra" || edge.HTTP != "127.0.0.1:1" || edge.Version != "test" || !edge.Spec.Simulated {
		t.Errorf("%+v, %v", edge, err)
	}
	cause := resource.Cause{Actor: "test", Via: "test"}
	if _, err := f.Drain(t.Context(), "fra-1", true, cause); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the node drains", node.Draining)
	if _, err := f.Drain(t.Context(), "fra-1", false, cause); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the node serves again", func() bool { return !node.Draining() })
	eventually(t, "the status says online", func() bool {
		r, err := f.Store.Get(t.Context(), fleet.KindEdge, e.Identity.Edge)
		return err == nil && strings.Contains(string(r.Status), `"online":true`)
	})
	if err := e.Stop(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the edge is away", func() bool { edge, err := f.Edge(t.Context(), "fra-1"); return err == nil && !edge.Connected })
	eventually(t, "the status says so", func() bool {
		r, err := f.Store.Get(t.Context(), fleet.KindEdge, e.Identity.Edge)
		return err == nil && strings.Contains(string(r.Status), `"online":false`)
	})
	for _, err := range []error{
		errOf(f.Edge(t.Context(), "nobody")), errOf(f.Drain(t.Context(), "nobody", true, cause)), f.Revoke(t.Context(), "nobody", cause),
	} {
		if !fault.Is(err, fault.NotFound) {
			t.Errorf("an edge that is not there: %v", err)
		}
	}
}

func errOf[T any](_ T, err error) error { return err }

func TestPresentWaitsForTheEdges(t *testing.T) {
	f := start(t, fleettest.Options{Change: quick})
	node := &fleettest.Node{}
	run(t, f, join(t, f, "one"), node, nil)
	c := edgeconfig.Challenge{Host: "a.example.com", Token: "token", KeyAuthorization: "token.key", ExpiresAt: time.Now().Add(time.Hour).Unix()}
	if err := f.Present(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	d, ok := node.Document(edgeconfig.KindChallenge + "/1")
	var got edgeconfig.Challenge
	if !ok || json.Unmarshal(d.Body, &got) != nil || got != c {
		t.Fatalf("when Present returned the edge had %s", d.Body)
	}
	if err := f.Present(t.Context(), c); err != nil { // again is no second one
		t.Error(err)
	}
	other := c
	other.Token = "other"
	if err := f.Present(t.Context(), other); err != nil {
		t.Error(err)
	}
	if n := node.Keys(edgeconfig.KindChallenge); n != 2 {
		t.Errorf("%d challenges", n)
	}
	for _, c := range []edgeconfig.Challenge{c, other, c} {
		if err := f.Remove(t.Context(), c); err != nil {
			t.Error(err)
		}
	}
	eventually(t, "no challenge", func() bool { return node.Keys(edgeconfig.KindChallenge) == 0 })
	// Names are used again: tombstones do not pile up.
	for i := range 5 {
		c.Token = fmt.Sprint(i)
		if err := f.Present(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if _, ok := node.Document(edgeconfig.KindChallenge + "/1"); !ok {
			t.Error("the first name is not used again")
		}
		if err := f.Remove(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	// What a leader leaves behind the next one removes.
	if err := f.Present(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	_ = f.Resign()
	if err := f.Present(t.Context(), c); !fault.Is(err, fault.Unavailable) {
		t.Errorf("without a leader: %v", err)
	}
	f.Lead()
	eventually(t, "no challenge is left", func() bool { return node.Keys(edgeconfig.KindChallenge) == 0 })
}

func TestPresentNamesWhoIsMissing(t *testing.T) {
	f := start(t, fleettest.Options{Change: quick})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stuck := make(chan struct{})
	node := &fleettest.Node{OnApply: func(docs []edgeconfig.Document) {
		if slices.ContainsFunc(docs, func(d edgeconfig.Document) bool { return d.Kind() == edgeconfig.KindChallenge }) {
			cancel() // it has come here, and is not waited for any longer
			<-stuck
		}
	}}
	e := run(t, f, join(t, f, "stuck"), node, nil)
	t.Cleanup(func() { close(stuck) })
	err := f.Present(ctx, edgeconfig.Challenge{Host: "a", Token: "t"})
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), e.Identity.Edge) {
		t.Errorf("%v", err)
	}
	refusing := start(t, fleettest.Options{Change: quick})
	run(t, refusing, join(t, refusing, "no"), &fleettest.Node{Refuse: func(d edgeconfig.Document) string {
		if d.Kind() == edgeconfig.KindChallenge {
			return "no challenges here"
		}
		return ""
	}}, nil)
	if err := refusing.Present(t.Context(), edgeconfig.Challenge{Host: "a", Token: "t"}); err == nil || !strings.Contains(err.Error(), "no challenges here") {
		t.Errorf("%v", err)
	}
}

func TestSigningKeyRotation(t *testing.T) {
	f := start(t, fleettest.Options{Change: quick})
	node := &fleettest.Node{}
	dir := t.TempDir()
	id, err := f.JoinEdge(t.Context(), dir, "fra", "one")
	if err != nil {
		t.Fatal(err)
	}
	run(t, f, id, node, func(o *agent.Options) { o.Dir = dir })
	if err := f.PromoteSigningKey(t.Context()); !fault.Is(err, fault.Conflict) {
		t.Errorf("promoted without a second key: %v", err)
	}
	if err := f.AddSigningKey(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the edge trusts two keys", func() bool { saved, err := agent.LoadIdentity(dir); return err == nil && len(saved.TrustKeys) == 2 })
	old := f.Signer()
	eventually(t, "the new key signs", func() bool { return f.PromoteSigningKey(t.Context()) == nil })
	if f.Signer().Equal(old) {
		t.Error("the old key still signs")
	}
	put(t, f, "a", "http://one")
	eventually(t, "a document of the new key", func() bool { return node.Origin("a") == "http://one" })
	eventually(t, "the old key is forgotten", func() bool { saved, err := agent.LoadIdentity(dir); return err == nil && len(saved.TrustKeys) == 1 })
	// A document of the old key is refused now.
	d := edgeconfig.Document{Key: fleettest.SiteKey("a"), Scope: edgeconfig.ScopeAll, Revision: time.Now().Add(time.Hour).UnixMilli(), Body: json.RawMessage(`{}`)}
	d.Sign(old)
	if err := f.PublishRaw(fleet.SubjectAll, d); err != nil {
		t.Fatal(err)
	}
	put(t, f, "b", "http://two")
	eventually(t, "the next document", func() bool { return node.Origin("b") == "http://two" })
	if node.Origin("a") != "http://one" {
		t.Error("a document of a key that is not trusted any more was applied")
	}
}

func TestKeysSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	f := start(t, fleettest.Options{Dir: dir})
	id := join(t, f, "one")
	signer := f.Signer()
	group, key := f.GroupKey()
	if err := f.Stop(); err != nil {
		t.Fatal(err)
	}
	again, err := fleettest.Start(t.Context(), fleettest.Options{Dir: dir, Change: quick})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Stop()
	if group2, key2 := again.GroupKey(); group2 != group || key2 != key || !again.Signer().Equal(signer) {
		t.Error("the keys have changed")
	}
	// The edge's credentials are good still.
	run(t, again, id, &fleettest.Node{}, nil)
	if _, err := secrets.ParseIdentity(id.Sealing); err != nil {
		t.Error(err)
	}
}
