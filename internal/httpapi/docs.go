package httpapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/swaggest/swgui"
	"github.com/swaggest/swgui/v5emb"
	"github.com/vearutop/statigz"

	"github.com/picaspot/picaspot/internal/apidoc"
	"github.com/picaspot/picaspot/internal/operation"
)

const (
	docsPath      = "/docs"
	referencePath = docsPath + "/reference"
)

// reference is Redoc's page and its code, as npm's redoc 2.5.4 has it, compressed.
//
//go:embed reference
var reference embed.FS

// referencePolicy allows Redoc its styles, which it writes as it goes, and its search,
// which runs in a worker that it makes of a blob.
const referencePolicy = "default-src 'none'; script-src 'self'; worker-src blob:; style-src 'self' 'unsafe-inline'; " +
	"img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Docs is the contract and two ways to look at it, served from the binary: Swagger
// UI, to try it, and Redoc, to read it.
type Docs struct {
	page   []byte
	policy string
	assets http.Handler
	// problems are the addresses that the type of a problem names.
	problems *problemPages
	// contract renders it once, when somebody asks first: it takes some tenths of a
	// second and a lot of memory.
	contract func() (apidoc.Document, error)
}

var inlineScript = regexp.MustCompile(`(?s)<script>(.*?)</script>`)

// NewDocs renders the page of a contract. Its inline scripts are allowed by their
// hashes, so that the content security policy needs no unsafe-inline for code.
func NewDocs(contract []byte) (*Docs, error) {
	ui := v5emb.NewWithConfig(swgui.Config{
		SettingsUI: map[string]string{
			"persistAuthorization":     "false",
			"tryItOutEnabled":          "true",
			"displayRequestDuration":   "true",
			"filter":                   "true",
			"showExtensions":           "false",
			"docExpansion":             `"list"`,
			"defaultModelsExpandDepth": "0",
		},
	})("PicASpot", "/openapi.json", docsPath)
	recorder := httptest.NewRecorder()
	ui.ServeHTTP(recorder, httptest.NewRequestWithContext(context.Background(), http.MethodGet, docsPath, nil))
	if recorder.Code != http.StatusOK {
		return nil, fmt.Errorf("render Swagger UI: status %d", recorder.Code)
	}
	page := recorder.Body.Bytes()
	var hashes strings.Builder
	for _, script := range inlineScript.FindAllSubmatch(page, -1) {
		digest := sha256.Sum256(script[1])
		fmt.Fprintf(&hashes, " 'sha256-%s'", base64.StdEncoding.EncodeToString(digest[:]))
	}
	problems, err := newProblemPages()
	if err != nil {
		return nil, err
	}
	return &Docs{
		page:     page,
		problems: problems,
		assets:   ui,
		contract: sync.OnceValues(func() (apidoc.Document, error) { return apidoc.Render(contract) }),
		policy: "default-src 'none'; script-src 'self'" + hashes.String() + "; style-src 'self' 'unsafe-inline'; " +
			"img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
	}, nil
}

// VisitGetDocsResponse implements api.GetDocsResponseObject.
func (d *Docs) VisitGetDocsResponse(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", d.policy)
	_, err := bytes.NewReader(d.page).WriteTo(w)
	return err
}

// contract sends the contract in one of its two forms.
type contract struct {
	contentType string
	body        []byte
}

func (c contract) write(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", c.contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(c.body)))
	_, err := w.Write(c.body)
	return err
}

// VisitGetOpenAPIYAMLResponse implements api.GetOpenAPIYAMLResponseObject.
func (c contract) VisitGetOpenAPIYAMLResponse(w http.ResponseWriter) error { return c.write(w) }

// VisitGetOpenAPIJSONResponse implements api.GetOpenAPIJSONResponseObject.
func (c contract) VisitGetOpenAPIJSONResponse(w http.ResponseWriter) error { return c.write(w) }

func (d *Docs) mount(router *operation.Router) {
	router.Handle("GET "+docsPath+"/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == docsPath+"/" {
			http.Redirect(w, r, docsPath, http.StatusMovedPermanently)
			return
		}
		w.Header().Set("Cache-Control", "public, max-age=3600")
		d.assets.ServeHTTP(w, r)
	}))
	d.problems.mount(router)
	assets := statigz.FileServer(reference, statigz.FSPrefix("reference"))
	router.Handle("GET "+referencePath+"/", http.StripPrefix(referencePath, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=3600")
		assets.ServeHTTP(w, r)
	})))
	router.Handle("GET "+referencePath, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", referencePolicy)
		http.ServeFileFS(w, r, reference, "reference/page.html")
	}))
}
