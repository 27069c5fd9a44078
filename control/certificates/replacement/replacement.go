// Package replacement is the room of mass replacements: planned, throttled runs
// that get many certificates anew, after a CA has lost trust, revoked in bulk, or
// keys have leaked.
//
// Types: Spec (which, how fast, what is wanted), Status (how far), Run (the
// resource of the platform). Use cases: Service.Plan, Run, List, PlanRun. The
// Reconciler marks certificates at the pace of the run; their own reconciliation
// does the rest, within the CA's budget.
package replacement

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/reconcile"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// Kind is the kind of mass replacements; IDs begin with "rpl_".
const Kind resource.Kind = "replacement"

// State is what is wanted of a mass replacement, and where it is.
type State string

// The states of a run. Finished is never wanted, it comes by itself.
const (
	Planned   State = "planned"
	Running   State = "running"
	Paused    State = "paused"
	Cancelled State = "cancelled"
	Finished  State = "finished"
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

// Spec is a planned, throttled run that gets many certificates anew:
// after a CA has lost trust, revoked in bulk, or keys have leaked.
type Spec struct {
	Selector Selector `json:"selector"`
	PerHour  int      `json:"per_hour"`
	Run      State    `json:"run"`
}

// Status is how far a run is.
type Status struct {
	State      State      `json:"state"`
	Total      int        `json:"total"`   // certificates that fitted at its start
	Done       int        `json:"done"`    // replaced
	Running    int        `json:"running"` // asked for, not yet there
	Failing    int        `json:"failing"` // of Running, those whose last attempt failed
	Failed     []string   `json:"failed,omitempty"`
	StartedAt  *time.Time `json:"started_at,omitempty"`
	FinishedAt *time.Time `json:"finished_at,omitempty"`
	ExpectedAt *time.Time `json:"expected_at,omitempty"` // when it will be done at this pace
}

// Run is a run as stored.
type Run = resource.Object[Spec, Status]

// Decode turns a stored resource into a Run.
func Decode(r resource.Resource) (Run, error) {
	run, err := resource.Decode[Spec, Status](r)
	if run.Status.State == "" {
		run.Status.State = Planned
	}
	return run, err
}

const (
	defaultPerHour = 50 // more than half of it would hold up others within Let's Encrypt's limit
	maxPerHour     = 100_000
	tick           = time.Minute
	maxFailedNames = 20
)

// Type is the row of mass replacements in the table of types.
func Type() resource.Type {
	return resource.Type{
		Kind: Kind, Prefix: "rpl", Scope: resource.ScopePlatform,
		Normalize: func(_ string, raw json.RawMessage) (json.RawMessage, error) {
			spec := Spec{PerHour: defaultPerHour, Run: Planned}
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
			case Planned, Running, Paused, Cancelled:
			default:
				faults = append(faults, fault.Field{Pointer: "/run", Detail: fmt.Sprintf("%q is not a state", spec.Run), Fix: "use planned, running, paused or cancelled"})
			}
			return mustJSON(spec), fault.InvalidFields(faults)
		},
	}
}

// fits reports whether a certificate is to be replaced by a run.
func (s Selector) fits(c certificates.Certificate, started time.Time) bool {
	st := c.Status
	issued := st.IssuedAt
	if issued == nil {
		issued = st.NotBefore
	}
	return st.Generation != "" && st.IssuedType != certificates.TypeCustom && st.IssuedType != certificates.TypeLocal && issued != nil && issued.Before(started) &&
		(s.Authority == "" || s.Authority == st.Authority) &&
		(s.Issuer == "" || s.Issuer == st.Issuer) &&
		(s.Project == "" || s.Project == c.Project) &&
		(len(s.Serials) == 0 || slices.Contains(s.Serials, st.Serial)) &&
		(s.IssuedBefore == nil || issued.Before(*s.IssuedBefore)) &&
		(s.IssuedAfter == nil || issued.After(*s.IssuedAfter))
}

// Service holds the use cases of runs. Its methods may be called from any
// goroutine.
type Service struct {
	store resource.Store
	now   func() time.Time
}

// New returns the service; now nil means time.Now.
func New(store resource.Store, now func() time.Time) *Service {
	if now == nil {
		now = time.Now
	}
	return &Service{store, now}
}

// Plan plans a run, which is created without being started. The
// status of what is returned tells how many certificates fit now and how long it
// would take. Errors: Invalid.
func (s *Service) Plan(ctx context.Context, spec Spec) (resource.Plan, Status, error) {
	plan := resource.NewPlan("", "")
	typ := Type()
	if spec.PerHour == 0 {
		spec.PerHour = defaultPerHour
	}
	spec.Run = Planned
	for i, serial := range spec.Selector.Serials {
		spec.Selector.Serials[i] = strings.ToLower(strings.ReplaceAll(serial, ":", ""))
	}
	raw, err := typ.Normalize("", mustJSON(spec))
	if err != nil {
		return plan, Status{}, err
	}
	plan.Create(typ, "", "", "", raw)
	plan.Actions[0].Name = plan.Actions[0].ID
	now := s.now()
	st := Status{State: Planned}
	err = s.each(ctx, spec.Selector.Project, func(c certificates.Certificate) error {
		if spec.Selector.fits(c, now) {
			st.Total++
		}
		return nil
	})
	at := now.Add(spec.takes(st.Total)).UTC().Truncate(time.Second)
	st.ExpectedAt = &at
	plan.Warnings = append(plan.Warnings, fmt.Sprintf("%d certificates fit; at %d an hour it takes %s", st.Total, spec.PerHour, certificates.Span(spec.takes(st.Total))))
	return plan, st, err
}

// takes is how long so many need at the pace of a run.
func (s Spec) takes(n int) time.Duration {
	return time.Duration(float64(n) / float64(max(s.PerHour, 1)) * float64(time.Hour)).Round(time.Second)
}

// each calls fn for every certificate, of all projects or one.
func (s *Service) each(ctx context.Context, project string, fn func(certificates.Certificate) error) error {
	for q := (resource.Query{Kind: certificates.Kind, Project: project, Limit: 1000}); ; {
		page, err := s.store.List(ctx, q)
		if err != nil {
			return err
		}
		for _, r := range page.Items {
			c, err := certificates.Decode(r)
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

// Run returns a run. Errors: NotFound.
func (s *Service) Run(ctx context.Context, id string) (Run, error) {
	r, err := s.store.Get(ctx, Kind, id)
	if err != nil {
		return Run{}, err
	}
	return Decode(r)
}

// List returns a page of runs, in order of ID.
func (s *Service) List(ctx context.Context, limit int, cursor string) ([]Run, string, error) {
	page, err := s.store.List(ctx, resource.Query{Kind: Kind, PlatformOnly: true, Limit: limit, Cursor: cursor})
	if err != nil {
		return nil, "", err
	}
	list := make([]Run, 0, len(page.Items))
	for _, r := range page.Items {
		run, err := Decode(r)
		if err != nil {
			return nil, "", fault.New(fault.Internal, "a stored replacement cannot be read: %w", err).About("replacement " + r.ID)
		}
		list = append(list, run)
	}
	return list, page.Next, nil
}

// PlanRun plans to start, pause, go on with or cancel a run. Errors: NotFound;
// Conflict when it is over.
func (s *Service) PlanRun(ctx context.Context, id string, want State) (resource.Plan, error) {
	plan := resource.NewPlan("", "")
	r, err := s.store.Get(ctx, Kind, id)
	if err != nil {
		return plan, err
	}
	run, err := Decode(r)
	if err != nil {
		return plan, err
	}
	if run.Status.State == Finished || run.Spec.Run == Cancelled {
		return plan, fault.New(fault.Conflict, "it is %s: plan another one", cmp.Or(map[bool]State{true: Cancelled}[run.Spec.Run == Cancelled], run.Status.State)).About("replacement " + id)
	}
	spec := run.Spec
	spec.Run = want
	plan.Update(r, mustJSON(spec))
	return plan, nil
}

// Reconciler carries mass replacements out. Only the holder of the lease may run
// it. It issues nothing by itself: it marks, at the pace of the run, certificates
// whose own reconciliation then gets another within the CA's budget.
type Reconciler struct {
	service *Service
	log     *slog.Logger
}

// NewReconciler returns the reconciler of runs.
func NewReconciler(s *Service, log *slog.Logger) *Reconciler {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Reconciler{s, log}
}

// Kinds implements reconcile.Reconciler.
func (r *Reconciler) Kinds() []resource.Kind { return []resource.Kind{Kind} }

// Reconcile marks the next certificates of a run and counts how far it is.
func (r *Reconciler) Reconcile(ctx context.Context, ref reconcile.Ref) (time.Duration, error) {
	stored, err := r.service.store.Get(ctx, Kind, ref.ID)
	if fault.Is(err, fault.NotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	run, err := Decode(stored)
	if err != nil {
		return 0, err
	}
	st := run.Status
	if st.State == Finished || run.Spec.Run == Planned || run.Spec.Run == Cancelled && st.State == Cancelled {
		return 0, nil
	}
	now := r.service.now().UTC().Truncate(time.Second)
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
	if run.Spec.Run == Cancelled {
		for _, c := range marked {
			if err := r.mark(ctx, c.ID, ref.ID, ""); err != nil {
				return 0, err
			}
		}
		marked = nil
	}
	if run.Spec.Run == Running {
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
	if st.ExpectedAt = &expected; len(todo) == 0 && run.Spec.Run == Running {
		st.State, st.FinishedAt, st.ExpectedAt = Finished, &now, nil
		r.log.Info("a mass replacement is finished", "replacement", ref.ID, "certificates", st.Total)
	}
	if run.Spec.Run != Running {
		st.ExpectedAt = nil
	}
	_, err = r.service.store.PutStatus(ctx, Kind, ref.ID, mustJSON(st), 0)
	if err != nil || st.State != Running {
		return 0, err
	}
	return tick, nil
}

// turn spreads a slow run over the hour: n of its 60 minutes have their turn.
func (r *Reconciler) turn(run Run, now time.Time) bool {
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
func (r *Reconciler) scan(ctx context.Context, run Run, started time.Time) (todo, marked []certificates.Certificate, err error) {
	err = r.service.each(ctx, run.Spec.Selector.Project, func(c certificates.Certificate) error {
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
	slices.SortStableFunc(todo, func(a, b certificates.Certificate) int { return a.Status.NotAfter.Compare(*b.Status.NotAfter) })
	return todo, marked, err
}

// mark sets whose run a certificate belongs to, if it is still as seen.
func (r *Reconciler) mark(ctx context.Context, id, from, to string) error {
	for {
		stored, err := r.service.store.Get(ctx, certificates.Kind, id)
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		c, err := certificates.Decode(stored)
		if err != nil || c.Status.Replacement != from {
			return err
		}
		c.Status.Replacement = to
		_, err = r.service.store.PutStatus(ctx, certificates.Kind, id, mustJSON(c.Status), stored.Seq)
		if !fault.Is(err, fault.Stale) {
			return err
		}
	}
}

// mustJSON encodes this room's own types, which hold nothing that JSON cannot.
func mustJSON(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic("replacement: " + err.Error())
	}
	return b
}
