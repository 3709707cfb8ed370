package httpapi

import (
	"context"
	"errors"

	"github.com/picaspot/picaspot/api"
)

var errPending = errors.New("pending")

// PurgeArea is pending.
func (s *Server) PurgeArea(context.Context, api.PurgeAreaRequestObject) (api.PurgeAreaResponseObject, error) {
	return nil, errPending
}

// RestoreArea is pending.
func (s *Server) RestoreArea(context.Context, api.RestoreAreaRequestObject) (api.RestoreAreaResponseObject, error) {
	return nil, errPending
}

// ListAuditLogs is pending.
func (s *Server) ListAuditLogs(context.Context, api.ListAuditLogsRequestObject) (api.ListAuditLogsResponseObject, error) {
	return nil, errPending
}

// ExportAuditLogs is pending.
func (s *Server) ExportAuditLogs(context.Context, api.ExportAuditLogsRequestObject) (api.ExportAuditLogsResponseObject, error) {
	return nil, errPending
}

// PurgeLandmark is pending.
func (s *Server) PurgeLandmark(context.Context, api.PurgeLandmarkRequestObject) (api.PurgeLandmarkResponseObject, error) {
	return nil, errPending
}

// RestoreLandmark is pending.
func (s *Server) RestoreLandmark(context.Context, api.RestoreLandmarkRequestObject) (api.RestoreLandmarkResponseObject, error) {
	return nil, errPending
}

// ListTrash is pending.
func (s *Server) ListTrash(context.Context, api.ListTrashRequestObject) (api.ListTrashResponseObject, error) {
	return nil, errPending
}

// ListUsers is pending.
func (s *Server) ListUsers(context.Context, api.ListUsersRequestObject) (api.ListUsersResponseObject, error) {
	return nil, errPending
}

// PurgeUser is pending.
func (s *Server) PurgeUser(context.Context, api.PurgeUserRequestObject) (api.PurgeUserResponseObject, error) {
	return nil, errPending
}

// GetUser is pending.
func (s *Server) GetUser(context.Context, api.GetUserRequestObject) (api.GetUserResponseObject, error) {
	return nil, errPending
}

// UpdateUser is pending.
func (s *Server) UpdateUser(context.Context, api.UpdateUserRequestObject) (api.UpdateUserResponseObject, error) {
	return nil, errPending
}

// RestoreUser is pending.
func (s *Server) RestoreUser(context.Context, api.RestoreUserRequestObject) (api.RestoreUserResponseObject, error) {
	return nil, errPending
}

// ListReports is pending.
func (s *Server) ListReports(context.Context, api.ListReportsRequestObject) (api.ListReportsResponseObject, error) {
	return nil, errPending
}

// ResolveReport is pending.
func (s *Server) ResolveReport(context.Context, api.ResolveReportRequestObject) (api.ResolveReportResponseObject, error) {
	return nil, errPending
}

// CreateReport is pending.
func (s *Server) CreateReport(context.Context, api.CreateReportRequestObject) (api.CreateReportResponseObject, error) {
	return nil, errPending
}
