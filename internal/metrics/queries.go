package metrics

import (
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// queryBuckets are in seconds: from a look-up by key to what the statement timeout ends.
var queryBuckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 30}

// maxQueryNames bounds the names of queries that have time series of their own. It
// is several times what there is; names come from the code.
const maxQueryNames = 1000

// otherQueries is what stands for those beyond.
const otherQueries = "other"

// Queries measures queries of the database by their names. It may be used
// concurrently.
type Queries struct {
	durations *prometheus.HistogramVec
	failures  *prometheus.CounterVec

	mu     sync.RWMutex
	byName map[string]prometheus.Observer
}

// NewQueries makes the meter and registers it.
func NewQueries(registry prometheus.Registerer) *Queries {
	q := &Queries{
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "picaspot_database_query_duration_seconds", Help: "Time that queries took until their rows were read, by their names.", Buckets: queryBuckets,
		}, []string{"query"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "picaspot_database_query_failures_total", Help: "Queries that failed, by the SQLSTATE or what ended them without one.",
		}, []string{"failure"}),
		byName: map[string]prometheus.Observer{},
	}
	registry.MustRegister(q.durations, q.failures)
	return q
}

// Observe takes in a query; failure is empty for one that succeeded.
func (q *Queries) Observe(name string, took time.Duration, failure string) {
	q.of(name).Observe(took.Seconds())
	if failure != "" {
		q.failures.WithLabelValues(failure).Inc()
	}
}

func (q *Queries) of(name string) prometheus.Observer {
	q.mu.RLock()
	found, ok := q.byName[name]
	q.mu.RUnlock()
	if ok {
		return found
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.byName) >= maxQueryNames {
		return q.durations.WithLabelValues(otherQueries)
	}
	name = strings.Clone(name) // It is a part of the statement, which must not be kept for its sake.
	found = q.durations.WithLabelValues(name)
	q.byName[name] = found
	return found
}
