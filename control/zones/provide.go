package zones

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// Provided is one record that somebody else in the platform wants in a zone.
type Provided struct {
	Name  string // whole, without trailing dot
	Type  string
	Value string
	TTL   int // seconds; 0: the zone's
}

// providedFor is the tag of sets that Provide has made.
const providedFor = "edgewright.provided_for"

// Provide makes a zone hold records for somebody ("shop.example.com"), and none
// that it was given for them before. Sets of the user stay as they are: where one
// has the values, nothing is to be done; where it has others, it is a Conflict
// that names it. Routing to our own edges need not be given, the zone has it by
// itself (Spec.Sites).
func (s *Service) Provide(ctx context.Context, project, environment, apex, owner string, records []Provided, cause resource.Cause) error {
	z, err := s.Get(ctx, project, environment, apex)
	if err != nil {
		return err
	}
	if len(records) > 0 {
		if err := ours(z); err != nil {
			return err
		}
	}
	wanted := map[string]RRsetSpec{}
	for _, r := range records {
		name, err := ParseOwner(strings.TrimSuffix(r.Name, ".")+".", z.Name)
		if err != nil {
			return err
		}
		typ, err := ParseType(r.Type)
		if err != nil {
			return err
		}
		key := RRsetName(name, typ, z.Name)
		spec := wanted[key]
		spec.TTL, spec.Values = r.TTL, append(spec.Values, r.Value)
		spec.Tags = map[string]string{providedFor: owner}
		wanted[key] = spec
	}
	stored, err := s.all(ctx, z)
	if err != nil {
		return err
	}
	plan := resource.NewPlan(project, environment)
	plan.Reason = "records for " + owner
	for _, r := range stored {
		set, err := DecodeRRset(r)
		if err != nil {
			return err
		}
		spec, want := wanted[r.Name]
		ours := set.Spec.Tags[providedFor] == owner
		delete(wanted, r.Name)
		switch {
		case !want && ours:
			plan.Delete(r)
		case !want:
		case ours:
			normal, err := decodeRRset(r.Name, mustJSON(spec))
			if err != nil {
				return err
			}
			plan.Update(r, mustJSON(normal))
		default:
			normal, err := decodeRRset(r.Name, mustJSON(spec))
			if err != nil {
				return err
			}
			missing := slices.DeleteFunc(slices.Clone(normal.Values), func(v string) bool { return slices.Contains(set.Spec.Values, v) })
			if len(missing) > 0 {
				return fault.New(fault.Conflict, "%s needs %s, and the zone has a record set of yours there: add that value to it, or remove it", owner, strings.Join(missing, ", ")).About("rrset " + r.Name)
			}
		}
	}
	for _, name := range sortedKeys(wanted) {
		normal, err := decodeRRset(name, mustJSON(wanted[name]))
		if err != nil {
			return err
		}
		plan.Create(RRsetType(), project, environment, name, mustJSON(normal))
	}
	if plan.Empty() {
		return nil
	}
	_, err = s.Store.Commit(ctx, plan.Commit(cause))
	return err
}

// Changed is a set that the world shall see.
type Changed struct {
	Name      string // whole, without trailing dot
	Type      string
	Values    []string
	ChangedAt time.Time
}

// RRsets returns the sets at and below a name that changed after a time, the
// newest first, at most limit. Those whose data is made here (ALIAS, targets,
// steering) are left out: others see other data.
func (s *Service) RRsets(ctx context.Context, project, environment, name string, since time.Time, limit int) ([]Changed, error) {
	z, err := s.ZoneFor(ctx, project, environment, name)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	full, err := canonical(strings.TrimSuffix(strings.TrimPrefix(name, "*."), "."))
	if err != nil {
		return nil, fault.New(fault.Invalid, "%s: %w", name, err)
	}
	stored, err := s.all(ctx, z)
	if err != nil {
		return nil, err
	}
	var out []Changed
	for _, r := range stored {
		owner, typ, apex, err := ParseRRsetName(r.Name)
		if err != nil || !r.UpdatedAt.After(since) || typ == TypeALIAS {
			continue
		}
		whole := FullName(owner, apex)
		if whole != full && !strings.HasSuffix(whole, "."+full) {
			continue
		}
		set, err := DecodeRRset(r)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.Name, err)
		}
		if set.Spec.Target == nil && set.Spec.Steering == nil {
			out = append(out, Changed{whole, typ, set.Spec.Values, r.UpdatedAt})
		}
	}
	slices.SortStableFunc(out, func(a, b Changed) int { return b.ChangedAt.Compare(a.ChangedAt) })
	return out[:min(len(out), max(limit, 0))], nil
}
