package api

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/certificates/score"
	"github.com/edgewright/edgewright/control/fleet"
	"github.com/edgewright/edgewright/fault"
)

// Watcher tells how edges serve a certificate, as they see it themselves.
// fleet.Fleet is one.
type Watcher interface {
	Served(certificate string) []fleet.View
}

// ServedBy is how one edge serves a certificate.
type ServedBy struct {
	Edge        string     `json:"edge"`
	Region      string     `json:"region"`
	By          string     `json:"by" doc:"The edge that looked: itself, or another"`
	At          time.Time  `json:"at"`
	Name        string     `json:"name" doc:"The server name that was asked for"`
	Fingerprint string     `json:"fingerprint,omitempty" doc:"Lower-case hex SHA-256 of the leaf that was served"`
	Current     bool       `json:"current" doc:"Whether it is the certificate's fingerprint"`
	NotAfter    *time.Time `json:"not_after,omitempty"`
	Chain       string     `json:"chain,omitempty" doc:"trusted, private (to a root that the edge's system does not know) or broken"`
	Stapled     bool       `json:"stapled" doc:"Served with an OCSP response"`
	Offers      []Offer    `json:"offers"`
	Problem     string     `json:"problem,omitempty" doc:"What a client would object to"`
}

// Offer is a combination that the edge agrees to.
type Offer struct {
	Version string `json:"version"`
	Cipher  string `json:"cipher"`
	Group   string `json:"group,omitempty" doc:"Of the key exchange"`
}

// ScoreAnswer is the grade of how a domain's certificate is served.
type ScoreAnswer struct {
	Domain string      `json:"domain"`
	Score  Score       `json:"score" doc:"Of the edge that does worst"`
	Edges  []EdgeScore `json:"edges"`
}

// Score is a grade by the SSL Labs server rating guide.
type Score struct {
	Grade       string      `json:"grade" doc:"A+, A, A-, B, C, D, E, F, T (not trusted) or M (wrong name)"`
	Ignoring    string      `json:"grade_ignoring_trust,omitempty" doc:"What the grade would be if trust were left out of account"`
	Number      int         `json:"number" doc:"0 to 100, before caps"`
	Protocol    int         `json:"protocol" doc:"0 to 100, 30% of the number"`
	KeyExchange int         `json:"key_exchange" doc:"0 to 100, 30% of the number"`
	Cipher      int         `json:"cipher" doc:"0 to 100, 40% of the number"`
	Deductions  []Deduction `json:"deductions"`
}

// Deduction is one reason why the grade is not the best there is.
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

func (s *Server) addServed() {
	add(s, op{
		method: http.MethodGet, path: infrastructure + "/ssl/{domain}/score", id: "certificates-score", tag: "Certificates",
		summary: "How well a domain's certificate is served, by the SSL Labs rating guide",
		doc:     "From what the edges see when they shake hands with themselves. Each deduction names its fix. Answers 503 until an edge has looked, which takes seconds.",
		level:   onProject, resource: access.Certificates, verb: access.Read, answers: []answerDoc{{http.StatusOK, ScoreAnswer{}, ""}},
	}, s.certificateScore)
}

// servedBy lists how the edges serve a certificate.
func (s *Server) servedBy(c certificates.Certificate) []ServedBy {
	out := []ServedBy{}
	if s.fleet == nil {
		return out
	}
	for _, v := range s.fleet.Served(c.ID) {
		one := ServedBy{
			Edge: v.Edge, Region: v.Region, By: v.By, At: v.At, Name: v.Served.Name, Fingerprint: v.Fingerprint, Current: v.Fingerprint != "" && v.Fingerprint == c.Status.Fingerprint,
			Chain: v.Chain, Stapled: v.Stapled, Offers: []Offer{}, Problem: v.Problem,
		}
		if v.NotAfter != 0 {
			one.NotAfter = timeOrNil(time.Unix(v.NotAfter, 0).UTC())
		}
		for _, o := range v.Offers {
			one.Offers = append(one.Offers, Offer{o.Version, o.Cipher, o.Group})
		}
		out = append(out, one)
	}
	return out
}

// gradesFromBest orders what an edge that does worst is looked for by.
var gradesFromBest = []string{"A+", "A", "A-", "B", "C", "D", "E", "F", "T", "M"}

func (s *Server) certificateScore(ctx context.Context, c *call, in *DomainPath) (*answer, error) {
	found, err := s.certificates.Get(ctx, c.project, c.environment, in.Domain)
	if err != nil {
		return nil, err
	}
	out := ScoreAnswer{Domain: found.Name, Edges: []EdgeScore{}}
	worst := -1
	var views []fleet.View
	if s.fleet != nil {
		views = s.fleet.Served(found.ID)
	}
	for _, v := range views {
		if v.By != v.Edge { // another edge does not ask for what must not be offered
			continue
		}
		r := score.Grade(seenBy(v), s.now())
		out.Edges = append(out.Edges, EdgeScore{v.Edge, v.Region, v.At, r.Grade})
		if i := slices.Index(gradesFromBest, r.Grade); i > worst {
			worst, out.Score = i, scoreOf(r)
		}
	}
	if worst < 0 {
		return nil, fault.New(fault.Unavailable, "no edge has looked at how this certificate is served yet: each does within seconds of a change, and within the hour otherwise").About("certificate " + found.Name)
	}
	return &answer{Body: out}, nil
}

func seenBy(v fleet.View) score.Seen {
	seen := score.Seen{
		Key: v.Key, Signature: v.Signature, Chain: v.Chain, NotAfter: time.Unix(v.NotAfter, 0), HSTS: v.HSTS, MustStaple: v.MustStaple, Stapled: v.Stapled,
		NoConnection: v.Fingerprint == "", WrongName: v.WrongName,
	}
	for _, o := range v.Offers {
		seen.Versions, seen.Ciphers = append(seen.Versions, o.Version), append(seen.Ciphers, o.Cipher)
	}
	return seen
}

func scoreOf(r score.Result) Score {
	out := Score{
		Grade: r.Grade, Ignoring: r.Ignoring, Number: r.Number, Protocol: r.Protocol, KeyExchange: r.KeyExchange, Cipher: r.Cipher, Deductions: []Deduction{},
	}
	for _, d := range r.Deductions {
		out.Deductions = append(out.Deductions, Deduction{d.What, d.Cost, d.Fix})
	}
	return out
}
