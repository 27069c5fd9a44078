package agent

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/edgewright/edgewright/edgeconfig"
)

// Prober is a Node that can look at how certificates are served, by itself or by
// another edge, as a client would. Each call looks at the next few.
type Prober interface {
	Probe(ctx context.Context, peer *edgeconfig.Peer) edgeconfig.ProbeReport
}

// Of looking at how certificates are served.
const (
	defaultProbe = 10 * time.Second
	probeWithin  = 2 * time.Minute // one round
)

// prober looks in a goroutine of its own: a round takes as long as it takes.
type prober struct {
	cancel context.CancelFunc
	ended  chan struct{}
	told   map[toldOf]told
}

// What was told is kept, for a control plane that starts anew has heard none of it.
// A look counts there for toldCounts.
const (
	maxTold    = 20_000
	toldCounts = 3 * time.Hour
)

type toldOf struct {
	certificate string
	self        bool
}

type told struct {
	target string
	at     time.Time
	served edgeconfig.Served
}

// remember keeps what is told; of the peers, what was told last.
func (p *prober) remember(self string, report edgeconfig.ProbeReport, now time.Time) {
	for _, s := range report.Served {
		of := toldOf{s.Certificate, report.Target == self}
		if _, had := p.told[of]; !had && len(p.told) >= maxTold {
			if p.forget(now); len(p.told) >= maxTold {
				return
			}
		}
		p.told[of] = told{report.Target, now, s}
	}
}

// forget drops what counts no longer.
func (p *prober) forget(now time.Time) {
	maps.DeleteFunc(p.told, func(_ toldOf, t told) bool { return now.Sub(t.at) > toldCounts })
}

// again makes the reports that tell all of it once more.
func (p *prober) again(self string, now time.Time) []edgeconfig.ProbeReport {
	p.forget(now)
	of := map[string][]edgeconfig.Served{}
	for _, t := range p.told {
		t.served.Age = max(int64(now.Sub(t.at)/time.Second), 1)
		of[t.target] = append(of[t.target], t.served)
	}
	var reports []edgeconfig.ProbeReport
	for target, list := range of {
		for part := range slices.Chunk(list, edgeconfig.MaxServed) {
			reports = append(reports, edgeconfig.ProbeReport{Target: target, At: now.UTC(), Served: part})
		}
	}
	return append(reports, edgeconfig.ProbeReport{Target: self, At: now.UTC(), Again: true})
}

func (a *agent) startProber() {
	node, can := a.node.(Prober)
	if !can {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	a.prober = &prober{cancel, make(chan struct{}), map[toldOf]told{}}
	go func() {
		defer close(a.prober.ended)
		timer := time.NewTimer(jitter(a.o.ProbeEvery))
		defer timer.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-timer.C:
			}
			if a.conn.IsConnected() { // else nobody would hear of it
				a.probe(ctx, node)
			}
			timer.Reset(a.o.ProbeEvery - a.o.ProbeEvery/10 + jitter(a.o.ProbeEvery/5))
		}
	}()
}

func (p *prober) stop() {
	if p != nil {
		p.cancel()
		<-p.ended
	}
}

// probe is one round: look at ourselves, tell, look at the peer that the answer
// names, tell; and tell again what was told before, when the answer asks for it.
func (a *agent) probe(ctx context.Context, node Prober) {
	ctx, cancel := context.WithTimeout(ctx, probeWithin)
	defer cancel()
	reply := a.look(ctx, node, nil)
	if reply.Again {
		for _, report := range a.prober.again(a.id.Edge, a.now()) {
			if _, err := a.tell(ctx, report); err != nil {
				break // the next answer asks again
			}
		}
	}
	if reply.Peer != nil && reply.Peer.Address != "" {
		a.look(ctx, node, reply.Peer)
	}
}

func (a *agent) look(ctx context.Context, node Prober, peer *edgeconfig.Peer) (reply edgeconfig.ProbeReply) {
	report := node.Probe(ctx, peer)
	if len(report.Served) == 0 {
		return reply
	}
	if report.Target == "" {
		report.Target = a.id.Edge
	}
	a.prober.remember(a.id.Edge, report, a.now())
	reply, _ = a.tell(ctx, report)
	return reply
}

func (a *agent) tell(ctx context.Context, report edgeconfig.ProbeReport) (reply edgeconfig.ProbeReply, err error) {
	report.Edge = a.id.Edge
	data, err := json.Marshal(report)
	if err != nil {
		return reply, err
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	answer, err := a.conn.RequestWithContext(ctx, edgeconfig.SubjectUpOf(a.id.Edge, "probe"), data)
	if err != nil {
		a.log.Debug("nobody hears how certificates are served", "error", err)
		return reply, err
	}
	_ = json.Unmarshal(answer.Data, &reply) // without a peer the next round asks again
	return reply, nil
}
