package cache

import (
	"context"
	"hash/maphash"
	"log/slog"
	"math"
	"net/http"
	"sync"
	"time"
)

// Options configures a Cache. The zero value of each field has a meaning.
type Options struct {
	// MaxBytes bounds the memory for stored responses, overhead included; 0:
	// 256 MiB. It is garbage-collected memory: with the collector's default pace
	// the process may hold twice as much for a while, unless its memory limit
	// (GOMEMLIMIT) says otherwise.
	MaxBytes       int64
	MaxObjectBytes int64   // content of one stored response; 0: an eighth of MaxBytes
	SiteShare      float64 // part of MaxBytes that one site keeps under pressure from others; 0: 0.25
	MaxVariants    int     // stored variants of one key; 0: 32

	MaxHeuristic  time.Duration // bound of heuristic freshness; 0: an hour
	HitForMiss    time.Duration // how long nobody waits for a response that could not be shared; 0: a minute
	MaxBackground int           // background validations at a time; 0: 32

	// TargetedFields are the response fields that come before Cache-Control
	// (RFC 9213), most specific first, in canonical form; nil: CDN-Cache-Control.
	TargetedFields []string
	// SurrogateControl reads Surrogate-Control after those, and keeps it from
	// clients.
	SurrogateControl bool
	// IgnoreRequestDirectives keeps clients from asking for validation with
	// Cache-Control or Pragma (RFC 9111 section 5.2.1: they are advice).
	// no-store and only-if-cached are heeded all the same.
	IgnoreRequestDirectives bool

	Name    string           // of this cache in Cache-Status; "": Edgewright
	Storage Storage          // nil: memory
	Now     func() time.Time // nil: time.Now
	Logger  *slog.Logger     // nil: discard
}

// Cache holds the stored responses of all sites. It is safe for concurrent use.
type Cache struct {
	options    Options
	statusName string
	seed       maphash.Seed
	policy     *policy
	solo       *soloTable
	background chan struct{} // slots

	sites   table[site]
	sitesMu sync.Mutex // of writers

	root   context.Context // cancelled by Close
	cancel context.CancelFunc
	workMu sync.Mutex // of closed, and of adding to work
	closed bool
	work   sync.WaitGroup // fills and sweeps
}

// New makes a cache.
func New(o Options) *Cache {
	def := func(n *int64, value int64) {
		if *n <= 0 {
			*n = value
		}
	}
	def(&o.MaxBytes, 256<<20)
	def(&o.MaxObjectBytes, o.MaxBytes/8)
	o.MaxObjectBytes = min(o.MaxObjectBytes, o.MaxBytes/4)
	if o.SiteShare <= 0 || o.SiteShare > 1 {
		o.SiteShare = 0.25
	}
	if o.MaxVariants <= 0 {
		o.MaxVariants = 32
	}
	if o.MaxHeuristic <= 0 {
		o.MaxHeuristic = time.Hour
	}
	if o.HitForMiss <= 0 {
		o.HitForMiss = time.Minute
	}
	if o.MaxBackground <= 0 {
		o.MaxBackground = 32
	}
	if o.TargetedFields == nil {
		o.TargetedFields = []string{http.CanonicalHeaderKey("CDN-Cache-Control")}
	}
	if o.Name == "" {
		o.Name = "Edgewright"
	}
	if o.Storage == nil {
		o.Storage = memory{}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	c := &Cache{
		options: o, statusName: statusName(o.Name), seed: maphash.MakeSeed(),
		policy:     newPolicy(o.MaxBytes, int64(math.Ceil(float64(o.MaxBytes)*o.SiteShare))),
		solo:       newSoloTable(),
		background: make(chan struct{}, o.MaxBackground),
	}
	c.root, c.cancel = context.WithCancel(context.Background())
	return c
}

// Close ends fills and background work and waits for them, and so for origins
// that heed their context. Answers under way break off; what is stored is still
// found.
func (c *Cache) Close() {
	c.workMu.Lock()
	c.closed = true
	c.workMu.Unlock()
	c.cancel()
	c.work.Wait()
}

// begin counts work that Close waits for; false once it is closed.
func (c *Cache) begin() bool {
	c.workMu.Lock()
	defer c.workMu.Unlock()
	if !c.closed {
		c.work.Add(1)
	}
	return !c.closed
}

// Stats is a snapshot of what the cache holds, in bytes and objects.
type Stats struct {
	MaxBytes int64
	Bytes    int64 // stored, overhead included
	InFlight int64 // reserved by fills
	Pinned   int64 // removed, but still being sent to someone
	Objects  int
	Evicted  int64 // objects, since the start
	Sites    int
}

// Stats counts. It looks at every site; not for the request path.
func (c *Cache) Stats() Stats {
	c.policy.mu.Lock()
	s := Stats{MaxBytes: c.policy.max, Bytes: c.policy.stored, InFlight: c.policy.inflight, Pinned: c.policy.pinned.Load(), Evicted: c.policy.evicted}
	c.policy.mu.Unlock()
	c.sites.each(func(site *site) {
		site.mu.Lock()
		s.Objects += site.objects
		site.mu.Unlock()
		s.Sites++
	})
	return s
}

// SiteBytes is what one site holds, overhead included.
func (c *Cache) SiteBytes(id string) int64 {
	s := c.site(id)
	if s == nil {
		return 0
	}
	c.policy.mu.Lock()
	defer c.policy.mu.Unlock()
	return s.queues.bytes()
}

// site returns the state of a site, nil when it has none.
func (c *Cache) site(id string) *site {
	hash := maphash.String(c.seed, id)
	for n := c.sites.first(hash); n != nil; n = n.next.Load() {
		if n.hash == hash && n.value.id == id {
			return n.value
		}
	}
	return nil
}

// siteFor returns the state of a site and makes it when it has none.
func (c *Cache) siteFor(id string) *site {
	if s := c.site(id); s != nil {
		return s
	}
	c.sitesMu.Lock()
	defer c.sitesMu.Unlock()
	if s := c.site(id); s != nil {
		return s
	}
	s := newSite(id, c.policy)
	c.sites.insert(maphash.String(c.seed, id), s)
	return s
}

func timeOf(nanoseconds int64) time.Time { return time.Unix(0, nanoseconds).UTC() }

// evicted takes victims of the policy out of their sites.
func evicted(victims []*Entry) {
	for _, e := range victims {
		e.site.drop([]*Entry{e})
	}
}
