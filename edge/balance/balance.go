// Package balance chooses the origin that a request goes to.
//
//	Registry  all origins of an edge; it outlives configurations
//	Origin    one upstream server: its connections, and how it fared lately
//	Pool      what one configuration of a pool looks like to requests: immutable
//
// The registry keeps an Origin by pool, ID and connection settings, so that a
// change of anything else finds connections and ejections as they were. A
// request takes origins from Pool.Pick until one answers: in rotation, those
// that were ejected left out, unless all were (then the pool fails open).
//
// Ejection is passive here: an origin that fails Threshold times in a row (it
// cannot be reached, or breaks off before an answer) is left out for ten
// seconds, doubling up to five minutes while it goes on failing. After that it
// gets requests again, and one failure ejects it anew.
package balance

import (
	"crypto/sha256"
	"crypto/x509"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// Spec is what a transport must know of an origin.
type Spec struct {
	Scheme          string // "http" or "https"
	Address         string // "host:port"
	ServerName      string // TLS SNI and verification
	PriorKnowledge  bool   // HTTP/2 without TLS
	SkipVerify      bool
	RootCAs         *x509.CertPool // nil: the system's
	ConnectTimeout  time.Duration  // to connect and finish TLS
	ResponseTimeout time.Duration  // until response headers
}

// Transport carries requests to one origin and holds connections to it.
type Transport interface {
	http.RoundTripper
	CloseIdleConnections()
}

// Threshold is the number of failures in a row that ejects an origin.
const Threshold = 3

const (
	firstEjection = 10 * time.Second
	longEjection  = 5 * time.Minute
)

// Origin is one upstream server of one pool.
type Origin struct {
	ID         string
	Name       string
	HostHeader string // "": the client's host
	Spec       Spec

	registry  *Registry
	key       originKey
	users     int // pools in force; guarded by registry.mu
	transport atomic.Pointer[Transport]

	failures     atomic.Int32
	ejections    atomic.Int32
	ejectedUntil atomic.Int64 // Unix nanoseconds; 0: in rotation
}

type originKey struct {
	pool, origin string
	settings     [sha256.Size]byte
}

// Registry keeps the origins of all pools.
type Registry struct {
	transport func(Spec) Transport
	now       func() time.Time

	mu      sync.Mutex
	origins map[originKey]*Origin
	turns   map[string]*turn
}

// turn is where a pool's rotation has come to; it is shared by all versions of
// the pool and by all sites that use it.
type turn struct {
	next  atomic.Uint32
	users int // guarded by Registry.mu
}

// NewRegistry returns an empty registry. transport is called for an origin's
// first request.
func NewRegistry(transport func(Spec) Transport, now func() time.Time) *Registry {
	return &Registry{transport: transport, now: now, origins: map[originKey]*Origin{}, turns: map[string]*turn{}}
}

// Pool is one version of a pool.
type Pool struct {
	ID          string
	IdleTimeout time.Duration // between two reads of a response body; 0: none
	Origins     []*Origin

	registry *Registry
	turn     *turn
}

// Acquire returns the pool as configured, its origins taken over from earlier
// versions where nothing about their connections changed. Each pool acquired
// is released once. The error is fault.Invalid.
func (r *Registry) Acquire(c *edgeconfig.Pool) (*Pool, error) {
	if len(c.Origins) == 0 {
		return nil, fault.New(fault.Invalid, "pool %s holds no origin", c.ID)
	}
	fresh := make([]*Origin, len(c.Origins))
	for i := range c.Origins {
		o, err := newOrigin(c, &c.Origins[i])
		if err != nil {
			return nil, err
		}
		fresh[i] = o
	}
	p := &Pool{ID: c.ID, IdleTimeout: milliseconds(c.IdleTimeoutMS), registry: r}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, o := range fresh {
		if known := r.origins[o.key]; known != nil {
			o = known
		} else {
			o.registry = r
			r.origins[o.key] = o
		}
		o.users++
		p.Origins = append(p.Origins, o)
	}
	if p.turn = r.turns[c.ID]; p.turn == nil {
		p.turn = &turn{}
		r.turns[c.ID] = p.turn
	}
	p.turn.users++
	return p, nil
}

// Release says that no new request will use the pool. Origins that no pool in
// force uses any more are forgotten and their idle connections closed; requests
// in flight end in peace.
func (p *Pool) Release() {
	r := p.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, o := range p.Origins {
		if o.users--; o.users == 0 {
			delete(r.origins, o.key)
			if t := o.transport.Load(); t != nil {
				(*t).CloseIdleConnections()
			}
		}
	}
	if p.turn.users--; p.turn.users == 0 {
		delete(r.turns, p.ID)
	}
}

// CloseIdleConnections closes the idle connections to all origins.
func (r *Registry) CloseIdleConnections() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, o := range r.origins {
		if t := o.transport.Load(); t != nil {
			(*t).CloseIdleConnections()
		}
	}
}

// Len returns the number of origins in use.
func (r *Registry) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.origins)
}

func milliseconds(n int) time.Duration { return time.Duration(n) * time.Millisecond }

func newOrigin(p *edgeconfig.Pool, c *edgeconfig.Origin) (*Origin, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, fault.New(fault.Invalid, "origin %s: %q is not an http or https URL", c.ID, c.URL)
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	o := &Origin{
		ID: c.ID, Name: c.Name, HostHeader: c.HostHeader,
		Spec: Spec{
			Scheme: u.Scheme, Address: net.JoinHostPort(u.Hostname(), port), ServerName: c.ServerName,
			PriorKnowledge: c.HTTP2 == "prior_knowledge", SkipVerify: c.SkipVerify,
			ConnectTimeout: milliseconds(p.ConnectTimeoutMS), ResponseTimeout: milliseconds(p.ResponseTimeoutMS),
		},
	}
	if o.Spec.ServerName == "" {
		o.Spec.ServerName = u.Hostname()
	}
	if c.RootCAPEM != "" {
		o.Spec.RootCAs = x509.NewCertPool()
		if !o.Spec.RootCAs.AppendCertsFromPEM([]byte(c.RootCAPEM)) {
			return nil, fault.New(fault.Invalid, "origin %s: its root CA is not a PEM certificate", c.ID)
		}
	}
	o.key = originKey{pool: p.ID, origin: c.ID, settings: sha256.Sum256([]byte(strings.Join([]string{
		c.Name, c.HostHeader, o.Spec.Scheme, o.Spec.Address, o.Spec.ServerName, c.HTTP2, c.RootCAPEM,
		o.Spec.ConnectTimeout.String(), o.Spec.ResponseTimeout.String(), map[bool]string{true: "unverified"}[c.SkipVerify],
	}, "\x00")))}
	return o, nil
}

// RoundTrip sends a request over the origin's connections.
func (o *Origin) RoundTrip(r *http.Request) (*http.Response, error) {
	t := o.transport.Load()
	if t == nil {
		made := o.registry.transport(o.Spec)
		t = &made
		if !o.transport.CompareAndSwap(nil, t) {
			t = o.transport.Load()
		}
	}
	return (*t).RoundTrip(r)
}

// Succeeded notes that the origin answered.
func (o *Origin) Succeeded() {
	if o.failures.Load() != 0 {
		o.failures.Store(0)
		o.ejections.Store(0)
	}
	if o.ejectedUntil.Load() != 0 {
		o.ejectedUntil.Store(0)
	}
}

// Failed notes that the origin could not be reached or broke off before an
// answer. It reports whether that ejected it.
func (o *Origin) Failed() bool {
	if o.failures.Add(1) < Threshold {
		return false
	}
	now := o.registry.now()
	until := o.ejectedUntil.Load()
	if until > now.UnixNano() {
		return false // out already; requests that were on their way fail late
	}
	n := o.ejections.Load()
	length := min(firstEjection<<min(n, 10), longEjection)
	if o.ejectedUntil.CompareAndSwap(until, now.Add(length).UnixNano()) {
		o.ejections.Add(1)
		return true
	}
	return false
}

// Ejected reports whether the origin is left out at the moment.
func (o *Origin) Ejected() bool {
	until := o.ejectedUntil.Load()
	return until != 0 && until > o.registry.now().UnixNano()
}

// Pick returns the origin to try next, nil when all have been tried: the next
// in rotation that is neither tried nor ejected; when only ejected ones are
// left, the next of those, so that a pool whose origins all look dead is still
// asked.
func (p *Pool) Pick(tried []*Origin) *Origin {
	n := len(p.Origins)
	if n == 1 {
		if len(tried) > 0 {
			return nil
		}
		return p.Origins[0]
	}
	start := int(p.turn.next.Add(1) % uint32(n))
	var ejected *Origin
	for i := range n {
		o := p.Origins[(start+i)%n]
		if slices.Contains(tried, o) {
			continue
		}
		if !o.Ejected() {
			return o
		}
		if ejected == nil {
			ejected = o
		}
	}
	return ejected
}
