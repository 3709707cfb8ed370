package mailbox

import (
	"bytes"
	"embed"
	"encoding/json"
	"html/template"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Path is where [Mailbox.Handler] expects to be mounted, together with all beneath it.
const Path = "/dev/mail"

const (
	// pagePolicy lets our own pages load our style sheet and frame a mail, nothing else.
	pagePolicy = "default-src 'none'; style-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

	// mailPolicy is for the HTML of a mail, also where it is opened outside of its
	// frame: no scripts, no forms, no origin, nothing loaded from elsewhere; links
	// open in a window of their own.
	mailPolicy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"

	// mailPrelude comes before the HTML of a mail. The first base element that
	// names a target counts, so that a mail's own cannot replace the page around it.
	mailPrelude = `<!doctype html><meta charset="utf-8"><meta name="referrer" content="no-referrer"><base target="_blank">`
)

//go:embed page
var pageFiles embed.FS

var (
	listPage = template.Must(template.ParseFS(pageFiles, "page/layout.html", "page/list.html"))
	mailPage = template.Must(template.ParseFS(pageFiles, "page/layout.html", "page/mail.html"))
)

// Handler serves [Path] and what is beneath it: the list, newest first and
// limited by ?to= to one recipient, and single mails, as HTML or, by the Accept
// header, as JSON. DELETE clears the list, as ?to= limits it, or removes one mail.
func (m *Mailbox) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+Path, m.list)
	mux.Handle("GET "+Path+"/{$}", http.RedirectHandler(Path, http.StatusSeeOther))
	mux.HandleFunc("DELETE "+Path, m.clear)
	mux.HandleFunc("POST "+Path+"/clear", m.clearForm)
	mux.HandleFunc("GET "+Path+"/style.css", style)
	mux.HandleFunc("GET "+Path+"/{id}", m.show)
	mux.HandleFunc("GET "+Path+"/{id}/html", m.showHTML)
	mux.HandleFunc("DELETE "+Path+"/{id}", m.delete)
	// Other sites that the developer has open may not clear the mailbox.
	guarded := http.NewCrossOriginProtection().Handler(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", pagePolicy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("X-Frame-Options", "DENY")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Cache-Control", "no-store")
		guarded.ServeHTTP(w, r)
	})
}

func (m *Mailbox) list(w http.ResponseWriter, r *http.Request) {
	to := recipient(r.URL.Query())
	mails := m.Mails(to)
	if prefersJSON(w, r) {
		m.writeJSON(w, "application/json", http.StatusOK, struct {
			Items []Mail `json:"items"`
		}{mails})
		return
	}
	m.writePage(w, listPage, struct {
		Title, To string
		Mails     []Mail
	}{"Mailbox", to, mails})
}

func (m *Mailbox) show(w http.ResponseWriter, r *http.Request) {
	asJSON := prefersJSON(w, r)
	mail, ok := m.Mail(r.PathValue("id"))
	switch {
	case !ok:
		m.notFound(w, asJSON)
	case asJSON:
		m.writeJSON(w, "application/json", http.StatusOK, mail)
	default:
		m.writePage(w, mailPage, struct {
			Title string
			Mail
		}{mail.Subject, mail})
	}
}

func (m *Mailbox) showHTML(w http.ResponseWriter, r *http.Request) {
	mail, ok := m.Mail(r.PathValue("id"))
	if !ok || mail.HTML == "" {
		m.notFound(w, false)
		return
	}
	w.Header().Set("Content-Security-Policy", mailPolicy)
	w.Header().Set("X-Frame-Options", "SAMEORIGIN")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	m.write(w, []byte(mailPrelude+mail.HTML))
}

func (m *Mailbox) clear(w http.ResponseWriter, r *http.Request) {
	m.Clear(recipient(r.URL.Query()))
	w.WriteHeader(http.StatusNoContent)
}

// clearForm is DELETE for the button on the page, which works without a script.
func (m *Mailbox) clearForm(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4096)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "The form is not readable.", http.StatusBadRequest)
		return
	}
	m.Clear(recipient(r.PostForm))
	http.Redirect(w, r, Path, http.StatusSeeOther)
}

func (m *Mailbox) delete(w http.ResponseWriter, r *http.Request) {
	if !m.Delete(r.PathValue("id")) {
		m.notFound(w, prefersJSON(w, r))
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func style(w http.ResponseWriter, r *http.Request) {
	http.ServeFileFS(w, r, pageFiles, "page/style.css")
}

// recipient reads the filter. A plus sign that was not escaped arrives as a
// space, which no address has, so that ada+test@example.org can be typed as it is.
func recipient(values url.Values) string {
	return strings.ReplaceAll(strings.TrimSpace(values.Get("to")), " ", "+")
}

// prefersJSON reports whether the request would rather have JSON than HTML (RFC
// 9110, section 12.5.1). Who has no preference gets the page.
func prefersJSON(w http.ResponseWriter, r *http.Request) bool {
	w.Header().Add("Vary", "Accept")
	var jsonQuality, htmlQuality float64
	for entry := range strings.SplitSeq(strings.Join(r.Header.Values("Accept"), ","), ",") {
		kind, parameters, err := mime.ParseMediaType(entry)
		if err != nil {
			continue
		}
		quality := 1.0
		if text, ok := parameters["q"]; ok {
			if quality, err = strconv.ParseFloat(text, 64); err != nil {
				continue
			}
		}
		switch kind {
		case "application/json":
			jsonQuality = max(jsonQuality, quality)
		case "text/html":
			htmlQuality = max(htmlQuality, quality)
		}
	}
	return jsonQuality > htmlQuality
}

func (m *Mailbox) notFound(w http.ResponseWriter, asJSON bool) {
	const message = "There is no such mail. It may have been cleared."
	if !asJSON {
		http.Error(w, message, http.StatusNotFound)
		return
	}
	m.writeJSON(w, "application/problem+json", http.StatusNotFound, struct {
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
	}{"about:blank", http.StatusText(http.StatusNotFound), http.StatusNotFound, message})
}

func (m *Mailbox) writeJSON(w http.ResponseWriter, contentType string, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		m.fail(w, err)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	m.write(w, append(body, '\n'))
}

func (m *Mailbox) writePage(w http.ResponseWriter, page *template.Template, data any) {
	var body bytes.Buffer
	if err := page.ExecuteTemplate(&body, "layout.html", data); err != nil {
		m.fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	m.write(w, body.Bytes())
}

func (m *Mailbox) fail(w http.ResponseWriter, err error) {
	m.logger.Error("mailbox page", "error", err)
	http.Error(w, "The mailbox cannot be shown.", http.StatusInternalServerError)
}

func (m *Mailbox) write(w http.ResponseWriter, body []byte) {
	if _, err := w.Write(body); err != nil {
		m.logger.Debug("mailbox: the reader is gone", "error", err)
	}
}
