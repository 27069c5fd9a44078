package certificates

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"time"

	"software.sslmate.com/src/go-pkcs12"

	"github.com/edgewright/edgewright/control/certificates/pki"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// Settings are what of a certificate can be changed by itself. nil leaves as it
// is.
type Settings struct {
	AutoRenew  *bool
	Takeover   *bool
	PinKey     *bool
	MustStaple *bool
	KeyType    *pki.KeyType
	Challenge  *Challenge
	Profile    *string
	Authority  *string
	Domains    []string
}

// PlanChange plans to change settings. What of them is in the certificate itself
// makes that one be issued anew. Errors: NotFound, Stale, Invalid; Conflict when
// a name is not verified here.
func (s *Service) PlanChange(ctx context.Context, project, environment, domain string, set Settings, ifRevision int64) (resource.Plan, error) {
	plan := resource.NewPlan(project, environment)
	r, c, err := s.current(ctx, project, environment, domain, ifRevision)
	if err != nil {
		return plan, err
	}
	spec := c.Spec
	assign(&spec.AutoRenew, set.AutoRenew)
	assign(&spec.Takeover, set.Takeover)
	assign(&spec.PinKey, set.PinKey)
	assign(&spec.MustStaple, set.MustStaple)
	assign(&spec.KeyType, set.KeyType)
	assign(&spec.Challenge, set.Challenge)
	assign(&spec.Profile, set.Profile)
	assign(&spec.Authority, set.Authority)
	if set.Takeover != nil && *set.Takeover && spec.Type != TypeCustom {
		return plan, fault.InvalidField("/takeover", "it is automatic already", "leave it out; takeover is for uploaded certificates")
	}
	if set.AutoRenew != nil && *set.AutoRenew && spec.Type == TypeCustom {
		return plan, fault.InvalidField("/auto_renew", "an uploaded certificate is not renewed here", "set takeover, so that an automatic one follows at its end")
	}
	if len(set.Domains) > 0 {
		spec.Domains = set.Domains
	}
	if err := spec.normalize(c.Name, s.Mode); err != nil {
		return plan, err
	}
	for _, d := range spec.Domains {
		if err := s.checkOwned(ctx, project, environment, d); err != nil {
			return plan, err
		}
	}
	plan.Update(r, spec.encode())
	return plan, nil
}

func assign[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

func (s *Service) current(ctx context.Context, project, environment, domain string, ifRevision int64) (resource.Resource, Certificate, error) {
	name, err := CanonicalName(domain)
	if err != nil {
		return resource.Resource{}, Certificate{}, notFound(domain)
	}
	r, err := s.find(ctx, project, environment, name)
	if err != nil {
		return r, Certificate{}, err
	}
	if ifRevision != 0 && r.Revision != ifRevision {
		return r, Certificate{}, fault.New(fault.Stale, "it is at revision %d, you saw %d: read it again and repeat your change", r.Revision, ifRevision).About("certificate " + name)
	}
	c, err := decode(r)
	return r, c, err
}

// Change carries out PlanChange.
func (s *Service) Change(ctx context.Context, project, environment, domain string, set Settings, ifRevision int64, cause resource.Cause) (Certificate, error) {
	plan, err := s.PlanChange(ctx, project, environment, domain, set, ifRevision)
	if err != nil {
		return Certificate{}, err
	}
	if !plan.Empty() {
		if _, err := s.Store.Commit(ctx, plan.Commit(cause)); err != nil {
			return Certificate{}, err
		}
	}
	return s.Get(ctx, project, environment, domain)
}

// PlanRevoke plans to have the certificate in use replaced and then revoked.
// Errors: NotFound, Conflict when there is none or not from here, Invalid.
func (s *Service) PlanRevoke(ctx context.Context, project, environment, domain, reason string) (resource.Plan, error) {
	plan := resource.NewPlan(project, environment)
	if !knownReason(reason) {
		return plan, unknownReason(reason)
	}
	r, c, err := s.current(ctx, project, environment, domain, 0)
	if err != nil {
		return plan, err
	}
	switch {
	case c.Status.Generation == "":
		return plan, fault.New(fault.Conflict, "there is no certificate to revoke").About("certificate " + c.Name)
	case c.Status.IssuedType == TypeCustom:
		return plan, fault.New(fault.Conflict, "it was uploaded: revoke it at the CA that has issued it, and upload another").About("certificate " + c.Name)
	}
	spec := c.Spec
	spec.Revoke = &RevokeWish{Serial: c.Status.Serial, Reason: reason}
	plan.Warnings = append(plan.Warnings, "another certificate with another key is issued first; then this one is revoked, or at once when that fails")
	plan.Update(r, spec.encode())
	return plan, nil
}

// Revoke asks for it and waits, as Provision does, for the one that follows.
func (s *Service) Revoke(ctx context.Context, project, environment, domain, reason string, cause resource.Cause) (Certificate, error) {
	plan, err := s.PlanRevoke(ctx, project, environment, domain, reason)
	if err != nil {
		return Certificate{}, err
	}
	if !plan.Empty() {
		if _, err := s.Store.Commit(ctx, plan.Commit(cause)); err != nil {
			return Certificate{}, err
		}
	}
	c, err := s.Get(ctx, project, environment, domain)
	if err != nil {
		return Certificate{}, err
	}
	return s.wait(ctx, c)
}

// Exported is a certificate with its private key.
type Exported struct {
	ChainPEM string
	KeyPEM   string // PKCS #8
	PKCS12   []byte // with a password
}

// minPassword keeps an exported file from being opened by guessing.
const minPassword = 12

// Export hands out chain and private key: in PEM, or with a password as PKCS #12.
// The caller has to be allowed to and has to record it. Errors: NotFound,
// Conflict when there is none yet, Invalid for a weak password.
func (s *Service) Export(ctx context.Context, project, environment, domain, password string) (Exported, Certificate, error) {
	c, err := s.Get(ctx, project, environment, domain)
	if err != nil {
		return Exported{}, c, err
	}
	if c.Status.Generation == "" {
		return Exported{}, c, fault.New(fault.Conflict, "there is no certificate yet").About("certificate " + c.Name)
	}
	if password != "" && len(password) < minPassword {
		return Exported{}, c, fault.InvalidField("/password", fmt.Sprintf("it is shorter than %d characters", minPassword), "take a longer one")
	}
	b, err := s.Bundle(ctx, c.ID, c.Status.Generation)
	if err != nil {
		return Exported{}, c, err
	}
	out := Exported{ChainPEM: b.ChainPEM}
	if password == "" {
		out.KeyPEM = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: b.KeyDER}))
		return out, c, nil
	}
	chain, err := pki.ParseChain(b.ChainPEM)
	if err != nil {
		return Exported{}, c, fault.New(fault.Internal, "a stored certificate cannot be read: %w", err).About("certificate " + c.Name)
	}
	key, err := x509.ParsePKCS8PrivateKey(b.KeyDER)
	if err != nil {
		return Exported{}, c, fault.New(fault.Internal, "a stored key cannot be read").About("certificate " + c.Name)
	}
	if out.PKCS12, err = pkcs12.Modern.Encode(key, chain[0], chain[1:], password); err != nil {
		return Exported{}, c, fault.New(fault.Internal, "the PKCS #12 file cannot be made: %w", err).About("certificate " + c.Name)
	}
	return out, c, nil
}

// Chain returns the certificate in use and its intermediates; nil without one.
func (s *Service) Chain(ctx context.Context, c Certificate) ([]*x509.Certificate, error) {
	if c.Status.Generation == "" {
		return nil, nil
	}
	b, err := s.Bundle(ctx, c.ID, c.Status.Generation)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return pki.ParseChain(b.ChainPEM)
}

// Request is a certificate request whose key was made here and stays here, for a
// CA that the user goes to.
type Request struct {
	ID        string      `json:"id"`
	CreatedAt time.Time   `json:"created_at"`
	Names     []string    `json:"names"`
	KeyType   pki.KeyType `json:"key_type"`
	CSR       []byte      `json:"csr"` // DER
	Key       []byte      `json:"key"` // PKCS #8
}

// PEM is the request as CAs take it.
func (r Request) PEM() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: r.CSR}))
}

// maxRequests is how many are kept for a domain; the oldest goes.
const maxRequests = 5

func requestsName(project, environment, domain string) string {
	return "csr/" + project + "/" + environment + "/" + domain
}

// Requests returns the open requests of a domain, newest first.
func (s *Service) Requests(ctx context.Context, project, environment, domain string) ([]Request, error) {
	name, err := CanonicalName(domain)
	if err != nil {
		return nil, err
	}
	secret, err := s.Vault.Secret(ctx, requestsName(project, environment, name))
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []Request
	if err := json.Unmarshal(secret, &list); err != nil {
		return nil, fault.New(fault.Internal, "stored certificate requests cannot be read: %w", err).About("domain " + name)
	}
	return list, nil
}

// NewRequest makes a key and a request for a domain and further names. The
// certificate made of it is uploaded without a key. Errors: Invalid; Conflict
// when a name is not verified here.
func (s *Service) NewRequest(ctx context.Context, project, environment, domain string, extra []string, keyType pki.KeyType, subject pki.Subject) (Request, error) {
	name, err := CanonicalName(domain)
	if err != nil {
		return Request{}, err
	}
	spec := Spec{Domains: append([]string{name}, extra...), KeyType: keyType}
	if err := spec.normalize(name, s.Mode); err != nil {
		return Request{}, err
	}
	if spec.KeyType == pki.KeyEd25519 {
		return Request{}, fault.InvalidField("/key_type", "CAs that people buy from do not take Ed25519", `use "p256" or "rsa2048"`)
	}
	if len(subject.Country) != 0 && len(subject.Country) != 2 {
		return Request{}, fault.InvalidField("/subject/country", fmt.Sprintf("%q is not a country code", subject.Country), "write two letters, such as DE")
	}
	for _, d := range spec.Domains {
		if err := s.checkOwned(ctx, project, environment, d); err != nil {
			return Request{}, err
		}
	}
	if subject.CommonName == "" && len(name) <= 64 {
		subject.CommonName = name
	}
	key, err := pki.NewKey(spec.KeyType)
	if err != nil {
		return Request{}, err
	}
	r := Request{ID: resource.NewID("csr"), CreatedAt: s.Now().UTC().Truncate(time.Second), Names: spec.Domains, KeyType: spec.KeyType}
	if r.Key, err = x509.MarshalPKCS8PrivateKey(key); err != nil {
		return Request{}, err
	}
	if r.CSR, err = pki.NewCSR(spec.Domains, key, subject, false); err != nil {
		return Request{}, err
	}
	list, err := s.Requests(ctx, project, environment, name)
	if err != nil {
		return Request{}, err
	}
	list = append([]Request{r}, list...)
	return r, s.Vault.PutSecret(ctx, requestsName(project, environment, name), mustJSON(list[:min(len(list), maxRequests)]))
}

// requestKey finds the key of the open request that one of some certificates was
// made of.
func (s *Service) requestKey(ctx context.Context, project, environment, name string, certs []*x509.Certificate) ([]byte, error) {
	list, err := s.Requests(ctx, project, environment, name)
	if err != nil {
		return nil, err
	}
	for _, r := range list {
		key, err := x509.ParsePKCS8PrivateKey(r.Key)
		if err != nil {
			continue
		}
		signer, ok := key.(crypto.Signer)
		if !ok {
			continue
		}
		if _, _, err := pki.PickLeaf(certs, signer); err == nil {
			return r.Key, nil
		}
	}
	if len(list) == 0 {
		return nil, pki.BadKey("the private key is missing, and no request for this domain was made here", "send the key with the certificate")
	}
	return nil, pki.BadKey("the private key is missing, and the certificate was made of none of the requests that were made here", "send the key that its request was made with")
}
