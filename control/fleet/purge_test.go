package fleet_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edgewright/edgewright/control/fleet"
	"github.com/edgewright/edgewright/control/fleet/fleettest"
	"github.com/edgewright/edgewright/edge/agent"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

var purgeAll = fleet.PurgeRequest{Project: "p", Environment: "e", All: true}

func purged(t *testing.T, f *fleettest.Fleet, r fleet.PurgeRequest) fleet.PurgeState {
	t.Helper()
	s, err := f.Purge(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestPurgeWaitsForEveryConnectedEdge(t *testing.T) {
	f := start(t, fleettest.Options{Change: quick})
	var nodes []*fleettest.Node
	for i := range 3 {
		nodes = append(nodes, &fleettest.Node{Cached: 10 + i})
		run(t, f, join(t, f, fmt.Sprint("edge-", i)), nodes[i], nil)
	}
	events, cancel := f.Subscribe(false)
	defer cancel()
	r := fleet.PurgeRequest{Project: "p", Environment: "e", Sites: []string{"site_a"}, Paths: []string{"/a", "/img/*"}}
	s := purged(t, f, r)
	if s.State != fleet.PurgeAcknowledged || s.Count != 33 || s.Edges != 3 || s.Acknowledged != 3 || len(s.Missing)+len(s.Away) != 0 || s.DoneAt.IsZero() {
		t.Errorf("%+v", s)
	}
	for i, n := range nodes {
		purges, _ := n.Purges()
		if len(purges) != 1 || purges[0].ID != s.ID || len(purges[0].Paths) != 2 || purges[0].Sites[0] != "site_a" {
			t.Errorf("edge %d: %v", i, purges)
		}
	}
	for told := false; !told; {
		select {
		case e := <-events:
			told = e.Type == fleet.EventPurge && e.Purge.ID == s.ID
		case <-time.After(within):
			t.Fatal("nobody was told")
		}
	}
	again, err := f.PurgeState(t.Context(), s.ID)
	if err != nil || again.Count != 33 || again.State != fleet.PurgeAcknowledged {
		t.Errorf("%+v, %v", again, err)
	}
	if _, err := f.PurgeState(t.Context(), "prg_none"); !fault.Is(err, fault.NotFound) {
		t.Errorf("a purge that is not there: %v", err)
	}
	for name, r := range map[string]fleet.PurgeRequest{
		"nothing":    {Project: "p", Environment: "e"},
		"no project": {Environment: "e", All: true},
		"both":       {Project: "p", Environment: "e", All: true, Paths: []string{"/a"}},
	} {
		if _, err := f.Purge(t.Context(), r); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	long := fleet.PurgeRequest{Project: "p", Environment: "e"}
	for range 900 {
		long.Paths = append(long.Paths, fmt.Sprintf("/%0500d", 1))
	}
	if _, err := f.Purge(t.Context(), long); !fault.Is(err, fault.TooLarge) {
		t.Errorf("a purge that fits no message: %v", err)
	}
}

func TestPurgeNamesWhoIsMissing(t *testing.T) {
	f := start(t, fleettest.Options{Change: quick})
	bus := faulty(f)
	node := &fleettest.Node{Cached: 1}
	e := run(t, f, join(t, f, "deaf"), node, func(o *agent.Options) { o.InProcess = bus })
	run(t, f, join(t, f, "good"), &fleettest.Node{Cached: 5}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	bus.SetRule(func(subject string, _ []byte) (int, bool) {
		switch subject {
		case edgeconfig.SubjectPurge:
			cancel() // it is on its way, and is not waited for any longer
			return 0, false
		case edgeconfig.SubjectManifest:
			return 0, false
		}
		return 1, false
	})
	s, err := f.Purge(ctx, purgeAll)
	if err != nil || s.State != fleet.PurgePending || !slices.Contains(s.Missing, e.Identity.Edge) {
		t.Errorf("%+v, %v", s, err)
	}
	eventually(t, "the other edge has acknowledged", func() bool {
		s, err := f.PurgeState(t.Context(), s.ID)
		return err == nil && s.State == fleet.PurgePending && len(s.Missing) == 1 && s.Missing[0] == e.Identity.Edge && s.Acknowledged == 1 && s.Count == 5
	})
	// The manifest tells it what it missed.
	bus.SetRule(func(subject string, _ []byte) (int, bool) {
		if subject == edgeconfig.SubjectPurge {
			return 0, false
		}
		return 1, false
	})
	eventually(t, "the purge is acknowledged", func() bool {
		s, err := f.PurgeState(t.Context(), s.ID)
		return err == nil && s.State == fleet.PurgeAcknowledged && s.Count == 6 && s.Acknowledged == 2
	})
}

// A purge that got lost is sent again, to the edge that is missing and to no
// other, before the manifest would tell.
func TestLostPurgeIsSentAgain(t *testing.T) {
	f := start(t, fleettest.Options{})
	lossy, other := faulty(f), faulty(f)
	node := &fleettest.Node{Cached: 1}
	run(t, f, join(t, f, "lossy"), node, func(o *agent.Options) { o.InProcess = lossy })
	run(t, f, join(t, f, "good"), &fleettest.Node{Cached: 5}, func(o *agent.Options) { o.InProcess = other })
	purged(t, f, purgeAll)
	lossy.SetRule(func(subject string, _ []byte) (int, bool) {
		if subject == edgeconfig.SubjectPurge || subject == edgeconfig.SubjectManifest {
			return 0, false
		}
		return 1, false
	})
	var got atomic.Int64
	other.SetRule(func(subject string, _ []byte) (int, bool) {
		if strings.HasSuffix(subject, "purge") {
			got.Add(1)
		}
		return 1, false
	})
	if s := purged(t, f, purgeAll); s.State != fleet.PurgeAcknowledged || s.Acknowledged != 2 || s.Count != 6 {
		t.Errorf("%+v", s)
	}
	if got.Load() != 1 {
		t.Errorf("the edge that had reported was sent the purge %d times", got.Load())
	}
}

// An edge that goes while a purge waits for it is not waited for.
func TestPurgeDoesNotWaitForTheGone(t *testing.T) {
	f := start(t, fleettest.Options{Change: quick})
	bus := faulty(f)
	e := run(t, f, join(t, f, "going"), &fleettest.Node{}, func(o *agent.Options) { o.InProcess = bus })
	purged(t, f, purgeAll) // from now on it knows which purges there were, and need not drop everything
	bus.SetRule(func(subject string, _ []byte) (int, bool) { return 0, false })
	done := make(chan fleet.PurgeState, 1)
	go func() {
		s, err := f.Purge(t.Context(), purgeAll)
		if err != nil {
			t.Error(err)
		}
		done <- s
	}()
	bus.Cut(true)
	select {
	case s := <-done:
		if s.State != fleet.PurgeAcknowledged || s.Edges != 0 || len(s.Away) != 1 || s.Away[0] != e.Identity.Edge {
			t.Errorf("%+v", s)
		}
	case <-time.After(within):
		t.Fatal("still waiting")
	}
	bus.SetRule(nil)
	bus.Cut(false)
	inSync(t, f, e.Identity.Edge)
	eventually(t, "the edge has caught up", func() bool { p, _ := e.Node.Purges(); return len(p) == 2 })
}

// Edges that were away do what they have missed, in order, and drop everything
// when it is too much.
func TestEdgesThatWereAwayCatchUp(t *testing.T) {
	f := start(t, fleettest.Options{Change: quick})
	node, dir := &fleettest.Node{}, t.TempDir()
	id := join(t, f, "one")
	withDir := func(o *agent.Options) { o.Dir = dir }
	e := run(t, f, id, node, withDir)
	first := purged(t, f, purgeAll)
	if err := e.Stop(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the edge is away", func() bool { e, err := f.Edge(t.Context(), id.Edge); return err == nil && !e.Connected })
	var ids []string
	for range 5 {
		s := purged(t, f, purgeAll)
		if len(s.Away) != 1 || s.Edges != 0 {
			t.Errorf("%+v", s)
		}
		ids = append(ids, s.ID)
	}
	node = &fleettest.Node{}
	e = run(t, f, id, node, withDir)
	eventually(t, "five purges", func() bool { p, _ := node.Purges(); return len(p) == 5 })
	purges, dropped := node.Purges()
	for _, id := range ids { // the last message may have come before the others were asked for
		if !slices.ContainsFunc(purges, func(p edgeconfig.Purge) bool { return p.ID == id }) {
			t.Errorf("purge %s was not carried out", id)
		}
	}
	if dropped != 0 {
		t.Errorf("everything was dropped %d times", dropped)
	}
	_ = first
	if err := e.Stop(); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		purged(t, f, purgeAll)
	}
	if err := f.Store.ForgetPurges(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	node = &fleettest.Node{}
	run(t, f, id, node, withDir)
	eventually(t, "everything is dropped", func() bool { _, dropped := node.Purges(); return dropped == 1 })
	eventually(t, "the edge says how far it is", func() bool { e, err := f.Edge(t.Context(), id.Edge); return err == nil && e.PurgeSeq == 11 })
}

// A purge that overtakes another is carried out at once, and the other too.
func TestPurgesOutOfOrder(t *testing.T) {
	f := start(t, fleettest.Options{Change: quick})
	bus := faulty(f)
	node := &fleettest.Node{}
	run(t, f, join(t, f, "one"), node, func(o *agent.Options) { o.InProcess = bus })
	purged(t, f, purgeAll)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	lose := true
	bus.SetRule(func(subject string, _ []byte) (int, bool) {
		if subject == edgeconfig.SubjectPurge && lose {
			lose = false
			cancel() // it is not waited for any longer
			return 0, false
		}
		return 1, false
	})
	lost, err := f.Purge(ctx, purgeAll)
	if err != nil {
		t.Fatal(err)
	}
	next := purged(t, f, purgeAll)
	eventually(t, "three purges", func() bool { p, _ := node.Purges(); return len(p) == 3 })
	eventually(t, "the lost one is acknowledged", func() bool {
		s, err := f.PurgeState(t.Context(), lost.ID)
		return err == nil && s.State == fleet.PurgeAcknowledged
	})
	seen := map[string]int{}
	purges, _ := node.Purges()
	for _, p := range purges {
		seen[p.ID]++
	}
	if seen[lost.ID] != 1 || seen[next.ID] != 1 {
		t.Errorf("carried out: %v", seen)
	}
}

func TestPurgeStateAfterRestart(t *testing.T) {
	dir := t.TempDir()
	f := start(t, fleettest.Options{Dir: dir, Change: quick})
	id := join(t, f, "one")
	e := f.Run(id, &fleettest.Node{Cached: 4}, quickAgent)
	inSync(t, f, id.Edge)
	s := purged(t, f, purgeAll)
	eventually(t, "the outcome is kept", func() bool {
		_, outcome, err := f.Store.PurgeByID(t.Context(), s.ID)
		return err == nil && len(outcome) > 0
	})
	if err := e.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := f.Stop(); err != nil {
		t.Fatal(err)
	}
	again, err := fleettest.Start(t.Context(), fleettest.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Stop()
	got, err := again.PurgeState(t.Context(), s.ID)
	if err != nil || got.State != fleet.PurgeAcknowledged || got.Count != 4 || got.Acknowledged != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}
