package provision

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// Follow implements resource.Follower: the certificate of a domain that goes to
// another project goes along, with its key, so that the edges never are without
// one. An uploaded certificate is its project's own and stays behind, as does one
// that covers other names too; the platform then issues another.
func (s *Service) Follow(ctx context.Context, plan *resource.Plan, move resource.Move) (resource.Following, error) {
	var after resource.Following
	r, err := s.Find(ctx, move.From.Project, move.From.Environment, move.Domain)
	if fault.Is(err, fault.NotFound) {
		return after, nil
	}
	if err != nil {
		return after, err
	}
	c, err := certificates.Read(r)
	if err != nil {
		return after, err
	}
	if c.Spec.Type == certificates.TypeCustom || len(c.Spec.Domains) != 1 {
		plan.Warnings = append(plan.Warnings, fmt.Sprintf("the certificate %s stays with project %s, which uploaded it or uses it for other names: another is issued", c.Name, move.From.Project))
		return after, nil
	}
	if _, err := s.Find(ctx, move.To.Project, move.To.Environment, move.Domain); err == nil {
		plan.Delete(r) // the taking project has one of its own
		return after, nil
	} else if !fault.Is(err, fault.NotFound) {
		return after, err
	}
	plan.Delete(r)
	plan.Create(s.typ, move.To.Project, move.To.Environment, move.Domain, c.Spec.Encode())
	fresh := plan.Actions[len(plan.Actions)-1].ID
	st := c.Status
	st.Step, st.StartedAt, st.Observed = "", nil, 0
	after.Status = map[string]json.RawMessage{fresh: st.Encode()}
	if st.Generation != "" {
		after.Secrets = map[string]string{certificates.BundleName(fresh, st.Generation): certificates.BundleName(c.ID, st.Generation)}
		for _, old := range st.Superseded {
			after.Secrets[certificates.BundleName(fresh, old.Generation)] = certificates.BundleName(c.ID, old.Generation)
		}
	}
	return after, nil
}
