package dnsproviders

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/control/dnsproviders/dnsplan"
	"github.com/edgewright/edgewright/control/domains"
	"github.com/edgewright/edgewright/fault"
)

// PlanWithdraw implements domains.Providers.
func (r Records) PlanWithdraw(ctx context.Context, project, environment, account, domain string, except []string) (domains.Withdrawal, error) {
	w, _, _, err := r.planWithdraw(ctx, project, environment, account, domain, except)
	return w, err
}

// Withdraw implements domains.Providers. That everything of the domain's goes is
// what was asked for; that it is much of a zone, or all of it, needs consent.
func (r Records) Withdraw(ctx context.Context, project, environment, account, domain string, except []string, consent bool) (domains.Withdrawal, error) {
	w, d, plans, err := r.planWithdraw(ctx, project, environment, account, domain, except)
	if err != nil {
		return w, err
	}
	if w.Needs != "" && !consent {
		return w, fault.New(fault.Conflict, "%s: that needs consent", w.Needs).About("domain " + domain)
	}
	for _, p := range plans {
		if _, err := Carry(ctx, d, p, dnsplan.Consent{Removals: true}, r.Pause); err != nil {
			return w, err
		}
	}
	return w, nil
}

// planWithdraw plans for every zone that could hold records of the domain: since
// they were set another may have come between.
func (r Records) planWithdraw(ctx context.Context, project, environment, account, domain string, except []string) (w domains.Withdrawal, d Driver, plans []dnsplan.Plan, err error) {
	name, err := dnsplan.CanonicalName(strings.TrimPrefix(domain, "*."))
	if err != nil {
		return w, nil, nil, fault.InvalidField("/domain", err.Error(), "write it like shop.example.com")
	}
	stored, err := r.Get(ctx, project, environment, account)
	if err != nil {
		return w, nil, nil, err
	}
	if d, err = r.open(ctx, stored); err != nil {
		return w, nil, nil, err
	}
	zones, err := d.Zones(ctx)
	if err != nil {
		return w, nil, nil, err
	}
	for _, zone := range zones {
		where := whereOf(stored.Spec.Driver, zone.Zone)
		if !zone.Contains(name) || slices.Contains(except, where) {
			continue
		}
		plan, err := Observe(ctx, d, zone.Zone, dnsplan.Request{Owner: r.owner(domain)})
		if err != nil {
			return w, nil, nil, err
		}
		if plan.Empty() {
			continue
		}
		plans, w.Where = append(plans, plan), append(w.Where, where)
		for _, s := range plan.Steps {
			record := fmt.Sprintf("%s %s", s.Type, s.Name)
			if s.Before != nil {
				record += " " + strings.Join(s.Before.Values, ", ")
			}
			w.Records = append(w.Records, record)
		}
		for _, need := range plan.Needs {
			if need.Kind != dnsplan.NeedAll && w.Needs == "" {
				w.Needs = need.Message
			}
		}
	}
	return w, d, plans, nil
}
