// Package node is one edge node: it turns documents into the running
// configuration and joins the rooms of the edge (certificates, sites, cache,
// origins, counters) with its doors (package httpedge).
//
// A Node owns the one atomic pointer to the immutable runtime. Apply builds the
// next runtime beside the one in force, sharing every shard of the site and
// certificate tables that did not change, and swaps the pointer; a request
// takes the pointer once and keeps it to its end. What outlives a change (the
// cache, connections to origins, ejections, counters) is kept beside the
// runtime, by stable ID, and a new runtime finds it again.
//
//	Apply(documents) -> validate -> compile -> swap -> acknowledge
//	Purge(purge)     -> sites of it -> cache
//	Verify(key, rev) -> a request or TLS handshake over the node's own listener
//
// *Node implements what edge/agent asks of a node.
package node

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/edgewright/edgewright/edge/httpedge/handover"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// Opener unseals what was sealed to this edge's public key. *secrets.Identity
// is one.
type Opener interface {
	Open(context string, box []byte) ([]byte, error)
}

// Options configures a Node. The zero value of each field but the addresses
// has a meaning.
type Options struct {
	HTTPAddr  string // "host:port"; port 0 picks one; "" for no plain HTTP listener
	HTTPSAddr string // "host:port", TCP for HTTP/1.1 and 2 and UDP for HTTP/3; "" for none
	NoHTTP3   bool   // leave UDP alone

	Identity Opener // unseals the group keys of Keys documents; nil: no certificates can be used
	EdgeID   string // "edge_..."; the name in rollups and Via
	Region   string
	Version  string

	CacheBytes   int64    // memory for stored responses; 0: 256 MiB
	OriginRanges []string // CIDR ranges of private origins allowed beside what the Platform document lists

	Logger    *slog.Logger          // nil: discard
	Inherited *handover.Inheritance // listeners of the process this one replaces; nil: bind anew
	Now       func() time.Time      // nil: time.Now
}

// Node is one running edge.
type Node struct {
	options Options
	started time.Time
}

// New binds the listeners of a node, so that its addresses are known, and
// serves nothing yet. The error is fault.Unavailable when an address cannot be
// bound, fault.Invalid when an option makes no sense.
func New(o Options) (*Node, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.HTTPAddr == "" && o.HTTPSAddr == "" {
		return nil, fault.New(fault.Invalid, "an edge needs an HTTP or an HTTPS address")
	}
	return &Node{options: o, started: o.Now()}, nil
}

// Start begins to serve. It returns at once; Shutdown ends it.
func (n *Node) Start() error {
	return fault.New(fault.Unavailable, "the edge's doors are not built in")
}

// HTTPAddr is the bound plain HTTP address, "" when there is none.
func (n *Node) HTTPAddr() string { return "" }

// HTTPSAddr is the bound HTTPS address (and UDP port of HTTP/3), "" when there is none.
func (n *Node) HTTPSAddr() string { return "" }

// Apply takes documents whose signatures the caller has verified, in any
// order, and returns one item for each: Applied, or Rejected with the reason,
// in which case what was in force for that key stays. Tombstones (Deleted)
// remove. One call is one swap. Safe for concurrent use; calls are serialised.
func (n *Node) Apply(docs []edgeconfig.Document) []edgeconfig.AckItem {
	items := make([]edgeconfig.AckItem, 0, len(docs))
	for i := range docs {
		items = append(items, edgeconfig.AckItem{Key: docs[i].Key, Revision: docs[i].Revision, State: edgeconfig.Rejected, Reason: "the edge is not built in"})
	}
	return items
}

// Verify asks the node itself, over its own listener, whether the document is
// in force in that revision (or a later one): nil when it is.
func (n *Node) Verify(ctx context.Context, key string, revision int64) error {
	return fault.New(fault.Unavailable, "document %s revision %d is not in force on this edge", key, revision)
}

// Purge removes stored responses and returns how many objects. After it
// returns none of them is served any more, fills in flight included.
func (n *Node) Purge(p edgeconfig.Purge) int { return 0 }

// DropCache removes every stored response of every site: for an edge that was
// away longer than the control plane remembers purges.
func (n *Node) DropCache() int { return 0 }

// Info tells what a heartbeat says of the node: StartedAt, Region, Version,
// HTTP, HTTPS, Draining, Sites and the live counters of the last full second.
// The caller fills in the rest.
func (n *Node) Info() edgeconfig.Heartbeat {
	return edgeconfig.Heartbeat{Edge: n.options.EdgeID, Region: n.options.Region, Version: n.options.Version, StartedAt: n.started}
}

// Take closes the rollup of span: what was counted since the last Take of the
// same span. Spans do not disturb one another.
func (n *Node) Take(span time.Duration) edgeconfig.Rollup {
	return edgeconfig.Rollup{Edge: n.options.EdgeID, Region: n.options.Region, Seconds: int(span / time.Second)}
}

// Drain asks clients to go elsewhere: connections are closed after the answer
// in flight, /healthz-style probes of load balancers see 503. Drain(false)
// takes it back.
func (n *Node) Drain(on bool) {}

// Collectors are the Prometheus collectors of the node.
func (n *Node) Collectors() []prometheus.Collector { return nil }

// Handover starts the successor of this process (the same executable and
// arguments, with the listeners inherited), waits until it serves, and stops
// accepting here. The caller then calls Shutdown, which lets the requests and
// HTTP/3 connections of this process end, and exits. When the successor fails
// to become ready the error says why and this node goes on serving.
func (n *Node) Handover(ctx context.Context) error {
	return fault.New(fault.Unavailable, "handover is not built in")
}

// Shutdown drains and closes: no new connections, answers in flight finish,
// until ctx ends, when what is left is cut.
func (n *Node) Shutdown(ctx context.Context) error { return nil }
