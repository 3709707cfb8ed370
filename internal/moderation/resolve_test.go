package moderation_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/version"
)

func TestResolve(t *testing.T) {
	t.Parallel()
	ctx := context.Background()

	t.Run("decides a report once, and on record", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		creator, moderator := s.User(), s.As("moderator")
		made := report(t, creator, api.ReportSubjectArea, s.Area(creator, "Harbour").ID)
		got := tryResolve(t, moderator, made.ID, api.ReportUpdate{Status: api.ReportUpdateStatusDismissed, Note: new("It is fine.")})
		require.NotNil(t, got.JSON200, string(got.Body))
		require.Equal(t, api.ReportStatusDismissed, got.JSON200.Status)
		require.Equal(t, api.ReportActionNone, got.JSON200.Action)
		require.Equal(t, "It is fine.", got.JSON200.Note)
		require.Equal(t, moderator.ID, got.JSON200.ResolvedBy.MustGet())
		require.WithinDuration(t, got.JSON200.UpdatedAt, got.JSON200.ResolvedAt.MustGet(), time.Second)
		require.Equal(t, version.ETag(got.JSON200.UpdatedAt), got.HTTPResponse.Header.Get("ETag"))
		require.Equal(t, *got.JSON200, get(t, moderator, made.ID))
		require.Equal(t, 1, records(t, s, "update", made.ID, moderator, got.HTTPResponse))
		again := tryResolve(t, moderator, made.ID, act(api.ReportActionUnverify))
		refused(t, http.StatusConflict, "report_closed", again.HTTPResponse, again.Body)
	})

	t.Run("without an action leaves the subject and other reports alone", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		creator, moderator := s.User(), s.As("moderator")
		area := s.Area(moderator, "Harbour")
		made, other := report(t, creator, api.ReportSubjectArea, area.ID), report(t, moderator, api.ReportSubjectArea, area.ID)
		require.Equal(t, api.ReportStatusResolved, resolve(t, moderator, made.ID, api.ReportUpdate{Status: api.ReportUpdateStatusResolved}).Status)
		require.Equal(t, other, get(t, moderator, other.ID))
		got, err := creator.GetAreaWithResponse(ctx, area.ID, nil)
		require.NoError(t, err)
		require.Equal(t, area, *got.JSON200)
	})

	t.Run("withdraws what was verified", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		reporter, moderator := s.User(), s.As("moderator")
		area := s.Area(moderator, "Harbour")
		landmark := s.Landmark(moderator, area.ID, "Crane", here)
		require.True(t, area.IsVerified && landmark.IsVerified)
		for kind, id := range map[api.ReportSubject]uuid.UUID{api.ReportSubjectArea: area.ID, api.ReportSubjectLandmark: landmark.ID} {
			made, along := report(t, reporter, kind, id), report(t, moderator, kind, id)
			got := tryResolve(t, moderator, made.ID, act(api.ReportActionUnverify))
			require.NotNil(t, got.JSON200, string(got.Body))
			require.Equal(t, api.ReportActionUnverify, got.JSON200.Action)
			require.Equal(t, 1, records(t, s, "update", id, moderator, got.HTTPResponse))
			require.Equal(t, api.ReportStatusOpen, get(t, moderator, along.ID).Status)
			resolve(t, moderator, along.ID, act(api.ReportActionUnverify))
		}
		gotArea, err := reporter.GetAreaWithResponse(ctx, area.ID, nil)
		require.NoError(t, err)
		require.False(t, gotArea.JSON200.IsVerified)
		gotLandmark, err := reporter.GetLandmarkWithResponse(ctx, landmark.ID, nil)
		require.NoError(t, err)
		require.False(t, gotLandmark.JSON200.IsVerified)
	})

	t.Run("deletes an area with all that lies in it, and resolves the other reports along", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		creator, second, admin := s.User(), s.User(), s.As("admin")
		root := s.Area(creator, "Root")
		child := s.Area(creator, "Child", beneath(root.ID))
		beside := s.Area(creator, "Beside")
		stone := s.Landmark(creator, child.ID, "Stone", here)
		made, along := report(t, creator, api.ReportSubjectArea, root.ID), report(t, second, api.ReportSubjectArea, root.ID)
		dismissed := resolve(t, admin, report(t, admin, api.ReportSubjectArea, root.ID).ID, api.ReportUpdate{Status: api.ReportUpdateStatusDismissed})
		elsewhere := report(t, second, api.ReportSubjectArea, beside.ID)

		got := tryResolve(t, admin, made.ID, act(api.ReportActionDelete))
		require.NotNil(t, got.JSON200, string(got.Body))
		require.Equal(t, "Seen.", got.JSON200.Note)
		other := get(t, admin, along.ID)
		require.Equal(t, api.ReportStatusResolved, other.Status)
		require.Equal(t, api.ReportActionDelete, other.Action)
		require.Equal(t, "Resolved with another report.", other.Note)
		require.Equal(t, admin.ID, other.ResolvedBy.MustGet())
		require.Equal(t, dismissed, get(t, admin, dismissed.ID))
		require.Equal(t, elsewhere, get(t, admin, elsewhere.ID))

		areas, err := creator.ListAreasWithResponse(ctx, nil)
		require.NoError(t, err)
		require.Equal(t, 1, *areas.JSON200.Total)
		require.Equal(t, beside.ID, areas.JSON200.Items[0].ID)
		landmarks, err := creator.ListLandmarksWithResponse(ctx, nil)
		require.NoError(t, err)
		require.Empty(t, landmarks.JSON200.Items)
		for _, id := range []uuid.UUID{root.ID, child.ID, stone.ID} {
			require.Equal(t, 1, records(t, s, "delete", id, admin, got.HTTPResponse))
		}
		for _, id := range []uuid.UUID{made.ID, along.ID} {
			require.Equal(t, 1, records(t, s, "update", id, admin, got.HTTPResponse))
		}
		var deletions int
		require.NoError(t, s.Store.Pool.QueryRow(ctx, `SELECT count(DISTINCT deletion_id) FROM (
			SELECT deletion_id FROM areas UNION ALL SELECT deletion_id FROM landmarks) all_of_it`).Scan(&deletions))
		require.Equal(t, 1, deletions)
	})

	t.Run("deletes a landmark", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		creator, admin := s.User(), s.As("admin")
		area := s.Area(creator, "Harbour")
		landmark := s.Landmark(creator, area.ID, "Crane", here)
		made := report(t, creator, api.ReportSubjectLandmark, landmark.ID)
		got := tryResolve(t, admin, made.ID, act(api.ReportActionDelete))
		require.NotNil(t, got.JSON200, string(got.Body))
		require.Equal(t, 1, records(t, s, "delete", landmark.ID, admin, got.HTTPResponse))
		landmarks, err := creator.ListAreaLandmarksWithResponse(ctx, area.ID, nil)
		require.NoError(t, err)
		require.Empty(t, landmarks.JSON200.Items)
	})

	t.Run("suspends a user from the next request on", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		reporter, second, cheat, admin := s.User(), s.User(), s.User(), s.As("admin")
		made, along := report(t, reporter, api.ReportSubjectUser, cheat.ID), report(t, second, api.ReportSubjectUser, cheat.ID)
		before, err := cheat.GetMeWithResponse(ctx, nil)
		require.NoError(t, err)
		require.NotNil(t, before.JSON200)
		got := tryResolve(t, admin, made.ID, act(api.ReportActionSuspend))
		require.NotNil(t, got.JSON200, string(got.Body))
		after, err := cheat.GetMeWithResponse(ctx, nil)
		require.NoError(t, err)
		refused(t, http.StatusUnauthorized, "session_ended", after.HTTPResponse, after.Body)
		require.Equal(t, 1, records(t, s, "suspended", cheat.ID, admin, got.HTTPResponse))
		require.Equal(t, api.ReportActionSuspend, get(t, admin, along.ID).Action)
		shown, err := admin.GetUserWithResponse(ctx, cheat.ID, nil)
		require.NoError(t, err)
		require.Equal(t, api.UserStatusSuspended, shown.JSON200.Status)
		resolve(t, admin, report(t, reporter, api.ReportSubjectUser, cheat.ID).ID, act(api.ReportActionSuspend))
	})

	t.Run("asks for the permission of the action besides", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		reporter, moderator := s.User(), s.As("moderator")
		// The moderator's own: deleting one's own things is not enough here.
		area := s.Area(moderator, "Harbour")
		landmark := s.Landmark(moderator, area.ID, "Crane", here)
		for _, test := range []struct {
			kind   api.ReportSubject
			id     uuid.UUID
			action api.ReportAction
		}{
			{api.ReportSubjectArea, area.ID, api.ReportActionDelete},
			{api.ReportSubjectLandmark, landmark.ID, api.ReportActionDelete},
			{api.ReportSubjectUser, moderator.ID, api.ReportActionSuspend},
		} {
			made := report(t, reporter, test.kind, test.id)
			got := tryResolve(t, moderator, made.ID, act(test.action))
			refused(t, http.StatusForbidden, "forbidden", got.HTTPResponse, got.Body)
			require.Equal(t, made, get(t, moderator, made.ID))
		}
		still, err := reporter.GetLandmarkWithResponse(ctx, landmark.ID, nil)
		require.NoError(t, err)
		require.Equal(t, landmark, *still.JSON200)
		allow(t, s, "p, doorkeeper, report, moderate, any, allow")
		made := report(t, reporter, api.ReportSubjectArea, area.ID)
		got := tryResolve(t, s.As("doorkeeper"), made.ID, act(api.ReportActionUnverify))
		refused(t, http.StatusForbidden, "forbidden", got.HTTPResponse, got.Body)
	})

	t.Run("refuses an action that does not fit", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		creator, other, admin := s.User(), s.User(), s.As("admin")
		area := s.Area(creator, "Harbour")
		landmark := s.Landmark(creator, area.ID, "Crane", here)
		unlock := unlocked(t, s, other, landmark.ID)
		reports := map[api.ReportSubject]api.Report{}
		for kind, id := range map[api.ReportSubject]uuid.UUID{
			api.ReportSubjectArea: area.ID, api.ReportSubjectLandmark: landmark.ID,
			api.ReportSubjectUnlock: unlock, api.ReportSubjectUser: other.ID,
		} {
			reports[kind] = report(t, creator, kind, id)
		}
		for kind, actions := range map[api.ReportSubject][]api.ReportAction{
			api.ReportSubjectArea:     {api.ReportActionSuspend},
			api.ReportSubjectLandmark: {api.ReportActionSuspend},
			api.ReportSubjectUnlock:   {api.ReportActionUnverify, api.ReportActionDelete, api.ReportActionSuspend},
			api.ReportSubjectUser:     {api.ReportActionUnverify, api.ReportActionDelete},
		} {
			for _, action := range actions {
				got := tryResolve(t, admin, reports[kind].ID, act(action))
				refused(t, http.StatusUnprocessableEntity, "action_unfit", got.HTTPResponse, got.Body)
			}
		}
		for kind, action := range map[api.ReportSubject]api.ReportAction{
			api.ReportSubjectArea: api.ReportActionDelete, api.ReportSubjectLandmark: api.ReportActionUnverify, api.ReportSubjectUser: api.ReportActionSuspend,
		} {
			got := tryResolve(t, admin, reports[kind].ID, api.ReportUpdate{Status: api.ReportUpdateStatusDismissed, Action: &action})
			refused(t, http.StatusUnprocessableEntity, "action_unfit", got.HTTPResponse, got.Body)
		}
		for _, made := range reports {
			require.Equal(t, made, get(t, admin, made.ID))
			none := api.ReportActionNone
			resolve(t, admin, made.ID, api.ReportUpdate{Status: api.ReportUpdateStatusDismissed, Action: &none})
		}
	})

	t.Run("takes what is gone for deleted, and nothing else", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		creator, second, gone, admin := s.User(), s.User(), s.User(), s.As("admin")
		area := s.Area(creator, "Harbour")
		landmark := s.Landmark(creator, area.ID, "Crane", here)
		ofArea, ofLandmark := report(t, creator, api.ReportSubjectArea, area.ID), report(t, creator, api.ReportSubjectLandmark, landmark.ID)
		along := report(t, second, api.ReportSubjectArea, area.ID)
		ofUser := report(t, creator, api.ReportSubjectUser, gone.ID)
		deleted, err := creator.DeleteAreaWithResponse(ctx, area.ID, nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusNoContent, deleted.StatusCode())
		left, err := gone.DeleteMeWithResponse(ctx, api.PasswordConfirmation{Password: apptest.Password})
		require.NoError(t, err)
		require.Equal(t, http.StatusNoContent, left.StatusCode(), string(left.Body))

		for id, action := range map[uuid.UUID]api.ReportAction{
			ofArea.ID: api.ReportActionUnverify, ofLandmark.ID: api.ReportActionUnverify, ofUser.ID: api.ReportActionSuspend,
		} {
			got := tryResolve(t, admin, id, act(action))
			refused(t, http.StatusConflict, "subject_gone", got.HTTPResponse, got.Body)
		}
		require.Equal(t, api.ReportActionDelete, resolve(t, admin, ofArea.ID, act(api.ReportActionDelete)).Action)
		require.Equal(t, api.ReportStatusResolved, get(t, admin, along.ID).Status)
		require.Equal(t, api.ReportStatusResolved, resolve(t, admin, ofLandmark.ID, act(api.ReportActionDelete)).Status)
		require.Equal(t, api.ReportStatusResolved, resolve(t, admin, ofUser.ID, act(api.ReportActionNone)).Status)
	})

	t.Run("never suspends the one who decides, nor an account whose role is beyond theirs", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		allow(t, s, "g, warden, moderator", "p, warden, user, manage, any, allow")
		reporter, admin, warden, user := s.User(), s.As("admin"), s.As("warden"), s.User()
		s.As("admin")
		made := report(t, reporter, api.ReportSubjectUser, admin.ID)
		oneself := tryResolve(t, admin, made.ID, act(api.ReportActionSuspend))
		refused(t, http.StatusConflict, "own_account", oneself.HTTPResponse, oneself.Body)
		beyond := tryResolve(t, warden, made.ID, act(api.ReportActionSuspend))
		refused(t, http.StatusForbidden, "role_exceeds_own", beyond.HTTPResponse, beyond.Body)
		require.Equal(t, made, get(t, admin, made.ID))
		resolve(t, warden, report(t, reporter, api.ReportSubjectUser, user.ID).ID, act(api.ReportActionSuspend))
	})

	t.Run("asks for the version that was seen", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		creator, moderator := s.User(), s.As("moderator")
		made := report(t, creator, api.ReportSubjectArea, s.Area(creator, "Harbour").ID)
		dismiss := api.ReportUpdate{Status: api.ReportUpdateStatusDismissed}
		stale := tryResolve(t, moderator, made.ID, dismiss, `"stale"`)
		refused(t, http.StatusPreconditionFailed, "version_changed", stale.HTTPResponse, stale.Body)
		seen := version.ETag(made.UpdatedAt)
		fits := tryResolve(t, moderator, made.ID, dismiss, seen)
		require.NotNil(t, fits.JSON200, string(fits.Body))
		late := tryResolve(t, moderator, made.ID, dismiss, seen)
		refused(t, http.StatusPreconditionFailed, "version_changed", late.HTTPResponse, late.Body)
	})

	t.Run("is for moderators, and for reports that there are", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		creator, moderator := s.User(), s.As("moderator")
		made := report(t, creator, api.ReportSubjectArea, s.Area(creator, "Harbour").ID)
		dismiss := api.ReportUpdate{Status: api.ReportUpdateStatusDismissed}
		anonymous := tryResolve(t, s.Anonymous(), made.ID, dismiss)
		refused(t, http.StatusUnauthorized, "unauthenticated", anonymous.HTTPResponse, anonymous.Body)
		user := tryResolve(t, creator, made.ID, dismiss)
		refused(t, http.StatusForbidden, "forbidden", user.HTTPResponse, user.Body)
		unknown := tryResolve(t, moderator, uuid.New(), dismiss)
		refused(t, http.StatusNotFound, "not_found", unknown.HTTPResponse, unknown.Body)
		open := tryResolve(t, moderator, made.ID, api.ReportUpdate{Status: "open"})
		refused(t, http.StatusBadRequest, "invalid_request", open.HTTPResponse, open.Body)
	})

	t.Run("happens once when two decide at the same time", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		creator, second := s.User(), s.User()
		admins := []*apptest.Client{s.As("admin"), s.As("admin")}
		for range 4 {
			area := s.Area(creator, "Harbour")
			// Each decides about another report on the same area, and deletes it.
			reports := []api.Report{report(t, creator, api.ReportSubjectArea, area.ID), report(t, second, api.ReportSubjectArea, area.ID)}
			statuses := make([]int, 4)
			var wg sync.WaitGroup
			for i := range statuses {
				wg.Go(func() {
					got, err := admins[i%2].ResolveReportWithApplicationMergePatchPlusJSONBodyWithResponse(ctx, reports[i/2].ID, nil, act(api.ReportActionDelete))
					if err == nil {
						statuses[i] = got.StatusCode()
					}
				})
			}
			wg.Wait()
			require.ElementsMatch(t, []int{200, 409, 409, 409}, statuses)
		}
	})

	t.Run("happens whole or not at all", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		creator, admin := s.User(), s.As("admin")
		area := s.Area(creator, "Harbour")
		made := report(t, creator, api.ReportSubjectArea, area.ID)
		for _, step := range []struct{ operation, table string }{{"UPDATE", "reports"}, {"UPDATE", "areas"}, {"INSERT", "audit_logs"}} {
			relent := s.Refuse(step.operation, step.table)
			got := tryResolve(t, admin, made.ID, act(api.ReportActionDelete))
			refused(t, http.StatusInternalServerError, "internal", got.HTTPResponse, got.Body)
			relent()
			require.Equal(t, made, get(t, admin, made.ID), step.table)
			still, err := creator.GetAreaWithResponse(ctx, area.ID, nil)
			require.NoError(t, err)
			require.NotNil(t, still.JSON200, step.table)
		}
		resolve(t, admin, made.ID, act(api.ReportActionDelete))
	})
}
