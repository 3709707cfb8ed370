package account

import (
	"context"

	"entgo.io/ent/dialect/sql"

	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/ent/predicate"
	entuser "github.com/picaspot/picaspot/ent/user"
	"github.com/picaspot/picaspot/internal/page"
	"github.com/picaspot/picaspot/internal/search"
)

// Filter narrows a list of accounts; nil and empty do not.
type Filter struct {
	Role   string
	Status *entuser.Status
	// Search keeps accounts whose name, shown or not, or address contains it, whatever
	// the case and accents; of one or two characters, those with a word that begins so.
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

// searched is the text of which user_search has the trigrams.
func searched(s *sql.Selector) string {
	return s.C(entuser.FieldUsername) + "::text || ' ' || " + s.C(entuser.FieldEmail) + "::text || ' ' || coalesce(" + s.C(entuser.FieldDisplayName) + ", '')"
}

// List returns a page of the living accounts.
func (s *Service) List(ctx context.Context, f Filter, params page.Params) (page.Result[*ent.User], error) {
	q, err := list.Resolve(params, s.cursors, f)
	if err != nil {
		return page.Result[*ent.User]{}, err
	}
	var where []predicate.User
	// having is what the database keeps the count of accounts by.
	having := map[string]any{}
	if f.Role != "" {
		where = append(where, entuser.Role(f.Role))
		having[entuser.FieldRole] = f.Role
	}
	if f.Status != nil {
		where = append(where, entuser.StatusEQ(*f.Status))
		having[entuser.FieldStatus] = *f.Status
	}
	if f.Search != "" {
		where = append(where, search.Within(searched, f.Search))
	}
	return page.Fetch(ctx, q, page.Source[*ent.User]{
		List: func(ctx context.Context, limit, offset int) ([]*ent.User, error) {
			return s.store.Ent.User.Query().Where(append(where, q.Where)...).Order(q.Order).Limit(limit).Offset(offset).All(ctx)
		},
		Count: func(ctx context.Context) (int, error) {
			if f.Search == "" {
				return s.store.Total(ctx, entuser.Table, having)
			}
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
