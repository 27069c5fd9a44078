package httpedge

import (
	"context"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/edgewright/edgewright/edge/balance"
	"github.com/edgewright/edgewright/edge/request"
	"github.com/edgewright/edgewright/edge/telemetry"
)

// exchange is one request on its way through the phases.
type exchange struct {
	s       *Server
	w       http.ResponseWriter
	r       *http.Request
	runtime Runtime
	conn    *connection
	site    *Site
	view    request.View
	id      string // request ID
	start   time.Time

	// Of the answer.
	status    int
	sent      int64 // body bytes
	firstByte time.Duration
	outcome   telemetry.Outcome
	fault     string
	watch     writeWatch
	relaxed   bool // net/http's deadline for an HTTP/2 answer was taken back
	closes    bool // the connection must not be used again
	own       bool // the node's own question, which is no traffic
	direct    bool // answered from a stored header, by this goroutine alone

	ctx       context.Context // of the way to the origin: it ends when the client leaves
	departure *departure      // nil when nobody watches for that

	body   *clientBody // nil when the request has none
	origin originTrace

	interim sync.Mutex // guards what 1xx answers from another goroutine meet
	began   bool       // the final head is being sent, or the exchange is over
}

// originTrace is what is known of the origin's part. It is written by the
// goroutine that asks, which may outlive the exchange.
type originTrace struct {
	answered atomic.Pointer[balance.Origin]
	bytes    atomic.Int64
	failed   atomic.Bool
}

// phases are the phases of a request after it was parsed, in order. A phase
// that returns true has answered.
var phases = [...]func(*exchange) bool{
	(*exchange).normalise,
	(*exchange).verify,
	(*exchange).challenge,
	(*exchange).resolve,
	(*exchange).findSite,
	(*exchange).admit,
	(*exchange).redirect,
	(*exchange).tunnel,
	(*exchange).lookup,
}

// exchanges are those of direct hits, which nothing refers to once they are
// over. Others may still be looked at by a fill that outlives them.
var exchanges = sync.Pool{New: func() any { return new(exchange) }}

// ServeHTTP takes one request through its phases.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := exchanges.Get().(*exchange)
	x.s, x.w, x.r, x.runtime, x.start = s, w, r, s.o.Current(), time.Now()
	x.conn, _ = r.Context().Value(connectionKey{}).(*connection)
	if x.conn == nil {
		x.conn = &connection{}
	}
	x.id = s.ids.next()
	defer x.account()
	for _, phase := range &phases {
		if phase(x) {
			return
		}
	}
}

// account is the last phase: it counts what happened. A panic of any phase ends
// here as the 500 of the one request, or, when its answer has begun, as a broken
// connection, so that the answer does not look complete.
func (x *exchange) account() {
	p := recover()
	if p != nil && p != http.ErrAbortHandler {
		x.s.log.Error("a request panicked", "panic", p, "site", x.siteID(), "request_id", x.id, "stack", string(debug.Stack()))
		if !x.begun() {
			func() {
				defer func() {
					if recover() != nil { // the client left while it was told
						p = http.ErrAbortHandler
					}
				}()
				x.fail(http.StatusInternalServerError, sideEdge, panicDetail)
				p = nil
			}()
		} else {
			p = http.ErrAbortHandler
		}
	}
	x.finish() // no interim answer after this
	x.departure.end()
	x.watch.stop(x)
	if x.body != nil {
		x.body.leave()
		if x.r.ProtoMajor < 2 {
			x.body.hurry(x.s.limits.BodyTimeout)
		}
	}
	if x.own {
		return
	}

	record := telemetry.Record{
		At: x.start, FirstByte: x.firstByte, Status: x.status, Bytes: x.sent, OriginBytes: x.origin.bytes.Load(),
		Cache: x.outcome, OriginError: x.origin.failed.Load(), Fault: x.fault,
	}
	if record.FirstByte == 0 {
		record.FirstByte = time.Since(x.start)
	}
	counters := x.s.o.Telemetry.None()
	if x.site != nil {
		counters = x.site.Counters
	}
	counters.Count(x.conn.shard, &record)
	if x.s.o.Telemetry.Logging() {
		x.logAccess(&record)
	}
	if p != nil {
		panic(p)
	}
	if x.direct && x.watch.timer == nil {
		*x = exchange{}
		exchanges.Put(x)
	}
}

const panicDetail = "The edge could not handle this request. The fault is in its log under the request ID."

func (x *exchange) logAccess(record *telemetry.Record) {
	record.Duration = time.Since(x.start)
	record.Site, record.RequestID = x.siteID(), x.id
	record.ClientIP, record.Proto, record.Scheme = x.view.ClientIP, x.r.Proto, x.view.Scheme
	record.Method, record.Authority, record.Path, record.Query = x.r.Method, x.view.Authority, x.view.Path, x.view.Query
	record.UserAgent, record.Referer = x.r.Header.Get("User-Agent"), x.r.Header.Get("Referer")
	if o := x.origin.answered.Load(); o != nil {
		record.Origin = o.ID
	}
	x.s.o.Telemetry.Log(record)
}

func (x *exchange) siteID() string {
	if x.site == nil {
		return ""
	}
	return x.site.ID
}

func (x *exchange) logger() *slog.Logger {
	return x.s.log.With("site", x.siteID(), "request_id", x.id)
}

// begun reports whether the final head has been sent.
func (x *exchange) begun() bool {
	x.interim.Lock()
	defer x.interim.Unlock()
	return x.began
}

func (x *exchange) finish() {
	x.interim.Lock()
	x.began = true
	x.interim.Unlock()
}

// passInterim sends a 1xx of the origin on, unless the final answer has begun.
func (x *exchange) passInterim(code int, header http.Header) {
	if code == http.StatusContinue || !x.r.ProtoAtLeast(1, 1) {
		return
	}
	x.interim.Lock()
	defer x.interim.Unlock()
	if x.began {
		return
	}
	h := x.w.Header()
	for name, values := range header {
		if !hopByHop(name) {
			h[name] = values
		}
	}
	x.w.WriteHeader(code)
	clear(h)
}

// head sends the head of the answer: x.w.Header() with what every answer has.
func (x *exchange) head(status int) {
	h := x.w.Header()
	h["X-Request-Id"] = []string{x.id}
	delete(h, "Alt-Svc") // an origin's would lead past the edge
	if x.view.Scheme == "https" && x.r.ProtoMajor < 3 && !x.conn.told.Load() {
		if field := x.s.altSvc(x.runtime); field != nil {
			h["Alt-Svc"] = field
			x.conn.told.Store(true)
		}
	}
	if x.site != nil && x.site.HSTS != nil && x.view.Scheme == "https" {
		h["Strict-Transport-Security"] = x.site.HSTS
	}
	if (x.closes || x.s.draining.Load()) && x.r.ProtoMajor < 3 {
		h["Connection"] = headerClose // HTTP/2 makes it a GOAWAY
	}
	x.status, x.firstByte = status, time.Since(x.start)
	x.finish()
	x.w.WriteHeader(status)
}

var headerClose = []string{"close"}
