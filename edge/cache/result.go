package cache

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/edgewright/edgewright/edge/request"
)

// Outcome is how the cache took part in a request.
type Outcome uint8

// The outcomes. The strings are the keys of edgeconfig.Counters.Cache.
const (
	Miss       Outcome = iota // "miss": nothing stored could be used
	Hit                       // "hit": answered from a fresh stored response
	Stale                     // "stale": answered from a stale one, as RFC 5861 or max-stale allow
	Revalidate                // "revalidated": stored, but the origin must be asked first; of a Response: it confirmed
	Bypass                    // "bypass": neither looked up nor stored
)

func (o Outcome) String() string {
	switch o {
	case Hit:
		return "hit"
	case Stale:
		return "stale"
	case Revalidate:
		return "revalidated"
	case Bypass:
		return "bypass"
	default:
		return "miss"
	}
}

// Origin sends the request on. It is called at most twice for one Fetch, from
// another goroutine than Fetch's, and may still be running when Fetch has
// returned, because others wait for the answer: it must not use what ends with
// the client's request (its content, its context, recycled buffers). The
// context it gets keeps the values of Fetch's and is cancelled when nobody
// needs the answer any more.
//
// Each name in extra replaces the client's field of that name; an empty list
// removes it (ApplyExtra does both). The query to send is Result.OriginQuery.
// The response's body is closed by the cache. A panic becomes an error of
// everyone who waits.
type Origin func(ctx context.Context, extra http.Header) (*http.Response, error)

// ApplyExtra applies what Origin is given to a request's header.
func ApplyExtra(header, extra http.Header) {
	for name, values := range extra {
		if len(values) == 0 {
			delete(header, name)
		} else {
			header[name] = values
		}
	}
}

// Response is an answer for the general lane.
type Response struct {
	Status int
	// Header is the caller's to change, but its value slices are shared with
	// the cache: replace them, never write into them. Hop-by-hop fields are
	// gone, except from a 101. Age and Cache-Status are set.
	Header http.Header
	// Body must be closed. An error before io.EOF means that the content is
	// cut short: the connection to the client must be broken, so that the
	// answer does not look complete. It implements io.WriterTo when it comes
	// from stored chunks.
	Body          io.ReadCloser
	ContentLength int64 // of Body, -1 when unknown
	Outcome       Outcome
	Age           time.Duration
	// Upstream is the origin's response when Body comes straight from it: for
	// trailers after Body ended, and for the connection of a 101. Nil otherwise.
	Upstream *http.Response
}

// OriginQuery may be called while Fetch runs. It is the query to send to the origin: what is keyed, or, of a
// request that the cache does not take part in, all of it.
func (r *Result) OriginQuery(v *request.View) string {
	if r.passes || r.rule == nil {
		return v.Query
	}
	return r.rule.ForwardQuery(v.Query)
}
