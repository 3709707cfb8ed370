package photo

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"

	"github.com/kovidgoyal/imaging/prism/meta/icc"
)

// The bounds on a photo's colour profile. Those of cameras have some hundred bytes,
// those of printing presses two million.
const (
	maxProfileBytes = 4 << 20
	maxProfileTags  = 100
)

// usedTags are the parts of an ICC profile that say what its colours are, by the
// types (ICC.1:2022, section 10) in which they are read: only these get to the
// library, which allocates what some others claim to be.
var usedTags = map[string][]string{
	"A2B0": {"mft1", "mft2"},
	"rXYZ": {"XYZ "}, "gXYZ": {"XYZ "}, "bXYZ": {"XYZ "}, "wtpt": {"XYZ "},
	"rTRC": {"curv", "para"}, "gTRC": {"curv", "para"}, "bTRC": {"curv", "para"}, "kTRC": {"curv", "para"},
	"chad": {"sf32"},
}

// vetProfile returns a copy of an ICC profile with the tags that are used and are
// as long as they say.
func vetProfile(data []byte) ([]byte, error) {
	if len(data) < 132 || len(data) > maxProfileBytes {
		return nil, fmt.Errorf("profile of %d bytes", len(data))
	}
	count := binary.BigEndian.Uint32(data[128:])
	if count > maxProfileTags || 132+12*int(count) > len(data) {
		return nil, fmt.Errorf("profile with %d tags", count)
	}
	type tag struct {
		name string
		data []byte
	}
	var kept []tag
	for i := range int(count) {
		entry := data[132+12*i:]
		from, length := int64(binary.BigEndian.Uint32(entry[4:])), int64(binary.BigEndian.Uint32(entry[8:]))
		if from+length > int64(len(data)) {
			return nil, errors.New("profile with a tag beyond its end")
		}
		t := tag{string(entry[:4]), data[from : from+length]}
		for _, kind := range usedTags[t.name] {
			if len(t.data) >= 12 && string(t.data[:4]) == kind && isSound(kind, t.data) {
				kept = append(kept, t)
			}
		}
	}
	out := append(bytes.Clone(data[:128]), 0, 0, 0, byte(len(kept)))
	at := 132 + 12*len(kept)
	for _, t := range kept {
		out = append(out, t.name...)
		out = binary.BigEndian.AppendUint32(out, uint32(at))          // Some megabytes.
		out = binary.BigEndian.AppendUint32(out, uint32(len(t.data))) // The same.
		at += len(t.data)
	}
	for _, t := range kept {
		out = append(out, t.data...)
	}
	return out, nil
}

// isSound reports whether a tag of a profile has what it announces.
func isSound(kind string, data []byte) bool {
	switch kind {
	case "curv":
		return int64(len(data)) >= 12+2*int64(binary.BigEndian.Uint32(data[8:]))
	case "mft1", "mft2":
		inputs, outputs := data[8], data[9]
		return (inputs == 1 || inputs == 3 || inputs == 4) && outputs == 3
	}
	return true
}

// toSRGB is how the colours of a profile look in sRGB: a table of its corners and
// of points between them, as the exact computation takes microseconds.
type toSRGB struct {
	inputs int
	steps  int // Points along each input, less one.
	// points have red, green and blue in 128ths, the last input running fastest.
	points []int32
}

// pointsOf is the number of points along each input by the number of inputs.
var pointsOf = map[int]int{1: 256, 3: 33, 4: 17}

// newToSRGB reads a profile for pictures of so many inputs. Nil is no conversion:
// without a profile, and with one that is sRGB, is for other inputs or can't be read.
func newToSRGB(profile []byte, inputs int) (made *toSRGB) {
	// The library panics on some profiles that it can't make sense of.
	defer func() {
		if recover() != nil {
			made = nil
		}
	}()
	vetted, err := vetProfile(profile)
	if err != nil {
		return nil
	}
	p, err := icc.NewProfileReader(bytes.NewReader(vetted)).ReadProfile()
	if err != nil || p.IsSRGB() {
		return nil
	}
	space := map[int]icc.ColorSpace{1: icc.ColorSpaceGray, 3: icc.ColorSpaceRGB, 4: icc.ColorSpaceCMYK}[inputs]
	if p.Header.DataColorSpace != space {
		return nil
	}
	pipeline, err := p.CreateTransformerToSRGB(icc.PerceptualRenderingIntent, false, inputs, true, false, true)
	if err != nil {
		return nil
	}
	side := pointsOf[inputs]
	total := 1
	for range inputs {
		total *= side
	}
	made = &toSRGB{inputs: inputs, steps: side - 1, points: make([]int32, 3*total)}
	in, out := make([]float64, max(3, inputs)), make([]float64, max(3, inputs))
	for i := range total {
		rest := i
		for k := inputs - 1; k >= 0; k-- {
			in[k] = float64(rest%side) / float64(side-1)
			rest /= side
		}
		if inputs == 4 {
			pipeline.TransformGeneral(out, in)
		} else {
			out[0], out[1], out[2] = pipeline.Transform(in[0], in[1], in[2])
		}
		for k := range 3 {
			made.points[3*i+k] = int32(min(max(out[k], 0), 1)*255*128 + 0.5)
		}
	}
	return made
}

// at interpolates between the points that surround a colour.
func (t *toSRGB) at(in ...uint8) (r, g, b uint8) {
	var base [4]int
	var part [4]int32 // In 255ths of a step.
	for k := range t.inputs {
		v := int(in[k]) * t.steps
		base[k], part[k] = v/255, int32(v%255)
	}
	var sum [3]int64
	for corner := range 1 << t.inputs {
		weight, index := int64(1), 0
		for k := range t.inputs {
			at, share := base[k], int64(255-part[k])
			if corner>>k&1 == 1 {
				at, share = min(at+1, t.steps), int64(part[k])
			}
			weight *= share
			index = index*(t.steps+1) + at
		}
		if weight == 0 {
			continue
		}
		for k := range 3 {
			sum[k] += weight * int64(t.points[3*index+k])
		}
	}
	whole := int64(128)
	for range t.inputs {
		whole *= 255
	}
	return uint8((sum[0] + whole/2) / whole), uint8((sum[1] + whole/2) / whole), uint8((sum[2] + whole/2) / whole) // At most 255.
}

// convert changes the colours of an opaque picture in place.
func (t *toSRGB) convert(img *image.RGBA) {
	if t == nil {
		return
	}
	// Neighbours often have the same colour.
	last, shown := [3]uint8{}, [3]uint8{}
	shown[0], shown[1], shown[2] = t.at(last[:]...)
	for y := range img.Rect.Dy() {
		line := img.Pix[y*img.Stride:][:4*img.Rect.Dx()]
		for x := 0; x < len(line); x += 4 {
			if c := [3]uint8(line[x:]); c != last {
				last = c
				shown[0], shown[1], shown[2] = t.at(c[:]...)
			}
			copy(line[x:], shown[:])
		}
	}
}

// convertInks returns the colours of a picture of four inks. Without a profile the
// inks are taken for filters.
func (t *toSRGB) convertInks(img *image.CMYK) *image.RGBA {
	out := image.NewRGBA(img.Rect)
	for y := range img.Rect.Dy() {
		from, to := img.Pix[y*img.Stride:], out.Pix[y*out.Stride:]
		for x := 0; x < 4*img.Rect.Dx(); x += 4 {
			if t == nil {
				to[x], to[x+1], to[x+2] = color.CMYKToRGB(from[x], from[x+1], from[x+2], from[x+3])
			} else {
				to[x], to[x+1], to[x+2] = t.at(from[x : x+4]...)
			}
			to[x+3] = 255
		}
	}
	return out
}
