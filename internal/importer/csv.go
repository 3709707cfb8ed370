package importer

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
)

type csvRows struct {
	reader  *csv.Reader
	columns []string
	mapping Mapping
}

func newCSV(from io.Reader, head []byte, format Format, opts SourceOptions) (*csvRows, error) {
	c := &csvRows{reader: csv.NewReader(from), mapping: opts.Mapping}
	c.reader.Comma = separator(head, format)
	c.reader.FieldsPerRecord = -1
	c.reader.ReuseRecord = true
	// Tab-separated files are written without quoting: a quote is a quote.
	c.reader.LazyQuotes = c.reader.Comma == '\t'
	header := opts.Columns
	if len(header) == 0 {
		first, err := c.reader.Read()
		if err != nil {
			return nil, fmt.Errorf("read the header: %w", err)
		}
		header = first
	}
	for _, name := range header {
		c.columns = append(c.columns, strings.ToLower(strings.TrimSpace(name)))
	}
	return c, nil
}

// separator is the likeliest of the first line.
func separator(head []byte, format Format) rune {
	if format == TSV {
		return '\t'
	}
	line, _, _ := bytes.Cut(head, []byte("\n"))
	best, most := ',', 0
	for _, candidate := range ",;\t" {
		if n := bytes.Count(line, []byte(string(candidate))); n > most {
			best, most = candidate, n
		}
	}
	return best
}

func (c *csvRows) next() (Row, *Rejected, error) {
	record, err := c.reader.Read()
	var parse *csv.ParseError
	switch {
	case errors.Is(err, io.EOF):
		return Row{}, nil, io.EOF
	case errors.As(err, &parse):
		return Row{}, &Rejected{Line: parse.StartLine, Reasons: []string{"the row is malformed: " + parse.Err.Error()}}, nil
	case err != nil:
		return Row{}, nil, fmt.Errorf("read the file: %w", err)
	}
	line, _ := c.reader.FieldPos(0)
	var reasons []string
	if len(record) != len(c.columns) {
		reasons = append(reasons, fmt.Sprintf("it has %d fields, the header %d", len(record), len(c.columns)))
	}
	values := fields{}
	for i, name := range c.columns[:min(len(record), len(c.columns))] {
		values[name] = strings.Clone(record[i])
	}
	row, reasons := c.mapping.row(line, values, "", nil, reasons)
	if len(reasons) > 0 {
		return Row{}, &Rejected{Line: line, Name: strings.ToValidUTF8(row.Name, "?"), Reasons: reasons}, nil
	}
	return row, nil, nil
}
