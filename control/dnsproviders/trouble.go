package dnsproviders

import (
	"errors"
	"time"

	"github.com/edgewright/edgewright/fault"
)

// Reason is why a provider did not do what it was asked, in a word for machines.
type Reason string

// The reasons.
const (
	BadCredentials Reason = "BadCredentials" // the provider does not know them, or not any more
	NoCredentials  Reason = "NoCredentials"  // none are stored
	NoPermission   Reason = "NoPermission"   // known, but not allowed to do this
	NoZone         Reason = "NoZone"         // not there, or not for these credentials
	Moved          Reason = "Moved"          // the records are not what the change was made for
	Rejected       Reason = "Rejected"       // the provider does not take such a record
	Throttled      Reason = "Throttled"      // too many requests
	Away           Reason = "Away"           // no answer, or one that makes no sense
)

// codes map reasons to codes. What a provider says of a project's credentials
// is no word on the caller's own, so it is not Unauthenticated or Forbidden.
var codes = map[Reason]fault.Code{
	BadCredentials: fault.Invalid, NoCredentials: fault.Invalid, NoPermission: fault.Invalid, NoZone: fault.NotFound, Moved: fault.Stale,
	Rejected: fault.Invalid, Throttled: fault.RateLimited, Away: fault.Unavailable,
}

// Error is trouble with a provider as the user is told of it. It unwraps to a
// fault.
type Error struct {
	Reason     Reason
	Message    string        // what happened
	Fix        string        // what to do
	Detail     string        // the provider's own words
	RetryAfter time.Duration // of Throttled; 0: unknown
	Err        error
}

func (e *Error) Error() string { return e.text() }

func (e *Error) text() string {
	text := e.Message
	if e.Detail != "" {
		text += " (" + e.Detail + ")"
	}
	if e.Fix != "" {
		text += ": " + e.Fix
	}
	return text
}

// Unwrap returns the fault.
func (e *Error) Unwrap() error {
	f := &fault.Error{Code: codes[e.Reason], Message: e.text(), RetryAfter: e.RetryAfter, Err: e.Err}
	if e.Reason == BadCredentials || e.Reason == NoCredentials || e.Reason == NoPermission {
		f.Fields = []fault.Field{{Pointer: "/credentials", Detail: e.Message, Fix: e.Fix}}
	}
	return f
}

func noCredentials(p Provider) *Error {
	return &Error{
		Reason: NoCredentials, Message: "no credentials are stored for the provider " + p.Name,
		Fix: "set them with `edgewright dns providers set " + p.Name + "`, or PUT /api/v1/infrastructure/dns/providers/" + p.Name + "/credentials",
	}
}

// ReasonOf returns the reason of the first Error in err's chain, or "".
func ReasonOf(err error) Reason {
	var e *Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return ""
}

// CauseOf is what our own code says of why nothing was reached: the resolver, or
// the policy of addresses. Other causes stay in the log.
func CauseOf(err error) string {
	var f *fault.Error
	if errors.As(err, &f) {
		return Short(f.Message)
	}
	return ""
}

// Short bounds a provider's words, which end up in messages.
func Short(text string) string {
	const bound = 300
	clean := make([]rune, 0, bound)
	for _, r := range text {
		if r < ' ' || r == 0x7f {
			r = ' '
		}
		if clean = append(clean, r); len(clean) == bound {
			return string(clean) + "..."
		}
	}
	return string(clean)
}
