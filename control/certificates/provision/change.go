package provision

import (
	"context"

	"github.com/edgewright/edgewright/control/certificates"
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
	Challenge  *certificates.Challenge
	Profile    *string
	Authority  *string
	Domains    []string
	// Type is for renewals only, which keep it: any other is refused. "" and TypeAuto
	// ask for none.
	Type certificates.CertType
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
	spec, err := s.changed(ctx, c, set)
	if err != nil {
		return plan, err
	}
	if c.Status.LastError != nil && ordersDiffer(c.Spec, spec) {
		spec.Request = max(spec.Request, c.Status.Request) + 1 // what failed may succeed now
	}
	plan.Update(r, spec.Encode())
	return plan, nil
}

// ordersDiffer reports that an order for one spec would be another than for the
// other.
func ordersDiffer(before, after certificates.Spec) bool {
	return before.AskedBy() != after.AskedBy() || before.KeyType != after.KeyType || before.Challenge != after.Challenge || before.Authority != after.Authority
}

// changed is a certificate's spec with settings changed.
func (s *Service) changed(ctx context.Context, c certificates.Certificate, set Settings) (certificates.Spec, error) {
	spec := c.Spec
	assign(&spec.AutoRenew, set.AutoRenew)
	assign(&spec.Takeover, set.Takeover)
	assign(&spec.PinKey, set.PinKey)
	assign(&spec.MustStaple, set.MustStaple)
	assign(&spec.KeyType, set.KeyType)
	assign(&spec.Challenge, set.Challenge)
	assign(&spec.Profile, set.Profile)
	assign(&spec.Authority, set.Authority)
	if set.Takeover != nil && *set.Takeover && spec.Type != certificates.TypeCustom {
		return spec, fault.InvalidField("/takeover", "it is automatic already", "leave it out; takeover is for uploaded certificates")
	}
	if set.AutoRenew != nil && *set.AutoRenew && spec.Type == certificates.TypeCustom {
		return spec, fault.InvalidField("/auto_renew", "an uploaded certificate is not renewed here", "set takeover, so that an automatic one follows at its end")
	}
	if len(set.Domains) > 0 {
		spec.Domains = set.Domains
	}
	if err := spec.Normalize(c.Name, s.Mode); err != nil {
		return spec, err
	}
	for _, d := range spec.Domains {
		if err := s.CheckOwned(ctx, c.Project, c.Environment, d); err != nil {
			return spec, err
		}
	}
	if spec.Authority != c.Spec.Authority {
		return spec, s.CheckNamed(ctx, spec.Authority)
	}
	return spec, nil
}

func assign[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

func (s *Service) current(ctx context.Context, project, environment, domain string, ifRevision int64) (resource.Resource, certificates.Certificate, error) {
	name, err := certificates.CanonicalName(domain)
	if err != nil {
		return resource.Resource{}, certificates.Certificate{}, certificates.NotFound(domain)
	}
	r, err := s.Find(ctx, project, environment, name)
	if err != nil {
		return r, certificates.Certificate{}, err
	}
	if ifRevision != 0 && r.Revision != ifRevision {
		return r, certificates.Certificate{}, fault.New(fault.Stale, "it is at revision %d, you saw %d: read it again and repeat your change", r.Revision, ifRevision).About("certificate " + name)
	}
	c, err := certificates.Read(r)
	return r, c, err
}

// Change carries out PlanChange.
func (s *Service) Change(ctx context.Context, project, environment, domain string, set Settings, ifRevision int64, cause resource.Cause) (certificates.Certificate, error) {
	plan, err := s.PlanChange(ctx, project, environment, domain, set, ifRevision)
	if err != nil {
		return certificates.Certificate{}, err
	}
	if !plan.Empty() {
		if _, err := s.Store.Commit(ctx, plan.Commit(cause)); err != nil {
			return certificates.Certificate{}, err
		}
	}
	return s.Get(ctx, project, environment, domain)
}

// PlanRevoke plans to have the certificate in use replaced and then revoked.
// Errors: NotFound, Conflict when there is none or not from here, Invalid.
func (s *Service) PlanRevoke(ctx context.Context, project, environment, domain, reason string) (resource.Plan, error) {
	plan := resource.NewPlan(project, environment)
	if err := certificates.CheckReason(reason); err != nil {
		return plan, err
	}
	r, c, err := s.current(ctx, project, environment, domain, 0)
	if err != nil {
		return plan, err
	}
	switch {
	case c.Status.Generation == "":
		return plan, fault.New(fault.Conflict, "there is no certificate to revoke").About("certificate " + c.Name)
	case c.Status.IssuedType == certificates.TypeCustom:
		return plan, fault.New(fault.Conflict, "it was uploaded: revoke it at the CA that has issued it, and upload another").About("certificate " + c.Name)
	}
	spec := c.Spec
	spec.Revoke = &certificates.RevokeWish{Serial: c.Status.Serial, Reason: reason}
	plan.Warnings = append(plan.Warnings, "another certificate with another key is issued first; then this one is revoked, or at once when that fails")
	plan.Update(r, spec.Encode())
	return plan, nil
}

// Revoke asks for it and waits, as Provision does, for the one that follows.
func (s *Service) Revoke(ctx context.Context, project, environment, domain, reason string, cause resource.Cause) (certificates.Certificate, error) {
	plan, err := s.PlanRevoke(ctx, project, environment, domain, reason)
	if err != nil {
		return certificates.Certificate{}, err
	}
	if !plan.Empty() {
		if _, err := s.Store.Commit(ctx, plan.Commit(cause)); err != nil {
			return certificates.Certificate{}, err
		}
	}
	c, err := s.Get(ctx, project, environment, domain)
	if err != nil {
		return certificates.Certificate{}, err
	}
	return s.wait(ctx, c)
}
