package httpapi

import (
	"context"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/operation"
	"github.com/picaspot/picaspot/internal/unlock"
	"github.com/picaspot/picaspot/internal/version"
)

// CreateAttempt implements POST /api/v1/landmarks/{landmark_id}/attempts.
func (s *Server) CreateAttempt(ctx context.Context, request api.CreateAttemptRequestObject) (api.CreateAttemptResponseObject, error) {
	form, err := readAttemptForm(request.Body)
	defer form.close()
	if err != nil {
		return nil, err
	}
	if form.uploadID != nil {
		if err := s.fetchUpload(ctx, form); err != nil {
			return nil, err
		}
	}
	attempt, err := s.Unlocks.Submit(ctx, unlock.Submit{
		LandmarkID: request.LandmarkID, Location: form.location,
		AccuracyMeters: form.accuracyMeters, CapturedAt: form.capturedAt,
		Photo: form.photo, Size: form.photo.size, UploadID: form.uploadID,
	})
	if err != nil {
		return nil, err
	}
	return api.CreateAttempt202JSONResponse{
		Body:    toAPIAttempt(ctx, attempt, nil),
		Headers: api.CreateAttempt202ResponseHeaders{Location: ptr("/api/v1/attempts/" + attempt.ID.String())},
	}, nil
}

// fetchUpload puts the photo that a form names into it.
func (s *Server) fetchUpload(ctx context.Context, form *attemptForm) error {
	file, err := s.Uploads.Open(ctx, *form.uploadID)
	if err != nil {
		return err
	}
	defer file.Close()
	form.photo, err = spool(file)
	return err
}

// ListAttempts implements GET /api/v1/attempts.
func (s *Server) ListAttempts(ctx context.Context, request api.ListAttemptsRequestObject) (api.ListAttemptsResponseObject, error) {
	p := request.Params
	filter := unlock.AttemptFilter{LandmarkID: p.LandmarkID, UserID: p.UserID}
	if p.Status != nil {
		filter.Status = string(*p.Status)
	}
	list, err := s.Unlocks.Attempts(ctx, filter, params(p.Page, p.Size, p.Cursor, p.SortBy, p.SortOrder))
	if err != nil {
		return nil, err
	}
	unlocks, err := s.Unlocks.UnlockIDs(ctx, list.Items()...)
	if err != nil {
		return nil, err
	}
	items := make([]api.Attempt, len(list.Items()))
	for i, attempt := range list.Items() {
		items[i] = toAPIAttempt(ctx, attempt, found(unlocks, attempt.ID))
	}
	info := toAPIPageInfo(list)
	return api.ListAttempts200JSONResponse{
		Items: items, NextCursor: info.NextCursor,
		Total: info.Total, Page: info.Page, Size: info.Size, Pages: info.Pages,
	}, nil
}

// GetAttempt implements GET /api/v1/attempts/{attempt_id}.
func (s *Server) GetAttempt(ctx context.Context, request api.GetAttemptRequestObject) (api.GetAttemptResponseObject, error) {
	attempt, err := s.Unlocks.Attempt(ctx, request.AttemptID)
	if err != nil {
		return nil, err
	}
	tag, notModified := etag(tagOf(ctx, attempt.UpdatedAt, attempt.Image != nil), request.Params.IfNoneMatch)
	if notModified {
		return api.GetAttempt304Response{}, nil
	}
	unlocks, err := s.Unlocks.UnlockIDs(ctx, attempt)
	if err != nil {
		return nil, err
	}
	return api.GetAttempt200JSONResponse{
		Body: toAPIAttempt(ctx, attempt, found(unlocks, attempt.ID)), Headers: api.GetAttempt200ResponseHeaders{ETag: tag},
	}, nil
}

func found(unlocks map[uuid.UUID]uuid.UUID, attemptID uuid.UUID) *uuid.UUID {
	if id, ok := unlocks[attemptID]; ok {
		return &id
	}
	return nil
}

// GetAttemptPhoto implements GET /api/v1/attempts/{attempt_id}/photo.
func (s *Server) GetAttemptPhoto(ctx context.Context, request api.GetAttemptPhotoRequestObject) (api.GetAttemptPhotoResponseObject, error) {
	image, open, err := s.Unlocks.Photo(ctx, request.AttemptID)
	if err != nil {
		return nil, err
	}
	// An attempt has one photo: what is kept of it stays right.
	kept := ptr(pictureCache)
	if _, isSigned := operation.SignedUntil(ctx); isSigned {
		if kept, err = cachePicture(ctx, image, request.Params.Version); err != nil {
			return nil, err
		}
	}
	tag, notModified := etag(pictureTag(image), request.Params.IfNoneMatch)
	if notModified {
		return api.GetAttemptPhoto304Response{}, nil
	}
	body, err := open(ctx)
	if err != nil {
		return nil, err
	}
	return api.GetAttemptPhoto200ImageJpegResponse{
		Body: body, ContentLength: image.Bytes,
		Headers: api.GetAttemptPhoto200ResponseHeaders{ETag: tag, CacheControl: kept},
	}, nil
}

// ListUnlocks implements GET /api/v1/unlocks.
func (s *Server) ListUnlocks(ctx context.Context, request api.ListUnlocksRequestObject) (api.ListUnlocksResponseObject, error) {
	p := request.Params
	list, err := s.Unlocks.Unlocks(ctx, unlock.Filter{LandmarkID: p.LandmarkID, UserID: p.UserID},
		params(p.Page, p.Size, p.Cursor, p.SortBy, p.SortOrder))
	if err != nil {
		return nil, err
	}
	info := toAPIPageInfo(list)
	return api.ListUnlocks200JSONResponse{
		Items: convert(ctx, list.Items(), toAPIUnlock), NextCursor: info.NextCursor,
		Total: info.Total, Page: info.Page, Size: info.Size, Pages: info.Pages,
	}, nil
}

// GetUnlock implements GET /api/v1/unlocks/{unlock_id}.
func (s *Server) GetUnlock(ctx context.Context, request api.GetUnlockRequestObject) (api.GetUnlockResponseObject, error) {
	found, err := s.Unlocks.Unlock(ctx, request.UnlockID)
	if err != nil {
		return nil, err
	}
	tag, notModified := etag(version.ETag(found.UpdatedAt), request.Params.IfNoneMatch)
	if notModified {
		return api.GetUnlock304Response{}, nil
	}
	return api.GetUnlock200JSONResponse{Body: toAPIUnlock(ctx, found), Headers: api.GetUnlock200ResponseHeaders{ETag: tag}}, nil
}

// UpdateUnlock implements PATCH /api/v1/unlocks/{unlock_id}.
func (s *Server) UpdateUnlock(ctx context.Context, request api.UpdateUnlockRequestObject) (api.UpdateUnlockResponseObject, error) {
	changed, err := s.Unlocks.Update(ctx, request.UnlockID, unlock.Update{
		IsPostedToFeed: request.Body.IsPostedToFeed, Caption: cleared(request.Body.Caption),
	}, version.Conditions(request.Params.IfMatch, request.Params.IfNoneMatch))
	if err != nil {
		return nil, err
	}
	return api.UpdateUnlock200JSONResponse{
		Body: toAPIUnlock(ctx, changed), Headers: api.UpdateUnlock200ResponseHeaders{ETag: ptr(version.ETag(changed.UpdatedAt))},
	}, nil
}
