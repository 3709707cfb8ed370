package metrics

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	// jobsFor is how long the figures of the jobs are kept, so that scraping often
	// costs the database nothing.
	jobsFor = 10 * time.Second
	// jobsTimeout bounds how long a scrape waits for them.
	jobsTimeout = 2 * time.Second
)

// jobsSQL counts what is not finished, by river_job_prioritized_fetching_index.
const jobsSQL = `-- name: metrics_count_jobs
SELECT queue, state::text, count(*), coalesce(extract(epoch FROM now() - min(scheduled_at)), 0)::float8
FROM river_job WHERE state IN ('available', 'pending', 'retryable', 'running', 'scheduled', 'discarded')
GROUP BY queue, state`

// jobs collects the figures of the queues of jobs.
type jobs struct {
	pool                     *pgxpool.Pool
	count, oldest, reachable *prometheus.Desc

	mu    sync.Mutex
	at    time.Time
	known []jobCount
	err   error
}

type jobCount struct {
	queue, state string
	count        int64
	// oldest is how long ago the first of them was due, in seconds.
	oldest float64
}

// available is the state of a job that nobody has begun yet and that is due.
const available = "available"

// NewJobs collects how many jobs there are by queue and state, and for how long the
// oldest one that is due has been waiting. They are the same in every process. While
// the database does not tell, there are none, and picaspot_jobs_reachable is 0.
func NewJobs(pool *pgxpool.Pool) prometheus.Collector {
	return &jobs{
		pool:      pool,
		count:     prometheus.NewDesc("picaspot_jobs", "Jobs that are not finished, and those that were discarded for good.", []string{"queue", "state"}, nil),
		oldest:    prometheus.NewDesc("picaspot_jobs_oldest_available_seconds", "How long the oldest job that is due has been waiting.", []string{"queue"}, nil),
		reachable: prometheus.NewDesc("picaspot_jobs_reachable", "1 when the database told about the jobs.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (j *jobs) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{j.count, j.oldest, j.reachable} {
		to <- desc
	}
}

// Collect implements prometheus.Collector.
func (j *jobs) Collect(to chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	known, err := j.look()
	if err != nil {
		slog.Warn("no figures of the jobs", "error", err)
		gauge(j.reachable, 0)
		return
	}
	gauge(j.reachable, 1)
	for _, c := range known {
		gauge(j.count, float64(c.count), c.queue, c.state)
		if c.state == available {
			gauge(j.oldest, c.oldest, c.queue)
		}
	}
}

// look returns what is known for a few seconds, or asks; of many who scrape at once
// one asks and the others wait.
func (j *jobs) look() ([]jobCount, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if time.Since(j.at) < jobsFor {
		return j.known, j.err
	}
	ctx, cancel := context.WithTimeout(context.Background(), jobsTimeout)
	defer cancel()
	j.known, j.err = j.ask(ctx)
	j.at = time.Now()
	return j.known, j.err
}

func (j *jobs) ask(ctx context.Context) ([]jobCount, error) {
	rows, err := j.pool.Query(ctx, jobsSQL)
	if err != nil {
		return nil, fmt.Errorf("count the jobs: %w", err)
	}
	counts, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c jobCount, err error) {
		err = row.Scan(&c.queue, &c.state, &c.count, &c.oldest)
		return c, err
	})
	if err != nil {
		return nil, fmt.Errorf("count the jobs: %w", err)
	}
	return counts, nil
}
