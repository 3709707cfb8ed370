// Package landmark is about landmarks: places to find and to photograph.
package landmark

import (
	"cmp"
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent"
	entarea "github.com/picaspot/picaspot/ent/area"
	entlandmark "github.com/picaspot/picaspot/ent/landmark"
	"github.com/picaspot/picaspot/ent/mixin"
	"github.com/picaspot/picaspot/internal/area"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/batch"
	"github.com/picaspot/picaspot/internal/cache"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/name"
	"github.com/picaspot/picaspot/internal/page"
	"github.com/picaspot/picaspot/internal/picture"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/version"
	"github.com/picaspot/picaspot/internal/webhook"
)

// DuplicateMeters is how near to another a landmark of a similar name is taken
// for the same one.
const DuplicateMeters = 25

// Defaults of what a new landmark leaves open.
const (
	DefaultDifficulty         = 1
	DefaultUnlockRadiusMeters = 100
	DefaultPhotoRadiusMeters  = 50
)

var (
	errNotFound      = fault.New(fault.NotFound, "not_found", "There is no such landmark.")
	errPhotoLocation = fault.New(fault.Invalid, "invalid_request", "The position lacks a number.")
	errAreaUnknown   = fault.New(fault.Unprocessable, "area_unknown", "There is no such area.").
				With(fault.Field{Pointer: "/area_id", Code: "unknown", Message: "There is no such area."})
)

// The permission that lets somebody create what counts as verified at once.
const permissionVerify authz.Permission = "landmark:verify"

// Service does what can be done with landmarks.
type Service struct {
	store    *store.Store
	authz    *authz.Authorizer
	pictures *picture.Gallery
	cursors  *page.Codec
	cache    *cache.Cache
	render   cache.Render[ent.Landmark]
	lookups  *batch.Joint[*lookup]
}

// Parts are what the service is made of. Without a cache the database is asked.
type Parts struct {
	Store    *store.Store
	Authz    *authz.Authorizer
	Pictures *picture.Gallery
	Cursors  *page.Codec
	Cache    *cache.Cache
	Render   cache.Render[ent.Landmark]
}

// NewService makes the service.
func NewService(p Parts) *Service {
	s := &Service{store: p.Store, authz: p.Authz, pictures: p.Pictures, cursors: p.Cursors, cache: p.Cache, render: p.Render}
	s.lookups = s.newLookups()
	return s
}

// Create is what a new landmark is made of. Zero radii and difficulty mean the defaults.
type Create struct {
	AreaID             uuid.UUID
	Name               string
	Description        string
	Hint               string
	Difficulty         int
	Location           geo.Point
	UnlockRadiusMeters float64
	PhotoLocation      *geo.Point
	PhotoRadiusMeters  float64
	// AllowDuplicate creates it although a similar one stands within [DuplicateMeters].
	AllowDuplicate bool
	// ExternalID says where it was imported from; empty for landmarks made by hand.
	ExternalID string
}

// Create adds a landmark of the caller's to a living area. It is verified at
// once when the caller may verify landmarks. Another of a similar name within
// [DuplicateMeters] in the same area is a conflict that names it.
func (s *Service) Create(ctx context.Context, in Create) (*ent.Landmark, error) {
	clean, err := name.Clean("/name", in.Name, name.MaxCharacters)
	if err != nil {
		return nil, err
	}
	caller, _ := authz.CallerFrom(ctx)
	verified := s.authz.May(ctx, permissionVerify) == authz.Any
	var created *ent.Landmark
	err = s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := checkArea(ctx, tx, in.AreaID); err != nil {
			return err
		}
		if !in.AllowDuplicate {
			if err := checkDuplicate(ctx, tx, in.AreaID, clean, in.Location); err != nil {
				return err
			}
		}
		builder := tx.Landmark.Create().
			SetAreaID(in.AreaID).SetName(clean).SetDescription(in.Description).SetHint(in.Hint).
			SetDifficulty(cmp.Or(in.Difficulty, DefaultDifficulty)).
			SetLocation(in.Location).SetUnlockRadiusMeters(cmp.Or(in.UnlockRadiusMeters, DefaultUnlockRadiusMeters)).
			SetPhotoRadiusMeters(cmp.Or(in.PhotoRadiusMeters, DefaultPhotoRadiusMeters)).
			SetCreatedBy(caller.UserID).SetIsVerified(verified)
		if in.PhotoLocation != nil {
			builder.SetPhotoLocation(in.PhotoLocation)
		}
		if in.ExternalID != "" {
			builder.SetExternalID(in.ExternalID)
		}
		if created, err = builder.Save(ctx); err != nil {
			return err
		}
		return webhook.Emit(ctx, tx, webhook.LandmarkCreated, webhook.OfLandmark(created))
	})
	if err != nil {
		return nil, err
	}
	return created, nil
}

// Get returns a living landmark or [fault.NotFound].
func (s *Service) Get(ctx context.Context, id uuid.UUID) (*ent.Landmark, error) {
	found, err := s.store.Ent.Landmark.Get(ctx, id)
	return found, missing(err)
}

// Update is a change of a landmark; nil leaves a field as it is.
type Update struct {
	AreaID             *uuid.UUID
	Name               *string
	Description        *string
	Hint               *string
	Difficulty         *int
	Latitude           *float64
	Longitude          *float64
	UnlockRadiusMeters *float64
	PhotoRadiusMeters  *float64
	// PhotoLocation is absent when nil, and cleared when it points to nil.
	PhotoLocation **PositionUpdate
}

// PositionUpdate is a merge patch of a position, in degrees; nil leaves a number as it is.
type PositionUpdate struct{ Latitude, Longitude *float64 }

// apply returns the patched position. Where there is none before, the error names the
// numbers that are missing.
func (u PositionUpdate) apply(before *geo.Point) (geo.Point, error) {
	if before == nil {
		refused := errPhotoLocation
		missing := func(name string) {
			refused = refused.With(fault.Field{Pointer: "/photo_location/" + name, Code: "required", Message: "There is no photo_location yet: both numbers are needed."})
		}
		if u.Latitude == nil {
			missing("latitude")
		}
		if u.Longitude == nil {
			missing("longitude")
		}
		if len(refused.Fields) > 0 {
			return geo.Point{}, refused
		}
		before = &geo.Point{}
	}
	return geo.New(*cmp.Or(u.Latitude, &before.Latitude), *cmp.Or(u.Longitude, &before.Longitude))
}

// Update changes a landmark that the caller may change. One that was verified is
// so no more when its owner renames it or moves it beyond its radius.
func (s *Service) Update(ctx context.Context, id uuid.UUID, in Update, pre version.Precondition) (*ent.Landmark, error) {
	if in.Name != nil {
		clean, err := name.Clean("/name", *in.Name, name.MaxCharacters)
		if err != nil {
			return nil, err
		}
		in.Name = &clean
	}
	return s.change(ctx, id, pre, func(ctx context.Context, tx *store.Tx, found *ent.Landmark, update *ent.LandmarkUpdateOne) error {
		if in.AreaID != nil && *in.AreaID != found.AreaID {
			if err := checkArea(ctx, tx, *in.AreaID); err != nil {
				return err
			}
		}
		update.SetNillableAreaID(in.AreaID).SetNillableName(in.Name).SetNillableDescription(in.Description).
			SetNillableHint(in.Hint).SetNillableDifficulty(in.Difficulty).
			SetNillableUnlockRadiusMeters(in.UnlockRadiusMeters).SetNillablePhotoRadiusMeters(in.PhotoRadiusMeters)
		if in.Latitude != nil || in.Longitude != nil {
			location, err := geo.New(*cmp.Or(in.Latitude, &found.Location.Latitude), *cmp.Or(in.Longitude, &found.Location.Longitude))
			if err != nil {
				return err
			}
			update.SetLocation(location)
		}
		switch {
		case in.PhotoLocation == nil:
		case *in.PhotoLocation == nil:
			update.ClearPhotoLocation()
		default:
			to, err := (*in.PhotoLocation).apply(found.PhotoLocation)
			if err != nil {
				return err
			}
			update.SetPhotoLocation(&to)
		}
		s.judgeChange(ctx, found, update)
		return nil
	}, lockFor(in))
}

// lockFor is the lock that a change needs: an area takes a landmark in only
// while it is there.
func lockFor(in Update) area.TreeLock {
	if in.AreaID != nil {
		return area.Shared
	}
	return area.None
}

// SetVerified marks a landmark as checked, or withdraws that.
func (s *Service) SetVerified(ctx context.Context, id uuid.UUID, verified bool) (*ent.Landmark, error) {
	return s.change(ctx, id, version.Precondition{}, setVerified(verified), area.None)
}

// SetVerifiedTx is [Service.SetVerified] as a part of a transaction.
func (s *Service) SetVerifiedTx(ctx context.Context, tx *store.Tx, id uuid.UUID, verified bool) (*ent.Landmark, error) {
	return s.changeTx(ctx, tx, id, version.Precondition{}, setVerified(verified), area.None)
}

// changing sets what becomes of a locked landmark.
type changing func(context.Context, *store.Tx, *ent.Landmark, *ent.LandmarkUpdateOne) error

func setVerified(verified bool) changing {
	return func(_ context.Context, _ *store.Tx, found *ent.Landmark, update *ent.LandmarkUpdateOne) error {
		if found.IsVerified != verified {
			update.SetIsVerified(verified)
		}
		if found.VerifiedTarget != nil {
			update.ClearVerifiedTarget()
		}
		return nil
	}
}

// Delete deletes a landmark that the caller may delete. Unlocks stay.
func (s *Service) Delete(ctx context.Context, id uuid.UUID, pre version.Precondition) error {
	return s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error { return s.DeleteTx(ctx, tx, id, pre) })
}

// DeleteTx is [Service.Delete] as a part of a transaction.
func (s *Service) DeleteTx(ctx context.Context, tx *store.Tx, id uuid.UUID, pre version.Precondition) error {
	found, err := s.lock(ctx, tx, id, pre)
	if err != nil {
		return err
	}
	if err := tx.Landmark.DeleteOneID(id).Exec(mixin.WithDeletion(ctx)); err != nil {
		return err
	}
	return webhook.Emit(ctx, tx, webhook.LandmarkDeleted, webhook.OfLandmark(found))
}

// change locks a living landmark, asks whether the caller may change it and
// whether it is the version that the caller saw, and saves what fn sets. When
// that is nothing, the landmark stays the version that it is. The lock on the
// tree of areas comes first, as it does when an area is deleted: the other way
// round the two would wait for each other.
func (s *Service) change(ctx context.Context, id uuid.UUID, pre version.Precondition, fn changing, lock area.TreeLock) (*ent.Landmark, error) {
	var changed *ent.Landmark
	err := s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		changed, err = s.changeTx(ctx, tx, id, pre, fn, lock)
		return err
	})
	if err != nil {
		return nil, err
	}
	return changed, nil
}

func (s *Service) changeTx(
	ctx context.Context, tx *store.Tx, id uuid.UUID, pre version.Precondition, fn changing, lock area.TreeLock,
) (*ent.Landmark, error) {
	if err := area.LockTree(ctx, tx, lock); err != nil {
		return nil, err
	}
	found, err := s.lock(ctx, tx, id, pre)
	if err != nil {
		return nil, err
	}
	update := tx.Landmark.UpdateOneID(id)
	if err := fn(ctx, tx, found, update); err != nil {
		return nil, err
	}
	if m := update.Mutation(); len(m.Fields()) == 0 && len(m.ClearedFields()) == 0 {
		return found, nil
	}
	changed, err := update.Save(ctx)
	if err != nil {
		return nil, missing(err)
	}
	return changed, webhook.Emit(ctx, tx, webhook.LandmarkUpdated, webhook.OfLandmark(changed))
}

// lock reads a living landmark for a change by the caller.
func (s *Service) lock(ctx context.Context, tx *store.Tx, id uuid.UUID, pre version.Precondition) (*ent.Landmark, error) {
	found, err := tx.Landmark.Query().Where(entlandmark.ID(id)).ForUpdate().Only(ctx)
	if err != nil {
		return nil, missing(err)
	}
	if err := authz.RequireOwner(ctx, found.CreatedBy, true); err != nil {
		return nil, err
	}
	return found, pre.Check(found.UpdatedAt)
}

// checkArea asks whether an area is there to take a landmark, and keeps it
// there until the transaction ends.
func checkArea(ctx context.Context, tx *store.Tx, id uuid.UUID) error {
	if err := area.LockTree(ctx, tx, area.Shared); err != nil {
		return err
	}
	exists, err := tx.Area.Query().Where(entarea.ID(id)).Exist(ctx)
	if err != nil {
		return fmt.Errorf("find the area: %w", err)
	}
	if !exists {
		return errAreaUnknown
	}
	return nil
}

// checkDuplicate looks for a landmark of a similar name nearby in the same area,
// while nobody else adds one there. Served by landmark_location, for the distance; the
// few that are near are put in order after that, since the index itself fails around
// (0, 0), where rounding lets it find a place nearer than it had estimated.
func checkDuplicate(ctx context.Context, tx *store.Tx, areaID uuid.UUID, typed string, at geo.Point) error {
	// One at a time in an area, or two at once would not see each other.
	if _, err := tx.ExecContext(ctx, "-- name: landmark_lock_area\nSELECT pg_advisory_xact_lock(hashtextextended($1, 0))", areaID.String()); err != nil {
		return fmt.Errorf("lock the area: %w", err)
	}
	rows, err := tx.QueryContext(ctx, `-- name: landmark_find_duplicate
SELECT id, name, ST_Distance(location, $2) FROM landmarks
WHERE deleted_at IS NULL AND area_id = $1 AND ST_DWithin(location, $2, $4)
  AND (name_key(name) = name_key($3) OR similarity(name_key(name), name_key($3)) >= 0.5)
ORDER BY ST_Distance(location, $2), id LIMIT 1`, areaID, at, typed, DuplicateMeters)
	if err != nil {
		return fmt.Errorf("look for duplicates: %w", err)
	}
	defer rows.Close()
	if !rows.Next() {
		return rows.Err()
	}
	var id uuid.UUID
	var other string
	var meters float64
	if err := rows.Scan(&id, &other, &meters); err != nil {
		return fmt.Errorf("look for duplicates: %w", err)
	}
	return fault.New(fault.Conflict, "landmark_duplicate",
		fmt.Sprintf("%q (%s) stands %.0f m away in the same area. Set allow_duplicate if this is another one.", other, id, meters)).
		With(fault.Field{Pointer: "/name", Code: "duplicate", Message: "It is similar to " + id.String() + "."})
}

func missing(err error) error {
	if store.IsNotFound(err) {
		return errNotFound
	}
	return err
}
