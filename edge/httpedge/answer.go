package httpedge

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/edgewright/edgewright/edge/cache"
)

var buffers = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

// write sends a piece of the answer's content.
func (x *exchange) write(p []byte) (int, error) {
	if x.r.Method == http.MethodHead {
		return len(p), nil
	}
	x.renewWrite()
	n, err := x.w.Write(p)
	x.sent += int64(n)
	return n, err
}

// Write lets stored content be written to the exchange.
func (x *exchange) Write(p []byte) (int, error) { return x.write(p) }

// renewWrite gives a client of HTTP/2 or 3 time for the next piece. HTTP/1
// connections see to it themselves (package framing), and HTTP/2 streams begin
// with a deadline that net/http sets.
func (x *exchange) renewWrite() {
	if x.r.ProtoMajor < 2 {
		return
	}
	timeout := x.s.limits.WriteTimeout
	if x.renewAt.IsZero() && x.r.ProtoMajor == 2 {
		x.renewAt = x.start.Add(timeout / 4)
	}
	now := time.Now()
	if now.Before(x.renewAt) {
		return
	}
	x.renewAt = now.Add(timeout / 4)
	_ = http.NewResponseController(x.w).SetWriteDeadline(now.Add(timeout))
}

// untime takes the write deadline back while the origin is waited for.
func (x *exchange) untime() {
	if x.r.ProtoMajor == 2 {
		_ = http.NewResponseController(x.w).SetWriteDeadline(time.Time{})
		x.renewAt = x.start // renew with the first write
	}
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
			_, err := w.WriteTo(x)
			return err
		}
	}
	control := http.NewResponseController(x.w)
	if streams {
		x.renewWrite()
		if err := control.Flush(); err != nil {
			return err
		}
	}
	space := buffers.Get().(*[]byte)
	defer buffers.Put(space)
	var late *lateFlush
	defer func() { late.stop() }()
	for {
		n, err := resp.Body.Read(*space)
		if n > 0 {
			late.suspend()
			if _, err := x.write((*space)[:n]); err != nil {
				return err
			}
			switch {
			case streams:
				if err := control.Flush(); err != nil {
					return err
				}
			case x.sent < resp.ContentLength && err == nil:
				if late == nil {
					late = newLateFlush(control)
				}
				late.resume()
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

// lateFlush flushes what a slow origin has sent so far. Between suspend and
// resume it keeps its hands off the response. A nil lateFlush does nothing.
type lateFlush struct {
	control *http.ResponseController
	timer   *time.Timer
	mu      sync.Mutex
	armed   bool
}

func newLateFlush(control *http.ResponseController) *lateFlush {
	l := &lateFlush{control: control}
	l.timer = time.AfterFunc(time.Hour, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.armed {
			l.armed = false
			_ = l.control.Flush() // the next write meets the same error
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
