package idempotency

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"

	"github.com/picaspot/picaspot/internal/fault"
)

// isUpload tells a body that can be read once only, as it arrives.
func isUpload(r *http.Request) bool {
	return r.GetBody == nil && r.Body != nil && r.Body != http.NoBody
}

// fingerprint reads a request to its end and returns what makes it the same as
// another one: method, path, query and body.
func fingerprint(r *http.Request) ([]byte, error) {
	body := io.Reader(r.Body)
	if r.GetBody != nil {
		again, err := r.GetBody()
		if err != nil {
			return nil, fmt.Errorf("read the body again: %w", err)
		}
		body = again
	} else if r.Body == nil {
		body = http.NoBody
	}
	digest, err := digestBody(body, r.Header)
	if err != nil {
		return nil, unreadable(r.Context(), err)
	}
	return fingerprintOf(r, digest), nil
}

func fingerprintOf(r *http.Request, body []byte) []byte {
	all := sha256.New()
	for _, part := range []string{r.Method, r.URL.EscapedPath(), r.URL.RawQuery} {
		writeText(all, part)
	}
	all.Write(body)
	return all.Sum(nil)
}

func writeText(to hash.Hash, text string) {
	to.Write(binary.AppendUvarint(nil, uint64(len(text))))
	to.Write([]byte(text))
}

// digestBody reads a body. A form with files counts by the names and contents of
// its parts: clients make up a boundary for each request, and some an order.
func digestBody(body io.Reader, h http.Header) ([]byte, error) {
	mediaType, params, _ := mime.ParseMediaType(h.Get("Content-Type"))
	if !strings.HasPrefix(mediaType, "multipart/") {
		digest := sha256.New()
		_, err := io.Copy(digest, body)
		return digest.Sum(nil), err
	}
	var parts [][]byte
	for form := multipart.NewReader(body, params["boundary"]); ; {
		part, err := form.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		digest := sha256.New()
		writeText(digest, part.FormName())
		if _, err := io.Copy(digest, part); err != nil {
			return nil, err
		}
		parts = append(parts, digest.Sum(nil))
	}
	slices.SortFunc(parts, bytes.Compare)
	digest := sha256.Sum256(slices.Concat(parts...))
	return digest[:], nil
}

// unreadable tells a body that is malformed from one that is too large or late.
func unreadable(ctx context.Context, err error) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) || errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return err
	}
	return fault.New(fault.Invalid, "form_malformed", "The form is malformed or ended early.").Wrap(err)
}

// passing is a body on its way to its reader.
type passing struct {
	request *http.Request
	copy    *io.PipeWriter
	done    chan struct{}
	// digest and err are there once done is closed.
	digest []byte
	err    error
}

// watch looks at the body of a request while it is read, as far as it is.
func watch(r *http.Request) *passing {
	reader, writer := io.Pipe()
	p := &passing{request: r, copy: writer, done: make(chan struct{})}
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.TeeReader(r.Body, writer), r.Body}
	go func() {
		defer close(p.done)
		p.digest, p.err = digestBody(reader, r.Header)
		// What comes behind a form must not hold its reader up.
		_, _ = io.Copy(io.Discard, reader)
	}()
	return p
}

// fingerprint is that of the request, whose body was read to its end.
func (p *passing) fingerprint() ([]byte, error) {
	p.close()
	if p.err != nil {
		return nil, fmt.Errorf("fingerprint of the upload: %w", p.err)
	}
	return fingerprintOf(p.request, p.digest), nil
}

// close ends the look; it may be called again.
func (p *passing) close() {
	_ = p.copy.Close() // It never fails.
	<-p.done
}
