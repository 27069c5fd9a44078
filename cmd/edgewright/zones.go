package main

import (
	"context"
	"encoding/base64"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/edgewright/edgewright/control/compile"
	"github.com/edgewright/edgewright/control/domains"
	"github.com/edgewright/edgewright/control/domains/lookup"
	"github.com/edgewright/edgewright/control/fleet"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/zones"
	"github.com/edgewright/edgewright/edgeconfig"
)

// zoneRoom is the room of zones.
func (p *plane) zoneRoom(ownership *domainRooms) *zones.Service {
	room := zones.New(zones.Options{Store: p.db, Vault: p.db, Ownership: ownership, Locks: ownership, Needs: ownership, NameServers: p.options.zones.NameServers, Platform: p.options.platformDomain, Copies: p.db, Reach: p.options.origins.Check, Places: zonePlaces{p}})
	ownership.Zones = managedZones{room} // each room needs the other
	ownership.watch.SetRRsets(managedZones{room})
	return room
}

// platformSettings is what every edge is told of the platform.
func (p *plane) platformSettings() edgeconfig.Platform {
	var own []edgeconfig.Region
	locations, _ := p.options.zones.Locations() // the command line has checked them
	for _, l := range locations {
		own = append(own, edgeconfig.Region(l))
	}
	return edgeconfig.Platform{
		Domain: p.options.platformDomain, OriginRanges: p.options.originRanges,
		NameServers: p.options.zones.NameServers, Regions: compile.Regions(own),
	}
}

// zoneReconciler makes the versions of zones.
func (p *plane) zoneReconciler(room *zones.Service) *zones.Reconciler {
	asker := &zones.Asker{Resolvers: p.options.issuer.Resolvers, Allowed: p.options.origins.Check}
	return zones.NewReconciler(room, zones.ReconcilerOptions{
		Places: zonePlaces{p}, Names: asker, Parent: asker, Rollout: zoneRollout{p}, HTTPS: p.httpsData, Logger: p.options.log,
	})
}

// httpsData is what HTTPS records of sites say beside addresses (RFC 9460):
// protocols, the port unless it is the usual one, and the keys of ECH.
func (p *plane) httpsData() string {
	text := "1 . alpn=h3,h2"
	if p.options.httpsPort != nil {
		if port := p.options.httpsPort(); port != 443 {
			text += " port=" + strconv.Itoa(port)
		}
	}
	if list := p.fleet.ECHConfigList(); len(list) > 0 {
		text += " ech=" + base64.StdEncoding.EncodeToString(list)
	}
	return text
}

// zonePlaces tells records where the edges are.
type zonePlaces struct{ plane *plane }

// Places returns the edges that take traffic, with the addresses that most
// clients can reach: those of the internet where an edge has one, else those of
// private networks, else loopback, which is all that a laptop has.
func (z zonePlaces) Places(ctx context.Context) ([]zones.Place, error) {
	edges, err := z.plane.fleet.Edges(ctx)
	if err != nil {
		return nil, err
	}
	best := 0
	reach := func(a netip.Addr) int {
		switch {
		case a.IsLoopback():
			return 1
		case a.IsPrivate():
			return 2
		case a.IsGlobalUnicast():
			return 3
		}
		return 0
	}
	addresses := make([][]netip.Addr, len(edges))
	for i, e := range edges {
		host, _, err := net.SplitHostPort(e.HTTPS)
		if err != nil || e.Spec.Draining {
			continue
		}
		a, err := netip.ParseAddr(host)
		if err != nil {
			continue
		}
		if a.IsUnspecified() && e.Spec.Local { // every address of this machine
			a = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		}
		if reach(a) > 0 {
			addresses[i] = []netip.Addr{a}
			best = max(best, reach(a))
		}
	}
	var out []zones.Place
	for i, e := range edges {
		place := zones.Place{ID: e.ID, Name: e.Name, Region: e.Spec.Region}
		for _, a := range addresses[i] {
			if reach(a) == best {
				place.Addresses = append(place.Addresses, a)
			}
		}
		if len(place.Addresses) > 0 {
			out = append(out, place)
		}
	}
	return out, nil
}

// zoneRollout tells how far versions of zones have come.
type zoneRollout struct{ plane *plane }

// Zone implements zones.Rollout.
func (z zoneRollout) Zone(_ context.Context, id string) (edges, applied int, err error) {
	state := z.fleet().DocumentState(edgeconfig.ZoneKey(id))
	return state.Edges - state.Away, state.Applied, nil
}

// Wait implements zones.Rollout.
func (z zoneRollout) Wait(ctx context.Context, current func() map[string]string) error {
	return z.fleet().WaitDocuments(ctx, current)
}

func (z zoneRollout) fleet() *fleet.Fleet { return z.plane.fleet }

// managedZones is the room of zones as that of domains wants it.
type managedZones struct{ room *zones.Service }

// Ensure implements domains.Zones.
func (m managedZones) Ensure(ctx context.Context, project, environment, apex string, cause resource.Cause) (domains.ManagedZone, error) {
	z, err := m.room.Ensure(ctx, project, environment, apex, cause)
	if err != nil {
		return domains.ManagedZone{}, err
	}
	out := domains.ManagedZone{Apex: z.Name, NameServers: z.Status.NameServers}
	for _, k := range z.Status.Keys.Keys {
		if k.Announce && len(k.DS) > 0 {
			out.DS = append(out.DS, k.DS[0])
		}
	}
	return out, nil
}

// Provide implements domains.Zones. Where a name leads is left to the zone,
// which knows the edges as they come and go.
func (m managedZones) Provide(ctx context.Context, project, environment, apex, domain string, records []domains.DNSRecord, cause resource.Cause) error {
	var wanted []zones.Provided
	for _, r := range records {
		if r.Purpose != "routing" {
			wanted = append(wanted, zones.Provided{Name: r.FullName, Type: r.Type, Value: r.Value, TTL: r.TTL})
		}
	}
	return m.room.Provide(ctx, project, environment, apex, domain, wanted, cause)
}

// RRsets implements domains.RRsets.
func (m managedZones) RRsets(ctx context.Context, project, environment, name string, since time.Time, limit int) ([]domains.WantedRRset, error) {
	list, err := m.room.RRsets(ctx, project, environment, name, since, limit)
	out := make([]domains.WantedRRset, 0, len(list))
	for _, s := range list {
		set := domains.WantedRRset{Name: s.Name, Type: s.Type, ChangedAt: s.ChangedAt}
		for _, v := range s.Values {
			set.Values = append(set.Values, lookup.Plain(s.Type, v))
		}
		out = append(out, set)
	}
	return out, err
}

var (
	_ domains.Zones  = managedZones{}
	_ domains.RRsets = managedZones{}
)
