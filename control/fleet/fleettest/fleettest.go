// Package fleettest runs a whole fleet in one process for tests and for the
// fan-out benchmark: a real store, the real embedded bus, a real Fleet, and any
// number of real agents on nodes that serve nothing.
//
// Types: Fleet (store, fleet and its leader), Node (what an agent drives),
// Compiler (resources of kind Kind become site documents). FanOut measures.
package fleettest

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/edgewright/edgewright/control/fleet"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/store"
	"github.com/edgewright/edgewright/control/store/storetest"
	"github.com/edgewright/edgewright/edge/agent"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/secrets"
)

// Kind is the kind of resources that Compiler turns into sites.
const Kind resource.Kind = "testsite"

// Options of Start. The zero value is a fleet on a fresh SQLite database in Dir.
type Options struct {
	Dir      string // where a database is made; not used with Store
	Store    *store.DB
	Compiler fleet.Compiler // nil: a Compiler of this package
	Logger   *slog.Logger
	// Change may change the fleet's options before it is made.
	Change func(*fleet.Options)
}

// Fleet is a running fleet and its leader.
type Fleet struct {
	*fleet.Fleet
	Store *store.DB

	own     bool
	leading context.CancelFunc
	led     chan error
}

// Start starts a fleet that leads.
func Start(ctx context.Context, o Options) (*Fleet, error) {
	f := &Fleet{Store: o.Store}
	if o.Store == nil {
		keys, err := secrets.LoadKeyring(filepath.Join(o.Dir, "master.key"), "")
		if err != nil {
			return nil, err
		}
		path := filepath.Join(o.Dir, "edgewright.db")
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			if err := storetest.WriteMigrated(path); err != nil {
				return nil, err
			}
		}
		if f.Store, err = store.Open(ctx, path, keys, store.Options{Logger: o.Logger}); err != nil {
			return nil, err
		}
		f.own = true
	}
	if o.Compiler == nil {
		o.Compiler = NewCompiler()
	}
	options := fleet.Options{
		Store: f.Store, Vault: f.Store, Documents: f.Store, Purges: f.Store, Tokens: f.Store,
		Compiler: o.Compiler, Kinds: []resource.Kind{Kind}, Logger: o.Logger,
	}
	if o.Change != nil {
		o.Change(&options)
	}
	var err error
	if f.Fleet, err = fleet.New(ctx, options); err == nil {
		err = f.Fleet.Start(ctx)
	}
	if err != nil {
		if f.own {
			err = errors.Join(err, f.Store.Close())
		}
		return nil, err
	}
	f.Lead()
	return f, nil
}

// Lead begins to lead (again).
func (f *Fleet) Lead() {
	ctx, cancel := context.WithCancel(context.Background())
	f.leading, f.led = cancel, make(chan error, 1)
	go func() { f.led <- f.Fleet.Lead(ctx) }()
}

// Resign ends leading and returns what Lead returned.
func (f *Fleet) Resign() error {
	f.leading()
	err := <-f.led
	f.led <- err
	return err
}

// Stop ends everything that Start started.
func (f *Fleet) Stop() error {
	_ = f.Resign()
	err := f.Fleet.Close()
	if f.own {
		err = errors.Join(err, f.Store.Close())
	}
	return err
}

// Put creates or changes the site called name and returns the store revision.
func (f *Fleet) Put(ctx context.Context, name, origin string) (int64, error) {
	spec, err := json.Marshal(Spec{Origin: origin})
	if err != nil {
		return 0, err
	}
	change := resource.Change{Op: resource.Create, Kind: Kind, ID: SiteID(name), Project: "p", Environment: "e", Name: name, Spec: spec}
	if _, err := f.Store.Get(ctx, Kind, change.ID); err == nil {
		change.Op = resource.Update
	}
	done, err := f.Store.Commit(ctx, resource.Commit{Changes: []resource.Change{change}, Cause: resource.Cause{Actor: "test", Via: "test"}})
	return done.Revision, err
}

// Delete deletes sites and returns the store revision.
func (f *Fleet) Delete(ctx context.Context, names ...string) (int64, error) {
	var c resource.Commit
	for _, name := range names {
		c.Changes = append(c.Changes, resource.Change{Op: resource.Delete, Kind: Kind, ID: SiteID(name)})
	}
	c.Cause = resource.Cause{Actor: "test", Via: "test"}
	done, err := f.Store.Commit(ctx, c)
	return done.Revision, err
}

// SiteID is the ID of the site called name, SiteKey its document's key.
func SiteID(name string) string  { return "site_" + name }
func SiteKey(name string) string { return edgeconfig.KindSite + "/" + SiteID(name) }

// JoinEdge joins an edge of this process and returns its identity. dir may be "".
func (f *Fleet) JoinEdge(ctx context.Context, dir, region, name string) (*agent.Identity, error) {
	return agent.Join(ctx, agent.JoinOptions{Dir: dir, Region: region, Name: name, Join: f.JoinLocal, Simulated: true})
}

// Edge is a running agent.
type Edge struct {
	Identity *agent.Identity
	Node     *Node

	cancel context.CancelFunc
	done   chan error
}

// Run starts an agent on the fleet's bus. change may change its options.
func (f *Fleet) Run(id *agent.Identity, node *Node, change func(*agent.Options)) *Edge {
	o := agent.Options{Identity: id, Node: node, InProcess: f.InProcess()}
	if change != nil {
		change(&o)
	}
	return RunAgent(o, node)
}

// RunAgent starts an agent.
func RunAgent(o agent.Options, node *Node) *Edge {
	ctx, cancel := context.WithCancel(context.Background())
	e := &Edge{Identity: o.Identity, Node: node, cancel: cancel, done: make(chan error, 1)}
	go func() { e.done <- agent.Run(ctx, o) }()
	return e
}

// Stop ends the agent and returns what Run returned.
func (e *Edge) Stop() error {
	e.cancel()
	err := <-e.done
	e.done <- err
	return err
}

// Spec is what a resource of Kind says.
type Spec struct {
	Origin string `json:"origin"`
}

// Compiler turns each resource of Kind into one site document.
type Compiler struct{}

// NewCompiler returns a Compiler.
func NewCompiler() *Compiler { return &Compiler{} }

// Apply implements fleet.Compiler.
func (c *Compiler) Apply(e resource.Event) []fleet.Output {
	out := fleet.Output{Key: edgeconfig.KindSite + "/" + e.Resource.ID, Scope: edgeconfig.ScopeAll}
	if e.Type == resource.Deleted {
		out.Deleted = true
		return []fleet.Output{out}
	}
	var spec Spec
	if json.Unmarshal(e.Resource.Spec, &spec) != nil {
		return nil
	}
	body, err := json.Marshal(edgeconfig.Site{
		ID: e.Resource.ID, Project: e.Resource.Project, Environment: e.Resource.Environment,
		Hosts: []string{e.Resource.Name + ".example.com"}, RedirectHTTPS: true,
		Pool: edgeconfig.Pool{
			ID: e.Resource.ID, Origins: []edgeconfig.Origin{{ID: "origin", Name: "origin", URL: spec.Origin}},
			ConnectTimeoutMS: 5000, ResponseTimeoutMS: 60000, IdleTimeoutMS: 60000,
		},
		CacheRules: []edgeconfig.CacheRule{{ID: "static", Pattern: "/static/**", Action: edgeconfig.CacheOverride, EdgeTTL: 3600}},
	})
	if err != nil {
		return nil
	}
	out.Body = body
	return []fleet.Output{out}
}

// Node is a node that serves nothing: it keeps what it is given. The zero value
// is ready.
type Node struct {
	// Refuse, when not nil, gives the reason to reject a document, "" for none.
	Refuse func(d edgeconfig.Document) string
	// OnApply is called with every batch, before it is applied.
	OnApply func(docs []edgeconfig.Document)
	// Small keeps no documents, only which revisions there are: for thousands of
	// nodes in one process.
	Small bool
	// Cached is what a purge reports.
	Cached int

	mu       sync.Mutex
	docs     map[string]edgeconfig.Document
	purges   []edgeconfig.Purge
	dropped  int
	draining bool
	batches  int
	takes    map[time.Duration]int
	counted  []count
	from     map[time.Duration]int // how much of counted each span has taken
}

// Apply implements agent.Node.
func (n *Node) Apply(docs []edgeconfig.Document) []edgeconfig.AckItem {
	if n.OnApply != nil {
		n.OnApply(docs)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.batches++
	if n.docs == nil {
		n.docs = map[string]edgeconfig.Document{}
	}
	items := make([]edgeconfig.AckItem, len(docs))
	for i, d := range docs {
		items[i] = edgeconfig.AckItem{Key: d.Key, Revision: d.Revision, State: edgeconfig.Applied}
		if n.Refuse != nil {
			if reason := n.Refuse(d); reason != "" {
				items[i].State, items[i].Reason = edgeconfig.Rejected, reason
				continue
			}
		}
		switch {
		case n.Small:
		case d.Deleted:
			delete(n.docs, d.Key)
		default:
			n.docs[d.Key] = d
		}
	}
	return items
}

// Purge implements agent.Node.
func (n *Node) Purge(p edgeconfig.Purge) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.Small {
		n.purges = append(n.purges, p)
	}
	return n.Cached
}

// DropCache implements agent.Node.
func (n *Node) DropCache() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dropped++
	return n.Cached
}

// Drain implements agent.Drainer.
func (n *Node) Drain(on bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.draining = on
}

// Info implements agent.Reporter.
func (n *Node) Info() edgeconfig.Heartbeat {
	n.mu.Lock()
	defer n.mu.Unlock()
	return edgeconfig.Heartbeat{Version: "test", HTTP: "127.0.0.1:1", HTTPS: "127.0.0.1:2", Sites: len(n.docs), Draining: n.draining}
}

type count struct {
	site     string
	requests int64
}

// Count adds traffic of a site, all hits.
func (n *Node) Count(site string, requests int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.counted = append(n.counted, count{site, requests})
}

// Take implements agent.Reporter.
func (n *Node) Take(span time.Duration) edgeconfig.Rollup {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.takes == nil {
		n.takes, n.from = map[time.Duration]int{}, map[time.Duration]int{}
	}
	n.takes[span]++
	r := edgeconfig.Rollup{Sites: map[string]edgeconfig.Counters{}}
	for _, c := range n.counted[n.from[span]:] {
		sum := r.Sites[c.site]
		sum.Add(edgeconfig.Counters{Requests: c.requests, Cache: map[string]int64{"hit": c.requests}})
		r.Sites[c.site] = sum
	}
	n.from[span] = len(n.counted)
	return r
}

// Document returns what is in force.
func (n *Node) Document(key string) (edgeconfig.Document, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	d, ok := n.docs[key]
	return d, ok
}

// Keys returns how many documents of a kind are in force.
func (n *Node) Keys(kind string) int {
	return len(n.KeysOf(kind))
}

// KeysOf returns the keys of the documents of a kind that are in force.
func (n *Node) KeysOf(kind string) (keys []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for key, d := range n.docs {
		if d.Kind() == kind {
			keys = append(keys, key)
		}
	}
	return keys
}

// Origin returns the origin of the site called name, "" when it is not there.
func (n *Node) Origin(name string) string {
	d, ok := n.Document(SiteKey(name))
	if !ok {
		return ""
	}
	var s edgeconfig.Site
	if json.Unmarshal(d.Body, &s) != nil || len(s.Pool.Origins) == 0 {
		return ""
	}
	return s.Pool.Origins[0].URL
}

// Purges returns the purges that were carried out, and how often everything was
// dropped.
func (n *Node) Purges() ([]edgeconfig.Purge, int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]edgeconfig.Purge(nil), n.purges...), n.dropped
}

// Draining tells what Drain was last told.
func (n *Node) Draining() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.draining
}

// Batches is how often Apply was called.
func (n *Node) Batches() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.batches
}

// Taken is how often Take was called for a span.
func (n *Node) Taken(span time.Duration) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.takes[span]
}

// Verifying is a Node that can be asked whether a document is in force.
type Verifying struct {
	*Node
	// Deny, when not nil, is asked first.
	Deny func(key string, revision int64) error
}

// Verify implements agent.Verifier.
func (v Verifying) Verify(ctx context.Context, key string, revision int64) error {
	if v.Deny != nil {
		if err := v.Deny(key, revision); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// Eventually waits until is becomes true, looking every millisecond.
func Eventually(ctx context.Context, is func() bool) error {
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for !is() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
	return nil
}
