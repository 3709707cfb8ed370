package account_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
)

const (
	firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
	iphone  = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1"
)

func sessions(t *testing.T, by *apptest.Client, params *api.ListSessionsParams) api.SessionList {
	t.Helper()
	got, err := by.ListSessionsWithResponse(context.Background(), params)
	require.NoError(t, err)
	require.NotNil(t, got.JSON200, string(got.Body))
	return *got.JSON200
}

func sessionIDs(list []api.Session) []uuid.UUID {
	ids := make([]uuid.UUID, len(list))
	for i, session := range list {
		ids[i] = session.ID
	}
	return ids
}

// current is the session that a client speaks in.
func current(t *testing.T, by *apptest.Client) api.Session {
	t.Helper()
	for _, session := range sessions(t, by, nil).Items {
		if session.IsCurrent {
			return session
		}
	}
	t.Fatal("none of the sessions is the present one")
	return api.Session{}
}

func TestSessionsAreListed(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t, behindProxy)
	user, other := s.User(), s.User()
	exec(t, s, "DELETE FROM sessions WHERE user_id = $1", user.ID)
	start := time.Now().Add(-time.Second)
	laptop := login(t, s, user, nil, set("User-Agent", firefox), from("203.0.113.7"))
	phone := login(t, s, user, remember, set("User-Agent", iphone), from("2001:db8::7"))
	script := login(t, s, user, nil, set("User-Agent", ""))
	ids := map[string]uuid.UUID{}
	for name, tokens := range map[string]api.TokenResponse{"laptop": laptop, "phone": phone, "script": script} {
		ids[name] = current(t, withToken(t, s, user, tokens.AccessToken)).ID
	}
	named := func(names ...string) []uuid.UUID {
		list := make([]uuid.UUID, len(names))
		for i, name := range names {
			list[i] = ids[name]
		}
		return list
	}
	onLaptop := withToken(t, s, user, laptop.AccessToken)

	t.Run("as people know their devices", func(t *testing.T) {
		list := sessions(t, onLaptop, nil)
		require.Equal(t, []int{3, 1, 20, 1}, []int{*list.Total, *list.Page, *list.Size, *list.Pages})
		require.Equal(t, named("script", "phone", "laptop"), sessionIDs(list.Items), "last used first")
		one := list.Items[2]
		require.True(t, one.IsCurrent)
		require.False(t, list.Items[0].IsCurrent || list.Items[1].IsCurrent)
		require.Equal(t, []string{"Firefox on Linux", firefox, "203.0.113.7"}, []string{one.Device, one.UserAgent, one.IPAddress})
		require.False(t, one.Remember || one.SecondFactor)
		require.True(t, list.Items[1].Remember)
		require.Equal(t, "Safari on iOS", list.Items[1].Device)
		require.Equal(t, "2001:db8::7", list.Items[1].IPAddress)
		require.Equal(t, []string{"Unknown device", ""}, []string{list.Items[0].Device, list.Items[0].UserAgent})
		require.WithinRange(t, one.CreatedAt, start, time.Now())
		require.WithinDuration(t, one.CreatedAt, one.LastUsedAt, 20*time.Second)
		require.InDelta(t, (30 * time.Minute).Seconds(), one.ExpiresAt.Sub(one.LastUsedAt).Seconds(), 20)
	})

	t.Run("in the order that was asked for", func(t *testing.T) {
		// The laptop is used again, elsewhere.
		got, err := s.Anonymous().RefreshSessionWithResponse(context.Background(), nil, api.RefreshRequest{RefreshToken: laptop.RefreshToken}, from("198.51.100.4"))
		require.NoError(t, err)
		require.NotNil(t, got.JSON200)
		created, used := api.ListSessionsParamsSortBy("created_at"), api.ListSessionsParamsSortBy("last_used_at")
		up, down := api.ListSessionsParamsSortOrder("asc"), api.ListSessionsParamsSortOrder("desc")
		for _, test := range []struct {
			by    *api.ListSessionsParamsSortBy
			order *api.ListSessionsParamsSortOrder
			want  []uuid.UUID
		}{
			{nil, nil, named("laptop", "script", "phone")},
			{&used, &up, named("phone", "script", "laptop")},
			{&created, &down, named("script", "phone", "laptop")},
			{&created, &up, named("laptop", "phone", "script")},
		} {
			require.Equal(t, test.want, sessionIDs(sessions(t, onLaptop, &api.ListSessionsParams{SortBy: test.by, SortOrder: test.order}).Items))
		}
		require.Equal(t, "198.51.100.4", current(t, onLaptop).IPAddress, "where it was last used from")
	})

	t.Run("page by page", func(t *testing.T) {
		all := sessionIDs(sessions(t, onLaptop, nil).Items)
		var byPage, byCursor []uuid.UUID
		for n := range 3 {
			list := sessions(t, onLaptop, &api.ListSessionsParams{Page: ptr(n + 1), Size: ptr(1)})
			require.Equal(t, []int{3, 3}, []int{*list.Total, *list.Pages})
			byPage = append(byPage, sessionIDs(list.Items)...)
		}
		require.Equal(t, all, byPage)
		require.Empty(t, sessions(t, onLaptop, &api.ListSessionsParams{Page: ptr(4), Size: ptr(1)}).Items)
		next := ptr("")
		for range 3 {
			list := sessions(t, onLaptop, &api.ListSessionsParams{Cursor: next, Size: ptr(1)})
			require.Nil(t, list.Total)
			byCursor = append(byCursor, sessionIDs(list.Items)...)
			next = list.NextCursor
		}
		require.Nil(t, next)
		require.Equal(t, all, byCursor)
		for _, by := range []api.ListSessionsParamsSortBy{"created_at", "last_used_at"} {
			list := sessions(t, onLaptop, &api.ListSessionsParams{SortBy: &by, Cursor: ptr(""), Size: ptr(2)})
			require.Len(t, sessions(t, onLaptop, &api.ListSessionsParams{SortBy: &by, Cursor: list.NextCursor, Size: ptr(2)}).Items, 1)
		}
	})

	t.Run("to nobody else", func(t *testing.T) {
		list := sessions(t, other, nil)
		require.Len(t, list.Items, 1)
		cursor := sessions(t, onLaptop, &api.ListSessionsParams{Cursor: ptr(""), Size: ptr(1)}).NextCursor
		got, err := other.ListSessionsWithResponse(context.Background(), &api.ListSessionsParams{Cursor: cursor})
		require.NoError(t, err)
		apptest.Problem(t, http.StatusBadRequest, got.HTTPResponse, got.Body)
		got, err = s.Anonymous().ListSessionsWithResponse(context.Background(), nil)
		require.NoError(t, err)
		refused(t, http.StatusUnauthorized, "unauthenticated", got.HTTPResponse, got.Body)
	})

	t.Run("unless something is wrong with the request", func(t *testing.T) {
		for query, status := range map[string]int{
			"sort_by=ip_address": http.StatusBadRequest, "sort_order=up": http.StatusBadRequest, "page=0": http.StatusBadRequest,
			"size=101": http.StatusBadRequest, "cursor=nonsense": http.StatusBadRequest, "page=1&cursor=": http.StatusBadRequest,
		} {
			response, body := s.Call(onLaptop, http.MethodGet, "/api/v1/me/sessions?"+query, "", nil)
			apptest.Problem(t, status, response, body)
		}
	})

	t.Run("as long as they go on", func(t *testing.T) {
		exec(t, s, "UPDATE sessions SET idle_expires_at = now() WHERE id = $1", ids["phone"])
		exec(t, s, "UPDATE sessions SET expires_at = now() WHERE id = $1", ids["script"])
		require.Equal(t, named("laptop"), sessionIDs(sessions(t, onLaptop, nil).Items))
	})
}

func TestSessionsAreEnded(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	ctx := context.Background()
	user, other := s.User(), s.User()
	end := func(by *apptest.Client, id uuid.UUID) *api.EndSessionResponse {
		got, err := by.EndSessionWithResponse(ctx, id)
		require.NoError(t, err)
		return got
	}
	notFound := func(t *testing.T, by *apptest.Client, id uuid.UUID) {
		t.Helper()
		got := end(by, id)
		refused(t, http.StatusNotFound, "not_found", got.HTTPResponse, got.Body)
	}

	t.Run("from another one", func(t *testing.T) {
		tokens := login(t, s, user, nil)
		id := current(t, withToken(t, s, user, tokens.AccessToken)).ID
		got := end(user, id)
		require.Equal(t, http.StatusNoContent, got.StatusCode(), string(got.Body))
		require.False(t, works(t, s, tokens.AccessToken))
		refreshRefused(t, s, *tokens.RefreshToken)
		require.True(t, works(t, s, user.Token))
		require.Equal(t, 1, count(t, s, "SELECT count(*) FROM audit_logs WHERE action = 'session_ended' AND entity_id = $1 AND actor_id = $2", id, user.ID))
		notFound(t, user, id)
		require.Equal(t, 1, events(t, s, user, "session_ended"))
	})

	t.Run("from themselves", func(t *testing.T) {
		tokens := login(t, s, user, nil)
		client := withToken(t, s, user, tokens.AccessToken)
		got := end(client, current(t, client).ID)
		require.Equal(t, http.StatusNoContent, got.StatusCode(), string(got.Body))
		require.False(t, works(t, s, tokens.AccessToken))
	})

	t.Run("by their user only", func(t *testing.T) {
		notFound(t, other, current(t, user).ID)
		notFound(t, s.As("admin"), current(t, user).ID)
		notFound(t, user, uuid.New())
		require.True(t, works(t, s, user.Token))
		response, body := s.Call(user, http.MethodDelete, "/api/v1/me/sessions/1", "", nil)
		apptest.Problem(t, http.StatusBadRequest, response, body)
		response, body = s.Call(nil, http.MethodDelete, "/api/v1/me/sessions/"+current(t, user).ID.String(), "", nil)
		refused(t, http.StatusUnauthorized, "unauthenticated", response, body)
	})

	t.Run("by a logout", func(t *testing.T) {
		tokens := login(t, s, user, nil)
		client := withToken(t, s, user, tokens.AccessToken)
		before := events(t, s, user, "logout")
		got, err := client.LogoutWithResponse(ctx)
		require.NoError(t, err)
		require.Equal(t, http.StatusNoContent, got.StatusCode(), string(got.Body))
		again, err := client.LogoutWithResponse(ctx)
		require.NoError(t, err)
		refused(t, http.StatusUnauthorized, "session_ended", again.HTTPResponse, again.Body)
		refreshRefused(t, s, *tokens.RefreshToken)
		require.True(t, works(t, s, user.Token), "the others go on")
		require.Equal(t, before+1, events(t, s, user, "logout"))
	})

	t.Run("by a logout everywhere", func(t *testing.T) {
		user := s.User()
		tokens := login(t, s, user, nil)
		got, err := withToken(t, s, user, tokens.AccessToken).LogoutAllWithResponse(ctx)
		require.NoError(t, err)
		require.Equal(t, http.StatusNoContent, got.StatusCode(), string(got.Body))
		for _, access := range []string{tokens.AccessToken, user.Token} {
			require.False(t, works(t, s, access))
		}
		refreshRefused(t, s, *tokens.RefreshToken)
		require.True(t, works(t, s, other.Token))
		require.Equal(t, 1, events(t, s, user, "logout_all"))
		require.Equal(t, 2, count(t, s, "SELECT count(*) FROM sessions WHERE user_id = $1 AND end_reason = 'logout_all'", user.ID))
	})

	t.Run("whole or not at all", func(t *testing.T) {
		tokens := login(t, s, user, nil)
		client := withToken(t, s, user, tokens.AccessToken)
		for operation, table := range map[string]string{"INSERT": "audit_logs", "UPDATE": "sessions"} {
			relent := s.Refuse(operation, table)
			for _, path := range []string{"/api/v1/auth/logout", "/api/v1/auth/logout-all"} {
				response, body := s.Call(client, http.MethodPost, path, "", nil)
				refused(t, http.StatusInternalServerError, "internal", response, body)
			}
			relent()
		}
		require.True(t, works(t, s, tokens.AccessToken))
	})

	t.Run("not by who is not logged in", func(t *testing.T) {
		for _, path := range []string{"/api/v1/auth/logout", "/api/v1/auth/logout-all"} {
			response, body := s.Call(nil, http.MethodPost, path, "", strings.NewReader(""))
			refused(t, http.StatusUnauthorized, "unauthenticated", response, body)
		}
	})
}
