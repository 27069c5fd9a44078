// Package traffic keeps what the edges counted and answers how much of it
// there was.
//
// Types: Service (the use cases), Store (what it needs of a database), Query,
// Series, Point, Totals. Phases of a fact: an edge's Rollup -> Service.Ingest
// (a repeat of an ID counts once; minute and hour tables) -> Service.Query
// (a window in steps, per site or edge) ; Service.Prune keeps minutes for 48
// hours and hours for 400 days.
package traffic

import (
	"context"
	"time"

	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// Query selects traffic. Empty lists select all.
type Query struct {
	Sites  []string // site IDs
	Edges  []string // edge IDs
	Window time.Duration
	Step   time.Duration // rounded up to whole minutes, or hours beyond two days
	Until  time.Time     // zero: now
}

// Series is the answer to a Query.
type Series struct {
	Window int64   `json:"window"` // seconds
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
	Hits         int64            `json:"hits"`
	Bytes        int64            `json:"bytes"`
	OriginBytes  int64            `json:"origin_bytes"`
	Errors       int64            `json:"errors"` // 5xx
	OriginErrors int64            `json:"origin_errors"`
	Status       map[string]int64 `json:"status"` // "2xx" -> requests
	P50MS        float64          `json:"p50_ms"`
	P95MS        float64          `json:"p95_ms"`
	P99MS        float64          `json:"p99_ms"`
}

// Store keeps counters per minute and hour, site and edge. control/store
// implements it.
type Store interface {
	// AddRollup adds r's counters to its minute and its hour, once per r.ID.
	AddRollup(ctx context.Context, r edgeconfig.Rollup) error
	// SumTraffic calls fn for each step that has traffic, in order of time.
	SumTraffic(ctx context.Context, q Sum, fn func(start time.Time, c edgeconfig.Counters) error) error
	// PruneTraffic drops minutes and hours (and remembered IDs) before these times.
	PruneTraffic(ctx context.Context, minutes, hours, ids time.Time) error
}

// Sum is a Query resolved to whole steps.
type Sum struct {
	Sites, Edges []string
	From, Until  time.Time // From inclusive, Until exclusive, both on a step
	Step         time.Duration
	Hours        bool // read the hour table
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

// Ingest stores what one edge counted in one span. A repeat of an ID counts once.
func (s *Service) Ingest(ctx context.Context, r edgeconfig.Rollup) error {
	return s.store.AddRollup(ctx, r)
}

// Query returns traffic in steps.
func (s *Service) Query(ctx context.Context, q Query) (Series, error) {
	return Series{}, fault.New(fault.Unavailable, "traffic is not built in")
}
