package unlock_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/oapi-codegen/nullable"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/photo/sample"
)

func TestMain(m *testing.M) { apptest.Main(m) }

var (
	lighthouse = geo.Point{Latitude: 53.8671, Longitude: 8.7206}
	// farAway is some 10 km south of the lighthouse.
	farAway = geo.Point{Latitude: 53.7772, Longitude: 8.7206}
)

func landmarkAt(s *apptest.Server, at geo.Point, set ...func(*api.LandmarkCreate)) api.Landmark {
	creator := s.User()
	return s.Landmark(creator, s.Area(creator, "Harbour").ID, "Lighthouse", at, set...)
}

func check(t *testing.T, attempt api.Attempt, name string) api.Check {
	t.Helper()
	for _, c := range attempt.Checks {
		if c.Name == name {
			return c
		}
	}
	require.Fail(t, "no such check", "%s in %+v", name, attempt.Checks)
	return api.Check{}
}

func unlocks(t *testing.T, by *apptest.Client) []api.Unlock {
	t.Helper()
	list, err := by.ListUnlocksWithResponse(context.Background(), nil)
	require.NoError(t, err)
	require.NotNil(t, list.JSON200, string(list.Body))
	return list.JSON200.Items
}

func TestAttempt(t *testing.T) {
	t.Parallel()

	t.Run("with a fresh photo from the spot unlocks the landmark", func(t *testing.T) {
		t.Parallel()
		s := apptest.New(t)
		landmark, explorer := landmarkAt(s, lighthouse), s.User()
		submitted := s.Attempt(explorer, landmark.ID, apptest.Photo(t, lighthouse, time.Now()), lighthouse)
		require.Equal(t, api.AttemptStatusPending, submitted.Status)
		require.Equal(t, explorer.ID, submitted.UserID)
		require.Equal(t, api.AttemptPhoto{ContentType: "image/jpeg", Bytes: submitted.Photo.Bytes, Width: 320, Height: 240, URL: submitted.Photo.URL}, submitted.Photo)
		require.Contains(t, submitted.Photo.URL.MustGet(), "/photo?version=")

		attempt := s.Decided(explorer, submitted.ID)
		require.Equal(t, api.AttemptStatusSucceeded, attempt.Status, "%+v", attempt.Checks)
		for _, c := range attempt.Checks {
			require.Equal(t, api.CheckOutcomePass, c.Outcome, "%+v", c)
			require.NotEmpty(t, c.Reason)
		}
		mine := unlocks(t, explorer)
		require.Len(t, mine, 1)
		require.Equal(t, landmark.ID, mine[0].LandmarkID)
		require.Equal(t, mine[0].ID, attempt.UnlockID.MustGet())
		require.Equal(t, attempt.ID, mine[0].AttemptID.MustGet())

		near, err := explorer.ListNearbyLandmarksWithResponse(context.Background(), &api.ListNearbyLandmarksParams{
			Latitude: lighthouse.Latitude, Longitude: lighthouse.Longitude, RadiusMeters: 100,
		})
		require.NoError(t, err)
		require.True(t, near.JSON200.Items[0].Unlocked)
	})

	t.Run("with an old photo goes to review, and unlocks where the limit is lifted", func(t *testing.T) {
		t.Parallel()
		for age, want := range map[time.Duration]api.AttemptStatus{24 * time.Hour: api.AttemptStatusNeedsReview, 0: api.AttemptStatusSucceeded} {
			s := apptest.New(t, apptest.WithPhotoMaxAge(age))
			landmark, explorer := landmarkAt(s, lighthouse), s.User()
			photo := apptest.Photo(t, lighthouse, time.Now().AddDate(-1, 0, 0))
			attempt := s.Decided(explorer, s.Attempt(explorer, landmark.ID, photo, lighthouse).ID)
			require.Equal(t, want, attempt.Status, "%+v", attempt.Checks)
			require.Len(t, unlocks(t, explorer), map[api.AttemptStatus]int{api.AttemptStatusSucceeded: 1}[want])
		}
	})

	t.Run("with a photo from elsewhere fails", func(t *testing.T) {
		t.Parallel()
		s := apptest.New(t)
		landmark, explorer := landmarkAt(s, lighthouse), s.User()
		attempt := s.Decided(explorer, s.Attempt(explorer, landmark.ID, apptest.Photo(t, farAway, time.Now()), lighthouse).ID)
		require.Equal(t, api.AttemptStatusFailed, attempt.Status)
		require.Equal(t, api.CheckOutcomeFail, check(t, attempt, "photo_position").Outcome)
		require.Contains(t, check(t, attempt, "photo_position").Reason, "10.1 km")
		require.Empty(t, unlocks(t, explorer))
	})

	t.Run("from elsewhere fails", func(t *testing.T) {
		t.Parallel()
		s := apptest.New(t)
		landmark, explorer := landmarkAt(s, lighthouse), s.User()
		attempt := s.Decided(explorer, s.Attempt(explorer, landmark.ID, apptest.Photo(t, farAway, time.Now()), farAway).ID)
		require.Equal(t, api.AttemptStatusFailed, attempt.Status)
		require.Equal(t, api.CheckOutcomeFail, check(t, attempt, "claimed_position").Outcome)
	})

	t.Run("with a photo without position and time goes to review", func(t *testing.T) {
		t.Parallel()
		s := apptest.New(t)
		landmark, explorer := landmarkAt(s, lighthouse), s.User()
		photo, err := sample.JPEG(sample.Options{Seed: 1, Width: 320, Height: 240})
		require.NoError(t, err)
		attempt := s.Decided(explorer, s.Attempt(explorer, landmark.ID, photo, lighthouse).ID)
		require.Equal(t, api.AttemptStatusNeedsReview, attempt.Status)
		require.Equal(t, api.CheckOutcomeAbstain, check(t, attempt, "photo_position").Outcome)
	})

	t.Run("is measured from the place that the photo is to be taken from", func(t *testing.T) {
		t.Parallel()
		s := apptest.New(t)
		pier := geo.Point{Latitude: 53.8700, Longitude: 8.7206}
		landmark := landmarkAt(s, lighthouse, func(in *api.LandmarkCreate) {
			in.PhotoLocation.Set(api.Position{Latitude: pier.Latitude, Longitude: pier.Longitude})
		})
		explorer := s.User()
		atLighthouse := s.Decided(explorer, s.Attempt(explorer, landmark.ID, apptest.Photo(t, lighthouse, time.Now()), lighthouse).ID)
		require.Equal(t, api.AttemptStatusFailed, atLighthouse.Status)
		atPier := s.Decided(explorer, s.Attempt(explorer, landmark.ID, apptest.Photo(t, pier, time.Now()), pier).ID)
		require.Equal(t, api.AttemptStatusSucceeded, atPier.Status, "%+v", atPier.Checks)
	})

	t.Run("at a landmark that was deleted meanwhile is still decided", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		creator := s.User()
		landmark := s.Landmark(creator, s.Area(creator, "Harbour").ID, "Lighthouse", lighthouse)
		explorer := s.User()
		attempt := s.Attempt(explorer, landmark.ID, apptest.Photo(t, lighthouse, time.Now()), lighthouse)
		_, err := creator.DeleteLandmarkWithResponse(context.Background(), landmark.ID, nil)
		require.NoError(t, err)
		require.NoError(t, s.Unlocks.Decide(context.Background(), attempt.ID))
		require.Equal(t, api.AttemptStatusSucceeded, s.Decided(explorer, attempt.ID).Status)
		contentType, body := apptest.Form(t, apptest.Photo(t, lighthouse, time.Now()), apptest.Claim(lighthouse))
		again, err := explorer.CreateAttemptWithBodyWithResponse(context.Background(), landmark.ID, nil, contentType, body)
		require.NoError(t, err)
		require.Equal(t, http.StatusNotFound, again.StatusCode())
	})
}

func TestAttemptIsDecidedOnce(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	landmark, explorer := landmarkAt(s, lighthouse), s.User()
	attempt := s.Attempt(explorer, landmark.ID, apptest.Photo(t, lighthouse, time.Now()), lighthouse)
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() { errs[i] = s.Unlocks.Decide(context.Background(), attempt.ID) })
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	require.Len(t, unlocks(t, explorer), 1)
	var verdicts int
	require.NoError(t, s.Store.Pool.QueryRow(context.Background(),
		"SELECT count(*) FROM audit_logs WHERE entity_type = 'attempt' AND action = 'update' AND entity_id = $1", attempt.ID).Scan(&verdicts))
	require.Equal(t, 1, verdicts)
}

func TestManyAttemptsAtOnceEndInOneUnlock(t *testing.T) {
	t.Parallel()
	s := apptest.New(t)
	landmark, explorer := landmarkAt(s, lighthouse), s.User()
	const n = 50
	photo := apptest.Photo(t, lighthouse, time.Now())
	accepted := make(chan uuid.UUID, n)
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			contentType, body := apptest.Form(t, photo, apptest.Claim(lighthouse))
			made, err := explorer.CreateAttemptWithBodyWithResponse(context.Background(), landmark.ID, nil, contentType, body)
			if err != nil {
				t.Error(err)
				return
			}
			switch made.StatusCode() {
			case http.StatusAccepted:
				accepted <- made.JSON202.ID
			case http.StatusConflict: // An earlier one was decided already.
			default:
				t.Errorf("status %d: %s", made.StatusCode(), made.Body)
			}
		})
	}
	wg.Wait()
	close(accepted)
	mine := map[uuid.UUID]bool{}
	for id := range accepted {
		attempt := s.Decided(explorer, id)
		require.Equal(t, api.AttemptStatusSucceeded, attempt.Status)
		mine[attempt.UnlockID.MustGet()] = true
	}
	require.Len(t, mine, 1)
	require.Len(t, unlocks(t, explorer), 1)

	contentType, body := apptest.Form(t, photo, apptest.Claim(lighthouse))
	again, err := explorer.CreateAttemptWithBodyWithResponse(context.Background(), landmark.ID, nil, contentType, body)
	require.NoError(t, err)
	p := apptest.Problem(t, http.StatusConflict, again.HTTPResponse, again.Body)
	require.Equal(t, "/problems/already_unlocked", p.Type)
}

func TestAttemptForm(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	landmark, explorer := landmarkAt(s, lighthouse), s.User()
	photo := apptest.Photo(t, lighthouse, time.Now())
	with := func(fields map[string]string) map[string]string {
		all := apptest.Claim(lighthouse)
		for name, value := range fields {
			all[name] = value
		}
		return all
	}
	for name, test := range map[string]struct {
		photo    []byte
		fields   map[string]string
		status   int
		problem  string
		pointers []string
	}{
		"names every fault at once": {
			nil, map[string]string{"latitude": "91", "longitude": "x", "accuracy_meters": "-1", "captured_at": "yesterday", "colour": "red"},
			http.StatusBadRequest, "invalid_request",
			[]string{"/accuracy_meters", "/captured_at", "/colour", "/latitude", "/longitude", "/photo"},
		},
		"refuses a form without anything": {nil, nil, http.StatusBadRequest, "invalid_request", []string{"/latitude", "/longitude", "/photo"}},
		"refuses fields that are empty": {
			photo, map[string]string{"latitude": "", "longitude": "8.72", "accuracy_meters": "", "captured_at": ""},
			http.StatusBadRequest, "invalid_request", []string{"/accuracy_meters", "/captured_at", "/latitude"},
		},
		"refuses a field that is too long": {
			photo, with(map[string]string{"accuracy_meters": "1." + strings.Repeat("0", 1023)}), http.StatusBadRequest, "invalid_request",
			[]string{"/accuracy_meters"},
		},
		"refuses a time that UTC has no year for": {
			photo, with(map[string]string{"captured_at": "9999-12-31T23:59:59-01:00"}), http.StatusBadRequest, "invalid_request",
			[]string{"/captured_at"},
		},
		"refuses a time that is no RFC 3339": {
			photo, with(map[string]string{"captured_at": "2026-11-01T9:30:00Z"}), http.StatusBadRequest, "invalid_request",
			[]string{"/captured_at"},
		},
		"refuses not a number":               {photo, with(map[string]string{"latitude": "NaN"}), http.StatusBadRequest, "invalid_request", []string{"/latitude"}},
		"refuses an empty photo":             {[]byte{}, with(nil), http.StatusBadRequest, "invalid_request", []string{"/photo"}},
		"refuses what is no photo":           {[]byte(strings.Repeat("not a photo ", 10)), with(nil), http.StatusUnsupportedMediaType, "photo_format", nil},
		"refuses half of a photo":            {photo[:len(photo)/2], with(nil), http.StatusBadRequest, "photo_broken", nil},
		"refuses more than twenty megabytes": {append(photo[:len(photo):len(photo)], make([]byte, 21<<20)...), with(nil), http.StatusRequestEntityTooLarge, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			contentType, body := apptest.Form(t, test.photo, test.fields)
			made, err := explorer.CreateAttemptWithBodyWithResponse(context.Background(), landmark.ID, nil, contentType, body)
			require.NoError(t, err)
			p := apptest.Problem(t, test.status, made.HTTPResponse, made.Body)
			if test.problem != "" {
				require.Equal(t, "/problems/"+test.problem, p.Type)
			}
			var pointers []string
			if p.Errors != nil {
				for _, e := range *p.Errors {
					pointers = append(pointers, *e.Pointer)
				}
			}
			require.Equal(t, test.pointers, pointers)
		})
	}
	t.Run("takes every field", func(t *testing.T) {
		t.Parallel()
		contentType, body := apptest.Form(t, photo, with(map[string]string{"accuracy_meters": "12.5", "captured_at": "2026-11-01T10:30:00+01:00"}))
		made, err := explorer.CreateAttemptWithBodyWithResponse(context.Background(), landmark.ID, nil, contentType, body)
		require.NoError(t, err)
		require.NotNil(t, made.JSON202, string(made.Body))
		require.InDelta(t, 12.5, made.JSON202.AccuracyMeters.MustGet(), 0)
		require.Equal(t, "2026-11-01T09:30:00Z", made.JSON202.CapturedAt.MustGet().Format(time.RFC3339))
		require.Equal(t, "/api/v1/attempts/"+made.JSON202.ID.String(), made.HTTPResponse.Header.Get("Location"))
	})
	t.Run("refuses a landmark that is not there", func(t *testing.T) {
		t.Parallel()
		contentType, body := apptest.Form(t, photo, with(nil))
		made, err := explorer.CreateAttemptWithBodyWithResponse(context.Background(), uuid.New(), nil, contentType, body)
		require.NoError(t, err)
		apptest.Problem(t, http.StatusNotFound, made.HTTPResponse, made.Body)
	})
	t.Run("refuses a form that ends early, and JSON", func(t *testing.T) {
		t.Parallel()
		path := "/api/v1/landmarks/" + landmark.ID.String() + "/attempts"
		response, data := s.Call(explorer, http.MethodPost, path, "multipart/form-data; boundary=x", strings.NewReader("--x\r\nContent-Disp"))
		apptest.Problem(t, http.StatusBadRequest, response, data)
		response, data = s.Call(explorer, http.MethodPost, path, "application/json", strings.NewReader("{}"))
		apptest.Problem(t, http.StatusUnsupportedMediaType, response, data)
	})
}

func TestWhoSeesAttemptsAndUnlocks(t *testing.T) {
	t.Parallel()
	s := apptest.New(t)
	landmark, explorer, other, moderator := landmarkAt(s, lighthouse), s.User(), s.User(), s.As("moderator")
	attempt := s.Decided(explorer, s.Attempt(explorer, landmark.ID, apptest.Photo(t, lighthouse, time.Now()), lighthouse).ID)
	unlockID := attempt.UnlockID.MustGet()
	ctx := context.Background()

	t.Run("others get a 404", func(t *testing.T) {
		got, err := other.GetAttemptWithResponse(ctx, attempt.ID, nil)
		require.NoError(t, err)
		apptest.Problem(t, http.StatusNotFound, got.HTTPResponse, got.Body)
		photo, err := other.GetAttemptPhotoWithResponse(ctx, attempt.ID, nil)
		require.NoError(t, err)
		apptest.Problem(t, http.StatusNotFound, photo.HTTPResponse, photo.Body)
		unlock, err := other.GetUnlockWithResponse(ctx, unlockID, nil)
		require.NoError(t, err)
		apptest.Problem(t, http.StatusNotFound, unlock.HTTPResponse, unlock.Body)
		change, err := other.UpdateUnlockWithApplicationMergePatchPlusJSONBodyWithResponse(ctx, unlockID, nil, api.UnlockUpdate{Caption: nullable.NewNullableWithValue("mine")})
		require.NoError(t, err)
		apptest.Problem(t, http.StatusNotFound, change.HTTPResponse, change.Body)
	})

	t.Run("lists show one's own", func(t *testing.T) {
		for by, want := range map[*apptest.Client]int{explorer: 1, other: 0, moderator: 1} {
			got, err := by.ListAttemptsWithResponse(ctx, &api.ListAttemptsParams{
				LandmarkID: &landmark.ID, Status: new(api.AttemptStatusSucceeded),
			})
			require.NoError(t, err)
			require.Len(t, got.JSON200.Items, want)
			asExplorer, err := by.ListAttemptsWithResponse(ctx, &api.ListAttemptsParams{UserID: &explorer.ID})
			require.NoError(t, err)
			require.Len(t, asExplorer.JSON200.Items, want)
		}
		require.Empty(t, unlocks(t, other))
		foreign, err := other.ListUnlocksWithResponse(ctx, &api.ListUnlocksParams{UserID: &explorer.ID, LandmarkID: &landmark.ID})
		require.NoError(t, err)
		require.Empty(t, foreign.JSON200.Items)
	})

	t.Run("the photo carries no metadata", func(t *testing.T) {
		got, err := explorer.GetAttemptPhotoWithResponse(ctx, attempt.ID, nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, got.StatusCode())
		require.Equal(t, "image/jpeg", got.HTTPResponse.Header.Get("Content-Type"))
		require.Contains(t, got.HTTPResponse.Header.Get("Cache-Control"), "private")
		require.NotContains(t, string(got.Body), "Exif")
		etag := got.HTTPResponse.Header.Get("ETag")
		again, err := explorer.GetAttemptPhotoWithResponse(ctx, attempt.ID, &api.GetAttemptPhotoParams{IfNoneMatch: &etag})
		require.NoError(t, err)
		require.Equal(t, http.StatusNotModified, again.StatusCode())
	})

	t.Run("an unlock is captioned by its owner, and by nobody twice at once", func(t *testing.T) {
		got, err := explorer.GetUnlockWithResponse(ctx, unlockID, nil)
		require.NoError(t, err)
		etag := got.HTTPResponse.Header.Get("ETag")
		params := &api.UpdateUnlockParams{IfMatch: &etag}
		changed, err := explorer.UpdateUnlockWithApplicationMergePatchPlusJSONBodyWithResponse(ctx, unlockID, params, api.UnlockUpdate{Caption: nullable.NewNullableWithValue("Worth the climb."), IsPostedToFeed: new(true)})
		require.NoError(t, err)
		require.Equal(t, "Worth the climb.", changed.JSON200.Caption)
		require.True(t, changed.JSON200.IsPostedToFeed)
		late, err := explorer.UpdateUnlockWithApplicationMergePatchPlusJSONBodyWithResponse(ctx, unlockID, params, api.UnlockUpdate{Caption: nullable.NewNullableWithValue("Late.")})
		require.NoError(t, err)
		apptest.Problem(t, http.StatusPreconditionFailed, late.HTTPResponse, late.Body)
		unchanged, err := explorer.GetUnlockWithResponse(ctx, unlockID, &api.GetUnlockParams{IfNoneMatch: new(changed.HTTPResponse.Header.Get("ETag"))})
		require.NoError(t, err)
		require.Equal(t, http.StatusNotModified, unchanged.StatusCode())
		cleared, err := explorer.UpdateUnlockWithApplicationMergePatchPlusJSONBodyWithResponse(ctx, unlockID, nil, api.UnlockUpdate{Caption: nullable.NewNullNullable[string]()})
		require.NoError(t, err)
		require.NotNil(t, cleared.JSON200, string(cleared.Body))
		require.Empty(t, cleared.JSON200.Caption)
		require.True(t, cleared.JSON200.IsPostedToFeed, "what is absent stays")
	})

	t.Run("a cursor walks all of one's attempts once", func(t *testing.T) {
		walker := s.User()
		for i := range 5 {
			place := geo.Point{Latitude: lighthouse.Latitude + float64(i+1)/10, Longitude: lighthouse.Longitude}
			attempt := s.Attempt(walker, landmark.ID, apptest.Photo(t, place, time.Now()), place)
			s.Decided(walker, attempt.ID) // A decision changes updated_at, and with it the place in the list.
		}
		seen := map[uuid.UUID]bool{}
		for cursor := new(""); cursor != nil; {
			got, err := walker.ListAttemptsWithResponse(ctx, &api.ListAttemptsParams{Cursor: cursor, Size: new(2), SortBy: new(api.ListAttemptsParamsSortByUpdatedAt)})
			require.NoError(t, err)
			require.NotNil(t, got.JSON200, string(got.Body))
			for _, a := range got.JSON200.Items {
				seen[a.ID] = true
			}
			cursor = got.JSON200.NextCursor
		}
		require.Len(t, seen, 5)
	})
}

func TestAttemptThatIsNotThere(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	ctx := authz.WithCaller(context.Background(), authz.Caller{Scope: authz.Any})
	require.NoError(t, s.Unlocks.Decide(ctx, uuid.New()), "it was purged: there is nothing to decide")
	_, err := s.Unlocks.Attempt(ctx, uuid.New())
	require.ErrorContains(t, err, "not_found")
	_, err = s.Unlocks.Unlock(ctx, uuid.New())
	require.ErrorContains(t, err, "not_found", fmt.Sprint(err))
}
