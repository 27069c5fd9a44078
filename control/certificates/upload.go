package certificates

import (
	"context"
	"encoding/pem"
	"fmt"
	"strings"

	"github.com/edgewright/edgewright/control/certificates/pki"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// UploadRequest brings a certificate of the user's own.
type UploadRequest struct {
	Project     string
	Environment string
	Domain      string
	ChainPEM    string // leaf and intermediates, in any order
	// KeyPEM is PKCS #8, PKCS #1 or SEC 1, not encrypted; "": the key of a request
	// that was made here.
	KeyPEM   string
	PKCS12   []byte // in place of both
	Password string // of PKCS12
	// Takeover lets an automatic certificate follow at its end; nil: as before.
	Takeover *bool
}

// Upload replaces the domain's certificate by the user's own. It is served as it
// is and never renewed here. Errors: Invalid at /chain, /key, /pkcs12 or
// /password with what is wrong and how to mend it; Conflict when the domain is
// not verified here.
func (s *Service) Upload(ctx context.Context, r UploadRequest, cause resource.Cause) (Certificate, error) {
	plan, id, bundle, err := s.planUpload(ctx, r)
	if err != nil {
		return Certificate{}, err
	}
	spec, err := resource.Decode[Spec, Status](resource.Resource{Spec: plan.Actions[0].After})
	if err != nil {
		return Certificate{}, err
	}
	// The bundle first: a spec never names one that is not there.
	if err := s.putBundle(ctx, id, uploadGeneration(spec.Spec.Upload), bundle); err != nil {
		return Certificate{}, err
	}
	if _, err := s.Store.Commit(ctx, plan.Commit(cause)); err != nil {
		return Certificate{}, err
	}
	c, err := s.Get(ctx, r.Project, r.Environment, r.Domain)
	if err != nil {
		return Certificate{}, err
	}
	return s.wait(ctx, c)
}

// PlanUpload tells what an upload would change, after the same checks, with what
// the user should know as warnings. Nothing is kept.
func (s *Service) PlanUpload(ctx context.Context, r UploadRequest) (resource.Plan, error) {
	plan, _, _, err := s.planUpload(ctx, r)
	return plan, err
}

func (s *Service) planUpload(ctx context.Context, r UploadRequest) (resource.Plan, string, pki.Bundle, error) {
	plan := resource.NewPlan(r.Project, r.Environment)
	fail := func(err error) (resource.Plan, string, pki.Bundle, error) { return plan, "", pki.Bundle{}, err }
	name, err := CanonicalName(r.Domain)
	if err != nil {
		return fail(err)
	}
	if err := s.checkOwned(ctx, r.Project, r.Environment, name); err != nil {
		return fail(err)
	}
	bundle, warnings, err := s.readUpload(ctx, name, r)
	if err != nil {
		return fail(err)
	}
	plan.Reason, plan.Warnings = "certificate uploaded for "+name, warnings
	current, err := s.find(ctx, r.Project, r.Environment, name)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return fail(err)
	}
	exists := err == nil
	spec := Spec{Domains: []string{name}, Type: TypeCustom, Upload: 1}
	if exists {
		old, err := Decode(current)
		if err != nil {
			return fail(err)
		}
		spec.Domains, spec.KeyType = old.Spec.Domains, old.Spec.KeyType
		spec.Takeover = old.Spec.Takeover && old.Spec.Type == TypeCustom
		if spec.Upload, err = s.freeUpload(ctx, current.ID); err != nil {
			return fail(err)
		}
	}
	assign(&spec.Takeover, r.Takeover)
	if err := spec.normalize(name, s.Mode); err != nil {
		return fail(err)
	}
	if exists {
		plan.Update(current, spec.encode())
	} else {
		plan.Create(s.typ, r.Project, r.Environment, name, spec.encode())
	}
	return plan, plan.Actions[0].ID, bundle, nil
}

// readUpload checks what was sent, in whichever form.
func (s *Service) readUpload(ctx context.Context, name string, r UploadRequest) (pki.Bundle, []string, error) {
	chainPEM, keyPEM := r.ChainPEM, r.KeyPEM
	if len(r.PKCS12) > 0 {
		if chainPEM+keyPEM != "" {
			return pki.Bundle{}, nil, pki.BadPKCS12("there is PEM beside it", "send either the one or the other")
		}
		var err error
		if chainPEM, keyPEM, err = pki.ReadPKCS12(r.PKCS12, r.Password); err != nil {
			return pki.Bundle{}, nil, err
		}
	}
	if keyPEM == "" && chainPEM != "" {
		certs, err := pki.ReadCertificates(chainPEM)
		if err != nil {
			return pki.Bundle{}, nil, err
		}
		if strings.Contains(chainPEM, "PRIVATE KEY-----") {
			keyPEM = chainPEM // one file with both
		} else {
			der, err := s.requestKey(ctx, r.Project, r.Environment, name, certs)
			if err != nil {
				return pki.Bundle{}, nil, err
			}
			keyPEM = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
		}
	}
	return s.check(ctx, name, chainPEM, keyPEM)
}

// freeUpload returns the first upload number that has no bundle, so that an
// earlier revision of the spec always finds its own.
func (s *Service) freeUpload(ctx context.Context, id string) (int, error) {
	for n := 1; ; n++ {
		_, err := s.Vault.Secret(ctx, bundleName(id, uploadGeneration(n)))
		if fault.Is(err, fault.NotFound) {
			return n, nil
		}
		if err != nil {
			return 0, err
		}
	}
}

func uploadGeneration(n int) string { return fmt.Sprintf("u%d", n) }
