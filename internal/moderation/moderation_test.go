package moderation_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/oapi-codegen/nullable"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/version"
)

func TestMain(m *testing.M) { apptest.Main(m) }

var here = geo.Point{Latitude: 53.8, Longitude: 8.7}

func tryReport(t *testing.T, by *apptest.Client, kind api.ReportSubject, id uuid.UUID) *api.CreateReportResponse {
	t.Helper()
	got, err := by.CreateReportWithResponse(context.Background(), nil, api.ReportCreate{
		SubjectType: kind, SubjectID: id, Reason: api.ReportReasonSpam, Comment: new("By " + by.Username + "."),
	})
	require.NoError(t, err)
	return got
}

func report(t *testing.T, by *apptest.Client, kind api.ReportSubject, id uuid.UUID) api.Report {
	t.Helper()
	got := tryReport(t, by, kind, id)
	require.NotNil(t, got.JSON201, string(got.Body))
	return *got.JSON201
}

func tryResolve(t *testing.T, by *apptest.Client, id uuid.UUID, in api.ReportUpdate, ifMatch ...string) *api.ResolveReportResponse {
	t.Helper()
	params := &api.ResolveReportParams{}
	if len(ifMatch) > 0 {
		params.IfMatch = &ifMatch[0]
	}
	got, err := by.ResolveReportWithApplicationMergePatchPlusJSONBodyWithResponse(context.Background(), id, params, in)
	require.NoError(t, err)
	return got
}

func resolve(t *testing.T, by *apptest.Client, id uuid.UUID, in api.ReportUpdate) api.Report {
	t.Helper()
	got := tryResolve(t, by, id, in)
	require.NotNil(t, got.JSON200, string(got.Body))
	return *got.JSON200
}

func list(t *testing.T, by *apptest.Client, params api.ListReportsParams) api.ReportList {
	t.Helper()
	got, err := by.ListReportsWithResponse(context.Background(), &params)
	require.NoError(t, err)
	require.NotNil(t, got.JSON200, string(got.Body))
	return *got.JSON200
}

// get is a report as the moderators see it.
func get(t *testing.T, by *apptest.Client, id uuid.UUID) api.Report {
	t.Helper()
	got, err := by.GetReportWithResponse(context.Background(), id, nil)
	require.NoError(t, err)
	require.NotNil(t, got.JSON200, string(got.Body))
	return *got.JSON200
}

func refused(t *testing.T, status int, code string, response *http.Response, body []byte) {
	t.Helper()
	require.Equal(t, "/problems/"+code, apptest.Problem(t, status, response, body).Type)
}

func act(action api.ReportAction) api.ReportUpdate {
	return api.ReportUpdate{Status: api.ReportUpdateStatusResolved, Action: &action, Note: new("Seen.")}
}

// records counts the rows of the audit log on an entity by an actor in one request.
func records(t *testing.T, s *apptest.Server, action string, entity uuid.UUID, actor *apptest.Client, response *http.Response) (n int) {
	t.Helper()
	require.NoError(t, s.Store.Pool.QueryRow(context.Background(),
		"SELECT count(*) FROM audit_logs WHERE action = $1 AND entity_id = $2 AND actor_id = $3 AND request_id = $4",
		action, entity, actor.ID, response.Header.Get("X-Request-ID")).Scan(&n))
	return n
}

// unlocked gives a user an unlock of a landmark.
func unlocked(t *testing.T, s *apptest.Server, user *apptest.Client, landmark uuid.UUID) (id uuid.UUID) {
	t.Helper()
	require.NoError(t, s.Store.InTx(context.Background(), func(ctx context.Context, tx *store.Tx) error {
		made, err := tx.Unlock.Create().SetUserID(user.ID).SetLandmarkID(landmark).Save(ctx)
		if err == nil {
			id = made.ID
		}
		return err
	}))
	return id
}

// allow adds lines to the live policy.
func allow(t *testing.T, s *apptest.Server, lines ...string) {
	t.Helper()
	_, err := s.Policy.Edit(context.Background(), version.Precondition{}, "", func(text string) (string, error) {
		return text + strings.Join(lines, "\n") + "\n", nil
	})
	require.NoError(t, err)
}

func TestReport(t *testing.T) {
	t.Parallel()
	ctx := context.Background()

	t.Run("of any kind of thing reaches the moderators, oldest first", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		reporter, other, moderator := s.User(), s.User(), s.As("moderator")
		area := s.Area(other, "Harbour")
		landmark := s.Landmark(other, area.ID, "Crane", here)
		unlock := unlocked(t, s, other, landmark.ID)
		var made []api.Report
		for kind, id := range map[api.ReportSubject]uuid.UUID{
			api.ReportSubjectArea: area.ID, api.ReportSubjectLandmark: landmark.ID,
			api.ReportSubjectUnlock: unlock, api.ReportSubjectUser: other.ID,
		} {
			got := tryReport(t, reporter, kind, id)
			require.NotNil(t, got.JSON201, string(got.Body))
			r := *got.JSON201
			require.Equal(t, kind, r.SubjectType)
			require.Equal(t, id, r.SubjectID)
			require.Equal(t, reporter.ID, r.ReporterID)
			require.Equal(t, api.ReportReasonSpam, r.Reason)
			require.Equal(t, "By "+reporter.Username+".", r.Comment)
			require.Equal(t, api.ReportStatusOpen, r.Status)
			require.Equal(t, api.ReportActionNone, r.Action)
			require.True(t, r.ResolvedBy.IsNull() && r.ResolvedAt.IsNull())
			require.Equal(t, 1, records(t, s, "create", r.ID, reporter, got.HTTPResponse))
			made = append(made, r)
		}
		require.Equal(t, made, list(t, moderator, api.ListReportsParams{}).Items)
	})

	t.Run("of one's own things is taken", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		creator := s.User()
		report(t, creator, api.ReportSubjectArea, s.Area(creator, "Harbour").ID)
	})

	t.Run("is one while it is open, however often it is sent", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		reporter, other, moderator := s.User(), s.User(), s.As("moderator")
		area := s.Area(other, "Harbour")
		ids := make([]uuid.UUID, 8)
		var wg sync.WaitGroup
		for i := range ids {
			wg.Go(func() {
				got, err := reporter.CreateReportWithResponse(ctx, nil, api.ReportCreate{
					SubjectType: api.ReportSubjectArea, SubjectID: area.ID, Reason: api.ReportReasonSpam,
				})
				if err == nil && got.JSON201 != nil {
					ids[i] = got.JSON201.ID
				}
			})
		}
		wg.Wait()
		first := report(t, reporter, api.ReportSubjectArea, area.ID)
		require.Empty(t, first.Comment, "the first report stays as it was")
		for _, id := range ids {
			require.Equal(t, first.ID, id)
		}
		require.NotEqual(t, first.ID, report(t, other, api.ReportSubjectArea, area.ID).ID, "somebody else's is another one")
		resolve(t, moderator, first.ID, api.ReportUpdate{Status: api.ReportUpdateStatusDismissed})
		require.NotEqual(t, first.ID, report(t, reporter, api.ReportSubjectArea, area.ID).ID, "and so is one after it was decided")
		require.Equal(t, 3, *list(t, moderator, api.ListReportsParams{}).Total)
	})

	t.Run("of what is not there, or not any more, is refused", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		reporter, gone := s.User(), s.User()
		area := s.Area(gone, "Harbour")
		kinds := []api.ReportSubject{api.ReportSubjectArea, api.ReportSubjectLandmark, api.ReportSubjectUnlock, api.ReportSubjectUser}
		for _, kind := range kinds {
			got := tryReport(t, reporter, kind, uuid.New())
			refused(t, http.StatusUnprocessableEntity, "subject_unknown", got.HTTPResponse, got.Body)
		}
		deleted, err := gone.DeleteAreaWithResponse(ctx, area.ID, nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusNoContent, deleted.StatusCode())
		left, err := gone.DeleteMeWithResponse(ctx, api.PasswordConfirmation{Password: apptest.Password})
		require.NoError(t, err)
		require.Equal(t, http.StatusNoContent, left.StatusCode(), string(left.Body))
		for kind, id := range map[api.ReportSubject]uuid.UUID{
			api.ReportSubjectArea: area.ID, api.ReportSubjectLandmark: area.ID, api.ReportSubjectUser: gone.ID,
		} {
			got := tryReport(t, reporter, kind, id)
			refused(t, http.StatusUnprocessableEntity, "subject_unknown", got.HTTPResponse, got.Body)
		}
	})

	t.Run("of oneself is refused", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		reporter := s.User()
		got := tryReport(t, reporter, api.ReportSubjectUser, reporter.ID)
		refused(t, http.StatusUnprocessableEntity, "subject_oneself", got.HTTPResponse, got.Body)
	})

	t.Run("comes from those who are logged in and may report", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		allow(t, s, "p, reader, area, read, any, allow")
		area := s.Area(s.User(), "Harbour")
		anonymous := tryReport(t, s.Anonymous(), api.ReportSubjectArea, area.ID)
		refused(t, http.StatusUnauthorized, "unauthenticated", anonymous.HTTPResponse, anonymous.Body)
		reader := tryReport(t, s.As("reader"), api.ReportSubjectArea, area.ID)
		refused(t, http.StatusForbidden, "forbidden", reader.HTTPResponse, reader.Body)
	})

	t.Run("says what the contract knows", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		reporter := s.User()
		response, body := s.Call(reporter, http.MethodPost, "/api/v1/reports", "application/json", strings.NewReader(
			`{"subject_type":"planet","subject_id":"x","reason":"boredom","comment":"`+strings.Repeat("a", 1001)+`","status":"open"}`))
		require.Len(t, *apptest.Problem(t, http.StatusBadRequest, response, body).Errors, 5)
	})
}

func TestListOfReports(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := apptest.NewWithoutWorkers(t)
	first, second, moderator := s.User(), s.User(), s.As("moderator")
	harbour, marsh := s.Area(first, "Harbour"), s.Area(first, "Marsh")
	reports := []api.Report{
		report(t, first, api.ReportSubjectArea, harbour.ID),
		report(t, second, api.ReportSubjectArea, harbour.ID),
		report(t, second, api.ReportSubjectArea, marsh.ID),
		report(t, second, api.ReportSubjectUser, first.ID),
		report(t, first, api.ReportSubjectUser, second.ID),
	}
	reports[1] = resolve(t, moderator, reports[1].ID, api.ReportUpdate{Status: api.ReportUpdateStatusDismissed, Note: new("It is fenced, señora.")})
	ids := func(reports []api.Report) (ids []uuid.UUID) {
		for _, r := range reports {
			ids = append(ids, r.ID)
		}
		return ids
	}
	pick := func(which ...int) (ids []uuid.UUID) {
		for _, i := range which {
			ids = append(ids, reports[i].ID)
		}
		return ids
	}

	t.Run("is filtered", func(t *testing.T) {
		t.Parallel()
		for name, test := range map[string]struct {
			params api.ListReportsParams
			want   []uuid.UUID
		}{
			"not at all":      {api.ListReportsParams{}, pick(0, 1, 2, 3, 4)},
			"by status":       {api.ListReportsParams{Status: new(api.ReportStatusOpen)}, pick(0, 2, 3, 4)},
			"by another one":  {api.ListReportsParams{Status: new(api.ReportStatusDismissed)}, pick(1)},
			"by kind":         {api.ListReportsParams{SubjectType: new(api.ReportSubjectUser)}, pick(3, 4)},
			"by subject":      {api.ListReportsParams{SubjectID: &harbour.ID}, pick(0, 1)},
			"by reporter":     {api.ListReportsParams{ReporterID: &second.ID}, pick(1, 2, 3)},
			"by a word":       {api.ListReportsParams{Search: new("SENOR")}, pick(1)},
			"by no word":      {api.ListReportsParams{Search: new("...")}, nil},
			"by other words":  {api.ListReportsParams{Search: new("fenced off")}, nil},
			"by all of these": {api.ListReportsParams{Status: new(api.ReportStatusOpen), SubjectType: new(api.ReportSubjectArea), SubjectID: &harbour.ID, ReporterID: &first.ID}, pick(0)},
		} {
			got := list(t, moderator, test.params)
			require.Equal(t, test.want, ids(got.Items), name)
			require.Equal(t, len(test.want), *got.Total, name)
		}
	})

	t.Run("is sorted, and goes by pages and by cursor", func(t *testing.T) {
		t.Parallel()
		for by, want := range map[api.ListReportsParamsSortBy][]uuid.UUID{
			api.ListReportsParamsSortByCreatedAt: pick(0, 1, 2, 3, 4),
			api.ListReportsParamsSortByUpdatedAt: pick(0, 2, 3, 4, 1),
		} {
			require.Equal(t, want, ids(list(t, moderator, api.ListReportsParams{SortBy: &by}).Items))
			for _, order := range []api.ListReportsParamsSortOrder{"asc", "desc"} {
				whole := list(t, moderator, api.ListReportsParams{SortBy: &by, SortOrder: &order})
				var paged, walked []api.Report
				for number := 1; number <= 3; number++ {
					paged = append(paged, list(t, moderator, api.ListReportsParams{SortBy: &by, SortOrder: &order, Page: &number, Size: new(2)}).Items...)
				}
				for cursor := new(""); cursor != nil; {
					page := list(t, moderator, api.ListReportsParams{SortBy: &by, SortOrder: &order, Cursor: cursor, Size: new(2)})
					walked = append(walked, page.Items...)
					cursor = page.NextCursor
				}
				require.Equal(t, whole.Items, paged, "%s %s", by, order)
				require.Equal(t, whole.Items, walked, "%s %s", by, order)
			}
		}
	})

	t.Run("refuses a cursor of another list", func(t *testing.T) {
		t.Parallel()
		cursor := list(t, moderator, api.ListReportsParams{Cursor: new(""), Size: new(1)}).NextCursor
		got, err := moderator.ListReportsWithResponse(ctx, &api.ListReportsParams{Cursor: cursor, ReporterID: &first.ID})
		require.NoError(t, err)
		refused(t, http.StatusBadRequest, "cursor_mismatch", got.HTTPResponse, got.Body)
	})

	t.Run("is for moderators", func(t *testing.T) {
		t.Parallel()
		anonymous, err := s.Anonymous().ListReportsWithResponse(ctx, nil)
		require.NoError(t, err)
		refused(t, http.StatusUnauthorized, "unauthenticated", anonymous.HTTPResponse, anonymous.Body)
		user, err := first.ListReportsWithResponse(ctx, nil)
		require.NoError(t, err)
		refused(t, http.StatusForbidden, "forbidden", user.HTTPResponse, user.Body)
	})
}

func TestGetReport(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := apptest.NewWithoutWorkers(t)
	reporter, moderator := s.User(), s.As("moderator")
	made := report(t, reporter, api.ReportSubjectArea, s.Area(reporter, "Harbour").ID)

	got, err := moderator.GetReportWithResponse(ctx, made.ID, nil)
	require.NoError(t, err)
	require.NotNil(t, got.JSON200, string(got.Body))
	require.Equal(t, made, *got.JSON200)
	seen := got.HTTPResponse.Header.Get("ETag")
	same, err := moderator.GetReportWithResponse(ctx, made.ID, &api.GetReportParams{IfNoneMatch: &seen})
	require.NoError(t, err)
	require.Equal(t, http.StatusNotModified, same.StatusCode())
	dismissed := tryResolve(t, moderator, made.ID, api.ReportUpdate{Status: api.ReportUpdateStatusDismissed}, seen)
	require.NotNil(t, dismissed.JSON200, string(dismissed.Body))
	changed, err := moderator.GetReportWithResponse(ctx, made.ID, &api.GetReportParams{IfNoneMatch: &seen})
	require.NoError(t, err)
	require.Equal(t, dismissed.JSON200, changed.JSON200)
	require.Equal(t, dismissed.HTTPResponse.Header.Get("ETag"), changed.HTTPResponse.Header.Get("ETag"))

	unknown, err := moderator.GetReportWithResponse(ctx, uuid.New(), nil)
	require.NoError(t, err)
	refused(t, http.StatusNotFound, "not_found", unknown.HTTPResponse, unknown.Body)
	anonymous, err := s.Anonymous().GetReportWithResponse(ctx, made.ID, nil)
	require.NoError(t, err)
	refused(t, http.StatusUnauthorized, "unauthenticated", anonymous.HTTPResponse, anonymous.Body)
	user, err := reporter.GetReportWithResponse(ctx, made.ID, nil)
	require.NoError(t, err)
	refused(t, http.StatusForbidden, "forbidden", user.HTTPResponse, user.Body)
}

func beneath(parent uuid.UUID) func(*api.AreaCreate) {
	return func(in *api.AreaCreate) { in.ParentAreaID = nullable.NewNullableWithValue(parent) }
}
