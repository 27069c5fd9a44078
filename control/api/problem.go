package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/edgewright/edgewright/fault"
)

// Problem is an error answer (RFC 9457).
type Problem struct {
	Type      string        `json:"type" format:"uri" doc:"Stable URI of the class of error"`
	Title     string        `json:"title" doc:"The same for every error of a code"`
	Status    int           `json:"status"`
	Detail    string        `json:"detail" doc:"What happened and what to do next"`
	Code      string        `json:"code" doc:"Stable; match on this, never on text"`
	RequestID string        `json:"request_id" doc:"Finds the request in the server's log"`
	Resource  string        `json:"resource,omitempty" doc:"What is concerned, as 'domain shop.example.com'"`
	Errors    []fault.Field `json:"errors,omitempty" doc:"Where in the request. pointer is an RFC 6901 JSON pointer into the body, or query:name, header:name, path:name"`

	retryAfter time.Duration
	allow      string
}

// problemBase begins the type URI of every error; the page at /docs describes
// them.
const problemBase = "urn:edgewright:problem:"

// statuses is the one mapping from fault codes to HTTP.
var statuses = map[fault.Code]struct {
	status int
	title  string
}{
	fault.Invalid:              {http.StatusUnprocessableEntity, "The request is not valid"},
	fault.Unauthenticated:      {http.StatusUnauthorized, "Credentials are needed"},
	fault.Forbidden:            {http.StatusForbidden, "Not allowed"},
	fault.NotFound:             {http.StatusNotFound, "Not found"},
	fault.Conflict:             {http.StatusConflict, "Clashes with something that exists"},
	fault.Stale:                {http.StatusPreconditionFailed, "Changed since it was read"},
	fault.PreconditionRequired: {http.StatusPreconditionRequired, "If-Match is needed"},
	fault.IdempotencyMismatch:  {http.StatusUnprocessableEntity, "Idempotency-Key used for another request"},
	fault.RateLimited:          {http.StatusTooManyRequests, "Too many requests"},
	fault.TooLarge:             {http.StatusRequestEntityTooLarge, "Too large"},
	fault.Unavailable:          {http.StatusServiceUnavailable, "Not available now"},
	fault.Internal:             {http.StatusInternalServerError, "Internal error"},
}

func newProblem(code fault.Code, status int, detail string) *Problem {
	row, ok := statuses[code]
	if !ok {
		code, row = fault.Internal, statuses[fault.Internal]
	}
	if status == 0 {
		status = row.status
	}
	return &Problem{Type: problemBase + string(code), Title: row.title, Status: status, Detail: detail, Code: string(code)}
}

// problem turns an error into what the client sees, and logs what it must not see.
func (s *Server) problem(ctx context.Context, err error) *Problem {
	var p *Problem
	id := requestFrom(ctx).id
	if errors.As(err, &p) {
		p.RequestID = id
		return p
	}
	var f *fault.Error
	switch {
	case errors.As(err, &f) && f.Code != "" && f.Code != fault.Internal:
		p = newProblem(f.Code, 0, f.Message)
		p.Resource, p.Errors, p.retryAfter = f.Resource, f.Fields, f.RetryAfter
		if f.Code == fault.Unavailable {
			s.log.WarnContext(ctx, "request could not be served", slog.String("request_id", id), slog.Any("error", err))
		}
	case errors.Is(err, context.DeadlineExceeded):
		p = newProblem(fault.Unavailable, http.StatusGatewayTimeout, "this took longer than the server waits; look at the resource's state, then try again")
	case errors.Is(err, context.Canceled):
		p = newProblem(fault.Unavailable, 499, "the client went away")
	default:
		p = newProblem(fault.Internal, 0, "something went wrong on our side; the server's log has the cause under this request_id")
		s.log.ErrorContext(ctx, "internal error", slog.String("request_id", id), slog.Any("error", err))
	}
	p.RequestID = id
	return p
}

// Error, GetStatus, ContentType and GetHeaders make it an error that huma writes.
func (p *Problem) Error() string { return p.Detail }

// GetStatus is the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType is RFC 9457's.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// GetHeaders are the headers that go with the error.
func (p *Problem) GetHeaders() http.Header {
	h := http.Header{}
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int((p.retryAfter+time.Second-1)/time.Second)))
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="edgewright"`)
	}
	if p.allow != "" {
		h.Set("Allow", p.allow)
	}
	return h
}

// writeProblem writes an error outside of huma's operations.
func (s *Server) writeProblem(w http.ResponseWriter, r *http.Request, err error) {
	p := s.problem(r.Context(), err)
	for k, v := range p.GetHeaders() {
		w.Header()[k] = v
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // a client that went away
}

// reshape is a huma transformer: huma's own validation errors leave in the
// same form as ours.
func reshape(ctx huma.Context, _ string, v any) (any, error) {
	m, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	code := fault.Invalid
	switch m.Status {
	case http.StatusRequestEntityTooLarge:
		code = fault.TooLarge
	case http.StatusRequestTimeout:
		code = fault.Unavailable
	case http.StatusInternalServerError:
		code = fault.Internal
	}
	p := newProblem(code, m.Status, m.Detail)
	p.RequestID = requestFrom(ctx.Context()).id
	names := bodyNames(ctx.Operation())
	for _, d := range m.Errors {
		f := fault.Field{Pointer: pointerOf(d.Location), Detail: d.Message, Fix: remedy(d.Message)}
		if strings.Contains(d.Message, "unexpected property") {
			f.Detail = "there is no such field"
			f.Fix = nearest(lastSegment(f.Pointer), names)
		}
		if m := missing.FindStringSubmatch(d.Message); m != nil {
			f.Pointer += "/" + escapePointer(m[1])
			f.Detail, f.Fix = "it is missing", "give it"
		}
		if f.Pointer == "" && m.Status == http.StatusBadRequest {
			f.Fix = "send one JSON object"
		}
		p.Errors = append(p.Errors, f)
	}
	switch {
	case len(p.Errors) > 0:
	case m.Detail == "request body is required":
		p.Detail += ": send one JSON object"
	case m.Status == http.StatusRequestEntityTooLarge:
		p.Detail += ": send less, in several requests"
	}
	if len(p.Errors) > 0 {
		first := p.Errors[0]
		p.Detail = first.Sentence()
		if first.Fix != "" {
			p.Detail += ": " + first.Fix
		}
	}
	return p, nil
}

// pointerOf turns huma's "body.origins[0].url" into "/origins/0/url" and
// "query.limit" into "query:limit".
func pointerOf(location string) string {
	where, rest, _ := strings.Cut(location, ".")
	if i := strings.IndexByte(where, '['); i >= 0 { // "body[0]"
		where, rest = where[:i], where[i:]+"."+rest
	}
	if where != "body" {
		if rest == "" {
			return ""
		}
		return where + ":" + rest
	}
	var b strings.Builder
	for _, part := range strings.FieldsFunc(rest, func(r rune) bool { return r == '.' || r == '[' || r == ']' }) {
		b.WriteByte('/')
		b.WriteString(escapePointer(part))
	}
	return b.String()
}

func lastSegment(pointer string) string { return pointer[strings.LastIndexByte(pointer, '/')+1:] }

// bodyNames lists every field name of an operation's body, at any depth.
func bodyNames(o *huma.Operation) []string {
	t, ok := o.Metadata[bodyTypeKey].(reflect.Type)
	if !ok {
		return nil
	}
	seen := map[reflect.Type]bool{}
	var names []string
	var walk func(t reflect.Type)
	walk = func(t reflect.Type) {
		for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct || seen[t] {
			return
		}
		seen[t] = true
		for i := range t.NumField() {
			f := t.Field(i)
			if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
				names = append(names, name)
			}
			walk(f.Type)
		}
	}
	walk(t)
	return names
}

// nearest suggests the known name that is closest to a mistyped one.
func nearest(name string, known []string) string {
	best, distance := "", max(2, len(name)/3)+1
	for _, k := range known {
		if k == name {
			return "it has its place elsewhere in the body: take it out here"
		}
		if d := editDistance(strings.ToLower(name), k); d < distance {
			best, distance = k, d
		}
	}
	if best == "" {
		return "take it out"
	}
	return "did you mean " + strconv.Quote(best) + "?"
}

func editDistance(a, b string) int {
	if len(a) > 64 {
		a = a[:64]
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost = 1 + min(diagonal, row[j], row[j-1])
			}
			diagonal, row[j] = row[j], cost
		}
	}
	return row[len(b)]
}

func errUnauthenticated() error {
	return fault.New(fault.Unauthenticated, "no valid credentials: log in, or send an API token as `Authorization: Bearer ew_...`")
}
