package app_test

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/page"
	"github.com/picaspot/picaspot/internal/rbac"
	"github.com/picaspot/picaspot/internal/version"
)

// A change by one process is enforced by another one, without a restart.
func TestPolicyReachesEveryReplica(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := apptest.NewWithoutWorkers(t)
	one, two := apptest.Start(t, s.Config, "serve"), apptest.Start(t, s.Config, "serve")
	admin, moderator := s.As("admin"), s.As("moderator")
	area := s.Area(s.User(), "Harbour")
	verify := func() int {
		got, err := two.Client(moderator.Token).VerifyAreaWithResponse(ctx, area.ID)
		require.NoError(t, err)
		return got.StatusCode()
	}
	role, err := one.Client(admin.Token).GetRoleWithResponse(ctx, "moderator", nil)
	require.NoError(t, err)
	require.NotNil(t, role.JSON200, string(role.Body))
	full := role.JSON200.Permissions
	var without []api.Grant
	for _, g := range full {
		if g.Permission != "area:verify" {
			without = append(without, g)
		}
	}
	var longest time.Duration
	for round := range 10 {
		grants, want := without, http.StatusForbidden
		if round%2 == 1 {
			grants, want = full, http.StatusOK
		}
		changed, err := one.Client(admin.Token).ReplaceRolePermissionsWithResponse(ctx, "moderator", nil, api.RolePermissions{Permissions: grants})
		require.NoError(t, err)
		require.NotNil(t, changed.JSON200, string(changed.Body))
		began := time.Now()
		require.Eventually(t, func() bool { return verify() == want }, time.Minute, time.Millisecond)
		longest = max(longest, time.Since(began))
	}
	t.Log("enforced elsewhere within", longest)
}

// While the policy changes a hundred times, no question is decided by anything but a
// whole version, here or on a replica.
func TestPolicyChangesWhole(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	s := apptest.NewWithoutWorkers(t)
	cursors, err := page.NewCodec(make([]byte, 32))
	require.NoError(t, err)
	replica, err := rbac.OpenPolicy(ctx, s.Store, nil, cursors)
	require.NoError(t, err)
	var running sync.WaitGroup
	running.Go(func() { replica.Watch(ctx) })

	// Two permissions that come and go together: one without the other is half a version.
	const first, second = authz.Permission("area:verify"), authz.Permission("landmark:verify")
	snapshot := s.Policy.Live()
	full := snapshot.Grants("moderator")
	var without []authz.Grant
	for _, g := range full {
		if g.Permission != first && g.Permission != second {
			without = append(without, g)
		}
	}
	var asked atomic.Int64
	for _, authorizer := range []*authz.Authorizer{s.Policy.Authorizer(), replica.Authorizer()} {
		for range 4 {
			running.Go(func() {
				for ctx.Err() == nil {
					now := authorizer.Current()
					a, b := now.Decide("moderator", first), now.Decide("moderator", second)
					even := now.Version()%2 == 0 // Even versions are those without.
					if a != b || (a == authz.Denied) != even {
						t.Errorf("version %d: %s and %s", now.Version(), a, b)
						return
					}
					if asked.Add(1)%100 == 0 {
						time.Sleep(time.Millisecond) // Others want to run as well.
					}
				}
			})
		}
	}
	began := time.Now()
	for i := range 100 {
		grants := without
		if i%2 == 1 {
			grants = full
		}
		_, err := s.Policy.Edit(ctx, version.Precondition{}, "", func(text string) (string, error) {
			return authz.WithGrants(text, "moderator", grants), nil
		})
		require.NoError(t, err)
	}
	took := time.Since(began)
	require.Eventually(t, func() bool { return replica.Live().Version() == 101 }, time.Minute, time.Millisecond)
	stop()
	running.Wait()
	require.Equal(t, int64(101), s.Policy.Live().Version())
	t.Logf("%d questions in %s", asked.Load(), took)
	require.Greater(t, asked.Load(), int64(1000), "they ask while it changes")
}
