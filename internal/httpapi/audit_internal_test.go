package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/auditlog"
)

// An export that breaks off is cut; one that could not begin is a problem.
func TestAuditExportThatFails(t *testing.T) {
	t.Parallel()
	failure := errors.New("the database went away")
	entry := auditlog.Entry{Action: "create", Changes: json.RawMessage("{}")}
	export := func(batches ...[]auditlog.Entry) auditExport {
		return auditExport{ctx: t.Context(), each: func(_ context.Context, fn func([]auditlog.Entry) error) error {
			for _, batch := range batches {
				if err := fn(batch); err != nil {
					return err
				}
			}
			return failure
		}}
	}
	w := httptest.NewRecorder()
	require.ErrorIs(t, export().VisitExportAuditLogsResponse(w), failure)
	require.Empty(t, w.Header(), "the problem has its own")

	w = httptest.NewRecorder()
	require.PanicsWithValue(t, http.ErrAbortHandler, func() {
		_ = export([]auditlog.Entry{entry, entry}).VisitExportAuditLogsResponse(w)
	})
	require.Equal(t, 2, strings.Count(w.Body.String(), "\n"))

	w = httptest.NewRecorder()
	broken := auditlog.Entry{Changes: json.RawMessage("[]")}
	require.Error(t, export([]auditlog.Entry{broken}).VisitExportAuditLogsResponse(w))
	require.Empty(t, w.Body.String())
}
