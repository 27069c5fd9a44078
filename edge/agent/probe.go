package agent

import (
	"context"
	"encoding/json"
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
}

func (a *agent) startProber() {
	node, can := a.node.(Prober)
	if !can {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	a.prober = &prober{cancel, make(chan struct{})}
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
// names, tell.
func (a *agent) probe(ctx context.Context, node Prober) {
	ctx, cancel := context.WithTimeout(ctx, probeWithin)
	defer cancel()
	reply := a.tell(ctx, node.Probe(ctx, nil))
	if reply.Peer != nil && reply.Peer.Address != "" {
		a.tell(ctx, node.Probe(ctx, reply.Peer))
	}
}

func (a *agent) tell(ctx context.Context, report edgeconfig.ProbeReport) (reply edgeconfig.ProbeReply) {
	if len(report.Served) == 0 {
		return reply
	}
	report.Edge = a.id.Edge
	if report.Target == "" {
		report.Target = a.id.Edge
	}
	data, err := json.Marshal(report)
	if err != nil {
		return reply
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	answer, err := a.conn.RequestWithContext(ctx, edgeconfig.SubjectUpOf(a.id.Edge, "probe"), data)
	if err != nil {
		a.log.Debug("nobody hears how certificates are served", "error", err)
		return reply
	}
	_ = json.Unmarshal(answer.Data, &reply) // without a peer the next round asks again
	return reply
}
