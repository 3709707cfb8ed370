package unlock

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent"
	entattempt "github.com/picaspot/picaspot/ent/attempt"
	"github.com/picaspot/picaspot/ent/predicate"
	entunlock "github.com/picaspot/picaspot/ent/unlock"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/page"
)

// AttemptFilter narrows a list of attempts; nil and empty do not.
type AttemptFilter struct {
	Status     string
	LandmarkID *uuid.UUID
	UserID     *uuid.UUID
}

// Filter narrows a list of unlocks; nil does not.
type Filter struct {
	LandmarkID *uuid.UUID
	UserID     *uuid.UUID
}

var (
	byTime = map[string]page.Column{
		"created_at": {Name: entattempt.FieldCreatedAt, Type: page.Time},
		"updated_at": {Name: entattempt.FieldUpdatedAt, Type: page.Time},
	}
	attemptList = page.List{Name: "attempts", Default: "created_at", SortBy: byTime}
	unlockList  = page.List{Name: "unlocks", Default: "created_at", SortBy: byTime}
)

// ownOnly is the user that a list is limited to: the caller, unless they may see
// everybody's.
func ownOnly(ctx context.Context) *uuid.UUID {
	caller, _ := authz.CallerFrom(ctx)
	if caller.Scope == authz.Any {
		return nil
	}
	return &caller.UserID
}

// Attempts returns a page of the attempts that the caller may see.
func (s *Service) Attempts(ctx context.Context, f AttemptFilter, params page.Params) (page.Result[*ent.Attempt], error) {
	own := ownOnly(ctx)
	q, err := attemptList.Resolve(params, s.cursors, []any{f, own})
	if err != nil {
		return page.Result[*ent.Attempt]{}, err
	}
	var where []predicate.Attempt
	for _, user := range []*uuid.UUID{own, f.UserID} {
		if user != nil {
			where = append(where, entattempt.UserID(*user))
		}
	}
	if f.LandmarkID != nil {
		where = append(where, entattempt.LandmarkID(*f.LandmarkID))
	}
	if f.Status != "" {
		where = append(where, entattempt.StatusEQ(entattempt.Status(f.Status)))
	}
	return page.Fetch(ctx, q, page.Source[*ent.Attempt]{
		List: func(ctx context.Context, limit, offset int) ([]*ent.Attempt, error) {
			return s.store.Ent.Attempt.Query().Where(append(where, q.Where)...).Order(q.Order).Limit(limit).Offset(offset).All(ctx)
		},
		Count: func(ctx context.Context) (int, error) {
			if own == nil && f.UserID == nil && f.LandmarkID == nil {
				having := map[string]any{}
				if f.Status != "" {
					having[entattempt.FieldStatus] = f.Status
				}
				return s.store.Total(ctx, entattempt.Table, having)
			}
			return s.store.Ent.Attempt.Query().Where(where...).Count(ctx)
		},
		Key: func(a *ent.Attempt, column string) any {
			switch column {
			case entattempt.FieldID:
				return a.ID
			case entattempt.FieldUpdatedAt:
				return a.UpdatedAt
			default:
				return a.CreatedAt
			}
		},
	})
}

// Unlocks returns a page of the unlocks that the caller may see.
func (s *Service) Unlocks(ctx context.Context, f Filter, params page.Params) (page.Result[*ent.Unlock], error) {
	own := ownOnly(ctx)
	q, err := unlockList.Resolve(params, s.cursors, []any{f, own})
	if err != nil {
		return page.Result[*ent.Unlock]{}, err
	}
	var where []predicate.Unlock
	for _, user := range []*uuid.UUID{own, f.UserID} {
		if user != nil {
			where = append(where, entunlock.UserID(*user))
		}
	}
	if f.LandmarkID != nil {
		where = append(where, entunlock.LandmarkID(*f.LandmarkID))
	}
	return page.Fetch(ctx, q, page.Source[*ent.Unlock]{
		List: func(ctx context.Context, limit, offset int) ([]*ent.Unlock, error) {
			return s.store.Ent.Unlock.Query().Where(append(where, q.Where)...).Order(q.Order).Limit(limit).Offset(offset).All(ctx)
		},
		Count: func(ctx context.Context) (int, error) {
			if own == nil && f == (Filter{}) {
				return s.store.Total(ctx, entunlock.Table, nil)
			}
			return s.store.Ent.Unlock.Query().Where(where...).Count(ctx)
		},
		Key: func(u *ent.Unlock, column string) any {
			switch column {
			case entunlock.FieldID:
				return u.ID
			case entunlock.FieldUpdatedAt:
				return u.UpdatedAt
			default:
				return u.CreatedAt
			}
		},
	})
}

// UnlockIDs returns, for each attempt that succeeded, the unlock of its user and
// landmark, by the attempt's id. Served by unlock_user_id_landmark_id.
func (s *Service) UnlockIDs(ctx context.Context, attempts ...*ent.Attempt) (map[uuid.UUID]uuid.UUID, error) {
	var where []predicate.Unlock
	for _, a := range attempts {
		if a.Status == entattempt.StatusSucceeded {
			where = append(where, entunlock.And(entunlock.UserID(a.UserID), entunlock.LandmarkID(a.LandmarkID)))
		}
	}
	ids := map[uuid.UUID]uuid.UUID{}
	if len(where) == 0 {
		return ids, nil
	}
	unlocks, err := s.store.Ent.Unlock.Query().Where(entunlock.Or(where...)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("find the unlocks of attempts: %w", err)
	}
	for _, a := range attempts {
		for _, u := range unlocks {
			if a.Status == entattempt.StatusSucceeded && u.UserID == a.UserID && u.LandmarkID == a.LandmarkID {
				ids[a.ID] = u.ID
			}
		}
	}
	return ids, nil
}
