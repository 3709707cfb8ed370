package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/picaspot/picaspot/internal/buildinfo"
)

// NewBuildInfo makes picaspot_build_info: always 1, with the build in its labels,
// so that a query can join other series with the version that made them.
func NewBuildInfo(info buildinfo.Info) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "picaspot_build_info", Help: "Always 1; the labels say which build runs.",
		ConstLabels: prometheus.Labels{"version": info.Version, "commit": info.Commit, "goversion": info.Go},
	}, func() float64 { return 1 })
}
