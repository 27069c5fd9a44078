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
	if x.r.Method != http.MethodHead {
		if _, err := result.Entry.WriteTo(x); err != nil {
			panic(http.ErrAbortHandler)
		}
	}
	return true
}

// outcomes translates the cache's words to the counters'.
var outcomes = map[cache.Outcome]telemetry.Outcome{
	cache.Miss: telemetry.Miss, cache.Hit: telemetry.Hit, cache.Stale: telemetry.Stale,
	cache.Revalidate: telemetry.Revalidated, cache.Bypass: telemetry.Bypass,
}
