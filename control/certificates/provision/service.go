// Package provision holds the use cases of certificates, which the API calls.
//
// Types: Service, Request (what is asked for), Settings (what can be changed),
// Exported. Each use case is a plan, which a dry run shows, and its commit; those
// that people wait for then watch the status until it answers. Reading uploads and
// making requests is certificates/custom's, judging an order before it is made
// certificates/readiness's, and issuing certificates/upkeep's.
package provision

import (
	"context"
	"errors"
	"fmt"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/certificates/custom"
	"github.com/edgewright/edgewright/control/certificates/pki"
	"github.com/edgewright/edgewright/control/certificates/readiness"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// Service holds the use cases of certificates. Its methods may be called from
// any goroutine.
type Service struct {
	certificates.Room
	*readiness.Judge
	*custom.Desk
	typ resource.Type
}

// New returns the service.
func New(room certificates.Room) *Service {
	room = room.Furnished()
	judge := readiness.New(room)
	return &Service{Room: room, Judge: judge, Desk: custom.New(room, judge), typ: certificates.Type(room.Mode)}
}

// Request asks for a certificate.
type Request struct {
	Project     string
	Environment string
	Domain      string
	Type        certificates.CertType // "" and TypeAuto: what suits the name
	AutoRenew   bool
	KeyType     pki.KeyType // "": P-256
	// Domains are all names that it shall be for, the first of them Domain; nil:
	// only that, or those that it is for already.
	Domains   []string
	Authority string
	Challenge certificates.Challenge
	Profile   string
	// MustStaple and PinKey stay as they are when nil.
	MustStaple, PinKey *bool
}

// PlanProvision plans a certificate for a domain: it is created, changed when
// the request differs, asked for again when the last attempt failed, and left
// alone when it is there. Errors: Invalid; Conflict when the domain is not
// verified in this project and environment.
func (s *Service) PlanProvision(ctx context.Context, r Request) (resource.Plan, error) {
	name, err := certificates.CanonicalName(r.Domain)
	if err != nil {
		return resource.Plan{}, err
	}
	if r.Type == certificates.TypeCustom {
		return resource.Plan{}, fault.InvalidField("/type", "a custom certificate needs its chain and key", "send them with the request")
	}
	if err := s.CheckOwned(ctx, r.Project, r.Environment, name); err != nil {
		return resource.Plan{}, err
	}
	plan := resource.NewPlan(r.Project, r.Environment)
	current, err := s.Find(ctx, r.Project, r.Environment, name)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return resource.Plan{}, err
	}
	spec := certificates.Spec{Domains: []string{name}}
	var cert certificates.Certificate
	if exists := err == nil; exists {
		if cert, err = certificates.Decode(current); err != nil {
			return resource.Plan{}, err
		}
		spec = cert.Spec
		if spec.Type == certificates.TypeCustom {
			plan.Warnings = append(plan.Warnings, "the uploaded certificate is replaced")
			spec.Upload, spec.Takeover = 0, false
		}
		// One that is valid may still lack a name, or have failed to be renewed.
		if cert.Status.LastError != nil && cert.Status.Request == spec.Request {
			spec.Request++
		}
	}
	r.into(&spec, name)
	if err := spec.Normalize(name, s.Mode); err != nil {
		return resource.Plan{}, err
	}
	for _, d := range spec.Domains {
		if err := s.CheckOwned(ctx, r.Project, r.Environment, d); err != nil {
			return resource.Plan{}, err
		}
	}
	if spec.Authority != cert.Spec.Authority {
		if err := s.CheckNamed(ctx, spec.Authority); err != nil {
			return resource.Plan{}, err
		}
	}
	if spec.KeyType == pki.KeyEd25519 {
		plan.Warnings = append(plan.Warnings, "browsers and most public CAs refuse Ed25519: it is for clients of your own")
	}
	if r.Type == certificates.TypeACME && spec.Type == certificates.TypeLocal {
		plan.Warnings = append(plan.Warnings, fmt.Sprintf("no public CA signs %s: the platform's local CA does, run `edgewright trust` on machines that shall accept it", name))
	}
	if cert.ID == "" {
		plan.Create(s.typ, r.Project, r.Environment, name, spec.Encode())
	} else {
		plan.Update(current, spec.Encode())
	}
	return plan, nil
}

// into puts what was asked for into a spec.
func (r Request) into(spec *certificates.Spec, name string) {
	spec.Type, spec.AutoRenew = r.Type, r.AutoRenew
	if len(r.Domains) > 0 {
		spec.Domains = certificates.Named(name, r.Domains)
	}
	if r.KeyType != "" {
		spec.KeyType = r.KeyType
	}
	if r.Authority != "" {
		spec.Authority = r.Authority
	}
	if r.Challenge != certificates.ChallengeAuto {
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
func (s *Service) Provision(ctx context.Context, r Request, cause resource.Cause) (certificates.Certificate, error) {
	plan, err := s.PlanProvision(ctx, r)
	if err != nil {
		return certificates.Certificate{}, err
	}
	if !plan.Empty() {
		if _, err := s.Store.Commit(ctx, plan.Commit(cause)); err != nil {
			// The reconciler may have made it in between: that is what was wanted.
			if !fault.Is(err, fault.Conflict) {
				return certificates.Certificate{}, err
			}
		}
	}
	c, err := s.Get(ctx, r.Project, r.Environment, r.Domain)
	if err != nil {
		return certificates.Certificate{}, err
	}
	return s.wait(ctx, c)
}

// settled reports whether the status answers the spec and nothing is under way.
func settled(c certificates.Certificate) bool {
	return c.Status.Observed >= c.Revision && c.Status.Step == "" && c.Status.State != certificates.StateIssuing
}

// wait returns the certificate once it is settled, or as it is when ctx ends.
func (s *Service) wait(ctx context.Context, c certificates.Certificate) (certificates.Certificate, error) {
	if settled(c) {
		return c, nil
	}
	done := errors.New("settled")
	err := s.Store.Watch(ctx, c.Seq-1, func(ev resource.Event) error {
		if ev.Resource.Kind != certificates.Kind || ev.Resource.ID != c.ID {
			return nil
		}
		if ev.Type == resource.Deleted {
			return fault.New(fault.Conflict, "it was deleted in the meantime").About("certificate " + c.Name)
		}
		latest, err := certificates.Decode(ev.Resource)
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

// PlanRenew plans to get a new certificate before the present one is due, with
// settings changed. Errors: NotFound; Invalid, also for a custom certificate;
// Conflict when a name is not verified here.
func (s *Service) PlanRenew(ctx context.Context, project, environment, domain string, set Settings) (resource.Plan, error) {
	plan := resource.NewPlan(project, environment)
	r, c, err := s.current(ctx, project, environment, domain, 0)
	if err != nil {
		return plan, err
	}
	if c.Spec.Type == certificates.TypeCustom && c.Status.IssuedType == certificates.TypeCustom {
		return plan, fault.New(fault.Invalid, "an uploaded certificate is not renewed here: upload its successor, or provision an automatic one").About("certificate " + c.Name)
	}
	wanted := set.Type
	switch wanted {
	case "", certificates.TypeAuto:
		wanted = c.Spec.Type
	case certificates.TypeACME, certificates.TypeLocal:
		wanted = s.Mode.Resolve(wanted, c.Spec.Domains)
	}
	if wanted != c.Spec.Type {
		return plan, fault.InvalidField("/type", fmt.Sprintf("it is of type %s", c.Spec.Type), "leave renew out: with another type there is a new certificate anyway")
	}
	spec, err := s.changed(ctx, c, set)
	if err != nil {
		return plan, err
	}
	spec.Request = max(spec.Request, c.Status.Request) + 1
	plan.Update(r, spec.Encode())
	return plan, nil
}

// Renew carries out PlanRenew, and waits as Provision does.
func (s *Service) Renew(ctx context.Context, project, environment, domain string, set Settings, cause resource.Cause) (certificates.Certificate, error) {
	plan, err := s.PlanRenew(ctx, project, environment, domain, set)
	if err != nil {
		return certificates.Certificate{}, err
	}
	if _, err := s.Store.Commit(ctx, plan.Commit(cause)); err != nil {
		return certificates.Certificate{}, err
	}
	c, err := s.Get(ctx, project, environment, domain)
	if err != nil {
		return certificates.Certificate{}, err
	}
	return s.wait(ctx, c)
}

// Ensure makes an automatic certificate for a verified domain that has none.
// The reconciler of domains calls it.
func (s *Service) Ensure(ctx context.Context, project, environment, domain string, cause resource.Cause) error {
	_, err := s.Find(ctx, project, environment, domain)
	if !fault.Is(err, fault.NotFound) {
		return err
	}
	spec, err := certificates.Automatic(domain, s.Mode)
	if err != nil {
		return err
	}
	plan := resource.NewPlan(project, environment)
	plan.Reason = "certificate for the verified domain " + domain
	plan.Create(s.typ, project, environment, domain, spec.Encode())
	_, err = s.Store.Commit(ctx, plan.Commit(cause))
	if fault.Is(err, fault.Conflict) {
		return nil // made in between
	}
	return err
}

// Drop deletes the certificate that Ensure made for a domain that is gone. One that
// covers other names too, or that a user has declared, stays. Like Ensure, the
// reconciler of domains calls it.
func (s *Service) Drop(ctx context.Context, project, environment, domain string, cause resource.Cause) error {
	r, err := s.Find(ctx, project, environment, domain)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	c, err := certificates.Decode(r)
	if err != nil || !c.Spec.Automatic || len(c.Spec.Domains) > 1 {
		return err
	}
	plan := resource.NewPlan(project, environment)
	plan.Reason = "the domain " + domain + " was removed"
	plan.Delete(r)
	_, err = s.Store.Commit(ctx, plan.Commit(cause))
	if fault.Is(err, fault.Stale) || fault.Is(err, fault.NotFound) {
		return nil // somebody sees to it
	}
	return err
}

// Summary returns the state of a domain's certificate in a word and a sentence.
func (s *Service) Summary(ctx context.Context, project, environment, domain string) (state, message string, err error) {
	c, err := s.Get(ctx, project, environment, domain)
	if fault.Is(err, fault.NotFound) {
		return string(certificates.StateNone), "there is no certificate yet", nil
	}
	if err != nil {
		return "", "", err
	}
	return string(c.Status.State), certificates.Describe(c), nil
}

// List returns a page of certificates in order of ID.
func (s *Service) List(ctx context.Context, project, environment string, limit int, cursor string) ([]certificates.Certificate, string, error) {
	page, err := s.Store.List(ctx, resource.Query{Kind: certificates.Kind, Project: project, Environment: environment, Limit: limit, Cursor: cursor})
	if err != nil {
		return nil, "", err
	}
	list := make([]certificates.Certificate, 0, len(page.Items))
	for _, r := range page.Items {
		c, err := certificates.Read(r)
		if err != nil {
			return nil, "", err
		}
		list = append(list, c)
	}
	return list, page.Next, nil
}

// PlanDelete plans to delete a domain's certificate. Errors: NotFound, Stale.
func (s *Service) PlanDelete(ctx context.Context, project, environment, domain string, ifRevision int64) (resource.Plan, error) {
	name, err := certificates.CanonicalName(domain)
	if err != nil {
		return resource.Plan{}, certificates.NotFound(domain)
	}
	r, err := s.Find(ctx, project, environment, name)
	if err != nil {
		return resource.Plan{}, err
	}
	if ifRevision != 0 && r.Revision != ifRevision {
		return resource.Plan{}, fault.New(fault.Stale, "it is at revision %d, you saw %d: read it again and repeat your change", r.Revision, ifRevision).About("certificate " + name)
	}
	plan := resource.NewPlan(project, environment)
	plan.Delete(r)
	if owned, err := s.Owned(ctx, project, environment, name); err != nil {
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
