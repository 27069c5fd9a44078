package compile

import (
	"maps"
	"slices"
	"sync"

	"github.com/edgewright/edgewright/control/cdn"
	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/domains"
	"github.com/edgewright/edgewright/control/resource"
)

// mirror is what the compiler has seen, by ID, with the indexes that lead from
// a change to what is made of it.
type mirror struct {
	nameServers []string // of the platform

	domains      map[string]domains.Domain
	cdns         map[place]cdn.CDN
	claims       map[string]domains.ClaimSpec // by name
	certificates map[string]certificates.Certificate

	domainsByCDN  map[place]set  // domains that name a configuration
	claimsBelow   map[string]set // names claimed one label below a name
	certsByName   map[string]set // certificates whose leaf has a name, wildcards as written
	cdnPlaceByID  map[string]place
	claimNameByID map[string]string
}

// place is where a name is looked up: names are unique within it.
type place struct{ project, environment, name string }

type set map[string]struct{}

// affected are the IDs of domains and certificates whose documents may change;
// those of sharers change only when the names they are given do.
type affected struct{ sites, certificates, sharers []string }

// newMirror returns a mirror of nothing. The names are those of the platform's name
// servers.
func newMirror(nameServers []string) *mirror {
	return &mirror{
		nameServers: nameServers,
		domains:     map[string]domains.Domain{}, cdns: map[place]cdn.CDN{}, claims: map[string]domains.ClaimSpec{}, certificates: map[string]certificates.Certificate{},
		domainsByCDN: map[place]set{}, claimsBelow: map[string]set{}, certsByName: map[string]set{},
		cdnPlaceByID: map[string]place{}, claimNameByID: map[string]string{},
	}
}

func (m *mirror) apply(e resource.Event) (affected, error) {
	gone := e.Type == resource.Deleted
	switch e.Resource.Kind {
	case domains.Kind:
		return m.applyDomain(e.Resource, gone)
	case cdn.Kind:
		return m.applyCDN(e.Resource, gone)
	case domains.KindClaim:
		return m.applyClaim(e.Resource, gone)
	case certificates.Kind:
		return m.applyCertificate(e.Resource, gone)
	}
	return affected{}, nil
}

func (m *mirror) applyDomain(r resource.Resource, gone bool) (affected, error) {
	out := affected{sites: []string{r.ID}}
	if old, ok := m.domains[r.ID]; ok {
		remove(m.domainsByCDN, cdnPlace(old), r.ID)
		delete(m.domains, r.ID)
	}
	if gone {
		return out, nil
	}
	d, err := domains.Decode(r)
	if err != nil {
		return affected{}, err
	}
	d.Status = domains.Status{} // large, and no part of the document
	m.domains[r.ID] = d
	add(m.domainsByCDN, cdnPlace(d), r.ID)
	return out, nil
}

func (m *mirror) applyCDN(r resource.Resource, gone bool) (affected, error) {
	var out affected
	if old, ok := m.cdnPlaceByID[r.ID]; ok {
		out.sites = append(out.sites, m.domainsByCDN[old].list()...)
		delete(m.cdns, old)
		delete(m.cdnPlaceByID, r.ID)
	}
	if gone {
		return out, nil
	}
	c, err := cdn.Decode(r)
	if err != nil {
		return affected{}, err
	}
	at := place{r.Project, r.Environment, r.Name}
	m.cdns[at], m.cdnPlaceByID[r.ID] = c, at
	out.sites = append(out.sites, m.domainsByCDN[at].list()...)
	return out, nil
}

func (m *mirror) applyClaim(r resource.Resource, gone bool) (affected, error) {
	var out affected
	touch := func(name string) {
		out.sites = append(out.sites, m.claims[name].DomainID)
		out.sharers = append(out.sharers, m.candidates(name)...)
	}
	if name, ok := m.claimNameByID[r.ID]; ok {
		touch(name)
		delete(m.claims, name)
		delete(m.claimNameByID, r.ID)
		remove(m.claimsBelow, parent(name), name)
	}
	if gone {
		return out, nil
	}
	claim, err := domains.DecodeClaim(r)
	if err != nil {
		return affected{}, err
	}
	m.claims[r.Name], m.claimNameByID[r.ID] = claim.Spec, r.Name
	add(m.claimsBelow, parent(r.Name), r.Name)
	touch(r.Name)
	return out, nil
}

func (m *mirror) applyCertificate(r resource.Resource, gone bool) (affected, error) {
	out := affected{certificates: []string{r.ID}}
	old := m.certificates[r.ID]
	var next certificates.Certificate
	if !gone {
		c, err := certificates.Decode(r)
		if err != nil {
			return affected{}, err
		}
		// Of spec and status, only what documents are made of.
		s := c.Status
		c.Spec = certificates.Spec{Domains: slices.DeleteFunc(c.Spec.Domains, func(n string) bool { return !m.ofPlatform(n) })}
		c.Status = certificates.Status{
			Generation: s.Generation, Names: s.Names, Fingerprint: s.Fingerprint, NotAfter: s.NotAfter, State: s.State, IssuedType: s.IssuedType, Staple: s.Staple,
		}
		next = c
	}
	changed := !sameStanding(old, next)
	if changed {
		out.sharers = append(out.sharers, m.sharers(old)...)
	}
	for _, name := range old.Status.Names {
		remove(m.certsByName, name, r.ID)
	}
	delete(m.certificates, r.ID)
	if gone {
		return out, nil
	}
	m.certificates[r.ID] = next
	for _, name := range next.Status.Names {
		add(m.certsByName, name, r.ID)
	}
	if changed {
		out.sharers = append(out.sharers, m.sharers(next)...)
	}
	return out, nil
}

// sameStanding reports that nothing has changed that chosen goes by.
func sameStanding(a, b certificates.Certificate) bool {
	return a.ID == b.ID && (a.Status.Generation == "") == (b.Status.Generation == "") &&
		(a.Status.State == certificates.StateExpired) == (b.Status.State == certificates.StateExpired) &&
		a.Status.IssuedType == b.Status.IssuedType && slices.Equal(a.Status.Names, b.Status.Names)
}

// sharers are the certificates that could be given a name that c could be.
func (m *mirror) sharers(c certificates.Certificate) []string {
	var ids []string
	for _, name := range m.coveredNames(c) {
		ids = append(ids, m.candidates(name)...)
	}
	return ids
}

// candidates are the certificates whose leaf is valid for a name.
func (m *mirror) candidates(name string) []string {
	ids := m.certsByName[name].list()
	if wildcard := "*." + parent(name); wildcard != name {
		ids = append(ids, m.certsByName[wildcard].list()...)
	}
	return ids
}

// chosen is the one certificate that edges get for a claimed name, "" when there
// is none: first one that has not expired, then the one of that name, then an
// uploaded one, then the exact one before a wildcard, then the oldest. A name in
// two documents would leave the choice to chance.
func (m *mirror) chosen(name string, claim domains.ClaimSpec) string {
	best, bestRank := "", 0
	for _, id := range m.candidates(name) {
		c := m.certificates[id]
		claimed := claim.Project != "" && c.Project == claim.Project && c.Environment == claim.Environment
		if c.Status.Generation == "" || !claimed && !m.issuedForPlatform(c, name) {
			continue
		}
		rank := 1
		for _, better := range []bool{
			c.Status.State != certificates.StateExpired,
			c.Name == name,
			c.Status.IssuedType == certificates.TypeCustom,
			slices.Contains(c.Status.Names, name),
		} {
			rank *= 2
			if better {
				rank++
			}
		}
		if rank > bestRank || rank == bestRank && id < best {
			best, bestRank = id, rank
		}
	}
	return best
}

// holds reports whether a domain has the claim on its name.
func (m *mirror) holds(d domains.Domain) bool {
	claim, ok := m.claims[d.Spec.Domain]
	return ok && claim.DomainID == d.ID
}

func (m *mirror) cdnOf(d domains.Domain) (cdn.CDN, bool) {
	c, ok := m.cdns[cdnPlace(d)]
	return c, ok
}

// wished is the last revision that a site was wished for with: its domain's, or
// its CDN configuration's.
func (m *mirror) wished(domainID string) int64 {
	d := m.domains[domainID]
	conf, _ := m.cdnOf(d)
	return max(d.Revision, conf.Revision)
}

func cdnPlace(d domains.Domain) place { return place{d.Project, d.Environment, d.Spec.CDN} }

// coveredNames are the names that a certificate is valid for and that its own
// project and environment have claimed, or the platform has.
func (m *mirror) coveredNames(c certificates.Certificate) []string {
	own := func(name string) bool {
		claim, ok := m.claims[name]
		return ok && claim.Project == c.Project && claim.Environment == c.Environment || m.issuedForPlatform(c, name)
	}
	var names []string
	for _, name := range c.Status.Names {
		if own(name) {
			names = append(names, name)
		}
		if len(name) > 2 && name[:2] == "*." {
			for below := range m.claimsBelow[parent(name)] {
				if below != name && own(below) {
					names = append(names, below)
				}
			}
		}
	}
	return sortedUnique(names)
}

// ofPlatform reports that a name is the platform's and nobody's claim: an address,
// or a name server.
func (m *mirror) ofPlatform(name string) bool {
	return certificates.Address(name) || slices.Contains(m.nameServers, name)
}

// issuedForPlatform reports that a certificate was issued here for such a name:
// the room of certificates has checked whose it is. What an uploaded one says of
// them counts for nothing.
func (m *mirror) issuedForPlatform(c certificates.Certificate, name string) bool {
	return m.ofPlatform(name) && slices.Contains(c.Spec.Domains, name) && c.Status.IssuedType != certificates.TypeCustom
}

// givenNames are those of the covered names that this certificate, and no other,
// is given to edges for, in order.
func (m *mirror) givenNames(c certificates.Certificate) []string {
	return slices.DeleteFunc(m.coveredNames(c), func(name string) bool { return m.chosen(name, m.claims[name]) != c.ID })
}

func (s set) list() []string { return slices.Collect(maps.Keys(s)) }

func add[K comparable](index map[K]set, key K, id string) {
	if index[key] == nil {
		index[key] = set{}
	}
	index[key][id] = struct{}{}
}

func remove[K comparable](index map[K]set, key K, id string) {
	delete(index[key], id)
	if len(index[key]) == 0 {
		delete(index, key)
	}
}

// problems is what could not be compiled, by resource ID.
type problems struct {
	mu sync.Mutex
	by map[string]string
}

func newProblems() *problems { return &problems{by: map[string]string{}} }

func (p *problems) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.by)
}

func (p *problems) set(id string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.by[id] = err.Error()
}

func (p *problems) clear(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.by, id)
}

func (p *problems) all() map[string]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.by)
}
