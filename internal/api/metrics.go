package api

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// maxScrapes bounds how many read the metrics at once.
const maxScrapes = 4

// metrics are what the API counts.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	events   *prometheus.CounterVec
	rejected *prometheus.CounterVec
	tails    prometheus.Gauge
}

func newMetrics(registry *prometheus.Registry) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "custody_http_requests_total", Help: "Requests answered, by route and status.",
		}, []string{"route", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "custody_http_request_seconds", Help: "Time from the request's head to the end of the answer, by route.",
			Buckets: prometheus.ExponentialBuckets(0.00025, 2, 16),
		}, []string{"route"}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "custody_http_events_total", Help: "Events submitted over HTTP, by result: recorded, or duplicate of one that was there.",
		}, []string{"result"}),
		rejected: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "custody_http_submissions_rejected_total", Help: "Submissions of one event or a batch that were refused, by the last word of the problem's type.",
		}, []string{"reason"}),
		tails: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "custody_http_tails", Help: "Readers that follow the log as it grows.",
		}),
	}
	registry.MustRegister(m.requests, m.seconds, m.events, m.rejected, m.tails)
	return m
}

// count counts one request.
func (m *metrics) count(route string, status int, took time.Duration) {
	if route == "" {
		route = "none"
	}
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
	m.seconds.WithLabelValues(route).Observe(took.Seconds())
}
