package watch

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/edgewright/edgewright/control/domains"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// dns looks where the name leads, how its zone is delegated, and what dangles.
func (w *Watcher) dns(ctx context.Context, d domains.Domain, name domains.Name) (domains.Domain, time.Duration, error) {
	if w.options.Domains.NeedsNoProof(name) {
		return d, 0, nil
	}
	now := w.now()
	if last := d.Status.Watch; last != nil && last.NextAt != nil && now.Before(*last.NextAt) {
		return d, last.NextAt.Sub(now), nil
	}
	found := domains.Watch{CheckedAt: &now}
	next := now.Add(w.spread(dnsEvery))
	found.NextAt = &next
	zone, zoneErr := w.zone(ctx, name)
	for _, typ := range []string{"A", "AAAA"} {
		found.Resolution = append(found.Resolution, w.resolve(ctx, zone, name.Probe(), typ))
	}
	if zoneErr == nil && w.options.Network != nil {
		state, err := w.options.Network.Delegation(ctx, zone.Apex)
		if err != nil {
			found.Error = message(err)
		} else {
			found.Delegation = &state
		}
	} else if zoneErr != nil {
		found.Error = message(zoneErr)
	}
	var err error
	if found.Dangling, err = w.dangling(ctx, d, name, zone); err != nil {
		return d, 0, err
	}
	if ctx.Err() != nil {
		return d, 0, ctx.Err()
	}
	d, err = w.options.Domains.ChangeStatus(ctx, d.ID, func(d *domains.Domain) { w.recordDNS(d, found, now) })
	return d, next.Sub(now), err
}

func (w *Watcher) zone(ctx context.Context, name domains.Name) (domains.Zone, error) {
	if w.options.Network == nil {
		return domains.Zone{}, fault.New(fault.Unavailable, "name servers are not asked here")
	}
	return w.options.Network.Zone(ctx, name.Base)
}

// resolve asks everybody for a name and type.
func (w *Watcher) resolve(ctx context.Context, zone domains.Zone, name, typ string) domains.Resolution {
	r := domains.Resolution{Name: name, Type: typ, Seen: w.ask(ctx, zone, name, typ), Agreed: true}
	var first []string
	have := false
	for _, s := range r.Seen {
		if !says(s) {
			continue
		}
		if have && !slices.Equal(first, s.Answers) {
			r.Agreed = false
		}
		first, have = s.Answers, true
	}
	return r
}

// ask asks the zone's own servers, where they are known, and the resolvers.
func (w *Watcher) ask(ctx context.Context, zone domains.Zone, name, typ string) []domains.Seen {
	var seen []domains.Seen
	if w.options.Network != nil && len(zone.Servers) > 0 {
		seen = w.options.Network.Ask(ctx, zone, name, typ)
	}
	return append(seen, w.options.Resolvers.Lookup(ctx, name, typ)...)
}

// says reports whether an answer tells anything: that there is nothing, too.
func says(s domains.Seen) bool { return s.Error == "" || s.Error == noName }

const noName = "NXDOMAIN"

// recordDNS writes a look into a status, with an event for what has turned.
func (w *Watcher) recordDNS(d *domains.Domain, found domains.Watch, now time.Time) {
	st := &d.Status
	old := st.Watch
	st.Watch = &found
	if before, after := resolves(old), resolves(&found); old != nil && before != after {
		severity, text := domains.Info, d.Name+" resolves again"
		if !after {
			severity, text = domains.Critical, "no resolver finds an address for "+d.Name+" any more"
		}
		st.Note(now, domains.EventResolution, severity, text, map[string]string{"status": map[bool]string{true: "resolves", false: "gone"}[after]})
	}
	if found.Delegation != nil {
		c := judgeDelegation(*found.Delegation, st.Setup)
		c.Since = now
		if set(st, c) {
			switch c.Status {
			case resource.False:
				st.Note(now, domains.EventDelegationBroken, domains.Critical, c.Message, map[string]string{"reason": c.Reason})
			case resource.True:
				st.Note(now, domains.EventDelegationOK, domains.Info, c.Message, nil)
			}
		}
	}
	recordDangling(st, old, found.Dangling, now)
}

// resolves reports whether anybody finds an address; true when nobody can tell.
func resolves(w *domains.Watch) bool {
	if w == nil {
		return false
	}
	told := false
	for _, r := range w.Resolution {
		for _, s := range r.Seen {
			if len(s.Answers) > 0 {
				return true
			}
			told = told || says(s)
		}
	}
	return !told
}

// judgeDelegation says whether a zone is delegated as it should be, the gravest
// fault first.
func judgeDelegation(d domains.DelegationState, setup *domains.SetupState) resource.Condition {
	c := resource.Condition{Type: domains.Delegation, Status: resource.False}
	var lame []string
	for _, s := range d.Servers {
		if s.Error != "" {
			lame = append(lame, fmt.Sprintf("%s (%s)", s.Name, s.Error))
		}
	}
	switch {
	case d.Asked == "":
		c.Status, c.Reason, c.Message = resource.Unknown, "ParentSilent", fmt.Sprintf("no name server of %s answers", d.Parent)
	case len(d.ParentNS) == 0:
		c.Reason, c.Message = "NotDelegated", fmt.Sprintf("%s delegates %s to nobody: set its name servers at the registrar", d.Parent, d.Zone)
	case len(d.ParentDS) > 0 && !d.DSMatches && len(lame) < len(d.Servers):
		c.Reason = "DSMismatch"
		c.Message = fmt.Sprintf("the DS record of %s at the registrar is of no key that the zone has, so validating resolvers refuse every answer: remove it there, or set the one that the zone shows", d.Zone)
	case len(lame) == len(d.Servers):
		c.Reason, c.Message = "Lame", fmt.Sprintf("none of the name servers that %s has for %s answers for it: %s", d.Parent, d.Zone, strings.Join(lame, ", "))
	case setup != nil && setup.Managed != nil && !sameSet(setup.Managed.NameServers, d.ParentNS):
		c.Reason, c.Message = "NotOurs", fmt.Sprintf("%s is delegated to %s: set the name servers to %s at the registrar", d.Zone, strings.Join(d.ParentNS, " and "), strings.Join(setup.Managed.NameServers, " and "))
	case len(lame) > 0:
		c.Reason, c.Message = "SomeLame", fmt.Sprintf("some name servers of %s do not answer for it: %s", d.Zone, strings.Join(lame, ", "))
	case !sameSet(d.ParentNS, d.ZoneNS):
		c.Reason, c.Message = "NSMismatch", fmt.Sprintf("%s names %s for %s, the zone itself %s: make them the same", d.Parent, strings.Join(d.ParentNS, ", "), d.Zone, strings.Join(d.ZoneNS, ", "))
	default:
		c.Status, c.Reason, c.Message = resource.True, "Delegated", fmt.Sprintf("%d name servers answer for %s, as its parent says", len(d.Servers), d.Zone)
		switch {
		case d.DSMatches:
			c.Message += "; its DNSSEC chain holds"
		case d.Signed:
			c.Message += "; it is signed, but the parent has no DS record, so nobody checks that"
		}
	}
	return c
}

func sameSet(a, b []string) bool {
	norm := func(list []string) []string {
		out := slices.Clone(list)
		for i := range out {
			out[i] = strings.ToLower(strings.TrimSuffix(out[i], "."))
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	return slices.Equal(norm(a), norm(b))
}
