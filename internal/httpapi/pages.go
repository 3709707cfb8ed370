package httpapi

import (
	"bytes"
	"embed"
	"html/template"
	"log/slog"
	"net/http"

	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/operation"
	"github.com/picaspot/picaspot/internal/problem"
)

//go:embed pages
var pageFiles embed.FS

var pages = template.Must(template.ParseFS(pageFiles, "pages/*.html"))

// pagePolicy is the content security policy of the few pages of ours.
const pagePolicy = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// mountPages adds what people reach by a link, outside of the contract.
func (s *Server) mountPages(router *operation.Router) {
	router.Handle("GET /{$}", http.RedirectHandler(docsPath, http.StatusFound))
	router.Handle("GET /verify-email", http.HandlerFunc(s.verifyEmailPage))
	router.Handle("POST /verify-email", http.HandlerFunc(s.verifyEmailForm))
}

type verifyPage struct {
	Token   string
	Done    bool
	Problem string
}

// verifyEmailPage asks for a click: the link alone does nothing, because mail
// scanners follow links and would use the token up.
func (s *Server) verifyEmailPage(w http.ResponseWriter, r *http.Request) {
	writePage(w, r, http.StatusOK, "verify_email.html", verifyPage{Token: r.URL.Query().Get("token")})
}

const maxFormBytes = 4096

func (s *Server) verifyEmailForm(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxFormBytes)
	err := s.Accounts.VerifyEmail(r.Context(), r.PostFormValue("token"))
	switch {
	case err == nil:
		writePage(w, r, http.StatusOK, "verify_email.html", verifyPage{Done: true})
	case fault.KindOf(err) == fault.Unprocessable:
		writePage(w, r, http.StatusUnprocessableEntity, "verify_email.html", verifyPage{
			Problem: "This link is not valid, was used before, or has expired.",
		})
	default:
		writeError(w, r, err)
	}
}

func writePage(w http.ResponseWriter, r *http.Request, status int, name string, data any) {
	var page bytes.Buffer
	if err := pages.ExecuteTemplate(&page, name, data); err != nil {
		problem.Write(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if _, err := page.WriteTo(w); err != nil {
		slog.DebugContext(r.Context(), "page not delivered", "error", err)
	}
}
