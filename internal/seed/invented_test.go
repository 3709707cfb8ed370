package seed_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/seed"
)

func TestMain(m *testing.M) { apptest.Main(m) }

var small = seed.Size{Users: 20, Landmarks: 400, Attempts: 150, Seed: 7, Until: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)}

// content is what a world consists of, without ids and times.
func content(t *testing.T, s *apptest.Server) []string {
	t.Helper()
	var rows []string
	for _, query := range []string{
		"SELECT concat_ws('|', username, email, role, status, display_name, bio) FROM users WHERE email LIKE '%@world.%' ORDER BY username",
		`SELECT concat_ws('|', a.name, p.name, u.username, a.is_verified, a.external_id) FROM areas a LEFT JOIN areas p ON p.id = a.parent_area_id
		JOIN users u ON u.id = a.created_by ORDER BY a.external_id`,
		`SELECT concat_ws('|', l.name, l.description, l.hint, l.difficulty, ST_AsText(l.location), l.unlock_radius_meters, l.is_verified, a.external_id, u.username)
		FROM landmarks l JOIN areas a ON a.id = l.area_id JOIN users u ON u.id = l.created_by ORDER BY l.external_id`,
		`SELECT concat_ws('|', u.username, l.external_id, t.status, t.score, t.checks, t.photo ->> 'sha256', t.image ->> 'sha256', n.id IS NOT NULL)
		FROM attempts t JOIN users u ON u.id = t.user_id JOIN landmarks l ON l.id = t.landmark_id LEFT JOIN unlocks n ON n.attempt_id = t.id
		ORDER BY u.username, l.external_id, t.photo ->> 'sha256'`,
	} {
		found, err := s.Store.Pool.Query(context.Background(), query)
		require.NoError(t, err)
		for found.Next() {
			var row string
			require.NoError(t, found.Scan(&row))
			rows = append(rows, row)
		}
		require.NoError(t, found.Err())
	}
	return rows
}

func number(t *testing.T, s *apptest.Server, query string) (n int) {
	t.Helper()
	require.NoError(t, s.Store.Pool.QueryRow(context.Background(), query).Scan(&n), query)
	return n
}

// The same seed makes the same world, another one another.
func TestWorldIsRepeatable(t *testing.T) {
	t.Parallel()
	one, two, other := apptest.NewWithoutWorkers(t), apptest.NewWithoutWorkers(t), apptest.NewWithoutWorkers(t)
	require.NoError(t, one.SeedWorld(t.Context(), small, false))
	require.NoError(t, two.SeedWorld(t.Context(), small, false))
	require.Equal(t, content(t, one), content(t, two))
	different := small
	different.Seed = 8
	require.NoError(t, other.SeedWorld(t.Context(), different, false))
	require.NotEqual(t, content(t, one), content(t, other))
}

// The rows agree with each other and with what the triggers keep of them.
func TestWorldIsConsistent(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	require.NoError(t, s.SeedWorld(t.Context(), small, false))
	for query, want := range map[string]int{
		"SELECT count(*) FROM users WHERE email LIKE '%@world.%'":                                        small.Users,
		"SELECT count(*) FROM landmarks":                                                                 small.Landmarks,
		"SELECT count(*) FROM attempts":                                                                  small.Attempts,
		"SELECT count(DISTINCT status) FROM attempts":                                                    3,
		"SELECT count(*) FROM attempts WHERE status = 'pending'":                                         0,
		"SELECT count(*) FROM audit_logs WHERE entity_type = 'world'":                                    1,
		"SELECT count(*) FROM audit_logs WHERE entity_type IN ('area', 'landmark', 'attempt', 'unlock')": 0,
		// A succeeded attempt has its unlock, and no user attempts what they have unlocked.
		"SELECT count(*) FROM attempts t LEFT JOIN unlocks u ON u.attempt_id = t.id WHERE (t.status = 'succeeded') <> (u.id IS NOT NULL)":                                     0,
		"SELECT count(*) FROM attempts t JOIN unlocks u USING (user_id, landmark_id) WHERE t.created_at > u.created_at":                                                       0,
		"SELECT count(*) FROM attempts t JOIN landmarks l ON l.id = t.landmark_id JOIN users u ON u.id = t.user_id WHERE t.created_at < greatest(l.created_at, u.created_at)": 0,
		"SELECT (SELECT sum(n) FROM landmark_cell_changes)::int":                                                                                                              small.Landmarks,
		"SELECT sum(n)::int FROM row_totals WHERE table_name = 'attempts'":                                                                                                    small.Attempts,
		"SELECT count(*) FROM areas a WHERE a.parent_area_id IS NULL AND a.name = 'Made-up world 7'":                                                                          1,
	} {
		require.Equal(t, want, number(t, s, query), query)
	}
	// The search and the photos as the API gives them.
	var name, attempt, username, email string
	var id uuid.UUID
	require.NoError(t, s.Store.Pool.QueryRow(t.Context(), "SELECT name FROM landmarks WHERE name LIKE 'Statue of %' ORDER BY name LIMIT 1").Scan(&name))
	require.NoError(t, s.Store.Pool.QueryRow(t.Context(),
		"SELECT t.id::text, u.id, u.username, u.email FROM attempts t JOIN users u ON u.id = t.user_id WHERE t.status = 'succeeded' ORDER BY t.id LIMIT 1").Scan(&attempt, &id, &username, &email))
	user := s.LogIn(id, username, email)
	response, body := s.Call(user, http.MethodGet, "/api/v1/landmarks?search="+strings.ReplaceAll(name, " ", "+"), "", nil)
	require.Equal(t, http.StatusOK, response.StatusCode, string(body))
	require.Contains(t, string(body), name)
	response, body = s.Call(user, http.MethodGet, "/api/v1/attempts/"+attempt+"/photo", "", nil)
	require.Equal(t, http.StatusOK, response.StatusCode, string(body))
	require.Equal(t, "image/jpeg", response.Header.Get("Content-Type"))
}

// It does not mix with data of others unless it is told to, and the same world is not made twice.
func TestWorldRefuses(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	require.NoError(t, s.Seed(t.Context()))
	tiny := seed.Size{Users: 2, Landmarks: 5, Attempts: 3, Seed: 1, Until: small.Until}
	require.NoError(t, s.SeedWorld(t.Context(), tiny, false), "the small world of seed is no other data")
	require.ErrorIs(t, s.SeedWorld(t.Context(), tiny, false), seed.ErrThere)
	require.ErrorIs(t, s.SeedWorld(t.Context(), tiny, true), seed.ErrThere)
	beside := tiny
	beside.Seed = 2
	require.NoError(t, s.SeedWorld(t.Context(), beside, false), "another seed makes another world beside it")

	s = apptest.NewWithoutWorkers(t)
	s.User()
	require.ErrorIs(t, s.SeedWorld(t.Context(), tiny, false), seed.ErrForeign)
	require.Zero(t, number(t, s, "SELECT count(*) FROM landmarks"))
	require.NoError(t, s.SeedWorld(t.Context(), tiny, true))
	require.Equal(t, 5, number(t, s, "SELECT count(*) FROM landmarks"))
	require.Error(t, s.SeedWorld(t.Context(), seed.Size{Users: -1, Landmarks: 5}, true))
}
