package telemetry

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/edgewright/edgewright/edgeconfig"
)

// Collector exposes the edge's totals to Prometheus. Sites are left out on
// purpose: a hundred thousand of them would be millions of series; rollups
// carry those.
type Collector struct{ t *Telemetry }

// Collector returns the Prometheus view of the counters.
func (t *Telemetry) Collector() Collector { return Collector{t} }

var (
	descRequests = prometheus.NewDesc("edgewright_edge_requests_total", "Requests answered, by status class (0: the client left).", []string{"class"}, nil)
	descCache    = prometheus.NewDesc("edgewright_edge_cache_total", "Requests by cache outcome.", []string{"outcome"}, nil)
	descBytes    = prometheus.NewDesc("edgewright_edge_response_bytes_total", "Response body bytes sent to clients.", nil, nil)
	descOrigin   = prometheus.NewDesc("edgewright_edge_origin_response_bytes_total", "Response body bytes received from origins.", nil, nil)
	descErrors   = prometheus.NewDesc("edgewright_edge_origin_errors_total", "Requests without a usable response from an origin.", nil, nil)
	descHello    = prometheus.NewDesc("edgewright_edge_tls_handshakes_total", "TLS handshakes, by result.", []string{"result"}, nil)
	descRefused  = prometheus.NewDesc("edgewright_edge_tls_refusals_total", "TLS handshakes that did not complete, by reason.", []string{"reason"}, nil)
	descLatency  = prometheus.NewDesc("edgewright_edge_first_byte_seconds", "Time from request head to the first byte of the response.", nil, nil)
	descLost     = prometheus.NewDesc("edgewright_edge_access_log_lost_total", "Access log records that subscribers were too slow for.", nil, nil)
)

// Describe implements prometheus.Collector.
func (c Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descRequests, descCache, descBytes, descOrigin, descErrors, descHello, descRefused, descLatency, descLost} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c Collector) Collect(ch chan<- prometheus.Metric) {
	s := c.t.total.snapshot()
	count := func(d *prometheus.Desc, n int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	for class, n := range s.status {
		count(descRequests, n, strconv.Itoa(class))
	}
	for o, n := range s.cache {
		count(descCache, n, outcomeNames[o])
	}
	count(descBytes, s.bytes)
	count(descOrigin, s.originBytes)
	count(descErrors, s.originErrors)
	count(descHello, s.handshakes, "completed")
	failed := int64(0)
	for r := NoCertificate; r < refusals; r++ {
		count(descRefused, s.refused[r], r.String())
		failed += s.refused[r]
	}
	count(descHello, failed, "failed")
	count(descLost, c.t.Lost())

	cumulative, total := make(map[float64]uint64, len(bounds)), uint64(0)
	for i, n := range s.latency {
		total += uint64(n)
		if i < len(bounds) {
			cumulative[edgeconfig.HistogramBounds[i]/1000] = total
		}
	}
	ch <- prometheus.MustNewConstHistogram(descLatency, total, float64(s.latencyMicro)/1e6, cumulative)
}
