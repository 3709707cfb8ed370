package account_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/oapi-codegen/nullable"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
)

func TestExport(t *testing.T) {
	t.Parallel()
	s := apptest.New(t, behindProxy)
	ctx := context.Background()
	user, other, admin := s.User(), s.User(), s.As("admin")
	made := map[*apptest.Client][]string{}
	var secrets []string
	for _, by := range []*apptest.Client{user, other} {
		_, err := by.UpdateMeWithApplicationMergePatchPlusJSONBodyWithResponse(ctx, nil, api.MeUpdate{Bio: nullable.NewNullableWithValue("bio of " + by.Username)})
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
			// The hash of what one's own photo shows is no secret of the account.
			require.NotContains(t, strings.ReplaceAll(text, `perceptual_hash":"`, ""), word)
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
