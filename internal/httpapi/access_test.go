package httpapi_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/operation"
	"github.com/picaspot/picaspot/policy"
)

func operations(t *testing.T) []*operation.Operation {
	t.Helper()
	spec, err := api.GetSpec()
	require.NoError(t, err)
	table, err := operation.Load(spec)
	require.NoError(t, err)
	return table.All()
}

// somewhere fills in a path: with ids that nobody has, unless they are given.
func somewhere(path string, ids ...string) string {
	fill := strings.NewReplacer(append(ids,
		"{role}", "nobody", "{version}", "999", "{area_id}", nobody, "{landmark_id}", nobody, "{attempt_id}", nobody,
		"{unlock_id}", nobody, "{user_id}", nobody, "{session_id}", nobody, "{report_id}", nobody,
		"{webhook_id}", nobody, "{delivery_id}", nobody,
	)...)
	return fill.Replace(path)
}

const nobody = "01932c07-209c-7f7e-8d0a-7e1b5f1f0c11"

// Every operation of the contract, for every role of the policy file and for nobody:
// the answer is what the policy says.
func TestEveryOperationForEveryRole(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	snapshot, err := authz.NewSnapshot(1, policy.Model, policy.CSV)
	require.NoError(t, err)
	roles := snapshot.Roles()
	require.Equal(t, []string{"admin", "moderator", "user"}, roles)
	all := operations(t)
	require.Greater(t, len(all), 80)
	for _, role := range append(roles, "") {
		t.Run("as "+role, func(t *testing.T) {
			t.Parallel()
			var client *apptest.Client
			if role != "" {
				client = s.As(role)
			}
			for _, op := range all {
				by := client
				if client != nil && strings.HasPrefix(op.Path, "/api/v1/auth/logout") {
					by = s.As(role)
				}
				response, body := s.Call(by, op.Method, somewhere(op.Path), "", nil)
				name := op.Method + " " + op.Path + ": " + string(body)
				require.Less(t, response.StatusCode, http.StatusInternalServerError, name)
				switch {
				case op.Method == http.MethodHead && !op.Public && role == "": // Without a body.
					require.Equal(t, http.StatusUnauthorized, response.StatusCode, name)
				case op.Public:
					require.NotContains(t, []int{http.StatusUnauthorized, http.StatusForbidden}, response.StatusCode, name)
				case role == "":
					require.Equal(t, "/problems/unauthenticated", apptest.Problem(t, http.StatusUnauthorized, response, body).Type, name)
				case op.Permission != "" && snapshot.Decide(role, op.Permission) == authz.Denied:
					require.Equal(t, "/problems/forbidden", apptest.Problem(t, http.StatusForbidden, response, body).Type, name)
				default:
					require.NotContains(t, []int{http.StatusUnauthorized, http.StatusForbidden}, response.StatusCode, name)
				}
			}
		})
	}
}

// What somebody holds for their own objects only does not reach those of others: a
// 403 where they may see the object, a 404 where they may not know of it.
func TestOwnIsNotEverybodys(t *testing.T) {
	t.Parallel()
	s := apptest.New(t)
	owner, other := s.User(), s.User()
	at := geo.Point{Latitude: 53.8671, Longitude: 8.7206}
	area := s.Area(owner, "Harbour")
	light := s.Landmark(owner, area.ID, "Lighthouse", at)
	attempt := s.Decided(owner, s.Attempt(owner, light.ID, apptest.Photo(t, at, time.Now()), at).ID)
	require.False(t, attempt.UnlockID.IsNull())
	unlock := attempt.UnlockID.MustGet()
	fill := []string{
		"{area_id}", area.ID.String(), "{landmark_id}", light.ID.String(), "{attempt_id}", attempt.ID.String(), "{unlock_id}", unlock.String(),
	}
	bodies := map[string]string{"area": `{"description":"Mine"}`, "landmark": `{"hint":"Mine"}`, "unlock": `{"caption":"Mine"}`}
	seen := map[authz.Permission]bool{}
	for _, op := range operations(t) {
		if !op.Permission.Ownable() || !strings.Contains(op.Path, "_id}") {
			continue
		}
		seen[op.Permission] = true
		contentType, body := "", []byte(nil)
		switch op.Method {
		case http.MethodPatch:
			contentType, body = "application/merge-patch+json", []byte(bodies[op.Permission.Resource()])
		case http.MethodPut:
			contentType, body = "image/jpeg", apptest.Photo(t, at, time.Now())
		}
		want := http.StatusForbidden
		if strings.HasPrefix(string(op.Permission), "attempt") || strings.HasPrefix(string(op.Permission), "unlock") {
			want = http.StatusNotFound
		}
		response, answer := s.Call(other, op.Method, somewhere(op.Path, fill...), contentType, bytes.NewReader(body))
		require.Equal(t, want, response.StatusCode, op.Method+" "+op.Path+": "+string(answer))
	}
	require.Equal(t, map[authz.Permission]bool{
		"area:update": true, "area:delete": true, "landmark:update": true, "landmark:delete": true,
		"attempt:read": true, "unlock:read": true, "unlock:update": true,
	}, seen, "every permission that can be held for own objects was tried")
}
