package dns

import "github.com/prometheus/client_golang/prometheus"

// Collector exposes a server's totals to Prometheus. Zones are left out on
// purpose, as sites are (package telemetry): there may be many thousands.
type Collector struct{ s *Server }

// Collector returns the Prometheus view of the counters.
func (s *Server) Collector() Collector { return Collector{s} }

var (
	descQueries      = prometheus.NewDesc("edgewright_dns_queries_total", "Queries that could be read, by transport.", []string{"transport"}, nil)
	descAnswers      = prometheus.NewDesc("edgewright_dns_answers_total", "Answers, by what they say: answer, referral, nodata, nxdomain, refused, formerr, notimp, badvers, servfail.", []string{"answer"}, nil)
	descDropped      = prometheus.NewDesc("edgewright_dns_dropped_total", "Datagrams without an answer: no query, or over the limit of like answers to one network.", []string{"reason"}, nil)
	descTruncated    = prometheus.NewDesc("edgewright_dns_truncated_total", "Truncated answers: too long for UDP, or every n-th over the limit.", []string{"reason"}, nil)
	descCookies      = prometheus.NewDesc("edgewright_dns_cookies_total", "Queries with a cookie.", nil, nil)
	descConnections  = prometheus.NewDesc("edgewright_dns_connections_total", "TCP connections, by whether they were let in.", []string{"result"}, nil)
	descTransfers    = prometheus.NewDesc("edgewright_dns_transfers_total", "Zone transfers begun.", nil, nil)
	descNoticesHeard = prometheus.NewDesc("edgewright_dns_notices_heard_total", "Notices of primaries that were passed on or known already.", nil, nil)
	descNotices      = prometheus.NewDesc("edgewright_dns_notices_total", "Notices to secondaries, by whether they were heard.", []string{"result"}, nil)
	descFailures     = prometheus.NewDesc("edgewright_dns_socket_failures_total", "Reads and writes that the system refused.", nil, nil)
)

// Describe implements prometheus.Collector.
func (c Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descQueries, descAnswers, descDropped, descTruncated, descCookies, descConnections, descTransfers, descNotices, descNoticesHeard, descFailures} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c Collector) Collect(ch chan<- prometheus.Metric) {
	t := c.s.Stats()
	count := func(d *prometheus.Desc, n uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	// Counters of one moment are not read at one moment: TCP's may be ahead.
	streams := t.TCPQueries + t.TLSQueries + t.HTTPSQueries
	count(descQueries, t.Queries-min(t.Queries, streams), "udp")
	count(descQueries, t.TCPQueries, "tcp")
	count(descQueries, t.TLSQueries, "tls")
	count(descQueries, t.HTTPSQueries, "https")
	for _, a := range []struct {
		name string
		n    uint64
	}{
		{"answer", t.Answers},
		{"referral", t.Referrals},
		{"nodata", t.NoData},
		{"nxdomain", t.NXDomain},
		{"refused", t.Refused},
		{"formerr", t.FormErr},
		{"notimp", t.NotImp},
		{"badvers", t.BadVers},
		{"servfail", t.ServFail},
	} {
		count(descAnswers, a.n, a.name)
	}
	count(descDropped, t.Dropped, "no_query")
	count(descDropped, t.Limited, "limit")
	count(descTruncated, t.Truncated-min(t.Truncated, t.Slipped), "length")
	count(descTruncated, t.Slipped, "limit")
	count(descCookies, t.Cookies)
	count(descConnections, t.TCPConnections, "accepted")
	count(descConnections, t.TCPRefused, "refused")
	count(descTransfers, t.Transfers)
	count(descNotices, t.Notices-min(t.Notices, t.NoticesUnheard), "heard")
	count(descNotices, t.NoticesUnheard, "unheard")
	count(descNoticesHeard, t.NoticesHeard)
	count(descFailures, t.Failures)
}
