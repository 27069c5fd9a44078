package fleet_test

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/edgewright/edgewright/control/fleet/fleettest"
	"github.com/edgewright/edgewright/edge/agent"
	"github.com/edgewright/edgewright/fault"
)

// TestVerifiedAfterRestarts: what was verified before the control plane and the edge
// started is verified once the edge has asked itself about what it has from disk, and
// not before.
func TestVerifiedAfterRestarts(t *testing.T) {
	f := start(t, fleettest.Options{Change: quick})
	id, dir := join(t, f, "edge"), t.TempDir()
	var denied, asked atomic.Bool
	change := func(node *fleettest.Node) func(*agent.Options) {
		return func(o *agent.Options) {
			quickAgent(o)
			o.Dir = dir
			o.Node = fleettest.Verifying{Node: node, Deny: func(key string, _ int64) error {
				if denied.Load() && strings.HasPrefix(key, "site/") {
					asked.Store(true)
					return fault.New(fault.Unavailable, "not yet")
				}
				return nil
			}}
		}
	}
	node := &fleettest.Node{}
	e := f.Run(id, node, change(node))
	inSync(t, f, id.Edge)
	revision := put(t, f, "a", "http://one")
	eventually(t, "it is verified", func() bool { return f.Rollout(revision).Verified == 1 })
	if err := e.Stop(); err != nil {
		t.Fatal(err)
	}
	denied.Store(true)
	f.ForgetRollouts()
	node = &fleettest.Node{}
	run(t, f, id, node, change(node))
	eventually(t, "it asks itself", asked.Load)
	// With a publication, what the edge said before it stopped is out of date.
	other := put(t, f, "b", "http://two")
	eventually(t, "it is applied", func() bool { return f.Rollout(other).Applied == 1 && f.Rollout(revision).Applied == 1 })
	if r := f.Rollout(revision); r.Verified != 0 {
		t.Errorf("it has not asked itself: %+v", r)
	}
	denied.Store(false)
	eventually(t, "it is verified again", func() bool { r := f.Rollout(revision); return r.Verified == 1 && f.Rollout(other).Verified == 1 })
	if s := f.DocumentState(fleettest.SiteKey("a")); s.Applied != 1 || s.Verified != 1 {
		t.Errorf("the document: %+v", s)
	}
}
