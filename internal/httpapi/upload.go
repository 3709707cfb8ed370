package httpapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/operation"
	"github.com/picaspot/picaspot/internal/storage"
)

// uuidLength is that of a UUID as RFC 9562 writes it; the library reads other forms too.
const uuidLength = 36

var errPhotoOrUpload = fault.New(fault.Unprocessable, "photo_or_upload", "Send a photo, or the upload_id of one, but not both.").
	With(fault.Field{Pointer: "/upload_id", Code: "photo_or_upload", Message: "There is a photo as well."})

// maxFieldBytes bounds a field of a form that is not a file.
const maxFieldBytes = 1024

// spooled is a file that came with a request, kept on disk while it is looked at
// so that many large ones at once do not fill the memory.
type spooled struct {
	*os.File
	size int64
}

// spool writes a body to a temporary file that has no name any more: it is gone
// once it is closed, also when the process dies. A disk that takes no file is a
// [fault.Unavailable]; other errors are those of the body.
func spool(body io.Reader) (*spooled, error) {
	file, err := os.CreateTemp("", "picaspot-upload-")
	if err != nil {
		return nil, spoolError(err)
	}
	if err := os.Remove(file.Name()); err != nil {
		return nil, spoolError(errors.Join(err, file.Close()))
	}
	size, err := io.Copy(file, body)
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, spoolError(errors.Join(err, file.Close()))
	}
	return &spooled{File: file, size: size}, nil
}

// spoolError tells a disk that can't be written from a body that can't be read.
func spoolError(err error) error {
	err = fmt.Errorf("spool the upload: %w", err)
	var disk *os.PathError
	if errors.As(err, &disk) {
		return storage.Unavailable(err)
	}
	return err
}

// attemptForm is the form of an attempt, read part by part as it arrives.
type attemptForm struct {
	// photo is the file; uploadID names it where it was uploaded before.
	photo          *spooled
	uploadID       *uuid.UUID
	location       geo.Point
	accuracyMeters *float64
	capturedAt     *time.Time
}

func (f *attemptForm) close() {
	if f.photo != nil {
		_ = f.photo.Close() // Nothing reads it any more, and it has no name.
	}
}

// readAttemptForm reads a form and names all its faults at once. The caller
// closes the form, also after an error.
func readAttemptForm(parts *multipart.Reader) (*attemptForm, error) {
	form := &attemptForm{}
	values := map[string]string{}
	var faults []fault.Field
	add := func(name, code, message string) {
		faults = append(faults, fault.Field{Pointer: "/" + name, Code: code, Message: message})
	}
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return form, malformedForm(err)
		}
		name := part.FormName()
		_, repeated := values[name]
		switch {
		case repeated || name == "photo" && form.photo != nil:
			add(name, "repeated", "The field is there more than once.")
		case name == "photo":
			if form.photo, err = spool(part); err != nil {
				return form, malformedForm(err)
			}
		case name == "latitude" || name == "longitude" || name == "accuracy_meters" || name == "captured_at" || name == "upload_id":
			value, err := io.ReadAll(io.LimitReader(part, maxFieldBytes+1))
			if err != nil {
				return form, malformedForm(err)
			}
			// Cut off, it could be another value that is fine.
			if len(value) > maxFieldBytes {
				add(name, "maxLength", fmt.Sprintf("The field is longer than %d bytes.", maxFieldBytes))
				return form, invalidRequest(faults)
			}
			values[name] = string(value)
		default:
			add(strings.ToValidUTF8(name, "?"), "unknown", "There is no such field.")
		}
	}
	if text, there := values["upload_id"]; there {
		id, err := uuid.Parse(text)
		if err != nil || len(text) != uuidLength {
			add("upload_id", "format", "The id of an upload is expected, a UUID.")
		}
		form.uploadID = &id
	}
	if form.uploadID == nil && (form.photo == nil || form.photo.size == 0) {
		add("photo", "required", "A photo is missing, or the upload_id of one.")
	}
	number := func(name string, low, high float64, required bool) *float64 {
		text, there := values[name]
		if !there {
			if required {
				add(name, "required", "The field is missing.")
			}
			return nil
		}
		value, err := strconv.ParseFloat(text, 64)
		if err != nil || !(value >= low && value <= high) {
			add(name, "range", fmt.Sprintf("A number from %g to %g is expected.", low, high))
			return nil
		}
		return &value
	}
	latitude := number("latitude", -90, 90, true)
	longitude := number("longitude", -180, 180, true)
	form.accuracyMeters = number("accuracy_meters", 0, 100_000, false)
	if text, there := values["captured_at"]; there {
		at, err := operation.ParseTime(text)
		if err != nil {
			add("captured_at", "format", "A time as in 2026-11-01T09:30:00Z is expected.")
		} else {
			at = at.UTC().Truncate(time.Microsecond)
			form.capturedAt = &at
		}
	}
	if len(faults) > 0 {
		return form, invalidRequest(faults)
	}
	if form.uploadID != nil && form.photo != nil {
		return form, errPhotoOrUpload
	}
	form.location = geo.Point{Latitude: *latitude, Longitude: *longitude}
	return form, nil
}

func invalidRequest(faults []fault.Field) error {
	message := "The request has 1 fault."
	if len(faults) > 1 {
		message = fmt.Sprintf("The request has %d faults.", len(faults))
	}
	return fault.New(fault.Invalid, "invalid_request", message).With(faults...)
}

// malformedForm tells a form that can't be read from one that is too large or
// late, and from a disk that can't be written.
func malformedForm(err error) error {
	var path *os.PathError
	var tooLarge *http.MaxBytesError
	if errors.As(err, &path) || errors.As(err, &tooLarge) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fault.New(fault.Invalid, "form_malformed", "The form is malformed or ended early.").Wrap(err)
}
