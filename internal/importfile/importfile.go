// Package importfile has what an import keeps of how the file that was handed in is read,
// and where its rows go.
package importfile

// Options say how a file is read, and where its rows go.
type Options struct {
	// Name and Bytes are those of the file, which is removed at the end.
	Name      string `json:"name"`
	Bytes     int64  `json:"bytes"`
	Area      string `json:"area"`
	Namespace string `json:"namespace"`
	// Rooted tells that no area was given: paths of areas begin at the top.
	Rooted   bool     `json:"rooted,omitempty"`
	Strict   bool     `json:"strict,omitempty"`
	DryRun   bool     `json:"dry_run,omitempty"`
	Format   string   `json:"format,omitempty"`
	Entry    string   `json:"entry,omitempty"`
	Columns  []string `json:"columns,omitempty"`
	Encoding string   `json:"encoding,omitempty"`
	Polygons bool     `json:"polygons,omitempty"`
	// Fields are the columns of a name that is not usual, by what they mean: the fields of
	// the form without _field, as id, name and difficulty.
	Fields map[string]string `json:"fields,omitempty"`
}
