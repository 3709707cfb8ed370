package source

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
)

// table reads CSV (RFC 4180) and tab-separated values, row by row. A row that is
// malformed costs no other: reading goes on in the line after its first one.
type table struct {
	lines *lines
	comma byte
	// hasQuoting tells that a quote at a field's beginning encloses it.
	hasQuoting bool
	// columns are lower case, in the header's order.
	columns []string
	// parser takes one row at a time from row.
	parser *csv.Reader
	row    bytes.Reader
}

func newTSV(in input) (reader, error) { return newTable(in, '\t', false) }

func newCSV(in input) (reader, error) {
	first := firstLine(in.head)
	// Excel writes and reads the separator in a line of its own.
	if after, ok := bytes.CutPrefix(bytes.ToLower(first), []byte("sep=")); ok && len(after) == 1 {
		t := &table{lines: newLines(in), comma: after[0], hasQuoting: true}
		if _, err := t.lines.next(); err != nil {
			return nil, fmt.Errorf("read the first line: %w", err)
		}
		return t, t.readHeader(in.opts.Columns)
	}
	comma := separator(first, len(in.opts.Columns))
	// Tab-separated values have no quoting (IANA): a quote is a quote, unless the
	// file is said to be CSV.
	return newTable(in, comma, comma != '\t' || in.opts.Format == CSV)
}

func newTable(in input, comma byte, hasQuoting bool) (*table, error) {
	t := &table{lines: newLines(in), comma: comma, hasQuoting: hasQuoting}
	return t, t.readHeader(in.opts.Columns)
}

func (t *table) readHeader(given []string) error {
	header := given
	if len(header) == 0 {
		values, line, err := t.read()
		if err != nil {
			return fmt.Errorf("read the header in line %d: %w", line, err)
		}
		header = values
	}
	for _, name := range header {
		t.columns = append(t.columns, strings.ToLower(strings.TrimSpace(name)))
	}
	return nil
}

// separator is the one that divides a line into so many columns, or else the
// most frequent outside of quotes.
func separator(line []byte, columns int) byte {
	counts := map[byte]int{}
	isQuoted := false
	for _, c := range line {
		if c == '"' {
			isQuoted = !isQuoted
		} else if !isQuoted {
			counts[c]++
		}
	}
	best := byte(',')
	for _, candidate := range []byte("\t;|,") {
		n := counts[candidate]
		if columns > 1 && n == columns-1 {
			return candidate
		}
		if n > counts[best] {
			best = candidate
		}
	}
	return best
}

func (t *table) next() (Record, error) {
	values, line, err := t.read()
	var fault *rowError
	switch {
	case errors.Is(err, io.EOF):
		return Record{}, io.EOF
	case errors.As(err, &fault):
		return Record{Line: line, Faults: []string{fault.Error()}}, nil
	case err != nil:
		return Record{}, fmt.Errorf("read the file near line %d: %w", line, err)
	}
	r := Record{Line: line, Fields: make(map[string]string, len(t.columns)), DecimalComma: t.comma != ','}
	if len(values) != len(t.columns) {
		r.Faults = append(r.Faults, fmt.Sprintf("it has %d fields, the header %d", len(values), len(t.columns)))
	}
	for i, name := range t.columns[:min(len(values), len(t.columns))] {
		// The first of several columns of one name is the one that is meant.
		if _, ok := r.Fields[name]; !ok {
			r.Fields[name] = strings.Clone(values[i])
		}
	}
	return r, nil
}

// rowError is a fault of one row.
type rowError struct{ reason string }

func (e *rowError) Error() string { return e.reason }

// read returns the fields of the next row, and the line in which it begins.
func (t *table) read() ([]string, int, error) {
	for {
		first, err := t.lines.next()
		switch {
		case err != nil:
			return nil, t.lines.number + 1, err
		case first.text == nil:
			return nil, first.number, &rowError{"the line is malformed: " + errTooLarge.Error()}
		case len(bytes.Trim(first.text, "\r\n")) == 0:
			continue
		case !t.hasQuoting:
			return strings.Split(strings.TrimRight(string(first.text), "\r\n"), string(t.comma)), first.number, nil
		}
		values, err := t.readQuoted(first)
		return values, first.number, err
	}
}

// readQuoted reads a row that begins with a line. It ends with that line unless a
// quote is open at its end.
func (t *table) readQuoted(first line) ([]string, error) {
	// A well-formed row has an even number of quotes. So a row takes in no more
	// lines than there are up to the next one with an odd number of them.
	isOpen := bytes.Count(first.text, []byte(`"`))%2 == 1
	row := first.text
	var more []line
	for isOpen {
		next, err := t.lines.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		more = append(more, next)
		if next.text == nil || len(row)+len(next.text) > maxRecordBytes {
			break
		}
		row = append(row, next.text...)
		isOpen = isOpen != (bytes.Count(next.text, []byte(`"`))%2 == 1)
	}
	values, err := t.parse(row)
	if err == nil {
		return values, nil
	}
	t.lines.unread(more)
	if errors.Is(err, csv.ErrQuote) {
		down, column, isOpen := faultyQuote(row, t.comma)
		fault := "is not closed"
		if !isOpen {
			fault = "is closed before its field ends"
		}
		err = fmt.Errorf("the quote that opens in line %d, column %d %s", first.number+down, column, fault)
	}
	return nil, &rowError{"the row is malformed: " + err.Error()}
}

// parse returns the fields of a row, which are valid until the next call.
func (t *table) parse(row []byte) ([]string, error) {
	t.row.Reset(row)
	if t.parser == nil {
		t.parser = csv.NewReader(&t.row)
		t.parser.Comma = rune(t.comma)
		t.parser.FieldsPerRecord = -1
		t.parser.ReuseRecord = true
	}
	values, err := t.parser.Read()
	if err != nil {
		// What is left of the row is in the parser's buffer.
		t.parser = nil
		var parse *csv.ParseError
		if errors.As(err, &parse) {
			err = parse.Err
		}
	}
	return values, err
}

// faultyQuote finds the quote that makes a row malformed: how many lines down it
// opens and in which column, from 1, and whether it is open at the row's end. If it
// is not, text follows the quote that closes it.
func faultyQuote(row []byte, comma byte) (down, column int, isOpen bool) {
	newlines, start, begins := 0, 0, true
	for i := 0; i < len(row); i++ {
		c := row[i]
		switch {
		case c == '"' && isOpen && i+1 < len(row) && row[i+1] == '"':
			i++
		case c == '"' && isOpen:
			if rest := bytes.TrimLeft(row[i+1:], "\r"); len(rest) > 0 && rest[0] != comma && rest[0] != '\n' {
				return down, column, false
			}
			isOpen = false
		case c == '"' && begins:
			down, column, isOpen = newlines, i-start+1, true
		}
		if c == '\n' {
			newlines, start = newlines+1, i+1
		}
		begins = c == comma || c == '\n'
	}
	return down, column, isOpen
}
