package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot"
	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/geo"
)

// listed is an operation of the contract that answers with a list.
type listed struct {
	path       string
	operation  *openapi3.Operation
	parameters map[string]*openapi3.Parameter
}

// lists are all operations that take a cursor.
func lists(t *testing.T) []listed {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(picaspot.OpenAPI)
	require.NoError(t, err)
	var found []listed
	for path, item := range doc.Paths.Map() {
		if item.Get == nil {
			continue
		}
		l := listed{path, item.Get, map[string]*openapi3.Parameter{}}
		for _, p := range append(slices.Clone(item.Parameters), item.Get.Parameters...) {
			l.parameters[p.Value.Name] = p.Value
		}
		if l.parameters["cursor"] != nil {
			found = append(found, l)
		}
	}
	require.NotEmpty(t, found)
	slices.SortFunc(found, func(a, b listed) int { return strings.Compare(a.path, b.path) })
	return found
}

// choices are the values of an enum, or one that says nothing.
func (l listed) choices(parameter string) []string {
	p := l.parameters[parameter]
	if p == nil {
		return []string{""}
	}
	var values []string
	for _, value := range p.Schema.Value.Enum {
		values = append(values, value.(string))
	}
	return values
}

// query is what the list has to be asked with: required parameters as the contract has
// them in its examples, and what was looked for when the sort needs it.
func (l listed) query(t *testing.T, sortBy, sortOrder string) url.Values {
	t.Helper()
	query := url.Values{}
	for name, p := range l.parameters {
		if p.In == openapi3.ParameterInQuery && p.Required {
			require.NotNil(t, p.Example, "%s needs an example for %s", l.operation.OperationID, name)
			query.Set(name, fmt.Sprint(p.Example))
		}
	}
	if sortBy != "" {
		query.Set("sort_by", sortBy)
	}
	if sortOrder != "" {
		query.Set("sort_order", sortOrder)
	}
	if sortBy == "relevance" {
		query.Set("search", "lighthouse")
	}
	return query
}

// world has some rows for every list, and what stands in the paths.
func world(t *testing.T, s *apptest.Server, admin *apptest.Client) map[string]string {
	t.Helper()
	ctx := context.Background()
	user, here := s.User(), geo.Point{Latitude: 53.8671, Longitude: 8.7206}
	area := s.Area(user, "Lighthouse Area")
	for i := range 4 {
		n := strconv.Itoa(i)
		s.User()
		child := s.Area(user, "Lighthouse "+n, func(in *api.AreaCreate) { in.ParentAreaID.Set(area.ID) })
		s.Landmark(user, child.ID, "Lighthouse "+n, here)
		landmark := s.Landmark(user, area.ID, "Lighthouse "+n, here, func(in *api.LandmarkCreate) { in.AllowDuplicate = new(true) })
		attempt := s.Attempt(admin, landmark.ID, apptest.Photo(t, here, time.Now()), here)
		_, err := s.Store.Pool.Exec(ctx, "INSERT INTO unlocks (id, created_at, updated_at, user_id, landmark_id, attempt_id) VALUES (gen_random_uuid(), now(), now(), $1, $2, $3)",
			admin.ID, landmark.ID, attempt.ID)
		require.NoError(t, err)
		report, err := user.CreateReportWithResponse(ctx, nil, api.ReportCreate{SubjectType: api.ReportSubjectLandmark, SubjectID: landmark.ID, Reason: api.ReportReasonOther, Comment: new("It is gone.")})
		require.NoError(t, err)
		require.NotNil(t, report.JSON201, string(report.Body))
		gone := s.Landmark(user, area.ID, "Gone "+n, here)
		deleted, err := user.DeleteLandmarkWithResponse(ctx, gone.ID, nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusNoContent, deleted.StatusCode(), string(deleted.Body))
		role, err := admin.CreateRoleWithResponse(ctx, nil, api.RoleCreate{Name: "role-" + n, Inherits: &[]string{"user"}})
		require.NoError(t, err)
		require.NotNil(t, role.JSON201, string(role.Body))
		s.LogIn(admin.ID, admin.Username, admin.Email)
		_, err = s.Store.Pool.Exec(ctx, "INSERT INTO import_runs (id, created_at, updated_at, finished_at, user_id, kind, status, options) VALUES (gen_random_uuid(), now(), now(), now(), $1, 'landmarks', 'succeeded', '{}')", admin.ID)
		require.NoError(t, err)
	}
	return map[string]string{"area_id": area.ID.String(), "webhook_id": webhooks(t, s, admin).String()}
}

// webhooks makes some, of which the one that is returned was delivered to.
func webhooks(t *testing.T, s *apptest.Server, admin *apptest.Client) (id uuid.UUID) {
	t.Helper()
	ctx := context.Background()
	for i := range 4 {
		made, err := admin.CreateWebhookWithResponse(ctx, nil, api.WebhookCreate{
			URL: "https://hooks.example.org/" + strconv.Itoa(i), Events: []api.WebhookEvent{api.WebhookEventLandmarkCreated},
		})
		require.NoError(t, err)
		require.NotNil(t, made.JSON201, string(made.Body))
		id = made.JSON201.ID
	}
	_, err := s.Store.Pool.Exec(ctx, `INSERT INTO webhook_deliveries (id, created_at, updated_at, webhook_id, event_id, event_type, payload)
SELECT gen_random_uuid(), now(), now(), $1, gen_random_uuid(), 'landmark.created', '{}' FROM generate_series(1, 4)`, id)
	require.NoError(t, err)
	return id
}

// answer is a list in either form.
type answer struct {
	Items             []json.RawMessage `json:"items"`
	Total, Pages      *int
	TotalIsLowerBound *bool   `json:"total_is_lower_bound"`
	NextCursor        *string `json:"next_cursor"`
}

// Every list of the contract keeps what all of them promise, also one that comes later.
func TestLists(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	admin := s.As("admin")
	stands := world(t, s, admin)
	ask := func(t *testing.T, path string, query url.Values) answer {
		t.Helper()
		response, body := s.Call(admin, http.MethodGet, path+"?"+query.Encode(), "", nil)
		require.Equal(t, http.StatusOK, response.StatusCode, "%s?%s: %s", path, query.Encode(), body)
		var a answer
		require.NoError(t, json.Unmarshal(body, &a))
		return a
	}
	refused := func(t *testing.T, path string, query url.Values) api.Problem {
		t.Helper()
		response, body := s.Call(admin, http.MethodGet, path+"?"+query.Encode(), "", nil)
		return apptest.Problem(t, http.StatusBadRequest, response, body)
	}
	with := func(query url.Values, pairs ...string) url.Values {
		query = maps.Clone(query)
		for i := 0; i < len(pairs); i += 2 {
			query.Set(pairs[i], pairs[i+1])
		}
		return query
	}
	for _, l := range lists(t) {
		path := l.path
		for name, value := range stands {
			path = strings.ReplaceAll(path, "{"+name+"}", value)
		}
		require.NotContains(t, path, "{", "say in world what stands there")
		t.Run(l.operation.OperationID, func(t *testing.T) {
			byNumber := l.parameters["page"] != nil
			for _, sortBy := range l.choices("sort_by") {
				for _, sortOrder := range l.choices("sort_order") {
					query := l.query(t, sortBy, sortOrder)
					var walked []json.RawMessage
					for cursor := new(""); cursor != nil; {
						a := ask(t, path, with(query, "cursor", *cursor, "size", "2"))
						require.Nil(t, a.Total)
						require.LessOrEqual(t, len(a.Items), 2)
						walked, cursor = append(walked, a.Items...), a.NextCursor
					}
					require.GreaterOrEqual(t, len(walked), 3, "give the world of this test some")
					if !byNumber {
						continue
					}
					var paged []json.RawMessage
					for number := 1; number == 1 || len(paged) == 2*(number-1); number++ {
						a := ask(t, path, with(query, "page", strconv.Itoa(number), "size", "2"))
						require.Nil(t, a.NextCursor)
						require.Equal(t, []int{len(walked), (len(walked) + 1) / 2}, []int{*a.Total, *a.Pages}, "%s %s, page %d", sortBy, sortOrder, number)
						paged = append(paged, a.Items...)
						if len(a.Items) == 0 {
							break
						}
					}
					require.Equal(t, walked, paged, "%s %s", sortBy, sortOrder)
				}
			}

			query := l.query(t, "", "")
			cursor := *ask(t, path, with(query, "cursor", "", "size", "1")).NextCursor
			foreign := *ask(t, "/api/v1/admin/permissions", url.Values{"cursor": {""}, "size": {"1"}}).NextCursor
			if strings.HasSuffix(path, "/permissions") {
				foreign = *ask(t, "/api/v1/areas", url.Values{"cursor": {""}, "size": {"1"}}).NextCursor
			}
			require.Equal(t, "/problems/cursor_mismatch", refused(t, path, with(query, "cursor", foreign)).Type)
			if orders := l.choices("sort_order"); len(orders) > 1 {
				var statuses []int
				for _, order := range orders {
					response, _ := s.Call(admin, http.MethodGet, path+"?"+with(query, "cursor", cursor, "sort_order", order).Encode(), "", nil)
					statuses = append(statuses, response.StatusCode)
				}
				require.ElementsMatch(t, []int{http.StatusOK, http.StatusBadRequest}, statuses, "a cursor keeps its order")
			}
			require.Equal(t, "/problems/invalid_cursor", refused(t, path, with(query, "cursor", "AAAA")).Type)
			faults := map[string]string{"size": "0", "sort_by": "password", "sort_order": "up", "nonsense": "1", "page": "0"}
			for parameter, value := range faults {
				p := refused(t, path, with(query, parameter, value))
				require.Equal(t, parameter, *(*p.Errors)[0].Parameter)
			}
			require.Equal(t, "size", *(*refused(t, path, with(query, "size", "101")).Errors)[0].Parameter)
			if byNumber {
				require.Equal(t, "page_and_cursor", (*refused(t, path, with(query, "page", "1", "cursor", "")).Errors)[0].Code)
			}
			if l.parameters["search"] != nil {
				query := with(query, "search", "lighthouse")
				ask(t, path, query)
				ask(t, path, with(query, "cursor", ""))
				require.Equal(t, "/problems/cursor_mismatch", refused(t, path, with(query, "cursor", cursor)).Type)
				require.Equal(t, "search", *(*refused(t, path, with(query, "search", "")).Errors)[0].Parameter)
			}
			response, body := s.Call(nil, http.MethodGet, path+"?"+query.Encode(), "", nil)
			apptest.Problem(t, http.StatusUnauthorized, response, body)
		})
	}
}
