// Package agent is the edge's side of the bridge: it joins, receives signed
// documents, verifies them, keeps the last good ones on disk, hands them to the
// node, acknowledges, compares manifests, sends heartbeats and rollups.
//
// Types: Identity (who this edge is; a 0600 file), Options, and the small
// interfaces of what it drives: Node, and optionally Verifier, Reporter and
// Drainer. edge/node.Node is all of them.
//
// Phases of Run:
//
//	open the log on disk -> apply what it holds (no control plane needed)
//	-> connect, for ever, with jitter
//	-> each document: scope, signature, revision -> Node.Apply -> log -> acknowledge -> verify -> acknowledge
//	-> each purge: signature, number -> Node.Purge -> report
//	-> each manifest: compare 256 digests, ask for what differs
//	-> heartbeats; rollups every minute, spooled while the bus is away
//
// One goroutine owns all state; there are no locks on its way and no tickers:
// one timer serves heartbeat, rollup and retries.
package agent

import (
	"context"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// Node is what the agent drives.
type Node interface {
	// Apply takes documents whose signatures are verified, in any order, and
	// returns one item for each: Applied, or Rejected with the reason.
	Apply(docs []edgeconfig.Document) []edgeconfig.AckItem
	// Purge removes stored responses and returns how many objects; after it
	// returns no stale byte is served.
	Purge(p edgeconfig.Purge) int
	// DropCache removes every stored response: the edge was away for longer
	// than purges are remembered.
	DropCache() int
}

// Verifier is a Node that can ask itself over its own listener whether a
// document is in force in that revision or a later one.
type Verifier interface {
	Verify(ctx context.Context, key string, revision int64) error
}

// Reporter is a Node that counts.
type Reporter interface {
	// Info fills in what a heartbeat says of the node: StartedAt, Version,
	// HTTP, HTTPS, Draining, Sites, Live.
	Info() edgeconfig.Heartbeat
	// Take closes the rollup of span: what was counted since the last Take of
	// the same span.
	Take(span time.Duration) edgeconfig.Rollup
}

// Drainer is a Node that can send its clients elsewhere.
type Drainer interface {
	Drain(on bool)
}

// Options of an agent.
type Options struct {
	Identity *Identity // from Open or Join
	Dir      string    // where documents, purge number and rollups are kept; "" keeps nothing
	Node     Node
	// InProcess connects to a bus in this process; nil dials Identity.BusURL.
	InProcess nats.InProcessConnProvider

	Logger         *slog.Logger     // nil: discard
	Now            func() time.Time // nil: time.Now
	HeartbeatEvery time.Duration    // 0: 10 s
	RollupEvery    time.Duration    // 0: 60 s
	// Ready, when not nil, is called once when what is on disk is in force.
	Ready func()
}

// Run drives the node until ctx ends; it then returns nil. An error means that
// the edge cannot work at all (its directory is not usable).
func Run(ctx context.Context, o Options) error {
	return fault.New(fault.Unavailable, "the agent is not built in")
}
