package domains

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/edgewright/edgewright/control/reconcile"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// Withdrawer removes the records that domains have left at DNS providers: because
// the domain was removed, in whatever way, or has its records set otherwise now.
// What it has tried is in the placement's status, so that a restart neither forgets
// nor hurries. It ends when they are gone, when the user lets them stay, when
// somebody else's choice has taken them over, or after two weeks in vain.
//
// Only the holder of the lease may run it.
type Withdrawer struct {
	service *Service
	log     *slog.Logger
	// at are the placements by domain. Route alone uses it, event after event.
	at map[string]map[string]bool
}

// NewWithdrawer returns the reconciler.
func NewWithdrawer(s *Service, log *slog.Logger) *Withdrawer {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Withdrawer{service: s, log: log, at: map[string]map[string]bool{}}
}

// Kinds implements reconcile.Reconciler.
func (w *Withdrawer) Kinds() []resource.Kind { return []resource.Kind{KindPlacement, Kind} }

// Route implements reconcile.Router: a domain's change wakes its placements.
func (w *Withdrawer) Route(event resource.Event) []reconcile.Ref {
	r := event.Resource
	if r.Kind == Kind {
		var refs []reconcile.Ref
		if event.Type != resource.Status {
			for id := range w.at[r.Name] {
				refs = append(refs, reconcile.Ref{Kind: KindPlacement, ID: id})
			}
		}
		return refs
	}
	p, err := decodePlacement(r)
	if err != nil {
		return nil
	}
	ids := w.at[p.Spec.Domain]
	if event.Type == resource.Deleted {
		if delete(ids, r.ID); len(ids) == 0 {
			delete(w.at, p.Spec.Domain)
		}
		return nil
	}
	if ids == nil {
		ids = map[string]bool{}
		w.at[p.Spec.Domain] = ids
	}
	ids[r.ID] = true
	return []reconcile.Ref{{Kind: KindPlacement, ID: r.ID}}
}

// Reconcile looks at one placement.
func (w *Withdrawer) Reconcile(ctx context.Context, ref reconcile.Ref) (time.Duration, error) {
	s := w.service
	stored, err := s.Store.Get(ctx, KindPlacement, ref.ID)
	if fault.Is(err, fault.NotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	p, err := decodePlacement(stored)
	if err != nil {
		return 0, err
	}
	done, err := s.placing.take(ctx, p.Spec.Domain)
	if err != nil {
		return 0, err
	}
	defer done()
	wanted, domain, err := s.wanted(ctx, p)
	if err != nil {
		return 0, err
	}
	if wanted {
		if p.Status.Since != nil { // it was not, for a while
			if err := s.changePlacement(ctx, p.ID, func(st *PlacementStatus) { *st = PlacementStatus{Where: st.Where} }); err != nil {
				return 0, err
			}
		}
		return 0, w.tell(ctx, domain, nil, nil)
	}
	now := s.Now().UTC().Truncate(time.Second)
	if p.Status.Since == nil {
		p.Status.Since, p.Status.Reason = &now, ReasonRemoving
		p.Status.Message = fmt.Sprintf("the records that were set with %s are being removed", p.Spec.Account)
	}
	if at := p.Status.NextAt; at != nil && now.Before(*at) {
		return max(at.Sub(now), time.Second), nil
	}
	return w.withdraw(ctx, stored, p, domain, now)
}

// withdraw tries to remove the records, and ends the placement or says when to try
// again.
func (w *Withdrawer) withdraw(ctx context.Context, stored resource.Resource, p Placement, domain *resource.Resource, now time.Time) (time.Duration, error) {
	s := w.service
	where, unknown, err := s.others(ctx, p)
	if err != nil {
		return 0, err
	}
	var found Withdrawal
	switch {
	case unknown:
		p.Status.Reason, p.Status.Message = ReasonTaken, "the same name is about to be set at a provider otherwise: it is looked again then"
	case s.Providers == nil:
		err = fault.New(fault.Unavailable, "this platform has no drivers for DNS providers")
	default:
		found, err = s.Providers.Withdraw(ctx, p.Project, p.Environment, p.Spec.Account, p.Spec.Domain, where, p.Status.Consent)
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		if err == nil {
			return 0, w.end(ctx, stored, domain, EventWithdrawn, Info,
				fmt.Sprintf("the %d records that were set for %s with %s are removed", len(found.Records), p.Spec.Domain, p.Spec.Account))
		}
	}
	if !now.Before(p.Status.GiveUpAt()) {
		return 0, w.end(ctx, stored, domain, EventLeft, Warning,
			fmt.Sprintf("the records that were set for %s with %s could not be removed for %d days and stay: %s", p.Spec.Domain, p.Spec.Account, int(withdrawGiveUp/(24*time.Hour)), p.Status.Message))
	}
	p.Status.Attempts++
	next := now.Add(withdrawWait(p.Status.Attempts, retryAfter(err)))
	p.Status.NextAt = &next
	if len(found.Records) > 0 {
		p.Status.Records = found.Records
	}
	if err != nil {
		p.Status.Message = plain(err)
		switch {
		case found.Needs != "":
			p.Status.Reason = ReasonConsent
			p.Status.Message = fmt.Sprintf("%s: consent to it (POST /api/v1/infrastructure/dns/placements/%s/consent, `edgewright dns leftovers remove %s`), or let them stay (`edgewright dns leftovers leave %s`)", found.Needs, p.ID, p.ID, p.ID)
		case fault.Is(err, fault.Unavailable) || fault.Is(err, fault.RateLimited):
			p.Status.Reason = ReasonAway
		default:
			p.Status.Reason = ReasonRefused
		}
	}
	w.log.Info("records at a DNS provider are not removed yet", "domain", p.Spec.Domain, "account", p.Spec.Account, "reason", p.Status.Reason, "again_at", next)
	status := p.Status
	if err := s.changePlacement(ctx, p.ID, func(st *PlacementStatus) {
		if st.Consent && !status.Consent { // given while it was tried
			status.Consent, status.NextAt = true, nil
		}
		*st = status
	}); err != nil {
		return 0, err
	}
	c := resource.Condition{Type: Withdrawn, Status: resource.False, Reason: status.Reason, Message: status.Message, Since: now}
	return max(next.Sub(now), time.Second), w.tell(ctx, domain, &c, nil)
}

// end forgets a placement, and tells the domain that is left of it, if one is.
func (w *Withdrawer) end(ctx context.Context, stored resource.Resource, domain *resource.Resource, event, severity, message string) error {
	if err := w.service.forget(ctx, stored, message, resource.Cause{Actor: "system reconciler", Via: "system"}); err != nil {
		return err
	}
	w.log.Info("records at a DNS provider", "domain", stored.Name, "outcome", event)
	return w.tell(ctx, domain, nil, func(st *Status) { st.Note(w.service.Now(), event, severity, message, nil) })
}

// tell writes into a domain's status how its old records do; nil: there are none.
func (w *Withdrawer) tell(ctx context.Context, domain *resource.Resource, c *resource.Condition, note func(*Status)) error {
	if domain == nil {
		return nil
	}
	if c == nil && note == nil { // nothing to say, most of the time
		d, err := Decode(*domain)
		if err != nil {
			return err
		}
		if _, there := resource.ConditionOf(d.Status.Conditions, Withdrawn); !there {
			return nil
		}
	}
	_, err := w.service.write(ctx, domain.ID, func(d *Domain) {
		if c != nil {
			d.Status.Conditions = resource.SetCondition(d.Status.Conditions, *c)
		} else {
			d.Status.Conditions = withoutCondition(d.Status.Conditions, Withdrawn)
		}
		if note != nil {
			note(&d.Status)
		}
	})
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}
