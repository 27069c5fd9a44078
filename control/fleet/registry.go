package fleet

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/edgeconfig"
)

// registry is what is known of each edge: the resource, the connection, the
// last heartbeat.
type registry struct {
	now       func() time.Time
	awayAfter time.Duration

	mu    sync.Mutex
	edges map[string]*edgeState
	byKey map[string]string // public NKey -> edge ID
	named map[string]string // name -> edge ID
	loose map[string]map[string]struct{}
	ring  []string // IDs in order; nil when edges have come or gone since
}

type edgeState struct {
	meta     resource.Meta
	spec     EdgeSpec
	status   EdgeStatus
	conns    map[string]struct{} // connections that the bus told of
	tracked  bool                // the bus tells of this edge's connections
	host     string              // from where the bus saw it connect
	lastSeen time.Time
	beat     edgeconfig.Heartbeat
	inSync   bool
	verified bool // with inSync: it has asked itself about all of it
	online   bool // as last reported to subscribers
}

func newRegistry(now func() time.Time, awayAfter time.Duration) *registry {
	return &registry{
		now: now, awayAfter: awayAfter,
		edges: map[string]*edgeState{}, byKey: map[string]string{}, named: map[string]string{}, loose: map[string]map[string]struct{}{},
	}
}

// put takes in an edge's resource; it tells whether the edge is new.
func (g *registry) put(meta resource.Meta, spec EdgeSpec, status EdgeStatus) (added bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	e := g.edges[meta.ID]
	if e == nil {
		e = &edgeState{conns: map[string]struct{}{}, lastSeen: time.Time{}}
		g.edges[meta.ID], g.ring = e, nil
		added = true
	}
	if g.named[e.meta.Name] == meta.ID {
		delete(g.named, e.meta.Name)
	}
	e.meta, e.spec, e.status = meta, spec, status
	g.byKey[spec.BusKey], g.named[meta.Name] = meta.ID, meta.ID
	// It may have connected before its resource was seen.
	if conns := g.loose[spec.BusKey]; len(conns) > 0 {
		e.conns, e.tracked = conns, true
		delete(g.loose, spec.BusKey)
	}
	return added
}

func (g *registry) remove(id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if e := g.edges[id]; e != nil {
		delete(g.byKey, e.spec.BusKey)
		if g.named[e.meta.Name] == id {
			delete(g.named, e.meta.Name)
		}
		delete(g.edges, id)
		g.ring = nil
	}
}

// maxLoose bounds what is remembered of connections whose edge is not known.
const maxLoose = 1024

// connection takes in that the bus saw a connection come or go. It returns the
// edge when its being connected has changed with it.
func (g *registry) connection(busKey, conn string, up bool) (edge string, changed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	id := g.byKey[busKey]
	e := g.edges[id]
	if e == nil {
		switch conns := g.loose[busKey]; {
		case up && conns == nil && len(g.loose) < maxLoose:
			g.loose[busKey] = map[string]struct{}{conn: {}}
		case up && conns != nil:
			conns[conn] = struct{}{}
		case !up && conns != nil:
			if delete(conns, conn); len(conns) == 0 {
				delete(g.loose, busKey)
			}
		}
		return "", false
	}
	before := g.connected(e)
	e.tracked = true
	if up {
		e.conns[conn] = struct{}{}
	} else {
		delete(e.conns, conn)
	}
	return id, g.connected(e) != before
}

// heartbeat takes in what an edge says of itself; holdsAll tells whether that is
// all that is published, as for setInSync. It is false for an edge that is not
// (or no longer) ours.
func (g *registry) heartbeat(edge string, beat edgeconfig.Heartbeat, holdsAll func() bool) (known bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	e := g.edges[edge]
	if e == nil {
		return false
	}
	e.lastSeen, e.beat, e.inSync, e.verified = g.now(), beat, holdsAll(), beat.Verified
	return true
}

// seen notes that an edge spoke. Reports that are not heartbeats do not make an
// edge connected that the bus has seen go.
func (g *registry) seen(edge string) (known bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	e := g.edges[edge]
	if e == nil {
		return false
	}
	e.lastSeen = g.now()
	return true
}

// outOfSync notes that what is published has moved on, for all edges or, by its
// scope, for one.
func (g *registry) outOfSync(scope string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if scope != edgeconfig.ScopeAll {
		if e := g.edges[scope]; e != nil {
			e.inSync = false
		}
		return
	}
	for _, e := range g.edges {
		e.inSync = false
	}
}

// setInSync notes that an edge holds exactly what is published, when holdsAll
// says so, and whether it has verified that. It is asked under the lock: what is published in the same instant is
// recorded before outOfSync, which then has the last word.
func (g *registry) setInSync(edge string, verified bool, holdsAll func() bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if e := g.edges[edge]; e != nil && holdsAll() {
		e.inSync, e.verified = true, verified
	}
}

// inSync tells whether an edge holds exactly what is published, and has verified
// that.
func (g *registry) inSync(edge string) (inSync, verified bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	e := g.edges[edge]
	return e != nil && e.inSync, e != nil && e.inSync && e.verified
}

// connected needs g.mu.
func (g *registry) connected(e *edgeState) bool {
	if e.lastSeen.IsZero() || g.now().Sub(e.lastSeen) > g.awayAfter {
		return false
	}
	return len(e.conns) > 0 || !e.tracked
}

func (g *registry) away(edge string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	e := g.edges[edge]
	return e == nil || !g.connected(e)
}

// split lists connected edges and those that are away, in no order.
func (g *registry) split() (connected, away []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for id, e := range g.edges {
		if g.connected(e) {
			connected = append(connected, id)
		} else {
			away = append(away, id)
		}
	}
	return connected, away
}

func (g *registry) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.edges)
}

// syncState counts edges, those that hold exactly what is published, those of them
// that have verified it, and of the others those that are away.
func (g *registry) syncState() (edges, inSync, verified, away int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, e := range g.edges {
		edges++
		if e.inSync {
			inSync++
			if e.verified {
				verified++
			}
		} else if !g.connected(e) {
			away++
		}
	}
	return edges, inSync, verified, away
}

// find returns an edge by ID or name.
func (g *registry) find(idOrName string) (Edge, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	e := g.edges[idOrName]
	if e == nil {
		e = g.edges[g.named[idOrName]]
	}
	if e == nil {
		return Edge{}, false
	}
	return g.describe(e), true
}

func (g *registry) byBusKey(key string) (edge string, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	edge, ok = g.byKey[key]
	return edge, ok
}

// list describes all edges in order of ID.
func (g *registry) list() []Edge {
	g.mu.Lock()
	list := make([]Edge, 0, len(g.edges))
	for _, e := range g.edges {
		list = append(list, g.describe(e))
	}
	g.mu.Unlock()
	order := make([]int, len(list)) // an Edge is large: numbers are sorted instead
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return strings.Compare(list[a].ID, list[b].ID) })
	sorted := make([]Edge, len(list))
	for i, n := range order {
		sorted[i] = list[n]
	}
	return sorted
}

// all lists the IDs and specs of all edges, in no order.
func (g *registry) all() map[string]EdgeSpec {
	g.mu.Lock()
	defer g.mu.Unlock()
	specs := make(map[string]EdgeSpec, len(g.edges))
	for id, e := range g.edges {
		specs[id] = e.spec
	}
	return specs
}

func (g *registry) describe(e *edgeState) Edge {
	edge := Edge{
		Meta: e.meta, Spec: e.spec, Connected: g.connected(e), InSync: e.inSync,
		LastSeen: e.lastSeen, StartedAt: e.beat.StartedAt, Version: e.beat.Version,
		HTTP: e.beat.HTTP, HTTPS: e.beat.HTTPS, DNS: e.beat.DNS, Sites: e.beat.Sites, PurgeSeq: e.beat.PurgeSeq,
		Rejected: e.beat.Rejected, Draining: e.beat.Draining,
	}
	if edge.Connected {
		edge.Live = e.beat.Live
	}
	if e.lastSeen.IsZero() { // since this process started
		edge.LastSeen, edge.Version, edge.HTTP, edge.HTTPS, edge.DNS = e.status.LastSeen, e.status.Version, e.status.HTTP, e.status.HTTPS, e.status.DNS
	}
	return edge
}

// transitions returns the edges whose being connected has changed since the
// last call, with what their status shall be.
func (g *registry) transitions() []transition {
	g.mu.Lock()
	defer g.mu.Unlock()
	var list []transition
	for id, e := range g.edges {
		online := g.connected(e)
		if online == e.online && (!online || e.status.Version == e.beat.Version && e.status.HTTP == e.beat.HTTP && e.status.HTTPS == e.beat.HTTPS && e.status.DNS == e.beat.DNS) {
			continue
		}
		changed := online != e.online
		e.online = online
		if e.lastSeen.IsZero() {
			continue
		}
		e.status = EdgeStatus{Version: e.beat.Version, HTTP: e.beat.HTTP, HTTPS: e.beat.HTTPS, DNS: e.beat.DNS, Online: online, LastSeen: e.lastSeen.UTC()}
		list = append(list, transition{id: id, status: e.status, edge: g.describe(e), changed: changed})
	}
	return list
}

type transition struct {
	id      string
	status  EdgeStatus
	edge    Edge
	changed bool // connected, or not any more
}
