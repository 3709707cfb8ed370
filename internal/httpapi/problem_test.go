package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/middleware"
	"github.com/picaspot/picaspot/internal/operation"
)

var update = flag.Bool("update", false, "write the golden files anew")

const requestID = "golden-request"

var anyUUID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// golden holds a problem against testdata/problems/<name>.json, ids aside.
func golden(t *testing.T, name string, status int, response *http.Response, body []byte) {
	t.Helper()
	p := apptest.Problem(t, status, response, body)
	require.Equal(t, requestID, p.RequestID)
	require.Equal(t, http.StatusText(status), p.Title)
	var pretty bytes.Buffer
	require.NoError(t, json.Indent(&pretty, anyUUID.ReplaceAll(body, []byte("<id>")), "", "  "))
	path := filepath.Join("testdata", "problems", name+".json")
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o750))
		require.NoError(t, os.WriteFile(path, pretty.Bytes(), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "go test -update writes it")
	require.Equal(t, string(want), pretty.String())
}

// TestProblems goes through each exit that an error can take.
func TestProblems(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	owner, other := s.User(), s.User()
	harbour := s.Area(owner, "Harbour")
	at := geo.Point{Latitude: 53.8671, Longitude: 8.7206}
	light := s.Landmark(owner, harbour.ID, "North Lighthouse", at)
	const (
		areas = "/api/v1/areas"
		json  = "application/json"
		patch = "application/merge-patch+json"
		none  = "/01932c07-209c-7f7e-8d0a-7e1b5f1f0c11"
	)
	for name, test := range map[string]struct {
		request
		status int
	}{
		"unauthenticated":        {request{method: "GET", path: "/api/v1/me"}, 401},
		"unauthenticated_early":  {request{method: "GET", path: areas + "/no-id"}, 401},
		"bad_credentials":        {request{method: "POST", path: "/api/v1/auth/login", contentType: json, body: `{"identifier":"nobody","password":"wrong wrong"}`}, 401},
		"forbidden":              {request{by: other, method: "POST", path: areas + "/" + harbour.ID.String() + "/verification"}, 403},
		"not_owner":              {request{by: other, method: "PATCH", path: areas + "/" + harbour.ID.String(), contentType: patch, body: `{"name":"Mine"}`}, 403},
		"no_such_route":          {request{by: owner, method: "GET", path: "/api/v1/nothing"}, 404},
		"no_such_area":           {request{by: owner, method: "GET", path: areas + none}, 404},
		"no_such_landmark":       {request{by: owner, method: "GET", path: "/api/v1/landmarks" + none}, 404},
		"method_not_allowed":     {request{by: owner, method: "PUT", path: areas}, 405},
		"area_name_taken":        {request{by: owner, method: "POST", path: areas, contentType: json, body: `{"name":"Harbour"}`}, 409},
		"landmark_duplicate":     {request{by: owner, method: "POST", path: "/api/v1/landmarks", contentType: json, body: `{"area_id":"` + harbour.ID.String() + `","name":"North Lighthouse","latitude":53.8672,"longitude":8.7206}`}, 409},
		"version_changed":        {request{by: owner, method: "DELETE", path: "/api/v1/landmarks/" + light.ID.String(), header: map[string]string{"If-Match": `"old"`}}, 412},
		"body_too_large":         {request{by: owner, method: "POST", path: areas, contentType: json, body: `{"name":"` + strings.Repeat("a", operation.DefaultMaxBody) + `"}`}, 413},
		"unsupported_media_type": {request{by: owner, method: "POST", path: areas, contentType: "text/plain", body: "name=Harbour"}, 415},
		"unsupported_encoding":   {request{by: owner, method: "POST", path: areas, contentType: json, header: map[string]string{"Content-Encoding": "gzip"}, body: "\x1f\x8b"}, 415},
		"unsupported_charset":    {request{by: owner, method: "POST", path: areas, contentType: "application/json; charset=utf-16", body: "{}"}, 415},
		"parent_area_unknown":    {request{by: owner, method: "POST", path: areas, contentType: json, body: `{"name":"Quay","parent_area_id":"01932c07-209c-7f7e-8d0a-7e1b5f1f0c11"}`}, 422},
		"name_blank":             {request{by: owner, method: "POST", path: areas, contentType: json, body: `{"name":"\u200b\u3164"}`}, 422},
		"name_invalid":           {request{by: owner, method: "POST", path: areas, contentType: json, body: `{"name":"a\u202eb\u0007"}`}, 422},
		"password_weak":          {request{method: "POST", path: "/api/v1/auth/register", contentType: json, body: `{"username":"ada","email":"ada@example.org","password":"password1"}`}, 422},

		"json_malformed":      {request{by: owner, method: "POST", path: areas, contentType: json, body: `{"name": Harbour}`}, 400},
		"json_ends_early":     {request{by: owner, method: "POST", path: areas, contentType: json, body: `{"name":`}, 400},
		"json_empty":          {request{by: owner, method: "POST", path: areas, contentType: json}, 400},
		"json_twice":          {request{by: owner, method: "POST", path: areas, contentType: json, body: `{"name":"a"}{"name":"b"}`}, 400},
		"json_key_twice":      {request{by: owner, method: "POST", path: areas, contentType: json, body: `{"name":"a","name":"b"}`}, 400},
		"json_not_an_object":  {request{by: owner, method: "POST", path: areas, contentType: json, body: `[1]`}, 400},
		"body_unexpected":     {request{by: owner, method: "GET", path: areas, contentType: json, body: `{}`}, 400},
		"form_malformed":      {request{method: "POST", path: "/api/v1/auth/token", contentType: "application/x-www-form-urlencoded", body: "grant_type=%zz"}, 400},
		"form_faults":         {request{method: "POST", path: "/api/v1/auth/token", contentType: "application/x-www-form-urlencoded", body: "grant_type=password&username=a&username=b&colour=red&password=%00"}, 400},
		"faults_of_body":      {request{by: owner, method: "POST", path: "/api/v1/landmarks", contentType: json, body: `{"area_id":"x","name":"","difficulty":6,"latitude":91,"photo_location":{"latitude":1},"colour":"red"}`}, 400},
		"faults_of_query":     {request{by: owner, method: "GET", path: areas + "?size=0&page=x&colour=red&created_by=me&sort_by=size&size=3"}, 400},
		"faults_of_both":      {request{by: owner, method: "PATCH", path: areas + "/x?colour=red", contentType: patch, body: `{"name":null}`, header: map[string]string{"X-Timezone": "Mars/Olympus"}}, 400},
		"required_query":      {request{by: owner, method: "GET", path: "/api/v1/landmarks/nearby?latitude=1"}, 400},
		"path_malformed":      {request{by: owner, method: "GET", path: areas + "/%00"}, 400},
		"empty_patch":         {request{by: owner, method: "PATCH", path: areas + "/" + harbour.ID.String(), contentType: patch, body: `{}`}, 400},
		"bbox_malformed":      {request{by: owner, method: "GET", path: "/api/v1/landmarks?bbox=1,2,3,x"}, 400},
		"cursor_invalid":      {request{by: owner, method: "GET", path: areas + "?cursor=x"}, 400},
		"cursor_and_page":     {request{by: owner, method: "GET", path: areas + "?cursor=&page=1"}, 400},
		"position_not_finite": {request{by: owner, method: "GET", path: "/api/v1/landmarks/nearby?latitude=NaN&longitude=1&radius_meters=1"}, 400},
		"radius_not_finite":   {request{by: owner, method: "GET", path: "/api/v1/landmarks/nearby?latitude=1&longitude=1&radius_meters=NaN"}, 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := test.request
			if in.header == nil {
				in.header = map[string]string{}
			}
			in.header["X-Request-ID"] = requestID
			response, body := send(t, s, in)
			golden(t, name, test.status, response, body)
			switch test.status {
			case http.StatusMethodNotAllowed:
				require.NotEmpty(t, response.Header.Get("Allow"))
			case http.StatusUnauthorized:
				require.Equal(t, `Bearer realm="picaspot"`, response.Header.Get("WWW-Authenticate"))
			}
			require.Equal(t, "no-store", response.Header.Get("Cache-Control"))
		})
	}
}

// around is what stands around every handler, for exits that no request reaches
// from outside.
func around(t *testing.T, handler http.HandlerFunc) (*http.Response, []byte) {
	t.Helper()
	r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/api/v1/areas", nil)
	r.Header.Set("X-Request-ID", requestID)
	recorder := httptest.NewRecorder()
	middleware.Identify(nil)(middleware.Recover(handler)).ServeHTTP(recorder, r)
	response := recorder.Result()
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response, body
}

func TestProblemsSayNothingInternal(t *testing.T) {
	t.Parallel()
	t.Run("after a panic", func(t *testing.T) {
		t.Parallel()
		response, body := around(t, func(http.ResponseWriter, *http.Request) { panic("secret at /srv/picaspot/area.go:17") })
		golden(t, "panic", http.StatusInternalServerError, response, body)
	})
	t.Run("when parameters do not bind", func(t *testing.T) {
		t.Parallel()
		response, body := around(t, func(w http.ResponseWriter, r *http.Request) {
			operation.BindingError(w, r, errors.New("secret parse error"))
		})
		golden(t, "binding", http.StatusBadRequest, response, body)
	})
}

// TestDatabaseAway goes on with a server whose database is gone.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	user := s.User()
	lose(t, s)
	for name, in := range map[string]request{
		"unavailable_at_authentication": {by: user, method: "GET", path: "/api/v1/areas"},
		"unavailable_in_a_handler": {
			method: "POST", path: "/api/v1/auth/login", contentType: "application/json",
			body: `{"identifier":"ada","password":"wrong wrong"}`,
		},
		"unavailable_in_a_transaction": {
			method: "POST", path: "/api/v1/auth/verify-email", contentType: "application/json", body: `{"token":"x"}`,
		},
		"unavailable_on_a_page": {method: "POST", path: "/verify-email", contentType: "application/x-www-form-urlencoded", body: "token=x"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in.header = map[string]string{"X-Request-ID": requestID}
			response, body := send(t, s, in)
			golden(t, name, http.StatusServiceUnavailable, response, body)
			require.NotEmpty(t, response.Header.Get("Retry-After"))
		})
	}
	t.Run("is not ready, and alive", func(t *testing.T) {
		t.Parallel()
		ready, err := s.Anonymous().GetReadinessWithResponse(context.Background())
		require.NoError(t, err)
		require.NotNil(t, ready.JSON503, string(ready.Body))
		require.Equal(t, "unavailable", string(ready.JSON503.Status))
		require.Equal(t, "down", string(ready.JSON503.Dependencies["database"]))
		require.Equal(t, "up", string(ready.JSON503.Dependencies["redis"]))
		require.Equal(t, "up", string(ready.JSON503.Dependencies["storage"]))
		alive, err := s.Anonymous().GetHealthWithResponse(context.Background())
		require.NoError(t, err)
		require.NotNil(t, alive.JSON200)
	})
}

// lose takes the database of a test away: nobody is let in any more, and who is
// in is thrown out.
func lose(t *testing.T, s *apptest.Server) {
	t.Helper()
	ctx := context.Background()
	config := s.Store.Pool.Config().ConnConfig.Copy()
	name := config.Database
	config.Database = "postgres"
	conn, err := pgx.ConnectConfig(ctx, config)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(ctx)) }()
	_, err = conn.Exec(ctx, "ALTER DATABASE "+pgx.Identifier{name}.Sanitize()+" ALLOW_CONNECTIONS false")
	require.NoError(t, err)
	_, err = conn.Exec(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
	require.NoError(t, err)
}
