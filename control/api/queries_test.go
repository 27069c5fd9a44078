package api

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/control/traffic"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

func TestDNSQueries(t *testing.T) {
	e := newEnv(t)
	_, tenant := e.project("tenant", access.Owner)
	const path = infrastructure + "/domains/queries.example"
	e.admin().post(path+"/zone", nil).want(http.StatusCreated)
	z, err := e.zones.Get(context.Background(), "default", "production", "queries.example")
	ok(t, err)
	start := time.Now().Add(-2 * time.Minute).Truncate(time.Minute)
	ok(t, traffic.New(e.db, nil).Ingest(context.Background(), edgeconfig.Rollup{
		ID: "one", Edge: "edge_test", Region: "local", Start: start, Seconds: 60,
		Zones: map[string]edgeconfig.ZoneCounters{z.ID: {Answers: 5, Referrals: 1, NoData: 2, NXDomain: 3, Failed: 4, Limited: 6}, "zon_other": {Answers: 100}},
	}))
	want := DNSQueriesTotals{Queries: 21, Answers: 5, Referrals: 1, NoData: 2, NXDomain: 3, Failed: 4, Limited: 6}
	var got DNSQueries
	e.admin().get(path+"/dns/queries?window=600&step=60").want(http.StatusOK, &got)
	if got.Zone != "queries.example" || got.Step != 60 || got.Totals != want || len(got.Series) < 10 {
		t.Errorf("%+v", got)
	}
	for _, p := range got.Series {
		if some := p.Queries > 0; some != p.At.Equal(start) || some && p.DNSQueriesTotals != want {
			t.Errorf("%+v", p)
		}
	}
	// A name below is in the same zone.
	e.admin().get(infrastructure+"/domains/www.queries.example/dns/queries").want(http.StatusOK, &got)
	if got.Zone != "queries.example" || got.Totals != want {
		t.Errorf("of a name below: %+v", got)
	}
	e.admin().get(infrastructure+"/domains/elsewhere.example/dns/queries").refused(http.StatusNotFound, fault.NotFound)
	tenant.get(path+"/dns/queries?project_id=tenant").refused(http.StatusNotFound, fault.NotFound)
	e.admin().get(path+"/dns/queries?window=5").refused(http.StatusUnprocessableEntity, fault.Invalid)
}
