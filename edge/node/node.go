// Package node is one edge node: it turns documents into the running
// configuration and joins the rooms of the edge (certificates, sites, cache,
// origins, counters) with its doors (package httpedge).
//
// A Node owns the one atomic pointer to the immutable runtime. Apply builds the
// next runtime beside the one in force, sharing every shard of the tables that
// did not change, and swaps the pointer; a request takes the pointer once and
// keeps it to its end. What outlives a change (the cache, connections to
// origins, ejections, open certificates, counters) is kept beside the runtime,
// by stable ID, and a new runtime finds it again.
//
//	Apply(documents) -> prepare (decode, validate, compile; in parallel)
//	                 -> edit the tables -> swap -> acknowledge     apply.go, prepare.go
//	                 -> zones and their parts: package dns         zones.go
//	Purge(purge)     -> sites of it -> cache
//	Verify(key, rev) -> a request or TLS handshake over the node's own listener
//	Probe()          -> handshakes with itself, or with a peer    probe.go
//	Handover         -> a successor process takes the listeners
//
// *Node implements what edge/agent asks of a node.
package node

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/edgewright/edgewright/edge/balance"
	"github.com/edgewright/edgewright/edge/cache"
	"github.com/edgewright/edgewright/edge/certs"
	"github.com/edgewright/edgewright/edge/dns"
	"github.com/edgewright/edgewright/edge/dns/checks"
	"github.com/edgewright/edgewright/edge/dns/geo"
	"github.com/edgewright/edgewright/edge/httpedge"
	"github.com/edgewright/edgewright/edge/httpedge/handover"
	"github.com/edgewright/edgewright/edge/httpedge/upstream"
	"github.com/edgewright/edgewright/edge/telemetry"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
	"github.com/edgewright/edgewright/netguard"
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
	DNSAddr   string // "host:port", UDP and TCP of the name server; "" for none: zones are held all the same
	DoTAddr   string // "host:port" of DNS over TLS, with the certificates of the edge; "" for none
	GeoDB     string // file of countries that DNS answers are steered by; "": steering by place gives what has no place
	NoHTTP3   bool   // leave UDP alone

	Identity Opener // unseals the group keys of Keys documents; nil: no certificates can be used
	EdgeID   string // "edge_..."; the name in rollups and CDN-Loop
	Region   string
	Version  string

	CacheBytes   int64    // memory for stored responses; 0: 256 MiB
	OriginRanges []string // CIDR ranges of private origins allowed beside what the Platform document lists
	Limits       httpedge.Limits

	Logger    *slog.Logger          // nil: discard
	Inherited *handover.Inheritance // listeners of the process this one replaces, whatever the addresses say; nil: bind anew
	Now       func() time.Time      // nil: time.Now
}

// Node is one running edge.
type Node struct {
	o       Options
	log     *slog.Logger
	started time.Time
	secret  string // lets Verify ask

	listeners *listeners
	server    *httpedge.Server
	cache     *cache.Cache
	telemetry *telemetry.Telemetry
	vault     *certs.Vault
	tickets   *certs.Tickets
	ech       atomic.Pointer[[]tls.EncryptedClientHelloKey]
	origins   *balance.Registry
	policy    atomic.Pointer[netguard.Policy]
	verifier  *verifier
	zones     *dns.Zones
	dns       *dns.Server // nil: none
	geo       *geo.DB     // nil: none
	checks    *checks.Set
	servers   atomic.Pointer[map[string]bool] // host names of the platform's name servers

	current atomic.Pointer[runtime]

	mu       sync.Mutex           // of Apply and what it keeps
	held     map[string]*held     // by key: what is in force
	groups   map[string]*groupKey // opened group keys
	projects map[scope]map[string]struct{}
	fresh    []string // keys of certificates that have changed since Probe last looked

	probes probes

	ctx    context.Context // ends with Shutdown
	cancel context.CancelFunc
	work   sync.WaitGroup
}

type groupKey = certs.GroupKey

// scope is what a purge without sites covers.
type scope struct{ project, environment string }

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
	policy, err := netguard.New(o.OriginRanges)
	if err != nil {
		return nil, err
	}
	l, err := listen(&o)
	if err != nil {
		return nil, err
	}
	n := &Node{
		o: o, log: o.Logger, started: o.Now(), secret: rand.Text(), listeners: l,
		cache:     cache.New(cache.Options{MaxBytes: o.CacheBytes, Now: o.Now, Logger: o.Logger}),
		telemetry: telemetry.New(o.EdgeID, o.Region, o.Now),
		vault:     certs.NewVault(0),
		tickets:   certs.NewTickets(o.Now),
		held:      map[string]*held{},
		groups:    map[string]*groupKey{},
		projects:  map[scope]map[string]struct{}{},
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	n.policy.Store(policy)
	n.origins = balance.NewRegistry(func(s balance.Spec) balance.Transport { return upstream.New(s, n.dial) }, o.Now)
	n.current.Store(&runtime{httpsPort: l.httpsPort(), now: o.Now})
	settings := n.settings()
	n.checks = checks.New(n.dial, o.Logger)
	if err := n.openDNS(settings.DoT); err != nil {
		n.cancel()
		n.checks.Close()
		n.cache.Close()
		return nil, errors.Join(err, l.close())
	}
	n.server = httpedge.New(httpedge.Options{
		Plain: l.plain(), Secure: l.secure(), QUIC: l.quic(settings.QUIC),
		TLS:     settings.TCP,
		Current: func() httpedge.Runtime { return n.current.Load() },
		Own:     n.probes.own,
		Cache:   n.cache, Telemetry: n.telemetry, DNS: n.dnsOverHTTPS(), EdgeID: o.EdgeID, Verify: n.secret, Limits: o.Limits, Logger: o.Logger,
	})
	n.verifier = newVerifier(n)
	return n, nil
}

// Start begins to serve. It returns at once; Shutdown ends it. A successor
// serves HTTP/3 when its predecessor has let go of the UDP socket.
func (n *Node) Start() error {
	n.server.Start()
	n.work.Go(n.tick)
	if n.dns != nil {
		if err := n.dns.Start(); err != nil {
			return err
		}
	}
	if n.o.Inherited == nil {
		return n.server.StartH3()
	}
	n.work.Go(func() {
		select {
		case <-n.ctx.Done():
		case <-n.o.Inherited.Released():
			if err := n.server.StartH3(); err != nil {
				n.log.Error("HTTP/3 is not served", "error", err)
			}
		}
	})
	return nil
}

// tick closes the seconds of the live counters.
func (n *Node) tick() {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-n.ctx.Done():
			return
		case <-t.C:
			n.telemetry.Tick()
		}
	}
}

// HTTPAddr is the bound plain HTTP address, "" when there is none.
func (n *Node) HTTPAddr() string { return n.listeners.httpAddr() }

// HTTPSAddr is the bound HTTPS address (and UDP port of HTTP/3), "" when there is none.
func (n *Node) HTTPSAddr() string { return n.listeners.httpsAddr() }

// Purge removes stored responses and returns how many objects. After it
// returns none of them is served any more, fills in flight included. A purge
// without sites covers every site of its project and environment.
func (n *Node) Purge(p edgeconfig.Purge) int {
	sites := p.Sites
	if len(sites) == 0 {
		n.mu.Lock()
		for id := range n.projects[scope{p.Project, p.Environment}] {
			sites = append(sites, id)
		}
		n.mu.Unlock()
	}
	return n.cache.Purge(sites, p.Paths, p.All)
}

// DropCache removes every stored response of every site: for an edge that was
// away longer than the control plane remembers purges.
func (n *Node) DropCache() int { return n.cache.PurgeEverything() }

// Info tells what a heartbeat says of the node: StartedAt, Region, Version,
// HTTP, HTTPS, DNS, Draining, Sites and the live counters of the last full second.
// The caller fills in the rest.
func (n *Node) Info() edgeconfig.Heartbeat {
	return edgeconfig.Heartbeat{
		Edge: n.o.EdgeID, Region: n.o.Region, Version: n.o.Version, StartedAt: n.started,
		HTTP: n.HTTPAddr(), HTTPS: n.HTTPSAddr(), DNS: n.DNSAddr(), Draining: n.server.Draining(),
		Sites: n.current.Load().siteCount, Live: n.telemetry.Live(),
	}
}

// Take closes the rollup of span: what was counted since the last Take of the
// same span. Spans do not disturb one another. Queries and fetches of zones are in
// those of a minute, which are kept, and not in shorter ones, which somebody watches.
func (n *Node) Take(span time.Duration) edgeconfig.Rollup {
	r := n.telemetry.Take(span)
	if n.dns != nil && span == time.Minute {
		r.Zones, r.Fetches = n.dns.Take(), n.dns.TakeFetches()
	}
	return r
}

// AccessLog streams the record of every request from now on, until cancel is
// called. A reader that does not keep up loses records.
func (n *Node) AccessLog(buffer int) (records <-chan telemetry.Record, cancel func()) {
	return n.telemetry.Subscribe(buffer)
}

// Drain asks clients to go elsewhere: every answer closes its connection
// (Connection: close, GOAWAY). Drain(false) takes it back.
func (n *Node) Drain(on bool) { n.server.Drain(on) }

// Collectors are the Prometheus collectors of the node.
func (n *Node) Collectors() []prometheus.Collector {
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "edgewright", Subsystem: "edge", Name: name, Help: help, ConstLabels: prometheus.Labels{"edge": n.o.EdgeID}}, value)
	}
	list := []prometheus.Collector{
		prometheus.WrapCollectorWith(prometheus.Labels{"edge": n.o.EdgeID}, n.telemetry.Collector()),
		gauge("sites", "Sites in force.", func() float64 { return float64(n.current.Load().siteCount) }),
		gauge("certificate_names", "Names with a certificate in force.", func() float64 { return float64(n.current.Load().certs.Len()) }),
		gauge("connections", "TCP connections of clients.", func() float64 { return float64(n.server.Connections()) }),
		gauge("origins", "Origins in use.", func() float64 { return float64(n.origins.Len()) }),
		gauge("cache_bytes", "Memory of stored responses.", func() float64 { return float64(n.cache.Stats().Bytes) }),
		gauge("cache_objects", "Stored responses.", func() float64 { return float64(n.cache.Stats().Objects) }),
		gauge("dns_checks", "Health checks that DNS answers depend on.", func() float64 { n, _ := n.checks.Len(); return float64(n) }),
		gauge("dns_checks_dead", "Of those, the ones whose target is dead.", func() float64 { _, dead := n.checks.Len(); return float64(dead) }),
		gauge("dns_zones", "DNS zones answered for.", func() float64 { return float64(n.zones.Len()) }),
	}
	if n.dns != nil {
		list = append(list, prometheus.WrapCollectorWith(prometheus.Labels{"edge": n.o.EdgeID}, n.dns.Collector()))
	}
	return list
}

// Shutdown drains and closes: no new connections, answers in flight finish,
// until ctx ends, when what is left is cut.
func (n *Node) Shutdown(ctx context.Context) error {
	var err error
	if n.dns != nil {
		err = n.dns.Shutdown(ctx)
	}
	err = errors.Join(err, n.server.Shutdown(ctx))
	n.cancel()
	n.work.Wait()
	n.verifier.close()
	n.checks.Close()
	n.cache.Close()
	n.origins.CloseIdleConnections()
	if err = errors.Join(err, n.listeners.close()); err != nil {
		return fault.New(fault.Unavailable, "the edge did not end in peace: %w", err)
	}
	return nil
}
