package provision

import (
	"context"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/certificates/custom"
	"github.com/edgewright/edgewright/control/certificates/pki"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// Upload replaces the domain's certificate by the user's own. It is served as it
// is and never renewed here. Errors: Invalid at /chain, /key, /pkcs12 or
// /password with what is wrong and how to mend it; Conflict when the domain is
// not verified here.
func (s *Service) Upload(ctx context.Context, r custom.UploadRequest, cause resource.Cause) (certificates.Certificate, error) {
	plan, id, bundle, err := s.planUpload(ctx, r)
	if err != nil {
		return certificates.Certificate{}, err
	}
	spec, err := resource.Decode[certificates.Spec, certificates.Status](resource.Resource{Spec: plan.Actions[0].After})
	if err != nil {
		return certificates.Certificate{}, err
	}
	// The bundle first: a spec never names one that is not there.
	if err := s.PutBundle(ctx, id, certificates.UploadGeneration(spec.Spec.Upload), bundle); err != nil {
		return certificates.Certificate{}, err
	}
	if _, err := s.Store.Commit(ctx, plan.Commit(cause)); err != nil {
		return certificates.Certificate{}, err
	}
	c, err := s.Get(ctx, r.Project, r.Environment, r.Domain)
	if err != nil {
		return certificates.Certificate{}, err
	}
	return s.wait(ctx, c)
}

// PlanUpload tells what an upload would change, after the same checks, with what
// the user should know as warnings. Nothing is kept.
func (s *Service) PlanUpload(ctx context.Context, r custom.UploadRequest) (resource.Plan, error) {
	plan, _, _, err := s.planUpload(ctx, r)
	return plan, err
}

func (s *Service) planUpload(ctx context.Context, r custom.UploadRequest) (resource.Plan, string, pki.Bundle, error) {
	plan := resource.NewPlan(r.Project, r.Environment)
	fail := func(err error) (resource.Plan, string, pki.Bundle, error) { return plan, "", pki.Bundle{}, err }
	name, err := certificates.CanonicalName(r.Domain)
	if err != nil {
		return fail(err)
	}
	if err := s.CheckOwned(ctx, r.Project, r.Environment, name); err != nil {
		return fail(err)
	}
	bundle, warnings, err := s.Read(ctx, name, r)
	if err != nil {
		return fail(err)
	}
	plan.Reason, plan.Warnings = "certificate uploaded for "+name, warnings
	current, err := s.Find(ctx, r.Project, r.Environment, name)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return fail(err)
	}
	exists := err == nil
	spec := certificates.Spec{Domains: []string{name}, Type: certificates.TypeCustom, Upload: 1}
	if exists {
		old, err := certificates.Decode(current)
		if err != nil {
			return fail(err)
		}
		spec.Domains, spec.KeyType = old.Spec.Domains, old.Spec.KeyType
		spec.Takeover = old.Spec.Takeover && old.Spec.Type == certificates.TypeCustom
		if spec.Upload, err = s.freeUpload(ctx, current.ID); err != nil {
			return fail(err)
		}
	}
	assign(&spec.Takeover, r.Takeover)
	if err := spec.Normalize(name, s.Mode); err != nil {
		return fail(err)
	}
	if exists {
		plan.Update(current, spec.Encode())
	} else {
		plan.Create(s.typ, r.Project, r.Environment, name, spec.Encode())
	}
	return plan, plan.Actions[0].ID, bundle, nil
}

// freeUpload returns the first upload number that has no bundle, so that an
// earlier revision of the spec always finds its own.
func (s *Service) freeUpload(ctx context.Context, id string) (int, error) {
	for n := 1; ; n++ {
		_, err := s.Vault.Secret(ctx, certificates.BundleName(id, certificates.UploadGeneration(n)))
		if fault.Is(err, fault.NotFound) {
			return n, nil
		}
		if err != nil {
			return 0, err
		}
	}
}
