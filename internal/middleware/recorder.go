package middleware

import (
	"errors"
	"net/http"
)

// recorder notes what an answer is while it passes.
type recorder struct {
	http.ResponseWriter
	// status is 0 as long as the headers can still be changed.
	status int
	bytes  int64
}

// record returns the recorder that w is already, or a new one around it.
func record(w http.ResponseWriter) *recorder {
	if rec, ok := w.(*recorder); ok {
		return rec
	}
	return &recorder{ResponseWriter: w}
}

// WriteHeader implements http.ResponseWriter. Informational answers are not the
// answer, except for a switch of protocols.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && (status >= http.StatusOK || status == http.StatusSwitchingProtocols) {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (r *recorder) Write(data []byte) (int, error) {
	r.begin()
	n, err := r.ResponseWriter.Write(data)
	r.bytes += int64(n)
	return n, err
}

// FlushError is for http.ResponseController: a flush sends the headers, where
// there is one.
func (r *recorder) FlushError() error {
	err := http.NewResponseController(r.ResponseWriter).Flush()
	if !errors.Is(err, http.ErrNotSupported) {
		r.begin()
	}
	return err
}

// Flush implements http.Flusher, for handlers that look for that.
func (r *recorder) Flush() {
	_ = r.FlushError() // Nobody can be told.
}

// Unwrap is for http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (r *recorder) begin() {
	if r.status == 0 {
		r.status = http.StatusOK
	}
}
