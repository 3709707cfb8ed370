package geo_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/geo"
)

func TestParseBBox(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]geo.BBox{
		"8.6,53.8,8.8,53.9":       {West: 8.6, South: 53.8, East: 8.8, North: 53.9},
		" 8.6, 53.8 ,8.8,53.9":    {West: 8.6, South: 53.8, East: 8.8, North: 53.9},
		"170,-20,-170,20":         {West: 170, South: -20, East: -170, North: 20},
		"-180,-90,180,90":         {West: -180, South: -90, East: 180, North: 90},
		"1e1,-0,10.0,0":           {West: 10, South: 0, East: 10, North: 0},
		"177.0,-20.0,-178.0,-1e1": {West: 177, South: -20, East: -178, North: -10},
	} {
		got, err := geo.ParseBBox(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
}

func TestParseBBoxNamesAllFaults(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":             "Four numbers are expected: west,south,east,north.",
		"1,2,3":        "Four numbers are expected: west,south,east,north.",
		"1,2,3,4,5":    "Four numbers are expected: west,south,east,north.",
		"1,9,3,4":      "South has to be at most north.",
		"1,NaN,3,4":    "South has to be a number from -90 to 90.",
		"1,2,+Inf,4":   "East has to be a number from -180 to 180.",
		"x,-91,181,":   "West has to be a number from -180 to 180. South has to be a number from -90 to 90. East has to be a number from -180 to 180. North has to be a number from -90 to 90.",
		"200,9,3,4":    "West has to be a number from -180 to 180. South has to be at most north.",
		"1,2,3,1e9999": "North has to be a number from -90 to 90.",
	} {
		_, err := geo.ParseBBox(text)
		require.EqualError(t, err, want, text)
	}
}

func TestBBoxContains(t *testing.T) {
	t.Parallel()
	fiji := geo.BBox{West: 177, South: -20, East: -178, North: -15}
	baltic := geo.BBox{West: 10, South: 53, East: 30, North: 66}
	require.True(t, fiji.CrossesAntimeridian())
	require.False(t, baltic.CrossesAntimeridian())
	for _, c := range []struct {
		box  geo.BBox
		p    geo.Point
		want bool
	}{
		{baltic, at(60, 20), true},
		{baltic, at(53, 10), true},
		{baltic, at(66, 30), true},
		{baltic, at(52.9, 20), false},
		{baltic, at(66.1, 20), false},
		{baltic, at(60, 9.9), false},
		{baltic, at(60, 180), false},
		{fiji, at(-17, 178), true},
		{fiji, at(-17, -179), true},
		{fiji, at(-17, 180), true},
		{fiji, at(-17, -180), true},
		{fiji, at(-17, 0), false},
		{fiji, at(-17, -177.9), false},
		{geo.BBox{West: 170, South: -1, East: 180, North: 1}, at(0, -180), true},
		{geo.BBox{West: -180, South: -1, East: -170, North: 1}, at(0, 180), true},
	} {
		require.Equal(t, c.want, c.box.Contains(c.p), "%v %v", c.box, c.p)
	}
}

func TestBBoxParts(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(limit float64) float64 {
		return []float64{-limit, limit, 0, -10, 10, math.Round((random.Float64()*2 - 1) * limit)}[random.IntN(6)]
	}
	require.Equal(t, []geo.BBox{geo.World}, geo.World.Parts())
	for range 20_000 {
		south, north := pick(90), pick(90)
		box := geo.BBox{West: pick(180), South: min(south, north), East: pick(180), North: max(south, north)}
		p := at(pick(90), pick(180))
		parts := box.Parts()
		require.LessOrEqual(t, len(parts), 2)
		inside := false
		for _, part := range parts {
			require.False(t, part.CrossesAntimeridian(), box)
			inside = inside || part.West <= p.Longitude && p.Longitude <= part.East && part.South <= p.Latitude && p.Latitude <= part.North
		}
		require.Equal(t, box.Contains(p), inside, "%v %v", box, p)
	}
}

func FuzzParseBBox(f *testing.F) {
	f.Add("8.6,53.8,8.8,53.9")
	f.Add("170,-20,-170,20")
	f.Add("NaN,Inf,,0x1p-2")
	f.Fuzz(func(t *testing.T, text string) {
		box, err := geo.ParseBBox(text)
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		require.True(t, box.Contains(at(box.South, box.West)))
		require.True(t, box.Contains(at(box.North, box.East)))
		again, err := geo.ParseBBox(fmt.Sprintf("%v,%v,%v,%v", box.West, box.South, box.East, box.North))
		require.NoError(t, err)
		require.Equal(t, box, again)
	})
}
