package httpapi

import (
	"context"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/api"
)

func avatarPath(user uuid.UUID) string { return "/api/v1/users/" + user.String() + "/avatar" }

// GetUserAvatar implements GET /api/v1/users/{user_id}/avatar.
func (s *Server) GetUserAvatar(ctx context.Context, request api.GetUserAvatarRequestObject) (api.GetUserAvatarResponseObject, error) {
	image, open, err := s.Accounts.Avatar(ctx, request.UserID)
	if err != nil {
		return nil, err
	}
	kept, err := cachePicture(ctx, image, request.Params.Version)
	if err != nil {
		return nil, err
	}
	tag, notModified := etag(pictureTag(image), request.Params.IfNoneMatch)
	if notModified {
		return api.GetUserAvatar304Response{}, nil
	}
	body, err := open(ctx)
	if err != nil {
		return nil, err
	}
	return api.GetUserAvatar200ImageJpegResponse{
		Body: body, ContentLength: image.Bytes,
		Headers: api.GetUserAvatar200ResponseHeaders{ETag: tag, CacheControl: kept},
	}, nil
}
