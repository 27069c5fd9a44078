package dnsplan

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/edgewright/edgewright/fault"
)

// maker holds what Make knows while it compares.
type maker struct {
	Request
	have    map[Key]RRset
	byName  map[string][]Key
	marks   map[Key]string // what a marker stands for -> its owner
	foreign map[Key]bool   // what stands where a marker would, and is none
	take    map[Key]bool
	wanted  map[Key]RRset
	steps   map[Key]Step // by the RRset that the step is for
	left    map[Key]Left
	blocks  []Block
}

// Make compares what is wanted with what was observed. Errors: Invalid, with
// pointers into /records for the wanted sets.
func Make(r Request) (Plan, error) {
	m := &maker{
		Request: r, have: map[Key]RRset{}, byName: map[string][]Key{}, marks: map[Key]string{}, foreign: map[Key]bool{}, take: map[Key]bool{},
		wanted: map[Key]RRset{}, steps: map[Key]Step{}, left: map[Key]Left{},
	}
	zone, err := CanonicalName(r.Zone.Name)
	if err != nil {
		return Plan{}, fault.InvalidField("/zone", err.Error(), "write it like example.com")
	}
	m.Zone.Name = zone
	if !ownerForm.MatchString(r.Owner) {
		return Plan{}, fault.InvalidField("/owner", "an owner is 1 to 180 of A-Z a-z 0-9 _ . / : -", "use IDs of the installation and the domain")
	}
	m.observe()
	if err := m.want(); err != nil {
		return Plan{}, err
	}
	for _, k := range r.Take {
		m.take[Key{strings.ToLower(strings.TrimSuffix(k.Name, ".")), strings.ToUpper(k.Type)}] = true
	}
	for _, k := range sortedKeys(m.wanted) {
		m.compare(m.wanted[k])
	}
	for _, k := range sortedKeys(m.marks) {
		m.drop(k)
	}
	m.checkNeighbours()
	m.checkCAA()
	return m.plan(), nil
}

// observe takes in the zone as it is.
func (m *maker) observe() {
	for _, s := range m.Observed {
		c, err := s.Canonical()
		if err != nil { // not ours to judge: kept out of everything
			c = RRset{Name: strings.ToLower(strings.TrimSuffix(s.Name, ".")), Type: s.Type, TTL: s.TTL, Values: slices.Sorted(slices.Values(s.Values)), Special: "unreadable"}
		}
		k := c.Key()
		if had, double := m.have[k]; double {
			had.Special, had.Values = "several sets", append(slices.Clone(had.Values), c.Values...)
			slices.Sort(had.Values)
			m.have[k] = had
			continue
		}
		m.have[k] = c
		m.byName[c.Name] = append(m.byName[c.Name], k)
	}
	for k, s := range m.have {
		of, isMarker := markedBy(k)
		if !isMarker {
			continue
		}
		if owner, ok := ownerIn(s); ok {
			m.marks[of] = owner
		} else {
			m.foreign[of] = true
		}
	}
	for _, keys := range m.byName {
		slices.SortFunc(keys, compareKeys)
	}
}

// serverTypes belong to whoever serves the zone.
var serverTypes = []string{"SOA", "DNSKEY", "RRSIG", "NSEC", "NSEC3", "NSEC3PARAM", "CDS", "CDNSKEY"}

// want takes in what is wanted, as the provider would store it.
func (m *maker) want() error {
	var fields []fault.Field
	bad := func(i int, pointer, detail, fix string) {
		fields = append(fields, fault.Field{Pointer: "/records/" + strconv.Itoa(i) + pointer, Detail: detail, Fix: fix})
	}
	for i, s := range m.Desired {
		c, err := s.Canonical()
		if err != nil {
			var f *fault.Error
			if errors.As(err, &f) && len(f.Fields) > 0 {
				bad(i, f.Fields[0].Pointer, f.Fields[0].Detail, f.Fields[0].Fix)
				continue
			}
			return err
		}
		c.Special = ""
		switch _, marker := markedBy(c.Key()); {
		case !m.Zone.Contains(c.Name):
			bad(i, "/name", fmt.Sprintf("%s is not in the zone %s", c.Name, m.Zone.Name), "choose the zone that holds it")
		case marker:
			bad(i, "/name", "this name is kept for ownership markers", "choose another")
		case slices.Contains(serverTypes, c.Type) || c.Type == "NS" && c.Name == m.Zone.Name:
			bad(i, "/type", fmt.Sprintf("%s at %s belongs to whoever serves the zone", c.Type, c.Name), "leave it out")
		case c.Proxied && (!m.Abilities.Proxy || !proxiable(c.Type)):
			bad(i, "/proxied", "the provider cannot proxy this record", "leave it out, or use an A, AAAA or CNAME record at Cloudflare")
		case len(MarkerKey(c.Key()).Name) > 253:
			bad(i, "/name", "the name is too long to have an ownership marker beside it", "use a shorter name")
		}
		if _, double := m.wanted[c.Key()]; double {
			bad(i, "", fmt.Sprintf("%s is wanted twice", c.Key()), "put all values into one record set")
		}
		for k := range m.wanted {
			if k.Name == c.Name && m.clash(c.Name, k.Type, c.Type) {
				bad(i, "/type", fmt.Sprintf("a CNAME and %s are both wanted at %s", map[bool]string{true: k.Type, false: c.Type}[c.Type == "CNAME"], c.Name), "keep one of them")
				break
			}
		}
		m.wanted[c.Key()] = m.stored(c)
	}
	return fault.InvalidFields(fields)
}

func proxiable(typ string) bool { return typ == "A" || typ == "AAAA" || typ == "CNAME" }

// stored is a set as the provider would give it back.
func (m *maker) stored(s RRset) RRset {
	a := m.Abilities
	if s.Proxied && a.ProxiedTTL > 0 {
		s.TTL = a.ProxiedTTL
		return s
	}
	s.TTL = max(s.TTL, a.MinTTL)
	if a.MaxTTL > 0 {
		s.TTL = min(s.TTL, a.MaxTTL)
	}
	return s
}

// markerOf is our marker as the provider would give it back.
func (m *maker) markerOf(k Key) RRset { return m.stored(marker(k, m.Owner)) }

func (m *maker) observedMarker(k Key) *RRset {
	s, ok := m.have[MarkerKey(k)]
	if !ok {
		return nil
	}
	return &s
}

// compare decides on one wanted set.
func (m *maker) compare(want RRset) {
	k := want.Key()
	if m.structurallyBlocked(want) {
		return
	}
	have, exists := m.have[k]
	owner, marked := m.marks[k]
	taken := m.take[k]
	switch {
	case exists && have.Special != "":
		m.block(want, SpecialSet, &have, false, fmt.Sprintf("the provider holds more than plain records here (%s)", have.Special),
			"change or remove it at the provider, or choose another name")
	case m.foreign[k]:
		m.block(want, MarkerTaken, m.observedMarker(k), false, fmt.Sprintf("%s holds something that is no ownership marker", MarkerKey(k).Name), "remove it at the provider")
	case marked && owner != m.Owner && !taken:
		by := m.observedMarker(k)
		if exists {
			by = &have
		}
		m.block(want, OwnedElsewhere, by, true, fmt.Sprintf("it belongs to %s, says its ownership marker", owner),
			"remove it there, or take it over if that installation is gone")
	case marked && owner != m.Owner && !exists:
		m.step(Add, want, nil, "the marker of another owner is replaced", Change{m.observedMarker(k), ptr(m.markerOf(k))}, Change{nil, &want})
	case marked && owner != m.Owner:
		m.adopt(want, have, Change{m.observedMarker(k), ptr(m.markerOf(k))})
	case marked && !exists:
		m.step(Add, want, nil, "", Change{nil, &want})
	case marked && have.Equal(want):
		m.left[k] = Left{k.Name, k.Type, true, "it is as wanted"}
	case marked:
		note := ""
		if have.Proxied && !want.Proxied {
			note = "the provider's proxy is turned off"
		}
		m.step(Modify, want, &have, note, Change{&have, &want})
	case !exists:
		m.step(Add, want, nil, "", Change{nil, ptr(m.markerOf(k))}, Change{nil, &want})
	case taken:
		m.adopt(want, have, Change{nil, ptr(m.markerOf(k))})
	case have.Equal(want):
		m.left[k] = Left{k.Name, k.Type, false, "it is as wanted already; it is not ours, so it is never changed or removed"}
	case have.Proxied:
		m.block(want, Proxied, &have, true, "a record that is not ours is here, and the provider's proxy answers for it: visitors reach the proxy, and TLS ends there",
			"turn the proxy off and remove the record at the provider, or take it over")
	default:
		m.block(want, Exists, &have, true, fmt.Sprintf("a record that is not ours is here, with %s", strings.Join(have.Values, ", ")),
			"remove it at the provider, or take it over")
	}
}

func (m *maker) adopt(want, have RRset, mark Change) {
	changes := []Change{mark}
	if !have.Equal(want) {
		changes = append(changes, Change{&have, &want})
	}
	m.step(Adopt, want, &have, "", changes...)
}

func (m *maker) step(op Op, s RRset, before *RRset, note string, changes ...Change) {
	step := Step{Op: op, Name: s.Name, Type: s.Type, Before: before, Note: note, Changes: changes}
	if op != Remove && op != Tidy {
		step.After = &s
	}
	m.steps[s.Key()] = step
}

func (m *maker) block(want RRset, reason Reason, by *RRset, takeable bool, message, fix string) {
	m.blocks = append(m.blocks, Block{
		Name: want.Name, Type: want.Type, Reason: reason, Stops: StopsRecord, Message: message, Fix: fix, By: by, Takeable: takeable,
	})
}

// structurallyBlocked finds what no consent can lift.
func (m *maker) structurallyBlocked(want RRset) bool {
	if want.Type == "CNAME" && want.Name == m.Zone.Name && !m.Abilities.ApexCNAME {
		m.block(want, ApexCNAME, nil, false, "the zone's own name cannot hold a CNAME (RFC 1912, section 2.4)", "use A and AAAA records there")
		return true
	}
	if len(m.Abilities.Types) > 0 && !slices.Contains(m.Abilities.Types, want.Type) {
		m.block(want, NotPossible, nil, false, fmt.Sprintf("records of type %s cannot be written at this provider", want.Type), "set it at the provider by hand, or leave it out")
		return true
	}
	for name := want.Name; name != m.Zone.Name; {
		ns, ok := m.willBe(Key{name, "NS"})
		if ok && !(name == want.Name && (want.Type == "NS" || want.Type == "DS")) && !glue(want, ns) {
			m.block(want, Delegated, &ns, false, fmt.Sprintf("%s is delegated to other name servers, so that records here are not seen", name),
				"use the zone that those name servers serve, or remove the delegation")
			return true
		}
		_, above, ok := strings.Cut(name, ".")
		if !ok {
			break
		}
		if d, ok := m.willBe(Key{above, "DNAME"}); ok {
			m.block(want, Delegated, &d, false, fmt.Sprintf("everything below %s is redirected by a DNAME", above), "remove the DNAME, or set the record where it leads")
			return true
		}
		name = above
	}
	return false
}

// willBe is the set that stands at a key when the plan is carried out, as far
// as that can be said before neighbours are looked at.
func (m *maker) willBe(k Key) (RRset, bool) {
	if s, ok := m.wanted[k]; ok {
		return s, true
	}
	s, ok := m.have[k]
	return s, ok && (m.marks[k] != m.Owner || s.Special != "")
}

// glue reports whether a set is the addresses of a delegation's own name server.
func glue(s, ns RRset) bool {
	return (s.Type == "A" || s.Type == "AAAA") && slices.Contains(ns.Values, s.Name+".")
}

// drop decides on a set that has a marker and is not wanted any more.
func (m *maker) drop(k Key) {
	if _, wanted := m.wanted[k]; wanted || m.marks[k] != m.Owner {
		return
	}
	mark := m.observedMarker(k)
	have, exists := m.have[k]
	switch {
	case !exists:
		m.step(Tidy, RRset{Name: k.Name, Type: k.Type}, nil, "its record is gone already", Change{mark, nil})
	case have.Special != "":
		m.left[k] = Left{k.Name, k.Type, true, "it is not wanted any more, but the provider holds more than plain records here (" + have.Special + ")"}
	default:
		m.step(Remove, have, &have, "", Change{&have, nil}, Change{mark, nil})
	}
}

// checkNeighbours makes sure that no CNAME comes to stand beside anything.
func (m *maker) checkNeighbours() {
	names := map[string]bool{}
	for k := range m.wanted {
		names[k.Name] = true
	}
	for _, name := range sortedStrings(names) {
		m.clearWay(name)
	}
}

// clearWay removes what may be taken from beside a wanted set, or blocks it.
func (m *maker) clearWay(name string) {
	for {
		var adding, stays []Key // after the plan
		for _, k := range m.byName[name] {
			if s, ok := m.steps[k]; !ok || s.Op != Remove {
				stays = append(stays, k)
			}
		}
		for k, s := range m.steps {
			if k.Name == name && s.Op != Remove && s.Op != Tidy {
				adding = append(adding, k)
			}
		}
		slices.SortFunc(adding, compareKeys)
		clash, blocker := m.clashOf(adding, stays)
		if clash == (Key{}) {
			return
		}
		by := m.have[blocker]
		_, wanted := m.wanted[blocker]
		if owner, marked := m.marks[blocker]; m.take[blocker] && !wanted && by.Special == "" && !slices.Contains(serverTypes, blocker.Type) && blocker != (Key{m.Zone.Name, "NS"}) {
			changes := []Change{{&by, nil}}
			if marked {
				changes = append(changes, Change{m.observedMarker(blocker), nil})
			}
			note := "taken out of the way of " + clash.String()
			if marked && owner != m.Owner {
				note += "; it belonged to " + owner
			}
			m.step(Remove, by, &by, note, changes...)
			continue
		}
		want := m.wanted[clash]
		delete(m.steps, clash)
		if blocker.Type == "CNAME" {
			m.block(want, CNAMEBlocks, &by, by.Special == "" && !wanted, fmt.Sprintf("a CNAME to %s is here, and a CNAME tolerates nothing beside it (RFC 1034, section 3.6.2)", strings.Join(by.Values, ", ")),
				"remove it at the provider, or take it over")
		} else {
			m.block(want, CNAMEBeside, &by, by.Special == "" && !wanted, fmt.Sprintf("the wanted CNAME would stand beside %s, which stays (RFC 1034, section 3.6.2)", blocker),
				"use A and AAAA records, or remove what is there")
		}
		m.keep(name, clash)
	}
}

// keep takes back the removals at a name whose replacement is blocked: the old
// is better than nothing.
func (m *maker) keep(name string, blocked Key) {
	for _, k := range m.byName[name] {
		if s, ok := m.steps[k]; ok && s.Op == Remove {
			delete(m.steps, k)
			_, marked := m.marks[k]
			m.left[k] = Left{k.Name, k.Type, marked, fmt.Sprintf("its replacement, %s, is blocked", blocked)}
		}
	}
	for _, k := range sortedKeys(m.steps) { // what relied on the removals
		if s := m.steps[k]; k.Name == name && s.Op == Add {
			for _, other := range m.byName[name] {
				if m.clash(name, other.Type, k.Type) {
					by := m.have[other]
					delete(m.steps, k)
					m.block(m.wanted[k], CNAMEBeside, &by, false, fmt.Sprintf("%s stays, because another replacement of it is blocked", other), "see the other block at this name")
					break
				}
			}
		}
	}
}

// clashOf finds a set that is being added and one that stays, which cannot stand
// beside each other.
func (m *maker) clashOf(adding, stays []Key) (clash, blocker Key) {
	for _, a := range adding {
		for _, s := range stays {
			if a != s && m.clash(a.Name, a.Type, s.Type) {
				return a, s
			}
		}
	}
	return Key{}, Key{}
}

// clash reports whether two types cannot stand at a name, because one is a
// CNAME. Beside it may stand what signs it (RFC 4034); at an apex where the
// provider turns it into addresses, everything but addresses.
func (m *maker) clash(name, a, b string) bool {
	if (a == "CNAME") == (b == "CNAME") {
		return false
	}
	if a == "CNAME" {
		a = b
	}
	if name == m.Zone.Name && m.Abilities.ApexCNAME {
		return a == "A" || a == "AAAA"
	}
	return !slices.Contains(serverTypes, a)
}

func ptr(s RRset) *RRset { return &s }
