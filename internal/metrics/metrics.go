// Package metrics is what an operator watches, for Prometheus: requests, queries,
// pools of connections and queues of jobs. The number of time series is bounded by
// the contract and the code, never by what clients send.
package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
)

// figure is one number of a snapshot.
type figure[T any] struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(T) float64
}

// snapshot collects numbers that belong to the same moment.
type snapshot[T any] struct {
	take    func() T
	figures []figure[T]
}

func (s *snapshot[T]) add(kind prometheus.ValueType, name, help string, value func(T) float64) {
	s.figures = append(s.figures, figure[T]{prometheus.NewDesc(name, help, nil, nil), kind, value})
}

// Describe implements prometheus.Collector.
func (s *snapshot[T]) Describe(to chan<- *prometheus.Desc) {
	for _, f := range s.figures {
		to <- f.desc
	}
}

// Collect implements prometheus.Collector.
func (s *snapshot[T]) Collect(to chan<- prometheus.Metric) {
	taken := s.take()
	for _, f := range s.figures {
		to <- prometheus.MustNewConstMetric(f.desc, f.kind, f.value(taken))
	}
}
