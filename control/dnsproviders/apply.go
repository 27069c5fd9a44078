package dnsproviders

import (
	"context"
	"time"

	"github.com/edgewright/edgewright/control/dnsproviders/dnsplan"
	"github.com/edgewright/edgewright/fault"
)

// Applied is how far a plan was carried out.
type Applied struct {
	Changes int `json:"changes"` // made by this call
	Total   int `json:"total"`   // that there were to make
	// Settled says that the provider's name servers have them; false when the
	// wait for that was cut short.
	Settled bool `json:"settled"`
}

// abilitiesOf returns what a driver can store.
func abilitiesOf(d Driver) dnsplan.Abilities {
	if l, ok := d.(Limited); ok {
		return l.Abilities()
	}
	return dnsplan.Abilities{}
}

// Observe makes a plan from what the zone holds now. Zone, Observed and
// Abilities of the request are filled in.
func Observe(ctx context.Context, d Driver, zone dnsplan.Zone, r dnsplan.Request) (dnsplan.Plan, error) {
	observed, err := d.Records(ctx, zone)
	if err != nil {
		return dnsplan.Plan{}, err
	}
	r.Zone, r.Observed, r.Abilities = zone, observed, abilitiesOf(d)
	return dnsplan.Make(r)
}

// Carry carries a plan out: what of it is not done already. After an error the
// same plan can be carried out again and goes on. Errors: Stale when the zone
// has changed in a way that the plan does not know; Conflict when consent is
// missing; the driver's.
func Carry(ctx context.Context, d Driver, p dnsplan.Plan, c dnsplan.Consent, pause func(context.Context, time.Duration) error) (Applied, error) {
	observed, err := d.Records(ctx, p.Zone)
	if err != nil {
		return Applied{}, err
	}
	rest, err := dnsplan.Resume(p, observed, c)
	if err != nil {
		return Applied{}, err
	}
	batches := join(rest.Batches(), d)
	var done Applied
	for _, b := range batches {
		done.Total += len(b)
	}
	var tickets []string
	for _, b := range batches {
		ticket, err := d.Apply(ctx, p.Zone, b)
		if err != nil {
			return done, err
		}
		done.Changes += len(b)
		if ticket != "" {
			tickets = append(tickets, ticket)
		}
	}
	for _, ticket := range tickets {
		if err := settle(ctx, d, ticket, pause); err != nil {
			if ctx.Err() != nil {
				return done, nil // made, and on its way
			}
			return done, err
		}
	}
	done.Settled = true
	return done, nil
}

// join puts groups of changes into as few batches as the driver takes. A group
// is never split: it has what must happen together.
func join(groups [][]dnsplan.Change, d Driver) [][]dnsplan.Change {
	b, ok := d.(Batcher)
	if !ok {
		return groups
	}
	var batches [][]dnsplan.Change
	size := 0
	for _, g := range groups {
		n := weight(g)
		if len(batches) == 0 || size+n > b.MaxBatch() {
			batches, size = append(batches, nil), 0
		}
		last := len(batches) - 1
		batches[last], size = append(batches[last], g...), size+n
	}
	return batches
}

// weight is how many records changes concern.
func weight(changes []dnsplan.Change) int {
	n := 0
	for _, c := range changes {
		if c.Before != nil {
			n += len(c.Before.Values)
		}
		if c.After != nil {
			n += len(c.After.Values)
		}
	}
	return n
}

// Polling for settled changes.
const (
	settleFirst = 2 * time.Second
	settleMax   = 15 * time.Second
	settleTries = 60
)

// settle waits until the provider's name servers have a change.
func settle(ctx context.Context, d Driver, ticket string, pause func(context.Context, time.Duration) error) error {
	s, ok := d.(Settler)
	if !ok || ticket == "" {
		return nil
	}
	wait := settleFirst
	for range settleTries {
		done, err := s.Settled(ctx, ticket)
		if err != nil || done {
			return err
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
		wait = min(wait*3/2, settleMax)
	}
	return fault.New(fault.Unavailable, "the provider has taken the change, but its name servers do not have it after many minutes: look at the provider's status page")
}
