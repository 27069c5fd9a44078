// Package domains is the room of domains: names that a project serves, and the
// proof that it may.
//
// Types: Spec (what the user wants of a name), Status (token, records to set,
// what resolvers saw, conditions), Claim (the exclusive, platform-wide owner of
// a verified name), Name (a parsed name: A-labels and Unicode).
//
// Use cases: Service.Add, Get, List, Update, Remove, Verify; those that write
// have a Plan form that changes nothing. SetLock and CheckUnlocked; Offer,
// Accept and Withdraw of a Transfer; SendMail and ConfirmMail; RemoveLeaving,
// Placements, LeaveRecords, ConsentToWithdrawal.
//
// Ownership. Several projects may hold a name unverified. Whoever proves
// control first, by a TXT record, a file or a mail to the domain's own
// addresses, gets the claim, which one commit takes and the store keeps unique.
// Nobody can take a claim on, or below, a name claimed by another project.
// Removing the domain releases it. Names below "localhost" and below the
// platform's own domain need no proof: first come, first served.
//
// A proof is looked for again: daily while it is there; when it is gone, hourly,
// with a warning, and after a grace period the claim is released. What could not
// be asked proves nothing either way.
//
// Phases of the reconciler, per domain: token and records -> proof, when due
// (backoff kept in status) -> claim -> records set where auto_configure may ->
// certificate asked for -> conditions Ownership, Proof, Setup, DNS, TLS, Serving.
// The watch (control/domains/watch) adds Delegation, Dangling, Transfer, Expiry.
//
// The Withdrawer removes what domains leave at DNS providers (withdraw.go): a
// Placement, made before the first record is set, remembers it.
//
// Interfaces needed: resource.Store, resource.Vault (the key that tokens are
// derived from), Resolvers, Authorities, Fetcher, Mailer, Certificates, Targets,
// Rollout, CDNs, Zones, Providers, resource.Follower.
package domains

import (
	"time"

	"github.com/edgewright/edgewright/control/domains/registry"
	"github.com/edgewright/edgewright/control/resource"
)

// Kinds of this room.
const (
	Kind      resource.Kind = "domain" // IDs begin with "dom_"; resource name: the A-label name
	KindClaim resource.Kind = "claim"  // IDs begin with "clm_"; platform scope; resource name: the A-label name

	KindTransfer resource.Kind = "transfer" // IDs begin with "xfr_"; platform scope; resource name: the A-label name
)

// Spec is what a project wants of a name.
type Spec struct {
	Domain        string            `json:"domain"`                // A-labels, lower-case, no trailing dot; "*.example.com" for a wildcard
	AutoConfigure bool              `json:"auto_configure"`        // let Edgewright do what it can by itself (certificate, later DNS)
	CDN           string            `json:"cdn"`                   // name of the CDN configuration; default "default"
	RedirectHTTPS bool              `json:"redirect_https"`        // 308 from http to https; default true
	HSTS          *HSTS             `json:"hsts,omitempty"`        // Strict-Transport-Security; absent: not sent
	TLS           *TLSPolicy        `json:"tls,omitempty"`         // absent: intermediate
	Method        string            `json:"method,omitempty"`      // preferred proof: "dns", "file" or "email"; "": dns, then file
	DNS           string            `json:"dns,omitempty"`         // who sets the records: "managed", "provider", "manual"; "": not chosen yet
	DNSAccount    string            `json:"dns_account,omitempty"` // stored credentials, by name, for "provider"; "": the only ones that fit
	Locked        bool              `json:"locked,omitempty"`      // no deletion, no move, no loss of records; only SetLock opens it
	Labels        map[string]string `json:"labels,omitempty"`      // the user's own
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

	Proof      = "Proof"      // the proof of ownership is still there; absent where none is needed
	Setup      = "Setup"      // nothing stands in the way of the records
	Delegation = "Delegation" // the parent zone leads to servers that answer, and its DS matches
	Dangling   = "Dangling"   // true when something leads to what is gone, which somebody else could take
	Transfer   = "Transfer"   // the registry forbids moving the name to another registrar without the owner
	Expiry     = "Expiry"     // the registration lasts for more than 30 days
	Withdrawn  = "Withdrawn"  // what was set at a DNS provider that sets nothing now is gone; absent unless something is not
)

// Who sets a domain's records.
const (
	DNSManaged  = "managed"  // a zone of ours, delegated to our name servers
	DNSProvider = "provider" // we, at the DNS provider, with stored credentials
	DNSManual   = "manual"   // the user
)

// Status is what is known of a domain.
type Status struct {
	VerificationToken string      `json:"verification_token"` // the same as long as the domain is there; another when it comes back
	Verified          bool        `json:"verified"`
	Method            string      `json:"method,omitempty"` // how it was proven
	VerifiedAt        *time.Time  `json:"verified_at,omitempty"`
	CheckedAt         *time.Time  `json:"checked_at,omitempty"`
	NextCheckAt       *time.Time  `json:"next_check_at,omitempty"`      // nil when nothing is awaited
	Attempts          int         `json:"attempts,omitempty"`           // checks since the last success
	RoutingCheckedAt  *time.Time  `json:"routing_checked_at,omitempty"` // when it was last looked where the name leads
	Records           []DNSRecord `json:"records,omitempty"`
	File              *File       `json:"file,omitempty"` // nil for a wildcard, which a file cannot prove

	ProvenAt  *time.Time `json:"proven_at,omitempty"`  // when the proof was last seen
	RecheckAt *time.Time `json:"recheck_at,omitempty"` // when the proof of a verified domain is looked for again
	LostAt    *time.Time `json:"lost_at,omitempty"`    // since when it is gone; nil while it is there
	ReleaseAt *time.Time `json:"release_at,omitempty"` // when the claim goes, unless it comes back
	Former    []Token    `json:"former,omitempty"`     // proofs of who handed the domain over; they still count
	Mail      *Mail      `json:"mail,omitempty"`       // nil while no mail was sent

	Setup       *SetupState     `json:"setup,omitempty"`
	Registry    *registry.State `json:"registry,omitempty"`
	ExpiryTold  *ExpiryTold     `json:"expiry_told,omitempty"`
	Watch       *Watch          `json:"watch,omitempty"`
	Propagation []Propagation   `json:"propagation,omitempty"` // of the records that shall be seen, newest change first
	Events      []Event         `json:"events,omitempty"`      // the last of them, oldest first

	Conditions []resource.Condition `json:"conditions,omitempty"`
}

// Token is what one project publishes as proof.
type Token struct {
	Value   string `json:"value"`             // of the TXT record
	URL     string `json:"url,omitempty"`     // of the file; "": none
	Content string `json:"content,omitempty"` // of the file
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

// Seen is what one resolver, or one name server of the zone, answered.
type Seen struct {
	Resolver      string   `json:"resolver"` // an address, for a name server after its name
	Authoritative bool     `json:"authoritative,omitempty"`
	Answers       []string `json:"answers"`
	Error         string   `json:"error,omitempty"` // "NXDOMAIN", "timeout", ...
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
