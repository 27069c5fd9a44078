package client

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/edgewright/edgewright/fault"
)

// Error is an answer of the API that is not a success. It unwraps to a
// *fault.Error with the same code, so callers test it with fault.Is.
type Error struct {
	Status     int           // the HTTP status
	Code       fault.Code    // stable; match on this
	Title      string        // short, the same for every error of a code
	Detail     string        // what happened and what to do next
	RequestID  string        // finds the request in the server's log
	Resource   string        // "domain shop.example.com", when one is concerned
	Fields     []fault.Field // where in the request, for fault.Invalid
	RetryAfter time.Duration // when to try again; 0: not told
}

func (e *Error) Error() string {
	message := e.Detail
	if message == "" {
		message = e.Title
	}
	if message == "" {
		message = fmt.Sprintf("the API answered %d %s", e.Status, http.StatusText(e.Status))
	}
	if e.Resource != "" && !strings.Contains(message, e.Resource) {
		message = e.Resource + ": " + message
	}
	return message
}

// Unwrap gives the error as a fault.
func (e *Error) Unwrap() error {
	return &fault.Error{
		Code: e.Code, Message: e.Detail, Resource: e.Resource,
		Fields: e.Fields, RetryAfter: e.RetryAfter,
	}
}

// problem is application/problem+json (RFC 9457) as the API writes it.
type problem struct {
	Type      string        `json:"type"`
	Title     string        `json:"title"`
	Status    int           `json:"status"`
	Detail    string        `json:"detail"`
	Code      fault.Code    `json:"code"`
	RequestID string        `json:"request_id"`
	Resource  string        `json:"resource"`
	Errors    []fault.Field `json:"errors"`
}

// maxProblemBytes bounds what is read of an error answer.
const maxProblemBytes = 1 << 20

// errorFrom reads a non-2xx answer. now is for Retry-After in its date form.
func errorFrom(resp *http.Response, now time.Time) *Error {
	e := &Error{
		Status:     resp.StatusCode,
		RequestID:  resp.Header.Get("X-Request-Id"),
		RetryAfter: retryAfter(resp.Header.Get("Retry-After"), now),
	}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxProblemBytes))
	mediaType, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	var p problem
	if strings.HasSuffix(mediaType, "json") && json.Unmarshal(body, &p) == nil {
		e.Code, e.Title, e.Detail, e.Resource, e.Fields = p.Code, p.Title, p.Detail, p.Resource, p.Errors
		if p.RequestID != "" {
			e.RequestID = p.RequestID
		}
	} else {
		e.Detail = fmt.Sprintf("%s answered %d %s, not in the form of the Edgewright API; is the URL that of an Edgewright control plane?",
			resp.Request.URL.Redacted(), resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	if e.Code == "" {
		e.Code = codeOfStatus(resp.StatusCode)
	}
	return e
}

// codeOfStatus is the guess for an answer without a code, as a proxy between
// the client and the control plane may give.
func codeOfStatus(status int) fault.Code {
	switch status {
	case http.StatusUnauthorized:
		return fault.Unauthenticated
	case http.StatusForbidden:
		return fault.Forbidden
	case http.StatusNotFound:
		return fault.NotFound
	case http.StatusConflict:
		return fault.Conflict
	case http.StatusPreconditionFailed:
		return fault.Stale
	case http.StatusPreconditionRequired:
		return fault.PreconditionRequired
	case http.StatusTooManyRequests:
		return fault.RateLimited
	case http.StatusRequestEntityTooLarge:
		return fault.TooLarge
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return fault.Unavailable
	}
	if status >= 400 && status < 500 {
		return fault.Invalid
	}
	return fault.Internal
}

// maxRetryAfter bounds a Retry-After, so that absurd values do not overflow.
const maxRetryAfter = 24 * time.Hour

// retryAfter reads Retry-After (RFC 9110 section 10.2.3): seconds or a date.
// It returns 0 for an absent or malformed one.
func retryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if value == "" {
		return 0
	}
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}
