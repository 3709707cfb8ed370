package httpapi

import (
	"bytes"
	"embed"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"net/mail"
	"net/url"

	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/operation"
	"github.com/picaspot/picaspot/internal/problem"
)

//go:embed pages
var pageFiles embed.FS

var pages = template.Must(template.ParseFS(pageFiles, "pages/*.html"))

// pagePolicy is the content security policy of the few pages of ours.
const pagePolicy = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// mountPages adds what people reach by a link, outside of the contract. What they
// send counts against the limits of the operations that do the same.
func (s *Server) mountPages(router *operation.Router) {
	router.Handle("GET /{$}", http.RedirectHandler(docsPath, http.StatusFound))
	router.Handle("GET /verify-email", showPage("verify_email.html"))
	router.Handle("POST /verify-email", router.Limited("token", http.HandlerFunc(s.verifyEmailForm)))
	router.Handle("GET /reset-password", showPage("reset_password.html"))
	router.Handle("POST /reset-password", router.Limited("token", http.HandlerFunc(s.resetPasswordForm)))
	router.Handle("GET /forgot-password", showPage("forgot_password.html"))
	router.Handle("POST /forgot-password", router.Limited("mail", http.HandlerFunc(s.forgotPasswordForm)))
}

// shown is what the templates show.
type shown struct {
	Token   string
	Done    bool
	Problem string
}

// showPage asks for a click: the link alone does nothing, because mail scanners
// follow links and would use the token up.
func showPage(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		writePage(w, r, http.StatusOK, name, shown{Token: r.URL.Query().Get("token")})
	}
}

const maxFormBytes = 4096

func (s *Server) verifyEmailForm(w http.ResponseWriter, r *http.Request) {
	answerForm(w, r, "verify_email.html", func(form url.Values) error {
		return s.Accounts.VerifyEmail(r.Context(), form.Get("token"))
	})
}

// resetPasswordForm keeps the token when the password is too weak: it is good for
// another try.
func (s *Server) resetPasswordForm(w http.ResponseWriter, r *http.Request) {
	answerForm(w, r, "reset_password.html", func(form url.Values) error {
		return s.Accounts.ResetPassword(r.Context(), form.Get("token"), form.Get("password"))
	})
}

func (s *Server) forgotPasswordForm(w http.ResponseWriter, r *http.Request) {
	answerForm(w, r, "forgot_password.html", func(form url.Values) error {
		address, err := mail.ParseAddress(form.Get("email"))
		if err != nil || len(address.Address) > maxEmailBytes {
			return fault.New(fault.Unprocessable, "email_malformed", "That is not an e-mail address.").Wrap(err)
		}
		return s.Accounts.RequestPasswordReset(r.Context(), address.Address)
	})
}

// maxEmailBytes is the longest address (RFC 5321, section 4.5.3.1.3).
const maxEmailBytes = 254

// answerForm does what a form asks for, and shows the page again with what came of it.
func answerForm(w http.ResponseWriter, r *http.Request, name string, do func(url.Values) error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxFormBytes)
	// What can't be read has no fields, and people are told what they lack.
	_ = r.ParseForm()
	err := do(r.PostForm)
	var e *fault.Error
	switch {
	case err == nil:
		writePage(w, r, http.StatusOK, name, shown{Done: true})
	case errors.As(err, &e) && (e.Kind == fault.Unprocessable || e.Kind == fault.Conflict):
		writePage(w, r, http.StatusUnprocessableEntity, name, shown{Token: r.PostForm.Get("token"), Problem: e.Message})
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
