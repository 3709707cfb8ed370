package explain_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/bench"
	"github.com/picaspot/picaspot/internal/config"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/tile"
)

// landmarks is how many there are: enough for PostgreSQL to choose as it does at
// ten million, and few enough for a test.
const landmarks = 100_000

// world is a large database, with the accounts of the scenario in it.
type world struct {
	*apptest.Server
	admin, explorer *apptest.Client
	// spots are in the middle of cities, and farSpot is where there is nothing.
	spots []geo.Point
	sent  *recorder
}

var farSpot = geo.Point{Latitude: -48.9, Longitude: -123.4} // Point Nemo.

// fill makes what the bench does not: accounts and all that they leave behind, and
// some of everything in the trash, none of it long enough to be purged. Triggers are off meanwhile, so that it takes
// seconds; the audit log has links that are no proof of anything.
var fill = []string{
	`SET session_replication_role = replica`,
	`SET statement_timeout = 0`,
	// VACUUM takes nothing for visible to all whose commit is not written yet.
	`SET synchronous_commit = on`,
	`SELECT setseed(0.42)`,
	`INSERT INTO users (id, created_at, updated_at, username, email, email_verified_at, password_hash, password_changed_at, role, deleted_at, deletion_id)
SELECT gen_random_uuid(), at, at, 'explorer-' || i, 'explorer-' || i || '@example.org', at, '', at,
  CASE WHEN i % 500 = 0 THEN 'moderator' ELSE 'user' END, CASE WHEN i % 50 = 0 THEN deleted END, CASE WHEN i % 50 = 0 THEN gen_random_uuid() END
FROM (SELECT i, now() - i * interval '10 minutes' AS at, now() - i * interval '30 seconds' AS deleted FROM generate_series(1, 40000) i) numbers`,
	`INSERT INTO areas (id, created_at, updated_at, name, created_by)
SELECT gen_random_uuid(), at, at, 'quiet area ' || i, (SELECT min(id::text)::uuid FROM users) FROM (SELECT i, now() - i * interval '1 hour' AS at FROM generate_series(1, 30000) i) numbers`,
	`CREATE TEMP TABLE people AS SELECT id, row_number() OVER (ORDER BY username) - 1 AS n FROM users WHERE username LIKE 'explorer-%'`,
	`CREATE TEMP TABLE visits AS
SELECT p.id AS user_id, l.id AS landmark_id, l.n, now() - l.n * interval '1 minute' AS at
FROM (SELECT id, row_number() OVER (ORDER BY name) AS n FROM landmarks) l JOIN people p ON p.n = (l.n * 7) % 40000`,
	`INSERT INTO attempts (id, created_at, updated_at, status, location, photo, landmark_id, user_id)
SELECT gen_random_uuid(), at, at, (ARRAY['succeeded', 'failed', 'needs_review', 'pending'])[1 + (n % 100 > 60)::int + (n % 100 > 97)::int + (n % 1000 = 999)::int],
  'SRID=4326;POINT(0 0)', '{"key": "photos/x"}', landmark_id, user_id FROM visits`,
	`INSERT INTO unlocks (id, created_at, updated_at, user_id, landmark_id, deleted_at, deletion_id)
SELECT gen_random_uuid(), at, at, user_id, landmark_id, CASE WHEN n % 50 = 0 THEN now() - n * interval '10 seconds' END, CASE WHEN n % 50 = 0 THEN gen_random_uuid() END
FROM visits WHERE n % 100 <= 60`,
	`INSERT INTO sessions (id, created_at, updated_at, ip_address, last_used_at, expires_at, idle_expires_at, user_id, refresh_hash)
SELECT gen_random_uuid(), at, at, '192.0.2.' || n % 250, at, at + interval '90 days', at + interval '30 days', id, decode(md5(n::text), 'hex')
FROM (SELECT id, n, now() - (n % 100000) * interval '3 minutes' AS at FROM people, generate_series(1, 2)) logins`,
	`INSERT INTO mail_tokens (id, created_at, updated_at, purpose, email, token_hash, expires_at, used_at, used_from, user_id)
SELECT gen_random_uuid(), at, at, 'verify_email', 'explorer-' || n || '@example.org', decode(md5(n::text), 'hex'), at + interval '1 day', at, '192.0.2.' || n % 250, id
FROM (SELECT id, n, now() - n * interval '3 minutes' AS at FROM people) logins`,
	`INSERT INTO idempotency_keys (user_id, key_hash, claim, claimed_until, fingerprint, answer, expires_at)
SELECT id, sha256(n::text::bytea), gen_random_uuid(), at, '', '', at + interval '1 day' FROM (SELECT id, n, now() - n * interval '2 seconds' AS at FROM people) keys`,
	`INSERT INTO reports (id, created_at, updated_at, subject_type, subject_id, reason, status, reporter_id)
SELECT gen_random_uuid(), at, at, 'landmark', landmark_id, 'other', CASE WHEN n % 200 = 0 THEN 'open' ELSE 'resolved' END, user_id FROM visits WHERE n % 10 = 0`,
	`INSERT INTO audit_logs (id, created_at, actor_id, action, entity_type, entity_id, changes, request_id)
SELECT gen_random_uuid(), at, user_id, CASE n % 20 WHEN 0 THEN 'login' WHEN 2 THEN 'permission_denied' ELSE 'update' END,
  CASE WHEN n % 20 = 0 THEN 'user' ELSE 'landmark' END, CASE WHEN n % 20 = 0 THEN user_id ELSE landmark_id END, '{}', n::text
FROM (SELECT user_id, landmark_id, n, date_trunc('month', now()) + n * interval '1 second' AS at FROM visits WHERE n % 2 = 0) changes`,
	`INSERT INTO audit_links (chain, seq, audit_id, audit_created_at, hash)
SELECT n % 16, 1 + n / 16, id, created_at, '' FROM (SELECT id, created_at, row_number() OVER (ORDER BY created_at, id) - 1 AS n FROM audit_logs WHERE request_id <> '') rows
ON CONFLICT DO NOTHING`,
	`UPDATE audit_chain_heads h SET (seq, hash) = (SELECT max(l.seq), ''::bytea FROM audit_links l WHERE l.chain = h.chain)`,
	`UPDATE areas SET parent_area_id = parents.id
FROM (SELECT id, row_number() OVER (ORDER BY name) AS n FROM areas) numbered,
  (SELECT id, row_number() OVER (ORDER BY name) AS n FROM areas) parents
WHERE areas.id = numbered.id AND parents.n = numbered.n / 10 AND numbered.n >= 10`,
	`UPDATE areas SET deleted_at = created_at, deletion_id = gen_random_uuid() WHERE id IN (
  SELECT id FROM areas a WHERE NOT EXISTS (SELECT FROM areas c WHERE c.parent_area_id = a.id) ORDER BY name LIMIT 100)`,
	`UPDATE landmarks SET deleted_at = a.deleted_at, deletion_id = a.deletion_id FROM areas a WHERE a.id = area_id AND a.deleted_at IS NOT NULL`,
	`UPDATE landmarks SET deleted_at = created_at, deletion_id = gen_random_uuid() WHERE deleted_at IS NULL AND id IN (SELECT landmark_id FROM visits WHERE n % 100 = 99)`,
	`UPDATE landmarks SET external_id = 'external-' || id, is_verified = n % 3 > 0 FROM visits WHERE landmark_id = id AND n % 10 = 0`,
	`INSERT INTO search_vocabulary (word) SELECT DISTINCT translate(substr(md5(i::text), 1, 4 + i % 6), '0123456789', 'ghijklmnop') FROM generate_series(1, 50000) i`,
	`INSERT INTO row_totals (table_name, key, n) SELECT 'other', jsonb_build_object('n', i), i FROM generate_series(1, 5000) i`,
	`INSERT INTO river_job (state, kind, args, queue, max_attempts, finalized_at)
SELECT 'completed', 'mail', '{}', 'default', 25, now() FROM generate_series(1, 50000)`,
	`SET session_replication_role = origin`,
	`INSERT INTO webhook_deliveries (id, created_at, updated_at, webhook_id, event_id, event_type, payload, status)
	SELECT gen_random_uuid(), now() - n * interval '50 seconds', now(), gen_random_uuid(), gen_random_uuid(), 'ping', '{}', 'succeeded'
	FROM generate_series(1, 50000) n`,
	// Of all rows: what a sample of them leaves out would decide plans by chance.
	`SET default_statistics_target = 1000`,
	`VACUUM ANALYZE`,
	`RESET ALL`,
}

// uncounted is a moment's work that the map has not counted yet.
const uncounted = `INSERT INTO landmark_cell_changes SELECT cell, n, x, y FROM landmark_cells WHERE level = 16 ORDER BY cell LIMIT 3000; ANALYZE landmark_cell_changes`

func newWorld(t *testing.T) *world {
	t.Helper()
	s := apptest.NewWithoutWorkers(t, apptest.WithLimits("login:account=2/15m"), func(c *config.Config) { c.WebhookAllowPrivate = true })
	w := &world{Server: s, admin: s.As("admin"), explorer: s.User(), sent: &recorder{calls: map[string][]call{}, texts: map[string]int{}}}
	ctx := context.Background()
	require.NoError(t, bench.Generate(ctx, s.Store.Pool, landmarks, w.admin.ID, w.explorer.ID))
	conn, err := pgx.Connect(ctx, s.Config.DatabaseURL)
	require.NoError(t, err)
	defer conn.Close(ctx)
	exec := func(statement string) {
		t.Helper()
		_, err := conn.Exec(ctx, statement)
		require.NoError(t, err, statement)
	}
	// Nobody looks at the tables again in the background, and knows better afterwards.
	exec(`DO $$ DECLARE name text; BEGIN
		FOR name IN SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace LOOP
			EXECUTE format('ALTER TABLE %I SET (autovacuum_enabled = false)', name);
		END LOOP;
	END $$`)
	require.NoError(t, tile.NewService(s.Store).Count(ctx))
	exec(uncounted)
	for _, statement := range fill {
		exec(statement)
	}
	rows, err := conn.Query(ctx, `SELECT location FROM landmarks WHERE name LIKE '% of city _, number 1' ORDER BY name LIMIT 3`)
	require.NoError(t, err)
	w.spots, err = pgx.CollectRows(rows, pgx.RowTo[geo.Point])
	require.NoError(t, err)
	return w
}

// call sends a request, which has to be answered with a status, and returns the id
// of what is answered, if it has one.
func (w *world) call(t *testing.T, by *apptest.Client, status int, method, path, body string) uuid.UUID {
	t.Helper()
	contentType := "application/json"
	if method == http.MethodPatch {
		contentType = "application/merge-patch+json"
	}
	if body == "" {
		contentType = ""
	}
	response, data := w.Call(by, method, path, contentType, strings.NewReader(body))
	require.Equal(t, status, response.StatusCode, "%s %s: %s", method, path, data)
	var made struct {
		ID uuid.UUID `json:"id"`
	}
	_ = json.Unmarshal(data, &made) // It may be no object, or have no id.
	return made.ID
}

// until sends a request again and again until it has a statement sent, as one that
// makes a copy of what was asked for before.
func (w *world) until(t *testing.T, statement string, by *apptest.Client, path string) {
	t.Helper()
	require.Eventually(t, func() bool {
		w.call(t, by, http.StatusOK, http.MethodGet, path, "")
		return w.sent.has(statement)
	}, time.Minute, 10*time.Millisecond, statement+" is not sent")
}

// cursor returns the one behind the first page of a list.
func (w *world) cursor(t *testing.T, by *apptest.Client, path string) string {
	t.Helper()
	response, data := w.Call(by, http.MethodGet, path+"&cursor=", "", nil)
	require.Equal(t, http.StatusOK, response.StatusCode, "%s: %s", path, data)
	var list struct {
		Next string `json:"next_cursor"`
	}
	require.NoError(t, json.Unmarshal(data, &list))
	require.NotEmpty(t, list.Next, path)
	return path + "&cursor=" + url.QueryEscape(list.Next)
}

// exec executes what the scenario needs beside what it looks at.
func (w *world) exec(t *testing.T, statement string) {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), w.Config.DatabaseURL)
	require.NoError(t, err)
	defer conn.Close(context.Background())
	_, err = conn.Exec(context.Background(), statement)
	require.NoError(t, err)
}

// id returns one that a query selects.
func (w *world) id(t *testing.T, query string, args ...any) (id uuid.UUID) {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), w.Config.DatabaseURL)
	require.NoError(t, err)
	defer conn.Close(context.Background())
	require.NoError(t, conn.QueryRow(context.Background(), query, args...).Scan(&id), query)
	return id
}
