package httpapi_test

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/geo"
)

// anybody fetches an address as an img element of a page of another origin does.
func anybody(t *testing.T, s *apptest.Server, address string) (*http.Response, []byte) {
	t.Helper()
	require.True(t, strings.HasPrefix(address, s.URL), "an element needs the whole address: %s", address)
	return send(t, s, request{method: http.MethodGet, path: address, header: map[string]string{
		"Sec-Fetch-Dest": "image", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Site": "cross-site",
	}})
}

func shows(t *testing.T, s *apptest.Server, address string) {
	t.Helper()
	response, body := anybody(t, s, address)
	require.Equal(t, http.StatusOK, response.StatusCode, string(body))
	require.Equal(t, "image/jpeg", response.Header.Get("Content-Type"))
	require.Equal(t, "cross-origin", response.Header.Get("Cross-Origin-Resource-Policy"))
	require.Equal(t, "no-referrer", response.Header.Get("Referrer-Policy"))
	cache := response.Header.Get("Cache-Control")
	require.Regexp(t, `^private, max-age=\d+, immutable$`, cache)
	age, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(cache, "private, max-age="), ", immutable"))
	require.NoError(t, err)
	require.Greater(t, age, int((6*time.Hour - time.Minute).Seconds()))
	require.LessOrEqual(t, age, int((7 * time.Hour).Seconds()))
}

func hides(t *testing.T, s *apptest.Server, address string, status int, code string) {
	t.Helper()
	response, body := anybody(t, s, address)
	require.Equal(t, status, response.StatusCode, string(body))
	require.Contains(t, string(body), `/problems/`+code+`"`)
}

// Wherever a resource shows a picture its address works in an img element, in answers
// that are kept as in those that are not.
func TestPicturesNeedNoToken(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	owner, admin := s.User(), s.As("admin")
	area := s.Area(owner, "Harbour")
	landmark := s.Landmark(owner, area.ID, `Lighthouse "url":"/api/v1/`, home)
	areaPath, landmarkPath := "/api/v1/areas/"+area.ID.String(), "/api/v1/landmarks/"+landmark.ID.String()
	first := put(t, s, owner, landmarkPath+"/image", apptest.Photo(t, home, time.Now()))
	put(t, s, owner, areaPath+"/image", apptest.Photo(t, home, time.Now()))
	for _, path := range []string{areaPath, landmarkPath} {
		response, body := send(t, s, request{by: admin, method: http.MethodPost, path: path + "/verification"})
		require.Equal(t, http.StatusOK, response.StatusCode, string(body))
	}
	avatar, body := send(t, s, request{by: owner, method: http.MethodPut, path: "/api/v1/me/avatar", contentType: "image/jpeg", body: string(apptest.Photo(t, home, time.Now()))})
	require.Equal(t, http.StatusOK, avatar.StatusCode, string(body))

	near := "latitude=53.8671&longitude=8.7206&radius_meters=500"
	for _, path := range []string{
		"/api/v1/me", areaPath, landmarkPath, "/api/v1/areas", "/api/v1/landmarks", "/api/v1/areas?is_verified=true", "/api/v1/landmarks?is_verified=true",
		areaPath + "/landmarks", "/api/v1/areas/nearby?" + near, "/api/v1/landmarks/nearby?" + near, "/api/v1/landmarks?search=lighthouse",
	} {
		for _, zone := range []string{"", "Asia/Singapore"} {
			var kept string
			for range 3 { // What is asked for often is kept.
				header := map[string]string{}
				if zone != "" {
					header["X-Timezone"] = zone
				}
				response, body := send(t, s, request{by: owner, method: http.MethodGet, path: path, header: header})
				require.Equal(t, http.StatusOK, response.StatusCode, string(body))
				var any struct {
					Avatar, Image *api.Image
					Name          string
					Items         []struct {
						Image *api.Image
						Name  string
					}
				}
				require.NoError(t, json.Unmarshal(body, &any), string(body))
				found := append(any.Items, struct {
					Image *api.Image
					Name  string
				}{any.Image, any.Name})
				shown := 0
				for _, item := range append(found, struct {
					Image *api.Image
					Name  string
				}{Image: any.Avatar}) {
					if item.Image != nil {
						shows(t, s, item.Image.URL)
						shown++
					}
					if strings.HasPrefix(item.Name, "Lighthouse") {
						require.Equal(t, landmark.Name, item.Name, "texts are left alone")
					}
				}
				require.Equal(t, 1, shown, "%s: %s", path, body)
				require.True(t, kept == "" || kept == string(body), "the same answer within an hour: %s", path)
				kept = string(body)
			}
		}
	}

	// The tag tells that addresses change; for a change the version counts.
	response, _ := send(t, s, request{by: owner, method: http.MethodGet, path: landmarkPath})
	tag := response.Header.Get("ETag")
	require.Regexp(t, `^"[0-9a-z]+\.[0-9a-z]+"$`, tag)
	unchanged, _ := send(t, s, request{by: owner, method: http.MethodGet, path: landmarkPath, header: map[string]string{"If-None-Match": tag}})
	require.Equal(t, http.StatusNotModified, unchanged.StatusCode)
	earlier := tag[:strings.Index(tag, ".")] + `.abc"`
	outdated, _ := send(t, s, request{by: owner, method: http.MethodGet, path: landmarkPath, header: map[string]string{"If-None-Match": earlier}})
	require.Equal(t, http.StatusOK, outdated.StatusCode, "the addresses that the client has may have expired")
	changed, body := send(t, s, request{
		by: owner, method: http.MethodPatch, path: landmarkPath, contentType: "application/merge-patch+json", body: `{"hint":"x"}`,
		header: map[string]string{"If-Match": earlier},
	})
	require.Equal(t, http.StatusOK, changed.StatusCode, string(body))
	lost, _ := send(t, s, request{
		by: owner, method: http.MethodPatch, path: landmarkPath, contentType: "application/merge-patch+json", body: `{"hint":"y"}`,
		header: map[string]string{"If-Match": earlier},
	})
	require.Equal(t, http.StatusPreconditionFailed, lost.StatusCode)

	// An address is good for its picture alone, as long as it is there.
	hides(t, s, strings.Replace(first.URL, "signature=", "signature=A", 1), http.StatusForbidden, "signature_invalid")
	hides(t, s, strings.Replace(first.URL, landmarkPath, areaPath, 1), http.StatusForbidden, "signature_invalid")
	hides(t, s, first.URL[:strings.Index(first.URL, "&signature=")], http.StatusUnauthorized, "unauthenticated")
	withToken, _ := send(t, s, request{by: owner, method: http.MethodGet, path: landmarkPath + "/image"})
	require.Equal(t, http.StatusOK, withToken.StatusCode)
	second := put(t, s, owner, landmarkPath+"/image", apptest.Photo(t, geo.Point{Latitude: 1, Longitude: 1}, time.Now().Add(-time.Hour)))
	if second.URL != first.URL {
		hides(t, s, first.URL, http.StatusNotFound, "picture_replaced")
	}
	shows(t, s, second.URL)
	deleted, _ := send(t, s, request{by: owner, method: http.MethodDelete, path: landmarkPath})
	require.Equal(t, http.StatusNoContent, deleted.StatusCode)
	hides(t, s, second.URL, http.StatusNotFound, "not_found")
}

// The photo of an attempt has an address in answers to those who may see the attempt.
func TestPhotosOfAttemptsNeedNoToken(t *testing.T) {
	t.Parallel()
	s := apptest.New(t)
	owner, other, moderator := s.User(), s.User(), s.As("moderator")
	landmark := s.Landmark(owner, s.Area(owner, "Harbour").ID, "Lighthouse", home)
	attempt := s.Attempt(owner, landmark.ID, apptest.Photo(t, home, time.Now()), home)
	shows(t, s, attempt.Photo.URL.MustGet())
	decided := s.Decided(owner, attempt.ID)
	shows(t, s, decided.Photo.URL.MustGet())
	for by, status := range map[*apptest.Client]int{owner: 200, moderator: 200, other: 404} {
		response, body := send(t, s, request{by: by, method: http.MethodGet, path: "/api/v1/attempts/" + attempt.ID.String()})
		require.Equal(t, status, response.StatusCode, string(body))
		require.Equal(t, status == 200, strings.Contains(string(body), "signature="))
	}
	hides(t, s, strings.Replace(decided.Photo.URL.MustGet(), attempt.ID.String(), nobody, 1), http.StatusForbidden, "signature_invalid")
}
