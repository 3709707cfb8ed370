package httpapi_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/photo/sample"
)

// TestBodiesThatBreakOff sends bodies whose transfer is at fault to each kind of
// operation that takes one: the client's fault, so the answer is a 4xx.
func TestBodiesThatBreakOff(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	owner, admin := s.User(), s.As("admin")
	area := s.Area(owner, "Harbour")
	light := s.Landmark(owner, area.ID, "Lighthouse", home)
	picture, err := sample.JPEG(sample.Options{Width: 64, Height: 64})
	require.NoError(t, err)
	formType, form := apptest.Form(t, picture, apptest.Claim(home))
	var formBody bytes.Buffer
	_, err = formBody.ReadFrom(form)
	require.NoError(t, err)
	live, err := admin.GetPolicyWithResponse(t.Context(), nil)
	require.NoError(t, err)

	type target struct {
		by                        *apptest.Client
		method, path, contentType string
		header                    string
		body                      string
		code                      string
	}
	targets := map[string]target{
		"image of an area":    {by: owner, method: "PUT", path: "/api/v1/areas/" + area.ID.String() + "/image", contentType: "image/jpeg", body: string(picture), code: "body_malformed"},
		"image of a landmark": {by: owner, method: "PUT", path: "/api/v1/landmarks/" + light.ID.String() + "/image", contentType: "image/jpeg", body: string(picture), code: "body_malformed"},
		"avatar":              {by: owner, method: "PUT", path: "/api/v1/me/avatar", contentType: "image/jpeg", body: string(picture), code: "body_malformed"},
		"attempt":             {by: owner, method: "POST", path: "/api/v1/landmarks/" + light.ID.String() + "/attempts", contentType: formType, body: formBody.String(), code: "form_malformed"},
		"attempt under a key": {by: owner, method: "POST", path: "/api/v1/landmarks/" + light.ID.String() + "/attempts", contentType: formType, header: "Idempotency-Key: KEY\r\n", body: formBody.String(), code: "form_malformed"},
		"policy":              {by: admin, method: "PUT", path: "/api/v1/admin/policy", contentType: "text/csv", header: "If-Match: " + live.HTTPResponse.Header.Get("ETag") + "\r\n", body: string(live.Body), code: "body_malformed"},
		"JSON":                {by: owner, method: "POST", path: "/api/v1/areas", contentType: "application/json", body: `{"name":"Quay"}`, code: "body_malformed"},
		"form of a token":     {by: owner, method: "POST", path: "/api/v1/auth/token", contentType: "application/x-www-form-urlencoded", body: "grant_type=password&username=ada&password=x", code: "body_malformed"},
	}
	faults := map[string]func(body string) (header, sent string){
		"chunk without a length": func(body string) (string, string) {
			return "Transfer-Encoding: chunked\r\n", fmt.Sprintf("%x\r\n%s\r\nzz\r\n", len(body)/2, body[:len(body)/2])
		},
		"chunk longer than it says": func(body string) (string, string) {
			return "Transfer-Encoding: chunked\r\n", fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body)/2, body)
		},
		"no last chunk": func(body string) (string, string) {
			return "Transfer-Encoding: chunked\r\n", fmt.Sprintf("%x\r\n%s\r\n", len(body)/2, body[:len(body)/2])
		},
		"shorter than its length": func(body string) (string, string) {
			return fmt.Sprintf("Content-Length: %d\r\n", len(body)), body[:len(body)-10]
		},
	}
	for name, to := range targets {
		for what, fault := range faults {
			t.Run(name+", "+what, func(t *testing.T) {
				t.Parallel()
				conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
				require.NoError(t, err)
				defer conn.Close()
				require.NoError(t, conn.SetDeadline(time.Now().Add(time.Minute)))
				header, sent := fault(to.body)
				_, err = fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\n%s%s\r\n%s",
					to.method, to.path, strings.TrimPrefix(s.URL, "http://"), to.by.Token, to.contentType,
					strings.ReplaceAll(to.header, "KEY", strings.ReplaceAll(what, " ", "-")), header, sent)
				require.NoError(t, err)
				require.NoError(t, conn.(*net.TCPConn).CloseWrite())
				response, err := http.ReadResponse(bufio.NewReader(conn), nil)
				require.NoError(t, err)
				defer response.Body.Close()
				body, err := io.ReadAll(response.Body)
				require.NoError(t, err)
				require.Equal(t, "/problems/"+to.code, apptest.Problem(t, http.StatusBadRequest, response, body).Type)
			})
		}
	}
	require.Zero(t, files(t, s), "nothing was kept")
}
