package certificates

import (
	"context"
	"crypto/x509"
	"slices"
	"time"

	"github.com/edgewright/edgewright/control/certificates/authority"
	"github.com/edgewright/edgewright/control/resource"
)

// Room is what the room of certificates stands on: what it needs from outside.
// Its parts share it.
type Room struct {
	Store     resource.Store
	Vault     resource.Vault
	Ownership Ownership
	Mode      Mode             // "": auto
	Now       func() time.Time // nil: time.Now

	Ledger     authority.Ledger // nil: one that a restart empties
	Preflight  Preflight        // nil: orders are made unlooked
	Revocation Revocation       // nil: no certificate is stapled, and none is found revoked
	Issuers    IssuerFetcher    // nil: uploaded chains stay as short as they came
	Observer   Observer         // nil: events are in the status and the log only
	// Addresses are those at which the edges are reached: the platform's own project
	// may have certificates for them. nil: nobody may have any for addresses.
	Addresses func(ctx context.Context) ([]string, error)
	// NameServers are the names of the platform's name servers, which its own project
	// may have certificates for.
	NameServers []string
}

// Furnished returns the room with what may be left out put in.
func (r Room) Furnished() Room {
	if r.Now == nil {
		r.Now = time.Now
	}
	if r.Ledger == nil {
		r.Ledger = authority.NewMemoryLedger()
	}
	if r.Mode == "" {
		r.Mode = ModeAuto
	}
	return r
}

// Preflight looks whether an order can succeed; certificates/preflight has one.
// It removes from Challenges, by name, what cannot work.
type Preflight interface {
	Check(ctx context.Context, r *PreflightRequest) []Check
}

// PreflightRequest is what an order would be.
type PreflightRequest struct {
	Names      []string
	Challenges map[string][]Challenge // by name, those that could be answered
	Authority  string
	Identities []string // of the CA, for CAA; empty: unknown
	AccountURI string
}

// CheckState is what a check of readiness came to.
type CheckState string

// The states of a check.
const (
	CheckPassed  CheckState = "passed"
	CheckFailed  CheckState = "failed"  // an order would fail
	CheckWarning CheckState = "warning" // it may fail
	CheckUnknown CheckState = "unknown" // it could not be looked at
)

// The checks.
const (
	CheckOwnership = "ownership"
	CheckAddress   = "address" // the name leads to the edges
	CheckPort      = "port"    // and they can be reached there
	CheckCAA       = "caa"
	CheckDNSSEC    = "dnssec"
	CheckProof     = "proof"   // there is a challenge that can be answered
	CheckProfile   = "profile" // the CA offers it
	CheckBudget    = "budget"  // of this platform at the CA
)

// Check is one thing that was looked at before an order.
type Check struct {
	Name      string     `json:"name"`
	Subject   string     `json:"subject,omitempty"`   // the host name
	Authority string     `json:"authority,omitempty"` // the CA, where it is about one
	State     CheckState `json:"state"`
	Detail    string     `json:"detail"`
	Fix       string     `json:"fix,omitempty"`
	Reason    string     `json:"-"` // of the Problem it becomes
}

// FirstFailed returns the first failed check.
func FirstFailed(checks []Check) (Check, bool) {
	i := slices.IndexFunc(checks, func(k Check) bool { return k.State == CheckFailed })
	if i < 0 {
		return Check{}, false
	}
	return checks[i], true
}

// preflightAgain bounds the wait after a failed preflight, which costs the CA
// nothing.
const preflightAgain = 10 * time.Minute

// Problem makes of a failed check what the user is told of an attempt.
func (k Check) Problem() *IssueError {
	reason := k.Reason
	if reason == "" {
		reason = "NotReady"
	}
	return &IssueError{Away: true, Within: preflightAgain, Problem: Problem{Reason: reason, Message: k.Detail, Fix: k.Fix, Subject: k.Subject}}
}

// Standing is what a CA says of a certificate.
type Standing struct {
	Revoked *Revoked // nil: good, as far as is known
	Staple  *Staple  // nil: no responder is named, or it gave no good answer
	AskAt   time.Time
}

// Revocation asks whether certificates are still good; certificates/revocation
// has one.
type Revocation interface {
	// Standing asks the OCSP responder that a certificate names, else looks into
	// the CRL it names. An error says that nothing could be learnt.
	Standing(ctx context.Context, leaf, issuer *x509.Certificate) (Standing, error)
}

// IssuerFetcher fetches the certificate that signed another, where a chain lacks
// it; certificates/revocation has one.
type IssuerFetcher interface {
	Issuer(ctx context.Context, child *x509.Certificate) (*x509.Certificate, error)
}

// Observer is told of events after they are on disk; what it does must be quick.
// After a crash the last may be missing: they are in the status.
type Observer interface {
	CertificateEvent(ctx context.Context, c Certificate, e Event)
}
