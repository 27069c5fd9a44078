package certificates

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/edgewright/edgewright/control/reconcile"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// KindReplacement is the kind of mass replacements; IDs begin with "rpl_".
const KindReplacement resource.Kind = "replacement"

// RunState is what is wanted of a mass replacement, and where it is.
type RunState string

// The states of a run. Finished is never wanted, it comes by itself.
const (
	RunPlanned   RunState = "planned"
	RunRunning   RunState = "running"
	RunPaused    RunState = "paused"
	RunCancelled RunState = "cancelled"
	RunFinished  RunState = "finished"
)

// Selector says which certificates are to be replaced: those that fit all that
// is set. Only issued ones are; uploaded ones are their owners'.
type Selector struct {
	Authority    string     `json:"authority,omitempty"` // the CA by its name here
	Issuer       string     `json:"issuer,omitempty"`    // common name of who signed
	Project      string     `json:"project_id,omitempty"`
	Serials      []string   `json:"serials,omitempty"` // lower-case hex
	IssuedBefore *time.Time `json:"issued_before,omitempty"`
	IssuedAfter  *time.Time `json:"issued_after,omitempty"`
	All          bool       `json:"all,omitempty"` // has to be said when nothing else is
}

// ReplacementSpec is a planned, throttled run that gets many certificates anew:
// after a CA has lost trust, revoked in bulk, or keys have leaked.
type ReplacementSpec struct {
	Selector Selector `json:"selector"`
	PerHour  int      `json:"per_hour"`
	Run      RunState `json:"run"`
}

// ReplacementStatus is how far a run is.
type ReplacementStatus struct {
	State      RunState   `json:"state"`
	Total      int        `json:"total"`   // certificates that fitted at its start
	Done       int        `json:"done"`    // replaced
	Running    int        `json:"running"` // asked for, not yet there
	Failing    int        `json:"failing"` // of Running, those whose last attempt failed
	Failed     []string   `json:"failed,omitempty"`
	StartedAt  *time.Time `json:"started_at,omitempty"`
	FinishedAt *time.Time `json:"finished_at,omitempty"`
	ExpectedAt *time.Time `json:"expected_at,omitempty"` // when it will be done at this pace
}

// Replacement is a run as stored.
type Replacement = resource.Object[ReplacementSpec, ReplacementStatus]

// DecodeReplacement turns a stored resource into a Replacement.
func DecodeReplacement(r resource.Resource) (Replacement, error) {
	run, err := resource.Decode[ReplacementSpec, ReplacementStatus](r)
	if run.Status.State == "" {
		run.Status.State = RunPlanned
	}
	return run, err
}

const (
	defaultPerHour = 50 // more than half of it would hold up others within Let's Encrypt's limit
	maxPerHour     = 100_000
	tick           = time.Minute
	maxFailedNames = 20
)

// ReplacementType is the row of mass replacements in the table of types.
func ReplacementType() resource.Type {
	return resource.Type{
		Kind: KindReplacement, Prefix: "rpl", Scope: resource.ScopePlatform,
		Normalize: func(_ string, raw json.RawMessage) (json.RawMessage, error) {
			spec := ReplacementSpec{PerHour: defaultPerHour, Run: RunPlanned}
			if err := resource.DecodeSpec(raw, &spec); err != nil {
				return nil, err
			}
			var faults []fault.Field
			s := spec.Selector
			if !s.All && s.Authority+s.Issuer+s.Project == "" && len(s.Serials) == 0 && s.IssuedBefore == nil && s.IssuedAfter == nil {
				faults = append(faults, fault.Field{Pointer: "/selector", Detail: "nothing is selected", Fix: `say which, or "all": true`})
			}
			if spec.PerHour < 1 || spec.PerHour > maxPerHour {
				faults = append(faults, fault.Field{Pointer: "/per_hour", Detail: fmt.Sprintf("it is a number from 1 to %d", maxPerHour), Fix: fmt.Sprintf("the default is %d", defaultPerHour)})
			}
			switch spec.Run {
			case RunPlanned, RunRunning, RunPaused, RunCancelled:
			default:
				faults = append(faults, fault.Field{Pointer: "/run", Detail: fmt.Sprintf("%q is not a state", spec.Run), Fix: "use planned, running, paused or cancelled"})
			}
			return mustJSON(spec), fault.InvalidFields(faults)
		},
	}
}

// fits reports whether a certificate is to be replaced by a run.
func (s Selector) fits(c Certificate, started time.Time) bool {
	st := c.Status
	issued := st.IssuedAt
	if issued == nil {
		issued = st.NotBefore
	}
	return st.Generation != "" && st.IssuedType != TypeCustom && st.IssuedType != TypeLocal && issued != nil && issued.Before(started) &&
		(s.Authority == "" || s.Authority == st.Authority) &&
		(s.Issuer == "" || s.Issuer == st.Issuer) &&
		(s.Project == "" || s.Project == c.Project) &&
		(len(s.Serials) == 0 || slices.Contains(s.Serials, st.Serial)) &&
		(s.IssuedBefore == nil || issued.Before(*s.IssuedBefore)) &&
		(s.IssuedAfter == nil || issued.After(*s.IssuedAfter))
}

// PlanReplacement plans a run, which is created without being started. The
// status of what is returned tells how many certificates fit now and how long it
// would take. Errors: Invalid.
func (s *Service) PlanReplacement(ctx context.Context, spec ReplacementSpec) (resource.Plan, ReplacementStatus, error) {
	plan := resource.NewPlan("", "")
	typ := ReplacementType()
	if spec.PerHour == 0 {
		spec.PerHour = defaultPerHour
	}
	spec.Run = RunPlanned
	for i, serial := range spec.Selector.Serials {
		spec.Selector.Serials[i] = strings.ToLower(strings.ReplaceAll(serial, ":", ""))
	}
	raw, err := typ.Normalize("", mustJSON(spec))
	if err != nil {
		return plan, ReplacementStatus{}, err
	}
	plan.Create(typ, "", "", "", raw)
	plan.Actions[0].Name = plan.Actions[0].ID
	now := s.Now()
	st := ReplacementStatus{State: RunPlanned}
	err = s.each(ctx, spec.Selector.Project, func(c Certificate) error {
		if spec.Selector.fits(c, now) {
			st.Total++
		}
		return nil
	})
	at := now.Add(spec.takes(st.Total)).UTC().Truncate(time.Second)
	st.ExpectedAt = &at
	plan.Warnings = append(plan.Warnings, fmt.Sprintf("%d certificates fit; at %d an hour it takes %s", st.Total, spec.PerHour, span(spec.takes(st.Total))))
	return plan, st, err
}

// takes is how long so many need at the pace of a run.
func (s ReplacementSpec) takes(n int) time.Duration {
	return time.Duration(float64(n) / float64(max(s.PerHour, 1)) * float64(time.Hour)).Round(time.Second)
}

// each calls fn for every certificate, of all projects or one.
func (s *Service) each(ctx context.Context, project string, fn func(Certificate) error) error {
	for q := (resource.Query{Kind: Kind, Project: project, Limit: 1000}); ; {
		page, err := s.Store.List(ctx, q)
		if err != nil {
			return err
		}
		for _, r := range page.Items {
			c, err := decode(r)
			if err != nil {
				return err
			}
			if err := fn(c); err != nil {
				return err
			}
		}
		if page.Next == "" {
			return nil
		}
		q.Cursor = page.Next
	}
}

// Replacement returns a run. Errors: NotFound.
func (s *Service) Replacement(ctx context.Context, id string) (Replacement, error) {
	r, err := s.Store.Get(ctx, KindReplacement, id)
	if err != nil {
		return Replacement{}, err
	}
	return DecodeReplacement(r)
}

// Replacements returns a page of runs, in order of ID.
func (s *Service) Replacements(ctx context.Context, limit int, cursor string) ([]Replacement, string, error) {
	page, err := s.Store.List(ctx, resource.Query{Kind: KindReplacement, PlatformOnly: true, Limit: limit, Cursor: cursor})
	if err != nil {
		return nil, "", err
	}
	list := make([]Replacement, 0, len(page.Items))
	for _, r := range page.Items {
		run, err := DecodeReplacement(r)
		if err != nil {
			return nil, "", fault.New(fault.Internal, "a stored replacement cannot be read: %w", err).About("replacement " + r.ID)
		}
		list = append(list, run)
	}
	return list, page.Next, nil
}

// PlanRun plans to start, pause, go on with or cancel a run. Errors: NotFound;
// Conflict when it is over.
func (s *Service) PlanRun(ctx context.Context, id string, want RunState) (resource.Plan, error) {
	plan := resource.NewPlan("", "")
	r, err := s.Store.Get(ctx, KindReplacement, id)
	if err != nil {
		return plan, err
	}
	run, err := DecodeReplacement(r)
	if err != nil {
		return plan, err
	}
	if run.Status.State == RunFinished || run.Spec.Run == RunCancelled {
		return plan, fault.New(fault.Conflict, "it is %s: plan another one", cmp.Or(map[bool]RunState{true: RunCancelled}[run.Spec.Run == RunCancelled], run.Status.State)).About("replacement " + id)
	}
	spec := run.Spec
	spec.Run = want
	plan.Update(r, mustJSON(spec))
	return plan, nil
}

// Replacer carries mass replacements out. Only the holder of the lease may run
// it. It issues nothing by itself: it marks, at the pace of the run, certificates
// whose own reconciliation then gets another within the CA's budget.
type Replacer struct {
	service *Service
	log     *slog.Logger
}

// NewReplacer returns the reconciler of runs.
func NewReplacer(s *Service, log *slog.Logger) *Replacer {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Replacer{s, log}
}

// Kinds implements reconcile.Reconciler.
func (r *Replacer) Kinds() []resource.Kind { return []resource.Kind{KindReplacement} }

// Reconcile marks the next certificates of a run and counts how far it is.
func (r *Replacer) Reconcile(ctx context.Context, ref reconcile.Ref) (time.Duration, error) {
	stored, err := r.service.Store.Get(ctx, KindReplacement, ref.ID)
	if fault.Is(err, fault.NotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	run, err := DecodeReplacement(stored)
	if err != nil {
		return 0, err
	}
	st := run.Status
	if st.State == RunFinished || run.Spec.Run == RunPlanned || run.Spec.Run == RunCancelled && st.State == RunCancelled {
		return 0, nil
	}
	now := r.service.Now().UTC().Truncate(time.Second)
	first := st.StartedAt == nil
	if first {
		st.StartedAt = &now
	}
	todo, marked, err := r.scan(ctx, run, *st.StartedAt)
	if err != nil {
		return 0, err
	}
	if first {
		st.Total = len(todo)
	}
	st.State = run.Spec.Run
	if run.Spec.Run == RunCancelled {
		for _, c := range marked {
			if err := r.mark(ctx, c.ID, ref.ID, ""); err != nil {
				return 0, err
			}
		}
		marked = nil
	}
	if run.Spec.Run == RunRunning {
		// What is asked for and fails waits for its own backoff and holds no other
		// up; what is on its way does.
		room := max(run.Spec.PerHour/60, 1)
		busy := 0
		for _, c := range marked {
			if c.Status.Failures == 0 {
				busy++
			}
		}
		room = min(room, max(room*10-busy, 0))
		if run.Spec.PerHour < 60 && !r.turn(run, now) {
			room = 0
		}
		for _, c := range todo {
			if room == 0 {
				break
			}
			if c.Status.Replacement != "" {
				continue
			}
			if err := r.mark(ctx, c.ID, "", ref.ID); err != nil {
				return 0, err
			}
			marked = append(marked, c)
			room--
		}
	}
	st.Done, st.Running, st.Failing, st.Failed = max(st.Total-len(todo), 0), len(marked), 0, nil
	for _, c := range marked {
		if c.Status.Failures > 0 && c.Status.LastError != nil {
			st.Failing++
			if len(st.Failed) < maxFailedNames {
				st.Failed = append(st.Failed, c.Name)
			}
		}
	}
	expected := now.Add(run.Spec.takes(len(todo)))
	if st.ExpectedAt = &expected; len(todo) == 0 && run.Spec.Run == RunRunning {
		st.State, st.FinishedAt, st.ExpectedAt = RunFinished, &now, nil
		r.log.Info("a mass replacement is finished", "replacement", ref.ID, "certificates", st.Total)
	}
	if run.Spec.Run != RunRunning {
		st.ExpectedAt = nil
	}
	_, err = r.service.Store.PutStatus(ctx, KindReplacement, ref.ID, mustJSON(st), 0)
	if err != nil || st.State != RunRunning {
		return 0, err
	}
	return tick, nil
}

// turn spreads a slow run over the hour: n of its 60 minutes have their turn.
func (r *Replacer) turn(run Replacement, now time.Time) bool {
	minute := int(now.Sub(*cmpTime(run.Status.StartedAt, &now)) / time.Minute)
	n := run.Spec.PerHour
	return minute*n/60 != (minute-1)*n/60 || minute == 0
}

func cmpTime(a, b *time.Time) *time.Time {
	if a != nil {
		return a
	}
	return b
}

// scan lists what is still to be replaced, what expires first before the rest,
// and which of it is marked already.
func (r *Replacer) scan(ctx context.Context, run Replacement, started time.Time) (todo, marked []Certificate, err error) {
	err = r.service.each(ctx, run.Spec.Selector.Project, func(c Certificate) error {
		if !run.Spec.Selector.fits(c, started) {
			return nil
		}
		c.Status.Events, c.Status.Staple = nil, nil // thousands are held at once
		todo = append(todo, c)
		if c.Status.Replacement == run.ID {
			marked = append(marked, c)
		}
		return nil
	})
	slices.SortStableFunc(todo, func(a, b Certificate) int { return a.Status.NotAfter.Compare(*b.Status.NotAfter) })
	return todo, marked, err
}

// mark sets whose run a certificate belongs to, if it is still as seen.
func (r *Replacer) mark(ctx context.Context, id, from, to string) error {
	for {
		stored, err := r.service.Store.Get(ctx, Kind, id)
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		c, err := decode(stored)
		if err != nil || c.Status.Replacement != from {
			return err
		}
		c.Status.Replacement = to
		_, err = r.service.Store.PutStatus(ctx, Kind, id, mustJSON(c.Status), stored.Seq)
		if !fault.Is(err, fault.Stale) {
			return err
		}
	}
}
