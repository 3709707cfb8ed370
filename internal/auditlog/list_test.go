package auditlog_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/audit"
	"github.com/picaspot/picaspot/internal/auditlog"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/reqctx"
)

// event is what matters of a row to a test.
type event struct {
	action, entityType, request string
	entity, actor               uuid.UUID
	at                          time.Time
}

// log writes rows as the application does, but at times of the test's choice.
func log(t *testing.T, s *apptest.Server, events ...event) {
	t.Helper()
	for _, e := range events {
		ctx := reqctx.With(context.Background(), reqctx.Request{ID: e.request, Address: "203.0.113.7", UserAgent: "test"})
		rows, err := audit.Encode(ctx, audit.Event{
			Action: audit.Action(e.action), EntityType: e.entityType, EntityID: e.entity, Actor: e.actor,
			Changes: map[string]audit.Change{"name": {Before: json.RawMessage(`"a"`), After: json.RawMessage(`"b"`)}},
		})
		require.NoError(t, err)
		var fields []map[string]any
		require.NoError(t, json.Unmarshal([]byte(rows), &fields))
		fields[0]["created_at"] = e.at
		changed, err := json.Marshal(fields)
		require.NoError(t, err)
		_, err = s.Store.Pool.Exec(context.Background(), audit.Statement, string(changed))
		require.NoError(t, err)
	}
}

func list(t *testing.T, by *apptest.Client, params api.ListAuditLogsParams) api.AuditLogList {
	t.Helper()
	got, err := by.ListAuditLogsWithResponse(context.Background(), &params)
	require.NoError(t, err)
	require.NotNil(t, got.JSON200, string(got.Body))
	return *got.JSON200
}

func export(t *testing.T, by *apptest.Client, params api.ExportAuditLogsParams) []api.AuditEntry {
	t.Helper()
	got, err := by.ExportAuditLogsWithResponse(context.Background(), &params)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, got.StatusCode(), string(got.Body))
	return entries(t, got.Body)
}

func entries(t *testing.T, ndjson []byte) []api.AuditEntry {
	t.Helper()
	var all []api.AuditEntry
	lines := bufio.NewScanner(bytes.NewReader(ndjson))
	for lines.Scan() {
		var entry api.AuditEntry
		require.NoError(t, json.Unmarshal(lines.Bytes(), &entry))
		all = append(all, entry)
	}
	require.NoError(t, lines.Err())
	return all
}

func TestListFilters(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	admin := s.As("admin")
	ada, bob, area, landmark := uuid.New(), uuid.New(), uuid.New(), uuid.New()
	// Long ago, so that what the test itself causes stands apart; in three months.
	day := func(n int) time.Time { return time.Date(2024, 3, 1, 12, 0, 0, 123456000, time.UTC).AddDate(0, 0, 20*n) }
	log(t, s,
		event{"create", "area", "r1", area, ada, day(0)},
		event{"create", "landmark", "r1", landmark, ada, day(0)},
		event{"update", "area", "r2", area, ada, day(1)},
		event{"update", "area", "r3", area, bob, day(2)},
		event{"delete", "landmark", "r4", landmark, bob, day(3)},
		event{"keys_rotated", "key", "", uuid.Nil, uuid.Nil, day(4)},
	)
	until := day(5)
	for name, test := range map[string]struct {
		filter api.ExportAuditLogsParams
		want   []string
	}{
		"none":            {api.ExportAuditLogsParams{}, []string{"create r1", "create r1", "update r2", "update r3", "delete r4", "keys_rotated "}},
		"actor":           {api.ExportAuditLogsParams{ActorID: &ada}, []string{"create r1", "create r1", "update r2"}},
		"action":          {api.ExportAuditLogsParams{Action: new(api.AuditActionUpdate)}, []string{"update r2", "update r3"}},
		"entity type":     {api.ExportAuditLogsParams{EntityType: new("landmark")}, []string{"create r1", "delete r4"}},
		"entity":          {api.ExportAuditLogsParams{EntityID: &area}, []string{"create r1", "update r2", "update r3"}},
		"from, inclusive": {api.ExportAuditLogsParams{From: new(day(3))}, []string{"delete r4", "keys_rotated "}},
		"to, exclusive":   {api.ExportAuditLogsParams{To: new(day(1))}, []string{"create r1", "create r1"}},
		"request":         {api.ExportAuditLogsParams{RequestID: new("r1")}, []string{"create r1", "create r1"}},
		"all at once": {api.ExportAuditLogsParams{
			ActorID: &ada, Action: new(api.AuditActionUpdate), EntityType: new("area"), EntityID: &area, From: new(day(1)), To: new(day(2)), RequestID: new("r2"),
		}, []string{"update r2"}},
		"two that exclude each other": {api.ExportAuditLogsParams{ActorID: &bob, RequestID: new("r1")}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := test.filter
			if f.To == nil {
				f.To = &until
			}
			of := func(items []api.AuditEntry) (all []string) {
				for _, e := range items {
					all = append(all, e.Action+" "+e.RequestID)
				}
				return all
			}
			got := list(t, admin, api.ListAuditLogsParams{
				ActorID: f.ActorID, Action: f.Action, EntityType: f.EntityType, EntityID: f.EntityID, From: f.From, To: f.To, RequestID: f.RequestID,
				SortOrder: new(api.ListAuditLogsParamsSortOrderAsc),
			})
			require.Equal(t, test.want, of(got.Items))
			require.Equal(t, len(test.want), *got.Total)
			require.Equal(t, test.want, of(export(t, admin, f)))
		})
	}

	t.Run("entries are complete", func(t *testing.T) {
		t.Parallel()
		e := list(t, admin, api.ListAuditLogsParams{RequestID: new("r2")}).Items[0]
		require.Equal(t, ada, e.ActorID.MustGet())
		require.Equal(t, area, e.EntityID.MustGet())
		require.True(t, e.CreatedAt.Equal(day(1)))
		require.Equal(t, "203.0.113.7", e.IPAddress)
		require.Equal(t, "test", e.UserAgent)
		require.Equal(t, map[string]any{"name": map[string]any{"before": "a", "after": "b"}}, e.Changes)
		e = list(t, admin, api.ListAuditLogsParams{Action: new(api.AuditActionKeysRotated), To: &until}).Items[0]
		require.True(t, e.ActorID.IsNull())
		require.True(t, e.EntityID.IsNull())
	})
}

func TestListPages(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	admin := s.As("admin")
	at := time.Date(2024, 3, 31, 23, 0, 0, 0, time.UTC)
	request := "pages"
	for i := range 25 { // Some at the same time, and across a month.
		log(t, s, event{"update", "area", request, uuid.New(), uuid.New(), at.Add(time.Duration(i/3) * 10 * time.Minute)})
	}
	whole := list(t, admin, api.ListAuditLogsParams{RequestID: &request, Size: new(100)})
	require.Len(t, whole.Items, 25)
	require.Nil(t, whole.NextCursor)
	for i, e := range whole.Items[1:] {
		require.False(t, e.CreatedAt.After(whole.Items[i].CreatedAt), "the newest first")
	}

	var numbered, walked []api.AuditEntry
	for number := 1; number <= 3; number++ {
		got := list(t, admin, api.ListAuditLogsParams{RequestID: &request, Page: &number, Size: new(10)})
		require.Equal(t, []int{25, 10, 3, number}, []int{*got.Total, *got.Size, *got.Pages, *got.Page})
		numbered = append(numbered, got.Items...)
	}
	require.Equal(t, whole.Items, numbered)
	for cursor := new(""); cursor != nil; {
		got := list(t, admin, api.ListAuditLogsParams{RequestID: &request, Cursor: cursor, Size: new(4)})
		require.Nil(t, got.Total)
		walked = append(walked, got.Items...)
		cursor = got.NextCursor
	}
	require.Equal(t, whole.Items, walked)

	t.Run("a cursor is good for its filters only", func(t *testing.T) {
		t.Parallel()
		cursor := list(t, admin, api.ListAuditLogsParams{RequestID: &request, Cursor: new(""), Size: new(4)}).NextCursor
		got, err := admin.ListAuditLogsWithResponse(context.Background(), &api.ListAuditLogsParams{RequestID: new("other"), Cursor: cursor, Size: new(4)})
		require.NoError(t, err)
		require.Equal(t, "/problems/cursor_mismatch", apptest.Problem(t, http.StatusBadRequest, got.HTTPResponse, got.Body).Type)
	})
}

func TestListRefuses(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	admin, moderator, user := s.As("admin"), s.As("moderator"), s.User()
	for _, path := range []string{"/api/v1/admin/audit-logs", "/api/v1/admin/audit-logs/export"} {
		for _, by := range []*apptest.Client{moderator, user} {
			response, body := s.Call(by, http.MethodGet, path, "", nil)
			require.Equal(t, "/problems/forbidden", apptest.Problem(t, http.StatusForbidden, response, body).Type)
		}
		response, body := s.Call(nil, http.MethodGet, path, "", nil)
		apptest.Problem(t, http.StatusUnauthorized, response, body)
		for _, query := range []string{"?actor_id=me", "?from=yesterday", "?to=2026-13-01T00:00:00Z", "?action=" + strings.Repeat("x", 65), "?nothing=1", "?action=a%00b"} {
			response, body := s.Call(admin, http.MethodGet, path+query, "", nil)
			apptest.Problem(t, http.StatusBadRequest, response, body)
		}
	}
	response, body := s.Call(admin, http.MethodGet, "/api/v1/admin/audit-logs?sort_by=action", "", nil)
	apptest.Problem(t, http.StatusBadRequest, response, body)
	response, body = s.Call(admin, http.MethodPost, "/api/v1/admin/audit-logs", "", nil)
	apptest.Problem(t, http.StatusMethodNotAllowed, response, body)
}

func TestExport(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	admin := s.As("admin")
	_, err := s.Store.Pool.Exec(t.Context(), `
		INSERT INTO audit_logs (id, created_at, action, entity_type, changes)
		SELECT gen_random_uuid(), timestamptz '2024-01-01' + n / 4 * interval '1 hour', 'create', 'area', '{"name": {"after": "x"}}' FROM generate_series(1, 4321) n`)
	require.NoError(t, err)
	got, err := admin.ExportAuditLogsWithResponse(t.Context(), &api.ExportAuditLogsParams{To: new(time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC))})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, got.StatusCode())
	h := got.HTTPResponse.Header
	require.Equal(t, "application/x-ndjson", h.Get("Content-Type"))
	require.Equal(t, "no-store", h.Get("Cache-Control"))
	require.Regexp(t, `^attachment; filename="picaspot-audit-\d{4}-\d\d-\d\d\.ndjson"$`, h.Get("Content-Disposition"))
	require.Equal(t, []string{"chunked"}, got.HTTPResponse.TransferEncoding, "nobody knows the length before")
	all := entries(t, got.Body)
	require.Len(t, all, 4321)
	seen := map[uuid.UUID]bool{}
	for i, e := range all {
		seen[e.ID] = true
		require.True(t, i == 0 || !e.CreatedAt.Before(all[i-1].CreatedAt), "the oldest first")
	}
	require.Len(t, seen, 4321)

	t.Run("is on record, with what was asked for", func(t *testing.T) {
		recorded := list(t, admin, api.ListAuditLogsParams{Action: new(api.AuditActionAuditExported)})
		require.Len(t, recorded.Items, 1)
		e := recorded.Items[0]
		require.Equal(t, admin.ID, e.ActorID.MustGet())
		require.Equal(t, "audit_log", e.EntityType)
		require.Equal(t, map[string]any{"to": map[string]any{"after": "2025-01-01T00:00:00Z"}}, e.Changes)
		require.Equal(t, h.Get("X-Request-ID"), e.RequestID)
	})

	t.Run("is refused of an action that there is not", func(t *testing.T) {
		listed, err := admin.ListAuditLogsWithResponse(t.Context(), &api.ListAuditLogsParams{Action: new(api.AuditAction("updated"))})
		require.NoError(t, err)
		exported, err := admin.ExportAuditLogsWithResponse(t.Context(), &api.ExportAuditLogsParams{Action: new(api.AuditAction("updated"))})
		require.NoError(t, err)
		for _, p := range []*api.Problem{listed.ApplicationProblemJSON400, exported.ApplicationProblemJSON400} {
			require.NotNil(t, p, "%s\n%s", listed.Body, exported.Body)
			require.Equal(t, "action", *(*p.Errors)[0].Parameter)
		}
	})

	t.Run("of nothing is empty", func(t *testing.T) {
		got, err := admin.ExportAuditLogsWithResponse(t.Context(), &api.ExportAuditLogsParams{RequestID: new("nothing")})
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, got.StatusCode())
		require.Empty(t, got.Body)
		require.Equal(t, "application/x-ndjson", got.HTTPResponse.Header.Get("Content-Type"))
	})

	t.Run("does not happen without its record", func(t *testing.T) {
		relent := s.Refuse("INSERT", "audit_logs")
		got, err := admin.ExportAuditLogsWithResponse(t.Context(), nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusInternalServerError, got.StatusCode())
		require.NotContains(t, string(got.Body), "name")
		relent()
	})

	t.Run("ends with its reader", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		batches := 0
		err := s.Audit.Each(ctx, auditlog.Filter{}, func([]auditlog.Entry) error {
			batches++
			cancel()
			return nil
		})
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, 1, batches)
		full := errors.New("full")
		require.ErrorIs(t, s.Audit.Each(t.Context(), auditlog.Filter{}, func([]auditlog.Entry) error { return full }), full)
	})
}

func TestRefusalsAreOnRecord(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	admin, moderator, user := s.As("admin"), s.As("moderator"), s.User()
	started := time.Now()
	for range 20 {
		for _, by := range []*apptest.Client{moderator, user} {
			response, _ := s.Call(by, http.MethodGet, "/api/v1/admin/audit-logs", "", nil)
			require.Equal(t, http.StatusForbidden, response.StatusCode)
			response, _ = s.Call(by, http.MethodGet, "/api/v1/admin/policy", "", nil)
			require.Equal(t, http.StatusForbidden, response.StatusCode)
		}
	}
	// An app may ask for what it may not do; that is no news.
	response, _ := s.Call(user, http.MethodGet, "/api/v1/moderation/reports", "", nil)
	require.Equal(t, http.StatusForbidden, response.StatusCode)

	recorded := list(t, admin, api.ListAuditLogsParams{Action: new(api.AuditActionPermissionDenied), Size: new(100)}).Items
	minutes := int(time.Since(started)/time.Minute) + 2 // The clock may have gone on to the next minute.
	require.GreaterOrEqual(t, len(recorded), 4)
	require.LessOrEqual(t, len(recorded), 4*minutes)
	seen := map[string]bool{}
	for _, e := range recorded {
		require.Equal(t, "policy", e.EntityType)
		require.NotEmpty(t, e.RequestID)
		change := func(name string) any { return e.Changes[name].(map[string]any)["after"] }
		key := fmt.Sprint(e.ActorID.MustGet(), change("permission"), e.CreatedAt.Truncate(time.Minute))
		require.False(t, seen[key], "twice within a minute")
		seen[key] = true
		require.Contains(t, []any{"audit:read", "policy:manage"}, change("permission"))
		if e.ActorID.MustGet() == user.ID {
			require.Equal(t, authz.DefaultRole, change("role"))
		}
	}

	t.Run("once, whichever replicas refuse", func(t *testing.T) {
		caller := authz.Caller{UserID: uuid.New(), Role: "user"}
		var all sync.WaitGroup
		before := time.Now().Truncate(time.Minute)
		for range 5 {
			replica := auditlog.NewService(s.Store, nil, 0)
			all.Go(func() { replica.Denied(context.Background(), caller, "role:manage") })
		}
		all.Wait()
		if !time.Now().Truncate(time.Minute).Equal(before) {
			t.Log("the minute ended meanwhile")
			return
		}
		require.Len(t, list(t, admin, api.ListAuditLogsParams{ActorID: &caller.UserID}).Items, 1)
	})

	t.Run("refused all the same when they can't be written", func(t *testing.T) {
		other := s.User()
		defer s.Refuse("INSERT", "audit_logs")()
		response, _ := s.Call(other, http.MethodGet, "/api/v1/admin/audit-logs", "", nil)
		require.Equal(t, http.StatusForbidden, response.StatusCode)
	})
}
