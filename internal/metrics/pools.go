package metrics

import (
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
)

// NewDatabasePool collects the figures of the pool of connections to the database.
func NewDatabasePool(pool *pgxpool.Pool) prometheus.Collector {
	const gauge, counter = prometheus.GaugeValue, prometheus.CounterValue
	s := &snapshot[*pgxpool.Stat]{take: pool.Stat}
	s.add(gauge, "picaspot_database_pool_connections_max", "Most connections to the database that there may be.",
		func(p *pgxpool.Stat) float64 { return float64(p.MaxConns()) })
	s.add(gauge, "picaspot_database_pool_connections_in_use", "Connections to the database that are in use.",
		func(p *pgxpool.Stat) float64 { return float64(p.AcquiredConns()) })
	s.add(gauge, "picaspot_database_pool_connections_idle", "Connections to the database that wait to be used.",
		func(p *pgxpool.Stat) float64 { return float64(p.IdleConns()) })
	s.add(gauge, "picaspot_database_pool_connections_opening", "Connections to the database that are being opened.",
		func(p *pgxpool.Stat) float64 { return float64(p.ConstructingConns()) })
	s.add(counter, "picaspot_database_pool_acquires_total", "Times that somebody got a connection.",
		func(p *pgxpool.Stat) float64 { return float64(p.AcquireCount()) })
	s.add(counter, "picaspot_database_pool_acquire_seconds_total", "Time that getting a connection took, all times together.",
		func(p *pgxpool.Stat) float64 { return p.AcquireDuration().Seconds() })
	s.add(counter, "picaspot_database_pool_acquires_given_up_total", "Times that somebody gave up to wait for a connection.",
		func(p *pgxpool.Stat) float64 { return float64(p.CanceledAcquireCount()) })
	s.add(counter, "picaspot_database_pool_waits_total", "Times that somebody had to wait for a connection, because none was idle.",
		func(p *pgxpool.Stat) float64 { return float64(p.EmptyAcquireCount()) })
	s.add(counter, "picaspot_database_pool_wait_seconds_total", "Time that those waits took together.",
		func(p *pgxpool.Stat) float64 { return p.EmptyAcquireWaitTime().Seconds() })
	s.add(counter, "picaspot_database_pool_connections_opened_total", "Connections to the database that were opened.",
		func(p *pgxpool.Stat) float64 { return float64(p.NewConnsCount()) })
	s.add(counter, "picaspot_database_pool_connections_expired_total", "Connections to the database that were closed for their age.",
		func(p *pgxpool.Stat) float64 { return float64(p.MaxLifetimeDestroyCount()) })
	s.add(counter, "picaspot_database_pool_connections_unused_total", "Connections to the database that were closed because nobody used them.",
		func(p *pgxpool.Stat) float64 { return float64(p.MaxIdleDestroyCount()) })
	return s
}

// NewRedisPool collects the figures of the pool of connections to Redis, of all
// nodes together in a cluster.
func NewRedisPool(client interface{ PoolStats() *redis.PoolStats }) prometheus.Collector {
	const gauge, counter = prometheus.GaugeValue, prometheus.CounterValue
	s := &snapshot[*redis.PoolStats]{take: client.PoolStats}
	s.add(gauge, "picaspot_redis_pool_connections", "Connections to Redis.",
		func(p *redis.PoolStats) float64 { return float64(p.TotalConns) })
	s.add(gauge, "picaspot_redis_pool_connections_idle", "Connections to Redis that wait to be used.",
		func(p *redis.PoolStats) float64 { return float64(p.IdleConns) })
	s.add(counter, "picaspot_redis_pool_hits_total", "Times that a connection was there already.",
		func(p *redis.PoolStats) float64 { return float64(p.Hits) })
	s.add(counter, "picaspot_redis_pool_misses_total", "Times that a connection had to be opened.",
		func(p *redis.PoolStats) float64 { return float64(p.Misses) })
	s.add(counter, "picaspot_redis_pool_waits_total", "Times that somebody had to wait for a connection.",
		func(p *redis.PoolStats) float64 { return float64(p.WaitCount) })
	s.add(counter, "picaspot_redis_pool_wait_seconds_total", "Time that those waits took together.",
		func(p *redis.PoolStats) float64 { return time.Duration(p.WaitDurationNs).Seconds() })
	s.add(counter, "picaspot_redis_pool_timeouts_total", "Times that no connection became free in time.",
		func(p *redis.PoolStats) float64 { return float64(p.Timeouts) })
	s.add(counter, "picaspot_redis_pool_connections_stale_total", "Connections to Redis that were closed for their age or a fault.",
		func(p *redis.PoolStats) float64 { return float64(p.StaleConns) })
	return s
}
