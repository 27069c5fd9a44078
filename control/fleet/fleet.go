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
	"time"

	"github.com/nats-io/nats.go"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// Output is one document as compiled: what it shall say, not yet numbered or
// signed.
type Output struct {
	Key     string
	Scope   string // edgeconfig.ScopeAll or an edge's ID; "" means ScopeAll
	Body    json.RawMessage
	Deleted bool
}

// Compiler tells which documents change with an event. control/compile
// implements it. It is called from one goroutine.
type Compiler interface {
	Apply(event resource.Event) []Output
}

// Rekeyer is the ability of a Compiler to seal certificates with a group key.
// SetGroupKey is called once before the first event and again when the key is
// rotated; it returns the documents that change.
type Rekeyer interface {
	SetGroupKey(group string, key [32]byte) []Output
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

	Bus BusOptions

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
	External  string   // URLs of an external NATS cluster ("nats://a:4222,nats://b:4222") instead of the embedded server
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
	// store revisions.
	SaveDocuments(ctx context.Context, prev, next int64, docs []edgeconfig.Document, causes map[string]int64) error
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
	// the region it was made for. The same busKey may use it again (its first
	// answer got lost) and gets the same edge back. Errors: Unauthenticated.
	UseJoinToken(ctx context.Context, hash []byte, busKey, edge string, now time.Time) (region, usedBy string, err error)
}

// Fleet is the control plane's side of the bridge. Its methods may be called
// from any goroutine once New has returned; those that need the bus answer
// fault.Unavailable before Start.
type Fleet struct {
	options Options
}

// New loads the fleet's keys from the Vault, or makes them on the first start.
func New(ctx context.Context, o Options) (*Fleet, error) {
	return &Fleet{options: o}, nil
}

var errNotStarted = fault.New(fault.Unavailable, "the fleet's bus is not running")

// Start brings the bus up and listens to the edges. It returns at once.
func (f *Fleet) Start(ctx context.Context) error { return errNotStarted }

// Lead publishes: it turns store events into documents, sends the manifest and
// answers edges, until ctx ends (it then returns ctx's error) or something that
// cannot be mended here goes wrong. Only the holder of the lease may call it.
func (f *Fleet) Lead(ctx context.Context) error { return errNotStarted }

// Close stops the bus and every goroutine of the fleet.
func (f *Fleet) Close() error { return nil }

// InProcess connects edges that live in this process without a socket; nil when
// the bus is external.
func (f *Fleet) InProcess() nats.InProcessConnProvider { return nil }

// BusAddr is the bound address of the TLS listener, "" when there is none.
func (f *Fleet) BusAddr() string { return "" }

// JoinToken is a fresh one-time token. Token is shown once.
type JoinToken struct {
	Token     string    `json:"token"`
	Region    string    `json:"region,omitempty"`
	ExpiresAt time.Time `json:"expires_at"`
}

// NewJoinToken makes a one-time token for one edge, for region when not "".
func (f *Fleet) NewJoinToken(ctx context.Context, region string, ttl time.Duration) (JoinToken, error) {
	return JoinToken{}, errNotStarted
}

// Join spends a token and makes the edge. Errors: Unauthenticated (unknown,
// used or expired token), Invalid.
func (f *Fleet) Join(ctx context.Context, r edgeconfig.JoinRequest) (edgeconfig.JoinReply, error) {
	return edgeconfig.JoinReply{}, errNotStarted
}

// JoinLocal joins an edge of this process: as Join, without a token.
func (f *Fleet) JoinLocal(ctx context.Context, r edgeconfig.JoinRequest) (edgeconfig.JoinReply, error) {
	return edgeconfig.JoinReply{}, errNotStarted
}

// Edges lists all edges with their live state, in order of ID.
func (f *Fleet) Edges(ctx context.Context) ([]Edge, error) { return nil, errNotStarted }

// Edge returns one edge, by ID or name.
func (f *Fleet) Edge(ctx context.Context, idOrName string) (Edge, error) {
	return Edge{}, errNotStarted
}

// Drain asks an edge to send its clients elsewhere, or takes it back.
func (f *Fleet) Drain(ctx context.Context, idOrName string, draining bool, cause resource.Cause) (Edge, error) {
	return Edge{}, errNotStarted
}

// Revoke removes an edge for good: its connection is closed, its credentials
// are void, and the group key is rotated so that it cannot read later
// certificates.
func (f *Fleet) Revoke(ctx context.Context, idOrName string, cause resource.Cause) error {
	return errNotStarted
}

// Purge numbers, signs, records and publishes a purge and waits until all
// connected edges have acknowledged it or ctx ends, which is no error: the
// state names who is missing.
func (f *Fleet) Purge(ctx context.Context, r PurgeRequest) (PurgeState, error) {
	return PurgeState{}, errNotStarted
}

// PurgeState tells how far a purge has come.
func (f *Fleet) PurgeState(ctx context.Context, id string) (PurgeState, error) {
	return PurgeState{}, errNotStarted
}

// Present publishes an ACME challenge and waits until all connected edges serve
// it. Error: Unavailable when some do not within ctx, naming them.
func (f *Fleet) Present(ctx context.Context, c edgeconfig.Challenge) error { return errNotStarted }

// Remove takes a challenge back. It does not wait.
func (f *Fleet) Remove(ctx context.Context, c edgeconfig.Challenge) error { return errNotStarted }

// Rollout tells how far a store revision has come on the edges.
func (f *Fleet) Rollout(revision int64) Rollout { return Rollout{Revision: revision} }

// DocumentState tells how far the current version of one document has come.
func (f *Fleet) DocumentState(key string) Rollout { return Rollout{} }

// GroupKey is the key that certificates are sealed with, and its name.
func (f *Fleet) GroupKey() (group string, key [32]byte) { return "", key }

// Subscribe returns events until cancel is called. A subscriber that does not
// keep up loses older rollout and live events, never the order. live asks the
// edges for one-second numbers while the subscription lasts.
func (f *Fleet) Subscribe(live bool) (events <-chan Event, cancel func()) {
	ch := make(chan Event)
	return ch, func() {}
}
