package geo_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/geo"
)

func randomPoint(r *rand.Rand) geo.Point {
	return geo.Point{Latitude: math.Asin(2*r.Float64()-1) * 180 / math.Pi, Longitude: 360*r.Float64() - 180}
}

// around returns a point at about a distance, in any direction.
func around(r *rand.Rand, p geo.Point, meters float64) geo.Point {
	bearing := 2 * math.Pi * r.Float64()
	latitude := p.Latitude + meters/111_320*math.Cos(bearing)
	longitude := p.Longitude + meters/111_320*math.Sin(bearing)/math.Max(1e-6, math.Cos(p.Latitude*math.Pi/180))
	return geo.Point{Latitude: math.Max(-90, math.Min(90, latitude)), Longitude: math.Remainder(longitude, 360)}
}

func TestCoverMissesNothing(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		center := randomPoint(r)
		if r.IntN(4) == 0 {
			center.Longitude = math.Copysign(180-r.Float64()*0.01, center.Longitude)
		}
		radius := math.Pow(10, 4*r.Float64())
		cells, ok := geo.Cover(nil, center, radius, 4096)
		if !ok {
			require.Greater(t, math.Abs(center.Latitude), 60.0, "only where cells are narrow")
			continue
		}
		for range 20 {
			p := around(r, center, radius*1.02*math.Sqrt(r.Float64()))
			if center.DistanceMeters(p) <= radius {
				require.True(t, slices.Contains(cells, geo.CellOf(p)), "%v within %g m of %v", p, radius, center)
			}
		}
	}
}

func TestCoverIsTight(t *testing.T) {
	t.Parallel()
	cells, ok := geo.Cover(nil, geo.Point{Latitude: 1.2868, Longitude: 103.8545}, 1000, 64)
	require.True(t, ok)
	require.LessOrEqual(t, len(cells), 9)
	_, ok = geo.Cover(nil, geo.Point{Latitude: 1.2868, Longitude: 103.8545}, 50_000, 64)
	require.False(t, ok)
	_, ok = geo.Cover(nil, geo.Point{Latitude: 90}, 1, 1<<30)
	require.False(t, ok)
}

func TestCellsHoldTheirPoints(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	points := []geo.Point{{90, 180}, {-90, -180}, {0, 0}, {90, -180}, {-90, 180}, {0, 180}, {math.Copysign(0, -1), -180}}
	for range 10_000 {
		points = append(points, randomPoint(r))
	}
	for _, p := range points {
		require.True(t, geo.CellOf(p).Box().Contains(p), "%v", p)
	}
}

func TestChordsAreAsLongAsGeodesics(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 6))
	for range 50_000 {
		p := randomPoint(r)
		if r.IntN(10) == 0 {
			p.Latitude = math.Copysign(90-r.Float64()*0.1, p.Latitude)
		}
		q := around(r, p, math.Pow(10, 4.7*r.Float64()))
		want := p.DistanceMeters(q)
		got, ok := p.Curvature().Meters(p.Vector().ChordSquared(q.Vector()))
		if want > 50_000 {
			continue
		}
		require.True(t, ok)
		tolerance := 2e-3
		if want < 10_000 {
			tolerance = 2e-5
		}
		require.InDelta(t, want, got, tolerance, "%v to %v", p, q)
	}
	_, ok := geo.Point{}.Curvature().Meters(1e12)
	require.False(t, ok)
}

func BenchmarkCover(b *testing.B) {
	var cells [64]geo.Cell
	for b.Loop() {
		_, _ = geo.Cover(cells[:0], geo.Point{Latitude: 48.2, Longitude: 16.4}, 1000, 64)
	}
}

func BenchmarkChord(b *testing.B) {
	p, q := geo.Point{Latitude: 48.2, Longitude: 16.4}, geo.Point{Latitude: 48.21, Longitude: 16.41}
	v, to, k := p.Vector(), q.Vector(), p.Curvature()
	for b.Loop() {
		_, _ = k.Meters(v.ChordSquared(to))
	}
}

func BenchmarkGeodesic(b *testing.B) {
	p, q := geo.Point{Latitude: 48.2, Longitude: 16.4}, geo.Point{Latitude: 48.21, Longitude: 16.41}
	for b.Loop() {
		_ = p.DistanceMeters(q)
	}
}
