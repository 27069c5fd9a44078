// Package fleet carries configuration to the edges and brings facts back.
//
// It owns the bus (an embedded NATS server, or an external cluster), the keys
// that the fleet trusts, the documents published so far, the edges as
// resources, and the purges. The database is the record; the bus only carries,
// and what it loses the manifest brings back.
//
// The way of a change, phase by phase:
//
//	resource.Store.Watch -> Compiler.Apply      which documents change
//	                     -> publisher           equal hashes dropped; emptied sets held back; number, sign
//	                     -> DocumentStore       durable before anything leaves
//	                     -> bus                 edgewright.down.all or .<edge>, document inside the message
//	                     -> acknowledgements    tracker: pending -> applied -> verified | rejected, per edge, with times
//	                     -> subscribers         Event of type rollout
//
// Every five seconds, whatever has changed, the manifest (256 digests) goes
// out; an edge that finds a bucket different asks for its entries, then for the
// documents it lacks. A heartbeat carries one digest over all of it, so a lost
// acknowledgement heals too.
//
// Types: Fleet (the whole), Options, BusOptions; DocumentStore, PurgeStore and
// TokenStore (implemented by control/store); Edge, EdgeSpec, EdgeStatus;
// Rollout; PurgeRequest, PurgeState; Event.
//
// Life: New (keys), Start (bus up, edges may connect), Lead (under the lease:
// publish, manifest, answer requests; returns when its context ends), Close.
package fleet

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/edgewright/edgewright/control/compile"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// Output is one document as compiled: what it shall say, not yet numbered or
// signed.
type Output = compile.Output

// Compiler tells which documents change with an event; *compile.Compiler is
// one. It is called from one goroutine.
type Compiler interface {
	Apply(event resource.Event) []Output
}

// Rekeyer is the ability of a Compiler to seal certificates with a group key.
// SetGroupKey is called once before the first event and again when the key is
// rotated; it returns the documents that change.
type Rekeyer interface {
	SetGroupKey(group string, key [32]byte) []Output
}

// Keeper is the ability of a Compiler to keep documents of a deleted zone until
// those of its successor are there.
type Keeper interface {
	Keeps(id string) bool
}

// Recaller is the ability of a Compiler to go on from what earlier terms of leading
// have published of zones. Recall is called before the first event; Missing, when
// everything that is declared was seen, returns what becomes of those that are not.
type Recaller interface {
	Recall(published []compile.PublishedZone)
	Missing() []Output
}

// Doubter is the ability of a Compiler to tell what it cannot compile, by
// resource ID.
type Doubter interface {
	Problems() map[string]string
}

// TrafficSink stores the one-minute rollups. control/traffic implements it.
type TrafficSink interface {
	// Ingest stores r; a repeat of an ID counts once. A nil error means durable.
	Ingest(ctx context.Context, r edgeconfig.Rollup) error
}

// Options of a Fleet.
type Options struct {
	Store     resource.Store
	Vault     resource.Vault
	Documents DocumentStore
	Purges    PurgeStore
	Tokens    TokenStore

	Compiler Compiler
	Kinds    []resource.Kind // the kinds the compiler reads
	Traffic  TrafficSink     // nil: rollups are acknowledged and dropped
	// Noticed is told what primaries of secondary zones say to edges; nil: nobody is.
	Noticed func(ctx context.Context, n edgeconfig.Notice) error

	Bus BusOptions
	// ECHName is the public name of Encrypted Client Hello: one that edges have a
	// certificate for. "": it is not offered.
	ECHName string

	Logger        *slog.Logger     // nil: discard
	Now           func() time.Time // nil: time.Now
	ManifestEvery time.Duration    // 0: 5 s
	AwayAfter     time.Duration    // silence after which an edge counts as away; 0: 35 s
}

// BusOptions say which bus carries.
type BusOptions struct {
	Listen    string   // "host:port" of the TLS listener for edges on other machines; "" for none, port 0 picks one
	Advertise string   // "host:port" that edges dial; "": as bound
	Names     []string // further DNS names and IP addresses for the bus's certificate
	External  string   // URLs of an external NATS cluster ("tls://a:4222,tls://b:4222") instead of the embedded server; see BusConfig
	// ExternalRootPEM verifies the external cluster's TLS; "": the system's roots.
	ExternalRootPEM string
}

// DocumentStore is the record of everything published. control/store
// implements it on both databases.
type DocumentStore interface {
	// Documents calls fn for every document, tombstones included, in order of
	// key, without bodies. cause is the store revision that the change came
	// from, 0 when none.
	Documents(ctx context.Context, fn func(d edgeconfig.Document, cause int64) error) error
	// DocumentBodies returns the named documents, bodies included, in order of
	// key. Unknown keys are left out.
	DocumentBodies(ctx context.Context, keys []string) ([]edgeconfig.Document, error)
	// SaveDocuments writes all of docs or nothing. prev is the number the
	// writer believes to be the last (DocumentSeq); next becomes the last. It
	// returns fault.Stale when another writer was there. causes maps keys to
	// store revisions. With watched not 0 it is kept as by SetWatchedSeq.
	SaveDocuments(ctx context.Context, prev, next, watched int64, docs []edgeconfig.Document, causes map[string]int64) error
	// DocumentSeq is the last number given to a document, 0 at first.
	DocumentSeq(ctx context.Context) (int64, error)
	// WatchedSeq and SetWatchedSeq keep the store sequence number up to which
	// events have become documents.
	WatchedSeq(ctx context.Context) (int64, error)
	SetWatchedSeq(ctx context.Context, seq int64) error
}

// PurgeStore is the log of purges.
type PurgeStore interface {
	// AddPurge takes the next number, lets sign complete the purge with it, and
	// writes it, all in one transaction.
	AddPurge(ctx context.Context, sign func(seq int64) (edgeconfig.Purge, error)) (edgeconfig.Purge, error)
	// PurgesSince returns purges with numbers above since, oldest first, at
	// most limit, and the oldest and last numbers known (0 when none).
	PurgesSince(ctx context.Context, since int64, limit int) (purges []edgeconfig.Purge, oldest, last int64, err error)
	// PurgeByID returns a purge and the outcome saved with it (nil when none).
	PurgeByID(ctx context.Context, id string) (edgeconfig.Purge, json.RawMessage, error)
	// SavePurgeOutcome keeps what became of a purge.
	SavePurgeOutcome(ctx context.Context, seq int64, outcome json.RawMessage) error
	// ForgetPurges drops all but the newest keep.
	ForgetPurges(ctx context.Context, keep int) error
}

// TokenStore keeps the one-time join tokens, hashed.
type TokenStore interface {
	PutJoinToken(ctx context.Context, hash []byte, region string, created, expires time.Time) error
	// UseJoinToken spends a token for the edge that holds busKey and returns
	// the region it was made for, "" for any. It spends none for an edge that
	// asks for another region (Invalid); "" asks for none. The same busKey may use it again (its first
	// answer got lost) and gets the same edge back. Errors: Unauthenticated.
	UseJoinToken(ctx context.Context, hash []byte, asked, busKey, edge string, now time.Time) (region, usedBy string, err error)
}

// Fleet is the control plane's side of the bridge. Its methods may be called
// from any goroutine once New has returned; those that need the bus answer
// fault.Unavailable before Start.
type Fleet struct {
	options Options
	log     *slog.Logger
	now     func() time.Time

	keyChange  sync.Mutex // held while the keys are changed
	keysInUse  atomic.Pointer[keyset]
	busInUse   atomic.Pointer[bus]
	lead       atomic.Pointer[lead]
	registry   *registry
	tracker    *tracker
	hub        *hub
	purges     *purges
	live       *liveTraffic
	challenges challengeSlots
	served     *servedViews

	manifestNow chan struct{} // asks for a manifest out of turn
	stop        context.CancelFunc
	running     sync.WaitGroup
}

var errNotStarted = fault.New(fault.Unavailable, "the fleet's bus is not running")

// New loads the fleet's keys from the Vault, or makes them on the first start.
func New(ctx context.Context, o Options) (*Fleet, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.ManifestEvery <= 0 {
		o.ManifestEvery = 5 * time.Second
	}
	if o.AwayAfter <= 0 {
		o.AwayAfter = 35 * time.Second
	}
	keys, err := loadKeys(ctx, o.Vault, o.Now())
	if err != nil {
		return nil, err
	}
	f := &Fleet{
		options: o, log: o.Logger, now: o.Now,
		registry:    newRegistry(o.Now, o.AwayAfter),
		tracker:     newTracker(o.Now),
		purges:      newPurges(o.Now),
		live:        newLiveTraffic(),
		served:      newServedViews(),
		manifestNow: make(chan struct{}, 1),
	}
	f.keysInUse.Store(keys)
	f.hub = &hub{subs: map[*subscriber]struct{}{}, watched: f.askManifest}
	return f, nil
}

// Start brings the bus up and listens to the edges. It returns when edges may
// connect. ctx bounds the start only.
func (f *Fleet) Start(ctx context.Context) error {
	if f.bus() != nil {
		return fault.New(fault.Conflict, "the fleet runs already")
	}
	if err := f.loadEdges(ctx); err != nil {
		return err
	}
	b, err := startBus(ctx, f.options.Bus, f.keys(), f.log, f.now)
	if err != nil {
		return err
	}
	background, stop := context.WithCancel(context.Background())
	if err := f.listen(background, b); err != nil {
		stop()
		b.close()
		f.running.Wait()
		return err
	}
	f.busInUse.Store(b)
	f.stop = stop
	f.running.Go(func() { f.watchEdges(background) })
	f.running.Go(func() { f.reportRollouts(background) })
	f.running.Go(func() { f.reportLive(background) })
	return nil
}

// Close stops the bus and every goroutine of the fleet. Lead must have returned.
func (f *Fleet) Close() error {
	if f.stop != nil {
		f.stop()
	}
	if b := f.busInUse.Swap(nil); b != nil {
		b.close()
	}
	f.running.Wait()
	f.hub.close()
	return nil
}

// InProcess connects edges that live in this process without a socket; nil when
// the bus is external or not running.
func (f *Fleet) InProcess() nats.InProcessConnProvider {
	if b := f.bus(); b != nil && b.server != nil {
		return b.server
	}
	return nil
}

// BusAddr is the bound address of the TLS listener, "" when there is none.
func (f *Fleet) BusAddr() string {
	if b := f.bus(); b != nil {
		return b.addr()
	}
	return ""
}

// GroupKey is the key that certificates are sealed with, and its name.
func (f *Fleet) GroupKey() (group string, key [32]byte) {
	g := f.keys().group()
	return g.Name, g.Key
}

// Subscribe returns events until cancel is called. A subscriber that does not
// keep up loses the oldest events, never the order. live asks the edges for
// short rollups while the subscription lasts; live events go to such
// subscribers only.
func (f *Fleet) Subscribe(live bool) (events <-chan Event, cancel func()) {
	return f.hub.subscribe(live)
}

// Held lists removals that are held back, per kind of document.
func (f *Fleet) Held() []Held {
	var held []Held
	if l := f.lead.Load(); l != nil {
		for _, kind := range l.publisher.heldKinds() {
			held = append(held, l.publisher.heldOf(kind))
		}
	}
	return held
}

// ReleaseHeld carries out the removals that are held back of a kind and returns
// how many they are.
func (f *Fleet) ReleaseHeld(ctx context.Context, kind string) (int, error) {
	l := f.lead.Load()
	if l == nil {
		return 0, errNotLeading
	}
	return l.publisher.release(ctx, kind)
}

var errNotLeading = fault.New(fault.Unavailable, "this control plane does not publish at the moment: another one does, or it is just starting")

func (f *Fleet) bus() *bus     { return f.busInUse.Load() }
func (f *Fleet) keys() *keyset { return f.keysInUse.Load() }

func (f *Fleet) reloadKeys(ctx context.Context) error {
	f.keyChange.Lock()
	defer f.keyChange.Unlock()
	keys, err := loadKeys(ctx, f.options.Vault, f.now())
	if err == nil {
		f.keysInUse.Store(keys)
	}
	return err
}

// changeKeys lets change work on a fresh copy of the keys and keeps it when
// change returns true.
func (f *Fleet) changeKeys(ctx context.Context, change func(*keyset) bool) error {
	f.keyChange.Lock()
	defer f.keyChange.Unlock()
	keys, err := loadKeys(ctx, f.options.Vault, f.now())
	if err != nil {
		return err
	}
	keys = keys.clone()
	if change(keys) {
		if err := keys.save(ctx, f.options.Vault); err != nil {
			return err
		}
	}
	f.keysInUse.Store(keys)
	return nil
}

// AddSigningKey begins a rotation of the key that signs documents: edges learn
// to trust a new key. When all of them have, PromoteSigningKey makes it sign.
func (f *Fleet) AddSigningKey(ctx context.Context) error {
	if err := f.changeKeys(ctx, func(k *keyset) bool { k.addSigningKey(f.now()); return true }); err != nil {
		return err
	}
	return f.republishOwn(ctx)
}

// PromoteSigningKey makes the newest trusted key sign and forgets the others.
// Error: Conflict when there is no other key, or when an edge has not yet
// learnt of it.
func (f *Fleet) PromoteSigningKey(ctx context.Context) error {
	if len(f.keys().Signing) < 2 {
		return fault.New(fault.Conflict, "there is no new signing key: add one first and let all edges learn of it")
	}
	for _, e := range f.registry.list() {
		state := f.DocumentState(edgeconfig.KindEdge + "/" + e.ID)
		if state.Pending+state.Rejected > 0 {
			return fault.New(fault.Conflict, "edge %s has not learnt the new signing key yet: wait until it has, or revoke it", e.Name)
		}
	}
	if err := f.changeKeys(ctx, func(k *keyset) bool { k.Signing = k.Signing[len(k.Signing)-1:]; return true }); err != nil {
		return err
	}
	return f.republishOwn(ctx)
}

// republishOwn publishes each edge's own documents after the keys have changed.
func (f *Fleet) republishOwn(ctx context.Context) error {
	l := f.lead.Load()
	if l == nil {
		return errNotLeading
	}
	l.making.Lock()
	defer l.making.Unlock()
	for id, spec := range f.registry.all() {
		settings, err := f.edgeSettings(id, spec)
		if err != nil {
			return err
		}
		if err := l.publisher.enqueue(ctx, 0, settings); err != nil {
			return err
		}
	}
	return nil
}
