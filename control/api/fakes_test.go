package api

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/domains"
	"github.com/edgewright/edgewright/control/fleet"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/store"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// gatedIssuer is the local CA, which tests can make wait.
type gatedIssuer struct {
	certificates.Issuer
	mu   sync.Mutex
	gate chan struct{} // nil: open
	fail error         // nil: it issues
}

func (g *gatedIssuer) refuse(with error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.fail = with
}

func (g *gatedIssuer) close() (open func()) {
	gate := make(chan struct{})
	g.mu.Lock()
	defer g.mu.Unlock()
	g.gate = gate
	return func() { close(gate) }
}

func (g *gatedIssuer) Issue(ctx context.Context, o certificates.Order) (string, error) {
	g.mu.Lock()
	gate, fail := g.gate, g.fail
	g.mu.Unlock()
	if fail != nil {
		return "", fail
	}
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	return g.Issuer.Issue(ctx, o)
}

// fakeDNS stands for the resolvers of the world and its web servers.
type fakeDNS struct {
	mu  sync.Mutex
	txt map[string]string
}

func (d *fakeDNS) Lookup(_ context.Context, name, typ string) []domains.Seen {
	d.mu.Lock()
	defer d.mu.Unlock()
	if v, ok := d.txt[name]; ok && typ == "TXT" {
		return []domains.Seen{{Resolver: "test", Answers: []string{v}}}
	}
	return []domains.Seen{{Resolver: "test", Answers: []string{}, Error: "NXDOMAIN"}}
}

func (d *fakeDNS) Fetch(context.Context, string) ([]byte, error) {
	return nil, fmt.Errorf("there is no such host")
}

func (d *fakeDNS) set(name, value string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.txt[name] = value
}

// fakeFleet stands for edges: control/fleet has its own tests with real ones.
type fakeFleet struct {
	db     *store.DB
	mu     sync.Mutex
	edge   fleet.Edge
	purges map[string]fleet.PurgeState
	slow   bool // purges stay pending
	subs   map[chan fleet.Event]bool
	tokens map[string]bool
	served map[string][]fleet.View
}

func (f *fakeFleet) Served(certificate string) []fleet.View {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.served[certificate]
}

// serve has the edge say how it serves a certificate.
func (f *fakeFleet) serve(certificate string, served ...edgeconfig.Served) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.served == nil {
		f.served = map[string][]fleet.View{}
	}
	f.served[certificate] = nil
	for _, one := range served {
		one.Certificate = certificate
		f.served[certificate] = append(f.served[certificate], fleet.View{Edge: "edge_test", Region: "local", By: "edge_test", At: time.Now(), Served: one})
	}
}

func newFakeFleet(t testing.TB, db *store.DB) *fakeFleet {
	t.Helper()
	f := &fakeFleet{db: db, purges: map[string]fleet.PurgeState{}, subs: map[chan fleet.Event]bool{}, tokens: map[string]bool{}}
	done, err := db.Commit(context.Background(), resource.Commit{
		Changes: []resource.Change{{Op: resource.Create, Kind: fleet.KindEdge, ID: "edge_test", Name: "edge-1", Spec: json.RawMessage(`{"region":"local"}`)}},
		Cause:   resource.Cause{Actor: "system test", Via: "system"},
	})
	ok(t, err)
	f.edge = fleet.Edge{
		Meta: done.Resources[0].Meta,
		Spec: fleet.EdgeSpec{Region: "local"}, Connected: true, InSync: true, HTTP: "127.0.0.1:8080", Sites: 3,
	}
	return f
}

func (f *fakeFleet) Edges(context.Context) ([]fleet.Edge, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return []fleet.Edge{f.edge}, nil
}

func (f *fakeFleet) Edge(_ context.Context, id string) (fleet.Edge, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if id != f.edge.ID && id != f.edge.Name {
		return fleet.Edge{}, fault.New(fault.NotFound, "there is no such edge")
	}
	return f.edge, nil
}

func (f *fakeFleet) Drain(ctx context.Context, id string, draining bool, cause resource.Cause) (fleet.Edge, error) {
	if e, err := f.Edge(ctx, id); err != nil {
		return e, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.edge.Spec.Draining = draining
	spec, err := json.Marshal(f.edge.Spec)
	if err != nil {
		return f.edge, err
	}
	_, err = f.db.Commit(ctx, resource.Commit{
		Changes: []resource.Change{{Op: resource.Update, Kind: fleet.KindEdge, ID: f.edge.ID, Spec: spec}}, Cause: cause,
	})
	return f.edge, err
}

func (f *fakeFleet) Revoke(ctx context.Context, id string, cause resource.Cause) error {
	e, err := f.Edge(ctx, id)
	if err != nil {
		return err
	}
	_, err = f.db.Commit(ctx, resource.Commit{Changes: []resource.Change{{Op: resource.Delete, Kind: fleet.KindEdge, ID: e.ID}}, Cause: cause})
	return err
}

func (f *fakeFleet) NewJoinToken(_ context.Context, region string, ttl time.Duration) (fleet.JoinToken, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := resource.NewID("join")
	f.tokens[t] = true
	return fleet.JoinToken{Token: t, Region: region, ExpiresAt: time.Now().Add(ttl)}, nil
}

func (f *fakeFleet) Join(_ context.Context, r edgeconfig.JoinRequest) (edgeconfig.JoinReply, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.tokens[r.Token] {
		return edgeconfig.JoinReply{}, fault.New(fault.Unauthenticated, "the join token is unknown, used or expired")
	}
	delete(f.tokens, r.Token)
	return edgeconfig.JoinReply{Edge: "edge_new", BusURL: "tls://127.0.0.1:1", TrustKeys: [][]byte{{1}}}, nil
}

func (f *fakeFleet) Held() []fleet.Held {
	return []fleet.Held{{Kind: "site", Keys: []string{"site/dom_1"}, Of: 9}}
}

func (f *fakeFleet) ReleaseHeld(context.Context, string) (int, error) { return 1, nil }

func (f *fakeFleet) Rollout(revision int64) fleet.Rollout {
	return fleet.Rollout{Revision: revision, Documents: 1, Edges: 1, Applied: 1, Verified: 1}
}

func (f *fakeFleet) DocumentState(string) fleet.Rollout {
	return fleet.Rollout{Documents: 1, Edges: 1, Applied: 1, Verified: 1}
}

func (f *fakeFleet) Purge(_ context.Context, r fleet.PurgeRequest) (fleet.PurgeState, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := fleet.PurgeState{
		ID: resource.NewID("prg"), Seq: int64(len(f.purges) + 1), State: fleet.PurgeAcknowledged, Project: r.Project, Environment: r.Environment,
		Count: 7, Edges: 1, Acknowledged: 1, At: time.Now(), DoneAt: time.Now(),
	}
	if f.slow {
		p.State, p.Acknowledged, p.Missing = fleet.PurgePending, 0, []string{f.edge.ID}
	}
	f.purges[p.ID] = p
	return p, nil
}

func (f *fakeFleet) PurgeState(_ context.Context, id string) (fleet.PurgeState, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p, ok := f.purges[id]
	if !ok {
		return p, fault.New(fault.NotFound, "there is no such purge")
	}
	return p, nil
}

func (f *fakeFleet) Subscribe(bool) (<-chan fleet.Event, func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	ch := make(chan fleet.Event, 16)
	f.subs[ch] = true
	return ch, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.subs, ch)
	}
}

func (f *fakeFleet) emit(ev fleet.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for ch := range f.subs {
		ch <- ev
	}
}
