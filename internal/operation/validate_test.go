package operation_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/oapi-codegen/nullable"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/reqctx"
)

const (
	jsonType  = "application/json"
	patchType = "application/merge-patch+json"
	formType  = "application/x-www-form-urlencoded"

	landmarks = "/api/v1/landmarks"
	nearby    = "/api/v1/landmarks/nearby?latitude=53.8671&longitude=8.7206&radius_meters=1000"
	areaPath  = "/api/v1/areas/01932c07-209c-7f7e-8d0a-7e1b5f1f0c11"
	areaImage = areaPath + "/image"
	attempts  = "/api/v1/landmarks/01932c09-5a57-7a31-b3a0-6b6b0b7a6d21/attempts"
	tokenPath = "/api/v1/auth/token"
	register  = "/api/v1/auth/register"
)

// landmarkWith is a body of createLandmark with further members.
func landmarkWith(members string) string {
	if members != "" {
		members = ", " + members
	}
	return `{"area_id": "01932c07-209c-7f7e-8d0a-7e1b5f1f0c11", "name": "North Lighthouse", "latitude": 53.8671, "longitude": 8.7206` + members + `}`
}

func TestValidRequestsReachTheirHandler(t *testing.T) {
	t.Parallel()
	chunked := func(r *http.Request) *http.Request {
		r.ContentLength = -1
		return r
	}
	with := func(r *http.Request, name, value string) *http.Request {
		r.Header.Add(name, value)
		return r
	}
	create := func(members string) *http.Request { return ask("POST", landmarks, jsonType, landmarkWith(members)) }
	for name, r := range map[string]*http.Request{
		"nearby":                          ask("GET", nearby+"&unlocked=true&page=2&size=100", "", ""),
		"HEAD":                            ask("HEAD", nearby, "", ""),
		"an empty cursor":                 ask("GET", nearby+"&cursor=", "", ""),
		"numbers at their limits":         ask("GET", "/api/v1/landmarks/nearby?latitude=-90&longitude=180.0&radius_meters=5e4", "", ""),
		"empty parts of a query":          ask("GET", nearby+"&&", "", ""),
		"an empty query":                  ask("GET", "/api/v1/me?", "", ""),
		"text in a query":                 ask("GET", landmarks+"?bbox=8.6%2C53.8,8.8,53.9", "", ""),
		"an id in upper case":             ask("GET", "/api/v1/areas/01932C07-209C-7F7E-8D0A-7E1B5F1F0C11", "", ""),
		"an id of another version":        ask("GET", "/api/v1/areas/6ba7b810-9dad-41d1-80b4-00c04fd430c8", "", ""),
		"a condition":                     with(ask("GET", areaPath, "", ""), "If-None-Match", `"1"`),
		"an empty condition of a read":    with(ask("GET", areaPath, "", ""), "If-None-Match", ""),
		"a condition beside an empty one": with(with(ask("PATCH", areaPath, patchType, `{"name": "Harbour"}`), "If-Match", ""), "If-Match", `"1"`),
		"a condition in two lines":        with(with(ask("GET", areaPath, "", ""), "If-None-Match", `"1"`), "If-None-Match", `"2"`),
		"no body where none is taken":     ask("DELETE", areaPath, "", ""),
		"an empty chunked body":           chunked(as("user", "DELETE", areaPath, strings.NewReader(""))),
		"a landmark":                      create(""),
		"a landmark in chunks":            chunked(create("")),
		"a charset":                       ask("POST", landmarks, `application/json; charset="UTF-8"`, landmarkWith("")),
		"a content type in capitals":      ask("POST", landmarks, "Application/JSON", landmarkWith("")),
		"an identity coding":              with(create(""), "Content-Encoding", "identity"),
		"null where it may be":            create(`"photo_location": null`),
		"an object where it may be null":  create(`"photo_location": {"latitude": 1, "longitude": 2}`),
		"a whole number with a fraction":  create(`"difficulty": 2.0`),
		"a whole number with an exponent": create(`"difficulty": 20e-1`),
		"200 characters of several bytes": ask("POST", landmarks, jsonType, strings.Replace(landmarkWith(""), "North Lighthouse", strings.Repeat("ö", 200), 1)),
		"a patch":                         ask("PATCH", areaPath, patchType, `{"parent_area_id": null}`),
		"a form":                          ask("POST", tokenPath, formType, "grant_type=password&username=ada&password=correct+horse"),
		"a form as Swagger UI sends it":   ask("POST", tokenPath, formType, "grant_type=password&username=ada&password=x%26y&scope=&client_id=&client_secret="),
		"a registration":                  ask("POST", register, jsonType, `{"username": "ada", "email": "ada+tag@mail.example.org", "password": "correct horse"}`),
		"an image":                        ask("PUT", areaImage, "image/png", "\x89PNG"),
		"an image of another kind":        ask("PUT", areaImage, "image/webp; q=1", "RIFF"),
		"a zone":                          with(ask("GET", "/api/v1/me", "", ""), "X-Timezone", "Europe/Berlin"),
		"a zone of three parts":           with(ask("GET", "/api/v1/me", "", ""), "X-Timezone", "America/Argentina/Buenos_Aires"),
		"UTC":                             with(ask("GET", "/healthz", "", ""), "X-Timezone", "UTC"),
		"a zone with a sign":              with(ask("GET", "/api/v1/me", "", ""), "X-Timezone", "Etc/GMT+5"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			w := s.send(r)
			require.Equal(t, http.StatusOK, w.Code, w.Body.String())
			require.NotEmpty(t, s.called)
		})
	}
}

func TestInvalidRequestsNameEachFault(t *testing.T) {
	t.Parallel()
	get := func(target string) *http.Request { return ask("GET", target, "", "") }
	create := func(body string) *http.Request { return ask("POST", landmarks, jsonType, body) }
	patch := func(body string) *http.Request { return ask("PATCH", areaPath, patchType, body) }
	form := func(body string) *http.Request { return ask("POST", tokenPath, formType, body) }
	signUp := func(email string) *http.Request {
		return ask("POST", register, jsonType, fmt.Sprintf(`{"username": "ada", "email": %q, "password": "correct horse"}`, email))
	}
	header := func(r *http.Request, name string, values ...string) *http.Request {
		r.Header[name] = values
		return r
	}
	inPath := func(value string) *http.Request { return get("/api/v1/areas/" + value) }
	for name, test := range map[string]struct {
		request *http.Request
		want    []string
	}{
		// Query parameters
		"an unknown parameter":           {get(nearby + "&radius=5"), []string{"radius unknown"}},
		"a parameter in capitals":        {get(nearby + "&Page=5"), []string{"Page unknown"}},
		"a parameter as an array":        {get(nearby + "&page[]=5"), []string{"page[] unknown"}},
		"a repeated parameter":           {get(nearby + "&latitude=1"), []string{"latitude repeated"}},
		"a parameter thrice":             {get(nearby + "&page=1&page=1&page=2"), []string{"page repeated"}},
		"missing parameters":             {get(landmarks + "/nearby?latitude=1"), []string{"longitude required", "radius_meters required"}},
		"no query at all":                {get(landmarks + "/nearby"), []string{"latitude required", "longitude required", "radius_meters required"}},
		"an empty number":                {get(nearby + "&page="), []string{"page required"}},
		"a parameter without value":      {get(nearby + "&unlocked"), []string{"unlocked required"}},
		"an empty id":                    {get(nearby + "&area_id="), []string{"area_id format"}},
		"not a number":                   {get("/api/v1/landmarks/nearby?latitude=NaN&longitude=x&radius_meters=1e400"), []string{"latitude type", "longitude type", "radius_meters type"}},
		"infinity":                       {get("/api/v1/landmarks/nearby?latitude=Inf&longitude=-Infinity&radius_meters=0x10"), []string{"latitude type", "longitude type", "radius_meters type"}},
		"numbers out of range":           {get("/api/v1/landmarks/nearby?latitude=90.1&longitude=-181&radius_meters=0"), []string{"latitude maximum", "longitude minimum", "radius_meters minimum"}},
		"a fraction of a page":           {get(nearby + "&page=1.5&size=101"), []string{"page type", "size maximum"}},
		"a page beyond integers":         {get(nearby + "&page=99999999999999999999"), []string{"page type"}},
		"not a truth":                    {get(nearby + "&unlocked=maybe"), []string{"unlocked type"}},
		"not of the list":                {get(landmarks + "?sort_by=area"), []string{"sort_by enum"}},
		"not of the pattern":             {get(landmarks + "?bbox=1,2,3"), []string{"bbox pattern"}},
		"too long, and not the pattern":  {get(landmarks + "?bbox=" + strings.Repeat("1", 201)), []string{"bbox maxLength", "bbox pattern"}},
		"half an escape":                 {get(landmarks + "?bbox=%2"), []string{"bbox encoding"}},
		"half an escape in a name":       {get(landmarks + "?bb%zz=1"), []string{"bb%zz encoding"}},
		"half an escape where required":  {get("/api/v1/landmarks/nearby?latitude=%&longitude=1&radius_meters=1"), []string{"latitude encoding"}},
		"a semicolon":                    {get(nearby + "&page=1;size=5"), []string{"page encoding"}},
		"bytes that are no text":         {get(landmarks + "?bbox=%ff"), []string{"bbox encoding"}},
		"NUL in a query":                 {get(landmarks + "?bbox=1,2,3,%00"), []string{"bbox encoding"}},
		"NUL in a name":                  {get(landmarks + "?%00=1"), []string{"\uFFFD encoding"}},
		"bytes in a name":                {get(landmarks + "?%ff=1"), []string{"\uFFFD encoding"}},
		"a name that is too long to say": {get(landmarks + "?" + strings.Repeat("x", 63) + "%C3%B6=1"), []string{strings.Repeat("x", 63) + "… unknown"}},
		// Paths and headers
		"not an id":                    {inPath("nearby2"), []string{"area_id format"}},
		"an id in braces":              {inPath("%7B01932c07-209c-7f7e-8d0a-7e1b5f1f0c11%7D"), []string{"area_id format"}},
		"an id without dashes":         {inPath("01932c07209c7f7e8d0a7e1b5f1f0c11"), []string{"area_id format"}},
		"NUL in a path":                {inPath("%00"), []string{"area_id encoding"}},
		"bytes in a path":              {inPath("%ff"), []string{"area_id encoding"}},
		"a slash in a path":            {inPath("..%2Fme"), []string{"area_id format"}},
		"a condition that is too long": {header(get(areaPath), "If-None-Match", strings.Repeat("x", 1025)), []string{"If-None-Match maxLength"}},
		"conditions too long together": {header(get(areaPath), "If-None-Match", strings.Repeat("x", 1000), strings.Repeat("x", 1000)), []string{"If-None-Match maxLength"}},
		"an empty If-Match":            {header(patch(`{"name": "Harbour"}`), "If-Match", ""), []string{"If-Match minLength"}},
		"an If-Match without a tag":    {header(patch(`{"name": "Harbour"}`), "If-Match", " , ", ""), []string{"If-Match minLength"}},
		"an empty If-None-Match":       {header(ask("DELETE", areaPath, "", ""), "If-None-Match", ""), []string{"If-None-Match minLength"}},
		"two empty conditions":         {header(header(patch(`{}`), "If-None-Match", ","), "If-Match", ""), []string{"If-Match minLength", "If-None-Match minLength", "minProperties"}},
		"a zone that is not there":     {header(get("/api/v1/me"), "X-Timezone", "Europe/Atlantis"), []string{"X-Timezone unknown"}},
		"the machine's zone":           {header(get("/api/v1/me"), "X-Timezone", "Local"), []string{"X-Timezone unknown"}},
		"an empty zone":                {header(get("/api/v1/me"), "X-Timezone", ""), []string{"X-Timezone unknown"}},
		"a zone outside of the base":   {header(get("/api/v1/me"), "X-Timezone", "../etc/passwd"), []string{"X-Timezone unknown"}},
		"a zone of the machine":        {header(get("/api/v1/me"), "X-Timezone", "right/Europe/Berlin"), []string{"X-Timezone unknown"}},
		"two zones":                    {header(get("/api/v1/me"), "X-Timezone", "UTC", "Europe/Berlin"), []string{"X-Timezone unknown"}},
		"an offset":                    {header(get("/api/v1/me"), "X-Timezone", "+01:00"), []string{"X-Timezone unknown"}},
		// JSON
		"no body":                     {ask("POST", landmarks, "", ""), []string{"required"}},
		"no body of a type":           {ask("POST", landmarks, jsonType, ""), []string{"required"}},
		"a body where none is taken":  {ask("DELETE", areaPath, jsonType, "{}"), []string{"unexpected"}},
		"a body of a GET":             {ask("GET", areaPath, jsonType, "{}"), []string{"unexpected"}},
		"not JSON":                    {create("{"), []string{"malformed"}},
		"a second document":           {create(landmarkWith("") + "{}"), []string{"malformed"}},
		"not an object":               {create("[]"), []string{"type"}},
		"null":                        {create("null"), []string{"nullable"}},
		"unknown fields":              {create(landmarkWith(`"colour": "red", "Hint": "x", "is_verified": true`)), []string{"/Hint unknown", "/colour unknown", "/is_verified unknown"}},
		"an unknown field further in": {create(landmarkWith(`"photo_location": {"latitude": 1, "longitude": 2, "a/b\"c": 3}`)), []string{`/photo_location/a~1b"c unknown`}},
		"missing fields":              {create("{}"), []string{"/area_id required", "/latitude required", "/longitude required", "/name required"}},
		"fields missing further in":   {create(landmarkWith(`"photo_location": {"latitude": 91}`)), []string{"/photo_location/latitude maximum", "/photo_location/longitude required"}},
		"duplicate keys":              {create(landmarkWith(`"hint": "a", "hint": "b"`)), []string{"/hint repeated"}},
		"faults of all sorts":         {create(landmarkWith(`"hint": "\u0000", "difficulty": 9, "x": 1`)), []string{"/difficulty maximum", "/hint encoding", "/x unknown"}},
		"half a character":            {create(landmarkWith(`"hint": "\ud800"`)), []string{"/hint encoding"}},
		"NUL in a key":                {create(landmarkWith(`"x\u0000": 1`)), []string{"/x\uFFFD encoding"}},
		"a number beyond all":         {create(landmarkWith(`"unlock_radius_meters": 1e999`)), []string{"/unlock_radius_meters range"}},
		"a fraction for a whole":      {create(landmarkWith(`"difficulty": 2.5`)), []string{"/difficulty type"}},
		"wrong types":                 {create(landmarkWith(`"hint": 5, "difficulty": "5", "allow_duplicate": 1, "photo_location": []`)), []string{"/allow_duplicate type", "/difficulty type", "/hint type", "/photo_location type"}},
		"null where it may not be":    {create(landmarkWith(`"hint": null`)), []string{"/hint nullable"}},
		"an empty name":               {patch(`{"name": ""}`), []string{"/name minLength"}},
		"201 characters":              {patch(`{"name": "` + strings.Repeat("ö", 201) + `"}`), []string{"/name maxLength"}},
		"a patch of nothing":          {patch(`{}`), []string{"minProperties"}},
		"a wrong id":                  {patch(`{"parent_area_id": "1"}`), []string{"/parent_area_id format"}},
		"nesting without end":         {patch(strings.Repeat(`{"name":`, 65) + "1" + strings.Repeat("}", 65)), []string{strings.Repeat("/name", 64) + " depth"}},
		"a query, a path and a body": {ask("PATCH", "/api/v1/areas/1?x=1", patchType, `{"name": 1}`), []string{
			"/name type", "area_id format", "x unknown"}},
		"a malformed body and a query": {ask("POST", landmarks+"?x=1", jsonType, `{`), []string{"malformed", "x unknown"}},
		// Formats
		"an address without domain":                   {signUp("ada"), []string{"/email format"}},
		"an address of one label":                     {signUp("ada@localhost"), []string{"/email format"}},
		"an address that ends in dots":                {signUp("ada@example."), []string{"/email format"}},
		"an address with a name":                      {signUp("Ada <ada@example.org>"), []string{"/email format"}},
		"an address in brackets":                      {signUp("<ada@example.org>"), []string{"/email format"}},
		"an address at an IP":                         {signUp("ada@[127.0.0.1]"), []string{"/email format"}},
		"an address in quotes":                        {signUp(`"a b"@example.org`), []string{"/email format"}},
		"two addresses":                               {signUp("ada@example.org, eve@example.org"), []string{"/email format"}},
		"an address with a line break":                {signUp("ada@example.org\r\nBcc: eve@example.org"), []string{"/email format"}},
		"an address at a label that ends in a hyphen": {signUp("test@iana-.com"), []string{"/email format"}},
		"an address of 65 characters before the @":    {signUp(strings.Repeat("a", 65) + "@example.org"), []string{"/email format"}},
		"an address that is not ASCII":                {signUp("ada@exämple.org"), []string{"/email format"}},
		// Forms
		"an unknown field of a form":       {form("grant_type=password&username=a&password=b&colour=1"), []string{"/colour unknown"}},
		"a repeated field of a form":       {form("grant_type=password&username=a&username=a&password=b"), []string{"/username repeated"}},
		"a missing field of a form":        {form("username=a&x=1"), []string{"/grant_type required", "/x unknown"}},
		"faults of a field and its form":   {form("grant_type=code&username=&password=%00&password=c"), []string{"/grant_type enum", "/password encoding", "/username minLength"}},
		"a form of unknown fields":         {form("x=1"), []string{"/x unknown"}},
		"a malformed form":                 {form("grant_type=password&username=%&password=b"), []string{"/username encoding"}},
		"an empty form":                    {form(""), []string{"required"}},
		"a field of the form in the query": {ask("POST", tokenPath+"?scope=x", formType, "grant_type=password&username=a&password=b"), []string{"scope unknown"}},
		// Uploads
		"no image":                  {ask("PUT", areaImage, "image/png", ""), []string{"required"}},
		"an image and a query":      {ask("PUT", areaImage+"?x=1", "image/png", "x"), []string{"x unknown"}},
		"a form to the wrong place": {ask("POST", "/api/v1/landmarks/1/attempts", "multipart/form-data; boundary=x", "--x--"), []string{"landmark_id format"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			w := s.send(test.request)
			p := problemOf(t, w)
			require.Equal(t, http.StatusBadRequest, p.Status)
			require.Equal(t, "/problems/invalid_request", p.Type)
			require.Equal(t, test.want, named(p))
			if len(test.want) == 1 {
				require.Equal(t, "The request has 1 fault.", *p.Detail)
			} else {
				require.Equal(t, fmt.Sprintf("The request has %d faults.", len(test.want)), *p.Detail)
			}
			require.Empty(t, s.called)
		})
	}
}

func TestFaultsAreSentences(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		request *http.Request
		want    string
	}{
		{ask("POST", landmarks, jsonType, landmarkWith(`"difficulty": 9`)), "The number has to be at most 5."},
		{ask("POST", landmarks, jsonType, landmarkWith(`"difficulty": 0`)), "The number has to be at least 1."},
		{ask("POST", landmarks, jsonType, landmarkWith(`"difficulty": "x"`)), "A whole number is expected."},
		{ask("POST", landmarks, jsonType, landmarkWith(`"hint": null`)), "null is not possible here. Text is expected."},
		{ask("POST", landmarks, jsonType, landmarkWith(`"photo_location": 1`)), "An object is expected."},
		{ask("PATCH", areaPath, patchType, `{"name": ""}`), "At least 1 character is expected."},
		{ask("PATCH", areaPath, patchType, `{}`), "At least 1 field is expected."},
		{ask("GET", landmarks+"?sort_order=up", "", ""), "One of asc, desc is expected."},
		{ask("GET", landmarks+"?is_verified=x", "", ""), "Either true or false is expected."},
		{ask("GET", landmarks+"?bbox=1", "", ""), "Text that matches ^[^,]+,[^,]+,[^,]+,[^,]+$ is expected."},
		{ask("GET", landmarks+"?area_id=1", "", ""), "A UUID as 01932c07-209c-7f7e-8d0a-7e1b5f1f0c11 is expected."},
		{ask("POST", tokenPath, formType, "grant_type=x&username=a&password=b"), "One of password, refresh_token is expected."},
		{ask("POST", register, jsonType, `{"username": "adalovelace", "email": "ada@example.org", "password": "short"}`), "At least 8 characters are expected."},
	} {
		p := problemOf(t, newServer(t).send(test.request))
		require.Len(t, *p.Errors, 1)
		require.Equal(t, test.want, (*p.Errors)[0].Message)
	}
}

func TestProblemsRepeatNoValues(t *testing.T) {
	t.Parallel()
	const secret = "hunter2-hunter2"
	for _, r := range []*http.Request{
		ask("POST", register, jsonType, `{"username": "`+secret+`?", "email": "`+secret+`", "password": ["`+secret+`"]}`),
		ask("POST", register, jsonType, `{"username": "ada", "email": "a@example.org", "password": "`+secret+`" `+secret),
		ask("POST", tokenPath, formType, "grant_type="+secret+"&username=%00"+secret+"&password="+secret+"%"),
		ask("GET", landmarks+"?bbox="+secret+"&page="+secret+"&area_id="+secret, "", ""),
	} {
		w := newServer(t).send(r)
		require.Equal(t, http.StatusBadRequest, w.Code)
		require.NotContains(t, w.Body.String(), secret)
	}
}

func TestBodiesThatAreNotTaken(t *testing.T) {
	t.Parallel()
	with := func(r *http.Request, name string, values ...string) *http.Request {
		r.Header[name] = values
		return r
	}
	body := landmarkWith("")
	chunked := ask("POST", landmarks, jsonType, strings.Repeat(" ", 20_001))
	chunked.ContentLength = -1
	for name, test := range map[string]struct {
		request *http.Request
		status  int
		detail  string
	}{
		"another type":                   {ask("POST", landmarks, "text/plain", body), 415, "Send application/json."},
		"no type":                        {ask("POST", landmarks, "", body), 415, "Send application/json."},
		"a malformed type":               {ask("POST", landmarks, "application/json; =", body), 415, "Send application/json."},
		"two types":                      {with(ask("POST", landmarks, "", body), "Content-Type", jsonType, jsonType), 415, "Send application/json."},
		"another charset":                {ask("POST", landmarks, "application/json; charset=utf-16", body), 415, "Send the body in UTF-8."},
		"a form for JSON":                {ask("POST", landmarks, formType, "name=x"), 415, "Send application/json."},
		"JSON for a patch":               {ask("PATCH", areaPath, jsonType, "{}"), 415, "Send application/merge-patch+json."},
		"JSON for a form":                {ask("POST", tokenPath, jsonType, "{}"), 415, "Send application/x-www-form-urlencoded."},
		"a compressed body":              {with(ask("POST", landmarks, jsonType, body), "Content-Encoding", "gzip"), 415, "Send the body without a Content-Encoding."},
		"a body compressed twice":        {with(ask("POST", landmarks, jsonType, body), "Content-Encoding", "identity", "br"), 415, "Send the body without a Content-Encoding."},
		"no image":                       {ask("PUT", areaImage, "application/octet-stream", body), 415, "Send image/*."},
		"a whole range of types":         {ask("PUT", areaImage, "image/", body), 415, "Send image/*."},
		"an image for a form":            {ask("POST", attempts, "image/png", body), 415, "Send multipart/form-data."},
		"a form without boundary":        {ask("POST", attempts, "multipart/form-data", body), 415, "Send multipart/form-data with its boundary parameter."},
		"too much JSON":                  {ask("POST", landmarks, jsonType, strings.Repeat(" ", 20_001)), 413, "The body is larger than 20000 bytes."},
		"too much JSON in chunks":        {chunked, 413, "The body is larger than 20000 bytes."},
		"an image that is too large":     {ask("PUT", areaImage, "image/png", strings.Repeat(" ", 50_001)), 413, "The body is larger than 50000 bytes."},
		"a body that breaks off":         {as("user", "POST", landmarks, io.MultiReader(strings.NewReader("{"), broken{})), 415, "Send application/json."},
		"a body of a type breaks off":    {with(as("user", "POST", landmarks, io.MultiReader(strings.NewReader("{"), broken{})), "Content-Type", jsonType), 400, "The body ended early."},
		"the type before the parameters": {ask("POST", landmarks+"?x=1", "text/plain", body), 415, "Send application/json."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := problemOf(t, newServer(t).send(test.request))
			require.Equal(t, test.status, p.Status)
			require.Equal(t, test.detail, *p.Detail)
		})
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

func TestUploadsStream(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	photo := bytes.Repeat([]byte("x"), 40_000)
	require.Equal(t, http.StatusOK, s.send(ask("PUT", areaImage, "image/jpeg", string(photo))).Code)
	require.Equal(t, photo, s.uploaded)
	require.NoError(t, s.uploadErr)

	var form bytes.Buffer
	parts := multipart.NewWriter(&form)
	file, err := parts.CreateFormFile("photo", "photo.jpg")
	require.NoError(t, err)
	_, err = file.Write(photo)
	require.NoError(t, err)
	require.NoError(t, parts.Close())
	s = newServer(t)
	require.Equal(t, http.StatusOK, s.send(ask("POST", attempts, parts.FormDataContentType(), form.String())).Code)
	require.Equal(t, photo, s.uploaded)
}

// An upload without a length is bounded as well, and nothing of it is read
// before its handler: a reader that fails at once would fail validation.
func TestUploadsAreBoundedWhileTheyStream(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	r := ask("PUT", areaImage, "image/jpeg", strings.Repeat("x", 50_001))
	r.ContentLength = -1
	require.Equal(t, http.StatusOK, s.send(r).Code)
	var tooLarge *http.MaxBytesError
	require.ErrorAs(t, s.uploadErr, &tooLarge)

	s = newServer(t)
	r = as("user", "PUT", areaImage, broken{})
	r.Header.Set("Content-Type", "image/jpeg")
	require.Equal(t, http.StatusOK, s.send(r).Code)
	require.ErrorContains(t, s.uploadErr, "connection reset")
}

func TestHandlersGetWhatWasSent(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	require.Equal(t, http.StatusOK, s.send(ask("POST", landmarks, jsonType, landmarkWith(`"difficulty": 3.0, "photo_location": null, "unlock_radius_meters": 12.5`))).Code)
	require.Equal(t, "North Lighthouse", s.landmark.Name)
	require.InDelta(t, 53.8671, s.landmark.Latitude, 0)
	require.Equal(t, 3, *s.landmark.Difficulty)
	require.InDelta(t, 12.5, *s.landmark.UnlockRadiusMeters, 0)
	require.True(t, s.landmark.PhotoLocation.IsNull())
	require.Nil(t, s.landmark.PhotoRadiusMeters, "defaults are the handler's")

	for body, want := range map[string]nullable.Nullable[api.Position]{
		`"photo_location": {"latitude": 1, "longitude": 2}`: nullable.NewNullableWithValue(api.Position{Latitude: 1, Longitude: 2}),
		`"hint": ""`: nil,
	} {
		s = newServer(t)
		require.Equal(t, http.StatusOK, s.send(ask("POST", landmarks, jsonType, landmarkWith(body))).Code)
		require.Equal(t, want, s.landmark.PhotoLocation)
	}

	s = newServer(t)
	require.Equal(t, http.StatusOK, s.send(ask("GET", nearby, "", "")).Code)
	require.InDelta(t, 1000, s.nearby.RadiusMeters, 0)
	require.Nil(t, s.nearby.Size)

	s = newServer(t)
	require.Equal(t, http.StatusOK, s.send(ask("PATCH", areaPath, patchType, `{"parent_area_id": null}`)).Code)
	require.True(t, s.area.ParentAreaID.IsNull())
	require.Nil(t, s.area.Name)

	s = newServer(t)
	require.Equal(t, http.StatusOK, s.send(ask("POST", tokenPath, formType, "grant_type=password&username=ada&password=a%26b%3Dc+d")).Code)
	require.Equal(t, "a&b=c d", *s.form.Password)
}

func TestManyFaultsAreCut(t *testing.T) {
	t.Parallel()
	var members []string
	for i := range 500 {
		members = append(members, fmt.Sprintf(`"unknown_%d": 1`, i))
	}
	for name, r := range map[string]*http.Request{
		"fields":     ask("POST", landmarks, jsonType, landmarkWith(strings.Join(members, ", "))),
		"parameters": ask("GET", landmarks+"?"+strings.ReplaceAll(strings.ReplaceAll(strings.Join(members, "&"), ": ", "="), `"`, ""), "", ""),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := problemOf(t, newServer(t).send(r))
			require.Len(t, *p.Errors, 100)
			require.Equal(t, "The request has more than 100 faults; these are the first.", *p.Detail)
		})
	}
}

func TestTimezoneReachesTheHandler(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	r := ask("GET", "/api/v1/me", "", "")
	r.Header.Set("X-Timezone", "Pacific/Chatham")
	r = r.WithContext(reqctx.With(r.Context(), reqctx.Request{ID: "kept"}))
	require.Equal(t, http.StatusOK, s.send(r).Code)
	require.Equal(t, "kept", reqctx.RequestID(s.request))
	noon := time.Date(2026, time.November, 1, 12, 0, 0, 0, time.UTC)
	require.Equal(t, "2026-11-02T01:45:00+13:45", reqctx.In(s.request, noon).Format(time.RFC3339))
}

func TestRequestsWithoutABody(t *testing.T) {
	t.Parallel()
	r := ask("GET", "/api/v1/me", "", "")
	r.Body = nil
	require.Equal(t, http.StatusOK, newServer(t).send(r).Code)
}

// The whole way over a connection: the body has a length, and is there again.
func TestOverAConnection(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	over := httptest.NewServer(s.router)
	defer over.Close()
	for _, body := range []io.Reader{strings.NewReader(landmarkWith("")), io.MultiReader(strings.NewReader(landmarkWith("")))} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, over.URL+landmarks, body)
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer user")
		r.Header.Set("Content-Type", jsonType)
		s.landmark = nil
		response, err := over.Client().Do(r)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, http.StatusOK, response.StatusCode)
		require.NotNil(t, s.landmark)
	}
}
