package zones

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// Set names a set and says what it shall be.
type Set struct {
	Name string // owner, in any form that ParseOwner understands
	Type string
	Spec json.RawMessage // of RRsetSpec; nil: the set shall go
}

// Edit is a change of many sets at once.
type Edit struct {
	Sets    []Set
	Replace bool // sets of the zone that are not among these go
	Consent bool // to empty the zone, or to remove much of it
}

// ListRRsets returns a page of a zone's sets in order of ID.
func (s *Service) ListRRsets(ctx context.Context, project, environment, apex string, limit int, cursor string) ([]RRset, string, error) {
	z, err := s.Get(ctx, project, environment, apex)
	if err != nil {
		return nil, "", err
	}
	page, err := s.Store.List(ctx, resource.Query{Kind: KindRRset, Project: project, Environment: environment, NameSuffix: "@" + z.Name, Limit: limit, Cursor: cursor})
	if err != nil {
		return nil, "", err
	}
	out := make([]RRset, 0, len(page.Items))
	for _, r := range page.Items {
		set, err := DecodeRRset(r)
		if err != nil {
			return nil, "", err
		}
		out = append(out, set)
	}
	return out, page.Next, nil
}

// GetRRset returns a set by its ID, or by name and type. Error: NotFound.
func (s *Service) GetRRset(ctx context.Context, project, environment, apex, id string) (RRset, error) {
	z, err := s.Get(ctx, project, environment, apex)
	if err != nil {
		return RRset{}, err
	}
	r, err := s.Store.Get(ctx, KindRRset, id)
	if fault.Is(err, fault.NotFound) || err == nil && (r.Project != project || r.Environment != environment || !strings.HasSuffix(r.Name, "@"+z.Name)) {
		if z.Spec.Secondary != nil { // what is looked for may well be in it
			return RRset{}, fault.New(fault.NotFound, "record sets of a copied zone have no IDs: %s", copied(z)).About("zone " + z.Name)
		}
		return RRset{}, fault.New(fault.NotFound, "the zone has no record set %s", id).About("zone " + z.Name)
	}
	if err != nil {
		return RRset{}, err
	}
	return DecodeRRset(r)
}

// set returns the set of an owner and type. Error: NotFound.
func (s *Service) set(ctx context.Context, z Zone, owner, typ string) (resource.Resource, error) {
	page, err := s.Store.List(ctx, resource.Query{Kind: KindRRset, Project: z.Project, Environment: z.Environment, Name: RRsetName(owner, typ, z.Name), Limit: 1})
	if err != nil {
		return resource.Resource{}, err
	}
	if len(page.Items) == 0 {
		return resource.Resource{}, fault.New(fault.NotFound, "there is no such record set").About("rrset " + RRsetName(owner, typ, z.Name))
	}
	return page.Items[0], nil
}

// PlanSetRRset plans to make a set, or to give the one there is another spec.
// With create, one that is there is a Conflict; ifRevision is the revision of it
// that was seen, 0 for any.
func (s *Service) PlanSetRRset(ctx context.Context, project, environment, apex string, set Set, create bool, ifRevision int64) (resource.Plan, error) {
	plan := resource.NewPlan(project, environment)
	z, err := s.Get(ctx, project, environment, apex)
	if err != nil {
		return plan, err
	}
	if err := ours(z); err != nil {
		return plan, err
	}
	owner, typ, err := parseSet(set, z.Name)
	if err != nil {
		return plan, err
	}
	name := RRsetName(owner, typ, z.Name)
	spec, err := decodeRRset(name, set.Spec)
	if err != nil {
		return plan, err
	}
	stored, err := s.set(ctx, z, owner, typ)
	switch {
	case fault.Is(err, fault.NotFound):
		plan.Create(RRsetType(), project, environment, name, mustJSON(spec))
	case err != nil:
		return plan, err
	case create:
		return plan, fault.New(fault.Conflict, "there is a record set of this name and type already: change it (%s)", stored.ID).About("rrset " + name)
	default:
		if err := seen(stored, ifRevision); err != nil {
			return plan, err
		}
		plan.Update(stored, mustJSON(spec))
	}
	if err := s.neighbours(ctx, z, owner, typ); err != nil {
		return plan, err
	}
	plan.Warnings = append(plan.Warnings, s.warnings(ctx, z, owner, typ, spec)...)
	return plan, s.unlocked(ctx, plan)
}

func parseSet(set Set, apex string) (owner, typ string, err error) {
	if owner, err = ParseOwner(set.Name, apex); err != nil {
		return "", "", err
	}
	typ, err = ParseType(set.Type)
	return owner, typ, err
}

// SetRRset makes a set, or gives the one there is another spec.
func (s *Service) SetRRset(ctx context.Context, project, environment, apex string, set Set, create bool, ifRevision int64, cause resource.Cause) (RRset, []string, error) {
	plan, err := s.PlanSetRRset(ctx, project, environment, apex, set, create, ifRevision)
	if err != nil {
		return RRset{}, nil, err
	}
	if !plan.Empty() {
		if _, err := s.Store.Commit(ctx, plan.Commit(cause)); err != nil {
			return RRset{}, nil, err
		}
	}
	z, err := s.Get(ctx, project, environment, apex)
	if err != nil {
		return RRset{}, nil, err
	}
	owner, typ, err := parseSet(set, z.Name)
	if err != nil {
		return RRset{}, nil, err
	}
	r, err := s.set(ctx, z, owner, typ)
	if err != nil {
		return RRset{}, nil, err
	}
	out, err := DecodeRRset(r)
	return out, plan.Warnings, err
}

// PlanDeleteRRset plans to remove one set.
func (s *Service) PlanDeleteRRset(ctx context.Context, project, environment, apex, id string, ifRevision int64) (resource.Plan, error) {
	plan := resource.NewPlan(project, environment)
	set, err := s.GetRRset(ctx, project, environment, apex, id)
	if err != nil {
		return plan, err
	}
	r, err := s.Store.Get(ctx, KindRRset, set.ID)
	if err != nil {
		return plan, err
	}
	if err := seen(r, ifRevision); err != nil {
		return plan, err
	}
	plan.Delete(r)
	return plan, s.unlocked(ctx, plan)
}

// DeleteRRset removes one set.
func (s *Service) DeleteRRset(ctx context.Context, project, environment, apex, id string, ifRevision int64, cause resource.Cause) error {
	plan, err := s.PlanDeleteRRset(ctx, project, environment, apex, id, ifRevision)
	if err != nil {
		return err
	}
	_, err = s.Store.Commit(ctx, plan.Commit(cause))
	return err
}

// neighbours refuses what cannot stand at one name together.
func (s *Service) neighbours(ctx context.Context, z Zone, owner, typ string) error {
	if err := s.redirected(ctx, z, owner, typ); err != nil {
		return err
	}
	if typ == "CNAME" {
		for _, other := range knownTypes {
			if other == typ {
				continue
			}
			if _, err := s.set(ctx, z, owner, other); err == nil {
				return alone(owner, z.Name, other)
			} else if !fault.Is(err, fault.NotFound) {
				return err
			}
		}
		return nil
	}
	if _, err := s.set(ctx, z, owner, "CNAME"); err == nil {
		return fault.InvalidField("/type", fmt.Sprintf("%s is a CNAME, which stands alone (RFC 2181 section 10.1)", FullName(owner, z.Name)), "remove the CNAME, or write the record where it leads to")
	} else if !fault.Is(err, fault.NotFound) {
		return err
	}
	if typ == "DS" {
		if _, err := s.set(ctx, z, owner, "NS"); fault.Is(err, fault.NotFound) {
			return fault.InvalidField("/type", fmt.Sprintf("%s is not delegated, and a DS stands at a delegation (RFC 4034 section 5)", FullName(owner, z.Name)), "add its NS records first")
		} else if err != nil {
			return err
		}
	}
	return nil
}

func alone(owner, apex, other string) error {
	return fault.InvalidField("/type", fmt.Sprintf("%s has %s records, and a CNAME stands alone (RFC 2181 section 10.1)", FullName(owner, apex), other), "write an ALIAS with the same value, or remove the others")
}

// warnings tells what is allowed and likely not meant.
func (s *Service) warnings(ctx context.Context, z Zone, owner, typ string, spec RRsetSpec) []string {
	out := warningsFor(z.Name, owner, typ, spec, func(owner, typ string) bool {
		_, err := s.set(ctx, z, owner, typ)
		return err == nil
	})
	return append(out, s.targetless(ctx, FullName(owner, z.Name), spec)...)
}

// warningsFor is warnings over any way to look sets up.
func warningsFor(apex, owner, typ string, spec RRsetSpec, there func(owner, typ string) bool) []string {
	var out []string
	full := FullName(owner, apex)
	if (typ == "A" || typ == "AAAA") && strings.Contains(strings.TrimPrefix(owner, "*."), "_") {
		out = append(out, full+" has an underscore, which names of hosts have not: most programs will not look it up (RFC 1123)")
	}
	for up, more := above(owner); more; up, more = above(up) {
		if there(up, "NS") && up != "@" && typ != "A" && typ != "AAAA" {
			out = append(out, fmt.Sprintf("%s is delegated to other name servers, and %s is below it: they are asked, these records are not served", FullName(up, apex), full))
			break
		}
	}
	for _, v := range spec.Values {
		for _, i := range nameFields[typ] {
			w := words(v)
			if i >= len(w) || typ == "CNAME" || typ == "DNAME" || typ == "PTR" || typ == TypeALIAS || typ == "NAPTR" {
				continue
			}
			name := strings.TrimSuffix(w[i], ".")
			target, inside := within(name, apex)
			if name == "" || !inside {
				continue
			}
			if there(target, "CNAME") && (typ == "MX" || typ == "NS" || typ == "SRV") {
				out = append(out, fmt.Sprintf("%s leads to %s, which is a CNAME: %s records lead to names with addresses (RFC 2181 section 10.3)", full, name, typ))
				continue
			}
			found := false
			for at := target; at != ""; at = parentName(at) {
				found = found || at == target && (there(at, "A") || there(at, "AAAA") || there(at, TypeALIAS))
				if wild := "*." + at; at != target && at != "@" {
					found = found || there(wild, "A") || there(wild, "AAAA") || there(wild, "CNAME")
				}
			}
			found = found || target != "@" && (there("*", "A") || there("*", "AAAA") || there("*", "CNAME"))
			switch {
			case found:
			case typ == "NS" && (target == owner || strings.HasSuffix(target, "."+owner)):
				out = append(out, fmt.Sprintf("the delegation of %s has no glue: add the addresses of %s", full, name))
			case typ != "SVCB" && typ != "HTTPS":
				out = append(out, fmt.Sprintf("%s leads to %s, which has no address here", full, name))
			}
		}
	}
	return out
}

// PlanEdit plans a change of many sets as one. Faults of all sets come back
// together, with pointers into Sets. Errors: Invalid, Conflict without consent.
func (s *Service) PlanEdit(ctx context.Context, project, environment, apex string, edit Edit) (resource.Plan, error) {
	plan := resource.NewPlan(project, environment)
	z, err := s.Get(ctx, project, environment, apex)
	if err != nil {
		return plan, err
	}
	if err := ours(z); err != nil {
		return plan, err
	}
	stored, err := s.all(ctx, z)
	if err != nil {
		return plan, err
	}
	have := map[string]resource.Resource{}
	for _, r := range stored {
		have[r.Name] = r
	}
	wanted, fields := wantedSets(z.Name, edit)
	after := map[string]bool{} // names of sets as the plan leaves them
	for name := range have {
		after[name] = !edit.Replace
	}
	for name, w := range wanted {
		after[name] = w.spec != nil
	}
	fields = append(fields, standTogether(z.Name, wanted, after)...)
	if err := fault.InvalidFields(fields); err != nil {
		return plan, err
	}
	removed, left := 0, 0
	for _, name := range sortedKeys(wanted) {
		w := wanted[name]
		current, there := have[name]
		switch {
		case w.spec == nil && there:
		case w.spec == nil:
		case there:
			plan.Update(current, mustJSON(w.spec))
		default:
			plan.Create(RRsetType(), project, environment, name, mustJSON(w.spec))
		}
	}
	for _, r := range stored {
		if after[r.Name] {
			continue
		}
		removed++
		plan.Delete(r)
	}
	for _, there := range after {
		if there {
			left++
		}
	}
	if err := s.unlocked(ctx, plan); err != nil {
		return plan, err
	}
	if !edit.Consent && needsConsent(removed, len(stored), left) {
		return plan, consentNeeded(z.Name, removed, len(stored))
	}
	for _, name := range sortedKeys(wanted) {
		w := wanted[name]
		if w.spec == nil || len(plan.Warnings) >= 100 {
			continue
		}
		plan.Warnings = append(plan.Warnings, warningsFor(z.Name, w.owner, w.typ, *w.spec, func(owner, typ string) bool { return after[RRsetName(owner, typ, z.Name)] })...)
		plan.Warnings = append(plan.Warnings, s.targetless(ctx, FullName(w.owner, z.Name), *w.spec)...)
	}
	return plan, nil
}

// Edit changes many sets as one and returns what was done.
func (s *Service) Edit(ctx context.Context, project, environment, apex string, edit Edit, cause resource.Cause) (resource.Plan, error) {
	plan, err := s.PlanEdit(ctx, project, environment, apex, edit)
	if err != nil {
		return plan, err
	}
	return plan, s.commit(ctx, plan, cause)
}

type wantedSet struct {
	at         int
	owner, typ string
	spec       *RRsetSpec // nil: it shall go
}

func wantedSets(apex string, edit Edit) (map[string]wantedSet, []fault.Field) {
	var fields []fault.Field
	wanted := map[string]wantedSet{}
	for i, set := range edit.Sets {
		at := fmt.Sprintf("/records/%d", i)
		owner, typ, err := parseSet(set, apex)
		if err != nil {
			fields = append(fields, below(at, err)...)
			continue
		}
		name := RRsetName(owner, typ, apex)
		if first, twice := wanted[name]; twice {
			fields = append(fields, fault.Field{Pointer: at, Detail: fmt.Sprintf("%s %s is given twice, first at /records/%d", FullName(owner, apex), typ, first.at), Fix: "put all values into one"})
			continue
		}
		w := wantedSet{at: i, owner: owner, typ: typ}
		if set.Spec != nil {
			spec, err := decodeRRset(name, set.Spec)
			if err != nil {
				fields = append(fields, below(at, err)...)
				continue
			}
			w.spec = &spec
		}
		wanted[name] = w
	}
	return wanted, fields
}

func below(at string, err error) []fault.Field {
	coded, ok := err.(*fault.Error)
	if !ok || len(coded.Fields) == 0 {
		return []fault.Field{{Pointer: at, Detail: err.Error()}}
	}
	fields := slices.Clone(coded.Fields)
	for i := range fields {
		fields[i].Pointer = at + fields[i].Pointer
	}
	return fields
}

// standTogether checks the sets of each name against one another.
func standTogether(apex string, wanted map[string]wantedSet, after map[string]bool) []fault.Field {
	var fields []fault.Field
	all := neighbourhoodOf(apex, after)
	for _, name := range sortedKeys(wanted) {
		w := wanted[name]
		if w.spec == nil {
			continue
		}
		if c, bad := all.clash(w.owner, w.typ); bad {
			fields = append(fields, fault.Field{Pointer: fmt.Sprintf("/records/%d/%s", w.at, c.field), Detail: c.detail, Fix: c.fix})
		}
	}
	return fields
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
