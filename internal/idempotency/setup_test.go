package idempotency_test

import (
	"bytes"
	"context"
	"fmt"
	"mime/multipart"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/webhook"
)

func TestMain(m *testing.M) { apptest.Main(m) }

var pier = geo.Point{Latitude: 53.8671, Longitude: 8.7206}

// world is a server with what requests refer to.
type world struct {
	*apptest.Server
	area     api.Area
	landmark api.Landmark
	photo    []byte
	// deliveries are of a webhook each, by the variant that they stand for.
	deliveries map[string]*ent.WebhookDelivery
}

func newWorld(t *testing.T, options ...apptest.Option) *world {
	t.Helper()
	s := apptest.NewWithoutWorkers(t, options...)
	creator := s.User()
	area := s.Area(creator, "Harbour")
	deliveries := map[string]*ent.WebhookDelivery{}
	for _, variant := range []string{"one", "two"} {
		to, _, err := s.Webhooks.Create(context.Background(), webhook.Create{URL: "https://hooks.example.org", Events: []webhook.Event{webhook.LandmarkCreated}})
		require.NoError(t, err)
		deliveries[variant], err = s.Webhooks.Test(context.Background(), to.ID)
		require.NoError(t, err)
	}
	return &world{
		Server: s, area: area, landmark: s.Landmark(creator, area.ID, "Lighthouse", pier),
		photo: apptest.Photo(t, pier, time.Now()), deliveries: deliveries,
	}
}

// count returns how many rows a table has.
func (w *world) count(t *testing.T, table string) (rows int) {
	t.Helper()
	require.NoError(t, w.Store.Pool.QueryRow(context.Background(), "SELECT count(*) FROM "+table).Scan(&rows))
	return rows
}

func (w *world) exec(t *testing.T, statement string, args ...any) {
	t.Helper()
	_, err := w.Store.Pool.Exec(context.Background(), statement, args...)
	require.NoError(t, err)
}

// block makes requests wait that write to a table, until the function that it
// returns is called.
func (w *world) block(t *testing.T, table string) (unblock func()) {
	t.Helper()
	tx, err := w.Store.Pool.Begin(context.Background())
	require.NoError(t, err)
	_, err = tx.Exec(context.Background(), "LOCK TABLE "+table+" IN SHARE MODE")
	require.NoError(t, err)
	return func() { require.NoError(t, tx.Rollback(context.Background())) }
}

// await waits until a query says true.
func (w *world) await(t *testing.T, query string) {
	t.Helper()
	require.Eventually(t, func() bool {
		var is bool
		return w.Store.Pool.QueryRow(context.Background(), query).Scan(&is) == nil && is
	}, time.Minute, 5*time.Millisecond, query)
}

// waiting is for requests that reached a blocked table.
const waiting = "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"

// answered is an answer, whatever the operation.
type answered struct {
	*http.Response
	body []byte
}

// creation is one of the operations that take a key.
type creation struct {
	table string
	// send makes the variant of the thing.
	send func(t *testing.T, w *world, by *apptest.Client, key *string, variant string) answered
}

func (c creation) must(t *testing.T, w *world, by *apptest.Client, key *string, variant string) answered {
	t.Helper()
	got := c.send(t, w, by, key, variant)
	require.Less(t, got.StatusCode, 300, string(got.body))
	return got
}

// creations are all operations that take a key, by their operationId.
var creations = map[string]creation{
	"createArea": {"areas", func(t *testing.T, _ *world, by *apptest.Client, key *string, variant string) answered {
		t.Helper()
		got, err := by.CreateAreaWithResponse(context.Background(), &api.CreateAreaParams{IdempotencyKey: key}, api.AreaCreate{Name: variant})
		require.NoError(t, err)
		return answered{got.HTTPResponse, got.Body}
	}},
	"createLandmark": {"landmarks", func(t *testing.T, w *world, by *apptest.Client, key *string, variant string) answered {
		t.Helper()
		got, err := by.CreateLandmarkWithResponse(context.Background(), &api.CreateLandmarkParams{IdempotencyKey: key},
			api.LandmarkCreate{AreaID: w.area.ID, Name: variant, Latitude: 1, Longitude: 2, AllowDuplicate: new(true)})
		require.NoError(t, err)
		return answered{got.HTTPResponse, got.Body}
	}},
	// Each form has a boundary of its own, and its fields in another order.
	"createAttempt": {"attempts", func(t *testing.T, w *world, by *apptest.Client, key *string, variant string) answered {
		t.Helper()
		fields := apptest.Claim(pier)
		fields["accuracy_meters"] = map[string]string{"one": "5"}[variant]
		contentType, body := apptest.Form(t, w.photo, fields)
		got, err := by.CreateAttemptWithBodyWithResponse(context.Background(), w.landmark.ID, &api.CreateAttemptParams{IdempotencyKey: key}, contentType, body)
		require.NoError(t, err)
		return answered{got.HTTPResponse, got.Body}
	}},
	"createUpload": {"uploads", func(t *testing.T, _ *world, by *apptest.Client, key *string, variant string) answered {
		t.Helper()
		got, err := by.CreateUploadWithResponse(context.Background(), &api.CreateUploadParams{IdempotencyKey: key}, api.UploadCreate{Bytes: int64(len(variant)) + map[string]int64{"one": 1}[variant]})
		require.NoError(t, err)
		return answered{got.HTTPResponse, got.Body}
	}},
	"importLandmarks": {"import_runs", func(t *testing.T, _ *world, by *apptest.Client, key *string, variant string) answered {
		t.Helper()
		var body bytes.Buffer
		form := multipart.NewWriter(&body)
		part, err := form.CreateFormFile("file", "places.csv")
		require.NoError(t, err)
		_, err = fmt.Fprintf(part, "id,name,lat,lon\n1,%s,1,2\n", variant)
		require.NoError(t, err)
		require.NoError(t, form.Close())
		got, err := by.ImportLandmarksWithBodyWithResponse(context.Background(), &api.ImportLandmarksParams{IdempotencyKey: key}, form.FormDataContentType(), &body)
		require.NoError(t, err)
		return answered{got.HTTPResponse, got.Body}
	}},
	"createReport": {"reports", func(t *testing.T, w *world, by *apptest.Client, key *string, variant string) answered {
		t.Helper()
		got, err := by.CreateReportWithResponse(context.Background(), &api.CreateReportParams{IdempotencyKey: key}, api.ReportCreate{
			SubjectType: api.ReportSubjectLandmark, SubjectID: w.landmark.ID, Reason: api.ReportReasonOther, Comment: &variant,
		})
		require.NoError(t, err)
		return answered{got.HTTPResponse, got.Body}
	}},
	"createRole": {"roles", func(t *testing.T, _ *world, by *apptest.Client, key *string, variant string) answered {
		t.Helper()
		got, err := by.CreateRoleWithResponse(context.Background(), &api.CreateRoleParams{IdempotencyKey: key},
			api.RoleCreate{Name: variant, Inherits: &[]string{"user"}, RequiresMfa: new(true)})
		require.NoError(t, err)
		return answered{got.HTTPResponse, got.Body}
	}},
	"createWebhook": {"webhooks", func(t *testing.T, _ *world, by *apptest.Client, key *string, variant string) answered {
		t.Helper()
		got, err := by.CreateWebhookWithResponse(context.Background(), &api.CreateWebhookParams{IdempotencyKey: key},
			api.WebhookCreate{URL: "https://hooks.example.org/" + variant, Events: []api.WebhookEvent{"landmark.created"}})
		require.NoError(t, err)
		return answered{got.HTTPResponse, got.Body}
	}},
	// These two have no body: what differs is the path.
	"sendWebhookTest": {"webhook_deliveries", func(t *testing.T, w *world, by *apptest.Client, key *string, variant string) answered {
		t.Helper()
		got, err := by.SendWebhookTestWithResponse(context.Background(), w.deliveries[variant].WebhookID, &api.SendWebhookTestParams{IdempotencyKey: key})
		require.NoError(t, err)
		return answered{got.HTTPResponse, got.Body}
	}},
	"resendWebhookDelivery": {"webhook_deliveries", func(t *testing.T, w *world, by *apptest.Client, key *string, variant string) answered {
		t.Helper()
		of := w.deliveries[variant]
		got, err := by.ResendWebhookDeliveryWithResponse(context.Background(), of.WebhookID, of.ID, &api.ResendWebhookDeliveryParams{IdempotencyKey: key})
		require.NoError(t, err)
		return answered{got.HTTPResponse, got.Body}
	}},
}

func newKey() *string { return new(uuid.NewString()) }
