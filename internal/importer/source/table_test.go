package source_test

import (
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/importer/source"
)

func TestTableLosesNoRow(t *testing.T) {
	t.Parallel()
	for title, c := range map[string]struct {
		name, content string
		opts          source.Options
		want          []string
	}{
		"a quote in tab-separated values is a quote": {
			name: "x.tsv", content: "id\tname\n1\t\"Old\" mill\n2\t\"Open\n3\tMill\n",
			want: []string{`"Old" mill`, `"Open`, "Mill"},
		},
		"a tab-separated file of another name has no quotes either": {
			name: "x.txt", content: "id\tname\n1\t\"Old\" mill\n2\tMill\n",
			want: []string{`"Old" mill`, "Mill"},
		},
		"a tab-separated file that is said to be CSV has quotes": {
			name: "x.txt", content: "id\tname\n1\t\"Old \"\"mill\"\"\"\n", opts: source.Options{Format: source.CSV},
			want: []string{`Old "mill"`},
		},
		"a quote that is not closed costs its line": {
			name: "x.csv", content: "id,name\n1,A\n2,\"B\n3,C\n4,D\n",
			want: []string{"A", "fault: the row is malformed: the quote that opens in line 3, column 3 is not closed", "C", "D"},
		},
		"a quote that is not closed does not take a later one for its end": {
			name: "x.csv", content: "id,name\n1,\"A\n2,B\n3,\"C\"\n4,\"D\n5,E\n",
			want: []string{
				"fault: the row is malformed: the quote that opens in line 2, column 3 is closed before its field ends", "B", "C",
				"fault: the row is malformed: the quote that opens in line 5, column 3 is not closed", "E",
			},
		},
		"a bare quote costs its line": {
			name: "x.csv", content: "id,name\n1,5\" gun\n2,B\n3,6\" gun\n4,D\n",
			want: []string{`fault: the row is malformed: bare " in non-quoted-field`, "B", `fault: the row is malformed: bare " in non-quoted-field`, "D"},
		},
		"a quoted field has lines and quotes": {
			name: "x.csv", content: "id,name\r\n1,\"A \"\"x\"\"\r\n\r\nB\"\r\n\r\n2,C\r\n",
			want: []string{"A \"x\"\n\nB", "C"},
		},
		"lines end with CR alone": {
			name: "x.csv", content: "id,name\r1,A\r2,\"B\rb\"\r3,C",
			want: []string{"A", "B\nb", "C"},
		},
		"lines of tab-separated values end with CR alone": {
			name: "x.tsv", content: "id\tname\r1\tA\r2\tB\r", want: []string{"A", "B"},
		},
		"Excel names the separator": {
			name: "x.csv", content: "sep=;\r\nid;name\r\n1;A, B\r\n", want: []string{"A, B"},
		},
		"the separator of a file without a header fits the columns": {
			name: "x.csv", content: "48,1;11,6;A\n48,2;11,7;B\n", opts: source.Options{Columns: []string{"lat", "lon", "name"}},
			want: []string{"A", "B"},
		},
		"UTF-16 is found by its mark": {
			name: "x.csv", content: "\xff\xfei\x00d\x00;\x00n\x00a\x00m\x00e\x00\n\x001\x00;\x00\x34\xd8\x1e\xdd\n\x00", want: []string{"𝄞"},
		},
		"UTF-16 of the other byte order, too": {
			name: "x.csv", content: "\xfe\xff\x00n\x00a\x00m\x00e\x00\n\x00\xe9\x00\n", want: []string{"é"},
		},
		"the first of two columns of one name counts": {
			name: "x.csv", content: "name,NAME\nA,B\n", want: []string{"A"},
		},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			records, err := read(t, c.name, c.content, c.opts)
			require.NoError(t, err)
			require.Equal(t, c.want, names(records))
		})
	}

	t.Run("lines are counted across faults", func(t *testing.T) {
		t.Parallel()
		records, err := read(t, "x.csv", "id,name\n1,\"A\n\n2,\"B\nb\"\n3,C\n", source.Options{})
		require.NoError(t, err)
		var lines []int
		for _, r := range records {
			lines = append(lines, r.Line)
		}
		require.Equal(t, []int{2, 4, 6}, lines)
	})
}

// TestTableIsBounded reads a file of 64 MiB whose first row opens a quote, and one
// that is a single line.
func TestTableIsBounded(t *testing.T) {
	const rows = 1 << 20
	line := "1," + strings.Repeat("x", 61) + "\n"
	for title, content := range map[string]string{
		"a quote that is not closed": "id,name\n0,\"open\n" + strings.Repeat(line, rows) + "2,end\n",
		"a line without an end":      "id,name\n0," + strings.Repeat("x", rows*len(line)) + "\n2,end\n",
	} {
		t.Run(title, func(t *testing.T) {
			file, err := source.New("x.csv", strings.NewReader(content), source.Options{})
			require.NoError(t, err)
			var before, peak runtime.MemStats
			runtime.ReadMemStats(&before)
			faults, last := 0, ""
			for n := 0; ; n++ {
				record, err := file.Next()
				if err != nil {
					break
				}
				if faults += len(record.Faults); n == 0 {
					runtime.ReadMemStats(&peak)
				}
				last = record.Fields["name"]
			}
			require.Equal(t, 1, faults)
			require.Equal(t, "end", last)
			// All that was allocated, so that the garbage collector's timing does not count.
			require.Less(t, (peak.TotalAlloc-before.TotalAlloc)>>20, uint64(160), "MiB for the first row")
		})
	}
}
