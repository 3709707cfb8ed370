package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func TestVisible(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                              "",
		"Żaba, 山 and 🐸":                 "Żaba, 山 and 🐸",
		`a \ and "quotes"`:              `a \ and "quotes"`,
		"\x1b]0;title\a\x1b[31mred":     `\x1b]0;title\a\x1b[31mred`,
		"one\ntwo\r\n\tthree":           `one\ntwo\r\n\tthree`,
		"\u009b31m and \x7f":            `\u009b31m and \x7f`,
		"\u202eevil\u2066 \u2028":       `\u202eevil\u2066 \u2028`,
		"a\u00a0b\u200bc\ufeff":         `a\u00a0b\u200bc\ufeff`,
		"\xff\xfe and \xed\xa0\x80":     `\xff\xfe and \xed\xa0\x80`,
		"the replacement \ufffd itself": "the replacement \ufffd itself",
		"\U000e0041":                    `\U000e0041`,
	} {
		require.Equal(t, want, visible(text))
	}
}

type named string

func TestPrintedArgumentsAreVisible(t *testing.T) {
	t.Parallel()
	const evil = "x\x1b[2J\ny"
	const harmless = `x\x1b[2J\ny`
	id := uuid.New()
	for _, test := range []struct {
		format string
		arg    any
		want   string
	}{
		{"%s", evil, harmless},
		{"%v", evil, harmless},
		{"%s", named(evil), harmless},
		{"%s", errors.New(evil), harmless},
		{"%s", fmt.Errorf("%w", errors.New(evil)), harmless},
		{"%s", bytes.NewBufferString(evil), harmless},
		{"%v", []string{evil}, "[" + harmless + "]"},
		{"%v", struct{ Name string }{evil}, "{" + harmless + "}"},
		{"%v", &struct{ Name string }{evil}, "&{" + harmless + "}"},
		{"%q", "x\x1b", `"x\\x1b"`},
		{"%s", id, id.String()},
		{"%s", time.Second, "1s"},
		{"%d", 7, "7"},
		{"%d", int64(7), "7"},
		{"%5.1f", 1.25, "  1.2"},
		{"%t", true, "true"},
		{"%v", nil, "<nil>"},
	} {
		var b strings.Builder
		fprintf(&b, test.format+"\n", test.arg)
		require.Equal(t, test.want+"\n", b.String(), "%s of %T", test.format, test.arg)
	}
}

// What a log has of users is escaped, and stays JSON that says the same.
func TestJSONLogIsVisible(t *testing.T) {
	t.Parallel()
	const evil = "x\x1b[2J\u009b1m\u202e\x7f\U000e0041 Żaba 🐸\n"
	var b bytes.Buffer
	log := slog.New(slog.NewJSONHandler(jsonLog{&b}, nil))
	log.Info(evil, "name", evil)
	log.Info("plain")
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	require.Len(t, lines, 2)
	require.Equal(t, lines[0], visible(lines[0]), "nothing is hidden any more")
	require.Contains(t, lines[0], "Żaba 🐸")
	var record map[string]any
	require.NoError(t, json.Unmarshal([]byte(lines[0]), &record))
	require.Equal(t, evil, record["msg"])
	require.Equal(t, evil, record["name"])
}
