package httpedge

import (
	"context"
	"sync"
	"time"

	"github.com/edgewright/edgewright/edge/httpedge/framing"
)

// departure notices that the client of an HTTP/1 request has left while an
// origin is waited for, and ends the request's context. HTTP/2 and 3 do that by
// themselves; net/http would do it for every HTTP/1 request, but hits are
// answered before it matters (see package framing).
type departure struct {
	conn  *framing.Conn
	after time.Duration
	leave context.CancelFunc

	mu   sync.Mutex
	stop func() // ends the watch; nil while there is none
	over bool
}

// watchClient returns the context that ends when the client leaves. A request
// with content is watched when that has come to its end.
func (x *exchange) watchClient() context.Context {
	ctx := x.r.Context()
	if x.conn.http1 == nil {
		return ctx
	}
	d := &departure{conn: x.conn.http1, after: x.s.limits.DepartureDelay}
	ctx, d.leave = context.WithCancel(ctx)
	x.departure = d
	if x.body == nil {
		d.begin()
	} else {
		x.body.atEnd = d.begin
	}
	return ctx
}

func (d *departure) begin() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.over && d.stop == nil {
		d.stop = d.conn.Watch(d.after, d.leave)
	}
}

// end ends the watch. It is called before the handler returns.
func (d *departure) end() {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.over = true
	if d.stop != nil {
		d.stop()
	}
	d.leave()
}
