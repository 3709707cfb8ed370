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
	"slices"
	"strings"
	"sync"

	"github.com/swaggest/swgui"
	"github.com/swaggest/swgui/v5emb"
	"github.com/vearutop/statigz"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apidoc"
	"github.com/picaspot/picaspot/internal/compress"
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
	page   *compress.Document
	policy string
	assets http.Handler
	// problems are the addresses that the type of a problem names.
	problems *problemPages
	// contract renders it once, for the first client that asks: it takes some tenths of
	// a second and a lot of memory.
	contract func() (servedContract, error)
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
	page := bytes.Clone(recorder.Body.Bytes())
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
		page:     compress.NewDocument("text/html; charset=utf-8", page),
		problems: problems,
		assets:   ui,
		contract: sync.OnceValues(func() (servedContract, error) { return newServedContract(contract) }),
		policy: "default-src 'none'; script-src 'self'" + hashes.String() + "; style-src 'self' 'unsafe-inline'; " +
			"img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
	}, nil
}

// servedContract is the contract in its two forms.
type servedContract struct{ yaml, json *compress.Document }

func newServedContract(contract []byte) (servedContract, error) {
	rendered, err := apidoc.Render(contract)
	if err != nil {
		return servedContract{}, err
	}
	return servedContract{
		yaml: compress.NewDocument("application/yaml", rendered.YAML), json: compress.NewDocument("application/json", rendered.JSON),
	}, nil
}

// served answers a request with a document. The generated server passes on what a
// request asks for, not in which coding.
type served struct {
	request  *http.Request
	document *compress.Document
	// policy is the content security policy of a page.
	policy string
}

func (s served) write(w http.ResponseWriter) error {
	if s.policy != "" {
		w.Header().Set("Content-Security-Policy", s.policy)
	}
	w.Header().Set("Cache-Control", documentCache)
	s.document.ServeHTTP(w, s.request)
	return nil
}

// documentCache lets everybody keep what is new with each version of the server only.
const documentCache = "public, max-age=300"

// VisitGetDocsResponse implements api.GetDocsResponseObject.
func (s served) VisitGetDocsResponse(w http.ResponseWriter) error { return s.write(w) }

// VisitGetOpenAPIYAMLResponse implements api.GetOpenAPIYAMLResponseObject.
func (s served) VisitGetOpenAPIYAMLResponse(w http.ResponseWriter) error { return s.write(w) }

// VisitGetOpenAPIJSONResponse implements api.GetOpenAPIJSONResponseObject.
func (s served) VisitGetOpenAPIJSONResponse(w http.ResponseWriter) error { return s.write(w) }

type requestKey struct{}

// withRequest lets the handlers of documents see their request as a whole.
func withRequest(next api.StrictHandlerFunc, operationID string) api.StrictHandlerFunc {
	if !slices.Contains([]string{"GetDocs", "GetOpenAPIYAML", "GetOpenAPIJSON"}, operationID) {
		return next
	}
	return func(ctx context.Context, w http.ResponseWriter, r *http.Request, request any) (any, error) {
		return next(context.WithValue(ctx, requestKey{}, r), w, r, request)
	}
}

func requestFrom(ctx context.Context) *http.Request {
	r, _ := ctx.Value(requestKey{}).(*http.Request)
	return r
}

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
