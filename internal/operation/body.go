package operation

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/picaspot/picaspot/internal/fault"
)

const (
	formType = "application/x-www-form-urlencoded"
	// csvType is text that its handler reads line by line.
	csvType = "text/csv"
	// partType is a part of a file (tus 1.0).
	partType = "application/offset+octet-stream"
)

// body is what the spec says of an operation's body.
type body struct {
	required bool
	types    []string
	// isUpload bodies are files or forms with files: they are looked at while
	// they stream, by their handler.
	isUpload bool
	// fields of a form; true for those that repeat.
	fields map[string]bool
}

func newBody(ref *openapi3.RequestBodyRef) (*body, error) {
	if ref == nil {
		return nil, nil //nolint:nilnil // No body is no body.
	}
	b := &body{required: ref.Value.Required}
	for contentType, media := range ref.Value.Content {
		b.types = append(b.types, contentType)
		switch {
		case strings.HasPrefix(contentType, "multipart/"), strings.HasPrefix(contentType, "image/"), contentType == partType:
			b.isUpload = true
		case media.Schema == nil || media.Schema.Value == nil:
			return nil, fmt.Errorf("has a body of %s without a schema", contentType)
		case isJSON(contentType), contentType == csvType:
		case contentType == formType:
			b.fields = map[string]bool{}
			for name, property := range media.Schema.Value.Properties {
				b.fields[name] = property.Value.Type.Is(openapi3.TypeArray)
			}
		default:
			return nil, fmt.Errorf("has a body of %s, which can't be validated", contentType)
		}
	}
	if b.isUpload && len(b.types) > 1 {
		return nil, errors.New("takes files beside other bodies: their limits differ")
	}
	slices.Sort(b.types)
	return b, nil
}

func isJSON(mediaType string) bool {
	return mediaType == "application/json" || strings.HasSuffix(mediaType, "+json")
}

func (b *body) accepts(mediaType string) bool {
	return slices.ContainsFunc(b.types, func(accepted string) bool {
		prefix, wildcard := strings.CutSuffix(accepted, "*")
		return accepted == mediaType || wildcard && len(mediaType) > len(prefix) && strings.HasPrefix(mediaType, prefix)
	})
}

// mediaType returns the media type of a request's body, or a
// [fault.UnsupportedMedia] that tells what is taken.
func (b *body) mediaType(h http.Header) (string, error) {
	for _, coding := range h.Values("Content-Encoding") {
		if !strings.EqualFold(strings.TrimSpace(coding), "identity") {
			return "", fault.New(fault.UnsupportedMedia, "unsupported_media_type", "Send the body without a Content-Encoding.")
		}
	}
	refused := fault.New(fault.UnsupportedMedia, "unsupported_media_type", "Send "+strings.Join(b.types, " or ")+".")
	declared := h.Values("Content-Type")
	if len(declared) != 1 {
		return "", refused
	}
	mediaType, params, err := mime.ParseMediaType(declared[0])
	if err != nil || !b.accepts(mediaType) {
		return "", refused
	}
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return "", fault.New(fault.UnsupportedMedia, "unsupported_media_type", "Send the body in UTF-8.")
	}
	if strings.HasPrefix(mediaType, "multipart/") && params["boundary"] == "" {
		return "", fault.New(fault.UnsupportedMedia, "unsupported_media_type", "Send "+mediaType+" with its boundary parameter.")
	}
	return mediaType, nil
}

// readBody checks of a body what the spec's schema can't: its length, its
// content type, its encoding, and that JSON is one value without duplicate keys.
// It tells whether the schema is to be checked. The request has its body back
// then; one that is uploaded is not read. Faults that leave nothing else to say
// are returned as an error.
func (rt *Router) readBody(w http.ResponseWriter, r *http.Request, op *Operation, found *faults) (check bool, err error) {
	if r.Body == nil { // Only requests that did not come over a network.
		r.Body = http.NoBody
	}
	if op.body == nil {
		if hasBody(r) {
			found.add(fault.Field{Code: "unexpected", Message: "This operation takes no body."})
		}
		return false, nil
	}
	if r.ContentLength == 0 {
		if op.body.required {
			found.add(fault.Field{Code: "required", Message: "The body is missing. Send " + strings.Join(op.body.types, " or ") + "."})
		}
		return false, nil
	}
	mediaType, err := op.body.mediaType(r.Header)
	if err != nil {
		return false, err
	}
	limit := rt.config.MaxBody
	if op.body.isUpload {
		limit = cmp.Or(rt.config.MaxBodies[op.ID], rt.config.MaxUpload)
	}
	if r.ContentLength > limit {
		return false, &http.MaxBytesError{Limit: limit}
	}
	r.Body = &received{ReadCloser: http.MaxBytesReader(w, r.Body, limit), request: r}
	if op.body.isUpload {
		return false, nil
	}
	content, err := readAll(r)
	if err != nil {
		return false, err
	}
	switch {
	case mediaType == csvType:
		if !isText(string(content)) {
			found.add(fault.Field{Code: "encoding", Message: notText})
		}
	case mediaType == formType:
		content = op.body.checkForm(content, found)
	case len(content) > 0:
		content = checkJSON(content, found)
	}
	r.ContentLength = int64(len(content))
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }
	r.Body = io.NopCloser(bytes.NewReader(content))
	return content != nil && mediaType != csvType, nil
}

// checkForm returns of a form what the schema can be held against: all of it
// unless there are faults, and nil when nothing is left.
func (b *body) checkForm(content []byte, found *faults) []byte {
	before := len(found.fields)
	values := checkForm(string(content), b.fields, "There is no such field.", found, inBody)
	switch {
	case len(found.fields) == before:
		return content
	case len(values) == 0:
		return nil
	default:
		return []byte(values.Encode())
	}
}

// hasBody tells whether there is at least a byte; only a chunked body has to be
// asked.
func hasBody(r *http.Request) bool {
	if r.ContentLength >= 0 {
		return r.ContentLength > 0
	}
	var one [1]byte
	n, _ := io.ReadFull(r.Body, one[:])
	return n > 0
}

func readAll(r *http.Request) ([]byte, error) {
	// Not nil, also when it is empty.
	content := bytes.NewBuffer(make([]byte, 0, max(r.ContentLength, 0)+bytes.MinRead))
	if _, err := content.ReadFrom(r.Body); err != nil {
		return nil, err
	}
	return content.Bytes(), nil
}

// received is the body of a request whose transfer can fail: a chunk without a
// length, a connection that the client closed halfway. That is the client's fault
// and becomes one where it is read, so that no handler takes it for its own.
type received struct {
	io.ReadCloser

	request *http.Request
}

// Read implements [io.Reader]. Its errors are io.EOF, [http.MaxBytesError],
// [context.DeadlineExceeded] and the fault body_malformed.
func (b *received) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	var tooLarge *http.MaxBytesError
	switch {
	case err == nil, errors.Is(err, io.EOF), errors.As(err, &tooLarge):
		return n, err
	case errors.Is(b.request.Context().Err(), context.DeadlineExceeded):
		return n, fmt.Errorf("read the body: %w", errors.Join(context.DeadlineExceeded, err))
	}
	// A context that was cancelled is no sign of anything else: net/http cancels it
	// when it reads the end of a connection that was closed early.
	return n, fault.New(fault.Invalid, "body_malformed", "The body ended early.").Wrap(err)
}
