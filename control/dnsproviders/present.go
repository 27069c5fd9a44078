package dnsproviders

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/edgewright/edgewright/control/dnsproviders/dnsplan"
	"github.com/edgewright/edgewright/fault"
)

// challengeTTL is short: nobody shall remember an old value when the next one
// is asked for.
const challengeTTL = 60

// presentTries bounds how often a set that others write too is read again.
const presentTries = 5

// maxAliases bounds a chain of CNAMEs.
const maxAliases = 8

// ZoneFor returns the zone that holds a name: the longest that is its suffix.
// Errors: reason NoZone, also when two zones have the same name.
func ZoneFor(zones []Zone, fqdn string) (Zone, error) {
	var best Zone
	double := false
	for _, z := range zones {
		switch {
		case !z.Contains(fqdn):
		case len(z.Name) > len(best.Name):
			best, double = z, false
		case len(z.Name) == len(best.Name):
			double = true
		}
	}
	switch {
	case best.Name == "":
		return Zone{}, &Error{Reason: NoZone, Message: fmt.Sprintf("these credentials reach no zone that holds %s", fqdn), Fix: "add the zone at the provider, or use credentials that reach it"}
	case double:
		return Zone{}, &Error{Reason: NoZone, Message: fmt.Sprintf("the provider has two zones named %s", best.Name), Fix: "delete the one that is not delegated to, or use credentials that reach only the right one"}
	}
	return best, nil
}

// PresentTXT adds a value to the TXT records at a name and returns when the
// provider's name servers have it. What else is there stays. A CNAME at the
// name is followed within the provider's zones.
func PresentTXT(ctx context.Context, d Driver, fqdn, value string, pause func(context.Context, time.Duration) error) error {
	e, err := editorOf(ctx, d, fqdn, value, pause)
	if err != nil {
		return err
	}
	ticket, err := e.edit(ctx, func(values []string) []string {
		if slices.Contains(values, e.value) {
			return values
		}
		return append(values, e.value)
	})
	if err == nil {
		err = settle(ctx, d, ticket, pause)
	}
	if err != nil {
		// The change may be made all the same: take it back, whatever became of ctx.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		_ = e.remove(ctx) // the first error is the one to tell
	}
	return err
}

// RemoveTXT takes away again what PresentTXT has added, also in another process.
// What else is there stays, and it may be called more than once.
func RemoveTXT(ctx context.Context, d Driver, fqdn, value string, pause func(context.Context, time.Duration) error) error {
	e, err := editorOf(ctx, d, fqdn, value, pause)
	if err != nil {
		return err
	}
	return e.remove(ctx)
}

func editorOf(ctx context.Context, d Driver, fqdn, value string, pause func(context.Context, time.Duration) error) (textEditor, error) {
	name, err := dnsplan.CanonicalName(fqdn)
	if err != nil {
		return textEditor{}, fault.InvalidField("/name", err.Error(), "write it like _acme-challenge.example.com")
	}
	zones, err := d.Zones(ctx)
	if err != nil {
		return textEditor{}, err
	}
	zone, name, err := follow(ctx, d, zones, name)
	return textEditor{d, zone.Zone, name, dnsplan.QuoteTXT(value), pause}, err
}

// follow finds where a name's TXT records are: at the end of its CNAMEs.
func follow(ctx context.Context, d Driver, zones []Zone, name string) (Zone, string, error) {
	first := name
	for range maxAliases {
		zone, err := ZoneFor(zones, name)
		if err != nil {
			return Zone{}, "", err
		}
		sets, err := recordsAt(ctx, d, zone.Zone, name)
		if err != nil {
			return Zone{}, "", err
		}
		i := slices.IndexFunc(sets, func(s dnsplan.RRset) bool { return s.Type == "CNAME" })
		if i < 0 {
			return zone, name, nil
		}
		if sets[i].Special != "" || len(sets[i].Values) != 1 {
			return Zone{}, "", &Error{Reason: Rejected, Message: fmt.Sprintf("%s is an alias that cannot be followed", name), Fix: "remove it at the provider"}
		}
		name = strings.TrimSuffix(sets[i].Values[0], ".")
	}
	return Zone{}, "", &Error{Reason: Rejected, Message: fmt.Sprintf("the CNAMEs at %s lead in a circle, or too far", first), Fix: "let it lead straight to where the TXT record shall be"}
}

// recordsAt reads the sets of one name.
func recordsAt(ctx context.Context, d Driver, zone dnsplan.Zone, name string) ([]dnsplan.RRset, error) {
	if l, ok := d.(Looker); ok {
		return l.RecordsAt(ctx, zone, name)
	}
	all, err := d.Records(ctx, zone)
	return slices.DeleteFunc(all, func(s dnsplan.RRset) bool { return s.Name != name }), err
}

// textEditor changes the values of one TXT set that others may be changing too.
type textEditor struct {
	d     Driver
	zone  dnsplan.Zone
	name  string
	value string
	pause func(context.Context, time.Duration) error
}

func (e textEditor) remove(ctx context.Context) error {
	_, err := e.edit(ctx, func(values []string) []string {
		return slices.DeleteFunc(values, func(v string) bool { return v == e.value })
	})
	return err
}

// edit reads the set, lets change turn its values into others, and writes it,
// again when somebody else was faster.
func (e textEditor) edit(ctx context.Context, change func([]string) []string) (ticket string, err error) {
	for try := range presentTries {
		if try > 0 {
			if err := e.pause(ctx, time.Duration(try)*time.Second); err != nil {
				return "", err
			}
		}
		var before, after *dnsplan.RRset
		sets, err := recordsAt(ctx, e.d, e.zone, e.name)
		if err != nil {
			return "", err
		}
		after = &dnsplan.RRset{Name: e.name, Type: "TXT", TTL: challengeTTL}
		for _, s := range sets {
			if s.Type == "TXT" {
				was, now := s, s
				before, after = &was, &now
			}
		}
		if before != nil && before.Special != "" {
			return "", &Error{Reason: Rejected, Message: fmt.Sprintf("the provider holds more than plain TXT records at %s (%s)", e.name, before.Special), Fix: "remove them at the provider"}
		}
		after.Values = change(slices.Clone(after.Values))
		slices.Sort(after.Values)
		switch {
		case before != nil && slices.Equal(before.Values, after.Values) || before == nil && len(after.Values) == 0:
			return "", nil
		case len(after.Values) == 0:
			after = nil
		}
		ticket, err = e.d.Apply(ctx, e.zone, []dnsplan.Change{{Before: before, After: after}})
		if ReasonOf(err) != Moved {
			return ticket, err
		}
	}
	return "", &Error{Reason: Moved, Message: fmt.Sprintf("the TXT records at %s are changed by others all the time", e.name), Fix: "see what else writes them, and try again"}
}
