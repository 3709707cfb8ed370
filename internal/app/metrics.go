package app

import (
	"context"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics serves what an operator watches, in Prometheus' text format: the process,
// the connections, and the policy that is in force.
func (a *App) metrics() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		gauge("picaspot_policy_version", "Version of the policy that is in force.", func() float64 {
			return float64(a.Policy.Live().Version())
		}),
		gauge("picaspot_policy_stale", "1 when the policy in force may not be the live one, because that can't be loaded.", func() float64 {
			return one(a.Policy.Check(context.Background()) != nil)
		}),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "picaspot_policy_load_failures_total", Help: "Looks for a newer policy that failed.",
		}, func() float64 { return float64(a.Policy.Failures()) }),
		gauge("picaspot_database_connections", "Connections to the database.", func() float64 {
			return float64(a.Store.Pool.Stat().TotalConns())
		}),
		gauge("picaspot_database_connections_in_use", "Connections to the database that are in use.", func() float64 {
			return float64(a.Store.Pool.Stat().AcquiredConns())
		}),
		gauge("picaspot_database_connections_max", "Most connections to the database that there may be.", func() float64 {
			return float64(a.Store.Pool.Stat().MaxConns())
		}),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "picaspot_database_waits_total", Help: "Times that somebody had to wait for a connection.",
		}, func() float64 { return float64(a.Store.Pool.Stat().EmptyAcquireCount()) }),
		gauge("picaspot_redis_away", "1 when Redis does not answer, or there is none.", func() float64 {
			return one(a.redis == nil || a.redis.Away())
		}),
	)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
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
