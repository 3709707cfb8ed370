package httpapi

import (
	"context"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/reqctx"
	"github.com/picaspot/picaspot/internal/trash"
)

// ListTrash implements GET /api/v1/admin/trash.
func (s *Server) ListTrash(ctx context.Context, request api.ListTrashRequestObject) (api.ListTrashResponseObject, error) {
	p := request.Params
	list, err := s.Trash.List(ctx, trash.Filter{
		Kind: trash.Kind(deref(p.EntityType, "")), DeletedBy: p.DeletedBy, From: p.From, To: p.To,
		Search: deref(p.Search, ""),
	}, params(p.Page, p.Size, p.Cursor, p.SortBy, p.SortOrder))
	if err != nil {
		return nil, err
	}
	info := toAPIPageInfo(list)
	return api.ListTrash200JSONResponse{
		Items: convert(ctx, list.Items(), toAPITrashEntry), NextCursor: info.NextCursor,
		Total: info.Total, Page: info.Page, Size: info.Size, Pages: info.Pages,
	}, nil
}

func toAPITrashEntry(ctx context.Context, e trash.Entry) api.TrashEntry {
	return api.TrashEntry{
		EntityType: api.TrashKind(e.Kind), ID: e.ID, Name: e.Name, DeletionID: e.DeletionID,
		DeletedAt: reqctx.In(ctx, e.DeletedAt), DeletedBy: maybe(e.DeletedBy), PurgeAt: reqctx.In(ctx, e.PurgeAt),
		ComesBack: api.TrashCounts(e.ComesBack),
	}
}

// RestoreArea implements POST /api/v1/admin/areas/{area_id}/restore.
func (s *Server) RestoreArea(ctx context.Context, request api.RestoreAreaRequestObject) (api.RestoreAreaResponseObject, error) {
	restored, err := s.restore(ctx, trash.Area, request.AreaID)
	if err != nil {
		return nil, err
	}
	return api.RestoreArea200JSONResponse(restored), nil
}

// RestoreLandmark implements POST /api/v1/admin/landmarks/{landmark_id}/restore.
func (s *Server) RestoreLandmark(ctx context.Context, request api.RestoreLandmarkRequestObject) (api.RestoreLandmarkResponseObject, error) {
	restored, err := s.restore(ctx, trash.Landmark, request.LandmarkID)
	if err != nil {
		return nil, err
	}
	return api.RestoreLandmark200JSONResponse(restored), nil
}

// RestoreUser implements POST /api/v1/admin/users/{user_id}/restore.
func (s *Server) RestoreUser(ctx context.Context, request api.RestoreUserRequestObject) (api.RestoreUserResponseObject, error) {
	restored, err := s.restore(ctx, trash.User, request.UserID)
	if err != nil {
		return nil, err
	}
	return api.RestoreUser200JSONResponse(restored), nil
}

func (s *Server) restore(ctx context.Context, kind trash.Kind, id uuid.UUID) (api.Restoration, error) {
	restored, err := s.Trash.Restore(ctx, kind, id)
	if err != nil {
		return api.Restoration{}, err
	}
	return api.Restoration{
		DeletionID: restored.DeletionID, Areas: restored.Areas, Landmarks: restored.Landmarks,
		Unlocks: restored.Unlocks, Users: restored.Users,
	}, nil
}

// PurgeArea implements DELETE /api/v1/admin/areas/{area_id}.
func (s *Server) PurgeArea(ctx context.Context, request api.PurgeAreaRequestObject) (api.PurgeAreaResponseObject, error) {
	if err := s.Trash.Purge(ctx, trash.Area, request.AreaID); err != nil {
		return nil, err
	}
	return api.PurgeArea204Response{}, nil
}

// PurgeLandmark implements DELETE /api/v1/admin/landmarks/{landmark_id}.
func (s *Server) PurgeLandmark(ctx context.Context, request api.PurgeLandmarkRequestObject) (api.PurgeLandmarkResponseObject, error) {
	if err := s.Trash.Purge(ctx, trash.Landmark, request.LandmarkID); err != nil {
		return nil, err
	}
	return api.PurgeLandmark204Response{}, nil
}

// PurgeUser implements DELETE /api/v1/admin/users/{user_id}.
func (s *Server) PurgeUser(ctx context.Context, request api.PurgeUserRequestObject) (api.PurgeUserResponseObject, error) {
	if err := s.Trash.Purge(ctx, trash.User, request.UserID); err != nil {
		return nil, err
	}
	return api.PurgeUser204Response{}, nil
}
