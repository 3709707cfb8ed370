package unlock

import (
	"context"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent"
	entunlock "github.com/picaspot/picaspot/ent/unlock"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/version"
)

// Unlock returns an unlock that the caller may see, or [fault.NotFound].
func (s *Service) Unlock(ctx context.Context, id uuid.UUID) (*ent.Unlock, error) {
	found, err := s.store.Ent.Unlock.Get(ctx, id)
	if err != nil {
		return nil, missingUnlock(err)
	}
	return found, authz.RequireOwner(ctx, found.UserID, false)
}

// Update is a change of an unlock; nil leaves a field as it is.
type Update struct {
	IsPostedToFeed *bool
	Caption        *string
}

// Update changes an unlock of the caller's.
func (s *Service) Update(ctx context.Context, id uuid.UUID, in Update, pre version.Precondition) (*ent.Unlock, error) {
	var changed *ent.Unlock
	err := s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		found, err := tx.Unlock.Query().Where(entunlock.ID(id)).ForUpdate().Only(ctx)
		if err != nil {
			return missingUnlock(err)
		}
		if err := authz.RequireOwner(ctx, found.UserID, false); err != nil {
			return err
		}
		if err := pre.Check(found.UpdatedAt); err != nil {
			return err
		}
		changed, err = tx.Unlock.UpdateOneID(id).
			SetNillableIsPostedToFeed(in.IsPostedToFeed).SetNillableCaption(in.Caption).Save(ctx)
		return missingUnlock(err)
	})
	if err != nil {
		return nil, err
	}
	return changed, nil
}

func missingUnlock(err error) error {
	if store.IsNotFound(err) {
		return errUnlockNotFound
	}
	return err
}
