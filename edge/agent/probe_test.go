package agent_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edgewright/edgewright/control/fleet"
	"github.com/edgewright/edgewright/control/fleet/fleettest"
	"github.com/edgewright/edgewright/edge/agent"
	"github.com/edgewright/edgewright/edgeconfig"
)

// looker looks at one certificate in its first round, and then at another only.
type looker struct {
	fleettest.Node
	rounds atomic.Int64
}

func (l *looker) Probe(_ context.Context, peer *edgeconfig.Peer) edgeconfig.ProbeReport {
	if peer != nil {
		return edgeconfig.ProbeReport{}
	}
	served := edgeconfig.Served{Certificate: "crt_once", Fingerprint: "ff"}
	if l.rounds.Add(1) > 1 {
		served = edgeconfig.Served{Certificate: "crt_often", Fingerprint: "ee"}
	}
	return edgeconfig.ProbeReport{Served: []edgeconfig.Served{served}}
}

// What edges have seen of how certificates are served is known again after a
// restart of the control plane, although they look at most only hourly.
func TestServedViewsOutliveTheControlPlane(t *testing.T) {
	dir, control := t.TempDir(), t.TempDir()
	options := func(listen string) fleettest.Options {
		return fleettest.Options{Dir: control, Change: func(o *fleet.Options) { o.ManifestEvery = 50 * time.Millisecond; o.Bus.Listen = listen }}
	}
	f, err := fleettest.Start(t.Context(), options("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	id, address := joined(t, f, dir), f.BusAddr()
	node := &looker{}
	o := agent.Options{Identity: id, Dir: dir, Node: node, ProbeEvery: 20 * time.Millisecond}
	quick(&o)
	e := fleettest.RunAgent(o, &node.Node)
	defer e.Stop()
	eventually(t, "the first look", func() bool { return len(f.Served("crt_once")) == 1 })
	if err := f.Stop(); err != nil {
		t.Fatal(err)
	}
	if f, err = fleettest.Start(t.Context(), options(address)); err != nil {
		t.Fatal(err)
	}
	defer f.Stop()
	eventually(t, "the look of long ago", func() bool { return len(f.Served("crt_once")) == 1 && len(f.Served("crt_often")) == 1 })
	if got := f.Served("crt_once")[0]; got.Edge != id.Edge || got.By != id.Edge || got.Fingerprint != "ff" {
		t.Errorf("%+v", got)
	}
}
