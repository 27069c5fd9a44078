package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"time"
)

// The states of a domain as a whole.
const (
	DomainPending = "pending_verification" // ownership is not proven yet
	DomainIssuing = "issuing"              // a certificate is on its way
	DomainActive  = "active"               // it is served over HTTPS
	DomainError   = "error"                // Conditions and Certificate say what to do
)

// The methods of proving ownership.
const (
	VerifyDNS   = "dns"   // a TXT record
	VerifyFile  = "file"  // a file below /.well-known
	VerifyEmail = "email" // refused with fault.Unavailable where no mail is configured
)

// Domain is a domain and everything known of how it is served.
type Domain struct {
	ID            string       `json:"id"`
	Domain        string       `json:"domain"`  // A-labels, lower case
	Display       string       `json:"display"` // Unicode, for people
	Project       string       `json:"project_id"`
	Environment   string       `json:"environment"`
	Revision      int64        `json:"revision"`
	CreatedAt     time.Time    `json:"created_at"`
	UpdatedAt     time.Time    `json:"updated_at"`
	AutoConfigure bool         `json:"auto_configure"`
	CDN           string       `json:"cdn"` // name of the CDN configuration
	RedirectHTTPS bool         `json:"redirect_https"`
	HSTS          *HSTS        `json:"hsts,omitempty"`
	TLS           *TLS         `json:"tls,omitempty"`
	Origin        string       `json:"origin"` // URL of the first origin of its CDN configuration
	Status        string       `json:"status"` // DomainPending ...
	URL           string       `json:"url"`    // where a browser finds it
	Verification  Verification `json:"verification"`
	Certificate   DomainCert   `json:"certificate"`
	Conditions    []Condition  `json:"conditions"`
	Rollout       Rollout      `json:"rollout"`

	Locked    bool         `json:"locked"`               // it cannot be deleted, handed over, or lose its records
	DNS       DomainSetup  `json:"dns"`                  // how its records come to be; as of the last look
	ExpiresAt *time.Time   `json:"expires_at,omitempty"` // end of the registration
	Registrar string       `json:"registrar,omitempty"`
	LastEvent *DomainEvent `json:"last_event,omitempty"`
}

// HSTS is the Strict-Transport-Security header (RFC 6797).
type HSTS struct {
	MaxAge            int  `json:"max_age"` // seconds
	IncludeSubdomains bool `json:"include_subdomains,omitempty"`
	Preload           bool `json:"preload,omitempty"`
}

// TLS is what a domain asks of its clients' TLS.
type TLS struct {
	Policy     string `json:"policy,omitempty"`      // "modern" (TLS 1.3) or "intermediate" (and 1.2); "": intermediate
	MinVersion string `json:"min_version,omitempty"` // "1.2" or "1.3"; "": the policy's
}

// Verification is the state of the proof of ownership and what to publish.
type Verification struct {
	Required    bool              `json:"required"`
	Status      string            `json:"status"` // verified, pending, not_required
	Method      string            `json:"method,omitempty"`
	VerifiedAt  *time.Time        `json:"verified_at,omitempty"`
	CheckedAt   *time.Time        `json:"checked_at,omitempty"`
	NextCheckAt *time.Time        `json:"next_check_at,omitempty"`
	Records     []DNSRecord       `json:"records"`
	File        *VerificationFile `json:"file,omitempty"`
	Mail        *VerificationMail `json:"mail,omitempty"`       // where links were sent
	Addresses   []string          `json:"mail_addresses"`       // where they can be sent
	LostAt      *time.Time        `json:"lost_at,omitempty"`    // since when the proof of a verified domain is gone
	ReleaseAt   *time.Time        `json:"release_at,omitempty"` // when it is released unless the proof comes back
}

// VerificationMail is the state of the proof by mail.
type VerificationMail struct {
	SentAt    time.Time  `json:"sent_at"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"` // absent: no link can be confirmed any more
	Links     []MailLink `json:"links"`
}

// MailLink is one link that was sent.
type MailLink struct {
	Address string `json:"address"`
	State   string `json:"state"` // sent, spent, expired or failed
	Error   string `json:"error,omitempty"`
}

// DNSRecord is a record to publish, and what resolvers answer at present.
type DNSRecord struct {
	Purpose  string           `json:"purpose,omitempty"` // ownership or routing
	Type     string           `json:"type"`
	Name     string           `json:"name"`      // as most providers' forms want it, relative to the zone
	FullName string           `json:"full_name"` // with the domain
	Value    string           `json:"value"`
	TTL      int              `json:"ttl"` // seconds
	Found    bool             `json:"found"`
	Seen     []ResolverAnswer `json:"seen,omitempty"`
}

// ResolverAnswer is what one resolver said.
type ResolverAnswer struct {
	Resolver      string   `json:"resolver"`
	Authoritative bool     `json:"authoritative,omitempty"` // a name server of the zone itself
	Answers       []string `json:"answers"`
	Error         string   `json:"error,omitempty"`
}

// VerificationFile is the file to publish for VerifyFile.
type VerificationFile struct {
	URL     string `json:"url"`
	Content string `json:"content"`
	Found   bool   `json:"found,omitempty"`
	Error   string `json:"error,omitempty"` // of the last look
}

// DomainCert is the certificate of a domain, in short.
type DomainCert struct {
	ID          string     `json:"id,omitempty"` // "": there is none
	State       string     `json:"state"`        // CertNone ...
	Step        string     `json:"step,omitempty"`
	Type        string     `json:"type,omitempty"`
	Issuer      string     `json:"issuer,omitempty"`
	NotAfter    *time.Time `json:"not_after,omitempty"`
	DaysLeft    *int       `json:"days_left,omitempty"`
	Fingerprint string     `json:"fingerprint,omitempty"`
	Reason      string     `json:"reason,omitempty"` // why there is none yet
	Fix         string     `json:"fix,omitempty"`
	NextAttempt *time.Time `json:"next_attempt,omitempty"`
}

// Condition is one observable fact: type, true|false|unknown, and what to do.
type Condition struct {
	Type    string    `json:"type"`
	Status  string    `json:"status"`
	Reason  string    `json:"reason,omitempty"`
	Message string    `json:"message,omitempty"`
	Since   time.Time `json:"since"`
}

// Rollout counts on how many edges a change has arrived. All numbers are 0
// before the change is published, and stay so when it concerns no edge.
type Rollout struct {
	Documents int           `json:"documents,omitempty"`
	Edges     int           `json:"edges"`              // that the change is for
	Pending   int           `json:"pending"`            // not in force there yet
	Applied   int           `json:"applied"`            // in force, or further
	Verified  int           `json:"verified"`           // the edge has asked itself and got the right answer
	Rejected  int           `json:"rejected"`           // the edge keeps what it had
	PerEdge   []EdgeRollout `json:"per_edge,omitempty"` // those that are pending or reject; may be cut short
}

// EdgeRollout is how far something has come on one edge.
type EdgeRollout struct {
	Edge   string `json:"edge"`
	Name   string `json:"name,omitempty"`
	Region string `json:"region,omitempty"`
	State  string `json:"state"` // pending, applied, verified, rejected
	Reason string `json:"reason,omitempty"`
}

// Done says whether every edge has verified the change or refused it.
func (r Rollout) Done() bool { return r.Edges > 0 && r.Verified+r.Rejected >= r.Edges }

// AddDomain is what to add.
type AddDomain struct {
	Domain        string `json:"domain"`                   // as a person writes it; IDN and pasted URLs are understood
	AutoConfigure bool   `json:"auto_configure"`           // issue and renew certificates, and configure DNS where possible
	Origin        string `json:"origin,omitempty"`         // URL; makes a CDN configuration named after the domain
	CDN           string `json:"cdn,omitempty"`            // name of an existing CDN configuration; "": "default"
	RedirectHTTPS *bool  `json:"redirect_https,omitempty"` // nil: true
	HSTS          *HSTS  `json:"hsts,omitempty"`
	TLS           *TLS   `json:"tls,omitempty"`
	DNS           string `json:"dns,omitempty"`         // DNSManaged ...; "": not chosen yet
	DNSAccount    string `json:"dns_account,omitempty"` // stored credentials, by name, with DNSByProvider
	Method        string `json:"method,omitempty"`      // preferred proof
}

// Who sets a domain's records.
const (
	DNSManaged    = "managed"  // a zone of the platform
	DNSByProvider = "provider" // the platform, at the DNS provider, with stored credentials
	DNSManual     = "manual"   // the user
)

// AddedDomain is what became of it.
type AddedDomain struct {
	Domain               Domain `json:"domain_config"`
	VerificationRequired bool   `json:"verification_required"`
}

// DomainPatch changes what is not nil.
type DomainPatch struct {
	AutoConfigure *bool   `json:"auto_configure,omitempty"`
	CDN           *string `json:"cdn,omitempty"`
	RedirectHTTPS *bool   `json:"redirect_https,omitempty"`
	HSTS          *HSTS   `json:"hsts,omitempty"` // MaxAge 0 takes the header away
	TLS           *TLS    `json:"tls,omitempty"`  // replaces what is there; empty is the default
	DNS           *string `json:"dns,omitempty"`
	DNSAccount    *string `json:"dns_account,omitempty"`
	Method        *string `json:"method,omitempty"`
}

// VerifyResult is the outcome of a check of ownership.
type VerifyResult struct {
	Verified bool              `json:"verified"`
	Records  []DNSRecord       `json:"dns_records"`
	File     *VerificationFile `json:"file,omitempty"`
	Domain   Domain            `json:"domain_config"`
}

func domainPath(domain string) string { return infra + "/domains/" + segment(domain) }

// AddDomain adds a domain. Errors: fault.Invalid for what is no domain,
// fault.Conflict when it is there already or belongs to another project.
func (c *Client) AddDomain(ctx context.Context, d AddDomain) (*AddedDomain, error) {
	out := new(AddedDomain)
	_, err := c.do(ctx, call{method: http.MethodPost, path: infra + "/domains", query: c.scoped(), body: d}, out)
	if err != nil {
		return nil, err
	}
	return out, nil
}

// PlanAddDomain tells what AddDomain would do.
func (c *Client) PlanAddDomain(ctx context.Context, d AddDomain) (*Plan, error) {
	return c.dryRun(ctx, call{method: http.MethodPost, path: infra + "/domains", body: d})
}

// Domains walks all domains of the project and environment.
func (c *Client) Domains(ctx context.Context) iter.Seq2[Domain, error] {
	return pages(ctx, func(ctx context.Context, cursor string) (Page[Domain], error) {
		return list[Domain](ctx, c, infra+"/domains", "domains", paged(c.scoped()), cursor)
	})
}

// Domain returns one domain, or fault.NotFound.
func (c *Client) Domain(ctx context.Context, domain string) (*Domain, error) {
	out := new(Domain)
	if err := c.domainCall(ctx, call{method: http.MethodGet, path: domainPath(domain)}, out); err != nil {
		return nil, err
	}
	return out, nil
}

// UpdateDomain changes a domain that the caller saw at the given revision.
func (c *Client) UpdateDomain(ctx context.Context, domain string, revision int64, p DomainPatch) (*Domain, error) {
	out := new(Domain)
	if err := c.domainCall(ctx, call{method: http.MethodPatch, path: domainPath(domain), body: p, match: revision}, out); err != nil {
		return nil, err
	}
	return out, nil
}

// PlanUpdateDomain tells what UpdateDomain would do.
func (c *Client) PlanUpdateDomain(ctx context.Context, domain string, revision int64, p DomainPatch) (*Plan, error) {
	return c.dryRun(ctx, call{method: http.MethodPatch, path: domainPath(domain), body: p, match: revision})
}

// RemoveDomain removes a domain that the caller saw at the given revision.
func (c *Client) RemoveDomain(ctx context.Context, domain string, revision int64) error {
	_, err := c.do(ctx, call{method: http.MethodDelete, path: domainPath(domain), query: c.scoped(), match: revision}, nil)
	return err
}

// PlanRemoveDomain tells what RemoveDomain would do.
func (c *Client) PlanRemoveDomain(ctx context.Context, domain string, revision int64) (*Plan, error) {
	return c.dryRun(ctx, call{method: http.MethodDelete, path: domainPath(domain), match: revision})
}

// VerifyDomain checks ownership now. A proof that is not found is no error:
// the result tells what was seen.
func (c *Client) VerifyDomain(ctx context.Context, domain, method string) (*VerifyResult, error) {
	out := new(VerifyResult)
	_, err := c.do(ctx, call{
		method: http.MethodPost, path: domainPath(domain) + "/verify", query: c.scoped(),
		body: map[string]string{"method": method},
	}, out)
	if err != nil {
		return nil, err
	}
	return out, nil
}

// SendVerificationMail sends the links that prove a domain by mail, to one of its
// Addresses or ("") to all. Links that are still good are sent again only with
// resend.
func (c *Client) SendVerificationMail(ctx context.Context, domain, address string, resend bool) (*VerifyResult, error) {
	out := new(VerifyResult)
	_, err := c.do(ctx, call{
		method: http.MethodPost, path: domainPath(domain) + "/verify", query: c.scoped(),
		body: struct {
			Method  string `json:"method"`
			Address string `json:"address,omitempty"`
			Resend  bool   `json:"resend,omitempty"`
		}{VerifyEmail, address, resend},
	}, out)
	if err != nil {
		return nil, err
	}
	return out, nil
}

// domainCall makes a call that answers {"domain_config": ...} or the domain
// itself.
func (c *Client) domainCall(ctx context.Context, k call, out *Domain) error {
	k.query = merge(c.scoped(), k.query)
	wrapped := wrap[Domain]{name: "domain_config", out: out}
	_, err := c.do(ctx, k, &wrapped)
	return err
}

func merge(a, b url.Values) url.Values {
	for k, v := range b {
		a[k] = v
	}
	return a
}
