// Package libdnsbridge makes a driver of anything that implements the libdns
// interfaces (github.com/libdns/libdns, version 1), so that the community's
// providers plug in. A provider that lists no zones is told them.
//
// Its changes are made one RRset at a time; what a failure cuts off, the next
// run of the plan does.
package libdnsbridge

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/libdns/libdns"

	"github.com/edgewright/edgewright/control/dnsproviders"
	"github.com/edgewright/edgewright/control/dnsproviders/dnsplan"
)

// Provider is what a libdns provider must be able to do. One that is also a
// libdns.ZoneLister is asked for its zones.
type Provider interface {
	libdns.RecordGetter
	libdns.RecordSetter
	libdns.RecordDeleter
}

// Driver bridges one provider.
type Driver struct {
	provider  Provider
	zones     []string
	abilities dnsplan.Abilities
}

// New returns a driver. zones are needed when the provider cannot list them;
// abilities are its documented bounds.
func New(p Provider, abilities dnsplan.Abilities, zones ...string) *Driver {
	return &Driver{p, zones, abilities}
}

// Abilities are what New was told.
func (d *Driver) Abilities() dnsplan.Abilities { return d.abilities }

// Zones lists the provider's zones, or those that New was told.
func (d *Driver) Zones(ctx context.Context) ([]dnsproviders.Zone, error) {
	names := d.zones
	if l, ok := d.provider.(libdns.ZoneLister); ok {
		found, err := l.ListZones(ctx)
		if err != nil {
			return nil, trouble(ctx, err)
		}
		names = nil
		for _, z := range found {
			names = append(names, z.Name)
		}
	}
	zones := []dnsproviders.Zone{}
	for _, name := range names {
		if canonical, err := dnsplan.CanonicalName(name); err == nil {
			zones = append(zones, dnsproviders.Zone{Zone: dnsplan.Zone{ID: canonical, Name: canonical}})
		}
	}
	return zones, nil
}

// held is an RRset with the provider's own records.
type held struct {
	set     dnsplan.RRset
	records []libdns.Record
}

// Records lists the RRsets of a zone.
func (d *Driver) Records(ctx context.Context, zone dnsplan.Zone) ([]dnsplan.RRset, error) {
	have, err := d.read(ctx, zone)
	if err != nil {
		return nil, err
	}
	sets := make([]dnsplan.RRset, 0, len(have))
	for _, h := range have {
		sets = append(sets, h.set)
	}
	slices.SortFunc(sets, func(a, b dnsplan.RRset) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Type, b.Type))
	})
	return sets, nil
}

func (d *Driver) read(ctx context.Context, zone dnsplan.Zone) (map[dnsplan.Key]*held, error) {
	found, err := d.provider.GetRecords(ctx, zone.Name+".")
	if err != nil {
		return nil, trouble(ctx, err)
	}
	have := map[dnsplan.Key]*held{}
	for _, r := range found {
		one := setOf(r.RR(), zone)
		h := have[one.Key()]
		if h == nil {
			have[one.Key()] = &held{one, []libdns.Record{r}}
			continue
		}
		h.records = append(h.records, r)
		h.set.TTL = min(h.set.TTL, one.TTL)
		h.set.Special = cmp.Or(h.set.Special, one.Special)
		h.set.Values = append(h.set.Values, one.Values...)
		slices.Sort(h.set.Values)
		h.set.Values = slices.Compact(h.set.Values)
	}
	return have, nil
}

// setOf turns one record into a set of one value.
func setOf(rr libdns.RR, zone dnsplan.Zone) dnsplan.RRset {
	set := dnsplan.RRset{Name: libdns.AbsoluteName(rr.Name, zone.Name+"."), Type: rr.Type, TTL: int(rr.TTL / time.Second), Values: []string{rr.Data}}
	if rr.Type == "TXT" {
		set.Values[0] = dnsplan.QuoteTXT(rr.Data) // libdns has the bare text
	}
	canonical, err := set.Canonical()
	if err != nil {
		set.Name, set.Special = strings.ToLower(strings.TrimSuffix(set.Name, ".")), "a "+rr.Type+" record that Edgewright does not read"
		return set
	}
	return canonical
}

// records turns a set into libdns records.
func records(s dnsplan.RRset, zone dnsplan.Zone) ([]libdns.Record, error) {
	list := make([]libdns.Record, 0, len(s.Values))
	for _, v := range s.Values {
		rr := libdns.RR{Name: libdns.RelativeName(s.Name+".", zone.Name+"."), Type: s.Type, TTL: time.Duration(s.TTL) * time.Second, Data: v}
		if s.Type == "TXT" {
			text, err := dnsplan.UnquoteTXT(v)
			if err != nil {
				return nil, err
			}
			rr.Data = text
		}
		parsed, err := rr.Parse()
		if err != nil {
			parsed = rr // an SRV record at a name without service, for one
		}
		list = append(list, parsed)
	}
	return list, nil
}

// Apply makes the changes one after the other.
func (d *Driver) Apply(ctx context.Context, zone dnsplan.Zone, changes []dnsplan.Change) (string, error) {
	have, err := d.read(ctx, zone)
	if err != nil {
		return "", err
	}
	for _, c := range changes {
		h, exists := have[c.Key()]
		switch {
		case exists && c.After != nil && h.set.Equal(*c.After), !exists && c.After == nil:
			continue // an answer that was lost: it is done
		case exists != (c.Before != nil), exists && !h.set.Equal(*c.Before):
			return "", &dnsproviders.Error{Reason: dnsproviders.Moved, Message: fmt.Sprintf("%s is not as it was when the plan was made", c.Key()), Fix: "make a new plan"}
		}
		if c.After == nil {
			_, err = d.provider.DeleteRecords(ctx, zone.Name+".", h.records)
		} else {
			var list []libdns.Record
			if list, err = records(*c.After, zone); err != nil {
				return "", err
			}
			_, err = d.provider.SetRecords(ctx, zone.Name+".", list)
		}
		if err != nil {
			return "", trouble(ctx, err)
		}
	}
	return "", nil
}

// trouble wraps a provider's error, whose kinds libdns does not tell apart.
func trouble(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return &dnsproviders.Error{
		Reason: dnsproviders.Away, Message: "the DNS provider did not do what it was asked", Detail: dnsproviders.Short(err.Error()),
		Fix: "see what it says, check the credentials, and try again", Err: err,
	}
}
