package photo

import (
	"image"
	"math"
	"math/bits"
	"slices"
)

// hashSide is the side of the square that a photo is shrunk to before its hash,
// and hashWaves the number of waves along each side that go into it.
const (
	hashSide  = 32
	hashWaves = 8
)

// hashCosines are the waves of the discrete cosine transform (DCT-II). The
// constant one is left out: it is the brightness.
var hashCosines = func() (cosines [hashWaves][hashSide]float64) {
	for u := range hashWaves {
		for x := range hashSide {
			cosines[u][x] = math.Cos(math.Pi * float64(u+1) * (float64(x) + 0.5) / hashSide)
		}
	}
	return cosines
}()

// PerceptualHash returns 64 bits that hardly change when a photo is scaled,
// compressed again, brightened or cropped by a little: which of its coarse waves
// are stronger than the median (Zauner, "Implementation and benchmarking of
// perceptual image hash functions", 2010, section 3.2.1). Compare two by
// [HammingDistance]: up to 10 is nearly the same photo, two photos of one place
// from different spots are farther apart.
func PerceptualHash(img image.Image) uint64 {
	small := scale(img, image.Pt(2*hashSide, 2*hashSide))
	var light [hashSide][hashSide]float64
	for y := range 2 * hashSide {
		for x := range 2 * hashSide {
			c := small.RGBAAt(x, y)
			// Luma of ITU-R BT.601, in thousandths, so that sums are exact.
			light[y/2][x/2] += float64(299*int(c.R) + 587*int(c.G) + 114*int(c.B))
		}
	}
	var waves [hashWaves * hashWaves]float64
	for u := range hashWaves {
		for y := range hashSide {
			row := 0.0
			for x := range hashSide {
				row += light[y][x] * hashCosines[u][x]
			}
			for v := range hashWaves {
				waves[v*hashWaves+u] += row * hashCosines[v][y]
			}
		}
	}
	sorted := waves
	slices.Sort(sorted[:])
	median := (sorted[len(sorted)/2-1] + sorted[len(sorted)/2]) / 2
	var hash uint64
	for _, wave := range waves {
		hash <<= 1
		if wave > median {
			hash |= 1
		}
	}
	return hash
}

// HammingDistance counts the bits in which two hashes differ, from 0 to 64.
func HammingDistance(a, b uint64) int { return bits.OnesCount64(a ^ b) }
