package source

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
)

// table reads CSV (RFC 4180) and tab-separated values.
type table struct {
	reader  *csv.Reader
	columns []string
}

func newTSV(in input) (reader, error) { return newTable(in, '\t') }

func newCSV(in input) (reader, error) { return newTable(in, separator(in.head)) }

func newTable(in input, comma rune) (*table, error) {
	t := &table{reader: csv.NewReader(in)}
	t.reader.Comma = comma
	t.reader.FieldsPerRecord = -1
	t.reader.ReuseRecord = true
	// Tab-separated files are written without quoting: a quote is a quote.
	t.reader.LazyQuotes = comma == '\t'
	header := in.opts.Columns
	if len(header) == 0 {
		first, err := t.reader.Read()
		if err != nil {
			return nil, fmt.Errorf("read the header: %w", err)
		}
		header = first
	}
	for _, name := range header {
		t.columns = append(t.columns, strings.ToLower(strings.TrimSpace(name)))
	}
	return t, nil
}

// separator is the likeliest of the first line.
func separator(head []byte) rune {
	line, _, _ := bytes.Cut(head, []byte("\n"))
	best, most := ',', 0
	for _, candidate := range ",;\t" {
		if n := bytes.Count(line, []byte(string(candidate))); n > most {
			best, most = candidate, n
		}
	}
	return best
}

func (t *table) next() (Record, error) {
	values, err := t.reader.Read()
	var parse *csv.ParseError
	switch {
	case errors.Is(err, io.EOF):
		return Record{}, io.EOF
	case errors.As(err, &parse):
		return Record{Line: parse.StartLine, Faults: []string{"the row is malformed: " + parse.Err.Error()}}, nil
	case err != nil:
		return Record{}, fmt.Errorf("read the file: %w", err)
	}
	line, _ := t.reader.FieldPos(0)
	r := Record{Line: line, Fields: map[string]string{}}
	if len(values) != len(t.columns) {
		r.Faults = append(r.Faults, fmt.Sprintf("it has %d fields, the header %d", len(values), len(t.columns)))
	}
	for i, name := range t.columns[:min(len(values), len(t.columns))] {
		r.Fields[name] = strings.Clone(values[i])
	}
	return r, nil
}
