package compress_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/compress"
)

// A handler that breaks off sends nothing that reads as a whole.
func TestBrokenOff(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(compress.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(make([]byte, 64<<10))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})))
	defer server.Close()
	response, err := http.Get(server.URL)
	require.NoError(t, err)
	defer response.Body.Close()
	buffer := make([]byte, 128<<10)
	for err == nil {
		_, err = response.Body.Read(buffer)
	}
	require.ErrorContains(t, err, "unexpected EOF")
}

func BenchmarkHandler(b *testing.B) {
	type row struct {
		ID, AreaID, Name, Description, CreatedBy string
		Latitude, Longitude                      float64
	}
	for _, count := range []int{1, 20, 100} {
		rows := make([]row, count)
		for i := range rows {
			rows[i] = row{
				ID: fmt.Sprintf("01932c07-209c-7f7e-8d0a-%012x", i*7919), AreaID: fmt.Sprintf("01932c07-209c-7f7e-8d0a-%012x", i*104729),
				Name: fmt.Sprintf("Lighthouse %d", i), Description: "At the end of the quay.", CreatedBy: "01932c06-61f0-7c64-9c30-0e7a54ad5d10",
				Latitude: 1.2 + float64(i)/7919, Longitude: 103.8 - float64(i)/104729,
			}
		}
		body, err := json.Marshal(rows)
		require.NoError(b, err)
		plain := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(body)
		})
		for _, accept := range []string{"without", "", "gzip", "zstd"} {
			handler := compress.Handler(plain)
			if accept == "without" {
				handler = plain
			}
			b.Run(fmt.Sprintf("%d bytes/%s", len(body), accept), func(b *testing.B) {
				r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/", nil)
				r.Header.Set("Accept-Encoding", accept)
				b.ReportAllocs()
				sent := 0
				for b.Loop() {
					w := &counter{header: http.Header{}}
					handler.ServeHTTP(w, r)
					sent = w.bytes
				}
				b.ReportMetric(float64(sent), "sent")
			})
		}
	}
}

type counter struct {
	header http.Header
	bytes  int
}

func (c *counter) Header() http.Header { return c.header }
func (c *counter) WriteHeader(int)     {}
func (c *counter) Write(p []byte) (int, error) {
	c.bytes += len(p)
	return len(p), nil
}
