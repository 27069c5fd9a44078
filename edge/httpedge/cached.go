package httpedge

import (
	"net/http"

	"github.com/edgewright/edgewright/edge/cache"
	"github.com/edgewright/edgewright/edge/telemetry"
)

// lookup asks the cache. A fresh hit that needs no more thought is answered from
// its stored header; the rest goes forward.
func (x *exchange) lookup() bool {
	rule := x.site.Rules.Match(&x.view)
	result := x.s.o.Cache.Lookup(x.site.ID, &x.view, rule, x.start)
	if !result.Direct {
		return x.forward(&result)
	}
	x.outcome, x.direct = telemetry.Hit, true
	h := x.w.Header()
	result.SetHeader(h)
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil
	}
	x.head(result.Entry.Status())
	switch size := result.Entry.Size(); {
	case x.r.Method == http.MethodHead:
	case size <= smallAnswer && x.r.ProtoMajor >= 2:
		// The server's deadline for the whole answer is enough.
		x.deadlineH3()
		if n, err := result.Entry.WriteTo(x.w); err != nil {
			panic(http.ErrAbortHandler)
		} else {
			x.sent = n
		}
	default:
		if _, err := result.Entry.WriteTo(x); err != nil {
			panic(http.ErrAbortHandler)
		}
	}
	return true
}

// smallAnswer is what a client can be given one deadline for.
const smallAnswer = 64 << 10

// deadlineH3 gives an HTTP/3 answer the deadline that net/http gives one of
// HTTP/2 from its beginning.
func (x *exchange) deadlineH3() {
	if x.r.ProtoMajor == 3 {
		_ = http.NewResponseController(x.w).SetWriteDeadline(x.start.Add(x.s.limits.WriteTimeout))
	}
}

// outcomes translates the cache's words to the counters'.
var outcomes = map[cache.Outcome]telemetry.Outcome{
	cache.Miss: telemetry.Miss, cache.Hit: telemetry.Hit, cache.Stale: telemetry.Stale,
	cache.Revalidate: telemetry.Revalidated, cache.Bypass: telemetry.Bypass,
}
