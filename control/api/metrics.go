package api

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the API's own numbers. The nil *metrics counts nothing.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

func newMetrics(registry *prometheus.Registry) *metrics {
	if registry == nil {
		return nil
	}
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "edgewright_api_requests_total", Help: "Requests to the control plane's API, by operation and status class.",
		}, []string{"operation", "class"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "edgewright_api_request_seconds", Help: "Time to answer a request to the control plane's API.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60},
		}, []string{"operation"}),
	}
	registry.MustRegister(m.requests, m.seconds)
	return m
}

// count counts a request. operation is "" for what is none, and must come from
// a bounded set: never from the request's text.
func (m *metrics) count(operation string, status int, took time.Duration) {
	if m == nil || operation == "" || status < http.StatusOK {
		return
	}
	m.requests.WithLabelValues(operation, strconv.Itoa(status/100)+"xx").Inc()
	m.seconds.WithLabelValues(operation).Observe(took.Seconds())
}
