package app

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/picaspot/picaspot/internal/buildinfo"
	"github.com/picaspot/picaspot/internal/config"
	"github.com/picaspot/picaspot/internal/metrics"
	"github.com/picaspot/picaspot/internal/operation"
	"github.com/picaspot/picaspot/internal/store"
)

// register adds what has figures to the registry: the process, the connections, the
// jobs and the policy that is in force.
func (a *App) register() {
	a.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		metrics.NewBuildInfo(buildinfo.Get()),
		metrics.NewDatabasePool(a.Store.Pool), metrics.NewJobs(a.Store.Pool),
		gauge("picaspot_policy_version", "Version of the policy that is in force.", func() float64 {
			return float64(a.Policy.Live().Version())
		}),
		gauge("picaspot_policy_stale", "1 when the policy in force may not be the live one, because that can't be loaded.", func() float64 {
			return one(a.Policy.Check(context.Background()) != nil)
		}),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "picaspot_policy_load_failures_total", Help: "Looks for a newer policy that failed.",
		}, func() float64 { return float64(a.Policy.Failures()) }),
		gauge("picaspot_event_streams", "Streams of events that are open.", func() float64 { return float64(a.Followers.Open()) }),
		gauge("picaspot_redis_away", "1 when Redis does not answer, or there is none.", func() float64 {
			return one(a.redis == nil || a.redis.Away())
		}),
	)
	if a.redis != nil {
		a.registry.MustRegister(append(a.cache.Collectors(), metrics.NewRedisPool(a.redis))...)
	}
}

// metrics serves what an operator watches, in Prometheus' text format.
func (a *App) metrics() http.Handler {
	return promhttp.HandlerFor(a.registry, promhttp.HandlerOpts{ErrorLog: slog.NewLogLogger(slog.Default().Handler(), slog.LevelWarn)})
}

// measured are the operations of the contract, as metrics name them.
func measured(table *operation.Table) []metrics.Operation {
	all := table.All()
	named := make([]metrics.Operation, len(all))
	for i, op := range all {
		named[i] = metrics.Operation{Pattern: op.Pattern(), Method: op.Method, Name: op.Name(), IsPaced: op.IsPaced()}
	}
	return named
}

// storeOptions are those of the pool of connections.
func storeOptions(c config.Config, queries *metrics.Queries) store.Options {
	return store.Options{
		MaxConns: c.DatabaseMaxConns, MinConns: c.DatabaseMinConns,
		MaxConnLifetime: c.DatabaseConnLifetime, MaxConnIdleTime: c.DatabaseConnIdleTime, HealthCheckPeriod: c.DatabaseHealthPeriod,
		AcquireTimeout: c.DatabaseAcquireTimeout, ConnectTimeout: c.DatabaseConnectTimeout,
		StatementTimeout: c.StatementTimeout, LockTimeout: c.LockTimeout, IdleInTransactionTimeout: c.IdleInTransactionTimeout,
		SlowQuery: c.SlowQuery, Observe: queries.Observe,
	}
}

func gauge(name, help string, value func() float64) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
}

func one(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
