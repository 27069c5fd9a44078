package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"time"
)

// Placement is that records of a domain were set at a DNS provider.
type Placement struct {
	ID        string     `json:"id"`
	Domain    string     `json:"domain"`
	Account   string     `json:"account"` // stored credentials, by name
	Revision  int64      `json:"revision"`
	State     string     `json:"state"` // "set", "removing", "needs_consent"
	Since     *time.Time `json:"removing_since,omitempty"`
	NextAt    *time.Time `json:"next_attempt,omitempty"`
	GivenUpAt *time.Time `json:"given_up_at,omitempty"` // the records stay from then on
	Attempts  int        `json:"attempts"`
	Reason    string     `json:"reason,omitempty"`
	Message   string     `json:"message,omitempty"`
	Records   []string   `json:"records"` // that go, as of the last attempt in vain
}

const placements = infra + "/dns/placements"

// Placements walks where records were set at DNS providers, and what is being
// removed there.
func (c *Client) Placements(ctx context.Context) iter.Seq2[Placement, error] {
	return pages(ctx, func(ctx context.Context, cursor string) (Page[Placement], error) {
		return list[Placement](ctx, c, placements, "placements", paged(c.scoped()), cursor)
	})
}

// ConsentToRemoval lets records go that are much of their zone, now.
func (c *Client) ConsentToRemoval(ctx context.Context, id string) (*Placement, error) {
	out := new(Placement)
	w := wrap[Placement]{name: "placement", out: out}
	if _, err := c.do(ctx, call{method: http.MethodPost, path: placements + "/" + segment(id) + "/consent", query: c.scoped()}, &w); err != nil {
		return nil, err
	}
	return out, nil
}

// LeaveRecords lets records stay that are being removed, and forgets them.
func (c *Client) LeaveRecords(ctx context.Context, id string, revision int64) error {
	_, err := c.do(ctx, call{method: http.MethodDelete, path: placements + "/" + segment(id), query: c.scoped(), match: revision}, nil)
	return err
}

// Leaving says what becomes of the records that a domain has at DNS providers.
type Leaving struct {
	Consent bool // they may go, though they are much of the zone
	Leave   bool // they stay
}

func (l Leaving) query() url.Values {
	v := url.Values{}
	if l.Consent {
		v.Set("consent", "true")
	}
	if l.Leave {
		v.Set("leave_records", "true")
	}
	return v
}

// RemoveDomainLeaving is RemoveDomain, and says what becomes of the domain's records
// at DNS providers.
func (c *Client) RemoveDomainLeaving(ctx context.Context, domain string, revision int64, l Leaving) error {
	_, err := c.do(ctx, call{method: http.MethodDelete, path: domainPath(domain), query: merge(c.scoped(), l.query()), match: revision}, nil)
	return err
}

// PlanRemoveDomainLeaving tells what RemoveDomainLeaving would do.
func (c *Client) PlanRemoveDomainLeaving(ctx context.Context, domain string, revision int64, l Leaving) (*Plan, error) {
	return c.dryRun(ctx, call{method: http.MethodDelete, path: domainPath(domain), query: l.query(), match: revision})
}
