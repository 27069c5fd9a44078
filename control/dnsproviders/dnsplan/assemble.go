package dnsplan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// checkCAA reports CAA records that keep the issuers from the wanted names: the
// nearest set on the way to the apex counts (RFC 8659, section 3).
func (m *maker) checkCAA() {
	if len(m.Issuers) == 0 {
		return
	}
	said := map[Key]bool{}
	for _, k := range sortedKeys(m.wanted) {
		if !proxiable(k.Type) {
			continue
		}
		host, wildcard := strings.CutPrefix(k.Name, "*.")
		set, ok := m.nearestCAA(host)
		if !ok || said[set.Key()] || allows(set, m.Issuers, wildcard) {
			continue
		}
		said[set.Key()] = true
		tag := "issue"
		if wildcard {
			tag = "issuewild"
		}
		m.blocks = append(m.blocks, Block{
			Name: k.Name, Type: k.Type, Reason: CAABlocks, Stops: StopsCertificate, By: &set,
			Message: fmt.Sprintf("the CAA record at %s lets no CA issue that is used here (%s)", set.Name, strings.Join(m.Issuers, ", ")),
			Fix:     fmt.Sprintf(`add the value 0 %s "%s" to the CAA record at %s`, tag, m.Issuers[0], set.Name),
		})
	}
}

// nearestCAA returns the CAA set that will count for a name.
func (m *maker) nearestCAA(name string) (RRset, bool) {
	for {
		k := Key{name, "CAA"}
		if s, ok := m.steps[k]; ok && s.After != nil {
			return *s.After, true
		} else if have, exists := m.have[k]; exists && (!ok || s.Op != Remove) {
			return have, true
		}
		_, above, ok := strings.Cut(name, ".")
		if !ok || name == m.Zone.Name {
			return RRset{}, false
		}
		name = above
	}
}

// allows reports whether a CAA set lets one of the issuers issue (RFC 8659,
// section 4).
func allows(set RRset, issuers []string, wildcard bool) bool {
	var issue, wild []string
	restricted, restrictedWild := false, false
	for _, v := range set.Values {
		rr, err := dns.NewRR(". 0 IN CAA " + v)
		if err != nil {
			continue
		}
		caa, ok := rr.(*dns.CAA)
		if !ok {
			continue
		}
		ca, _, _ := strings.Cut(caa.Value, ";")
		ca = strings.ToLower(strings.TrimSpace(ca))
		switch strings.ToLower(caa.Tag) {
		case "issue":
			restricted, issue = true, append(issue, ca)
		case "issuewild":
			restrictedWild, wild = true, append(wild, ca)
		}
	}
	if wildcard && restrictedWild {
		issue, restricted = wild, true
	}
	return !restricted || slices.ContainsFunc(issuers, func(i string) bool { return slices.Contains(issue, strings.ToLower(i)) })
}

// plan puts the parts together, each in a fixed order.
func (m *maker) plan() Plan {
	p := Plan{
		Zone: m.Zone, Owner: m.Owner, Steps: []Step{}, Left: []Left{}, Blocks: append([]Block{}, m.blocks...), Needs: []Need{},
		Desired: append([]RRset{}, m.Desired...), Abilities: m.Abilities, Take: m.Take, Issuers: m.Issuers,
	}
	for _, k := range sortedKeys(m.steps) {
		p.Steps = append(p.Steps, m.steps[k])
	}
	for _, k := range sortedKeys(m.left) {
		p.Left = append(p.Left, m.left[k])
	}
	sets := make([]RRset, 0, len(m.have))
	total := 0
	for _, k := range sortedKeys(m.have) {
		sets = append(sets, m.have[k])
		if _, marker := markedBy(k); marker || slices.Contains(serverTypes, k.Type) || k == (Key{m.Zone.Name, "NS"}) {
			continue
		}
		total++
		if _, ours := m.marks[k]; !ours || m.marks[k] != m.Owner {
			if _, concerned := m.steps[k]; !concerned {
				p.Untouched++
			}
		}
	}
	p.Observed, p.Sets = digest(sets), total
	m.needs(&p, total)
	return p
}

// needs counts what goes. A removal whose name gets something else in its place
// is a replacement.
func (m *maker) needs(p *Plan, total int) {
	replaced := map[string]bool{}
	adds := 0
	for _, s := range p.Steps {
		if s.After != nil {
			replaced[s.Name] = true
		}
		if s.Op == Add {
			adds++
		}
	}
	removed, ownRemoved, own := 0, 0, 0
	for _, s := range p.Steps {
		if s.Op == Remove && !replaced[s.Name] {
			removed++
			if m.marks[Key{s.Name, s.Type}] == m.Owner {
				ownRemoved++
			}
		}
	}
	for k, owner := range m.marks {
		if _, exists := m.have[k]; exists && owner == m.Owner {
			own++
		}
	}
	if removed == 0 {
		return
	}
	add := func(kind, format string, args ...any) {
		p.Needs = append(p.Needs, Need{kind, fmt.Sprintf(format, args...)})
	}
	if removed == total && adds == 0 {
		add(NeedEmpty, "it would remove everything in the zone %s", m.Zone.Name)
	}
	if removed*100 > maxRemovedPercent*total {
		add(NeedMany, "it would remove %d of the %d record sets of the zone %s, which is more than %d%%", removed, total, m.Zone.Name, maxRemovedPercent)
	}
	if ownRemoved == own && ownRemoved > 0 && adds == 0 {
		add(NeedAll, "it would remove all %d record sets that %s has in the zone %s", own, m.Owner, m.Zone.Name)
	}
}

// Batches returns the plan's changes in the order in which they are safe, in
// groups that belong together: all of one name. What only adds comes first, what
// only removes last, so that a failure half way leaves more, not less.
func (p Plan) Batches() [][]Change {
	type group struct{ out, in []Change }
	groups := map[string]*group{}
	for _, s := range p.Steps {
		g := groups[s.Name]
		if g == nil {
			g = &group{}
			groups[s.Name] = g
		}
		if s.Op == Remove || s.Op == Tidy {
			g.out = append(g.out, s.Changes...)
		} else {
			g.in = append(g.in, s.Changes...)
		}
	}
	names := slices.Sorted(maps.Keys(groups))
	slices.SortStableFunc(names, func(a, b string) int { return rank(groups[a].out, groups[a].in) - rank(groups[b].out, groups[b].in) })
	batches := make([][]Change, 0, len(names))
	for _, name := range names {
		batches = append(batches, append(groups[name].out, groups[name].in...))
	}
	return batches
}

func rank(out, in []Change) int {
	switch {
	case len(in) == 0:
		return 3
	case len(out) > 0:
		return 2
	case slices.ContainsFunc(in, func(c Change) bool { return c.Before != nil }):
		return 1
	}
	return 0
}

func sortedKeys[V any](set map[Key]V) []Key {
	return slices.SortedFunc(maps.Keys(set), compareKeys)
}

func sortedStrings(set map[string]bool) []string { return slices.Sorted(maps.Keys(set)) }
