package fleet

import (
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/edgewright/edgewright/edgeconfig"
)

// Bounds of what is kept of how certificates are served: of all views, and how
// long one counts. An edge looks at each certificate within about an hour.
const (
	maxViews   = 1_000_000
	viewsCount = 3 * time.Hour
)

// servedViews keeps, for each certificate, the last view of each edge by itself
// and by another.
type servedViews struct {
	mu    sync.Mutex
	views map[string]map[viewOf]*view // by certificate
	n     int
	// whole are the edges that have told all that they had told before, so that a
	// control plane that has just started knows what the others know.
	whole map[string]bool
}

type viewOf struct {
	edge string
	self bool
}

type view struct {
	by     string
	at     time.Time
	served edgeconfig.Served
}

func newServedViews() *servedViews {
	return &servedViews{views: map[string]map[viewOf]*view{}, whole: map[string]bool{}}
}

func (s *servedViews) put(edge, target string, at time.Time, list []edgeconfig.Served) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n >= maxViews {
		s.prune(at)
	}
	for _, one := range list {
		of := viewOf{target, edge == target}
		at := at.Add(-time.Duration(min(max(one.Age, 0), int64(viewsCount/time.Second))) * time.Second)
		one.Age = 0
		in := s.views[one.Certificate]
		if in[of] == nil {
			if s.n >= maxViews {
				continue
			}
			s.n++
		}
		if in == nil {
			in = map[viewOf]*view{}
			s.views[one.Certificate] = in
		}
		if had := in[of]; had != nil && had.at.After(at) {
			continue
		}
		in[of] = &view{by: edge, at: at, served: one}
	}
}

// told notes that an edge has told all again, and tells whether it still has to.
func (s *servedViews) told(edge string, all bool) (again bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if all && len(s.whole) < maxViews {
		s.whole[edge] = true
	}
	return !s.whole[edge]
}

// prune forgets views that no longer count; s.mu is held.
func (s *servedViews) prune(now time.Time) {
	for id, in := range s.views {
		for of, v := range in {
			if now.Sub(v.at) > viewsCount {
				delete(in, of)
				s.n--
			}
		}
		if len(in) == 0 {
			delete(s.views, id)
		}
	}
}

func (s *servedViews) of(certificate string, now time.Time) map[viewOf]view {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[viewOf]view, len(s.views[certificate]))
	for of, v := range s.views[certificate] {
		if now.Sub(v.at) <= viewsCount {
			out[of] = *v
		}
	}
	return out
}

// probed takes in how an edge sees certificates served, and names the next edge
// to look at: the one that follows it, so that each is looked at by one other.
func (f *Fleet) probed(edge string, data []byte) edgeconfig.ProbeReply {
	var reply edgeconfig.ProbeReply
	var r edgeconfig.ProbeReport
	if !f.decode(edge, upProbe, data, &r) {
		return reply
	}
	if len(r.Served) > edgeconfig.MaxServed {
		r.Served = r.Served[:edgeconfig.MaxServed]
	}
	for i := range r.Served {
		bound(&r.Served[i])
	}
	if _, known := f.registry.find(r.Target); known {
		f.served.put(edge, r.Target, f.now().UTC(), r.Served)
	}
	reply.Again = f.served.told(edge, r.Again)
	if r.Target == edge {
		reply.Peer = f.registry.peer(edge)
	}
	return reply
}

// bound cuts what an edge says to a reasonable length.
func bound(s *edgeconfig.Served) {
	for _, text := range []*string{&s.Certificate, &s.Name, &s.Fingerprint, &s.Chain, &s.Key, &s.Signature, &s.HSTS, &s.Problem} {
		*text = strings.Clone((*text)[:min(len(*text), 300)])
	}
	s.Offers = slices.Clone(s.Offers[:min(len(s.Offers), 10)])
	for i := range s.Offers {
		for _, text := range []*string{&s.Offers[i].Version, &s.Offers[i].Cipher, &s.Offers[i].Group} {
			*text = strings.Clone((*text)[:min(len(*text), 80)])
		}
	}
}

// peer is the connected edge after one in order of ID, nil when there is no
// other that can be reached by what is known of it.
func (g *registry) peer(edge string) *edgeconfig.Peer {
	g.mu.Lock()
	defer g.mu.Unlock()
	self := g.edges[edge]
	if self == nil {
		return nil
	}
	if g.ring == nil {
		g.ring = slices.Sorted(maps.Keys(g.edges))
	}
	at, _ := slices.BinarySearch(g.ring, edge)
	for i := 1; i < len(g.ring); i++ {
		id := g.ring[(at+i)%len(g.ring)]
		e := g.edges[id]
		address := e.beat.HTTPS
		if address == "" || !g.connected(e) {
			continue
		}
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			continue
		}
		// One that listens on all interfaces is where the bus saw it come from; a
		// loopback address says something to edges of the same machine only.
		if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
			host = e.host
		}
		ip := net.ParseIP(host)
		if ip == nil || ip.IsLoopback() && !(loopback(self) && loopback(e)) {
			continue
		}
		return &edgeconfig.Peer{Edge: id, Address: net.JoinHostPort(host, port)}
	}
	return nil
}

// loopback reports whether an edge is on the control plane's own machine, as far
// as its listener or its connection tells.
func loopback(e *edgeState) bool {
	host, _, err := net.SplitHostPort(e.beat.HTTPS)
	ip := net.ParseIP(host)
	if err == nil && ip != nil && ip.IsUnspecified() {
		ip = net.ParseIP(e.host)
	}
	return err == nil && ip != nil && ip.IsLoopback()
}

// from notes from where an edge has connected to the bus; a connection within
// this process comes from nowhere.
func (g *registry) from(busKey, host string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if e := g.edges[g.byKey[busKey]]; e != nil {
		e.host = strings.Clone(host[:min(len(host), 64)])
	}
}

// Served tells how the edges serve a certificate: each edge by its own view and
// by another's, in order of edge.
func (f *Fleet) Served(certificate string) []View {
	var out []View
	for of, v := range f.served.of(certificate, f.now()) {
		e, known := f.registry.find(of.edge)
		if !known {
			continue
		}
		out = append(out, View{Edge: of.edge, Name: e.Name, Region: e.Spec.Region, By: v.by, At: v.at, Served: v.served})
	}
	slices.SortFunc(out, func(a, b View) int {
		if a.Edge != b.Edge {
			return strings.Compare(a.Edge, b.Edge)
		}
		if self := a.By == a.Edge; self != (b.By == b.Edge) {
			if self {
				return -1
			}
			return 1
		}
		return strings.Compare(a.By, b.By)
	})
	return out
}
