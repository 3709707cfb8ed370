package operation

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// maxJSONDepth bounds how deep values nest.
const maxJSONDepth = 64

// checkJSON tells what is wrong with a document that a lenient parser would
// take: more than one value, duplicate keys (which parsers read differently,
// RFC 8259, section 4), text that no database takes. It returns the empty string
// for a document that is fine.
func checkJSON(content []byte) string {
	if !utf8.Valid(content) {
		return "The JSON is not UTF-8."
	}
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.UseNumber()
	if err := checkValue(decoder, 0); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return "The JSON ends early."
		}
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return fmt.Sprintf("The JSON is malformed at byte %d.", syntax.Offset)
		}
		return err.Error()
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return "There is something behind the JSON value."
	}
	return ""
}

func checkValue(decoder *json.Decoder, depth int) error {
	if depth > maxJSONDepth {
		return fmt.Errorf("The JSON nests deeper than %d levels.", maxJSONDepth) //nolint:staticcheck,revive // It is shown as it stands.
	}
	token, err := decoder.Token()
	if err != nil {
		return err
	}
	switch t := token.(type) {
	case string:
		return checkText(t)
	case json.Delim:
		if t == '[' {
			for decoder.More() {
				if err := checkValue(decoder, depth+1); err != nil {
					return err
				}
			}
		} else if err := checkObject(decoder, depth); err != nil {
			return err
		}
		_, err := decoder.Token()
		return err
	default:
		return nil
	}
}

func checkObject(decoder *json.Decoder, depth int) error {
	seen := map[string]bool{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return err
		}
		key, _ := token.(string)
		if err := checkText(key); err != nil {
			return err
		}
		if seen[key] {
			return fmt.Errorf("The JSON has the key %q twice.", key) //nolint:staticcheck,revive // It is shown as it stands.
		}
		seen[key] = true
		if err := checkValue(decoder, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func checkText(s string) error {
	if strings.ContainsRune(s, 0) {
		return errors.New("The JSON has a NUL character in a text.") //nolint:staticcheck,revive // It is shown as it stands.
	}
	return nil
}
