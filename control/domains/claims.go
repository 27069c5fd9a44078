package domains

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// Labels below the platform's domain that a tenant could deceive others with,
// or that the platform itself may need.
var reserved = []string{
	"www", "api", "app", "admin", "dashboard", "console", "login", "auth", "account", "accounts", "status", "support", "help", "billing",
	"mail", "smtp", "imap", "pop", "mx", "ns", "ns1", "ns2", "ns3", "ns4", "dns", "edge", "origin", "cdn", "static", "assets",
	"autoconfig", "autodiscover", "wpad", "isatap", "mta-sts", "localhost", "root", "postmaster", "hostmaster", "webmaster", "security", "abuse",
}

// checkPlatform refuses names that would stand for the platform itself.
func (s *Service) checkPlatform(name Name) error {
	if s.platform.ASCII == "" {
		return nil
	}
	if name.Wildcard && name.Base == s.platform.ASCII {
		return bad(fmt.Sprintf("*.%s would take everybody's names on this platform", s.platform.ASCII), fmt.Sprintf("write yours.%s", s.platform.ASCII))
	}
	if !name.Below(s.platform.ASCII) {
		return nil
	}
	label := strings.TrimSuffix(name.Base, "."+s.platform.ASCII)
	label = label[strings.LastIndexByte(label, '.')+1:]
	if slices.Contains(reserved, label) {
		return bad(fmt.Sprintf("%s.%s is kept for the platform", label, s.platform.ASCII), "choose another name")
	}
	return nil
}

// free reports whether a name needs no proof: it is on this machine, or below
// the platform's own domain.
func (s *Service) free(name Name) bool {
	return name.Base == localhost || name.Below(localhost) || name.Below(s.platform.ASCII)
}

func (s *Service) findClaim(ctx context.Context, domain string) (resource.Resource, error) {
	page, err := s.Store.List(ctx, resource.Query{Kind: KindClaim, Name: domain, Limit: 1})
	if err != nil {
		return resource.Resource{}, err
	}
	if len(page.Items) == 0 {
		return resource.Resource{}, fault.New(fault.NotFound, "nobody has verified it").About("domain " + domain)
	}
	return page.Items[0], nil
}

func (s *Service) claimOf(ctx context.Context, domain string) (Claim, error) {
	r, err := s.findClaim(ctx, domain)
	if err != nil {
		return Claim{}, err
	}
	return DecodeClaim(r)
}

// planClaim appends to a plan what gives a name to a domain resource. Errors:
// Conflict when another resource holds the name, or another project a name
// above it. A claim whose domain is gone is taken over.
func (s *Service) planClaim(ctx context.Context, plan *resource.Plan, name Name, domainID, project, environment, method string) error {
	for _, above := range name.above(s.platform.ASCII) {
		claim, err := s.claimOf(ctx, above)
		if fault.Is(err, fault.NotFound) || err == nil && claim.Spec.Project == project {
			continue
		}
		if err != nil {
			return err
		}
		if gone, err := s.gone(ctx, claim); err != nil {
			return err
		} else if !gone {
			return fault.New(fault.Conflict, "another project has verified %s, and decides about the names below it: ask its owner to add %s there, or to remove %s", above, name.ASCII, above).About("domain " + name.ASCII)
		}
	}
	spec := mustJSON(ClaimSpec{Domain: name.ASCII, DomainID: domainID, Project: project, Environment: environment, Method: method})
	r, err := s.findClaim(ctx, name.ASCII)
	if fault.Is(err, fault.NotFound) {
		plan.Create(ClaimType(), "", "", name.ASCII, spec)
		return nil
	}
	if err != nil {
		return err
	}
	claim, err := DecodeClaim(r)
	if err != nil {
		return err
	}
	if claim.Spec.DomainID == domainID {
		return nil
	}
	gone, err := s.gone(ctx, claim)
	switch {
	case err != nil:
		return err
	case gone:
		plan.Update(r, spec)
		return nil
	case claim.Spec.Project == project:
		return fault.New(fault.Conflict, "the environment %q of this project serves it: remove it there first", claim.Spec.Environment).About("domain " + name.ASCII)
	case s.free(name):
		return fault.New(fault.Conflict, "another project has this name: free names go to who comes first, choose another").About("domain " + name.ASCII)
	default:
		return fault.New(fault.Conflict, "another project has verified this domain: it has to be removed there first").About("domain " + name.ASCII)
	}
}

// gone reports whether the resource that a claim is for is no longer there.
func (s *Service) gone(ctx context.Context, claim Claim) (bool, error) {
	_, err := s.Store.Get(ctx, Kind, claim.Spec.DomainID)
	if fault.Is(err, fault.NotFound) {
		return true, nil
	}
	return false, err
}

// take makes the domain the owner of its name, when it may be. It is called
// once proof was seen, and again does nothing.
func (s *Service) take(ctx context.Context, d Domain, name Name, method string, cause resource.Cause) error {
	const attempts = 3
	for attempt := 1; ; attempt++ {
		plan := resource.NewPlan(d.Project, d.Environment)
		if err := s.planClaim(ctx, &plan, name, d.ID, d.Project, d.Environment, method); err != nil {
			return err
		}
		if plan.Empty() {
			return nil
		}
		plan.Reason = fmt.Sprintf("%s is verified by %s", d.Name, method)
		if method == MethodNotRequired {
			plan.Reason = fmt.Sprintf("%s needs no proof", d.Name)
		}
		_, err := s.Store.Commit(ctx, plan.Commit(cause))
		if err == nil {
			return nil
		}
		// Lost a race for the name: look again who has it.
		if attempt == attempts || !fault.Is(err, fault.Conflict) && !fault.Is(err, fault.Stale) {
			return err
		}
	}
}
