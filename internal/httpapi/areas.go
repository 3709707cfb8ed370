package httpapi

import (
	"context"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/internal/area"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/landmark"
	"github.com/picaspot/picaspot/internal/version"
)

// ListAreas implements GET /api/v1/areas.
func (s *Server) ListAreas(ctx context.Context, request api.ListAreasRequestObject) (api.ListAreasResponseObject, error) {
	p := request.Params
	list := func(ctx context.Context) (api.ListAreas200JSONResponse, error) {
		list, err := s.Areas.List(ctx, area.Filter{
			IsVerified: p.IsVerified, ParentID: p.ParentAreaID, CreatedBy: p.CreatedBy, Search: deref(p.Search, ""),
		}, params(p.Page, p.Size, p.Cursor, p.SortBy, p.SortOrder))
		if err != nil {
			return api.ListAreas200JSONResponse{}, err
		}
		info := toAPIPageInfo(list)
		return api.ListAreas200JSONResponse{
			Items: convert(ctx, list.Items(), toAPIArea), NextCursor: info.NextCursor,
			Total: info.Total, TotalIsLowerBound: info.TotalIsLowerBound, Page: info.Page, Size: info.Size, Pages: info.Pages,
		}, nil
	}
	// What everybody starts with: everything that is verified.
	if deref(p.IsVerified, false) && p.CreatedBy == nil && p.Search == nil {
		return copied(ctx, s, area.AnyWord, p, list)
	}
	return list(ctx)
}

// ListNearbyAreas implements GET /api/v1/areas/nearby.
func (s *Server) ListNearbyAreas(ctx context.Context, request api.ListNearbyAreasRequestObject) (api.ListNearbyAreasResponseObject, error) {
	p := request.Params
	center, err := geo.New(p.Latitude, p.Longitude)
	if err != nil {
		return nil, err
	}
	list, err := s.Areas.Nearby(ctx, area.Nearby{
		Center: center, RadiusMeters: p.RadiusMeters, IsVerified: p.IsVerified,
		RequireAllInRadius: deref(p.RequireAllLandmarksInRadius, false),
	}, params[string, string](p.Page, p.Size, p.Cursor, nil, nil))
	if err != nil {
		return nil, err
	}
	info := toAPIPageInfo(list)
	return api.ListNearbyAreas200JSONResponse{
		Items: convert(ctx, list.Items(), toAPINearbyArea), NextCursor: info.NextCursor,
		Total: info.Total, Page: info.Page, Size: info.Size, Pages: info.Pages,
	}, nil
}

// ListAreaLandmarks implements GET /api/v1/areas/{area_id}/landmarks.
func (s *Server) ListAreaLandmarks(ctx context.Context, request api.ListAreaLandmarksRequestObject) (api.ListAreaLandmarksResponseObject, error) {
	p := request.Params
	if _, err := s.Areas.Get(ctx, request.AreaID); err != nil {
		return nil, err
	}
	list, err := s.Landmarks.List(ctx, landmark.Filter{
		AreaID: &request.AreaID, IncludeDescendants: deref(p.IncludeDescendants, false),
		Difficulty: p.Difficulty, IsVerified: p.IsVerified, Search: deref(p.Search, ""),
	}, params(p.Page, p.Size, p.Cursor, p.SortBy, p.SortOrder))
	if err != nil {
		return nil, err
	}
	info := toAPIPageInfo(list)
	return api.ListAreaLandmarks200JSONResponse{
		Items: convert(ctx, list.Items(), toAPILandmark), NextCursor: info.NextCursor,
		Total: info.Total, TotalIsLowerBound: info.TotalIsLowerBound, Page: info.Page, Size: info.Size, Pages: info.Pages,
	}, nil
}

// CreateArea implements POST /api/v1/areas.
func (s *Server) CreateArea(ctx context.Context, request api.CreateAreaRequestObject) (api.CreateAreaResponseObject, error) {
	in := area.Create{Name: request.Body.Name, Description: deref(request.Body.Description, "")}
	if parent, err := request.Body.ParentAreaID.Get(); err == nil {
		in.ParentID = &parent
	}
	created, err := s.Areas.Create(ctx, in)
	if err != nil {
		return nil, err
	}
	return api.CreateArea201JSONResponse{
		Body: toAPIArea(ctx, created),
		Headers: api.CreateArea201ResponseHeaders{
			Location: ptr("/api/v1/areas/" + created.ID.String()), ETag: ptr(version.ETag(created.UpdatedAt)),
		},
	}, nil
}

// GetArea implements GET /api/v1/areas/{area_id}.
func (s *Server) GetArea(ctx context.Context, request api.GetAreaRequestObject) (api.GetAreaResponseObject, error) {
	found, err := s.Areas.View(ctx, request.AreaID)
	if err != nil {
		return nil, err
	}
	shown, hasPicture := signed(ctx, found.Body)
	tag, notModified := etag(tagOf(ctx, found.UpdatedAt, hasPicture), request.Params.IfNoneMatch)
	switch {
	case notModified:
		return api.GetArea304Response{}, nil
	case !hasZone(ctx):
		return written{body: shown, etag: *tag}, nil
	}
	body, err := areaInZone(ctx, shown)
	return api.GetArea200JSONResponse{Body: body, Headers: api.GetArea200ResponseHeaders{ETag: tag}}, err
}

// UpdateArea implements PATCH /api/v1/areas/{area_id}.
func (s *Server) UpdateArea(ctx context.Context, request api.UpdateAreaRequestObject) (api.UpdateAreaResponseObject, error) {
	in := area.Update{Name: request.Body.Name, Description: cleared(request.Body.Description)}
	if parent := request.Body.ParentAreaID; parent.IsSpecified() {
		var moveTo *uuid.UUID
		if id, err := parent.Get(); err == nil {
			moveTo = &id
		}
		in.MoveTo = &moveTo
	}
	changed, err := s.Areas.Update(ctx, request.AreaID, in, version.Conditions(request.Params.IfMatch, request.Params.IfNoneMatch))
	if err != nil {
		return nil, err
	}
	body, tag := areaVersion(ctx, changed)
	return api.UpdateArea200JSONResponse{Body: body, Headers: api.UpdateArea200ResponseHeaders{ETag: tag}}, nil
}

// DeleteArea implements DELETE /api/v1/areas/{area_id}.
func (s *Server) DeleteArea(ctx context.Context, request api.DeleteAreaRequestObject) (api.DeleteAreaResponseObject, error) {
	if err := s.Areas.Delete(ctx, request.AreaID, version.Conditions(request.Params.IfMatch, request.Params.IfNoneMatch)); err != nil {
		return nil, err
	}
	return api.DeleteArea204Response{}, nil
}

// GetAreaImage implements GET /api/v1/areas/{area_id}/image.
func (s *Server) GetAreaImage(ctx context.Context, request api.GetAreaImageRequestObject) (api.GetAreaImageResponseObject, error) {
	image, open, err := s.Areas.Image(ctx, request.AreaID)
	if err != nil {
		return nil, err
	}
	kept, err := cachePicture(ctx, image, request.Params.Version)
	if err != nil {
		return nil, err
	}
	tag, notModified := etag(pictureTag(image), request.Params.IfNoneMatch)
	if notModified {
		return api.GetAreaImage304Response{}, nil
	}
	body, err := open(ctx)
	if err != nil {
		return nil, err
	}
	return api.GetAreaImage200ImageJpegResponse{
		Body: body, ContentLength: image.Bytes,
		Headers: api.GetAreaImage200ResponseHeaders{ETag: tag, CacheControl: kept},
	}, nil
}

// PutAreaImage implements PUT /api/v1/areas/{area_id}/image.
func (s *Server) PutAreaImage(ctx context.Context, request api.PutAreaImageRequestObject) (api.PutAreaImageResponseObject, error) {
	file, err := spool(request.Body)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	changed, err := s.Areas.SetImage(ctx, request.AreaID, file, file.size)
	if err != nil {
		return nil, err
	}
	body, tag := areaVersion(ctx, changed)
	return api.PutAreaImage200JSONResponse{Body: body, Headers: api.PutAreaImage200ResponseHeaders{ETag: tag}}, nil
}

// DeleteAreaImage implements DELETE /api/v1/areas/{area_id}/image.
func (s *Server) DeleteAreaImage(ctx context.Context, request api.DeleteAreaImageRequestObject) (api.DeleteAreaImageResponseObject, error) {
	if err := s.Areas.ClearImage(ctx, request.AreaID); err != nil {
		return nil, err
	}
	return api.DeleteAreaImage204Response{}, nil
}

// VerifyArea implements POST /api/v1/areas/{area_id}/verification.
func (s *Server) VerifyArea(ctx context.Context, request api.VerifyAreaRequestObject) (api.VerifyAreaResponseObject, error) {
	changed, err := s.Areas.SetVerified(ctx, request.AreaID, true)
	if err != nil {
		return nil, err
	}
	body, tag := areaVersion(ctx, changed)
	return api.VerifyArea200JSONResponse{Body: body, Headers: api.VerifyArea200ResponseHeaders{ETag: tag}}, nil
}

// UnverifyArea implements DELETE /api/v1/areas/{area_id}/verification.
func (s *Server) UnverifyArea(ctx context.Context, request api.UnverifyAreaRequestObject) (api.UnverifyAreaResponseObject, error) {
	changed, err := s.Areas.SetVerified(ctx, request.AreaID, false)
	if err != nil {
		return nil, err
	}
	body, tag := areaVersion(ctx, changed)
	return api.UnverifyArea200JSONResponse{Body: body, Headers: api.UnverifyArea200ResponseHeaders{ETag: tag}}, nil
}

func areaVersion(ctx context.Context, a *ent.Area) (api.Area, *string) {
	return toAPIArea(ctx, a), ptr(tagOf(ctx, a.UpdatedAt, a.Image != nil))
}
