package account_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	entuser "github.com/picaspot/picaspot/ent/user"
	"github.com/picaspot/picaspot/internal/account"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/version"
)

func tryManage(t *testing.T, by *apptest.Client, id uuid.UUID, in api.AdminUserUpdate, ifMatch ...string) *api.UpdateUserResponse {
	t.Helper()
	params := &api.UpdateUserParams{}
	if len(ifMatch) > 0 {
		params.IfMatch = &ifMatch[0]
	}
	got, err := by.UpdateUserWithApplicationMergePatchPlusJSONBodyWithResponse(context.Background(), id, params, in)
	require.NoError(t, err)
	return got
}

func manage(t *testing.T, by *apptest.Client, id uuid.UUID, in api.AdminUserUpdate) api.AdminUser {
	t.Helper()
	got := tryManage(t, by, id, in)
	require.NotNil(t, got.JSON200, string(got.Body))
	return *got.JSON200
}

func problemCode(t *testing.T, status int, code string, response *http.Response, body []byte) {
	t.Helper()
	require.Equal(t, "/problems/"+code, apptest.Problem(t, status, response, body).Type)
}

func TestManagedAccounts(t *testing.T) {
	t.Parallel()
	ctx := context.Background()

	t.Run("are read, by their version", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		user, admin := s.User(), s.As("admin")
		got, err := admin.GetUserWithResponse(ctx, user.ID, nil)
		require.NoError(t, err)
		require.NotNil(t, got.JSON200, string(got.Body))
		require.Equal(t, user.Username, got.JSON200.Username)
		require.Equal(t, user.Email, string(got.JSON200.Email))
		require.Equal(t, "user", got.JSON200.Role)
		require.Equal(t, api.UserStatusActive, got.JSON200.Status)
		require.True(t, got.JSON200.DisplayName.IsNull())
		require.False(t, got.JSON200.EmailVerifiedAt.IsNull())
		require.NotContains(t, string(got.Body), "password")
		tag := got.HTTPResponse.Header.Get("ETag")
		same, err := admin.GetUserWithResponse(ctx, user.ID, &api.GetUserParams{IfNoneMatch: &tag})
		require.NoError(t, err)
		require.Equal(t, http.StatusNotModified, same.StatusCode())
	})

	t.Run("have another role from the next request on", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		user, admin := s.User(), s.As("admin")
		area := s.Area(s.User(), "Harbour")
		before, err := user.VerifyAreaWithResponse(ctx, area.ID)
		require.NoError(t, err)
		problemCode(t, http.StatusForbidden, "forbidden", before.HTTPResponse, before.Body)
		got := tryManage(t, admin, user.ID, api.AdminUserUpdate{Role: new("moderator")})
		require.NotNil(t, got.JSON200, string(got.Body))
		require.Equal(t, "moderator", got.JSON200.Role)
		after, err := user.VerifyAreaWithResponse(ctx, area.ID)
		require.NoError(t, err)
		require.NotNil(t, after.JSON200, string(after.Body))
		require.Equal(t, 1, count(t, s, "SELECT count(*) FROM audit_logs WHERE action = 'update' AND entity_id = $1 AND actor_id = $2 AND request_id = $3",
			user.ID, admin.ID, got.HTTPResponse.Header.Get("X-Request-ID")))
	})

	t.Run("are suspended from the next request on, and come back without their sessions", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		user, admin := s.User(), s.As("admin")
		status := func() int {
			got, err := user.GetMeWithResponse(ctx, nil)
			require.NoError(t, err)
			return got.StatusCode()
		}
		require.Equal(t, http.StatusOK, status())
		got := tryManage(t, admin, user.ID, api.AdminUserUpdate{Status: new(api.UserStatusSuspended)})
		require.NotNil(t, got.JSON200, string(got.Body))
		require.Equal(t, http.StatusUnauthorized, status())
		for _, action := range []string{"update", "suspended"} {
			require.Equal(t, 1, count(t, s, "SELECT count(*) FROM audit_logs WHERE action = $1 AND entity_id = $2 AND actor_id = $3 AND request_id = $4",
				action, user.ID, admin.ID, got.HTTPResponse.Header.Get("X-Request-ID")), action)
		}
		require.Equal(t, api.UserStatusActive, manage(t, admin, user.ID, api.AdminUserUpdate{Status: new(api.UserStatusActive)}).Status)
		require.Equal(t, http.StatusUnauthorized, status())
		s.LogIn(user.ID, user.Username, user.Email)
	})

	t.Run("stay the version that they are when nothing changes", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		user, admin := s.User(), s.As("admin")
		before := manage(t, admin, user.ID, api.AdminUserUpdate{})
		require.Equal(t, before, manage(t, admin, user.ID, api.AdminUserUpdate{Role: new("user"), Status: new(api.UserStatusActive)}))
		still, err := user.GetMeWithResponse(ctx, nil)
		require.NoError(t, err)
		require.NotNil(t, still.JSON200)
	})

	t.Run("are changed in the version that was seen", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		user, admin := s.User(), s.As("admin")
		got, err := admin.GetUserWithResponse(ctx, user.ID, nil)
		require.NoError(t, err)
		seen := got.HTTPResponse.Header.Get("ETag")
		changed := tryManage(t, admin, user.ID, api.AdminUserUpdate{Role: new("moderator")}, seen)
		require.NotNil(t, changed.JSON200, string(changed.Body))
		late := tryManage(t, admin, user.ID, api.AdminUserUpdate{Role: new("admin")}, seen)
		problemCode(t, http.StatusPreconditionFailed, "version_changed", late.HTTPResponse, late.Body)
		next := tryManage(t, admin, user.ID, api.AdminUserUpdate{Role: new("admin")}, changed.HTTPResponse.Header.Get("ETag"))
		require.NotNil(t, next.JSON200, string(next.Body))
	})

	t.Run("are never the caller's own", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		admin := s.As("admin")
		s.As("admin")
		for _, in := range []api.AdminUserUpdate{{Role: new("user")}, {Status: new(api.UserStatusSuspended)}} {
			got := tryManage(t, admin, admin.ID, in)
			problemCode(t, http.StatusConflict, "own_account", got.HTTPResponse, got.Body)
		}
	})

	t.Run("have a role that the policy knows", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		user, admin := s.User(), s.As("admin")
		for _, role := range []string{"emperor", "", "Admin"} {
			got := tryManage(t, admin, user.ID, api.AdminUserUpdate{Role: &role})
			problemCode(t, http.StatusUnprocessableEntity, "role_unknown", got.HTTPResponse, got.Body)
		}
		response, body := s.Call(admin, http.MethodPatch, "/api/v1/admin/users/"+user.ID.String(), "application/merge-patch+json", strings.NewReader(`{"status":"banned","email":"x@example.org"}`))
		problemCode(t, http.StatusBadRequest, "invalid_request", response, body)
	})

	t.Run("are for those who manage them, and there", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		user, moderator, admin, gone := s.User(), s.As("moderator"), s.As("admin"), s.User()
		left, err := gone.DeleteMeWithResponse(ctx, api.PasswordConfirmation{Password: apptest.Password})
		require.NoError(t, err)
		require.Equal(t, http.StatusNoContent, left.StatusCode(), string(left.Body))
		for _, test := range []struct {
			by     *apptest.Client
			id     uuid.UUID
			status int
			code   string
		}{
			{s.Anonymous(), user.ID, http.StatusUnauthorized, "unauthenticated"},
			{user, user.ID, http.StatusForbidden, "forbidden"},
			{moderator, user.ID, http.StatusForbidden, "forbidden"},
			{admin, uuid.New(), http.StatusNotFound, "not_found"},
			{admin, gone.ID, http.StatusNotFound, "not_found"},
		} {
			got, err := test.by.GetUserWithResponse(ctx, test.id, nil)
			require.NoError(t, err)
			problemCode(t, test.status, test.code, got.HTTPResponse, got.Body)
			changed := tryManage(t, test.by, test.id, api.AdminUserUpdate{Role: new("admin")})
			problemCode(t, test.status, test.code, changed.HTTPResponse, changed.Body)
			if test.status != http.StatusNotFound {
				listed, err := test.by.ListUsersWithResponse(ctx, nil)
				require.NoError(t, err)
				problemCode(t, test.status, test.code, listed.HTTPResponse, listed.Body)
			}
		}
	})
}

func TestListOfAccounts(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := apptest.NewWithoutWorkers(t)
	admin := s.As("admin")
	accounts := map[string]*apptest.Client{"admin": admin}
	for name, email := range map[string]string{
		"Brina": "brina@example.org", "anton": "anton@quay.example", "cora_1": "c100%@example.org", "corax1": "cora@example.org", "dirk": "dirk@example.org",
	} {
		made, err := s.Accounts.Create(ctx, account.Registration{Username: name, Email: email, Password: apptest.Password}, "user")
		require.NoError(t, err)
		accounts[name] = &apptest.Client{ID: made.ID, Username: name, Email: email}
	}
	manage(t, admin, accounts["dirk"].ID, api.AdminUserUpdate{Status: new(api.UserStatusSuspended)})
	manage(t, admin, accounts["anton"].ID, api.AdminUserUpdate{Role: new("moderator")})
	_, err := s.Store.Pool.Exec(ctx, "UPDATE users SET display_name = 'Ünal the Bold' WHERE id = $1", accounts["corax1"].ID)
	require.NoError(t, err)
	_, err = s.Store.Pool.Exec(ctx, `UPDATE users SET display_name = 'back\slash' WHERE id = $1`, accounts["dirk"].ID)
	require.NoError(t, err)
	gone := s.User()
	left, err := gone.DeleteMeWithResponse(ctx, api.PasswordConfirmation{Password: apptest.Password})
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, left.StatusCode(), string(left.Body))

	list := func(t *testing.T, params api.ListUsersParams) api.UserList {
		t.Helper()
		got, err := admin.ListUsersWithResponse(ctx, &params)
		require.NoError(t, err)
		require.NotNil(t, got.JSON200, string(got.Body))
		return *got.JSON200
	}
	names := func(list api.UserList) (names []string) {
		for _, u := range list.Items {
			names = append(names, u.Username)
		}
		return names
	}

	t.Run("is filtered and searched", func(t *testing.T) {
		t.Parallel()
		for name, test := range map[string]struct {
			params api.ListUsersParams
			want   []string
		}{
			"the living":                      {api.ListUsersParams{}, []string{admin.Username, "anton", "Brina", "cora_1", "corax1", "dirk"}},
			"a role":                          {api.ListUsersParams{Role: new("moderator")}, []string{"anton"}},
			"a role that is no more":          {api.ListUsersParams{Role: new("emperor")}, nil},
			"a status":                        {api.ListUsersParams{Status: new(api.UserStatusSuspended)}, []string{"dirk"}},
			"a part of a name":                {api.ListUsersParams{Search: new("RIN")}, []string{"Brina"}},
			"a part of an address":            {api.ListUsersParams{Search: new("@QUAY.")}, []string{"anton"}},
			"the name that is shown":          {api.ListUsersParams{Search: new("ünal The")}, []string{"corax1"}},
			"an underscore":                   {api.ListUsersParams{Search: new("a_1")}, []string{"cora_1"}},
			"a percent sign":                  {api.ListUsersParams{Search: new("0%@")}, []string{"cora_1"}},
			"a backslash":                     {api.ListUsersParams{Search: new(`k\s`)}, []string{"dirk"}},
			"the beginning of a word":         {api.ListUsersParams{Search: new("BÖ")}, []string{"corax1"}},
			"a letter that no word begins by": {api.ListUsersParams{Search: new("ý")}, nil},
			"a quote":                         {api.ListUsersParams{Search: new(`' OR true --`)}, nil},
			"all of these": {api.ListUsersParams{
				Search: new("cora"), Role: new("user"), Status: new(api.UserStatusActive),
			}, []string{"cora_1", "corax1"}},
		} {
			test.params.SortBy = new(api.ListUsersParamsSortByUsername)
			got := list(t, test.params)
			require.Equal(t, test.want, names(got), name)
			require.Equal(t, len(test.want), *got.Total, name)
		}
	})

	t.Run("is sorted, newest first, and goes by pages and by cursor", func(t *testing.T) {
		t.Parallel()
		newest := list(t, api.ListUsersParams{})
		require.True(t, slices.IsSortedFunc(newest.Items, func(a, b api.AdminUser) int { return b.CreatedAt.Compare(a.CreatedAt) }))
		for _, by := range []api.ListUsersParamsSortBy{api.ListUsersParamsSortByCreatedAt, api.ListUsersParamsSortByUpdatedAt, api.ListUsersParamsSortByUsername} {
			for _, order := range []api.ListUsersParamsSortOrder{"asc", "desc"} {
				whole := list(t, api.ListUsersParams{SortBy: &by, SortOrder: &order})
				require.Len(t, whole.Items, 6)
				var paged, walked []api.AdminUser
				for number := 1; number <= 2; number++ {
					paged = append(paged, list(t, api.ListUsersParams{SortBy: &by, SortOrder: &order, Page: &number, Size: new(4)}).Items...)
				}
				for cursor := new(""); cursor != nil; {
					page := list(t, api.ListUsersParams{SortBy: &by, SortOrder: &order, Cursor: cursor, Size: new(2)})
					walked = append(walked, page.Items...)
					cursor = page.NextCursor
				}
				require.Equal(t, whole.Items, paged, "%s %s", by, order)
				require.Equal(t, whole.Items, walked, "%s %s", by, order)
			}
		}
	})
}

func TestSomebodyIsLeftWhoMayChangeThePolicy(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	leave := func(by *apptest.Client) (*api.DeleteMeResponse, error) {
		return by.DeleteMeWithResponse(ctx, api.PasswordConfirmation{Password: apptest.Password})
	}

	t.Run("when operators do", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		admin := s.As("admin")
		suspended, role := entuser.StatusSuspended, "user"
		for _, in := range []account.Change{{Status: &suspended}, {Role: &role}} {
			_, err := s.Accounts.Manage(ctx, admin.ID, in, version.Precondition{})
			require.ErrorContains(t, err, "last_policy_manager")
		}
		// Neither an account that is suspended counts, nor one that can't log in yet.
		second := s.As("admin")
		manage(t, admin, second.ID, api.AdminUserUpdate{Status: new(api.UserStatusSuspended)})
		unverified := s.As("admin")
		exec(t, s, "UPDATE users SET email_verified_at = NULL WHERE id = $1", unverified.ID)
		_, err := s.Accounts.Manage(ctx, admin.ID, account.Change{Role: &role}, version.Precondition{})
		require.ErrorContains(t, err, "last_policy_manager")
		// What is lost already can be lost again.
		for _, lost := range []*apptest.Client{second, unverified} {
			_, err = s.Accounts.Manage(ctx, lost.ID, account.Change{Role: &role}, version.Precondition{})
			require.NoError(t, err)
		}
		s.As("admin")
		_, err = s.Accounts.Manage(ctx, admin.ID, account.Change{Role: &role, Status: &suspended}, version.Precondition{})
		require.NoError(t, err)
	})

	t.Run("when they leave", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		admin, user := s.As("admin"), s.User()
		refused, err := leave(admin)
		require.NoError(t, err)
		problemCode(t, http.StatusConflict, "last_policy_manager", refused.HTTPResponse, refused.Body)
		still, err := admin.GetMeWithResponse(ctx, nil)
		require.NoError(t, err)
		require.NotNil(t, still.JSON200, "the session goes on")
		gone, err := leave(user)
		require.NoError(t, err)
		require.Equal(t, http.StatusNoContent, gone.StatusCode(), string(gone.Body))
		unverified := s.As("admin")
		exec(t, s, "UPDATE users SET email_verified_at = NULL WHERE id = $1", unverified.ID)
		refused, err = leave(admin)
		require.NoError(t, err)
		problemCode(t, http.StatusConflict, "last_policy_manager", refused.HTTPResponse, refused.Body)
		s.As("admin")
		gone, err = leave(admin)
		require.NoError(t, err)
		require.Equal(t, http.StatusNoContent, gone.StatusCode(), string(gone.Body))
	})

	t.Run("whatever happens at the same time", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		demote := func(id uuid.UUID) (int, error) { // By an operator.
			_, err := s.Accounts.Manage(ctx, id, account.Change{Role: new("user")}, version.Precondition{})
			if fault.KindOf(err) == fault.Conflict {
				return http.StatusConflict, nil
			}
			return http.StatusOK, err
		}
		left := "SELECT count(*) FROM users WHERE role = 'admin' AND status = 'active' AND deleted_at IS NULL"
		var last *apptest.Client
		for round := range 4 {
			admins := []*apptest.Client{s.As("admin"), s.As("admin")}
			if last != nil {
				_, err := demote(last.ID)
				require.NoError(t, err)
			}
			statuses := make([]int, len(admins))
			var wg sync.WaitGroup
			for i, admin := range admins {
				wg.Go(func() {
					var err error
					statuses[i], err = map[int]func() (int, error){
						0: func() (int, error) { return demote(admin.ID) },
						1: func() (int, error) { // Suspended by each other.
							got, err := admins[1-i].UpdateUserWithApplicationMergePatchPlusJSONBodyWithResponse(ctx, admin.ID, nil, api.AdminUserUpdate{Status: new(api.UserStatusSuspended)})
							return got.StatusCode(), err
						},
						2: func() (int, error) { // Leaving on their own.
							got, err := leave(admin)
							return got.StatusCode(), err
						},
						3: func() (int, error) { // One demoted, one leaving.
							if i == 0 {
								got, err := leave(admin)
								return got.StatusCode(), err
							}
							return demote(admin.ID)
						},
					}[round]()
					if err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			require.Equal(t, 1, count(t, s, left), fmt.Sprint("round ", round, ": ", statuses))
			for i, status := range statuses {
				if status >= http.StatusBadRequest {
					last = admins[i]
				}
			}
			require.NotNil(t, last)
		}
	})
}
