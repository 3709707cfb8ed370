package page

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/internal/fault"
)

// A cursor is base64url, without padding, of
//
//	version (1 byte) | fingerprint (8) | keys (a JSON array) | MAC (16)
//
// The MAC is HMAC-SHA256 over all before it, cut to 16 bytes as RFC 2104,
// section 5, allows. It keeps clients from writing cursors of their own, which
// would make the keys an input to the database that nobody has checked.
const (
	cursorVersion = 1
	macSize       = 16
	// maxCursor bounds what is decoded: a text key of 200 characters, each of
	// which JSON has to escape, fits.
	maxCursor    = 2048
	minKeyLength = 32
)

var (
	errInvalidCursor = fault.New(fault.Invalid, "invalid_cursor", "The cursor is not one of ours.").With(fault.Field{
		Parameter: "cursor", Code: "invalid_cursor",
		Message: "Use next_cursor exactly as an earlier answer gave it, or an empty cursor to start.",
	})
	errMismatch = fault.New(fault.Invalid, "cursor_mismatch", "The cursor belongs to another query.").With(fault.Field{
		Parameter: "cursor", Code: "cursor_mismatch",
		Message: "A cursor goes on with the list, filters and sort that it came from. Keep them, or start with an empty cursor.",
	})
)

// fingerprint stands for the list, its filters and its sort.
type fingerprint [8]byte

func newFingerprint(list, sortBy string, order Order, filters any) (fingerprint, error) {
	text, err := json.Marshal([]any{list, sortBy, order, filters})
	if err != nil {
		return fingerprint{}, fmt.Errorf("filters of a list: %w", err)
	}
	sum := sha256.Sum256(text)
	return fingerprint(sum[:8]), nil
}

// Codec signs and reads cursors. It may be used concurrently.
type Codec struct{ key []byte }

// NewCodec makes a codec. The key is secret, the same on every replica, used for
// nothing else, and 32 bytes or longer. With another key, cursors that are on
// their way become invalid.
func NewCodec(key []byte) (*Codec, error) {
	if len(key) < minKeyLength {
		return nil, fmt.Errorf("the key of cursors has %d bytes, it needs %d", len(key), minKeyLength)
	}
	return &Codec{key: bytes.Clone(key)}, nil
}

func (c *Codec) mac(body []byte) []byte {
	h := hmac.New(sha256.New, c.key)
	// Nothing that is signed with the same key for another purpose begins so.
	h.Write([]byte("picaspot cursor\x00"))
	h.Write(body)
	return h.Sum(nil)[:macSize]
}

func (c *Codec) encode(print fingerprint, types []Type, keys []any) (string, error) {
	if len(keys) != len(types) {
		return "", fmt.Errorf("cursor: %d keys for %d columns", len(keys), len(types))
	}
	values := make([][]byte, len(keys))
	for i, key := range keys {
		value, err := encodeKey(types[i], key)
		if err != nil {
			return "", fmt.Errorf("cursor: key %d: %w", i+1, err)
		}
		values[i] = value
	}
	body := append([]byte{cursorVersion}, print[:]...)
	body = append(body, '[')
	body = append(body, bytes.Join(values, []byte{','})...)
	body = append(body, ']')
	body = append(body, c.mac(body)...)
	cursor := base64.RawURLEncoding.EncodeToString(body)
	if len(cursor) > maxCursor {
		return "", fmt.Errorf("cursor: %d characters, more than %d", len(cursor), maxCursor)
	}
	return cursor, nil
}

func encodeKey(t Type, key any) ([]byte, error) {
	switch v := key.(type) {
	case string:
		// JSON would replace what is not UTF-8, and the key would be another.
		if t == Text && utf8.ValidString(v) {
			var b bytes.Buffer
			encoder := json.NewEncoder(&b)
			encoder.SetEscapeHTML(false)
			err := encoder.Encode(v)
			return bytes.TrimSuffix(b.Bytes(), []byte{'\n'}), err
		}
	case int:
		if t == Integer {
			return strconv.AppendInt(nil, int64(v), 10), nil
		}
	case int64:
		if t == Integer {
			return strconv.AppendInt(nil, v, 10), nil
		}
	case float64:
		if t == Float && !math.IsNaN(v) && !math.IsInf(v, 0) {
			return strconv.AppendFloat(nil, v, 'g', -1, 64), nil
		}
	case time.Time:
		if t == Time {
			return v.UTC().MarshalJSON()
		}
	case uuid.UUID:
		if t == UUID {
			return json.Marshal(v)
		}
	}
	return nil, fmt.Errorf("%T does not fit the column's type, or can't be kept exactly", key)
}

// decode returns the keys of a cursor: string, int64, float64, time.Time or
// uuid.UUID, each as its column's type says.
func (c *Codec) decode(cursor string, print fingerprint, types []Type) ([]any, error) {
	// One cursor has one spelling: strict about unused bits, and no line breaks,
	// which encoding/base64 skips even then.
	if len(cursor) > maxCursor || strings.ContainsAny(cursor, "\r\n") {
		return nil, errInvalidCursor
	}
	body, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil {
		return nil, errInvalidCursor.Wrap(err)
	}
	head := 1 + len(print)
	if len(body) < head+macSize {
		return nil, errInvalidCursor
	}
	body, mac := body[:len(body)-macSize], body[len(body)-macSize:]
	if !hmac.Equal(mac, c.mac(body)) || body[0] != cursorVersion {
		return nil, errInvalidCursor
	}
	if fingerprint(body[1:head]) != print {
		return nil, errMismatch
	}
	keys, err := decodeKeys(body[head:], types)
	if err != nil {
		// We signed it, so the list's columns have changed since.
		return nil, errMismatch.Wrap(err)
	}
	return keys, nil
}

func decodeKeys(text []byte, types []Type) ([]any, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var values []any
	if err := decoder.Decode(&values); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the keys")
	}
	if len(values) != len(types) {
		return nil, fmt.Errorf("%d keys for %d columns", len(values), len(types))
	}
	for i, value := range values {
		key, err := decodeKey(types[i], value)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i+1, err)
		}
		values[i] = key
	}
	return values, nil
}

func decodeKey(t Type, value any) (any, error) {
	switch v := value.(type) {
	case string:
		switch t {
		case Text:
			return v, nil
		case Time:
			return time.Parse(time.RFC3339Nano, v)
		case UUID:
			return uuid.Parse(v)
		}
	case json.Number:
		switch t {
		case Integer:
			return strconv.ParseInt(v.String(), 10, 64)
		case Float:
			return strconv.ParseFloat(v.String(), 64)
		}
	}
	return nil, fmt.Errorf("%T does not fit the column's type", value)
}
