package certificates

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/edgewright/edgewright/control/certificates/authority"
	"github.com/edgewright/edgewright/control/certificates/pki"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// Options of a Service.
type Options struct {
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
}

// Service holds the use cases of certificates. Its methods may be called from
// any goroutine. Issuing itself is the Reconciler's.
type Service struct {
	Options
	typ     resource.Type
	issuers map[CertType]Issuer // set once, by NewReconciler
}

// New returns the service.
func New(o Options) *Service {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Ledger == nil {
		o.Ledger = authority.NewMemoryLedger()
	}
	if o.Mode == "" {
		o.Mode = ModeAuto
	}
	return &Service{Options: o, typ: Type(o.Mode)}
}

// ProvisionRequest asks for a certificate.
type ProvisionRequest struct {
	Project     string
	Environment string
	Domain      string
	Type        CertType // "" and TypeAuto: what suits the name
	AutoRenew   bool
	KeyType     pki.KeyType // "": P-256
	// Domains are all names that it shall be for, the first of them Domain; nil:
	// only that, or those that it is for already.
	Domains   []string
	Authority string
	Challenge Challenge
	Profile   string
	// MustStaple and PinKey stay as they are when nil.
	MustStaple, PinKey *bool
}

// PlanProvision plans a certificate for a domain: it is created, changed when
// the request differs, asked for again when the last attempt failed, and left
// alone when it is there. Errors: Invalid; Conflict when the domain is not
// verified in this project and environment.
func (s *Service) PlanProvision(ctx context.Context, r ProvisionRequest) (resource.Plan, error) {
	name, err := CanonicalName(r.Domain)
	if err != nil {
		return resource.Plan{}, err
	}
	if r.Type == TypeCustom {
		return resource.Plan{}, fault.InvalidField("/type", "a custom certificate needs its chain and key", "send them with the request")
	}
	if err := s.checkOwned(ctx, r.Project, r.Environment, name); err != nil {
		return resource.Plan{}, err
	}
	plan := resource.NewPlan(r.Project, r.Environment)
	current, err := s.find(ctx, r.Project, r.Environment, name)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return resource.Plan{}, err
	}
	spec := Spec{Domains: []string{name}}
	var cert Certificate
	if exists := err == nil; exists {
		if cert, err = Decode(current); err != nil {
			return resource.Plan{}, err
		}
		spec = cert.Spec
		if spec.Type == TypeCustom {
			plan.Warnings = append(plan.Warnings, "the uploaded certificate is replaced")
			spec.Upload, spec.Takeover = 0, false
		}
		if cert.Status.State == StateFailed && cert.Status.Request == spec.Request {
			spec.Request++
		}
	}
	r.into(&spec, name)
	if err := spec.normalize(name, s.Mode); err != nil {
		return resource.Plan{}, err
	}
	for _, d := range spec.Domains {
		if err := s.checkOwned(ctx, r.Project, r.Environment, d); err != nil {
			return resource.Plan{}, err
		}
	}
	if spec.KeyType == pki.KeyEd25519 {
		plan.Warnings = append(plan.Warnings, "browsers and most public CAs refuse Ed25519: it is for clients of your own")
	}
	if r.Type == TypeACME && spec.Type == TypeLocal {
		plan.Warnings = append(plan.Warnings, fmt.Sprintf("no public CA signs %s: the platform's local CA does, run `edgewright trust` on machines that shall accept it", name))
	}
	if cert.ID == "" {
		plan.Create(s.typ, r.Project, r.Environment, name, spec.encode())
	} else {
		plan.Update(current, spec.encode())
	}
	return plan, nil
}

// into puts what was asked for into a spec.
func (r ProvisionRequest) into(spec *Spec, name string) {
	spec.Type, spec.AutoRenew = r.Type, r.AutoRenew
	if len(r.Domains) > 0 {
		spec.Domains = r.Domains
		if first, err := CanonicalName(r.Domains[0]); err != nil || first != name {
			spec.Domains = append([]string{name}, r.Domains...)
		}
	}
	if r.KeyType != "" {
		spec.KeyType = r.KeyType
	}
	if r.Authority != "" {
		spec.Authority = r.Authority
	}
	if r.Challenge != ChallengeAuto {
		spec.Challenge = r.Challenge
	}
	if r.Profile != "" {
		spec.Profile = r.Profile
	}
	if r.MustStaple != nil {
		spec.MustStaple = *r.MustStaple
	}
	if r.PinKey != nil {
		spec.PinKey = *r.PinKey
	}
}

// Provision asks for a certificate and waits until it is there, has failed, or
// ctx ends, which is no error: the state then says how far it is. The
// Reconciler has to run somewhere.
func (s *Service) Provision(ctx context.Context, r ProvisionRequest, cause resource.Cause) (Certificate, error) {
	plan, err := s.PlanProvision(ctx, r)
	if err != nil {
		return Certificate{}, err
	}
	if !plan.Empty() {
		if _, err := s.Store.Commit(ctx, plan.Commit(cause)); err != nil {
			// The reconciler may have made it in between: that is what was wanted.
			if !fault.Is(err, fault.Conflict) {
				return Certificate{}, err
			}
		}
	}
	c, err := s.Get(ctx, r.Project, r.Environment, r.Domain)
	if err != nil {
		return Certificate{}, err
	}
	return s.wait(ctx, c)
}

// settled reports whether the status answers the spec and nothing is under way.
func settled(c Certificate) bool {
	return c.Status.Observed >= c.Revision && c.Status.Step == "" && c.Status.State != StateIssuing
}

// wait returns the certificate once it is settled, or as it is when ctx ends.
func (s *Service) wait(ctx context.Context, c Certificate) (Certificate, error) {
	if settled(c) {
		return c, nil
	}
	done := errors.New("settled")
	err := s.Store.Watch(ctx, c.Seq-1, func(ev resource.Event) error {
		if ev.Resource.Kind != Kind || ev.Resource.ID != c.ID {
			return nil
		}
		if ev.Type == resource.Deleted {
			return fault.New(fault.Conflict, "it was deleted in the meantime").About("certificate " + c.Name)
		}
		latest, err := Decode(ev.Resource)
		if err != nil {
			return err
		}
		if c = latest; settled(c) {
			return done
		}
		return nil
	})
	if errors.Is(err, done) || ctx.Err() != nil {
		return c, nil
	}
	return c, err
}

// Renew asks for a new certificate before the present one is due, and waits as
// Provision does. Errors: NotFound, Invalid for a custom certificate.
func (s *Service) Renew(ctx context.Context, project, environment, domain string, cause resource.Cause) (Certificate, error) {
	c, err := s.Get(ctx, project, environment, domain)
	if err != nil {
		return Certificate{}, err
	}
	if c.Spec.Type == TypeCustom && c.Status.IssuedType == TypeCustom {
		return Certificate{}, fault.New(fault.Invalid, "an uploaded certificate is not renewed here: upload its successor, or provision an automatic one").About("certificate " + c.Name)
	}
	r, err := s.Store.Get(ctx, Kind, c.ID)
	if err != nil {
		return Certificate{}, err
	}
	spec := c.Spec
	spec.Request = max(spec.Request, c.Status.Request) + 1
	plan := resource.NewPlan(project, environment)
	plan.Update(r, spec.encode())
	if _, err := s.Store.Commit(ctx, plan.Commit(cause)); err != nil {
		return Certificate{}, err
	}
	if c, err = s.Get(ctx, project, environment, domain); err != nil {
		return Certificate{}, err
	}
	return s.wait(ctx, c)
}

// Ensure makes an automatic certificate for a verified domain that has none.
// The reconciler of domains calls it.
func (s *Service) Ensure(ctx context.Context, project, environment, domain string, cause resource.Cause) error {
	_, err := s.find(ctx, project, environment, domain)
	if !fault.Is(err, fault.NotFound) {
		return err
	}
	spec := Spec{Domains: []string{domain}, AutoRenew: true, Automatic: true}
	if err := spec.normalize(domain, s.Mode); err != nil {
		return err
	}
	plan := resource.NewPlan(project, environment)
	plan.Reason = "certificate for the verified domain " + domain
	plan.Create(s.typ, project, environment, domain, spec.encode())
	_, err = s.Store.Commit(ctx, plan.Commit(cause))
	if fault.Is(err, fault.Conflict) {
		return nil // made in between
	}
	return err
}

// Summary returns the state of a domain's certificate in a word and a sentence.
func (s *Service) Summary(ctx context.Context, project, environment, domain string) (state, message string, err error) {
	c, err := s.Get(ctx, project, environment, domain)
	if fault.Is(err, fault.NotFound) {
		return string(StateNone), "there is no certificate yet", nil
	}
	if err != nil {
		return "", "", err
	}
	return string(c.Status.State), Describe(c), nil
}

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
		return fmt.Sprintf("issued by %s, valid until %s", st.Issuer, date(st.NotAfter))
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

// Ready is the condition that a usable certificate is there.
const Ready = "Ready"

// Get returns the certificate that has a domain's name. Errors: NotFound.
func (s *Service) Get(ctx context.Context, project, environment, domain string) (Certificate, error) {
	name, err := CanonicalName(domain)
	if err != nil {
		return Certificate{}, notFound(domain)
	}
	r, err := s.find(ctx, project, environment, name)
	if err != nil {
		return Certificate{}, err
	}
	return decode(r)
}

// List returns a page of certificates in order of ID.
func (s *Service) List(ctx context.Context, project, environment string, limit int, cursor string) ([]Certificate, string, error) {
	page, err := s.Store.List(ctx, resource.Query{Kind: Kind, Project: project, Environment: environment, Limit: limit, Cursor: cursor})
	if err != nil {
		return nil, "", err
	}
	list := make([]Certificate, 0, len(page.Items))
	for _, r := range page.Items {
		c, err := decode(r)
		if err != nil {
			return nil, "", err
		}
		list = append(list, c)
	}
	return list, page.Next, nil
}

// PlanDelete plans to delete a domain's certificate. Errors: NotFound, Stale.
func (s *Service) PlanDelete(ctx context.Context, project, environment, domain string, ifRevision int64) (resource.Plan, error) {
	name, err := CanonicalName(domain)
	if err != nil {
		return resource.Plan{}, notFound(domain)
	}
	r, err := s.find(ctx, project, environment, name)
	if err != nil {
		return resource.Plan{}, err
	}
	if ifRevision != 0 && r.Revision != ifRevision {
		return resource.Plan{}, fault.New(fault.Stale, "it is at revision %d, you saw %d: read it again and repeat your change", r.Revision, ifRevision).About("certificate " + name)
	}
	plan := resource.NewPlan(project, environment)
	plan.Delete(r)
	if owned, err := s.owned(ctx, project, environment, name); err != nil {
		return resource.Plan{}, err
	} else if owned {
		plan.Warnings = append(plan.Warnings, "the domain is verified, so a new certificate is issued for it; remove the domain to have none")
	}
	return plan, nil
}

// Delete deletes a domain's certificate. Its bundle stays in the Vault, so that
// the deletion can be undone.
func (s *Service) Delete(ctx context.Context, project, environment, domain string, ifRevision int64, cause resource.Cause) error {
	plan, err := s.PlanDelete(ctx, project, environment, domain, ifRevision)
	if err != nil {
		return err
	}
	_, err = s.Store.Commit(ctx, plan.Commit(cause))
	return err
}

// Bundle returns chain and key of one generation. Errors: NotFound.
func (s *Service) Bundle(ctx context.Context, id, generation string) (pki.Bundle, error) {
	secret, err := s.Vault.Secret(ctx, bundleName(id, generation))
	if err != nil {
		return pki.Bundle{}, err
	}
	var b pki.Bundle
	if err := json.Unmarshal(secret, &b); err != nil {
		return pki.Bundle{}, fault.New(fault.Internal, "a stored certificate cannot be read: %w", err).About("certificate " + id)
	}
	return b, nil
}

func bundleName(id, generation string) string { return "certificate/" + id + "/" + generation }

func (s *Service) putBundle(ctx context.Context, id, generation string, b pki.Bundle) error {
	return s.Vault.PutSecret(ctx, bundleName(id, generation), mustJSON(b))
}

func (s *Service) checkOwned(ctx context.Context, project, environment, name string) error {
	owned, err := s.owned(ctx, project, environment, name)
	if err != nil {
		return err
	}
	if !owned && Address(name) {
		return fault.New(fault.Conflict, "the address is not one of the platform's edges, or this is not the platform's own project").About("address " + name)
	}
	if !owned {
		return fault.New(fault.Conflict, "the domain is not verified in this project and environment: add and verify it first").About("domain " + name)
	}
	return nil
}

func (s *Service) find(ctx context.Context, project, environment, name string) (resource.Resource, error) {
	page, err := s.Store.List(ctx, resource.Query{Kind: Kind, Project: project, Environment: environment, Name: name, Limit: 1})
	if err != nil {
		return resource.Resource{}, err
	}
	if len(page.Items) == 0 {
		return resource.Resource{}, notFound(name)
	}
	return page.Items[0], nil
}

func notFound(domain string) error {
	return fault.New(fault.NotFound, "there is no certificate for this domain here: provision one with POST /api/v1/infrastructure/ssl/%s", domain).About("certificate " + domain)
}

// decode decodes a stored certificate; one that no reconciler has seen is in
// state none.
func decode(r resource.Resource) (Certificate, error) {
	c, err := Decode(r)
	if err != nil {
		return c, fault.New(fault.Internal, "a stored certificate cannot be read: %w", err).About("certificate " + r.Name)
	}
	if c.Status.State == "" {
		c.Status.State = StateNone
	}
	return c, nil
}
