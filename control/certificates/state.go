package certificates

import (
	"fmt"
	"strings"
	"time"

	"github.com/edgewright/edgewright/control/certificates/authority"
	"github.com/edgewright/edgewright/control/certificates/pki"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// Reasons of problems that more than one place speaks of.
const (
	ReasonRateLimited = "RateLimited"
	ReasonBadAnswer   = "BadAnswer"
	ReasonBudget      = "Budget" // our own, at the CA
)

// The Status.RenewBy of a time that the CA has chosen, and of one that was
// reckoned from the lifetime.
const (
	RenewByARI      = "ari"
	RenewByLifetime = "lifetime"
)

// Held is a certificate that was issued and is not served yet: it must be stapled,
// its CA has given no OCSP answer so far, and the one before it is still good.
// Its bundle is in the Vault.
type Held struct {
	Generation  string      `json:"generation"`
	Type        CertType    `json:"type"`
	Authority   string      `json:"authority,omitempty"`
	AuthorityAt string      `json:"authority_at,omitempty"`
	IssuedAt    time.Time   `json:"issued_at"`
	KeyType     pki.KeyType `json:"key_type"`
	Request     int         `json:"request,omitempty"` // of the spec that it answers
	Upload      int         `json:"upload,omitempty"`  // likewise
	Asked       *Asked      `json:"asked,omitempty"`
	AskAt       time.Time   `json:"ask_at"` // when its CA is asked again
}

// Asked is what a certificate was ordered with. The leaf does not always tell: CAs
// add names, and leave out what they do not offer.
type Asked struct {
	Names      string `json:"names"` // authority.SetOf
	Profile    string `json:"profile,omitempty"`
	MustStaple bool   `json:"must_staple,omitempty"`
}

// AskedBy is what a certificate of this spec is ordered with.
func (s Spec) AskedBy() Asked {
	return Asked{Names: authority.SetOf(s.Domains), Profile: s.Profile, MustStaple: s.MustStaple}
}

// Superseded is a certificate that another has replaced and that its CA shall
// still be told to revoke. Its bundle stays in the Vault until then.
type Superseded struct {
	Generation  string    `json:"generation"`
	Serial      string    `json:"serial"`
	NotAfter    time.Time `json:"not_after"`
	Type        CertType  `json:"type"`
	Authority   string    `json:"authority,omitempty"` // the CA that issued it, which need not be the present one
	AuthorityAt string    `json:"authority_at,omitempty"`
	Reason      string    `json:"reason,omitempty"`
	Replacement string    `json:"replacement,omitempty"` // the mass replacement that wants it
	Failures    int       `json:"failures,omitempty"`
	LastError   string    `json:"last_error,omitempty"`
	NextAt      time.Time `json:"next_at"`
}

// The kinds of events.
const (
	EventIssued    = "issued"
	EventRecovered = "recovered" // issued after failures
	EventFailed    = "failed"
	EventExpiring  = "expiring"
	EventExpired   = "expired"
	EventRevoked   = "revoked"
)

// Event is something about a certificate that people may want to be told.
type Event struct {
	At      time.Time `json:"at"`
	Kind    string    `json:"kind"`
	Message string    `json:"message"`
}

// RevocationReasons are those that a user may give (RFC 5280 section 5.3.1).
var RevocationReasons = map[string]int{
	"unspecified": 0, "key_compromise": 1, "affiliation_changed": 3, "superseded": 4, "cessation_of_operation": 5,
}

// CheckReason checks a reason that a user gives; "" is one. Errors: Invalid.
func CheckReason(reason string) error {
	if _, known := RevocationReasons[reason]; known || reason == "" {
		return nil
	}
	return fault.InvalidField("/reason", "\""+reason+"\" is not a reason", `use "unspecified", "key_compromise", "affiliation_changed", "superseded" or "cessation_of_operation"`)
}

// ToRevoke reports that a wish to revoke is open.
func ToRevoke(c Certificate) bool {
	return c.Spec.Revoke != nil && c.Spec.Revoke.Serial != c.Status.RevokedLast
}

// Ready is the condition that a usable certificate is there.
const Ready = "Ready"

// Describe says in a sentence how a certificate is doing.
func Describe(c Certificate) string {
	st := c.Status
	date := func(t *time.Time) string {
		if t == nil {
			return "an unknown time"
		}
		return t.UTC().Format("2006-01-02 15:04 MST")
	}
	failed := func() string {
		if st.LastError == nil {
			return ""
		}
		return st.LastError.Message + ". " + st.LastError.Fix
	}
	switch st.State {
	case StateIssuing:
		return fmt.Sprintf("it is being issued (%s)", st.Step)
	case StateValid:
		text := fmt.Sprintf("issued by %s, valid until %s", st.Issuer, date(st.NotAfter))
		if why := failed(); why != "" {
			text += "; getting another failed: " + why
		}
		return text
	case StateExpiring:
		if text := failed(); text != "" {
			return fmt.Sprintf("it expires at %s and renewing it failed: %s", date(st.NotAfter), text)
		}
		return fmt.Sprintf("it expires at %s and is not renewed automatically", date(st.NotAfter))
	case StateExpired:
		return strings.TrimSpace(fmt.Sprintf("it expired at %s. %s", date(st.NotAfter), failed()))
	case StateFailed:
		return failed()
	case StateExternal:
		return "TLS ends before our edges"
	default:
		if condition, ok := resource.ConditionOf(st.Conditions, Ready); ok && condition.Message != "" {
			return condition.Message
		}
		return "there is no certificate yet"
	}
}

// Span writes a time to go as people say it.
func Span(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d hours", int(d.Hours()))
	}
	return fmt.Sprintf("%d minutes", max(int(d.Minutes()), 0))
}
