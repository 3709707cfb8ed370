// Package role is about the roles of the policy, beside what they may do.
package role

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/picaspot/picaspot/ent"
	entrole "github.com/picaspot/picaspot/ent/role"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/version"
)

// pollInterval is within what time a change holds on every replica.
const pollInterval = 500 * time.Millisecond

var errNotFound = fault.New(fault.NotFound, "not_found", "The policy knows no such role.")

// Service looks after roles.
type Service struct {
	store *store.Store
	authz *authz.Authorizer
	// strict holds the names of the roles that require a second factor. It is
	// replaced, never written to.
	strict atomic.Pointer[[]string]
}

// NewService makes the service and reads what is set.
func NewService(ctx context.Context, s *store.Store, a *authz.Authorizer) (*Service, error) {
	service := &Service{store: s, authz: a}
	return service, service.reload(ctx)
}

// RequiresMFA reports whether a role may be used only in a session that a second
// factor has proven. It asks nobody.
func (s *Service) RequiresMFA(name string) bool { return slices.Contains(*s.strict.Load(), name) }

func (s *Service) reload(ctx context.Context) error {
	names, err := s.store.Ent.Role.Query().Where(entrole.RequiresMfa(true)).Select(entrole.FieldName).Strings(ctx)
	if err != nil {
		return fmt.Errorf("read the roles: %w", err)
	}
	s.strict.Store(&names)
	return nil
}

// Watch takes in what other replicas change, until ctx ends. While the database is
// away what was read last holds.
func (s *Service) Watch(ctx context.Context) {
	tick := time.NewTicker(pollInterval)
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

// Get returns a role of the policy. One of which nothing was set has the defaults.
func (s *Service) Get(ctx context.Context, name string) (*ent.Role, error) {
	if !slices.Contains(s.authz.Current().Roles(), name) {
		return nil, errNotFound
	}
	found, err := s.store.Ent.Role.Query().Where(entrole.Name(name)).Only(ctx)
	if store.IsNotFound(err) {
		return &ent.Role{Name: name}, nil
	}
	return found, err
}

// Update is a change of a role; nil leaves a field as it is.
type Update struct{ RequiresMFA *bool }

// Update changes a role of the policy.
func (s *Service) Update(ctx context.Context, name string, in Update, pre version.Precondition) (*ent.Role, error) {
	if _, err := s.Get(ctx, name); err != nil {
		return nil, err
	}
	var changed *ent.Role
	err := s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		found, err := lock(ctx, tx, name)
		if err != nil {
			return err
		}
		if err := pre.Check(found.UpdatedAt); err != nil {
			return err
		}
		changed = found
		if in.RequiresMFA == nil || *in.RequiresMFA == found.RequiresMfa {
			return nil
		}
		if found.CreatedAt.IsZero() {
			changed, err = tx.Role.Create().SetName(name).SetRequiresMfa(*in.RequiresMFA).Save(ctx)
			return err
		}
		changed, err = tx.Role.UpdateOne(found).SetRequiresMfa(*in.RequiresMFA).Save(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	return changed, s.reload(ctx)
}

// lock returns a role for a change, one without a row under a lock of its own.
func lock(ctx context.Context, tx *store.Tx, name string) (*ent.Role, error) {
	if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", "role:"+name); err != nil {
		return nil, fmt.Errorf("lock the role: %w", err)
	}
	found, err := tx.Role.Query().Where(entrole.Name(name)).ForUpdate().Only(ctx)
	if store.IsNotFound(err) {
		return &ent.Role{Name: name}, nil
	}
	return found, err
}
