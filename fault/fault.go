// Package fault holds the one error type that crosses rooms: an error with a
// stable code, the resource or fields it concerns, a message a user can act
// on, and its cause.
//
// Rooms return faults; control/api maps a code to an HTTP status in one place
// and the CLI maps it to an exit status. An error without a code is internal:
// its text is logged, never shown.
package fault

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Code is the stable, machine-readable class of an error. Clients match on
// codes, never on messages.
type Code string

// The codes. A new code needs a row in control/api's status table.
const (
	Invalid              Code = "invalid"               // the request can never succeed as it is; Fields says where
	Unauthenticated      Code = "unauthenticated"       // no credentials, or they are not valid
	Forbidden            Code = "forbidden"             // known caller, not allowed
	NotFound             Code = "not_found"             // absent, or hidden from this caller's project
	Conflict             Code = "conflict"              // clashes with something that exists
	Stale                Code = "stale"                 // the caller's revision is not the current one
	PreconditionRequired Code = "precondition_required" // a write without If-Match
	IdempotencyMismatch  Code = "idempotency_mismatch"  // same Idempotency-Key, another body
	RateLimited          Code = "rate_limited"          // try again after RetryAfter
	TooLarge             Code = "too_large"             // over a documented bound
	Unavailable          Code = "unavailable"           // something needed is away; trying again may succeed
	Internal             Code = "internal"              // a defect of ours
)

// Field locates one fault inside a request body.
type Field struct {
	Pointer string `json:"pointer"`       // RFC 6901 JSON pointer, "/origins/0/url"
	Detail  string `json:"detail"`        // what is wrong
	Fix     string `json:"fix,omitempty"` // what to do about it
}

// Sentence says where and what, for people.
func (f Field) Sentence() string { return strings.TrimPrefix(Place(f.Pointer)+": ", ": ") + f.Detail }

// Error is an error with a code. The zero Code means Internal.
type Error struct {
	Code       Code
	Message    string        // for the user: what happened and what to do next
	Resource   string        // "domain shop.example.com", when one is concerned
	Fields     []Field       // for Invalid
	RetryAfter time.Duration // for RateLimited and Unavailable; 0 when unknown
	Err        error         // the cause, for logs
}

// New returns an error of the given code with a formatted message. A %w verb
// keeps its operand as the cause.
func New(code Code, format string, args ...any) *Error {
	wrapped := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: wrapped.Error(), Err: errors.Unwrap(wrapped)}
}

// InvalidField returns an Invalid error about one field.
func InvalidField(pointer, detail, fix string) *Error {
	message := detail
	if fix != "" {
		message += ": " + fix
	}
	return &Error{Code: Invalid, Message: message, Fields: []Field{{Pointer: pointer, Detail: detail, Fix: fix}}}
}

// InvalidFields returns an Invalid error about several fields, or nil when
// there are none, so that a validator can end with it.
func InvalidFields(fields []Field) error {
	if len(fields) == 0 {
		return nil
	}
	message := fields[0].Sentence()
	if n := len(fields) - 1; n > 0 {
		message += fmt.Sprintf(" (and %d more)", n)
	}
	return &Error{Code: Invalid, Message: message, Fields: fields}
}

// About names the resource that the error concerns and returns the error.
func (e *Error) About(resource string) *Error {
	e.Resource = resource
	return e
}

func (e *Error) Error() string {
	if e.Resource != "" {
		return e.Resource + ": " + e.Message
	}
	return e.Message
}

func (e *Error) Unwrap() error { return e.Err }

// CodeOf returns the code of the first fault in err's chain, Internal when
// there is none, and "" for a nil error.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) && e.Code != "" {
		return e.Code
	}
	return Internal
}

// Is reports whether err carries the given code.
func Is(err error, code Code) bool { return err != nil && CodeOf(err) == code }
