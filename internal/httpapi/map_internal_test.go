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
)

// Whoever reads an export that breaks off sees it, by the connection and by the document.
func TestLandmarkExportThatFails(t *testing.T) {
	t.Parallel()
	failure := errors.New("the database went away")
	one := &ent.Landmark{Name: "Lighthouse", Edges: ent.LandmarkEdges{Area: &ent.Area{Name: "Harbour"}}}
	export := func(batches ...[]*ent.Landmark) landmarkExport {
		return landmarkExport{ctx: t.Context(), each: func(_ context.Context, fn func([]*ent.Landmark) error) error {
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
		_ = export([]*ent.Landmark{one, one}, []*ent.Landmark{one}).VisitExportLandmarksResponse(w) // It panics.
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
