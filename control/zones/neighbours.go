package zones

import (
	"context"
	"fmt"
	"slices"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// neighbourhood is which sets a zone has, or is to have.
type neighbourhood struct {
	apex   string
	there  map[string]bool   // by the name of the set
	others map[string]string // owners with something that is no CNAME, and its type
	dnames map[string]bool   // owners with a DNAME
	names  []string          // of those that are there, in order
}

// neighbourhoodOf reads the names of sets; those that are false are not there.
func neighbourhoodOf(apex string, after map[string]bool) *neighbourhood {
	n := &neighbourhood{apex: apex, there: after, others: map[string]string{}, dnames: map[string]bool{}}
	for _, name := range sortedKeys(after) {
		owner, typ, _, err := ParseRRsetName(name)
		if err != nil || !after[name] {
			continue
		}
		n.names = append(n.names, name)
		if typ == "DNAME" {
			n.dnames[owner] = true
		}
		if typ != "CNAME" {
			n.others[owner] = max(n.others[owner], typ)
		}
	}
	return n
}

// clash is why a set cannot be there.
type clash struct {
	reason
	field string // of the set that is wrong: "name" or "type"
	with  string // the other set's name; "": it is missing
}

// clash looks for what a set cannot stand beside, above or below.
func (n *neighbourhood) clash(owner, typ string) (clash, bool) {
	set := func(owner, typ string) string { return RRsetName(owner, typ, n.apex) }
	full := FullName(owner, n.apex)
	if other := map[string]string{"DNAME": "NS", "NS": "DNAME"}[typ]; other != "" && owner != "@" && n.there[set(owner, other)] {
		return clash{delegatedDNAME(full), "name", set(owner, other)}, true
	}
	for up, more := above(owner); more && len(n.dnames) > 0; up, more = above(up) {
		if n.dnames[up] {
			return clash{hiddenBy(full, FullName(up, n.apex)), "name", set(up, "DNAME")}, true
		}
	}
	if typ == "DNAME" {
		for _, name := range n.names {
			if other, typ, _, err := ParseRRsetName(name); err == nil && under(other, owner) {
				return clash{hides(full, FullName(other, n.apex)+" "+typ), "name", name}, true
			}
		}
	}
	switch other := n.others[owner]; {
	case n.there[set(owner, "CNAME")] && other != "":
		with := set(owner, other)
		if typ != "CNAME" {
			with = set(owner, "CNAME")
		}
		return clash{reason{fmt.Sprintf("%s would have a CNAME and %s records, and a CNAME stands alone (RFC 2181 section 10.1)", full, other), "write an ALIAS in place of the CNAME, or remove the others"}, "type", with}, true
	case typ == "DS" && !n.there[set(owner, "NS")]:
		return clash{reason{fmt.Sprintf("%s is not delegated, and a DS stands at a delegation (RFC 4034 section 5)", full), "add its NS records"}, "type", ""}, true
	}
	return clash{}, false
}

// together refuses what a plan would put into a zone side by side although it
// cannot be there, as Clashes; and, as Conflict, records in a copy of somebody
// else's zone.
func (s *Service) together(ctx context.Context, changes, plan []resource.Action) error {
	byZone := map[at][]resource.Action{}
	var order []at
	for _, a := range changes {
		if a.Kind != KindRRset {
			continue
		}
		_, _, apex, err := ParseRRsetName(a.Name)
		if err != nil {
			return err
		}
		where := at{a.Project, a.Environment, apex}
		if byZone[where] == nil {
			order = append(order, where)
		}
		byZone[where] = append(byZone[where], a)
	}
	var clashes resource.Clashes
	for _, where := range order {
		found, err := s.togetherIn(ctx, where, byZone[where], plan)
		if err != nil {
			return err
		}
		clashes = append(clashes, found...)
	}
	if len(clashes) > 0 {
		return clashes
	}
	return nil
}

func (s *Service) togetherIn(ctx context.Context, where at, changes, plan []resource.Action) (resource.Clashes, error) {
	z, err := s.Get(ctx, where.project, where.environment, where.apex)
	if fault.Is(err, fault.NotFound) {
		z, err = Zone{Meta: resource.Meta{Project: where.project, Environment: where.environment, Name: where.apex}}, nil
	}
	if err != nil {
		return nil, err
	}
	for _, a := range plan { // as it will be
		if a.Kind == Kind && a.Project == where.project && a.Environment == where.environment && a.Name == where.apex {
			z.Spec = Spec{}
			if a.Op != resource.Delete {
				if z.Spec, err = decodeSpec(a.After); err != nil {
					return nil, err
				}
			}
		}
	}
	if slices.ContainsFunc(changes, func(a resource.Action) bool { return a.Op != resource.Delete }) {
		if err := ours(z); err != nil {
			return nil, err
		}
	}
	stored, err := s.all(ctx, z)
	if err != nil {
		return nil, err
	}
	after := make(map[string]bool, len(stored)+len(changes))
	for _, r := range stored {
		after[r.Name] = true
	}
	for _, a := range changes {
		delete(after, a.Name)
		delete(after, a.OldName)
	}
	for _, a := range changes {
		if a.Op != resource.Delete {
			after[a.Name] = true
		}
	}
	all := neighbourhoodOf(where.apex, after)
	var clashes resource.Clashes
	look := func(owner, typ string) {
		name := RRsetName(owner, typ, where.apex)
		c, bad := all.clash(owner, typ)
		if !bad && typ == "DNAME" {
			c, bad = hidesServer(z, owner)
		}
		if bad {
			clashes = append(clashes, resource.Clash{Kind: KindRRset, Name: name, With: c.with, Detail: c.detail, Fix: c.fix})
		}
	}
	for _, a := range changes {
		owner, typ, _, err := ParseRRsetName(a.Name)
		switch {
		case err != nil:
			return nil, err
		case a.Op != resource.Delete:
			look(owner, typ)
		case typ == "NS" && after[RRsetName(owner, "DS", where.apex)] && !slices.ContainsFunc(changes, func(other resource.Action) bool { return other.Name == RRsetName(owner, "DS", where.apex) }):
			look(owner, "DS") // it stays without its delegation
		}
	}
	return clashes, nil
}
