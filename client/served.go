package client

import (
	"context"
	"net/http"
	"time"
)

// ServedBy is how one edge serves a certificate.
type ServedBy struct {
	Edge        string     `json:"edge"`
	Region      string     `json:"region"`
	By          string     `json:"by"` // the edge that looked: itself, or another
	At          time.Time  `json:"at"`
	Name        string     `json:"name"` // the server name that was asked for
	Fingerprint string     `json:"fingerprint,omitempty"`
	Current     bool       `json:"current"` // it is the certificate's fingerprint
	NotAfter    *time.Time `json:"not_after,omitempty"`
	Chain       string     `json:"chain,omitempty"` // trusted, private or broken
	Stapled     bool       `json:"stapled"`
	Offers      []Offer    `json:"offers"`
	Problem     string     `json:"problem,omitempty"`
}

// Offer is a combination that an edge agrees to.
type Offer struct {
	Version string `json:"version"`
	Cipher  string `json:"cipher"`
	Group   string `json:"group,omitempty"`
}

// ScoreAnswer is the grade of how a domain's certificate is served.
type ScoreAnswer struct {
	Domain string      `json:"domain"`
	Score  Score       `json:"score"` // of the edge that does worst
	Edges  []EdgeScore `json:"edges"`
}

// Score is a grade by the SSL Labs server rating guide.
type Score struct {
	Grade       string      `json:"grade"`                          // A+ to F, T (not trusted) or M (wrong name)
	Ignoring    string      `json:"grade_ignoring_trust,omitempty"` // if trust were left out of account
	Number      int         `json:"number"`                         // 0 to 100, before caps
	Protocol    int         `json:"protocol"`
	KeyExchange int         `json:"key_exchange"`
	Cipher      int         `json:"cipher"`
	Deductions  []Deduction `json:"deductions"`
}

// Deduction is one reason why a grade is not the best there is.
type Deduction struct {
	What string `json:"what"`
	Cost string `json:"cost"`
	Fix  string `json:"fix"`
}

// EdgeScore is one edge's grade.
type EdgeScore struct {
	Edge   string    `json:"edge"`
	Region string    `json:"region"`
	At     time.Time `json:"at"`
	Grade  string    `json:"grade"`
}

// CertificateScore grades how a domain's certificate is served. Error:
// fault.Unavailable until an edge has looked.
func (c *Client) CertificateScore(ctx context.Context, domain string) (*ScoreAnswer, error) {
	out := new(ScoreAnswer)
	if _, err := c.do(ctx, call{method: http.MethodGet, path: sslPath(domain) + "/score", query: c.scoped()}, out); err != nil {
		return nil, err
	}
	return out, nil
}
