package api

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/certificates/custom"
	"github.com/edgewright/edgewright/control/certificates/pki"
	"github.com/edgewright/edgewright/control/certificates/provision"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// ChainLink is one certificate of a chain.
type ChainLink struct {
	Subject     string    `json:"subject"`
	Issuer      string    `json:"issuer"`
	NotBefore   time.Time `json:"not_before"`
	NotAfter    time.Time `json:"not_after"`
	Serial      string    `json:"serial" doc:"Lower-case hex"`
	Fingerprint string    `json:"fingerprint" doc:"Lower-case hex SHA-256"`
	Key         string    `json:"key" doc:"Algorithm of its key"`
	Signature   string    `json:"signature" doc:"Algorithm it was signed with"`
	OCSP        []string  `json:"ocsp,omitempty" doc:"Responders that it names"`
	CRL         []string  `json:"crl,omitempty" doc:"Lists of revoked certificates that it names"`
}

// CertificateDetail is a certificate with its chain and where it is served.
type CertificateDetail struct {
	Certificate Certificate `json:"certificate"`
	Chain       []ChainLink `json:"chain" doc:"Leaf first"`
	ChainPEM    string      `json:"chain_pem,omitempty"`
	Rollout     Rollout     `json:"rollout" doc:"How many edges serve it"`
}

// CertificatePatch changes settings. What is left out stays.
type CertificatePatch struct {
	AutoRenew  *bool    `json:"auto_renew,omitempty"`
	Takeover   *bool    `json:"takeover,omitempty" doc:"For uploaded ones: let an automatic certificate follow at its end"`
	PinKey     *bool    `json:"pin_key,omitempty"`
	MustStaple *bool    `json:"must_staple,omitempty"`
	KeyType    *string  `json:"key_type,omitempty" maxLength:"20"`
	Challenge  *string  `json:"challenge,omitempty" doc:"Empty: chosen by itself" maxLength:"20"`
	Profile    *string  `json:"profile,omitempty" doc:"Empty: the CA's setting" maxLength:"64"`
	Authority  *string  `json:"authority,omitempty" doc:"Empty: those of the platform in their order" maxLength:"64"`
	Domains    []string `json:"domains,omitempty" doc:"All names, the domain first" maxItems:"100"`
}

// Revocation asks for a certificate to be revoked.
type Revocation struct {
	Reason string `json:"reason,omitempty" doc:"unspecified, key_compromise, affiliation_changed, superseded or cessation_of_operation" maxLength:"40"`
}

// ExportWish asks for a certificate with its private key.
type ExportWish struct {
	Password string `json:"password,omitempty" doc:"Given: PKCS #12 protected by it, at least 12 characters; else PEM" maxLength:"1024"`
}

// ExportedCertificate is a certificate with its private key.
type ExportedCertificate struct {
	Domain   string `json:"domain"`
	ChainPEM string `json:"chain_pem"`
	KeyPEM   string `json:"key_pem,omitempty"`
	PKCS12   []byte `json:"pkcs12,omitempty" doc:"In base64"`
}

// ReadinessCheck is one thing that was looked at.
type ReadinessCheck struct {
	Check     string `json:"check" doc:"ownership, address, port, caa, dnssec, proof, profile or budget"`
	Subject   string `json:"subject,omitempty" doc:"The host name"`
	Authority string `json:"authority,omitempty" doc:"The CA, where it is about one"`
	State     string `json:"state" doc:"passed, failed, warning or unknown"`
	Detail    string `json:"detail"`
	Fix       string `json:"fix,omitempty"`
}

// Readiness tells whether an order would succeed.
type Readiness struct {
	Ready  bool             `json:"ready" doc:"At least one CA could issue now"`
	Checks []ReadinessCheck `json:"checks"`
}

// CSRSubject is who asks, for certificates that name the holder.
type CSRSubject struct {
	CommonName   string `json:"common_name,omitempty" doc:"Default: the domain" maxLength:"64"`
	Organization string `json:"organization,omitempty" maxLength:"64"`
	Unit         string `json:"unit,omitempty" maxLength:"64"`
	Country      string `json:"country,omitempty" doc:"Two letters" maxLength:"2"`
	State        string `json:"state,omitempty" maxLength:"128"`
	Locality     string `json:"locality,omitempty" maxLength:"128"`
}

// NewCSR asks for a certificate request.
type NewCSR struct {
	Domains []string   `json:"domains,omitempty" doc:"Further names" maxItems:"100"`
	KeyType string     `json:"key_type,omitempty" doc:"Default: p256" maxLength:"20"`
	Subject CSRSubject `json:"subject,omitempty"`
}

// CSR is a certificate request whose key stays here.
type CSR struct {
	ID        string    `json:"id"`
	Domains   []string  `json:"domains"`
	KeyType   string    `json:"key_type"`
	CreatedAt time.Time `json:"created_at"`
	PEM       string    `json:"csr_pem"`
}

// CSRList is the open requests of a domain.
type CSRList struct {
	Requests []CSR `json:"requests"`
}

type patchCertificateInput struct {
	DomainPath
	InDryRun
	InMatch
	Body CertificatePatch
}

type renewInput struct {
	DomainPath
	InKey
}

type revokeCertificateInput struct {
	DomainPath
	InDryRun
	InKey
	Body Revocation
}

type exportCertificateInput struct {
	DomainPath
	Body ExportWish
}

type preflightInput struct {
	DomainPath
	Names     []string `query:"names" doc:"Further names, as for the certificate" maxItems:"100"`
	Challenge string   `query:"challenge" doc:"http-01, tls-alpn-01 or dns-01. Default: what works" maxLength:"20"`
}

type csrInput struct {
	DomainPath
	InKey
	Body NewCSR
}

func (s *Server) addCertificateActions() {
	const tag, path = "Certificates", infrastructure + "/ssl/{domain}"
	add(s, op{
		method: http.MethodPatch, path: path, id: "certificates-update", tag: tag, summary: "Change a certificate's settings",
		doc:   "What is in the certificate itself makes it be issued anew, while the present one is served.",
		level: onProject, resource: access.Certificates, verb: access.Write, answers: []answerDoc{{http.StatusOK, CertificateAnswer{}, ""}},
	}, s.updateCertificate)
	add(s, op{
		method: http.MethodPost, path: path + "/renew", id: "certificates-renew", tag: tag, summary: "Get a new certificate before the present one is due",
		level: onProject, resource: access.Certificates, verb: access.Write, timeout: 90 * time.Second,
		answers: []answerDoc{{http.StatusOK, Provisioned{}, "It is there"}, {http.StatusAccepted, Provisioned{}, "Issuance goes on"}},
	}, s.renewCertificate)
	add(s, op{
		method: http.MethodPost, path: path + "/revoke", id: "certificates-revoke", tag: tag, summary: "Have a certificate replaced and revoked",
		doc:   "Another one with another key is issued first; then the present one is revoked at its CA, or at once when that fails.",
		level: onProject, resource: access.Certificates, verb: access.Delete, timeout: 90 * time.Second,
		answers: []answerDoc{{http.StatusOK, Provisioned{}, "Another one is in its place"}, {http.StatusAccepted, Provisioned{}, "Issuance goes on"}},
	}, s.revokeCertificate)
	add(s, op{
		method: http.MethodPost, path: path + "/export", id: "certificates-export", tag: tag, summary: "Take out a certificate with its private key",
		doc:   "For owners. Every export is in the audit log.",
		level: onProject, resource: access.PrivateKeys, verb: access.Read, noKey: true, audit: "certificate.export",
		answers: []answerDoc{{http.StatusOK, ExportedCertificate{}, ""}},
	}, s.exportCertificate)
	add(s, op{
		method: http.MethodGet, path: path + "/preflight", id: "certificates-preflight", tag: tag, summary: "Look whether a certificate could be issued",
		doc:   "Makes no order. Looks at ownership, DNS, CAA, DNSSEC, ports and the budget at each CA.",
		level: onProject, resource: access.Certificates, verb: access.Read, timeout: 60 * time.Second, answers: []answerDoc{{http.StatusOK, Readiness{}, ""}},
	}, s.preflight)
	add(s, op{
		method: http.MethodPost, path: path + "/csr", id: "certificates-csr", tag: tag, summary: "Make a certificate request for a CA of one's own",
		doc:   "The key is made here and stays here. Upload the certificate that the CA makes of it without a key.",
		level: onProject, resource: access.Certificates, verb: access.Write, audit: "certificate.csr", answers: []answerDoc{{http.StatusCreated, CSR{}, ""}},
	}, s.newCSR)
	add(s, op{
		method: http.MethodGet, path: path + "/csr", id: "certificates-csr-list", tag: tag, summary: "The last certificate requests of a domain",
		level: onProject, resource: access.Certificates, verb: access.Read, answers: []answerDoc{{http.StatusOK, CSRList{}, ""}},
	}, s.listCSR)
}

func linkOf(c *x509.Certificate) ChainLink {
	sum := sha256.Sum256(c.Raw)
	return ChainLink{
		Subject: c.Subject.String(), Issuer: c.Issuer.String(), NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(),
		Serial: hex.EncodeToString(c.SerialNumber.Bytes()), Fingerprint: hex.EncodeToString(sum[:]),
		Key: c.PublicKeyAlgorithm.String(), Signature: c.SignatureAlgorithm.String(), OCSP: c.OCSPServer, CRL: c.CRLDistributionPoints,
	}
}

// certificateDetail adds to a certificate what only its own page shows.
func (s *Server) certificateDetail(ctx context.Context, c certificates.Certificate) (*answer, error) {
	chain, err := s.certificates.Chain(ctx, c)
	if err != nil {
		return nil, err
	}
	out := CertificateDetail{Certificate: s.certificateOf(c), Chain: []ChainLink{}}
	out.Certificate.Served = s.servedBy(c)
	if s.fleet != nil {
		out.Rollout = rolloutOf(s.fleet.DocumentState(edgeconfig.KindCertificate + "/" + c.ID))
	}
	var text strings.Builder
	for _, link := range chain {
		out.Chain = append(out.Chain, linkOf(link))
		text.WriteString(encodePEM(link.Raw))
	}
	out.ChainPEM = text.String()
	return &answer{ETag: etag(c.Revision), Body: out}, nil
}

func settingsOf(p CertificatePatch) provision.Settings {
	set := provision.Settings{
		AutoRenew: p.AutoRenew, Takeover: p.Takeover, PinKey: p.PinKey, MustStaple: p.MustStaple, Profile: p.Profile, Authority: p.Authority, Domains: p.Domains,
	}
	if p.KeyType != nil {
		typ := pki.KeyType(*p.KeyType)
		set.KeyType = &typ
	}
	if p.Challenge != nil {
		challenge := certificates.Challenge(*p.Challenge)
		set.Challenge = &challenge
	}
	return set
}

func (s *Server) updateCertificate(ctx context.Context, c *call, in *patchCertificateInput) (*answer, error) {
	set := settingsOf(in.Body)
	if c.dryRun {
		return planAnswer(s.certificates.PlanChange(ctx, c.project, c.environment, in.Domain, set, c.ifRevision))
	}
	return s.certificateAnswer(s.certificates.Change(ctx, c.project, c.environment, in.Domain, set, c.ifRevision, c.cause))
}

// issued answers with a certificate that was waited for.
func (s *Server) issued(ctx context.Context, made certificates.Certificate, err error) (*answer, error) {
	if err != nil {
		return nil, err
	}
	out := Provisioned{Certificate: s.certificateOf(made), ExpiresAt: made.Status.NotAfter}
	if operationState(made, made.Revision) == operationSucceeded {
		return &answer{ETag: etag(made.Revision), Body: out}, nil
	}
	operation, err := s.startIssue(ctx, made)
	if err != nil {
		return nil, err
	}
	out.Operation = &operation
	return &answer{Status: http.StatusAccepted, ETag: etag(made.Revision), Location: infrastructure + "/operations/" + operation.ID, Body: out}, nil
}

func (s *Server) renewCertificate(ctx context.Context, c *call, in *renewInput) (*answer, error) {
	wait, cancel := context.WithTimeout(ctx, s.issueWait)
	defer cancel()
	made, err := s.certificates.Renew(wait, c.project, c.environment, in.Domain, provision.Settings{}, c.cause)
	return s.issued(ctx, made, err)
}

// renewWith renews with what else was asked for.
func (s *Server) renewWith(ctx context.Context, c *call, in *provisionInput) (*answer, error) {
	b := in.Body
	patch := CertificatePatch{
		AutoRenew: b.AutoRenew, PinKey: b.PinKey, MustStaple: b.MustStaple, KeyType: given(b.KeyType), Challenge: given(b.Challenge),
		Profile: given(b.Profile), Authority: given(b.Authority), Domains: certificates.Named(in.Domain, b.Domains),
	}
	set := settingsOf(patch)
	set.Type = certificates.CertType(b.Type)
	if c.dryRun {
		return planAnswer(s.certificates.PlanRenew(ctx, c.project, c.environment, in.Domain, set))
	}
	wait, cancel := context.WithTimeout(ctx, s.issueWait)
	defer cancel()
	made, err := s.certificates.Renew(wait, c.project, c.environment, in.Domain, set, c.cause)
	return s.issued(ctx, made, err)
}

// given is a word that was sent, nil when it was not.
func given(word string) *string {
	if word == "" {
		return nil
	}
	return &word
}

func (s *Server) revokeCertificate(ctx context.Context, c *call, in *revokeCertificateInput) (*answer, error) {
	if c.dryRun {
		return planAnswer(s.certificates.PlanRevoke(ctx, c.project, c.environment, in.Domain, in.Body.Reason))
	}
	wait, cancel := context.WithTimeout(ctx, s.issueWait)
	defer cancel()
	made, err := s.certificates.Revoke(wait, c.project, c.environment, in.Domain, in.Body.Reason, c.cause)
	return s.issued(ctx, made, err)
}

func (s *Server) exportCertificate(ctx context.Context, c *call, in *exportCertificateInput) (*answer, error) {
	out, cert, err := s.certificates.Export(ctx, c.project, c.environment, in.Domain, in.Body.Password)
	if err != nil {
		return nil, err
	}
	c.target = "certificate " + cert.ID
	c.detail = map[string]any{"domain": cert.Name, "serial": cert.Status.Serial, "pkcs12": in.Body.Password != ""}
	return &answer{Body: ExportedCertificate{Domain: cert.Name, ChainPEM: out.ChainPEM, KeyPEM: out.KeyPEM, PKCS12: out.PKCS12}}, nil
}

// known refuses names of which this project has no domain.
func (s *Server) known(ctx context.Context, c *call, domain string) error {
	if certificates.Address(domain) {
		return nil
	}
	_, err := s.domains.Get(ctx, c.project, c.environment, domain)
	if base, wildcard := strings.CutPrefix(domain, "*."); wildcard && fault.Is(err, fault.NotFound) {
		_, err = s.domains.Get(ctx, c.project, c.environment, base)
	}
	return err
}

func (s *Server) preflight(ctx context.Context, c *call, in *preflightInput) (*answer, error) {
	if err := s.known(ctx, c, in.Domain); err != nil {
		return nil, err
	}
	names := slices.DeleteFunc(slices.Clone(in.Names), func(n string) bool { return n == "" })
	found, err := s.certificates.CheckReadiness(ctx, c.project, c.environment, in.Domain, names, certificates.Challenge(in.Challenge))
	if err != nil {
		return nil, err
	}
	out := Readiness{Ready: found.Ready, Checks: []ReadinessCheck{}}
	for _, k := range found.Checks {
		out.Checks = append(out.Checks, ReadinessCheck{Check: k.Name, Subject: k.Subject, Authority: k.Authority, State: string(k.State), Detail: k.Detail, Fix: k.Fix})
	}
	return &answer{Body: out}, nil
}

func csrOf(r custom.Request) CSR {
	return CSR{ID: r.ID, Domains: append([]string{}, r.Names...), KeyType: string(r.KeyType), CreatedAt: r.CreatedAt, PEM: r.PEM()}
}

func (s *Server) newCSR(ctx context.Context, c *call, in *csrInput) (*answer, error) {
	if err := s.known(ctx, c, in.Domain); err != nil {
		return nil, err
	}
	r, err := s.certificates.NewRequest(ctx, c.project, c.environment, in.Domain, in.Body.Domains, pki.KeyType(in.Body.KeyType), pki.Subject(in.Body.Subject))
	if err != nil {
		return nil, err
	}
	c.target, c.detail = "csr "+r.ID, map[string]any{"domains": r.Names}
	return &answer{Body: csrOf(r)}, nil
}

func (s *Server) listCSR(ctx context.Context, c *call, in *DomainPath) (*answer, error) {
	if err := s.known(ctx, c, in.Domain); err != nil {
		return nil, err
	}
	list, err := s.certificates.Requests(ctx, c.project, c.environment, in.Domain)
	if err != nil {
		return nil, err
	}
	out := CSRList{Requests: []CSR{}}
	for _, r := range list {
		out.Requests = append(out.Requests, csrOf(r))
	}
	return &answer{Body: out}, nil
}
