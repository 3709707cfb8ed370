package httpapi

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/oapi-codegen/nullable"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/internal/area"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/landmark"
	"github.com/picaspot/picaspot/internal/photo"
	"github.com/picaspot/picaspot/internal/reqctx"
)

// maybe makes a value that may be null of one that may be absent.
func maybe[T any](value *T) nullable.Nullable[T] {
	if value == nil {
		return nullable.NewNullNullable[T]()
	}
	return nullable.NewNullableWithValue(*value)
}

// Lists are full of nulls, and each would be a map of its own. Nobody writes to these.
var (
	noImage    = nullable.NewNullNullable[api.Image]()
	noPosition = nullable.NewNullNullable[api.Position]()
)

func toAPIImage(ctx context.Context, path string, id uuid.UUID, image *photo.Image) nullable.Nullable[api.Image] {
	if image == nil {
		return noImage
	}
	return toAPIPicture(ctx, "/api/v1/"+path+"/"+id.String()+"/image", image)
}

func toAPIPosition(p *geo.Point) nullable.Nullable[api.Position] {
	if p == nil {
		return noPosition
	}
	return nullable.NewNullableWithValue(api.Position{Latitude: p.Latitude, Longitude: p.Longitude})
}

func toAPIArea(ctx context.Context, a *ent.Area) api.Area {
	return api.Area{
		ID: a.ID, Name: a.Name, Description: a.Description, ParentAreaID: maybe(a.ParentAreaID),
		CreatedBy: a.CreatedBy, IsVerified: a.IsVerified, Image: toAPIImage(ctx, "areas", a.ID, a.Image),
		CreatedAt: reqctx.In(ctx, a.CreatedAt), UpdatedAt: reqctx.In(ctx, a.UpdatedAt),
	}
}

func toAPINearbyArea(ctx context.Context, n area.Near) api.NearbyArea {
	a := toAPIArea(ctx, &n.Area)
	return api.NearbyArea{
		ID: a.ID, Name: a.Name, Description: a.Description, ParentAreaID: a.ParentAreaID,
		CreatedBy: a.CreatedBy, IsVerified: a.IsVerified, Image: a.Image, CreatedAt: a.CreatedAt, UpdatedAt: a.UpdatedAt,
		DistanceMeters: n.DistanceMeters, LandmarkCount: n.LandmarkCount,
	}
}

func toAPILandmark(ctx context.Context, l *ent.Landmark) api.Landmark {
	return api.Landmark{
		ID: l.ID, AreaID: l.AreaID, Name: l.Name, Description: l.Description, Hint: l.Hint, Difficulty: l.Difficulty,
		Latitude: l.Location.Latitude, Longitude: l.Location.Longitude, UnlockRadiusMeters: l.UnlockRadiusMeters,
		PhotoLocation: toAPIPosition(l.PhotoLocation), PhotoRadiusMeters: l.PhotoRadiusMeters,
		CreatedBy: l.CreatedBy, IsVerified: l.IsVerified, Image: toAPIImage(ctx, "landmarks", l.ID, l.Image),
		CreatedAt: reqctx.In(ctx, l.CreatedAt), UpdatedAt: reqctx.In(ctx, l.UpdatedAt),
	}
}

func toAPINearbyLandmark(ctx context.Context, n landmark.Near) (api.NearbyLandmark, error) {
	body, _ := signed(ctx, n.Body)
	l, err := landmarkInZone(ctx, body)
	return api.NearbyLandmark{
		ID: l.ID, AreaID: l.AreaID, Name: l.Name, Description: l.Description, Hint: l.Hint, Difficulty: l.Difficulty,
		Latitude: l.Latitude, Longitude: l.Longitude, UnlockRadiusMeters: l.UnlockRadiusMeters,
		PhotoLocation: l.PhotoLocation, PhotoRadiusMeters: l.PhotoRadiusMeters,
		CreatedBy: l.CreatedBy, IsVerified: l.IsVerified, Image: l.Image, CreatedAt: l.CreatedAt, UpdatedAt: l.UpdatedAt,
		DistanceMeters: n.DistanceMeters, Unlocked: n.Unlocked,
	}, err
}

func toAPIAttempt(ctx context.Context, a *ent.Attempt, unlockID *uuid.UUID) api.Attempt {
	checks := make([]api.Check, len(a.Checks))
	for i, c := range a.Checks {
		checks[i] = api.Check{Name: c.Name, Outcome: api.CheckOutcome(c.Outcome), Score: c.Score, Reason: c.Reason}
	}
	captured, decided := a.CapturedAt, a.DecidedAt
	for _, at := range []**time.Time{&captured, &decided} {
		if *at != nil {
			in := reqctx.In(ctx, **at)
			*at = &in
		}
	}
	photoURL := nullable.NewNullNullable[string]()
	if a.Image != nil {
		photoURL = nullable.NewNullableWithValue(pictureURL(ctx, "/api/v1/attempts/"+a.ID.String()+"/photo", a.Image))
	}
	return api.Attempt{
		ID: a.ID, LandmarkID: a.LandmarkID, UserID: a.UserID, Status: api.AttemptStatus(a.Status),
		Latitude: a.Location.Latitude, Longitude: a.Location.Longitude, AccuracyMeters: maybe(a.AccuracyMeters),
		CapturedAt: maybe(captured), DecidedAt: maybe(decided), Checks: checks, Score: maybe(a.Score), UnlockID: maybe(unlockID),
		Photo: api.AttemptPhoto{
			URL: photoURL, ContentType: a.Photo.ContentType, Bytes: a.Photo.Bytes, Width: a.Photo.Width, Height: a.Photo.Height,
		},
		CreatedAt: reqctx.In(ctx, a.CreatedAt), UpdatedAt: reqctx.In(ctx, a.UpdatedAt),
	}
}

func toAPIUnlock(ctx context.Context, u *ent.Unlock) api.Unlock {
	return api.Unlock{
		ID: u.ID, UserID: u.UserID, LandmarkID: u.LandmarkID, AttemptID: maybe(u.AttemptID),
		IsPostedToFeed: u.IsPostedToFeed, Caption: u.Caption,
		CreatedAt: reqctx.In(ctx, u.CreatedAt), UpdatedAt: reqctx.In(ctx, u.UpdatedAt),
	}
}
