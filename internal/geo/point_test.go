package geo_test

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/geo"
)

func at(latitude, longitude float64) geo.Point {
	return geo.Point{Latitude: latitude, Longitude: longitude}
}

// ewkb writes what PostGIS would.
func ewkb(order binary.AppendByteOrder, kind, srid uint32, x, y float64) []byte {
	mark := byte(0)
	if order == binary.AppendByteOrder(binary.LittleEndian) {
		mark = 1
	}
	data := order.AppendUint32([]byte{mark}, kind)
	data = order.AppendUint32(data, srid)
	data = order.AppendUint64(data, math.Float64bits(x))
	return order.AppendUint64(data, math.Float64bits(y))
}

const pointWithSRID = 0x2000_0001

func TestNewValidates(t *testing.T) {
	t.Parallel()
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		latitude, longitude float64
		ok                  bool
	}{
		{0, 0, true},
		{90, 180, true},
		{-90, -180, true},
		{43.467, 11.885, true},
		{math.Nextafter(90, 91), 0, false},
		{0, math.Nextafter(-180, -181), false},
		{nan, 0, false},
		{0, nan, false},
		{inf, 0, false},
		{0, -inf, false},
	} {
		p, err := geo.New(c.latitude, c.longitude)
		if c.ok {
			require.NoError(t, err)
			require.Equal(t, at(c.latitude, c.longitude), p)
			continue
		}
		require.Equal(t, fault.Invalid, fault.KindOf(err), "%v", c)
		require.Zero(t, p)
	}
}

func TestNewHasNoNegativeZero(t *testing.T) {
	t.Parallel()
	p, err := geo.New(math.Copysign(0, -1), math.Copysign(0, -1))
	require.NoError(t, err)
	text, err := json.Marshal(p)
	require.NoError(t, err)
	require.JSONEq(t, `{"latitude":0,"longitude":0}`, string(text))
	require.NotContains(t, string(text), "-0")
}

func TestValueWritesAllDigits(t *testing.T) {
	t.Parallel()
	value, err := at(43.46744833333334, -1e-7).Value()
	require.NoError(t, err)
	require.Equal(t, "SRID=4326;POINT(-0.0000001 43.46744833333334)", value)

	_, err = at(91, 0).Value()
	require.Error(t, err)
}

func TestScanReadsWhatPostGISWrites(t *testing.T) {
	t.Parallel()
	const cuxhaven = "0101000020E6100000F6285C8FC27521400AD7A3703DEA4A40"
	want := at(53.83, 8.73)
	raw, err := hex.DecodeString(cuxhaven)
	require.NoError(t, err)
	for name, src := range map[string]any{
		"upper-case hexadecimal": cuxhaven,
		"lower-case hexadecimal": strings.ToLower(cuxhaven),
		"hexadecimal bytes":      []byte(cuxhaven),
		"raw bytes":              raw,
		"raw string":             string(raw),
		"big endian":             ewkb(binary.BigEndian, pointWithSRID, geo.SRID, 8.73, 53.83),
		"big endian hexadecimal": hex.EncodeToString(ewkb(binary.BigEndian, pointWithSRID, geo.SRID, 8.73, 53.83)),
		"little endian":          ewkb(binary.LittleEndian, pointWithSRID, geo.SRID, 8.73, 53.83),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var p geo.Point
			require.NoError(t, p.Scan(src))
			require.Equal(t, want, p)
		})
	}
}

func TestScanRefusesTheRest(t *testing.T) {
	t.Parallel()
	little := binary.LittleEndian
	good := ewkb(little, pointWithSRID, geo.SRID, 1, 2)
	unknownOrder := append([]byte{2}, good[1:]...)
	for name, src := range map[string]any{
		"null":                  nil,
		"number":                int64(1),
		"empty":                 "",
		"text form":             "SRID=4326;POINT(1 2)",
		"cut off":               good[:24],
		"too long":              append(good[:25:25], 0),
		"not hexadecimal":       strings.Repeat("zz", 25),
		"byte order":            unknownOrder,
		"no SRID":               ewkb(little, 1, geo.SRID, 1, 2),
		"line":                  ewkb(little, 0x2000_0002, geo.SRID, 1, 2),
		"with height":           ewkb(little, 0xA000_0001, geo.SRID, 1, 2),
		"other SRID":            ewkb(little, pointWithSRID, 3857, 1, 2),
		"empty point":           ewkb(little, pointWithSRID, geo.SRID, math.NaN(), math.NaN()),
		"latitude out of range": ewkb(little, pointWithSRID, geo.SRID, 1, 91),
		"half a point":          ewkb(little, pointWithSRID, geo.SRID, math.NaN(), 1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := at(5, 6)
			require.Error(t, p.Scan(src))
			require.Equal(t, at(5, 6), p, "a failed scan leaves the point alone")
		})
	}
}

func FuzzScan(f *testing.F) {
	f.Add(ewkb(binary.LittleEndian, pointWithSRID, geo.SRID, 8.73, 53.83))
	f.Add([]byte(hex.EncodeToString(ewkb(binary.BigEndian, pointWithSRID, geo.SRID, -180, 90))))
	f.Add([]byte("SRID=4326;POINT(1 2)"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var fromBytes, fromString geo.Point
		err := fromBytes.Scan(data)
		require.Equal(t, err == nil, fromString.Scan(string(data)) == nil)
		if err != nil {
			return
		}
		require.Equal(t, fromBytes, fromString)
		_, err = geo.New(fromBytes.Latitude, fromBytes.Longitude)
		require.NoError(t, err)
		var again geo.Point
		require.NoError(t, again.Scan(ewkb(binary.BigEndian, pointWithSRID, geo.SRID, fromBytes.Longitude, fromBytes.Latitude)))
		require.Equal(t, fromBytes, again)
	})
}
