// Package traffic keeps what the edges counted and answers how much of it
// there was.
//
// Types: Service (the use cases), Store (what it needs of a database), Query,
// Series, Point, Totals, Share; QuerySeries, QueryPoint, QueryTotals. Phases of a fact: an edge's Rollup ->
// Service.Ingest (a repeat of an ID counts once; minute and hour tables) ->
// Service.Query (a window in steps) or Service.Top (per site or edge), and of
// DNS queries Service.Queries (queries.go); who has fetched a zone is not counted but
// kept as last seen, Service.Fetches (fetches.go); Service.Prune keeps minutes for two days and hours for 400.
package traffic

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// How long facts are kept.
const (
	KeepMinutes = 48 * time.Hour
	KeepHours   = 400 * 24 * time.Hour
	// KeepSeen must be longer than an edge spools rollups (7 days), or a late
	// repeat would count twice.
	KeepSeen = 10 * 24 * time.Hour
)

// Bounds of a query.
const (
	maxPoints = 2000
	maxWindow = KeepHours
)

// What one rollup has at most; an edge serves fewer sites and zones than that.
const (
	maxRollupSites = 1_000_000
	maxRollupZones = 1_000_000
)

// Store keeps counters per minute and hour, site and edge. control/store
// implements it.
type Store interface {
	// AddRollup adds r's counters, of sites and of zones, to its minute and its
	// hour, once per r.ID, and takes in the fetches of zones that are there.
	AddRollup(ctx context.Context, r edgeconfig.Rollup, now time.Time) error
	// SumTraffic calls fn for each step that has traffic, in order of time.
	SumTraffic(ctx context.Context, s Sum, fn func(start time.Time, c edgeconfig.Counters) error) error
	// SumTrafficBy calls fn for each site or edge that has traffic.
	SumTrafficBy(ctx context.Context, s Sum, by Dimension, fn func(name string, c edgeconfig.Counters) error) error
	// SumQueries calls fn for each step in which zones were asked, in order of time.
	SumQueries(ctx context.Context, s Sum, fn func(start time.Time, c edgeconfig.ZoneCounters) error) error
	// ZoneFetches returns what was last seen of a zone's secondaries, newest first.
	ZoneFetches(ctx context.Context, zone string) ([]edgeconfig.Fetch, error)
	// PruneTraffic drops minutes, hours and remembered IDs before these times, and
	// fetches as hours and with their zone.
	PruneTraffic(ctx context.Context, minutes, hours, seen time.Time) error
}

// Sum is a Query resolved to whole steps.
type Sum struct {
	Sites, Edges []string      // empty: all
	Zones        []string      // of SumQueries, as Sites
	From, Until  time.Time     // From inclusive, Until exclusive, both on a step
	Step         time.Duration // whole minutes, or whole hours with Hours
	Hours        bool          // read the hour table
}

// Dimension is what Top tells apart.
type Dimension string

// The dimensions.
const (
	BySite Dimension = "site"
	ByEdge Dimension = "edge"
)

// Query selects traffic.
type Query struct {
	// Sites are site IDs. nil selects all traffic, also what met no site; an
	// empty list selects none, so that a project without sites sees nothing.
	Sites  []string
	Edges  []string      // edge IDs; nil selects all
	Window time.Duration // 0: one hour; at most 400 days
	Step   time.Duration // 0: a sixtieth of the window; rounded up to whole minutes, and to whole hours beyond two days
	Until  time.Time     // zero: now
}

// Series is the answer to a Query. Steps without traffic are there too.
type Series struct {
	Window int64   `json:"window"` // seconds; whole steps, so up to one longer than asked for
	Step   int64   `json:"step"`   // seconds
	Points []Point `json:"series"`
	Totals Totals  `json:"totals"`
}

// Point is one step.
type Point struct {
	At time.Time `json:"at"` // its beginning
	Totals
}

// Totals are sums over some time.
type Totals struct {
	Requests     int64            `json:"requests"`
	Hits         int64            `json:"hits"` // answered from the cache without asking an origin: fresh or stale
	Bytes        int64            `json:"bytes"`
	OriginBytes  int64            `json:"origin_bytes"`
	Errors       int64            `json:"errors"`        // answers of class 5xx
	OriginErrors int64            `json:"origin_errors"` // no usable response from an origin
	Status       map[string]int64 `json:"status"`        // "2xx" -> requests
	Cache        map[string]int64 `json:"cache"`         // outcome -> requests
	Handshakes   int64            `json:"handshakes"`
	Refused      map[string]int64 `json:"refused_handshakes"` // reason -> TLS handshakes that came to nothing
	P50MS        float64          `json:"p50_ms"`             // to the first byte of the response, estimated from a histogram
	P95MS        float64          `json:"p95_ms"`
	P99MS        float64          `json:"p99_ms"`
}

// Share is one site's or edge's part.
type Share struct {
	Name string `json:"name"` // ID; "" for requests that met no site
	Totals
}

// Service answers and stores.
type Service struct {
	store Store
	now   func() time.Time
}

// New returns a Service on store; now may be nil.
func New(store Store, now func() time.Time) *Service {
	if now == nil {
		now = time.Now
	}
	return &Service{store: store, now: now}
}

// Ingest stores what one edge counted in one span. A repeat of an ID counts
// once. Error: Invalid for a rollup that makes no sense; it must not be sent
// again.
func (s *Service) Ingest(ctx context.Context, r edgeconfig.Rollup) error {
	now := s.now()
	switch {
	case r.ID == "" || len(r.ID) > 200 || r.Edge == "":
		return fault.New(fault.Invalid, "a rollup needs an ID and an edge")
	case r.Start.Before(now.Add(-KeepSeen)):
		return fault.New(fault.Invalid, "rollup %s is of %s, older than what can be counted once", r.ID, r.Start.Format(time.RFC3339))
	case r.Start.After(now.Add(24 * time.Hour)):
		return fault.New(fault.Invalid, "rollup %s is of %s, which is yet to come: is the edge's clock right?", r.ID, r.Start.Format(time.RFC3339))
	case len(r.Sites) > maxRollupSites:
		return fault.New(fault.Invalid, "rollup %s has %d sites", r.ID, len(r.Sites))
	case len(r.Zones) > maxRollupZones:
		return fault.New(fault.Invalid, "rollup %s has %d zones", r.ID, len(r.Zones))
	}
	for zone, c := range r.Zones {
		if zone == "" || len(zone) > 100 || !plausibleZone(&c) {
			return fault.New(fault.Invalid, "rollup %s has queries of %q that cannot be", r.ID, zone)
		}
	}
	for site, c := range r.Sites {
		if len(site) > 100 || !plausible(&c) {
			return fault.New(fault.Invalid, "rollup %s has counters of %q that cannot be", r.ID, site)
		}
	}
	if err := checkFetches(&r, now); err != nil {
		return err
	}
	return s.store.AddRollup(ctx, r, now)
}

// maxCount keeps sums far from overflow, whatever an edge says.
const maxCount = 1 << 50

func plausible(c *edgeconfig.Counters) bool {
	ok := func(n int64) bool { return n >= 0 && n < maxCount }
	for _, n := range c.Status {
		if !ok(n) {
			return false
		}
	}
	for _, n := range c.LatencyMS {
		if !ok(n) {
			return false
		}
	}
	for _, n := range c.Cache {
		if !ok(n) {
			return false
		}
	}
	for _, n := range c.Refusals {
		if !ok(n) {
			return false
		}
	}
	return ok(c.Requests) && ok(c.Bytes) && ok(c.OriginBytes) && ok(c.OriginErrors) && ok(c.Handshakes) && ok(c.HandshakeErr)
}

// Query returns traffic in steps. Error: Invalid.
func (s *Service) Query(ctx context.Context, q Query) (Series, error) {
	sum, err := s.resolve(q)
	if err != nil {
		return Series{}, err
	}
	answer := Series{Window: int64(sum.Until.Sub(sum.From) / time.Second), Step: int64(sum.Step / time.Second)}
	answer.Points = make([]Point, sum.Until.Sub(sum.From)/sum.Step)
	for i := range answer.Points {
		answer.Points[i] = Point{At: sum.From.Add(time.Duration(i) * sum.Step), Totals: totals(&edgeconfig.Counters{})}
	}
	var all edgeconfig.Counters
	if q.Sites == nil || len(q.Sites) > 0 {
		err = s.store.SumTraffic(ctx, sum, func(start time.Time, c edgeconfig.Counters) error {
			if i := int(start.Sub(sum.From) / sum.Step); i >= 0 && i < len(answer.Points) {
				answer.Points[i].Totals = totals(&c)
				all.Add(c)
			}
			return nil
		})
	}
	answer.Totals = totals(&all)
	return answer, err
}

// Top returns each site's or edge's part of the window, largest first, at most
// limit. Error: Invalid.
func (s *Service) Top(ctx context.Context, q Query, by Dimension, limit int) ([]Share, error) {
	if by != BySite && by != ByEdge {
		return nil, fault.New(fault.Invalid, "traffic can be told apart by site or edge, not by %q", by)
	}
	sum, err := s.resolve(q)
	if err != nil || q.Sites != nil && len(q.Sites) == 0 {
		return []Share{}, err
	}
	shares := []Share{}
	err = s.store.SumTrafficBy(ctx, sum, by, func(name string, c edgeconfig.Counters) error {
		shares = append(shares, Share{Name: name, Totals: totals(&c)})
		return nil
	})
	slices.SortFunc(shares, func(a, b Share) int {
		if a.Requests != b.Requests {
			return int(min(max(b.Requests-a.Requests, -1), 1))
		}
		return strings.Compare(a.Name, b.Name)
	})
	return shares[:min(len(shares), max(limit, 0))], err
}

// Prune drops what is older than it is kept.
func (s *Service) Prune(ctx context.Context) error {
	now := s.now()
	return s.store.PruneTraffic(ctx, now.Add(-KeepMinutes), now.Add(-KeepHours), now.Add(-KeepSeen))
}

// resolve fits a query to whole steps of the table that can answer it, from the
// one that the window begins in to the one that it ends in.
func (s *Service) resolve(q Query) (Sum, error) {
	if q.Window == 0 {
		q.Window = time.Hour
	}
	if q.Window < time.Minute || q.Window > maxWindow {
		return Sum{}, fault.InvalidField("/window", "the window is between one minute and 400 days", "give it in seconds, 60 to 34560000")
	}
	if q.Step < 0 || q.Step > q.Window {
		return Sum{}, fault.InvalidField("/step", "a step is not longer than the window", "leave it out, or give it in seconds")
	}
	if q.Step == 0 {
		q.Step = q.Window / 60
	}
	now := s.now()
	if q.Until.IsZero() || q.Until.After(now) {
		q.Until = now
	}
	unit := time.Minute
	hours := q.Until.Add(-q.Window).Before(now.Add(-KeepMinutes + time.Hour))
	if hours {
		unit = time.Hour
	}
	step := max((q.Step+unit-1)/unit*unit, unit)
	for q.Window/step+2 > maxPoints {
		step += unit
	}
	until := q.Until.UTC().Truncate(step)
	if until.Before(q.Until) {
		until = until.Add(step)
	}
	return Sum{
		Sites: q.Sites, Edges: q.Edges, Step: step, Hours: hours,
		From: q.Until.UTC().Add(-q.Window).Truncate(step), Until: until,
	}, nil
}

func totals(c *edgeconfig.Counters) Totals {
	t := Totals{
		Requests: c.Requests, Bytes: c.Bytes, OriginBytes: c.OriginBytes, Hits: c.Cache["hit"] + c.Cache["stale"],
		Errors: c.Status[5], OriginErrors: c.OriginErrors, Handshakes: c.Handshakes,
		Status: map[string]int64{}, Cache: map[string]int64{}, Refused: maps.Clone(c.Refusals),
		P50MS: c.LatencyMS.Quantile(0.5), P95MS: c.LatencyMS.Quantile(0.95), P99MS: c.LatencyMS.Quantile(0.99),
	}
	for class := 1; class <= 5; class++ {
		if n := c.Status[class]; n > 0 {
			t.Status[string(rune('0'+class))+"xx"] = n
		}
	}
	for outcome, n := range c.Cache {
		if n > 0 {
			t.Cache[outcome] = n
		}
	}
	return t
}
