package account

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/ent/mixin"
	entsession "github.com/picaspot/picaspot/ent/session"
	entuser "github.com/picaspot/picaspot/ent/user"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/mail"
	"github.com/picaspot/picaspot/internal/name"
	"github.com/picaspot/picaspot/internal/photo"
	"github.com/picaspot/picaspot/internal/picture"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/version"
)

// maxDisplayName is how many characters a display name has at most.
const maxDisplayName = 64

var (
	errNoAvatar         = fault.New(fault.NotFound, "not_found", "The user has no picture.")
	errDisplayNameBlank = fault.New(fault.Unprocessable, "display_name_blank", "A name that is shown can't be blank.").
				With(fault.Field{Pointer: "/display_name", Code: "blank", Message: "Send null to have none."})
)

// Update is a change of the caller's profile; nil leaves a field as it is.
type Update struct {
	// DisplayName is absent when nil, and when it points to nil it is cleared.
	DisplayName **string
	Bio         *string
}

// Update changes the caller's profile.
func (s *Service) Update(ctx context.Context, in Update, pre version.Precondition) (*ent.User, error) {
	var displayName string
	if in.DisplayName != nil && *in.DisplayName != nil {
		var err error
		switch displayName, err = name.Clean("/display_name", **in.DisplayName, maxDisplayName); {
		case errors.Is(err, name.ErrBlank):
			return nil, errDisplayNameBlank
		case err != nil:
			return nil, err
		}
	}
	return s.change(ctx, pre, func(_ *store.Tx, _ *ent.User, update *ent.UserUpdateOne) error {
		update.SetNillableBio(in.Bio)
		switch {
		case in.DisplayName == nil:
		case *in.DisplayName == nil:
			update.ClearDisplayName()
		default:
			update.SetDisplayName(displayName)
		}
		return nil
	})
}

// change locks the caller's account, asks whether it is the version that they saw,
// and saves what fn sets.
func (s *Service) change(ctx context.Context, pre version.Precondition, fn func(*store.Tx, *ent.User, *ent.UserUpdateOne) error) (*ent.User, error) {
	caller, _ := authz.CallerFrom(ctx)
	var changed *ent.User
	err := s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		found, err := lock(ctx, tx, caller.UserID)
		if err != nil {
			return err
		}
		if err := pre.Check(found.UpdatedAt); err != nil {
			return err
		}
		update := tx.User.UpdateOne(found)
		if err := fn(tx, found, update); err != nil {
			return err
		}
		if m := update.Mutation(); len(m.Fields()) == 0 && len(m.ClearedFields()) == 0 {
			changed = found
			return nil
		}
		changed, err = update.Save(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	return changed, nil
}

// SetAvatar gives the caller a picture, in place of the one that they have.
func (s *Service) SetAvatar(ctx context.Context, file io.ReadSeeker, size int64) (*ent.User, error) {
	caller, _ := authz.CallerFrom(ctx)
	// Each upload has a file of its own: see area.SetImage.
	made, err := s.pictures.Add(ctx, picture.UserPrefix(caller.UserID)+"/"+mixin.NewID().String(), file, size)
	if err != nil {
		return nil, err
	}
	changed, err := s.replaceAvatar(ctx, made)
	if err != nil {
		s.pictures.Undo(ctx, made.Key, err)
	}
	return changed, err
}

// ClearAvatar removes the caller's picture, if there is one.
func (s *Service) ClearAvatar(ctx context.Context) error {
	_, err := s.replaceAvatar(ctx, nil)
	return err
}

func (s *Service) replaceAvatar(ctx context.Context, made *photo.Image) (*ent.User, error) {
	return s.change(ctx, version.Precondition{}, func(tx *store.Tx, found *ent.User, update *ent.UserUpdateOne) error {
		if err := picture.Discard(ctx, tx, found.Avatar); err != nil {
			return err
		}
		switch {
		case made != nil:
			update.SetAvatar(made)
		case found.Avatar != nil:
			update.ClearAvatar()
		}
		return nil
	})
}

// Avatar opens a user's picture; the caller closes it. Suspended users have none.
func (s *Service) Avatar(ctx context.Context, id uuid.UUID) (*photo.Image, func(context.Context) (io.ReadCloser, error), error) {
	found, err := s.Get(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	if found.Avatar == nil || found.Status != entuser.StatusActive {
		return nil, nil, errNoAvatar
	}
	return found.Avatar, func(ctx context.Context) (io.ReadCloser, error) { return s.pictures.Open(ctx, found.Avatar) }, nil
}

// Delete deletes the caller's account, for the password and, where there is a
// second factor, a code. The row stays for the retention, unseen. The last one who
// may change the policy stays: that is a conflict.
func (s *Service) Delete(ctx context.Context, plain, code string) error {
	confirmed, err := s.confirm(ctx, "/password", plain)
	if err != nil {
		return err
	}
	return s.proven(ctx, confirmed, code, func(ctx context.Context, tx *store.Tx, user *ent.User) error {
		governance, err := s.policy.Govern(ctx, tx)
		if err != nil {
			return err
		}
		if governance.IsManager(user) {
			if err := governance.RequireAnotherManager(ctx, tx, user.ID); err != nil {
				return err
			}
		}
		if err := endPending(ctx, tx, user.ID); err != nil {
			return err
		}
		if _, err := s.endSessions(ctx, tx, user.ID, entsession.EndReasonAccountDeleted); err != nil {
			return err
		}
		if err := s.notify(ctx, tx, user, mail.AccountDeleted); err != nil {
			return err
		}
		if err := tx.User.DeleteOneID(user.ID).Exec(mixin.WithDeletion(ctx)); err != nil {
			if store.IsNotFound(err) {
				return errNotFound
			}
			return fmt.Errorf("delete the account: %w", err)
		}
		return nil
	})
}
