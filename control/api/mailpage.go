package api

import (
	"bytes"
	"context"
	"html/template"
	"net/http"
	"time"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/control/domains"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// mailPolicy lets the page look like something and send its one form home.
const mailPolicy = "default-src 'none'; style-src 'sha256-9/Zw5vdbfngxURzn7sa8g5zkh9akKv2i8iSxXwaynfo='; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

const mailStyle = `body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:10vh auto;padding:0 1rem;color:#1a1a1a;background:#fff}h1{font-size:1.4rem}button{font:inherit;padding:.6rem 1.2rem;border:0;border-radius:.4rem;background:#1b4fd8;color:#fff;cursor:pointer}code{word-break:break-all}@media(prefers-color-scheme:dark){body{color:#eee;background:#16181d}}`

// mailPage confirms that a mail arrived where it should. Opening the page does
// nothing: mail scanners open every link.
var mailPage = template.Must(template.New("mail").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="robots" content="noindex">
<title>{{.Title}}</title><style>` + mailStyle + `</style></head>
<body><h1>{{.Title}}</h1>
{{with .Text}}<p>{{.}}</p>{{end}}
{{if .Token}}<p>The project <code>{{.Project}}</code> wants to serve <strong>{{.Domain}}</strong> and names <strong>{{.Address}}</strong> as the address of who runs it.</p>
<p>With your confirmation it may answer for this name and obtain certificates for it. If you know nothing of this, close this page.</p>
<form method="post" action="/verify-domain"><input type="hidden" name="token" value="{{.Token}}"><button type="submit">Confirm {{.Domain}}</button></form>{{end}}
</body></html>
`))

type mailView struct {
	Title, Text, Token, Project, Domain, Address string
}

func (s *Server) addMailPage() {
	s.mux.HandleFunc("GET /verify-domain", s.showMailPage)
	s.mux.HandleFunc("POST /verify-domain", s.confirmMail)
}

func (s *Server) writeMailPage(w http.ResponseWriter, status int, view mailView) {
	var body bytes.Buffer
	if err := mailPage.Execute(&body, view); err != nil {
		status = http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", mailPolicy)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // a client that went away
}

func (s *Server) refuseMail(w http.ResponseWriter, r *http.Request, err error) {
	status, text := http.StatusInternalServerError, "Something went wrong here; please try again later."
	switch fault.CodeOf(err) {
	case fault.Invalid:
		status, text = http.StatusBadRequest, err.Error()
	case fault.Conflict, fault.NotFound:
		status, text = http.StatusConflict, err.Error()
	default:
		s.log.ErrorContext(r.Context(), "a confirmation by mail failed", "error", err, "request_id", requestFrom(r.Context()).id)
	}
	s.writeMailPage(w, status, mailView{Title: "Not confirmed", Text: text})
}

func (s *Server) showMailPage(w http.ResponseWriter, r *http.Request) {
	token := r.URL.Query().Get("token")
	c, err := s.domains.ReadMailToken(r.Context(), token)
	if err != nil {
		s.refuseMail(w, r, err)
		return
	}
	s.writeMailPage(w, http.StatusOK, viewOf(c, token))
}

func viewOf(c domains.Confirmation, token string) mailView {
	name := display(c.Domain.Name)
	return mailView{Title: "Do you run " + name + "?", Token: token, Project: c.Domain.Project, Domain: name, Address: c.Address}
}

// Bounds of the confirmation: of the body, and of the work.
const (
	maxMailForm   = 4 << 10
	confirmWithin = 30 * time.Second
)

func (s *Server) confirmMail(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxMailForm)
	if err := r.ParseForm(); err != nil {
		s.refuseMail(w, r, fault.New(fault.Invalid, "the form could not be read: open the link from the mail again"))
		return
	}
	info := requestFrom(r.Context())
	token := r.PostForm.Get("token")
	// Who clicks is known by the address the link went to, which the room adds.
	cause := resource.Cause{Actor: "mail", Via: "mail", RequestID: info.id}
	// The link is spent first: who closes the page too early must not lose it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), confirmWithin)
	defer cancel()
	c, err := s.domains.ConfirmMail(ctx, token, cause)
	if err == nil {
		err = s.access.Record(ctx, access.Audit{
			Actor: "mail " + c.Address, Action: "domain.verify", Target: "domain " + c.Domain.ID, Project: c.Domain.Project,
			Detail: map[string]any{"method": domains.MethodEmail, "address": c.Address, "verified": c.Domain.Status.Verified}, RequestID: info.id,
		})
	}
	if err != nil {
		s.refuseMail(w, r, err)
		return
	}
	s.writeMailPage(w, http.StatusOK, mailView{Title: display(c.Domain.Name) + " is confirmed", Text: "Thank you. You can close this page."})
}
