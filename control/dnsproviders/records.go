package dnsproviders

import (
	"context"
	"fmt"
	"strings"

	"github.com/edgewright/edgewright/control/dnsproviders/dnsplan"
	"github.com/edgewright/edgewright/control/domains"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// Records sets the records of domains. It is domains.Providers.
type Records struct {
	*Service
	Installation string // begins the owner of our markers: "ins_..."
}

var _ domains.Providers = Records{}

// Provide implements domains.Providers: it plans against what the provider holds
// now, and carries out what nothing stands in the way of. What is blocked is a
// Conflict that says by what, as is a removal that a person should look at.
func (r Records) Provide(ctx context.Context, project, environment, account, _, domain string, records []domains.DNSRecord, _ resource.Cause) (where string, err error) {
	plan, err := r.Plan(ctx, project, environment, account, strings.TrimPrefix(domain, "*."), dnsplan.Request{
		Owner: r.owner(domain), Desired: wanted(records),
	})
	if err != nil {
		return "", err
	}
	p, err := r.Get(ctx, project, environment, account)
	if err != nil {
		return "", err
	}
	where = whereOf(p.Spec.Driver, plan.Zone)
	if !plan.Empty() {
		if _, err := r.Apply(ctx, project, environment, account, plan, dnsplan.Consent{}); err != nil {
			return where, err
		}
	}
	var blocked []string
	for _, b := range plan.Blocks {
		if b.Stops == dnsplan.StopsRecord {
			blocked = append(blocked, fmt.Sprintf("%s %s is not written, %s: %s", b.Name, b.Type, b.Message, b.Fix))
		}
	}
	if len(blocked) > 0 {
		return where, fault.New(fault.Conflict, "%s", strings.Join(blocked, "; ")).About("zone " + plan.Zone.Name)
	}
	return where, nil
}

// whereOf names a zone at a provider, whichever credentials reach it.
func whereOf(driver string, zone dnsplan.Zone) string { return driver + "/" + zone.ID }

// owner is what markers say. A star is no part of what an owner may be written
// with, and the name below it is another domain.
func (r Records) owner(domain string) string {
	return r.Installation + "/" + strings.Replace(domain, "*.", "any:", 1)
}

// wanted puts records of one name and type together.
func wanted(records []domains.DNSRecord) []dnsplan.RRset {
	var sets []dnsplan.RRset
	at := map[dnsplan.Key]int{}
	for _, d := range records {
		value := d.Value
		switch d.Type {
		case "TXT":
			value = dnsplan.QuoteTXT(value)
		case "CNAME":
			value = strings.TrimSuffix(value, ".") + "."
		}
		key := dnsplan.Key{Name: d.FullName, Type: d.Type}
		i, there := at[key]
		if !there {
			i = len(sets)
			at[key], sets = i, append(sets, dnsplan.RRset{Name: d.FullName, Type: d.Type, TTL: d.TTL})
		}
		sets[i].Values = append(sets[i].Values, value)
	}
	return sets
}
