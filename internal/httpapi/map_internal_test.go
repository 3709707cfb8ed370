package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/internal/landmark"
)

// Whoever reads an export that breaks off sees it, by the connection and by the document.
func TestLandmarkExportThatFails(t *testing.T) {
	t.Parallel()
	failure := errors.New("the database went away")
	one := landmark.Exported{Landmark: &ent.Landmark{Name: "Lighthouse"}, AreaPath: []string{"Harbour"}}
	export := func(batches ...[]landmark.Exported) landmarkExport {
		return landmarkExport{ctx: t.Context(), each: func(_ context.Context, fn func([]landmark.Exported) error) error {
			for _, batch := range batches {
				if err := fn(batch); err != nil {
					return err
				}
			}
			return failure
		}}
	}
	w := httptest.NewRecorder()
	require.ErrorIs(t, export().VisitExportLandmarksResponse(w), failure)
	require.Empty(t, w.Header(), "the problem has its own")

	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = export([]landmark.Exported{one, one}, []landmark.Exported{one}).VisitExportLandmarksResponse(w) // It panics.
	}))
	defer server.Close()
	response, err := http.Get(server.URL)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Contains(t, string(body), "Lighthouse")
	require.False(t, json.Valid(body))
}
