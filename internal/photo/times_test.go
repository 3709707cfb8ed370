package photo_test

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/photo"
	"github.com/picaspot/picaspot/internal/photo/sample"
)

// The tags of times.
const (
	originalTag = 0x9003
	offsetTag   = 0x9011
	gpsTimeTag  = 7
	gpsDateTag  = 0x1d
)

func TestReadFactsReadsTimes(t *testing.T) {
	t.Parallel()
	gps := takenAt.UTC()
	local := time.Date(2026, 7, 14, 23, 30, 5, 0, time.UTC)
	fix := func(at time.Time) photo.Timestamp {
		return photo.Timestamp{At: at, Uncertainty: time.Minute, IsFix: true}
	}
	clock := func(at time.Time) photo.Timestamp { return photo.Timestamp{At: at, Uncertainty: time.Second} }
	for name, c := range map[string]struct {
		tamper func(t *testing.T, data []byte)
		want   []photo.Timestamp
	}{
		"both": {func(*testing.T, []byte) {}, []photo.Timestamp{fix(gps), clock(gps)}},
		"that differ": {func(t *testing.T, d []byte) { setText(t, d, originalTag, "2020:01:01 00:00:00") },
			[]photo.Timestamp{fix(gps), clock(time.Date(2019, 12, 31, 22, 0, 0, 0, time.UTC))}},
		"a receiver whose weeks began anew": {func(t *testing.T, d []byte) { setText(t, d, gpsDateTag, "2006:11:28") },
			[]photo.Timestamp{fix(gps.AddDate(0, 0, -1024*7)), clock(gps)}},
		"the camera's with an offset": {func(t *testing.T, d []byte) { setText(t, d, gpsDateTag, "") }, []photo.Timestamp{clock(gps)}},
		"another offset": {func(t *testing.T, d []byte) {
			setText(t, d, gpsDateTag, "2026-07-14")
			setText(t, d, offsetTag, "-03:30")
		}, []photo.Timestamp{clock(local.Add(3*time.Hour + 30*time.Minute))}},
		"an offset of zero as Z": {func(t *testing.T, d []byte) {
			setText(t, d, gpsDateTag, "")
			setText(t, d, offsetTag, "Z")
		}, []photo.Timestamp{clock(local)}},
		"satellites without numbers": {func(t *testing.T, d []byte) { setNumbers(t, d, gpsTimeTag, 0, 0, 0, 0, 0, 0) }, []photo.Timestamp{clock(gps)}},
		"satellites without minutes": {func(t *testing.T, d []byte) { setNumbers(t, d, gpsTimeTag, 21, 1, 0, 0) }, []photo.Timestamp{clock(gps)}},
		"satellites at 25 o'clock":   {func(t *testing.T, d []byte) { setNumbers(t, d, gpsTimeTag, 25, 1) }, []photo.Timestamp{clock(gps)}},
		"satellites at midnight sharp": {func(t *testing.T, d []byte) { setNumbers(t, d, gpsTimeTag, 0, 1, 0, 1, 0, 1) },
			[]photo.Timestamp{fix(gps.Truncate(24 * time.Hour)), clock(gps)}},
		"fraction of a second": {func(t *testing.T, d []byte) { setNumbers(t, d, gpsTimeTag, 21, 1, 30, 1, 724, 100) },
			[]photo.Timestamp{fix(gps.Add(2 * time.Second)), clock(gps)}},
		"clock never set": {func(t *testing.T, d []byte) {
			setText(t, d, gpsDateTag, "1980:01:06")
			setText(t, d, originalTag, "0000:00:00 00:00:00")
		}, nil},
		"no time": {func(t *testing.T, d []byte) {
			setText(t, d, gpsDateTag, "")
			setText(t, d, originalTag, "yesterday")
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := tiff(t, sample.Options{Position: &tower, TakenAt: takenAt})
			c.tamper(t, data)
			facts, err := photo.ReadFacts(bytes.NewReader(webpWithEXIF(data)))
			require.NoError(t, err)
			require.Equal(t, c.want, facts.Times)
			require.NotNil(t, facts.Position)
		})
	}
}

// TestReadFactsNarrowsTimesWithoutAZone takes clocks that show legal time in places
// where it is far from the sun's, and beside the date line.
func TestReadFactsNarrowsTimesWithoutAZone(t *testing.T) {
	t.Parallel()
	const hour = 3600
	for name, c := range map[string]struct {
		at     geo.Point
		offset int
		times  int
	}{
		"Honolulu":                         {geo.Point{Latitude: 21.3069, Longitude: -157.8583}, -10 * hour, 2},
		"Kiritimati, a day ahead":          {geo.Point{Latitude: 1.8721, Longitude: -157.4278}, 14 * hour, 2},
		"Attu, a day behind":               {geo.Point{Latitude: 52.9027, Longitude: 172.9094}, -10 * hour, 2},
		"Greenwich":                        {geo.Point{Latitude: 51.4779, Longitude: 0}, 1 * hour, 1},
		"Qaanaaq in summer":                {geo.Point{Latitude: 77.4670, Longitude: -69.2222}, -1 * hour, 1},
		"Little Diomede in summer":         {geo.Point{Latitude: 65.7567, Longitude: -168.9530}, -8 * hour, 2},
		"Kashgar by the time of Beijing":   {geo.Point{Latitude: 39.4704, Longitude: 75.9898}, 8 * hour, 1},
		"Fuyuan in the east of China":      {geo.Point{Latitude: 48.3622, Longitude: 134.3088}, 8 * hour, 1},
		"Santiago de Compostela in summer": {geo.Point{Latitude: 42.8782, Longitude: -8.5448}, 2 * hour, 1},
		"Kathmandu":                        {geo.Point{Latitude: 27.7172, Longitude: 85.3240}, 5*hour + 45*60, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := time.Date(2026, 7, 14, 23, 30, 5, 0, time.FixedZone("", c.offset))
			data := tiff(t, sample.Options{Position: &c.at, TakenAt: at})
			binary.LittleEndian.PutUint16(field(t, data, offsetTag), 0x9999)
			binary.LittleEndian.PutUint16(field(t, data, gpsDateTag), 0x99)
			facts, err := photo.ReadFacts(bytes.NewReader(webpWithEXIF(data)))
			require.NoError(t, err)
			require.Len(t, facts.Times, c.times)
			holds := 0
			for _, stated := range facts.Times {
				require.Equal(t, 3*time.Hour, stated.Uncertainty)
				require.False(t, stated.IsFix)
				if at.Sub(stated.At).Abs() <= stated.Uncertainty {
					holds++
				}
			}
			require.Equal(t, 1, holds, "%v of %v", at.UTC(), facts.Times)
		})
	}

	t.Run("nor a position", func(t *testing.T) {
		t.Parallel()
		data := tiff(t, sample.Options{TakenAt: takenAt})
		setText(t, data, offsetTag, "   :  ")
		facts, err := photo.ReadFacts(bytes.NewReader(webpWithEXIF(data)))
		require.NoError(t, err)
		require.Equal(t, []photo.Timestamp{{At: time.Date(2026, 7, 14, 23, 30, 5, 0, time.UTC), Uncertainty: 14 * time.Hour}}, facts.Times)
	})
}
