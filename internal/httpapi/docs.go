package httpapi

import (
	"context"
	"embed"
	"net/http"
	"slices"
	"sync"

	"github.com/vearutop/statigz"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apidoc"
	"github.com/picaspot/picaspot/internal/compress"
	"github.com/picaspot/picaspot/internal/operation"
)

const docsPath = "/docs"

// docsFiles are the pages and what they load. tools/contract/assets.mjs puts Swagger UI
// and Stoplight Elements there, tools/contract/collection.mjs the Postman collection.
//
//go:embed docs
var docsFiles embed.FS

// docsPolicy allows the two user interfaces the styles that they write as they go, and
// no code but the files'.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; " +
	"font-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// Docs is the contract and what is made of it, served from the binary: Swagger UI, to
// try it, Stoplight Elements, to read it, and a Postman collection.
type Docs struct {
	page, reference *compress.Document
	files           http.Handler
	// problems are the addresses that the type of a problem names.
	problems *problemPages
	// contract renders it once, for the first client that asks: it takes some tenths of
	// a second and a lot of memory.
	contract func() (servedContract, error)
}

// NewDocs prepares the pages and the contract, which is in YAML.
func NewDocs(contract []byte) (*Docs, error) {
	page, err := docsFiles.ReadFile("docs/try.html")
	if err != nil {
		return nil, err
	}
	reference, err := docsFiles.ReadFile("docs/reference.html")
	if err != nil {
		return nil, err
	}
	problems, err := newProblemPages()
	if err != nil {
		return nil, err
	}
	return &Docs{
		page:      compress.NewDocument("text/html; charset=utf-8", page),
		reference: compress.NewDocument("text/html; charset=utf-8", reference),
		files:     statigz.FileServer(docsFiles, statigz.FSPrefix("docs")),
		problems:  problems,
		contract:  sync.OnceValues(func() (servedContract, error) { return newServedContract(contract) }),
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

// documentCache lets shared caches keep documents, which change only with the version of the server.
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
	files := http.StripPrefix(docsPath, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", documentCache)
		d.files.ServeHTTP(w, r)
	}))
	router.Handle("GET "+docsPath+"/{file}", files)
	router.Handle("GET "+docsPath+"/{$}", http.RedirectHandler(docsPath, http.StatusMovedPermanently))
	router.Handle("GET "+docsPath+"/reference", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = served{request: r, document: d.reference, policy: docsPolicy}.write(w)
	}))
	d.problems.mount(router)
}
