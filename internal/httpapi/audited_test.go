package httpapi_test

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/pquerna/otp/totp"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/geo"
)

// unaudited are the operations with a method that writes that leave no row in the audit
// log, and why.
var unaudited = map[string]string{
	"refreshSession": "Every client does so each quarter of an hour. The session's beginning and end are on record, and a refresh token that comes a second time.",
	"addUploadPart":  "A photo comes in many parts. The beginning of an upload is on record, and its end: an attempt or a deletion.",
	"validateAccess": "It asks what the policy says and changes nothing.",
}

// audited calls operations and looks for what they leave in the audit log.
type audited struct {
	t *testing.T
	s *apptest.Server
	// tried are the ids of the requests of each operation.
	tried map[string][]string
}

// call runs an operation, which has to succeed, and returns its answer.
func (a *audited) call(operation string, by *apptest.Client, method, path, contentType, body string, header ...string) map[string]any {
	a.t.Helper()
	in := request{by: by, method: method, path: "/api/v1" + path, contentType: contentType, body: body, header: map[string]string{}}
	for i := 0; i < len(header); i += 2 {
		in.header[header[i]] = header[i+1]
	}
	response, answer := send(a.t, a.s, in)
	require.Less(a.t, response.StatusCode, 300, operation+": "+string(answer))
	a.tried[operation] = append(a.tried[operation], response.Header.Get("X-Request-ID"))
	var out map[string]any
	if strings.Contains(response.Header.Get("Content-Type"), "json") {
		require.NoError(a.t, json.Unmarshal(answer, &out))
	}
	return out
}

// answered waits until the jobs that answer requests for mails are done: they write the
// rows of these requests.
func (a *audited) answered() {
	a.t.Helper()
	require.Eventually(a.t, func() bool {
		var waiting int
		err := a.s.Store.Pool.QueryRow(context.Background(),
			"SELECT count(*) FROM river_job WHERE kind = 'mail_request' AND finalized_at IS NULL").Scan(&waiting)
		return err == nil && waiting == 0
	}, 30*time.Second, 10*time.Millisecond, "requests for mails are not answered")
}

// unrecorded are the operations of which a request has no row.
func (a *audited) unrecorded() (names []string) {
	a.t.Helper()
	a.answered()
	for operation, requests := range a.tried {
		for _, id := range requests {
			require.NotEmpty(a.t, id)
			var rows int
			require.NoError(a.t, a.s.Store.Pool.QueryRow(context.Background(), "SELECT count(*) FROM audit_logs WHERE request_id = $1", id).Scan(&rows))
			if rows == 0 && !slices.Contains(names, operation) {
				names = append(names, operation)
			}
		}
	}
	slices.Sort(names)
	return names
}

func (a *audited) json(operation string, by *apptest.Client, method, path, body string) map[string]any {
	a.t.Helper()
	return a.call(operation, by, method, path, "application/json", body)
}

func (a *audited) patch(operation string, by *apptest.Client, path, body string) {
	a.t.Helper()
	a.call(operation, by, http.MethodPatch, path, "application/merge-patch+json", body)
}

// bare runs an operation without a body.
func (a *audited) bare(operation string, by *apptest.Client, method, path string) map[string]any {
	a.t.Helper()
	return a.call(operation, by, method, path, "", "")
}

// again logs a user in once more.
func (a *audited) again(user *apptest.Client) *apptest.Client {
	return a.s.LogIn(user.ID, user.Username, user.Email)
}

// mailed waits for the token of a mail.
func (a *audited) mailed(page, to string) string {
	a.t.Helper()
	token := ""
	require.Eventually(a.t, func() bool {
		for _, mail := range a.s.Mailbox.Mails(to) {
			for _, link := range mail.Links {
				if u, err := url.Parse(link); err == nil && u.Path == page && u.Query().Get("token") != "" {
					token = u.Query().Get("token")
					return true
				}
			}
		}
		return false
	}, 30*time.Second, 10*time.Millisecond, "no link to %s for %s", page, to)
	return token
}

// Every operation with a method that writes leaves a row in the audit log with the id of
// its request, unless [unaudited] says why not.
func TestEveryWriteIsOnRecord(t *testing.T) {
	t.Parallel()
	s := apptest.New(t)
	a := &audited{t: t, s: s, tried: map[string][]string{}}
	a.accounts()
	a.secondFactor()
	a.places()
	a.attempts()
	a.uploads()
	a.imports()
	a.administration()
	a.policy()
	a.webhooks()
	require.Equal(t, slices.Sorted(maps.Keys(unaudited)), a.unrecorded(), "operations without a row in the audit log")
	for _, op := range operations(t) {
		if op.Method != http.MethodGet && op.Method != http.MethodHead {
			require.NotEmpty(t, a.tried[op.Name()], "%s was not tried", op.Name())
		}
	}
}

func (a *audited) accounts() {
	const password = `"password":"` + apptest.Password + `"`
	a.json("registerUser", nil, http.MethodPost, "/auth/register", `{"username":"ada","email":"ada@example.org",`+password+`}`)
	a.json("resendVerification", nil, http.MethodPost, "/auth/resend-verification", `{"email":"ada@example.org"}`)
	a.answered() // Once the address is verified there is nothing to answer.
	a.json("verifyEmail", nil, http.MethodPost, "/auth/verify-email", `{"token":"`+a.mailed("/verify-email", "ada@example.org")+`"}`)
	tokens := a.json("login", nil, http.MethodPost, "/auth/login", `{"identifier":"ada",`+password+`}`)
	a.call("createToken", nil, http.MethodPost, "/auth/token", "application/x-www-form-urlencoded", url.Values{
		"grant_type": {"password"}, "username": {"ada"}, "password": {apptest.Password},
	}.Encode())
	a.json("refreshSession", nil, http.MethodPost, "/auth/refresh", `{"refresh_token":"`+tokens["refresh_token"].(string)+`"}`)
	a.json("requestPasswordReset", nil, http.MethodPost, "/auth/password-reset", `{"email":"ada@example.org"}`)
	a.json("resetPassword", nil, http.MethodPost, "/auth/password-reset/confirm",
		`{"token":"`+a.mailed("/reset-password", "ada@example.org")+`","password":"nine herons over the weir"}`)

	user := a.s.User()
	a.patch("updateMe", user, "/me", `{"bio":"I like lighthouses."}`)
	picture := string(apptest.Photo(a.t, geo.Point{Latitude: 53.8671, Longitude: 8.7206}, time.Now()))
	a.call("putAvatar", user, http.MethodPut, "/me/avatar", "image/jpeg", picture)
	a.bare("deleteAvatar", user, http.MethodDelete, "/me/avatar")
	a.json("changeEmail", user, http.MethodPut, "/me/email", `{"email":"lovelace@example.org",`+password+`}`)
	other := a.again(user)
	var session uuid.UUID
	require.NoError(a.t, a.s.Store.Pool.QueryRow(context.Background(),
		"SELECT id FROM sessions WHERE user_id = $1 ORDER BY created_at LIMIT 1", user.ID).Scan(&session))
	a.bare("endSession", other, http.MethodDelete, "/me/sessions/"+session.String())
	a.bare("logout", other, http.MethodPost, "/auth/logout")
	a.json("changePassword", a.again(user), http.MethodPut, "/me/password",
		`{"current_password":"`+apptest.Password+`","password":"nine herons over the weir"}`)
	gone := a.s.User()
	a.bare("logoutAll", a.again(gone), http.MethodPost, "/auth/logout-all")
	a.json("deleteMe", a.again(gone), http.MethodDelete, "/me", `{`+password+`}`)
}

func (a *audited) secondFactor() {
	user := a.s.User()
	const password = `"password":"` + apptest.Password + `"`
	started := a.json("startTotp", user, http.MethodPost, "/me/mfa/totp", `{`+password+`}`)
	code := func() string {
		_, err := a.s.Store.Pool.Exec(context.Background(), "UPDATE authenticators SET last_step = 0 WHERE user_id = $1", user.ID)
		require.NoError(a.t, err)
		code, err := totp.GenerateCode(started["secret"].(string), time.Now())
		require.NoError(a.t, err)
		return code
	}
	a.json("confirmTotp", user, http.MethodPost, "/me/mfa/totp/confirm", `{"otp":"`+code()+`"}`)
	a.json("replaceRecoveryCodes", user, http.MethodPost, "/me/mfa/recovery-codes", `{`+password+`,"otp":"`+code()+`"}`)
	a.json("removeTotp", user, http.MethodDelete, "/me/mfa/totp", `{`+password+`,"otp":"`+code()+`"}`)
}

func (a *audited) places() {
	user, admin := a.s.User(), a.s.As("admin")
	picture := string(apptest.Photo(a.t, geo.Point{Latitude: 53.8671, Longitude: 8.7206}, time.Now()))
	area := "/areas/" + a.json("createArea", user, http.MethodPost, "/areas", `{"name":"Harbour"}`)["id"].(string)
	a.patch("updateArea", user, area, `{"description":"By the sea."}`)
	a.call("putAreaImage", user, http.MethodPut, area+"/image", "image/jpeg", picture)
	a.bare("deleteAreaImage", user, http.MethodDelete, area+"/image")
	a.bare("verifyArea", admin, http.MethodPost, area+"/verification")
	a.bare("unverifyArea", admin, http.MethodDelete, area+"/verification")
	landmark := "/landmarks/" + a.json("createLandmark", user, http.MethodPost, "/landmarks",
		`{"area_id":"`+strings.TrimPrefix(area, "/areas/")+`","name":"Lighthouse","latitude":53.8671,"longitude":8.7206}`)["id"].(string)
	a.patch("updateLandmark", user, landmark, `{"hint":"Red."}`)
	a.call("putLandmarkImage", user, http.MethodPut, landmark+"/image", "image/jpeg", picture)
	a.bare("deleteLandmarkImage", user, http.MethodDelete, landmark+"/image")
	a.bare("verifyLandmark", admin, http.MethodPost, landmark+"/verification")
	a.bare("unverifyLandmark", admin, http.MethodDelete, landmark+"/verification")
	a.bare("deleteLandmark", user, http.MethodDelete, landmark)
	a.bare("restoreLandmark", admin, http.MethodPost, "/admin"+landmark+"/restore")
	a.bare("deleteLandmark", user, http.MethodDelete, landmark)
	a.bare("purgeLandmark", admin, http.MethodDelete, "/admin"+landmark)
	a.bare("deleteArea", user, http.MethodDelete, area)
	a.bare("restoreArea", admin, http.MethodPost, "/admin"+area+"/restore")
	a.bare("deleteArea", user, http.MethodDelete, area)
	a.bare("purgeArea", admin, http.MethodDelete, "/admin"+area)
}

func (a *audited) attempts() {
	user := a.s.User()
	at := geo.Point{Latitude: 53.8671, Longitude: 8.7206}
	light := a.s.Landmark(user, a.s.Area(user, "Pier").ID, "Lantern", at)
	contentType, body := apptest.Form(a.t, apptest.Photo(a.t, at, time.Now()), apptest.Claim(at))
	form, err := io.ReadAll(body)
	require.NoError(a.t, err)
	made := a.call("createAttempt", user, http.MethodPost, "/landmarks/"+light.ID.String()+"/attempts", contentType, string(form))
	attempt := a.s.Decided(user, uuid.MustParse(made["id"].(string)))
	require.False(a.t, attempt.UnlockID.IsNull())
	a.patch("updateUnlock", user, "/unlocks/"+attempt.UnlockID.MustGet().String(), `{"caption":"Worth the climb."}`)
	report := a.json("createReport", a.s.User(), http.MethodPost, "/reports",
		`{"subject_type":"landmark","subject_id":"`+light.ID.String()+`","reason":"private_place"}`)["id"].(string)
	a.patch("resolveReport", a.s.As("moderator"), "/moderation/reports/"+report, `{"status":"dismissed","action":"none"}`)
}

func (a *audited) uploads() {
	user := a.s.User()
	path := "/uploads/" + a.json("createUpload", user, http.MethodPost, "/uploads", `{"bytes":10}`)["upload_id"].(string)
	a.call("addUploadPart", user, http.MethodPatch, path, "application/offset+octet-stream", "12345", "Upload-Offset", "0")
	a.bare("deleteUpload", user, http.MethodDelete, path)
}

func (a *audited) imports() {
	moderator := a.s.As("moderator")
	var form strings.Builder
	w := multipart.NewWriter(&form)
	file, err := w.CreateFormFile("file", "stones.csv")
	require.NoError(a.t, err)
	// It is still under way when it is cancelled.
	_, err = io.WriteString(file, "name,latitude,longitude\n"+strings.Repeat("Stone,1,2\n", 500_000))
	require.NoError(a.t, err)
	require.NoError(a.t, w.Close())
	run := a.call("importLandmarks", moderator, http.MethodPost, "/landmarks/import", w.FormDataContentType(), form.String())["id"].(string)
	a.bare("cancelImport", moderator, http.MethodPost, "/imports/"+run+"/cancel")
}

func (a *audited) administration() {
	admin, user := a.s.As("admin"), a.s.User()
	path := "/admin/users/" + user.ID.String()
	a.patch("updateUser", admin, path, `{"role":"moderator"}`)
	remove := func() {
		a.json("deleteMe", a.again(user), http.MethodDelete, "/me", `{"password":"`+apptest.Password+`"}`)
	}
	remove()
	a.bare("restoreUser", admin, http.MethodPost, path+"/restore")
	remove()
	a.bare("purgeUser", admin, http.MethodDelete, path)
}

func (a *audited) policy() {
	admin := a.s.As("admin")
	a.json("createRole", admin, http.MethodPost, "/admin/roles", `{"name":"curator","inherits":["user"],"permissions":[{"permission":"area:verify","scope":"any"}]}`)
	a.patch("updateRole", admin, "/admin/roles/curator", `{"description":"Looks after museums."}`)
	a.json("replaceRolePermissions", admin, http.MethodPut, "/admin/roles/curator/permissions", `{"permissions":[{"permission":"landmark:verify","scope":"any"}]}`)
	a.json("validateAccess", admin, http.MethodPost, "/admin/policy/check", `{"role":"moderator","permission":"area:update"}`)
	response, csv := send(a.t, a.s, request{by: admin, method: http.MethodGet, path: "/api/v1/admin/policy"})
	require.Equal(a.t, http.StatusOK, response.StatusCode, string(csv))
	a.call("replacePolicy", admin, http.MethodPut, "/admin/policy", "text/csv", string(csv)+"p, curator, area, delete, any, allow\n",
		"If-Match", response.Header.Get("ETag"))
	a.bare("restorePolicyVersion", admin, http.MethodPost, "/admin/policy/versions/2/revert")
	a.bare("deleteRole", admin, http.MethodDelete, "/admin/roles/curator")
}

func (a *audited) webhooks() {
	admin := a.s.As("admin")
	path := "/admin/webhooks/" + a.json("createWebhook", admin, http.MethodPost, "/admin/webhooks",
		`{"url":"https://hooks.invalid/picaspot","events":["landmark.created"]}`)["id"].(string)
	a.patch("updateWebhook", admin, path, `{"description":"Mirror of the map."}`)
	a.bare("replaceWebhookSecret", admin, http.MethodPost, path+"/secret")
	delivery := a.bare("sendWebhookTest", admin, http.MethodPost, path+"/test")["id"].(string)
	a.bare("resendWebhookDelivery", admin, http.MethodPost, path+"/deliveries/"+delivery+"/replay")
	a.bare("deleteWebhook", admin, http.MethodDelete, path)
}
