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

// ListPermissions is pending.
func (s *Server) ListPermissions(context.Context, api.ListPermissionsRequestObject) (api.ListPermissionsResponseObject, error) {
	return nil, errPending
}

// GetPolicy is pending.
func (s *Server) GetPolicy(context.Context, api.GetPolicyRequestObject) (api.GetPolicyResponseObject, error) {
	return nil, errPending
}

// ReplacePolicy is pending.
func (s *Server) ReplacePolicy(context.Context, api.ReplacePolicyRequestObject) (api.ReplacePolicyResponseObject, error) {
	return nil, errPending
}

// ValidateAccess is pending.
func (s *Server) ValidateAccess(context.Context, api.ValidateAccessRequestObject) (api.ValidateAccessResponseObject, error) {
	return nil, errPending
}

// ListPolicyVersions is pending.
func (s *Server) ListPolicyVersions(context.Context, api.ListPolicyVersionsRequestObject) (api.ListPolicyVersionsResponseObject, error) {
	return nil, errPending
}

// RestorePolicyVersion is pending.
func (s *Server) RestorePolicyVersion(context.Context, api.RestorePolicyVersionRequestObject) (api.RestorePolicyVersionResponseObject, error) {
	return nil, errPending
}

// ListRoles is pending.
func (s *Server) ListRoles(context.Context, api.ListRolesRequestObject) (api.ListRolesResponseObject, error) {
	return nil, errPending
}

// CreateRole is pending.
func (s *Server) CreateRole(context.Context, api.CreateRoleRequestObject) (api.CreateRoleResponseObject, error) {
	return nil, errPending
}

// DeleteRole is pending.
func (s *Server) DeleteRole(context.Context, api.DeleteRoleRequestObject) (api.DeleteRoleResponseObject, error) {
	return nil, errPending
}

// ReplaceRolePermissions is pending.
func (s *Server) ReplaceRolePermissions(context.Context, api.ReplaceRolePermissionsRequestObject) (api.ReplaceRolePermissionsResponseObject, error) {
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
