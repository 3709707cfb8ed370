package httpapi_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
)

// "If-None-Match: *" says that there must be nothing yet, so it keeps what there is from
// being changed (RFC 9110, section 13.1.2).
func TestWhatExistsIsNotChangedUnlessItMayExist(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	user, admin := s.User(), s.As("admin")
	area := s.Area(user, "Harbour")
	landmark := s.Landmark(user, area.ID, "Lighthouse", home)
	made, err := admin.CreateRoleWithResponse(t.Context(), nil, api.RoleCreate{Name: "curator", Permissions: &[]api.Grant{{Permission: "area:read", Scope: "any"}}})
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, made.StatusCode(), string(made.Body))
	policy, text := s.Call(admin, http.MethodGet, "/api/v1/admin/policy", "", nil)

	call := func(t *testing.T, by *apptest.Client, method, path, contentType, body string, header map[string]string) (*http.Response, []byte) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), method, s.URL+"/api/v1"+path, strings.NewReader(body))
		require.NoError(t, err)
		if body == "" {
			request.Body = http.NoBody
			request.ContentLength = 0
		} else {
			request.Header.Set("Content-Type", contentType)
		}
		request.Header.Set("Authorization", "Bearer "+by.Token)
		for name, value := range header {
			request.Header[name] = []string{value}
		}
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		defer response.Body.Close()
		answer, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return response, answer
	}
	// The times of a query have all forms of RFC 3339.
	for span, want := range map[string]int{
		"from=2016-12-31t23:59:60z":                                http.StatusOK,
		"from=2016-12-31T23:59:60.5Z&to=2100-01-01t00:00:00.25z":   http.StatusOK,
		"to=2100-01-01t01:00:00%2B01:00&from=2017-01-01t00:00:00Z": http.StatusOK,
		"from=2016-12-30t23:59:60z":                                http.StatusBadRequest,
	} {
		response, body := s.Call(admin, http.MethodGet, "/api/v1/admin/audit-logs?action=policy_changed&"+span, "", nil)
		require.Equal(t, want, response.StatusCode, "%s: %s", span, body)
		if want == http.StatusOK {
			require.Contains(t, string(body), "+p, curator", span)
		}
	}
	const patch = "application/merge-patch+json"
	for _, c := range []struct {
		by                              *apptest.Client
		method, path, contentType, body string
		ifMatch                         string
	}{
		{by: user, method: "PATCH", path: "/me", contentType: patch, body: `{"bio":"x"}`},
		{by: user, method: "PATCH", path: "/areas/" + area.ID.String(), contentType: patch, body: `{"name":"x"}`},
		{by: user, method: "PATCH", path: "/landmarks/" + landmark.ID.String(), contentType: patch, body: `{"name":"x"}`},
		{by: user, method: "DELETE", path: "/landmarks/" + landmark.ID.String()},
		{by: user, method: "DELETE", path: "/areas/" + area.ID.String()},
		{by: admin, method: "PATCH", path: "/admin/users/" + user.ID.String(), contentType: patch, body: `{"status":"suspended"}`},
		{by: admin, method: "PATCH", path: "/admin/roles/curator", contentType: patch, body: `{"description":"x"}`},
		{by: admin, method: "PUT", path: "/admin/roles/curator/permissions", contentType: "application/json", body: `{"permissions":[{"permission":"area:create","scope":"any"}]}`},
		{by: admin, method: "DELETE", path: "/admin/roles/curator"},
		{by: admin, method: "PUT", path: "/admin/policy", contentType: "text/csv", body: string(text) + "# x\n", ifMatch: policy.Header.Get("ETag")},
	} {
		t.Run(c.method+" "+strings.Split(c.path, "/")[1], func(t *testing.T) {
			header := map[string]string{"If-None-Match": "*"}
			if c.ifMatch != "" {
				header["If-Match"] = c.ifMatch
			}
			response, body := call(t, c.by, c.method, c.path, c.contentType, c.body, header)
			require.Equal(t, "/problems/version_excluded", apptest.Problem(t, http.StatusPreconditionFailed, response, body).Type)
			header["If-None-Match"] = ""
			response, body = call(t, c.by, c.method, c.path, c.contentType, c.body, header)
			require.Equal(t, "/problems/invalid_request", apptest.Problem(t, http.StatusBadRequest, response, body).Type)
			delete(header, "If-None-Match")
			header["If-Match"] = ""
			response, body = call(t, c.by, c.method, c.path, c.contentType, c.body, header)
			require.Equal(t, "/problems/invalid_request", apptest.Problem(t, http.StatusBadRequest, response, body).Type)
		})
	}
	kept, err := user.GetLandmarkWithResponse(t.Context(), landmark.ID, nil)
	require.NoError(t, err)
	require.Equal(t, landmark, *kept.JSON200)
}
