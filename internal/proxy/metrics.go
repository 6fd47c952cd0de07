package proxy

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/custody-log/custody/internal/registry"
)

// What became of an event, and of a question about a credential.
const (
	recorded = "recorded" // durable in the log
	spooled  = "spooled"  // durable on our disk
	dropped  = "dropped"  // a read that is only counted
	lost     = "lost"     // an outcome that only its intent tells of

	lookupFound   = "found"
	lookupUnknown = "unknown"
	lookupFailed  = "failed"
)

var classNames = map[registry.Class]string{
	registry.Ignored: "none", registry.Read: "read", registry.Auth: "auth", registry.Write: "write",
}

// metrics are the proxy's figures. The one to alert on is
// custody_proxy_log_away_seconds: while it is above 0, changes are refused.
type metrics struct {
	requests      map[registry.Class]map[string]prometheus.Counter
	refused       map[string]prometheus.Counter
	events        map[string]prometheus.Counter
	lookups       map[string]prometheus.Counter
	intentSeconds prometheus.Histogram
	missedBefore  prometheus.Counter
	stalled       prometheus.Counter
}

var answers = []string{"none", "1xx", "2xx", "3xx", "4xx", "5xx"}

func newMetrics(to prometheus.Registerer, p *Proxy) *metrics {
	counters := func(name, help, label string, values []string) map[string]prometheus.Counter {
		vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
		to.MustRegister(vec)
		all := make(map[string]prometheus.Counter)
		for _, v := range values {
			all[v] = vec.WithLabelValues(v)
		}
		return all
	}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
		to.MustRegister(c)
		return c
	}
	gauge := func(name, help string, value func() float64) {
		to.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
	}
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "custody_proxy_requests_total", Help: "Requests forwarded, by class and the registry's answer.",
	}, []string{"class", "answer"})
	m := &metrics{
		requests: make(map[registry.Class]map[string]prometheus.Counter),
		refused:  counters("custody_proxy_refused_total", "Requests that the proxy answered itself.", "why", refusalReasons),
		events:   counters("custody_proxy_events_total", "Events, by what became of them.", "became", []string{recorded, spooled, dropped, lost}),
		lookups:  counters("custody_proxy_lookups_total", "Questions to the registry whose a credential is.", "answer", []string{lookupFound, lookupUnknown, lookupFailed}),
		intentSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "custody_proxy_intent_seconds", Help: "How long requests waited for their intent to be durable.",
			Buckets: prometheus.ExponentialBuckets(0.0002, 2, 16),
		}),
		missedBefore: counter("custody_proxy_missed_documents_total", "Documents that could not be had before a change."),
		stalled:      counter("custody_proxy_stalled_total", "Requests cut because nothing moved."),
	}
	for class, name := range classNames {
		m.requests[class] = make(map[string]prometheus.Counter)
		for _, answer := range answers {
			m.requests[class][answer] = requests.WithLabelValues(name, answer)
		}
	}
	to.MustRegister(requests, m.intentSeconds)
	gauge("custody_proxy_log_away_seconds", "For how long nothing could be recorded, 0 when it can.",
		func() float64 { return p.gate.away(time.Now()).Seconds() })
	gauge("custody_proxy_open_intents", "Requests that change something, on their way.",
		func() float64 { return float64(p.intents.count()) })
	gauge("custody_proxy_known_credentials", "Credentials whose owner is known.",
		func() float64 { return float64(p.who.size()) })
	gauge("custody_proxy_foreign_addresses", "Addresses in the registry's documents that lead round the proxy.",
		func() float64 { return float64(p.watch.count.Load()) })
	return m
}

// passed counts a request that was forwarded; status 0 means no answer.
func (m *metrics) passed(class registry.Class, status int) {
	answer := "none"
	if status >= 100 && status < 600 {
		answer = strconv.Itoa(status/100) + "xx"
	}
	m.requests[class][answer].Inc()
}
