package httpapi

import (
	"context"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/landmark"
	"github.com/picaspot/picaspot/internal/version"
)

// ListLandmarks implements GET /api/v1/landmarks.
func (s *Server) ListLandmarks(ctx context.Context, request api.ListLandmarksRequestObject) (api.ListLandmarksResponseObject, error) {
	p := request.Params
	box, cell, err := fromAPIPlace(p.Bbox, p.Cell)
	if err != nil {
		return nil, err
	}
	list := func(ctx context.Context) (api.ListLandmarks200JSONResponse, error) {
		list, err := s.Landmarks.List(ctx, landmark.Filter{
			AreaID: p.AreaID, Difficulty: p.Difficulty, IsVerified: p.IsVerified, CreatedBy: p.CreatedBy, BBox: box, Cell: cell, Search: deref(p.Search, ""),
		}, params(p.Page, p.Size, p.Cursor, p.SortBy, p.SortOrder))
		if err != nil {
			return api.ListLandmarks200JSONResponse{}, err
		}
		info := toAPIPageInfo(list)
		return api.ListLandmarks200JSONResponse{
			Items: convert(ctx, list.Items(), toAPILandmark), NextCursor: info.NextCursor,
			Total: info.Total, TotalIsLowerBound: info.TotalIsLowerBound, Page: info.Page, Size: info.Size, Pages: info.Pages,
		}, nil
	}
	// What everybody starts with: everything that is verified.
	if deref(p.IsVerified, false) && p.CreatedBy == nil && p.Bbox == nil && p.Cell == nil && p.Search == nil {
		return copied(ctx, s, landmark.AnyWord, p, list)
	}
	return list(ctx)
}

// ListNearbyLandmarks implements GET /api/v1/landmarks/nearby.
func (s *Server) ListNearbyLandmarks(ctx context.Context, request api.ListNearbyLandmarksRequestObject) (api.ListNearbyLandmarksResponseObject, error) {
	p := request.Params
	center, err := geo.New(p.Latitude, p.Longitude)
	if err != nil {
		return nil, err
	}
	list, err := s.Landmarks.Nearby(ctx, landmark.Nearby{
		Center: center, RadiusMeters: p.RadiusMeters, AreaID: p.AreaID, IsVerified: p.IsVerified, Unlocked: p.Unlocked,
		RequireAllInRadius: deref(p.RequireAllLandmarksInRadius, false),
		LoadFromSameArea:   deref(p.LoadFromSameArea, false),
	}, params[string, string](p.Page, p.Size, p.Cursor, nil, nil))
	if err != nil {
		return nil, err
	}
	if !hasZone(ctx) {
		return nearbyPage{ctx: ctx, items: list.Items(), info: toAPIPageInfo(list)}, nil
	}
	info := toAPIPageInfo(list)
	items := make([]api.NearbyLandmark, len(list.Items()))
	for i, near := range list.Items() {
		if items[i], err = toAPINearbyLandmark(ctx, near); err != nil {
			return nil, err
		}
	}
	return api.ListNearbyLandmarks200JSONResponse{
		Items: items, NextCursor: info.NextCursor, Total: info.Total, Page: info.Page, Size: info.Size, Pages: info.Pages,
	}, nil
}

// CreateLandmark implements POST /api/v1/landmarks.
func (s *Server) CreateLandmark(ctx context.Context, request api.CreateLandmarkRequestObject) (api.CreateLandmarkResponseObject, error) {
	b := request.Body
	location, err := geo.New(b.Latitude, b.Longitude)
	if err != nil {
		return nil, err
	}
	in := landmark.Create{
		AreaID: b.AreaID, Name: b.Name, Description: deref(b.Description, ""), Hint: deref(b.Hint, ""),
		Difficulty: deref(b.Difficulty, 0), Location: location,
		UnlockRadiusMeters: deref(b.UnlockRadiusMeters, 0), PhotoRadiusMeters: deref(b.PhotoRadiusMeters, 0),
		AllowDuplicate: deref(b.AllowDuplicate, false),
	}
	if position, err := b.PhotoLocation.Get(); err == nil {
		at, err := fromAPIPosition(position)
		if err != nil {
			return nil, err
		}
		in.PhotoLocation = at
	}
	created, err := s.Landmarks.Create(ctx, in)
	if err != nil {
		return nil, err
	}
	body, tag := landmarkVersion(ctx, created)
	return api.CreateLandmark201JSONResponse{
		Body:    body,
		Headers: api.CreateLandmark201ResponseHeaders{Location: ptr("/api/v1/landmarks/" + created.ID.String()), ETag: tag},
	}, nil
}

// GetLandmark implements GET /api/v1/landmarks/{landmark_id}.
func (s *Server) GetLandmark(ctx context.Context, request api.GetLandmarkRequestObject) (api.GetLandmarkResponseObject, error) {
	found, err := s.Landmarks.View(ctx, request.LandmarkID)
	if err != nil {
		return nil, err
	}
	shown, hasPicture := signed(ctx, found.Body)
	tag, notModified := etag(tagOf(ctx, found.UpdatedAt, hasPicture), request.Params.IfNoneMatch)
	switch {
	case notModified:
		return api.GetLandmark304Response{}, nil
	case !hasZone(ctx):
		return written{body: shown, etag: *tag}, nil
	}
	body, err := landmarkInZone(ctx, shown)
	return api.GetLandmark200JSONResponse{Body: body, Headers: api.GetLandmark200ResponseHeaders{ETag: tag}}, err
}

// UpdateLandmark implements PATCH /api/v1/landmarks/{landmark_id}.
func (s *Server) UpdateLandmark(ctx context.Context, request api.UpdateLandmarkRequestObject) (api.UpdateLandmarkResponseObject, error) {
	b := request.Body
	in := landmark.Update{
		AreaID: b.AreaID, Name: b.Name, Description: cleared(b.Description), Hint: cleared(b.Hint), Difficulty: b.Difficulty,
		Latitude: b.Latitude, Longitude: b.Longitude,
		UnlockRadiusMeters: b.UnlockRadiusMeters, PhotoRadiusMeters: b.PhotoRadiusMeters,
	}
	if b.PhotoLocation.IsSpecified() {
		var to *landmark.PositionUpdate
		if position, err := b.PhotoLocation.Get(); err == nil {
			to = &landmark.PositionUpdate{Latitude: position.Latitude, Longitude: position.Longitude}
		}
		in.PhotoLocation = &to
	}
	changed, err := s.Landmarks.Update(ctx, request.LandmarkID, in, version.Conditions(request.Params.IfMatch, request.Params.IfNoneMatch))
	if err != nil {
		return nil, err
	}
	body, tag := landmarkVersion(ctx, changed)
	return api.UpdateLandmark200JSONResponse{Body: body, Headers: api.UpdateLandmark200ResponseHeaders{ETag: tag}}, nil
}

// DeleteLandmark implements DELETE /api/v1/landmarks/{landmark_id}.
func (s *Server) DeleteLandmark(ctx context.Context, request api.DeleteLandmarkRequestObject) (api.DeleteLandmarkResponseObject, error) {
	if err := s.Landmarks.Delete(ctx, request.LandmarkID, version.Conditions(request.Params.IfMatch, request.Params.IfNoneMatch)); err != nil {
		return nil, err
	}
	return api.DeleteLandmark204Response{}, nil
}

// GetLandmarkImage implements GET /api/v1/landmarks/{landmark_id}/image.
func (s *Server) GetLandmarkImage(ctx context.Context, request api.GetLandmarkImageRequestObject) (api.GetLandmarkImageResponseObject, error) {
	image, open, err := s.Landmarks.Image(ctx, request.LandmarkID)
	if err != nil {
		return nil, err
	}
	kept, err := cachePicture(ctx, image, request.Params.Version)
	if err != nil {
		return nil, err
	}
	tag, notModified := etag(pictureTag(image), request.Params.IfNoneMatch)
	if notModified {
		return api.GetLandmarkImage304Response{}, nil
	}
	body, err := open(ctx)
	if err != nil {
		return nil, err
	}
	return api.GetLandmarkImage200ImageJpegResponse{
		Body: body, ContentLength: image.Bytes,
		Headers: api.GetLandmarkImage200ResponseHeaders{ETag: tag, CacheControl: kept},
	}, nil
}

// PutLandmarkImage implements PUT /api/v1/landmarks/{landmark_id}/image.
func (s *Server) PutLandmarkImage(ctx context.Context, request api.PutLandmarkImageRequestObject) (api.PutLandmarkImageResponseObject, error) {
	file, err := spool(request.Body)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	changed, err := s.Landmarks.SetImage(ctx, request.LandmarkID, file, file.size)
	if err != nil {
		return nil, err
	}
	body, tag := landmarkVersion(ctx, changed)
	return api.PutLandmarkImage200JSONResponse{Body: body, Headers: api.PutLandmarkImage200ResponseHeaders{ETag: tag}}, nil
}

// DeleteLandmarkImage implements DELETE /api/v1/landmarks/{landmark_id}/image.
func (s *Server) DeleteLandmarkImage(ctx context.Context, request api.DeleteLandmarkImageRequestObject) (api.DeleteLandmarkImageResponseObject, error) {
	if err := s.Landmarks.ClearImage(ctx, request.LandmarkID); err != nil {
		return nil, err
	}
	return api.DeleteLandmarkImage204Response{}, nil
}

// VerifyLandmark implements POST /api/v1/landmarks/{landmark_id}/verification.
func (s *Server) VerifyLandmark(ctx context.Context, request api.VerifyLandmarkRequestObject) (api.VerifyLandmarkResponseObject, error) {
	changed, err := s.Landmarks.SetVerified(ctx, request.LandmarkID, true)
	if err != nil {
		return nil, err
	}
	body, tag := landmarkVersion(ctx, changed)
	return api.VerifyLandmark200JSONResponse{Body: body, Headers: api.VerifyLandmark200ResponseHeaders{ETag: tag}}, nil
}

// UnverifyLandmark implements DELETE /api/v1/landmarks/{landmark_id}/verification.
func (s *Server) UnverifyLandmark(ctx context.Context, request api.UnverifyLandmarkRequestObject) (api.UnverifyLandmarkResponseObject, error) {
	changed, err := s.Landmarks.SetVerified(ctx, request.LandmarkID, false)
	if err != nil {
		return nil, err
	}
	body, tag := landmarkVersion(ctx, changed)
	return api.UnverifyLandmark200JSONResponse{Body: body, Headers: api.UnverifyLandmark200ResponseHeaders{ETag: tag}}, nil
}

func landmarkVersion(ctx context.Context, l *ent.Landmark) (api.Landmark, *string) {
	return toAPILandmark(ctx, l), ptr(tagOf(ctx, l.UpdatedAt, l.Image != nil))
}

func fromAPIPosition(p api.Position) (*geo.Point, error) {
	at, err := geo.New(p.Latitude, p.Longitude)
	if err != nil {
		return nil, err
	}
	return &at, nil
}

// fromAPIBBox reads a box; nil is none.
func fromAPIBBox(text *string) (*geo.BBox, error) {
	if text == nil {
		return nil, nil //nolint:nilnil // There is none.
	}
	box, err := geo.ParseBBox(*text)
	if err != nil {
		return nil, invalidRequest([]fault.Field{{Parameter: "bbox", Code: "format", Message: err.Error()}})
	}
	return &box, nil
}
