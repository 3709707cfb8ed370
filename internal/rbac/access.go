package rbac

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	entuser "github.com/picaspot/picaspot/ent/user"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/page"
	"github.com/picaspot/picaspot/internal/store"
)

// AccessQuestion is whether a role or a user may do something.
type AccessQuestion struct {
	// Role, or the user whose role it is.
	Role   string
	UserID *uuid.UUID
	// Permission is what is to be done.
	Permission authz.Permission
	// EntityType and EntityID are the object, for a user; EntityID is nil for none.
	EntityType string
	EntityID   *uuid.UUID
}

// Access is the answer to an [AccessQuestion].
type Access struct {
	authz.Explanation
	Allowed bool
	Role    string
	Version int64
}

// Check tells whether a role or a user may do something by the live policy, and why.
func (s *Roles) Check(ctx context.Context, q AccessQuestion) (Access, error) {
	live := s.live.Live()
	a := Access{Role: q.Role, Version: live.Version()}
	suspended := false
	if q.UserID != nil {
		user, err := s.store.Ent.User.Get(ctx, *q.UserID)
		if store.IsNotFound(err) {
			return a, fault.New(fault.NotFound, "not_found", "There is no such account.")
		}
		if err != nil {
			return a, err
		}
		a.Role, suspended = user.Role, user.Status == entuser.StatusSuspended
	}
	a.Explanation = live.Explain(a.Role, q.Permission)
	a.Allowed = a.Decision != authz.Denied
	if q.EntityID != nil {
		owner, err := s.live.Owner(ctx, q.EntityType, *q.EntityID)
		if err != nil {
			return a, err
		}
		if a.Decision == authz.Own && owner != *q.UserID {
			a.Allowed = false
			a.Reason += fmt.Sprintf(" This %s belongs to somebody else.", q.EntityType)
		}
	}
	if suspended {
		a.Allowed = false
		a.Reason = "The account is suspended. " + a.Reason
	}
	return a, nil
}

// Permission is a permission with who has it.
type Permission struct {
	authz.Permission
	Roles []Scope
}

// Scope is how far a role goes with a permission.
type Scope struct {
	Role  string
	Scope authz.Decision
}

var permissionList = page.List{
	Name: "permissions", Default: "permission", ID: page.Column{Name: "permission", Type: page.Text},
	SortBy: map[string]page.Column{"permission": {Name: "permission", Type: page.Text}},
}

// Permissions returns a page of the permissions that a policy may speak of.
func (s *Roles) Permissions(ctx context.Context, params page.Params) (page.Result[Permission], error) {
	live, known := s.live.Live(), s.live.Known()
	q, err := permissionList.Resolve(params, s.cursors, nil)
	if err != nil {
		return page.Result[Permission]{}, err
	}
	condition, after := q.Condition(4)
	statement := fmt.Sprintf(`-- name: rbac_list_permissions
SELECT permission FROM (SELECT unnest($1::text[]) COLLATE "C" AS permission) known WHERE %s ORDER BY %s LIMIT $2 OFFSET $3`,
		condition, q.OrderBy())
	return page.Fetch(ctx, q, page.Source[Permission]{
		List: func(ctx context.Context, limit, offset int) ([]Permission, error) {
			names := make([]string, len(known))
			for i, p := range known {
				names[i] = string(p)
			}
			rows, err := s.store.Pool.Query(ctx, statement, append([]any{names, limit, offset}, after...)...)
			if err != nil {
				return nil, fmt.Errorf("list permissions: %w", err)
			}
			return collectPermissions(rows, live)
		},
		Count: func(context.Context) (int, error) { return len(known), nil },
		Key:   func(p Permission, _ string) any { return string(p.Permission) },
	})
}

func collectPermissions(rows pgx.Rows, live *authz.Snapshot) ([]Permission, error) {
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (p Permission, err error) {
		if err := row.Scan((*string)(&p.Permission)); err != nil {
			return p, fmt.Errorf("scan a permission: %w", err)
		}
		for _, role := range live.Roles() {
			if d := live.Decide(role, p.Permission); d != authz.Denied {
				p.Roles = append(p.Roles, Scope{role, d})
			}
		}
		return p, nil
	})
}
