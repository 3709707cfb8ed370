package upload_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/photo/sample"
	"github.com/picaspot/picaspot/internal/sweep"
	"github.com/picaspot/picaspot/internal/upload"
)

func TestMain(m *testing.M) { apptest.Main(m) }

var (
	ctx        = context.Background()
	lighthouse = geo.Point{Latitude: 53.8671, Longitude: 8.7206}
)

const partType = "application/offset+octet-stream"

// world is a landmark, a user, and a photo of some megabytes.
type world struct {
	*apptest.Server
	t        *testing.T
	user     *apptest.Client
	landmark uuid.UUID
	photo    []byte
}

func newWorld(t *testing.T) *world {
	t.Helper()
	s := apptest.NewWithoutWorkers(t)
	user := s.User()
	photo, err := sample.JPEG(sample.Options{Position: &lighthouse, TakenAt: time.Now(), Seed: 7, Width: 3200, Height: 2400})
	require.NoError(t, err)
	return &world{Server: s, t: t, user: user, landmark: s.Landmark(user, s.Area(user, "Harbour").ID, "Lighthouse", lighthouse).ID, photo: photo}
}

func (w *world) begin(by *apptest.Client, size int) api.Upload {
	w.t.Helper()
	made, err := by.CreateUploadWithResponse(ctx, nil, api.UploadCreate{Bytes: int64(size)})
	require.NoError(w.t, err)
	require.NotNil(w.t, made.JSON201, string(made.Body))
	return *made.JSON201
}

// send sends a request of tus as its clients do; the token is empty with a signed address.
func (w *world) send(method, address, token string, offset int, body io.Reader, length int64) (*http.Response, []byte, error) {
	w.t.Helper()
	request, err := http.NewRequestWithContext(ctx, method, address, body)
	require.NoError(w.t, err)
	request.Header.Set("Tus-Resumable", "1.0.0")
	if body != nil {
		request.ContentLength = length
		request.Header.Set("Content-Type", partType)
		request.Header.Set("Upload-Offset", strconv.Itoa(offset))
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	require.NoError(w.t, err)
	return response, data, nil
}

func (w *world) patch(address string, offset int, part []byte) (*http.Response, []byte) {
	w.t.Helper()
	response, body, err := w.send(http.MethodPatch, address, "", offset, bytes.NewReader(part), int64(len(part)))
	require.NoError(w.t, err)
	return response, body
}

// offset is what HEAD tells.
func (w *world) offset(address string) int {
	w.t.Helper()
	response, _, err := w.send(http.MethodHead, address, "", 0, nil, 0)
	require.NoError(w.t, err)
	require.Equal(w.t, http.StatusOK, response.StatusCode)
	require.Equal(w.t, "no-store", response.Header.Get("Cache-Control"))
	require.Equal(w.t, "1.0.0", response.Header.Get("Tus-Resumable"))
	offset, err := strconv.Atoi(response.Header.Get("Upload-Offset"))
	require.NoError(w.t, err)
	return offset
}

// uploaded is an upload whose file has arrived.
func (w *world) uploaded() api.Upload {
	w.t.Helper()
	u := w.begin(w.user, len(w.photo))
	response, body := w.patch(u.URL, 0, w.photo)
	require.Equal(w.t, http.StatusNoContent, response.StatusCode, string(body))
	return u
}

func (w *world) attempt(by *apptest.Client, photo []byte, id string) *api.CreateAttemptResponse {
	w.t.Helper()
	fields := apptest.Claim(lighthouse)
	fields["upload_id"] = id
	contentType, body := apptest.Form(w.t, photo, fields)
	got, err := by.CreateAttemptWithBodyWithResponse(ctx, w.landmark, nil, contentType, body)
	require.NoError(w.t, err)
	return got
}

func (w *world) refused(status int, code string, got *api.CreateAttemptResponse) {
	w.t.Helper()
	p := apptest.Problem(w.t, status, got.HTTPResponse, got.Body)
	require.True(w.t, strings.HasSuffix(p.Type, "/"+code), p.Type)
	require.Equal(w.t, "/upload_id", *(*p.Errors)[0].Pointer)
}

func (w *world) count(sql string) (n int) {
	w.t.Helper()
	require.NoError(w.t, w.Store.Pool.QueryRow(ctx, sql).Scan(&n))
	return n
}

// cut is a body whose sender is gone after some bytes.
type cut struct {
	io.Reader
	after int
}

func (c *cut) Read(p []byte) (int, error) {
	if c.after == 0 {
		return 0, errors.New("no network")
	}
	n, err := c.Reader.Read(p[:min(len(p), c.after)])
	c.after -= n
	return n, err
}

func TestAnUploadGoesOnAtAnotherServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.Greater(t, len(w.photo), 1<<20, "it has several parts")
	other := apptest.Start(t, w.Config, "serve")
	u := w.begin(w.user, len(w.photo))
	require.Equal(t, map[string]string{"Tus-Resumable": "1.0.0", "Content-Type": partType}, u.Headers)
	require.WithinDuration(t, time.Now().Add(upload.Lifetime), u.ExpiresAt, time.Minute)

	sent := len(w.photo) * 3 / 10
	_, _, err := w.send(http.MethodPatch, u.URL, "", 0, &cut{Reader: bytes.NewReader(w.photo), after: sent}, int64(len(w.photo)))
	require.ErrorContains(t, err, "no network")
	elsewhere := other.URL + strings.TrimPrefix(u.URL, w.URL)
	require.Eventually(t, func() bool { return w.offset(elsewhere) > 0 }, 20*time.Second, 20*time.Millisecond, "what had arrived is kept")
	offset := w.offset(elsewhere)
	require.LessOrEqual(t, offset, sent)
	require.Greater(t, offset, sent/2)

	w.refused(http.StatusUnprocessableEntity, "upload_incomplete", w.attempt(w.user, nil, u.UploadID.String()))
	// It also comes in pieces without a length, from its own user with a token.
	half := offset + (len(w.photo)-offset)/2
	plain, _, _ := strings.Cut(elsewhere, "?")
	response, body, err := w.send(http.MethodPatch, plain, w.user.Token, offset, bytes.NewReader(w.photo[offset:half]), -1)
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, response.StatusCode, string(body))
	require.Equal(t, strconv.Itoa(half), response.Header.Get("Upload-Offset"))
	require.NotEmpty(t, response.Header.Get("Upload-Expires"))
	response, body = w.patch(u.URL, half, w.photo[half:])
	require.Equal(t, http.StatusNoContent, response.StatusCode, string(body))
	require.Equal(t, len(w.photo), w.offset(u.URL))

	report, err := w.Sweep.Check(ctx, sweep.Options{Age: sweep.MinAge})
	require.NoError(t, err)
	require.Zero(t, report.Young+report.OrphanCount+report.MissingCount, "the sweep knows the parts: %+v", report)
	got := w.attempt(w.user, nil, u.UploadID.String())
	require.NotNil(t, got.JSON202, string(got.Body))
	require.Equal(t, int64(len(w.photo)), got.JSON202.Photo.Bytes)
	require.NoError(t, w.Unlocks.Decide(ctx, got.JSON202.ID))
	require.Equal(t, api.AttemptStatusSucceeded, w.Decided(w.user, got.JSON202.ID).Status, "its EXIF is whole")
	require.Zero(t, w.count("SELECT count(*) FROM upload_parts"))
	require.Equal(t, 1, w.count("SELECT count(*) FROM river_job WHERE kind = 'file_removal'"))

	w.refused(http.StatusConflict, "upload_used", w.attempt(w.elsewhere(), nil, u.UploadID.String()))
	response, body = w.patch(u.URL, len(w.photo), []byte("x"))
	apptest.Problem(t, http.StatusConflict, response, body)
}

// elsewhere is the user's client at a landmark that they have not unlocked yet.
func (w *world) elsewhere() *apptest.Client {
	creator := w.User()
	w.landmark = w.Landmark(creator, w.Area(creator, "Dunes").ID, "Beacon", geo.Point{Latitude: 53.9, Longitude: 8.6}).ID
	return w.user
}

func TestTwoAttemptsAtOnceUseAnUploadOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.photo = apptest.Photo(t, lighthouse, time.Now())
	u := w.uploaded()
	var wg sync.WaitGroup
	got := make([]*api.CreateAttemptResponse, 6)
	for i := range got {
		wg.Go(func() { got[i] = w.attempt(w.user, nil, u.UploadID.String()) })
	}
	wg.Wait()
	made := 0
	for _, g := range got {
		if g.JSON202 != nil {
			made++
			continue
		}
		w.refused(http.StatusConflict, "upload_used", g)
	}
	require.Equal(t, 1, made)
	require.Equal(t, 1, w.count("SELECT count(*) FROM attempts"))
}

func TestWhatAnUploadRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.photo = apptest.Photo(t, lighthouse, time.Now())
	u := w.uploaded()
	stranger := w.User()
	open := w.begin(w.user, 10)
	plain, query, _ := strings.Cut(open.URL, "?")
	values, err := url.ParseQuery(query)
	require.NoError(t, err)
	refuse := func(status int, code, address, token string, offset int, part string, length int64) {
		t.Helper()
		response, body, err := w.send(http.MethodPatch, address, token, offset, strings.NewReader(part), length)
		require.NoError(t, err)
		p := apptest.Problem(t, status, response, body)
		require.True(t, strings.HasSuffix(p.Type, "/"+code), p.Type)
	}

	w.refused(http.StatusUnprocessableEntity, "upload_unknown", w.attempt(stranger, nil, u.UploadID.String()))
	refuse(http.StatusNotFound, "not_found", plain, stranger.Token, 0, "12345", 5)
	refuse(http.StatusUnauthorized, "unauthenticated", plain, "", 0, "12345", 5)
	w.refused(http.StatusUnprocessableEntity, "upload_unknown", w.attempt(w.user, nil, uuid.NewString()))
	w.refused(http.StatusBadRequest, "invalid_request", w.attempt(w.user, nil, "1"))
	w.refused(http.StatusUnprocessableEntity, "photo_or_upload", w.attempt(w.user, w.photo, u.UploadID.String()))

	changed := func(name, value string) string {
		v := url.Values{"expires": values["expires"], "signature": values["signature"]}
		v.Set(name, value)
		return plain + "?" + v.Encode()
	}
	signature := values.Get("signature")
	refuse(http.StatusForbidden, "signature_invalid", changed("signature", strings.Map(func(r rune) rune {
		if r == rune(signature[0]) {
			return 'A' + (r-'A'+1)%26
		}
		return r
	}, signature)), "", 0, "12345", 5)
	refuse(http.StatusForbidden, "signature_invalid", changed("expires", values.Get("expires")+"0"), "", 0, "12345", 5)
	refuse(http.StatusForbidden, "signature_invalid", strings.Replace(open.URL, open.UploadID.String(), u.UploadID.String(), 1), "", 0, "12345", 5)

	refuse(http.StatusConflict, "upload_offset", open.URL, "", 3, "12345", 5)
	refuse(http.StatusRequestEntityTooLarge, "upload_too_long", open.URL, "", 0, "12345678901", 11)
	refuse(http.StatusRequestEntityTooLarge, "upload_too_long", open.URL, "", 0, "12345678901", -1)
	require.Zero(t, w.offset(open.URL))
	response, body := w.patch(open.URL, 0, []byte("12345"))
	require.Equal(t, http.StatusNoContent, response.StatusCode, string(body))
	refuse(http.StatusConflict, "upload_offset", open.URL, "", 0, "12345", 5)
	response, body = w.Call(w.user, http.MethodPatch, plain, "image/jpeg", strings.NewReader("x"))
	apptest.Problem(t, http.StatusUnsupportedMediaType, response, body)
	request, err := http.NewRequestWithContext(ctx, http.MethodDelete, open.URL, nil)
	require.NoError(t, err)
	request.Header.Set("Tus-Resumable", "0.2.2")
	response, err = http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusPreconditionFailed, response.StatusCode)

	tooLarge, err := w.user.CreateUploadWithResponse(ctx, nil, api.UploadCreate{Bytes: 20_000_001})
	require.NoError(t, err)
	apptest.Problem(t, http.StatusRequestEntityTooLarge, tooLarge.HTTPResponse, tooLarge.Body)

	// There can be so many; the one that is given up makes room.
	var wg sync.WaitGroup
	for range upload.MaxOpen {
		wg.Go(func() { _, _ = w.user.CreateUploadWithResponse(ctx, nil, api.UploadCreate{Bytes: 10}) })
	}
	wg.Wait()
	require.Equal(t, upload.MaxOpen, w.count("SELECT count(*) FROM uploads"))
	full, err := w.user.CreateUploadWithResponse(ctx, nil, api.UploadCreate{Bytes: 10})
	require.NoError(t, err)
	apptest.Problem(t, http.StatusConflict, full.HTTPResponse, full.Body)
	response, body, err = w.send(http.MethodDelete, open.URL, "", 0, nil, 0)
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, response.StatusCode, string(body))
	w.begin(w.user, 10)
	refuse(http.StatusNotFound, "not_found", open.URL, "", 5, "12345", 5)
}

func TestAnUploadExpires(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.photo = apptest.Photo(t, lighthouse, time.Now())
	u := w.uploaded()
	kept := w.begin(w.user, 10)
	_, err := w.Store.Pool.Exec(ctx, "UPDATE uploads SET expires_at = now() - interval '1 second' WHERE id = $1", u.UploadID)
	require.NoError(t, err)
	w.refused(http.StatusUnprocessableEntity, "upload_unknown", w.attempt(w.user, nil, u.UploadID.String()))
	response, body := w.patch(u.URL, len(w.photo), []byte("x"))
	apptest.Problem(t, http.StatusNotFound, response, body)

	require.NoError(t, w.Uploads.CleanUp(ctx))
	require.Equal(t, 1, w.count("SELECT count(*) FROM uploads"))
	require.Zero(t, w.count("SELECT count(*) FROM upload_parts"))
	require.Equal(t, 1, w.count("SELECT count(*) FROM river_job WHERE kind = 'file_removal'"))
	require.Zero(t, w.offset(kept.URL))
}

func TestPartsAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u := w.begin(w.user, 10)
	_, err := w.Store.Pool.Exec(ctx, "UPDATE uploads SET parts = 1000 WHERE id = $1", u.UploadID)
	require.NoError(t, err)
	response, body := w.patch(u.URL, 0, []byte("x"))
	require.True(t, strings.HasSuffix(apptest.Problem(t, http.StatusConflict, response, body).Type, "/upload_parts"))
}

func TestASignedAddressEndsWithTheAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u := w.begin(w.user, len(w.photo))
	response, body := w.patch(u.URL, 0, w.photo[:1000])
	require.Equal(t, http.StatusNoContent, response.StatusCode, string(body))
	suspended := api.UserStatusSuspended
	got, err := w.As("admin").UpdateUserWithApplicationMergePatchPlusJSONBodyWithResponse(ctx, w.user.ID, nil, api.AdminUserUpdate{Status: &suspended})
	require.NoError(t, err)
	require.NotNil(t, got.JSON200, string(got.Body))
	response, body = w.patch(u.URL, 1000, w.photo[1000:])
	apptest.Problem(t, http.StatusNotFound, response, body)
	response, _, err = w.send(http.MethodHead, u.URL, "", 0, nil, 0)
	require.NoError(t, err)
	require.Equal(t, http.StatusNotFound, response.StatusCode)
}
