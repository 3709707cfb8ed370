package geo

import "math"

// The WGS 84 ellipsoid: equatorial radius in metres and flattening, and what
// follows from them.
const (
	equatorialRadius = 6_378_137.0
	flattening       = 1 / 298.257223563

	axisRatio           = 1 - flattening
	polarRadius         = equatorialRadius * axisRatio
	thirdFlattening     = flattening / (2 - flattening)
	secondEccentricity2 = flattening * (2 - flattening) / (axisRatio * axisRatio)
)

// onEquator is the latitude in degrees, some hundredths of a millimetre, below
// which a point counts as on the equator: nearer to it the search for an azimuth
// loses its digits.
const onEquator = 1e-10

// azimuthSteps bounds the search for the azimuth. Bisection alone ends in fewer.
const azimuthSteps = 160

// DistanceMeters returns the length of the shortest line between two points on
// the WGS 84 ellipsoid, in metres, as ST_Distance of two geographies does. It
// holds for all points, antipodal ones too, to better than a millimetre; it is
// NaN if a coordinate is.
//
// It solves the inverse problem as in C. F. F. Karney, "Algorithms for
// geodesics", J. Geodesy 87 (2013) 43–55, https://doi.org/10.1007/s00190-012-0578-z:
// the azimuth is sought at which the geodesic from one point reaches the
// meridian of the other just at its latitude, and the series for distance
// and longitude are cut where the rest is below a millimetre.
func (p Point) DistanceMeters(q Point) float64 {
	// The order of the points, north and south, and east and west do not matter
	// to a distance: start from the point farther from the equator, southern, and
	// go east.
	if math.Abs(p.Latitude) < math.Abs(q.Latitude) {
		p, q = q, p
	}
	sign := -1.0
	if math.Signbit(p.Latitude) {
		sign = 1
	}
	from, to := onAuxiliarySphere(sign*p.Latitude), onAuxiliarySphere(sign*q.Latitude)
	apart := math.Abs(math.Remainder(q.Longitude-p.Longitude, 360))
	longitude := apart * math.Pi / 180

	switch {
	case math.IsNaN(apart) || math.IsNaN(from.sin+to.sin):
		return math.NaN()
	case p == q:
		return 0
	case apart == 0 || p.Latitude == -90 || p.Latitude == 90:
		return alongMeridian(from, to, false)
	case apart == 180:
		return alongMeridian(from, to, true)
	case from.sin == 0 && apart <= 180*axisRatio:
		return equatorialRadius * longitude
	}
	return shortest(from, to, longitude)
}

// reduced is a reduced latitude β, tan β = (1-f) tan φ, by its sine and cosine.
type reduced struct{ sin, cos float64 }

func onAuxiliarySphere(latitude float64) reduced {
	switch {
	case math.Abs(latitude) == 90:
		return reduced{sin: math.Copysign(1, latitude)}
	case math.Abs(latitude) < onEquator:
		return reduced{cos: 1}
	}
	sin, cos := math.Sincos(latitude * math.Pi / 180)
	sin *= axisRatio
	r := math.Hypot(sin, cos)
	return reduced{sin: sin / r, cos: cos / r}
}

// alongMeridian measures from one latitude to another on the same meridian or,
// over the nearer pole, on the opposite one.
func alongMeridian(from, to reduced, overPole bool) float64 {
	cos := from.cos
	if overPole {
		cos = -cos
	}
	path := arc{sin1: from.sin, cos1: cos, sin2: to.sin, cos2: to.cos}
	path.epsilon = epsilonOf(1)
	return path.meters()
}

// shortest seeks the azimuth, by Newton's method with the derivative of the
// sphere where that gets closer and by bisection where it does not (points that
// are nearly antipodal). The longitude reached grows through the one wanted
// exactly once between due north and due south (Karney, section 4).
func shortest(from, to reduced, longitude float64) float64 {
	sinLongitude, cosLongitude := math.Sincos(longitude)
	// Counted from due east, southward: between points near the equator the
	// azimuth needs all its digits there.
	low, high := -math.Pi/2, math.Pi/2
	azimuth := math.Atan2(from.sin*to.cos*cosLongitude-from.cos*to.sin, to.cos*sinLongitude)
	var path arc
	for last, step := math.Inf(1), 0; step < azimuthSteps; step++ {
		var excess, slope float64
		path, excess, slope = along(from, to, azimuth, sinLongitude, cosLongitude)
		if math.Abs(excess)*to.cos < 1e-15 || excess == 0 {
			break
		}
		if excess > 0 {
			high = azimuth
		} else {
			low = azimuth
		}
		next := azimuth - excess/slope
		// Not closer by half: the derivative misleads, and halving is as good.
		if !(next > low && next < high) || math.Abs(excess) > last/2 {
			next = (low + high) / 2
		}
		if next == azimuth {
			break
		}
		last, azimuth = math.Abs(excess), next
	}
	return path.meters()
}

// along follows the geodesic that leaves from at an azimuth, in radians
// clockwise from due east, until it reaches the
// latitude of to. It returns the arc, how much farther than the wanted longitude
// that is in radians, and the derivative of it by the azimuth.
func along(from, to reduced, azimuth, sinLongitude, cosLongitude float64) (path arc, excess, slope float64) {
	south1, sinAzimuth1 := math.Sincos(azimuth)
	cosAzimuth1 := -south1
	// Clairaut: sin α cos β is the same all along the geodesic, sin α0.
	sinAlpha0 := sinAzimuth1 * from.cos
	cosAlpha0 := math.Hypot(cosAzimuth1, sinAzimuth1*from.sin)
	// cos α2 cos β2, written so that it keeps its digits for latitudes that are
	// nearly the same but for their sign.
	rest := (from.sin - to.sin) * (from.sin + to.sin)
	if from.cos < -from.sin {
		rest = (to.cos - from.cos) * (to.cos + from.cos)
	}
	north1 := cosAzimuth1 * from.cos
	north2 := math.Sqrt(math.Max(0, north1*north1+rest))

	path = arc{sin1: from.sin, cos1: north1, sin2: to.sin, cos2: north2}
	sinOmega := math.Max(0, sinAlpha0*(north1*to.sin-from.sin*north2))
	cosOmega := north1*north2 + sinAlpha0*sinAlpha0*from.sin*to.sin
	path.normalise()
	path.epsilon = epsilonOf(cosAlpha0 * cosAlpha0)

	onSphere := math.Atan2(sinOmega*cosLongitude-cosOmega*sinLongitude, cosOmega*cosLongitude+sinOmega*sinLongitude)
	excess = onSphere - flattening*sinAlpha0*path.longitudeIntegral()

	w1 := math.Sqrt(1 + secondEccentricity2*from.sin*from.sin)
	w2 := math.Sqrt(1 + secondEccentricity2*to.sin*to.sin)
	slope = axisRatio * (w2*path.cos1*path.sin2 - w1*path.sin1*path.cos2) / north2
	return path, excess, slope
}

// arc is a stretch of a great circle on the auxiliary sphere: the sines and
// cosines of its ends' distances σ from the northward crossing of the equator,
// and ε of the geodesic it stands for (Karney, equation 16).
type arc struct {
	sin1, cos1, sin2, cos2 float64
	epsilon                float64
}

func epsilonOf(cosAlpha0Squared float64) float64 {
	k2 := secondEccentricity2 * cosAlpha0Squared
	root := 1 + math.Sqrt(1+k2)
	return k2 / (root * root)
}

func (a *arc) normalise() {
	r1, r2 := math.Hypot(a.sin1, a.cos1), math.Hypot(a.sin2, a.cos2)
	a.sin1, a.cos1, a.sin2, a.cos2 = a.sin1/r1, a.cos1/r1, a.sin2/r2, a.cos2/r2
}

// sigma is the length of the arc in radians, from 0 to π.
func (a *arc) sigma() float64 {
	return math.Atan2(math.Max(0, a.cos1*a.sin2-a.sin1*a.cos2), a.cos1*a.cos2+a.sin1*a.sin2)
}

// meters is the length of the geodesic (Karney, equations 7, 15, 17 and 18).
func (a *arc) meters() float64 {
	e := a.epsilon
	e2 := e * e
	a1 := (1 + e2*(1.0/4+e2/64)) / (1 - e)
	return polarRadius * a1 * (a.sigma() + a.series(
		e*(-1.0/2+e2*(3.0/16-e2/32)),
		e2*(-1.0/16+e2/32),
		e2*e*(-1.0/48+e2*3/256),
		-e2*e2*5/512,
	))
}

// longitudeIntegral is I3 over the arc (Karney, equations 8, 23, 24 and 25).
func (a *arc) longitudeIntegral() float64 {
	const n = thirdFlattening
	e := a.epsilon
	a3 := 1 - e*((1-n)/2+e*((2+n-3*n*n)/8+e*(1+3*n+n*n)/16))
	return a3 * (a.sigma() + a.series(
		e*((1-n)/4+e*((1-n*n)/8+e*(3+3*n-n*n)/64)),
		e*e*((2-3*n+n*n)/32+e*(3-2*n-3*n*n)/64),
		e*e*e*(5-9*n+5*n*n)/192,
		0,
	))
}

// series is the difference of Σ c_l sin 2lσ, l from 1, between the arc's ends.
func (a *arc) series(c1, c2, c3, c4 float64) float64 {
	at := func(sin, cos float64) float64 {
		twice := 2 * (cos - sin) * (cos + sin)
		b3 := c3 + twice*c4
		b2 := c2 + twice*b3 - c4
		b1 := c1 + twice*b2 - b3
		return 2 * sin * cos * b1
	}
	return at(a.sin2, a.cos2) - at(a.sin1, a.cos1)
}
