package rbac_test

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/app"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/page"
	"github.com/picaspot/picaspot/internal/rbac"
	"github.com/picaspot/picaspot/internal/version"
	"github.com/picaspot/picaspot/policy"
)

// insert writes a version as nothing of ours would: unchecked and unannounced.
func insert(t *testing.T, s *apptest.Server, number int64, text string) {
	t.Helper()
	_, err := s.Store.Pool.Exec(context.Background(),
		`INSERT INTO policy_versions (id, created_at, updated_at, version, text) VALUES ($1, now(), now(), $2, $3)`, uuid.New(), number, text)
	require.NoError(t, err)
}

func readiness(t *testing.T, s *apptest.Server) api.Readiness {
	t.Helper()
	got, err := s.Anonymous().GetReadinessWithResponse(context.Background())
	require.NoError(t, err)
	require.NotNil(t, got.JSON200, string(got.Body))
	return *got.JSON200
}

// A policy that does not load changes nothing for those who run already, and lets
// nobody start.
func TestBrokenVersion(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := apptest.NewWithoutWorkers(t)
	admin := s.As("admin")
	require.NoError(t, s.Policy.Check(ctx))
	insert(t, s, 2, policy.CSV+"p, user, policy, manage, any, alow\n")

	for try := range int64(3) {
		require.ErrorContains(t, s.Policy.Reload(ctx), "policy version 2: invalid_policy")
		require.Equal(t, try+1, s.Policy.Failures())
		require.Equal(t, int64(1), s.Policy.Live().Version())
	}
	require.Equal(t, authz.Denied, s.Policy.Live().Decide("user", "policy:manage"))
	require.NoError(t, s.Policy.Check(ctx), "it may be over in a moment")

	cursors, err := page.NewCodec(make([]byte, 32))
	require.NoError(t, err)
	_, err = rbac.OpenPolicy(ctx, s.Store, nil, cursors)
	require.ErrorContains(t, err, "policy version 2")
	_, err = app.New(ctx, s.Config)
	require.ErrorContains(t, err, "policy version 2")

	require.Eventually(t, func() bool { return s.Policy.Check(ctx) != nil }, 20*time.Second, 50*time.Millisecond)
	require.ErrorContains(t, s.Policy.Check(ctx), "policy version 2")
	down := readiness(t, s)
	require.Equal(t, api.ReadinessStatusReady, down.Status)
	require.Equal(t, api.DependencyState("down"), down.Dependencies["policy"])
	text, etag := get(t, admin)
	require.Equal(t, policy.CSV, text)

	// What an admin has seen is not what they would replace; who names it may.
	refused(t, http.StatusPreconditionFailed, "policy_changed", put(t, admin, etag, policy.CSV+more))
	made(t, put(t, admin, `"v2"`, policy.CSV+more))
	require.NoError(t, s.Policy.Check(ctx))
	require.Equal(t, int64(3), s.Policy.Live().Version())
	up := readiness(t, s)
	require.Equal(t, api.DependencyState("up"), up.Dependencies["policy"])
	require.Equal(t, int64(3), s.Policy.Failures())
	require.Equal(t, int64(3), open(t, s).Live().Version())
}

func TestBrokenVersionIsOvertaken(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := apptest.NewWithoutWorkers(t)
	insert(t, s, 2, "g, a, b\ng, b, a\n")
	require.Error(t, s.Policy.Reload(ctx))
	insert(t, s, 3, policy.CSV+more)
	require.NoError(t, s.Policy.Reload(ctx))
	require.Equal(t, int64(3), s.Policy.Live().Version())
	require.NoError(t, s.Policy.Check(ctx))
}

func TestReloadThatFailsLeavesThePolicyInForce(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := apptest.NewWithoutWorkers(t)
	rename := func(from, to string) {
		t.Helper()
		_, err := s.Store.Pool.Exec(ctx, "ALTER TABLE "+from+" RENAME TO "+to)
		require.NoError(t, err)
	}
	rename("policy_versions", "elsewhere")
	require.ErrorContains(t, s.Policy.Reload(ctx), "look for a newer policy")
	require.Equal(t, int64(1), s.Policy.Failures())
	require.Equal(t, authz.Any, s.Policy.Live().Decide("admin", "policy:manage"))
	cursors, err := page.NewCodec(make([]byte, 32))
	require.NoError(t, err)
	_, err = rbac.OpenPolicy(ctx, s.Store, nil, cursors)
	require.Error(t, err)
	rename("elsewhere", "policy_versions")
	require.NoError(t, s.Policy.Reload(ctx))

	gone, cancel := context.WithCancel(ctx)
	cancel()
	require.ErrorIs(t, s.Policy.Reload(gone), context.Canceled)
	require.Equal(t, int64(1), s.Policy.Failures(), "who gave up has not failed")
	require.NoError(t, s.Policy.Check(ctx))
}

// watch lets another service keep up with the policy until the test ends.
func watch(t *testing.T, s *apptest.Server) *rbac.Policy {
	t.Helper()
	service := open(t, s)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		service.Watch(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return service
}

// listeners ends those who wait for news of this database's policy, if they are to
// end, and tells how many there were.
func listeners(t *testing.T, s *apptest.Server, end bool) int {
	t.Helper()
	count := 0
	require.NoError(t, s.Store.Pool.QueryRow(context.Background(), `
		SELECT count(CASE WHEN $1 THEN pg_terminate_backend(pid) ELSE true END)
		FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN %'`, end).Scan(&count))
	return count
}

// arrives waits for a version.
func arrives(t *testing.T, service *rbac.Policy, number int64) {
	t.Helper()
	began := time.Now()
	require.Eventually(t, func() bool { return service.Live().Version() == number }, time.Minute, time.Millisecond)
	t.Logf("version %d arrives after %s", number, time.Since(began))
}

func TestWatchIsToldOfNewVersions(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := apptest.NewWithoutWorkers(t)
	other := watch(t, s)
	require.Eventually(t, func() bool { return listeners(t, s, false) == 1 }, time.Minute, time.Millisecond)
	hearing, err := s.Store.Pool.Acquire(ctx)
	require.NoError(t, err)
	defer hearing.Release()
	_, err = hearing.Exec(ctx, "LISTEN picaspot_policy")
	require.NoError(t, err)
	for i := range int64(10) {
		_, err := s.Policy.Replace(ctx, version.Precondition{}, "", fmt.Sprintf("%s# %d\n", policy.CSV, i))
		require.NoError(t, err)
		wait, cancel := context.WithTimeout(ctx, time.Minute)
		news, err := hearing.Conn().WaitForNotification(wait)
		cancel()
		require.NoError(t, err)
		require.Equal(t, strconv.FormatInt(i+2, 10), news.Payload)
		arrives(t, other, i+2)
	}
	require.Zero(t, other.Failures())
}

func TestWatchLooksWhenItIsNotTold(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	other := watch(t, s)

	// News gets lost.
	insert(t, s, 2, policy.CSV+"# 2\n")
	arrives(t, other, 2)

	// Its connection is cut, again and again.
	cut := 0
	for number := int64(3); number < 6; number++ {
		require.Eventually(t, func() bool { return listeners(t, s, false) == 1 }, time.Minute, time.Millisecond)
		cut += listeners(t, s, true)
		insert(t, s, number, fmt.Sprintf("%s# %d\n", policy.CSV, number))
		for other.Live().Version() != number {
			cut += listeners(t, s, true)
			time.Sleep(time.Millisecond)
		}
	}
	require.GreaterOrEqual(t, cut, 3)

	// And listens again.
	require.Eventually(t, func() bool { return listeners(t, s, false) == 1 }, time.Minute, time.Millisecond)
	_, err := s.Policy.Replace(context.Background(), version.Precondition{}, "", policy.CSV)
	require.NoError(t, err)
	arrives(t, other, 6)
}

func TestWatchGoesOnWhileAVersionIsBroken(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	other := watch(t, s)
	insert(t, s, 2, "p, user\n")
	require.Eventually(t, func() bool { return other.Failures() > 1 }, time.Minute, time.Millisecond)
	require.Equal(t, int64(1), other.Live().Version())
	insert(t, s, 3, policy.CSV+more)
	arrives(t, other, 3)
	require.NoError(t, other.Check(context.Background()))
}
