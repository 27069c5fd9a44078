package agent

import (
	"context"
	"encoding/json"

	"github.com/edgewright/edgewright/edgeconfig"
)

// startListener passes notices of primaries on until the returned function is
// called. What comes while the bus is away is lost: the control plane looks by
// itself in time.
func (a *agent) startListener() (stop func()) {
	node, can := a.node.(Listener)
	if !can {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		notices := node.Notices()
		for {
			select {
			case <-ctx.Done():
				return
			case n := <-notices:
				data, err := json.Marshal(n)
				if err != nil || !a.conn.IsConnected() {
					continue
				}
				if err := a.conn.Publish(edgeconfig.SubjectUpOf(a.id.Edge, "notice"), data); err != nil {
					a.log.Debug("a notice of a primary is lost", "zone", n.Zone, "error", err)
				}
			}
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}
