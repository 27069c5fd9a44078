package httpedge

import (
	"cmp"
	"errors"
	"io"
	"net/http"
	"net/textproto"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/edgewright/edgewright/edge/httpedge/framing"
)

// clientBody is the content of a request on its way to an origin: bounded in
// size, and in the time that the client may take. It is read by the goroutine
// that writes to the origin, while the exchange may be over.
type clientBody struct {
	src     io.ReadCloser
	limits  *Limits
	control *http.ResponseController
	max     int64 // bytes; 0: no bound
	known   bool  // the length was declared
	patient bool  // a stream of messages, which may be silent for long

	atEnd   func()             // called at the end; nil for nothing
	arrived func() http.Header // the client's trailers, after the end
	trailer http.Header        // those announced, filled in at the end; nil for none

	started atomic.Bool
	mu      sync.Mutex
	read    int64
	begin   time.Time
	renewAt time.Time
	hurried time.Time // the deadline that hurry has set
	reading bool      // from src, now
	left    bool      // the exchange is over: nobody reads any more
	quiet   sync.Cond // reading has become false
	ended   bool
	err     error // the first failure that is the client's
}

func newClientBody(x *exchange) *clientBody {
	r := x.r
	b := &clientBody{
		src: r.Body, limits: &x.s.limits, control: http.NewResponseController(x.w), known: r.ContentLength >= 0,
		patient: isGRPC(r.Header.Get("Content-Type")),
		arrived: func() http.Header { return r.Trailer },
	}
	b.quiet.L = &b.mu
	// HTTP/1 and 2 have turned the announcement into keys; HTTP/3 leaves it.
	for name := range r.Trailer {
		b.announce(name)
	}
	for _, value := range r.Header["Trailer"] {
		for name := range strings.SplitSeq(value, ",") {
			b.announce(textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(name)))
		}
	}
	return b
}

func (b *clientBody) announce(name string) {
	if !httpguts.ValidTrailerHeader(name) {
		return
	}
	if b.trailer == nil {
		b.trailer = http.Header{}
	}
	b.trailer[name] = nil
}

var errTooLarge = errors.New("the content is larger than the site allows")

// Read implements io.Reader.
func (b *clientBody) Read(p []byte) (int, error) {
	b.started.Store(true)
	b.mu.Lock()
	if b.err != nil || b.left {
		defer b.mu.Unlock()
		return 0, cmp.Or(b.err, errLeft)
	}
	b.renew()
	b.reading = true
	b.mu.Unlock()

	n, err := b.src.Read(p)

	b.mu.Lock()
	defer b.mu.Unlock()
	b.reading = false
	b.quiet.Broadcast()
	if b.read += int64(n); b.max > 0 && b.read > b.max {
		b.err = errTooLarge
		return 0, b.err
	}
	switch {
	case err == io.EOF:
		_ = b.control.SetReadDeadline(time.Time{}) // net/http goes on reading the connection
		if b.trailer != nil {
			arrived := b.arrived()
			for name := range b.trailer {
				b.trailer[name] = arrived[name]
			}
		}
		b.ended = true
		if b.atEnd != nil {
			b.atEnd()
		}
	case err != nil && !b.left:
		b.err = err
	}
	return n, err
}

var errLeft = errors.New("the request was answered before its content was read")

// leave ends the reading of a content whose request the origin has answered early;
// the handler must not return before. HTTP/2's writer takes no deadline after that:
// it would panic, in the goroutine that writes to the origin. And HTTP/1's server
// would break a read off itself, take every deadline away with it, and wait for the
// rest of the content for ever.
func (b *clientBody) leave() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left = true
	if !b.reading {
		return
	}
	_ = b.control.SetReadDeadline(time.Unix(1, 0))
	for b.reading {
		b.quiet.Wait()
	}
	if !b.ended {
		_ = b.control.SetReadDeadline(b.hurried)
	}
}

// hurry bounds the time that net/http waits for the rest of a content nobody
// wants, which it reads before it answers, and before it reuses a connection. It
// never gives more time than it gave before.
func (b *clientBody) hurry(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := time.Now().Add(d)
	if b.ended || !b.hurried.IsZero() && b.hurried.Before(at) {
		return
	}
	b.hurried = at
	_ = b.control.SetReadDeadline(at)
}

// renew sets the deadline for the next read. With a declared length the whole
// body must keep the minimum rate; a stream without one must only not stall.
func (b *clientBody) renew() {
	if b.patient {
		return
	}
	now := time.Now()
	if b.begin.IsZero() {
		b.begin = now
	}
	if now.Before(b.renewAt) {
		return
	}
	b.renewAt = now.Add(b.limits.BodyTimeout / 4)
	deadline := now.Add(b.limits.BodyTimeout)
	if b.known {
		earned := time.Duration(b.read/b.limits.BodyRate) * time.Second
		if last := b.begin.Add(b.limits.BodyTimeout + earned); last.Before(deadline) {
			deadline = last
		}
	}
	_ = b.control.SetReadDeadline(deadline)
}

// again gives net/http's client the content for another attempt, as long as none
// of it was read.
func (b *clientBody) again() (io.ReadCloser, error) {
	if b.started.Load() {
		return nil, errStarted
	}
	return b, nil
}

var errStarted = errors.New("the content of the request was sent already")

// Close does nothing: the content belongs to the client's request, and a second
// attempt may still need it.
func (b *clientBody) Close() error { return nil }

// failure returns what the client did wrong, as a status and a sentence; 0 when
// nothing.
func (b *clientBody) failure() (status int, detail string) {
	if b == nil {
		return 0, ""
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	var refusal *framing.Refusal
	switch {
	case b.err == nil:
		return 0, ""
	case errors.Is(b.err, errTooLarge):
		return http.StatusRequestEntityTooLarge, "The content of the request is larger than this site allows."
	case errors.As(b.err, &refusal):
		return refusal.Status, sentence(refusal)
	case errors.Is(b.err, os.ErrDeadlineExceeded):
		return http.StatusRequestTimeout, "The content of the request took too long to arrive."
	default:
		return http.StatusBadRequest, "The content of the request broke off."
	}
}

// idleBody cuts an origin's body that is silent for too long.
type idleBody struct {
	io.ReadCloser
	timer   *time.Timer
	timeout time.Duration
	expired atomic.Bool
}

var errOriginIdle = errors.New("the origin was silent for too long in the middle of its answer")

func newIdleBody(body io.ReadCloser, timeout time.Duration) *idleBody {
	b := &idleBody{ReadCloser: body, timeout: timeout}
	b.timer = time.AfterFunc(timeout, func() {
		b.expired.Store(true)
		_ = body.Close()
	})
	b.timer.Stop()
	return b
}

func (b *idleBody) Read(p []byte) (int, error) {
	b.timer.Reset(b.timeout)
	n, err := b.ReadCloser.Read(p)
	b.timer.Stop()
	if err != nil && err != io.EOF && b.expired.Load() {
		err = errOriginIdle
	}
	return n, err
}

func (b *idleBody) Close() error {
	b.timer.Stop()
	return b.ReadCloser.Close()
}

// countedBody counts what an origin sent.
type countedBody struct {
	io.ReadCloser
	n *atomic.Int64
}

func (b countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n.Add(int64(n))
	return n, err
}
