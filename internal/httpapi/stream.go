package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"
)

// streamPatience is how long the client of a stream may take for a part of it.
const streamPatience = time.Minute

// stream is an answer that is still made while it is sent, which the generated
// responses could give as a reader only, and without saying that it broke off.
type stream struct {
	ctx context.Context // The request's.
	// what it is, for the log.
	what string
	// contentType and filename are what it is sent as.
	contentType, filename string
}

// write sends the parts that each makes, one at a time. When it fails on the way the
// connection is cut, so that nobody takes the part for the whole; when it fails before
// the first part the error is returned, and nothing was sent.
func (s stream) write(w http.ResponseWriter, each func(send func(part []byte) error) error) error {
	out := http.NewResponseController(w)
	// The request was read. Its deadline, once over, would be taken for a client that
	// has gone.
	_ = out.SetReadDeadline(time.Time{}) // What has no deadlines needs none lifted.
	begun := false
	begin := func() {
		if begun {
			return
		}
		begun = true
		h := w.Header()
		h.Set("Content-Type", s.contentType)
		h.Set("Cache-Control", noStore)
		h.Set("Content-Disposition", `attachment; filename="`+s.filename+`"`)
		w.WriteHeader(http.StatusOK)
	}
	err := each(func(part []byte) error {
		begin()
		// The server's own deadline is that of a whole answer.
		if err := out.SetWriteDeadline(time.Now().Add(streamPatience)); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return err
		}
		if _, err := w.Write(part); err != nil {
			return err
		}
		return out.Flush()
	})
	if err == nil {
		begin()
		return nil
	}
	if !begun {
		return err
	}
	if s.ctx.Err() == nil {
		slog.ErrorContext(s.ctx, "stream broke off", "what", s.what, "error", err)
	}
	panic(http.ErrAbortHandler)
}

// datedName is the name of a file that was made today.
func datedName(name, extension string) string {
	return "picaspot-" + name + "-" + time.Now().UTC().Format(time.DateOnly) + extension
}
