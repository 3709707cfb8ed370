package account

import (
	"context"

	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/ent/predicate"
	entuser "github.com/picaspot/picaspot/ent/user"
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

// List returns a page of the living accounts.
func (s *Service) List(ctx context.Context, f Filter, params page.Params) (page.Result[*ent.User], error) {
	q, err := list.Resolve(params, s.cursors, f)
	if err != nil {
		return page.Result[*ent.User]{}, err
	}
	var where []predicate.User
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
