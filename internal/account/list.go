package account

import (
	"context"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/ent/predicate"
	entuser "github.com/picaspot/picaspot/ent/user"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/page"
)

// Filter narrows a list of accounts; nil and empty do not.
type Filter struct {
	Role   string
	Status *entuser.Status
	// Search keeps accounts whose name, shown or not, or address contains it, in
	// whatever case.
	Search string
}

var list = page.List{
	Name: "users", Default: "created_at",
	SortBy: map[string]page.Column{
		"created_at": {Name: entuser.FieldCreatedAt, Type: page.Time},
		"updated_at": {Name: entuser.FieldUpdatedAt, Type: page.Time},
		"username":   {Name: entuser.FieldUsername, Type: page.Text},
	},
}

// List returns a page of the living accounts that the caller may manage.
func (s *Service) List(ctx context.Context, f Filter, params page.Params) (page.Result[*ent.User], error) {
	var own *uuid.UUID
	if caller, _ := authz.CallerFrom(ctx); caller.Scope != authz.Any {
		own = &caller.UserID
	}
	q, err := list.Resolve(params, s.cursors, []any{f, own})
	if err != nil {
		return page.Result[*ent.User]{}, err
	}
	var where []predicate.User
	if own != nil {
		where = append(where, entuser.ID(*own))
	}
	if f.Role != "" {
		where = append(where, entuser.Role(f.Role))
	}
	if f.Status != nil {
		where = append(where, entuser.StatusEQ(*f.Status))
	}
	if f.Search != "" {
		// No index serves it: a few people ask, now and then.
		where = append(where, entuser.Or(
			entuser.UsernameContainsFold(f.Search), entuser.EmailContainsFold(f.Search), entuser.DisplayNameContainsFold(f.Search),
		))
	}
	return page.Fetch(ctx, q, page.Source[*ent.User]{
		List: func(ctx context.Context, limit, offset int) ([]*ent.User, error) {
			return s.store.Ent.User.Query().Where(append(where, q.Where)...).Order(q.Order).Limit(limit).Offset(offset).All(ctx)
		},
		Count: func(ctx context.Context) (int, error) {
			return s.store.Ent.User.Query().Where(where...).Count(ctx)
		},
		Key: func(u *ent.User, column string) any {
			switch column {
			case entuser.FieldID:
				return u.ID
			case entuser.FieldUsername:
				return u.Username
			case entuser.FieldUpdatedAt:
				return u.UpdatedAt
			default:
				return u.CreatedAt
			}
		},
	})
}

// Managed returns a living account that the caller may manage, or [fault.NotFound].
func (s *Service) Managed(ctx context.Context, id uuid.UUID) (*ent.User, error) {
	if err := authz.RequireOwner(ctx, id, false); err != nil {
		return nil, err
	}
	return s.Get(ctx, id)
}
