package traffic

import (
	"context"
	"time"

	"github.com/edgewright/edgewright/edgeconfig"
)

// QuerySeries is how often zones were asked, in a window. Steps in which nobody
// asked are there too.
type QuerySeries struct {
	Window int64 // seconds; whole steps, so up to one longer than asked for
	Step   int64 // seconds
	Points []QueryPoint
	Totals QueryTotals
}

// QueryPoint is one step.
type QueryPoint struct {
	At time.Time // its beginning
	QueryTotals
}

// QueryTotals are queries over some time.
type QueryTotals struct {
	Queries int64 // all of them
	edgeconfig.ZoneCounters
}

// Queries returns how often some zones, by ID, were asked: in a window that ends
// now, in steps, both as those of Query; what is 0 is chosen as there. No zones:
// none. Error: Invalid.
func (s *Service) Queries(ctx context.Context, zones []string, window, step time.Duration) (QuerySeries, error) {
	sum, err := s.resolve(Query{Window: window, Step: step})
	if err != nil {
		return QuerySeries{}, err
	}
	answer := QuerySeries{Window: int64(sum.Until.Sub(sum.From) / time.Second), Step: int64(sum.Step / time.Second)}
	answer.Points = make([]QueryPoint, sum.Until.Sub(sum.From)/sum.Step)
	for i := range answer.Points {
		answer.Points[i].At = sum.From.Add(time.Duration(i) * sum.Step)
	}
	if sum.Zones = zones; len(zones) == 0 {
		return answer, nil
	}
	var all edgeconfig.ZoneCounters
	err = s.store.SumQueries(ctx, sum, func(start time.Time, c edgeconfig.ZoneCounters) error {
		if i := int(start.Sub(sum.From) / sum.Step); i >= 0 && i < len(answer.Points) {
			answer.Points[i].QueryTotals = QueryTotals{c.Queries(), c}
			all.Add(c)
		}
		return nil
	})
	answer.Totals = QueryTotals{all.Queries(), all}
	return answer, err
}

func plausibleZone(c *edgeconfig.ZoneCounters) bool {
	for _, n := range c.Values() {
		if n < 0 || n >= maxCount {
			return false
		}
	}
	return true
}
