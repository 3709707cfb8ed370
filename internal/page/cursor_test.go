package page

import (
	"bytes"
	"encoding/base64"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/fault"
)

func TestNewCodecNeedsALongKey(t *testing.T) {
	t.Parallel()
	_, err := NewCodec(make([]byte, 31))
	require.Error(t, err)
}

func TestCodecKeepsItsOwnKey(t *testing.T) {
	t.Parallel()
	key := bytes.Repeat([]byte{7}, 32)
	c, err := NewCodec(key)
	require.NoError(t, err)
	clear(key)
	cursor, err := c.encode(fingerprint{}, []Type{Integer}, []any{1})
	require.NoError(t, err)
	_, err = codec(t).decode(cursor, fingerprint{}, []Type{Integer})
	require.NoError(t, err)
}

func TestCursorKeepsKeysExactly(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		column Type
		key    any
		back   any
	}{
		"text":             {Text, "Łódź \"<&>\\ \u2028 日本 \x00", nil},
		"empty text":       {Text, "", nil},
		"int":              {Integer, 42, int64(42)},
		"smallest int":     {Integer, int64(math.MinInt64), nil},
		"largest int":      {Integer, int64(math.MaxInt64), nil},
		"0.1":              {Float, 0.1, nil},
		"a third":          {Float, 1.0 / 3, nil},
		"largest float":    {Float, math.MaxFloat64, nil},
		"smallest float":   {Float, math.SmallestNonzeroFloat64, nil},
		"float as int":     {Float, 1e20, nil},
		"time":             {Time, time.Date(2026, 11, 1, 9, 30, 0, 123456789, time.UTC), nil},
		"time in a zone":   {Time, time.Date(2026, 11, 1, 9, 30, 0, 0, time.FixedZone("", -3600)), time.Date(2026, 11, 1, 10, 30, 0, 0, time.UTC)},
		"time before AD":   {Time, time.Time{}, nil},
		"uuid":             {UUID, uuid.MustParse("01932c07-209c-7f7e-8d0a-7e1b5f1f0c11"), nil},
		"longest of names": {Text, strings.Repeat("\u0001", 200), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tc.back == nil {
				tc.back = tc.key
			}
			cursor, err := codec(t).encode(fingerprint{1}, []Type{tc.column, UUID}, []any{tc.key, uuid.Max})
			require.NoError(t, err)
			require.LessOrEqual(t, len(cursor), maxCursor)
			require.Regexp(t, `^[A-Za-z0-9_-]+$`, cursor)
			keys, err := codec(t).decode(cursor, fingerprint{1}, []Type{tc.column, UUID})
			require.NoError(t, err)
			require.Equal(t, []any{tc.back, uuid.Max}, keys)
		})
	}
	t.Run("negative zero", func(t *testing.T) {
		t.Parallel()
		cursor, err := codec(t).encode(fingerprint{}, []Type{Float}, []any{math.Copysign(0, -1)})
		require.NoError(t, err)
		keys, err := codec(t).decode(cursor, fingerprint{}, []Type{Float})
		require.NoError(t, err)
		require.True(t, math.Signbit(keys[0].(float64)))
	})
}

func TestCursorRefusesKeysThatItCantKeep(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		column Type
		key    any
	}{
		"nil":                  {Text, nil},
		"not UTF-8":            {Text, "\xff"},
		"not a number":         {Float, math.NaN()},
		"infinity":             {Float, math.Inf(1)},
		"year 10000":           {Time, time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
		"text for a number":    {Integer, "1"},
		"int for a float":      {Float, 1},
		"int64 for a text":     {Text, int64(1)},
		"float for an int":     {Integer, 1.0},
		"time for a uuid":      {UUID, time.Now()},
		"uuid for a time":      {Time, uuid.New()},
		"a type we don't have": {Text, []byte("x")},
		"too long":             {Text, strings.Repeat("x", maxCursor)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := codec(t).encode(fingerprint{}, []Type{tc.column}, []any{tc.key})
			require.Error(t, err)
		})
	}
	_, err := codec(t).encode(fingerprint{}, []Type{Text}, nil)
	require.Error(t, err, "fewer keys than columns")
}

func TestCursorOfAnotherQueryIsAMismatch(t *testing.T) {
	t.Parallel()
	c := codec(t)
	q := func(l List, sortBy string, order Order, f any, cursor string) error {
		_, err := l.Resolve(Params{SortBy: sortBy, SortOrder: order, Cursor: &cursor}, c, f)
		return err
	}
	print, err := newFingerprint("places", "name", Asc, filters{Search: "x"})
	require.NoError(t, err)
	cursor, err := c.encode(print, []Type{Text, UUID}, []any{"n", uuid.New()})
	require.NoError(t, err)
	require.NoError(t, q(places, "name", Asc, filters{Search: "x"}, cursor))
	require.NoError(t, q(places, "name", "", filters{Search: "x"}, cursor), "the default said aloud is the same query")

	other := places
	other.Name = "others"
	changed := places
	changed.SortBy = map[string]Column{"name": {Name: "name", Type: Integer}}
	for name, err := range map[string]error{
		"other filter":        q(places, "name", Asc, filters{Search: "y"}, cursor),
		"one more filter":     q(places, "name", Asc, filters{Search: "x", Verified: ptr(true)}, cursor),
		"other order":         q(places, "name", Desc, filters{Search: "x"}, cursor),
		"other column":        q(places, "created_at", Asc, filters{Search: "x"}, cursor),
		"other list":          q(other, "name", Asc, filters{Search: "x"}, cursor),
		"a column's new type": q(changed, "name", Asc, filters{Search: "x"}, cursor),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.ErrorIs(t, err, errMismatch)
			var f *fault.Error
			require.ErrorAs(t, err, &f)
			require.Equal(t, fault.Invalid, f.Kind)
			require.Equal(t, "cursor_mismatch", f.Code)
			require.Equal(t, "cursor", f.Fields[0].Parameter)
		})
	}
}

func TestForgedCursorsAreRefused(t *testing.T) {
	t.Parallel()
	c := codec(t)
	good, err := c.encode(fingerprint{1}, []Type{Integer}, []any{1})
	require.NoError(t, err)
	raw, err := base64.RawURLEncoding.DecodeString(good)
	require.NoError(t, err)
	for i := range raw {
		forged := bytes.Clone(raw)
		forged[i] ^= 1
		_, err := c.decode(base64.RawURLEncoding.EncodeToString(forged), fingerprint{1}, []Type{Integer})
		require.ErrorIs(t, err, errInvalidCursor, "byte %d", i)
	}
	otherKey, err := NewCodec(bytes.Repeat([]byte{8}, 32))
	require.NoError(t, err)
	foreign, err := otherKey.encode(fingerprint{1}, []Type{Integer}, []any{1})
	require.NoError(t, err)
	for name, cursor := range map[string]string{
		"another key's":   foreign,
		"padded":          good + "=",
		"cut":             good[:len(good)-1],
		"standard base64": "+/+/" + good,
		"line break":      good[:4] + "\n" + good[4:],
		"short":           "AQ",
		"text":            "page 2, please",
		"long":            strings.Repeat("A", maxCursor+1),
	} {
		_, err := c.decode(cursor, fingerprint{1}, []Type{Integer})
		require.ErrorIs(t, err, errInvalidCursor, name)
	}
}

// signed wraps any body as encode does, so that what stands behind the
// signature is tested too.
func signed(c *Codec, body []byte) string {
	return base64.RawURLEncoding.EncodeToString(append(bytes.Clone(body), c.mac(body)...))
}

func TestSignedCursorsOfAnotherShapeAreRefused(t *testing.T) {
	t.Parallel()
	c := codec(t)
	head := string(append([]byte{cursorVersion}, make([]byte, 8)...))
	for name, keys := range map[string]string{
		"nothing": "", "no array": `{}`, "no keys": `[]`, "two keys": `[1,2]`, "text": `["1"]`, "null": `[null]`,
		"a fraction": `[1.5]`, "64 bits exceeded": `[9223372036854775808]`, "more behind": `[1] 2`, "broken behind": `[1]]`,
	} {
		_, err := c.decode(signed(c, []byte(head+keys)), fingerprint{}, []Type{Integer})
		require.ErrorIs(t, err, errMismatch, name)
	}
	for _, column := range []Type{Time, UUID, Float} {
		_, err := c.decode(signed(c, []byte(head+`["x"]`)), fingerprint{}, []Type{column})
		require.ErrorIs(t, err, errMismatch)
	}
	_, err := c.decode(signed(c, []byte("\x02"+head[1:]+"[1]")), fingerprint{}, []Type{Integer})
	require.ErrorIs(t, err, errInvalidCursor, "a version to come")
}

// Whatever comes in, the decoder answers with a fault or with keys that it
// writes as the very same cursor.
func FuzzDecode(f *testing.F) {
	c := codec(f)
	types := []Type{Text, Integer, Float, Time, UUID}
	good, err := c.encode(fingerprint{}, types, []any{"name", 7, 0.1, time.Unix(1, 2), uuid.Nil})
	require.NoError(f, err)
	raw, err := base64.RawURLEncoding.DecodeString(good)
	require.NoError(f, err)
	f.Add(good, raw[9:len(raw)-macSize])
	f.Add("", []byte(`["a",1e3,-0,"2026-01-01T00:00:00+01:00","urn:uuid:01932c07-209c-7f7e-8d0a-7e1b5f1f0c11"]`))
	f.Add(strings.Repeat("A", 60), []byte("[[[["))
	f.Fuzz(func(t *testing.T, cursor string, keys []byte) {
		if got, err := c.decode(cursor, fingerprint{}, types); err == nil {
			again, err := c.encode(fingerprint{}, types, got)
			require.NoError(t, err)
			require.Equal(t, cursor, again)
		} else {
			require.Equal(t, fault.Invalid, fault.KindOf(err))
		}
		head := append([]byte{cursorVersion}, make([]byte, 8)...)
		got, err := c.decode(signed(c, append(head, keys...)), fingerprint{}, types)
		if err != nil {
			require.Equal(t, fault.Invalid, fault.KindOf(err))
			return
		}
		require.Len(t, got, len(types))
	})
}

func BenchmarkCursor(b *testing.B) {
	c := codec(b)
	types := []Type{Time, UUID}
	keys := []any{time.Now(), uuid.New()}
	cursor, err := c.encode(fingerprint{}, types, keys)
	require.NoError(b, err)
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = c.encode(fingerprint{}, types, keys)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = c.decode(cursor, fingerprint{}, types)
		}
	})
	b.Run("resolve", func(b *testing.B) {
		b.ReportAllocs()
		start := ""
		for b.Loop() {
			_, _ = places.Resolve(Params{Cursor: &start}, c, filters{})
		}
	})
}
