package httpedge

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/edgewright/edgewright/edge/httpedge/framing"
	"github.com/edgewright/edgewright/edge/telemetry"
)

// The sides of a failure: whose fault an error answer is.
const (
	sideClient = "client"
	sideEdge   = "edge"
	sideOrigin = "origin"
)

// problem is an error answer: a page for who asks for HTML, else RFC 9457.
type problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	Failed    string `json:"failed"` // "client", "edge" or "origin"
	RequestID string `json:"request_id"`
}

func newProblem(status int, side, detail, id string) *problem {
	title := http.StatusText(status)
	if title == "" {
		title = "Error"
	}
	return &problem{Type: "about:blank", Title: title, Status: status, Detail: detail, Failed: side, RequestID: id}
}

// render returns the body and its type in the form that accept asks for.
func (p *problem) render(accept string) (body []byte, contentType string) {
	if !strings.Contains(accept, "text/html") {
		body, err := json.Marshal(p)
		if err != nil { // strings and a number
			panic(err)
		}
		return append(body, '\n'), "application/problem+json"
	}
	var b bytes.Buffer
	if err := page.Execute(&b, p); err != nil {
		panic(err)
	}
	return b.Bytes(), "text/html; charset=utf-8"
}

// refusedContent is how long the rest of a refused request's content is read,
// so that the client gets to see the answer.
const refusedContent = time.Second

// fail answers with an error page and ends the phases.
func (x *exchange) fail(status int, side, detail string) bool {
	x.fault = side
	body, contentType := newProblem(status, side, detail, x.id).render(x.r.Header.Get("Accept"))
	h := x.w.Header()
	clear(h)
	h["Content-Type"] = []string{contentType}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	h["Cache-Control"] = headerNoStore
	h["X-Content-Type-Options"] = headerNoSniff
	h["Content-Security-Policy"] = headerPagePolicy
	if status == http.StatusMethodNotAllowed {
		h["Allow"] = headerAllow
	}
	if x.body != nil && x.r.ProtoMajor < 2 {
		x.closes = true
		x.body.hurry(refusedContent)
	}
	x.head(status)
	_, _ = x.write(body) // a client that has left needs none
	return true
}

var (
	headerNoStore    = []string{"no-store"}
	headerNoSniff    = []string{"nosniff"}
	headerAllow      = []string{"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"}
	headerPagePolicy = []string{"default-src 'none'; style-src 'unsafe-inline'"}
)

// refusal is the whole answer to a request that package framing refuses.
func (s *Server) refusal(r *framing.Refusal, accept string) []byte {
	id := s.ids.next()
	s.o.Telemetry.None().Count(0, &telemetry.Record{Status: r.Status})
	body, contentType := newProblem(r.Status, sideClient, sentence(r), id).render(accept)
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nX-Request-Id: %s\r\nConnection: close\r\n\r\n",
		r.Status, http.StatusText(r.Status), contentType, len(body), id)
	b.Write(body)
	return b.Bytes()
}

// page shows the way of a request, You - Edge - Origin, and where it ended. It
// loads nothing.
var page = template.Must(template.New("").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex">
<title>{{.Status}} {{.Title}}</title>
<style>
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;margin:0;min-height:100vh;display:grid;place-items:center;background:#fafafa;color:#1b1f24}
main{max-width:34rem;padding:2rem}
h1{font-size:1.5rem;margin:0 0 1.5rem}
ol{list-style:none;display:flex;gap:.5rem;padding:0;margin:0 0 1.5rem}
li{flex:1;border:1px solid #c9d1d9;border-radius:.5rem;padding:.75rem;text-align:center}
li.failed{border:2px solid #b42318;color:#b42318;font-weight:600}
code{font-size:.875rem;overflow-wrap:anywhere}
@media(prefers-color-scheme:dark){body{background:#0f1318;color:#e6edf3}li{border-color:#3d444d}li.failed{border-color:#ff8a80;color:#ff8a80}}
</style></head><body><main>
<h1>{{.Status}} {{.Title}}</h1>
<ol aria-label="Where it failed">
<li{{if eq .Failed "client"}} class="failed"{{end}}>You{{if eq .Failed "client"}}<br>the request was refused{{end}}</li>
<li{{if eq .Failed "edge"}} class="failed"{{end}}>Edge{{if eq .Failed "edge"}}<br>failed{{end}}</li>
<li{{if eq .Failed "origin"}} class="failed"{{end}}>Origin{{if eq .Failed "origin"}}<br>failed{{end}}</li>
</ol>
<p>{{.Detail}}</p>
<p><code>Request ID {{.RequestID}}</code></p>
</main></body></html>
`))
