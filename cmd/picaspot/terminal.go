package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"reflect"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/term"
)

// This file is the only one that prints (forbidigo holds it). What commands print was
// in part written by users: comments of policies, names of landmarks, texts of errors.
// A terminal obeys the control characters in them, and a line break in them makes a
// line that looks like one of the command.

// stdout is where commands print their results, stderr everything else.
var stdout, stderr io.Writer = os.Stdout, os.Stderr

// printf prints to standard output as [fprintf] does.
func printf(format string, args ...any) { fprintf(stdout, format, args...) }

// warnf prints to standard error as [fprintf] does.
func warnf(format string, args ...any) { fprintf(stderr, format, args...) }

// fprintf formats as [fmt.Fprintf] does, with each argument that is a text made
// [visible]. The format is the command's own.
func fprintf(w io.Writer, format string, args ...any) {
	safe := make([]any, len(args))
	for i, arg := range args {
		safe[i] = visibleValue(arg)
	}
	fmt.Fprintf(w, format, safe...)
}

func visibleValue(arg any) any {
	switch v := arg.(type) {
	case nil:
		return nil
	case error:
		return visible(v.Error())
	case fmt.Stringer:
		return visible(v.String())
	}
	switch v := reflect.ValueOf(arg); v.Kind() { //nolint:exhaustive // All that can be a text is visible.
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Float32, reflect.Float64:
		return arg
	default:
		return visible(fmt.Sprint(arg))
	}
}

// printError prints an error, each line of it but the first one indented.
func printError(err error) {
	warnf("picaspot: ")
	for i, line := range strings.Split(err.Error(), "\n") {
		if i > 0 {
			warnf("  ")
		}
		warnf("%s\n", line)
	}
}

// printFile prints a file of text: as it is when it goes into a file or a pipe, and with
// its lines made visible when it goes to a terminal.
func printFile(text string) error {
	if file, ok := stdout.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		text = visibleLines(text)
	}
	_, err := io.WriteString(stdout, text)
	return err
}

// visible returns a text in which what is not printed as itself is written as Go writes
// it in a string: control characters of ASCII and Unicode (C0, C1), line breaks, marks
// that turn the direction of writing, invisible spaces, and bytes that are no UTF-8.
func visible(text string) string {
	if strings.IndexFunc(text, isHidden) < 0 && utf8.ValidString(text) {
		return text
	}
	var b strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		if r == utf8.RuneError && size == 1 || isHidden(r) {
			quoted := strconv.Quote(text[:size])
			b.WriteString(quoted[1 : len(quoted)-1])
		} else {
			b.WriteString(text[:size])
		}
		text = text[size:]
	}
	return b.String()
}

// visibleLines is [visible] for each line of a text.
func visibleLines(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = visible(line)
	}
	return strings.Join(lines, "\n")
}

// isHidden reports whether a character does something else than to show itself.
// [unicode.IsPrint] takes the ASCII space as the only space.
func isHidden(r rune) bool { return !unicode.IsPrint(r) }

// jsonLog writes a log of JSON, a line at a time, with what is hidden in its strings
// escaped (RFC 8259 section 7): encoding/json escapes the control characters of ASCII only.
type jsonLog struct{ w io.Writer }

// Write implements [io.Writer].
func (l jsonLog) Write(line []byte) (int, error) {
	text, newline := bytes.CutSuffix(line, []byte("\n"))
	if bytes.IndexFunc(text, isHidden) < 0 {
		return l.w.Write(line)
	}
	var b bytes.Buffer
	for _, r := range string(text) {
		switch {
		case !isHidden(r):
			b.WriteRune(r)
		case r > 0xFFFF:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	if newline {
		b.WriteByte('\n')
	}
	_, err := l.w.Write(b.Bytes())
	return len(line), err
}

// printJSON prints a value for other programs, indented. JSON escapes control characters.
func printJSON(value any) error {
	encoder := json.NewEncoder(stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}
