package photo_test

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

type matrix [3][3]float64

func (m matrix) apply(v [3]float64) (out [3]float64) {
	for i := range 3 {
		for k := range 3 {
			out[i] += m[i][k] * v[k]
		}
	}
	return out
}

// The red, green and blue of colour spaces, in the columns, as CIE XYZ adapted to D50.
var (
	displayP3 = matrix{{0.51512, 0.29198, 0.15710}, {0.24120, 0.69225, 0.06657}, {-0.00105, 0.04189, 0.78407}}
	adobeRGB  = matrix{{0.60974, 0.20528, 0.14919}, {0.31111, 0.62567, 0.06322}, {0.01947, 0.06087, 0.74457}}
	sRGB      = matrix{{0.43607, 0.38515, 0.14307}, {0.22249, 0.71687, 0.06061}, {0.01392, 0.09708, 0.71410}}
)

func (m matrix) inverse() (out matrix) {
	minor := func(i, k int) float64 {
		a, b, c, d := (i+1)%3, (i+2)%3, (k+1)%3, (k+2)%3
		return m[a][c]*m[b][d] - m[a][d]*m[b][c]
	}
	det := m[0][0]*minor(0, 0) + m[0][1]*minor(0, 1) + m[0][2]*minor(0, 2)
	for i := range 3 {
		for k := range 3 {
			out[k][i] = minor(i, k) / det
		}
	}
	return out
}

// canShow reports whether a colour of a space is one of sRGB's too.
func canShow(c color.NRGBA, space matrix, toLinear func(float64) float64) bool {
	xyz := space.apply([3]float64{toLinear(float64(c.R) / 255), toLinear(float64(c.G) / 255), toLinear(float64(c.B) / 255)})
	for _, v := range sRGB.inverse().apply(xyz) {
		if v < 0 || v > 1 {
			return false
		}
	}
	return true
}

func srgbToLinear(v float64) float64 {
	if v <= 0.04045 {
		return v / 12.92
	}
	return math.Pow((v+0.055)/1.055, 2.4)
}

func adobeToLinear(v float64) float64 { return math.Pow(v, 563.0/256) }

// lab is a colour in CIE L*a*b* under D50.
func lab(c color.Color, space matrix, toLinear func(float64) float64) [3]float64 {
	r, g, b, _ := c.RGBA()
	xyz := space.apply([3]float64{toLinear(float64(r) / 65535), toLinear(float64(g) / 65535), toLinear(float64(b) / 65535)})
	var f [3]float64
	for i, white := range []float64{0.9642, 1, 0.8249} {
		if v := xyz[i] / white; v > 216.0/24389 {
			f[i] = math.Cbrt(v)
		} else {
			f[i] = (v*24389/27 + 16) / 116
		}
	}
	return [3]float64{116*f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])}
}

func deltaE(a, b [3]float64) float64 {
	return math.Sqrt((a[0]-b[0])*(a[0]-b[0]) + (a[1]-b[1])*(a[1]-b[1]) + (a[2]-b[2])*(a[2]-b[2]))
}

func fixed(values ...float64) []byte {
	var out []byte
	for _, v := range values {
		out = binary.BigEndian.AppendUint32(out, uint32(int32(math.Round(v*65536))))
	}
	return out
}

type profileTag struct {
	name string
	data []byte
}

// profile is an ICC profile of version 2.
func profile(class, space, pcs string, tags ...profileTag) []byte {
	head := bytes.Repeat([]byte{0}, 128)
	copy(head[8:], "\x02\x10\x00\x00")
	copy(head[12:], class+space+pcs)
	copy(head[36:], "acsp")
	copy(head[68:], fixed(0.9642, 1, 0.8249))
	head = binary.BigEndian.AppendUint32(head, uint32(len(tags)))
	at := len(head) + 12*len(tags)
	var data []byte
	for _, t := range tags {
		head = append(head, t.name...)
		head = binary.BigEndian.AppendUint32(head, uint32(at+len(data)))
		head = binary.BigEndian.AppendUint32(head, uint32(len(t.data)))
		data = append(data, t.data...)
	}
	out := append(head, data...)
	binary.BigEndian.PutUint32(out, uint32(len(out)))
	return out
}

func matrixProfile(m matrix, curve []byte) []byte {
	var tags []profileTag
	for i, name := range []string{"r", "g", "b"} {
		xyz := append([]byte("XYZ \x00\x00\x00\x00"), fixed(m[0][i], m[1][i], m[2][i])...)
		tags = append(tags, profileTag{name + "XYZ", xyz}, profileTag{name + "TRC", curve})
	}
	return profile("mntr", "RGB ", "XYZ ", tags...)
}

var (
	srgbCurve    = append([]byte("para\x00\x00\x00\x00\x00\x03\x00\x00"), fixed(2.4, 1/1.055, 0.055/1.055, 1/12.92, 0.04045)...)
	adobeCurve   = []byte("curv\x00\x00\x00\x00\x00\x00\x00\x01\x02\x33")
	p3Profile    = matrixProfile(displayP3, srgbCurve)
	adobeProfile = matrixProfile(adobeRGB, adobeCurve)
	srgbProfile  = matrixProfile(sRGB, srgbCurve)
)

// patches is a picture of squares of 16 by 16.
func patches() *image.NRGBA {
	levels := []uint8{50, 90, 130, 170, 210}
	img := image.NewNRGBA(image.Rect(0, 0, 16*len(levels)*len(levels), 16*len(levels)))
	for y := range img.Rect.Dy() {
		for x := range img.Rect.Dx() {
			r, g, b := levels[x/16%5], levels[x/16/5], levels[y/16]
			mean := (int(r) + int(g) + int(b)) / 3
			mix := func(v uint8) uint8 { return uint8((2*int(v) + mean) / 3) }
			img.SetNRGBA(x, y, color.NRGBA{mix(r), mix(g), mix(b), 255})
		}
	}
	return img
}

func pngWithProfile(t *testing.T, img image.Image, icc []byte) []byte {
	t.Helper()
	chunk := bytes.NewBufferString("a profile\x00\x00")
	z := zlib.NewWriter(chunk)
	_, err := z.Write(icc)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return withPNGChunk(encodePNG(t, img), "iCCP", chunk.Bytes())
}

func jpegWithProfile(t *testing.T, img image.Image, icc []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, jpeg.Encode(&out, img, &jpeg.Options{Quality: 100}))
	// In two segments, as large ones are.
	half := len(icc) / 2
	first := jpegSegment(0xe2, append([]byte("ICC_PROFILE\x00\x01\x02"), icc[:half]...)...)
	second := jpegSegment(0xe2, append([]byte("ICC_PROFILE\x00\x02\x02"), icc[half:]...)...)
	return bytes.Join([][]byte{out.Bytes()[:2], first, second, out.Bytes()[2:]}, nil)
}

func TestDecodeShowsColoursInSRGB(t *testing.T) {
	t.Parallel()
	img := patches()
	for name, c := range map[string]struct {
		data     []byte
		space    matrix
		toLinear func(float64) float64
	}{
		"Display P3 in a PNG":  {pngWithProfile(t, img, p3Profile), displayP3, srgbToLinear},
		"Display P3 in a JPEG": {jpegWithProfile(t, img, p3Profile), displayP3, srgbToLinear},
		"Adobe RGB in a PNG":   {pngWithProfile(t, img, adobeProfile), adobeRGB, adobeToLinear},
		"Adobe RGB in a JPEG":  {jpegWithProfile(t, img, adobeProfile), adobeRGB, adobeToLinear},
		"sRGB in a JPEG":       {jpegWithProfile(t, img, srgbProfile), sRGB, srgbToLinear},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shown, err := decode(t, c.data)
			require.NoError(t, err)
			var sum, most float64
			count := 0
			for y := 8; y < img.Rect.Dy(); y += 16 {
				for x := 8; x < img.Rect.Dx(); x += 16 {
					if !canShow(img.NRGBAAt(x, y), c.space, c.toLinear) {
						continue
					}
					e := deltaE(lab(img.At(x, y), c.space, c.toLinear), lab(shown.At(x, y), sRGB, srgbToLinear))
					sum, most, count = sum+e, max(most, e), count+1
				}
			}
			t.Logf("mean %.2f, at most %.2f", sum/float64(count), most)
			require.Less(t, most, 2.0)
			require.Greater(t, count, 80)
		})
	}
}

func TestDecodeShowsWhiteAndBlackAsTheyAre(t *testing.T) {
	t.Parallel()
	for _, icc := range [][]byte{p3Profile, adobeProfile, srgbProfile} {
		for _, c := range []color.NRGBA{{255, 255, 255, 255}, {0, 0, 0, 255}, {0, 0, 0, 0}} {
			want := c
			if c.A == 0 {
				want = color.NRGBA{255, 255, 255, 255}
			}
			shown, err := decode(t, pngWithProfile(t, plain(3, 3, c), icc))
			require.NoError(t, err)
			requireColour(t, want, shown.At(1, 1))
		}
	}
}

// inkProfile has a table of two points for each ink: paper is white, and an ink takes
// its share of lightness; cyan alone is L* 60, a* -25, b* -25.
func inkProfile() []byte {
	tag := append([]byte("mft1\x00\x00\x00\x00\x04\x03\x02\x00"), fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)...)
	ramp := make([]byte, 256)
	for i := range ramp {
		ramp[i] = byte(i)
	}
	tag = append(tag, bytes.Repeat(ramp, 4)...)
	for corner := range 16 {
		switch corner {
		case 0:
			tag = append(tag, 255, 128, 128)
		case 8: // Cyan runs slowest.
			tag = append(tag, 60*255/100, 128-25, 128-25)
		default:
			tag = append(tag, 0, 128, 128)
		}
	}
	return profile("prtr", "CMYK", "Lab ", profileTag{"A2B0", append(tag, bytes.Repeat(ramp, 3)...)})
}

func TestDecodeShowsInksByTheirProfile(t *testing.T) {
	t.Parallel()
	with := func(data, icc []byte) []byte {
		segment := jpegSegment(0xe2, append([]byte("ICC_PROFILE\x00\x01\x01"), icc...)...)
		return bytes.Join([][]byte{data[:2], segment, data[2:]}, nil)
	}
	shown, err := decode(t, with(cmykJPEG(255), inkProfile()))
	require.NoError(t, err)
	got := lab(shown.At(4, 4), sRGB, srgbToLinear)
	require.Less(t, deltaE([3]float64{60, -25, -25}, got), 2.0, got)
	shown, err = decode(t, with(cmykJPEG(0), inkProfile()))
	require.NoError(t, err)
	requireColour(t, color.White, shown.At(4, 4))
	shown, err = decode(t, cmykJPEG(255))
	require.NoError(t, err)
	requireColour(t, color.RGBA{0, 255, 255, 255}, shown.At(4, 4))
}

// cmykJPEG is a picture of 8 by 8 pixels with a level of cyan and none of the others,
// as inks that are not inverted.
func cmykJPEG(cyan uint8) []byte {
	quant := jpegSegment(0xdb, append([]byte{0}, bytes.Repeat([]byte{1}, 64)...)...)
	sof := frame(0xc0, 8, 8, 0x11, 0x11, 0x11, 0x11)
	// A DC code of 4 bits for each of the categories, and for AC the end.
	dc := jpegSegment(0xc4, 0, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)
	ac := jpegSegment(0xc4, append(append([]byte{0x10, 1}, make([]byte, 15)...), 0)...)
	sos := jpegSegment(0xda, 4, 1, 0, 2, 0, 3, 0, 4, 0, 0, 63, 0)
	var bits string
	for i := range 4 {
		level := 0
		if i == 0 {
			level = int(cyan)
		}
		value := 8 * (level - 128) // The DC coefficient is 8 times the level.
		category := 0
		for max(value, -value)>>category > 0 {
			category++
		}
		if value < 0 {
			value += 1<<category - 1
		}
		bits += fmt.Sprintf("%04b%0*b", category, category, value)
		bits += "0" // No AC coefficients.
	}
	for len(bits)%8 != 0 {
		bits += "1"
	}
	var data []byte
	for ; bits != ""; bits = bits[8:] {
		var b byte
		for _, bit := range bits[:8] {
			b = b<<1 | byte(bit-'0')
		}
		if data = append(data, b); b == 0xff {
			data = append(data, 0)
		}
	}
	return bytes.Join([][]byte{{0xff, 0xd8}, quant, sof, dc, ac, sos, data, {0xff, 0xd9}}, nil)
}

// A profile that is broken, of another kind of picture or lies about its size is none.
func TestDecodePassesOverProfilesThatAreOfNoUse(t *testing.T) {
	t.Parallel()
	img := patches()
	plainPNG, err := decode(t, encodePNG(t, img))
	require.NoError(t, err)
	change := func(at int, to ...byte) []byte {
		icc := bytes.Clone(p3Profile)
		copy(icc[at:], to)
		return icc
	}
	curve := bytes.Index(p3Profile, []byte("para"))
	huge := bytes.Clone(adobeProfile)
	copy(huge[bytes.Index(huge, []byte("curv"))+8:], "\x7f\xff\xff\xff")
	for name, icc := range map[string][]byte{
		"nothing":         nil,
		"cut":             p3Profile[:300],
		"many tags":       change(128, 0xff, 0xff, 0xff, 0xff),
		"tag beyond":      change(136, 0xff, 0xff, 0xff, 0xf0),
		"other curves":    change(curve, []byte("abcd")...),
		"inks":            inkProfile(),
		"curve of 4 GB":   huge,
		"of another file": change(36, []byte("none")...),
	} {
		shown, err := decode(t, pngWithProfile(t, img, icc))
		require.NoError(t, err, name)
		require.Equal(t, plainPNG, shown, name)
	}
}

func FuzzProfile(f *testing.F) {
	f.Add(p3Profile)
	f.Add(adobeProfile)
	f.Add(inkProfile())
	f.Fuzz(func(t *testing.T, icc []byte) {
		if len(icc) > 60_000 {
			return
		}
		data := cmykJPEG(200)
		segment := jpegSegment(0xe2, append([]byte("ICC_PROFILE\x00\x01\x01"), icc...)...)
		_, err := decode(t, bytes.Join([][]byte{data[:2], segment, data[2:]}, nil))
		require.NoError(t, err)
		_, err = decode(t, pngWithProfile(t, plain(2, 2, color.NRGBA{10, 200, 100, 255}), icc))
		require.NoError(t, err)
	})
}
