package account_test

import (
	"bytes"
	"context"
	"image/jpeg"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/photo/sample"
)

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
		require.True(t, strings.HasPrefix(said.URL, s.URL+"/api/v1/users/"+user.ID.String()+"/avatar?version="))
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
