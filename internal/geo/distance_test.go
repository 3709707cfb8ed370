package geo_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/geo"
)

// The first two are worked examples of the inverse problem in Karney's paper; the
// others were computed with his GeographicLib.
func TestDistanceAgreesWithGeographicLib(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		p, q geo.Point
		want float64
	}{
		"nearly the same point":         {at(-30.12345, 0), at(-30.12344, 0.00005), 4.944208},
		"nearly antipodal":              {at(-30, 0), at(29.9, 179.8), 19989832.827610},
		"antipodal on the equator":      {at(0, 0), at(0, 180), 20003931.458625},
		"equator, not along it":         {at(0, 0), at(0, 179.5), 19980861.908891},
		"Vincenty does not converge":    {at(0, 0), at(0.5, 179.7), 19944127.420750},
		"pole to pole":                  {at(90, 0), at(-90, 0), 20003931.458625},
		"poles by other meridians":      {at(90, 77), at(-90, -12), 20003931.458625},
		"from a pole":                   {at(90, 10), at(60, 100), 3347892.909822},
		"two names of a pole":           {at(90, 10), at(90, -170), 0},
		"New York to London":            {at(40.6, -73.8), at(51.6, -0.5), 5551759.400319},
		"across the antimeridian":       {at(10, 179.9), at(10, -179.9), 21927.872478},
		"two names of a meridian":       {at(10, 180), at(10, -180), 0},
		"a degree along the equator":    {at(0, 0), at(0, 1), 111319.490793},
		"a degree along a meridian":     {at(0, 0), at(1, 0), 110574.388558},
		"over the pole":                 {at(89.99999, 0), at(89.99999, 180), 2.233879},
		"on either side of the equator": {at(1e-9, 5), at(-1e-9, 5.00001), 1.113195},
		"the same point":                {at(53.87, 8.7), at(53.87, 8.7), 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.InDelta(t, c.want, c.p.DistanceMeters(c.q), 1e-4)
			require.InDelta(t, c.want, c.q.DistanceMeters(c.p), 1e-4)
		})
	}
}

func TestDistanceOfNoNumberIsNoNumber(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	for _, p := range []geo.Point{at(nan, 1), at(1, nan), at(nan, nan)} {
		require.True(t, math.IsNaN(p.DistanceMeters(at(1, 2))))
		require.True(t, math.IsNaN(at(1, 2).DistanceMeters(p)))
	}
}

func TestDistanceIsAMetric(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	anywhere := func() geo.Point {
		return geo.Point{Latitude: random.Float64()*180 - 90, Longitude: random.Float64()*360 - 180}
	}
	for range 20_000 {
		p, q, r := anywhere(), anywhere(), anywhere()
		if random.IntN(3) == 0 { // Nearly antipodal, where searches for the azimuth fail.
			q = geo.Point{Latitude: -p.Latitude + random.NormFloat64()*1e-3, Longitude: p.Longitude + 180 + random.NormFloat64()*1e-3}
		}
		pq := p.DistanceMeters(q)
		require.GreaterOrEqual(t, pq, 0.0)
		require.LessOrEqual(t, pq, 20_003_931.4587, "%v %v", p, q)
		require.InDelta(t, pq, q.DistanceMeters(p), 1e-6, "%v %v", p, q)
		require.LessOrEqual(t, pq, p.DistanceMeters(r)+r.DistanceMeters(q)+1e-6, "%v %v %v", p, q, r)
		// An ellipsoid is within 0.6 % of the mean sphere.
		sphere := 6_371_008.8 * centralAngle(p, q)
		require.InDelta(t, sphere, pq, sphere*0.006+1e-6, "%v %v", p, q)
	}
}

func centralAngle(p, q geo.Point) float64 {
	const rad = math.Pi / 180
	u := math.Sin((q.Latitude - p.Latitude) * rad / 2)
	v := math.Sin((q.Longitude - p.Longitude) * rad / 2)
	h := u*u + math.Cos(p.Latitude*rad)*math.Cos(q.Latitude*rad)*v*v
	return 2 * math.Atan2(math.Sqrt(h), math.Sqrt(math.Max(0, 1-h)))
}

func BenchmarkDistanceMeters(b *testing.B) {
	for name, q := range map[string]geo.Point{"near": at(52.001, 13.002), "far": at(-31, 113), "antipodal": at(-52.1, -167.2)} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				at(52, 13).DistanceMeters(q)
			}
		})
	}
}
