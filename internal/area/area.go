// Package area is about areas: groups of landmarks that nest, ten levels at most.
package area

import (
	"context"
	"fmt"

	"entgo.io/ent/dialect/sql"
	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent"
	entarea "github.com/picaspot/picaspot/ent/area"
	entlandmark "github.com/picaspot/picaspot/ent/landmark"
	"github.com/picaspot/picaspot/ent/mixin"
	"github.com/picaspot/picaspot/ent/predicate"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/cache"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/name"
	"github.com/picaspot/picaspot/internal/page"
	"github.com/picaspot/picaspot/internal/picture"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/version"
	"github.com/picaspot/picaspot/internal/webhook"
)

// MaxDepth is how deep areas nest; an area without a parent is at depth 1.
const MaxDepth = 10

var (
	errNotFound      = fault.New(fault.NotFound, "not_found", "There is no such area.")
	errNameTaken     = fault.New(fault.Conflict, "area_name_taken", "There is an area of this name beneath the same parent.")
	errParentUnknown = fault.New(fault.Unprocessable, "parent_area_unknown", "There is no such parent area.").
				With(fault.Field{Pointer: "/parent_area_id", Code: "unknown", Message: "There is no such area."})
	// ErrTooDeep is that of an area which would lie deeper than [MaxDepth].
	ErrTooDeep = fault.New(fault.Unprocessable, "area_too_deep", fmt.Sprintf("Areas nest %d levels at most.", MaxDepth)).
			With(fault.Field{Pointer: "/parent_area_id", Code: "too_deep", Message: "The area would lie too deep."})
	errCircle = fault.New(fault.Unprocessable, "area_circle", "An area can't lie beneath itself.").
			With(fault.Field{Pointer: "/parent_area_id", Code: "circle", Message: "This area lies beneath the one that is to be moved."})
)

// The permission that lets somebody create what counts as verified at once.
const permissionVerify authz.Permission = "area:verify"

// Service does what can be done with areas.
type Service struct {
	store    *store.Store
	authz    *authz.Authorizer
	pictures *picture.Gallery
	cursors  *page.Codec
	cache    *cache.Cache
	render   cache.Render[ent.Area]
}

// Parts are what the service is made of. Without a cache the database is asked.
type Parts struct {
	Store    *store.Store
	Authz    *authz.Authorizer
	Pictures *picture.Gallery
	Cursors  *page.Codec
	Cache    *cache.Cache
	Render   cache.Render[ent.Area]
}

// NewService makes the service.
func NewService(p Parts) *Service {
	return &Service{store: p.Store, authz: p.Authz, pictures: p.Pictures, cursors: p.Cursors, cache: p.Cache, render: p.Render}
}

// Create is what a new area is made of.
type Create struct {
	Name        string
	Description string
	ParentID    *uuid.UUID
	// ExternalID says where it was imported from; empty for areas made by hand.
	ExternalID string
}

// Create adds an area of the caller's. It is verified at once when the caller
// may verify areas. A name that has the key of another one beneath the same parent is a
// conflict, an unknown parent or one at [MaxDepth] is unprocessable.
func (s *Service) Create(ctx context.Context, in Create) (*ent.Area, error) {
	clean, err := name.Clean("/name", in.Name, name.MaxCharacters)
	if err != nil {
		return nil, err
	}
	caller, _ := authz.CallerFrom(ctx)
	verified := s.authz.May(ctx, permissionVerify) == authz.Any
	var created *ent.Area
	err = s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if in.ParentID != nil {
			if err := LockTree(ctx, tx, Shared); err != nil {
				return err
			}
			if err := CheckParent(ctx, tx, uuid.Nil, *in.ParentID, 1); err != nil {
				return err
			}
		}
		builder := tx.Area.Create().
			SetName(clean).SetDescription(in.Description).SetNillableParentAreaID(in.ParentID).
			SetCreatedBy(caller.UserID).SetIsVerified(verified)
		if in.ExternalID != "" {
			builder.SetExternalID(in.ExternalID)
		}
		if created, err = builder.Save(ctx); err != nil {
			return nameFault(err)
		}
		return webhook.Emit(ctx, tx, webhook.AreaCreated, webhook.OfArea(created))
	})
	if err != nil {
		return nil, err
	}
	return created, nil
}

// Get returns a living area or [fault.NotFound].
func (s *Service) Get(ctx context.Context, id uuid.UUID) (*ent.Area, error) {
	found, err := s.store.Ent.Area.Get(ctx, id)
	return found, missing(err)
}

// Update is a change of an area; nil leaves a field as it is.
type Update struct {
	Name        *string
	Description *string
	// MoveTo is the new parent: absent when nil, and when it points to nil the
	// area moves to the top.
	MoveTo **uuid.UUID
}

// Update changes an area that the caller may change.
func (s *Service) Update(ctx context.Context, id uuid.UUID, in Update, pre version.Precondition) (*ent.Area, error) {
	if in.Name != nil {
		clean, err := name.Clean("/name", *in.Name, name.MaxCharacters)
		if err != nil {
			return nil, err
		}
		in.Name = &clean
	}
	return s.change(ctx, id, pre, func(ctx context.Context, tx *store.Tx, found *ent.Area, update *ent.AreaUpdateOne) error {
		update.SetNillableName(in.Name).SetNillableDescription(in.Description)
		renamed := in.Name != nil && *in.Name != found.Name
		if found.IsVerified && renamed && s.authz.May(ctx, permissionVerify) != authz.Any {
			update.SetIsVerified(false)
		}
		if found.NameClashes && (renamed || in.MoveTo != nil && !samePlace(*in.MoveTo, found.ParentAreaID)) {
			update.SetNameClashes(false) // From now on its name is unique, or this fails.
		}
		if in.MoveTo == nil {
			return nil
		}
		parent := *in.MoveTo
		if parent == nil {
			update.ClearParentAreaID()
			return nil
		}
		levels, err := height(ctx, tx, found.ID)
		if err != nil {
			return err
		}
		if err := CheckParent(ctx, tx, found.ID, *parent, levels); err != nil {
			return err
		}
		update.SetParentAreaID(*parent)
		return nil
	}, lockFor(in))
}

// samePlace reports whether two parents, nil for the top, are the same.
func samePlace(a, b *uuid.UUID) bool {
	return a == b || a != nil && b != nil && *a == *b
}

// lockFor is the lock that a change needs: moving an area changes the tree.
func lockFor(in Update) TreeLock {
	if in.MoveTo != nil {
		return Exclusive
	}
	return None
}

// SetVerified marks an area as checked, or withdraws that.
func (s *Service) SetVerified(ctx context.Context, id uuid.UUID, verified bool) (*ent.Area, error) {
	return s.change(ctx, id, version.Precondition{}, setVerified(verified), None)
}

// SetVerifiedTx is [Service.SetVerified] as a part of a transaction.
func (s *Service) SetVerifiedTx(ctx context.Context, tx *store.Tx, id uuid.UUID, verified bool) (*ent.Area, error) {
	return s.changeTx(ctx, tx, id, version.Precondition{}, setVerified(verified), None)
}

// changing sets what becomes of a locked area.
type changing func(context.Context, *store.Tx, *ent.Area, *ent.AreaUpdateOne) error

func setVerified(verified bool) changing {
	return func(_ context.Context, _ *store.Tx, found *ent.Area, update *ent.AreaUpdateOne) error {
		if found.IsVerified != verified {
			update.SetIsVerified(verified)
		}
		return nil
	}
}

// change locks a living area, asks whether the caller may change it and whether
// it is the version that the caller saw, and saves what fn sets. When that is
// nothing, the area stays the version that it is.
func (s *Service) change(ctx context.Context, id uuid.UUID, pre version.Precondition, fn changing, lock TreeLock) (*ent.Area, error) {
	var changed *ent.Area
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
	ctx context.Context, tx *store.Tx, id uuid.UUID, pre version.Precondition, fn changing, lock TreeLock,
) (*ent.Area, error) {
	if err := LockTree(ctx, tx, lock); err != nil {
		return nil, err
	}
	found, err := s.lock(ctx, tx, id, pre)
	if err != nil {
		return nil, err
	}
	update := tx.Area.UpdateOneID(id)
	if err := fn(ctx, tx, found, update); err != nil {
		return nil, err
	}
	if m := update.Mutation(); len(m.Fields()) == 0 && len(m.ClearedFields()) == 0 {
		return found, nil
	}
	changed, err := update.Save(ctx)
	if err != nil {
		return nil, nameFault(err)
	}
	return changed, webhook.Emit(ctx, tx, webhook.AreaUpdated, webhook.OfArea(changed))
}

// lock reads a living area for a change by the caller.
func (s *Service) lock(ctx context.Context, tx *store.Tx, id uuid.UUID, pre version.Precondition) (*ent.Area, error) {
	found, err := tx.Area.Query().Where(entarea.ID(id)).ForUpdate().Only(ctx)
	if err != nil {
		return nil, missing(err)
	}
	if err := authz.RequireOwner(ctx, found.CreatedBy, true); err != nil {
		return nil, err
	}
	return found, pre.Check(found.UpdatedAt)
}

// deletionBatch bounds how many landmarks are deleted, and read for the audit
// log, at a time.
const deletionBatch = 1000

// Delete deletes an area, its descendants and all their landmarks, as one
// deletion. It is not undone half: everything carries the same deletion id.
func (s *Service) Delete(ctx context.Context, id uuid.UUID, pre version.Precondition) error {
	return s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error { return s.DeleteTx(ctx, tx, id, pre) })
}

// DeleteTx is [Service.Delete] as a part of a transaction.
func (s *Service) DeleteTx(ctx context.Context, tx *store.Tx, id uuid.UUID, pre version.Precondition) error {
	ctx = mixin.WithDeletion(ctx)
	if err := LockTree(ctx, tx, Exclusive); err != nil {
		return err
	}
	found, err := s.lock(ctx, tx, id, pre)
	if err != nil {
		return err
	}
	areas, err := Descendants(ctx, tx.Client, id)
	if err != nil {
		return err
	}
	for {
		batch, err := tx.Landmark.Query().Where(entlandmark.AreaIDIn(areas...)).Limit(deletionBatch).IDs(ctx)
		if err != nil {
			return fmt.Errorf("landmarks of area: %w", err)
		}
		if len(batch) == 0 {
			break
		}
		if _, err := tx.Landmark.Delete().Where(entlandmark.IDIn(batch...)).Exec(ctx); err != nil {
			return fmt.Errorf("delete landmarks of area: %w", err)
		}
	}
	if _, err := tx.Area.Delete().Where(entarea.IDIn(areas...)).Exec(ctx); err != nil {
		return fmt.Errorf("delete areas: %w", err)
	}
	return webhook.Emit(ctx, tx, webhook.AreaDeleted, webhook.OfArea(found))
}

// Named is true of areas whose name has the key of another name. The indexes
// area_parent_name and area_root_name serve it, with the parent.
func Named(other string) predicate.Area {
	return func(s *sql.Selector) {
		s.Where(sql.P(func(b *sql.Builder) {
			b.WriteString("name_key(" + s.C(entarea.FieldName) + `) COLLATE "C" = name_key(`).Arg(other).WriteString(`) COLLATE "C"`)
		}))
	}
}

func missing(err error) error {
	if store.IsNotFound(err) {
		return errNotFound
	}
	return err
}

func nameFault(err error) error {
	if store.IsUnique(err, "area_parent_name") || store.IsUnique(err, "area_root_name") {
		return errNameTaken.With(fault.Field{Pointer: "/name", Code: "taken", Message: "The name is taken."})
	}
	return missing(err)
}
