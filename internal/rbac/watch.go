package rbac

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/ent/policyversion"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/policy"
)

const (
	// policyPollInterval is how often a newer version is looked for when no news comes.
	policyPollInterval = 500 * time.Millisecond
	// staleAfter is how long a look may fail before the policy counts as stale.
	staleAfter = 5 * time.Second
	// loadTimeout bounds one look.
	loadTimeout = 3 * time.Second
)

// Reload takes in a newer version, if there is one. A version that does not load
// leaves the present one in force.
func (s *Policy) Reload(ctx context.Context) error {
	err := s.reload(ctx)
	if err != nil && ctx.Err() != nil {
		return err // Nobody waits for it any more; it says nothing of the policy.
	}
	if last := s.health.Load(); err != nil {
		s.failures.Add(1)
		if last == nil || last.err == nil {
			slog.ErrorContext(ctx, "policy not loaded; the last one stays in force", "version", s.Live().Version(), "error", err)
		}
		at := time.Time{}
		if last != nil {
			at = last.at
		}
		s.health.Store(&health{at: at, err: err})
		return err
	}
	s.health.Store(&health{at: time.Now()})
	return nil
}

func (s *Policy) reload(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	newest, err := s.store.Ent.PolicyVersion.Query().
		Where(policyversion.VersionGT(s.Live().Version())).
		Order(ent.Desc(policyversion.FieldVersion)).First(ctx)
	if store.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for a newer policy: %w", err)
	}
	next, err := authz.NewSnapshot(newest.Version, policy.Model, newest.Text)
	if err != nil {
		return fmt.Errorf("policy version %d: %w", newest.Version, err)
	}
	first := s.Live().Version() == 0
	if s.authorizer.Swap(next) && !first {
		slog.InfoContext(ctx, "policy in force", "version", newest.Version)
	}
	return nil
}

// Check returns why the policy that is in force may not be the live one, or nil.
func (s *Policy) Check(context.Context) error {
	last := s.health.Load()
	switch {
	case last == nil, last.err == nil, time.Since(last.at) < staleAfter && !last.at.IsZero():
		return nil
	default:
		return last.err
	}
}

// Failures returns how many looks for a newer version have failed.
func (s *Policy) Failures() int64 { return s.failures.Load() }

// Watch takes in what other replicas change, until ctx ends: at once when the
// database tells, and by looking twice a second when it does not.
func (s *Policy) Watch(ctx context.Context) {
	look := func(ctx context.Context) { _ = s.Reload(ctx) } // It says itself what is wrong.
	store.Listener{
		Channel: channel, Interval: policyPollInterval, Poll: look,
		Notified: func(ctx context.Context, _ string) { look(ctx) },
	}.Run(ctx, s.store.Pool.Config().ConnConfig)
}
