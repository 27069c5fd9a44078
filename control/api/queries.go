package api

import (
	"context"
	"net/http"
	"time"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/control/traffic"
)

// DNSQueries is how often the names of a zone were asked for.
type DNSQueries struct {
	Zone   string           `json:"zone" doc:"That the domain is in; all its names are counted"`
	Window int64            `json:"window" doc:"Seconds"`
	Step   int64            `json:"step" doc:"Seconds; may be larger than asked"`
	Series []DNSQueryPoint  `json:"series"`
	Totals DNSQueriesTotals `json:"totals"`
}

// DNSQueryPoint is what edges counted in one step.
type DNSQueryPoint struct {
	At time.Time `json:"at" doc:"Beginning of the step"`
	DNSQueriesTotals
}

// DNSQueriesTotals are sums over some time. Each query counts once.
type DNSQueriesTotals struct {
	Queries   int64 `json:"queries" doc:"All of them, over UDP, TCP, TLS and HTTPS"`
	Answers   int64 `json:"answers" doc:"Answered with records"`
	Referrals int64 `json:"referrals" doc:"Sent to the name servers of a delegated name"`
	NoData    int64 `json:"nodata" doc:"The name has no such records"`
	NXDomain  int64 `json:"nxdomain" doc:"The name does not exist"`
	Failed    int64 `json:"failed" doc:"SERVFAIL, REFUSED and whatever else is no answer"`
	Limited   int64 `json:"limited" doc:"Above the rate limit of one network: dropped, or told to use TCP"`
}

type dnsQueriesInput struct {
	DomainPath
	Window int `query:"window" minimum:"60" maximum:"34560000" default:"3600" doc:"Seconds back from now"`
	Step   int `query:"step" minimum:"1" maximum:"86400" default:"60" doc:"Seconds"`
}

func (s *Server) addQueries() {
	add(s, op{
		method: http.MethodGet, path: infrastructure + "/domains/{domain}/dns/queries", id: "dns-queries", tag: "Traffic", summary: "How often a managed zone was asked, and what became of it",
		level: onProject, resource: access.Traffic, verb: access.Read, answers: []answerDoc{{http.StatusOK, DNSQueries{}, ""}},
	}, s.getQueries)
}

func (s *Server) getQueries(ctx context.Context, c *call, in *dnsQueriesInput) (*answer, error) {
	z, err := s.zoneOf(ctx, c, in.Domain)
	if err != nil {
		return nil, err
	}
	series, err := s.traffic.Queries(ctx, []string{z.ID}, time.Duration(in.Window)*time.Second, time.Duration(in.Step)*time.Second)
	if err != nil {
		return nil, err
	}
	out := DNSQueries{Zone: z.Name, Window: series.Window, Step: series.Step, Series: []DNSQueryPoint{}, Totals: queriesOf(series.Totals)}
	for _, p := range series.Points {
		out.Series = append(out.Series, DNSQueryPoint{At: p.At, DNSQueriesTotals: queriesOf(p.QueryTotals)})
	}
	return &answer{Body: out}, nil
}

func queriesOf(t traffic.QueryTotals) DNSQueriesTotals {
	return DNSQueriesTotals{
		Queries: t.Queries, Answers: t.Answers, Referrals: t.Referrals, NoData: t.NoData, NXDomain: t.NXDomain, Failed: t.Failed, Limited: t.Limited,
	}
}
