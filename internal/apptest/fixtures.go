package apptest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/photo/sample"
)

// Area makes an area; set fills in what matters to the test.
func (s *Server) Area(by *Client, name string, set ...func(*api.AreaCreate)) api.Area {
	s.t.Helper()
	in := api.AreaCreate{Name: name}
	for _, f := range set {
		f(&in)
	}
	made, err := by.CreateAreaWithResponse(context.Background(), nil, in)
	require.NoError(s.t, err)
	require.NotNil(s.t, made.JSON201, string(made.Body))
	return *made.JSON201
}

// Landmark makes a landmark at a point; set fills in what matters to the test.
func (s *Server) Landmark(by *Client, area uuid.UUID, name string, at geo.Point, set ...func(*api.LandmarkCreate)) api.Landmark {
	s.t.Helper()
	in := api.LandmarkCreate{AreaID: area, Name: name, Latitude: at.Latitude, Longitude: at.Longitude}
	for _, f := range set {
		f(&in)
	}
	made, err := by.CreateLandmarkWithResponse(context.Background(), nil, in)
	require.NoError(s.t, err)
	require.NotNil(s.t, made.JSON201, string(made.Body))
	return *made.JSON201
}

// Photo is a picture with a position and a time in its EXIF; each is another one.
func Photo(t testing.TB, at geo.Point, taken time.Time) []byte {
	t.Helper()
	data, err := sample.JPEG(sample.Options{Position: &at, TakenAt: taken, Seed: time.Now().UnixNano(), Width: 320, Height: 240})
	require.NoError(t, err)
	return data
}

// Form is what an attempt is sent as; fields go in besides the photo.
func Form(t testing.TB, photo []byte, fields map[string]string) (contentType string, body io.Reader) {
	t.Helper()
	var buffer bytes.Buffer
	form := multipart.NewWriter(&buffer)
	for name, value := range fields {
		require.NoError(t, form.WriteField(name, value))
	}
	if photo != nil {
		part, err := form.CreateFormFile("photo", "IMG_0001.jpg")
		require.NoError(t, err)
		_, err = part.Write(photo)
		require.NoError(t, err)
	}
	require.NoError(t, form.Close())
	return form.FormDataContentType(), &buffer
}

// Claim are the fields of an attempt from a point.
func Claim(at geo.Point) map[string]string {
	return map[string]string{
		"latitude":  strconv.FormatFloat(at.Latitude, 'f', -1, 64),
		"longitude": strconv.FormatFloat(at.Longitude, 'f', -1, 64),
	}
}

// Attempt hands a photo in, claimed to be taken at a point.
func (s *Server) Attempt(by *Client, landmark uuid.UUID, photo []byte, at geo.Point) api.Attempt {
	s.t.Helper()
	contentType, body := Form(s.t, photo, Claim(at))
	made, err := by.CreateAttemptWithBodyWithResponse(context.Background(), landmark, nil, contentType, body)
	require.NoError(s.t, err)
	require.NotNil(s.t, made.JSON202, string(made.Body))
	return *made.JSON202
}

// decisionTimeout bounds how long a test waits for a verdict.
const decisionTimeout = 90 * time.Second

// Decided waits for the verdict on an attempt.
func (s *Server) Decided(by *Client, id uuid.UUID) api.Attempt {
	s.t.Helper()
	var attempt api.Attempt
	require.Eventually(s.t, func() bool {
		got, err := by.GetAttemptWithResponse(context.Background(), id, nil)
		if err != nil || got.JSON200 == nil {
			return false
		}
		attempt = *got.JSON200
		return attempt.Status != api.AttemptStatusPending
	}, decisionTimeout, 20*time.Millisecond, "the attempt was not decided")
	return attempt
}

// Problem reads an error's body and checks what every problem has.
func Problem(t testing.TB, status int, response *http.Response, body []byte) api.Problem {
	t.Helper()
	require.Equal(t, status, response.StatusCode, string(body))
	require.Equal(t, "application/problem+json", response.Header.Get("Content-Type"))
	var p api.Problem
	require.NoError(t, json.Unmarshal(body, &p), string(body))
	require.Equal(t, status, p.Status)
	require.NotEmpty(t, p.Type)
	require.NotEmpty(t, p.Title)
	require.NotEmpty(t, p.RequestID)
	require.Equal(t, response.Header.Get("X-Request-ID"), p.RequestID)
	return p
}

// Call sends any request of the client's, for what the generated client can't say. The
// path may be an address of this server.
func (s *Server) Call(by *Client, method, path, contentType string, body io.Reader) (*http.Response, []byte) {
	s.t.Helper()
	request, err := http.NewRequestWithContext(context.Background(), method, s.URL+strings.TrimPrefix(path, s.URL), body)
	require.NoError(s.t, err)
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	if by != nil && by.Token != "" {
		request.Header.Set("Authorization", "Bearer "+by.Token)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	require.NoError(s.t, err)
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	require.NoError(s.t, err)
	return response, data
}

// Refuse makes the database refuse an operation (INSERT, UPDATE or DELETE) on a
// table, until the function that it returns is called.
func (s *Server) Refuse(operation, table string) (relent func()) {
	s.t.Helper()
	exec := func(statement string) {
		s.t.Helper()
		_, err := s.Store.Pool.Exec(context.Background(), statement)
		require.NoError(s.t, err)
	}
	exec(`CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$`)
	exec("CREATE TRIGGER refuse BEFORE " + operation + " ON " + table + " EXECUTE FUNCTION refuse()")
	return func() { exec("DROP TRIGGER refuse ON " + table) }
}
