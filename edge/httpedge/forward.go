package httpedge

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"

	"github.com/edgewright/edgewright/edge/balance"
	"github.com/edgewright/edgewright/edge/cache"
	"github.com/edgewright/edgewright/edge/httpedge/upstream"
)

// forward takes a request to an origin, through the cache: it collapses with
// others that want the same, and what comes back is stored while it is sent.
func (x *exchange) forward(result *cache.Result) bool {
	out := x.outbound(result.OriginQuery(&x.view))
	x.patient()
	if x.body != nil && x.r.ProtoMajor == 1 {
		// An origin may answer while the client still sends.
		_ = http.NewResponseController(x.w).EnableFullDuplex()
	}
	x.ctx = x.watchClient()
	resp, err := x.s.o.Cache.Fetch(upstream.WithInterim(x.ctx, x.passInterim), x.site.ID, &x.view, result, out.send)
	if err != nil {
		return x.unanswered(err)
	}
	x.outcome = outcomes[resp.Outcome]
	if status, detail := x.body.failure(); status == http.StatusRequestEntityTooLarge {
		resp.Body.Close()
		return x.fail(status, sideClient, detail)
	}
	x.answer(resp)
	return true
}

// unanswered tells the client why there is no answer.
func (x *exchange) unanswered(err error) bool {
	if status, detail := x.body.failure(); status != 0 {
		return x.fail(status, sideClient, detail)
	}
	if x.ctx.Err() != nil {
		x.fault = sideClient // it has left; nobody reads an answer
		panic(http.ErrAbortHandler)
	}
	if errors.Is(err, errPanicked) {
		return x.fail(http.StatusInternalServerError, sideEdge, panicDetail)
	}
	x.origin.failed.Store(true)
	x.logger().Warn("no answer from the origin", "error", err)
	var connect *upstream.ConnectError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &connect) && connect.Timeout():
		return x.fail(http.StatusGatewayTimeout, sideOrigin, "The origin server could not be reached in time.")
	case errors.As(err, &connect):
		return x.fail(http.StatusBadGateway, sideOrigin, "The origin server could not be reached.")
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return x.fail(http.StatusGatewayTimeout, sideOrigin, "The origin server took too long to answer.")
	default:
		return x.fail(http.StatusBadGateway, sideOrigin, "The origin server broke off, or answered something that is not HTTP.")
	}
}

// outbound is a request on its way to an origin. It may outlive the exchange,
// when others wait for the answer, and holds nothing that ends with it but the
// content, which only a request of its own has.
type outbound struct {
	site     *Site
	method   string
	path     string
	query    string
	host     string // of the client, with the edge's port
	header   http.Header
	length   int64
	body     *clientBody
	trace    *originTrace
	failed   func(o *balance.Origin, ejected bool, err error)
	panicked func(p any)
}

func (x *exchange) outbound(query string) *outbound {
	if x.body != nil {
		x.body.max = x.site.MaxBody
	}
	s, site, id := x.s, x.siteID(), x.id
	return &outbound{
		site: x.site, method: x.r.Method, path: x.view.Path, query: query, host: x.publicHost(),
		header: x.outgoing(), length: x.r.ContentLength, body: x.body, trace: &x.origin,
		failed: func(o *balance.Origin, ejected bool, err error) {
			s.log.Warn("an origin failed", "site", site, "origin", o.ID, "ejected", ejected, "request_id", id, "error", err)
		},
		panicked: func(p any) {
			s.log.Error("a request panicked", "panic", p, "site", site, "request_id", id, "stack", string(debug.Stack()))
		},
	}
}

// errPanicked is a panic on the way to an origin. It may happen in a goroutine
// of the cache, where account cannot catch it.
var errPanicked = errors.New("the edge panicked on the way to the origin")

// send asks origins until one answers: the phases balance and origin. It is the
// cache's Origin.
func (b *outbound) send(ctx context.Context, extra http.Header) (resp *http.Response, err error) {
	defer func() {
		if p := recover(); p != nil {
			b.panicked(p)
			resp, err = nil, errPanicked
		}
	}()
	header := b.header
	if len(extra) > 0 {
		header = maps.Clone(header)
		cache.ApplyExtra(header, extra)
	}
	var space [4]*balance.Origin
	tried := space[:0]
	var last error
	for {
		o := b.site.Pool.Pick(tried)
		if o == nil {
			return nil, last
		}
		resp, err = o.RoundTrip(b.request(ctx, o, header))
		if err == nil {
			o.Succeeded()
			b.trace.answered.Store(o)
			b.watch(resp)
			return resp, nil
		}
		if ctx.Err() != nil {
			return nil, err // nobody waits any more: not the origin's fault
		}
		if status, _ := b.body.failure(); status != 0 {
			return nil, err
		}
		b.failed(o, o.Failed(), err)
		last, tried = err, append(tried, o)
		if !b.again(err) {
			return nil, err
		}
	}
}

// again reports whether another origin may be asked: always when the request
// did not leave, else when sending it twice does no harm and it is not known to
// be slow rather than broken.
func (b *outbound) again(err error) bool {
	if b.body != nil && b.body.started.Load() {
		return false
	}
	var connect *upstream.ConnectError
	if errors.As(err, &connect) {
		return true
	}
	var timeout interface{ Timeout() bool }
	if errors.As(err, &timeout) && timeout.Timeout() {
		return false
	}
	return b.body == nil && (b.method == http.MethodGet || b.method == http.MethodHead || b.method == http.MethodOptions)
}

// request is the request to one origin. The path goes as it was normalised: it
// is what rules and key have seen.
func (b *outbound) request(ctx context.Context, o *balance.Origin, header http.Header) *http.Request {
	r := &http.Request{
		Method:     b.method,
		URL:        &url.URL{Scheme: o.Spec.Scheme, Host: o.Spec.Address, Path: b.path, RawPath: b.path, RawQuery: b.query},
		Proto:      "HTTP/1.1",
		ProtoMajor: 1,
		ProtoMinor: 1,
		Header:     header,
		Host:       b.host,
	}
	if o.HostHeader != "" {
		r.Host = o.HostHeader
	}
	if strings.IndexByte(b.path, '%') >= 0 {
		if decoded, err := url.PathUnescape(b.path); err == nil {
			r.URL.Path = decoded
		}
	}
	if b.body != nil {
		r.Body, r.ContentLength, r.Trailer, r.GetBody = b.body, b.length, b.body.trailer, b.body.again
	}
	return r.WithContext(ctx)
}

// watch counts a response's content and cuts one that falls silent, unless it
// is a stream that may.
func (b *outbound) watch(resp *http.Response) {
	if resp.StatusCode == http.StatusSwitchingProtocols || resp.Body == nil {
		return
	}
	resp.Body = countedBody{resp.Body, &b.trace.bytes}
	kind := first(resp.Header["Content-Type"])
	if idle := b.site.Pool.IdleTimeout; idle > 0 && !isGRPC(kind) && !strings.HasPrefix(kind, "text/event-stream") {
		resp.Body = newIdleBody(resp.Body, idle)
	}
}

func isGRPC(contentType string) bool { return strings.HasPrefix(contentType, "application/grpc") }

var _ io.ReadCloser = (*clientBody)(nil)
