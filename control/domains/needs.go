package domains

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// inZone reports whether a domain has its records in our zone of an apex: the
// reconciler would make that zone again.
func inZone(name string, raw json.RawMessage, apex string) bool {
	var spec Spec
	if json.Unmarshal(raw, &spec) != nil || spec.DNS != DNSManaged || !spec.AutoConfigure {
		return false
	}
	parsed, err := ParseName(name)
	return err == nil && parsed.Registrable == apex
}

// CheckZoneUnneeded refuses, as Conflict, to remove a zone that a managed domain
// of the environment has its records in. Domains count as they are once the plan
// is carried out: what removes a zone may remove or change its domains with it.
func (s *Service) CheckZoneUnneeded(ctx context.Context, project, environment, apex string, plan []resource.Action) error {
	apex = strings.TrimSuffix(strings.ToLower(apex), ".")
	var need []string
	planned := map[string]bool{}
	for _, a := range plan {
		if a.Kind != Kind || a.Project != project || a.Environment != environment {
			continue
		}
		planned[a.ID] = true
		if a.Op != resource.Delete && inZone(a.Name, a.After, apex) {
			need = append(need, a.Name)
		}
	}
	q := resource.Query{Kind: Kind, Project: project, Environment: environment, Limit: 1000}
	for {
		page, err := s.Store.List(ctx, q)
		if err != nil {
			return err
		}
		for _, r := range page.Items {
			if !planned[r.ID] && inZone(r.Name, r.Spec, apex) {
				need = append(need, r.Name)
			}
		}
		if q.Cursor = page.Next; page.Next == "" {
			break
		}
	}
	return zoneNeeded(apex, need)
}

// DomainsIn tells which domains of an environment, at an apex and below it, lead to
// our edges by what our zone says of them: those whose dns is managed, and others
// that are verified.
func (s *Service) DomainsIn(ctx context.Context, project, environment, apex string) (managed, verified []string, err error) {
	q := resource.Query{Kind: Kind, Project: project, Environment: environment, Limit: 1000}
	for {
		page, err := s.Store.List(ctx, q)
		if err != nil {
			return nil, nil, err
		}
		for _, r := range page.Items {
			if inZone(r.Name, r.Spec, apex) {
				managed = append(managed, r.Name)
				continue
			}
			if r.Name != apex && !strings.HasSuffix(r.Name, "."+apex) {
				continue
			}
			held, err := s.Verified(ctx, project, environment, r.Name)
			if err != nil {
				return nil, nil, err
			}
			if held {
				verified = append(verified, r.Name)
			}
		}
		if q.Cursor = page.Next; page.Next == "" {
			return managed, verified, nil
		}
	}
}

func zoneNeeded(apex string, need []string) error {
	if len(need) == 0 {
		return nil
	}
	const shown = 5
	list := strings.Join(need[:min(len(need), shown)], ", ")
	if more := len(need) - shown; more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	f := fault.New(fault.Conflict, "it has the records of %s, whose dns is managed: remove that first, or set its dns to \"manual\" or \"provider\" (`edgewright domains set %s --dns manual`)",
		list, need[0]).About("zone " + apex)
	for _, name := range need[:min(len(need), shown)] {
		f.Fields = append(f.Fields, fault.Field{
			Pointer: "/domains/" + name + "/dns", Detail: fmt.Sprintf("it is %q, so its records are in this zone", DNSManaged),
			Fix: fmt.Sprintf("remove the domain, or write %q or %q", DNSManual, DNSProvider),
		})
	}
	return f
}
