package importer_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/importer"
)

func TestProperties(t *testing.T) {
	t.Parallel()
	const header = "name;lat;lon;difficulty;unlock_radius_meters;photo_radius_meters;photo_latitude;photo_longitude;is_verified;created_at;updated_at;area_path\n"
	for row, reason := range map[string]string{
		"a;1;2;;;;;;;;;": "",
		"a;1;2;5;1;10000;1,5;-2;TRUE;2026-01-02T03:04:05z;2026-01-02T03:04:06+01:00;": "before created_at",
		"a;1;2;3;2,5;9.5;;;0;2026-01-02T03:04:05Z;;\"[\"\"A\"\"]\"":                   "",
		"a;1;2;6;;;;;;;;":                         "difficulty is \"6\"",
		"a;1;2;1.5;;;;;;;;":                       "whole number",
		"a;1;2;hard;;;;;;;;":                      "difficulty is \"hard\"",
		"a;1;2;;0.5;;;;;;;":                       "unlock_radius_meters is",
		"a;1;2;;;NaN;;;;;;":                       "photo_radius_meters is",
		"a;1;2;;;;1;;;;;":                         "the photo's longitude is missing",
		"a;1;2;;;;91;2;;;;":                       "beyond the globe",
		"a;1;2;;;;;;maybe;;;":                     "is_verified is",
		"a;1;2;;;;;;;yesterday;;":                 "RFC 3339",
		"a;1;2;;;;;;;2999-01-01T00:00:00Z;;":      "in the past",
		"a;1;2;;;;;;;;;A/B":                       "array of names",
		"a;1;2;;;;;;;;;\"[\"\"A\"\",\"\" \"\"]\"": "is empty",
		"a;1;2;;;;;;;;;\"[" + strings.Repeat("\"\"A\"\",", 10) + "\"\"A\"\"]\"": "more than 10",
	} {
		path := file(t, "x.csv", header+row+"\n")
		rows, rejected, err := read(t, path, importer.SourceOptions{})
		require.NoError(t, err, row)
		if reason == "" {
			require.Empty(t, rejected, row)
			require.Len(t, rows, 1)
			continue
		}
		require.Len(t, rejected, 1, row)
		require.Contains(t, strings.Join(rejected[0].Reasons, "; "), reason, row)
	}
	rows, _, err := read(t, file(t, "x.csv", header+"a;1;2;hard;;;;;;yesterday;;\n"), importer.SourceOptions{
		Mapping: importer.Mapping{Difficulty: importer.None, CreatedAt: importer.None},
	})
	require.NoError(t, err)
	require.Len(t, rows, 1, "columns that are no property are left out")
}
