package fleet_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edgewright/edgewright/control/fleet"
	"github.com/edgewright/edgewright/control/fleet/fleettest"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/store/storetest"
	"github.com/edgewright/edgewright/edge/agent"
	"github.com/edgewright/edgewright/edgeconfig"
)

func faulty(f *fleettest.Fleet) *fleettest.FaultyBus {
	return &fleettest.FaultyBus{InProcessConnProvider: f.InProcess()}
}

// What the bus loses, the manifest brings back.
func TestLostDocumentsAreFetched(t *testing.T) {
	f := start(t, fleettest.Options{Change: quick})
	bus := faulty(f)
	node := &fleettest.Node{}
	e := run(t, f, join(t, f, "one"), node, func(o *agent.Options) { o.InProcess = bus })
	var lost atomic.Int64
	bus.SetRule(func(subject string, _ []byte) (int, bool) {
		if subject == edgeconfig.SubjectDownAll || subject == edgeconfig.SubjectDownTo(e.Identity.Edge) {
			lost.Add(1)
			return 0, false
		}
		return 1, false
	})
	var last int64
	for i := range 30 {
		last = put(t, f, fmt.Sprint(i), "http://origin")
	}
	if _, err := f.Delete(t.Context(), "3"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "29 sites", func() bool { return node.Keys(edgeconfig.KindSite) == 29 && node.Origin("3") == "" })
	eventually(t, "the rollout is complete", func() bool { return f.Rollout(last).Applied == 1 })
	if lost.Load() < 30 {
		t.Errorf("only %d messages were lost: this test shows nothing", lost.Load())
	}
	inSync(t, f, e.Identity.Edge)

	// The documents of this edge alone too, although the manifest does not cover
	// them.
	if _, err := f.Drain(t.Context(), "one", true, testCause); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the edge drains", node.Draining)
}

var testCause = resource.Cause{Actor: "test", Via: "test"}

// Acknowledgements and purge reports that get lost are made good by heartbeats.
func TestLostAcknowledgementsAreMadeGood(t *testing.T) {
	f := start(t, fleettest.Options{Change: quick})
	bus := faulty(f)
	node := &fleettest.Node{}
	e := run(t, f, join(t, f, "one"), node, func(o *agent.Options) { o.InProcess = bus })
	var lost atomic.Int64
	bus.Mute(func(subject string) bool {
		is := subject == edgeconfig.SubjectUpOf(e.Identity.Edge, "ack") || subject == edgeconfig.SubjectUpOf(e.Identity.Edge, "purged")
		if is {
			lost.Add(1)
		}
		return is
	})
	revision := put(t, f, "a", "http://one")
	eventually(t, "the rollout is complete", func() bool { return f.Rollout(revision).Applied == 1 })
	if s := purged(t, f, purgeAll); s.State != fleet.PurgeAcknowledged || s.Acknowledged != 1 {
		t.Errorf("%+v", s)
	}
	if lost.Load() < 2 {
		t.Errorf("%d messages were lost: this test shows nothing", lost.Load())
	}
}

func TestRepeatedAndReorderedDocuments(t *testing.T) {
	f := start(t, fleettest.Options{Change: quick})
	bus := faulty(f)
	var applied []edgeconfig.Document
	node := &fleettest.Node{OnApply: func(docs []edgeconfig.Document) { applied = append(applied, docs...) }}
	e := run(t, f, join(t, f, "one"), node, func(o *agent.Options) { o.InProcess = bus })
	random := rand.New(rand.NewPCG(1, 2))
	bus.SetRule(func(subject string, _ []byte) (int, bool) {
		if subject != edgeconfig.SubjectDownAll {
			return 1, false
		}
		return 1 + random.IntN(2), random.IntN(3) == 0
	})
	for i := range 60 {
		put(t, f, fmt.Sprint(i%5), fmt.Sprintf("http://origin-%d", i))
		if i%10 == 9 {
			bus.Release()
		}
	}
	bus.SetRule(nil)
	bus.Release()
	put(t, f, "end", "http://end")
	eventually(t, "the newest of each", func() bool {
		for i := 55; i < 60; i++ {
			if node.Origin(fmt.Sprint(i%5)) != fmt.Sprintf("http://origin-%d", i) {
				return false
			}
		}
		return node.Origin("end") == "http://end"
	})
	inSync(t, f, e.Identity.Edge)
	if err := e.Stop(); err != nil {
		t.Fatal(err)
	}
	newest := map[string]int64{}
	for _, d := range applied {
		if d.Revision <= newest[d.Key] {
			t.Errorf("%s went from revision %d to %d", d.Key, newest[d.Key], d.Revision)
		}
		newest[d.Key] = d.Revision
	}
}

// A broker that has been taken over can be silent, but it cannot make an edge
// do anything.
func TestWhatIsNotSignedIsRefused(t *testing.T) {
	f := start(t, fleettest.Options{Change: quick})
	var rejected atomic.Int64
	node := &fleettest.Node{}
	e := run(t, f, join(t, f, "one"), node, nil)
	other := join(t, f, "two")
	put(t, f, "a", "http://one")
	eventually(t, "the site", func() bool { return node.Origin("a") == "http://one" })
	current, _ := node.Document(fleettest.SiteKey("a"))
	evil, _ := json.Marshal(edgeconfig.Site{ID: "site_a", Pool: edgeconfig.Pool{Origins: []edgeconfig.Origin{{URL: "http://evil"}}}})
	newer := time.Now().Add(time.Hour).UnixMilli()

	changed := func(change func(d *edgeconfig.Document)) edgeconfig.Document {
		d := current
		d.Revision, d.Body = newer, evil
		d.Sign(f.Signer())
		change(&d)
		return d
	}
	_, stranger, err := newKey()
	if err != nil {
		t.Fatal(err)
	}
	bad := map[string]edgeconfig.Document{
		"another key":       changed(func(d *edgeconfig.Document) { d.Sign(stranger) }),
		"no signature":      changed(func(d *edgeconfig.Document) { d.Signature = nil }),
		"changed body":      changed(func(d *edgeconfig.Document) { d.Body = json.RawMessage(`{}`) }),
		"body and hash":     changed(func(d *edgeconfig.Document) { d.Body = json.RawMessage(`{}`); d.Hash = edgeconfig.HashBody(d.Body) }),
		"changed revision":  changed(func(d *edgeconfig.Document) { d.Revision++ }),
		"another key name":  changed(func(d *edgeconfig.Document) { d.Key = fleettest.SiteKey("b") }),
		"made a tombstone":  changed(func(d *edgeconfig.Document) { d.Deleted = true }),
		"widened scope":     changed(func(d *edgeconfig.Document) { d.Scope = other.Edge; d.Sign(f.Signer()); d.Scope = edgeconfig.ScopeAll }),
		"another's scope":   changed(func(d *edgeconfig.Document) { d.Scope = other.Edge; d.Sign(f.Signer()) }),
		"a body on a stone": changed(func(d *edgeconfig.Document) { d.Deleted = true; d.Sign(f.Signer()) }),
		"no name":           changed(func(d *edgeconfig.Document) { d.Key = "site/"; d.Sign(f.Signer()) }),
		"no revision":       changed(func(d *edgeconfig.Document) { d.Key = fleettest.SiteKey("c"); d.Revision = 0; d.Sign(f.Signer()) }),
		"older, replayed": func() edgeconfig.Document {
			d := current
			d.Revision, d.Body = current.Revision-1, evil
			d.Sign(f.Signer())
			return d
		}(),
		"equal revision": func() edgeconfig.Document {
			d := current
			d.Body = evil
			d.Sign(f.Signer())
			return d
		}(),
	}
	_ = rejected.Load()
	batches := node.Batches()
	for name, d := range bad {
		for _, subject := range []string{edgeconfig.SubjectDownAll, edgeconfig.SubjectDownTo(e.Identity.Edge)} {
			if err := f.PublishRaw(subject, d); err != nil {
				t.Fatal(name, err)
			}
		}
	}
	for _, garbage := range []string{"", "{", "null", "[]", `{"key":1}`, "\x00\xff"} {
		for _, subject := range []string{
			edgeconfig.SubjectDownAll, edgeconfig.SubjectManifest, edgeconfig.SubjectPurge,
			edgeconfig.SubjectDownTo(e.Identity.Edge), edgeconfig.InboxPrefix(e.Identity.Edge) + ".1",
		} {
			if err := f.PublishRaw(subject, []byte(garbage)); err != nil {
				t.Fatal(err)
			}
		}
	}
	forged := edgeconfig.Purge{Seq: 1, ID: "prg_x", Project: "p", Environment: "e", All: true, At: time.Now()}
	forged.Sign(stranger)
	if err := f.PublishRaw(edgeconfig.SubjectPurge, forged); err != nil {
		t.Fatal(err)
	}
	// What comes after it is taken; by then all of it has been looked at.
	put(t, f, "z", "http://last")
	eventually(t, "the last document", func() bool { return node.Origin("z") == "http://last" })
	if node.Origin("a") != "http://one" || node.Origin("b") != "" || node.Origin("c") != "" {
		t.Errorf("the edge took something: %q %q %q", node.Origin("a"), node.Origin("b"), node.Origin("c"))
	}
	if n := node.Batches() - batches; n != 1 {
		t.Errorf("the node was given %d batches, 1 was good", n)
	}
	if purges, _ := node.Purges(); len(purges) != 0 {
		t.Errorf("a forged purge was carried out: %v", purges)
	}
}

// Manifests are not signed. A false one costs questions, nothing else.
func TestFalseManifestRemovesNothing(t *testing.T) {
	f := start(t, fleettest.Options{})
	node := &fleettest.Node{}
	e := run(t, f, join(t, f, "one"), node, nil)
	put(t, f, "a", "http://one")
	eventually(t, "the site", func() bool { return node.Origin("a") != "" })
	for range 20 {
		if err := f.PublishRaw(edgeconfig.SubjectManifest, edgeconfig.Manifest{Seq: 1 << 60, Digests: json.RawMessage(`{}`)}); err != nil {
			t.Fatal(err)
		}
	}
	put(t, f, "b", "http://two")
	eventually(t, "the next site", func() bool { return node.Origin("b") != "" })
	inSync(t, f, e.Identity.Edge)
	if node.Origin("a") != "http://one" {
		t.Error("the site is gone")
	}
}

// The control plane is restored from a backup that is older than what its edges
// hold: everything comes together again, above what they hold.
func TestRestoredControlPlaneGoesOn(t *testing.T) {
	dir := t.TempDir()
	backup := t.TempDir()
	f := start(t, fleettest.Options{Dir: dir, Change: quick})
	node := &fleettest.Node{}
	id := join(t, f, "one")
	e := run(t, f, id, node, nil)
	for i := range 12 {
		put(t, f, fmt.Sprint(i), "http://old")
	}
	if _, err := f.Purge(t.Context(), fleet.PurgeRequest{Project: "p", Environment: "e", All: true}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "12 sites", func() bool { return node.Keys(edgeconfig.KindSite) == 12 })
	if err := f.Stop(); err != nil {
		t.Fatal(err)
	}
	copyDir(t, dir, backup)

	f2, err := fleettest.Start(t.Context(), fleettest.Options{Dir: dir, Change: quick})
	if err != nil {
		t.Fatal(err)
	}
	e.Stop()
	node2 := &fleettest.Node{}
	state := t.TempDir()
	e2 := f2.Run(id, node2, func(o *agent.Options) { quickAgent(o); o.Dir = state })
	inSync(t, f2, id.Edge)
	put(t, f2, "1", "http://after the backup")
	put(t, f2, "born", "http://after the backup")
	if _, err := f2.Delete(t.Context(), "2"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := f2.Purge(t.Context(), fleet.PurgeRequest{Project: "p", Environment: "e", All: true}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the edge has it", func() bool {
		return node2.Origin("born") != "" && node2.Origin("2") == "" && node2.Origin("1") == "http://after the backup"
	})
	if err := e2.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := f2.Stop(); err != nil {
		t.Fatal(err)
	}

	restored, err := fleettest.Start(t.Context(), fleettest.Options{Dir: backup, Change: quick})
	if err != nil {
		t.Fatal(err)
	}
	defer restored.Stop()
	node3 := &fleettest.Node{}
	e3 := restored.Run(id, node3, func(o *agent.Options) { quickAgent(o); o.Dir = state })
	defer e3.Stop()
	eventually(t, "the edge is as the backup says", func() bool {
		return node3.Origin("1") == "http://old" && node3.Origin("2") == "http://old" && node3.Origin("born") == ""
	})
	inSync(t, restored, id.Edge)
	// A purge whose number the edge has seen with another meaning is carried out.
	s, err := restored.Purge(t.Context(), fleet.PurgeRequest{Project: "p", Environment: "e", Paths: []string{"/new"}})
	if err != nil || s.State != fleet.PurgeAcknowledged {
		t.Fatalf("%+v, %v", s, err)
	}
	purges, _ := node3.Purges()
	if len(purges) == 0 || purges[len(purges)-1].ID != s.ID {
		t.Errorf("the purge was not carried out: %v", purges)
	}
}

// A control plane that was restored from next to nothing must not empty the
// edges.
func TestRestoredEmptyControlPlaneIsHeldBack(t *testing.T) {
	dir, backup, state := t.TempDir(), t.TempDir(), t.TempDir()
	f := start(t, fleettest.Options{Dir: dir, Change: quick})
	id := join(t, f, "one")
	if err := f.Stop(); err != nil {
		t.Fatal(err)
	}
	copyDir(t, dir, backup)
	f2, err := fleettest.Start(t.Context(), fleettest.Options{Dir: dir, Change: quick})
	if err != nil {
		t.Fatal(err)
	}
	node := &fleettest.Node{}
	e := f2.Run(id, node, func(o *agent.Options) { quickAgent(o); o.Dir = state })
	for i := range 40 {
		put(t, f2, fmt.Sprint(i), "http://origin")
	}
	eventually(t, "40 sites", func() bool { return node.Keys(edgeconfig.KindSite) == 40 })
	if err := e.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := f2.Stop(); err != nil {
		t.Fatal(err)
	}
	restored, err := fleettest.Start(t.Context(), fleettest.Options{Dir: backup, Change: quick})
	if err != nil {
		t.Fatal(err)
	}
	defer restored.Stop()
	node = &fleettest.Node{}
	e = restored.Run(id, node, func(o *agent.Options) { quickAgent(o); o.Dir = state })
	defer e.Stop()
	held := func() int {
		if h := restored.Held(); len(h) == 1 {
			return len(h[0].Keys)
		}
		return 0
	}
	eventually(t, "the removals are held back", func() bool { return held()+node.Keys(edgeconfig.KindSite) >= 40 && held() > 20 })
	if n := node.Keys(edgeconfig.KindSite); n < 25 {
		t.Errorf("only %d of 40 sites are left", n)
	}
}

func TestManySaves(t *testing.T) {
	db := storetest.SQLite(t)
	counter := &saves{DocumentStore: db}
	f := start(t, fleettest.Options{Store: db, Change: func(o *fleet.Options) { quick(o); o.Documents = counter }})
	node := &fleettest.Node{}
	run(t, f, join(t, f, "one"), node, nil)
	// Many writers at once: everything arrives, the last state of each.
	done := make(chan error)
	for w := range 8 {
		go func() {
			var err error
			for i := 0; i < 25 && err == nil; i++ {
				_, err = f.Put(t.Context(), fmt.Sprint(w), fmt.Sprintf("http://origin-%d", i))
			}
			done <- err
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the last state of each", func() bool {
		for w := range 8 {
			if node.Origin(fmt.Sprint(w)) != "http://origin-24" {
				return false
			}
		}
		return true
	})
}
