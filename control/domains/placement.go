package domains

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// KindPlacement is that records of a domain were set with a project's credentials
// at a DNS provider. It is there before the first of them, and outlives domain and
// choice until they are gone: nothing depends on how a domain is removed. IDs begin
// with "plc_"; resource name: see placementName.
const KindPlacement resource.Kind = "placement"

// PlacementSpec says whose records were set, with which credentials.
type PlacementSpec struct {
	Domain  string `json:"domain"`
	Account string `json:"account"`
}

// PlacementStatus is what is known of the records.
type PlacementStatus struct {
	Where string `json:"where,omitempty"` // the zone, as the provider knows it; "": none were set yet
	// Since is when they were first not wanted any more; nil: they are wanted.
	Since    *time.Time `json:"since,omitempty"`
	Consent  bool       `json:"consent,omitempty"`  // whoever removed the domain has agreed to lose much of the zone
	Records  []string   `json:"records,omitempty"`  // that go, as of the last look
	Attempts int        `json:"attempts,omitempty"` // in vain
	NextAt   *time.Time `json:"next_at,omitempty"`
	Reason   string     `json:"reason,omitempty"` // why they are there still: ReasonConsent, ...
	Message  string     `json:"message,omitempty"`
}

// GiveUpAt is when records stay that could not be removed since Since.
func (st PlacementStatus) GiveUpAt() time.Time { return st.Since.Add(withdrawGiveUp) }

// Placement is a placement as stored.
type Placement = resource.Object[PlacementSpec, PlacementStatus]

// Why records that are not wanted are there still.
const (
	ReasonRemoving = "Removing"     // it has just begun
	ReasonConsent  = "NeedsConsent" // it would be much of the zone
	ReasonAway     = "ProviderAway" // or it throttles
	ReasonRefused  = "Refused"      // by the provider, or there are no credentials
	ReasonTaken    = "TakenOver"    // somebody else's choice for the same name is not carried out yet
)

// How removals are tried again, and when they end.
const (
	withdrawFirst  = time.Minute
	withdrawMax    = 6 * time.Hour
	withdrawGiveUp = 14 * 24 * time.Hour
)

// PlacementType is the row of placements. They are made by setting records, and
// plans neither make nor undo them.
func PlacementType() resource.Type {
	return resource.Type{
		Kind: KindPlacement, Prefix: "plc", Scope: resource.ScopeEnvironment,
		Normalize: func(name string, raw json.RawMessage) (json.RawMessage, error) {
			var spec PlacementSpec
			if err := resource.DecodeSpec(raw, &spec); err != nil {
				return nil, err
			}
			if spec.Domain == "" || spec.Account == "" || placementName(spec.Account, spec.Domain) != name {
				return nil, fault.New(fault.Invalid, "a placement names its domain and its credentials")
			}
			return mustJSON(spec), nil
		},
		Derived: func(json.RawMessage) bool { return true },
	}
}

// placementName ends with the domain, by which placements are found.
func placementName(account, domain string) string { return account + "@" + domain }

func decodePlacement(r resource.Resource) (Placement, error) {
	return resource.Decode[PlacementSpec, PlacementStatus](r)
}

// Withdrawal is what goes, or went, of a domain's records at a provider.
type Withdrawal struct {
	Where   []string // the zones that hold them, as Provide names them
	Records []string // "A shop.example.com 192.0.2.1"
	Needs   string   // why it needs consent; "": it does not
}

// Leaving says what becomes of the records that a domain leaves at a DNS provider.
type Leaving struct {
	Consent bool // remove them, though they are much of the zone
	Leave   bool // let them stay
}

// Placements lists the placements of an environment, in order of ID. Those with a
// Since are being removed.
func (s *Service) Placements(ctx context.Context, project, environment string, limit int, cursor string) ([]Placement, string, error) {
	page, err := s.Store.List(ctx, resource.Query{Kind: KindPlacement, Project: project, Environment: environment, Limit: limit, Cursor: cursor})
	if err != nil {
		return nil, "", err
	}
	list := make([]Placement, 0, len(page.Items))
	for _, r := range page.Items {
		p, err := decodePlacement(r)
		if err != nil {
			return nil, "", err
		}
		list = append(list, p)
	}
	return list, page.Next, nil
}

// placementsOf returns the placements of a domain; with an empty project, those of
// all projects.
func (s *Service) placementsOf(ctx context.Context, project, environment, domain string) ([]resource.Resource, error) {
	page, err := s.Store.List(ctx, resource.Query{Kind: KindPlacement, Project: project, Environment: environment, NameSuffix: "@" + domain, Limit: 1000})
	return page.Items, err
}

// place makes the placement of a domain whose records are about to be set.
func (s *Service) place(ctx context.Context, d Domain, account string) (resource.Resource, error) {
	q := resource.Query{Kind: KindPlacement, Project: d.Project, Environment: d.Environment, Name: placementName(account, d.Name), Limit: 1}
	page, err := s.Store.List(ctx, q)
	if err != nil {
		return resource.Resource{}, err
	}
	if len(page.Items) > 0 {
		return page.Items[0], nil
	}
	plan := resource.NewPlan(d.Project, d.Environment)
	plan.Reason = fmt.Sprintf("the records of %s are set with %s", d.Name, account)
	plan.Create(PlacementType(), d.Project, d.Environment, q.Name, mustJSON(PlacementSpec{Domain: d.Name, Account: account}))
	done, err := s.Store.Commit(ctx, plan.Commit(resource.Cause{Actor: "system reconciler", Via: "system"}))
	if err != nil {
		return resource.Resource{}, err
	}
	return done.Resources[0], nil
}

// placed notes where records were set.
func (s *Service) placed(ctx context.Context, r resource.Resource, where string) error {
	p, err := decodePlacement(r)
	if err != nil {
		return err
	}
	if want := (PlacementStatus{Where: where}); where != "" && !resource.EqualJSON(mustJSON(p.Status), mustJSON(want)) {
		_, err = s.Store.PutStatus(ctx, KindPlacement, r.ID, mustJSON(want), 0)
	}
	return err
}

// wanted reports whether a domain's records are to be where a placement says, and
// returns the domain, if there is one. One that sets nothing by itself any more
// (auto_configure) keeps what is there.
func (s *Service) wanted(ctx context.Context, p Placement) (bool, *resource.Resource, error) {
	r, err := s.find(ctx, p.Project, p.Environment, p.Spec.Domain)
	if fault.Is(err, fault.NotFound) {
		return false, nil, nil
	}
	if err != nil {
		return false, nil, err
	}
	d, err := Decode(r)
	if err != nil {
		return false, nil, err
	}
	account := d.Spec.DNSAccount
	if account == "" && d.Status.Setup != nil {
		account = d.Status.Setup.Account
	}
	return d.Spec.DNS == DNSProvider && (account == "" || account == p.Spec.Account), &r, nil
}

// others tells where other placements of the same name are wanted: those records
// have the same markers and are not this one's to remove. unknown is true when one
// of them was not carried out yet.
func (s *Service) others(ctx context.Context, p Placement) (where []string, unknown bool, err error) {
	list, err := s.placementsOf(ctx, "", "", p.Spec.Domain)
	if err != nil {
		return nil, false, err
	}
	for _, r := range list {
		if r.ID == p.ID {
			continue
		}
		other, err := decodePlacement(r)
		if err != nil {
			return nil, false, err
		}
		wanted, _, err := s.wanted(ctx, other)
		if err != nil {
			return nil, false, err
		}
		switch {
		case !wanted:
		case other.Status.Where == "":
			unknown = true
		default:
			where = append(where, other.Status.Where)
		}
	}
	return where, unknown, nil
}

// WarnRecords adds to a plan that removes a domain what becomes of its records at
// DNS providers, one warning each. A provider that is away stops nothing.
func (s *Service) WarnRecords(ctx context.Context, plan *resource.Plan, project, environment, domain string, leaving Leaving) error {
	name, err := ParseName(domain)
	if err != nil {
		return notFound(domain)
	}
	list, err := s.placementsOf(ctx, project, environment, name.ASCII)
	if err != nil {
		return err
	}
	for _, r := range list {
		p, err := decodePlacement(r)
		if err != nil {
			return err
		}
		if leaving.Leave || s.Providers == nil {
			plan.Warnings = append(plan.Warnings, fmt.Sprintf("the records that were set with %s stay, and are nobody's from then on", p.Spec.Account))
			continue
		}
		where, _, err := s.others(ctx, p)
		if err != nil {
			return err
		}
		w, err := s.Providers.PlanWithdraw(ctx, project, environment, p.Spec.Account, p.Spec.Domain, where)
		if err != nil {
			plan.Warnings = append(plan.Warnings, fmt.Sprintf("the records that were set with %s cannot be listed now (%s): they go when they can be reached", p.Spec.Account, plain(err)))
			continue
		}
		for _, record := range w.Records {
			plan.Warnings = append(plan.Warnings, fmt.Sprintf("the record %s goes, at %s", record, p.Spec.Account))
		}
		switch {
		case w.Needs == "":
		case leaving.Consent:
			plan.Warnings = append(plan.Warnings, w.Needs)
		default:
			plan.Warnings = append(plan.Warnings, fmt.Sprintf("%s: they stay until that is consented to (consent, --yes)", w.Needs))
		}
	}
	return nil
}

// RemoveLeaving is Remove, and says what becomes of the domain's records at DNS
// providers.
func (s *Service) RemoveLeaving(ctx context.Context, project, environment, domain string, ifRevision int64, leaving Leaving, cause resource.Cause) error {
	plan, err := s.PlanRemove(ctx, project, environment, domain, ifRevision) // refused: nothing is left or consented to
	if err != nil {
		return err
	}
	list, err := s.placementsOf(ctx, project, environment, plan.Actions[0].Name)
	if err != nil {
		return err
	}
	for _, r := range list {
		if leaving.Leave { // before it is anybody's turn to remove them
			if err := s.forget(ctx, r, fmt.Sprintf("the records of %s stay at their provider", plan.Actions[0].Name), cause); err != nil {
				return err
			}
		}
	}
	if err := s.Remove(ctx, project, environment, domain, ifRevision, cause); err != nil {
		return err
	}
	if leaving.Consent && !leaving.Leave {
		for _, r := range list {
			if err := s.consent(ctx, r.ID); err != nil && !fault.Is(err, fault.NotFound) {
				return err
			}
		}
	}
	return nil
}

// placement returns a placement of a project's environment. Error: NotFound.
func (s *Service) placement(ctx context.Context, project, environment, id string) (resource.Resource, error) {
	r, err := s.Store.Get(ctx, KindPlacement, id)
	if fault.Is(err, fault.NotFound) || err == nil && (r.Project != project || r.Environment != environment) {
		return r, fault.New(fault.NotFound, "there are no such records: they were removed, or left where they are").About("placement " + id)
	}
	return r, err
}

// LeaveRecords lets records that are not wanted any more stay at their provider,
// and forgets them. Errors: NotFound; Stale; Conflict while they are wanted.
func (s *Service) LeaveRecords(ctx context.Context, project, environment, id string, ifRevision int64, cause resource.Cause) error {
	plan, err := s.PlanLeaveRecords(ctx, project, environment, id, ifRevision)
	if err != nil {
		return err
	}
	_, err = s.Store.Commit(ctx, plan.Commit(cause))
	return err
}

// PlanLeaveRecords plans LeaveRecords.
func (s *Service) PlanLeaveRecords(ctx context.Context, project, environment, id string, ifRevision int64) (resource.Plan, error) {
	plan := resource.NewPlan(project, environment)
	r, err := s.unwanted(ctx, project, environment, id)
	if err != nil {
		return plan, err
	}
	if ifRevision != 0 && r.Revision != ifRevision {
		return plan, fault.New(fault.Stale, "it is at revision %d, you saw %d: look again", r.Revision, ifRevision).About("placement " + id)
	}
	p, err := decodePlacement(r)
	if err != nil {
		return plan, err
	}
	plan.Reason = fmt.Sprintf("the records of %s stay at their provider", p.Spec.Domain)
	plan.Delete(r)
	return plan, nil
}

// ConsentToWithdrawal lets records go that are much of their zone, and has them
// tried at once. Errors: NotFound; Conflict while they are wanted.
func (s *Service) ConsentToWithdrawal(ctx context.Context, project, environment, id string) (Placement, error) {
	if _, err := s.unwanted(ctx, project, environment, id); err != nil {
		return Placement{}, err
	}
	if err := s.consent(ctx, id); err != nil {
		return Placement{}, err
	}
	r, err := s.Store.Get(ctx, KindPlacement, id)
	if err != nil {
		return Placement{}, err
	}
	return decodePlacement(r)
}

func (s *Service) unwanted(ctx context.Context, project, environment, id string) (resource.Resource, error) {
	r, err := s.placement(ctx, project, environment, id)
	if err != nil {
		return r, err
	}
	p, err := decodePlacement(r)
	if err != nil {
		return r, err
	}
	if wanted, _, err := s.wanted(ctx, p); err != nil || !wanted {
		return r, err
	}
	return r, fault.New(fault.Conflict, "the domain wants them: remove it, or change its dns, first").About("placement " + id)
}

// consent notes that a placement's records may go, and that it is time.
func (s *Service) consent(ctx context.Context, id string) error {
	return s.changePlacement(ctx, id, func(st *PlacementStatus) { st.Consent, st.NextAt = true, nil })
}

// changePlacement changes a status that user and reconciler both write.
func (s *Service) changePlacement(ctx context.Context, id string, change func(*PlacementStatus)) error {
	_, err := resource.ChangeStatus(ctx, s.Store, KindPlacement, id, func(p *Placement) bool {
		change(&p.Status)
		return true
	})
	return err
}

// forget deletes a placement, and with it all that is known of the records.
func (s *Service) forget(ctx context.Context, r resource.Resource, reason string, cause resource.Cause) error {
	plan := resource.NewPlan(r.Project, r.Environment)
	plan.Reason = reason
	plan.Delete(r)
	cause.Reason = reason
	_, err := s.Store.Commit(ctx, plan.Commit(cause))
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

// turns lets one at a time set or remove records of a name: what removes them has
// looked whether they are wanted, and that must hold to its end.
type turns struct {
	mu   sync.Mutex
	busy map[string]chan struct{}
}

// take waits for a name's turn.
func (t *turns) take(ctx context.Context, name string) (done func(), err error) {
	for {
		t.mu.Lock()
		if t.busy == nil {
			t.busy = map[string]chan struct{}{}
		}
		other, taken := t.busy[name]
		if !taken {
			mine := make(chan struct{})
			t.busy[name] = mine
			t.mu.Unlock()
			return func() {
				t.mu.Lock()
				defer t.mu.Unlock()
				delete(t.busy, name)
				close(mine)
			}, nil
		}
		t.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// retryAfter is what an error asks for, 0 when nothing.
func retryAfter(err error) time.Duration {
	var f *fault.Error
	if errors.As(err, &f) {
		return f.RetryAfter
	}
	return 0
}

// withdrawWait is the wait after so many attempts in vain.
func withdrawWait(attempts int, asked time.Duration) time.Duration {
	wait := withdrawFirst << min(attempts-1, 12)
	return max(min(wait, withdrawMax), asked)
}

func withoutCondition(list []resource.Condition, typ string) []resource.Condition {
	return slices.DeleteFunc(list, func(c resource.Condition) bool { return c.Type == typ })
}
