package httpedge

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/edgewright/edgewright/edge/cache"
)

// Buffers for copying: small ones for what may take long and wait often (streams,
// tunnels), large ones to save system calls where much is coming.
var (
	smallBuffers = sync.Pool{New: func() any { b := make([]byte, 8<<10); return &b }}
	largeBuffers = sync.Pool{New: func() any { b := make([]byte, 64<<10); return &b }}
)

// write sends a piece of the answer's content.
func (x *exchange) write(p []byte) (int, error) {
	if x.r.Method == http.MethodHead {
		return len(p), nil
	}
	x.watch.begin(x)
	n, err := x.w.Write(p)
	x.watch.end()
	x.sent += int64(n)
	return n, err
}

// flush sends what was written so far.
func (x *exchange) flush() error {
	x.watch.begin(x)
	defer x.watch.end()
	return http.NewResponseController(x.w).Flush()
}

// Write lets stored content be written to the exchange.
func (x *exchange) Write(p []byte) (int, error) { return x.write(p) }

// writeWatch bounds the time that a client of HTTP/2 or 3 may take to accept a
// piece of an answer. A deadline on the stream would also count the time that
// the edge waits for the origin, so the watch looks from outside whether a write
// is stuck. HTTP/1 connections see to it themselves (package framing).
type writeWatch struct {
	began atomic.Int64 // Unix nanoseconds of the write under way; 0: none
	timer *time.Timer
	over  atomic.Bool
}

func (w *writeWatch) begin(x *exchange) {
	if x.r.ProtoMajor < 2 {
		return
	}
	w.began.Store(time.Now().UnixNano())
	if w.timer != nil {
		return
	}
	timeout := x.s.limits.WriteTimeout
	control := http.NewResponseController(x.w)
	if x.r.ProtoMajor == 2 && !x.relaxed {
		x.patient()
	}
	w.timer = time.AfterFunc(time.Hour, func() {
		began := w.began.Load()
		switch {
		case w.over.Load():
		case began != 0 && time.Since(time.Unix(0, began)) >= timeout:
			_ = control.SetWriteDeadline(time.Unix(1, 0))
		default:
			w.timer.Reset(timeout / 4)
		}
	})
	w.timer.Reset(timeout / 4)
}

func (w *writeWatch) end() {
	if w.timer != nil {
		w.began.Store(0)
	}
}

// patient takes net/http's deadline for an HTTP/2 answer back, since the origin
// may take longer to begin it.
func (x *exchange) patient() {
	if x.r.ProtoMajor == 2 {
		_ = http.NewResponseController(x.w).SetWriteDeadline(time.Time{})
		x.relaxed = true
	}
}

// stop ends the watch; what the server still holds gets a deadline of its own.
func (w *writeWatch) stop(x *exchange) {
	if w.timer == nil {
		if x.relaxed {
			_ = http.NewResponseController(x.w).SetWriteDeadline(time.Now().Add(x.s.limits.WriteTimeout))
		}
		return
	}
	w.over.Store(true)
	w.timer.Stop()
	_ = http.NewResponseController(x.w).SetWriteDeadline(time.Now().Add(x.s.limits.WriteTimeout))
}

// answer sends what the cache or, through it, the origin has answered.
func (x *exchange) answer(resp *cache.Response) {
	defer resp.Body.Close()
	h := x.w.Header()
	for name, values := range resp.Header {
		h[name] = values
	}
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil // keeps net/http from guessing
	}
	var trailers []string
	if resp.Upstream != nil {
		for name := range resp.Upstream.Trailer {
			trailers = append(trailers, name)
		}
		if len(trailers) > 0 {
			h["Trailer"] = []string{strings.Join(trailers, ", ")}
		}
	}
	x.head(resp.Status)
	if x.r.Method == http.MethodHead || resp.Status == http.StatusNoContent || resp.Status == http.StatusNotModified {
		return
	}
	if err := x.content(resp); err != nil {
		panic(http.ErrAbortHandler)
	}
	if resp.Upstream != nil {
		sendTrailers(h, resp.Upstream.Trailer, trailers)
	}
}

func sendTrailers(h, trailer http.Header, announced []string) {
	for name, values := range trailer {
		key := http.TrailerPrefix + name
		for _, a := range announced {
			if a == name {
				key = name
			}
		}
		h[key] = values
	}
}

// content sends the content of an answer. What has no length, and server-sent
// events, are flushed at once, head included.
func (x *exchange) content(resp *cache.Response) error {
	streams := resp.ContentLength < 0 || strings.HasPrefix(first(resp.Header["Content-Type"]), "text/event-stream")
	if !streams {
		if w, ok := resp.Body.(io.WriterTo); ok {
			p := &paced{x: x, length: resp.ContentLength}
			defer p.stop()
			_, err := w.WriteTo(p)
			return err
		}
	}
	if streams {
		if err := x.flush(); err != nil {
			return err
		}
	}
	buffers := &smallBuffers
	if resp.ContentLength > 8<<10 && !streams {
		buffers = &largeBuffers
	}
	space := buffers.Get().(*[]byte)
	defer buffers.Put(space)
	p := &paced{x: x, length: resp.ContentLength}
	defer p.stop()
	for {
		n, err := resp.Body.Read(*space)
		if n > 0 {
			if _, err := p.Write((*space)[:n]); err != nil {
				return err
			}
			if streams {
				if err := x.flush(); err != nil {
					return err
				}
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			x.fault = sideOrigin
			return err
		}
	}
}

// flushDelay is how long a piece of an answer of known length may wait for
// more before it is sent.
const flushDelay = 20 * time.Millisecond

// paced writes content of a known length, and flushes what would wait for long
// in the server's buffer.
type paced struct {
	x      *exchange
	length int64 // less than 0: not known, nothing is flushed
	late   *lateFlush
}

func (p *paced) Write(b []byte) (int, error) {
	p.late.suspend()
	n, err := p.x.write(b)
	if err == nil && p.x.sent < p.length {
		if p.late == nil {
			p.late = newLateFlush(p.x)
		}
		p.late.resume()
	}
	return n, err
}

func (p *paced) stop() { p.late.stop() }

// lateFlush flushes what a slow origin has sent so far. Between suspend and
// resume it keeps its hands off the response. A nil lateFlush does nothing.
type lateFlush struct {
	timer *time.Timer
	mu    sync.Mutex
	armed bool
}

func newLateFlush(x *exchange) *lateFlush {
	l := &lateFlush{}
	l.timer = time.AfterFunc(time.Hour, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.armed {
			l.armed = false
			_ = x.flush() // the next write meets the same error
		}
	})
	return l
}

func (l *lateFlush) resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.armed = true
	l.timer.Reset(flushDelay)
}

func (l *lateFlush) suspend() {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.armed = false
}

func (l *lateFlush) stop() {
	if l != nil {
		l.suspend()
		l.timer.Stop()
	}
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}
