package compress

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/picaspot/picaspot/internal/version"
)

// Document is an answer that is always the same. It is compressed once, when a client
// takes it so for the first time.
type Document struct {
	contentType string
	plain       []byte
	tag         string
	gzipped     func() []byte
}

// NewDocument makes a document of its bytes, which must not be changed any more.
func NewDocument(contentType string, body []byte) *Document {
	digest := sha256.Sum256(body)
	return &Document{
		contentType: contentType, plain: body, tag: hex.EncodeToString(digest[:12]),
		gzipped: sync.OnceValue(func() []byte {
			var out bytes.Buffer
			w, _ := gzip.NewWriterLevel(&out, gzip.BestCompression) // The level is a constant.
			// A buffer takes everything.
			_, _ = w.Write(body)
			_ = w.Close()
			return out.Bytes()
		}),
	}
}

// ServeHTTP sends the document, or a 304 to a client that has it.
func (d *Document) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Add("Vary", "Accept-Encoding")
	h.Set("Content-Type", d.contentType)
	body, suffix := d.plain, ""
	if len(body) >= MinSize && acceptsGzip(r.Header.Values("Accept-Encoding")) {
		body, suffix = d.gzipped(), version.GzipSuffix
		h.Set("Content-Encoding", "gzip")
		if r.Header.Get("Range") == "" {
			h.Set("Content-Length", strconv.Itoa(len(body)))
		}
	}
	h.Set("ETag", `"`+d.tag+suffix+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// acceptsGzip reports whether Accept-Encoding names gzip, or everything, with a weight
// above 0.
func acceptsGzip(values []string) bool {
	weights := map[string]float64{}
	for element := range strings.SplitSeq(strings.Join(values, ","), ",") {
		coding, parameter, _ := strings.Cut(element, ";")
		weight := 1.0
		if name, value, ok := strings.Cut(parameter, "="); ok && strings.EqualFold(strings.TrimSpace(name), "q") {
			weight, _ = strconv.ParseFloat(strings.TrimSpace(value), 64) // What is no number is no wish.
		}
		weights[strings.ToLower(strings.TrimSpace(coding))] = weight
	}
	if weight, named := weights["gzip"]; named {
		return weight > 0
	}
	return weights["*"] > 0
}
