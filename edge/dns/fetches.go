package dns

import (
	"bytes"
	"cmp"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/edgeconfig"
)

// fetches is what was last seen of each secondary since the last TakeFetches:
// for who asks whether a secondary has a version. It is bounded, whoever asks:
// what finds no room is told when it comes again. Nothing is noted of zones that
// nobody may have, nor of what comes over UDP, where an address proves nothing.
type fetches struct {
	mu    sync.Mutex
	of    map[string]map[fetcher]edgeconfig.Fetch // by zone ID
	all   map[bool]int                            // those that got it, and those that did not
	share map[share]int
}

// fetcher is one secondary of a zone, in as far as it got the zone or did not.
type fetcher struct {
	client netip.Addr
	key    string
	has    bool
}

// share is what one project has of the room: half of it at most, as of that for
// transfers.
type share struct {
	project string
	has     bool
}

// note notes what became of a transfer, or of the wish for one.
func (f *fetches) note(zone, project string, from netip.Addr, seen edgeconfig.Fetch) {
	if !from.IsValid() {
		return
	}
	has := seen.Outcome.Has()
	most, mostOf := edgeconfig.MaxFetches, edgeconfig.MaxFetchesOf
	if !has {
		most, mostOf = edgeconfig.MaxFetchesFailed, edgeconfig.MaxFailedOf
	}
	seen.Client = from.WithZone("").String()
	who, part := fetcher{from.WithZone(""), seen.Key, has}, share{project, has}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.of == nil {
		f.of, f.all, f.share = map[string]map[fetcher]edgeconfig.Fetch{}, map[bool]int{}, map[share]int{}
	}
	in := f.of[zone]
	if _, known := in[who]; !known {
		n, oldest := 0, fetcher{}
		for other, fetch := range in {
			if other.has != has {
				continue
			}
			if n++; n == 1 || fetch.At.Before(in[oldest].At) {
				oldest = other
			}
		}
		switch {
		case n >= mostOf: // the newest are those that somebody looks for
			delete(in, oldest)
		case f.all[has] >= most || f.share[part] >= most/2:
			return
		default:
			f.all[has]++
			f.share[part]++
		}
		if in == nil {
			in = map[fetcher]edgeconfig.Fetch{}
			f.of[zone] = in
		}
	}
	in[who] = seen
}

// take hands out what was noted, in order, and forgets it.
func (f *fetches) take() map[string][]edgeconfig.Fetch {
	f.mu.Lock()
	noted := f.of
	f.of = nil
	f.mu.Unlock()
	if len(noted) == 0 {
		return nil
	}
	out := make(map[string][]edgeconfig.Fetch, len(noted))
	for zone, in := range noted {
		for _, seen := range in {
			out[zone] = append(out[zone], seen)
		}
		slices.SortFunc(out[zone], func(a, b edgeconfig.Fetch) int {
			return cmp.Or(cmp.Compare(a.Client, b.Client), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Outcome, b.Outcome))
		})
	}
	return out
}

// TakeFetches returns what was last seen of secondaries of each zone since the
// last TakeFetches.
func (z *Zones) TakeFetches() map[string][]edgeconfig.Fetch { return z.fetches.take() }

// fetchKind is how a zone is asked for.
func fetchKind(qtype uint16) edgeconfig.FetchKind {
	if qtype == dns.TypeIXFR {
		return edgeconfig.FetchDifference
	}
	return edgeconfig.FetchWhole
}

// text is a key's name as people write it.
func (k *Key) text() string {
	name, _ := edgeconfig.UnpackName(k.name) // it was packed from one
	return name
}

// named is the name of the key that a query names, when it is one of the zone's:
// what other projects call theirs, and what strangers make up, is not told.
func (g *grant) named(z *Zones, name []byte) string {
	for _, id := range g.keys {
		if k := z.key(id); k != nil && bytes.Equal(k.name, name) {
			return k.text()
		}
	}
	return ""
}

// wished notes a wish for a transfer that is not given, or that has nothing to
// give, signed with a key of some name or with none. Only who could have been
// given it, and who tries to be, are told of.
func (s *responder) wished(c *compose, x *index, q *query, zone string, key []byte, from netip.Addr, outcome edgeconfig.Fetched) {
	if c.stream == nil || x.grant == nil {
		return
	}
	seen := edgeconfig.Fetch{Key: x.grant.named(s.zones, key), Kind: fetchKind(q.qtype), Outcome: outcome, At: s.now().UTC().Truncate(time.Second)}
	if outcome.Has() {
		seen.Serial = x.serial
	}
	s.zones.fetches.note(zone, x.grant.project, from, seen)
}

// misled notes a wish for a transfer whose signature does not hold.
func (s *responder) misled(c *compose, q *query, key []byte, from netip.Addr, outcome edgeconfig.Fetched) {
	if q.qtype != dns.TypeAXFR && q.qtype != dns.TypeIXFR || c.stream == nil {
		return
	}
	name := &c.hops[0].name
	if z := s.zones.table.Load().find(name, 0); z != nil && z.labels == name.count {
		s.wished(c, z.current.Load(), q, z.id, key, from, outcome)
	}
}

// done notes what became of a transfer that was begun, or was to be.
func (t *transferring) done(v *version, sent, slow bool, at time.Time) {
	seen := edgeconfig.Fetch{Key: t.signed.key.text(), Kind: t.kind, Outcome: edgeconfig.FetchGiven, At: at.UTC().Truncate(time.Second)}
	switch {
	case v == nil:
		seen.Outcome = edgeconfig.FetchLater
	case slow && !sent:
		seen.Outcome = edgeconfig.FetchSlow
	case !sent:
		seen.Outcome = edgeconfig.FetchBroken
	case v.same:
		seen.Outcome = edgeconfig.FetchCurrent
	}
	if v != nil {
		if seen.Serial = v.serial; v.next != nil {
			seen.Kind = edgeconfig.FetchWhole
		}
	}
	t.zones.fetches.note(t.id, t.project, t.from, seen)
}
