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
	"strings"
	"time"

	"github.com/edgewright/edgewright/control/certificates"
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
	// Revoke is the reason, of certificates.RevocationReasons, with which the old
	// ones are revoked once others are in their place; "": they are not. Their
	// pinned keys go too.
	Revoke string `json:"revoke,omitempty"`
	Run    State  `json:"run"`
}

// Status is how far a run is.
type Status struct {
	State      State      `json:"state"`
	Total      int        `json:"total"`   // certificates that fitted at its start
	Done       int        `json:"done"`    // replaced
	Running    int        `json:"running"` // asked for, not yet there
	Failing    int        `json:"failing"` // of Running, those whose last attempt failed
	Failed     []string   `json:"failed,omitempty"`
	Revoking   int        `json:"revoking,omitempty"` // replaced, the old one not yet revoked
	Refused    int        `json:"refused,omitempty"`  // of Revoking, those whose last attempt failed
	LastHour   int        `json:"last_hour"`          // replaced in the last full hour
	StartedAt  *time.Time `json:"started_at,omitempty"`
	FinishedAt *time.Time `json:"finished_at,omitempty"`
	ExpectedAt *time.Time `json:"expected_at,omitempty"` // when it will be done at this pace
	// NextMinute is the first of the run's minutes that has not had its turn, so
	// that no restart and no hurry marks twice for the same one.
	NextMinute int        `json:"next_minute,omitempty"`
	HourAt     *time.Time `json:"hour_at,omitempty"` // when HourDone was Done
	HourDone   int        `json:"hour_done,omitempty"`
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
			if _, known := certificates.RevocationReasons[spec.Revoke]; spec.Revoke != "" && !known {
				faults = append(faults, fault.Field{Pointer: "/revoke", Detail: fmt.Sprintf("%q is not a reason", spec.Revoke), Fix: `use "unspecified", "key_compromise", "affiliation_changed", "superseded" or "cessation_of_operation"`})
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

// picker tells which certificates a run is to replace.
type picker struct {
	Selector
	serials map[string]bool
	started time.Time
}

func (s Selector) picker(started time.Time) picker {
	p := picker{s, make(map[string]bool, len(s.Serials)), started}
	for _, serial := range s.Serials {
		p.serials[serial] = true
	}
	return p
}

func (p picker) fits(c certificates.Certificate) bool {
	st := c.Status
	issued := st.IssuedAt
	if issued == nil {
		issued = st.NotBefore
	}
	return st.Generation != "" && st.IssuedType != certificates.TypeCustom && st.IssuedType != certificates.TypeLocal && issued != nil && issued.Before(p.started) &&
		(p.Authority == "" || p.Authority == st.Authority) &&
		(p.Issuer == "" || p.Issuer == st.Issuer) &&
		(p.Project == "" || p.Project == c.Project) &&
		(len(p.serials) == 0 || p.serials[st.Serial]) &&
		(p.IssuedBefore == nil || issued.Before(*p.IssuedBefore)) &&
		(p.IssuedAfter == nil || issued.After(*p.IssuedAfter))
}

// Service holds the use cases of runs. Its methods may be called from any
// goroutine.
type Service struct {
	Options
}

// Options of a Service.
type Options struct {
	Store resource.Store
	Now   func() time.Time // nil: time.Now
	// Room tells how many certificates an hour the CAs' budgets leave to runs, 0:
	// any number; provision.Service.PlannedPerHour does. nil: nobody knows.
	Room func(ctx context.Context) (int, error)
}

// New returns the service.
func New(o Options) *Service {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Service{o}
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
	now := s.Now()
	st := Status{State: Planned}
	pick := spec.Selector.picker(now)
	if err := s.each(ctx, spec.Selector.Project, func(c certificates.Certificate) error {
		if pick.fits(c) {
			st.Total++
		}
		return nil
	}); err != nil {
		return plan, st, err
	}
	at := now.Add(spec.takes(st.Total)).UTC().Truncate(time.Second)
	st.ExpectedAt = &at
	plan.Warnings = append(plan.Warnings, fmt.Sprintf("%d certificates fit; at %d an hour it takes %s", st.Total, spec.PerHour, certificates.Span(spec.takes(st.Total))))
	if s.Room != nil {
		room, err := s.Room(ctx)
		if err != nil {
			return plan, st, err
		}
		if room > 0 && room < spec.PerHour {
			later := now.Add(Spec{PerHour: room}.takes(st.Total)).UTC().Truncate(time.Second)
			st.ExpectedAt = &later
			plan.Warnings = append(plan.Warnings, fmt.Sprintf("the budgets at the CAs leave it about %d an hour, so that it takes %s", room, certificates.Span(Spec{PerHour: room}.takes(st.Total))))
		}
	}
	if spec.Revoke != "" {
		plan.Warnings = append(plan.Warnings, "each old certificate is revoked once another is in its place")
	}
	return plan, st, nil
}

// takes is how long so many need at the pace of a run.
func (s Spec) takes(n int) time.Duration {
	return time.Duration(float64(n) / float64(max(s.PerHour, 1)) * float64(time.Hour)).Round(time.Second)
}

// each calls fn for every certificate, of all projects or one.
func (s *Service) each(ctx context.Context, project string, fn func(certificates.Certificate) error) error {
	for q := (resource.Query{Kind: certificates.Kind, Project: project, Limit: 1000}); ; {
		page, err := s.Store.List(ctx, q)
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
	r, err := s.Store.Get(ctx, Kind, id)
	if err != nil {
		return Run{}, err
	}
	return Decode(r)
}

// List returns a page of runs, in order of ID.
func (s *Service) List(ctx context.Context, limit int, cursor string) ([]Run, string, error) {
	page, err := s.Store.List(ctx, resource.Query{Kind: Kind, PlatformOnly: true, Limit: limit, Cursor: cursor})
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
	r, err := s.Store.Get(ctx, Kind, id)
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

// mustJSON encodes this room's own types, which hold nothing that JSON cannot.
func mustJSON(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic("replacement: " + err.Error())
	}
	return b
}
