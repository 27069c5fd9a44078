// Package certificates is the room of TLS certificates: which ones a project
// wants, how they are obtained, renewed and replaced, and what state they are in.
//
// This package holds the words that all of it shares, and no doing. Types: Spec
// (names, type, key, challenge, renewal), Status (state, step, dates, failures, next
// attempt, events), Certificate (the resource), Order, Authority (a CA with its
// limits). Chains and keys (pki.Bundle) are only in the Vault, under
// "certificate/<id>/<generation>".
//
// Room is what it needs from outside: resource.Store, resource.Vault, Ownership (is
// the name verified for the project), authority.Ledger (what CAs were asked for),
// Preflight, Revocation (OCSP and CRLs), IssuerFetcher, Observer (who is told of
// events). Issuer (control/acme, control/localca) obtains certificates, optionally
// with Authorities (an ordered list of CAs), RenewalAdvisor (ARI), Revoker.
//
// The parts, each of which uses only those before it:
//
//	pki          keys, chains, requests, what is uploaded; pure
//	authority    CAs as resources, their limits and what was spent of them
//	readiness    before an order: which CAs, which challenges, is there room
//	custom       what users bring of their own: uploads, requests
//	provision    the use cases that the API calls: plans and commits
//	issuance     one attempt at the CAs: Wanted -> Issued, Problem, or no room
//	upkeep       the reconciler: is it due, allowed now? -> issuance -> status;
//	             watches revocation and staples, tells of events
//	replacement  mass runs, which mark certificates for upkeep
//
// Beside them are preflight (DNS, ports, CAA) and revocation (OCSP, CRLs), which
// implement the interfaces here, and score, which grades how one is served.
package certificates

import (
	"time"

	"github.com/edgewright/edgewright/control/certificates/pki"
	"github.com/edgewright/edgewright/control/resource"
)

// Kind is the kind of certificates; IDs begin with "crt_", the resource name is
// the first of its domains.
const Kind resource.Kind = "certificate"

// CertType says where a certificate comes from.
type CertType string

// The types. TypeAuto is resolved to one of the others when it is created.
const (
	TypeAuto   CertType = "auto"
	TypeACME   CertType = "lets_encrypt" // the ACME directory this platform is set to
	TypeLocal  CertType = "local"        // the platform's local CA, for names no public CA signs
	TypeCustom CertType = "custom"       // uploaded
	// TypeExternal is for a domain whose TLS ends before our edges.
	TypeExternal CertType = "external"
)

// Challenge is how control over a name is proved to a CA.
type Challenge string

// The challenges. ChallengeAuto takes what works: DNS-01 for wildcards.
const (
	ChallengeAuto    Challenge = ""
	ChallengeHTTP01  Challenge = "http-01"     // RFC 8555 section 8.3
	ChallengeTLSALPN Challenge = "tls-alpn-01" // RFC 8737
	ChallengeDNS01   Challenge = "dns-01"      // RFC 8555 section 8.4
)

// Spec is a certificate as wanted.
type Spec struct {
	Domains   []string    `json:"domains"` // A-labels, wildcards and addresses; the first is the resource's name
	Type      CertType    `json:"type"`
	AutoRenew bool        `json:"auto_renew"` // default true
	KeyType   pki.KeyType `json:"key_type,omitempty"`
	// Upload is the generation of an uploaded bundle in the Vault, for custom.
	Upload int `json:"upload,omitempty"`
	// Automatic says that the platform made it by itself for a verified domain.
	Automatic bool `json:"automatic,omitempty"`
	// Authority names the CA to use; "": those of the platform in their order.
	Authority string    `json:"authority,omitempty"`
	Challenge Challenge `json:"challenge,omitempty"`
	Profile   string    `json:"profile,omitempty"` // of the CA's; "": the CA's setting
	// MustStaple asks for the TLS feature status_request (RFC 7633).
	MustStaple bool `json:"must_staple,omitempty"`
	// PinKey keeps the key across renewals.
	PinKey bool `json:"pin_key,omitempty"`
	// Takeover lets an automatic certificate follow an uploaded one at its end.
	Takeover bool `json:"takeover,omitempty"`
	// Revoke asks to have a certificate revoked, once another is in its place.
	Revoke *RevokeWish `json:"revoke,omitempty"`
	// Request grows each time a user asks for a new certificate before it is due.
	Request int `json:"request,omitempty"`
}

// RevokeWish names a certificate that shall be revoked.
type RevokeWish struct {
	Serial string `json:"serial"`           // lower-case hex
	Reason string `json:"reason,omitempty"` // of RevocationReasons; "": unspecified
}

// State is the one word on a certificate.
type State string

// The states.
const (
	StateNone     State = "none"     // nothing yet: Conditions say what is awaited
	StateIssuing  State = "issuing"  // Step and StartedAt say how far
	StateValid    State = "valid"    // served; a renewal may be under way (Step)
	StateExpiring State = "expiring" // valid, but renewal is overdue or will not happen by itself
	StateExpired  State = "expired"
	StateFailed   State = "failed"   // LastError says why and what to do, NextAttempt when it is tried again
	StateExternal State = "external" // TLS ends before our edges; nothing is issued
)

// Steps of an issuance.
const (
	StepPreflight = "preflight" // looking whether an order can succeed
	StepRehearse  = "rehearse"  // the same order at the CA's staging twin
	StepOrder     = "order"     // telling the CA what is wanted
	StepChallenge = "challenge" // waiting for the edges to hold the answer
	StepValidate  = "validate"  // the CA looks at the edges
	StepFinalize  = "finalize"  // the CA signs
	StepStore     = "store"     // sealing the key
)

// Problem is why an issuance failed and what to do about it.
type Problem struct {
	Reason  string `json:"reason"`            // one CamelCase word for machines
	Message string `json:"message"`           // what happened
	Fix     string `json:"fix"`               // what to do
	Detail  string `json:"detail,omitempty"`  // the CA's own words
	Subject string `json:"subject,omitempty"` // the name concerned
}

// Status is what is known of a certificate.
type Status struct {
	State     State      `json:"state"`
	Step      string     `json:"step,omitempty"`
	StartedAt *time.Time `json:"started_at,omitempty"` // of the attempt under way
	// Generation names the bundle in use in the Vault: "3" the third issued, "u2"
	// the second uploaded, "" when there is none.
	Generation  string     `json:"generation,omitempty"`
	Issued      int        `json:"issued,omitempty"` // how many were issued
	Issuer      string     `json:"issuer,omitempty"` // common name of who signed
	IssuedType  CertType   `json:"issued_type,omitempty"`
	NotBefore   *time.Time `json:"not_before,omitempty"`
	NotAfter    *time.Time `json:"not_after,omitempty"`
	Serial      string     `json:"serial,omitempty"`      // lower-case hex
	Fingerprint string     `json:"fingerprint,omitempty"` // lower-case hex SHA-256 of the leaf
	Names       []string   `json:"names,omitempty"`       // what the leaf is valid for
	KeyType     string     `json:"key_type,omitempty"`
	Asked       *Asked     `json:"asked,omitempty"` // what the one in use was ordered with; nil: not known

	Failures    int         `json:"failures,omitempty"` // since the last success
	FailedAt    []time.Time `json:"failed_at,omitempty"`
	LastError   *Problem    `json:"last_error,omitempty"`
	NextAttempt *time.Time  `json:"next_attempt,omitempty"`
	RenewAt     *time.Time  `json:"renew_at,omitempty"`
	RenewBy     string      `json:"renew_by,omitempty"`    // "ari" or "lifetime"
	Window      *Window     `json:"window,omitempty"`      // the one RenewAt was chosen from
	AdviceAt    *time.Time  `json:"advice_at,omitempty"`   // when ARI is asked again
	Request     int         `json:"request,omitempty"`     // the Spec.Request that was answered
	Interrupted int         `json:"interrupted,omitempty"` // attempts that a restart cut off, since the last result
	Orders      []string    `json:"orders,omitempty"`      // CAs that have an order under way, or one that is still to be given up

	Authority   string     `json:"authority,omitempty"`    // the CA that issued it
	AuthorityAt string     `json:"authority_at,omitempty"` // its directory
	IssuedAt    *time.Time `json:"issued_at,omitempty"`
	MustStaple  bool       `json:"must_staple,omitempty"` // the leaf asks for a staple (RFC 7633)
	Rehearsed   string     `json:"rehearsed,omitempty"`   // names for which a staging order has succeeded
	TakenOver   int        `json:"taken_over,omitempty"`  // the Spec.Upload that an automatic one follows
	Replacement string     `json:"replacement,omitempty"` // the mass replacement that asks for a new one
	// ReplaceReason is why that run has the old one revoked; "": it has not.
	ReplaceReason string       `json:"replace_reason,omitempty"`
	Held          *Held        `json:"held,omitempty"`         // issued, and waits for its staple
	Superseded    []Superseded `json:"superseded,omitempty"`   // old ones that are still to be revoked
	Revoked       *Revoked     `json:"revoked,omitempty"`      // the certificate in use was revoked
	RevokedLast   string       `json:"revoked_last,omitempty"` // serial of the last that was revoked from here
	Staple        *Staple      `json:"staple,omitempty"`
	CheckAt       *time.Time   `json:"check_at,omitempty"` // when revocation is looked at again
	Warned        int          `json:"warned,omitempty"`   // how many of the thresholds were told of, for this certificate
	Events        []Event      `json:"events,omitempty"`   // the last, newest first

	// Observed is the revision of the spec that this status answers.
	Observed int64 `json:"observed_revision,omitempty"`

	Conditions []resource.Condition `json:"conditions,omitempty"`
}

// Window is the time in which a CA wants a certificate to be renewed (RFC 9773).
type Window struct {
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
}

// Revoked tells since when a certificate is revoked, and where that was read.
type Revoked struct {
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
	Source string    `json:"source"` // ocsp, crl, request
}

// Staple is the CA's signed word that a certificate is good (RFC 6960).
type Staple struct {
	DER        []byte    `json:"der"`
	NextUpdate time.Time `json:"next_update"`
	RefreshAt  time.Time `json:"refresh_at"` // half of its life
}

// Certificate is a certificate as stored.
type Certificate = resource.Object[Spec, Status]

// Decode turns a stored resource into a Certificate.
func Decode(r resource.Resource) (Certificate, error) { return resource.Decode[Spec, Status](r) }
