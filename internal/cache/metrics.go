package cache

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The levels at which copies are found.
const (
	levelProcess = "process"
	levelRedis   = "redis"
)

// metrics are what an operator sees of the cache.
type metrics struct {
	hits   *prometheus.CounterVec
	misses *prometheus.CounterVec
	errors prometheus.Counter
	loads  *prometheus.HistogramVec
	age    *prometheus.HistogramVec
}

func newMetrics() *metrics {
	return &metrics{
		hits: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "picaspot_cache_hits_total", Help: "Copies that were found, by kind and by where.",
		}, []string{"kind", "level"}),
		misses: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "picaspot_cache_misses_total", Help: "Copies that were not found, by kind.",
		}, []string{"kind"}),
		errors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "picaspot_cache_errors_total", Help: "Times that Redis could not be asked, and the database was.",
		}),
		loads: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "picaspot_cache_load_seconds", Help: "Time that it took to load what was missing, by kind.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}, []string{"kind"}),
		age: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "picaspot_cache_age_seconds", Help: "Age in the process of the oldest copy that went into an answer, by kind.",
			Buckets: prometheus.ExponentialBuckets(1, 4, 7),
		}, []string{"kind"}),
	}
}

func (m *metrics) hit(kind, level string, n int, oldest time.Time) {
	if n == 0 {
		return
	}
	m.hits.WithLabelValues(kind, level).Add(float64(n))
	if !oldest.IsZero() {
		m.age.WithLabelValues(kind).Observe(time.Since(oldest).Seconds())
	}
}

func (m *metrics) miss(kind string, n int) { m.misses.WithLabelValues(kind).Add(float64(n)) }

// Collectors are the cache's metrics; none of a nil cache.
func (c *Cache) Collectors() []prometheus.Collector {
	if c == nil {
		return nil
	}
	return []prometheus.Collector{
		c.metrics.hits, c.metrics.misses, c.metrics.errors, c.metrics.loads, c.metrics.age,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "picaspot_cache_bytes", Help: "Bytes of copies in the process.",
		}, func() float64 { return float64(c.local.WeightedSize()) }),
	}
}
