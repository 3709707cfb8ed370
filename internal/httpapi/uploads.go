package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/operation"
	"github.com/picaspot/picaspot/internal/reqctx"
)

// tusVersion is that of the protocol which uploads speak.
const tusVersion = "1.0.0"

var errTusVersion = fault.New(fault.PreconditionFailed, "tus_version", "This server speaks version "+tusVersion+" of the tus protocol.")

// CreateUpload implements POST /api/v1/uploads.
func (s *Server) CreateUpload(ctx context.Context, request api.CreateUploadRequestObject) (api.CreateUploadResponseObject, error) {
	made, err := s.Uploads.Create(ctx, request.Body.Bytes)
	if err != nil {
		return nil, err
	}
	address := s.Addresses.SignUntil("/api/v1/uploads/"+made.ID.String(), made.ExpiresAt)
	return api.CreateUpload201JSONResponse{
		Body: api.Upload{
			UploadID: made.ID, URL: address, ExpiresAt: reqctx.In(ctx, made.ExpiresAt),
			Headers: map[string]string{"Tus-Resumable": tusVersion, "Content-Type": "application/offset+octet-stream"},
		},
		Headers: api.CreateUpload201ResponseHeaders{Location: &address},
	}, nil
}

// GetUploadOffset implements HEAD /api/v1/uploads/{upload_id}.
func (s *Server) GetUploadOffset(ctx context.Context, request api.GetUploadOffsetRequestObject) (api.GetUploadOffsetResponseObject, error) {
	if err := checkTus(request.Params.TusResumable); err != nil {
		return nil, err
	}
	found, err := s.Uploads.Get(ctx, request.UploadID, uploader(ctx))
	if err != nil {
		return nil, err
	}
	return api.GetUploadOffset200Response{Headers: api.GetUploadOffset200ResponseHeaders{
		TusResumable: ptr(tusVersion), UploadOffset: &found.Received, UploadLength: &found.Bytes, UploadExpires: expires(found),
	}}, nil
}

// AddUploadPart implements PATCH /api/v1/uploads/{upload_id}.
func (s *Server) AddUploadPart(ctx context.Context, request api.AddUploadPartRequestObject) (api.AddUploadPartResponseObject, error) {
	if err := checkTus(request.Params.TusResumable); err != nil {
		return nil, err
	}
	found, err := s.Uploads.Append(ctx, request.UploadID, uploader(ctx), request.Params.UploadOffset, request.Body)
	if err != nil {
		return nil, err
	}
	return api.AddUploadPart204Response{Headers: api.AddUploadPart204ResponseHeaders{
		TusResumable: ptr(tusVersion), UploadOffset: &found.Received, UploadExpires: expires(found),
	}}, nil
}

// DeleteUpload implements DELETE /api/v1/uploads/{upload_id}.
func (s *Server) DeleteUpload(ctx context.Context, request api.DeleteUploadRequestObject) (api.DeleteUploadResponseObject, error) {
	if err := checkTus(request.Params.TusResumable); err != nil {
		return nil, err
	}
	if err := s.Uploads.Delete(ctx, request.UploadID, uploader(ctx)); err != nil {
		return nil, err
	}
	return api.DeleteUpload204Response{Headers: api.DeleteUpload204ResponseHeaders{TusResumable: ptr(tusVersion)}}, nil
}

// checkTus refuses what a client of another version of the protocol sends.
func checkTus(version *string) error {
	if deref(version, tusVersion) != tusVersion {
		return errTusVersion
	}
	return nil
}

// uploader is whose upload a request may be about: the caller's, or with a signed address
// the one that it is of, for which it is nil.
func uploader(ctx context.Context) *uuid.UUID {
	if _, signed := operation.SignedUntil(ctx); signed {
		return nil
	}
	caller, _ := authz.CallerFrom(ctx)
	return &caller.UserID
}

// expires is the end of an upload as headers have it.
func expires(u *ent.Upload) *string { return ptr(u.ExpiresAt.In(time.UTC).Format(http.TimeFormat)) }
