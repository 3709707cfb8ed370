package httpapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"html/template"
	"net/http"
	"strings"

	"github.com/picaspot/picaspot"
	"github.com/picaspot/picaspot/internal/apidoc"
	"github.com/picaspot/picaspot/internal/compress"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/operation"
	"github.com/picaspot/picaspot/internal/problem"
)

const problemStyle = `:root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem}dt{font-weight:600;margin-top:1rem}dd{margin:0}`

var problemPage = template.Must(template.New("problem").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Problem.Code}} – PicASpot</title>
<style>{{.Style}}</style>
<h1>{{.Problem.Code}}</h1>
<p>A problem of the PicASpot API (<a href="https://www.rfc-editor.org/rfc/rfc9457">RFC 9457</a>). Its
<code>detail</code> and <code>errors</code> say what is wrong with the request; <code>request_id</code> is for support.</p>
<dl>{{range .Problem.Cases}}
<dt>{{.Status}} {{.Phrase}}</dt>
<dd>{{.When}}</dd>{{end}}
</dl>
<p><a href="/docs">The API's documentation</a></p>
</html>
`))

// problemPages are GET /problems/{code}: the addresses that the type of a problem
// names, as a page and as JSON, made from docs/problems.md.
type problemPages struct {
	policy string
	types  map[string]problemDocuments
}

// problemDocuments are what is said of one problem.
type problemDocuments struct{ page, json *compress.Document }

func newProblemPages() (*problemPages, error) {
	types, err := apidoc.Catalog(picaspot.Problems)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256([]byte(problemStyle))
	p := &problemPages{
		types: make(map[string]problemDocuments, len(types)),
		policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(digest[:]) +
			"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	}
	for code, found := range types {
		if p.types[code], err = newProblemDocuments(found); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func newProblemDocuments(found apidoc.ProblemType) (problemDocuments, error) {
	cases := make([]problemCase, len(found.Cases))
	for i, c := range found.Cases {
		cases[i] = problemCase{c}
	}
	var page, body bytes.Buffer
	err := problemPage.Execute(&page, map[string]any{
		"Problem": map[string]any{"Code": found.Code, "Cases": cases},
		"Style":   template.CSS(problemStyle), //nolint:gosec // A constant of this file.
	})
	if err == nil {
		err = json.NewEncoder(&body).Encode(found)
	}
	return problemDocuments{
		page: compress.NewDocument("text/html; charset=utf-8", page.Bytes()), json: compress.NewDocument("application/json", body.Bytes()),
	}, err
}

func (p *problemPages) mount(router *operation.Router) { router.Handle("GET /problems/{code}", p) }

// problemCase adds the status' name, for the page.
type problemCase struct{ apidoc.ProblemCase }

// Phrase is the reason phrase of the status.
func (c problemCase) Phrase() string { return http.StatusText(c.Status) }

// ServeHTTP answers with JSON, or with a page where the client takes HTML.
func (p *problemPages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	found, ok := p.types[r.PathValue("code")]
	if !ok {
		problem.Write(w, r, fault.New(fault.NotFound, "not_found", "There is no problem of this code."))
		return
	}
	w.Header().Add("Vary", "Accept")
	w.Header().Set("Cache-Control", "public, max-age=3600")
	// Browsers name text/html; a client that names nothing, or everything, gets JSON.
	if !strings.Contains(r.Header.Get("Accept"), "text/html") {
		found.json.ServeHTTP(w, r)
		return
	}
	w.Header().Set("Content-Security-Policy", p.policy)
	found.page.ServeHTTP(w, r)
}
