package api

import (
	"context"
	"net"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/idna"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/domains"
	"github.com/edgewright/edgewright/control/fleet"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// viewer composes what several rooms know into one answer. One serves one
// request, so that what domains share is read once.
type viewer struct {
	s       *Server
	origins map[string]string // project/environment/cdn -> URL of its first origin
	users   map[string][]site // CDN configuration -> who uses it, in the one environment asked for
}

// site is what little of a domain is needed to find its documents and traffic.
type site struct{ id, name, project, environment, cdn string }

// eachSite calls fn for every domain of an environment, of a project with
// environment "", of all with project "".
func (s *Server) eachSite(ctx context.Context, project, environment string, fn func(site)) error {
	return s.eachDomain(ctx, project, environment, func(r resource.Resource) error {
		d, err := domains.Decode(r)
		if err != nil {
			return fault.New(fault.Internal, "a stored domain cannot be read: %w", err).About("domain " + r.Name)
		}
		fn(site{id: r.ID, name: r.Name, project: r.Project, environment: r.Environment, cdn: d.Spec.CDN})
		return nil
	})
}

func (s *Server) eachDomain(ctx context.Context, project, environment string, fn func(resource.Resource) error) error {
	q := resource.Query{Kind: domains.Kind, Project: project, Environment: environment, Limit: 1000}
	for {
		page, err := s.store.List(ctx, q)
		if err != nil {
			return err
		}
		for _, r := range page.Items {
			if err := fn(r); err != nil {
				return err
			}
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			return nil
		}
	}
}

func (s *Server) viewer() *viewer { return &viewer{s: s, origins: map[string]string{}} }

// The states of a domain as a whole.
const (
	domainPending = "pending_verification"
	domainIssuing = "issuing"
	domainActive  = "active"
	domainError   = "error"
)

func (v *viewer) domain(ctx context.Context, d domains.Domain) (Domain, error) {
	origin, err := v.origin(ctx, d)
	if err != nil {
		return Domain{}, err
	}
	cert, err := v.certificateOf(ctx, d)
	if err != nil {
		return Domain{}, err
	}
	out := Domain{
		ID: d.ID, Domain: d.Name, Display: display(d.Name), Project: d.Project, Environment: d.Environment, Revision: d.Revision,
		CreatedAt: d.CreatedAt, UpdatedAt: d.UpdatedAt, AutoConfigure: d.Spec.AutoConfigure, CDN: d.Spec.CDN, RedirectHTTPS: d.Spec.RedirectHTTPS,
		Origin: origin, URL: v.s.siteURL(d.Name), Verification: v.s.verificationOf(d), Certificate: cert,
		Conditions: conditionsOf(d.Status.Conditions), Rollout: v.s.documentRollout(edgeconfig.KindSite + "/" + d.ID),
	}
	out.Locked, out.DNS = d.Spec.Locked, *setupOf(d, d.Status.Setup)
	if st := d.Status.Registry; st != nil {
		out.ExpiresAt, out.Registrar = st.ExpiresAt, st.Registrar
	}
	if n := len(d.Status.Events); n > 0 {
		last := DomainEvent(d.Status.Events[n-1])
		out.LastEvent = &last
	}
	if h := d.Spec.HSTS; h != nil {
		out.HSTS = &HSTS{MaxAge: h.MaxAge, IncludeSubdomains: h.IncludeSubdomains, Preload: h.Preload}
	}
	out.TLS = tlsOf(d.Spec.TLS)
	out.Status = domainStatus(out)
	return out, nil
}

// domainStatus is the one word on a domain, the first that is not well.
func domainStatus(d Domain) string {
	switch certificates.State(d.Certificate.State) {
	case certificates.StateValid, certificates.StateExpiring, certificates.StateExternal:
	case certificates.StateFailed, certificates.StateExpired:
		if d.Verification.Status != "pending" {
			return domainError
		}
		return domainPending
	default:
		if d.Verification.Status != "pending" {
			return domainIssuing
		}
		return domainPending
	}
	switch {
	case d.Verification.Status == "pending":
		return domainPending
	case d.Origin == "", d.Rollout.Rejected > 0:
		return domainError
	}
	return domainActive
}

func (v *viewer) origin(ctx context.Context, d domains.Domain) (string, error) {
	key := d.Project + "/" + d.Environment + "/" + d.Spec.CDN
	if url, ok := v.origins[key]; ok {
		return url, nil
	}
	c, err := v.s.cdn.Get(ctx, d.Project, d.Environment, d.Spec.CDN)
	if err != nil && !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Invalid) { // a name that none can have
		return "", err
	}
	url := ""
	if err == nil && len(c.Spec.Origins) > 0 {
		url = c.Spec.Origins[0].URL
	}
	v.origins[key] = url
	return url, nil
}

func (v *viewer) certificateOf(ctx context.Context, d domains.Domain) (DomainCert, error) {
	c, err := v.s.certificates.Get(ctx, d.Project, d.Environment, d.Name)
	if fault.Is(err, fault.NotFound) {
		return DomainCert{State: string(certificates.StateNone), Reason: "there is no certificate yet"}, nil
	}
	if err != nil {
		return DomainCert{}, err
	}
	full := v.s.certificateOf(c)
	return DomainCert{
		ID: full.ID, State: full.State, Step: full.Step, Type: full.Type, Issuer: full.Issuer, NotAfter: full.NotAfter, DaysLeft: full.DaysLeft,
		Fingerprint: full.Fingerprint, Reason: full.Reason, Fix: full.Fix, NextAttempt: full.NextAttempt,
	}, nil
}

func (s *Server) verificationOf(d domains.Domain) Verification {
	st := d.Status
	out := Verification{
		Mail: mailOf(st.Mail, s.now()), Addresses: []string{}, LostAt: st.LostAt, ReleaseAt: st.ReleaseAt,
		Required: st.Method != domains.MethodNotRequired, Method: st.Method, VerifiedAt: st.VerifiedAt, CheckedAt: st.CheckedAt,
		NextCheckAt: st.NextCheckAt, Records: recordsOf(st.Records), File: fileOf(st.File), Status: "pending",
	}
	switch {
	case st.Verified && !out.Required:
		out.Status, out.Method = "not_required", ""
	case st.Verified:
		out.Status = "verified"
	}
	if len(st.Records) > 0 { // names that need no proof have none
		out.Addresses = append(out.Addresses, domains.MailAddresses(d.Name)...)
	}
	return out
}

func mailOf(m *domains.Mail, now time.Time) *VerificationMail {
	if m == nil {
		return nil
	}
	out := &VerificationMail{SentAt: m.SentAt, Links: []MailLink{}}
	for _, l := range m.Links {
		link := MailLink{Address: l.Address, State: "sent", Error: l.Error}
		switch {
		case l.Error != "":
			link.State = "failed"
		case l.Hash == "":
			link.State = "spent"
		case !now.Before(l.ExpiresAt):
			link.State = "expired"
		default:
			out.ExpiresAt = timeOrNil(l.ExpiresAt)
		}
		out.Links = append(out.Links, link)
	}
	return out
}

func recordsOf(list []domains.DNSRecord) []DNSRecord {
	out := make([]DNSRecord, 0, len(list))
	for _, r := range list {
		record := DNSRecord{
			Purpose: r.Purpose, Type: r.Type, Name: r.Name, FullName: r.FullName, Value: r.Value, TTL: r.TTL, Found: r.Found, Seen: seenOf(r.Seen),
		}
		out = append(out, record)
	}
	return out
}

func fileOf(f *domains.File) *VerificationFile {
	if f == nil {
		return nil
	}
	return &VerificationFile{URL: f.URL, Content: f.Content, Found: f.Found, Error: f.Error}
}

// display is a name as people read it.
func display(name string) string {
	star, base := "", name
	if rest, ok := strings.CutPrefix(name, "*."); ok {
		star, base = "*.", rest
	}
	unicode, err := idna.Display.ToUnicode(base)
	if err != nil {
		return name
	}
	return star + unicode
}

// siteURL is where a browser finds a site; a wildcard has no one place.
func (s *Server) siteURL(name string) string {
	if strings.HasPrefix(name, "*.") {
		return ""
	}
	port := 443
	if s.options.HTTPSPort != nil {
		port = s.options.HTTPSPort()
	}
	if port == 443 || port == 0 {
		return "https://" + name
	}
	return "https://" + net.JoinHostPort(name, strconv.Itoa(port))
}

func (s *Server) documentRollout(key string) Rollout {
	if s.fleet == nil {
		return Rollout{}
	}
	return rolloutOf(s.fleet.DocumentState(key))
}

func (s *Server) revisionRollout(revision int64) Rollout {
	if s.fleet == nil {
		return Rollout{}
	}
	return rolloutOf(s.fleet.Rollout(revision))
}

func rolloutOf(r fleet.Rollout) Rollout {
	out := Rollout{Documents: r.Documents, Edges: r.Edges, Pending: r.Pending, Applied: r.Applied, Verified: r.Verified, Rejected: r.Rejected}
	for _, id := range r.Waiting {
		out.PerEdge = append(out.PerEdge, EdgeRollout{Edge: id, State: string(pendingState)})
	}
	for _, rejection := range r.Rejections {
		out.PerEdge = append(out.PerEdge, EdgeRollout{Edge: rejection.Edge, State: string(edgeconfig.Rejected), Reason: rejection.Reason})
	}
	return out
}

// pendingState is what an edge's part of a roll-out is in before it answers.
const pendingState edgeconfig.AckState = "pending"

func (s *Server) certificateOf(c certificates.Certificate) Certificate {
	st := c.Status
	out := Certificate{
		ID: c.ID, Domain: c.Name, Domains: append([]string{}, c.Spec.Domains...), Names: append([]string{}, st.Names...), Project: c.Project,
		Environment: c.Environment, Revision: c.Revision, CreatedAt: c.CreatedAt, UpdatedAt: c.UpdatedAt, Type: string(c.Spec.Type),
		AutoRenew: c.Spec.AutoRenew, KeyType: string(c.Spec.KeyType), State: string(st.State), Step: st.Step, StartedAt: st.StartedAt,
		Issuer: st.Issuer, NotBefore: st.NotBefore, NotAfter: st.NotAfter, Serial: st.Serial, Fingerprint: st.Fingerprint,
		Failures: st.Failures, NextAttempt: st.NextAttempt, RenewAt: st.RenewAt, Conditions: conditionsOf(st.Conditions),
	}
	out.Authority, out.WantedCA, out.Challenge, out.Profile = st.Authority, c.Spec.Authority, string(c.Spec.Challenge), c.Spec.Profile
	out.MustStaple, out.PinKey, out.Takeover = c.Spec.MustStaple, c.Spec.PinKey, c.Spec.Takeover
	out.Uploaded = st.IssuedType == certificates.TypeCustom
	out.IssuedAt, out.RenewBy, out.Events = st.IssuedAt, st.RenewBy, []CertificateEvent{}
	for _, e := range st.Events {
		out.Events = append(out.Events, CertificateEvent(e))
	}
	if st.Revoked != nil {
		out.RevokedAt, out.Revocation = &st.Revoked.At, st.Revoked.Reason
	}
	if st.Staple != nil {
		out.StapledTil = &st.Staple.NextUpdate
	}
	if out.State == "" {
		out.State = string(certificates.StateNone)
	}
	if st.NotAfter != nil && st.NotBefore != nil && st.NotAfter.After(*st.NotBefore) {
		left := min(max(float64(st.NotAfter.Sub(s.now()))/float64(st.NotAfter.Sub(*st.NotBefore)), 0), 1)
		out.LifeLeft = &left
	}
	if st.NotAfter != nil {
		days := int(st.NotAfter.Sub(s.now()) / (24 * time.Hour))
		out.DaysLeft = &days
	}
	switch {
	case st.LastError != nil:
		out.Reason, out.Fix = st.LastError.Message, st.LastError.Fix
	case st.State == certificates.StateNone || st.State == "":
		out.Reason = certificates.Describe(c)
	}
	return out
}
