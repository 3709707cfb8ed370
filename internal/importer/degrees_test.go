package importer

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDegrees(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]float64{
		"48.85": 48.85, " 48.85 ": 48.85, "+48.1": 48.1, "-48.1": -48.1, "−48.1": -48.1, ".5": .5, "-.5": -.5, "5.": 5, "048.85": 48.85, "0": 0, "-0": 0, "4.885e1": 48.85,
		"48.85N": 48.85, "48.85 S": -48.85, "n 48.85": 48.85, "S48.85": -48.85, "48.85°": 48.85, "48.85° S": -48.85,
		"48°51′30″N": 48.858333333333334, "48° 51' 30\" S": -48.858333333333334, "-48°51'30''": -48.858333333333334, "48º51’30”": 48.858333333333334,
		"48°51.5'": 48.858333333333334, "44 ゚ 01’": 44.016666666666667, "48°51′30.25″": 48.858402777777778, "48:51:30": 48.858333333333334, "N 48 51 30": 48.858333333333334,
		"48 51.5 N": 48.858333333333334, "48\u00a051\u00a030\u00a0N": 48.858333333333334, "48°51": 48.85,
	} {
		value, err := latitudes.parse(text, false)
		require.NoError(t, err, text)
		require.InDelta(t, want, value, 1e-12, text)
	}
	for _, text := range []string{
		"", " ", "null", "NULL", "NaN", "Inf", "0x10", "1_0", "x", "48,85", "1,234.5", "48.8.5", "--5", "+-5", "48 51 30", "48 51", "48.85E", "48.85 N S", "-48.85S", "+48.85 N",
		"48°60′", "48°51′60″", "48.5°30′", "48°51.5′30″", "48°51′30″12", "N", "°", "-", ".", "e5", "1e", "48°-5′", "1e999", "48.85, 2.35", "true",
	} {
		_, err := latitudes.parse(text, false)
		require.Error(t, err, text)
	}
	for text, want := range map[string]float64{"48,85": 48.85, "-48,85": -48.85, ",5": .5, "48,85 S": -48.85, "48°51,5'": 48.858333333333334} {
		value, err := latitudes.parse(text, true)
		require.NoError(t, err, text)
		require.InDelta(t, want, value, 1e-12, text)
	}
	for _, text := range []string{"1,234.5", "48,8,5", "48.85,2.35"} {
		_, err := latitudes.parse(text, true)
		require.Error(t, err, text)
	}
	west, err := longitudes.parse("2°21′W", false)
	require.NoError(t, err)
	require.InDelta(t, -2.35, west, 1e-12)
	for _, text := range []string{"2.35N", "2.35 O"} {
		_, err := longitudes.parse(text, false)
		require.Error(t, err, text)
	}
}
