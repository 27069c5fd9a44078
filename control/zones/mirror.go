package zones

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/edgewright/edgewright/control/reconcile"
	"github.com/edgewright/edgewright/control/resource"
)

// mirror is what the reconciler has seen of the store, by zone, so that one
// changed record costs the look at one name.
type mirror struct {
	mu    sync.Mutex
	books map[at]*book
	zones map[string]at     // by zone ID
	sets  map[string]seenS  // by set ID
	sites map[string]site   // by claim ID
	edges map[string]string // by edge ID: what records are made of
}

// at is where a zone is; names are unique within project and environment.
type at struct{ project, environment, apex string }

// book is what is wanted of one zone.
type book struct {
	id    string // "" while only its records were seen
	sets  map[string]map[string]RRsetSpec
	dirty map[string]bool     // owners to be looked at again
	extra map[string][]string // challenges under way, by owner
	all   bool                // every owner is to be looked at again
	// aliases: the owners with an ALIAS are to be looked at again, which may lead
	// to any other. Which they are is found when it is looked, not with every event.
	aliases bool
}

type seenS struct {
	at         at
	owner, typ string
}

type site struct{ project, environment, name string }

func newMirror() *mirror {
	return &mirror{books: map[at]*book{}, zones: map[string]at{}, sets: map[string]seenS{}, sites: map[string]site{}, edges: map[string]string{}}
}

func (m *mirror) book(where at) *book {
	b := m.books[where]
	if b == nil {
		b = &book{sets: map[string]map[string]RRsetSpec{}, dirty: map[string]bool{}, extra: map[string][]string{}}
		m.books[where] = b
	}
	return b
}

// apply takes an event and returns the zones that it concerns.
func (m *mirror) apply(e resource.Event) []reconcile.Ref {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, gone := &e.Resource, e.Type == resource.Deleted
	switch r.Kind {
	case Kind:
		return m.applyZone(r, gone)
	case KindRRset:
		return m.applySet(r, gone)
	case kindClaim:
		return m.applyClaim(r, gone)
	case kindEdge:
		return m.applyEdge(r, gone)
	case kindTSIG:
		// Heads name keys by ID.
		var refs []reconcile.Ref
		for id, where := range m.zones {
			if where.project == r.Project && where.environment == r.Environment {
				refs = append(refs, reconcile.Ref{Kind: Kind, ID: id})
			}
		}
		return refs
	case KindDelegation:
		// Somebody has got or lost the apex: whoever wants it looks again.
		var refs []reconcile.Ref
		if id := zoneOf(r); id != "" && !gone && m.zones[id] == (at{}) {
			refs = append(refs, reconcile.Ref{Kind: Kind, ID: id}) // it may have been removed while nobody looked
		}
		for where, b := range m.books {
			if b.id != "" && (where.apex == r.Name || strings.HasSuffix(where.apex, "."+r.Name)) {
				refs = append(refs, reconcile.Ref{Kind: Kind, ID: b.id})
			}
		}
		return refs
	}
	return nil
}

// applyEdge leads to every zone when something of an edge has changed that
// records are made of; edges write their status often.
func (m *mirror) applyEdge(r *resource.Resource, gone bool) []reconcile.Ref {
	edge, err := resource.Decode[struct {
		Region   string `json:"region"`
		Draining bool   `json:"draining"`
	}, struct {
		HTTPS  string `json:"https"`
		Online bool   `json:"online"`
	}](*r)
	was := m.edges[r.ID]
	now := fmt.Sprint(edge.Spec, edge.Status, r.Name)
	if gone {
		now = ""
	}
	if err != nil || was == now {
		return nil
	}
	m.edges[r.ID] = now
	var refs []reconcile.Ref
	for id := range m.zones {
		refs = append(refs, reconcile.Ref{Kind: Kind, ID: id})
	}
	return refs
}

// zoneOf is the zone that a delegation names.
func zoneOf(r *resource.Resource) string {
	d, err := resource.Decode[DelegationSpec, struct{}](*r)
	if err != nil {
		return ""
	}
	return d.Spec.Zone
}

func (m *mirror) applyZone(r *resource.Resource, gone bool) []reconcile.Ref {
	refs := []reconcile.Ref{{Kind: Kind, ID: r.ID}}
	where := at{r.Project, r.Environment, r.Name}
	if gone {
		delete(m.zones, r.ID)
		if b := m.books[where]; b != nil && b.id == r.ID {
			b.id = ""
			if len(b.sets) == 0 {
				delete(m.books, where)
			}
		}
		return append(refs, m.touchAbove(where)...)
	}
	b := m.book(where)
	if b.id != r.ID {
		b.id, b.all = r.ID, true
	}
	m.zones[r.ID] = where
	return append(refs, m.touchAbove(where)...)
}

// touchAbove has the zone above a zone of the same project look at the
// delegation.
func (m *mirror) touchAbove(where at) []reconcile.Ref {
	for above := parentName(where.apex); above != ""; above = parentName(above) {
		b := m.books[at{where.project, where.environment, above}]
		if b == nil || b.id == "" {
			continue
		}
		if owner, ok := within(where.apex, above); ok {
			b.dirty[owner] = true
			return []reconcile.Ref{{Kind: Kind, ID: b.id}}
		}
	}
	return nil
}

func (m *mirror) applySet(r *resource.Resource, gone bool) []reconcile.Ref {
	var refs []reconcile.Ref
	touch := func(where at, owner string) {
		b := m.book(where)
		b.dirty[owner] = true
		b.aliases = true
		if b.id != "" {
			refs = append(refs, reconcile.Ref{Kind: Kind, ID: b.id})
		}
	}
	if old, ok := m.sets[r.ID]; ok { // it may have been renamed
		b := m.book(old.at)
		delete(b.sets[old.owner], old.typ)
		if len(b.sets[old.owner]) == 0 {
			delete(b.sets, old.owner)
		}
		delete(m.sets, r.ID)
		touch(old.at, old.owner)
	}
	if gone {
		return refs
	}
	set, err := DecodeRRset(*r)
	owner, typ, apex, err2 := ParseRRsetName(r.Name)
	if err != nil || err2 != nil {
		return refs // it was not made by us, and is in no zone
	}
	where := at{r.Project, r.Environment, apex}
	b := m.book(where)
	if b.sets[owner] == nil {
		b.sets[owner] = map[string]RRsetSpec{}
	}
	set.Spec.Comment, set.Spec.Tags = "", nil
	b.sets[owner][typ] = set.Spec
	m.sets[r.ID] = seenS{where, owner, typ}
	touch(where, owner)
	return refs
}

func (m *mirror) applyClaim(r *resource.Resource, gone bool) []reconcile.Ref {
	var refs []reconcile.Ref
	touch := func(s site) {
		if where, owner, ok := m.zoneOf(s); ok {
			b := m.books[where]
			b.dirty[owner] = true
			b.aliases = true
			refs = append(refs, reconcile.Ref{Kind: Kind, ID: b.id})
		}
		// A claim also decides who may have a zone of its name.
		for where, b := range m.books {
			if b.id != "" && where.apex == s.name {
				refs = append(refs, reconcile.Ref{Kind: Kind, ID: b.id})
			}
		}
	}
	if old, ok := m.sites[r.ID]; ok {
		delete(m.sites, r.ID)
		touch(old)
	}
	claim, err := resource.Decode[struct {
		Project     string `json:"project_id"`
		Environment string `json:"environment"`
	}, struct{}](*r)
	if gone || err != nil {
		return refs
	}
	s := site{claim.Spec.Project, claim.Spec.Environment, r.Name}
	m.sites[r.ID] = s
	touch(s)
	return refs
}

// zoneOf finds the zone that a site's name is in.
func (m *mirror) zoneOf(s site) (where at, owner string, ok bool) {
	for apex := strings.TrimPrefix(s.name, "*."); apex != ""; apex = parentName(apex) {
		where = at{s.project, s.environment, apex}
		if b := m.books[where]; b != nil && b.id != "" {
			owner, _ = within(s.name, apex)
			return where, owner, true
		}
	}
	return at{}, "", false
}

// sitesOf are the owners of a zone that are sites of ours.
func (m *mirror) sitesOf(where at) map[string]bool {
	out := map[string]bool{}
	for _, s := range m.sites {
		if s.project != where.project || s.environment != where.environment {
			continue
		}
		if zone, owner, ok := m.zoneOf(s); ok && zone == where {
			out[owner] = true
		}
	}
	return out
}

// childrenOf are the zones right below one, by owner.
func (m *mirror) childrenOf(where at) map[string]string {
	out := map[string]string{}
	for other, b := range m.books {
		if b.id == "" || other.project != where.project || other.environment != where.environment || other == where {
			continue
		}
		if owner, ok := within(other.apex, where.apex); ok {
			out[owner] = b.id
		}
	}
	return out
}

// snapshot is what a build works on: the owners to look at, and the sets that
// they may look up, which nobody changes meanwhile.
type snapshot struct {
	owners   []string
	sets     map[string]map[string]RRsetSpec
	sites    map[string]bool
	extra    map[string][]string
	children map[string]string
}

// take returns what has changed of a zone since the last time, with release to
// be called when the build is over. The mirror stands still meanwhile for this
// zone only in the parts that are copied.
func (m *mirror) take(id string, servers []string) (s snapshot, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	where, ok := m.zones[id]
	if !ok {
		return s, false
	}
	b := m.books[where]
	s.sites, s.children = m.sitesOf(where), m.childrenOf(where)
	owners := b.dirty
	if b.aliases {
		for owner, sets := range b.sets {
			if _, ok := sets[TypeALIAS]; ok {
				owners[owner] = true
			}
		}
	}
	if b.all {
		owners = map[string]bool{"@": true}
		for owner := range b.sets {
			owners[owner] = true
		}
		for owner := range s.sites {
			owners[owner] = true
		}
		for owner := range s.children {
			owners[owner] = true
		}
		for owner := range b.extra {
			owners[owner] = true
		}
		for _, server := range servers {
			if owner, ok := within(server, where.apex); ok {
				owners[owner] = true
			}
		}
	}
	s.owners = slices.Sorted(maps.Keys(owners))
	s.sets = make(map[string]map[string]RRsetSpec, len(s.owners))
	copyOwner := func(owner string) {
		if _, has := s.sets[owner]; !has && b.sets[owner] != nil {
			s.sets[owner] = maps.Clone(b.sets[owner])
		}
	}
	for _, owner := range s.owners {
		copyOwner(owner)
		b.followed(owner, copyOwner, 0)
	}
	s.extra = make(map[string][]string, len(b.extra))
	for owner, texts := range b.extra {
		s.extra[owner] = slices.Clone(texts)
	}
	b.dirty, b.all, b.aliases = map[string]bool{}, false, false
	return s, true
}

// followed calls found with the owners that an owner's aliases lead to.
func (b *book) followed(owner string, found func(string), depth int) {
	if depth > 8 {
		return
	}
	for _, typ := range []string{TypeALIAS, "CNAME"} {
		set, ok := b.sets[owner][typ]
		if !ok {
			continue
		}
		values := set.Values
		if set.Steering != nil {
			for _, a := range set.Steering.Answers {
				values = append(slices.Clone(values), a.Values...)
			}
		}
		for _, v := range values {
			if next, ok := within(strings.TrimSuffix(v, "."), set.Zone); ok {
				found(next)
				b.followed(next, found, depth+1)
			}
		}
	}
}

// again marks owners that a build has failed on.
func (m *mirror) again(id string, owners []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if where, ok := m.zones[id]; ok {
		for _, owner := range owners {
			m.books[where].dirty[owner] = true
		}
	}
}

// touchAll marks every owner of a zone.
func (m *mirror) touchAll(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if where, ok := m.zones[id]; ok {
		m.books[where].all = true
	}
}

// aliasesChanged marks the owners with an ALIAS.
func (m *mirror) aliasesChanged(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if where, ok := m.zones[id]; ok {
		m.books[where].aliases = true
	}
}

// present adds a challenge's text to an owner, once, or takes it away.
func (m *mirror) present(id, owner, text string, add bool) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	where, ok := m.zones[id]
	if !ok {
		return false
	}
	b := m.books[where]
	i := slices.Index(b.extra[owner], text)
	if add && i < 0 {
		b.extra[owner] = append(b.extra[owner], text)
	} else if !add && i >= 0 {
		b.extra[owner] = slices.Delete(b.extra[owner], i, i+1)
		if len(b.extra[owner]) == 0 {
			delete(b.extra, owner)
		}
	}
	b.dirty[owner] = true
	return true
}

// aliasesOf are the names outside of a zone that its records lead to.
func (m *mirror) aliasesOf(id string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	where, ok := m.zones[id]
	if !ok {
		return nil
	}
	var out []string
	for _, sets := range m.books[where].sets {
		for typ, spec := range sets {
			out = append(out, foreign(typ, spec, where.apex)...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
