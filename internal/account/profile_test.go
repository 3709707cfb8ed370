package account_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"image/jpeg"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/oapi-codegen/nullable"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/account"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/photo/sample"
)

var lighthouse = geo.Point{Latitude: 53.8671, Longitude: 8.7206}

func TestProfileIsChanged(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	ctx := context.Background()
	user := s.User()
	try := func(in api.MeUpdate, params *api.UpdateMeParams) *api.UpdateMeResponse {
		got, err := user.UpdateMeWithApplicationMergePatchPlusJSONBodyWithResponse(ctx, params, in)
		require.NoError(t, err)
		return got
	}
	update := func(t *testing.T, in api.MeUpdate, params *api.UpdateMeParams) api.Me {
		t.Helper()
		got := try(in, params)
		require.NotNil(t, got.JSON200, string(got.Body))
		return *got.JSON200
	}
	patch := func(body string) (*http.Response, []byte) {
		return s.Call(user, http.MethodPatch, "/api/v1/me", mergeType, strings.NewReader(body))
	}
	named := func(name string) api.MeUpdate {
		return api.MeUpdate{DisplayName: nullable.NewNullableWithValue(name)}
	}

	t.Run("field by field", func(t *testing.T) {
		before := me(t, user)
		require.True(t, before.DisplayName.IsNull())
		require.True(t, before.Avatar.IsNull())
		require.Empty(t, before.Bio)
		require.Equal(t, []string{user.Username, user.Email, "user"}, []string{before.Username, string(before.Email), before.Role})
		after := update(t, named("  Ada 🗼 "), nil)
		require.Equal(t, "Ada 🗼", after.DisplayName.MustGet())
		require.True(t, after.UpdatedAt.After(before.UpdatedAt))
		after = update(t, api.MeUpdate{Bio: ptr("Collects lighthouses.")}, nil)
		require.Equal(t, "Ada 🗼", after.DisplayName.MustGet(), "what is absent stays")
		require.Equal(t, "Collects lighthouses.", after.Bio)
		after = update(t, api.MeUpdate{DisplayName: nullable.NewNullNullable[string]()}, nil)
		require.True(t, after.DisplayName.IsNull())
		require.Equal(t, "Collects lighthouses.", after.Bio)
		require.Empty(t, update(t, api.MeUpdate{Bio: ptr("")}, nil).Bio)
		require.Equal(t, after.CreatedAt, me(t, user).CreatedAt)
	})

	t.Run("or refused", func(t *testing.T) {
		before := me(t, user)
		for body, at := range map[string]string{
			`{"name":"Ada"}`:      "/name",
			`{"role":"admin"}`:    "/role",
			`{"email":"a@b.org"}`: "/email",
			`{"username":"ada"}`:  "/username",
			`{"display_name":""}`: "/display_name",
			`{"display_name":7}`:  "/display_name",
			`{"bio":null}`:        "/bio",
			`{"bio":"\u0000"}`:    "/bio",
			`{"display_name":"` + strings.Repeat("é", 65) + `"}`: "/display_name",
			`{"bio":"` + strings.Repeat("é", 501) + `"}`:         "/bio",
		} {
			response, data := patch(body)
			require.Equal(t, at, pointer(t, refused(t, http.StatusBadRequest, "invalid_request", response, data)), body)
		}
		response, data := patch(`{"display_name":" \u00a0\t"}`)
		require.Equal(t, "/display_name", pointer(t, refused(t, http.StatusUnprocessableEntity, "display_name_blank", response, data)))
		response, data = patch(`{`)
		apptest.Problem(t, http.StatusBadRequest, response, data)
		response, data = s.Call(user, http.MethodPatch, "/api/v1/me", "text/plain", strings.NewReader(`{}`))
		apptest.Problem(t, http.StatusUnsupportedMediaType, response, data)
		response, data = s.Call(nil, http.MethodPatch, "/api/v1/me", mergeType, strings.NewReader(`{}`))
		refused(t, http.StatusUnauthorized, "unauthenticated", response, data)
		require.Equal(t, before, me(t, user))
	})

	t.Run("in the version that was seen", func(t *testing.T) {
		got, err := user.GetMeWithResponse(ctx, nil)
		require.NoError(t, err)
		seen := got.HTTPResponse.Header.Get("ETag")
		same, err := user.GetMeWithResponse(ctx, &api.GetMeParams{IfNoneMatch: &seen})
		require.NoError(t, err)
		require.Equal(t, http.StatusNotModified, same.StatusCode())
		require.Empty(t, same.Body)

		unchanged := try(api.MeUpdate{}, &api.UpdateMeParams{IfMatch: &seen})
		require.Equal(t, seen, unchanged.HTTPResponse.Header.Get("ETag"), "nothing has changed")
		changed := try(named("Ada"), &api.UpdateMeParams{IfMatch: &seen})
		require.NotNil(t, changed.JSON200, string(changed.Body))
		tag := changed.HTTPResponse.Header.Get("ETag")
		require.NotEqual(t, seen, tag)
		late := try(named("Grace"), &api.UpdateMeParams{IfMatch: &seen})
		refused(t, http.StatusPreconditionFailed, "version_changed", late.HTTPResponse, late.Body)
		require.Equal(t, "Ada", me(t, user).DisplayName.MustGet())
		other, err := user.GetMeWithResponse(ctx, &api.GetMeParams{IfNoneMatch: &seen})
		require.NoError(t, err)
		require.NotNil(t, other.JSON200)
		require.Equal(t, tag, other.HTTPResponse.Header.Get("ETag"))
		update(t, named("Grace"), &api.UpdateMeParams{IfMatch: ptr("*")})
	})

	t.Run("on record, or not at all", func(t *testing.T) {
		require.Positive(t, count(t, s, `SELECT count(*) FROM audit_logs WHERE entity_type = 'user' AND action = 'update'
			AND actor_id = $1 AND entity_id = $1 AND changes ? 'display_name'`, user.ID))
		relent := s.Refuse("INSERT", "audit_logs")
		got := try(named("Hedy"), nil)
		relent()
		refused(t, http.StatusInternalServerError, "internal", got.HTTPResponse, got.Body)
		require.Equal(t, "Grace", me(t, user).DisplayName.MustGet())
	})
}

func TestAvatar(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	ctx := context.Background()
	user, other := s.User(), s.User()
	picture, err := sample.JPEG(sample.Options{Position: &lighthouse, TakenAt: time.Now(), Seed: 7, Width: 320, Height: 240})
	require.NoError(t, err)
	require.Contains(t, string(picture), "Exif")
	put := func(by *apptest.Client, contentType string, data []byte) *api.PutAvatarResponse {
		got, err := by.PutAvatarWithBodyWithResponse(ctx, contentType, bytes.NewReader(data))
		require.NoError(t, err)
		return got
	}
	get := func(by *apptest.Client, id uuid.UUID, params *api.GetUserAvatarParams) *api.GetUserAvatarResponse {
		got, err := by.GetUserAvatarWithResponse(ctx, id, params)
		require.NoError(t, err)
		return got
	}
	gone := func(t *testing.T, id uuid.UUID) {
		t.Helper()
		got := get(other, id, nil)
		refused(t, http.StatusNotFound, "not_found", got.HTTPResponse, got.Body)
	}
	gone(t, user.ID)
	gone(t, uuid.New())

	t.Run("is set, and shows nothing but the picture", func(t *testing.T) {
		made := put(user, "image/jpeg", picture)
		require.NotNil(t, made.JSON200, string(made.Body))
		said := made.JSON200.Avatar.MustGet()
		require.Equal(t, said, me(t, user).Avatar.MustGet())
		require.True(t, strings.HasPrefix(said.URL, "/api/v1/users/"+user.ID.String()+"/avatar?version="))
		response, body := s.Call(other, http.MethodGet, said.URL, "", nil)
		require.Equal(t, http.StatusOK, response.StatusCode, string(body))
		require.Equal(t, "image/jpeg", response.Header.Get("Content-Type"))
		require.Contains(t, response.Header.Get("Cache-Control"), "immutable")
		require.Equal(t, []int{int(said.Bytes), 320, 240}, []int{len(body), said.Width, said.Height})
		for _, trace := range []string{"Exif", "GPS", "PicASpot", "http://ns.adobe.com"} {
			require.NotContains(t, string(body), trace)
		}
		_, err := jpeg.Decode(bytes.NewReader(body))
		require.NoError(t, err)
		tag := response.Header.Get("ETag")
		require.Equal(t, http.StatusNotModified, get(other, user.ID, &api.GetUserAvatarParams{IfNoneMatch: &tag}).StatusCode())
		require.Equal(t, "private, no-cache", get(other, user.ID, nil).HTTPResponse.Header.Get("Cache-Control"))
	})

	t.Run("is replaced", func(t *testing.T) {
		before := me(t, user).Avatar.MustGet()
		made := put(user, "image/jpeg", apptest.Photo(t, lighthouse, time.Now()))
		require.NotNil(t, made.JSON200, string(made.Body))
		require.NotEqual(t, before.URL, made.JSON200.Avatar.MustGet().URL)
	})

	t.Run("is a picture", func(t *testing.T) {
		before := me(t, user)
		for contentType, data := range map[string]string{"text/plain": string(picture), "image/png": "<svg/>", "image/svg+xml": "<svg/>"} {
			got := put(user, contentType, []byte(data))
			apptest.Problem(t, http.StatusUnsupportedMediaType, got.HTTPResponse, got.Body)
		}
		got := put(s.Anonymous(), "image/jpeg", picture)
		refused(t, http.StatusUnauthorized, "unauthenticated", got.HTTPResponse, got.Body)
		got = put(user, "image/jpeg", make([]byte, 22<<20))
		apptest.Problem(t, http.StatusRequestEntityTooLarge, got.HTTPResponse, got.Body)
		relent := s.Refuse("UPDATE", "users")
		got = put(user, "image/jpeg", picture)
		removed, err := user.DeleteAvatarWithResponse(ctx)
		relent()
		require.NoError(t, err)
		refused(t, http.StatusInternalServerError, "internal", got.HTTPResponse, got.Body)
		refused(t, http.StatusInternalServerError, "internal", removed.HTTPResponse, removed.Body)
		require.Equal(t, before, me(t, user))
		require.NotEmpty(t, get(other, user.ID, nil).Body)
	})

	t.Run("is for those who have an account", func(t *testing.T) {
		got := get(s.Anonymous(), user.ID, nil)
		refused(t, http.StatusUnauthorized, "unauthenticated", got.HTTPResponse, got.Body)
	})

	t.Run("is not there while its user is suspended", func(t *testing.T) {
		exec(t, s, "UPDATE users SET status = 'suspended' WHERE id = $1", user.ID)
		gone(t, user.ID)
		exec(t, s, "UPDATE users SET status = 'active' WHERE id = $1", user.ID)
		require.Equal(t, http.StatusOK, get(other, user.ID, nil).StatusCode())
	})

	t.Run("is removed", func(t *testing.T) {
		for range 2 {
			got, err := user.DeleteAvatarWithResponse(ctx)
			require.NoError(t, err)
			require.Equal(t, http.StatusNoContent, got.StatusCode(), string(got.Body))
			require.True(t, me(t, user).Avatar.IsNull())
			gone(t, user.ID)
		}
	})

	t.Run("goes with the account", func(t *testing.T) {
		user := s.User()
		require.NotNil(t, put(user, "image/jpeg", picture).JSON200)
		got, err := user.DeleteMeWithResponse(ctx, api.PasswordConfirmation{Password: apptest.Password})
		require.NoError(t, err)
		require.Equal(t, http.StatusNoContent, got.StatusCode())
		gone(t, user.ID)
	})
}

func TestAccountIsDeleted(t *testing.T) {
	t.Parallel()
	s := apptest.New(t)
	user := s.User()
	a, codes := enrol(t, s, user)
	elsewhere := login(t, s, user, withOTP(a.next()))
	remove := func(in api.PasswordConfirmation) *api.DeleteMeResponse {
		got, err := user.DeleteMeWithResponse(context.Background(), in)
		require.NoError(t, err)
		return got
	}

	t.Run("not without the password and a code", func(t *testing.T) {
		got := remove(confirmation(wrongPassword, a.next()))
		require.Equal(t, "/password", pointer(t, refused(t, http.StatusUnprocessableEntity, "password_wrong", got.HTTPResponse, got.Body)))
		got = remove(confirmation(apptest.Password, ""))
		require.Equal(t, "/otp", pointer(t, refused(t, http.StatusUnprocessableEntity, "otp_required", got.HTTPResponse, got.Body)))
		got = remove(confirmation(apptest.Password, a.wrong()))
		require.Equal(t, "/otp", pointer(t, refused(t, http.StatusUnprocessableEntity, "otp_invalid", got.HTTPResponse, got.Body)))
		response, body := s.Call(user, http.MethodDelete, "/api/v1/me", "", nil)
		apptest.Problem(t, http.StatusBadRequest, response, body)
	})

	t.Run("not by half", func(t *testing.T) {
		for _, refusal := range [][2]string{{"UPDATE", "users"}, {"UPDATE", "sessions"}, {"INSERT", "audit_logs"}, {"INSERT", "river_job"}} {
			relent := s.Refuse(refusal[0], refusal[1])
			got := remove(confirmation(apptest.Password, codes[0]))
			relent()
			refused(t, http.StatusInternalServerError, "internal", got.HTTPResponse, got.Body)
		}
		require.True(t, works(t, s, elsewhere.AccessToken))
	})

	t.Run("at once", func(t *testing.T) {
		got := remove(confirmation(apptest.Password, codes[0]))
		require.Equal(t, http.StatusNoContent, got.StatusCode(), string(got.Body))
		for _, access := range []string{user.Token, elsewhere.AccessToken} {
			require.False(t, works(t, s, access))
		}
		refreshRefused(t, s, *elsewhere.RefreshToken)
		require.False(t, opens(t, s, user.Username, wrongPassword))
		asked := tryLogin(t, s, user.Username, apptest.Password, nil)
		refused(t, http.StatusUnauthorized, "otp_required", asked.HTTPResponse, asked.Body)
		require.Equal(t, 1, count(t, s, "SELECT count(*) FROM users WHERE id = $1 AND deleted_by = id", user.ID), "that alone brings nothing back")
		require.Equal(t, 1, events(t, s, user, "delete"))
		notice(t, s, user.Email, "Your PicASpot account was deleted.")
	})

	t.Run("so that its name and its address are free", func(t *testing.T) {
		s.Mailbox.Clear("")
		register(t, s, user.Username, user.Email)
		require.Equal(t, http.StatusNoContent, follow(t, s, linkTo(t, s, "/verify-email", user.Email)).StatusCode())
		tokens := tryLogin(t, s, user.Username, apptest.Password, nil)
		require.NotNil(t, tokens.JSON200, "it is another account, without a second factor")
		require.NotEqual(t, user.ID, me(t, withToken(t, s, user, tokens.JSON200.AccessToken)).ID)
		require.False(t, works(t, s, user.Token))
	})
}

func TestAccountComesBack(t *testing.T) {
	t.Parallel()
	s := apptest.New(t)
	ctx := context.Background()
	deleted := func(t *testing.T) *apptest.Client {
		t.Helper()
		user := s.User()
		got, err := user.DeleteMeWithResponse(ctx, api.PasswordConfirmation{Password: apptest.Password})
		require.NoError(t, err)
		require.Equal(t, http.StatusNoContent, got.StatusCode(), string(got.Body))
		return user
	}

	t.Run("by a login", func(t *testing.T) {
		user := deleted(t)
		for _, password := range []string{wrongPassword, nextPassword} {
			require.False(t, opens(t, s, user.Username, password))
		}
		tokens := login(t, s, user, nil)
		require.Equal(t, user.ID, me(t, withToken(t, s, user, tokens.AccessToken)).ID)
		require.False(t, works(t, s, user.Token), "the sessions from before do not")
		require.Equal(t, 1, events(t, s, user, "restore"))
		notice(t, s, user.Email, "your deleted PicASpot account, and so it is back")
		require.True(t, opens(t, s, user.Email, apptest.Password))
		require.Equal(t, 1, events(t, s, user, "restore"))
	})

	t.Run("once, when two do so at once", func(t *testing.T) {
		user := deleted(t)
		statuses := make([]int, 4)
		var wg sync.WaitGroup
		for i := range statuses {
			wg.Go(func() {
				got, err := s.Anonymous().LoginWithResponse(ctx, api.LoginRequest{Identifier: user.Username, Password: apptest.Password})
				if err != nil {
					t.Error(err)
					return
				}
				statuses[i] = got.StatusCode()
			})
		}
		wg.Wait()
		require.Equal(t, []int{200, 200, 200, 200}, statuses)
		require.Equal(t, 1, events(t, s, user, "restore"))
	})

	t.Run("not too late", func(t *testing.T) {
		user := deleted(t)
		exec(t, s, "UPDATE users SET deleted_at = $2 WHERE id = $1", user.ID, time.Now().Add(-s.Config.TrashRetention))
		require.False(t, opens(t, s, user.Username, apptest.Password))
	})

	t.Run("not in the place of another", func(t *testing.T) {
		user := deleted(t)
		_, err := s.Accounts.Create(ctx, account.Registration{Username: user.Username, Email: "successor@example.org", Password: nextPassword}, "user")
		require.NoError(t, err)
		require.False(t, opens(t, s, user.Username, apptest.Password))
		require.False(t, opens(t, s, user.Email, apptest.Password))
		require.True(t, opens(t, s, user.Username, nextPassword))
	})

	t.Run("not while it is suspended", func(t *testing.T) {
		user := deleted(t)
		exec(t, s, "UPDATE users SET status = 'suspended' WHERE id = $1", user.ID)
		require.False(t, opens(t, s, user.Username, apptest.Password))
	})

	t.Run("not by half", func(t *testing.T) {
		user := deleted(t)
		for _, refusal := range [][2]string{{"UPDATE", "users"}, {"INSERT", "sessions"}} {
			relent := s.Refuse(refusal[0], refusal[1])
			got := tryLogin(t, s, user.Username, apptest.Password, nil)
			relent()
			refused(t, http.StatusInternalServerError, "internal", got.HTTPResponse, got.Body)
		}
		require.Zero(t, events(t, s, user, "restore"))
		login(t, s, user, nil)
	})

	t.Run("not by a new password", func(t *testing.T) {
		user := deleted(t)
		askForReset(t, s, user.Email)
		settled(t, s)
		require.Len(t, s.Mailbox.Mails(user.Email), 1, "only that it was deleted")
	})
}

func TestExport(t *testing.T) {
	t.Parallel()
	s := apptest.New(t, behindProxy)
	ctx := context.Background()
	user, other, admin := s.User(), s.User(), s.As("admin")
	made := map[*apptest.Client][]string{}
	var secrets []string
	for _, by := range []*apptest.Client{user, other} {
		_, err := by.UpdateMeWithApplicationMergePatchPlusJSONBodyWithResponse(ctx, nil, api.MeUpdate{Bio: ptr("bio of " + by.Username)})
		require.NoError(t, err)
		area := s.Area(by, "Harbour of "+by.Username)
		landmark := s.Landmark(by, area.ID, "Lighthouse of "+by.Username, lighthouse)
		attempt := s.Decided(by, s.Attempt(by, landmark.ID, apptest.Photo(t, lighthouse, time.Now()), lighthouse).ID)
		require.Equal(t, api.AttemptStatusSucceeded, attempt.Status)
		made[by] = []string{
			by.ID.String(), by.Username, by.Email, "bio of " + by.Username, area.ID.String(), area.Name, landmark.ID.String(), landmark.Name,
			attempt.ID.String(), attempt.UnlockID.MustGet().String(), current(t, by).ID.String(),
		}
		a, codes := enrol(t, s, by)
		tokens := login(t, s, by, withOTP(codes[0]), set("User-Agent", firefox))
		next := refresh(t, s, *tokens.RefreshToken)
		secrets = append(secrets, a.secret, resetLink(t, s, by.Email), tokens.AccessToken, *tokens.RefreshToken, *next.RefreshToken, by.Token)
		secrets = append(secrets, codes...)
	}
	managed, err := admin.UpdateUserWithApplicationMergePatchPlusJSONBodyWithResponse(ctx, user.ID, nil, api.AdminUserUpdate{Role: ptr("moderator")},
		set("User-Agent", "Warden/9"), from("198.51.100.9"))
	require.NoError(t, err)
	require.NotNil(t, managed.JSON200, string(managed.Body))

	got, err := user.ExportMeWithResponse(ctx)
	require.NoError(t, err)
	require.NotNil(t, got.JSON200, string(got.Body))
	require.Equal(t, "no-store", got.HTTPResponse.Header.Get("Cache-Control"))
	require.Equal(t, `attachment; filename="picaspot-`+time.Now().UTC().Format(time.DateOnly)+`.json"`, got.HTTPResponse.Header.Get("Content-Disposition"))
	text, out := string(got.Body), got.JSON200

	t.Run("has all that is one's own", func(t *testing.T) {
		require.Equal(t, me(t, user), out.Account)
		require.Equal(t, []int{2, 1, 1, 1, 1}, []int{len(out.Sessions), len(out.Areas), len(out.Landmarks), len(out.Attempts), len(out.Unlocks)})
		for _, own := range made[user] {
			require.Contains(t, text, own)
		}
		require.Equal(t, out.Unlocks[0].ID, out.Attempts[0].UnlockID.MustGet())
		actions := map[string]int{}
		for _, entry := range out.AuditLog {
			actions[entry.Action]++
		}
		for _, action := range []string{"login", "second_factor_on", "recovery_code_used", "create", "update"} {
			require.Positive(t, actions[action], action)
		}
	})

	t.Run("has what was done to the account, and not from where", func(t *testing.T) {
		found := 0
		for _, entry := range out.AuditLog {
			if actor, err := entry.ActorID.Get(); err == nil && actor == admin.ID {
				found++
				require.Equal(t, map[string]any{"before": "user", "after": "moderator"}, entry.Changes["role"])
			}
		}
		require.Equal(t, 1, found)
		require.NotContains(t, text, "198.51.100.9")
		require.NotContains(t, text, "Warden")
	})

	t.Run("has nothing of others", func(t *testing.T) {
		for _, foreign := range append(made[other], admin.Username, admin.Email) {
			require.NotContains(t, text, foreign)
		}
		got, err := admin.ExportMeWithResponse(ctx)
		require.NoError(t, err)
		require.NotNil(t, got.JSON200)
		for _, entry := range got.JSON200.AuditLog {
			if entity, err := entry.EntityID.Get(); err == nil && entity == user.ID {
				require.Empty(t, entry.Changes, "what another account holds is not the admin's")
			}
		}
		require.NotContains(t, string(got.Body), user.Username)
	})

	t.Run("has no secret", func(t *testing.T) {
		for _, secret := range secrets {
			require.NotContains(t, text, secret)
		}
		for _, word := range []string{"$argon2", "hash\":\"", "sealed", apptest.Password} {
			require.NotContains(t, text, word)
		}
		rows, err := s.Store.Pool.Query(ctx, `
			SELECT password_hash::bytea FROM users
			UNION ALL SELECT unnest(ARRAY[refresh_hash, previous_refresh_hash, sealed_refresh_token]) FROM sessions
			UNION ALL SELECT token_hash FROM mail_tokens
			UNION ALL SELECT sealed_secret FROM authenticators
			UNION ALL SELECT code_hash FROM recovery_codes`)
		require.NoError(t, err)
		defer rows.Close()
		looked := 0
		for rows.Next() {
			var kept []byte
			require.NoError(t, rows.Scan(&kept))
			if len(kept) == 0 {
				continue
			}
			looked++
			quoted, err := json.Marshal(string(kept))
			require.NoError(t, err)
			for _, form := range []string{
				hex.EncodeToString(kept), base64.StdEncoding.EncodeToString(kept), base64.RawURLEncoding.EncodeToString(kept), string(quoted[1 : len(quoted)-1]),
			} {
				require.NotContains(t, text, form)
			}
		}
		require.NoError(t, rows.Err())
		require.Greater(t, looked, 30)
	})

	t.Run("is one's own affair", func(t *testing.T) {
		got, err := s.Anonymous().ExportMeWithResponse(ctx)
		require.NoError(t, err)
		refused(t, http.StatusUnauthorized, "unauthenticated", got.HTTPResponse, got.Body)
	})

	t.Run("is whole or none", func(t *testing.T) {
		for _, table := range []string{"areas", "landmarks", "attempts", "unlocks", "audit_logs"} {
			exec(t, s, "ALTER TABLE "+table+" RENAME TO hidden")
			response, body := s.Call(user, http.MethodGet, "/api/v1/me/export", "", nil)
			exec(t, s, "ALTER TABLE hidden RENAME TO "+table)
			refused(t, http.StatusInternalServerError, "internal", response, body)
		}
	})
}
