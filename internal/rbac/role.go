package rbac

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/picaspot/picaspot/ent"
	entrole "github.com/picaspot/picaspot/ent/role"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/page"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/version"
	"github.com/picaspot/picaspot/policy"
)

// rolesPollInterval is within what time a change holds on every replica.
const rolesPollInterval = 500 * time.Millisecond

var (
	errNotFound = fault.New(fault.NotFound, "not_found", "The policy knows no such role.")
	errExists   = fault.New(fault.Conflict, "role_exists", "The policy knows a role of this name.").
			With(fault.Field{Pointer: "/name", Code: "taken", Message: "Choose another name."})
	errUnproven = fault.New(fault.Conflict, "session_unproven", "This is your own role, and no second factor has proven your session: you would be shut out. Add one under /api/v1/me/mfa/totp, or log in with it, first.").
			With(fault.Field{Pointer: "/requires_mfa", Code: "locks_out", Message: "It would be of no use to this session any more."})
	errEmpty = fault.New(fault.Unprocessable, "role_empty", "A role has at least one permission, or inherits from a role: without a line that speaks of it there is none.")
)

// Roles reads and changes the roles of the live policy, and what is said about them
// beside it.
type Roles struct {
	store   *store.Store
	live    *Policy
	cursors *page.Codec
	// strict holds the names of the roles that require a second factor. It is
	// replaced, never written to.
	strict atomic.Pointer[[]string]
}

// NewRoles makes the service and reads which roles require a second factor.
func NewRoles(ctx context.Context, s *store.Store, p *Policy, cursors *page.Codec) (*Roles, error) {
	service := &Roles{store: s, live: p, cursors: cursors}
	return service, service.reload(ctx)
}

// RequiresMFA reports whether a role may be used only in a session that a second
// factor has proven. It asks nobody.
func (s *Roles) RequiresMFA(name string) bool { return slices.Contains(*s.strict.Load(), name) }

func (s *Roles) reload(ctx context.Context) error {
	names, err := s.store.Ent.Role.Query().Where(entrole.RequiresMfa(true)).Select(entrole.FieldName).Strings(ctx)
	if err != nil {
		return fmt.Errorf("read the roles: %w", err)
	}
	s.strict.Store(&names)
	return nil
}

// reloadSoon is a reload that Watch makes up for when it fails.
func (s *Roles) reloadSoon(ctx context.Context) {
	if err := s.reload(ctx); err != nil {
		slog.WarnContext(ctx, "roles not read again yet", "error", err)
	}
}

// Watch takes in what other replicas change, until ctx ends. While the database is
// away what was read last holds.
func (s *Roles) Watch(ctx context.Context) {
	tick := time.NewTicker(rolesPollInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := s.reload(ctx); err != nil && ctx.Err() == nil {
				slog.DebugContext(ctx, "roles not read again", "error", err)
			}
		}
	}
}

// Role is a role of the live policy.
type Role struct {
	Name        string
	Description string
	RequiresMFA bool
	// Inherits are the roles that it inherits from directly, Grants what it may do itself.
	Inherits []string
	Grants   []authz.Grant
	// Members is how many living accounts have it.
	Members int
	// ETag changes with the policy and with what is said about the role.
	ETag string
}

var roleList = page.List{
	Name: "roles", Default: "name", ID: page.Column{Name: "name", Type: page.Text},
	SortBy: map[string]page.Column{"name": {Name: "name", Type: page.Text}},
}

// listSQL counts members by user_role_created_at_id.
const listSQL = `-- name: rbac_list_roles
SELECT name COLLATE "C" AS name, coalesce(r.description, ''), coalesce(r.requires_mfa, false), coalesce(r.updated_at, 'epoch'),
  (SELECT count(*) FROM users u WHERE u.role = name AND u.deleted_at IS NULL)
FROM (SELECT unnest($1::text[]) COLLATE "C" AS name) known LEFT JOIN roles r USING (name)
WHERE %s ORDER BY %s LIMIT $2 OFFSET $3`

// countSQL counts those of the roles that are there that a search leaves.
const countSQL = `-- name: rbac_count_roles
SELECT count(*) FROM (SELECT unnest($1::text[]) AS name) known LEFT JOIN roles r USING (name) WHERE `

// matching is a condition on a role's name and description, which contain what was
// looked for in the numbered argument. No index serves it: there are few roles.
const matching = `strpos(search_fold(name || ' ' || coalesce(r.description, '')), search_fold($%d)) > 0`

// List returns a page of the roles of the live policy, of those that have a text in
// their name or description, unless it is empty.
func (s *Roles) List(ctx context.Context, search string, params page.Params) (page.Result[Role], error) {
	live := s.live.Live()
	q, err := roleList.Resolve(params, s.cursors, search)
	if err != nil {
		return page.Result[Role]{}, err
	}
	condition, after := q.Condition(5)
	condition += " AND " + fmt.Sprintf(matching, 4)
	return page.Fetch(ctx, q, page.Source[Role]{
		List: func(ctx context.Context, limit, offset int) ([]Role, error) {
			return s.query(ctx, live, live.Roles(), fmt.Sprintf(listSQL, condition, q.OrderBy()), append([]any{limit, offset, search}, after...))
		},
		Count: func(ctx context.Context) (n int, err error) {
			err = s.store.Pool.QueryRow(ctx, countSQL+fmt.Sprintf(matching, 2), live.Roles(), search).Scan(&n)
			return n, err
		},
		Key: func(r Role, _ string) any { return r.Name },
	})
}

func (s *Roles) query(ctx context.Context, live *authz.Snapshot, names []string, statement string, args []any) ([]Role, error) {
	rows, err := s.store.Pool.Query(ctx, statement, append([]any{names}, args...)...)
	if err != nil {
		return nil, fmt.Errorf("list roles: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (r Role, err error) {
		var updatedAt time.Time
		if err := row.Scan(&r.Name, &r.Description, &r.RequiresMFA, &updatedAt, &r.Members); err != nil {
			return r, fmt.Errorf("scan a role: %w", err)
		}
		r.Inherits, r.Grants, r.ETag = live.Parents(r.Name), live.Grants(r.Name), roleETag(live.Version(), updatedAt)
		return r, nil
	})
}

func roleETag(policy int64, updatedAt time.Time) string {
	return strings.TrimSuffix(PolicyETag(policy), `"`) + "-" + strings.TrimPrefix(version.ETag(updatedAt), `"`)
}

// Get returns a role of the live policy, or [fault.NotFound].
func (s *Roles) Get(ctx context.Context, name string) (Role, error) {
	live := s.live.Live()
	if !slices.Contains(live.Roles(), name) {
		return Role{}, errNotFound
	}
	found, err := s.query(ctx, live, []string{name}, fmt.Sprintf(listSQL, "TRUE", "name"), []any{1, 0})
	if err != nil {
		return Role{}, err
	}
	return found[0], nil
}

// RoleCreate is a new role.
type RoleCreate struct {
	Name        string
	Description string
	RequiresMFA bool
	Inherits    []string
	Grants      []authz.Grant
}

// Create adds a role to the live policy. One that is there is a conflict; one of
// which no line would speak is unprocessable, and so is one that inherits from a role
// that is not there. What else [authz.Validate] refuses is invalid.
func (s *Roles) Create(ctx context.Context, in RoleCreate) (Role, error) {
	if len(in.Grants) == 0 && len(in.Inherits) == 0 {
		return Role{}, errEmpty
	}
	var told *ent.Role
	var text string
	made, err := s.live.EditWith(ctx, version.Precondition{}, "Role "+in.Name+" was added.",
		func(ctx context.Context, tx *store.Tx, present string) (string, error) {
			tx.AfterCommit(s.reloadSoon)
			known, err := rolesOf(present)
			if err != nil {
				return "", err
			}
			if slices.Contains(known, in.Name) {
				return "", errExists
			}
			if err := checkParents(in.Name, in.Inherits, known); err != nil {
				return "", err
			}
			if told, err = put(ctx, tx, in.Name, &in.Description, &in.RequiresMFA); err != nil {
				return "", err
			}
			text = authz.WithParents(authz.WithGrants(present, in.Name, in.Grants), in.Name, in.Inherits)
			return text, nil
		})
	if err != nil {
		return Role{}, point(err, text, authz.Sent{Role: in.Name, Grants: in.Grants, Parents: in.Inherits, Rest: "/inherits"})
	}
	// Made of what was written, since others may not see it yet ([store.Hold]). Nobody
	// has the role: the policy would have known it.
	written, err := authz.NewSnapshot(made.Version, policy.Model, made.Text)
	if err != nil {
		return Role{}, err
	}
	return Role{
		Name: in.Name, Description: told.Description, RequiresMFA: told.RequiresMfa,
		Inherits: written.Parents(in.Name), Grants: written.Grants(in.Name), ETag: roleETag(made.Version, told.UpdatedAt),
	}, nil
}

// RoleUpdate is a change of a role; nil leaves a field as it is.
type RoleUpdate struct {
	Description *string
	RequiresMFA *bool
	Inherits    *[]string
}

// Update changes a role of the live policy. To inherit from a role that is not there is
// unprocessable. To require a second factor of the caller's own role is a conflict as
// long as none has proven the caller's session.
func (s *Roles) Update(ctx context.Context, name string, in RoleUpdate, pre version.Precondition) (Role, error) {
	comment := "What the role " + name + " inherits was changed."
	sent := authz.Sent{Role: name, Rest: "/inherits"}
	if in.Inherits != nil {
		sent.Parents = *in.Inherits
	}
	return s.edit(ctx, sent, comment, pre, func(ctx context.Context, tx *store.Tx, text string) (string, error) {
		if in.RequiresMFA != nil && *in.RequiresMFA {
			if err := checkOwnSession(ctx, tx, name); err != nil {
				return "", err
			}
		}
		if in.Inherits != nil {
			known, err := rolesOf(text)
			if err != nil {
				return "", err
			}
			if err := checkParents(name, *in.Inherits, known); err != nil {
				return "", err
			}
		}
		if _, err := put(ctx, tx, name, in.Description, in.RequiresMFA); err != nil {
			return "", err
		}
		if in.Inherits == nil {
			return text, nil
		}
		return authz.WithParents(text, name, *in.Inherits), nil
	})
}

// ReplaceGrants sets all that a role may do itself.
func (s *Roles) ReplaceGrants(ctx context.Context, name string, grants []authz.Grant, pre version.Precondition) (Role, error) {
	comment := "The permissions of the role " + name + " were changed."
	sent := authz.Sent{Role: name, Grants: grants, Rest: "/permissions"}
	return s.edit(ctx, sent, comment, pre, func(_ context.Context, _ *store.Tx, text string) (string, error) {
		return authz.WithGrants(text, name, grants), nil
	})
}

// Delete takes a role out of the live policy. One that somebody has, or that
// another role inherits from, is a conflict.
func (s *Roles) Delete(ctx context.Context, name string, pre version.Precondition) error {
	_, err := s.live.EditWith(ctx, version.Precondition{}, "Role "+name+" was deleted.",
		func(ctx context.Context, tx *store.Tx, text string) (string, error) {
			if err := s.check(ctx, tx, name, text, pre); err != nil {
				return "", err
			}
			snapshot, err := authz.NewSnapshot(0, policy.Model, text)
			if err != nil {
				return "", err
			}
			if heirs := snapshot.Heirs(name); len(heirs) > 0 {
				return "", fault.New(fault.Conflict, "role_inherited", "Other roles inherit from it: "+strings.Join(heirs, ", ")+".")
			}
			if _, err := tx.Role.Delete().Where(entrole.Name(name)).Exec(ctx); err != nil {
				return "", fmt.Errorf("delete the role: %w", err)
			}
			return authz.WithParents(authz.WithGrants(text, name, nil), name, nil), nil
		})
	if err != nil {
		return err
	}
	return s.reload(ctx)
}

// edit changes a role that is there, and that is the version that the caller saw, to
// what the request sent.
func (s *Roles) edit(
	ctx context.Context, sent authz.Sent, comment string, pre version.Precondition,
	fn func(context.Context, *store.Tx, string) (string, error),
) (Role, error) {
	var text string
	_, err := s.live.EditWith(ctx, version.Precondition{}, comment, func(ctx context.Context, tx *store.Tx, present string) (string, error) {
		if err := s.check(ctx, tx, sent.Role, present, pre); err != nil {
			return "", err
		}
		next, err := fn(ctx, tx, present)
		if err != nil {
			return "", err
		}
		known, err := rolesOf(next)
		if err == nil && !slices.Contains(known, sent.Role) {
			return "", errEmpty
		}
		text = next
		return text, nil // What is wrong with it the validation names.
	})
	return s.after(ctx, sent.Role, point(err, text, sent))
}

// check asks, with the policy locked, whether a role is there and the version that
// the caller saw.
func (s *Roles) check(ctx context.Context, tx *store.Tx, name, text string, pre version.Precondition) error {
	known, err := rolesOf(text)
	if err != nil {
		return err
	}
	if !slices.Contains(known, name) {
		return errNotFound
	}
	present, err := tx.PolicyVersion.Query().Order(ent.Desc("version")).First(ctx)
	if err != nil {
		return fmt.Errorf("read the policy: %w", err)
	}
	updatedAt := time.Unix(0, 0)
	switch found, err := tx.Role.Query().Where(entrole.Name(name)).Only(ctx); {
	case err == nil:
		updatedAt = found.UpdatedAt
	case !store.IsNotFound(err):
		return fmt.Errorf("read the role: %w", err)
	}
	return pre.CheckETag(roleETag(present.Version, updatedAt))
}

func (s *Roles) after(ctx context.Context, name string, err error) (Role, error) {
	if err != nil {
		return Role{}, err
	}
	if err := s.reload(ctx); err != nil {
		return Role{}, err
	}
	return s.Get(ctx, name)
}

// put writes what is said about a role beside the policy, and returns it; it is nil
// when there is nothing to say.
func put(ctx context.Context, tx *store.Tx, name string, description *string, requiresMFA *bool) (*ent.Role, error) {
	if description == nil && requiresMFA == nil {
		return nil, nil //nolint:nilnil // Nothing said is nothing.
	}
	found, err := tx.Role.Query().Where(entrole.Name(name)).ForUpdate().Only(ctx)
	if store.IsNotFound(err) {
		return tx.Role.Create().SetName(name).SetNillableDescription(description).SetNillableRequiresMfa(requiresMFA).Save(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("read the role: %w", err)
	}
	update := tx.Role.UpdateOne(found)
	if description != nil && *description != found.Description {
		update.SetDescription(*description)
	}
	if requiresMFA != nil && *requiresMFA != found.RequiresMfa {
		update.SetRequiresMfa(*requiresMFA)
	}
	if len(update.Mutation().Fields()) == 0 {
		return found, nil
	}
	return update.Save(ctx)
}
