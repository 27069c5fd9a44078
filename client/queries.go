package client

import (
	"context"
	"net/http"
	"strconv"
	"time"
)

// DNSQueriesWish selects a window of queries.
type DNSQueriesWish struct {
	Window time.Duration // 0: one hour
	Step   time.Duration // 0: one minute
}

// DNSQueries is how often the names of a zone were asked for.
type DNSQueries struct {
	Zone   string           `json:"zone"`   // that the domain is in; all its names are counted
	Window int64            `json:"window"` // seconds
	Step   int64            `json:"step"`   // seconds; may be larger than asked
	Series []DNSQueryPoint  `json:"series"`
	Totals DNSQueriesTotals `json:"totals"`
}

// DNSQueryPoint is one step of a window.
type DNSQueryPoint struct {
	At time.Time `json:"at"` // beginning of the step
	DNSQueriesTotals
}

// DNSQueriesTotals are sums over some time. Each query counts once.
type DNSQueriesTotals struct {
	Queries   int64 `json:"queries"`
	Answers   int64 `json:"answers"`   // with records
	Referrals int64 `json:"referrals"` // to the name servers of a delegated name
	NoData    int64 `json:"nodata"`    // the name has no such records
	NXDomain  int64 `json:"nxdomain"`  // the name does not exist
	Failed    int64 `json:"failed"`    // SERVFAIL, REFUSED and whatever else is no answer
	Limited   int64 `json:"limited"`   // above the rate limit
}

// DNSQueries tells how often the zone that a domain is in was asked, and what
// became of it.
func (c *Client) DNSQueries(ctx context.Context, domain string, w DNSQueriesWish) (*DNSQueries, error) {
	query := c.scoped()
	if w.Window > 0 {
		query.Set("window", strconv.Itoa(int(w.Window/time.Second)))
	}
	if w.Step > 0 {
		query.Set("step", strconv.Itoa(int(w.Step/time.Second)))
	}
	out := new(DNSQueries)
	if _, err := c.do(ctx, call{method: http.MethodGet, path: domainPath(domain) + "/dns/queries", query: query}, out); err != nil {
		return nil, err
	}
	return out, nil
}
