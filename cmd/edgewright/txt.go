package main

import (
	"context"
	"errors"
	"strings"

	"github.com/edgewright/edgewright/control/acme"
	"github.com/edgewright/edgewright/control/dnsproviders"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/zones"
	"github.com/edgewright/edgewright/fault"
)

// txtChoosers are who writes the challenges of DNS-01, the nearest first: our
// own zones, the platform's zone for names that point there, and credentials at
// providers. Each writes for names alone that the project has verified.
func (p *plane) txtChoosers(ownership zones.Ownership, room *zones.Service) []acme.TXTChooser {
	list := []acme.TXTChooser{zoneTXT{room}}
	if p.options.platformDomain != "" {
		list = append(list, platformTXT{p.options.platformDomain, room})
	}
	list = append(list, providerTXT{p.dnsProviders})
	for i, c := range list {
		list[i] = ownedTXT{ownership, c}
	}
	return list
}

// zoneWriter is an acme.TXTPresenter in zones of ours.
type zoneWriter struct {
	room                 *zones.Service
	project, environment string
}

func (w zoneWriter) PresentTXT(ctx context.Context, fqdn, value string) error {
	return w.room.PresentTXT(ctx, w.project, w.environment, fqdn, value)
}

func (w zoneWriter) RemoveTXT(ctx context.Context, fqdn, value string) error {
	return w.room.RemoveTXT(ctx, w.project, w.environment, fqdn, value)
}

// providerWriter is one with credentials at a DNS provider.
type providerWriter struct {
	room                          *dnsproviders.Service
	project, environment, account string
}

func (w providerWriter) PresentTXT(ctx context.Context, fqdn, value string) error {
	return w.room.PresentTXT(ctx, w.project, w.environment, w.account, fqdn, value)
}

func (w providerWriter) RemoveTXT(ctx context.Context, fqdn, value string) error {
	return w.room.RemoveTXT(ctx, w.project, w.environment, w.account, fqdn, value)
}

// ownedTXT lets a chooser see verified names only. A wildcard is verified by
// itself or by what stands below the star.
type ownedTXT struct {
	ownership zones.Ownership
	of        acme.TXTChooser
}

// ChooseTXT implements acme.TXTChooser.
func (o ownedTXT) ChooseTXT(ctx context.Context, project, environment, name, fqdn string) (acme.TXTPresenter, error) {
	base := strings.TrimPrefix(name, "*.")
	for _, n := range []string{base, "*." + base} {
		held, err := o.ownership.Verified(ctx, project, environment, n)
		if err != nil {
			return nil, err
		}
		if held {
			return o.of.ChooseTXT(ctx, project, environment, name, fqdn)
		}
	}
	return nil, fault.New(fault.NotFound, "the project has not verified %s", name)
}

// zoneTXT writes in zones that the project has here.
type zoneTXT struct{ room *zones.Service }

// ChooseTXT implements acme.TXTChooser. A zone that its parent has given to
// others is not asked by CAs.
func (z zoneTXT) ChooseTXT(ctx context.Context, project, environment, _, fqdn string) (acme.TXTPresenter, error) {
	zone, err := z.room.ZoneFor(ctx, project, environment, fqdn)
	if err != nil {
		return nil, err
	}
	c, _ := resource.ConditionOf(zone.Status.Conditions, zones.Delegated)
	if c.Status == resource.False && c.Reason == zones.Elsewhere {
		return nil, fault.New(fault.NotFound, "the zone %s is made here, but others answer for it", zone.Name)
	}
	return zoneWriter{z.room, project, environment}, nil
}

// platformTXT writes below the platform's own name, in the operator's zone, what
// names point at with a CNAME.
type platformTXT struct {
	domain string
	room   *zones.Service
}

// operatorProject is the project that every platform begins with.
const operatorProject = "default"

// delegationZone is below which the targets of such CNAMEs are.
func delegationZone(platform string) string { return "acme." + platform }

// ChooseTXT implements acme.TXTChooser.
func (o platformTXT) ChooseTXT(ctx context.Context, project, environment, name, fqdn string) (acme.TXTPresenter, error) {
	place, err := o.room.Holder(ctx, delegationZone(o.domain))
	if err == nil && place.Project != operatorProject {
		err = fault.New(fault.NotFound, "the zone of the platform's name is not the operator's")
	}
	if err != nil {
		return nil, err
	}
	d := acme.Delegated{Zone: delegationZone(o.domain), Presenter: zoneWriter{o.room, place.Project, place.Environment}}
	return d.ChooseTXT(ctx, project, environment, name, fqdn)
}

// providerTXT writes with the project's credentials at DNS providers.
type providerTXT struct{ room *dnsproviders.Service }

// ChooseTXT implements acme.TXTChooser: the first credentials that reach a zone
// with the name. Such that cannot be asked are told of when no others do.
func (o providerTXT) ChooseTXT(ctx context.Context, project, environment, _, fqdn string) (acme.TXTPresenter, error) {
	accounts, err := o.room.Accounts(ctx, project, environment, "")
	if err != nil {
		return nil, err
	}
	var away error
	for _, account := range accounts {
		reach, err := o.room.Zones(ctx, project, environment, account)
		if err != nil {
			away = errors.Join(away, fault.New(fault.Unavailable, "the DNS provider %s: %w", account, err))
			continue
		}
		if _, err := dnsproviders.ZoneFor(reach, fqdn); err != nil {
			continue
		}
		return providerWriter{o.room, project, environment, account}, nil
	}
	if away != nil {
		return nil, away
	}
	return nil, fault.New(fault.NotFound, "no stored credentials reach the zone of %s", fqdn)
}
