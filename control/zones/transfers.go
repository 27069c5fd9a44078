package zones

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/zones/transfer"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// KeyUsers returns the zones of an environment that name a TSIG key, at most
// limit.
func (s *Service) KeyUsers(ctx context.Context, project, environment, key string, limit int) ([]string, error) {
	var out []string
	q := resource.Query{Kind: Kind, Project: project, Environment: environment, Limit: 1000}
	for {
		page, err := s.Store.List(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, r := range page.Items {
			if slices.ContainsFunc(transferReferences(r.Spec), func(ref resource.Reference) bool { return ref.Name == key }) && len(out) < limit {
				out = append(out, r.Name)
			}
		}
		if q.Cursor = page.Next; page.Next == "" || len(out) >= limit {
			return out, nil
		}
	}
}

// Transfers are the settings of both directions, as they are replaced together.
type Transfers struct {
	Out *Transfer  // nil: nobody gets the zone
	In  *Secondary // nil: its records are ours
	// Consent is needed to lose what the zone has: its records, when it becomes a
	// secondary, or the copy of them, when it ends being one.
	Consent bool
}

// PlanTransfers plans to set who a zone is given to and taken from. Errors:
// NotFound, Stale, Invalid, Forbidden for an address that is not reached from
// here, Conflict without consent or for a locked domain.
func (s *Service) PlanTransfers(ctx context.Context, project, environment, apex string, t Transfers, ifRevision int64) (resource.Plan, error) {
	z, err := s.Get(ctx, project, environment, apex)
	if err != nil {
		return resource.NewPlan(project, environment), err
	}
	patch := mustJSON(map[string]any{"transfer": t.Out, "secondary": t.In})
	// A merge patch would merge the old members into the new.
	cleared, err := resource.MergePatch(mustJSON(z.Spec), json.RawMessage(`{"transfer":null,"secondary":null}`), "")
	if err != nil {
		return resource.NewPlan(project, environment), err
	}
	merged, err := resource.MergePatch(cleared, patch, "")
	if err != nil {
		return resource.NewPlan(project, environment), err
	}
	return s.planSpec(ctx, z.Meta, merged, ifRevision, t.Consent)
}

// SetTransfers sets who a zone is given to and taken from.
func (s *Service) SetTransfers(ctx context.Context, project, environment, apex string, t Transfers, ifRevision int64, cause resource.Cause) (Zone, error) {
	plan, err := s.PlanTransfers(ctx, project, environment, apex, t, ifRevision)
	if err != nil {
		return Zone{}, err
	}
	if err := s.commit(ctx, plan, cause); err != nil {
		return Zone{}, err
	}
	return s.Get(ctx, project, environment, apex)
}

// planSpec plans another spec of a zone, with what follows for its records.
func (s *Service) planSpec(ctx context.Context, m resource.Meta, merged json.RawMessage, ifRevision int64, consent bool) (resource.Plan, error) {
	plan := resource.NewPlan(m.Project, m.Environment)
	r, err := s.find(ctx, m.Project, m.Environment, m.Name)
	if err != nil {
		return plan, err
	}
	if err := seen(r, ifRevision); err != nil {
		return plan, err
	}
	spec, err := decodeSpec(merged)
	if err != nil {
		return plan, err
	}
	old, err := Decode(r)
	if err != nil {
		return plan, err
	}
	if !bytes.Equal(mustJSON(Transfers{Out: old.Spec.Transfer, In: old.Spec.Secondary}), mustJSON(Transfers{Out: spec.Transfer, In: spec.Secondary})) {
		if err := s.reachable(ctx, m, &spec); err != nil {
			return plan, err
		}
	}
	plan.Update(r, mustJSON(spec))
	switch {
	case old.Spec.Secondary == nil && spec.Secondary != nil:
		if err := s.planAttach(ctx, &plan, old, consent); err != nil {
			return plan, err
		}
	case old.Spec.Secondary != nil && spec.Secondary == nil && old.Status.Copy != nil && old.Status.Copy.Digest != "":
		if s.Locks != nil {
			if err := s.Locks.CheckZoneUnlocked(ctx, m.Project, m.Environment, m.Name); err != nil {
				return plan, err
			}
		}
		if !consent {
			return plan, fault.New(fault.Conflict, "the zone's %d records are a copy of its primary's, and go with it: export them first to import them again, and repeat this with consent (?consent=true, --yes)", old.Status.Copy.Records).About("zone " + m.Name)
		}
	}
	return plan, s.unlocked(ctx, plan)
}

// planAttach removes the records of a zone that becomes a secondary.
func (s *Service) planAttach(ctx context.Context, plan *resource.Plan, z Zone, consent bool) error {
	sets, err := s.all(ctx, z)
	if err != nil || len(sets) == 0 {
		return err
	}
	if s.Locks != nil {
		if err := s.Locks.CheckZoneUnlocked(ctx, z.Project, z.Environment, z.Name); err != nil {
			return err
		}
	}
	if !consent {
		return fault.New(fault.Conflict, "the zone has %d record sets, which go when its records are its primaries': export them, and repeat this with consent (?consent=true, --yes)", len(sets)).About("zone " + z.Name)
	}
	for _, r := range sets {
		plan.Delete(r)
	}
	return nil
}

// reachable refuses keys that are not there, and addresses that tenants may not
// have asked.
func (s *Service) reachable(ctx context.Context, m resource.Meta, spec *Spec) error {
	var fields []fault.Field
	check := func(pointer, name string) error {
		page, err := s.Store.List(ctx, resource.Query{Kind: kindTSIG, Project: m.Project, Environment: m.Environment, Name: name, Limit: 1})
		if err == nil && len(page.Items) == 0 {
			fields = append(fields, fault.Field{Pointer: pointer, Detail: fmt.Sprintf("there is no TSIG key %s", name), Fix: "make it with POST .../dns/tsig or \"edgewright dns tsig create\""})
		}
		return err
	}
	reach := func(pointer, address string) {
		a, err := netip.ParseAddrPort(address)
		if s.Reach == nil || err != nil {
			return
		}
		if err := s.Reach(a.Addr()); err != nil {
			fields = append(fields, fault.Field{Pointer: pointer, Detail: err.Error(), Fix: "use a public address, or have the operator allow it"})
		}
	}
	if t := spec.Transfer; t != nil {
		for i, name := range t.Keys {
			if err := check(fmt.Sprintf("/transfer/keys/%d", i), name); err != nil {
				return err
			}
		}
		for i, target := range t.Notify {
			reach(fmt.Sprintf("/transfer/notify/%d", i), target)
		}
	}
	if sec := spec.Secondary; sec != nil {
		for i, p := range sec.Primaries {
			if p.Key != "" {
				if err := check(fmt.Sprintf("/secondary/primaries/%d/key", i), p.Key); err != nil {
					return err
				}
			}
			reach(fmt.Sprintf("/secondary/primaries/%d/address", i), p.Address)
		}
	}
	return fault.InvalidFields(fields)
}

// ours refuses to change records of a zone whose records are its primaries'.
func ours(z Zone) error {
	if z.Spec.Secondary == nil {
		return nil
	}
	return fault.New(fault.Conflict, "%s", copied(z)).About("zone " + z.Name)
}

// copied says of a copied zone how its records are changed.
func copied(z Zone) string {
	return fmt.Sprintf("the zone is a secondary: its records come from %s. Change them there, or end the transfers first (PUT .../zone/transfers, \"edgewright dns transfers in %s --off\")", primariesOf(z), z.Name)
}

func primariesOf(z Zone) string {
	var list []string
	for _, p := range z.Spec.Secondary.Primaries {
		list = append(list, p.Address)
	}
	return strings.Join(list, ", ")
}

// AskRefresh asks for a look at a secondary zone's primaries now, with whole for
// the zone from its beginning. Errors: NotFound, Conflict for a zone that is no
// secondary.
func (s *Service) AskRefresh(ctx context.Context, project, environment, apex string, whole bool) (Zone, error) {
	z, err := s.Get(ctx, project, environment, apex)
	if err != nil {
		return z, err
	}
	if z.Spec.Secondary == nil {
		return z, fault.New(fault.Conflict, "the zone is no secondary: name its primaries first (PUT .../zone/transfers)").About("zone " + z.Name)
	}
	if err := s.UpdateCopy(ctx, z.ID, func(_ Spec, c *Copy) { s.asked(c); c.Whole = c.Whole || whole }); err != nil {
		return z, err
	}
	return s.Get(ctx, project, environment, apex)
}

// Noticed takes in that a primary says it has another version of a secondary
// zone. Who says so was checked by the edge that heard it; a serial that is
// already here, or not ahead, asks for nothing. known is false for a notice
// without one.
func (s *Service) Noticed(ctx context.Context, zoneID string, serial uint32, known bool) error {
	err := s.UpdateCopy(ctx, zoneID, func(spec Spec, c *Copy) {
		if spec.Secondary == nil || known && c.Digest != "" && int32(serial-c.Serial) <= 0 {
			return
		}
		s.asked(c)
	})
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

// asked notes that a look is wanted. It is noted anew each time: the look that
// is under way may have read the version before.
func (s *Service) asked(c *Copy) {
	now := s.Now().UTC()
	c.Asked = &now
}

// UpdateCopy changes what is known of a zone's copy, and nothing else of its
// status. change may be called several times, each with what is stored. Error:
// NotFound when the zone is gone.
func (s *Service) UpdateCopy(ctx context.Context, zoneID string, change func(spec Spec, c *Copy)) error {
	return s.updateStatus(ctx, zoneID, func(z *Zone) bool {
		next := Copy{}
		if z.Status.Copy != nil {
			next = *z.Status.Copy
		}
		before := mustJSON(next)
		change(z.Spec, &next)
		if bytes.Equal(before, mustJSON(next)) {
			return false
		}
		z.Status.Copy = &next
		return true
	})
}

// DropCopy forgets what is known of a zone's copy.
func (s *Service) DropCopy(ctx context.Context, zoneID string) error {
	return s.updateStatus(ctx, zoneID, func(z *Zone) bool {
		there := z.Status.Copy != nil
		z.Status.Copy = nil
		return there
	})
}

// updateStatus changes a zone's status in one transaction. change returns false
// when nothing is to be written, and must not ask anything.
func (s *Service) updateStatus(ctx context.Context, zoneID string, change func(z *Zone) bool) error {
	_, err := resource.ChangeStatus(ctx, s.Store, Kind, zoneID, change)
	return err
}

// content reads the copy of a zone.
func (s *Service) content(ctx context.Context, zoneID string) (*transfer.Content, error) {
	if s.Copies == nil {
		return nil, fault.New(fault.Unavailable, "this control plane keeps no copies of zones")
	}
	body, err := s.Copies.ZoneCopy(ctx, zoneID)
	if err != nil {
		return nil, err
	}
	return transfer.Decode(body)
}

// given is what a head says of transfers: keys by ID, and only targets that may
// be told. trouble says what is left out.
func (s *Service) given(ctx context.Context, z Zone) (t *edgeconfig.Transfer, trouble []string, err error) {
	want := z.Spec.Transfer
	if want == nil {
		return nil, nil, nil
	}
	t = &edgeconfig.Transfer{Allow: want.Allow}
	for _, name := range want.Keys {
		id, err := s.keyID(ctx, z, name)
		if err != nil {
			return nil, nil, err
		}
		if id == "" {
			trouble = append(trouble, "there is no TSIG key "+name+": make it, or take it out of the zone's transfers")
			continue
		}
		t.Keys = append(t.Keys, id)
	}
	for _, target := range want.Notify {
		if a, err := netip.ParseAddrPort(target); err == nil && s.Reach != nil {
			if err := s.Reach(a.Addr()); err != nil {
				trouble = append(trouble, target+" is not told of changes: "+err.Error())
				continue
			}
		}
		t.Notify = append(t.Notify, target)
	}
	if len(t.Keys) == 0 {
		return nil, trouble, nil
	}
	return t, trouble, nil
}

// heard is what a head says of the primaries whose notices edges take.
func (s *Service) heard(ctx context.Context, z Zone) (*edgeconfig.Secondary, error) {
	if z.Spec.Secondary == nil {
		return nil, nil
	}
	out := &edgeconfig.Secondary{}
	for _, p := range z.Spec.Secondary.Primaries {
		if a, err := netip.ParseAddrPort(p.Address); err == nil {
			out.Primaries = append(out.Primaries, a.Addr().String())
		}
		if p.Key == "" {
			continue
		}
		id, err := s.keyID(ctx, z, p.Key)
		if err != nil {
			return nil, err
		}
		if id != "" {
			out.Keys = append(out.Keys, id)
		}
	}
	slices.Sort(out.Primaries)
	slices.Sort(out.Keys)
	out.Primaries, out.Keys = slices.Compact(out.Primaries), slices.Compact(out.Keys)
	out.Expired = z.Status.Copy != nil && z.Status.Copy.Expired
	return out, nil
}

// keyID is the ID of a key, "" when there is none of the name.
func (s *Service) keyID(ctx context.Context, z Zone, name string) (string, error) {
	page, err := s.Store.List(ctx, resource.Query{Kind: kindTSIG, Project: z.Project, Environment: z.Environment, Name: name, Limit: 1})
	if err != nil || len(page.Items) == 0 {
		return "", err
	}
	return page.Items[0].ID, nil
}
