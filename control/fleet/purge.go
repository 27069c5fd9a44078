package fleet

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// Bounds of purges.
const (
	maxPurgePaths  = 1000
	maxPurgeBytes  = 256 << 10 // of one purge's JSON
	maxPurgeSites  = 10_000
	keepPurges     = 10_000 // numbers that an edge which was away can ask for; beyond, it drops everything
	forgetEvery    = 1000
	maxPurgeRuns   = 64 // not finished and followed edge by edge
	maxPurgeStates = 1024
	purgesPerReply = 500
	// purgeAgain is how long no edge must have reported before a purge is sent
	// once more to those that have not: the message may be lost, and the manifest
	// may be seconds away.
	purgeAgain = time.Second
)

// purges follows purges until every edge that was connected has reported.
type purges struct {
	now func() time.Time

	mu     sync.Mutex
	runs   []*purgeRun           // not finished, oldest first
	states map[string]PurgeState // finished or given up on, by ID
	order  []string
	added  int
}

type purgeRun struct {
	state    PurgeState
	waiting  map[string]struct{} // connected edges that have not reported
	away     map[string]struct{}
	reported map[string]struct{}
	done     chan struct{} // closed when nobody is waited for
	save     func(PurgeState)
}

func newPurges(now func() time.Time) *purges {
	return &purges{now: now, states: map[string]PurgeState{}}
}

// Purge numbers, signs, records and publishes a purge and waits until all
// connected edges have acknowledged it or ctx ends, which is no error: the
// state then is pending and names who is missing. Edges that are away catch up
// before anything else when they come back. Errors: Invalid, TooLarge,
// Unavailable.
func (f *Fleet) Purge(ctx context.Context, r PurgeRequest) (PurgeState, error) {
	b := f.bus()
	if b == nil {
		return PurgeState{}, errNotStarted
	}
	if err := r.validate(); err != nil {
		return PurgeState{}, err
	}
	signer := f.keys().signer()
	var data []byte
	p, err := f.options.Purges.AddPurge(ctx, func(seq int64) (edgeconfig.Purge, error) {
		p := edgeconfig.Purge{
			Seq: seq, ID: resource.NewID("prg"), Project: r.Project, Environment: r.Environment,
			Sites: r.Sites, Paths: r.Paths, All: r.All, At: f.now().UTC().Truncate(time.Microsecond),
		}
		p.Sign(signer)
		var err error
		if data, err = json.Marshal(p); err == nil && len(data) > maxPurgeBytes {
			err = fault.New(fault.TooLarge, "the purge would have %d bytes, the bound is %d: purge fewer paths at once, or a prefix like /img/*", len(data), maxPurgeBytes)
		}
		return p, err
	})
	if err != nil {
		return PurgeState{}, err
	}
	connected, away := f.registry.split()
	run := f.purges.begin(p, connected, away, f.savePurge)
	if err := b.conn.Publish(edgeconfig.SubjectPurge, data); err != nil {
		f.log.Warn("purge not sent; edges will fetch it", "purge", p.ID, "error", err)
	}
	if f.purges.forgetNow() {
		f.running.Go(func() { f.forgetPurges() })
	}
	again := time.NewTicker(purgeAgain)
	defer again.Stop()
	for missing := len(connected) + 1; ; {
		select {
		case <-run.done:
			return f.purges.state(run), nil
		case <-ctx.Done():
			return f.purges.state(run), nil
		case <-again.C:
			// Silence is only noticed by looking; and the message may be lost.
			waiting := slices.DeleteFunc(f.purges.waitingOf(run), func(edge string) bool {
				away := f.registry.away(edge)
				if away {
					f.purges.gone(edge)
				}
				return away
			})
			// While reports still come, a fleet is busy with what it was sent, and
			// more would only keep it longer.
			quiet := len(waiting) == missing
			if missing = len(waiting); !quiet {
				continue
			}
			for _, edge := range waiting {
				if err := b.conn.Publish(edgeconfig.SubjectPurgeTo(edge), data); err != nil {
					f.log.Warn("purge not sent again", "purge", p.ID, "edge", edge, "error", err)
				}
			}
		}
	}
}

func (r *PurgeRequest) validate() error {
	switch {
	case r.Project == "" || r.Environment == "":
		return fault.New(fault.Invalid, "a purge needs a project and an environment")
	case !r.All && len(r.Paths) == 0:
		return fault.InvalidField("/paths", "nothing to purge", "name paths, or set purge_all")
	case r.All && len(r.Paths) > 0:
		return fault.InvalidField("/paths", "paths and purge_all exclude each other", "leave one of them out")
	case len(r.Paths) > maxPurgePaths:
		return &fault.Error{Code: fault.TooLarge, Message: "at most 1000 paths can be purged at once: purge in parts, or a prefix like /img/*"}
	case len(r.Sites) > maxPurgeSites:
		return &fault.Error{Code: fault.TooLarge, Message: "too many sites for one purge: leave them out to purge the whole environment"}
	}
	return nil
}

// PurgeState tells how far a purge has come. Error: NotFound.
func (f *Fleet) PurgeState(ctx context.Context, id string) (PurgeState, error) {
	if s, known := f.purges.byID(id); known {
		return s, nil
	}
	p, outcome, err := f.options.Purges.PurgeByID(ctx, id)
	if err != nil {
		return PurgeState{}, err
	}
	s := PurgeState{ID: p.ID, Seq: p.Seq, State: PurgePending, Project: p.Project, Environment: p.Environment, At: p.At}
	if len(outcome) > 0 {
		if err := json.Unmarshal(outcome, &s); err != nil {
			return PurgeState{}, fault.New(fault.Internal, "the outcome of purge %s cannot be read: %w", id, err)
		}
		return s, nil
	}
	// Nobody followed it to its end: the control plane was restarted. What edges
	// say of themselves decides.
	for _, e := range f.registry.list() {
		switch {
		case e.PurgeSeq >= p.Seq:
			s.Edges++
			s.Acknowledged++
		case e.Connected:
			s.Edges++
			s.Missing = named(s.Missing, e.ID)
		default:
			s.Away = named(s.Away, e.ID)
		}
	}
	if s.Acknowledged == s.Edges && s.Edges > 0 {
		s.State = PurgeAcknowledged
	}
	return s, nil
}

func (f *Fleet) purgeReported(edge string, seq int64, count int) { f.purges.report(edge, seq, count) }

// savePurge keeps and announces the end of a purge.
func (f *Fleet) savePurge(s PurgeState) {
	f.hub.publish(Event{Type: EventPurge, Purge: &s})
	outcome, err := json.Marshal(s)
	if err != nil {
		return
	}
	f.running.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), serveWithin)
		defer cancel()
		if err := f.options.Purges.SavePurgeOutcome(ctx, s.Seq, outcome); err != nil {
			f.log.Warn("outcome of a purge not kept", "purge", s.ID, "error", err)
		}
	})
}

func (f *Fleet) forgetPurges() {
	ctx, cancel := context.WithTimeout(context.Background(), serveWithin)
	defer cancel()
	if err := f.options.Purges.ForgetPurges(ctx, keepPurges); err != nil {
		f.log.Warn("old purges not forgotten", "error", err)
	}
}

// purgesSince answers an edge that has missed numbers.
func (f *Fleet) purgesSince(ctx context.Context, since int64) (edgeconfig.Purges, error) {
	list, oldest, last, err := f.options.Purges.PurgesSince(ctx, since, purgesPerReply)
	if err != nil {
		return edgeconfig.Purges{}, err
	}
	if since > last {
		// It knows more than the record does, which was restored from a backup:
		// the numbers it has seen mean other purges now.
		return edgeconfig.Purges{Purges: []edgeconfig.Purge{}, Gap: true, Last: last}, nil
	}
	if oldest > since+1 {
		return edgeconfig.Purges{Purges: []edgeconfig.Purge{}, Gap: true, Last: last}, nil
	}
	size, fits := 0, 0
	for _, p := range list {
		encoded, err := json.Marshal(p)
		if err != nil {
			return edgeconfig.Purges{}, err
		}
		if size += len(encoded); size > maxReplyBytes {
			break
		}
		fits++
	}
	return edgeconfig.Purges{Purges: list[:fits:fits], Last: last}, nil
}

func (p *purges) begin(purge edgeconfig.Purge, connected, away []string, save func(PurgeState)) *purgeRun {
	run := &purgeRun{
		state: PurgeState{
			ID: purge.ID, Seq: purge.Seq, State: PurgePending, Project: purge.Project, Environment: purge.Environment,
			Edges: len(connected), At: purge.At,
		},
		waiting: setOf(connected), away: setOf(away), reported: map[string]struct{}{},
		done: make(chan struct{}), save: save,
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.added++
	p.runs = append(p.runs, run)
	p.settle(run)
	if len(p.runs) > maxPurgeRuns {
		oldest := p.runs[0]
		p.runs = p.runs[1:]
		p.keep(oldest.describe())
	}
	return run
}

// report takes in what an edge removed.
func (p *purges) report(edge string, seq int64, count int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, run := range slices.Clone(p.runs) {
		if run.state.Seq == seq {
			p.acknowledge(run, edge, count)
		}
	}
}

// caughtUp takes in that an edge has seen all numbers up to seq.
func (p *purges) caughtUp(edge string, seq int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, run := range slices.Clone(p.runs) {
		if run.state.Seq <= seq {
			p.acknowledge(run, edge, 0)
		}
	}
}

// gone takes in that an edge is not connected any more.
func (p *purges) gone(edge string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, run := range slices.Clone(p.runs) {
		if _, waits := run.waiting[edge]; waits {
			delete(run.waiting, edge)
			run.away[edge] = struct{}{}
			run.state.Edges--
			p.settle(run)
		}
	}
}

func (p *purges) acknowledge(run *purgeRun, edge string, count int) {
	if _, already := run.reported[edge]; already {
		return
	}
	if _, waits := run.waiting[edge]; waits {
		delete(run.waiting, edge)
	} else {
		delete(run.away, edge)
		run.state.Edges++ // it came back in time
	}
	run.reported[edge] = struct{}{}
	run.state.Count += max(count, 0)
	run.state.Acknowledged++
	p.settle(run)
}

// settle ends a run when nobody is waited for.
func (p *purges) settle(run *purgeRun) {
	if len(run.waiting) > 0 || run.state.State == PurgeAcknowledged {
		return
	}
	run.state.State = PurgeAcknowledged
	run.state.DoneAt = p.now().UTC()
	p.runs = slices.DeleteFunc(p.runs, func(r *purgeRun) bool { return r == run })
	s := run.describe()
	run.waiting, run.away, run.reported = nil, nil, nil
	run.state = s
	p.keep(s)
	run.save(s)
	close(run.done)
}

func (p *purges) keep(s PurgeState) {
	p.states[s.ID] = s
	p.order = append(p.order, s.ID)
	for len(p.order) > maxPurgeStates {
		delete(p.states, p.order[0])
		p.order = p.order[1:]
	}
}

func (p *purges) state(run *purgeRun) PurgeState {
	p.mu.Lock()
	defer p.mu.Unlock()
	return run.describe()
}

func (p *purges) waitingOf(run *purgeRun) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Keys(run.waiting))
}

func (p *purges) byID(id string) (PurgeState, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, run := range p.runs {
		if run.state.ID == id {
			return run.describe(), true
		}
	}
	s, known := p.states[id]
	// One that was given up on is answered from what edges say now.
	return s, known && s.State == PurgeAcknowledged
}

// forgetNow tells, every forgetEvery purges, that the log should be trimmed.
func (p *purges) forgetNow() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.added%forgetEvery == 0
}

func (run *purgeRun) describe() PurgeState {
	s := run.state
	if s.State == PurgeAcknowledged && run.waiting == nil {
		return s
	}
	s.Missing, s.Away = firstOf(run.waiting), firstOf(run.away)
	return s
}

func setOf(list []string) map[string]struct{} {
	set := make(map[string]struct{}, len(list))
	for _, s := range list {
		set[s] = struct{}{}
	}
	return set
}

// firstOf lists at most maxNamed of a set, in order.
func firstOf(set map[string]struct{}) []string {
	list := slices.Sorted(maps.Keys(set))
	return list[:min(len(list), maxNamed)]
}

func named(list []string, id string) []string {
	if len(list) < maxNamed {
		list = append(list, id)
	}
	return list
}
