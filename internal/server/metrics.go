package server

import (
	"github.com/prometheus/client_golang/prometheus"
)

// A lagCollector reports how far the views are behind the journal.
type lagCollector struct {
	server *Server
	size   *prometheus.Desc
	lag    *prometheus.Desc
}

func newLagCollector(s *Server) *lagCollector {
	return &lagCollector{
		server: s,
		size:   prometheus.NewDesc("custody_journal_records", "Records in the journal.", nil, nil),
		lag:    prometheus.NewDesc("custody_view_lag_records", "Records that a view has not taken in yet. The one to alert on.", []string{"view"}, nil),
	}
}

// Describe implements [prometheus.Collector].
func (c *lagCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.size
	ch <- c.lag
}

// Collect implements [prometheus.Collector].
func (c *lagCollector) Collect(ch chan<- prometheus.Metric) {
	size := c.server.journal.Size()
	ch <- prometheus.MustNewConstMetric(c.size, prometheus.GaugeValue, float64(size))
	for _, v := range c.server.views() {
		ch <- prometheus.MustNewConstMetric(c.lag, prometheus.GaugeValue, float64(max(0, size-v.Cursor())), v.Name())
	}
}
