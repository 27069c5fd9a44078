package cli

import (
	"time"

	"github.com/edgewright/edgewright/client"
)

type dnsQueries struct {
	Domain string        `arg:"" help:"The domain, or a name in its zone."`
	Window time.Duration `default:"1h" placeholder:"TIME" help:"How far back. Default ${default}."`
	Step   time.Duration `default:"0s" placeholder:"TIME" help:"Of the rows. Default: a twelfth of the window."`
}

func (dnsQueries) Help() string {
	return "Each query counts once, whatever edge and way it came by. Edges tell once a minute.\n\n" + examples(
		"edgewright dns queries example.com", "edgewright dns queries example.com --window 24h --step 1h -o json")
}

func (c *dnsQueries) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	step := c.Step
	if step == 0 {
		step = max(min(c.Window/12, 24*time.Hour), time.Minute)
	}
	q, err := cl.DNSQueries(a.ctx, c.Domain, client.DNSQueriesWish{Window: c.Window, Step: step})
	if err != nil {
		return err
	}
	return a.show(q, func() {
		t := a.table("SINCE", "QUERIES", "ANSWERED", "DELEGATED", "NO RECORD", "NO NAME", "FAILED", "LIMITED")
		row := func(head any, n client.DNSQueriesTotals) {
			t.row(head, n.Queries, n.Answers, n.Referrals, n.NoData, n.NXDomain, n.Failed, n.Limited)
		}
		for _, p := range q.Series {
			row(p.At.UTC().Format("2006-01-02 15:04"), p.DNSQueriesTotals)
		}
		row("all", q.Totals)
		t.print(a.out)
		a.hint("\nQueries for all names of %s, each row %s long. Times are UTC.", clean(q.Zone), time.Duration(q.Step)*time.Second)
	})
}
