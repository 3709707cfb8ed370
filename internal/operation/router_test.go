package operation_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/operation"
	"github.com/picaspot/picaspot/internal/ratelimit"
	"github.com/picaspot/picaspot/internal/session"
	"github.com/picaspot/picaspot/internal/token"
	"github.com/picaspot/picaspot/policy"
)

var ada = uuid.MustParse("01932c06-61f0-7c64-9c30-0e7a54ad5d10")

var errRevoked = fault.New(fault.Unauthenticated, "invalid_token", "The access token is not valid.")

// verify takes the name of a role for its token.
func verify(accessToken string) (token.Claims, error) {
	if accessToken == "revoked" {
		return token.Claims{}, errRevoked
	}
	return token.Claims{Subject: ada, ClientID: accessToken}, nil
}

// admitter admits every request: its own rules are tested beside it.
type admitter struct{}

func (admitter) Limit(context.Context, string) ratelimit.Result { return ratelimit.Result{} }

func (admitter) Admit(_ context.Context, _ string, claims *token.Claims) (ratelimit.Result, session.State, error) {
	if claims.ClientID == "broken" {
		return ratelimit.Result{}, session.State{}, errors.New("no database")
	}
	return ratelimit.Result{}, session.State{Role: claims.ClientID}, nil
}

// server is the real contract, policy and generated server around handlers that
// keep what reached them.
type server struct {
	api.StrictServerInterface
	router *operation.Router

	called    string
	caller    authz.Caller
	known     bool
	landmark  *api.LandmarkCreate
	nearby    api.ListNearbyLandmarksParams
	form      *api.TokenRequest
	area      *api.AreaUpdate
	uploaded  []byte
	uploadErr error
	request   context.Context
}

// What does not change is made once: the tests are many.
var (
	contractTable = sync.OnceValues(func() (*operation.Table, error) {
		spec, err := api.GetSpec()
		if err != nil {
			return nil, err
		}
		return operation.Load(spec)
	})
	defaultPolicy = sync.OnceValues(func() (*authz.Snapshot, error) { return authz.NewSnapshot(1, policy.Model, policy.CSV) })
)

func newServer(tb testing.TB) *server {
	tb.Helper()
	table, err := contractTable()
	require.NoError(tb, err)
	snapshot, err := defaultPolicy()
	require.NoError(tb, err)
	s := &server{router: operation.NewRouter(table, operation.Config{
		Verify: verify, Admitter: admitter{}, Authorizer: authz.New(snapshot), RequiresMFA: func(string) bool { return false },
		MaxBody: 20_000, MaxUpload: 50_000,
	})}
	fail := func(w http.ResponseWriter, _ *http.Request, err error) {
		if !errors.Is(err, errReached) {
			http.Error(w, err.Error(), http.StatusTeapot)
		}
	}
	strict := api.NewStrictHandlerWithOptions(s, nil, api.StrictHTTPServerOptions{RequestErrorHandlerFunc: fail, ResponseErrorHandlerFunc: fail})
	api.HandlerWithOptions(strict, api.StdHTTPServerOptions{BaseRouter: s.router, ErrorHandlerFunc: operation.BindingError})
	s.router.Handle("GET /page", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) }))
	return s
}

// errReached ends a handler that has seen what it wanted: 200 without a body.
var errReached = errors.New("reached")

func (s *server) reach(ctx context.Context) error {
	op, _ := operation.From(ctx)
	s.called, s.request = op.ID, ctx
	s.caller, s.known = authz.CallerFrom(ctx)
	return errReached
}

func (s *server) CreateLandmark(ctx context.Context, r api.CreateLandmarkRequestObject) (api.CreateLandmarkResponseObject, error) {
	s.landmark = r.Body
	return nil, s.reach(ctx)
}

func (s *server) ListNearbyLandmarks(ctx context.Context, r api.ListNearbyLandmarksRequestObject) (api.ListNearbyLandmarksResponseObject, error) {
	s.nearby = r.Params
	return nil, s.reach(ctx)
}

func (s *server) ListLandmarks(ctx context.Context, _ api.ListLandmarksRequestObject) (api.ListLandmarksResponseObject, error) {
	return nil, s.reach(ctx)
}

func (s *server) RegisterUser(ctx context.Context, _ api.RegisterUserRequestObject) (api.RegisterUserResponseObject, error) {
	return nil, s.reach(ctx)
}

func (s *server) CreateToken(ctx context.Context, r api.CreateTokenRequestObject) (api.CreateTokenResponseObject, error) {
	s.form = r.Body
	return nil, s.reach(ctx)
}

func (s *server) UpdateArea(ctx context.Context, r api.UpdateAreaRequestObject) (api.UpdateAreaResponseObject, error) {
	s.area = r.Body
	return nil, s.reach(ctx)
}

func (s *server) GetMe(ctx context.Context, _ api.GetMeRequestObject) (api.GetMeResponseObject, error) {
	return nil, s.reach(ctx)
}

func (s *server) GetArea(ctx context.Context, _ api.GetAreaRequestObject) (api.GetAreaResponseObject, error) {
	return nil, s.reach(ctx)
}

func (s *server) GetHealth(ctx context.Context, _ api.GetHealthRequestObject) (api.GetHealthResponseObject, error) {
	return nil, s.reach(ctx)
}

func (s *server) DeleteArea(ctx context.Context, _ api.DeleteAreaRequestObject) (api.DeleteAreaResponseObject, error) {
	return nil, s.reach(ctx)
}

func (s *server) PutAreaImage(ctx context.Context, r api.PutAreaImageRequestObject) (api.PutAreaImageResponseObject, error) {
	s.uploaded, s.uploadErr = io.ReadAll(r.Body)
	return nil, s.reach(ctx)
}

func (s *server) CreateAttempt(ctx context.Context, r api.CreateAttemptRequestObject) (api.CreateAttemptResponseObject, error) {
	part, err := r.Body.NextPart()
	if err == nil {
		s.uploaded, s.uploadErr = io.ReadAll(part)
	}
	return nil, s.reach(ctx)
}

// send sends a request as a user and returns the answer.
func (s *server) send(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.router.ServeHTTP(w, r)
	return w
}

// as makes a request of somebody who is logged in with a role.
func as(role, method, target string, body io.Reader) *http.Request {
	r := httptest.NewRequest(method, target, body)
	r.Header.Set("Authorization", "Bearer "+role)
	return r
}

// ask makes a request of a user; a body is of the content type.
func ask(method, target, contentType, body string) *http.Request {
	if contentType == "" && body == "" {
		return as("user", method, target, nil)
	}
	r := as("user", method, target, strings.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return r
}

func problemOf(t *testing.T, w *httptest.ResponseRecorder) api.Problem {
	t.Helper()
	require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"), w.Body.String())
	var p api.Problem
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &p), w.Body.String())
	require.Equal(t, w.Code, p.Status)
	return p
}

// named returns the faults of a problem as "parameter code" and "/pointer code".
func named(p api.Problem) []string {
	var all []string
	if p.Errors == nil {
		return nil
	}
	for _, e := range *p.Errors {
		where := ""
		if e.Pointer != nil {
			where = *e.Pointer
		}
		if e.Parameter != nil {
			where = *e.Parameter
		}
		all = append(all, strings.TrimSpace(where+" "+e.Code))
	}
	slices.Sort(all)
	return all
}

func TestMissesAreProblems(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		method, target string
		status         int
		kind, allow    string
	}{
		"an address that is not there": {"GET", "/api/v1/nothing", 404, "/problems/not_found", ""},
		"the address of a folder":      {"GET", "/api/v1/areas/", 404, "/problems/not_found", ""},
		"an address that is not clean": {"GET", "/nothing/../there", 404, "/problems/not_found", ""},
		"a method that is not there":   {"PUT", "/api/v1/areas", 405, "/problems/method_not_allowed", "GET, HEAD, POST"},
		"options":                      {"OPTIONS", "/api/v1/me", 405, "/problems/method_not_allowed", "DELETE, GET, HEAD, PATCH"},
		"a method of a sibling":        {"PATCH", "/api/v1/areas/nearby", 405, "/problems/method_not_allowed", "GET, HEAD"},
		"options beside a sibling":     {"OPTIONS", "/api/v1/landmarks/nearby", 405, "/problems/method_not_allowed", "GET, HEAD"},
		"a made-up method":             {"BREW", "/api/v1/me", 405, "/problems/method_not_allowed", "DELETE, GET, HEAD, PATCH"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newServer(t).send(as("user", test.method, test.target, nil))
			p := problemOf(t, w)
			require.Equal(t, test.status, p.Status)
			require.Equal(t, test.kind, p.Type)
			require.Equal(t, test.allow, w.Header().Get("Allow"))
		})
	}
}

func TestPagesOutsideOfTheContractPass(t *testing.T) {
	t.Parallel()
	require.Equal(t, http.StatusAccepted, newServer(t).send(httptest.NewRequest(http.MethodGet, "/page?any=thing", nil)).Code)
}

func TestRouterPanicsForWhatTheSpecDoesNotHave(t *testing.T) {
	t.Parallel()
	require.PanicsWithValue(t, "operation: the spec has no GET /api/v1/secrets", func() {
		newServer(t).router.HandleFunc("GET /api/v1/secrets", func(http.ResponseWriter, *http.Request) {})
	})
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	const none = "This operation needs an access token."
	const malformed = "The Authorization header has to be there once and to read: Bearer, a space, the access token."
	for name, test := range map[string]struct {
		headers []string
		detail  string // empty when the operation is reached
	}{
		"takes a token":                    {[]string{"Bearer user"}, ""},
		"takes the scheme in lower case":   {[]string{"bearer user"}, ""},
		"takes more spaces":                {[]string{"BEARER   user"}, ""},
		"refuses nothing":                  {nil, none},
		"refuses an empty header":          {[]string{""}, malformed},
		"refuses a scheme alone":           {[]string{"Bearer"}, malformed},
		"refuses a scheme with a space":    {[]string{"Bearer "}, malformed},
		"refuses a token alone":            {[]string{"user"}, malformed},
		"refuses another scheme":           {[]string{"Basic dXNlcjpwYXNz"}, malformed},
		"refuses two tokens":               {[]string{"Bearer user user"}, malformed},
		"refuses a list":                   {[]string{"Bearer user, Bearer admin"}, malformed},
		"refuses two headers":              {[]string{"Bearer user", "Bearer user"}, malformed},
		"refuses what is no token":         {[]string{"Bearer us\x7fer"}, malformed},
		"refuses a tab":                    {[]string{"Bearer\tuser"}, malformed},
		"refuses what the accounts refuse": {[]string{"Bearer revoked"}, "The access token is not valid."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			r := httptest.NewRequest(http.MethodGet, "/api/v1/me", nil)
			r.Header["Authorization"] = test.headers
			w := s.send(r)
			if test.detail == "" {
				require.Equal(t, http.StatusOK, w.Code, w.Body.String())
				require.Equal(t, authz.Caller{UserID: ada, Role: "user"}, s.caller)
				return
			}
			p := problemOf(t, w)
			require.Equal(t, http.StatusUnauthorized, p.Status)
			require.Equal(t, test.detail, *p.Detail)
			require.NotEmpty(t, w.Header().Get("WWW-Authenticate"))
			require.Empty(t, s.called)
		})
	}
}

func TestAuthenticationThatFailsIsNoRefusal(t *testing.T) {
	t.Parallel()
	p := problemOf(t, newServer(t).send(as("broken", "GET", "/api/v1/me", nil)))
	require.Equal(t, http.StatusInternalServerError, p.Status)
	require.NotContains(t, *p.Detail, "database")
}

func TestPermission(t *testing.T) {
	t.Parallel()
	const area = "/api/v1/areas/01932c07-209c-7f7e-8d0a-7e1b5f1f0c11"
	for name, test := range map[string]struct {
		request *http.Request
		scope   authz.Decision
		denied  string
	}{
		"own objects":               {as("user", "DELETE", area, nil), authz.Own, ""},
		"any object":                {as("admin", "DELETE", area, nil), authz.Any, ""},
		"reading for everybody":     {as("user", "GET", area, nil), authz.Any, ""},
		"logged in is enough":       {as("nobody", "GET", "/api/v1/me", nil), authz.Denied, ""},
		"a role that may not":       {as("user", "POST", area+"/verification", nil), 0, "Your role does not allow area:verify."},
		"a role that is not known":  {as("nobody", "GET", area, nil), 0, "Your role does not allow area:read."},
		"comes before the request":  {as("nobody", "GET", "/api/v1/areas/x?y=z", nil), 0, "Your role does not allow area:read."},
		"comes before the body too": {as("nobody", "POST", "/api/v1/areas", strings.NewReader("{")), 0, "Your role does not allow area:create."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			w := s.send(test.request)
			if test.denied != "" {
				p := problemOf(t, w)
				require.Equal(t, http.StatusForbidden, p.Status)
				require.Equal(t, "/problems/forbidden", p.Type)
				require.Equal(t, test.denied, *p.Detail)
				require.Empty(t, s.called)
				return
			}
			require.Equal(t, http.StatusOK, w.Code, w.Body.String())
			require.Equal(t, test.scope, s.caller.Scope)
			require.Equal(t, ada, s.caller.UserID)
		})
	}
}

func TestRefusedCallersAreRefusedBeforeTheirRequestIsRead(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"/api/v1/landmarks", "/api/v1/areas"} {
		r := httptest.NewRequest(http.MethodPost, target+"?unknown=1", unreadable{t})
		require.Equal(t, http.StatusUnauthorized, newServer(t).send(r).Code)
	}
}

// unreadable fails a test that reads it.
type unreadable struct{ t *testing.T }

func (u unreadable) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}

func TestPublicOperationsLookAtNoToken(t *testing.T) {
	t.Parallel()
	for _, token := range []string{"broken", "revoked", "user"} {
		s := newServer(t)
		require.Equal(t, http.StatusOK, s.send(as(token, "GET", "/healthz", nil)).Code)
		require.False(t, s.known)
	}
}

func TestBindingError(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err  error
		want string
	}{
		"a wrong type":      {&api.InvalidParamFormatError{ParamName: "size", Err: io.EOF}, "size type"},
		"a missing one":     {&api.RequiredParamError{ParamName: "latitude"}, "latitude required"},
		"a missing header":  {&api.RequiredHeaderError{ParamName: "If-Match", Err: io.EOF}, "If-Match required"},
		"several":           {&api.TooManyValuesForParamError{ParamName: "If-Match", Count: 2}, "If-Match repeated"},
		"JSON":              {&api.UnmarshalingParamError{ParamName: "filter", Err: io.EOF}, "filter type"},
		"a cookie":          {&api.UnescapedCookieParamError{ParamName: "session", Err: io.EOF}, "session encoding"},
		"what is not known": {io.EOF, "invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := httptest.NewRecorder()
			operation.BindingError(w, httptest.NewRequest(http.MethodGet, "/", nil), test.err)
			p := problemOf(t, w)
			require.Equal(t, http.StatusBadRequest, p.Status)
			require.Equal(t, []string{test.want}, named(p))
			require.NotContains(t, w.Body.String(), "EOF")
		})
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	table, err := operation.Load(contract(t))
	require.NoError(t, err)
	all := table.All()
	require.True(t, slices.IsSortedFunc(all, func(a, b *operation.Operation) int {
		return strings.Compare(a.Path+" "+a.Method, b.Path+" "+b.Method)
	}))
	i := slices.IndexFunc(all, func(op *operation.Operation) bool { return op.ID == "updateArea" })
	require.Equal(t, []any{"PATCH", "/api/v1/areas/{area_id}", authz.Permission("area:update"), "write", false},
		[]any{all[i].Method, all[i].Path, all[i].Permission, all[i].RateLimit, all[i].Public})
	require.Contains(t, table.Permissions(), authz.Permission("attempt:create"))
	require.NotContains(t, table.Permissions(), authz.Permission(""))
	require.Equal(t, slices.Compact(slices.Sorted(slices.Values(table.Permissions()))), table.Permissions())

	_, ok := operation.From(t.Context())
	require.False(t, ok)
}

func TestDefaultLimits(t *testing.T) {
	t.Parallel()
	table, err := operation.Load(contract(t))
	require.NoError(t, err)
	router := operation.NewRouter(table, operation.Config{Admitter: admitter{}})
	router.HandleFunc("POST /api/v1/auth/login", func(http.ResponseWriter, *http.Request) {})
	for length, status := range map[int]int{operation.DefaultMaxBody: http.StatusBadRequest, operation.DefaultMaxBody + 1: http.StatusRequestEntityTooLarge} {
		r := httptest.NewRequest(http.MethodPost, "/api/v1/auth/login", bytes.NewReader(make([]byte, length)))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		router.ServeHTTP(w, r)
		require.Equal(t, status, w.Code)
	}
}
