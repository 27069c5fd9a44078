// Package domains is the room of domains: names that a project serves, and the
// proof that it may.
//
// Types: Spec (what the user wants of a name), Status (token, records to set,
// what resolvers saw, conditions), Claim (the exclusive, platform-wide owner of
// a verified name), Name (a parsed name: A-labels and Unicode).
//
// Use cases: Service.Add, Get, List, Update, Remove, Verify; those that write
// have a Plan form that changes nothing.
//
// Ownership. Several projects may hold a name unverified. Whoever proves
// control first, by a TXT record or a file, gets the claim, which one commit
// takes and the store keeps unique. Nobody can take a claim on, or below, a name
// claimed by another project. Removing the domain releases it. Names below
// "localhost" and below the platform's own domain need no proof: first come,
// first served.
//
// Phases of the reconciler, per domain: token and records -> proof, when due
// (backoff kept in status) -> claim -> certificate asked for -> conditions
// Ownership, DNS, TLS, Serving.
//
// Interfaces needed: resource.Store, resource.Vault (the key that tokens are
// derived from), Resolvers, Fetcher, Certificates, Targets, Rollout, CDNs.
package domains

import (
	"time"

	"github.com/edgewright/edgewright/control/resource"
)

// Kinds of this room.
const (
	Kind      resource.Kind = "domain" // IDs begin with "dom_"; resource name: the A-label name
	KindClaim resource.Kind = "claim"  // IDs begin with "clm_"; platform scope; resource name: the A-label name
)

// Spec is what a project wants of a name.
type Spec struct {
	Domain        string            `json:"domain"`           // A-labels, lower-case, no trailing dot; "*.example.com" for a wildcard
	AutoConfigure bool              `json:"auto_configure"`   // let Edgewright do what it can by itself (certificate, later DNS)
	CDN           string            `json:"cdn"`              // name of the CDN configuration; default "default"
	RedirectHTTPS bool              `json:"redirect_https"`   // 308 from http to https; default true
	HSTS          *HSTS             `json:"hsts,omitempty"`   // Strict-Transport-Security; absent: not sent
	TLS           *TLSPolicy        `json:"tls,omitempty"`    // absent: intermediate
	Method        string            `json:"method,omitempty"` // preferred proof: "dns" or "file"; "": dns, then file
	Labels        map[string]string `json:"labels,omitempty"` // the user's own
}

// HSTS is the Strict-Transport-Security header (RFC 6797).
type HSTS struct {
	MaxAge            int  `json:"max_age"` // seconds
	IncludeSubdomains bool `json:"include_subdomains,omitempty"`
	Preload           bool `json:"preload,omitempty"`
}

// Methods of proof.
const (
	MethodDNS         = "dns"
	MethodFile        = "file"
	MethodEmail       = "email"
	MethodNotRequired = "not_required" // below localhost or the platform's domain
)

// Condition types of a domain.
const (
	Ownership = "Ownership" // the project has proven control and holds the claim
	DNS       = "DNS"       // the name leads to our edges
	TLS       = "TLS"       // a valid certificate is there
	Serving   = "Serving"   // edges have applied and verified the site
)

// Status is what is known of a domain.
type Status struct {
	VerificationToken string      `json:"verification_token"` // the same for a project and name, always
	Verified          bool        `json:"verified"`
	Method            string      `json:"method,omitempty"` // how it was proven
	VerifiedAt        *time.Time  `json:"verified_at,omitempty"`
	CheckedAt         *time.Time  `json:"checked_at,omitempty"`
	NextCheckAt       *time.Time  `json:"next_check_at,omitempty"`      // nil when nothing is awaited
	Attempts          int         `json:"attempts,omitempty"`           // checks since the last success
	RoutingCheckedAt  *time.Time  `json:"routing_checked_at,omitempty"` // when it was last looked where the name leads
	Records           []DNSRecord `json:"records,omitempty"`
	File              *File       `json:"file,omitempty"` // nil for a wildcard, which a file cannot prove

	Conditions []resource.Condition `json:"conditions,omitempty"`
}

// DNSRecord is a record that the user sets, and what was seen of it.
type DNSRecord struct {
	Purpose  string `json:"purpose"` // "ownership" or "routing"
	Type     string `json:"type"`
	Name     string `json:"name"`      // relative to the registrable domain, as DNS panels want it; "@" for itself
	FullName string `json:"full_name"` // without trailing dot
	Value    string `json:"value"`
	TTL      int    `json:"ttl"` // seconds, a suggestion
	Found    bool   `json:"found"`
	Seen     []Seen `json:"seen"` // nil until checked
}

// Seen is what one resolver answered.
type Seen struct {
	Resolver string   `json:"resolver"`
	Answers  []string `json:"answers"`
	Error    string   `json:"error,omitempty"` // "NXDOMAIN", "timeout", ...
}

// File is the proof by file: content to be served at a URL.
type File struct {
	URL     string `json:"url"`
	Content string `json:"content"`
	Found   bool   `json:"found"`
	Error   string `json:"error,omitempty"` // of the last look
}

// Domain is a domain as stored.
type Domain = resource.Object[Spec, Status]

// ClaimSpec names the one domain resource that owns a name on this platform.
type ClaimSpec struct {
	Domain      string `json:"domain"`
	DomainID    string `json:"domain_id"`
	Project     string `json:"project_id"`
	Environment string `json:"environment"`
	Method      string `json:"method"`
}

// Claim is a claim as stored.
type Claim = resource.Object[ClaimSpec, struct{}]

// Decode turns a stored resource into a Domain.
func Decode(r resource.Resource) (Domain, error) { return resource.Decode[Spec, Status](r) }

// DecodeClaim turns a stored resource into a Claim.
func DecodeClaim(r resource.Resource) (Claim, error) {
	return resource.Decode[ClaimSpec, struct{}](r)
}
