package domains

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/control/resource"
)

// dns compares where the name leads with where it should. seen is what each
// resolver answered, by record type; nil when none was asked.
func (r *Reconciler) dns(ctx context.Context, name Name, look bool) (c resource.Condition, seen map[string][]Seen, err error) {
	c = resource.Condition{Type: DNS, Status: resource.Unknown}
	if name.Base == localhost || name.Below(localhost) {
		c.Status, c.Reason, c.Message = resource.True, "Loopback", "names below localhost lead to this machine by themselves"
		return c, nil, nil
	}
	if name.Below(r.service.platform.ASCII) {
		c.Status, c.Reason, c.Message = resource.True, "Platform", "the platform's own zone leads to the edges"
		return c, nil, nil
	}
	hostname, addresses, err := r.service.targets(ctx)
	if err != nil {
		return c, nil, err
	}
	if hostname == "" && len(addresses) == 0 {
		c.Reason, c.Message = "NoPublicAddress", "the edges' public addresses are not known here, so it cannot be checked where the name leads"
		return c, nil, nil
	}
	if !look {
		c.Reason, c.Message = "NotChecked", "it is checked once the domain is verified"
		return c, nil, nil
	}
	host := name.Probe()
	seen = map[string][]Seen{}
	for _, typ := range []string{"A", "AAAA", "CNAME"} {
		seen[typ] = r.service.Resolvers.Lookup(ctx, host, typ)
	}
	ours := addresses
	if len(ours) == 0 {
		for _, typ := range []string{"A", "AAAA"} {
			ours = append(ours, answers(r.service.Resolvers.Lookup(ctx, hostname, typ))...)
		}
	}
	c.Status, c.Reason, c.Message = judgeRouting(name.ASCII, hostname, ours, seen)
	return c, seen, nil
}

// judgeRouting decides where a name leads.
func judgeRouting(name, hostname string, ours []string, seen map[string][]Seen) (resource.ConditionStatus, string, string) {
	got := append(answers(seen["A"]), answers(seen["AAAA"])...)
	if len(got) == 0 {
		if slices.ContainsFunc(seen["A"], func(s Seen) bool { return s.Error != "" && s.Error != errNoName.Error() }) {
			return resource.Unknown, "LookupFailed", "the resolvers gave no answer for it"
		}
		return resource.False, "NoRecord", fmt.Sprintf("%s has no address yet: set the records shown", name)
	}
	var elsewhere []string
	for _, address := range got {
		if !slices.ContainsFunc(ours, func(o string) bool { return sameAddress(o, address) }) {
			elsewhere = append(elsewhere, address)
		}
	}
	switch {
	case len(elsewhere) == 0:
		return resource.True, "PointsHere", "it leads to the edges"
	case hostname != "" && slices.Contains(answers(seen["CNAME"]), hostname):
		return resource.True, "PointsHere", "it leads to the edges by its CNAME"
	case len(elsewhere) < len(got):
		return resource.False, "PointsElsewhereToo", fmt.Sprintf("it leads to the edges, and also to %s: remove those records", strings.Join(elsewhere, ", "))
	default:
		return resource.False, "PointsElsewhere", fmt.Sprintf("it leads to %s, not to the edges: set the records shown, and switch off a proxy in front", strings.Join(elsewhere, ", "))
	}
}

func answers(seen []Seen) []string {
	var list []string
	for _, s := range seen {
		list = append(list, s.Answers...)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func sameAddress(a, b string) bool {
	x, errX := netip.ParseAddr(a)
	y, errY := netip.ParseAddr(b)
	return errX == nil && errY == nil && x.Unmap() == y.Unmap()
}
