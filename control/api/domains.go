package api

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/control/domains"
)

// Domain is a name that is served, and everything known of how.
type Domain struct {
	ID            string       `json:"id"`
	Domain        string       `json:"domain" doc:"A-labels, lower case"`
	Display       string       `json:"display" doc:"Unicode, for people"`
	Project       string       `json:"project_id"`
	Environment   string       `json:"environment"`
	Revision      int64        `json:"revision"`
	CreatedAt     time.Time    `json:"created_at"`
	UpdatedAt     time.Time    `json:"updated_at"`
	AutoConfigure bool         `json:"auto_configure"`
	CDN           string       `json:"cdn" doc:"Name of the CDN configuration"`
	RedirectHTTPS bool         `json:"redirect_https"`
	HSTS          *HSTS        `json:"hsts,omitempty"`
	TLS           *TLS         `json:"tls,omitempty"`
	Origin        string       `json:"origin" doc:"URL of the first origin of its CDN configuration"`
	Status        string       `json:"status" doc:"pending_verification, issuing, active or error"`
	URL           string       `json:"url" doc:"Where a browser finds it"`
	Verification  Verification `json:"verification"`
	Certificate   DomainCert   `json:"certificate"`
	Conditions    []Condition  `json:"conditions"`
	Rollout       Rollout      `json:"rollout"`

	Locked    bool         `json:"locked" doc:"It cannot be deleted, handed over, or lose its records"`
	DNS       DomainSetup  `json:"dns" doc:"How its records come to be; as of the last look"`
	ExpiresAt *time.Time   `json:"expires_at,omitempty" doc:"End of the registration, as the registry says"`
	Registrar string       `json:"registrar,omitempty"`
	LastEvent *DomainEvent `json:"last_event,omitempty"`
}

// HSTS is the Strict-Transport-Security header (RFC 6797).
type HSTS struct {
	MaxAge            int  `json:"max_age" minimum:"0" maximum:"63072000" doc:"Seconds; 0 takes the header away"`
	IncludeSubdomains bool `json:"include_subdomains,omitempty"`
	Preload           bool `json:"preload,omitempty"`
}

// Verification is the state of the proof of ownership and what to publish.
type Verification struct {
	Required    bool              `json:"required"`
	Status      string            `json:"status" doc:"verified, pending or not_required"`
	Method      string            `json:"method,omitempty" doc:"dns, file or email"`
	VerifiedAt  *time.Time        `json:"verified_at,omitempty"`
	CheckedAt   *time.Time        `json:"checked_at,omitempty"`
	NextCheckAt *time.Time        `json:"next_check_at,omitempty"`
	Records     []DNSRecord       `json:"records"`
	File        *VerificationFile `json:"file,omitempty"`
	Mail        *VerificationMail `json:"mail,omitempty" doc:"Where links were sent"`
	Addresses   []string          `json:"mail_addresses" doc:"Where links can be sent, with the method email"`
	LostAt      *time.Time        `json:"lost_at,omitempty" doc:"Since when the proof of a verified domain is gone"`
	ReleaseAt   *time.Time        `json:"release_at,omitempty" doc:"When the domain is released unless the proof comes back"`
}

// VerificationMail is the state of the proof by mail.
type VerificationMail struct {
	SentAt    time.Time  `json:"sent_at"`
	ExpiresAt *time.Time `json:"expires_at,omitempty" doc:"Absent: no link can be confirmed any more"`
	Links     []MailLink `json:"links"`
}

// MailLink is one link that was sent.
type MailLink struct {
	Address string `json:"address"`
	State   string `json:"state" doc:"sent, spent, expired or failed"`
	Error   string `json:"error,omitempty"`
}

// DNSRecord is a record to publish, and what resolvers answer now.
type DNSRecord struct {
	Purpose  string           `json:"purpose" doc:"ownership or routing"`
	Type     string           `json:"type"`
	Name     string           `json:"name" doc:"Relative to the zone, as most DNS panels want it"`
	FullName string           `json:"full_name"`
	Value    string           `json:"value"`
	TTL      int              `json:"ttl" doc:"Seconds; a suggestion"`
	Found    bool             `json:"found"`
	Seen     []ResolverAnswer `json:"seen"`
}

// ResolverAnswer is what one resolver said.
type ResolverAnswer struct {
	Resolver      string   `json:"resolver"`
	Authoritative bool     `json:"authoritative,omitempty" doc:"A name server of the zone itself"`
	Answers       []string `json:"answers"`
	Error         string   `json:"error,omitempty"`
}

// VerificationFile is a file to publish as proof.
type VerificationFile struct {
	URL     string `json:"url"`
	Content string `json:"content"`
	Found   bool   `json:"found"`
	Error   string `json:"error,omitempty"`
}

// DomainCert is a domain's certificate, in short.
type DomainCert struct {
	ID          string     `json:"id,omitempty"`
	State       string     `json:"state" doc:"none, issuing, valid, expiring, expired, failed or external"`
	Step        string     `json:"step,omitempty"`
	Type        string     `json:"type,omitempty"`
	Issuer      string     `json:"issuer,omitempty"`
	NotAfter    *time.Time `json:"not_after,omitempty"`
	DaysLeft    *int       `json:"days_left,omitempty"`
	Fingerprint string     `json:"fingerprint,omitempty"`
	Reason      string     `json:"reason,omitempty" doc:"Why there is none yet"`
	Fix         string     `json:"fix,omitempty"`
	NextAttempt *time.Time `json:"next_attempt,omitempty"`
}

// AddDomain is a domain to be added.
type AddDomain struct {
	BodyProject
	Domain        string `json:"domain" doc:"As a person writes it; IDN and pasted URLs are understood" maxLength:"2048"`
	AutoConfigure *bool  `json:"auto_configure,omitempty" doc:"Default: true. Let Edgewright do what it can by itself"`
	Origin        string `json:"origin,omitempty" doc:"URL of the origin; makes a CDN configuration named after the domain" maxLength:"2048"`
	CDN           string `json:"cdn,omitempty" doc:"Name of an existing CDN configuration. Default: default" maxLength:"253"`
	RedirectHTTPS *bool  `json:"redirect_https,omitempty" doc:"Default: true"`
	HSTS          *HSTS  `json:"hsts,omitempty"`
	TLS           *TLS   `json:"tls,omitempty"`
	DNS           string `json:"dns,omitempty" doc:"Who sets the records: managed (a zone of ours), provider (we, at the DNS provider, with stored credentials) or manual. Default: manual until chosen" maxLength:"20"`
	DNSAccount    string `json:"dns_account,omitempty" doc:"Stored credentials, by name, with dns provider" maxLength:"253"`
	Method        string `json:"method,omitempty" doc:"Preferred proof: dns, file or email" maxLength:"20"`
}

// DomainAdded is an added domain.
type DomainAdded struct {
	Domain               Domain `json:"domain_config"`
	VerificationRequired bool   `json:"verification_required"`
}

// DomainAnswer holds one domain.
type DomainAnswer struct {
	Domain Domain `json:"domain_config"`
}

// DomainList is a page of domains.
type DomainList struct {
	Domains    []Domain `json:"domains"`
	NextCursor string   `json:"next_cursor"`
}

// DomainPatch changes what is present.
type DomainPatch struct {
	AutoConfigure *bool   `json:"auto_configure,omitempty"`
	CDN           *string `json:"cdn,omitempty" maxLength:"253"`
	RedirectHTTPS *bool   `json:"redirect_https,omitempty"`
	HSTS          *HSTS   `json:"hsts,omitempty" doc:"max_age 0 takes the header away"`
	TLS           *TLS    `json:"tls,omitempty" doc:"Replaces what is there; {} is the default"`
	DNS           *string `json:"dns,omitempty" maxLength:"20" doc:"managed, provider or manual"`
	DNSAccount    *string `json:"dns_account,omitempty" maxLength:"253"`
	Method        *string `json:"method,omitempty" maxLength:"20" doc:"Preferred proof: dns, file or email"`
}

// Verify asks for a check now.
type Verify struct {
	Method  string `json:"method" doc:"dns, file or email" maxLength:"20"`
	Address string `json:"address,omitempty" doc:"With email: one of mail_addresses. Default: all of them" maxLength:"320"`
	Resend  bool   `json:"resend,omitempty" doc:"With email: send again though links are still good"`
}

// Verified is the outcome of a check.
type Verified struct {
	Verified bool              `json:"verified"`
	Records  []DNSRecord       `json:"dns_records"`
	File     *VerificationFile `json:"file,omitempty"`
	Domain   Domain            `json:"domain_config"`
}

type listDomainsInput struct {
	InProject
	InPage
}

type addDomainInput struct {
	InProject
	InDryRun
	InKey
	Body AddDomain
}

func (in addDomainInput) bodyScopeNames() (project, environment string) {
	return in.Body.ProjectID, in.Body.Environment
}

// DomainPath names a domain of an environment in the path.
type DomainPath struct {
	InProject
	Domain string `path:"domain" doc:"The name, in A-labels or Unicode" maxLength:"512"`
}

type patchDomainInput struct {
	DomainPath
	InDryRun
	InMatch
	Body DomainPatch
}

type deleteDomainInput struct {
	DomainPath
	InDryRun
	InMatch
	Consent bool `query:"consent" doc:"Its records at a DNS provider may go, though they are much of the zone"`
	Leave   bool `query:"leave_records" doc:"Its records at a DNS provider stay"`
}

type verifyDomainInput struct {
	DomainPath
	InKey
	Body Verify
}

func (s *Server) addDomains() {
	const tag, path = "Domains", infrastructure + "/domains"
	add(s, op{
		method: http.MethodGet, path: path, id: "domains-list", tag: tag, summary: "Domains of an environment",
		level: onProject, resource: access.Domains, verb: access.Read, answers: []answerDoc{{http.StatusOK, DomainList{}, ""}},
	}, s.listDomains)
	add(s, op{
		method: http.MethodPost, path: path, id: "domains-add", tag: tag, summary: "Add a domain",
		level: onProject, resource: access.Domains, verb: access.Write, answers: []answerDoc{{http.StatusCreated, DomainAdded{}, ""}},
	}, s.addDomain)
	add(s, op{
		method: http.MethodGet, path: path + "/{domain}", id: "domains-get", tag: tag, summary: "One domain",
		level: onProject, resource: access.Domains, verb: access.Read, answers: []answerDoc{{http.StatusOK, DomainAnswer{}, ""}},
	}, s.getDomain)
	add(s, op{
		method: http.MethodPatch, path: path + "/{domain}", id: "domains-update", tag: tag, summary: "Change a domain",
		level: onProject, resource: access.Domains, verb: access.Write, answers: []answerDoc{{http.StatusOK, DomainAnswer{}, ""}},
	}, s.updateDomain)
	add(s, op{
		method: http.MethodDelete, path: path + "/{domain}", id: "domains-remove", tag: tag, summary: "Remove a domain",
		doc:   "With dns provider, the records that were set are removed from then on: see dns-placements-list. A dry run lists them as warnings.",
		level: onProject, resource: access.Domains, verb: access.Delete, timeout: providerTimeout, answers: []answerDoc{{http.StatusNoContent, nil, ""}},
	}, s.removeDomain)
	add(s, op{
		method: http.MethodPost, path: path + "/{domain}/verify", id: "domains-verify", tag: tag, summary: "Check ownership now",
		doc:   "A proof that is not found is no error: the answer tells what was seen.",
		level: onProject, resource: access.Domains, verb: access.Write, audit: "domain.verify",
		answers: []answerDoc{{http.StatusOK, Verified{}, ""}},
	}, s.verifyDomain)
}

func (s *Server) domainAnswer(ctx context.Context, d domains.Domain, err error) (*answer, error) {
	if err != nil {
		return nil, err
	}
	out, err := s.viewer().domain(ctx, d)
	if err != nil {
		return nil, err
	}
	return &answer{ETag: etag(d.Revision), Body: DomainAnswer{out}}, nil
}

func (s *Server) listDomains(ctx context.Context, c *call, in *listDomainsInput) (*answer, error) {
	list, next, err := s.domains.List(ctx, c.project, c.environment, in.Limit, in.Cursor)
	if err != nil {
		return nil, err
	}
	out := DomainList{Domains: []Domain{}, NextCursor: next}
	view := s.viewer()
	for _, d := range list {
		shown, err := view.domain(ctx, d)
		if err != nil {
			return nil, err
		}
		out.Domains = append(out.Domains, shown)
	}
	return &answer{Body: out}, nil
}

func (s *Server) addDomain(ctx context.Context, c *call, in *addDomainInput) (*answer, error) {
	b := in.Body
	if b.Origin != "" && !c.principal.Can(c.project, access.CDN, access.Write) {
		return nil, s.refuse(c.principal, op{resource: access.CDN, verb: access.Write})
	}
	spec, err := raw(domainSpec{AutoConfigure: orTrue(b.AutoConfigure), CDN: b.CDN, RedirectHTTPS: orTrue(b.RedirectHTTPS), HSTS: b.HSTS.wanted(), TLS: b.TLS.wanted(), DNS: b.DNS, DNSAccount: b.DNSAccount, Method: b.Method})
	if err != nil {
		return nil, err
	}
	request := domains.AddRequest{Project: c.project, Environment: c.environment, Domain: b.Domain, Spec: spec, OriginURL: b.Origin}
	if c.dryRun {
		return planAnswer(s.domains.PlanAdd(ctx, request))
	}
	d, err := s.domains.Add(ctx, request, c.cause)
	if err != nil {
		return nil, err
	}
	out, err := s.viewer().domain(ctx, d)
	if err != nil {
		return nil, err
	}
	return &answer{
		ETag: etag(d.Revision), Location: infrastructure + "/domains/" + url.PathEscape(d.Name),
		Body: DomainAdded{Domain: out, VerificationRequired: !d.Status.Verified},
	}, nil
}

// domainSpec is the part of domains.Spec that requests carry.
type domainSpec struct {
	AutoConfigure bool   `json:"auto_configure"`
	CDN           string `json:"cdn,omitempty"`
	RedirectHTTPS bool   `json:"redirect_https"`
	HSTS          *HSTS  `json:"hsts,omitempty"`
	TLS           *TLS   `json:"tls,omitempty"`
	DNS           string `json:"dns,omitempty"`
	DNSAccount    string `json:"dns_account,omitempty"`
	Method        string `json:"method,omitempty"`
}

func orTrue(b *bool) bool { return b == nil || *b }

// wanted is nil for a header that is not wanted.
func (h *HSTS) wanted() *HSTS {
	if h == nil || h.MaxAge == 0 {
		return nil
	}
	return h
}

func (s *Server) getDomain(ctx context.Context, c *call, in *DomainPath) (*answer, error) {
	d, err := s.domains.Get(ctx, c.project, c.environment, in.Domain)
	return s.domainAnswer(ctx, d, err)
}

func (s *Server) updateDomain(ctx context.Context, c *call, in *patchDomainInput) (*answer, error) {
	fields := map[string]any{}
	if v := in.Body.AutoConfigure; v != nil {
		fields["auto_configure"] = *v
	}
	if v := in.Body.CDN; v != nil {
		fields["cdn"] = *v
	}
	if v := in.Body.RedirectHTTPS; v != nil {
		fields["redirect_https"] = *v
	}
	if v := in.Body.HSTS; v != nil {
		fields["hsts"] = v.wanted()
	}
	if v := in.Body.TLS; v != nil {
		fields["tls"] = v.wanted()
	}
	for name, v := range map[string]*string{"dns": in.Body.DNS, "dns_account": in.Body.DNSAccount, "method": in.Body.Method} {
		if v != nil {
			fields[name] = *v
		}
	}
	patch, err := raw(fields)
	if err != nil {
		return nil, err
	}
	if c.dryRun {
		return planAnswer(s.domains.PlanUpdate(ctx, c.project, c.environment, in.Domain, patch, c.ifRevision))
	}
	d, err := s.domains.Update(ctx, c.project, c.environment, in.Domain, patch, c.ifRevision, c.cause)
	return s.domainAnswer(ctx, d, err)
}

func (s *Server) removeDomain(ctx context.Context, c *call, in *deleteDomainInput) (*answer, error) {
	leaving := domains.Leaving{Consent: in.Consent, Leave: in.Leave}
	if !c.dryRun {
		return &answer{}, s.domains.RemoveLeaving(ctx, c.project, c.environment, in.Domain, c.ifRevision, leaving, c.cause)
	}
	plan, err := s.domains.PlanRemove(ctx, c.project, c.environment, in.Domain, c.ifRevision)
	if err == nil {
		err = s.domains.WarnRecords(ctx, &plan, c.project, c.environment, in.Domain, leaving)
	}
	return planAnswer(plan, err)
}

func (s *Server) verifyDomain(ctx context.Context, c *call, in *verifyDomainInput) (*answer, error) {
	if in.Body.Method == domains.MethodEmail && (in.Body.Address != "" || in.Body.Resend) {
		if _, err := s.domains.SendMail(ctx, c.project, c.environment, in.Domain, in.Body.Address, in.Body.Resend); err != nil {
			return nil, err
		}
	}
	result, err := s.domains.Verify(ctx, c.project, c.environment, in.Domain, in.Body.Method)
	if err != nil {
		return nil, err
	}
	out, err := s.viewer().domain(ctx, result.Domain)
	if err != nil {
		return nil, err
	}
	c.target = "domain " + result.Domain.ID
	c.detail = map[string]any{"method": in.Body.Method, "verified": result.Verified}
	return &answer{
		ETag: etag(result.Domain.Revision),
		Body: Verified{Verified: result.Verified, Records: recordsOf(result.Records), File: fileOf(result.File), Domain: out},
	}, nil
}
