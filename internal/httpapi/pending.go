package httpapi

import (
	"context"
	"errors"

	"github.com/picaspot/picaspot/api"
)

var errPending = errors.New("pending")

// ListAuditLogs is pending.
func (s *Server) ListAuditLogs(context.Context, api.ListAuditLogsRequestObject) (api.ListAuditLogsResponseObject, error) {
	return nil, errPending
}

// ExportAuditLogs is pending.
func (s *Server) ExportAuditLogs(context.Context, api.ExportAuditLogsRequestObject) (api.ExportAuditLogsResponseObject, error) {
	return nil, errPending
}
