package cache

import (
	"hash/maphash"
	"net/http"
	"net/url"
	"strings"

	"github.com/edgewright/edgewright/edge/request"
)

// Purge removes what is stored for the given sites and returns how many stored
// responses that were. With all, or without paths, everything of the sites goes,
// in time that does not depend on how much that is. A path is one of
//
//	/a                   that path, whatever the query
//	/a?b=1               that path with that query
//	/img/*               everything whose path begins with /img/
//	https://h/a          as the above, of that host only; both schemes
//
// and covers all variants. A query matches what is stored for it: parameters
// that a rule leaves out of the key need not be given. What cannot be read as a
// path purges everything of the sites, rather than nothing.
//
// When Purge returns, nothing that it covers is used for a request that begins
// afterwards; fills and validations in flight are no longer stored or joined.
// It holds no lock that look-ups take, and the lock that misses take only
// briefly.
func (c *Cache) Purge(sites, paths []string, all bool) int {
	targets := make([]target, 0, len(paths))
	for _, p := range paths {
		t, ok := parsePurge(p)
		if !ok {
			all = true
			break
		}
		targets = append(targets, t)
	}
	n := 0
	for _, id := range sites {
		if all || len(targets) == 0 {
			n += c.purgeSite(id)
		} else if s := c.site(id); s != nil {
			n += c.purgeTargets(s, targets)
		}
	}
	return n
}

// PurgeEverything removes what is stored for all sites: for an edge that was
// away longer than purges are remembered.
func (c *Cache) PurgeEverything() int {
	var ids []string
	c.sites.each(func(s *site) { ids = append(ids, s.id) })
	n := 0
	for _, id := range ids {
		n += c.purgeSite(id)
	}
	return n
}

// purgeSite puts a new state in the site's place. The old one is dead from that
// moment for everyone who holds it; its memory is given back in the background.
func (c *Cache) purgeSite(id string) int {
	c.sitesMu.Lock()
	defer c.sitesMu.Unlock()
	old := c.site(id)
	if old == nil {
		return 0
	}
	// In this order a look-up finds the old state, the new one, or none.
	c.sites.remove(maphash.String(c.seed, id), old)
	old.mu.Lock()
	old.dead.Store(true)
	for _, fills := range old.fills {
		for _, f := range fills {
			f.outdated.Store(true)
		}
	}
	n := old.objects
	old.mu.Unlock()
	if c.begin() {
		go func() {
			defer c.work.Done()
			c.policy.sweep(old)
		}()
	}
	return n
}

// sweep gives the memory of a dead site back, a few entries at a time.
func (p *policy) sweep(s *site) {
	const batch = 256
	for {
		p.mu.Lock()
		for i := 0; i < batch && s.queues.bytes() > 0; i++ {
			if e := s.queues.small.tail; e != nil {
				p.drop(e)
			} else {
				p.drop(s.queues.main.tail)
			}
		}
		empty := s.queues.bytes() == 0
		p.mu.Unlock()
		if empty {
			return
		}
	}
}

// target is one parsed purge path.
type target struct {
	authority string // "": any
	path      string
	prefix    bool
	query     string
	hasQuery  bool
}

// parsePurge reads a purge path.
func parsePurge(s string) (target, bool) {
	var t target
	if s == "" {
		return t, false
	}
	if s[0] != '/' {
		u, err := url.Parse(s)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" {
			return t, false
		}
		if t.authority, _, err = request.Authority(u.Host); err != nil {
			return t, false
		}
		_, rest, _ := strings.Cut(s, "://")
		if i := strings.IndexAny(rest, "/?#"); i >= 0 {
			s = rest[i:]
		} else {
			s = "/"
		}
		if s[0] != '/' {
			s = "/" + s
		}
	}
	s, _, _ = strings.Cut(s, "#")
	t.path, t.query, t.hasQuery = strings.Cut(s, "?")
	if !t.hasQuery && strings.HasSuffix(t.path, "*") {
		t.path, t.prefix = t.path[:len(t.path)-1], true
	}
	normal, err := request.Path(strings.ReplaceAll(t.path, " ", "%20"))
	if err != nil {
		return t, false
	}
	t.path = normal
	if t.hasQuery {
		if t.query, err = request.Query(t.query); err != nil {
			return t, false
		}
	}
	return t, true
}

// covers reports whether the target covers a stored URI.
func (t *target) covers(a *address) bool {
	if t.authority != "" && t.authority != a.authority {
		return false
	}
	if t.prefix {
		return strings.HasPrefix(a.path, t.path)
	}
	if t.path != a.path {
		return false
	}
	return !t.hasQuery || subset(a.query, t.query)
}

// subset reports whether every parameter of the stored query is in the given
// one.
func subset(stored, given string) bool {
	for stored != "" {
		var p string
		p, stored, _ = strings.Cut(stored, "&")
		found := p == ""
		for rest := given; rest != "" && !found; {
			var q string
			q, rest, _ = strings.Cut(rest, "&")
			found = p == q
		}
		if !found {
			return false
		}
	}
	return true
}

func coveredBy(targets []target, key string) bool {
	a := addressOf(key)
	for i := range targets {
		if targets[i].covers(&a) {
			return true
		}
	}
	return false
}

// purgeTargets removes what targets cover of one site. Fills are cut off first:
// what is inserted after that came from requests to the origin that began
// later. Then single paths are found by their chains, unless one is so long
// that walking it would hold the lock for long; for the others the table is
// walked without a lock.
func (c *Cache) purgeTargets(s *site, targets []target) int {
	s.mu.Lock()
	for _, fills := range s.fills {
		for _, f := range fills {
			if coveredBy(targets, f.key) {
				f.outdated.Store(true)
			}
		}
	}
	s.mu.Unlock()
	n := 0
	var wide []target
	for i := range targets {
		if removed, ok := c.purgePath(s, &targets[i]); ok {
			n += removed
		} else {
			wide = append(wide, targets[i])
		}
	}
	if len(wide) == 0 {
		return n
	}
	var batch []*resource
	flush := func() {
		var removed []*Entry
		s.mu.Lock()
		for _, r := range batch {
			removed = append(removed, s.discard(r)...)
		}
		s.mu.Unlock()
		c.policy.remove(removed...)
		n += len(removed)
		batch = batch[:0]
	}
	s.table.each(func(r *resource) {
		if coveredBy(wide, r.key) {
			if batch = append(batch, r); len(batch) == purgeBatch {
				flush()
			}
		}
	})
	flush()
	return n
}

// purgeBatch is how many resources are removed under the lock at once.
const purgeBatch = 64

// purgePath removes what a target without prefix covers. ok is false when it
// has to be looked for among everything.
func (c *Cache) purgePath(s *site, t *target) (n int, ok bool) {
	if t.prefix {
		return 0, false
	}
	var removed []*Entry
	s.mu.Lock()
	chain := s.paths[c.hashPath(t.path)]
	if chain.count > purgeBatch {
		s.mu.Unlock()
		return 0, false
	}
	for r := chain.head; r != nil; {
		next := r.next
		if a := addressOf(r.key); t.covers(&a) {
			removed = append(removed, s.discard(r)...)
		}
		r = next
	}
	s.mu.Unlock()
	c.policy.remove(removed...)
	return len(removed), true
}

func (c *Cache) hashPath(path string) uint64 { return maphash.String(c.seed, path) }

// invalidate removes what an unsafe request that succeeded may have changed
// (RFC 9111 section 4.4): its target, and what Location and Content-Location
// name on the same origin.
func (c *Cache) invalidate(siteID string, v *request.View, rule *Rule, header http.Header) {
	s := c.site(siteID)
	if s == nil {
		return
	}
	c.invalidateURI(s, v, v.Path, v.Query, rule)
	for _, name := range []string{"Location", "Content-Location"} {
		if path, query, ok := sameOrigin(v, header.Get(name)); ok {
			c.invalidateURI(s, v, path, query, rule.set.forPath(path))
		}
	}
}

// sameOrigin resolves a URI reference against the request's target. ok is false
// when it names another origin.
func sameOrigin(v *request.View, reference string) (path, query string, ok bool) {
	if reference == "" {
		return "", "", false
	}
	base := &url.URL{Scheme: v.Scheme, Host: v.Authority}
	var err error
	if base, err = base.Parse(v.Path); err != nil {
		return "", "", false
	}
	u, err := base.Parse(reference)
	if err != nil || u.Scheme != v.Scheme {
		return "", "", false
	}
	host, _, err := request.Authority(u.Host)
	if err != nil || host != v.Authority {
		return "", "", false
	}
	if path, err = request.Path(u.EscapedPath()); err != nil {
		return "", "", false
	}
	if query, err = request.Query(u.RawQuery); err != nil {
		return "", "", false
	}
	return path, query, true
}

func (c *Cache) invalidateURI(s *site, v *request.View, path, query string, rule *Rule) {
	key := appendURI(make([]byte, 0, keySpace), v.Scheme, v.Authority, path, query, rule)
	uri := maphash.Bytes(c.seed, key)
	var removed []*Entry
	s.mu.Lock()
	for _, f := range s.fills[uri] {
		if strings.HasPrefix(f.key, string(key)) {
			f.outdated.Store(true)
		}
	}
	if r := s.find(uri, key); r != nil {
		removed = append(removed, s.discard(r)...)
	}
	// Backwards, since discard takes each out of the list.
	for i := len(s.siblings[uri]) - 1; i >= 0; i-- {
		if r := s.siblings[uri][i]; strings.HasPrefix(r.key, string(key)) {
			removed = append(removed, s.discard(r)...)
		}
	}
	s.mu.Unlock()
	c.policy.remove(removed...)
}
