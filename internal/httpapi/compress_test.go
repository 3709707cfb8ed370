package httpapi_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/geo"
)

// Which operations never compress their answers: those that deal with secrets, those
// that say nothing that gets shorter, and documents that are compressed once.
func TestWhichAnswersAreCompressed(t *testing.T) {
	t.Parallel()
	var secret, other []string
	for _, op := range operations(t) {
		isDeletion := op.Method == http.MethodDelete
		switch {
		case op.Compressed || isDeletion:
		case strings.HasPrefix(op.Path, "/api/v1/auth/"):
			secret = append(secret, op.Name())
		default:
			other = append(other, op.Name())
		}
	}
	slices.Sort(secret)
	require.Equal(t, []string{
		"createToken", "login", "logout", "logoutAll", "refreshSession", "registerUser",
		"requestPasswordReset", "resendVerification", "resetPassword", "verifyEmail",
	}, secret, "nothing under /auth is compressed")
	slices.Sort(other)
	require.Equal(t, []string{
		"addUploadPart", "changePassword", // 204
		"confirmTotp", "createWebhook", // A secret.
		"followAttempt", "getAreaImage", "getAttemptPhoto", // Events; pictures.
		"getDocs", "getLandmarkImage", "getOpenAPIJSON", "getOpenAPIYAML", // Documents; pictures.
		"getUploadOffset", "getUserAvatar", // 204; pictures.
		"replaceRecoveryCodes", "replaceWebhookSecret", "startTotp", // Secrets.
	}, other)
}

// raw sends a request whose answer is not decoded.
func raw(t *testing.T, s *apptest.Server, by *apptest.Client, method, path, accept string, header ...string) (*http.Response, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, nil)
	require.NoError(t, err)
	// With a header of this name Go's client adds none, and decodes nothing.
	r.Header.Set("Accept-Encoding", accept)
	if by != nil {
		r.Header.Set("Authorization", "Bearer "+by.Token)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response, body
}

func decode(t *testing.T, response *http.Response, body []byte) string {
	t.Helper()
	var r io.Reader = bytes.NewReader(body)
	var err error
	switch coding := response.Header.Get("Content-Encoding"); coding {
	case "gzip":
		r, err = gzip.NewReader(r)
	case "zstd":
		r, err = zstd.NewReader(r)
	default:
		require.Empty(t, coding)
	}
	require.NoError(t, err)
	plain, err := io.ReadAll(r)
	require.NoError(t, err)
	return string(plain)
}

func TestAnswersAreCompressedAsTheClientWantsThem(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	user := s.User()
	area := s.Area(user, "Harbour")
	for i := range 10 {
		s.Landmark(user, area.ID, fmt.Sprintf("Lighthouse %d", i), geo.Point{Latitude: home.Latitude + float64(i)/100, Longitude: home.Longitude})
	}
	const list = "/api/v1/landmarks?size=10"
	_, plain := raw(t, s, user, http.MethodGet, list, "identity")
	for accept, want := range map[string]string{
		"identity": "", "br": "", "gzip;q=0": "", "gzip": "gzip", "zstd": "zstd", "GZIP": "gzip",
		"gzip, deflate, br, zstd": "zstd", "gzip, zstd;q=0.5": "gzip", "zstd;q=0, gzip": "gzip",
	} {
		response, body := raw(t, s, user, http.MethodGet, list, accept)
		require.Equal(t, want, response.Header.Get("Content-Encoding"), accept)
		require.Contains(t, response.Header.Values("Vary"), "Accept-Encoding", "a shared cache has to know")
		require.Equal(t, string(plain), decode(t, response, body), accept)
		require.True(t, want == "" || len(body) < len(plain)/3, "%s: %d of %d", accept, len(body), len(plain))
	}
	for _, path := range []string{"/api/v1/landmarks?size=1", "/healthz", "/api/v1/me"} {
		response, _ := raw(t, s, user, http.MethodGet, path, "gzip")
		require.Empty(t, response.Header.Get("Content-Encoding"), "%s is short", path)
	}
	response, body := raw(t, s, user, http.MethodHead, list, "gzip")
	require.Equal(t, http.StatusOK, response.StatusCode)
	require.Empty(t, response.Header.Get("Content-Encoding"))
	require.Empty(t, body)
	// A stream is compressed while it is made, and ends.
	response, body = raw(t, s, user, http.MethodGet, "/api/v1/landmarks.geojson", "gzip")
	require.Equal(t, "gzip", response.Header.Get("Content-Encoding"))
	require.Contains(t, decode(t, response, body), "Lighthouse 9")
	// What stands in a problem is partly the request's.
	var unknown strings.Builder
	for i := range 30 {
		fmt.Fprintf(&unknown, "unknown%d=1&", i)
	}
	response, body = raw(t, s, user, http.MethodGet, "/api/v1/landmarks?"+unknown.String(), "gzip")
	require.Equal(t, http.StatusBadRequest, response.StatusCode)
	require.Empty(t, response.Header.Get("Content-Encoding"))
	require.Greater(t, len(body), 1024)
}

// A compressed answer has a tag of its own, which counts as the version that it names.
func TestTagsOfCompressedAnswers(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	user := s.User()
	area := s.Area(user, "Harbour", func(a *api.AreaCreate) { a.Description = new(strings.Repeat("Quays. ", 200)) })
	path := "/api/v1/areas/" + area.ID.String()
	tags := map[string]string{}
	for _, accept := range []string{"identity", "gzip", "zstd"} {
		response, _ := raw(t, s, user, http.MethodGet, path, accept)
		tags[accept] = response.Header.Get("ETag")
	}
	require.Equal(t, strings.TrimSuffix(tags["identity"], `"`)+`-gzip"`, tags["gzip"])
	require.Equal(t, strings.TrimSuffix(tags["identity"], `"`)+`-zstd"`, tags["zstd"])
	patch := func(tag string) int {
		response, body := send(t, s, request{
			by: user, method: http.MethodPatch, path: path, contentType: "application/merge-patch+json", body: `{"name":"Harbour"}`,
			header: map[string]string{"If-Match": tag},
		})
		if response.StatusCode == http.StatusOK {
			return response.StatusCode
		}
		require.Contains(t, string(body), "version_changed")
		return response.StatusCode
	}
	for accept, tag := range tags {
		for _, list := range []string{tag, "W/" + tag, `"x", ` + tag} {
			response, body := raw(t, s, user, http.MethodGet, path, accept, "If-None-Match", list)
			require.Equal(t, http.StatusNotModified, response.StatusCode, list)
			require.Empty(t, body)
			require.Empty(t, response.Header.Get("Content-Encoding"))
			require.Contains(t, response.Header.Values("Vary"), "Accept-Encoding")
		}
		require.Equal(t, http.StatusPreconditionFailed, patch("W/"+tag), "a change wants a strong tag")
	}
	require.Equal(t, http.StatusOK, patch(tags["gzip"]))
	for _, tag := range tags {
		require.Equal(t, http.StatusPreconditionFailed, patch(tag), "it is of an earlier version now")
		response, _ := raw(t, s, user, http.MethodGet, path, "gzip", "If-None-Match", tag)
		require.Equal(t, http.StatusOK, response.StatusCode)
	}
	policy, _ := raw(t, s, s.As("admin"), http.MethodGet, "/api/v1/admin/policy", "gzip")
	require.Equal(t, "gzip", policy.Header.Get("Content-Encoding"))
	_, text := raw(t, s, s.As("admin"), http.MethodGet, "/api/v1/admin/policy", "identity")
	response, body := send(t, s, request{
		by: s.As("admin"), method: http.MethodPut, path: "/api/v1/admin/policy", contentType: "text/csv", body: string(text) + "# x\n",
		header: map[string]string{"If-Match": policy.Header.Get("ETag")},
	})
	require.Equal(t, http.StatusOK, response.StatusCode, string(body))
}

func TestDocumentsAreCompressedOnce(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	for _, path := range []string{"/openapi.json", "/openapi.yaml"} {
		response, plain := raw(t, s, nil, http.MethodGet, path, "identity", "Accept", "text/html")
		require.Empty(t, response.Header.Get("Content-Encoding"), path)
		packed, body := raw(t, s, nil, http.MethodGet, path, "gzip, zstd", "Accept", "text/html")
		require.Equal(t, "gzip", packed.Header.Get("Content-Encoding"), path)
		require.Equal(t, int64(len(body)), packed.ContentLength)
		require.Equal(t, string(plain), decode(t, packed, body))
		require.NotEqual(t, response.Header.Get("ETag"), packed.Header.Get("ETag"))
		require.Contains(t, packed.Header.Values("Vary"), "Accept-Encoding")
		require.Contains(t, packed.Header.Get("Cache-Control"), "public")
		t.Logf("%s: %d of %d bytes", path, len(body), len(plain))
		for _, has := range []*http.Response{response, packed} {
			again, body := raw(t, s, nil, http.MethodGet, path, has.Request.Header.Get("Accept-Encoding"), "Accept", "text/html", "If-None-Match", has.Header.Get("ETag"))
			require.Equal(t, http.StatusNotModified, again.StatusCode, path)
			require.Equal(t, has.Header.Get("ETag"), again.Header.Get("ETag"))
			require.Empty(t, body)
		}
		head, body := raw(t, s, nil, http.MethodHead, path, "gzip", "Accept", "text/html")
		require.Equal(t, packed.ContentLength, head.ContentLength)
		require.Empty(t, body)
		for _, refused := range []string{"gzip;q=0, *", "gzip; q=0", "br", "*;q=0"} {
			response, _ := raw(t, s, nil, http.MethodGet, path, refused, "Accept", "text/html")
			require.Empty(t, response.Header.Get("Content-Encoding"), refused)
		}
	}
}

// Answers that were kept are compressed as those that are new, and what cookies and
// secrets are about never is.
func TestKeptAnswersAndSecretsUnderCompression(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	user := s.User()
	create := func(accept string) (*http.Response, string) {
		response, body := send(t, s, request{
			by: user, method: http.MethodPost, path: "/api/v1/areas", contentType: "application/json",
			body:   `{"name":"Quay","description":"` + strings.Repeat("Cranes. ", 200) + `"}`,
			header: map[string]string{"Idempotency-Key": "one", "Accept-Encoding": accept},
		})
		require.Equal(t, http.StatusCreated, response.StatusCode, string(body))
		return response, decode(t, response, body)
	}
	first, made := create("gzip")
	require.Equal(t, "gzip", first.Header.Get("Content-Encoding"))
	for _, accept := range []string{"gzip", "identity", "zstd"} {
		again, replayed := create(accept)
		require.Equal(t, "true", again.Header.Get("Idempotency-Replayed"))
		require.Equal(t, made, replayed)
		require.Equal(t, strings.TrimSuffix(first.Header.Get("ETag"), `-gzip"`), strings.SplitN(strings.TrimSuffix(again.Header.Get("ETag"), `"`), "-", 2)[0])
	}
	response, body := send(t, s, request{
		by: s.As("admin"), method: http.MethodPost, path: "/api/v1/admin/webhooks", contentType: "application/json",
		body:   `{"url":"https://hooks.example.org/x","description":"` + strings.Repeat("Map. ", 90) + `","events":["landmark.created","landmark.updated","landmark.deleted","area.created","area.updated","area.deleted"]}`,
		header: map[string]string{"Accept-Encoding": "gzip"},
	})
	require.Equal(t, http.StatusCreated, response.StatusCode, string(body))
	require.Empty(t, response.Header.Get("Content-Encoding"))
	require.NotContains(t, response.Header.Values("Vary"), "Accept-Encoding")
}
