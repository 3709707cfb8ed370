package source

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/text/encoding/htmlindex"
)

// xmlTokens reads the tokens of an XML document, each of which is bounded.
type xmlTokens struct {
	decoder *xml.Decoder
	limit   *limited
	depth   int
}

// maxDepth bounds how deep elements are nested: the decoder keeps the open ones.
const maxDepth = 256

// newXML reads a document. Its declared encoding is undone unless the file's
// encoding is known otherwise.
func newXML(in input) *xmlTokens {
	x := &xmlTokens{limit: &limited{from: in, left: maxRecordBytes, err: errTooLarge}}
	x.decoder = xml.NewDecoder(x.limit)
	// KML has HTML in its descriptions, and its entities without declaring them.
	x.decoder.Entity = xml.HTMLEntity
	x.decoder.CharsetReader = func(name string, text io.Reader) (io.Reader, error) {
		if in.isDecoded {
			return text, nil
		}
		encoding, err := htmlindex.Get(name)
		if err != nil {
			return nil, fmt.Errorf("encoding %q is not known", name)
		}
		return encoding.NewDecoder().Reader(text), nil
	}
	return x
}

func (x *xmlTokens) line() int {
	line, _ := x.decoder.InputPos()
	return line
}

// next returns the next token. After the root's end it is io.EOF.
func (x *xmlTokens) next() (xml.Token, error) {
	x.limit.left = maxRecordBytes
	token, err := x.decoder.Token()
	if errors.Is(err, io.EOF) && x.depth == 0 {
		return nil, io.EOF
	}
	if err != nil {
		return nil, fmt.Errorf("the XML is malformed near line %d: %w", x.line(), err)
	}
	switch token.(type) {
	case xml.StartElement:
		if x.depth++; x.depth > maxDepth {
			return nil, fmt.Errorf("the XML is malformed near line %d: elements are nested deeper than %d", x.line(), maxDepth)
		}
	case xml.EndElement:
		x.depth--
	}
	return token, nil
}

// within calls take for each element within the one that was opened last, at any
// depth, with its names from there on and its attributes, and for each text. It
// returns after that element's end.
func (x *xmlTokens) within(open func(path []string, attributes []xml.Attr), text func(path []string, text string)) error {
	var path []string
	for {
		token, err := x.next()
		if err != nil {
			return err
		}
		switch token := token.(type) {
		case xml.StartElement:
			path = append(path, token.Name.Local)
			if open != nil {
				open(path, token.Attr)
			}
		case xml.EndElement:
			if len(path) == 0 {
				return nil
			}
			path = path[:len(path)-1]
		case xml.CharData:
			if text != nil && len(path) > 0 {
				text(path, string(token))
			}
		}
	}
}

func attribute(attributes []xml.Attr, name string) string {
	for _, a := range attributes {
		if a.Name.Local == name {
			return strings.TrimSpace(a.Value)
		}
	}
	return ""
}

// rootElement is the lower-cased name of the root of an XML document, empty if a
// text is something else.
func rootElement(head []byte) string {
	if !bytes.HasPrefix(trimLeft(head), []byte("<")) {
		return ""
	}
	decoder := xml.NewDecoder(bytes.NewReader(head))
	decoder.Strict = false
	decoder.CharsetReader = func(_ string, text io.Reader) (io.Reader, error) { return text, nil }
	for {
		token, err := decoder.Token()
		if err != nil {
			return ""
		}
		if root, ok := token.(xml.StartElement); ok {
			return strings.ToLower(root.Name.Local)
		}
	}
}

// texts collects the texts of a record's elements, bounded.
type texts struct {
	fields map[string]string
	size   int
}

// add appends a text to a field.
func (t *texts) add(name, text string) {
	if t.size += len(text); t.size <= maxRecordBytes {
		t.fields[strings.ToLower(name)] += text
	}
}

// end trims all fields, and says what is wrong with them.
func (t *texts) end() (faults []string) {
	for name, text := range t.fields {
		t.fields[name] = strings.TrimSpace(text)
	}
	if t.size > maxRecordBytes {
		return []string{errTooLarge.Error()}
	}
	return nil
}
