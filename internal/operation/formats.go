package operation

import (
	"errors"
	"regexp"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"

	"github.com/picaspot/picaspot/internal/email"
	"github.com/picaspot/picaspot/internal/idempotency"
)

// formats are the string formats of the contract. They belong to a validation
// and not to the process, so that nothing else that uses the validator, as the
// generated client, sees them. What a wrong value reads is in [formatNames].
var formats = openapi3.WithStringFormatValidators(map[string]openapi3.StringFormatValidator{
	"uuid":            openapi3.NewCallbackValidator(checkUUID),
	"date-time":       openapi3.NewCallbackValidator(checkTime),
	"email":           openapi3.NewCallbackValidator(email.Check),
	"idempotency-key": openapi3.NewCallbackValidator(checkIdempotencyKey),
})

var formatNames = map[string]string{
	"uuid":            "A UUID as 01932c07-209c-7f7e-8d0a-7e1b5f1f0c11 is expected.",
	"date-time":       "A time as 2026-11-01T09:30:00Z is expected (RFC 3339).",
	"email":           "An e-mail address as ada@example.org is expected.",
	"idempotency-key": idempotency.Expected,
}

var errFormat = errors.New("not of the format")

// checkUUID takes UUIDs of every version, in their one usual form
// (RFC 9562, section 4); the validator's own pattern knows no version 7.
func checkUUID(text string) error {
	if len(text) != 36 {
		return errFormat
	}
	return uuid.Validate(text)
}

func checkIdempotencyKey(text string) error {
	if _, ok := idempotency.ParseKey(text); !ok {
		return errFormat
	}
	return nil
}

// timeForm is the grammar of RFC 3339, section 5.6, to which package time is
// lenient (one digit of an hour, a comma; Go issue 54580).
var timeForm = regexp.MustCompile(openapi3.FormatOfStringDateTime)

// ParseTime reads a real time whose year, in UTC, has the four digits to be
// written down again. T and Z may be in lower case, and a leap second, which comes at the
// end of a month in UTC, is the first second of the next one (RFC 3339, section 5.6 and
// appendix D).
func ParseTime(text string) (time.Time, error) {
	text = strings.ToUpper(text)
	isLeap := len(text) > secondsEnd && text[secondsEnd-2:secondsEnd] == "60"
	if isLeap {
		text = text[:secondsEnd-2] + "59" + text[secondsEnd:]
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil || !timeForm.MatchString(text) {
		return time.Time{}, errFormat
	}
	if isLeap {
		at = at.Add(time.Second)
		if utc := at.UTC(); utc.Day() != 1 || utc.Hour() != 0 || utc.Minute() != 0 || utc.Second() != 0 {
			return time.Time{}, errFormat
		}
	}
	if year := at.UTC().Year(); year < 1 || year > 9999 {
		return time.Time{}, errFormat
	}
	return at, nil
}

// secondsEnd is where the seconds of a time end.
const secondsEnd = len("2006-01-02T15:04:05")

func checkTime(text string) error {
	_, err := ParseTime(text)
	return err
}
