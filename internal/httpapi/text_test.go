package httpapi_test

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/oapi-codegen/nullable"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/ent/mixin"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/store"
)

// TestLengthsCountCharacters: the contract's lengths are in characters, which
// take up to four bytes each.
func TestLengthsCountCharacters(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := apptest.NewWithoutWorkers(t)
	user := s.User()
	long := func(n int) *string { return new(strings.Repeat("🗼", n)) }
	area := s.Area(user, *long(200), func(in *api.AreaCreate) { in.Description = long(5000) })
	require.Equal(t, *long(5000), area.Description)
	landmark := s.Landmark(user, area.ID, *long(200), home, func(in *api.LandmarkCreate) {
		in.Description, in.Hint = long(5000), long(1000)
	})
	require.Equal(t, *long(1000), landmark.Hint)
	unlock := mixin.NewID()
	require.NoError(t, s.Store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		return tx.Unlock.Create().SetID(unlock).SetUserID(user.ID).SetLandmarkID(landmark.ID).Exec(ctx)
	}))
	captioned, err := user.UpdateUnlockWithApplicationMergePatchPlusJSONBodyWithResponse(ctx, unlock, nil, api.UnlockUpdate{Caption: nullable.NewNullableWithValue(*long(500))})
	require.NoError(t, err)
	require.NotNil(t, captioned.JSON200, string(captioned.Body))
	require.Equal(t, *long(500), captioned.JSON200.Caption)

	tooLong, err := user.CreateAreaWithResponse(ctx, nil, api.AreaCreate{Name: *long(201), Description: long(5001)})
	require.NoError(t, err)
	p := apptest.Problem(t, http.StatusBadRequest, tooLong.HTTPResponse, tooLong.Body)
	require.Len(t, *p.Errors, 2)
}

func TestAgentsAreKeptWhateverTheyCallThemselves(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	user := s.User()
	for _, agent := range []string{"", strings.Repeat("a", 511) + "é", strings.Repeat("é", 600), "\xff\xfe", "PicASpot/1.0 (Android)"} {
		response, body := send(t, s, request{
			method: "POST", path: "/api/v1/auth/login", contentType: "application/json", header: map[string]string{"User-Agent": agent},
			body: `{"identifier":"` + user.Username + `","password":"` + apptest.Password + `"}`,
		})
		require.Equal(t, http.StatusOK, response.StatusCode, "%q: %s", agent, body)
	}
}

var createdAt = regexp.MustCompile(`"created_at":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?([^"]+)"`)

func TestTimesAreInTheZoneThatIsAskedFor(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	user := s.User()
	area := s.Area(user, "Harbour")
	s.Landmark(user, area.ID, "Stone", geo.Point{})
	for _, path := range []string{
		"/api/v1/me", "/api/v1/areas", "/api/v1/areas/" + area.ID.String(), "/api/v1/areas/" + area.ID.String() + "/landmarks",
		"/api/v1/landmarks", "/api/v1/landmarks/nearby?latitude=0&longitude=0&radius_meters=10", "/api/v1/areas/nearby?latitude=0&longitude=0&radius_meters=10",
	} {
		for zone, offset := range map[string]string{"": "Z", "Asia/Kathmandu": "+05:45", "UTC": "Z", "America/Phoenix": "-07:00"} {
			in := request{by: user, method: "GET", path: path}
			if zone != "" {
				in.header = map[string]string{"X-Timezone": zone}
			}
			_, body := send(t, s, in)
			for _, at := range createdAt.FindAllStringSubmatch(string(body), -1) {
				require.Equal(t, offset, at[1], "%s in %q", path, zone)
			}
			require.Regexp(t, createdAt, string(body))
		}
		for _, zone := range []string{"Local", "Mars/Olympus", "+02:00", "../etc/passwd"} {
			response, body := send(t, s, request{by: user, method: "GET", path: path, header: map[string]string{"X-Timezone": zone}})
			p := apptest.Problem(t, http.StatusBadRequest, response, body)
			require.Equal(t, "X-Timezone", *(*p.Errors)[0].Parameter)
		}
	}
}

func TestBearerTokensOnly(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	user := s.User()
	parts := strings.Split(user.Token, ".")
	for name, test := range map[string]struct {
		header string
		status int
	}{
		"as it was given":           {"Bearer " + user.Token, 200},
		"in lower case":             {"bearer " + user.Token, 200},
		"under another scheme":      {"Basic " + user.Token, 401},
		"bare":                      {user.Token, 401},
		"empty":                     {"Bearer ", 401},
		"without its signature":     {"Bearer " + parts[0] + "." + parts[1] + ".", 401},
		"with another's payload":    {"Bearer " + parts[0] + "." + strings.Split(s.User().Token, ".")[1] + "." + parts[2], 401},
		"that claims to need none":  {"Bearer eyJhbGciOiJub25lIn0." + parts[1] + ".", 401},
		"with an id that is no use": {"Bearer " + uuid.NewString(), 401},
	} {
		response, body := send(t, s, request{method: "GET", path: "/api/v1/me", header: map[string]string{"Authorization": test.header}})
		require.Equal(t, test.status, response.StatusCode, "%s: %s", name, body)
	}
}
