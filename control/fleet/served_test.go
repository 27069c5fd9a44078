package fleet

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/edgeconfig"
)

func servedFleet(t *testing.T, edges map[string]string) (*Fleet, *time.Time) {
	t.Helper()
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	f := &Fleet{log: slog.New(slog.DiscardHandler), now: func() time.Time { return now }, served: newServedViews(), registry: newRegistry(func() time.Time { return now }, time.Hour)}
	for id, address := range edges {
		f.registry.put(resource.Meta{ID: id, Name: "name of " + id}, EdgeSpec{Region: "fra", BusKey: "U" + id}, EdgeStatus{})
		f.registry.heartbeat(id, edgeconfig.Heartbeat{HTTPS: address}, func() bool { return true })
	}
	return f, &now
}

func report(t *testing.T, edge, target string, served ...edgeconfig.Served) []byte {
	t.Helper()
	b, err := json.Marshal(edgeconfig.ProbeReport{Edge: "edge_liar", Target: target, Served: served})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestServedViews(t *testing.T) {
	f, now := servedFleet(t, map[string]string{"edge_a": "127.0.0.1:1", "edge_b": "127.0.0.1:2", "edge_c": "127.0.0.1:3"})
	good := edgeconfig.Served{Certificate: "crt_1", Fingerprint: "ff"}
	if r := f.probed("edge_a", report(t, "edge_a", "edge_a", good)); r.Peer == nil || *r.Peer != (edgeconfig.Peer{Edge: "edge_b", Address: "127.0.0.1:2"}) {
		t.Errorf("the peer of edge_a is %+v", r.Peer)
	}
	if r := f.probed("edge_c", report(t, "edge_c", "edge_c", good)); r.Peer == nil || r.Peer.Edge != "edge_a" {
		t.Errorf("the peer of edge_c is %+v", r.Peer)
	}
	bad := edgeconfig.Served{Certificate: "crt_1", Problem: strings.Repeat("x", 5000)}
	f.probed("edge_c", report(t, "edge_c", "edge_a", bad))
	f.probed("edge_c", report(t, "edge_c", "edge_unknown", bad))
	f.probed("edge_c", []byte("{"))
	got := f.Served("crt_1")
	var lines []string
	for _, v := range got {
		lines = append(lines, fmt.Sprint(v.Edge, " by ", v.By, " ", v.Fingerprint, " ", len(v.Problem)))
	}
	want := []string{"edge_a by edge_a ff 0", "edge_a by edge_c  300", "edge_c by edge_c ff 0"}
	if strings.Join(lines, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q", lines)
	}
	*now = now.Add(viewsCount + time.Second)
	if got := f.Served("crt_1"); len(got) != 0 {
		t.Errorf("after its time: %+v", got)
	}
	f.served.prune(*now)
	if f.served.n != 0 || len(f.served.views) != 0 {
		t.Errorf("%d views are kept", f.served.n)
	}
}

// A control plane that has just started asks each edge once to tell again what it
// had told before, and takes it for as old as it is.
func TestViewsAreToldAgain(t *testing.T) {
	f, now := servedFleet(t, map[string]string{"edge_a": "127.0.0.1:1", "edge_b": "127.0.0.1:2"})
	old := edgeconfig.Served{Certificate: "crt_1", Fingerprint: "ff", Age: 3600}
	if r := f.probed("edge_a", report(t, "edge_a", "edge_a", edgeconfig.Served{Certificate: "crt_2", Fingerprint: "ee"})); !r.Again {
		t.Error("an edge that has told nothing is not asked to")
	}
	if r := f.probed("edge_a", report(t, "edge_a", "edge_a", old, edgeconfig.Served{Certificate: "crt_2", Fingerprint: "old", Age: 60})); !r.Again {
		t.Error("it is not asked before it has told all")
	}
	last, err := json.Marshal(edgeconfig.ProbeReport{Target: "edge_a", Again: true})
	if err != nil {
		t.Fatal(err)
	}
	if r := f.probed("edge_a", last); r.Again {
		t.Error("it is asked again")
	}
	if r := f.probed("edge_b", report(t, "edge_b", "edge_b", old)); !r.Again {
		t.Error("another edge is not asked")
	}
	got := f.Served("crt_1")
	if len(got) != 2 || !got[0].At.Equal(now.Add(-time.Hour)) || got[0].Age != 0 {
		t.Errorf("told again: %+v", got)
	}
	if got := f.Served("crt_2"); len(got) != 1 || got[0].Fingerprint != "ee" {
		t.Errorf("an older view has taken the place of a newer: %+v", got)
	}
	// No edge makes a view younger than now, or lets it live for ever.
	f.probed("edge_a", report(t, "edge_a", "edge_a", edgeconfig.Served{Certificate: "crt_3", Age: -1 << 40}, edgeconfig.Served{Certificate: "crt_4", Age: 1 << 40}))
	if got := f.Served("crt_3"); len(got) != 1 || !got[0].At.Equal(*now) {
		t.Errorf("from the future: %+v", got)
	}
	*now = now.Add(time.Second)
	if got := f.Served("crt_4"); len(got) != 0 {
		t.Errorf("from long ago: %+v", got)
	}
}

func TestPeersThatCanBeReached(t *testing.T) {
	f, _ := servedFleet(t, map[string]string{"edge_a": "[::]:443", "edge_b": "127.0.0.1:8443", "edge_c": "[::]:443", "edge_d": ""})
	if p := f.registry.peer("edge_a"); p != nil {
		t.Errorf("nothing is known of where others are, and the peer is %+v", p)
	}
	f.registry.from("Uedge_a", "192.0.2.1")
	f.registry.from("Uedge_c", "192.0.2.3")
	if p := f.registry.peer("edge_a"); p == nil || p.Address != "192.0.2.3:443" {
		t.Errorf("the peer of edge_a is %+v", p)
	}
	if p := f.registry.peer("edge_b"); p == nil || p.Edge != "edge_c" {
		t.Errorf("the peer of edge_b is %+v", p)
	}
	if p := f.registry.peer("edge_x"); p != nil {
		t.Errorf("the peer of a stranger is %+v", p)
	}
}
