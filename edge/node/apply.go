package node

import (
	"maps"
	goruntime "runtime"
	"slices"
	"sync"

	"github.com/edgewright/edgewright/edge/balance"
	"github.com/edgewright/edgewright/edge/certs"
	"github.com/edgewright/edgewright/edge/httpedge"
	"github.com/edgewright/edgewright/edge/request/hosts"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// Apply takes documents whose signatures the caller has verified, in any
// order, and returns one item for each: Applied, or Rejected with the reason,
// in which case what was in force for that key stays. Tombstones (Deleted)
// remove. One call is one swap. Safe for concurrent use; calls are serialised.
func (n *Node) Apply(docs []edgeconfig.Document) []edgeconfig.AckItem {
	if slices.ContainsFunc(docs, forDNS) {
		return n.applyWithZones(docs)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	items := make([]edgeconfig.AckItem, len(docs))
	e := n.edit()
	errs := make([]error, len(docs))
	sequence := order(docs)
	for _, i := range sequence {
		errs[i] = e.put(n.prepared(docs, i, e))
	}
	for _, i := range sequence {
		// A host may be given up by a document that came later in the sequence.
		if fault.Is(errs[i], fault.Conflict) {
			errs[i] = e.put(n.prepared(docs, i, e))
		}
	}
	for i, err := range errs {
		items[i] = edgeconfig.AckItem{Key: docs[i].Key, Revision: docs[i].Revision, State: edgeconfig.Applied}
		if err != nil {
			n.log.Warn("a document was rejected", "document", docs[i].Key, "revision", docs[i].Revision, "error", err)
			items[i].State, items[i].Reason = edgeconfig.Rejected, err.Error()
		}
	}
	e.swap()
	return items
}

// order sorts a batch: keys before the certificates that need them, what goes
// before what comes (a host may move from one site to another), older before
// newer.
func order(docs []edgeconfig.Document) []int {
	rank := func(d *edgeconfig.Document) int {
		switch {
		case d.Kind() == edgeconfig.KindKeys:
			return 0
		case d.Deleted:
			return 1
		default:
			return 2
		}
	}
	indexes := make([]int, len(docs))
	for i := range indexes {
		indexes[i] = i
	}
	slices.SortStableFunc(indexes, func(a, b int) int {
		if r := rank(&docs[a]) - rank(&docs[b]); r != 0 {
			return r
		}
		return int(min(max(docs[a].Revision-docs[b].Revision, -1), 1))
	})
	return indexes
}

// prepared returns document i, checked. The documents after the keys are
// checked all at once, by all processors, when the first of them is asked for.
func (n *Node) prepared(docs []edgeconfig.Document, i int, e *edition) *prepared {
	d := &docs[i]
	if d.Deleted {
		return &prepared{doc: d}
	}
	if d.Kind() == edgeconfig.KindKeys {
		p := n.prepare(d, nil)
		return &p
	}
	if e.ready == nil {
		e.ready = make([]prepared, len(docs))
		parallel(len(docs), func(j int) {
			if d := &docs[j]; !d.Deleted && d.Kind() != edgeconfig.KindKeys {
				if n.stale(d) == nil {
					e.ready[j] = n.prepare(d, n.groups)
				} else {
					e.ready[j].doc = d
				}
			}
		})
	}
	return &e.ready[i]
}

// parallel calls f for 0 to n-1 from as many goroutines as there are
// processors.
func parallel(n int, f func(i int)) {
	workers := min(goruntime.GOMAXPROCS(0), n/16+1)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < n; i += workers {
				f(i)
			}
		})
	}
	wg.Wait()
}

// stale returns an error when a document must not replace what is held, and
// errHeld when it is what is held.
func (n *Node) stale(d *edgeconfig.Document) error {
	h := n.held[d.Key]
	switch {
	case h == nil || h.revision < d.Revision:
		return nil
	case h.revision == d.Revision && h.hash == d.Hash && h.deleted == d.Deleted:
		return errHeld
	case h.revision == d.Revision:
		return fault.New(fault.Conflict, "another document of revision %d is in force", h.revision)
	default:
		return fault.New(fault.Stale, "revision %d is in force, an older one does not replace it", h.revision)
	}
}

var errHeld = fault.New(fault.Conflict, "the document is in force already")

// edition is the next runtime while it is made.
type edition struct {
	n     *Node
	next  runtime
	ready []prepared

	sites      *hosts.Editor[*httpedge.Site]
	certs      *certs.Editor
	revisions  *hosts.Editor[int64]
	challenges bool // copied

	pools   []*balance.Pool // no longer used when the next runtime is in force
	removed []string        // sites
}

func (n *Node) edit() *edition {
	current := n.current.Load()
	e := &edition{n: n, next: *current}
	e.sites, e.certs, e.revisions = current.sites.Edit(), current.certs.Edit(), current.revisions.Edit()
	return e
}

// put takes one checked document over. An error leaves everything as it was.
func (e *edition) put(p *prepared) error {
	d := p.doc
	if err := e.n.stale(d); err == errHeld {
		return nil
	} else if err != nil {
		return err
	}
	if p.err != nil {
		return p.err
	}
	old := e.n.held[d.Key]
	next := &held{revision: d.Revision, hash: d.Hash, deleted: d.Deleted}
	switch {
	case d.Deleted:
		if err := e.remove(d, old); err != nil {
			return err
		}
	case p.site != nil:
		s, err := e.putSite(p.site, d.Revision, old)
		if err != nil {
			return err
		}
		next.site = s
	case p.cert != nil:
		if old != nil && old.cert != nil {
			e.certs.Remove(old.cert)
		}
		e.certs.Add(p.cert)
		next.cert = p.cert
		if len(e.n.fresh) < maxFresh {
			e.n.fresh = append(e.n.fresh, d.Key)
		}
	case p.challenge != nil:
		next.challenge = e.putChallenge(p.challenge, old)
	case p.check != nil:
		e.n.checks.Put(*p.check)
	case p.tsig != nil:
		e.n.zones.PutKey(p.tsig)
	case p.signer != nil:
		e.n.zones.PutSigner(p.signer)
	case p.groups != nil:
		e.n.groups = p.groups
	case p.shared != nil:
		e.n.tickets.Set(p.shared.chain)
		e.n.ech.Store(&p.shared.ech)
	case p.platform != nil:
		e.n.policy.Store(p.platform.policy)
		e.next.httpsPort = p.platform.httpsPort
		e.n.servers.Store(&p.platform.nameServers)
		if e.n.geo != nil {
			e.n.geo.SetRegions(p.platform.regions)
		}
	}
	e.n.held[d.Key] = next
	e.revisions.Set(d.Key, d.Revision)
	return nil
}

func (e *edition) putSite(c *edgeconfig.Site, revision int64, old *held) (*site, error) {
	for _, h := range c.Hosts {
		if other, ok := e.sites.Get(h); ok && other.ID != c.ID {
			return nil, fault.New(fault.Conflict, "the host %s is served by site %s", h, other.ID)
		}
	}
	s, err := e.n.compile(c, revision)
	if err != nil {
		return nil, err
	}
	if old != nil && old.site != nil {
		e.takeOut(old.site, s.hosts)
	}
	for _, h := range s.hosts {
		e.sites.Set(h, s.compiled)
	}
	e.next.siteCount++
	in := e.n.projects[s.scope]
	if in == nil {
		in = map[string]struct{}{}
		e.n.projects[s.scope] = in
	}
	in[c.ID] = struct{}{}
	return s, nil
}

// takeOut removes a site from the tables, but for the hosts that stay.
func (e *edition) takeOut(s *site, stay []string) {
	for _, h := range s.hosts {
		if !slices.Contains(stay, h) {
			e.sites.Delete(h)
		}
	}
	e.next.siteCount--
	e.pools = append(e.pools, s.compiled.Pool)
	in := e.n.projects[s.scope]
	delete(in, s.compiled.ID)
	if len(in) == 0 {
		delete(e.n.projects, s.scope)
	}
}

func (e *edition) ownChallenges() {
	if !e.challenges {
		e.challenges = true
		e.next.challenges, e.next.proofs = maps.Clone(e.next.challenges), maps.Clone(e.next.proofs)
		if e.next.challenges == nil {
			e.next.challenges = map[challengeName]challengeText{}
		}
		if e.next.proofs == nil {
			e.next.proofs = map[string]proof{}
		}
	}
}

func (e *edition) putChallenge(c *edgeconfig.Challenge, old *held) *challengeName {
	e.ownChallenges()
	if old != nil && old.challenge != nil {
		e.dropChallenge(*old.challenge)
	}
	name := &challengeName{c.Host, c.Token}
	e.next.challenges[*name] = challengeText{c.KeyAuthorization, c.ExpiresAt}
	e.next.proofs[c.Host] = newProof(*name, e.next.challenges[*name])
	return name
}

// dropChallenge takes a challenge out; another of its host, if there is one,
// answers TLS-ALPN-01 then.
func (e *edition) dropChallenge(name challengeName) {
	delete(e.next.challenges, name)
	if e.next.proofs[name.host].token != name.token {
		return
	}
	delete(e.next.proofs, name.host)
	for other, text := range e.next.challenges {
		if other.host == name.host {
			e.next.proofs[name.host] = newProof(other, text)
			return
		}
	}
}

// remove takes out what a tombstone ends. Keys and platform settings cannot be
// missing: their tombstones are refused.
func (e *edition) remove(d *edgeconfig.Document, old *held) error {
	switch d.Kind() {
	case edgeconfig.KindKeys, edgeconfig.KindPlatform, edgeconfig.KindHandshake:
		return fault.New(fault.Invalid, "documents of kind %s are replaced, not deleted", d.Kind())
	}
	switch {
	case d.Kind() == edgeconfig.KindCheck:
		e.n.checks.Remove(d.Name())
	case d.Kind() == edgeconfig.KindTSIG:
		e.n.zones.RemoveKey(d.Name())
	case d.Kind() == edgeconfig.KindZoneKeys:
		e.n.zones.RemoveSigner(d.Name())
	case old == nil:
	case old.site != nil:
		e.takeOut(old.site, nil)
		e.removed = append(e.removed, old.site.compiled.ID)
	case old.cert != nil:
		e.certs.Remove(old.cert)
	case old.challenge != nil:
		e.ownChallenges()
		e.dropChallenge(*old.challenge)
	}
	return nil
}

// swap puts the next runtime in force and lets go of what it no longer needs.
func (e *edition) swap() {
	e.next.sites, e.next.certs, e.next.revisions = e.sites.Table(), e.certs.Table(), e.revisions.Table()
	if e.challenges {
		now := e.next.now().Unix()
		maps.DeleteFunc(e.next.challenges, func(_ challengeName, c challengeText) bool { return now >= c.expires })
		maps.DeleteFunc(e.next.proofs, func(_ string, p proof) bool { return now >= p.expires })
	}
	e.n.current.Store(&e.next)
	for _, p := range e.pools {
		p.Release()
	}
	for _, id := range e.removed {
		e.n.telemetry.Retire(id)
		e.n.cache.Purge([]string{id}, nil, true)
	}
}
