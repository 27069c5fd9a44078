package zones

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// Ownership tells who has proved a domain; domains.Service is one.
type Ownership interface {
	Verified(ctx context.Context, project, environment, domain string) (bool, error)
}

// Options of a Service.
type Options struct {
	Store     resource.Store
	Vault     resource.ListedVault // of their keys
	Ownership Ownership            // nil: nobody has proved anything
	Locks     Locks                // nil: nothing is locked
	Needs     Needs                // nil: no zone is needed
	// NameServers are the names that are given out in pairs, at least two; none:
	// names in each zone itself.
	NameServers []string
	// Platform is the domain that free names live below; "" for none. It and the
	// names of the name servers are the operator's.
	Platform string
	Copies   Copies                   // of secondary zones; nil: there are none
	Reach    func(a netip.Addr) error // whether tenants may name an address; nil: any
	Places   Places                   // nil: targets of records are not looked at when they are written
	Now      func() time.Time         // nil: time.Now
}

// Service holds the use cases of zones. Its methods may be called from any
// goroutine.
type Service struct {
	Options
	made *versions
}

// New returns the service.
func New(o Options) *Service {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Service{Options: o, made: newVersions()}
}

// Ensure makes the zone of an apex when the environment has none yet, and
// returns it. Errors: Invalid at /name, Conflict when another project has it.
func (s *Service) Ensure(ctx context.Context, project, environment, apex string, cause resource.Cause) (Zone, error) {
	z, err := s.Get(ctx, project, environment, apex)
	if !fault.Is(err, fault.NotFound) {
		return z, err
	}
	plan, err := s.PlanEnsure(ctx, project, environment, apex)
	if err != nil {
		return Zone{}, err
	}
	if _, err := s.Store.Commit(ctx, plan.Commit(cause)); err != nil && !fault.Is(err, fault.Conflict) {
		return Zone{}, err
	}
	return s.Get(ctx, project, environment, apex)
}

// PlanEnsure plans Ensure; an empty plan says that the zone is there.
func (s *Service) PlanEnsure(ctx context.Context, project, environment, apex string) (resource.Plan, error) {
	plan := resource.NewPlan(project, environment)
	name, err := ParseApex(apex)
	if err != nil {
		return plan, err
	}
	if _, err := s.find(ctx, project, environment, name); !fault.Is(err, fault.NotFound) {
		return plan, err
	}
	spec, err := decodeSpec(nil)
	if err != nil {
		return plan, err
	}
	plan.Create(Type(), project, environment, name, mustJSON(spec))
	if err := s.unlocked(ctx, plan); err != nil {
		return plan, err
	}
	return plan, s.planDelegation(ctx, &plan, name, plan.Actions[0].ID, project, environment)
}

// Get returns the zone of an apex. Error: NotFound.
func (s *Service) Get(ctx context.Context, project, environment, apex string) (Zone, error) {
	name, err := ParseApex(apex)
	if err != nil {
		return Zone{}, noZone(apex)
	}
	r, err := s.find(ctx, project, environment, name)
	if err != nil {
		return Zone{}, err
	}
	z, err := Decode(r)
	if err != nil {
		return Zone{}, err
	}
	if len(z.Status.NameServers) == 0 { // not looked at yet
		if d, _, err := s.findDelegation(ctx, name); err == nil && d.Spec.Zone == z.ID {
			z.Status.NameServers = s.nameServers(d.Spec.Pair, name)
		}
	}
	return z, nil
}

// List returns a page of zones in order of ID.
func (s *Service) List(ctx context.Context, project, environment string, limit int, cursor string) ([]Zone, string, error) {
	page, err := s.Store.List(ctx, resource.Query{Kind: Kind, Project: project, Environment: environment, Limit: limit, Cursor: cursor})
	if err != nil {
		return nil, "", err
	}
	list := make([]Zone, 0, len(page.Items))
	for _, r := range page.Items {
		z, err := Decode(r)
		if err != nil {
			return nil, "", err
		}
		list = append(list, z)
	}
	return list, page.Next, nil
}

// ZoneFor returns the zone that a name is in: the one with the longest apex.
// Error: NotFound.
func (s *Service) ZoneFor(ctx context.Context, project, environment, name string) (Zone, error) {
	full, err := canonical(strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(name), "*."), "."))
	if err != nil {
		return Zone{}, noZone(name)
	}
	for at := full; at != ""; at = parentName(at) {
		z, err := s.Get(ctx, project, environment, at)
		if !fault.Is(err, fault.NotFound) {
			return z, err
		}
	}
	return Zone{}, noZone(name)
}

// Configure changes how a zone is made: patch is a JSON merge patch (RFC 7396) of
// its spec, ifRevision the revision that was seen, 0 for any.
func (s *Service) Configure(ctx context.Context, project, environment, apex string, patch json.RawMessage, ifRevision int64, cause resource.Cause) (Zone, error) {
	plan, err := s.PlanConfigure(ctx, project, environment, apex, patch, ifRevision)
	if err != nil {
		return Zone{}, err
	}
	if err := s.commit(ctx, plan, cause); err != nil {
		return Zone{}, err
	}
	return s.Get(ctx, project, environment, apex)
}

// PlanConfigure plans Configure.
func (s *Service) PlanConfigure(ctx context.Context, project, environment, apex string, patch json.RawMessage, ifRevision int64) (resource.Plan, error) {
	plan := resource.NewPlan(project, environment)
	name, err := ParseApex(apex)
	if err != nil {
		return plan, noZone(apex)
	}
	r, err := s.find(ctx, project, environment, name)
	if err != nil {
		return plan, err
	}
	if err := seen(r, ifRevision); err != nil {
		return plan, err
	}
	merged, err := resource.MergePatch(r.Spec, patch, `{"ttl": 60}`)
	if err != nil {
		return plan, err
	}
	return s.planSpec(ctx, r.Meta, merged, ifRevision, false)
}

// PlanRemove plans to remove a zone with all its records, which needs consent
// when there are any. Errors: NotFound, Conflict without consent, or while a domain
// is locked or has its records there.
func (s *Service) PlanRemove(ctx context.Context, project, environment, apex string, consent bool) (resource.Plan, error) {
	plan := resource.NewPlan(project, environment)
	z, err := s.Get(ctx, project, environment, apex)
	if err != nil {
		return plan, err
	}
	sets, err := s.all(ctx, z)
	if err != nil {
		return plan, err
	}
	if err := s.removable(ctx, project, environment, z.Name, nil); err != nil {
		return plan, err
	}
	if len(sets) > 0 && !consent {
		return plan, consentNeeded(z.Name, len(sets), len(sets))
	}
	if c := z.Status.Copy; c != nil && c.Digest != "" && !consent {
		return plan, consentNeeded(z.Name, z.Status.Records, z.Status.Records)
	}
	for _, r := range sets {
		plan.Delete(r)
	}
	stored, err := s.find(ctx, project, environment, z.Name)
	if err != nil {
		return plan, err
	}
	plan.Delete(stored)
	return plan, nil
}

// Remove removes a zone.
func (s *Service) Remove(ctx context.Context, project, environment, apex string, consent bool, cause resource.Cause) error {
	plan, err := s.PlanRemove(ctx, project, environment, apex, consent)
	if err != nil {
		return err
	}
	return s.commit(ctx, plan, cause)
}

// maxChanges is how many changes one commit of this room has: the store's bound.
const maxChanges = 10_000

// commit carries out a plan, in several commits when it is larger than one may
// be: deletions are last in it and are of no use without what comes before.
func (s *Service) commit(ctx context.Context, plan resource.Plan, cause resource.Cause) error {
	for len(plan.Actions) > 0 {
		part := plan
		part.Actions = plan.Actions[:min(len(plan.Actions), maxChanges)]
		plan.Actions = plan.Actions[len(part.Actions):]
		if _, err := s.Store.Commit(ctx, part.Commit(cause)); err != nil {
			return err
		}
	}
	return nil
}

// consentFrom is how many sets a zone has at least before losing much of them
// needs consent; emptying it always does.
const (
	consentFrom    = 10
	consentPercent = 30
)

// needsConsent tells whether removing so many of a zone's sets is suspicious.
func needsConsent(removed, of, left int) bool {
	return removed > 0 && (left == 0 || of >= consentFrom && removed*100 > of*consentPercent)
}

func consentNeeded(apex string, removed, of int) error {
	return fault.New(fault.Conflict, "this would remove %d of %d record sets: repeat it with consent (?consent=true, --yes) when that is what you want", removed, of).About("zone " + apex)
}

func (s *Service) find(ctx context.Context, project, environment, apex string) (resource.Resource, error) {
	page, err := s.Store.List(ctx, resource.Query{Kind: Kind, Project: project, Environment: environment, Name: apex, Limit: 1})
	if err != nil {
		return resource.Resource{}, err
	}
	if len(page.Items) == 0 {
		return resource.Resource{}, noZone(apex)
	}
	return page.Items[0], nil
}

func noZone(apex string) error {
	return fault.New(fault.NotFound, "no zone of this name is managed in this project and environment: add the domain with \"dns\": \"managed\"").About("zone " + apex)
}

// all returns every set of a zone, in order of name.
func (s *Service) all(ctx context.Context, z Zone) ([]resource.Resource, error) {
	var out []resource.Resource
	q := resource.Query{Kind: KindRRset, Project: z.Project, Environment: z.Environment, NameSuffix: "@" + z.Name, Limit: 1000}
	for {
		page, err := s.Store.List(ctx, q)
		if err != nil {
			return nil, err
		}
		out = append(out, page.Items...)
		if q.Cursor = page.Next; page.Next == "" {
			slices.SortFunc(out, func(a, b resource.Resource) int { return strings.Compare(a.Name, b.Name) })
			return out, nil
		}
	}
}

func seen(r resource.Resource, ifRevision int64) error {
	if ifRevision != 0 && r.Revision != ifRevision {
		return fault.New(fault.Stale, "it is at revision %d, you saw %d: read it again and repeat your change", r.Revision, ifRevision).About(string(r.Kind) + " " + r.Name)
	}
	return nil
}

// PresentTXT puts a text at a name of a zone that this project and environment
// have, unless it is there, and returns when every connected edge answers with it. It is no
// resource: it lives as long as the control plane that leads, or until RemoveTXT. Errors: NotFound when no zone has the name, Unavailable when this
// control plane does not lead or edges do not take it in time.
func (s *Service) PresentTXT(ctx context.Context, project, environment, name, text string) error {
	z, full, owner, err := s.placeOf(ctx, project, environment, name)
	if err != nil {
		return err
	}
	if err := ours(z); err != nil {
		return err
	}
	if _, err := s.set(ctx, z, owner, "CNAME"); err == nil {
		return fault.New(fault.Conflict, "%s is a CNAME here, so that no TXT record can stand beside it: remove it, or prove the name where it leads to", full).About("zone " + z.Name)
	}
	r := s.made.leader()
	if r == nil {
		return fault.New(fault.Unavailable, "this control plane does not lead at present: try again")
	}
	if err := r.present(ctx, z.ID, owner, text, true); err != nil {
		return err
	}
	if err := r.everywhere(ctx, z.ID); err != nil {
		_ = r.present(context.WithoutCancel(ctx), z.ID, owner, text, false)
		return fmt.Errorf("the record for %s: %w", full, err)
	}
	return nil
}

// RemoveTXT takes a text away again that PresentTXT has put there. Where this
// control plane does not lead there is none. Errors: NotFound when no zone has
// the name.
func (s *Service) RemoveTXT(ctx context.Context, project, environment, name, text string) error {
	z, _, owner, err := s.placeOf(ctx, project, environment, name)
	if err != nil {
		return err
	}
	if r := s.made.leader(); r != nil {
		return r.present(ctx, z.ID, owner, text, false)
	}
	return nil
}

// placeOf finds the zone that holds a name, and the name in it. Errors: NotFound,
// Invalid.
func (s *Service) placeOf(ctx context.Context, project, environment, name string) (z Zone, full, owner string, err error) {
	if z, err = s.ZoneFor(ctx, project, environment, name); err != nil {
		return z, "", "", err
	}
	if full, err = canonical(strings.TrimSuffix(name, ".")); err != nil {
		return z, "", "", fault.New(fault.Invalid, "%s: %w", name, err)
	}
	owner, _ = within(full, z.Name)
	return z, full, owner, nil
}
